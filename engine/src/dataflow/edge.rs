//! What travels on a dataflow edge: `Deltas`, how timely counts it, sends it to another process
//! (Arrow IPC) and splits it among workers by the hash of the leading columns.
//!
//! Invariant of every edge: a message's capability is at or before every tick inside it.

use std::cell::Cell;
use std::io::Write;
use std::sync::Arc;

use timely::Accountable;
use timely::communication::Push;
use timely::container::NoopBuilder;
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::DistributorPact;
use timely::dataflow::channels::pushers::exchange::Distributor;
use timely::dataflow::channels::{ContainerBytes, Message};
use timely::dataflow::operators::generic::{OutputBuilder, OutputBuilderSession};
use timely::progress::Stamp;

use super::placement::{hash_rows, worker_of};
use crate::delta::{Delta, Deltas};
use crate::ipc::{Encoded, decode_deltas};
use crate::planted::{self, Bug};
use crate::types::Tick;

/// A stream of changes inside one dataflow.
pub(crate) type Edge<'scope> = Stream<'scope, Tick, Deltas>;

/// The builder for operators that send whole containers.
pub(crate) type EdgeBuilder = NoopBuilder<Deltas>;

/// An operator's output port for changes.
pub(crate) type EdgeOutput = OutputBuilder<Tick, EdgeBuilder>;

/// The output port while the operator runs.
pub(crate) type EdgeSession<'a> = OutputBuilderSession<'a, Tick, EdgeBuilder>;

impl Deltas {
    /// A container of one batch; empty where the batch is.
    pub fn one(delta: Delta) -> Deltas {
        if delta.is_empty() { Deltas::default() } else { Deltas { list: vec![Arc::new(delta)] } }
    }

    /// The number of changes.
    pub fn rows(&self) -> usize {
        self.list.iter().map(|delta| delta.len()).sum()
    }
}

impl Accountable for Deltas {
    fn record_count(&self) -> i64 {
        i64::try_from(self.rows()).unwrap_or(i64::MAX)
    }

    fn is_empty(&self) -> bool {
        self.list.iter().all(|delta| delta.is_empty())
    }
}

thread_local! {
    /// What `length_in_bytes` was asked of last on this thread, encoded: timely asks for the length and then, of the
    /// same container where it stands, for the bytes.
    static ENCODED: Cell<Option<(usize, Encoded)>> = const { Cell::new(None) };
}

impl ContainerBytes for Deltas {
    /// # Panics
    /// On bytes that another worker of this version did not write: the mesh checks versions.
    fn from_bytes(bytes: timely::bytes::arc::Bytes) -> Self {
        decode_deltas(&bytes).expect("a peer of the same version sent this container")
    }

    fn length_in_bytes(&self) -> usize {
        let encoded = Encoded::of(self);
        let length = encoded.len();
        ENCODED.set(Some((std::ptr::from_ref(self).addr(), encoded)));
        length
    }

    /// # Panics
    /// Where the channel refuses bytes, which timely treats as fatal.
    fn into_bytes<W: Write>(&self, writer: &mut W) {
        let kept = ENCODED.take().filter(|(of, _)| *of == std::ptr::from_ref(self).addr());
        let encoded = kept.map_or_else(|| Encoded::of(self), |(_, encoded)| encoded);
        encoded.write(writer).expect("the channel takes bytes");
    }
}

/// Sends changes, if there are any, under a capability at or before their ticks.
pub(crate) fn send<C>(output: &mut EdgeSession<'_>, capability: &C, mut deltas: Deltas)
where
    C: timely::dataflow::operators::CapabilityTrait<Tick>,
{
    if !deltas.list.is_empty() {
        output.session_with_builder(capability).give_container(&mut deltas);
    }
}

/// The exchange that brings rows with equal leading columns to one worker.
pub(crate) fn by_leading_columns(keys: usize) -> DistributorPact<impl FnOnce(usize) -> Distribution> {
    exchange(Distribution::ByColumns(keys))
}

/// An exchange.
pub(crate) fn exchange(distribution: Distribution) -> DistributorPact<impl FnOnce(usize) -> Distribution> {
    DistributorPact(move |_peers| distribution)
}

/// Where rows go.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Distribution {
    /// To the worker that the hash of so many leading columns tells.
    ByColumns(usize),
    /// To this worker, where they are already.
    Here(usize),
}

/// For each worker the positions of its rows, by the hash of so many leading columns.
fn route(delta: &Delta, keys: usize, peers: usize) -> Vec<Vec<u32>> {
    let mut routes = vec![Vec::with_capacity(2 * delta.len() / peers); peers];
    if planted::is_on(Bug::SkippedExchange) {
        for row in 0..delta.len() {
            routes[(row + delta.ticks.get(row) as usize / 10) % peers].push(row as u32);
        }
        return routes;
    }
    for (row, hash) in hash_rows(&delta.rows.columns()[..keys], delta.len()).into_iter().enumerate() {
        routes[worker_of(hash, peers)].push(row as u32);
    }
    routes
}

impl Distributor<Deltas> for Distribution {
    fn partition<T: Clone, P: Push<Message<T, Deltas>>>(
        &mut self,
        container: &mut Deltas,
        stamp: &Stamp<T>,
        pushers: &mut [P],
    ) {
        let keys = match *self {
            Distribution::ByColumns(keys) => keys,
            Distribution::Here(worker) => {
                return Message::push_at(container, stamp.clone(), &mut pushers[worker]);
            }
        };
        let mut outgoing: Vec<Deltas> = pushers.iter().map(|_| Deltas::default()).collect();
        for delta in std::mem::take(&mut container.list) {
            split(&delta, route(&delta, keys, pushers.len()), &mut outgoing);
        }
        for (mut deltas, pusher) in outgoing.into_iter().zip(pushers) {
            if !deltas.list.is_empty() {
                Message::push_at(&mut deltas, stamp.clone(), pusher);
            }
        }
    }

    fn flush<T: Clone, P: Push<Message<T, Deltas>>>(&mut self, _stamp: &Stamp<T>, _pushers: &mut [P]) {}
}

/// Gives each worker its rows of `delta`; a batch that goes to one worker whole is not copied.
fn split(delta: &Arc<Delta>, routes: Vec<Vec<u32>>, outgoing: &mut [Deltas]) {
    for (rows, target) in routes.into_iter().zip(outgoing) {
        if rows.len() == delta.len() {
            target.list.push(Arc::clone(delta));
        } else if !rows.is_empty() {
            // Positions come from the batch itself, so taking them cannot fail.
            let part = delta.take(&rows).expect("row positions are in range");
            target.list.push(Arc::new(part));
        }
    }
}
