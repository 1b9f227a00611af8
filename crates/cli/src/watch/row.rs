//! A stream as `watch` knows it: an hour of its load, and its last check.

use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeMap;
use unthrottle_core::decision::Outcome;
use unthrottle_core::observation::Minute;
use unthrottle_core::report::Document;
use unthrottle_core::signal::StreamArn;

/// The minutes of load that a stream is shown with.
pub(super) const SHOWN_MINUTES: i64 = 60;

/// A stream that refuses, or whose change is under way, is checked again after this time: CloudWatch publishes once a
/// minute, so an earlier check would see nothing new.
const SOON: TimeDelta = TimeDelta::minutes(1);

/// Any other stream is checked again after this time. An hour of the fleet's load is read each minute, and shows a
/// stream that begins to refuse. A shorter time would cost more calls and show the same.
const LATER: TimeDelta = TimeDelta::minutes(5);

/// A stream without a datapoint for these minutes is idle. CloudWatch publishes a minute up to five minutes late.
const IDLE_AFTER_MINUTES: i64 = 6;

/// What a shard takes in a minute: 1 MiB and 1,000 records a second (the quotas of Kinesis Data Streams).
const SHARD_BYTES: f64 = 60.0 * 1_048_576.0;
const SHARD_RECORDS: f64 = 60.0 * 1_000.0;

/// One minute of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Load {
    pub bytes: f64,
    pub records: f64,
    /// Records that AWS refused.
    pub refused_records: f64,
    /// Calls of GetRecords that AWS refused.
    pub refused_reads: f64,
}

impl Load {
    /// The accepted load in full shards.
    fn shards(&self) -> f64 {
        (self.bytes / SHARD_BYTES).max(self.records / SHARD_RECORDS)
    }

    fn is_refused(&self) -> bool {
        self.refused_records > 0.0 || self.refused_reads > 0.0
    }
}

/// A decision about a stream, made without changing it.
#[derive(Clone, Debug)]
pub(super) struct Checked {
    pub document: Document,
    pub needs_person: bool,
}

/// A stream.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub stream: StreamArn,
    pub minutes: BTreeMap<Minute, Load>,
    /// The last check, or why it failed. `None`: the stream was not checked yet.
    pub check: Option<Result<Box<Checked>, String>>,
    pub checked_at: Option<DateTime<Utc>>,
    /// A person wants a check now.
    pub is_asked: bool,
}

/// A part of the hour: the highest utilization of its minutes, and whether AWS refused something.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Part {
    pub utilization: f64,
    pub is_refused: bool,
}

impl Row {
    pub fn new(stream: StreamArn) -> Row {
        Row { stream, minutes: BTreeMap::new(), check: None, checked_at: None, is_asked: false }
    }

    pub fn document(&self) -> Option<&Document> {
        self.check.as_ref()?.as_ref().ok().map(|checked| &checked.document)
    }

    /// The open shards of a provisioned stream. `None`: unknown, or AWS sets their number.
    fn shards(&self) -> Option<f64> {
        let stream = self.document()?.stream.as_ref()?;
        let shards = stream.open_shards.filter(|shards| *shards > 0)?;
        (stream.mode.as_deref() == Some("PROVISIONED")).then_some(f64::from(shards))
    }

    /// The accepted load of the newest minute as a share of what the shards take: 1 is full. `None`: the number of
    /// shards is unknown, or AWS sets it.
    pub fn utilization(&self, now: DateTime<Utc>) -> Option<f64> {
        let shards = self.shards()?;
        let newest = self.minutes.iter().next_back();
        let newest = newest.filter(|(minute, _)| minute.plus(IDLE_AFTER_MINUTES).start() >= now);
        Some(newest.map_or(0.0, |(_, load)| load.shards() / shards))
    }

    /// The hour in this number of parts, the oldest first. Without a number of shards, the busiest minute counts as
    /// full.
    pub fn hour(&self, parts: usize, now: DateTime<Utc>) -> Vec<Part> {
        let busiest = self.minutes.values().map(Load::shards).fold(0.0, f64::max);
        let full = self.shards().unwrap_or(busiest).max(f64::MIN_POSITIVE);
        let first = Minute::of(now).plus(-SHOWN_MINUTES);
        let each = (SHOWN_MINUTES as usize / parts.max(1)).max(1) as i64;
        let part = |n: usize| {
            let from = first.plus(n as i64 * each);
            self.minutes.range(from..from.plus(each)).fold(Part::default(), |part, (_, load)| Part {
                utilization: part.utilization.max(load.shards() / full),
                is_refused: part.is_refused || load.is_refused(),
            })
        };
        (0..parts).map(part).collect()
    }

    /// The records and the calls of GetRecords that AWS refused in the hour.
    pub fn refused(&self) -> (f64, f64) {
        // From 0.0 on: a sum of nothing would be -0.0.
        let sum = |of: fn(&Load) -> f64| self.minutes.values().map(of).fold(0.0, |sum, one| sum + one);
        (sum(|load| load.refused_records), sum(|load| load.refused_reads))
    }

    /// Whether AWS refused something in the newest minutes.
    pub fn is_throttled(&self, now: DateTime<Utc>) -> bool {
        let first = Minute::of(now).plus(-IDLE_AFTER_MINUTES);
        self.minutes.range(first..).any(|(_, load)| load.is_refused())
    }

    /// When the stream is checked next. Before its first check: now.
    pub fn next_check(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        let Some(at) = self.checked_at.filter(|_| !self.is_asked) else { return now };
        let is_soon = self.is_throttled(now) || self.document().is_none_or(is_under_way);
        at + if is_soon { SOON } else { LATER }
    }

    /// The place in the queue of the checks, the smallest first. Of the checks that are due, those that a person asked
    /// for come first, then streams that refuse, then the longest due. The first round of checks of a large account
    /// takes minutes, and a stream that refuses must not wait for it.
    pub fn turn(&self, now: DateTime<Utc>) -> (bool, bool, bool, DateTime<Utc>) {
        let next = self.next_check(now);
        (next > now, !self.is_asked, !self.is_throttled(now), next)
    }

    /// How urgent a look of a person is, the most urgent first: who must act, what would be changed, what refuses.
    pub fn urgency(&self, now: DateTime<Utc>) -> u8 {
        match &self.check {
            Some(Ok(checked)) if checked.needs_person => 0,
            Some(Err(_)) => 1,
            Some(Ok(checked)) if checked.document.outcome == Outcome::Planned => 2,
            _ if self.is_throttled(now) => 3,
            None => 4,
            Some(Ok(_)) => 5,
        }
    }
}

/// Whether the next minute will show more.
fn is_under_way(document: &Document) -> bool {
    document.outcome == Outcome::Planned || matches!(document.code, "resharding" | "settling" | "evidence_pending")
}

#[cfg(test)]
mod tests {
    use super::*;
    use unthrottle_core::signal::Home;

    #[test]
    fn the_hour_has_the_busiest_minute_of_each_part_and_what_was_refused() {
        let home = Home { partition: "aws".into(), region: "us-east-1".into(), account: "123456789012".into() };
        let mut row = Row::new(StreamArn::new("orders", &home).expect("a name"));
        let now = DateTime::UNIX_EPOCH + TimeDelta::hours(2);
        let minute = Minute::of(now);
        row.minutes.insert(minute.plus(-60), Load { records: 60_000.0, ..Load::default() });
        row.minutes.insert(minute.plus(-59), Load { records: 6_000.0, ..Load::default() });
        let refused = Load { records: 30_000.0, refused_records: 5.0, refused_reads: 2.0, ..Load::default() };
        row.minutes.insert(minute.plus(-1), refused);
        let hour = row.hour(12, now);
        assert_eq!(hour[0], Part { utilization: 1.0, is_refused: false });
        assert_eq!(hour[11], Part { utilization: 0.5, is_refused: true });
        assert!(hour[1..11].iter().all(|part| *part == Part::default()));
        assert_eq!(row.refused(), (5.0, 2.0));
        assert!(row.is_throttled(now) && !row.is_throttled(now + TimeDelta::minutes(10)));
        assert_eq!(row.utilization(now), None, "without a check the number of shards is unknown");
        assert_eq!(row.next_check(now), now);
        row.checked_at = Some(now);
        assert_eq!(row.next_check(now), now + SOON);
    }

    #[test]
    fn a_stream_that_refuses_is_checked_before_those_that_wait_longer() {
        let home = Home { partition: "aws".into(), region: "us-east-1".into(), account: "123456789012".into() };
        let now = DateTime::UNIX_EPOCH + TimeDelta::hours(2);
        let row = |name: &str| Row::new(StreamArn::new(name, &home).expect("a name"));
        let refused = Load { refused_records: 5.0, ..Load::default() };
        let (mut late, mut throttled, mut asked, mut done) = (row("late"), row("throttled"), row("asked"), row("done"));
        for row in [&mut throttled, &mut done] {
            row.minutes.insert(Minute::of(now).plus(-1), refused);
        }
        late.checked_at = Some(now - LATER - TimeDelta::minutes(9));
        (throttled.checked_at, done.checked_at) = (Some(now - SOON), Some(now));
        asked.is_asked = true;
        let mut rows = [&row("new"), &done, &late, &throttled, &asked];
        rows.sort_by_key(|row| row.turn(now));
        let names = rows.map(|row| row.stream.name.as_str());
        assert_eq!(names, ["asked", "throttled", "late", "new", "done"]);
    }
}
