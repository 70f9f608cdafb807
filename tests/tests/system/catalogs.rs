//! PostgreSQL's catalogs: what psql's backslash commands show, and that oids outlive a restart.

use expect_test::expect;
use millrace_tests::{Postgres, Psql, Server};

/// A server with one of each kind of relation.
fn server() -> Server {
    let server = Server::start();
    server.query(
        "create table orders (id int primary key, customer text not null, amount numeric(10,2) default 0, \
         at timestamp, unique (customer, at), check (amount >= 0)); \
         create table \"Odd name\" (a bigint, b boolean); \
         create view big as select id, amount from orders where amount > 100; \
         create materialized view totals as select customer, sum(amount) as total from orders group by 1; \
         create index totals_by on totals (customer)",
    );
    server
}

/// What psql shows for some commands.
fn shown(server: &Server, commands: &[&str]) -> String {
    let of = |command: &&str| {
        let answer = server.psql().run(&["-c", command]);
        // psql pads the last column.
        let lines = answer.stdout.lines().chain(answer.stderr.lines()).map(str::trim_end);
        format!("=== {command}\n{}\n", lines.collect::<Vec<_>>().join("\n"))
    };
    commands.iter().map(of).collect()
}

#[test]
fn lists_of_relations_schemas_databases_and_roles_are_shown() {
    let server = server();
    let commands = ["\\d", "\\dt", "\\dt o*", "\\dv", "\\dm", "\\di", "\\dn", "\\l", "\\du", "\\df", "\\ds"];
    expect![[r#"
        === \d
                        List of relations
         Schema |   Name   |       Type        |  Owner
        --------+----------+-------------------+----------
         public | Odd name | table             | millrace
         public | big      | view              | millrace
         public | orders   | table             | millrace
         public | totals   | materialized view | millrace
        (4 rows)

        === \dt
                  List of relations
         Schema |   Name   | Type  |  Owner
        --------+----------+-------+----------
         public | Odd name | table | millrace
         public | orders   | table | millrace
        (2 rows)

        === \dt o*
                 List of relations
         Schema |  Name  | Type  |  Owner
        --------+--------+-------+----------
         public | orders | table | millrace
        (1 row)

        === \dv
                List of relations
         Schema | Name | Type |  Owner
        --------+------+------+----------
         public | big  | view | millrace
        (1 row)

        === \dm
                       List of relations
         Schema |  Name  |       Type        |  Owner
        --------+--------+-------------------+----------
         public | totals | materialized view | millrace
        (1 row)

        === \di
                              List of relations
         Schema |          Name          | Type  |  Owner   | Table
        --------+------------------------+-------+----------+--------
         public | orders_customer_at_key | index | millrace | orders
         public | orders_pkey            | index | millrace | orders
         public | totals_by              | index | millrace | totals
        (3 rows)

        === \dn
           List of schemas
           Name   |  Owner
        ----------+----------
         millrace | millrace
         public   | millrace
        (2 rows)

        === \l
                                                  List of databases
           Name   |  Owner   | Encoding | Collate | Ctype | ICU Locale | Locale Provider | Access privileges
        ----------+----------+----------+---------+-------+------------+-----------------+-------------------
         millrace | millrace | UTF8     | C       | C     |            | libc            |
        (1 row)

        === \du
                                           List of roles
         Role name |                         Attributes                         | Member of
        -----------+------------------------------------------------------------+-----------
         millrace  | Superuser, Create role, Create DB, Replication, Bypass RLS | {}

        === \df
                               List of functions
         Schema | Name | Result data type | Argument data types | Type
        --------+------+------------------+---------------------+------
        (0 rows)

        === \ds
        Did not find any relations.
    "#]]
    .assert_eq(&shown(&server, &commands));
}

#[test]
fn relations_are_described_and_a_restart_changes_nothing() {
    let mut server = server();
    let commands = [
        "\\d orders",
        "\\d \"Odd name\"",
        "\\d big",
        "\\d totals",
        "\\d totals_by",
        "\\d orders_pkey",
        "\\d x*",
    ];
    let oids = "select oid, relname from pg_class order by 1; select oid, adbin from pg_attrdef; \
                select oid, conname, pg_get_constraintdef(oid) from pg_constraint order by 1";
    let before = (shown(&server, &commands), server.query(oids));
    expect![[r#"
        === \d orders
                                  Table "public.orders"
          Column  |            Type             | Collation | Nullable | Default
        ----------+-----------------------------+-----------+----------+---------
         id       | integer                     |           | not null |
         customer | text                        |           | not null |
         amount   | numeric(10,2)               |           |          | 0
         at       | timestamp without time zone |           |          |
        Indexes:
            "orders_pkey" PRIMARY KEY, btree (id)
            "orders_customer_at_key" UNIQUE CONSTRAINT, btree (customer, at)
        Check constraints:
            "orders_amount_check" CHECK (amount >= 0)

        === \d "Odd name"
                      Table "public.Odd name"
         Column |  Type   | Collation | Nullable | Default
        --------+---------+-----------+----------+---------
         a      | bigint  |           |          |
         b      | boolean |           |          |

        === \d big
                            View "public.big"
         Column |     Type      | Collation | Nullable | Default
        --------+---------------+-----------+----------+---------
         id     | integer       |           |          |
         amount | numeric(10,2) |           |          |

        === \d totals
                  Materialized view "public.totals"
          Column  |  Type   | Collation | Nullable | Default
        ----------+---------+-----------+----------+---------
         customer | text    |           |          |
         total    | numeric |           |          |
        Indexes:
            "totals_by" btree (customer)

        === \d totals_by
              Index "public.totals_by"
          Column  | Type | Key? | Definition
        ----------+------+------+------------
         customer | text | yes  | customer
        btree, for table "public.totals"

        === \d orders_pkey
              Index "public.orders_pkey"
         Column |  Type   | Key? | Definition
        --------+---------+------+------------
         id     | integer | yes  | id
        primary key, btree, for table "public.orders"

        === \d x*
        Did not find any relation named "x*".
    "#]]
    .assert_eq(&before.0);
    server.restart();
    assert_eq!((shown(&server, &commands), server.query(oids)), before);
    server.query("drop view big; create view big as select 1 as one");
    let oid_of_big = "select oid from pg_class where relname = 'big'";
    assert!(!before.1.contains(&format!("{}|", server.query(oid_of_big))), "an oid is given again");
}

#[test]
fn what_is_built_in_is_listed_as_by_postgresql() {
    let (server, postgres) = (Server::start(), Postgres::start());
    let lines = |psql: &Psql, command: &str| {
        let told = psql.run(&["-XAt", "-c", command]).stdout;
        // Comments on what is built in, the last column of two of the lists, are PostgreSQL's own.
        let without_comment = |line: &str| match &command[..3] {
            "\\da" | "\\do" => line.rsplit_once('|').map_or("", |(line, _)| line).to_owned(),
            _ => line.to_owned(),
        };
        told.lines().map(without_comment).collect::<Vec<_>>()
    };
    for command in
        ["\\dfS date_bin", "\\dfS jsonb_set", "\\daS regr_*", "\\doS ->>", "\\dC jsonb", "\\dC date"]
    {
        let (our, their) = (lines(&server.psql(), command), lines(&postgres.psql(), command));
        assert_eq!(our, their, "{command}");
        assert!(!our.is_empty(), "{command}");
    }
    for command in ["\\df", "\\da", "\\do", "\\dfS no_such_function"] {
        assert_eq!(lines(&server.psql(), command), [""; 0], "{command}");
    }
    for (sql, answer) in [
        ("SELECT count(*) > 900 FROM pg_proc", "t"),
        (
            "SELECT pg_get_function_identity_arguments(oid) FROM pg_proc WHERE proname = 'jsonb_insert'",
            "jsonb_in jsonb, path text[], replacement jsonb, insert_after boolean",
        ),
        (
            "SELECT count(*) FROM pg_type WHERE NOT EXISTS (SELECT FROM pg_proc WHERE proname = typreceive)",
            "0",
        ),
        (
            "SELECT typname FROM pg_type WHERE typinput = 'array_in(cstring,integer,oid)'::regprocedure AND typelem = 23",
            "_int4",
        ),
        (
            "SELECT count(*) FROM pg_cast WHERE castfunc <> 0 AND castfunc NOT IN (SELECT oid FROM pg_proc)",
            "0",
        ),
        ("SELECT count(*) FROM pg_operator WHERE oprcode NOT IN (SELECT oid FROM pg_proc)", "0"),
        ("SELECT 1598::regproc, 96::regoper, 0::regproc, 'random'::regproc", "random|=|-|random"),
        (
            "SELECT lanname FROM pg_language JOIN pg_proc ON prolang = pg_language.oid WHERE proname = 'random'",
            "internal",
        ),
    ] {
        assert_eq!(server.query(sql), answer, "{sql}");
    }
    for (sql, code) in [
        ("SELECT 'no_such_function'::regproc", "42883: function \"no_such_function\" does not exist"),
        ("SELECT '<->'::regoper", "42883: operator does not exist: <->"),
    ] {
        let told = server.psql().run(&["-X", "-v", "VERBOSITY=verbose", "-c", sql]).stderr;
        assert!(told.contains(code), "{told}");
    }
}

#[test]
fn every_system_relation_can_be_read_whole() {
    let server = server();
    let names = "select nspname || '.' || relname from pg_class join pg_namespace n on n.oid = relnamespace \
                 where nspname <> 'public'";
    let names = server.query(names);
    assert!(names.lines().count() > 40, "{names}");
    for name in names.lines() {
        server.query(&format!("select * from {name}"));
    }
}

#[test]
fn names_become_oids_and_oids_names() {
    let server = server();
    let casts = "select '\"Odd name\"'::regclass = c.oid, c.oid::regclass, 'pg_class'::regclass, 23::regtype, \
                 'public'::regnamespace, relnamespace::regnamespace from pg_class c where relname = 'Odd name'";
    assert_eq!(server.query(casts), "t|\"Odd name\"|1259|integer|2200|public");
    assert_eq!(server.query("select format_type(1700, 655366), format_type(25, NULL)"), "numeric(10,2)|text");
    let missing = server.psql().run(&["-qAtc", "select 'nosuch'::regclass"]);
    assert!(missing.stderr.contains("relation \"nosuch\" does not exist"), "{}", missing.stderr);
}

#[test]
fn a_driver_finds_its_types() {
    let server = server();
    // What a driver asks of a type that it does not know.
    let asked = "select t.typname, t.typtype, t.typelem, r.rngsubtype, t.typbasetype, n.nspname, t.typrelid \
                 from pg_catalog.pg_type t left outer join pg_catalog.pg_range r on r.rngtypid = t.oid \
                 inner join pg_catalog.pg_namespace n on t.typnamespace = n.oid where t.oid = 1700";
    assert_eq!(server.query(asked), "numeric|b|0||0|pg_catalog|0");
    // What another asks of a table's columns.
    let columns = "select a.attname, t.typname, a.attnotnull, pg_catalog.pg_get_expr(d.adbin, d.adrelid), \
                   dsc.description from pg_catalog.pg_class c \
                   join pg_catalog.pg_attribute a on a.attrelid = c.oid \
                   join pg_catalog.pg_type t on a.atttypid = t.oid \
                   left join pg_catalog.pg_attrdef d on a.attrelid = d.adrelid and a.attnum = d.adnum \
                   left join pg_catalog.pg_description dsc on c.oid = dsc.objoid and a.attnum = dsc.objsubid \
                   where c.relname like 'ord_rs' and a.attnum > 0 and not a.attisdropped order by a.attnum";
    let told = "id|int4|t||\ncustomer|text|t||\namount|numeric|f|0|\nat|timestamp|f||";
    assert_eq!(server.query(columns), told);
}

/// psql 15's commands that describe something, each with what may stand behind it.
const DESCRIBING: &[&str] = &[
    "d",
    "d t",
    "d v",
    "d m",
    "d m_b_idx",
    "d t_n_seq",
    "d s.*",
    "d *.*",
    "da",
    "dA",
    "dAc",
    "dAf",
    "dAo",
    "dAp",
    "db",
    "dc",
    "dconfig",
    "dC",
    "dd",
    "dD",
    "ddp",
    "dE",
    "des",
    "det",
    "deu",
    "dew",
    "df",
    "df lower",
    "dfa",
    "dfn",
    "dfp",
    "dft",
    "dfw",
    "dF",
    "dFd",
    "dFp",
    "dFt",
    "dg",
    "di",
    "dl",
    "dL",
    "dm",
    "dn",
    "dn s",
    "do",
    "do +",
    "dO",
    "dp",
    "dp t",
    "dP",
    "dPi",
    "dPt",
    "drds",
    "dRp",
    "dRs",
    "ds",
    "dt",
    "dt *.*",
    "dT",
    "dT int4",
    "du",
    "dv",
    "dx",
    "dX",
    "dy",
    "dtvmsE",
    "l",
    "z",
    "sv v",
    "sv s.w",
];

/// Those that cannot have S behind them, and those that cannot have +.
const WITHOUT_SYSTEM: &[&str] = &["dA", "dF", "dP", "l", "z", "sv"];
const WITHOUT_MORE: &[&str] = &["z"];

#[test]
fn every_command_of_psql_that_describes_something_is_answered() {
    let server = Server::start();
    server.query(
        "create schema s; create table t (a int primary key, b varchar(5) default 'x', n serial, check (a > 0)); \
         create table s.t (a int); create view v as select a, b from t; create view s.w as select 1 as one; \
         create materialized view m as select b, count(*) from t group by b; create index on m (b); \
         comment on table t is 'a table'; insert into t (a) values (1), (2)",
    );
    let mut script = String::new();
    for command in DESCRIBING {
        let (word, rest) = command.split_once(' ').map_or((*command, ""), |(word, rest)| (word, rest));
        for more in ["", "+", "S", "S+"] {
            let is_refused = more.contains('S') && WITHOUT_SYSTEM.contains(&word)
                || more.contains('+') && WITHOUT_MORE.contains(&word);
            if !is_refused {
                script += &format!("\\echo == {word}{more} {rest}\n\\{word}{more} {rest}\n");
            }
        }
    }
    let answer = server.psql().script(&["-v", "ON_ERROR_STOP=0"], &script);
    let wrong: Vec<&str> =
        answer.stderr.lines().filter(|line| line.contains("ERROR") || line.contains("invalid")).collect();
    assert!(wrong.is_empty(), "{}\n{}", answer.stderr, answer.stdout);
    assert_eq!(answer.stdout.matches("== ").count(), script.matches("== ").count());
}

#[test]
fn sizes_are_those_of_what_is_held() {
    let server = Server::start();
    server.query(
        "create table t (a int primary key, b text); \
         create materialized view m as select a % 10 as k, count(*) from t group by 1; \
         insert into t select n, repeat('x', 100) from generate_series(1, 10000) n; select count(*) from m",
    );
    let size = |of: &str| server.query(&format!("select {of}")).parse::<i64>().unwrap();
    assert!(size("pg_table_size('t')") > 1_000_000, "{}", size("pg_table_size('t')"));
    assert!(size("pg_table_size('m'::regclass)") < 100_000);
    assert_eq!(size("pg_total_relation_size('t') - pg_relation_size('t') - pg_indexes_size('t')"), 0);
    assert!(size("pg_indexes_size('public.t')") > 0);
    assert!(size("pg_database_size(current_database())") >= size("pg_total_relation_size('t')"));
    let listed = server.psql().run(&["-c", "\\dt+"]).stdout;
    assert!(listed.contains(" MB ") || listed.contains(" kB "), "{listed}");
    let missing = server.psql().run(&["-qAtc", "select pg_table_size('nosuch')"]);
    assert!(missing.stderr.contains("relation \"nosuch\" does not exist"), "{}", missing.stderr);
}
