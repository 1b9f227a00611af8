//! An alarm that changed state: the events `CloudWatch Alarm State Change` and `CloudWatch Alarm Contributor State
//! Change`, the payload of an alarm's own Lambda action, and the message of an alarm to a topic.

use super::error::{field, null_is_absent};
use super::{Envelope, Home, SignalError, StreamArn};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The namespace of AWS's own metrics of Kinesis.
const NAMESPACE: &str = "AWS/Kinesis";
/// The dimension that names a stream in this namespace.
const STREAM_NAME: &str = "StreamName";

/// The metrics that say how far readers are behind, in milliseconds: of polling readers, of registered consumers, and
/// of a single shard.
const AGES: [&str; 3] =
    ["GetRecords.IteratorAgeMilliseconds", "SubscribeToShardEvent.MillisBehindLatest", "IteratorAgeMilliseconds"];

/// An alarm that changed state.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Alarm {
    /// EventBridge's id of the event.
    pub id: Option<String>,
    /// When the state changed.
    pub time: Option<DateTime<Utc>>,
    /// The alarm's name.
    pub name: String,
    /// `ALARM`, `OK` or `INSUFFICIENT_DATA`.
    pub state: String,
    /// CloudWatch's explanation of the change.
    pub reason: Option<String>,
    /// The ARN of the mute rule with which a person muted the alarm.
    pub muted_by: Option<String>,
    /// The account of the alarm. Where all its metrics of `AWS/Kinesis` belong to another account: that account.
    pub account: Option<String>,
    /// The region of the alarm.
    pub region: Option<String>,
    /// Whether the alarm evaluates a metric of `AWS/Kinesis`.
    pub on_kinesis: bool,
    /// Whether the alarm evaluates a rule over other alarms. Such an alarm has no metric.
    pub is_composite: bool,
    /// The names of the alarm's metrics of `AWS/Kinesis`.
    pub metrics: BTreeSet<String>,
    /// The stream of these metrics. `None`: the metrics have no stream or several.
    pub stream: Option<StreamArn>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    alarm_name: String,
    state: State,
    #[serde(default, deserialize_with = "null_is_absent")]
    configuration: Configuration,
    alarm_contributor: Option<Contributor>,
    mute_detail: Option<Mute>,
}

#[derive(Deserialize)]
struct State {
    value: String,
    reason: Option<String>,
    timestamp: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Configuration {
    #[serde(default, deserialize_with = "null_is_absent")]
    metrics: Vec<Entry>,
    /// The rule of a composite alarm.
    alarm_rule: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    metric_stat: Option<MetricStat>,
    expression: Option<String>,
    /// The account of the metric. `None`: the account of the alarm.
    account_id: Option<String>,
}

#[derive(Deserialize)]
struct MetricStat {
    metric: Metric,
}

#[derive(Deserialize)]
struct Metric {
    name: Option<String>,
    namespace: Option<String>,
    #[serde(default, deserialize_with = "null_is_absent")]
    dimensions: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Contributor {
    #[serde(default, deserialize_with = "null_is_absent")]
    attributes: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mute {
    muted_by_arn: Option<String>,
}

/// The payload of an alarm's own Lambda action (the CloudWatch user guide, "Lambda alarm actions").
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Action {
    account_id: Option<String>,
    alarm_arn: Option<String>,
    region: Option<String>,
    time: Option<String>,
    alarm_data: Value,
}

/// The message of an alarm to a topic. Its `Region` is a display name, so the region comes from an ARN.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Message {
    alarm_name: String,
    new_state_value: String,
    new_state_reason: Option<String>,
    state_change_time: Option<String>,
    alarm_arn: Option<String>,
    #[serde(rename = "AWSAccountId")]
    account: Option<String>,
    /// The rule of a composite alarm.
    alarm_rule: Option<String>,
    #[serde(default, deserialize_with = "null_is_absent")]
    trigger: Trigger,
}

/// What the alarm of a [`Message`] evaluates: one metric, or the entries of metric math.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Trigger {
    metric_name: Option<String>,
    namespace: Option<String>,
    #[serde(default, deserialize_with = "null_is_absent")]
    dimensions: Vec<Dimension>,
    #[serde(default, deserialize_with = "null_is_absent")]
    metrics: Vec<TriggerEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TriggerEntry {
    metric_stat: Option<TriggerStat>,
    expression: Option<String>,
    account_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TriggerStat {
    metric: TriggerMetric,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TriggerMetric {
    metric_name: Option<String>,
    namespace: Option<String>,
    #[serde(default, deserialize_with = "null_is_absent")]
    dimensions: Vec<Dimension>,
}

#[derive(Deserialize)]
struct Dimension {
    #[serde(alias = "Name")]
    name: String,
    #[serde(alias = "Value")]
    value: String,
}

/// Where an alarm is, and which event reported it.
#[derive(Default)]
struct Origin {
    id: Option<String>,
    time: Option<DateTime<Utc>>,
    account: Option<String>,
    region: Option<String>,
}

impl Alarm {
    /// Whether the alarm watches how far readers are behind, and nothing else. An alarm whose metrics have no name may
    /// watch it, too.
    pub(crate) fn is_on_age(&self) -> bool {
        self.metrics.iter().all(|metric| AGES.contains(&metric.as_str()))
    }

    /// The newest datapoint in CloudWatch's explanation, where the alarm has a single metric. CloudWatch writes
    /// `Threshold Crossed: 1 datapoint [8.61E7 (26/11/26 17:03:00)] was greater than the threshold (3600000.0).`
    pub(crate) fn datapoint(&self) -> Option<f64> {
        let (_, rest) = self.reason.as_deref()?.split_once('[')?;
        let number = rest.split([' ', ',', ']']).next()?;
        number.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0 && self.metrics.len() == 1)
    }

    pub(super) fn parse(event: Envelope, home: &Home) -> Result<Alarm, SignalError> {
        let detail: Detail = field("detail", &event.detail)?;
        let origin = Origin { id: event.id, time: event.time, account: event.account, region: event.region };
        Ok(detail.alarm(origin, home))
    }

    /// The payload of an alarm's own Lambda action.
    pub(super) fn of_action(payload: &Value, home: &Home) -> Result<Alarm, SignalError> {
        let action: Action = field("", payload)?;
        let detail: Detail = field("alarmData", &action.alarm_data)?;
        let at = action.alarm_arn.as_deref().and_then(Home::of_arn);
        let origin = Origin {
            id: None,
            time: action.time.as_deref().and_then(time),
            account: action.account_id.or_else(|| Some(at.as_ref()?.account.clone())),
            region: action.region.or_else(|| Some(at?.region)),
        };
        Ok(detail.alarm(origin, home))
    }

    /// The message of an alarm to a topic. `topic`: the account and region of the topic, which an alarm shares. `id`
    /// and `sent`: those of the notification.
    pub(super) fn of_message(
        message: &Value,
        topic: Option<Home>,
        id: Option<String>,
        sent: Option<DateTime<Utc>>,
        home: &Home,
    ) -> Result<Alarm, SignalError> {
        let message: Message = field("Records[0].Sns.Message", message)?;
        let at = message.alarm_arn.as_deref().and_then(Home::of_arn).or(topic);
        let origin = Origin {
            id,
            time: sent,
            account: message.account.clone().or_else(|| Some(at.as_ref()?.account.clone())),
            region: at.map(|at| at.region),
        };
        Ok(Detail::from(message).alarm(origin, home))
    }
}

impl From<Message> for Detail {
    fn from(message: Message) -> Detail {
        let Trigger { metric_name, namespace, dimensions, metrics } = message.trigger;
        let alone =
            Entry { metric_stat: Some(metric(metric_name, namespace, dimensions)), expression: None, account_id: None };
        let several = metrics.into_iter().map(|entry| Entry {
            metric_stat: entry.metric_stat.map(|stat| {
                let TriggerMetric { metric_name, namespace, dimensions } = stat.metric;
                metric(metric_name, namespace, dimensions)
            }),
            expression: entry.expression,
            account_id: entry.account_id,
        });
        let metrics = std::iter::once(alone).chain(several).collect();
        Detail {
            alarm_name: message.alarm_name,
            state: State {
                value: message.new_state_value,
                reason: message.new_state_reason,
                timestamp: message.state_change_time,
            },
            configuration: Configuration { metrics, alarm_rule: message.alarm_rule },
            alarm_contributor: None,
            mute_detail: None,
        }
    }
}

fn metric(name: Option<String>, namespace: Option<String>, dimensions: Vec<Dimension>) -> MetricStat {
    let dimensions = dimensions.into_iter().map(|dimension| (dimension.name, dimension.value)).collect();
    MetricStat { metric: Metric { name, namespace, dimensions } }
}

/// A time of CloudWatch, which writes the offset as `+0000`. That is not RFC 3339.
fn time(text: &str) -> Option<DateTime<Utc>> {
    let time = DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z").or_else(|_| DateTime::parse_from_rfc3339(text));
    time.ok().map(|time| time.to_utc())
}

impl Detail {
    fn alarm(mut self, mut origin: Origin, home: &Home) -> Alarm {
        if let Some(account) = self.leave_out_other_accounts(home) {
            origin.account = Some(account);
        }
        let on_kinesis = self.on_kinesis();
        let metrics = self.metric_names();
        let stream = self.stream_name().filter(|_| on_kinesis).and_then(|name| {
            let at = Home {
                partition: home.partition.clone(),
                region: origin.region.clone()?,
                account: origin.account.clone()?,
            };
            StreamArn::new(name, &at)
        });
        Alarm {
            id: origin.id,
            time: self.state.timestamp.as_deref().and_then(time).or(origin.time),
            name: self.alarm_name,
            state: self.state.value,
            reason: self.state.reason,
            muted_by: self.mute_detail.map(|m| m.muted_by_arn.unwrap_or_else(|| "a mute rule".into())),
            account: origin.account,
            region: origin.region,
            on_kinesis,
            is_composite: self.configuration.alarm_rule.is_some(),
            metrics,
            stream,
        }
    }

    /// Removes the entries of other accounts, which an alarm of a monitoring account may have: a stream of this account
    /// may have the same name. Returns the other account if no entry on `AWS/Kinesis` is left.
    fn leave_out_other_accounts(&mut self, home: &Home) -> Option<String> {
        let is_other = |entry: &Entry| entry.account_id.as_ref().is_some_and(|account| *account != home.account);
        let was_on_kinesis = self.on_kinesis();
        let metrics = std::mem::take(&mut self.configuration.metrics);
        let (theirs, ours) = metrics.into_iter().partition::<Vec<Entry>, _>(is_other);
        self.configuration.metrics = ours;
        if was_on_kinesis && !self.on_kinesis() { theirs.into_iter().find_map(|entry| entry.account_id) } else { None }
    }

    /// The metrics of `AWS/Kinesis` among the alarm's entries. An alarm on metric math has several entries.
    fn kinesis_metrics(&self) -> impl Iterator<Item = &Metric> {
        let metrics = self.configuration.metrics.iter().filter_map(|e| Some(&e.metric_stat.as_ref()?.metric));
        metrics.filter(|m| m.namespace.as_deref() == Some(NAMESPACE))
    }

    /// The Metrics Insights queries of `AWS/Kinesis`. Such a query names its namespace in double quotes.
    fn kinesis_queries(&self) -> impl Iterator<Item = &str> {
        let expressions = self.configuration.metrics.iter().filter_map(|e| e.expression.as_deref());
        expressions.filter(|x| x.contains(&format!("\"{NAMESPACE}\"")))
    }

    fn on_kinesis(&self) -> bool {
        self.kinesis_metrics().next().is_some() || self.kinesis_queries().next().is_some()
    }

    fn metric_names(&self) -> BTreeSet<String> {
        // A query begins with SELECT SUM("SubscribeToShard.RateExceeded") FROM …. The first brackets contain the
        // metric, with or without quotes.
        let queried = self.kinesis_queries().filter_map(|query| {
            let (name, _) = query.split_once('(')?.1.split_once(')')?;
            Some(name.trim().trim_matches('"'))
        });
        self.kinesis_metrics().filter_map(|m| m.name.as_deref()).chain(queried).map(str::to_owned).collect()
    }

    /// The contributor's stream, else the stream of all metrics if they have the same one.
    fn stream_name(&self) -> Option<&str> {
        if let Some(contributor) = &self.alarm_contributor {
            return contributor.attributes.get(STREAM_NAME).map(String::as_str);
        }
        let names: BTreeSet<_> = self.kinesis_metrics().filter_map(|m| m.dimensions.get(STREAM_NAME)).collect();
        (names.len() == 1).then(|| names.into_iter().next()).flatten().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datapoint_is_a_number_from_0_on_of_an_alarm_on_one_metric() {
        let of = |reason: &str, metrics: &[&str]| {
            let metrics = metrics.iter().map(|metric| (*metric).to_owned()).collect();
            Alarm { reason: Some(reason.into()), metrics, ..Alarm::default() }.datapoint()
        };
        let crossed = "Threshold Crossed: 1 datapoint [8.61E7 (26/11/26 17:03:00)] was greater";
        assert_eq!(of(crossed, &["a"]), Some(8.61e7));
        assert_eq!(of(crossed, &["a", "b"]), None);
        for number in ["NaN", "inf", "-1", "x", ""] {
            assert_eq!(of(&format!("[{number}, 3.0]"), &["a"]), None, "{number}");
        }
        assert_eq!(of("[0]", &["a"]), Some(0.0));
    }
}
