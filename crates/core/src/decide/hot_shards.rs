//! The load of each shard, and what splits of a hot shard have shown.

use super::demand::{Offered, without_retries_of_one};
use crate::decision::Side;
use crate::memory::SplitHistory;
use crate::observation::{Minute, SHARD_BYTES_PER_SECOND, SHARD_RECORDS_PER_SECOND, Shard, Traffic};
use chrono::{DateTime, Utc};

/// A split did not divide the load if one child has this share of both children's load, or more. One key gives 1. Many
/// keys in a narrow range give 0.9 only if nine tenths of them lie on one side of the middle.
const NEARLY_ALL: f64 = 0.9;

/// The shard-level metrics of a minute show at least this share of the stream's refused records, or CloudWatch has not
/// published all of them.
const PUBLISHED: f64 = 0.5;

/// Splits in one history that only show where the load is. The first may have cut beside the keys. After a second split
/// that moved nothing, the load is one key, or too few keys to tell apart.
pub(super) const DIAGNOSTIC_SPLITS: u32 = 2;

/// The split histories that fit the memory's tag. No other shard is split before one of them is divided or a day old.
const SPLIT_HISTORIES: usize = 2;

/// A shard whose keys have up to this multiple of the stream's mean load is hot because it is wide. Uneven keys alone
/// give a third more. A larger number would reshard a whole stream for one hot key.
const AS_DENSE: f64 = 1.5;

/// The load of each open shard in the busiest throttled minute.
pub(super) struct ShardLoads<'a> {
    loads: Vec<Load<'a>>,
}

/// One shard's load.
pub(super) struct Load<'a> {
    pub shard: &'a Shard,
    /// Offered, as a share of what a shard takes: 1 is full.
    pub utilization: f64,
    /// The same without the retries: what counts for the number of shards.
    load: f64,
    is_refused: bool,
}

/// The load that the stream would have if all its hash keys had the load of the densest of `hot`, in full shards.
pub(super) fn highest_density(hot: &[&Load<'_>]) -> f64 {
    hot.iter().map(|load| load.density_of(load.load)).fold(0.0, f64::max)
}

impl<'a> ShardLoads<'a> {
    /// The loads in the busiest minute of `window` in which the stream refused records. `None`: CloudWatch has
    /// published the shard-level metrics of none of these minutes.
    pub fn of(shards: &'a [Shard], stream: &Traffic, window: &[Minute]) -> Option<ShardLoads<'a>> {
        let refused = |minute: Minute| stream.minute(minute).write_throttled;
        let of_shards = |minute: Minute| shards.iter().map(|s| s.traffic.minute(minute).write_throttled).sum::<f64>();
        let shown = |minute: &&Minute| refused(**minute) > 0.0 && of_shards(**minute) >= refused(**minute) * PUBLISHED;
        let weight = |minute: Minute| Offered::in_minute(stream, minute).weight();
        let minute = *window.iter().filter(shown).max_by(|a, b| weight(**a).total_cmp(&weight(**b)))?;
        let of_stream = Offered::in_minute(stream, minute);
        let load = |shard: &'a Shard| {
            let utilization = utilization(&Offered::in_minute(&shard.traffic, minute), &of_stream);
            let traffic = shard.traffic.minute(minute);
            let accepted = utilization * (1.0 - Side::Writes.refused_share(&traffic));
            let load = without_retries_of_one(utilization, accepted, shards.len() as f64);
            Load { shard, utilization, load, is_refused: traffic.write_throttled > 0.0 }
        };
        Some(ShardLoads { loads: shards.iter().map(load).collect() })
    }

    /// The shards that are offered more than `utilization`, in shares of what a shard takes.
    pub fn busy(&self, utilization: f64) -> impl Iterator<Item = &Load<'a>> {
        self.loads.iter().filter(move |load| load.utilization > utilization)
    }

    /// The load that the stream would have if all its hash keys had the load of the busy shards, in full shards. With
    /// as many equal shards, the busy shards come down to 1. `utilization`: from which load a shard is busy.
    pub fn mean_density(&self, utilization: f64) -> f64 {
        let busy: Vec<f64> = self.busy(utilization).map(|load| load.density_of(load.load)).collect();
        busy.iter().sum::<f64>() / busy.len().max(1) as f64
    }

    /// Whether the shards of `hot` are hot because they are wide: their keys are no busier than the stream's.
    pub fn are_hot_by_width(&self, hot: &[&Load<'_>]) -> bool {
        let whole: f64 = self.loads.iter().map(|load| load.utilization).sum();
        hot.iter().all(|load| load.density_of(load.utilization) <= whole * AS_DENSE)
    }

    /// The shards that refused records, and the shard that a producer `named`. The shard with the highest load comes
    /// first.
    pub fn throttled(&self, named: Option<&str>) -> Vec<&Load<'a>> {
        let throttled = self.loads.iter().filter(|load| load.is_refused || Some(load.shard.id.as_str()) == named);
        let mut throttled: Vec<_> = throttled.collect();
        throttled.sort_by(|a, b| b.utilization.total_cmp(&a.utilization));
        throttled
    }

    /// The load of the shard with this id.
    pub fn load(&self, shard: &str) -> Option<&Load<'a>> {
        self.loads.iter().find(|load| load.shard.id == shard)
    }

    /// The splits in the history of `hot`. Each left nearly all the load in one child. `lost`: the memory of them is
    /// gone, and one such split counts as the last one allowed.
    pub fn splits(&self, hot: &Load<'_>, histories: &[SplitHistory], lost: bool) -> u32 {
        // A history that ends in an open shard has a last split that was announced and never made.
        let own = histories.iter().find(|history| Some(history.shard) == hot.number());
        let announced = own.map(|own| SplitHistory { splits: own.splits.saturating_sub(1), ..*own });
        let of_parent = || histories.iter().find(|history| Some(history.shard) == hot.parent()).copied();
        let history = announced.or_else(of_parent);
        match (self.division_of(hot), history) {
            (Division::Evenly | Division::Hardly, _) | (Division::Unknown, None) => 0,
            (Division::NearlyAll, None) if lost => DIAGNOSTIC_SPLITS,
            (Division::NearlyAll, None) => 0,
            (Division::NearlyAll | Division::Unknown, Some(history)) => history.splits,
        }
    }

    /// The other histories that still count: those whose last split did not divide the load. The history of `hot` is
    /// not among them, since its next split continues it. `None`: the memory has no room for another history.
    pub fn other_histories(&self, hot: &Load<'_>, histories: &[SplitHistory]) -> Option<Vec<SplitHistory>> {
        let is_divided = |history: &SplitHistory| {
            let mut children = self.loads.iter().filter(|load| load.parent() == Some(history.shard));
            children.any(|child| matches!(self.division_of(child), Division::Evenly))
        };
        let is_open = |history: &SplitHistory| self.loads.iter().any(|load| load.number() == Some(history.shard));
        let is_other =
            |history: &&SplitHistory| Some(history.shard) != hot.parent() && !is_open(history) && !is_divided(history);
        let others: Vec<SplitHistory> = histories.iter().filter(is_other).copied().collect();
        (others.len() < SPLIT_HISTORIES).then_some(others)
    }

    /// How the load is divided between `child` and its sibling.
    fn division_of(&self, child: &Load<'_>) -> Division {
        let sibling = |load: &&Load| load.parent() == child.parent() && load.shard.id != child.shard.id;
        let Some(other) = self.loads.iter().find(sibling).filter(|_| child.parent().is_some()) else {
            return Division::Unknown;
        };
        let both = child.utilization + other.utilization;
        match child.utilization {
            _ if both <= 0.0 => Division::Unknown,
            mine if mine >= NEARLY_ALL * both => Division::NearlyAll,
            _ if other.utilization >= NEARLY_ALL * both => Division::Hardly,
            _ => Division::Evenly,
        }
    }
}

impl Load<'_> {
    /// The load that the stream would have if all its hash keys had `load` in as many keys as this shard has.
    fn density_of(&self, load: f64) -> f64 {
        load / self.shard.share().max(f64::MIN_POSITIVE)
    }

    fn number(&self) -> Option<u64> {
        Shard::number_in(&self.shard.id)
    }

    fn parent(&self) -> Option<u64> {
        self.shard.parent.as_deref().and_then(Shard::number_in)
    }
}

/// The part of two siblings' load that the first of them has.
enum Division {
    NearlyAll,
    Evenly,
    Hardly,
    /// Both are idle, or the sibling is no longer open.
    Unknown,
}

/// The split histories after splitting `shard` for the `splits`th time in its history, at `at`; `known`: those before.
pub(super) fn after_split(
    shards: &[Shard],
    stream: &Traffic,
    window: &[Minute],
    known: Vec<SplitHistory>,
    shard: &str,
    splits: u32,
    at: DateTime<Utc>,
) -> Vec<SplitHistory> {
    let loads = ShardLoads::of(shards, stream, window);
    let others = loads.and_then(|loads| loads.other_histories(loads.load(shard)?, &known));
    let mut histories = others.unwrap_or(known);
    histories.extend(Shard::number_in(shard).map(|shard| SplitHistory { shard, splits, at }));
    histories
}

/// The share of a shard that `offered` takes. A shard's metrics do not show how its records were written, so they count
/// as the stream's records do. Records of unknown size count at the stream's mean.
fn utilization(offered: &Offered, of_stream: &Offered) -> f64 {
    let known = offered.stored_bytes.map(|stored| stored * of_stream.charged_per_stored());
    let mean = || of_stream.size().map(|size| size * offered.records);
    let bytes = known.or_else(mean).unwrap_or_default();
    (bytes / SHARD_BYTES_PER_SECOND).max(offered.records / SHARD_RECORDS_PER_SECOND)
}

/// The first hash key of the second half of `first..=last`. AWS wants it more than one above the first key and below
/// the last (SplitShard's error message). `None`: the range is too narrow for such a key.
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
                    // The children are first..=middle - 1 and middle..=last.
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
