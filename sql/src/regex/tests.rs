//! What is no pattern, and what is not there. What PostgreSQL says to patterns stands in tests/slt/regex*.slt.
#![allow(clippy::unwrap_used)]

use super::*;

fn spans(text: &str, pattern: &str) -> Option<Vec<Option<String>>> {
    let pattern = Pattern::new(pattern, Options::default()).unwrap();
    let found = pattern.find(text, 0).unwrap()?;
    Some(found.spans.into_iter().map(|span| span.map(|span| text[span].to_owned())).collect())
}

fn check(text: &str, pattern: &str, expected: &[Option<&str>]) {
    let expected: Vec<Option<String>> = expected.iter().map(|part| part.map(str::to_owned)).collect();
    assert_eq!(spans(text, pattern), Some(expected), "{text} ~ {pattern}");
}

#[test]
fn a_pattern_is_looked_for_anywhere_and_anchored_at_the_ends_of_the_text() {
    for (text, pattern, expected) in [
        ("orders", "^(orders)$", true),
        ("reorders", "^(orders)$", false),
        ("pg_toast_1", "^pg_toast", true),
        ("a\nb", "a.b", true),
        ("a\nb", "^b", false),
        ("a{b", "a{b", true),
        ("x-y", "^[a-z-]+$", true),
        ("[", "[[]", true),
        ("a&&b", "^[&a-b]+$", true),
        ("one two", "\\mtwo\\M", true),
    ] {
        let compiled = Pattern::new(pattern, Options::default()).unwrap();
        assert_eq!(compiled.is_match(text), expected, "{text} ~ {pattern}");
    }
}

#[test]
fn the_longest_match_counts_and_groups_take_what_they_prefer() {
    check("foobarbequebaz", "(bar|barbeq)(.*)", &[Some("barbequebaz"), Some("barbeq"), Some("uebaz")]);
    check("foobar", "foo|foobar", &[Some("foobar")]);
    check("XY1234Z", "Y*([0-9]{1,3})", &[Some("Y123"), Some("123")]);
    check("XY1234Z", "Y*?([0-9]{1,3})", &[Some("Y1"), Some("1")]);
    check("ab", "(?:(a)|(b))*", &[Some("ab"), None, Some("b")]);
    check("aab", "a*(?:ab)?(b*)", &[Some("aab"), Some("")]);
    check("abc", "(a(b)?)+(c)", &[Some("abc"), Some("ab"), Some("b"), Some("c")]);
    check("xyz", "(q)?xyz", &[Some("xyz"), None]);
}

#[test]
fn what_is_no_pattern_and_what_is_not_there_are_told_apart() {
    for (pattern, sqlstate) in [
        ("*a", "2201B"),
        ("a**", "2201B"),
        ("a{2,1}", "2201B"),
        ("(a", "2201B"),
        ("a)", "2201B"),
        ("[a", "2201B"),
        ("a\\", "2201B"),
        ("(?y)a", "2201B"),
        ("[[:word", "2201B"),
        ("(a)\\1", "0A000"),
        ("a(?=b)", "0A000"),
        ("[[.a.]]", "0A000"),
    ] {
        let error = Pattern::new(pattern, Options::default()).map(|_| ()).unwrap_err();
        assert_eq!(error.sqlstate, sqlstate, "{pattern}");
    }
    let long = "a".repeat(5_000);
    assert_eq!(spans(&long, &format!("(b)?{long}")).unwrap(), [Some(long.clone()), None]);
    let deep = format!("{}a{}", "(".repeat(200), ")".repeat(200));
    assert_eq!(Pattern::new(&deep, Options::default()).map(|_| ()).unwrap_err().sqlstate, "2201B");
    assert_eq!(
        Pattern::new(&"(a)".repeat(500), Options::default()).map(|_| ()).unwrap_err().sqlstate,
        "2201B"
    );
}
