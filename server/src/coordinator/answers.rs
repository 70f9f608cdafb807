//! What was answered to requests that are to be done once, so that the same request again gets the same answer.
//!
//! A request says so by an idempotency key. Key and content are kept as their hashes, so that each entry has one size.
//! An answer stands in the record of the log that its rows are in, and is forgotten `KEPT_MICROS` after its tick.
//! Invariant: there are at most `len_max` entries beside those of one group; what was promised is never forgotten
//! early, so a new key beyond that is refused.

use std::collections::{HashMap, VecDeque};

use millrace_engine::Tick;
use millrace_sql::SqlError;

/// How long an answer is kept: 24 hours.
const KEPT_MICROS: Tick = 24 * 3_600 * 1_000_000;

/// BLAKE3 of something.
pub type Digest = [u8; 32];

/// A request that is to be done once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Once {
    /// Of the client's key.
    pub key: Digest,
    /// Of what the client asked for.
    pub content: Digest,
    /// The rows that it adds.
    pub rows: u64,
}

/// What a request that was done once was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Of what the client asked for.
    pub content: Digest,
    /// The rows that it added.
    pub rows: u64,
    /// When they were added.
    pub tick: Tick,
}

/// The answers of the last 24 hours.
#[derive(Clone, Debug)]
pub struct Answers {
    by_key: HashMap<Digest, Answer>,
    /// The oldest first. A key that was forgotten and used again is here twice.
    order: VecDeque<(Tick, Digest)>,
    len_max: usize,
}

impl Answers {
    /// None so far.
    pub fn new(len_max: usize) -> Answers {
        Answers { by_key: HashMap::new(), order: VecDeque::new(), len_max }
    }

    /// The answer to a request that was done before.
    ///
    /// # Errors
    /// 22023 where its key came with another content.
    pub fn find(&self, once: &Once, now: Tick) -> Result<Option<Answer>, SqlError> {
        match self.by_key.get(&once.key).filter(|answer| !is_over(answer.tick, now)) {
            None => Ok(None),
            Some(answer) if answer.content == once.content => Ok(Some(*answer)),
            Some(_) => Err(key_used()),
        }
    }

    /// # Errors
    /// 53400 where so many keys are kept that another one has no place, those of a group that is being formed included.
    pub fn check_room(&self, forming: usize) -> Result<(), SqlError> {
        if self.by_key.len() + forming < self.len_max {
            return Ok(());
        }
        Err(SqlError::new("53400", "too many idempotency keys are in use")
            .detail(format!("Each is kept for 24 hours, and there can be {} of them.", self.len_max))
            .hint("Send more rows with each request, or start with a larger --idempotency-keys."))
    }

    /// Keeps an answer. Ticks ascend.
    pub fn keep(&mut self, once: &Once, tick: Tick) {
        self.by_key.insert(once.key, Answer { content: once.content, rows: once.rows, tick });
        self.order.push_back((tick, once.key));
    }

    /// Forgets what is too old.
    pub fn forget_old(&mut self, now: Tick) {
        while let Some((tick, key)) = self.order.front().filter(|(tick, _)| is_over(*tick, now)) {
            if self.by_key.get(key).is_some_and(|answer| answer.tick == *tick) {
                self.by_key.remove(key);
            }
            self.order.pop_front();
        }
        if self.order.is_empty() {
            self.by_key.shrink_to(0);
            self.order.shrink_to(0);
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }
}

fn is_over(tick: Tick, now: Tick) -> bool {
    tick.saturating_add(KEPT_MICROS) <= now
}

/// 22023: the key stands for another request.
pub(crate) fn key_used() -> SqlError {
    SqlError::new("22023", "the idempotency key was used for another request")
        .detail("Its content, its table or its content type was another one.")
        .hint("Use a new key for each request, and the same key only to send a request again.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn once(key: u8, content: u8) -> Once {
        Once { key: [key; 32], content: [content; 32], rows: 3 }
    }

    #[test]
    fn the_same_request_gets_the_same_answer_and_another_one_is_refused() {
        let mut answers = Answers::new(10);
        assert_eq!(answers.find(&once(1, 1), 5), Ok(None));
        answers.keep(&once(1, 1), 5);
        let answer = Answer { content: [1; 32], rows: 3, tick: 5 };
        assert_eq!(answers.find(&once(1, 1), 6), Ok(Some(answer)));
        assert_eq!(answers.find(&once(1, 2), 6).map_err(|error| error.sqlstate), Err("22023".to_owned()));
    }

    #[test]
    fn answers_leave_memory_after_a_day() {
        let mut answers = Answers::new(10);
        answers.keep(&once(1, 1), 5);
        answers.keep(&once(2, 1), 9);
        assert_eq!(answers.find(&once(1, 2), 5 + KEPT_MICROS), Ok(None));
        answers.forget_old(4 + KEPT_MICROS);
        assert_eq!(answers.len(), 2);
        answers.forget_old(5 + KEPT_MICROS);
        assert_eq!((answers.len(), answers.is_empty()), (1, false));
        // Used again before it was forgotten: the old entry does not take the new one along.
        answers.keep(&once(2, 7), 9 + KEPT_MICROS);
        answers.forget_old(9 + KEPT_MICROS);
        assert_eq!((answers.len(), answers.order.len()), (1, 1));
        answers.forget_old(9 + 2 * KEPT_MICROS);
        assert_eq!((answers.len(), answers.order.len(), answers.by_key.capacity()), (0, 0, 0));
    }

    #[test]
    fn a_key_too_many_is_refused() {
        let mut answers = Answers::new(2);
        answers.keep(&once(1, 1), 5);
        assert_eq!(answers.check_room(0), Ok(()));
        assert_eq!(answers.check_room(1).map_err(|error| error.sqlstate), Err("53400".to_owned()));
    }
}
