//! What a memory shows of the changes of a time. A sweep compares the metrics of the fleet with it.

use super::{Change, ChangeKind, Memory, TAG};
use crate::observation::{LOOKBACK_HOURS, Supported};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::{BTreeMap, BTreeSet};

/// Counts the changes that these tags of streams show at `at`. A tag that cannot be read shows none.
pub fn supported<'a>(tags: impl IntoIterator<Item = &'a BTreeMap<String, String>>, at: DateTime<Utc>) -> Supported {
    let mut supported = Supported { at, changes_last_hour: 0, shards_last_day: 0 };
    for memory in tags.into_iter().filter_map(|tags| Memory::parse(tags.get(TAG)?).ok()) {
        let hour = memory.changes_since(at - TimeDelta::hours(1));
        let day = memory.shards_added_since(at - TimeDelta::hours(LOOKBACK_HOURS));
        supported.changes_last_hour = supported.changes_last_hour.saturating_add(hour);
        supported.shards_last_day = supported.shards_last_day.saturating_add(day);
    }
    supported
}

impl Memory {
    /// The changes of ours since `since` that the memory shows. It shows each reshard and each switch. Of splits, warm
    /// throughput and shard-level metrics it shows the last ones only, so there may have been more.
    fn changes_since(&self, since: DateTime<Utc>) -> u32 {
        let reshards = self.known_reshards().chain(&self.switches).copied();
        let splits = self.split_histories.iter().map(|split| split.at);
        let metrics = self.shard_metrics.iter().map(|metrics| metrics.at);
        let last = self.own_change().map(|change| change.at);
        let earlier = self.unpublished.map(|(_, at)| at);
        let all = reshards.chain(splits).chain(metrics).chain(last).chain(earlier);
        count(all.filter(|at| *at > since))
    }

    /// The most shards that our reshards and splits since `since` can have added. The memory has the sizes of the last
    /// change and the shards before the incident. Each reshard may have crossed all of these sizes.
    fn shards_added_since(&self, since: DateTime<Utc>) -> u32 {
        let Some(change) = &self.change else { return 0 };
        let splits = self.split_histories.iter().map(|split| split.at);
        let last = self
            .own_change()
            .filter(|change| matches!(change.kind, ChangeKind::Scale | ChangeKind::ScaleAhead | ChangeKind::Split));
        let all = self.known_reshards().copied().chain(splits).chain(last.map(|change| change.at));
        let times = count(all.filter(|at| *at > since));
        let sizes = [change.from.shards(), change.to.shards(), self.base];
        let (low, high) = (sizes.iter().flatten().min(), sizes.iter().flatten().max());
        times.saturating_mul(high.zip(low).map_or(0, |(high, low)| high - low))
    }

    /// The last change, if the memory itself knows that it was ours and was not refused.
    pub fn own_change(&self) -> Option<&Change> {
        let is_ours = |change: &&Change| !matches!(change.kind, ChangeKind::External | ChangeKind::Lost);
        self.change.as_ref().filter(is_ours).filter(|_| !self.is_change_refused())
    }

    /// The reshards that the memory itself knows. The times of a lost memory come from the metric.
    fn known_reshards(&self) -> impl Iterator<Item = &DateTime<Utc>> {
        let is_lost = self.change.as_ref().is_some_and(|change| change.kind == ChangeKind::Lost);
        self.reshards.iter().filter(move |_| !is_lost)
    }
}

fn count(times: impl Iterator<Item = DateTime<Utc>>) -> u32 {
    u32::try_from(times.collect::<BTreeSet<_>>().len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::SplitHistory;
    use super::*;

    fn at(minutes: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(1_790_000_000) + TimeDelta::minutes(minutes)
    }

    fn after(memory: &Memory, kind: ChangeKind, from: u32, to: u32, minutes: i64) -> Memory {
        memory.intend(Change::intent(kind, from, to, at(minutes)), false)
    }

    #[test]
    fn each_reshard_of_the_hour_counts_and_older_ones_do_not() {
        let first = after(&Memory::default(), ChangeKind::Scale, 2, 4, 0);
        let third = after(&after(&first, ChangeKind::Scale, 4, 8, 50), ChangeKind::Scale, 8, 16, 90);
        assert_eq!((third.changes_since(at(40)), third.changes_since(at(-1))), (2, 3));
    }

    #[test]
    fn a_change_that_aws_refused_supports_nothing() {
        let split = after(&Memory::default(), ChangeKind::Split, 2, 3, 0);
        assert_eq!((split.changes_since(at(-60)), split.shards_added_since(at(-60))), (1, 1));
        let refused = split.refuse(ChangeKind::Split, at(1), true);
        assert_eq!((refused.changes_since(at(-60)), refused.shards_added_since(at(-60))), (0, 0));
    }

    #[test]
    fn the_changes_of_another_tool_support_nothing() {
        let external = after(&Memory::default(), ChangeKind::External, 4, 16, 0);
        assert_eq!((external.changes_since(at(-60)), external.shards_added_since(at(-60))), (0, 0));
    }

    #[test]
    fn the_shards_of_a_day_are_never_fewer_than_were_added() {
        let mut memory = after(&Memory::default(), ChangeKind::Scale, 2, 4, 0);
        memory.base = Some(2);
        let memory = after(&memory, ChangeKind::Scale, 4, 8, 10);
        assert!(memory.shards_added_since(at(-1)) >= 6, "2 → 4 → 8");
        let restored = after(&memory, ChangeKind::Restore, 8, 4, 200);
        assert!(restored.shards_added_since(at(-1)) >= 6, "a restore gives nothing back");
        assert_eq!(restored.shards_added_since(at(201)), 0, "a day later");
    }

    #[test]
    fn earlier_splits_count_as_long_as_the_memory_follows_them() {
        let mut memory = after(&Memory::default(), ChangeKind::Split, 3, 4, 20);
        memory.split_histories =
            vec![SplitHistory { shard: 1, splits: 1, at: at(0) }, SplitHistory { shard: 2, splits: 1, at: at(20) }];
        assert_eq!((memory.changes_since(at(-1)), memory.shards_added_since(at(-1))), (2, 2));
    }
}
