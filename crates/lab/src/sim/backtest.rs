//! What policies would have made of a stream's past, from what CloudWatch keeps of it.
//!
//! What was really offered is not known: accepted records are the least that it can have been, accepted and refused ones
//! together the most, since a record that was sent again counts again. The most is what is sent here, and nothing is sent
//! again: its retries are in it. Where fewer retries were needed, less would have been sent, so a policy that cures
//! throttling is shown to need rather too much than too little.
//!
//! A minute's sums hide its seconds and its keys. A minute that was refused something is sent so that the shards of then
//! accept and refuse just what they did: as fast as it takes from its beginning on. So a policy sees the same metrics as it
//! would have seen then, until it changes something. Uneven keys, which more shards may not help, are taken for such
//! bursts, which they do.

use super::account::Account;
use super::arena::{Contender, RESTORE_AFTER_HOURS, Run};
use super::delivery::Weather;
use super::keys::Keys;
use super::ours::Ours;
use super::peers::Static;
use super::retry::Retry;
use super::timeline::{Mark, Slice, Timeline};
use super::world::{Setup, World};
use crate::rules::MAX_SHARDS;
use crate::rules::{WRITE_BYTES_A_SECOND, WRITE_RECORDS_A_SECOND};
use std::collections::BTreeMap;
use unthrottle_core::cost::Prices;
use unthrottle_core::observation::{CapacityMode, Minute};
use unthrottle_core::policy::{Mode, Policy, Scope};

/// Keys of the simulated producers, at equal distances: a shard has one more than another at most, which is below one per
/// cent of what it has on up to 600 shards.
const KEYS: u32 = 1 << 16;

/// The fewest shards of an on-demand stream: a new one takes 4 MB/s (docs.aws.amazon.com/streams/latest/dev/how-do-i-size-a-stream.html).
const LEAST_ON_DEMAND: u32 = 4;

/// What is left to chance, such as CloudWatch's delays, is drawn from it: any number would do.
const SEED: u64 = 1;

/// A record's size, in bytes, before any is known. It is not used for anything but what nobody wrote.
const ANY_SIZE: u64 = 1024;

/// What CloudWatch has of one minute.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Passed {
    /// `IncomingBytes`: of accepted records, keys included.
    pub bytes: f64,
    /// `IncomingRecords`: accepted.
    pub records: f64,
    /// `WriteProvisionedThroughputExceeded`: refused records, each as often as it was.
    pub throttled: f64,
}

/// A stream's past, minute by minute. A minute without datapoints had no traffic.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    first: Minute,
    minutes: Vec<Passed>,
    known: usize,
}

/// What is known of what producers had to write, and of what the stream did.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Demand {
    /// Accepted records: what was offered at least.
    pub at_least: f64,
    /// Accepted and refused ones: what was offered at most.
    pub at_most: f64,
    /// The same of the busiest minute, in records a second.
    pub busiest_at_least: f64,
    /// See [`Demand::busiest_at_least`].
    pub busiest_at_most: f64,
}

/// The stream that the past is taken to have happened to.
#[derive(Clone, Debug)]
pub struct Before {
    /// Open shards.
    pub shards: u32,
    /// Its capacity mode.
    pub mode: CapacityMode,
}

/// Who looks after the stream.
#[derive(Clone, Debug)]
pub enum Backtested {
    /// Nobody.
    AsItWas,
    /// unthrottle with these settings.
    Ours(Box<Policy>),
    /// Nobody, and it is in on-demand mode.
    OnDemand,
    /// Nobody, and it has so many shards.
    Static(u32),
}

/// An hour in which something happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Hour {
    /// Its number from the first on, which begins with the past.
    pub number: usize,
    /// What was decided in it, in its order.
    pub marks: Vec<Mark>,
    /// Refusals as they were.
    pub then: f64,
    /// Refusals in the simulation.
    pub now: u64,
}

impl History {
    /// From the first minute up to, and not including, `end`. Minutes outside are left out.
    pub fn of(first: Minute, end: Minute, known: &BTreeMap<Minute, Passed>) -> History {
        let minutes: Vec<Passed> =
            first.to(end.plus(-1)).map(|minute| known.get(&minute).copied().unwrap_or_default()).collect();
        let known = known.keys().filter(|minute| (first..end).contains(minute)).count();
        History { first, minutes, known }
    }

    /// Its first minute.
    pub fn first(&self) -> Minute {
        self.first
    }

    /// What each minute had.
    pub fn minutes(&self) -> &[Passed] {
        &self.minutes
    }

    /// Minutes with a datapoint.
    pub fn known(&self) -> usize {
        self.known
    }

    /// Refused records.
    pub fn throttled(&self) -> f64 {
        self.minutes.iter().map(|passed| passed.throttled).sum()
    }

    /// What was offered, as far as it is known.
    pub fn demand(&self) -> Demand {
        let busiest = |of: fn(&Passed) -> f64| self.minutes.iter().map(of).fold(0.0, f64::max) / 60.0;
        let accepted: f64 = self.minutes.iter().map(|passed| passed.records).sum();
        Demand {
            at_least: accepted,
            at_most: accepted + self.throttled(),
            busiest_at_least: busiest(|passed| passed.records),
            busiest_at_most: busiest(|passed| passed.records + passed.throttled),
        }
    }

    /// The fewest shards that can have accepted what was accepted.
    pub fn fewest_shards(&self) -> u32 {
        let needed = self.loads(1).map(|load| load.accepted / load.of_shard() / 60.0).fold(1.0, f64::max);
        // A minute of CloudWatch's may have a second of the next one in it.
        (needed - 1.0 / 60.0).ceil().max(1.0) as u32
    }

    /// Minutes in which more was accepted than so many shards take.
    pub fn beyond(&self, shards: u32) -> usize {
        let is_beyond = |load: &Load| load.accepted > 61.0 * load.of_shard() * f64::from(shards);
        self.loads(shards).filter(is_beyond).count()
    }

    /// What is sent in each minute, if the stream had so many shards.
    fn loads(&self, shards: u32) -> impl Iterator<Item = Load> {
        let mut record_bytes = self.sizes().next().unwrap_or(ANY_SIZE);
        self.minutes.iter().map(move |passed| {
            record_bytes = size(passed).unwrap_or(record_bytes);
            Load::of(passed, record_bytes, shards)
        })
    }

    fn sizes(&self) -> impl Iterator<Item = u64> {
        self.minutes.iter().filter_map(size)
    }

    /// The fewest shards that would have refused nothing; at most as many as AWS scales a stream to.
    pub fn shards_without_throttling(&self, before: &Before) -> u32 {
        let full = self.loads(before.shards).map(|load| load.fastest() / load.of_shard()).fold(1.0, f64::max);
        // The cast saturates.
        let least = (full.ceil() as u32).min(MAX_SHARDS);
        let hottest = |shards: u32| f64::from(KEYS.div_ceil(shards)) / f64::from(KEYS);
        (least..MAX_SHARDS).find(|shards| full * hottest(*shards) <= 1.0).unwrap_or(MAX_SHARDS)
    }

    /// Lets somebody look after the stream. `passed` is called once for each hour that is over.
    pub fn run(&self, before: &Before, who: &Backtested, prices: &Prices, mut passed: impl FnMut()) -> Run {
        let mut world = World::new(who.setup(before), SEED).with_prices(prices.clone());
        let mut contender = who.contender();
        for (number, load) in self.loads(before.shards).enumerate() {
            world.set_record_bytes(load.record_bytes);
            for second in 0..60 {
                world.pass(load.at(second));
                contender.pass(&mut world);
            }
            if number % 60 == 59 {
                passed();
            }
        }
        Run { score: world.score(), timeline: world.timeline().clone() }
    }

    /// The hours in which a run of this past changed something, or in which something was refused then or in it.
    pub fn hours(&self, timeline: &Timeline) -> Vec<Hour> {
        let hours = self.minutes.chunks(60).zip(timeline.minutes().chunks(60)).enumerate();
        let hours = hours.map(|(number, (passed, slices))| Hour {
            number,
            marks: timeline.marks().iter().filter(|mark| mark.second / 3_600 == number as i64).copied().collect(),
            then: passed.iter().map(|passed| passed.throttled).sum(),
            now: slices.iter().map(|slice: &Slice| slice.throttled).sum(),
        });
        let happens = |hour: &Hour| hour.then > 0.0 || hour.now > 0 || hour.marks.iter().any(|m| m.change.is_some());
        hours.filter(happens).collect()
    }
}

/// Mean bytes of an accepted record; of none, `None`.
fn size(passed: &Passed) -> Option<u64> {
    let mean = passed.bytes / passed.records;
    // A shard takes no larger one in a second, and the simulation knows no other burst.
    (passed.records > 0.0 && mean.is_finite()).then(|| (mean.round() as u64).clamp(1, WRITE_BYTES_A_SECOND))
}

impl Backtested {
    /// These settings, but that this stream may be changed: what would have come of it is what is asked.
    pub fn allowed(policy: &Policy) -> Policy {
        Policy { mode: Mode::Heal, scope: Scope::All, ..policy.clone() }
    }

    /// unthrottle as it is set up, and allowed to change the stream.
    pub fn ours(policy: &Policy) -> Backtested {
        Backtested::Ours(Box::new(Backtested::allowed(policy)))
    }

    /// The same, and what it raised is given back.
    pub fn ours_restoring(policy: &Policy) -> Backtested {
        let hours = policy.restore_after_hours;
        let restore_after_hours = if hours == 0 { RESTORE_AFTER_HOURS } else { hours };
        Backtested::ours(&Policy { restore_after_hours, ..policy.clone() })
    }

    /// Calm hours before it gives back what it raised, if it does.
    pub fn restores_after(&self) -> Option<u32> {
        match self {
            Backtested::Ours(policy) => Some(policy.restore_after_hours).filter(|hours| *hours > 0),
            _ => None,
        }
    }

    fn setup(&self, before: &Before) -> Setup {
        let (shards, mode) = match self {
            Backtested::AsItWas | Backtested::Ours(_) => (before.shards, before.mode.clone()),
            Backtested::OnDemand => (before.shards.max(LEAST_ON_DEMAND), CapacityMode::OnDemand),
            Backtested::Static(shards) => (*shards, CapacityMode::Provisioned),
        };
        Setup {
            shards,
            mode,
            keys: Keys::of((0..KEYS).map(|n| (u128::from(n) << (128 - KEYS.ilog2()), 1.0))),
            record_bytes: ANY_SIZE,
            retry: Retry::never(),
            account: Account::default(),
        }
    }

    fn contender(&self) -> Box<dyn Contender> {
        match self {
            Backtested::Ours(policy) => Box::new(Ours::new(policy.as_ref().clone(), Weather::Fair, SEED)),
            _ => Box::new(Static),
        }
    }
}

/// What is sent in a minute: at one rate for so many seconds, then the rest of what was accepted.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Load {
    record_bytes: u64,
    accepted: f64,
    /// Records a second.
    rate: f64,
    seconds: f64,
    rest: f64,
}

impl Load {
    fn of(passed: &Passed, record_bytes: u64, shards: u32) -> Load {
        let Passed { records: accepted, throttled, .. } = *passed;
        let even = Load { record_bytes, accepted, rate: (accepted + throttled) / 60.0, seconds: 60.0, rest: 0.0 };
        let capacity = even.of_shard() * f64::from(shards);
        // Whole seconds in which the shards of then were full; all of them at most, and one at least.
        let full = (accepted / capacity).floor().max(1.0);
        if throttled <= 0.0 || full >= 60.0 {
            return even;
        }
        let taken = (full * capacity).min(accepted);
        Load { rate: (taken + throttled) / full, seconds: full, rest: accepted - taken, ..even }
    }

    /// Records that a shard takes of this size in a second.
    fn of_shard(&self) -> f64 {
        (WRITE_BYTES_A_SECOND / self.record_bytes).clamp(1, WRITE_RECORDS_A_SECOND) as f64
    }

    /// Records in that second of the minute.
    fn at(&self, second: u32) -> f64 {
        match f64::from(second) - self.seconds {
            ..0.0 => self.rate,
            ..1.0 => self.rest,
            _ => 0.0,
        }
    }

    /// Records of its fastest second.
    fn fastest(&self) -> f64 {
        self.rate.max(self.rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(records: f64, throttled: f64) -> Passed {
        Passed { bytes: 500.0 * records, records, throttled }
    }

    fn history(minutes: impl IntoIterator<Item = Passed>) -> History {
        let first = Minute::of(crate::sim::time(0));
        let known: BTreeMap<Minute, Passed> = (0..).map(|n| first.plus(n)).zip(minutes).collect();
        History::of(first, first.plus(known.len() as i64), &known)
    }

    fn before(shards: u32) -> Before {
        Before { shards, mode: CapacityMode::Provisioned }
    }

    fn run(history: &History, shards: u32, who: &Backtested) -> Run {
        history.run(&before(shards), who, &Prices::default(), || ())
    }

    /// An hour of 3,000 records a second, one of 5,500 of which four shards take 4,000, and one calm one.
    fn step() -> History {
        let hour = |passed: Passed| std::iter::repeat_n(passed, 60);
        history(
            hour(minute(180_000.0, 0.0)).chain(hour(minute(240_000.0, 90_000.0))).chain(hour(minute(120_000.0, 0.0))),
        )
    }

    #[test]
    fn the_shards_of_then_accept_and_refuse_what_they_did() {
        let bursts = [(240_000.0, 90_000.0), (100_000.0, 7_000.0), (180_000.0, 0.0), (9_500.0, 40.0), (0.0, 0.0)];
        let history = history(bursts.map(|(records, throttled)| minute(records, throttled)));
        let run = run(&history, 4, &Backtested::AsItWas);
        for (slice, passed) in run.timeline.minutes().iter().zip(history.minutes()) {
            let is_near = |simulated: u64, real: f64| (simulated as f64 - real).abs() <= 0.002 * real + 8.0;
            assert!(is_near(slice.accepted, passed.records), "{slice:?} {passed:?}");
            assert!(is_near(slice.throttled, passed.throttled), "{slice:?} {passed:?}");
        }
    }

    #[test]
    fn what_was_offered_is_told_as_a_range() {
        let Demand { at_least, at_most, busiest_at_least, busiest_at_most } = step().demand();
        assert_eq!((at_least, at_most), (60.0 * 540_000.0, 60.0 * 630_000.0));
        assert_eq!((busiest_at_least, busiest_at_most), (4_000.0, 5_500.0));
        assert_eq!(step().fewest_shards(), 4);
        assert_eq!((step().beyond(4), step().beyond(3)), (0, 60));
    }

    #[test]
    fn unthrottle_stops_what_a_stream_that_nobody_heals_goes_on_with() {
        let history = step();
        let ours = run(&history, 4, &Backtested::ours(&Policy::default()));
        let nobody = run(&history, 4, &Backtested::AsItWas);
        assert!(nobody.score.throttled.abs_diff(60 * 90_000) < 60_000, "{:?}", nobody.score);
        assert!(ours.score.throttled < nobody.score.throttled / 4, "{:?}", ours.score);
        let hours = history.hours(&ours.timeline);
        assert_eq!(hours.iter().map(|hour| hour.number).collect::<Vec<_>>(), [1]);
        let change = hours[0].marks.iter().find(|mark| mark.change.is_some()).expect("a change");
        assert_eq!(change.code, "scale_shards");
        assert_eq!((hours[0].then, hours[0].now), (60.0 * 90_000.0, ours.score.throttled));
    }

    #[test]
    fn what_was_raised_is_given_back_only_by_the_one_that_restores() {
        let calm = std::iter::repeat_n(minute(60_000.0, 0.0), 9 * 60);
        let history = history(step().minutes().iter().copied().chain(calm));
        let policy = Policy::default();
        let codes = |who| {
            let run = run(&history, 4, &who);
            run.timeline.marks().iter().filter(|mark| mark.change.is_some()).map(|mark| mark.code).collect::<Vec<_>>()
        };
        assert_eq!(codes(Backtested::ours(&policy)), ["scale_shards"]);
        assert_eq!(codes(Backtested::ours_restoring(&policy)), ["scale_shards", "restore"]);
    }

    #[test]
    fn the_best_static_stream_refuses_nothing_and_one_shard_less_does() {
        let history = step();
        let best = history.shards_without_throttling(&before(4));
        assert_eq!(best, 6);
        assert_eq!(run(&history, 4, &Backtested::Static(best)).score.throttled, 0);
        assert!(run(&history, 4, &Backtested::Static(best - 1)).score.throttled > 0);
    }

    #[test]
    fn on_demand_mode_is_billed_by_volume_and_the_others_by_shards() {
        let history = history(std::iter::repeat_n(minute(60_000.0, 0.0), 60));
        let usd = |who| run(&history, 2, &who).score.usd;
        let static_hour = 2.0 * 0.015 + 3.6 * 0.014;
        assert!((usd(Backtested::AsItWas) - static_hour).abs() < 1e-6, "{}", usd(Backtested::AsItWas));
        let gigabytes = 3.6e6 * 1024.0 / 1024_f64.powi(3);
        assert!((usd(Backtested::OnDemand) - (0.04 + 0.08 * gigabytes)).abs() < 1e-6);
    }

    #[test]
    fn records_of_other_sizes_fill_a_shard_by_their_bytes() {
        let large = Passed { bytes: 60.0 * 1_048_576.0, records: 60.0 * 16.0, throttled: 320.0 };
        let history = history([minute(60_000.0, 0.0), large, minute(60_000.0, 0.0)]);
        let run = run(&history, 1, &Backtested::AsItWas);
        let taken: Vec<(u64, u64)> = run.timeline.minutes().iter().map(|m| (m.accepted, m.throttled)).collect();
        // A part of a record may be left over.
        assert!(matches!(taken[..], [(60_000, 0), (960, 319..=320), (60_000, 0)]), "{taken:?}");
    }
}
