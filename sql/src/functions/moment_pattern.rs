//! The template patterns of moments, of `to_char`, `to_date` and `to_timestamp`.

/// How the letters of a word are written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Letters {
    Upper,
    Capital,
    Lower,
}

/// What a template pattern shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Field {
    /// The year's last digits, so many; all of it from four on.
    Year(u8),
    YearWithComma,
    IsoYear(u8),
    Century,
    Quarter,
    MonthName(Letters),
    MonthAbbreviation(Letters),
    Month,
    Week,
    WeekOfMonth,
    IsoWeek,
    DayName(Letters),
    DayAbbreviation(Letters),
    DayOfYear,
    IsoDayOfYear,
    Day,
    DayOfWeek,
    IsoDayOfWeek,
    Julian,
    Hour12,
    Hour24,
    Minute,
    Second,
    SecondOfDay,
    /// The first digits of the fraction of a second.
    Fraction(u8),
    Meridiem(Letters, bool),
    Era(Letters, bool),
    /// In Roman digits.
    RomanMonth(Letters),
    /// The zone's abbreviation.
    Zone(Letters),
    /// `+05:30`
    Offset,
    /// `+05`
    OffsetHours,
    /// `30`
    OffsetMinutes,
}

/// The patterns; a longer one stands before one that it begins with.
const PATTERNS: &[(&str, Field)] = &[
    ("Y,YYY", Field::YearWithComma),
    ("YYYY", Field::Year(4)),
    ("YYY", Field::Year(3)),
    ("YY", Field::Year(2)),
    ("Y", Field::Year(1)),
    ("IYYY", Field::IsoYear(4)),
    ("IYY", Field::IsoYear(3)),
    ("IY", Field::IsoYear(2)),
    ("IDDD", Field::IsoDayOfYear),
    ("ID", Field::IsoDayOfWeek),
    ("IW", Field::IsoWeek),
    ("I", Field::IsoYear(1)),
    ("CC", Field::Century),
    ("MONTH", Field::MonthName(Letters::Upper)),
    ("Month", Field::MonthName(Letters::Capital)),
    ("month", Field::MonthName(Letters::Lower)),
    ("MON", Field::MonthAbbreviation(Letters::Upper)),
    ("Mon", Field::MonthAbbreviation(Letters::Capital)),
    ("mon", Field::MonthAbbreviation(Letters::Lower)),
    ("MM", Field::Month),
    ("MI", Field::Minute),
    ("MS", Field::Fraction(3)),
    ("US", Field::Fraction(6)),
    ("FF1", Field::Fraction(1)),
    ("FF2", Field::Fraction(2)),
    ("FF3", Field::Fraction(3)),
    ("FF4", Field::Fraction(4)),
    ("FF5", Field::Fraction(5)),
    ("FF6", Field::Fraction(6)),
    ("DAY", Field::DayName(Letters::Upper)),
    ("Day", Field::DayName(Letters::Capital)),
    ("day", Field::DayName(Letters::Lower)),
    ("DY", Field::DayAbbreviation(Letters::Upper)),
    ("Dy", Field::DayAbbreviation(Letters::Capital)),
    ("dy", Field::DayAbbreviation(Letters::Lower)),
    ("DDD", Field::DayOfYear),
    ("DD", Field::Day),
    ("D", Field::DayOfWeek),
    ("HH24", Field::Hour24),
    ("HH12", Field::Hour12),
    ("HH", Field::Hour12),
    ("SSSSS", Field::SecondOfDay),
    ("SSSS", Field::SecondOfDay),
    ("SS", Field::Second),
    ("WW", Field::Week),
    ("W", Field::WeekOfMonth),
    ("Q", Field::Quarter),
    ("J", Field::Julian),
    ("AM", Field::Meridiem(Letters::Upper, false)),
    ("PM", Field::Meridiem(Letters::Upper, false)),
    ("am", Field::Meridiem(Letters::Lower, false)),
    ("pm", Field::Meridiem(Letters::Lower, false)),
    ("A.M.", Field::Meridiem(Letters::Upper, true)),
    ("P.M.", Field::Meridiem(Letters::Upper, true)),
    ("a.m.", Field::Meridiem(Letters::Lower, true)),
    ("p.m.", Field::Meridiem(Letters::Lower, true)),
    ("AD", Field::Era(Letters::Upper, false)),
    ("BC", Field::Era(Letters::Upper, false)),
    ("ad", Field::Era(Letters::Lower, false)),
    ("bc", Field::Era(Letters::Lower, false)),
    ("A.D.", Field::Era(Letters::Upper, true)),
    ("B.C.", Field::Era(Letters::Upper, true)),
    ("a.d.", Field::Era(Letters::Lower, true)),
    ("b.c.", Field::Era(Letters::Lower, true)),
    ("TZH", Field::OffsetHours),
    ("TZM", Field::OffsetMinutes),
    ("TZ", Field::Zone(Letters::Upper)),
    ("tz", Field::Zone(Letters::Lower)),
    ("OF", Field::Offset),
    ("RM", Field::RomanMonth(Letters::Upper)),
    ("rm", Field::RomanMonth(Letters::Lower)),
];

/// A part of a pattern.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Part {
    /// What stands for itself; in quotes or not, which makes a difference where a text is read.
    Text { text: String, quoted: bool },
    /// A field, by its name, without padding after FM (of words after TM as well), with st, nd, rd or th where
    /// `ordinal` is set.
    Field { field: Field, name: &'static str, unpadded: bool, ordinal: Option<Letters> },
    /// FX: from here on a text is read character by character.
    Exact,
}

/// The template pattern that begins here. Those of numbers may be written in lower case, too; those of
/// words say by their letters how the word is written.
fn pattern_at(text: &str) -> Option<(&'static str, Field)> {
    let is_word = |field: Field| {
        matches!(
            field,
            Field::MonthName(_)
                | Field::MonthAbbreviation(_)
                | Field::DayName(_)
                | Field::DayAbbreviation(_)
                | Field::Meridiem(..)
                | Field::Era(..)
                | Field::Zone(_)
                | Field::RomanMonth(_)
        )
    };
    let begins = |(name, field): &&(&str, Field)| {
        text.starts_with(name)
            || (!is_word(*field)
                && text.get(..name.len()).is_some_and(|start| start == name.to_ascii_lowercase()))
    };
    PATTERNS.iter().find(begins).copied()
}

/// Cuts a pattern into parts.
pub(super) fn parts(pattern: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = pattern;
    let (mut unpadded, mut translated) = (false, false);
    while !rest.is_empty() {
        let prefix = rest.get(..2).filter(|prefix| ["FM", "fm", "TM", "tm", "FX", "fx"].contains(prefix));
        if let Some(prefix) = prefix {
            rest = &rest[2..];
            match prefix {
                "FM" | "fm" => unpadded = true,
                "TM" | "tm" => translated = true,
                _ => parts.push(Part::Exact),
            }
            continue;
        }
        if let Some((name, field)) = pattern_at(rest) {
            rest = &rest[name.len()..];
            let ordinal = match rest.get(..2) {
                Some("TH") => Some(Letters::Upper),
                Some("th") => Some(Letters::Lower),
                _ => None,
            };
            rest = if ordinal.is_some() { &rest[2..] } else { rest };
            let unpadded_too = translated && field.is_name();
            parts.push(Part::Field { field, name, unpadded: unpadded || unpadded_too, ordinal });
            (unpadded, translated) = (false, false);
            continue;
        }
        let quoted = rest.starts_with('"');
        let (text, after) = text_at(rest);
        rest = after;
        match parts.last_mut() {
            Some(Part::Text { text: before, quoted: own }) if *own == quoted => before.push_str(&text),
            _ => parts.push(Part::Text { text, quoted }),
        }
    }
    parts
}

impl Field {
    /// Whether it shows the name of a month or a day.
    fn is_name(self) -> bool {
        matches!(
            self,
            Field::MonthName(_) | Field::MonthAbbreviation(_) | Field::DayName(_) | Field::DayAbbreviation(_)
        )
    }
}

/// What stands for itself at the beginning: text in quotes, an escaped quote, or one character; and the rest.
pub(super) fn text_at(rest: &str) -> (String, &str) {
    let mut chars = rest.chars();
    let mut text = String::new();
    match chars.next() {
        Some('"') => {
            while let Some(c) = chars.next().filter(|c| *c != '"') {
                text.extend(if c == '\\' { chars.next() } else { Some(c) });
            }
        }
        Some('\\') if chars.as_str().starts_with('"') => text.extend(chars.next()),
        first => text.extend(first),
    }
    (text, chars.as_str())
}
