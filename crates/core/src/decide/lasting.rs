//! Loss that lasts: a person must know of it, whatever unthrottle holds the stream for.

use super::published::newest_of;
use super::throttling::RECENT_MINUTES;
use super::writes::Throttled;
use crate::decision::{Reason, Remedy, Side};
use crate::observation::{Minute, Traffic};
use chrono::{DateTime, Utc};

/// The share of a side's records or calls that makes a refusal a loss, 0–1. Producers retry one record in a hundred
/// without harm. With a smaller share a person would get messages about retries; with a larger share a stream could
/// lose a tenth of its records in silence.
const LOSS: f64 = 0.01;

/// Loss in each of the last three blocks of five minutes lasts. A shorter time would report an incident that unthrottle
/// is about to heal, also by AWS: on-demand splits "within 15 minutes". A longer time delays the message. A block has
/// five minutes, because a load that comes and goes each minute is a loss, too.
const BLOCKS: i64 = 3;
/// See [`BLOCKS`].
const BLOCK_MINUTES: i64 = 5;

/// Loss in each of the last four quarters of an hour lasts as well: a burst that comes every ten minutes loses records
/// all day, and no 15 minutes of it have loss in each block of five. A shorter time would report two bursts.
const QUARTERS: i64 = 4;
/// See [`QUARTERS`].
const QUARTER_MINUTES: i64 = 15;

/// In each of this many blocks a stream must refuse something to be called stuck: an hour.
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
    throttled_sides(traffic, observed_at)
        .find(|(side, newest)| {
            is_refused_in(*side, traffic, *newest, (BLOCKS, BLOCK_MINUTES), LOSS)
                // A last refused record is the end of a loss that is over.
                || (is_recent(*side, traffic, *newest, LOSS)
                    && is_refused_in(*side, traffic, *newest, (QUARTERS, QUARTER_MINUTES), LOSS))
        })
        .map(|(side, newest)| lasting_of(side, traffic, newest))
}

/// The side that refused something in each block of the last hour, however little.
pub(super) fn throttled_for_an_hour(traffic: &Traffic, observed_at: DateTime<Utc>) -> Option<Lasting> {
    throttled_sides(traffic, observed_at)
        .find(|(side, newest)| is_refused_in(*side, traffic, *newest, (STUCK_BLOCKS, BLOCK_MINUTES), f64::MIN_POSITIVE))
        .map(|(side, newest)| lasting_of(side, traffic, newest))
}

/// The side that refused something in the newest minutes.
pub(super) fn throttled_now(traffic: &Traffic, observed_at: DateTime<Utc>) -> Option<Lasting> {
    throttled_sides(traffic, observed_at).map(|(side, newest)| lasting_of(side, traffic, newest)).next()
}

/// The sides that refused something in their newest minutes, each with the newest.
fn throttled_sides(traffic: &Traffic, observed_at: DateTime<Utc>) -> impl Iterator<Item = (Side, Minute)> {
    let sides = [Side::Writes, Side::Reads].into_iter();
    let sides = sides.map(move |side| (side, newest_of(side, traffic, observed_at)));
    sides.filter(|(side, newest)| is_recent(*side, traffic, *newest, f64::MIN_POSITIVE))
}

/// Whether `side` refused at least `share` of its records or calls in each of the newest `blocks`, each of this
/// many minutes.
fn is_refused_in(side: Side, traffic: &Traffic, newest: Minute, (blocks, minutes): (i64, i64), share: f64) -> bool {
    (0..blocks).all(|n| {
        let last = newest.plus(-n * minutes);
        refused_share(side, traffic, last.plus(1 - minutes), last) >= share
    })
}

/// The minutes of [`BLOCKS`].
const LASTING_MINUTES: i64 = BLOCKS * BLOCK_MINUTES;

impl Throttled<'_> {
    /// What was `found`, where AWS accepts any record. If it accepts none for 15 minutes, neither keys nor bursts nor a
    /// lack of capacity are the cause: a full shard still accepts what it takes.
    pub(super) fn explained_by_no_record(&self, found: Result<Remedy, Reason>) -> Result<Remedy, Reason> {
        use Reason::{HotKey, MicroBurst, NothingAccepted, OnDemandCeiling, SkewSuspected};
        match found {
            Ok(Remedy::EnableShardMetrics { .. })
            | Err(SkewSuspected(_) | MicroBurst | HotKey { .. } | OnDemandCeiling(_))
                if self.is_refused_for_long(Side::Writes, 1.0) =>
            {
                Err(NothingAccepted)
            }
            found => found,
        }
    }

    /// Whether `side` has refused at least `share` of its records or calls for 15 minutes, all of them evidence.
    pub(super) fn is_refused_for_long(&self, side: Side, share: f64) -> bool {
        let first = self.newest.plus(1 - LASTING_MINUTES);
        let is_evidence = self.history.evidence_from.is_none_or(|from| Minute::from(from) <= first);
        is_evidence && is_refused_in(side, self.traffic(), self.newest, (BLOCKS, BLOCK_MINUTES), share)
    }
}

fn lasting_of(side: Side, traffic: &Traffic, newest: Minute) -> Lasting {
    Lasting { side, share: refused_share(side, traffic, newest.plus(1 - LASTING_MINUTES), newest) }
}

/// Whether `side` refused at least `share` of its records or calls in one of the newest minutes.
fn is_recent(side: Side, traffic: &Traffic, newest: Minute, share: f64) -> bool {
    (0..).take(RECENT_MINUTES).any(|ago| side.refused_share(&traffic.minute(newest.plus(-ago))) >= share)
}

/// The refused share of a side's records or calls in these minutes, 0–1.
fn refused_share(side: Side, traffic: &Traffic, first: Minute, last: Minute) -> f64 {
    let minutes = first.to(last).map(|minute| traffic.minute(minute));
    let (refused, served) = minutes
        .fold((0.0, 0.0), |(refused, served), minute| (refused + side.refused(&minute), served + side.served(&minute)));
    if refused > 0.0 { refused / (refused + served) } else { 0.0 }
}
