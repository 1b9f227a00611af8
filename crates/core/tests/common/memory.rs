//! Memories of changes of ours.

use super::{hours_ago, minutes_ago, seconds_ago};
use chrono::TimeDelta;
use unthrottle_core::memory::{Change, ChangeKind, Memory, ShardMetrics, SplitHistory};

/// An announced change of the shard count, `seconds` before now.
pub fn scaled(from: u32, to: u32, seconds: i64) -> Memory {
    Memory::default().intend(Change::intent(ChangeKind::Scale, from, to, seconds_ago(seconds)), false)
}

/// A change of the shard count, `seconds` before now, that settled `after` seconds.
pub fn settled(from: u32, to: u32, seconds: i64, after: i64) -> Memory {
    let mut memory = scaled(from, to, seconds);
    let change = memory.change.as_mut().expect("just made");
    change.settled = Some(change.at + TimeDelta::seconds(after));
    memory
}

/// A stream raised from one shard to two and then to four, `hours` before now. Both changes are verified and published.
pub fn raised(hours: i64) -> Memory {
    let mut memory = settled(2, 4, hours * 3600, 60);
    let change = memory.change.as_mut().expect("just made");
    (change.healed, change.published) = (change.settled, change.settled);
    memory.base = Some(1);
    memory
}

/// The split history of a hot shard, an hour old.
pub fn split_history(shard: u64, splits: u32) -> Memory {
    let mut memory = settled(7, 8, 3600, 60);
    memory.split_histories = vec![SplitHistory { shard, splits, at: hours_ago(1) }];
    memory
}

/// Shard metrics that we switched on `minutes` before now.
pub fn metrics_on_for(minutes: i64) -> Memory {
    let at = minutes_ago(minutes);
    let mut memory = Memory::default().intend(Change::intent(ChangeKind::EnableShardMetrics, 8, 8, at), false);
    memory.change.as_mut().expect("just made").settled = Some(at + TimeDelta::seconds(30));
    memory.shard_metrics = Some(ShardMetrics { on: Some([true; 3]), at });
    memory
}
