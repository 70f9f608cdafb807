//! Flags and environment variables: raw first, then resolved; nothing half-checked goes further in.

use std::fmt;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;
use std::time::Duration;

use clap::Parser;
use millrace_engine::{MeshConfig, MeshSecret};

use crate::start::StartError;

/// The most worker threads.
const WORKERS_MAX: usize = 1024;

/// The most processes of a cluster.
const PROCESSES_MAX: usize = 64;

/// The most that --max-connections and --max-http-connections can be.
const CONNECTIONS_MAX: usize = 100_000;

/// The most that --http-body-bytes can be: what a body holds, one commit must hold.
const HTTP_BODY_BYTES_MAX: usize = 1 << 30;

/// What the user gave.
#[derive(Clone, Debug, Parser)]
pub struct RawConfig {
    /// Where PostgreSQL clients connect; port 0 takes any free one.
    #[arg(long, env = "MILLRACE_PG_ADDR", default_value = "127.0.0.1:6432", value_name = "ADDRESS")]
    pub pg_addr: SocketAddr,

    /// Where HTTP is served; port 0 takes any free one.
    #[arg(long, env = "MILLRACE_HTTP_ADDR", default_value = "127.0.0.1:8432", value_name = "ADDRESS")]
    pub http_addr: SocketAddr,

    /// The folder that holds all data.
    #[arg(long, env = "MILLRACE_DATA", default_value = "./millrace-data", value_name = "FOLDER")]
    pub data: PathBuf,

    /// Worker threads; by default one a core.
    #[arg(long, env = "MILLRACE_WORKERS", value_name = "NUMBER")]
    pub workers: Option<usize>,

    /// Commits wait while views are this many bytes of changes behind.
    #[arg(long, env = "MILLRACE_LAG_BYTES", default_value_t = 256 << 20, value_name = "BYTES")]
    pub lag_bytes: usize,

    /// A materialized view that holds more bytes than this is stopped; 0: no limit.
    #[arg(long, env = "MILLRACE_VIEW_MEMORY_BYTES", default_value_t = 4 << 30, value_name = "BYTES")]
    pub view_memory_bytes: usize,

    /// The most PostgreSQL clients at once; further ones are refused.
    #[arg(long, env = "MILLRACE_MAX_CONNECTIONS", default_value_t = 1_000, value_name = "NUMBER")]
    pub max_connections: usize,

    /// The most HTTP connections at once; further ones are closed at once.
    #[arg(long, env = "MILLRACE_MAX_HTTP_CONNECTIONS", default_value_t = 4_096, value_name = "NUMBER")]
    pub max_http_connections: usize,

    /// A client that has not asked for its session, or not sent the head of its HTTP request, by then is dropped.
    #[arg(long, env = "MILLRACE_CONNECT_SECONDS", default_value_t = 10, value_name = "SECONDS")]
    pub connect_seconds: u64,

    /// Further names by which this machine's HTTP may be asked for, beside localhost, 127.0.0.1 and [::1].
    #[arg(long, env = "MILLRACE_HTTP_ALLOWED_HOSTS", value_delimiter = ',', value_name = "NAMES")]
    pub http_allowed_hosts: Vec<String>,

    /// The longest body of an HTTP request, also once it is decompressed.
    #[arg(long, env = "MILLRACE_HTTP_BODY_BYTES", default_value_t = 64 << 20, value_name = "BYTES")]
    pub http_body_bytes: usize,

    /// The most idempotency keys that are kept, each for 24 hours; new ones are refused then.
    #[arg(long, env = "MILLRACE_IDEMPOTENCY_KEYS", default_value_t = 1_000_000, value_name = "NUMBER")]
    pub idempotency_keys: usize,

    /// Where each process of a cluster listens for the others, HOST:PORT, in the order of their numbers.
    #[arg(
        long,
        env = "MILLRACE_PEERS",
        value_delimiter = ',',
        value_name = "ADDRESSES",
        requires = "secret"
    )]
    pub peers: Vec<String>,

    /// This process's number in its cluster. Process 0 has the data and serves clients; the others have workers only.
    #[arg(long, env = "MILLRACE_PROCESS", default_value_t = 0, value_name = "NUMBER")]
    pub process: usize,

    /// A file with the secret by which the cluster's processes know each other; nobody else may be able to read it.
    #[arg(long = "cluster-secret", env = "MILLRACE_CLUSTER_SECRET", value_name = "FILE")]
    pub secret: Option<PathBuf>,
}

/// What the server works with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where PostgreSQL clients connect. A loopback address.
    pub pg_addr: SocketAddr,
    /// Where HTTP is served. A loopback address.
    pub http_addr: SocketAddr,
    /// The folder that holds all data.
    pub data: PathBuf,
    /// Worker threads, at least 1.
    pub workers: usize,
    /// Commits wait while views are this many bytes of changes behind.
    pub lag_bytes: usize,
    /// The bytes that a materialized view may hold where it has no limit of its own.
    pub view_memory_bytes: Option<usize>,
    /// The most PostgreSQL clients at once, at least 1.
    pub max_connections: usize,
    /// The most HTTP connections at once, at least 1.
    pub max_http_connections: usize,
    /// How long a client may take to ask for its session, or to send the head of its HTTP request.
    pub connect_time: Duration,
    /// Further names by which HTTP may be asked for, in lower case.
    pub http_allowed_hosts: Vec<String>,
    /// The longest body of an HTTP request.
    pub http_body_bytes: usize,
    /// The most idempotency keys that are kept.
    pub idempotency_keys: usize,
    /// The cluster that this process is of, where it is of one.
    pub cluster: Option<Cluster>,
}

/// A process's place in its cluster.
#[derive(Clone)]
pub struct Cluster {
    /// Its number.
    pub process: usize,
    /// Where each process listens for the others.
    pub peers: Vec<String>,
    secret: MeshSecret,
}

impl Cluster {
    /// The same for the engine, where each process has so many workers.
    pub fn mesh(&self, workers: usize) -> MeshConfig {
        let Cluster { process, peers, secret } = self.clone();
        MeshConfig { process, peers, workers, secret }
    }

    fn new(process: usize, peers: Vec<String>, secret: Option<&Path>) -> Result<Option<Cluster>, StartError> {
        if peers.is_empty() {
            return match process {
                0 => Ok(None),
                _ => Err(StartError::refused(
                    "--process needs --peers: where the processes listen for each other",
                )),
            };
        }
        if !(2..=PROCESSES_MAX).contains(&peers.len()) || process >= peers.len() {
            let (given, count) = (process, peers.len());
            return Err(StartError::refused(format!(
                "--peers names {count} processes and --process is {given}: there are 2 to {PROCESSES_MAX}, numbered from 0"
            )));
        }
        if let Some(wrong) = peers.iter().find(|peer| !is_address(peer)) {
            return Err(StartError::refused(format!("--peers: \"{wrong}\" is not HOST:PORT")));
        }
        let file = secret.ok_or_else(|| StartError::refused("--peers needs --cluster-secret"))?;
        Ok(Some(Cluster { process, peers, secret: read_secret(file)? }))
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("process", &self.process)
            .field("peers", &self.peers)
            .finish_non_exhaustive()
    }
}

fn is_address(peer: &str) -> bool {
    peer.rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0))
}

/// The secret in a file that nobody else can read.
fn read_secret(file: &Path) -> Result<MeshSecret, StartError> {
    let refused =
        |reason: String| StartError::refused(format!("--cluster-secret {}: {reason}", file.display()));
    let metadata = std::fs::metadata(file).map_err(|error| refused(error.to_string()))?;
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(refused("others can read it; chmod 600 keeps it to its owner".to_owned()));
    }
    let content = std::fs::read(file).map_err(|error| refused(error.to_string()))?;
    MeshSecret::new(&content).map_err(refused)
}

impl TryFrom<RawConfig> for Config {
    type Error = StartError;

    fn try_from(raw: RawConfig) -> Result<Config, StartError> {
        let cores = || available_parallelism().map_or(1, usize::from).min(WORKERS_MAX);
        let workers = raw.workers.unwrap_or_else(cores);
        if !(1..=WORKERS_MAX).contains(&workers) {
            return Err(StartError::refused(format!("--workers is 1 to {WORKERS_MAX}, not {workers}")));
        }
        for (flag, given) in
            [("--max-connections", raw.max_connections), ("--max-http-connections", raw.max_http_connections)]
        {
            if !(1..=CONNECTIONS_MAX).contains(&given) {
                let message = format!("{flag} is 1 to {CONNECTIONS_MAX}, not {given}");
                return Err(StartError::refused(message));
            }
        }
        Ok(Config {
            pg_addr: loopback("--pg-addr", raw.pg_addr)?,
            http_addr: loopback("--http-addr", raw.http_addr)?,
            data: raw.data,
            workers,
            lag_bytes: raw.lag_bytes,
            view_memory_bytes: Some(raw.view_memory_bytes).filter(|bytes| *bytes > 0),
            max_connections: raw.max_connections,
            max_http_connections: raw.max_http_connections,
            connect_time: Duration::from_secs(raw.connect_seconds.clamp(1, 3_600)),
            http_allowed_hosts: raw.http_allowed_hosts.iter().map(|host| host.to_ascii_lowercase()).collect(),
            http_body_bytes: raw.http_body_bytes.clamp(1, HTTP_BODY_BYTES_MAX),
            idempotency_keys: raw.idempotency_keys,
            cluster: Cluster::new(raw.process, raw.peers, raw.secret.as_deref())?,
        })
    }
}

/// Everybody who can connect is let in, so until there are roles nobody else may reach us.
fn loopback(flag: &str, address: SocketAddr) -> Result<SocketAddr, StartError> {
    if address.ip().is_loopback() {
        return Ok(address);
    }
    Err(StartError::refused(format!(
        "{flag} {address} is not a loopback address: Millrace asks for no password yet, so it listens on this machine only"
    )))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn resolve(flags: &[&str]) -> Result<Config, StartError> {
        RawConfig::try_parse_from([&["millrace"], flags].concat()).unwrap().try_into()
    }

    #[test]
    fn flags_are_resolved() {
        let config = resolve(&["--pg-addr", "127.0.0.1:0", "--workers", "3", "--data", "/tmp/x"]).unwrap();
        assert_eq!((config.workers, config.pg_addr.port(), config.lag_bytes), (3, 0, 256 << 20));
        assert_eq!(config.data, PathBuf::from("/tmp/x"));
        assert!(resolve(&["--pg-addr", "[::1]:6432"]).is_ok());
        assert_eq!(config.view_memory_bytes, Some(4 << 30));
        assert_eq!(resolve(&["--view-memory-bytes", "0"]).unwrap().view_memory_bytes, None);
        assert_eq!((config.max_connections, config.max_http_connections), (1_000, 4_096));
        assert_eq!(config.connect_time, Duration::from_secs(10));
    }

    #[test]
    fn a_cluster_has_addresses_numbers_and_a_secret_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, "a secret of the cluster\n").unwrap();
        let secret = file.to_str().unwrap();
        let cluster = |process: &str, peers: &str| {
            resolve(&["--process", process, "--peers", peers, "--cluster-secret", secret])
        };
        let mode = |mode| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        mode(0o640);
        assert!(cluster("1", "a:1,b:2").unwrap_err().message.contains("chmod 600"));
        mode(0o600);
        let config = cluster("1", "a:1,[::1]:2").unwrap().cluster.unwrap();
        assert_eq!((config.process, config.peers), (1, vec!["a:1".to_owned(), "[::1]:2".to_owned()]));
        for (process, peers) in
            [("2", "a:1,b:2"), ("0", "a:1"), ("0", "a:1,b"), ("0", "a:1,:2"), ("0", "a:1,b:0")]
        {
            assert_eq!(cluster(process, peers).unwrap_err().exit_code, 78, "{process} of {peers}");
        }
        std::fs::write(&file, "short").unwrap();
        assert!(cluster("1", "a:1,b:2").unwrap_err().message.contains("at least 16"));
        assert_eq!(resolve(&["--process", "1"]).unwrap_err().exit_code, 78);
        assert!(resolve(&[]).unwrap().cluster.is_none());
    }

    #[test]
    fn what_cannot_be_is_refused() {
        assert_eq!(resolve(&["--workers", "0"]).unwrap_err().exit_code, 78);
        assert_eq!(resolve(&["--max-connections", "0"]).unwrap_err().exit_code, 78);
        assert_eq!(resolve(&["--max-http-connections", "100001"]).unwrap_err().exit_code, 78);
        let error = resolve(&["--pg-addr", "0.0.0.0:6432"]).unwrap_err();
        assert!(error.message.contains("loopback"), "{error}");
        assert!(resolve(&["--http-addr", "192.168.1.1:80"]).is_err());
    }
}
