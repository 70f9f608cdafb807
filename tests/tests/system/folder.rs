//! What a start refuses, and how it says so: damage, a second server, a wrong folder, wrong flags.

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use millrace_tests::{Ended, Launch, Server};

use crate::crash::copy_folder;

fn refused(launch: Launch) -> Ended {
    match launch.try_start() {
        Err(ended) => ended,
        Ok(_) => panic!("the server has started"),
    }
}

/// The only segment of a log.
fn segment(data: &Path) -> PathBuf {
    let entries = std::fs::read_dir(data.join("log")).unwrap().map(|entry| entry.unwrap().path());
    let mut segments = entries.filter(|path| path.extension().is_some_and(|name| name == "seg"));
    let segment = segments.next().unwrap();
    assert_eq!(segments.next(), None);
    segment
}

/// The place of a text in a segment; texts stand there as they are.
fn place(segment: &[u8], text: &str) -> usize {
    segment.windows(text.len()).position(|window| window == text.as_bytes()).unwrap()
}

/// A server with a table of four rows, each committed by itself, and a view; then killed.
fn killed_after_four_commits(data: &Path) {
    let mut server = Launch::on(data).start();
    server.query("CREATE TABLE t (a int, b text)");
    server.query("CREATE MATERIALIZED VIEW v AS SELECT count(*) AS n, max(b) AS last FROM t");
    for row in 1..=4 {
        server.query(&format!("INSERT INTO t VALUES ({row}, 'needle-{row}')"));
    }
    server.kill();
}

#[test]
fn a_second_server_is_refused_until_the_first_is_gone() {
    let mut first = Server::start();
    first.query("CREATE TABLE t (a int); INSERT INTO t VALUES (1)");
    let ended = refused(Launch::on(first.data()));
    assert_eq!(ended.code, Some(75), "{ended:?}");
    let message = format!("millrace: data folder {} is in use by another server", first.data().display());
    assert!(ended.stderr.contains(&message), "{ended:?}");
    assert_eq!(first.query("SELECT a FROM t"), "1", "the first is none the worse");
    first.kill();
    let second = Launch::on(first.data()).start();
    assert_eq!(second.query("SELECT a FROM t"), "1");
}

#[test]
fn damage_in_the_middle_of_the_log_is_told_with_file_and_offset() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    killed_after_four_commits(&data);
    let segment = segment(&data);
    let bytes = std::fs::read(&segment).unwrap();
    let places = [place(&bytes, "needle-1"), place(&bytes, "needle-2")];
    let file = std::fs::OpenOptions::new().write(true).open(&segment).unwrap();
    file.write_at(b"X", places[1] as u64).unwrap();
    drop(file);
    let damaged = std::fs::read(&segment).unwrap();
    let ended = refused(Launch::on(&data));
    assert_eq!(ended.code, Some(78), "{ended:?}");
    assert!(ended.stderr.contains(segment.to_str().unwrap()), "{ended:?}");
    let numbers = ended.stderr.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok());
    let offset = numbers.into_iter().find(|number: &usize| (places[0]..=places[1]).contains(number));
    assert!(offset.is_some(), "no offset of the damaged record: {ended:?}");
    assert!(std::fs::read(&segment).unwrap() == damaged, "a refused start changes nothing");
}

/// The last record is cut, or overwritten from some byte on: it was perhaps never acknowledged, so
/// the server starts without it. What stands before it is there.
#[test]
fn a_torn_tail_is_dropped_wherever_it_is_torn() {
    let folder = tempfile::tempdir().unwrap();
    let original = folder.path().join("original");
    killed_after_four_commits(&original);
    let bytes = std::fs::read(segment(&original)).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    // Somewhere behind the third row's text the fourth's record begins: cuts from there on either
    // tear its head, its body or its last byte, or cut nothing but the zeroes between the two.
    let start = place(&bytes, "needle-3") + "needle-3".len();
    let torn = |at: usize, rubbish: &[u8]| {
        let mut torn = bytes[..at].to_vec();
        torn.extend(rubbish);
        torn
    };
    let span = end - place(&bytes, "needle-4");
    let first = place(&bytes, "needle-4") - (place(&bytes, "needle-4") - start).min(300);
    let places = (0..24).map(|i| first + (end - 1 - first) * i / 23);
    for (number, at) in places.enumerate() {
        let rubbish = if number % 2 == 0 { Vec::new() } else { vec![0xA5; span] };
        let data = folder.path().join(format!("torn-{number}"));
        copy_folder(&original, &data);
        std::fs::write(segment(&data), torn(at, &rubbish)).unwrap();
        let server = Launch::on(&data).workers(1).start();
        let found = server.query("SELECT a FROM t ORDER BY a; SELECT n, last FROM v");
        assert_eq!(found, "1\n2\n3\n3|needle-3", "torn at {at} of {end}");
        server.query("INSERT INTO t VALUES (5, 'needle-5')");
        assert_eq!(server.query("SELECT last FROM v"), "needle-5");
    }
}

#[test]
fn a_missing_segment_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    killed_after_four_commits(&data);
    let segment = segment(&data);
    std::fs::remove_file(&segment).unwrap();
    let ended = refused(Launch::on(&data));
    assert_eq!(ended.code, Some(78), "{ended:?}");
    assert!(ended.stderr.contains(segment.file_name().unwrap().to_str().unwrap()), "{ended:?}");
}

#[test]
fn a_folder_of_something_else_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("thesis.tex"), "years of work").unwrap();
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut launch = Launch::on(folder.path());
    launch.log = log.path().to_owned();
    let ended = refused(launch);
    assert_eq!(ended.code, Some(78), "{ended:?}");
    let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["thesis.tex"]);
}

#[test]
fn an_address_that_others_can_reach_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = std::process::Command::new(millrace_tests::binary());
    command.arg("--data").arg(folder.path().join("data")).args(["--pg-addr", "0.0.0.0:0"]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(78));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("--pg-addr 0.0.0.0:0 is not a loopback address"), "{stderr}");
    assert!(!folder.path().join("data").exists(), "nothing was begun");
}
