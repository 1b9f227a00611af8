//! Plays a schedule: the world second by second, and in each second the runs call by call.
//!
//! - here: the seconds, and the schedule's events in them.
//! - `runs`: the runs of the Lambda: start, steps, end, crash and retry.
//! - `calls`: one AWS call: its duration, its trouble, and its answer.
//! - `every`: all interleavings of two runs, a person and the clock.
//! - `past`: the stream of a few moments ago, for stale reads, and unthrottle's changes from before the run.

mod calls;
mod every;
mod past;
mod runs;

use super::super::alarm::{Alarm, AlarmMetric};
use super::super::chance::{CALLS, Chance};
use super::super::load::Load;
use super::super::world::{By, World};
use super::check::{Broken, Check};
use super::flaw::Flaw;
use super::invocation::Container;
use super::schedule::{Action, CallKind, Delivery, ENDS, Entry, Event, LATEST, Schedule, TROUBLE_ENDS, Trouble};
use past::{Past, apply_earlier_changes, forge_memory};
use runs::{Job, Run, Trigger};
use std::collections::BTreeMap;
use std::rc::Rc;
use unthrottle_core::decision::Verdict;
use unthrottle_core::observation::CapacityMode;
use unthrottle_core::policy::{MODE_TAG, Policy};

pub use calls::{ATTEMPT, PATIENCE};
pub use every::{Explored, Fails, Scene, explore, scenes};

/// The result of a schedule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Played {
    /// Runs of the Lambda.
    pub runs: u64,
    /// The time of the stream, in seconds.
    pub seconds: u64,
    /// Changes of these runs that AWS carried out.
    pub changes: u64,
    /// The troubles that happened, by their name.
    pub troubles: BTreeMap<&'static str, u64>,
    /// The last decision on the stream, by its code.
    pub ended: &'static str,
}

/// Plays a schedule to its end.
///
/// # Errors
/// The first invariant that does not hold.
pub fn play(schedule: &Schedule) -> Result<Played, Broken> {
    play_with(schedule, Flaw::None)
}

/// Plays a schedule and returns its events, call by call, each with its time. A person reads this trace to find the
/// cause of a failure.
pub fn trace(schedule: &Schedule) -> Vec<String> {
    let mut play = Play::new(schedule, Flaw::None);
    play.trace = Some(vec![]);
    // The caller knows the result.
    let _ = play.run(&schedule.entries);
    play.trace.unwrap_or_default()
}

/// Plays a schedule with runs that have a defect.
pub(super) fn play_with(schedule: &Schedule, flaw: Flaw) -> Result<Played, Broken> {
    let mut play = Play::new(schedule, flaw);
    play.run(&schedule.entries)?;
    Ok(play.played)
}

struct Play {
    world: World,
    load: Load,
    policy: Rc<Policy>,
    shards_at_first: u32,
    /// Whether half of the containers are of an older release.
    has_older: bool,
    flaw: Flaw,
    alarm: Alarm,
    past: Past,
    chance: Chance,
    check: Check,
    /// The troubles of the next calls, and of the next notifications of the alarm.
    troubles: Vec<(CallKind, Trouble)>,
    deliveries: Vec<Delivery>,
    queue: Vec<Job>,
    idle: Vec<Rc<Container>>,
    runs: Vec<Run>,
    last: Option<Verdict>,
    played: Played,
    /// The trace, in words; `None`: not asked for.
    trace: Option<Vec<String>>,
}

impl Play {
    fn new(schedule: &Schedule, flaw: Flaw) -> Play {
        let situation = &schedule.situation;
        let policy = situation.policy();
        let mut world = World::new(situation.setup(), schedule.seed);
        apply_earlier_changes(&mut world, situation);
        Play {
            past: Past(vec![(0, world.stream(), world.tags().clone())]),
            load: situation.offered(),
            shards_at_first: situation.shards,
            has_older: situation.older,
            flaw,
            alarm: Alarm::on(AlarmMetric::Writes, &policy),
            policy: Rc::new(policy),
            chance: Chance::new(schedule.seed, CALLS),
            check: Check::new(situation),
            world,
            troubles: vec![],
            deliveries: vec![],
            queue: vec![],
            idle: vec![],
            runs: vec![],
            last: None,
            played: Played::default(),
            trace: None,
        }
    }

    fn run(&mut self, entries: &[Entry]) -> Result<(), Broken> {
        let mut entries = entries.iter().peekable();
        while self.world.now() < ENDS || !self.is_over() {
            self.pass()?;
            let now = self.world.now();
            while let Some(entry) = entries.next_if(|entry| entry.at <= now) {
                self.apply_event(&entry.event);
            }
            if now == TROUBLE_ENDS {
                (self.troubles, self.deliveries) = (vec![], vec![]);
            }
            self.wake(now);
            self.go_on()?;
        }
        self.ended()?;
        self.played.seconds = self.world.now().unsigned_abs();
        self.played.changes = self.check.changes() as u64;
        self.played.ended = self.last.as_ref().map_or("nothing", Verdict::code);
        Ok(())
    }

    /// A copy without the runs that are under way, which cannot be copied, and with new containers.
    fn fork(&self) -> Play {
        Play {
            world: self.world.clone(),
            policy: self.policy.clone(),
            alarm: self.alarm.clone(),
            past: self.past.clone(),
            chance: self.chance.clone(),
            check: self.check.clone(),
            troubles: self.troubles.clone(),
            deliveries: self.deliveries.clone(),
            queue: self.queue.clone(),
            idle: vec![],
            runs: vec![],
            last: self.last.clone(),
            played: self.played.clone(),
            trace: self.trace.clone(),
            ..*self
        }
    }

    /// Plays the rest without faults, in new containers. The order in which runs were queued makes no difference.
    fn finish(&mut self) -> Result<(), Broken> {
        self.idle.clear();
        self.queue = self.queued();
        self.run(&[])
    }

    /// Lambda's queue, in the order in which its runs begin.
    fn queued(&self) -> Vec<Job> {
        let mut queue = self.queue.clone();
        queue.sort_by_cached_key(|job| (job.at, job.tries, format!("{:?}", job.trigger)));
        queue
    }

    /// A second in which no signal is sent.
    fn tick(&mut self) -> Result<(), Broken> {
        self.pass()?;
        // Its notification is one of the signals of a scene, or lost.
        let _ = self.alarm.pass(self.world.cloudwatch(), self.world.now());
        Ok(())
    }

    /// Whether the stream is healed, or held for a reason that explains the throttling. Otherwise the schedule
    /// continues until [`LATEST`].
    fn is_over(&self) -> bool {
        let now = self.world.now();
        now >= LATEST || (now % 60 == 0 && !Check::waits(self.last.as_ref()) && self.ended().is_ok())
    }

    fn ended(&self) -> Result<(), Broken> {
        self.check.ended(self.last.as_ref(), &self.world.stream().mode)
    }

    fn trace(&mut self, what: impl FnOnce(&World) -> String) {
        if let Some(trace) = &mut self.trace {
            let now = self.world.now();
            trace.push(format!("{:02}:{:02}  {}", now / 60, now % 60, what(&self.world)));
        }
    }

    fn pass(&mut self) -> Result<(), Broken> {
        self.world.pass(self.load.at(self.world.now()));
        self.check.pass(&self.world)?;
        if self.past.is_stream_changed(&self.world) {
            self.past.record(&self.world);
            self.trace(|world| {
                format!("the stream is {:?} with {} shards", world.stream().status, world.open_shards())
            });
        }
        Ok(())
    }

    fn apply_event(&mut self, event: &Event) {
        self.trace(|_| event.to_string());
        let now = self.world.now();
        match event {
            Event::Signal(signal) => self.queue.push(Job { at: now, trigger: Trigger::of(*signal, now), tries: 0 }),
            Event::Alarm(delivery) => self.deliveries.push(*delivery),
            Event::Next(on, trouble) => self.troubles.push((*on, *trouble)),
            Event::Person(action) => self.act(*action),
        }
    }

    /// Carries out a person's action. If AWS refuses it, nothing happens.
    fn act(&mut self, action: Action) {
        let open = self.world.open_shards();
        let mode = match self.world.stream().mode {
            CapacityMode::Provisioned => CapacityMode::OnDemand,
            _ => CapacityMode::Provisioned,
        };
        let world = &mut self.world;
        let done = match action {
            Action::Double => world.update_shard_count(By::Others, 2 * open).is_ok(),
            Action::Halve => world.update_shard_count(By::Others, open.div_ceil(2)).is_ok(),
            Action::AddOne => world.update_shard_count(By::Others, open + 1).is_ok(),
            Action::SwitchMode => world.update_stream_mode(By::Others, mode).is_ok(),
            Action::HalfReshard => world.reshard_half_way(By::Others).is_ok(),
            Action::Untag => {
                world.untag();
                self.check.untagged();
                false
            }
            Action::ForgeRaise | Action::ForgeSwitch => {
                if forge_memory(world, action == Action::ForgeSwitch) {
                    self.check.forged();
                }
                false
            }
            Action::ForgeFix => {
                world.count_forged("scale_shards");
                self.check.forged_fix();
                false
            }
            Action::Recreate => {
                world.recreate(self.shards_at_first);
                self.check.recreated();
                false
            }
            Action::SwitchOff | Action::SwitchOn => {
                let is_off = action == Action::SwitchOff;
                if !is_off {
                    world.untag_one(MODE_TAG);
                } else if world.tag(By::Others, MODE_TAG, "off").is_err() {
                    return;
                }
                self.check.switched(is_off);
                false
            }
        };
        if let Some(until) = self.world.updating_until().filter(|_| done) {
            self.check.changed_by_person(until, action != Action::SwitchMode);
        }
        self.past.record(&self.world);
        *self.played.troubles.entry("person").or_default() += 1;
    }

    fn count_trouble(&mut self, what: Option<&'static str>) {
        if let Some(what) = what {
            *self.played.troubles.entry(what).or_default() += 1;
        }
    }
}
