//! What INSERT, UPDATE and DELETE do at a moment: the rows that go and that come, checked.
//!
//! ```text
//!   source ─▶ old, new ─▶ NOT NULL, CHECK ─▶ ON CONFLICT ─▶ keys that are there ─▶ writes, RETURNING
//! ```
//! Keys are checked when the statement has found all its rows, so it may pass them around among rows (PostgreSQL
//! checks row by row, and may refuse that). What a commit beside this one does with the same keys the commit path
//! finds out.

use std::collections::{BTreeSet, HashMap, HashSet};

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::{filter_record_batch, interleave_record_batch};
use millrace_engine::{DataType, batch_of};
use millrace_sql::{About, Change, ChangeKind, OnConflict, Query, Relation, RowKey, SqlError};

use crate::coordinator::{Moment, Reads, Write, WrittenKeys};
use crate::session::by_key::rows_of;
use crate::session::keys::{Key, hash_of, keys_of_rows};
use crate::session::read::collect;
use crate::session::write::{Prepared, Returned, STATEMENT_BYTES_MAX};
use crate::session::{Session, not_null, row_size};

/// More keys than this a write does not tell one by one: then it counts as one of all keys.
const HASHES_MAX: usize = 1 << 16;

/// The rows of one statement.
#[derive(Default)]
struct Rows {
    /// Those that go.
    old: Vec<RecordBatch>,
    /// Those that come.
    new: Vec<RecordBatch>,
    /// What RETURNING is asked over: rows of the table, and what they were joined with.
    shown: Vec<RecordBatch>,
}

impl Session {
    /// What a change does at a moment.
    pub(super) async fn change_rows(
        &mut self,
        change: &Change,
        moment: &Moment,
    ) -> Result<Prepared, SqlError> {
        let types: Vec<DataType> = change.source.columns().iter().map(|column| column.data_type).collect();
        let (rows, reads) = self.run_query(&change.source, None, moment).await?;
        let batches = collect(rows, &types, STATEMENT_BYTES_MAX).await?;
        self.change_given(change, batches, reads, moment).await
    }

    /// What a change does with the rows that its source gave.
    pub(super) async fn change_given(
        &mut self,
        change: &Change,
        batches: Vec<RecordBatch>,
        mut reads: Reads,
        moment: &Moment,
    ) -> Result<Prepared, SqlError> {
        let mut rows = split(change, batches)?;
        self.check_rows(change, &rows.new, moment).await?;
        if let ChangeKind::Insert(Some(on_conflict)) = &change.kind {
            rows = self.without_conflicts(change, on_conflict, rows.new, &mut reads, moment).await?;
        }
        let keys = self.check_keys(change, &rows, &mut reads, moment).await?;
        let returned = match &change.returning {
            Some(returning) => Some(self.returned(returning, &rows.shown, &mut reads, moment).await?),
            None => None,
        };
        let count = |batches: &[RecordBatch]| batches.iter().map(RecordBatch::num_rows).sum::<usize>();
        let returned_tag = tag_of(&change.kind);
        let rows_changed = match change.kind {
            ChangeKind::Insert(_) | ChangeKind::Update => count(&rows.new),
            ChangeKind::Delete => count(&rows.old),
        };
        let write = |diff: i64| {
            let (relation, keys) = (change.table.id, keys.clone());
            let altered = change.table.rules().map_or(0, |rules| rules.altered);
            move |rows: RecordBatch| Write { relation, rows, diff, keys: keys.clone(), altered }
        };
        let gone = rows.old.into_iter().map(write(-1));
        let writes = gone.chain(rows.new.into_iter().map(write(1))).collect();
        let tag = format!("{returned_tag} {rows_changed}");
        Ok(Prepared { writes, reads, returned, returned_tag, tag, ..Prepared::default() })
    }

    /// NOT NULL, and then each CHECK.
    async fn check_rows(
        &mut self,
        change: &Change,
        new: &[RecordBatch],
        moment: &Moment,
    ) -> Result<(), SqlError> {
        let mut before = 0;
        for rows in new {
            not_null::check(&change.table, &change.schema, rows)
                .map_err(|error| error.behind_rows(before))?;
            row_size::check(rows)?;
            for (name, check) in &change.checks {
                if !self.breaks(check, change, rows, moment).await? {
                    continue;
                }
                let row = self.first_breaking(check, change, rows, moment).await?;
                let table = &change.table.name;
                let message =
                    format!("new row for relation \"{table}\" violates check constraint \"{name}\"");
                let detail = not_null::failing_row(&change.table, rows, row)?;
                let about = about(change, name, before + row);
                return Err(SqlError::new("23514", message).detail(detail).about(about));
            }
            before += rows.num_rows();
        }
        Ok(())
    }

    /// Whether any of these rows breaks a CHECK.
    async fn breaks(
        &mut self,
        check: &Query,
        change: &Change,
        rows: &RecordBatch,
        moment: &Moment,
    ) -> Result<bool, SqlError> {
        let (breaking, _) = self.run_query(check, Some(rows.clone()), moment).await?;
        let breaking = collect(breaking, &change.table.types(), STATEMENT_BYTES_MAX).await?;
        Ok(!breaking.is_empty())
    }

    /// The first of some rows that breaks a CHECK, which one of them does: found by halves.
    async fn first_breaking(
        &mut self,
        check: &Query,
        change: &Change,
        rows: &RecordBatch,
        moment: &Moment,
    ) -> Result<usize, SqlError> {
        let (mut first, mut count) = (0, rows.num_rows());
        while count > 1 {
            let half = count / 2;
            if self.breaks(check, change, &rows.slice(first, half), moment).await? {
                count = half;
            } else {
                first += half;
                count -= half;
            }
        }
        Ok(first)
    }

    /// The rows that an INSERT … ON CONFLICT adds, and those that it changes instead.
    async fn without_conflicts(
        &mut self,
        change: &Change,
        on_conflict: &OnConflict,
        proposed: Vec<RecordBatch>,
        reads: &mut Reads,
        moment: &Moment,
    ) -> Result<Rows, SqlError> {
        let table = &change.table;
        let mut taken: Vec<HashMap<Key, Taken>> = Vec::new();
        let mut existing: Vec<RecordBatch> = Vec::new();
        let mut keys: Vec<Vec<Vec<Option<Key>>>> = Vec::new();
        for arbiter in &on_conflict.arbiters {
            let key = &change.keys[*arbiter];
            let own: Vec<Vec<Option<Key>>> =
                proposed.iter().map(|rows| keys_of_rows(key, rows)).collect::<Result<_, _>>()?;
            let wanted: BTreeSet<Key> = own.iter().flatten().flatten().cloned().collect();
            reads.keys.extend(wanted.iter().map(|wanted| (key.index, hash_of(wanted))));
            let count = wanted.len();
            let share = self.rows_by_key(table, key, wanted, moment).await?;
            let mut found = HashMap::new();
            for rows in rows_of(vec![share], count).await? {
                for (row, key) in keys_of_rows(key, &rows)?.into_iter().enumerate() {
                    found.extend(key.map(|key| (key, Taken::There(existing.len(), row))));
                }
                existing.push(rows);
            }
            taken.push(found);
            keys.push(own);
        }
        let mut pairs: Vec<((usize, usize), (usize, usize))> = Vec::new();
        let mut changed = HashSet::new();
        let mut accepted = Vec::new();
        for (batch, rows) in proposed.iter().enumerate() {
            let mut mask = Vec::with_capacity(rows.num_rows());
            for row in 0..rows.num_rows() {
                let own = || keys.iter().map(|keys| keys[batch][row].as_ref());
                let conflict = own().zip(&taken).find_map(|(key, taken)| taken.get(key?).copied());
                mask.push(Some(conflict.is_none()));
                match conflict {
                    None => own().zip(&mut taken).for_each(|(key, taken)| {
                        taken.extend(key.cloned().map(|key| (key, Taken::ByThis)));
                    }),
                    Some(_) if on_conflict.update.is_none() => {}
                    Some(Taken::There(at, there)) if changed.insert((at, there)) => {
                        pairs.push(((at, there), (batch, row)));
                    }
                    Some(_) => return Err(affected_twice()),
                }
            }
            accepted.push(filter_record_batch(rows, &BooleanArray::from(mask)).map_err(SqlError::internal)?);
        }
        accepted.retain(|rows| rows.num_rows() > 0);
        let mut rows = Rows { old: Vec::new(), shown: accepted.clone(), new: accepted };
        let Some(update) = on_conflict.update.as_ref().filter(|_| !pairs.is_empty()) else { return Ok(rows) };
        let (left, right): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        let both = side_by_side(&picked(&existing, &left)?, &picked(&proposed, &right)?, table)?;
        let types = [table.types(), table.types()].concat();
        let (changed, read) = self.run_query(update, Some(both), moment).await?;
        reads.extend(read);
        let changed = collect(changed, &types, STATEMENT_BYTES_MAX).await?;
        let changed = split_pairs(table, changed, 0)?;
        self.check_rows(change, &changed.new, moment).await?;
        rows.old.extend(changed.old);
        rows.shown.extend(changed.new.clone());
        rows.new.extend(changed.new);
        Ok(rows)
    }

    /// That no key comes twice. Answers with the keys that are written, and notes those that were looked at.
    async fn check_keys(
        &mut self,
        change: &Change,
        rows: &Rows,
        reads: &mut Reads,
        moment: &Moment,
    ) -> Result<Vec<WrittenKeys>, SqlError> {
        let mut written = Vec::new();
        for key in &change.keys {
            let counted = Counted::new(key, rows)?;
            let wanted: BTreeSet<Key> = counted.more().map(|(key, _)| key.clone()).collect();
            reads.keys.extend(wanted.iter().map(|wanted| (key.index, hash_of(wanted))));
            let mut there: HashMap<Key, i64> = HashMap::new();
            if !wanted.is_empty() {
                let count = wanted.len();
                let share = self.rows_by_key(&change.table, key, wanted, moment).await?;
                for found in rows_of(vec![share], count).await? {
                    let keys = keys_of_rows(key, &found)?.into_iter().flatten();
                    keys.for_each(|key| *there.entry(key).or_default() += 1);
                }
            }
            let twice = counted
                .more()
                .filter(|(key, count)| count.net + there.get(*key).copied().unwrap_or_default() > 1);
            if let Some((_, count)) = twice.min_by_key(|(_, count)| count.at) {
                let (batch, row) = count.at;
                let before: usize = rows.new[..batch].iter().map(RecordBatch::num_rows).sum();
                return Err(duplicate(change, key, &rows.new[batch], row)?.behind_rows(before));
            }
            written.push(counted.written(key));
        }
        Ok(written)
    }

    /// RETURNING.
    async fn returned(
        &mut self,
        returning: &Query,
        shown: &[RecordBatch],
        reads: &mut Reads,
        moment: &Moment,
    ) -> Result<Returned, SqlError> {
        let columns = returning.result().clone();
        let types: Vec<DataType> = columns.iter().map(|column| column.data_type).collect();
        let mut batches = Vec::new();
        for rows in shown {
            let (returned, read) = self.run_query(returning, Some(rows.clone()), moment).await?;
            reads.extend(read);
            batches.extend(collect(returned, &types, STATEMENT_BYTES_MAX).await?);
        }
        Ok(Returned { columns, batches })
    }
}

/// Who has a key.
#[derive(Clone, Copy)]
enum Taken {
    /// A row that is there: batch and row among those that were found.
    There(usize, usize),
    /// A row of this very statement.
    ByThis,
}

/// How often a statement's rows have each key.
struct Counted {
    keys: HashMap<Key, Count>,
}

#[derive(Default)]
struct Count {
    /// Rows that come, less those that go.
    net: i64,
    /// The last row that comes with it: batch and row.
    at: (usize, usize),
}

impl Counted {
    fn new(key: &RowKey, rows: &Rows) -> Result<Counted, SqlError> {
        let mut keys: HashMap<Key, Count> = HashMap::new();
        for old in &rows.old {
            for key in keys_of_rows(key, old)?.into_iter().flatten() {
                keys.entry(key).or_default().net -= 1;
            }
        }
        for (batch, new) in rows.new.iter().enumerate() {
            for (row, key) in keys_of_rows(key, new)?.into_iter().enumerate() {
                let Some(key) = key else { continue };
                let count = keys.entry(key).or_default();
                count.net += 1;
                count.at = (batch, row);
            }
        }
        Ok(Counted { keys })
    }

    /// The keys of which there will be more rows than there were.
    fn more(&self) -> impl Iterator<Item = (&Key, &Count)> {
        self.keys.iter().filter(|(_, count)| count.net > 0)
    }

    fn written(&self, key: &RowKey) -> WrittenKeys {
        let hashes = (self.keys.len() <= HASHES_MAX)
            .then(|| self.keys.keys().map(|key| hash_of(key)).collect::<Vec<u64>>().into());
        WrittenKeys { index: key.index, hashes }
    }
}

/// 23505, PostgreSQL's words.
fn duplicate(change: &Change, key: &RowKey, rows: &RecordBatch, row: usize) -> Result<SqlError, SqlError> {
    let parts = key.of_rows(rows)?;
    let values = batch_of(&key.types, parts, rows.num_rows()).map_err(SqlError::internal)?;
    let (texts, values) = (key.texts.join(", "), not_null::row_text(&values, row)?);
    let message = format!("duplicate key value violates unique constraint \"{}\"", key.name);
    let detail = format!("Key ({texts})=({values}) already exists.");
    Ok(SqlError::new("23505", message).detail(detail).about(about(change, &key.name, row)))
}

/// The constraint of a table that a row breaks.
fn about(change: &Change, constraint: &str, row: usize) -> About {
    let (schema, table) = (change.schema.clone(), change.table.name.clone());
    About { schema, table, column: None, constraint: Some(constraint.to_owned()), row: Some(row) }
}

/// 21000, PostgreSQL's words.
fn affected_twice() -> SqlError {
    SqlError::new("21000", "ON CONFLICT DO UPDATE command cannot affect row a second time").hint(
        "Ensure that no rows proposed for insertion within the same command have duplicate constrained values.",
    )
}

fn tag_of(kind: &ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Insert(_) => "INSERT 0",
        ChangeKind::Update => "UPDATE",
        ChangeKind::Delete => "DELETE",
    }
}

/// The rows that a source gave, apart.
fn split(change: &Change, batches: Vec<RecordBatch>) -> Result<Rows, SqlError> {
    let table = &change.table;
    match change.kind {
        ChangeKind::Insert(_) => Ok(Rows { old: Vec::new(), shown: batches.clone(), new: batches }),
        ChangeKind::Update => {
            let all = change.source.columns().len();
            split_pairs(table, batches, all - 2 * table.columns.len())
        }
        ChangeKind::Delete => {
            let old = batches.iter().map(|rows| columns_of(rows, table, 0)).collect::<Result<_, _>>()?;
            Ok(Rows { old, new: Vec::new(), shown: batches })
        }
    }
}

/// Rows of old columns, new ones, and `extra` others.
fn split_pairs(table: &Relation, batches: Vec<RecordBatch>, extra: usize) -> Result<Rows, SqlError> {
    let width = table.columns.len();
    let mut rows = Rows::default();
    for batch in batches {
        rows.old.push(columns_of(&batch, table, 0)?);
        rows.new.push(columns_of(&batch, table, width)?);
        let shown: Vec<usize> = (width..2 * width + extra).collect();
        rows.shown.push(renamed(&batch.project(&shown).map_err(SqlError::internal)?)?);
    }
    Ok(rows)
}

/// Whole rows of the table, whose columns begin at `from`.
fn columns_of(batch: &RecordBatch, table: &Relation, from: usize) -> Result<RecordBatch, SqlError> {
    let columns = batch.columns()[from..from + table.columns.len()].to_vec();
    batch_of(&table.types(), columns, batch.num_rows()).map_err(SqlError::internal)
}

/// The batch with its columns named by their places.
fn renamed(batch: &RecordBatch) -> Result<RecordBatch, SqlError> {
    let schema = batch.schema();
    let types: Option<Vec<DataType>> =
        schema.fields().iter().map(|field| DataType::from_arrow(field.data_type())).collect();
    let types = types.ok_or_else(|| SqlError::internal("a column of no type of ours"))?;
    batch_of(&types, batch.columns().to_vec(), batch.num_rows()).map_err(SqlError::internal)
}

/// These rows of some batches, in this order.
fn picked(batches: &[RecordBatch], places: &[(usize, usize)]) -> Result<RecordBatch, SqlError> {
    let batches: Vec<&RecordBatch> = batches.iter().collect();
    interleave_record_batch(&batches, places).map_err(SqlError::internal)
}

fn side_by_side(left: &RecordBatch, right: &RecordBatch, table: &Relation) -> Result<RecordBatch, SqlError> {
    let columns = [left.columns(), right.columns()].concat();
    let types = [table.types(), table.types()].concat();
    batch_of(&types, columns, left.num_rows()).map_err(SqlError::internal)
}
