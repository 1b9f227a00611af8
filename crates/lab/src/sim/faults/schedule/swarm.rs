//! Swarm settings: each batch of schedules leaves some kinds of faults out and has more of others.
//!
//! A schedule with all kinds of faults hides what one kind does alone: a crash that ends a run also ends what a lost
//! reply would have done to it. Batches that leave kinds out find more different failures at the same cost (Groce et
//! al., "Swarm Testing", ISSTA 2012).

use super::drawn::{pick, trouble};
use super::{Action, CallKind, Delivery, Entry, Event, ExtraSignal, Schedule, TROUBLE_ENDS, Trouble};
use crate::sim::chance::{Chance, SWARM, SWARM_FAULTS};
use std::fmt;
use strum::IntoEnumIterator as _;

/// Schedules with the same settings. A smaller batch would give each setting less than it needs to meet a rare order
/// of calls; a larger one would try fewer settings in the 20,000 schedules of a test.
pub const BATCH: u64 = 100;

/// How often a kind of faults is left out of a batch, and how often there is more of it. The rest has as much of it as
/// a plain schedule.
const OFF: f64 = 0.4;
const MORE: f64 = 0.2;

/// How often half of the containers of a batch are of an older release, as while a deployment is under way.
const OLDER: f64 = 0.25;

/// The most faults that a schedule has more of one kind.
const MOST_MORE: i64 = 6;

/// A kind of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display, strum::EnumIter)]
#[strum(serialize_all = "snake_case")]
enum Fault {
    Crash,
    LostReply,
    #[strum(serialize = "5xx")]
    Failed,
    Refusal,
    SentTwice,
    SlowCall,
    StaleRead,
    /// An alarm that is lost, late or repeated.
    Alarm,
    /// Runs at the same time.
    Signal,
    /// A person changes the capacity.
    Capacity,
    /// A person changes or deletes tags.
    Tags,
    /// A stranger forges, makes the stream anew, or stops a reshard half-way.
    Stranger,
}

/// The settings of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Swarm {
    off: Vec<Fault>,
    more: Vec<Fault>,
    /// Half of the containers are of an older release.
    older: bool,
}

impl Swarm {
    /// The settings of the batch with the schedule at this place.
    pub fn of(seed: u64, index: u64) -> Swarm {
        let mut chance = Chance::new(seed, SWARM.wrapping_add(index / BATCH));
        let mut swarm = Swarm { off: vec![], more: vec![], older: chance.fraction() < OLDER };
        for fault in Fault::iter() {
            match chance.fraction() {
                part if part < OFF => swarm.off.push(fault),
                part if part < OFF + MORE => swarm.more.push(fault),
                _ => {}
            }
        }
        swarm
    }
}

impl Schedule {
    /// The schedule of `seed` at this place, with the settings of its batch. It never changes.
    pub fn swarm(seed: u64, index: u64) -> Schedule {
        let (swarm, mut schedule) = (Swarm::of(seed, index), Schedule::drawn(seed, index));
        let mut chance = Chance::new(seed, SWARM_FAULTS.wrapping_add(index));
        schedule.situation.older = swarm.older;
        let signals: Vec<i64> = schedule.entries.iter().filter(|e| is_signal(&e.event)).map(|e| e.at).collect();
        // Without a second signal, the alarm and the sweep still wake runs.
        schedule.entries.retain(|entry| !Fault::of(&entry.event).is_some_and(|fault| swarm.off.contains(&fault)));
        for fault in &swarm.more {
            for _ in 0..chance.between(1, MOST_MORE) {
                let event = fault.drawn(&mut chance);
                // Close to a signal, so that a run meets it.
                let near = signals.get(pick(&mut chance, signals.len() as i64)).copied();
                let at = near.unwrap_or(TROUBLE_ENDS / 2) + chance.between(-10, 60);
                schedule.entries.push(Entry { at: at.clamp(0, TROUBLE_ENDS - 1), event });
            }
        }
        schedule.entries.sort_by_key(|entry| entry.at);
        schedule
    }
}

fn is_signal(event: &Event) -> bool {
    matches!(event, Event::Signal(_))
}

impl Fault {
    fn of(event: &Event) -> Option<Fault> {
        use Action::{AddOne, Double, Halve, SwitchMode, SwitchOff, SwitchOn, Untag};
        Some(match event {
            Event::Signal(_) => Fault::Signal,
            Event::Alarm(_) => Fault::Alarm,
            Event::Next(_, trouble) => match trouble {
                Trouble::CrashBefore | Trouble::CrashAfter => Fault::Crash,
                Trouble::AnswerLost => Fault::LostReply,
                Trouble::Failed => Fault::Failed,
                Trouble::Refused => Fault::Refusal,
                Trouble::Twice => Fault::SentTwice,
                Trouble::Slow(_) => Fault::SlowCall,
                Trouble::Stale(_) => Fault::StaleRead,
            },
            Event::Person(Double | Halve | AddOne | SwitchMode) => Fault::Capacity,
            Event::Person(Untag | SwitchOff | SwitchOn) => Fault::Tags,
            Event::Person(_) => Fault::Stranger,
        })
    }

    /// One more fault of this kind.
    fn drawn(self, chance: &mut Chance) -> Event {
        use Action::{AddOne, Double, Halve, SwitchMode, SwitchOff, SwitchOn, Untag};
        match self {
            Fault::Signal => Event::Signal(ExtraSignal::drawn(chance)),
            Fault::Alarm => Event::Alarm(Delivery::drawn(chance)),
            Fault::Capacity => Event::Person([Double, Halve, AddOne, SwitchMode][pick(chance, 4)]),
            Fault::Tags => Event::Person([Untag, SwitchOff, SwitchOn][pick(chance, 3)]),
            Fault::Stranger => Event::Person(Action::of_a_stranger(chance)),
            Fault::StaleRead => Event::Next(CallKind::Observe, Trouble::Stale(chance.between(1, 2))),
            Fault::SentTwice => Event::Next(CallKind::Tag, Trouble::Twice),
            _ => {
                let (on, _) = trouble(chance);
                let seconds = chance.between(1, 6);
                Event::Next(
                    on,
                    match self {
                        Fault::LostReply => Trouble::AnswerLost,
                        Fault::Failed => Trouble::Failed,
                        Fault::Refusal => Trouble::Refused,
                        Fault::SlowCall => Trouble::Slow(seconds),
                        _ if seconds % 2 == 0 => Trouble::CrashBefore,
                        _ => Trouble::CrashAfter,
                    },
                )
            }
        }
    }
}

impl fmt::Display for Swarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |faults: &[Fault]| match faults {
            [] => "nothing".to_owned(),
            _ => faults.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        };
        write!(f, "without {}; more of {}", list(&self.off), list(&self.more))?;
        f.write_str(if self.older { "; half of the containers are of an older release" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_schedules_of_a_batch_have_its_settings_and_other_batches_have_others() {
        let swarms: BTreeSet<String> = (0..50).map(|batch| Swarm::of(1, batch * BATCH).to_string()).collect();
        assert!(swarms.len() > 40, "{swarms:?}");
        for index in 0..2_000 {
            let (swarm, schedule) = (Swarm::of(1, index), Schedule::swarm(1, index));
            assert_eq!(schedule, Schedule::swarm(1, index));
            assert_eq!(schedule.situation.older, swarm.older);
            let faults: Vec<Fault> = schedule.entries.iter().filter_map(|entry| Fault::of(&entry.event)).collect();
            assert!(!swarm.off.iter().any(|off| faults.contains(off)), "{swarm}\n{schedule}");
            assert!(swarm.more.iter().all(|more| faults.contains(more)), "{swarm}\n{schedule}");
            assert!(schedule.entries.is_sorted_by_key(|entry| entry.at));
            assert!(schedule.entries.iter().all(|entry| (0..TROUBLE_ENDS + 60).contains(&entry.at)), "{schedule}");
        }
    }

    #[test]
    fn each_kind_of_faults_is_left_out_of_some_batches_and_is_more_in_others() {
        let swarms: Vec<Swarm> = (0..100).map(|batch| Swarm::of(1, batch * BATCH)).collect();
        for fault in Fault::iter() {
            assert!(swarms.iter().any(|swarm| swarm.off.contains(&fault)), "{fault}");
            assert!(swarms.iter().any(|swarm| swarm.more.contains(&fault)), "{fault}");
        }
        assert!(swarms.iter().any(|swarm| swarm.older) && swarms.iter().any(|swarm| !swarm.older));
    }
}
