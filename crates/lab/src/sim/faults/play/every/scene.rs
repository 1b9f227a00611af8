//! The scenes: a stream, its past, two signals at the same time, a person, and the clock.

use super::super::super::invocation::Container;
use super::super::super::schedule::{
    Action, CallKind, Entry, Event, ExtraSignal, Kind, MANY_SHARDS, Situation, Trouble,
};
use std::rc::Rc;
use unthrottle_core::policy::Policy;

/// The second at which the runs of a scene may begin. By then CloudWatch has published two throttled minutes.
const START: i64 = 330;

/// A step of the clock, in seconds, after which an observation is too old for a change.
const LATE: i64 = 3;

/// A step of the clock, in seconds, after which a reshard of two shards is done.
const DONE: i64 = 40;

/// A scene.
#[derive(Clone, Debug)]
pub struct Scene {
    /// Its name.
    pub name: &'static str,
    /// The person's actions, in their order.
    pub people: Vec<Action>,
    pub(super) situation: Situation,
    /// What has happened before.
    pub(super) past: Vec<Entry>,
    /// The second at which the runs may begin.
    pub(super) start: i64,
    /// What wakes the two runs.
    pub(super) signals: [ExtraSignal; 2],
    /// How many seconds pass at each step of the clock.
    pub(super) ticks: Vec<i64>,
    /// Of the world: the durations of AWS's changes, and the delays of CloudWatch.
    pub(super) seed: u64,
}

impl Scene {
    fn new(name: &'static str, kind: Kind, shards: u32, load: f64) -> Scene {
        let situation = Situation {
            kind,
            shards,
            load,
            max_shards: MANY_SHARDS,
            on_demand: true,
            diagnose: true,
            restore: true,
            changes_an_hour: Policy::default().max_changes_per_hour,
            usd_an_hour: None,
            older: false,
        };
        Scene {
            name,
            people: vec![],
            situation,
            past: vec![],
            start: START,
            signals: [ExtraSignal::Sweep, ExtraSignal::Ask],
            ticks: vec![DONE],
            seed: 1,
        }
    }

    /// A new container for the run at this place.
    pub(super) fn container(&self, place: usize) -> Rc<Container> {
        Rc::new(Container::new(self.situation.older && place == 1))
    }

    fn with(mut self, person: Action) -> Scene {
        self.people.push(person);
        self
    }

    /// The same with another clock.
    fn clock(self, ticks: &[i64]) -> Scene {
        Scene { ticks: ticks.to_vec(), ..self }
    }

    /// The second run is of an older release.
    fn beside_an_older_release(mut self) -> Scene {
        self.situation.older = true;
        self
    }

    /// An earlier run that met this trouble.
    fn after(mut self, on: CallKind, trouble: Trouble) -> Scene {
        let at = START - 20;
        self.past.push(Entry { at, event: Event::Next(on, trouble) });
        self.past.push(Entry { at, event: Event::Signal(ExtraSignal::Ask) });
        self
    }
}

/// All scenes.
pub fn scenes() -> Vec<Scene> {
    use Kind::{HotKey, NearQuota, Raised, Short};
    let short = |name| Scene::new(name, Short, 2, 1.6);
    let quota = |name| Scene::new(name, NearQuota, 2, 1.5);
    let raised = |name| Scene::new(name, Raised, 4, 0.2);
    let hot = |name| Scene::new(name, HotKey, 4, 0.0);
    // An earlier run leaves the two runs little to do, so the clock can have both steps.
    let after = |name, trouble| short(name).after(CallKind::Change, trouble).clock(&[LATE, DONE]);
    let lost = |name| after(name, Trouble::AnswerLost);
    vec![
        short("reshard").with(Action::AddOne),
        short("reshard-late").with(Action::AddOne).clock(&[LATE]),
        short("reshard-halved").with(Action::Halve),
        short("reshard-untagged").with(Action::Untag),
        short("reshard-off").with(Action::SwitchOff),
        short("reshard-mode").with(Action::SwitchMode),
        short("reshard-recreated").with(Action::Recreate),
        short("reshard-forged").with(Action::ForgeRaise),
        lost("reply-lost").with(Action::Halve),
        lost("reply-lost-untagged").with(Action::Untag),
        after("died-after-reshard", Trouble::CrashAfter).with(Action::SwitchMode),
        after("died-before-reshard", Trouble::CrashBefore).with(Action::AddOne),
        quota("switch-mode").with(Action::SwitchMode),
        quota("switch-mode-untagged").with(Action::Untag),
        raised("restore").with(Action::Double),
        raised("restore-late").with(Action::Double).clock(&[LATE]),
        raised("restore-untagged").with(Action::Untag),
        raised("restore-halved").with(Action::Halve),
        raised("restore-recreated").with(Action::Recreate),
        hot("shard-metrics").with(Action::SwitchOff),
        short("older-release").with(Action::AddOne).beside_an_older_release(),
        raised("older-release-restore").with(Action::Double).beside_an_older_release(),
    ]
}
