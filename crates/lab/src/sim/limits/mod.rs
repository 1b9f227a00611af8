//! What can hardly be done better by who reshards for writes: with the future known ([`Clairvoyant`]), and with what was
//! really written, once its minute is published ([`Reactive`]). No tool can be built like either; the others are held
//! against them.

mod clairvoyant;
mod reactive;

pub use clairvoyant::Clairvoyant;
pub use reactive::Reactive;

use super::keys::Keys;
use super::workloads::Workload;
use crate::rules::HashRange;
use crate::rules::{WRITE_BYTES_A_SECOND, WRITE_RECORDS_A_SECOND};
use std::collections::BTreeMap;

/// What so many shards of equal width take of a workload.
#[derive(Debug)]
struct UniformShards {
    keys: Keys,
    /// Records that a shard takes in a second.
    of_a_shard: f64,
    /// The shares of the load that each shard has, by the number of shards; the largest first.
    shares: BTreeMap<u32, Vec<f64>>,
}

impl UniformShards {
    fn of(workload: &Workload, seed: u64) -> UniformShards {
        let of_a_shard = WRITE_RECORDS_A_SECOND.min(WRITE_BYTES_A_SECOND / workload.record_bytes.max(1)) as f64;
        UniformShards { keys: (workload.keys)(seed), of_a_shard, shares: BTreeMap::new() }
    }

    /// Records that are refused in a second with so many new ones.
    fn refused(&mut self, shards: u32, records: f64) -> f64 {
        let keys = &self.keys;
        let shares = self.shares.entry(shards).or_insert_with(|| {
            let mut shares: Vec<f64> = HashRange::uniform(shards).into_iter().map(|range| keys.share(range)).collect();
            shares.sort_by(|a, b| b.total_cmp(a));
            shares
        });
        shares.iter().map(|share| share * records - self.of_a_shard).take_while(|over| *over > 0.0).sum()
    }
}
