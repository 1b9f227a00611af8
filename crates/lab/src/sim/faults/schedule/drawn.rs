//! How a seed makes a schedule.

use super::situation::MANY_SHARDS;
use super::{Action, CallKind, Delivery, Entry, Event, ExtraSignal, Kind, Schedule, Situation, TROUBLE_ENDS, Trouble};
use crate::sim::chance::{Chance, FAULTS};
use unthrottle_core::cost::Prices;
use unthrottle_core::policy::Policy;

impl Schedule {
    /// The schedule of `seed` at this place. It never changes.
    pub fn drawn(seed: u64, index: u64) -> Schedule {
        let mut chance = Chance::new(seed, FAULTS.wrapping_add(index));
        let own = chance.between(0, 1 << 48).unsigned_abs();
        let situation = Situation::drawn(&mut chance);
        let mut entries = vec![];
        for _ in 0..chance.between(1, 4) {
            signals_at_once(&mut entries, &mut chance);
        }
        for _ in 0..chance.between(0, 2) {
            let at = chance.between(0, TROUBLE_ENDS - 1);
            entries.push(Entry { at, event: Event::Alarm(Delivery::drawn(&mut chance)) });
        }
        for _ in 0..[0, 0, 1, 1, 2, 3][pick(&mut chance, 6)] {
            let at = chance.between(0, TROUBLE_ENDS - 1);
            entries.push(Entry { at, event: Event::Person(Action::drawn(&mut chance)) });
        }
        let mut situation = situation.bounded(&mut chance);
        if chance.fraction() < 0.3 {
            let action = Action::of_a_stranger(&mut chance);
            // By then CloudWatch has published a minute: a stream without metrics seems idle.
            let at = chance.between(240, TROUBLE_ENDS - 1);
            entries.push(Entry { at, event: Event::Person(action) });
            situation = situation.tempting(action, &mut chance);
        }
        entries.sort_by_key(|entry| entry.at);
        Schedule { seed: own, situation, entries }
    }
}

/// Two to four signals within a few seconds, with troubles around them.
fn signals_at_once(entries: &mut Vec<Entry>, chance: &mut Chance) {
    // By then CloudWatch has published two throttled minutes, so that most of these runs have evidence to decide on.
    let start = chance.between(150, TROUBLE_ENDS - 60);
    for _ in 0..chance.between(2, 4) {
        let at = start + chance.between(0, 4);
        entries.push(Entry { at, event: Event::Signal(ExtraSignal::drawn(chance)) });
    }
    for _ in 0..chance.between(0, 3) {
        let at = (start - chance.between(0, 30)).max(0);
        let (on, trouble) = trouble(chance);
        entries.push(Entry { at, event: Event::Next(on, trouble) });
    }
    if chance.fraction() < 0.15 {
        let at = start + chance.between(0, 90);
        entries.push(Entry { at, event: Event::Person(Action::drawn(chance)) });
    }
}

/// A random place in a list of this length.
pub(super) fn pick(chance: &mut Chance, of: i64) -> usize {
    usize::try_from(chance.between(0, of - 1)).unwrap_or_default()
}

pub(super) fn trouble(chance: &mut Chance) -> (CallKind, Trouble) {
    use Trouble::{AnswerLost, CrashAfter, CrashBefore, Failed, Refused, Slow, Stale, Twice};
    let on = [
        CallKind::Observe,
        CallKind::Complete,
        CallKind::Tag,
        CallKind::Tag,
        CallKind::Change,
        CallKind::Change,
        CallKind::Count,
    ][pick(chance, 7)];
    let seconds = chance.between(1, 6);
    let trouble = [CrashBefore, CrashAfter, AnswerLost, Failed, Refused, Slow(seconds), Slow(seconds)][pick(chance, 7)];
    let is_other = chance.fraction() < 0.3;
    match on {
        // A read from before the shortest change: the age of an observation cannot show that it is stale.
        CallKind::Observe if is_other => (on, Stale(chance.between(1, 2))),
        CallKind::Tag if is_other => (on, Twice),
        _ => (on, trouble),
    }
}

impl Situation {
    fn drawn(chance: &mut Chance) -> Situation {
        use Kind::{BudgetNearlySpent, Bursts, HotKey, NearQuota, OnDemand, OptedOut, Raised, Short};
        let kinds = [Short, Short, Short, HotKey, Bursts, OnDemand, NearQuota, BudgetNearlySpent, OptedOut, Raised];
        let kind = kinds[pick(chance, 10)];
        let fraction = chance.fraction();
        let (shards, load) = match kind {
            // With fewer shards, a key that fills one of them would fill most of the stream.
            HotKey => (chance.between(4, 6), 0.0),
            Bursts => (chance.between(2, 4), 0.0),
            OnDemand => (chance.between(2, 4), 1.1 + 0.8 * fraction),
            Raised => (2 * chance.between(1, 3), 0.2 + 0.2 * fraction),
            _ => (chance.between(1, 4), 1.1 + 2.4 * fraction),
        };
        let shards = u32::try_from(shards).unwrap_or(1);
        let is_tight = chance.fraction() < 0.2;
        let max_shards = if is_tight { shards + u32::try_from(chance.between(0, 4)).unwrap_or(0) } else { MANY_SHARDS };
        let mut is = |share: f64| chance.fraction() < share;
        let (on_demand, diagnose, restore) = (is(0.7), is(0.5), is(0.5));
        let (changes_an_hour, usd_an_hour) = (Policy::default().max_changes_per_hour, None);
        let older = false;
        Situation { kind, shards, load, max_shards, on_demand, diagnose, restore, changes_an_hour, usd_an_hour, older }
    }

    /// Adds narrow bounds of a person, now and then.
    fn bounded(mut self, chance: &mut Chance) -> Situation {
        if chance.fraction() < 0.15 {
            self.changes_an_hour = u32::try_from(chance.between(1, 3)).unwrap_or(1);
        }
        if chance.fraction() < 0.15 {
            // The cost of the load on up to four times its shards.
            let shards = f64::from(self.shards) * (1.0 + 3.0 * chance.fraction());
            self.usd_an_hour = Some(self.usd_an_hour_for(&Prices::default(), shards));
        }
        self
    }
}

impl Situation {
    /// Often, a stream on which a forged memory would lead to a change: it has more capacity than it needs.
    fn tempting(self, action: Action, chance: &mut Chance) -> Situation {
        let is_tempting = chance.fraction() < 0.7;
        let (shards, load) = (chance.between(1, 3), 0.2 + 0.2 * chance.fraction());
        let kind = match action {
            Action::ForgeRaise => Kind::Roomy,
            Action::ForgeSwitch => Kind::RoomyOnDemand,
            _ => return self,
        };
        if !is_tempting {
            return self;
        }
        let shards = 2 * u32::try_from(shards).unwrap_or(1);
        let (max_shards, usd_an_hour) = (MANY_SHARDS, None);
        Situation { kind, shards, load, max_shards, usd_an_hour, on_demand: true, restore: true, ..self }
    }
}

impl ExtraSignal {
    pub(super) fn drawn(chance: &mut Chance) -> ExtraSignal {
        let ago = chance.between(1, 400);
        [
            ExtraSignal::Throttle(ago),
            ExtraSignal::Throttle(ago),
            ExtraSignal::Alarm(ago),
            ExtraSignal::Ask,
            ExtraSignal::Ask,
            ExtraSignal::Sweep,
        ][pick(chance, 6)]
    }
}

impl Delivery {
    pub(super) fn drawn(chance: &mut Chance) -> Delivery {
        [Delivery::Lost, Delivery::Twice, Delivery::Late(chance.between(10, 600))][pick(chance, 3)]
    }
}

impl Action {
    fn drawn(chance: &mut Chance) -> Action {
        use Action::{AddOne, Double, Halve, SwitchMode, SwitchOff, SwitchOn, Untag};
        [Double, Halve, AddOne, SwitchMode, Untag, Untag, SwitchOff, SwitchOn][pick(chance, 8)]
    }

    pub(super) fn of_a_stranger(chance: &mut Chance) -> Action {
        use Action::{ForgeFix, ForgeRaise, ForgeSwitch, HalfReshard, Recreate};
        [ForgeRaise, ForgeSwitch, ForgeFix, Recreate, HalfReshard][pick(chance, 5)]
    }
}
