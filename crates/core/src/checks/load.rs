//! The load of a stream, from its metrics.

use super::capacity::FAR_FROM_FULL;
use super::readings::{Point, Readings, Series};
use crate::cost::Load;
use crate::observation::CapacityMode;
use crate::observation::{SHARD_BYTES_PER_SECOND, SHARD_READ_BYTES_PER_SECOND, SHARD_RECORDS_PER_SECOND};
use chrono::{DateTime, TimeDelta, Utc};

/// The most of a shard that a new number of shards uses in the busiest minute that was seen: half. The other half is
/// for bursts within a minute, for uneven keys, and for growth. With more, the next peak would throttle; with less, the
/// advice would keep idle shards. AWS gives no number.
const PLANNED: f64 = 0.5;

impl Point {
    /// The shards that the accepted writes fill, over `seconds`. A shard takes 1 MiB or 1,000 records a second.
    pub fn written_shards(&self, seconds: f64) -> f64 {
        let bytes = self.incoming_bytes / SHARD_BYTES_PER_SECOND;
        bytes.max(self.incoming_records / SHARD_RECORDS_PER_SECOND) / seconds
    }

    /// The shards that all load fills, over `seconds`: offered writes, or reads that share the shards' 2 MiB a second.
    pub fn used_shards(&self, seconds: f64) -> f64 {
        let offered = self.incoming_records + self.write_throttled;
        let growth = if self.incoming_records > 0.0 { offered / self.incoming_records } else { 1.0 };
        let read = self.get_records_bytes / SHARD_READ_BYTES_PER_SECOND / seconds;
        (self.written_shards(seconds) * growth).max(read)
    }

    /// The load of the period.
    pub fn load(&self, seconds: f64) -> Load {
        Load {
            records_per_second: self.incoming_records / seconds,
            bytes_per_second: self.incoming_bytes / seconds,
            read_bytes_per_second: self.get_records_bytes / seconds,
        }
    }
}

impl Series {
    /// The sum of a metric.
    pub fn total(&self, of: impl Fn(&Point) -> f64) -> f64 {
        self.points.values().map(of).sum()
    }

    /// The mean rate of a metric over the whole series, a second.
    pub fn per_second(&self, of: impl Fn(&Point) -> f64) -> f64 {
        self.total(of) / self.window_seconds.max(self.period_seconds)
    }

    /// The highest rate of a period, a second.
    pub fn peak_per_second(&self, of: impl Fn(&Point) -> f64) -> f64 {
        self.points.values().map(of).fold(0.0, f64::max) / self.period_seconds
    }

    /// The mean load.
    pub fn load(&self) -> Load {
        Load {
            records_per_second: self.per_second(|p| p.incoming_records),
            bytes_per_second: self.per_second(|p| p.incoming_bytes),
            read_bytes_per_second: self.per_second(|p| p.get_records_bytes),
        }
    }

    /// The bytes of a mean record. `None`: no record was accepted.
    pub fn mean_record_bytes(&self) -> Option<f64> {
        let records = self.total(|p| p.incoming_records);
        (records > 0.0).then(|| self.total(|p| p.incoming_bytes) / records)
    }

    /// The periods in which AWS refused a record although the accepted ones filled less than `share` of `shards`.
    fn refused_below(&self, share: f64, shards: f64) -> Refused {
        let mut refused = Refused::default();
        let (mut run, mut last) = (0, None::<DateTime<Utc>>);
        for (time, point) in &self.points {
            let used = point.written_shards(self.period_seconds) / shards;
            if point.write_throttled <= 0.0 || used >= share {
                continue;
            }
            let next = last.map(|last| last + TimeDelta::milliseconds((self.period_seconds * 1_000.0) as i64));
            run = if next == Some(*time) { run + 1 } else { 1 };
            last = Some(*time);
            refused.periods += 1;
            refused.records += point.write_throttled;
            refused.longest_run = refused.longest_run.max(run);
            refused.highest_use = refused.highest_use.max(used);
        }
        refused
    }
}

/// Refusals while a stream was far from full.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Refused {
    /// How many periods have them.
    pub periods: usize,
    /// The refused records.
    pub records: f64,
    /// The most periods in a row.
    pub longest_run: usize,
    /// The highest use of the stream in these periods, 0–1.
    pub highest_use: f64,
}

/// The shards for the highest load that was seen, with room for more. At least one.
pub(super) fn planned_shards(used: f64) -> u32 {
    // The cast saturates, and no stream has so much load.
    ((used / PLANNED - 1e-9).ceil() as u32).max(1)
}

impl Readings {
    /// The most shards that the load filled: in a minute of the last 14 days, if these minutes were read. Otherwise in
    /// an hour of them, or in a minute of the last 3 hours.
    pub(super) fn peak_shards(&self) -> Result<f64, super::Unread> {
        let all = self.all_minutes.as_ref().map(known).transpose()?;
        let series = [known(&self.hours)?, known(&self.minutes)?].into_iter().chain(all);
        Ok(series.map(|s| s.peak_per_second(|p| p.used_shards(1.0))).fold(0.0, f64::max))
    }

    /// The minutes of the last 3 hours in which AWS refused a record although the stream was far from full. A minute
    /// from before a reshard counts for the fewest shards that the stream had.
    pub(super) fn refused_far_from_full(&self) -> Result<Refused, super::Unread> {
        let (minutes, now) = (known(&self.minutes)?, self.stream.capacity());
        let then = self.shards_then.as_ref().filter(|_| self.stream.mode == CapacityMode::Provisioned);
        let then = then.map(known).transpose()?.map(|shards| *shards.start()).filter(|shards| *shards > 0);
        Ok(minutes.refused_below(FAR_FROM_FULL, then.map_or(now, |shards| now.min(f64::from(shards)))))
    }

    /// The most shards that the stream is known to have had in the last 3 hours. At least one.
    pub(super) fn most_shards(&self) -> Result<u32, super::Unread> {
        let then = self.shards_then.as_ref().map(known).transpose()?.map_or(0, |shards| *shards.end());
        Ok(then.max(self.stream.open_shards).max(1))
    }
}

/// What was read, or the reason why the check cannot be made.
pub(super) fn known<T>(read: &super::Read<T>) -> Result<&T, super::Unread> {
    read.as_ref().map_err(Clone::clone)
}
