//! Aggregated records, and what breaks them.

use super::finding::{Answer, Verdict};
use super::fix::Fix;
use super::load::known;
use super::readings::{LambdaReader, Readings};
use crate::cost::Prices;
use crate::words::{many, percent};

pub(super) fn aggregation(readings: &Readings, _: &Prices) -> Answer {
    let Some(sample) = &readings.sample else {
        return unsampled(readings);
    };
    let sample = known(sample)?;
    let share = sample.aggregated as f64 / sample.records.max(1) as f64;
    let seen = match sample.records {
        1 => "The record that was read is aggregated".to_owned(),
        records => format!("{} of {} are aggregated", percent(share), many(records, "record")),
    };
    let verdict = if sample.records == 0 {
        Verdict::unknown("No record arrived in the last minutes.", "run the doctor again while producers write")
    } else if sample.aggregated == 0 {
        Verdict::ok(format!("None of {} is aggregated.", many(sample.records, "record")))
    } else if readings.stream.spreads_records {
        let sentence = format!(
            "{seen}, and AWS spreads the records of the stream over its shards. The KCL drops user records whose hash \
             key belongs to another shard."
        );
        Verdict::fail(sentence, by_partition_key(readings))
    } else if let Some(function) = filtered(readings)? {
        let sentence = format!(
            "{seen}, and {function} filters records of the shared throughput. Lambda filters inside aggregates only \
             with enhanced fan-out."
        );
        Verdict::fail(sentence, "let the mapping read a registered consumer, or filter in the function")
    } else {
        Verdict::ok(format!(
            "{seen}. Consumers must de-aggregate them: the KCL does, a Lambda function needs a library."
        ))
    };
    let verdict = verdict.with("records", sample.records).with("aggregated_records", sample.aggregated);
    Ok(verdict.with("user_records", sample.user_records))
}

/// The finding without records: what would break aggregates, if there are any.
fn unsampled(readings: &Readings) -> Answer {
    let spreads = readings.stream.spreads_records;
    let breaks = if spreads {
        Some("AWS spreads the records of the stream over its shards".to_owned())
    } else {
        filtered(readings)?.map(|function| format!("{function} filters records of the shared throughput"))
    };
    let verdict = match breaks {
        Some(breaks) => {
            let sentence = format!(
                "{breaks}, which breaks aggregated records. No record was read, so whether there are any is not known."
            );
            Verdict::unknown(sentence, "read some records: give --sample")
        }
        None => Verdict::ok("The stream spreads records by their partition keys, which keeps aggregates whole."),
    };
    Ok(verdict.with("spreads_records", spreads))
}

fn by_partition_key(readings: &Readings) -> Fix {
    Fix::note("write without aggregation, or let AWS place records by their keys:").and_run(format!(
        "aws kinesis update-stream-record-distribution-strategy --stream-arn {} --record-distribution-strategy \
         USER_PARTITION_KEY",
        readings.stream.arn
    ))
}

/// A function that filters records of the shared throughput. A mapping that a person deletes soon filters none.
fn filtered(readings: &Readings) -> Result<Option<&str>, super::Unread> {
    let lambdas = known(&readings.lambdas)?;
    let filters = |lambda: &&LambdaReader| lambda.stays() && lambda.filters && lambda.consumer.is_none();
    Ok(lambdas.iter().find(filters).map(|lambda| lambda.function.as_str()))
}
