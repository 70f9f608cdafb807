//! NOT NULL: checked before a commit, with PostgreSQL's message and detail.

use arrow::array::{ArrayRef, RecordBatch};
use bytes::BytesMut;
use millrace_sql::{About, Relation, SqlError, UTC};

use crate::pgwire::values::Values;

/// PostgreSQL cuts each value of the detail after so many characters.
const VALUE_CHARACTERS_MAX: usize = 64;

/// Checks whole rows of the table, which is in a schema of this name.
///
/// # Errors
/// 23502, which names the first column, and the row, that broke the rule.
pub(super) fn check(table: &Relation, schema: &str, rows: &RecordBatch) -> Result<(), SqlError> {
    for (column, values) in table.columns.iter().zip(rows.columns()) {
        if column.nullable || values.null_count() == 0 {
            continue;
        }
        let row = (0..rows.num_rows()).find(|row| values.is_null(*row)).unwrap_or_default();
        return Err(SqlError::new(
            "23502",
            format!(
                "null value in column \"{}\" of relation \"{}\" violates not-null constraint",
                column.name, table.name
            ),
        )
        .detail(failing_row(table, rows, row)?)
        .about(About {
            schema: schema.to_owned(),
            table: table.name.clone(),
            column: Some(column.name.clone()),
            constraint: None,
            row: Some(row),
        }));
    }
    Ok(())
}

/// The detail that shows a row of the table.
pub(super) fn failing_row(table: &Relation, rows: &RecordBatch, row: usize) -> Result<String, SqlError> {
    let places: Vec<usize> = table.visible().map(|(place, _)| place).collect();
    let shown = rows.project(&places).map_err(SqlError::internal)?;
    Ok(format!("Failing row contains ({}).", row_text(&shown, row)?))
}

/// A row as details show it.
pub(super) fn row_text(rows: &RecordBatch, row: usize) -> Result<String, SqlError> {
    let texts = rows.columns().iter().map(|values| value_text(values, row));
    Ok(texts.collect::<Result<Vec<_>, _>>()?.join(", "))
}

/// A value as PostgreSQL writes it in a detail: as a client would get it, but for moments, which are in UTC.
fn value_text(values: &ArrayRef, row: usize) -> Result<String, SqlError> {
    let values = Values::of(values, &UTC)?;
    if values.is_null(row) {
        return Ok("null".to_owned());
    }
    let mut text = BytesMut::new();
    values.write_text(row, &mut text);
    Ok(cut(&String::from_utf8_lossy(&text)))
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(VALUE_CHARACTERS_MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{BooleanArray, Float64Array, Int32Array, StringArray, TimestampMicrosecondArray};
    use millrace_engine::{DataType, RelationId, batch_of};
    use millrace_sql::{Column, RelationKind, SchemaId, TableRules};

    use super::*;

    fn table() -> Relation {
        let column = |name: &str, data_type, nullable| Column::new(name.to_owned(), data_type, nullable);
        Relation {
            id: RelationId(1),
            name: "t".to_owned(),
            schema: SchemaId::PUBLIC,
            columns: vec![
                column("a", DataType::Int32, false),
                column("b", DataType::Boolean, true),
                column("c", DataType::Text, false),
                column("d", DataType::Timestamp, true),
                column("e", DataType::Float64, true),
            ],
            kind: RelationKind::Table { keep_rows: true, rules: TableRules::default() },
            created: 1,
        }
    }

    fn rows(c: Vec<Option<String>>, a: Vec<Option<i32>>) -> RecordBatch {
        let len = c.len();
        let types: Vec<DataType> = table().columns.iter().map(|column| column.data_type).collect();
        batch_of(
            &types,
            vec![
                Arc::new(Int32Array::from(a)),
                Arc::new(BooleanArray::from(vec![Some(true); len])),
                Arc::new(StringArray::from(c)),
                Arc::new(TimestampMicrosecondArray::from(vec![Some(1_500_000); len])),
                Arc::new(Float64Array::from(vec![Some(1e20); len])),
            ],
            len,
        )
        .unwrap()
    }

    #[test]
    fn rows_without_nulls_where_they_must_not_be_pass() {
        assert_eq!(check(&table(), "public", &rows(vec![Some("x".into())], vec![Some(1)])), Ok(()));
    }

    #[test]
    fn the_error_names_column_and_row_as_postgresql_does() {
        let error = check(&table(), "public", &rows(vec![Some("x".into()), None], vec![Some(1), Some(2)]))
            .unwrap_err();
        assert_eq!(error.sqlstate, "23502");
        assert_eq!(
            error.message,
            "null value in column \"c\" of relation \"t\" violates not-null constraint"
        );
        assert_eq!(
            error.detail.as_deref(),
            Some("Failing row contains (2, t, null, 1970-01-01 00:00:01.5, 1e+20).")
        );
    }

    #[test]
    fn long_values_are_cut() {
        let error = check(&table(), "public", &rows(vec![Some("ä".repeat(70))], vec![None])).unwrap_err();
        assert!(error.detail.unwrap().contains(&format!("{}...", "ä".repeat(64))));
    }
}
