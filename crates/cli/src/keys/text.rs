//! What the records say, on a terminal.

use super::report::{Key, Report, Shard};
use crate::screen::Console;
use std::io;

/// The columns of a key. A longer one is cut, and `--json` has it.
const KEY: usize = 30;

pub(super) fn print(console: &mut Console, report: &Report) -> io::Result<()> {
    let Report { stream, records, shards, sizes, .. } = report;
    console.heading(&format!(
        "{stream}: {records} records, {} read from {}",
        size(report.bytes),
        many(shards.len())
    ))?;
    let (Some(first), Some(last)) = (report.first_record_at, report.last_record_at) else {
        return console.step("no record arrived: give a longer --for, or read the past with --from -10m");
    };
    console.step(&format!("arrived {} to {} UTC", first.format("%Y-%m-%d %H:%M:%S"), last.format("%H:%M:%S")))?;
    if report.is_cut {
        console.step("--max-mb ended the reading")?;
    }
    let (median, p95, largest) = (sizes.median_bytes, sizes.p95_bytes, sizes.largest_bytes);
    let sizes = [median, p95, largest].map(|bytes| size(bytes.into()));
    console.step(&format!("sizes: median {}, 95 % up to {}, largest {}", sizes[0], sizes[1], sizes[2]))?;
    console.step(&match report.aggregated_records {
        0 => "no record is aggregated".to_owned(),
        count => format!("{count} records are aggregated, with {} user records in them", report.user_records),
    })?;
    let what = if report.by_bytes { "bytes" } else { "records" };
    console.line("")?;
    console.heading(&format!("top partition keys, by {what}"))?;
    for key in &report.top_keys {
        console.step(&line(key))?;
    }
    console.line("")?;
    console.heading("shards: share of the load, busiest second, first key")?;
    for shard in shards {
        console.step(&of_shard(shard))?;
    }
    Ok(())
}

fn line(Key { key, share, records, bytes }: &Key) -> String {
    format!("{:>4.0} %  {:<KEY$}  {records:>9} records  {:>9}", share * 100.0, cut(key), size(*bytes))
}

fn of_shard(shard: &Shard) -> String {
    let peak = shard.peak.as_ref().map_or_else(String::new, |peak| {
        let full = peak.share_of_shard * 100.0;
        format!("{full:>4.0} % full at {}", peak.at.format("%H:%M:%S"))
    });
    let key = shard.top_keys.first().map(|key| format!("{} {:.0} %", cut(&key.key), key.share * 100.0));
    let line = format!("{:<21} {:>4.0} %  {peak:<22}  {}", shard.shard, shard.share * 100.0, key.unwrap_or_default());
    line.trim_end().to_owned()
}

fn cut(key: &str) -> String {
    match key.chars().count() {
        0..=KEY => key.to_owned(),
        _ => key.chars().take(KEY - 1).chain(['…']).collect(),
    }
}

/// A size in bytes, KiB or MiB.
pub(super) fn size(bytes: u64) -> String {
    match bytes as f64 {
        small if small < 1_024.0 => format!("{small:.0} bytes"),
        middle if middle < 1_048_576.0 => format!("{:.1} KiB", middle / 1_024.0),
        large => format!("{:.1} MiB", large / 1_048_576.0),
    }
}

fn many(shards: usize) -> String {
    if shards == 1 { "1 shard".into() } else { format!("{shards} shards") }
}
