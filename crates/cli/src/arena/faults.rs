//! `unthrottle arena --faults`: plays schedules of faults, on all cores.

use super::cores::on_all_cores;
use crate::CliError;
use crate::screen::Progress;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;
use unthrottle_lab::sim::faults::{Broken, Played, Schedule, Swarm, play, shrink, trace};

/// The time from one check for the end to the next. Longer would make a short run wait, shorter would use CPU.
const TICK: Duration = Duration::from_millis(100);

const SECONDS_OF_A_YEAR: f64 = 365.0 * 86_400.0;

/// The sum over all schedules.
#[derive(Debug, Default, Serialize)]
struct Sum {
    seed: u64,
    /// The first schedule.
    from: u64,
    schedules: u64,
    /// The time of all streams together, in years of 365 days.
    fault_years: f64,
    #[serde(skip)]
    seconds: u64,
    runs: u64,
    changes: u64,
    troubles: BTreeMap<&'static str, u64>,
    ended: BTreeMap<&'static str, u64>,
    broken: Option<Failure>,
}

/// The first schedule that breaks an invariant, and the shortest one that still does.
#[derive(Debug, Serialize)]
struct Failure {
    index: u64,
    /// The command that plays this schedule alone.
    command: String,
    /// The settings of its batch.
    swarm: String,
    invariant: String,
    second: i64,
    why: String,
    schedule: String,
    #[serde(skip)]
    trace: Vec<String>,
}

pub(super) fn run(places: Range<u64>, seed: u64, json: bool) -> Result<(), CliError> {
    let sum = play_all(places, seed);
    let mut out = std::io::stdout().lock();
    if json {
        serde_json::to_writer(&mut out, &sum).map_err(std::io::Error::from)?;
        writeln!(out)?;
    } else {
        out.write_all(text(&sum).as_bytes())?;
    }
    out.flush()?;
    let broken = |failure: &Failure| format!("schedule {} of seed {seed} breaks {}", failure.index, failure.invariant);
    sum.broken.as_ref().map_or(Ok(()), |failure| Err(CliError::Broken(broken(failure))))
}

/// Plays the schedules up to the first that fails. Schedules begin in order, so the first failure does not depend on
/// the number of cores.
fn play_all(places: Range<u64>, seed: u64) -> Sum {
    let (next, is_broken) = (AtomicU64::new(places.start), AtomicBool::new(false));
    let work = || {
        let (mut sum, mut broken) = (Sum::default(), None);
        while !is_broken.load(Ordering::SeqCst) {
            let index = next.fetch_add(1, Ordering::SeqCst);
            if index >= places.end {
                break;
            }
            match play(&Schedule::swarm(seed, index)) {
                Ok(played) => sum.add(&played),
                Err(error) => {
                    is_broken.store(true, Ordering::SeqCst);
                    broken = Some((index, error));
                }
            }
        }
        (sum, broken)
    };
    let (mut all, mut first) = (Sum { seed, from: places.start, ..Sum::default() }, None::<(u64, Broken)>);
    for (sum, broken) in on_all_cores(work, |is_over| show_progress(&places, &next, is_over)) {
        all.merge(sum);
        first = [first.take(), broken].into_iter().flatten().min_by_key(|(index, _)| *index);
    }
    all.fault_years = all.seconds as f64 / SECONDS_OF_A_YEAR;
    all.broken = first.map(|(index, broken)| Failure::of(seed, index, broken));
    all
}

fn show_progress(places: &Range<u64>, next: &AtomicU64, is_over: impl Fn() -> bool) {
    let begun = |index: u64| usize::try_from(index - places.start).unwrap_or(usize::MAX);
    let mut progress = Progress::new("schedules", begun(places.end));
    while !is_over() {
        thread::sleep(TICK);
        progress.set(begun(next.load(Ordering::Relaxed)));
    }
    progress.clear();
}

impl Sum {
    fn add(&mut self, played: &Played) {
        self.schedules += 1;
        self.seconds += played.seconds;
        self.runs += played.runs;
        self.changes += played.changes;
        *self.ended.entry(played.ended).or_default() += 1;
        add_to(&mut self.troubles, &played.troubles);
    }

    fn merge(&mut self, other: Sum) {
        self.schedules += other.schedules;
        self.seconds += other.seconds;
        self.runs += other.runs;
        self.changes += other.changes;
        add_to(&mut self.ended, &other.ended);
        add_to(&mut self.troubles, &other.troubles);
    }
}

fn add_to(sums: &mut BTreeMap<&'static str, u64>, counts: &BTreeMap<&'static str, u64>) {
    counts.iter().for_each(|(name, count)| *sums.entry(name).or_default() += count);
}

impl Failure {
    fn of(seed: u64, index: u64, broken: Broken) -> Failure {
        let (shortest, broken) = shrink(&Schedule::swarm(seed, index), broken, |shorter| play(shorter).err());
        Failure {
            index,
            command: format!("unthrottle arena --faults 1 --from {index} --seed {seed}"),
            swarm: Swarm::of(seed, index).to_string(),
            invariant: broken.invariant.to_string(),
            second: broken.at,
            why: broken.to_string(),
            schedule: shortest.to_string(),
            trace: trace(&shortest),
        }
    }
}

fn text(sum: &Sum) -> String {
    let list = |counts: &BTreeMap<&str, u64>| {
        let words: Vec<String> = counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
        words.join(", ")
    };
    let Sum { seed, schedules, fault_years, runs, changes, troubles, ended, broken, .. } = sum;
    let mut text = format!("{schedules} schedules of seed {seed}: {runs} runs of the Lambda made {changes} changes.\n");
    // Writing to a String cannot fail.
    let _ = writeln!(text, "  time of the streams: {fault_years:.2} years");
    let _ = writeln!(text, "  went wrong: {}", list(troubles));
    let _ = writeln!(text, "  ended: {}", list(ended));
    match broken {
        None => text += "Every invariant held.\n",
        Some(Failure { index, command, swarm, why, schedule, trace, .. }) => {
            let _ = writeln!(text, "\nSchedule {index} of seed {seed}: {why}\n  again: {command}\n  batch: {swarm}");
            let _ = write!(text, "\nThe shortest that fails: {schedule}");
            let _ = writeln!(text, "\nWhat happened:\n{}", trace.join("\n"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_the_same_each_time() {
        let (one, other) = (play_all(0..40, 3), play_all(0..40, 3));
        assert_eq!(text(&one), text(&other));
        assert_eq!((one.schedules, one.ended.values().sum::<u64>()), (40, 40));
        assert!(text(&one).ends_with("Every invariant held.\n"), "{}", text(&one));
    }

    #[test]
    fn a_failure_shows_the_seed_the_numbers_and_the_shortest_schedule() {
        use unthrottle_lab::sim::faults::check::Invariant;
        let failure = Failure {
            index: 7,
            command: "unthrottle arena --faults 1 --from 7 --seed 5".into(),
            swarm: "without crash; more of tags".into(),
            invariant: Invariant::Counted.to_string(),
            second: 61,
            why: "counted at 01:01: twice".into(),
            schedule: "short: 2 shards\n  01:00  a person asks\n".into(),
            trace: vec!["01:00  run 1 begins".into()],
        };
        let text = text(&Sum { seed: 5, broken: Some(failure), ..Sum::default() });
        assert!(text.contains("Schedule 7 of seed 5: counted at 01:01: twice"), "{text}");
        assert!(text.contains("--from 7") && text.contains("without crash"), "{text}");
        assert!(text.contains("01:00  a person asks") && text.contains("run 1 begins"), "{text}");
    }
}
