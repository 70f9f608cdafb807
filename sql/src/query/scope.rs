//! `Scope`: the columns that a name can mean, and what `*` shows, in its order.

use datafusion::sql::sqlparser::ast::{Ident, ObjectName, ObjectNamePart};
use millrace_engine::{DataType, RelationId};

use crate::bound::Origin;
use crate::error::SqlError;

/// A column that can be named.
#[derive(Clone, Debug)]
pub(crate) struct ScopeColumn {
    /// The alias or name of its table; `None` for a sub-query without one and for the merged column of a
    /// USING join.
    pub(crate) table: Option<String>,
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
                ScopeColumn { table, name, data_type, position, merged: false, origin: None }
            })
            .collect();
        Scope { columns }
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
        if let Some(table) = right.tables().find(|table| self.tables().any(|own| own == *table)) {
            return Err(SqlError::new("42712", format!("table name \"{table}\" specified more than once")));
        }
        self.columns.extend(
            right
                .columns
                .into_iter()
                .map(|column| ScopeColumn { position: column.position + width, ..column }),
        );
        Ok(self)
    }

    fn tables(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().filter_map(|column| column.table.as_deref())
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

    /// The error for an unqualified name that is no column.
    pub(crate) fn missing(&self, name: &str) -> SqlError {
        match self.tables().any(|table| table == name) {
            true => SqlError::unsupported(format_args!("a whole row as a value (\"{name}\" is a table)")),
            false => SqlError::new("42703", format!("column \"{name}\" does not exist")),
        }
    }

    /// The column of a qualified name.
    pub(crate) fn resolve_qualified(&self, table: &str, name: &str) -> Result<&ScopeColumn, SqlError> {
        let of_table: Vec<&ScopeColumn> = self.of(table)?;
        let mut found = of_table.into_iter().filter(|column| column.name == name);
        match (found.next(), found.next()) {
            (Some(column), None) => Ok(column),
            (Some(_), Some(_)) => {
                Err(SqlError::new("42702", format!("column reference \"{name}\" is ambiguous")))
            }
            (None, _) => Err(SqlError::new("42703", format!("column {table}.{name} does not exist"))),
        }
    }

    /// The columns of a table.
    pub(crate) fn of(&self, table: &str) -> Result<Vec<&ScopeColumn>, SqlError> {
        let found: Vec<_> =
            self.columns.iter().filter(|column| column.table.as_deref() == Some(table)).collect();
        if found.is_empty() {
            return Err(SqlError::new("42P01", format!("missing FROM-clause entry for table \"{table}\"")));
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
