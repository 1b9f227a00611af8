//! Cost: the capacity mode, idle shards, and the throughput commitment.

use super::OnDemandCost;
use super::consumers::slowest_ms;
use super::finding::{Answer, Verdict};
use super::fix::{Fix, resize};
use super::load::{known, planned_shards};
use super::readings::{Readings, Unread};
use crate::cost::{BillingMode, Load, Prices, Shape, monthly};
use crate::observation::{CapacityMode, Commitment};
use crate::policy::{MIN_SHARDS_TAG, min_shards};
use crate::words::{many, percent, time, usd};
use chrono::TimeDelta;

/// The share of its shards below which a stream is too large for its highest load. Half of the shards then still have
/// half of their capacity free. AWS gives no number.
const IDLE: f64 = 0.25;

/// The age from which the past of a stream says enough about its peaks: one of each day of the week. AWS gives no
/// number.
pub const KNOWN_AFTER: TimeDelta = TimeDelta::days(7);

/// A reader with this age, in milliseconds, is late. A batching window of Lambda may be five minutes long. AWS gives no
/// number.
const LATE_MS: f64 = 300_000.0;

/// The share of a bill from which another mode is worth a switch, which AWS allows twice in 24 hours. The estimate is
/// no better than that. AWS gives no number.
const WORTH_A_SWITCH: f64 = 0.1;

/// How AWS bills the stream.
pub(super) fn billing(readings: &Readings) -> Result<BillingMode, Unread> {
    Ok(match readings.stream.mode {
        CapacityMode::OnDemand => {
            BillingMode::OnDemand { committed: *known(&readings.commitment)? == Commitment::Enabled }
        }
        CapacityMode::Provisioned | CapacityMode::Unknown(_) => BillingMode::Provisioned,
    })
}

/// The stream as AWS bills it, in this mode and with this load.
pub(super) fn shape(readings: &Readings, mode: BillingMode, load: Load) -> Shape {
    let stream = &readings.stream;
    Shape {
        mode,
        shards: stream.open_shards,
        consumers: stream.consumers,
        retention_hours: stream.retention_hours,
        shard_metrics: stream.shard_metric_count(),
        load,
    }
}

/// The bill of a month like the last 14 days, hour by hour, in this mode and with these shards, in USD.
fn bill(readings: &Readings, prices: &Prices, mode: BillingMode, shards: u32) -> Result<f64, Unread> {
    bill_of(readings, prices, |load| Shape { shards, ..shape(readings, mode, load) })
}

/// What the stream costs more in a month like the last 14 days with this change, in USD. `None`: nothing, or its past
/// is not known well enough.
pub(super) fn added_cost(readings: &Readings, prices: &Prices, change: impl Fn(Shape) -> Shape) -> Option<f64> {
    let mode = billing(readings).ok().filter(|_| says_a_month(readings))?;
    let now = bill_of(readings, prices, |load| shape(readings, mode, load)).ok()?;
    let then = bill_of(readings, prices, |load| change(shape(readings, mode, load))).ok()?;
    Some(then - now).filter(|more| *more >= 0.01)
}

/// Whether the hours are long enough for a bill of a month. The observation of a decision has three hours, by the
/// minute.
pub(super) fn says_a_month(readings: &Readings) -> bool {
    readings.hours.as_ref().is_ok_and(|hours| hours.period_seconds >= 3_600.0)
}

/// The shards for the highest load that was seen, with room for more. Never less than the stream's own minimum.
fn enough_shards(readings: &Readings) -> Result<u32, Unread> {
    Ok(planned_shards(readings.peak_shards()?).max(least_shards(readings)?))
}

/// The stream's own minimum of shards, by its tag.
fn least_shards(readings: &Readings) -> Result<u32, Unread> {
    known(&readings.tags).map(min_shards)
}

/// A cost of a fix in a note. Empty: there is none.
pub(super) fn in_note(added: Option<f64>) -> String {
    added.map(|more| format!(" (about {} a month more)", usd(more))).unwrap_or_default()
}

/// The same for a stream that has this shape at each load.
fn bill_of(readings: &Readings, prices: &Prices, shape: impl Fn(Load) -> Shape) -> Result<f64, Unread> {
    let hours = known(&readings.hours)?;
    let cost = |load| prices.per_hour(&shape(load));
    let all = (hours.window_seconds / hours.period_seconds).max(1.0);
    let idle = (all - hours.points.len() as f64).max(0.0);
    let busy: f64 = hours.points.values().map(|point| cost(point.load(hours.period_seconds))).sum();
    let periods = all.max(hours.points.len() as f64);
    Ok(monthly((busy + idle * cost(Load::default())) / periods))
}

/// The finding of a stream whose past is too short, if it is.
fn too_young(readings: &Readings) -> Option<Verdict> {
    let age = readings.read_at - readings.stream.created_at?;
    (age < KNOWN_AFTER).then(|| {
        let sentence =
            format!("The stream is {} old. Its peaks are known after 7 days.", time(age.num_milliseconds() as f64));
        Verdict::unknown(sentence, "run the doctor again then").with("age_hours", age.num_hours())
    })
}

pub(super) fn mode(readings: &Readings, prices: &Prices) -> Answer {
    if let Some(young) = too_young(readings) {
        return Ok(young);
    }
    let stream = &readings.stream;
    let committed = *known(&readings.commitment)? == Commitment::Enabled;
    let on_demand = bill(readings, prices, BillingMode::OnDemand { committed }, stream.open_shards)?;
    let is_on_demand = stream.mode == CapacityMode::OnDemand;
    // A provisioned stream with idle shards is for the check `oversized`, so only those that it needs count here.
    let most = if is_on_demand { u32::MAX } else { stream.open_shards };
    let shards = enough_shards(readings)?.min(most);
    let provisioned = bill(readings, prices, BillingMode::Provisioned, shards)?;
    let (name, arn) = (&stream.name, &stream.arn);
    let (now, other) = if is_on_demand { (on_demand, provisioned) } else { (provisioned, on_demand) };
    let saved = now - other;
    let is_bound = is_on_demand && (stream.channels.unwrap_or(0) > 0 || stream.queues.unwrap_or(0) > 0);
    let with = match !is_on_demand && shards < stream.open_shards {
        true => format!("{shards} of its {} shards", stream.open_shards),
        false => many(shards as usize, "shard"),
    };
    let bills = format!("A month costs {} on demand and {} provisioned with {with}.", usd(on_demand), usd(provisioned));
    let is_dear = saved >= WORTH_A_SWITCH * now && saved >= monthly(prices.shard_hour) && !is_bound;
    // A late reader needs all shards, so the stream stays on demand.
    let behind = if is_dear && is_on_demand { late(readings)? } else { None };
    let verdict = if !is_dear {
        Verdict::ok(bills)
    } else if let Some(behind) = behind {
        Verdict::ok(format!("{bills} {behind}"))
    } else if is_on_demand {
        let fix = Fix::run(format!(
            "aws kinesis update-stream-mode --stream-arn {arn} --stream-mode-details StreamMode=PROVISIONED"
        ));
        let fix = match shards == stream.open_shards {
            true => fix,
            false => fix.and_note("wait until the stream is ACTIVE:").and(resize(name, stream.open_shards, shards)),
        };
        Verdict::warn(format!("{bills} Provisioned mode with unthrottle saves {}.", usd(saved)), fix).costs(saved)
    } else {
        let fix =
            format!("aws kinesis update-stream-mode --stream-arn {arn} --stream-mode-details StreamMode=ON_DEMAND");
        Verdict::warn(format!("{bills} On-demand mode saves {}.", usd(saved)), fix).costs(saved)
    };
    let verdict = verdict.with("on_demand_usd_per_month", on_demand).with("provisioned_usd_per_month", provisioned);
    Ok(verdict.with("provisioned_shards", shards))
}

/// Whether a check may propose fewer shards, as far as the hours say. A peak within an hour may then need more of them.
pub fn may_need_fewer_shards(readings: &Readings) -> bool {
    let stream = &readings.stream;
    let is_fewer = |enough: u32| stream.mode == CapacityMode::OnDemand || enough < stream.open_shards;
    too_young(readings).is_none() && enough_shards(readings).is_ok_and(is_fewer)
}

/// That a reader is late, so the stream keeps its shards: a late reader needs their throughput to catch up.
fn late(readings: &Readings) -> Result<Option<String>, Unread> {
    let age = slowest_ms(readings, LATE_MS)?.filter(|age| *age > LATE_MS);
    Ok(age.map(|age| format!("A reader is {} behind, and needs all shards to catch up.", time(age))))
}

pub(super) fn oversized(readings: &Readings, prices: &Prices) -> Answer {
    let stream = &readings.stream;
    if stream.mode == CapacityMode::OnDemand {
        return Ok(Verdict::ok("AWS sets the capacity of an on-demand stream."));
    }
    if let Some(young) = too_young(readings) {
        return Ok(young);
    }
    let hours = known(&readings.hours)?;
    let (used, refused) = (readings.peak_shards()?, hours.total(|p| p.write_throttled + p.read_throttled));
    let share = used / f64::from(stream.open_shards.max(1));
    let (target, least) = (enough_shards(readings)?, least_shards(readings)?);
    let period = if readings.all_minutes.is_some() { "minute" } else { "hour" };
    let sentence = format!(
        "The busiest {period} of 14 days fills {} of {}.",
        percent(share),
        many(stream.open_shards as usize, "shard")
    );
    // A stream that refuses records while it is far from full has a hot shard, and fewer shards make it hotter.
    let is_idle = share < IDLE && target < stream.open_shards && refused == 0.0;
    let behind = if is_idle { late(readings)? } else { None };
    let verdict = if let Some(behind) = behind {
        Verdict::ok(format!("{sentence} {behind}"))
    } else if is_idle {
        let mode = BillingMode::Provisioned;
        let saved = bill(readings, prices, mode, stream.open_shards)? - bill(readings, prices, mode, target)?;
        let sentence =
            format!("{sentence} {} are enough, and save {} a month.", many(target as usize, "shard"), usd(saved));
        let sentence = if target == 1 {
            sentence.replace("shard are enough, and save", "shard is enough, and saves")
        } else {
            sentence
        };
        Verdict::warn(sentence, resize(&stream.name, stream.open_shards, target)).costs(saved)
    } else if share < IDLE && least >= stream.open_shards && least > 1 {
        Verdict::ok(format!("{sentence} The tag {MIN_SHARDS_TAG} keeps {}.", many(least as usize, "shard")))
    } else {
        Verdict::ok(sentence)
    };
    let verdict = verdict.with("peak_use", share).with("open_shards", stream.open_shards);
    Ok(verdict.with("enough_shards", target).with("refused", refused))
}

/// What the on-demand streams of one account cost together. `None`: fewer than two are known well enough.
///
/// A stream that is too young, or whose metrics could not be read, is left out.
pub fn on_demand_cost<'a>(streams: impl Iterator<Item = &'a Readings>, prices: &Prices) -> Option<OnDemandCost> {
    let known = streams.filter(|of| of.stream.mode == CapacityMode::OnDemand && too_young(of).is_none());
    let mut all = OnDemandCost::default();
    for (standard, advantage) in known.filter_map(|readings| metered(readings, prices).ok()) {
        all.streams += 1;
        all.standard += standard;
        all.advantage += advantage;
    }
    all.advantage = all.advantage.max(monthly(prices.commitment_per_hour()));
    (all.streams > 1).then_some(all)
}

/// What an on-demand stream costs without the throughput commitment and with it, in USD a month. The minimum of the
/// commitment is the account's, and no part of it.
fn metered(readings: &Readings, prices: &Prices) -> Result<(f64, f64), Unread> {
    let cost = |committed| bill(readings, prices, BillingMode::OnDemand { committed }, readings.stream.open_shards);
    Ok((cost(false)?, cost(true)?))
}

pub(super) fn commitment(readings: &Readings, prices: &Prices) -> Answer {
    let stream = &readings.stream;
    if stream.mode != CapacityMode::OnDemand {
        return Ok(Verdict::ok("The throughput commitment is for on-demand streams."));
    }
    if *known(&readings.commitment)? == Commitment::Enabled {
        return Ok(Verdict::ok("The account has the throughput commitment.").with("is_committed", true));
    }
    if let Some(young) = too_young(readings) {
        return Ok(young);
    }
    let (own, advantage) = metered(readings, prices)?;
    // A stream below the minimum pays the minimum.
    let alone =
        OnDemandCost { streams: 1, standard: own, advantage: advantage.max(monthly(prices.commitment_per_hour())) };
    let all = readings.on_demand.unwrap_or(alone);
    let of = match all.streams {
        1 => "The stream alone costs".to_owned(),
        streams => format!("The {streams} on-demand streams of the account cost"),
    };
    let bills = format!(
        "{of} {} a month, and {} with the account's throughput commitment.",
        usd(all.standard),
        usd(all.advantage)
    );
    let verdict = if all.advantage < (1.0 - WORTH_A_SWITCH) * all.standard {
        let compare = Fix::note("compare all on-demand streams of the account first:");
        let advice = match all.streams {
            1 => compare.and_run("unthrottle doctor --all --only commitment"),
            _ => Fix::note("the minimum holds for at least 24 hours:"),
        };
        let fix = advice
            .and_run("aws kinesis update-account-settings --minimum-throughput-billing-commitment Status=ENABLED");
        // The part of this stream.
        Verdict::warn(bills, fix).costs((all.standard - all.advantage) * own / all.standard)
    } else {
        Verdict::ok(bills)
    };
    let verdict = verdict.with("standard_usd_per_month", all.standard).with("advantage_usd_per_month", all.advantage);
    Ok(verdict.with("on_demand_streams", all.streams).with("is_committed", false))
}
