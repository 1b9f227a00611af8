//! What the records say: the JSON of the command.

use super::sample::{Load, Sample};
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::cmp::Reverse;
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
    pub top_keys: Vec<Key>,
    pub shards: Vec<Shard>,
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

impl Report {
    pub fn of(stream: &str, samples: &[Sample], is_cut: bool) -> Report {
        let mut all = Load::default();
        samples.iter().for_each(|sample| all.add(sample.all));
        let by_bytes = all.bytes as f64 / 1_048_576.0 > all.records as f64 / 1_000.0;
        let weight = move |load: Load| if by_bytes { load.bytes as f64 } else { load.records as f64 };
        let seconds = || samples.iter().flat_map(|sample| sample.seconds.keys().copied());
        let time = |second: Option<i64>| second.and_then(|second| DateTime::from_timestamp(second, 0));
        let keys = samples.iter().flat_map(|sample| &sample.keys);
        let total: f64 = samples.iter().map(|sample| weight(sample.all)).sum();
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
            top_keys: top(keys, &weight),
            shards: samples.iter().map(|sample| Shard::of(sample, total, &weight)).collect(),
        }
    }

    /// The shard with the most load.
    pub fn hottest(&self) -> Option<&Shard> {
        self.shards.iter().filter(|shard| shard.records > 0).max_by(|a, b| a.share.total_cmp(&b.share))
    }
}

impl Sizes {
    fn of(samples: &[Sample]) -> Sizes {
        let mut sizes: Vec<u32> = samples.iter().flat_map(|sample| &sample.sizes).copied().collect();
        sizes.sort_unstable();
        let at = |share: f64| {
            let place = ((sizes.len() as f64 * share).ceil() as usize).max(1) - 1;
            sizes.get(place).copied().unwrap_or_default()
        };
        Sizes { median_bytes: at(0.5), p95_bytes: at(0.95), largest_bytes: at(1.0) }
    }
}

impl Shard {
    fn of(sample: &Sample, total: f64, weight: &impl Fn(Load) -> f64) -> Shard {
        let (loads, hidden) = sample.by_hash_key(weight);
        let split = halve(&loads)
            .filter(|_| hidden < HIDDEN)
            .map(|halving| Split { new_starting_hash_key: halving.at.to_string(), fuller_share: halving.fuller_share });
        let peak = sample.peak().and_then(|(second, load)| {
            let at = DateTime::from_timestamp(second, 0)?;
            Some(Peak { at, records: load.records, bytes: load.bytes, share_of_shard: load.shard_seconds() })
        });
        Shard {
            shard: sample.shard.id.clone(),
            share: if total > 0.0 { weight(sample.all) / total } else { 0.0 },
            records: sample.all.records,
            bytes: sample.all.bytes,
            peak,
            top_keys: top(sample.keys.iter(), weight),
            split,
        }
    }
}

/// The keys with the most load, the first first.
fn top<'a>(keys: impl Iterator<Item = (&'a String, &'a Load)>, weight: &impl Fn(Load) -> f64) -> Vec<Key> {
    let mut keys: Vec<(&String, Load)> = keys.map(|(key, load)| (key, *load)).collect();
    // A reshard leaves one key in two shards.
    keys.sort_unstable_by_key(|(key, _)| *key);
    keys.dedup_by(|(key, load), (kept, sum)| {
        let is_same = key == kept;
        if is_same {
            sum.add(*load);
        }
        is_same
    });
    let total: f64 = keys.iter().map(|(_, load)| weight(*load)).sum();
    keys.sort_by_key(|(_, load)| Reverse(weight(*load) as u64));
    let key = |(key, load): (&String, Load)| Key {
        key: plain(key, LONGEST_KEY),
        share: weight(load) / total,
        records: load.records,
        bytes: load.bytes,
    };
    keys.into_iter().take(TOP).map(key).collect()
}
