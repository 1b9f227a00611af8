//! The steps, a file each.

mod alarm;
mod cloudtrail;
mod eleventh;
mod fis;
mod kms;
mod metric_lag;
mod refusals;
mod reshards;
mod shard_limits;
mod stack;
mod tag_updating;

use super::step::Step;

/// All steps, in the order in which they begin. The longest come first, so that they do not end alone.
pub(super) static ALL: &[&Step] = &[
    &cloudtrail::STEP,
    &stack::STEP,
    &metric_lag::STEP,
    &kms::STEP,
    &alarm::STEP,
    &fis::STEP,
    &eleventh::STEP,
    &reshards::STEP,
    &refusals::STEP,
    &shard_limits::STEP,
    &tag_updating::STEP,
];
