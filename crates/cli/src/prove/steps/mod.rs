//! The steps, a file each.

mod alarm;
mod eleventh;
mod metric_lag;
mod refusals;
mod reshards;
mod shard_limits;
mod tag_updating;

use super::step::Step;

/// All steps, in the order in which they begin. The longest come first, so that they do not end alone.
pub(super) static ALL: &[&Step] = &[
    &metric_lag::STEP,
    &alarm::STEP,
    &eleventh::STEP,
    &reshards::STEP,
    &refusals::STEP,
    &shard_limits::STEP,
    &tag_updating::STEP,
];
