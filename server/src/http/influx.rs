//! `POST /write` and `POST /api/v2/write`: points in InfluxDB's line protocol, as Telegraf sends them.
//!
//! A measurement is a table that has been declared, its tags and fields are columns of it, its timestamp the column
//! `time`. All points of a request come in one commit, or none of them. What database, bucket and organisation a request
//! names has no meaning here. Errors have the members that clients of either version of InfluxDB read.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use millrace_sql::{SqlError, quoted};

use super::failure::Failure;
use super::{Http, body};
use crate::ingest::BadRow;
use crate::ingest::lines::{PointRows, Points, Precision};
use crate::session::Session;
use crate::session::ingest::Ingest;

/// The most measurements of a request.
const TABLES_MAX: usize = 1_000;

/// POST /write, POST /api/v2/write
pub(super) async fn write(
    State(http): State<Arc<Http>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match write_points(&http, query.as_deref().unwrap_or_default(), &headers, body).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(failure) => failure.into_influx_response(),
    }
}

async fn write_points(http: &Http, query: &str, headers: &HeaderMap, body: Body) -> Result<(), Failure> {
    let precision = precision(query)?;
    let body = body::read(http, headers, body).await?;
    let points = Points::new(body.bytes.clone(), precision, now_micros())?;
    let mut session = super::session(&http.server);
    let mut tables = tables(&points, &mut session).await?;
    points.for_each(|point| match tables.get_mut(point.measurement.as_ref()) {
        Some((_, rows)) => rows.append(point),
        None => Err(SqlError::internal("a measurement that was just bound").into()),
    })?;
    session.begin_implicit();
    let mut count = 0;
    for (mut ingest, rows) in tables.into_values() {
        for given in rows.finish()? {
            ingest.rows(&mut session, given).await?;
        }
        count += ingest.finish(&mut session, None).await?.0;
    }
    session.end_implicit(false).await?;
    http.counts.rows.fetch_add(count, Ordering::Relaxed);
    Ok(())
}

/// The tables of all measurements.
async fn tables(
    points: &Points,
    session: &mut Session,
) -> Result<BTreeMap<String, (Ingest, PointRows)>, BadRow> {
    let mut lines: BTreeMap<String, u64> = BTreeMap::new();
    points.for_each(|point| {
        if !lines.contains_key(point.measurement.as_ref()) {
            lines.insert(point.measurement.into_owned(), point.line);
        }
        if lines.len() <= TABLES_MAX {
            return Ok(());
        }
        let message = format!("the points are of more than {TABLES_MAX} measurements");
        Err(SqlError::new("54000", message).hint("Send several requests.").into())
    })?;
    let mut tables = BTreeMap::new();
    for (measurement, line) in lines {
        let ingest = session.ingest(&quoted(&measurement)).await.map_err(|error| {
            let error = match error.sqlstate.as_str() {
                "42P01" => error.hint("A measurement is a table: create it, with a column time timestamptz."),
                _ => error,
            };
            BadRow { error: Box::new(error), line: Some(line), column: None }
        })?;
        let rows = PointRows::new(ingest.columns());
        tables.insert(measurement, (ingest, rows));
    }
    Ok(tables)
}

/// The unit of the timestamps.
fn precision(query: &str) -> Result<Precision, SqlError> {
    let given = query.split('&').find_map(|part| part.strip_prefix("precision=")).unwrap_or_default();
    Precision::of_parameter(given).ok_or_else(|| {
        SqlError::new("22023", format!("unrecognized precision \"{given}\""))
            .hint("It is one of ns, us, ms and s; n and u are ns and us.")
    })
}

fn now_micros() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_micros()).unwrap_or(i64::MAX)
}
