//! The start of a connection: encryption refused, CancelRequest passed on, StartupMessage checked,
//! and what the client is told before its first statement.

use std::net::IpAddr;

use ::pgwire::messages::response::SslResponse;
use ::pgwire::messages::startup::{
    Authentication, BackendKeyData, NegotiateProtocolVersion, ParameterStatus, SecretKey,
};
use millrace_sql::{DATABASE, SqlError};

use super::cancel::{Registration, Registry};
use super::fault::Fault;
use super::message::Opening;
use super::wire::Wire;

/// Protocol 3.0, as NegotiateProtocolVersion tells it.
const PROTOCOL_3_0: i32 = 3 << 16;

/// A client that asks for a session.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Client {
    pub(crate) user: String,
    pub(crate) database: String,
    /// Session parameters, from the message itself and from its `options`.
    pub(crate) settings: Vec<(String, String)>,
    /// What the client asked of the protocol that we lack; `None` where there is nothing.
    unsupported: Option<Vec<String>>,
}

/// Talks until the client asks for a session; `None` where it wanted something else (a cancel).
pub(crate) async fn open(wire: &mut Wire, registry: &Registry) -> Result<Option<Client>, Fault> {
    loop {
        match wire.opening().await? {
            Opening::Encryption => refuse_encryption(wire).await?,
            Opening::Cancel { process, secret } => {
                registry.cancel(process, secret);
                return Ok(None);
            }
            Opening::Startup { minor, parameters } => {
                return client(minor, parameters).map(Some).map_err(Fault::Fatal);
            }
        }
    }
}

/// Nothing may have been sent along: it would have been meant as encrypted.
async fn refuse_encryption(wire: &mut Wire) -> Result<(), Fault> {
    if wire.has_input() {
        return Err(Fault::Fatal(SqlError::new(
            "08P01",
            "received unencrypted data after encryption request",
        )));
    }
    wire.send(&SslResponse::Refuse)?;
    wire.flush().await
}

/// What the StartupMessage asks for.
fn client(minor: u16, parameters: Vec<(String, String)>) -> Result<Client, SqlError> {
    let (mut user, mut database) = (String::new(), DATABASE.to_owned());
    let (mut settings, mut options, mut unsupported) = (Vec::new(), Vec::new(), Vec::new());
    for (name, value) in parameters {
        match name.as_str() {
            "user" => user = value,
            "database" => database = value,
            "options" => options = command_line_settings(&value)?,
            "replication" if matches!(value.as_str(), "false" | "off" | "no" | "0") => {}
            "replication" => return Err(SqlError::unsupported("replication")),
            _ if name.starts_with("_pq_.") => unsupported.push(name),
            _ => settings.push((name, value)),
        }
    }
    if user.is_empty() {
        return Err(SqlError::new("28000", "no PostgreSQL user name specified in startup packet"));
    }
    if database != DATABASE {
        let error = SqlError::new("3D000", format!("database \"{database}\" does not exist"));
        return Err(error.hint(format!("Connect to the database \"{DATABASE}\".")));
    }
    // A setting of the message itself wins over its options.
    options.append(&mut settings);
    let unsupported = (minor > 0 || !unsupported.is_empty()).then_some(unsupported);
    Ok(Client { user, database, settings: options, unsupported })
}

/// `-c name=value` and `--name=value`, as libpq's `options` carries them; `\` keeps a space.
fn command_line_settings(options: &str) -> Result<Vec<(String, String)>, SqlError> {
    let mut words = split_options(options).into_iter();
    let mut settings = Vec::new();
    while let Some(word) = words.next() {
        let assignment = match word.strip_prefix("--").or_else(|| word.strip_prefix("-c")) {
            Some("") => words.next(),
            Some(rest) => Some(rest.to_owned()),
            None => None,
        };
        let (name, value) =
            assignment.as_deref().and_then(|assignment| assignment.split_once('=')).ok_or_else(|| {
                SqlError::new("42601", format!("invalid command-line argument for server process: {word}"))
            })?;
        settings.push((name.replace('-', "_"), value.to_owned()));
    }
    Ok(settings)
}

fn split_options(options: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut chars = options.chars();
    while let Some(char) = chars.next() {
        let word = words.len() - 1;
        match char {
            '\\' => words[word].extend(chars.next()),
            _ if char.is_ascii_whitespace() => words.push(String::new()),
            _ => words[word].push(char),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Until there are roles, whoever can reach loopback is let in, and nobody else.
pub(crate) fn check_peer(address: IpAddr) -> Result<(), SqlError> {
    if address.to_canonical().is_loopback() {
        return Ok(());
    }
    let error = SqlError::new("28000", format!("no entry lets host \"{address}\" in"));
    Err(error.hint("Until roles exist, only connections over loopback are let in."))
}

/// What a client hears first: it is let in, the session's parameters, how to cancel.
pub(crate) fn greet(
    wire: &mut Wire,
    client: &Client,
    registration: &Registration,
    parameters: Vec<(String, String)>,
) -> Result<(), Fault> {
    if let Some(unsupported) = &client.unsupported {
        wire.send(&NegotiateProtocolVersion::new(PROTOCOL_3_0, unsupported.clone()))?;
    }
    wire.send(&Authentication::Ok)?;
    for (name, value) in parameters {
        wire.send(&ParameterStatus::new(name, value))?;
    }
    wire.send(&BackendKeyData::new(registration.process, SecretKey::I32(registration.secret)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(parameters: &[(&str, &str)]) -> Result<Client, SqlError> {
        client(0, parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn a_client_names_user_database_and_settings() {
        let client = ask(&[
            ("user", "ann"),
            ("database", "millrace"),
            ("options", r"-c statement_timeout=5s --search-path=a\ b -c x=1"),
            ("application_name", "psql"),
        ]);
        let settings =
            [("statement_timeout", "5s"), ("search_path", "a b"), ("x", "1"), ("application_name", "psql")];
        let expected = Client {
            user: "ann".to_owned(),
            database: "millrace".to_owned(),
            settings: settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            unsupported: None,
        };
        assert_eq!(client, Ok(expected));
    }

    #[test]
    fn wrong_clients_are_told_why() {
        let code = |parameters: &[(&str, &str)]| ask(parameters).expect_err("an error").sqlstate;
        assert_eq!(code(&[]), "28000");
        assert_eq!(code(&[("user", "ann"), ("database", "ann")]), "3D000");
        assert_eq!(code(&[("user", "ann"), ("replication", "database")]), "0A000");
        assert_eq!(code(&[("user", "ann"), ("options", "nonsense")]), "42601");
    }

    #[test]
    fn newer_protocols_are_negotiated_down() {
        let client = client(2, vec![("user".into(), "ann".into()), ("_pq_.x".into(), String::new())])
            .expect("a client");
        assert_eq!(client.unsupported, Some(vec!["_pq_.x".to_owned()]));
    }

    #[test]
    fn only_loopback_is_let_in() {
        for address in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(check_peer(address.parse().expect("an address")), Ok(()));
        }
        assert!(check_peer("10.0.0.1".parse().expect("an address")).is_err());
    }
}
