//! What the memory keeps of forecasts and of planned capacity.

use chrono::{DateTime, Utc};

/// The last forecast of a stream, and how good the forecasts were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// When it was made.
    pub at: DateTime<Utc>,
    /// The shards that the stream had then. `None`: the forecast is checked.
    pub shards: Option<u32>,
    /// How many forecasts in a row were wrong, up to it.
    pub wrong: u32,
}

/// The shards that a person has planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The fewest shards that the stream should have.
    pub at_least: u32,
    /// Until when.
    pub until: DateTime<Utc>,
}
