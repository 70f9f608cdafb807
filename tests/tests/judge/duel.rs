//! The same random scripts against a private PostgreSQL and Millrace: what they answer is compared
//! (see `differences.rs` for what may differ), what fails is made small and printed.
//!
//! Some hundreds of scripts; `MILLRACE_NIGHTLY=1` runs 10,000. `MILLRACE_SEED` sets the first seed,
//! `MILLRACE_SCRIPTS` the number.

use std::time::Instant;

use millrace_tests::{PATIENCE, Postgres, Server};
use tokio::time::timeout;
use tokio_postgres::Client;

use crate::answer::{Answer, Failure, LOST, ask, execute, in_zone};
use crate::differences::{Verdict, compare};
use crate::minimise::minimise;
use crate::script::{Script, Step, script};

/// The largest share of queries, in hundredths, that may be refused with 0A000 when they are asked,
/// and as views. To be lowered with every form that lands.
const REFUSED_HUNDREDTHS_MAX: [usize; 2] = [2, 2];

/// So many defects are collected, and made small, before the test gives up, and so many of a kind.
const DEFECTS_MAX: usize = 8;
const DEFECTS_OF_A_KIND_MAX: usize = 3;

/// What scripts have shown.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    queries: usize,
    rows_equal: usize,
    of_these_not_empty: usize,
    errors_equal: usize,
    errors_of_data_with_other_codes: usize,
    only_our_errors_of_data: usize,
    only_their_errors_of_data: usize,
    refused: usize,
    refused_by_postgres: usize,
}

impl Seen {
    fn note(&mut self, verdict: &Verdict) {
        self.queries += 1;
        match verdict {
            Verdict::SameRows { some } => {
                self.rows_equal += 1;
                self.of_these_not_empty += usize::from(*some);
            }
            Verdict::SameError => self.errors_equal += 1,
            Verdict::OtherError => self.errors_of_data_with_other_codes += 1,
            Verdict::OnlyOurError => self.only_our_errors_of_data += 1,
            Verdict::OnlyTheirError => self.only_their_errors_of_data += 1,
            Verdict::Refused => self.refused += 1,
            Verdict::RefusedByPostgres => self.refused_by_postgres += 1,
            Verdict::Wrong { .. } => {}
        }
    }
}

/// A defect: the step that shows it, its kind, which minimising keeps, and both answers.
#[derive(Clone, Debug)]
pub(crate) struct Defect {
    pub(crate) step: usize,
    pub(crate) kind: String,
    pub(crate) text: String,
}

/// Both databases.
pub(crate) struct Duel {
    _postgres: Postgres,
    theirs: Client,
    server: Server,
    ours: Client,
    asked: Seen,
    views: Seen,
}

impl Duel {
    async fn start() -> Duel {
        let postgres = Postgres::start();
        let theirs = in_zone(postgres.connect().await).await;
        execute(&theirs, "SET statement_timeout = '20s'").await.unwrap();
        let server = Server::with_workers(2);
        let ours = in_zone(server.connect().await).await;
        let (asked, views) = (Seen::default(), Seen::default());
        Duel { _postgres: postgres, theirs, server, ours, asked, views }
    }

    /// Runs a script; the first defect, if any.
    pub(crate) async fn run(&mut self, script: &Script) -> Option<Defect> {
        let defect = self.steps(script).await;
        let tables: Vec<String> = (0..script.tables).map(|index| format!("t{index}")).collect();
        let drop = format!("DROP TABLE IF EXISTS {} CASCADE", tables.join(", "));
        // Those over no table do not go with the tables.
        let views: Vec<String> = (0..script.steps.len()).map(|step| format!("v{step}")).collect();
        let drop_views = format!("DROP MATERIALIZED VIEW IF EXISTS {} CASCADE", views.join(", "));
        // What a failed block leaves open ends first.
        execute(&self.theirs, "ROLLBACK").await.unwrap();
        execute(&self.theirs, &drop).await.unwrap();
        let mut ours = Ok(0);
        for sql in ["ROLLBACK", &drop_views, &drop] {
            ours = ours.and(self.execute(sql).await);
        }
        if ours.is_err() {
            self.server.restart();
            self.ours = in_zone(self.server.connect().await).await;
            self.execute(&drop_views).await.unwrap();
            self.execute(&drop).await.unwrap();
        }
        defect.or_else(|| {
            let failure = ours.err()?;
            let text = format!("Millrace: {} {}", failure.code, failure.message);
            Some(Defect { step: script.steps.len() - 1, kind: "the server at the end".to_owned(), text })
        })
    }

    async fn steps(&mut self, script: &Script) -> Option<Defect> {
        let mut views = Vec::new();
        for (step, what) in script.steps.iter().enumerate() {
            let verdict = match what {
                Step::Change(sql) => self.change(sql).await,
                Step::View(query) => {
                    let names: Vec<String> = (0..query.width).map(|index| format!("c{index}")).collect();
                    let create =
                        format!("CREATE MATERIALIZED VIEW v{step} ({}) AS {}", names.join(", "), query.sql);
                    views.push((step, query, self.execute(&create).await));
                    continue;
                }
                Step::Ask(query) => {
                    let (theirs, ours) = tokio::join!(ask(&self.theirs, &query.sql), self.ask(&query.sql));
                    let verdict = compare(&query.sql, &theirs, &ours, query.ordered, true);
                    self.asked.note(&verdict);
                    verdict
                }
            };
            if let Verdict::Wrong { kind, text } = verdict {
                return Some(Defect { step, kind, text });
            }
        }
        for (step, query, created) in views {
            let theirs = ask(&self.theirs, &query.sql).await;
            let ours = match created {
                Ok(_) => self.ask(&format!("SELECT * FROM v{step}")).await,
                Err(failure) => Err(failure),
            };
            let verdict = compare(&query.sql, &theirs, &ours, false, false);
            self.views.note(&verdict);
            if let Verdict::Wrong { kind, text } = verdict {
                return Some(Defect { step, kind: format!("a view: {kind}"), text });
            }
        }
        None
    }

    /// A change must do the same on both sides, or nothing that follows can be compared.
    async fn change(&mut self, sql: &str) -> Verdict {
        let theirs = execute(&self.theirs, sql).await.map_err(|failure| failure.code);
        let ours = self.execute(sql).await;
        let code = ours.as_ref().map_err(|failure| &failure.code);
        if theirs.as_ref() == code {
            return Verdict::SameError;
        }
        Verdict::Wrong {
            kind: "a change".to_owned(),
            text: format!("PostgreSQL: {theirs:?}\nMillrace: {ours:?}"),
        }
    }

    async fn ask(&self, sql: &str) -> Answer {
        timeout(PATIENCE, ask(&self.ours, sql)).await.unwrap_or_else(|_| Err(hangs()))
    }

    async fn execute(&self, sql: &str) -> Result<u64, Failure> {
        timeout(PATIENCE, execute(&self.ours, sql)).await.unwrap_or_else(|_| Err(hangs()))
    }
}

fn hangs() -> Failure {
    Failure { code: LOST.to_owned(), message: "no answer".to_owned() }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn random_queries_are_answered_as_postgresql_answers_them() {
    let is_nightly = std::env::var_os("MILLRACE_NIGHTLY").is_some();
    let first = number("MILLRACE_SEED").unwrap_or(1);
    let scripts = number("MILLRACE_SCRIPTS").unwrap_or(if is_nightly { 10_000 } else { 300 });
    let started = Instant::now();
    let mut duel = Duel::start().await;
    let mut defects: Vec<String> = Vec::new();
    let mut shown = String::new();
    for seed in first..first + scripts {
        let script = script(seed);
        let Some(defect) = duel.run(&script).await else { continue };
        if defects.iter().filter(|known| **known == defect.kind).count() == DEFECTS_OF_A_KIND_MAX {
            continue;
        }
        let (asked, views) = (duel.asked, duel.views);
        let (smallest, defect) = minimise(&mut duel, &script, defect).await;
        // What minimising tried does not count.
        (duel.asked, duel.views) = (asked, views);
        shown = format!("{shown}seed {seed}, {}\n{smallest}{}\n\n", defect.kind, defect.text);
        defects.push(defect.kind);
        if defects.len() == DEFECTS_MAX {
            break;
        }
    }
    let (asked, views) = (duel.asked, duel.views);
    println!(
        "seeds from {first}, {scripts} scripts, {:?}\nasked {asked:#?}\nviews {views:#?}",
        started.elapsed()
    );
    assert!(defects.is_empty(), "{} defects, or more of these kinds\n\n{shown}", defects.len());
    for (seen, refused_max) in [asked, views].into_iter().zip(REFUSED_HUNDREDTHS_MAX) {
        let at_most = |count: usize, hundredths: usize| count * 100 <= seen.queries * hundredths;
        assert!(at_most(seen.refused, refused_max), "too many queries are refused: {seen:?}");
        assert!(at_most(seen.refused_by_postgres, 5), "a weak generator: {seen:?}");
        let open = seen.only_our_errors_of_data + seen.only_their_errors_of_data;
        assert!(at_most(open, 5), "too many errors on one side only: {seen:?}");
        assert!(seen.of_these_not_empty * 100 > seen.rows_equal * 40, "a weak generator: {seen:?}");
    }
}
