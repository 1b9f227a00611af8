//! Where to split a shard so that its load halves, from the load of its hash keys.

use std::collections::BTreeMap;

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
