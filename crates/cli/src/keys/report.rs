//! What the records say: the JSON of the command.

use super::heat::Heat;
use super::sample::{KeyLoad, Load, Sample, quantile};
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use unthrottle_core::hash_keys::halve;
use unthrottle_core::text::plain;

/// The keys that are listed, of the stream and of each shard. A person acts on the first few.
const TOP: usize = 10;

/// The share of a shard's load whose hash key no reader sees, from which no split is proposed. The keys that are seen
/// then say little about where the load is.
const HIDDEN: f64 = 0.1;

/// The characters of a partition key, which AWS allows (API reference of PutRecord).
const LONGEST_KEY: usize = 256;

/// What the records of a stream say.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// The version of this format. New versions only add fields.
    version: u32,
    pub stream: String,
    /// The arrival of the first and of the last record.
    pub first_record_at: Option<DateTime<Utc>>,
    pub last_record_at: Option<DateTime<Utc>>,
    pub records: u64,
    pub bytes: u64,
    /// Whether `--max-mb` ended the reading.
    pub is_cut: bool,
    /// Whether shares are shares of bytes; otherwise of records. It is what fills a shard first.
    pub by_bytes: bool,
    pub aggregated_records: u64,
    pub user_records: u64,
    pub sizes: Sizes,
    /// By how much a share of `top_keys` is too low at most, 0–1. 0: there are so few keys that all counts are exact.
    pub keys_error_share: f64,
    pub top_keys: Vec<Key>,
    pub shards: Vec<Shard>,
    /// The load over time and over hash keys, for the page.
    #[serde(skip)]
    pub heat: Heat,
}

/// Sizes of records, in bytes, with their partition keys.
#[derive(Debug, Default, Serialize)]
pub(super) struct Sizes {
    pub median_bytes: u32,
    pub p95_bytes: u32,
    pub largest_bytes: u32,
}

#[derive(Debug, Serialize)]
pub(super) struct Key {
    /// The partition key, without characters that a terminal acts on.
    pub key: String,
    /// The share of the load, 0–1.
    pub share: f64,
    pub records: u64,
    pub bytes: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct Shard {
    pub shard: String,
    /// The share of the stream's load, 0–1.
    pub share: f64,
    pub records: u64,
    pub bytes: u64,
    pub peak: Option<Peak>,
    pub top_keys: Vec<Key>,
    /// `null`: no split divides the load, or too many of its hash keys are not seen.
    pub split: Option<Split>,
}

/// The second with the most load.
#[derive(Debug, Serialize)]
pub(super) struct Peak {
    pub at: DateTime<Utc>,
    pub records: u64,
    pub bytes: u64,
    /// The share of what a shard takes in a second. Above 1: the shard used capacity that it had saved.
    pub share_of_shard: f64,
}

/// The split that halves the load best.
#[derive(Debug, Serialize)]
pub(super) struct Split {
    /// `NewStartingHashKey`, in decimal digits.
    pub new_starting_hash_key: String,
    /// The share of the shard's load that the fuller half gets, 0.5–1.
    pub fuller_share: f64,
}

/// A fuller half with more than this share is hardly cooler: one key has most of the load. AWS gives no number.
const HARDLY_HALVED: f64 = 0.75;

impl Split {
    /// Whether both halves are much cooler than the shard.
    pub fn is_worth_it(&self) -> bool {
        self.fuller_share <= HARDLY_HALVED
    }
}

impl Report {
    pub fn of(stream: &str, samples: &[Sample], is_cut: bool) -> Report {
        let mut all = Load::default();
        samples.iter().for_each(|sample| all.add(sample.all));
        let by_bytes = all.bytes as f64 / 1_048_576.0 > all.records as f64 / 1_000.0;
        let weight = move |load: Load| if by_bytes { load.bytes as f64 } else { load.records as f64 };
        let seconds = || samples.iter().flat_map(|sample| sample.seconds.keys().copied());
        let time = |second: Option<i64>| second.and_then(|second| DateTime::from_timestamp(second, 0));
        let keys = samples.iter().flat_map(|sample| sample.top_keys(by_bytes)).collect();
        let total = weight(all);
        let mut of_keys = Load::default();
        samples.iter().for_each(|sample| of_keys.add(sample.of_keys));
        Report {
            version: 1,
            stream: stream.to_owned(),
            first_record_at: time(seconds().min()),
            last_record_at: time(seconds().max()),
            records: all.records,
            bytes: all.bytes,
            is_cut,
            by_bytes,
            aggregated_records: samples.iter().map(|sample| sample.aggregated).sum(),
            user_records: samples.iter().map(|sample| sample.user_records).sum(),
            sizes: Sizes::of(samples),
            keys_error_share: samples.iter().map(|sample| error(sample, by_bytes, &weight)).fold(0.0, f64::max),
            top_keys: top(keys, weight(of_keys), &weight),
            shards: samples.iter().map(|sample| Shard::of(sample, total, by_bytes, &weight)).collect(),
            heat: Heat::of(samples, by_bytes),
        }
    }

    /// The shard with the most load.
    pub fn hottest(&self) -> Option<&Shard> {
        self.shards.iter().filter(|shard| shard.records > 0).max_by(|a, b| a.share.total_cmp(&b.share))
    }
}

impl Sizes {
    fn of(samples: &[Sample]) -> Sizes {
        let Some(sizes) = Sample::sizes_of(samples) else { return Sizes::default() };
        let largest = sizes.max_item().copied().unwrap_or_default();
        Sizes { median_bytes: quantile(&sizes, 0.5), p95_bytes: quantile(&sizes, 0.95), largest_bytes: largest }
    }
}

/// By how much the share of a key of the shard is too low at most.
fn error(sample: &Sample, by_bytes: bool, weight: &impl Fn(Load) -> f64) -> f64 {
    let all = weight(sample.of_keys);
    if all > 0.0 { sample.key_error(by_bytes) as f64 / all } else { 0.0 }
}

impl Shard {
    fn of(sample: &Sample, total: f64, by_bytes: bool, weight: &impl Fn(Load) -> f64) -> Shard {
        let parts: BTreeMap<u128, f64> = sample.parts().map(|(part, load)| (part, weight(load))).collect();
        let split = halve(&parts).filter(|_| sample.hidden(weight) < HIDDEN).map(|halving| Split {
            new_starting_hash_key: sample.part_start(halving.at).to_string(),
            fuller_share: halving.fuller_share,
        });
        let peak = sample.peak().and_then(|(second, load)| {
            let at = DateTime::from_timestamp(second, 0)?;
            Some(Peak { at, records: load.records, bytes: load.bytes, share_of_shard: load.shard_seconds() })
        });
        let own = weight(sample.all);
        Shard {
            shard: sample.shard.id.clone(),
            share: if total > 0.0 { own / total } else { 0.0 },
            records: sample.all.records,
            bytes: sample.all.bytes,
            peak,
            top_keys: top(sample.top_keys(by_bytes), weight(sample.of_keys), weight),
            split,
        }
    }
}

/// The keys with the most load, the first first. `total`: the load of all keys.
fn top(mut keys: Vec<KeyLoad>, total: f64, weight: &impl Fn(Load) -> f64) -> Vec<Key> {
    // A reshard leaves one key in two shards.
    keys.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    keys.dedup_by(|next, kept| {
        let is_same = next.key == kept.key;
        if is_same {
            kept.load.add(next.load);
        }
        is_same
    });
    keys.sort_by_key(|key| Reverse(weight(key.load) as u64));
    let key = |KeyLoad { key, load }: KeyLoad| Key {
        key: plain(&key, LONGEST_KEY),
        share: if total > 0.0 { (weight(load) / total).min(1.0) } else { 0.0 },
        records: load.records,
        bytes: load.bytes,
    };
    keys.into_iter().take(TOP).map(key).collect()
}
