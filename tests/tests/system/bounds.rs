//! The bounds of the wire, each really reached: what comes behind it, and that others do not notice.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::pin::pin;
use std::time::Instant;

use futures::{SinkExt, TryStreamExt};
use millrace_tests::{Launch, PATIENCE, Server};
use tokio_postgres::Client;

const MIB: usize = 1 << 20;

fn code<T>(answer: Result<T, tokio_postgres::Error>) -> String {
    let Err(error) = answer else { panic!("this should have failed") };
    error.code().unwrap_or_else(|| panic!("{error:?}")).code().to_owned()
}

fn with_flags(flags: &[&str]) -> (tempfile::TempDir, Server) {
    let folder = tempfile::tempdir().unwrap();
    let mut launch = Launch::on(folder.path().join("data"));
    launch.flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
    let server = launch.start();
    (folder, server)
}

/// All that comes up to the end of the connection.
fn rest(socket: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // Whoever is refused in the middle of a message is told by a reset.
    let _ = socket.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn dial(server: &Server) -> TcpStream {
    let socket = TcpStream::connect(server.pg()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// A client that has said who it is, and was let in.
fn greeted(server: &Server) -> TcpStream {
    let mut socket = dial(server);
    let mut message = 0u32.to_be_bytes().to_vec();
    message.extend(196_608u32.to_be_bytes());
    message.extend(b"user\0ada\0database\0millrace\0\0");
    let length = (message.len() as u32).to_be_bytes();
    message[..4].copy_from_slice(&length);
    socket.write_all(&message).unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b"Z\0\0\0\x05I") {
        let mut byte = [0];
        socket.read_exact(&mut byte).unwrap();
        seen.push(byte[0]);
    }
    socket
}

#[tokio::test(flavor = "multi_thread")]
async fn one_client_more_than_may_connect_is_told_so() {
    let (_folder, server) = with_flags(&["--max-connections", "3"]);
    let mut clients: Vec<Client> = Vec::new();
    for _ in 0..3 {
        clients.push(server.connect().await);
    }
    assert_eq!(code(server.try_connect().await), "53300");
    clients[2].simple_query("SELECT 1").await.unwrap();
    // Whoever goes makes room; when the server has noticed.
    clients.pop();
    let began = Instant::now();
    while server.try_connect().await.is_err() {
        assert!(began.elapsed() < PATIENCE, "there is no room");
        tokio::task::yield_now().await;
    }
}

#[test]
fn a_client_that_says_nothing_is_dropped_in_time() {
    let (_folder, server) = with_flags(&["--connect-seconds", "1"]);
    let mut silent = dial(&server);
    let mut half = dial(&server);
    half.write_all(&[0, 0, 0, 40, 0, 3]).unwrap();
    let mut admitted = greeted(&server);
    assert_eq!((rest(&mut silent), rest(&mut half)), (String::new(), String::new()));
    // Once it has its session nobody hurries it.
    admitted.write_all(b"Q\0\0\0\x0dselect 1\0").unwrap();
    let mut tag = [0];
    admitted.read_exact(&mut tag).unwrap();
    assert_eq!(&tag, b"T");
}

#[test]
fn messages_are_refused_by_their_length_before_they_have_come() {
    let server = Server::start();
    let mut early = dial(&server);
    early.write_all(&(10 * 1024 + 1u32).to_be_bytes()).unwrap();
    early.write_all(&[0, 3, 0, 0]).unwrap();
    assert!(rest(&mut early).contains("C54000\0"));
    let mut late = greeted(&server);
    late.write_all(b"Q").unwrap();
    late.write_all(&((64 * MIB + 1) as u32).to_be_bytes()).unwrap();
    assert!(rest(&mut late).contains("C54000\0"));
    assert_eq!(server.query("select 1"), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_and_their_depth_are_bounded_in_both_protocols() {
    let server = Server::start();
    let client = server.connect().await;
    let long = format!("SELECT '{}'", "x".repeat(MIB));
    assert_eq!(code(client.simple_query(&long).await), "54000");
    assert_eq!(code(client.prepare(&long).await), "54000");
    let deep = format!("SELECT {}1{}", "(".repeat(2_000), ")".repeat(2_000));
    assert_eq!(code(client.simple_query(&deep).await), "54001");
    assert_eq!(code(client.prepare(&deep).await), "54001");
    let wide = format!("PREPARE p AS SELECT {}", vec!["1"; 5_000].join(" + "));
    assert_eq!(code(client.simple_query(&wide).await), "54001");
    client.simple_query("SELECT 1").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_is_bounded_wherever_it_comes_from() {
    let server = Server::start();
    let client = server.connect().await;
    client.batch_execute("CREATE TABLE t (a text)").await.unwrap();
    let largest = "x".repeat(16 * MIB);
    let larger = format!("{largest}x");
    let sql = "INSERT INTO t VALUES ($1)";
    assert_eq!(code(client.execute(sql, &[&larger]).await), "54000");
    assert_eq!(code(copied(&client, larger.clone().into_bytes()).await), "54000");
    assert_eq!(code(client.query("SELECT $1 || 'x'", &[&largest]).await), "54000");
    client.execute(sql, &[&"x".repeat(16 * MIB - 100)]).await.unwrap();
    assert_eq!(code(client.query("SELECT a || a FROM t", &[]).await), "54000");
    let out = client.copy_out("COPY (SELECT a || a FROM t) TO STDOUT").await.unwrap();
    assert_eq!(code(out.try_collect::<Vec<_>>().await), "54000");
    let length = client.query_one("SELECT length(a), a FROM t", &[]).await.unwrap();
    assert_eq!(length.get::<_, i32>(0) as usize, length.get::<_, &str>(1).len());
}

async fn copied(client: &Client, line: Vec<u8>) -> Result<u64, tokio_postgres::Error> {
    let sink = client.copy_in::<_, std::io::Cursor<Vec<u8>>>("COPY t FROM STDIN").await?;
    let mut sink = pin!(sink);
    sink.send(std::io::Cursor::new(line)).await?;
    sink.finish().await
}

/// More than 64 MiB of changes wait for one subscriber on a socket, and for one cursor. Both are cut; a third, which
/// reads, gets every row.
#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_that_does_not_read_is_cut_and_nobody_else() {
    let server = Server::start();
    let client = server.connect().await;
    client.batch_execute("CREATE TABLE t (a text)").await.unwrap();
    let mut lazy = greeted(&server);
    let sql = b"COPY (SUBSCRIBE t) TO STDOUT\0";
    lazy.write_all(&[b"Q".as_slice(), &(sql.len() as u32 + 4).to_be_bytes(), sql].concat()).unwrap();
    let mut head = [0];
    lazy.read_exact(&mut head).unwrap();
    assert_eq!(&head, b"H", "it follows");
    let cursor = server.connect().await;
    cursor.batch_execute("DECLARE c CURSOR WITH HOLD FOR SUBSCRIBE t").await.unwrap();
    let reader = server.connect().await;
    let rows = reader.query_raw("SUBSCRIBE t", std::iter::empty::<i32>()).await.unwrap();
    let reading = tokio::spawn(async move {
        let mut rows = pin!(rows);
        let mut count = 0;
        while count < 100 {
            count += usize::from(rows.try_next().await.unwrap().is_some());
        }
        count
    });
    for row in 0..100 {
        let wide = format!("{row} {}", "x".repeat(MIB));
        client.execute("INSERT INTO t VALUES ($1)", &[&wide]).await.unwrap();
    }
    assert_eq!(tokio::time::timeout(PATIENCE, reading).await.expect("it reads on").unwrap(), 100);
    let fetched = async || cursor.simple_query("FETCH ALL c").await;
    let began = Instant::now();
    let error = loop {
        match fetched().await {
            Err(error) => break error,
            Ok(_) => assert!(began.elapsed() < PATIENCE, "the cursor was not cut"),
        }
    };
    assert_eq!(code::<()>(Err(error)), "53400");
    let told = tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        let mut chunk = vec![0; MIB];
        while !bytes.ends_with(b"Z\0\0\0\x05I") {
            let count = lazy.read(&mut chunk).unwrap();
            assert!(count > 0, "the connection stays");
            bytes.extend_from_slice(&chunk[..count]);
            let keep = bytes.len().saturating_sub(4_096);
            bytes.drain(..keep);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    });
    assert!(told.await.unwrap().contains("C53400\0"));
    client.simple_query("SELECT 1").await.unwrap();
}

/// A query that computes for long and gives no rows lets itself be stopped.
#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_only_computes_can_be_stopped() {
    let server = Server::start();
    let client = server.connect().await;
    client.batch_execute("CREATE TABLE t AS SELECT a FROM generate_series(1, 100000) AS a").await.unwrap();
    let queries = [
        "SELECT count(*) FROM t AS a, t AS b",
        "SELECT count(*) FROM generate_series(1, 100000) AS a, generate_series(1, 100000) AS b",
        "SELECT sum(x) FROM (SELECT a.a % 7 + b.a % 5 AS x FROM t AS a, t AS b) AS s GROUP BY x % 3",
        "SELECT a.a FROM t AS a, t AS b ORDER BY a.a + b.a LIMIT 1",
        "SELECT count(*) FROM t AS a, t AS b WHERE a.a + b.a < 0",
        "SELECT count(*) FROM t AS a JOIN t AS b ON a.a % 10 = b.a % 10 AND a.a + b.a < 0",
        "SELECT count(*) FROM t AS a WHERE NOT EXISTS (SELECT FROM t AS b WHERE a.a + b.a < 0)",
    ];
    for query in queries {
        client.batch_execute("SET statement_timeout = 100").await.unwrap();
        let error = client.simple_query(query).await.expect_err("it would take long");
        assert_eq!(code::<()>(Err(error)), "57014", "{query}");
        client.batch_execute("RESET statement_timeout").await.unwrap();
    }
    let token = client.cancel_token();
    let cancel = async {
        loop {
            token.cancel_query(tokio_postgres::NoTls).await.unwrap();
        }
    };
    tokio::select! {
        answer = client.simple_query(queries[0]) => assert_eq!(code(answer), "57014"),
        () = cancel => unreachable!(),
    }
}

/// What a session may keep is counted.
#[tokio::test(flavor = "multi_thread")]
async fn prepared_statements_and_cursors_are_counted() {
    let server = Server::start();
    let client = server.connect().await;
    let prepared: String = (0..10_000).map(|number| format!("PREPARE p{number} AS SELECT 1;")).collect();
    client.batch_execute(&prepared).await.unwrap();
    assert_eq!(code(client.batch_execute("PREPARE one_more AS SELECT 1").await), "53000");
    client.batch_execute("DEALLOCATE p0; PREPARE one_more AS SELECT 1").await.unwrap();
    let cursors: String =
        (0..1_000).map(|number| format!("DECLARE c{number} CURSOR FOR SELECT 1;")).collect();
    client.batch_execute(&format!("BEGIN; {cursors}")).await.unwrap();
    assert_eq!(code(client.batch_execute("DECLARE one_more CURSOR FOR SELECT 1").await), "53000");
    client.batch_execute("ROLLBACK; BEGIN; DECLARE one_more CURSOR FOR SELECT 1; COMMIT").await.unwrap();
}
