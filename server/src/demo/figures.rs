//! What the terminal shows: what to type elsewhere, then a line of figures each second.

use std::io::{IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::cli::DemoArguments;
use crate::start::StartError;

/// What has happened since the last line.
#[derive(Default)]
pub(super) struct Figures(Mutex<Since>);

#[derive(Default)]
struct Since {
    sent: u64,
    ages: Vec<Duration>,
}

impl Figures {
    /// So many readings were acknowledged.
    pub(super) fn sent(&self, count: u64) {
        self.with(|since| since.sent += count);
    }

    /// A reading was that old when a subscriber of the view had it.
    pub(super) fn came(&self, age: Duration) {
        self.with(|since| since.ages.push(age));
    }

    /// Shows the last second; on a terminal in the place of the line before.
    pub(super) fn show(&self, state_bytes: usize) -> Result<(), StartError> {
        let line = line(&self.with(std::mem::take), state_bytes);
        let mut out = std::io::stdout().lock();
        let text = if out.is_terminal() { format!("\r\x1b[K{line}") } else { format!("{line}\n") };
        write(&mut out, &text)
    }

    fn with<T>(&self, change: impl FnOnce(&mut Since) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn write(out: &mut std::io::StdoutLock<'_>, text: &str) -> Result<(), StartError> {
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|error| StartError::system(format!("cannot show the figures: {error}")))
}

fn line(since: &Since, state_bytes: usize) -> String {
    let mut ages = since.ages.clone();
    ages.sort_unstable();
    let p99 = ages.len().checked_sub(1).map(|last| ages[last * 99 / 100]);
    let fresh = p99.map_or("-".to_owned(), |age| format!("{:.1} ms", age.as_secs_f64() * 1e3));
    let state = state_bytes as f64 / f64::from(1 << 20);
    format!("{} readings/s | fresh within {fresh} (p99) | state {state:.1} MiB", since.sent)
}

/// Tells what there is to see, and how.
pub(super) fn announce(
    arguments: &DemoArguments,
    pg: SocketAddr,
    http: SocketAddr,
) -> Result<(), StartError> {
    let text = format!(
        "millrace: listening for PostgreSQL clients on {pg}\n\
         millrace: listening for HTTP on {http}\n\
         millrace: {} sensors send {} readings a second; all of it goes when you stop it with Ctrl-C\n\
         \n\
         In another terminal:\n\
         \n\
         \x20 psql -h {} -p {} -d millrace\n\
         \x20   SELECT * FROM board ORDER BY name;\n\
         \x20   SELECT * FROM per_minute WHERE sensor = 2 ORDER BY minute DESC LIMIT 5;\n\
         \x20   SELECT * FROM outliers ORDER BY at DESC LIMIT 5;\n\
         \x20   COPY (SUBSCRIBE outliers) TO STDOUT;\n\
         \n\
         \x20 curl -N http://{http}/v1/subscribe/outliers\n\
         \x20 curl http://{http}/v1/sql -H 'Content-Type: application/json' -d '{{\"query\": \"TABLE board\"}}'\n\
         \x20 curl http://{http}/metrics\n\
         \n",
        arguments.sensors,
        arguments.rate,
        pg.ip(),
        pg.port(),
    );
    write(&mut std::io::stdout().lock(), &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_the_last_second() {
        let ages = (1..=200).map(Duration::from_millis).collect();
        let since = Since { sent: 1_000, ages };
        assert_eq!(line(&since, 3 << 19), "1000 readings/s | fresh within 198.0 ms (p99) | state 1.5 MiB");
        assert_eq!(line(&Since::default(), 0), "0 readings/s | fresh within - (p99) | state 0.0 MiB");
    }
}
