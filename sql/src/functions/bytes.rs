//! Functions of bytea: length, parts, encode and decode; the casts of uuid.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, FixedSizeBinaryBuilder};
use datafusion::arrow::datatypes::{Int32Type, Int64Type};
use md5::{Digest, Md5};
use millrace_engine::{DataError, DataType};
use sha2::{Sha224, Sha256, Sha384, Sha512};

use super::inputs::Inputs;
use crate::text_form::{parse_escapes, parse_hex, parse_uuid, write_hex};

type Computed = Result<ArrayRef, DataError>;

/// `length(bytea)`, `octet_length(bytea)`
pub(crate) fn length(inputs: &Inputs, _: DataType) -> Computed {
    let bytes = inputs.get(0).bytes();
    Ok(Arc::new(inputs.build::<Int32Type>(|row| Ok(bytes(row).len() as i32))?))
}

/// `octet_length(text)`
pub(crate) fn text_octets(inputs: &Inputs, _: DataType) -> Computed {
    let text = inputs.get(0).text();
    Ok(Arc::new(inputs.build::<Int32Type>(|row| Ok(text(row).len() as i32))?))
}

/// `bytea || bytea`
pub(crate) fn concat(inputs: &Inputs, _: DataType) -> Computed {
    let (left, right) = (inputs.get(0).bytes(), inputs.get(1).bytes());
    inputs.build_bytes(|row| Ok([left(row), right(row)].concat()))
}

/// `substr(bytea, from [, count])`: the first byte is 1, as in text.
pub(crate) fn substr(inputs: &Inputs, _: DataType) -> Computed {
    let (bytes, from) = (inputs.get(0).bytes(), inputs.get(1).primitive::<Int32Type>());
    let count = (inputs.len() > 2).then(|| inputs.get(2).primitive::<Int32Type>());
    inputs.build_bytes(|row| {
        let (bytes, start) = (bytes(row), i64::from(from.get(row)) - 1);
        let end = match &count {
            None => bytes.len() as i64,
            Some(count) if count.get(row) < 0 => {
                return Err(DataError::new("22011", "negative substring length not allowed"));
            }
            Some(count) => start + i64::from(count.get(row)),
        };
        let place = |at: i64| at.clamp(0, bytes.len() as i64) as usize;
        Ok(bytes[place(start)..place(end).max(place(start))].to_vec())
    })
}

/// `get_byte(bytea, index)`: the first byte is 0.
pub(crate) fn get_byte(inputs: &Inputs, _: DataType) -> Computed {
    let (bytes, index) = (inputs.get(0).bytes(), inputs.get(1).primitive::<Int32Type>());
    let byte = |row: usize| {
        let bytes = bytes(row);
        Ok(i32::from(bytes[place(i64::from(index.get(row)), bytes.len())?]))
    };
    Ok(Arc::new(inputs.build::<Int32Type>(byte)?))
}

/// `set_byte(bytea, index, value)`: of the value the lowest eight bits.
pub(crate) fn set_byte(inputs: &Inputs, _: DataType) -> Computed {
    let bytes = inputs.get(0).bytes();
    let (index, value) = (inputs.get(1).primitive::<Int32Type>(), inputs.get(2).primitive::<Int32Type>());
    let changed = |row: usize| {
        let mut bytes = bytes(row).to_vec();
        let place = place(i64::from(index.get(row)), bytes.len())?;
        bytes[place] = value.get(row) as u8;
        Ok(bytes)
    };
    Ok(Arc::new(inputs.build_bytes(changed)?))
}

/// `get_bit(bytea, index)`: the lowest bit of the first byte is 0.
pub(crate) fn get_bit(inputs: &Inputs, _: DataType) -> Computed {
    let (bytes, index) = (inputs.get(0).bytes(), inputs.get(1).primitive::<Int64Type>());
    let bit = |row: usize| {
        let bytes = bytes(row);
        let place = place(index.get(row), bytes.len() * 8)?;
        Ok(i32::from(bytes[place / 8] >> (place % 8) & 1))
    };
    Ok(Arc::new(inputs.build::<Int32Type>(bit)?))
}

/// `set_bit(bytea, index, 0 or 1)`
pub(crate) fn set_bit(inputs: &Inputs, _: DataType) -> Computed {
    let bytes = inputs.get(0).bytes();
    let (index, value) = (inputs.get(1).primitive::<Int64Type>(), inputs.get(2).primitive::<Int32Type>());
    let changed = |row: usize| {
        let mut bytes = bytes(row).to_vec();
        let place = place(index.get(row), bytes.len() * 8)?;
        let bit = 1 << (place % 8);
        match value.get(row) {
            0 => bytes[place / 8] &= !bit,
            1 => bytes[place / 8] |= bit,
            _ => return Err(DataError::new("22023", "new bit must be 0 or 1")),
        }
        Ok(bytes)
    };
    Ok(Arc::new(inputs.build_bytes(changed)?))
}

/// An index into so many bytes or bits.
fn place(index: i64, count: usize) -> Result<usize, DataError> {
    usize::try_from(index).ok().filter(|place| *place < count).ok_or_else(|| {
        let message = format!("index {index} out of valid range, 0..{}", count as i64 - 1);
        DataError::new("2202E", message)
    })
}

/// `bit_count(bytea)`
pub(crate) fn bit_count(inputs: &Inputs, _: DataType) -> Computed {
    let bytes = inputs.get(0).bytes();
    let ones = |row: usize| Ok(bytes(row).iter().map(|byte| i64::from(byte.count_ones())).sum());
    Ok(Arc::new(inputs.build::<Int64Type>(ones)?))
}

/// The ways in which encode and decode write bytes.
#[derive(Clone, Copy)]
enum Encoding {
    Hex,
    Base64,
    Escape,
}

fn encoding(name: &str) -> Result<Encoding, DataError> {
    match name.to_ascii_lowercase().as_str() {
        "hex" => Ok(Encoding::Hex),
        "base64" => Ok(Encoding::Base64),
        "escape" => Ok(Encoding::Escape),
        _ => Err(DataError::new("22023", format!("unrecognized encoding: \"{name}\""))),
    }
}

/// `encode(bytea, encoding)`
pub(crate) fn encode(inputs: &Inputs, _: DataType) -> Computed {
    let (bytes, name) = (inputs.get(0).bytes(), inputs.get(1).text());
    inputs.build_text(|row| {
        let mut out = String::new();
        match encoding(name(row))? {
            Encoding::Hex => write_hex(bytes(row), &mut out),
            Encoding::Base64 => write_base64(bytes(row), &mut out),
            Encoding::Escape => write_escapes(bytes(row), &mut out),
        }
        Ok(out)
    })
}

/// `decode(text, encoding)`
pub(crate) fn decode(inputs: &Inputs, _: DataType) -> Computed {
    let (text, name) = (inputs.get(0).text(), inputs.get(1).text());
    inputs.build_bytes(|row| match encoding(name(row))? {
        Encoding::Hex => parse_hex(text(row)),
        Encoding::Base64 => parse_base64(text(row)),
        Encoding::Escape => parse_escapes(text(row)),
    })
}

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Lines have 76 letters at most, as in PostgreSQL.
fn write_base64(bytes: &[u8], out: &mut String) {
    for (index, group) in bytes.chunks(3).enumerate() {
        if index > 0 && index % 19 == 0 {
            out.push('\n');
        }
        let bits =
            group.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place) & 63) as usize];
            out.push(if place <= group.len() { char::from(letter) } else { '=' });
        }
    }
}

/// White space between letters is passed over.
fn parse_base64(text: &str) -> Result<Vec<u8>, DataError> {
    let invalid = |message: String| Err(DataError::new("22023", message));
    let mut bytes = Vec::new();
    let (mut bits, mut letters, mut padding) = (0u32, 0, 0);
    for letter in text.chars().filter(|letter| !matches!(letter, ' ' | '\n' | '\t' | '\r')) {
        let value = match LETTERS.iter().position(|known| char::from(*known) == letter) {
            Some(value) if padding == 0 => value as u32,
            None if letter == '=' && letters >= 2 => {
                padding += 1;
                0
            }
            None if letter == '=' => {
                return invalid("unexpected \"=\" while decoding base64 sequence".to_owned());
            }
            Some(_) | None => {
                return invalid(format!("invalid symbol \"{letter}\" found while decoding base64 sequence"));
            }
        };
        bits = bits << 6 | value;
        letters += 1;
        if letters == 4 {
            bytes.extend(&bits.to_be_bytes()[1..4 - padding.min(2)]);
            (bits, letters) = (0, 0);
        }
    }
    if letters != 0 {
        return Err(DataError::new("22023", "invalid base64 end sequence"));
    }
    Ok(bytes)
}

/// Zero and what is beyond ASCII as octal digits, backslashes doubled.
fn write_escapes(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        match byte {
            b'\\' => out.push_str("\\\\"),
            0 | 128.. => out.push_str(&format!("\\{byte:03o}")),
            _ => out.push(char::from(*byte)),
        }
    }
}

/// The uuids of texts.
pub(super) fn read_uuids(inputs: &Inputs) -> Computed {
    let text = inputs.get(0).text();
    let mut uuids = FixedSizeBinaryBuilder::new(16);
    for row in 0..inputs.rows() {
        match inputs.get(0).is_null(row) {
            true => uuids.append_null(),
            false => {
                let uuid = parse_uuid(text(row))?;
                uuids.append_value(uuid).map_err(|error| DataError::from_arrow(&error))?;
            }
        }
    }
    Ok(Arc::new(uuids.finish()))
}

/// A hash of each argument.
fn hashed<D: Digest>(inputs: &Inputs) -> Result<ArrayRef, DataError> {
    let bytes = inputs.get(0).bytes();
    inputs.build_bytes(|row| Ok(D::digest(bytes(row)).to_vec()))
}

pub(crate) fn sha224(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    hashed::<Sha224>(inputs)
}
pub(crate) fn sha256(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    hashed::<Sha256>(inputs)
}
pub(crate) fn sha384(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    hashed::<Sha384>(inputs)
}
pub(crate) fn sha512(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    hashed::<Sha512>(inputs)
}

/// The digits of MD5.
fn md5_digits(bytes: &[u8]) -> String {
    Md5::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `md5(bytea)`
pub(crate) fn md5(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    let bytes = inputs.get(0).bytes();
    inputs.build_text(|row| Ok(md5_digits(bytes(row))))
}

/// `md5(text)`
pub(crate) fn md5_text(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    let text = inputs.get(0).text();
    inputs.build_text(|row| Ok(md5_digits(text(row).as_bytes())))
}

fn bit_count_of(bytes: usize) -> Result<i32, DataError> {
    i32::try_from(8 * bytes).map_err(|_| DataError::out_of_range("integer"))
}

/// `bit_length(bytea)`
pub(crate) fn bits(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    let bytes = inputs.get(0).bytes();
    Ok(Arc::new(inputs.build::<Int32Type>(|row| bit_count_of(bytes(row).len()))?))
}

/// `bit_length(text)`
pub(crate) fn text_bits(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    let text = inputs.get(0).text();
    Ok(Arc::new(inputs.build::<Int32Type>(|row| bit_count_of(text(row).len()))?))
}
