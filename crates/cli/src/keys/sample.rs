//! What was read of one shard: its keys, its seconds, and the sizes of its records. Its size has a bound, however many
//! keys there are.

use super::aggregate::user_records;
use aws_sdk_kinesis::types::Record;
use chrono::{DateTime, Utc};
use datasketches::common::SearchCriteria;
use datasketches::frequencies::{ErrorType, FrequentItemsSketch};
use datasketches::kll::KllSketch;
use md5::{Digest as _, Md5};
use std::collections::BTreeMap;
use unthrottle_core::observation::Shard;

/// Records and their bytes. The bytes of a partition key count, as AWS counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Load {
    pub records: u64,
    pub bytes: u64,
}

impl Load {
    pub fn add(&mut self, other: Load) {
        self.records += other.records;
        self.bytes += other.bytes;
    }

    /// How much of a shard's second the load fills: 1,000 records or 1 MiB.
    pub fn shard_seconds(self) -> f64 {
        (self.records as f64 / 1_000.0).max(self.bytes as f64 / 1_048_576.0)
    }
}

/// The size of a sketch of keys, a power of two. The sketch keeps three quarters of this number, each with up to 256
/// bytes. A count is too low by at most 3.5 ÷ this number of the shard's load, which is 0.35 %. Half of it would double
/// the error; with twice as many, 1,000 shards would need a gigabyte.
const SKETCH: usize = 1_024;

/// The size of the sketch of sizes. Its quantiles are off by at most 1.7 % of the records (the default of the crate).
const SIZES: u16 = 200;

/// The parts of a shard's hash keys that have a load of their own. A split is at the edge of one, so it is off by at
/// most the load of one of them.
pub(super) const PARTS: u32 = 1_024;

/// The least time that a reading covers, in seconds. A shorter time would make a large load of one record.
const LEAST_SECONDS: f64 = 1.0;

/// Why the reading of a shard ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The time of the reading was over.
    Time,
    /// A reading of the past reached the present.
    Present,
    /// The bytes of the reading were read.
    Bytes,
    /// The shard is closed, and all of it was read.
    Shard,
    /// A call failed.
    Failed(String),
}

/// What was read of one shard.
#[derive(Debug)]
pub(super) struct Sample {
    pub shard: Shard,
    /// Whether a reshard had closed the shard before the reading.
    pub is_closed: bool,
    /// Whether the shard opened after the time with which the reading begins.
    pub is_younger: bool,
    /// The part of the time of the reading in which the shard was open, 0–1.
    pub lived: f64,
    /// Where the reading began, in times of arrival.
    pub from: DateTime<Utc>,
    /// Where the reading ended, in times of arrival.
    pub until: DateTime<Utc>,
    pub end: End,
    /// Calls that AWS throttled.
    pub throttled: u64,
    pub all: Load,
    /// Records that held several user records, and the number of these.
    pub aggregated: u64,
    pub user_records: u64,
    /// The arrival of the first record.
    pub first: Option<DateTime<Utc>>,
    /// The load by second of arrival.
    pub seconds: BTreeMap<i64, Load>,
    /// The keys with the most records and with the most bytes: of user records, where a record holds several.
    keys: [FrequentItemsSketch<String>; 2],
    /// The sizes of the records, in bytes.
    sizes: KllSketch<u32>,
    /// The load of each part of the shard's hash keys that has any.
    parts: BTreeMap<u32, Load>,
    /// The load of keys that do not belong to the shard.
    outside: Load,
    /// The load of all keys. User records inside aggregates count one by one.
    pub of_keys: Load,
}

/// The load of a partition key.
#[derive(Clone, Debug)]
pub(super) struct KeyLoad {
    pub key: String,
    pub load: Load,
}

impl Sample {
    /// `from`: where the reading begins, in times of arrival.
    pub fn of(shard: Shard, from: DateTime<Utc>) -> Sample {
        let sketch = || FrequentItemsSketch::new(SKETCH).expect("a power of two");
        Sample {
            shard,
            is_closed: false,
            is_younger: false,
            lived: 1.0,
            from,
            until: from,
            end: End::Time,
            throttled: 0,
            all: Load::default(),
            aggregated: 0,
            user_records: 0,
            first: None,
            seconds: BTreeMap::new(),
            keys: [sketch(), sketch()],
            sizes: KllSketch::new(SIZES).expect("within the crate's range"),
            parts: BTreeMap::new(),
            outside: Load::default(),
            of_keys: Load::default(),
        }
    }

    /// Adds a record. Gives its bytes.
    pub fn add(&mut self, record: &Record) -> u64 {
        let key = record.partition_key().unwrap_or_default();
        let data = record.data().as_ref();
        let load = Load { records: 1, bytes: (data.len() + key.len()) as u64 };
        self.all.add(load);
        self.sizes.update(u32::try_from(load.bytes).unwrap_or(u32::MAX));
        if let Some(time) = record.approximate_arrival_timestamp() {
            self.seconds.entry(time.secs()).or_default().add(load);
            let arrival = time.to_millis().ok().and_then(DateTime::from_timestamp_millis);
            self.first = self.first.min(arrival).or(arrival);
        }
        match user_records(data) {
            Some(inside) => {
                self.aggregated += 1;
                self.user_records += inside.len() as u64;
                for user in inside {
                    self.count(&user.key, Load { records: 1, bytes: user.bytes as u64 });
                }
            }
            None => self.count(key, load),
        }
        load.bytes
    }

    /// All records that arrived before this time are read.
    pub fn has_reached(&mut self, time: DateTime<Utc>) {
        self.until = self.until.max(time);
    }

    /// The seconds of arrivals that were read. A reading within a share covers less time of a busy shard than of an
    /// idle one, so loads compare only by the second.
    pub fn seconds_read(&self) -> f64 {
        self.covered_seconds().max(LEAST_SECONDS)
    }

    /// The seconds of arrivals between the beginning and the end. A shard that is younger begins with its first record.
    fn covered_seconds(&self) -> f64 {
        let first = self.first.filter(|_| self.is_younger);
        let from = first.map_or(self.from, |first| first.max(self.from));
        (self.until - from).num_milliseconds() as f64 / 1_000.0
    }

    /// Whether the reading ended before it covered enough of the shard to say how full it is.
    pub fn is_hardly_read(&self) -> bool {
        matches!(self.end, End::Bytes | End::Time) && self.covered_seconds() < LEAST_SECONDS
    }

    fn count(&mut self, key: &str, load: Load) {
        let [records, bytes] = &mut self.keys;
        records.update_with_count_ref(key, load.records);
        bytes.update_with_count_ref(key, load.bytes);
        self.of_keys.add(load);
        let hash = u128::from_be_bytes(Md5::digest(key).into());
        let Shard { first_hash_key: first, last_hash_key: last, .. } = self.shard;
        if (first..=last).contains(&hash) {
            // The number of parts bounds the quotient.
            let part = u32::try_from((hash - first) / self.width()).unwrap_or(PARTS);
            self.parts.entry(part).or_default().add(load);
        } else {
            self.outside.add(load);
        }
    }

    /// The hash keys of one part.
    fn width(&self) -> u128 {
        (self.shard.last_hash_key - self.shard.first_hash_key) / u128::from(PARTS) + 1
    }

    /// The first hash key of a part.
    pub fn part_start(&self, part: u128) -> u128 {
        self.shard.first_hash_key.saturating_add(part.saturating_mul(self.width()))
    }

    /// The load of each part of the shard's hash keys that has any.
    pub fn parts(&self) -> impl Iterator<Item = (u128, Load)> {
        self.parts.iter().map(|(part, load)| (u128::from(*part), *load))
    }

    /// The keys that may be the first ones by bytes or by records, in no order.
    pub fn top_keys(&self, by_bytes: bool) -> Vec<KeyLoad> {
        let [records, bytes] = &self.keys;
        let sketch = if by_bytes { bytes } else { records };
        let rows = sketch.frequent_items(ErrorType::NoFalseNegatives);
        let of = |key: &String| Load { records: records.lower_bound(key), bytes: bytes.lower_bound(key) };
        rows.iter().map(|row| KeyLoad { key: row.item().clone(), load: of(row.item()) }).collect()
    }

    /// By how much the load of a key is too low at most, in bytes or in records.
    pub fn key_error(&self, by_bytes: bool) -> u64 {
        self.keys[usize::from(by_bytes)].maximum_error()
    }

    /// The sizes of all these samples together.
    pub fn sizes_of(samples: &[Sample]) -> Option<KllSketch<u32>> {
        let mut all = KllSketch::new(SIZES).ok()?;
        samples.iter().try_for_each(|sample| all.merge(&sample.sizes)).ok()?;
        (!all.is_empty()).then_some(all)
    }

    /// The second with the most load.
    pub fn peak(&self) -> Option<(i64, Load)> {
        let peak = self.seconds.iter().max_by(|(_, a), (_, b)| a.shard_seconds().total_cmp(&b.shard_seconds()));
        peak.map(|(second, load)| (*second, *load))
    }

    /// The share of the load of keys that do not belong to the shard: producers then give explicit hash keys, which no
    /// reader sees. `weight`: of one load.
    pub fn hidden(&self, weight: impl Fn(Load) -> f64) -> f64 {
        let all = weight(self.of_keys);
        if all > 0.0 { weight(self.outside) / all } else { 0.0 }
    }
}

/// The size that this share of the records does not exceed.
pub(super) fn quantile(sizes: &KllSketch<u32>, share: f64) -> u32 {
    sizes.quantile(share, SearchCriteria::Inclusive).ok().flatten().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    const KEYS: u64 = 230_000;

    fn sample() -> Sample {
        let shard = Shard {
            id: "shardId-000000000000".into(),
            parent: None,
            first_hash_key: 0,
            last_hash_key: u128::MAX,
            traffic: Default::default(),
        };
        Sample::of(shard, DateTime::UNIX_EPOCH)
    }

    /// 300 times as many keys as the sketch keeps, with one record each, and a few with many. More keys would take as
    /// much memory, and only more time.
    #[test]
    fn many_keys_take_bounded_memory_and_counts_are_within_the_error() {
        let (mut sample, mut exact) = (sample(), HashMap::<String, u64>::new());
        let one = Load { records: 1, bytes: 100 };
        for n in 0..KEYS {
            sample.count(&format!("once-{n}"), one);
            if n % 50 == 0 {
                // The first of ten keys has a tenth of the records of the last.
                let key = format!("often-{}", (n / 50 * 7_919 % 55).isqrt());
                sample.count(&key, one);
                *exact.entry(key).or_default() += 1;
            }
        }
        let total = KEYS + exact.values().sum::<u64>();
        for by_bytes in [false, true] {
            let sketch = &sample.keys[usize::from(by_bytes)];
            assert!(sketch.num_active_items() <= SKETCH * 3 / 4, "{}", sketch.num_active_items());
            let (error, unit) = (sample.key_error(by_bytes), if by_bytes { 100 } else { 1 });
            assert!(error as f64 <= 3.5 / SKETCH as f64 * (total * unit) as f64, "{error} of {total}");
            for (key, count) in &exact {
                let (low, high) = (sketch.lower_bound(key), sketch.upper_bound(key));
                assert!((low..=high).contains(&(count * unit)) && high - low <= error, "{key}: {low}..{high}, {count}");
            }
        }
        let mut top = sample.top_keys(false);
        top.sort_by_key(|key| std::cmp::Reverse(key.load.records));
        let often = top.iter().take(exact.values().filter(|count| **count > 2 * sample.key_error(false)).count());
        assert!(often.clone().count() > 0 && often.clone().all(|key| key.key.starts_with("often-")), "{top:?}");
        assert!(sample.parts.len() <= PARTS as usize);
    }

    #[test]
    fn few_keys_are_counted_exactly() {
        let mut sample = sample();
        for n in 0..500 {
            sample.count(&format!("key-{}", n % 100), Load { records: 1, bytes: n });
        }
        assert_eq!((sample.key_error(false), sample.top_keys(true).len()), (0, 100));
        assert!(sample.top_keys(false).iter().all(|key| key.load.records == 5));
    }
}
