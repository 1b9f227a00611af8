//! Defects, to show that the checks find them.

use unthrottle_core::policy::{Permission, Policy};

/// A defect between a run and AWS. The tests use defects to show that the checks find them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, strum::EnumIter)]
pub(super) enum Flaw {
    #[default]
    None,
    /// Never takes an observation for too old.
    StaleObservation,
    /// Writes no memory.
    NoIntent,
    /// Reads no memory.
    Forgetful,
    /// Counts each change twice.
    CountsTwice,
    /// Counts no change.
    CountsNever,
    /// Counts before it changes.
    CountsFirst,
    /// Ignores the tag that switches unthrottle off.
    DeafToTags,
    /// Acts as if on-demand mode were allowed.
    AlwaysSwitches,
    /// Acts as if shard-level metrics were allowed.
    EnablesShardMetrics,
    /// Ignores the maximum of shards.
    IgnoresMaxShards,
    /// Ignores the maximum of USD an hour.
    IgnoresMaxCost,
    /// Ignores the changes of the last hour.
    IgnoresHourlyChanges,
    /// Ignores the reshards of the last day.
    ForgetsReshards,
    /// Acts as if the account had no shard quota.
    IgnoresShardQuota,
    /// Triples the traffic of each minute.
    InflatesTraffic,
    /// Takes each change in the memory for one that AutoFix shows.
    BelievesTags,
    /// Notifies no person.
    Silent,
    /// Says that a load needs more shards than it says are open.
    Misspeaks,
    /// Always scales to twice the shards.
    Doubles,
    /// Always scales to three times the shards.
    Triples,
    /// Changes nothing.
    Idle,
}

impl Flaw {
    /// The policy that a run with this defect follows.
    pub(super) fn allow(self, policy: &Policy) -> Policy {
        let policy = policy.clone();
        match self {
            Flaw::AlwaysSwitches => Policy { on_demand: Permission::Allow, ..policy },
            Flaw::EnablesShardMetrics => Policy { diagnose: Permission::Allow, ..policy },
            Flaw::IgnoresMaxShards => Policy { max_shards: u32::MAX, max_shards_ceiling: u32::MAX, ..policy },
            Flaw::IgnoresMaxCost => Policy { max_hourly_cost: None, ..policy },
            _ => policy,
        }
    }
}
