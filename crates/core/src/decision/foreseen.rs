//! What an expected load rests on, and why no change is made for it.

use serde::Serialize;

/// After this number of wrong forecasts in a row the next one waits longer. One may be an accident.
pub(crate) const WRONG_IN_A_ROW: u32 = 2;

/// The wait doubles at most this often: 128 hours. More would switch foresight off in silence.
const MOST_DOUBLINGS: u32 = 7;

/// How many times as long the next forecast waits after this number of wrong ones in a row. One wait is an hour, so
/// this is also the number of hours.
pub(crate) fn waits_times(wrong: u32) -> u32 {
    1 << wrong.saturating_sub(WRONG_IN_A_ROW - 1).min(MOST_DOUBLINGS)
}

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
    /// A forecast was made within the last hour. It needs no check, or is checked.
    WithinTheHour,
    /// A level has been answered three times today.
    LevelToday,
    /// A level was reported, has stayed since, and foresight only observes.
    Reported,
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
