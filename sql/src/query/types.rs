//! PostgreSQL's type names: from the parser's types to the engine's, and in messages.

use datafusion::sql::sqlparser::ast::{self, ExactNumberInfo, TimezoneInfo};
use millrace_engine::{DataType, NUMERIC_PRECISION_MAX};

use super::scope::fold_name;
use crate::error::SqlError;

/// A type as a user names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// One of the engine's.
    Type(DataType),
    /// `numeric` without precision and scale: the scale follows from what is cast.
    Numeric,
}

/// The type of a name.
///
/// # Errors
/// 0A000 for types of PostgreSQL that are not there yet, 42704 for names that mean nothing.
pub(crate) fn named(data_type: &ast::DataType) -> Result<Named, SqlError> {
    use ast::DataType as Sql;
    Ok(Named::Type(match data_type {
        Sql::Bool | Sql::Boolean => DataType::Boolean,
        Sql::Int(None) | Sql::Int4(None) | Sql::Integer(None) => DataType::Int32,
        Sql::SmallInt(None) | Sql::Int2(None) => DataType::Int16,
        Sql::BigInt(None) | Sql::Int8(None) => DataType::Int64,
        Sql::Real | Sql::Float4 | Sql::Float(ExactNumberInfo::Precision(1..=24)) => DataType::Float32,
        Sql::DoublePrecision | Sql::Float8 | Sql::Float(ExactNumberInfo::None) => DataType::Float64,
        Sql::Float(ExactNumberInfo::Precision(25..=53)) => DataType::Float64,
        Sql::Text | Sql::Varchar(None) | Sql::CharacterVarying(None) | Sql::CharVarying(None) => {
            DataType::Text
        }
        Sql::Date => DataType::Date,
        Sql::Uuid => DataType::Uuid,
        Sql::Bytea => DataType::Bytea,
        Sql::Interval { fields: None, precision: None } => DataType::Interval,
        Sql::Timestamp(None | Some(6), TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
            DataType::Timestamp
        }
        Sql::Timestamp(None | Some(6), TimezoneInfo::WithTimeZone | TimezoneInfo::Tz) => {
            DataType::TimestampTz
        }
        Sql::Float(ExactNumberInfo::Precision(0)) => {
            return Err(SqlError::new("22023", "precision for type float must be at least 1 bit"));
        }
        Sql::Float(ExactNumberInfo::Precision(54..)) => {
            return Err(SqlError::new("22023", "precision for type float must be less than 54 bits"));
        }
        Sql::Numeric(info) | Sql::Decimal(info) | Sql::Dec(info) => return numeric(*info),
        Sql::Custom(name, modifiers) => return catalog_type(&fold_name(name).join("."), modifiers),
        other => return Err(unsupported(&other.to_string().to_lowercase())),
    }))
}

/// `numeric`, with or without precision and scale.
///
/// # Errors
/// 22023 for a precision that PostgreSQL does not take either, 0A000 for one beyond our digits.
fn numeric(info: ExactNumberInfo) -> Result<Named, SqlError> {
    let (precision, scale) = match info {
        ExactNumberInfo::None => return Ok(Named::Numeric),
        ExactNumberInfo::Precision(precision) => (precision, 0),
        ExactNumberInfo::PrecisionAndScale(precision, scale) => (precision, scale),
    };
    if !(1..=1000).contains(&precision) {
        let message = format!("NUMERIC precision {precision} must be between 1 and 1000");
        return Err(SqlError::new("22023", message));
    }
    match (u8::try_from(precision), u8::try_from(scale)) {
        (Ok(precision), Ok(scale)) if precision <= NUMERIC_PRECISION_MAX && scale <= precision => {
            Ok(Named::Type(DataType::Numeric { precision, scale }))
        }
        _ => Err(SqlError::unsupported(format_args!("type numeric({precision},{scale})"))
            .detail(format!("A numeric has at most {NUMERIC_PRECISION_MAX} digits, its scale among them."))),
    }
}

fn unsupported(name: &str) -> SqlError {
    SqlError::unsupported(format_args!("type {name}"))
}

/// A type under the name that it has in pg_type, as dumps and some drivers write it.
fn catalog_type(name: &str, modifiers: &[String]) -> Result<Named, SqlError> {
    let bare = name.strip_prefix("pg_catalog.").unwrap_or(name);
    Ok(Named::Type(match bare {
        _ if !modifiers.is_empty() => return Err(unknown(bare, name)),
        "bool" => DataType::Boolean,
        "int2" => DataType::Int16,
        "int4" => DataType::Int32,
        "int8" => DataType::Int64,
        "float4" => DataType::Float32,
        "float8" => DataType::Float64,
        "numeric" => return Ok(Named::Numeric),
        "text" | "varchar" => DataType::Text,
        "timestamp" => DataType::Timestamp,
        "timestamptz" => DataType::TimestampTz,
        "uuid" => DataType::Uuid,
        "bytea" => DataType::Bytea,
        "date" => DataType::Date,
        "interval" => DataType::Interval,
        _ => return Err(unknown(bare, name)),
    }))
}

/// Whether PostgreSQL has a type of this name decides between "not yet" and "no such type".
fn unknown(name: &str, written: &str) -> SqlError {
    const KNOWN: &[&str] = &[
        "bigserial",
        "bit",
        "box",
        "bpchar",
        "char",
        "cidr",
        "circle",
        "daterange",
        "hstore",
        "inet",
        "int2vector",
        "int4range",
        "int8range",
        "json",
        "jsonb",
        "line",
        "lseg",
        "macaddr",
        "macaddr8",
        "money",
        "name",
        "numrange",
        "oid",
        "path",
        "pg_lsn",
        "point",
        "polygon",
        "regclass",
        "regproc",
        "regtype",
        "serial",
        "serial2",
        "serial4",
        "serial8",
        "smallserial",
        "time",
        "timetz",
        "tsrange",
        "tstzrange",
        "tsquery",
        "tsvector",
        "varbit",
        "xml",
    ];
    if KNOWN.contains(&name) {
        return unsupported(name);
    }
    SqlError::new("42704", format!("type \"{written}\" does not exist"))
}

/// A type in a message: PostgreSQL shows no precision and scale there.
pub(crate) fn display(data_type: DataType) -> &'static str {
    match data_type {
        DataType::Boolean => "boolean",
        DataType::Int32 => "integer",
        DataType::Int64 => "bigint",
        DataType::Float64 => "double precision",
        DataType::Text => "text",
        DataType::Timestamp => "timestamp without time zone",
        DataType::Numeric { .. } => "numeric",
        DataType::Date => "date",
        DataType::Interval => "interval",
        DataType::Int16 => "smallint",
        DataType::Float32 => "real",
        DataType::TimestampTz => "timestamp with time zone",
        DataType::Uuid => "uuid",
        DataType::Bytea => "bytea",
    }
}

/// A type in a message, `unknown` for a literal that has none.
pub(crate) fn display_known(data_type: Option<DataType>) -> &'static str {
    data_type.map_or("unknown", display)
}

/// The name of pg_type, which a cast gives to its column.
pub(crate) fn internal_name(data_type: &ast::DataType) -> String {
    use ast::DataType as Sql;
    match named(data_type) {
        Ok(Named::Numeric | Named::Type(DataType::Numeric { .. })) => "numeric",
        Ok(Named::Type(DataType::Boolean)) => "bool",
        Ok(Named::Type(DataType::Int32)) => "int4",
        Ok(Named::Type(DataType::Int64)) => "int8",
        Ok(Named::Type(DataType::Float64)) => "float8",
        Ok(Named::Type(DataType::Timestamp)) => "timestamp",
        Ok(Named::Type(DataType::Date)) => "date",
        Ok(Named::Type(DataType::Interval)) => "interval",
        Ok(Named::Type(DataType::Int16)) => "int2",
        Ok(Named::Type(DataType::Float32)) => "float4",
        Ok(Named::Type(DataType::TimestampTz)) => "timestamptz",
        Ok(Named::Type(DataType::Uuid)) => "uuid",
        Ok(Named::Type(DataType::Bytea)) => "bytea",
        Ok(Named::Type(DataType::Text)) => match data_type {
            Sql::Text => "text",
            _ => "varchar",
        },
        Err(_) => "?column?",
    }
    .to_owned()
}
