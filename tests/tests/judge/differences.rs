//! What may differ from PostgreSQL, with its reasons: the list, the page made of it, and the
//! comparison that applies it.

use std::fmt::Write;

use crate::answer::{Answer, Column, Failure, Table};

/// A difference that is meant.
struct Difference {
    what: &'static str,
    /// How the judge compares because of it.
    rule: &'static str,
    reason: &'static str,
}

const DIFFERENCES: &[Difference] = &[
    Difference {
        what: "Zeros at the end of a numeric",
        rule: "Values of type numeric are compared without zeros at the end of what is behind the point.",
        reason: "Columns of numeric(p, s) and what is computed of them have one scale for all rows, where the result's \
                 type says it (docs/decisions/2026-11-26-numeric.md): coalesce of a numeric(10, 2) and 0 shows 0.00 \
                 where PostgreSQL shows 0. Columns of numeric, quotients, means and deviations show the digits of \
                 PostgreSQL.",
    },
    Difference {
        what: "More than 38 digits of numeric(p, s)",
        rule: "Random numerics are small.",
        reason: "Sums, differences and products of numeric(p, s) are computed with 38 digits and are 22003 beyond them; \
                 of numeric they have any number, as in PostgreSQL. A numeric(p, s) of up to 38 digits has no NaN: 0A000 \
                 where it is cast or assigned to one; numeric, and numeric(p, s) of more digits, have it.",
    },
    Difference {
        what: "The last digits of a double or a real",
        rule: "Values of type double precision are compared with 13 significant digits, those of type real with 6, -0 \
               as 0.",
        reason: "Sums and means of floats are exact here and rounded once, so that neither the order of the rows nor a \
                 retraction shows; PostgreSQL rounds after each row. So equal doubles have no spread here, and their corr is NULL, where \
                 PostgreSQL may find 1 in what rounding has left. Of two equal keys 0 and -0 PostgreSQL shows the one \
                 that came first, we always 0.",
    },
    Difference {
        what: "Which of several equal values that look different",
        rule: "Random intervals are of hours only, and numbers in random JSON have no zeros at their end: equal ones look alike.",
        reason: "'1 month', '30 days' and '720 hours' are equal. Of equal keys PostgreSQL shows the one that came first; \
                 here a group shows the one with the fewest months, then days, whatever came first, and so does min; max \
                 shows the one with the most. So it is with 1 and 1.0 in jsonb: fewer digits first.",
    },
    Difference {
        what: "Blanks at the end of a char without a length",
        rule: "Random expressions have no such type.",
        reason: "char without a length (bpchar) is what mixing char(3) and char(5) gives. Blanks at its end never count; \
                 here they are cut off, so that equal values are the same bytes. Those that fill up a char(n) are kept, \
                 and come after tabs and the like where they are ordered.",
    },
    Difference {
        what: "Which of several errors",
        rule: "Where both sides fail with a code of data (22003, 22007, 22008, 22012, 22P02, 2201F, 2202E, 21000), the codes \
               may differ.",
        reason: "Rows have no order, so neither has which wrong row is met first.",
    },
    Difference {
        what: "Whether an expression of a row that does not matter is computed",
        rule: "Where one side fails with a code of data and the other has rows, the query must have a join or a \
               second relation, AND, OR, CASE, COALESCE, IN, LIMIT, DISTINCT ON, HAVING, WHERE, a set operation, a \
               window or a sub-query. In a query over one relation without any of these both sides must fail.",
        reason: "SQL leaves open in which order conditions are applied. A view computes ahead of time what a later row \
                 may need; PostgreSQL decides by its costs.",
    },
    Difference {
        what: "The order of grouping sets by a column that a condition makes equal to another",
        rule: "Random queries with grouping sets and an equality are ordered from outside: SELECT * FROM (query) ORDER \
               BY.",
        reason: "After a = b PostgreSQL 15 sorts by a where ORDER BY says b, also where a grouping set has made one of \
                 them NULL, so the rows do not come in the order that was asked for. Here they do.",
    },
    Difference {
        what: "Cases of letters beyond ASCII",
        rule: "Random texts have no such letters.",
        reason: "upper and lower know the letters of every script; a PostgreSQL whose locale is C, which the judge asks \
                 because its texts are ordered by their bytes, knows those of ASCII.",
    },
    Difference {
        what: "Constants that cannot be computed",
        rule: "As above; a view may be refused when it is created with the code that reading it would give; a text that \
               has a mistake (class 42) as well may be refused with either code.",
        reason: "PostgreSQL and we fold constants at different moments.",
    },
];

/// The page about differences.
fn page() -> String {
    let mut text = "# What differs from PostgreSQL on purpose\n\n\
        The judge (tests/tests/judge) asks PostgreSQL and Millrace the same and compares rows, the names and types of \
        columns, and SQLSTATEs.\nThis is all that it lets pass, with the rule by which it does; the page is made from \
        its list (tests/tests/judge/differences.rs).\nWhat is missing stands under \"Not yet\" on the pages of the \
        reference.\n"
        .to_owned();
    for difference in DIFFERENCES {
        let Difference { what, rule, reason } = difference;
        write!(text, "\n## {what}\n\n{reason}\n\n*Compared so:* {rule}\n").unwrap();
    }
    text
}

/// Codes that depend on the values of rows.
const OF_DATA: [&str; 8] = ["22003", "22007", "22008", "22012", "22P02", "2201F", "2202E", "21000"];

/// What a comparison has found.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// The same rows, some or none.
    SameRows { some: bool },
    /// The same SQLSTATE.
    SameError,
    /// Two errors of data.
    OtherError,
    /// PostgreSQL has rows, we have an error of data.
    OnlyOurError,
    /// The other way round.
    OnlyTheirError,
    /// We do not have it yet (0A000).
    Refused,
    /// PostgreSQL does not have it.
    RefusedByPostgres,
    /// A defect: its kind, which minimising keeps, and both answers.
    Wrong { kind: String, text: String },
}

/// Compares the answers to a query. Names are not compared where a view has names of its own.
pub(crate) fn compare(sql: &str, theirs: &Answer, ours: &Answer, ordered: bool, names: bool) -> Verdict {
    let is_of_data = |failure: &Failure| OF_DATA.contains(&failure.code.as_str());
    match (theirs, ours) {
        (Err(theirs), _) if theirs.code == "0A000" => Verdict::RefusedByPostgres,
        (_, Err(ours)) if ours.code == "0A000" => Verdict::Refused,
        (Ok(theirs), Ok(ours)) => match first_difference(theirs, ours, ordered, names) {
            None => Verdict::SameRows { some: !ours.rows.is_empty() },
            Some((kind, text)) => Verdict::Wrong { kind: kind.to_owned(), text },
        },
        (Err(theirs), Err(ours)) if theirs.code == ours.code => Verdict::SameError,
        (Err(theirs), Err(ours)) if is_of_data(theirs) && is_of_data(ours) => Verdict::OtherError,
        (Err(theirs), Err(ours)) if is_of_data(ours) && theirs.code.starts_with("42") => Verdict::OtherError,
        (Err(theirs), Err(ours)) if is_of_data(theirs) && ours.code.starts_with("42") => Verdict::OtherError,
        (Ok(_), Err(ours)) if is_of_data(ours) && !is_fixed(sql) => Verdict::OnlyOurError,
        (Err(theirs), Ok(_)) if is_of_data(theirs) && !is_fixed(sql) => Verdict::OnlyTheirError,
        _ => {
            let code = |answer: &Answer| match answer {
                Ok(_) => "rows".to_owned(),
                Err(failure) => failure.code.clone(),
            };
            let kind = format!("PostgreSQL {}, Millrace {}", code(theirs), code(ours));
            let text = format!("PostgreSQL: {}\nMillrace: {}", shown(theirs), shown(ours));
            Verdict::Wrong { kind, text }
        }
    }
}

fn shown(answer: &Answer) -> String {
    match answer {
        Ok(table) => format!("{} rows {:?}", table.rows.len(), table.columns),
        Err(failure) => format!("{} {}", failure.code, failure.message),
    }
}

/// Whether the order of evaluation leaves nothing open: see the list.
fn is_fixed(sql: &str) -> bool {
    const OPEN: [&str; 18] = [
        " AND ",
        " OR ",
        "CASE",
        "coalesce",
        " IN ",
        "LIMIT",
        "OFFSET",
        " ON ",
        "HAVING",
        "WHERE",
        "UNION",
        "EXCEPT",
        "INTERSECT",
        "OVER",
        "JOIN",
        "ANY",
        "ALL",
        "(SELECT",
    ];
    let relations = sql.split("FROM").nth(1).unwrap_or_default();
    !OPEN.iter().any(|word| sql.contains(word)) && !relations.contains(',')
}

fn first_difference(
    theirs: &Table,
    ours: &Table,
    ordered: bool,
    names: bool,
) -> Option<(&'static str, String)> {
    let of = |table: &Table, part: fn(&Column) -> &String| {
        table.columns.iter().map(|column| part(column).clone()).collect::<Vec<_>>().join(", ")
    };
    let both = |theirs: String, ours: String| {
        (theirs != ours).then(|| format!("PostgreSQL: {theirs}\nMillrace: {ours}"))
    };
    if let Some(text) = both(of(theirs, |column| &column.type_name), of(ours, |column| &column.type_name)) {
        return Some(("types", text));
    }
    let name: fn(&Column) -> &String = |column| &column.name;
    if let Some(text) = both(of(theirs, name), of(ours, name)).filter(|_| names) {
        return Some(("names", text));
    }
    let text = both(rows(theirs, &theirs.columns, ordered), rows(ours, &theirs.columns, ordered))?;
    Some(("rows", text))
}

/// Rows a line each, with the values that may have several texts in one.
fn rows(table: &Table, columns: &[Column], ordered: bool) -> String {
    let value = |(value, column): (&Option<String>, &Column)| match (value, column.type_name.as_str()) {
        (None, _) => "NULL".to_owned(),
        (Some(value), "float8") => rounded(value, 13),
        (Some(value), "float4") => rounded(value, 6),
        (Some(value), type_name) => canonical(type_name, value),
    };
    let row = |row: &Vec<Option<String>>| row.iter().zip(columns).map(value).collect::<Vec<_>>().join("|");
    let mut rows: Vec<String> = table.rows.iter().map(row).collect();
    if !ordered {
        rows.sort();
    }
    format!("\n  {}", rows.join("\n  "))
}

fn rounded(value: &str, digits: usize) -> String {
    match value.parse::<f64>() {
        Ok(0.0) => "0".to_owned(),
        Ok(number) => format!("{number:.*e}", digits - 1),
        Err(_) => value.to_owned(),
    }
}

/// A value of a type in the one of its texts that is compared: numerics without zeros at their end; all others as
/// they are.
pub(crate) fn canonical(type_name: &str, value: &str) -> String {
    let is_fraction = type_name == "numeric" && value.contains('.');
    if !is_fraction {
        return value.to_owned();
    }
    match value.trim_end_matches('0').trim_end_matches('.') {
        "-0" => "0".to_owned(),
        shown => shown.to_owned(),
    }
}

#[test]
fn the_page_tells_the_list() {
    expect_test::expect_file!["../../../docs/postgres-differences.md"].assert_eq(&page());
}

#[test]
fn numerics_have_one_text() {
    let same = [
        ("1.00000000000000000000", "1"),
        ("1.50", "1.5"),
        ("-0.00", "0"),
        ("-0.50", "-0.5"),
        ("0.33333333333333333333", "0.33333333333333333333"),
        ("100", "100"),
        ("NaN", "NaN"),
    ];
    for (value, expected) in same {
        assert_eq!(canonical("numeric", value), expected, "{value}");
    }
    assert_eq!(canonical("text", "1.50"), "1.50");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(value: &str, type_name: &str) -> Answer {
        let columns = vec![Column { name: "a".to_owned(), type_name: type_name.to_owned() }];
        Ok(Table { columns, rows: vec![vec![Some(value.to_owned())]] })
    }

    fn failed(code: &str) -> Answer {
        Err(Failure { code: code.to_owned(), message: String::new() })
    }

    /// Nothing else than what the list says is let pass.
    #[test]
    fn a_difference_is_seen() {
        let wrong = |sql: &str, theirs: &Answer, ours: &Answer| {
            matches!(compare(sql, theirs, ours, false, true), Verdict::Wrong { .. })
        };
        let one = answer("1", "int4");
        assert!(!wrong("", &one, &one));
        assert!(wrong("", &one, &answer("2", "int4")) && wrong("", &one, &answer("1", "int8")));
        assert!(wrong("SELECT 1 / a FROM t", &failed("22012"), &one));
        assert!(!wrong("SELECT 1 / a FROM t WHERE a > 1 AND b", &failed("22012"), &one));
        assert!(wrong("SELECT 1 / a FROM t WHERE a > 1 AND b", &failed("42703"), &one));
        assert!(wrong("", &one, &failed("XX000")) && wrong("", &failed("42703"), &failed("42P01")));
        assert!(!wrong("", &failed("22003"), &failed("22012")));
        assert!(!wrong("", &answer("0.1", "float8"), &answer("0.10000000000000001", "float8")));
        assert!(wrong("", &answer("0.1", "float8"), &answer("0.1000001", "float8")));
    }
}
