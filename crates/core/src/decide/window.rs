//! The minutes that are evidence: from the last change on, at most the window, up to the newest minute of a side.

use super::Case;
use super::history::History;
use super::published;
use crate::decision::Side;
use crate::observation::Minute;
use chrono::{DateTime, Utc};

impl Case<'_> {
    /// The newest minute that CloudWatch has published of both sides.
    pub(super) fn newest(&self) -> Minute {
        self.newest_of(Side::Writes).min(self.newest_of(Side::Reads))
    }

    /// The newest minute that CloudWatch has published of this side.
    pub(super) fn newest_of(&self, side: Side) -> Minute {
        published::newest_of(side, &self.observation.traffic, self.observation.observed_at)
    }

    /// The newest minutes that are evidence of the throttled side, or of both, oldest first.
    pub(super) fn window(&self, history: &History) -> Vec<Minute> {
        let side = self.decision.evidence.throttled_side;
        self.window_up_to(side.map_or_else(|| self.newest(), |side| self.newest_of(side)), history)
    }

    pub(super) fn window_up_to(&self, newest: Minute, history: &History) -> Vec<Minute> {
        let first = newest.plus(1 - i64::from(self.policy.window_minutes));
        history.evidence_from.map_or(first, |from| first.max(Minute::from(from))).to(newest).collect()
    }

    /// When the first throttled minute of the window began.
    pub(super) fn throttled_since(&self, history: &History) -> DateTime<Utc> {
        let traffic = &self.observation.traffic;
        let first = self.window(history).into_iter().find(|minute| traffic.minute(*minute).is_throttled());
        first.unwrap_or_else(|| self.newest()).start()
    }
}
