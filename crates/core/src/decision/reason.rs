//! The names of holds: why a stream is left as it is.

use super::Remedy;
use super::evidence::Healed;
use crate::denial::{Denial, is_denied};
use crate::memory::Change;
use chrono::{DateTime, Utc};

/// Why a stream is left as it is.
#[derive(Clone, Debug, PartialEq, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Reason {
    // From the signal alone:
    /// The call did not fail by throttling or denial.
    NotAThrottle,
    /// Another account or region, no Kinesis metric, or no stream that can be named.
    NotOurs(Foreign),
    /// The function's own role made the call.
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
    /// This process has just observed the stream.
    JustLooked,
    // From the observation:
    /// The stream does not exist, or is being deleted.
    StreamGone,
    /// The stream is being created, or has a status or capacity mode that this version does not know.
    NotReady,
    /// The stream is out of scope, or its mode is off.
    OptedOut,
    /// A policy tag cannot be used.
    BadPolicyTag(String),
    /// The memory cannot be read.
    BadMemory(String),
    /// A change is under way.
    Resharding,
    /// No published minute shows the effect of our last change yet.
    Settling {
        /// When the change was announced; of a change that is not ours, when it was found.
        changed_at: DateTime<Utc>,
        /// Whether the change is ours.
        is_ours: bool,
    },
    /// CloudWatch has not published the minute of the signal yet: unknown is not zero.
    EvidencePending,
    /// No throttling in the newest published minutes.
    Healthy {
        /// The change that stopped the throttling, where this run verified one.
        healed: Option<Healed>,
    },
    /// Not throttled, but a reader is so far behind that data will be lost.
    ConsumerSlow {
        /// Hours until the oldest unread record is deleted.
        hours_left: f64,
    },
    /// Readers have stopped after a change of ours: they do not find the new shards.
    ReadersStopped {
        /// The end of the last minute in which they made progress.
        since: DateTime<Utc>,
        /// When our change was announced.
        changed_at: DateTime<Utc>,
        /// Hours until unread records are deleted.
        hours_left: f64,
        /// The change that stopped the throttling, where this run verified one.
        healed: Option<Healed>,
        /// Our last change, where throttling goes on after it and nothing is left to try.
        in_vain: Option<Box<Change>>,
    },
    /// The throttled share is below the floor.
    Negligible,
    /// Too few throttled minutes so far.
    Unconfirmed {
        /// Throttled minutes in the window.
        minutes: u32,
        /// Throttled minutes that a change needs.
        needed: u32,
    },
    /// AWS refused a change of ours lately.
    RefusedLately {
        /// When the next attempt is allowed.
        until: DateTime<Utc>,
    },
    /// The stream has enough shards for its load, and no metric shows which shards are hot. The metrics stay off for
    /// this reason.
    SkewSuspected(NoDiagnosis),
    /// One partition key (or a narrow range of hash keys) is more than a shard takes: splitting does not divide it.
    HotKey {
        /// The shard that it is on, where that is known.
        shard: Option<String>,
        /// What shows that.
        shown: HotKeyEvidence,
    },
    /// A shard is hot, and no more shards are split today.
    SplitBudgetSpent(SplitBudget),
    /// No shard is busy over a whole minute. Bursts within the minute are refused.
    MicroBurst,
    /// AWS accepts no record at all, and more shards did not change that.
    NothingAccepted,
    /// Shards are enough for the mean load. The records are larger than 1 MiB, and each fills its shard for seconds.
    LargeRecords,
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
    /// The account may open no more shards, and on-demand mode does not help.
    AtAccountQuota(NoSwitch),
    /// The stream may not be resharded again today, and on-demand mode does not help.
    ReshardBudgetSpent(NoSwitch),
    /// On-demand capacity is still growing.
    OnDemandAdapting,
    /// On-demand capacity has not followed for 15 minutes.
    OnDemandCeiling(Ceiling),
    /// A change cannot be undone now, for this reason.
    NotRestorable(String),
    /// The shards that a person plans cannot be kept, for this reason.
    NotPlanned(String),
    /// The stream has fewer shards than a person has planned, and something allows no more. The evidence names both.
    PlanNotReached,
    /// Our last change has settled, throttling goes on, and nothing is left to try.
    NotHealed {
        /// The change that did not help.
        change: Box<Change>,
        /// Why nothing is left.
        why: Box<Reason>,
    },
    /// Another person or tool reverts our changes again and again.
    TugOfWar,
    /// The person allows no more changes of the fleet.
    FleetLimit(FleetBound),
    /// A reader works off a backlog. New shards cannot drain old ones.
    ReaderCatchingUp,
    /// Readers make too many of these calls, whatever their bytes.
    TooManyReaders(ReadCall),
    /// Readers are refused. Neither their bytes nor their calls are too many for all shards together.
    UnevenReads,
    // From AWS's answer to a call:
    /// AWS refused the change.
    Refused {
        /// The error code.
        code: String,
        /// AWS's own words.
        message: String,
    },
    /// A policy denied the change.
    ChangeDenied(Box<DeniedChange>),
    /// The memory cannot be written, so nothing was changed.
    CannotRemember(String),
}

/// A change that a policy denied.
#[derive(Clone, Debug, PartialEq)]
pub struct DeniedChange {
    /// What was to be changed.
    pub remedy: Remedy,
    /// The action, and the type of policy.
    pub denial: Denial,
}

/// Why shard-level metrics are not switched on for a diagnosis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoDiagnosis {
    /// The person denies it.
    Denied,
    /// The metrics were on within the last 24 hours.
    Today,
    /// CloudWatch cannot tell so large a number of shards apart.
    TooMany,
    /// The metrics would cost more than the person's maximum.
    TooExpensive,
    /// AWS refused to switch them on within the last 24 hours.
    Refused,
    /// A shard's id has no number, so the memory cannot follow its splits.
    UnreadableId,
}

/// Why no more shards are split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SplitBudget {
    /// The memory follows as many split histories as it can, and their shards are still hot.
    Histories,
    /// AWS has refused a split for 15 minutes.
    Refused,
}

/// What shows that one key is hot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HotKeyEvidence {
    /// This number of splits in 24 hours left nearly all the load in one child.
    Splits(u32),
    /// One split did so, and the memory of earlier splits is lost.
    LostMemory,
    /// The shard has too few hash keys to be split.
    Narrow,
    /// An on-demand stream throttles for 15 minutes at less than half of what its shards take.
    OnDemand,
}

/// Why a stream is not switched to on-demand mode, where that would help.
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
    /// Readers are throttled, and the reshards that are left today are kept for writes.
    KeptForWrites,
    /// No record was accepted in an hour, so the load is unknown.
    UnknownLoad,
}

/// The ceiling that an on-demand stream has reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ceiling {
    /// AWS's own growth of the stream. The account has no throughput commitment.
    Growth,
    /// The warm throughput that the person allows, MiB/s.
    MaxWarm(u32),
    /// The warm throughput that AWS gives a stream.
    Warm,
    /// The bytes that its shards give to readers.
    Reads,
}

impl Reason {
    /// The change that stopped the throttling, where this run verified one.
    pub fn healed(&self) -> Option<&Healed> {
        match self {
            Reason::Healthy { healed } | Reason::ReadersStopped { healed, .. } => healed.as_ref(),
            _ => None,
        }
    }

    /// This hold for readers that have stopped, of a stream that would be held as `other`. It says if our change did
    /// not help.
    #[must_use]
    pub(crate) fn beside(mut self, other: Reason) -> Reason {
        if let (Reason::ReadersStopped { in_vain, .. }, Reason::NotHealed { change, .. }) = (&mut self, other) {
            *in_vain = Some(change);
        }
        self
    }

    /// Whether the stream stays throttled or unhandled until a person acts.
    pub fn needs_person(&self) -> bool {
        use Reason as R;
        matches!(
            self,
            R::AccessDenied
                | R::KmsDenied
                | R::KmsThrottled
                | R::BadPolicyTag(_)
                | R::BadMemory(_)
                | R::ConsumerSlow { .. }
                | R::ReadersStopped { .. }
                | R::HotKey { .. }
                | R::SplitBudgetSpent(_)
                | R::NothingAccepted
                | R::AtMaxShards { .. }
                | R::AtMaxCost { .. }
                | R::AtAccountQuota(_)
                | R::ReshardBudgetSpent(_)
                | R::OnDemandCeiling(_)
                | R::NotPlanned(_)
                | R::PlanNotReached
                | R::NotHealed { .. }
                | R::TugOfWar
                | R::FleetLimit(_)
                | R::TooManyReaders(_)
                | R::ChangeDenied(_)
                | R::CannotRemember(_)
        ) || matches!(self, R::Refused { code, .. } if is_denied(code))
    }
}

/// The bound of a fleet's changes that is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FleetBound {
    /// Changes in an hour, in the account and region.
    Hour(u32),
    /// Changes by one process that the metric does not show yet.
    Container {
        /// The share of one process.
        share: u32,
        /// How many processes share the bound.
        of: u32,
    },
    /// Shards added in 24 hours, in the account and region.
    AddedShards(u32),
    /// Shards added by one process that the metric does not show yet.
    ContainerShards {
        /// The share of one process.
        share: u32,
        /// How many processes share the bound.
        of: u32,
    },
    /// Changes in one sweep.
    Sweep(u32),
}

/// A reader's call whose rate AWS limits, whatever its bytes (the Kinesis quotas page).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadCall {
    /// Five a second to each shard, shared by all polling consumers.
    GetRecords,
    /// One a second to each shard by each registered consumer. Only the signal shows it.
    SubscribeToShard,
}

/// Why a signal is not ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// Another account or region.
    Home,
    /// The alarm watches no metric of Kinesis.
    Metric,
    /// The alarm evaluates a rule over other alarms, and no metric.
    Composite,
    /// The signal names no stream.
    NoStream,
}
