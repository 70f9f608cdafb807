//! docs/reference: every example is run, page by page, each page against a server of its own.
//!
//! A `sql` block is one session of psql; the `text` block behind it is all that psql prints, errors
//! included. A `sql follow` block never ends: it is cut off after as many lines as are expected. A `sh http` block is
//! run by bash, with the server's own address in the place of the default one.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use millrace_tests::{Process, Server};

use crate::clients::libraries;
use crate::page::{Answers, Block, blocks, root};

/// A psql that reads its script from a file, with what it prints in the order in which it happens.
fn psql(server: &Server, script: &Path) -> Command {
    let mut command = Command::new("stdbuf");
    let line = format!("exec psql --no-psqlrc <'{}' 2>&1", script.display());
    command.args(["-oL", "bash", "-c", &line]).stdin(Stdio::null()).stdout(Stdio::piped());
    command.env("PGHOST", server.pg().ip().to_string()).env("PGPORT", server.pg().port().to_string());
    command.env("PGDATABASE", "millrace").env("PGUSER", "ada").env("LC_ALL", "C.UTF-8");
    command
}

fn script(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn run(server: &Server, text: &str) -> String {
    let script = script(text);
    let output = psql(server, script.path()).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// What a script of curls prints; its Python is that of the clients, with their libraries.
fn curl(server: &Server, text: &str) -> String {
    let text = text.replace("127.0.0.1:8432", &server.http().to_string());
    let mut path = libraries().join("python/bin").into_os_string();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let mut command = Command::new("bash");
    command.args(["-c", &text]).stdin(Stdio::null()).env("LC_ALL", "C.UTF-8").env("PATH", path);
    let output = command.output().unwrap();
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

/// The first lines of what never ends.
fn follow(server: &Server, text: &str, lines: usize) -> String {
    let script = script(text);
    let mut process = Process::start(&mut psql(server, script.path()), "install coreutils");
    let output = BufReader::new(process.child().stdout.take().unwrap());
    output.lines().take(lines).map(|line| line.unwrap() + "\n").collect()
}

fn check_page(page: PathBuf) {
    let server = Server::start();
    let blocks = blocks(&page);
    let mut answers = Answers::of(page);
    for (index, block) in blocks.iter().enumerate() {
        let expected = blocks.get(index + 1).filter(|next| next.kind == "text");
        match (block.kind.as_str(), expected) {
            ("sql", Some(expected)) => answers.check(expected, &run(&server, &block.text)),
            ("sql follow", Some(expected)) => {
                answers.check(expected, &follow(&server, &block.text, expected.text.lines().count()));
            }
            ("sql" | "sql follow", None) => panic!("line {}: no text block behind it", block.line),
            ("sh http", Some(expected)) => answers.check(expected, &curl(&server, &block.text)),
            ("sh http", None) => panic!("line {}: no text block behind it", block.line),
            ("text" | "sh" | "toml", _) => {}
            (other, _) => panic!("line {}: what is {other}?", block.line),
        }
    }
    answers.finish();
}

#[test]
fn the_statements_answer_as_their_page_says() {
    check_page(root().join("docs/reference/sql.md"));
}

#[test]
fn the_types_and_functions_answer_as_their_page_says() {
    check_page(root().join("docs/reference/types-and-functions.md"));
}

#[test]
fn the_errors_answer_as_their_page_says() {
    check_page(root().join("docs/reference/errors.md"));
}

#[test]
fn http_answers_as_its_page_says() {
    check_page(root().join("docs/reference/http.md"));
}

#[test]
fn the_readme_shows_what_happens() {
    check_page(root().join("README.md"));
}

fn server_page() -> String {
    std::fs::read_to_string(root().join("docs/reference/server.md")).unwrap()
}

/// The names in backquotes at the starts of a page's table rows.
fn names_in_tables(text: &str, start: &str) -> Vec<String> {
    let names = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    names.map(|(name, _)| name.to_owned()).filter(|name| name.starts_with(start)).collect()
}

#[test]
fn every_flag_stands_on_its_page() {
    let help = |command: &[&str]| {
        let help = Command::new(millrace_tests::binary()).args(command).arg("--help").output().unwrap();
        String::from_utf8(help.stdout).unwrap()
    };
    let help = [help(&[]), help(&["run"]), help(&["demo"])].concat();
    let page = server_page();
    let words =
        help.split_whitespace().filter(|word| word.starts_with("--")).map(|word| word.trim_end_matches(','));
    let mut flags: Vec<String> = words.map(str::to_owned).collect();
    flags.sort();
    flags.dedup();
    assert!(flags.len() > 5, "{help}");
    for flag in &flags {
        assert!(page.contains(&format!("`{flag}")), "docs/reference/server.md says nothing about {flag}");
    }
    for part in help.split("[env: ").skip(1) {
        let variable = part.split('=').next().unwrap();
        assert!(page.contains(variable), "docs/reference/server.md says nothing about {variable}");
    }
}

#[test]
fn the_metrics_on_their_page_are_those_that_are_served() {
    let server = Server::start();
    let (status, text) = server.get("/metrics");
    assert_eq!(status, 200);
    let families = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let mut served: Vec<String> = families.map(|(name, _)| name.to_owned()).collect();
    let mut told = names_in_tables(&server_page(), "millrace_");
    served.sort();
    told.sort();
    assert_eq!(told, served);
    assert_eq!(server.get("/nothing").0, 404);
}

#[test]
fn a_page_without_examples_would_be_noticed() {
    for page in ["sql", "types-and-functions", "errors"] {
        let found: Vec<Block> = blocks(&root().join(format!("docs/reference/{page}.md")));
        assert!(found.iter().filter(|block| block.kind.starts_with("sql")).count() >= 3, "{page}");
    }
}
