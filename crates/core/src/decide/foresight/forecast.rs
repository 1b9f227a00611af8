//! A forecast, whatever it rests on.

use super::level::level;
use super::profile::Profile;
use super::trend::{is_rising, trend};
use crate::decision::ExpectedBy;

/// How far a forecast looks ahead, in minutes. A sweep looks every five minutes, CloudWatch is up to three minutes
/// late, and AWS takes minutes for a reshard of some dozen shards. A shorter time would be too late for these; a longer
/// one would add shards for loads that do not come.
pub(super) const HORIZON_MINUTES: i64 = 20;

/// A minute that takes this share of the capacity is full: some of its seconds take more than the rest, and are
/// refused. With a smaller share, shards would be added early; with a larger one, late.
pub(super) const FULL_AT: f64 = 0.92;

/// A load that is expected.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Expected {
    pub by: ExpectedBy,
    /// The load, in full shards.
    pub full_shards: f64,
    /// After how many minutes from now it is expected.
    pub in_minutes: i64,
    /// The load that the stream gets shards for, in full shards.
    pub to_carry: f64,
    /// The days ago that show it.
    pub days: Vec<i64>,
}

/// The load that is expected, if it is more than the stream should carry. `loads`: the last minutes, oldest first, in
/// full shards; `late`: the minutes from the last of them to now; `profile`: what earlier days say.
///
/// Days that resemble today know more than a trend: they know where a rise ends. A load that rises is no level.
pub(super) fn forecast(loads: &[f64], capacity: f64, late: i64, profile: Option<&Profile>) -> Option<Expected> {
    let ahead = match profile {
        Some(profile) => profile.expected(capacity),
        None => trend(loads, capacity, late),
    };
    ahead.or_else(|| stays_high(loads, capacity, profile))
}

/// The load that stays high, and does not rise. It gets the shards of the next hours, as earlier days show them.
pub(super) fn stays_high(loads: &[f64], capacity: f64, profile: Option<&Profile>) -> Option<Expected> {
    let level = level(loads, capacity).filter(|_| !is_rising(loads))?;
    let to_carry = profile.map_or(level.to_carry, |profile| profile.later().max(level.to_carry));
    Some(Expected { to_carry, ..level })
}
