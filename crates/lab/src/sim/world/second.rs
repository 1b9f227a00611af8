//! One second of the stream: its shards accept records, its readers poll, and AWS finishes a change.

use super::calls::Outcome;
use super::{RETENTION_HOURS, World};
use crate::rules::{HashRange, WRITE_BYTES_A_SECOND, WRITE_RECORDS_A_SECOND};
use crate::sim::retry::Waiting;
use crate::sim::shard::{Counts, OpenShard, Second};
use crate::sim::time;
use unthrottle_core::cost::{BillingMode, Load, Shape};
use unthrottle_core::observation::{CapacityMode, Commitment, Minute};

impl World {
    /// Passes a second in which producers have `records` new records.
    pub fn pass(&mut self, records: f64) {
        self.events.clear();
        self.finish();
        self.grow();
        let mut second = Second::default();
        let sent = records * self.resends.as_ref().map_or(1.0, |resends| resends.times(self.now));
        for shard in &mut self.shards {
            let passed = shard.pass(self.now, sent, self.setup.record_bytes, &self.setup.retry);
            second.offered += passed.offered;
            second.accepted += passed.accepted;
            second.throttled += passed.throttled;
            second.lost += passed.lost;
        }
        self.minute.accepted += second.accepted;
        self.minute.throttled += second.throttled;
        self.last = second;
        let (filled, reads_refused) = (self.filled_by(records), self.read(second));
        self.tally.pass(self.now, second, self.shards.len() as u64, filled, reads_refused);
        self.timeline.pass(second, reads_refused);
        self.now += 1;
        if self.now % 60 == 0 {
            self.close_minute();
        }
    }

    /// Lets the readers poll. Returns the refused calls.
    fn read(&mut self, second: Second) -> f64 {
        let (now, shards) = (self.now, self.open_shards());
        let written = (second.accepted * self.setup.record_bytes) as f64;
        self.reading.as_mut().map_or(0.0, |reading| reading.pass(now, written, shards))
    }

    /// The shards that this number of records a second would fill completely.
    fn filled_by(&self, records: f64) -> f64 {
        let bytes = records * self.setup.record_bytes as f64 / WRITE_BYTES_A_SECOND as f64;
        bytes.max(records / WRITE_RECORDS_A_SECOND as f64)
    }

    fn finish(&mut self) {
        let Some(done) = self.running.take_if(|running| running.until <= self.now) else { return };
        match done.outcome {
            Outcome::Shards(ranges) => self.reshape(&ranges),
            Outcome::Mode(mode) => {
                self.mode = mode;
                self.growing.clear();
            }
            Outcome::Monitored(metrics) => self.monitored = metrics,
        }
    }

    /// Closes the shards with ranges that are not in `ranges`, and opens shards for the new ranges. Records that wait
    /// for a retry move to the shard of their keys.
    pub(super) fn reshape(&mut self, ranges: &[HashRange]) {
        let mut old = std::mem::take(&mut self.shards);
        let mut left: Vec<f64> = old.iter().map(|shard| shard.share).collect();
        for range in ranges {
            let first = old.partition_point(|shard| shard.range.last < range.first);
            if let Some(same) = old.get(first).filter(|shard| shard.range == *range) {
                self.shards.push(same.clone());
                continue;
            }
            let mut waiting = Waiting::new(&self.setup.retry);
            let parent = old.get(first).map(|shard| shard.number);
            for (shard, left) in old.iter_mut().zip(&mut left).skip(first) {
                let Some(both) = shard.range.and(*range) else { break };
                let share = self.setup.keys.share(both);
                let is_last = shard.range.last <= range.last;
                waiting.add(&shard.waiting.take(if is_last || *left <= 0.0 { 1.0 } else { share / *left }));
                *left -= share;
                self.closed.insert(shard.number, shard.minute);
            }
            let share = self.setup.keys.share(*range);
            self.shards.push(OpenShard::new(self.next_number, parent, *range, share, waiting, self.now));
            self.next_number += 1;
        }
        self.record_closed(&old);
        if let Some(resends) = &mut self.resends {
            resends.begin(self.now);
        }
    }

    fn close_minute(&mut self) {
        let mut shards = std::mem::take(&mut self.closed);
        for shard in &mut self.shards {
            shards.insert(shard.number, std::mem::take(&mut shard.minute));
        }
        let counts = std::mem::take(&mut self.minute);
        self.timeline.close_minute(self.open_shards(), self.setup.record_bytes);
        self.tally.spend(self.prices.per_hour(&self.shape(counts)) / 60.0);
        if self.mode == CapacityMode::OnDemand {
            self.tally.on_demand_minute();
        }
        self.plan_growth(counts, &shards);
        if self.monitored.is_empty() {
            shards.clear();
        }
        shards.retain(|_, counts| *counts != Counts::default());
        self.cloudwatch.publish(Minute::of(time(self.now - 1)), counts, shards, self.now);
        if let Some(reading) = &mut self.reading {
            self.cloudwatch.publish_reads(reading.close_minute());
        }
    }

    fn shape(&self, minute: Counts) -> Shape {
        let mode = match self.mode {
            CapacityMode::OnDemand => BillingMode::OnDemand { committed: self.commitment == Commitment::Enabled },
            _ => BillingMode::Provisioned,
        };
        let records_per_second = minute.accepted as f64 / 60.0;
        let bytes_per_second = records_per_second * self.setup.record_bytes as f64;
        let load = Load { records_per_second, bytes_per_second, read_bytes_per_second: 0.0 };
        Shape {
            mode,
            shards: self.open_shards(),
            consumers: 0,
            retention_hours: RETENTION_HOURS,
            shard_metrics: self.describe().shard_metric_count(),
            load,
        }
    }
}
