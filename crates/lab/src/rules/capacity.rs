//! The capacity of one shard in a second.

/// Bytes that a shard accepts in a second, in every capacity mode: 1 MiB, keys included
/// (docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html).
pub const WRITE_BYTES_A_SECOND: u64 = 1024 * 1024;

/// Records that a shard accepts in a second (the same page).
pub const WRITE_RECORDS_A_SECOND: u64 = 1_000;

/// Bytes that a shard sends to all its polling readers together in a second (the same page).
pub const READ_BYTES_A_SECOND: u64 = 2 * 1024 * 1024;

/// `GetRecords` calls that a shard answers in a second (the same page).
pub const READ_CALLS_A_SECOND: u32 = 5;

/// Seconds of unused capacity that a shard keeps for a burst. AWS documents "per second" and no more. Shards accept
/// larger bursts at times, but no source says how large. With less than one second, a producer that sends its whole
/// second in one call throttles below the limit. With more, a test misses real throttling.
const BURST_SECONDS: u64 = 1;

const MILLIS_A_SECOND: u64 = 1_000;

/// The write capacity of one shard: a token bucket for bytes and one for records. Both fill continuously, and both hold
/// the capacity of one second.
///
/// Time is in whole milliseconds since any moment. A clock that is set back fills nothing for this step. Afterwards the
/// buckets fill again from the new time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteCapacity {
    /// Thousandths of bytes: the share of a millisecond is a whole number.
    millibytes: u64,
    /// Thousandths of records.
    millirecords: u64,
    at_ms: i64,
}

impl WriteCapacity {
    /// A shard that accepted nothing in the last second.
    pub fn full(at_ms: i64) -> WriteCapacity {
        WriteCapacity {
            millibytes: BURST_SECONDS * MILLIS_A_SECOND * WRITE_BYTES_A_SECOND,
            millirecords: BURST_SECONDS * MILLIS_A_SECOND * WRITE_RECORDS_A_SECOND,
            at_ms,
        }
    }

    /// Accepts as many as fit of `records` records of `record_bytes` bytes each. Returns the number of accepted
    /// records.
    ///
    /// A refused record uses no capacity. A record above the bytes of a second uses a whole second: AWS allows records
    /// of up to 10 MiB, which would otherwise never fit. (The local account accepts records of 1 MiB at most.)
    pub fn take(&mut self, now_ms: i64, records: u64, record_bytes: u64) -> u64 {
        self.fill(now_ms);
        let record_bytes = record_bytes.clamp(1, BURST_SECONDS * WRITE_BYTES_A_SECOND);
        let by_bytes = self.millibytes / (record_bytes * MILLIS_A_SECOND);
        let taken = records.min(self.millirecords / MILLIS_A_SECOND).min(by_bytes);
        self.millirecords -= taken * MILLIS_A_SECOND;
        self.millibytes -= taken * record_bytes * MILLIS_A_SECOND;
        taken
    }

    fn fill(&mut self, now_ms: i64) {
        let passed = u64::try_from(now_ms.saturating_sub(self.at_ms)).unwrap_or(0);
        let passed = passed.min(BURST_SECONDS * MILLIS_A_SECOND);
        let full = WriteCapacity::full(now_ms);
        self.millibytes = full.millibytes.min(self.millibytes + passed * WRITE_BYTES_A_SECOND);
        self.millirecords = full.millirecords.min(self.millirecords + passed * WRITE_RECORDS_A_SECOND);
        self.at_ms = now_ms;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn taken(records: u64, record_bytes: u64) -> u64 {
        WriteCapacity::full(0).take(0, records, record_bytes)
    }

    #[test]
    fn a_shard_takes_1000_records_or_one_mebibyte_a_second() {
        assert_eq!(taken(999, 100), 999);
        assert_eq!(taken(1500, 100), 1000);
        assert_eq!(taken(1500, 2048), 512);
        assert_eq!(taken(3, 900 * 1024), 1);
    }

    #[test]
    fn unused_capacity_of_an_earlier_second_expires() {
        let mut shard = WriteCapacity::full(0);
        assert_eq!([5_000, 6_000].map(|now| shard.take(now, 3_000, 100)), [1000, 1000]);
    }

    #[test]
    fn capacity_comes_back_by_the_millisecond() {
        let mut shard = WriteCapacity::full(0);
        assert_eq!(shard.take(0, 1_000, 1), 1_000);
        assert_eq!([0, 1, 250, 251].map(|now| shard.take(now, 1_000, 1)), [0, 1, 249, 1]);
    }

    #[test]
    fn a_record_larger_than_a_second_uses_a_whole_second() {
        let mut shard = WriteCapacity::full(0);
        assert_eq!([0, 999, 1_000].map(|now| shard.take(now, 2, 10 << 20)), [1, 0, 1]);
    }

    #[test]
    fn a_clock_that_is_set_back_fills_nothing_and_continues_from_there() {
        let mut shard = WriteCapacity::full(10_000);
        assert_eq!(shard.take(10_000, 1_000, 1), 1_000);
        assert_eq!([0, 1].map(|now| shard.take(now, 2, 1)), [0, 1]);
    }

    #[test]
    fn one_large_call_a_second_below_the_limit_is_never_refused_whatever_its_phase() {
        for every_ms in [990, 999, 1_000, 1_010] {
            let mut shard = WriteCapacity::full(0);
            let refused: u64 = (0..600).map(|n| 78 - shard.take(n * every_ms, 78, 10 * 1024)).sum();
            assert_eq!(refused, 0, "76 % of the limit, every {every_ms} ms");
        }
    }

    proptest! {
        #[test]
        fn no_stretch_of_time_takes_more_than_the_limit_and_one_burst(
            calls in proptest::collection::vec((0..400i64, 1..1_500u64, 1..20_000u64), 1..60)
        ) {
            let (mut shard, mut now, mut records, mut bytes) = (WriteCapacity::full(0), 0, 0, 0);
            for (wait, count, size) in calls {
                now += wait;
                let taken = shard.take(now, count, size);
                records += taken;
                bytes += taken * size;
                let most = |a_second: u64| a_second + a_second * now as u64 / 1_000;
                prop_assert!(records <= most(WRITE_RECORDS_A_SECOND) && bytes <= most(WRITE_BYTES_A_SECOND));
            }
        }

        #[test]
        fn a_batch_uses_as_much_as_single_records(records in 1..2_000u64, size in 1..50_000u64, wait in 0..2_000i64) {
            let (mut together, mut singly) = (WriteCapacity::full(0), WriteCapacity::full(0));
            for now in [0, wait] {
                let one_by_one: u64 = (0..records).map(|_| singly.take(now, 1, size)).sum();
                prop_assert_eq!(together.take(now, records, size), one_by_one);
            }
            prop_assert_eq!(together, singly);
        }
    }
}
