//! Records survive the way through bytes; other bytes are errors, never panics.

use proptest::prelude::*;

use super::*;
use crate::log::record::{decode, encode};

fn body(record: &Record) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(record, &mut bytes).unwrap();
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn records_survive_the_way_through_bytes(seed: u64) {
        let record = record(&mut Seeded(seed), 77);
        prop_assert_eq!(decode(77, body(&record)), Ok(record));
    }

    #[test]
    fn changed_bytes_never_panic(seed: u64, changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut bytes = body(&record(&mut Seeded(seed), 77));
        for (index, byte) in changes {
            let index = index.index(bytes.len());
            bytes[index] = byte;
        }
        // Without the checksum some changes give other rows; what counts here is that it returns.
        let _ = decode(77, bytes);
    }

    #[test]
    fn cut_bodies_are_errors(seed: u64, cut: prop::sample::Index) {
        let record = record(&mut Seeded(seed), 77);
        let mut bytes = body(&record);
        bytes.truncate(cut.index(bytes.len()));
        prop_assert_ne!(decode(77, bytes), Ok(record));
    }

    #[test]
    fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(77, bytes);
    }
}

#[test]
fn rows_without_columns_keep_their_number() {
    for diffs in [Col::Const(-1, 3), Col::Each(vec![1, -2, 3])] {
        let rows = batch_of(&[], Vec::new(), 3).unwrap();
        let delta = Delta { rows, diffs, ticks: Col::Const(9, 3) };
        let record = Record {
            tick: 9,
            tables: vec![TableChanges { relation: RelationId(1), delta }],
            catalog: vec![],
        };
        assert_eq!(decode(9, body(&record)), Ok(record));
    }
}

#[test]
fn deltas_without_rows_are_left_out() {
    let delta = Delta::uniform(crate::delta::empty_batch(&[DataType::Int64]), 1, 9);
    let record =
        Record { tick: 9, tables: vec![TableChanges { relation: RelationId(1), delta }], catalog: vec![] };
    assert_eq!(decode(9, body(&record)).unwrap().tables, vec![]);
}

#[test]
fn changes_at_another_tick_are_refused() {
    let rows = batch_of(&[], Vec::new(), 2).unwrap();
    let delta = Delta { rows, diffs: Col::Const(1, 2), ticks: Col::Each(vec![9, 8]) };
    let record =
        Record { tick: 9, tables: vec![TableChanges { relation: RelationId(4), delta }], catalog: vec![] };
    let error = encode(&record, &mut Vec::new()).unwrap_err();
    assert_eq!((error.sqlstate, error.message.as_str()), ("XX000", "changes of r4 are not at tick 9"));
}

#[test]
fn impossible_lengths_are_errors() {
    for length in [1, 1_000, u64::from(u32::MAX), u64::MAX] {
        // A layout of the first version: no tables, one catalog change of this length.
        let layout = postcard::to_stdvec(&(0_u32, Vec::<u8>::new(), vec![length])).unwrap();
        let bytes = [layout.as_slice(), &(layout.len() as u32).to_le_bytes()].concat();
        assert_eq!(decode(9, bytes), Err("a part of the record is cut".to_owned()), "{length}");
    }
    for length in 0..20_u32 {
        let bytes = [&[0xff; 15][..], &length.to_le_bytes()].concat();
        assert!(decode(9, bytes).is_err());
    }
}
