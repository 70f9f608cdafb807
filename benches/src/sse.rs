//! Many who follow one view by server-sent events, beside a bare loop (`following`).
//!
//! Arguments: the numbers of readers. Needs a release build of the server (`MILLRACE_BINARY`).

use std::net::SocketAddr;

use millrace_benches::following::{Way, read_until, run};
use millrace_tests::Server;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

fn main() {
    let way = Way {
        flag: "--max-http-connections",
        open: |server: &Server| subscribe(server.http()),
        // An event of one row in three chunks.
        change: b"2a\r\ndata: {\"tick\":1795000000000000,\"changes\":[\r\n\
            29\r\n{\"diff\":1,\"row\":{\"k\":1000,\"n\":123456}}\r\n\
            19\r\n]}\nid: 1795000000000000\n\n\r\n",
        mark: b"\nid: ",
    };
    run(&way, &[1, 1_000, 10_000]);
}

/// Begins to follow; the answer is a socket whose next bytes are changes.
async fn subscribe(address: SocketAddr) -> TcpStream {
    let mut socket = TcpStream::connect(address).await.expect("a connection");
    let request = b"GET /v1/subscribe/v?snapshot=false HTTP/1.1\r\nHost: localhost\r\n\r\n";
    socket.write_all(request).await.expect("sent");
    // The end of the first event, which has no rows.
    read_until(&mut socket, b"\n\n\r\n").await;
    socket
}
