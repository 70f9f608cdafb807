//! Errors as answers: JSON with PostgreSQL's fields, and the status that fits the SQLSTATE.

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, SEC_WEBSOCKET_VERSION};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use millrace_sql::SqlError;
use serde_json::{Map, Value};

use crate::ingest::BadRow;

/// How many seconds an overloaded server asks for.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// The one version of WebSocket that there is.
const WEBSOCKET_VERSION: HeaderValue = HeaderValue::from_static("13");

/// A request that failed.
#[derive(Debug)]
pub(super) struct Failure {
    status: StatusCode,
    error: Box<SqlError>,
    line: Option<u64>,
    column: Option<String>,
    /// Which of several statements failed, from 1.
    statement: Option<usize>,
}

impl From<SqlError> for Failure {
    fn from(error: SqlError) -> Failure {
        let status = status_of(&error.sqlstate);
        Failure { status, error: Box::new(error), line: None, column: None, statement: None }
    }
}

impl From<BadRow> for Failure {
    fn from(BadRow { error, line, column }: BadRow) -> Failure {
        Failure { line, column, ..Failure::from(*error) }
    }
}

impl Failure {
    /// An error with a status of its own.
    pub(super) fn with(status: StatusCode, error: SqlError) -> Failure {
        Failure { status, ..Failure::from(error) }
    }

    /// 08P01 with this status: the request is none that HTTP or we could understand.
    pub(super) fn of_request(status: StatusCode, message: impl Into<String>) -> Failure {
        Failure::with(status, SqlError::new("08P01", message))
    }

    /// The error of one of several statements, which are counted from 1.
    pub(super) fn of_statement(error: SqlError, number: usize) -> Failure {
        Failure { statement: Some(number), ..Failure::from(error) }
    }

    /// The same with a hint.
    pub(super) fn hint(self, hint: &str) -> Failure {
        Failure { error: Box::new(self.error.hint(hint)), ..self }
    }

    /// SQLSTATE and message.
    pub(super) fn told(&self) -> (&str, &str) {
        (&self.error.sqlstate, &self.error.message)
    }

    /// The answer in the words of InfluxDB: version 1 has one text as `error`, version 2 `code` and `message`.
    pub(super) fn into_influx_response(self) -> Response {
        let place = match (self.line, &self.column) {
            (Some(line), Some(column)) => format!("line {line}, {column}: "),
            (Some(line), None) => format!("line {line}: "),
            (None, _) => String::new(),
        };
        let SqlError { sqlstate, message, detail, hint, .. } = self.error.as_ref();
        let more = [detail, hint].into_iter().flatten().map(|text| format!("; {text}"));
        let text = format!("{place}{message} ({sqlstate}){}", more.collect::<String>());
        let code = match self.status {
            StatusCode::TOO_MANY_REQUESTS => "too many requests",
            StatusCode::PAYLOAD_TOO_LARGE => "request too large",
            status if status.is_server_error() => "unavailable",
            _ => "invalid",
        };
        self.with_body(serde_json::json!({ "code": code, "message": text, "error": text }))
    }

    fn with_body(&self, body: Value) -> Response {
        if self.status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(sqlstate = self.error.sqlstate, error = self.error.message, "a request failed");
        }
        let text = format!("{body}\n");
        let mut response = (self.status, [(CONTENT_TYPE, "application/json")], text).into_response();
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            response.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
        }
        if self.status == StatusCode::UPGRADE_REQUIRED {
            response.headers_mut().insert(SEC_WEBSOCKET_VERSION, WEBSOCKET_VERSION);
        }
        response
    }

    /// The member `error` of an answer: fields that have nothing to say are left out.
    pub(super) fn to_json(&self) -> Value {
        let SqlError { sqlstate, message, detail, hint, position, about } = self.error.as_ref();
        let text = |text: &Option<String>| text.clone().map(Value::from);
        let fields = [
            ("code", Some(Value::from(sqlstate.as_str()))),
            ("message", Some(Value::from(message.as_str()))),
            ("detail", text(detail)),
            ("hint", text(hint)),
            ("line", self.line.map(Value::from)),
            ("column", text(&self.column)),
            ("constraint", about.as_ref().and_then(|about| text(&about.constraint))),
            ("statement", self.statement.map(Value::from)),
            ("position", position.filter(|position| *position > 0).map(Value::from)),
        ];
        let told = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Value::Object(told.collect::<Map<_, _>>())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        self.with_body(serde_json::json!({ "error": self.to_json() }))
    }
}

/// The status of an error.
fn status_of(sqlstate: &str) -> StatusCode {
    match sqlstate {
        "40001" | "40P01" => StatusCode::CONFLICT,
        "42501" => StatusCode::FORBIDDEN,
        "53000" | "53400" => StatusCode::TOO_MANY_REQUESTS,
        "57014" => StatusCode::REQUEST_TIMEOUT,
        _ if sqlstate.starts_with("XX") => StatusCode::INTERNAL_SERVER_ERROR,
        _ if ["53", "57", "58"].iter().any(|class| sqlstate.starts_with(class)) => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        _ => StatusCode::BAD_REQUEST,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_fits_its_sqlstate() {
        let statuses = [
            ("42601", 400),
            ("23505", 400),
            ("40001", 409),
            ("42501", 403),
            ("53000", 429),
            ("53100", 503),
            ("57014", 408),
            ("57P01", 503),
            ("58030", 503),
            ("XX000", 500),
        ];
        for (sqlstate, status) in statuses {
            assert_eq!(status_of(sqlstate).as_u16(), status, "{sqlstate}");
        }
    }

    #[test]
    fn only_what_is_known_is_told() {
        let error = Box::new(SqlError::new("22P02", "m").hint("h"));
        let bad = BadRow { error, line: Some(3), column: None };
        let json = Failure::from(bad).to_json().to_string();
        assert_eq!(json, r#"{"code":"22P02","hint":"h","line":3,"message":"m"}"#);
    }
}
