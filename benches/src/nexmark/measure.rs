//! What a process is asked to measure and what it answers: clocks and memory as Linux tells them.

use std::process::Command;
use std::time::{Duration, Instant};

use millrace_benches::cpu_time;

use crate::consumer::Seen;
use crate::queries::Query;

/// Which program runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Side {
    /// Our engine.
    Ours,
    /// The same with one worker.
    OursAlone,
    /// The same in two processes with a worker each.
    OursInTwo,
    /// The hand-written program.
    Theirs,
}

/// What is measured: not both in one run, because events that stand ready would count as memory, and
/// their making as time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum What {
    /// Wall clock and CPU time; all events stand ready before the clock starts.
    Time,
    /// The peak of memory; events are made a few ticks before they are needed.
    Memory,
}

impl Side {
    /// Both sides.
    pub(crate) const BOTH: [Side; 2] = [Side::Ours, Side::Theirs];

    /// Our engine in all its sizes.
    pub(crate) const SIZES: [Side; 3] = [Side::OursAlone, Side::Ours, Side::OursInTwo];

    const ALL: [Side; 4] = [Side::Ours, Side::OursAlone, Side::OursInTwo, Side::Theirs];

    fn name(self) -> &'static str {
        match self {
            Side::Ours => "ours",
            Side::OursAlone => "ours-alone",
            Side::OursInTwo => "ours-in-two",
            Side::Theirs => "theirs",
        }
    }

    fn named(name: &str) -> Option<Side> {
        Side::ALL.into_iter().find(|side| side.name() == name)
    }
}

impl What {
    fn name(self) -> &'static str {
        match self {
            What::Time => "time",
            What::Memory => "memory",
        }
    }

    fn named(name: &str) -> Option<What> {
        [What::Time, What::Memory].into_iter().find(|what| what.name() == name)
    }
}

/// One measurement.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) what: What,
    pub(crate) side: Side,
    pub(crate) query: Query,
    /// How many events, and the profile's name.
    pub(crate) events: u64,
    pub(crate) profile: String,
}

/// The first argument of a process that is to measure.
const MEASURE: &str = "measure";

impl Order {
    /// What this process was asked for, if it is one that measures.
    pub(crate) fn from_arguments(arguments: &[String]) -> Option<Order> {
        let [first, what, side, query, events, profile] = arguments else { return None };
        (first == MEASURE).then_some(())?;
        Some(Order {
            what: What::named(what)?,
            side: Side::named(side)?,
            query: Query::named(query)?,
            events: events.parse().ok()?,
            profile: profile.clone(),
        })
    }

    /// Has a process of its own do it, so that its CPU time and peak memory are its own.
    ///
    /// # Panics
    /// Where that process fails.
    pub(crate) fn carry_out(&self) -> Measured {
        let program = std::env::current_exe().expect("this program's path");
        let events = self.events.to_string();
        let arguments =
            [MEASURE, self.what.name(), self.side.name(), self.query.name(), &events, &self.profile];
        let output = Command::new(program).args(arguments).output().expect("this program starts again");
        let line = String::from_utf8_lossy(&output.stdout);
        Measured::from_line(line.trim())
            .unwrap_or_else(|| panic!("{self:?}: {line}\n{}", String::from_utf8_lossy(&output.stderr)))
    }
}

/// What one measurement says, as the words of one line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Measured {
    /// From the first event to the last change.
    pub(crate) elapsed: Duration,
    /// User and system time of all threads meanwhile.
    pub(crate) cpu: Duration,
    /// The process's peak above what it held at the start, in MiB.
    pub(crate) peak_mib: f64,
    /// Changes that the consumer saw.
    pub(crate) changes: u64,
    /// Of the final rows.
    pub(crate) fingerprint: u64,
}

impl Measured {
    /// The line of the process that measured.
    pub(crate) fn to_line(self) -> String {
        let (elapsed, cpu) = (self.elapsed.as_secs_f64(), self.cpu.as_secs_f64());
        format!("{elapsed} {cpu} {} {} {}", self.peak_mib, self.changes, self.fingerprint)
    }

    fn from_line(line: &str) -> Option<Measured> {
        let words: Vec<&str> = line.split(' ').collect();
        let [elapsed, cpu, peak, changes, fingerprint] = words.as_slice() else { return None };
        Some(Measured {
            elapsed: Duration::from_secs_f64(elapsed.parse().ok()?),
            cpu: Duration::from_secs_f64(cpu.parse().ok()?),
            peak_mib: peak.parse().ok()?,
            changes: changes.parse().ok()?,
            fingerprint: fingerprint.parse().ok()?,
        })
    }
}

/// Wall clock, CPU time and memory of this process since a moment.
pub(crate) struct Meter {
    started: Instant,
    cpu: Duration,
    memory_kib: u64,
}

impl Meter {
    /// From now on.
    pub(crate) fn start() -> Meter {
        // Lets the peak begin anew; where that is not allowed, it includes making the events.
        let _ = std::fs::write("/proc/self/clear_refs", "5");
        Meter { memory_kib: status_kib("VmRSS:"), cpu: cpu_time(), started: Instant::now() }
    }

    /// Until now, with what the consumer saw.
    pub(crate) fn stop(&self, seen: &Seen) -> Measured {
        Measured {
            elapsed: self.started.elapsed(),
            cpu: cpu_time() - self.cpu,
            peak_mib: status_kib("VmHWM:").saturating_sub(self.memory_kib) as f64 / 1024.0,
            changes: seen.changes(),
            fingerprint: seen.fingerprint(),
        }
    }
}

/// A line of /proc/self/status, in KiB.
fn status_kib(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
