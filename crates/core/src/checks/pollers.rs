//! Readers that share the throughput of the shards.

use super::finding::{Answer, Verdict};
use super::fix::Fix;
use super::lambda::{unqualified, update};
use super::load::known;
use super::money::{added_cost, in_note};
use super::readings::{LambdaReader, Readings, Series, Unread};
use crate::cost::{Prices, Shape};
use crate::observation::SHARD_READ_BYTES_PER_SECOND;
use crate::words::{count, time};

/// Calls of GetRecords a second and shard from which the next reader has no room: AWS allows five for all readers
/// together (service-sizes-and-limits.html).
const CALLS: f64 = 4.0;

/// Readers that share the shards from which they hold each other up: a full shard gives 2 MiB a second, which is enough
/// for two readers (service-sizes-and-limits.html).
const SHARED_READERS: f64 = 3.0;

/// The share of the shards' throughput that such readers take together, from which they are worth a word. With less,
/// each shard has room for many more. AWS gives no number.
const LEAST_READ: f64 = 0.1;

/// The minutes that a mapping begins before the age of its function: a batch collects records for up to five minutes
/// (MaximumBatchingWindowInSeconds). Fewer could leave out the first records of a batch.
const MARGIN_MINUTES: f64 = 5.0;

pub(super) fn pollers(readings: &Readings, prices: &Prices) -> Answer {
    let minutes = known(&readings.minutes)?;
    // The calls of the minutes before a reshard went to other shards. With the most of them no rate is too high.
    let shards = f64::from(readings.most_shards()?);
    let polled = minutes.points.values().filter(|p| p.get_records_calls + p.read_throttled > 0.0);
    let (calls, polled) =
        polled.fold((0.0, 0.0), |(calls, n), p| (calls + p.get_records_calls + p.read_throttled, n + 1.0));
    let refused = minutes.total(|p| p.read_throttled);
    let read = functions(readings);
    if polled == 0.0 && read.as_ref().is_ok_and(Vec::is_empty) {
        return Ok(Verdict::ok("No reader called GetRecords in the last 3 hours."));
    }
    // Calls and bytes may be a finding without the functions.
    let functions = read.as_deref().unwrap_or_default();
    let rate = if polled > 0.0 { calls / polled / minutes.period_seconds / shards } else { 0.0 };
    let (by_bytes, by_functions) = (readers(minutes), functions.len() as f64);
    let (readers, share) = (by_bytes.max(by_functions), read_share(minutes, shards));
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
    } else if readers >= SHARED_READERS && (by_functions >= SHARED_READERS || share >= LEAST_READ) {
        let seen = if by_functions >= by_bytes {
            format!("{} Lambda functions read the shards without a registered consumer.", functions.len())
        } else {
            format!(
                "In most minutes, readers get {by_bytes:.0} times what is written, so {by_bytes:.0} share the shards."
            )
        };
        warn(format!("{seen} A full shard has throughput for two."))
    } else {
        read.as_ref().map_err(Clone::clone)?;
        Verdict::ok(sentence)
    };
    let verdict = verdict.with("calls_per_second_and_shard", rate).with("refused_calls", refused);
    Ok(verdict.with("shared_readers", readers).with("read_share", share))
}

/// The functions that share the shards. A disabled mapping is none.
pub(super) fn functions(readings: &Readings) -> Result<Vec<&LambdaReader>, Unread> {
    let mappings = known(&readings.lambdas)?.iter();
    Ok(mappings.filter(|lambda| lambda.reads() && lambda.consumer.is_none()).collect())
}

/// What moves a function to a registered consumer. AWS changes no mapping's source, so a new mapping takes its place.
/// It begins before the records at which the old one stops. These are older than the time of the stop by the age of the
/// function. So some records come twice, and none is left out.
fn move_to_consumer(function: &LambdaReader) -> Fix {
    let (name, uuid) = (&function.function, &function.uuid);
    Fix::note("once the consumer is ACTIVE, note its ARN and the time, and stop the old mapping:")
        .and(update(function, "--no-enabled"))
        .and_note(begin(function))
        .and_note("some records come twice; add the settings, filters and destination of the old mapping:")
        .and_run(format!("aws lambda get-event-source-mapping --uuid {uuid}"))
        .and_run(format!(
            "aws lambda create-event-source-mapping --function-name {name} --event-source-arn CONSUMER_ARN \
             --starting-position AT_TIMESTAMP --starting-position-timestamp TIME"
        ))
        .and_note("once the new mapping reads:")
        .and_run(format!("aws lambda delete-event-source-mapping --uuid {uuid}"))
}

/// Where the new mapping begins. The age is of the last record of a batch, and the first one may be older.
fn begin(function: &LambdaReader) -> String {
    let name = &function.function;
    match function.metrics.as_ref().ok().and_then(|metrics| metrics.newest_age_ms) {
        Some(age) => format!(
            "TIME is that time less {} minutes: {name} is up to {} behind, and {MARGIN_MINUTES:.0} minutes are for its \
             batches; if this page is old, make it again before",
            count((age / 60_000.0).ceil() + MARGIN_MINUTES),
            time(age)
        ),
        None => format!(
            "TIME is that time less {MARGIN_MINUTES:.0} minutes and the age of the oldest record that {name} has not \
             read; CloudWatch shows no age of the last hour"
        ),
    }
}

/// The readers that share the shards: each reads all bytes that were written. This is the median of the minutes with
/// writes, because a reader that catches up or reads again takes many times the bytes for a while.
fn readers(minutes: &Series) -> f64 {
    let written = minutes.points.values().filter(|p| p.incoming_bytes > 0.0);
    median(written.map(|p| p.get_records_bytes / p.incoming_bytes)).round()
}

/// The share of what the shards give their readers that these take, in the median of the minutes with writes.
fn read_share(minutes: &Series, shards: f64) -> f64 {
    let written = minutes.points.values().filter(|p| p.incoming_bytes > 0.0);
    let read = median(written.map(|p| p.get_records_bytes)) / minutes.period_seconds;
    read / SHARD_READ_BYTES_PER_SECOND / shards
}

/// The value in the middle. 0: there is none.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
