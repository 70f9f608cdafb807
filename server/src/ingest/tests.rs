//! What each form of a body reads, and what it refuses.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow::array::{
    ArrayRef, DictionaryArray, Int8Array, Int64Array, LargeStringArray, ListArray, StringArray,
    TimestampNanosecondArray, UInt64Array,
};
use arrow::datatypes::{Int32Type, Int64Type};
use arrow::ipc::writer::StreamWriter;
use arrow::util::pretty::pretty_format_batches;
use expect_test::{Expect, expect};
use millrace_engine::{DataType, Element};
use millrace_sql::UTC;
use proptest::prelude::*;

use super::*;

fn columns() -> Vec<Column> {
    let column = |name: &str, data_type| Column::new(name, data_type, true);
    vec![
        column("a", DataType::Int64),
        column("b", DataType::Text),
        column("n", DataType::Numeric { precision: 38, scale: 10 }),
        column("j", DataType::Jsonb),
        column("l", DataType::Array(Element::Text)),
        column("t", DataType::Timestamp),
    ]
}

/// What a body reads, or what is wrong with it.
fn read(form: Form, body: impl Into<Bytes>) -> Result<Vec<Given>, BadRow> {
    let mut reader = Reader::new(form, body.into(), &columns(), UTC.clone())?;
    let mut all = Vec::new();
    while let Some(given) = reader.next()? {
        all.push(given);
    }
    Ok(all)
}

/// The same as a text: rows by their columns' texts.
fn shown(form: Form, body: impl Into<Bytes>) -> String {
    match read(form, body) {
        Err(BadRow { error, line, column }) => {
            let place = format!("line {}, column {}", line.unwrap_or(0), column.unwrap_or_default());
            let detail = error.detail.map(|detail| format!(" ({detail})")).unwrap_or_default();
            format!("{} {}{detail} [{place}]\n", error.sqlstate, error.message)
        }
        Ok(all) => all.iter().map(shown_rows).collect(),
    }
}

fn shown_rows(given: &Given) -> String {
    use crate::pgwire::values::Values;
    let mut text = String::new();
    for row in 0..given.batch.num_rows() {
        text.push_str(&format!("line {}:", given.lines[row]));
        for (place, array) in given.columns.iter().zip(given.batch.columns()) {
            let values = Values::of(array, &UTC).unwrap();
            let mut value = bytes::BytesMut::from(&b"NULL"[..]);
            if !values.is_null(row) {
                value.clear();
                values.write_text(row, &mut value);
            }
            text.push_str(&format!(" {}={}", columns()[*place].name, String::from_utf8_lossy(&value)));
        }
        text.push('\n');
    }
    text
}

fn check(form: Form, body: &str, expected: Expect) {
    expected.assert_eq(&shown(form, body.to_owned()));
}

#[test]
fn objects_give_what_columns_they_like() {
    check(
        Form::Json,
        r#"[{"a": 1, "b": "x\"é\u00e9"},
           {"b": null},
           {}, {"b": "y",
           "a": 2}]"#,
        expect![[r#"
            line 1: a=1 b=x"éé
            line 3: a=2 b=y
            line 2: b=NULL
            line 2:
        "#]],
    );
    check(
        Form::Json,
        " {\"a\":1} ",
        expect![[r#"
        line 1: a=1
    "#]],
    );
    check(Form::Json, "[]", expect![""]);
    check(
        Form::Json,
        "\u{feff}[{\"a\":1}]",
        expect![[r#"
        line 1: a=1
    "#]],
    );
}

#[test]
fn values_go_through_the_text_input_of_their_type() {
    let body = r#"{"n": 12345678901234567890.1234567891, "a": 9223372036854775807, "b": 1.50, "t": "2026-01-01 10:00",
        "j": {"x": [1, 2.0, "é"]}, "l": ["p", null, "q \"r\" \\ {,}"]}
        {"n": "1e2", "a": "42", "b": true, "j": "text", "l": "{p,q}"}"#
        .replace("\n        \"j\"", " \"j\"");
    check(
        Form::Ndjson,
        &body,
        expect![[r#"
            line 1: a=9223372036854775807 b=1.50 n=12345678901234567890.1234567891 j={"x": [1, 2.0, "é"]} l={p,NULL,"q \"r\" \\ {,}"} t=2026-01-01 10:00:00
            line 2: a=42 b=true n=100.0000000000 j="text" l={p,q}
        "#]],
    );
    check(
        Form::Json,
        r#"{"l": [["a","b"],["c","d"]], "j": [1]}"#,
        expect![[r#"
        line 1: j=[1] l={{a,b},{c,d}}
    "#]],
    );
}

#[test]
fn what_is_wrong_with_objects_is_told_with_its_place() {
    let cases = [
        (Form::Json, "", "22P02 at line 1"),
        (Form::Json, "[{\"a\":1}\n,{\"a\":\n}]", "22P02 at line 3"),
        (Form::Json, "[{\"a\":1}\n{\"a\":2}]", "22P02 at line 2"),
        (Form::Json, "[{\"a\":1},]", "22P02 at line 1"),
        (Form::Json, "[{\"a\":1}", "22P02 at line 1"),
        (Form::Json, "{\"a\":1}\n{\"a\":2}", "22P02 at line 2"),
        (Form::Json, "[1]", "22P02 at line 1"),
        (Form::Json, "[\n{\"a\":1},\n{\"a\":\"x\"}]", "22P02 at line 3 of a"),
        (Form::Json, "{\"a\":1.5}", "22P02 at line 1 of a"),
        (Form::Json, "{\"a\":9223372036854775808}", "22003 at line 1 of a"),
        (Form::Json, "{\"a\":true}", "22P02 at line 1 of a"),
        (Form::Json, "{\"a\":[1]}", "42804 at line 1 of a"),
        (Form::Json, "{\"b\":{}}", "42804 at line 1 of b"),
        (Form::Json, "{\"l\":[[\"a\"],\"b\"]}", "22P02 at line 1 of l"),
        (Form::Json, "{\"b\":\"\\u0000\"}", "22021 at line 1 of b"),
        (Form::Json, "{\"b\":\"\\ud800\"}", "22P05 at line 1 of b"),
        (Form::Json, "{\"c\":1}", "42703 at line 1 of c"),
        (Form::Json, "{\"a\":1,\n\"a\":2}", "42701 at line 2 of a"),
        (Form::Ndjson, "{\"a\":1}\n\n{\"a\":1} {\"a\":2}\n", "22P02 at line 3"),
        (Form::Ndjson, "{\"a\":1}\n{\"a\":\n1}", "22P02 at line 2"),
        (Form::Ndjson, "{\"a\":1}\n[{\"a\":2}]", "22P02 at line 2"),
        (Form::Ndjson, "{\"a\":1}\n{\"t\":\"2026-13-01\"}", "22008 at line 2 of t"),
        (Form::Csv, "", "22P04 at line 1"),
        (Form::Csv, "a,c\n1,2\n", "42703 at line 1 of c"),
        (Form::Csv, "a,a\n1,2\n", "42701 at line 1 of a"),
        (Form::Csv, "a,b\n1,x\n2\n", "22P04 at line 3"),
        (Form::Csv, "a,b\n1,\"x\ny\"\nz,w\n", "22P02 at line 4 of a"),
        (Form::Csv, "a,b\n1,\"x\n", "22P04 at line 2"),
        (Form::Arrow, "", "22P03 at line 0"),
        (Form::Arrow, "no stream at all", "22P03 at line 0"),
    ];
    for (form, body, expected) in cases {
        let BadRow { error, line, column } = read(form, body.to_owned()).unwrap_err();
        let column = column.map(|column| format!(" of {column}")).unwrap_or_default();
        let found = format!("{} at line {}{column}", error.sqlstate, line.unwrap_or(0));
        assert_eq!(found, expected, "{body:?}: {error:?}");
    }
    let bad = read(Form::Ndjson, &b"{\"a\":1}\n{\"b\":\"\xff\"}"[..]).unwrap_err();
    assert_eq!((bad.error.sqlstate.as_str(), bad.line), ("22021", Some(2)));
}

#[test]
fn too_many_sets_of_columns_are_refused() {
    let names: Vec<String> = (0..9).map(|place| format!("c{place}")).collect();
    let columns: Vec<Column> = names.iter().map(|name| Column::new(name, DataType::Int32, true)).collect();
    let object = |set: usize| {
        let fields = names.iter().enumerate().filter(|(place, _)| set >> place & 1 == 1);
        let fields: Vec<String> = fields.map(|(_, name)| format!("\"{name}\":1")).collect();
        format!("{{{}}}\n", fields.join(","))
    };
    let read = |count: usize| {
        let body: String = (0..count).map(object).collect();
        let mut reader = Reader::new(Form::Ndjson, body.into(), &columns, UTC.clone()).unwrap();
        let mut rows = 0;
        while let Some(given) = reader.next()? {
            rows += given.batch.num_rows();
        }
        Ok::<usize, BadRow>(rows)
    };
    assert_eq!(read(256).unwrap(), 256);
    assert_eq!(read(257).unwrap_err().error.sqlstate, "54000");
}

#[test]
fn csv_is_read_by_its_header() {
    check(
        Form::Csv,
        "b,a\r\n\"x,\"\"y\"\"\",1\r\n,2\r\n\"\",\r\n",
        expect![[r#"
            line 2: b=x,"y" a=1
            line 3: b=NULL a=2
            line 4: b= a=NULL
        "#]],
    );
    // Nothing in a file ends it.
    check(
        Form::Csv,
        "b\nx\n\\.\ny\n",
        expect![[r#"
        line 2: b=x
        line 3: b=\.
        line 4: b=y
    "#]],
    );
    check(Form::Csv, "\u{feff}a\n", expect![""]);
}

fn stream(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.write(&batch.slice(0, 1)).unwrap();
    writer.finish().unwrap();
    writer.into_inner().unwrap()
}

#[test]
fn arrow_columns_are_converted_by_name() {
    let words: DictionaryArray<Int32Type> = vec![Some("x"), None].into_iter().collect();
    let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), None]), None]);
    let body = stream(vec![
        ("t", Arc::new(TimestampNanosecondArray::from(vec![Some(1_500), Some(0)]))),
        ("n", Arc::new(UInt64Array::from(vec![Some(u64::MAX), None]))),
        ("b", Arc::new(words)),
        ("l", Arc::new(lists)),
        ("j", Arc::new(LargeStringArray::from(vec!["[1]", "{}"]))),
        ("a", Arc::new(Int8Array::from(vec![-1, 2]))),
    ]);
    expect![[r#"
        line 1: t=1970-01-01 00:00:00.000001 n=18446744073709551615.0000000000 b=x l={1,NULL} j=[1] a=-1
        line 2: t=1970-01-01 00:00:00 n=NULL b=NULL l=NULL j={} a=2
        line 3: t=1970-01-01 00:00:00.000001 n=18446744073709551615.0000000000 b=x l={1,NULL} j=[1] a=-1
    "#]]
    .assert_eq(&shown(Form::Arrow, body));
    let body = stream(vec![
        ("a", Arc::new(Int64Array::from(vec![1, 2]))),
        ("b", Arc::new(Int64Array::from(vec![3, 4]))),
    ]);
    expect![[r#"
        line 1: a=1 b=3
        line 2: a=2 b=4
        line 3: a=1 b=3
    "#]]
    .assert_eq(&shown(Form::Arrow, body));
}

#[test]
fn arrow_values_that_do_not_fit_are_refused() {
    let error = |columns: Vec<(&str, ArrayRef)>| {
        let BadRow { error, line, column } = read(Form::Arrow, stream(columns)).unwrap_err();
        format!("{} {:?} {column:?}", error.sqlstate, line)
    };
    let numbers: ArrayRef = Arc::new(UInt64Array::from(vec![1, u64::MAX]));
    assert_eq!(error(vec![("a", numbers)]), "22003 Some(2) Some(\"a\")");
    let texts = |texts: Vec<&str>| -> ArrayRef { Arc::new(StringArray::from(texts)) };
    assert_eq!(error(vec![("a", texts(vec!["1", "x"]))]), "22P02 Some(2) Some(\"a\")");
    assert_eq!(error(vec![("b", texts(vec!["1", "\0"]))]), "22021 Some(2) Some(\"b\")");
    assert_eq!(error(vec![("zz", texts(vec!["1", "2"]))]), "42703 Some(1) Some(\"zz\")");
    let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1)]), None]);
    assert_eq!(error(vec![("a", Arc::new(lists))]), "42804 Some(1) Some(\"a\")");
    let far = Arc::new(arrow::array::TimestampMicrosecondArray::from(vec![0, i64::MIN]));
    assert_eq!(error(vec![("t", far)]), "22008 Some(2) Some(\"t\")");
    let ours = arrow::array::BinaryViewArray::from_iter_values(["no array", "of ours"]);
    assert_eq!(error(vec![("l", Arc::new(ours))]), "22P02 Some(1) Some(\"l\")");
}

#[test]
fn batches_are_bounded() {
    let body = "{\"a\":1}\n".repeat(10_000);
    let sizes: Vec<usize> =
        read(Form::Ndjson, body).unwrap().iter().map(|given| given.batch.num_rows()).collect();
    assert_eq!(sizes, [4096, 4096, 1808]);
}

/// Changes of a body: what is done, where, to how many bytes, with which byte.
type Edits = Vec<(u8, prop::sample::Index, usize, u8)>;

fn edits() -> impl Strategy<Value = Edits> {
    let byte = prop_oneof![any::<u8>(), prop::sample::select(b"\"'\\{}[],:\n\r 0-.eE\0\xff".to_vec())];
    prop::collection::vec((0u8..5, any::<prop::sample::Index>(), 1usize..9, byte), 1..6)
}

/// The body with the changes: bytes are replaced, put in, taken out, repeated, or all behind them is gone.
fn edited(mut body: Vec<u8>, edits: &Edits) -> Vec<u8> {
    for (what, at, length, byte) in edits {
        let at = at.index(body.len() + 1);
        let range = at..(at + length).min(body.len());
        match what {
            0 => body[range].fill(*byte),
            1 => drop(body.splice(at..at, std::iter::repeat_n(*byte, *length))),
            2 => drop(body.drain(range)),
            3 => {
                let again = body[range].to_vec();
                drop(body.splice(at..at, again));
            }
            _ => body.truncate(at),
        }
    }
    body
}

/// A right body of each form.
fn right_bodies() -> [(Form, Vec<u8>); 4] {
    let objects = "{\"a\":1,\"b\":\"x\\u00e9\",\"n\":-1.5e3}\n{\"j\":{\"k\":[1,null]},\"l\":[\"p\",null]}\n\
                   {\"t\":\"2026-01-01 10:00\",\"a\":null}\n";
    let array = format!("[{}]", objects.trim_end().replace('\n', ",\n"));
    let csv = "a,b,n,j,l,t\n1,\"x, \"\"y\"\"\",2.5,[1],\"{p,q}\",2026-01-01\n,,,,,\n";
    let words: DictionaryArray<Int32Type> = vec![Some("x"), None].into_iter().collect();
    let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), None]), None]);
    let stream = stream(vec![
        ("t", Arc::new(TimestampNanosecondArray::from(vec![Some(1_500), Some(0)])) as ArrayRef),
        ("b", Arc::new(words)),
        ("l", Arc::new(lists)),
        ("j", Arc::new(LargeStringArray::from(vec!["[1]", "{}"]))),
    ]);
    [
        (Form::Json, array.into()),
        (Form::Ndjson, objects.into()),
        (Form::Csv, csv.into()),
        (Form::Arrow, stream),
    ]
}

#[test]
fn right_bodies_are_right() {
    for (form, body) in right_bodies() {
        let rows: usize = read(form, body).unwrap().iter().map(|given| given.batch.num_rows()).sum();
        assert!(rows >= 2, "{form:?}");
    }
}

proptest! {
    /// A right body with some changes gives rows, each with its line, or an error; in each form.
    #[test]
    fn changed_bodies_are_answered(edits in edits()) {
        for (form, body) in right_bodies() {
            for given in read(form, edited(body, &edits)).unwrap_or_default() {
                prop_assert_eq!(given.lines.len(), given.batch.num_rows());
                prop_assert_eq!(given.columns.len(), given.batch.num_columns());
            }
        }
    }

    /// Any bytes give rows or an error, and nothing else.
    #[test]
    fn any_bytes_are_answered(
        body in prop::collection::vec(any::<u8>(), 0..200),
        at in 0usize..500,
        byte in any::<u8>(),
    ) {
        for form in [Form::Json, Form::Ndjson, Form::Csv, Form::Arrow] {
            let _ = read(form, body.clone());
        }
        // An Arrow stream with one wrong byte.
        let mut stream = stream(vec![
            ("a", Arc::new(Int64Array::from(vec![1, 2]))),
            ("b", Arc::new(StringArray::from(vec!["x", "y"]))),
        ]);
        let length = stream.len();
        stream[at % length] = byte;
        let _ = read(Form::Arrow, stream);
    }

    /// JSON texts that are nearly right.
    #[test]
    fn any_json_is_answered(body in r#"[\[\]{},:"ab1 \n\\ue.-]{0,40}"#) {
        for form in [Form::Json, Form::Ndjson] {
            let _ = read(form, body.clone());
        }
    }

    /// Objects are the same rows in JSON and NDJSON, and what PostgreSQL's texts say in CSV.
    #[test]
    fn forms_agree(rows in prop::collection::vec((any::<i64>(), "[a-z,\"\\\\é\n ]{0,8}"), 0..20)) {
        let objects: Vec<String> = rows
            .iter()
            .map(|(a, b)| serde_json::json!({ "a": a, "b": b }).to_string())
            .collect();
        let csv: String = rows.iter().map(|(a, b)| format!("{a},\"{}\"\n", b.replace('"', "\"\""))).collect();
        let batches = |form, body: String| {
            let all = read(form, body).unwrap();
            let batches: Vec<RecordBatch> = all.into_iter().map(|given| given.batch).collect();
            pretty_format_batches(&batches).unwrap().to_string()
        };
        let json = batches(Form::Json, format!("[{}]", objects.join(",\n")));
        prop_assert_eq!(&json, &batches(Form::Ndjson, objects.join("\n")));
        prop_assert_eq!(&json, &batches(Form::Csv, format!("a,b\n{csv}")));
    }
}
