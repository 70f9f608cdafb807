//! `Scope`: the columns that a name can mean, and what `*` shows, in its order.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Ident, ObjectName, ObjectNamePart, visit_expressions_mut};
use millrace_engine::{DataType, RelationId};

use crate::bound::Origin;
use crate::error::SqlError;
use crate::system::{DATABASE, SystemRelation};

/// A column that can be named.
#[derive(Clone, Debug)]
pub(crate) struct ScopeColumn {
    /// The alias or name of its table; `None` for a sub-query without one and for the merged column of a
    /// USING join.
    pub(crate) table: Option<String>,
    /// The schema of its table, where that goes by its own name.
    pub(crate) schema: Option<String>,
    pub(crate) name: String,
    pub(crate) data_type: DataType,
    /// Its position in the relation below.
    pub(crate) position: usize,
    /// Whether a merged column stands for it: only its qualified name still means it.
    pub(crate) merged: bool,
    /// The column of a relation that it is.
    pub(crate) origin: Option<Origin>,
}

/// The columns of a FROM clause, in the order of `*`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    pub(crate) columns: Vec<ScopeColumn>,
}

/// An identifier as PostgreSQL folds it.
pub(crate) fn fold(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

/// The parts of a qualified name, folded.
pub(crate) fn fold_name(name: &ObjectName) -> Vec<String> {
    name.0
        .iter()
        .map(|part| match part {
            ObjectNamePart::Identifier(ident) => fold(ident),
            ObjectNamePart::Function(function) => fold(&function.name),
        })
        .collect()
}

/// The table that a qualified name begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TableName {
    pub(crate) schema: Option<String>,
    pub(crate) table: String,
}

impl TableName {
    /// The table and the column of a dotted name; nothing where it has too many parts.
    pub(crate) fn and_column(idents: &[Ident]) -> Option<(Option<TableName>, String)> {
        let mut parts: Vec<String> = idents.iter().map(fold).collect();
        let column = parts.pop()?;
        Some((TableName::of_parts(&parts)?, column))
    }

    /// The table of the parts of its name, of which there may be none.
    pub(crate) fn of_parts(parts: &[String]) -> Option<Option<TableName>> {
        Some(match parts {
            [] => None,
            [table] => Some(TableName { schema: None, table: table.clone() }),
            [schema, table] => Some(TableName { schema: Some(schema.clone()), table: table.clone() }),
            [database, schema, table] if database == DATABASE => {
                Some(TableName { schema: Some(schema.clone()), table: table.clone() })
            }
            _ => return None,
        })
    }

    /// Whether a column is of it.
    fn has(&self, column: &ScopeColumn) -> bool {
        column.table.as_deref() == Some(self.table.as_str())
            && (self.schema.is_none() || self.schema == column.schema)
    }
}

/// An expression over one table without the table's name before its columns; nothing where it stands nowhere.
pub(crate) fn unqualified(expr: &Expr, table: &str, schema: &str) -> Option<Expr> {
    let (mut bare, mut changed) = (expr.clone(), false);
    let _ = visit_expressions_mut(&mut bare, |expr| {
        if let Expr::CompoundIdentifier(idents) = expr
            && let Some((Some(name), _)) = TableName::and_column(idents)
            && name.table == table
            && name.schema.as_deref().is_none_or(|own| own == schema)
            && let Some(column) = idents.pop()
        {
            (*expr, changed) = (Expr::Identifier(column), true);
        }
        ControlFlow::<()>::Continue(())
    });
    changed.then_some(bare)
}

impl Scope {
    /// The columns of one table.
    pub(crate) fn of_table(table: &str, columns: impl IntoIterator<Item = (String, DataType)>) -> Scope {
        Scope::named(Some(table.to_owned()), columns)
    }

    /// The columns of a relation that may have no name.
    pub(crate) fn named(
        table: Option<String>,
        columns: impl IntoIterator<Item = (String, DataType)>,
    ) -> Scope {
        let columns = columns
            .into_iter()
            .enumerate()
            .map(|(position, (name, data_type))| {
                let table = table.clone();
                ScopeColumn { table, schema: None, name, data_type, position, merged: false, origin: None }
            })
            .collect();
        Scope { columns }
    }

    /// The same of a table that goes by its own name, in this schema.
    pub(crate) fn in_schema(mut self, schema: Option<String>) -> Scope {
        self.columns.iter_mut().for_each(|column| column.schema.clone_from(&schema));
        self
    }

    /// The same with the columns' origins.
    pub(crate) fn with_origins(mut self, origins: impl IntoIterator<Item = Option<Origin>>) -> Scope {
        self.columns.iter_mut().zip(origins).for_each(|(column, origin)| column.origin = origin);
        self
    }

    /// The same of the columns of a relation.
    pub(crate) fn of_relation(self, relation: RelationId) -> Scope {
        self.with_origins((0..).map(|column| Some(Origin { relation, column })))
    }

    /// The origin of the column at a position.
    pub(crate) fn origin(&self, position: usize) -> Option<Origin> {
        self.columns.iter().find(|column| column.position == position)?.origin
    }

    /// The scope of a join: the right columns lie behind `width` left ones.
    pub(crate) fn join(mut self, right: Scope, width: usize) -> Result<Scope, SqlError> {
        // Tables of one name are told apart where both go by it, in different schemas.
        let is_same = |(table, schema): &(&str, Option<&str>), own: (&str, Option<&str>)| {
            own.0 == *table && (own.1 == *schema || own.1.is_none() || schema.is_none())
        };
        let mut tables = right.tables();
        if let Some((table, _)) = tables.find(|table| self.tables().any(|own| is_same(table, own))) {
            return Err(SqlError::new("42712", format!("table name \"{table}\" specified more than once")));
        }
        drop(tables);
        self.columns.extend(
            right
                .columns
                .into_iter()
                .map(|column| ScopeColumn { position: column.position + width, ..column }),
        );
        Ok(self)
    }

    fn tables(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        let columns = self.columns.iter();
        columns.filter_map(|column| Some((column.table.as_deref()?, column.schema.as_deref())))
    }

    /// The types of the columns by position.
    pub(crate) fn types(&self) -> Vec<DataType> {
        let mut types = Vec::new();
        for column in &self.columns {
            if column.position >= types.len() {
                types.resize(column.position + 1, DataType::Boolean);
            }
            types[column.position] = column.data_type;
        }
        types
    }

    /// The column of an unqualified name, if there is one.
    pub(crate) fn find(&self, name: &str) -> Result<Option<&ScopeColumn>, SqlError> {
        let mut found = self.columns.iter().filter(|column| column.name == name && !column.merged);
        match (found.next(), found.next()) {
            (_, Some(_)) => Err(SqlError::new("42702", format!("column reference \"{name}\" is ambiguous"))),
            (first, None) => Ok(first),
        }
    }

    /// The oid of the relation of the system's that a table is: its hidden column `tableoid`.
    pub(crate) fn table_oid(&self, table: Option<&TableName>) -> Option<i64> {
        let is_meant = |column: &&ScopeColumn| table.is_none_or(|table| table.has(column));
        let origin = self.columns.iter().filter(is_meant).find_map(|column| column.origin)?;
        SystemRelation::of_id(origin.relation).map(SystemRelation::oid)
    }

    /// The error for an unqualified name that is no column.
    pub(crate) fn missing(&self, name: &str) -> SqlError {
        match self.tables().any(|(table, _)| table == name) {
            true => SqlError::unsupported(format_args!("a whole row as a value (\"{name}\" is a table)")),
            false => SqlError::new("42703", format!("column \"{name}\" does not exist")),
        }
    }

    /// The column of a qualified name.
    pub(crate) fn resolve_qualified(&self, table: &TableName, name: &str) -> Result<&ScopeColumn, SqlError> {
        let of_table: Vec<&ScopeColumn> = self.of(table)?;
        let mut found = of_table.into_iter().filter(|column| column.name == name);
        match (found.next(), found.next()) {
            (Some(column), None) => Ok(column),
            (Some(_), Some(_)) => {
                Err(SqlError::new("42702", format!("column reference \"{name}\" is ambiguous")))
            }
            (None, _) => Err(SqlError::new("42703", format!("column {}.{name} does not exist", table.table))),
        }
    }

    /// The columns of a table.
    pub(crate) fn of(&self, table: &TableName) -> Result<Vec<&ScopeColumn>, SqlError> {
        let found: Vec<_> = self.columns.iter().filter(|column| table.has(column)).collect();
        let name = &table.table;
        let Some(first) = found.first() else {
            return Err(match self.tables().any(|(own, _)| own == name) {
                true => SqlError::new("42P01", format!("invalid reference to FROM-clause entry for table \"{name}\""))
                    .hint(format!(
                        "There is an entry for table \"{name}\", but it cannot be referenced from this part of the query."
                    )),
                false => SqlError::new("42P01", format!("missing FROM-clause entry for table \"{name}\"")),
            });
        };
        if found.iter().any(|column| column.schema != first.schema) {
            return Err(SqlError::new("42P09", format!("table reference \"{name}\" is ambiguous")));
        }
        Ok(found)
    }

    /// What `*` shows.
    pub(crate) fn visible(&self) -> impl Iterator<Item = &ScopeColumn> {
        self.columns.iter().filter(|column| !column.merged)
    }

    /// How an error message names the column at a position.
    pub(crate) fn display(&self, position: usize) -> String {
        let named = |column: &&ScopeColumn| column.position == position && column.table.is_some();
        match self.columns.iter().find(named) {
            Some(ScopeColumn { table: Some(table), name, .. }) => format!("{table}.{name}"),
            _ => self
                .columns
                .iter()
                .find(|column| column.position == position)
                .map(|column| column.name.clone())
                .unwrap_or_else(|| format!("#{position}")),
        }
    }
}
