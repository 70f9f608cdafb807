//! What ends a statement or a connection, and the messages that tell the client.

use ::pgwire::messages::response::{ErrorResponse, NoticeResponse};
use millrace_sql::SqlError;

use crate::session::Notice;

/// Why a statement or the whole connection cannot go on.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The statement fails; the connection goes on.
    Statement(SqlError),
    /// The client is told, then the connection is closed.
    Fatal(SqlError),
    /// The client is gone, or said goodbye.
    Lost,
}

impl From<SqlError> for Fault {
    fn from(error: SqlError) -> Fault {
        Fault::Statement(error)
    }
}

impl Fault {
    /// 57014: the user asked for it, by CancelRequest.
    pub(crate) fn cancelled() -> Fault {
        Fault::Statement(SqlError::new("57014", "canceling statement due to user request"))
    }

    /// 57014: statement_timeout.
    pub(crate) fn timed_out() -> Fault {
        Fault::Statement(SqlError::new("57014", "canceling statement due to statement timeout"))
    }

    /// 57P01: the server stops.
    pub(crate) fn shutdown() -> Fault {
        Fault::Fatal(SqlError::new("57P01", "terminating connection due to administrator command"))
    }
}

/// The message for an error that fails a statement.
pub(crate) fn error_response(error: &SqlError) -> ErrorResponse {
    ErrorResponse::new(fields("ERROR", error))
}

/// The message for an error that ends the connection.
pub(crate) fn fatal_response(error: &SqlError) -> ErrorResponse {
    ErrorResponse::new(fields("FATAL", error))
}

/// The message for a notice or a warning.
pub(crate) fn notice_response(notice: &Notice) -> NoticeResponse {
    NoticeResponse::new(fields(notice.severity, &SqlError::new(notice.sqlstate, notice.message.clone())))
}

/// S, V, C, M, then D, H, P, s, t, c and n where there are such.
fn fields(severity: &str, error: &SqlError) -> Vec<(u8, String)> {
    let optional = [
        (b'D', error.detail.clone()),
        (b'H', error.hint.clone()),
        (b'P', error.position.map(|position| position.to_string())),
        (b's', error.about.as_ref().map(|about| about.schema.clone())),
        (b't', error.about.as_ref().map(|about| about.table.clone())),
        (b'c', error.about.as_ref().and_then(|about| about.column.clone())),
        (b'n', error.about.as_ref().and_then(|about| about.constraint.clone())),
    ];
    [(b'S', severity), (b'V', severity), (b'C', &error.sqlstate), (b'M', &error.message)]
        .map(|(code, value)| (code, clean(value)))
        .into_iter()
        .chain(optional.into_iter().filter_map(|(code, value)| Some((code, clean(&value?)))))
        .collect()
}

/// A zero byte inside a field would end it and break the message's frame.
fn clean(value: &str) -> String {
    value.replace('\0', "\\0")
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_sql::About;

    #[test]
    fn errors_carry_every_field_that_they_have() {
        let error = SqlError::new("42P01", "relation \"a\0b\" does not exist").hint("h").position(15);
        let fields: Vec<(char, String)> =
            error_response(&error).fields.into_iter().map(|(code, value)| (code as char, value)).collect();
        let expected = [
            ('S', "ERROR"),
            ('V', "ERROR"),
            ('C', "42P01"),
            ('M', "relation \"a\\0b\" does not exist"),
            ('H', "h"),
            ('P', "15"),
        ];
        assert_eq!(fields, expected.map(|(code, value)| (code, value.to_owned())));
        assert_eq!(fatal_response(&error).fields[0].1, "FATAL");
        let (schema, table) = ("s".to_owned(), "t".to_owned());
        let about = About { schema, table, column: None, constraint: Some("t_pkey".to_owned()), row: None };
        let fields = error_response(&SqlError::new("23505", "m").about(about)).fields;
        let named: Vec<String> =
            fields[4..].iter().map(|(code, value)| format!("{}{value}", *code as char)).collect();
        assert_eq!(named, ["ss", "tt", "nt_pkey"]);
    }
}
