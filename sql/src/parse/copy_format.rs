//! COPY's options, in the old form (`CSV HEADER DELIMITER ','`) and the new (`WITH (FORMAT csv)`).
//!
//! The rules about what may go together are PostgreSQL's.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::cursor::Cursor;
use super::setting;
use crate::bound::{CopyFormat, LineFormat};
use crate::error::SqlError;
use crate::statement::Name;

/// What PostgreSQL's text format cannot have as its delimiter.
const TEXT_DELIMITERS_REFUSED: &str = "\\.abcdefghijklmnopqrstuvwxyz0123456789";

/// What FORMAT names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Csv,
    Binary,
}

/// The options as they were given; `None`: not at all.
#[derive(Default)]
struct Given {
    kind: Option<Kind>,
    header: Option<bool>,
    delimiter: Option<String>,
    quote: Option<String>,
    escape: Option<String>,
    null: Option<String>,
    encoding: Option<String>,
}

/// The options that come next, if any.
///
/// `binary`: the statement began with COPY BINARY.
pub(super) fn format(cursor: &mut Cursor, binary: bool) -> Result<CopyFormat, SqlError> {
    let position = cursor.position();
    let mut given = Given { kind: binary.then_some(Kind::Binary), ..Given::default() };
    cursor.accept("with");
    if cursor.accept_token(&Token::LParen) {
        new_options(cursor, &mut given)?;
    } else {
        old_options(cursor, &mut given)?;
    }
    resolve(given).map_err(|error| error.position(position))
}

fn new_options(cursor: &mut Cursor, given: &mut Given) -> Result<(), SqlError> {
    loop {
        let option = cursor.option()?;
        new_option(cursor, given, &option)?;
        if !cursor.accept_token(&Token::Comma) {
            return cursor.expect_token(&Token::RParen);
        }
    }
}

fn new_option(cursor: &mut Cursor, given: &mut Given, option: &Name) -> Result<(), SqlError> {
    match option.value.as_str() {
        "format" => once(&mut given.kind, kind(&word(cursor)?, option)?, option),
        "header" => {
            cursor.refuse(&["match"], "COPY … HEADER")?;
            once(&mut given.header, setting::optional_boolean(cursor, option)?, option)
        }
        "delimiter" => once(&mut given.delimiter, cursor.string()?, option),
        "quote" => once(&mut given.quote, cursor.string()?, option),
        "escape" => once(&mut given.escape, cursor.string()?, option),
        "null" => once(&mut given.null, cursor.string()?, option),
        "encoding" => once(&mut given.encoding, cursor.string()?, option),
        "freeze" | "force_quote" | "force_not_null" | "force_null" | "on_error" | "log_verbosity"
        | "default" | "reject_limit" => {
            let what = format!("COPY … {}", option.value.to_uppercase());
            Err(SqlError::unsupported(what).position(option.position))
        }
        other => {
            Err(SqlError::new("42601", format!("option \"{other}\" not recognized"))
                .position(option.position))
        }
    }
}

fn old_options(cursor: &mut Cursor, given: &mut Given) -> Result<(), SqlError> {
    let known = ["binary", "csv", "header", "delimiter", "quote", "escape", "null", "encoding", "delimiters"];
    loop {
        cursor.refuse(&["freeze", "force quote", "force not null", "force null"], "COPY")?;
        let position = cursor.position();
        let Some(words) = cursor.accept_one_of(&known) else { return Ok(()) };
        let option = Name { value: words.to_owned(), position };
        cursor.accept("as");
        match words {
            "csv" => once(&mut given.kind, Kind::Csv, &option)?,
            "binary" => once(&mut given.kind, Kind::Binary, &option)?,
            "header" => once(&mut given.header, true, &option)?,
            "quote" => once(&mut given.quote, cursor.string()?, &option)?,
            "escape" => once(&mut given.escape, cursor.string()?, &option)?,
            "null" => once(&mut given.null, cursor.string()?, &option)?,
            "encoding" => once(&mut given.encoding, cursor.string()?, &option)?,
            _ => once(&mut given.delimiter, cursor.string()?, &option)?,
        }
    }
}

fn once<T>(slot: &mut Option<T>, value: T, option: &Name) -> Result<(), SqlError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(SqlError::new("42601", "conflicting or redundant options").position(option.position)),
    }
}

/// A word, also in quotes.
fn word(cursor: &mut Cursor) -> Result<String, SqlError> {
    match cursor.peek().clone() {
        Token::Word(word) => {
            cursor.advance(1);
            Ok(word.value.to_ascii_lowercase())
        }
        _ => cursor.string(),
    }
}

fn kind(format: &str, option: &Name) -> Result<Kind, SqlError> {
    match format {
        "csv" => Ok(Kind::Csv),
        "text" => Ok(Kind::Text),
        "binary" => Ok(Kind::Binary),
        other => Err(SqlError::new("22023", format!("COPY format \"{other}\" not recognized"))
            .position(option.position)),
    }
}

/// Fills in the defaults and checks what goes together.
fn resolve(given: Given) -> Result<CopyFormat, SqlError> {
    check_encoding(given.encoding.as_deref())?;
    if given.kind == Some(Kind::Binary) {
        return binary(&given);
    }
    let csv = given.kind == Some(Kind::Csv);
    let default_delimiter = if csv { "," } else { "\t" };
    let delimiter = one_byte(given.delimiter.as_deref().unwrap_or(default_delimiter), "delimiter")?;
    let null = given.null.unwrap_or_else(|| if csv { String::new() } else { "\\N".to_owned() });
    if !csv && (given.quote.is_some() || given.escape.is_some()) {
        let option = if given.quote.is_some() { "QUOTE" } else { "ESCAPE" };
        return Err(SqlError::new("0A000", format!("COPY {option} requires CSV mode")));
    }
    let quote = one_byte(given.quote.as_deref().unwrap_or("\""), "quote")?;
    if given.escape.is_some_and(|escape| escape.as_bytes() != [quote]) {
        return Err(SqlError::unsupported("COPY … ESCAPE other than the quote"));
    }
    let format = LineFormat { csv, header: given.header.unwrap_or(false), delimiter, quote, null };
    check_together(&format)?;
    Ok(CopyFormat::Lines(format))
}

/// The binary format has nothing that could be chosen.
fn binary(given: &Given) -> Result<CopyFormat, SqlError> {
    let refused = |what: &str| SqlError::new("42601", format!("cannot specify {what} in BINARY mode"));
    if given.delimiter.is_some() {
        return Err(refused("DELIMITER"));
    }
    if given.null.is_some() {
        return Err(refused("NULL"));
    }
    if given.header == Some(true) {
        return Err(SqlError::new("0A000", "cannot specify HEADER in BINARY mode"));
    }
    match (&given.quote, &given.escape) {
        (Some(_), _) => Err(SqlError::new("0A000", "COPY quote available only in CSV mode")),
        (None, Some(_)) => Err(SqlError::new("0A000", "COPY escape available only in CSV mode")),
        (None, None) => Ok(CopyFormat::Binary),
    }
}

fn one_byte(text: &str, what: &str) -> Result<u8, SqlError> {
    match text.as_bytes() {
        [b'\n' | b'\r'] => {
            Err(SqlError::new("22023", format!("COPY {what} cannot be newline or carriage return")))
        }
        [byte] => Ok(*byte),
        _ => Err(SqlError::new("0A000", format!("COPY {what} must be a single one-byte character"))),
    }
}

fn check_encoding(encoding: Option<&str>) -> Result<(), SqlError> {
    match encoding.map(|name| name.to_ascii_lowercase().replace(['-', '_'], "")) {
        None => Ok(()),
        Some(name) if name == "utf8" || name == "unicode" => Ok(()),
        Some(_) => Err(SqlError::unsupported("COPY … ENCODING other than UTF8")),
    }
}

fn check_together(format: &LineFormat) -> Result<(), SqlError> {
    let LineFormat { csv, header: _, delimiter, quote, null } = format;
    let wrong = |message: &str| Err(SqlError::new("22023", message));
    if null.contains(['\n', '\r']) {
        return wrong("COPY null representation cannot use newline or carriage return");
    }
    if !csv && TEXT_DELIMITERS_REFUSED.as_bytes().contains(delimiter) {
        return wrong(&format!("COPY delimiter cannot be \"{}\"", char::from(*delimiter)));
    }
    if null.as_bytes().contains(delimiter) {
        return wrong("COPY delimiter character must not appear in the NULL specification");
    }
    if *csv && delimiter == quote {
        return wrong("COPY delimiter and quote must be different");
    }
    if *csv && null.as_bytes().contains(quote) {
        return wrong("CSV quote character must not appear in the NULL specification");
    }
    Ok(())
}
