//! One stream in virtual time, a second at a time: its shards, its producers, AWS's rules and CloudWatch's delays.
//!
//! - here: the state of the stream, and simple questions about it.
//! - `second`: one second of the stream, and the end of a minute.
//! - `growth`: on-demand mode splits busy shards.
//! - `calls`: the AWS calls that change the stream, with AWS's refusals.
//! - `observe`: the AWS calls that read it.

mod calls;
mod growth;
mod observe;
mod second;
#[cfg(test)]
mod tests;

use super::account::Account;
use super::chance::{CHANGES, Chance, GROWTH};
use super::cloudwatch::CloudWatch;
use super::keys::Keys;
use super::readers::{Readers, Reading};
use super::retry::{Retry, Waiting};
use super::score::{Score, Tally};
use super::shard::{Counts, OpenShard, Second};
use super::time;
use super::timeline::Timeline;
use crate::rules::HashRange;
use calls::Running;
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, BTreeSet};
use unthrottle_core::cost::Prices;
use unthrottle_core::memory::{self, ChangeKind, Memory, TAG};
use unthrottle_core::observation::{CapacityMode, Commitment, Minute, Stream};
use unthrottle_core::signal::{Home, StreamArn};

/// How long a record is kept, in hours: what AWS gives for free.
const RETENTION_HOURS: u32 = 24;

/// A stream at its beginning, and what is sent to it.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Open shards.
    pub shards: u32,
    /// Its capacity mode.
    pub mode: CapacityMode,
    /// The producers' keys.
    pub keys: Keys,
    /// Size of a record, key included, in bytes. All are equal, and written by `PutRecords`.
    pub record_bytes: u64,
    /// What producers do with refused records.
    pub retry: Retry,
    /// The rest of the account.
    pub account: Account,
}

/// Who makes a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The policy whose score is kept.
    Policy,
    /// Anybody else: people, Terraform. AWS's daily caps count them, too.
    Others,
}

/// A call that CloudTrail saw throttled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// The operation, as AWS names it.
    pub operation: &'static str,
    /// The error code.
    pub code: &'static str,
}

/// The stream, and all that happens to it.
///
/// Shards of a reshard take records from the moment in which it is done, all at once. Nobody reads it, and the account has no
/// throughput commitment, unless the world is made so.
#[derive(Debug)]
pub struct World {
    stream: StreamArn,
    setup: Setup,
    now: i64,
    /// By the first hash key.
    shards: Vec<OpenShard>,
    next_number: u64,
    mode: CapacityMode,
    running: Option<Running>,
    monitored: BTreeSet<String>,
    tags: BTreeMap<String, String>,
    reshards: Vec<i64>,
    switches: Vec<i64>,
    /// When on-demand mode splits which shard.
    growing: BTreeMap<u64, i64>,
    /// The busiest minute so far, in full shards.
    peak: f64,
    /// The minute so far, of the stream and of the shards that were closed in it.
    minute: Counts,
    closed: BTreeMap<u64, Counts>,
    last: Second,
    events: Vec<Event>,
    reading: Option<Reading>,
    commitment: Commitment,
    cloudwatch: CloudWatch,
    changes: Chance,
    growth: Chance,
    prices: Prices,
    tally: Tally,
    timeline: Timeline,
}

/// Where the stream lives. The number is AWS's own example account.
pub fn home() -> Home {
    Home { partition: "aws".into(), region: "us-east-1".into(), account: "123456789012".into() }
}

/// The stream's name in full.
pub fn arn() -> StreamArn {
    StreamArn { home: home(), name: "arena".into() }
}

impl World {
    /// The stream at second 0, ACTIVE.
    pub fn new(setup: Setup, seed: u64) -> World {
        let ranges = HashRange::uniform(setup.shards);
        let shard = |(number, range): (u64, HashRange)| {
            OpenShard::new(number, None, range, setup.keys.share(range), Waiting::new(&setup.retry), 0)
        };
        World {
            stream: arn(),
            now: 0,
            shards: (0..).zip(ranges).map(shard).collect(),
            next_number: u64::from(setup.shards),
            mode: setup.mode.clone(),
            running: None,
            monitored: BTreeSet::new(),
            tags: BTreeMap::new(),
            reshards: vec![],
            switches: vec![],
            growing: BTreeMap::new(),
            peak: 0.0,
            minute: Counts::default(),
            closed: BTreeMap::new(),
            last: Second::default(),
            events: vec![],
            reading: None,
            commitment: Commitment::Disabled,
            cloudwatch: CloudWatch::new(seed, setup.record_bytes),
            changes: Chance::new(seed, CHANGES),
            growth: Chance::new(seed, GROWTH),
            prices: Prices::default(),
            tally: Tally::default(),
            timeline: Timeline::default(),
            setup,
        }
    }

    /// The same, read by these.
    #[must_use]
    pub fn with_readers(mut self, readers: Readers) -> World {
        self.reading = Some(Reading::new(readers, self.open_shards()));
        self
    }

    /// The same in an account that has the throughput commitment.
    #[must_use]
    pub fn with_commitment(mut self) -> World {
        self.commitment = Commitment::Enabled;
        self
    }

    /// The same after reshards of the policy in these seconds, before the run.
    #[must_use]
    pub fn with_reshards_spent(mut self, spent: Vec<i64>) -> World {
        self.reshards = spent;
        let open = self.open_shards();
        let mut memory = self.reshards.iter().fold(Memory::default(), |memory, at| {
            memory.intend(memory::Change::intent(ChangeKind::Scale, open, open, time(*at)), false)
        });
        if let Some(last) = &mut memory.change {
            (last.settled, last.healed, last.published) = (Some(last.at), Some(last.at), Some(last.at));
        }
        // So few changes fit into a tag.
        self.tags.extend(memory.encode().ok().map(|text| (TAG.to_owned(), text)));
        self
    }

    /// The same in a region with these prices.
    #[must_use]
    pub fn with_prices(self, prices: Prices) -> World {
        World { prices, ..self }
    }

    /// Records are of this size from now on, in bytes. To be called when a minute begins: one minute has one size.
    pub fn set_record_bytes(&mut self, record_bytes: u64) {
        self.setup.record_bytes = record_bytes;
        self.cloudwatch.set_record_bytes(record_bytes);
    }

    /// Seconds since the beginning.
    pub fn now(&self) -> i64 {
        self.now
    }

    /// The same as a time of day.
    pub fn time(&self) -> DateTime<Utc> {
        time(self.now)
    }

    /// CloudTrail sees a call throttled.
    pub fn record_event(&mut self, event: Event) {
        self.events.push(event);
    }

    /// What CloudTrail saw in this second.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// What came of the last second.
    pub fn last(&self) -> Second {
        self.last
    }

    /// Open shards.
    pub fn open_shards(&self) -> u32 {
        u32::try_from(self.shards.len()).unwrap_or(u32::MAX)
    }

    /// The open shards, by their hash keys.
    pub fn shards(&self) -> &[OpenShard] {
        &self.shards
    }

    /// The capacity mode.
    pub fn mode(&self) -> &CapacityMode {
        &self.mode
    }

    /// Whether a change is under way.
    pub fn is_updating(&self) -> bool {
        self.running.is_some()
    }

    /// The stream's tags.
    pub fn tags(&self) -> &BTreeMap<String, String> {
        &self.tags
    }

    /// When the change under way is done, in seconds of the run.
    pub fn updating_until(&self) -> Option<i64> {
        self.running.as_ref().map(|running| running.until)
    }

    /// The stream's summary as it is; nobody has asked for it.
    pub fn stream(&self) -> Stream {
        self.describe()
    }

    /// A stream that was resharded so many seconds before the run began, once for each.
    pub fn resharded_before(&mut self, seconds: &[i64]) {
        self.reshards.extend(seconds.iter().map(|ago| -ago));
    }

    /// What CloudWatch shows.
    pub fn cloudwatch(&self) -> &CloudWatch {
        &self.cloudwatch
    }

    /// Other streams of the fleet were changed, in these minutes.
    pub fn count_elsewhere(&mut self, elsewhere: impl IntoIterator<Item = Minute>) {
        for minute in elsewhere {
            self.cloudwatch.count_elsewhere(minute, self.now);
        }
    }

    /// The score so far.
    pub fn score(&self) -> Score {
        self.tally.score()
    }

    /// The run so far.
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// The policy has come to a decision with this code; a change that it made for it is known by it.
    pub fn mark(&mut self, code: &'static str) {
        self.timeline.decide(self.now, code);
    }
}
