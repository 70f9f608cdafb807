//! The data folder: whether it is ours, and that only one server has it.
//!
//! What is not certainly ours is refused: a server that starts fresh beside data that it did not
//! recognise would look as if all had been lost.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use super::disk::{self, Disk, RealDisk, io_error};
use super::segment::HEADER_BYTES;
use super::{head, segment};
use crate::error::EngineError;

/// The file whose lock says that a server runs here.
const LOCK: &str = "millrace.lock";
/// The file that says whose folder this is.
const MARKER: &str = "millrace.folder";
const MARKER_TEMPORARY: &str = "millrace.folder.tmp";
const MARKER_TEXT: &[u8] = b"This folder belongs to Millrace. Format 1.\n";
/// What a fresh file system has in its topmost folder.
const LOST_AND_FOUND: &str = "lost+found";
/// The folder of the log.
const LOG: &str = "log";

/// The lock on a data folder, held until this is dropped, or the process is gone in any way.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    _lock: File,
}

impl DataFolder {
    /// Creates the folder if it is not there, and locks it.
    ///
    /// # Errors
    /// `Locked` where another server has it, `ForeignFolder` where it holds something else than
    /// Millrace's data (then nothing is created in it), `Missing` where our marker is there but
    /// the log is not.
    pub fn lock(path: &Path) -> Result<DataFolder, EngineError> {
        RealDisk.create_folder(path).map_err(io_error("create", path))?;
        let lock_path = path.join(LOCK);
        // Nothing is created in a foreign folder; beside a lock, another server may be at work.
        if !lock_path.exists() {
            state(path, &RealDisk)?;
        }
        let lock = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&lock_path);
        // A read-only file system still lets us read, and lock.
        let lock = lock.or_else(|_| File::open(&lock_path)).map_err(io_error("open", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(EngineError::Locked(path.display().to_string())),
            Err(TryLockError::Error(error)) => return Err(io_error("lock", &lock_path)(error)),
        }
        state(path, &RealDisk)?;
        let path = fs::canonicalize(path).map_err(io_error("resolve", path))?;
        Ok(DataFolder { path, _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The log's folder in this data folder.
pub(super) fn log_folder(folder: &Path) -> PathBuf {
    folder.join(LOG)
}

/// What a data folder holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FolderState {
    /// Nothing, or a first start that did not get far enough to acknowledge anything.
    Fresh,
    /// A log.
    Started,
}

/// Looks at a data folder without changing it.
pub(super) fn state(folder: &Path, disk: &dyn Disk) -> Result<FolderState, EngineError> {
    let names = disk.list(folder).map_err(io_error("list", folder))?;
    let log_folder = log_folder(folder);
    let log_names = if names.iter().any(|name| name == LOG) {
        disk.list(&log_folder).map_err(io_error("list", &log_folder))?
    } else {
        Vec::new()
    };
    if log_names.iter().any(|name| name == head::NAME) {
        return Ok(FolderState::Started);
    }
    if names.iter().any(|name| name == MARKER) {
        let path = head::path(&log_folder).display().to_string();
        return Err(EngineError::Missing {
            path,
            reason: "the folder belongs to Millrace, but its log has no head".to_owned(),
        });
    }
    let ours = [LOCK, MARKER_TEMPORARY, LOST_AND_FOUND, LOG];
    let foreign = names.iter().any(|name| !ours.contains(&name.as_str()));
    if foreign || !log_names.iter().all(|name| unused(disk, &log_folder, name)) {
        return Err(EngineError::ForeignFolder(folder.display().to_string()));
    }
    Ok(FolderState::Fresh)
}

/// Whether a file is what a first start leaves that was interrupted: it holds no records.
fn unused(disk: &dyn Disk, log_folder: &Path, name: &str) -> bool {
    let short = || {
        let length = disk.open(&log_folder.join(name)).and_then(|file| file.length());
        length.is_ok_and(|length| length <= HEADER_BYTES)
    };
    name == head::TEMPORARY || segment::sequence_of(name).is_some_and(|_| short())
}

/// Marks a data folder as ours once its log is there.
pub(super) fn mark(folder: &Path, disk: &dyn Disk) -> Result<(), EngineError> {
    let (path, temporary) = (folder.join(MARKER), folder.join(MARKER_TEMPORARY));
    let marked = disk::read_start(disk, &path, MARKER_TEXT.len()).map_err(io_error("read", &path))?;
    if marked.is_some() {
        return Ok(());
    }
    disk::stage(disk, &temporary, MARKER_TEXT)
        .and_then(|()| disk::publish(disk, &temporary, &path))
        .map_err(io_error("write", &path))
}
