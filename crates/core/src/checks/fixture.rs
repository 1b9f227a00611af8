//! A stream for the tests of the checks.

use crate::observation::{CapacityMode, Status, Stream};

/// A provisioned stream with this number of shards.
pub(super) fn stream(open_shards: u32) -> Stream {
    Stream {
        name: "orders".into(),
        arn: "arn:aws:kinesis:us-east-1:123456789012:stream/orders".into(),
        status: Status::Active,
        mode: CapacityMode::Provisioned,
        open_shards,
        retention_hours: 24,
        consumers: 0,
        shard_metrics: Default::default(),
        warm_throughput: None,
        spreads_records: false,
        channels: None,
        queues: None,
        kms_key: None,
        created_at: None,
    }
}
