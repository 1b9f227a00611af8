//! What the records say: the JSON of the command.

use super::heat::Heat;
use super::sample::{End, Load, Sample, quantile};
use super::weights::{Weighed, Weights};
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::collections::BTreeMap;
use unthrottle_core::hash_keys::halve;
use unthrottle_core::signal::StreamArn;

/// The keys that are listed, of the stream and of each shard. A person acts on the first few.
const TOP: usize = 10;

/// The share of a shard's load whose hash key no reader sees, from which no split is proposed. The keys that are seen
/// then say little about where the load is.
const HIDDEN: f64 = 0.1;

/// What the records of a stream say.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Report {
    /// The version of this format. New versions only add fields.
    version: u32,
    pub stream: String,
    pub arn: String,
    /// When the reading ended, by the clock of the account.
    pub read_at: DateTime<Utc>,
    /// The arrival of the first and of the last record.
    pub first_record_at: Option<DateTime<Utc>>,
    pub last_record_at: Option<DateTime<Utc>>,
    pub records: u64,
    pub bytes: u64,
    /// Whether `--max-mb` ended the reading.
    pub is_cut: bool,
    /// The calls that AWS throttled.
    pub throttled_calls: u64,
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
    pub(super) heat: Heat,
}

/// Sizes of records, in bytes, with their partition keys.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Sizes {
    pub median_bytes: u32,
    pub p95_bytes: u32,
    pub largest_bytes: u32,
}

#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Key {
    /// The partition key, as the producer gave it.
    pub key: String,
    /// The share of the load a second, 0–1.
    pub share: f64,
    pub records: u64,
    pub bytes: u64,
}

#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Shard {
    pub shard: String,
    /// Whether the shard is open. `false`: a reshard closed it, so it is not split.
    pub is_open: bool,
    /// The share of the stream's load a second, 0–1.
    pub share: f64,
    /// The part of what a shard takes that its load fills on average. 1: full.
    pub full_share: f64,
    /// The records that were read, and their bytes.
    pub records: u64,
    pub bytes: u64,
    /// The seconds of arrivals that were read. A busy shard is read more slowly than records arrive.
    pub seconds_read: f64,
    /// Whether too little was read to know how full the shard is.
    #[serde(skip)]
    pub is_hardly_read: bool,
    /// All records that arrived before this time were read, from the beginning on.
    pub read_until: DateTime<Utc>,
    /// Why the reading of the shard ended: `time`, `present`, `max-mb`, `shard-end` or `failed`.
    pub ended_by: &'static str,
    /// The call that failed, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    pub peak: Option<Peak>,
    pub top_keys: Vec<Key>,
    /// `null`: no split divides the load, or too many of its hash keys are not seen.
    pub split: Option<Split>,
}

/// The second with the most load.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Peak {
    pub at: DateTime<Utc>,
    pub records: u64,
    pub bytes: u64,
    /// The share of what a shard takes in a second. Above 1: the shard used capacity that it had saved.
    pub share_of_shard: f64,
}

/// The split that halves the load best.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Split {
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
    pub(super) fn of(arn: &StreamArn, samples: &[Sample], read_at: DateTime<Utc>) -> Report {
        let mut all = Load::default();
        samples.iter().for_each(|sample| all.add(sample.all));
        let weights = Weights::of(samples);
        let seconds = || samples.iter().flat_map(|sample| sample.seconds.keys().copied());
        let time = |second: Option<i64>| second.and_then(|second| DateTime::from_timestamp(second, 0));
        let keys = samples.iter().flat_map(|sample| weights.keys(sample)).collect();
        let total = samples.iter().map(|sample| weights.of_second(sample, sample.all)).sum();
        let of_keys = samples.iter().map(|sample| weights.of_second(sample, sample.of_keys)).sum();
        Report {
            version: 1,
            stream: arn.name.clone(),
            arn: arn.to_string(),
            read_at,
            first_record_at: time(seconds().min()),
            last_record_at: time(seconds().max()),
            records: all.records,
            bytes: all.bytes,
            is_cut: samples.iter().any(|sample| sample.end == End::Bytes),
            throttled_calls: samples.iter().map(|sample| sample.throttled).sum(),
            by_bytes: weights.by_bytes,
            aggregated_records: samples.iter().map(|sample| sample.aggregated).sum(),
            user_records: samples.iter().map(|sample| sample.user_records).sum(),
            sizes: Sizes::of(samples),
            keys_error_share: samples.iter().map(|sample| weights.error(sample)).fold(0.0, f64::max),
            top_keys: top(keys, of_keys),
            shards: samples.iter().map(|sample| Shard::of(sample, total, weights)).collect(),
            heat: Heat::of(samples, weights),
        }
    }

    /// The fullest of the shards that are still open.
    pub fn hottest(&self) -> Option<&Shard> {
        let is_usable = |shard: &&Shard| shard.records > 0 && shard.is_open;
        self.shards.iter().filter(is_usable).max_by(|a, b| a.full_share.total_cmp(&b.full_share))
    }
}

impl Sizes {
    fn of(samples: &[Sample]) -> Sizes {
        let Some(sizes) = Sample::sizes_of(samples) else { return Sizes::default() };
        let largest = sizes.max_item().copied().unwrap_or_default();
        Sizes { median_bytes: quantile(&sizes, 0.5), p95_bytes: quantile(&sizes, 0.95), largest_bytes: largest }
    }
}

impl Shard {
    fn of(sample: &Sample, total: f64, weights: Weights) -> Shard {
        let parts: BTreeMap<u128, f64> = sample.parts().map(|(part, load)| (part, weights.load(load))).collect();
        let split = halve(&parts).filter(|_| sample.hidden(|load| weights.load(load)) < HIDDEN).map(|halving| Split {
            new_starting_hash_key: sample.part_start(halving.at).to_string(),
            fuller_share: halving.fuller_share,
        });
        let peak = sample.peak().and_then(|(second, load)| {
            let at = DateTime::from_timestamp(second, 0)?;
            Some(Peak { at, records: load.records, bytes: load.bytes, share_of_shard: load.shard_seconds() })
        });
        let (ended_by, error) = match &sample.end {
            End::Time => ("time", None),
            End::Present => ("present", None),
            End::Bytes => ("max-mb", None),
            End::Shard => ("shard-end", None),
            End::Failed(why) => ("failed", Some(why.clone())),
        };
        Shard {
            shard: sample.shard.id.clone(),
            is_open: !sample.is_closed && sample.end != End::Shard,
            share: part(weights.of_second(sample, sample.all), total),
            full_share: rounded(sample.all.shard_seconds() / sample.seconds_read()),
            records: sample.all.records,
            bytes: sample.all.bytes,
            seconds_read: sample.seconds_read(),
            is_hardly_read: sample.is_hardly_read(),
            read_until: sample.until,
            ended_by,
            error,
            peak,
            top_keys: top(weights.keys(sample).collect(), weights.of_second(sample, sample.of_keys)),
            split,
        }
    }
}

/// The part of a total, 0–1.
fn part(of: f64, total: f64) -> f64 {
    if total > 0.0 { rounded((of / total).min(1.0)) } else { 0.0 }
}

/// A number with six digits after the point.
fn rounded(number: f64) -> f64 {
    (number * 1e6).round() / 1e6
}

/// The keys with the most load a second, the first first. `total`: the load a second of all keys.
fn top(mut keys: Vec<Weighed>, total: f64) -> Vec<Key> {
    // A reshard leaves one key in two shards.
    keys.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    keys.dedup_by(|next, kept| {
        let is_same = next.key == kept.key;
        if is_same {
            kept.load.add(next.load);
            kept.per_second += next.per_second;
        }
        is_same
    });
    keys.sort_by(|a, b| b.per_second.total_cmp(&a.per_second));
    let key = |Weighed { key, load, per_second }: Weighed| Key {
        key,
        share: part(per_second, total),
        records: load.records,
        bytes: load.bytes,
    };
    keys.into_iter().take(TOP).map(key).collect()
}
