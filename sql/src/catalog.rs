//! The catalog: which schemas and relations exist, by name and by id. A value: cloned, changed, published whole.
//!
//! Every change is a `CatalogChange`, written to the log before it takes effect and replayed at
//! start. Invariant: applying the same changes in the same order gives the same catalog.

mod change; // how it changes
mod schemas; // schemas, and what names mean

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use millrace_engine::{DataType, Expr, Literal, PlanRef, RelationId, RowShape, Tick};
use serde::{Deserialize, Serialize};

pub use self::change::{CatalogChange, SchemaChange};
pub(crate) use self::schemas::Found;
pub use self::schemas::{PUBLIC_PATH, SchemaId, SearchPath, UserSchema};
use crate::parse::quoted;
use crate::sequence::Sequence;

/// A column of a relation or of a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its visible name.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
    /// False where NOT NULL holds.
    pub nullable: bool,
    /// DROP COLUMN took it away: its place stays, with a name that nobody gives, and new rows have NULL there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dropped: bool,
}

impl Column {
    /// A column of this name and type.
    pub fn new(name: impl Into<String>, data_type: DataType, nullable: bool) -> Column {
        Column { name: name.into(), data_type, nullable, dropped: false }
    }

    /// It goes, and its place stays.
    pub(crate) fn drop_at(&mut self, place: usize) {
        self.name = format!("........pg.dropped.{}........", place + 1);
        self.nullable = true;
        self.dropped = true;
    }
}

/// A table, a view or an index, with everything needed to install it again after a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relation {
    /// Its id.
    pub id: RelationId,
    /// Its name, unqualified.
    pub name: String,
    /// The schema that it is in.
    #[serde(default, skip_serializing_if = "SchemaId::is_first")]
    pub schema: SchemaId,
    /// Its columns.
    pub columns: Vec<Column>,
    /// What it is.
    pub kind: RelationKind,
    /// The tick of its creation.
    pub created: Tick,
}

impl Relation {
    /// What becomes of it when a transaction commits.
    pub fn on_commit(&self) -> OnCommit {
        match &self.kind {
            RelationKind::Table { rules, .. } => rules.on_commit,
            RelationKind::View { .. }
            | RelationKind::MaterializedView { .. }
            | RelationKind::Index { .. }
            | RelationKind::Sequence(_) => OnCommit::PreserveRows,
        }
    }

    /// The relations that a view reads, by its own text or by what others bring in; none for other kinds.
    pub fn reads(&self) -> Vec<RelationId> {
        match &self.kind {
            RelationKind::MaterializedView { plan, through, .. } => {
                let mut reads = plan.relations();
                reads.extend(through);
                reads
            }
            RelationKind::View { reads, .. } => reads.clone(),
            RelationKind::Table { .. } | RelationKind::Index { .. } | RelationKind::Sequence(_) => Vec::new(),
        }
    }

    /// The relations that a view's text names; none for other kinds. Older logs tell only what is read.
    pub fn names(&self) -> Vec<RelationId> {
        match &self.kind {
            RelationKind::MaterializedView { known: Some(known), .. } => {
                known.iter().map(|known| known.id).collect()
            }
            RelationKind::MaterializedView { known: None, .. }
            | RelationKind::View { .. }
            | RelationKind::Table { .. }
            | RelationKind::Index { .. }
            | RelationKind::Sequence(_) => self.reads(),
        }
    }

    /// Whether workers have something of it, and tell how far it is complete.
    pub fn is_maintained(&self) -> bool {
        !matches!(self.kind, RelationKind::View { .. } | RelationKind::Sequence(_))
    }

    /// The types of the columns.
    pub fn types(&self) -> Vec<DataType> {
        self.columns.iter().map(|column| column.data_type).collect()
    }

    /// The columns as rows are kept: of a table those that came later have missing values.
    pub fn shape(&self) -> RowShape {
        let missing = self.rules().map(|rules| rules.missing.clone()).unwrap_or_default();
        // A catalog that was read has been written so; without missing values rows would not be read at all.
        RowShape::with_missing(&self.types(), missing).unwrap_or_else(|_| RowShape::new(&self.types()))
    }

    /// The places of all columns in the order of their numbers, which is that in which SQL shows them.
    pub fn places(&self) -> Vec<usize> {
        let order = self.rules().map_or(&[][..], |rules| &rules.order);
        let others = (0..self.columns.len()).filter(|place| !order.contains(place));
        order.iter().copied().chain(others).collect()
    }

    /// The number of the column of a place, from 0. A column that got another type has another place by that, and
    /// its old number.
    pub fn number(&self, place: usize) -> usize {
        match self.rules().is_none_or(|rules| rules.order.is_empty()) {
            true => place,
            false => self.places().iter().position(|other| *other == place).unwrap_or(place),
        }
    }

    /// The columns that can be named, with their places, in the order of their numbers.
    pub fn visible(&self) -> impl Iterator<Item = (usize, &Column)> {
        let columns = self.places().into_iter().map(|place| (place, &self.columns[place]));
        columns.filter(|(_, column)| !column.dropped)
    }

    /// What a message calls its kind.
    pub fn kind_name(&self) -> &'static str {
        match &self.kind {
            RelationKind::Table { .. } => "table",
            RelationKind::View { .. } => "view",
            RelationKind::MaterializedView { .. } => "materialized view",
            RelationKind::Index { .. } => "index",
            RelationKind::Sequence(_) => "sequence",
        }
    }

    /// What a table asks of its rows; none of other kinds.
    pub fn rules(&self) -> Option<&TableRules> {
        match &self.kind {
            RelationKind::Table { rules, .. } => Some(rules),
            RelationKind::View { .. }
            | RelationKind::MaterializedView { .. }
            | RelationKind::Index { .. }
            | RelationKind::Sequence(_) => None,
        }
    }
}

/// What a relation is. In the log fields have names: new ones need a default, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RelationKind {
    /// A table.
    Table {
        /// False for a stream: `WITH (append_only, retention = '0')` keeps no rows.
        keep_rows: bool,
        /// What its rows have to be, beside their types and NOT NULL, and what they are if nothing is said.
        #[serde(default)]
        rules: TableRules,
    },
    /// A view that is its query wherever it is read: nothing is kept for it.
    View {
        /// The query as the user wrote it.
        sql: String,
        /// The relations that it reads.
        reads: Vec<RelationId>,
        /// Them by the names that they had then; none: the same as they have now.
        #[serde(default)]
        known: Option<Vec<Known>>,
    },
    /// A materialized view.
    MaterializedView {
        /// The query as the user wrote it.
        sql: String,
        /// What is maintained.
        plan: PlanRef,
        /// WITH (…).
        options: ViewOptions,
        /// The views whose queries are parts of the plan.
        #[serde(default)]
        through: Vec<RelationId>,
        /// The relations that its text names, by the names that they had then; none: the same as they have now.
        #[serde(default)]
        known: Option<Vec<Known>>,
    },
    /// An index. Its columns are its keys.
    Index {
        /// What it is an index of.
        on: RelationId,
        /// The types of the columns of that.
        columns: Vec<DataType>,
        /// What it is by.
        keys: Vec<IndexKey>,
        /// The statement that created it, as PostgreSQL would write it, by the names of then: what stands behind
        /// USING is true today (`Catalog::definition`).
        definition: String,
        /// Whether rows may have the same keys.
        #[serde(default)]
        uniqueness: Uniqueness,
    },
    /// A sequence.
    Sequence(Sequence),
}

/// A relation as the text of a view names it: relations and columns may have other names by now, and other columns
/// may have come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// The relation.
    pub id: RelationId,
    /// The name of its schema.
    #[serde(default = "public")]
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Whether the name meant it without the schema.
    #[serde(default = "yes")]
    pub is_visible: bool,
    /// The names of its columns by their places; none of one that was dropped.
    pub columns: Vec<Option<String>>,
    /// The places of its columns by their numbers, as `TableRules::order`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub order: Vec<usize>,
}

/// What older logs mean: there was one schema.
fn public() -> String {
    "public".to_owned()
}

fn yes() -> bool {
    true
}

impl Known {
    /// A relation by the names that it has now.
    pub fn now(relation: &Relation, schema: &str, is_visible: bool) -> Known {
        let name = |column: &Column| (!column.dropped).then(|| column.name.clone());
        let columns = relation.columns.iter().map(name).collect();
        let (schema, name) = (schema.to_owned(), relation.name.clone());
        let order = relation.rules().map(|rules| rules.order.clone()).unwrap_or_default();
        Known { id: relation.id, schema, name, is_visible, columns, order }
    }
}

/// What a table asks of its rows and gives them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableRules {
    /// The default of each column, as its expression was written; columns beyond the end have none.
    pub defaults: Vec<Option<String>>,
    /// The conditions that no row may make false, in the order of their names, as PostgreSQL tries them.
    pub checks: Vec<Check>,
    /// The columns that are the next value of a sequence if nothing is said, ascending.
    #[serde(default)]
    pub drawn: Vec<Drawn>,
    /// The sequences that go with the table, or with a column of it.
    #[serde(default)]
    pub owned: Vec<Owned>,
    /// What the last columns are in rows that were there before ADD COLUMN, in their order.
    #[serde(default)]
    pub missing: Vec<Literal>,
    /// The places of the columns by their numbers, those that other places have replaced left out; empty: each column
    /// has its place as its number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub order: Vec<usize>,
    /// The tick at which the table was altered last; 0: never. A change of rows that was bound before is bound
    /// again.
    #[serde(default)]
    pub altered: Tick,
    /// What becomes of a temporary table when a transaction commits.
    #[serde(default, skip_serializing_if = "OnCommit::keeps_all")]
    pub on_commit: OnCommit,
}

/// What becomes of a temporary table when a transaction commits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnCommit {
    /// ON COMMIT PRESERVE ROWS: nothing.
    #[default]
    PreserveRows,
    /// ON COMMIT DELETE ROWS: its rows go, so that none is ever committed.
    DeleteRows,
    /// ON COMMIT DROP: it goes with the transaction that created it.
    Drop,
}

impl OnCommit {
    /// Whether table and rows stay.
    pub fn keeps_all(&self) -> bool {
        *self == OnCommit::PreserveRows
    }
}

/// A column whose default is the next value of a sequence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drawn {
    /// The column's place.
    pub column: usize,
    /// The sequence.
    pub sequence: RelationId,
    /// How the column was declared.
    pub generated: Generated,
}

/// How a column that draws from a sequence was declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Generated {
    /// serial, or DEFAULT nextval(…).
    Default,
    /// GENERATED BY DEFAULT AS IDENTITY.
    ByDefault,
    /// GENERATED ALWAYS AS IDENTITY.
    Always,
}

/// A sequence that goes with a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owned {
    /// The column's place.
    pub column: usize,
    /// The sequence.
    pub sequence: RelationId,
}

impl TableRules {
    /// How a column draws from a sequence, if it does.
    pub fn drawn_of(&self, column: usize) -> Option<&Drawn> {
        self.drawn.iter().find(|drawn| drawn.column == column)
    }

    /// The default of a column, as it was written.
    pub fn default_of(&self, column: usize) -> Option<&str> {
        self.defaults.get(column).and_then(Option::as_deref)
    }
}

/// A CHECK constraint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Its name.
    pub name: String,
    /// The condition, as it was written.
    pub condition: String,
}

/// Whether rows may have the same keys of an index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Uniqueness {
    /// They may.
    #[default]
    None,
    /// CREATE UNIQUE INDEX: they may not, where no key is NULL.
    Index,
    /// The same as a constraint of the table: UNIQUE.
    Unique,
    /// PRIMARY KEY.
    Primary,
}

impl Uniqueness {
    /// Whether it belongs to a constraint of the table, so that it goes with that only.
    pub fn is_constraint(self) -> bool {
        match self {
            Uniqueness::None | Uniqueness::Index => false,
            Uniqueness::Unique | Uniqueness::Primary => true,
        }
    }
}

/// What the definition of an index says behind the names of index and relation.
pub(crate) const INDEX_METHOD: &str = " USING ";

/// One of the values that an index is by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexKey {
    /// The value, over the columns of the relation.
    pub expr: Expr,
    /// How it is written in SQL: a column's name, a call, or an expression in parentheses.
    pub text: String,
}

/// What WITH says of a materialized view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewOptions {
    /// What its readers get where rows cannot be computed.
    pub on_error: OnError,
    /// The bytes that it may hold; none: as the server was told.
    pub memory_limit: Option<u64>,
}

/// What the readers of a view get where rows cannot be computed. Serialised: only append variants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnError {
    /// The error.
    #[default]
    Fail,
    /// The other rows.
    Skip,
}

/// All schemas and relations at one moment. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Catalog {
    by_id: BTreeMap<RelationId, Arc<Relation>>,
    schemas: BTreeMap<SchemaId, Arc<UserSchema>>,
    schema_names: BTreeMap<String, SchemaId>,
    next_id: u64,
    /// What was said of relations, and of columns of them.
    comments: BTreeMap<(RelationId, Option<usize>), String>,
    /// The materialized views that queries read as if they were plain ones.
    inlined: BTreeSet<RelationId>,
}

impl Default for Catalog {
    /// A new database: the schema `public`, and nothing in it.
    fn default() -> Catalog {
        let public = UserSchema::public();
        Catalog {
            by_id: BTreeMap::new(),
            schema_names: BTreeMap::from([(public.name.clone(), public.id)]),
            schemas: BTreeMap::from([(public.id, Arc::new(public))]),
            next_id: 0,
            comments: BTreeMap::new(),
            inlined: BTreeSet::new(),
        }
    }
}

impl Catalog {
    /// The id that the next relation or schema gets.
    pub fn next_id(&self) -> RelationId {
        RelationId(self.next_id.max(1))
    }

    /// The relation of this id.
    pub fn by_id(&self, id: RelationId) -> Option<&Arc<Relation>> {
        self.by_id.get(&id)
    }

    /// The same, but queries compute these materialized views anew: what is kept for them is not, or not yet,
    /// what a transaction has made of the tables below.
    #[must_use]
    pub fn inlining(&self, views: BTreeSet<RelationId>) -> Catalog {
        Catalog { inlined: views, ..self.clone() }
    }

    /// The text of the query that a relation is for queries, unless they read its rows, and the names in it.
    pub(crate) fn text_of<'r>(&self, relation: &'r Relation) -> Option<(&'r str, Option<&'r [Known]>)> {
        match &relation.kind {
            RelationKind::View { sql, known, .. } => Some((sql, known.as_deref())),
            RelationKind::MaterializedView { sql, known, .. } if self.inlined.contains(&relation.id) => {
                Some((sql, known.as_deref()))
            }
            RelationKind::MaterializedView { .. }
            | RelationKind::Table { .. }
            | RelationKind::Index { .. }
            | RelationKind::Sequence(_) => None,
        }
    }

    /// What was said of relations, and of the columns of these places.
    pub fn comments(&self) -> impl Iterator<Item = (RelationId, Option<usize>, &str)> {
        self.comments.iter().map(|((relation, column), text)| (*relation, *column, text.as_str()))
    }

    /// The sequence of an id.
    pub fn sequence(&self, id: RelationId) -> Option<&Sequence> {
        match &self.by_id.get(&id)?.kind {
            RelationKind::Sequence(sequence) => Some(sequence),
            RelationKind::Table { .. }
            | RelationKind::View { .. }
            | RelationKind::MaterializedView { .. }
            | RelationKind::Index { .. } => None,
        }
    }

    /// The tables with what they ask of their rows.
    pub fn tables(&self) -> impl Iterator<Item = (&Arc<Relation>, &TableRules)> {
        self.by_id.values().filter_map(|relation| Some((relation, relation.rules()?)))
    }

    /// The column that a sequence goes with: its table, and its place there.
    pub fn owner(&self, sequence: RelationId) -> Option<(&Arc<Relation>, usize)> {
        self.tables().find_map(|(table, rules)| {
            let owned = rules.owned.iter().find(|owned| owned.sequence == sequence)?;
            Some((table, owned.column))
        })
    }

    /// The columns that draw from a sequence: each with its table, and its place there.
    pub fn drawing(&self, sequence: RelationId) -> impl Iterator<Item = (&Arc<Relation>, usize)> {
        self.tables().flat_map(move |(table, rules)| {
            let drawn = rules.drawn.iter().filter(move |drawn| drawn.sequence == sequence);
            drawn.map(move |drawn| (table, drawn.column))
        })
    }

    /// The default of a table's column as SQL would write it along a path; none of an identity column.
    pub fn default_text(&self, relation: &Relation, column: usize, path: &SearchPath) -> Option<String> {
        let rules = relation.rules()?;
        let Some(drawn) = rules.drawn_of(column) else { return rules.default_of(column).map(str::to_owned) };
        let sequence = self.by_id.get(&drawn.sequence).filter(|_| drawn.generated == Generated::Default)?;
        Some(format!("nextval('{}'::regclass)", self.shown(sequence, path).replace('\'', "''")))
    }

    /// The statement that creates an index, as PostgreSQL would write it; none of other relations.
    pub fn definition(&self, index: &Relation) -> Option<String> {
        let RelationKind::Index { on, definition, .. } = &index.kind else { return None };
        let unique = if definition.starts_with("CREATE UNIQUE ") { "UNIQUE " } else { "" };
        let (name, relation) = (quoted(&index.name), self.qualified(self.by_id(*on)?));
        // Names in quotes may have the word in them, but what follows the last one has it once.
        let rest = definition.rfind(INDEX_METHOD).map_or("", |at| &definition[at..]);
        Some(format!("CREATE {unique}INDEX {name} ON {relation}{rest}"))
    }

    /// All relations in the order of their creation, so that each comes after what it reads.
    pub fn relations(&self) -> impl Iterator<Item = &Arc<Relation>> {
        self.by_id.values()
    }

    /// The views that read `id`, directly or through other views, dependants first (the reverse of creation).
    pub fn dependants(&self, id: RelationId) -> Vec<RelationId> {
        let mut found = BTreeSet::from([id]);
        // A view that was replaced may read what is younger than it.
        loop {
            let reads_found = |relation: &&Arc<Relation>| {
                !found.contains(&relation.id) && relation.reads().iter().any(|read| found.contains(read))
            };
            let more: Vec<RelationId> =
                self.by_id.values().filter(reads_found).map(|relation| relation.id).collect();
            if more.is_empty() {
                break;
            }
            found.extend(more);
        }
        found.remove(&id);
        found.into_iter().rev().collect()
    }

    /// The indexes of a relation, the oldest first.
    pub fn indexes(&self, of: RelationId) -> impl Iterator<Item = &Arc<Relation>> {
        self.by_id
            .values()
            .filter(move |relation| matches!(&relation.kind, RelationKind::Index { on, .. } if *on == of))
    }

    /// These relations with their indexes and the sequences that go with them, dependants first.
    pub fn with_parts(&self, ids: impl IntoIterator<Item = RelationId>) -> Vec<RelationId> {
        let mut all: BTreeSet<RelationId> = ids.into_iter().collect();
        let indexes = all.iter().flat_map(|id| self.indexes(*id)).map(|index| index.id);
        let of_tables = self.tables().filter(|(table, _)| all.contains(&table.id));
        let sequences = of_tables.flat_map(|(_, rules)| rules.owned.iter().map(|owned| owned.sequence));
        let is_there = |id: &RelationId| self.by_id.contains_key(id);
        let parts: Vec<RelationId> = indexes.chain(sequences).filter(is_there).collect();
        all.extend(parts);
        // A dependant is created after what it reads and so has the greater id.
        all.into_iter().rev().collect()
    }
}
