//! Paths of JSON as arrays of text: `#> #>> #- ?| ?&`, jsonb_set, jsonb_insert.

use millrace_engine::{DataError, DataType, Literal};

use super::array::arrays;
use super::inputs::{Input, Inputs};
use super::json::{
    Computed, build, build_text, has_key, part_along, step, test, text_of_part, values, without_keys,
};
use crate::json::{Json, key_order};
use crate::text_form;
use crate::zone::UTC;

/// The keys of a row's path; those that are NULL are `None`.
fn paths(input: &Input) -> impl Fn(usize) -> Result<Vec<Option<String>>, DataError> + '_ {
    let array = arrays(input);
    let text = |value: Literal| {
        let mut out = String::new();
        text_form::write_literal(&value, &UTC, &mut out);
        out
    };
    move |row| Ok(array(row)?.values.into_iter().map(|value| value.map(text)).collect())
}

/// The value at the end of a path; `None` where there is none, or a key is NULL.
fn found(value: Json, path: &[Option<String>]) -> Option<Json> {
    path.iter().try_fold(value, |value, key| step(&value, key.as_deref()?).cloned())
}

/// `jsonb #> path`
pub(crate) fn at_path(inputs: &Inputs, _: DataType) -> Computed {
    let (value, path) = (values(inputs.get(0)), paths(inputs.get(1)));
    build(inputs, |row| Ok(found(value(row)?, &path(row)?)))
}

/// `jsonb #>> path`
pub(crate) fn text_at_path(inputs: &Inputs, _: DataType) -> Computed {
    let (value, path) = (values(inputs.get(0)), paths(inputs.get(1)));
    build_text(inputs, |row| Ok(found(value(row)?, &path(row)?).and_then(|value| value.as_text())))
}

/// `json #> path`
pub(crate) fn json_at_path(inputs: &Inputs, _: DataType) -> Computed {
    let (text, path) = (inputs.get(0).text(), paths(inputs.get(1)));
    build_text(inputs, |row| match path(row)?.into_iter().collect::<Option<Vec<String>>>() {
        Some(keys) => Ok(part_along(text(row), keys.iter().map(String::as_str))?.map(str::to_owned)),
        None => Ok(None),
    })
}

/// `json #>> path`
pub(crate) fn json_text_at_path(inputs: &Inputs, _: DataType) -> Computed {
    let (text, path) = (inputs.get(0).text(), paths(inputs.get(1)));
    build_text(inputs, |row| match path(row)?.into_iter().collect::<Option<Vec<String>>>() {
        Some(keys) => part_along(text(row), keys.iter().map(String::as_str))?.map_or(Ok(None), text_of_part),
        None => Ok(None),
    })
}

/// `jsonb ?| keys`
pub(crate) fn exists_any(inputs: &Inputs, _: DataType) -> Computed {
    let (value, keys) = (values(inputs.get(0)), paths(inputs.get(1)));
    test(inputs, |row| {
        let value = value(row)?;
        Ok(keys(row)?.iter().flatten().any(|key| has_key(&value, key)))
    })
}

/// `jsonb ?& keys`
pub(crate) fn exists_all(inputs: &Inputs, _: DataType) -> Computed {
    let (value, keys) = (values(inputs.get(0)), paths(inputs.get(1)));
    test(inputs, |row| {
        let value = value(row)?;
        Ok(keys(row)?.iter().flatten().all(|key| has_key(&value, key)))
    })
}

/// `jsonb - keys`
pub(crate) fn without_keys_of(inputs: &Inputs, _: DataType) -> Computed {
    let (value, keys) = (values(inputs.get(0)), paths(inputs.get(1)));
    build(inputs, |row| {
        let keys: Vec<String> = keys(row)?.into_iter().flatten().collect();
        without_keys(value(row)?, &|own| keys.iter().any(|key| key == own)).map(Some)
    })
}

/// What is done at the end of a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    Delete,
    /// Sets what is there, and what is not where `create` says so.
    Set {
        create: bool,
    },
    /// Puts a new value in, before or behind an element that is there.
    Insert {
        after: bool,
    },
}

fn null_element(place: usize) -> DataError {
    DataError::new("22004", format!("path element at position {} is null", place + 1))
}

/// The value with a change at the end of a path, from its key at `place` on.
fn changed(
    value: Json,
    path: &[Option<String>],
    place: usize,
    new: &Json,
    change: Change,
) -> Result<Json, DataError> {
    let Some(key) = path.get(place) else { return Ok(value) };
    let key = key.as_deref().ok_or_else(|| null_element(place))?;
    let is_last = place + 1 == path.len();
    match value {
        Json::Object(mut fields) => {
            let at = fields.binary_search_by(|(own, _)| key_order(own, key));
            match (at, is_last) {
                (Ok(at), false) => {
                    let (own, inner) = fields.remove(at);
                    fields.insert(at, (own, changed(inner, path, place + 1, new, change)?));
                }
                (Ok(at), true) => match change {
                    Change::Delete => drop(fields.remove(at)),
                    Change::Set { .. } => fields[at].1 = new.clone(),
                    Change::Insert { .. } => {
                        return Err(DataError::new("22023", "cannot replace existing key"));
                    }
                },
                (Err(at), true) if change != Change::Delete && change != (Change::Set { create: false }) => {
                    fields.insert(at, (key.to_owned(), new.clone()));
                }
                (Err(_), _) => {}
            }
            Ok(Json::Object(fields))
        }
        Json::Array(mut elements) => {
            let index: i64 = key.trim().parse::<i32>().map(i64::from).map_err(|_| {
                let message = format!("path element at position {} is not an integer: \"{key}\"", place + 1);
                DataError::new("22P02", message)
            })?;
            let length = elements.len() as i64;
            let index = if index < 0 { index + length } else { index };
            let inside = usize::try_from(index).ok().filter(|index| *index < elements.len());
            match (inside, is_last) {
                (Some(at), false) => {
                    let inner = elements.remove(at);
                    elements.insert(at, changed(inner, path, place + 1, new, change)?);
                }
                (Some(at), true) => match change {
                    Change::Delete => drop(elements.remove(at)),
                    Change::Set { .. } => elements[at] = new.clone(),
                    Change::Insert { after } => elements.insert(at + usize::from(after), new.clone()),
                },
                (None, true) if change != Change::Delete && change != (Change::Set { create: false }) => {
                    // Before the first, or behind the last.
                    let at = if index < 0 { 0 } else { elements.len() };
                    elements.insert(at, new.clone());
                }
                (None, _) => {}
            }
            Ok(Json::Array(elements))
        }
        scalar => Ok(scalar),
    }
}

fn refuse_scalar(value: &Json, what: &str) -> Result<(), DataError> {
    if value.is_scalar() {
        return Err(DataError::new("22023", format!("cannot {what} scalar")));
    }
    Ok(())
}

/// `jsonb #- path`
pub(crate) fn without_path(inputs: &Inputs, _: DataType) -> Computed {
    let (value, path) = (values(inputs.get(0)), paths(inputs.get(1)));
    build(inputs, |row| {
        let value = value(row)?;
        refuse_scalar(&value, "delete path in")?;
        changed(value, &path(row)?, 0, &Json::Null, Change::Delete).map(Some)
    })
}

/// The flag of a call's fourth argument.
fn flags(inputs: &Inputs, default: bool) -> impl Fn(usize) -> bool + '_ {
    let flag = inputs.iter().nth(3).map(Input::boolean);
    move |row| flag.as_ref().map_or(default, |flag| flag(row))
}

/// `jsonb_set(value, path, new [, create])`
pub(crate) fn set(inputs: &Inputs, _: DataType) -> Computed {
    let (value, path, new) = (values(inputs.get(0)), paths(inputs.get(1)), values(inputs.get(2)));
    let create = flags(inputs, true);
    build(inputs, |row| {
        let value = value(row)?;
        refuse_scalar(&value, "set path in")?;
        changed(value, &path(row)?, 0, &new(row)?, Change::Set { create: create(row) }).map(Some)
    })
}

/// `jsonb_insert(value, path, new [, after])`
pub(crate) fn insert(inputs: &Inputs, _: DataType) -> Computed {
    let (value, path, new) = (values(inputs.get(0)), paths(inputs.get(1)), values(inputs.get(2)));
    let after = flags(inputs, false);
    build(inputs, |row| {
        let value = value(row)?;
        refuse_scalar(&value, "set path in")?;
        changed(value, &path(row)?, 0, &new(row)?, Change::Insert { after: after(row) }).map(Some)
    })
}
