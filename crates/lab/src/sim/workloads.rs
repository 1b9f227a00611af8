//! The workloads, by name. Each begins with a load that fits in the stream. `unusual` has shards of different width,
//! and producers whose load a minute's sums do not show.

mod unusual;

use super::account::Account;
use super::delivery::DeliveryQuality;
use super::keys::Keys;
use super::load::Load;
use super::readers::{Habit, Readers};
use super::retry::Retry;
use super::workload::STEP_AT;
use crate::rules::HashRange;
use std::sync::OnceLock;
use unthrottle_core::observation::CapacityMode;

pub use super::workload::{Cure, Reverts, Trail, Workload};

/// Shards at the beginning.
const SHARDS: u32 = 4;

/// The capacity of these shards, records a second: the first shard is full then, with even keys.
const FULL: f64 = 4_000.0;

/// 65 % of this capacity. No policy reaches a threshold except on-demand mode, so
/// that all begin alike.
const BASE: f64 = 2_600.0;

/// 80 % of the capacity: a small increase is too much. Policies that scale by a threshold have acted before.
const HIGH: f64 = 3_200.0;

/// The seconds of a minute: producers do not wait for a whole minute of CloudWatch.
const ANY_SECOND: (i64, i64) = (0, 59);

/// The size of a large stream, as a multiple: 64 shards.
const WIDE: f64 = 16.0;

/// Bytes of a record: records fill a shard before bytes do, as with logs and clicks.
const RECORD_BYTES: u64 = 500;

/// Keys of a producer: with this number, no shard has a few per cent more than another.
const KEYS: u32 = 20_000;

/// The largest deviation of a second's load from the mean, as a share: there are many producers, out of step.
const RIPPLE: f64 = 0.05;

impl Workload {
    /// The workload with this name.
    pub fn named(name: &str) -> Option<Workload> {
        all().into_iter().find(|workload| workload.name == name)
    }

    /// A day at [`BASE`], without throttling. The other workloads start from it.
    fn quiet(name: &'static str, about: &'static str) -> Workload {
        Workload {
            name,
            about,
            cure: Cure::Capacity,
            hours: 24,
            load: Load::Step { from: BASE, to: BASE, at: 0 },
            base_of: None,
            onset: ANY_SECOND,
            ripple: RIPPLE,
            streams: 1,
            shards: SHARDS,
            ranges: None,
            mode: CapacityMode::Provisioned,
            record_bytes: RECORD_BYTES,
            keys: |_| even(),
            retry: Retry::patient,
            is_resent: false,
            account: Account::default(),
            reshards_spent: 0,
            is_committed: false,
            readers: None,
            reader_habit: Habit::Follow,
            trail: Trail::Silent,
            weather: DeliveryQuality::Reliable,
            reverts: None,
        }
    }

    /// A load between 30 and 90 % of the capacity, as the seed draws it, that becomes this multiple of [`BASE`].
    fn step(name: &'static str, about: &'static str, times: f64) -> Workload {
        Workload {
            load: Load::Step { from: BASE, to: times * BASE, at: STEP_AT },
            base_of: Some(FULL),
            ..Workload::quiet(name, about)
        }
    }
}

/// [`KEYS`] with the same share each. Hashing the keys takes longer than an hour of a run.
fn even() -> Keys {
    static EVEN: OnceLock<Keys> = OnceLock::new();
    EVEN.get_or_init(|| Keys::even(KEYS)).clone()
}

/// All workloads, in the order of the arena's tables.
pub fn all() -> Vec<Workload> {
    let mut all = loads();
    all.extend(shapes());
    all.extend(surroundings());
    all.extend(unusual::shards());
    all.extend(unusual::producers());
    all.extend(unusual_readers());
    all
}

/// Loads of different shapes on an ordinary stream.
fn loads() -> Vec<Workload> {
    let growth = Load::Growth { from: BASE / 2.0, doublings: 5, each: 24 * 3_600 / 5 };
    vec![
        Workload { base_of: Some(FULL), ..Workload::quiet("calm", "nothing happens") },
        Workload {
            load: Load::Step { from: HIGH, to: 1.3 * HIGH, at: STEP_AT },
            ..Workload::quiet("step-1.3", "the load of a stream that is nearly full grows by 30 % at once")
        },
        Workload::step("step-2", "30 % too much load at once", 2.0),
        Workload::step("step-3.5", "the load rises to 2.3 times the capacity at once", 3.5),
        Workload::step("step-8", "the load rises to 5.2 times the capacity at once", 8.0),
        Workload {
            load: Load::Step { from: WIDE * HIGH, to: 1.3 * WIDE * HIGH, at: STEP_AT },
            shards: WIDE as u32 * SHARDS,
            ..Workload::quiet("wide", "as step-1.3, with 64 shards")
        },
        Workload { load: growth, shards: 2, ..Workload::quiet("growth", "32 times the load over a day") },
        Workload {
            load: Load::Day { low: HIGH / 4.0, high: 2.0 * HIGH },
            hours: 48,
            ..Workload::quiet("diurnal", "two days, eight times more at noon than at midnight")
        },
        Workload {
            load: Load::Week { low: HIGH / 4.0, high: 2.0 * HIGH, weekend: HIGH },
            hours: 8 * 24,
            ..Workload::quiet("weekly", "as diurnal for eight days, with half the load at the weekend")
        },
        Workload {
            load: Load::Pulse { low: BASE, high: 3.0 * BASE, every: 3 * 3_600, lasts: 20 * 60, phase: 0 },
            ..Workload::quiet("spikes", "three times the load for 20 minutes, every three hours")
        },
        Workload {
            load: Load::Pulse { low: BASE / 2.0, high: 2.0 * BASE, every: 3_600, lasts: 1_800, phase: 0 },
            ..Workload::quiet("flapping", "half an hour low, half an hour high")
        },
        Workload {
            load: Load::Pulse { low: BASE / 2.0, high: 3.0 * BASE, every: 60, lasts: 1, phase: 0 },
            // Shards for this load would be idle for 59 seconds of 60.
            cure: Cure::Elsewhere,
            ..Workload::quiet(
                "bursts",
                "one second of six times the load, every minute: shards for it would be idle for the other 59",
            )
        },
    ]
}

/// Doubled loads with unusual records, keys and producers.
fn shapes() -> Vec<Workload> {
    let doubled = |name, about| Workload::step(name, about, 2.0);
    vec![
        Workload {
            record_bytes: 60,
            base_of: Some(FULL),
            load: Load::Step { from: HIGH, to: 1.6 * HIGH, at: STEP_AT },
            ..Workload::quiet("tiny-records", "30 % too much load, in records of 60 bytes")
        },
        Workload {
            record_bytes: 900 * 1024,
            // The shards accept four records a second of this size: an uneven second must fit at the beginning, so the
            // seed does not draw this base.
            load: Load::Step { from: 2.0, to: 6.0, at: STEP_AT },
            ..Workload::quiet("large-records", "three times the load, in records of 900 KB: a shard takes one a second")
        },
        Workload { retry: Retry::storm, ..doubled("retry-storm", "30 % too much load, and is retried every second") },
        Workload {
            load: Load::Step { from: HIGH / 4.0, to: HIGH, at: STEP_AT },
            // One shard has the hot key and a quarter of the others: 70 %.
            base_of: Some(FULL / 4.0 / 0.7),
            keys: |_| Keys::with_a_hot_one(0.6, KEYS),
            cure: Cure::Elsewhere,
            ..Workload::quiet("hot-key", "one key has 60 % of a growing load")
        },
        Workload {
            load: Load::Step { from: HIGH / 2.0, to: HIGH, at: STEP_AT },
            // One shard has the first key and its part of the others: about 40 %.
            base_of: Some(FULL / 4.0 / 0.4),
            keys: |_| Keys::zipf(KEYS),
            ..Workload::quiet(
                "zipf",
                "a load that fits in the mean, and the first key has a tenth of it, by Zipf's law",
            )
        },
        Workload {
            load: Load::Step { from: HIGH / 4.0, to: HIGH / 2.0, at: STEP_AT },
            // One shard has nine tenths and a quarter of the rest.
            base_of: Some(FULL / 4.0 / 0.925),
            keys: |seed| Keys::in_a_hot_range(0.9, HashRange::uniform(SHARDS)[1], KEYS, seed),
            ..Workload::quiet("hot-range", "nine tenths of a load that grows are many keys of one shard")
        },
    ]
}

/// Doubled loads in unusual surroundings.
fn surroundings() -> Vec<Workload> {
    let doubled = |name, about| Workload::step(name, about, 2.0);
    let quadrupled = Load::Growth { from: BASE, doublings: 2, each: 150 };
    // A stream that AWS has opened for twice its peak.
    let on_demand =
        |name, about| Workload { mode: CapacityMode::OnDemand, shards: 2 * SHARDS, ..Workload::quiet(name, about) };
    let quota = Account { shard_limit: 1_000, other_shards: 994, ..Account::default() };
    vec![
        Workload {
            reverts: Some(Reverts { every: 3_600, with_tags: false }),
            cure: Cure::Person,
            ..doubled("terraform", "30 % too much load, and another tool sets the shards back every hour")
        },
        Workload {
            reverts: Some(Reverts { every: 3_600, with_tags: true }),
            cure: Cure::Person,
            ..doubled("terraform-tags", "the same, and the tags are deleted with it")
        },
        Workload { account: quota, ..doubled("quota", "30 % too much load, and the account may open two more shards") },
        Workload {
            reshards_spent: 8,
            ..Workload::step("budget", "the load rises to 5.2 times the capacity, and two reshards are left", 8.0)
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
            ..doubled("fleet", "30 % too much load on 200 streams at once, and 100 changes an hour are allowed")
        },
        Workload {
            trail: Trail::Writes,
            ..doubled("put-record", "30 % too much load, and CloudTrail shows each refusal")
        },
        Workload {
            trail: Trail::ControlPlane,
            base_of: Some(FULL),
            cure: Cure::Elsewhere,
            ..Workload::quiet("control-plane", "a calm stream, and a tool whose ListShards are refused every second")
        },
        Workload {
            readers: Some(Readers { first: 3, then: 7, at: STEP_AT }),
            record_bytes: 100,
            base_of: Some(FULL),
            cure: Cure::Elsewhere,
            ..Workload::quiet("readers-calls", "seven readers poll a stream whose shards answer five calls a second")
        },
        Workload {
            readers: Some(Readers { first: 2, then: 3, at: STEP_AT }),
            record_bytes: 1_200,
            ..Workload::quiet("readers-bytes", "a third reader wants more bytes than the shards give out")
        },
    ]
}

/// Doubled loads with readers that do not only poll.
fn unusual_readers() -> Vec<Workload> {
    let doubled = |name, about| Workload::step(name, about, 2.0);
    vec![
        Workload {
            readers: Some(Readers { first: 1, then: 1, at: STEP_AT }),
            reader_habit: Habit::StopAtReshard,
            ..doubled("readers-stop", "30 % too much load, and the reader stops at the first reshard")
        },
        Workload {
            readers: Some(Readers { first: 1, then: 2, at: STEP_AT }),
            reader_habit: Habit::Replay,
            ..doubled("trim-horizon", "30 % too much load, and a second reader begins at the oldest record of a day")
        },
    ]
}

/// Named, because the line would otherwise be too long.
const ON_DEMAND_4: &str = "an on-demand stream gets four times its load within five minutes";

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_workload_has_a_name_of_its_own_and_is_found_by_it() {
        let names: BTreeSet<&str> = all().iter().map(|workload| workload.name).collect();
        assert_eq!(names.len(), all().len());
        assert!(names.iter().all(|name| Workload::named(name).is_some_and(|w| w.name == *name)));
        assert!(Workload::named("none").is_none());
    }

    #[test]
    fn each_workload_begins_with_a_load_that_fits() {
        for workload in all() {
            let mut world = workload.world(workload.setup(1), 1);
            for second in 0..30 {
                world.pass(workload.load.at(second));
            }
            assert_eq!(world.score().throttled, 0, "{}", workload.name);
        }
    }

    #[test]
    fn each_seed_draws_a_second_and_a_base_that_fits() {
        let calm = Workload::named("calm").expect("known");
        let late = Workload::named("onset-late").expect("known");
        let (mut seconds, mut bases) = (BTreeSet::new(), vec![]);
        for seed in 1..=60 {
            for workload in [&calm, &late, &Workload::named("step-2").expect("known")] {
                let drawn = workload.drawn(seed);
                let Load::Step { from, at, .. } = drawn.load else { panic!("{:?}", drawn.load) };
                let second = at % 60;
                assert!((workload.onset.0..=workload.onset.1).contains(&second), "{}: {second}", workload.name);
                seconds.insert(second);
                bases.push(from / f64::from(workload.shards) / 1_000.0);
                let mut world = drawn.world(drawn.setup(seed), seed);
                for second in 0..120 {
                    world.pass(drawn.load.at(second) * (1.0 + drawn.ripple));
                }
                assert_eq!(world.score().throttled, 0, "{} {seed}", workload.name);
            }
        }
        assert!(seconds.len() > 30, "{seconds:?}");
        let (least, most) = (bases.iter().copied().fold(1.0, f64::min), bases.iter().copied().fold(0.0, f64::max));
        assert!((0.30..0.35).contains(&least) && (0.85..=0.90).contains(&most), "{least} to {most}");
    }

    /// The workloads whose load before the step is part of what they are: nearly full streams, ten times the load, and
    /// records so large that a shard takes one a second. With `readers-bytes`, readers want a multiple of the writes.
    const OWN_BASE: [&str; 5] = ["step-1.3", "wide", "onset-late", "large-records", "readers-bytes"];

    #[test]
    fn each_step_draws_its_second_and_its_base_and_each_pulse_its_second() {
        for workload in all() {
            let (mut seconds, mut bases) = (BTreeSet::new(), BTreeSet::new());
            for seed in 1..=20 {
                let drawn = workload.drawn(seed);
                assert_eq!(drawn.load, workload.drawn(seed).load, "{}", workload.name);
                match drawn.load {
                    Load::Step { from, at, .. } => (seconds.insert(at % 60), bases.insert(from.to_bits())),
                    Load::Pulse { phase, low, .. } => (seconds.insert(phase), bases.insert(low.to_bits())),
                    _ => continue,
                };
                let mut world = drawn.world(drawn.setup(seed), seed);
                (0..40).for_each(|second| world.pass(drawn.load.at(second) * (1.0 + drawn.ripple)));
                let is_pulse = matches!(drawn.load, Load::Pulse { every: 60, .. });
                assert!(is_pulse || world.score().throttled == 0, "{} {seed}", workload.name);
            }
            let (is_still, is_pulse) = (seconds.is_empty(), matches!(workload.load, Load::Pulse { .. }));
            assert!(is_still || seconds.len() > 5, "{}: {seconds:?}", workload.name);
            let is_own = is_pulse || OWN_BASE.contains(&workload.name);
            assert!(is_still || (bases.len() == 1) == is_own, "{}: {bases:?}", workload.name);
        }
    }

    #[test]
    fn each_workload_throttles_a_static_stream_except_the_quiet_ones() {
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
