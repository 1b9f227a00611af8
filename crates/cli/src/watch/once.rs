//! `unthrottle watch --once`: the table as text or JSON.

use super::cells;
use super::row::{Row, SHOWN_MINUTES};
use super::watcher::{View, Watcher, lock};
use crate::CliError;
use crate::aws::clock;
use crate::screen::{Column, Console, Progress, Table, print_json};
use chrono::{DateTime, Utc};
use serde::Serialize;
use unthrottle_core::report::Document;
use unthrottle_core::words::many;

/// The ranks of the columns: a narrow screen first leaves out the hour, and then the next look.
const RANKS: [u8; 6] = [0, 0, 2, 0, 0, 1];

/// The width of a sentence in a file and on a wide screen: 80 columns, and the sentences are indented by two.
const WIDTH: usize = 78;

pub(super) async fn run(watcher: Watcher, is_json: bool, is_wide: bool) -> Result<(), CliError> {
    let view = watcher.view();
    let streams = lock(&view).rows.len();
    let mut progress = Progress::new("streams checked", streams);
    watcher.check_all(|done| progress.set(done)).await;
    progress.clear();
    let mut view = lock(&view);
    let now = clock().now();
    view.rows.sort_by(|a, b| a.urgency(now).cmp(&b.urgency(now)).then_with(|| a.stream.name.cmp(&b.stream.name)));
    if is_json {
        print_json(&document(&view, now))?;
    } else {
        print(&view, now, is_wide)?;
    }
    match view.rows.iter().filter(|row| matches!(row.check, Some(Err(_)))).count() {
        0 => Ok(()),
        failed => Err(CliError::Partly(format!("{failed} of {} could not be read", many(streams, "stream")))),
    }
}

fn print(view: &View, now: DateTime<Utc>, is_wide: bool) -> Result<(), CliError> {
    let mut console = Console::new(false);
    let row = |row: &Row| {
        let hour = row.hour(usize::from(cells::COLUMNS[2].1), now).into_iter().map(cells::block).collect();
        vec![
            row.stream.name.clone(),
            cells::load(row, now),
            hour,
            cells::refused(row),
            cells::state(row),
            cells::next(row, now),
        ]
    };
    let column = |place: usize, rank| match place {
        1 | 3 => Column::number(cells::COLUMNS[place].0, rank),
        _ => Column::text(cells::COLUMNS[place].0, rank),
    };
    let columns = RANKS.into_iter().enumerate().map(|(place, rank)| column(place, rank)).collect();
    console.table(&Table { columns, rows: view.rows.iter().map(row).collect(), is_wide })?;
    let width = console.width().map_or(WIDTH, |width| width.saturating_sub(2).min(WIDTH));
    for row in view.rows.iter().filter(|row| row.urgency(now) < 5) {
        console.line("")?;
        for line in textwrap::wrap(cells::why(row), textwrap::Options::new(width).break_words(false)) {
            console.step(&line)?;
        }
    }
    console.line("")?;
    console.step(&format!("AWS calls in the last minute: {} of at most {}", view.calls.0, view.calls.1))?;
    Ok(())
}

/// The streams that are watched.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Watched<'a> {
    /// The version of this format. New versions only add fields.
    version: u32,
    time: DateTime<Utc>,
    /// The calls of AWS since the command began, in the last minute, and the most in a minute.
    aws_calls: u32,
    aws_calls_last_minute: u32,
    aws_calls_per_minute: u32,
    /// The most urgent first.
    streams: Vec<WatchedStream<'a>>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct WatchedStream<'a> {
    stream: &'a str,
    /// The accepted load of the newest minute as a share of what the shards take. `null`: unknown, or AWS sets it.
    utilization: Option<f64>,
    /// The same for each minute of the hour, the oldest first.
    hour_utilization: Vec<f64>,
    refused_records_last_hour: f64,
    /// Calls of GetRecords.
    refused_reads_last_hour: f64,
    needs_person: bool,
    /// `null`: the stream was not read.
    decision: Option<&'a Document>,
    /// Why the stream could not be read.
    error: Option<&'a str>,
    next_check: DateTime<Utc>,
}

fn document(view: &View, now: DateTime<Utc>) -> Watched<'_> {
    let streams = view.rows.iter().map(|row| {
        let (refused_records_last_hour, refused_reads_last_hour) = row.refused();
        let hour_utilization = row.hour(SHOWN_MINUTES as usize, now).iter().map(|part| part.utilization).collect();
        WatchedStream {
            stream: &row.stream.name,
            utilization: row.utilization(now),
            hour_utilization,
            refused_records_last_hour,
            refused_reads_last_hour,
            needs_person: matches!(&row.check, Some(Ok(checked)) if checked.needs_person),
            decision: row.document(),
            error: row.check.as_ref().and_then(|check| check.as_ref().err()).map(String::as_str),
            next_check: row.next_check(now),
        }
    });
    Watched {
        version: 1,
        time: now,
        aws_calls: view.all_calls,
        aws_calls_last_minute: view.calls.0,
        aws_calls_per_minute: view.calls.1,
        streams: streams.collect(),
    }
}
