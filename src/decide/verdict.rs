//! What a decision can be. Every path out of [`decide`](super::decide) is a variant here, and each variant has a
//! stable snake_case code: the metric dimension, the log field, the JSON value and the word in the documents.

use super::reads::BACKLOG_MS;
use crate::memory::{ChangeKind, Memory};
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
    /// What may be done: in [`Mode::Observe`] the verdict is said, and nothing is changed or written.
    pub mode: Mode,
    /// The memory to write, where it differs from the one that was read. For an act: the intent.
    pub memory: Option<Memory>,
    /// The code and the time of each done change of ours whose AutoFix datum is missing: to be counted now. Two runs
    /// that find the same at once may both count it: a tag cannot be compared and set.
    pub uncounted: Vec<(&'static str, DateTime<Utc>)>,
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
    /// `UpdateStreamMode` to on-demand. Adds no capacity at that moment: on-demand grows from observed traffic.
    SwitchToOnDemand {
        /// Open shards now; the stream keeps them.
        shards: u32,
        /// The limit of AWS's that leaves no room for shards.
        instead_of: NoRoom,
    },
}

impl Remedy {
    /// The code of [`Remedy::ScaleShards`].
    pub const SCALE_SHARDS: &'static str = "scale_shards";
    /// The code of [`Remedy::SwitchToOnDemand`].
    pub const SWITCH_TO_ON_DEMAND: &'static str = "switch_to_on_demand";

    /// Whether it opens new shards beside the old ones: what is in these stays there until it is read.
    pub fn is_reshard(&self) -> bool {
        matches!(self, Remedy::ScaleShards { .. })
    }

    /// What the memory calls it.
    pub fn kind(&self) -> ChangeKind {
        match self {
            Remedy::ScaleShards { .. } => ChangeKind::Scale,
            Remedy::SwitchToOnDemand { .. } => ChangeKind::Switch,
        }
    }

    /// Shards before and after.
    pub fn shards(&self) -> (u32, u32) {
        match self {
            Remedy::ScaleShards { from, to, .. } => (*from, *to),
            Remedy::SwitchToOnDemand { shards, .. } => (*shards, *shards),
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
    /// The shards that the account may still open.
    AccountQuota,
}

/// The limit of AWS's that leaves no room for a single shard more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRoom {
    /// The account's shards are all open.
    AccountQuota,
    /// A stream is resharded at most ten times in 24 hours.
    ReshardBudget,
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
    /// The stream has shards enough for its load: some are hot.
    SkewSuspected,
    /// The person's maximum is reached. Never worked around.
    AtMaxShards {
        /// The maximum.
        max: u32,
    },
    /// The account may open no more shards.
    AtAccountQuota,
    /// The stream may not be resharded again today.
    ReshardBudgetSpent,
    /// On-demand capacity is still growing.
    OnDemandAdapting,
    /// On-demand capacity has not followed for 15 minutes.
    OnDemandCeiling,
    /// A reader works off a backlog. New shards cannot drain old ones.
    ReaderCatchingUp,
    /// Readers are bound by calls, not bytes: by these.
    TooManyReaders(ReadCall),
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
    /// Shards that the account may still open; absent when AWS would not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_shards_left: Option<u32>,
    /// The tag was gone, and the memory was rebuilt from the AutoFix metric.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_lost: Option<bool>,
    /// How often somebody took a change of ours back.
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
