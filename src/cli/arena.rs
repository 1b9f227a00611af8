//! `unthrottle arena`.

use super::CliError;
use super::files;
use super::page::{self, Cell, Clock, Page, Section, Table};
use crate::sim::score::Score;
use crate::sim::workloads::{self, Workload};
use crate::sim::{Policies, Run, watch};
use serde::Serialize;
use std::io::Write;
use std::path::PathBuf;
use strum::{IntoEnumIterator as _, VariantNames as _};

#[derive(clap::Args)]
pub(super) struct Args {
    /// Only this workload; all without it
    #[arg(long, value_name = "NAME")]
    workload: Option<String>,
    /// Only this policy; all without it
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,
    /// What is left to chance is drawn from this number: the same one gives the same table
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// Print a line of JSON for each run
    #[arg(long)]
    json: bool,
    /// Also write a page with the timeline of each run
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
}

/// One run, as `--json` prints it.
#[derive(Serialize)]
struct Row {
    workload: &'static str,
    policy: String,
    seed: u64,
    #[serde(flatten)]
    score: Score,
}

pub(super) fn run(args: &Args) -> Result<(), CliError> {
    let workloads = workloads_of(args.workload.as_deref())?;
    let policies = policies_of(args.policy.as_deref())?;
    let mut out = std::io::stdout().lock();
    let mut sections = vec![];
    for workload in &workloads {
        let (mut rows, mut runs) = (vec![], vec![]);
        for policy in &policies {
            let Run { score, timeline } = watch(workload, *policy, args.seed);
            let row = Row { workload: workload.name, policy: policy.to_string(), seed: args.seed, score };
            if args.json {
                serde_json::to_writer(&mut out, &row).map_err(std::io::Error::from)?;
                writeln!(out)?;
            }
            if args.report.is_some() {
                let is_open = *policy == Policies::Ours || policies.len() == 1;
                runs.push(page::Run { name: row.policy.clone(), timeline, clock: Clock::OfRun, is_open });
            }
            rows.push(row);
        }
        if !args.json {
            out.write_all(table(workload, &rows).as_bytes())?;
        }
        out.flush()?;
        sections.push(section(workload, &rows, runs));
    }
    if let Some(path) = &args.report {
        files::write(path, &page_of(sections, args.seed).html()?)?;
    }
    if !args.json {
        writeln!(out, "\n* the least in its column. Seed {}; the same seed gives the same numbers.", args.seed)?;
    }
    Ok(())
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

const COLUMNS: [Column; 9] = [
    Column { head: "throttled", width: 12, text: |s| s.throttled.to_string(), number: |s| s.throttled as f64 },
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
    Column { head: "illegal", width: 8, text: |s| s.illegal_calls.to_string(), number: |s| s.illegal_calls as f64 },
    Column { head: "shard-h", width: 10, text: |s| format!("{:.1}", s.shard_hours), number: |s| s.shard_hours },
    Column { head: "$", width: 9, text: |s| format!("{:.2}", s.usd), number: |s| s.usd },
];

fn seconds(seconds: Option<i64>) -> String {
    seconds.map_or_else(|| "-".into(), |seconds| seconds.to_string())
}

/// Whether a row has the least of a column in which they differ.
fn is_least(column: &Column, rows: &[Row], row: &Row) -> bool {
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
    let cure = (!workload.is_curable).then(|| "Capacity alone cannot cure it.".to_owned());
    Section {
        title: workload.name.into(),
        about: std::iter::once(workload.about.to_owned()).chain(cure).collect(),
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
             Seed {seed}; the same seed gives the same page."
        ),
    ];
    Page { title: "unthrottle arena".into(), about: about.into(), sections }
}

/// The runs of one workload, with the least in each column marked where they differ.
fn table(workload: &Workload, rows: &[Row]) -> String {
    let cure = if workload.is_curable { "" } else { " (capacity alone cannot cure it)" };
    let mut text = format!("\n{}: {}{cure}\n  {:<15}", workload.name, workload.about, "");
    for column in &COLUMNS {
        text += &format!(" {:>width$} ", column.head, width = column.width);
    }
    for row in rows {
        text += &format!("\n  {:<15}", row.policy);
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
        Row { workload: "calm", policy: policy.to_string(), seed: 1, score }
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
