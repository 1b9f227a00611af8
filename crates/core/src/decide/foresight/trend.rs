//! A load that rises steadily.

use super::forecast::{Expected, FULL_AT, HORIZON_MINUTES};
use crate::decision::ExpectedBy;

/// How many minutes show a trend. In fewer, a batch job looks like one. In more, the first half of a rise hides it.
pub(super) const TREND_MINUTES: usize = 30;

/// The minutes of one block. The means of blocks hide the noise of single minutes.
const BLOCK: usize = 5;

/// The load must rise by at least this share within the [`TREND_MINUTES`]. A load that doubles in ten hours rises by as
/// much. With a smaller share, noise would look like a trend.
const LEAST_RISE: f64 = 0.03;

/// A block may be this share below the one before it. With none, the noise of a rising load would hide the trend.
const MAY_FALL: f64 = 0.01;

/// No block may bring more than this share of the whole rise: that is a jump, which says nothing of the next hour. An
/// even rise brings a fifth in each.
const JUMP: f64 = 0.5;

/// The change is made for the load of this time from now. A shorter time would spend the day's reshards in small steps;
/// a longer one would add shards for a rise that has long ended.
const FOR_MINUTES: f64 = 60.0;

/// A load is not expected to become more than this multiple of what it is.
const MOST_TIMES: f64 = 2.0;

/// Whether the load rises steadily. `loads`: the last [`TREND_MINUTES`], oldest first, in full shards.
pub(super) fn is_rising(loads: &[f64]) -> bool {
    let means: Vec<f64> = loads.chunks_exact(BLOCK).map(|block| block.iter().sum::<f64>() / BLOCK as f64).collect();
    let (Some(first), Some(last)) = (means.first(), means.last()) else { return false };
    let rise = last - first;
    let steps = || means.windows(2).map(|pair| pair[1] - pair[0]);
    let is_steady = steps().all(|step| step >= -MAY_FALL * last && step <= JUMP * rise);
    loads.len() == TREND_MINUTES && loads.iter().all(|load| *load > 0.0) && rise >= LEAST_RISE * last && is_steady
}

/// The load that a steady rise leads to. `late`: the minutes from the last of `loads` to now.
pub(super) fn trend(loads: &[f64], capacity: f64, late: i64) -> Option<Expected> {
    if !is_rising(loads) {
        return None;
    }
    let line = Line::through(loads);
    let most = MOST_TIMES * loads.last()?;
    let at = |minutes: f64| line.at((TREND_MINUTES - 1) as f64 + late as f64 + minutes).min(most);
    let soon = at(HORIZON_MINUTES as f64);
    (soon > FULL_AT * capacity).then(|| Expected {
        by: ExpectedBy::Trend,
        full_shards: soon,
        in_minutes: HORIZON_MINUTES,
        to_carry: at(FOR_MINUTES).max(soon),
        days: vec![],
    })
}

/// The straight line that fits some minutes best.
struct Line {
    start: f64,
    slope: f64,
}

impl Line {
    fn through(loads: &[f64]) -> Line {
        let count = loads.len() as f64;
        let middle = (count - 1.0) / 2.0;
        let mean = loads.iter().sum::<f64>() / count;
        let minutes = || loads.iter().enumerate().map(|(minute, load)| (minute as f64 - middle, load));
        let slope = minutes().map(|(minute, load)| minute * (load - mean)).sum::<f64>()
            / minutes().map(|(minute, _)| minute * minute).sum::<f64>();
        Line { start: mean - slope * middle, slope }
    }

    fn at(&self, minute: f64) -> f64 {
        self.start + self.slope * minute
    }
}
