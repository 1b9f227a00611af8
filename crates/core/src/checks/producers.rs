//! Producers: how records are written.

use super::capacity::LASTING_MINUTES;
use super::finding::{Answer, Verdict};
use super::load::{known, planned_shards};
use super::money::{billing, says_a_month, shape};
use super::readings::{Readings, Series};
use crate::cost::{BillingMode, Load, Prices, monthly};
use crate::observation::{SHARD_BYTES_PER_SECOND, SHARD_RECORDS_PER_SECOND};
use crate::words::{count, many, mean_of, percent, size, time, usd};

/// The share of records from which PutRecord is worth a change. AWS rounds each record of PutRecord up to a full KiB
/// of the shard's rate. Below a tenth, a change saves less than a tenth. AWS gives no number.
const BY_PUT_RECORD: f64 = 0.1;

/// The records of a PutRecords call below which the call is hardly a batch: a call may have 500. AWS gives no number.
const SMALL_BATCH: f64 = 10.0;

/// Records a second from which a producer that waits for one second fills such a batch. With fewer, small batches are
/// right.
const WORTH_BATCHING: f64 = 10.0;

/// Records that fill their shards this many times as fast by number as by bytes are small: below 525 bytes.
const TWICE: f64 = 2.0;

/// Records a second in the busiest hour, as a share of a shard, from which aggregation is worth a change of producers.
/// A stream with fewer uses a tenth of a shard. AWS gives no number.
const WORTH_AGGREGATING: f64 = 0.1;

/// A PUT payload unit, in bytes: 25 KB (aws.amazon.com/kinesis/data-streams/pricing). The size of aggregated records
/// that waste nothing.
const PUT_UNIT: f64 = 25.0 * 1024.0;

/// A record above this size takes more than the second of a shard: 1 MiB a second (large-records.html).
const LARGE: f64 = 1_048_576.0;

pub(super) fn put_record(readings: &Readings, _: &Prices) -> Answer {
    let hours = known(&readings.hours)?;
    let (single, all) = (hours.total(|p| p.put_record_count), hours.total(|p| p.incoming_records));
    if all == 0.0 {
        return Ok(Verdict::ok("No record was written."));
    }
    let share = (single / all).min(1.0);
    let sentence = format!("PutRecord wrote {} of {}.", percent(share), many(all.round() as u64, "record"));
    let peak = hours.peak_per_second(|p| p.put_record_count);
    let verdict = if share > BY_PUT_RECORD && peak >= WORTH_BATCHING {
        let why = "AWS counts each of them as at least 1 KiB, and each takes a call.";
        Verdict::warn(format!("{sentence} {why}"), "write with PutRecords (up to 500 records a call) or with the KPL")
    } else {
        Verdict::ok(sentence)
    };
    Ok(verdict.with("put_record_share", share).with("put_record_records", single).with("records", all))
}

/// The word for the busiest period of the series.
fn busiest(series: &Series) -> &'static str {
    if series.period_seconds < 3_600.0 { "busiest minute" } else { "busiest hour" }
}

pub(super) fn batch(readings: &Readings, _: &Prices) -> Answer {
    let hours = known(&readings.hours)?;
    let (records, calls) = (hours.total(|p| p.batched_records), hours.total(|p| p.batches));
    if calls == 0.0 {
        return Ok(Verdict::ok("No producer called PutRecords."));
    }
    let (mean, peak) = (records / calls, hours.peak_per_second(|p| p.batched_records));
    let sentence = format!("A PutRecords call has {} on average.", mean_of(mean, "record"));
    let verdict = if mean < SMALL_BATCH && peak >= WORTH_BATCHING {
        let why = format!("The {} has {} records a second, so one second fills a batch.", busiest(hours), count(peak));
        Verdict::warn(
            format!("{sentence} {why}"),
            "collect records for up to 1 s, or up to 500, before each PutRecords call",
        )
    } else {
        Verdict::ok(sentence)
    };
    Ok(verdict.with("records_per_call", mean).with("put_records_calls", calls).with("peak_records_per_second", peak))
}

pub(super) fn small_records(readings: &Readings, prices: &Prices) -> Answer {
    let hours = known(&readings.hours)?;
    let Some(mean) = hours.mean_record_bytes() else { return Ok(Verdict::ok("No record was written.")) };
    let by_number = hours.peak_per_second(|p| p.incoming_records) / SHARD_RECORDS_PER_SECOND;
    let times = SHARD_BYTES_PER_SECOND / SHARD_RECORDS_PER_SECOND / mean.max(1.0);
    if times < TWICE || by_number < WORTH_AGGREGATING {
        let verdict = Verdict::ok(format!("A record has {} on average.", size(mean)));
        return Ok(verdict.with("mean_record_bytes", mean).with("peak_shards_by_records", by_number));
    }
    let (now, then) = (planned_shards(by_number), planned_shards(by_number / times));
    let sentence =
        format!("A record has {} on average, so records fill shards {times:.1} times as fast as bytes.", size(mean));
    // A stream that needs one shard anyway saves the units of its writes only.
    let sentence = match now > then {
        true => format!(
            "{sentence} Aggregated, the {} needs {} instead of {now}.",
            busiest(hours),
            many(then as usize, "shard")
        ),
        false => sentence,
    };
    // Without the mode's price, or with a few hours, the finding still stands.
    let mode = billing(readings).ok().filter(|_| says_a_month(readings));
    let saved = mode.map(|mode| aggregated_saves(readings, prices, mode, hours.load()));
    let sentence = match saved {
        Some(saved) => {
            // The money is that of the same shards.
            let of =
                if mode == Some(BillingMode::Provisioned) { "PUT payload units" } else { "bytes that AWS rounds up" };
            let more = if now > then { "; fewer shards save more" } else { "" };
            format!("{sentence} Aggregated, they save {} a month in {of}{more}.", usd(saved))
        }
        None => sentence,
    };
    let fix =
        "aggregate records with the KPL, or put several into one record; consumers must de-aggregate (the KCL does)";
    let mut verdict = Verdict::warn(sentence, fix);
    if let Some(saved) = saved {
        verdict = verdict.costs(saved);
    }
    let verdict = verdict.with("mean_record_bytes", mean).with("peak_shards_by_records", by_number);
    Ok(verdict.with("shards_needed", now).with("shards_needed_if_aggregated", then))
}

/// What the same bytes cost less in records of one PUT payload unit, in USD a month, with the shards of today.
fn aggregated_saves(readings: &Readings, prices: &Prices, mode: BillingMode, load: Load) -> f64 {
    let shape = shape(readings, mode, load);
    let aggregated = Load { records_per_second: load.bytes_per_second / PUT_UNIT, ..load };
    let then = crate::cost::Shape { load: aggregated, ..shape };
    monthly(prices.per_hour(&shape) - prices.per_hour(&then))
}

pub(super) fn put_units(readings: &Readings, prices: &Prices) -> Answer {
    let hours = known(&readings.hours)?;
    let mode = billing(readings)?;
    let Some(mean) = hours.mean_record_bytes() else { return Ok(Verdict::ok("No record was written.")) };
    if mode != BillingMode::Provisioned {
        return Ok(Verdict::ok("On-demand mode rounds records to 1 KB, not to 25 KB.").with("mean_record_bytes", mean));
    }
    let used = mean / ((mean / PUT_UNIT - 1e-9).ceil().max(1.0) * PUT_UNIT);
    let saved = aggregated_saves(readings, prices, mode, hours.load());
    let is_small = SHARD_BYTES_PER_SECOND / SHARD_RECORDS_PER_SECOND / mean.max(1.0) >= TWICE;
    let sentence = format!("A record of {} fills {} of the 25 KB units that AWS bills.", size(mean), percent(used));
    let is_worth_it = saved >= monthly(prices.shard_hour);
    let verdict = if used < 0.5 && is_worth_it && !is_small {
        let sentence = format!("{sentence} Records of 25 KB would save {} a month.", usd(saved));
        Verdict::warn(sentence, "aggregate records with the KPL, or put several into one record").costs(saved)
    } else {
        Verdict::ok(sentence)
    };
    Ok(verdict.with("mean_record_bytes", mean).with("unit_use", used).with("saved_usd_per_month", saved))
}

pub(super) fn large_records(readings: &Readings, _: &Prices) -> Answer {
    let hours = known(&readings.hours)?;
    let single = hours.points.values().map(|p| p.largest_record_bytes).fold(0.0, f64::max);
    let means = hours.points.values().filter(|p| p.incoming_records > 0.0);
    let largest = means.map(|p| p.incoming_bytes / p.incoming_records).fold(single, f64::max);
    let verdict = if largest > LARGE {
        let sentence = format!(
            "A record of {} was written. A shard takes 1 MiB a second, so it refuses other records for {} s.",
            size(largest),
            count((largest / LARGE).ceil())
        );
        Verdict::warn(sentence, "put large payloads into S3 and their address into the record, or compress them")
    } else {
        Verdict::ok("No record above 1 MiB was seen. CloudWatch shows single sizes of PutRecord only.")
    };
    Ok(verdict.with("largest_record_bytes", largest))
}

pub(super) fn bursts(readings: &Readings, _: &Prices) -> Answer {
    let (refused, stream) = (readings.refused_far_from_full()?, &readings.stream);
    let lasts = stream.open_shards > 1 && refused.longest_run >= LASTING_MINUTES;
    let verdict = if refused.periods > 0 && !lasts {
        let sentence = format!(
            "AWS refused {} in {} while the stream was at most {} full. The records come in bursts within a minute.",
            many(refused.records.round() as u64, "record"),
            many(refused.periods, "minute"),
            percent(refused.highest_use)
        );
        let fix = "spread each flush over its interval, retry with a random pause, and use random partition keys where \
                   order does not matter";
        Verdict::warn(sentence, fix)
    } else if lasts {
        Verdict::ok("AWS refuses records minute after minute, which is no burst: see shard-metrics.")
    } else {
        Verdict::ok("AWS refused no record while the stream was far from full.")
    };
    let verdict = verdict.with("refused_minutes", refused.periods).with("refused_records", refused.records);
    Ok(verdict.with("highest_use", refused.highest_use))
}

pub(super) fn failed_records(readings: &Readings, _: &Prices) -> Answer {
    let hours = known(&readings.hours)?;
    let (failed, all) = (hours.total(|p| p.failed_records), hours.total(|p| p.batched_records));
    let verdict = if failed > 0.0 {
        let days = time(hours.window_seconds * 1_000.0);
        let sentence = format!(
            "{} of {} failed inside AWS in {days}. PutRecords answers 200 then, and only FailedRecordCount shows it.",
            count(failed),
            many(all.round() as u64, "record")
        );
        Verdict::warn(sentence, "check that each producer sends the records with an ErrorCode again (the KPL does)")
    } else {
        Verdict::ok("No record of PutRecords failed inside AWS.")
    };
    Ok(verdict.with("failed_records", failed).with("records", all))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixture::{stream, unread};
    use crate::checks::{Point, Status};
    use chrono::DateTime;

    /// A stream of one shard that is written to at this rate in each hour.
    fn readings(records_per_second: f64, bytes: f64) -> Readings {
        let point = Point {
            incoming_records: records_per_second * 3_600.0,
            incoming_bytes: records_per_second * 3_600.0 * bytes,
            ..Point::default()
        };
        let hour = |n: i64| DateTime::UNIX_EPOCH + chrono::TimeDelta::hours(n);
        let points = (0..24).map(|n| (hour(n), point)).collect();
        let hours = Series { period_seconds: 3_600.0, window_seconds: 86_400.0, points };
        Readings { read_at: hour(24), stream: stream(1), hours: Ok(hours), ..unread() }
    }

    #[test]
    fn a_thousand_records_of_512_bytes_fire_with_the_difference_of_both_bills() {
        let verdict = small_records(&readings(1_000.0, 512.0), &Prices::default()).expect("read");
        assert_eq!(verdict.status, Status::Warn);
        // Records of 25 KB cost $0.74 a month in units, like 10 records of 50 KB a second.
        assert_eq!(verdict.usd_per_month, Some(36.06), "{}", verdict.sentence);
        let verdict = small_records(&readings(10.0, 51_200.0), &Prices::default()).expect("read");
        assert_eq!(verdict.status, Status::Ok);
    }

    #[test]
    fn the_saving_names_what_it_is_of() {
        let sentence = |rate| small_records(&readings(rate, 200.0), &Prices::default()).expect("read").sentence;
        let end = |text: String| text.split_once("they save ").map(|(_, end)| end.to_owned()).expect("a saving");
        assert!(end(sentence(400.0)).ends_with(" a month in PUT payload units."), "{}", sentence(400.0));
        // Aggregated, one shard is enough instead of four.
        let fewer = " a month in PUT payload units; fewer shards save more.";
        assert!(end(sentence(2_000.0)).ends_with(fewer), "{}", sentence(2_000.0));
    }

    #[test]
    fn a_check_without_its_read_is_unknown() {
        let unread = bursts(&readings(1.0, 1.0), &Prices::default());
        assert!(unread.is_err_and(|unread| !unread.is_denied));
    }
}
