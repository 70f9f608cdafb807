//! Values of sequences that were set aside: logged as given, and given out from memory.
//!
//! ```text
//!   nextval ─▶ values at hand? ──yes──▶ given out
//!                  └──no──▶ a change of the catalog moves the sequence on (`CatalogChange::Move`), then again
//! ```
//! So a value is never given twice, whatever happens, and most are given without a write. What is set aside when the
//! server stops is left out, as in PostgreSQL after a crash. Whatever else changes a sequence (setval, ALTER SEQUENCE,
//! DROP) shows in the catalog, and what was set aside before counts no more.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use millrace_engine::{DataError, RelationId};
use millrace_sql::{Catalog, CatalogChange, Position, Sequence, SqlError};

use crate::coordinator::{Coordinator, Holds, Request};

/// Values are set aside at least so many at a time: PostgreSQL's number.
const SET_ASIDE: usize = 32;

/// Values at hand, by sequence.
#[derive(Default)]
pub struct Reserves {
    reserves: Mutex<BTreeMap<RelationId, Reserve>>,
    /// Who sets values aside does so alone.
    setting_aside: tokio::sync::Mutex<()>,
}

/// Values of one sequence that were set aside.
struct Reserve {
    /// The sequence as the catalog has it: its position is behind the last value set aside.
    sequence: Sequence,
    /// The last value that was given out.
    given: Position,
    /// How many may be given out yet.
    left: usize,
}

/// Values that were given out at once, so that they can be given back.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    sequence: RelationId,
    from: Position,
    to: Position,
    count: usize,
}

impl Taken {
    /// Whether they are of this sequence.
    pub fn is_of(&self, sequence: RelationId) -> bool {
        self.sequence == sequence
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }
}

impl Reserves {
    /// The next values; `None` where they have to be set aside first.
    ///
    /// # Errors
    /// 2200H where there are none left; 42P01 where the sequence is gone.
    pub fn take(
        &self,
        catalog: &Catalog,
        id: RelationId,
        count: usize,
    ) -> Result<Option<(Vec<i64>, Taken)>, DataError> {
        let (name, sequence) = named(catalog, id)?;
        let mut reserves = self.reserves.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(reserve) = reserves.get_mut(&id).filter(|reserve| reserve.sequence == *sequence) else {
            reserves.remove(&id);
            return Ok(None);
        };
        if reserve.left < count {
            // Behind what is set aside there may be nothing more.
            return match sequence.next(sequence.position) {
                Some(_) => Ok(None),
                None => Err(sequence.exhausted(name)),
            };
        }
        let from = reserve.given;
        let mut values = Vec::with_capacity(count);
        for _ in 0..count {
            reserve.given = sequence.next(reserve.given).ok_or_else(|| sequence.exhausted(name))?;
            values.push(reserve.given.value);
        }
        reserve.left -= count;
        let taken = Taken { sequence: id, from, to: reserve.given, count };
        Ok(Some((values, taken)))
    }

    /// Takes values back that nobody has seen, unless others were given since.
    pub fn give_back(&self, taken: &Taken) {
        let mut reserves = self.reserves.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reserve) = reserves.get_mut(&taken.sequence)
            && reserve.given == taken.to
        {
            reserve.given = taken.from;
            reserve.left += taken.count;
        }
    }

    /// How far a sequence is, for those who look at it.
    ///
    /// # Errors
    /// 42P01 where it is gone.
    pub fn position(&self, catalog: &Catalog, id: RelationId) -> Result<Position, DataError> {
        let (_, sequence) = named(catalog, id)?;
        let reserves = self.reserves.lock().unwrap_or_else(PoisonError::into_inner);
        let reserve = reserves.get(&id).filter(|reserve| reserve.sequence == *sequence);
        Ok(reserve.map_or(sequence.position, |reserve| reserve.given))
    }

    /// Sets values aside, so that `count` are at hand, or all that are left.
    ///
    /// # Errors
    /// 2200H where none is left; the commit's.
    pub async fn set_aside(
        &self,
        coordinator: &Coordinator,
        holds: &Holds,
        id: RelationId,
        count: usize,
    ) -> Result<(), SqlError> {
        let _alone = self.setting_aside.lock().await;
        let catalog = holds.catalog();
        let (name, sequence) = named(&catalog, id)?;
        let (given, at_hand) = {
            let reserves = self.reserves.lock().unwrap_or_else(PoisonError::into_inner);
            match reserves.get(&id).filter(|reserve| reserve.sequence == *sequence) {
                Some(reserve) => (reserve.given, reserve.left),
                None => (sequence.position, 0),
            }
        };
        let more = count.saturating_sub(at_hand).max(SET_ASIDE);
        let mut position = sequence.position;
        let mut set_aside = 0;
        while set_aside < more
            && let Some(next) = sequence.next(position)
        {
            position = next;
            set_aside += 1;
        }
        if set_aside == 0 {
            return Err(sequence.exhausted(name).into());
        }
        commit_move(coordinator, id, position).await?;
        let sequence = Sequence { position, ..sequence.clone() };
        let mut reserves = self.reserves.lock().unwrap_or_else(PoisonError::into_inner);
        // Values may have been given out while the commit was under way.
        let (given, at_hand) = match reserves.remove(&id) {
            Some(reserve) if at_hand > 0 => (reserve.given, reserve.left),
            _ => (given, at_hand),
        };
        reserves.insert(id, Reserve { sequence, given, left: at_hand + set_aside });
        Ok(())
    }

    /// setval.
    ///
    /// # Errors
    /// The commit's.
    pub async fn move_to(
        &self,
        coordinator: &Coordinator,
        id: RelationId,
        position: Position,
    ) -> Result<(), SqlError> {
        let _alone = self.setting_aside.lock().await;
        commit_move(coordinator, id, position).await?;
        self.reserves.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        Ok(())
    }
}

async fn commit_move(coordinator: &Coordinator, id: RelationId, position: Position) -> Result<(), SqlError> {
    let catalog = vec![CatalogChange::Move(id, position)];
    let request = Request { catalog, ..Request::default() };
    coordinator.commit(request).await.map(drop)
}

/// A sequence with its name.
///
/// # Errors
/// 42P01 where it is gone.
pub fn named(catalog: &Catalog, id: RelationId) -> Result<(&str, &Sequence), DataError> {
    let gone = || DataError::new("42P01", "the sequence does not exist any more");
    let relation = catalog.by_id(id).ok_or_else(gone)?;
    Ok((&relation.name, catalog.sequence(id).ok_or_else(gone)?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use millrace_engine::DataType;
    use millrace_sql::{Relation, RelationKind, SchemaId};

    use super::*;

    const ID: RelationId = RelationId(1);

    fn catalog(position: Position) -> Catalog {
        let data_type = DataType::Int64;
        let kind = RelationKind::Sequence(Sequence {
            data_type,
            start: 1,
            increment: 1,
            min: 1,
            max: 40,
            cycles: false,
            cache: 1,
            position,
        });
        let relation = Relation {
            id: ID,
            name: "s".to_owned(),
            schema: SchemaId::PUBLIC,
            columns: Vec::new(),
            kind,
            created: 1,
        };
        let mut catalog = Catalog::default();
        catalog.apply(&CatalogChange::Create(relation)).unwrap();
        catalog
    }

    fn called(value: i64) -> Position {
        Position { value, is_called: true }
    }

    fn reserves(catalog: &Catalog, given: i64, left: usize) -> Reserves {
        let reserves = Reserves::default();
        let sequence = catalog.sequence(ID).unwrap().clone();
        reserves.reserves.lock().unwrap().insert(ID, Reserve { sequence, given: called(given), left });
        reserves
    }

    #[test]
    fn values_are_given_once_and_taken_back_by_the_last() {
        let catalog = catalog(called(32));
        let reserves = reserves(&catalog, 10, 22);
        let (first, taken) = reserves.take(&catalog, ID, 2).unwrap().unwrap();
        assert_eq!(first, [11, 12]);
        let (second, other) = reserves.take(&catalog, ID, 1).unwrap().unwrap();
        assert_eq!(second, [13]);
        reserves.give_back(&taken);
        assert_eq!(reserves.take(&catalog, ID, 1).unwrap().unwrap().0, [14]);
        reserves.give_back(&other);
        assert_eq!(reserves.position(&catalog, ID).unwrap(), called(14));
        assert!(reserves.take(&catalog, ID, 19).unwrap().is_none(), "only 18 are set aside");
        assert_eq!(reserves.take(&catalog, ID, 18).unwrap().unwrap().0.last(), Some(&32));
    }

    #[test]
    fn what_was_set_aside_counts_no_more_once_the_sequence_was_moved() {
        let reserves = reserves(&catalog(called(32)), 10, 22);
        let moved = catalog(called(3));
        assert!(reserves.take(&moved, ID, 1).unwrap().is_none());
        assert_eq!(reserves.position(&moved, ID).unwrap(), called(3));
    }

    #[test]
    fn the_end_of_a_sequence_is_an_error() {
        let catalog = catalog(called(40));
        let reserves = reserves(&catalog, 39, 1);
        assert_eq!(reserves.take(&catalog, ID, 2).unwrap_err().sqlstate, "2200H");
        assert_eq!(reserves.take(&catalog, ID, 1).unwrap().unwrap().0, [40]);
        assert_eq!(reserves.take(&catalog, ID, 1).unwrap_err().sqlstate, "2200H");
    }
}
