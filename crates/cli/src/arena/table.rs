//! The table of one workload, as a person sees it.

use super::scores::Row;
use strum::VariantNames as _;
use unthrottle_lab::sim::Policies;
use unthrottle_lab::sim::score::Score;
use unthrottle_lab::sim::workloads::{Cure, Workload};

/// A column of the table: its head, its width, its text, and the number by which rows are compared.
pub(super) struct Column {
    pub head: &'static str,
    width: usize,
    pub text: fn(&Score) -> String,
    number: fn(&Score) -> f64,
}

const OFFERED: &str = "offered";

/// The columns after the name of the policy.
pub(super) const COLUMNS: [Column; 14] = [
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

/// What two of the columns count.
pub(super) const CALLS: &str = "Changes in vain are those of a stream that capacity cannot cure. Calls are those for \
                                the stream, without the calls of a sweep for the whole account (about five).";

fn seconds(seconds: Option<i64>) -> String {
    seconds.map_or_else(|| "-".into(), |seconds| seconds.to_string())
}

/// Whether a row has the least number of a column in which the rows differ. The offered records are the same for all
/// policies, except for rounding.
pub(super) fn is_least(column: &Column, rows: &[Row], row: &Row) -> bool {
    if column.head == OFFERED {
        return false;
    }
    let of = |row: &Row| (column.number)(&row.score);
    rows.iter().all(|other| of(row) <= of(other)) && rows.iter().any(|other| of(row) < of(other))
}

/// Where the cure is, if it is not more capacity.
pub(super) fn cure_of(workload: &Workload) -> &'static str {
    match workload.cure {
        Cure::Capacity => "",
        Cure::Person => " (a person, or a bound, is in the way)",
        Cure::Elsewhere => " (capacity is not the cure)",
    }
}

/// The runs of one workload. A mark shows the least number of each column in which the rows differ.
pub(super) fn text(workload: &Workload, rows: &[Row]) -> String {
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
    fn the_least_number_of_a_column_has_a_mark() {
        let calm = Workload::named("calm").expect("known");
        let table = super::text(&calm, &[row(Policies::Ours, 7), row(Policies::Static, 70)]);
        assert_eq!(table.matches('*').count(), 1, "{table}");
        assert!(table.lines().any(|line| line.contains("ours ") && line.contains(" 7*")), "{table}");
    }
}
