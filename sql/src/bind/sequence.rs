//! CREATE SEQUENCE and ALTER SEQUENCE: options become a sequence, by PostgreSQL's rules.

use millrace_engine::{DataType, RelationId};

use super::create::{CREATED_LATER, ID_LATER, created, terms};
use super::{Scope, relations};
use crate::bound::{Alteration, Bound};
use crate::catalog::{CatalogChange, Column, Generated, Owned, Relation, RelationKind, SchemaId};
use crate::error::SqlError;
use crate::parse::not_a_sequence_type;
use crate::query::types::display;
use crate::sequence::{Position, Sequence};
use crate::statement::{AlterSequence, ColumnName, CreateSequence, SequenceOption, SequenceOptions};

/// Binds CREATE SEQUENCE.
pub(super) fn create(create: &CreateSequence, scope: &Scope) -> Result<Bound, SqlError> {
    if let Some((_, position)) = owner_option(&create.options) {
        return Err(SqlError::unsupported("CREATE SEQUENCE … OWNED BY")
            .hint("Create it first, then say ALTER SEQUENCE … OWNED BY.")
            .position(position));
    }
    let sequence = defined(&create.options)?;
    let kind = RelationKind::Sequence(sequence);
    created(&create.name, terms(create.if_not_exists), columns(), kind, scope)
}

/// Binds ALTER SEQUENCE.
pub(super) fn alter(alter: &AlterSequence, scope: &Scope) -> Result<Bound, SqlError> {
    const TAG: &str = "ALTER SEQUENCE";
    let relation = match relations::altered(&alter.name, alter.if_exists, scope)? {
        Ok(relation) => relation,
        Err(notice) => {
            return Ok(Bound::Alter(Alteration { notices: vec![notice], ..Alteration::new(TAG) }));
        }
    };
    let sequence = of_relation(relation).map_err(|error| error.position(alter.name.position))?;
    let changed = redefined(sequence, &alter.options)?;
    let position = changed.position;
    let mut replaced = vec![Relation { kind: RelationKind::Sequence(changed), ..Relation::clone(relation) }];
    if let Some((owner, position)) = owner_option(&alter.options) {
        let owners = owned_by(relation, owner.as_ref(), scope);
        replaced.extend(owners.map_err(|error| error.position(position))?);
    }
    // How far the sequence is the commit path knows better, unless it starts anew.
    let restarts = alter.options.0.iter().any(|(option, _)| matches!(option, SequenceOption::Restart(_)));
    let moved = restarts.then_some(CatalogChange::Move(relation.id, position));
    let changes = replaced.into_iter().map(CatalogChange::Replace).chain(moved).collect();
    Ok(Bound::Alter(Alteration { changes, ..Alteration::new(TAG) }))
}

/// The sequence that a relation is.
///
/// # Errors
/// 42809 where it is none.
pub(crate) fn of_relation(relation: &Relation) -> Result<&Sequence, SqlError> {
    match &relation.kind {
        RelationKind::Sequence(sequence) => Ok(sequence),
        RelationKind::Table { .. }
        | RelationKind::View { .. }
        | RelationKind::MaterializedView { .. }
        | RelationKind::Index { .. } => {
            Err(SqlError::new("42809", format!("\"{}\" is not a sequence", relation.name)))
        }
    }
}

/// What `SELECT * FROM sequence` shows.
pub(super) fn columns() -> Vec<Column> {
    let column = |name: &str, data_type| Column::new(name.to_owned(), data_type, false);
    vec![
        column("last_value", DataType::Int64),
        column("log_cnt", DataType::Int64),
        column("is_called", DataType::Boolean),
    ]
}

/// A sequence that a table makes for a column of its own.
pub(super) fn of_column(
    name: String,
    schema: SchemaId,
    options: &SequenceOptions,
) -> Result<Relation, SqlError> {
    if let Some((_, position)) = owner_option(options) {
        let message = "conflicting or redundant options";
        return Err(SqlError::new("42601", message).position(position));
    }
    let kind = RelationKind::Sequence(defined(options)?);
    Ok(Relation { id: ID_LATER, name, schema, columns: columns(), kind, created: CREATED_LATER })
}

/// A new sequence of these options.
fn defined(options: &SequenceOptions) -> Result<Sequence, SqlError> {
    let blank = Sequence {
        data_type: DataType::Int64,
        start: 1,
        increment: 1,
        min: 1,
        max: i64::MAX,
        cycles: false,
        cache: 1,
        position: Position { value: 1, is_called: false },
    };
    Options::read(options)?.applied(&blank, true)
}

/// The sequence with these options changed.
fn redefined(sequence: &Sequence, options: &SequenceOptions) -> Result<Sequence, SqlError> {
    Options::read(options)?.applied(sequence, false)
}

fn owner_option(options: &SequenceOptions) -> Option<(&Option<ColumnName>, usize)> {
    options.0.iter().find_map(|(option, position)| match option {
        SequenceOption::OwnedBy(owner) => Some((owner, *position)),
        _ => None,
    })
}

/// Options by what they say.
#[derive(Default)]
struct Options {
    data_type: Option<DataType>,
    increment: Option<i64>,
    min: Option<Option<i64>>,
    max: Option<Option<i64>>,
    start: Option<i64>,
    restart: Option<Option<i64>>,
    cache: Option<i64>,
    cycles: Option<bool>,
}

/// 22023 with a message.
fn wrong(message: String) -> SqlError {
    SqlError::new("22023", message)
}

impl Options {
    fn read(given: &SequenceOptions) -> Result<Options, SqlError> {
        let mut options = Options::default();
        for (option, position) in &given.0 {
            match option {
                SequenceOption::Type(data_type) => {
                    if !matches!(data_type, DataType::Int16 | DataType::Int32 | DataType::Int64) {
                        return Err(not_a_sequence_type().position(*position));
                    }
                    options.data_type = Some(*data_type);
                }
                SequenceOption::Increment(value) => options.increment = Some(*value),
                SequenceOption::Min(value) => options.min = Some(*value),
                SequenceOption::Max(value) => options.max = Some(*value),
                SequenceOption::Start(value) => options.start = Some(*value),
                SequenceOption::Restart(value) => options.restart = Some(*value),
                SequenceOption::Cache(value) => options.cache = Some(*value),
                SequenceOption::Cycles(value) => options.cycles = Some(*value),
                SequenceOption::OwnedBy(_) => {}
            }
        }
        Ok(options)
    }

    /// The sequence with these options; a new one starts at its first value.
    fn applied(&self, from: &Sequence, is_new: bool) -> Result<Sequence, SqlError> {
        let mut to = from.clone();
        to.data_type = self.data_type.unwrap_or(from.data_type);
        to.cycles = self.cycles.unwrap_or(from.cycles);
        to.increment = self.increment.unwrap_or(from.increment);
        if to.increment == 0 {
            return Err(wrong("INCREMENT must not be zero".to_owned()));
        }
        self.set_bounds(&mut to, from, is_new)?;
        to.start = match self.start {
            Some(start) => start,
            None if is_new => {
                if to.increment > 0 {
                    to.min
                } else {
                    to.max
                }
            }
            None => from.start,
        };
        check_within("START", to.start, &to)?;
        to.position = match self.restart {
            Some(restart) => Position { value: restart.unwrap_or(to.start), is_called: false },
            None if is_new => to.restart(),
            None => from.position,
        };
        check_within("RESTART", to.position.value, &to)?;
        to.cache = self.cache.unwrap_or(from.cache);
        if to.cache <= 0 {
            return Err(wrong(format!("CACHE ({}) must be greater than zero", to.cache)));
        }
        Ok(to)
    }

    /// The bounds that were given, or that follow from type and direction. Those of another type than before
    /// follow it where they were the whole type's.
    fn set_bounds(&self, to: &mut Sequence, from: &Sequence, is_new: bool) -> Result<(), SqlError> {
        let (least, greatest) = Sequence::range(to.data_type);
        let (from_least, from_greatest) = Sequence::range(from.data_type);
        let (default_min, default_max) = Sequence::bounds(to.data_type, to.increment);
        let is_other_type = to.data_type != from.data_type;
        to.max = match self.max {
            Some(Some(max)) => max,
            Some(None) => default_max,
            None if is_new || (is_other_type && from.max == from_greatest) => default_max,
            None => from.max,
        };
        to.min = match self.min {
            Some(Some(min)) => min,
            Some(None) => default_min,
            None if is_new || (is_other_type && from.min == from_least) => default_min,
            None => from.min,
        };
        for (name, value) in [("MAXVALUE", to.max), ("MINVALUE", to.min)] {
            if !(least..=greatest).contains(&value) {
                let data_type = display(to.data_type);
                let message = format!("{name} ({value}) is out of range for sequence data type {data_type}");
                return Err(wrong(message));
            }
        }
        if to.min >= to.max {
            let message = format!("MINVALUE ({}) must be less than MAXVALUE ({})", to.min, to.max);
            return Err(wrong(message));
        }
        Ok(())
    }
}

fn check_within(what: &str, value: i64, sequence: &Sequence) -> Result<(), SqlError> {
    let Sequence { min, max, .. } = sequence;
    if value < *min {
        return Err(wrong(format!("{what} value ({value}) cannot be less than MINVALUE ({min})")));
    }
    if value > *max {
        return Err(wrong(format!("{what} value ({value}) cannot be greater than MAXVALUE ({max})")));
    }
    Ok(())
}

/// The tables that change when a sequence goes with another column.
fn owned_by(
    sequence: &Relation,
    owner: Option<&ColumnName>,
    scope: &Scope,
) -> Result<Vec<Relation>, SqlError> {
    let before = scope.catalog.owner(sequence.id);
    if let Some((table, column)) = before
        && let Some(drawn) = table.rules().and_then(|rules| rules.drawn_of(column))
        && drawn.sequence == sequence.id
        && drawn.generated != Generated::Default
    {
        return Err(SqlError::new("0A000", "cannot change ownership of identity sequence")
            .detail(format!("Sequence \"{}\" is linked to table \"{}\".", sequence.name, table.name)));
    }
    let mut changed: Vec<Relation> = Vec::new();
    if let Some((table, _)) = before {
        changed.push(without_owned(table, sequence.id));
    }
    let Some(ColumnName { table: table_name, column }) = owner else { return Ok(changed) };
    let table = relations::existing(table_name, scope)?;
    let place = table.columns.iter().position(|own| own.name == column.value).ok_or_else(|| {
        let message = format!("column \"{}\" of relation \"{}\" does not exist", column.value, table.name);
        SqlError::new("42703", message)
    })?;
    if !matches!(table.kind, RelationKind::Table { .. }) {
        let message = format!("sequence cannot be owned by relation \"{}\"", table.name);
        return Err(SqlError::new("42809", message)
            .detail(format!("This operation is not supported for {}s.", table.kind_name())));
    }
    if table.schema != sequence.schema {
        let message = "sequence must be in same schema as table it is linked to";
        return Err(SqlError::new("55000", message));
    }
    let mut owner = match changed.iter().position(|relation| relation.id == table.id) {
        Some(at) => changed.remove(at),
        None => Relation::clone(table),
    };
    if let RelationKind::Table { rules, .. } = &mut owner.kind {
        rules.owned.push(Owned { column: place, sequence: sequence.id });
    }
    changed.push(owner);
    Ok(changed)
}

fn without_owned(table: &Relation, sequence: RelationId) -> Relation {
    let mut table = table.clone();
    if let RelationKind::Table { rules, .. } = &mut table.kind {
        rules.owned.retain(|owned| owned.sequence != sequence);
    }
    table
}
