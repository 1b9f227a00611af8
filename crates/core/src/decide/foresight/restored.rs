//! Restores that know the coming hours.

use super::super::Case;
use super::super::demand::shards_at;
use super::super::history::History;
use super::super::peak::HOURS_AHEAD;
use super::level::HEADROOM;
use super::trend::is_rising;
use super::{KEPT_FOR_THROTTLES, load_of_past};
use crate::decision::Remedy;
use crate::memory::{ChangeKind, Memory, RESHARDS_A_DAY};
use crate::observation::{LOOKBACK_HOURS, Minute, Stream};
use crate::policy::{Foresight, StreamPolicy};
use chrono::{DateTime, TimeDelta, Utc};

/// A restore of a stream in foresight takes at least this share of the shards, unless it reaches those from before.
/// Many small steps down would spend the reshards that the next morning needs.
const LEAST_STEP: f64 = 0.2;

/// A restore that throttling follows within this time was too early: the load that needed the shards came back.
const TOO_EARLY: TimeDelta = TimeDelta::hours(6);

/// The calm hours double at most this often. Three hours become a day, which is all that an observation shows.
const MOST_DOUBLINGS: u32 = 3;

impl Case<'_> {
    /// The hours without throttling before a restore: twice as many after each restore that was too early.
    pub(in crate::decide) fn calm_hours(&self, policy: &StreamPolicy, history: &History) -> i64 {
        let hours = i64::from(self.policy.restore_after_hours);
        let is_doubled = policy.foresight == Foresight::Act;
        let early = if is_doubled { history.memory.early_restores.min(MOST_DOUBLINGS) } else { 0 };
        (hours << early).min(LOOKBACK_HOURS)
    }

    /// Whether the reshards that are left of the day are kept for throttles.
    pub(in crate::decide) fn is_kept_for_throttles(&self, policy: &StreamPolicy, history: &History) -> bool {
        let spent = history.budget(ChangeKind::Restore, self.now).0;
        policy.foresight == Foresight::Act && spent + KEPT_FOR_THROTTLES >= RESHARDS_A_DAY
    }

    /// The fewest shards that a restore may leave: those that a person has planned, and those that the next hours need
    /// as earlier days show them. `calm_peak`: the highest load of the hours that a restore looks at. Sets `missing`
    /// where the past was not read.
    pub(in crate::decide) fn kept_for_later(
        &mut self,
        stream: &Stream,
        policy: &StreamPolicy,
        history: &History,
        newest: Minute,
        calm_peak: f64,
    ) -> u32 {
        let planned = self.planned_shards(history);
        if policy.foresight != Foresight::Act {
            return planned;
        }
        let Some(past) = &self.observation.past else {
            self.missing.past = true;
            return planned;
        };
        if !self.is_calm(newest) || is_rising(&self.taken(newest)) {
            return stream.open_shards;
        }
        // The hours of yesterday count for every restore. A stream in foresight also looks at the same weekday.
        let hours = i64::from(self.policy.restore_after_hours).max(HOURS_AHEAD);
        let ahead = newest.plus(1 - 60 * 24 * 7).to(newest.plus(60 * hours - 60 * 24 * 7));
        let ahead = ahead.filter_map(|minute| load_of_past(past, stream, minute)).fold(0.0, f64::max);
        // At the target itself, the first noise would make it a level.
        let utilization = HEADROOM * self.policy.target_utilization;
        let evenness = self.evenness(newest, history.memory.base.unwrap_or(stream.open_shards), history);
        shards_at(ahead.max(calm_peak) / evenness, utilization).max(planned)
    }
}

/// Whether a restore of a stream with this policy is worth a reshard. `base`: the shards from before.
pub(in crate::decide) fn is_worth_a_reshard(remedy: &Remedy, policy: &StreamPolicy, base: u32) -> bool {
    let Remedy::Restore { from, to, .. } = *remedy else { return true };
    let is_large = f64::from(from - to) >= LEAST_STEP * f64::from(from);
    policy.foresight != Foresight::Act || to <= base || is_large
}

/// How often a restore was too early, after `remedy`. A change against throttling shows that the last restore was too
/// early. A further restore shows that the last one was not, if nothing was added within [`TOO_EARLY`] after it.
pub(super) fn early_restores(memory: &Memory, remedy: &Remedy, now: DateTime<Utc>) -> u32 {
    let last = memory.restores.last().copied();
    let early = memory.early_restores;
    match (remedy, last) {
        (Remedy::ScaleShards { .. } | Remedy::SplitShard { .. } | Remedy::SwitchToOnDemand { .. }, Some(last)) => {
            let is_first = !memory.reshards.iter().any(|at| *at > last);
            if is_first && now - last < TOO_EARLY { early.saturating_add(1).min(MOST_DOUBLINGS) } else { early }
        }
        (Remedy::Restore { .. }, last) => {
            let is_added = |last| memory.reshards.iter().any(|at| *at > last && *at - last < TOO_EARLY);
            if last.is_some_and(is_added) { early } else { early.saturating_sub(1) }
        }
        _ => early,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restore_forgives_the_last_one_unless_shards_were_added_within_six_hours_of_it() {
        let at = |hours: i64| DateTime::UNIX_EPOCH + TimeDelta::hours(hours);
        let early = |added: i64| {
            let reshards = vec![at(0), at(added)];
            let memory = Memory { restores: vec![at(0)], reshards, early_restores: 2, ..Memory::default() };
            early_restores(&memory, &Remedy::Restore { from: 4, to: 2, partial: None }, at(20))
        };
        assert_eq!((early(5), early(6), early(7)), (2, 1, 1));
    }

    #[test]
    fn shards_that_are_added_within_six_hours_of_a_restore_show_that_it_was_early_once() {
        let at = |hours: i64| DateTime::UNIX_EPOCH + TimeDelta::hours(hours);
        let scale = Remedy::ScaleShards { from: 2, to: 4, partial: None };
        let memory = Memory { restores: vec![at(0)], reshards: vec![at(0)], ..Memory::default() };
        let early = |memory: &Memory, hours| early_restores(memory, &scale, at(hours));
        assert_eq!((early(&memory, 5), early(&memory, 6)), (1, 0));
        let again = Memory { reshards: vec![at(0), at(1)], ..memory };
        assert_eq!(early(&again, 5), 0, "the first reshard after it has counted");
    }
}
