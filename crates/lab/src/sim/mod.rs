//! An arena in virtual time: one stream, what is sent to it, AWS's rules, and the policies that are to keep it from
//! throttling. No AWS, no network, no clock; one seed reproduces a run to the byte.
//!
//! - [`world`]: the stream. Its [`shard`]s are token buckets over ranges of hash keys ([`keys`]), its producers send what
//!   was refused again ([`mod@retry`]), its [`readers`] poll it, AWS's [`rules`](crate::rules) refuse illegal changes, which take their [`durations`], and [`cloudwatch`]
//!   shows it all minutes late.
//! - [`ours`]: unthrottle itself. It runs the very looks, decision, memory and calls that the Lambda runs, in their order,
//!   woken by the [`alarm`]s, by CloudTrail's events ([`delivery`]) and by the sweep; nothing of it is written a second
//!   time.
//! - [`peers`]: what people use instead; [`limits`]: what nobody can do better.
//! - [`workloads`]: what is sent; [`score`]: what it came to, [`timeline`]: what it looked like; [`fn@run`]: one policy on one
//!   workload; [`mod@figures`]: how good that is.
//! - [`backtest`]: what policies would have made of a stream's past.
//! - [`faults`]: unthrottle under crashes, lost replies, stale reads and people, call by call, and what must hold all the same.
//!
//! The step is a second, and records are not followed one by one: each shard has its keys' share of the load, in whole
//! records. Loads are the same numbers on every machine, since nothing is used but the four basic operations.
//!
//! What is not in it: enhanced fan-out, the merges of an on-demand stream whose load has gone, records of different sizes and
//! producers of different patience in one stream, and AWS's rates of calls (`UpdateShardCount`: ten a second).

pub mod account;
pub mod alarm;
pub mod arena;
pub mod backtest;
pub mod chance;
pub mod cloudwatch;
pub mod delivery;
pub mod durations;
pub mod faults;
pub mod figures;
pub mod keys;
pub mod limits;
pub mod load;
pub mod ours;
pub mod peers;
pub mod readers;
pub mod retry;
pub mod score;
pub mod shard;
pub mod timeline;
pub mod workload;
pub mod workloads;
pub mod world;

pub use arena::{Policies, Run, run, watch};

use chrono::{DateTime, TimeDelta, Utc};

/// The second of the epoch that a run begins at: midnight of 1 January 2026, UTC. Any whole hour would do.
const BEGINS_AT: i64 = 1_767_225_600;

/// The time at so many seconds of the run.
pub fn time(second: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(BEGINS_AT + second)
}
