//! Readers that share the throughput of the shards.

use super::finding::{Answer, Verdict};
use super::fix::Fix;
use super::lambda::{unqualified, update};
use super::load::known;
use super::money::{added_cost, in_note};
use super::readings::{LambdaReader, Readings, Series};
use crate::cost::{Prices, Shape};

/// Calls of GetRecords a second and shard from which the next reader has no room: AWS allows five for all readers
/// together (service-sizes-and-limits.html).
const CALLS: f64 = 4.0;

/// Readers that share the shards from which they hold each other up: a full shard gives 2 MiB a second, which is enough
/// for two readers (service-sizes-and-limits.html).
const SHARED_READERS: f64 = 3.0;

pub(super) fn pollers(readings: &Readings, prices: &Prices) -> Answer {
    let minutes = known(&readings.minutes)?;
    // The calls of the minutes before a reshard went to other shards. With the most of them no rate is too high.
    let shards = f64::from(readings.most_shards()?);
    let polled = minutes.points.values().filter(|p| p.get_records_calls + p.read_throttled > 0.0);
    let (calls, polled) =
        polled.fold((0.0, 0.0), |(calls, n), p| (calls + p.get_records_calls + p.read_throttled, n + 1.0));
    let refused = minutes.total(|p| p.read_throttled);
    let functions = functions(readings);
    if polled == 0.0 && functions.is_empty() {
        return Ok(Verdict::ok("No reader called GetRecords in the last 3 hours."));
    }
    let rate = if polled > 0.0 { calls / polled / minutes.period_seconds / shards } else { 0.0 };
    let by_bytes = readers(minutes);
    let readers = by_bytes.max(functions.len() as f64);
    let sentence = format!("Readers call GetRecords {rate:.1} times a second on each shard; AWS allows 5.");
    let warn = |sentence: String| {
        let cost = added_cost(readings, prices, |shape| Shape { consumers: shape.consumers + 1, ..shape });
        let cost_note = in_note(cost);
        let register = |name: &str| {
            let arn = &readings.stream.arn;
            format!("aws kinesis register-stream-consumer --stream-arn {arn} --consumer-name {name}")
        };
        let fix = match functions.first() {
            Some(function) => Fix::note(format!("give {} its own throughput{cost_note}:", function.function))
                .and_run(register(unqualified(&function.function)))
                .and(move_to_consumer(function)),
            None => Fix::note(format!(
                "let each reader wait 1 s between calls, or give one its own throughput{cost_note}. It reads the \
                 consumer with SubscribeToShard, as the KCL 2 and 3 do:"
            ))
            .and_run(register("NAME")),
        };
        Verdict::warn(sentence, fix).fix_costs(cost)
    };
    let verdict = if rate >= CALLS {
        warn(format!("{sentence} More shards do not help, because each reader reads each shard."))
    } else if readers >= SHARED_READERS {
        let seen = if functions.len() as f64 >= by_bytes {
            format!("{} Lambda functions read the shards without a registered consumer.", functions.len())
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

/// The functions that share the shards. A read that failed is no reader.
pub(super) fn functions(readings: &Readings) -> Vec<&LambdaReader> {
    let mappings = readings.lambdas.iter().flatten();
    mappings.filter(|lambda| lambda.stays() && lambda.consumer.is_none()).collect()
}

/// What moves a function to a registered consumer. AWS changes no mapping's source, so a new mapping takes its place.
/// It begins before the old one ends: a few records come twice, and none is left out.
fn move_to_consumer(function: &LambdaReader) -> Fix {
    let (name, uuid) = (&function.function, &function.uuid);
    Fix::note("once the consumer is ACTIVE, note its ARN and the TIME, and stop the old mapping:")
        .and(update(function, "--no-enabled"))
        .and_note("read on from that TIME; add the settings, filters and destination of the old mapping:")
        .and_run(format!("aws lambda get-event-source-mapping --uuid {uuid}"))
        .and_run(format!(
            "aws lambda create-event-source-mapping --function-name {name} --event-source-arn CONSUMER_ARN \
             --starting-position AT_TIMESTAMP --starting-position-timestamp TIME"
        ))
        .and_note("once the new mapping reads:")
        .and_run(format!("aws lambda delete-event-source-mapping --uuid {uuid}"))
}

/// The readers that share the shards: each reads all bytes that were written.
fn readers(minutes: &Series) -> f64 {
    let written = minutes.total(|p| p.incoming_bytes);
    if written > 0.0 { (minutes.total(|p| p.get_records_bytes) / written).round() } else { 0.0 }
}
