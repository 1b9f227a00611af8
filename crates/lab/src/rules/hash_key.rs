//! The shard of a record: MD5 maps its partition key to a hash key, and one shard's range contains the hash key.

use md5::{Digest, Md5};

/// The hash keys of a shard, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashRange {
    /// The first.
    pub first: u128,
    /// The last.
    pub last: u128,
}

impl HashRange {
    /// Every hash key there is.
    pub const ALL: HashRange = HashRange { first: 0, last: u128::MAX };

    /// The ranges of `shards` shards of equal width (`UNIFORM_SCALING`). Together they contain every hash key once. As
    /// in Kinesis, the last range also contains the remainder of the division.
    pub fn uniform(shards: u32) -> Vec<HashRange> {
        let shards = u128::from(shards.max(1));
        // The width is 2^128 ÷ shards. A u128 does not hold 2^128, so the division starts from 2^128 - 1.
        let width = if shards == 1 { u128::MAX } else { u128::MAX / shards + (u128::MAX % shards + 1) / shards };
        let last = |n: u128| if n + 1 == shards { u128::MAX } else { (n + 1) * width - 1 };
        (0..shards).map(|n| HashRange { first: n * width, last: last(n) }).collect()
    }

    /// Splits the range: `at` begins the second half. `None`: one half would be empty.
    pub fn split(self, at: u128) -> Option<[HashRange; 2]> {
        (self.first < at && at <= self.last)
            .then(|| [HashRange { first: self.first, last: at - 1 }, HashRange { first: at, last: self.last }])
    }

    /// The first hash key of the second half. A range of one hash key returns this key.
    pub fn middle(self) -> u128 {
        self.first + (self.last - self.first).div_ceil(2)
    }

    /// Both halves. `None`: the range has one hash key.
    pub fn halves(self) -> Option<[HashRange; 2]> {
        self.split(self.middle())
    }

    /// The intersection; `None`: it is empty.
    pub fn and(self, other: HashRange) -> Option<HashRange> {
        let (first, last) = (self.first.max(other.first), self.last.min(other.last));
        (first <= last).then_some(HashRange { first, last })
    }
}

/// The hash key of a partition key: its MD5 as a 128-bit integer (Kinesis' developer guide, "Partition Key").
pub fn hash_key(partition_key: &str) -> u128 {
    u128::from_be_bytes(Md5::digest(partition_key).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 1321, A.5.
    #[test]
    fn a_key_is_hashed_by_md5() {
        assert_eq!(hash_key("message digest"), 0xf96b_697d_7cb7_938d_525a_2f31_aaf1_61d0);
    }

    #[test]
    fn uniform_shards_begin_at_the_same_keys_as_in_kinesis() {
        // The ranges of a stream of three shards, from AWS's documentation of DescribeStream.
        let firsts: Vec<String> = HashRange::uniform(3).iter().map(|range| range.first.to_string()).collect();
        let kinesis = ["0", "113427455640312821154458202477256070485", "226854911280625642308916404954512140970"];
        assert_eq!(firsts, kinesis);
        assert_eq!(HashRange::uniform(1), [HashRange::ALL]);
        assert_eq!(HashRange::uniform(2)[1].first, 1 << 127);
    }

    proptest! {
        #[test]
        fn uniform_shards_take_every_key_once(shards in 1..2_000u32) {
            let ranges = HashRange::uniform(shards);
            prop_assert_eq!(ranges.len(), shards as usize);
            prop_assert_eq!((ranges[0].first, ranges[ranges.len() - 1].last), (0, u128::MAX));
            prop_assert!(ranges.windows(2).all(|pair| pair[0].last + 1 == pair[1].first));
        }

        #[test]
        fn a_split_loses_nothing(first in any::<u128>(), width in 1..u128::MAX) {
            let range = HashRange { first, last: first.saturating_add(width) };
            prop_assume!(range.first < range.last);
            let [left, right] = range.split(range.middle()).expect("both have keys");
            prop_assert_eq!((left.first, left.last + 1, right.last), (range.first, right.first, range.last));
            prop_assert!((left.last - left.first).abs_diff(right.last - right.first) <= 1);
        }
    }
}
