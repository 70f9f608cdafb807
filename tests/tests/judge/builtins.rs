//! `pg_proc`, `pg_operator` and `pg_cast`: PostgreSQL's own rows of what is answered here, and of all of it.
//!
//! Each function, operator and cast of PostgreSQL's is tried on both servers, prepared and not run, with NULLs of its
//! types. The files that the catalogs are made of have those that mean the same here, and what these are made of.
//! `UPDATE_EXPECT=1` writes them.

use std::collections::BTreeSet;

use expect_test::expect_file;
use millrace_tests::{Postgres, Server};
use tokio_postgres::{Client, SimpleQueryMessage};

/// Every function with a call of it. A polymorphic argument is an int, or an array of them; one of any number of
/// arguments is given once.
const FUNCTIONS: &str = "
    SELECT p.oid, CASE WHEN p.prokind = 'w' THEN 'SELECT ' || call || ' OVER (ORDER BY x) FROM (SELECT 1 AS x) AS t'
                       WHEN p.proretset THEN 'SELECT * FROM ' || call ELSE 'SELECT ' || call END
    FROM pg_proc p LEFT JOIN pg_aggregate a ON a.aggfnoid = p.oid, LATERAL (
        SELECT quote_ident(proname) || '(' || coalesce(string_agg('NULL::' || format_type(CASE
            WHEN n = p.pronargs AND p.provariadic NOT IN (0, 2276) THEN p.provariadic
            WHEN t IN (2276, 2283, 2776, 5077, 5079) THEN 23 WHEN t IN (2277, 5078) THEN 1007 ELSE t END, NULL), ', '
            ORDER BY n), '') || ')' AS call
        FROM unnest(p.proargtypes) WITH ORDINALITY AS arguments(t, n)) AS c
    WHERE p.pronamespace = 'pg_catalog'::regnamespace AND coalesce(a.aggkind, 'n') = 'n'
      AND NOT p.proargtypes::oid[] && ARRAY[2275, 2281]::oid[] AND p.prorettype NOT IN (2275, 2281)
    ORDER BY 1";

const OPERATORS: &str = "
    SELECT oid, 'SELECT ' || CASE WHEN oprleft = 0 THEN '' ELSE 'NULL::' || format_type(CASE
            WHEN oprleft IN (2283, 2776, 5077, 5079) THEN 23 WHEN oprleft IN (2277, 5078) THEN 1007 ELSE oprleft END, NULL)
        END || ' ' || oprname || ' NULL::' || format_type(CASE
            WHEN oprright IN (2283, 2776, 5077, 5079) THEN 23 WHEN oprright IN (2277, 5078) THEN 1007 ELSE oprright END, NULL)
    FROM pg_operator WHERE oprnamespace = 'pg_catalog'::regnamespace ORDER BY 1";

const CASTS: &str = "
    SELECT oid, format('SELECT CAST(NULL::%s AS %s)', format_type(castsource, NULL), format_type(casttarget, NULL))
    FROM pg_cast ORDER BY 1";

/// The rows of a query, NULLs as COPY writes them.
async fn rows(client: &Client, sql: &str) -> Vec<Vec<String>> {
    let row = |message: SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => {
            let value = |at| row.get(at).unwrap_or("\\N").to_owned();
            Some((0..row.len()).map(value).collect())
        }
        _ => None,
    };
    client.simple_query(sql).await.unwrap().into_iter().filter_map(row).collect()
}

/// The types of a statement's columns, those that are one here taken for one; or why there are none.
async fn types(client: &Client, sql: &str) -> Result<Vec<String>, String> {
    let prepared = client.prepare(sql).await.map_err(|error| match error.as_db_error() {
        Some(error) => error.code().code().to_owned(),
        None => panic!("{sql}: {error}"),
    })?;
    let name = |column: &tokio_postgres::Column| match column.type_().name() {
        "oid" | "xid" | "regclass" | "regtype" => "int8".to_owned(),
        "name" | "char" | "regproc" => "text".to_owned(),
        "_name" | "_char" => "_text".to_owned(),
        other => other.to_owned(),
    };
    Ok(prepared.columns().iter().map(name).collect())
}

/// The oids of what means the same to both.
async fn answered(theirs: &Client, ours: &Client, candidates: &str) -> BTreeSet<String> {
    let mut answered = BTreeSet::new();
    for row in rows(theirs, candidates).await {
        let [oid, sql] = row.as_slice() else { panic!("{row:?}") };
        let Ok(our) = types(ours, sql).await else { continue };
        let their = types(theirs, sql).await;
        if their.as_ref() == Ok(&our) {
            answered.insert(oid.clone());
        } else if std::env::var_os("MILLRACE_TEST_VERBOSE").is_some() {
            println!("{sql}: {their:?} here {our:?}");
        }
    }
    answered
}

fn list(oids: &BTreeSet<String>) -> String {
    oids.iter().map(String::as_str).collect::<Vec<_>>().join(",")
}

/// A file of the rows of a query, by their oids.
async fn file(client: &Client, columns: &str, from: &str) -> String {
    let names: Vec<&str> = columns.split(", ").map(|name| name.rsplit(' ').next().unwrap()).collect();
    let lines = rows(client, &format!("SELECT {columns} FROM {from} ORDER BY oid")).await;
    let lines = lines.into_iter().map(|line| line.join("\t") + "\n");
    std::iter::once(names.join("\t") + "\n").chain(lines).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn builtins_are_those_of_postgresql_that_are_answered() {
    let (postgres, server) = (Postgres::start(), Server::start());
    let (theirs, ours) = (postgres.connect().await, server.connect().await);
    let operators = list(&answered(&theirs, &ours, OPERATORS).await);
    let casts = list(&answered(&theirs, &ours, CASTS).await);
    let functions = list(&answered(&theirs, &ours, FUNCTIONS).await);
    let input_and_output = rows(
        &ours,
        "SELECT typinput FROM pg_type UNION SELECT typoutput FROM pg_type UNION SELECT typreceive FROM pg_type \
         UNION SELECT typsend FROM pg_type UNION SELECT typsubscript FROM pg_type",
    );
    let input_and_output = input_and_output.await.concat().join("', '");
    // A commutator or negator that is not answered is none.
    let operator = |column: &str| {
        format!("CASE WHEN {column} IN ({operators}) THEN {column}::oid ELSE 0 END AS {column}")
    };
    let columns = format!(
        "oid, oprname, oprkind, oprcanmerge, oprcanhash, oprleft, oprright, oprresult, {}, {}, oprcode::oid AS oprcode, \
         oprrest::oid AS oprrest, oprjoin::oid AS oprjoin",
        operator("oprcom"),
        operator("oprnegate")
    );
    let text = file(&theirs, &columns, &format!("pg_operator WHERE oid IN ({operators})")).await;
    expect_file!["../../../sql/src/system/pg_operator.tsv"].assert_eq(&text);
    let columns = "oid, castsource, casttarget, castfunc, castcontext, castmethod";
    let text = file(&theirs, columns, &format!("pg_cast WHERE oid IN ({casts})")).await;
    expect_file!["../../../sql/src/system/pg_cast.tsv"].assert_eq(&text);
    let columns = "oid, proname, procost, prorows, provariadic, prokind, proleakproof, proisstrict, proretset, provolatile, \
         proparallel, pronargs, pronargdefaults, prorettype, proargtypes, proallargtypes, proargmodes, proargnames, \
         CASE WHEN prolang = 12 THEN prosrc ELSE proname END AS prosrc, \
         pg_get_function_arguments(oid) AS arguments, pg_get_function_result(oid) AS result";
    let used = format!(
        "pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND (oid IN ({functions}) \
         OR oid IN (SELECT oprcode FROM pg_operator WHERE oid IN ({operators})) \
         OR oid IN (SELECT oprrest FROM pg_operator WHERE oid IN ({operators})) \
         OR oid IN (SELECT oprjoin FROM pg_operator WHERE oid IN ({operators})) \
         OR oid IN (SELECT castfunc FROM pg_cast WHERE oid IN ({casts})) \
         OR proname IN ('{input_and_output}'))"
    );
    expect_file!["../../../sql/src/system/pg_proc.tsv"].assert_eq(&file(&theirs, columns, &used).await);
}
