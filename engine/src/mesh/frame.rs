//! What process 0 tells the others, and what they answer: the frames of a `Channel`.
//!
//! ```text
//!   frame = length, u64 │ postcard of `Down` or `Up`                 length 0: a sign of life
//! ```
//! Rows travel as Arrow IPC (changes) or as they are stored (shares). Never kept: both sides are of one version.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

use serde::de::{DeserializeOwned, Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::delta::{Col, Delta, Deltas};
use crate::engine::{IndexSpec, RelationReport, StateSize, TableSpec, ViewSpec};
use crate::error::{DataError, EngineError};
use crate::ipc::{Encoded, decode_deltas};
use crate::plan::PlanRef;
use crate::shape::RowShape;
use crate::snapshot::Snapshot;
use crate::state::{ByteRows, Lanes, Shared, Updates};
use crate::types::{DataType, Literal, RelationId, Tick};

/// From process 0.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Down {
    /// All are there: connect to each other for this generation.
    Form {
        incarnation: u64,
        generation: u64,
    },
    CreateTable(RelationId, TableSpec, Tick),
    Widen(RelationId, ShapeForm),
    Install(Box<InstallForm>),
    CreateIndex(RelationId, IndexSpec, Tick),
    Drop(Vec<RelationId>),
    /// Changes at a tick: this process's part of them.
    Commit(Tick, Vec<(RelationId, Rows)>),
    Compact(Vec<(RelationId, Tick)>),
    Read {
        request: u64,
        relation: RelationId,
        tick: Tick,
        want: Want,
    },
    Subscribe {
        subscription: u64,
        relation: RelationId,
        as_of: Tick,
    },
    /// Nobody follows any more.
    Unsubscribe(u64),
    Measure {
        request: u64,
        relation: RelationId,
    },
    Inspect {
        request: u64,
    },
    Fail(RelationId, DataError),
    /// Begins to read the rows of a share behind the first `skip`.
    Scan {
        share: u64,
        scan: u64,
        skip: u64,
    },
    /// One more chunk of a scan is wanted.
    More {
        scan: u64,
    },
    /// A scan's reader is gone.
    EndScan {
        scan: u64,
    },
    /// Nobody reads a share any more.
    Release {
        share: u64,
    },
}

/// To process 0.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Up {
    /// This process is connected to all others.
    Formed {
        generation: u64,
    },
    /// All workers of this process are complete before the tick.
    Upper(RelationId, Tick),
    Read {
        request: u64,
        worker: usize,
        answer: Result<ShareForm, ReadFailure>,
    },
    /// A subscription's first event of a worker.
    Snapshot {
        subscription: u64,
        worker: usize,
        share: ShareForm,
    },
    Changes {
        subscription: u64,
        worker: usize,
        changes: Rows,
        errors: Vec<(Tick, DataError, i64)>,
        upper: Tick,
    },
    Dropped {
        subscription: u64,
    },
    Failed {
        subscription: u64,
        error: DataError,
    },
    Measured {
        request: u64,
        size: StateSize,
    },
    Inspected {
        request: u64,
        reports: Vec<RelationReport>,
    },
    /// The bytes that a view holds in this process.
    Held(RelationId, usize),
    /// The next rows of a scan.
    Chunk {
        scan: u64,
        chunk: Chunk,
    },
}

/// What a reader wants of a relation or an index.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Want {
    /// Its share, to be scanned.
    Rows,
    /// Of an index the rows with these encoded keys, at once.
    Keys(Vec<Bytes>),
    /// Its errors, at once.
    Errors,
}

/// A view to install.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct InstallForm {
    pub(crate) id: RelationId,
    pub(crate) plan: PlanRef,
    pub(crate) spec: ViewSpec,
    pub(crate) as_of: Tick,
    /// The bytes that it may hold, over all processes.
    pub(crate) bytes_max: Option<usize>,
}

/// One worker's share of a relation, of which the rows are elsewhere, or come with it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ShareForm {
    pub(crate) name: String,
    pub(crate) shape: ShapeForm,
    /// The least error that readers are to be given.
    pub(crate) error: Option<DataError>,
    pub(crate) is_complete: bool,
    pub(crate) rows: ShareRows,
}

/// The rows of a share.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ShareRows {
    /// To be scanned under this number.
    There(u64),
    /// All that were wanted.
    Here(Chunk),
}

/// Rows as they are stored, in order, each with its multiplicity.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Chunk {
    /// The rows one after the other.
    pub(crate) bytes: Bytes,
    pub(crate) lengths: Vec<u32>,
    pub(crate) counts: Vec<i64>,
    /// Updates that were looked at for them.
    pub(crate) visited: u64,
    /// No rows follow.
    pub(crate) is_last: bool,
}

impl Chunk {
    /// Adds a row.
    pub(crate) fn push(&mut self, row: &[u8], count: i64) {
        self.bytes.0.extend(row);
        self.lengths.push(row.len() as u32);
        self.counts.push(count);
    }

    /// The rows and their multiplicities. Lengths that do not fit give fewer rows, never a panic.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (&[u8], i64)> {
        let mut rest = self.bytes.0.as_slice();
        self.lengths.iter().zip(&self.counts).map_while(move |(length, count)| {
            let (row, behind) = rest.split_at_checked(*length as usize)?;
            rest = behind;
            Some((row, *count))
        })
    }

    /// The rows as a batch of whole rows that hold from the beginning of time.
    pub(crate) fn batch(&self) -> Option<Shared> {
        let keys: ByteRows = self.rows().map(|(row, _)| row).collect();
        let len = keys.len();
        let counts = Col::Each(self.counts[..len].to_vec());
        let values = ByteRows::empty_rows(len);
        Updates { keys, values, ticks: Col::Const(0, len), lanes: Lanes::One(counts) }
            .sorted()
            .map(Shared::from)
    }
}

/// Why a share cannot be read.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ReadFailure {
    NoRelation(RelationId),
    NotHydrated(RelationId),
    Failed(DataError),
    Compacted { tick: Tick, since: Tick },
    Stopped,
}

impl From<EngineError> for ReadFailure {
    fn from(error: EngineError) -> ReadFailure {
        match error {
            EngineError::NoRelation(id) => ReadFailure::NoRelation(id),
            EngineError::NotHydrated(id) => ReadFailure::NotHydrated(id),
            EngineError::Failed(error) => ReadFailure::Failed(error),
            EngineError::Compacted { tick, since } => ReadFailure::Compacted { tick, since },
            // A worker answers a read with none of the others.
            EngineError::Stopped
            | EngineError::InvalidPlan(_)
            | EngineError::Io { .. }
            | EngineError::Corrupt { .. }
            | EngineError::Missing { .. }
            | EngineError::ForeignFolder(_)
            | EngineError::Locked(_) => ReadFailure::Stopped,
        }
    }
}

impl From<ReadFailure> for EngineError {
    fn from(failure: ReadFailure) -> EngineError {
        match failure {
            ReadFailure::NoRelation(id) => EngineError::NoRelation(id),
            ReadFailure::NotHydrated(id) => EngineError::NotHydrated(id),
            ReadFailure::Failed(error) => EngineError::Failed(error),
            ReadFailure::Compacted { tick, since } => EngineError::Compacted { tick, since },
            ReadFailure::Stopped => EngineError::Stopped,
        }
    }
}

/// A row shape's columns and the missing values of the last of them.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ShapeForm(Vec<DataType>, Vec<Literal>);

impl From<&RowShape> for ShapeForm {
    fn from(shape: &RowShape) -> ShapeForm {
        ShapeForm(shape.columns().to_vec(), shape.missing().to_vec())
    }
}

impl ShapeForm {
    /// The shape.
    ///
    /// # Errors
    /// XX000 where no shape was sent.
    pub(crate) fn shape(self) -> Result<RowShape, DataError> {
        RowShape::with_missing(&self.0, self.1)
    }
}

/// Deltas: as they are where they are sent, as Arrow IPC where they came.
#[derive(Debug)]
pub(crate) enum Rows {
    Sent(Deltas),
    Came(Bytes),
}

impl Serialize for Rows {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Rows::Sent(deltas) => serializer.serialize_bytes(&Encoded::of(deltas).to_vec()),
            Rows::Came(bytes) => bytes.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Rows {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Rows, D::Error> {
        Bytes::deserialize(deserializer).map(Rows::Came)
    }
}

impl Rows {
    pub(crate) fn new(deltas: Vec<Delta>) -> Rows {
        Rows::Sent(Deltas { list: deltas.into_iter().map(Arc::new).collect() })
    }

    /// The deltas.
    ///
    /// # Errors
    /// Where the bytes are no deltas.
    pub(crate) fn deltas(&self) -> io::Result<Vec<Delta>> {
        let deltas = match self {
            Rows::Sent(deltas) => deltas.clone(),
            Rows::Came(bytes) => {
                decode_deltas(&bytes.0).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?
            }
        };
        Ok(deltas.list.into_iter().map(Arc::unwrap_or_clone).collect())
    }
}

/// Bytes that are written and read as a whole.
#[derive(Clone, Default)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
        struct Whole;
        impl Visitor<'_> for Whole {
            type Value = Bytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }
        }
        deserializer.deserialize_bytes(Whole)
    }
}

/// A frame's bytes; of nothing, a sign of life.
///
/// # Errors
/// Where it cannot be written, which is a defect.
pub(crate) fn encode<T: Serialize>(frame: &T) -> io::Result<Vec<u8>> {
    let mut bytes = postcard::to_extend(frame, vec![0; 8]).map_err(io::Error::other)?;
    let length = (bytes.len() - 8) as u64;
    bytes[..8].copy_from_slice(&length.to_le_bytes());
    Ok(bytes)
}

/// Writes a sign of life.
pub(crate) fn write_beat(writer: &mut impl Write) -> io::Result<()> {
    writer.write_all(&[0; 8])
}

/// The next frame; `None` of a sign of life.
///
/// # Errors
/// The reader's; `InvalidData` where the bytes are no such frame; `UnexpectedEof` at the end.
pub(crate) fn read<T: DeserializeOwned>(reader: &mut impl Read) -> io::Result<Option<T>> {
    let mut length = [0; 8];
    reader.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    if length == 0 {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    // Grows with what comes, whatever length was told.
    reader.take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != length {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    postcard::from_bytes(&bytes).map(Some).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
}

/// What a share tells of itself, beside its rows.
pub(crate) fn share_form(snapshot: &Snapshot, rows: ShareRows) -> ShareForm {
    ShareForm {
        name: snapshot.name().to_owned(),
        shape: snapshot.shape().into(),
        error: snapshot.error(),
        is_complete: snapshot.is_complete(),
        rows,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::delta::batch_of;
    use arrow::array::Int64Array;

    fn chunk() -> Chunk {
        let mut chunk = Chunk::default();
        [(&b"ab"[..], 2), (b"", -1), (b"xyz", 1)].iter().for_each(|(row, count)| chunk.push(row, *count));
        chunk
    }

    #[test]
    fn frames_come_back_as_they_were() {
        let batch = batch_of(&[DataType::Int64], vec![Arc::new(Int64Array::from(vec![1, 2]))], 2).unwrap();
        let delta = Delta::uniform(batch, -1, 7);
        let frames = [
            Down::Commit(7, vec![(RelationId(3), Rows::new(vec![delta.clone()]))]),
            Down::Read {
                request: 1,
                relation: RelationId(3),
                tick: 7,
                want: Want::Keys(vec![Bytes(b"k".to_vec())]),
            },
        ];
        let mut bytes: Vec<u8> = frames.iter().flat_map(|frame| encode(frame).unwrap()).collect();
        write_beat(&mut bytes).unwrap();
        let mut wire = bytes.as_slice();
        let Some(Down::Commit(7, changes)) = read(&mut wire).unwrap() else { panic!("not the first frame") };
        assert_eq!(changes[0].1.deltas().unwrap(), [delta]);
        assert!(matches!(read(&mut wire).unwrap(), Some(Down::Read { want: Want::Keys(_), .. })));
        assert!(read::<Down>(&mut wire).unwrap().is_none());
        assert_eq!(read::<Down>(&mut wire).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_chunk_gives_its_rows_and_a_batch() {
        let chunk = chunk();
        assert_eq!(chunk.rows().collect::<Vec<_>>(), [(&b"ab"[..], 2), (b"", -1), (b"xyz", 1)]);
        assert_eq!(chunk.batch().unwrap().len(), 3);
        assert!(Chunk::default().batch().is_none());
    }

    #[test]
    fn bytes_that_are_no_frame_are_errors() {
        let whole = encode(&Up::Chunk { scan: 1, chunk: chunk() }).unwrap();
        for cut in 0..whole.len() {
            assert!(read::<Up>(&mut &whole[..cut]).is_err());
            let mut rotten = whole.clone();
            rotten[cut] ^= 0x55;
            // Some changes are other frames; none is a panic or a large allocation.
            if let Ok(Some(Up::Chunk { chunk, .. })) = read::<Up>(&mut rotten.as_slice()) {
                assert!(chunk.rows().count() <= chunk.lengths.len());
            }
        }
    }
}
