//! A stream that is not throttled: what of our own doing is to be undone.

use super::Case;
use super::demand::{Offered, shards_at};
use super::room::is_too_dear;
use super::settle::History;
use super::verdict::{Reason, Remedy};
use crate::memory::ChangeKind;
use crate::observation::{CapacityMode, Minute, Stream};
use crate::policy::{Permission, StreamPolicy};
use chrono::{DateTime, TimeDelta, Utc};

/// Metrics stay on for so long without a diagnosis: skew that throttles now and then has an hour to show itself, and a
/// person to look at the shards.
const WATCHED_FOR: TimeDelta = TimeDelta::hours(1);

impl Case<'_> {
    /// No throttling, and no change of ours that waits to be verified: what is left to undo.
    pub(super) fn undo(
        &mut self,
        stream: &Stream,
        policy: &StreamPolicy,
        history: &History,
        newest: Minute,
        healthy: Reason,
    ) -> Result<Remedy, Reason> {
        let after = if is_diagnosed(history) { TimeDelta::zero() } else { WATCHED_FOR };
        if let Some(unwatch) = unwatch(stream, history, self.now, after) {
            history.not_refused_lately(self.now)?;
            return Ok(unwatch);
        }
        if !self.is_back_due(stream, policy, history, newest) {
            return Err(healthy);
        }
        let back = Remedy::SwitchToProvisioned { shards: stream.open_shards };
        match self.hindrance(&back, stream, policy, history, newest) {
            None => Ok(back),
            Some(why) => Err(Reason::NotRestorable(why)),
        }
    }

    /// Whether a switch to on-demand mode that we made is to be undone by now.
    fn is_back_due(&self, stream: &Stream, policy: &StreamPolicy, history: &History, newest: Minute) -> bool {
        let hours = i64::from(self.policy.restore_after_hours);
        let ours = history.memory.was_provisioned && stream.mode == CapacityMode::OnDemand;
        if hours == 0 || policy.on_demand == Permission::Deny || !ours {
            return false;
        }
        let first = newest.plus(1 - 60 * hours);
        let traffic = &self.observation.traffic;
        let is_calm = first.to(newest).all(|minute| !traffic.minute(minute).is_throttled());
        let is_settled = history.evidence_from.is_none_or(|from| from <= first.start());
        // AWS allows two switches a day, and one of them is a person's: none of ours may be less than a day old.
        is_calm && is_settled && history.budget(ChangeKind::Switch, traffic, self.now).0 == 0
    }

    /// What stands in the way of provisioned mode. What AWS does not say stands in the way, too.
    fn hindrance(
        &self,
        back: &Remedy,
        stream: &Stream,
        policy: &StreamPolicy,
        history: &History,
        newest: Minute,
    ) -> Option<String> {
        let traffic = &self.observation.traffic;
        let first = newest.plus(1 - 60 * i64::from(self.policy.restore_after_hours));
        let peak = first.to(newest).filter_map(|minute| Offered::in_minute(traffic, minute).shards());
        let needed = shards_at(peak.fold(0.0, f64::max), self.policy.target_utilization);
        let open = stream.open_shards;
        let count = |what: &str, count: Option<u32>| match count {
            Some(0) => None,
            Some(some) => Some(format!("it has {what} ({some}), which need on-demand mode")),
            None => Some(format!("AWS does not say whether it has {what}")),
        };
        let hindrances = [
            count("channels", stream.channels),
            count("queues", stream.queues),
            (open == 0).then(|| "its number of shards is not known".to_owned()),
            (open < policy.min_shards)
                .then(|| format!("it would keep {open} shards, below the minimum of {}", policy.min_shards)),
            (needed > open).then(|| format!("its peak needs {needed} shards, and it would keep {open}")),
            (open > policy.max_shards)
                .then(|| format!("it would keep {open} shards, above the maximum of {}", policy.max_shards)),
            match self.observation.limits {
                Some(limits) if limits.shards_left() < open => {
                    Some(format!("the account's quota has room for {} shards, and it has {open}", limits.shards_left()))
                }
                Some(_) => None,
                None => Some("AWS does not say how many shards the account may open".to_owned()),
            },
            (!history.budget(ChangeKind::Back, traffic, self.now).1)
                .then(|| "AWS has refused it in the last 24 hours".to_owned()),
            self.policy.max_hourly_cost.and_then(|max| {
                let cost = self.bill(back, stream, history);
                let after = cost.after_usd_per_hour;
                is_too_dear(&cost, max).then(|| format!("it would cost ${after} an hour, above the maximum of ${max}"))
            }),
        ];
        hindrances.into_iter().flatten().next()
    }
}

/// The shard-level metrics that we switched on `after` ago or longer, and are still on: off again.
fn unwatch(stream: &Stream, history: &History, now: DateTime<Utc>, after: TimeDelta) -> Option<Remedy> {
    let watch = history.memory.watch.filter(|watch| now - watch.at >= after)?;
    let is_on = |metric: &&str| !stream.metrics_off().any(|off| off == *metric);
    let metrics: Vec<_> = watch.ours().filter(is_on).collect();
    let is_refused = history.is_refused(ChangeKind::Unwatch, now);
    (!metrics.is_empty() && !is_refused).then_some(Remedy::DisableShardMetrics { shards: stream.open_shards, metrics })
}

/// Whether the metrics that we switched on have shown a shard to split.
fn is_diagnosed(history: &History) -> bool {
    let Some(watch) = history.memory.watch else { return false };
    history.memory.lineages.iter().any(|line| line.at >= watch.at)
}

/// The same where a decision holds, and does not wait for something that is to come: metrics cost money.
pub(super) fn unwatch_in_hold(
    reason: Reason,
    stream: &Stream,
    history: &History,
    now: DateTime<Utc>,
) -> Result<Remedy, Reason> {
    use Reason::{EvidencePending, Healthy, RefusedLately, Resharding, Settling, Unconfirmed};
    match reason {
        Resharding | Settling { .. } | EvidencePending | Unconfirmed { .. } | RefusedLately { .. } => Err(reason),
        Healthy { healed: Some(_) } => Err(reason),
        _ => unwatch(stream, history, now, WATCHED_FOR).ok_or(reason),
    }
}
