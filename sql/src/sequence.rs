//! Sequences: what they are, and which values they give next, as PostgreSQL's do.
//!
//! A sequence in the catalog knows the last value that was set aside (`Position`); who gives values out keeps those
//! between that and the last one given in memory, so that after a crash some are left out and none is given twice.

use std::fmt;

use millrace_engine::{DataError, DataType, RelationId};
use serde::{Deserialize, Serialize};

/// A sequence. Serialised in the log: new fields need a default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sequence {
    /// smallint, integer or bigint: what its bounds are within.
    pub data_type: DataType,
    /// The value that RESTART goes back to.
    pub start: i64,
    /// The step, never 0.
    pub increment: i64,
    /// The least value.
    pub min: i64,
    /// The greatest value.
    pub max: i64,
    /// Whether it begins anew behind its last value.
    pub cycles: bool,
    /// CACHE, which is kept and shown; values are set aside for all sessions together.
    pub cache: i64,
    /// How far it is.
    pub position: Position,
}

/// How far a sequence is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// A value.
    pub value: i64,
    /// Whether the value has been given; else it comes next.
    pub is_called: bool,
}

impl Sequence {
    /// The position behind the next value, which is in it; `None` where there is none left.
    pub fn next(&self, position: Position) -> Option<Position> {
        let given = |value| Some(Position { value, is_called: true });
        if !position.is_called {
            return given(position.value);
        }
        let next = position.value.checked_add(self.increment);
        match next.filter(|next| (self.min..=self.max).contains(next)) {
            Some(next) => given(next),
            None if !self.cycles => None,
            None if self.increment > 0 => given(self.min),
            None => given(self.max),
        }
    }

    /// The position at which a sequence starts again.
    pub fn restart(&self) -> Position {
        Position { value: self.start, is_called: false }
    }

    /// 2200H: no value is left.
    pub fn exhausted(&self, name: &str) -> DataError {
        let (end, limit) = if self.increment > 0 { ("maximum", self.max) } else { ("minimum", self.min) };
        DataError::new("2200H", format!("nextval: reached {end} value of sequence \"{name}\" ({limit})"))
    }

    /// The bounds that a type has in the direction of a step.
    pub fn bounds(data_type: DataType, increment: i64) -> (i64, i64) {
        let (least, greatest) = Sequence::range(data_type);
        if increment > 0 { (1, greatest) } else { (least, -1) }
    }

    /// All values of a type.
    pub fn range(data_type: DataType) -> (i64, i64) {
        match data_type {
            DataType::Int16 => (i64::from(i16::MIN), i64::from(i16::MAX)),
            DataType::Int32 => (i64::from(i32::MIN), i64::from(i32::MAX)),
            _ => (i64::MIN, i64::MAX),
        }
    }
}

/// Who gives values of sequences to the queries of a session. An error of code `WANTED` says that the values were
/// not at hand, and that the query will do when it is run again.
pub trait Sequences: fmt::Debug + Send + Sync {
    /// The next `count` values.
    ///
    /// # Errors
    /// 2200H where none is left.
    fn next(&self, sequence: RelationId, count: usize) -> Result<Vec<i64>, DataError>;

    /// The value that this session was given last.
    ///
    /// # Errors
    /// 55000 where it was given none.
    fn current(&self, sequence: RelationId) -> Result<i64, DataError>;

    /// The value that this session was given last, of any sequence.
    ///
    /// # Errors
    /// 55000 where it was given none.
    fn last(&self) -> Result<i64, DataError>;

    /// Moves a sequence, when the statement has succeeded.
    ///
    /// # Errors
    /// 22003 where the value is out of bounds.
    fn set(&self, sequence: RelationId, position: Position) -> Result<(), DataError>;

    /// How far a sequence is.
    ///
    /// # Errors
    /// 42P01 where it is gone.
    fn position(&self, sequence: RelationId) -> Result<Position, DataError>;
}

/// The code of an error that says that values of a sequence have to be set aside first.
pub const WANTED: &str = "MR001";

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(increment: i64, min: i64, max: i64, cycles: bool) -> Sequence {
        let start = if increment > 0 { min } else { max };
        let position = Position { value: start, is_called: false };
        Sequence { data_type: DataType::Int64, start, increment, min, max, cycles, cache: 1, position }
    }

    fn values(sequence: &Sequence, count: usize) -> Vec<i64> {
        let mut position = Some(sequence.position);
        let next = || {
            position = position.and_then(|position| sequence.next(position));
            position.map(|position| position.value)
        };
        std::iter::from_fn(next).take(count).collect()
    }

    #[test]
    fn a_sequence_ends_at_its_bound_or_begins_anew() {
        assert_eq!(values(&sequence(2, 1, 6, false), 9), [1, 3, 5]);
        assert_eq!(values(&sequence(2, 1, 6, true), 5), [1, 3, 5, 1, 3]);
        assert_eq!(values(&sequence(-3, -7, -1, false), 9), [-1, -4, -7]);
        assert_eq!(values(&sequence(-3, -7, -1, true), 4), [-1, -4, -7, -1]);
        assert_eq!(values(&sequence(i64::MAX, 1, i64::MAX, false), 9), [1]);
    }
}
