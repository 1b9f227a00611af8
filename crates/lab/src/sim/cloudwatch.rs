//! CloudWatch's metrics of the simulated stream, with CloudWatch's delay.

mod past;

use super::chance::{Chance, PUBLISHED, RECEIPTS};
use super::durations::Times;
use super::readers::Reads;
use super::shard::Counts;
use super::time;
use past::Pasts;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use unthrottle_core::decision::Remedy;
use unthrottle_core::memory::ChangeKind;
use unthrottle_core::observation::{LOOKBACK_HOURS, Minute, Past, Traffic};

/// A minute that is missing this long after its end has no datapoint, in minutes (the same number as in `observation`).
const PUBLISHED_WITHIN_MINUTES: i64 = 5;

/// The lookback for the traffic of a shard, in minutes (the same number as in the Lambda's `aws::read`).
const SHARDS_LOOKBACK: i64 = 65;

/// A minute of the stream that has ended.
#[derive(Clone, Debug)]
struct Published {
    minute: Minute,
    /// The second of the run at which the datapoint appears.
    visible_at: i64,
    record_bytes: u64,
    stream: Counts,
    reads: Reads,
    /// The counts of each shard, by its number, if shard-level metrics are on.
    shards: BTreeMap<u64, Counts>,
    /// Whether the past counts it.
    is_past: bool,
}

/// A datum that unthrottle sent.
#[derive(Clone, Debug)]
struct Receipt {
    sent_at: i64,
    /// The second of the run at which the datum appears. CloudWatch shows a late datum at its own minute.
    visible_at: i64,
    minute: Minute,
    action: Datum,
}

/// A metric of unthrottle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Datum {
    /// AutoFix, with the code of the remedy.
    AutoFix(&'static str),
    /// The same, sent again by a later run.
    Resent(&'static str),
    /// AutoFix of another stream of the fleet.
    Elsewhere,
    /// Added shards, of this stream or of another one.
    ShardsAdded(u32),
    /// Reverted.
    Reverted,
}

/// The metrics of one stream.
#[derive(Clone, Debug)]
pub struct CloudWatch {
    record_bytes: u64,
    /// Seconds from the end of a minute to its datapoint, at least and at most.
    lag: (i64, i64),
    minutes: VecDeque<Published>,
    receipts: Vec<Receipt>,
    past: Pasts,
    published: Chance,
    received: Chance,
}

impl CloudWatch {
    /// The metrics of a stream with records of this size, in bytes.
    pub fn new(seed: u64, record_bytes: u64) -> CloudWatch {
        CloudWatch {
            record_bytes,
            lag: Times::default().metric_lag,
            minutes: VecDeque::new(),
            receipts: vec![],
            past: Pasts::default(),
            published: Chance::new(seed, PUBLISHED),
            received: Chance::new(seed, RECEIPTS),
        }
    }

    /// Sets the seconds from the end of a minute to its datapoint, at least and at most.
    #[must_use]
    pub fn with_lag(self, lag: (i64, i64)) -> CloudWatch {
        CloudWatch { lag, ..self }
    }

    /// Publishes a minute that ended at second `now` of the run. A minute without a record has no datapoint, which is
    /// not the same as zero. Minutes appear in their order, even if one is late.
    pub fn publish(&mut self, minute: Minute, stream: Counts, shards: BTreeMap<u64, Counts>, now: i64) {
        // Also drawn for silent minutes, so that all policies meet the same delays.
        let visible_at = now + self.published.between(self.lag.0, self.lag.1);
        if let Some(last) = self.minutes.back().filter(|last| !last.is_past) {
            // Its reads are known by now.
            self.past.add(last);
        }
        if let Some(last) = self.minutes.back_mut() {
            last.is_past = true;
        }
        if stream == Counts::default() {
            return;
        }
        let visible_at = self.minutes.back().map_or(visible_at, |last| visible_at.max(last.visible_at));
        self.minutes.push_back(Published {
            minute,
            visible_at,
            record_bytes: self.record_bytes,
            stream,
            reads: Reads::default(),
            shards,
            is_past: false,
        });
        // A whole day, counted back from the last minute at which this minute may still be unpublished.
        let first = minute.plus(-60 * LOOKBACK_HOURS - PUBLISHED_WITHIN_MINUTES);
        while self.minutes.front().is_some_and(|oldest| oldest.minute < first) {
            self.minutes.pop_front();
        }
    }

    /// The traffic of the last two weeks at second `now` of the run, and whether it had to be read.
    pub fn past(&mut self, now: i64) -> (Arc<Past>, bool) {
        self.past.read(now)
    }

    /// Adds the reads of the minute that was published last.
    pub fn publish_reads(&mut self, reads: Reads) {
        if let Some(last) = self.minutes.back_mut() {
            last.reads = reads;
        }
    }

    /// Counts AutoFix of a change that was announced in `minute`.
    pub fn count(&mut self, action: &'static str, minute: Minute, now: i64) {
        self.receive(Datum::AutoFix(action), minute, now);
    }

    /// Counts AutoFix of a change that was announced in `minute`. A later run sends it again.
    pub fn count_again(&mut self, action: &'static str, minute: Minute, now: i64) {
        self.receive(Datum::Resent(action), minute, now);
    }

    /// Counts AutoFix of another stream, announced in `minute`.
    pub fn count_elsewhere(&mut self, minute: Minute, now: i64) {
        self.receive(Datum::Elsewhere, minute, now);
    }

    /// Counts shards that a change added, announced in `minute`.
    pub fn count_shards(&mut self, added: u32, minute: Minute, now: i64) {
        if added > 0 {
            // CloudWatch got the datum in the call of the change's AutoFix, and shows both together.
            let with = self.receipts.last().filter(|receipt| receipt.sent_at == now && receipt.minute == minute);
            let visible_at = with.map_or(now + self.lag.1, |receipt| receipt.visible_at);
            self.receipts.push(Receipt { sent_at: now, visible_at, minute, action: Datum::ShardsAdded(added) });
        }
    }

    /// The shards that were added at second `now`, and the minute of each datum.
    pub fn shards_added_at(&self, now: i64) -> Vec<(Minute, u32)> {
        let added = self.sent_at(now).filter_map(|receipt| match receipt.action {
            Datum::ShardsAdded(added) => Some((receipt.minute, added)),
            _ => None,
        });
        added.collect()
    }

    fn sent_at(&self, now: i64) -> impl Iterator<Item = &Receipt> {
        self.receipts.iter().rev().take_while(move |receipt| receipt.sent_at == now)
    }

    /// The minutes of the stream's own AutoFix data that were sent at second `now`.
    pub fn counted_at(&self, now: i64) -> Vec<Minute> {
        let new = self.sent_at(now);
        let fixes = new.filter(|receipt| matches!(receipt.action, Datum::AutoFix(_) | Datum::Resent(_)));
        fixes.map(|receipt| receipt.minute).collect()
    }

    /// Whether AutoFix has a datum of the run of a change with this code in `minute`, or in the minute before or after;
    /// without a minute, in any.
    pub fn shows(&self, action: &'static str, minute: Option<Minute>, now: i64) -> bool {
        let is_near = |at: Minute| minute.is_none_or(|minute| (minute.plus(-1)..=minute.plus(1)).contains(&at));
        let is_it = |receipt: &&Receipt| receipt.visible_at <= now && is_near(receipt.minute);
        self.receipts.iter().filter(is_it).any(|receipt| matches!(receipt.action, Datum::AutoFix(it) if it == action))
    }

    /// Counts Reverted: in `minute`, a run found a change of unthrottle reverted.
    pub fn count_reverted(&mut self, minute: Minute, now: i64) {
        self.receive(Datum::Reverted, minute, now);
    }

    fn receive(&mut self, action: Datum, minute: Minute, now: i64) {
        let visible_at = now + self.received.between(self.lag.0, self.lag.1);
        self.receipts.push(Receipt { sent_at: now, visible_at, minute, action });
    }

    /// The published traffic of the stream at second `now` of the run: the last day, up to the last whole minute.
    pub fn traffic(&self, now: i64) -> Traffic {
        let mut traffic = Traffic::default();
        for published in self.visible(now) {
            let minute = traffic.minute_mut(published.minute);
            minute.incoming_records = published.stream.accepted as f64;
            minute.incoming_bytes = (published.stream.accepted * published.record_bytes) as f64;
            minute.write_throttled = published.stream.throttled as f64;
            minute.read_throttled = published.reads.refused.round();
            minute.get_records_bytes = published.reads.bytes;
            minute.get_records_calls = published.reads.calls;
            minute.iterator_age_ms = Some(published.reads.age_ms).filter(|_| published.reads.calls > 0.0);
        }
        let shown = lookback(now, 60 * LOOKBACK_HOURS);
        for receipt in self.receipts.iter().filter(|r| r.visible_at <= now && shown.contains(&r.minute)) {
            let added = if let Datum::ShardsAdded(added) = receipt.action { added } else { 1 };
            for counts in of(receipt.action, &mut traffic) {
                *counts.entry(receipt.minute).or_default() += added;
            }
        }
        traffic
    }

    /// The published traffic of the shard with this number: the last 65 minutes.
    pub fn shard_traffic(&self, shard: u64, now: i64) -> Traffic {
        let mut traffic = Traffic::default();
        let shown = lookback(now, SHARDS_LOOKBACK);
        for published in self.visible(now).filter(|published| shown.contains(&published.minute)) {
            let Some(counts) = published.shards.get(&shard) else { continue };
            let minute = traffic.minute_mut(published.minute);
            minute.incoming_records = counts.accepted as f64;
            minute.incoming_bytes = (counts.accepted * published.record_bytes) as f64;
            minute.write_throttled = counts.throttled as f64;
        }
        traffic
    }

    /// The published minutes, the newest first.
    pub fn minutes(&self, now: i64) -> impl Iterator<Item = (Minute, Counts)> {
        let visible = self.minutes.iter().rev().filter(move |published| published.visible_at <= now);
        visible.map(|published| (published.minute, published.stream))
    }

    /// The newest minute that is published, or that certainly has no datapoint.
    pub fn newest(&self, now: i64) -> Minute {
        let surely = Minute::of(time(now)).plus(-1 - PUBLISHED_WITHIN_MINUTES);
        self.minutes(now).next().map_or(surely, |(minute, _)| minute.max(surely))
    }

    /// Refused records of the published minutes, the newest first.
    pub fn throttled(&self, now: i64) -> impl Iterator<Item = (Minute, u64)> {
        self.minutes(now).map(|(minute, counts)| (minute, counts.throttled))
    }

    /// Reads of the published minutes, the newest first.
    pub fn reads(&self, now: i64) -> impl Iterator<Item = (Minute, Reads)> {
        let visible = self.minutes.iter().rev().filter(move |published| published.visible_at <= now);
        visible.map(|published| (published.minute, published.reads))
    }

    /// Sets the size of the records of coming minutes, in bytes.
    pub fn set_record_bytes(&mut self, record_bytes: u64) {
        self.record_bytes = record_bytes;
    }

    /// The size of a record, in bytes.
    pub fn record_bytes(&self) -> u64 {
        self.record_bytes
    }

    fn visible(&self, now: i64) -> impl Iterator<Item = &Published> {
        let shown = lookback(now, 60 * LOOKBACK_HOURS);
        self.minutes.iter().filter(move |p| p.visible_at <= now && shown.contains(&p.minute))
    }
}

/// The last `minutes` whole minutes.
fn lookback(now: i64, minutes: i64) -> std::ops::Range<Minute> {
    let end = Minute::of(time(now));
    end.plus(-minutes)..end
}

/// The counters that a datum increments: AutoFix of the stream, of the fleet (which is this stream), and of its kind.
fn of(datum: Datum, traffic: &mut Traffic) -> Vec<&mut BTreeMap<Minute, u32>> {
    let Traffic { auto_fixes, fleet_fixes, shards_added, reshards, restores, mode_switches, reverts, .. } = traffic;
    let action = match datum {
        Datum::AutoFix(action) | Datum::Resent(action) => action,
        Datum::Elsewhere => return vec![fleet_fixes],
        Datum::ShardsAdded(_) => return vec![shards_added],
        Datum::Reverted => return vec![reverts],
    };
    let is = |kind| Remedy::code_of(kind) == action;
    let mut counts = vec![auto_fixes, fleet_fixes];
    if is(ChangeKind::Scale) || is(ChangeKind::ScaleAhead) {
        counts.push(reshards);
    } else if is(ChangeKind::Restore) {
        counts.push(restores);
    } else if is(ChangeKind::Switch) || is(ChangeKind::SwitchBack) {
        counts.push(mode_switches);
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(accepted: u64, throttled: u64) -> Counts {
        Counts { accepted, throttled }
    }

    fn minute(n: i64) -> Minute {
        Minute::of(time(60 * n))
    }

    /// An hour of minutes with 10 accepted records and 1 refused record each.
    fn an_hour(seed: u64) -> CloudWatch {
        let mut cloudwatch = CloudWatch::new(seed, 100);
        (0..60).for_each(|n| cloudwatch.publish(minute(n), counts(10, 1), BTreeMap::new(), 60 * (n + 1)));
        cloudwatch
    }

    #[test]
    fn a_minute_appears_one_to_three_minutes_after_its_end_and_after_the_one_before() {
        for seed in 0..20 {
            let cloudwatch = an_hour(seed);
            let mut newest = None;
            for now in 0..3_600 {
                let seen = cloudwatch.throttled(now).next().map(|(minute, _)| minute);
                assert!(seen >= newest, "none goes away again");
                if let Some(seen) = seen {
                    let late = (time(now) - seen.end()).num_seconds();
                    assert!(late >= 60, "{seen} at {now}");
                }
                newest = seen;
                let surely = Minute::of(time(now)).plus(-5);
                assert!(now < 300 || seen >= Some(surely), "at {now} there is nothing newer than {seen:?}");
                let minutes: Vec<Minute> = cloudwatch.throttled(now).map(|(minute, _)| minute).collect();
                assert!(minutes.windows(2).all(|pair| pair[1] == pair[0].plus(-1)), "no holes");
            }
        }
    }

    #[test]
    fn bytes_are_those_of_accepted_records_only() {
        let traffic = an_hour(1).traffic(3_600);
        let minute = traffic.minute(minute(3));
        assert_eq!((minute.incoming_records, minute.incoming_bytes, minute.write_throttled), (10.0, 1000.0, 1.0));
    }

    #[test]
    fn a_silent_minute_has_no_datapoint() {
        let mut cloudwatch = CloudWatch::new(1, 100);
        cloudwatch.publish(minute(0), counts(0, 0), BTreeMap::new(), 60);
        assert_eq!(cloudwatch.traffic(600), Traffic::default());
    }

    #[test]
    fn a_datum_is_counted_where_the_lambda_reads_it() {
        let mut cloudwatch = CloudWatch::new(1, 100);
        cloudwatch.count("scale_shards", minute(1), 100);
        cloudwatch.count("switch_to_on_demand", minute(2), 150);
        cloudwatch.count("split_shard", minute(3), 200);
        assert_eq!(cloudwatch.traffic(159).auto_fixes, BTreeMap::new(), "not yet");
        let traffic = cloudwatch.traffic(600);
        let each = |minutes: &[i64]| minutes.iter().map(|n| (minute(*n), 1)).collect::<BTreeMap<Minute, u32>>();
        assert_eq!((traffic.auto_fixes, traffic.fleet_fixes), (each(&[1, 2, 3]), each(&[1, 2, 3])));
        assert_eq!((traffic.reshards, traffic.mode_switches), (each(&[1]), each(&[2])));
    }

    #[test]
    fn a_datum_that_is_sent_again_counts_and_proves_nothing() {
        let mut cloudwatch = CloudWatch::new(1, 100);
        cloudwatch.count_again("scale_shards", minute(1), 100);
        let traffic = cloudwatch.traffic(600);
        assert_eq!((traffic.auto_fixes.len(), traffic.fleet_fixes.len(), traffic.reshards.len()), (1, 1, 1));
        assert!(!cloudwatch.shows("scale_shards", Some(minute(1)), 600));
        cloudwatch.count("scale_shards", minute(1), 601);
        assert!(cloudwatch.shows("scale_shards", Some(minute(1)), 1_200));
    }

    #[test]
    fn the_day_before_is_not_read() {
        let mut cloudwatch = CloudWatch::new(1, 100);
        for n in 0..1_500 {
            cloudwatch.publish(minute(n), counts(1, 0), BTreeMap::new(), 60 * (n + 1));
        }
        let now = 60 * 1_500;
        let seen = |n: i64| cloudwatch.traffic(now).minute(minute(n)).incoming_records > 0.0;
        assert_eq!((seen(59), seen(60)), (false, true));
    }
}
