//! A workload: what is sent to a stream, and what surrounds the stream.

use super::account::Account;
use super::delivery::DeliveryQuality;
use super::keys::Keys;
use super::load::Load;
use super::readers::Readers;
use super::retry::Retry;
use super::world::{By, Event, Setup, World};
use unthrottle_core::observation::CapacityMode;

/// When steps happen, in seconds: after an hour that shows who leaves a calm stream alone.
pub(super) const STEP_AT: i64 = 3_600;

/// Somebody who sets the shards back to what he has written down, and Terraform's way of deleting tags that it does not
/// know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reverts {
    /// From one apply to the next, in seconds.
    pub every: i64,
    /// Whether the tags go, too.
    pub with_tags: bool,
}

/// What stops the throttling of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cure {
    /// More capacity.
    Capacity,
    /// More capacity, if nobody took it away again, or set a bound.
    Person,
    /// Something that a stream's capacity has nothing to do with.
    Elsewhere,
}

/// What CloudTrail tells of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trail {
    /// Nothing: partly refused `PutRecords` are HTTP 200.
    Silent,
    /// Every second with a refused record: producers call `PutRecord`.
    Writes,
    /// A tool that lists the shards far too often, an hour after the beginning, every second.
    ControlPlane,
}

/// A load and what surrounds it.
#[derive(Clone, Debug)]
pub struct Workload {
    /// What it is called on the command line.
    pub name: &'static str,
    /// What it is, for people.
    pub about: &'static str,
    /// What can stop its throttling.
    pub cure: Cure,
    /// How long it runs.
    pub hours: i64,
    /// Records a second.
    pub load: Load,
    /// How far a second's load is from it at most, as a share.
    pub ripple: f64,
    /// Streams of the account that all have this load.
    pub streams: u32,
    /// Shards at the beginning.
    pub shards: u32,
    /// Capacity mode at the beginning.
    pub mode: CapacityMode,
    /// Bytes of a record.
    pub record_bytes: u64,
    /// Who has how many of them.
    pub keys: fn(seed: u64) -> Keys,
    /// What producers do with refused records.
    pub retry: fn() -> Retry,
    /// The rest of the account.
    pub account: Account,
    /// Reshards of the last hours that AWS counts.
    pub reshards_spent: u32,
    /// Whether the account has the throughput commitment.
    pub is_committed: bool,
    /// Who reads the stream.
    pub readers: Option<Readers>,
    /// What CloudTrail tells.
    pub trail: Trail,
    /// What becomes of alarms and events.
    pub weather: DeliveryQuality,
    /// Somebody who takes changes back.
    pub reverts: Option<Reverts>,
}

impl Workload {
    /// The seconds before the run, as negative numbers, of the reshards that are spent: an hour apart, the last two hours ago.
    pub fn spent_before(&self) -> impl Iterator<Item = i64> {
        (2..2 + i64::from(self.reshards_spent)).rev().map(|hours| -3_600 * hours)
    }

    /// The stream at the beginning.
    pub fn setup(&self, seed: u64) -> Setup {
        Setup {
            shards: self.shards,
            mode: self.mode.clone(),
            keys: (self.keys)(seed),
            record_bytes: self.record_bytes,
            retry: (self.retry)(),
            account: self.account,
        }
    }

    /// That stream, or what a policy makes of it, in its surroundings.
    pub fn world(&self, setup: Setup, seed: u64) -> World {
        let mut world = World::new(setup, seed);
        if self.reshards_spent > 0 {
            world = world.with_reshards_spent(self.spent_before().collect());
        }
        if self.is_committed {
            world = world.with_commitment();
        }
        match self.readers {
            Some(readers) => world.with_readers(readers),
            None => world,
        }
    }

    /// What others than the policy do in this second.
    pub fn apply_surroundings(&self, world: &mut World) {
        match self.trail {
            Trail::Writes if world.last().throttled > 0 => {
                world.record_event(Event { operation: "PutRecord", code: "ProvisionedThroughputExceededException" });
            }
            Trail::ControlPlane if world.now() >= STEP_AT => {
                world.record_event(Event { operation: "ListShards", code: "LimitExceededException" });
            }
            _ => {}
        }
        let Some(reverts) = self.reverts.filter(|reverts| world.now() % reverts.every == 0) else { return };
        if reverts.with_tags {
            world.untag();
        }
        // An apply that AWS refuses fails, and is tried again by the next one.
        let _ = world.update_shard_count(By::Others, self.shards);
    }
}
