//! What an expected load rests on, and why no change is made for it.

use serde::Serialize;

/// What an expected load rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ExpectedBy {
    /// The load rises steadily.
    Trend,
    /// The same minutes of earlier days needed it.
    Profile,
    /// The load stays high, so little headroom is left.
    Level,
    /// A person has planned the shards.
    Plan,
}

/// Why a stream gets no shards for an expected load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ForesightHeld {
    /// The maximum of shards or of cost, or the account's quota, allows no more. [`ForesightBound`] says which.
    Bound,
    /// The reshards that are left today are kept for throttles.
    KeptForThrottles,
    /// A forecast was made within the last hour. It is checked first.
    OneAnHour,
    /// The last forecasts were wrong.
    WrongLately,
    /// A level has been answered three times today.
    LevelToday,
    /// Another person or tool reverted a change today.
    Reverted,
    /// A hot shard was split today, and a reshard would undo that.
    HotShard,
    /// The memory of today is lost.
    MemoryLost,
    /// AWS refused such a change today.
    Refused,
    /// The bounds of the fleet allow no more now.
    Fleet,
}

/// The bound that allows no more shards for an expected or planned load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ForesightBound {
    /// The person's maximum of shards.
    MaxShards,
    /// The person's maximum of USD an hour.
    MaxCost,
    /// The shards that the account may still open.
    AccountQuota,
    /// AWS reshards a stream at most ten times in 24 hours.
    ReshardBudget,
}
