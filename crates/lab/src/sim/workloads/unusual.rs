//! Shards of different width, and producers whose load a minute's sums do not show.

use super::{BASE, FULL, STEP_AT, Workload};
use crate::rules::HashRange;
use crate::sim::load::Load;
use crate::sim::retry::Retry;

/// The seconds of a minute whose rest is 10 to 20 seconds. The first throttled minute then has little of the load.
const LATE_SECOND: (i64, i64) = (40, 50);

/// Shards of different width, as splits, merges and reshards that stopped half-way leave them. No key is hot.
pub(super) fn shards() -> Vec<Workload> {
    vec![
        Workload {
            // The widest shard takes a half of the keys: 130 % of its capacity after the step.
            load: Load::Step { from: BASE / 2.0, to: BASE, at: STEP_AT },
            base_of: Some(FULL / 2.0),
            ranges: Some(halves_and_a_sliver),
            shards: 5,
            ..Workload::quiet(
                "uneven-ranges",
                "shards of a half, a quarter, two eighths and two keys: the widest is full first",
            )
        },
        Workload {
            // A whole shard takes an eighth of the keys: 110 % of its capacity after the step.
            load: Load::Step { from: 4_800.0, to: 8_800.0, at: STEP_AT },
            base_of: Some(2.0 * FULL),
            ranges: Some(three_of_eight_split),
            shards: 11,
            ..Workload::quiet("half-reshard", "a reshard that stopped half-way: 3 of 8 shards are halves, 5 are full")
        },
    ]
}

/// A half, a quarter and two eighths of all hash keys, and the last two keys.
fn halves_and_a_sliver() -> Vec<HashRange> {
    let [half, rest] = halves(HashRange::ALL);
    let [quarter, rest] = halves(rest);
    let [eighth, rest] = halves(rest);
    let sliver = HashRange { first: rest.last - 1, ..rest };
    vec![half, quarter, eighth, HashRange { last: sliver.first - 1, ..rest }, sliver]
}

/// Eight shards, the first three of them split.
fn three_of_eight_split() -> Vec<HashRange> {
    let split = |(number, range)| if number < 3 { halves(range).to_vec() } else { vec![range] };
    HashRange::uniform(8).into_iter().enumerate().flat_map(split).collect()
}

fn halves(range: HashRange) -> [HashRange; 2] {
    range.halves().expect("a wide range has two halves")
}

/// Producers whose load a minute's sums do not show.
pub(super) fn producers() -> Vec<Workload> {
    vec![
        Workload {
            load: Load::Step { from: 2_400.0, to: 24_000.0, at: STEP_AT },
            onset: LATE_SECOND,
            shards: 8,
            ..Workload::quiet("onset-late", "ten times the load from the last 10 to 20 seconds of a minute on")
        },
        Workload {
            // Two shards take it. In the mean of a minute, with the refused records, one shard would suffice.
            load: Load::Pulse { low: 0.0, high: 1_800.0, every: 60, lasts: 12, phase: 0 },
            retry: || Retry::after(&[1]),
            shards: 1,
            ..Workload::quiet(
                "crash-loop",
                "a writer of one shard dies and comes back: low in the mean, and most is refused in every minute",
            )
        },
        Workload {
            is_resent: true,
            ..Workload::step(
                "resend-after-reshard",
                "30 % too much load, and producers send records again after each reshard",
                2.0,
            )
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uneven_shards_take_every_hash_key_once() {
        for ranges in [halves_and_a_sliver(), three_of_eight_split()] {
            assert_eq!((ranges[0].first, ranges[ranges.len() - 1].last), (0, u128::MAX));
            assert!(ranges.windows(2).all(|pair| pair[0].last + 1 == pair[1].first), "{ranges:?}");
        }
        assert_eq!((halves_and_a_sliver().len(), three_of_eight_split().len()), (5, 11));
    }
}
