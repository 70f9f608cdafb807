//! PostgreSQL's type names: from the parser's types to the engine's, and in messages.

use datafusion::sql::sqlparser::ast::{
    self, ArrayElemTypeDef, CharacterLength, ExactNumberInfo, TimezoneInfo,
};
use millrace_engine::{DataType, Element, Limit, NUMERIC_PRECISION_MAX};

use super::scope::fold_name;
use crate::error::SqlError;

/// A type as a user names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// One of the engine's.
    Type(DataType),
    /// `numeric` without precision and scale: of a fixed scale where what is cast has one.
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
        Sql::Text => DataType::Text,
        Sql::Varchar(length) | Sql::CharacterVarying(length) | Sql::CharVarying(length) => {
            let length = length.as_ref().map(|length| characters(length, "varchar")).transpose()?;
            DataType::Limited(Limit::Varchar(length))
        }
        Sql::Char(length) | Sql::Character(length) => {
            let length = length.as_ref().map(|length| characters(length, "char")).transpose()?;
            DataType::Limited(Limit::Char(length.unwrap_or(1)))
        }
        Sql::Time(digits, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
            limited(*digits, DataType::Time, Limit::Time)
        }
        Sql::Array(inner) => return array(inner),
        Sql::JSON => DataType::Json,
        Sql::JSONB => DataType::Jsonb,
        Sql::Date => DataType::Date,
        Sql::Uuid => DataType::Uuid,
        Sql::Bytea => DataType::Bytea,
        Sql::Interval { fields: None, precision: None } => DataType::Interval,
        Sql::Timestamp(digits, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
            limited(*digits, DataType::Timestamp, Limit::Timestamp)
        }
        Sql::Timestamp(digits, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz) => {
            limited(*digits, DataType::TimestampTz, Limit::TimestampTz)
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

/// `type[]`, `type[3]`, `type[][]`, `type ARRAY`: how many elements, and dimensions, does not matter.
fn array(element: &ArrayElemTypeDef) -> Result<Named, SqlError> {
    let element = match element {
        ArrayElemTypeDef::SquareBracket(inner, _) => inner,
        ArrayElemTypeDef::AngleBracket(inner) | ArrayElemTypeDef::Parenthesis(inner) => inner,
        ArrayElemTypeDef::None => return Err(unsupported("array")),
    };
    array_of(named(element)?)
}

fn array_of(element: Named) -> Result<Named, SqlError> {
    match element {
        Named::Type(array @ DataType::Array(_)) => Ok(Named::Type(array)),
        Named::Type(element) => Element::of(element)
            .map(|element| Named::Type(DataType::Array(element)))
            .ok_or_else(|| unsupported(&format!("{element}[]"))),
        Named::Numeric => Ok(Named::Type(DataType::Array(Element::Decimal))),
    }
}

/// The length of varchar(n) or char(n).
///
/// # Errors
/// 22023 for one that PostgreSQL does not take either.
fn characters(length: &CharacterLength, name: &str) -> Result<u32, SqlError> {
    /// The longest text that fits into a value of PostgreSQL's, whatever its characters.
    const LENGTH_MAX: u64 = 10_485_760;
    let length = match length {
        CharacterLength::IntegerLength { length, unit: None } => *length,
        CharacterLength::IntegerLength { .. } | CharacterLength::Max => {
            return Err(unsupported(&format!("{name}({length})").to_lowercase()));
        }
    };
    match u32::try_from(length) {
        Ok(0) => Err(SqlError::new("22023", format!("length for type {name} must be at least 1"))),
        Ok(short) if length <= LENGTH_MAX => Ok(short),
        _ => Err(SqlError::new("22023", format!("length for type {name} cannot exceed {LENGTH_MAX}"))),
    }
}

/// A type with so many digits of a second; more than there are say nothing, as in PostgreSQL.
fn limited(digits: Option<u64>, base: DataType, limit: fn(u8) -> Limit) -> DataType {
    const DIGITS_MAX: u64 = 6;
    digits.map_or(base, |digits| DataType::Limited(limit(digits.min(DIGITS_MAX) as u8)))
}

/// `numeric`, with or without precision and scale.
///
/// # Errors
/// 22023 for a precision or a scale that PostgreSQL does not take either.
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
    if !(-1000..=1000).contains(&scale) {
        let message = format!("NUMERIC scale {scale} must be between -1000 and 1000");
        return Err(SqlError::new("22023", message));
    }
    Ok(Named::Type(match (u8::try_from(precision), u8::try_from(scale)) {
        (Ok(precision), Ok(scale)) if precision <= NUMERIC_PRECISION_MAX && scale <= precision => {
            DataType::Numeric { precision, scale }
        }
        _ => DataType::Limited(Limit::Numeric { precision: precision as u16, scale: scale as i16 }),
    }))
}

fn unsupported(name: &str) -> SqlError {
    SqlError::unsupported(format_args!("type {name}"))
}

/// A type under the name that it has in pg_type, as dumps and some drivers write it.
fn catalog_type(name: &str, modifiers: &[String]) -> Result<Named, SqlError> {
    let bare = name.strip_prefix("pg_catalog.").unwrap_or(name);
    Ok(Named::Type(match bare {
        "varchar" | "bpchar" if !modifiers.is_empty() => return text_of_length(bare, modifiers),
        _ if !modifiers.is_empty() => return Err(unknown(bare, name)),
        "bool" => DataType::Boolean,
        "int2" => DataType::Int16,
        "int4" => DataType::Int32,
        "int8" => DataType::Int64,
        "float4" => DataType::Float32,
        "float8" => DataType::Float64,
        "numeric" => return Ok(Named::Numeric),
        "text" => DataType::Text,
        "varchar" => DataType::Limited(Limit::Varchar(None)),
        "bpchar" => DataType::Char,
        "json" => DataType::Json,
        "jsonb" => DataType::Jsonb,
        array if array.starts_with('_') => {
            let element = catalog_type(&array[1..], modifiers).map_err(|_| unknown(bare, name))?;
            return array_of(element);
        }
        "time" => DataType::Time,
        "timestamp" => DataType::Timestamp,
        "timestamptz" => DataType::TimestampTz,
        "uuid" => DataType::Uuid,
        "bytea" => DataType::Bytea,
        "date" => DataType::Date,
        "interval" => DataType::Interval,
        _ => return Err(unknown(bare, name)),
    }))
}

/// `varchar(n)` and `bpchar(n)` by the names that they have in pg_type.
fn text_of_length(name: &str, modifiers: &[String]) -> Result<Named, SqlError> {
    let length = match modifiers {
        [length] => length.parse().ok(),
        _ => None,
    };
    let length = length.ok_or_else(|| SqlError::new("22023", "invalid type modifier"))?;
    let length = CharacterLength::IntegerLength { length, unit: None };
    let limit = match name {
        "varchar" => Limit::Varchar(Some(characters(&length, "varchar")?)),
        _ => Limit::Char(characters(&length, "char")?),
    };
    Ok(Named::Type(DataType::Limited(limit)))
}

/// Whether PostgreSQL has a type of this name decides between "not yet" and "no such type".
fn unknown(name: &str, written: &str) -> SqlError {
    const KNOWN: &[&str] = &[
        "bigserial",
        "bit",
        "box",
        "char",
        "cidr",
        "circle",
        "daterange",
        "hstore",
        "inet",
        "int2vector",
        "int4range",
        "int8range",
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
        DataType::Numeric { .. } | DataType::Decimal => "numeric",
        DataType::Date => "date",
        DataType::Interval => "interval",
        DataType::Int16 => "smallint",
        DataType::Float32 => "real",
        DataType::TimestampTz => "timestamp with time zone",
        DataType::Uuid => "uuid",
        DataType::Bytea => "bytea",
        DataType::Time => "time without time zone",
        DataType::Char => "character",
        DataType::Json => "json",
        DataType::Jsonb => "jsonb",
        DataType::Array(element) => display_array(element),
        DataType::Limited(Limit::Varchar(_)) => "character varying",
        DataType::Limited(limit) => display(limit.base()),
    }
}

fn display_array(element: Element) -> &'static str {
    match element {
        Element::Boolean => "boolean[]",
        Element::Int16 => "smallint[]",
        Element::Int32 => "integer[]",
        Element::Int64 => "bigint[]",
        Element::Float32 => "real[]",
        Element::Float64 => "double precision[]",
        Element::Numeric { .. } | Element::Decimal => "numeric[]",
        Element::Text => "text[]",
        Element::Varchar => "character varying[]",
        Element::Date => "date[]",
        Element::Time => "time without time zone[]",
        Element::Timestamp => "timestamp without time zone[]",
        Element::TimestampTz => "timestamp with time zone[]",
        Element::Interval => "interval[]",
        Element::Uuid => "uuid[]",
        Element::Bytea => "bytea[]",
        Element::Json => "json[]",
        Element::Jsonb => "jsonb[]",
    }
}

/// A type in a message, `unknown` for a literal that has none.
pub(crate) fn display_known(data_type: Option<DataType>) -> &'static str {
    data_type.map_or("unknown", display)
}

/// What a cast to an array calls its column: as its elements' type.
fn array_name(element: Element) -> &'static str {
    match element {
        Element::Boolean => "bool",
        Element::Int16 => "int2",
        Element::Int32 => "int4",
        Element::Int64 => "int8",
        Element::Float32 => "float4",
        Element::Float64 => "float8",
        Element::Numeric { .. } | Element::Decimal => "numeric",
        Element::Text => "text",
        Element::Varchar => "varchar",
        Element::Date => "date",
        Element::Time => "time",
        Element::Timestamp => "timestamp",
        Element::TimestampTz => "timestamptz",
        Element::Interval => "interval",
        Element::Uuid => "uuid",
        Element::Bytea => "bytea",
        Element::Json => "json",
        Element::Jsonb => "jsonb",
    }
}

/// The name of pg_type, which a cast gives to its column.
pub(crate) fn internal_name(data_type: &ast::DataType) -> String {
    match named(data_type) {
        Ok(Named::Numeric | Named::Type(DataType::Numeric { .. } | DataType::Decimal)) => "numeric",
        Ok(Named::Type(DataType::Limited(Limit::Numeric { .. }))) => "numeric",
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
        Ok(Named::Type(DataType::Text)) => "text",
        Ok(Named::Type(DataType::Time | DataType::Limited(Limit::Time(_)))) => "time",
        Ok(Named::Type(DataType::Char | DataType::Limited(Limit::Char(_)))) => "bpchar",
        Ok(Named::Type(DataType::Limited(Limit::Varchar(_)))) => "varchar",
        // As PostgreSQL's parser has it: the type in the brackets.
        Ok(Named::Type(DataType::Array(element))) => array_name(element),
        Ok(Named::Type(DataType::Json)) => "json",
        Ok(Named::Type(DataType::Jsonb)) => "jsonb",
        Ok(Named::Type(DataType::Limited(Limit::Timestamp(_)))) => "timestamp",
        Ok(Named::Type(DataType::Limited(Limit::TimestampTz(_)))) => "timestamptz",
        Err(_) => return catalog_name(data_type).unwrap_or_else(|| "?column?".to_owned()),
    }
    .to_owned()
}

/// The name of a type that only the catalogs have.
fn catalog_name(data_type: &ast::DataType) -> Option<String> {
    match data_type {
        ast::DataType::Regclass => Some("regclass".to_owned()),
        ast::DataType::Custom(name, _) => fold_name(name).pop(),
        _ => None,
    }
}
