//! The best results of a policy that reshards for writes: with knowledge of the future ([`Clairvoyant`]), and with
//! knowledge of the offered load once its minute is published ([`Reactive`]). No real tool can know either. The other
//! policies are compared with these two.

mod clairvoyant;
mod reactive;

pub use clairvoyant::Clairvoyant;
pub use reactive::Reactive;

use super::keys::Keys;
use super::workloads::Workload;
use crate::rules::HashRange;
use crate::rules::{WRITE_BYTES_A_SECOND, WRITE_RECORDS_A_SECOND};
use std::collections::BTreeMap;

/// The capacity of a number of shards of equal width, under a workload.
#[derive(Debug)]
struct UniformShards {
    keys: Keys,
    /// Records that a shard accepts in a second.
    of_a_shard: f64,
    /// Each shard's share of the load, by the number of shards; the largest share first.
    shares: BTreeMap<u32, Vec<f64>>,
    /// The same at the beginning, where the shards are not of equal width.
    at_first: Option<Vec<f64>>,
}

impl UniformShards {
    fn of(workload: &Workload, seed: u64) -> UniformShards {
        let of_a_shard = WRITE_RECORDS_A_SECOND.min(WRITE_BYTES_A_SECOND / workload.record_bytes.max(1)) as f64;
        let keys = (workload.keys)(seed);
        let at_first = workload.ranges.map(|ranges| shares(&keys, ranges()));
        UniformShards { keys, of_a_shard, shares: BTreeMap::new(), at_first }
    }

    /// Refused records in a second with this number of new records.
    fn refused(&mut self, shards: u32, records: f64) -> f64 {
        let keys = &self.keys;
        let shares = self.shares.entry(shards).or_insert_with(|| shares(keys, HashRange::uniform(shards)));
        refused_of(shares, records, self.of_a_shard)
    }

    /// The same of the shards at the beginning; `None`: they are of equal width.
    fn refused_at_first(&self, records: f64) -> Option<f64> {
        Some(refused_of(self.at_first.as_ref()?, records, self.of_a_shard))
    }
}

/// The share of each range, the largest first.
fn shares(keys: &Keys, ranges: Vec<HashRange>) -> Vec<f64> {
    let mut shares: Vec<f64> = ranges.into_iter().map(|range| keys.share(range)).collect();
    shares.sort_by(|a, b| b.total_cmp(a));
    shares
}

/// Refused records of a second, by the shares of the shards, the largest first.
fn refused_of(shares: &[f64], records: f64, of_a_shard: f64) -> f64 {
    shares.iter().map(|share| share * records - of_a_shard).take_while(|over| *over > 0.0).sum()
}
