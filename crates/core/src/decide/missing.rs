//! What a decision asks to be read.

use crate::memory::ChangeKind;
#[cfg(doc)]
use crate::observation::Observation;
use chrono::{DateTime, Utc};

/// What a decision misses beyond the first observation. Most decisions miss nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct MissingData {
    /// [`Observation::shards`].
    pub shards: bool,
    /// The shards of this time: [`Observation::shards_at`]. Where they are still open, and have no metrics of their
    /// own, they are [`Observation::shards`] as well.
    pub shards_at: Option<DateTime<Utc>>,
    /// [`Observation::commitment`].
    pub commitment: bool,
    /// [`Observation::past`].
    pub past: bool,
    /// [`Observation::is_change_shown`]: whether AutoFix has a datum that the run of a change of this kind and time
    /// sent; without a time, of any time that CloudWatch keeps.
    pub change_shown: Option<(ChangeKind, Option<DateTime<Utc>>)>,
}
