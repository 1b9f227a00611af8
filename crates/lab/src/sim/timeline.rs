//! A run, minute by minute: the load, the accepted and refused records, the capacity, and the decisions.

use super::shard::Second;
use super::world::By;
use crate::rules::{WRITE_BYTES_A_SECOND, WRITE_RECORDS_A_SECOND};

/// One minute of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slice {
    /// New records that producers had.
    pub offered: u64,
    /// Records that the stream accepted, for the first time or again.
    pub accepted: u64,
    /// Refusals: a record that was refused three times counts three times.
    pub throttled: u64,
    /// Refused calls of readers.
    pub reads_throttled: u64,
    /// Open shards at its end.
    pub open_shards: u32,
    /// Bytes of a record.
    pub record_bytes: u64,
}

impl Slice {
    /// The capacity of the open shards, in bytes a second.
    pub fn capacity_bytes(&self) -> f64 {
        f64::from(self.open_shards) * WRITE_BYTES_A_SECOND as f64
    }

    /// The capacity of the open shards, in records a second of this size, for even keys.
    pub fn capacity_records(&self) -> f64 {
        f64::from(self.open_shards) * self.shard_records()
    }

    /// The capacity of a shard, in records a second of this size. Whole records only, as in a shard.
    pub fn shard_records(&self) -> f64 {
        (WRITE_BYTES_A_SECOND / self.record_bytes.max(1)).min(WRITE_RECORDS_A_SECOND) as f64
    }
}

/// An event of a run: a change, or a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// When, in seconds of the run.
    pub second: i64,
    /// Its stable code. For a policy without codes, a change is a `reshard` or a `switch_mode`.
    pub code: &'static str,
    /// The change; `None`: a decision without a change.
    pub change: Option<Change>,
}

/// A change of capacity that AWS carries out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The caller.
    pub by: By,
    /// Open shards before the change.
    pub from: u32,
    /// Open shards after the change.
    pub to: u32,
}

/// A load that a policy expected.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Forecast {
    /// The second of the run that it was expected for.
    pub second: i64,
    /// In full shards.
    pub full_shards: f64,
}

/// A run from its beginning.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timeline {
    minutes: Vec<Slice>,
    marks: Vec<Mark>,
    forecasts: Vec<Forecast>,
    /// The current minute, and the refused calls of readers in it.
    minute: Slice,
    reads: f64,
    /// The code of the policy's last decision.
    decided: Option<&'static str>,
}

impl Timeline {
    /// The whole minutes of the run.
    pub fn minutes(&self) -> &[Slice] {
        &self.minutes
    }

    /// The events, in their order.
    pub fn marks(&self) -> &[Mark] {
        &self.marks
    }

    /// The loads that the policy expected, in the order in which it did.
    pub fn forecasts(&self) -> &[Forecast] {
        &self.forecasts
    }

    pub(super) fn expect(&mut self, forecast: Forecast) {
        self.forecasts.push(forecast);
    }

    pub(super) fn pass(&mut self, second: Second, reads_refused: f64) {
        self.reads += reads_refused;
        self.minute.offered += second.offered;
        self.minute.accepted += second.accepted;
        self.minute.throttled += second.throttled;
    }

    pub(super) fn close_minute(&mut self, open_shards: u32, record_bytes: u64) {
        let reads_throttled = std::mem::take(&mut self.reads).round() as u64;
        self.minutes.push(Slice { reads_throttled, open_shards, record_bytes, ..std::mem::take(&mut self.minute) });
    }

    pub(super) fn change(&mut self, second: i64, code: &'static str, change: Change) {
        self.marks.push(Mark { second, code, change: Some(change) });
    }

    /// Records a decision of the policy. A change in this second gets its code. A hold gets a mark only if its code
    /// differs from the decision before.
    pub(super) fn decide(&mut self, second: i64, code: &'static str) {
        let is_its_own = |mark: &&mut Mark| mark.second == second && mark.change.is_some_and(|c| c.by == By::Policy);
        let is_new = self.decided.replace(code) != Some(code);
        if let Some(change) = self.marks.last_mut().filter(is_its_own) {
            change.code = code;
        } else if is_new {
            self.marks.push(Mark { second, code, change: None });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_gets_the_code_of_its_decision_and_a_hold_is_marked_once() {
        let mut timeline = Timeline::default();
        let change = |by| Change { by, from: 4, to: 8 };
        timeline.decide(10, "unconfirmed");
        timeline.decide(20, "unconfirmed");
        timeline.change(30, "reshard", change(By::Policy));
        timeline.decide(30, "scale_shards");
        timeline.decide(40, "settling");
        timeline.change(50, "reshard", change(By::Others));
        timeline.decide(50, "resharding");
        let marks: Vec<_> = timeline.marks().iter().map(|m| (m.second, m.code, m.change.is_some())).collect();
        assert_eq!(
            marks,
            [
                (10, "unconfirmed", false),
                (30, "scale_shards", true),
                (40, "settling", false),
                (50, "reshard", true),
                (50, "resharding", false),
            ]
        );
    }

    #[test]
    fn the_capacity_is_that_of_the_tighter_limit() {
        let of = |record_bytes| Slice { open_shards: 2, record_bytes, ..Slice::default() };
        assert_eq!((of(500).capacity_records(), of(500).capacity_bytes()), (2_000.0, 2_097_152.0));
        assert_eq!(of(2_048).capacity_records(), 1_024.0);
        assert_eq!(of(900 * 1024).capacity_records(), 2.0, "one a second each");
    }
}
