//! `DescribeLimits`.

use super::ReadError;
use crate::observation::Limits;
use crate::signal::StreamArn;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::ProvideErrorMetadata;

/// The account's limits; `None` when the call stays throttled: it allows one call a second to the whole account, and
/// a busy account must not keep a stream from healing. AWS's own refusal is then the bound.
pub(super) async fn limits(client: &Client, arn: &StreamArn) -> Result<Option<Limits>, ReadError> {
    match client.describe_limits().send().await {
        Ok(limits) => Ok(Some(Limits {
            shard_limit: count(limits.shard_limit()),
            open_shards: count(limits.open_shard_count()),
            on_demand_streams: count(limits.on_demand_stream_count()),
            on_demand_stream_limit: count(limits.on_demand_stream_count_limit()),
        })),
        Err(error) if matches!(error.code(), Some("LimitExceededException" | "ThrottlingException")) => Ok(None),
        Err(error) => Err(ReadError::new("DescribeLimits", arn, error)),
    }
}

/// A count as AWS sends it; it is never negative.
pub(super) fn count(number: i32) -> u32 {
    number.try_into().unwrap_or(0)
}
