//! What a shard takes, and how much of it a minute fills.

use super::MinuteTraffic;

/// The bytes that a shard takes in a second, in either mode: 1 MiB, and 1,000 records (the Kinesis quotas page).
pub(crate) const SHARD_BYTES_PER_SECOND: f64 = 1_048_576.0;
/// See [`SHARD_BYTES_PER_SECOND`].
pub(crate) const SHARD_RECORDS_PER_SECOND: f64 = 1_000.0;
/// The bytes that a shard gives to all its polling readers together in a second: 2 MiB (the Kinesis quotas page).
pub(crate) const SHARD_READ_BYTES_PER_SECOND: f64 = 2.0 * SHARD_BYTES_PER_SECOND;

/// A reader that is less than a minute behind has no backlog: polling alone makes a reader this late. A smaller number
/// takes healthy readers for late ones; a larger number hides a backlog.
pub(crate) const BACKLOG_MILLISECONDS: f64 = 60_000.0;

/// AWS counts a record written by PutRecord in whole units of this size.
const CHARGE_UNIT_BYTES: f64 = 1024.0;

impl MinuteTraffic {
    /// The mean size of an accepted record, the part written by PutRecord rounded up to what AWS charges.
    pub(crate) fn charged_size(&self) -> Option<f64> {
        if self.incoming_records <= 0.0 {
            return None;
        }
        let single = self.put_record_bytes.min(self.incoming_bytes);
        let count = self.put_record_count.min(self.incoming_records);
        let mean = if count > 0.0 { single / count } else { 0.0 };
        let charged = (mean / CHARGE_UNIT_BYTES).ceil() * CHARGE_UNIT_BYTES * count;
        Some((self.incoming_bytes - single + charged) / self.incoming_records)
    }

    /// The accepted load, in full shards.
    pub(crate) fn accepted_shards(&self) -> f64 {
        let bytes = self.charged_size().unwrap_or_default() * self.incoming_records / 60.0;
        (bytes / SHARD_BYTES_PER_SECOND).max(self.incoming_records / 60.0 / SHARD_RECORDS_PER_SECOND)
    }

    /// The accepted load, written or read, in full shards. The reads of a minute in which a reader works off a backlog
    /// are no load: it reads all that the shards give, however many they are.
    pub(crate) fn taken_shards(&self) -> f64 {
        let is_behind = self.iterator_age_ms.is_some_and(|age| age > BACKLOG_MILLISECONDS);
        let read = if is_behind { 0.0 } else { self.get_records_bytes / 60.0 / SHARD_READ_BYTES_PER_SECOND };
        self.accepted_shards().max(read)
    }
}
