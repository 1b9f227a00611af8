//! The memory of a stream, as a scenario file describes it. Times are minutes before the clock of the account begins,
//! or after it.

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, de};
use unthrottle_core::memory::{Change, ChangeKind, Memory, Planned, Refusal, ShardMetrics, SplitHistory};

/// A time in the past, in minutes.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(transparent)]
struct MinutesAgo(u32);

impl MinutesAgo {
    fn before(self, now: DateTime<Utc>) -> DateTime<Utc> {
        now - TimeDelta::minutes(self.0.into())
    }
}

/// What unthrottle remembers. [`Memory`] explains the fields. Each one that a file leaves out is empty.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Remembered {
    /// The last change.
    change: Option<RememberedChange>,
    /// The shards before the incident.
    base: Option<u32>,
    /// Whether unthrottle switched the stream from provisioned to on-demand mode.
    was_provisioned: bool,
    /// The reshards of the last 24 hours, oldest first.
    reshards_minutes_ago: Vec<MinutesAgo>,
    /// The reverts by another person or tool in the last 24 hours, oldest first.
    reverts_minutes_ago: Vec<MinutesAgo>,
    /// The hot shards that were split in the last 24 hours.
    split_histories: Vec<RememberedSplits>,
    /// When unthrottle enabled all three shard-level metrics.
    shard_metrics_on_minutes_ago: Option<MinutesAgo>,
    /// The last refusal by AWS.
    refused: Option<RememberedRefusal>,
    /// The shards that a person has planned.
    planned: Option<RememberedPlan>,
}

/// The shards that a person has planned.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RememberedPlan {
    /// The fewest shards.
    at_least: u32,
    /// For how many minutes from now.
    minutes: u32,
}

/// The last change. A later stage needs the earlier ones.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RememberedChange {
    /// The kind, as the memory tag writes it: `scale`, `split`, `theirs` …
    #[serde(deserialize_with = "kind")]
    kind: ChangeKind,
    /// Shards before and after; for `warm`, MiB/s.
    from: u32,
    to: u32,
    /// When unthrottle wrote the intent.
    minutes_ago: MinutesAgo,
    /// When the stream was first found ACTIVE after the change. Default: it was not.
    settled_minutes_ago: Option<MinutesAgo>,
    /// When the AutoFix metric was found to show the change. Default: it was not.
    published_minutes_ago: Option<MinutesAgo>,
    /// When throttling was found to have stopped. Default: it was not.
    healed_minutes_ago: Option<MinutesAgo>,
}

/// The splits of one hot shard.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RememberedSplits {
    /// The number of the shard that was split last.
    shard: u64,
    /// How many splits there were.
    splits: u32,
    /// When the last one was announced.
    minutes_ago: MinutesAgo,
}

/// A refusal with `LimitExceededException`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RememberedRefusal {
    /// The kind of the refused change, as the memory tag writes it.
    #[serde(deserialize_with = "kind")]
    kind: ChangeKind,
    /// For how many minutes AWS has refused it; 1 after one refusal.
    minutes: u32,
    /// When the last one was.
    minutes_ago: MinutesAgo,
}

fn kind<'de, D: Deserializer<'de>>(from: D) -> Result<ChangeKind, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map_err(|_| D::Error::invalid_value(de::Unexpected::Str(&text), &"a kind of change of the memory tag"))
}

impl Remembered {
    /// The last change, where the memory says that the stream was found changed: its AutoFix datum is in CloudWatch. A
    /// change of another person or tool has none.
    pub fn counted(&self, now: DateTime<Utc>) -> Option<Change> {
        let change = self.change.as_ref().filter(|change| change.settled_minutes_ago.is_some())?.to_change(now);
        (!matches!(change.kind, ChangeKind::External | ChangeKind::Lost)).then_some(change)
    }

    /// The memory at `now`, when the clock of the account begins.
    pub fn to_memory(&self, now: DateTime<Utc>) -> Memory {
        let times = |ago: &[MinutesAgo]| ago.iter().map(|ago| ago.before(now)).collect();
        let split = |splits: &RememberedSplits| SplitHistory {
            shard: splits.shard,
            splits: splits.splits,
            at: splits.minutes_ago.before(now),
        };
        let refusal = |refused: &RememberedRefusal| Refusal {
            kind: refused.kind,
            minutes: refused.minutes,
            at: refused.minutes_ago.before(now).trunc_subsecs(0),
        };
        Memory {
            change: self.change.as_ref().map(|change| change.to_change(now)),
            base: self.base,
            was_provisioned: self.was_provisioned,
            reshards: times(&self.reshards_minutes_ago),
            reverts: times(&self.reverts_minutes_ago),
            split_histories: self.split_histories.iter().map(split).collect(),
            shard_metrics: self
                .shard_metrics_on_minutes_ago
                .map(|ago| ShardMetrics { on: Some([true; 3]), at: ago.before(now) }),
            refused: self.refused.as_ref().map(refusal),
            planned: self.planned.map(|plan| Planned {
                at_least: plan.at_least,
                until: (now + TimeDelta::minutes(plan.minutes.into())).trunc_subsecs(0),
            }),
            ..Memory::default()
        }
    }
}

impl RememberedChange {
    fn to_change(&self, now: DateTime<Utc>) -> Change {
        let at = |ago: Option<MinutesAgo>| ago.map(|ago| ago.before(now).trunc_subsecs(0));
        Change {
            settled: at(self.settled_minutes_ago),
            published: at(self.published_minutes_ago),
            healed: at(self.healed_minutes_ago),
            ..Change::intent(self.kind, self.from, self.to, self.minutes_ago.before(now))
        }
    }
}
