//! PutMetricAlarm, for alarms on all streams at once, and DeleteAlarms.

use super::alarms::{FleetAlarm, FleetAlarms, Statistic};
use super::cloudwatch::{Answer, invalid_query};
use super::insights::Insights;
use super::stream_alarms::StreamAlarm;
use ciborium::Value as Cbor;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutMetricAlarm {
    alarm_name: String,
    #[serde(default)]
    metrics: Vec<Query>,
    #[serde(default)]
    threshold: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Query {
    expression: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteAlarms {
    alarm_names: Vec<String>,
}

/// Adds an alarm on a Metrics Insights query. It needs one breaching minute of three.
pub(super) fn put(alarms: &mut FleetAlarms, input: PutMetricAlarm) -> Answer {
    let expression = match &input.metrics[..] {
        [Query { expression: Some(expression) }] => Insights::parse(expression),
        _ => None,
    };
    let query = expression.ok_or_else(|| {
        invalid_query("the local account has alarms on one Metrics Insights query with GROUP BY StreamName only")
    })?;
    let statistic = if query.is_maximum() { Statistic::Maximum } else { Statistic::Sum };
    let alarm = FleetAlarm { metric: query.metric().to_owned(), statistic, threshold: input.threshold };
    alarms.insert(input.alarm_name, alarm);
    Ok(Cbor::Map(vec![]))
}

/// Deletes alarms. As on AWS, a name without an alarm is no error.
pub(super) fn delete(fleet: &mut FleetAlarms, streams: &mut Vec<StreamAlarm>, input: &DeleteAlarms) -> Answer {
    fleet.retain(|name, _| !input.alarm_names.contains(name));
    streams.retain(|alarm| !input.alarm_names.iter().any(|name| name == alarm.name()));
    Ok(Cbor::Map(vec![]))
}
