//! The changes that a decision can name.

use crate::memory::{ChangeKind, Size};

/// A change that would stop the throttling. Targets are absolute.
#[derive(Clone, Debug, PartialEq, Eq, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Remedy {
    /// `UpdateShardCount`.
    ScaleShards {
        /// Open shards now.
        from: u32,
        /// Open shards afterwards.
        to: u32,
        /// The bound that keeps it below the shards that the load needs. `None`: it reaches them.
        partial: Option<Bound>,
    },
    /// `UpdateShardCount` before the load comes, or towards the shards that a person has planned.
    ScaleAhead {
        /// Open shards now.
        from: u32,
        /// Open shards afterwards.
        to: u32,
        /// The bound that keeps it below the shards that the expected load needs. `None`: it reaches them.
        partial: Option<Bound>,
    },
    /// `SplitShard` of the hottest shard, at the middle of its hash keys; or of the widest, where the account's quota
    /// has room for one shard but not for a reshard.
    SplitShard {
        /// The id of the shard that is split.
        shard: String,
        /// The first hash key of the second half.
        at: u128,
        /// Open shards now.
        from: u32,
        /// Open shards afterwards.
        to: u32,
        /// The bound that keeps it from the reshard that the whole stream needs. `None`: one shard is hot.
        partial: Option<Bound>,
    },
    /// `UpdateStreamMode` to on-demand. Without warm throughput it adds no capacity at that moment: on-demand grows
    /// from observed traffic.
    SwitchToOnDemand {
        /// Open shards now; the stream keeps them.
        shards: u32,
        /// The warm throughput that it is given in the same call, in MiB/s; accounts with the commitment only.
        warm_mibps: Option<u32>,
        /// The limit of AWS's that allows no more shards.
        instead_of: AwsLimit,
    },
    /// `UpdateStreamMode` back to provisioned, of a stream that we switched to on-demand.
    SwitchToProvisioned {
        /// Open shards now; the stream keeps them.
        shards: u32,
    },
    /// `UpdateShardCount` back down, of a stream whose shards we had raised.
    Restore {
        /// Open shards now.
        from: u32,
        /// Open shards afterwards.
        to: u32,
        /// The bound that keeps it above the shards that the stream had before. `None`: it reaches them.
        partial: Option<Bound>,
    },
    /// `UpdateStreamWarmThroughput`: more of it, at once.
    WarmUp {
        /// MiB/s now.
        from_mibps: u32,
        /// MiB/s afterwards.
        to_mibps: u32,
        /// The bound that keeps it below what the load needs. `None`: it reaches that.
        partial: Option<Bound>,
    },
    /// `EnableEnhancedMonitoring`, to tell a hot shard from an idle one.
    EnableShardMetrics {
        /// Open shards; each has these metrics then.
        shards: u32,
        /// Those of [`SHARD_METRICS`](crate::observation::SHARD_METRICS) that are off.
        metrics: Vec<&'static str>,
    },
    /// `DisableEnhancedMonitoring` of what [`Remedy::EnableShardMetrics`] switched on.
    DisableShardMetrics {
        /// Open shards.
        shards: u32,
        /// The metrics that we switched on.
        metrics: Vec<&'static str>,
    },
}

impl Remedy {
    /// Whether it opens new shards beside the old ones. The records of the old shards stay there until they are read.
    pub fn is_reshard(&self) -> bool {
        matches!(
            self,
            Remedy::ScaleShards { .. } | Remedy::ScaleAhead { .. } | Remedy::SplitShard { .. } | Remedy::Restore { .. }
        )
    }

    /// Whether it gives the stream more capacity, which [`Remedy::Restore`] or [`Remedy::SwitchToProvisioned`] can
    /// undo.
    pub fn adds_capacity(&self) -> bool {
        use Remedy::{ScaleAhead, ScaleShards, SplitShard, SwitchToOnDemand};
        matches!(self, ScaleShards { .. } | ScaleAhead { .. } | SplitShard { .. } | SwitchToOnDemand { .. })
    }

    /// The shards that it adds. AWS sets the shards of an on-demand stream, so a switch adds none here.
    pub fn added_shards(&self) -> u32 {
        match self {
            Remedy::ScaleShards { from, to, .. }
            | Remedy::ScaleAhead { from, to, .. }
            | Remedy::SplitShard { from, to, .. } => to.saturating_sub(*from),
            _ => 0,
        }
    }

    /// Whether it only undoes what we did.
    pub fn is_undo(&self) -> bool {
        use Remedy::{DisableShardMetrics, Restore, SwitchToProvisioned};
        matches!(self, Restore { .. } | SwitchToProvisioned { .. } | DisableShardMetrics { .. })
    }

    /// The kind of change that the memory records.
    pub fn kind(&self) -> ChangeKind {
        match self {
            Remedy::ScaleShards { .. } => ChangeKind::Scale,
            Remedy::ScaleAhead { .. } => ChangeKind::ScaleAhead,
            Remedy::SplitShard { .. } => ChangeKind::Split,
            Remedy::Restore { .. } => ChangeKind::Restore,
            Remedy::SwitchToOnDemand { .. } => ChangeKind::Switch,
            Remedy::SwitchToProvisioned { .. } => ChangeKind::SwitchBack,
            Remedy::WarmUp { .. } => ChangeKind::WarmUp,
            Remedy::EnableShardMetrics { .. } => ChangeKind::EnableShardMetrics,
            Remedy::DisableShardMetrics { .. } => ChangeKind::DisableShardMetrics,
        }
    }

    /// The IAM action of the call that makes the change.
    pub(crate) fn action(&self) -> &'static str {
        match self {
            Remedy::ScaleShards { .. } | Remedy::ScaleAhead { .. } | Remedy::Restore { .. } => {
                "kinesis:UpdateShardCount"
            }
            Remedy::SplitShard { .. } => "kinesis:SplitShard",
            Remedy::SwitchToOnDemand { .. } | Remedy::SwitchToProvisioned { .. } => "kinesis:UpdateStreamMode",
            Remedy::WarmUp { .. } => "kinesis:UpdateStreamWarmThroughput",
            Remedy::EnableShardMetrics { .. } => "kinesis:EnableEnhancedMonitoring",
            Remedy::DisableShardMetrics { .. } => "kinesis:DisableEnhancedMonitoring",
        }
    }

    /// The code of the remedy of this kind, as the AutoFix datum names it. A change that only the metric knows was most
    /// likely a scale.
    pub fn code_of(kind: ChangeKind) -> &'static str {
        match kind {
            ChangeKind::Scale | ChangeKind::Lost | ChangeKind::External => "scale_shards",
            ChangeKind::ScaleAhead => "scale_ahead",
            ChangeKind::Restore => "restore",
            ChangeKind::Split => "split_shard",
            ChangeKind::Switch => "switch_to_on_demand",
            ChangeKind::SwitchBack => "switch_to_provisioned",
            ChangeKind::WarmUp => "warm_up",
            ChangeKind::EnableShardMetrics => "enable_shard_metrics",
            ChangeKind::DisableShardMetrics => "disable_shard_metrics",
        }
    }

    /// The stream's size before and after.
    pub fn step(&self) -> (Size, Size) {
        match self {
            Remedy::ScaleShards { from, to, .. }
            | Remedy::ScaleAhead { from, to, .. }
            | Remedy::SplitShard { from, to, .. }
            | Remedy::Restore { from, to, .. } => (Size::Shards(*from), Size::Shards(*to)),
            Remedy::WarmUp { from_mibps, to_mibps, .. } => (Size::WarmMibps(*from_mibps), Size::WarmMibps(*to_mibps)),
            Remedy::SwitchToOnDemand { shards, .. }
            | Remedy::SwitchToProvisioned { shards }
            | Remedy::EnableShardMetrics { shards, .. }
            | Remedy::DisableShardMetrics { shards, .. } => (Size::Shards(*shards), Size::Shards(*shards)),
        }
    }
}

/// The bound that keeps a change from what the load needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// AWS doubles a stream at most in one call.
    Double,
    /// The person's maximum.
    MaxShards,
    /// The shards that the account may still open, those of the reshard itself included.
    AccountQuota,
    /// The person's maximum of USD an hour.
    MaxCost,
    /// The person's maximum of added shards in 24 hours, over all streams.
    MaxAddedShards,
    /// The person's maximum of warm throughput.
    MaxWarm,
    /// The most that AWS gives an on-demand stream in this region.
    StreamCeiling,
    /// AWS halves a stream at most in one call.
    Half,
    /// The peak load of the hours without throttling, or of the hours of yesterday that come next.
    Peak,
    /// The shards that a person has planned, or that the coming hours need as earlier days show them.
    Kept,
    /// The person's minimum.
    MinShards,
}

/// A limit of AWS's that does not allow the shards that the load needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AwsLimit {
    /// The account's shards are all open.
    AccountQuota,
    /// A stream is resharded at most ten times in 24 hours.
    ReshardBudget,
    /// A stream is at most doubled in one call.
    Double,
}
