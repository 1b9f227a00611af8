//! Three days of a stream by a virtual clock. The load comes and goes. A run checks the stream every five minutes, as
//! the sweep does, and applies its decision.

#[macro_use]
mod common;

use chrono::TimeDelta;
use common::{Fixture, newest, offered};
use std::collections::BTreeMap;
use unthrottle_core::decision::{Remedy, Verdict};
use unthrottle_core::memory::TAG;
use unthrottle_core::observation::{Minute, Status};
use unthrottle_core::policy::Policy;

/// How often a run checks the stream, in minutes.
const CHECKED_EVERY: i64 = 5;

/// How long AWS needs for a reshard, in minutes.
const RESHARD_TAKES: i64 = 2;

/// A change of the shard count: its minute, its code, and the shards before and after.
type Resize = (i64, &'static str, u32, u32);

/// A stream, its load, and what the decisions made of it.
struct Days {
    fixture: Fixture,
    /// Records of 1 KiB a second that producers offer in a minute.
    load: fn(i64) -> f64,
    /// Minutes since the beginning.
    minute: i64,
    changes: Vec<Resize>,
    updating_until: i64,
    /// The minutes that had throttling.
    throttled: Vec<i64>,
}

impl Days {
    fn new(shards: u32, load: fn(i64) -> f64, restore_after_hours: u32) -> Days {
        let policy = Policy { restore_after_hours, ..Policy::default() };
        let fixture = Fixture::new(shards).asked().with(|f| f.policy = policy);
        Days { fixture, load, minute: 0, changes: vec![], updating_until: 0, throttled: vec![] }
    }

    fn shards(&self) -> u32 {
        self.fixture.open_shards()
    }

    fn run(&mut self, hours: i64) {
        (0..hours * 60).for_each(|_| self.run_minute());
    }

    fn run_minute(&mut self) {
        self.pass();
        if self.minute % CHECKED_EVERY == 0 {
            self.check();
        }
    }

    /// A minute passes. CloudWatch publishes it two minutes later.
    fn pass(&mut self) {
        self.minute += 1;
        self.fixture.now += TimeDelta::minutes(1);
        self.fixture.observation.observed_at = self.fixture.now;
        let traffic = offered((self.load)(self.minute), self.shards());
        if traffic.is_throttled() {
            self.throttled.push(self.minute);
        }
        *self.fixture.observation.traffic.minute_mut(newest().plus(self.minute)) = traffic;
        let is_updating = self.minute < self.updating_until;
        let status = if is_updating { Status::Updating } else { Status::Active };
        self.fixture.observation.stream.as_mut().expect("a stream").status = status;
        self.forget_yesterday();
    }

    /// The metrics are read for 24 hours.
    fn forget_yesterday(&mut self) {
        let day = Minute::of(self.fixture.now).plus(-24 * 60);
        let traffic = &mut self.fixture.observation.traffic;
        for counts in [&mut traffic.auto_fixes, &mut traffic.reshards, &mut traffic.restores] {
            *counts = std::mem::take(counts).split_off(&day);
        }
    }

    /// A run decides, writes the memory, applies the decision, and publishes its datum.
    fn check(&mut self) {
        let decision = self.fixture.decide();
        if let Some(memory) = &decision.memory {
            self.fixture.observation.tags.insert(TAG.into(), memory.encode().expect("fits"));
        }
        let Verdict::Act(remedy) = &decision.verdict else { return };
        let (Remedy::ScaleShards { from, to, .. } | Remedy::Restore { from, to, .. }) = remedy else {
            panic!("not in this scenario: {remedy:?}");
        };
        self.changes.push((self.minute, decision.verdict.code(), *from, *to));
        self.updating_until = self.minute + RESHARD_TAKES;
        self.fixture.resharded = Some((self.fixture.now + TimeDelta::minutes(RESHARD_TAKES), *from));
        self.fixture.observation.stream.as_mut().expect("a stream").open_shards = *to;
        let at = Minute::of(decision.memory.and_then(|m| m.change).expect("an intent").at);
        let traffic = &mut self.fixture.observation.traffic;
        let is_restore = matches!(remedy, Remedy::Restore { .. });
        let of_kind = if is_restore { &mut traffic.restores } else { &mut traffic.reshards };
        for counts in [&mut traffic.auto_fixes, of_kind] {
            *counts.entry(at).or_default() += 1;
        }
    }

    fn forget(&mut self) {
        self.fixture.observation.tags = BTreeMap::new();
    }

    /// The changes without their minutes.
    fn steps(&self) -> Vec<(&'static str, u32, u32)> {
        self.changes.iter().map(|(_, code, from, to)| (*code, *from, *to)).collect()
    }

    fn most_changes_in_a_day(&self) -> usize {
        let within = |first: i64| self.changes.iter().filter(|(at, ..)| (first..first + 24 * 60).contains(at)).count();
        self.changes.iter().map(|(at, ..)| within(*at)).max().unwrap_or_default()
    }
}

/// Three hours of five times the load, twice.
fn spikes(minute: i64) -> f64 {
    match minute {
        600..780 | 2040..2220 => 5000.0,
        _ => 1000.0,
    }
}

/// Twenty minutes of five times the load, every three hours. No six hours are without a peak.
fn spikes_every_three_hours(minute: i64) -> f64 {
    if minute % 180 < 20 { 5000.0 } else { 1000.0 }
}

#[test]
fn shards_opened_for_a_spike_are_restored_until_the_next_one() {
    let mut scenario = Days::new(2, spikes, 6);
    scenario.run(72);
    assert_eq!(scenario.shards(), 2, "{:?}", scenario.changes);
    let spike = [("scale_shards", 2, 4), ("scale_shards", 4, 7), ("restore", 7, 4), ("restore", 4, 2)];
    assert_eq!(scenario.steps(), [spike, spike].concat());
    let in_spikes = |minute: &i64| (600..640).contains(minute) || (2040..2080).contains(minute);
    assert!(scenario.throttled.iter().all(in_spikes), "only before it is scaled: {:?}", scenario.throttled);
    assert!(scenario.most_changes_in_a_day() <= 8);
}

#[test]
fn shards_stay_where_restoring_is_off() {
    let mut scenario = Days::new(2, spikes, 0);
    scenario.run(72);
    assert_eq!(scenario.steps(), [("scale_shards", 2, 4), ("scale_shards", 4, 7)]);
}

#[test]
fn a_load_that_comes_every_few_hours_is_not_chased() {
    let mut scenario = Days::new(2, spikes_every_three_hours, 6);
    scenario.run(72);
    assert_eq!(scenario.changes.len(), 2, "{:?}", scenario.changes);
    assert_eq!(scenario.shards(), 7);
}

#[test]
fn shards_that_another_person_opens_are_never_restored() {
    let mut scenario = Days::new(2, spikes, 6);
    scenario.run(14);
    assert_eq!(scenario.shards(), 7);
    scenario.fixture.observation.stream.as_mut().expect("a stream").open_shards = 8;
    scenario.fixture.resharded = Some((scenario.fixture.now, 7));
    scenario.run(16);
    assert_eq!(scenario.shards(), 8, "{:?}", scenario.changes);
}

/// Asserts that a memory that is deleted in this minute of the first spike repeats no change, and keeps the budget.
#[track_caller]
fn deleted_memory_repeats_nothing(deleted_at: i64, steps: &[(&str, u32, u32)]) {
    let mut scenario = Days::new(2, spikes, 0);
    for minute in 1..=14 * 60 {
        scenario.pass();
        if minute == deleted_at {
            scenario.forget();
        }
        if minute % CHECKED_EVERY == 0 {
            scenario.check();
        }
    }
    assert_eq!(scenario.steps(), steps);
    assert_eq!(scenario.fixture.decide().evidence.reshards_last_24_hours, Some(2));
    assert!(!scenario.fixture.observation.tags.contains_key(TAG) || scenario.fixture.remembered().reshards.len() <= 2);
}

/// The changes of a scenario whose memory stays.
const STEPS: &[(&str, u32, u32)] = &[("scale_shards", 2, 4), ("scale_shards", 4, 7)];

rows! { deleted_memory_repeats_nothing;
    a_memory_deleted_in_minute_600_repeats_no_change: 600 => STEPS;
    a_memory_deleted_in_minute_605_repeats_no_change: 605 => STEPS;
    a_memory_deleted_in_minute_610_repeats_no_change: 610 => STEPS;
    a_memory_deleted_in_minute_615_repeats_no_change: 615 => STEPS;
    a_memory_deleted_in_minute_620_repeats_no_change: 620 => STEPS;
    a_memory_deleted_in_minute_625_repeats_no_change: 625 => STEPS;
    a_memory_deleted_in_minute_630_repeats_no_change: 630 => STEPS;
    a_memory_deleted_in_minute_635_repeats_no_change: 635 => STEPS;
    a_memory_deleted_in_minute_640_repeats_no_change: 640 => STEPS;
    a_memory_deleted_in_minute_645_repeats_no_change: 645 => STEPS;
    a_memory_deleted_in_minute_650_repeats_no_change: 650 => STEPS;
    a_memory_deleted_in_minute_655_repeats_no_change: 655 => STEPS;
    a_memory_deleted_in_minute_660_repeats_no_change: 660 => STEPS;
    a_memory_deleted_in_minute_665_repeats_no_change: 665 => STEPS;
    a_memory_deleted_in_minute_670_repeats_no_change: 670 => STEPS;
    a_memory_deleted_in_minute_675_repeats_no_change: 675 => STEPS;
}
