//! `millrace run`: files of statements, applied to a data folder or to a running server.
//!
//! All files are read and parsed before the first statement runs, so that a slip of the pen changes nothing. Each
//! statement commits by itself unless the file says BEGIN. The first error ends it.
//! A folder is served for the time on ports of its own, so that both ways run through the same protocol.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Parser as _;
use millrace_sql::{SqlError, parse, split};
use tokio_postgres::error::DbError;
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::cli::RunArguments;
use crate::client;
use crate::config::{Config, RawConfig};
use crate::run::Running;
use crate::start::StartError;

/// Runs the command.
///
/// # Errors
/// 1 for a file that cannot be read, a server that cannot be reached and a statement that fails: the message
/// begins with file, line and column. Else those of a server's start.
pub async fn run(arguments: &RunArguments) -> Result<(), StartError> {
    let scripts: Vec<Script> =
        arguments.files.iter().map(|path| Script::read(path)).collect::<Result<_, _>>()?;
    if let Some(server) = &arguments.server {
        return run_all(&scripts, server).await;
    }
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    let defaults = RawConfig::parse_from(["millrace"]);
    let data = arguments.data.clone().unwrap_or_else(|| defaults.data.clone());
    // The workers of other processes, if there are some, are not needed for that.
    let (peers, process) = (Vec::new(), 0);
    let raw = RawConfig { data, pg_addr: any_port, http_addr: any_port, peers, process, ..defaults };
    let running = Running::start(Config::try_from(raw)?).await?;
    let address = running.pg.to_string();
    running.serve_while(run_all(&scripts, &address)).await?
}

/// A file, cut into statements that have been parsed.
struct Script {
    path: PathBuf,
    text: String,
    /// Where each statement begins, in characters from 0, and its text.
    statements: Vec<(usize, String)>,
}

impl Script {
    fn read(path: &Path) -> Result<Script, StartError> {
        let text = if path == Path::new("-") {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map(|_| text)
        } else {
            std::fs::read_to_string(path)
        };
        let unreadable = |error| StartError::system(format!("cannot read {}: {error}", path.display()));
        Script::parse(path, text.map_err(unreadable)?)
    }

    fn parse(path: &Path, text: String) -> Result<Script, StartError> {
        let mut script = Script { path: path.to_owned(), text, statements: Vec::new() };
        script.statements = split(&script.text).map_err(|error| script.failed(0, &told(&error)))?;
        for (start, statement) in &script.statements {
            parse(statement).map_err(|error| script.failed(*start, &told(&error)))?;
        }
        Ok(script)
    }

    /// An error of a statement that begins after so many characters.
    fn failed(&self, start: usize, error: &Told) -> StartError {
        let (line, column) = line_and_column(&self.text, start + error.position.unwrap_or(1));
        let mut text =
            format!("{}:{line}:{column}: {}: {}", self.path.display(), error.sqlstate, error.message);
        for (label, more) in [("detail", &error.detail), ("hint", &error.hint)] {
            if let Some(more) = more {
                // Writing to a string cannot fail.
                let _ = write!(text, "\n  {label}: {more}");
            }
        }
        StartError::system(text)
    }
}

/// An error as it is shown, whoever told it.
struct Told {
    sqlstate: String,
    message: String,
    detail: Option<String>,
    hint: Option<String>,
    /// In the statement, in characters from 1.
    position: Option<usize>,
}

fn told(error: &SqlError) -> Told {
    let error = error.clone();
    let SqlError { sqlstate, message, detail, hint, position, .. } = error;
    Told { sqlstate, message, detail, hint, position }
}

/// What a server answered, or why it did not.
fn told_by_server(error: &tokio_postgres::Error) -> Told {
    let Some(error) = error.as_db_error() else {
        let message = error.to_string();
        return Told { sqlstate: "08006".to_owned(), message, detail: None, hint: None, position: None };
    };
    let position = match error.position() {
        Some(tokio_postgres::error::ErrorPosition::Original(position)) => Some(*position as usize),
        Some(tokio_postgres::error::ErrorPosition::Internal { .. }) | None => None,
    };
    Told {
        sqlstate: error.code().code().to_owned(),
        message: error.message().to_owned(),
        detail: error.detail().map(str::to_owned),
        hint: error.hint().map(str::to_owned),
        position,
    }
}

/// Line and column, from 1, of a place in characters from 1.
fn line_and_column(text: &str, position: usize) -> (usize, usize) {
    let before: String = text.chars().take(position.saturating_sub(1)).collect();
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

async fn run_all(scripts: &[Script], server: &str) -> Result<(), StartError> {
    let client = connect(server).await?;
    for script in scripts {
        for (start, statement) in &script.statements {
            let answers = client.simple_query(statement).await;
            show(&answers.map_err(|error| script.failed(*start, &told_by_server(&error)))?)?;
        }
    }
    Ok(())
}

/// A connection whose notices go to the standard error.
async fn connect(server: &str) -> Result<Client, StartError> {
    let unreachable = |error: &dyn std::fmt::Display| {
        StartError::system(format!("cannot connect to the server at {server}: {error}"))
    };
    let (host, port) = server.rsplit_once(':').ok_or_else(|| unreachable(&"its address is HOST:PORT"))?;
    let port = port.parse().map_err(|error| unreachable(&error))?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let tell = |notice: &DbError| eprintln!("{}:  {}", notice.severity(), notice.message());
    client::connect(host, port, "millrace run", tell).await.map_err(|error| unreachable(&error))
}

/// Rows on the standard output, as psql aligns them.
fn show(answers: &[SimpleQueryMessage]) -> Result<(), StartError> {
    let mut table: Vec<Vec<String>> = Vec::new();
    for answer in answers {
        match answer {
            SimpleQueryMessage::RowDescription(columns) => {
                table.push(columns.iter().map(|column| column.name().to_owned()).collect());
            }
            SimpleQueryMessage::Row(row) => {
                table.push((0..row.len()).map(|at| row.get(at).unwrap_or_default().to_owned()).collect());
            }
            _ => {}
        }
    }
    let failed = |error| StartError::system(format!("cannot write the rows: {error}"));
    std::io::stdout().write_all(aligned(&table).as_bytes()).map_err(failed)
}

/// A heading and rows under each other.
fn aligned(table: &[Vec<String>]) -> String {
    let Some((heading, rows)) = table.split_first() else { return String::new() };
    let width = |at: usize| table.iter().map(|row| row[at].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..heading.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!(" {cell:<width$} ")).collect();
        cells.join("|").trim_end().to_owned() + "\n"
    };
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
    let count = format!("({} row{})\n\n", rows.len(), if rows.len() == 1 { "" } else { "s" });
    [line(heading), rule.join("+") + "\n", rows.iter().map(line).collect(), count].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(text: &str) -> String {
        Script::parse(Path::new("a.sql"), text.to_owned())
            .err()
            .map(|error| error.message)
            .unwrap_or_default()
    }

    #[test]
    fn errors_tell_line_and_column_of_the_file() {
        assert_eq!(
            failure("CREATE TABLE t (a int);\n-- é\nSELECT 1;\n  SELEC 2;"),
            "a.sql:4:3: 42601: syntax error at or near \"SELEC\""
        );
        assert_eq!(failure("SELECT 'x"), "a.sql:1:8: 42601: unterminated quoted string at or near \"'x\"");
        assert_eq!(failure("SELECT 1; SELECT ';'; SELECT $$;$$ /* ; */"), "");
    }

    #[test]
    fn rows_are_aligned() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let table = [row(["a", "name"]), row(["1", "é"]), row(["20", ""])];
        assert_eq!(aligned(&table), " a  | name\n----+------\n 1  | é\n 20 |\n(2 rows)\n\n");
    }
}
