//! Texts as numbers: a text that has few values is kept once, and the rows of the hand-written
//! programs carry its number, which is smaller and compared faster.
//!
//! A worker knows the texts that it has met; the first time it asks the table that all share.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::consumer::RowHash;

/// A hash table with the consumer's hash: the default one guards against attackers, and is slow.
pub(crate) type FastMap<K, V> = HashMap<K, V, BuildHasherDefault<RowHash>>;

/// A text's number.
pub(crate) type Symbol = u32;

/// All texts of this process, by their numbers.
static TEXTS: Mutex<Vec<Arc<str>>> = Mutex::new(Vec::new());

fn texts() -> MutexGuard<'static, Vec<Arc<str>>> {
    TEXTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives texts their numbers.
#[derive(Default)]
pub(crate) struct Writer(FastMap<Arc<str>, Symbol>);

impl Writer {
    /// The number of a text.
    pub(crate) fn symbol(&mut self, text: &str) -> Symbol {
        match self.0.get(text) {
            Some(symbol) => *symbol,
            None => self.meet(text),
        }
    }

    fn meet(&mut self, text: &str) -> Symbol {
        let mut texts = texts();
        let known = texts.iter().position(|known| **known == *text);
        let number = known.unwrap_or_else(|| {
            texts.push(text.into());
            texts.len() - 1
        });
        let symbol = Symbol::try_from(number).expect("symbols are for texts with few values");
        self.0.insert(Arc::clone(&texts[number]), symbol);
        symbol
    }
}

/// Gives numbers their texts.
#[derive(Default)]
pub(crate) struct Reader(Vec<Arc<str>>);

impl Reader {
    /// The text of a number that some worker gave.
    pub(crate) fn text(&mut self, symbol: Symbol) -> &str {
        let index = symbol as usize;
        if self.0.len() <= index {
            self.0.clone_from(&texts());
        }
        &self.0[index]
    }
}
