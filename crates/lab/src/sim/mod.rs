//! An AWS account in virtual time: one stream, the load on it, AWS's rules, and the policies that scale it. It needs no
//! AWS, no network and no clock. One seed reproduces a run to the byte.
//!
//! Read the modules in this order:
//!
//! 1. [`world`]: the stream, second by second, and the AWS calls that a policy can make. Its parts: [`shard`]s with
//!    their capacity, `keys` and their shares, producers that retry ([`mod@retry`]), `readers`, the `durations`
//!    of changes, and `cloudwatch` with its delay. AWS's limits come from [`rules`](crate::rules).
//! 2. `workload` and [`workloads`]: the load and its surroundings, by name.
//! 3. `arena`: one policy on one workload ([`fn@run`]). [`score`] has the result in numbers, [`timeline`] minute by
//!    minute. [`mod@figures`] compare policies.
//! 4. The policies. [`ours`] is unthrottle itself: the same observations, decisions, memory and calls as in the Lambda.
//!    The alarms (`alarm`), CloudTrail's events ([`delivery`]) and the sweep wake it. `peers` are other tools. `limits`
//!    are the best possible results.
//! 5. [`backtest`]: the effect that a policy would have had on the past of a real stream.
//! 6. [`faults`]: unthrottle under crashes, lost replies, stale reads and changes by people, call by call, and the
//!    invariants that must hold.
//!
//! The step is one second. The simulation does not follow single records: each shard gets its keys' share of the load,
//! in whole records. Loads are the same numbers on every machine, because they use only the four basic operations.
//!
//! The simulation leaves out: enhanced fan-out, the merges of an idle on-demand stream, records of different sizes in
//! one stream, producers of different patience, and AWS's rates of calls (`UpdateShardCount`: ten a second).

pub mod account;
mod alarm;
mod arena;
pub mod backtest;
mod chance;
mod cloudwatch;
pub mod delivery;
mod durations;
pub mod faults;
pub mod figures;
mod keys;
mod limits;
mod load;
pub mod ours;
mod peers;
mod readers;
pub mod retry;
pub mod score;
pub mod shard;
pub mod timeline;
mod workload;
pub mod workloads;
pub mod world;

pub use arena::{Policies, Run, run, watch};
pub use durations::Times;

use chrono::{DateTime, TimeDelta, Utc};

/// The second of the epoch at which a run begins: midnight of 1 January 2026, UTC. Any whole hour would do: CloudWatch
/// counts by minutes, and reports group by hours.
const BEGINS_AT: i64 = 1_767_225_600;

/// The time of a second of the run.
pub fn time(second: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(BEGINS_AT + second)
}
