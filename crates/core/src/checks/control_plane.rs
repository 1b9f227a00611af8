//! Callers that AWS throttles on calls of the control plane.

use super::finding::{Answer, Verdict};
use super::load::known;
use super::readings::Readings;
use crate::cost::Prices;
use crate::words::{count, many, time};

pub(super) fn control_plane(readings: &Readings, _: &Prices) -> Answer {
    let seen = known(&readings.throttled_calls)?;
    let name = &readings.stream.name;
    let of_stream = seen.callers.iter().filter(|c| c.stream.as_ref().is_none_or(|stream| stream == name));
    let since = time((readings.read_at - seen.since).num_milliseconds().max(0) as f64);
    let throttled: usize = of_stream.clone().map(|caller| caller.count).sum();
    let verdict = match of_stream.max_by_key(|caller| caller.count) {
        None => Verdict::ok(format!("CloudTrail shows no throttled call of the control plane in {since}.")),
        Some(most) => {
            let principal = most.principal.as_deref().map_or("a caller without a name", short_name);
            let sentence = format!(
                "AWS throttled {} of the control plane in {since}, most of them {} by {principal} ({}).",
                many(throttled, "call"),
                most.operation,
                count(most.count as f64)
            );
            Verdict::warn(sentence, fix(&most.operation))
                .with("operation", most.operation.as_str())
                .with("principal", most.principal.as_deref().unwrap_or_default())
        }
    };
    let verdict = verdict.with("throttled_calls", throttled).with("events", seen.events);
    Ok(verdict.with("since", seen.since.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)))
}

/// What a caller of the operation does instead. ListShards has the highest rate of the calls that describe a stream.
fn fix(operation: &str) -> &'static str {
    let is_read = operation.starts_with("Describe") || operation.starts_with("List");
    match operation {
        "ListShards" => "keep the answer instead of asking again, and back off with a random pause",
        _ if is_read => {
            "list shards with ListShards (1,000 calls a second and stream) instead of DescribeStream (10 for the whole \
             account); keep the answer, and back off with a random pause"
        }
        _ => "make fewer of these calls, one after the other, and back off with a random pause",
    }
}

/// The name at the end of an ARN, with its kind: `role/reader`.
fn short_name(arn: &str) -> &str {
    arn.rsplit(':').next().unwrap_or(arn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_shards_helps_only_callers_of_other_reads() {
        let names_it = |operation: &str| fix(operation).contains("list shards with ListShards");
        assert!(["DescribeStream", "DescribeStreamSummary", "ListStreams"].into_iter().all(names_it));
        assert!(
            !["ListShards", "PutResourcePolicy", "UpdateShardCount", "RegisterStreamConsumer"]
                .into_iter()
                .any(names_it)
        );
    }
}
