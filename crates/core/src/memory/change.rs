//! One change of a stream's capacity, from its intent to its verification.

use crate::observation::{CapacityMode, Stream};
use chrono::{DateTime, SubsecRound, Utc};

/// A change of a stream's capacity.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// What was done.
    pub kind: ChangeKind,
    /// Shards before; for [`ChangeKind::WarmUp`], MiB/s.
    pub from: u32,
    /// The same after.
    pub to: u32,
    /// When the intent was written. The AutoFix datum carries this time.
    pub at: DateTime<Utc>,
    /// When the change before this one had settled.
    pub after: Option<DateTime<Utc>>,
    /// When the first throttled minute of the incident began.
    pub since: Option<DateTime<Utc>>,
    /// When the stream was first found ACTIVE after it.
    pub settled: Option<DateTime<Utc>>,
    /// When throttling was found to have stopped after it.
    pub healed: Option<DateTime<Utc>>,
    /// When its AutoFix datum was sent again because it was missing.
    pub resent: Option<DateTime<Utc>>,
    /// When its AutoFix datum was found in the metric.
    pub published: Option<DateTime<Utc>>,
}

/// What a [`Change`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display, strum::EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum ChangeKind {
    /// The shard count was changed.
    Scale,
    /// A shard was split.
    Split,
    /// The capacity mode was changed to on-demand.
    Switch,
    /// The capacity mode was changed back to provisioned.
    #[strum(serialize = "back")]
    SwitchBack,
    /// The warm throughput was raised. Its `from` and `to` are MiB a second.
    #[strum(serialize = "warm")]
    WarmUp,
    /// Shard-level metrics were switched on.
    #[strum(serialize = "watch")]
    EnableShardMetrics,
    /// They were switched off again.
    #[strum(serialize = "unwatch")]
    DisableShardMetrics,
    /// The shard count was reduced again after we had raised it.
    Restore,
    /// Another person or tool changed the capacity. Its `to` is 0 where that left the stream in on-demand mode.
    #[strum(serialize = "theirs")]
    External,
    /// Only the AutoFix metric knows the change. The memory of it was lost.
    Lost,
}

impl Change {
    /// Whether the stream is still as it was before the change.
    pub fn is_undone(&self, stream: &Stream) -> bool {
        let provisioned = stream.mode == CapacityMode::Provisioned;
        match self.kind {
            ChangeKind::Scale | ChangeKind::Split | ChangeKind::Switch | ChangeKind::Restore => {
                provisioned && stream.open_shards == self.from
            }
            ChangeKind::SwitchBack => stream.mode == CapacityMode::OnDemand,
            ChangeKind::WarmUp => {
                !provisioned && stream.warm_throughput.is_none_or(|warm| warm.target_mibps == self.from)
            }
            ChangeKind::EnableShardMetrics => !stream.shows_shards(),
            ChangeKind::DisableShardMetrics => stream.shows_shards(),
            ChangeKind::Lost | ChangeKind::External => false,
        }
    }

    /// Whether the stream is as the change left it.
    pub fn is_done(&self, stream: &Stream) -> bool {
        let provisioned = stream.mode == CapacityMode::Provisioned;
        match self.kind {
            ChangeKind::Scale | ChangeKind::Split | ChangeKind::Restore | ChangeKind::SwitchBack => {
                provisioned && stream.open_shards == self.to
            }
            ChangeKind::Switch => stream.mode == CapacityMode::OnDemand,
            ChangeKind::WarmUp => {
                !provisioned && stream.warm_throughput.is_some_and(|warm| warm.target_mibps == self.to)
            }
            ChangeKind::EnableShardMetrics => stream.shows_shards() && stream.open_shards == self.to,
            ChangeKind::DisableShardMetrics => !stream.shows_shards() && stream.open_shards == self.to,
            ChangeKind::Lost | ChangeKind::External => false,
        }
    }

    /// Whether another person or tool has changed the capacity since: it is not what the done change left. AWS sets the
    /// shards of an on-demand stream, so they do not count.
    pub fn is_overridden(&self, stream: &Stream) -> bool {
        let provisioned = stream.mode == CapacityMode::Provisioned;
        match self.kind {
            ChangeKind::Scale
            | ChangeKind::Split
            | ChangeKind::Restore
            | ChangeKind::SwitchBack
            | ChangeKind::External => size(stream) != self.to,
            ChangeKind::EnableShardMetrics | ChangeKind::DisableShardMetrics => {
                provisioned && stream.open_shards != self.to
            }
            ChangeKind::Switch | ChangeKind::WarmUp => provisioned,
            ChangeKind::Lost => false,
        }
    }

    /// The change of another person or tool that left the stream as it is, found at `now`. Evidence counts from then.
    pub fn external(&self, stream: &Stream, now: DateTime<Utc>) -> Change {
        let change = Change::intent(ChangeKind::External, self.to, size(stream), now);
        Change { settled: Some(change.at), ..change }
    }

    /// A change that is about to be made at `at` (cut to whole seconds, as the tag keeps it).
    pub fn intent(kind: ChangeKind, from: u32, to: u32, at: DateTime<Utc>) -> Change {
        let at = at.trunc_subsecs(0);
        Change {
            kind,
            from,
            to,
            at,
            after: None,
            since: None,
            settled: None,
            healed: None,
            resent: None,
            published: None,
        }
    }
}

/// The open shards of a provisioned stream; 0 for one in on-demand mode.
fn size(stream: &Stream) -> u32 {
    if stream.mode == CapacityMode::Provisioned { stream.open_shards } else { 0 }
}
