//! A load that stays high.

use super::forecast::Expected;
use crate::decision::ExpectedBy;

/// How many minutes in a row a load must be high. In fewer, a burst of some minutes would count.
pub(super) const LEVEL_MINUTES: usize = 10;

/// The share of the capacity above which a load is high. A little above the default target utilization: after a change
/// for this load, the same load is not high any more.
pub(super) const HIGH: f64 = 0.77;

/// The share of the target utilization that is left to a load which stays high. Its next step is not known, so the
/// stream gets a little more than the target: at the default target it then carries 40 % more. With a larger share, the
/// next step would fill the stream; with a smaller one, its shards would be idle.
pub(in crate::decide) const HEADROOM: f64 = 0.87;

/// The load, where each of the last [`LEVEL_MINUTES`] is high. `loads`: oldest first, in full shards.
pub(super) fn level(loads: &[f64], capacity: f64) -> Option<Expected> {
    let last = loads.get(loads.len().checked_sub(LEVEL_MINUTES)?..)?;
    let most = last.iter().copied().reduce(f64::max)?;
    last.iter().all(|load| *load > HIGH * capacity).then_some(Expected {
        by: ExpectedBy::Level,
        full_shards: most,
        in_minutes: 0,
        to_carry: most,
        days: vec![],
    })
}
