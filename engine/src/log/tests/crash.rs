//! Crashes at every operation and disks that fail, judged by a ledger that knows nothing of the
//! log's insides: what was acknowledged, and what was tried since.

use super::*;
use crate::log::simulated::{EIO, ENOSPC, Operation};

/// What a client knows.
#[derive(Default)]
struct Ledger {
    acknowledged: Vec<Record>,
    /// Shown by a log that opened read-only: firm once something else is acknowledged.
    shown: Vec<Record>,
    /// Groups that were tried after the last acknowledgement.
    in_doubt: Vec<Vec<Record>>,
}

impl Ledger {
    /// Appends a group and notes the answer; answers the SQLSTATE if it failed.
    fn append(&mut self, log: &mut Log, group: Vec<Record>) -> Option<&'static str> {
        match log.append_group(&group) {
            Ok(()) => {
                self.acknowledged.append(&mut self.shown);
                self.acknowledged.extend(group);
                self.in_doubt.clear();
                None
            }
            Err(error) => {
                self.in_doubt.push(group);
                Some(error.sqlstate)
            }
        }
    }

    /// All that was acknowledged is there, once and in order; of the rest at most the first
    /// records of one group. What was seen stays, unless the disk lets nothing be written.
    fn check(&mut self, log: &Log, replayed: Vec<Record>, context: &str) {
        let known = self.acknowledged.len();
        assert!(replayed.len() >= known, "{context}: {known} acknowledged, {} found", replayed.len());
        assert_eq!(replayed[..known], self.acknowledged, "{context}");
        let more = &replayed[known..];
        self.in_doubt.push(Vec::new());
        let possible = |group: &Vec<Record>| [self.shown.as_slice(), group].concat().starts_with(more);
        assert!(self.in_doubt.iter().any(possible), "{context}: unknown records");
        if log.is_read_only() {
            self.shown = more.to_vec();
        } else {
            self.acknowledged = replayed;
            self.shown.clear();
        }
        self.in_doubt.clear();
    }

    /// The next tick may follow this one.
    fn tick(&self) -> Tick {
        let last = |records: &Vec<Record>| records.last().map_or(0, |record| record.tick);
        self.in_doubt.iter().chain([&self.shown]).map(last).fold(last(&self.acknowledged), Tick::max)
    }
}

/// The end of a life: of the process, or by a power cut.
fn die(disk: &SimulatedDisk, random: &mut Seeded) {
    if random.below(2) == 0 { disk.restart_process() } else { disk.cut_power() }
}

/// Opens, replays, checks, appends some groups; ends early if the machine crashes.
fn live(disk: &SimulatedDisk, ledger: &mut Ledger, random: &mut Seeded, groups: u64, context: &str) {
    let (mut log, replayed) = match open(disk, random.next_u64()) {
        Ok(opened) => opened,
        Err(_) if disk.has_crashed() => return,
        Err(error) => panic!("{context}: {error}"),
    };
    assert_eq!(log.last_tick(), replayed.last().map_or(0, |record| record.tick), "{context}");
    ledger.check(&log, replayed, context);
    for _ in 0..groups {
        let group = group(random, &mut ledger.tick());
        let failed = ledger.append(&mut log, group);
        assert!(failed.is_none() || disk.has_crashed(), "{context}: {failed:?}");
    }
}

#[test]
fn a_crash_at_every_operation_loses_and_repeats_nothing() {
    let mut crashes = 0;
    for seed in 0..12 {
        for crash_in in 1.. {
            let context = format!("seed {seed}, crash {crash_in}");
            let disk = SimulatedDisk::new(seed ^ crash_in << 8);
            if seed.is_multiple_of(3) {
                disk.write_short();
            }
            let (mut ledger, mut random) = (Ledger::default(), Seeded(seed));
            disk.crash_in(crash_in);
            live(&disk, &mut ledger, &mut random, 12, &context);
            if !disk.has_crashed() {
                assert!(crash_in > 30, "the script does something");
                break;
            }
            crashes += 1;
            // Lives of which some crash again while they recover.
            let mut random = Seeded(seed ^ crash_in << 20);
            for _ in 0..4 {
                die(&disk, &mut random);
                disk.crash_in(1 + random.below(25));
                live(&disk, &mut ledger, &mut random, 3, &context);
            }
            die(&disk, &mut random);
            live(&disk, &mut ledger, &mut random, 2, &context);
        }
    }
    assert!(crashes > 500, "{crashes}");
}

#[test]
fn the_ledger_notices_a_disk_that_does_not_sync() {
    let noticed = (0..40).filter(|seed| {
        let result = std::panic::catch_unwind(|| {
            let disk = SimulatedDisk::new(*seed);
            let (mut ledger, mut random) = (Ledger::default(), Seeded(*seed));
            live(&disk, &mut ledger, &mut random, 1, "control");
            disk.lie();
            live(&disk, &mut ledger, &mut random, 6, "control");
            disk.cut_power();
            live(&disk, &mut ledger, &mut random, 1, "control");
        });
        result.is_err()
    });
    assert!(noticed.count() > 20);
}

/// Runs a script of 14 groups in which `fault` is set after the log is open; then restarts in each
/// way. Answers the SQLSTATEs of the groups that failed.
fn with_fault(seed: u64, context: &str, fault: impl Fn(&SimulatedDisk)) -> Vec<&'static str> {
    let (disk, mut ledger, mut random) = (SimulatedDisk::new(seed), Ledger::default(), Seeded(seed));
    live(&disk, &mut ledger, &mut random, 2, context);
    let (mut log, replayed) = open(&disk, seed).unwrap();
    ledger.check(&log, replayed, context);
    fault(&disk);
    let mut failed = Vec::new();
    for index in 0..14 {
        if index == 10 {
            disk.heal();
        }
        let group = group(&mut random, &mut ledger.tick());
        let answer = ledger.append(&mut log, group);
        assert_eq!(log.is_read_only(), answer.is_some(), "{context}");
        assert!(index < 10 || answer.is_none(), "{context}: it heals without a restart");
        failed.extend(answer);
        if seed.is_multiple_of(2) && index == seed % 14 {
            break;
        }
    }
    disk.heal();
    die(&disk, &mut random);
    live(&disk, &mut ledger, &mut random, 2, context);
    die(&disk, &mut random);
    live(&disk, &mut ledger, &mut random, 0, context);
    failed
}

#[test]
fn one_failing_fsync_or_write_anywhere_is_survived() {
    for operation in [Operation::Sync, Operation::Write, Operation::Name] {
        for (nth, seed) in (0..60).flat_map(|nth| (0..6).map(move |seed| (nth, seed))) {
            let context = format!("{operation:?} {nth}, seed {seed}");
            let failed = with_fault(seed, &context, |disk| disk.fail(operation, nth, 1, EIO));
            assert!(failed.len() <= 1, "{context}: {failed:?}");
            assert!(failed.iter().all(|sqlstate| *sqlstate == "58030"), "{context}");
        }
    }
}

#[test]
fn the_first_failing_fsync_of_a_commit_is_not_even_noticed() {
    let disk = SimulatedDisk::new(1);
    let (mut log, _) = open(&disk, 1).unwrap();
    let mut ledger = Ledger::default();
    let mut random = Seeded(1);
    for _ in 0..5 {
        disk.fail(Operation::Sync, 0, 1, EIO);
        let group = group(&mut random, &mut ledger.tick());
        assert_eq!(ledger.append(&mut log, group), None);
    }
    disk.cut_power();
    let (log, replayed) = open(&disk, 2).unwrap();
    ledger.check(&log, replayed, "after a power cut");
}

#[test]
fn a_disk_that_fails_for_a_while_is_survived() {
    for operation in [Operation::Sync, Operation::Write, Operation::Name] {
        for (count, seed) in (2..40).flat_map(|count| (0..6).map(move |seed| (count, seed))) {
            let context = format!("{count} times {operation:?}, seed {seed}");
            with_fault(seed, &context, |disk| disk.fail(operation, seed * 3, count, EIO));
        }
    }
}

#[test]
fn a_full_disk_refuses_with_its_own_sqlstate_and_heals() {
    let mut refused = 0;
    for (room, seed) in (0..40).flat_map(|step| (0..6).map(move |seed| (step * 300, seed))) {
        let context = format!("room {room}, seed {seed}");
        let failed = with_fault(seed, &context, |disk| disk.leave_room(room));
        assert!(failed.iter().all(|sqlstate| *sqlstate == "53100"), "{context}: {failed:?}");
        refused += failed.len();
    }
    assert!(refused > 200, "{refused}");
}

#[test]
fn a_log_on_a_full_or_refusing_disk_opens_for_reading_and_heals() {
    for seed in 0..40 {
        let (disk, mut ledger, mut random) = (SimulatedDisk::new(seed), Ledger::default(), Seeded(seed));
        live(&disk, &mut ledger, &mut random, 5, "before");
        if seed.is_multiple_of(2) {
            disk.leave_room(0);
        } else {
            disk.fail(Operation::Name, 0, u64::MAX, EIO);
        }
        let (mut log, replayed) = open(&disk, seed).unwrap();
        assert!(log.is_read_only());
        ledger.check(&log, replayed, "full");
        let refused = group(&mut random, &mut ledger.tick());
        let sqlstate = if seed.is_multiple_of(2) { "53100" } else { "58030" };
        assert_eq!(ledger.append(&mut log, refused), Some(sqlstate));
        disk.heal();
        let accepted = group(&mut random, &mut ledger.tick());
        assert_eq!(ledger.append(&mut log, accepted), None);
        die(&disk, &mut random);
        live(&disk, &mut ledger, &mut random, 1, "after");
    }
}

#[test]
fn a_killed_server_does_not_show_what_a_power_cut_could_still_take() {
    for seed in 0..60 {
        let (disk, mut ledger, mut random) = (SimulatedDisk::new(seed), Ledger::default(), Seeded(seed));
        live(&disk, &mut ledger, &mut random, 3, "before");
        let (mut log, replayed) = open(&disk, seed).unwrap();
        ledger.check(&log, replayed, "before");
        // The commit is in the page cache, no fsync has it, and no later fsync of that file would.
        disk.fail(Operation::Sync, 0, u64::MAX, EIO);
        disk.fail(Operation::Name, 0, u64::MAX, EIO);
        let lost = group(&mut random, &mut ledger.tick());
        assert_eq!(ledger.append(&mut log, lost), Some("58030"));
        drop(log);
        disk.heal();
        disk.restart_process();
        let (log, replayed) = open(&disk, seed).unwrap();
        ledger.check(&log, replayed, "after the kill");
        // What the restart showed is there for good.
        disk.cut_power();
        let (log, replayed) = open(&disk, seed).unwrap();
        ledger.check(&log, replayed, "after the power cut");
    }
}

#[test]
fn a_read_only_start_does_not_build_on_an_fsync_after_a_failed_one() {
    for seed in 0..60 {
        let (disk, mut ledger, mut random) = (SimulatedDisk::new(seed), Ledger::default(), Seeded(seed));
        live(&disk, &mut ledger, &mut random, 3, "before");
        let (mut log, replayed) = open(&disk, seed).unwrap();
        ledger.check(&log, replayed, "before");
        disk.fail(Operation::Sync, 0, u64::MAX, EIO);
        disk.fail(Operation::Name, 0, u64::MAX, EIO);
        let lost = group(&mut random, &mut ledger.tick());
        assert_eq!(ledger.append(&mut log, lost), Some("58030"));
        // The new process finds the group in the page cache, and syncs that report success.
        disk.heal();
        disk.restart_process();
        disk.fail(Operation::Name, 0, u64::MAX, EIO);
        let (mut log, replayed) = open(&disk, seed).unwrap();
        assert!(log.is_read_only());
        ledger.check(&log, replayed, "read-only");
        disk.heal();
        let accepted = group(&mut random, &mut ledger.tick());
        assert_eq!(ledger.append(&mut log, accepted), None);
        disk.cut_power();
        live(&disk, &mut ledger, &mut random, 1, "after the power cut");
    }
}

#[test]
fn what_a_read_only_start_shows_survives_a_power_cut() {
    for (seed, crash_in) in (0..40).flat_map(|seed| (1..4).map(move |crash_in| (seed, crash_in))) {
        let (disk, mut ledger, mut random) = (SimulatedDisk::new(seed), Ledger::default(), Seeded(seed));
        live(&disk, &mut ledger, &mut random, 3, "before");
        let (mut log, replayed) = open(&disk, seed).unwrap();
        ledger.check(&log, replayed, "before");
        disk.crash_in(crash_in);
        let group = group(&mut random, &mut ledger.tick());
        ledger.append(&mut log, group);
        disk.restart_process();
        disk.fail(Operation::Name, 0, u64::MAX, EIO);
        let (log, shown) = open(&disk, seed).unwrap();
        assert!(log.is_read_only());
        ledger.check(&log, shown.clone(), "read-only");
        disk.heal();
        disk.cut_power();
        assert_eq!(open(&disk, seed).unwrap().1, shown, "seed {seed}, crash {crash_in}");
    }
}

#[test]
fn random_lives_with_all_faults_lose_and_repeat_nothing() {
    for seed in 0..400 {
        let context = format!("seed {seed}");
        let (disk, mut ledger, mut random) = (SimulatedDisk::new(seed), Ledger::default(), Seeded(seed));
        for _ in 0..6 {
            live_with_faults(&disk, &mut ledger, &mut random, &context);
            disk.heal();
            die(&disk, &mut random);
        }
        live(&disk, &mut ledger, &mut random, 1, &context);
    }
}

/// A life in which anything may fail at any time.
fn live_with_faults(disk: &SimulatedDisk, ledger: &mut Ledger, random: &mut Seeded, context: &str) {
    if random.below(3) == 0 {
        disk.crash_in(1 + random.below(60));
    }
    if random.below(4) == 0 {
        let operation = [Operation::Sync, Operation::Write, Operation::Name][random.below(3) as usize];
        disk.fail(operation, random.below(6), 1 + random.below(4), EIO);
    }
    // A disk that fails while it is read back, or while a new log is made, is no start.
    let Ok((mut log, replayed)) = open(disk, random.next_u64()) else { return };
    ledger.check(&log, replayed, context);
    for _ in 0..random.below(12) {
        let operation = [Operation::Sync, Operation::Write, Operation::Name][random.below(3) as usize];
        match random.below(8) {
            0 => disk.fail(operation, random.below(6), 1 + random.below(8), EIO),
            1 => disk.fail(operation, random.below(6), 1 + random.below(8), ENOSPC),
            2 => disk.leave_room(random.below(6_000)),
            3 => disk.heal(),
            _ => {}
        }
        let group = group(random, &mut ledger.tick());
        ledger.append(&mut log, group);
    }
}
