//! Three passes over a bound query, for views and ad-hoc queries alike: filters move down to the
//! relations they concern, columns that nothing reads go away below joins and aggregates, and
//! neighbouring projections become one. None changes an answer.

use std::collections::BTreeSet;

use millrace_engine::{Aggregate, Expr, RowCalls};

use super::reorder::reorder_joins;
use super::shown::show_members;
use super::top::bound;
use crate::query::exprs::{columns_of, map_columns, volatile_call};
use crate::query::rel::{JoinKind, Rel, SortKey, aggregate_exprs, map_aggregate, map_calls};

/// Optimises a bound query.
pub(crate) fn optimize(mut rel: Rel) -> Rel {
    show_members(&mut rel);
    let width = rel.columns().len();
    let rel = push_filters(rel, Vec::new());
    let rel = reorder_joins(rel);
    let rel = prune(rel, &(0..width).collect());
    fuse(rel)
}

/// The expression over the input of a projection, for one over its outputs.
fn substitute(expr: &Expr, outputs: &[Expr]) -> Expr {
    map_columns(expr, &mut |column| outputs[column].clone())
}

fn shifted_down(expr: &Expr, by: usize) -> Expr {
    map_columns(expr, &mut |column| Expr::Column(column - by))
}

/// Filters `rel` by predicates over its columns, each as far down as it can go.
fn push_filters(rel: Rel, predicates: Vec<Expr>) -> Rel {
    match rel {
        Rel::Scan { .. } | Rel::Values { .. } => rel.filter(predicates),
        Rel::Project { input, predicates: mut own, outputs } => {
            // A value that is another each time it is computed is computed once.
            let once = |predicate: &Expr| {
                columns_of(predicate).iter().any(|column| volatile_call(&outputs[*column]).is_some())
            };
            let (above, below): (Vec<_>, Vec<_>) = predicates.into_iter().partition(once);
            own.extend(below.iter().map(|predicate| substitute(predicate, &outputs)));
            push_filters(*input, own).project(outputs).filter(above)
        }
        Rel::Join { kind, left, right, on } => push_into_join(kind, *left, *right, on, predicates),
        Rel::Aggregate { input, keys, aggregates } => {
            // Without keys there is a row even where the input has none.
            let on_keys = |predicate: &Expr| {
                let columns = columns_of(predicate);
                !columns.is_empty() && columns.iter().all(|column| *column < keys.len())
            };
            let (below, above): (Vec<_>, Vec<_>) = predicates.into_iter().partition(on_keys);
            let below = below.iter().map(|predicate| substitute(predicate, &keys)).collect();
            let input = Box::new(push_filters(*input, below));
            Rel::Aggregate { input, keys, aggregates }.filter(above)
        }
        Rel::Union { inputs } => {
            let push = |input| push_filters(input, predicates.clone());
            Rel::Union { inputs: inputs.into_iter().map(push).collect() }
        }
        Rel::Distinct { input } => Rel::Distinct { input: Box::new(push_filters(*input, predicates)) },
        Rel::Sort { input, keys } => Rel::Sort { input: Box::new(push_filters(*input, predicates)), keys },
        Rel::Limit { input, skip, fetch } => {
            let input = Box::new(push_filters(*input, Vec::new()));
            Rel::Limit { input, skip, fetch }.filter(predicates)
        }
        Rel::Repeat { input, count } => {
            Rel::Repeat { input: Box::new(push_filters(*input, predicates)), count }
        }
        Rel::FlatMap { input, calls } => {
            // What reads columns that stay keeps or drops all rows of an input row.
            let on_kept = |predicate: &Expr| {
                let kept = columns_of(predicate).last().is_none_or(|last| *last < calls.kept.len());
                kept && volatile_call(predicate).is_none()
            };
            let (below, above): (Vec<_>, Vec<_>) = predicates.into_iter().partition(on_kept);
            let kept: Vec<Expr> = calls.kept.iter().map(|column| Expr::Column(*column)).collect();
            let below = below.iter().map(|predicate| substitute(predicate, &kept)).collect();
            Rel::FlatMap { input: Box::new(push_filters(*input, below)), calls }.filter(above)
        }
        Rel::TopK { input, keys, order, skip, fetch, numbered } => {
            // What reads group keys alone keeps or drops whole groups.
            let on_keys = |predicate: &Expr| {
                let columns = columns_of(predicate);
                !columns.is_empty() && columns.iter().all(|column| keys.contains(&Expr::Column(*column)))
            };
            let (below, above): (Vec<_>, Vec<_>) = predicates.into_iter().partition(on_keys);
            let (fetch, above) = match numbered && skip == 0 {
                true => bound(above, input.columns().len(), fetch),
                false => (fetch, above),
            };
            let input = Box::new(push_filters(*input, below));
            Rel::TopK { input, keys, order, skip, fetch, numbered }.filter(above)
        }
    }
}

/// Conditions of an inner join and filters above it are the same thing. A side whose rows are kept
/// without a match takes filters from above, the other side takes conditions of the join.
fn push_into_join(kind: JoinKind, left: Rel, right: Rel, on: Vec<Expr>, above: Vec<Expr>) -> Rel {
    let width = left.columns().len();
    let (left_from_on, right_from_on) = match kind {
        JoinKind::Inner | JoinKind::Semi => (true, true),
        JoinKind::Left | JoinKind::Anti => (false, true),
        JoinKind::Right => (true, false),
        JoinKind::Full => (false, false),
    };
    let (left_from_above, right_from_above) = match kind {
        JoinKind::Inner => (true, true),
        JoinKind::Left | JoinKind::Semi | JoinKind::Anti => (true, false),
        JoinKind::Right => (false, true),
        JoinKind::Full => (false, false),
    };
    let mut to_left = Vec::new();
    let mut to_right = Vec::new();
    let mut split = |predicates: Vec<Expr>, left: bool, right: bool| -> Vec<Expr> {
        let mut kept = Vec::new();
        for predicate in predicates {
            let columns = columns_of(&predicate);
            if volatile_call(&predicate).is_some() {
                kept.push(predicate);
                continue;
            }
            let on_left = columns.last().is_none_or(|last| *last < width);
            let on_right = columns.first().is_some_and(|first| *first >= width);
            match () {
                () if on_left && left => to_left.push(predicate),
                () if on_right && right => to_right.push(shifted_down(&predicate, width)),
                () => kept.push(predicate),
            }
        }
        kept
    };
    let mut on = split(on, left_from_on, right_from_on);
    let above = split(above, left_from_above, right_from_above);
    let left = Box::new(push_filters(left, to_left));
    let right = Box::new(push_filters(right, to_right));
    if kind == JoinKind::Inner {
        on.extend(above);
        return Rel::Join { kind, left, right, on };
    }
    join_on_computed(kind, left, right, on).filter(above)
}

/// Where the placeholders of columns begin that are computed for the right side; those of the left side
/// begin behind the columns of both.
const RIGHT_COMPUTED: usize = 1 << 32;

/// A join whose conditions on one side alone, which cannot become filters of that side, are columns of it, and
/// the operands of its other conditions as well: so they are computed for all its rows, whatever the other side
/// holds and whether the first are true, and fail or not for a view and for a query alike.
fn join_on_computed(kind: JoinKind, left: Box<Rel>, right: Box<Rel>, on: Vec<Expr>) -> Rel {
    let (left_width, right_width) = (left.columns().len(), right.columns().len());
    let both = left_width + right_width;
    let is_left = |expr: &Expr| match columns_of(expr).as_slice() {
        [] => None,
        [.., last] if *last < left_width => Some(true),
        [first, ..] => (*first >= left_width).then_some(false),
    };
    // A condition without columns may take away all rows of both sides before anything else is computed.
    let is_of_neither =
        |condition: &Expr| !matches!(condition, Expr::Literal(_)) && columns_of(condition).is_empty();
    let decides = |condition: &Expr| is_left(condition).is_some() || is_of_neither(condition);
    if !on.iter().any(|condition| decides(condition) && !is_column(condition)) {
        return Rel::Join { kind, left, right, on };
    }
    let (mut of_left, mut of_right) = (Vec::new(), Vec::new());
    let mut lift = |expr: &Expr| match is_left(expr).filter(|_| !is_column(expr)) {
        None => expr.clone(),
        Some(true) => {
            of_left.push(expr.clone());
            Expr::Column(both + of_left.len() - 1)
        }
        Some(false) => {
            of_right.push(shifted_down(expr, left_width));
            Expr::Column(RIGHT_COMPUTED + of_right.len() - 1)
        }
    };
    let on: Vec<Expr> = on.iter().map(|condition| lifted(condition, &mut lift)).collect();
    let right_start = left_width + of_left.len();
    let place = |column: usize| match column {
        _ if column < left_width => column,
        _ if column < both => column - left_width + right_start,
        _ if column < RIGHT_COMPUTED => column - both + left_width,
        _ => column - RIGHT_COMPUTED + right_start + right_width,
    };
    let on = on.iter().map(|condition| map_columns(condition, &mut |c| Expr::Column(place(c)))).collect();
    let (left, right) = (Box::new(with_columns(*left, of_left)), Box::new(with_columns(*right, of_right)));
    let shown = if kind.shows_left_only() { left_width } else { both };
    Rel::Join { kind, left, right, on }
        .project((0..shown).map(|column| Expr::Column(place(column))).collect())
}

/// The condition, or the operands of its comparison, lifted.
fn lifted(condition: &Expr, lift: &mut impl FnMut(&Expr) -> Expr) -> Expr {
    match (lift(condition), condition) {
        (whole @ Expr::Column(_), _) => whole,
        (_, Expr::Not(inner)) => Expr::Not(Box::new(lifted(inner, lift))),
        (_, Expr::Call { function, version, arguments, data_type }) => Expr::Call {
            function: function.clone(),
            version: *version,
            arguments: arguments.iter().map(lift).collect(),
            data_type: *data_type,
        },
        (whole, _) => whole,
    }
}

fn is_column(expr: &Expr) -> bool {
    matches!(expr, Expr::Column(_))
}

/// The relation with computed columns behind its own.
fn with_columns(rel: Rel, computed: Vec<Expr>) -> Rel {
    if computed.is_empty() {
        return rel;
    }
    let own = (0..rel.columns().len()).map(Expr::Column);
    rel.project(own.chain(computed).collect())
}

/// Columns by position, ascending.
type Columns = BTreeSet<usize>;

fn read_by<'e>(exprs: impl IntoIterator<Item = &'e Expr>) -> Columns {
    let mut columns = Columns::new();
    exprs.into_iter().for_each(|expr| {
        expr.for_each_column(&mut |column| {
            columns.insert(column);
        })
    });
    columns
}

/// The expression after the columns below were reduced to `kept`.
fn renumbered(expr: &Expr, kept: &Columns) -> Expr {
    map_columns(expr, &mut |column| Expr::Column(kept.range(..column).count()))
}

fn renumbered_all(exprs: &[Expr], kept: &Columns) -> Vec<Expr> {
    exprs.iter().map(|expr| renumbered(expr, kept)).collect()
}

/// Reduces a relation that shows the columns `shown` to those of them that are needed.
fn narrow(rel: Rel, shown: &Columns, needed: &Columns) -> Rel {
    if shown == needed {
        return rel;
    }
    let outputs = shown.iter().enumerate().filter(|(_, column)| needed.contains(column));
    let outputs = outputs.map(|(position, _)| Expr::Column(position)).collect();
    rel.project(outputs)
}

/// The relation with the needed columns only.
fn prune(rel: Rel, needed: &Columns) -> Rel {
    match rel {
        Rel::Scan { .. } => {
            let all = (0..rel.columns().len()).collect();
            narrow(rel, &all, needed)
        }
        Rel::Values { rows, columns } => {
            let keep = |row: Vec<Expr>| {
                row.into_iter()
                    .enumerate()
                    .filter(|(column, _)| needed.contains(column))
                    .map(|(_, cell)| cell)
            };
            let columns = needed.iter().map(|column| columns[*column]).collect();
            Rel::Values { rows: rows.into_iter().map(|row| keep(row).collect()).collect(), columns }
        }
        Rel::Project { input, predicates, outputs } => {
            let outputs: Vec<Expr> = needed.iter().map(|column| outputs[*column].clone()).collect();
            let below = read_by(predicates.iter().chain(&outputs));
            Rel::Project {
                input: Box::new(prune(*input, &below)),
                predicates: renumbered_all(&predicates, &below),
                outputs: renumbered_all(&outputs, &below),
            }
        }
        Rel::Join { kind, left, right, on } => {
            let width = left.columns().len();
            let below: Columns = needed.union(&read_by(&on)).copied().collect();
            let of_left = below.range(..width).copied().collect();
            let of_right = below.range(width..).map(|column| column - width).collect();
            let joined = Rel::Join {
                kind,
                left: Box::new(prune(*left, &of_left)),
                right: Box::new(prune(*right, &of_right)),
                on: renumbered_all(&on, &below),
            };
            let shown = if kind.shows_left_only() { below.range(..width).copied().collect() } else { below };
            narrow(joined, &shown, needed)
        }
        Rel::Aggregate { input, keys, aggregates } => prune_aggregate(*input, keys, aggregates, needed),
        Rel::Union { inputs } => {
            Rel::Union { inputs: inputs.into_iter().map(|input| prune(input, needed)).collect() }
        }
        Rel::Distinct { input } => {
            let all: Columns = (0..input.columns().len()).collect();
            narrow(Rel::Distinct { input: Box::new(prune(*input, &all)) }, &all, needed)
        }
        Rel::Sort { input, mut keys } => {
            let mut below = needed.clone();
            below.extend(keys.iter().map(|key| key.column));
            keys.iter_mut().for_each(|key| key.column = below.range(..key.column).count());
            narrow(Rel::Sort { input: Box::new(prune(*input, &below)), keys }, &below, needed)
        }
        Rel::Limit { input, skip, fetch } => {
            // Which rows come first is decided by all their columns.
            let all: Columns = (0..input.columns().len()).collect();
            narrow(Rel::Limit { input: Box::new(prune(*input, &all)), skip, fetch }, &all, needed)
        }
        Rel::Repeat { input, count } => {
            let below: Columns = needed.union(&read_by([&count])).copied().collect();
            let count = renumbered(&count, &below);
            narrow(Rel::Repeat { input: Box::new(prune(*input, &below)), count }, &below, needed)
        }
        Rel::FlatMap { input, calls } => prune_calls(*input, calls, needed),
        Rel::TopK { input, keys, order, skip, fetch, numbered } => {
            let numbered = numbered && needed.contains(&input.columns().len());
            if !numbered && skip == 0 && fetch.is_none() {
                return prune(*input, needed);
            }
            prune_top(*input, needed, Top { keys, order, skip, fetch, numbered })
        }
    }
}

/// Of the columns that stay the needed ones; what the calls give stays whole.
fn prune_calls(input: Rel, mut calls: RowCalls, needed: &Columns) -> Rel {
    let own = calls.kept.len();
    let width = calls.output(&input.columns()).len();
    let shown: Columns = needed.range(..own).copied().chain(own..width).collect();
    let kept: Vec<usize> = needed.range(..own).map(|column| calls.kept[*column]).collect();
    let mut below = read_by(calls.arguments());
    below.extend(&kept);
    calls.kept = kept.iter().map(|column| below.range(..*column).count()).collect();
    let calls = map_calls(calls, &mut |argument| renumbered(argument, &below));
    narrow(Rel::FlatMap { input: Box::new(prune(input, &below)), calls }, &shown, needed)
}

/// A `Rel::TopK` without its input.
struct Top {
    keys: Vec<Expr>,
    order: Vec<SortKey>,
    skip: usize,
    fetch: Option<usize>,
    numbered: bool,
}

/// All columns stay, since they break ties: else the same query read twice, for different columns, could
/// choose different rows. Only where rows that tie cannot be told apart above do the others go.
fn prune_top(input: Rel, needed: &Columns, mut top: Top) -> Rel {
    let width = input.columns().len();
    let mut told = Columns::new();
    told.extend(top.order.iter().map(|key| key.column));
    told.extend(top.keys.iter().filter_map(|key| match key {
        Expr::Column(column) => Some(*column),
        _ => None,
    }));
    let mut below: Columns = if needed.range(..width).all(|column| told.contains(column)) {
        told.union(&read_by(&top.keys)).copied().collect()
    } else {
        (0..width).collect()
    };
    top.order.iter_mut().for_each(|key| key.column = below.range(..key.column).count());
    let keys = renumbered_all(&top.keys, &below);
    let input = Box::new(prune(input, &below));
    let Top { order, skip, fetch, numbered, .. } = top;
    below.extend(numbered.then_some(width));
    narrow(Rel::TopK { input, keys, order, skip, fetch, numbered }, &below, needed)
}

/// All keys stay, since they say which groups there are; aggregates that nothing reads go.
fn prune_aggregate(input: Rel, keys: Vec<Expr>, aggregates: Vec<Aggregate>, needed: &Columns) -> Rel {
    let mut shown: Columns = (0..keys.len()).collect();
    shown.extend(needed);
    // A row without keys and aggregates would have no columns at all.
    if shown.is_empty() && !aggregates.is_empty() {
        shown.insert(0);
    }
    let width = keys.len();
    let kept = |position: &usize| shown.contains(&(position + width));
    let aggregates: Vec<_> =
        aggregates.into_iter().enumerate().filter(|(at, _)| kept(at)).map(|(_, call)| call).collect();
    let below = read_by(keys.iter().chain(aggregates.iter().flat_map(aggregate_exprs)));
    let renumber_call = |aggregate| map_aggregate(aggregate, &mut |expr| renumbered(expr, &below));
    let rel = Rel::Aggregate {
        input: Box::new(prune(input, &below)),
        keys: renumbered_all(&keys, &below),
        aggregates: aggregates.into_iter().map(renumber_call).collect(),
    };
    narrow(rel, &shown, needed)
}

/// Joins neighbouring projections, and removes those that change nothing.
pub(super) fn fuse(rel: Rel) -> Rel {
    let boxed = |input: Box<Rel>| Box::new(fuse(*input));
    match rel {
        Rel::Scan { .. } | Rel::Values { .. } => rel,
        Rel::Project { input, predicates, outputs } => fuse_project(fuse(*input), predicates, outputs),
        Rel::Join { kind, left, right, on } => Rel::Join { kind, left: boxed(left), right: boxed(right), on },
        Rel::Aggregate { input, keys, aggregates } => {
            Rel::Aggregate { input: boxed(input), keys, aggregates }
        }
        Rel::Union { inputs } => Rel::Union { inputs: inputs.into_iter().map(fuse).collect() },
        Rel::Distinct { input } => Rel::Distinct { input: boxed(input) },
        Rel::Sort { input, keys } => Rel::Sort { input: boxed(input), keys },
        Rel::Limit { input, skip, fetch } => Rel::Limit { input: boxed(input), skip, fetch },
        Rel::Repeat { input, count } => Rel::Repeat { input: boxed(input), count },
        Rel::FlatMap { input, calls } => Rel::FlatMap { input: boxed(input), calls },
        Rel::TopK { input, keys, order, skip, fetch, numbered } => {
            Rel::TopK { input: boxed(input), keys, order, skip, fetch, numbered }
        }
    }
}

fn fuse_project(input: Rel, predicates: Vec<Expr>, outputs: Vec<Expr>) -> Rel {
    if predicates.is_empty() && outputs.iter().cloned().eq((0..input.columns().len()).map(Expr::Column)) {
        return input;
    }
    match input {
        Rel::Project { input, predicates: mut first, outputs: inner }
            if inlines(&inner, &predicates, &outputs) =>
        {
            first.extend(predicates.iter().map(|predicate| substitute(predicate, &inner)));
            let outputs = outputs.iter().map(|output| substitute(output, &inner)).collect();
            fuse_project(*input, first, outputs)
        }
        input => Rel::Project { input: Box::new(input), predicates, outputs },
    }
}

/// Whether no computed output of the inner projection would be computed twice.
fn inlines(inner: &[Expr], predicates: &[Expr], outputs: &[Expr]) -> bool {
    let mut reads = vec![0usize; inner.len()];
    for expr in predicates.iter().chain(outputs) {
        expr.for_each_column(&mut |column| reads[column] += 1);
    }
    let free = |expr: &Expr| matches!(expr, Expr::Column(_) | Expr::Literal(_));
    inner.iter().zip(reads).all(|(expr, reads)| reads <= 1 || free(expr))
}
