//! The table of one workload, as a person sees it.

use super::scores::Row;
use crate::backtest::{cents, tenths};
use crate::screen::{self, Console, Table};
use unthrottle_core::words::count;
use unthrottle_lab::sim::score::Score;
use unthrottle_lab::sim::workloads::{Cure, Workload};

/// A column of the table: its head, its rank on a narrow screen, its text, and the number by which rows are compared.
pub(super) struct Column {
    pub head: &'static str,
    rank: u8,
    pub text: fn(&Score) -> String,
    number: fn(&Score) -> f64,
}

const OFFERED: &str = "offered";

/// The columns after the name of the policy.
pub(super) const COLUMNS: [Column; 14] = [
    Column { head: "throttled", rank: 0, text: |s| whole(s.throttled), number: |s| s.throttled as f64 },
    Column { head: "$", rank: 0, text: |s| cents(s.usd), number: |s| s.usd },
    Column {
        head: "heal p50 s",
        rank: 1,
        text: |s| seconds(s.heal_seconds_median),
        number: |s| s.heal_seconds_median.unwrap_or_default() as f64,
    },
    Column { head: "changes", rank: 1, text: |s| whole(s.changes), number: |s| s.changes as f64 },
    Column { head: "lost", rank: 2, text: |s| whole(s.lost), number: |s| s.lost as f64 },
    Column {
        head: "throttled s",
        rank: 2,
        text: |s| whole(s.throttled_seconds),
        number: |s| s.throttled_seconds as f64,
    },
    Column {
        head: "heal max s",
        rank: 3,
        text: |s| seconds(s.heal_seconds_longest),
        number: |s| s.heal_seconds_longest.unwrap_or_default() as f64,
    },
    Column { head: "shard-h", rank: 3, text: |s| tenths(s.shard_hours), number: |s| s.shard_hours },
    Column { head: "× load", rank: 2, text: |s| format!("{:.2}", s.over_provision), number: |s| s.over_provision },
    Column { head: "reads thr.", rank: 4, text: |s| whole(s.reads_throttled), number: |s| s.reads_throttled as f64 },
    Column { head: "in vain", rank: 3, text: |s| whole(s.changes_in_vain), number: |s| s.changes_in_vain as f64 },
    Column { head: "illegal", rank: 3, text: |s| whole(s.illegal_calls), number: |s| s.illegal_calls as f64 },
    Column { head: OFFERED, rank: 4, text: |s| whole(s.offered), number: |s| s.offered as f64 },
    Column { head: "calls", rank: 4, text: |s| whole(s.calls), number: |s| s.calls as f64 },
];

/// What two of the columns count.
pub(super) const CALLS: &str = "Changes in vain are those of a stream that capacity cannot cure. Calls are those for \
                                the stream, without the calls of a sweep for the whole account (about five).";

fn seconds(seconds: Option<i64>) -> String {
    seconds.map_or_else(|| "-".into(), |seconds| count(seconds as f64))
}

fn whole(number: impl TryInto<u64>) -> String {
    count(number.try_into().unwrap_or(u64::MAX) as f64)
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

/// Prints the runs of one workload. A mark shows the least number of each column in which the rows differ.
pub(super) fn print(console: &mut Console, workload: &Workload, rows: &[Row], is_wide: bool) -> std::io::Result<()> {
    console.line("")?;
    console.text(&format!("{}: {}{}", workload.name, workload.about, cure_of(workload)))?;
    let number = |column: &Column| screen::Column::number(&format!("{} ", column.head), column.rank);
    let columns = std::iter::once(screen::Column::text("", 0)).chain(COLUMNS.iter().map(number));
    let cells = |row: &Row| {
        let mark = |column: &Column| if is_least(column, rows, row) { "*" } else { " " };
        let cell = |column: &Column| format!("{}{}", (column.text)(&row.score), mark(column));
        std::iter::once(row.policy.clone()).chain(COLUMNS.iter().map(cell)).collect()
    };
    console.table(&Table { columns: columns.collect(), rows: rows.iter().map(cells).collect(), is_wide })
}

#[cfg(test)]
mod tests {
    use super::*;
    use unthrottle_lab::sim::Policies;

    fn row(policy: Policies, throttled: u64) -> Row {
        let score = Score { throttled, changes: 3, ..Score::default() };
        Row { workload: "calm".into(), policy: policy.to_string(), weather: String::new(), seed: 1, score }
    }

    #[test]
    fn the_least_number_of_a_column_has_a_mark() {
        let calm = Workload::named("calm").expect("known");
        let (mut console, written) = Console::in_memory(200);
        let rows = [row(Policies::Ours, 7), row(Policies::Static, 70)];
        print(&mut console, &calm, &rows, false).expect("written");
        let table = written.text();
        assert_eq!(table.matches('*').count(), 1, "{table}");
        assert!(table.lines().any(|line| line.contains("ours ") && line.contains(" 7*")), "{table}");
    }
}
