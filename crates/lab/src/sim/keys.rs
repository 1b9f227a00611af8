//! The keys of a simulated producer, and each shard's share of them.

use super::chance::Chance;
use crate::rules::{HashRange, hash_key};
use std::sync::Arc;

/// The keys of a producer, with the share of records of each key. A shard gets its share of the whole load, so that the
/// simulation follows no single record.
#[derive(Clone, Debug)]
pub struct Keys {
    /// Sorted.
    hashes: Arc<[u128]>,
    /// At each place, the weight of all keys before it. Has one entry more than there are keys.
    below: Arc<[f64]>,
}

impl Keys {
    /// Keys from hash keys and their weights, in any order. Weights may have any sum.
    pub fn of(weights: impl IntoIterator<Item = (u128, f64)>) -> Keys {
        let mut weights: Vec<(u128, f64)> = weights.into_iter().collect();
        weights.sort_by_key(|(hash, _)| *hash);
        let mut below = vec![0.0];
        for (_, weight) in &weights {
            below.push(below.last().copied().unwrap_or_default() + weight);
        }
        Keys { hashes: weights.into_iter().map(|(hash, _)| hash).collect(), below: below.into() }
    }

    /// `count` keys, `key-0` and so on, with the same share each.
    pub fn even(count: u32) -> Keys {
        Keys::of((0..count).map(|n| (hash_key(&format!("key-{n}")), 1.0)))
    }

    /// One key, `hot`, has this share of the records (0 to 1); the others share the rest evenly.
    pub fn with_a_hot_one(share: f64, others: u32) -> Keys {
        let rest = (1.0 - share) / f64::from(others.max(1));
        let even = (0..others).map(|n| (hash_key(&format!("key-{n}")), rest));
        Keys::of(even.chain([(hash_key("hot"), share)]))
    }

    /// `count` keys by Zipf's law: each key has 1/rank as many records as the first.
    pub fn zipf(count: u32) -> Keys {
        Keys::of((0..count).map(|n| (hash_key(&format!("key-{n}")), 1.0 / f64::from(n + 1))))
    }

    /// `count` keys with explicit hash keys, drawn from `seed`. This share of the records (0 to 1) lies in `range`, the
    /// rest anywhere.
    pub fn in_a_hot_range(share: f64, range: HashRange, count: u32, seed: u64) -> Keys {
        let mut chance = Chance::new(seed, super::chance::KEYS);
        let each = 1.0 / f64::from(count.max(1));
        let mut weights = Vec::new();
        for _ in 0..count {
            weights.push((chance.hash_key(range), share * each));
            weights.push((chance.hash_key(HashRange::ALL), (1.0 - share) * each));
        }
        Keys::of(weights)
    }

    /// The share of all records with keys in `range`, from 0 to 1.
    pub fn share(&self, range: HashRange) -> f64 {
        let all = self.below.last().copied().unwrap_or_default();
        if all > 0.0 { self.weight(range) / all } else { 0.0 }
    }

    fn weight(&self, range: HashRange) -> f64 {
        let first = self.hashes.partition_point(|hash| *hash < range.first);
        let end = self.hashes.partition_point(|hash| *hash <= range.last);
        self.below[end] - self.below[first]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_hot_key_is_in_one_shard_and_a_hot_range_in_the_shards_of_the_range() {
        let shares = |keys: &Keys| HashRange::uniform(4).into_iter().map(|r| keys.share(r)).collect::<Vec<_>>();
        let hot = shares(&Keys::with_a_hot_one(0.6, 20_000));
        let (hottest, others) = (hot.iter().filter(|s| **s > 0.6), hot.iter().filter(|s| **s < 0.12));
        assert_eq!((hottest.count(), others.count()), (1, 3), "{hot:?}");
        let second = HashRange::uniform(4)[1];
        let range = shares(&Keys::in_a_hot_range(0.8, second, 10_000, 7));
        assert!((range[1] - 0.85).abs() < 0.01, "{range:?}");
    }

    #[test]
    fn by_zipfs_law_the_first_key_has_more_than_the_others() {
        let keys = Keys::zipf(3);
        let first = hash_key("key-0");
        let share = keys.share(HashRange { first, last: first });
        assert!((share - 6.0 / 11.0).abs() < 1e-12, "1 of 1 + 1/2 + 1/3: {share}");
    }

    proptest! {
        #[test]
        fn shares_sum_up_to_one(shards in 1..200u32, keys in 1..500u32) {
            let keys = Keys::even(keys);
            let sum: f64 = HashRange::uniform(shards).into_iter().map(|range| keys.share(range)).sum();
            prop_assert!((sum - 1.0).abs() < 1e-9, "{sum}");
        }

    }
}
