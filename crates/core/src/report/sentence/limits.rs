//! Sentences about limits: yours, AWS's, and the fleet's.

use super::Seen;
use super::numbers::{load, throttling};
use crate::decision::{Ceiling, Evidence, FleetBound, NoSwitch};
use crate::policy::MAX_SHARDS_TAG;

/// The account's quota allows no change.
pub(super) const QUOTA_SPENT: &str = "the shard quota leaves no room";

/// AWS's cap of a day allows no change.
pub(super) const RESHARDS_SPENT: &str =
    "AWS allows no more reshards today (ten in 24 hours, or it refused two in a row)";

pub(super) fn max_shards(max: u32, seen: &Seen<'_>) -> String {
    format!(
        "{}, at {}. It has {} shards and the maximum that you set is {max}: raise UNTHROTTLE_MAX_SHARDS or the tag \
         {MAX_SHARDS_TAG}, or slow the producers.",
        throttling(seen.evidence),
        load(seen.evidence),
        seen.open_shards()
    )
}

pub(super) fn max_cost(max_usd_per_hour: f64, would_be_usd_per_hour: f64, seen: &Seen<'_>) -> String {
    format!(
        "{}, at {}. The smallest change would cost ${would_be_usd_per_hour} an hour, above your ${max_usd_per_hour}: \
         raise UNTHROTTLE_MAX_HOURLY_COST, or slow the producers.",
        throttling(seen.evidence),
        load(seen.evidence)
    )
}

pub(super) fn account_quota(switch: NoSwitch, seen: &Seen<'_>) -> String {
    format!(
        "{}; {QUOTA_SPENT} ({} left, and short-lived shards count), and {}. Ask for a higher \"Shards per Region\" in \
         Service Quotas (Amazon Kinesis Data Streams).",
        throttling(seen.evidence),
        seen.evidence.account_shards_left.unwrap_or_default(),
        no_switch(switch)
    )
}

pub(super) fn reshard_budget_spent(switch: NoSwitch, seen: &Seen<'_>) -> String {
    format!(
        "{}; {RESHARDS_SPENT}, and {}. Slow the producers or readers, or split hot shards by hand (SplitShard has no \
         daily cap).",
        throttling(seen.evidence),
        no_switch(switch)
    )
}

fn no_switch(switch: NoSwitch) -> String {
    match switch {
        NoSwitch::Denied => "you deny on-demand mode".into(),
        NoSwitch::AboveMax(max) => format!("on-demand mode would go beyond the {max} shards that you allow"),
        NoSwitch::BudgetSpent => "AWS allows no more switches to on-demand mode today".into(),
        NoSwitch::Quota => "the account has all the on-demand streams that it may have".into(),
        NoSwitch::Reads => "on-demand mode gives the readers of a shard no more".into(),
        NoSwitch::HotShard => "on-demand mode does not isolate a hot shard".into(),
    }
}

pub(super) fn fleet(bound: FleetBound) -> String {
    match bound {
        FleetBound::Hour(max) => format!(
            "this stream needs a change, but unthrottle made {max} changes in this account and region within an hour, \
             and UNTHROTTLE_MAX_CHANGES_PER_HOUR allows no more. Check whether a fault causes these changes: look at \
             the AutoFix metric. If the changes are right, allow more."
        ),
        FleetBound::Container(part) => format!(
            "this stream needs a change, but this process has just made {part} changes, a fifth of what \
             UNTHROTTLE_MAX_CHANGES_PER_HOUR allows, and the AutoFix metric does not show them yet. The next sweep \
             goes on."
        ),
        FleetBound::Sweep(max) => format!(
            "this stream needs a change, but this sweep has changed {max} streams, the worst first, and \
             UNTHROTTLE_MAX_CHANGES_PER_SWEEP allows no more. The next sweep goes on."
        ),
    }
}

pub(super) fn on_demand_adapting(seen: &Seen<'_>) -> String {
    format!("{}; on-demand capacity is still growing, which takes up to 15 minutes.", throttling(seen.evidence))
}

pub(super) fn on_demand_ceiling(ceiling: Ceiling, seen: &Seen<'_>) -> String {
    format!(
        "{}, for 15 minutes: on-demand capacity does not follow. {}",
        throttling(seen.evidence),
        options(ceiling, seen.evidence)
    )
}

/// What a person can do for an on-demand stream that throttles, and what it costs.
fn options(ceiling: Ceiling, evidence: &Evidence) -> String {
    let provisioned = provisioned(evidence);
    match ceiling {
        Ceiling::Growth => {
            let commitment = evidence.commitment_usd_per_hour.unwrap_or_default() * 24.0;
            format!(
                "You can: look for a hot partition key; ask AWS for a higher stream throughput; buy the throughput \
                 commitment (at least about ${commitment:.0} a day).{provisioned}"
            )
        }
        Ceiling::MaxWarm(max) => format!(
            "It needs {} MiB/s of warm throughput, and you allow {max}: raise UNTHROTTLE_MAX_WARM_MIBPS.{provisioned}",
            evidence.warm_mibps_needed.unwrap_or_default()
        ),
        Ceiling::Warm => format!(
            "It already has all the warm throughput that it may have, or that its load needs. You can: look for a hot \
             partition key; ask AWS for a higher stream throughput.{provisioned}"
        ),
        Ceiling::Reads => "Each shard gives its polling readers 2 MiB/s together, and AWS adds shards for what is \
            written, not for what is read: use enhanced fan-out, or have fewer consumers."
            .into(),
    }
}

/// What provisioned mode would cost an on-demand stream.
pub(super) fn provisioned(evidence: &Evidence) -> String {
    match (evidence.provisioned_usd_per_hour, evidence.on_demand_usd_per_hour) {
        (Some(provisioned), Some(on_demand)) => format!(
            " Provisioned mode with {} shards: about ${provisioned:.2} an hour, now ${on_demand:.2}.",
            evidence.shards_needed.unwrap_or_default()
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
