//! `unthrottle arena`.

use super::files;
use super::page::{self, Cell, Clock, Page, Section, Table};
use super::progress::{self, Progress};
use super::{CliError, faults};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Instant;
use strum::{IntoEnumIterator as _, VariantNames as _};
use unthrottle_lab::sim::delivery::Weather;
use unthrottle_lab::sim::figures::{ALL_TOGETHER, Contest, Figure, OF_BEST_PEER, OF_REACTIVE, figures};
use unthrottle_lab::sim::score::Score;
use unthrottle_lab::sim::workloads::{self, Cure, Workload};
use unthrottle_lab::sim::{Policies, Run, watch};

#[derive(clap::Args)]
pub(super) struct Args {
    /// Only this workload; all without it. README.md lists them, and so does a wrong name
    #[arg(long, value_name = "NAME")]
    workload: Option<String>,
    /// Only this policy; all without it. A wrong name lists them
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,
    /// What becomes of the alarms and events of unthrottle and of `doubling` on their way: `fair`, or `foul`, which
    /// loses, delays and repeats them
    #[arg(long, value_name = "WEATHER", default_value_t)]
    weather: Weather,
    /// What is left to chance is drawn from this number: the same one gives the same table
    #[arg(long, value_name = "NUMBER", default_value_t = SEED)]
    seed: u64,
    /// Print a line of JSON for each run
    #[arg(long)]
    json: bool,
    /// Print the table that README.md has, in Markdown: all workloads, all policies
    #[arg(long, conflicts_with_all = ["workload", "policy", "json", "report"])]
    markdown: bool,
    /// Take the scores from a file of an earlier `--json`, whose runs it must have all, instead of running anything
    #[arg(long, value_name = "FILE.jsonl", requires = "markdown")]
    scores: Option<PathBuf>,
    /// Also write a page with the timeline of each run
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    /// Instead, let so many random schedules of crashes, lost replies, stale reads and people play, and check that
    /// unthrottle never breaks a rule
    #[arg(
        long,
        value_name = "NUMBER",
        value_parser = clap::value_parser!(u64).range(1..),
        conflicts_with_all = ["workload", "policy", "weather", "markdown", "report"]
    )]
    faults: Option<u64>,
}

/// The seed of README.md's table.
const SEED: u64 = 1;

/// One run, as `--json` prints it.
#[derive(Serialize, Deserialize)]
struct Row {
    workload: String,
    policy: String,
    weather: String,
    seed: u64,
    #[serde(flatten)]
    score: Score,
}

pub(super) fn run(args: &Args) -> Result<(), CliError> {
    if let Some(count) = args.faults {
        return faults::run(count, args.seed, args.json);
    }
    if let Some(path) = &args.scores {
        return Ok(std::io::stdout().write_all(markdown(&contests_in(path)?).as_bytes())?);
    }
    let mut workloads = workloads_of(args.workload.as_deref())?;
    for workload in &mut workloads {
        workload.weather = args.weather;
    }
    let policies = policies_of(args.policy.as_deref())?;
    let mut show = Show { args, out: std::io::stdout().lock(), contests: vec![], sections: vec![] };
    compete(&workloads, &policies, args.seed, args.report.is_some(), |workload, runs| show.contest(workload, runs))?;
    show.end(args.workload.is_none() && args.policy.is_none())
}

/// The runs of all workloads by all policies, as `--json` has printed them into a file.
fn contests_in(path: &Path) -> Result<Vec<Contest>, CliError> {
    let text = std::fs::read_to_string(path).map_err(|source| CliError::File { path: path.into(), source })?;
    let row = |(index, line): (usize, &str)| {
        let bad = |problem: String| CliError::Line { path: path.into(), line: index as u64 + 1, problem };
        let row: Row = serde_json::from_str(line).map_err(|error| bad(error.to_string()))?;
        let policy: Policies = row.policy.parse().map_err(|_| bad(format!("no policy is called `{}`", row.policy)))?;
        Ok((row.workload, policy, row.score))
    };
    let rows = text.lines().enumerate().map(row).collect::<Result<Vec<_>, CliError>>()?;
    let contest = |workload: Workload| {
        let of_it = rows.iter().filter(|(name, ..)| name == workload.name);
        let scores: Vec<_> = of_it.map(|(_, policy, score)| (*policy, score.clone())).collect();
        match Policies::iter().find(|wanted| !scores.iter().any(|(policy, _)| policy == wanted)) {
            None => Ok(Contest { workload, scores }),
            Some(missing) => {
                let problem = format!("{}: no line for {missing} on {}", path.display(), workload.name);
                Err(CliError::Usage(problem))
            }
        }
    };
    workloads::all().into_iter().map(contest).collect()
}

/// What is printed, workload by workload, as each is done.
struct Show<'a> {
    args: &'a Args,
    out: std::io::StdoutLock<'static>,
    contests: Vec<Contest>,
    sections: Vec<Section>,
}

impl Show<'_> {
    fn contest(&mut self, workload: &Workload, runs: Vec<(Policies, Run)>) -> Result<(), CliError> {
        let row = |(policy, run): &(Policies, Run)| Row {
            workload: workload.name.to_owned(),
            policy: policy.to_string(),
            weather: workload.weather.to_string(),
            seed: self.args.seed,
            score: run.score.clone(),
        };
        let rows: Vec<Row> = runs.iter().map(row).collect();
        if self.args.json {
            for row in &rows {
                serde_json::to_writer(&mut self.out, row).map_err(std::io::Error::from)?;
                writeln!(self.out)?;
            }
        } else if !self.args.markdown {
            self.out.write_all(table(workload, &rows).as_bytes())?;
        }
        self.out.flush()?;
        let scores = runs.iter().map(|(policy, run)| (*policy, run.score.clone())).collect();
        self.contests.push(Contest { workload: workload.clone(), scores });
        if self.args.report.is_some() {
            let is_single = runs.len() == 1;
            let chart = |(policy, run): (Policies, Run)| {
                let is_open = policy == Policies::Ours || is_single;
                page::Run { name: policy.to_string(), timeline: run.timeline, clock: Clock::OfRun, is_open }
            };
            self.sections.push(section(workload, &rows, runs.into_iter().map(chart).collect()));
        }
        Ok(())
    }

    /// The figures of the whole arena, if all of it ran.
    fn end(mut self, is_whole: bool) -> Result<(), CliError> {
        if self.args.markdown {
            self.out.write_all(markdown(&self.contests).as_bytes())?;
        } else if !self.args.json {
            if is_whole {
                self.out.write_all(figures_table(&figures(&self.contests)).as_bytes())?;
                self.out.write_all(speed(self.args.seed).as_bytes())?;
            }
            let seed = self.args.seed;
            writeln!(
                self.out,
                "\n* the least in its column. {CALLS} Seed {seed}; the same seed gives the same numbers."
            )?;
        }
        match &self.args.report {
            Some(path) => files::write(path, &page_of(self.sections, self.args.seed).html()?),
            None => Ok(()),
        }
    }
}

/// Runs each policy on each workload, on all cores, and hands the runs of a workload over when it and those before it are
/// done. `with_timelines`: keep them, which takes memory.
fn compete(
    workloads: &[Workload],
    policies: &[Policies],
    seed: u64,
    with_timelines: bool,
    mut done: impl FnMut(&Workload, Vec<(Policies, Run)>) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let jobs = workloads.len() * policies.len();
    let next = AtomicUsize::new(0);
    let (sender, results) = mpsc::channel();
    let work = |sender: mpsc::Sender<(usize, Run)>| {
        loop {
            let job = next.fetch_add(1, Ordering::Relaxed);
            let (Some(workload), policy) = (workloads.get(job / policies.len()), policies[job % policies.len()]) else {
                break;
            };
            let mut run = watch(workload, policy, seed);
            if !with_timelines {
                run.timeline = Default::default();
            }
            // Nobody listens any more: standard output was closed.
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
            let (job, run) = match results.recv_timeout(progress::EVERY) {
                Ok(run) => run,
                Err(RecvTimeoutError::Timeout) => {
                    progress.show();
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => break,
            };
            progress.step();
            waiting.insert(job, run);
            while let Some(workload) = workloads.get(shown)
                && waiting.range(shown * policies.len()..(shown + 1) * policies.len()).count() == policies.len()
            {
                let runs = policies.iter().zip((shown * policies.len()..).map_while(|job| waiting.remove(&job)));
                progress.clear();
                done(workload, runs.map(|(policy, run)| (*policy, run)).collect())?;
                shown += 1;
            }
        }
        progress.clear();
        Ok(())
    })
}

fn workloads_of(name: Option<&str>) -> Result<Vec<Workload>, CliError> {
    let Some(name) = name else { return Ok(workloads::all()) };
    let names = || workloads::all().iter().map(|workload| workload.name).collect::<Vec<_>>().join(", ");
    let known = Workload::named(name);
    let known = known.ok_or_else(|| CliError::Usage(format!("no workload is called `{name}`; there are: {}", names())));
    Ok(vec![known?])
}

fn policies_of(name: Option<&str>) -> Result<Vec<Policies>, CliError> {
    let Some(name) = name else { return Ok(Policies::iter().collect()) };
    let known = name.parse::<Policies>();
    let known = known.map_err(|_| {
        CliError::Usage(format!("no policy is called `{name}`; there are: {}", Policies::VARIANTS.join(", ")))
    });
    Ok(vec![known?])
}

/// A column of the table: its head, its width, its text, and the number that it is compared by.
struct Column {
    head: &'static str,
    width: usize,
    text: fn(&Score) -> String,
    number: fn(&Score) -> f64,
}

const OFFERED: &str = "offered";

const COLUMNS: [Column; 14] = [
    Column { head: OFFERED, width: 12, text: |s| s.offered.to_string(), number: |s| s.offered as f64 },
    Column { head: "throttled", width: 12, text: |s| s.throttled.to_string(), number: |s| s.throttled as f64 },
    Column {
        head: "reads thr.",
        width: 10,
        text: |s| s.reads_throttled.to_string(),
        number: |s| s.reads_throttled as f64,
    },
    Column { head: "lost", width: 12, text: |s| s.lost.to_string(), number: |s| s.lost as f64 },
    Column {
        head: "throttled s",
        width: 12,
        text: |s| s.throttled_seconds.to_string(),
        number: |s| s.throttled_seconds as f64,
    },
    Column {
        head: "heal p50 s",
        width: 11,
        text: |s| seconds(s.heal_seconds_median),
        number: |s| s.heal_seconds_median.unwrap_or_default() as f64,
    },
    Column {
        head: "heal max s",
        width: 11,
        text: |s| seconds(s.heal_seconds_longest),
        number: |s| s.heal_seconds_longest.unwrap_or_default() as f64,
    },
    Column { head: "changes", width: 8, text: |s| s.changes.to_string(), number: |s| s.changes as f64 },
    Column { head: "in vain", width: 8, text: |s| s.changes_in_vain.to_string(), number: |s| s.changes_in_vain as f64 },
    Column { head: "illegal", width: 8, text: |s| s.illegal_calls.to_string(), number: |s| s.illegal_calls as f64 },
    Column { head: "shard-h", width: 10, text: |s| format!("{:.1}", s.shard_hours), number: |s| s.shard_hours },
    Column { head: "× load", width: 8, text: |s| format!("{:.2}", s.over_provision), number: |s| s.over_provision },
    Column { head: "calls", width: 8, text: |s| s.calls.to_string(), number: |s| s.calls as f64 },
    Column { head: "$", width: 9, text: |s| format!("{:.2}", s.usd), number: |s| s.usd },
];

const CALLS: &str = "Changes in vain are those of a stream that capacity cannot cure. Calls are those for the stream; a sweep's \
                     finding, about five for the whole account, is not in them.";

fn seconds(seconds: Option<i64>) -> String {
    seconds.map_or_else(|| "-".into(), |seconds| seconds.to_string())
}

/// Whether a row has the least of a column in which they differ. What is offered is the same for all, but for rounding.
fn is_least(column: &Column, rows: &[Row], row: &Row) -> bool {
    if column.head == OFFERED {
        return false;
    }
    let of = |row: &Row| (column.number)(&row.score);
    rows.iter().all(|other| of(row) <= of(other)) && rows.iter().any(|other| of(row) < of(other))
}

/// The runs of one workload on a page.
fn section(workload: &Workload, rows: &[Row], runs: Vec<page::Run>) -> Section {
    let cells = |row: &Row| {
        let cell = |column: &Column| Cell { text: (column.text)(&row.score), is_least: is_least(column, rows, row) };
        std::iter::once(Cell::from(&row.policy)).chain(COLUMNS.iter().map(cell)).collect()
    };
    let heads = std::iter::once("policy").chain(COLUMNS.iter().map(|column| column.head)).map(str::to_owned).collect();
    let cure = Some(cure_of(workload).trim()).filter(|cure| !cure.is_empty()).map(str::to_owned);
    let first_only = (workload.streams > 1).then(|| "The charts show the first stream.".to_owned());
    Section {
        title: workload.name.into(),
        about: std::iter::once(workload.about.to_owned()).chain(cure).chain(first_only).collect(),
        tables: vec![Table { heads, rows: rows.iter().map(cells).collect() }],
        runs,
    }
}

fn page_of(sections: Vec<Section>, seed: u64) -> Page {
    let about = [
        "Policies that look after a simulated Kinesis stream in virtual time. AWS's limits and durations and CloudWatch's \
         delays are modelled; unthrottle decides by the very code that the Lambda runs."
            .to_owned(),
        format!(
            "Heal times are in seconds, from the first refusal of an incident to its last. * is the least of its column. \
             {CALLS} Seed {seed}; the same seed gives the same page."
        ),
    ];
    Page { title: "unthrottle arena".into(), about: about.into(), sections }
}

/// What can cure it, if more capacity cannot or may not.
fn cure_of(workload: &Workload) -> &'static str {
    match workload.cure {
        Cure::Capacity => "",
        Cure::Person => " (a person, or a bound, is in the way)",
        Cure::Elsewhere => " (capacity is not the cure)",
    }
}

/// The figures, one on a line; what is missed is said.
fn figures_table(figures: &[Figure]) -> String {
    let mut text = "\nFigures, over the workloads that capacity can cure; below them each that is missed:\n".to_owned();
    for figure in figures {
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

/// A day of 64 shards takes at most so many seconds of one core.
const DAY_OF_64_SHARDS: f64 = 0.5;

/// How fast the simulation is, measured now.
fn speed(seed: u64) -> String {
    let Some(wide) = Workload::named("wide") else { return String::new() };
    let begun = Instant::now();
    let _ = watch(&wide, Policies::Ours, seed);
    let took = begun.elapsed().as_secs_f64();
    let missed = match took <= DAY_OF_64_SHARDS {
        true => "",
        false if cfg!(debug_assertions) => "  missed (a debug build)",
        false => "  missed",
    };
    let what = "seconds for a day of 64 shards, on one core";
    format!("  {what:<62} {took:>10.2}  at most {DAY_OF_64_SHARDS}{missed}\n")
}

fn ratio(ratio: Option<f64>) -> String {
    match ratio {
        None => "-".into(),
        Some(ratio) if ratio.is_infinite() => "∞".into(),
        Some(ratio) => format!("{ratio:.2}"),
    }
}

/// A ratio, so exactly that it is not taken for one that reaches what it misses.
fn exact(found: Option<f64>, most: f64) -> String {
    let is_close = |ratio: &f64| *ratio > most && *ratio - most < 0.01;
    found.filter(is_close).map_or_else(|| ratio(found), |ratio| format!("{ratio:.4}"))
}

/// The same in Markdown, bold if it is more than `most`.
fn against(found: Option<f64>, most: f64) -> String {
    let text = exact(found, most);
    if found.is_some_and(|ratio| ratio > most) { format!("**{text}**") } else { text }
}

/// README.md's table.
fn markdown(contests: &[Contest]) -> String {
    let mut text = "| workload | | changes | healed within | refused ÷ reactive limit | refused ÷ best peer | refused in foul weather ÷ fair | refused with restore ÷ without | shard-hours with restore ÷ clairvoyant |\n|---|---|---|---|---|---|---|---|---|\n".to_owned();
    for contest in contests {
        let Some(ours) = contest.of(Policies::Ours) else { continue };
        let Workload { name, about, .. } = &contest.workload;
        let cure = cure_of(&contest.workload);
        let healed = match ours.heal_seconds_longest {
            None => "-".into(),
            Some(_) if !ours.is_healed => "not".into(),
            Some(seconds) => format!("{seconds} s"),
        };
        let is_held = contest.workload.cure == Cure::Capacity;
        let held = |found, most| if is_held { against(found, most) } else { ratio(found) };
        let peer = contest.against_best_peer();
        let peer = peer.map_or("-".into(), |(peer, found)| format!("{} ({peer})", held(found, OF_BEST_PEER)));
        let row = [
            format!("`{name}`"),
            format!("{about}{cure}"),
            ours.changes.to_string(),
            healed,
            held(contest.against_reactive(), OF_REACTIVE),
            peer,
            ratio(contest.in_foul_weather()),
            ratio(contest.with_restore()),
            ratio(contest.shard_hours()),
        ];
        text += &format!("| {} |\n", row.join(" | "));
    }
    text += &format!(
        "\nBold: more than {OF_REACTIVE} times the reactive limit, or more than the best peer, where capacity is the cure.\n"
    );
    for figure in figures(contests).iter().take(ALL_TOGETHER) {
        let missed = if figure.is_reached() { "" } else { ": **missed**" };
        text += &format!("\n- {}: {}, at most {}{missed}.", figure.what, exact(figure.ratio, figure.most), figure.most);
    }
    text + "\n"
}

/// The runs of one workload, with the least in each column marked where they differ.
fn table(workload: &Workload, rows: &[Row]) -> String {
    let cure = cure_of(workload);
    let names = Policies::VARIANTS.iter().map(|name| name.len()).max().unwrap_or_default();
    let mut text = format!("\n{}: {}{cure}\n  {:<names$}", workload.name, workload.about, "");
    for column in &COLUMNS {
        text += &format!(" {:>width$} ", column.head, width = column.width);
    }
    for row in rows {
        text += &format!("\n  {:<names$}", row.policy);
        for column in &COLUMNS {
            let mark = if is_least(column, rows, row) { "*" } else { " " };
            text += &format!(" {:>width$}{mark}", (column.text)(&row.score), width = column.width);
        }
    }
    text + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(policy: Policies, throttled: u64) -> Row {
        let score = Score { throttled, changes: 3, ..Score::default() };
        Row { workload: "calm".into(), policy: policy.to_string(), weather: String::new(), seed: 1, score }
    }

    #[test]
    fn the_least_is_marked_where_there_is_one() {
        let calm = Workload::named("calm").expect("known");
        let table = table(&calm, &[row(Policies::Ours, 7), row(Policies::Static, 70)]);
        assert_eq!(table.matches('*').count(), 1, "{table}");
        assert!(table.lines().any(|line| line.contains("ours ") && line.contains(" 7*")), "{table}");
    }

    #[test]
    fn an_unknown_name_is_told_those_that_are_known() {
        let error = |text: Result<_, CliError>| text.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error(workloads_of(Some("none")).map(|_| ())).contains("step-3.5"));
        assert!(error(policies_of(Some("none")).map(|_| ())).contains("doubling"));
    }
}
