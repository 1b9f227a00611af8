//! What a decision can be. Every path out of [`decide`](super::decide) is a variant here, and each variant has a
//! stable snake_case code: the metric dimension, the log field, the JSON value and the word in the documents.

use super::reads::BACKLOG_MS;
use crate::memory::{Change, ChangeKind, Memory};
use crate::observation::Minute;
use crate::policy::Mode;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

/// What to do about one stream, and why.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct Decision {
    /// Act or hold.
    pub verdict: Verdict,
    /// The numbers it rests on.
    pub evidence: Evidence,
    /// What the stream costs before and after the remedy.
    pub cost: Option<Cost>,
    /// Whether a person is to be told, who has not been told in the last hour.
    pub tell: bool,
    /// After how many calm hours it is undone without a person; 0: never.
    pub restore_after_hours: u32,
    /// What may be done: in [`Mode::Observe`] the verdict is said, and nothing is changed or written.
    pub mode: Mode,
    /// The memory to write, where it differs from the one that was read. For an act: the intent.
    pub memory: Option<Memory>,
    /// The code and the time of each done change of ours whose AutoFix datum is missing: to be counted now. Two runs
    /// that find the same at once may both count it: a tag cannot be compared and set.
    pub uncounted: Vec<(&'static str, DateTime<Utc>)>,
    /// When a change of ours is found to be taken back, if it is only now: to be counted, once the memory is written.
    pub reverted: Option<DateTime<Utc>>,
}

impl Decision {
    /// Leaves the stream's memory, and what is counted by it, as they are.
    pub fn write_nothing(&mut self) {
        (self.memory, self.reverted) = (None, None);
        self.uncounted.clear();
    }
}

/// A stream's bill before and after a remedy, at the load that the remedy is to carry.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cost {
    /// USD an hour, as it is.
    pub before_usd_per_hour: f64,
    /// USD an hour, after the remedy.
    pub after_usd_per_hour: f64,
    /// The region and the month of the list prices, such as `us-east-1 2026-09`.
    pub prices: String,
}

/// Act or hold.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Change the stream.
    Act(Remedy),
    /// Leave it as it is, by name.
    Hold(Reason),
}

impl Verdict {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Verdict::Act(remedy) => remedy.into(),
            Verdict::Hold(reason) => reason.into(),
        }
    }

    /// Whether minutes will tell what comes of it: a change was made, or is not done, or not seen to have worked.
    pub fn is_under_way(&self) -> bool {
        matches!(
            self,
            Verdict::Act(_) | Verdict::Hold(Reason::Resharding | Reason::Settling { .. } | Reason::EvidencePending)
        )
    }
}

/// A change that would stop the throttling. Targets are absolute.
#[derive(Clone, Debug, PartialEq, Eq, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum Remedy {
    /// `UpdateShardCount`.
    ScaleShards {
        /// Open shards now.
        from: u32,
        /// Open shards afterwards.
        to: u32,
        /// What kept it from the number of shards that the load needs.
        partial: Option<Bound>,
    },
    /// `SplitShard` of the hottest shard, at the middle of its hash keys; or of the widest, where the account's quota has
    /// room for one shard but not for a reshard.
    SplitShard {
        /// Its id.
        shard: String,
        /// The first hash key of the second half.
        at: u128,
        /// Open shards now.
        from: u32,
        /// Open shards afterwards.
        to: u32,
        /// What kept it from a reshard that the whole stream needs.
        partial: Option<Bound>,
    },
    /// `UpdateStreamMode` to on-demand. Without warm throughput it adds no capacity at that moment: on-demand grows from
    /// observed traffic.
    SwitchToOnDemand {
        /// Open shards now; the stream keeps them.
        shards: u32,
        /// The warm throughput that it is given in the same call, in MiB/s; accounts with the commitment only.
        warm_mibps: Option<u32>,
        /// The limit of AWS's that leaves no room for shards.
        instead_of: NoRoom,
    },
    /// `UpdateStreamMode` back to provisioned, of a stream that we had switched.
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
        /// What kept it from the shards that the stream had before.
        partial: Option<Bound>,
    },
    /// `UpdateStreamWarmThroughput`: more of it, at once.
    WarmUp {
        /// MiB/s now.
        from: u32,
        /// MiB/s afterwards.
        to: u32,
        /// What kept it from what the load needs.
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
    /// Whether it opens new shards beside the old ones: what is in these stays there until it is read.
    pub fn is_reshard(&self) -> bool {
        matches!(self, Remedy::ScaleShards { .. } | Remedy::SplitShard { .. } | Remedy::Restore { .. })
    }

    /// Whether it gives the stream more capacity, which [`Remedy::Restore`] or [`Remedy::SwitchToProvisioned`] can
    /// take back.
    pub fn raises(&self) -> bool {
        use Remedy::{ScaleShards, SplitShard, SwitchToOnDemand};
        matches!(self, ScaleShards { .. } | SplitShard { .. } | SwitchToOnDemand { .. })
    }

    /// Whether it only takes back what we did.
    pub fn takes_back(&self) -> bool {
        use Remedy::{DisableShardMetrics, Restore, SwitchToProvisioned};
        matches!(self, Restore { .. } | SwitchToProvisioned { .. } | DisableShardMetrics { .. })
    }

    /// What the memory calls it.
    pub fn kind(&self) -> ChangeKind {
        match self {
            Remedy::ScaleShards { .. } => ChangeKind::Scale,
            Remedy::SplitShard { .. } => ChangeKind::Split,
            Remedy::Restore { .. } => ChangeKind::Restore,
            Remedy::SwitchToOnDemand { .. } => ChangeKind::Switch,
            Remedy::SwitchToProvisioned { .. } => ChangeKind::Back,
            Remedy::WarmUp { .. } => ChangeKind::Warm,
            Remedy::EnableShardMetrics { .. } => ChangeKind::Watch,
            Remedy::DisableShardMetrics { .. } => ChangeKind::Unwatch,
        }
    }

    /// The code of the remedy of this kind: what the AutoFix datum calls it. A change that only the metric knows of
    /// was most likely a scale.
    pub fn code_of(kind: ChangeKind) -> &'static str {
        match kind {
            ChangeKind::Scale | ChangeKind::Lost | ChangeKind::Theirs => "scale_shards",
            ChangeKind::Restore => "restore",
            ChangeKind::Split => "split_shard",
            ChangeKind::Switch => "switch_to_on_demand",
            ChangeKind::Back => "switch_to_provisioned",
            ChangeKind::Warm => "warm_up",
            ChangeKind::Watch => "enable_shard_metrics",
            ChangeKind::Unwatch => "disable_shard_metrics",
        }
    }

    /// Shards before and after; MiB/s for [`Remedy::WarmUp`].
    pub fn step(&self) -> (u32, u32) {
        match self {
            Remedy::ScaleShards { from, to, .. }
            | Remedy::SplitShard { from, to, .. }
            | Remedy::Restore { from, to, .. }
            | Remedy::WarmUp { from, to, .. } => (*from, *to),
            Remedy::SwitchToOnDemand { shards, .. }
            | Remedy::SwitchToProvisioned { shards }
            | Remedy::EnableShardMetrics { shards, .. }
            | Remedy::DisableShardMetrics { shards, .. } => (*shards, *shards),
        }
    }
}

/// What bounds a change below what the load needs.
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
    /// The person's maximum of warm throughput.
    MaxWarm,
    /// What AWS lets an on-demand stream take in this region.
    StreamCeiling,
    /// AWS halves a stream at most in one call.
    Half,
    /// The peak load of the calm hours.
    Peak,
    /// The person's minimum.
    MinShards,
}

/// The limit of AWS's that leaves no room for the shards that the load needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRoom {
    /// The account's shards are all open.
    AccountQuota,
    /// A stream is resharded at most ten times in 24 hours.
    ReshardBudget,
    /// A stream is at most doubled in one call.
    Double,
}

/// Whose throughput is exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Producers'.
    Writes,
    /// Consumers'.
    Reads,
}

/// Why a stream is left as it is.
#[derive(Clone, Debug, PartialEq, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    // From the signal alone.
    /// The call did not fail by throttling or denial.
    NotAThrottle,
    /// Another account or region, no Kinesis metric, or no stream that can be named.
    NotOurs(Foreign),
    /// Our own role made the call.
    OwnCall,
    /// IAM denied the call. IAM is never touched.
    AccessDenied,
    /// KMS denied the call. Keys are never touched.
    KmsDenied,
    /// KMS throttled the call.
    KmsThrottled,
    /// A call that shards cannot help.
    ControlPlaneThrottled,
    /// A person muted the alarm, by this rule.
    Muted(String),
    /// The alarm is no longer in ALARM.
    Recovered,
    /// This container has just looked at the stream.
    JustLooked,
    // After looking.
    /// There is no such stream, or it is being deleted.
    StreamGone,
    /// It is being created, or in a status or capacity mode that this version does not know.
    NotReady,
    /// Out of scope, or its mode is off.
    OptedOut,
    /// A policy tag cannot be used.
    BadPolicyTag(String),
    /// The memory cannot be read.
    BadMemory(String),
    /// A change is under way.
    Resharding,
    /// A change of ours has not shown its effect yet.
    Settling {
        /// When it was made.
        changed_at: DateTime<Utc>,
    },
    /// The minute that the signal tells of is not published yet: unknown is not zero.
    EvidencePending,
    /// No throttling in the newest published minutes.
    Healthy {
        /// The change that stopped it, and how long that took, when one was waiting to be verified.
        healed: Option<Healed>,
    },
    /// Not throttled, but a reader is so far behind that data will be lost.
    ConsumerSlow {
        /// Until the oldest unread record is deleted.
        hours_left: f64,
    },
    /// The throttled share is below the floor.
    Negligible,
    /// Too few throttled minutes so far.
    Unconfirmed {
        /// Throttled minutes in the window.
        minutes: u32,
        /// Throttled minutes that make a load of it.
        needed: u32,
    },
    /// AWS refused a change of ours lately.
    RefusedLately {
        /// When it is tried again.
        until: DateTime<Utc>,
    },
    /// The stream has shards enough for its load, and nobody sees which are hot: the metrics that would show it stay off
    /// for this reason.
    SkewSuspected(Unseen),
    /// One partition key (or a narrow range of hash keys) is more than a shard takes: splitting does not divide it.
    HotKey {
        /// The shard that it is on, where that is known.
        shard: Option<String>,
        /// What shows it.
        shown: HotKeyShown,
    },
    /// A shard is hot, and no more are split today.
    SplitBudgetSpent(SplitBudget),
    /// No shard is busy over a whole minute: bursts within the minute are refused.
    MicroBurst,
    /// The person's maximum is reached. Never worked around.
    AtMaxShards {
        /// The maximum.
        max: u32,
    },
    /// More would cost more than the person's maximum. Never worked around.
    AtMaxCost {
        /// The maximum, USD an hour.
        max: f64,
        /// What the stream would cost with the least that would help, USD an hour.
        would_be: f64,
    },
    /// The account may open no more shards, and on-demand mode is no way out.
    AtAccountQuota(NoSwitch),
    /// The stream may not be resharded again today, and on-demand mode is no way out.
    ReshardBudgetSpent(NoSwitch),
    /// On-demand capacity is still growing.
    OnDemandAdapting,
    /// On-demand capacity has not followed for 15 minutes.
    OnDemandCeiling(Ceiling),
    /// What was changed cannot be taken back now.
    NotRestorable(String),
    /// A change of ours has settled, throttling goes on, and nothing is left to try.
    NotHealed {
        /// The change.
        change: Box<Change>,
        /// Why nothing is left.
        why: Box<Reason>,
    },
    /// Somebody keeps taking our changes back.
    TugOfWar,
    /// More changes than a person allows.
    FleetLimit(FleetBound),
    /// A reader works off a backlog. New shards cannot drain old ones.
    ReaderCatchingUp,
    /// Readers are bound by calls, not bytes: by these.
    TooManyReaders(ReadCall),
    /// Readers are refused, though neither their bytes nor their calls are too many for all shards together.
    UnevenReads,
    // While acting.
    /// AWS refused the change.
    Refused {
        /// The error code.
        code: String,
        /// AWS's own words.
        message: String,
    },
    /// The memory cannot be written, so nothing was changed.
    CannotRemember(String),
}

/// Why shard-level metrics are not switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unseen {
    /// The person denies it.
    Denied,
    /// They were on today already.
    Today,
    /// There are too many shards to tell them apart.
    TooMany,
    /// They would cost more than the person's maximum.
    TooDear,
    /// AWS refused it today.
    Refused,
    /// A shard's number cannot be read in its id, so that nothing can be remembered of it.
    OddId,
}

/// Why no more shards are split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SplitBudget {
    /// As many lines of hot shards as the memory follows were split, and are hot still.
    Lines,
    /// AWS has refused it twice in a row.
    Refused,
}

/// What shows that one key is hot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HotKeyShown {
    /// So many splits in 24 hours left nearly all the heat in one child.
    Splits(u32),
    /// A split did so, and the memory of the others is lost.
    LostMemory,
    /// The shard has too few hash keys to be split.
    Narrow,
    /// An on-demand stream throttles for 15 minutes at less than half of what its shards take.
    OnDemand,
}

/// Why a stream is not switched to on-demand mode, where that would be a way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoSwitch {
    /// The person denies it.
    Denied,
    /// The stream needs more than the person's maximum of shards.
    AboveMax(u32),
    /// Two switches in 24 hours are all that AWS allows, or it refused them.
    BudgetSpent,
    /// The account has all the on-demand streams that it may have.
    Quota,
    /// Readers are throttled, and the mode gives a shard's readers no more.
    Reads,
    /// One shard is hot, and the mode does not isolate it.
    HotShard,
}

/// What an on-demand stream cannot pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ceiling {
    /// Its own growth; the account has no throughput commitment.
    Growth,
    /// The warm throughput that the person allows, MiB/s.
    MaxWarm(u32),
    /// What AWS gives a stream with warm throughput.
    Warm,
    /// What its shards give to readers.
    Reads,
}

impl Reason {
    /// Whether it stays until a person does something.
    pub fn needs_a_person(&self) -> bool {
        use Reason as R;
        matches!(
            self,
            R::AccessDenied
                | R::KmsDenied
                | R::KmsThrottled
                | R::BadPolicyTag(_)
                | R::BadMemory(_)
                | R::ConsumerSlow { .. }
                | R::HotKey { .. }
                | R::SplitBudgetSpent(_)
                | R::AtMaxShards { .. }
                | R::AtMaxCost { .. }
                | R::AtAccountQuota(_)
                | R::ReshardBudgetSpent(_)
                | R::OnDemandCeiling(_)
                | R::NotHealed { .. }
                | R::TugOfWar
                | R::FleetLimit(_)
                | R::TooManyReaders(_)
                | R::CannotRemember(_)
        )
    }
}

/// What bounds the changes of a whole fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FleetBound {
    /// So many in an hour, in the account and region.
    Hour(u32),
    /// So many by one container, which the metric does not show yet.
    Container(u32),
    /// So many in one sweep.
    Sweep(u32),
}

/// A reader's call whose rate AWS limits, whatever its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadCall {
    /// Five a second to each shard, shared by all polling consumers.
    GetRecords,
    /// One a second to each shard by each registered consumer. Seen from the signal alone.
    SubscribeToShard,
}

/// Why a signal is not ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// Another account or region.
    Home,
    /// An alarm on something else than Kinesis.
    Metric,
    /// It names no stream.
    NoStream,
}

/// A change that worked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Healed {
    /// Shards before.
    pub from: u32,
    /// Shards after.
    pub to: u32,
    /// What was done.
    pub kind: ChangeKind,
    /// From the start of the first throttled minute to the end of the last.
    pub took: TimeDelta,
}

/// The numbers that a decision rests on, each with its unit in its name. What was not looked at is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Evidence {
    /// When AWS was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_at: Option<DateTime<Utc>>,
    /// The start of the newest minute that CloudWatch has published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newest_minute: Option<DateTime<Utc>>,
    /// The minutes looked at: after the last change settled, at most the window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window_minutes: Option<u32>,
    /// Whose throughput is exceeded, where that is confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throttled_side: Option<Side>,
    /// Throttled minutes in the window: a share at or above the floor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throttled_minutes: Option<u32>,
    /// Records refused in the window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_throttled_records: Option<f64>,
    /// The highest share of records refused in a minute of the window, 0–1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_throttled_share: Option<f64>,
    /// GetRecords calls refused in the window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_throttled_calls: Option<f64>,
    /// The highest share of GetRecords calls refused in a minute of the window, 0–1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_throttled_share: Option<f64>,
    /// Accepted and refused records of the busiest throttled minute, per second. Retries count again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offered_records_per_second: Option<f64>,
    /// The same in bytes as AWS charges them. Absent when no record's size is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offered_bytes_per_second: Option<f64>,
    /// What was accepted in the throttled minute that accepted most, as a share of what all open shards take: 1 is full.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted_utilization: Option<f64>,
    /// Whether retries of refused records count as offered (always, where offered load is given).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offered_includes_retries: Option<bool>,
    /// Bytes read in the busiest throttled minute, per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub get_records_bytes_per_second: Option<f64>,
    /// GetRecords calls to each open shard in the busiest throttled minute, per second: answered and refused ones,
    /// retries again. AWS answers five.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub get_records_calls_per_shard_per_second: Option<f64>,
    /// About how many polling consumers make so many calls, where calls are what is exceeded: each polls every shard
    /// about once a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub implied_pollers: Option<u32>,
    /// The share of capacity that the target is to be used to, 0–1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_utilization: Option<f64>,
    /// The shards that the load needs at that utilization.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shards_needed: Option<u32>,
    /// The age of the oldest record read in the newest minutes, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iterator_age_milliseconds: Option<f64>,
    /// Hours until the oldest unread record is deleted, where it is older than half the retention.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_loss_in_hours: Option<f64>,
    /// Reshards of ours in the last 24 hours; AWS allows ten.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reshards_last_24_hours: Option<u32>,
    /// Switches of capacity mode by us in the last 24 hours; AWS allows two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode_switches_last_24_hours: Option<u32>,
    /// The shard that is offered most, where shard-level metrics show it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hottest_shard: Option<String>,
    /// What it is offered in the busiest throttled minute, as a share of what a shard takes: 1 is full.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hottest_shard_utilization: Option<f64>,
    /// Shards that are offered more than the target utilization in that minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub busy_shards: Option<u32>,
    /// Splits of the hottest shard's line in the last 24 hours, each of which left nearly all the heat in one child.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diagnostic_splits: Option<u32>,
    /// The shard that a producer's error message names as throttled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub named_shard: Option<String>,
    /// The least that the throughput commitment costs the account, USD an hour; where a person may want to choose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commitment_usd_per_hour: Option<f64>,
    /// What the stream costs in on-demand mode at this load, USD an hour; where a person may want to choose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_demand_usd_per_hour: Option<f64>,
    /// What it would cost in provisioned mode with the shards that the load needs, USD an hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provisioned_usd_per_hour: Option<f64>,
    /// Warm throughput of an on-demand stream that the load needs, MiB/s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warm_mibps_needed: Option<u32>,
    /// Shards that the account may still open; absent when AWS would not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_shards_left: Option<u32>,
    /// The tag was gone, and the memory was rebuilt from the AutoFix metric.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_lost: Option<bool>,
    /// How often somebody took a change of ours back in the last 24 hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes_taken_back: Option<u32>,
    /// From the first throttled minute's start to the last one's end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_to_heal_seconds: Option<i64>,
}

impl Evidence {
    /// The newest published minute.
    pub fn newest(&self) -> Option<Minute> {
        self.newest_minute.map(Minute::of)
    }

    /// How far readers are behind, milliseconds; `None` when that is no backlog.
    pub fn backlog_milliseconds(&self) -> Option<f64> {
        self.iterator_age_milliseconds.filter(|age| *age > BACKLOG_MS)
    }
}
