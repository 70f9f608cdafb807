//! The real psql, as a user runs it.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use crate::process::Process;

/// What to do where psql is missing.
pub(crate) const INSTALL: &str = "install it with: apt-get install postgresql postgresql-client";

/// Where a psql connects to.
#[derive(Clone, Debug)]
pub struct Psql {
    /// A host's name, or the folder of a Unix socket.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The user.
    pub user: String,
    /// The database.
    pub database: String,
}

/// What a psql that has ended has said.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Whether it ended with 0.
    pub success: bool,
    /// Its output.
    pub stdout: String,
    /// Its errors and notices.
    pub stderr: String,
}

impl From<Output> for Answer {
    fn from(output: Output) -> Answer {
        Answer {
            success: output.status.success(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Psql {
    /// A psql with these arguments, without the user's own settings.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("psql");
        command.arg("--no-psqlrc").args(["-h", &self.host, "-p", &self.port.to_string()]);
        command.args(["-U", &self.user, "-d", &self.database]).args(arguments);
        for name in ["PGOPTIONS", "PGSERVICE", "PGPASSWORD", "PGSSLMODE", "PGAPPNAME", "PSQL_PAGER", "PAGER"]
        {
            command.env_remove(name);
        }
        command.env("LC_ALL", "C.UTF-8").env("PGCLIENTENCODING", "UTF8").stdin(Stdio::null());
        command
    }

    /// Runs it to its end.
    pub fn run(&self, arguments: &[&str]) -> Answer {
        let output = self.command(arguments).output();
        output.unwrap_or_else(|error| panic!("psql: {error}; {INSTALL}")).into()
    }

    /// Runs one text of SQL: bare rows, columns divided by `|`. An error fails the test.
    pub fn query(&self, sql: &str) -> String {
        let answer = self.run(&["-qAt", "-v", "ON_ERROR_STOP=1", "-c", sql]);
        assert!(answer.success, "{sql}\n{}", answer.stderr);
        answer.stdout.trim_end_matches('\n').to_owned()
    }

    /// Feeds a script through its input, as `psql < file` does; errors do not stop it.
    pub fn script(&self, arguments: &[&str], text: &str) -> Answer {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("psql: {error}; {INSTALL}"));
        let mut input = child.stdin.take().unwrap();
        let text = text.to_owned();
        // From a thread of its own: a psql whose output nobody takes would stop reading.
        let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
        let answer = child.wait_with_output().unwrap().into();
        // A psql that has given up reads no further; what it says tells why.
        let _ = writer.join().unwrap();
        answer
    }

    /// Starts it and lets it run; its output and its errors are pipes.
    pub fn start(&self, arguments: &[&str]) -> Process {
        let mut command = self.command(arguments);
        Process::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()), INSTALL)
    }
}
