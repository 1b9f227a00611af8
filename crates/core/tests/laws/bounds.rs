//! The bounds of each remedy.

use crate::common::Fixture;
use proptest::prelude::*;
use unthrottle_core::decision::{Decision, Remedy, Verdict};
use unthrottle_core::memory::{Memory, ShardMetrics, TAG};
use unthrottle_core::observation::{CapacityMode, Commitment};
use unthrottle_core::policy::Permission;

/// The bounds of the shards that a remedy opens.
pub fn bounds_of_shards(fixture: &Fixture, decision: &Decision) -> Result<(), TestCaseError> {
    let open = fixture.open_shards();
    match &decision.verdict {
        Verdict::Act(Remedy::ScaleShards { from, to, .. } | Remedy::ScaleAhead { from, to, .. }) => {
            prop_assert_eq!(*from, open);
            prop_assert!(*to > open, "never down, never in place");
            prop_assert!(*to <= 2 * open, "never more than double");
            prop_assert!(*to <= fixture.policy.max_shards);
            if let Some(limits) = fixture.observation.limits {
                prop_assert!(to - open <= limits.shards_left());
            }
            prop_assert!(decision.evidence.reshards_last_24_hours < Some(10));
        }
        Verdict::Act(Remedy::SplitShard { shard, at, from, to, partial }) => {
            prop_assert_eq!((*from, *to), (open, open + 1));
            prop_assert!(*to <= fixture.policy.max_shards);
            prop_assert!(fixture.observation.limits.is_none_or(|l| l.shards_left() > 0));
            let read = fixture.observation.shards.clone();
            let shards = read.or_else(|| fixture.clone().with_even_shards().observation.shards).expect("shards");
            let shard = shards.iter().find(|s| s.id == *shard).expect("an open shard");
            prop_assert!(shard.first_hash_key + 1 < *at && *at < shard.last_hash_key);
            prop_assert!(decision.evidence.diagnostic_splits < Some(2));
            prop_assert!(partial.is_none() || decision.evidence.shards_needed > Some(open));
        }
        _ => {}
    }
    Ok(())
}

/// The bounds of a remedy that switches the mode, or raises the warm throughput.
pub fn bounds_of_mode(fixture: &Fixture, decision: &Decision) -> Result<(), TestCaseError> {
    let stream = fixture.observation.stream.as_ref().expect("a stream");
    match &decision.verdict {
        Verdict::Act(Remedy::WarmUp { from_mibps: from, to_mibps: to, .. }) => {
            let warm = stream.warm_throughput.expect("known");
            prop_assert_eq!(fixture.observation.commitment, Some(Commitment::Enabled));
            prop_assert_eq!(&stream.mode, &CapacityMode::OnDemand);
            prop_assert_eq!(*from, warm.current_mibps.max(warm.target_mibps));
            prop_assert!(*to > *from, "an equal or lower value would scale down");
            prop_assert!(*to <= fixture.policy.max_warm_mibps && *to <= 10_240);
        }
        Verdict::Act(Remedy::SwitchToProvisioned { shards }) => {
            prop_assert_eq!((stream.channels, stream.queues, *shards), (Some(0), Some(0), stream.open_shards));
            prop_assert_eq!(decision.evidence.mode_switches_last_24_hours, Some(0));
            prop_assert!(fixture.policy.restore_after_hours > 0);
        }
        Verdict::Act(Remedy::SwitchToOnDemand { warm_mibps, .. }) => {
            let committed = fixture.observation.commitment == Some(Commitment::Enabled);
            prop_assert!(warm_mibps.is_none_or(|warm| committed && warm <= fixture.policy.max_warm_mibps));
            prop_assert_eq!(fixture.policy.on_demand, Permission::Allow);
            prop_assert!(stream.open_shards < fixture.policy.max_shards, "never around the person's maximum");
            prop_assert!(decision.evidence.shards_needed <= Some(fixture.policy.max_shards), "nor beyond it");
            prop_assert!(decision.evidence.mode_switches_last_24_hours < Some(2));
            prop_assert!(fixture.observation.limits.is_none_or(|l| l.on_demand_streams < l.on_demand_stream_limit));
        }
        _ => {}
    }
    Ok(())
}

/// The bounds of a remedy that switches shard metrics.
pub fn bounds_of_metrics(fixture: &Fixture, decision: &Decision) -> Result<(), TestCaseError> {
    match &decision.verdict {
        Verdict::Act(Remedy::EnableShardMetrics { metrics, .. }) => {
            prop_assert_eq!(fixture.policy.diagnose, Permission::Allow);
            prop_assert!(!metrics.is_empty());
        }
        Verdict::Act(Remedy::DisableShardMetrics { metrics, .. }) => {
            let ours = fixture.observation.tags.get(TAG).map(|t| Memory::parse(t).expect("readable"));
            let ours: Vec<_> = ours.and_then(|m| m.shard_metrics).iter().flat_map(ShardMetrics::names).collect();
            prop_assert!(metrics.iter().all(|metric| ours.contains(metric)), "never metrics of another person");
        }
        _ => {}
    }
    Ok(())
}

/// The bounds of the cost, which each remedy has.
pub fn bounds_of_cost(fixture: &Fixture, decision: &Decision) -> Result<(), TestCaseError> {
    if let (Verdict::Act(_), Some(cost)) = (&decision.verdict, &decision.cost) {
        let (before, after) = (cost.before_usd_per_hour, cost.after_usd_per_hour);
        prop_assert!(before >= 0.0 && after >= 0.0);
        prop_assert!(fixture.policy.max_hourly_cost.is_none_or(|max| after <= max || after <= before));
    }
    prop_assert_eq!(decision.cost.is_some(), matches!(decision.verdict, Verdict::Act(_)));
    Ok(())
}
