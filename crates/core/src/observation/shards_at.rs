//! The shards of an earlier time.

/// The shards that were open at an earlier time (`ListShards` with `AT_TIMESTAMP`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardsAt {
    /// How many shards were open then.
    pub count: u32,
    /// Whether all of them are still open. Open shards have all hash keys, so the stream has the same shards now.
    pub are_open: bool,
}

impl ShardsAt {
    /// Of the shards that were open then, this number is `open` still, and this number is `closed` since.
    pub fn of(open: usize, closed: usize) -> ShardsAt {
        let count = u32::try_from(open.saturating_add(closed)).unwrap_or(u32::MAX);
        // A time before the stream has no shards, and shows nothing.
        ShardsAt { count, are_open: closed == 0 && count > 0 }
    }
}
