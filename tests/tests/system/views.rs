//! Views in trouble and what the server tells of its relations: over psql, before and after a restart.

use millrace_tests::Server;

#[test]
fn what_a_view_was_created_with_survives_a_restart() {
    let mut server = Server::start();
    server.query("create table t (a int, b int); insert into t values (6, 2), (1, 0), (5, 5)");
    let query = "as select a / b as q from t";
    server.query(&format!("create materialized view lenient with (on_error = 'skip') {query}"));
    server.query(
        "create table digits (d int); insert into digits values (0), (1), (2), (3), (4), (5), (6), (7)",
    );
    // 262,144 rows of six digits.
    let six = "as select a.d as a, b.d as b, c.d as c, d.d as d, e.d as e, f.d as f \
               from digits a, digits b, digits c, digits d, digits e, digits f";
    server.query(&format!("create materialized view small with (memory_limit = '1MB') {six}"));
    server.query(&format!("create materialized view large with (memory_limit = '1GB') {six}"));
    for _ in 0..2 {
        assert_eq!(server.query("select * from lenient order by q"), "1\n3");
        assert_eq!(server.query("select count(*) from large"), "262144");
        let errors = server.query("select relation, sqlstate, count from millrace.view_errors order by 1");
        assert_eq!(errors, "lenient|22012|1\nsmall|53200|1");
        let relations = "select relation, hydrated, lag, state_rows > 0 from millrace.hydration \
                         join millrace.frontiers using (relation) order by relation";
        let told = "digits|t|0|t\nlarge|t|0|t\nlenient|t|0|t\nsmall|f||f\nt|t|0|t";
        assert_eq!(server.query(relations), told);
        server.restart();
    }
    server.query("drop materialized view small; insert into t values (8, 2)");
    assert_eq!(server.query("select * from lenient order by q"), "1\n3\n4");
    assert_eq!(server.query("select relation from millrace.view_errors"), "lenient");
}
