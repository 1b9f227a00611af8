//! How a stream's load lies on its shards, and what splitting one of them has shown.

use super::demand::{Offered, SHARD_BYTES_PER_SECOND, SHARD_RECORDS_PER_SECOND};
use crate::memory::Lineage;
use crate::observation::{Minute, Shard, Traffic};

/// Two children of a split, and one has this share of their load or more: the split did not divide the heat. One key
/// gives 1; many keys in a narrow range give 0.9 only if nine tenths of them lie on one side of the middle.
const NEARLY_ALL: f64 = 0.9;

/// The shard-level metrics of a minute tell of this share of the stream's refused records, or they are not all published.
const PUBLISHED: f64 = 0.5;

/// Splits of one line that only show where its heat is. The first may just have cut beside the keys; after a second
/// that moved nothing, it is one key or too few to tell apart.
pub(super) const DIAGNOSTIC_SPLITS: u32 = 2;

/// Hot lines that the memory has room for. A stream with more of them has hot keys that a person must see to.
const LINES: usize = 2;

/// The load of each open shard in the busiest throttled minute.
pub(super) struct Heat<'a> {
    loads: Vec<Load<'a>>,
}

/// One shard's load.
pub(super) struct Load<'a> {
    pub shard: &'a Shard,
    /// Offered, as a share of what a shard takes: 1 is full.
    pub utilization: f64,
    is_refused: bool,
}

impl<'a> Heat<'a> {
    /// The heat in the busiest minute of `window` in which the stream refused records. `None`: the shard-level metrics
    /// of none of them are published.
    pub fn of(shards: &'a [Shard], stream: &Traffic, window: &[Minute]) -> Option<Heat<'a>> {
        let refused = |minute: Minute| stream.minute(minute).write_throttled;
        let of_shards = |minute: Minute| shards.iter().map(|s| s.traffic.minute(minute).write_throttled).sum::<f64>();
        let shown = |minute: &&Minute| refused(**minute) > 0.0 && of_shards(**minute) >= refused(**minute) * PUBLISHED;
        let records = |minute: Minute| Offered::in_minute(stream, minute).records;
        let minute = *window.iter().filter(shown).max_by(|a, b| records(**a).total_cmp(&records(**b)))?;
        let size = Offered::in_minute(stream, minute).size();
        let load = |shard: &'a Shard| Load {
            shard,
            utilization: utilization(&Offered::in_minute(&shard.traffic, minute), size),
            is_refused: shard.traffic.minute(minute).write_throttled > 0.0,
        };
        Some(Heat { loads: shards.iter().map(load).collect() })
    }

    /// Shards that are offered more than `utilization`.
    pub fn busy(&self, utilization: f64) -> usize {
        self.loads.iter().filter(|load| load.utilization > utilization).count()
    }

    /// The shard that is offered most, of those that refused records and the one that a producer `named`.
    pub fn hottest(&self, named: Option<&str>) -> Option<&Load<'a>> {
        let throttled = self.loads.iter().filter(|load| load.is_refused || Some(load.shard.id.as_str()) == named);
        throttled.max_by(|a, b| a.utilization.total_cmp(&b.utilization))
    }

    /// The load of the shard with this id.
    pub fn load(&self, shard: &str) -> Option<&Load<'a>> {
        self.loads.iter().find(|load| load.shard.id == shard)
    }

    /// How many splits of the line of `hot` there were, each of which left nearly all the heat in one child. `lost`: the
    /// memory of them is gone, and a split that did so counts as the last one allowed.
    pub fn splits(&self, hot: &Load<'_>, lines: &[Lineage], lost: bool) -> u32 {
        if !self.has_nearly_all(hot) {
            return 0;
        }
        let parent = hot.shard.parent.as_deref().and_then(Shard::number_in);
        let line = lines.iter().find(|line| Some(line.shard) == parent);
        line.map_or(if lost { DIAGNOSTIC_SPLITS } else { 0 }, |line| line.splits)
    }

    /// The lines that still mean something: whose last split did not divide the heat. `None`: there is no room for
    /// another one.
    pub fn lines(&self, hot: &Load<'_>, lines: &[Lineage]) -> Option<Vec<Lineage>> {
        let of_hot = |line: &&Lineage| hot.shard.parent.as_deref().and_then(Shard::number_in) == Some(line.shard);
        let has_hot_child = |line: &&Lineage| {
            let mut children = self
                .loads
                .iter()
                .filter(|load| load.shard.parent.as_deref().and_then(Shard::number_in) == Some(line.shard));
            children.any(|child| self.has_nearly_all(child))
        };
        let kept: Vec<Lineage> = lines.iter().filter(has_hot_child).copied().collect();
        let others = kept.iter().filter(|line| !of_hot(line)).count();
        (others < LINES).then_some(kept)
    }

    /// Whether `child` has nearly all the load of itself and the shard that was split off with it.
    fn has_nearly_all(&self, child: &Load<'_>) -> bool {
        let Some(parent) = &child.shard.parent else { return false };
        let sibling = |load: &&Load| load.shard.parent.as_ref() == Some(parent) && load.shard.id != child.shard.id;
        let sibling = self.loads.iter().find(sibling);
        sibling.is_some_and(|other| child.utilization >= NEARLY_ALL * (child.utilization + other.utilization))
    }
}

/// The share of a shard that `offered` takes; records of unknown size count at `size`, the stream's mean.
fn utilization(offered: &Offered, size: Option<f64>) -> f64 {
    let bytes = offered.bytes.or(size.map(|size| size * offered.records)).unwrap_or_default();
    (bytes / SHARD_BYTES_PER_SECOND).max(offered.records / SHARD_RECORDS_PER_SECOND)
}

/// The first hash key of the second half of `first..=last`. `None`: AWS asks that it lie more than one above the first
/// and below the last (SplitShard's own error message), and in so narrow a range nothing does.
pub(super) fn middle(first: u128, last: u128) -> Option<u128> {
    let width = last.checked_sub(first)?;
    (width >= 3).then(|| first + width / 2 + 1).filter(|middle| *middle < last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn both_halves_are_valid_and_cover_the_range(first in any::<u128>(), last in any::<u128>()) {
            match middle(first, last) {
                Some(middle) => {
                    // The children: first..=middle - 1 and middle..=last.
                    prop_assert!(first + 1 < middle && middle < last);
                    let (left, right) = (middle - first, last - middle + 1);
                    prop_assert!(left.abs_diff(right) <= 1, "as even as whole keys allow: {} {}", left, right);
                }
                None => prop_assert!(first > last || last - first < 4),
            }
        }

        #[test]
        fn narrow_ranges_are_split_or_left_whole(first in any::<u128>(), width in 0u128..8) {
            let last = first.saturating_add(width);
            if let Some(middle) = middle(first, last) {
                prop_assert!(first + 1 < middle && middle < last);
            }
        }
    }

    #[test]
    fn the_whole_range_is_split_at_its_middle() {
        assert_eq!(middle(0, u128::MAX), Some(1 << 127));
        assert_eq!(middle(u128::MAX - 10, u128::MAX), Some(u128::MAX - 4));
        assert_eq!((middle(0, 2), middle(0, 3), middle(7, 7), middle(8, 7)), (None, Some(2), None, None));
    }
}
