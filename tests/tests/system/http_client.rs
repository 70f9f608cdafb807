//! An HTTP client of other hands than the server's: ureq; and bare sockets for what no client would send.

use std::io::{Read, Write};
use std::net::TcpStream;

use millrace_tests::{PATIENCE, Server};
use serde_json::Value;

/// A client of one server.
pub(crate) struct Http {
    agent: ureq::Agent,
    root: String,
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: String,
    pub(crate) retry_after: Option<String>,
}

impl Reply {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Status, SQLSTATE, line and column of an answer that is an error.
    pub(crate) fn error(&self) -> (u16, String, Option<u64>, Option<String>) {
        let error = &self.json()["error"];
        let text = |field: &str| error[field].as_str().map(str::to_owned);
        assert!(text("message").is_some(), "{self:?}");
        (self.status, text("code").unwrap(), error["line"].as_u64(), text("column"))
    }

    /// The rows and the tick of rows that were added.
    pub(crate) fn added(&self) -> (u64, u64) {
        assert_eq!(self.status, 200, "{self:?}");
        let json = self.json();
        (json["rows"].as_u64().unwrap(), json["tick"].as_u64().unwrap())
    }
}

impl Http {
    pub(crate) fn of(server: &Server) -> Http {
        let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE));
        Http { agent: config.build().into(), root: format!("http://{}", server.http()) }
    }

    /// A POST with these headers; what went wrong between the two ends, as a text.
    pub(crate) fn try_post(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Reply, String> {
        let mut request = self.agent.post(format!("{}{path}", self.root));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = request.send(body).map_err(|error| error.to_string())?;
        let retry_after = response.headers().get("retry-after");
        let retry_after = retry_after.map(|value| value.to_str().unwrap().to_owned());
        let body = response.body_mut().with_config().limit(1 << 30).read_to_string();
        Ok(Reply {
            status: response.status().as_u16(),
            body: body.map_err(|error| error.to_string())?,
            retry_after,
        })
    }

    /// The same where nothing goes wrong.
    pub(crate) fn post(&self, path: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Reply {
        self.try_post(path, headers, body.as_ref()).unwrap()
    }

    /// Rows as JSON.
    pub(crate) fn json(&self, table: &str, body: &str) -> Reply {
        self.post(&format!("/v1/tables/{table}"), &[("content-type", "application/json")], body)
    }

    /// Rows as JSON, to be done once.
    pub(crate) fn once(&self, table: &str, key: &str, body: &str) -> Reply {
        let headers = [("content-type", "application/json"), ("idempotency-key", key)];
        self.post(&format!("/v1/tables/{table}"), &headers, body)
    }

    /// Statements.
    pub(crate) fn sql(&self, body: &str) -> Reply {
        self.post("/v1/sql", &[("content-type", "application/json")], body)
    }
}

/// What comes back for these bytes, up to the end of the connection.
pub(crate) fn raw(server: &Server, parts: &[&[u8]]) -> String {
    let mut stream = TcpStream::connect(server.http()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    for part in parts {
        stream.write_all(part).unwrap();
        stream.flush().unwrap();
    }
    let mut text = Vec::new();
    stream.read_to_end(&mut text).unwrap();
    String::from_utf8(text).unwrap()
}
