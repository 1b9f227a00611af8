//! A stream for the tests of the checks.

use super::{Readings, Unread};
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

/// A stream whose further reads all failed.
pub(super) fn unread() -> Readings {
    let why = || Unread { action: "", why: String::new(), is_denied: false };
    Readings {
        read_at: chrono::DateTime::UNIX_EPOCH,
        stream: stream(1),
        tags: Err(why()),
        hours: Err(why()),
        minutes: Err(why()),
        all_minutes: None,
        shards: Err(why()),
        shards_then: None,
        consumers: Err(why()),
        alarms: Err(why()),
        key: Err(why()),
        lambdas: Err(why()),
        unreserved_concurrency: Err(why()),
        unreserved_elsewhere: 0,
        limits: Err(why()),
        commitment: Err(why()),
        is_deployed: Err(why()),
        denied_actions: Err(why()),
        throttled_calls: Err(why()),
        on_demand: None,
        sample: None,
        rights: None,
        leases: None,
    }
}
