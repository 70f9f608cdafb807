//! Six clients do the same steps, each as its users would: `tests/clients/steps.txt` tells what and what comes of it.
//!
//! A client is a program that prints `step<TAB>line`, gets the server's port as its argument, and when it has printed
//! `RESTART` the new port on its input. The one for tokio-postgres is here (`rust`), the others beside the list.

mod rust; // tokio-postgres

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc;

use millrace_tests::{PATIENCE, Process, Server, binary};

use crate::page::root;

/// What to do where a client's libraries are missing.
pub(crate) const INSTALL: &str = "run ./test, which installs the clients' libraries";

/// The clients, as steps.txt names them.
const CLIENTS: [&str; 6] = ["psql", "psycopg", "asyncpg", "node", "jdbc", "tokio-postgres"];

/// A step of the list.
struct Step {
    name: String,
    expected: Vec<String>,
    /// The clients that cannot do it, each with the reason.
    cannot: BTreeMap<String, String>,
}

/// What a client has said, by step.
type Said = BTreeMap<String, Vec<String>>;

pub(crate) fn folder() -> PathBuf {
    root().join("tests/clients")
}

fn steps() -> Vec<Step> {
    let text = std::fs::read_to_string(folder().join("steps.txt")).unwrap();
    let mut steps: Vec<Step> = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix("step ") {
            steps.push(Step { name: name.to_owned(), expected: Vec::new(), cannot: BTreeMap::new() });
            continue;
        }
        let step = steps.last_mut().unwrap();
        let (word, rest) = line.trim_start().split_once(": ").unwrap_or_else(|| panic!("what is {line}?"));
        match word.split_once(' ') {
            None if word == "expect" => step.expected.push(rest.to_owned()),
            None if word == "does" => {}
            Some(("cannot", client)) => drop(step.cannot.insert(client.to_owned(), rest.to_owned())),
            _ => panic!("what is {line}?"),
        }
    }
    steps
}

/// A server with what the clients find there.
fn server() -> Server {
    let server = Server::with_workers(2);
    server.query(&std::fs::read_to_string(folder().join("setup.sql")).unwrap());
    server
}

/// Compares what a client has said with the list.
fn check(client: &str, mut said: Said) {
    let mut wrong = Vec::new();
    for Step { name, expected, cannot } in steps() {
        let lines = said.remove(&name);
        match (lines, cannot.get(client)) {
            (Some(_), Some(_)) => {
                wrong.push(format!("{name}: it can do what it is said not to be able to do"))
            }
            (None, Some(_)) => {}
            (lines, None) if lines.as_ref() == Some(&expected) => {}
            (lines, None) => wrong.push(format!("{name}:\n  expected {expected:#?}\n  said {lines:#?}")),
        }
    }
    wrong.extend(said.keys().map(|step| format!("{step}: it stands in no list")));
    assert!(wrong.is_empty(), "{client}\n{}", wrong.join("\n"));
}

/// Runs a client's program to its end.
fn play(client: &str, command: &mut Command) {
    let mut server = server();
    command.arg(server.pg().port().to_string()).env("PGHOST", server.pg().ip().to_string()).env("TZ", "UTC");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).current_dir(folder());
    let mut process = Process::start(command, INSTALL);
    let output = BufReader::new(process.child().stdout.take().unwrap());
    let mut input = process.child().stdin.take().unwrap();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            // The test may have failed meanwhile.
            let _ = sender.send(line);
        }
    });
    let mut said = Said::new();
    loop {
        let line = match receiver.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("{client} hangs behind {:?}", said.keys()),
        };
        if line == "RESTART" {
            server.kill();
            server.restart();
            writeln!(input, "{}", server.pg().port()).unwrap();
            continue;
        }
        let (step, line) = line.split_once('\t').unwrap_or_else(|| panic!("what is {line}?"));
        said.entry(step.to_owned()).or_default().push(line.to_owned());
    }
    let status = process.wait();
    check(client, said);
    assert!(status.success(), "{client}: {status}");
}

/// Where ./test has put the clients' libraries.
pub(crate) fn libraries() -> PathBuf {
    let target = || binary().parent().unwrap().parent().unwrap().join("clients");
    std::env::var_os("MILLRACE_CLIENTS").map_or_else(target, PathBuf::from)
}

fn python(program: &str) -> Command {
    let mut command = Command::new(libraries().join("python/bin/python"));
    command.arg(folder().join(program)).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

#[test]
fn the_list_is_whole() {
    let steps = steps();
    assert_eq!(steps.len(), 25);
    for step in steps {
        assert!(!step.expected.is_empty(), "{}", step.name);
        assert!(step.cannot.keys().all(|client| CLIENTS.contains(&client.as_str())), "{}", step.name);
        assert!(step.cannot.len() <= 3, "{}: hardly anybody does it", step.name);
    }
}

#[test]
fn psql_does_every_step() {
    play("psql", Command::new("bash").arg(folder().join("psql_client.sh")));
}

#[test]
fn psycopg_does_every_step() {
    play("psycopg", &mut python("psycopg_client.py"));
}

#[test]
fn asyncpg_does_every_step() {
    play("asyncpg", &mut python("asyncpg_client.py"));
}

#[test]
fn node_postgres_does_every_step() {
    let mut command = Command::new("node");
    command.arg(folder().join("node_client.js")).env("NODE_PATH", libraries().join("node/node_modules"));
    play("node", &mut command);
}

#[test]
fn jdbc_does_every_step() {
    // The launcher compiles a single file in memory.
    let mut command = Command::new("java");
    command.args(["-Xshare:auto", "-XX:TieredStopAtLevel=1", "-Dfile.encoding=UTF-8"]);
    command.args(["-cp", "/usr/share/java/postgresql.jar"]).arg(folder().join("JdbcClient.java"));
    play("jdbc", &mut command);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokio_postgres_does_every_step() {
    check("tokio-postgres", rust::steps(server()).await);
}
