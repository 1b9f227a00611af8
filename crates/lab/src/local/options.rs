//! What an account is like.

use super::Clock;
use std::time::Duration;

/// What the account is like. [`Default`] is a small account that answers as fast as AWS ever has.
#[derive(Debug, Clone)]
pub struct Options {
    /// The TCP port on 127.0.0.1; 0 picks a free one.
    pub port: u16,
    /// The 12-digit account id.
    pub account: String,
    /// The one region that the account is in.
    pub region: String,
    /// What time it is in the account.
    pub clock: Clock,
    /// How many bytes of records the account keeps. Records are stored as base64, and each takes about 450 bytes beside its
    /// data. The oldest are dropped first.
    pub keep_bytes: u64,
    /// How long a new stream is `CREATING`, and a deleted one `DELETING`. Half a second: nothing is learned from waiting longer.
    pub create_time: Duration,
    /// How long a stream is `UPDATING` after a change. 4 s: the fastest change observed on AWS (a
    /// mode switch; 2 → 3 shards took 14 s).
    pub update_time: Duration,
    /// Quota of open shards of all provisioned streams together. 500: AWS's own default is 1,000 to
    /// 20,000, this one can be reached by a test.
    pub shard_limit: u32,
    /// Quota of on-demand streams. 50: AWS's default.
    pub on_demand_limit: u32,
    /// How long after its end a minute of an `AWS/…` metric becomes readable. Zero: at once, even
    /// while the minute still runs. On AWS it is one to three minutes. Metrics that clients put
    /// are readable at once in any case.
    pub metric_lag: Duration,
    /// The minimum-throughput billing commitment (On-demand Advantage), which warm throughput needs.
    pub commitment: Commitment,
    /// Datapoints that one answer of `GetMetricData` has at most. 100,800: AWS's limit, which few requests reach.
    pub datapoints_per_page: usize,
}

/// What `DescribeAccountSettings` says of the minimum-throughput billing commitment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commitment {
    /// Nothing, which means that there is none.
    Absent,
    /// `DISABLED`.
    Disabled,
    /// `ENABLED`.
    Enabled,
    /// `ENABLED_UNTIL_EARLIEST_ALLOWED_END`: its end is asked for, and has not come.
    EnabledUntilEarliestAllowedEnd,
}

impl Commitment {
    pub(super) fn is_enabled(self) -> bool {
        matches!(self, Self::Enabled | Self::EnabledUntilEarliestAllowedEnd)
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            port: 0,
            account: "123456789012".into(),
            region: "us-east-1".into(),
            clock: Clock::real(),
            keep_bytes: KEEP_BYTES,
            create_time: Duration::from_millis(500),
            update_time: Duration::from_secs(4),
            shard_limit: 500,
            on_demand_limit: 50,
            metric_lag: Duration::ZERO,
            commitment: Commitment::Disabled,
            datapoints_per_page: 100_800,
        }
    }
}

/// 256 MiB: minutes of a flood on a few shards, for readers that keep up, and little beside an editor.
const KEEP_BYTES: u64 = 256 << 20;
