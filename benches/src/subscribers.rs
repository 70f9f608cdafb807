//! One view, many subscribers: how long until the last of them has a change, and what one takes.
//!
//! Beside it, in the same process, a bare loop that writes the same bytes to as many sockets: what the machine
//! allows. Arguments: the numbers of subscribers. Needs a release build of the server (`MILLRACE_BINARY`), and
//! twice as many open files as subscribers (`ulimit -n`).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use millrace_benches::median;
use millrace_tests::{Launch, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};

/// Changes measured, after some that warm up.
const CHANGES: usize = 30;
const WARM_UP: usize = 5;

/// Connections that are opened at once.
const OPENING: usize = 100;

/// A CopyData message of a row of the view: its head, the tick, the diff, the row.
const ROW_BYTES: usize = 5 + "1795000000000000\t1\t1000\t123456\n".len();

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let counts: Vec<usize> = std::env::args().skip(1).filter_map(|count| count.parse().ok()).collect();
    let counts = if counts.is_empty() { vec![1, 1_000, 9_000] } else { counts };
    println!(
        "{:>11} {:>9} {:>9} {:>9} {:>9} {:>6} {:>12}",
        "subscribers", "p50 ms", "p99 ms", "bare p50", "bare p99", "ratio", "KiB each"
    );
    for count in counts {
        runtime.block_on(run(count));
    }
}

async fn run(count: usize) {
    let (ours, bytes_each) = subscribers(count).await;
    let bare = bare(count).await;
    let of = |times: &[Duration], part: f64| {
        times[((times.len() - 1) as f64 * part).round() as usize].as_secs_f64() * 1e3
    };
    let middle = |times: &[Duration]| median(times.iter().map(Duration::as_secs_f64));
    println!(
        "{count:>11} {:>9.2} {:>9.2} {:>9.2} {:>9.2} {:>6.1} {:>12.1}",
        of(&ours, 0.5),
        of(&ours, 0.99),
        of(&bare, 0.5),
        of(&bare, 0.99),
        middle(&ours) / middle(&bare),
        bytes_each / 1024.0
    );
}

/// From the INSERT's start to the last subscriber's having its row, ascending; and bytes of memory a subscriber.
async fn subscribers(count: usize) -> (Vec<Duration>, f64) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut launch = Launch::on(folder.path().join("data"));
    launch.flags = ["--max-connections".to_owned(), (count + 10).to_string()].into();
    let server = launch.start();
    let client = server.connect().await;
    let sql = "CREATE TABLE t (k int, n int); CREATE MATERIALIZED VIEW v AS SELECT k, sum(n) AS n FROM t GROUP BY k";
    client.batch_execute(sql).await.expect("a view");
    let before = resident_bytes(&server);
    let (told, mut arrivals) = mpsc::unbounded_channel();
    let gate = Arc::new(Semaphore::new(OPENING));
    for _ in 0..count {
        let (gate, told, address) = (gate.clone(), told.clone(), server.pg());
        tokio::spawn(async move {
            let permit = gate.acquire().await.expect("open");
            let mut socket = subscribe(address).await;
            drop(permit);
            follow(&mut socket, &told).await;
        });
    }
    for _ in 0..count {
        arrivals.recv().await.expect("a subscriber");
    }
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

/// Begins a subscription; the answer is a socket whose next bytes are rows.
async fn subscribe(address: SocketAddr) -> TcpStream {
    let mut socket = TcpStream::connect(address).await.expect("a connection");
    let parameters = b"user\0bench\0database\0millrace\0\0";
    let length = (parameters.len() as u32 + 8).to_be_bytes();
    let hello = [&length[..], &196_608_u32.to_be_bytes(), parameters].concat();
    socket.write_all(&hello).await.expect("sent");
    read_until(&mut socket, b"Z\0\0\0\x05I").await;
    let sql = b"COPY (SUBSCRIBE v WITH (SNAPSHOT false)) TO STDOUT\0";
    let query = [b"Q".as_slice(), &(sql.len() as u32 + 4).to_be_bytes(), sql].concat();
    socket.write_all(&query).await.expect("sent");
    // CopyOutResponse for four columns.
    read_until(&mut socket, &[0, 4, 0, 0, 0, 0, 0, 0, 0, 0]).await;
    socket
}

async fn read_until(socket: &mut TcpStream, end: &[u8]) {
    let mut bytes = Vec::new();
    while !bytes.ends_with(end) {
        assert!(socket.read_buf(&mut bytes).await.expect("read") > 0, "{}", String::from_utf8_lossy(&bytes));
    }
}

/// Tells once at the start, then when each row has come.
async fn follow(socket: &mut TcpStream, told: &mpsc::UnboundedSender<Instant>) {
    let _ = told.send(Instant::now());
    let mut row = [0; ROW_BYTES];
    while socket.read_exact(&mut row).await.is_ok() {
        if told.send(Instant::now()).is_err() {
            return;
        }
    }
}

async fn last_of(count: usize, arrivals: &mut mpsc::UnboundedReceiver<Instant>) -> Instant {
    let mut last = arrivals.recv().await.expect("a subscriber");
    for _ in 1..count {
        last = last.max(arrivals.recv().await.expect("a subscriber"));
    }
    last
}

/// From the first write of as many bytes to the last reader's having them, ascending.
async fn bare(count: usize) -> Vec<Duration> {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (told, mut arrivals) = mpsc::unbounded_channel();
    let mut writers = Vec::new();
    for _ in 0..count {
        let told = told.clone();
        let mut reader = TcpStream::connect(address).await.expect("a connection");
        writers.push(listener.accept().await.expect("a connection").0);
        tokio::spawn(async move { follow(&mut reader, &told).await });
    }
    last_of(count, &mut arrivals).await;
    let mut times = Vec::new();
    for _ in 0..CHANGES {
        let began = Instant::now();
        for writer in &mut writers {
            writer.write_all(&[0; ROW_BYTES]).await.expect("written");
        }
        times.push(last_of(count, &mut arrivals).await - began);
    }
    times.sort();
    times
}

fn resident_bytes(server: &Server) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/statm", server.process_id())).expect("Linux");
    let pages: f64 = status.split_whitespace().nth(1).and_then(|pages| pages.parse().ok()).expect("pages");
    pages * 4096.0
}
