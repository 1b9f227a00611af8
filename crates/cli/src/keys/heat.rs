//! The load of a stream over time and over its hash keys.

use super::sample::{Load, Sample};
use super::weights::Weights;
use std::collections::BTreeMap;

/// The columns of time. A phone shows no more.
const COLUMNS: i64 = 60;

/// The shards that the picture shows, the fullest first. A person looks at no more.
pub(super) const SHARDS: usize = 40;

/// The columns of hash keys. A shard of a large stream then has at least one.
pub(super) const RANGES: usize = 240;

/// The load over time and over hash keys.
#[derive(Debug, Default)]
pub(super) struct Heat {
    /// The first second, and the seconds of a column.
    pub first: i64,
    pub column_seconds: i64,
    /// The fullest shards, in the order of the stream.
    pub shards: Vec<OfShard>,
    /// The share of the load a second in each range of hash keys, 0–1. All ranges have the same width.
    pub ranges: Vec<f64>,
}

/// A shard over time.
#[derive(Debug)]
pub(super) struct OfShard {
    pub id: String,
    /// Where its hash keys begin in the stream's, 0–1.
    pub begins: f64,
    /// How full it was in each column: the share of what a shard takes. `None`: no record was read.
    pub columns: Vec<Option<f64>>,
}

impl Heat {
    pub fn of(samples: &[Sample], weights: Weights) -> Heat {
        let seconds = || samples.iter().flat_map(|sample| sample.seconds.keys().copied());
        let (Some(first), Some(last)) = (seconds().min(), seconds().max()) else { return Heat::default() };
        let column_seconds = ((last - first + 1) as u64).div_ceil(COLUMNS as u64) as i64;
        let mut fullest: Vec<&Sample> = samples.iter().filter(|sample| sample.all.records > 0).collect();
        let full = |sample: &Sample| sample.all.shard_seconds() / sample.seconds_read();
        fullest.sort_by(|a, b| full(b).total_cmp(&full(a)));
        fullest.truncate(SHARDS);
        fullest.sort_by_key(|sample| sample.shard.first_hash_key);
        let count = (last - first) / column_seconds + 1;
        let shards = fullest.into_iter().map(|sample| OfShard {
            id: sample.shard.id.clone(),
            begins: place(sample.shard.first_hash_key),
            columns: columns(sample, first, column_seconds, count),
        });
        Heat { first, column_seconds, shards: shards.collect(), ranges: ranges(samples, weights) }
    }
}

fn columns(sample: &Sample, first: i64, column_seconds: i64, count: i64) -> Vec<Option<f64>> {
    let mut loads = BTreeMap::<i64, Load>::new();
    for (second, load) in &sample.seconds {
        loads.entry((second - first) / column_seconds).or_default().add(*load);
    }
    (0..count).map(|column| loads.get(&column).map(|load| load.shard_seconds() / column_seconds as f64)).collect()
}

fn ranges(samples: &[Sample], weights: Weights) -> Vec<f64> {
    let (mut ranges, mut all) = (vec![0.0; RANGES], 0.0);
    for sample in samples {
        for (part, load) in sample.parts() {
            let weight = weights.of_second(sample, load);
            let range = (place(sample.part_start(part)) * RANGES as f64) as usize;
            ranges[range.min(RANGES - 1)] += weight;
            all += weight;
        }
    }
    ranges.into_iter().map(|weight| if all > 0.0 { weight / all } else { 0.0 }).collect()
}

/// Where a hash key is among all, 0–1.
pub(super) fn place(hash_key: u128) -> f64 {
    hash_key as f64 / 2.0_f64.powi(128)
}
