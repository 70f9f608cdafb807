//! strace, which kills a server at the n-th time that it makes something durable.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc;

use crate::PATIENCE;
use crate::process::Process;

const INSTALL: &str = "install it with: apt-get install strace";

/// The words before a binary that is killed at its n-th fsync or fdatasync, before it happens.
///
/// strace counts for each thread by itself: this is for the start, which is one thread's work.
pub fn killed_at_sync(n: usize) -> Vec<String> {
    let [trace, inject] = filters(n);
    ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject].map(str::to_owned).to_vec()
}

/// Kills a running server at the n-th fsync or fdatasync from now on. Returns when strace holds
/// every thread; ends with the server.
pub fn kill_at_sync(process: u32, n: usize) -> Process {
    let mut command = Command::new("strace");
    let [trace, inject] = filters(n);
    command.args(["-f", "-o", "/dev/null", "-e", &trace, "-e", &inject, "-p", &process.to_string()]);
    let mut strace = Process::start(command.stderr(Stdio::piped()), INSTALL);
    let stderr = BufReader::new(strace.child().stderr.take().unwrap());
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in stderr.lines().map_while(Result::ok) {
            // Nobody listens any more once strace holds the server.
            let _ = sender.send(line);
        }
    });
    let line = receiver.recv_timeout(PATIENCE).expect("strace says nothing");
    assert!(line.contains("attached"), "{line}");
    strace
}

fn filters(n: usize) -> [String; 2] {
    ["trace=fsync,fdatasync".to_owned(), format!("inject=fsync,fdatasync:signal=KILL:when={n}")]
}
