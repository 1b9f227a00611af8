//! The sentence of a change: what was seen, what was changed, and why.

use super::limits;
use super::numbers::{load, needs, percent, throttling, time};
use crate::decision::{AwsLimit, Bound, Decision, Evidence, Outcome, Remedy};
use crate::policy::{MODE_TAG, Mode};
use crate::signal::Signal;

/// The sentence of a remedy that is carried out, or planned.
pub(super) fn act(remedy: &Remedy, signal: &Signal, decision: &Decision) -> String {
    let evidence = &decision.evidence;
    let by_hand = signal.undo().is_some();
    let seen = match remedy {
        Remedy::SwitchToProvisioned { .. } | Remedy::Restore { .. } => "not throttled".to_owned(),
        Remedy::DisableShardMetrics { .. } if evidence.throttled_minutes.unwrap_or_default() == 0 => {
            "not throttled".to_owned()
        }
        _ => throttling(evidence),
    };
    let (did, why, backlog) = (what(remedy), why(remedy, evidence, by_hand), backlog(remedy, evidence));
    if decision.outcome == Outcome::Acted {
        let unsupported = limits::unsupported(evidence);
        return format!("{seen}; {why}. Changed {did}.{backlog}{unsupported} To stop: tag it {MODE_TAG}=off.");
    }
    let is_asked_to_plan = by_hand && signal.mode() == Some(Mode::Observe);
    let not_done = if is_asked_to_plan {
        "nothing was changed. With --yes it is done."
    } else {
        "in observe mode nothing was changed."
    };
    format!("{seen}; {why}. Would change {did}; {not_done}{backlog}")
}

/// What a remedy changes.
fn what(remedy: &Remedy) -> String {
    match remedy {
        Remedy::ScaleShards { from, to, .. } | Remedy::Restore { from, to, .. } => format!("{from} → {to} shards"),
        Remedy::SplitShard { shard, from, to, .. } => {
            format!("{from} → {to} shards: {shard} split in the middle")
        }
        Remedy::SwitchToOnDemand { warm_mibps: None, .. } => "PROVISIONED → ON_DEMAND (takes 15 minutes)".into(),
        Remedy::SwitchToOnDemand { warm_mibps: Some(warm), .. } => {
            format!("PROVISIONED → ON_DEMAND with {warm} MiB/s of warm throughput")
        }
        Remedy::SwitchToProvisioned { shards } => format!("ON_DEMAND → PROVISIONED, with its {shards} shards"),
        Remedy::WarmUp { from_mibps, to_mibps, .. } => format!("{from_mibps} → {to_mibps} MiB/s of warm throughput"),
        Remedy::EnableShardMetrics { metrics, .. } => format!("shard-level metrics on ({})", metrics.join(", ")),
        Remedy::DisableShardMetrics { metrics, .. } => format!("shard-level metrics off ({})", metrics.join(", ")),
    }
}

/// What makes a remedy the right one.
fn why(remedy: &Remedy, evidence: &Evidence, by_hand: bool) -> String {
    let at = percent(evidence.target_utilization.unwrap_or_default());
    match remedy {
        Remedy::ScaleShards { to, partial, .. } => {
            let needed = evidence.shards_needed.unwrap_or(*to);
            let (load, bounded) = (load(evidence), bounded(*partial));
            format!("{load} {} {needed} shards at {at} utilization{bounded}", needs(evidence))
        }
        Remedy::SplitShard { partial: Some(bound), .. } => format!(
            "{} {} {} shards at {at} utilization{}",
            load(evidence),
            needs(evidence),
            evidence.shards_needed.unwrap_or_default(),
            bounded(Some(*bound))
        ),
        Remedy::SplitShard { shard, from, partial: None, .. } => format!(
            "{shard} is offered {} of its capacity ({} of {from} busy)",
            percent(evidence.hottest_shard_utilization.unwrap_or_default()),
            evidence.busy_shards.unwrap_or_default()
        ),
        Remedy::SwitchToOnDemand { instead_of, .. } => {
            let limit = match instead_of {
                AwsLimit::AccountQuota => limits::QUOTA_SPENT,
                AwsLimit::ReshardBudget => limits::RESHARDS_SPENT,
                AwsLimit::Double => "AWS at most doubles a stream in one call",
            };
            format!("{} {} more shards, and {limit}", load(evidence), needs(evidence))
        }
        Remedy::Restore { partial, .. } => {
            let asked = if by_hand { "you ask for it" } else { "unthrottle had raised its shards" };
            format!("{asked}, and its load needs no more{}", bounded(*partial))
        }
        Remedy::SwitchToProvisioned { .. } if by_hand => {
            "you ask for it, and unthrottle had switched it to on-demand mode".into()
        }
        Remedy::SwitchToProvisioned { .. } => {
            "it was not throttled for as long as you set, and unthrottle had switched it to on-demand mode".into()
        }
        Remedy::WarmUp { to_mibps, partial, .. } => {
            let needed = evidence.warm_mibps_needed.unwrap_or(*to_mibps);
            let (load, bounded) = (load(evidence), bounded(*partial));
            format!("{load} needs {needed} MiB/s of warm throughput at {at} utilization{bounded}")
        }
        Remedy::EnableShardMetrics { shards, .. } => format!(
            "{} {} {} of {shards} shards, so some are hot",
            load(evidence),
            needs(evidence),
            evidence.shards_needed.unwrap_or_default()
        ),
        Remedy::DisableShardMetrics { .. } => {
            "unthrottle had switched shard-level metrics on to find a hot shard".into()
        }
    }
}

/// Why a step is smaller than the load needs.
fn bounded(partial: Option<Bound>) -> &'static str {
    match partial {
        None => "",
        Some(Bound::Double) => " (a partial step: AWS at most doubles a stream in one call)",
        Some(Bound::MaxShards) => " (a partial step: the maximum that you set allows no more)",
        Some(Bound::AccountQuota) => {
            " (a partial step: the account's shard quota, which short-lived shards count towards, allows no more)"
        }
        Some(Bound::MaxCost) => " (a partial step: the hourly cost that you set allows no more)",
        Some(Bound::MaxAddedShards) => {
            " (a partial step: UNTHROTTLE_MAX_ADDED_SHARDS allows no more in 24 hours over all streams)"
        }
        Some(Bound::MaxWarm) => " (a partial step: UNTHROTTLE_MAX_WARM_MIBPS allows no more)",
        Some(Bound::Half) => " (a partial step: AWS at most halves a stream in one call)",
        Some(Bound::Peak) => " (a partial step: the peak load needs the rest)",
        Some(Bound::MinShards) => " (a partial step: the minimum that you set allows no fewer)",
        Some(Bound::StreamCeiling) => " (a partial step: AWS gives a stream no more in this region)",
    }
}

/// A reshard does not help readers that are behind.
fn backlog(remedy: &Remedy, evidence: &Evidence) -> String {
    let behind = evidence.backlog_milliseconds().filter(|_| remedy.is_reshard()).map(time);
    let text = behind.map(|behind| {
        format!(
            " Readers are {behind} behind: that backlog stays on the old shards, at 2 MiB/s each, so they catch up no \
             faster."
        )
    });
    text.unwrap_or_default()
}
