//! The effect that a policy would have had on a stream's past, from the metrics that CloudWatch keeps.
//!
//! CloudWatch does not keep the offered load. Accepted records are its lower bound. Accepted and refused records
//! together are its upper bound, since a record that was sent again counts again. The backtest sends the upper bound,
//! and retries nothing: the retries are in it. A policy that cures throttling would have met fewer retries. So the
//! backtest shows a need that is too large rather than too small.
//!
//! The sums of a minute hide its seconds and its keys. The backtest sends a throttled minute so that the stream's real
//! shards accept and refuse the same numbers as then: full shards from the beginning of the minute on. So a policy sees
//! the same metrics as in the past, until it changes something. The backtest takes uneven keys for such bursts. More
//! shards help with bursts, but may not help with uneven keys.
//!
//! - here: the policies that can be tried on a past, and their effect hour by hour.
//! - `history`: the past, and the bounds of its demand.
//! - `load`: the records that are sent in a minute.

mod history;
mod load;
#[cfg(test)]
mod tests;

pub use history::{Demand, History, MAX_BYTES_A_MINUTE, MAX_RECORDS_A_MINUTE, MAX_THROTTLED_A_MINUTE, Passed};

use super::account::Account;
use super::arena::{Contender, RESTORE_AFTER_HOURS, Run};
use super::delivery::DeliveryQuality;
use super::keys::Keys;
use super::ours::Ours;
use super::peers::Static;
use super::retry::Retry;
use super::timeline::{Mark, Slice, Timeline};
use super::world::{By, Setup, World};
use unthrottle_core::cost::Prices;
use unthrottle_core::observation::CapacityMode;
use unthrottle_core::policy::{FORESIGHT_TAG, Foresight, Mode, Policy, Scope};

/// Keys of the simulated producers, at equal distances. A shard has at most one key more than another. On up to 600
/// shards this is below one per cent of a shard's keys.
const KEYS: u32 = 1 << 16;

/// The fewest shards of an on-demand stream: a new stream accepts 4 MB/s
/// (docs.aws.amazon.com/streams/latest/dev/how-do-i-size-a-stream.html).
const LEAST_ON_DEMAND: u32 = 4;

/// The seed of all chances, such as CloudWatch's delays: any number would do.
const SEED: u64 = 1;

/// A record's size, in bytes, before the first record. Only minutes without records use it.
const ANY_SIZE: u64 = 1024;

/// The stream at the beginning of the past.
#[derive(Clone, Debug)]
pub struct Before {
    /// Open shards.
    pub shards: u32,
    /// Its capacity mode.
    pub mode: CapacityMode,
}

/// A policy that scales the stream.
#[derive(Clone, Debug)]
pub enum Backtested {
    /// No scaling.
    AsItWas,
    /// unthrottle with these settings.
    Ours(Box<Policy>),
    /// No scaling, in on-demand mode.
    OnDemand,
    /// No scaling, with this number of shards.
    Static(u32),
}

/// An hour with a change or a refusal.
#[derive(Clone, Debug, PartialEq)]
pub struct Hour {
    /// Its number, counted from the first hour of the past.
    pub number: usize,
    /// The decisions in it, in their order.
    pub marks: Vec<Mark>,
    /// Refusals in the past.
    pub then: f64,
    /// Refusals in the simulation.
    pub now: u64,
}

impl History {
    /// Runs a policy on the past. Calls `passed` once after each hour.
    pub fn run(&self, before: &Before, who: &Backtested, prices: &Prices, mut passed: impl FnMut()) -> Run {
        let mut world = World::new(who.setup(before), SEED).with_prices(prices.clone());
        if who.is_foreseeing() {
            world = world.with_tag(FORESIGHT_TAG, "act");
        }
        let mut contender = who.contender();
        for (number, load) in self.loads(before.shards).enumerate() {
            world.set_record_bytes(load.record_bytes);
            if matches!(who, Backtested::AsItWas) {
                // AWS's own refusals cannot come here: it accepted these changes in the past. Where a daily cap of the
                // simulation refuses one, the next minute tries again.
                let wanted = self.shards_in(number, before.shards);
                if wanted != world.open_shards() && !world.is_updating() {
                    let _ = world.update_shard_count(By::Others, wanted);
                }
            }
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

    /// The hours with a change in the run, or with a refusal in the past or in the run.
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
    /// The same settings, with permission to change this stream: the backtest asks for the effect of changes. Foresight
    /// has a row of its own.
    pub fn allowed(policy: &Policy) -> Policy {
        Policy { mode: Mode::Heal, scope: Scope::All, foresight: Foresight::Off, ..policy.clone() }
    }

    /// unthrottle with its settings, and with permission to change the stream.
    pub fn ours(policy: &Policy) -> Backtested {
        Backtested::Ours(Box::new(Backtested::allowed(policy)))
    }

    /// unthrottle as in [`Backtested::ours`], with restore.
    pub fn ours_restoring(policy: &Policy) -> Backtested {
        let hours = policy.restore_after_hours;
        let restore_after_hours = if hours == 0 { RESTORE_AFTER_HOURS } else { hours };
        Backtested::ours(&Policy { restore_after_hours, ..policy.clone() })
    }

    /// unthrottle as in [`Backtested::ours_restoring`], with shards before the load.
    pub fn ours_foreseeing(policy: &Policy) -> Backtested {
        match Backtested::ours_restoring(policy) {
            Backtested::Ours(policy) => Backtested::Ours(Box::new(Policy { foresight: Foresight::Act, ..*policy })),
            other => other,
        }
    }

    /// Whether the policy adds shards before the load.
    pub fn is_foreseeing(&self) -> bool {
        matches!(self, Backtested::Ours(policy) if policy.foresight == Foresight::Act)
    }

    /// Hours without throttling before a restore; `None`: the policy restores nothing.
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
