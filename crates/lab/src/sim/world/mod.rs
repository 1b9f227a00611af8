//! One stream in virtual time, a second at a time: its shards, its producers, AWS's rules and CloudWatch's delays.
//!
//! - here: the state of the stream, and simple questions about it.
//! - `second`: one second of the stream, and the end of a minute.
//! - `growth`: on-demand mode splits busy shards.
//! - `calls`: the AWS calls that change the stream, with AWS's refusals.
//! - `observe`: the AWS calls that read it.
//! - `resends`: producers that send records again after a reshard.
//! - `past`: the shards of a time in the past, and the stream's creation.
//! - `state`: the state in words, to find out whether two worlds are the same.

mod calls;
mod growth;
mod observe;
mod past;
mod resends;
mod second;
mod state;
#[cfg(test)]
mod tests;

use super::account::Account;
use super::chance::{CHANGES, Chance, GROWTH};
use super::cloudwatch::CloudWatch;
use super::durations::Times;
use super::keys::Keys;
use super::readers::{Habit, Readers, Reading};
use super::retry::{Retry, Waiting};
use super::score::{Score, Tally};
use super::shard::{Counts, OpenShard, Second};
use super::time;
use super::timeline::{Forecast, Timeline};
use crate::rules::HashRange;
use calls::Running;
use chrono::{DateTime, Utc};
use past::ClosedShard;
use resends::Resends;
use std::collections::{BTreeMap, BTreeSet};
use unthrottle_core::cost::Prices;
use unthrottle_core::memory::{self, ChangeKind, Memory, TAG};
use unthrottle_core::observation::{CapacityMode, Commitment, Minute, Stream};
use unthrottle_core::signal::{Home, StreamArn};

/// The retention of records, in hours: AWS's default, which costs nothing extra.
const RETENTION_HOURS: u32 = 24;

/// A stream at its beginning, and its producers.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// Open shards.
    pub shards: u32,
    /// Its capacity mode.
    pub mode: CapacityMode,
    /// The producers' keys.
    pub keys: Keys,
    /// Size of a record, key included, in bytes. All records have this size, and `PutRecords` writes them.
    pub record_bytes: u64,
    /// The producers' retries.
    pub retry: Retry,
    /// The rest of the account.
    pub account: Account,
}

/// The caller of an AWS call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The policy that gets the score.
    Policy,
    /// All other people and tools, such as Terraform. AWS's daily caps also count their calls.
    Others,
}

/// A throttled call that CloudTrail reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// The operation, in AWS's spelling.
    pub operation: &'static str,
    /// The error code.
    pub code: &'static str,
}

/// The stream and everything around it.
///
/// All shards of a reshard open at once, when the reshard is finished. Without [`World::with_readers`] the stream has
/// no reader; without [`World::with_commitment`] the account has no throughput commitment.
#[derive(Clone, Debug)]
pub(crate) struct World {
    stream: StreamArn,
    setup: Setup,
    now: i64,
    /// Sorted by the first hash key.
    shards: Vec<OpenShard>,
    next_number: u64,
    /// When the stream was created, in seconds of the run.
    created: i64,
    closed_shards: Vec<ClosedShard>,
    mode: CapacityMode,
    running: Option<Running>,
    monitored: BTreeSet<String>,
    tags: BTreeMap<String, String>,
    reshards: Vec<i64>,
    switches: Vec<i64>,
    /// The busy shards, with the second at which on-demand mode splits each.
    growing: BTreeMap<u64, i64>,
    /// The busiest minute, in full shards.
    peak: f64,
    /// The counts of the current minute, for the stream and for the shards that closed in it.
    minute: Counts,
    closed: BTreeMap<u64, Counts>,
    last: Second,
    events: Vec<Event>,
    reading: Option<Reading>,
    resends: Option<Resends>,
    commitment: Commitment,
    cloudwatch: CloudWatch,
    changes: Chance,
    growth: Chance,
    prices: Prices,
    tally: Tally,
    timeline: Timeline,
    /// When people got a message, in seconds of the run.
    notified: Vec<i64>,
}

/// The account and region of the stream. The number is AWS's example account.
pub(crate) fn home() -> Home {
    Home { partition: "aws".into(), region: "us-east-1".into(), account: "123456789012".into() }
}

/// The ARN of the stream.
pub(crate) fn arn() -> StreamArn {
    StreamArn { home: home(), name: "arena".into() }
}

/// When the stream was created, in seconds of the run: a month before it. Some runs begin with changes of unthrottle
/// from the day before, and a stream has no changes from before its creation.
pub(crate) const CREATED_AT: i64 = -30 * 86_400;

/// Shards with these hash keys, numbered from 0, that opened at this second.
fn opened(setup: &Setup, ranges: impl IntoIterator<Item = HashRange>, second: i64) -> Vec<OpenShard> {
    let shard = |(number, range): (u64, HashRange)| {
        OpenShard::new(number, None, range, setup.keys.share(range), Waiting::new(&setup.retry), second)
    };
    (0..).zip(ranges).map(shard).collect()
}

impl World {
    /// A stream that is ACTIVE at second 0, and was created at [`CREATED_AT`].
    pub fn new(setup: Setup, seed: u64) -> World {
        World {
            stream: arn(),
            now: 0,
            shards: opened(&setup, HashRange::uniform(setup.shards), CREATED_AT),
            next_number: u64::from(setup.shards),
            created: CREATED_AT,
            closed_shards: vec![],
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
            resends: None,
            commitment: Commitment::Disabled,
            cloudwatch: CloudWatch::new(seed, setup.record_bytes).with_lag(setup.account.times.metric_lag),
            changes: Chance::new(seed, CHANGES),
            growth: Chance::new(seed, GROWTH),
            prices: Prices::default(),
            tally: Tally::default(),
            timeline: Timeline::default(),
            notified: vec![],
            setup,
        }
    }

    /// How long AWS takes.
    pub fn times(&self) -> Times {
        self.setup.account.times
    }

    /// Adds readers.
    #[must_use]
    pub fn with_readers(mut self, readers: Readers, habit: Habit) -> World {
        self.reading = Some(Reading::new(readers, self.open_shards()).with_habit(habit));
        self
    }

    /// Adds producers that send records again after each reshard.
    #[must_use]
    pub fn with_resends(mut self, seed: u64) -> World {
        self.resends = Some(Resends::new(seed));
        self
    }

    /// Replaces the shards by shards with these hash keys.
    #[must_use]
    pub fn with_ranges(mut self, ranges: &[HashRange]) -> World {
        self.shards = opened(&self.setup, ranges.iter().copied(), CREATED_AT);
        self.next_number = self.shards.len() as u64;
        self
    }

    /// Adds the throughput commitment to the account.
    #[must_use]
    pub fn with_commitment(mut self) -> World {
        self.commitment = Commitment::Enabled;
        self
    }

    /// Adds earlier reshards by the policy, at these negative seconds before the run. The last one opened the shards.
    #[must_use]
    pub fn with_reshards_spent(mut self, spent: Vec<i64>) -> World {
        self.reshards = spent;
        let open = self.open_shards();
        if let Some(last) = self.reshards.last() {
            self.open_at(*last);
        }
        let mut memory = self.reshards.iter().fold(Memory::default(), |memory, at| {
            memory.intend(memory::Change::intent(ChangeKind::Scale, open, open, time(*at)), false)
        });
        if let Some(last) = &mut memory.change {
            (last.settled, last.healed, last.published) = (Some(last.at), Some(last.at), Some(last.at));
        }
        // A tag has space for this small number of changes.
        self.tags.extend(memory.encode().ok().map(|text| (TAG.to_owned(), text)));
        self
    }

    /// Sets the list prices of the region.
    #[must_use]
    pub fn with_prices(self, prices: Prices) -> World {
        World { prices, ..self }
    }

    /// Sets the size of all records from now on, in bytes. Call this when a minute begins: the records of a minute have
    /// one size.
    pub fn set_record_bytes(&mut self, record_bytes: u64) {
        self.setup.record_bytes = record_bytes;
        self.cloudwatch.set_record_bytes(record_bytes);
    }

    /// Seconds since the beginning.
    pub fn now(&self) -> i64 {
        self.now
    }

    /// The same moment as a time of day.
    pub fn time(&self) -> DateTime<Utc> {
        time(self.now)
    }

    /// Records a throttled call that CloudTrail reports.
    pub fn record_event(&mut self, event: Event) {
        self.events.push(event);
    }

    /// The throttled calls that CloudTrail reports for this second.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The result of the last second.
    pub fn last(&self) -> Second {
        self.last
    }

    /// Open shards.
    pub fn open_shards(&self) -> u32 {
        u32::try_from(self.shards.len()).unwrap_or(u32::MAX)
    }

    /// New records of the last second, without those that producers sent again after a reshard.
    pub fn new_records(&self) -> f64 {
        let times = self.resends.as_ref().map_or(1.0, |resends| resends.times(self.now - 1));
        self.last.offered as f64 / times
    }

    /// The open shards, by their hash keys, without a call of the policy.
    pub(crate) fn shards(&self) -> &[OpenShard] {
        &self.shards
    }

    /// The capacity mode.
    pub fn mode(&self) -> &CapacityMode {
        &self.mode
    }

    /// Whether AWS is carrying out a change.
    pub fn is_updating(&self) -> bool {
        self.running.is_some()
    }

    /// The stream's tags.
    pub fn tags(&self) -> &BTreeMap<String, String> {
        &self.tags
    }

    /// The end of the change under way, in seconds of the run.
    pub fn updating_until(&self) -> Option<i64> {
        self.running.as_ref().map(|running| running.until)
    }

    /// The same with a tag of its owner.
    #[must_use]
    pub fn with_tag(mut self, key: &str, value: &str) -> World {
        self.tags.insert(key.to_owned(), value.to_owned());
        self
    }

    /// The stream's summary, without a call of the policy.
    pub fn stream(&self) -> Stream {
        self.describe()
    }

    /// Adds an earlier reshard for each number of seconds before the run. The last of them opened the shards.
    pub fn resharded_before(&mut self, seconds: &[i64]) {
        self.reshards.extend(seconds.iter().map(|ago| -ago));
        if let Some(last) = seconds.iter().min() {
            self.open_at(-last);
        }
    }

    /// CloudWatch's metrics.
    pub fn cloudwatch(&self) -> &CloudWatch {
        &self.cloudwatch
    }

    /// Counts changes of other streams of the fleet in these minutes, and the shards that they added.
    pub fn count_elsewhere(
        &mut self,
        fixes: impl IntoIterator<Item = Minute>,
        shards: impl IntoIterator<Item = (Minute, u32)>,
    ) {
        for minute in fixes {
            self.cloudwatch.count_elsewhere(minute, self.now);
        }
        for (minute, added) in shards {
            self.cloudwatch.count_shards(added, minute, self.now);
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

    /// `Publish` of a message to people.
    pub fn notify(&mut self) {
        self.notified.push(self.now);
    }

    /// When people got a message, in seconds of the run.
    #[cfg(test)]
    pub(crate) fn notified(&self) -> &[i64] {
        &self.notified
    }

    /// Records a decision of the policy. A change in this second gets its code.
    pub fn mark(&mut self, code: &'static str) {
        self.timeline.decide(self.now, code);
    }

    /// Records the load that the policy expects at `at`, in full shards.
    pub fn expect(&mut self, at: DateTime<Utc>, full_shards: f64) {
        let second = (at - time(0)).num_seconds();
        self.timeline.expect(Forecast { second, full_shards });
    }
}
