//! The shards of a stream over the time of its past, as far as unthrottle changed them: its memory tag and the metric
//! AutoFix show these changes. CloudWatch keeps no number of shards.

use super::Counted;
use unthrottle_core::decision::Remedy;
use unthrottle_core::memory::{ChangeKind, Memory};
use unthrottle_core::observation::Minute;
use unthrottle_core::words::change;

/// A change of the number of shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub minute: Minute,
    pub from: u32,
    pub to: u32,
}

/// A change of the number of shards whose size is not known whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unsized {
    pub minute: Minute,
    /// The shards after it.
    pub to: u32,
}

/// What is known of the shards in the past.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ShardsOverTime {
    /// The known changes, oldest first.
    pub changes: Vec<Step>,
    /// The newest change whose size is not known. Before it, the number of shards may have been another.
    pub unsized_change: Option<Unsized>,
    /// Another person or tool changed the shards after this change of ours, at a time that is not known.
    pub others_after: Option<Step>,
}

impl ShardsOverTime {
    /// Goes back from the `open` shards of today: to the last change, which the memory has with its sizes, over the
    /// raises from the shards that the memory keeps from before the first of them, and over splits, which add one shard
    /// each, up to the first change of unknown size. `period_minutes`: the period of what was counted.
    pub fn of(memory: &Memory, counted: &[Counted], open: u32, period_minutes: i64) -> ShardsOverTime {
        let mut found = ShardsOverTime::default();
        let mut shards = open;
        let of_shards = counted.iter().filter(|change| changes_shards(change.action));
        let mut events: Vec<Counted> = of_shards.flat_map(|change| singly(*change, period_minutes)).collect();
        events.sort_by_key(|change| std::cmp::Reverse(change.at));
        if let Some(last) = last(memory) {
            if events.first().is_some_and(|newest| Minute::of(newest.at) > last.minute) {
                found.unsized_change = Some(Unsized { minute: last.minute, to: last.to });
                return found;
            }
            found.others_after = Some(Step { from: last.to, to: open, ..last }).filter(|_| last.to != open);
            found.changes.push(last);
            shards = last.from;
            leave_before(&mut events, memory, last.minute, period_minutes);
            if let Some(base) = memory.base.filter(|base| *base < shards) {
                let raises = events.iter().take_while(|event| is_raise(event)).count();
                let raises: Vec<Minute> = events.drain(..raises).map(|event| Minute::of(event.at)).collect();
                if !raises.is_empty() {
                    found.add_raises(base, shards, &raises);
                    shards = base;
                }
            }
        }
        for event in events {
            let minute = Minute::of(event.at);
            if event.action != Remedy::code_of(ChangeKind::Split) || event.count > 1.0 || shards < 2 {
                found.unsized_change = found.unsized_change.or(Some(Unsized { minute, to: shards }));
                break;
            }
            found.changes.push(Step { minute, from: shards - 1, to: shards });
            shards -= 1;
        }
        found.changes.reverse();
        found
    }

    /// The changes whose sizes have one answer.
    pub fn certain(&self) -> impl Iterator<Item = &Step> {
        let is_certain = |step: &&Step| self.unsized_change.is_none_or(|change| step.minute > change.minute);
        self.changes.iter().filter(is_certain)
    }

    /// What of it is doubtful, in sentences. Empty: nothing.
    pub fn doubts(&self) -> Vec<String> {
        let time = |minute: Minute| minute.start().format("%Y-%m-%d %H:%M");
        let of_unknown_size = self.unsized_change.map(|Unsized { minute, .. }| {
            format!(
                "Doubtful: a change of {} UTC has no known size, so the shards before it may have been others. Give \
                 their number with --shards.",
                time(minute)
            )
        });
        let of_others = self.others_after.map(|Step { minute, from, to }| {
            format!(
                "Doubtful: another person or tool changed {} after {} UTC. The time is not known, so the past ends \
                 without that change.",
                change(from, to, "shard"),
                time(minute)
            )
        });
        of_unknown_size.into_iter().chain(of_others).collect()
    }

    /// Adds raises, newest first, which took the stream together from `base` to `shards`. Each adds a shard, and at
    /// most doubles them (AWS's limit), which may leave one answer. Otherwise the earlier ones count as large as they
    /// can be.
    fn add_raises(&mut self, base: u32, shards: u32, raises: &[Minute]) {
        let mut to = shards;
        for (place, minute) in raises.iter().enumerate() {
            let earlier = (raises.len() - 1 - place).try_into().unwrap_or(u32::MAX);
            let most = base.saturating_mul(2_u32.saturating_pow(earlier)).min(to.saturating_sub(1));
            let is_known = base.saturating_add(earlier).max(to.div_ceil(2)) >= most;
            if !is_known {
                self.unsized_change = self.unsized_change.or(Some(Unsized { minute: *minute, to }));
            }
            self.changes.push(Step { minute: *minute, from: most, to });
            to = most;
        }
    }
}

/// The most changes of a period that count each by itself. AWS allows ten calls of UpdateShardCount in 24 hours, and
/// other people and tools can write any number to this metric.
const MOST_IN_A_PERIOD: f64 = 10.0;

/// The changes of a period, each by itself. Two in the same minute are one change that two runs announced.
fn singly(counted: Counted, period_minutes: i64) -> impl Iterator<Item = Counted> {
    let is_split = period_minutes > 1 && (1.0..=MOST_IN_A_PERIOD).contains(&counted.count);
    // The cast is exact below the bound.
    let times = if is_split { counted.count as usize } else { 1 };
    let count = if is_split { 1.0 } else { counted.count };
    std::iter::repeat_n(Counted { count, ..counted }, times)
}

/// Leaves the events before the last change, which has one of its period. The other events of a longer period come
/// before it.
fn leave_before(events: &mut Vec<Counted>, memory: &Memory, last: Minute, period_minutes: i64) {
    let is_of_period = |event: &Counted| Minute::of(event.at).plus(period_minutes) > last;
    if period_minutes <= 1 {
        return events.retain(|event| !is_of_period(event));
    }
    let action = memory.change.as_ref().map(|change| Remedy::code_of(change.kind));
    if let Some(place) = events.iter().position(|event| is_of_period(event) && Some(event.action) == action) {
        events.remove(place);
    }
}

/// The last change of the memory, if it was one of the number of shards.
fn last(memory: &Memory) -> Option<Step> {
    let change = memory.change.as_ref().filter(|change| change.kind != ChangeKind::Lost)?;
    let (from, to) = (change.from.shards()?, change.to.shards()?);
    (from != to && !memory.is_change_refused()).then_some(Step { minute: Minute::of(change.at), from, to })
}

/// Whether it is one change to more shards, by any number.
fn is_raise(event: &Counted) -> bool {
    let is_of = |kind| event.action == Remedy::code_of(kind);
    event.count <= 1.0 && (is_of(ChangeKind::Scale) || is_of(ChangeKind::ScaleAhead))
}

/// Whether a remedy changes the number of shards.
pub(crate) fn changes_shards(action: &str) -> bool {
    use ChangeKind::{Restore, Scale, ScaleAhead, Split};
    [Scale, ScaleAhead, Split, Restore].into_iter().any(|kind| Remedy::code_of(kind) == action)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{DateTime, TimeDelta, Utc};
    use unthrottle_core::memory::Change;

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::minutes(minute)
    }

    fn counted(action: &'static str, minute: i64) -> Counted {
        Counted { at: at(minute), action, count: 1.0 }
    }

    fn remembered(kind: ChangeKind, from: u32, to: u32, minute: i64) -> Memory {
        Memory::default().intend(Change::intent(kind, from, to, at(minute)), false)
    }

    fn step(minute: i64, from: u32, to: u32) -> Step {
        Step { minute: Minute::of(at(minute)), from, to }
    }

    #[test]
    fn without_changes_the_shards_are_those_of_today() {
        assert_eq!(ShardsOverTime::of(&Memory::default(), &[], 4, 1), ShardsOverTime::default());
    }

    #[test]
    fn the_last_change_and_splits_are_known_and_an_older_change_is_not() {
        let memory = remembered(ChangeKind::Scale, 3, 6, 500);
        let all = [counted("scale_shards", 100), counted("split_shard", 300), counted("scale_shards", 500)];
        let found = ShardsOverTime::of(&memory, &all, 6, 1);
        assert_eq!(found.changes, [step(300, 2, 3), step(500, 3, 6)]);
        assert_eq!(found.unsized_change, Some(Unsized { minute: Minute::of(at(100)), to: 2 }));
    }

    #[test]
    fn a_change_by_others_after_it_leaves_the_known_changes() {
        let memory = remembered(ChangeKind::Scale, 2, 4, 500);
        let found = ShardsOverTime::of(&memory, &[counted("scale_shards", 500)], 5, 1);
        assert_eq!(found.changes, [step(500, 2, 4)]);
        assert_eq!((found.others_after, found.unsized_change), (Some(step(500, 4, 5)), None));
    }

    #[test]
    fn a_memory_that_is_older_than_the_metric_makes_the_past_unknown() {
        let memory = remembered(ChangeKind::Scale, 2, 4, 400);
        let found = ShardsOverTime::of(&memory, &[counted("scale_shards", 400), counted("scale_shards", 500)], 8, 1);
        assert_eq!(found.changes, []);
        assert_eq!(found.unsized_change, Some(Unsized { minute: Minute::of(at(400)), to: 4 }));
    }

    #[test]
    fn raises_of_one_incident_go_back_to_the_shards_before_it() {
        let of = |base, from, to, minutes: &[i64]| {
            let memory = Memory { base: Some(base), ..remembered(ChangeKind::Scale, from, to, 500) };
            let all: Vec<_> = minutes.iter().map(|minute| counted("scale_shards", *minute)).collect();
            ShardsOverTime::of(&memory, &all, to, 1)
        };
        let found = of(2, 4, 7, &[400, 500]);
        assert_eq!((found.changes, found.unsized_change), (vec![step(400, 2, 4), step(500, 4, 7)], None));
        let found = of(2, 7, 14, &[300, 400, 500]);
        let steps = vec![step(300, 2, 4), step(400, 4, 7), step(500, 7, 14)];
        assert_eq!((found.changes, found.unsized_change), (steps, None));
        // 3 → 4 → 6 would be possible, too.
        let found = of(3, 6, 12, &[300, 400, 500]);
        assert_eq!(found.changes[..2], [step(300, 3, 5), step(400, 5, 6)]);
        assert_eq!(found.unsized_change, Some(Unsized { minute: Minute::of(at(400)), to: 6 }));
        // An older incident began before the base was kept.
        assert_eq!(of(2, 4, 7, &[500]).changes, [step(500, 4, 7)]);
    }
    #[test]
    fn in_a_longer_period_the_last_change_is_no_raise_before_itself() {
        let memory = Memory { base: Some(2), ..remembered(ChangeKind::Scale, 4, 7, 503) };
        let found = ShardsOverTime::of(&memory, &[counted("scale_shards", 400), counted("scale_shards", 500)], 7, 5);
        assert_eq!((found.changes, found.unsized_change), (vec![step(400, 2, 4), step(503, 4, 7)], None));
        // Two changes of the same period.
        let all = [Counted { count: 2.0, ..counted("scale_shards", 500) }];
        let found = ShardsOverTime::of(&memory, &all, 7, 5);
        assert_eq!((found.changes, found.unsized_change), (vec![step(500, 2, 4), step(503, 4, 7)], None));
    }

    #[test]
    fn a_size_that_is_one_of_several_answers_is_not_certain() {
        let memory = Memory { base: Some(3), ..remembered(ChangeKind::Scale, 6, 12, 500) };
        let all = [counted("scale_shards", 300), counted("scale_shards", 400), counted("scale_shards", 500)];
        let found = ShardsOverTime::of(&memory, &all, 12, 1);
        assert_eq!(found.certain().copied().collect::<Vec<_>>(), [step(500, 6, 12)]);
    }
}
