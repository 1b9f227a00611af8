//! The sentence of a change: what was seen, what was changed, and why.

use super::numbers::{aggregate, idle_of, load, needs, refused, throttling, time};
use super::{ahead, expected, limits};
use crate::decision::{AwsLimit, Bound, Decision, Evidence, ExpectedBy, NeededFor, Outcome, Remedy};
use crate::policy::{FORESIGHT_TAG, MODE_TAG, Mode};
use crate::signal::{Signal, Undo};
use crate::words::{change, many, percent};

/// The sentence of a remedy that is carried out, or planned.
pub(super) fn act(remedy: &Remedy, signal: &Signal, decision: &Decision) -> String {
    let evidence = &decision.evidence;
    let seen = seen(remedy, evidence);
    let (did, why) = (what(remedy), why(remedy, evidence, signal.undo()));
    let backlog = backlog(remedy, evidence);
    let is_hint = backlog.is_empty() && matches!(remedy, Remedy::ScaleShards { .. } | Remedy::SwitchToOnDemand { .. });
    let more = if is_hint { aggregate(evidence) } else { backlog } + &ahead::ended(remedy, evidence);
    if decision.outcome == Outcome::Acted {
        let unsupported = limits::unsupported(evidence);
        let stop = match remedy {
            Remedy::ScaleAhead { .. } if evidence.expected_by != Some(ExpectedBy::Plan) => FORESIGHT_TAG,
            _ => MODE_TAG,
        };
        let verdict = match remedy {
            Remedy::Restore { .. } => expected::after_restore(evidence.observed_at),
            _ => String::new(),
        };
        return format!("{seen}; {why}. Changed {did}.{more}{unsupported}{verdict} To stop: tag it {stop}=off.");
    }
    let is_asked_to_plan =
        decision.is_before_consent || (signal.undo().is_some() && signal.mode() == Some(Mode::Observe));
    let not_done = match decision.allowed {
        Mode::Heal if is_asked_to_plan => "so far nothing was changed.",
        // The person's own options do not lift the setting or the tag.
        _ if is_asked_to_plan => {
            "nothing was changed. --yes changes nothing either: UNTHROTTLE_MODE or its tag is observe."
        }
        Mode::Heal if matches!(remedy, Remedy::ScaleAhead { .. }) && signal.mode().is_none() => {
            match evidence.expected_by {
                // A level says that little is left, and not that a load comes.
                Some(ExpectedBy::Level) => "foresight only observes, so nothing was changed.",
                _ => "foresight only observes, so nothing was changed. It is checked in an hour.",
            }
        }
        _ => "in observe mode nothing was changed.",
    };
    format!("{seen}; {why}. Would change {did}; {not_done}{more}")
}

/// What was seen of throttling.
pub(super) fn seen(remedy: &Remedy, evidence: &Evidence) -> String {
    let is_over = matches!(remedy, Remedy::SwitchToProvisioned { .. } | Remedy::Restore { .. });
    match remedy {
        _ if !evidence.has_refused() => "not throttled".into(),
        _ if is_over => "no longer throttled".into(),
        Remedy::DisableShardMetrics { .. } | Remedy::ScaleAhead { .. }
            if evidence.throttled_minutes.unwrap_or_default() == 0 =>
        {
            let (what, share) = refused(evidence);
            format!("{what} (up to {share} of a minute)")
        }
        _ => throttling(evidence),
    }
}

/// What a remedy changes.
pub(super) fn what(remedy: &Remedy) -> String {
    match remedy {
        Remedy::ScaleShards { from, to, .. }
        | Remedy::ScaleAhead { from, to, .. }
        | Remedy::Restore { from, to, .. } => change(*from, *to, "shard"),
        Remedy::SplitShard { shard, from, to, .. } => {
            format!("{}: {shard} halved", change(*from, *to, "shard"))
        }
        Remedy::SwitchToOnDemand { warm_mibps: None, .. } => "PROVISIONED → ON_DEMAND (15 minutes)".into(),
        Remedy::SwitchToOnDemand { warm_mibps: Some(warm), .. } => {
            format!("PROVISIONED → ON_DEMAND with {warm} MiB/s of warm throughput")
        }
        Remedy::SwitchToProvisioned { shards } => {
            format!("ON_DEMAND → PROVISIONED, with its {}", many(*shards, "shard"))
        }
        Remedy::WarmUp { from_mibps, to_mibps, .. } => format!("{from_mibps} → {to_mibps} MiB/s of warm throughput"),
        Remedy::EnableShardMetrics { metrics, .. } => format!("shard-level metrics on ({})", metrics.join(", ")),
        Remedy::DisableShardMetrics { metrics, .. } => format!("shard-level metrics off ({})", metrics.join(", ")),
    }
}

/// What makes a remedy the right one.
fn why(remedy: &Remedy, evidence: &Evidence, undo: Option<Undo>) -> String {
    let at = percent(evidence.target_utilization.unwrap_or_default());
    match remedy {
        Remedy::ScaleShards { to, partial, .. } => {
            format!("{}{}", need(evidence, *to), bounded(*partial))
        }
        Remedy::ScaleAhead { from, to, partial } => ahead::why(evidence, *from, *to, bounded(*partial)),
        Remedy::SplitShard { to, partial: Some(bound), .. } => {
            format!("{}{}", need(evidence, *to), bounded(Some(*bound)))
        }
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
            format!("{} {} more shards; {limit}", load(evidence), needs(evidence))
        }
        Remedy::Restore { partial, .. } => {
            let bounded = if *partial == Some(Bound::Peak) { peak(evidence) } else { bounded(*partial).into() };
            match undo {
                Some(Undo { force: true, .. }) => format!("you force it, whatever its load{bounded}"),
                Some(_) => format!("you ask for it, and its load needs no more{bounded}"),
                None => format!("unthrottle had raised its shards, and its load needs no more{bounded}"),
            }
        }
        Remedy::SwitchToProvisioned { .. } if undo.is_some() => {
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
        Remedy::EnableShardMetrics { shards, .. } => match evidence.shards_needed {
            Some(needed) if needed <= *shards => {
                format!(
                    "{} {} {needed} of {}, so some are hot",
                    load(evidence),
                    needs(evidence),
                    many(*shards, "shard")
                )
            }
            _ => format!("{}, so some are hot", idle_of(evidence, *shards)),
        },
        Remedy::DisableShardMetrics { .. } => {
            "unthrottle had switched shard-level metrics on to find a hot shard".into()
        }
    }
}

/// How many shards a stream needs, and for what.
fn need(evidence: &Evidence, to: u32) -> String {
    let needed = evidence.shards_needed.unwrap_or(to);
    let at = percent(evidence.target_utilization.unwrap_or_default());
    match evidence.shards_needed_for {
        None => {
            format!(
                "{} {} {} at {at} utilization{}",
                load(evidence),
                needs(evidence),
                many(needed, "shard"),
                uneven(evidence)
            )
        }
        Some(NeededFor::EqualWidth) => {
            let share = percent(evidence.widest_shard_share.unwrap_or_default());
            format!(
                "{} fills the shard with {share} of the hash keys; {needed} shards of equal width take it",
                load(evidence)
            )
        }
        Some(NeededFor::HotShards) => {
            let busy = evidence.busy_shards.unwrap_or_default();
            format!("{busy} shards are busy; with {needed} shards of equal width they come down to {at}")
        }
        Some(NeededFor::Outage) => {
            "its only shard refused most records for 15 minutes, which is no burst; 2 shards take more".into()
        }
    }
}

/// That the shards are not equal, which a reshard mends.
fn uneven(evidence: &Evidence) -> String {
    let widest = evidence.widest_shard_share;
    let text =
        widest.map(|share| format!(", all of equal width (now one shard has {} of the hash keys)", percent(share)));
    text.unwrap_or_default()
}

/// The peak that keeps a restore above the shards from before.
fn peak(evidence: &Evidence) -> String {
    let (Some(at), Some(until)) = (evidence.peak_minute, evidence.peak_counts_until) else {
        return bounded(Some(Bound::Peak)).into();
    };
    format!(
        " (a partial step: the peak at {} UTC, the load of {:.1} shards, needs the rest until {} UTC)",
        at.format("%H:%M"),
        evidence.peak_full_shards.unwrap_or_default(),
        until.format("%Y-%m-%d %H:%M")
    )
}

/// Why a step is smaller than the load needs.
fn bounded(partial: Option<Bound>) -> &'static str {
    match partial {
        None => "",
        Some(Bound::Double) => " (a partial step: AWS at most doubles a stream)",
        Some(Bound::MaxShards) => " (a partial step: your maximum of shards)",
        // Short-lived shards count towards it.
        Some(Bound::AccountQuota) => " (a partial step: the account's shard quota)",
        Some(Bound::MaxCost) => " (a partial step: your maximum of cost)",
        Some(Bound::MaxAddedShards) => " (a partial step: UNTHROTTLE_MAX_ADDED_SHARDS)",
        Some(Bound::MaxWarm) => " (a partial step: UNTHROTTLE_MAX_WARM_MIBPS allows no more)",
        Some(Bound::Half) => " (a partial step: AWS at most halves a stream in one call)",
        Some(Bound::Peak) => " (a partial step: the peak load needs the rest)",
        Some(Bound::Kept) => " (a partial step: a plan, or the coming hours, need the rest)",
        Some(Bound::MinShards) => " (a partial step: the minimum that you set allows no fewer)",
        Some(Bound::StreamCeiling) => " (a partial step: AWS gives a stream no more in this region)",
    }
}

/// A reshard does not help readers that are behind.
fn backlog(remedy: &Remedy, evidence: &Evidence) -> String {
    let behind = evidence.backlog_milliseconds().filter(|_| remedy.is_reshard()).map(time);
    let text = behind.map(|behind| format!(" Readers are {behind} behind: that backlog stays on the old shards."));
    text.unwrap_or_default()
}
