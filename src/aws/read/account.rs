//! Reads the account's limits and settings: `DescribeLimits` and `DescribeAccountSettings`.

use super::ReadError;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::ProvideErrorMetadata;
use unthrottle_core::observation::{Commitment, Limits};
use unthrottle_core::signal::StreamArn;

/// The account's limits. `None`: AWS throttled all attempts of the call. `DescribeLimits` allows one call a second to
/// the whole account, and a busy account must not prevent a change. AWS then refuses a change that is above a limit.
///
/// # Errors
/// AWS did not answer, or refused the call.
pub async fn limits(client: &Client, arn: &StreamArn) -> Result<Option<Limits>, ReadError> {
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

/// Whether the account has the throughput commitment. AWS omits the field if the account has none.
///
/// # Errors
/// AWS did not answer, or refused the call.
pub async fn commitment(client: &Client, arn: &StreamArn) -> Result<Commitment, ReadError> {
    let settings = client.describe_account_settings().send().await;
    let settings = settings.map_err(|e| ReadError::new("DescribeAccountSettings", arn, e))?;
    let status = settings.minimum_throughput_billing_commitment().map(|commitment| commitment.status().as_str());
    Ok(match status {
        Some("ENABLED" | "ENABLED_UNTIL_EARLIEST_ALLOWED_END") => Commitment::Enabled,
        _ => Commitment::Disabled,
    })
}

/// A count of AWS's, which the SDK gives as a signed number. AWS sends no negative count; one would become 0.
pub(super) fn count(number: i32) -> u32 {
    number.try_into().unwrap_or(0)
}
