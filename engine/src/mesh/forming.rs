//! How a generation comes about.
//!
//! ```text
//!   process 0                                     process i
//!   listens ◀───────────── control ────────────── connects, tries again until it is let in
//!   all are there: Form{generation} ────────────▶ connects to each process below i, waits for those above
//!   has a link with each ◀──────── Formed ─────── has a link with each
//! ```
//! While process 0 waits for somebody it gives signs of life to those who are there. What goes wrong on the way
//! closes all connections of the attempt, and everybody begins anew.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::frame::{self, Down, Up};
use super::handshake::{self, Hello, Purpose, Refusal};
use super::link::Link;
use super::listener::{Arrivals, Generation};
use super::loss::Ending;
use super::secret::MeshSecret;
use super::{BEAT, SILENCE};
use crate::log::{OsRandom, Random};

/// How long an attempt may take. Shorter than `SILENCE`: who is ready first hears nothing until all are.
const FORM_TIME: Duration = Duration::from_secs(3);

/// The pause before another attempt to reach process 0.
const RETRY: Duration = Duration::from_millis(200);

/// How often it is told what is waited for.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// A process's place in its cluster.
#[derive(Clone)]
pub struct MeshConfig {
    /// Its number, from 0.
    pub process: usize,
    /// Where each process listens for the others, `HOST:PORT`, in the order of their numbers.
    pub peers: Vec<String>,
    /// Worker threads of each process.
    pub workers: usize,
    /// What all processes know.
    pub secret: MeshSecret,
}

/// Why there will be no generation.
#[derive(Debug, thiserror::Error)]
pub enum MeshError {
    /// `Mesh::close` was called.
    #[error("the mesh is closed")]
    Closed,
    /// Another process has another idea of the cluster.
    #[error("the processes do not agree: {0}")]
    Disagrees(String),
    /// The system refused.
    #[error("{context}: {source}")]
    Io {
        /// What was being done.
        context: String,
        /// The system's error.
        source: io::Error,
    },
}

/// This process's end of the mesh, over all generations.
pub struct Mesh {
    config: MeshConfig,
    address: SocketAddr,
    arrivals: Arc<Arrivals>,
    /// Tells this start of the process from others.
    incarnation: u64,
    generations: AtomicU64,
}

/// The connections of a generation, which nobody uses yet.
pub struct Formed {
    pub(crate) process: usize,
    pub(crate) processes: usize,
    pub(crate) workers: usize,
    /// How often a generation was formed since process 0 has started.
    pub(crate) generation: u64,
    /// To process 0, or of process 0 to each other.
    pub(crate) controls: Vec<(usize, TcpStream)>,
    /// To each other process.
    pub(crate) links: Vec<Option<Link>>,
    pub(crate) ending: Ending,
}

impl Formed {
    /// How often a generation was formed since process 0 has started.
    pub fn generation(&self) -> u64 {
        self.generation
    }
}

impl Mesh {
    /// Begins to listen for the other processes.
    ///
    /// # Errors
    /// `Io` where this process's own address cannot be listened on.
    pub fn listen(config: MeshConfig) -> Result<Mesh, MeshError> {
        let own = &config.peers[config.process];
        let refused =
            |source| MeshError::Io { context: format!("cannot listen for other processes on {own}"), source };
        let listener = TcpListener::bind(own).map_err(refused)?;
        Mesh::over(listener, config.clone()).map_err(|source| MeshError::Io {
            context: "cannot listen for other processes".to_owned(),
            source,
        })
    }

    fn over(listener: TcpListener, config: MeshConfig) -> io::Result<Mesh> {
        let address = listener.local_addr()?;
        let own =
            Hello::new(config.process, config.process, config.peers.len(), config.workers, Purpose::Control);
        let arrivals = Arrivals::listen(listener, own, config.secret.clone())?;
        let incarnation = OsRandom.next_u64();
        Ok(Mesh { config, address, arrivals, incarnation, generations: AtomicU64::new(0) })
    }

    /// The number of processes.
    pub fn processes(&self) -> usize {
        self.config.peers.len()
    }

    /// Whoever waits for a generation is told that there will be none, and nobody is let in any more.
    pub fn close(&self) {
        self.arrivals.close(self.address);
    }

    /// On process 0: waits until all processes are there and connected to each other.
    ///
    /// # Errors
    /// `Closed`.
    pub fn form(&self) -> Result<Formed, MeshError> {
        loop {
            let controls = self.gather()?;
            let generation = self.generations.fetch_add(1, Ordering::Relaxed) + 1;
            match self.try_form(controls, generation) {
                Ok(formed) => return Ok(formed),
                Err(error) => {
                    tracing::warn!(%error, "the processes could not connect to each other; trying again")
                }
            }
        }
    }

    /// On the other processes: waits until process 0 has formed a generation with this one in it.
    ///
    /// # Errors
    /// `Closed`; `Disagrees` where trying again is of no use.
    pub fn join(&self) -> Result<Formed, MeshError> {
        let mut told: Option<Instant> = None;
        loop {
            if self.arrivals.is_closed() {
                return Err(MeshError::Closed);
            }
            match self.try_join() {
                Ok(formed) => return Ok(formed),
                Err(Refusal::Disagrees(reason)) => return Err(MeshError::Disagrees(reason)),
                Err(Refusal::Failed(error)) => {
                    if told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
                        told = Some(Instant::now());
                        tracing::info!(address = self.config.peers[0], %error, "waiting for process 0");
                    }
                }
            }
            self.arrivals.wait(RETRY);
        }
    }

    /// The control connections of all other processes.
    fn gather(&self) -> Result<BTreeMap<usize, TcpStream>, MeshError> {
        let mut here: BTreeMap<usize, TcpStream> = BTreeMap::new();
        let mut told = Instant::now();
        loop {
            if self.arrivals.is_closed() {
                return Err(MeshError::Closed);
            }
            here.extend(self.arrivals.take_controls());
            here.retain(|_, control| is_open(control));
            let missing: Vec<usize> =
                (1..self.processes()).filter(|process| !here.contains_key(process)).collect();
            if missing.is_empty() {
                return Ok(here);
            }
            if told.elapsed() >= TELL_EVERY {
                told = Instant::now();
                tracing::info!(?missing, "waiting for other processes");
            }
            self.arrivals.wait(BEAT);
        }
    }

    fn try_form(&self, controls: BTreeMap<usize, TcpStream>, number: u64) -> io::Result<Formed> {
        let deadline = Instant::now() + FORM_TIME;
        let incarnation = self.incarnation;
        let mut form = Vec::new();
        frame::write(&mut Down::Form { incarnation, generation: number }, &mut form)?;
        for control in controls.values() {
            control.set_write_timeout(Some(FORM_TIME))?;
            io::Write::write_all(&mut &*control, &form)?;
        }
        let ending = Ending::default();
        let links = self.links((incarnation, number), deadline, &ending)?;
        for (process, control) in &controls {
            set_deadline(control, deadline)?;
            match frame::read(&mut &*control)? {
                Some(Up::Formed { generation }) if generation == number => {}
                _ => return Err(io::Error::other(format!("process {process} has answered something else"))),
            }
        }
        Ok(self.formed(number, controls.into_iter().collect(), links, ending))
    }

    fn try_join(&self) -> Result<Formed, Refusal> {
        let mut control = self.connect(0, Purpose::Control)?;
        control.set_read_timeout(Some(SILENCE))?;
        let (incarnation, generation) = loop {
            match frame::read(&mut control)? {
                // A sign of life: others are missing.
                None if self.arrivals.is_closed() => {
                    return Err(io::Error::from(ErrorKind::Interrupted).into());
                }
                None => {}
                Some(Down::Form { incarnation, generation }) => break (incarnation, generation),
                Some(_) => {
                    return Err(io::Error::other("a command came before the generation was formed").into());
                }
            }
        };
        let ending = Ending::default();
        let links = self.links((incarnation, generation), Instant::now() + FORM_TIME, &ending)?;
        frame::write(&mut Up::Formed { generation }, &mut control)?;
        Ok(self.formed(generation, vec![(0, control)], links, ending))
    }

    fn formed(
        &self,
        generation: u64,
        controls: Vec<(usize, TcpStream)>,
        links: Vec<Option<Link>>,
        ending: Ending,
    ) -> Formed {
        let (process, processes, workers) = (self.config.process, self.processes(), self.config.workers);
        Formed { process, processes, workers, generation, controls, links, ending }
    }

    /// A link with each other process: those below this one are connected to, the others connect.
    fn links(&self, of: Generation, deadline: Instant, ending: &Ending) -> io::Result<Vec<Option<Link>>> {
        let link = |peer: usize| -> io::Result<Option<Link>> {
            let socket = match peer.cmp(&self.config.process) {
                std::cmp::Ordering::Equal => return Ok(None),
                std::cmp::Ordering::Less => {
                    let purpose = Purpose::Data { incarnation: of.0, generation: of.1 };
                    self.connect(peer, purpose).map_err(|refusal| match refusal {
                        Refusal::Failed(error) => error,
                        Refusal::Disagrees(reason) => io::Error::other(reason),
                    })?
                }
                std::cmp::Ordering::Greater => {
                    let came = self.arrivals.take_link(of, peer, deadline);
                    came.ok_or_else(|| io::Error::other(format!("process {peer} did not connect in time")))?
                }
            };
            Link::new(peer, socket, ending).map(Some)
        };
        (0..self.processes()).map(link).collect()
    }

    fn connect(&self, peer: usize, purpose: Purpose) -> Result<TcpStream, Refusal> {
        let MeshConfig { process, peers, workers, secret } = &self.config;
        let mut last = io::Error::new(ErrorKind::NotFound, "its name has no address");
        for address in peers[peer].to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, FORM_TIME) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    let hello = Hello::new(*process, peer, peers.len(), *workers, purpose);
                    return handshake::connect(&stream, secret, &hello).map(|()| stream);
                }
                Err(error) => last = error,
            }
        }
        Err(last.into())
    }
}

impl Drop for Mesh {
    fn drop(&mut self) {
        self.close();
    }
}

/// Gives a sign of life on a connection on which nothing is awaited: whether it still stands.
fn is_open(control: &TcpStream) -> bool {
    let stands = || {
        control.set_write_timeout(Some(BEAT))?;
        frame::write_beat(&mut &*control)?;
        control.set_nonblocking(true)?;
        let peeked = control.peek(&mut [0]);
        control.set_nonblocking(false)?;
        Ok::<_, io::Error>(matches!(peeked, Err(error) if error.kind() == ErrorKind::WouldBlock))
    };
    stands().unwrap_or(false)
}

fn set_deadline(socket: &TcpStream, deadline: Instant) -> io::Result<()> {
    let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
    socket.set_read_timeout(Some(left))
}
