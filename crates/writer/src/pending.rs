//! A record on its way.

use crate::record::Record;
use std::time::Instant;

/// A record on its way.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub record: Record,
    /// The requests that had it.
    pub attempts: u32,
    /// Whether the reply of one of these was lost.
    pub is_maybe_written: bool,
    /// Whether it counts as a possible duplicate: it was sent again after a lost reply.
    pub is_counted: bool,
    /// The shard that refused it last, if its key stays.
    pub shard: Option<String>,
    /// When the record is lost: some time after its first attempt.
    pub deadline: Option<Instant>,
    /// The last answer.
    pub last: String,
}

impl Pending {
    /// A record that was not sent.
    pub fn new(record: Record) -> Pending {
        let last = String::new();
        Pending { record, attempts: 0, is_maybe_written: false, is_counted: false, shard: None, deadline: None, last }
    }
}
