//! Loads that compare: what fills a shard first, by the second.
//!
//! The reading takes the same share of each shard, so a busy shard is read more slowly than records arrive, and an
//! idle one to the present. The records that were read say nothing about which shard is busy. Their number a second of
//! arrivals does.

use super::sample::{KeyLoad, Load, Sample};

/// What loads count as.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weights {
    /// Whether bytes fill the shards first; otherwise records.
    pub by_bytes: bool,
}

/// A partition key with its load.
#[derive(Debug)]
pub(super) struct Weighed {
    pub key: String,
    pub load: Load,
    /// Its load a second, in bytes or records.
    pub per_second: f64,
}

impl Weights {
    /// What fills the shards of these samples first.
    pub fn of(samples: &[Sample]) -> Weights {
        let rate = |of: fn(Load) -> u64| -> f64 { samples.iter().map(|s| of(s.all) as f64 / s.seconds_read()).sum() };
        Weights { by_bytes: rate(|load| load.bytes) / 1_048_576.0 > rate(|load| load.records) / 1_000.0 }
    }

    /// A load in bytes or records. Loads of one shard compare by it.
    pub fn load(self, load: Load) -> f64 {
        if self.by_bytes { load.bytes as f64 } else { load.records as f64 }
    }

    /// A load of the shard of this sample, a second of the whole reading. A shard that a reshard closed or opened
    /// meanwhile counts for its part of the time.
    pub fn of_second(self, sample: &Sample, load: Load) -> f64 {
        self.load(load) / sample.seconds_read() * sample.lived
    }

    /// The keys of the shard that may be the first ones, in no order.
    pub fn keys(self, sample: &Sample) -> impl Iterator<Item = Weighed> {
        sample.top_keys(self.by_bytes).into_iter().map(move |KeyLoad { key, load }| {
            let per_second = self.of_second(sample, load);
            Weighed { key, load, per_second }
        })
    }

    /// By how much the share of a key of the shard is too low at most.
    pub fn error(self, sample: &Sample) -> f64 {
        let all = self.load(sample.of_keys);
        if all > 0.0 { sample.key_error(self.by_bytes) as f64 / all } else { 0.0 }
    }
}
