//! Sentences about limits: yours, AWS's, and the fleet's.

use super::Seen;
use super::numbers::{aggregate, load, throttling};
use super::skew::see_hot_shards;
use crate::decision::{Ceiling, Evidence, FleetBound, NeededFor, NoSwitch, Side};
use crate::policy::MAX_SHARDS_TAG;
use crate::words::{count, many, percent};

/// The account's quota allows no change.
pub(super) const QUOTA_SPENT: &str = "the shard quota leaves no room";

/// AWS's cap of a day allows no change.
pub(super) const RESHARDS_SPENT: &str =
    "AWS allows no more reshards today (ten in 24 hours, or refused for 15 minutes)";

/// What a person can do about the load.
fn slow_down(evidence: &Evidence) -> &'static str {
    match evidence.throttled_side {
        Some(Side::Reads) => "let readers use enhanced fan-out or read less",
        _ => "slow the producers",
    }
}

pub(super) fn max_shards(max: u32, seen: &Seen<'_>) -> String {
    format!(
        "{}, at {}. It has {} and the maximum that you set is {}: raise UNTHROTTLE_MAX_SHARDS or the tag \
         {MAX_SHARDS_TAG}, or {}.{}{}",
        throttling(seen.evidence),
        load(seen.evidence),
        many(seen.open_shards(), "shard"),
        count(max.into()),
        slow_down(seen.evidence),
        equal_width(seen),
        aggregate(seen.evidence)
    )
}

/// That as many equal shards would take the load of a stream whose shards are not equal.
fn equal_width(seen: &Seen<'_>) -> String {
    let is_wide = seen.evidence.shards_needed_for == Some(NeededFor::EqualWidth);
    match seen.evidence.widest_shard_share.filter(|_| is_wide) {
        Some(share) => format!(
            " One shard has {} of the hash keys: {} of equal width would take this load.",
            percent(share),
            many(seen.open_shards(), "shard")
        ),
        None => String::new(),
    }
}

pub(super) fn max_cost(max_usd_per_hour: f64, would_be_usd_per_hour: f64, seen: &Seen<'_>) -> String {
    // The bound holds even if no refused record is a retry.
    let would = if seen.evidence.offered_includes_retries == Some(true) { "may cost up to" } else { "would cost" };
    format!(
        "{}, at {}. The smallest change {would} ${would_be_usd_per_hour} an hour, above your ${max_usd_per_hour}: \
         raise UNTHROTTLE_MAX_HOURLY_COST, or {}.{}",
        throttling(seen.evidence),
        load(seen.evidence),
        slow_down(seen.evidence),
        aggregate(seen.evidence)
    )
}

pub(super) fn account_quota(switch: NoSwitch, seen: &Seen<'_>) -> String {
    format!(
        "{}; {QUOTA_SPENT} ({} left, and short-lived shards count), and {}. Ask for a higher \"Shards per Region\" in \
         Service Quotas (Amazon Kinesis Data Streams).{}",
        throttling(seen.evidence),
        count(seen.evidence.account_shards_left.unwrap_or_default().into()),
        no_switch(switch),
        aggregate(seen.evidence)
    )
}

pub(super) fn reshard_budget_spent(switch: NoSwitch, seen: &Seen<'_>) -> String {
    if switch == NoSwitch::KeptForWrites {
        return format!(
            "{}; unthrottle made {} of the 10 reshards that AWS allows in 24 hours, and {}. Let readers use enhanced \
             fan-out or read less, or reshard by hand.",
            throttling(seen.evidence),
            seen.evidence.reshards_last_24_hours.unwrap_or_default(),
            no_switch(switch)
        );
    }
    format!(
        "{}; {RESHARDS_SPENT}, and {}. Slow the producers or readers, or split hot shards by hand (that has no \
         cap).{}",
        throttling(seen.evidence),
        no_switch(switch),
        aggregate(seen.evidence)
    )
}

fn no_switch(switch: NoSwitch) -> String {
    match switch {
        NoSwitch::Denied => "you deny on-demand mode".into(),
        NoSwitch::AboveMax(max) => format!("on-demand mode would exceed your {}", many(max, "shard")),
        NoSwitch::BudgetSpent => "AWS allows no more switches to on-demand mode today".into(),
        NoSwitch::Quota => "the account has all the on-demand streams that it may have".into(),
        NoSwitch::Reads => "on-demand mode gives the readers of a shard no more".into(),
        NoSwitch::HotShard => "on-demand mode does not isolate a hot shard".into(),
        NoSwitch::KeptForWrites => "the last 3 of a day are kept for writes".into(),
        NoSwitch::UnknownLoad => "no record was accepted in an hour, so its load is unknown".into(),
    }
}

pub(super) fn fleet(bound: FleetBound, evidence: &Evidence) -> String {
    match bound {
        FleetBound::Hour(max) if evidence.fleet_changes_counted.is_some() => format!(
            "this stream needs a change, and UNTHROTTLE_MAX_CHANGES_PER_HOUR allows {} over all streams.{} A quarter \
             of the bound counts without a tag.",
            count(max.into()),
            unsupported_changes(evidence).unwrap_or_default()
        ),
        FleetBound::AddedShards(max) if evidence.fleet_shards_counted.is_some() => format!(
            "this stream needs more shards, and UNTHROTTLE_MAX_ADDED_SHARDS allows {} over all streams.{} A quarter \
             of the bound counts without a tag.",
            count(max.into()),
            unsupported_shards(evidence).unwrap_or_default()
        ),
        FleetBound::Hour(max) => format!(
            "this stream needs a change, but unthrottle made {} in this account and region within an hour, and \
             UNTHROTTLE_MAX_CHANGES_PER_HOUR allows no more. Check whether a fault causes these changes: look at the \
             AutoFix metric. If the changes are right, allow more.",
            many(max, "change")
        ),
        FleetBound::Container { share, of } => format!(
            "this stream needs a change, but this process has just made {}, {} what UNTHROTTLE_MAX_CHANGES_PER_HOUR \
             allows, and the AutoFix metric does not show this yet. The next sweep goes on.",
            many(share, "change"),
            share_of(of)
        ),
        FleetBound::AddedShards(max) => format!(
            "this stream needs more shards, but unthrottle added up to {} in this account and region within 24 hours, \
             and UNTHROTTLE_MAX_ADDED_SHARDS allows no more. Check whether a fault causes the load: look at the \
             ShardsAdded metric. If the shards are right, allow more.",
            many(max, "shard")
        ),
        FleetBound::ContainerShards { share, of } => format!(
            "this stream needs more shards, but this process has just added {} or more, {} what \
             UNTHROTTLE_MAX_ADDED_SHARDS allows, and the ShardsAdded metric does not show this yet. The next sweep \
             goes on.",
            many(share, "shard"),
            share_of(of)
        ),
        FleetBound::Sweep(max) => format!(
            "this stream needs a change, but this sweep has changed {}, the worst first, and \
             UNTHROTTLE_MAX_CHANGES_PER_SWEEP allows no more. The next sweep goes on.",
            many(max, "stream")
        ),
    }
}

/// The share of one of `of` containers.
fn share_of(of: u32) -> String {
    if of == 5 { "a fifth of".into() } else { format!("one of {of} equal shares of") }
}

/// A count of the fleet's metrics that no tag supports, and who can have written it.
pub(super) fn unsupported(evidence: &Evidence) -> String {
    unsupported_changes(evidence).or_else(|| unsupported_shards(evidence)).unwrap_or_default()
}

fn unsupported_changes(evidence: &Evidence) -> Option<String> {
    let Evidence { fleet_changes_counted: counted, fleet_changes_supported: supported, .. } = *evidence;
    counted.map(|counted| unsupported_count("AutoFix", &format!("{} in an hour", many(counted, "change")), supported))
}

fn unsupported_shards(evidence: &Evidence) -> Option<String> {
    let Evidence { fleet_shards_counted: counted, fleet_shards_supported: supported, .. } = *evidence;
    counted
        .map(|counted| unsupported_count("ShardsAdded", &format!("{} in 24 hours", many(counted, "shard")), supported))
}

fn unsupported_count(metric: &str, counted: &str, supported: Option<u32>) -> String {
    let supported = count(supported.unwrap_or_default().into());
    format!(" The metric {metric} counts {counted}, and the streams' tags show {supported}: check who writes to it.")
}

pub(super) fn on_demand_adapting(seen: &Seen<'_>) -> String {
    format!("{}; on-demand capacity is still growing, which takes up to 15 minutes.", throttling(seen.evidence))
}

pub(super) fn on_demand_ceiling(ceiling: Ceiling, seen: &Seen<'_>) -> String {
    format!(
        "{}, for 15 minutes: on-demand capacity does not follow. {}{}{}",
        throttling(seen.evidence),
        options(ceiling, seen.evidence),
        aggregate_or_cost(seen.evidence),
        see_hot_shards(seen)
    )
}

/// What small records of an on-demand stream would need, else what provisioned mode would cost: a person who can
/// aggregate has no use for the second, and both together are too much to read.
fn aggregate_or_cost(evidence: &Evidence) -> String {
    Some(aggregate(evidence)).filter(|hint| !hint.is_empty()).unwrap_or_else(|| provisioned(evidence))
}

/// What a person can do for an on-demand stream that throttles.
fn options(ceiling: Ceiling, evidence: &Evidence) -> String {
    match ceiling {
        Ceiling::Growth => {
            let commitment = evidence.commitment_usd_per_hour.unwrap_or_default() * 24.0;
            format!(
                "You can: look for a hot key; ask AWS for more throughput; buy the throughput commitment (at least \
                 about ${commitment:.0} a day)."
            )
        }
        Ceiling::MaxWarm(max) => format!(
            "It needs {} MiB/s of warm throughput, and you allow {max}: raise UNTHROTTLE_MAX_WARM_MIBPS.",
            evidence.warm_mibps_needed.unwrap_or_default()
        ),
        Ceiling::Warm => {
            "It has all the warm throughput that it may have or needs. Look for a hot key, or ask AWS for \
            a higher stream throughput."
                .into()
        }
        Ceiling::Reads => "Each shard gives its polling readers 2 MiB/s together, and AWS adds shards for what is \
            written, not for what is read: use enhanced fan-out, or have fewer consumers."
            .into(),
    }
}

/// What provisioned mode would cost an on-demand stream.
pub(super) fn provisioned(evidence: &Evidence) -> String {
    match (evidence.provisioned_usd_per_hour, evidence.on_demand_usd_per_hour) {
        (Some(provisioned), Some(on_demand)) => format!(
            " This load costs about ${provisioned:.2} an hour with {}, ${on_demand:.2} on demand.",
            many(evidence.shards_needed.unwrap_or_default(), "shard")
        ),
        _ => String::new(),
    }
}

/// Readers that make too many calls: how often they poll, and what helps. One reader in a tight loop makes as many
/// calls as thirty, so the sentence counts no readers.
pub(super) fn too_many_polls(seen: &Seen<'_>) -> String {
    let calls = seen.evidence.get_records_calls_per_shard_per_second.unwrap_or_default();
    format!(
        "{}; calls are too many: {calls:.1} GetRecords a second to each of its {} shards, where 5 are shared. More \
         shards get as many each: have fewer consumers, poll less often, or use enhanced fan-out.",
        throttling(seen.evidence),
        seen.open_shards()
    )
}
