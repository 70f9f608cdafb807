//! `SqlError`: what is wrong with a statement, in the fields of PostgreSQL's error message.

use std::fmt;

use millrace_engine::DataError;

/// A user's error: SQLSTATE, a lower-case primary message, and detail and hint where they help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlError {
    /// Five characters, PostgreSQL's appendix A.
    pub sqlstate: String,
    /// The primary message.
    pub message: String,
    /// More about this case.
    pub detail: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// Where in the statement, in characters from 1.
    pub position: Option<usize>,
    /// What of the catalog it is about.
    pub about: Option<Box<About>>,
}

/// What of the catalog an error is about, where a program may want to know: a constraint that rows break.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// The schema of the table.
    pub schema: String,
    /// The table.
    pub table: String,
    /// The column of a NOT NULL.
    pub column: Option<String>,
    /// The constraint.
    pub constraint: Option<String>,
    /// Which of the rows that were to be written breaks it, from 0.
    pub row: Option<usize>,
}

impl SqlError {
    /// An error with this SQLSTATE and primary message.
    pub fn new(sqlstate: &str, message: impl Into<String>) -> SqlError {
        SqlError {
            sqlstate: sqlstate.to_owned(),
            message: message.into(),
            detail: None,
            hint: None,
            position: None,
            about: None,
        }
    }

    /// 0A000: valid SQL that Millrace does not have (yet).
    pub fn unsupported(what: impl fmt::Display) -> SqlError {
        SqlError::new("0A000", format!("{what} is not supported"))
    }

    /// XX000: a defect of ours.
    pub fn internal(what: impl fmt::Display) -> SqlError {
        SqlError::new("XX000", what.to_string())
    }

    /// Adds a detail.
    pub fn detail(mut self, detail: impl Into<String>) -> SqlError {
        self.detail = Some(detail.into());
        self
    }

    /// Adds a hint.
    pub fn hint(mut self, hint: impl Into<String>) -> SqlError {
        self.hint = Some(hint.into());
        self
    }

    /// Adds what of the catalog it is about.
    pub fn about(mut self, about: About) -> SqlError {
        self.about = Some(Box::new(about));
        self
    }

    /// The same where so many rows stand before those that the error knows.
    pub fn behind_rows(mut self, count: usize) -> SqlError {
        if let Some(row) = self.about.as_mut().and_then(|about| about.row.as_mut()) {
            *row += count;
        }
        self
    }

    /// Adds the position in the statement, in characters from 1.
    pub fn position(mut self, position: usize) -> SqlError {
        self.position = Some(position);
        self
    }
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for SqlError {}

impl From<DataError> for SqlError {
    fn from(error: DataError) -> SqlError {
        SqlError::new(&error.sqlstate, error.message)
    }
}
