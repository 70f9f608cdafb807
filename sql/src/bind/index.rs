//! CREATE INDEX: what an index is by, and the name that PostgreSQL would give it.

use millrace_engine::{DataType, Expr};

use super::create::created_in;
use super::relations::is_an_index;
use super::{Scope, relations};
use crate::bound::{Bound, Create, Terms};
use crate::catalog::{Catalog, Column, INDEX_METHOD, IndexKey, Relation, RelationKind, Uniqueness};
use crate::error::SqlError;
use crate::parse::{self, quoted};
use crate::query::scope::unqualified;
use crate::query::{Parameters, Query, index_expression};
use crate::statement::{CreateIndex, IndexItem, Name, RelationName};

/// As many columns as PostgreSQL's indexes can have.
const COLUMNS_MAX: usize = 32;
/// The longest name in bytes.
const NAME_BYTES_MAX: usize = 63;
/// The methods that PostgreSQL has besides ours.
const OTHER_METHODS: [&str; 4] = ["gin", "gist", "brin", "spgist"];

/// Binds CREATE INDEX.
pub(super) fn create(create: &CreateIndex, scope: &Scope) -> Result<Bound, SqlError> {
    let relation = indexed(&create.relation, scope)?;
    check_method(create)?;
    if create.items.len() > COLUMNS_MAX {
        let message = format!("cannot use more than {COLUMNS_MAX} columns in an index");
        return Err(SqlError::new("54011", message));
    }
    let mut keys = Vec::new();
    let mut columns: Vec<Column> = Vec::new();
    for item in &create.items {
        let (key, column) = key(item, &create.method, relation, scope)?;
        let name = unique(&column.name, |name| columns.iter().any(|column| column.name == name));
        columns.push(Column { name, ..column });
        keys.push(key);
    }
    let chosen = || choose_name(relation, &columns, scope.catalog);
    let name = create.name.as_ref().map_or_else(chosen, |name| name.value.clone());
    let terms = Terms {
        if_not_exists: create.if_not_exists,
        chosen_name: create.name.is_none(),
        concurrently: create.concurrently,
        ..Terms::default()
    };
    let items = keys.iter().zip(&create.items).map(definition_item);
    let method = &create.method.value;
    let table = scope.catalog.qualified(relation);
    let definition = definition(&name, &table, create.is_unique, method, items);
    let duplicates = if create.is_unique { Some(duplicates(relation, &keys, scope)?) } else { None };
    let uniqueness = if create.is_unique { Uniqueness::Index } else { Uniqueness::None };
    let kind =
        RelationKind::Index { on: relation.id, columns: relation.types(), keys, definition, uniqueness };
    match created_in(relation.schema, &name, terms, columns, kind, scope)? {
        Bound::Create(create) => Ok(Bound::Create(Create { duplicates, ..create })),
        other => Ok(other),
    }
}

/// The query for a key that a table has twice.
fn duplicates(relation: &Relation, keys: &[IndexKey], scope: &Scope) -> Result<Query, SqlError> {
    if !matches!(relation.kind, RelationKind::Table { .. }) {
        return Err(SqlError::unsupported(format_args!(
            "CREATE UNIQUE INDEX on {}",
            scope.described(relation)
        ))
        .hint("Its rows follow from its query: use CREATE INDEX, which reads by key as well."));
    }
    let texts: Vec<&str> = keys.iter().map(|key| key.text.as_str()).collect();
    let not_null: Vec<String> = texts.iter().map(|text| format!("{text} IS NOT NULL")).collect();
    let query = duplicates_query(&texts, &not_null, &scope.catalog.qualified(relation));
    Query::plan(&*parse::query(&query)?, scope.catalog, Parameters::values(&[]))
}

/// The text of the query for a key that a relation, named as SQL names it, has twice.
pub(super) fn duplicates_query(texts: &[impl AsRef<str>], not_null: &[String], relation: &str) -> String {
    let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
    let places: Vec<String> = (1..=texts.len()).map(|place| place.to_string()).collect();
    format!(
        "SELECT {} FROM {relation} WHERE {} GROUP BY {} HAVING count(*) > 1 LIMIT 1",
        texts.join(", "),
        not_null.join(" AND "),
        places.join(", ")
    )
}

/// A definition with each key's text, and the keys with them, as `map` makes them.
pub(super) fn with_keys(
    definition: &str,
    keys: &mut [IndexKey],
    map: impl Fn(&str) -> Result<String, SqlError>,
) -> Result<String, SqlError> {
    let texts: Vec<&str> = keys.iter().map(|key| key.text.as_str()).collect();
    let Some(first) =
        definition.rfind(INDEX_METHOD).and_then(|at| Some(at + definition[at..].find('(')? + 1))
    else {
        return Err(SqlError::internal("a definition of an index without its keys"));
    };
    let (mut rest, mut items) = (&definition[first..], Vec::new());
    for text in texts {
        let broken = || SqlError::internal("a definition of an index with other keys");
        rest = rest.trim_start_matches(", ").strip_prefix(text).ok_or_else(broken)?;
        let orders = [" DESC NULLS LAST", " DESC NULLS FIRST", " DESC", " NULLS FIRST", " NULLS LAST", ""];
        let order = orders.into_iter().find(|order| rest.starts_with(order)).unwrap_or_default();
        rest = &rest[order.len()..];
        items.push(order);
    }
    let mut written = Vec::new();
    for (key, order) in keys.iter_mut().zip(items) {
        key.text = map(&key.text)?;
        written.push(format!("{}{order}", key.text));
    }
    Ok(format!("{}{})", &definition[..first], written.join(", ")))
}

/// The relation that is indexed, which must keep rows.
fn indexed<'a>(name: &RelationName, scope: &Scope<'a>) -> Result<&'a Relation, SqlError> {
    let relation = relations::existing(name, scope)?;
    match &relation.kind {
        RelationKind::Table { keep_rows: true, .. } | RelationKind::MaterializedView { .. } => Ok(relation),
        RelationKind::Table { keep_rows: false, .. } => {
            let message = format!("cannot create index on stream \"{}\"", name.value);
            Err(SqlError::new("42809", message)
                .position(name.position)
                .detail("The table was created with append_only and retention = '0': it keeps no rows.")
                .hint("Create the index on a materialized view over it."))
        }
        RelationKind::View { .. } | RelationKind::Sequence(_) => {
            Err(SqlError::new("42809", format!("cannot create index on relation \"{}\"", name.value))
                .position(name.position)
                .detail(format!("This operation is not supported for {}s.", relation.kind_name())))
        }
        RelationKind::Index { .. } => Err(is_an_index(&name.value).position(name.position)),
    }
}

/// What the method does not take, in PostgreSQL's words.
fn check_method(create: &CreateIndex) -> Result<(), SqlError> {
    let method = create.method.value.as_str();
    let refuse = |what: &str| {
        Err(SqlError::new("0A000", format!("access method \"{method}\" does not support {what}")))
    };
    match method {
        "btree" => Ok(()),
        "hash" if create.is_unique => refuse("unique indexes"),
        "hash" if create.items.len() > 1 => refuse("multicolumn indexes"),
        "hash" if create.items.iter().any(|item| item.descending.is_some()) => refuse("ASC/DESC options"),
        "hash" if create.items.iter().any(|item| item.nulls_first.is_some()) => {
            refuse("NULLS FIRST/LAST options")
        }
        "hash" => Ok(()),
        other if OTHER_METHODS.contains(&other) => {
            Err(SqlError::unsupported(format_args!("CREATE INDEX … USING {other}"))
                .position(create.method.position)
                .hint("An index can be read by whole keys: USING btree and USING hash mean the same."))
        }
        other => Err(SqlError::new("42704", format!("access method \"{other}\" does not exist"))
            .position(create.method.position)),
    }
}

/// One key, and the column of the index that it is.
fn key(
    item: &IndexItem,
    method: &Name,
    relation: &Relation,
    scope: &Scope,
) -> Result<(IndexKey, Column), SqlError> {
    let bare = unqualified(&item.expr, &relation.name, scope.catalog.schema_of(relation));
    let (expr, data_type, name) = index_expression(relation, bare.as_ref().unwrap_or(&item.expr))
        .map_err(|error| scope.locate(error, &item.expr))?;
    let written = bare.map_or_else(|| item.text.clone(), |bare| bare.to_string());
    let Some(data_type) = data_type else {
        let message =
            format!("data type unknown has no default operator class for access method \"{}\"", method.value);
        return Err(SqlError::new("42704", message).position(item.position).hint("Cast it to a type."));
    };
    refuse_unordered(data_type, &method.value).map_err(|error| error.position(item.position))?;
    let text = match &expr {
        Expr::Column(column) => quoted(&relation.columns[*column].name),
        Expr::Call { .. } if is_call(&written) => written,
        _ => format!("({written})"),
    };
    Ok((IndexKey { expr, text }, Column::new(name, data_type, true)))
}

/// 42704 for keys of a type without equality.
pub(super) fn refuse_unordered(data_type: DataType, method: &str) -> Result<(), SqlError> {
    if data_type != DataType::Json {
        return Ok(());
    }
    let message = format!("data type json has no default operator class for access method \"{method}\"");
    Err(SqlError::new("42704", message).hint(
        "You must specify an operator class for the index or define a default operator class for the data type.",
    ))
}

/// Whether a text is a call as it stands, so that it needs no parentheses: `lower(b)`, not `lower(b) || 'x'`.
fn is_call(text: &str) -> bool {
    let is_name = |name: &str| name.chars().all(|char| char.is_alphanumeric() || char == '_');
    let Some((name, arguments)) = text.split_once('(') else { return false };
    let plain = arguments.strip_suffix(')').is_some_and(|inner| !inner.contains(['(', ')', '\'', '"']));
    is_name(name) && plain
}

/// An item of the statement as PostgreSQL would show it.
fn definition_item((key, item): (&IndexKey, &IndexItem)) -> String {
    let descending = item.descending.unwrap_or(false);
    let direction = if descending { " DESC" } else { "" };
    let nulls = match item.nulls_first {
        Some(first) if first != descending => {
            if first {
                " NULLS FIRST"
            } else {
                " NULLS LAST"
            }
        }
        _ => "",
    };
    format!("{}{direction}{nulls}", key.text)
}

/// The statement as PostgreSQL would show it, on a relation with its schema.
pub(super) fn definition(
    name: &str,
    relation: &str,
    is_unique: bool,
    method: &str,
    items: impl Iterator<Item = String>,
) -> String {
    let unique = if is_unique { "UNIQUE " } else { "" };
    let (name, items) = (quoted(name), items.collect::<Vec<_>>());
    format!("CREATE {unique}INDEX {name} ON {relation}{INDEX_METHOD}{method} ({})", items.join(", "))
}

/// The name, or the first of `name1`, `name2`, … that is not taken.
fn unique(name: &str, is_taken: impl Fn(&str) -> bool) -> String {
    let numbered = (1..).map(|number| {
        let number = number.to_string();
        format!("{}{number}", clipped(name, NAME_BYTES_MAX - number.len()))
    });
    let mut names = std::iter::once(name.to_owned()).chain(numbered);
    names.find(|name| !is_taken(name)).unwrap_or_default()
}

/// The name of an index that was given none: `t_a_b_idx`, or with a number where that is taken.
fn choose_name(relation: &Relation, columns: &[Column], catalog: &Catalog) -> String {
    let columns: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    let columns = columns.join("_");
    let labels = std::iter::once("idx".to_owned()).chain((1..).map(|number| format!("idx{number}")));
    let mut names = labels.map(|label| joined(&relation.name, &columns, &label));
    names.find(|name| catalog.in_schema(relation.schema, name).is_none()).unwrap_or_default()
}

/// PostgreSQL's `makeObjectName`: where the parts are too long together, the longer one is cut first.
pub(super) fn joined(relation: &str, columns: &str, label: &str) -> String {
    if columns.is_empty() {
        return format!("{}_{label}", clipped(relation, NAME_BYTES_MAX - label.len() - 1));
    }
    let room = NAME_BYTES_MAX - label.len() - 2;
    let (mut first, mut second) = (relation.len(), columns.len());
    while first + second > room {
        let longer = if first > second { &mut first } else { &mut second };
        *longer -= 1;
    }
    format!("{}_{}_{label}", clipped(relation, first), clipped(columns, second))
}

/// The text cut to so many bytes, never within a character.
fn clipped(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_cut_as_postgresql_cuts_them() {
        let (relation, column) = ("a".repeat(61), "b".repeat(48));
        let expected = format!("{}_{}_idx", "a".repeat(29), "b".repeat(29));
        assert_eq!(joined(&relation, &column, "idx"), expected);
        assert_eq!(joined(&"ä".repeat(31), "b", "idx"), format!("{}_b_idx", "ä".repeat(28)));
        assert_eq!(unique(&"c".repeat(63), |name| name.ends_with('c')), format!("{}1", "c".repeat(62)));
    }

    #[test]
    fn only_a_whole_call_stands_without_parentheses() {
        let texts = ["lower(b)", "lower(b) || 'x'", "f(a) + g(b)", "a + 1", "lower(')')"];
        assert_eq!(texts.map(is_call), [true, false, false, false, false]);
    }
}
