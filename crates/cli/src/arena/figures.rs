//! The figures over all workloads, and how they are written.

use std::time::Instant;
use unthrottle_lab::sim::figures::{Contest, figures};
use unthrottle_lab::sim::workloads::Workload;
use unthrottle_lab::sim::{Policies, watch};

/// The figures, one on a line. A figure above its limit is marked as missed.
pub(super) fn text(contests: &[Contest]) -> String {
    let mut text = "\nFigures, over the workloads that capacity can cure; below them each that is missed:\n".to_owned();
    for figure in figures(contests) {
        let missed = if figure.is_reached() { "" } else { "  missed" };
        text += &format!(
            "  {:<62} {:>10}  at most {}{missed}\n",
            figure.what,
            exact(figure.ratio, figure.most),
            figure.most
        );
    }
    text
}

/// The most seconds of one core for a simulated day of 64 shards. A slower simulation would make the whole arena take
/// minutes, and people would not run it before a change.
const DAY_OF_64_SHARDS: f64 = 0.5;

/// The speed of the simulation, measured now.
pub(super) fn speed(seed: u64) -> String {
    let Some(wide) = Workload::named("wide") else { return String::new() };
    let begun = Instant::now();
    let _ = watch(&wide, Policies::Ours, seed);
    let took = begun.elapsed().as_secs_f64();
    let missed = if took <= DAY_OF_64_SHARDS {
        ""
    } else if cfg!(debug_assertions) {
        "  missed (a debug build)"
    } else {
        "  missed"
    };
    let what = "seconds for a day of 64 shards, on one core";
    format!("  {what:<62} {took:>10.2}  at most {DAY_OF_64_SHARDS}{missed}\n")
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
