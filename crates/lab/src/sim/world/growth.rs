//! On-demand mode: AWS splits a busy shard within 15 minutes.

use super::World;
use crate::rules::{HashRange, MAX_ON_DEMAND_SHARDS, WRITE_BYTES_A_SECOND, WRITE_RECORDS_A_SECOND};
use crate::sim::shard::{Counts, OpenShard};
use std::collections::BTreeMap;
use unthrottle_core::observation::CapacityMode;

/// An on-demand stream splits a shard with more bytes a second ("when the incoming traffic exceeds 500 KB/s per shard",
/// AWS's page on capacity modes).
const GROWS_FROM_BYTES: u64 = 500 * 1000;

/// An on-demand stream splits a shard with more records a second: half of a shard's records, as 500 KB/s is half of its
/// bytes. AWS's page has bytes only, but AWS's promise of twice the peak needs both.
const GROWS_FROM_RECORDS: u64 = WRITE_RECORDS_A_SECOND / 2;

/// Seconds until the split, at least and at most: "it splits the shard within 15 minutes" (the same page). The least is
/// a guess: AWS needs a few minutes of traffic.
const GROWS_WITHIN: (i64, i64) = (5 * 60, 15 * 60);

/// On-demand mode opens at most this multiple of the shards that the stream's peak needs. A shard that is more than
/// half full becomes two shards that are at least a quarter full. So this number only stops the endless splits that a
/// single hot key would cause.
const PEAK_TIMES: f64 = 4.0;

impl World {
    /// Plans the splits of busy shards.
    pub(super) fn plan_growth(&mut self, minute: Counts, shards: &BTreeMap<u64, Counts>) {
        let bytes = |counts: Counts| counts.accepted * self.setup.record_bytes;
        let full = |counts: Counts| {
            (bytes(counts) as f64 / WRITE_BYTES_A_SECOND as f64)
                .max(counts.accepted as f64 / WRITE_RECORDS_A_SECOND as f64)
                / 60.0
        };
        self.peak = self.peak.max(full(minute));
        if self.mode != CapacityMode::OnDemand {
            return;
        }
        for shard in &self.shards {
            let counts = shards.get(&shard.number).copied().unwrap_or_default();
            let is_busy = bytes(counts) > 60 * GROWS_FROM_BYTES || counts.accepted > 60 * GROWS_FROM_RECORDS;
            if is_busy && !self.growing.contains_key(&shard.number) {
                let at = self.now + self.growth.between(GROWS_WITHIN.0, GROWS_WITHIN.1);
                self.growing.insert(shard.number, at);
            }
        }
    }

    /// Splits the shards with a split that is pending. On-demand mode does not check for hot keys.
    pub(super) fn grow(&mut self) {
        if self.growing.is_empty() || self.running.is_some() {
            return;
        }
        let pending: Vec<u64> =
            self.growing.iter().filter(|(_, at)| **at <= self.now).map(|(number, _)| *number).collect();
        for number in pending {
            self.growing.remove(&number);
            let most = (PEAK_TIMES * self.peak).ceil() as u32;
            let shard = self.shards.iter().find(|shard| shard.number == number).map(|shard| shard.range);
            if let Some(range) = shard.filter(|_| self.open_shards() < most.min(MAX_ON_DEMAND_SHARDS))
                && let Some(halves) = range.halves()
            {
                let ranges = self.ranges_with(range, halves);
                self.reshape(&ranges);
            }
        }
    }

    pub(super) fn ranges_with(&self, split: HashRange, halves: [HashRange; 2]) -> Vec<HashRange> {
        let pieces = |shard: &OpenShard| if shard.range == split { halves.to_vec() } else { vec![shard.range] };
        self.shards.iter().flat_map(pieces).collect()
    }
}
