//! A workload: the load on a stream, and the surroundings of the stream.

use super::account::Account;
use super::chance::{Chance, ONSET};
use super::delivery::DeliveryQuality;
use super::keys::Keys;
use super::load::Load;
use super::readers::{Habit, Readers};
use super::retry::Retry;
use super::world::{By, Event, Setup, World};
use crate::rules::HashRange;
use unthrottle_core::observation::CapacityMode;

/// The second of the run at which loads step. The hour before shows whether a policy changes a stream without
/// throttling.
pub(super) const STEP_AT: i64 = 3_600;

/// The load before a step, as a share of [`Workload::base_of`]: at least and at most. Below 30 %, the
/// minute of the onset would show only the step. Above 90 %, the ripple and uneven keys would fill a shard before it.
const BASE_SHARES: (f64, f64) = (0.30, 0.90);

/// Another tool that resets the shards to its own number, as Terraform does. Terraform also deletes tags that it does
/// not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reverts {
    /// Seconds from one apply to the next.
    pub every: i64,
    /// Whether an apply also deletes the tags.
    pub with_tags: bool,
}

/// What stops the throttling of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cure {
    /// More capacity.
    Capacity,
    /// More capacity, if no person or tool removed it again or set a bound.
    Person,
    /// Something else than the capacity of the stream.
    Elsewhere,
}

/// The throttled calls that CloudTrail reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trail {
    /// None: partly refused `PutRecords` calls are HTTP 200.
    Silent,
    /// One in every second with a refused record: producers call `PutRecord`.
    Writes,
    /// One in every second from the first hour on: a tool lists the shards far too often.
    ControlPlane,
}

/// A load and its surroundings.
#[derive(Clone, Debug)]
pub struct Workload {
    /// The name on the command line.
    pub name: &'static str,
    /// A description for people.
    pub about: &'static str,
    /// The cure for its throttling.
    pub cure: Cure,
    /// The duration of the run.
    pub hours: i64,
    /// Records a second.
    pub load: Load,
    /// What the stream takes before its first shard is full, records a second, if the seed draws the load before a step
    /// as a share of it. `None`: the load before the step is the workload's own.
    pub base_of: Option<f64>,
    /// The seconds of the minute at which a step, a pulse, or a new number of readers may begin: the seed draws one of
    /// them.
    pub onset: (i64, i64),
    /// The largest deviation of a second's load, as a share.
    pub ripple: f64,
    /// Streams of the account that all get this load.
    pub streams: u32,
    /// Shards at the beginning.
    pub shards: u32,
    /// The hash keys of these shards, where they are not of equal width.
    pub ranges: Option<fn() -> Vec<HashRange>>,
    /// Capacity mode at the beginning.
    pub mode: CapacityMode,
    /// Bytes of a record.
    pub record_bytes: u64,
    /// The producers' keys.
    pub keys: fn(seed: u64) -> Keys,
    /// The producers' retries.
    pub retry: fn() -> Retry,
    /// Whether producers send records again for a minute or two after each reshard, as older versions of the Kinesis
    /// Producer Library do.
    pub is_resent: bool,
    /// The rest of the account.
    pub account: Account,
    /// Reshards of the last hours that AWS still counts.
    pub reshards_spent: u32,
    /// Whether the account has the throughput commitment.
    pub is_committed: bool,
    /// The readers of the stream.
    pub readers: Option<Readers>,
    /// What the readers do beside polling.
    pub reader_habit: Habit,
    /// The throttled calls that CloudTrail reports.
    pub trail: Trail,
    /// The delivery of alarms and events.
    pub weather: DeliveryQuality,
    /// Another tool that reverts changes.
    pub reverts: Option<Reverts>,
}

impl Workload {
    /// The times of earlier reshards, in seconds before the run as negative numbers: an hour apart, the last one two
    /// hours ago.
    pub(crate) fn spent_before(&self) -> impl Iterator<Item = i64> {
        (2..2 + i64::from(self.reshards_spent)).rev().map(|hours| -3_600 * hours)
    }

    /// The workload of a run: the second of its onset and the load before it, drawn from the seed.
    pub(crate) fn drawn(&self, seed: u64) -> Workload {
        let mut chance = Chance::new(seed, ONSET);
        let phase = chance.between(self.onset.0, self.onset.1);
        let share = BASE_SHARES.0 + (BASE_SHARES.1 - BASE_SHARES.0) * chance.fraction();
        let load = match (self.load, self.base_of) {
            (Load::Step { from, to, at }, Some(full)) => {
                let base = share * full;
                Load::Step { from: base, to: if from < to { to } else { base }, at: at + phase }
            }
            (Load::Step { from, to, at }, None) => Load::Step { from, to, at: at + phase },
            (Load::Pulse { low, high, every, lasts, .. }, _) => Load::Pulse { low, high, every, lasts, phase },
            (other, _) => other,
        };
        let readers = self.readers.map(|readers| Readers { at: readers.at + phase, ..readers });
        Workload { load, readers, ..self.clone() }
    }

    /// The stream at the beginning.
    pub(crate) fn setup(&self, seed: u64) -> Setup {
        Setup {
            shards: self.shards,
            mode: self.mode.clone(),
            keys: (self.keys)(seed),
            record_bytes: self.record_bytes,
            retry: (self.retry)(),
            account: self.account,
        }
    }

    /// The stream in its surroundings, as the workload or a policy has set it up.
    pub(crate) fn world(&self, setup: Setup, seed: u64) -> World {
        let mut world = World::new(setup, seed);
        if self.reshards_spent > 0 {
            world = world.with_reshards_spent(self.spent_before().collect());
        }
        if self.is_committed {
            world = world.with_commitment();
        }
        if self.is_resent {
            world = world.with_resends(seed);
        }
        // AWS chose the shards of a stream that a policy has set to on-demand mode.
        if let Some(ranges) = self.ranges.filter(|_| *world.mode() == self.mode) {
            world = world.with_ranges(&ranges());
        }
        match self.readers {
            Some(readers) => world.with_readers(readers, self.reader_habit),
            None => world,
        }
    }

    /// Everything that happens in this second without the policy: throttled calls that CloudTrail reports, and reverts.
    pub(crate) fn apply_surroundings(&self, world: &mut World) {
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
        // An apply that AWS refuses fails. The next apply tries again.
        let _ = world.update_shard_count(By::Others, self.shards);
    }
}
