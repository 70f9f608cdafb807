//! A channel: frames between process 0 and another process, in order, and signs of life.
//!
//! What waits to be sent has no bound of its own: commits wait while more than `--lag-bytes` of them are not
//! applied, and rows are sent only where a reader has asked for them.

use std::io::{self, BufReader, BufWriter, ErrorKind, Write};
use std::net::TcpStream;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};

use serde::de::DeserializeOwned;

use super::frame::{self, Frame};
use super::link::is_timeout;
use super::loss::{Ending, Loss, guarded};
use super::{BEAT, SILENCE};

type Writer = BufWriter<TcpStream>;

/// A frame that waits. The thread that sends it makes it into bytes: who tells something, a worker or a session,
/// does not wait for that.
trait Waiting: Send {
    fn write(&mut self, writer: &mut Writer) -> io::Result<()>;
}

impl<T: Frame + Send> Waiting for T {
    fn write(&mut self, writer: &mut Writer) -> io::Result<()> {
        frame::write(self, writer)
    }
}

/// The sending half.
#[derive(Clone)]
pub(crate) struct Outgoing {
    frames: Sender<Box<dyn Waiting>>,
}

impl Outgoing {
    /// Sends a frame. Where the generation is over it is dropped, as all that waits is.
    pub(crate) fn send(&self, frame: impl Frame + Send + 'static) {
        let _ = self.frames.send(Box::new(frame));
    }
}

/// Begins to send on a connection to a peer, with a thread of its own.
///
/// # Errors
/// Where the thread cannot be started or the connection is gone.
pub(crate) fn open(peer: usize, socket: &TcpStream, ending: &Ending) -> io::Result<Outgoing> {
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(SILENCE))?;
    socket.set_write_timeout(Some(SILENCE))?;
    ending.guard(socket.try_clone()?);
    let (frames, waiting) = mpsc::channel();
    let (socket, ending) = (socket.try_clone()?, ending.clone());
    std::thread::Builder::new().name(format!("mesh:send-{peer}")).spawn(move || {
        guarded("what another process is told", &ending, || {
            if let Err(error) = write_frames(socket, &waiting) {
                let reason = format!("process {peer} cannot be told anything any more: {error}");
                ending.end(Loss::of_peer(reason));
            }
        });
    })?;
    Ok(Outgoing { frames })
}

fn write_frames(socket: TcpStream, waiting: &Receiver<Box<dyn Waiting>>) -> io::Result<()> {
    let mut writer = BufWriter::with_capacity(1 << 16, socket);
    loop {
        match waiting.recv_timeout(BEAT) {
            Ok(mut frame) => frame.write(&mut writer)?,
            Err(RecvTimeoutError::Timeout) => frame::write_beat(&mut writer)?,
            Err(RecvTimeoutError::Disconnected) => return writer.flush(),
        }
        while let Ok(mut frame) = waiting.try_recv() {
            frame.write(&mut writer)?;
        }
        writer.flush()?;
    }
}

/// Gives each frame that comes to `take_in`, until the generation is over: then tells its end.
pub(crate) fn read_frames<T: Frame + DeserializeOwned>(
    peer: usize,
    socket: TcpStream,
    ending: &Ending,
    mut take_in: impl FnMut(T) -> io::Result<()>,
) {
    let mut reader = BufReader::with_capacity(1 << 16, socket);
    let error = loop {
        match frame::read(&mut reader) {
            Ok(None) => {}
            Ok(Some(frame)) => {
                if let Err(error) = take_in(frame) {
                    break error;
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => break error,
        }
    };
    let why = match error.kind() {
        ErrorKind::UnexpectedEof => "it has closed its connection".to_owned(),
        _ if is_timeout(&error) => "nothing came from it for too long".to_owned(),
        _ => error.to_string(),
    };
    ending.end(Loss::of_peer(format!("process {peer} is lost: {why}")));
}
