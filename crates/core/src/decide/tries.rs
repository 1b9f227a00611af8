//! How often the producers of a stream try a record, and the least that their load can be. AWS counts each try of a
//! refused record, and no metric tells tries from records.
//!
//! A producer that tries a record up to n times gets the share 1 − rⁿ of its records in, where AWS refuses the share r
//! of the tries. So a stream that accepts `a` has a load of a ÷ (1 − rⁿ). Two minutes of one load, with different
//! shards, have different a and r, and this shows n.

use super::demand::{Offered, shards_at, without_retries};
use super::history::History;
use super::throttling::{FULL_MINUTE, Throttling};
use super::writes::Throttled;
use super::{Case, MissingData};
use crate::decision::{Evidence, Reason, Remedy, Side};
use crate::memory::{Change, ChangeKind, MOST_TRIES};
use crate::observation::{CapacityMode, Minute, Stream, Traffic};
use crate::policy::StreamPolicy;
use chrono::TimeDelta;

/// Loads of two minutes are the same load up to this difference, as a share of the larger. A steady load of thousands
/// of records a second differs by a per cent from minute to minute. With a smaller share, real loads would never show
/// their tries; with a larger one, they would show too many tries, and so too small a load.
const SAME_LOAD: f64 = 0.05;

/// A minute in which new shards took records accepts more than the shards before the change can take, by this factor.
/// With a smaller factor, rounding in the metrics would look like new shards; with a larger factor, the minute in which
/// the shards opened would not count.
const NEW_SHARDS_TAKE: f64 = 1.05;

/// The minutes before a change that show its load: CloudWatch publishes a minute up to three minutes late. With fewer,
/// the minute that caused the change would be left out; more minutes could show an earlier load.
const BEFORE_CHANGE: TimeDelta = TimeDelta::minutes(5);

/// The writes of one minute.
#[derive(Clone, Copy, Debug)]
struct Writes {
    /// In full shards.
    accepted: f64,
    /// The refused share of all tries, 0–1.
    refused: f64,
}

impl Writes {
    fn of(traffic: &Traffic, minute: Minute) -> Writes {
        let refused = Side::Writes.refused_share(&traffic.minute(minute));
        Writes { accepted: Offered::accepted_shards(traffic, minute), refused }
    }

    /// The load in full shards, of producers that try a record up to `tries` times.
    fn load(self, tries: u32) -> f64 {
        least_load(self.accepted, self.refused, tries)
    }
}

/// The load behind a stream that accepts `accepted` and refuses this share of all tries (0–1), where producers try a
/// record up to `tries` times. In the unit of `accepted`. The mean of a minute in which the load changed gives less
/// than the load, so this is the least that the load can be.
fn least_load(accepted: f64, refused: f64, tries: u32) -> f64 {
    let given_up = refused.clamp(0.0, 1.0).powi(i32::try_from(tries).unwrap_or(i32::MAX));
    accepted / (1.0 - given_up).max(f64::MIN_POSITIVE)
}

/// The most tries with which these minutes have one load. `None`: they show no number of tries.
fn most_tries(minutes: &[Writes]) -> Option<u32> {
    let is_one_load = |tries: &u32| {
        let loads = minutes.iter().map(|minute| minute.load(*tries));
        let (least, most) = loads.fold((f64::MAX, 0.0_f64), |(least, most), load| (least.min(load), most.max(load)));
        most - least <= SAME_LOAD * most
    };
    let most = (1..=MOST_TRIES).rev().find(is_one_load)?;
    // With the most tries, the minutes accepted about the same: they tell nothing.
    (most < MOST_TRIES).then_some(most)
}

/// The minutes around a change that refused records, oldest first, up to `newest`. The first throttled minute after
/// calm ones shows only a part of the load, so it is left out.
fn throttled_around(change: &Change, traffic: &Traffic, newest: Minute) -> Vec<Minute> {
    let is_throttled = |minute: Minute| traffic.minute(minute).write_throttled > 0.0;
    let first = Minute::of(change.at - BEFORE_CHANGE);
    first.to(newest).filter(|minute| is_throttled(*minute) && is_throttled(minute.plus(-1))).collect()
}

/// Those of [`throttled_around`] in which the shards from before the change were full. Refusals of a stream that is not
/// full are of single shards.
fn full_around(change: &Change, traffic: &Traffic, newest: Minute) -> Vec<Writes> {
    let from = f64::from(change.from.shards().unwrap_or(u32::MAX));
    let minutes = throttled_around(change, traffic, newest).into_iter().map(|minute| Writes::of(traffic, minute));
    minutes.filter(|minute| minute.accepted >= FULL_MINUTE * from).collect()
}

impl History {
    /// How often producers try a record at most: as the minutes around the last change show it, or as the memory knows
    /// it from an earlier change. `None`: unknown.
    pub(super) fn tries(&self, traffic: &Traffic, newest: Minute) -> Option<u32> {
        self.tries_now(traffic, newest).or(self.memory.tries)
    }

    fn tries_now(&self, traffic: &Traffic, newest: Minute) -> Option<u32> {
        let change = self.unverified().filter(|change| change.kind == ChangeKind::Scale)?;
        let from = f64::from(change.from.shards()?);
        let full = full_around(change, traffic, newest);
        let is_of_new_shards = |minute: &Writes| minute.accepted > NEW_SHARDS_TAKE * from;
        let shows_both = full.iter().any(is_of_new_shards) && !full.iter().all(is_of_new_shards);
        if shows_both { most_tries(&full) } else { None }
    }

    /// Learns the tries from a change that is verified in `calm`, a minute that refused nothing: all of its load was
    /// accepted.
    pub(super) fn learn_tries(&mut self, traffic: &Traffic, calm: Minute) {
        let Some(change) = self.memory.change.as_ref().filter(|change| change.kind == ChangeKind::Scale) else {
            return;
        };
        let mut minutes = full_around(change, traffic, Minute::of(change.at).plus(-1));
        if !minutes.is_empty() {
            minutes.push(Writes::of(traffic, calm));
            self.memory.tries = most_tries(&minutes).or(self.memory.tries);
        }
    }
}

impl Throttled<'_> {
    /// The load behind `offered`, where `accepted` of it was accepted, and the tries that show it. All in full shards.
    /// `capacity`: what the stream takes before the first shard is full; a throttled stream has at least this load.
    pub(super) fn load_behind(&self, offered: f64, accepted: f64, capacity: f64) -> (f64, Option<u32>) {
        let tries = self.history.tries(self.traffic(), self.newest);
        let least = |tries| offered.min(least_load(accepted, 1.0 - accepted / offered, tries).max(capacity));
        (tries.map_or_else(|| without_retries(offered, accepted, capacity), least), tries)
    }

    /// The reshard of a stream whose load is at least `least` full shards, where its producers try a record up to
    /// `tries` times.
    fn certain_growth(
        &self,
        least: f64,
        tries: u32,
        evidence: &mut Evidence,
        missing: &mut MissingData,
    ) -> Result<Remedy, Reason> {
        evidence.target_utilization = Some(self.settings.target_utilization);
        evidence.account_shards_left = self.limits().map(|l| l.shards_left());
        let Some(offered) = self.busiest(evidence) else { return Err(Reason::EvidencePending) };
        evidence.record_load(least / offered);
        evidence.tries = Some(tries);
        self.more_shards(shards_at(least, self.settings.target_utilization), evidence, missing)
    }
}

impl Case<'_> {
    /// The next step of an incident whose last step is done and has no evidence yet, where the least that the load can
    /// be already fills the shards of the last step. `None`: wait for the evidence.
    pub(super) fn certain_step(&mut self, stream: &Stream, policy: &StreamPolicy, history: &History) -> Option<Remedy> {
        let newest = self.newest_of(Side::Writes);
        let change =
            history.unverified().filter(|change| change.kind == ChangeKind::Scale && change.is_done(stream))?;
        let traffic = &self.observation.traffic;
        // AutoFix counts a change in its minute, so two changes need two minutes.
        let is_countable = Minute::of(change.at) < Minute::of(self.now);
        let is_settling = stream.mode == CapacityMode::Provisioned && history.settled(newest).is_err();
        let is_throttled = throttled_around(change, traffic, newest).last() == Some(&newest);
        let writes = Writes::of(traffic, newest);
        let is_full = writes.accepted >= FULL_MINUTE * f64::from(change.from.shards()?);
        if !(is_settling && is_countable && is_throttled && is_full && self.signal.undo().is_none()) {
            return None;
        }
        let tries = history.tries(traffic, newest)?;
        let least = writes.load(tries);
        let may_grow = history.not_refused_lately(self.now).and_then(|()| history.not_reverted_on_purpose(self.now));
        if least <= f64::from(stream.open_shards) || may_grow.is_err() {
            return None;
        }
        let window = [newest];
        let throttled = self.throttled(stream, policy, history, (&window, newest));
        let mut evidence = self.decision.evidence.clone();
        Throttling::seen(Side::Writes, &[traffic.minute(newest)], |_| true).record(Side::Writes, &mut evidence);
        (evidence.throttled_side, evidence.window_minutes) = (Some(Side::Writes), Some(1));
        let remedy = throttled.certain_growth(least, tries, &mut evidence, &mut self.missing);
        let scale = remedy.ok().filter(|remedy| matches!(remedy, Remedy::ScaleShards { .. }))?;
        self.decision.evidence = evidence;
        Some(scale)
    }
}
