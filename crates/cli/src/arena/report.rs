//! The page of `--report`.

use super::scores::Row;
use super::table::{CALLS, COLUMNS, Column, cure_of, is_least};
use crate::backtest::cents;
use crate::pages::{self, Cell, Page, Section, Table};
use strum::IntoEnumIterator as _;
use unthrottle_core::words::{count, many};
use unthrottle_lab::sim::Policies;
use unthrottle_lab::sim::figures::Contest;
use unthrottle_lab::sim::score::Score;
use unthrottle_lab::sim::workloads::Workload;

/// The runs of one workload, as a section of the page.
pub(super) fn section(workload: &Workload, rows: &[Row], runs: Vec<pages::Run>) -> Section {
    let cells = |row: &Row| {
        let cell = |column: &Column| Cell { text: (column.text)(&row.score), is_least: is_least(column, rows, row) };
        std::iter::once(Cell::from(&row.policy)).chain(COLUMNS.iter().map(cell)).collect()
    };
    let heads = std::iter::once("policy").chain(COLUMNS.iter().map(|column| column.head)).map(str::to_owned).collect();
    let cure = Some(cure_of(workload).trim()).filter(|cure| !cure.is_empty()).map(str::to_owned);
    let first_only = (workload.streams > 1).then(|| "The charts show the first stream.".to_owned());
    Section {
        title: workload.name.into(),
        about: result(rows).into_iter().chain([workload.about.to_owned()]).chain(cure).chain(first_only).collect(),
        tables: vec![Table { heads, rows: rows.iter().map(cells).collect() }],
        runs,
        ..Section::default()
    }
}

/// The result of a workload in one sentence. `None`: unthrottle or the stream without scaling did not run.
fn result(rows: &[Row]) -> Option<String> {
    let score = |policy: Policies| rows.iter().find(|row| row.policy == policy.to_string()).map(|row| &row.score);
    Some(format!("With unthrottle {}.", in_words(&[(score(Policies::Ours)?, score(Policies::Static)?)])))
}

/// The result of all workloads in one sentence. Empty: unthrottle or the stream without scaling did not run.
fn result_of_all(contests: &[Contest]) -> String {
    let pairs: Vec<(&Score, &Score)> = contests
        .iter()
        .filter_map(|contest| Some((contest.of(Policies::Ours)?, contest.of(Policies::Static)?)))
        .collect();
    match pairs.len() {
        0 => String::new(),
        1 => format!("With unthrottle {}.", in_words(&pairs)),
        runs => format!("In {} with unthrottle {}.", many(runs, "run"), in_words(&pairs)),
    }
}

/// What AWS refuses and charges with unthrottle, and without scaling: the first and the second of each pair, together.
fn in_words(pairs: &[(&Score, &Score)]) -> String {
    let refused = |of: fn(&(&Score, &Score)) -> u64| pairs.iter().map(of).sum::<u64>();
    let usd = |of: fn(&(&Score, &Score)) -> f64| cents(pairs.iter().map(of).sum());
    format!(
        "AWS refuses {} instead of {}, for ${} instead of ${}",
        many(refused(|(ours, _)| ours.throttled), "record"),
        count(refused(|(_, unattended)| unattended.throttled) as f64),
        usd(|(ours, _)| ours.usd),
        usd(|(_, unattended)| unattended.usd)
    )
}

/// The page.
pub(super) fn page(sections: Vec<Section>, contests: &[Contest], seed: u64) -> Page {
    let caveats = vec![
        "Policies that manage a simulated Kinesis stream in virtual time. The first two columns of numbers are what \
         AWS refused, and the cost. * marks the least number of a column."
            .to_owned(),
        "The limits and durations of AWS and the delays of CloudWatch are modelled; unthrottle decides with the same \
         code as in the Lambda."
            .to_owned(),
        format!(
            "Heal times are in seconds, from the first refusal of an incident to its last. {CALLS} Seed {seed}; the \
             same seed gives the same page."
        ),
    ];
    let shown = |policy: &Policies| {
        let name = policy.to_string();
        sections.iter().flat_map(|section| &section.runs).any(|run| run.name == name)
    };
    let policies = Policies::iter().filter(shown).map(|policy| (policy.to_string(), meaning(policy).to_owned()));
    let policies = policies.collect();
    let result = result_of_all(contests);
    Page { title: "unthrottle arena".into(), result, sections, policies, caveats, ..Page::default() }
}

/// What a policy does.
fn meaning(policy: Policies) -> &'static str {
    match policy {
        Policies::Ours => "unthrottle as it is deployed.",
        Policies::OursRestoring => "unthrottle that takes its raises back after three hours without throttling.",
        Policies::OursForeseeing => {
            "unthrottle that adds shards before the load comes, and takes them back afterwards."
        }
        Policies::OursDiagnosing => "unthrottle that may switch on shard-level metrics to find hot shards.",
        Policies::OursWithLossyDelivery => "unthrottle whose alarms and events come late, twice, or not at all.",
        Policies::Static => "No scaling.",
        Policies::Doubling => "Doubles the shards at each throttle event.",
        Policies::Substation => "The autoscaler of Substation.",
        Policies::ScalingUtils => "The Kinesis Scaling Utility of AWS Labs, with the numbers of its README.",
        Policies::AwsAutoscaling => "AWS's sample of an autoscaler on metric-math alarms.",
        Policies::Epsagon => "The autoscaler of Epsagon.",
        Policies::ApplicationAutoScaling => "AWS's sample of a custom resource of Application Auto Scaling.",
        Policies::HuaweiDis => "The autoscaling of Huawei Cloud's Data Ingestion Service, as if AWS sold it.",
        Policies::PredictiveScaling => "AWS's predictive scaling, as a custom resource would use it for a stream.",
        Policies::OnDemand => "No scaling, on a stream that is in on-demand mode from the beginning.",
        Policies::Reactive => "A limit: knows the offered load, and doubles as soon as a minute shows a need.",
        Policies::Clairvoyant => "A limit: knows the future load and plans for it.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use unthrottle_lab::sim::workloads;

    #[test]
    fn the_page_begins_with_the_result_of_all_its_workloads() {
        let score = |throttled, usd| Score { throttled, usd, ..Score::default() };
        let contest = |workload: &Workload| Contest {
            workload: workload.clone(),
            seed: 1,
            scores: vec![(Policies::Ours, score(1_000, 2.5)), (Policies::Static, score(9_000, 1.0))],
        };
        let contests: Vec<Contest> = workloads::all().iter().take(2).map(contest).collect();
        let words = |contests: &[Contest]| page(vec![], contests, 1).result;
        let two = "In 2 runs with unthrottle AWS refuses 2,000 records instead of 18,000, for $5.00 instead of $2.00.";
        assert_eq!(words(&contests), two);
        let one = "With unthrottle AWS refuses 1,000 records instead of 9,000, for $2.50 instead of $1.00.";
        assert_eq!((words(&contests[..1]).as_str(), words(&[]).as_str()), (one, ""));
    }
}
