//! COPY on the wire: the client's lines go to a `CopyIn`, a query's rows come as lines.

use ::pgwire::messages::copy::{CopyDone, CopyInResponse, CopyOutResponse};
use bytes::{BufMut, BytesMut};
use millrace_sql::{Column, CopyFormat, SqlError};

use super::fault::Fault;
use super::message::Message;
use super::rows::Rows;
use super::wire::Wire;
use crate::copy::{Decoder, Encoder};
use crate::session::{CopyIn, Session};

/// COPY … FROM STDIN. On an error nothing is applied; what the client still sends is dropped by the
/// connection's loop (or skipped up to Sync), as PostgreSQL does it.
pub(crate) async fn copy_in(
    wire: &mut Wire,
    session: &mut Session,
    mut copy: CopyIn,
) -> Result<String, Fault> {
    let columns = copy.columns.len();
    wire.send(&CopyInResponse::new(0, columns as i16, vec![0; columns]))?;
    let mut decoder = Decoder::new(&copy.columns, &copy.format, session.zone());
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
async fn pass_rows(wire: &mut Wire, decoder: &mut Decoder, copy: &mut CopyIn) -> Result<(), Fault> {
    while let Some(batch) = decoder.next_batch()? {
        wire.run(copy.rows(batch)).await?;
    }
    Ok(())
}

/// COPY … TO STDOUT: a CopyData message a line.
pub(crate) async fn copy_out(
    wire: &mut Wire,
    columns: &[Column],
    mut rows: Rows,
    format: &CopyFormat,
) -> Result<String, Fault> {
    wire.send(&CopyOutResponse::new(0, columns.len() as i16, vec![0; columns.len()]))?;
    let mut encoder = Encoder::new(format);
    let zone = rows.zone().clone();
    if format.header {
        write_line(wire.output(), |out| encoder.header(columns, out));
    }
    let mut count = 0u64;
    while let Some((batch, _)) = rows.next(wire).await? {
        let values = encoder.columns(&batch, &zone)?;
        for row in 0..batch.num_rows() {
            write_line(wire.output(), |out| encoder.line(&values, row, out));
            if wire.is_full() {
                wire.flush().await?;
            }
        }
        count += batch.num_rows() as u64;
    }
    wire.send(&CopyDone::new())?;
    Ok(format!("COPY {count}"))
}

/// Writes a CopyData message around what `write` writes.
fn write_line(out: &mut BytesMut, write: impl FnOnce(&mut BytesMut)) {
    out.put_u8(b'd');
    let start = out.len();
    out.put_u32(0);
    write(out);
    let length = (out.len() - start) as u32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}
