//! Why a group of records was not written.

use std::io;

/// The group was not acknowledged: nothing of it is to be applied or shown.
///
/// What the disk did with the bytes is not known before the next group is acknowledged; from then
/// on the failed one is certainly not in the log. A crash in between may bring it back whole, or
/// its first records, as with any commit whose answer was lost.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct LogError {
    /// 53100 where the disk is full, 58030 where it refuses otherwise, XX000 for records that
    /// break a rule (ticks that do not ascend): a defect of the caller.
    pub sqlstate: &'static str,
    /// Lower case, without a full stop.
    pub message: String,
}

impl LogError {
    /// The error for what the operating system said.
    pub(super) fn from_io(error: &io::Error) -> LogError {
        let sqlstate = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                "53100"
            }
            _ => "58030",
        };
        LogError { sqlstate, message: format!("could not write to the log: {error}") }
    }

    /// The error for records that cannot be written as they are.
    pub(super) fn invalid(message: impl Into<String>) -> LogError {
        LogError { sqlstate: "XX000", message: message.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_has_its_own_sqlstate() {
        assert_eq!(LogError::from_io(&io::Error::from_raw_os_error(28)).sqlstate, "53100", "ENOSPC");
        assert_eq!(LogError::from_io(&io::Error::from_raw_os_error(122)).sqlstate, "53100", "EDQUOT");
        assert_eq!(LogError::from_io(&io::Error::from_raw_os_error(5)).sqlstate, "58030", "EIO");
        assert_eq!(LogError::from_io(&io::Error::from_raw_os_error(30)).sqlstate, "58030", "EROFS");
    }
}
