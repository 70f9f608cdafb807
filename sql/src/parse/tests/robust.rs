//! Broken, huge and deep texts: an error, but never a panic, a stack overflow or minutes of work.

use proptest::prelude::*;

use datafusion::sql::sqlparser::ast::Query;
use datafusion::sql::sqlparser::keywords::ALL_KEYWORDS;

use super::corpus::{OTHER_STATEMENTS, STATEMENTS};
use crate::parse::parse;
use crate::statement::{Statement, StatementKind};

/// The SQLSTATE of a text, `00000` where it parses. Uses the tree in all the ways that recurse.
fn sqlstate(text: &str) -> String {
    match parse(text) {
        Ok(statements) => {
            statements.iter().for_each(copy_and_print);
            "00000".to_owned()
        }
        Err(error) => {
            let end = text.chars().count() + 1;
            assert!(error.position.is_none_or(|position| (1..=end).contains(&position)), "{error:?}");
            error.sqlstate
        }
    }
}

fn copy_and_print(statement: &Statement) {
    let StatementKind::Select(query) = &statement.kind else { return };
    let copy = Query::clone(query);
    assert_eq!(copy, **query);
    assert!(!format!("{copy}{copy:?}").is_empty());
}

#[test]
fn deep_nesting_is_refused() {
    let deep = [
        format!("select {}1{}", "(".repeat(100_000), ")".repeat(100_000)),
        format!("{}select 1{}", "(".repeat(100_000), ")".repeat(100_000)),
        format!("select * from {}t{}", "(".repeat(100_000), ")".repeat(100_000)),
        format!("select {}1", "not ".repeat(100_000)),
        format!("select {}1", "- ".repeat(100_000)),
        format!("select 1{}", " + 1".repeat(100_000)),
        format!("select {}1", "case when ".repeat(50_000)),
        format!("select {}1{}", "array[".repeat(50_000), "]".repeat(50_000)),
        format!("select 1{}", " union select 1".repeat(50_000)),
        format!("select 1, 2{}", " union select 1, 2".repeat(50_000)),
        format!("select {}1{}", "(1 + ".repeat(50_000), " + 1)".repeat(50_000)),
        format!("select {}1", "(1 + end + ".repeat(50_000)),
        format!("select {}1", "case when 1 + end + ".repeat(40_000)),
        format!("select 1 from t{}", " join t on true".repeat(50_000)),
        format!("select a{}", "::int".repeat(100_000)),
        format!("delete from t where {}true", "a = 1 or ".repeat(50_000)),
        format!("create materialized view v as select {}1", "(".repeat(100_000)),
    ];
    for text in deep {
        assert_eq!(sqlstate(&text), "54001", "{}", &text[..60]);
    }
}

#[test]
fn moderate_nesting_is_accepted() {
    let fine = [
        format!("select {}1{}", "(".repeat(90), ")".repeat(90)),
        format!("{}select 1{}", "(".repeat(90), ")".repeat(90)),
        format!("select * from {}t{}", "(select * from ".repeat(45), ") x".repeat(45)),
        format!("select 1{}", " + 1".repeat(499)),
        format!("delete from t where {}true", "a = 1 or ".repeat(499)),
        format!("select 1, 2{}", " union all select 1, 2".repeat(120)),
        format!("select 1 where {}true", "a = 1 and not b < 2 + 3 or ".repeat(240)),
        format!("select {}1{}", "case when true then ".repeat(90), " end".repeat(90)),
        format!("insert into t values (1, -2){}", ", (1 + 1, - 2)".repeat(50_000)),
        format!("select a in (1{}) from t", ", -1".repeat(100_000)),
    ];
    for text in fine {
        assert_eq!(sqlstate(&text), "00000", "{}", &text[..60]);
    }
}

/// sqlparser tries alternatives, nested ones exponentially often if one lets it: each of these must
/// be answered at once, right or wrong.
#[test]
fn nesting_takes_no_exponential_time() {
    let mut slow = Vec::new();
    for keyword in ALL_KEYWORDS.iter().chain(&["abs", "from (", "from t, (", "(", "1 + (", "e'x' in ("]) {
        for (open, close) in
            [("(", ")"), ("(1 + ", ")"), ("[", "]"), ("(select ", ")"), (" ", ""), (" when ", " end")]
        {
            let nested = format!("{keyword}{open}").repeat(90);
            for text in [format!("select {nested}1{}", close.repeat(90)), format!("select {nested}")] {
                let start = std::time::Instant::now();
                sqlstate(&text);
                if start.elapsed().as_secs() > 5 {
                    slow.push((format!("{keyword}{open}"), start.elapsed()));
                }
            }
        }
    }
    assert!(slow.is_empty(), "{slow:?}");
}

#[test]
fn nested_calls_are_accepted() {
    for (open, close) in [("abs(", ")"), ("coalesce(1, ", ")"), ("cast(", " as int)"), ("f(a => ", ")")] {
        let text = format!("select {}1{}", open.repeat(99), close.repeat(99));
        assert_eq!(sqlstate(&text), "00000", "{open}");
    }
}

/// sqlparser recurses on some words without any parenthesis: none may overflow the stack. A quarter
/// of a worker's stack stands for the whole, so that fewer words show it.
#[test]
fn no_repeated_word_overflows_the_stack() {
    let repeat = || {
        for keyword in ALL_KEYWORDS {
            for head in ["select ", "select * from t ", ""] {
                sqlstate(&format!("{head}{}", format!("{keyword} ").repeat(2_500)));
            }
        }
    };
    std::thread::Builder::new().stack_size(512 << 10).spawn(repeat).unwrap().join().unwrap();
}

#[test]
fn a_text_may_have_a_mebibyte() {
    assert_eq!(sqlstate(&format!("select '{}'", "x".repeat((1 << 20) - 9))), "00000");
    assert_eq!(sqlstate(&format!("select '{}'", "x".repeat((1 << 20) - 8))), "54000");
}

#[test]
fn every_statement_of_the_corpus_is_answered() {
    let known = ["00000", "42601"];
    for text in STATEMENTS.iter().chain(OTHER_STATEMENTS) {
        let state = sqlstate(text);
        assert!(known.contains(&state.as_str()), "{state}: {text}");
    }
}

/// A piece of a statement: cut anywhere.
fn piece() -> impl Strategy<Value = String> {
    let text = prop::sample::select([STATEMENTS, OTHER_STATEMENTS].concat());
    (text, any::<prop::sample::Index>(), any::<prop::sample::Index>()).prop_map(|(text, a, b)| {
        let chars: Vec<char> = text.chars().collect();
        let (a, b) = (a.index(chars.len() + 1), b.index(chars.len() + 1));
        chars[a.min(b)..a.max(b)].iter().collect()
    })
}

/// What is put between pieces.
fn glue() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        Just(" ".to_owned()),
        prop::sample::select(vec![
            ";",
            "(",
            ")",
            "'",
            "\"",
            "$$",
            "/*",
            "*/",
            "--",
            "\n",
            ",",
            ".",
            "$1",
            "::",
            "[",
            "]",
            "E'\\",
            "U&'\\",
            "\0",
            "ä",
            "\u{1F600}",
            "X'",
            "B'",
            "0x",
            "1e",
            "@",
            "#>>",
            "?",
            "{",
            "}",
            ":",
            "\\",
            "`",
        ])
        .prop_map(str::to_owned),
        any::<char>().prop_map(String::from),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn mutated_statements_never_panic(parts in prop::collection::vec((piece(), glue()), 1..6)) {
        let text: String = parts.into_iter().flat_map(|(piece, glue)| [piece, glue]).collect();
        sqlstate(&text);
    }

    #[test]
    fn own_texts_parse_again(texts in prop::collection::vec(prop::sample::select(STATEMENTS.to_vec()), 1..4)) {
        let whole = texts.join(" ; ");
        if let Ok(statements) = parse(&whole) {
            prop_assert_eq!(statements.iter().map(|statement| statement.text.as_str()).collect::<Vec<_>>(), texts);
        }
    }
}
