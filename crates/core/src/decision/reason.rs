//! The names of holds: why a stream is left as it is.

use super::evidence::Healed;
use crate::memory::Change;
use chrono::{DateTime, Utc};

/// Why a stream is left as it is.
#[derive(Clone, Debug, PartialEq, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
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
    SkewSuspected(NoDiagnosis),
    /// One partition key (or a narrow range of hash keys) is more than a shard takes: splitting does not divide it.
    HotKey {
        /// The shard that it is on, where that is known.
        shard: Option<String>,
        /// What shows it.
        shown: HotKeyEvidence,
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
pub enum NoDiagnosis {
    /// The person denies it.
    Denied,
    /// They were on today already.
    Today,
    /// There are too many shards to tell them apart.
    TooMany,
    /// They would cost more than the person's maximum.
    TooExpensive,
    /// AWS refused it today.
    Refused,
    /// A shard's number cannot be read in its id, so that nothing can be remembered of it.
    UnreadableId,
}

/// Why no more shards are split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SplitBudget {
    /// As many lines of hot shards as the memory follows were split, and are hot still.
    Histories,
    /// AWS has refused it twice in a row.
    Refused,
}

/// What shows that one key is hot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HotKeyEvidence {
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
