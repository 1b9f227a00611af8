//! The account of a simulated stream.

use super::durations::Times;
use crate::rules::ShardQuota;

/// The rest of the account: how much of the quotas its other streams use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// Quota of open provisioned shards: 20,000 in the large regions, 6,000 or 1,000 elsewhere (the quotas page).
    pub shard_limit: u32,
    /// Provisioned shards of its other streams.
    pub other_shards: u32,
    /// Quota of streams in on-demand mode: 50 (the quotas page).
    pub on_demand_limit: u32,
    /// Other streams in that mode.
    pub other_on_demand: u32,
    /// How long AWS takes.
    pub times: Times,
}

impl Default for Account {
    fn default() -> Account {
        Account {
            shard_limit: 20_000,
            other_shards: 0,
            on_demand_limit: 50,
            other_on_demand: 0,
            times: Times::default(),
        }
    }
}

impl Account {
    /// The shard quota for a provisioned stream with `open` shards.
    pub(super) fn quota(&self, open: u32) -> ShardQuota {
        ShardQuota { limit: self.shard_limit, open: self.other_shards.saturating_add(open) }
    }
}
