//! Three days of a stream by a virtual clock: the load comes and goes, the handler looks every five minutes, as the sweep
//! does, and what it decides is done.

mod common;

use chrono::TimeDelta;
use common::{Scene, newest, offered};
use std::collections::BTreeMap;
use unthrottle_core::decision::{Remedy, Verdict};
use unthrottle_core::memory::{Memory, TAG};
use unthrottle_core::observation::{Minute, Status};
use unthrottle_core::policy::Policy;

/// A stream and what has become of it.
struct Story {
    scene: Scene,
    load: fn(i64) -> f64,
    /// Minutes since the beginning.
    minute: i64,
    /// Shards, and the minute from which on they are there.
    changes: Vec<(i64, &'static str, u32, u32)>,
    updating_until: i64,
    throttled: Vec<i64>,
}

impl Story {
    fn new(shards: u32, load: fn(i64) -> f64, policy: Policy) -> Story {
        let mut scene = Scene::new(shards).asked().with(|s| s.policy = policy);
        scene.observation.limits.as_mut().expect("known").open_shards = shards;
        Story { scene, load, minute: 0, changes: vec![], updating_until: 0, throttled: vec![] }
    }

    fn shards(&self) -> u32 {
        self.scene.observation.stream.as_ref().expect("a stream").open_shards
    }

    fn run(&mut self, hours: i64) {
        for _ in 0..hours * 60 {
            self.pass();
            if self.minute % 5 == 0 {
                self.look();
            }
        }
    }

    /// A minute passes, and is published two minutes later.
    fn pass(&mut self) {
        self.minute += 1;
        self.scene.now += TimeDelta::minutes(1);
        self.scene.observation.observed_at = self.scene.now;
        let traffic = offered((self.load)(self.minute), self.shards());
        if traffic.is_throttled() {
            self.throttled.push(self.minute);
        }
        *self.scene.observation.traffic.minute_mut(newest().plus(self.minute)) = traffic;
        let is_updating = self.minute < self.updating_until;
        let status = if is_updating { Status::Updating } else { Status::Active };
        self.scene.observation.stream.as_mut().expect("a stream").status = status;
        self.forget_yesterday();
    }

    fn forget_yesterday(&mut self) {
        let day = Minute::of(self.scene.now).plus(-24 * 60);
        let traffic = &mut self.scene.observation.traffic;
        for counts in [&mut traffic.auto_fixes, &mut traffic.reshards, &mut traffic.mode_switches] {
            *counts = std::mem::take(counts).split_off(&day);
        }
    }

    fn look(&mut self) {
        let decision = self.scene.decide();
        if let Some(memory) = &decision.memory {
            self.scene.observation.tags.insert(TAG.into(), memory.encode().expect("fits"));
        }
        let Verdict::Act(remedy) = &decision.verdict else { return };
        let (Remedy::ScaleShards { from, to, .. } | Remedy::Restore { from, to, .. }) = remedy else {
            panic!("not in this story: {remedy:?}");
        };
        self.changes.push((self.minute, decision.verdict.code(), *from, *to));
        self.updating_until = self.minute + 2;
        self.scene.observation.stream.as_mut().expect("a stream").open_shards = *to;
        let at = Minute::of(decision.memory.and_then(|m| m.change).expect("an intent").at);
        let traffic = &mut self.scene.observation.traffic;
        for counts in [&mut traffic.auto_fixes, &mut traffic.reshards] {
            *counts.entry(at).or_default() += 1;
        }
    }

    fn most_in_a_day(&self) -> usize {
        let within = |first: i64| self.changes.iter().filter(|(at, ..)| (first..first + 24 * 60).contains(at)).count();
        self.changes.iter().map(|(at, ..)| within(*at)).max().unwrap_or_default()
    }
}

fn policy(restore_after_hours: u32) -> Policy {
    Policy { restore_after_hours, ..Policy::default() }
}

/// Three hours of five times the load, twice.
fn spikes(minute: i64) -> f64 {
    match minute {
        600..780 | 2040..2220 => 5000.0,
        _ => 1000.0,
    }
}

#[test]
fn what_a_spike_took_is_given_back_until_the_next_one() {
    let mut story = Story::new(2, spikes, policy(6));
    story.run(72);
    assert_eq!(story.shards(), 2, "{:?}", story.changes);
    let kinds: Vec<_> = story.changes.iter().map(|(_, kind, from, to)| (*kind, *from, *to)).collect();
    let spike = [("scale_shards", 2, 4), ("scale_shards", 4, 7), ("restore", 7, 4), ("restore", 4, 2)];
    assert_eq!(kinds, [spike, spike].concat());
    let in_spikes = |minute: &i64| (600..640).contains(minute) || (2040..2080).contains(minute);
    assert!(story.throttled.iter().all(in_spikes), "only before it is scaled: {:?}", story.throttled);
    assert!(story.most_in_a_day() <= 8);
}

#[test]
fn with_restore_off_shards_stay() {
    let mut story = Story::new(2, spikes, policy(0));
    story.run(72);
    let kinds: Vec<_> = story.changes.iter().map(|(_, kind, from, to)| (*kind, *from, *to)).collect();
    assert_eq!(kinds, [("scale_shards", 2, 4), ("scale_shards", 4, 7)]);
}

#[test]
fn a_load_that_comes_every_few_hours_is_not_chased() {
    // A spike every three hours: no six hours are calm enough below it.
    let mut story = Story::new(2, |minute| if minute % 180 < 20 { 5000.0 } else { 1000.0 }, policy(6));
    story.run(72);
    assert_eq!(story.changes.len(), 2, "{:?}", story.changes);
    assert_eq!(story.shards(), 7);
}

#[test]
fn what_somebody_resizes_is_never_restored() {
    let mut story = Story::new(2, spikes, policy(6));
    story.run(14);
    assert_eq!(story.shards(), 7);
    story.scene.observation.stream.as_mut().expect("a stream").open_shards = 8;
    story.run(16);
    assert_eq!(story.shards(), 8, "{:?}", story.changes);
}

#[test]
fn a_memory_deleted_at_any_point_scales_nothing_twice_and_keeps_the_budgets() {
    let mut sound = Story::new(2, spikes, policy(0));
    sound.run(14);
    for deleted_at in (600..680).step_by(5) {
        let mut story = Story::new(2, spikes, policy(0));
        for _ in 0..14 * 60 {
            story.pass();
            if story.minute == deleted_at {
                story.scene.observation.tags = BTreeMap::new();
            }
            if story.minute % 5 == 0 {
                story.look();
            }
        }
        let steps = |story: &Story| story.changes.iter().map(|(_, _, from, to)| (*from, *to)).collect::<Vec<_>>();
        assert_eq!(steps(&story), steps(&sound), "deleted at {deleted_at}");
        let evidence = story.scene.decide().evidence;
        assert_eq!(evidence.reshards_last_24_hours, Some(2), "deleted at {deleted_at}");
        let memory = story.scene.observation.tags.get(TAG).map(|text| Memory::parse(text).expect("readable"));
        assert!(memory.is_none_or(|memory| memory.reshards.len() <= 2));
    }
}
