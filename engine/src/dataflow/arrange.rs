//! Arrange: exchanges a collection by its leading columns and keeps it indexed by them.
//!
//! Built after differential's `arrange_core`, with a start tick, a seeded trace and our batches.
//! The key is the encoding of the first `keys` columns (normalised: -0.0 is 0.0), the value that
//! of the others.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use timely::container::NoopBuilder;
use timely::dataflow::Stream;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::{Operator, OperatorInfo};

use super::arrangement::{Arrangement, SavedTrace, Sealing, SharedHandle, Start};
use super::edge::{Edge, by_leading_columns};
use super::meter::Meter;
use super::shared::Export;
use super::turns::Token;
use crate::delta::Delta;
use crate::error::DataError;
use crate::state::{Lanes, RowCodec, Shared, Updates, normalise_keys};
use crate::types::{DataType, Tick};

/// A sealed batch and the upper that it completes.
#[derive(Clone)]
pub(crate) struct Sealed {
    /// The batch.
    pub(crate) batch: Shared,
    /// All ticks before this one are complete.
    pub(crate) upper: Tick,
}

/// An arranged collection: its new batches, and its trace.
pub(crate) struct Arranged<'scope> {
    /// Every batch as it is sealed.
    pub(crate) stream: Stream<'scope, Tick, Vec<Sealed>>,
    /// The trace, and the handle that keeps its history.
    pub(crate) trace: SharedHandle,
}

impl<'scope> Arranged<'scope> {
    /// The same arrangement for another reader, with a hold of its own on its history.
    pub(crate) fn share(&self) -> Arranged<'scope> {
        let trace = self.trace.borrow().clone();
        Arranged { stream: self.stream.clone(), trace: Rc::new(RefCell::new(trace)) }
    }
}

/// Turns rows into updates of an arrangement.
pub(crate) struct KeyedCodec {
    keys: usize,
    key_codec: RowCodec,
    value_codec: RowCodec,
}

impl KeyedCodec {
    /// The first `keys` columns are the key.
    pub(crate) fn new(columns: &[DataType], keys: usize) -> KeyedCodec {
        KeyedCodec {
            keys,
            key_codec: RowCodec::new(&columns[..keys]),
            value_codec: RowCodec::new(&columns[keys..]),
        }
    }

    /// The delta's rows as updates with one lane, their multiplicity.
    pub(crate) fn updates(&self, delta: &Delta) -> Result<Updates, DataError> {
        let (keys, values) = delta.rows.columns().split_at(self.keys);
        Ok(Updates {
            keys: self.key_codec.encode(&normalise_keys(keys), delta.len())?,
            values: self.value_codec.encode(values, delta.len())?,
            ticks: delta.ticks.clone(),
            lanes: Lanes::One(delta.diffs.clone()),
        })
    }
}

/// What the operator needs to know.
pub(crate) struct ArrangeSpec {
    /// The input's columns.
    pub(crate) columns: Vec<DataType>,
    /// How many of them, from the first on, are the key.
    pub(crate) keys: usize,
    /// Where it starts.
    pub(crate) start: Start,
    /// The saved trace, where it is restored.
    pub(crate) saved: Option<SavedTrace>,
    /// Told of each span when it is sealed, where somebody beyond the dataflow reads it.
    pub(crate) export: Option<Rc<Export>>,
}

/// Renders an arrangement.
pub(crate) fn arrange<'scope>(
    input: Edge<'scope>,
    spec: ArrangeSpec,
    meter: &Arc<Meter>,
    token: &Token,
) -> Arranged<'scope> {
    let scope = input.scope();
    let ArrangeSpec { columns, keys, start, saved, export } = spec;
    let codec = KeyedCodec::new(&columns, keys);
    let mut trace = None;
    let made = &mut trace;
    let pact = by_leading_columns(keys);
    let stream = input.unary_frontier::<NoopBuilder<Vec<Sealed>>, _, _, _>(
        pact,
        "Arrange",
        |initial, info: OperatorInfo| {
            drop(initial);
            let turns = token.register(scope.activator_for(Rc::clone(&info.address)));
            let mut arrangement = Arrangement::new(scope, &info, start, saved, &turns).metered(meter);
            *made = Some(Rc::new(RefCell::new(arrangement.handle())));
            arrangement.release();
            let mut held: Option<Capability<Tick>> = None;
            let mut sealing = Sealing::default();
            move |(input, frontier), output| {
                input.for_each(|capability, deltas| {
                    for delta in std::mem::take(&mut deltas.list) {
                        match codec.updates(&delta) {
                            Ok(updates) => arrangement.insert(updates),
                            Err(error) => {
                                tracing::error!(%error, "a row could not be encoded and is not kept")
                            }
                        }
                    }
                    if let Some(capability) = capability.retain_least(0) {
                        keep_least(&mut held, capability);
                    }
                });
                let frontier = frontier.frontier().first().copied();
                let mut fuel = turns.portion().seal_fuel;
                while turns.is_due()
                    && let Some(until) = sealing.until(frontier, arrangement.upper())
                {
                    if !arrangement.prepare(until, &mut fuel) {
                        turns.again();
                        break;
                    }
                    sealing.done();
                    let batch = arrangement.seal(until);
                    if let Some(export) = &export {
                        export.sealed(batch.as_ref(), until);
                    }
                    if let Some(batch) = batch
                        && let Some(capability) = &held
                    {
                        let sealed = Sealed { batch, upper: until };
                        output.session_with_builder(capability).give_container(&mut vec![sealed]);
                    }
                    settle(&mut held, arrangement.pending());
                }
                arrangement.exert();
            }
        },
    );
    let trace = trace.expect("the operator's constructor ran");
    Arranged { stream, trace }
}

/// Keeps the lesser of two capabilities.
pub(crate) fn keep_least(held: &mut Option<Capability<Tick>>, capability: Capability<Tick>) {
    if held.as_ref().is_none_or(|held| capability.time() < held.time()) {
        *held = Some(capability);
    }
}

/// Moves the capability up to the earliest tick that is still pending; drops it where none is.
pub(crate) fn settle(held: &mut Option<Capability<Tick>>, pending: Option<Tick>) {
    match (held.as_mut(), pending) {
        (Some(capability), Some(tick)) if *capability.time() < tick => capability.downgrade(&tick),
        (Some(_), Some(_)) | (None, _) => {}
        (Some(_), None) => *held = None,
    }
}
