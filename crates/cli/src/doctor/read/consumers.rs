//! The registered consumers, and whether they receive events: `ListStreamConsumers`, and one `GetMetricData`.

use super::metrics::{NAMESPACE, Query, read};
use super::unread::unread;
use crate::doctor::clients::Clients;
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use unthrottle_core::checks::{Consumer, NEWEST_OF_READERS, Read};
use unthrottle_core::observation::Stream;

/// How far back events count, in days.
const DAYS: i64 = 7;

/// The metrics of each consumer: its events, its refused subscriptions, and how far it is behind.
pub(super) const METRICS: [(&str, &str); 3] = [
    ("SubscribeToShardEvent.Success", "SampleCount"),
    ("SubscribeToShard.RateExceeded", "Sum"),
    ("SubscribeToShardEvent.MillisBehindLatest", "Maximum"),
];

/// The period of the metrics, in seconds. Days are the bound of an idle consumer, and minutes that of a late one. With
/// a shorter period, the datapoints of a few consumers would take a further call.
const PERIOD_SECONDS: i32 = 300;

pub(super) async fn consumers(clients: &Clients, stream: &Stream, now: DateTime<Utc>) -> Read<Vec<Consumer>> {
    if stream.consumers == 0 {
        return Ok(vec![]);
    }
    let mut pages = clients.kinesis.list_stream_consumers().stream_arn(&stream.arn).into_paginator().send();
    let mut consumers = vec![];
    while let Some(page) = pages.next().await {
        let page = page.map_err(|e| unread("kinesis:ListStreamConsumers", e))?;
        consumers.extend(page.consumers().iter().map(|consumer| Consumer {
            name: consumer.consumer_name().to_owned(),
            created_at: DateTime::from_timestamp(consumer.consumer_creation_timestamp().secs(), 0).unwrap_or_default(),
            events: 0.0,
            refused: 0.0,
            behind_ms: None,
        }));
    }
    if consumers.is_empty() {
        return Ok(consumers);
    }
    let queries = consumers.iter().flat_map(|consumer| {
        METRICS.map(|(metric, statistic)| Query {
            namespace: NAMESPACE,
            metric,
            statistic,
            dimensions: vec![("StreamName", stream.name.clone()), ("ConsumerName", consumer.name.clone())],
        })
    });
    let queries: Vec<Query> = queries.collect();
    let period = TimeDelta::seconds(PERIOD_SECONDS.into());
    let end = now.duration_trunc(period).unwrap_or(now) + period;
    read(&clients.cloudwatch, &queries, PERIOD_SECONDS, (end - TimeDelta::days(DAYS), end), |place, time, value| {
        let consumer = &mut consumers[place / METRICS.len()];
        match place % METRICS.len() {
            0 => consumer.events += value,
            1 => consumer.refused += value,
            _ if time > now - NEWEST_OF_READERS => {
                consumer.behind_ms = Some(consumer.behind_ms.unwrap_or_default().max(value))
            }
            _ => {}
        }
    })
    .await?;
    Ok(consumers)
}
