//! Numbers of JSON: all digits, and how many of them are shown behind the point, as PostgreSQL's numeric has it.

use std::fmt::Write;

use millrace_engine::{DataError, SCALE_MAX, WHOLE_DIGITS_MAX};

/// A decimal number. Two are equal that differ in their scale only.
#[derive(Clone, Debug)]
pub(crate) struct Number {
    pub(super) negative: bool,
    /// Digits without zeros at either end; none: zero.
    pub(super) digits: Vec<u8>,
    /// Digits before the point; negative where zeros follow the point first.
    pub(super) point: i32,
    /// Digits shown behind the point.
    pub(super) scale: u16,
}

impl PartialEq for Number {
    fn eq(&self, other: &Number) -> bool {
        (self.negative, self.point, &self.digits) == (other.negative, other.point, &other.digits)
    }
}

impl Number {
    /// The number of a text that JSON's grammar, or a writer of numbers of ours, has found good.
    ///
    /// # Errors
    /// 22003 beyond what PostgreSQL's numeric holds.
    pub(crate) fn of_text(text: &str) -> Result<Number, DataError> {
        let overflow = || DataError::new("22003", "value overflows numeric format");
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let exponent: i64 = exponent.parse().map_err(|_| overflow())?;
        let unsigned = mantissa.strip_prefix(['-', '+']).unwrap_or(mantissa);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let mut digits: Vec<u8> =
            whole.bytes().chain(fraction.bytes()).map(|digit| digit.wrapping_sub(b'0')).collect();
        let leading = digits.iter().take_while(|digit| **digit == 0).count();
        digits.drain(..leading);
        while digits.last() == Some(&0) {
            digits.pop();
        }
        let limit = 2 * i64::from(WHOLE_DIGITS_MAX);
        let scale = (fraction.len() as i64).saturating_sub(exponent.clamp(-limit, limit)).max(0);
        let point = (whole.len() as i64 - leading as i64).saturating_add(exponent.clamp(-limit, limit));
        if scale > i64::from(SCALE_MAX) || (!digits.is_empty() && point > i64::from(WHOLE_DIGITS_MAX)) {
            return Err(overflow());
        }
        let point = if digits.is_empty() { 0 } else { point as i32 };
        let negative = mantissa.starts_with('-') && !digits.is_empty();
        Ok(Number { negative, digits, point, scale: scale as u16 })
    }

    /// Appends the number in digits, as many behind the point as it is shown with.
    pub(crate) fn write(&self, out: &mut impl Write) {
        let digit = |at: i64| {
            let digit = usize::try_from(at).ok().and_then(|at| self.digits.get(at));
            char::from(b'0' + digit.copied().unwrap_or(0))
        };
        let point = i64::from(self.point);
        if self.negative {
            _ = out.write_char('-');
        }
        if point <= 0 {
            _ = out.write_char('0');
        }
        (0..point).for_each(|at| _ = out.write_char(digit(at)));
        if self.scale > 0 {
            _ = out.write_char('.');
        }
        (point..point + i64::from(self.scale)).for_each(|at| _ = out.write_char(digit(at)));
    }
}
