//! The short-lived shards of a reshard. They count towards the account's quota (UpdateShardCount's API reference).
//!
//! AWS cuts at each boundary of the old and of the new shards before it merges the pieces: 2 → 3 goes over 4, as was
//! observed. A boundary that old and new shards share saves one piece. This file counts these boundaries for every
//! target at once: a reshard of thousands of shards has thousands of targets, and a person waits for the answer.

use crate::observation::Shard;

/// For each target up to some number: how many boundaries of the open shards are also boundaries of that number of
/// equal shards.
pub(super) struct KeptBoundaries(Vec<u32>);

impl KeptBoundaries {
    /// The kept boundaries of a reshard of `open` to any number of shards up to `most`, which is more than are open.
    /// `open`: the open shards. Where they are unknown, no boundary is assumed to stay.
    pub fn of(open: &[Shard], most: u32) -> KeptBoundaries {
        let mut kept = vec![0; most as usize + 1];
        for boundary in open.iter().filter_map(|shard| Boundary::of(shard.first_hash_key, most)) {
            // n ÷ target is the same fraction for each multiple of its smallest denominator.
            let multiples = kept.iter_mut().enumerate().step_by(boundary.of as usize).skip(1);
            // AWS may round in another way. Then a boundary is off by less than the number of shards, in keys.
            multiples.filter(|(target, _)| boundary.off <= *target as u128).for_each(|(_, kept)| *kept += 1);
        }
        KeptBoundaries(kept)
    }

    /// The shards that a reshard to `to` shards opens on its way, above the open ones.
    pub fn opened_on_the_way(&self, to: u32) -> u32 {
        // The first boundary always stays: it is the first hash key of all.
        to.saturating_sub(self.0.get(to as usize).map_or(1, |kept| (*kept).max(1)))
    }
}

/// A boundary of equal shards: the smallest number of equal shards that has it.
#[derive(Debug, PartialEq)]
struct Boundary {
    /// That number of shards.
    of: u32,
    /// The hash keys between the boundary of an open shard and this one.
    off: u128,
}

impl Boundary {
    /// The boundary of at most `most` equal shards that is within `most` keys of `key`.
    ///
    /// Two such boundaries are at least 2^128 ÷ most² keys apart, so there is at most one. Such a fraction of all keys
    /// is a convergent of the continued fraction of `key` ÷ 2^128 (Legendre's theorem), and the last one with a
    /// denominator of at most `most`.
    fn of(key: u128, most: u32) -> Option<Boundary> {
        let (n, of) = Convergents::of(key).take_while(|(_, of)| *of <= u128::from(most)).last()?;
        let (n, of) = (u32::try_from(n).ok()?, u32::try_from(of).ok()?);
        // The end of all keys begins no shard.
        let off = (n < of).then(|| first_hash_key(n, of).abs_diff(key))?;
        (off <= u128::from(most)).then_some(Boundary { of, off })
    }
}

/// The convergents of `key` ÷ 2^128, as numerator and denominator: fractions that come nearer and nearer. Each
/// denominator is at least the sum of the two before it, so few of them are small.
struct Convergents {
    /// The fraction before the next one.
    before: (u128, u128),
    /// The next fraction. `None`: the one before it was exact.
    next: Option<(u128, u128)>,
    /// The next part of the continued fraction, and two remainders of Euclid's algorithm. `None`: it has no more parts.
    part: Option<(u128, u128, u128)>,
}

impl Convergents {
    fn of(key: u128) -> Convergents {
        // 2^128 = (2^128 - 1) + 1, and u128 holds only the first.
        let part = (key > 0).then(|| match (u128::MAX / key, u128::MAX % key + 1) {
            (part, rest) if rest == key => (part.saturating_add(1), key, 0),
            (part, rest) => (part, key, rest),
        });
        Convergents { before: (1, 0), next: Some((0, 1)), part }
    }
}

impl Iterator for Convergents {
    type Item = (u128, u128);

    fn next(&mut self) -> Option<(u128, u128)> {
        let found = self.next?;
        // A number that does not fit is above all numbers of shards.
        self.next = self.part.map(|(part, _, _)| {
            let step = |before: u128, found: u128| part.saturating_mul(found).saturating_add(before);
            (step(self.before.0, found.0), step(self.before.1, found.1))
        });
        let rest = self.part.filter(|(_, _, rest)| *rest > 0);
        self.part = rest.map(|(_, divisor, rest)| (divisor / rest, rest, divisor % rest));
        self.before = found;
        Some(found)
    }
}

/// The first hash key of shard `n` of `of` equal ones: ⌊2^128 × n ÷ of⌋.
fn first_hash_key(n: u32, of: u32) -> u128 {
    let (n, of) = (u128::from(n), u128::from(of));
    // 2^128 = (2^128 - 1) + 1, and u128 holds only the first.
    let (whole, rest) = (u128::MAX / of, u128::MAX % of + 1);
    whole * n + rest * n / of
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shards(bounds: impl IntoIterator<Item = u128>) -> Vec<Shard> {
        let shard = |first_hash_key| Shard {
            id: "shardId-000000000000".into(),
            parent: None,
            first_hash_key,
            last_hash_key: u128::MAX,
            traffic: Default::default(),
        };
        bounds.into_iter().map(shard).collect()
    }

    fn equal(count: u32) -> impl Iterator<Item = u128> {
        (0..count).map(move |n| first_hash_key(n, count))
    }

    fn opened_by(bounds: impl IntoIterator<Item = u128>, to: u32) -> u32 {
        KeptBoundaries::of(&shards(bounds), to).opened_on_the_way(to)
    }

    fn opened(from: u32, to: u32) -> u32 {
        opened_by(equal(from), to)
    }

    /// The same by a search of every boundary among those of every target.
    fn searched(open: &[Shard], from: u32, to: u32) -> u32 {
        let new: Vec<u128> = equal(to).collect();
        let near = u128::from(from.max(to));
        let stays = |shard: &&Shard| {
            let next = new.partition_point(|new| *new < shard.first_hash_key.saturating_sub(near));
            new.get(next).is_some_and(|new| new.abs_diff(shard.first_hash_key) <= near)
        };
        let kept = open.iter().filter(stays).count().max(1);
        let pieces = u64::from(from) + u64::from(to) - kept as u64;
        u32::try_from(pieces.saturating_sub(u64::from(from))).unwrap_or(u32::MAX)
    }

    #[test]
    fn a_reshard_opens_short_lived_shards_too() {
        assert_eq!(opened(2, 3), 2, "2 → 4 → 3 was observed");
        assert_eq!(opened(4, 8), 4, "doubling splits each shard once");
        assert_eq!(opened(8, 10), 8);
        assert_eq!(opened(8, 11), 10);
        assert_eq!(opened(1, 2), 1);
    }

    #[test]
    fn shards_that_are_not_equal_share_few_bounds_with_equal_ones() {
        let eighths = || equal(8).chain([first_hash_key(1, 16)]);
        assert_eq!(opened_by(eighths(), 18), 16, "only the middle and the beginning stay");
        assert_eq!(opened_by([], 18), 17, "unknown: only the beginning");
    }

    #[test]
    fn equal_shards_begin_where_aws_lets_them_begin() {
        assert_eq!(first_hash_key(1, 3), 113_427_455_640_312_821_154_458_202_477_256_070_485);
        assert_eq!(first_hash_key(1, 4), 1 << 126);
        assert_eq!((first_hash_key(0, 7), first_hash_key(10_000, 10_000 + 1) < u128::MAX), (0, true));
    }

    #[test]
    fn a_boundary_has_the_smallest_number_of_equal_shards() {
        let of = |n, of| Boundary::of(first_hash_key(n, of), 10_000).map(|boundary| boundary.of);
        assert_eq!((of(0, 7), of(2, 4), of(3000, 9000), of(4999, 10_000)), (Some(1), Some(2), Some(3), Some(10_000)));
        assert_eq!(Boundary::of(u128::MAX, 10_000), None, "the end of all keys begins no shard");
        assert_eq!(Boundary::of(first_hash_key(1, 3) + 10_001, 10_000), None);
    }

    /// The work does not depend on how fast the machine is: some 20 steps for a boundary, whatever the key, and not
    /// one step for a boundary and target.
    #[test]
    fn a_boundary_of_thousands_of_shards_is_found_in_few_steps() {
        let most = 10_000;
        let steps = |key: u128| Convergents::of(key).take_while(|(_, of)| *of <= u128::from(most)).count();
        let golden = (u128::MAX as f64 / 1.618_033_988_749_895) as u128;
        let keys = equal(3000).chain(equal(6007)).chain([golden, 1, u128::MAX]);
        assert!(keys.map(steps).max() <= Some(21), "denominators grow at least as Fibonacci's numbers do");
        // The multiples of 3,000 different denominators, at most as many for each as targets.
        let work: u32 = (1..=3000).map(|of| most / of).sum();
        assert!(work < 100_000, "{work}");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

        #[test]
        fn every_target_opens_as_many_shards_as_a_search_finds(
            from in 1u32..120,
            splits in proptest::collection::vec((any::<prop::sample::Index>(), 1u32..200), 0..30),
            off in 0i128..300,
            extra in 1u32..130,
        ) {
            let mut bounds: Vec<u128> = equal(from).collect();
            // Boundaries of other equal shards, and boundaries that AWS rounded in another way.
            for (n, of) in splits {
                let n = u32::try_from(n.index(of as usize)).expect("small");
                bounds.push(first_hash_key(n, of).saturating_add_signed(off - 150));
            }
            bounds.sort_unstable();
            bounds.dedup();
            let open = shards(bounds);
            let from = u32::try_from(open.len()).expect("few");
            let most = from + extra;
            let kept = KeptBoundaries::of(&open, most);
            for to in from + 1..=most {
                prop_assert_eq!(kept.opened_on_the_way(to), searched(&open, from, to), "{} → {}", from, to);
            }
        }

        #[test]
        fn any_boundaries_open_as_many_shards_as_a_search_finds(
            mut bounds in proptest::collection::vec(any::<u128>(), 1..60),
            extra in 1u32..60,
        ) {
            bounds.sort_unstable();
            bounds.dedup();
            let open = shards(bounds);
            let from = u32::try_from(open.len()).expect("few");
            let to = from + extra;
            prop_assert_eq!(KeptBoundaries::of(&open, to).opened_on_the_way(to), searched(&open, from, to));
        }
    }
}
