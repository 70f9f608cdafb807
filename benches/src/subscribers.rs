//! Many who follow one view by SUBSCRIBE, beside a bare loop (`following`).
//!
//! Arguments: the numbers of subscribers. Needs a release build of the server (`MILLRACE_BINARY`).

use std::net::SocketAddr;

use millrace_benches::following::{Way, read_until, run};
use millrace_tests::Server;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

fn main() {
    let way = Way {
        flag: "--max-connections",
        open: |server: &Server| subscribe(server.pg()),
        // A CopyData message of a row of the view: its head, the tick, the diff, the row.
        change: b"d\0\0\0\x231795000000000000\t1\t1000\t123456\n",
        mark: b"\t123456\n",
    };
    run(&way, &[1, 1_000, 9_000]);
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
