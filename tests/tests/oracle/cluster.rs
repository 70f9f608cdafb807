//! The processes of a cluster, as threads of the test's own process, over real sockets.

use std::fmt;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use millrace_engine::{Mesh, MeshConfig, MeshSecret, host};
use millrace_sql::ExprCompiler;

/// How many processes, and workers in each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) processes: usize,
    pub(crate) workers: usize,
}

impl Size {
    pub(crate) const ALL: [Size; 3] = [Size::threads(1), Size::threads(2), Size { processes: 2, workers: 1 }];

    /// One process.
    pub(crate) const fn threads(workers: usize) -> Size {
        Size { processes: 1, workers }
    }

    /// Another number of workers.
    pub(crate) fn other(self) -> Size {
        Size { workers: 3 - self.workers, ..self }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.processes, self.workers)
    }
}

/// Process 0 of a cluster of this size, where it has more than one: for one server after the other. The other processes go
/// from one generation to the next, for as long as the test runs.
pub(crate) fn mesh(size: Size) -> Option<Arc<Mesh>> {
    static LEADERS: Mutex<Vec<(Size, Arc<Mesh>)>> = Mutex::new(Vec::new());
    if size.processes == 1 {
        return None;
    }
    let mut leaders = LEADERS.lock().unwrap();
    if let Some((_, leader)) = leaders.iter().find(|(of, _)| *of == size) {
        return Some(leader.clone());
    }
    let listeners: Vec<TcpListener> =
        (0..size.processes).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let peers: Vec<String> =
        listeners.iter().map(|listener| listener.local_addr().unwrap().to_string()).collect();
    drop(listeners);
    let secret = MeshSecret::new(b"the secret of the oracle's cluster").unwrap();
    let listen = |process| {
        let config =
            MeshConfig { process, peers: peers.clone(), workers: size.workers, secret: secret.clone() };
        Arc::new(Mesh::listen(config).unwrap())
    };
    for member in (1..size.processes).map(listen) {
        std::thread::spawn(move || {
            while let Ok(formed) = member.join() {
                host(formed, Arc::new(ExprCompiler));
            }
        });
    }
    let leader = listen(0);
    leaders.push((size, leader.clone()));
    Some(leader)
}
