//! The records of a request, and what its answer says about them.

use crate::pending::Pending;
use crate::stats::Stats;
use std::time::Instant;

/// The answer to a request, as far as the records are concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// One fate for each record, in the order of the request.
    Records(Vec<Fate>),
    /// There was no connection: AWS has no byte of the request. It can be sent again.
    NotSent(String),
    /// The request was refused. AWS wrote nothing. It can be sent again.
    NotDone(String),
    /// AWS may have written all, some or none of the records.
    Unknown(String),
    /// The request was refused, and another attempt would be, too.
    Fatal(String),
}

/// What happened to one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// AWS wrote it.
    Accepted { shard: String },
    /// AWS refused it, and takes it later.
    Refused { shard: Option<String>, cause: String },
    /// AWS refuses it in every attempt.
    Never { cause: String },
    /// The answer says nothing about it.
    Unknown,
}

/// The records of a request.
#[derive(Debug)]
pub(crate) struct Request {
    pub records: Vec<Pending>,
    /// Data and keys.
    pub bytes: usize,
    /// The most records.
    pub most: usize,
    /// The most bytes.
    pub most_bytes: usize,
    /// Requests in a row that had failed as a whole when this one went out.
    pub failures_before: u32,
}

impl Request {
    /// Whether the request can have one more record of this size.
    pub fn has_room(&self, bytes: usize) -> bool {
        self.records.len() < self.most && self.bytes + bytes <= self.most_bytes
    }

    /// Adds a record. `deadline`: the one of a record that was not sent before.
    pub fn add(&mut self, mut pending: Pending, deadline: Instant, stats: &mut Stats) {
        pending.deadline.get_or_insert(deadline);
        let count = pending.record.count();
        stats.retried += if pending.attempts > 0 { count } else { 0 };
        // Parts of an aggregate that an earlier run may have written count once, like any other record.
        let parts = pending.record.parts.iter().filter(|part| part.is_maybe_written).count() as u64;
        stats.possible_duplicates += if pending.attempts == 0 { parts } else { 0 };
        if pending.is_maybe_written && !std::mem::replace(&mut pending.is_counted, true) {
            stats.possible_duplicates += count - parts;
        }
        pending.attempts += 1;
        self.bytes += pending.record.bytes();
        self.records.push(pending);
    }
}
