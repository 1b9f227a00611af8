//! The calls that change a stream: its tag and its capacity. The order of these calls, and what AWS's answers mean, is
//! in [`unthrottle_core::run`].

use super::Clients;
use super::error::{ApplyError, AwsError, Cause};
use aws_sdk_kinesis::config::timeout::TimeoutConfig;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::types::{MetricsName, ScalingType, StreamMode, StreamModeDetails};
use std::time::Duration;
use unthrottle_core::decision::Remedy;
use unthrottle_core::memory::TAG;
use unthrottle_core::run::{Answer, CallFailed};
use unthrottle_core::signal::StreamArn;

/// Changes of one stream.
pub(super) struct Changes<'a> {
    pub clients: &'a Clients,
    pub stream: &'a StreamArn,
}

/// A call without an answer that matters.
type Made = Result<(), CallFailed<AwsError>>;

impl Changes<'_> {
    /// `TagResource` of the memory. `within`: the call is given up after this time; `None`: after the time of any call.
    pub(super) async fn write_memory(&self, text: &str, within: Option<Duration>) -> Result<(), CallFailed<AwsError>> {
        let mut timeouts = TimeoutConfig::builder();
        timeouts.set_operation_timeout(within);
        let in_time = aws_sdk_kinesis::config::Builder::new().timeout_config(timeouts.build());
        let call = self.clients.kinesis.tag_resource().resource_arn(self.stream.to_string()).tags(TAG, text);
        let answer = call.customize().config_override(in_time).send().await;
        answer.map(|_| ()).map_err(|e| self.call_failed("TagResource", NOTHING_CHANGED, e))
    }

    /// Makes the call of a remedy, with a single attempt. Gives the open shards before it, where AWS names them.
    pub(super) async fn change(&self, remedy: &Remedy) -> Result<Option<u32>, CallFailed<AwsError>> {
        match remedy {
            Remedy::ScaleShards { from, to, .. }
            | Remedy::ScaleAhead { from, to, .. }
            | Remedy::Restore { from, to, .. } => {
                return self.update_shard_count(*from, *to).await;
            }
            Remedy::SplitShard { shard, at, .. } => self.split_shard(shard, *at).await,
            Remedy::SwitchToOnDemand { warm_mibps, .. } => {
                self.update_stream_mode(StreamMode::OnDemand, *warm_mibps).await
            }
            Remedy::SwitchToProvisioned { .. } => self.update_stream_mode(StreamMode::Provisioned, None).await,
            Remedy::WarmUp { to_mibps, .. } => self.update_warm_throughput(*to_mibps).await,
            Remedy::EnableShardMetrics { metrics, .. } => self.enable_metrics(metrics).await,
            Remedy::DisableShardMetrics { metrics, .. } => self.disable_metrics(metrics).await,
        }
        .map(|()| None)
    }

    async fn update_shard_count(&self, from: u32, to: u32) -> Result<Option<u32>, CallFailed<AwsError>> {
        let call = self.clients.kinesis_once.update_shard_count().stream_arn(self.stream.to_string());
        let call = call.target_shard_count(whole(to)).scaling_type(ScalingType::UniformScaling);
        let answer = call.send().await.map_err(|e| self.call_failed("UpdateShardCount", MAYBE_CHANGED, e))?;
        let current = answer.current_shard_count().and_then(|n| u32::try_from(n).ok());
        if current != Some(from) {
            tracing::warn!(stream = %self.stream, from, ?current, to, "the shards differ from the observation");
        }
        Ok(current)
    }

    async fn split_shard(&self, shard: &str, at: u128) -> Made {
        let call = self.clients.kinesis_once.split_shard().stream_arn(self.stream.to_string());
        let answer = call.shard_to_split(shard).new_starting_hash_key(at.to_string()).send().await;
        answer.map(|_| ()).map_err(|e| self.call_failed("SplitShard", MAYBE_CHANGED, e))
    }

    async fn update_stream_mode(&self, mode: StreamMode, warm_mibps: Option<u32>) -> Made {
        const CALL: &str = "UpdateStreamMode";
        let mode = StreamModeDetails::builder().stream_mode(mode).build();
        let mode = mode.map_err(|e| CallFailed { answer: None, error: self.failed(CALL, NOTHING_CHANGED, e) })?;
        let call = self.clients.kinesis_once.update_stream_mode().stream_arn(self.stream.to_string());
        let call = call.stream_mode_details(mode).set_warm_throughput_mibps(warm_mibps.map(whole));
        call.send().await.map(|_| ()).map_err(|e| self.call_failed(CALL, MAYBE_CHANGED, e))
    }

    async fn update_warm_throughput(&self, to: u32) -> Made {
        let call = self.clients.kinesis_once.update_stream_warm_throughput().stream_arn(self.stream.to_string());
        let answer = call.warm_throughput_mibps(whole(to)).send().await;
        answer.map(|_| ()).map_err(|e| self.call_failed("UpdateStreamWarmThroughput", MAYBE_CHANGED, e))
    }

    async fn enable_metrics(&self, metrics: &[&str]) -> Made {
        let call = self.clients.kinesis_once.enable_enhanced_monitoring().stream_arn(self.stream.to_string());
        let answer = call.set_shard_level_metrics(Some(names(metrics))).send().await;
        answer.map(|_| ()).map_err(|e| self.call_failed("EnableEnhancedMonitoring", MAYBE_CHANGED, e))
    }

    async fn disable_metrics(&self, metrics: &[&str]) -> Made {
        let call = self.clients.kinesis_once.disable_enhanced_monitoring().stream_arn(self.stream.to_string());
        let answer = call.set_shard_level_metrics(Some(names(metrics))).send().await;
        answer.map(|_| ()).map_err(|e| self.call_failed("DisableEnhancedMonitoring", MAYBE_CHANGED, e))
    }

    fn call_failed<E>(&self, call: &'static str, effect: &'static str, error: SdkError<E>) -> CallFailed<AwsError>
    where
        E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        // A 5xx, like silence, leaves open whether the call was carried out.
        let is_answer = error.raw_response().is_some_and(|r| r.status().is_client_error());
        let answer = error
            .code()
            .filter(|_| is_answer)
            .map(|code| Answer { code: code.into(), message: error.message().unwrap_or("no message").into() });
        CallFailed { answer, error: self.failed(call, effect, error) }
    }

    fn failed(
        &self,
        call: &'static str,
        effect: &'static str,
        error: impl std::error::Error + Send + Sync + 'static,
    ) -> AwsError {
        ApplyError { call, stream: self.stream.name.clone(), effect, source: Cause::of(error) }.into()
    }
}

/// As the SDK counts.
fn whole(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn names(metrics: &[&str]) -> Vec<MetricsName> {
    metrics.iter().map(|metric| MetricsName::from(*metric)).collect()
}

const NOTHING_CHANGED: &str = "nothing was changed";
const MAYBE_CHANGED: &str = "whether it was carried out shows at the next check";
