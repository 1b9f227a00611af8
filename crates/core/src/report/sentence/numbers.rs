//! Numbers in words: counts, shares, rates and times of the evidence.

use super::Seen;
use crate::decision::{Evidence, Side};
use crate::observation::CapacityMode;
use crate::words::{count, many, percent};

/// Minutes or hours.
pub(super) fn time(milliseconds: f64) -> String {
    match (milliseconds / 60_000.0).round() {
        none if none < 1.0 => "less than a minute".into(),
        1.0 => "1 minute".into(),
        minutes if minutes < 120.0 => format!("{minutes:.0} minutes"),
        minutes => format!("{:.1} hours", minutes / 60.0),
    }
}

/// What was throttled, in how many minutes.
pub(super) fn throttling(evidence: &Evidence) -> String {
    let minutes = evidence.throttled_minutes.unwrap_or_default();
    let window = evidence.window_minutes.unwrap_or_default();
    let (what, share) = refused(evidence);
    format!("{what} in {minutes} of {} (up to {share})", many(window, "minute"))
}

/// What was refused, and the highest share of a minute.
pub(super) fn refused(evidence: &Evidence) -> (String, String) {
    let records = evidence.write_throttled_records.unwrap_or_default();
    let calls = evidence.read_throttled_calls.unwrap_or_default();
    let (what, share) = if refused_side(evidence) == Side::Writes {
        (format!("{} refused", many(records.round() as u64, "record")), evidence.write_throttled_share)
    } else {
        (format!("{} refused", many(calls.round() as u64, "GetRecords call")), evidence.read_throttled_share)
    };
    (what, percent(share.unwrap_or_default()))
}

/// The side that a sentence about refused records or calls is about.
pub(super) fn refused_side(evidence: &Evidence) -> Side {
    let records = evidence.write_throttled_records.unwrap_or_default();
    evidence.throttled_side.unwrap_or(if records > 0.0 { Side::Writes } else { Side::Reads })
}

/// The load that is offered, or the load of readers where they are throttled.
pub(super) fn load(evidence: &Evidence) -> String {
    if let Some(bytes) = evidence.get_records_bytes_per_second {
        return format!("a read load of {}", per_second(bytes));
    }
    let records = evidence.offered_records_per_second.unwrap_or_default();
    let bytes = |bytes: Option<f64>| bytes.map(|b| format!(" and {}", per_second(b))).unwrap_or_default();
    if let Some(load) = evidence.load_records_per_second {
        let bytes = bytes(evidence.load_bytes_per_second);
        let (load, records) = (count(load), count(records));
        return match evidence.tries {
            Some(1) => format!("a load of at least {load} records/s{bytes}"),
            Some(tries) => {
                format!("a load of at least {load} records/s{bytes} ({records} with up to {tries} tries each)")
            }
            None => format!("a load of about {load} records/s{bytes} ({records} with retries)"),
        };
    }
    let bytes = bytes(evidence.offered_bytes_per_second);
    format!("a load of {} records/s{bytes} (with retries)", count(records))
}

/// The verb between a load and the shards that it needs.
pub(super) fn needs(evidence: &Evidence) -> &'static str {
    if evidence.offered_bytes_per_second.is_none() && evidence.get_records_bytes_per_second.is_none() {
        // No record was accepted in an hour, so the size of a record is unknown.
        "of unknown size may need"
    } else {
        "needs"
    }
}

/// What producers of small records can do instead of more shards. Empty: the records are not small, or bytes need as
/// many shards.
pub(super) fn aggregate(evidence: &Evidence) -> String {
    let aggregated = evidence.shards_needed_if_aggregated.filter(|shards| Some(*shards) < evidence.shards_needed);
    let hint = |shards| format!(" Aggregated (KPL), its small records need {}.", many(shards, "shard"));
    aggregated.map(hint).unwrap_or_default()
}

/// How little of the stream's capacity is used while it throttles. Its shards do not limit a stream in on-demand mode,
/// which may have more warm throughput.
pub(super) fn idle(seen: &Seen<'_>) -> String {
    let is_on_demand = seen.stream.is_some_and(|stream| stream.mode == CapacityMode::OnDemand);
    let evidence = seen.evidence;
    match evidence.accepted_utilization {
        Some(accepted) if is_on_demand && evidence.shards_needed.unwrap_or_default() > seen.open_shards() => {
            format!("it accepts no more than {} of its capacity, despite all retries", percent(accepted))
        }
        _ => idle_of(evidence, seen.open_shards()),
    }
}

/// The same of a provisioned stream with this number of open shards.
pub(super) fn idle_of(evidence: &Evidence, open: u32) -> String {
    let needed = evidence.shards_needed.unwrap_or_default();
    match evidence.accepted_utilization {
        Some(accepted) if needed > open => {
            format!(
                "it accepts no more than {} of what its {} can take, despite all retries",
                percent(accepted),
                many(open, "shard")
            )
        }
        _ if needed == open => {
            format!("{} {} no more than its {}", load(evidence), needs(evidence), many(open, "shard"))
        }
        _ => format!("{} {} only {needed} of its {}", load(evidence), needs(evidence), many(open, "shard")),
    }
}

/// A rate in MiB/s.
pub(super) fn per_second(bytes: f64) -> String {
    format!("{:.2} MiB/s", bytes / 1_048_576.0)
}

/// The end of the newest published minute, UTC.
pub(super) fn newest(evidence: &Evidence) -> String {
    evidence.newest().map_or_else(|| "an hour".into(), |minute| minute.end().format("%H:%M").to_string())
}
