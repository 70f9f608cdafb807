//! `SimulatedDisk`: a file system in memory that crashes, tears and refuses by seed.
//!
//! A file has two contents: what readers see (the page cache) and what is on the medium. A write
//! is in the first at once; it reaches the second by `sync`, or by chance, a sector of 512 bytes
//! at a time. Names behave alike, with `sync_folder`; of names that were not synced a crash keeps
//! the first few, as a journal does, or any, as a file system without a journal does. After a failed `sync` each sector is on the medium or is not,
//! and no later `sync` brings it there, as on Linux.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use super::disk::{Disk, DiskFile};

const SECTOR_BYTES: usize = 512;
/// "No space left on device".
pub(super) const ENOSPC: i32 = 28;
/// "Input/output error".
pub(super) const EIO: i32 = 5;

/// A generator of numbers by seed (SplitMix64).
#[derive(Clone, Debug)]
pub(super) struct Seeded(pub u64);

impl Seeded {
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        super::Random::next_u64(self) % limit
    }

    fn coin(&mut self) -> bool {
        self.below(2) == 0
    }
}

impl super::Random for Seeded {
    fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }
}

/// Kinds of operations that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Write,
    Sync,
    /// Creating, renaming, removing, cutting.
    Name,
}

/// How much of what was not synced a crash keeps.
#[derive(Clone, Copy, Debug)]
enum Keep {
    All,
    Nothing,
    SomeSectors,
}

/// A disk; clones are the same disk.
#[derive(Clone)]
pub(super) struct SimulatedDisk(Arc<Mutex<State>>);

struct State {
    random: Seeded,
    names: BTreeMap<PathBuf, usize>,
    names_on_medium: BTreeMap<PathBuf, usize>,
    names_unsynced: Vec<NameChange>,
    folders: Vec<PathBuf>,
    files: Vec<FileState>,
    /// Operations that change something, so far.
    operations: u64,
    /// At this operation the machine crashes.
    crash_at: Option<u64>,
    crashed: bool,
    faults: Vec<Fault>,
    capacity: u64,
    short_writes: bool,
    /// Syncs report success and do nothing.
    lies: bool,
}

/// Makes operations of a kind fail.
struct Fault {
    operation: Operation,
    /// How many still succeed.
    after: u64,
    /// How many fail then.
    count: u64,
    errno: i32,
}

#[derive(Default)]
struct FileState {
    cache: Vec<u8>,
    medium: Vec<u8>,
    unsynced: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Cut(usize),
}

#[derive(Clone)]
enum NameChange {
    Create(PathBuf, usize),
    Rename(PathBuf, PathBuf, usize),
    Remove(PathBuf),
}

fn apply(content: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write(offset, bytes) => {
            content.resize(content.len().max(offset + bytes.len()), 0);
            content[*offset..offset + bytes.len()].copy_from_slice(bytes);
        }
        Change::Cut(length) => content.resize(*length, 0),
    }
}

fn apply_name(names: &mut BTreeMap<PathBuf, usize>, change: &NameChange) {
    match change {
        NameChange::Create(path, file) => {
            names.insert(path.clone(), *file);
        }
        NameChange::Rename(from, to, file) => {
            names.remove(from);
            names.insert(to.clone(), *file);
        }
        NameChange::Remove(path) => {
            names.remove(path);
        }
    }
}

impl FileState {
    fn change(&mut self, change: Change) {
        apply(&mut self.cache, &change);
        self.unsynced.push(change);
    }

    /// Brings some of what was not synced to the medium, and forgets the rest.
    fn settle(&mut self, keep: Keep, random: &mut Seeded) {
        for change in std::mem::take(&mut self.unsynced) {
            match (keep, change) {
                (Keep::Nothing, _) => {}
                (Keep::All, change) => apply(&mut self.medium, &change),
                (Keep::SomeSectors, Change::Write(offset, bytes)) => {
                    let mut start = 0;
                    while start < bytes.len() {
                        let end = bytes
                            .len()
                            .min((offset + start) / SECTOR_BYTES * SECTOR_BYTES + SECTOR_BYTES - offset);
                        if random.coin() {
                            apply(
                                &mut self.medium,
                                &Change::Write(offset + start, bytes[start..end].to_vec()),
                            );
                        }
                        start = end;
                    }
                }
                (Keep::SomeSectors, change) => {
                    if random.coin() {
                        apply(&mut self.medium, &change);
                    }
                }
            }
        }
    }
}

fn crashed() -> io::Error {
    io::Error::other("the machine has crashed")
}

impl State {
    /// Counts an operation, lets it fail if it is to. `Ok(true)`: do it, but it is the last.
    fn begin(&mut self, operation: Operation) -> io::Result<bool> {
        if self.crashed {
            return Err(crashed());
        }
        self.operations += 1;
        for fault in self.faults.iter_mut().filter(|fault| fault.operation == operation) {
            if fault.after > 0 {
                fault.after -= 1;
            } else if fault.count > 0 {
                fault.count -= 1;
                return Err(io::Error::from_raw_os_error(fault.errno));
            }
        }
        self.crashed = self.crash_at.is_some_and(|at| self.operations >= at);
        Ok(self.crashed)
    }

    fn rename(&mut self, change: NameChange) -> io::Result<()> {
        let last = self.begin(Operation::Name)?;
        apply_name(&mut self.names, &change);
        self.names_unsynced.push(change);
        if last { Err(crashed()) } else { Ok(()) }
    }

    fn file(&self, path: &Path) -> io::Result<usize> {
        self.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn free(&self) -> u64 {
        let used: u64 = self.names.values().map(|file| self.files[*file].cache.len() as u64).sum();
        self.capacity.saturating_sub(used)
    }
}

impl SimulatedDisk {
    pub(super) fn new(seed: u64) -> SimulatedDisk {
        SimulatedDisk(Arc::new(Mutex::new(State {
            random: Seeded(seed),
            names: BTreeMap::new(),
            names_on_medium: BTreeMap::new(),
            names_unsynced: Vec::new(),
            folders: Vec::new(),
            files: Vec::new(),
            operations: 0,
            crash_at: None,
            crashed: false,
            faults: Vec::new(),
            capacity: u64::MAX,
            short_writes: false,
            lies: false,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Crashes at the `n`-th operation from now on: it may be done, or half, or not.
    pub(super) fn crash_in(&self, n: u64) {
        let mut state = self.state();
        state.crash_at = Some(state.operations + n);
    }

    /// Whether it has crashed.
    pub(super) fn has_crashed(&self) -> bool {
        self.state().crashed
    }

    /// `after` operations of this kind succeed, the next `count` fail.
    pub(super) fn fail(&self, operation: Operation, after: u64, count: u64, errno: i32) {
        self.state().faults.push(Fault { operation, after, count, errno });
    }

    /// Nothing fails any more.
    pub(super) fn heal(&self) {
        let mut state = self.state();
        state.faults.clear();
        state.capacity = u64::MAX;
    }

    /// Leaves this much room.
    pub(super) fn leave_room(&self, bytes: u64) {
        let mut state = self.state();
        state.capacity = u64::MAX;
        state.capacity = u64::MAX - state.free() + bytes;
    }

    /// Lets writes do only a part of what they are asked for.
    pub(super) fn write_short(&self) {
        self.state().short_writes = true;
    }

    /// Syncs report success and do nothing from now on.
    pub(super) fn lie(&self) {
        self.state().lies = true;
    }

    /// The process is gone; what it wrote is still in the page cache.
    pub(super) fn restart_process(&self) {
        let mut state = self.state();
        (state.crashed, state.crash_at) = (false, None);
    }

    /// The power was cut: what was not synced is lost, or not, or in parts.
    pub(super) fn cut_power(&self) {
        self.restart_process();
        let mut guard = self.state();
        let state = &mut *guard;
        for file in &mut state.files {
            let keep = [Keep::All, Keep::Nothing, Keep::SomeSectors][state.random.below(3) as usize];
            file.settle(keep, &mut state.random);
            file.cache = file.medium.clone();
        }
        let unsynced = std::mem::take(&mut state.names_unsynced);
        let ordered = state.random.coin();
        let kept = state.random.below(unsynced.len() as u64 + 1) as usize;
        for (index, change) in unsynced.iter().enumerate() {
            if if ordered { index < kept } else { state.random.coin() } {
                apply_name(&mut state.names_on_medium, change);
            }
        }
        state.names = state.names_on_medium.clone();
    }

    /// Every file's path and content, as readers see it.
    pub(super) fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let state = self.state();
        state.names.iter().map(|(path, file)| (path.clone(), state.files[*file].cache.clone())).collect()
    }

    /// A file's content, as readers see it.
    pub(super) fn content(&self, path: &Path) -> Vec<u8> {
        let state = self.state();
        state.files[state.file(path).unwrap()].cache.clone()
    }

    /// Puts a file there, or other bytes into it, durably.
    pub(super) fn put(&self, path: &Path, content: Vec<u8>) {
        let mut state = self.state();
        let file = FileState { cache: content.clone(), medium: content, unsynced: Vec::new() };
        state.files.push(file);
        let file = state.files.len() - 1;
        state.names.insert(path.to_owned(), file);
        state.names_on_medium.insert(path.to_owned(), file);
    }

    /// Another disk with the same files.
    pub(super) fn copy(&self, seed: u64) -> SimulatedDisk {
        let other = SimulatedDisk::new(seed);
        other.state().folders = self.state().folders.clone();
        self.files().into_iter().for_each(|(path, content)| other.put(&path, content));
        other
    }
}

impl Disk for SimulatedDisk {
    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        self.state().folders.push(folder.to_owned());
        Ok(())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let state = self.state();
        if state.crashed {
            return Err(crashed());
        }
        if !state.folders.iter().any(|known| known == folder) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let paths = state.names.keys().chain(&state.folders);
        let inside = paths.filter(|path| path.parent() == Some(folder));
        let mut names: Vec<String> =
            inside.map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
        names.sort();
        names.dedup();
        Ok(names)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let mut guard = self.state();
        let state = &mut *guard;
        let last = state.begin(Operation::Sync)?;
        if state.lies {
            return Ok(());
        }
        let inside = |change: &NameChange| match change {
            NameChange::Create(path, _) | NameChange::Rename(path, _, _) | NameChange::Remove(path) => {
                path.parent() == Some(folder)
            }
        };
        let count = if last {
            state.random.below(state.names_unsynced.len() as u64 + 1) as usize
        } else {
            usize::MAX
        };
        let (synced, left): (Vec<_>, Vec<_>) =
            std::mem::take(&mut state.names_unsynced).into_iter().partition(inside);
        synced.iter().take(count).for_each(|change| apply_name(&mut state.names_on_medium, change));
        state.names_unsynced = left;
        state.names_unsynced.extend(synced.into_iter().skip(count));
        if last { Err(crashed()) } else { Ok(()) }
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let state = self.state();
        if state.crashed {
            return Err(crashed());
        }
        Ok(Box::new(SimulatedFile { disk: self.clone(), file: state.file(path)? }))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        if state.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.files.push(FileState::default());
        let file = state.files.len() - 1;
        state.rename(NameChange::Create(path.to_owned(), file))?;
        Ok(Box::new(SimulatedFile { disk: self.clone(), file }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        let file = state.file(from)?;
        state.rename(NameChange::Rename(from.to_owned(), to.to_owned(), file))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.file(path)?;
        state.rename(NameChange::Remove(path.to_owned()))
    }

    fn truncate(&self, path: &Path, length: u64) -> io::Result<()> {
        let mut state = self.state();
        let file = state.file(path)?;
        let last = state.begin(Operation::Name)?;
        state.files[file].change(Change::Cut(length as usize));
        if last { Err(crashed()) } else { Ok(()) }
    }
}

struct SimulatedFile {
    disk: SimulatedDisk,
    file: usize,
}

impl DiskFile for SimulatedFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.disk.state().files[self.file].cache.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.disk.state();
        if state.crashed {
            return Err(crashed());
        }
        let rest = state.files[self.file].cache.get(offset as usize..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut guard = self.disk.state();
        let state = &mut *guard;
        let last = state.begin(Operation::Write)?;
        let mut count = bytes.len();
        if state.short_writes || last {
            count = 1 + state.random.below(bytes.len() as u64) as usize;
        }
        let room = state.free() + (state.files[self.file].cache.len() as u64).saturating_sub(offset);
        count = count.min(room as usize);
        if count == 0 {
            return Err(io::Error::from_raw_os_error(ENOSPC));
        }
        state.files[self.file].change(Change::Write(offset as usize, bytes[..count].to_vec()));
        if last { Err(crashed()) } else { Ok(count) }
    }

    fn sync(&self) -> io::Result<()> {
        let mut guard = self.disk.state();
        let state = &mut *guard;
        let result = state.begin(Operation::Sync);
        if state.lies {
            return Ok(());
        }
        let file = &mut state.files[self.file];
        match result {
            Ok(false) => file.settle(Keep::All, &mut state.random),
            // What a sync does that the machine does not survive, the crash decides.
            Ok(true) => return Err(crashed()),
            Err(error) => {
                // The pages count as clean from now on: no later sync brings them to the medium.
                if !state.crashed {
                    file.settle(Keep::SomeSectors, &mut state.random);
                }
                return Err(error);
            }
        }
        Ok(())
    }
}
