//! The real binary, started on a folder with ports that the system chooses.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Stdio};
use std::sync::{Arc, mpsc};

use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

use crate::PATIENCE;
use crate::peers::Peers;
use crate::process::{Process, signal};
use crate::psql::Psql;

/// How to start a server.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The data folder.
    pub data: PathBuf,
    /// Worker threads.
    pub workers: usize,
    /// Further flags. Given after ours, they win only where ours may repeat.
    pub flags: Vec<String>,
    /// A program, with its arguments, that runs the binary (strace).
    pub wrapper: Vec<String>,
    /// What the server writes to stderr is appended here.
    pub log: PathBuf,
    /// The other processes of its cluster, where it is of one: they outlive restarts of the server.
    pub cluster: Option<Arc<Peers>>,
}

/// A process that has ended before it listened.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// All that it wrote to stderr.
    pub stderr: String,
}

/// A running server; dropping it kills it.
#[derive(Debug)]
pub struct Server {
    launch: Launch,
    process: Process,
    pg: SocketAddr,
    http: SocketAddr,
    told: String,
    /// Kept open, so that writing to stdout never fails.
    _stdout: BufReader<ChildStdout>,
    /// The folder of a server that was started without one.
    folder: Option<TempDir>,
}

/// The binary under test: `MILLRACE_BINARY`, else the one beside the test's own.
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("MILLRACE_BINARY") {
        return PathBuf::from(path);
    }
    let test = std::env::current_exe().unwrap();
    let path = test.parent().and_then(Path::parent).unwrap().join("millrace");
    assert!(path.exists(), "no {}: run ./test, or cargo build --workspace first", path.display());
    path
}

impl Launch {
    /// With two workers on this folder; with `MILLRACE_TEST_PROCESSES` these are spread over so many processes.
    pub fn on(data: impl Into<PathBuf>) -> Launch {
        let data = data.into();
        let mut log = OsString::from(&data);
        log.push(".stderr");
        let launch = Launch {
            data,
            workers: 2,
            flags: Vec::new(),
            wrapper: Vec::new(),
            log: log.into(),
            cluster: None,
        };
        match processes() {
            1 => launch,
            processes => launch.processes(processes),
        }
    }

    /// With so many workers; at least one in each process.
    pub fn workers(mut self, workers: usize) -> Launch {
        self.workers = workers;
        self
    }

    /// As process 0 of a cluster of so many; alone where that is one and the environment does not say otherwise.
    pub fn processes(self, processes: usize) -> Launch {
        if processes == 1 {
            return self;
        }
        let peers = Peers::new(&self.data, processes);
        self.with(peers)
    }

    /// As process 0 of a cluster.
    pub fn with(mut self, peers: Peers) -> Launch {
        self.cluster = Some(Arc::new(peers));
        self
    }

    /// Worker threads of each process.
    fn workers_each(&self) -> usize {
        let processes = self.cluster.as_ref().map_or(1, |peers| peers.processes());
        (self.workers / processes).max(1)
    }

    /// Run by another program.
    pub fn wrapped(mut self, wrapper: Vec<String>) -> Launch {
        self.wrapper = wrapper;
        self
    }

    /// Starts and waits until clients can connect.
    pub fn start(self) -> Server {
        self.try_start().unwrap_or_else(|ended| panic!("the server has ended: {ended:?}"))
    }

    /// Starts; if the process ends before it listens, tells how.
    ///
    /// # Errors
    /// The exit code and all that was written to stderr.
    pub fn try_start(self) -> Result<Server, Ended> {
        self.cluster.iter().for_each(|peers| peers.start_missing(self.workers_each()));
        let log = OpenOptions::new().create(true).append(true).open(&self.log).unwrap();
        let told = log.metadata().unwrap().len();
        let install = "build it with ./test; strace comes with: apt-get install strace";
        let mut process = Process::start(self.command().stdout(Stdio::piped()).stderr(log), install);
        let stdout = BufReader::new(process.child().stdout.take().unwrap());
        let (lines, stdout) = head(stdout);
        match addresses(&lines) {
            Some((pg, http)) => {
                let told = lines.concat();
                Ok(Server { launch: self, process, pg, http, told, _stdout: stdout, folder: None })
            }
            None => Err(Ended { code: process.wait().code(), stderr: since(&self.log, told) }),
        }
    }

    fn command(&self) -> Command {
        let mut words: Vec<OsString> = self.wrapper.iter().map(OsString::from).collect();
        words.push(binary().into());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).arg("--data").arg(&self.data);
        command.args(["--pg-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0"]);
        command.args(["--workers", &self.workers_each().to_string()]).args(&self.flags).stdin(Stdio::null());
        self.cluster.iter().for_each(|peers| peers.name(0, &mut command));
        without_variables(&mut command);
        command
    }
}

/// How many processes a server has where its test does not say.
fn processes() -> usize {
    std::env::var("MILLRACE_TEST_PROCESSES")
        .map_or(1, |processes| processes.parse().expect("a number of processes"))
}

/// What the tester's own environment says does not count.
pub(crate) fn without_variables(command: &mut Command) {
    for name in ["PG_ADDR", "HTTP_ADDR", "DATA", "WORKERS", "PEERS", "PROCESS", "CLUSTER_SECRET"] {
        command.env_remove(format!("MILLRACE_{name}"));
    }
}

/// The lines up to the last that the server tells when it starts; fewer if it ended before.
fn head(mut stdout: BufReader<ChildStdout>) -> (Vec<String>, BufReader<ChildStdout>) {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut lines = Vec::new();
        let mut line = String::new();
        while !line.contains("connect with") {
            line.clear();
            if stdout.read_line(&mut line).unwrap() == 0 {
                break;
            }
            lines.push(line.clone());
        }
        // Nobody waits any more if the test has given up.
        let _ = sender.send((lines, stdout));
    });
    receiver.recv_timeout(PATIENCE).expect("the server neither listens nor ends")
}

fn addresses(lines: &[String]) -> Option<(SocketAddr, SocketAddr)> {
    let after = |start: &str| {
        let rest = lines.iter().find_map(|line| line.strip_prefix(start))?;
        Some(rest.split_whitespace().next()?.parse().expect("an address"))
    };
    let pg = after("millrace: listening for PostgreSQL clients on ")?;
    Some((pg, after("millrace: listening for HTTP on ")?))
}

/// What stands in a file from `start` on.
fn since(path: &Path, start: u64) -> String {
    let mut text = Vec::new();
    File::open(path).unwrap().read_to_end(&mut text).unwrap();
    String::from_utf8_lossy(&text[usize::try_from(start).unwrap()..]).into_owned()
}

impl Server {
    /// With two workers, on a new folder that goes with the server.
    pub fn start() -> Server {
        Server::with_workers(2)
    }

    /// With so many workers, on a new folder that goes with the server.
    pub fn with_workers(workers: usize) -> Server {
        let folder = tempfile::tempdir().unwrap();
        let mut server = Launch::on(folder.path().join("data")).workers(workers).start();
        server.folder = Some(folder);
        server
    }

    /// Where PostgreSQL clients connect.
    pub fn pg(&self) -> SocketAddr {
        self.pg
    }

    /// Where HTTP is served.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// What the server told on stdout when it was ready.
    pub fn told(&self) -> &str {
        &self.told
    }

    /// The data folder.
    pub fn data(&self) -> &Path {
        &self.launch.data
    }

    /// The other processes of its cluster.
    pub fn peers(&self) -> &Peers {
        self.launch.cluster.as_ref().expect("a server of a cluster")
    }

    /// The number of the process (of the wrapper, if there is one).
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// What the server has written to stderr, also before restarts.
    pub fn log(&self) -> String {
        since(&self.launch.log, 0)
    }

    /// `kill -9`; the server can be started again on its folder.
    pub fn kill(&mut self) {
        if !self.launch.wrapper.is_empty() {
            // The wrapper ends with what it runs; the other way round it might outlive us.
            let id = self.process.id();
            let children =
                std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
            children.split_whitespace().for_each(|child| signal("KILL", child.parse().unwrap()));
            self.process.wait();
        }
        self.process.kill();
    }

    /// Waits until the process has ended by itself: its exit code, none if a signal ended it.
    pub fn wait(&mut self) -> Option<i32> {
        self.process.wait().code()
    }

    /// SIGTERM, and waits: the exit code.
    pub fn stop(&mut self) -> Option<i32> {
        signal("TERM", self.process.id());
        self.wait()
    }

    /// Kills the server if it still runs and starts it again on the same folder, at new ports.
    pub fn restart(&mut self) {
        self.kill();
        let folder = self.folder.take();
        *self = self.launch.clone().start();
        self.folder = folder;
    }

    /// The real psql, connected to this server.
    pub fn psql(&self) -> Psql {
        let host = self.pg.ip().to_string();
        Psql { host, port: self.pg.port(), user: "ada".to_owned(), database: "millrace".to_owned() }
    }

    /// Runs one text of SQL by psql: bare rows, columns divided by `|`. An error fails the test.
    pub fn query(&self, sql: &str) -> String {
        self.psql().query(sql)
    }

    /// A connection of tokio-postgres, driven by the calling runtime.
    ///
    /// # Errors
    /// What the driver raises, so that a test can see a connection refused.
    pub async fn try_connect(&self) -> Result<Client, tokio_postgres::Error> {
        let mut config = tokio_postgres::Config::new();
        config.host(self.pg.ip().to_string()).port(self.pg.port()).user("ada").dbname("millrace");
        let (client, connection) = config.connect(NoTls).await?;
        // How the connection ends is told to the client's next call.
        tokio::spawn(async move { connection.await.ok() });
        Ok(client)
    }

    /// A connection of tokio-postgres; failing to connect fails the test.
    pub async fn connect(&self) -> Client {
        self.try_connect().await.unwrap()
    }

    /// A GET over HTTP/1.1: status and body.
    pub fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.http).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.http).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        let status = head.split_whitespace().nth(1).expect("a status").parse().unwrap();
        (status, body.to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The folder may have gone before the server: a second panic would hide the first.
            let log = std::fs::read(&self.launch.log).unwrap_or_default();
            eprintln!("--- the server's log:\n{}---", String::from_utf8_lossy(&log));
        }
    }
}
