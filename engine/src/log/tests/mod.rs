//! What the log promises, on a simulated disk: nothing acknowledged is lost or repeated, nothing
//! else is half visible, damage is named.
#![allow(clippy::unwrap_used)]

mod crash; // crashes and failing disks, judged by an independent ledger
mod damage; // torn tails are cut, rot is refused
mod folder; // folders, locks, missing files
mod records; // records as bytes

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BinaryViewArray, BooleanArray, Date32Array, Decimal128Array,
    FixedSizeBinaryArray, Float32Array, Float64Array, Int16Array, Int32Array, Int64Array,
    IntervalMonthDayNanoArray, LargeBinaryArray, StringArray, StringViewArray, Time64MicrosecondArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::IntervalMonthDayNano;

use super::simulated::{Seeded, SimulatedDisk};
use super::{Log, LogConfig, Random, Record, TableChanges};
use crate::decimal::Decimal;
use crate::delta::{Col, Delta, batch_of};
use crate::error::EngineError;
use crate::types::{DataType, RelationId, Tick};

/// A few small records fill a segment.
const SMALL: LogConfig = LogConfig { segment_bytes: 10_000, zero_bytes: 1_500 };

fn data() -> &'static Path {
    Path::new("/data")
}

fn log_path(name: &str) -> PathBuf {
    data().join("log").join(name)
}

/// Opens the log and replays all of it.
fn open(disk: &SimulatedDisk, seed: u64) -> Result<(Log, Vec<Record>), EngineError> {
    let (log, replay) = Log::open(data(), Arc::new(disk.clone()), SMALL, Box::new(Seeded(seed)))?;
    let records = replay.collect::<Result<Vec<_>, _>>()?;
    Ok((log, records))
}

/// A log of these groups.
fn disk_with(groups: &[Vec<Record>]) -> SimulatedDisk {
    let disk = SimulatedDisk::new(1);
    let (mut log, _) = open(&disk, 1).unwrap();
    groups.iter().for_each(|group| log.append_group(group).unwrap());
    disk
}

/// Groups of one to four records, ticks from 1 on.
fn groups(random: &mut Seeded, count: usize) -> Vec<Vec<Record>> {
    let mut tick = 0;
    (0..count).map(|_| group(random, &mut tick)).collect()
}

/// One to four records behind `tick`.
fn group(random: &mut Seeded, tick: &mut Tick) -> Vec<Record> {
    let count = 1 + random.below(4);
    (0..count)
        .map(|_| {
            *tick += 1 + random.below(3);
            record(random, *tick)
        })
        .collect()
}

/// Some changes of tables and of the catalog, or none.
fn record(random: &mut Seeded, tick: Tick) -> Record {
    let tables = (0..random.below(3)).map(|_| table(random, tick)).collect();
    let catalog = (0..random.below(3)).map(|_| bytes(random, 40)).collect();
    Record { tick, tables, catalog }
}

fn bytes(random: &mut Seeded, limit: u64) -> Vec<u8> {
    (0..random.below(limit)).map(|_| random.next_u64() as u8).collect()
}

/// Changes of a table with up to three columns, rarely of many rows.
fn table(random: &mut Seeded, tick: Tick) -> TableChanges {
    let rows = 1 + if random.below(30) == 0 { random.below(2_000) } else { random.below(9) } as usize;
    let types: Vec<DataType> = (0..random.below(4)).map(|_| data_type(random)).collect();
    let columns = types.iter().map(|data_type| column(random, *data_type, rows)).collect();
    let diffs = if random.below(2) == 0 {
        Col::Const(random.next_u64() as i64, rows)
    } else {
        Col::Each((0..rows).map(|_| random.next_u64() as i64 >> random.below(64)).collect())
    };
    let rows = batch_of(&types, columns, rows).unwrap();
    let delta = Delta { ticks: Col::Const(tick, rows.num_rows()), rows, diffs };
    TableChanges { relation: RelationId(random.below(5)), delta }
}

fn data_type(random: &mut Seeded) -> DataType {
    match random.below(17) {
        0 => DataType::Boolean,
        1 => DataType::Int32,
        2 => DataType::Int64,
        3 => DataType::Float64,
        4 => DataType::Text,
        5 => DataType::Timestamp,
        6 => DataType::Date,
        7 => DataType::Int16,
        8 => DataType::Float32,
        9 => DataType::TimestampTz,
        10 => DataType::Uuid,
        11 => DataType::Bytea,
        12 => DataType::Time,
        13 => DataType::Interval,
        14 => DataType::Jsonb,
        15 => DataType::Array(crate::array::Element::Text),
        _ => DataType::Numeric { precision: 38, scale: 4 },
    }
}

/// A column with NULLs, cut out of a longer one.
fn column(random: &mut Seeded, data_type: DataType, rows: usize) -> ArrayRef {
    let offset = random.below(4) as usize;
    let values: Vec<Option<u64>> = (0..rows + offset)
        .map(|_| (random.below(4) > 0).then(|| random.next_u64() >> random.below(64)))
        .collect();
    let values = values.into_iter();
    let array: ArrayRef = match data_type {
        DataType::Boolean => Arc::new(values.map(|v| v.map(|v| v % 2 == 0)).collect::<BooleanArray>()),
        DataType::Int32 => Arc::new(values.map(|v| v.map(|v| v as i32)).collect::<Int32Array>()),
        DataType::Int64 => Arc::new(values.map(|v| v.map(|v| v as i64)).collect::<Int64Array>()),
        DataType::Float64 => Arc::new(values.map(|v| v.map(f64::from_bits)).collect::<Float64Array>()),
        DataType::Text => Arc::new(values.map(|v| v.map(text)).collect::<StringArray>()),
        DataType::Timestamp => {
            Arc::new(values.map(|v| v.map(|v| v as i64)).collect::<TimestampMicrosecondArray>())
        }
        DataType::Numeric { precision, scale } => {
            let array = values.map(|v| v.map(i128::from)).collect::<Decimal128Array>();
            Arc::new(array.with_precision_and_scale(precision, scale as i8).unwrap())
        }
        DataType::Date => Arc::new(values.map(|v| v.map(|v| v as i32)).collect::<Date32Array>()),
        DataType::Int16 => Arc::new(values.map(|v| v.map(|v| v as i16)).collect::<Int16Array>()),
        DataType::Float32 => {
            Arc::new(values.map(|v| v.map(|v| f32::from_bits(v as u32))).collect::<Float32Array>())
        }
        DataType::TimestampTz => {
            let array = values.map(|v| v.map(|v| v as i64)).collect::<TimestampMicrosecondArray>();
            Arc::new(array.with_data_type(data_type.to_arrow()))
        }
        DataType::Bytea => Arc::new(values.map(|v| v.map(|v| text(v).into_bytes())).collect::<BinaryArray>()),
        DataType::Time => Arc::new(values.map(|v| v.map(|v| v as i64)).collect::<Time64MicrosecondArray>()),
        DataType::Uuid => {
            let uuids = values.map(|v| v.map(|v| u128::from(v).to_be_bytes()));
            Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(uuids, 16).unwrap())
        }
        DataType::Interval => {
            let interval =
                |v: u64| IntervalMonthDayNano::new(v as i32, (v >> 32) as i32, (v % 1000) as i64 * 1_000);
            Arc::new(values.map(|v| v.map(interval)).collect::<IntervalMonthDayNanoArray>())
        }
        DataType::Decimal => {
            let number = |v: u64| Decimal::new(v, (v % 40) as u16).encode();
            Arc::new(values.map(|v| v.map(number)).collect::<StringViewArray>())
        }
        DataType::Array(_) => {
            Arc::new(values.map(|v| v.map(|v| text(v).into_bytes())).collect::<BinaryViewArray>())
        }
        DataType::Jsonb => {
            Arc::new(values.map(|v| v.map(|v| text(v).into_bytes())).collect::<LargeBinaryArray>())
        }
        DataType::Char | DataType::Json | DataType::Limited(_) => unreachable!("they are stored as others"),
    };
    array.slice(offset, rows)
}

fn text(value: u64) -> String {
    match value % 5 {
        0 => String::new(),
        1 => "Ünïcode ❄".to_owned(),
        2 => "x".repeat((value % 300) as usize),
        _ => value.to_string(),
    }
}

#[test]
fn the_log_moves_between_threads() {
    fn moves<T: Send>() {}
    moves::<Log>();
    moves::<super::Replay>();
}
