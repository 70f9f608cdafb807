//! docs/quickstart.md, followed as a new user would: every block is run, every answer compared;
//! the kill comes in the middle of the load, and afterwards both views equal PostgreSQL's.
//!
//! The page's terminals: `sh server` and `sh kill` are the server's, `sh watch` and `sh load` go on
//! while the next blocks run, `sh` and `sql` run to their end. What differs here is only where the
//! server listens, and that `sh fetch` finds its files on this machine.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Stdio};

use millrace_tests::{Launch, Postgres, Process, Psql, Server, wait_for};

use crate::page::{Answers, Block, blocks, root};

const FILE: &str = "nab/machine_temperature_system_failure.csv";

/// What is compared with PostgreSQL.
const RELATIONS: [&str; 11] = [
    "readings",
    "hourly",
    "hot",
    "sensors",
    "measurements",
    "latest",
    "hours",
    "profiles",
    "outliers",
    "board",
    "peaks",
];

/// How many commits of the load are acknowledged at least before the kill.
const LOADED_BEFORE_KILL: usize = 300;

/// How many changes the page shows in its watch.
const CHANGES_WATCHED: usize = 2;

/// The user at the terminals.
struct Walk {
    server: Option<Server>,
    watch: Option<(Process, BufReader<ChildStdout>)>,
    load: Option<Process>,
    /// Where the files are whose numbers stand on the page; generated ones have others.
    real: Option<PathBuf>,
    answers: Answers,
    /// What the last block printed.
    output: String,
    /// The statements that made and filled the tables of the nine sensors.
    tables: String,
    /// The statements that made the views.
    views: String,
    /// Behind everything that lives in it: fields go in this order.
    folder: tempfile::TempDir,
}

impl Walk {
    fn new() -> Walk {
        let folder = tempfile::tempdir().unwrap();
        let real = root().ancestors().map(|above| above.join("shared/data/nab")).find(|files| files.exists());
        let (output, tables, views) = Default::default();
        let answers = Answers::of(root().join("docs/quickstart.md"));
        Walk { folder, server: None, watch: None, load: None, real, answers, output, tables, views }
    }

    /// Runs a block with a curl that takes what it is asked for from this machine.
    fn fetch(&self, block: &Block) {
        let from = match &self.real {
            Some(files) => format!("{}/\"$name\"", files.display()),
            None => {
                std::fs::write(self.folder.path().join("generated"), generated()).unwrap();
                "generated".to_owned()
            }
        };
        let curl =
            format!("curl() {{ name=$(basename \"${{@: -1}}\"); mkdir -p nab; cp {from} nab/\"$name\"; }}");
        let script = format!("{curl}\n{}", block.text);
        let mut command = Command::new("bash");
        let output =
            command.args(["-euc", &script]).current_dir(self.folder.path()).output().expect("install bash");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{stderr}fetch it into the folder of the others:\n{}", block.text);
    }

    fn server(&self) -> &Server {
        self.server.as_ref().expect("the page starts the server first")
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("millrace-data")
    }

    /// A shell in the user's folder that reaches the server, with what it runs writing line by line.
    fn shell(&self, block: &Block) -> Command {
        let server = self.server();
        let script = block.text.replace("6432", &server.pg().port().to_string());
        let mut command = Command::new("stdbuf");
        command.args(["-oL", "bash", "-euo", "pipefail", "-c", &script]).current_dir(self.folder.path());
        command.env("PGHOST", server.pg().ip().to_string()).env("PGPORT", server.pg().port().to_string());
        command.env("PGDATABASE", "millrace").env("PGUSER", "ada").env("LC_ALL", "C.UTF-8");
        command.env("PSQLRC", "/dev/null").stdin(Stdio::null());
        command
    }

    fn run(&mut self, block: &Block) {
        match block.kind.as_str() {
            "sh fetch" => self.fetch(block),
            "sh server" => self.start(),
            "text server" => self.compare(block, &self.told()),
            "sh" => {
                let output = self.shell(block).output().unwrap();
                let stderr = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "line {}: {stderr}", block.line);
                self.output = String::from_utf8(output.stdout).unwrap();
            }
            "sql" => self.sql(block),
            "text" => self.compare(block, &self.output.clone()),
            "sh watch" => self.watch(block),
            "text watch" => self.compare_watched(block),
            "sh load" => {
                let mut command = self.shell(block);
                self.load = Some(Process::start(command.stderr(Stdio::null()), "install bash"));
            }
            "sh kill" => self.kill(),
            other => panic!("line {}: what is {other}?", block.line),
        }
    }

    fn start(&mut self) {
        assert!(self.server.is_none(), "the server runs already");
        self.server = Some(Launch::on(self.data()).start());
    }

    /// What the server told, with the page's addresses.
    fn told(&self) -> String {
        let server = self.server();
        let told = server.told().replace(&self.data().display().to_string(), "./millrace-data");
        let told = told.replace(&server.pg().port().to_string(), "6432");
        told.replace(&server.http().port().to_string(), "8432")
    }

    fn sql(&mut self, block: &Block) {
        let mut command = self.shell(&Block { text: "psql -f block.sql".to_owned(), ..block.clone() });
        std::fs::write(self.folder.path().join("block.sql"), &block.text).unwrap();
        let output = command.output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(stderr, "", "line {}", block.line);
        self.output = String::from_utf8(output.stdout).unwrap();
        if block.text.contains("CREATE MATERIALIZED VIEW") {
            self.views.push_str(&block.text);
        } else if ["INTO sensors", "INTO measurements"].iter().any(|writes| block.text.contains(writes)) {
            self.tables.push_str(&block.text);
        }
    }

    fn compare(&mut self, block: &Block, output: &str) {
        if self.real.is_some() {
            self.answers.check(block, output);
        }
    }

    /// Starts to watch; the first row says that the subscription stands.
    fn watch(&mut self, block: &Block) {
        let mut command = self.shell(block);
        let mut process = Process::start(command.stdout(Stdio::piped()), "install coreutils");
        let mut lines = BufReader::new(process.child().stdout.take().unwrap());
        let mut first = String::new();
        lines.read_line(&mut first).unwrap();
        assert_eq!(first.split('\t').nth(1), Some("t"), "a progress row: {first}");
        self.watch = Some((process, lines));
    }

    /// The changes that the page shows; rows of progress, which it leaves out, stand between them.
    fn compare_watched(&mut self, block: &Block) {
        let (_process, lines) = self.watch.take().expect("something is watched");
        let changes = lines.lines().map(Result::unwrap).filter(|line| line.split('\t').nth(1) == Some("f"));
        let changes: Vec<String> = changes.take(CHANGES_WATCHED).collect();
        self.answers.check(block, &changes.join("\n"));
    }

    /// `kill -9` when some hundred commits of the load are in; then the load ends, too.
    fn kill(&mut self) {
        let mut load = self.load.take().expect("something is being loaded");
        let count = "SELECT count(*) FROM readings WHERE ts >= '2033-01-01'";
        wait_for("the load to come in", || {
            let loaded: usize = self.server().query(count).parse().unwrap();
            (loaded >= LOADED_BEFORE_KILL).then_some(())
        });
        let mut server = self.server.take().unwrap();
        server.kill();
        load.wait();
    }
}

/// As the real file, but small and of our own making: 3,000 readings with a peak now and then.
fn generated() -> String {
    let mut text = "timestamp,value\n".to_owned();
    for i in 0..3000_usize {
        let (day, hour, minute) = (i / 288 + 1, i / 12 % 24, i % 12 * 5);
        let value = 80 + i * 7919 % 11 + if i % 97 == 0 { 20 } else { 0 };
        text.push_str(&format!("2013-12-{day:02} {hour:02}:{minute:02}:00,{value}.{:03}\n", i * 31 % 1000));
    }
    text
}

/// The rows of a relation, sorted, field by field.
fn rows(psql: &Psql, relation: &str) -> Vec<Vec<String>> {
    let text = psql.query(&format!("COPY (SELECT * FROM {relation}) TO STDOUT"));
    let mut rows: Vec<Vec<String>> =
        text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect();
    rows.sort();
    rows
}

/// Equal texts; or numbers that differ by the last bits: our sums of doubles are exact and rounded
/// once, PostgreSQL's depend on the order of its rows.
fn agree(ours: &str, theirs: &str) -> bool {
    let close = |ours: f64, theirs: f64| (ours - theirs).abs() <= 1e-12 * ours.abs().max(theirs.abs());
    ours == theirs || matches!((ours.parse(), theirs.parse()), (Ok(a), Ok(b)) if close(a, b))
}

fn assert_agree(server: &Server, postgres: &Postgres, relation: &str) {
    let (ours, theirs) = (rows(&server.psql(), relation), rows(&postgres.psql(), relation));
    assert_eq!(ours.len(), theirs.len(), "rows of {relation}");
    assert!(!ours.is_empty(), "{relation} is empty");
    for (ours, theirs) in ours.iter().zip(&theirs) {
        let equal = ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| agree(a, b));
        assert!(equal, "{relation}: {ours:?}, PostgreSQL has {theirs:?}");
    }
}

/// The same tables in PostgreSQL, by way of the client's own ledger: the file, less what the page
/// deletes, and the first `loaded` rows of the load; and all files.
fn postgres_with(folder: &Path, loaded: usize, tables: &str, views: &str) -> Postgres {
    let postgres = Postgres::start();
    let file = std::fs::read_to_string(folder.join(FILE)).unwrap();
    let later = file.lines().skip(1).take(loaded).map(|line| line.replacen("201", "203", 1) + "\n");
    std::fs::write(folder.join("later.csv"), later.collect::<String>()).unwrap();
    std::fs::write(folder.join("all.csv"), all_measurements(&folder.join("nab"))).unwrap();
    let script = format!(
        "CREATE TABLE readings (ts timestamp NOT NULL, value double precision);\n\
         \\copy readings FROM '{folder}/{FILE}' WITH (FORMAT csv, HEADER)\n\
         DELETE FROM readings WHERE value > 105;\n\
         \\copy readings FROM '{folder}/later.csv' WITH (FORMAT csv)\n{tables}\
         \\copy measurements FROM '{folder}/all.csv' WITH (FORMAT csv)\n{views}",
        folder = folder.display()
    );
    let answer = postgres.psql().script(&["-q", "-v", "ON_ERROR_STOP=1"], &script);
    assert!(answer.success, "{}", answer.stderr);
    postgres
}

/// The lines of all files, each with the name of its file in front.
fn all_measurements(nab: &Path) -> String {
    let files = std::fs::read_dir(nab).unwrap().map(|file| file.unwrap().path());
    let lines = files.flat_map(|file| {
        let sensor = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(file).unwrap();
        text.lines().skip(1).map(|line| format!("{sensor},{line}\n")).collect::<Vec<_>>()
    });
    lines.collect()
}

#[test]
fn the_quickstart_works_as_it_is_written() {
    let mut walk = Walk::new();
    for block in blocks(&root().join("docs/quickstart.md")) {
        walk.run(&block);
        if block.text.contains("grep -c \"INSERT 0 1\"") {
            let numbers: Vec<usize> =
                walk.output.split_whitespace().filter_map(|word| word.parse().ok()).collect();
            let (acknowledged, found) = (numbers[0], numbers[1]);
            assert!(acknowledged >= LOADED_BEFORE_KILL, "{}", walk.output);
            assert!(found == acknowledged || found == acknowledged + 1, "{}", walk.output);
        }
    }
    let answers = std::mem::replace(&mut walk.answers, Answers::of(PathBuf::new()));
    answers.finish();
    let server = walk.server();
    let loaded = server.query("SELECT count(*) FROM readings WHERE ts >= '2033-01-01'").parse().unwrap();
    let postgres = postgres_with(walk.folder.path(), loaded, &walk.tables, &walk.views);
    for relation in RELATIONS {
        assert_agree(server, &postgres, relation);
    }
}
