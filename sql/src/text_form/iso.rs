//! The one form in which programs write dates and timestamps, read without a detour:
//! `YYYY-MM-DD[(T| )HH:MM:SS[.f…]][Z|±HH[[:]MM]]`, a fraction of one to six digits.
//!
//! What is not of this form, or has a field out of range, is none here: the reader of all forms says what it is.

use super::timestamp::{MICROS_PER_SECOND, days_from_civil, days_in_month};

/// A date with its time of day, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Iso {
    /// Since 1970.
    pub(super) days: i64,
    /// Microseconds since midnight.
    pub(super) time: i64,
    /// Seconds east of Greenwich, where a zone is written.
    pub(super) offset: Option<i64>,
}

/// Bytes from the front.
struct Rest<'t>(&'t [u8]);

impl Rest<'_> {
    /// Takes this byte.
    fn take(&mut self, byte: u8) -> Option<()> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        (*first == byte).then_some(())
    }

    /// Takes so many digits.
    fn number(&mut self, digits: usize) -> Option<i64> {
        let (number, rest) = self.0.split_at_checked(digits)?;
        self.0 = rest;
        number
            .iter()
            .try_fold(0, |value, digit| digit.is_ascii_digit().then(|| value * 10 + i64::from(digit - b'0')))
    }

    /// Takes the digits behind a point, in millionths.
    fn fraction(&mut self) -> Option<i64> {
        let digits = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if !(1..=6).contains(&digits) {
            return None;
        }
        Some(self.number(digits)? * 10_i64.pow(6 - digits as u32))
    }

    fn offset(&mut self) -> Option<Option<i64>> {
        let Some(first) = self.0.first().copied() else { return Some(None) };
        self.0 = &self.0[1..];
        let sign = match first {
            b'Z' | b'z' => return self.0.is_empty().then_some(Some(0)),
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        let hours = self.number(2)?;
        let minutes = match self.0.first() {
            None => 0,
            Some(b':') => self.take(b':').and_then(|()| self.number(2))?,
            Some(_) => self.number(2)?,
        };
        let is_one = self.0.is_empty() && hours < 15 && minutes < 60;
        is_one.then_some(Some(sign * (hours * 3_600 + minutes * 60)))
    }
}

impl Iso {
    /// The text, if it is of this form.
    pub(super) fn read(text: &str) -> Option<Iso> {
        let mut rest = Rest(text.as_bytes());
        let year = rest.number(4)?;
        rest.take(b'-')?;
        let month = rest.number(2)?;
        rest.take(b'-')?;
        let day = rest.number(2)?;
        if year == 0 || !(1..=12).contains(&month) || !(1..=days_in_month(year, month)).contains(&day) {
            return None;
        }
        let days = days_from_civil(year, month, day);
        match rest.0.first() {
            None => return Some(Iso { days, time: 0, offset: None }),
            Some(b'T' | b't' | b' ') => rest.0 = &rest.0[1..],
            Some(_) => return None,
        }
        let hour = rest.number(2)?;
        rest.take(b':')?;
        let minute = rest.number(2)?;
        rest.take(b':')?;
        let second = rest.number(2)?;
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let micros =
            if rest.0.first() == Some(&b'.') { rest.take(b'.').and_then(|()| rest.fraction())? } else { 0 };
        let time = ((hour * 60 + minute) * 60 + second) * MICROS_PER_SECOND + micros;
        Some(Iso { days, time, offset: rest.offset()? })
    }

    /// Microseconds since 1970, the zone left away.
    pub(super) fn micros(self) -> i64 {
        // Years of four digits are far from the ends of 64 bits.
        self.days * 86_400 * MICROS_PER_SECOND + self.time
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text_form::timestamp::Parts;
    use proptest::prelude::*;

    #[test]
    fn other_forms_are_none() {
        for text in [
            "",
            "2024",
            "2024-1-2",
            "2024-01-02 ",
            " 2024-01-02",
            "2024-01-02x",
            "2024-02-30",
            "0000-01-01",
            "2024-13-01",
            "2024-01-02T",
            "2024-01-02 24:00:00",
            "2024-01-02 23:59:60",
            "2024-01-02 10:00",
            "2024-01-02 10:00:00.",
            "2024-01-02 10:00:00.1234567",
            "2024-01-02 10:00:00 UTC",
            "2024-01-02 10:00:00 +01",
            "2024-01-02 10:00:00+1",
            "2024-01-02 10:00:00+15",
            "2024-01-02 10:00:00+01:60",
            "2024-01-02 10:00:00+01:00:00",
            "2024-01-02 10:00:00Zx",
            "2024-01-02 BC",
            "2024-01-02Z",
            "12024-01-02",
            "2024-01-02 10:00:00é",
        ] {
            assert_eq!(Iso::read(text), None, "{text}");
        }
    }

    #[test]
    fn zones_are_offsets() {
        let offset = |text: &str| Iso::read(&format!("2024-01-02T10:00:00.5{text}")).map(|iso| iso.offset);
        let found = ["", "Z", "z", "+00", "-0130", "+14:59"].map(offset);
        assert_eq!(found, [None, Some(0), Some(0), Some(0), Some(-5_400), Some(53_940)].map(Some));
    }

    proptest! {
        /// What is read here, the reader of all forms reads as the same.
        #[test]
        fn the_reader_of_all_forms_agrees(
            date in "(0001|1900|1969|2000|2024|9999)-(0[1-9]|1[0-3])-(0[1-9]|[123][0-9])",
            time in "|[T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9](|\\.[0-9]{1,6})(|Z|[+-](0[0-9]|1[0-5])(|:?[0-5][0-9]))",
        ) {
            let text = format!("{date}{time}");
            if let Some(iso) = Iso::read(&text) {
                let parts = Parts::read(&text.to_ascii_lowercase(), &text, "timestamp").expect("a timestamp");
                prop_assert_eq!(Some(iso.micros()), parts.micros());
                prop_assert_eq!(iso.offset, parts.offset());
            }
        }
    }
}
