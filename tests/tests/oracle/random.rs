//! Seeded runs of random scripts; what fails is shrunk, printed and kept.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};
use tokio::runtime::Runtime;

use crate::cluster::Size;
use crate::judge::{Seen, judge};
use crate::script::{Script, script};

/// Planted bugs hold for the whole process: scripts run one at a time.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where tasks of servers run.
pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Where failures are kept.
pub(crate) fn kept_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("regressions")
}

fn runner(seed: u64, cases: u32) -> TestRunner {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 600, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

/// An endless row of scripts.
pub(crate) fn scripts(seed: u64) -> impl Iterator<Item = Script> {
    let mut runner = runner(seed, 1);
    std::iter::from_fn(move || script().new_tree(&mut runner).ok().map(|tree| tree.current()))
}

/// Runs so many scripts; panics with the smallest that fails, and keeps it.
fn run(seed: u64, cases: u32, size: Size) -> Seen {
    let runtime = runtime();
    let seen = Mutex::new(Seen::default());
    let outcome = runner(seed, cases).run(&script(), |script| {
        let mut seen = seen.lock().unwrap();
        runtime.block_on(judge(&script, size, &mut seen)).map_err(TestCaseError::fail)
    });
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(reason, script)) => {
            let file = kept_folder().join(format!("seed-{seed}-{size}.sql"));
            std::fs::write(&file, format!("-- processes and workers {size}\n{script:?}\n")).unwrap();
            panic!("seed {seed}, {size}, kept as {}:\n{script:?}\n{reason}", file.display());
        }
        Err(TestError::Abort(reason)) => panic!("seed {seed}: {reason}"),
    }
    seen.into_inner().unwrap()
}

/// How many times more scripts at night.
fn effort() -> u32 {
    if std::env::var_os("MILLRACE_NIGHTLY").is_some() { 20 } else { 1 }
}

fn seed_from_environment(default: u64) -> u64 {
    std::env::var("MILLRACE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(default)
}

#[test]
fn views_equal_their_queries_and_their_subscriptions() {
    let _alone = alone();
    for (number, size) in (21..).zip(Size::ALL) {
        let seed = seed_from_environment(number);
        let cases = 200 * effort();
        let started = std::time::Instant::now();
        let seen = run(seed, cases, size);
        println!("seed {seed}, {size}, {:?}: {seen:?}", started.elapsed());
        let enough = |found: usize, hundredths: usize| found * 100 >= seen.views * hundredths;
        assert!(
            enough(seen.non_empty, 50) && enough(seen.with_retractions, 15) && enough(seen.in_error, 5),
            "a weak generator: {seen:?}"
        );
        assert!(seen.restarts * 4 > seen.scripts, "too few restarts: {seen:?}");
        assert!(seen.losses * 5 > seen.scripts, "workers are lost too seldom: {seen:?}");
        assert!(seen.refused_texts * 2 < seen.commits, "too many texts are refused: {seen:?}");
        assert!(seen.refused_views * 10 < seen.views, "too many views are refused: {seen:?}");
    }
}
