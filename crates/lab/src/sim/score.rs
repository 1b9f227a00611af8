//! The result of a run in numbers: refusals and losses of producers, changes of the policy, and cost.

use super::shard::Second;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Throttling that returns within this time belongs to the same incident, in seconds. The time is longer than all
/// retries of a producer and than the two minutes between two successive changes. A shorter time would count one
/// incident twice; a longer one would merge separate incidents.
const SAME_INCIDENT: i64 = 5 * 60;

/// The score of one policy on one workload.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Records that producers had to write.
    pub offered: u64,
    /// Records that the stream accepted.
    pub accepted: u64,
    /// Refusals: a record that was refused three times counts three times.
    pub throttled: u64,
    /// Records that producers gave up.
    pub lost: u64,
    /// Refused `GetRecords` calls.
    pub reads_throttled: u64,
    /// Seconds with a refused record or a refused call of a reader.
    pub throttled_seconds: u64,
    /// Incidents: throttling that began after five minutes without.
    pub incidents: usize,
    /// The median duration of an incident, from its first refusal to its last, in seconds. `None`: nothing was refused.
    pub heal_seconds_median: Option<i64>,
    /// The longest duration of an incident. An incident that is not healed lasts to the end of the run.
    pub heal_seconds_longest: Option<i64>,
    /// Whether the run ends without an incident: nothing was refused in its last five minutes.
    pub is_healed: bool,
    /// Changes of capacity that AWS carried out for the policy.
    pub changes: u64,
    /// Changes on a workload with throttling that capacity cannot cure.
    pub changes_in_vain: u64,
    /// Calls of the policy that AWS refused.
    pub illegal_calls: u64,
    /// The refused calls by AWS's error code.
    pub refusals: BTreeMap<Cow<'static, str>, u64>,
    /// Calls of the policy to AWS's APIs, reads included.
    pub calls: u64,
    /// Open shards, added up over the hours. In on-demand mode AWS chooses the shards, and bills the traffic.
    pub shard_hours: f64,
    /// Hours in on-demand mode.
    pub on_demand_hours: f64,
    /// Paid capacity ÷ the capacity that the offered load would have filled completely.
    pub over_provision: f64,
    /// The cost of the stream, in USD (list prices, no reader).
    pub usd: f64,
}

impl Score {
    /// The score of a fleet: sums, the longest of the times to heal, and the median of the medians.
    pub fn of_fleet(scores: &[Score]) -> Score {
        let sum = |of: fn(&Score) -> u64| scores.iter().map(of).sum::<u64>();
        let add = |of: fn(&Score) -> f64| scores.iter().map(of).sum::<f64>();
        let mut medians: Vec<i64> = scores.iter().filter_map(|score| score.heal_seconds_median).collect();
        medians.sort_unstable();
        let mut refusals = BTreeMap::new();
        for (code, times) in scores.iter().flat_map(|score| &score.refusals) {
            *refusals.entry(code.clone()).or_default() += times;
        }
        Score {
            offered: sum(|s| s.offered),
            accepted: sum(|s| s.accepted),
            throttled: sum(|s| s.throttled),
            lost: sum(|s| s.lost),
            reads_throttled: sum(|s| s.reads_throttled),
            throttled_seconds: sum(|s| s.throttled_seconds),
            incidents: scores.iter().map(|score| score.incidents).sum(),
            heal_seconds_median: medians.get(medians.len().saturating_sub(1) / 2).copied(),
            heal_seconds_longest: scores.iter().filter_map(|score| score.heal_seconds_longest).max(),
            is_healed: scores.iter().all(|score| score.is_healed),
            changes: sum(|s| s.changes),
            changes_in_vain: sum(|s| s.changes_in_vain),
            illegal_calls: sum(|s| s.illegal_calls),
            refusals,
            calls: sum(|s| s.calls),
            shard_hours: add(|s| s.shard_hours),
            on_demand_hours: add(|s| s.on_demand_hours),
            over_provision: add(|s| s.over_provision) / scores.len().max(1) as f64,
            usd: add(|s| s.usd),
        }
    }
}

/// The counts of a run in progress.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    score: Score,
    shard_seconds: u64,
    /// Shards that the offered load would have filled completely, added up over the seconds.
    filled: f64,
    reads_refused: f64,
    /// The last second that has passed.
    now: i64,
    /// The first and last throttled second of the current incident.
    incident: Option<(i64, i64)>,
    healed_in: Vec<i64>,
}

impl Tally {
    /// Adds a second of the run with this number of open shards. Its new records would have filled `filled` shards. The
    /// readers' refused calls are `reads_refused`.
    pub fn pass(&mut self, now: i64, second: Second, open_shards: u64, filled: f64, reads_refused: f64) {
        self.score.offered += second.offered;
        self.score.accepted += second.accepted;
        self.score.throttled += second.throttled;
        self.score.lost += second.lost;
        self.shard_seconds += open_shards;
        self.filled += filled;
        self.reads_refused += reads_refused;
        self.now = now;
        if second.throttled > 0 || reads_refused > 0.0 {
            self.score.throttled_seconds += 1;
            self.throttled_at(now);
        }
    }

    fn throttled_at(&mut self, now: i64) {
        self.incident = match self.incident.take() {
            Some((first, last)) if now - last <= SAME_INCIDENT => Some((first, now)),
            over => {
                self.healed_in.extend(over.map(|(first, last)| last - first + 1));
                Some((now, now))
            }
        };
    }

    /// Adds a minute in on-demand mode.
    pub fn on_demand_minute(&mut self) {
        self.score.on_demand_hours += 1.0 / 60.0;
    }

    /// Adds a cost, in USD.
    pub fn spend(&mut self, usd: f64) {
        self.score.usd += usd;
    }

    /// Adds calls of the policy that read.
    pub fn count_reads(&mut self, calls: u64) {
        self.score.calls += calls;
    }

    /// Adds a call of the policy that writes; `refused`: the code of AWS's error.
    pub fn call(&mut self, refused: Option<&'static str>) {
        self.score.calls += 1;
        if let Some(code) = refused {
            self.score.illegal_calls += 1;
            *self.score.refusals.entry(Cow::Borrowed(code)).or_default() += 1;
        }
    }

    /// Adds a change of capacity that AWS has begun for the policy.
    pub fn change(&mut self) {
        self.score.changes += 1;
    }

    /// The score at the end.
    pub fn score(&self) -> Score {
        let mut healed_in = self.healed_in.clone();
        healed_in.extend(self.incident.map(|(first, last)| last - first + 1));
        healed_in.sort_unstable();
        Score {
            incidents: healed_in.len(),
            // Of an even number the lower one: a duration that occurred.
            heal_seconds_median: healed_in.get(healed_in.len().saturating_sub(1) / 2).copied(),
            heal_seconds_longest: healed_in.last().copied(),
            is_healed: self.incident.is_none_or(|(_, last)| self.now - last > SAME_INCIDENT),
            reads_throttled: self.reads_refused.round() as u64,
            shard_hours: self.shard_seconds as f64 / 3_600.0,
            over_provision: if self.filled > 0.0 { self.shard_seconds as f64 / self.filled } else { 0.0 },
            ..self.score.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(throttled: impl IntoIterator<Item = i64>) -> Score {
        let mut tally = Tally::default();
        let throttled: Vec<i64> = throttled.into_iter().collect();
        for now in 0..3_600 {
            let refused = u64::from(throttled.contains(&now));
            tally.pass(
                now,
                Second { offered: 2, accepted: 2 - refused, throttled: refused, lost: refused },
                4,
                2.0,
                0.0,
            );
        }
        tally.score()
    }

    #[test]
    fn an_incident_lasts_from_its_first_refusal_to_its_last() {
        let score = with((100..160).chain(400..410).chain([1_000]).chain(2_000..2_100));
        assert_eq!((score.incidents, score.throttled_seconds), (3, 171));
        assert_eq!((score.heal_seconds_median, score.heal_seconds_longest), (Some(100), Some(310)));
        assert_eq!((score.offered, score.accepted, score.lost), (7_200, 7_029, 171));
        assert!((score.shard_hours - 4.0).abs() < 1e-9);
    }

    #[test]
    fn a_run_without_throttling_has_no_incident() {
        let score = with([]);
        assert_eq!((score.incidents, score.heal_seconds_median, score.heal_seconds_longest), (0, None, None));
    }
}
