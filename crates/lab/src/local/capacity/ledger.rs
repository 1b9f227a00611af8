//! The changes and shards that count against AWS's daily caps and the account's quotas.

use crate::local::Account;
use crate::local::limits::Refusal;
use crate::local::shards::open_shards;
use crate::rules::{ShardQuota, must_accept_on_demand};
use chrono::TimeDelta;
use ferrokinesis::types::{StreamMode, StreamStatus};
use std::collections::HashMap;

/// The changes that the account remembers, by stream name. On AWS, a stream that is deleted and created again keeps its
/// used caps.
#[derive(Default)]
pub(in crate::local) struct Ledger {
    /// The times of each reshard and of each switch, in seconds of the epoch.
    pub(super) reshards: HashMap<String, Vec<i64>>,
    pub(super) switches: HashMap<String, Vec<i64>>,
    /// The open shards and the mode after the change of a stream that is `CREATING` or `UPDATING`.
    pub(super) plans: HashMap<String, (u32, StreamMode)>,
    /// Warm throughput in MiB/s, before and after the last change.
    pub(super) warm: HashMap<String, (u32, u32)>,
}

impl Ledger {
    /// Moves all times back.
    pub fn age(&mut self, by: TimeDelta) {
        for times in self.reshards.values_mut().chain(self.switches.values_mut()) {
            times.iter_mut().for_each(|time| *time = time.saturating_sub(by.num_seconds()));
        }
    }

    pub(super) async fn census(&self, account: &Account) -> Census {
        let mut census = Census { provisioned_shards: 0, on_demand_streams: 0 };
        for name in account.store.list_stream_names().await {
            // Another call has deleted the stream since. It no longer counts against the quota.
            let Ok(stream) = account.store.get_stream(&name).await else {
                continue;
            };
            let now = (open_shards(&stream), stream.stream_mode_details.stream_mode);
            let changing = matches!(stream.stream_status, StreamStatus::Creating | StreamStatus::Updating);
            let (planned, mode) = *self.plans.get(&name).filter(|_| changing).unwrap_or(&now);
            match mode {
                StreamMode::Provisioned => census.provisioned_shards += planned.max(now.0),
                StreamMode::OnDemand => census.on_demand_streams += 1,
            }
        }
        census
    }
}

pub(super) fn made<'a>(changes: &'a HashMap<String, Vec<i64>>, stream: &str) -> &'a [i64] {
    changes.get(stream).map_or(&[], Vec::as_slice)
}

/// The numbers that count against the account's quotas, running changes included.
pub(super) struct Census {
    pub(super) provisioned_shards: u32,
    pub(super) on_demand_streams: u32,
}

impl Census {
    /// Refuses a change that adds provisioned shards beyond the account's quota.
    pub(super) fn must_have_place_for(&self, account: &Account, additional: u32) -> Result<(), Refusal> {
        Ok(self.quota(account).must_have_place_for(additional, &account.home())?)
    }

    /// Refuses one more on-demand stream beyond the account's quota.
    pub(super) fn must_accept_on_demand(&self, account: &Account) -> Result<(), Refusal> {
        let limit = account.options.on_demand_limit;
        Ok(must_accept_on_demand(self.on_demand_streams, limit, &account.home())?)
    }

    pub(super) fn quota(&self, account: &Account) -> ShardQuota {
        ShardQuota { limit: account.options.shard_limit, open: self.provisioned_shards }
    }
}
