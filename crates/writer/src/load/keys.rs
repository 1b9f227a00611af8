//! The partition keys of the records of a load.

use crate::record::{Key, MAX_KEY_CHARACTERS};

/// The keys of `zipf`: enough that no single one but the first few is hot.
const ZIPF_KEYS: usize = 1000;

/// 2^128 divided by the golden ratio. Its multiples are spread more evenly over any number of shards than those of any
/// other number.
const GOLDEN: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;

/// How the records of a load get their keys.
#[derive(Clone, Debug, PartialEq)]
pub enum Keys {
    /// A random key each.
    Random,
    /// Hash keys that are spread evenly, also after a reshard.
    Even {
        /// The hash key of the next record.
        next: u128,
    },
    /// A thousand keys. The n-th has a weight of 1/n^S.
    Zipf {
        /// The sums of the weights, from 0 to 1.
        sums: Vec<f64>,
    },
    /// One key has this share of the records. The others are random.
    Hot(f64),
    /// All records have this key.
    Fixed(String),
}

/// The text names no keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no keys: give random, even, zipf:1.1, hot:60% or fixed:TEXT")]
pub struct KeysError(String);

impl Keys {
    /// Reads `random`, `even`, `zipf:S`, `hot:SHARE%` or `fixed[:TEXT]`.
    ///
    /// # Errors
    /// It is none of them.
    pub fn parse(text: &str) -> Result<Keys, KeysError> {
        let bad = || KeysError(text.to_owned());
        let (kind, value) = text.split_once(':').map_or((text, None), |(kind, value)| (kind, Some(value)));
        match (kind, value) {
            ("random", None) => Ok(Keys::Random),
            ("even", None) => Ok(Keys::Even { next: 0 }),
            ("zipf", Some(value)) => {
                let power: f64 = value.parse().map_err(|_| bad())?;
                // Beyond 10, all records have the first key.
                if (0.0..=10.0).contains(&power) { Ok(zipf(power)) } else { Err(bad()) }
            }
            ("hot", Some(value)) => {
                let percent: f64 = value.strip_suffix('%').ok_or_else(bad)?.parse().map_err(|_| bad())?;
                if (0.0..=100.0).contains(&percent) { Ok(Keys::Hot(percent / 100.0)) } else { Err(bad()) }
            }
            ("fixed", key) => {
                let key = key.unwrap_or("smoke");
                let is_key = (1..=MAX_KEY_CHARACTERS).contains(&key.chars().count());
                if is_key { Ok(Keys::Fixed(key.to_owned())) } else { Err(bad()) }
            }
            _ => Err(bad()),
        }
    }

    /// Bytes of a key, at most.
    pub fn bytes(&self) -> usize {
        match self {
            Keys::Fixed(key) => key.len(),
            // A UUID; the others are shorter.
            _ => 36,
        }
    }

    /// The key of the next record, and its hash key.
    pub(super) fn next(&mut self, random: &mut fastrand::Rng) -> (Key, Option<u128>) {
        match self {
            Keys::Random => (Key::Random, None),
            Keys::Even { next } => {
                let hash_key = *next;
                *next = next.wrapping_add(GOLDEN);
                (Key::Random, Some(hash_key))
            }
            Keys::Zipf { sums } => {
                let drawn = random.f64();
                let place = sums.partition_point(|sum| *sum <= drawn);
                (Key::Given(format!("key-{place}")), None)
            }
            Keys::Hot(share) => {
                let is_hot = random.f64() < *share;
                (if is_hot { Key::Given("hot".into()) } else { Key::Random }, None)
            }
            Keys::Fixed(key) => (Key::Given(key.clone()), None),
        }
    }
}

fn zipf(power: f64) -> Keys {
    let weights: Vec<f64> = (1..=ZIPF_KEYS).map(|rank| (rank as f64).powf(-power)).collect();
    let all: f64 = weights.iter().sum();
    let add = |sum: &mut f64, weight: f64| {
        *sum += weight / all;
        Some(*sum)
    };
    let mut sums: Vec<f64> = weights.into_iter().scan(0.0, add).collect();
    // The last sum may miss 1 by a little, and then no key would have the rest.
    if let Some(last) = sums.last_mut() {
        *last = 1.0;
    }
    Keys::Zipf { sums }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    /// The share of each key among ten thousand records.
    fn shares(text: &str) -> HashMap<Key, f64> {
        let (mut keys, mut random) = (Keys::parse(text).expect(text), fastrand::Rng::with_seed(1));
        let mut shares = HashMap::new();
        for _ in 0..10_000 {
            *shares.entry(keys.next(&mut random).0).or_default() += 1e-4;
        }
        shares
    }

    #[test]
    fn each_kind_of_keys_has_its_shares() {
        let near = |share: f64, wanted: f64| (share - wanted).abs() < 0.02;
        assert!(near(shares("hot:60%")[&Key::Given("hot".into())], 0.6));
        assert!(near(shares("fixed:a")[&Key::Given("a".into())], 1.0));
        let zipf = shares("zipf:1.1");
        let (first, second) = (zipf[&Key::Given("key-0".into())], zipf[&Key::Given("key-1".into())]);
        assert!(near(second / first, 2_f64.powf(-1.1)) || (second / first - 0.467).abs() < 0.05, "{first} {second}");
        assert!(zipf.len() > 500);
    }

    #[test]
    fn even_keys_are_even_on_any_number_of_shards() {
        let (mut keys, mut random) = (Keys::parse("even").expect("even"), fastrand::Rng::with_seed(1));
        let hashes: Vec<u128> = (0..1000).filter_map(|_| keys.next(&mut random).1).collect();
        for shards in [2_u128, 3, 4, 7] {
            let of = |shard| hashes.iter().filter(|hash| **hash / (u128::MAX / shards) == shard).count() as f64;
            let wanted = 1000.0 / shards as f64;
            assert!((0..shards).all(|shard| (of(shard) - wanted).abs() <= 3.0), "{shards}");
        }
    }

    #[test]
    fn other_words_are_refused_by_name() {
        for text in ["", "zipf", "zipf:x", "zipf:-1", "hot:60", "hot:101%", "hot:NaN%", "fixed:", "random:1", "even:2"]
        {
            let error = Keys::parse(text).expect_err(text).to_string();
            assert!(error.contains(&format!("`{text}` names no keys")), "{error}");
        }
    }
}
