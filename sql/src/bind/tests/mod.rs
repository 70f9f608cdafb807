//! Goldens: statements over a small catalog, and what they are bound to.
#![allow(clippy::unwrap_used)]

mod change;
mod deep;
mod query;
mod relation;

use millrace_engine::{DataType, Expr, Literal, Plan, PlanRef, RelationId};

use super::{bind, describe};
use crate::bound::{Bound, Create, RowSource, Subscribe};
use crate::catalog::{
    Catalog, CatalogChange, Column, Relation, RelationKind, SchemaId, TableRules, ViewOptions,
};
use crate::parse::parse;
use crate::parse::tests::failure;
use crate::query::{Change, ChangeKind, Parameters, Query};

/// `readings` and the views `hot` over it and `hottest` over that; a stream; a table with odd names.
fn catalog() -> Catalog {
    let readings = [
        ("at", DataType::Timestamp, false),
        ("sensor", DataType::Text, false),
        ("value", DataType::Float64, true),
    ];
    let mut catalog = Catalog::default();
    create(
        &mut catalog,
        "readings",
        &readings,
        RelationKind::Table { keep_rows: true, rules: TableRules::default() },
    );
    create(&mut catalog, "hot", &readings, view("SELECT * FROM readings", 1));
    create(&mut catalog, "hottest", &readings, view("SELECT * FROM hot", 2));
    let events = [("id", DataType::Int64, true)];
    create(
        &mut catalog,
        "events",
        &events,
        RelationKind::Table { keep_rows: false, rules: TableRules::default() },
    );
    let odd = [("Select", DataType::Int32, true), ("b", DataType::Boolean, true)];
    create(
        &mut catalog,
        "Odd Name",
        &odd,
        RelationKind::Table { keep_rows: true, rules: TableRules::default() },
    );
    catalog
}

fn create(catalog: &mut Catalog, name: &str, columns: &[(&str, DataType, bool)], kind: RelationKind) {
    let columns = columns
        .iter()
        .map(|(name, data_type, nullable)| Column::new((*name).to_owned(), *data_type, *nullable));
    let (id, name) = (catalog.next_id(), name.to_owned());
    let relation =
        Relation { id, name, schema: SchemaId::PUBLIC, columns: columns.collect(), kind, created: 1 };
    catalog.apply(&CatalogChange::Create(relation)).unwrap();
}

/// A view of another relation with the columns of `readings`.
fn view(sql: &str, of: u64) -> RelationKind {
    let columns = vec![DataType::Timestamp, DataType::Text, DataType::Float64];
    let input = PlanRef::new(Plan::Get { relation: RelationId(of), columns });
    let outputs = (0..3).map(Expr::Column).collect();
    let plan = Plan::Project { input, predicates: Vec::new(), outputs }.into();
    RelationKind::MaterializedView {
        sql: sql.to_owned(),
        plan,
        options: ViewOptions::default(),
        through: Vec::new(),
        known: None,
    }
}

/// What binding gives for each text.
fn bound(texts: &[&str]) -> String {
    bound_with(texts, &[])
}

fn bound_with(texts: &[&str], parameters: &[Literal]) -> String {
    let catalog = catalog();
    let one = |text: &&str| {
        let statement = parse(text).unwrap().pop().unwrap();
        match bind(&statement, &catalog, Parameters::values(parameters)) {
            Ok(bound) => format!("{text}\n    {}\n", summary(&bound)),
            Err(error) => format!("{text}\n{}", failure("error", &error)),
        }
    };
    texts.iter().map(one).collect()
}

/// What describing gives for each text.
fn described(texts: &[&str], types: &[Option<DataType>]) -> String {
    let catalog = catalog();
    let one = |text: &&str| {
        let statement = parse(text).unwrap().pop().unwrap();
        match describe(&statement, &catalog, Parameters::types(types)) {
            Ok(description) => {
                let columns = description.columns.map_or("no rows".to_owned(), |c| columns(&c));
                format!("{text}\n    {:?} -> {columns}\n", description.parameters)
            }
            Err(error) => format!("{text}\n{}", failure("error", &error)),
        }
    };
    texts.iter().map(one).collect()
}

fn summary(bound: &Bound) -> String {
    match bound {
        Bound::Create(Create { relation, indexes, terms, .. }) => {
            let exists = if terms.if_not_exists { " if not exists" } else { "" };
            let kind = match &relation.kind {
                RelationKind::Table { keep_rows: true, rules } if *rules == TableRules::default() => {
                    "table".to_owned()
                }
                RelationKind::Table { keep_rows: true, rules } => format!("table {rules:?}"),
                RelationKind::Table { keep_rows: false, .. } => "stream".to_owned(),
                RelationKind::View { sql, reads, .. } => format!("plain view over {reads:?} <{sql}>"),
                RelationKind::MaterializedView { sql, plan, options, .. }
                    if *options == ViewOptions::default() =>
                {
                    format!("view <{sql}>\n{plan}")
                }
                RelationKind::MaterializedView { sql, plan, options, .. } => {
                    format!("view {options:?} <{sql}>\n{plan}")
                }
                RelationKind::Index { on, keys, definition, .. } => {
                    let keys: Vec<String> = keys.iter().map(|key| key.expr.to_string()).collect();
                    format!("index on {on} by [{}] <{definition}>", keys.join(", "))
                }
                RelationKind::Sequence(sequence) => format!("{sequence:?}"),
            };
            let keys = indexes.iter().map(|index| match &index.kind {
                RelationKind::Index { definition, uniqueness, .. } => {
                    format!(" {uniqueness:?} <{definition}>")
                }
                other => format!("{other:?}"),
            });
            let (kind, keys) = (kind.trim_end(), keys.collect::<String>());
            format!("create{exists} {} ({}) {kind}{keys}", relation.name, columns(&relation.columns))
        }
        Bound::Drop { ids, tag, notices, .. } => format!("{tag} {ids:?} {notices:?}"),
        Bound::Change(change) => changed(change),
        Bound::Select(source) => format!("select {}", query(source)),
        Bound::Subscribe(subscribe) => follow(subscribe),
        Bound::CopyFrom { change, columns: given, format } => {
            format!("copy {} ({}) {format:?}", change.table.name, columns(given))
        }
        Bound::CopyTo { source: RowSource::Query(source), format } => {
            format!("copy {} to {format:?}", query(source))
        }
        Bound::CopyTo { source: RowSource::Subscribe(subscribe), format } => {
            format!("copy {} to {format:?}", follow(subscribe))
        }
        Bound::Explain(lines) => format!("explain\n      {}", lines.join("\n      ")),
        other => format!("{other:?}"),
    }
}

fn changed(change: &Change) -> String {
    let kind = match &change.kind {
        ChangeKind::Insert(None) => "insert".to_owned(),
        ChangeKind::Insert(Some(conflict)) => format!("insert on conflict {:?}", conflict.arbiters),
        ChangeKind::Update => "update".to_owned(),
        ChangeKind::Delete => "delete".to_owned(),
    };
    let returning = change.returning.as_ref().map(|returning| format!(" returning {}", query(returning)));
    format!("{kind} {}: {}{}", change.table.name, query(&change.source), returning.unwrap_or_default())
}

fn query(query: &Query) -> String {
    format!("{:?} -> ({})", query.relations(), columns(query.columns()))
}

fn follow(subscribe: &Subscribe) -> String {
    let Subscribe { relation, columns: list, snapshot, progress, as_of } = subscribe;
    format!(
        "subscribe {} ({}) snapshot={snapshot} progress={progress} as_of={as_of:?}",
        relation.name,
        columns(list)
    )
}

fn columns(columns: &[Column]) -> String {
    let one = |c: &Column| format!("{} {}{}", c.name, c.data_type, if c.nullable { "" } else { " not null" });
    columns.iter().map(one).collect::<Vec<_>>().join(", ")
}
