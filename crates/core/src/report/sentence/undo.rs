//! How a change ends: what it costs, and how it is undone.

use crate::cost::monthly;
use crate::decision::{Cost, Decision, Evidence, Outcome, Remedy};
use crate::observation::Stream;
use crate::signal::{Signal, StreamArn};
use crate::words::many;

/// What a change costs, and how it is undone.
pub(super) fn end(remedy: &Remedy, signal: &Signal, stream: Option<&Stream>, decision: &Decision) -> String {
    let cost = decision.cost.as_ref().map(|cost| format!(" {}", cost_line(cost, stream))).unwrap_or_default();
    let evidence = &decision.evidence;
    let after = if is_planned(remedy, evidence) { "after the plan and " } else { "after " };
    let undo = match (by_itself(remedy, decision.restore_after_hours), signal.stream()) {
        _ if decision.outcome != Outcome::Acted => String::new(),
        (Some(hours), _) => format!(" It is undone by itself {after}{} without throttling.", many(hours, "hour")),
        (None, Some(stream)) => format!(" To undo it: {}", undo(remedy, stream, evidence)),
        (None, None) => String::new(),
    };
    cost + &undo
}

/// After how many hours without throttling a change is undone by itself.
fn by_itself(remedy: &Remedy, restore_after_hours: u32) -> Option<u32> {
    let hours = match remedy {
        Remedy::ScaleShards { .. } | Remedy::ScaleAhead { .. } => restore_after_hours,
        // AWS allows two switches a day, and one of them is kept for a person.
        Remedy::SwitchToOnDemand { .. } => restore_after_hours.max(24),
        _ => 0,
    };
    Some(hours).filter(|hours| *hours > 0 && restore_after_hours > 0)
}

/// Whether the shards from before a change are fewer than a person has planned. Only a forced restore goes below a
/// plan.
fn is_planned(remedy: &Remedy, evidence: &Evidence) -> bool {
    let (Remedy::ScaleShards { from, .. } | Remedy::ScaleAhead { from, .. } | Remedy::SplitShard { from, .. }) = remedy
    else {
        return false;
    };
    evidence.planned_shards.is_some_and(|planned| planned > *from)
}

/// The command that undoes a change. It names the region, since another region may have a stream of this name.
pub(in crate::report) fn undo(remedy: &Remedy, stream: &StreamArn, evidence: &Evidence) -> String {
    let force = if is_planned(remedy, evidence) { " --force" } else { "" };
    let StreamArn { home, name } = stream;
    let region = &home.region;
    let aws = |call: &str, with: &str| format!("aws kinesis {call} --region {region} --stream-arn {stream} {with}");
    match remedy {
        Remedy::ScaleShards { .. } | Remedy::ScaleAhead { .. } | Remedy::SwitchToOnDemand { .. } => {
            format!("unthrottle restore {name} --region {region}{force} --yes")
        }
        // A restore does not undo a split unless the number of shards is given.
        Remedy::SplitShard { from, .. } => {
            format!("unthrottle restore {name} --region {region} --to {from}{force} --yes")
        }
        Remedy::EnableShardMetrics { metrics, .. } => {
            aws("disable-enhanced-monitoring", &format!("--shard-level-metrics {}", metrics.join(" ")))
        }
        // So the AWS CLI spells WarmThroughputMiBps.
        Remedy::WarmUp { from_mibps, .. } => {
            aws("update-stream-warm-throughput", &format!("--warm-throughput-mi-bps {from_mibps}"))
        }
        Remedy::Restore { from, .. } => {
            aws("update-shard-count", &format!("--scaling-type UNIFORM_SCALING --target-shard-count {from}"))
        }
        Remedy::SwitchToProvisioned { .. } => aws("update-stream-mode", "--stream-mode-details StreamMode=ON_DEMAND"),
        Remedy::DisableShardMetrics { metrics, .. } => {
            aws("enable-enhanced-monitoring", &format!("--shard-level-metrics {}", metrics.join(" ")))
        }
    }
}

/// The cost before and after, at list prices.
fn cost_line(cost: &Cost, stream: Option<&Stream>) -> String {
    let Cost { before_usd_per_hour: before, after_usd_per_hour: after, prices } = cost;
    let is_local = stream.is_none_or(|s| prices.starts_with(&format!("{} ", s.region())));
    let prices = if is_local { String::new() } else { format!(", at the prices of {prices}") };
    // Two digits show nothing of a small stream.
    let digits = if before.max(*after) < 1.0 { 4 } else { 2 };
    format!(
        "About ${before:.digits$} → ${after:.digits$} an hour ({}${:.0} a month{prices}).",
        if after < before { "-" } else { "+" },
        monthly((after - before).abs())
    )
}
