//! What the doctor reads beside the stream: a key, throttled calls, records, the rights of a role, and leases.

use super::readings::Read;
use chrono::{DateTime, Utc};

/// A key of KMS that the customer manages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The ARN.
    pub arn: String,
    /// AWS's `KeyState`, such as `Enabled`, `Disabled` or `PendingDeletion`, or [`Key::NOT_FOUND`].
    pub state: String,
}

impl Key {
    /// The state of a key that AWS does not know (any more): `NotFoundException`.
    pub const NOT_FOUND: &'static str = "NotFound";
}

/// The throttled calls of Kinesis's control plane that CloudTrail's event history shows.
#[derive(Clone, Debug, PartialEq)]
pub struct ThrottledCalls {
    /// The time of the oldest event that was read.
    pub since: DateTime<Utc>,
    /// How many events were read.
    pub events: usize,
    /// The callers.
    pub callers: Vec<ThrottledCaller>,
}

/// A caller whose calls AWS throttled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThrottledCaller {
    /// The call, such as `DescribeStream`.
    pub operation: String,
    /// The ARN of the role or user. `None`: CloudTrail names none.
    pub principal: Option<String>,
    /// The name of the stream. `None`: the call is about no single stream.
    pub stream: Option<String>,
    /// How many calls AWS throttled.
    pub count: usize,
}

/// Some records of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// How many records were read.
    pub records: u64,
    /// How many of them hold several user records.
    pub aggregated: u64,
    /// The user records inside these.
    pub user_records: u64,
}

/// What a role may do with a stream and its key.
#[derive(Clone, Debug, PartialEq)]
pub struct Rights {
    /// The ARN of the role.
    pub role: String,
    /// Whether it may write records (PutRecord or PutRecords).
    pub writes: bool,
    /// Whether it may read records (GetRecords or SubscribeToShard).
    pub reads: bool,
    /// What its own policies say of `kms:GenerateDataKey`.
    pub generate_data_key: Allowed,
    /// What its own policies say of `kms:Decrypt`.
    pub decrypt: Allowed,
    /// The policy of the key, as JSON. AWS does not simulate it for a role. `None`: AWS manages the key.
    pub key_policy: Read<Option<String>>,
}

/// AWS's `EvalDecision`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// A statement allows the action.
    Yes,
    /// No statement allows the action.
    No,
    /// A statement denies the action.
    Denied,
}

/// The leases of an application of the Kinesis Client Library (KCL) on one stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leases {
    /// The table, which has the name of the application.
    pub table: String,
    /// The leases. A shard that the application has not found yet has none.
    pub leases: Vec<Lease>,
    /// How long the doctor watched whether workers renew their leases, in seconds. 0: it did not.
    pub watched_seconds: u64,
}

/// The lease of a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The shard.
    pub shard: String,
    /// The worker that has the lease (`leaseOwner`). `None`: no worker reads the shard.
    pub owner: Option<String>,
    /// The first and the last hash key of the shard. `None`: the item has none, as of an old KCL.
    pub hash_keys: Option<(u128, u128)>,
    /// Whether the worker has read the whole shard (`checkpoint` is `SHARD_END`).
    pub is_finished: bool,
    /// Whether the worker renewed it while the doctor watched: `leaseCounter` changed. `None`: there is no counter, or
    /// the doctor did not watch.
    pub is_renewed: Option<bool>,
}

/// What all on-demand streams of an account cost together, in USD a month.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct OnDemandCost {
    /// How many streams.
    pub streams: usize,
    /// Without the throughput commitment.
    pub standard: f64,
    /// With it, and its minimum.
    pub advantage: f64,
}
