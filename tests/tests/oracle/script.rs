//! Scripts: lines of text, so that a failure can be read, kept and run again.
//!
//! ```text
//! CREATE TABLE name (…)                      a table, or a stream; name_twin keeps a stream's rows
//! CREATE MATERIALIZED VIEW name AS query     a view
//! -- wait                                    every table is complete on every worker
//! -- judge                                   from here on views are compared after each text
//! -- restart, resume                         killed and started; subscriptions go on AS OF
//! -- restart, forget                         the same with another number of workers; they begin anew
//! -- lose                                    all workers are lost at once with the next line; clients and subscriptions stay
//! -- beside: text                            from another client, at once with the next text or view
//! DROP MATERIALIZED VIEW name                a view that no other reads
//! anything else                              a text for the server, one transaction
//! ```

use std::fmt;

use proptest::prelude::*;

use crate::expressions::{Column, Gene, Type, expression, gene, value};
use crate::views::{Relation, ViewGene, qualified, view_gene};

/// A script.
#[derive(Clone)]
pub(crate) struct Script {
    pub(crate) lines: Vec<String>,
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines.join("\n"))
    }
}

#[derive(Clone, Debug)]
struct TableGene {
    columns: u32,
    not_null: u32,
    is_stream: bool,
}

/// One statement that changes rows.
#[derive(Clone, Debug)]
struct ChangeGene {
    kind: usize,
    table: usize,
    source: usize,
    rows: Vec<Vec<usize>>,
    genes: Vec<Gene>,
}

#[derive(Clone, Debug)]
struct ScriptGene {
    tables: Vec<TableGene>,
    views: Vec<ViewGene>,
    before: Vec<Vec<ChangeGene>>,
    wait: bool,
    after: Vec<Vec<ChangeGene>>,
    restart: Option<(usize, bool)>,
    /// The last view is created, dropped, and created again at these places among the texts.
    late_view: Option<[usize; 3]>,
    /// The texts that come from clients of their own, a bit each.
    beside: u8,
    /// Where workers are lost.
    lose: Option<usize>,
}

/// Any script.
pub(crate) fn script() -> impl Strategy<Value = Script> {
    let table = (any::<u32>(), any::<u32>(), prop::bool::weighted(0.15));
    let table = table.prop_map(|(columns, not_null, is_stream)| TableGene { columns, not_null, is_stream });
    let texts = |range| prop::collection::vec(prop::collection::vec(change_gene(), 1..4), range);
    let restart = prop::option::weighted(0.4, (0usize..8, any::<bool>()));
    let tables = prop::collection::vec(table, 1..3);
    let views = prop::collection::vec(view_gene(), 1..4);
    let late_view = prop::option::weighted(0.3, prop::array::uniform3(0usize..8));
    let beside = prop_oneof![3 => Just(0u8), 1 => any::<u8>()];
    let lose = prop::option::weighted(0.4, 0usize..8);
    (tables, views, texts(0..3), any::<bool>(), texts(3..9), restart, late_view, (beside, lose)).prop_map(
        |(tables, views, before, wait, after, restart, late_view, (beside, lose))| {
            ScriptGene { tables, views, before, wait, after, restart, late_view, beside, lose }.render()
        },
    )
}

fn change_gene() -> impl Strategy<Value = ChangeGene> {
    let row = prop::collection::vec(0usize..1024, 1 + Type::OF_TABLES.len());
    let rows = prop::collection::vec(row, 1..5);
    let genes = prop::collection::vec(gene(), 3);
    (0usize..12, 0usize..6, 0usize..12, rows, genes)
        .prop_map(|(kind, table, source, rows, genes)| ChangeGene { kind, table, source, rows, genes })
}

impl ScriptGene {
    fn render(&self) -> Script {
        let mut lines = Vec::new();
        let mut relations: Vec<Relation> = Vec::new();
        for (index, table) in self.tables.iter().enumerate() {
            let (relation, mut create) = table.render(index);
            lines.append(&mut create);
            relations.push(relation);
        }
        let tables = relations.clone();
        let kept: Vec<Relation> = tables.iter().filter(|table| !table.is_stream).cloned().collect();
        // What a stream got before its views, they never see.
        lines.extend(self.before.iter().filter_map(|changes| text(changes, &kept, &kept)));
        lines.extend(self.wait.then(|| "-- wait".to_owned()));
        let mut creations = Vec::new();
        for (index, view) in self.views.iter().enumerate() {
            let name = format!("v{index}");
            let (relation, query) = view.render(&name, &relations);
            creations.push(format!("CREATE MATERIALIZED VIEW {name} AS {query}"));
            relations.push(relation);
        }
        // A view created later has not seen what its stream got before.
        let late_view = self.late_view.filter(|_| kept.len() == tables.len());
        let late_view = late_view.and_then(|places| Some((places, relations.pop()?, creations.pop()?)));
        let after = self.after.iter().filter_map(|changes| text(changes, &tables, &relations));
        let mut after: Vec<String> = after.collect();
        for (_, text) in after.iter_mut().enumerate().filter(|(index, _)| self.beside >> index & 1 == 1) {
            *text = format!("-- beside: {text}");
        }
        if let Some((places, view, creation)) = late_view {
            insert_late(&mut after, places, &view.name, creation);
        }
        if let Some((place, resume)) = self.restart {
            let way = if resume { "resume" } else { "forget" };
            after.insert(place % (after.len() + 1), format!("-- restart, {way}"));
        }
        if let Some(place) = self.lose {
            after.insert(place % (after.len() + 1), "-- lose".to_owned());
        }
        lines.append(&mut creations);
        lines.push("-- judge".to_owned());
        lines.append(&mut after);
        Script { lines }
    }
}

/// Creates a view among texts, drops it, and creates it again.
fn insert_late(texts: &mut Vec<String>, places: [usize; 3], name: &str, creation: String) {
    let mut places = places.map(|place| place % (texts.len() + 1));
    places.sort_unstable();
    texts.insert(places[2], creation.clone());
    texts.insert(places[1], format!("DROP MATERIALIZED VIEW {name}"));
    texts.insert(places[0], creation);
}

impl TableGene {
    fn render(&self, index: usize) -> (Relation, Vec<String>) {
        let stem = if self.is_stream { "s" } else { "t" };
        let name = format!("{stem}{index}");
        let is_nullable = |place: usize| self.not_null >> place & 3 != 3;
        let mut columns =
            vec![Column { name: "k".to_owned(), data_type: Type::Int, nullable: is_nullable(30) }];
        for (bit, data_type) in Type::OF_TABLES.into_iter().enumerate() {
            if self.columns >> bit & 1 == 1 {
                columns.push(Column { name: format!("a{bit}"), data_type, nullable: is_nullable(bit) });
            }
        }
        let definition = |column: &Column| {
            let not_null = if column.nullable { "" } else { " NOT NULL" };
            format!("{} {}{not_null}", column.name, column.data_type.definition())
        };
        let definitions: Vec<String> = columns.iter().map(definition).collect();
        let definitions = definitions.join(", ");
        let mut lines = Vec::new();
        if self.is_stream {
            lines.push(format!("CREATE TABLE {name}_twin ({definitions})"));
            lines.push(format!("CREATE TABLE {name} ({definitions}) WITH (append_only, retention = '0')"));
        } else {
            lines.push(format!("CREATE TABLE {name} ({definitions})"));
        }
        (Relation { name, columns, joins: 0, is_stream: self.is_stream }, lines)
    }
}

/// A text of several changes, sometimes as a block. Only the first one reads: a block cannot see
/// what it wrote.
fn text(changes: &[ChangeGene], tables: &[Relation], sources: &[Relation]) -> Option<String> {
    if tables.is_empty() {
        return None;
    }
    let statement = |(index, change): (usize, &ChangeGene)| {
        let table = &tables[change.table % tables.len()];
        change.render(table, sources, index == 0)
    };
    let statements: Vec<String> = changes.iter().enumerate().flat_map(statement).collect();
    let text = statements.join("; ");
    let as_block = changes.first().is_some_and(|change| change.source % 5 == 4);
    Some(if as_block { format!("BEGIN; {text}; COMMIT") } else { text })
}

impl ChangeGene {
    fn render(&self, table: &Relation, sources: &[Relation], may_read: bool) -> Vec<String> {
        let stored: Vec<&Relation> = sources.iter().filter(|source| !source.is_stream).collect();
        match self.kind {
            8 if may_read && !stored.is_empty() => {
                let source = self.select(table, stored[self.source % stored.len()]);
                both(table, |name| format!("INSERT INTO {name} {source}"))
            }
            9.. if may_read && !table.is_stream => {
                let scope = qualified(table, &table.name);
                let condition = expression(&self.genes[0], Type::Bool, &scope);
                vec![format!("DELETE FROM {} WHERE {condition}", table.name)]
            }
            _ => {
                let rows: Vec<String> = self.rows.iter().map(|row| values(row, table)).collect();
                both(table, |name| format!("INSERT INTO {name} VALUES {}", rows.join(", ")))
            }
        }
    }

    /// Few rows of the source, so that tables do not grow without end.
    fn select(&self, table: &Relation, source: &Relation) -> String {
        let scope = qualified(source, "l");
        let item =
            |(index, column): (usize, &Column)| expression(&self.genes[index % 2], column.data_type, &scope);
        let items: Vec<String> = table.columns.iter().enumerate().map(item).collect();
        let condition = expression(&self.genes[2], Type::Bool, &scope);
        let few = expression(&Gene::default(), Type::Int, &scope);
        format!("SELECT {} FROM {} AS l WHERE {condition} AND {few} = 1", items.join(", "), source.name)
    }
}

/// A statement on a table; on a stream also one on its twin.
fn both(table: &Relation, statement: impl Fn(&str) -> String) -> Vec<String> {
    let twin = table.is_stream.then(|| statement(&format!("{}_twin", table.name)));
    [statement(&table.name)].into_iter().chain(twin).collect()
}

fn values(row: &[usize], table: &Relation) -> String {
    let of = |(column, choice): (&Column, &usize)| {
        // NULL where it may not be, too, but seldom.
        let is_spared = !column.nullable && choice % 128 != 127;
        value(if is_spared { choice & !7 } else { *choice }, column.data_type)
    };
    let values: Vec<String> = table.columns.iter().zip(row).map(of).collect();
    format!("({})", values.join(", "))
}
