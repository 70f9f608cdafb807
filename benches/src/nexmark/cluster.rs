//! The engine's workers: threads of this process, or also other processes that this program starts of itself.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use millrace_engine::{Engine, EngineConfig, Mesh, MeshConfig, MeshSecret, ProgressSink, host};
use millrace_sql::ExprCompiler;

/// How many workers, and where.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Size {
    /// So many threads of this process.
    Threads(usize),
    /// So many processes with a thread each.
    Processes(usize),
}

/// An engine, and the processes that go with it.
pub(crate) struct Cluster {
    pub(crate) engine: Engine,
    others: Vec<Child>,
}

/// The first argument of a process that has a worker of another's engine.
const MEMBER: &str = "member";

impl Cluster {
    /// Starts an engine of this size.
    pub(crate) fn start(size: Size, progress: ProgressSink) -> Cluster {
        let compiler = Arc::new(ExprCompiler);
        let processes = match size {
            Size::Threads(workers) => {
                let config = EngineConfig { workers, view_bytes_max: None };
                let engine = Engine::start(config, compiler, progress).expect("threads start");
                return Cluster { engine, others: Vec::new() };
            }
            Size::Processes(processes) => processes,
        };
        let listeners: Vec<TcpListener> =
            (0..processes).map(|_| TcpListener::bind("127.0.0.1:0").expect("a port")).collect();
        let peers: Vec<String> =
            listeners.iter().map(|listener| listener.local_addr().expect("an address").to_string()).collect();
        drop(listeners);
        let mesh = Mesh::listen(config(0, peers.clone())).expect("the port is free");
        let others = (1..processes).map(|process| start(process, &peers)).collect();
        let formed = mesh.form().expect("nobody closes it");
        let engine = Engine::lead(formed, None, compiler, progress).expect("threads start");
        Cluster { engine, others }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.engine.shutdown();
        for other in &mut self.others {
            // It goes by itself when it has lost process 0, if it is not gone by then.
            let _ = other.kill();
            let _ = other.wait();
        }
    }
}

fn config(process: usize, peers: Vec<String>) -> MeshConfig {
    let secret = MeshSecret::new(b"a bench has no secrets").expect("it is long enough");
    MeshConfig { process, peers, workers: 1, secret }
}

/// Starts another process, and waits until it is there.
fn start(process: usize, peers: &[String]) -> Child {
    let program = std::env::current_exe().expect("this program's path");
    let mut command = Command::new(program);
    command.args([MEMBER, &process.to_string(), &peers.join(",")]).stdout(Stdio::piped());
    let mut child = command.spawn().expect("this program starts again");
    let stdout = child.stdout.take().expect("it is piped");
    BufReader::new(stdout).read_line(&mut String::new()).expect("it tells that it is there");
    child
}

/// Has the worker that this process was started for, until its engine is gone; false where it was not.
pub(crate) fn is_asked_for(arguments: &[String]) -> bool {
    let [first, process, peers] = arguments else { return false };
    if first != MEMBER {
        return false;
    }
    let peers = peers.split(',').map(str::to_owned).collect();
    let mesh = Mesh::listen(config(process.parse().expect("a number"), peers)).expect("the port is free");
    println!("here");
    host(mesh.join().expect("nobody closes it"), Arc::new(ExprCompiler));
    true
}
