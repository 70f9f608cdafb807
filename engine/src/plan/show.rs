//! Plans as text: what EXPLAIN shows.
//!
//! One operator a line, its inputs indented below it. An operator that is read more than once and reads others
//! itself is shown once, as `p1`, and is `Same as p1` after that.

use std::collections::{HashMap, HashSet};
use std::fmt;

use super::{Aggregate, JoinKey, OrderKey, Plan, PlanId, PlanRef, RowCalls, SetCall};
use crate::expr::list;

impl fmt::Display for PlanRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let repeated = repeated(self);
        let mut names: HashMap<PlanId, usize> = HashMap::new();
        let mut open = vec![(self, 0)];
        while let Some((plan, depth)) = open.pop() {
            write!(f, "{:indent$}", "", indent = depth * 2)?;
            if let Some(name) = names.get(&plan.id()) {
                writeln!(f, "Same as p{name}")?;
                continue;
            }
            write!(f, "{}", plan.operator())?;
            if repeated.contains(&plan.id()) {
                let name = names.len() + 1;
                names.insert(plan.id(), name);
                write!(f, " as p{name}")?;
            }
            writeln!(f)?;
            open.extend(plan.inputs().into_iter().rev().map(|input| (input, depth + 1)));
        }
        Ok(())
    }
}

impl fmt::Debug for PlanRef {
    /// As text: written out as a tree it could be too large.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The plans below that are read more than once and read others.
fn repeated(plan: &PlanRef) -> HashSet<PlanId> {
    let inputs = plan.nodes().into_iter().flat_map(PlanRef::inputs);
    let mut read = HashSet::new();
    inputs
        .filter(|input| !input.inputs().is_empty())
        .map(PlanRef::id)
        .filter(|id| !read.insert(*id))
        .collect()
}

impl fmt::Display for Plan {
    /// The operator without its inputs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Plan::Get { relation, .. } => write!(f, "Get {relation}"),
            Plan::Constant { rows, .. } => write!(f, "Constant {} rows", rows.len()),
            Plan::Project { predicates, outputs, .. } => {
                write!(f, "Project [{}]", list(outputs, ", "))?;
                if !predicates.is_empty() {
                    write!(f, " where {}", list(predicates, " and "))?;
                }
                Ok(())
            }
            Plan::Join { keys, .. } => write!(f, "Join on [{}]", list(keys, ", ")),
            Plan::Reduce { keys, aggregates, .. } => {
                write!(f, "Reduce by [{}] compute [{}]", list(keys, ", "), list(aggregates, ", "))
            }
            Plan::Union { .. } => write!(f, "Union"),
            Plan::Exists { keys, anti, .. } => {
                let kind = if *anti { "Anti" } else { "Semi" };
                write!(f, "{kind} join on [{}]", list(keys, ", "))
            }
            Plan::Repeat { count, .. } => write!(f, "Repeat {count}"),
            Plan::FlatMap { calls, .. } => write!(f, "Flat map {calls}"),
            Plan::TopK { keys, order, skip, fetch, numbered, .. } => {
                write!(f, "Top by [{}] order [{}]", list(keys, ", "), list(order, ", "))?;
                if *skip > 0 {
                    write!(f, " skip {skip}")?;
                }
                if let Some(fetch) = fetch {
                    write!(f, " fetch {fetch}")?;
                }
                write!(f, "{}", if *numbered { " numbered" } else { "" })
            }
        }
    }
}

impl fmt::Display for Aggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({}", self.function.name(), if self.distinct { "distinct " } else { "" })?;
        match self.arguments.as_slice() {
            [] => write!(f, "*")?,
            arguments => write!(f, "{}", list(arguments, ", "))?,
        }
        if !self.order.is_empty() {
            write!(f, " order by {}", list(&self.order, ", "))?;
        }
        write!(f, ")")
    }
}

impl fmt::Display for RowCalls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept: Vec<String> = self.kept.iter().map(|column| format!("#{column}")).collect();
        write!(f, "[{}] call [{}]", kept.join(", "), list(&self.calls, ", "))?;
        f.write_str(if self.numbered { " numbered" } else { "" })?;
        f.write_str(if self.outer { " outer" } else { "" })
    }
}

impl fmt::Display for SetCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.function, list(&self.arguments, ", "))
    }
}

impl fmt::Display for JoinKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let equals = if self.nulls_equal { "is not distinct from" } else { "=" };
        write!(f, "{} {equals} {}", self.left, self.right)
    }
}

impl fmt::Display for OrderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direction = if self.descending { " desc" } else { "" };
        let nulls = match (self.descending, self.nulls_first) {
            (false, true) => " nulls first",
            (true, false) => " nulls last",
            (false, false) | (true, true) => "",
        };
        write!(f, "{}{direction}{nulls}", self.expr)
    }
}
