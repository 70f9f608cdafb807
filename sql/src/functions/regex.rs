//! Functions of regular expressions: `~` and `~*`, `regexp_…`, SIMILAR TO, `substring` by a pattern.

use std::borrow::Cow;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray, StringArray};
use datafusion::arrow::datatypes::Int32Type;
use millrace_engine::{Array, DataError, DataType, Element, Literal};

use super::array::build_strict;
use super::inputs::Inputs;
use crate::regex::{Match, Matches, Options, Pattern, similar};

type Computed = Result<ArrayRef, DataError>;

/// The compiled pattern of each row.
struct Patterns<'a> {
    pattern: Box<dyn Fn(usize) -> Result<Cow<'a, str>, DataError> + 'a>,
    options: Box<dyn Fn(usize) -> Result<Options, DataError> + 'a>,
}

impl<'a> Patterns<'a> {
    /// Those that an argument has, with the flags of another, if there is one.
    fn new(inputs: &'a Inputs, pattern: usize, flags: Option<usize>) -> Patterns<'a> {
        let text = inputs.get(pattern).text();
        let flags = flags.filter(|flags| *flags < inputs.len()).map(|flags| inputs.get(flags).text());
        Patterns {
            pattern: Box::new(move |row| Ok(Cow::Borrowed(text(row)))),
            options: Box::new(move |row| match &flags {
                Some(flags) => Options::parse(flags(row)),
                None => Ok(Options::default()),
            }),
        }
    }

    /// Those of SIMILAR TO, with the escape of another argument, if there is one.
    fn similar(inputs: &'a Inputs, pattern: usize, escape: usize) -> Patterns<'a> {
        let text = inputs.get(pattern).text();
        let escape = (escape < inputs.len()).then(|| inputs.get(escape).text());
        Patterns {
            pattern: Box::new(move |row| {
                let escape = escape.as_ref().map_or("\\", |escape| escape(row));
                similar(text(row), escape).map(Cow::Owned)
            }),
            options: Box::new(|_| Ok(Options::default())),
        }
    }

    fn get(&self, row: usize) -> Result<Rc<Pattern>, DataError> {
        Pattern::compiled(&(self.pattern)(row)?, (self.options)(row)?.of_pattern())
    }

    /// The pattern of a function that finds one match, where `g` has no sense.
    fn get_for(&self, function: &str, row: usize) -> Result<Rc<Pattern>, DataError> {
        let options = (self.options)(row)?;
        if options.all {
            let message = format!("{function}() does not support the \"global\" option");
            return Err(DataError::new("22023", message));
        }
        Pattern::compiled(&(self.pattern)(row)?, options)
    }
}

/// Tests row by row; rows with a NULL argument are NULL and not computed.
fn test_all(inputs: &Inputs, test: impl Fn(usize) -> Result<bool, DataError>) -> Computed {
    let nulls = inputs.nulls();
    let row = |row: usize| match nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
        true => Ok(None),
        false => test(row).map(Some),
    };
    Ok(Arc::new((0..inputs.rows()).map(row).collect::<Result<BooleanArray, DataError>>()?))
}

/// Texts or NULLs row by row; rows with a NULL argument are NULL and not computed.
fn texts(inputs: &Inputs, text: impl Fn(usize) -> Result<Option<String>, DataError>) -> Computed {
    let nulls = inputs.nulls();
    let row = |row: usize| match nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
        true => Ok(None),
        false => text(row),
    };
    Ok(Arc::new((0..inputs.rows()).map(row).collect::<Result<StringArray, DataError>>()?))
}

/// `text ~ pattern`
pub(crate) fn matches(inputs: &Inputs, _: DataType) -> Computed {
    let (text, patterns) = (inputs.get(0).text(), Patterns::new(inputs, 1, None));
    test_all(inputs, |row| Ok(patterns.get(row)?.is_match(text(row))))
}

/// `text ~* pattern`
pub(crate) fn matches_any_case(inputs: &Inputs, _: DataType) -> Computed {
    let (text, pattern) = (inputs.get(0).text(), inputs.get(1).text());
    let options = Options { any_case: true, ..Options::default() };
    test_all(inputs, |row| Ok(Pattern::compiled(pattern(row), options)?.is_match(text(row))))
}

/// `text SIMILAR TO pattern [ESCAPE escape]`
pub(crate) fn similar_to(inputs: &Inputs, _: DataType) -> Computed {
    let (text, patterns) = (inputs.get(0).text(), Patterns::similar(inputs, 1, 2));
    test_all(inputs, |row| Ok(patterns.get(row)?.is_match(text(row))))
}

/// `regexp_like(text, pattern [, flags])`
pub(crate) fn regexp_like(inputs: &Inputs, _: DataType) -> Computed {
    let (text, patterns) = (inputs.get(0).text(), Patterns::new(inputs, 1, Some(2)));
    test_all(inputs, |row| Ok(patterns.get_for("regexp_like", row)?.is_match(text(row))))
}

/// What the first group matches, or all of the match where there are no groups.
fn first_group(pattern: &Pattern, text: &str) -> Result<Option<String>, DataError> {
    let Some(found) = pattern.find(text, 0)? else { return Ok(None) };
    let place = usize::from(pattern.groups() > 0);
    Ok(found.spans[place].clone().map(|span| text[span].to_owned()))
}

/// `substring(text FROM pattern)`
pub(crate) fn substring(inputs: &Inputs, _: DataType) -> Computed {
    let (text, patterns) = (inputs.get(0).text(), Patterns::new(inputs, 1, None));
    texts(inputs, |row| first_group(&*patterns.get(row)?, text(row)))
}

/// `substring(text SIMILAR pattern ESCAPE escape)`
pub(crate) fn substring_similar(inputs: &Inputs, _: DataType) -> Computed {
    let (text, patterns) = (inputs.get(0).text(), Patterns::similar(inputs, 1, 2));
    texts(inputs, |row| first_group(&*patterns.get(row)?, text(row)))
}

/// What the groups of a match hold, or all of it where there are no groups.
pub(super) fn parts(pattern: &Pattern, found: &Match, text: &str) -> Array {
    let spans = if pattern.groups() == 0 { &found.spans[..] } else { &found.spans[1..] };
    let value = |span: &Option<Range<usize>>| span.clone().map(|span| Literal::Text(text[span].to_owned()));
    Array::flat(Element::Text, spans.iter().map(value).collect())
}

/// `regexp_match(text, pattern [, flags])`
pub(crate) fn regexp_match(inputs: &Inputs, _: DataType) -> Computed {
    let (text, patterns) = (inputs.get(0).text(), Patterns::new(inputs, 1, Some(2)));
    build_strict(inputs, |row| {
        let options = (patterns.options)(row)?;
        if options.all {
            let message = "regexp_match() does not support the \"global\" option";
            return Err(DataError::new("22023", message));
        }
        let pattern = patterns.get(row)?;
        Ok(pattern.find(text(row), 0)?.map(|found| parts(&pattern, &found, text(row))))
    })
}

/// The parts of a text between matches. One of nothing divides only between two characters.
pub(super) fn split<'t>(pattern: &Pattern, text: &'t str) -> Result<Vec<&'t str>, DataError> {
    let mut matches = Matches::new(text, 0);
    let (mut parts, mut start, mut before) = (Vec::new(), 0, 0);
    while let Some(found) = matches.next(pattern)? {
        let span = found.whole();
        if span.start < text.len() && span.end > before {
            parts.push(&text[start..span.start]);
            start = span.end;
        }
        before = span.end;
    }
    parts.push(&text[start..]);
    Ok(parts)
}

/// `regexp_split_to_array(text, pattern [, flags])`
pub(crate) fn split_to_array(inputs: &Inputs, _: DataType) -> Computed {
    let (text, patterns) = (inputs.get(0).text(), Patterns::new(inputs, 1, Some(2)));
    build_strict(inputs, |row| {
        let pattern = patterns.get_for("regexp_split_to_array", row)?;
        let value = |part: &str| Some(Literal::Text(part.to_owned()));
        let parts = split(&pattern, text(row))?.into_iter().map(value).collect();
        Ok(Some(Array::flat(Element::Text, parts)))
    })
}

/// An integer argument, or what it is where it is not given; 22023 where it is too small.
fn count<'a>(
    inputs: &'a Inputs,
    place: usize,
    name: &'static str,
    otherwise: i32,
    least: i32,
) -> impl Fn(usize) -> Result<usize, DataError> + 'a {
    let given = (place < inputs.len()).then(|| inputs.get(place).primitive::<Int32Type>());
    move |row| {
        let value = given.as_ref().map_or(otherwise, |given| given.get(row));
        match usize::try_from(value).ok().filter(|_| value >= least) {
            Some(value) => Ok(value),
            None => Err(DataError::new("22023", format!("invalid value for parameter \"{name}\": {value}"))),
        }
    }
}

/// `regexp_count(text, pattern [, start [, flags]])`
pub(crate) fn regexp_count(inputs: &Inputs, _: DataType) -> Computed {
    let (text, patterns) = (inputs.get(0).text(), Patterns::new(inputs, 1, Some(3)));
    let start = count(inputs, 2, "start", 1, 1);
    let number = |row| {
        let start = start(row)?;
        let (pattern, mut number) = (patterns.get_for("regexp_count", row)?, 0);
        let mut matches = Matches::new(text(row), start - 1);
        while matches.next(&pattern)?.is_some() {
            number += 1;
        }
        Ok(number)
    };
    Ok(Arc::new(inputs.build::<Int32Type>(number)?))
}

/// The n-th match from a character on: where the group of this number, or all of it, lies.
fn nth(
    pattern: &Pattern,
    text: &str,
    start: usize,
    number: usize,
    group: usize,
) -> Result<Option<Range<usize>>, DataError> {
    let mut matches = Matches::new(text, start - 1);
    for _ in 1..number {
        if matches.next(pattern)?.is_none() {
            return Ok(None);
        }
    }
    let Some(found) = matches.next(pattern)? else { return Ok(None) };
    // Without groups the first is all of it.
    let group = if pattern.groups() == 0 && group == 1 { 0 } else { group };
    Ok(found.spans.get(group).cloned().flatten())
}

/// `regexp_substr(text, pattern [, start [, n [, flags [, group]]]])`
pub(crate) fn regexp_substr(inputs: &Inputs, _: DataType) -> Computed {
    let (text, patterns) = (inputs.get(0).text(), Patterns::new(inputs, 1, Some(4)));
    let (start, number) = (count(inputs, 2, "start", 1, 1), count(inputs, 3, "n", 1, 1));
    let group = count(inputs, 5, "subexpr", 0, 0);
    texts(inputs, |row| {
        let (start, number, group) = (start(row)?, number(row)?, group(row)?);
        let pattern = patterns.get_for("regexp_substr", row)?;
        let found = nth(&pattern, text(row), start, number, group)?;
        Ok(found.map(|span| text(row)[span].to_owned()))
    })
}

/// `regexp_instr(text, pattern [, start [, n [, endoption [, flags [, group]]]]])`
pub(crate) fn regexp_instr(inputs: &Inputs, _: DataType) -> Computed {
    let (text, patterns) = (inputs.get(0).text(), Patterns::new(inputs, 1, Some(5)));
    let (start, number) = (count(inputs, 2, "start", 1, 1), count(inputs, 3, "n", 1, 1));
    let (after, group) = (count(inputs, 4, "endoption", 0, 0), count(inputs, 6, "subexpr", 0, 0));
    let place = |row| {
        let (start, number, after, group) = (start(row)?, number(row)?, after(row)?, group(row)?);
        if after > 1 {
            let message = format!("invalid value for parameter \"endoption\": {after}");
            return Err(DataError::new("22023", message));
        }
        let pattern = patterns.get_for("regexp_instr", row)?;
        let found = nth(&pattern, text(row), start, number, group)?;
        let place = |span: Range<usize>| if after == 1 { span.end } else { span.start };
        let characters = |span| text(row)[..place(span)].chars().count() as i32 + 1;
        Ok(found.map_or(0, characters))
    };
    Ok(Arc::new(inputs.build::<Int32Type>(place)?))
}

/// Replaces the n-th match from a character on, or all where `number` is 0.
fn replaced(
    pattern: &Pattern,
    text: &str,
    replacement: &str,
    start: usize,
    number: usize,
) -> Result<String, DataError> {
    let mut matches = Matches::new(text, start - 1);
    let (mut out, mut copied, mut met) = (String::new(), 0, 0);
    while let Some(found) = matches.next(pattern)? {
        met += 1;
        if number > 0 && met < number {
            continue;
        }
        let span = found.whole();
        out.push_str(&text[copied..span.start]);
        put(replacement, &found, text, &mut out);
        copied = span.end;
        if number > 0 {
            break;
        }
    }
    out.push_str(&text[copied..]);
    Ok(out)
}

/// Writes a replacement: `\1` to `\9` are groups, `\&` the whole match, `\\` a backslash.
fn put(replacement: &str, found: &Match, text: &str, out: &mut String) {
    let mut rest = replacement;
    while let Some((head, tail)) = rest.split_once('\\') {
        out.push_str(head);
        let mut chars = tail.chars();
        match chars.next() {
            Some('&') => out.push_str(&text[found.whole()]),
            Some('\\') => out.push('\\'),
            Some(digit @ '1'..='9') => {
                let group = found.spans.get(digit as usize - '0' as usize);
                out.push_str(group.cloned().flatten().map_or("", |span| &text[span]));
            }
            Some(other) => out.extend(['\\', other]),
            None => out.push('\\'),
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
}

/// `regexp_replace(text, pattern, replacement [, flags])`
pub(crate) fn regexp_replace(inputs: &Inputs, _: DataType) -> Computed {
    let (text, patterns) = (inputs.get(0).text(), Patterns::new(inputs, 1, Some(3)));
    let replacement = inputs.get(2).text();
    inputs.build_text(|row| {
        let number = usize::from(!(patterns.options)(row)?.all);
        replaced(&*patterns.get(row)?, text(row), replacement(row), 1, number)
    })
}

/// `regexp_replace(text, pattern, replacement, start [, n [, flags]])`
pub(crate) fn regexp_replace_from(inputs: &Inputs, _: DataType) -> Computed {
    let (text, patterns) = (inputs.get(0).text(), Patterns::new(inputs, 1, Some(5)));
    let replacement = inputs.get(2).text();
    let (start, number) = (count(inputs, 3, "start", 1, 1), count(inputs, 4, "n", 1, 0));
    inputs.build_text(|row| {
        let (start, number) = (start(row)?, number(row)?);
        replaced(&*patterns.get(row)?, text(row), replacement(row), start, number)
    })
}
