//! Loss that lasts: a person must know of it, whatever unthrottle holds the stream for.

use super::published::newest_of;
use super::throttling::RECENT_MINUTES;
use crate::decision::Side;
use crate::observation::{Minute, Traffic};
use chrono::{DateTime, Utc};

/// The share of a side's records or calls that makes a refusal a loss, 0–1. Producers retry one record in a hundred
/// without harm. With a smaller share a person would get messages about retries; with a larger share a stream could
/// lose a tenth of its records in silence.
const LOSS: f64 = 0.01;

/// Loss in each of the last three blocks of five minutes lasts. A shorter time would report an incident that unthrottle
/// is about to heal; a longer time delays the message. A block has five minutes, because a load that comes and goes
/// each minute is a loss, too.
pub(super) const BLOCKS: i64 = 3;
/// See [`BLOCKS`].
const BLOCK_MINUTES: i64 = 5;

/// The last minutes in which a stream must refuse something in each block to be called stuck.
const STUCK_BLOCKS: i64 = 12;

/// A side that loses records or calls for 15 minutes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Lasting {
    pub side: Side,
    /// The refused share of the last 15 minutes, 0–1.
    pub share: f64,
}

/// The side that loses something for 15 minutes, and loses it still. Writes come first: a record that is not written is
/// lost.
pub(super) fn lasting(traffic: &Traffic, observed_at: DateTime<Utc>) -> Option<Lasting> {
    [Side::Writes, Side::Reads].into_iter().find_map(|side| {
        let newest = newest_of(side, traffic, observed_at);
        let is_lasting = is_recent(side, traffic, newest) && is_refused_in_blocks(side, traffic, newest, BLOCKS, LOSS);
        is_lasting.then(|| lasting_of(side, traffic, newest))
    })
}

/// The side that refused something in each block of the last hour, however little.
pub(super) fn throttled_for_an_hour(traffic: &Traffic, observed_at: DateTime<Utc>) -> Option<Lasting> {
    throttled_now(traffic, observed_at).filter(|lasting| {
        let newest = newest_of(lasting.side, traffic, observed_at);
        is_refused_in_blocks(lasting.side, traffic, newest, STUCK_BLOCKS, f64::MIN_POSITIVE)
    })
}

/// The side that refused something in the newest minutes.
pub(super) fn throttled_now(traffic: &Traffic, observed_at: DateTime<Utc>) -> Option<Lasting> {
    [Side::Writes, Side::Reads].into_iter().find_map(|side| {
        let newest = newest_of(side, traffic, observed_at);
        is_recent(side, traffic, newest).then(|| lasting_of(side, traffic, newest))
    })
}

/// Whether `side` refused at least `share` of its records or calls in each of the newest `blocks` of five minutes.
pub(super) fn is_refused_in_blocks(side: Side, traffic: &Traffic, newest: Minute, blocks: i64, share: f64) -> bool {
    (0..blocks).all(|n| {
        let last = newest.plus(-n * BLOCK_MINUTES);
        refused_share(side, traffic, last.plus(1 - BLOCK_MINUTES), last) >= share
    })
}

/// The minutes of [`BLOCKS`].
pub(super) const LASTING_MINUTES: i64 = BLOCKS * BLOCK_MINUTES;

fn lasting_of(side: Side, traffic: &Traffic, newest: Minute) -> Lasting {
    Lasting { side, share: refused_share(side, traffic, newest.plus(1 - LASTING_MINUTES), newest) }
}

fn is_recent(side: Side, traffic: &Traffic, newest: Minute) -> bool {
    (0..).take(RECENT_MINUTES).any(|ago| side.refused(&traffic.minute(newest.plus(-ago))) > 0.0)
}

/// The refused share of a side's records or calls in these minutes, 0–1.
fn refused_share(side: Side, traffic: &Traffic, first: Minute, last: Minute) -> f64 {
    let minutes = first.to(last).map(|minute| traffic.minute(minute));
    let (refused, served) = minutes
        .fold((0.0, 0.0), |(refused, served), minute| (refused + side.refused(&minute), served + side.served(&minute)));
    if refused > 0.0 { refused / (refused + served) } else { 0.0 }
}
