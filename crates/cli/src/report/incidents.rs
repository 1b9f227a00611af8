//! Finds the incidents in a stream's steps.

use super::document::{Incident, STEP_MINUTES};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeMap;

/// Five minutes of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Step {
    pub bytes: f64,
    pub records: f64,
    pub refused_records: f64,
    pub refused_reads: f64,
    /// Changes of the function.
    pub changes: f64,
    /// Changes that a check found to have worked, and the seconds that they took together.
    pub healed: f64,
    pub heal_seconds: f64,
}

impl Step {
    pub fn refused(&self) -> f64 {
        self.refused_records + self.refused_reads
    }
}

/// The time without a refusal that ends an incident. A shorter time makes two incidents of one whose load pauses; a
/// longer time makes one of two.
const OVER_AFTER: TimeDelta = TimeDelta::minutes(30);

/// A check finds that a change has worked within this time after the last refusal. Without a sweep it may be later,
/// and then the incident has no measured time.
const VERIFIED_WITHIN: TimeDelta = TimeDelta::hours(1);

/// The incidents, the oldest first. `to`: the end of the steps.
pub(super) fn find(steps: &BTreeMap<DateTime<Utc>, Step>, to: DateTime<Utc>) -> Vec<Incident> {
    let length = TimeDelta::minutes(STEP_MINUTES);
    let mut incidents: Vec<Incident> = vec![];
    for (at, step) in steps.iter().filter(|(_, step)| step.refused() > 0.0) {
        let end = *at + length;
        match incidents.last_mut().filter(|last| *at - last.to < OVER_AFTER) {
            Some(last) => {
                last.to = end;
                last.refused_records += step.refused_records;
                last.refused_reads += step.refused_reads;
            }
            None => incidents.push(Incident {
                from: *at,
                to: end,
                is_open: false,
                refused_records: step.refused_records,
                refused_reads: step.refused_reads,
                changes: 0,
                time_to_heal_seconds: None,
            }),
        }
    }
    for incident in &mut incidents {
        incident.is_open = to - incident.to < OVER_AFTER;
        let during = steps.range(incident.from - length..incident.to + length);
        incident.changes = during.map(|(_, step)| step.changes).sum::<f64>() as u32;
        let healed = steps.range(incident.from..incident.to + VERIFIED_WITHIN).find(|(_, step)| step.healed > 0.0);
        incident.time_to_heal_seconds = healed.map(|(_, step)| step.heal_seconds / step.healed);
    }
    incidents
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_an_hour_without_a_refusal_ends_an_incident() {
        let at = |minutes: i64| DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes);
        let refused = |records| Step { refused_records: records, ..Step::default() };
        let mut steps = BTreeMap::from([(at(0), refused(5.0)), (at(10), refused(7.0)), (at(15), Step::default())]);
        steps.entry(at(10)).or_default().changes = 1.0;
        steps.insert(at(20), Step { healed: 1.0, heal_seconds: 840.0, ..Step::default() });
        steps.insert(at(60), Step { refused_reads: 3.0, ..Step::default() });
        let incidents = find(&steps, at(70));
        assert_eq!(incidents.len(), 2, "{incidents:?}");
        let first = &incidents[0];
        assert_eq!((first.from, first.to, first.is_open), (at(0), at(15), false));
        assert_eq!((first.refused_records, first.changes, first.time_to_heal_seconds), (12.0, 1, Some(840.0)));
        assert_eq!((incidents[1].refused_reads, incidents[1].is_open, incidents[1].changes), (3.0, true, 0));
    }
}
