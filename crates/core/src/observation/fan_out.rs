//! What CloudWatch shows of registered consumers.

/// The registered consumers of a stream in one minute (SubscribeToShardEvent.MillisBehindLatest).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FanOut {
    /// The delay of the slowest consumer (Maximum), in milliseconds.
    pub behind_ms: f64,
    /// The consumers that have a datapoint.
    pub consumers: u32,
}

impl FanOut {
    /// Adds a consumer that is this many milliseconds behind.
    pub fn add(&mut self, behind_ms: f64) {
        self.behind_ms = self.behind_ms.max(behind_ms);
        self.consumers = self.consumers.saturating_add(1);
    }
}
