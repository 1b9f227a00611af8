//! The past of the stream's shards: when each opened and closed, and when the stream was created.

use super::{CREATED_AT, World, opened};
use crate::rules::HashRange;
use crate::sim::shard::{OpenShard, shard_id};
use crate::sim::time;
use chrono::{DateTime, Utc};
use std::collections::BTreeSet;
use unthrottle_core::observation::{CapacityMode, Shard, Traffic};

/// A shard that a reshard has closed.
#[derive(Clone, Debug)]
pub(super) struct ClosedShard {
    number: u64,
    parent: Option<u64>,
    range: HashRange,
    opened: i64,
    closed: i64,
}

/// A shard that was open at a time in the past.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ShardAt {
    /// The shard, without its metrics.
    pub shard: Shard,
    /// Whether a reshard has closed it since. A closed shard has an ending sequence number.
    pub is_closed: bool,
}

/// A shard as `ListShards` shows it, without its metrics.
pub(super) fn listed(number: u64, parent: Option<u64>, range: HashRange) -> Shard {
    Shard {
        id: shard_id(number),
        parent: parent.map(shard_id),
        first_hash_key: range.first,
        last_hash_key: range.last,
        traffic: Traffic::default(),
    }
}

impl World {
    /// `ListShards` with `AT_TIMESTAMP`: the shards that were open at `at`, by their hash keys. A shard that a reshard
    /// closed in this second counts as open, as do the shards that it opened (API reference, `ShardFilter`).
    pub(crate) fn shards_at(&self, at: DateTime<Utc>) -> Vec<ShardAt> {
        let closed = self.closed_shards.iter().filter(|shard| time(shard.opened) <= at && time(shard.closed) >= at);
        let closed = closed.map(|s| ShardAt { shard: listed(s.number, s.parent, s.range), is_closed: true });
        let open = self.shards.iter().filter(|shard| time(shard.opened) <= at);
        let open = open.map(|s| ShardAt { shard: listed(s.number, s.parent, s.range), is_closed: false });
        let mut shards: Vec<ShardAt> = closed.chain(open).collect();
        shards.sort_by_key(|at| (at.shard.first_hash_key, at.shard.id.clone()));
        shards
    }

    /// `StreamCreationTimestamp`: when the stream was created.
    pub(crate) fn created_at(&self) -> DateTime<Utc> {
        time(self.created)
    }

    /// A reshard at this second before the run opened the shards, and closed half as many.
    pub(super) fn open_at(&mut self, second: i64) {
        let before = HashRange::uniform(self.open_shards().div_ceil(2));
        let closed = (self.next_number..).zip(before);
        self.closed_shards = closed
            .map(|(number, range)| ClosedShard { number, parent: None, range, opened: CREATED_AT, closed: second })
            .collect();
        self.next_number += self.closed_shards.len() as u64;
        self.shards.iter_mut().for_each(|shard| shard.opened = second);
    }

    /// Records the shards of `old` that are open no longer.
    pub(super) fn record_closed(&mut self, old: &[OpenShard]) {
        let open: BTreeSet<u64> = self.shards.iter().map(|shard| shard.number).collect();
        for shard in old.iter().filter(|shard| !open.contains(&shard.number)) {
            let OpenShard { number, parent, range, opened, .. } = *shard;
            self.closed_shards.push(ClosedShard { number, parent, range, opened, closed: self.now });
        }
    }

    /// `DeleteStream` and `CreateStream` of the same name, by a person, in one second. The new stream has shards of its
    /// own, numbered from 0, and no tags. Its metrics in CloudWatch go on: they are metrics of the name.
    pub fn recreate(&mut self, shards: u32) {
        self.shards = opened(&self.setup, HashRange::uniform(shards), self.now);
        self.next_number = u64::from(shards);
        (self.created, self.mode, self.running) = (self.now, CapacityMode::Provisioned, None);
        self.closed_shards.clear();
        self.monitored.clear();
        self.tags.clear();
        self.growing.clear();
        self.closed.clear();
        (self.reshards, self.switches) = (vec![], vec![]);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{CREATED_AT, Setup};
    use super::*;
    use crate::sim::account::Account;
    use crate::sim::keys::Keys;
    use crate::sim::retry::Retry;
    use crate::sim::world::By;

    fn world(shards: u32) -> World {
        let setup = Setup {
            shards,
            mode: CapacityMode::Provisioned,
            keys: Keys::even(100),
            record_bytes: 500,
            retry: Retry::never(),
            account: Account::default(),
        };
        World::new(setup, 1)
    }

    fn pass(world: &mut World, seconds: i64) {
        (0..seconds).for_each(|_| world.pass(10.0));
    }

    /// The numbers of the shards that were open then, each with whether it is closed.
    fn at(world: &World, second: i64) -> Vec<(u64, bool)> {
        let number = |at: ShardAt| (Shard::number_in(&at.shard.id).expect("a shard"), at.is_closed);
        world.shards_at(time(second)).into_iter().map(number).collect()
    }

    #[test]
    fn the_shards_of_a_time_are_those_that_were_open_then() {
        let mut world = world(2);
        pass(&mut world, 100);
        world.split_shard(By::Others, "shardId-000000000001", 3 << 126).expect("legal");
        let done = world.updating_until().expect("under way");
        pass(&mut world, 200);
        assert_eq!(at(&world, 0), [(0, false), (1, true)]);
        assert_eq!(at(&world, done - 1), [(0, false), (1, true)], "until the reshard ends");
        assert_eq!(at(&world, done), [(0, false), (1, true), (2, false), (3, false)], "both, in this second");
        assert_eq!(at(&world, done + 1), [(0, false), (2, false), (3, false)]);
        assert_eq!(at(&world, CREATED_AT - 1), [], "before the stream");
        assert_eq!(world.shards_at(time(done + 1))[1].shard.parent.as_deref(), Some("shardId-000000000001"));
    }

    #[test]
    fn a_stream_made_anew_has_a_new_creation_time_and_new_shards() {
        let mut world = world(4);
        assert_eq!(world.created_at(), time(CREATED_AT));
        world.tag(By::Others, "a", "b").expect("legal");
        world.update_shard_count(By::Others, 8).expect("legal");
        pass(&mut world, 100);
        assert_eq!(world.created_at(), time(CREATED_AT), "a reshard makes no stream");
        world.recreate(2);
        pass(&mut world, 100);
        assert_eq!((world.created_at(), world.open_shards(), world.tags().is_empty()), (time(100), 2, true));
        assert_eq!(at(&world, 50), [], "the new stream was not there");
        assert_eq!(at(&world, 150), [(0, false), (1, false)]);
    }
}
