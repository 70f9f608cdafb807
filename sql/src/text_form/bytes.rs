//! `bytea` and `uuid` as text: hexadecimal digits out; in also bytea's older form of escapes, and a uuid's
//! hyphens, braces and upper case.

use std::fmt::Write;

use millrace_engine::DataError;

use super::invalid_syntax;

/// Appends `\x` and the bytes' digits, to a buffer in memory: writing to it cannot fail.
pub fn write_bytea(bytes: &[u8], out: &mut impl Write) {
    _ = out.write_str("\\x");
    write_hex(bytes, out);
}

/// Appends two digits a byte.
pub(crate) fn write_hex(bytes: &[u8], out: &mut impl Write) {
    for byte in bytes {
        _ = write!(out, "{byte:02x}");
    }
}

/// Appends a uuid in its groups of digits.
pub fn write_uuid(bytes: [u8; 16], out: &mut impl Write) {
    let mut rest = bytes.as_slice();
    for (index, length) in [4, 2, 2, 2, 6].into_iter().enumerate() {
        let (group, after) = rest.split_at(length);
        if index > 0 {
            _ = out.write_char('-');
        }
        write_hex(group, out);
        rest = after;
    }
}

/// Reads `\x` and digits, or text in which `\\` is a backslash and `\nnn` a byte by its octal digits.
///
/// # Errors
/// 22023 for digits that are none, 22P02 for a wrong escape
pub fn parse_bytea(text: &str) -> Result<Vec<u8>, DataError> {
    match text.strip_prefix("\\x") {
        Some(digits) => parse_hex(digits),
        None => parse_escapes(text),
    }
}

/// Pairs of digits, with white space between them.
///
/// # Errors
/// 22023
pub(crate) fn parse_hex(text: &str) -> Result<Vec<u8>, DataError> {
    let invalid = |message: String| DataError::new("22023", message);
    let mut bytes = Vec::with_capacity(text.len() / 2);
    let mut high = None;
    for letter in text.chars() {
        if high.is_none() && matches!(letter, ' ' | '\n' | '\t' | '\r') {
            continue;
        }
        let digit = letter.to_digit(16);
        let digit = digit.ok_or_else(|| invalid(format!("invalid hexadecimal digit: \"{letter}\"")))? as u8;
        match high.take() {
            None => high = Some(digit),
            Some(high) => bytes.push(high << 4 | digit),
        }
    }
    match high {
        None => Ok(bytes),
        Some(_) => Err(invalid("invalid hexadecimal data: odd number of digits".to_owned())),
    }
}

/// # Errors
/// 22P02
pub(crate) fn parse_escapes(text: &str) -> Result<Vec<u8>, DataError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'\\' {
            bytes.push(*first);
            continue;
        }
        match rest {
            [b'\\', after @ ..] => {
                bytes.push(b'\\');
                rest = after;
            }
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..] => {
                bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = after;
            }
            _ => return Err(DataError::new("22P02", "invalid input syntax for type bytea")),
        }
    }
    Ok(bytes)
}

/// Reads a uuid: 32 digits, in braces or not, with a hyphen behind any four of them.
///
/// # Errors
/// 22P02
pub fn parse_uuid(text: &str) -> Result<[u8; 16], DataError> {
    uuid(text).ok_or_else(|| invalid_syntax("uuid", text))
}

fn uuid(text: &str) -> Option<[u8; 16]> {
    let inner = match text.strip_prefix('{') {
        Some(rest) => rest.strip_suffix('}')?,
        None => text,
    };
    let mut value = 0u128;
    let mut digits = 0;
    let mut last = '-';
    for letter in inner.chars() {
        if letter == '-' {
            if digits % 4 != 0 || last == '-' || digits == 32 {
                return None;
            }
        } else {
            value = value.checked_mul(16).filter(|_| digits < 32)? | u128::from(letter.to_digit(16)?);
            digits += 1;
        }
        last = letter;
    }
    (digits == 32).then(|| value.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(text: &str) -> Result<String, String> {
        let mut out = String::new();
        write_uuid(parse_uuid(text).map_err(|error| error.message)?, &mut out);
        Ok(out)
    }

    /// Texts and PostgreSQL 15's answer to `text::uuid`.
    #[test]
    fn uuids_are_read_in_every_form() {
        let canonical = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
        for text in [
            canonical,
            "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
            "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}",
            "a0eebc999c0b4ef8bb6d6bb9bd380a11",
            "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11",
            "{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}",
        ] {
            assert_eq!(shown(text).as_deref(), Ok(canonical), "{text}");
        }
        for text in [
            "",
            "a0eebc99",
            "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "a0e-ebc999c0b4ef8bb6d6bb9bd380a11",
            "g0eebc999c0b4ef8bb6d6bb9bd380a11",
            "a0eebc999c0b4ef8bb6d6bb9bd380a11-",
            " a0eebc999c0b4ef8bb6d6bb9bd380a11",
        ] {
            assert_eq!(shown(text), Err(format!("invalid input syntax for type uuid: \"{text}\"")));
        }
    }

    #[test]
    fn bytes_are_read_in_both_forms() {
        assert_eq!(parse_bytea("\\x00 fF"), Ok(vec![0, 255]));
        assert_eq!(parse_bytea("a\\\\b\\001é"), Ok(b"a\\b\x01\xc3\xa9".to_vec()));
        let code = |text: &str| parse_bytea(text).map_err(|error| error.sqlstate);
        assert_eq!(code("\\x0"), Err("22023".to_owned()));
        assert_eq!(code("\\x0g"), Err("22023".to_owned()));
        assert_eq!(code("a\\1"), Err("22P02".to_owned()));
    }

    proptest! {
        #[test]
        fn written_bytes_come_back(bytes in prop::collection::vec(any::<u8>(), 0..40), uuid in any::<[u8; 16]>()) {
            let (mut shown, mut shown_uuid) = (String::new(), String::new());
            write_bytea(&bytes, &mut shown);
            write_uuid(uuid, &mut shown_uuid);
            prop_assert_eq!(parse_bytea(&shown), Ok(bytes));
            prop_assert_eq!(parse_uuid(&shown_uuid), Ok(uuid));
        }
    }
}
