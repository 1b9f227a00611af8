//! The options of an account.

use super::Clock;
use std::time::Duration;

/// The options of an account. [`Default`] is a small account that answers as fast as the fastest answers of AWS.
#[derive(Debug, Clone)]
pub struct Options {
    /// The TCP port on 127.0.0.1; 0 selects a free one.
    pub port: u16,
    /// The 12-digit account id.
    pub account: String,
    /// The region of the account. It has only one.
    pub region: String,
    /// The clock of the account.
    pub clock: Clock,
    /// The most bytes of records that the account keeps. It stores records as base64, and each takes about 450 bytes
    /// besides its data. It drops the oldest records first.
    pub keep_bytes: u64,
    /// How long a new stream is `CREATING`, and a deleted one `DELETING`. The default is half a second: a test learns
    /// nothing from a longer wait.
    pub create_time: Duration,
    /// How long a stream is `UPDATING` after a change. The default is 4 s, the fastest change observed on AWS (a mode
    /// switch; a reshard 2 → 3 took 14 s).
    pub update_time: Duration,
    /// Quota of open shards of all provisioned streams together. The default is 500, which a test can reach. AWS's own
    /// default is 1,000 to 20,000.
    pub shard_limit: u32,
    /// Quota of on-demand streams. The default is 50, as on AWS.
    pub on_demand_limit: u32,
    /// The delay of `AWS/…` metrics: the time from the end of a minute until it can be read. With zero, a minute can be
    /// read at once, even before its end. AWS needs one to three minutes. Metrics that clients put can always be read
    /// at once.
    pub metric_lag: Duration,
    /// The minimum-throughput billing commitment (On-demand Advantage). Warm throughput needs it.
    pub commitment: Commitment,
    /// The most datapoints in one answer of `GetMetricData`. The default is AWS's limit, 100,800, which few requests
    /// reach.
    pub datapoints_per_page: usize,
    /// Whether each request is printed on standard output.
    pub log: bool,
}

/// The minimum-throughput billing commitment in the answer of `DescribeAccountSettings`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commitment {
    /// No field: the account has no commitment.
    Absent,
    /// `DISABLED`.
    Disabled,
    /// `ENABLED`.
    Enabled,
    /// `ENABLED_UNTIL_EARLIEST_ALLOWED_END`: the account has asked for its end, which has not come yet.
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
            log: false,
        }
    }
}

/// 256 MiB: enough for minutes of heavy traffic on a few shards with readers that keep up. Less loses records that such
/// readers still need; more is much on a developer's machine.
const KEEP_BYTES: u64 = 256 << 20;
