//! Alarms, and unthrottle itself.

use super::finding::{Answer, Verdict};
use super::load::known;
use super::readings::Readings;
use crate::cost::Prices;
use crate::memory::{Memory, TAG};
use crate::policy::{DOCTOR_SKIP_TAG, Policy};
use std::collections::BTreeMap;

/// Metrics that show a late reader.
const OF_READERS: [&str; 2] = ["GetRecords.IteratorAgeMilliseconds", "SubscribeToShardEvent.MillisBehindLatest"];

/// Metrics that show refused writes.
const OF_WRITERS: [&str; 4] =
    ["WriteProvisionedThroughputExceeded", "PutRecords.ThrottledRecords", "PutRecord.Success", "PutRecords.Success"];

pub(super) fn alarms(readings: &Readings, _: &Prices) -> Answer {
    let (alarms, name) = (known(&readings.alarms)?, &readings.stream.name);
    let watched = |metrics: &[&str]| alarms.iter().any(|alarm| alarm.watches(name, metrics));
    let missing: Vec<&str> = [(&OF_READERS[..], "late readers"), (&OF_WRITERS[..], "refused writes")]
        .into_iter()
        .filter(|(metrics, _)| !watched(metrics))
        .map(|(_, what)| what)
        .collect();
    let of_stream = alarms.iter().filter(|alarm| alarm.stream.as_ref().is_none_or(|of| of == name)).count();
    let verdict = if missing.is_empty() {
        Verdict::ok("Alarms watch late readers and refused writes.")
    } else {
        let sentence = format!("No alarm watches {}.", missing.join(" and "));
        let metric = if missing[0] == "late readers" { OF_READERS[0] } else { OF_WRITERS[0] };
        let (statistic, threshold) =
            if metric == OF_READERS[0] { ("Maximum", readings.stream.retention_hours * 1_800_000) } else { ("Sum", 0) };
        let fix = format!(
            "aws cloudwatch put-metric-alarm --alarm-name {name}-{} --namespace AWS/Kinesis --metric-name {metric} \
             --dimensions Name=StreamName,Value={name} --statistic {statistic} --period 60 --evaluation-periods 5 \
             --comparison-operator GreaterThanThreshold --threshold {threshold} --treat-missing-data notBreaching \
             --alarm-actions TOPIC_ARN",
            if metric == OF_READERS[0] { "late-readers" } else { "refused-writes" }
        );
        Verdict::warn(sentence, fix)
    };
    Ok(verdict.with("missing", missing).with("alarms", of_stream))
}

/// The words of the tag that are no code of a check.
fn unknown_skips(tags: &BTreeMap<String, String>) -> impl Iterator<Item = &str> {
    let words = tags.get(DOCTOR_SKIP_TAG).map(String::as_str).unwrap_or_default();
    words.split_whitespace().filter(|word| super::find(word).is_none())
}

pub(super) fn unthrottle(readings: &Readings, _: &Prices) -> Answer {
    let tags = known(&readings.tags)?;
    let problem = match tags.get(TAG).map(|text| Memory::parse(text)) {
        Some(Err(error)) => Some((TAG, error.to_string())),
        _ => Policy::default().for_stream(tags, None).err().map(|error| (error.tag, error.to_string())),
    };
    if let Some((tag, problem)) = problem {
        let sentence = format!("unthrottle changes nothing here, because it cannot read the tag {tag}: {problem}.");
        let fix = format!(
            "correct or delete it: aws kinesis untag-resource --resource-arn {} --tag-keys {tag}",
            readings.stream.arn
        );
        return Ok(Verdict::fail(sentence, fix).with("tag", tag));
    }
    if let Some(unknown) = unknown_skips(tags).next() {
        let sentence = format!("The tag {DOCTOR_SKIP_TAG} names `{unknown}`, which is no check.");
        let fix = "correct the tag; docs/doctor.md lists the codes";
        return Ok(Verdict::warn(sentence, fix).with("unknown_code", unknown));
    }
    if *known(&readings.is_deployed)? {
        return Ok(Verdict::ok("unthrottle is deployed here, and it can read the tags of the stream.")
            .with("is_deployed", true));
    }
    let sentence = "unthrottle is not deployed in this account and region, so a person must mend a throttled stream.";
    let fix = format!("make deploy; until then: unthrottle explain {}", readings.stream.name);
    Ok(Verdict::warn(sentence, fix).with("is_deployed", false))
}
