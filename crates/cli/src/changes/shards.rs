//! The shards of a stream over the time of its past, as far as unthrottle changed them: its memory tag and the metric
//! AutoFix show these changes. CloudWatch keeps no number of shards.

use super::Counted;
use unthrottle_core::decision::Remedy;
use unthrottle_core::memory::{ChangeKind, Memory};
use unthrottle_core::observation::Minute;

/// A change of the number of shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub minute: Minute,
    pub from: u32,
    pub to: u32,
}

/// What is known of the shards in the past.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ShardsOverTime {
    /// The known changes, oldest first.
    pub changes: Vec<Step>,
    /// The newest change whose size is not known. Before it, the number of shards may have been another.
    pub unknown_before: Option<Minute>,
}

impl ShardsOverTime {
    /// Goes back from the `open` shards of today: to the last change, which the memory has with its sizes, over splits,
    /// which add one shard each, up to the first change of unknown size.
    pub fn of(memory: &Memory, counted: &[Counted], open: u32) -> ShardsOverTime {
        let mut found = ShardsOverTime::default();
        let mut shards = open;
        let mut events: Vec<Counted> = counted.iter().copied().filter(|change| changes_shards(change.action)).collect();
        events.sort_by_key(|change| std::cmp::Reverse(change.at));
        let last = memory.change.as_ref().filter(|change| change.from.shards() != change.to.shards());
        let last = last.filter(|change| change.kind != ChangeKind::Lost && !memory.is_change_refused());
        if let Some(change) = last
            && let (Some(from), Some(to)) = (change.from.shards(), change.to.shards())
        {
            let minute = Minute::of(change.at);
            if to != open || events.first().is_some_and(|newest| Minute::of(newest.at) > minute) {
                return ShardsOverTime { unknown_before: Some(minute), ..found };
            }
            found.changes.push(Step { minute, from, to });
            shards = from;
            events.retain(|event| Minute::of(event.at) < minute);
        }
        for event in events {
            let minute = Minute::of(event.at);
            if event.action != Remedy::code_of(ChangeKind::Split) || event.count > 1.0 || shards < 2 {
                found.unknown_before = Some(minute);
                break;
            }
            found.changes.push(Step { minute, from: shards - 1, to: shards });
            shards -= 1;
        }
        found.changes.reverse();
        found
    }
}

/// Whether a remedy changes the number of shards.
fn changes_shards(action: &str) -> bool {
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
        assert_eq!(ShardsOverTime::of(&Memory::default(), &[], 4), ShardsOverTime::default());
    }

    #[test]
    fn the_last_change_and_splits_are_known_and_an_older_change_is_not() {
        let memory = remembered(ChangeKind::Scale, 3, 6, 500);
        let all = [counted("scale_shards", 100), counted("split_shard", 300), counted("scale_shards", 500)];
        let found = ShardsOverTime::of(&memory, &all, 6);
        assert_eq!(found.changes, [step(300, 2, 3), step(500, 3, 6)]);
        assert_eq!(found.unknown_before, Some(Minute::of(at(100))));
    }

    #[test]
    fn a_change_by_others_after_it_makes_the_past_unknown() {
        let memory = remembered(ChangeKind::Scale, 2, 4, 500);
        let found = ShardsOverTime::of(&memory, &[counted("scale_shards", 500)], 8);
        assert_eq!(found.changes, []);
        assert_eq!(found.unknown_before, Some(Minute::of(at(500))));
    }
}
