//! `millrace demo`: a server on a temporary folder, sensors that send readings, views over them, live figures.
//!
//! ```text
//! Sensors ──COPY──► readings ──► latest ──► board (⋈ sensors)
//!    │                  ├──────► per_minute
//!    │                  └──────► outliers (⋈ the mean of the window before)
//!    └── counts ──► figures ◄── how old a reading is when a subscriber of latest has it
//! ```
//! All of it goes through the protocol of PostgreSQL's clients, as anybody's would.

mod figures; // what the terminal shows
mod sensors; // what sensors measure

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use clap::Parser as _;
use futures::StreamExt as _;
use tokio_postgres::Client;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::Type;

use crate::cli::DemoArguments;
use crate::client;
use crate::config::{Config, RawConfig};
use crate::run::{Running, told_to_stop};
use crate::server::Server;
use crate::start::StartError;
use figures::Figures;
use sensors::{Reading, Sensors};

/// Batches of readings a second.
const BATCHES: u32 = 20;

/// How often old readings are deleted.
const DELETING: Duration = Duration::from_secs(5);

/// Tables and views. The moving mean is that of the ten seconds before a reading's own ten: it stands still.
const SCHEMA: &str = "
    CREATE TABLE sensors (
        id int PRIMARY KEY, name text NOT NULL, place text NOT NULL, unit text NOT NULL,
        low double precision NOT NULL, high double precision NOT NULL);
    CREATE TABLE readings (sensor int NOT NULL, at timestamptz NOT NULL, value double precision NOT NULL);
    CREATE MATERIALIZED VIEW latest AS
        SELECT DISTINCT ON (sensor) sensor, at, value FROM readings ORDER BY sensor, at DESC;
    CREATE MATERIALIZED VIEW per_minute AS
        SELECT sensor, date_bin('1 minute', at, '2000-01-01 00:00+00') AS minute,
               count(*) AS readings, avg(value) AS mean, min(value) AS low, max(value) AS high
        FROM readings GROUP BY 1, 2;
    CREATE MATERIALIZED VIEW outliers AS
        SELECT r.sensor, r.at, r.value, w.mean
        FROM readings r JOIN (
            SELECT sensor, date_bin('10 seconds', at, '2000-01-01 00:00+00') AS start,
                   avg(value) AS mean, stddev(value) AS deviation
            FROM readings GROUP BY 1, 2) w
        ON w.sensor = r.sensor
           AND w.start = date_bin('10 seconds', r.at, '2000-01-01 00:00+00') - INTERVAL '10 seconds'
        WHERE abs(r.value - w.mean) > 4 * w.deviation;
    CREATE MATERIALIZED VIEW board AS
        SELECT s.name, s.place, l.value, s.unit, l.at,
               CASE WHEN l.value BETWEEN s.low AND s.high THEN 'ok' ELSE 'out of range' END AS state
        FROM latest l JOIN sensors s ON s.id = l.sensor;
    CREATE INDEX ON board (name);";

/// Runs the command.
///
/// # Errors
/// Those of a server's start; 1 where its client fails.
pub async fn run(arguments: &DemoArguments) -> Result<(), StartError> {
    let folder = tempfile::Builder::new().prefix("millrace-demo-").tempdir();
    let folder = folder.map_err(|error| StartError::system(format!("cannot make a folder: {error}")))?;
    let raw = RawConfig {
        data: folder.path().join("data"),
        pg_addr: arguments.pg_addr,
        http_addr: arguments.http_addr,
        workers: arguments.workers,
        peers: Vec::new(),
        process: 0,
        ..RawConfig::parse_from(["millrace"])
    };
    let running = Running::start(Config::try_from(raw)?).await?;
    let stop = told_to_stop()?;
    let ending = async {
        match arguments.time() {
            Some(time) => tokio::select! { () = stop => {}, () = tokio::time::sleep(time) => {} },
            None => stop.await,
        }
    };
    let figures = Arc::new(Figures::default());
    let (address, server) = (running.pg, running.server().clone());
    figures::announce(arguments, running.pg, running.http)?;
    let work = async {
        let client = connect(address).await?;
        let mut sensors = Sensors::new(arguments.sensors);
        prepare(&client, &sensors).await?;
        let (sender, cleaner, watcher) =
            (connect(address).await?, connect(address).await?, connect(address).await?);
        tokio::select! {
            () = ending => Ok(()),
            failed = send(&sender, &mut sensors, arguments.rate, &figures) => failed,
            failed = delete(&cleaner, arguments.keep_minutes) => failed,
            failed = watch(&watcher, &figures) => failed,
            failed = report(server, &figures) => failed,
        }
    };
    running.serve_while(work).await?
}

async fn connect(address: std::net::SocketAddr) -> Result<Client, StartError> {
    client::connect(&address.ip().to_string(), address.port(), "millrace demo", |_| {}).await.map_err(failed)
}

fn failed(error: tokio_postgres::Error) -> StartError {
    let told = error.as_db_error().map_or_else(|| error.to_string(), |error| error.message().to_owned());
    StartError::system(format!("the demo's own client failed: {told}"))
}

async fn prepare(client: &Client, sensors: &Sensors) -> Result<(), StartError> {
    client.batch_execute(SCHEMA).await.map_err(failed)?;
    let sink = client.copy_in("COPY sensors FROM STDIN (FORMAT binary)").await.map_err(failed)?;
    let types = [Type::INT4, Type::TEXT, Type::TEXT, Type::TEXT, Type::FLOAT8, Type::FLOAT8];
    let mut writer = pin!(BinaryCopyInWriter::new(sink, &types));
    for sensor in sensors.list() {
        let row = [
            &sensor.id as _,
            &sensor.name as _,
            &sensor.place as _,
            &sensor.unit as _,
            &sensor.low as _,
            &sensor.high as _,
        ];
        writer.as_mut().write(&row).await.map_err(failed)?;
    }
    writer.finish().await.map(drop).map_err(failed)
}

/// Sends readings for ever, a batch at a time.
async fn send(
    client: &Client,
    sensors: &mut Sensors,
    rate: u32,
    figures: &Figures,
) -> Result<(), StartError> {
    let (began, mut sent) = (Instant::now(), 0_u64);
    let mut beats = tokio::time::interval(Duration::from_secs(1) / BATCHES);
    beats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        beats.tick().await;
        let due = (began.elapsed().as_secs_f64() * f64::from(rate)) as u64;
        // Where the server is slower than the sensors, they send what they measured meanwhile, and no more than a second's.
        let count = (due - sent).min(u64::from(rate));
        sent = due;
        let readings = sensors.measure(began.elapsed().as_secs_f64(), count as usize);
        copy(client, &readings).await?;
        figures.sent(count);
    }
}

async fn copy(client: &Client, readings: &[Reading]) -> Result<(), StartError> {
    if readings.is_empty() {
        return Ok(());
    }
    let at = SystemTime::now();
    let sink = client.copy_in("COPY readings FROM STDIN (FORMAT binary)").await.map_err(failed)?;
    let mut writer = pin!(BinaryCopyInWriter::new(sink, &[Type::INT4, Type::TIMESTAMPTZ, Type::FLOAT8]));
    for reading in readings {
        writer.as_mut().write(&[&reading.sensor, &at, &reading.value]).await.map_err(failed)?;
    }
    writer.finish().await.map(drop).map_err(failed)
}

async fn delete(client: &Client, keep_minutes: u32) -> Result<(), StartError> {
    let sql = format!("DELETE FROM readings WHERE at < now() - INTERVAL '{keep_minutes} minutes'");
    loop {
        tokio::time::sleep(DELETING).await;
        client.execute(&sql, &[]).await.map_err(failed)?;
    }
}

/// Follows `latest`, and notes how old its readings are when they come.
async fn watch(client: &Client, figures: &Figures) -> Result<(), StartError> {
    let sql = "SUBSCRIBE latest WITH (SNAPSHOT false)";
    let rows = client.query_raw(sql, std::iter::empty::<i32>()).await.map_err(failed)?;
    let mut rows = pin!(rows);
    while let Some(row) = rows.next().await {
        let row = row.map_err(failed)?;
        let (diff, at): (i64, SystemTime) = (row.get("diff"), row.get("at"));
        if let (1.., Ok(age)) = (diff, at.elapsed()) {
            figures.came(age);
        }
    }
    Ok(())
}

/// Shows the figures each second.
async fn report(server: Arc<Server>, figures: &Figures) -> Result<(), StartError> {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let server = server.clone();
        // The workers are asked for their sizes: that waits.
        let bytes = tokio::task::spawn_blocking(move || state_bytes(&server)).await.unwrap_or_default();
        figures.show(bytes)?;
    }
}

fn state_bytes(server: &Server) -> usize {
    server.catalog().relations().map(|relation| server.engine().state_size(relation.id).bytes).sum()
}
