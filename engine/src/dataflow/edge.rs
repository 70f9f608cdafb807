//! What travels on a dataflow edge: `Deltas`, how timely counts it, sends it to another process
//! (Arrow IPC) and splits it among workers by the hash of the leading columns.
//!
//! Invariant of every edge: a message's capability is at or before every tick inside it.

use std::hash::Hasher;
use std::io::Write;
use std::sync::Arc;

use arrow::array::ArrayRef;
use timely::Accountable;
use timely::communication::Push;
use timely::container::NoopBuilder;
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::DistributorPact;
use timely::dataflow::channels::pushers::exchange::Distributor;
use timely::dataflow::channels::{ContainerBytes, Message};
use timely::dataflow::operators::generic::{OutputBuilder, OutputBuilderSession};
use timely::progress::Stamp;

use crate::delta::{Delta, Deltas};
use crate::planted::{self, Bug};
use crate::state::{RowCodec, normalise_keys};
use crate::types::{DataType, Tick};

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

impl ContainerBytes for Deltas {
    /// # Panics
    /// On bytes that another worker of this version did not write: the mesh checks versions.
    fn from_bytes(bytes: timely::bytes::arc::Bytes) -> Self {
        crate::ipc::decode_deltas(&bytes).expect("a peer of the same version sent this container")
    }

    fn length_in_bytes(&self) -> usize {
        crate::ipc::encode_deltas(self).len().next_multiple_of(8)
    }

    /// # Panics
    /// Where the channel refuses bytes, which timely treats as fatal.
    fn into_bytes<W: Write>(&self, writer: &mut W) {
        let encoded = crate::ipc::encode_deltas(self);
        let padding = encoded.len().next_multiple_of(8) - encoded.len();
        writer.write_all(&encoded).expect("the channel takes bytes");
        writer.write_all(&[0u8; 8][..padding]).expect("the channel takes bytes");
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
pub(crate) fn by_leading_columns(
    types: &[DataType],
    keys: usize,
) -> DistributorPact<impl FnOnce(usize) -> KeyDistributor + use<>> {
    let types = types[..keys].to_vec();
    DistributorPact(move |_peers| KeyDistributor { codec: RowCodec::new(&types), keys })
}

/// Splits batches by the hash of their first `keys` columns.
pub(crate) struct KeyDistributor {
    codec: RowCodec,
    keys: usize,
}

impl KeyDistributor {
    /// For each worker the positions of its rows; a key that cannot be encoded goes to worker 0.
    fn route(&self, delta: &Delta, peers: usize) -> Vec<Vec<u32>> {
        let columns: Vec<ArrayRef> = delta.rows.columns()[..self.keys].to_vec();
        let mut routes = vec![Vec::new(); peers];
        let Ok(keys) = self.codec.encode(&normalise_keys(&columns), delta.len()) else {
            routes[0] = (0..delta.len() as u32).collect();
            return routes;
        };
        let careless = planted::is_on(Bug::SkippedExchange);
        for row in 0..delta.len() {
            let by_chance = (row + delta.ticks.get(row) as usize / 10) % peers;
            let worker = if careless { by_chance } else { worker_of(keys.get(row), peers) };
            routes[worker].push(row as u32);
        }
        routes
    }
}

/// The worker that owns a key, of `peers`.
pub(crate) fn worker_of(key: &[u8], peers: usize) -> usize {
    let mut hasher = KeyHasher::default();
    hasher.write(key);
    (hasher.finish() % peers as u64) as usize
}

impl Distributor<Deltas> for KeyDistributor {
    fn partition<T: Clone, P: Push<Message<T, Deltas>>>(
        &mut self,
        container: &mut Deltas,
        stamp: &Stamp<T>,
        pushers: &mut [P],
    ) {
        let mut outgoing: Vec<Deltas> = pushers.iter().map(|_| Deltas::default()).collect();
        for delta in std::mem::take(&mut container.list) {
            split(&delta, self.route(&delta, pushers.len()), &mut outgoing);
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

/// Multiply-and-rotate over words with a final mix: stable over processes and releases, unlike std's hasher.
#[derive(Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        let mut chunks = bytes.chunks_exact(8);
        for chunk in &mut chunks {
            let word = u64::from_le_bytes(chunk.try_into().unwrap_or_default());
            self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
        }
        for byte in chunks.remainder() {
            self.0 = (self.0.rotate_left(5) ^ u64::from(*byte)).wrapping_mul(0x517c_c1b7_2722_0a95);
        }
    }

    fn finish(&self) -> u64 {
        let mixed = (self.0 ^ (self.0 >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        mixed ^ (mixed >> 29)
    }
}
