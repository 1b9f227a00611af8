//! What the records say, on a terminal.

use super::remarks::remarks;
use super::report::{Key, Report, Shard};
use crate::screen::{Column, Console, Table, visible};
use std::io;
use unthrottle_core::words::{self, count, many};

/// The columns of a key. A longer one is cut, and `--json` has it.
const KEY: usize = 30;

pub(super) fn print(console: &mut Console, report: &Report) -> io::Result<()> {
    let Report { stream, records, shards, sizes, .. } = report;
    console.heading(&format!(
        "{stream}: {}, {} read from {}",
        many(*records, "record"),
        size(report.bytes),
        many(shards.len(), "shard")
    ))?;
    let (Some(first), Some(last)) = (report.first_record_at, report.last_record_at) else {
        for remark in remarks(report) {
            console.step(&remark)?;
        }
        return console.step("no record was read. A longer --for waits for more, and --from -1h begins in the past");
    };
    console.step(&format!("arrived {} to {} UTC", first.format("%Y-%m-%d %H:%M:%S"), last.format("%H:%M:%S")))?;
    for remark in remarks(report) {
        console.step(&remark)?;
    }
    let (median, p95, largest) = (sizes.median_bytes, sizes.p95_bytes, sizes.largest_bytes);
    let sizes = [median, p95, largest].map(|bytes| size(bytes.into()));
    console.step(&format!("sizes: median {}, 95 % up to {}, largest {}", sizes[0], sizes[1], sizes[2]))?;
    console.step(&match report.aggregated_records {
        0 => "no record is aggregated".to_owned(),
        1 => format!("1 record is aggregated, with {} in it", many(report.user_records, "user record")),
        records => format!(
            "{} records are aggregated, with {} in them",
            count(records as f64),
            many(report.user_records, "user record")
        ),
    })?;
    let what = if report.by_bytes { "bytes" } else { "records" };
    console.line("")?;
    console.heading(&format!("top partition keys, by {what}"))?;
    let columns = [Column::number("share", 0), Column::text("key", 0), Column::number("records", 1)];
    let columns = columns.into_iter().chain([Column::number("size", 2)]).collect();
    let rows = report.top_keys.iter().map(row).collect();
    console.table(&Table { columns, rows, is_wide: false })?;
    console.line("")?;
    console.heading("shards")?;
    let columns = [Column::text("shard", 0), Column::number("share", 0), Column::number("full", 0)];
    let columns =
        columns.into_iter().chain([Column::text("busiest second", 1), Column::text("first key", 2)]).collect();
    console.table(&Table { columns, rows: shards.iter().map(row_of_shard).collect(), is_wide: false })
}

fn row(Key { key, share, records, bytes }: &Key) -> Vec<String> {
    vec![words::percent(*share), cut(key), count(*records as f64), size(*bytes)]
}

fn row_of_shard(shard: &Shard) -> Vec<String> {
    let peak = shard.peak.as_ref().map_or_else(String::new, |peak| {
        format!("{:.0} % full at {}", peak.share_of_shard * 100.0, peak.at.format("%H:%M:%S"))
    });
    let key = shard.top_keys.first().map(|key| format!("{} {:.0} %", cut(&key.key), key.share * 100.0));
    let percent = |share: f64| format!("{:.0} %", share * 100.0);
    vec![shard.shard.clone(), percent(shard.share), percent(shard.full_share), peak, key.unwrap_or_default()]
}

fn cut(key: &str) -> String {
    let key = &visible(key);
    match key.chars().count() {
        0..=KEY => key.to_owned(),
        _ => key.chars().take(KEY - 1).chain(['…']).collect(),
    }
}

/// A size in bytes, KiB or MiB.
pub(super) fn size(bytes: u64) -> String {
    words::size(bytes as f64)
}
