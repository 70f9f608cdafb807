//! Properties of state against the naive model: sorting, consolidation, searching, merging with any
//! fuel, batching, and reading over several batches. Not proven here: speed.

use std::ops::ControlFlow;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::merger::BatchMerger;
use super::model::{Model, Update, container, updates, updates_of};
use super::*;
use crate::types::Tick;

fn batch(stride: usize, updates: &[Update]) -> Option<Shared> {
    container(stride, updates).sorted().map(Shared::from)
}

fn batches(parts: &[Vec<Update>]) -> Vec<Shared> {
    parts.iter().filter_map(|part| batch(1, part)).collect()
}

/// Some batches, whose union is the model.
fn parts() -> impl Strategy<Value = Vec<Vec<Update>>> {
    vec(updates(1, 0..8, 0..40), 0..5)
}

/// Merges in steps of the given fuels, again and again, and checks the contract of fuel.
fn merge_in_steps(left: &Shared, right: &Shared, since: Tick, fuels: &[isize]) -> Option<Shared> {
    let mut merger = BatchMerger::begin(left, right, since);
    let (mut spent, all) = (0, (left.len() + right.len()) as isize);
    for fuel in fuels.iter().cycle() {
        let mut left_over = *fuel;
        merger.work_on(left, right, &mut left_over);
        spent += fuel - left_over;
        assert!(left_over >= 0 && spent <= all, "more work than updates");
        if left_over > 0 {
            assert_eq!(spent, all, "complete before all updates were taken");
            return merger.finish();
        }
    }
    unreachable!("fuels are given for ever")
}

proptest! {
    #[test]
    fn sorting_consolidates(stride in 1_usize..4, seed in updates(3, 0..4, 0..120)) {
        let random: Vec<Update> = seed.into_iter().map(|(k, v, t, l)| (k, v, t, l[..stride].to_vec())).collect();
        let found = batch(stride, &random).map(|batch| updates_of(&batch)).unwrap_or_default();
        prop_assert_eq!(found, Model::of(&random).updates());
    }

    #[test]
    fn merging_advances_and_consolidates_with_any_fuel(
        stride in 1_usize..3,
        left in updates(2, 0..8, 1..60),
        right in updates(2, 0..8, 1..60),
        since in 0_u64..10,
        fuels in vec(1_isize..30, 1..5),
    ) {
        let cut = |updates: Vec<Update>| -> Vec<Update> {
            updates.into_iter().map(|(k, v, t, l)| (k, v, t, l[..stride].to_vec())).collect()
        };
        let (left, right) = (cut(left), cut(right));
        let expected = Model::of(&[left.clone(), right.clone()].concat()).advanced(since);
        if let (Some(left), Some(right)) = (batch(stride, &left), batch(stride, &right)) {
            let merged = merge_in_steps(&left, &right, since, &fuels);
            let found = merged.map(|merged| updates_of(&merged)).unwrap_or_default();
            prop_assert_eq!(found, expected.updates());
        }
    }

    #[test]
    fn merging_batches_of_one_tick_each_consolidates(
        left in updates(1, 3..4, 1..60),
        right in updates(1, 4..5, 1..60),
        since in 2_u64..6,
        fuels in vec(1_isize..30, 1..5),
    ) {
        let expected = Model::of(&[left.clone(), right.clone()].concat()).advanced(since);
        if let (Some(left), Some(right)) = (batch(1, &left), batch(1, &right)) {
            let merged = merge_in_steps(&left, &right, since, &fuels);
            let found = merged.map(|merged| updates_of(&merged)).unwrap_or_default();
            prop_assert_eq!(found, expected.updates());
        }
    }

    #[test]
    fn opposite_batches_cancel_to_none(random in updates(2, 0..8, 1..60), later in 0_u64..3, fuel in 1_isize..50) {
        let opposite: Vec<Update> = random
            .iter()
            .map(|(k, v, t, l)| (k.clone(), v.clone(), t + later, l.iter().map(|lane| -lane).collect()))
            .collect();
        if let (Some(left), Some(right)) = (batch(2, &random), batch(2, &opposite)) {
            prop_assert!(merge_in_steps(&left, &right, 11, &[fuel]).is_none());
        }
    }

    #[test]
    fn searches_find_what_a_scan_finds(
        random in updates(1, 0..3, 1..80),
        wanted in updates(1, 0..1, 1..4),
        from in any::<Index>(),
    ) {
        let Some(batch) = batch(1, &random) else { return Ok(()) };
        let from = from.index(batch.len() + 1);
        let scan = |wanted: &dyn Fn(usize) -> bool| (from..batch.len()).find(|row| wanted(*row)).unwrap_or(batch.len());
        let taken = random.iter().take(5).chain(&wanted);
        for (key, value, ..) in taken {
            let (key, value) = (key.as_slice(), value.as_slice());
            prop_assert_eq!(batch.seek_key(from, key), scan(&|row| batch.key(row) >= key));
            prop_assert_eq!(batch.seek(from, key, value), scan(&|row| (batch.key(row), batch.value(row)) >= (key, value)));
            let range = key_range(&batch, 0, key);
            prop_assert!((0..batch.len()).all(|row| range.contains(&row) == (batch.key(row) == key)));
        }
        if from < batch.len() {
            prop_assert_eq!(batch.skip_key(from), scan(&|row| batch.key(row) != batch.key(from)));
        }
    }

    #[test]
    fn the_batcher_gives_each_update_once(
        steps in vec((vec(updates(1, 0..6, 0..30), 0..4), 0_u64..4), 1..6),
        boundary in 0_u64..10,
        fuels in vec(1_isize..30, 1..5),
    ) {
        // Updates come at or after the upper, which moves on by the step's amount after each step.
        let mut batcher = UpdateBatcher::with_boundary(boundary);
        let (mut model, mut upper) = (Model::default(), 0);
        for (containers, advance) in steps {
            for container in containers {
                let later: Vec<Update> = container.into_iter().map(|(k, v, t, l)| (k, v, t + upper, l)).collect();
                later.iter().for_each(|update| model.add(update));
                batcher.insert(super::model::container(1, &later));
            }
            upper += advance;
            let mut steps = fuels.iter().cycle();
            while !batcher.prepare(Some(upper), &mut steps.next().copied().unwrap_or(1)) {
                // What is later may come in meanwhile.
                let late = (b"late".to_vec(), Vec::new(), upper + 1, vec![1]);
                model.add(&late);
                batcher.insert(super::model::container(1, &[late]));
            }
            let found = batcher.take().map(|batch| updates_of(&batch)).unwrap_or_default();
            let (before, rest): (Vec<_>, Vec<_>) = model.updates().into_iter().partition(|update| update.2 < upper);
            prop_assert_eq!(found, before);
            model = Model::of(&rest);
            prop_assert!(batcher.tick_min().is_none_or(|least| least >= upper));
            if let Some(least) = rest.iter().map(|update| update.2).min() {
                prop_assert!(batcher.tick_min().is_some_and(|held| held <= least));
            }
        }
        let found = batcher.extract(None).map(|batch| updates_of(&batch)).unwrap_or_default();
        prop_assert_eq!(found, model.updates());
        prop_assert!(batcher.is_empty() && batcher.bytes() == 0);
    }

    #[test]
    fn large_chunks_become_one_by_any_fuel(lengths in vec(1_u32..6_000, 1..12), fuel in 500_isize..20_000) {
        // Multiples of different numbers, so that some updates meet and others do not.
        let updates = lengths.iter().zip(1_u32..).map(|(length, step)| -> Vec<Update> {
            let update = |value: u32| ((value * step).to_be_bytes().to_vec(), Vec::new(), 1, vec![1 - i64::from(step % 3)]);
            (0..*length).map(update).collect()
        });
        let (mut batcher, mut all, mut calls) = (UpdateBatcher::with_boundary(1), Vec::new(), 0);
        for part in updates {
            batcher.insert(super::model::container(1, &part));
            all.extend(part);
        }
        while !batcher.prepare(Some(2), &mut fuel.clone()) {
            calls += 1;
        }
        let found = batcher.take().map(|batch| updates_of(&batch)).unwrap_or_default();
        prop_assert_eq!(found, Model::of(&all).updates());
        prop_assert!(calls <= all.len() * 12 / fuel as usize + 1, "{} calls for {} updates", calls, all.len());
    }

    #[test]
    fn merged_rows_are_all_updates_in_order(parts in parts()) {
        let batches = batches(&parts);
        let mut expected: Vec<_> = batches.iter().flat_map(|batch| updates_of(batch)).collect();
        expected.sort();
        let update = |(batch, row): (usize, usize)| {
            let batch = &batches[batch];
            (batch.key(row).to_vec(), batch.value(row).to_vec(), batch.tick(row), batch.lanes(row).to_vec())
        };
        let mut found: Vec<_> = MergedRows::new(&batches).map(update).collect();
        prop_assert!(found.is_sorted_by_key(|(key, value, tick, _)| (key.clone(), value.clone(), *tick)));
        found.sort();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn net_rows_are_the_model_at_a_tick(parts in parts(), tick in 0_u64..9) {
        let batches = batches(&parts);
        let expected: Vec<_> = Model::of(&parts.concat()).at(tick).into_iter().collect();
        let net = NetRows::new(batches.clone(), tick);
        let row = |net: NetRow| {
            let batch = &batches[net.batch];
            ((batch.key(net.row).to_vec(), batch.value(net.row).to_vec()), vec![net.count])
        };
        prop_assert_eq!(net.map(row).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn accumulating_ascending_keys(parts in vec(updates(2, 0..8, 0..40), 0..4), tick in 0_u64..9) {
        let batches: Vec<Shared> = parts.iter().filter_map(|part| batch(2, part)).collect();
        let all = parts.concat();
        let mut keys: Vec<_> = all.iter().map(|update| update.0.clone()).collect();
        keys.sort();
        let mut positions = vec![0; batches.len()];
        for key in keys {
            let mut found = [0, 0];
            accumulate(&batches, &mut positions, &key, tick, &mut found);
            let of_key = all.iter().filter(|update| update.0 == key && update.2 <= tick);
            let expected = of_key.fold([0, 0], |sum, update| [sum[0] + update.3[0], sum[1] + update.3[1]]);
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn walks_see_the_net_values_of_one_key(parts in parts(), tick in 0_u64..9, limit in 1_usize..20) {
        let batches = batches(&parts);
        let net = Model::of(&parts.concat()).at(tick);
        for (key, ..) in parts.concat() {
            let of_key = net.iter().filter(|((other, _), _)| *other == key);
            let mut expected: Vec<_> = of_key.map(|((_, value), lanes)| (value.clone(), lanes[0])).collect();
            let mut found = Vec::new();
            let mut visit = |value: &[u8], count: i64| {
                found.push((value.to_vec(), count));
                if found.len() == limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            let end = walk_front(&batches, &key, tick, &mut visit);
            prop_assert_eq!(end.is_break(), expected.len() >= limit);
            prop_assert_eq!(&found[..], &expected[..limit.min(expected.len())]);
            found.clear();
            let mut visit = |value: &[u8], count: i64| {
                found.push((value.to_vec(), count));
                if found.len() == limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            let _ = walk_back(&batches, &key, tick, &mut visit);
            expected.reverse();
            prop_assert_eq!(&found[..], &expected[..limit.min(expected.len())]);
        }
    }
}

/// `count` updates with keys `step` apart.
fn many(count: u64, step: u64, tick: Tick) -> Vec<Update> {
    (0..count).map(|i| ((i * step).to_be_bytes().to_vec(), vec![1], tick, vec![1])).collect()
}

#[test]
fn batches_across_the_border_of_runs() {
    let left = batch(1, &many(40_000, 2, 1)).expect("not empty");
    let right = batch(1, &many(30_000, 3, 2)).expect("not empty");
    assert_eq!(
        left.runs().iter().map(Run::len).collect::<Vec<_>>(),
        [RUN_ROWS, RUN_ROWS, 40_000 - 2 * RUN_ROWS]
    );
    let merged = merge_in_steps(&left, &right, 5, &[1_000, 1, 16_384]).expect("not empty");
    let expected = Model::of(&[many(40_000, 2, 5), many(30_000, 3, 5)].concat());
    assert_eq!(updates_of(&merged), expected.updates());
    let (last, full) = merged.runs().split_last().expect("not empty");
    assert!(full.iter().all(|run| run.len() == RUN_ROWS) && last.len() <= RUN_ROWS);
    for row in [0, 16_382, 16_383, 16_384, 16_385, 32_768, merged.len() - 1] {
        assert_eq!(merged.seek_key(0, merged.key(row)), row);
        assert_eq!(merged.skip_key(row), row + 1);
    }
    assert_eq!(merged.seek_key(0, &[255]), merged.len());
}

#[test]
fn rows_in_order_of_time_within_few_keys_merge() {
    // The prefix of a key says the sensor and no more.
    let readings = |moments: std::ops::Range<u64>, step: usize, tick, count| -> Vec<Update> {
        let reading = |moment: u64| {
            let sensor = [1, 0, 0, 0, (moment % 5) as u8, 1];
            ([&sensor[..], &moment.to_be_bytes()].concat(), Vec::new(), tick, vec![count])
        };
        moments.step_by(step).map(reading).collect()
    };
    let cases = [
        (readings(0..50_000, 1, 1, 1), readings(50_000..60_000, 1, 2, 1)),
        (readings(0..50_000, 2, 1, 1), readings(1..50_000, 2, 2, 1)),
        (readings(0..50_000, 1, 1, 1), readings(20_000..40_000, 3, 2, -1)),
        (readings(0..50_000, 1, 1, 1), readings(0..50_000, 1, 2, -1)),
        (
            readings(0..20_000, 1, 1, 1),
            [readings(0..30_000, 1, 2, 1), readings(0..30_000, 7, 3, -1)].concat(),
        ),
    ];
    for (left, right) in cases {
        for since in [0, 2, 5] {
            let expected = Model::of(&[left.clone(), right.clone()].concat()).advanced(since);
            let (left, right) = (batch(1, &left).expect("some"), batch(1, &right).expect("some"));
            for [left, right] in [[&left, &right], [&right, &left]] {
                let merged = merge_in_steps(left, right, since, &[1_000, 1, 16_384]);
                let found = merged.map(|merged| updates_of(&merged)).unwrap_or_default();
                assert!(found == expected.updates());
            }
        }
    }
}

#[test]
fn a_merge_stops_inside_a_giant_key() {
    let values = |from: u64, tick| -> Vec<Update> {
        (0..20_000)
            .map(|i| (b"giant".to_vec(), (from + 2 * i).to_be_bytes().to_vec(), tick, vec![1]))
            .collect()
    };
    let (left, right) = (batch(1, &values(0, 1)).expect("some"), batch(1, &values(1, 2)).expect("some"));
    let merged = merge_in_steps(&left, &right, 0, &[7]).expect("some");
    assert_eq!(merged.len(), 40_000);
    assert_eq!((merged.skip_key(0), merged.skip_key(20_000)), (40_000, 40_000));
    let opposite: Vec<Update> =
        updates_of(&merged).into_iter().map(|(k, v, t, _)| (k, v, t, vec![-1])).collect();
    let opposite = batch(1, &opposite).expect("some");
    assert!(merge_in_steps(&merged, &opposite, 0, &[isize::MAX]).is_none());
}

#[test]
fn sizes_follow_what_is_stored() {
    // Keys of one width, one value each, one tick, one multiplicity: prefix and key only.
    let large = batch(1, &many(100_000, 1, 1)).expect("some");
    assert!(large.bytes() < 100_000 * (8 + 8 + 1) + 4_096, "{} bytes", large.bytes());
    let single = batch(1, &many(1, 1, 1)).expect("some");
    assert!(single.bytes() < 512, "{} bytes for one update", single.bytes());
    // A merge that cancels nearly everything gives the memory back.
    let gone: Vec<Update> = many(99_000, 1, 2).into_iter().map(|(k, v, t, _)| (k, v, t, vec![-1])).collect();
    let rest = merge_in_steps(&large, &batch(1, &gone).expect("some"), 2, &[isize::MAX]).expect("some");
    assert_eq!(rest.len(), 1_000);
    assert!(rest.bytes() < 1_000 * 17 + 1_024, "{} bytes", rest.bytes());
}

#[test]
fn batches_may_be_read_on_any_thread() {
    fn any_thread<T: Send + Sync + 'static>() {}
    any_thread::<Shared>();
    any_thread::<RowCodec>();
    any_thread::<crate::Snapshot>();
}
