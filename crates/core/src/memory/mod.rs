//! What unthrottle remembers of a stream, kept on the stream itself as the tag [`TAG`].

mod change;
mod codec;
mod foreseen;
mod recent;

pub use change::{Change, ChangeKind, Size};
pub use codec::{MAX_LENGTH, MemoryError, TAG};
pub use foreseen::{Forecast, Planned};
pub use recent::supported;

use crate::observation::{LOOKBACK_HOURS, SHARD_METRICS};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

/// AWS's cap in any 24 hours: `UpdateShardCount` ten times (its API reference). The memory keeps as many times: an
/// older one changes no budget, and would not fit the tag.
pub(crate) const RESHARDS_A_DAY: usize = 10;

/// AWS's cap in any 24 hours: `UpdateStreamMode` twice (its API reference). The memory keeps as many times.
pub(crate) const SWITCHES_A_DAY: usize = 2;

/// The reverts that the memory keeps. No decision asks for more.
const REVERTS_REMEMBERED: usize = 2;

/// Refusals are a row while the next comes within this time. A throttled stream is tried again after one and after five
/// minutes, and the sweep that finds it may come minutes later. With less time, a lost sweep would begin the row
/// anew; with more, a rate that was used up twice a day would look like a spent day.
const ROW_OF_REFUSALS: TimeDelta = TimeDelta::minutes(15);

/// More tries of a record than this are not told apart from endless ones: they hardly change the load. A try each
/// second for the 30 s of the Kinesis Producer Library's RecordTtl is 31 tries. With a smaller number, such producers
/// would stay unknown.
pub(crate) const MOST_TRIES: u32 = 64;

/// What unthrottle remembers of one stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    /// The last change, or the intent of one.
    pub change: Option<Change>,
    /// An earlier change whose AutoFix datum CloudWatch did not show when the last change was announced.
    pub unpublished: Option<(ChangeKind, DateTime<Utc>)>,
    /// When that datum was sent again because it was missing.
    pub resent: Option<DateTime<Utc>>,
    /// When each reshard of the last 24 h was made, oldest first; includes the last change.
    pub reshards: Vec<DateTime<Utc>>,
    /// Those of them that were restores.
    pub restores: Vec<DateTime<Utc>>,
    /// When each switch of capacity mode in the last 24 h was made, oldest first; includes the last change.
    pub switches: Vec<DateTime<Utc>>,
    /// The shards that the stream had before the incident, kept until they are restored.
    pub base: Option<u32>,
    /// The stream is in on-demand mode because we switched it.
    pub was_provisioned: bool,
    /// The split histories of the hot shards that were split in the last 24 h.
    pub split_histories: Vec<SplitHistory>,
    /// The shard-level metrics that we switched on, or off again.
    pub shard_metrics: Option<ShardMetrics>,
    /// AWS's last refusal of a change, until a change is accepted.
    pub refused: Option<Refusal>,
    /// When another person or tool was found to have reverted our changes in the last 24 h, oldest first.
    pub reverts: Vec<DateTime<Utc>>,
    /// The code of the hold that people last got a message about, and when.
    pub notified: Option<(String, DateTime<Utc>)>,
    /// The same of another hold, before that one.
    pub notified_before: Option<(String, DateTime<Utc>)>,
    /// When something last prevented a restore.
    pub restore_tried: Option<DateTime<Utc>>,
    /// Those of `reshards` that were made before the load came.
    pub aheads: Vec<DateTime<Utc>>,
    /// When levels of the last 24 h were only reported, because foresight observes, oldest first.
    pub levels: Vec<DateTime<Utc>>,
    /// The last forecast, and how many in a row were wrong.
    pub forecast: Option<Forecast>,
    /// The shards that a person has planned.
    pub planned: Option<Planned>,
    /// How often a restore was too early: throttling followed it within hours. Counts down with each that was not.
    pub early_restores: u32,
    /// How often the producers try a record at most, 1 to 64, as a change of ours showed it.
    pub tries: Option<u32>,
    /// Words of a newer version, kept as they are.
    pub newer: Vec<(String, String)>,
}

/// The splits of one hot shard, and of its children that stayed hot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SplitHistory {
    /// The number of the shard that was split last.
    pub shard: u64,
    /// How many splits the history has. Before each but the first, one child had kept nearly all the load.
    pub splits: u32,
    /// When the last split was announced.
    pub at: DateTime<Utc>,
}

/// Shard-level metrics for a diagnosis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardMetrics {
    /// Those of [`SHARD_METRICS`] that we switched on. `None`: we switched them off again.
    pub on: Option<[bool; 3]>,
    /// When we switched them on or off.
    pub at: DateTime<Utc>,
}

impl ShardMetrics {
    /// The metrics that are on because of us.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        let on = self.on.unwrap_or_default();
        SHARD_METRICS.into_iter().zip(on).filter(|(_, on)| *on).map(|(metric, _)| metric)
    }
}

/// AWS refused a change of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What was refused.
    pub kind: ChangeKind,
    /// For how long AWS has refused it with `LimitExceededException`, which is rate, quota and daily cap in one: 1
    /// after the first refusal, then the minutes since the first, at least 2. 0: AWS refused it for another reason.
    pub minutes: u32,
    /// When it was refused last.
    pub at: DateTime<Utc>,
}

impl Memory {
    /// The memory that announces `change`. It is written before the change itself, and never removed. `void`: the last
    /// change was never made, so the memory gives its place in the budget back.
    #[must_use]
    pub fn intend(&self, change: Change, void: bool) -> Memory {
        let mut next = self.clone();
        if void && let Some(gone) = &self.change {
            next.reshards.retain(|t| *t != gone.at);
            next.restores.retain(|t| *t != gone.at);
            next.aheads.retain(|t| *t != gone.at);
            next.switches.retain(|t| *t != gone.at);
        }
        let recent = |times: &mut Vec<DateTime<Utc>>, most: usize| {
            times.retain(|t| change.at - *t < TimeDelta::hours(LOOKBACK_HOURS));
            times.drain(..times.len().saturating_sub(most));
        };
        match change.kind {
            ChangeKind::Scale => next.reshards.push(change.at),
            ChangeKind::ScaleAhead => {
                next.reshards.push(change.at);
                next.aheads.push(change.at);
            }
            ChangeKind::Restore => {
                next.reshards.push(change.at);
                next.restores.push(change.at);
            }
            ChangeKind::Switch | ChangeKind::SwitchBack => next.switches.push(change.at),
            ChangeKind::Split
            | ChangeKind::WarmUp
            | ChangeKind::EnableShardMetrics
            | ChangeKind::DisableShardMetrics => {}
            ChangeKind::Lost | ChangeKind::External => {}
        }
        let fresh = |at: DateTime<Utc>| change.at - at < TimeDelta::hours(LOOKBACK_HOURS);
        next.split_histories.retain(|split| fresh(split.at));
        next.shard_metrics = next.shard_metrics.filter(|metrics| metrics.on.is_some() || fresh(metrics.at));
        recent(&mut next.reshards, RESHARDS_A_DAY);
        recent(&mut next.restores, RESHARDS_A_DAY);
        recent(&mut next.aheads, RESHARDS_A_DAY);
        recent(&mut next.levels, RESHARDS_A_DAY);
        recent(&mut next.switches, SWITCHES_A_DAY);
        recent(&mut next.reverts, REVERTS_REMEMBERED);
        next.forget_notifications(|(_, at)| !fresh(*at));
        next.restore_tried = None;
        next.change = Some(change);
        next
    }

    /// Records that people got a message about the hold with this code at `at`.
    pub(crate) fn record_notified(&mut self, code: &str, at: DateTime<Utc>) {
        let last = self.notified.replace((code.into(), at.trunc_subsecs(0)));
        if let Some(last) = last.filter(|(before, _)| before != code) {
            self.notified_before = Some(last);
        }
    }

    /// The holds that people last got a message about, by their codes, and when.
    pub(crate) fn notifications(&self) -> impl Iterator<Item = &(String, DateTime<Utc>)> {
        [&self.notified, &self.notified_before].into_iter().flatten()
    }

    /// Forgets the notifications for which this holds.
    pub(crate) fn forget_notifications(&mut self, is_over: impl Fn(&(String, DateTime<Utc>)) -> bool) {
        for notified in [&mut self.notified, &mut self.notified_before] {
            notified.take_if(|notified| is_over(notified));
        }
    }

    /// Whether AWS has refused the last change: it was never made.
    pub fn is_change_refused(&self) -> bool {
        let (Some(change), Some(refused)) = (&self.change, &self.refused) else { return false };
        refused.kind == change.kind && refused.at >= change.at
    }

    /// The memory after AWS refused `kind` at `at`; `limit`: with `LimitExceededException`. A refusal long after the
    /// last one begins a row of its own: calm hours between two busy seconds are no row.
    #[must_use]
    pub fn refuse(&self, kind: ChangeKind, at: DateTime<Utc>, limit: bool) -> Memory {
        let at = at.trunc_subsecs(0);
        let again = self.refused.filter(|r| r.kind == kind && at - r.at <= ROW_OF_REFUSALS);
        let known = again.filter(|r| r.minutes > 0);
        let minutes = match known {
            None => u32::from(limit),
            Some(known) if !limit => known.minutes,
            Some(known) => {
                // The first refusal of the row has no minutes before it.
                let before = if known.minutes == 1 { 0 } else { known.minutes };
                u32::try_from((at - known.at).num_minutes()).unwrap_or_default().saturating_add(before).max(2)
            }
        };
        Memory { refused: Some(Refusal { kind, minutes, at }), ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(1_790_000_000 + seconds)
    }

    #[test]
    fn an_intent_that_replaces_a_void_one_gives_its_budget_back() {
        let first = Memory::default().intend(Change::intent(ChangeKind::Scale, 4, 8, at(0)), false);
        let second = Change::intent(ChangeKind::Scale, 4, 8, at(300));
        assert_eq!(first.intend(second.clone(), true).reshards, [at(300)]);
        assert_eq!(first.intend(second, false).reshards, [at(0), at(300)]);
    }

    #[test]
    fn a_void_change_gives_back_its_own_place_in_its_budget_and_no_other() {
        let lists = |m: &Memory| (m.reshards.clone(), m.restores.clone(), m.aheads.clone(), m.switches.clone());
        for kind in [ChangeKind::Scale, ChangeKind::ScaleAhead, ChangeKind::Restore, ChangeKind::Switch] {
            let earlier = Memory::default().intend(Change::intent(kind, 4, 8, at(-600)), false);
            let void = earlier.intend(Change::intent(kind, 4, 8, at(0)), false);
            assert_ne!(lists(&void), lists(&earlier), "{kind}");
            let next = void.intend(Change::intent(ChangeKind::WarmUp, 4, 8, at(300)), true);
            assert_eq!(lists(&next), lists(&earlier), "{kind}");
        }
    }

    #[test]
    fn refusals_add_up_only_in_a_row_and_of_one_kind() {
        let once = Memory::default().refuse(ChangeKind::Scale, at(0), true);
        let minutes = |m: Memory| m.refused.expect("refused").minutes;
        assert_eq!(minutes(once.refuse(ChangeKind::Scale, at(60), true)), 2, "twice, however soon");
        assert_eq!(minutes(once.refuse(ChangeKind::Scale, at(900), true)), 15);
        let thrice = once.refuse(ChangeKind::Scale, at(300), true).refuse(ChangeKind::Scale, at(660), true);
        assert_eq!(minutes(thrice), 11);
        assert_eq!(minutes(once.refuse(ChangeKind::Switch, at(60), true)), 1);
        assert_eq!(minutes(once.refuse(ChangeKind::Scale, at(901), true)), 1, "a row of its own");
        assert_eq!(
            minutes(once.refuse(ChangeKind::Scale, at(60), false)),
            1,
            "no limit: it says nothing of the budget"
        );
    }
}
