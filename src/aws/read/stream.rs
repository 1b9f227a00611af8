//! Reads a stream's summary and tags: `DescribeStreamSummary` and `ListTagsForResource`.

use super::ReadError;
use super::account::count;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_kinesis::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_kinesis::error::BoxError;
use aws_sdk_kinesis::types::{RecordDistributionStrategy, StreamDescriptionSummary, StreamMode, StreamStatus};
use chrono::DateTime;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use unthrottle_core::observation::{CapacityMode, Status, Stream, WarmThroughput};
use unthrottle_core::signal::StreamArn;

/// Reads the stream's summary. `None`: the stream does not exist.
///
/// # Errors
/// AWS did not answer, or refused the call.
pub async fn summary(client: &Client, arn: &StreamArn) -> Result<Option<Stream>, ReadError> {
    let queues = QueueCount::default();
    let call = client.describe_stream_summary().stream_arn(arn.to_string());
    match call.customize().interceptor(queues.clone()).send().await {
        Ok(answer) => Ok(answer.stream_description_summary().map(|summary| stream(summary, queues.read()))),
        Err(error) if error.as_service_error().is_some_and(|e| e.is_resource_not_found_exception()) => Ok(None),
        Err(error) => Err(ReadError::new("DescribeStreamSummary", arn, error)),
    }
}

fn stream(summary: &StreamDescriptionSummary, queues: Option<u32>) -> Stream {
    let status = match summary.stream_status() {
        StreamStatus::Active => Status::Active,
        StreamStatus::Creating => Status::Creating,
        StreamStatus::Deleting => Status::Deleting,
        StreamStatus::Updating => Status::Updating,
        other => Status::Unknown(other.as_str().into()),
    };
    let mode = match summary.stream_mode_details().map(|details| details.stream_mode()) {
        Some(StreamMode::Provisioned) => CapacityMode::Provisioned,
        Some(StreamMode::OnDemand) => CapacityMode::OnDemand,
        other => CapacityMode::Unknown(other.map_or("none", StreamMode::as_str).into()),
    };
    Stream {
        name: summary.stream_name().into(),
        arn: summary.stream_arn().into(),
        status,
        mode,
        open_shards: count(summary.open_shard_count()),
        retention_hours: count(summary.retention_period_hours()),
        consumers: count(summary.consumer_count().unwrap_or_default()),
        shard_metrics: summary
            .enhanced_monitoring()
            .iter()
            .flat_map(|monitoring| monitoring.shard_level_metrics().iter().map(|metric| metric.as_str().to_owned()))
            .collect(),
        warm_throughput: summary.warm_throughput().and_then(|warm| {
            let (current, target) = (warm.current_mibps()?, warm.target_mibps()?);
            Some(WarmThroughput { current_mibps: count(current), target_mibps: count(target) })
        }),
        spreads_records: summary.record_distribution_strategy() == Some(&RecordDistributionStrategy::Auto),
        channels: summary.channel_count().map(count),
        queues,
        kms_key: summary.key_id().map(Into::into),
        created_at: DateTime::from_timestamp(summary.stream_creation_timestamp().secs(), 0),
    }
}

/// Reads `QueueCount` from the raw answer, because the SDK does not know the field yet.
#[derive(Clone, Debug, Default)]
struct QueueCount(Arc<Mutex<Option<u32>>>);

impl QueueCount {
    fn read(&self) -> Option<u32> {
        self.0.lock().ok().and_then(|count| *count)
    }
}

impl Intercept for QueueCount {
    fn name(&self) -> &'static str {
        "read QueueCount"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // At this point the SDK has read the whole body into memory.
        let answer = context.response().body().bytes().and_then(|body| serde_json::from_slice::<Value>(body).ok());
        let count = answer.and_then(|answer| answer["StreamDescriptionSummary"]["QueueCount"].as_u64());
        if let Ok(mut read) = self.0.lock() {
            *read = count.and_then(|count| count.try_into().ok());
        }
        Ok(())
    }
}

/// Reads the stream's tags. A stream has at most 50 tags, which AWS sends in one answer.
///
/// # Errors
/// AWS did not answer, or refused the call.
pub async fn tags(client: &Client, arn: &StreamArn) -> Result<BTreeMap<String, String>, ReadError> {
    match client.list_tags_for_resource().resource_arn(arn.to_string()).send().await {
        Ok(answer) => {
            let tags = answer.tags().iter().map(|t| (t.key().to_owned(), t.value().unwrap_or_default().to_owned()));
            Ok(tags.collect())
        }
        Err(error) => Err(ReadError::new("ListTagsForResource", arn, error)),
    }
}
