//! `--calibrate`: the times of an account that `unthrottle prove` has measured, in place of the built-in ones.

use crate::CliError;
use crate::prove::{Lag, Proof, Reshard};
use std::path::Path;
use unthrottle_lab::sim::Times;

/// The longest time that a proof may have measured, in seconds. A longer one is no reshard and no delay, but a mistake.
const LONGEST: f64 = 3_600.0;

/// The most shards of a stream.
const MOST_SHARDS: u32 = 10_000;

/// The times of the arena, and which of them the proof gave.
pub(super) struct Calibrated {
    pub times: Times,
    /// Lines for a person.
    pub says: Vec<String>,
}

/// Reads the times of a proof.
///
/// # Errors
/// The file is no proof, a time in it cannot be right, or it has no times.
pub(super) fn read(path: &Path) -> Result<Calibrated, CliError> {
    let proof = Proof::read(path)?;
    let reshards: Vec<Reshard> = proof.steps.iter().flat_map(|done| done.measured.reshards.clone()).collect();
    let lags: Vec<Lag> = proof.steps.iter().flat_map(|done| done.measured.metric_lags.clone()).collect();
    check(path, &reshards, &lags)?;
    let before = Times::default();
    let times = before.with_reshards(reshards.iter().map(|it| (it.from, it.to, it.seconds)));
    let times = times.with_metric_lags(lags.iter().map(|lag| lag.seconds));
    let mut says = vec![];
    if let Some(url) = &proof.endpoint_url {
        says.push(format!("{}: the proof comes from {url}, and not from AWS", path.display()));
    }
    let longest = |times: Times| times.shortest_reshard + times.reshard_longer;
    says.push(in_words(
        "the seconds of a reshard, without 2 a shard",
        reshards.len(),
        (before.shortest_reshard, longest(before)),
        (times.shortest_reshard, longest(times)),
    ));
    let what = "the seconds until CloudWatch shows a minute";
    says.push(in_words(what, lags.len(), before.metric_lag, times.metric_lag));
    Ok(Calibrated { times, says })
}

fn in_words(what: &str, measured: usize, before: (i64, i64), now: (i64, i64)) -> String {
    match measured {
        0 => format!("{what}: {} to {} as built in, not measured", before.0, before.1),
        _ => format!(
            "{what}: {} to {}, from {measured} measured, in place of {} to {}",
            now.0, now.1, before.0, before.1
        ),
    }
}

fn check(path: &Path, reshards: &[Reshard], lags: &[Lag]) -> Result<(), CliError> {
    let bad = |field: &str, problem: String| {
        Err(CliError::Scenario { path: path.into(), field: format!("measured.{field}"), problem })
    };
    let is_time = |seconds: f64| (0.0..=LONGEST).contains(&seconds);
    let is_count = |shards: u32| (1..=MOST_SHARDS).contains(&shards);
    if let Some(it) = reshards.iter().find(|it| !is_count(it.from) || !is_count(it.to)) {
        return bad("reshards", format!("{} → {} shards: must be 1 to {MOST_SHARDS}", it.from, it.to));
    }
    if let Some(it) = reshards.iter().find(|it| !is_time(it.seconds)) {
        return bad("reshards.seconds", format!("{}: must be 0 to {LONGEST}", it.seconds));
    }
    if let Some(lag) = lags.iter().find(|lag| !is_time(lag.seconds)) {
        return bad("metric_lags.seconds", format!("{}: must be 0 to {LONGEST}", lag.seconds));
    }
    if reshards.is_empty() && lags.is_empty() {
        return Err(CliError::Usage(format!(
            "--calibrate: {} has no measured times. The steps reshards and metric-lag of `unthrottle prove` measure \
             them",
            path.display()
        )));
    }
    Ok(())
}
