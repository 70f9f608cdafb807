//! Several processes as one set of workers: each as threads of the test's own process, over real sockets.
//!
//! `oracle` runs its scripts in meshes, too. Here is what only a mesh can do: bytes of strangers, processes that go and come
//! back, rows that are read from another process, limits over all of them.

use std::collections::HashMap;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use millrace_engine::{
    DataType, Delta, Engine, EngineConfig, Expr, Literal, Loss, Mesh, MeshConfig, MeshError, MeshSecret,
    Plan, PlanRef, RelationId, RowShape, TableSpec, host,
};

use crate::compiler::TestCompiler;
use crate::harness::{Bag, Harness, Row, Size, delta};
use crate::oracle::alone;

const PAIR: [DataType; 2] = [DataType::Int32, DataType::Int32];

/// The processes of a cluster; 0 is the test's.
struct Cluster {
    leader: Arc<Mesh>,
    members: Vec<Arc<Mesh>>,
    peers: Vec<String>,
}

/// A cluster's process 0. Its other processes go from one generation to the next, for as long as the test runs.
pub(crate) fn cluster(size: Size) -> Arc<Mesh> {
    static CLUSTERS: Mutex<Option<HashMap<(usize, usize), Cluster>>> = Mutex::new(None);
    let mut clusters = CLUSTERS.lock().unwrap();
    let clusters = clusters.get_or_insert_default();
    Arc::clone(&clusters.entry((size.0, size.1)).or_insert_with(|| Cluster::start(size)).leader)
}

/// Addresses that nobody listens on.
fn free_addresses(count: usize) -> Vec<String> {
    let listeners: Vec<TcpListener> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    listeners.iter().map(|listener| listener.local_addr().unwrap().to_string()).collect()
}

fn config(process: usize, peers: &[String], workers: usize, secret: &str) -> MeshConfig {
    let secret = MeshSecret::new(secret.as_bytes()).unwrap();
    MeshConfig { process, peers: peers.to_vec(), workers, secret }
}

const SECRET: &str = "the secret of the test's cluster";

impl Cluster {
    fn start(size: Size) -> Cluster {
        let peers = free_addresses(size.0);
        let listen = |process| Arc::new(Mesh::listen(config(process, &peers, size.1, SECRET)).unwrap());
        let leader = listen(0);
        let members: Vec<Arc<Mesh>> = (1..size.0).map(listen).collect();
        members.iter().for_each(|member| drop(follow(member)));
        Cluster { leader, members, peers }
    }

    fn harness(&self) -> Harness {
        Harness::leading(self.leader.form().unwrap(), None)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.members.iter().for_each(|member| member.close());
    }
}

/// Runs a process's workers, generation after generation; the ends come through the channel.
fn follow(member: &Arc<Mesh>) -> mpsc::Receiver<Loss> {
    let (losses, lost) = mpsc::channel();
    let member = Arc::clone(member);
    std::thread::spawn(move || {
        while let Ok(formed) = member.join() {
            // Nobody may want to know.
            let _ = losses.send(host(formed, Arc::new(TestCompiler)));
        }
    });
    lost
}

fn pair(a: i32, b: i32) -> Row {
    vec![Literal::Int32(a), Literal::Int32(b)]
}

fn table() -> Plan {
    Plan::Get { relation: RelationId(1), columns: PAIR.to_vec() }
}

fn many(rows: i32) -> Vec<(Row, i64)> {
    (0..rows).map(|row| (pair(row, row % 7), 1)).collect()
}

fn bag(rows: &[(Row, i64)]) -> Bag {
    let shown = |row: &Row| match row.as_slice() {
        [Literal::Int32(a), Literal::Int32(b)] => format!("{a}|{b}"),
        other => panic!("{other:?}"),
    };
    rows.iter().map(|(row, count)| (shown(row), *count)).collect()
}

/// More rows than a chunk has, which come in batches that are dealt to all processes.
#[test]
fn shares_of_other_processes_are_read_chunk_by_chunk() {
    let _alone = alone();
    let cluster = Cluster::start(Size(2, 1));
    let harness = cluster.harness();
    let rows = many(50_000);
    harness.table(1, &PAIR, 10);
    harness.commit(20, &[(1, &PAIR, rows.clone())]);
    harness.commit(30, &[(1, &PAIR, vec![(pair(0, 0), -1), (pair(9, 9), 3)])]);
    assert_eq!(harness.read(1, 20), Ok(bag(&rows)));
    let mut later = bag(&rows);
    later.remove("0|0");
    later.insert("9|9".to_owned(), 3);
    assert_eq!(harness.read(1, 30), Ok(later));
    let shares: Vec<_> = harness.snapshots(1, 20).into_iter().map(Result::unwrap).collect();
    assert_eq!(shares.iter().filter(|share| share.is_elsewhere()).count(), 1);
    // Two readers at once, one of which gives up; the shares outlive what the table goes on to.
    let mut given_up: Vec<_> = shares.iter().map(|share| share.rows()).collect();
    assert!(given_up.iter_mut().all(|rows| rows.next().unwrap().is_ok()));
    drop(given_up);
    let united = millrace_engine::Snapshot::united(shares).unwrap();
    let read: usize = united.rows().map(|batch| batch.unwrap().num_rows()).sum();
    assert_eq!(read, rows.len());
}

#[test]
fn an_index_is_asked_for_keys_in_all_processes() {
    let _alone = alone();
    let cluster = Cluster::start(Size(3, 1));
    let harness = cluster.harness();
    harness.table(1, &PAIR, 10);
    harness.index(2, 1, &PAIR, &[Expr::Column(0)], 10);
    harness.commit(20, &[(1, &PAIR, many(1_000))]);
    harness.wait(2, 21);
    let keys: Vec<Row> = (0..1_100).step_by(3).map(|key| vec![Literal::Int32(key)]).collect();
    let found = harness.find_encoded(2, 20, &keys).unwrap();
    let wanted: Vec<(Row, i64)> = many(1_000).into_iter().step_by(3).collect();
    assert_eq!(found, bag(&wanted));
    // More rows than an answer has: they are scanned.
    let of_40_keys: Vec<(Row, i64)> = (0..400_000).map(|row| (pair(row, row % 40), 1)).collect();
    harness.table(3, &PAIR, 20);
    harness.index(4, 3, &PAIR, &[Expr::Column(1)], 20);
    harness.commit(30, &[(3, &PAIR, of_40_keys.clone())]);
    harness.wait(4, 31);
    let keys: Vec<Row> = (0..41).map(|key| vec![Literal::Int32(key)]).collect();
    let found = harness.find_encoded(4, 30, &keys).unwrap();
    assert!(found == bag(&of_40_keys), "{} rows", found.len());
}

#[test]
fn a_process_that_goes_ends_the_generation_and_the_next_one_begins_empty() {
    let _alone = alone();
    let peers = free_addresses(2);
    let leader = Mesh::listen(config(0, &peers, 1, SECRET)).unwrap();
    let member = Arc::new(Mesh::listen(config(1, &peers, 1, SECRET)).unwrap());
    let lost = follow(&member);
    for generation in 1..=5 {
        let formed = leader.form().unwrap();
        assert_eq!(formed.generation(), generation);
        let harness = Harness::leading(formed, None);
        harness.table(1, &PAIR, 10);
        harness.view(2, &table(), 10);
        let events = harness.subscribe(2, 10);
        harness.commit(20, &[(1, &PAIR, many(100))]);
        harness.commit(30, &[(1, &PAIR, many(5_000))]);
        if generation % 2 == 0 {
            assert_eq!(harness.read(2, 20), Ok(bag(&many(100))));
        }
        let (told, loss) = mpsc::channel();
        harness.engine.on_loss(move |loss| drop(told.send(loss)));
        harness.engine.shutdown();
        assert!(!loss.recv_timeout(Duration::from_secs(60)).unwrap().is_defect);
        let theirs = lost.recv_timeout(Duration::from_secs(60)).unwrap();
        assert!(theirs.reason.contains("process 0") && !theirs.is_defect, "{theirs:?}");
        // Whoever waited for more hears that nothing comes.
        assert!(events.iter().count() < 100);
    }
    member.close();
}

/// Also where there is no other process: its fellow workers would wait for it for ever.
#[test]
fn a_worker_that_panics_ends_the_generation_and_nobody_else() {
    let _alone = alone();
    let cluster = Cluster::start(Size(2, 1));
    for in_mesh in [false, true] {
        let sink = Arc::new(|relation, upper| {
            assert!(relation != RelationId(1) || upper <= 30, "a panic that the test wants");
        });
        let compiler = Arc::new(TestCompiler);
        let engine = match in_mesh {
            true => Engine::lead(cluster.leader.form().unwrap(), None, compiler, sink),
            false => Engine::start(EngineConfig { workers: 2, view_bytes_max: None }, compiler, sink),
        };
        let engine = engine.unwrap();
        let (told, loss) = mpsc::channel();
        engine.on_loss(move |loss| told.send(loss).unwrap_or_default());
        let spec = TableSpec { name: "t".to_owned(), columns: PAIR.to_vec(), keep_rows: true };
        engine.create_table(RelationId(1), spec, 10);
        for tick in [20, 30, 40] {
            engine.commit(tick, vec![(RelationId(1), vec![delta(&PAIR, &many(100), tick)])]);
        }
        let loss = loss.recv_timeout(Duration::from_secs(60)).unwrap();
        assert!(loss.is_defect && loss.reason.contains("a panic that the test wants"), "{loss:?}");
        engine.shutdown();
        let (reply, replies) = mpsc::channel();
        engine.read(RelationId(1), 40, Arc::new(move |_, _| reply.send(()).unwrap_or_default()));
        assert_eq!(replies.iter().count(), 0);
    }
}

#[test]
fn whoever_waits_for_a_lost_process_is_told() {
    let _alone = alone();
    let peers = free_addresses(2);
    let leader = Mesh::listen(config(0, &peers, 2, SECRET)).unwrap();
    let member = Mesh::listen(config(1, &peers, 2, SECRET)).unwrap();
    let joining = std::thread::spawn(move || (member.join().unwrap(), member));
    let harness = Harness::leading(leader.form().unwrap(), None);
    let (formed, member) = joining.join().unwrap();
    // It is connected and does nothing: not even a sign of life comes.
    harness.table(1, &PAIR, 10);
    let (told, loss) = mpsc::channel();
    harness.engine.on_loss(move |loss| drop(told.send(loss)));
    let (reply, replies) = mpsc::channel();
    harness.engine.read(
        RelationId(1),
        10,
        Arc::new(move |_, share| reply.send(share.is_ok()).unwrap_or_default()),
    );
    let loss = loss.recv_timeout(Duration::from_secs(60)).unwrap();
    assert!(loss.reason.contains("process 1") && !loss.is_defect, "{loss:?}");
    harness.engine.shutdown();
    assert!(replies.iter().count() < 4);
    drop((formed, member));
}

#[test]
fn strangers_and_those_who_do_not_agree_are_kept_out() {
    let _alone = alone();
    let peers = free_addresses(2);
    let leader = Arc::new(Mesh::listen(config(0, &peers, 1, SECRET)).unwrap());
    for bytes in [&b"GET / HTTP/1.0\r\n\r\n"[..], &[0; 4_096], b"MILLRACE and then nothing"] {
        let mut stranger = TcpStream::connect(&peers[0]).unwrap();
        // It may be dropped while we still write.
        let _ = stranger.write_all(bytes);
    }
    // It is told before it listens itself.
    let other = Mesh::listen(config(1, &peers, 2, SECRET)).unwrap();
    let refused = other.join().err().unwrap();
    assert!(matches!(&refused, MeshError::Disagrees(reason) if reason.contains("--workers 2")), "{refused}");
    drop(other);
    let forming = Arc::clone(&leader);
    let forming = std::thread::spawn(move || forming.form().map(|formed| formed.generation()));
    let foreign = Arc::new(Mesh::listen(config(1, &peers, 1, "another secret than theirs")).unwrap());
    let refused = Arc::clone(&foreign);
    let trying = std::thread::spawn(move || refused.join().err());
    std::thread::sleep(Duration::from_millis(500));
    assert!(!forming.is_finished() && !trying.is_finished());
    foreign.close();
    assert!(matches!(trying.join().unwrap(), Some(MeshError::Closed)));
    drop(foreign);
    let member = Arc::new(Mesh::listen(config(1, &peers, 1, SECRET)).unwrap());
    let _lost = follow(&member);
    assert_eq!(forming.join().unwrap().unwrap(), 1);
    member.close();
}

/// Rows come from another process before this one has heard that their table has more columns: it is still busy with
/// what it was told before.
#[test]
fn rows_of_a_widened_table_may_come_before_the_command() {
    let _alone = alone();
    let cluster = Cluster::start(Size(3, 1));
    let harness = cluster.harness();
    let wide = [PAIR[0], PAIR[1], DataType::Int32];
    let wider = |row: &(Row, i64)| ([row.0.clone(), vec![Literal::Int32(7)]].concat(), row.1);
    let rows: Vec<(Row, i64)> = many(20).iter().map(wider).collect();
    let long = delta(&PAIR, &many(300_000), 0).rows;
    harness.table(100, &PAIR, 1);
    for table in 1..=20 {
        let tick = 10 * table;
        harness.table(table, &PAIR, tick);
        harness.commit(tick + 1, &[(table, &PAIR, many(20))]);
        let shape = RowShape::with_missing(&wide, vec![Literal::Int32(0)]).unwrap();
        harness
            .engine
            .commit(tick + 2, vec![(RelationId(100), vec![Delta::uniform(long.clone(), 1, tick + 2)])]);
        harness.engine.widen(RelationId(table), shape);
        harness.commit(tick + 3, &[(table, &wide, rows.clone())]);
        let read = harness.read(table, tick + 3).unwrap();
        assert_eq!(read.values().sum::<i64>(), 40, "table {table}: {read:?}");
    }
}

/// A view's rows are in another process for the most part; the limit is of all of them.
#[test]
fn a_limit_counts_what_all_processes_hold() {
    let _alone = alone();
    let cluster = Cluster::start(Size(2, 1));
    assert_eq!(cluster.peers.len(), 2);
    let harness = Harness::leading(cluster.leader.form().unwrap(), Some(2 << 20));
    harness.table(1, &PAIR, 10);
    let sums =
        Plan::Reduce { input: PlanRef::new(table()), keys: vec![Expr::Column(0)], aggregates: Vec::new() };
    harness.view(2, &sums, 10);
    let mut tick = 10;
    for part in many(400_000).chunks(20_000) {
        tick += 10;
        harness.commit(tick, &[(1, &PAIR, part.to_vec())]);
    }
    harness.wait(1, tick + 1);
    // One that has failed is complete for ever.
    harness.wait(2, u64::MAX);
    let answers = harness.snapshots(2, tick);
    assert!(
        answers
            .iter()
            .all(|answer| answer.as_ref().is_err_and(|error| error.to_string().contains("memory limit")))
    );
    assert_eq!(harness.read(1, tick).unwrap().len(), 400_000);
}
