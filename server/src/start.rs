//! Why the server does not start, and what its process then answers.

use millrace_engine::{EngineError, MeshError};

/// A start that failed.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct StartError {
    /// For whoever started it.
    pub message: String,
    /// 78 (configuration error): what the data folder promises cannot be restored, or the flags are
    /// wrong; another start will not go better. 75 (temporary failure): another server has the
    /// folder. 70: a defect of ours. 1: anything else.
    pub exit_code: u8,
}

impl StartError {
    /// What was promised cannot be restored, or the configuration is wrong.
    pub fn refused(message: impl Into<String>) -> StartError {
        StartError { message: message.into(), exit_code: 78 }
    }

    /// The operating system did not play along.
    pub fn system(message: impl Into<String>) -> StartError {
        StartError { message: message.into(), exit_code: 1 }
    }

    /// A defect of ours.
    pub fn internal(message: impl Into<String>) -> StartError {
        StartError { message: message.into(), exit_code: 70 }
    }
}

impl From<MeshError> for StartError {
    fn from(error: MeshError) -> StartError {
        let exit_code = match &error {
            MeshError::Disagrees(_) => 78,
            MeshError::Io { .. } => 1,
            MeshError::Closed => 0,
        };
        StartError { message: error.to_string(), exit_code }
    }
}

impl From<EngineError> for StartError {
    fn from(error: EngineError) -> StartError {
        let exit_code = match &error {
            EngineError::Corrupt { .. } | EngineError::Missing { .. } | EngineError::ForeignFolder(_) => 78,
            EngineError::Locked(_) => 75,
            EngineError::InvalidPlan(_)
            | EngineError::NoRelation(_)
            | EngineError::NotHydrated(_)
            | EngineError::Failed(_)
            | EngineError::Compacted { .. }
            | EngineError::Stopped => 70,
            EngineError::Io { .. } => 1,
        };
        StartError { message: error.to_string(), exit_code }
    }
}
