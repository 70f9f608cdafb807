//! The first bytes of a connection: both sides show that they have the cluster's secret and speak one version.
//!
//! ```text
//!   who accepts   ──▶ MAGIC, its random bytes
//!   who connects  ──▶ MAGIC, its random bytes, Hello, proof over both sides' bytes and Hello
//!   who accepts   ──▶ Answer, proof over both sides' bytes and Answer
//! ```
//! Invariants: nothing of a stranger is read beyond its proof, which comes within `TIME` and is at most `HELLO_MAX` long;
//! a proof holds for one connection, since either side's random bytes are in it.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::PROTOCOL;
use super::secret::MeshSecret;
use crate::log::{OsRandom, Random};

/// How long the whole may take.
pub(super) const TIME: Duration = Duration::from_secs(5);

const MAGIC: [u8; 8] = *b"MILLRACE";

/// A proof takes so many bytes, and so do each side's random ones.
const PROOF: usize = 32;

/// The longest hello or answer.
const HELLO_MAX: usize = 1024;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Purpose {
    /// Commands from process 0, and answers to it.
    Control,
    /// Timely's data between two processes, in the generation of this number that process 0 has formed since it
    /// started under the other.
    Data { incarnation: u64, generation: u64 },
}

/// What whoever connects says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hello {
    pub(super) protocol: u32,
    pub(super) version: String,
    pub(super) purpose: Purpose,
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) processes: usize,
    /// Worker threads of each process.
    pub(super) workers: usize,
}

/// What it is answered; the text says why not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Answer {
    Welcome,
    Refused(String),
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The other side has the secret, and another idea of the cluster: trying again is of no use.
    Disagrees(String),
    /// Anything else.
    Failed(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        Refusal::Failed(error)
    }
}

/// Takes a connection that came in. `check` says why a hello with a good proof is refused all the same.
pub(super) fn accept(
    stream: &TcpStream,
    secret: &MeshSecret,
    check: impl FnOnce(&Hello) -> std::result::Result<(), String>,
) -> std::result::Result<Hello, Refusal> {
    let mut wire = Wire::new(stream);
    let ours = random();
    wire.write(&[&MAGIC, &ours])?;
    let theirs = wire.greeting()?;
    let hello = wire.part()?;
    wire.proof(&secret.proof("connect", &[&ours, &theirs, &hello]))?;
    let hello: Hello = decoded(&hello)?;
    let checked = check(&hello);
    let answer = match &checked {
        Ok(()) => Answer::Welcome,
        Err(reason) => Answer::Refused(reason.clone()),
    };
    let answer = encoded(&answer)?;
    let proof = secret.proof("accept", &[&theirs, &ours, &answer]);
    wire.write(&[&(answer.len() as u16).to_le_bytes(), &answer, proof.as_bytes()])?;
    checked.map(|()| hello).map_err(Refusal::Disagrees)
}

/// Introduces us on a connection that we have opened.
pub(super) fn connect(
    stream: &TcpStream,
    secret: &MeshSecret,
    hello: &Hello,
) -> std::result::Result<(), Refusal> {
    let mut wire = Wire::new(stream);
    let ours = random();
    let theirs = wire.greeting()?;
    let hello = encoded(hello)?;
    let proof = secret.proof("connect", &[&theirs, &ours, &hello]);
    wire.write(&[&MAGIC, &ours, &(hello.len() as u16).to_le_bytes(), &hello, proof.as_bytes()])?;
    let answer = wire.part().map_err(|error| match error.kind() {
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset => {
            Error::new(error.kind(), "the other side did not accept our proof: do all have the same secret?")
        }
        _ => error,
    })?;
    wire.proof(&secret.proof("accept", &[&ours, &theirs, &answer]))?;
    match decoded(&answer)? {
        Answer::Welcome => Ok(()),
        Answer::Refused(reason) => Err(Refusal::Disagrees(reason)),
    }
}

impl Hello {
    /// Why whoever says this does not fit to process `to` of such a cluster.
    pub(super) fn check(&self, own: &Hello) -> std::result::Result<(), String> {
        let fits = |what: &str, theirs: &dyn std::fmt::Display, ours: &dyn std::fmt::Display| {
            let (theirs, ours) = (theirs.to_string(), ours.to_string());
            if theirs == ours {
                return Ok(());
            }
            Err(format!("process {} has {what} {theirs}, process {} has {ours}", self.from, own.from))
        };
        fits("protocol", &self.protocol, &own.protocol)?;
        fits("version", &self.version, &own.version)?;
        fits("--workers", &self.workers, &own.workers)?;
        if self.processes != own.processes {
            let (theirs, ours) = (self.processes, own.processes);
            return Err(format!(
                "process {} has {theirs} addresses in --peers, process {} has {ours}",
                self.from, own.from
            ));
        }
        if self.to != own.from || self.from >= self.processes || self.from == self.to {
            let (from, to, own) = (self.from, self.to, own.from);
            return Err(format!(
                "process {from} looked for process {to} where process {own} is: check --peers"
            ));
        }
        Ok(())
    }

    /// Of process `from`.
    pub(super) fn new(from: usize, to: usize, processes: usize, workers: usize, purpose: Purpose) -> Hello {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        Hello { protocol: PROTOCOL, version, purpose, from, to, processes, workers }
    }
}

fn encoded<T: Serialize>(part: &T) -> Result<Vec<u8>> {
    let bytes = postcard::to_stdvec(part).map_err(Error::other)?;
    if bytes.len() > HELLO_MAX {
        return Err(Error::other("a part of the handshake is too long"));
    }
    Ok(bytes)
}

fn decoded<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    postcard::from_bytes(bytes).map_err(|error| Error::new(ErrorKind::InvalidData, error))
}

fn random() -> [u8; PROOF] {
    let mut bytes = [0; PROOF];
    bytes.chunks_exact_mut(8).for_each(|chunk| chunk.copy_from_slice(&OsRandom.next_u64().to_le_bytes()));
    bytes
}

/// A connection, read and written before a deadline.
struct Wire<'a> {
    stream: &'a TcpStream,
    deadline: Instant,
}

impl Wire<'_> {
    fn new(stream: &TcpStream) -> Wire<'_> {
        Wire { stream, deadline: Instant::now() + TIME }
    }

    /// What is left of the time. It is never zero, which would mean for ever.
    fn left(&self) -> Result<Duration> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Error::new(ErrorKind::TimedOut, "the handshake took too long"));
        }
        Ok(left)
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<()> {
        let mut filled = 0;
        while filled < buffer.len() {
            self.stream.set_read_timeout(Some(self.left()?))?;
            match self.stream.read(&mut buffer[filled..]) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => filled += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn write(&mut self, parts: &[&[u8]]) -> Result<()> {
        self.stream.set_write_timeout(Some(self.left()?))?;
        self.stream.write_all(&parts.concat())
    }

    /// The other side's random bytes, behind the magic ones.
    fn greeting(&mut self) -> Result<[u8; PROOF]> {
        let mut magic = [0; MAGIC.len()];
        self.read(&mut magic)?;
        if magic != MAGIC {
            return Err(Error::new(ErrorKind::InvalidData, "it does not speak our protocol"));
        }
        let mut bytes = [0; PROOF];
        self.read(&mut bytes)?;
        Ok(bytes)
    }

    fn part(&mut self) -> Result<Vec<u8>> {
        let mut length = [0; 2];
        self.read(&mut length)?;
        let length = usize::from(u16::from_le_bytes(length));
        if length > HELLO_MAX {
            return Err(Error::new(ErrorKind::InvalidData, "a part of the handshake is too long"));
        }
        let mut bytes = vec![0; length];
        self.read(&mut bytes)?;
        Ok(bytes)
    }

    fn proof(&mut self, expected: &blake3::Hash) -> Result<()> {
        let mut bytes = [0; PROOF];
        self.read(&mut bytes)?;
        // `Hash` compares in constant time.
        if blake3::Hash::from_bytes(bytes) == *expected {
            return Ok(());
        }
        Err(Error::new(ErrorKind::PermissionDenied, "it does not have the cluster's secret"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::net::{Shutdown, TcpListener};

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let opened = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (opened, listener.accept().unwrap().0)
    }

    fn secret(text: &str) -> MeshSecret {
        MeshSecret::new(text.as_bytes()).unwrap()
    }

    fn hello(from: usize, workers: usize) -> Hello {
        Hello::new(from, 1 - from, 2, workers, Purpose::Control)
    }

    /// What both sides make of it: who connects, then who accepts.
    fn shake(theirs: &str, workers: usize) -> [std::result::Result<(), String>; 2] {
        let (opened, accepted) = pair();
        let theirs = secret(theirs);
        let connecting = std::thread::spawn(move || connect(&opened, &theirs, &hello(1, workers)));
        let taken = accept(&accepted, &secret("a secret of the cluster"), |said| said.check(&hello(0, 2)));
        drop(accepted);
        let text = |refusal| match refusal {
            Refusal::Disagrees(reason) => reason,
            Refusal::Failed(error) => error.to_string(),
        };
        [connecting.join().unwrap().map_err(text), taken.map(drop).map_err(text)]
    }

    #[test]
    fn who_has_the_secret_and_agrees_is_let_in() {
        assert_eq!(shake("a secret of the cluster", 2), [Ok(()), Ok(())]);
    }

    #[test]
    fn both_learn_why_they_do_not_agree() {
        let reason = Err("process 1 has --workers 3, process 0 has 2".to_owned());
        assert_eq!(shake("a secret of the cluster", 3), [reason.clone(), reason]);
    }

    #[test]
    fn another_secret_is_refused() {
        let [theirs, ours] = shake("a secret of another one", 2);
        assert_eq!(ours, Err("it does not have the cluster's secret".to_owned()));
        assert!(theirs.unwrap_err().contains("same secret"));
    }

    #[test]
    fn what_was_said_once_cannot_be_said_again() {
        let (opened, accepted) = pair();
        let own = secret("a secret of the cluster");
        let said = {
            // Listens to what a member says, by taking the other side's place.
            let key = own.clone();
            let member = std::thread::spawn(move || drop(connect(&opened, &key, &hello(1, 2))));
            (&accepted).write_all(&[&MAGIC[..], &[7; PROOF]].concat()).unwrap();
            let mut said = vec![0; 1_000];
            let mut length = 0;
            while length < MAGIC.len() + 2 * PROOF + 2 + encoded(&hello(1, 2)).unwrap().len() {
                length += (&accepted).read(&mut said[length..]).unwrap();
            }
            accepted.shutdown(Shutdown::Both).unwrap();
            member.join().unwrap();
            said.truncate(length);
            said
        };
        let (mut again, accepted) = pair();
        again.write_all(&said).unwrap();
        let refused = accept(&accepted, &own, |_| Ok(())).unwrap_err();
        assert!(matches!(refused, Refusal::Failed(error) if error.kind() == ErrorKind::PermissionDenied));
    }

    #[test]
    fn a_stranger_is_told_nothing_and_costs_little() {
        for bytes in
            [&b"GET / HTTP/1.1\r\n\r\n"[..], b"MILLRACE", b"", &[b"MILLRACE", &[255; 60][..]].concat()]
        {
            let (mut opened, accepted) = pair();
            opened.write_all(bytes).unwrap();
            opened.shutdown(Shutdown::Write).unwrap();
            assert!(accept(&accepted, &secret("a secret of the cluster"), |_| Ok(())).is_err());
        }
    }
}
