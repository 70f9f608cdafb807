//! `Ladder`: sorted chunks on their way to become one, merged by fuel.
//!
//! Neighbours of similar length are merged as further chunks come in, with fuel in proportion to what
//! comes, so that few chunks wait and updates that cancel do not pile up, yet no single insertion
//! pays for a large merge. Whoever wants one chunk hands out fuel until there is one.

use crate::types::Tick;

use super::batch::Shared;
use super::merger::{BatchMerger, merge};

/// Two chunks that have no more updates together are merged at once.
const AT_ONCE: usize = 1 << 13;

/// The fuel that each merge under way gets for an update that comes in: a merge is then done before
/// as many updates as it takes in have come.
const FUEL_AN_UPDATE: usize = 2;

/// Sorted chunks, the longest first or nearly so.
#[derive(Debug, Default)]
pub(super) struct Ladder {
    rungs: Vec<Rung>,
}

#[derive(Debug)]
enum Rung {
    Chunk(Shared),
    Merge(Box<Merge>),
}

#[derive(Debug)]
struct Merge {
    left: Shared,
    right: Shared,
    merger: BatchMerger,
}

impl Rung {
    fn chunk(&self) -> Option<&Shared> {
        match self {
            Rung::Chunk(chunk) => Some(chunk),
            Rung::Merge(_) => None,
        }
    }

    fn into_parts(self) -> Vec<Shared> {
        self.parts().cloned().collect()
    }

    /// The chunks held, merged or not.
    fn parts(&self) -> impl Iterator<Item = &Shared> {
        match self {
            Rung::Chunk(chunk) => [Some(chunk), None],
            Rung::Merge(merge) => [Some(&merge.left), Some(&merge.right)],
        }
        .into_iter()
        .flatten()
    }
}

impl Ladder {
    /// Takes a chunk in.
    pub(super) fn add(&mut self, chunk: Shared) {
        self.rungs.push(Rung::Chunk(chunk));
        self.begin_merges();
    }

    /// So many updates have come in: goes on with the merges under way.
    pub(super) fn keep_up(&mut self, updates: usize) {
        for index in (0..self.rungs.len()).rev() {
            self.work(index, &mut ((FUEL_AN_UPDATE * updates) as isize));
        }
        self.begin_merges();
    }

    /// Merges until the fuel is burnt or one chunk is left: whether that is so.
    pub(super) fn unite(&mut self, fuel: &mut isize) -> bool {
        loop {
            if !self.finish_merges(fuel) {
                return false;
            }
            // The two shortest: what is merged so far is about as long as the next chunk, so that the
            // work is linear in all updates held.
            self.rungs.sort_by_key(|rung| std::cmp::Reverse(rung.chunk().map_or(0, |chunk| chunk.len())));
            let last = self.rungs.len().saturating_sub(1);
            if last == 0 {
                return true;
            }
            if *fuel <= 0 {
                return false;
            }
            *fuel -= self.begin_merge(last - 1);
        }
    }

    /// Goes on with the merges under way until the fuel is burnt or none is left: whether that is so.
    pub(super) fn finish_merges(&mut self, fuel: &mut isize) -> bool {
        for index in (0..self.rungs.len()).rev() {
            self.work(index, fuel);
        }
        self.rungs.iter().all(|rung| rung.chunk().is_some())
    }

    /// Takes all chunks out; merges under way must be done.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Shared> + use<> {
        let rungs = std::mem::take(&mut self.rungs).into_iter();
        rungs.flat_map(Rung::into_parts)
    }

    /// All chunks, those being merged included.
    pub(super) fn chunks(&self) -> impl Iterator<Item = &Shared> {
        self.rungs.iter().flat_map(Rung::parts)
    }

    /// The least tick of an update held.
    pub(super) fn tick_min(&self) -> Option<Tick> {
        self.chunks().map(|chunk| chunk.tick_min()).min()
    }

    /// Begins merges where a chunk is less than twice as long as the next; short ones are merged here.
    fn begin_merges(&mut self) {
        let mut index = self.rungs.len().saturating_sub(1);
        while index > 0 {
            index -= 1;
            let pair = (self.rungs.get(index), self.rungs.get(index + 1));
            let (Some(Rung::Chunk(left)), Some(Rung::Chunk(right))) = pair else { continue };
            if left.len() < 2 * right.len() {
                self.begin_merge(index);
            }
        }
    }

    /// Begins to merge the chunk at `index` with the next, or merges them: the fuel that this took.
    fn begin_merge(&mut self, index: usize) -> isize {
        let pair: Vec<Shared> = self.rungs.drain(index..index + 2).flat_map(Rung::into_parts).collect();
        let [left, right] = &pair[..] else { unreachable!("chunks, neither under merge") };
        let updates = left.len() + right.len();
        if updates <= AT_ONCE {
            let merged = merge(left, right).map(Rung::Chunk);
            merged.into_iter().for_each(|chunk| self.rungs.insert(index, chunk));
            return updates as isize;
        }
        let merger = BatchMerger::begin(left, right, Tick::MIN);
        let (left, right) = (left.clone(), right.clone());
        self.rungs.insert(index, Rung::Merge(Box::new(Merge { left, right, merger })));
        0
    }

    /// Goes on with the merge at `index`, if there is one; afterwards a chunk, or nothing, is in its place.
    fn work(&mut self, index: usize, fuel: &mut isize) {
        let Some(Rung::Merge(merge)) = self.rungs.get_mut(index) else { return };
        merge.merger.work_on(&merge.left, &merge.right, fuel);
        if *fuel > 0
            && let Rung::Merge(merge) = self.rungs.remove(index)
            && let Some(merged) = merge.merger.finish()
        {
            self.rungs.insert(index, Rung::Chunk(merged));
        }
    }
}
