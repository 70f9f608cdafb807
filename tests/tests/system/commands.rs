//! `millrace run` and `millrace demo`, as a user calls them.

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use millrace_tests::{PATIENCE, Process, Server, signal, wait_for};

fn millrace(arguments: &[&str]) -> Output {
    let mut command = Command::new(millrace_tests::binary());
    command.env_remove("MILLRACE_DATA").env_remove("MILLRACE_LOG").args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

const SCRIPT: &str = "-- Sensors; and their readings.
CREATE TABLE IF NOT EXISTS t (a int PRIMARY KEY, b text);
CREATE MATERIALIZED VIEW IF NOT EXISTS v AS SELECT count(*) AS n FROM t;
INSERT INTO t VALUES (1, 'é;x') ON CONFLICT DO NOTHING;
SELECT * FROM v;
";

#[test]
fn a_file_is_run_on_a_folder_again_and_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("a.sql"), SCRIPT).unwrap();
    let arguments = ["run", "--data", &path("data"), &path("a.sql")];
    let first = millrace(&arguments);
    assert_eq!(text(&first.stdout), " n\n---\n 1\n(1 row)\n\n", "{}", text(&first.stderr));
    assert_eq!((first.status.code(), text(&first.stderr)), (Some(0), String::new()));
    let second = millrace(&arguments);
    assert_eq!(text(&second.stdout), text(&first.stdout));
    assert!(text(&second.stderr).starts_with("NOTICE:  relation \"t\" already exists, skipping\n"));
    // A slip of the pen in the second file changes nothing, a statement that fails ends it there.
    std::fs::write(path("b.sql"), "INSERT INTO t VALUES (2);\n\n  INSERT INTO t VALUES (3;").unwrap();
    let broken = millrace(&["run", "--data", &path("data"), &path("b.sql")]);
    assert_eq!(broken.status.code(), Some(1));
    assert_eq!(
        text(&broken.stderr),
        format!("millrace: {}:3:26: 42601: syntax error at end of input\n", path("b.sql"))
    );
    std::fs::write(
        path("c.sql"),
        "INSERT INTO t VALUES (2);\nINSERT INTO t\n  SELECT nope FROM t;\nINSERT INTO t VALUES (4);",
    )
    .unwrap();
    let failing = millrace(&["run", "--data", &path("data"), &path("c.sql")]);
    assert_eq!(failing.status.code(), Some(1));
    let expected = format!("millrace: {}:3:10: 42703: column \"nope\" does not exist\n", path("c.sql"));
    assert_eq!(text(&failing.stderr), expected);
    std::fs::write(path("d.sql"), "SELECT a FROM t ORDER BY a").unwrap();
    let rows = millrace(&["run", "--data", &path("data"), &path("d.sql")]);
    assert_eq!(text(&rows.stdout), " a\n---\n 1\n 2\n(2 rows)\n\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_run_on_a_server() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.sql").to_str().unwrap().to_owned();
    std::fs::write(&file, SCRIPT).unwrap();
    let address = server.pg().to_string();
    // Where data is by default does not matter.
    let mut command = Command::new(millrace_tests::binary());
    let run = command
        .env("MILLRACE_DATA", folder.path())
        .args(["run", "--server", &address, &file])
        .output()
        .unwrap();
    assert_eq!(run.status.code(), Some(0), "{}", text(&run.stderr));
    let mut by_default = Command::new(millrace_tests::binary());
    let data = folder.path().join("data");
    let run = by_default.env("MILLRACE_DATA", &data).args(["run", &file]).output().unwrap();
    assert!(run.status.success() && data.join("millrace.folder").exists(), "{}", text(&run.stderr));
    let client = server.connect().await;
    assert_eq!(client.query_one("SELECT b FROM t", &[]).await.unwrap().get::<_, &str>(0), "é;x");
    // Its folder is the server's alone.
    let taken = millrace(&["run", "--data", server.data().to_str().unwrap(), &file]);
    assert_eq!(taken.status.code(), Some(75), "{}", text(&taken.stderr));
    let nobody = millrace(&["run", "--server", "127.0.0.1:1", &file]);
    assert_eq!(nobody.status.code(), Some(1));
    assert!(text(&nobody.stderr).starts_with("millrace: cannot connect to the server at 127.0.0.1:1: "));
    let missing = millrace(&["run", "--server", &address, "/nowhere.sql"]);
    assert!(text(&missing.stderr).starts_with("millrace: cannot read /nowhere.sql: "));
}

/// Whatever the demo tells to type works, and nothing is left behind.
#[tokio::test(flavor = "multi_thread")]
async fn the_demo_shows_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(millrace_tests::binary());
    command.args(["demo", "--rate", "2000", "--pg-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0"]);
    command.env("TMPDIR", folder.path()).stdout(Stdio::piped());
    let mut demo = Process::start(&mut command, "build it with ./test");
    let mut lines = BufReader::new(demo.child().stdout.take().unwrap()).lines().map(Result::unwrap);
    let told: Vec<String> = lines.by_ref().take_while(|line| !line.contains("(p99)")).collect();
    let address = told[0].strip_prefix("millrace: listening for PostgreSQL clients on ").unwrap();
    let (host, port) = address.split_once(':').unwrap();
    let config = format!("host={host} port={port} user=ada dbname=millrace");
    let (client, connection) = tokio_postgres::connect(&config, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let queries: Vec<&str> =
        told.iter().map(|line| line.trim()).filter(|line| line.starts_with("SELECT")).collect();
    assert_eq!(queries.len(), 3, "{told:?}");
    for query in queries {
        // Outliers come when there is a mean to differ from.
        let found = async { while client.query(query, &[]).await.unwrap().is_empty() {} };
        tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("{query} finds nothing"));
    }
    let state = "SELECT state FROM board GROUP BY state ORDER BY state";
    assert!(!client.query(state, &[]).await.unwrap().is_empty());
    for line in told.iter().filter(|line| line.trim().starts_with("curl http")) {
        let output = Command::new("bash").args(["-c", &format!("{line} -sf")]).output().unwrap();
        assert!(output.status.success() && !output.stdout.is_empty(), "{line}: {output:?}");
    }
    // The figures go on.
    let figures = lines.next().unwrap();
    assert!(figures.contains(" readings/s | fresh within ") && figures.contains(" MiB"), "{figures}");
    signal("INT", demo.id());
    assert!(demo.wait().success());
    wait_for("the folder to go", || std::fs::read_dir(folder.path()).unwrap().next().is_none().then_some(()));
}
