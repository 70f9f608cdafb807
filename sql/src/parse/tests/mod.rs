//! Tests of the parser: `forms` and `errors` are goldens, `robust` throws broken texts at it.
#![allow(clippy::unwrap_used)]

mod corpus;
mod errors;
mod forms;
mod robust;

use crate::error::SqlError;
use crate::parse::parse;
use datafusion::sql::sqlparser::ast::SelectItem;

use crate::catalog::{Column, OnCommit};
use crate::statement::{
    Assignment, ConstraintKind, CopySource, CreateView, CursorSource, Declare, Explain, IndexItem, Name,
    RelationName, Statement, StatementKind, Subscribe, TableConstraint, ViewKind,
};

/// What parsing gives for each text, one text after the other.
fn parsed(texts: &[&str]) -> String {
    texts.iter().map(|text| format!("{text}\n{}", one(text))).collect()
}

fn one(text: &str) -> String {
    match parse(text) {
        Ok(statements) if statements.is_empty() => "    nothing\n".to_owned(),
        Ok(statements) => {
            statements.iter().map(|statement| format!("    {}\n", summary(statement))).collect()
        }
        Err(error) => failure("error", &error),
    }
}

/// An error with all its fields.
pub(crate) fn failure(word: &str, error: &SqlError) -> String {
    let place = error.position.map_or(String::new(), |position| format!(" at {position}"));
    let mut lines = format!("    {word} {}{place}: {}\n", error.sqlstate, error.message);
    let more = [("detail", &error.detail), ("hint", &error.hint)];
    for (word, text) in more.iter().filter_map(|(word, text)| Some((word, text.as_ref()?))) {
        lines += &format!("      {word}: {text}\n");
    }
    lines
}

fn at_commit(on_commit: OnCommit) -> String {
    if on_commit.keeps_all() { String::new() } else { format!(" on commit {on_commit:?}") }
}

/// A statement in one line, queries as sqlparser writes them.
fn summary(statement: &Statement) -> String {
    match &statement.kind {
        StatementKind::CreateTable(create) => {
            let columns: Vec<String> = create
                .columns
                .iter()
                .map(|definition| {
                    let Column { name, data_type, nullable, .. } = &definition.column;
                    let default = definition.default.as_ref();
                    let default = default.map_or(String::new(), |(_, text)| format!(" default <{text}>"));
                    format!("{name} {data_type}{}{default}", if *nullable { "" } else { " not null" })
                })
                .chain(create.constraints.iter().map(constraint))
                .collect();
            let stream = if create.keep_rows { "" } else { " stream" };
            let exists = if create.if_not_exists { " if not exists" } else { "" };
            let at_commit = at_commit(create.on_commit);
            format!("table{exists} {} ({}){stream}{at_commit}", whole(&create.name), columns.join(", "))
        }
        StatementKind::CreateTableAs(create) => {
            let columns: Vec<String> = create.columns.iter().map(place).collect();
            let (name, columns) = (whole(&create.name), columns.join(", "));
            let at_commit = at_commit(create.on_commit);
            format!("table {name} ({columns}) as {} with data {}{at_commit}", create.query, create.with_data)
        }
        StatementKind::CreateView(create) => view(create),
        StatementKind::CreateIndex(create) => {
            let exists = if create.if_not_exists { " if not exists" } else { "" };
            let concurrently = if create.concurrently { " concurrently" } else { "" };
            let name = create.name.as_ref().map_or_else(|| "?".to_owned(), place);
            let item = |item: &IndexItem| {
                let IndexItem { text, position, descending, nulls_first, .. } = item;
                format!("<{text}>@{position} {descending:?} {nulls_first:?}")
            };
            let items: Vec<String> = create.items.iter().map(item).collect();
            let (relation, method) = (whole(&create.relation), place(&create.method));
            format!("index{concurrently}{exists} {name} on {relation} using {method} ({})", items.join(", "))
        }
        StatementKind::Drop(drop) => {
            let exists = if drop.if_exists { " if exists" } else { "" };
            let exists = if drop.concurrently { format!(" concurrently{exists}") } else { exists.to_owned() };
            let cascade = if drop.cascade { " cascade" } else { "" };
            format!("drop {:?}{exists} {}{cascade}", drop.kind, wholes(&drop.names))
        }
        StatementKind::Insert(insert) => {
            let source =
                insert.source.as_ref().map_or("default values".to_owned(), |source| source.to_string());
            let conflict = insert.on_conflict.as_ref();
            let conflict = conflict.map_or(String::new(), |conflict| format!(" on conflict {conflict:?}"));
            let (table, columns) = (whole(&insert.table), places(&insert.columns));
            format!("insert {table} [{columns}] {source}{conflict}{}", returned(&insert.returning))
        }
        StatementKind::Delete(delete) => {
            let selection = delete.selection.as_ref().map_or(String::new(), |expr| format!(" where {expr}"));
            let using: Vec<String> = delete.using.iter().map(ToString::to_string).collect();
            let using = if using.is_empty() { String::new() } else { format!(" using {}", using.join(", ")) };
            let alias = delete.alias.as_ref().map_or(String::new(), |alias| format!(" as {}", place(alias)));
            let returning = returned(&delete.returning);
            format!("delete {}{alias}{using}{selection}{returning}", whole(&delete.table))
        }
        StatementKind::Update(update) => {
            let set = |one: &Assignment| format!("({}) = {}", places(&one.columns), one.value);
            let set: Vec<String> = update.assignments.iter().map(set).collect();
            let from: Vec<String> = update.from.iter().map(ToString::to_string).collect();
            let from = if from.is_empty() { String::new() } else { format!(" from {}", from.join(", ")) };
            let selection = update.selection.as_ref().map_or(String::new(), |expr| format!(" where {expr}"));
            let alias = update.alias.as_ref().map_or(String::new(), |alias| format!(" as {}", place(alias)));
            let (table, returning) = (whole(&update.table), returned(&update.returning));
            format!("update {table}{alias} set {}{from}{selection}{returning}", set.join(", "))
        }
        StatementKind::Select(query) => format!("select {query}"),
        StatementKind::Subscribe(subscribe) => follow(subscribe),
        StatementKind::CopyFrom(copy) => {
            format!(
                "copy {} [{}] from {:?}",
                whole(&copy.table),
                places(copy.columns.as_deref().unwrap_or_default()),
                copy.format
            )
        }
        StatementKind::CopyTo(copy) => format!("copy {} to {:?}", copied(&copy.source), copy.format),
        StatementKind::Explain(explain) => match explain {
            Explain::Select(query) => format!("explain {query}"),
            Explain::CreateView(create) => format!("explain {}", view(create)),
            Explain::View(name) => format!("explain view {}", whole(name)),
        },
        StatementKind::Prepare(prepare) => {
            format!("prepare {} {:?} <{}>", prepare.name, prepare.types, summary(&prepare.statement))
        }
        StatementKind::Execute(execute) => {
            let arguments: Vec<String> = execute.arguments.iter().map(ToString::to_string).collect();
            format!("execute {} ({})", execute.name, arguments.join(", "))
        }
        StatementKind::Declare(declare) => {
            let source = match &declare.source {
                CursorSource::Query(query) => query.to_string(),
                CursorSource::Subscribe(subscribe) => follow(subscribe),
            };
            let Declare { name, only_forward, is_held, .. } = declare;
            format!("declare {name} only_forward={only_forward} is_held={is_held} <{source}>")
        }
        StatementKind::Refused(error) => failure("refused", error).trim().to_owned(),
        other => format!("{other:?}"),
    }
}

fn constraint(constraint: &TableConstraint) -> String {
    let name = constraint.name.as_ref().map_or("?".to_owned(), place);
    match &constraint.kind {
        ConstraintKind::PrimaryKey(columns) => format!("{name} primary key [{}]", places(columns)),
        ConstraintKind::Unique(columns) => format!("{name} unique [{}]", places(columns)),
        ConstraintKind::Check { text, .. } => format!("{name} check <{text}>"),
    }
}

fn returned(items: &Option<Vec<SelectItem>>) -> String {
    let items: Vec<String> = items.iter().flatten().map(ToString::to_string).collect();
    if items.is_empty() { String::new() } else { format!(" returning {}", items.join(", ")) }
}

fn view(create: &CreateView) -> String {
    let exists = if create.if_not_exists { " if not exists" } else { "" };
    let kind = match create.kind {
        ViewKind::Plain { or_replace: true } => "plain or replaced ",
        ViewKind::Plain { or_replace: false } => "plain ",
        ViewKind::Materialized(_) => "",
    };
    format!("{kind}view{exists} {} [{}] <{}>", whole(&create.name), places(&create.columns), create.sql)
}

fn follow(subscribe: &Subscribe) -> String {
    let Subscribe { relation, snapshot, progress, as_of } = subscribe;
    format!("subscribe {} snapshot={snapshot} progress={progress} as_of={as_of:?}", whole(relation))
}

fn copied(source: &CopySource) -> String {
    match source {
        CopySource::Relation { relation, columns } => format!("{} [{}]", whole(relation), places(columns)),
        CopySource::Query(query) => format!("({query})"),
        CopySource::Subscribe(subscribe) => format!("({})", follow(subscribe)),
    }
}

fn place(name: &Name) -> String {
    format!("{}@{}", name.value, name.position)
}

fn whole(name: &RelationName) -> String {
    format!("{name}@{}", name.position)
}

fn wholes(names: &[RelationName]) -> String {
    names.iter().map(whole).collect::<Vec<_>>().join(", ")
}

fn places(names: &[Name]) -> String {
    names.iter().map(place).collect::<Vec<_>>().join(", ")
}
