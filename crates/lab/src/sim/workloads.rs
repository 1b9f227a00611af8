//! What is sent to the stream, by name. Every workload begins with a stream that its load fits.

use super::account::Account;
use super::delivery::Weather;
use super::keys::Keys;
use super::load::Load;
use super::readers::Readers;
use super::retry::Retry;
use super::world::{By, Event, Setup, World};
use crate::rules::HashRange;
use std::sync::OnceLock;
use unthrottle_core::observation::CapacityMode;

/// Shards at the beginning.
const SHARDS: u32 = 4;

/// 65 % of what they take, in records a second: no threshold of any policy is reached but on-demand mode's own, so that all
/// begin alike.
const BASE: f64 = 2_600.0;

/// 80 %: what little more is too much for. Those that scale by a threshold have acted before.
const HIGH: f64 = 3_200.0;

/// How many times larger a large stream is: 64 shards.
const WIDE: f64 = 16.0;

/// Bytes of a record: small enough that records fill a shard before bytes do, as logs and clicks are.
const RECORD_BYTES: u64 = 500;

/// Keys of a producer: so many that no shard has a few per cent more than another.
const KEYS: u32 = 20_000;

/// How far a second's load is from the mean at most, as a share of it: producers are many, and not in step.
const RIPPLE: f64 = 0.05;

/// When steps happen, in seconds: after an hour that shows who leaves a calm stream alone.
const STEP_AT: i64 = 3_600;

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
    pub weather: Weather,
    /// Somebody who takes changes back.
    pub reverts: Option<Reverts>,
}

impl Workload {
    /// The one of that name.
    pub fn named(name: &str) -> Option<Workload> {
        all().into_iter().find(|workload| workload.name == name)
    }

    /// The same in this weather.
    #[must_use]
    pub fn in_weather(self, weather: Weather) -> Workload {
        Workload { weather, ..self }
    }

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
    pub fn meddle(&self, world: &mut World) {
        match self.trail {
            Trail::Writes if world.last().throttled > 0 => {
                world.tell(Event { operation: "PutRecord", code: "ProvisionedThroughputExceededException" });
            }
            Trail::ControlPlane if world.now() >= STEP_AT => {
                world.tell(Event { operation: "ListShards", code: "LimitExceededException" });
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

    /// A calm day at [`BASE`].
    fn calm(name: &'static str, about: &'static str) -> Workload {
        Workload {
            name,
            about,
            cure: Cure::Capacity,
            hours: 24,
            load: Load::Step { from: BASE, to: BASE, at: 0 },
            ripple: RIPPLE,
            streams: 1,
            shards: SHARDS,
            mode: CapacityMode::Provisioned,
            record_bytes: RECORD_BYTES,
            keys: |_| even(),
            retry: Retry::patient,
            account: Account::default(),
            reshards_spent: 0,
            is_committed: false,
            readers: None,
            trail: Trail::Silent,
            weather: Weather::Fair,
            reverts: None,
        }
    }

    fn step(name: &'static str, about: &'static str, times: f64) -> Workload {
        Workload { load: Load::Step { from: BASE, to: times * BASE, at: STEP_AT }, ..Workload::calm(name, about) }
    }
}

/// [`KEYS`] with the same share each. Hashing them takes longer than an hour of a run.
fn even() -> Keys {
    static EVEN: OnceLock<Keys> = OnceLock::new();
    EVEN.get_or_init(|| Keys::even(KEYS)).clone()
}

/// All of them, in the order in which they are shown.
pub fn all() -> Vec<Workload> {
    let mut all = loads();
    all.extend(shapes());
    all.extend(surroundings());
    all
}

/// One load after another on an ordinary stream.
fn loads() -> Vec<Workload> {
    let growth = Load::Growth { from: BASE / 2.0, doublings: 5, each: 24 * 3_600 / 5 };
    vec![
        Workload::calm("calm", "nothing happens"),
        Workload {
            load: Load::Step { from: HIGH, to: 1.3 * HIGH, at: STEP_AT },
            ..Workload::calm("step-1.3", "the load of a stream that is nearly full grows by 30 % at once")
        },
        Workload::step("step-2", "the load doubles at once", 2.0),
        Workload::step("step-3.5", "three and a half times the load at once", 3.5),
        Workload::step("step-8", "eight times the load at once", 8.0),
        Workload {
            load: Load::Step { from: WIDE * HIGH, to: 1.3 * WIDE * HIGH, at: STEP_AT },
            shards: WIDE as u32 * SHARDS,
            ..Workload::calm("wide", "as step-1.3, with 64 shards")
        },
        Workload { load: growth, shards: 2, ..Workload::calm("growth", "32 times the load over a day") },
        Workload {
            load: Load::Day { low: HIGH / 4.0, high: 2.0 * HIGH },
            hours: 48,
            ..Workload::calm("diurnal", "two days, eight times more at noon than at midnight")
        },
        Workload {
            load: Load::Pulse { low: BASE, high: 3.0 * BASE, every: 3 * 3_600, lasts: 20 * 60 },
            ..Workload::calm("spikes", "three times the load for 20 minutes, every three hours")
        },
        Workload {
            load: Load::Pulse { low: BASE / 2.0, high: 2.0 * BASE, every: 3_600, lasts: 1_800 },
            ..Workload::calm("flapping", "half an hour low, half an hour high")
        },
        Workload {
            load: Load::Pulse { low: BASE / 2.0, high: 3.0 * BASE, every: 60, lasts: 1 },
            // Shards for it would be idle for 59 seconds of 60.
            cure: Cure::Elsewhere,
            ..Workload::calm(
                "bursts",
                "one second of six times the load, every minute: shards for it would be idle for the other 59",
            )
        },
    ]
}

/// Doubled loads of unusual records, keys and producers.
fn shapes() -> Vec<Workload> {
    let doubled = |name, about| Workload::step(name, about, 2.0);
    vec![
        Workload {
            record_bytes: 60,
            load: Load::Step { from: HIGH, to: 1.6 * HIGH, at: STEP_AT },
            ..Workload::calm("tiny-records", "60 % more load, in records of 60 bytes")
        },
        Workload {
            record_bytes: 900 * 1024,
            // Of four records a second: an uneven second must not be too much at the beginning.
            load: Load::Step { from: 2.0, to: 6.0, at: STEP_AT },
            ..Workload::calm("large-records", "three times the load, in records of 900 KB: a shard takes one a second")
        },
        Workload { retry: Retry::storm, ..doubled("retry-storm", "the load doubles, and is retried every second") },
        Workload {
            load: Load::Step { from: HIGH / 4.0, to: HIGH, at: STEP_AT },
            keys: |_| Keys::with_a_hot_one(0.6, KEYS),
            cure: Cure::Elsewhere,
            ..Workload::calm("hot-key", "one key has 60 % of a growing load")
        },
        Workload {
            load: Load::Step { from: HIGH / 2.0, to: HIGH, at: STEP_AT },
            keys: |_| Keys::zipf(KEYS),
            ..Workload::calm(
                "zipf",
                "a load that fits in the mean doubles: the first key has a tenth of it, by Zipf's law",
            )
        },
        Workload {
            load: Load::Step { from: HIGH / 4.0, to: HIGH / 2.0, at: STEP_AT },
            keys: |seed| Keys::in_a_hot_range(0.9, HashRange::uniform(SHARDS)[1], KEYS, seed),
            ..Workload::calm("hot-range", "nine tenths of a doubled load are many keys of one shard")
        },
    ]
}

/// Doubled loads in unusual surroundings.
fn surroundings() -> Vec<Workload> {
    let doubled = |name, about| Workload::step(name, about, 2.0);
    let quadrupled = Load::Growth { from: BASE, doublings: 2, each: 150 };
    // Twice its peak, as AWS has opened for it.
    let on_demand =
        |name, about| Workload { mode: CapacityMode::OnDemand, shards: 2 * SHARDS, ..Workload::calm(name, about) };
    let quota = Account { shard_limit: 1_000, other_shards: 994, ..Account::default() };
    vec![
        Workload {
            reverts: Some(Reverts { every: 3_600, with_tags: false }),
            cure: Cure::Person,
            ..doubled("terraform", "the load doubles, and somebody sets the shards back every hour")
        },
        Workload {
            reverts: Some(Reverts { every: 3_600, with_tags: true }),
            cure: Cure::Person,
            ..doubled("terraform-tags", "the same, and the tags are deleted with it")
        },
        Workload { account: quota, ..doubled("quota", "the load doubles, and the account may open two more shards") },
        Workload {
            reshards_spent: 8,
            ..Workload::step("budget", "eight times the load, and two reshards are left", 8.0)
        },
        Workload { load: quadrupled, ..on_demand("on-demand-4", ON_DEMAND_4) },
        Workload {
            load: quadrupled,
            is_committed: true,
            ..on_demand("on-demand-warm", "the same in an account with the throughput commitment")
        },
        Workload {
            streams: 200,
            cure: Cure::Person,
            ..doubled("fleet", "the load of 200 streams doubles at once, and 100 changes an hour are allowed")
        },
        Workload {
            trail: Trail::Writes,
            ..doubled("put-record", "the load doubles, and CloudTrail tells of each refusal")
        },
        Workload {
            trail: Trail::ControlPlane,
            cure: Cure::Elsewhere,
            ..Workload::calm("control-plane", "a calm stream, and a tool whose ListShards are refused every second")
        },
        Workload {
            readers: Some(Readers { first: 3, then: 7, at: STEP_AT }),
            record_bytes: 100,
            cure: Cure::Elsewhere,
            ..Workload::calm("readers-calls", "seven readers poll a stream whose shards answer five calls a second")
        },
        Workload {
            readers: Some(Readers { first: 2, then: 3, at: STEP_AT }),
            record_bytes: 1_200,
            ..Workload::calm("readers-bytes", "a third reader wants more bytes than the shards give out")
        },
    ]
}

/// What [`surroundings`] has twice.
const ON_DEMAND_4: &str = "an on-demand stream gets four times its load within five minutes";

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_has_a_name_of_its_own_and_is_found_by_it() {
        let names: BTreeSet<&str> = all().iter().map(|workload| workload.name).collect();
        assert_eq!(names.len(), all().len());
        assert!(names.iter().all(|name| Workload::named(name).is_some_and(|w| w.name == *name)));
        assert!(Workload::named("none").is_none());
    }

    #[test]
    fn each_begins_with_a_load_that_fits() {
        for workload in all() {
            let mut world = workload.world(workload.setup(1), 1);
            for second in 0..30 {
                world.pass(workload.load.at(second));
            }
            assert_eq!(world.score().throttled, 0, "{}", workload.name);
        }
    }

    #[test]
    fn each_throttles_a_stream_that_nobody_heals_but_the_calm_one() {
        for workload in all() {
            let mut world = workload.world(workload.setup(1), 1);
            for second in 0..workload.hours * 3_600 {
                world.pass(workload.load.at(second));
                if world.score().throttled + world.score().reads_throttled > 0 {
                    break;
                }
            }
            let is_calm = ["calm", "control-plane"].contains(&workload.name);
            assert_eq!(world.score().throttled + world.score().reads_throttled == 0, is_calm, "{}", workload.name);
        }
    }
}
