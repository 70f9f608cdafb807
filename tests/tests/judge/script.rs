//! Random scripts: tables, changes, views, and queries between them.

use std::fmt;

use crate::expressions::{Column, Type, literal};
use crate::queries::{Query, Relation, Writer};
use millrace_tests::Random;

/// A step of a script.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// CREATE TABLE, and what changes its rows.
    Change(String),
    /// A query whose view is made here and read at the end, when PostgreSQL answers it anew.
    View(Query),
    /// A query that is asked here.
    Ask(Query),
}

/// A script.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) tables: usize,
    pub(crate) steps: Vec<Step>,
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            match step {
                Step::Change(sql) => writeln!(f, "{sql};")?,
                Step::View(query) => writeln!(f, "-- a view, read at the end\n{};", query.sql)?,
                Step::Ask(query) => writeln!(f, "{};", query.sql)?,
            }
        }
        Ok(())
    }
}

/// The script of a seed.
pub(crate) fn script(seed: u64) -> Script {
    let random = &mut Random::new(seed);
    let mut steps = Vec::new();
    let mut tables = Vec::new();
    for index in 0..=random.below(3) {
        let (table, create) = table(random, index);
        steps.push(Step::Change(create));
        tables.push(table);
    }
    for table in &tables {
        if random.chance(85) {
            let insert = insert(random, table);
            steps.push(Step::Change(insert));
        }
    }
    for round in 0..3 {
        for _ in 0..random.below(3) {
            steps.push(Step::Change(change(random, &tables)));
        }
        for _ in 0..=random.below(2) {
            let query = Writer::query(random, &tables);
            let is_view = round < 2 && random.chance(50);
            steps.push(if is_view { Step::View(query) } else { Step::Ask(query) });
        }
    }
    Script { tables: tables.len(), steps }
}

fn table(random: &mut Random, index: usize) -> (Relation, String) {
    let mut columns = vec![Column { name: "k".to_owned(), data_type: Type::Int }];
    for column in 0..=random.below(3) {
        // Names that tables share, now and then: NATURAL JOIN and ambiguous names.
        let stem = if random.chance(30) { "a" } else { ["b", "c", "d"][index] };
        columns.push(Column { name: format!("{stem}{column}"), data_type: random.pick(&Type::OF_TABLES) });
    }
    let definitions: Vec<String> =
        columns.iter().map(|column| format!("{} {}", column.name, column.data_type.name())).collect();
    let name = format!("t{index}");
    let create = format!("CREATE TABLE {name} ({})", definitions.join(", "));
    (Relation { name, columns }, create)
}

fn insert(random: &mut Random, table: &Relation) -> String {
    let mut rows = Vec::new();
    for _ in 0..=random.below(5) {
        rows.push(row(random, table));
    }
    format!("INSERT INTO {} VALUES {}", table.name, rows.join(", "))
}

fn row(random: &mut Random, table: &Relation) -> String {
    let values: Vec<String> =
        table.columns.iter().map(|column| Writer::literal(random, column.data_type)).collect();
    format!("({})", values.join(", "))
}

/// A change that both sides can make without an error of data: they go on from the same rows.
fn change(random: &mut Random, tables: &[Relation]) -> String {
    let table = &tables[random.below(tables.len())];
    let column = &table.columns[random.below(table.columns.len())];
    let value = Writer::literal(random, column.data_type);
    let delete = match random.below(4) {
        0 => format!("DELETE FROM {} WHERE {} IS NULL", table.name, column.name),
        1 if column.data_type != Type::Bool => {
            format!("DELETE FROM {} WHERE {} > {value}", table.name, column.name)
        }
        _ => format!("DELETE FROM {} WHERE {} = {value}", table.name, column.name),
    };
    match random.below(10) {
        0..=4 => insert(random, table),
        5 | 6 => delete,
        7 | 8 => format!("BEGIN; {delete}; {}; COMMIT", insert(random, table)),
        _ => format!("INSERT INTO {} SELECT * FROM {} WHERE k < 3", table.name, table.name),
    }
}

impl Writer<'_> {
    /// A value as INSERT writes it.
    fn literal(random: &mut Random, data_type: Type) -> String {
        literal(&mut Writer::plain(random), data_type)
    }
}
