//! Consumers: readers that share the shards, and readers that have their own throughput.

use super::finding::{Answer, NAMED, Verdict};
use super::fix::Fix;
use super::load::known;
use super::money::{added_cost, billing, in_note};
use super::readings::{Consumer, Point, Readings, Series, Unread};
use crate::cost::{BillingMode, Prices, Shape, monthly};
use crate::observation::Commitment;
use crate::words::{many, percent, time, usd};
use chrono::{DateTime, TimeDelta, Utc};

/// The share of the retention at which a reader is late. At all of it, records are lost unread. AWS names the metric
/// and no number; the same share holds a restore.
const LATE: f64 = 0.5;

/// The newest minutes in which a reader's age counts: a reader that has caught up is no finding. A Lambda function with
/// a long window reads every five minutes, so a shorter time could miss it.
pub const NEWEST_OF_READERS: TimeDelta = TimeDelta::minutes(15);

/// A consumer without an event for this time is idle. A consumer of a weekly job is not. AWS gives no number.
const IDLE: TimeDelta = TimeDelta::days(7);

/// Registered consumers of a stream: 20, and 50 with the throughput commitment (service-sizes-and-limits.html).
const MOST: usize = 20;
const MOST_COMMITTED: usize = 50;

/// The share of them from which the next team may find no place. AWS gives no number.
const NEARLY_ALL: f64 = 0.8;

/// The longest retention: 365 days (service-sizes-and-limits.html).
const LONGEST_RETENTION_HOURS: u32 = 8_760;

const HOUR_MS: f64 = 3_600_000.0;
const MINUTE: TimeDelta = TimeDelta::minutes(1);

/// The hours of a day in which a reader called GetRecords before it stopped, from which it was a steady one. A person
/// who looks at records, and a daily job, read in fewer. AWS gives no number.
pub(super) const STEADY_HOURS: usize = 12;

/// How many times the longest pause of the last 3 hours a pause is, from which the reader has stopped. An hourly job
/// pauses between its runs. AWS gives no number.
const LONGER_PAUSE: i32 = 2;

pub(super) fn retention(readings: &Readings, prices: &Prices) -> Answer {
    let kept_ms = f64::from(readings.stream.retention_hours) * HOUR_MS;
    let polled = known(&readings.minutes).map(|minutes| Polled::of(readings, minutes))?;
    let stopped = polled.filter(|polled| polled.has_stopped);
    let late_ms = LATE * kept_ms;
    // A reader that stopped is a finding without the other readers.
    let slowest = if stopped.is_some() { seen_ms(readings) } else { slowest_ms(readings, late_ms)? };
    let Some(age) = slowest else { return Ok(none_is_late(polled)) };
    let sentence = match stopped {
        Some(Polled { silent, .. }) => format!(
            "No reader has called GetRecords for {}, so a reader is {} behind. The stream keeps records for {}.",
            time(silent.num_milliseconds() as f64),
            time(age),
            time(kept_ms)
        ),
        None => format!("The slowest reader is {} behind; the stream keeps records for {}.", time(age), time(kept_ms)),
    };
    let verdict = if age > late_ms {
        let (fix, cost) = keep_longer(readings, prices);
        Verdict::fail(format!("{sentence} Unread records will be lost."), fix).fix_costs(cost)
    } else if stopped.is_some() {
        Verdict::warn(sentence, "start the reader again; if a person stopped it for good, the finding ends in 3 hours")
    } else {
        Verdict::ok(sentence)
    };
    let silent = stopped.map_or(0, |polled| polled.silent.num_seconds());
    let verdict = verdict.with("iterator_age_ms", age).with("retention_hours", readings.stream.retention_hours);
    Ok(verdict.with("silent_seconds", silent))
}

/// The finding of a stream without a reader that CloudWatch shows now.
fn none_is_late(polled: Option<Polled>) -> Verdict {
    match polled {
        Some(Polled { silent, .. }) => {
            let silent = time(silent.num_milliseconds() as f64);
            Verdict::ok(format!("The last call of GetRecords was {silent} ago. No steady reader has records unread."))
        }
        None => Verdict::ok("CloudWatch shows no reader of the last 3 hours."),
    }
}

/// What gains time for a late reader, and its cost in USD a month. At the longest retention, nothing gains time.
fn keep_longer(readings: &Readings, prices: &Prices) -> (Fix, Option<f64>) {
    let hours = readings.stream.retention_hours.saturating_mul(2).min(LONGEST_RETENTION_HOURS);
    if hours <= readings.stream.retention_hours {
        return (Fix::note("mend or scale the reader; AWS keeps records no longer"), None);
    }
    let cost = added_cost(readings, prices, |shape| Shape { retention_hours: hours, ..shape });
    let note = format!("mend or scale the reader; this command gains time{}:", in_note(cost));
    let command = format!(
        "aws kinesis increase-stream-retention-period --stream-name {} --retention-period-hours {hours}",
        readings.stream.name
    );
    (Fix::note(note).and_run(command), cost)
}

/// How far the slowest reader is behind now, in milliseconds: one that calls GetRecords, or a registered consumer.
/// `None`: none of them is seen, or the one that is seen has nothing to read. An age above `late_ms` is known without
/// the other readers.
pub(super) fn slowest_ms(readings: &Readings, late_ms: f64) -> Result<Option<f64>, Unread> {
    let seen = seen_ms(readings);
    if !seen.is_some_and(|age| age > late_ms) {
        all_readers_are_seen(readings)?;
    }
    Ok(seen)
}

/// Fails if a reader may be late that the doctor could not read. Without the hours, no reader is a steady one.
fn all_readers_are_seen(readings: &Readings) -> Result<(), Unread> {
    known(&readings.minutes)?;
    known(&readings.hours)?;
    known(&readings.consumers).map(|_| ())
}

/// The slowest of the readers that were read.
fn seen_ms(readings: &Readings) -> Option<f64> {
    let consumers = readings.consumers.iter().flatten().filter_map(|consumer| consumer.behind_ms);
    let polled = readings.minutes.as_ref().ok().and_then(|minutes| Polled::of(readings, minutes));
    polled.and_then(Polled::behind_ms).into_iter().chain(consumers).reduce(f64::max)
}

/// Whether a steady reader called GetRecords in the last 14 days. A person who looked at records is none.
pub(super) fn is_polled(readings: &Readings) -> Result<bool, Unread> {
    let calls = known(&readings.hours)?.points.iter().filter(|(_, point)| is_call(point));
    let calls: Vec<DateTime<Utc>> = calls.map(|(hour, _)| *hour).collect();
    let is_day = |hours: &[DateTime<Utc>]| hours[hours.len() - 1] - hours[0] < TimeDelta::hours(24);
    Ok(calls.windows(STEADY_HOURS).any(is_day))
}

fn is_call(point: &Point) -> bool {
    point.get_records_calls > 0.0 || point.iterator_age_ms.is_some()
}

/// The readers that call GetRecords. CloudWatch shows all of them together.
#[derive(Clone, Copy, Debug)]
struct Polled {
    /// The age of the oldest unread record in the newest minutes with a call, in milliseconds.
    age_ms: f64,
    /// The time since the newest minute with a call.
    silent: TimeDelta,
    /// Whether it read in most hours of a day.
    is_steady: bool,
    /// Whether this is too long for a reader that reads steadily, and records wait for it.
    has_stopped: bool,
}

impl Polled {
    /// `None`: no reader called GetRecords in the minutes.
    fn of(readings: &Readings, minutes: &Series) -> Option<Polled> {
        let aged = || minutes.points.iter().filter_map(|(time, point)| Some((*time, point.iterator_age_ms?)));
        let newest = aged().next_back().map(|(time, _)| time)?;
        let age_ms = aged().filter(|(time, _)| *time > newest - NEWEST_OF_READERS).map(|(_, age)| age);
        let silent = (readings.read_at - newest - MINUTE).max(TimeDelta::zero());
        let pauses = aged().zip(aged().skip(1)).map(|((one, _), (next, _))| next - one);
        let pause = NEWEST_OF_READERS.max(pauses.max().unwrap_or_default() * LONGER_PAUSE);
        let waits = minutes.points.range(newest + MINUTE..).any(|(_, point)| point.incoming_records > 0.0);
        let hours = readings.hours.as_ref().ok().map(|hours| &hours.points);
        let day = newest - TimeDelta::hours(24)..=newest;
        let hours = hours.map_or(0, |points| points.range(day).filter(|(_, point)| is_call(point)).count());
        let is_steady = hours >= STEADY_HOURS;
        let has_stopped = silent > pause && waits && is_steady;
        Some(Polled { age_ms: age_ms.fold(0.0, f64::max), silent, is_steady, has_stopped })
    }

    /// How far the slowest of them is behind, in milliseconds: now, if it has stopped, and otherwise as last seen.
    /// `None`: it is not seen any more, and did not read steadily.
    fn behind_ms(self) -> Option<f64> {
        match self.has_stopped {
            true => Some(self.age_ms + self.silent.num_milliseconds() as f64),
            false => (self.is_steady || self.silent <= NEWEST_OF_READERS).then_some(self.age_ms),
        }
    }
}

pub(super) fn fan_out_idle(readings: &Readings, prices: &Prices) -> Answer {
    let consumers = known(&readings.consumers)?;
    let is_idle = |c: &&Consumer| c.events == 0.0 && c.created_at < readings.read_at - IDLE;
    let idle: Vec<&str> = consumers.iter().filter(is_idle).map(|c| c.name.as_str()).collect();
    if idle.is_empty() {
        let sentence = match consumers.len() {
            0 => "The stream has no registered consumer.".to_owned(),
            n => format!("No registered consumer ({n}) is older than 7 days and without an event since."),
        };
        return Ok(Verdict::ok(sentence).with("consumers", consumers.len()));
    }
    let shards = f64::from(readings.stream.open_shards);
    let each = monthly(prices.fan_out_consumer_shard_hour) * shards;
    let arn = &readings.stream.arn;
    let deregister = |name: &&str| {
        Fix::run(format!("aws kinesis deregister-stream-consumer --stream-arn {arn} --consumer-name {name}"))
    };
    let fix = idle.iter().take(NAMED).map(deregister).fold(Fix::note("if nothing will use it:"), Fix::and);
    let names = idle.join(", ");
    let mut sentence = format!("{} received nothing for 7 days: {names}.", many(idle.len(), "registered consumer"));
    let mut cost = None;
    if billing(readings).ok() == Some(BillingMode::Provisioned) {
        let usd_per_month = each * idle.len() as f64;
        sentence.push_str(&format!(" AWS bills {} a month for that.", usd(usd_per_month)));
        cost = Some(usd_per_month);
    }
    let verdict = Verdict::warn(sentence, fix).with("idle", idle).with("consumers", consumers.len());
    Ok(match cost {
        Some(cost) => verdict.costs(cost),
        None => verdict,
    })
}

pub(super) fn fan_out_limits(readings: &Readings, _: &Prices) -> Answer {
    let registered = known(&readings.consumers)?;
    let consumers = registered.len();
    // Without the account's settings, the lower limit holds.
    let is_committed = readings.commitment.as_ref().is_ok_and(|c| *c == Commitment::Enabled);
    let most = if is_committed { MOST_COMMITTED } else { MOST };
    let share = consumers as f64 / most as f64;
    let sentence = format!("The stream has {consumers} of {most} registered consumers ({}).", percent(share));
    let refused: f64 = registered.iter().map(|consumer| consumer.refused).sum();
    let worst = registered.iter().max_by(|a, b| a.refused.total_cmp(&b.refused)).filter(|worst| worst.refused > 0.0);
    let verdict = if share >= NEARLY_ALL {
        let fix = Fix::note("deregister idle ones; this command lists them:")
            .and_run(format!("aws kinesis list-stream-consumers --stream-arn {}", readings.stream.arn));
        Verdict::warn(format!("{sentence} The next reader may find no place."), fix)
    } else if let Some(worst) = worst {
        let sentence = format!(
            "AWS refused {} of {} in 7 days: one subscription a shard, and one call a second.",
            many(worst.refused.round() as u64, "subscription"),
            worst.name
        );
        let fix = "let one application use the consumer, and wait between calls of SubscribeToShard; each further \
                   application needs a consumer of its own";
        Verdict::warn(sentence, fix)
    } else {
        Verdict::ok(sentence)
    };
    let verdict = verdict.with("consumers", consumers).with("most_consumers", most);
    Ok(verdict.with("refused_subscriptions", refused))
}
