//! Millrace's engine: plans, state, operators, workers and the log. It knows Arrow, timely,
//! differential and the disk; no SQL text, no sockets, no wall clock.
//!
//! Modules in reading order:

mod types; // column types, ticks, literals, relation ids
mod literals; // literals as columns
mod error; // wrong rows as data; the engine's own errors
mod expr; // scalar expressions, closed and serialisable
mod plan; // relational plans, their identity and display
mod sets; // functions that give rows, called for each row
mod delta; // batches of changes between operators
mod shape; // the columns of a table's rows, some of which came later
mod ipc; // deltas as bytes
mod exact; // exact sums of doubles
mod decimal; // numerics of any number of digits as stored bytes
mod array; // arrays as stored bytes
mod span; // sums of intervals
mod spread; // exact variances
mod regression; // exact covariances, and the lines through points
mod joined; // texts joined by delimiters
mod state; // sorted runs of updates: batches, merging, collecting, reading
mod lookup; // rows of an index by key
mod snapshot; // a relation at one tick, readable on any thread
mod dataflow; // operators, drivers, rendering
mod progress; // how far each relation is complete
mod mesh; // several processes as one set of workers
mod worker; // the worker loop
mod engine; // the coordinator's handle to the workers
mod log; // the durable sequence of commits, and the data folder
mod planted; // bugs that the oracle must find

pub use array::{Array, DIMENSIONS_MAX, Dimension, Element, order_bytes};
pub use decimal::{
    Decimal, Group, SCALE_MAX, WHOLE_DIGITS_MAX, digits_of, quotient, rescaled, rounded_quotient, ten_to,
};
pub use delta::{Col, Delta, Deltas, batch_bytes, batch_of, concat, empty_batch, filter};
pub use engine::{
    Engine, EngineConfig, IndexSpec, InspectReply, ProgressSink, ReadReply, RelationReport, SavedState,
    StateSize, SubscriptionEvent, SubscriptionSink, TableSpec, ViewSpec,
};
pub use error::{DataError, EngineError};
pub use exact::ExactSum;
pub use expr::{Compiler, Expr};
pub use joined::{array_of, join_texts};
pub use literals::{column_of_literals, literal_of};
pub use log::{
    Clock, DataFolder, Disk, DiskFile, Log, LogConfig, LogError, OsRandom, Random, RealDisk, Record, Replay,
    TableChanges, TickSource,
};
pub use mesh::{Again, Formed, Loss, Mesh, MeshConfig, MeshError, MeshSecret, host, is_of_lost_connection};
pub use plan::{
    Aggregate, AggregateFunction, JoinKey, OrderKey, Plan, PlanId, PlanRef, PlanTree, RowCalls, SetCall,
};
pub use planted::Bug;
#[cfg(feature = "planted-bugs")]
pub use planted::plant;
pub use regression::{Moments, Regression, Sums};
pub use sets::{CalledRows, CallsInStep, SetFunction, SetRows, row_bytes};
pub use shape::RowShape;
pub use snapshot::Snapshot;
pub use span::interval_of_sums;
pub use spread::{Deviation, Spread};
pub use state::{
    Batch, BatchBuilder, BatchMerger, ByteRows, Direction, Lanes, MergedRows, NetRow, NetRows, RUN_ROWS,
    RowCodec, RowSpine, Run, Shared, UpdateBatcher, Updates, accumulate, add_lanes, can_grow, compared_part,
    key_range, normalise_interval, normalise_keys, walk_back, walk_front,
};
pub use types::{DataType, Limit, Literal, MOMENT_ZONE, NUMERIC_PRECISION_MAX, RelationId, Tick, schema_of};
