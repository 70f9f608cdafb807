//! What is the same in every database: types, the one database and the one role; and the schemas.
//!
//! Oids are PostgreSQL's. A type is here if a column or a result can have it, or a catalog names it.

use millrace_sql::{Catalog, DATABASE, OWNER, Schema, oid_of_schema};

use super::cells::{Cell, Table, row};

/// The oid of the one role, which owns everything.
pub(super) const OWNER_OID: i64 = 10;

/// A type of PostgreSQL's.
pub(super) struct Type {
    pub(super) oid: i64,
    pub(super) name: &'static str,
    /// What messages and the standard call it.
    pub(super) long_name: &'static str,
    /// Bytes; -1 where they vary, -2 for a text that ends with 0.
    pub(super) length: i64,
    pub(super) by_value: bool,
    pub(super) category: &'static str,
    pub(super) preferred: bool,
    pub(super) align: &'static str,
    pub(super) storage: &'static str,
    array: i64,
    pub(super) collation: i64,
    /// What the names of its functions begin with.
    functions: &'static str,
}

#[rustfmt::skip]
pub(super) static TYPES: &[Type] = &[
    Type { oid: 16, name: "bool", long_name: "boolean", length: 1, by_value: true, category: "B", preferred: true, align: "c", storage: "p", array: 1000, collation: 0, functions: "bool" },
    Type { oid: 17, name: "bytea", long_name: "bytea", length: -1, by_value: false, category: "U", preferred: false, align: "i", storage: "x", array: 1001, collation: 0, functions: "bytea" },
    Type { oid: 18, name: "char", long_name: "\"char\"", length: 1, by_value: true, category: "Z", preferred: false, align: "c", storage: "p", array: 1002, collation: 0, functions: "char" },
    Type { oid: 19, name: "name", long_name: "name", length: 64, by_value: false, category: "S", preferred: false, align: "c", storage: "p", array: 1003, collation: 950, functions: "name" },
    Type { oid: 20, name: "int8", long_name: "bigint", length: 8, by_value: true, category: "N", preferred: false, align: "d", storage: "p", array: 1016, collation: 0, functions: "int8" },
    Type { oid: 21, name: "int2", long_name: "smallint", length: 2, by_value: true, category: "N", preferred: false, align: "s", storage: "p", array: 1005, collation: 0, functions: "int2" },
    Type { oid: 23, name: "int4", long_name: "integer", length: 4, by_value: true, category: "N", preferred: false, align: "i", storage: "p", array: 1007, collation: 0, functions: "int4" },
    Type { oid: 25, name: "text", long_name: "text", length: -1, by_value: false, category: "S", preferred: true, align: "i", storage: "x", array: 1009, collation: 100, functions: "text" },
    Type { oid: 26, name: "oid", long_name: "oid", length: 4, by_value: true, category: "N", preferred: true, align: "i", storage: "p", array: 1028, collation: 0, functions: "oid" },
    Type { oid: 114, name: "json", long_name: "json", length: -1, by_value: false, category: "U", preferred: false, align: "i", storage: "x", array: 199, collation: 0, functions: "json_" },
    Type { oid: 700, name: "float4", long_name: "real", length: 4, by_value: true, category: "N", preferred: false, align: "i", storage: "p", array: 1021, collation: 0, functions: "float4" },
    Type { oid: 701, name: "float8", long_name: "double precision", length: 8, by_value: true, category: "N", preferred: true, align: "d", storage: "p", array: 1022, collation: 0, functions: "float8" },
    Type { oid: 1042, name: "bpchar", long_name: "character", length: -1, by_value: false, category: "S", preferred: false, align: "i", storage: "x", array: 1014, collation: 100, functions: "bpchar" },
    Type { oid: 1043, name: "varchar", long_name: "character varying", length: -1, by_value: false, category: "S", preferred: false, align: "i", storage: "x", array: 1015, collation: 100, functions: "varchar" },
    Type { oid: 1082, name: "date", long_name: "date", length: 4, by_value: true, category: "D", preferred: false, align: "i", storage: "p", array: 1182, collation: 0, functions: "date_" },
    Type { oid: 1083, name: "time", long_name: "time without time zone", length: 8, by_value: true, category: "D", preferred: false, align: "d", storage: "p", array: 1183, collation: 0, functions: "time_" },
    Type { oid: 1114, name: "timestamp", long_name: "timestamp without time zone", length: 8, by_value: true, category: "D", preferred: false, align: "d", storage: "p", array: 1115, collation: 0, functions: "timestamp_" },
    Type { oid: 1184, name: "timestamptz", long_name: "timestamp with time zone", length: 8, by_value: true, category: "D", preferred: true, align: "d", storage: "p", array: 1185, collation: 0, functions: "timestamptz_" },
    Type { oid: 1186, name: "interval", long_name: "interval", length: 16, by_value: false, category: "T", preferred: true, align: "d", storage: "p", array: 1187, collation: 0, functions: "interval_" },
    Type { oid: 1700, name: "numeric", long_name: "numeric", length: -1, by_value: false, category: "N", preferred: false, align: "i", storage: "m", array: 1231, collation: 0, functions: "numeric_" },
    Type { oid: 3802, name: "jsonb", long_name: "jsonb", length: -1, by_value: false, category: "U", preferred: false, align: "i", storage: "x", array: 3807, collation: 0, functions: "jsonb_" },
    Type { oid: 2950, name: "uuid", long_name: "uuid", length: 16, by_value: false, category: "U", preferred: false, align: "c", storage: "p", array: 2951, collation: 0, functions: "uuid_" },
];

/// The type of an oid that is no array's.
pub(super) fn type_of(oid: i64) -> Option<&'static Type> {
    TYPES.iter().find(|known| known.oid == oid)
}

/// What the arrays of an oid are of.
pub(super) fn element_of(oid: i64) -> Option<&'static Type> {
    TYPES.iter().find(|known| known.array == oid)
}

/// The array type of a type, with its name.
fn array_of(known: &Type) -> Vec<Cell> {
    // Its elements are laid out as by themselves.
    let align = if known.align == "d" { "d" } else { "i" };
    row![
        known.array,
        format!("_{}", known.name),
        -1,
        false,
        "A",
        false,
        0,
        "array_in",
        "array_out",
        "array_recv",
        "array_send",
        align,
        "x",
        known.collation,
        known.oid,
        "array_subscript_handler",
    ]
}

/// `pg_type`: each type, and the arrays of each.
pub(super) fn types() -> Table {
    let function = |known: &Type, suffix: &str| format!("{}{suffix}", known.functions);
    let rows = TYPES
        .iter()
        .map(|known| {
            row![
                known.oid,
                known.name,
                known.length,
                known.by_value,
                known.category,
                known.preferred,
                known.array,
                function(known, "in"),
                function(known, "out"),
                function(known, "recv"),
                function(known, "send"),
                known.align,
                known.storage,
                known.collation,
                0,
                "-",
            ]
        })
        .chain(TYPES.iter().map(array_of))
        .collect();
    let names = &[
        "oid",
        "typname",
        "typlen",
        "typbyval",
        "typcategory",
        "typispreferred",
        "typarray",
        "typinput",
        "typoutput",
        "typreceive",
        "typsend",
        "typalign",
        "typstorage",
        "typcollation",
        "typelem",
        "typsubscript",
    ];
    Table::new(names, rows)
        .with(&["typnamespace"], Schema::PgCatalog.oid())
        .with(&["typowner"], OWNER_OID)
        .with(&["typtype"], "b")
        .with(&["typdelim"], ",")
        .with(&["typisdefined"], true)
        .with(&["typnotnull"], false)
        .with(&["typrelid", "typbasetype", "typndims"], 0)
        .with(&["typtypmod"], -1)
        .with(&["typmodin", "typmodout", "typanalyze"], "-")
}

/// `pg_namespace`
pub(super) fn namespaces(catalog: &Catalog) -> Table {
    let own = catalog.schemas().map(|schema| row![oid_of_schema(schema.id), schema.name.as_str()]);
    let system = Schema::ALL.iter().map(|schema| row![schema.oid(), schema.name()]);
    Table::new(&["oid", "nspname"], own.chain(system).collect()).with(&["nspowner"], OWNER_OID)
}

/// `pg_database`
pub(super) fn databases() -> Table {
    let row = row![16_000, DATABASE, OWNER_OID, 6, "c", "C", "C", 1663];
    let names = &[
        "oid",
        "datname",
        "datdba",
        "encoding",
        "datlocprovider",
        "datcollate",
        "datctype",
        "dattablespace",
    ];
    Table::new(names, vec![row])
        .with(&["datallowconn"], true)
        .with(&["datistemplate"], false)
        .with(&["datconnlimit"], -1)
        .with(&["datfrozenxid", "datminmxid"], 0)
}

/// `pg_roles`: users have no names of their own yet, and each may do everything.
pub(super) fn roles() -> Table {
    let powers = &["rolsuper", "rolinherit", "rolcreaterole", "rolcreatedb", "rolcanlogin"];
    Table::new(&["oid", "rolname"], vec![row![OWNER_OID, OWNER]])
        .with(powers, true)
        .with(&["rolreplication", "rolbypassrls"], true)
        .with(&["rolconnlimit"], -1)
        .with(&["rolpassword"], "********")
}

/// `pg_user`
pub(super) fn users() -> Table {
    Table::new(&["usesysid", "usename"], vec![row![OWNER_OID, OWNER]])
        .with(&["usecreatedb", "usesuper", "userepl", "usebypassrls"], true)
        .with(&["passwd"], "********")
}

/// `pg_am`: what tables and indexes say of themselves.
pub(super) fn access_methods() -> Table {
    let heap = row![2, "heap", "heap_tableam_handler", "t"];
    Table::new(
        &["oid", "amname", "amhandler", "amtype"],
        vec![heap, row![403, "btree", "bthandler", "i"], row![405, "hash", "hashhandler", "i"]],
    )
}

/// `pg_collation`
pub(super) fn collations() -> Table {
    let default = row![100, "default", "d", -1, Option::<&str>::None];
    let of = |oid: i64, name: &str| row![oid, name, "c", -1, name];
    Table::new(
        &["oid", "collname", "collprovider", "collencoding", "collcollate"],
        vec![default, of(950, "C"), of(951, "POSIX")],
    )
    .with(&["collnamespace"], Schema::PgCatalog.oid())
    .with(&["collowner"], OWNER_OID)
    .with(&["collisdeterministic"], true)
}

/// `pg_tablespace`
pub(super) fn tablespaces() -> Table {
    Table::new(&["oid", "spcname"], vec![row![1663, "pg_default"]]).with(&["spcowner"], OWNER_OID)
}

/// `pg_settings`: name, value and description of each parameter of the session.
pub(super) fn settings(all: &[[String; 3]]) -> Table {
    let rows = all.iter().map(|[name, value, about]| row![name.as_str(), value.as_str(), about.as_str()]);
    Table::new(&["name", "setting", "short_desc"], rows.collect())
        .with(&["category"], "Millrace")
        .with(&["context"], "user")
        .with(&["vartype"], "string")
        .with(&["source"], "session")
        .with(&["pending_restart"], false)
}

#[cfg(test)]
mod tests {
    use millrace_engine::{DataType, Element, Limit};

    use super::super::classes::type_and_modifier;
    use super::*;

    #[test]
    fn every_type_of_a_column_is_there() {
        let types = [
            DataType::Boolean,
            DataType::Int16,
            DataType::Int32,
            DataType::Int64,
            DataType::Float32,
            DataType::Float64,
            DataType::Text,
            DataType::Timestamp,
            DataType::TimestampTz,
            DataType::Numeric { precision: 10, scale: 2 },
            DataType::Decimal,
            DataType::Limited(Limit::Numeric { precision: 50, scale: 2 }),
            DataType::Date,
            DataType::Interval,
            DataType::Uuid,
            DataType::Bytea,
            DataType::Time,
            DataType::Json,
            DataType::Jsonb,
            DataType::Char,
            DataType::Limited(Limit::Varchar(Some(3))),
            DataType::Limited(Limit::Char(3)),
        ];
        for data_type in types {
            assert!(type_of(type_and_modifier(data_type).0).is_some(), "{data_type}");
        }
        for element in [Element::Int32, Element::Varchar, Element::Jsonb, Element::TimestampTz] {
            let oid = type_and_modifier(DataType::Array(element)).0;
            let own = type_and_modifier(element.data_type()).0;
            assert_eq!(element_of(oid).map(|known| known.oid), Some(own));
        }
    }
}
