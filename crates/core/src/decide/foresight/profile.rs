//! What the same minutes of earlier days needed.

use super::forecast::{Expected, FULL_AT, HORIZON_MINUTES};
use crate::decision::ExpectedBy;
use crate::observation::{Minute, PAST_STEP_MINUTES};

/// The minutes of a day.
const DAY: i64 = 24 * 60;

/// The days ago of the same weekday. They come first: many loads differ from one weekday to the next.
const SAME_WEEKDAY: [i64; 2] = [7, 14];

/// The days ago that count where no same weekday is known, or none resembles today.
const LAST_DAYS: [i64; 2] = [1, 2];

/// The last minutes of today that a day must resemble. In fewer, noise decides; in more, a day that has just changed
/// still looks like the others.
pub(super) const RESEMBLE_MINUTES: i64 = 30;

/// A day resembles today if its load was at most this multiple of today's, or today's of its. A larger number would
/// take a Sunday for a Monday.
const RESEMBLES: f64 = 1.5;

/// Below this share of the capacity, loads of any size resemble each other: noise decides there.
const IDLE: f64 = 0.1;

/// The change is made for the load of this time from now. A steep morning would otherwise take a reshard for each hour.
/// A longer time would add shards long before the load.
const FOR_MINUTES: i64 = 120;

/// What earlier days say of the next hours.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Profile {
    /// The days ago that resemble today.
    days: Vec<i64>,
    /// The highest load within [`HORIZON_MINUTES`], and after how many minutes it comes; full shards.
    soon: (f64, i64),
    /// The highest load within [`FOR_MINUTES`]; full shards.
    later: f64,
}

/// Reads the profile. `now`: the minute of the look; `recent`: the mean load of the last [`RESEMBLE_MINUTES`], up to
/// `newest`; `past`: the load of a minute of the past, `None` where it is unknown. `None`: no day resembles today.
pub(super) fn profile(
    newest: Minute,
    now: Minute,
    recent: f64,
    capacity: f64,
    past: impl Fn(Minute) -> Option<f64>,
) -> Option<Profile> {
    let idle = IDLE * capacity;
    // How today compares with that day. `None`: it does not resemble today.
    let times = |days: i64| {
        let then = mean(newest.plus(-DAY * days), &past)?;
        let is_like = then.max(recent) <= RESEMBLES * then.min(recent);
        if then.max(recent) < idle { Some(1.0) } else { is_like.then(|| recent / then) }
    };
    let alike = |days: [i64; 2]| -> Vec<(i64, f64)> {
        days.into_iter().filter_map(|days| Some((days, times(days)?))).collect()
    };
    let days = Some(alike(SAME_WEEKDAY)).filter(|days| !days.is_empty()).unwrap_or_else(|| alike(LAST_DAYS));
    // Each day must have needed it, so the least counts.
    let least = |minutes: i64| {
        let of_day = |(days, times): &(i64, f64)| {
            let (most, after) = highest(newest, now, -DAY * days, minutes, &past)?;
            Some((most * times, after))
        };
        let all = days.iter().map(of_day).collect::<Option<Vec<_>>>()?;
        all.into_iter().min_by(|a, b| a.0.total_cmp(&b.0))
    };
    let (soon, later) = (least(HORIZON_MINUTES)?, least(FOR_MINUTES)?.0);
    Some(Profile { days: days.iter().map(|(days, _)| *days).collect(), soon, later })
}

impl Profile {
    /// The load that the earlier days lead to expect, where it fills the capacity soon.
    pub fn expected(&self, capacity: f64) -> Option<Expected> {
        let (full_shards, in_minutes) = self.soon;
        (full_shards > FULL_AT * capacity).then(|| Expected {
            by: ExpectedBy::Profile,
            full_shards,
            in_minutes,
            to_carry: self.later.max(full_shards),
            days: self.days.clone(),
        })
    }

    /// The highest load of the next hours.
    pub fn later(&self) -> f64 {
        self.later
    }
}

/// The mean of the [`RESEMBLE_MINUTES`] up to `last`, where most of them are known.
fn mean(last: Minute, past: &impl Fn(Minute) -> Option<f64>) -> Option<f64> {
    let loads: Vec<f64> = last.plus(1 - RESEMBLE_MINUTES).to(last).filter_map(past).collect();
    let is_enough = 2 * loads.len() as i64 > RESEMBLE_MINUTES;
    is_enough.then(|| loads.iter().sum::<f64>() / loads.len() as f64)
}

/// The highest load of the time that corresponds to the minutes after `newest`, up to `minutes` from `now`, and after
/// how many minutes from now it comes. `None`: more than half of that time is unknown.
fn highest(
    newest: Minute,
    now: Minute,
    shift: i64,
    minutes: i64,
    past: &impl Fn(Minute) -> Option<f64>,
) -> Option<(f64, i64)> {
    let ahead = newest.plus(1).to(now.plus(minutes)).step_by(PAST_STEP_MINUTES as usize);
    let all: Vec<(Minute, Option<f64>)> = ahead.map(|minute| (minute, past(minute.plus(shift)))).collect();
    let known = || all.iter().filter_map(|(minute, load)| Some((*minute, (*load)?)));
    let (minute, most) = known().max_by(|a, b| a.1.total_cmp(&b.1))?;
    let in_minutes = ((minute.start() - now.start()).num_minutes()).max(0);
    (2 * known().count() > all.len()).then_some((most, in_minutes))
}
