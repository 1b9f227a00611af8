//! The load that a stream is offered, and the shards that this load needs.

use crate::observation::{Minute, SHARD_BYTES_PER_SECOND, SHARD_RECORDS_PER_SECOND, Traffic};

/// How far back the size of a record is looked up when a minute accepted no record. Sizes change with the producers'
/// code and the time of day, so an older size may belong to another load.
const SIZE_KNOWN_FOR_MINUTES: i64 = 60;

/// A reshard to a multiple of 25 % of the current count is faster (UpdateShardCount's API reference): four steps for
/// each doubling.
const FAST_STEPS_PER_DOUBLING: u32 = 4;

/// The load of one minute: accepted and refused records. Retries count again, since AWS counts them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Offered {
    /// Per second.
    pub records: f64,
    /// Per second, as AWS charges them against a shard's capacity. `None`: no size is known.
    pub bytes: Option<f64>,
    /// Per second, as they are stored and read.
    pub stored_bytes: Option<f64>,
}

impl Offered {
    /// The load of `minute`.
    pub fn in_minute(traffic: &Traffic, minute: Minute) -> Offered {
        let now = traffic.minute(minute);
        let records = now.incoming_records + now.write_throttled;
        let recent = (0..=SIZE_KNOWN_FOR_MINUTES).map(|ago| traffic.minute(minute.plus(-ago)));
        let sizes = recent.into_iter().find_map(|m| Some((m.charged_size()?, m.incoming_bytes / m.incoming_records)));
        // A product without an end is no size that is known.
        let per_second = |size: f64| Some(size * records / 60.0).filter(|bytes| bytes.is_finite());
        Offered {
            records: records / 60.0,
            bytes: sizes.and_then(|(charged, _)| per_second(charged)),
            stored_bytes: sizes.and_then(|(_, stored)| per_second(stored)),
        }
    }

    /// The accepted load of `minute`, in full shards.
    pub fn accepted_shards(traffic: &Traffic, minute: Minute) -> f64 {
        traffic.minute(minute).accepted_shards()
    }

    /// The load in full shards, by what is known of it. It serves to compare loads.
    pub fn weight(&self) -> f64 {
        let bytes = self.bytes.unwrap_or_default() / SHARD_BYTES_PER_SECOND;
        bytes.max(self.records / SHARD_RECORDS_PER_SECOND)
    }

    /// The bytes that AWS charges for one stored byte: AWS rounds the records of PutRecord up.
    pub fn charged_per_stored(&self) -> f64 {
        match (self.bytes, self.stored_bytes) {
            (Some(charged), Some(stored)) if stored > 0.0 => charged / stored,
            _ => 1.0,
        }
    }

    /// The mean size of a record, bytes as AWS charges them.
    pub fn size(&self) -> Option<f64> {
        self.bytes.filter(|_| self.records > 0.0).map(|bytes| bytes / self.records)
    }

    /// The load in full shards. `None`: no record's size is known.
    pub fn shards(&self) -> Option<f64> {
        Some((self.bytes? / SHARD_BYTES_PER_SECOND).max(self.records / SHARD_RECORDS_PER_SECOND))
    }
}

/// How often producers send a record until they give up, the first time included: three attempts of AWS's SDKs (AWS
/// SDKs and Tools Reference Guide, "Retry behavior") and a producer that sends the batch once again, or a KPL whose
/// delays double for the 30 s of its RecordTtl. With a larger number, a flood would get several small steps; with a
/// smaller number, a stream that lacks one shard in a hundred would double.
const ATTEMPTS: i32 = 6;

/// What is offered above the capacity counts as load up to this share of the capacity. At the default target
/// utilization of 0.75 the stream then gets half as many shards again. A larger number would double a stream that lacks
/// one shard in a hundred, since refused records come back; with a smaller number, a real load takes one step more.
const SURELY_LOAD: f64 = 0.125;

/// The same of small streams, where a shard too many costs little, and up to one shard.
const SURELY_LOAD_OF_FEW: f64 = 0.25;

/// The load behind `offered`, all in full shards. AWS counts each attempt of a refused record. A producer that sends a
/// record up to n times gets the share 1 − rⁿ of its records in, where AWS refuses the share r. So a load of
/// `accepted` ÷ (1 − rⁿ) looks like `accepted` ÷ (1 − r). More than [`SURELY_LOAD`] counts only where [`ATTEMPTS`] do
/// not explain it. `capacity`: what the stream takes before the first shard is full.
pub fn without_retries(offered: f64, accepted: f64, capacity: f64) -> f64 {
    surely(offered, accepted, capacity * (1.0 + surely_load(capacity)))
}

/// The same of one of `shards` equal shards, as a share of what a shard takes.
pub fn without_retries_of_one(offered: f64, accepted: f64, shards: f64) -> f64 {
    surely(offered, accepted, 1.0 + surely_load(shards))
}

/// The load that [`ATTEMPTS`] do not explain, and at least `surely`.
fn surely(offered: f64, accepted: f64, surely: f64) -> f64 {
    let refused = (1.0 - accepted / offered).clamp(0.0, 1.0);
    let least = accepted / (1.0 - refused.powi(ATTEMPTS)).max(f64::MIN_POSITIVE);
    offered.min(least.max(surely))
}

/// What counts as load above the capacity of a stream, as a share of that capacity.
fn surely_load(capacity: f64) -> f64 {
    SURELY_LOAD_OF_FEW.min(1.0 / capacity.max(f64::MIN_POSITIVE)).max(SURELY_LOAD)
}

/// The shards that carry `full` shards' worth of load at `utilization`.
pub fn shards_at(full: f64, utilization: f64) -> u32 {
    // Division leaves rounding errors: 0.3 / 0.1 must be 3 shards, not 4. The cast saturates.
    ((full / utilization - 1e-9).ceil().max(1.0)) as u32
}

/// `target`, or the multiple of 25 % of `from` just above it, where that costs at most one shard more and stays within
/// `bound`.
pub fn fast_target(from: u32, target: u32, bound: u32) -> u32 {
    let next = target.saturating_add(1);
    let is_fast = |t: &u32| u64::from(*t) * u64::from(FAST_STEPS_PER_DOUBLING) % u64::from(from.max(1)) == 0;
    if is_fast(&target) || next > bound || !is_fast(&next) { target } else { next }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::MinuteTraffic;

    const START: i64 = 1_000_000;

    fn minute(n: i64) -> Minute {
        Minute::of(chrono::DateTime::UNIX_EPOCH).plus(START + n)
    }

    #[test]
    fn refused_records_count_at_the_mean_size_of_accepted_ones() {
        let mut traffic = Traffic::default();
        *traffic.minute_mut(minute(0)) = MinuteTraffic {
            incoming_bytes: 60.0 * 500_000.0,
            incoming_records: 60.0 * 500.0,
            write_throttled: 60.0 * 250.0,
            ..MinuteTraffic::default()
        };
        let offered = Offered::in_minute(&traffic, minute(0));
        assert_eq!(offered, Offered { records: 750.0, bytes: Some(750_000.0), stored_bytes: Some(750_000.0) });
    }

    #[test]
    fn put_record_is_charged_in_whole_kibibytes() {
        let mut traffic = Traffic::default();
        *traffic.minute_mut(minute(0)) = MinuteTraffic {
            incoming_bytes: 60.0 * 100.0 * 100.0,
            incoming_records: 60.0 * 100.0,
            put_record_bytes: 60.0 * 50.0 * 100.0,
            put_record_count: 60.0 * 50.0,
            ..MinuteTraffic::default()
        };
        let offered = Offered::in_minute(&traffic, minute(0));
        assert_eq!(offered.bytes, Some(50.0 * 100.0 + 50.0 * 1024.0));
    }

    #[test]
    fn a_minute_without_accepted_records_takes_the_size_of_the_past_hour() {
        let mut traffic = Traffic::default();
        traffic.minute_mut(minute(60)).write_throttled = 60.0 * 3_000.0;
        assert_eq!(Offered::in_minute(&traffic, minute(60)).shards(), None);
        let earlier = traffic.minute_mut(minute(0));
        (earlier.incoming_bytes, earlier.incoming_records) = (1000.0, 10.0);
        assert_eq!(Offered::in_minute(&traffic, minute(60)).bytes, Some(300_000.0));
        traffic.minute_mut(minute(61)).write_throttled = 60.0;
        assert_eq!(Offered::in_minute(&traffic, minute(61)).bytes, None, "that was 61 minutes ago");
    }

    /// A minute of this load, per second.
    fn load(records: f64, size: f64, read_bytes: f64) -> MinuteTraffic {
        MinuteTraffic {
            incoming_records: 60.0 * records,
            incoming_bytes: 60.0 * records * size,
            get_records_bytes: 60.0 * read_bytes,
            ..MinuteTraffic::default()
        }
    }

    #[test]
    fn the_taken_load_is_the_largest_of_records_bytes_and_reads() {
        let read_late = |age| MinuteTraffic { iterator_age_ms: Some(age), ..load(100.0, 100.0, 3.0 * 2_097_152.0) };
        for (minute, written, taken) in [
            (load(500.0, 100.0, 0.0), 0.5, 0.5),
            (load(100.0, 20_971.52, 0.0), 2.0, 2.0),
            (load(100.0, 100.0, 3.0 * 2_097_152.0), 0.1, 3.0),
            (read_late(60_000.0), 0.1, 3.0),
            // A reader that works off a backlog reads all that the shards give.
            (read_late(60_001.0), 0.1, 0.1),
        ] {
            assert!((minute.accepted_shards() - written).abs() < 1e-9, "{minute:?}");
            assert!((minute.taken_shards() - taken).abs() < 1e-9, "{minute:?}");
        }
    }

    #[test]
    fn sizes_need_records_and_charges_need_stored_bytes() {
        let offered = |records, bytes, stored_bytes| Offered { records, bytes, stored_bytes };
        assert_eq!(offered(10.0, Some(2000.0), Some(1000.0)).charged_per_stored(), 2.0);
        assert_eq!(offered(10.0, Some(2000.0), Some(0.0)).charged_per_stored(), 1.0);
        assert_eq!(offered(10.0, None, Some(1000.0)).charged_per_stored(), 1.0);
        assert_eq!(offered(10.0, Some(2000.0), None).size(), Some(200.0));
        assert_eq!(offered(0.0, Some(2000.0), None).size(), None);
        assert_eq!(offered(10.0, None, None).size(), None);
    }

    #[test]
    fn retries_hide_all_of_a_load_but_what_exceeds_the_capacity_for_sure() {
        // A refused half is explained by retries, so only a quarter more than one shard is load for sure.
        assert_eq!(without_retries_of_one(2.0, 1.0, 1.0), 1.25);
        assert_eq!(without_retries(2.0, 1.0, 1.0), 1.25);
        assert_eq!(without_retries_of_one(1.1, 1.0, 1.0), 1.1, "never more than was offered");
    }

    #[test]
    fn a_shard_is_wider_than_the_others_above_its_equal_part() {
        use super::super::writes::is_uneven;
        assert!(!is_uneven(0.5, 2) && !is_uneven(1.0, 1) && !is_uneven(0.25, 4));
        assert!(is_uneven(0.6, 2) && is_uneven(0.3, 4));
    }

    #[test]
    fn shards_are_rounded_up_but_not_by_dust() {
        assert_eq!(shards_at(0.3, 0.1), 3);
        assert_eq!(shards_at(3.0, 0.75), 4);
        assert_eq!(shards_at(3.001, 0.75), 5);
        assert_eq!(shards_at(0.0, 0.75), 1);
        assert_eq!(shards_at(f64::MAX, 0.3), u32::MAX);
    }

    #[test]
    fn a_target_is_rounded_up_to_a_quarter_only_for_one_shard() {
        assert_eq!(fast_target(8, 9, 16), 10);
        assert_eq!(fast_target(8, 10, 16), 10);
        assert_eq!(fast_target(8, 9, 9), 9, "the bound wins");
        assert_eq!(fast_target(12, 13, 24), 13, "15 would cost two more");
        assert_eq!(fast_target(2, 3, 4), 3);
        assert_eq!(fast_target(3, 5, 6), 6);
    }
}
