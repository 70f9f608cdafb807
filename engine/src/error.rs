//! Errors: those of data (a wrong row is data, never a panic) and those of the engine itself.
//!
//! A `DataError` is a pure function of row and expression, so that deleting the row cancels it
//! exactly (docs/ARCHITECTURE.md, errors).

use std::fmt;

use arrow::error::ArrowError;
use datafusion_common::DataFusionError;
use serde::{Deserialize, Serialize};

/// The message of a negative multiplicity before the relation's name is known.
const NEGATIVE: &str = "negative multiplicity";

/// What a row did wrong: a SQLSTATE and PostgreSQL's primary message.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DataError {
    /// Five characters, PostgreSQL's appendix A.
    pub sqlstate: String,
    /// Lower case, without a full stop.
    pub message: String,
}

impl DataError {
    /// An error with this SQLSTATE and message.
    pub fn new(sqlstate: &str, message: impl Into<String>) -> DataError {
        DataError { sqlstate: sqlstate.to_owned(), message: message.into() }
    }

    /// 22012
    pub fn division_by_zero() -> DataError {
        DataError::new("22012", "division by zero")
    }

    /// 22003, e.g. `integer out of range`
    pub fn out_of_range(what: &str) -> DataError {
        DataError::new("22003", format!("{what} out of range"))
    }

    /// 22003 for a result beyond all doubles
    pub fn float_overflow() -> DataError {
        DataError::new("22003", "value out of range: overflow")
    }

    /// XX000: a collection holds a row less often than not at all. An operator does not know which
    /// relation it works for: the publication puts its name in.
    pub fn negative_multiplicity() -> DataError {
        DataError::new("XX000", NEGATIVE)
    }

    /// 53200: a view holds more bytes than it may.
    pub fn memory_limit(view: &str) -> DataError {
        DataError::new("53200", format!("view \"{view}\" exceeded its memory limit"))
    }

    /// The error with the name of the relation in which it arose, where its message needs one.
    pub fn in_relation(mut self, relation: &str) -> DataError {
        if self.message == NEGATIVE {
            self.message = format!("relation \"{relation}\" has a negative multiplicity");
        }
        self
    }

    /// The data error inside an error of an expression kernel.
    ///
    /// Our kernels raise `DataFusionError::External(DataError)`; what Arrow's own kernels raise is
    /// mapped to the SQLSTATE that PostgreSQL has for it, the rest to XX000.
    pub fn from_datafusion(error: &DataFusionError) -> DataError {
        match error.find_root() {
            DataFusionError::External(inner) => match inner.downcast_ref::<DataError>() {
                Some(data) => data.clone(),
                None => DataError::new("XX000", inner.to_string()),
            },
            DataFusionError::ArrowError(inner, _) => DataError::from_arrow(inner),
            other => DataError::new("XX000", other.to_string()),
        }
    }

    /// The data error that an Arrow kernel's error stands for.
    pub fn from_arrow(error: &ArrowError) -> DataError {
        match error {
            ArrowError::DivideByZero => DataError::division_by_zero(),
            ArrowError::ArithmeticOverflow(_) => DataError::out_of_range("value"),
            ArrowError::CastError(message) | ArrowError::ParseError(message) => {
                DataError::new("22P02", message.clone())
            }
            ArrowError::ExternalError(inner) => match inner.downcast_ref::<DataError>() {
                Some(data) => data.clone(),
                None => DataError::new("XX000", inner.to_string()),
            },
            other => DataError::new("XX000", other.to_string()),
        }
    }
}

impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for DataError {}

impl From<DataError> for DataFusionError {
    fn from(error: DataError) -> DataFusionError {
        DataFusionError::External(Box::new(error))
    }
}

/// What can go wrong with the engine itself, outside of any row.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A plan that breaks one of `PlanRef::check`'s rules: a defect of the planner.
    #[error("invalid plan: {0}")]
    InvalidPlan(String),
    /// The relation was dropped, or never installed.
    #[error("relation {0} is not installed")]
    NoRelation(crate::RelationId),
    /// The index has not taken in all rows yet: the relation itself can be read.
    #[error("index {0} is not complete yet")]
    NotHydrated(crate::RelationId),
    /// The view has failed for good.
    #[error("{0}")]
    Failed(DataError),
    /// The tick has been compacted away.
    #[error("tick {tick} can no longer be read: history starts at {since}")]
    Compacted {
        /// The tick that was asked for.
        tick: u64,
        /// The first tick that can still be read.
        since: u64,
    },
    /// The workers are gone (shut down, or one of them panicked).
    #[error("the workers have stopped")]
    Stopped,
    /// The operating system refused.
    #[error("{context}: {source}")]
    Io {
        /// What was being done, with the path.
        context: String,
        /// The system's error.
        source: std::io::Error,
    },
    /// The log or another file of the data folder is damaged.
    #[error("{path} is damaged at offset {offset}: {reason}")]
    Corrupt {
        /// The file.
        path: String,
        /// Bytes from the file's start.
        offset: u64,
        /// What does not fit.
        reason: String,
    },
    /// A file of the data folder is gone.
    #[error("{path} is missing: {reason}")]
    Missing {
        /// The file.
        path: String,
        /// Why it has to be there.
        reason: String,
    },
    /// The folder holds something, but not Millrace's data.
    #[error("folder {0} is not empty and does not hold Millrace's data")]
    ForeignFolder(String),
    /// Another process owns the data folder.
    #[error("data folder {0} is in use by another server")]
    Locked(String),
}
