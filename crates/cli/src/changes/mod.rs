//! The changes that unthrottle made to a stream, as its memory tag and the metric AutoFix show them.

mod shards;

pub(crate) use shards::{ShardsOverTime, Step};

use crate::aws::{called, clock};
use crate::{CliError, auto_fix};
use chrono::{DateTime, TimeDelta, Utc};
use unthrottle::aws::Clients;
use unthrottle_core::memory::{Memory, MemoryError, TAG};
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

/// The changes that the metric AutoFix shows: one entry for each action and period of `period` seconds.
///
/// # Errors
/// AWS's answer.
pub(crate) async fn counted(
    cloudwatch: &aws_sdk_cloudwatch::Client,
    stream: &StreamArn,
    days: i64,
    period: i32,
) -> Result<Vec<Counted>, CliError> {
    let now = clock().now();
    let changes = auto_fix::changes(cloudwatch, &stream.name, (now - TimeDelta::days(days), now), period).await?;
    Ok(changes.into_iter().map(|(at, action, count)| Counted { at, action, count }).collect())
}
