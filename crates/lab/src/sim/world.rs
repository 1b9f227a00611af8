//! One stream in virtual time, a second at a time: its shards, its producers, AWS's rules and CloudWatch's delays.

use super::account::Account;
use super::chance::{CHANGES, Chance, GROWTH};
use super::cloudwatch::CloudWatch;
use super::durations::{monitoring_seconds, reshard_seconds, switch_seconds};
use super::keys::Keys;
use super::readers::{Readers, Reading};
use super::retry::{Retry, Waiting};
use super::score::{Score, Tally};
use super::shard::{Counts, OpenShard, Second};
use super::time;
use super::timeline::{Change, Timeline};
use crate::rules::{
    HashRange, MAX_ON_DEMAND_SHARDS, Refusal, WRITE_BYTES_A_SECOND, WRITE_RECORDS_A_SECOND, must_accept_on_demand,
    must_accept_reshard, must_accept_switch, must_be_active, must_be_provisioned, opened_by,
};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::{BTreeMap, BTreeSet};
use unthrottle_core::cost::{BillingMode, Load, Prices, Shape};
use unthrottle_core::decide::MissingData;
use unthrottle_core::memory::{self, ChangeKind, Memory, TAG};
use unthrottle_core::observation::{
    CapacityMode, Commitment, Limits, Minute, Observation, Shard, Status, Stream, WarmThroughput,
};
use unthrottle_core::signal::{Home, StreamArn};

/// How long a record is kept, in hours: what AWS gives for free.
const RETENTION_HOURS: u32 = 24;

/// Bytes a second from which on an on-demand stream splits a shard ("when the incoming traffic exceeds 500 KB/s per
/// shard", AWS's page on capacity modes).
const GROWS_FROM_BYTES: u64 = 500 * 1000;

/// Records a second from which on it does: half of what a shard takes, as 500 KB/s is of its bytes. AWS's page gives bytes
/// only, but its promise of twice the peak needs both.
const GROWS_FROM_RECORDS: u64 = WRITE_RECORDS_A_SECOND / 2;

/// "It splits the shard within 15 minutes" (the same page): in seconds. The least is a guess: a few minutes of traffic
/// must have been seen.
const GROWS_WITHIN: (i64, i64) = (5 * 60, 15 * 60);

/// On-demand mode opens no more shards than so many times the stream's peak needs. A shard more than half full becomes two
/// that are a quarter full at least, so this bounds nothing but the splits that a single hot key would cause for ever.
const PEAK_TIMES: f64 = 4.0;

/// The longest value of a tag, in characters, and what may be in it besides letters and digits (AWS's tagging guide).
const TAG_LENGTH: usize = 255;
/// See [`TAG_LENGTH`].
const TAG_MARKS: &str = " _./=+-@:";

/// What a look at the stream takes: its summary, its tags, its metrics, the account's limits.
const CALLS_OF_A_LOOK: u64 = 4;

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

/// A change that AWS carries out: the stream is UPDATING until then.
#[derive(Clone, Debug)]
struct Running {
    until: i64,
    becomes: Becomes,
}

#[derive(Clone, Debug)]
enum Becomes {
    Shards(Vec<HashRange>),
    Mode(CapacityMode),
    Monitored(BTreeSet<String>),
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

    /// A second passes in which producers have so many new records for the stream.
    pub fn pass(&mut self, records: f64) {
        self.events.clear();
        self.finish();
        self.grow();
        let mut second = Second::default();
        for shard in &mut self.shards {
            let passed = shard.pass(self.now, records, self.setup.record_bytes, &self.setup.retry);
            second.offered += passed.offered;
            second.accepted += passed.accepted;
            second.throttled += passed.throttled;
            second.lost += passed.lost;
        }
        self.minute.accepted += second.accepted;
        self.minute.throttled += second.throttled;
        self.last = second;
        let (filled, reads_refused) = (self.filled_by(records), self.read(second));
        self.tally.pass(self.now, second, self.shards.len() as u64, filled, reads_refused);
        self.timeline.pass(second, reads_refused);
        self.now += 1;
        if self.now % 60 == 0 {
            self.close_minute();
        }
    }

    /// Calls of readers that are refused.
    fn read(&mut self, second: Second) -> f64 {
        let (now, shards) = (self.now, self.open_shards());
        let written = (second.accepted * self.setup.record_bytes) as f64;
        self.reading.as_mut().map_or(0.0, |reading| reading.pass(now, written, shards))
    }

    /// Shards that so many records in a second would fill to the brim.
    fn filled_by(&self, records: f64) -> f64 {
        let bytes = records * self.setup.record_bytes as f64 / WRITE_BYTES_A_SECOND as f64;
        bytes.max(records / WRITE_RECORDS_A_SECOND as f64)
    }

    /// CloudTrail sees a call throttled.
    pub fn tell(&mut self, event: Event) {
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
    pub fn hear(&mut self, elsewhere: impl IntoIterator<Item = Minute>) {
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

    fn finish(&mut self) {
        let Some(done) = self.running.take_if(|running| running.until <= self.now) else { return };
        match done.becomes {
            Becomes::Shards(ranges) => self.reshape(&ranges),
            Becomes::Mode(mode) => {
                self.mode = mode;
                self.growing.clear();
            }
            Becomes::Monitored(metrics) => self.monitored = metrics,
        }
    }

    /// Closes the shards whose ranges are not among `ranges`, and opens those that are new. What waits to be sent again goes
    /// where its keys belong now.
    fn reshape(&mut self, ranges: &[HashRange]) {
        let mut old = std::mem::take(&mut self.shards);
        let mut left: Vec<f64> = old.iter().map(|shard| shard.share).collect();
        for range in ranges {
            let first = old.partition_point(|shard| shard.range.last < range.first);
            if let Some(same) = old.get(first).filter(|shard| shard.range == *range) {
                self.shards.push(same.clone());
                continue;
            }
            let mut waiting = Waiting::new(&self.setup.retry);
            let parent = old.get(first).map(|shard| shard.number);
            for (shard, left) in old.iter_mut().zip(&mut left).skip(first) {
                let Some(both) = shard.range.and(*range) else { break };
                let share = self.setup.keys.share(both);
                let is_last = shard.range.last <= range.last;
                waiting.add(&shard.waiting.take(if is_last || *left <= 0.0 { 1.0 } else { share / *left }));
                *left -= share;
                self.closed.insert(shard.number, shard.minute);
            }
            let share = self.setup.keys.share(*range);
            self.shards.push(OpenShard::new(self.next_number, parent, *range, share, waiting, self.now));
            self.next_number += 1;
        }
    }

    fn close_minute(&mut self) {
        let mut shards = std::mem::take(&mut self.closed);
        for shard in &mut self.shards {
            shards.insert(shard.number, std::mem::take(&mut shard.minute));
        }
        let counts = std::mem::take(&mut self.minute);
        self.timeline.close_minute(self.open_shards(), self.setup.record_bytes);
        self.tally.spend(self.prices.per_hour(&self.shape(counts)) / 60.0);
        if self.mode == CapacityMode::OnDemand {
            self.tally.on_demand_minute();
        }
        self.plan_growth(counts, &shards);
        if self.monitored.is_empty() {
            shards.clear();
        }
        shards.retain(|_, counts| *counts != Counts::default());
        self.cloudwatch.publish(Minute::of(time(self.now - 1)), counts, shards, self.now);
        if let Some(reading) = &mut self.reading {
            self.cloudwatch.publish_reads(reading.close_minute());
        }
    }

    fn shape(&self, minute: Counts) -> Shape {
        let mode = match self.mode {
            CapacityMode::OnDemand => BillingMode::OnDemand { committed: self.commitment == Commitment::Enabled },
            _ => BillingMode::Provisioned,
        };
        let records_per_second = minute.accepted as f64 / 60.0;
        let bytes_per_second = records_per_second * self.setup.record_bytes as f64;
        let load = Load { records_per_second, bytes_per_second, read_bytes_per_second: 0.0 };
        Shape {
            mode,
            shards: self.open_shards(),
            consumers: 0,
            retention_hours: RETENTION_HOURS,
            shard_metrics: self.describe().shard_metric_count(),
            load,
        }
    }

    /// On-demand mode notes which shards it is going to split, and when.
    fn plan_growth(&mut self, minute: Counts, shards: &BTreeMap<u64, Counts>) {
        let bytes = |counts: Counts| counts.accepted * self.setup.record_bytes;
        let full = |counts: Counts| {
            (bytes(counts) as f64 / WRITE_BYTES_A_SECOND as f64)
                .max(counts.accepted as f64 / WRITE_RECORDS_A_SECOND as f64)
                / 60.0
        };
        self.peak = self.peak.max(full(minute));
        if self.mode != CapacityMode::OnDemand {
            return;
        }
        for shard in &self.shards {
            let counts = shards.get(&shard.number).copied().unwrap_or_default();
            let is_busy = bytes(counts) > 60 * GROWS_FROM_BYTES || counts.accepted > 60 * GROWS_FROM_RECORDS;
            if is_busy && !self.growing.contains_key(&shard.number) {
                let at = self.now + self.growth.between(GROWS_WITHIN.0, GROWS_WITHIN.1);
                self.growing.insert(shard.number, at);
            }
        }
    }

    /// On-demand mode splits the shards that are due. It does not look for hot keys.
    fn grow(&mut self) {
        if self.growing.is_empty() || self.running.is_some() {
            return;
        }
        let due: Vec<u64> = self.growing.iter().filter(|(_, at)| **at <= self.now).map(|(number, _)| *number).collect();
        for number in due {
            self.growing.remove(&number);
            let most = (PEAK_TIMES * self.peak).ceil() as u32;
            let shard = self.shards.iter().find(|shard| shard.number == number).map(|shard| shard.range);
            if let Some(range) = shard.filter(|_| self.open_shards() < most.min(MAX_ON_DEMAND_SHARDS))
                && let Some(halves) = range.split(range.middle())
            {
                let ranges = self.ranges_with(range, halves);
                self.reshape(&ranges);
            }
        }
    }

    fn ranges_with(&self, split: HashRange, halves: [HashRange; 2]) -> Vec<HashRange> {
        let pieces = |shard: &OpenShard| if shard.range == split { halves.to_vec() } else { vec![shard.range] };
        self.shards.iter().flat_map(pieces).collect()
    }
}

/// Calls of AWS's APIs.
impl World {
    /// `UpdateShardCount`, uniform. Gives the shards that were open when it was called; if these are as many as asked for,
    /// nothing happens.
    ///
    /// # Errors
    /// What AWS would say.
    pub fn update_shard_count(&mut self, by: By, target: u32) -> Result<u32, Refusal> {
        let open = self.open_shards();
        let allowed = self.may_be_resharded(target);
        let opened = self.answer(by, allowed)?;
        if target != open {
            self.reshards.push(self.now);
            let seconds = reshard_seconds(opened, &mut self.changes);
            self.begin(by, seconds, Becomes::Shards(HashRange::uniform(target)));
        }
        Ok(open)
    }

    fn ranges(&self) -> Vec<HashRange> {
        self.shards.iter().map(|shard| shard.range).collect()
    }

    /// The shards that the reshard would open on its way.
    pub(super) fn may_be_resharded(&self, target: u32) -> Result<u32, Refusal> {
        self.must_be_provisioned("UpdateShardCount")?;
        self.must_be_active()?;
        let quota = self.setup.account.quota(self.open_shards());
        must_accept_reshard(&self.stream, &self.ranges(), target, &self.reshards, self.now, quota)
    }

    /// `SplitShard`, so that the second half begins at the hash key `at`. AWS's daily cap does not count it.
    ///
    /// # Errors
    /// What AWS would say.
    pub fn split_shard(&mut self, by: By, id: &str, at: u128) -> Result<(), Refusal> {
        let ranges = self.split(id, at);
        let ranges = self.answer(by, ranges)?;
        let seconds = reshard_seconds(1, &mut self.changes);
        self.begin(by, seconds, Becomes::Shards(ranges));
        Ok(())
    }

    fn split(&self, id: &str, at: u128) -> Result<Vec<HashRange>, Refusal> {
        self.must_be_provisioned("SplitShard")?;
        self.must_be_active()?;
        let shard = &self.shards[self.place_of(id)?];
        let halves = shard.range.split(at);
        let halves = halves.ok_or_else(|| Refusal::new("InvalidArgumentException", "Not a hash key to split at."))?;
        self.setup.account.quota(self.open_shards()).must_have_place_for(1, &self.stream.home)?;
        Ok(self.ranges_with(shard.range, halves))
    }

    fn place_of(&self, id: &str) -> Result<usize, Refusal> {
        let place = self.shards.iter().position(|shard| shard.id() == id);
        place.ok_or_else(|| Refusal::new("ResourceNotFoundException", "There is no such open shard."))
    }

    /// `MergeShards` of two neighbours, in either order. AWS's daily cap does not count it.
    ///
    /// # Errors
    /// What AWS would say.
    pub fn merge_shards(&mut self, by: By, id: &str, adjacent: &str) -> Result<(), Refusal> {
        let ranges = self.merged(id, adjacent);
        let ranges = self.answer(by, ranges)?;
        let seconds = reshard_seconds(0, &mut self.changes);
        self.begin(by, seconds, Becomes::Shards(ranges));
        Ok(())
    }

    fn merged(&self, id: &str, adjacent: &str) -> Result<Vec<HashRange>, Refusal> {
        self.must_be_provisioned("MergeShards")?;
        self.must_be_active()?;
        let (one, other) = (self.place_of(id)?, self.place_of(adjacent)?);
        if one.abs_diff(other) != 1 {
            return Err(Refusal::new("InvalidArgumentException", "The shards are not adjacent."));
        }
        let mut ranges = self.ranges();
        let above = ranges.remove(one.max(other));
        ranges[one.min(other)].last = above.last;
        Ok(ranges)
    }

    /// `UpdateStreamMode`. The stream keeps its shards; repeating the current mode is free.
    ///
    /// # Errors
    /// What AWS would say.
    pub fn update_stream_mode(&mut self, by: By, mode: CapacityMode) -> Result<(), Refusal> {
        let allowed = self.may_be_switched(&mode);
        self.answer(by, allowed)?;
        if mode != self.mode {
            self.switches.push(self.now);
            self.begin(by, switch_seconds(), Becomes::Mode(mode));
        }
        Ok(())
    }

    fn may_be_switched(&self, mode: &CapacityMode) -> Result<(), Refusal> {
        self.must_be_active()?;
        if *mode == self.mode {
            return Ok(());
        }
        let account = &self.setup.account;
        let home = &self.stream.home;
        match mode {
            CapacityMode::OnDemand => must_accept_on_demand(account.other_on_demand, account.on_demand_limit, home)?,
            _ => account.quota(0).must_have_place_for(self.open_shards(), home)?,
        }
        must_accept_switch(&self.stream, &self.switches, self.now)
    }

    /// `UpdateStreamWarmThroughput`, in MiB/s: the shards that it takes are opened at once.
    ///
    /// # Errors
    /// What AWS would say.
    pub fn update_warm_throughput(&mut self, by: By, mibps: u32) -> Result<(), Refusal> {
        let allowed = self.may_be_warmed();
        self.answer(by, allowed)?;
        let (open, target) = (self.open_shards(), mibps.min(MAX_ON_DEMAND_SHARDS));
        if target > open {
            let seconds = reshard_seconds(opened_by(&self.ranges(), target), &mut self.changes);
            self.begin(by, seconds, Becomes::Shards(HashRange::uniform(target)));
        }
        Ok(())
    }

    fn may_be_warmed(&self) -> Result<(), Refusal> {
        if self.commitment != Commitment::Enabled || self.mode != CapacityMode::OnDemand {
            let words = "The account is not enabled for minimum throughput billing commitment";
            return Err(Refusal::new("ValidationException", words));
        }
        self.must_be_active()
    }

    /// `EnableEnhancedMonitoring`, or `DisableEnhancedMonitoring` where not `on`, of metrics by AWS's names.
    ///
    /// # Errors
    /// What AWS would say.
    pub fn update_monitoring(&mut self, by: By, metrics: &[&str], on: bool) -> Result<(), Refusal> {
        let allowed = self.must_be_active();
        self.answer(by, allowed)?;
        let mut monitored = self.monitored.clone();
        for metric in metrics {
            if on {
                monitored.insert((*metric).to_owned());
            } else {
                monitored.remove(*metric);
            }
        }
        self.running = Some(Running { until: self.now + monitoring_seconds(), becomes: Becomes::Monitored(monitored) });
        Ok(())
    }

    /// `TagResource`.
    ///
    /// # Errors
    /// The value is too long, or has characters that a tag must not have.
    pub fn tag(&mut self, by: By, key: &str, value: &str) -> Result<(), Refusal> {
        let is_legal = |c: char| c.is_alphanumeric() || TAG_MARKS.contains(c);
        let allowed = value.chars().count() <= TAG_LENGTH && value.chars().all(is_legal);
        let refusal = || Refusal::new("InvalidArgumentException", "Not the value of a tag.");
        self.answer(by, allowed.then_some(()).ok_or_else(refusal))?;
        self.tags.insert(key.to_owned(), value.to_owned());
        Ok(())
    }

    /// `UntagResource` of one tag.
    pub fn untag_one(&mut self, key: &str) {
        self.tags.remove(key);
    }

    /// `UntagResource` of every tag that there is.
    pub fn untag(&mut self) {
        self.tags.clear();
    }

    /// `PutMetricData` of AutoFix: a change that was announced at that time, by the code of its remedy.
    pub fn count(&mut self, action: &'static str, at: DateTime<Utc>) {
        self.tally.call(None);
        self.cloudwatch.count(action, Minute::of(at), self.now);
    }

    /// The same of a change so many seconds before the run, which has long been published.
    pub fn counted_before(&mut self, action: &'static str, ago: i64) {
        let minute = Minute::of(self.time() - TimeDelta::seconds(ago));
        self.cloudwatch.count(action, minute, self.now - ago);
    }

    /// `PutMetricData` of Reverted.
    pub fn count_reverted(&mut self, at: DateTime<Utc>) {
        self.tally.call(None);
        self.cloudwatch.count_reverted(Minute::of(at), self.now);
    }

    /// `DescribeStreamSummary` by the policy.
    pub fn described(&mut self) -> Stream {
        self.tally.look(1);
        self.describe()
    }

    /// `ListShards` by the policy: the open ones, by their hash keys.
    pub fn listed(&mut self) -> &[OpenShard] {
        self.tally.look(1);
        &self.shards
    }

    /// The policy makes so many calls about things that are not in this world, or are read elsewhere: CloudWatch's metrics
    /// and alarms, parameters.
    pub fn called(&mut self, calls: u64) {
        self.tally.look(calls);
    }

    /// What the Lambda's first look gives.
    pub fn observe(&mut self) -> Observation {
        self.tally.look(CALLS_OF_A_LOOK);
        Observation {
            observed_at: self.time(),
            stream: Some(self.describe()),
            tags: self.tags.clone(),
            traffic: self.cloudwatch.traffic(self.now),
            limits: Some(self.limits()),
            ..Observation::default()
        }
    }

    /// What a closer look adds: `ListShards` and the shards' metrics, `DescribeAccountSettings`.
    pub fn complete(&mut self, observation: &mut Observation, wants: MissingData) {
        if wants.shards {
            self.tally.look(2);
            let shard = |shard: &OpenShard| Shard {
                id: shard.id(),
                parent: shard.parent.map(|number| format!("shardId-{number:012}")),
                first_hash_key: shard.range.first,
                last_hash_key: shard.range.last,
                traffic: self.cloudwatch.shard_traffic(shard.number, self.now),
            };
            observation.shards = Some(self.shards.iter().map(shard).collect());
        }
        if wants.commitment {
            self.tally.look(1);
            observation.commitment = Some(self.commitment);
        }
    }

    fn describe(&self) -> Stream {
        Stream {
            name: arn().name,
            arn: arn().to_string(),
            status: if self.running.is_some() { Status::Updating } else { Status::Active },
            mode: self.mode.clone(),
            open_shards: self.open_shards(),
            retention_hours: RETENTION_HOURS,
            consumers: 0,
            shard_metrics: self.monitored.clone(),
            warm_throughput: self.warm_throughput(),
            spreads_records: false,
            channels: Some(0),
            queues: Some(0),
            kms_key: None,
        }
    }

    /// What it has: its shards, at 1 MiB/s each.
    fn warm_throughput(&self) -> Option<WarmThroughput> {
        let open = self.open_shards();
        let has = self.commitment == Commitment::Enabled && self.mode == CapacityMode::OnDemand;
        has.then_some(WarmThroughput { current_mibps: open, target_mibps: open })
    }

    fn limits(&self) -> Limits {
        let Account { shard_limit, other_shards, on_demand_limit, other_on_demand } = self.setup.account;
        let is_on_demand = self.mode == CapacityMode::OnDemand;
        let own = if is_on_demand { 0 } else { self.open_shards() };
        Limits {
            shard_limit,
            open_shards: other_shards.saturating_add(own),
            on_demand_streams: other_on_demand + u32::from(is_on_demand),
            on_demand_stream_limit: on_demand_limit,
        }
    }

    fn must_be_active(&self) -> Result<(), Refusal> {
        must_be_active(&self.stream, self.running.is_none(), "UPDATING")
    }

    fn must_be_provisioned(&self, operation: &str) -> Result<(), Refusal> {
        must_be_provisioned(&self.stream, self.mode == CapacityMode::Provisioned, operation)
    }

    fn answer<T>(&mut self, by: By, answer: Result<T, Refusal>) -> Result<T, Refusal> {
        if by == By::Policy {
            self.tally.call(answer.as_ref().err().map(|refusal| refusal.code));
        }
        answer
    }

    /// A change of capacity begins.
    fn begin(&mut self, by: By, seconds: i64, becomes: Becomes) {
        if by == By::Policy {
            self.tally.change();
        }
        let from = self.open_shards();
        let (code, to) = match &becomes {
            Becomes::Shards(ranges) => ("reshard", u32::try_from(ranges.len()).unwrap_or(u32::MAX)),
            Becomes::Mode(_) => ("switch_mode", from),
            Becomes::Monitored(_) => ("monitor", from),
        };
        self.timeline.change(self.now, code, Change { by, from, to });
        self.running = Some(Running { until: self.now + seconds, becomes });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use unthrottle_core::observation::SHARD_METRICS;

    fn setup(shards: u32) -> Setup {
        Setup {
            shards,
            mode: CapacityMode::Provisioned,
            keys: Keys::even(20_000),
            record_bytes: 500,
            retry: Retry::patient(),
            account: Account::default(),
        }
    }

    fn world(shards: u32) -> World {
        World::new(setup(shards), 1)
    }

    /// So many seconds with so many records each.
    fn pass(world: &mut World, seconds: i64, records: f64) {
        (0..seconds).for_each(|_| world.pass(records));
    }

    fn code<T: std::fmt::Debug>(answer: Result<T, Refusal>) -> &'static str {
        answer.expect_err("refused").code
    }

    #[test]
    fn a_reshard_takes_a_while_and_then_the_stream_takes_more() {
        let mut world = world(4);
        pass(&mut world, 60, 7_000.0);
        assert_eq!(world.update_shard_count(By::Policy, 8), Ok(4));
        assert!(world.is_updating());
        assert_eq!(code(world.update_shard_count(By::Policy, 8)), "ResourceInUseException");
        assert_eq!(world.open_shards(), 4, "until it is done");
        assert_eq!(world.last().accepted, 4_000);
        pass(&mut world, 60, 7_000.0);
        assert_eq!((world.is_updating(), world.open_shards()), (false, 8));
        pass(&mut world, 180, 7_000.0);
        assert_eq!(world.last().throttled, 0, "what was refused before has come through, or is lost");
        assert!(world.last().accepted.abs_diff(7_000) <= 8, "but for parts of records");
        let score = world.score();
        assert_eq!((score.changes, score.illegal_calls), (1, 1));
    }

    #[test]
    fn no_record_vanishes_in_reshards() {
        let mut world = world(3);
        for target in [5, 9, 6, 3, 4] {
            let _ = world.update_shard_count(By::Others, target).expect("legal");
            pass(&mut world, 90, 8_000.0);
            let waiting: u64 = world.shards().iter().map(|shard| shard.waiting.all()).sum();
            let Score { offered, accepted, lost, .. } = world.score();
            assert_eq!(offered, accepted + lost + waiting, "after the reshard to {target}");
            let shares: f64 = world.shards().iter().map(|shard| shard.share).sum();
            assert!((shares - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn aws_s_limits_are_those_of_the_documents() {
        let mut world = world(4);
        assert_eq!(code(world.update_shard_count(By::Policy, 9)), "InvalidArgumentException");
        assert_eq!(code(world.update_shard_count(By::Policy, 1)), "InvalidArgumentException");
        assert_eq!(world.update_shard_count(By::Policy, 4), Ok(4), "which changes nothing");
        assert!(!world.is_updating());
        for n in 0..10 {
            assert!(world.update_shard_count(By::Policy, if n % 2 == 0 { 5 } else { 4 }).is_ok(), "{n}");
            pass(&mut world, 60, 0.0);
        }
        assert_eq!(code(world.update_shard_count(By::Policy, 5)), "LimitExceededException");
        let shard = world.shards()[0].clone();
        assert!(world.split_shard(By::Policy, &shard.id(), shard.range.middle()).is_ok(), "which is not counted");
        pass(&mut world, 24 * 3_600, 0.0);
        assert!(world.update_shard_count(By::Policy, 4).is_ok(), "a day later");
    }

    #[test]
    fn the_mode_is_switched_twice_a_day_and_keeps_the_shards() {
        let mut world = world(4);
        for mode in [CapacityMode::OnDemand, CapacityMode::Provisioned] {
            world.update_stream_mode(By::Policy, mode.clone()).expect("the first two");
            pass(&mut world, 5, 0.0);
            assert_eq!((world.describe().mode, world.open_shards()), (mode, 4));
        }
        assert_eq!(world.update_stream_mode(By::Policy, CapacityMode::Provisioned), Ok(()), "as it is");
        assert_eq!(code(world.update_stream_mode(By::Policy, CapacityMode::OnDemand)), "LimitExceededException");
    }

    #[test]
    fn the_accounts_quota_counts_its_other_streams() {
        let of = |other_shards| {
            let account = Account { shard_limit: 20, other_shards, ..Account::default() };
            World::new(Setup { account, ..setup(4) }, 1).update_shard_count(By::Policy, 8)
        };
        assert_eq!(of(12), Ok(4));
        assert_eq!(code(of(13)), "LimitExceededException");
    }

    #[test]
    fn on_demand_mode_grows_to_twice_its_peak_within_15_minutes() {
        let mut world = World::new(Setup { mode: CapacityMode::OnDemand, ..setup(4) }, 1);
        pass(&mut world, 3_600, 1_500.0);
        assert_eq!(world.open_shards(), 4, "375 records a second in each shard");
        pass(&mut world, 20 * 60, 3_500.0);
        assert_eq!(world.open_shards(), 8);
        pass(&mut world, 60, 6_500.0);
        assert_eq!(world.last().throttled, 0, "not twice the peak");
        assert_eq!(code(world.update_shard_count(By::Policy, 8)), "ValidationException");
        assert_eq!(code(world.update_warm_throughput(By::Policy, 16)), "ValidationException");
    }

    #[test]
    fn warm_throughput_is_there_at_once_where_the_account_has_committed_itself() {
        let mut world = World::new(Setup { mode: CapacityMode::OnDemand, ..setup(4) }, 1).with_commitment();
        assert_eq!(world.update_warm_throughput(By::Policy, 16), Ok(()));
        assert_eq!(code(world.update_warm_throughput(By::Policy, 32)), "ResourceInUseException");
        pass(&mut world, 120, 1_000.0);
        assert_eq!(
            (world.open_shards(), world.describe().warm_throughput.map(|warm| warm.current_mibps)),
            (16, Some(16))
        );
    }

    #[test]
    fn reshards_of_yesterday_are_known_to_aws_and_to_the_memory() {
        let mut world = world(4).with_reshards_spent((2..11).rev().map(|hours| -3_600 * hours).collect());
        assert_eq!(Memory::parse(&world.tags()[TAG]).expect("readable").reshards.len(), 9);
        assert!(world.update_shard_count(By::Policy, 8).is_ok());
        pass(&mut world, 60, 0.0);
        assert_eq!(code(world.update_shard_count(By::Policy, 16)), "LimitExceededException");
    }

    #[test]
    fn a_split_cures_a_hot_range_and_not_a_hot_key() {
        let hot = |keys: Keys| {
            let mut world = World::new(Setup { keys, ..setup(2) }, 1);
            pass(&mut world, 60, 2_000.0);
            let hottest = world.shards().iter().max_by(|a, b| a.share.total_cmp(&b.share)).expect("two").clone();
            world.split_shard(By::Policy, &hottest.id(), hottest.range.middle()).expect("legal");
            pass(&mut world, 300, 1_900.0);
            assert_eq!(world.open_shards(), 3);
            let children = world.shards().iter().filter(|shard| shard.parent == Some(hottest.number));
            assert_eq!(children.count(), 2);
            world.last().throttled
        };
        let first = HashRange::uniform(2)[0];
        assert_eq!(hot(Keys::in_a_hot_range(0.9, first, 20_000, 3)), 0);
        assert!(hot(Keys::with_a_hot_one(0.9, 20_000)) > 500);
    }

    #[test]
    fn neighbours_are_merged_and_nothing_is_lost() {
        let mut world = world(4);
        pass(&mut world, 60, 4_500.0);
        let ids: Vec<String> = world.listed().iter().map(OpenShard::id).collect();
        assert_eq!(code(world.merge_shards(By::Policy, &ids[0], &ids[2])), "InvalidArgumentException");
        assert_eq!(code(world.merge_shards(By::Policy, &ids[0], &ids[0])), "InvalidArgumentException");
        assert_eq!(code(world.merge_shards(By::Policy, &ids[0], "shardId-9")), "ResourceNotFoundException");
        world.merge_shards(By::Policy, &ids[2], &ids[1]).expect("in either order");
        assert_eq!(code(world.merge_shards(By::Policy, &ids[0], &ids[1])), "ResourceInUseException");
        pass(&mut world, 60, 4_500.0);
        let left: Vec<String> = world.shards().iter().map(OpenShard::id).collect();
        assert_eq!(left, [ids[0].as_str(), "shardId-000000000004", ids[3].as_str()]);
        assert!((world.shards()[1].share - 0.5).abs() < 0.02);
        let waiting: u64 = world.shards().iter().map(|shard| shard.waiting.all()).sum();
        let Score { offered, accepted, lost, .. } = world.score();
        assert_eq!(offered, accepted + lost + waiting);
        world.update_stream_mode(By::Policy, CapacityMode::OnDemand).expect("legal");
        pass(&mut world, 5, 0.0);
        assert_eq!(code(world.merge_shards(By::Policy, &ids[0], &left[1])), "ValidationException");
    }

    #[test]
    fn shards_are_seen_only_where_their_metrics_are_on() {
        let mut world = world(2);
        let of_shards = |world: &mut World| {
            let mut look = world.observe();
            world.complete(&mut look, MissingData { shards: true, commitment: false });
            let shards = look.shards.expect("looked for");
            let newest = look.traffic.newest(look.observed_at);
            shards.iter().map(|s| s.traffic.minute(newest).incoming_records).sum::<f64>()
        };
        pass(&mut world, 600, 1_000.0);
        assert_eq!(of_shards(&mut world), 0.0);
        world.update_monitoring(By::Policy, &SHARD_METRICS, true).expect("legal");
        pass(&mut world, 600, 1_000.0);
        assert_eq!(of_shards(&mut world), 60_000.0);
        assert!(world.describe().shows_shards());
        world.update_monitoring(By::Policy, &SHARD_METRICS, false).expect("legal");
        pass(&mut world, 5, 0.0);
        assert!(!world.describe().shows_shards());
    }

    #[test]
    fn a_tag_has_room_for_255_characters() {
        let mut world = world(1);
        assert!(world.tag(By::Policy, "key", &"x".repeat(255)).is_ok());
        assert!(world.tag(By::Policy, "key", &"x".repeat(256)).is_err());
        assert!(world.tag(By::Policy, "key", "a,b").is_err());
        assert_eq!(world.tags()["key"].len(), 255);
    }
}
