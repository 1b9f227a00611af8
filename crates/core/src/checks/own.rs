//! Alarms, and unthrottle itself.

use super::consumers::is_polled;
use super::finding::{Answer, NAMED, Verdict};
use super::fix::Fix;
use super::load::known;
use super::pollers;
use super::readings::{Alarm, Readings, Unread};
use crate::cost::Prices;
use crate::memory::{Memory, TAG};
use crate::policy::{DOCTOR_SKIP_TAG, Policy, nearest};
use crate::text::quoted;
use std::collections::BTreeMap;

/// Metrics that show a late reader.
const OF_READERS: [&str; 2] = ["GetRecords.IteratorAgeMilliseconds", "SubscribeToShardEvent.MillisBehindLatest"];

/// Metrics that show refused writes.
const OF_WRITERS: [&str; 4] =
    ["WriteProvisionedThroughputExceeded", "PutRecords.ThrottledRecords", "PutRecord.Success", "PutRecords.Success"];

/// The metrics of the fleet alarms that each stack has (template.yaml), each a query over all streams. The third alarm,
/// on the age of readers, is none of them: `ReadersBehindAlarm=deny` leaves it out, and the doctor cannot see that.
const FLEET_ALARMS: [&str; 2] = ["WriteProvisionedThroughputExceeded", "ReadProvisionedThroughputExceeded"];

pub(super) fn alarms(readings: &Readings, _: &Prices) -> Answer {
    let (alarms, name) = (known(&readings.alarms)?, &readings.stream.name);
    // EventBridge takes the state of the stack's own alarms to unthrottle. They need no action.
    let is_deployed = readings.is_deployed.as_ref().is_ok_and(|is_deployed| *is_deployed);
    let acts = |alarm: &&Alarm| alarm.acts() || (is_deployed && alarm.stream.is_none());
    let watched = |metrics: &[&str]| alarms.iter().filter(acts).any(|alarm| alarm.watches(name, metrics));
    let of_stream = [("StreamName", name.as_str())];
    let refused = Fix::run(alarm(name, "refused-writes", OF_WRITERS[0], &of_stream, "Sum", 0));
    let consumers = only_consumers(readings);
    let of_readers = consumers.as_ref().map(|consumers| {
        // An alarm on GetRecords does not see a registered consumer.
        let metrics = if consumers.is_empty() { &OF_READERS[..] } else { &OF_READERS[1..] };
        ("late readers", metrics, late_readers(readings, consumers))
    });
    let wanted = of_readers.into_iter().chain([("refused writes", &OF_WRITERS[..], refused)]);
    let count = alarms.iter().filter(|alarm| alarm.stream.as_ref().is_none_or(|of| of == name)).count();
    let (mut missing, mut silent, mut fix) = (vec![], vec![], None::<Fix>);
    for (what, metrics, create) in wanted.filter(|(_, metrics, _)| !watched(metrics)) {
        missing.push(what);
        let watching = || alarms.iter().filter(|alarm| alarm.watches(name, metrics));
        let mend = match watching().find(|alarm| alarm.has_action) {
            // It has an action, so a person has switched it off.
            Some(off) => Fix::run(format!("aws cloudwatch enable-alarm-actions --alarm-names {}", quoted(&off.name))),
            None => create,
        };
        fix = Some(if let Some(fix) = fix { fix.and(mend) } else { mend });
        silent.extend(watching().map(|alarm| alarm.name.as_str()));
    }
    silent.dedup();
    let verdict = match fix {
        None => {
            consumers?;
            Verdict::ok("Alarms watch for late readers and refused writes.")
        }
        Some(fix) => {
            // Alarms of a stack that is deployed would count.
            if alarms.iter().any(|alarm| alarm.stream.is_none() && silent.contains(&alarm.name.as_str())) {
                known(&readings.is_deployed)?;
            }
            Verdict::warn(format!("No alarm tells a person of {}.{}", missing.join(" or "), quiet(&silent)), fix)
        }
    };
    Ok(verdict.with("missing", missing).with("without_action", silent).with("alarms", count))
}

/// The alarms that have no action that is enabled, in words.
fn quiet(alarms: &[&str]) -> String {
    match alarms {
        [] => String::new(),
        [one] => format!(" The alarm {one} has no action that is enabled."),
        [first @ .., last] => {
            format!(" The alarms {} and {last} have no action that is enabled.", first.join(", "))
        }
    }
}

/// The registered consumers of a stream that no other steady reader reads. Empty: another one reads it, or there are
/// none.
fn only_consumers(readings: &Readings) -> Result<Vec<&str>, Unread> {
    let consumers = known(&readings.consumers)?;
    if consumers.is_empty() || is_polled(readings)? || !pollers::functions(readings)?.is_empty() {
        return Ok(vec![]);
    }
    Ok(consumers.iter().map(|consumer| consumer.name.as_str()).collect())
}

/// The commands that create alarms on late readers: on each of the first consumers, or on all that call GetRecords.
fn late_readers(readings: &Readings, consumers: &[&str]) -> Fix {
    let name = &readings.stream.name;
    let half_of_retention_ms = u64::from(readings.stream.retention_hours) * 1_800_000;
    let late = |what: &str, metric, dimensions: &[(&str, &str)]| {
        Fix::run(alarm(name, what, metric, dimensions, "Maximum", half_of_retention_ms))
    };
    let of_consumer = |consumer: &&str| {
        let dimensions = [("StreamName", name.as_str()), ("ConsumerName", *consumer)];
        late(&format!("{consumer}-late"), OF_READERS[1], &dimensions)
    };
    let fixes = consumers.iter().take(NAMED).map(of_consumer).reduce(Fix::and);
    let Some(fix) = fixes else { return late("late-readers", OF_READERS[0], &[("StreamName", name)]) };
    match consumers.get(NAMED..).unwrap_or_default() {
        [] => fix,
        others => fix.and_note(format!("the same for {}", others.join(", "))),
    }
}

/// The command that creates an alarm. A person puts in the topic.
fn alarm(
    stream: &str,
    what: &str,
    metric: &str,
    dimensions: &[(&str, &str)],
    statistic: &str,
    threshold: u64,
) -> String {
    let dimensions: Vec<String> = dimensions.iter().map(|(name, value)| format!("Name={name},Value={value}")).collect();
    format!(
        "aws cloudwatch put-metric-alarm --alarm-name {stream}-{what} --namespace AWS/Kinesis --metric-name {metric} \
         --dimensions {} --statistic {statistic} --period 60 --evaluation-periods 5 --comparison-operator \
         GreaterThanThreshold --threshold {threshold} --treat-missing-data notBreaching --alarm-actions TOPIC_ARN",
        dimensions.join(" ")
    )
}

/// The command that deploys unthrottle to the region of the stream.
fn deploy(readings: &Readings) -> String {
    match readings.stream.region() {
        "" => "make deploy".to_owned(),
        region => format!("make deploy AWS_REGION={region}"),
    }
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
        let fix = Fix::note("correct the tag, or delete it:")
            .and_run(format!("aws kinesis untag-resource --resource-arn {} --tag-keys {tag}", readings.stream.arn));
        return Ok(Verdict::fail(sentence, fix).with("tag", tag));
    }
    if let Some(unknown) = unknown_skips(tags).next() {
        let nearest = nearest(unknown, super::CHECKS.iter().map(|check| check.code));
        let hint = nearest.map(|code| format!(" The nearest code is {code}.")).unwrap_or_default();
        let sentence = format!("The tag {DOCTOR_SKIP_TAG} names `{unknown}`, which is no check.{hint}");
        let fix = "correct the tag; docs/doctor.md lists the codes";
        return Ok(Verdict::warn(sentence, fix).with("unknown_code", unknown));
    }
    if !*known(&readings.is_deployed)? {
        let sentence =
            "unthrottle is not deployed in this account and region, so a person must mend a throttled stream.";
        let fix = Fix::run(deploy(readings)).and_note("until then, this command says what to do:");
        let fix = fix.and_run(format!("unthrottle explain {}", readings.stream.name));
        return Ok(Verdict::warn(sentence, fix).with("is_deployed", false));
    }
    Ok(of_stack(readings)?.with("is_deployed", true))
}

/// What is wrong with a stack that is deployed.
fn of_stack(readings: &Readings) -> Answer {
    let alarms = known(&readings.alarms)?;
    let watches = |metric: &&str| alarms.iter().any(|alarm| alarm.stream.is_none() && alarm.metric == **metric);
    let missing: Vec<&str> = FLEET_ALARMS.into_iter().filter(|metric| !watches(metric)).collect();
    if !missing.is_empty() {
        let (alarms, verb) = if missing.len() == 1 { ("alarm", "is") } else { ("alarms", "are") };
        let metrics = missing.join(", ");
        let sentence = format!("unthrottle is deployed, and its fleet {alarms} on {metrics} {verb} missing.");
        let fix = Fix::run(deploy(readings)).and_note("until then, only the sweep and CloudTrail's events wake it");
        return Ok(Verdict::warn(sentence, fix).with("missing_alarms", missing));
    }
    let denied = known(&readings.denied_actions)?;
    if !denied.is_empty() {
        let sentence = format!("The role of unthrottle's function may no longer call {}.", denied.join(", "));
        let fix = Fix::note("this command restores its policy:").and_run(deploy(readings));
        return Ok(Verdict::fail(sentence, fix).with("denied", denied.clone()));
    }
    Ok(Verdict::ok("unthrottle is deployed here, and it can read the tags of the stream."))
}
