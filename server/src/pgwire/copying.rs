//! COPY on the wire: the client's lines go to a `CopyIn`, a query's rows come as lines.

use ::pgwire::messages::copy::{CopyDone, CopyInResponse, CopyOutResponse};
use arrow::array::RecordBatch;
use bytes::{BufMut, Bytes, BytesMut};
use millrace_sql::{Column, CopyFormat, SqlError, Zone};

use super::fault::Fault;
use super::message::Message;
use super::rows::Rows;
use super::wire::{FLUSH_BYTES, Wire};
use crate::copy::{BinaryDecoder, BinaryEncoder, Decoder, Encoder};
use crate::portion::Form;
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
            Reader::Lines(decoder) => Ok(decoder.next_batch()?),
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

/// What makes CopyData messages of rows.
enum Writer {
    Lines(Encoder),
    Binary(BinaryEncoder),
}

impl Writer {
    fn new(format: &CopyFormat) -> Writer {
        match format {
            CopyFormat::Lines(format) => Writer::Lines(Encoder::new(format)),
            CopyFormat::Binary => Writer::Binary(BinaryEncoder),
        }
    }

    /// What stands before all rows.
    fn header(format: &CopyFormat, columns: &[Column], out: &mut BytesMut) -> Result<(), SqlError> {
        match format {
            CopyFormat::Lines(format) if format.header => {
                write_data(out, |out| Encoder::new(format).header(columns, out))
            }
            CopyFormat::Lines(_) => Ok(()),
            CopyFormat::Binary => write_data(out, |out| BinaryEncoder.header(out)),
        }
    }

    /// Writes rows from `first` on until the output has `bytes_max`; returns the first row that was not written.
    fn rows(
        &mut self,
        batch: &RecordBatch,
        zone: &Zone,
        first: usize,
        bytes_max: usize,
        out: &mut BytesMut,
    ) -> Result<usize, SqlError> {
        let rows = first..batch.num_rows();
        match self {
            Writer::Lines(encoder) => {
                let columns = encoder.columns(batch, zone)?;
                write_while(rows, bytes_max, out, |row, out| encoder.line(&columns, row, out))
            }
            Writer::Binary(encoder) => {
                let columns = encoder.columns(batch, zone)?;
                write_while(rows, bytes_max, out, |row, out| encoder.row(&columns, row, out))
            }
        }
    }
}

/// Writes a CopyData message a row until the output has `bytes_max`; returns the first row that was not written.
fn write_while(
    mut rows: std::ops::Range<usize>,
    bytes_max: usize,
    out: &mut BytesMut,
    mut write: impl FnMut(usize, &mut BytesMut),
) -> Result<usize, SqlError> {
    while !rows.is_empty() && out.len() < bytes_max {
        write_data(out, |out| write(rows.start, out))?;
        rows.start += 1;
    }
    Ok(rows.start)
}

/// COPY … TO STDOUT: a CopyData message a row.
pub(crate) async fn copy_out(
    wire: &mut Wire,
    columns: &[Column],
    mut rows: Rows,
    format: &CopyFormat,
) -> Result<String, Fault> {
    let code = format_code(format);
    wire.send(&CopyOutResponse::new(code, columns.len() as i16, vec![i16::from(code); columns.len()]))?;
    Writer::header(format, columns, wire.output())?;
    let (zone, mut writer) = (rows.zone().clone(), Writer::new(format));
    let mut count = 0;
    while let Some((portion, _)) = rows.next(wire).await? {
        count += portion.rows.num_rows() as u64;
        match &portion.written {
            Some(written) => {
                let form = Form::Copy(format.clone(), zone.clone());
                wire.put(written.get(&form, || all_rows(format, &portion.rows, &zone))?).await?;
            }
            None => send_rows(wire, &mut writer, &portion.rows, &zone).await?,
        }
    }
    if *format == CopyFormat::Binary {
        write_data(wire.output(), |out| BinaryEncoder.trailer(out))?;
    }
    wire.send(&CopyDone::new())?;
    Ok(format!("COPY {count}"))
}

/// Sends the rows of a batch, and flushes whenever the output is full.
async fn send_rows(
    wire: &mut Wire,
    writer: &mut Writer,
    batch: &RecordBatch,
    zone: &Zone,
) -> Result<(), Fault> {
    let mut row = 0;
    while row < batch.num_rows() {
        row = writer.rows(batch, zone, row, FLUSH_BYTES, wire.output())?;
        if wire.is_full() {
            wire.flush().await?;
        }
    }
    Ok(())
}

/// All rows of a batch that others get, too.
fn all_rows(format: &CopyFormat, batch: &RecordBatch, zone: &Zone) -> Result<Bytes, SqlError> {
    let mut out = BytesMut::new();
    Writer::new(format).rows(batch, zone, 0, usize::MAX, &mut out)?;
    Ok(out.freeze())
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
