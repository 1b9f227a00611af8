//! `unthrottle watch --once`: the table as text or JSON.

use super::cells;
use super::row::{Part, Row, SHOWN_MINUTES};
use super::watcher::{View, Watcher, lock};
use crate::CliError;
use crate::aws::clock;
use crate::screen::{Column, Console, Progress, Table, print_json};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

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
        failed => Err(CliError::Partly(format!("{failed} of {streams} streams could not be read"))),
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
