//! The load of one minute of the past.

use super::Passed;
use crate::rules::{WRITE_BYTES_A_SECOND, WRITE_RECORDS_A_SECOND};

/// The load of a minute: one rate for a number of seconds, and then the rest of the accepted records.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Load {
    pub(super) record_bytes: u64,
    pub(super) accepted: f64,
    /// Records a second.
    rate: f64,
    seconds: f64,
    rest: f64,
}

impl Load {
    pub(super) fn of(passed: &Passed, record_bytes: u64, shards: u32) -> Load {
        let Passed { records: accepted, throttled, .. } = *passed;
        let even = Load { record_bytes, accepted, rate: (accepted + throttled) / 60.0, seconds: 60.0, rest: 0.0 };
        let capacity = even.of_shard() * f64::from(shards);
        // The seconds in which the stream's real shards were full: at least one, at most all.
        let full = (accepted / capacity).floor().max(1.0);
        if throttled <= 0.0 || full >= 60.0 {
            return even;
        }
        let taken = (full * capacity).min(accepted);
        Load { rate: (taken + throttled) / full, seconds: full, rest: accepted - taken, ..even }
    }

    /// Records of this size that a shard accepts in a second.
    pub(super) fn of_shard(&self) -> f64 {
        (WRITE_BYTES_A_SECOND / self.record_bytes).clamp(1, WRITE_RECORDS_A_SECOND) as f64
    }

    /// Records in a second of the minute.
    pub(super) fn at(&self, second: u32) -> f64 {
        match f64::from(second) - self.seconds {
            ..0.0 => self.rate,
            ..1.0 => self.rest,
            _ => 0.0,
        }
    }

    /// Records of the busiest second.
    pub(super) fn fastest(&self) -> f64 {
        self.rate.max(self.rest)
    }
}
