//! Runs policies on workloads, on all cores.

use crate::CliError;
use crate::screen::{EVERY, Progress};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use unthrottle_lab::sim::workloads::Workload;
use unthrottle_lab::sim::{Policies, Run, watch};

/// Runs each policy on each workload with its seed, on all cores. Calls `done` for each in order, as soon as its runs
/// and the runs before are complete. `with_timelines`: keep the timelines, which takes memory.
pub(super) fn compete(
    games: &[(Workload, u64)],
    policies: &[Policies],
    with_timelines: bool,
    mut done: impl FnMut(&Workload, u64, Vec<(Policies, Run)>) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let jobs = games.len() * policies.len();
    let next = AtomicUsize::new(0);
    let (sender, results) = mpsc::channel();
    let work = |sender: mpsc::Sender<(usize, Run)>| {
        loop {
            let job = next.fetch_add(1, Ordering::Relaxed);
            let (Some((workload, seed)), policy) = (games.get(job / policies.len()), policies[job % policies.len()])
            else {
                break;
            };
            let mut run = watch(workload, policy, *seed);
            if !with_timelines {
                run.timeline = Default::default();
            }
            // The receiver is gone: standard output was closed.
            if sender.send((job, run)).is_err() {
                break;
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, Into::into) {
            let sender = sender.clone();
            scope.spawn(|| work(sender));
        }
        drop(sender);
        let (mut waiting, mut progress) = (BTreeMap::new(), Progress::new("runs", jobs));
        let mut shown = 0;
        loop {
            let (job, run) = match results.recv_timeout(EVERY) {
                Ok(run) => run,
                Err(RecvTimeoutError::Timeout) => {
                    progress.show();
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => break,
            };
            progress.step();
            waiting.insert(job, run);
            while let Some((workload, seed)) = games.get(shown)
                && waiting.range(shown * policies.len()..(shown + 1) * policies.len()).count() == policies.len()
            {
                let runs = policies.iter().zip((shown * policies.len()..).map_while(|job| waiting.remove(&job)));
                progress.clear();
                done(workload, *seed, runs.map(|(policy, run)| (*policy, run)).collect())?;
                shown += 1;
            }
        }
        progress.clear();
        Ok(())
    })
}
