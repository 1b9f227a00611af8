//! The alarms on metrics of `AWS/Kinesis`: `DescribeAlarms`, once for all streams.
//!
//! `DescribeAlarmsForMetric` would take two calls a stream, and finds neither metric math nor Metrics Insights.

use super::metrics::NAMESPACE;
use super::unread::unread;
use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::types::{AlarmType, CompositeAlarm, Dimension, MetricAlarm};
use std::collections::BTreeSet;
use unthrottle_core::checks::{Alarm, Read};

/// Alarms of one answer, the most that AWS gives.
const PER_PAGE: i32 = 100;

pub(super) async fn alarms(client: &Client) -> Read<Vec<Alarm>> {
    let call = client.describe_alarms().alarm_types(AlarmType::MetricAlarm).alarm_types(AlarmType::CompositeAlarm);
    let mut pages = call.max_records(PER_PAGE).into_paginator().send();
    let (mut alarms, mut composites) = (vec![], vec![]);
    while let Some(page) = pages.next().await {
        let page = page.map_err(|e| unread("cloudwatch:DescribeAlarms", e))?;
        alarms.extend_from_slice(page.metric_alarms());
        composites.extend_from_slice(page.composite_alarms());
    }
    Ok(watched(&alarms, &composites))
}

/// What the alarms watch. An alarm without an action of its own may be a part of a composite alarm that has one.
fn watched(alarms: &[MetricAlarm], composites: &[CompositeAlarm]) -> Vec<Alarm> {
    let acts = |c: &&CompositeAlarm| c.actions_enabled() != Some(false) && !c.alarm_actions().is_empty();
    let mut parts: BTreeSet<&str> = composites.iter().filter(acts).flat_map(parts_of).collect();
    // A part may be a composite alarm itself.
    loop {
        let is_part = |composite: &&CompositeAlarm| composite.alarm_name().is_some_and(|name| parts.contains(name));
        let more: BTreeSet<&str> = composites.iter().filter(is_part).flat_map(parts_of).collect();
        if more.is_subset(&parts) {
            break;
        }
        parts.extend(more);
    }
    let of = |alarm: &MetricAlarm| {
        let is_part = alarm.alarm_name().is_some_and(|name| parts.contains(name));
        let is_enabled = is_part || alarm.actions_enabled() != Some(false);
        watched_by(alarm, is_enabled, is_part || !alarm.alarm_actions().is_empty())
    };
    alarms.iter().flat_map(of).collect()
}

/// The alarms whose ALARM raises a composite alarm: `ALARM("a") OR ALARM(b) OR ALARM(arn:…:alarm:c)`. One that the rule
/// names in another way, as `OK("d")` and `NOT ALARM("e")`, does not raise it.
fn parts_of(composite: &CompositeAlarm) -> Vec<&str> {
    const IN_ALARM: &str = "ALARM(";
    let rule = composite.alarm_rule().unwrap_or_default();
    let part = |place: usize| {
        let (before, name) = (rule[..place].trim_end(), &rule[place + IN_ALARM.len()..]);
        let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '"';
        let is_negated = before.ends_with("NOT") || before.trim_end_matches(['(', ' ']).ends_with("NOT");
        if is_negated || rule[..place].ends_with(is_word) {
            return None;
        }
        let name = match name.trim_start().strip_prefix('"') {
            Some(quoted) => quoted.split('"').next()?,
            None => name.split(')').next()?.trim(),
        };
        Some(name.split_once(":alarm:").map_or(name, |(_, name)| name))
    };
    rule.match_indices(IN_ALARM).filter_map(|(place, _)| part(place)).collect()
}

/// What one alarm watches: a metric, the metrics of its math, or a Metrics Insights query over all streams.
fn watched_by(alarm: &MetricAlarm, is_enabled: bool, has_action: bool) -> Vec<Alarm> {
    let name = alarm.alarm_name().unwrap_or_default();
    let of = |metric: &str, stream| Alarm { name: name.into(), metric: metric.into(), stream, is_enabled, has_action };
    let mut found = vec![];
    if let (Some(NAMESPACE), Some(metric)) = (alarm.namespace(), alarm.metric_name()) {
        found.extend(stream(alarm.dimensions()).map(|stream| of(metric, Some(stream))));
    }
    for query in alarm.metrics() {
        let metric = query.metric_stat().and_then(|stat| stat.metric()).filter(|m| m.namespace() == Some(NAMESPACE));
        if let Some(metric) = metric {
            found.extend(stream(metric.dimensions()).map(|s| of(metric.metric_name().unwrap_or_default(), Some(s))));
        }
        found.extend(query.expression().and_then(of_all_streams).map(|metric| of(metric, None)));
    }
    found
}

/// The stream of a metric. `None`: the metric is of one shard, or of no stream.
fn stream(dimensions: &[Dimension]) -> Option<String> {
    let is_of_stream = |d: &&Dimension| ["StreamName", "ConsumerName"].contains(&d.name().unwrap_or_default());
    if !dimensions.iter().all(|dimension| is_of_stream(&dimension)) {
        return None;
    }
    dimensions.iter().find(|d| d.name() == Some("StreamName")).and_then(|d| d.value()).map(str::to_owned)
}

/// The metric of a Metrics Insights query over all streams: `SELECT SUM(METRIC) FROM SCHEMA("AWS/Kinesis",
/// StreamName)`. A query with a condition or a tag is not over all, unless it asks for this account only, as the
/// stack's alarms may.
fn of_all_streams(expression: &str) -> Option<&str> {
    let (select, from) = split_at_word(expression, "FROM")?;
    let (word, metric) = select.trim().split_once(char::is_whitespace)?;
    let (_, metric) = metric.split_once('(').filter(|_| word.eq_ignore_ascii_case("SELECT"))?;
    let words: String = from.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    let (source, condition) = words.split_once(" where ").unwrap_or((&words, ""));
    let rest = condition.strip_prefix("aws.accountid = current_account_id()").unwrap_or(condition);
    let is_end =
        |rest: &str| rest.is_empty() || [" group by ", " order by ", " limit "].iter().any(|w| rest.starts_with(w));
    let has_condition = !is_end(rest) || words.contains("tag.");
    let is_of_all = source.contains("\"aws/kinesis\"") && source.contains("streamname") && !source.contains("shardid");
    (is_of_all && !has_condition).then(|| metric.trim().trim_end_matches(')').trim().trim_matches('"'))
}

/// The text before a word between spaces, in any case, and the text after it.
fn split_at_word<'a>(text: &'a str, word: &str) -> Option<(&'a str, &'a str)> {
    let mut ends = text.match_indices(char::is_whitespace).map(|(place, space)| place + space.len());
    let begin = ends.find(|begin| {
        let rest = &text[*begin..];
        rest.get(..word.len()).is_some_and(|found| found.eq_ignore_ascii_case(word))
            && rest[word.len()..].starts_with(char::is_whitespace)
    })?;
    Some((&text[..begin], &text[begin + word.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_alarms_that_raise_a_composite_are_parts_of_it() {
        for (rule, parts) in [
            (
                r#"ALARM("a") OR ALARM(b) AND ALARM(arn:aws:cloudwatch:us-east-1:123456789012:alarm:c)"#,
                &["a", "b", "c"][..],
            ),
            (r#"ALARM("late (orders)") OR OK("d")"#, &["late (orders)"]),
            (r#"NOT ALARM("a") AND ALARM("b") AND NOT (ALARM("c"))"#, &["b"]),
            (r#"OK("ALARM(x)")"#, &[]),
            ("", &[]),
        ] {
            let composite = CompositeAlarm::builder().alarm_rule(rule).build();
            assert_eq!(parts_of(&composite), parts, "{rule}");
        }
    }

    #[test]
    fn a_query_over_all_streams_gives_its_metric_and_other_expressions_give_none() {
        let query = "SELECT SUM(WriteProvisionedThroughputExceeded) FROM SCHEMA(\"AWS/Kinesis\", StreamName) GROUP BY \
                     StreamName ORDER BY SUM() DESC LIMIT 500";
        assert_eq!(of_all_streams(query), Some("WriteProvisionedThroughputExceeded"));
        let query = "SELECT MAX(\"GetRecords.IteratorAgeMilliseconds\") FROM SCHEMA(\"AWS/Kinesis\", StreamName)";
        assert_eq!(of_all_streams(query), Some("GetRecords.IteratorAgeMilliseconds"));
        assert_eq!(of_all_streams("SELECT MAX(A) FROM SCHEMA(\"AWS/SQS\", QueueName)"), None);
        assert_eq!(of_all_streams("m1 / m2"), None);
    }

    #[test]
    fn a_query_with_a_condition_is_not_over_all_streams() {
        let query = |end: &str| format!("select sum(IncomingBytes) from schema(\"AWS/Kinesis\", StreamName) {end}");
        assert_eq!(of_all_streams(&query("group by StreamName")), Some("IncomingBytes"));
        let account = "WHERE AWS.AccountId = CURRENT_ACCOUNT_ID() GROUP BY StreamName";
        assert_eq!(of_all_streams(&query(account)), Some("IncomingBytes"), "the stack's own alarms");
        for end in [
            "WHERE StreamName='clicks'",
            "where StreamName = 'clicks'",
            "WHERE StreamName != 'orders'",
            "WHERE tag.team = 'a'",
            "GROUP BY tag.team",
            "WHERE AWS.AccountId = CURRENT_ACCOUNT_ID() AND StreamName='clicks'",
            "WHERE AWS.AccountId = '210987654321'",
        ] {
            assert_eq!(of_all_streams(&query(end)), None, "{end}");
        }
        let of_shards = "SELECT SUM(IncomingBytes) FROM SCHEMA(\"AWS/Kinesis\", ShardId, StreamName)";
        assert_eq!(of_all_streams(of_shards), None);
    }

    fn alarm(name: &str, dimensions: &[(&str, &str)]) -> MetricAlarm {
        let of = |(name, value): &(&str, &str)| Dimension::builder().name(*name).value(*value).build();
        let alarm = MetricAlarm::builder().alarm_name(name).namespace(NAMESPACE).metric_name("IncomingBytes");
        alarm.set_dimensions(Some(dimensions.iter().map(of).collect())).build()
    }

    #[test]
    fn an_alarm_on_one_shard_does_not_watch_its_stream() {
        let shard = alarm("a", &[("StreamName", "orders"), ("ShardId", "shardId-000000000000")]);
        let consumer = alarm("b", &[("StreamName", "orders"), ("ConsumerName", "reader")]);
        let found: Vec<String> = watched(&[shard, consumer], &[]).into_iter().map(|alarm| alarm.name).collect();
        assert_eq!(found, ["b"]);
    }

    #[test]
    fn an_alarm_acts_by_its_own_action_or_by_that_of_a_composite_alarm() {
        let of = |name: &str| alarm(name, &[("StreamName", "orders")]);
        let action = |mut alarm: MetricAlarm, is_enabled| {
            alarm.alarm_actions = Some(vec!["topic".into()]);
            alarm.actions_enabled = Some(is_enabled);
            alarm
        };
        let alarms = [action(of("on"), true), action(of("off"), false), of("none"), of("part"), of("a part")];
        let rule = "ALARM(\"a part\") OR ALARM(arn:aws:cloudwatch:us-east-1:123456789012:alarm:part)";
        let composite = |actions: &[&str]| {
            let actions = actions.iter().map(|action| (*action).to_owned()).collect();
            CompositeAlarm::builder().alarm_rule(rule).set_alarm_actions(Some(actions)).build()
        };
        let acting = |composite: CompositeAlarm| {
            let found = watched(&alarms, &[composite]);
            let acting = found.into_iter().filter(|alarm| alarm.is_enabled && alarm.has_action);
            acting.map(|alarm| alarm.name).collect::<Vec<_>>()
        };
        assert_eq!(acting(composite(&["topic"])), ["on", "part", "a part"]);
        assert_eq!(acting(composite(&[])), ["on"]);
    }
}
