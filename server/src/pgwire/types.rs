//! PostgreSQL's type oids: which one a column has, and how a parameter of one is read.

use bytes::BytesMut;
use millrace_engine::{
    Array, DIMENSIONS_MAX, DataType, Dimension, Element, Limit, Literal, NUMERIC_PRECISION_MAX,
};
use millrace_sql::text_form::{self, Interval};
use millrace_sql::{SqlError, Zone};

use super::numeric::decimal_from_binary;

pub(crate) const BOOL: u32 = 16;
pub(crate) const BYTEA: u32 = 17;
pub(crate) const NAME: u32 = 19;
pub(crate) const INT8: u32 = 20;
pub(crate) const INT2: u32 = 21;
pub(crate) const INT4: u32 = 23;
pub(crate) const TEXT: u32 = 25;
pub(crate) const JSON: u32 = 114;
pub(crate) const JSONB: u32 = 3802;
pub(crate) const FLOAT4: u32 = 700;
pub(crate) const FLOAT8: u32 = 701;
pub(crate) const UNKNOWN: u32 = 705;
pub(crate) const BPCHAR: u32 = 1042;
pub(crate) const VARCHAR: u32 = 1043;
pub(crate) const DATE: u32 = 1082;
pub(crate) const TIME: u32 = 1083;
pub(crate) const TIMESTAMP: u32 = 1114;
pub(crate) const TIMESTAMPTZ: u32 = 1184;
pub(crate) const INTERVAL: u32 = 1186;
pub(crate) const UUID: u32 = 2950;
pub(crate) const NUMERIC: u32 = 1700;

/// Microseconds from 1970 to 2000, where PostgreSQL's binary timestamps start.
pub(crate) const MICROS_TO_2000: i64 = 946_684_800_000_000;

/// Days from 1970 to 2000, where PostgreSQL's binary dates start.
pub(crate) const DAYS_TO_2000: i32 = 10_957;

/// How RowDescription names a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WireType {
    pub(crate) oid: u32,
    /// Bytes; -1 where the length varies.
    pub(crate) size: i16,
    pub(crate) modifier: i32,
}

/// The PostgreSQL type of a column.
pub(crate) fn wire_type(data_type: DataType) -> WireType {
    let (oid, size) = match data_type {
        DataType::Boolean => (BOOL, 1),
        DataType::Int32 => (INT4, 4),
        DataType::Int64 => (INT8, 8),
        DataType::Float64 => (FLOAT8, 8),
        DataType::Text => (TEXT, -1),
        DataType::Timestamp => (TIMESTAMP, 8),
        DataType::Numeric { .. } | DataType::Decimal => (NUMERIC, -1),
        DataType::Date => (DATE, 4),
        DataType::Interval => (INTERVAL, 16),
        DataType::Int16 => (INT2, 2),
        DataType::Float32 => (FLOAT4, 4),
        DataType::TimestampTz => (TIMESTAMPTZ, 8),
        DataType::Uuid => (UUID, 16),
        DataType::Bytea => (BYTEA, -1),
        DataType::Time => (TIME, 8),
        DataType::Json => (JSON, -1),
        DataType::Jsonb => (JSONB, -1),
        DataType::Array(element) => (array_oid(element), -1),
        DataType::Char | DataType::Limited(Limit::Char(_)) => (BPCHAR, -1),
        DataType::Limited(Limit::Varchar(_)) => (VARCHAR, -1),
        DataType::Limited(limit) => {
            let base = wire_type(limit.base());
            (base.oid, base.size)
        }
    };
    WireType { oid, size, modifier: modifier(data_type) }
}

/// The type modifier: numeric's precision and scale, a text's length, the digits of a second. The widest numeric is what sums and other
/// unconstrained numerics have here, and PostgreSQL gives those no modifier.
fn modifier(data_type: DataType) -> i32 {
    match data_type {
        DataType::Numeric { precision, scale } if precision < NUMERIC_PRECISION_MAX => {
            ((i32::from(precision) << 16) | i32::from(scale)) + 4
        }
        DataType::Numeric { .. }
        | DataType::Boolean
        | DataType::Int32
        | DataType::Int64
        | DataType::Float64
        | DataType::Text
        | DataType::Timestamp
        | DataType::Date
        | DataType::Interval
        | DataType::Int16
        | DataType::Float32
        | DataType::TimestampTz
        | DataType::Uuid
        | DataType::Bytea
        | DataType::Time
        | DataType::Json
        | DataType::Jsonb
        | DataType::Array(_)
        | DataType::Char
        | DataType::Decimal
        | DataType::Limited(Limit::Varchar(None)) => -1,
        DataType::Limited(Limit::Numeric { precision, scale }) => {
            // A negative scale is in eleven bits.
            ((i32::from(precision) << 16) | (i32::from(scale) & 0x7ff)) + 4
        }
        DataType::Limited(Limit::Varchar(Some(length)) | Limit::Char(length)) => length as i32 + 4,
        DataType::Limited(Limit::Timestamp(digits) | Limit::TimestampTz(digits) | Limit::Time(digits)) => {
            digits.into()
        }
    }
}

/// The type that a client means with a parameter's oid; `None` where it leaves the choice to us.
///
/// # Errors
/// 0A000 for a type that we know to be missing, 42704 for an oid that names none.
pub(crate) fn parameter_type(oid: u32) -> Result<Option<DataType>, SqlError> {
    Ok(Some(match oid {
        0 | UNKNOWN => return Ok(None),
        NUMERIC => DataType::Decimal,
        BOOL => DataType::Boolean,
        INT2 => DataType::Int16,
        INT4 => DataType::Int32,
        INT8 => DataType::Int64,
        FLOAT4 => DataType::Float32,
        FLOAT8 => DataType::Float64,
        NAME | TEXT | BPCHAR | VARCHAR => DataType::Text,
        DATE => DataType::Date,
        TIMESTAMP => DataType::Timestamp,
        TIMESTAMPTZ => DataType::TimestampTz,
        UUID => DataType::Uuid,
        BYTEA => DataType::Bytea,
        INTERVAL => DataType::Interval,
        JSON => DataType::Json,
        JSONB => DataType::Jsonb,
        _ if element_of(oid).is_some() => {
            return Ok(element_of(oid).map(DataType::Array));
        }
        TIME => DataType::Time,
        1266 => return Err(SqlError::unsupported("type time with time zone")),
        _ => return Err(SqlError::new("42704", format!("type with OID {oid} does not exist"))),
    }))
}

/// The arrays that have oids: of which elements.
const ARRAYS: [(u32, Element); 18] = [
    (1000, Element::Boolean),
    (1001, Element::Bytea),
    (1005, Element::Int16),
    (1007, Element::Int32),
    (1009, Element::Text),
    (1015, Element::Varchar),
    (1016, Element::Int64),
    (1021, Element::Float32),
    (1022, Element::Float64),
    (1115, Element::Timestamp),
    (1182, Element::Date),
    (1183, Element::Time),
    (1185, Element::TimestampTz),
    (1187, Element::Interval),
    (199, Element::Json),
    (2951, Element::Uuid),
    (3807, Element::Jsonb),
    (1231, Element::Decimal),
];

/// The oid of arrays of such elements.
pub(crate) fn array_oid(element: Element) -> u32 {
    let element = if let Element::Numeric { .. } = element { Element::Decimal } else { element };
    ARRAYS.iter().find(|(_, known)| *known == element).map_or(UNKNOWN, |(oid, _)| *oid)
}

/// What the arrays of an oid are of.
fn element_of(oid: u32) -> Option<Element> {
    ARRAYS.iter().find(|(known, _)| *known == oid).map(|(_, element)| *element)
}

/// The oid that ParameterDescription tells: the client's own where it gave one.
pub(crate) fn parameter_oid(declared: u32, described: DataType) -> u32 {
    if matches!(declared, 0 | UNKNOWN) { wire_type(described).oid } else { declared }
}

/// Reads a parameter's bytes, in the text or the binary form of the type `oid`, as a value of `target`.
///
/// # Errors
/// 22P02 and 22P03 for bytes that are no such value, 22021 for text that is not UTF-8.
pub(crate) fn read_parameter(
    bytes: &[u8],
    binary: bool,
    oid: u32,
    target: DataType,
    zone: &Zone,
) -> Result<Literal, SqlError> {
    if !binary {
        return text_form::parse(utf8(bytes)?, target, zone);
    }
    if let DataType::Array(element) = target {
        return read_array(bytes, element, zone);
    }
    let value = read_binary(bytes, oid)?;
    if value.data_type() == target {
        return Ok(value);
    }
    if matches!(value, Literal::Null(_) | Literal::Numeric { .. }) {
        return Err(SqlError::internal("no binary form gives this"));
    }
    // A client may bind, say, a smallint where a bigint is needed: every such pair meets in its text.
    let mut written = BytesMut::new();
    text_form::write_literal(&value, zone, &mut written);
    text_form::parse(utf8(&written)?, target, zone)
}

/// The binary form of an array: dimensions, the elements' oid, then each element with its length.
fn read_array(bytes: &[u8], element: Element, zone: &Zone) -> Result<Literal, SqlError> {
    let mut rest = bytes;
    let count = next(&mut rest)?;
    _ = next(&mut rest)?;
    let oid = next(&mut rest)? as u32;
    if !(0..=DIMENSIONS_MAX as i32).contains(&count) {
        return Err(SqlError::new("54000", format!("invalid number of dimensions: {count}")));
    }
    let (mut dimensions, mut elements) = (Vec::new(), 1_usize);
    for _ in 0..count {
        let (length, lower) = (next(&mut rest)?, next(&mut rest)?);
        let wide = usize::try_from(length).map_err(|_| malformed())?;
        elements =
            elements.checked_mul(wide).filter(|elements| *elements <= rest.len()).ok_or_else(malformed)?;
        dimensions.push(Dimension { length, lower });
    }
    let mut values = Vec::new();
    for _ in 0..if count == 0 { 0 } else { elements } {
        let length = next(&mut rest)?;
        values.push(match usize::try_from(length) {
            Err(_) => None,
            Ok(length) => {
                let (value, left) = rest.split_at_checked(length).ok_or_else(malformed)?;
                rest = left;
                Some(read_parameter(value, true, oid, element.data_type(), zone)?)
            }
        });
    }
    if values.is_empty() {
        dimensions.clear();
    }
    Ok(Literal::Array { element, bytes: Array { element, dimensions, values }.encode() })
}

fn next(rest: &mut &[u8]) -> Result<i32, SqlError> {
    let (number, left) = rest.split_first_chunk().ok_or_else(malformed)?;
    *rest = left;
    Ok(i32::from_be_bytes(*number))
}

fn malformed() -> SqlError {
    SqlError::new("22P03", "incorrect binary data format in bind parameter")
}

/// Reads a value of a type from its binary form, as COPY has it.
///
/// # Errors
/// 22P03 for bytes that are no such value, 22021 for text that is not UTF-8.
pub(crate) fn read_binary_value(bytes: &[u8], target: DataType, zone: &Zone) -> Result<Literal, SqlError> {
    read_parameter(bytes, true, wire_type(target).oid, target, zone).map_err(|error| {
        match error.sqlstate.as_str() {
            "22P03" => SqlError::new("22P03", "incorrect binary data format"),
            _ => error,
        }
    })
}

/// The value of a binary form.
fn read_binary(bytes: &[u8], oid: u32) -> Result<Literal, SqlError> {
    Ok(match oid {
        BOOL => Literal::Boolean(fixed::<1>(bytes)?[0] != 0),
        INT2 => Literal::Int16(i16::from_be_bytes(fixed(bytes)?)),
        INT4 => Literal::Int32(i32::from_be_bytes(fixed(bytes)?)),
        INT8 => Literal::Int64(i64::from_be_bytes(fixed(bytes)?)),
        FLOAT4 => Literal::Float32(u32::from_be_bytes(fixed(bytes)?)),
        FLOAT8 => Literal::Float64(u64::from_be_bytes(fixed(bytes)?)),
        NAME | TEXT | BPCHAR | VARCHAR => Literal::Text(utf8(bytes)?.to_owned()),
        JSON => Literal::Json(text_form::check_json(utf8(bytes)?)?.to_owned()),
        JSONB => match bytes.split_first() {
            Some((1, text)) => Literal::Jsonb(text_form::parse_jsonb(utf8(text)?)?),
            Some((version, _)) => {
                return Err(SqlError::internal(format_args!("unsupported jsonb version number {version}")));
            }
            None => return Err(SqlError::new("08P01", "no data left in message")),
        },
        UUID => Literal::Uuid(fixed(bytes)?),
        BYTEA => Literal::Bytea(bytes.to_vec()),
        TIMESTAMPTZ => Literal::TimestampTz(since_1970(i64::from_be_bytes(fixed(bytes)?))?),
        TIMESTAMP => Literal::Timestamp(since_1970(i64::from_be_bytes(fixed(bytes)?))?),
        TIME => Literal::Time(time_of_day(i64::from_be_bytes(fixed(bytes)?))?),
        DATE => Literal::Date(days_since_1970(i32::from_be_bytes(fixed(bytes)?))?),
        INTERVAL => interval(bytes)?.literal(),
        NUMERIC => Literal::Decimal(decimal_from_binary(bytes)?.encode()),
        _ => return Err(SqlError::unsupported(format!("binary input of the type with OID {oid}"))),
    })
}

/// Both ends of the range are PostgreSQL's infinities, which we do not have.
fn since_1970(micros: i64) -> Result<i64, SqlError> {
    match micros {
        i64::MAX | i64::MIN => Err(SqlError::unsupported("timestamp infinity")),
        _ => micros.checked_add(MICROS_TO_2000).ok_or_else(timestamp_out_of_range),
    }
}

fn days_since_1970(days: i32) -> Result<i32, SqlError> {
    match days {
        i32::MAX | i32::MIN => Err(SqlError::unsupported("date infinity")),
        _ => days.checked_add(DAYS_TO_2000).ok_or_else(|| SqlError::new("22008", "date out of range")),
    }
}

fn time_of_day(micros: i64) -> Result<i64, SqlError> {
    const DAY: i64 = 86_400_000_000;
    if (0..=DAY).contains(&micros) { Ok(micros) } else { Err(SqlError::new("22008", "time out of range")) }
}

/// Microseconds, then days, then months.
fn interval(bytes: &[u8]) -> Result<Interval, SqlError> {
    let (micros, rest) = bytes.split_at(bytes.len().min(8));
    let (days, months) = rest.split_at(rest.len().min(4));
    let interval = Interval {
        months: i32::from_be_bytes(fixed(months)?),
        days: i32::from_be_bytes(fixed(days)?),
        micros: i64::from_be_bytes(fixed(micros)?),
    };
    interval.to_arrow()?;
    Ok(interval)
}

fn timestamp_out_of_range() -> SqlError {
    SqlError::new("22008", "timestamp out of range")
}

fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], SqlError> {
    bytes.try_into().map_err(|_| malformed())
}

/// Text of a client: UTF-8 without NUL, else 22021.
pub(crate) fn utf8(bytes: &[u8]) -> Result<&str, SqlError> {
    if let Some(at) = bytes.iter().position(|byte| *byte == 0)
        && std::str::from_utf8(&bytes[..at]).is_ok()
    {
        return Err(invalid_utf8(&[0]));
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let rest = &bytes[error.valid_up_to()..];
        invalid_utf8(&rest[..error.error_len().unwrap_or(rest.len()).min(4)])
    })
}

fn invalid_utf8(bytes: &[u8]) -> SqlError {
    let shown: Vec<String> = bytes.iter().map(|byte| format!("0x{byte:02x}")).collect();
    SqlError::new("22021", format!("invalid byte sequence for encoding \"UTF8\": {}", shown.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binary(bytes: &[u8], oid: u32, target: DataType) -> Result<Literal, String> {
        read_parameter(bytes, true, oid, target, &millrace_sql::UTC).map_err(|error| error.sqlstate)
    }

    #[test]
    fn types_have_postgresqls_oids() {
        let numeric = wire_type(DataType::Numeric { precision: 10, scale: 2 });
        assert_eq!(numeric, WireType { oid: 1700, size: -1, modifier: 655_366 });
        assert_eq!(wire_type(DataType::Numeric { precision: 38, scale: 0 }).modifier, -1);
        let varchar = DataType::Limited(Limit::Varchar(Some(10)));
        assert_eq!(wire_type(varchar), WireType { oid: 1043, size: -1, modifier: 14 });
        let moment = DataType::Limited(Limit::TimestampTz(3));
        assert_eq!(wire_type(moment), WireType { oid: 1184, size: 8, modifier: 3 });
        assert_eq!(wire_type(DataType::Int64), WireType { oid: 20, size: 8, modifier: -1 });
    }

    #[test]
    fn parameters_come_in_binary() {
        assert_eq!(binary(&[1], BOOL, DataType::Boolean), Ok(Literal::Boolean(true)));
        assert_eq!(binary(&[0xff, 0xfb], INT2, DataType::Int16), Ok(Literal::Int16(-5)));
        assert_eq!(binary(&[0xff, 0xfb], INT2, DataType::Int32), Ok(Literal::Int32(-5)));
        assert_eq!(binary(&[0xff, 0xfb], INT2, DataType::Int64), Ok(Literal::Int64(-5)));
        assert_eq!(binary(&7i64.to_be_bytes(), INT8, DataType::Int32), Ok(Literal::Int32(7)));
        assert_eq!(binary(&i64::MAX.to_be_bytes(), INT8, DataType::Int32), Err("22003".to_owned()));
        assert_eq!(
            binary(&0i64.to_be_bytes(), TIMESTAMP, DataType::Timestamp),
            Ok(Literal::Timestamp(MICROS_TO_2000))
        );
        let ints = [1, 1, INT4 as i32, 2, 1, 4, 7, -1].map(i32::to_be_bytes).concat();
        let found = binary(&ints, 1007, DataType::Array(Element::Int64));
        let values = vec![Some(Literal::Int64(7)), None];
        let expected = Array::flat(Element::Int64, values).encode();
        assert_eq!(found, Ok(Literal::Array { element: Element::Int64, bytes: expected }));
        assert_eq!(binary(&ints[..20], 1007, DataType::Array(Element::Int32)), Err("22P03".to_owned()));
        assert_eq!(binary(b"\x01[1]", JSONB, DataType::Json), Ok(Literal::Json("[1]".to_owned())));
        assert_eq!(binary(b"{} ", JSON, DataType::Json), Ok(Literal::Json("{} ".to_owned())));
        assert_eq!(binary(b"\x02[1]", JSONB, DataType::Jsonb), Err("XX000".to_owned()));
        assert_eq!(binary(b"[1", JSON, DataType::Jsonb), Err("22P02".to_owned()));
        assert_eq!(binary(&5i64.to_be_bytes(), TIME, DataType::Time), Ok(Literal::Time(5)));
        assert_eq!(binary(&(-1i64).to_be_bytes(), TIME, DataType::Time), Err("22008".to_owned()));
        assert_eq!(binary(&[0xa0; 16], UUID, DataType::Uuid), Ok(Literal::Uuid([0xa0; 16])));
        assert_eq!(binary(&[0xa0; 15], UUID, DataType::Uuid), Err("22P03".to_owned()));
        assert_eq!(binary(&[0, 255], BYTEA, DataType::Bytea), Ok(Literal::Bytea(vec![0, 255])));
        assert_eq!(
            binary(&0i64.to_be_bytes(), TIMESTAMPTZ, DataType::TimestampTz),
            Ok(Literal::TimestampTz(MICROS_TO_2000))
        );
        assert_eq!(
            binary(&1i32.to_be_bytes(), DATE, DataType::Timestamp),
            Ok(Literal::Timestamp(MICROS_TO_2000 + 86_400_000_000))
        );
        assert_eq!(binary(&1i32.to_be_bytes(), DATE, DataType::Date), Ok(Literal::Date(DAYS_TO_2000 + 1)));
        assert_eq!(binary(&i32::MAX.to_be_bytes(), DATE, DataType::Date), Err("0A000".to_owned()));
        let interval = [0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 2, 0, 0, 0, 1];
        assert_eq!(
            binary(&interval, INTERVAL, DataType::Interval),
            Ok(Literal::Interval { months: 1, days: 2, micros: 5 })
        );
        let float = Literal::Float64(1.5f64.to_bits());
        let real = Literal::Float32(1.5f32.to_bits());
        assert_eq!(binary(&1.5f32.to_be_bytes(), FLOAT4, DataType::Float32), Ok(real));
        assert_eq!(binary(&1.5f32.to_be_bytes(), FLOAT4, DataType::Float64), Ok(float.clone()));
        assert_eq!(binary(&1.5f64.to_be_bytes(), FLOAT8, DataType::Float64), Ok(float));
        let numeric = [0, 2, 0, 0, 0, 0, 0, 2, 0, 12, 0x13, 0x88];
        let target = DataType::Numeric { precision: 10, scale: 1 };
        assert_eq!(
            binary(&numeric, NUMERIC, target),
            Ok(Literal::Numeric { value: 125, precision: 10, scale: 1 })
        );
        assert_eq!(binary(&[1, 2, 3], INT4, DataType::Int32), Err("22P03".to_owned()));
        assert_eq!(binary(&i64::MAX.to_be_bytes(), TIMESTAMP, DataType::Timestamp), Err("0A000".to_owned()));
    }

    #[test]
    fn text_must_be_utf8_without_nul() {
        assert_eq!(utf8("aé".as_bytes()), Ok("aé"));
        let message = |bytes: &[u8]| utf8(bytes).expect_err("an error").message;
        assert_eq!(message(b"a\xff"), "invalid byte sequence for encoding \"UTF8\": 0xff");
        assert_eq!(message(b"a\0b"), "invalid byte sequence for encoding \"UTF8\": 0x00");
        assert_eq!(message(b"\xc3"), "invalid byte sequence for encoding \"UTF8\": 0xc3");
    }

    #[test]
    fn foreign_oids_are_refused_by_name() {
        assert_eq!(parameter_type(0), Ok(None));
        assert_eq!(parameter_type(VARCHAR), Ok(Some(DataType::Text)));
        assert_eq!(parameter_type(1266).expect_err("an error").sqlstate, "0A000");
        assert_eq!(parameter_type(999_999).expect_err("an error").sqlstate, "42704");
    }
}
