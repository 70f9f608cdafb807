//! A `Rel` as text, one operator a line with its inputs indented below it.

use std::fmt;

use millrace_engine::Expr;

use super::rel::{JoinKind, Lookup, LookupKey, Rel, SortKey};

fn list<T: fmt::Display>(items: &[T], separator: &str) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(separator)
}

fn conditions(word: &str, predicates: &[Expr]) -> String {
    if predicates.is_empty() { String::new() } else { format!(" {word} {}", list(predicates, " and ")) }
}

impl Rel {
    fn fmt_indented(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        write!(f, "{:indent$}", "", indent = depth * 2)?;
        let below = |f: &mut fmt::Formatter<'_>, input: &Rel| input.fmt_indented(f, depth + 1);
        match self {
            Rel::Scan { relation, by: None, .. } => writeln!(f, "Scan {relation}"),
            Rel::Scan { relation, by: Some(lookup), .. } => {
                writeln!(f, "Index Scan using {} on {relation}", lookup.index)?;
                writeln!(f, "{:indent$}Index Cond: {lookup}", "", indent = depth * 2 + 2)
            }
            Rel::Values { rows, .. } => writeln!(f, "Values {} rows", rows.len()),
            Rel::Project { input, predicates, outputs } => {
                writeln!(f, "Project [{}]{}", list(outputs, ", "), conditions("where", predicates))?;
                below(f, input)
            }
            Rel::Join { kind, left, right, on } => {
                writeln!(f, "{kind} join{}", conditions("on", on))?;
                below(f, left)?;
                below(f, right)
            }
            Rel::Aggregate { input, keys, aggregates } => {
                writeln!(f, "Aggregate by [{}] compute [{}]", list(keys, ", "), list(aggregates, ", "))?;
                below(f, input)
            }
            Rel::Union { inputs } => {
                writeln!(f, "Union")?;
                inputs.iter().try_for_each(|input| below(f, input))
            }
            Rel::Distinct { input } => {
                writeln!(f, "Distinct")?;
                below(f, input)
            }
            Rel::Sort { input, keys } => {
                writeln!(f, "Sort by {}", list(keys, ", "))?;
                below(f, input)
            }
            Rel::Limit { input, skip, fetch } => {
                let fetch = fetch.map_or_else(|| "all".to_owned(), |fetch| fetch.to_string());
                writeln!(f, "Limit {fetch} offset {skip}")?;
                below(f, input)
            }
            Rel::Repeat { input, count } => {
                writeln!(f, "Repeat {count}")?;
                below(f, input)
            }
            Rel::FlatMap { input, calls } => {
                writeln!(f, "Flat map {calls}")?;
                below(f, input)
            }
            Rel::TopK { input, keys, order, skip, fetch, numbered } => {
                let fetch = fetch.map_or_else(|| "all".to_owned(), |fetch| fetch.to_string());
                let numbered = if *numbered { " numbered" } else { "" };
                let (keys, order) = (list(keys, ", "), list(order, ", "));
                writeln!(f, "Top {fetch} offset {skip} by [{keys}] order [{order}]{numbered}")?;
                below(f, input)
            }
        }
    }
}

impl fmt::Display for Rel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_indented(f, 0)
    }
}

impl fmt::Display for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let conditions = list(&self.keys, " AND ");
        if self.keys.len() == 1 { f.write_str(&conditions) } else { write!(f, "({conditions})") }
    }
}

impl fmt::Display for LookupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.values.as_slice() {
            [value] => write!(f, "({} = {value})", self.text),
            values => write!(f, "({} IN ({}))", self.text, list(values, ", ")),
        }
    }
}

impl fmt::Display for JoinKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            JoinKind::Inner => "Inner",
            JoinKind::Left => "Left",
            JoinKind::Right => "Right",
            JoinKind::Full => "Full",
            JoinKind::Semi => "Semi",
            JoinKind::Anti => "Anti",
        })
    }
}

impl fmt::Display for SortKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direction = if self.descending { " desc" } else { "" };
        let nulls = if self.nulls_first { " nulls first" } else { "" };
        write!(f, "#{}{direction}{nulls}", self.column)
    }
}
