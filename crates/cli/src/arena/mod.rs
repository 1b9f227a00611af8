//! `unthrottle arena`: compares policies on simulated streams.

mod calibrate;
mod compete;
mod cores;
mod every;
mod faults;
mod figures;
mod markdown;
mod report;
mod scores;
mod table;

use crate::help::whole;
use crate::pages::{self, Clock, Section};
use crate::screen::{Console, print_json};
use crate::{CliError, files};
use compete::compete;
use scores::{Row, contests_in};
use std::io::Write;
use std::path::PathBuf;
use strum::{IntoEnumIterator as _, VariantNames as _};
use unthrottle_lab::sim::delivery::DeliveryQuality;
use unthrottle_lab::sim::figures::Contest;
use unthrottle_lab::sim::workloads::{self, Workload};
use unthrottle_lab::sim::{Policies, Run};

#[derive(clap::Args)]
#[command(next_line_help = true)]
pub(super) struct Args {
    #[arg(
        long,
        value_name = "NAME",
        help = "Run only this workload. docs/evaluation.md lists the workloads, and a \
                wrong name does, too"
    )]
    workload: Option<String>,
    /// Run only this policy. A wrong name lists the policies
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,
    #[arg(
        long,
        value_name = "WEATHER",
        default_value_t,
        value_parser = weather,
        help = "How alarms and events reach unthrottle and the peers that they wake: \
                `fair`, or `foul`, which loses, delays and repeats them"
    )]
    weather: DeliveryQuality,
    /// The seed of all random numbers. The same seed gives the same table
    #[arg(long, value_name = "NUMBER", default_value_t = SEED, value_parser = whole)]
    seed: u64,
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = 1,
        value_parser = clap::builder::RangedI64ValueParser::<u64>::new().range(1..=1000),
        help = "Run each workload with as many seeds, from --seed on"
    )]
    seeds: u64,
    /// Show all columns on any screen
    #[arg(long)]
    wide: bool,
    /// Print a line of JSON for each run
    #[arg(long)]
    json: bool,
    #[arg(
        long,
        conflicts_with_all = ["workload", "policy", "json", "report"],
        help = "Print the table of docs/evaluation.md in Markdown: all workloads and \
                all policies"
    )]
    markdown: bool,
    #[arg(
        long,
        value_name = "FILE.jsonl",
        requires = "markdown",
        conflicts_with_all = ["weather", "seed", "seeds"],
        help = "Run nothing, and take the scores from the output of an earlier --json. \
                The file must have all runs"
    )]
    scores: Option<PathBuf>,
    #[arg(
        long,
        value_name = "PROOF.json",
        conflicts_with_all = ["markdown", "scores", "faults"],
        help = "Take the reshard times and the delays of metrics that `unthrottle prove` \
                measured, where the proof has them. Standard error says which"
    )]
    calibrate: Option<PathBuf>,
    /// Also write a page with the timeline of each run
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    #[arg(
        long,
        value_name = "NUMBER",
        value_parser = clap::builder::RangedI64ValueParser::<u64>::new().range(1..),
        conflicts_with_all = ["workload", "policy", "weather", "seeds", "markdown", "report"],
        help = "Instead, play this number of random schedules of crashes, lost \
                replies, stale reads, and changes by people. Check that unthrottle \
                breaks no invariant. Each hundred leaves some kinds of faults out \
                and has more of others"
    )]
    faults: Option<u64>,
    #[arg(
        long,
        value_name = "NUMBER",
        requires = "faults",
        default_value_t = 0,
        value_parser = whole,
        help = "With --faults, begin with this schedule of the seed"
    )]
    from: u64,
    #[arg(
        long,
        value_name = "SCENE",
        num_args = 0..=1,
        default_missing_value = every::ALL,
        conflicts_with_all = [
            "workload", "policy", "weather", "seed", "seeds", "markdown", "report", "calibrate", "faults",
        ],
        help = "Instead, play every interleaving of the AWS calls of two runs, one \
                person and the clock, each call with every failure. Without a name, \
                play all scenes. A wrong name lists the scenes"
    )]
    exhaustive: Option<String>,
}

/// The value of `--weather`.
fn weather(text: &str) -> Result<DeliveryQuality, String> {
    text.parse().map_err(|_| format!("it must be one of {}", DeliveryQuality::VARIANTS.join(", ")))
}

/// The first seed of the table in docs/evaluation.md. Other seeds would change every number of the table.
const SEED: u64 = 1;

pub(super) fn run(args: &Args) -> Result<(), CliError> {
    if let Some(count) = args.faults {
        return faults::run(args.from..args.from.saturating_add(count), args.seed, args.json);
    }
    if let Some(scene) = &args.exhaustive {
        return every::run(scene, args.json);
    }
    if let Some(path) = &args.scores {
        return Ok(std::io::stdout().write_all(markdown::table(&contests_in(path)?).as_bytes())?);
    }
    args.report.as_deref().map_or(Ok(()), files::can_write)?;
    let mut workloads = workloads_of(args.workload.as_deref())?;
    let calibrated = args.calibrate.as_deref().map(calibrate::read).transpose()?;
    calibrated.iter().flat_map(|it| &it.says).for_each(|line| eprintln!("unthrottle: {line}"));
    for workload in &mut workloads {
        workload.weather = args.weather;
        if let Some(calibrated) = &calibrated {
            workload.account.times = calibrated.times;
        }
    }
    let policies = policies_of(args.policy.as_deref())?;
    let with_seeds = |workload: Workload| {
        (args.seed..args.seed.saturating_add(args.seeds)).map(move |seed| (workload.clone(), seed))
    };
    let games: Vec<(Workload, u64)> = workloads.into_iter().flat_map(with_seeds).collect();
    let mut show = Show { args, console: Console::new(false), contests: vec![], sections: vec![] };
    compete(&games, &policies, args.report.is_some(), |workload, seed, runs| show.contest(workload, seed, runs))?;
    show.end(args.workload.is_none() && args.policy.is_none())
}

/// The output: each workload as soon as its runs are complete.
struct Show<'a> {
    args: &'a Args,
    console: Console,
    contests: Vec<Contest>,
    sections: Vec<Section>,
}

impl Show<'_> {
    /// Shows the runs of one workload.
    fn contest(&mut self, workload: &Workload, seed: u64, runs: Vec<(Policies, Run)>) -> Result<(), CliError> {
        let row = |(policy, run): &(Policies, Run)| Row {
            workload: workload.name.to_owned(),
            policy: policy.to_string(),
            weather: workload.weather.to_string(),
            seed,
            score: run.score.clone(),
        };
        let rows: Vec<Row> = runs.iter().map(row).collect();
        if self.args.json {
            for row in &rows {
                print_json(row)?;
            }
        } else if !self.args.markdown {
            if self.args.seeds > 1 {
                self.console.line(&format!("\nSeed {seed}"))?;
            }
            table::print(&mut self.console, workload, &rows, self.args.wide)?;
        }
        std::io::stdout().flush()?;
        let scores = runs.iter().map(|(policy, run)| (*policy, run.score.clone())).collect();
        self.contests.push(Contest { workload: workload.clone(), seed, scores });
        if self.args.report.is_some() {
            let is_single = runs.len() == 1;
            let chart = |(policy, run): (Policies, Run)| {
                let is_open = policy == Policies::Ours || is_single;
                pages::Run { name: policy.to_string(), timeline: run.timeline, clock: Clock::OfRun, is_open }
            };
            self.sections.push(report::section(workload, &rows, runs.into_iter().map(chart).collect()));
        }
        Ok(())
    }

    /// Shows the figures of the whole arena if all of it ran, and writes the page.
    fn end(mut self, is_whole: bool) -> Result<(), CliError> {
        if self.args.markdown {
            std::io::stdout().write_all(markdown::table(&self.contests).as_bytes())?;
        } else if !self.args.json {
            if is_whole {
                figures::print(&mut self.console, &self.contests, self.args.seed)?;
            }
            let (first, last) = (self.args.seed, self.args.seed.saturating_add(self.args.seeds - 1));
            let seeds = if first == last { format!("Seed {first}") } else { format!("Seeds {first} to {last}") };
            self.console.line("")?;
            self.console.text(&format!(
                "* the least number of its column. {} {seeds}; the same seed gives the same numbers.",
                table::CALLS
            ))?;
        }
        match &self.args.report {
            Some(path) => files::write(path, &report::page(self.sections, &self.contests, self.args.seed).html()?),
            None => Ok(()),
        }
    }
}

/// The workload of this name, or all.
fn workloads_of(name: Option<&str>) -> Result<Vec<Workload>, CliError> {
    let Some(name) = name else { return Ok(workloads::all()) };
    let names = || workloads::all().iter().map(|workload| workload.name).collect::<Vec<_>>().join(", ");
    let known = Workload::named(name);
    let known =
        known.ok_or_else(|| CliError::Usage(format!("no workload is called `{name}`. The workloads: {}", names())));
    Ok(vec![known?])
}

/// The policy of this name, or all.
fn policies_of(name: Option<&str>) -> Result<Vec<Policies>, CliError> {
    let Some(name) = name else { return Ok(Policies::iter().collect()) };
    let known = name.parse::<Policies>();
    let known = known.map_err(|_| {
        CliError::Usage(format!("no policy is called `{name}`. The policies: {}", Policies::VARIANTS.join(", ")))
    });
    Ok(vec![known?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_is_an_error_with_the_known_names() {
        let error = |text: Result<_, CliError>| text.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error(workloads_of(Some("none")).map(|_| ())).contains("step-3.5"));
        assert!(error(policies_of(Some("none")).map(|_| ())).contains("doubling"));
    }
}
