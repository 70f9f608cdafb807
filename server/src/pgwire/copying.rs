//! COPY on the wire: the client's lines go to a `CopyIn`, a query's rows come as lines.

use ::pgwire::messages::copy::{CopyDone, CopyInResponse, CopyOutResponse};
use arrow::array::RecordBatch;
use bytes::{BufMut, BytesMut};
use millrace_sql::{Column, CopyFormat, LineFormat, SqlError};

use super::fault::Fault;
use super::message::Message;
use super::rows::Rows;
use super::wire::Wire;
use crate::copy::{BinaryDecoder, BinaryEncoder, Decoder, Encoder};
use crate::session::row_size::check_bytes;
use crate::session::{CopyIn, Session};

/// What makes batches of the client's bytes.
enum Reader {
    Lines(Box<Decoder>),
    Binary(BinaryDecoder),
}

impl Reader {
    fn new(copy: &CopyIn, session: &Session) -> Reader {
        match &copy.format {
            CopyFormat::Lines(format) => {
                Reader::Lines(Box::new(Decoder::new(&copy.columns, format, session.zone())))
            }
            CopyFormat::Binary => Reader::Binary(BinaryDecoder::new(&copy.columns, session.zone())),
        }
    }

    fn feed(&mut self, data: &[u8]) {
        match self {
            Reader::Lines(decoder) => decoder.feed(data),
            Reader::Binary(decoder) => decoder.feed(data),
        }
    }

    fn end(&mut self) {
        match self {
            Reader::Lines(decoder) => decoder.end(),
            Reader::Binary(decoder) => decoder.end(),
        }
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>, SqlError> {
        match self {
            Reader::Lines(decoder) => decoder.next_batch(),
            Reader::Binary(decoder) => decoder.next_batch(),
        }
    }
}

/// The code of a format, for the whole and for each column.
fn format_code(format: &CopyFormat) -> i8 {
    match format {
        CopyFormat::Lines(_) => 0,
        CopyFormat::Binary => 1,
    }
}

/// COPY … FROM STDIN. On an error nothing is applied; what the client still sends is dropped by the
/// connection's loop (or skipped up to Sync), as PostgreSQL does it.
pub(crate) async fn copy_in(
    wire: &mut Wire,
    session: &mut Session,
    mut copy: CopyIn,
) -> Result<String, Fault> {
    let columns = copy.columns.len();
    let code = format_code(&copy.format);
    wire.send(&CopyInResponse::new(code, columns as i16, vec![i16::from(code); columns]))?;
    let mut decoder = Reader::new(&copy, session);
    loop {
        match wire.message().await? {
            Message::CopyData(data) => {
                decoder.feed(&data);
                pass_rows(wire, &mut decoder, &mut copy).await?;
            }
            Message::CopyDone => {
                decoder.end();
                pass_rows(wire, &mut decoder, &mut copy).await?;
                let count = wire.run(copy.finish(session)).await?;
                return Ok(format!("COPY {count}"));
            }
            Message::CopyFail(reason) => {
                return Err(SqlError::new("57014", format!("COPY from stdin failed: {reason}")).into());
            }
            // Clients send Sync right behind the Execute, before any data.
            Message::Flush | Message::Sync => {}
            Message::Terminate => return Err(Fault::Lost),
            Message::Unreadable { error, .. } => return Err(error.into()),
            Message::Query(_)
            | Message::Parse { .. }
            | Message::Bind(_)
            | Message::Describe(_)
            | Message::Execute { .. }
            | Message::Close(_) => {
                return Err(Fault::Fatal(SqlError::new(
                    "08P01",
                    "unexpected message type during COPY from stdin",
                )));
            }
        }
    }
}

/// Passes on every batch that is complete.
async fn pass_rows(wire: &mut Wire, decoder: &mut Reader, copy: &mut CopyIn) -> Result<(), Fault> {
    while let Some(batch) = decoder.next_batch()? {
        wire.run(copy.rows(batch)).await?;
    }
    Ok(())
}

/// COPY … TO STDOUT: a CopyData message a row.
pub(crate) async fn copy_out(
    wire: &mut Wire,
    columns: &[Column],
    rows: Rows,
    format: &CopyFormat,
) -> Result<String, Fault> {
    let code = format_code(format);
    wire.send(&CopyOutResponse::new(code, columns.len() as i16, vec![i16::from(code); columns.len()]))?;
    let count = match format {
        CopyFormat::Lines(format) => lines_out(wire, columns, rows, format).await?,
        CopyFormat::Binary => binary_out(wire, rows).await?,
    };
    wire.send(&CopyDone::new())?;
    Ok(format!("COPY {count}"))
}

async fn lines_out(
    wire: &mut Wire,
    columns: &[Column],
    mut rows: Rows,
    format: &LineFormat,
) -> Result<u64, Fault> {
    let mut encoder = Encoder::new(format);
    let zone = rows.zone().clone();
    if format.header {
        write_data(wire.output(), |out| encoder.header(columns, out))?;
    }
    let mut count = 0;
    while let Some((batch, _)) = rows.next(wire).await? {
        let values = encoder.columns(&batch, &zone)?;
        for row in 0..batch.num_rows() {
            write_data(wire.output(), |out| encoder.line(&values, row, out))?;
            if wire.is_full() {
                wire.flush().await?;
            }
        }
        count += batch.num_rows() as u64;
    }
    Ok(count)
}

async fn binary_out(wire: &mut Wire, mut rows: Rows) -> Result<u64, Fault> {
    let (encoder, zone) = (BinaryEncoder, rows.zone().clone());
    write_data(wire.output(), |out| encoder.header(out))?;
    let mut count = 0;
    while let Some((batch, _)) = rows.next(wire).await? {
        let values = encoder.columns(&batch, &zone)?;
        for row in 0..batch.num_rows() {
            write_data(wire.output(), |out| encoder.row(&values, row, out))?;
            if wire.is_full() {
                wire.flush().await?;
            }
        }
        count += batch.num_rows() as u64;
    }
    write_data(wire.output(), |out| encoder.trailer(out))?;
    Ok(count)
}

/// Writes a CopyData message around what `write` writes.
///
/// # Errors
/// 54000 for a row that is too big; nothing of it is left.
fn write_data(out: &mut BytesMut, write: impl FnOnce(&mut BytesMut)) -> Result<(), SqlError> {
    out.put_u8(b'd');
    let start = out.len();
    out.put_u32(0);
    write(out);
    let length = out.len() - start;
    out[start..start + 4].copy_from_slice(&(length as u32).to_be_bytes());
    check_bytes(length).inspect_err(|_| out.truncate(start - 1))
}
