//! Runs a script and compares, after every text, what three ways say of each view.

use std::collections::BTreeMap;
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use millrace_sql::SqlError;
use tempfile::TempDir;

use crate::cluster::Size;
use crate::database::Database;
use crate::follower::Follower;
use crate::script::Script;

/// Rows as text, each with its number.
pub(crate) type Bag = BTreeMap<String, i64>;

/// The rows of a batch as text.
pub(crate) fn lines(batch: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::new().with_null("null");
    let columns: Vec<ArrayFormatter> = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column.as_ref(), &options).unwrap())
        .collect();
    let line = |row| columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join("|");
    (0..batch.num_rows()).map(line).collect()
}

/// What scripts have shown, so that a weak generator is noticed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) scripts: usize,
    pub(crate) views: usize,
    pub(crate) refused_views: usize,
    pub(crate) non_empty: usize,
    pub(crate) with_retractions: usize,
    pub(crate) in_error: usize,
    pub(crate) comparisons: usize,
    pub(crate) progress_rows: usize,
    pub(crate) commits: usize,
    pub(crate) refused_texts: usize,
    pub(crate) beside: usize,
    pub(crate) restarts: usize,
    pub(crate) losses: usize,
}

/// A view, its query as it can be asked ad hoc, and what was seen of it.
struct View {
    name: String,
    query: String,
    follower: Follower,
    last: Option<Bag>,
    was_non_empty: bool,
    was_in_error: bool,
}

/// Runs a script on a new folder; what is wrong, if anything.
pub(crate) async fn judge(script: &Script, size: Size, seen: &mut Seen) -> Result<(), String> {
    let mut run = Run::start(size).await?;
    let mut outcome = Ok(());
    for line in &script.lines {
        outcome = run.line(line, seen).await.map_err(|wrong| format!("at: {line}\n{wrong}"));
        if outcome.is_err() {
            break;
        }
    }
    run.note("", seen);
    run.views.clear();
    seen.scripts += 1;
    run.database.kill().await;
    outcome
}

struct Run {
    folder: TempDir,
    size: Size,
    database: Database,
    views: Vec<View>,
    streams: Vec<String>,
    tables: Vec<String>,
    /// Whether views are compared after each text.
    judging: bool,
    /// Texts of other clients, to be sent at once with the next one.
    beside: Vec<String>,
    /// Whether several commits lie between this comparison and the last.
    skipped: bool,
}

impl Run {
    async fn start(size: Size) -> Result<Run, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let database = Database::start(folder.path(), size).await?;
        let (views, streams, tables) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Run {
            folder,
            size,
            database,
            views,
            streams,
            tables,
            judging: false,
            beside: Vec::new(),
            skipped: false,
        })
    }

    /// A line of a script (see there for its language).
    async fn line(&mut self, line: &str, seen: &mut Seen) -> Result<(), String> {
        if let Some(view) = line.strip_prefix("CREATE MATERIALIZED VIEW ") {
            let (name, query) = view.split_once(" AS ").ok_or("a view without AS")?;
            self.view(name, query, seen).await?;
            return if self.judging { self.compare(seen).await } else { Ok(()) };
        }
        if let Some(name) = line.strip_prefix("DROP MATERIALIZED VIEW ") {
            self.note(name, seen);
            self.views.retain(|view| view.name != name);
        }
        if let Some(table) = line.strip_prefix("CREATE TABLE ") {
            let name = table.split(' ').next().unwrap_or_default().to_owned();
            let is_stream = table.contains("append_only");
            if is_stream { &mut self.streams } else { &mut self.tables }.push(name);
            return self.database.run(line).await?.map_err(|error| format!("{error:?}"));
        }
        if let Some(text) = line.strip_prefix("-- beside: ") {
            self.beside.push(text.to_owned());
            return Ok(());
        }
        match line {
            "-- wait" => self.wait().await,
            "-- judge" => {
                self.judging = true;
                self.compare(seen).await
            }
            "-- restart, resume" => self.restart(true, seen).await,
            "-- restart, forget" => self.restart(false, seen).await,
            "-- lose" => {
                self.database.lose();
                seen.losses += 1;
                Ok(())
            }
            comment if comment.starts_with("--") || comment.is_empty() => Ok(()),
            text => self.text(text, seen).await,
        }
    }

    async fn text(&mut self, text: &str, seen: &mut Seen) -> Result<(), String> {
        let ran = self.run(text, seen).await?;
        count(text, ran, seen)?;
        if self.judging { self.compare(seen).await } else { Ok(()) }
    }

    async fn view(&mut self, name: &str, query: &str, seen: &mut Seen) -> Result<(), String> {
        let create = format!("CREATE MATERIALIZED VIEW {name} AS {query}");
        match self.run(&create, seen).await? {
            Ok(()) => seen.views += 1,
            Err(error) if is_refusal(&error) => {
                seen.refused_views += 1;
                return Ok(());
            }
            Err(error) => return Err(format!("{create}: {error:?}")),
        }
        self.views.push(View {
            name: name.to_owned(),
            query: self.streams.iter().fold(query.to_owned(), |query, stream| {
                query.replace(&format!(" {stream} "), &format!(" {stream}_twin "))
            }),
            follower: Follower::new(name),
            last: None,
            was_non_empty: false,
            was_in_error: false,
        });
        Ok(())
    }

    /// Runs a text at once with those of other clients that wait for it.
    async fn run(&mut self, text: &str, seen: &mut Seen) -> Result<Result<(), SqlError>, String> {
        let others = std::mem::take(&mut self.beside);
        self.skipped |= !others.is_empty();
        seen.beside += others.len();
        let others = others.into_iter().map(|text| (self.database.run_beside(&text), text));
        let others: Vec<_> = others.collect();
        let ran = self.database.run(text).await?;
        for (other, text) in others {
            count(&text, other.await.map_err(|error| error.to_string())??, seen)?;
        }
        Ok(ran)
    }

    /// Reads every table: they are then complete on every worker.
    async fn wait(&mut self) -> Result<(), String> {
        for table in &self.tables {
            let query = format!("SELECT count(*) FROM {table}");
            self.database.ask(&query).await?.map_err(|error| format!("{query}: {error:?}"))?;
        }
        Ok(())
    }

    /// Ends the server and starts one on a copy of the folder as it was before: that is what `kill -9` leaves.
    async fn restart(&mut self, resume: bool, seen: &mut Seen) -> Result<(), String> {
        let tick = self.database.tick();
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        copy(self.folder.path(), folder.path()).map_err(|error| error.to_string())?;
        if !resume {
            self.size = self.size.other();
        }
        self.database.kill().await;
        self.database = Database::start(folder.path(), self.size).await?;
        self.folder = folder;
        if self.database.tick() != tick {
            return Err(format!("restarted at tick {} instead of {tick}", self.database.tick()));
        }
        for view in &mut self.views {
            if resume {
                view.follower.resume(&self.database).await?;
            } else {
                view.follower.forget();
            }
        }
        seen.restarts += 1;
        if self.judging { self.compare(seen).await } else { Ok(()) }
    }

    async fn compare(&mut self, seen: &mut Seen) -> Result<(), String> {
        let tick = self.database.tick();
        for view in &mut self.views {
            let read = self.database.ask(&format!("SELECT * FROM {}", view.name)).await?;
            let fresh = self.database.ask(&view.query).await?;
            let before = view.last.as_ref().filter(|_| !self.skipped);
            let mut told = view.follower.listen(&self.database, tick, before).await?;
            if told.is_err() && self.skipped {
                // In error between two comparisons, perhaps: that ended the subscription.
                told = view.follower.listen(&self.database, tick, None).await?;
            }
            seen.comparisons += 1;
            equal(view, "SELECT * FROM the view", &read, &fresh)?;
            equal(view, "the folded SUBSCRIBE", &told, &fresh)?;
            view.was_non_empty |= fresh.as_ref().is_ok_and(|bag| !bag.is_empty());
            view.was_in_error |= fresh.is_err();
            view.last = fresh.ok();
        }
        self.skipped = false;
        Ok(())
    }

    /// What was seen of one view, or of all.
    fn note(&self, name: &str, seen: &mut Seen) {
        for view in self.views.iter().filter(|view| name.is_empty() || view.name == name) {
            seen.non_empty += usize::from(view.was_non_empty);
            seen.in_error += usize::from(view.was_in_error);
            seen.with_retractions += usize::from(view.follower.retractions > 0);
            seen.progress_rows += view.follower.progress;
        }
    }
}

/// Counts what a text did; a defect of the server is an error.
fn count(text: &str, ran: Result<(), SqlError>, seen: &mut Seen) -> Result<(), String> {
    match ran {
        Ok(()) => seen.commits += 1,
        Err(error) if error.sqlstate.starts_with("XX") => return Err(format!("{text}: {error:?}")),
        Err(_) => seen.refused_texts += 1,
    }
    Ok(())
}

fn equal(
    view: &View,
    way: &str,
    found: &Result<Bag, SqlError>,
    fresh: &Result<Bag, SqlError>,
) -> Result<(), String> {
    let is_equal = match (found, fresh) {
        (Ok(found), Ok(fresh)) => found == fresh,
        (Err(found), Err(fresh)) => same_error(found, fresh),
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => false,
    };
    if is_equal {
        return Ok(());
    }
    Err(format!("{} = {}\n{way} says\n  {found:?}\n  and its query\n  {fresh:?}", view.name, view.query))
}

/// What is not there yet, what stands on it, and constants that cannot be computed.
fn is_refusal(error: &SqlError) -> bool {
    ["0A000", "42P01", "22012", "22003", "22P02"].contains(&error.sqlstate.as_str())
}

/// Where several rows are wrong in different ways, which error is told first is open.
fn same_error(found: &SqlError, fresh: &SqlError) -> bool {
    const OF_ROWS: [&str; 4] = ["22012", "22003", "22P02", "21000"];
    let is_of_row = |error: &SqlError| OF_ROWS.contains(&error.sqlstate.as_str());
    found.sqlstate == fresh.sqlstate || (is_of_row(found) && is_of_row(fresh))
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            std::fs::create_dir(&target)?;
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
