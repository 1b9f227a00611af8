//! The AWS calls that read the stream.

use super::past::listed;
use super::{RETENTION_HOURS, World, arn};
use crate::sim::account::Account;
use crate::sim::shard::OpenShard;
use unthrottle_core::decide::MissingData;
use unthrottle_core::decision::Remedy;
use unthrottle_core::observation::{
    CapacityMode, Commitment, Limits, Minute, Observation, Shard, ShardsAt, Status, Stream, WarmThroughput,
};

/// The calls of an observation: summary, tags, metrics, and limits of the account.
const CALLS_OF_AN_OBSERVATION: u64 = 4;

impl World {
    /// `DescribeStreamSummary` by the policy.
    pub fn described(&mut self) -> Stream {
        self.tally.count_reads(1);
        self.describe()
    }

    /// `ListShards` by the policy: the open shards, by their hash keys.
    pub fn listed(&mut self) -> &[OpenShard] {
        self.tally.count_reads(1);
        &self.shards
    }

    /// Counts calls of the policy that have no method here, such as reads of CloudWatch's metrics, alarms and
    /// parameters.
    pub fn called(&mut self, calls: u64) {
        self.tally.count_reads(calls);
    }

    /// The first observation of a run.
    pub fn observe(&mut self) -> Observation {
        self.tally.count_reads(CALLS_OF_AN_OBSERVATION);
        Observation {
            observed_at: self.time(),
            stream: Some(self.describe()),
            tags: self.tags.clone(),
            traffic: self.cloudwatch.traffic(self.now),
            limits: Some(self.limits()),
            ..Observation::default()
        }
    }

    /// Adds data that a decision misses, by the calls that the Lambda makes for them.
    pub fn complete(&mut self, observation: &mut Observation, missing: MissingData) {
        let with_metrics = !self.monitored.is_empty();
        let then = missing.shards_at.map(|at| {
            let then = self.shards_at(at);
            let closed = then.iter().filter(|shard| shard.is_closed).count();
            (at, ShardsAt::of(then.len() - closed, closed))
        });
        if let Some((at, then)) = then {
            self.tally.count_reads(1);
            observation.shards_at.insert(at, then);
        }
        let are_known = then.is_some_and(|(_, then)| then.are_open);
        if missing.shards || (are_known && !with_metrics) {
            self.tally.count_reads(u64::from(!are_known) + u64::from(with_metrics));
            observation.shards = Some(self.shards.iter().map(|shard| self.shard(shard)).collect());
        }
        if missing.past {
            let (past, is_read) = self.cloudwatch.past(self.now);
            self.tally.count_reads(u64::from(is_read));
            observation.past = Some(past);
        }
        if missing.commitment {
            self.tally.count_reads(1);
            observation.commitment = Some(self.commitment);
        }
        if let Some((kind, at)) = missing.change_shown {
            self.tally.count_reads(1);
            let minute = at.map(Minute::of);
            observation.is_change_shown = Some(self.cloudwatch.shows(Remedy::code_of(kind), minute, self.now));
        }
    }

    fn shard(&self, shard: &OpenShard) -> Shard {
        let traffic = self.cloudwatch.shard_traffic(shard.number, self.now);
        Shard { traffic, ..listed(shard.number, shard.parent, shard.range) }
    }

    pub(super) fn describe(&self) -> Stream {
        Stream {
            name: arn().name,
            arn: arn().to_string(),
            status: if self.running.is_some() { Status::Updating } else { Status::Active },
            mode: self.mode.clone(),
            open_shards: self.open_shards(),
            retention_hours: RETENTION_HOURS,
            consumers: 0,
            shard_metrics: self.monitored.clone(),
            warm_throughput: self.warm_throughput(),
            spreads_records: false,
            channels: Some(0),
            queues: Some(0),
            kms_key: None,
            created_at: Some(self.created_at()),
        }
    }

    /// Warm throughput: 1 MiB/s for each open shard.
    fn warm_throughput(&self) -> Option<WarmThroughput> {
        let open = self.open_shards();
        let has = self.commitment == Commitment::Enabled && self.mode == CapacityMode::OnDemand;
        has.then_some(WarmThroughput { current_mibps: open, target_mibps: open })
    }

    fn limits(&self) -> Limits {
        let Account { shard_limit, other_shards, on_demand_limit, other_on_demand, .. } = self.setup.account;
        let is_on_demand = self.mode == CapacityMode::OnDemand;
        let own = if is_on_demand { 0 } else { self.open_shards() };
        Limits {
            shard_limit,
            open_shards: other_shards.saturating_add(own),
            on_demand_streams: other_on_demand + u32::from(is_on_demand),
            on_demand_stream_limit: on_demand_limit,
        }
    }
}
