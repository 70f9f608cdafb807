//! A view against its query: names, types, and the rows as a multiset.
//!
//! Rows come as text. A numeric's trailing zeros do not count, and beyond ten digits behind the point it
//! is rounded: PostgreSQL gives a quotient or a mean more or fewer digits by its magnitude, we give all of
//! a column the same. Sums and products have fewer, so they are compared exactly. Doubles are compared
//! to nine digits.

use tokio_postgres::types::Type;
use tokio_postgres::{Client, SimpleQueryMessage};

use super::Pair;

/// Digits behind the point up to which numerics are compared.
const DIGITS: usize = 10;

/// Compares; the number of rows, or what differs.
pub(crate) async fn view(pair: &Pair, name: &str, query: &str) -> Result<usize, String> {
    let select = format!("SELECT * FROM {name}");
    let types = columns(pair.theirs(), query).await;
    let own = columns(pair.ours(), &select).await;
    if own != types {
        return Err(format!("columns {own:?}, PostgreSQL's {types:?}"));
    }
    let ours = rows(pair.ours(), &select, &types).await;
    let theirs = rows(pair.theirs(), query, &types).await;
    if ours == theirs { Ok(ours.len()) } else { Err(difference(&ours, &theirs)) }
}

/// Names and types of a query's columns.
async fn columns(client: &Client, query: &str) -> Vec<(String, Type)> {
    let statement = client.prepare(query).await.unwrap_or_else(|error| panic!("{query}\n{error:?}"));
    let columns = statement.columns().iter();
    columns.map(|column| (column.name().to_owned(), column.type_().clone())).collect()
}

/// The rows in one form, sorted.
async fn rows(client: &Client, query: &str, types: &[(String, Type)]) -> Vec<String> {
    let messages = client.simple_query(query).await.unwrap_or_else(|error| panic!("{query}\n{error:?}"));
    let mut rows = Vec::new();
    for message in messages {
        if let SimpleQueryMessage::Row(row) = message {
            let cells = types.iter().enumerate().map(|(at, (_, data_type))| match row.get(at) {
                None => "null".to_owned(),
                Some(text) => cell(text, data_type),
            });
            rows.push(cells.collect::<Vec<_>>().join("|"));
        }
    }
    rows.sort();
    rows
}

fn cell(text: &str, data_type: &Type) -> String {
    match *data_type {
        Type::NUMERIC => numeric(text),
        Type::FLOAT8 => format!("{:.8e}", text.parse::<f64>().unwrap()),
        _ => text.to_owned(),
    }
}

/// Rounded half away from zero to `DIGITS`, without trailing zeros.
fn numeric(text: &str) -> String {
    let (sign, magnitude) = match text.strip_prefix('-') {
        Some(magnitude) => ("-", magnitude),
        None => ("", text),
    };
    let (whole, fraction) = magnitude.split_once('.').unwrap_or((magnitude, ""));
    let kept = &fraction[..fraction.len().min(DIGITS)];
    let up = fraction.as_bytes().get(DIGITS).is_some_and(|digit| *digit >= b'5');
    let unscaled: i128 = format!("{whole}{kept:0<DIGITS$}").parse().unwrap();
    let unscaled = unscaled + i128::from(up);
    let digits = format!("{unscaled:0width$}", width = DIGITS + 1);
    let (whole, fraction) = digits.split_at(digits.len() - DIGITS);
    let fraction = fraction.trim_end_matches('0');
    let sign = if unscaled == 0 { "" } else { sign };
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{whole}{point}{fraction}")
}

/// The first rows that only one side has.
fn difference(ours: &[String], theirs: &[String]) -> String {
    let only = |these: &[String], those: &[String]| {
        let mut rest = those.to_vec();
        let missing = these.iter().filter(|row| match rest.binary_search(row) {
            Ok(at) => {
                rest.remove(at);
                false
            }
            Err(_) => true,
        });
        missing.take(5).map(|row| format!("    {row}\n")).collect::<String>()
    };
    format!(
        "{} rows, PostgreSQL's {}\n  only ours:\n{}  only PostgreSQL's:\n{}",
        ours.len(),
        theirs.len(),
        only(ours, theirs),
        only(theirs, ours)
    )
}

#[test]
fn numerics_are_rounded_in_one_form() {
    for (text, expected) in [
        ("1.50", "1.5"),
        ("100", "100"),
        ("-0.00", "0"),
        ("0.12345678905", "0.1234567891"),
        ("-25.5066666666666667", "-25.5066666667"),
        ("9.99999999999", "10"),
    ] {
        assert_eq!(numeric(text), expected);
    }
}

#[test]
fn a_difference_shows_rows_of_either_side() {
    let rows = |rows: &[&str]| rows.iter().map(|row| (*row).to_owned()).collect::<Vec<_>>();
    let told = difference(&rows(&["a", "a", "b"]), &rows(&["a", "c"]));
    assert_eq!(told, "3 rows, PostgreSQL's 2\n  only ours:\n    a\n    b\n  only PostgreSQL's:\n    c\n");
}
