//! CloudWatch: PutMetricData, GetMetricData, GetMetricStatistics, ListMetrics, and the calls of alarms.
//!
//! - here: the service, and inputs that several operations have.
//! - `put`, `get`, `statistics` and `list`: one operation each.
//! - `series`: the datapoints of a query.
//! - `search`: a query for many series.

mod get;
mod list;
mod put;
mod search;
mod series;
mod statistics;

pub(super) use series::{RequestedSeries, Window};

use super::alarms::describe_contributors;
use super::connection::Connection;
use super::metrics::{epoch_seconds, minute_of};
use super::protocol::{Protocol, Refusal, refuse};
use super::service::{Call, unknown};
use super::stream_alarms::{self, describe};
use super::{Account, lock, put_alarm};
use axum::extract::Request;
use axum::response::Response;
use chrono::{DateTime, Utc};
use ciborium::Value as Cbor;
use get::get_metric_data;
use list::list_metrics;
use put::put_metric_data;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use statistics::get_metric_statistics;
use std::sync::Arc;
use std::time::Duration;

pub(super) type Answer = Result<Cbor, Refusal>;

fn invalid(message: impl Into<String>) -> Refusal {
    refuse("InvalidParameterValueException", message)
}

/// GetMetricData's error for an invalid request.
pub(super) fn invalid_query(message: impl Into<String>) -> Refusal {
    refuse("ValidationError", message)
}

/// Answers one HTTP request for an operation.
pub(super) async fn serve(
    account: Arc<Account>,
    connection: Connection,
    protocol: Protocol,
    operation: String,
    request: Request,
) -> Response {
    let input = protocol.input_of(request).await;
    let call = Call { account: account.clone(), connection, service: "CloudWatch", operation: operation.clone() };
    let render = move |answer| match answer {
        Ok(answer) => protocol.render(answer),
        Err(refusal) => protocol.render_error(&refusal),
    };
    call.answer(render, async move { perform(&account, &operation, input?) }).await
}

fn perform(account: &Account, operation: &str, input: Value) -> Answer {
    let now = account.now();
    match operation {
        "PutMetricData" => put_metric_data(&mut lock(&account.metrics), parse(input)?, now),
        "GetMetricData" => {
            let unpublished = unpublished_since(account.options.metric_lag, now);
            get_metric_data(
                &lock(&account.metrics),
                &parse(input)?,
                &account.options.account,
                unpublished,
                now,
                account.options.datapoints_per_page,
            )
        }
        "GetMetricStatistics" => {
            let unpublished = unpublished_since(account.options.metric_lag, now);
            get_metric_statistics(&lock(&account.metrics), &parse(input)?, unpublished)
        }
        "ListMetrics" => list_metrics(&lock(&account.metrics), &parse(input)?, now),
        "DescribeAlarms" => describe(&lock(&account.stream_alarms), &lock(&account.fleet_alarms), &parse(input)?),
        "PutMetricAlarm" if input["Metrics"].is_null() => {
            stream_alarms::put(account, &mut lock(&account.stream_alarms), input)
        }
        "PutMetricAlarm" => put_alarm::put(&mut lock(&account.fleet_alarms), parse(input)?),
        "DeleteAlarms" => {
            put_alarm::delete(&mut lock(&account.fleet_alarms), &mut lock(&account.stream_alarms), &parse(input)?)
        }
        "DescribeAlarmContributors" => {
            let end = published_until(account.options.metric_lag, now);
            describe_contributors(&lock(&account.fleet_alarms), &lock(&account.metrics), &parse(input)?, end)
        }
        _ => Err(unknown("CloudWatch", operation)),
    }
}

/// The first minute of an `AWS/…` metric that is not published yet.
fn unpublished_since(lag: Duration, now: DateTime<Utc>) -> i64 {
    if lag.is_zero() {
        return i64::MAX;
    }
    ((epoch_seconds(now) - lag.as_secs_f64()) / 60.0).floor() as i64
}

/// The first minute that an alarm does not evaluate yet.
pub(super) fn published_until(lag: Duration, now: DateTime<Utc>) -> i64 {
    unpublished_since(lag, now).min(minute_of(now) + 1)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Dimension {
    name: String,
    value: Option<String>,
}

fn parse<T: DeserializeOwned>(input: Value) -> Result<T, Refusal> {
    serde_json::from_value(input).map_err(|error| invalid_query(error.to_string()))
}

/// The number of entries on earlier pages.
pub(super) fn token(token: Option<&str>) -> Result<usize, Refusal> {
    token.map_or(Ok(0), |token| {
        let skip = token.parse();
        skip.map_err(|_| refuse("InvalidNextToken", format!("Invalid NextToken {token}")))
    })
}
