//! Sentences about load that is uneven: hot shards, hot keys, bursts.

use super::Seen;
use super::limits::provisioned;
use super::numbers::{idle, load, throttling};
use crate::decision::{HotKeyEvidence, NoDiagnosis, SplitBudget};
use crate::observation::{CapacityMode, SHARDS_TOLD_APART};
use crate::words::percent;

pub(super) fn suspected(undiagnosed: NoDiagnosis, seen: &Seen<'_>) -> String {
    format!(
        "{}; but {}: more would not help{}. {}",
        throttling(seen.evidence),
        idle(seen),
        named(seen),
        no_diagnosis(undiagnosed, seen)
    )
}

/// The same after a change that did not help, in fewer words.
pub(super) fn suspected_in_vain(undiagnosed: NoDiagnosis, seen: &Seen<'_>) -> String {
    let (throttling, named) = (throttling(seen.evidence), named(seen));
    format!("{throttling}; more shards would not help{named}. {}", no_diagnosis(undiagnosed, seen))
}

/// The shard that a producer's error message names.
fn named(seen: &Seen<'_>) -> String {
    let named = seen.evidence.named_shard.as_deref().map(|shard| format!(" (a producer names {shard})"));
    named.unwrap_or_default()
}

/// Why no metric shows which shards are hot.
fn no_diagnosis(why: NoDiagnosis, seen: &Seen<'_>) -> String {
    let why = match why {
        NoDiagnosis::Denied => return find_by_hand(seen),
        NoDiagnosis::Today => "Its shard-level metrics were on today, and are switched on once a day at most.",
        NoDiagnosis::TooMany => "It has more shards than CloudWatch's search tells apart (500).",
        NoDiagnosis::TooExpensive => {
            "Shard-level metrics would cost more than the UNTHROTTLE_MAX_HOURLY_COST that you set."
        }
        NoDiagnosis::Refused => "AWS refused to switch its shard-level metrics on; the next attempt is after 24 hours.",
        NoDiagnosis::UnreadableId => "The hottest shard's id has no number, so its splits could not be followed.",
    };
    format!("Look for hot shards or keys. {why}")
}

/// The command that shows which shard is hot, and what it costs, where unthrottle may not call it.
fn find_by_hand(seen: &Seen<'_>) -> String {
    let allow = "UNTHROTTLE_DIAGNOSE=allow";
    let Some(call) = enable_by_hand(seen) else { return format!("To see hot shards, set {allow}.") };
    let call = format!("call (about ${:.2} a month): {call}", metrics_cost(seen));
    match seen.open_shards() {
        // unthrottle would not tell more shards apart either.
        ..=SHARDS_TOLD_APART => format!("To see hot shards, set {allow}, or {call}"),
        _ => format!("To see hot shards, {call}"),
    }
}

/// The same for a stream that unthrottle does not diagnose. Empty: its shards can be seen, or `UNTHROTTLE_DIAGNOSE`
/// allows to show them.
pub(super) fn see_hot_shards(seen: &Seen<'_>) -> String {
    let call = enable_by_hand(seen).filter(|_| seen.evidence.shard_metrics_usd_per_month.is_some());
    call.map(|call| format!(" About ${:.2} a month shows hot shards: {call}", metrics_cost(seen))).unwrap_or_default()
}

/// What the shard-level metrics that are off cost, USD a month.
fn metrics_cost(seen: &Seen<'_>) -> f64 {
    seen.evidence.shard_metrics_usd_per_month.unwrap_or_default()
}

/// The command that enables the shard-level metrics that are off.
fn enable_by_hand(seen: &Seen<'_>) -> Option<String> {
    let stream = seen.stream?;
    let metrics: Vec<&str> = stream.metrics_off().collect();
    Some(format!(
        "aws kinesis enable-enhanced-monitoring --region {} --stream-name {} --shard-level-metrics {}",
        stream.region(),
        stream.name,
        metrics.join(" ")
    ))
}

pub(super) fn hot_key(shard: Option<&str>, shown: HotKeyEvidence, seen: &Seen<'_>) -> String {
    let evidence = seen.evidence;
    let throttled = throttling(evidence);
    let hottest = evidence.hottest_shard_utilization.map(percent);
    let hottest = hottest.map(|load| format!(", offered {load} of what a shard takes,")).unwrap_or_default();
    let shard = shard.map_or("one shard".to_owned(), |shard| format!("{shard}{hottest}"));
    let found = match shown {
        HotKeyEvidence::OnDemand => {
            return format!(
                "{throttled}, for 15 minutes; it accepts no more than {} of its capacity: hot keys fill a shard, also \
                 on demand. Spread the keys.{}{}",
                percent(evidence.accepted_utilization.unwrap_or_default()),
                provisioned(evidence),
                see_hot_shards(seen)
            );
        }
        HotKeyEvidence::Splits(splits) => {
            format!("stays hot ({splits} splits in 24 hours left nearly all of it in one child)")
        }
        HotKeyEvidence::LostMemory => {
            "has nearly all the load of the shard that it was split from (what was split before is forgotten with the \
             memory)"
                .into()
        }
        HotKeyEvidence::Narrow => "has too few hash keys to be split".into(),
    };
    format!(
        "{throttled}; {shard} {found}: one key, or a narrow range. Capacity does not help: spread the key, or \
         aggregate its records."
    )
}

pub(super) fn split_budget_spent(budget: SplitBudget, seen: &Seen<'_>) -> String {
    let shard = seen.evidence.hottest_shard.as_deref().unwrap_or("a shard");
    let why = match budget {
        SplitBudget::Histories => {
            "but two other hot shards were split in 24 hours and their children are still hot. The memory has no room \
             to follow a third. Split it by hand if it has more than one hot key."
        }
        SplitBudget::Refused => {
            "and AWS refused for 15 minutes to split it. The next attempt is after 24 hours: split it by hand, or \
             spread its keys."
        }
    };
    format!("{}; {shard} is hot, {why}", throttling(seen.evidence))
}

/// The share of records that only a producer in a crash loop loses for 15 minutes, 0–1.
const MOST: f64 = 0.5;

pub(super) fn micro_burst(seen: &Seen<'_>) -> String {
    let calm = match seen.evidence.busy_shards.unwrap_or_default() {
        0 => "no shard is busy over a whole minute",
        _ => "no refusing shard is busy over a whole minute",
    };
    let cure = match seen.evidence.lasting_refused_share {
        // A producer that dies of its refusals looks like a burst.
        Some(share) if share >= MOST => "let producers spread their records, and see whether one restarts and restarts",
        _ => "let producers spread their records (batch, jitter, backoff)",
    };
    format!(
        "{}; but {}, and {calm}. Bursts within the minute are refused: {cure}.",
        throttling(seen.evidence),
        idle(seen)
    )
}

pub(super) fn large_records(seen: &Seen<'_>) -> String {
    let calm = match seen.stream.map(|stream| &stream.mode) {
        Some(CapacityMode::OnDemand) => "it accepts less than half of its capacity".into(),
        _ => idle(seen),
    };
    format!(
        "{}; but {calm}. A shard takes 1 MiB a second, and its records have {:.1} MiB (mean): each blocks others. \
         Split them, or keep the data in S3.",
        throttling(seen.evidence),
        seen.evidence.mean_record_bytes.unwrap_or_default() / 1_048_576.0
    )
}

/// Why capacity is not the cause where AWS accepts no record.
const FULL_SHARDS_ACCEPT: &str = "Capacity is not the cause: a full shard still accepts records.";

pub(super) fn nothing_accepted(seen: &Seen<'_>) -> String {
    let is_provisioned = seen.stream.is_some_and(|stream| stream.mode == CapacityMode::Provisioned);
    let since = match seen.evidence.offered_bytes_per_second {
        Some(_) => format!("15 minutes. {FULL_SHARDS_ACCEPT}"),
        None if !is_provisioned => format!("an hour. {FULL_SHARDS_ACCEPT}"),
        None => {
            format!("an hour. More shards did not change that, so unthrottle stops at {}.", seen.open_shards())
        }
    };
    format!(
        "{}, and AWS has accepted no record for {since} Look for an error that a test injects (AWS FIS), for records \
         that are too large, and at the producer's log.",
        throttling(seen.evidence),
    )
}

pub(super) fn uneven_reads(seen: &Seen<'_>) -> String {
    format!(
        "{}; but {} and {:.1} GetRecords a second to each shard are within what its {} shards give. Some shards are \
         read harder than others: check each shard's iterator age, or use enhanced fan-out.",
        throttling(seen.evidence),
        load(seen.evidence),
        seen.evidence.get_records_calls_per_shard_per_second.unwrap_or_default(),
        seen.open_shards()
    )
}
