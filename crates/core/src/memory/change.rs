//! One change of a stream's capacity, from its intent to its verification.

use crate::observation::{CapacityMode, Stream};
use chrono::{DateTime, SubsecRound, Utc};

/// A change of a stream's capacity.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// What was done.
    pub kind: ChangeKind,
    /// The stream's size before.
    pub from: Size,
    /// The stream's size after.
    pub to: Size,
    /// When the intent was written. The AutoFix datum carries this time.
    pub at: DateTime<Utc>,
    /// When the change before this one had settled. Of another's change: when our last change was announced.
    pub after: Option<DateTime<Utc>>,
    /// When the first throttled minute of the incident began.
    pub since: Option<DateTime<Utc>>,
    /// When the stream was first found ACTIVE after it.
    pub settled: Option<DateTime<Utc>>,
    /// When throttling was found to have stopped after it.
    pub healed: Option<DateTime<Utc>>,
    /// Until when the stream's readers are watched, which read it at the change. `None`: it had none.
    pub readers_until: Option<DateTime<Utc>>,
    /// When its AutoFix datum was sent again because it was missing.
    pub resent: Option<DateTime<Utc>>,
    /// When its AutoFix datum was found in the metric.
    pub published: Option<DateTime<Utc>>,
}

/// The size of a stream before or after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Size {
    /// Open shards.
    Shards(u32),
    /// Warm throughput, MiB/s.
    WarmMibps(u32),
}

impl Size {
    /// The size of a stream in the unit that changes of this kind change.
    pub fn of(kind: ChangeKind, number: u32) -> Size {
        if kind == ChangeKind::WarmUp { Size::WarmMibps(number) } else { Size::Shards(number) }
    }

    /// The open shards. `None`: the size is of warm throughput.
    pub fn shards(self) -> Option<u32> {
        if let Size::Shards(shards) = self { Some(shards) } else { None }
    }

    /// The number without its unit.
    pub fn number(self) -> u32 {
        match self {
            Size::Shards(number) | Size::WarmMibps(number) => number,
        }
    }
}

/// The number, without its unit.
impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.number().fmt(f)
    }
}

/// What a [`Change`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display, strum::EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum ChangeKind {
    /// The shard count was changed.
    Scale,
    /// The shard count was raised before the load came.
    #[strum(serialize = "ahead")]
    ScaleAhead,
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
            ChangeKind::Scale
            | ChangeKind::ScaleAhead
            | ChangeKind::Split
            | ChangeKind::Switch
            | ChangeKind::Restore => provisioned && Size::Shards(stream.open_shards) == self.from,
            ChangeKind::SwitchBack => stream.mode == CapacityMode::OnDemand,
            ChangeKind::WarmUp => {
                !provisioned
                    && stream.warm_throughput.is_none_or(|warm| Size::WarmMibps(warm.target_mibps) == self.from)
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
            ChangeKind::Scale
            | ChangeKind::ScaleAhead
            | ChangeKind::Split
            | ChangeKind::Restore
            | ChangeKind::SwitchBack => provisioned && Size::Shards(stream.open_shards) == self.to,
            ChangeKind::Switch => stream.mode == CapacityMode::OnDemand,
            ChangeKind::WarmUp => {
                !provisioned && stream.warm_throughput.is_some_and(|warm| Size::WarmMibps(warm.target_mibps) == self.to)
            }
            ChangeKind::EnableShardMetrics => stream.shows_shards() && Size::Shards(stream.open_shards) == self.to,
            ChangeKind::DisableShardMetrics => !stream.shows_shards() && Size::Shards(stream.open_shards) == self.to,
            ChangeKind::Lost | ChangeKind::External => false,
        }
    }

    /// Whether another person or tool has changed the capacity since: it is not what the done change left. AWS sets the
    /// shards of an on-demand stream, so they do not count.
    pub fn is_overridden(&self, stream: &Stream) -> bool {
        let provisioned = stream.mode == CapacityMode::Provisioned;
        match self.kind {
            ChangeKind::Scale
            | ChangeKind::ScaleAhead
            | ChangeKind::Split
            | ChangeKind::Restore
            | ChangeKind::SwitchBack
            | ChangeKind::External => Size::Shards(shards(stream)) != self.to,
            ChangeKind::EnableShardMetrics | ChangeKind::DisableShardMetrics => {
                provisioned && Size::Shards(stream.open_shards) != self.to
            }
            ChangeKind::Switch | ChangeKind::WarmUp => provisioned,
            ChangeKind::Lost => false,
        }
    }

    /// The change of another person or tool that left the stream as it is, found at `now`. Evidence counts from then.
    pub fn external(&self, stream: &Stream, now: DateTime<Utc>) -> Change {
        Change { after: Some(self.at), ..Change::external_from(self.to.number(), stream, now) }
    }

    /// The same, of a stream that had `from` shards before it.
    pub fn external_from(from: u32, stream: &Stream, now: DateTime<Utc>) -> Change {
        let change = Change::intent(ChangeKind::External, from, shards(stream), now);
        Change { settled: Some(change.at), ..change }
    }

    /// A change that is about to be made at `at`, which is cut to whole seconds, as the tag keeps it. `from` and `to`
    /// are in the unit of the kind: MiB/s for [`ChangeKind::WarmUp`], else shards.
    pub fn intent(kind: ChangeKind, from: u32, to: u32, at: DateTime<Utc>) -> Change {
        let at = at.trunc_subsecs(0);
        let (from, to) = (Size::of(kind, from), Size::of(kind, to));
        Change {
            kind,
            from,
            to,
            at,
            after: None,
            since: None,
            settled: None,
            healed: None,
            readers_until: None,
            resent: None,
            published: None,
        }
    }
}

/// The open shards of a provisioned stream; 0 for one in on-demand mode.
fn shards(stream: &Stream) -> u32 {
    if stream.mode == CapacityMode::Provisioned { stream.open_shards } else { 0 }
}
