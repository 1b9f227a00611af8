//! The traffic of the last two weeks, in steps of five minutes.

use super::Published;
use crate::sim::time;
use std::sync::Arc;
use unthrottle_core::observation::{Minute, PAST_DAYS, PAST_GOOD_FOR_HOURS, PAST_STEP_MINUTES, Past};

/// The past of one stream, and the copy that a container has of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Pasts {
    all: Past,
    /// The second of the run at which the copy was read.
    copy: Option<(i64, Arc<Past>)>,
}

impl Pasts {
    /// Adds a minute that has ended.
    pub fn add(&mut self, published: &Published) {
        let Published { minute, record_bytes, stream, reads, .. } = published;
        let share = 1.0 / PAST_STEP_MINUTES as f64;
        let mean = self.all.mean_mut(step(*minute));
        mean.incoming_records += share * stream.accepted as f64;
        mean.incoming_bytes += share * (stream.accepted * record_bytes) as f64;
        mean.get_records_bytes += share * reads.bytes;
        let age = Some(reads.age_ms).filter(|_| reads.calls > 0.0);
        mean.iterator_age_ms = mean.iterator_age_ms.into_iter().chain(age).reduce(f64::max);
        self.all.forget_before(minute.plus(-60 * 24 * PAST_DAYS));
    }

    /// The past at second `now` of the run, and whether it had to be read.
    pub fn read(&mut self, now: i64) -> (Arc<Past>, bool) {
        let copy = self.copy.as_ref().filter(|(read, _)| now - read < 3_600 * PAST_GOOD_FOR_HOURS);
        if let Some((_, past)) = copy {
            return (Arc::clone(past), false);
        }
        let past = Arc::new(self.all.clone());
        self.copy = Some((now, Arc::clone(&past)));
        (past, true)
    }
}

/// The first minute of the step that contains `minute`.
fn step(minute: Minute) -> Minute {
    let minutes = (minute.start() - time(0)).num_minutes();
    Minute::of(time(0)).plus(minutes.div_euclid(PAST_STEP_MINUTES) * PAST_STEP_MINUTES)
}
