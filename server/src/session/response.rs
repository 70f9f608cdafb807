//! What a statement answers: the border between a session and the wire.

use millrace_sql::{Column, CopyFormat, ResultColumns};

use crate::portion::Portions;
use crate::session::copy_in::CopyIn;

/// The answer to one statement. The wire turns it into messages.
pub enum Response {
    /// The text held no statement.
    Empty,
    /// Done; nothing else to send.
    Command {
        /// The command tag, complete: `INSERT 0 3`, `CREATE TABLE`.
        tag: String,
    },
    /// Rows.
    Rows {
        /// Their columns.
        columns: ResultColumns,
        /// The rows.
        rows: Portions,
        /// `SELECT`, `FETCH`, and `INSERT 0`, `UPDATE`, `DELETE` with RETURNING: the wire appends the count. `SUBSCRIBE`,
        /// `SHOW`, `EXPLAIN`: sent as it is.
        tag: &'static str,
    },
    /// COPY … FROM STDIN: the client's lines go into this.
    CopyIn(Box<CopyIn>),
    /// COPY … TO STDOUT.
    CopyOut {
        /// The rows' columns.
        columns: Vec<Column>,
        /// The rows.
        rows: Portions,
        /// How lines are written.
        format: CopyFormat,
    },
}

/// Something that the client should know though nothing failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// `NOTICE` or `WARNING`.
    pub severity: &'static str,
    /// Five characters, PostgreSQL's appendix A; 00000 for a plain notice.
    pub sqlstate: &'static str,
    /// Lower case, without a full stop.
    pub message: String,
}

impl Notice {
    /// A notice.
    pub fn new(sqlstate: &'static str, message: impl Into<String>) -> Notice {
        Notice { severity: "NOTICE", sqlstate, message: message.into() }
    }

    /// A warning.
    pub fn warning(sqlstate: &'static str, message: impl Into<String>) -> Notice {
        Notice { severity: "WARNING", sqlstate, message: message.into() }
    }
}

/// What ReadyForQuery tells: `I`, `T` or `E`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionStatus {
    /// No block is open.
    Idle,
    /// Inside BEGIN.
    InBlock,
    /// Inside a block that failed: only its end is awaited.
    Failed,
}

/// The tags of what gives rows count them, but for those of SUBSCRIBE, SHOW and EXPLAIN.
pub(crate) fn rows_tag(tag: &str, count: u64) -> String {
    match tag {
        "SELECT" | "FETCH" | "INSERT 0" | "UPDATE" | "DELETE" => format!("{tag} {count}"),
        other => other.to_owned(),
    }
}
