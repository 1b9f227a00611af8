//! `DescribeStreamSummary` and `ListTagsForResource`.

use super::ReadError;
use super::account::count;
use crate::observation::{CapacityMode, Status, Stream};
use crate::signal::StreamArn;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::types::{StreamDescriptionSummary, StreamMode, StreamStatus};
use std::collections::BTreeMap;

/// The stream's summary; `None`: there is no such stream.
pub(super) async fn summary(client: &Client, arn: &StreamArn) -> Result<Option<Stream>, ReadError> {
    match client.describe_stream_summary().stream_arn(arn.to_string()).send().await {
        Ok(answer) => Ok(answer.stream_description_summary().map(stream)),
        Err(error) if error.as_service_error().is_some_and(|e| e.is_resource_not_found_exception()) => Ok(None),
        Err(error) => Err(ReadError::new("DescribeStreamSummary", arn, error)),
    }
}

fn stream(summary: &StreamDescriptionSummary) -> Stream {
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
    }
}

/// The stream's tags. A stream has 50 at most: they come in one answer.
pub(super) async fn tags(client: &Client, arn: &StreamArn) -> Result<BTreeMap<String, String>, ReadError> {
    match client.list_tags_for_resource().resource_arn(arn.to_string()).send().await {
        Ok(answer) => {
            let tags = answer.tags().iter().map(|t| (t.key().to_owned(), t.value().unwrap_or_default().to_owned()));
            Ok(tags.collect())
        }
        Err(error) => Err(ReadError::new("ListTagsForResource", arn, error)),
    }
}
