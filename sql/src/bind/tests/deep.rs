//! The deepest statements that the parser lets through must not overflow a worker's stack later.

use super::catalog;
use crate::bind;
use crate::bound::Bound;
use crate::parse::parse;
use crate::query::Parameters;

/// Binds, copies, explains and drops on a stack of 2 MiB, tokio's default.
fn survives(text: String) {
    let run = move || {
        let statement = parse(&text).unwrap().pop().unwrap();
        match bind(&statement, &catalog(), Parameters::values(&[])) {
            Ok(Bound::Select(query)) => {
                assert!(!query.clone().explain().is_empty());
                drop(query.lower().map(|plan| (plan.id(), plan.to_string(), plan.nodes().len())));
            }
            Ok(other) => panic!("{other:?}"),
            Err(error) => assert_ne!(error.sqlstate, "XX000", "{error:?}"),
        }
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(run).unwrap().join().unwrap();
}

#[test]
fn chains_of_operators() {
    survives(format!("select value{} from readings", " + 1".repeat(499)));
    survives(format!("select sensor{} from readings", " || sensor".repeat(499)));
    survives(format!("select value from readings where {}true", "value = 1 or ".repeat(499)));
    survives(format!("select value from readings where {}true", "value = 1 and ".repeat(499)));
    survives(format!("select {}true", "not ".repeat(499)));
    survives(format!("select {}value from readings", "- ".repeat(499)));
    survives(format!("select value{} from readings", "::float8".repeat(499)));
}

#[test]
fn nested_parentheses() {
    survives(format!("select {}1{}", "(".repeat(100), ")".repeat(100)));
    survives(format!("select {}1{}", "abs(1 + ".repeat(100), ")".repeat(100)));
    survives(format!("{}select 1{}", "(".repeat(100), ")".repeat(100)));
    survives(format!("{}readings{}", "select * from (".repeat(99), ") x".repeat(99)).replacen(
        "(readings)",
        "readings",
        1,
    ));
    survives(format!("select {}1{}", "case when true then ".repeat(99), " end".repeat(99)));
}

#[test]
fn chains_of_queries() {
    survives(format!("select 1{}", " union all select 1".repeat(120)));
    survives(format!("select 1 from readings{}", ", readings".repeat(60)));
    survives(format!(
        "select 1 from readings a0{}",
        (1..60).map(|n| format!(" join readings a{n} on true")).collect::<String>()
    ));
    for kind in ["left", "right", "full"] {
        let join =
            |n: usize| format!(" {kind} join readings a{n} on a{n}.ts = a0.ts and a{n}.value < a0.value");
        survives(format!("select 1 from readings a0{}", (1..99).map(join).collect::<String>()));
    }
    let tables: Vec<String> = (1..100).map(|n| format!("w{n} as (select * from w{})", n - 1)).collect();
    survives(format!("with w0 as (select 1), {} select * from w99", tables.join(", ")));
}
