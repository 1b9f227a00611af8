//! Shard-level metrics that are on because of us, and go off again: they cost money.

use super::history::History;
use crate::decision::{Evidence, Reason, Remedy};
use crate::memory::{ChangeKind, Memory};
use crate::observation::Stream;
use chrono::{DateTime, TimeDelta, Utc};

/// Shard-level metrics without a diagnosis stay on for this long. Skew that throttles now and then has an hour to show
/// itself, and a person has an hour to look at the shards. More costs money and shows no more.
pub(super) const METRICS_ON_FOR: TimeDelta = TimeDelta::hours(1);

/// Switches off the shard-level metrics that are on because of us, and have been on for `after` or longer.
pub(super) fn metrics_off(stream: &Stream, history: &History, now: DateTime<Utc>, after: TimeDelta) -> Option<Remedy> {
    let ours = history.memory.shard_metrics.filter(|ours| now - ours.at >= after)?;
    let is_on = |metric: &&str| !stream.metrics_off().any(|off| off == *metric);
    let metrics: Vec<_> = ours.names().filter(is_on).collect();
    let is_refused = history.is_refused(ChangeKind::DisableShardMetrics, now);
    (!metrics.is_empty() && !is_refused).then_some(Remedy::DisableShardMetrics { shards: stream.open_shards, metrics })
}

/// Whether the metrics that we switched on have shown a shard to split.
pub(super) fn is_diagnosed(memory: &Memory) -> bool {
    memory.shard_metrics.is_some_and(|ours| memory.split_histories.iter().any(|split| split.at >= ours.at))
}

/// In a hold that does not wait for something to come, shard-level metrics are switched off: they cost money.
pub(super) fn switch_metrics_off_in_hold(
    reason: Reason,
    evidence: &Evidence,
    stream: &Stream,
    history: &History,
    now: DateTime<Utc>,
) -> Result<Remedy, Reason> {
    use Reason::{EvidencePending, Healthy, ReadersStopped, RefusedLately, Resharding, Settling, Unconfirmed};
    match reason {
        Resharding | Settling { .. } | EvidencePending | Unconfirmed { .. } | RefusedLately { .. } => Err(reason),
        Healthy { healed: Some(_) } => Err(reason),
        ReadersStopped { .. } if is_unconfirmed(evidence) => Err(reason),
        _ => metrics_off(stream, history, now, METRICS_ON_FOR).ok_or(reason),
    }
}

/// Whether throttling may still need a change, and has too few minutes for one yet.
fn is_unconfirmed(evidence: &Evidence) -> bool {
    evidence.throttled_minutes.is_some_and(|minutes| minutes > 0) && evidence.throttled_side.is_none()
}
