//! `Rel`: a bound query as a tree of relational operators, by position and without names.
//!
//! Between the binder and its two uses: `lower` makes a dataflow plan of it, `adhoc` an execution
//! over snapshots. Sorting is for the latter only: a view has no order.

use std::collections::BTreeSet;

use millrace_engine::{Aggregate, DataType, Expr, RelationId, RowCalls, SetCall};

use crate::system::SystemRelation;

/// A relational operator over the columns of its inputs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Rel {
    /// A table or a materialized view.
    Scan {
        relation: RelationId,
        columns: Vec<DataType>,
        /// Set where a query needs only the rows with certain keys of an index; a view takes all.
        by: Option<Lookup>,
    },
    /// Constant rows.
    Values { rows: Vec<Vec<Expr>>, columns: Vec<DataType> },
    /// Keeps rows for which every predicate is true, then computes the outputs.
    Project { input: Box<Rel>, predicates: Vec<Expr>, outputs: Vec<Expr> },
    /// A join on the conjunction of `on`, over the left columns and then the right ones. A semi or anti join
    /// shows the left columns only.
    Join { kind: JoinKind, left: Box<Rel>, right: Box<Rel>, on: Vec<Expr> },
    /// GROUP BY: the keys, then the aggregates.
    Aggregate { input: Box<Rel>, keys: Vec<Expr>, aggregates: Vec<Aggregate> },
    /// UNION ALL.
    Union { inputs: Vec<Rel> },
    /// DISTINCT.
    Distinct { input: Box<Rel> },
    /// ORDER BY.
    Sort { input: Box<Rel>, keys: Vec<SortKey> },
    /// LIMIT and OFFSET without an order: any rows; in a view those that come first as whole rows.
    Limit { input: Box<Rel>, skip: usize, fetch: Option<usize> },
    /// Each row `count` times (a bigint over its columns); not at all where that is NULL or below 1.
    Repeat { input: Box<Rel>, count: Expr },
    /// Calls of functions that give rows, for each row. Meaning and output are those of `Plan::FlatMap`.
    FlatMap { input: Box<Rel>, calls: RowCalls },
    /// The first rows of each group in the order of `order`, ties by the whole row; `numbered` appends
    /// the row's number in its group. Meaning and output are those of `Plan::TopK`.
    TopK {
        input: Box<Rel>,
        keys: Vec<Expr>,
        order: Vec<SortKey>,
        skip: usize,
        fetch: Option<usize>,
        numbered: bool,
    },
}

/// The keys of an index that the rows of a scan have: every combination of a value of each key. Rows that
/// have none of them pass no filter above the scan.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Lookup {
    pub(crate) index: RelationId,
    /// No key has several rows.
    pub(crate) is_unique: bool,
    pub(crate) keys: Vec<LookupKey>,
}

/// A key of an index and the values that are looked for: constants, perhaps of another type.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LookupKey {
    /// How SQL writes the key.
    pub(crate) text: String,
    pub(crate) data_type: DataType,
    pub(crate) values: Vec<Expr>,
}

/// How rows without a match are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JoinKind {
    Inner,
    Left,
    Right,
    Full,
    /// The left rows that have a match.
    Semi,
    /// The left rows that have none.
    Anti,
}

impl JoinKind {
    /// Whether only the left columns are shown.
    pub(crate) fn shows_left_only(self) -> bool {
        matches!(self, JoinKind::Semi | JoinKind::Anti)
    }
}

/// One key of ORDER BY: a column of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SortKey {
    pub(crate) column: usize,
    pub(crate) descending: bool,
    pub(crate) nulls_first: bool,
}

impl Rel {
    /// The relation of one row without columns: what a SELECT without FROM reads.
    pub(crate) fn unit() -> Rel {
        Rel::Values { rows: vec![Vec::new()], columns: Vec::new() }
    }

    /// All rows of a relation.
    pub(crate) fn scan(relation: RelationId, columns: Vec<DataType>) -> Rel {
        Rel::Scan { relation, columns, by: None }
    }

    /// Whether it has no rows whatever the tables have: it reads a catalog of what is not there.
    pub(crate) fn is_vacant(&self) -> bool {
        match self {
            Rel::Scan { relation, .. } => {
                matches!(SystemRelation::of_id(*relation), Some(SystemRelation::Vacant(_)))
            }
            Rel::Values { rows, .. } => rows.is_empty(),
            Rel::Join { kind, left, right, .. } => match kind {
                JoinKind::Inner => left.is_vacant() || right.is_vacant(),
                JoinKind::Left | JoinKind::Semi | JoinKind::Anti => left.is_vacant(),
                JoinKind::Right => right.is_vacant(),
                JoinKind::Full => left.is_vacant() && right.is_vacant(),
            },
            Rel::Aggregate { input, keys, .. } => !keys.is_empty() && input.is_vacant(),
            Rel::Union { inputs } => inputs.iter().all(Rel::is_vacant),
            Rel::Project { input, .. }
            | Rel::Distinct { input }
            | Rel::Sort { input, .. }
            | Rel::Limit { input, .. }
            | Rel::Repeat { input, .. }
            | Rel::FlatMap { input, .. }
            | Rel::TopK { input, .. } => input.is_vacant(),
        }
    }

    /// The types of the columns.
    pub(crate) fn columns(&self) -> Vec<DataType> {
        match self {
            Rel::Scan { columns, .. } | Rel::Values { columns, .. } => columns.clone(),
            Rel::Project { input, outputs, .. } => types_of(outputs, &input.columns()),
            Rel::Join { kind, left, .. } if kind.shows_left_only() => left.columns(),
            Rel::Join { left, right, .. } => [left.columns(), right.columns()].concat(),
            Rel::Aggregate { input, keys, aggregates } => {
                let mut columns = types_of(keys, &input.columns());
                columns.extend(aggregates.iter().map(|aggregate| aggregate.data_type));
                columns
            }
            Rel::Union { inputs } => inputs.first().map(Rel::columns).unwrap_or_default(),
            Rel::Distinct { input }
            | Rel::Sort { input, .. }
            | Rel::Limit { input, .. }
            | Rel::Repeat { input, .. } => input.columns(),
            Rel::FlatMap { input, calls } => calls.output(&input.columns()),
            Rel::TopK { input, numbered, .. } => {
                let mut columns = input.columns();
                columns.extend(numbered.then_some(DataType::Int64));
                columns
            }
        }
    }

    /// Keeps the rows for which every predicate is true.
    pub(crate) fn filter(self, predicates: Vec<Expr>) -> Rel {
        if predicates.is_empty() {
            return self;
        }
        let outputs = (0..self.columns().len()).map(Expr::Column).collect();
        Rel::Project { input: Box::new(self), predicates, outputs }
    }

    /// Computes the outputs.
    pub(crate) fn project(self, outputs: Vec<Expr>) -> Rel {
        Rel::Project { input: Box::new(self), predicates: Vec::new(), outputs }
    }

    /// The relations that the tree reads, each once, in ascending order.
    pub(crate) fn relations(&self) -> Vec<RelationId> {
        let mut found: Vec<RelationId> =
            self.relations_and_indexes().into_iter().map(|(_, relation)| relation).collect();
        found.sort();
        found.dedup();
        found
    }

    /// Every relation that a scan reads, with the index by which it is read if it is read by one: each
    /// once, in ascending order.
    pub(crate) fn relations_and_indexes(&self) -> Vec<(Option<RelationId>, RelationId)> {
        let mut found = Vec::new();
        self.visit(&mut |rel| {
            if let Rel::Scan { relation, by, .. } = rel {
                found.push((by.as_ref().map(|lookup| lookup.index), *relation));
            }
        });
        found.sort();
        found.dedup();
        found
    }

    /// The columns of a relation that are read of its scans: those that a projection right above reads, else all.
    pub(crate) fn columns_read(&self, of: RelationId) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        let width = |rel: &Rel| match rel {
            Rel::Scan { relation, columns, .. } if *relation == of => Some(columns.len()),
            _ => None,
        };
        if let Some(width) = width(self) {
            found.extend(0..width);
        }
        self.visit(&mut |rel| match rel {
            Rel::Project { input, predicates, outputs } if width(input).is_some() => {
                let exprs = predicates.iter().chain(outputs);
                exprs.for_each(|expr| expr.for_each_column(&mut |column| found.extend([column])));
            }
            other => {
                let whole = other.inputs().into_iter().filter_map(width);
                whole.for_each(|width| found.extend(0..width));
            }
        });
        found
    }

    /// Makes every LIMIT without an order take the rows that come first as whole rows, so that the tree gives
    /// the same rows wherever it is read.
    pub(crate) fn fix_limits(&mut self) {
        if let Rel::Limit { input, skip, fetch } = self {
            let input = std::mem::replace(input, Box::new(Rel::unit()));
            let (keys, order) = (Vec::new(), Vec::new());
            *self = Rel::TopK { input, keys, order, skip: *skip, fetch: *fetch, numbered: false };
        }
        self.inputs_mut().into_iter().for_each(Rel::fix_limits);
    }

    /// The inputs, left to right, to be changed.
    pub(crate) fn inputs_mut(&mut self) -> Vec<&mut Rel> {
        match self {
            Rel::Scan { .. } | Rel::Values { .. } => Vec::new(),
            Rel::Project { input, .. }
            | Rel::Aggregate { input, .. }
            | Rel::Distinct { input }
            | Rel::Sort { input, .. }
            | Rel::Limit { input, .. }
            | Rel::Repeat { input, .. }
            | Rel::FlatMap { input, .. }
            | Rel::TopK { input, .. } => vec![input],
            Rel::Join { left, right, .. } => vec![left, right],
            Rel::Union { inputs } => inputs.iter_mut().collect(),
        }
    }

    /// Calls `visit` with every operator, inputs after the operators that read them.
    pub(crate) fn visit(&self, visit: &mut impl FnMut(&Rel)) {
        visit(self);
        self.inputs().into_iter().for_each(|input| input.visit(visit));
    }

    /// The inputs, left to right.
    pub(crate) fn inputs(&self) -> Vec<&Rel> {
        match self {
            Rel::Scan { .. } | Rel::Values { .. } => Vec::new(),
            Rel::Project { input, .. }
            | Rel::Aggregate { input, .. }
            | Rel::Distinct { input }
            | Rel::Sort { input, .. }
            | Rel::Limit { input, .. }
            | Rel::Repeat { input, .. }
            | Rel::FlatMap { input, .. }
            | Rel::TopK { input, .. } => vec![input],
            Rel::Join { left, right, .. } => vec![left, right],
            Rel::Union { inputs } => inputs.iter().collect(),
        }
    }

    /// The tree with every expression replaced by what `map` makes of it.
    pub(crate) fn map_exprs(self, map: &mut impl FnMut(&Expr) -> Expr) -> Rel {
        fn all(exprs: &[Expr], map: &mut impl FnMut(&Expr) -> Expr) -> Vec<Expr> {
            exprs.iter().map(map).collect()
        }
        match self {
            Rel::Scan { .. } => self,
            Rel::Values { rows, columns } => {
                Rel::Values { rows: rows.iter().map(|row| all(row, map)).collect(), columns }
            }
            Rel::Project { input, predicates, outputs } => Rel::Project {
                input: Box::new(input.map_exprs(map)),
                predicates: all(&predicates, map),
                outputs: all(&outputs, map),
            },
            Rel::Join { kind, left, right, on } => Rel::Join {
                kind,
                left: Box::new(left.map_exprs(map)),
                right: Box::new(right.map_exprs(map)),
                on: all(&on, map),
            },
            Rel::Aggregate { input, keys, aggregates } => Rel::Aggregate {
                input: Box::new(input.map_exprs(map)),
                keys: all(&keys, map),
                aggregates: aggregates.into_iter().map(|aggregate| map_aggregate(aggregate, map)).collect(),
            },
            Rel::Union { inputs } => {
                Rel::Union { inputs: inputs.into_iter().map(|input| input.map_exprs(map)).collect() }
            }
            Rel::Distinct { input } => Rel::Distinct { input: Box::new(input.map_exprs(map)) },
            Rel::Sort { input, keys } => Rel::Sort { input: Box::new(input.map_exprs(map)), keys },
            Rel::Limit { input, skip, fetch } => {
                Rel::Limit { input: Box::new(input.map_exprs(map)), skip, fetch }
            }
            Rel::Repeat { input, count } => {
                let input = Box::new(input.map_exprs(map));
                Rel::Repeat { input, count: map(&count) }
            }
            Rel::FlatMap { input, calls } => {
                let input = Box::new(input.map_exprs(map));
                Rel::FlatMap { input, calls: map_calls(calls, map) }
            }
            Rel::TopK { input, keys, order, skip, fetch, numbered } => {
                let input = Box::new(input.map_exprs(map));
                Rel::TopK { input, keys: all(&keys, map), order, skip, fetch, numbered }
            }
        }
    }

    /// Calls `visit` with every expression of every operator.
    pub(crate) fn visit_exprs(&self, visit: &mut impl FnMut(&Expr)) {
        self.visit(&mut |rel| match rel {
            Rel::Values { rows, .. } => rows.iter().flatten().for_each(&mut *visit),
            Rel::Project { predicates, outputs, .. } => {
                predicates.iter().chain(outputs).for_each(&mut *visit);
            }
            Rel::Join { on, .. } => on.iter().for_each(&mut *visit),
            Rel::Aggregate { keys, aggregates, .. } => {
                keys.iter().chain(aggregates.iter().flat_map(aggregate_exprs)).for_each(&mut *visit);
            }
            Rel::Repeat { count, .. } => visit(count),
            Rel::FlatMap { calls, .. } => calls.arguments().for_each(&mut *visit),
            Rel::TopK { keys, .. } => keys.iter().for_each(&mut *visit),
            Rel::Scan { .. }
            | Rel::Union { .. }
            | Rel::Distinct { .. }
            | Rel::Sort { .. }
            | Rel::Limit { .. } => {}
        });
    }
}

/// The expressions that an aggregate reads: its arguments and its order.
pub(crate) fn aggregate_exprs(aggregate: &Aggregate) -> impl Iterator<Item = &Expr> {
    aggregate.arguments.iter().chain(aggregate.order.iter().map(|key| &key.expr))
}

/// The aggregate with each expression that it reads replaced by what `map` makes of it.
pub(crate) fn map_aggregate(mut aggregate: Aggregate, map: &mut impl FnMut(&Expr) -> Expr) -> Aggregate {
    let exprs = aggregate.arguments.iter_mut().chain(aggregate.order.iter_mut().map(|key| &mut key.expr));
    exprs.for_each(|expr| *expr = map(expr));
    aggregate
}

/// The calls with each argument replaced by what `map` makes of it.
pub(crate) fn map_calls(mut calls: RowCalls, map: &mut impl FnMut(&Expr) -> Expr) -> RowCalls {
    let arguments = calls.calls.iter_mut().flat_map(|call: &mut SetCall| &mut call.arguments);
    arguments.for_each(|argument| *argument = map(argument));
    calls
}

/// The types of expressions over these columns; the binder makes none out of range.
pub(crate) fn types_of(exprs: &[Expr], columns: &[DataType]) -> Vec<DataType> {
    exprs.iter().map(|expr| expr.data_type(columns).unwrap_or(DataType::Boolean)).collect()
}
