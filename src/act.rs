//! Decision → AWS: the calls that change something. In which order, and what their answers mean, is `run`'s.

use crate::clients::Clients;
use crate::clock::Clock;
use crate::decide::{Remedy, Wants};
use crate::heal;
use crate::memory::TAG;
use crate::observation::Observation;
use crate::observe::{Cause, Observer};
use crate::report::AutoFix;
use crate::report::metric::{Fix, Reverted};
use crate::run::{Answer, Look, Unmade, Wire};
use crate::signal::StreamArn;
use aws_sdk_kinesis::config::timeout::TimeoutConfig;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::types::{MetricsName, ScalingType, StreamMode, StreamModeDetails};
use chrono::{DateTime, SubsecRound, Utc};
use serde_json::Value;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A call that was not answered, or throttled to the end.
#[derive(Debug, thiserror::Error)]
#[error("{call} of `{stream}` failed, {effect}: {source}")]
pub struct ActError {
    /// The call, such as `UpdateShardCount`.
    pub call: &'static str,
    /// The stream.
    pub stream: String,
    /// What that means for the stream.
    pub effect: &'static str,
    /// The SDK's error with its causes.
    pub source: Cause,
}

/// AWS by its SDK, for one run.
pub(crate) struct Aws<'a> {
    time: &'a dyn Clock,
    clients: &'a Clients,
    observer: &'a Observer,
    stream: &'a StreamArn,
    /// How the first AutoFix datum went out, which is that of the run's own change where it made one.
    pub auto_fix: Option<AutoFix>,
    /// Lines for the log that CloudWatch makes metrics of.
    pub lines: Vec<Value>,
    left: &'a Mutex<Vec<Value>>,
}

impl<'a> Aws<'a> {
    /// `left`: where the lines go that nobody has taken when the run is over, or given up.
    pub(crate) fn new(
        time: &'a dyn Clock,
        clients: &'a Clients,
        observer: &'a Observer,
        stream: &'a StreamArn,
        left: &'a Mutex<Vec<Value>>,
    ) -> Aws<'a> {
        Aws { time, clients, observer, stream, auto_fix: None, lines: vec![], left }
    }
}

impl Drop for Aws<'_> {
    fn drop(&mut self) {
        self.left.lock().unwrap_or_else(PoisonError::into_inner).append(&mut self.lines);
    }
}

impl Wire for Aws<'_> {
    type Error = heal::Error;

    fn now(&self) -> DateTime<Utc> {
        self.time.now()
    }

    fn clock(&self) -> Duration {
        self.time.elapsed()
    }

    async fn look(&mut self) -> Result<Look, heal::Error> {
        let asked = self.clock();
        let observation = self.observer.look(self.stream, self.now().trunc_subsecs(3)).await?;
        Ok(Look { observation, asked })
    }

    async fn look_closer(&mut self, seen: &mut Observation, wants: Wants) -> Result<(), heal::Error> {
        Ok(self.observer.look_closer(self.stream, seen, wants).await?)
    }

    async fn tag(&mut self, text: &str, within: Option<Duration>) -> Result<(), Unmade<heal::Error>> {
        let mut timeouts = TimeoutConfig::builder();
        timeouts.set_operation_timeout(within);
        let in_time = aws_sdk_kinesis::config::Builder::new().timeout_config(timeouts.build());
        let call = self.clients.kinesis.tag_resource().resource_arn(self.stream.to_string()).tags(TAG, text);
        let answer = call.customize().config_override(in_time).send().await;
        answer.map(|_| ()).map_err(|e| self.unmade("TagResource", NOTHING_CHANGED, e))
    }

    async fn change(&mut self, remedy: &Remedy) -> Result<Option<u32>, Unmade<heal::Error>> {
        match remedy {
            Remedy::ScaleShards { from, to, .. } | Remedy::Restore { from, to, .. } => {
                return self.update_shard_count(*from, *to).await;
            }
            Remedy::SplitShard { shard, at, .. } => self.split_shard(shard, *at).await,
            Remedy::SwitchToOnDemand { warm_mibps, .. } => {
                self.update_stream_mode(StreamMode::OnDemand, *warm_mibps).await
            }
            Remedy::SwitchToProvisioned { .. } => self.update_stream_mode(StreamMode::Provisioned, None).await,
            Remedy::WarmUp { to, .. } => self.update_warm_throughput(*to).await,
            Remedy::EnableShardMetrics { metrics, .. } => self.enable_metrics(metrics).await,
            Remedy::DisableShardMetrics { metrics, .. } => self.disable_metrics(metrics).await,
        }
        .map(|()| None)
    }

    async fn count(&mut self, action: &'static str, at: DateTime<Utc>) {
        let (auto_fix, line) = Fix { stream: self.stream, action, at }.send(&self.clients.cloudwatch).await;
        self.auto_fix.get_or_insert(auto_fix);
        self.lines.extend(line);
    }

    async fn count_reverted(&mut self, at: DateTime<Utc>) {
        let reverted = Reverted { stream: self.stream, at };
        self.lines.extend(reverted.send(&self.clients.cloudwatch).await);
    }
}

/// A call without an answer that matters.
type Made = Result<(), Unmade<heal::Error>>;

impl Aws<'_> {
    async fn update_shard_count(&self, from: u32, to: u32) -> Result<Option<u32>, Unmade<heal::Error>> {
        let call = self.clients.kinesis_once.update_shard_count().stream_arn(self.stream.to_string());
        let call = call.target_shard_count(whole(to)).scaling_type(ScalingType::UniformScaling);
        let answer = call.send().await.map_err(|e| self.unmade("UpdateShardCount", MAYBE_CHANGED, e))?;
        let current = answer.current_shard_count().and_then(|n| u32::try_from(n).ok());
        if current != Some(from) {
            tracing::warn!(stream = %self.stream, from, ?current, to, "the stream was not as it was seen");
        }
        Ok(current)
    }

    async fn split_shard(&self, shard: &str, at: u128) -> Made {
        let call = self.clients.kinesis_once.split_shard().stream_arn(self.stream.to_string());
        let answer = call.shard_to_split(shard).new_starting_hash_key(at.to_string()).send().await;
        answer.map(|_| ()).map_err(|e| self.unmade("SplitShard", MAYBE_CHANGED, e))
    }

    async fn update_stream_mode(&self, mode: StreamMode, warm_mibps: Option<u32>) -> Made {
        const CALL: &str = "UpdateStreamMode";
        let mode = StreamModeDetails::builder().stream_mode(mode).build();
        let mode = mode.map_err(|e| Unmade { answer: None, error: self.failed(CALL, NOTHING_CHANGED, e) })?;
        let call = self.clients.kinesis_once.update_stream_mode().stream_arn(self.stream.to_string());
        let call = call.stream_mode_details(mode).set_warm_throughput_mibps(warm_mibps.map(whole));
        call.send().await.map(|_| ()).map_err(|e| self.unmade(CALL, MAYBE_CHANGED, e))
    }

    async fn update_warm_throughput(&self, to: u32) -> Made {
        let call = self.clients.kinesis_once.update_stream_warm_throughput().stream_arn(self.stream.to_string());
        let answer = call.warm_throughput_mibps(whole(to)).send().await;
        answer.map(|_| ()).map_err(|e| self.unmade("UpdateStreamWarmThroughput", MAYBE_CHANGED, e))
    }

    async fn enable_metrics(&self, metrics: &[&str]) -> Made {
        let call = self.clients.kinesis_once.enable_enhanced_monitoring().stream_arn(self.stream.to_string());
        let answer = call.set_shard_level_metrics(Some(names(metrics))).send().await;
        answer.map(|_| ()).map_err(|e| self.unmade("EnableEnhancedMonitoring", MAYBE_CHANGED, e))
    }

    async fn disable_metrics(&self, metrics: &[&str]) -> Made {
        let call = self.clients.kinesis_once.disable_enhanced_monitoring().stream_arn(self.stream.to_string());
        let answer = call.set_shard_level_metrics(Some(names(metrics))).send().await;
        answer.map(|_| ()).map_err(|e| self.unmade("DisableEnhancedMonitoring", MAYBE_CHANGED, e))
    }

    fn unmade<E>(&self, call: &'static str, effect: &'static str, error: SdkError<E>) -> Unmade<heal::Error>
    where
        E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        // A 5xx, like silence, leaves open whether the call was carried out.
        let is_answer = error.raw_response().is_some_and(|r| r.status().is_client_error());
        let answer = error
            .code()
            .filter(|_| is_answer)
            .map(|code| Answer { code: code.into(), message: error.message().unwrap_or("no message").into() });
        Unmade { answer, error: self.failed(call, effect, error) }
    }

    fn failed(
        &self,
        call: &'static str,
        effect: &'static str,
        error: impl std::error::Error + Send + Sync + 'static,
    ) -> heal::Error {
        ActError { call, stream: self.stream.name.clone(), effect, source: Cause::of(error) }.into()
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
const MAYBE_CHANGED: &str = "whether it was carried out shows at the next look";
