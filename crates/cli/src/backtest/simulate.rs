//! Runs the policies on a past, within a bound of work.

use super::Case;
use super::report::Report;
use crate::CliError;
use crate::screen::Progress;
use std::sync::mpsc;
use std::thread;
use unthrottle_core::words::{count, many};
use unthrottle_lab::sim::Run;
use unthrottle_lab::sim::backtest::{Backtested, History};

/// The most hours of a shard that all runs simulate together: 14 days of a stream of 1,000 shards, which take a few
/// minutes on two cores. A larger number would let a command run for hours.
const MOST_SHARD_HOURS: f64 = 2_100_000.0;

/// Runs all policies on the past at the same time.
///
/// # Errors
/// The runs would take too long. Nothing has run then.
pub(super) fn simulate(case: Case) -> Result<Report, CliError> {
    let Case { name, history, before, from, over_time, period, policy } = case;
    let best = history.shards_without_throttling(&before);
    let all = [
        Backtested::AsItWas,
        Backtested::ours(&policy),
        Backtested::ours_restoring(&policy),
        Backtested::ours_foreseeing(&policy),
        Backtested::OnDemand,
        Backtested::Static(best),
    ];
    must_end_soon(&history, before.shards.max(best), all.len())?;
    let mut progress = Progress::new("simulated hours", all.len() * (history.minutes().len() / 60));
    let (hour, hours) = mpsc::channel();
    let run = &|who: &Backtested, hour: mpsc::Sender<()>| {
        history.run(&before, who, &policy.prices, || {
            // The receiver counts the hours to the end, so this cannot fail.
            let _ = hour.send(());
        })
    };
    let runs: Vec<Run> = thread::scope(|scope| {
        let begin = |who| {
            let hour = hour.clone();
            scope.spawn(move || run(who, hour))
        };
        let threads: Vec<_> = all.iter().map(begin).collect();
        drop(hour);
        hours.iter().for_each(|()| progress.step());
        threads.into_iter().map(|t| t.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    });
    progress.clear();
    let runs = all.into_iter().zip(runs).collect();
    Ok(Report { name, history, before, from, over_time, period, prices: policy.prices, runs })
}

/// The work of a simulated hour besides its shards, as a number of shards: the policy, the metrics and the records of
/// each second. Measured: an hour takes 3.2 ms with 2 shards and 21 ms with 100.
const SHARDS_FOR_THE_REST: f64 = 12.0;

/// Refuses a past whose simulation would take too long. Each run has at most about `shards` shards.
fn must_end_soon(history: &History, shards: u32, runs: usize) -> Result<(), CliError> {
    let hours = history.minutes().len() as f64 / 60.0;
    let work_an_hour = (f64::from(shards) + SHARDS_FOR_THE_REST) * runs as f64;
    let work = hours * work_an_hour;
    if work <= MOST_SHARD_HOURS {
        return Ok(());
    }
    let days = MOST_SHARD_HOURS / work_an_hour / 24.0;
    Err(CliError::Usage(format!(
        "{:.1} days of a stream that needs {} are too much to simulate: {runs} runs take more than the {} shard-hours \
         of the limit. Give at most {:.1} days",
        hours / 24.0,
        many(shards, "shard"),
        count(MOST_SHARD_HOURS),
        (days * 10.0).floor() / 10.0
    )))
}
