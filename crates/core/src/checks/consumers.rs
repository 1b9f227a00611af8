//! Consumers: readers that share the shards, and readers that have their own throughput.

use super::finding::{Answer, NAMED, Verdict};
use super::fix::Fix;
use super::load::known;
use super::money::{added_cost, billing, in_note};
use super::readings::{Consumer, Readings, Series};
use crate::cost::{BillingMode, Prices, Shape, monthly};
use crate::observation::Commitment;
use crate::words::{count, many, percent, time, usd};
use chrono::TimeDelta;

/// The share of the retention at which a reader is late. At all of it, records are lost unread. AWS names the metric
/// and no number; the same share holds a restore.
const LATE: f64 = 0.5;

/// The newest minutes in which a reader's age counts: a reader that has caught up is no finding. A Lambda function with
/// a long window reads every five minutes, so a shorter time could miss it.
pub const NEWEST_OF_READERS: TimeDelta = TimeDelta::minutes(15);

/// Calls of GetRecords a second and shard from which the next reader has no room: AWS allows five for all readers
/// together (service-sizes-and-limits.html).
const CALLS: f64 = 4.0;

/// Readers that share the shards from which they hold each other up: a full shard gives 2 MiB a second, which is enough
/// for two readers (service-sizes-and-limits.html).
const SHARED_READERS: f64 = 3.0;

/// A consumer without an event for this time is idle. A consumer of a weekly job is not. AWS gives no number.
const IDLE: TimeDelta = TimeDelta::days(7);

/// Registered consumers of a stream: 20, and 50 with the throughput commitment (service-sizes-and-limits.html).
const MOST: usize = 20;
const MOST_COMMITTED: usize = 50;

/// The share of them from which the next team may find no place. AWS gives no number.
const NEARLY_ALL: f64 = 0.8;

const HOUR_MS: f64 = 3_600_000.0;

pub(super) fn retention(readings: &Readings, prices: &Prices) -> Answer {
    let kept_ms = f64::from(readings.stream.retention_hours) * HOUR_MS;
    known(&readings.minutes)?;
    let Some(age) = slowest_ms(readings) else {
        return Ok(Verdict::ok("CloudWatch shows no reader of the last 3 hours."));
    };
    let sentence =
        format!("The slowest reader is {} behind; the stream keeps records for {}.", time(age), time(kept_ms));
    let verdict = if age > LATE * kept_ms {
        let hours = (readings.stream.retention_hours * 2).min(8_760);
        let cost = added_cost(readings, prices, |shape| Shape { retention_hours: hours, ..shape });
        let note = format!("mend or scale the reader; this command gains time{}:", in_note(cost));
        let fix = Fix::note(note).and_run(format!(
            "aws kinesis increase-stream-retention-period --stream-name {} --retention-period-hours {hours}",
            readings.stream.name
        ));
        Verdict::fail(format!("{sentence} Unread records will be lost."), fix).fix_costs(cost)
    } else {
        Verdict::ok(sentence)
    };
    Ok(verdict.with("iterator_age_ms", age).with("retention_hours", readings.stream.retention_hours))
}

/// How far the slowest reader is behind in the newest minutes, in milliseconds: one that calls GetRecords, or a
/// registered consumer. `None`: none of them is seen.
pub(super) fn slowest_ms(readings: &Readings) -> Option<f64> {
    let consumers = readings.consumers.iter().flatten().filter_map(|consumer| consumer.behind_ms);
    readings.minutes.as_ref().ok().and_then(age_ms).into_iter().chain(consumers).reduce(f64::max)
}

/// The age of the slowest reader in the newest minutes, in milliseconds. `None`: no reader called GetRecords.
fn age_ms(minutes: &Series) -> Option<f64> {
    let aged = minutes.points.iter().filter_map(|(time, point)| Some((*time, point.iterator_age_ms?)));
    let newest = aged.clone().next_back().map(|(time, _)| time)?;
    Some(aged.filter(|(time, _)| *time > newest - NEWEST_OF_READERS).map(|(_, age)| age).fold(0.0, f64::max))
}

pub(super) fn pollers(readings: &Readings, prices: &Prices) -> Answer {
    let minutes = known(&readings.minutes)?;
    // The calls of the minutes before a reshard went to other shards. With the most of them no rate is too high.
    let shards = f64::from(readings.most_shards()?);
    let polled = minutes.points.values().filter(|p| p.get_records_calls + p.read_throttled > 0.0);
    let (calls, polled) =
        polled.fold((0.0, 0.0), |(calls, n), p| (calls + p.get_records_calls + p.read_throttled, n + 1.0));
    let refused = minutes.total(|p| p.read_throttled);
    // A read that failed is no reader.
    let functions = readings.lambdas.iter().flatten().filter(|lambda| lambda.consumer.is_none()).count();
    if polled == 0.0 && functions == 0 {
        return Ok(Verdict::ok("No reader called GetRecords in the last 3 hours."));
    }
    let rate = if polled > 0.0 { calls / polled / minutes.period_seconds / shards } else { 0.0 };
    let by_bytes = readers(minutes);
    let readers = by_bytes.max(functions as f64);
    let sentence = format!("Readers call GetRecords {rate:.1} times a second on each shard; AWS allows 5.");
    let warn = |sentence: String| {
        let cost = added_cost(readings, prices, |shape| Shape { consumers: shape.consumers + 1, ..shape });
        let note = format!("let each reader wait 1 s between calls, or give one its own throughput{}:", in_note(cost));
        let fix = Fix::note(note).and_run(format!(
            "aws kinesis register-stream-consumer --stream-arn {} --consumer-name NAME",
            readings.stream.arn
        ));
        Verdict::warn(sentence, fix).fix_costs(cost)
    };
    let verdict = if rate >= CALLS {
        warn(format!("{sentence} More shards do not help, because each reader reads each shard."))
    } else if readers >= SHARED_READERS {
        let seen = if functions as f64 >= by_bytes {
            format!("{functions} Lambda functions read the shards without a registered consumer.")
        } else {
            format!("Readers got {by_bytes:.0} times the bytes that were written, so {by_bytes:.0} share the shards.")
        };
        warn(format!("{seen} A full shard has throughput for two."))
    } else {
        Verdict::ok(sentence)
    };
    let verdict = verdict.with("calls_per_second_and_shard", rate).with("refused_calls", refused);
    Ok(verdict.with("shared_readers", readers))
}

/// The readers that share the shards: each reads all bytes that were written.
fn readers(minutes: &Series) -> f64 {
    let written = minutes.total(|p| p.incoming_bytes);
    if written > 0.0 { (minutes.total(|p| p.get_records_bytes) / written).round() } else { 0.0 }
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
            "AWS refused {} subscriptions of {} in 7 days: one subscription a shard, and one call a second.",
            count(worst.refused),
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
