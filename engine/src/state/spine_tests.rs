//! `RowSpine` end to end: random inserts and compactions through differential's own spine, read
//! back at every tick from since on.

use differential_dataflow::trace::{Description, Span, Trace, TraceReader};
use proptest::collection::vec;
use proptest::prelude::*;
use timely::dataflow::operators::generic::OperatorInfo;
use timely::progress::Antichain;

use super::model::{Model, Net, Update, container, updates};
use super::*;
use crate::types::Tick;

/// One batch, and how far compaction moves after it.
#[derive(Clone, Debug)]
struct Step {
    /// Ticks relative to the batch's lower.
    updates: Vec<Update>,
    /// How many ticks the batch covers.
    width: Tick,
    /// How far behind the upper since may stand.
    lag: Tick,
    /// Whether the spine may merge.
    merge: bool,
}

fn step() -> impl Strategy<Value = Step> {
    (updates(1, 0..4, 0..30), 1_u64..5, 0_u64..12, any::<bool>()).prop_map(
        |(mut updates, width, lag, merge)| {
            updates.iter_mut().for_each(|update| update.2 %= width);
            Step { updates, width, lag, merge }
        },
    )
}

fn spine() -> RowSpine {
    RowSpine::new(OperatorInfo::new(0, 0, [].into()), None, None)
}

fn stored(spine: &RowSpine) -> Vec<Shared> {
    let mut batches = Vec::new();
    spine.map_spans(|span| batches.extend(span.inner.clone()));
    batches
}

fn net(batches: &[Shared], tick: Tick) -> Net {
    let row = |net: NetRow| {
        let batch = &batches[net.batch];
        ((batch.key(net.row).to_vec(), batch.value(net.row).to_vec()), vec![net.count])
    };
    NetRows::new(batches.to_vec(), tick).map(row).collect()
}

proptest! {
    #[test]
    fn a_spine_reads_as_the_model_from_since_on(steps in vec(step(), 1..25)) {
        let (mut spine, mut model) = (spine(), Model::default());
        let (mut since, mut upper) = (0, 0);
        for step in steps {
            let lower = upper;
            upper += step.width;
            let at: Vec<Update> = step.updates.into_iter().map(|(k, v, t, l)| (k, v, t + lower, l)).collect();
            at.iter().for_each(|update| model.add(update));
            let bounds = [lower, upper, 0].map(Antichain::from_elem);
            let [from, to, start] = bounds;
            spine.insert(Span::new(Description::new(from, to, start), container(1, &at).sorted().map(Shared::from)));
            since = since.max(upper.saturating_sub(step.lag));
            spine.set_logical_compaction(Antichain::from_elem(since).borrow());
            if step.merge {
                spine.set_physical_compaction(Antichain::from_elem(upper).borrow());
            }
            let batches = stored(&spine);
            for tick in since..=upper {
                prop_assert_eq!(net(&batches, tick), model.at(tick), "at tick {} of {}", tick, upper);
            }
        }
    }
}

#[test]
fn deleted_rows_leave_a_spine_that_exerts_itself() {
    let mut spine = spine();
    // Merge until one batch is left: what an idle worker asks of its traces.
    spine.set_exert_logic(std::sync::Arc::new(|levels| {
        let batches: usize = levels.iter().map(|(_, count, _)| count).sum();
        (batches > 1).then_some(1_000)
    }));
    let rows = |range: std::ops::Range<u64>, tick: Tick, diff: i64| -> Vec<Update> {
        range.map(|i| (i.to_be_bytes().to_vec(), Vec::new(), tick, vec![diff])).collect()
    };
    let insert = |spine: &mut RowSpine, tick: Tick, updates: &[Update]| {
        let [lower, upper, since] = [tick, tick + 1, 0].map(Antichain::from_elem);
        let batch = container(1, updates).sorted().map(Shared::from);
        spine.insert(Span::new(Description::new(lower, upper.clone(), since), batch));
        spine.set_logical_compaction(Antichain::from_elem(tick).borrow());
        spine.set_physical_compaction(upper.borrow());
    };
    insert(&mut spine, 0, &rows(0..50_000, 0, 1));
    let full: usize = stored(&spine).iter().map(|batch| batch.bytes()).sum();
    insert(&mut spine, 1, &rows(0..45_000, 1, -1));
    insert(&mut spine, 2, &[]);
    (0..1_000).for_each(|_| spine.exert());
    let left: usize = stored(&spine).iter().map(|batch| batch.bytes()).sum();
    assert!(left * 100 < full * 15, "{left} of {full} bytes left");
    assert_eq!(net(&stored(&spine), 2).len(), 5_000);
}
