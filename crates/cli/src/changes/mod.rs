//! The changes that unthrottle made to a stream, as its memory tag and the metric AutoFix show them.

mod shards;

pub(crate) use shards::{ShardsOverTime, changes_shards};

use crate::CliError;
use crate::aws::{called, clock};
use crate::metrics::{self, Query};
use chrono::{DateTime, TimeDelta, Utc};
use strum::VariantNames as _;
use unthrottle::aws::Clients;
use unthrottle_core::decision::Remedy;
use unthrottle_core::memory::{Memory, MemoryError, TAG};
use unthrottle_core::report::metric::{ACTION, AUTO_FIX, NAMESPACE, STREAM_NAME};
use unthrottle_core::signal::StreamArn;

/// A datapoint of the metric AutoFix.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Counted {
    /// The start of its period.
    pub at: DateTime<Utc>,
    /// The remedy's code.
    pub action: &'static str,
    /// How many changes the period has.
    pub count: f64,
}

/// The memory of a stream. The inner error: its tag cannot be read.
///
/// # Errors
/// AWS's answer.
pub(crate) async fn memory(clients: &Clients, stream: &StreamArn) -> Result<Result<Memory, MemoryError>, CliError> {
    let answer = clients.kinesis.list_tags_for_resource().resource_arn(stream.to_string()).send().await;
    let answer = called("ListTagsForResource", answer)?;
    let tag = answer.tags().iter().find(|tag| tag.key() == TAG).and_then(|tag| tag.value());
    Ok(tag.map_or_else(|| Ok(Memory::default()), Memory::parse))
}

/// The changes that the metric AutoFix shows between two times: one entry for each action and period of
/// `period_seconds`.
///
/// # Errors
/// AWS's answer.
pub(crate) async fn counted(
    cloudwatch: &aws_sdk_cloudwatch::Client,
    stream: &str,
    between: (DateTime<Utc>, DateTime<Utc>),
    period_seconds: i32,
) -> Result<Vec<Counted>, CliError> {
    let query = |action: &&str| Query {
        namespace: NAMESPACE,
        metric: AUTO_FIX,
        statistic: "Sum",
        dimensions: vec![(STREAM_NAME, stream.to_owned()), (ACTION, (*action).to_owned())],
    };
    let queries: Vec<Query> = Remedy::VARIANTS.iter().map(query).collect();
    let mut changes = vec![];
    let read = metrics::read(cloudwatch, &queries, period_seconds, between, |place, at, count| {
        if count > 0.0 {
            changes.push(Counted { at, action: Remedy::VARIANTS[place], count });
        }
    });
    called("GetMetricData", read.await)?;
    Ok(changes)
}

/// The last days, up to now.
pub(crate) fn last(days: i64) -> (DateTime<Utc>, DateTime<Utc>) {
    let now = clock().now();
    (now - TimeDelta::days(days), now)
}
