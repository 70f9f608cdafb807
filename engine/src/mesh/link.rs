//! `Link`: a connection between two processes on which timely's data travels.
//!
//! ```text
//!   frame = length, u32 │ so many bytes of timely's stream          length 0: a sign of life
//! ```
//! Invariants: each side gives a sign of life every `BEAT`, so one from which nothing comes for `SILENCE` is dead, stopped or cut
//! off; timely's threads never see the connection break (`loss.rs` says why): once its generation is over, a link takes
//! what is written and says nothing, and a reader is kept waiting until no worker of this process is left.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use timely::communication::allocator::zero_copy::stream::Stream;

use super::loss::{Ending, Loss};
use super::{BEAT, SILENCE};

/// The longest frame.
const FRAME_MAX: usize = 1 << 20;

/// One end of a connection to another process. Clones are handles to the same.
pub(crate) struct Link {
    peer: usize,
    socket: TcpStream,
    writer: Arc<Mutex<Writer>>,
    ending: Ending,
    /// The bytes of the frame that is being read.
    unread: usize,
}

/// The writing half: whole frames, one at a time.
struct Writer {
    socket: TcpStream,
}

impl Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let length = (bytes.len() as u32).to_le_bytes();
        let mut parts = &mut [IoSlice::new(&length), IoSlice::new(bytes)][..];
        while !parts.is_empty() {
            match self.socket.write_vectored(parts) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut parts, written),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Link {
    /// Over a connection whose handshake is done.
    ///
    /// # Errors
    /// Where the system refuses the connection's settings.
    pub(crate) fn new(peer: usize, socket: TcpStream, ending: &Ending) -> io::Result<Link> {
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(SILENCE))?;
        socket.set_write_timeout(Some(SILENCE))?;
        ending.guard(socket.try_clone()?);
        let writer = Arc::new(Mutex::new(Writer { socket: socket.try_clone()? }));
        Ok(Link { peer, socket, writer, ending: ending.clone(), unread: 0 })
    }

    /// The beginning of the next frame that is no sign of life: its length; 0 at the end of the connection.
    fn next_frame(&mut self) -> io::Result<usize> {
        loop {
            let mut length = [0; 4];
            match self.socket.read(&mut length[..1])? {
                0 => return Ok(0),
                _ => self.socket.read_exact(&mut length[1..])?,
            }
            match u32::from_le_bytes(length) as usize {
                0 => {}
                length if length <= FRAME_MAX => return Ok(length),
                length => return Err(io::Error::other(format!("a frame of {length} bytes"))),
            }
        }
    }

    fn read_some(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.unread == 0 {
            self.unread = self.next_frame()?;
        }
        let wanted = buffer.len().min(self.unread);
        let count = self.socket.read(&mut buffer[..wanted])?;
        self.unread -= count;
        Ok(count)
    }

    fn broken(&self, why: &str) {
        self.ending.end(Loss::of_peer(format!("the connection to process {} is lost: {why}", self.peer)));
    }
}

impl Read for Link {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.read_some(buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Ok(count) if count > 0 => return Ok(count),
                Ok(_) => self.broken("it was closed"),
                Err(error) if is_timeout(&error) => self.broken("nothing came for too long"),
                Err(error) => self.broken(&error.to_string()),
            }
            self.ending.wait_released();
            return Err(ErrorKind::ConnectionAborted.into());
        }
    }
}

impl Write for Link {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let part = &buffer[..buffer.len().min(FRAME_MAX)];
        if !self.ending.is_over() && !part.is_empty() {
            let written = self.writer.lock().unwrap_or_else(PoisonError::into_inner).write(part);
            if let Err(error) = written {
                self.broken(&error.to_string());
            }
        }
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Link {
    fn try_clone(&self) -> io::Result<Link> {
        let socket = self.socket.try_clone()?;
        let writer = Arc::clone(&self.writer);
        Ok(Link { peer: self.peer, socket, writer, ending: self.ending.clone(), unread: 0 })
    }

    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.socket.set_nonblocking(nonblocking)
    }

    /// Does nothing: a generation's connections are shut down together.
    fn shutdown(&self, _how: Shutdown) -> io::Result<()> {
        Ok(())
    }
}

/// A read or write that took longer than the socket allows.
pub(crate) fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// Gives signs of life on all links until the end, on a thread of its own.
///
/// # Errors
/// Where the thread cannot be started.
pub(crate) fn keep_alive<'l>(links: impl Iterator<Item = &'l Link>, ending: &Ending) -> io::Result<()> {
    let writers: Vec<_> = links.map(|link| Arc::clone(&link.writer)).collect();
    let ending = ending.clone();
    let beat = move || {
        while !ending.wait_over(BEAT) {
            for writer in &writers {
                // One that is taken is being written to, which is a sign of life. An error is the writer's to tell.
                let mut writer = match writer.try_lock() {
                    Ok(writer) => writer,
                    Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                    Err(TryLockError::WouldBlock) => continue,
                };
                let _ = writer.write(&[]);
            }
        }
    };
    std::thread::Builder::new().name("mesh:beat".to_owned()).spawn(beat).map(drop)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::time::{Duration, Instant};

    fn links() -> ([Link; 2], [Ending; 2], TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let opened = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let accepted = listener.accept().unwrap().0;
        let endings = [Ending::default(), Ending::default()];
        let raw = opened.try_clone().unwrap();
        let links =
            [Link::new(1, opened, &endings[0]).unwrap(), Link::new(0, accepted, &endings[1]).unwrap()];
        (links, endings, raw)
    }

    #[test]
    fn bytes_pass_and_signs_of_life_do_not_show() {
        let ([mut one, mut other], endings, _raw) = links();
        keep_alive([&one, &other].into_iter(), &endings[0]).unwrap();
        let sent: Vec<u8> = (0..3_000_000u32).map(|number| number as u8).collect();
        let expected = sent.clone();
        let sending = std::thread::spawn(move || {
            for part in sent.chunks(700_001) {
                one.write_all(part).unwrap();
                std::thread::sleep(BEAT);
            }
            one
        });
        let mut got = vec![0; expected.len()];
        other.read_exact(&mut got).unwrap();
        assert!(got == expected);
        drop(sending.join().unwrap());
        endings[0].end(Loss::of_peer("done"));
    }

    #[test]
    fn silence_ends_a_generation_in_time_and_its_reader_waits_for_the_workers() {
        let ([one, mut other], [_, ending], _raw) = links();
        let began = Instant::now();
        let reading = std::thread::spawn(move || other.read(&mut [0; 8]).unwrap_err().kind());
        assert!(ending.wait_over(Duration::from_secs(60)));
        assert!(began.elapsed() >= SILENCE && ending.loss().unwrap().reason.contains("nothing came"));
        assert!(!reading.is_finished());
        ending.release();
        assert_eq!(reading.join().unwrap(), ErrorKind::ConnectionAborted);
        drop(one);
    }

    #[test]
    fn a_link_that_is_over_takes_what_is_written() {
        let ([mut one, other], [ending, _], raw) = links();
        drop(other);
        raw.shutdown(Shutdown::Both).unwrap();
        for _ in 0..3 {
            one.write_all(&[1; 5_000_000]).unwrap();
        }
        assert!(ending.loss().unwrap().reason.contains("process 1"));
    }
}
