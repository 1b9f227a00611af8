//! AWS's limits for a Kinesis stream, as AWS documents them: the capacity of a shard, the changes that AWS refuses, and
//! AWS's words for a refusal.
//!
//! The local account (`local`) and the simulator (`sim`) both enforce these rules. `decide` has its own copy on
//! purpose: an error in one copy shows as a refused change.

mod capacity;
mod changes;
mod hash_key;

pub use capacity::{WRITE_BYTES_A_SECOND, WRITE_RECORDS_A_SECOND, WriteCapacity};
pub use hash_key::HashRange;

pub(crate) use capacity::{READ_BYTES_A_SECOND, READ_CALLS_A_SECOND};
pub(crate) use changes::{
    MAX_ON_DEMAND_SHARDS, MAX_SHARDS, RESHARDS_A_DAY, Refusal, SWITCHES_A_DAY, ShardQuota, must_accept_on_demand,
    must_accept_reshard, must_accept_switch, must_be_active, must_be_provisioned, opened_by,
};
pub(crate) use hash_key::hash_key;
