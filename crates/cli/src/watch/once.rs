//! `unthrottle watch --once`: the table as text or JSON.

use super::cells;
use super::row::{Part, Row, SHOWN_MINUTES};
use super::watcher::{View, Watcher, lock};
use crate::CliError;
use crate::aws::clock;
use crate::screen::{Console, Progress, print_json};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

/// The width of a sentence. A terminal has at least 80 columns, and the sentences are indented by two.
const WIDTH: usize = 78;

pub(super) async fn run(watcher: Watcher, is_json: bool) -> Result<(), CliError> {
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
        print(&view, now)?;
    }
    match view.rows.iter().filter(|row| matches!(row.check, Some(Err(_)))).count() {
        0 => Ok(()),
        failed => Err(CliError::Partly(format!("{failed} of {streams} streams could not be read"))),
    }
}

fn print(view: &View, now: DateTime<Utc>) -> Result<(), CliError> {
    let mut console = Console::new(false);
    let widest = view.rows.iter().map(|row| row.stream.name.chars().count()).max().unwrap_or_default();
    let mut widths = cells::COLUMNS.map(|(_, width)| usize::from(width));
    widths[0] = widest.max(cells::COLUMNS[0].0.len());
    console.heading(line(&cells::COLUMNS.map(|(name, _)| name.to_owned()), &widths).trim_end())?;
    for row in &view.rows {
        let hour: String = row.hour(widths[2], now).into_iter().map(cells::block).collect();
        let cells = [
            row.stream.name.clone(),
            cells::load(row, now),
            hour,
            cells::refused(row),
            cells::state(row),
            cells::next(row, now),
        ];
        console.line(line(&cells, &widths).trim_end())?;
    }
    for row in view.rows.iter().filter(|row| row.urgency(now) < 5) {
        console.line("")?;
        let options = textwrap::Options::new(WIDTH).break_words(false);
        for line in textwrap::wrap(cells::why(row), options) {
            console.step(&line)?;
        }
    }
    console.line("")?;
    console.step(&format!("AWS calls in the last minute: {} of at most {}", view.calls.0, view.calls.1))?;
    Ok(())
}

/// The cells side by side: load and refused at the right of their columns.
fn line(cells: &[String; 6], widths: &[usize; 6]) -> String {
    let padded = cells.iter().zip(widths).enumerate().map(|(place, (cell, width))| match place {
        1 | 3 => format!("{cell:>width$}"),
        _ => format!("{cell:<width$}"),
    });
    padded.collect::<Vec<_>>().join(" ")
}

fn document(view: &View, now: DateTime<Utc>) -> Value {
    let stream = |row: &Row| {
        let (records, reads) = row.refused();
        let hour = row.hour(SHOWN_MINUTES as usize, now);
        json!({
            "stream": row.stream.name,
            "utilization": row.utilization(now),
            "hour_utilization": hour.iter().map(|part: &Part| part.utilization).collect::<Vec<_>>(),
            "refused_records_last_hour": records,
            "refused_reads_last_hour": reads,
            "needs_person": matches!(&row.check, Some(Ok(checked)) if checked.needs_person),
            "decision": row.document(),
            "error": match &row.check { Some(Err(error)) => Some(error), _ => None },
            "next_check": row.next_check(now),
        })
    };
    json!({
        "version": 1,
        "time": now,
        "aws_calls": view.all_calls,
        "aws_calls_last_minute": view.calls.0,
        "aws_calls_per_minute": view.calls.1,
        "streams": view.rows.iter().map(stream).collect::<Vec<_>>(),
    })
}
