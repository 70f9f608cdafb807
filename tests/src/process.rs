//! A child process that never outlives its handle.

use std::process::{Child, Command, ExitStatus};

/// A running process; dropping it kills it with SIGKILL.
#[derive(Debug)]
pub struct Process {
    child: Child,
}

impl Process {
    /// Starts `command`; `install` tells what to do where the program is missing.
    pub fn start(command: &mut Command, install: &str) -> Process {
        let child = command.spawn();
        Process { child: child.unwrap_or_else(|error| panic!("{command:?}: {error}; {install}")) }
    }

    /// The process's number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The child, to take its pipes.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// `kill -9`, and the process is gone when this returns.
    pub fn kill(&mut self) {
        // It may have ended by itself; then there is nothing to kill.
        let _ = self.child.kill();
        self.wait();
    }

    /// Waits for the end.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Sends a signal (`TERM`, `KILL`, `QUIT` …) to a process by its number.
pub fn signal(name: &str, process: u32) {
    let status = Command::new("kill").arg(format!("-{name}")).arg(process.to_string()).status().unwrap();
    assert!(status.success(), "kill -{name} {process}");
}
