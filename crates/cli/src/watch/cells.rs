//! The cells of a row, the same on the screen and in the printed table.

use super::row::{Part, Row};
use chrono::{DateTime, TimeDelta, Utc};
use unthrottle_core::decision::Outcome;
use unthrottle_core::report::Document;
use unthrottle_core::words;

/// The columns, each with the width of its longest usual cell.
pub(super) const COLUMNS: [(&str, u16); 6] =
    [("stream", 18), ("load", 5), ("last hour", 12), ("refused", 8), ("state", 25), ("next", 6)];

/// The places of the columns in [`COLUMNS`] that a screen of this width has room for, a space between them. A narrow
/// screen first leaves out the next check, then the hour, and then what was refused: the state says the most.
pub(super) fn fitting(width: u16) -> Vec<usize> {
    const LESS_NEEDED: [usize; 3] = [5, 2, 3];
    let mut places: Vec<usize> = (0..COLUMNS.len()).collect();
    for less in LESS_NEEDED {
        let needed: u16 = places.iter().map(|place| COLUMNS[*place].1 + 1).sum();
        if needed <= width + 1 {
            break;
        }
        places.retain(|place| *place != less);
    }
    places
}

/// The blocks of a sparkline, from nothing to full.
const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The height of a part of the hour.
pub(super) fn block(part: Part) -> char {
    let filled = part.utilization > 0.0 || part.is_refused;
    let height = (part.utilization.clamp(0.0, 1.0) * 8.0).round() as usize;
    BLOCKS[height.clamp(usize::from(filled), 8)]
}

/// The accepted load of the newest minute, such as `93 %`.
pub(super) fn load(row: &Row, now: DateTime<Utc>) -> String {
    row.utilization(now).map_or_else(|| "–".into(), |utilization| format!("{:.0} %", utilization * 100.0))
}

/// What AWS refused in the hour: records, or `N r` for calls of GetRecords alone.
pub(super) fn refused(row: &Row) -> String {
    match row.refused() {
        (records, reads) if records == 0.0 && reads > 0.0 => format!("{} r", short(reads)),
        (records, _) => short(records),
    }
}

/// A count in at most six characters.
fn short(count: f64) -> String {
    match count {
        count if count < 100_000.0 => words::count(count),
        count if count < 9_999_500.0 => format!("{}k", words::count(count / 1e3)),
        count => format!("{}M", words::count(count / 1e6)),
    }
}

/// The decision: its code, with the step where the stream would be changed. `→`: it would be changed; `!`: it needs a
/// person.
pub(super) fn state(row: &Row) -> String {
    match &row.check {
        None => "not checked yet".into(),
        Some(Err(_)) => "! not read".into(),
        Some(Ok(checked)) if checked.document.outcome == Outcome::Planned => {
            format!("→ {}{}", checked.document.code, step(&checked.document))
        }
        Some(Ok(checked)) if checked.needs_person => format!("! {}", checked.document.code),
        Some(Ok(checked)) => format!("  {}", checked.document.code),
    }
}

fn step(document: &Document) -> String {
    let remedy = serde_json::to_value(&document.remedy).unwrap_or_default();
    match (remedy["from"].as_u64(), remedy["to"].as_u64()) {
        (Some(from), Some(to)) => format!(" {from}→{to}"),
        _ => String::new(),
    }
}

/// Why: the sentence of the decision, or of the error.
pub(super) fn why(row: &Row) -> &str {
    match &row.check {
        None => "The stream was not checked yet.",
        Some(Err(error)) => error,
        Some(Ok(checked)) => &checked.document.sentence,
    }
}

/// The time until the next check.
pub(super) fn next(row: &Row, now: DateTime<Utc>) -> String {
    let left = row.next_check(now) - now;
    match left.num_seconds() {
        ..=0 => "now".into(),
        1..=90 => format!("{} s", left.num_seconds()),
        _ => format!("{} min", (left + TimeDelta::seconds(30)).num_minutes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_screen_has_fewer_columns_and_each_of_them_is_whole() {
        let names = |width| -> Vec<&str> { fitting(width).into_iter().map(|place| COLUMNS[place].0).collect() };
        assert_eq!(names(79), ["stream", "load", "last hour", "refused", "state", "next"]);
        assert_eq!(names(78), ["stream", "load", "last hour", "refused", "state"]);
        assert_eq!(names(60), ["stream", "load", "refused", "state"]);
        assert_eq!(names(50), ["stream", "load", "state"]);
    }

    #[test]
    fn counts_are_short_and_blocks_show_what_is_not_nothing() {
        assert_eq!([0.0, 999.0, 10_800.0, 250_000.0, 12e6].map(short), ["0", "999", "10,800", "250k", "12M"]);
        assert_eq!([1_658_320.0, 9_999_600.0, 2.1e9].map(short), ["1,658k", "10M", "2,100M"]);
        let part = |utilization, is_refused| block(Part { utilization, is_refused });
        assert_eq!([part(0.0, false), part(0.0, true), part(0.001, false), part(0.5, false)], [' ', '▁', '▁', '▄']);
        assert_eq!([part(1.0, false), part(7.0, true)], ['█', '█']);
    }
}
