//! The account of a simulated stream.

use crate::rules::ShardQuota;

/// The rest of the account: what its other streams take of the quotas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// Provisioned shards that it may have open: 20,000 in the large regions, 6,000 or 1,000 elsewhere (the quotas page).
    pub shard_limit: u32,
    /// Provisioned shards of its other streams.
    pub other_shards: u32,
    /// Streams that may be in on-demand mode: 50 (the quotas page).
    pub on_demand_limit: u32,
    /// Other streams in that mode.
    pub other_on_demand: u32,
}

impl Default for Account {
    fn default() -> Account {
        Account { shard_limit: 20_000, other_shards: 0, on_demand_limit: 50, other_on_demand: 0 }
    }
}

impl Account {
    /// The quota of shards, as it stands for a provisioned stream that has `open` of them.
    pub(super) fn quota(&self, open: u32) -> ShardQuota {
        ShardQuota { limit: self.shard_limit, open: self.other_shards.saturating_add(open) }
    }
}
