//! The other processes of a server's cluster, and a proxy on the way to it that delays, holds and cuts.

use std::fs::{OpenOptions, Permissions};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use crate::process::{Process, signal};
use crate::server::{binary, without_variables};

/// The processes of a cluster other than 0.
#[derive(Debug)]
pub struct Peers {
    secret: PathBuf,
    /// Where each process listens for the others.
    addresses: Vec<String>,
    /// Where the others look for process 0: there, or at a proxy.
    leader: String,
    log: PathBuf,
    running: Mutex<Vec<Option<Process>>>,
}

impl Peers {
    /// None started yet. Their files are beside the server's data folder.
    pub fn new(data: &Path, processes: usize) -> Peers {
        let beside = |suffix: &str| PathBuf::from(format!("{}{suffix}", data.display()));
        let secret = beside(".secret");
        std::fs::write(&secret, "a secret that the test has made up\n").unwrap();
        std::fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
        let addresses: Vec<String> = (0..processes).map(|_| free_address()).collect();
        let leader = addresses[0].clone();
        let running = Mutex::new((1..processes).map(|_| None).collect());
        Peers { secret, addresses, leader, log: beside(".peers.stderr"), running }
    }

    /// The same, which reach process 0 through a proxy.
    pub fn through(mut self, proxy: &Proxy) -> Peers {
        self.leader = proxy.address().to_string();
        self
    }

    /// Where each process listens for the others.
    pub fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// The number of processes, with 0.
    pub fn processes(&self) -> usize {
        self.addresses.len()
    }

    /// Gives a process its place in the cluster.
    pub(crate) fn name(&self, process: usize, command: &mut Command) {
        let mut peers = self.addresses.clone();
        if process > 0 {
            peers[0].clone_from(&self.leader);
        }
        command.arg("--process").arg(process.to_string()).arg("--peers").arg(peers.join(","));
        command.arg("--cluster-secret").arg(&self.secret);
    }

    /// Starts those that do not run.
    pub fn start_missing(&self, workers: usize) {
        for (place, running) in self.running.lock().unwrap().iter_mut().enumerate() {
            if running.is_none() {
                let log = OpenOptions::new().create(true).append(true).open(&self.log).unwrap();
                let mut command = Command::new(binary());
                command.args(["--workers", &workers.to_string()]);
                self.name(place + 1, &mut command);
                without_variables(&mut command);
                command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
                *running = Some(Process::start(&mut command, "build it with ./test"));
            }
        }
    }

    /// `kill -9` of a process, which is gone when this returns.
    pub fn kill(&self, process: usize) {
        let killed = self.running.lock().unwrap()[process - 1].take();
        killed.expect("it runs").kill();
    }

    /// Sends a process a signal (`STOP`, `CONT`, `TERM` …).
    pub fn signal(&self, name: &str, process: usize) {
        signal(name, self.running.lock().unwrap()[process - 1].as_ref().expect("it runs").id());
    }

    /// Waits until a process has ended by itself: its exit code.
    pub fn wait(&self, process: usize) -> Option<i32> {
        let ended = self.running.lock().unwrap()[process - 1].take();
        ended.expect("it runs").wait().code()
    }

    /// What the processes have written to stderr.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

/// An address on which nobody listens, outside of the range from which the system takes ports by itself.
fn free_address() -> String {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let offset = std::process::id() as u16 % 80 * 150 + NEXT.fetch_add(1, Ordering::Relaxed) % 150;
        let address = format!("127.0.0.1:{}", 18_000 + offset);
        if TcpListener::bind(&address).is_ok() {
            return address;
        }
    }
}

/// What a proxy does with the bytes that it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// Passes them on.
    Open,
    /// Keeps them: a connection that is half open.
    Held,
    /// Keeps those that come from the far side only.
    OneWay,
}

/// A proxy of TCP connections, on a thread for each direction.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    target: Mutex<String>,
    passage: Mutex<Passage>,
    changed: Condvar,
    connections: Mutex<Vec<TcpStream>>,
    delay_micros: AtomicU64,
}

impl Proxy {
    /// In front of nothing yet: connections are closed.
    pub fn start() -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            target: Mutex::default(),
            passage: Mutex::new(Passage::Open),
            changed: Condvar::new(),
            connections: Mutex::default(),
            delay_micros: AtomicU64::new(0),
        });
        let accepting = shared.clone();
        std::thread::spawn(move || listener.incoming().flatten().for_each(|near| accepting.connect(near)));
        Proxy { address, shared }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// New connections go there.
    pub fn lead_to(&self, target: &str) {
        target.clone_into(&mut self.shared.target.lock().unwrap());
    }

    /// What happens to bytes from now on.
    pub fn pass(&self, passage: Passage) {
        *self.shared.passage.lock().unwrap() = passage;
        self.shared.changed.notify_all();
    }

    /// Each piece of bytes waits so long.
    pub fn delay(&self, time: Duration) {
        self.shared.delay_micros.store(time.as_micros() as u64, Ordering::Relaxed);
    }

    /// Closes all connections.
    pub fn cut(&self) {
        for connection in self.shared.connections.lock().unwrap().drain(..) {
            // One side may be gone already.
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn connect(self: &Arc<Self>, near: TcpStream) {
        let target = self.target.lock().unwrap().clone();
        let Ok(far) = TcpStream::connect(target) else { return };
        let clone = |stream: &TcpStream| stream.try_clone().unwrap();
        self.connections.lock().unwrap().extend([clone(&near), clone(&far)]);
        for (from, to, is_back) in [(clone(&near), clone(&far), false), (far, near, true)] {
            let shared = self.clone();
            std::thread::spawn(move || shared.copy(from, to, is_back));
        }
    }

    fn copy(&self, mut from: TcpStream, mut to: TcpStream, is_back: bool) {
        let mut bytes = [0; 1 << 14];
        loop {
            let count = match from.read(&mut bytes) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => break,
            };
            let is_held = |passage: &mut Passage| match passage {
                Passage::Open => false,
                Passage::Held => true,
                Passage::OneWay => is_back,
            };
            drop(self.changed.wait_while(self.passage.lock().unwrap(), is_held).unwrap());
            std::thread::sleep(Duration::from_micros(self.delay_micros.load(Ordering::Relaxed)));
            if to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        for stream in [from, to] {
            // The other direction may have closed it.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}
