//! Capacity: the account's quota, the ranges of the shards, and the shard-level metrics that show a hot one.

use super::finding::{Answer, Verdict};
use super::fix::{Fix, resize};
use super::load::known;
use super::money::{added_cost, in_note};
use super::readings::Readings;
use crate::cost::{Prices, Shape};
use crate::observation::CapacityMode;
use crate::words::{are, many, percent, usd};
use chrono::TimeDelta;

/// The share of the account's shards from which a raise may fail. AWS needs days for a higher quota, so a later warning
/// comes too late; an earlier one would warn most accounts. AWS gives no number.
const NEARLY_FULL: f64 = 0.8;

/// A shard with more than this times the hash keys of another gets more than this times its records, with even keys.
/// One split leaves exactly two, which is no fault. AWS gives no number.
const UNEVEN: f64 = 2.0;

/// A minute that refuses records below this share of the capacity was not refused for want of shards. A minute with
/// even load refuses from about 100 %. Bursts within the minute and uneven keys refuse earlier. AWS gives no number.
pub(super) const FAR_FROM_FULL: f64 = 0.6;

/// This number of such minutes in a row is no burst: uneven keys refuse minute after minute. A smaller number would
/// take two bursts for a hot shard. AWS gives no number.
pub(super) const LASTING_MINUTES: usize = 5;

pub(super) fn quota(readings: &Readings, _: &Prices) -> Answer {
    let limits = known(&readings.limits)?;
    let share = f64::from(limits.open_shards) / f64::from(limits.shard_limit.max(1));
    let sentence = format!(
        "The account has {} of {} open in this region ({}).",
        many(limits.open_shards as usize, "provisioned shard"),
        limits.shard_limit,
        percent(share)
    );
    let fix = "ask AWS for more: Service Quotas, Amazon Kinesis Data Streams, shards per Region";
    let verdict = match share {
        full if full >= 1.0 => Verdict::fail(format!("{sentence} No stream can get another shard."), fix),
        near if near >= NEARLY_FULL => Verdict::warn(format!("{sentence} The next doubling may be refused."), fix),
        _ => Verdict::ok(sentence),
    };
    Ok(verdict.with("open_shards", limits.open_shards).with("shard_limit", limits.shard_limit))
}

pub(super) fn ranges(readings: &Readings, prices: &Prices) -> Answer {
    if readings.stream.mode == CapacityMode::OnDemand {
        return Ok(Verdict::ok("AWS sets the ranges of an on-demand stream."));
    }
    let shards = known(&readings.shards)?;
    let widest = shards.iter().max_by(|a, b| a.share().total_cmp(&b.share()));
    let narrowest = shards.iter().min_by(|a, b| a.share().total_cmp(&b.share()));
    let (Some(widest), Some(narrowest)) = (widest, narrowest) else {
        return Ok(Verdict::ok("The stream has no open shard."));
    };
    let times = widest.share() / narrowest.share().max(f64::MIN_POSITIVE);
    let verdict = if times > UNEVEN {
        let sentence = format!(
            "{} has {times:.1} times the hash keys of {}, so even keys fill it {times:.1} times as fast.",
            widest.id, narrowest.id
        );
        // A multiple of 25 % is AWS's fastest step. The same count changes nothing.
        let open = u32::try_from(shards.len()).unwrap_or(u32::MAX);
        let target = open.saturating_add(open.div_ceil(4)).max(2);
        let cost = added_cost(readings, prices, |shape| Shape { shards: target, ..shape });
        let even = resize(&readings.stream.name, open, target);
        let fix = Fix::note(format!("unless the split was on purpose{}:", in_note(cost))).and(even);
        let verdict = Verdict::warn(sentence, fix).fix_costs(cost);
        verdict.with("widest", widest.id.as_str()).with("narrowest", narrowest.id.as_str())
    } else {
        Verdict::ok(format!("The hash keys of {} are even.", many(shards.len(), "shard")))
    };
    Ok(verdict.with("widest_to_narrowest", times).with("open_shards", shards.len()))
}

/// The days that `hours` have, which the advice to switch metrics off rests on.
const DAYS: i64 = 14;

pub(super) fn shard_metrics(readings: &Readings, prices: &Prices) -> Answer {
    let (stream, hours) = (&readings.stream, known(&readings.hours)?);
    let count = stream.shard_metric_count();
    let monthly = f64::from(stream.open_shards) * f64::from(count) * prices.metric_month;
    let refused = readings.refused_far_from_full()?;
    let is_skewed = stream.open_shards > 1 && refused.longest_run >= LASTING_MINUTES;
    let name = &stream.name;
    let verdict = if is_skewed && !stream.shows_shards() {
        let off: Vec<&str> = stream.metrics_off().collect();
        let cost = f64::from(stream.open_shards) * off.len() as f64 * prices.metric_month;
        let sentence = format!(
            "The stream refused records in {} in a row while it was at most {} full. A hot shard is likely, and the \
             metrics that show it are off. They cost {} a month.",
            many(refused.longest_run, "minute"),
            percent(refused.highest_use),
            usd(cost)
        );
        let fix = Fix::run(format!(
            "aws kinesis enable-enhanced-monitoring --stream-name {name} --shard-level-metrics {}",
            off.join(" ")
        ));
        let fix = fix.and_note("after five minutes of refusals:").and_run(format!("unthrottle explain {name}"));
        Verdict::warn(sentence, fix).fix_costs(Some(cost))
    } else if count > 0 && readings.stream.created_at.is_some_and(|at| readings.read_at - at < TimeDelta::days(DAYS)) {
        Verdict::ok(format!("Shard-level metrics are on. Whether they are needed is known after {DAYS} days."))
    } else if count > 0 && hours.total(|p| p.write_throttled + p.read_throttled) == 0.0 {
        let sentence = format!(
            "{} on, and AWS refused nothing in 14 days. They cost {} a month.",
            are(count.into(), "shard-level metric"),
            usd(monthly)
        );
        let fix = format!("aws kinesis disable-enhanced-monitoring --stream-name {name} --shard-level-metrics ALL");
        Verdict::warn(sentence, fix).costs(monthly)
    } else if count > 0 {
        Verdict::ok(format!("Shard-level metrics are on; unthrottle explain {name} reads them."))
    } else {
        Verdict::ok("Shard-level metrics are off, and no hot shard is likely.")
    };
    let verdict = verdict.with("shard_metrics", count).with("minutes_in_a_row", refused.longest_run);
    Ok(verdict.with("refused_minutes", refused.periods))
}
