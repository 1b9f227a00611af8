//! The registered consumers, and whether they receive events: `ListStreamConsumers`, and one `GetMetricData`.

use super::metrics::{NAMESPACE, Query, read};
use super::unread::unread;
use crate::doctor::clients::Clients;
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use unthrottle_core::checks::{Consumer, Read};
use unthrottle_core::observation::Stream;

/// How far back events count, in days.
const DAYS: i64 = 7;

/// The metrics of each consumer: its events, and its refused subscriptions.
const METRICS: [(&str, &str); 2] =
    [("SubscribeToShardEvent.Success", "SampleCount"), ("SubscribeToShard.RateExceeded", "Sum")];

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
    let hour = TimeDelta::hours(1);
    let end = now.duration_trunc(hour).unwrap_or(now) + hour;
    read(&clients.cloudwatch, &queries, 3_600, (end - TimeDelta::days(DAYS), end), |place, _, value| {
        let consumer = &mut consumers[place / METRICS.len()];
        if place % METRICS.len() == 0 { consumer.events += value } else { consumer.refused += value }
    })
    .await?;
    Ok(consumers)
}
