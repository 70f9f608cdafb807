//! The functions of `pg_catalog` that look into the catalogs, and the casts of its types of oids: each is
//! an expression of SQL over its arguments, which are put in the places of `$1`, `$2`, ….
//!
//! Names inside of a sub-query begin with a space, so that none of them hides a name of an argument's.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{self, Value, visit_expressions_mut};
use millrace_engine::{DataType, Expr, Limit, Literal};

use super::binder::Binder;
use super::expr::{Bound, ExprBinder};
use super::from::Named;
use super::scope::fold_name;
use super::typed::Typed;
use super::types::{self, display};
use super::volatile::relation_by_name;
use crate::bind::no_schema;
use crate::error::SqlError;
use crate::parse::expression;
use crate::system::{DATABASE, Schema, SystemRelation, is_builtin, oid_of, oid_of_schema};

/// The definition of what has the oid `$1`.
const DEFINITION: &str = "(SELECT \" text\" FROM (SELECT oid AS \" oid\", part AS \" part\", definition AS \
     \" text\" FROM millrace.definitions) AS \" d\" WHERE \" oid\" = $1 AND \" part\" = 0)";

/// That of the constraint of the oid `$1`.
const DEFINITION_OF_CONSTRAINT: &str = "(SELECT \" text\" FROM (SELECT oid AS \" oid\", part AS \" part\", \
     definition AS \" text\" FROM millrace.definitions) AS \" d\" WHERE \" oid\" = $1 AND \" part\" = -1)";

/// That of its part `$2`: a column of an index.
const DEFINITION_OF_PART: &str = "(SELECT \" text\" FROM (SELECT oid AS \" oid\", part AS \" part\", \
     definition AS \" text\" FROM millrace.definitions) AS \" d\" WHERE \" oid\" = $1 AND \" part\" = $2)";

/// The name that a type has in messages, with what its modifier says.
const FORMAT_TYPE: &str = "CASE $1 WHEN 16 THEN 'boolean' WHEN 17 THEN 'bytea' WHEN 18 THEN '\"char\"' WHEN 19 THEN 'name' \
     WHEN 20 THEN 'bigint' WHEN 21 THEN 'smallint' WHEN 23 THEN 'integer' WHEN 25 THEN 'text' \
     WHEN 26 THEN 'oid' WHEN 114 THEN 'json' WHEN 3802 THEN 'jsonb' WHEN 700 THEN 'real' WHEN 701 THEN 'double precision' WHEN 705 THEN 'unknown' \
     WHEN 1042 THEN 'character' || CASE WHEN $2 >= 5 THEN '(' || $2 - 4 || ')' ELSE '' END \
     WHEN 1043 THEN 'character varying' || CASE WHEN $2 >= 5 THEN '(' || $2 - 4 || ')' ELSE '' END \
     WHEN 1082 THEN 'date' WHEN 1083 THEN 'time' || CASE WHEN $2 >= 0 THEN '(' || $2 || ')' ELSE '' END || \
     ' without time zone' WHEN 1114 THEN 'timestamp' || CASE WHEN $2 >= 0 THEN '(' || $2 || ')' ELSE '' END || \
     ' without time zone' WHEN 1184 THEN 'timestamp' || CASE WHEN $2 >= 0 THEN '(' || $2 || ')' ELSE '' END || \
     ' with time zone' WHEN 2950 THEN 'uuid' WHEN 1186 THEN 'interval' WHEN 1700 THEN CASE WHEN $2 >= 4 \
     THEN 'numeric(' || ($2 - 4) / 65536 || ',' || ($2 - 4) % 65536 || ')' ELSE 'numeric' END \
     WHEN 1000 THEN 'boolean[]' WHEN 1001 THEN 'bytea[]' WHEN 1002 THEN '\"char\"[]' \
     WHEN 1003 THEN 'name[]' WHEN 1005 THEN 'smallint[]' WHEN 1007 THEN 'integer[]' \
     WHEN 1009 THEN 'text[]' WHEN 1016 THEN 'bigint[]' WHEN 1021 THEN 'real[]' \
     WHEN 1022 THEN 'double precision[]' WHEN 1028 THEN 'oid[]' \
     WHEN 1115 THEN 'timestamp without time zone[]' WHEN 1182 THEN 'date[]' \
     WHEN 1183 THEN 'time without time zone[]' WHEN 1185 THEN 'timestamp with time zone[]' \
     WHEN 1187 THEN 'interval[]' WHEN 1231 THEN 'numeric[]' WHEN 1014 THEN 'character[]' \
     WHEN 1015 THEN 'character varying[]' WHEN 199 THEN 'json[]' WHEN 2951 THEN 'uuid[]' \
     WHEN 3807 THEN 'jsonb[]' \
     WHEN 24 THEN 'regproc' WHEN 2205 THEN 'regclass' WHEN 2249 THEN 'record' WHEN 2275 THEN 'cstring' \
     WHEN 2276 THEN '\"any\"' WHEN 2277 THEN 'anyarray' WHEN 2278 THEN 'void' WHEN 2281 THEN 'internal' \
     WHEN 2283 THEN 'anyelement' WHEN 2776 THEN 'anynonarray' WHEN 5077 THEN 'anycompatible' \
     WHEN 5078 THEN 'anycompatiblearray' WHEN 5079 THEN 'anycompatiblenonarray' \
     WHEN 0 THEN '-' ELSE '???' END";

/// The name of a relation or schema as SQL writes it, with its schema where an unqualified name would not find it.
const NAME_OF_OID: &str = "CASE WHEN $1 = 0 THEN '-' ELSE coalesce((SELECT \" name\" FROM (SELECT oid AS \" oid\", \
     name AS \" name\" FROM millrace.names) AS \" n\" WHERE \" oid\" = $1), $1::text) END";

/// Whether an unqualified name means the relation.
const IS_VISIBLE: &str = "(SELECT \" visible\" FROM (SELECT oid AS \" oid\", visible AS \" visible\" FROM \
     millrace.names) AS \" n\" WHERE \" oid\" = $1)";

const TYPE_IS_VISIBLE: &str = "(SELECT true FROM (SELECT oid AS \" oid\" FROM pg_catalog.pg_type) AS \" t\" \
     WHERE \" oid\" = $1)";

/// The type of a name, or nothing.
const TYPE_OF_NAME: &str = "(SELECT \" oid\" FROM (SELECT oid AS \" oid\", typname AS \" name\" FROM \
     pg_catalog.pg_type) AS \" t\" WHERE \" name\" = CASE lower($1) WHEN 'boolean' THEN 'bool' WHEN 'smallint' \
     THEN 'int2' WHEN 'integer' THEN 'int4' WHEN 'int' THEN 'int4' WHEN 'bigint' THEN 'int8' WHEN 'real' THEN \
     'float4' WHEN 'double precision' THEN 'float8' WHEN 'character varying' THEN 'varchar' WHEN \
     'timestamp without time zone' THEN 'timestamp' WHEN 'timestamp with time zone' THEN 'timestamptz' \
     ELSE lower($1) END)";

/// Types that no value has, by PostgreSQL's oids.
const PSEUDO_TYPES: [(&str, i64); 4] =
    [("event_trigger", 3838), ("record", 2249), ("trigger", 2279), ("void", 2278)];

/// Arrays of the catalogs are texts in PostgreSQL's text form, and no element of one has a quote.
const ARRAY_TO_STRING: &str = "replace(btrim($1, '{}'), ',', $2)";

/// What functions take and give, and whether there is one, or an operator, of an oid: an unqualified name means each.
const ARGUMENTS: &str = "(SELECT \" text\" FROM (SELECT oid AS \" oid\", arguments AS \" text\" FROM \
     millrace.signatures) AS \" s\" WHERE \" oid\" = $1)";
const IDENTITY: &str = "(SELECT \" text\" FROM (SELECT oid AS \" oid\", identity AS \" text\" FROM \
     millrace.signatures) AS \" s\" WHERE \" oid\" = $1)";
const RESULT: &str = "(SELECT \" text\" FROM (SELECT oid AS \" oid\", result AS \" text\" FROM \
     millrace.signatures) AS \" s\" WHERE \" oid\" = $1)";
const FUNCTION_IS_VISIBLE: &str = "(SELECT true FROM (SELECT oid AS \" oid\" FROM pg_catalog.pg_proc) AS \" p\" \
     WHERE \" oid\" = $1)";
const OPERATOR_IS_VISIBLE: &str = "(SELECT true FROM (SELECT oid AS \" oid\" FROM pg_catalog.pg_operator) AS \" o\" \
     WHERE \" oid\" = $1)";

/// The name of what has an oid; the oid where nothing has it.
const NAME_OF_FUNCTION: &str = "CASE WHEN $1 = 0 THEN '-' ELSE coalesce((SELECT \" name\" FROM (SELECT oid AS \" oid\", \
     proname AS \" name\" FROM pg_catalog.pg_proc) AS \" p\" WHERE \" oid\" = $1), $1::text) END";
const NAME_OF_OPERATOR: &str = "CASE WHEN $1 = 0 THEN '0' ELSE coalesce((SELECT \" name\" FROM (SELECT oid AS \" oid\", \
     oprname AS \" name\" FROM pg_catalog.pg_operator) AS \" o\" WHERE \" oid\" = $1), $1::text) END";

/// There are no statistics, triggers or rules.
const NOTHING: &str = "NULL::text";

/// What was said of a relation, or of a column of it.
const COMMENT: &str = "(SELECT \" text\" FROM (SELECT objoid AS \" oid\", description AS \" text\" FROM \
     pg_catalog.pg_description WHERE objsubid = 0) AS \" d\" WHERE \" oid\" = $1)";
const COMMENT_ON_COLUMN: &str = "(SELECT \" text\" FROM (SELECT objoid AS \" oid\", objsubid AS \" part\", description \
     AS \" text\" FROM pg_catalog.pg_description) AS \" d\" WHERE \" oid\" = $1 AND \" part\" = $2 AND $2 > 0)";

/// The oid of a relation by its name as SQL writes it.
const OID_OF_NAME: &str = "(SELECT oid FROM (SELECT oid AS oid, replace(name, '\"', '') AS \" name\", \
     replace(qualified, '\"', '') AS \" qualified\" FROM millrace.names WHERE qualified IS NOT NULL) AS \" n\" \
     WHERE replace($1, '\"', '') IN (\" name\", \" qualified\"))";

/// The value of the session's parameter of a name; NULL where there is none.
const SETTING: &str = "(SELECT \" value\" FROM (SELECT name AS \" name\", setting AS \" value\" FROM \
     pg_catalog.pg_settings) AS \" s\" WHERE lower(\" name\") = lower($1))";

/// The sequence that goes with a column. The table's name is one as SQL writes it, the column's is not.
const SERIAL_SEQUENCE: &str = "(SELECT \" sequence\" FROM (SELECT s.qualified AS \" sequence\", \
     replace(t.name, '\"', '') AS \" table\", replace(t.qualified, '\"', '') AS \" qualified\", \
     a.attname AS \" column\" FROM pg_catalog.pg_depend d JOIN millrace.names s ON s.oid = d.objid \
     JOIN millrace.names t ON t.oid = d.refobjid \
     JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid) AS \" o\" \
     WHERE replace($1, '\"', '') IN (\" table\", \" qualified\") AND \" column\" = $2)";

/// What the relation of the oid `$1` holds in memory, what its indexes do, and both; and what all relations do.
const SIZE: &str = "(SELECT \" bytes\" FROM (SELECT oid AS \" oid\", bytes AS \" bytes\" FROM millrace.sizes) \
     AS \" s\" WHERE \" oid\" = $1)";
const SIZE_OF_FORK: &str = "(SELECT \" bytes\" FROM (SELECT oid AS \" oid\", bytes AS \" bytes\" FROM \
     millrace.sizes) AS \" s\" WHERE \" oid\" = $1 AND $2 = 'main')";
const SIZE_OF_INDEXES: &str = "(SELECT \" bytes\" FROM (SELECT oid AS \" oid\", indexes AS \" bytes\" FROM \
     millrace.sizes) AS \" s\" WHERE \" oid\" = $1)";
const SIZE_OF_ALL: &str = "(SELECT \" bytes\" FROM (SELECT oid AS \" oid\", bytes + indexes AS \" bytes\" FROM \
     millrace.sizes) AS \" s\" WHERE \" oid\" = $1)";
const SIZE_OF_DATABASE: &str = "(SELECT coalesce(sum(\" bytes\"), 0)::bigint FROM (SELECT bytes AS \" bytes\" \
     FROM millrace.sizes) AS \" s\")";

/// The functions whose first argument is the oid of a relation, or its name.
const OF_RELATION: [&str; 4] =
    ["pg_indexes_size", "pg_relation_size", "pg_table_size", "pg_total_relation_size"];

/// Whether a user may do something: each may do everything.
const MAY: &str = "true";

/// Whether a name without a schema means something of which there is nothing.
const VACANT_VISIBLE: &str = "NULL::boolean";

/// Function, number of arguments, expression.
const FUNCTIONS: &[(&str, usize, &str)] = &[
    ("array_to_string", 2, ARRAY_TO_STRING),
    ("col_description", 2, COMMENT_ON_COLUMN),
    ("current_database", 0, "'millrace'::text"),
    ("format_type", 2, FORMAT_TYPE),
    ("getdatabaseencoding", 0, "'UTF8'::text"),
    ("has_any_column_privilege", 2, MAY),
    ("has_any_column_privilege", 3, MAY),
    ("has_column_privilege", 3, MAY),
    ("has_column_privilege", 4, MAY),
    ("has_database_privilege", 2, MAY),
    ("has_database_privilege", 3, MAY),
    ("has_schema_privilege", 2, MAY),
    ("has_schema_privilege", 3, MAY),
    ("has_sequence_privilege", 2, MAY),
    ("has_sequence_privilege", 3, MAY),
    ("has_table_privilege", 2, MAY),
    ("has_table_privilege", 3, MAY),
    ("obj_description", 1, COMMENT),
    ("obj_description", 2, COMMENT),
    ("pg_advisory_unlock_all", 0, "''::text"),
    ("pg_char_to_encoding", 1, "CASE upper(replace($1, '-', '')) WHEN 'UTF8' THEN 6 ELSE -1 END"),
    ("pg_collation_is_visible", 1, "true"),
    ("pg_conversion_is_visible", 1, VACANT_VISIBLE),
    ("pg_database_size", 1, SIZE_OF_DATABASE),
    ("pg_encoding_to_char", 1, "CASE $1 WHEN 6 THEN 'UTF8' ELSE '' END"),
    ("pg_function_is_visible", 1, FUNCTION_IS_VISIBLE),
    ("pg_get_constraintdef", 1, DEFINITION_OF_CONSTRAINT),
    ("pg_get_constraintdef", 2, DEFINITION_OF_CONSTRAINT),
    ("pg_get_expr", 2, "$1::text"),
    ("pg_get_expr", 3, "$1::text"),
    ("pg_get_function_arguments", 1, ARGUMENTS),
    ("pg_get_function_identity_arguments", 1, IDENTITY),
    ("pg_get_function_result", 1, RESULT),
    ("pg_get_function_sqlbody", 1, NOTHING),
    ("pg_get_indexdef", 1, DEFINITION),
    ("pg_get_indexdef", 3, DEFINITION_OF_PART),
    ("pg_get_partkeydef", 1, NOTHING),
    ("pg_get_ruledef", 1, NOTHING),
    ("pg_get_ruledef", 2, NOTHING),
    ("pg_get_serial_sequence", 2, SERIAL_SEQUENCE),
    ("pg_get_statisticsobjdef_columns", 1, NOTHING),
    ("pg_get_triggerdef", 1, NOTHING),
    ("pg_get_triggerdef", 2, NOTHING),
    ("pg_get_userbyid", 1, "CASE WHEN $1 = 10 THEN 'millrace' ELSE 'unknown (OID=' || $1 || ')' END"),
    ("pg_get_viewdef", 1, DEFINITION),
    ("pg_get_viewdef", 2, DEFINITION),
    ("pg_has_role", 2, MAY),
    ("pg_has_role", 3, MAY),
    ("pg_indexes_size", 1, SIZE_OF_INDEXES),
    ("pg_is_in_recovery", 0, "false"),
    ("pg_opclass_is_visible", 1, VACANT_VISIBLE),
    ("pg_operator_is_visible", 1, OPERATOR_IS_VISIBLE),
    ("pg_opfamily_is_visible", 1, VACANT_VISIBLE),
    ("pg_relation_is_publishable", 1, "false"),
    ("pg_relation_size", 1, SIZE),
    ("pg_relation_size", 2, SIZE_OF_FORK),
    ("pg_statistics_obj_is_visible", 1, VACANT_VISIBLE),
    ("pg_table_is_visible", 1, IS_VISIBLE),
    ("pg_table_size", 1, SIZE),
    ("pg_tablespace_location", 1, "''::text"),
    ("pg_tablespace_size", 1, SIZE_OF_DATABASE),
    ("pg_total_relation_size", 1, SIZE_OF_ALL),
    ("pg_ts_config_is_visible", 1, VACANT_VISIBLE),
    ("pg_ts_dict_is_visible", 1, VACANT_VISIBLE),
    ("pg_ts_parser_is_visible", 1, VACANT_VISIBLE),
    ("pg_ts_template_is_visible", 1, VACANT_VISIBLE),
    ("pg_type_is_visible", 1, TYPE_IS_VISIBLE),
    ("shobj_description", 2, NOTHING),
    ("to_regclass", 1, OID_OF_NAME),
    ("to_regtype", 1, TYPE_OF_NAME),
    ("version", 0, concat!("'PostgreSQL 15.0 (Millrace ", env!("CARGO_PKG_VERSION"), ")'::text")),
];

/// The types whose values are oids of something with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OidType {
    Relation,
    Type,
    Schema,
    Function,
    Operator,
}

impl OidType {
    /// The type of a name in SQL.
    pub(super) fn of(data_type: &ast::DataType) -> Option<OidType> {
        let mut name = match data_type {
            ast::DataType::Regclass => return Some(OidType::Relation),
            ast::DataType::Custom(name, _) => fold_name(name),
            _ => return None,
        };
        let last = name.pop()?;
        if name.iter().any(|schema| schema != Schema::PgCatalog.name()) {
            return None;
        }
        Some(match last.as_str() {
            "regclass" => OidType::Relation,
            "regtype" => OidType::Type,
            "regnamespace" => OidType::Schema,
            "regproc" | "regprocedure" => OidType::Function,
            "regoper" | "regoperator" => OidType::Operator,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            OidType::Relation => "regclass",
            OidType::Type => "regtype",
            OidType::Schema => "regnamespace",
            OidType::Function => "regproc",
            OidType::Operator => "regoper",
        }
    }

    /// The name of what has the oid `$1`.
    fn name_of(self) -> &'static str {
        match self {
            OidType::Relation | OidType::Schema => NAME_OF_OID,
            OidType::Type => FORMAT_TYPE,
            OidType::Function => NAME_OF_FUNCTION,
            OidType::Operator => NAME_OF_OPERATOR,
        }
    }
}

impl ExprBinder<'_> {
    /// A call of a function over the catalogs; `None` where it is none.
    pub(super) fn catalog_function(&self, name: &str, arguments: &[&ast::Expr]) -> Option<Bound> {
        if let Some(value) = self.of_session(name, arguments) {
            return Some(value);
        }
        if let ("pg_size_pretty", [size]) = (name, arguments)
            && let Ok(typed) = self.bind(size)
            && matches!(typed.data_type(), Some(DataType::Numeric { .. } | DataType::Decimal))
        {
            return Some(self.instance("pg_size_pretty(trunc($1)::bigint)", arguments));
        }
        let (_, _, text) =
            FUNCTIONS.iter().find(|(known, count, _)| *known == name && *count == arguments.len())?;
        // Also an argument that the answer does not depend on has to mean something.
        let bound = arguments.iter().try_for_each(|argument| self.bind(argument).map(drop));
        let is_of_relation = OF_RELATION.contains(&name);
        Some(bound.and_then(|()| match (is_of_relation, arguments) {
            (true, [relation, rest @ ..]) => {
                let oid = self.relation_by_oid(relation)?;
                self.instance(text, &[[&oid].as_slice(), rest].concat())
            }
            _ => self.instance(text, arguments),
        }))
    }

    /// An argument that is a relation's oid, or a constant that is its name.
    fn relation_by_oid(&self, argument: &ast::Expr) -> Result<ast::Expr, SqlError> {
        match self.bind(argument)? {
            Typed::Text(name) => {
                let oid = name.parse().or_else(|_| self.oid_of_relation(&name))?;
                Ok(ast::Expr::Value(Value::Number(oid.to_string(), false).into()))
            }
            _ => Ok(argument.clone()),
        }
    }

    /// What a call of a function tells of the session's search path and parameters; `None` where it is none.
    pub(super) fn of_session(&self, name: &str, arguments: &[&ast::Expr]) -> Option<Bound> {
        let text = |value: Option<&str>| {
            let null = Literal::Null(DataType::Text);
            Typed::literal(value.map_or(null, |value| Literal::Text(value.to_owned())))
        };
        let along = |all| {
            let catalog = self.subqueries.map(|within| within.binder.catalog);
            catalog.map(|catalog| catalog.schemas_along(self.parameters.path, all)).unwrap_or_default()
        };
        Some(match (name, arguments) {
            ("current_user" | "current_role" | "session_user" | "user", []) => {
                Ok(text(self.parameters.setting("session_authorization").as_deref()))
            }
            ("current_catalog", []) => Ok(text(Some(DATABASE))),
            ("current_schema", []) => Ok(text(along(false).first().copied())),
            ("current_schemas", [_]) => {
                let list = |all| {
                    let names: Vec<String> = along(all).into_iter().map(element).collect();
                    format!("'{{{}}}'::text[]", names.join(",").replace('\'', "''"))
                };
                let value = format!("CASE WHEN $1 THEN {} ELSE {} END", list(true), list(false));
                self.instance(&value, arguments)
            }
            ("current_setting", [name, ..]) if self.is_computed(name) => self.instance(SETTING, arguments),
            ("current_setting", [name]) => self.setting(name, false).map(|value| text(value.as_deref())),
            ("current_setting", [name, may_miss]) => self
                .bind(may_miss)
                .and_then(|_| self.setting(name, is_true(may_miss)))
                .map(|value| text(value.as_deref())),
            ("set_config", [_, _, _]) => Err(SqlError::unsupported("set_config() beside anything else")
                .hint("It stands alone, or with others of its kind, in SELECT.")),
            _ => return None,
        })
    }

    /// The value of a parameter of the session by its name, which is a constant.
    fn setting(&self, name: &ast::Expr, may_miss: bool) -> Result<Option<String>, SqlError> {
        match self.bind(name)? {
            Typed::Text(name) | Typed::Known(Expr::Literal(Literal::Text(name)), _) => {
                let value = self.parameters.setting(&name);
                if value.is_none() && !may_miss {
                    let message = format!("unrecognized configuration parameter \"{name}\"");
                    return Err(SqlError::new("42704", message));
                }
                Ok(value)
            }
            // Which one it will be is not known yet.
            parameter @ (Typed::Parameter(_) | Typed::Known(Expr::Literal(Literal::Null(_)), _)) => {
                self.parameters.as_type(parameter, DataType::Text)?;
                Ok(None)
            }
            _ => Err(SqlError::internal("a name that is computed")),
        }
    }

    /// Whether what an expression gives is known only when it is computed.
    fn is_computed(&self, expr: &ast::Expr) -> bool {
        matches!(self.bind(expr), Ok(Typed::Known(bound, _)) if !matches!(bound, Expr::Literal(_)))
    }

    /// A cast to a type of oids: a name becomes the oid, and an oid the name.
    pub(super) fn oid_cast(&self, expr: &ast::Expr, to: OidType) -> Bound {
        let typed = self.bind(expr)?;
        match (&typed, typed.data_type()) {
            (Typed::Text(name), _) => self.oid_by_name(name, to),
            (Typed::Null, _) => Ok(Typed::literal(Literal::Null(DataType::Int64))),
            (_, Some(DataType::Int32 | DataType::Int64)) => {
                let modifier = ast::Expr::Value(Value::Number("-1".to_owned(), false).into());
                self.instance(to.name_of(), &[expr, &modifier])
            }
            // Catalogs name functions, where others have their oids.
            (_, Some(DataType::Text)) if to == OidType::Function => Ok(typed),
            (_, Some(DataType::Text) | None) => Err(SqlError::unsupported(format_args!(
                "a cast to {} of what is neither a constant nor an oid",
                to.name()
            ))),
            (_, Some(from)) => {
                let message = format!("cannot cast type {} to {}", display(from), to.name());
                Err(SqlError::new("42846", message))
            }
        }
    }

    /// The oid of the relation whose name an expression gives; NULL where there is none.
    pub(super) fn oid_of_computed_name(&self, name: &ast::Expr) -> Result<Expr, SqlError> {
        let oid = self.instance(OID_OF_NAME, &[name])?;
        self.parameters.as_type(oid, DataType::Int64)
    }

    fn oid_by_name(&self, name: &str, to: OidType) -> Bound {
        let oid = match (name.parse::<i64>(), to) {
            (Ok(oid), _) => oid,
            (Err(_), OidType::Relation) => self.oid_of_relation(name)?,
            (Err(_), OidType::Schema) => self.oid_of_schema(name)?,
            (Err(_), OidType::Type) => return self.oid_of_type(name),
            (Err(_), OidType::Function | OidType::Operator) => return builtin_by_name(name, to),
        };
        Ok(Typed::literal(Literal::Int64(oid)))
    }

    /// The oid of the relation of a name, folded as SQL folds it.
    fn oid_of_relation(&self, text: &str) -> Result<i64, SqlError> {
        match relation_by_name(text, self.binder_within("regclass")?)? {
            Named::System(system) => Ok(system.oid()),
            Named::Relation(relation, _) => Ok(oid_of(relation.id)),
        }
    }

    /// The oid of the type of a name.
    fn oid_of_type(&self, text: &str) -> Bound {
        let missing = || SqlError::new("42704", format!("type \"{text}\" does not exist"));
        let name = text.strip_prefix("pg_catalog.").unwrap_or(text);
        if let Some((_, oid)) = PSEUDO_TYPES.iter().find(|(known, _)| *known == name) {
            return Ok(Typed::literal(Literal::Int64(*oid)));
        }
        let cast = expression(&format!("NULL::{text}")).map_err(|_| missing())?;
        let ast::Expr::Cast { data_type, .. } = &cast else { return Err(missing()) };
        if types::named(data_type).is_err() && catalog_type(data_type).is_none() {
            return Err(missing());
        }
        let name = ast::Expr::Value(Value::SingleQuotedString(name.to_owned()).into());
        self.instance(TYPE_OF_NAME, &[&name])
    }

    /// The oid of the schema of a name, folded as SQL folds it.
    fn oid_of_schema(&self, text: &str) -> Result<i64, SqlError> {
        let parts = parts_of(text);
        let [name] = parts.as_slice() else { return Err(SqlError::new("42602", "invalid name syntax")) };
        let catalog = self.binder_within("regnamespace")?.catalog;
        let own = catalog.schema_named(name).map(|schema| oid_of_schema(schema.id));
        own.or_else(|| Schema::of_name(name).map(Schema::oid)).ok_or_else(|| no_schema(name))
    }

    /// The binder of the query around.
    fn binder_within(&self, cast: &str) -> Result<&Binder<'_>, SqlError> {
        let within = self.subqueries.map(|within| within.binder);
        within.ok_or_else(|| SqlError::unsupported(format_args!("a cast to {cast} in {}", self.clause)))
    }

    /// An expression of SQL with the arguments in their places.
    fn instance(&self, text: &str, arguments: &[&ast::Expr]) -> Bound {
        let mut expr = expression(text)?;
        let _: ControlFlow<()> = visit_expressions_mut(&mut expr, |expr| {
            if let ast::Expr::Value(value) = expr
                && let Value::Placeholder(place) = &value.value
                && let Some(place) = place.strip_prefix('$').and_then(|place| place.parse::<usize>().ok())
                && let Some(argument) = arguments.get(place.wrapping_sub(1))
            {
                *expr = ast::Expr::Nested(Box::new((*argument).clone()));
            }
            ControlFlow::Continue(())
        });
        self.bind(&expr)
    }
}

/// The name of a function or operator that is built in, which stands for its oid. With the types of arguments it is that
/// name all the same.
fn builtin_by_name(text: &str, to: OidType) -> Bound {
    let relation =
        if to == OidType::Operator { SystemRelation::Operators } else { SystemRelation::Functions };
    let name = text.split('(').next().unwrap_or(text);
    let name = name.strip_prefix("pg_catalog.").unwrap_or(name).trim();
    let name = if to == OidType::Operator { name.to_owned() } else { parts_of(name).concat() };
    match is_builtin(relation, &name) {
        true => Ok(Typed::literal(Literal::Text(name))),
        false if to == OidType::Operator => {
            Err(SqlError::new("42883", format!("operator does not exist: {text}")))
        }
        false => Err(SqlError::new("42883", format!("function \"{text}\" does not exist"))),
    }
}

/// A name as an element of an array's text.
fn element(name: &str) -> String {
    let plain = |char: char| !char.is_whitespace() && !matches!(char, '{' | '}' | ',' | '"' | '\\');
    match !name.is_empty() && !name.eq_ignore_ascii_case("null") && name.chars().all(plain) {
        true => name.to_owned(),
        false => format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\"")),
    }
}

/// Whether an argument is written as true.
fn is_true(expr: &ast::Expr) -> bool {
    matches!(expr, ast::Expr::Value(value) if value.value == Value::Boolean(true))
}

/// The parts of a dotted name, each in quotes or folded.
fn parts_of(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        let Some(part) = parts.last_mut() else { break };
        match char {
            '"' if quoted && chars.peek() == Some(&'"') => part.extend(chars.next()),
            '"' => quoted = !quoted,
            '.' if !quoted => parts.push(String::new()),
            char if quoted => part.push(char),
            char => part.extend(char.to_lowercase()),
        }
    }
    parts
}

/// The type of `pg_catalog` that a cast names, beyond those that a column can have.
pub(super) fn catalog_type(data_type: &ast::DataType) -> Option<types::Named> {
    let ast::DataType::Custom(name, modifiers) = data_type else { return None };
    let mut name = fold_name(name);
    let last = name.pop()?;
    let qualified = name == [Schema::PgCatalog.name()];
    if !modifiers.is_empty() || !(qualified || name.is_empty()) {
        return None;
    }
    Some(types::Named::Type(match (last.as_str(), qualified) {
        ("oid" | "xid", _) => DataType::Int64,
        ("name" | "char", _) => DataType::Text,
        ("text", true) => DataType::Text,
        ("varchar", true) => DataType::Limited(Limit::Varchar(None)),
        ("bpchar", true) => DataType::Char,
        ("json", true) => DataType::Json,
        ("jsonb", true) => DataType::Jsonb,
        ("time", true) => DataType::Time,
        ("bool", true) => DataType::Boolean,
        ("int2", true) => DataType::Int16,
        ("int4", true) => DataType::Int32,
        ("int8", true) => DataType::Int64,
        ("float4", true) => DataType::Float32,
        ("float8", true) => DataType::Float64,
        ("date", true) => DataType::Date,
        ("timestamp", true) => DataType::Timestamp,
        ("timestamptz", true) => DataType::TimestampTz,
        ("uuid", true) => DataType::Uuid,
        ("bytea", true) => DataType::Bytea,
        ("interval", true) => DataType::Interval,
        ("numeric", true) => return Some(types::Named::Numeric),
        _ => return None,
    }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_expression_parses() {
        let casts = [OidType::Relation, OidType::Type, OidType::Schema, OidType::Function, OidType::Operator];
        let texts =
            FUNCTIONS.iter().map(|(_, _, text)| *text).chain(casts.map(OidType::name_of)).chain([SETTING]);
        texts.for_each(|text| drop(expression(text).unwrap()));
    }

    #[test]
    fn a_dotted_name_is_folded_outside_of_quotes() {
        assert_eq!(parts_of("Public.Orders"), ["public", "orders"]);
        assert_eq!(parts_of("\"A.b\"\"c\".d"), ["A.b\"c", "d"]);
    }
}
