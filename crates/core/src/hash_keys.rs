//! Hash keys: where to split a shard so that its load halves, and how many shards may have had all of them.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// A split of a shard in two.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Halving {
    /// The first hash key of the upper half (`NewStartingHashKey`).
    pub at: u128,
    /// The share of the load that the fuller half gets, 0.5–1.
    pub fuller_share: f64,
}

/// The split that leaves the least load in the fuller half. `loads`: the load of each hash key, in any unit, all within
/// the shard. `None`: fewer than two hash keys have load, so no split divides it.
pub fn halve(loads: &BTreeMap<u128, f64>) -> Option<Halving> {
    let total: f64 = loads.values().sum();
    let mut below = 0.0;
    let pairs = loads.iter().zip(loads.keys().skip(1));
    let splits = pairs.map(|((key, load), next)| {
        below += load;
        // Half way between both, so that each half gets its part of the hash keys that were not seen.
        let at = key + (next - key).div_ceil(2);
        Halving { at, fuller_share: below.max(total - below) / total }
    });
    splits.filter(|split| split.fuller_share.is_finite()).min_by(|a, b| a.fuller_share.total_cmp(&b.fuller_share))
}

/// The fewest and the most of these ranges that together have all hash keys, each key once. `ranges`: the first and the
/// last hash key of each. They are the shards of a stream over some time, and their number at each moment is between
/// both. `None`: no choice of ranges has all hash keys.
pub fn tilings(ranges: impl IntoIterator<Item = (u128, u128)>) -> Option<RangeInclusive<u32>> {
    let mut ranges: Vec<(u128, u128)> = ranges.into_iter().filter(|(first, last)| first <= last).collect();
    ranges.sort_unstable();
    // The ranges that end before this hash key: the fewest and the most of them.
    let mut before = BTreeMap::from([(0_u128, (0_u32, 0_u32))]);
    let mut all = None::<(u32, u32)>;
    for (first, last) in ranges {
        let Some((fewest, most)) = before.get(&first).map(|(fewest, most)| (fewest + 1, most + 1)) else { continue };
        let merge = |known: (u32, u32)| (known.0.min(fewest), known.1.max(most));
        match last.checked_add(1) {
            Some(next) => drop(before.entry(next).and_modify(|known| *known = merge(*known)).or_insert((fewest, most))),
            None => all = Some(all.map_or((fewest, most), merge)),
        }
    }
    all.map(|(fewest, most)| fewest..=most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn loads(pairs: &[(u128, f64)]) -> BTreeMap<u128, f64> {
        pairs.iter().copied().collect()
    }

    #[test]
    fn even_loads_split_in_the_middle() {
        let split = halve(&loads(&[(10, 1.0), (20, 1.0), (30, 1.0), (40, 1.0)])).expect("a split");
        assert_eq!(split, Halving { at: 25, fuller_share: 0.5 });
    }

    #[test]
    fn one_heavy_key_stays_whole() {
        let split = halve(&loads(&[(10, 1.0), (20, 8.0), (30, 1.0)])).expect("a split");
        assert_eq!(split.fuller_share, 0.9);
        assert_eq!(halve(&loads(&[(10, 8.0)])), None);
        assert_eq!(halve(&loads(&[])), None);
        assert_eq!(halve(&loads(&[(1, 0.0), (2, 0.0)])), None);
    }

    #[test]
    fn neighbours_split_between_them() {
        assert_eq!(halve(&loads(&[(7, 1.0), (8, 1.0)])).map(|split| split.at), Some(8));
    }

    /// Two shards that were doubled, halved and doubled again: the fewest are those of the middle.
    #[test]
    fn the_shards_of_some_time_have_a_fewest_and_a_most_number() {
        let even = |count: u32| {
            let width = u128::MAX / u128::from(count);
            let last = move |n: u32| if n + 1 == count { u128::MAX } else { u128::from(n + 1) * width - 1 };
            (0..count).map(move |n| (u128::from(n) * width, last(n)))
        };
        assert_eq!(tilings(even(4)), Some(4..=4));
        assert_eq!(tilings(even(4).chain(even(2)).chain(even(4))), Some(2..=4));
        let split_twice = even(1).chain([(0, 9), (10, u128::MAX), (0, 4), (5, 9)]);
        assert_eq!(tilings(split_twice), Some(1..=3));
        assert_eq!(tilings(even(2).skip(1)), None, "a half has no shard");
        assert_eq!(tilings([]), None);
    }

    proptest! {
        #[test]
        fn each_half_has_load_and_no_other_split_is_better(
            loads in prop::collection::btree_map(any::<u128>(), 0.1..100.0_f64, 2..40)
        ) {
            let split = halve(&loads).expect("a split");
            let total: f64 = loads.values().sum();
            let fuller = |at: u128| {
                let below: f64 = loads.range(..at).map(|(_, load)| load).sum();
                below.max(total - below) / total
            };
            prop_assert!(loads.range(..split.at).next().is_some() && loads.range(split.at..).next().is_some());
            prop_assert!((fuller(split.at) - split.fuller_share).abs() < 1e-9);
            for at in loads.keys().skip(1) {
                prop_assert!(split.fuller_share <= fuller(*at) + 1e-9);
            }
        }
    }
}
