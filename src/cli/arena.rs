//! `unthrottle arena`.

use super::{CliError, faults};
use crate::sim::score::Score;
use crate::sim::workloads::{self, Workload};
use crate::sim::{Policies, run as compete};
use serde::Serialize;
use std::io::Write;
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
    /// Instead, let so many random schedules of crashes, lost replies, stale reads and people play, and check that
    /// unthrottle never breaks a rule
    #[arg(long, value_name = "NUMBER", conflicts_with_all = ["workload", "policy"])]
    faults: Option<u64>,
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
    if let Some(count) = args.faults {
        return faults::run(count, args.seed, args.json);
    }
    let workloads = workloads_of(args.workload.as_deref())?;
    let policies = policies_of(args.policy.as_deref())?;
    let mut out = std::io::stdout().lock();
    for workload in &workloads {
        let row = |policy: &Policies| Row {
            workload: workload.name,
            policy: policy.to_string(),
            seed: args.seed,
            score: compete(workload, *policy, args.seed),
        };
        if args.json {
            for policy in &policies {
                serde_json::to_writer(&mut out, &row(policy)).map_err(std::io::Error::from)?;
                writeln!(out)?;
            }
        } else {
            let rows: Vec<Row> = policies.iter().map(row).collect();
            out.write_all(table(workload, &rows).as_bytes())?;
        }
        out.flush()?;
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
            let of = |row: &Row| (column.number)(&row.score);
            let is_least =
                rows.iter().all(|other| of(row) <= of(other)) && rows.iter().any(|other| of(row) < of(other));
            let mark = if is_least { "*" } else { " " };
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
