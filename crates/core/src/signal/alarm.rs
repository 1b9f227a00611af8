//! The events `CloudWatch Alarm State Change` and `CloudWatch Alarm Contributor State Change`.

use super::error::field;
use super::{Envelope, Home, SignalError, StreamArn};
use chrono::{DateTime, Utc};
use serde::Deserialize;
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
    /// The account of the alarm.
    pub account: Option<String>,
    /// The region of the alarm.
    pub region: Option<String>,
    /// Whether the alarm evaluates a metric of `AWS/Kinesis`.
    pub on_kinesis: bool,
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
    #[serde(default)]
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
struct Configuration {
    #[serde(default)]
    metrics: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    metric_stat: Option<MetricStat>,
    expression: Option<String>,
}

#[derive(Deserialize)]
struct MetricStat {
    metric: Metric,
}

#[derive(Deserialize)]
struct Metric {
    name: Option<String>,
    namespace: Option<String>,
    #[serde(default)]
    dimensions: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Contributor {
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mute {
    muted_by_arn: Option<String>,
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
        let on_kinesis = detail.on_kinesis();
        let metrics = detail.metric_names();
        let stream = detail.stream_name().filter(|_| on_kinesis).and_then(|name| {
            let at = Home {
                partition: home.partition.clone(),
                region: event.region.clone()?,
                account: event.account.clone()?,
            };
            StreamArn::new(name, &at)
        });
        Ok(Alarm {
            id: event.id,
            // CloudWatch writes the offset as `+0000`, which is not RFC 3339.
            time: detail
                .state
                .timestamp
                .and_then(|t| DateTime::parse_from_str(&t, "%Y-%m-%dT%H:%M:%S%.f%z").ok())
                .map(|t| t.to_utc())
                .or(event.time),
            name: detail.alarm_name,
            state: detail.state.value,
            reason: detail.state.reason,
            muted_by: detail.mute_detail.map(|m| m.muted_by_arn.unwrap_or_else(|| "a mute rule".into())),
            account: event.account,
            region: event.region,
            on_kinesis,
            metrics,
            stream,
        })
    }
}

impl Detail {
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
