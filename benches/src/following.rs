//! One view, many who follow it: how long until the last of them has a change, and what one takes.
//!
//! Beside it, in the same process, a bare loop that writes the same bytes to as many sockets: what the machine allows.
//! It has both ends of each: where fewer files may be open (`ulimit -n`) it has fewer readers, and says how many.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use millrace_tests::{Launch, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};

use crate::median;

/// Changes measured, after some that warm up.
const CHANGES: usize = 30;
const WARM_UP: usize = 5;

/// Connections that are opened at once.
const OPENING: usize = 100;

/// Files that are open beside the ends of connections.
const SPARE_FILES: usize = 50;

/// A way to follow a view.
pub struct Way<Open> {
    /// The server's flag for the most connections of this kind.
    pub flag: &'static str,
    /// Begins to follow the view `v`; the answer is a socket whose next bytes are changes.
    pub open: Open,
    /// A change, much as it comes.
    pub change: &'static [u8],
    /// A part of each change that stands nowhere else.
    pub mark: &'static [u8],
}

/// Measures the numbers of followers that stand in the arguments, or else these, and prints a line for each.
///
/// # Panics
/// Where a follower does not get what it should.
pub fn run<Open, Opening>(way: &Way<Open>, or_else: &[usize])
where
    Open: Fn(&Server) -> Opening,
    Opening: Future<Output = TcpStream> + Send + 'static,
{
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let counts: Vec<usize> = std::env::args().skip(1).filter_map(|count| count.parse().ok()).collect();
    println!(
        "{:>11} {:>9} {:>9} {:>7} {:>9} {:>9} {:>6} {:>12}",
        "followers", "p50 ms", "p99 ms", "bare", "bare p50", "bare p99", "ratio", "KiB each"
    );
    for count in if counts.is_empty() { or_else } else { &counts } {
        runtime.block_on(compare(way, *count));
    }
}

/// Reads from a socket through these bytes.
///
/// # Panics
/// Where they do not come.
pub async fn read_until(socket: &mut TcpStream, end: &[u8]) {
    let mut bytes = Vec::new();
    while !bytes.ends_with(end) {
        assert!(socket.read_buf(&mut bytes).await.expect("read") > 0, "{}", String::from_utf8_lossy(&bytes));
    }
}

async fn compare<Open, Opening>(way: &Way<Open>, count: usize)
where
    Open: Fn(&Server) -> Opening,
    Opening: Future<Output = TcpStream> + Send + 'static,
{
    let (ours, bytes_each) = followers(way, count).await;
    let readers = count.min((open_files_max() / 2).saturating_sub(SPARE_FILES));
    let bare = bare(way.change, way.mark, readers).await;
    let of = |times: &[Duration], part: f64| {
        times[((times.len() - 1) as f64 * part).round() as usize].as_secs_f64() * 1e3
    };
    let middle = |times: &[Duration]| median(times.iter().map(Duration::as_secs_f64));
    println!(
        "{count:>11} {:>9.2} {:>9.2} {readers:>7} {:>9.2} {:>9.2} {:>6.1} {:>12.1}",
        of(&ours, 0.5),
        of(&ours, 0.99),
        of(&bare, 0.5),
        of(&bare, 0.99),
        middle(&ours) / middle(&bare),
        bytes_each / 1024.0
    );
}

/// From the INSERT's start to the last follower's having its row, ascending; and bytes of memory a follower.
async fn followers<Open, Opening>(way: &Way<Open>, count: usize) -> (Vec<Duration>, f64)
where
    Open: Fn(&Server) -> Opening,
    Opening: Future<Output = TcpStream> + Send + 'static,
{
    let folder = tempfile::tempdir().expect("a folder");
    let mut launch = Launch::on(folder.path().join("data"));
    launch.flags = [way.flag.to_owned(), (count + 10).to_string()].into();
    let server = launch.start();
    let client = server.connect().await;
    let sql = "CREATE TABLE t (k int, n int); CREATE MATERIALIZED VIEW v AS SELECT k, sum(n) AS n FROM t GROUP BY k";
    client.batch_execute(sql).await.expect("a view");
    let before = resident_bytes(&server);
    let (told, mut arrivals) = mpsc::unbounded_channel();
    let gate = Arc::new(Semaphore::new(OPENING));
    for _ in 0..count {
        let (gate, told, opening, mark) = (gate.clone(), told.clone(), (way.open)(&server), way.mark);
        tokio::spawn(async move {
            let permit = gate.acquire().await.expect("open");
            let mut socket = opening.await;
            drop(permit);
            follow(&mut socket, mark, &told).await;
        });
    }
    last_of(count, &mut arrivals).await;
    let bytes_each = (resident_bytes(&server) - before) / count as f64;
    let mut times = Vec::new();
    for change in 0..WARM_UP + CHANGES {
        let began = Instant::now();
        let sql = format!("INSERT INTO t VALUES ({}, 123456)", 1_000 + change);
        client.batch_execute(&sql).await.expect("a row");
        let last = last_of(count, &mut arrivals).await;
        times.extend((change >= WARM_UP).then(|| last - began));
    }
    times.sort();
    (times, bytes_each)
}

/// Tells once at the start, then when each change has come.
async fn follow(socket: &mut TcpStream, mark: &[u8], told: &mpsc::UnboundedSender<Instant>) {
    let _ = told.send(Instant::now());
    let mut bytes = Vec::new();
    while socket.read_buf(&mut bytes).await.is_ok_and(|read| read > 0) {
        for _ in bytes.windows(mark.len()).filter(|window| *window == mark) {
            if told.send(Instant::now()).is_err() {
                return;
            }
        }
        // A mark may have come in part.
        let keep = bytes.len().min(mark.len() - 1);
        bytes.drain(..bytes.len() - keep);
    }
}

async fn last_of(count: usize, arrivals: &mut mpsc::UnboundedReceiver<Instant>) -> Instant {
    let mut last = arrivals.recv().await.expect("a follower");
    for _ in 1..count {
        last = last.max(arrivals.recv().await.expect("a follower"));
    }
    last
}

/// From the first write of as many bytes to the last reader's having them, ascending.
async fn bare(change: &[u8], mark: &'static [u8], count: usize) -> Vec<Duration> {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (told, mut arrivals) = mpsc::unbounded_channel();
    let mut writers = Vec::new();
    for _ in 0..count {
        let told = told.clone();
        let mut reader = TcpStream::connect(address).await.expect("a connection");
        writers.push(listener.accept().await.expect("a connection").0);
        tokio::spawn(async move { follow(&mut reader, mark, &told).await });
    }
    last_of(count, &mut arrivals).await;
    let mut times = Vec::new();
    for _ in 0..CHANGES {
        let began = Instant::now();
        for writer in &mut writers {
            writer.write_all(change).await.expect("written");
        }
        times.push(last_of(count, &mut arrivals).await - began);
    }
    times.sort();
    times
}

/// How many files this process may have open.
fn open_files_max() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").expect("Linux");
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(usize::MAX)
}

fn resident_bytes(server: &Server) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/statm", server.process_id())).expect("Linux");
    let pages: f64 = status.split_whitespace().nth(1).and_then(|pages| pages.parse().ok()).expect("pages");
    pages * 4096.0
}
