//! A private PostgreSQL cluster in a folder of its own, reached through a Unix socket only.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStderr, Command, Stdio};
use std::sync::mpsc;

use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

use crate::PATIENCE;
use crate::process::{Process, signal};
use crate::psql::{INSTALL, Psql};

/// A running PostgreSQL; dropping it ends it and removes its folder.
#[derive(Debug)]
pub struct Postgres {
    // Before the folder, so that the process is gone when the folder goes.
    process: Process,
    folder: TempDir,
}

impl Postgres {
    /// A new, empty cluster; its text order is the bytes' order, as Millrace's is.
    pub fn start() -> Postgres {
        let folder = tempfile::Builder::new().prefix("millrace-postgres").tempdir().unwrap();
        let user = user();
        if let Some((uid, gid)) = user {
            chown(folder.path(), Some(uid), Some(gid)).unwrap();
        }
        let data = folder.path().join("data");
        let initdb = command("initdb", user)
            .args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "-D"])
            .arg(&data)
            .output()
            .unwrap_or_else(|error| panic!("initdb: {error}; {INSTALL}"));
        assert!(initdb.status.success(), "{}", String::from_utf8_lossy(&initdb.stderr));
        let mut postgres = command("postgres", user);
        postgres.arg("-D").arg(&data).args(["-c", "listen_addresses=", "-c", "fsync=off", "-k"]);
        postgres.arg(folder.path()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = Process::start(&mut postgres, INSTALL);
        wait_until_ready(process.child().stderr.take().unwrap());
        Postgres { process, folder }
    }

    /// The real psql, connected to this cluster.
    pub fn psql(&self) -> Psql {
        let host = self.folder.path().display().to_string();
        Psql { host, port: 5432, user: "postgres".to_owned(), database: "postgres".to_owned() }
    }

    /// Runs one text of SQL by psql: bare rows, columns divided by `|`. An error fails the test.
    pub fn query(&self, sql: &str) -> String {
        self.psql().query(sql)
    }

    /// A connection of tokio-postgres, driven by the calling runtime.
    pub async fn connect(&self) -> Client {
        let mut config = tokio_postgres::Config::new();
        config.host_path(self.folder.path()).user("postgres").dbname("postgres");
        let (client, connection) = config.connect(NoTls).await.unwrap();
        // How the connection ends is told to the client's next call.
        tokio::spawn(async move { connection.await.ok() });
        client
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // An immediate shutdown: the server takes its children along, as a SIGKILL would not.
        signal("QUIT", self.process.id());
        self.process.wait();
    }
}

/// Reads the log on a thread of its own to its end, and returns when it says that clients may come.
fn wait_until_ready(stderr: ChildStderr) {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            // Nobody listens any more once it is ready.
            let _ = sender.send(line);
        }
    });
    let mut log = Vec::new();
    while !log.last().is_some_and(|line: &String| line.contains("ready to accept connections")) {
        let line = receiver.recv_timeout(PATIENCE);
        log.push(line.unwrap_or_else(|error| panic!("PostgreSQL does not start ({error}): {log:#?}")));
    }
}

/// A program of PostgreSQL's, run as `user`.
fn command(program: &str, user: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(programs().join(program));
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    command.env("LC_ALL", "C").env("TZ", "UTC").current_dir("/").stdin(Stdio::null());
    command
}

/// The folder with initdb and postgres: the newest that Debian's packages have installed.
fn programs() -> PathBuf {
    let versions =
        std::fs::read_dir("/usr/lib/postgresql").unwrap_or_else(|error| panic!("{error}; {INSTALL}"));
    let version = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let paths = versions.map(|entry| entry.unwrap().path());
    paths.max_by_key(|path| version(path)).unwrap_or_else(|| panic!("no PostgreSQL; {INSTALL}")).join("bin")
}

/// The user `postgres` where we are root, whom PostgreSQL refuses; else ourselves.
fn user() -> Option<(u32, u32)> {
    let uid = std::fs::metadata("/proc/self").unwrap().uid();
    (uid == 0).then(|| {
        let users = std::fs::read_to_string("/etc/passwd").unwrap();
        let line = users.lines().find(|line| line.starts_with("postgres:"));
        let line = line.unwrap_or_else(|| panic!("no user postgres; {INSTALL}"));
        let mut fields = line.split(':').skip(2).map(|field| field.parse().unwrap());
        (fields.next().unwrap(), fields.next().unwrap())
    })
}
