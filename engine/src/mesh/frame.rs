//! What process 0 tells the others, and what they answer: the frames of a `Channel`.
//!
//! ```text
//!   frame = length, u64 │ length of rows, u64 │ postcard of `Down` or `Up` │ rows        both 0: a sign of life
//! ```
//! Rows travel as Arrow IPC behind their frame (changes) or as they are stored (shares). Never kept: both sides are of one version.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

use arrow::buffer::Buffer;
use serde::de::{DeserializeOwned, Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::delta::{Col, Delta, Deltas};
use crate::engine::{IndexSpec, RelationReport, StateSize, TableSpec, ViewSpec};
use crate::error::{DataError, EngineError};
use crate::ipc::{Encoded, Sections, decode_next};
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

/// Deltas. They stand behind their frame as Arrow IPC, so that neither side copies them; within it there is nothing of them.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Rows {
    #[serde(skip)]
    deltas: Deltas,
}

impl Rows {
    pub(crate) fn new(deltas: Vec<Delta>) -> Rows {
        Rows { deltas: Deltas { list: deltas.into_iter().map(Arc::new).collect() } }
    }

    /// The deltas.
    pub(crate) fn deltas(self) -> Vec<Delta> {
        self.deltas.list.into_iter().map(Arc::unwrap_or_clone).collect()
    }
}

/// What is told over a channel.
pub(crate) trait Frame: Serialize {
    /// The rows in it, in order.
    fn rows(&mut self) -> Vec<&mut Rows>;
}

impl Frame for Down {
    fn rows(&mut self) -> Vec<&mut Rows> {
        match self {
            Down::Commit(_, changes) => changes.iter_mut().map(|(_, rows)| rows).collect(),
            _ => Vec::new(),
        }
    }
}

impl Frame for Up {
    fn rows(&mut self) -> Vec<&mut Rows> {
        match self {
            Up::Changes { changes, .. } => vec![changes],
            _ => Vec::new(),
        }
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

/// Bytes before a frame: its own length and that of its rows.
const HEAD: usize = 16;

/// A length that was told is allocated at once up to here; what is beyond grows with what comes.
const ALLOCATED_MAX: usize = 16 << 20;

/// Writes a frame.
///
/// # Errors
/// The writer's; where it cannot be encoded, which is a defect.
pub(crate) fn write(frame: &mut impl Frame, writer: &mut impl Write) -> io::Result<()> {
    let mut bytes = postcard::to_extend(&*frame, vec![0; HEAD]).map_err(io::Error::other)?;
    let rows: Vec<Encoded> = frame.rows().into_iter().map(|rows| Encoded::of(&rows.deltas)).collect();
    let lengths = [bytes.len() - HEAD, rows.iter().map(Encoded::len).sum()];
    for (place, length) in bytes.chunks_exact_mut(8).zip(lengths) {
        place.copy_from_slice(&(length as u64).to_le_bytes());
    }
    writer.write_all(&bytes)?;
    rows.iter().try_for_each(|rows| rows.write(writer))
}

/// Writes a sign of life.
///
/// # Errors
/// The writer's.
pub(crate) fn write_beat(writer: &mut impl Write) -> io::Result<()> {
    writer.write_all(&[0; HEAD])
}

/// The next frame; `None` of a sign of life.
///
/// # Errors
/// The reader's; `InvalidData` where the bytes are no such frame; `UnexpectedEof` at the end.
pub(crate) fn read<T: Frame + DeserializeOwned>(reader: &mut impl Read) -> io::Result<Option<T>> {
    let mut head = [[0; 8]; 2];
    reader.read_exact(head.as_flattened_mut())?;
    let [length, length_of_rows] = head.map(u64::from_le_bytes);
    if length == 0 {
        return Ok(None);
    }
    let invalid =
        |error: Box<dyn std::error::Error + Send + Sync>| io::Error::new(ErrorKind::InvalidData, error);
    let bytes = read_bytes(reader, length)?;
    let mut frame: T = postcard::from_bytes(&bytes).map_err(|error| invalid(error.into()))?;
    if length_of_rows > 0 {
        let mut sections = Sections::of(Buffer::from_vec(read_bytes(reader, length_of_rows)?));
        for rows in frame.rows() {
            rows.deltas = decode_next(&mut sections).map_err(|error| invalid(error.into()))?;
        }
    }
    Ok(Some(frame))
}

fn read_bytes(reader: &mut impl Read, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(length.min(ALLOCATED_MAX as u64) as usize);
    reader.take(length).read_to_end(&mut bytes)?;
    match bytes.len() as u64 == length {
        true => Ok(bytes),
        false => Err(ErrorKind::UnexpectedEof.into()),
    }
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
        let mut frames = [
            Down::Commit(
                7,
                vec![
                    (RelationId(3), Rows::new(vec![delta.clone(), delta.clone()])),
                    (RelationId(4), Rows::default()),
                ],
            ),
            Down::Read {
                request: 1,
                relation: RelationId(3),
                tick: 7,
                want: Want::Keys(vec![Bytes(b"k".to_vec())]),
            },
        ];
        let mut bytes = Vec::new();
        frames.iter_mut().for_each(|frame| write(frame, &mut bytes).unwrap());
        write_beat(&mut bytes).unwrap();
        let mut wire = bytes.as_slice();
        let Some(Down::Commit(7, changes)) = read(&mut wire).unwrap() else { panic!("not the first frame") };
        let changes: Vec<_> = changes.into_iter().map(|(id, rows)| (id, rows.deltas())).collect();
        assert_eq!(changes, [(RelationId(3), vec![delta.clone(), delta]), (RelationId(4), Vec::new())]);
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
        let mut whole = Vec::new();
        write(&mut Up::Chunk { scan: 1, chunk: chunk() }, &mut whole).unwrap();
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
