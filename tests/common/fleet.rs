//! What the tests of a fleet add to the fixture: fleet alarms, sweeps, and traffic over minutes and hours.

#![allow(dead_code, reason = "each test binary uses its part")]

use crate::aws::{STREAM, STREAM_ARN};
use crate::fixture::{Fixture, home, still};
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use serde_json::Value;
use std::ops::RangeInclusive;
use std::time::Duration;
use unthrottle::Error;
use unthrottle::handler::{Handler, Reply};
use unthrottle::sweep::{Plan, sweep};
use unthrottle_core::decision::Outcome;
use unthrottle_core::memory::TAG;
use unthrottle_core::report::SweepDocument;
use unthrottle_lab::local::Options;

const ALARMS: [(&str, &str); 2] =
    [("writes", "WriteProvisionedThroughputExceeded"), ("reads", "ReadProvisionedThroughputExceeded")];

/// More time than any sweep of these tests takes.
pub const LONG: Duration = Duration::from_secs(600);

/// Records a second that a shard accepts.
pub const PER_SHARD: f64 = 1000.0;

const RECORD_BYTES: f64 = 100.0;

/// A sweep's document, and the lines that its checks log.
#[derive(Debug)]
pub struct Swept {
    pub document: SweepDocument,
    pub lines: Vec<Value>,
}

// The account.
impl Fixture {
    /// An account without streams, with the two fleet alarms.
    pub async fn empty(options: Options) -> Fixture {
        let fixture = Fixture::start(options).await;
        ALARMS.iter().for_each(|(name, metric)| fixture.account.add_fleet_alarm(name, metric));
        fixture.policy(|p| p.fleet_alarms = ALARMS.iter().map(|(name, _)| (*name).to_owned()).collect())
    }

    /// The same with one stream, which was offered `per_second` records a second for the last `minutes`. The clock
    /// stands.
    pub async fn under(per_second: f64, shards: u32, minutes: i64) -> Fixture {
        Fixture::on(still(), per_second, shards, minutes).await
    }

    /// The same in an account with these options.
    pub async fn on(options: Options, per_second: f64, shards: u32, minutes: i64) -> Fixture {
        let fixture = Fixture::empty(options).await;
        fixture.account.add_streams([STREAM.into()], shards, &[]).await;
        fixture.offer(STREAM, per_second, shards, 1..=minutes);
        fixture
    }

    /// A stream that was scaled from two shards to four, has healed, and was not throttled for `minutes` since.
    pub async fn raised(options: Options, minutes: i64) -> Fixture {
        let fixture = Fixture::on(options, 3000.0, 2, 4).await;
        assert_eq!(fixture.ask().await.document.outcome, Outcome::Acted);
        fixture.later(2, 3000.0).await;
        assert_eq!(fixture.ask().await.document.code, "settling");
        fixture.later(6, 500.0).await;
        assert_eq!(fixture.ask().await.document.outcome, Outcome::Healed);
        fixture.later(minutes, 500.0).await;
        fixture
    }

    /// Puts the datapoints of a load in these minutes before now. Each shard accepts [`PER_SHARD`] records a second;
    /// the rest is refused.
    pub fn offer(&self, stream: &str, per_second: f64, shards: u32, ago: RangeInclusive<i64>) {
        let accepted = per_second.min(f64::from(shards) * PER_SHARD);
        for ago in ago {
            self.offer_minute(stream, 60.0 * accepted, 60.0 * (per_second - accepted), ago);
        }
    }

    /// Puts the datapoints of one minute before now: the records that the stream accepted and refused in it.
    pub fn offer_minute(&self, stream: &str, accepted: f64, refused: f64, ago: i64) {
        let now = self.now().duration_trunc(TimeDelta::minutes(1)).expect("in range");
        let at = now - TimeDelta::minutes(ago);
        for (metric, value) in [
            ("IncomingRecords", accepted),
            ("IncomingBytes", accepted * RECORD_BYTES),
            ("WriteProvisionedThroughputExceeded", refused),
        ] {
            self.account.put_metric("AWS/Kinesis", metric, &[("StreamName", stream)], at, value);
        }
        let mut offered = self.offered.lock().expect("no panic");
        let newest = offered.entry(stream.to_owned()).or_insert(i64::MIN);
        *newest = (*newest).max(at.timestamp() / 60);
    }

    /// Puts the datapoints of a reader that keeps up in these minutes before now.
    pub fn read(&self, ago: RangeInclusive<i64>) {
        let now = self.now().duration_trunc(TimeDelta::minutes(1)).expect("in range");
        for at in ago.map(|ago| now - TimeDelta::minutes(ago)) {
            for (metric, value) in [("GetRecords.Bytes", 60_000.0), ("GetRecords.IteratorAgeMilliseconds", 500.0)] {
                self.account.put_metric("AWS/Kinesis", metric, &[("StreamName", STREAM)], at, value);
            }
        }
    }

    /// Lets `minutes` pass in which the stream is offered this load. A change that is under way ends.
    pub async fn later(&self, minutes: i64, per_second: f64) {
        let shards = self.shards().await;
        let passed = TimeDelta::minutes(minutes);
        if self.account.clock().advance(passed.to_std().expect("positive")).is_err() {
            self.grow_older(passed).await;
        }
        // Also the minutes that ended on the machine's clock: a minute without traffic would not be throttled.
        let newest = self.offered.lock().expect("no panic").get(STREAM).copied().unwrap_or(i64::MIN);
        let since = (self.now().timestamp() / 60).saturating_sub(newest) - 1;
        self.offer(STREAM, per_second, u32::try_from(shards).expect("positive"), 1..=since.min(60));
    }

    /// Makes all that has happened older. A binary knows the machine's clock only, which no test can advance.
    async fn grow_older(&self, by: TimeDelta) {
        self.account.age(by.to_std().expect("positive")).await;
        self.offered.lock().expect("no panic").values_mut().for_each(|minute| *minute -= by.num_minutes());
        let Some(mut memory) = self.aws.memory(STREAM_ARN).await else { return };
        let mut text = memory.encode().expect("fits");
        match &mut memory.change {
            // All other times in the text count from this one.
            Some(change) => {
                let when = |at: DateTime<Utc>| at.format("%Y%m%dT%H%M%SZ").to_string();
                text = text.replace(&when(change.at), &when(change.at - by));
            }
            None => {
                memory.notified = memory.notified.map(|(code, at)| (code, at - by));
                text = memory.encode().expect("fits");
            }
        }
        self.aws.tag(STREAM_ARN, TAG, &text).await;
    }

    /// Deletes the memory tag of the stream.
    pub async fn forget(&self) {
        let untag = self.aws.kinesis.untag_resource().resource_arn(STREAM_ARN).tag_keys(TAG);
        untag.send().await.expect("untagged");
    }

    /// The open shards once the stream is ACTIVE.
    pub async fn shards(&self) -> i32 {
        self.aws.active(STREAM).await.open_shard_count
    }

    /// Denies `times` calls of the operation, after `skip` calls.
    pub fn deny(&self, operation: &str, skip: u32, times: u32) {
        self.refuse_after(skip, operation, times, "AccessDeniedException");
    }
}

// Sweeps.
impl Fixture {
    /// One round of a new container.
    pub async fn sweep(&self) -> Swept {
        self.sweep_for(LONG, None).await.expect("a sweep")
    }

    /// The same within this time. With `again_every`, the sweep stays.
    pub async fn sweep_for(&self, time: Duration, again_every: Option<Duration>) -> Result<Swept, Error> {
        self.sweep_by(&self.handler(), time, again_every).await
    }

    /// The same by this handler. It checks one stream after the other, so that their order is that of the sweep.
    pub async fn sweep_by(
        &self,
        handler: &Handler,
        time: Duration,
        again_every: Option<Duration>,
    ) -> Result<Swept, Error> {
        self.sweep_planned(handler, Plan { again_every, ..Plan::until(self.now() + time) }).await
    }

    /// The same by this plan.
    pub async fn sweep_planned(&self, handler: &Handler, plan: Plan) -> Result<Swept, Error> {
        let mut lines = vec![];
        let each = |reply: &Reply| lines.extend(reply.lines_in_sweep(self.now()));
        let plan = Plan { at_once: 1, ..plan };
        let document = sweep(handler, &home(), plan, each).await?;
        Ok(Swept { document, lines })
    }
}

/// Name, outcome and code of each decision.
pub fn decisions(sweep: &Swept) -> Vec<(&str, Outcome, &'static str)> {
    let documents = sweep.document.decisions.iter();
    documents.map(|d| (d.stream.as_ref().map_or("", |s| s.name.as_str()), d.outcome, d.code)).collect()
}

/// The EMF lines that count this metric.
pub fn lines_of<'a>(lines: &'a [Value], metric: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line.get(metric).is_some()).collect()
}

/// The name of the `n`th throttled stream.
pub fn throttled(n: u32) -> String {
    format!("throttled-{n:02}")
}
