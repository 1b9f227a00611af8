//! Before a throttle: which load is expected, and whether the stream gets shards for it. Only streams whose owner asks
//! for it take part. A forecast never switches the capacity mode, and never leaves a bound.
//!
//! - `forecast`: the expected load, from `trend`, `profile` and `level`.
//! - `checked`: whether the last forecast was right, and how long wrong ones wait.
//! - `planned`: the shards that a person has planned.

mod checked;
mod forecast;
mod level;
mod planned;
mod profile;
mod restored;
#[cfg(test)]
mod tests;
mod trend;

use super::Case;
use super::demand::shards_at;
use super::history::History;
use crate::decision::{ExpectedBy, ForesightHeld, Reason, Remedy, Side, WRONG_IN_A_ROW};
use crate::memory::{ChangeKind, Forecast, Memory, Planned, RESHARDS_A_DAY};
use crate::observation::{CapacityMode, LOOKBACK_HOURS, Minute, Past, Stream};
use crate::policy::{Foresight, StreamPolicy};
use crate::signal::Signal;
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use forecast::{Expected, forecast, stays_high};
use level::{HEADROOM, HIGH, LEVEL_MINUTES};
use profile::{Profile, RESEMBLE_MINUTES, profile};
pub(super) use restored::is_worth_a_reshard;
use trend::TREND_MINUTES;

/// Reshards of a day that are kept for throttles, of the ten that AWS allows: four doublings are sixteen times the
/// load. With fewer kept, a forecast could leave a throttled stream without a reshard.
pub(super) const KEPT_FOR_THROTTLES: usize = 4;

/// How often a day a level is answered at most. Each answer brings the load down to the target utilization, so a load
/// that is high again and again grows, and throttling will show it.
const LEVELS_A_DAY: usize = 3;

/// Where the load has outgrown this number of changes within a day, without a restore between them, a change for a
/// trend goes to twice what is needed: otherwise growth would spend the day's reshards in small steps.
const SMALL_STEPS: usize = 2;

impl Case<'_> {
    /// The step towards the shards that a person has planned, or for the load that is expected. `None`: neither.
    pub(super) fn ahead(
        &mut self,
        stream: &Stream,
        policy: &StreamPolicy,
        history: &History,
        newest: Minute,
    ) -> Option<Remedy> {
        if stream.mode != CapacityMode::Provisioned {
            return None;
        }
        if self.planned_shards(history) > stream.open_shards {
            return self.planned_step(stream, policy, history, newest);
        }
        if policy.foresight == Foresight::Off {
            return None;
        }
        let expected = self.expected(stream, history, newest)?;
        let needed = self.needed_for(&expected, stream, history, newest);
        self.record_expected(&expected);
        if needed <= stream.open_shards {
            return None;
        }
        let is_only_reported = expected.by == ExpectedBy::Level && policy.foresight == Foresight::Observe;
        let is_known = is_only_reported && self.is_reported(stream, history, newest);
        match self.held(expected.by, history).or(is_known.then_some(ForesightHeld::Reported)) {
            None => self.step(needed, stream, policy, history, newest),
            held => {
                self.decision.evidence.foresight_held = held;
                None
            }
        }
    }

    /// The step for a load that stays high, where the stream would be held because it refuses less than the floor. No
    /// change against throttling follows there, and such a stream may refuse a little all day.
    pub(super) fn or_level(
        &mut self,
        reason: Reason,
        stream: &Stream,
        policy: &StreamPolicy,
        history: &History,
        newest: Minute,
    ) -> Result<Remedy, Reason> {
        let is_settled = history.settled(newest).is_ok() && history.is_unproven(newest).is_none();
        if !(is_settled && reason == Reason::Negligible && policy.foresight != Foresight::Off) {
            return Err(reason);
        }
        self.ahead(stream, policy, history, newest).ok_or(reason)
    }

    /// The load that is expected, if it is more than the stream should carry. Minutes that refused anything have
    /// retries, so they show no trend and no resemblance. A level counts what was accepted, so refusals below the floor
    /// do not change it.
    fn expected(&mut self, stream: &Stream, history: &History, newest: Minute) -> Option<Expected> {
        let is_calm = self.is_calm(newest);
        if !is_calm && self.is_throttled_in_level(newest) {
            return None;
        }
        let (loads, profile) = (self.taken(newest), self.profile(stream, history, newest));
        let capacity = self.capacity(stream, history, newest);
        if !is_calm {
            return stays_high(&loads, capacity, profile.as_ref());
        }
        let late = Minute::of(self.now).start().signed_duration_since(newest.start()).num_minutes();
        forecast(&loads, capacity, late, profile.as_ref())
    }

    /// Whether none of the last minutes refused anything.
    fn is_calm(&self, newest: Minute) -> bool {
        let traffic = &self.observation.traffic;
        !last(TREND_MINUTES, newest).any(|minute| traffic.minute(minute).is_throttled())
    }

    /// Whether one of the minutes of a level refused so much that it counts as throttled.
    fn is_throttled_in_level(&self, newest: Minute) -> bool {
        let counts = |minute| {
            let minute = self.observation.traffic.minute(minute);
            self.counts(Side::Writes, &minute) || self.counts(Side::Reads, &minute)
        };
        last(LEVEL_MINUTES, newest).any(counts)
    }

    /// The loads of the last minutes, oldest first, in full shards.
    fn taken(&self, newest: Minute) -> Vec<f64> {
        let traffic = &self.observation.traffic;
        last(TREND_MINUTES, newest).map(|minute| traffic.minute(minute).taken_shards()).collect()
    }

    /// What earlier days say of the next hours. Sets `missing` where the past was not read.
    fn profile(&mut self, stream: &Stream, history: &History, newest: Minute) -> Option<Profile> {
        let Some(past) = &self.observation.past else {
            self.missing.past = true;
            return None;
        };
        let traffic = &self.observation.traffic;
        let recent = last(RESEMBLE_MINUTES as usize, newest);
        let recent = recent.map(|minute| traffic.minute(minute).taken_shards()).sum::<f64>();
        let recent = recent / RESEMBLE_MINUTES as f64;
        let capacity = self.capacity(stream, history, newest);
        profile(newest, Minute::of(self.now), recent, capacity, |minute| load_of_past(past, stream, minute))
    }

    /// What the stream takes before its first shard is full, in full shards.
    fn capacity(&self, stream: &Stream, history: &History, newest: Minute) -> f64 {
        f64::from(stream.open_shards) * self.evenness_known(stream, history, newest)
    }

    /// How even the keys are, as throttled minutes show it. Refusals below the floor are bursts, and would make each
    /// load look high.
    fn evenness_known(&self, stream: &Stream, history: &History, newest: Minute) -> f64 {
        let base = history.memory.base.unwrap_or(stream.open_shards);
        self.evenness_where(newest, base, history, |minute| self.counts(Side::Writes, minute))
    }

    /// The shards that carry an expected load at the target utilization.
    fn needed_for(&self, expected: &Expected, stream: &Stream, history: &History, newest: Minute) -> u32 {
        let even = expected.to_carry / self.evenness_known(stream, history, newest);
        // The next step of a level is not known. After the first one of a day, the load has just shown its step.
        let is_unknown = expected.by == ExpectedBy::Level && self.aheads_today(history) == 0;
        let share = if is_unknown { HEADROOM } else { 1.0 };
        let needed = shards_at(even, share * self.policy.target_utilization);
        let restored = history.memory.restores.last();
        let grown = history.memory.reshards.iter().filter(|at| {
            self.now - **at < TimeDelta::hours(LOOKBACK_HOURS) && restored.is_none_or(|restored| restored < *at)
        });
        let is_outgrown = expected.by == ExpectedBy::Trend && grown.count() >= SMALL_STEPS;
        if is_outgrown { needed.saturating_mul(2) } else { needed }
    }

    fn record_expected(&mut self, expected: &Expected) {
        let at = Minute::of(self.now).plus(expected.in_minutes).start();
        let evidence = &mut self.decision.evidence;
        evidence.expected_by = Some(expected.by);
        evidence.expected_full_shards = Some(expected.full_shards);
        evidence.expected_at = Some(at);
        evidence.expected_days = expected.days.iter().map(|days| (at - TimeDelta::days(*days)).date_naive()).collect();
        evidence.target_utilization = Some(self.policy.target_utilization);
    }

    /// Why the stream gets no shards for an expected load. An unknown means a hold.
    fn held(&mut self, by: ExpectedBy, history: &History) -> Option<ForesightHeld> {
        if let Some(held) = self.held_by_today(history) {
            return Some(held);
        }
        if let Some(until) = checked::waits_until(history.memory.forecast, self.now) {
            let wrong = history.memory.forecast.map_or(0, |forecast| forecast.wrong);
            self.decision.evidence.foresight_waits_until = Some(until);
            self.decision.evidence.forecasts_wrong = Some(wrong).filter(|wrong| *wrong > 0);
            let is_open = history.memory.forecast.is_some_and(|forecast| forecast.shards.is_some());
            return Some(match (wrong >= WRONG_IN_A_ROW, is_open) {
                (true, _) => ForesightHeld::WrongLately,
                (false, true) => ForesightHeld::OneAnHour,
                (false, false) => ForesightHeld::WithinTheHour,
            });
        }
        (by == ExpectedBy::Level && self.aheads_today(history) >= LEVELS_A_DAY).then_some(ForesightHeld::LevelToday)
    }

    /// The changes of the last 24 hours that were made ahead of the load, and the levels that were only reported.
    fn aheads_today(&self, history: &History) -> usize {
        let Memory { aheads, levels, .. } = &history.memory;
        aheads.iter().chain(levels).filter(|at| self.is_of_today(**at)).count()
    }

    fn is_of_today(&self, at: DateTime<Utc>) -> bool {
        self.now - at < TimeDelta::hours(LOOKBACK_HOURS)
    }

    /// Whether the load has stayed high since the last report of today: the person knows it. It is over once each of
    /// ten minutes in a row was not high. A change would have ended it at once.
    fn is_reported(&self, stream: &Stream, history: &History, newest: Minute) -> bool {
        let Some(last) = history.memory.forecast.map(|last| last.at).filter(|at| self.is_of_today(*at)) else {
            return false;
        };
        let high = HIGH * self.capacity(stream, history, newest);
        let is_low = |minute: Minute| self.observation.traffic.minute(minute).taken_shards() <= high;
        let minutes: Vec<bool> = Minute::of(last).to(newest).map(is_low).collect();
        !minutes.windows(LEVEL_MINUTES).any(|ten| ten.iter().all(|is_low| *is_low))
    }

    /// What of today prevents a change ahead of the load, whatever it rests on.
    fn held_by_today(&self, history: &History) -> Option<ForesightHeld> {
        let is_refused = |kind| history.is_refused(kind, self.now);
        let spent = history.budget(ChangeKind::ScaleAhead, self.now).0;
        if history.is_lost(self.now) {
            Some(ForesightHeld::MemoryLost)
        } else if history.reverts(self.now) > 0 {
            Some(ForesightHeld::Reverted)
        } else if !history.split_histories(self.now).is_empty() {
            Some(ForesightHeld::HotShard)
        } else if is_refused(ChangeKind::ScaleAhead) || is_refused(ChangeKind::Scale) {
            Some(ForesightHeld::Refused)
        } else {
            (spent + KEPT_FOR_THROTTLES >= RESHARDS_A_DAY).then_some(ForesightHeld::KeptForThrottles)
        }
    }

    /// The step towards `needed` shards that every bound of a throttled stream allows as well.
    fn step(
        &mut self,
        needed: u32,
        stream: &Stream,
        policy: &StreamPolicy,
        history: &History,
        newest: Minute,
    ) -> Option<Remedy> {
        let window = self.window(history);
        let stream_now = self.throttled(stream, policy, history, (&window, newest));
        let evidence = &mut self.decision.evidence;
        evidence.shards_needed = Some(needed);
        evidence.target_utilization = Some(self.policy.target_utilization);
        match stream_now.scale(needed, false, &mut self.missing) {
            Ok(Remedy::ScaleShards { from, to, partial }) => Some(Remedy::ScaleAhead { from, to, partial }),
            Ok(_) => None,
            Err(bound) => {
                evidence.foresight_held = Some(ForesightHeld::Bound);
                evidence.foresight_bound = Some(bound.name());
                None
            }
        }
    }

    /// The memory that announces `remedy`. Where the stream only observes what is expected, it has the forecast alone.
    pub(super) fn remembered(
        &mut self,
        remedy: &Remedy,
        stream: &Stream,
        policy: &StreamPolicy,
        history: &mut History,
    ) -> Memory {
        let by = self.decision.evidence.expected_by;
        let is_forecast = matches!(remedy, Remedy::ScaleAhead { .. }) && by != Some(ExpectedBy::Plan);
        if is_forecast {
            self.remember_forecast(&mut history.memory, stream.open_shards);
        }
        self.is_forecast_only = is_forecast && policy.foresight != Foresight::Act;
        // Without a memory, each sweep would notify again.
        self.is_repeated |= is_forecast && !self.decision.may_change() && matches!(self.signal, Signal::Sweep(_));
        if self.is_forecast_only {
            self.remember_level(&mut history.memory);
            return history.memory.clone();
        }
        let early = restored::early_restores(&history.memory, remedy, self.now);
        let memory = self.intent(remedy, stream, history);
        let early_restores = if policy.foresight == Foresight::Act { early } else { memory.early_restores };
        // Only a restore that a person forces goes below a plan. The next sweep would revert it.
        let is_left = |planned: &Planned| !matches!(remedy, Remedy::Restore { to, .. } if *to < planned.at_least);
        Memory { early_restores, planned: memory.planned.filter(is_left), ..memory }
    }

    /// A level that is only reported counts as one of the day, as a change for it would.
    fn remember_level(&self, memory: &mut Memory) {
        if self.decision.evidence.expected_by == Some(ExpectedBy::Level) {
            memory.levels.retain(|at| self.is_of_today(*at));
            memory.levels.push(self.now.trunc_subsecs(0));
        }
    }

    fn remember_forecast(&self, memory: &mut Memory, from: u32) {
        let by = self.decision.evidence.expected_by;
        let wrong = memory.forecast.map_or(0, |forecast| forecast.wrong);
        // A level says that little is left, and not that a load comes. So it is not checked.
        let shards = (by != Some(ExpectedBy::Level)).then_some(from);
        memory.forecast = Some(Forecast { at: self.now.trunc_subsecs(0), shards, wrong });
    }
}

/// This number of minutes up to `newest`.
fn last(minutes: usize, newest: Minute) -> impl Iterator<Item = Minute> {
    newest.plus(1 - minutes as i64).to(newest)
}

/// The load of a minute of the past, in full shards. `None`: unknown, or before the stream.
fn load_of_past(past: &Past, stream: &Stream, minute: Minute) -> Option<f64> {
    let is_older = stream.created_at.is_some_and(|created| minute.start() < created);
    past.load(minute).filter(|_| !is_older)
}
