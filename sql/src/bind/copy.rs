//! COPY from and to the client.

use super::{Scope, follow, relations};
use crate::bound::{Bound, RowSource};
use crate::catalog::Relation;
use crate::error::SqlError;
use crate::parse::{self, quoted};
use crate::query::Query;
use crate::query::change::ChangeBinder;
use crate::statement::{self, CopyFrom, CopyTo, Name, RelationName};

/// Binds COPY … FROM STDIN.
pub(super) fn from(copy: &CopyFrom, scope: &Scope) -> Result<Bound, SqlError> {
    let table = relations::whole_table(scope, &copy.table, "cannot copy to materialized view")?;
    let columns = columns(table, copy.columns.as_deref())?;
    let change = ChangeBinder::new(table, None, scope.catalog, scope.parameters).copied(&columns)?;
    let columns = columns.into_iter().map(|column| table.columns[column].clone()).collect();
    Ok(Bound::CopyFrom { change, columns, format: copy.format.clone() })
}

/// Binds COPY … TO STDOUT.
pub(super) fn to(copy: &CopyTo, scope: &Scope) -> Result<Bound, SqlError> {
    let source = match &copy.source {
        statement::CopySource::Relation { relation, columns } => {
            RowSource::Query(whole(relation, columns, scope)?)
        }
        statement::CopySource::Query(query) => RowSource::Query(scope.plan(query)?),
        statement::CopySource::Subscribe(subscribe) => {
            RowSource::Subscribe(follow::subscribe(subscribe, scope)?)
        }
    };
    Ok(Bound::CopyTo { source, format: copy.format.clone() })
}

/// The positions of these columns, or of all.
fn columns(relation: &Relation, names: Option<&[Name]>) -> Result<Vec<usize>, SqlError> {
    match names {
        None => Ok(relation.visible().map(|(place, _)| place).collect()),
        Some(names) => relations::columns(relation, names),
    }
}

/// All rows of a relation: planned as the SELECT that a user would write.
fn whole(name: &RelationName, names: &[Name], scope: &Scope) -> Result<Query, SqlError> {
    let relation = relations::relation(scope, name)?;
    let columns = columns(relation, Some(names).filter(|names| !names.is_empty()))?;
    let list: Vec<String> = columns.iter().map(|column| quoted(&relation.columns[*column].name)).collect();
    let from = scope.catalog.qualified(relation);
    scope.plan(&*parse::query(&format!("SELECT {} FROM {from}", list.join(", ")))?)
}
