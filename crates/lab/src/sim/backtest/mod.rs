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
//!
//! - here: the policies that can be tried on a past, and what they did hour by hour.
//! - `history`: the past, and what is known of the demand in it.
//! - `load`: what is sent in a minute.

mod history;
mod load;
#[cfg(test)]
mod tests;

pub use history::{Demand, History, Passed};

use super::account::Account;
use super::arena::{Contender, RESTORE_AFTER_HOURS, Run};
use super::delivery::DeliveryQuality;
use super::keys::Keys;
use super::ours::Ours;
use super::peers::Static;
use super::retry::Retry;
use super::timeline::{Mark, Slice, Timeline};
use super::world::{Setup, World};
use unthrottle_core::cost::Prices;
use unthrottle_core::observation::CapacityMode;
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
            Backtested::Ours(policy) => Box::new(Ours::new(policy.as_ref().clone(), DeliveryQuality::Reliable, SEED)),
            _ => Box::new(Static),
        }
    }
}
