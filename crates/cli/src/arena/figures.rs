//! The figures over all workloads, and how they are written.

use crate::screen::{Column, Console, Table};
use std::time::Instant;
use unthrottle_lab::sim::figures::{Contest, figures};
use unthrottle_lab::sim::workloads::Workload;
use unthrottle_lab::sim::{Policies, watch};

/// Prints the figures. A figure above its limit is marked as missed.
pub(super) fn print(console: &mut Console, contests: &[Contest], seed: u64) -> std::io::Result<()> {
    let row = |what: &str, found: String, most: f64, missed: &str| {
        vec![what.to_owned(), found, most.to_string(), missed.to_owned()]
    };
    let mut rows: Vec<Vec<String>> = vec![];
    for figure in figures(contests) {
        let missed = if figure.is_reached() { "" } else { "missed" };
        rows.push(row(&figure.what, exact(figure.ratio, figure.most), figure.most, missed));
    }
    if let Some(took) = seconds_for_a_day(seed) {
        let missed = match (took <= DAY_OF_64_SHARDS, cfg!(debug_assertions)) {
            (true, _) => "",
            (false, true) => "missed (a debug build)",
            (false, false) => "missed",
        };
        let what = "seconds for a day of 64 shards, on one core";
        rows.push(row(what, format!("{took:.2}"), DAY_OF_64_SHARDS, missed));
    }
    console.line("")?;
    console.text("Figures, over the workloads that capacity can cure; below them each that is missed:")?;
    let columns =
        vec![Column::text("", 0), Column::number("found", 0), Column::number("at most", 0), Column::text("", 0)];
    console.table(&Table { columns, rows, is_wide: false })
}

/// The most seconds of one core for a simulated day of 64 shards. A slower simulation would make the whole arena take
/// minutes, and people would not run it before a change.
const DAY_OF_64_SHARDS: f64 = 0.5;

/// The speed of the simulation, measured now.
fn seconds_for_a_day(seed: u64) -> Option<f64> {
    let wide = Workload::named("wide")?;
    let begun = Instant::now();
    let _ = watch(&wide, Policies::Ours, seed);
    Some(begun.elapsed().as_secs_f64())
}

/// A ratio with two digits.
pub(super) fn ratio(ratio: Option<f64>) -> String {
    match ratio {
        None => "-".into(),
        Some(ratio) if ratio.is_infinite() => "∞".into(),
        Some(ratio) => format!("{ratio:.2}"),
    }
}

/// A ratio with two digits, or with four if two would hide that it is above `most`.
pub(super) fn exact(found: Option<f64>, most: f64) -> String {
    let is_close = |ratio: &f64| *ratio > most && *ratio - most < 0.01;
    found.filter(is_close).map_or_else(|| ratio(found), |ratio| format!("{ratio:.4}"))
}
