//! `Rel`: a bound query as a tree of relational operators, by position and without names.
//!
//! Between the binder and its two uses: `lower` makes a dataflow plan of it, `adhoc` an execution
//! over snapshots. It knows what a view cannot do yet (sorting, outer joins), too.

use millrace_engine::{Aggregate, DataType, Expr, RelationId};

/// A relational operator over the columns of its inputs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Rel {
    /// A table or a materialized view.
    Scan { relation: RelationId, columns: Vec<DataType> },
    /// Constant rows.
    Values { rows: Vec<Vec<Expr>>, columns: Vec<DataType> },
    /// Keeps rows for which every predicate is true, then computes the outputs.
    Project { input: Box<Rel>, predicates: Vec<Expr>, outputs: Vec<Expr> },
    /// A join on the conjunction of `on`, over the left columns and then the right ones.
    Join { kind: JoinKind, left: Box<Rel>, right: Box<Rel>, on: Vec<Expr> },
    /// GROUP BY: the keys, then the aggregates.
    Aggregate { input: Box<Rel>, keys: Vec<Expr>, aggregates: Vec<AggregateCall> },
    /// UNION ALL.
    Union { inputs: Vec<Rel> },
    /// DISTINCT.
    Distinct { input: Box<Rel> },
    /// ORDER BY.
    Sort { input: Box<Rel>, keys: Vec<SortKey> },
    /// LIMIT and OFFSET.
    Limit { input: Box<Rel>, skip: usize, fetch: Option<usize> },
}

/// How rows without a match are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JoinKind {
    Inner,
    Left,
    Right,
    Full,
}

/// An aggregate, perhaps over distinct arguments.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AggregateCall {
    pub(crate) aggregate: Aggregate,
    pub(crate) distinct: bool,
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

    /// The types of the columns.
    pub(crate) fn columns(&self) -> Vec<DataType> {
        match self {
            Rel::Scan { columns, .. } | Rel::Values { columns, .. } => columns.clone(),
            Rel::Project { input, outputs, .. } => types_of(outputs, &input.columns()),
            Rel::Join { left, right, .. } => [left.columns(), right.columns()].concat(),
            Rel::Aggregate { input, keys, aggregates } => {
                let mut columns = types_of(keys, &input.columns());
                columns.extend(aggregates.iter().map(|call| call.aggregate.data_type));
                columns
            }
            Rel::Union { inputs } => inputs.first().map(Rel::columns).unwrap_or_default(),
            Rel::Distinct { input } | Rel::Sort { input, .. } | Rel::Limit { input, .. } => input.columns(),
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
        let mut found = Vec::new();
        self.visit(&mut |rel| {
            if let Rel::Scan { relation, .. } = rel {
                found.push(*relation);
            }
        });
        found.sort();
        found.dedup();
        found
    }

    /// Calls `visit` with every operator, inputs after the operators that read them.
    pub(crate) fn visit(&self, visit: &mut impl FnMut(&Rel)) {
        visit(self);
        match self {
            Rel::Scan { .. } | Rel::Values { .. } => {}
            Rel::Project { input, .. }
            | Rel::Aggregate { input, .. }
            | Rel::Distinct { input }
            | Rel::Sort { input, .. }
            | Rel::Limit { input, .. } => input.visit(visit),
            Rel::Join { left, right, .. } => {
                left.visit(visit);
                right.visit(visit);
            }
            Rel::Union { inputs } => inputs.iter().for_each(|input| input.visit(visit)),
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
                let arguments = aggregates.iter().filter_map(|call| call.aggregate.argument.as_ref());
                keys.iter().chain(arguments).for_each(&mut *visit);
            }
            Rel::Scan { .. }
            | Rel::Union { .. }
            | Rel::Distinct { .. }
            | Rel::Sort { .. }
            | Rel::Limit { .. } => {}
        });
    }
}

/// The types of expressions over these columns; the binder makes none out of range.
pub(crate) fn types_of(exprs: &[Expr], columns: &[DataType]) -> Vec<DataType> {
    exprs.iter().map(|expr| expr.data_type(columns).unwrap_or(DataType::Boolean)).collect()
}
