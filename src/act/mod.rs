//! Decision → AWS: the intent into the stream's tag, then the change, then its AutoFix datum. What to do is decided;
//! here it is only carried out, or found to be impossible, by name.

use crate::clients::Clients;
use crate::decide::{Decision, Reason, Remedy, Verdict};
use crate::memory::{Memory, TAG};
use crate::observe::{Cause, Look};
use crate::policy::Mode;
use crate::report::AutoFix;
use crate::report::metric::{Fix, Reverted};
use crate::signal::StreamArn;
use aws_sdk_kinesis::config::timeout::{TimeoutConfig, TimeoutConfigBuilder};
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::types::{MetricsName, ScalingType, StreamMode, StreamModeDetails};
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::time::Duration;

/// A change of capacity goes out only if the stream's summary was asked for less than this long ago: AWS's shortest
/// change takes about four seconds, so none can have begun and ended in between.
pub const LOOK_GOOD_FOR: Duration = Duration::from_secs(3);

/// The note of a hold is not begun with less time than this: a tag is written in far less.
const SHORTEST_CALL: Duration = Duration::from_millis(500);

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

/// An intent that this run has written, and the tag before it.
#[derive(Clone, Debug)]
pub struct Intent {
    memory: Memory,
    remedy: Remedy,
    text: String,
    before: Option<String>,
    /// What is to be counted now that the intent says so.
    owed: Owed,
}

/// Data that a decision is to send once its memory is written: the memory says that they were.
#[derive(Clone, Debug, Default)]
struct Owed {
    uncounted: Vec<(&'static str, DateTime<Utc>)>,
    reverted: Option<DateTime<Utc>>,
}

impl Owed {
    fn of(decision: &Decision) -> Owed {
        Owed { uncounted: decision.uncounted.clone(), reverted: decision.reverted }
    }
}

impl Intent {
    /// Sends what was to be counted with it, where the run ends without a decision.
    pub async fn settle(self, clients: &Clients, stream: &StreamArn) {
        Actor::new(clients, stream).send(&self.owed).await;
    }

    /// Takes our own intent out of a later look of the same run, so that it is not taken for another run's. On a stream
    /// that has changed meanwhile it stays: it may stand for the change of a run whose intent ours has overwritten.
    pub fn pardon(&self, look: &mut Look) {
        let stream = look.observation.stream.as_ref();
        let unchanged = stream.zip(self.memory.change.as_ref()).is_some_and(|(s, change)| change.is_undone(s));
        let tags = &mut look.observation.tags;
        if unchanged && tags.get(TAG) == Some(&self.text) {
            match &self.before {
                Some(before) => tags.insert(TAG.into(), before.clone()),
                None => tags.remove(TAG),
            };
        }
    }
}

/// What came of carrying out a decision.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one lives at a time, and not for long")]
pub enum Acted {
    /// It is done; the decision's verdict says what AWS made of it.
    Done {
        /// The decision as it turned out.
        decision: Decision,
        /// How the AutoFix datum went out, if a change was counted.
        auto_fix: Option<AutoFix>,
        /// Lines for the log that CloudWatch makes metrics of.
        lines: Vec<Value>,
        /// AWS's answer did not fit the look: the next signal must look again.
        surprised: bool,
    },
    /// The look has grown too old for a change: look again. Nothing but the intent was written.
    Stale(Intent),
}

/// Carries out `decision`, taken on `look`. `earlier`: the intent that this run has already written.
///
/// # Errors
/// A call that AWS did not answer, or throttled to the end.
pub async fn act(
    clients: &Clients,
    stream: &StreamArn,
    look: &Look,
    decision: Decision,
    earlier: Option<Intent>,
) -> Result<Acted, ActError> {
    let mut actor = Actor::new(clients, stream);
    let decision = match actor.carry_out(look, &decision, earlier).await {
        Ok(()) => decision,
        Err(Stop::Hold(reason)) => Decision { verdict: Verdict::Hold(reason), ..decision },
        Err(Stop::Stale(intent)) => return Ok(Acted::Stale(*intent)),
        Err(Stop::Fail(error)) => return Err(error),
    };
    let Actor { auto_fix, lines, surprised, .. } = actor;
    Ok(Acted::Done { decision, auto_fix, lines, surprised })
}

/// Why a decision was not carried out.
enum Stop {
    Hold(Reason),
    Stale(Box<Intent>),
    Fail(ActError),
}

struct Actor<'a> {
    clients: &'a Clients,
    stream: &'a StreamArn,
    /// What is to be counted, because the memory in the tag says so.
    owed: Owed,
    auto_fix: Option<AutoFix>,
    lines: Vec<Value>,
    surprised: bool,
}

impl<'a> Actor<'a> {
    fn new(clients: &'a Clients, stream: &'a StreamArn) -> Actor<'a> {
        Actor { clients, stream, owed: Owed::default(), auto_fix: None, lines: vec![], surprised: false }
    }

    async fn carry_out(&mut self, look: &Look, decision: &Decision, earlier: Option<Intent>) -> Result<(), Stop> {
        if decision.mode != Mode::Heal {
            return Ok(());
        }
        let done = match &decision.verdict {
            Verdict::Act(remedy) => self.heal(look, decision, remedy, earlier).await,
            Verdict::Hold(_) => {
                self.owed = earlier.map(|intent| intent.owed).unwrap_or_default();
                self.note(look, decision).await
            }
        };
        // A look that could not note it finds it again.
        if !matches!(done, Err(Stop::Stale(_))) {
            let owed = std::mem::take(&mut self.owed);
            self.send(&owed).await;
        }
        done
    }

    async fn send(&mut self, owed: &Owed) {
        for (action, at) in &owed.uncounted {
            self.count(action, *at).await;
        }
        if let Some(at) = owed.reverted {
            let reverted = Reverted { stream: self.stream, at };
            self.lines.extend(reverted.send(&self.clients.cloudwatch).await);
        }
    }

    /// The intent, the change, its datum.
    async fn heal(
        &mut self,
        look: &Look,
        decision: &Decision,
        remedy: &Remedy,
        earlier: Option<Intent>,
    ) -> Result<(), Stop> {
        let intent = match earlier.filter(|e| e.remedy == *remedy) {
            Some(announced) => announced,
            None => self.announce(look, decision, remedy).await?,
        };
        self.owed = intent.owed.clone();
        if look.asked.elapsed() >= LOOK_GOOD_FOR {
            return Err(Stop::Stale(Box::new(intent)));
        }
        self.change(remedy, &intent.memory).await?;
        let at = intent.memory.change.map_or_else(Utc::now, |change| change.at);
        self.count(Remedy::code_of(remedy.kind()), at).await;
        Ok(())
    }

    /// What a hold has found out. Only while the look is good: a later write could erase the intent of another run.
    async fn note(&mut self, look: &Look, decision: &Decision) -> Result<(), Stop> {
        let Some(memory) = &decision.memory else { return Ok(()) };
        let left = LOOK_GOOD_FOR.saturating_sub(look.asked.elapsed());
        if left < SHORTEST_CALL {
            return match decision.verdict {
                // What is not noted is found, and told, by the next look.
                Verdict::Hold(Reason::Healthy { .. }) => Err(Stop::Hold(Reason::Healthy { healed: None })),
                _ => Ok(()),
            };
        }
        self.write(memory, TimeoutConfig::builder().operation_timeout(left)).await?;
        self.owed = Owed::of(decision);
        Ok(())
    }

    async fn announce(&self, look: &Look, decision: &Decision, remedy: &Remedy) -> Result<Intent, Stop> {
        let memory = decision.memory.clone().unwrap_or_default();
        let text = self.write(&memory, TimeoutConfig::builder()).await?;
        let before = look.observation.tags.get(TAG).cloned();
        Ok(Intent { memory, remedy: remedy.clone(), text, before, owed: Owed::of(decision) })
    }

    /// Writes the memory into the tag, and gives the tag's value. `timeouts` may be shorter than the client's.
    async fn write(&self, memory: &Memory, timeouts: TimeoutConfigBuilder) -> Result<String, Stop> {
        const CALL: &str = "TagResource";
        let text = memory.encode().map_err(|e| Stop::Hold(Reason::CannotRemember(e.to_string())))?;
        let in_time = aws_sdk_kinesis::config::Builder::new().timeout_config(timeouts.build());
        let call = self.clients.kinesis.tag_resource().resource_arn(self.stream.to_string()).tags(TAG, &text);
        match call.customize().config_override(in_time).send().await {
            Ok(_) => Ok(text),
            // Still throttled after its retries: Lambda tries the whole run again.
            Err(error) if matches!(error.code(), Some("LimitExceededException" | "ThrottlingException")) => {
                Err(Stop::Fail(self.failed(CALL, NOTHING_CHANGED, error)))
            }
            Err(error) => Err(match self.refused(CALL, NOTHING_CHANGED, error) {
                Stop::Hold(Reason::Refused { code, message }) => {
                    Stop::Hold(Reason::CannotRemember(format!("{code}: {message}")))
                }
                other => other,
            }),
        }
    }

    async fn change(&mut self, remedy: &Remedy, memory: &Memory) -> Result<(), Stop> {
        let stopped = match remedy {
            Remedy::ScaleShards { from, to, .. } | Remedy::Restore { from, to, .. } => {
                self.update_shard_count(*from, *to).await
            }
            Remedy::SplitShard { shard, at, .. } => self.split_shard(shard, *at).await,
            Remedy::SwitchToOnDemand { warm_mibps, .. } => {
                self.update_stream_mode(StreamMode::OnDemand, *warm_mibps).await
            }
            Remedy::SwitchToProvisioned { .. } => self.update_stream_mode(StreamMode::Provisioned, None).await,
            Remedy::WarmUp { to, .. } => self.update_warm_throughput(*to).await,
            Remedy::EnableShardMetrics { metrics, .. } => self.enable_metrics(metrics).await,
            Remedy::DisableShardMetrics { metrics, .. } => self.disable_metrics(metrics).await,
        };
        if let Err(Stop::Hold(Reason::Refused { code, .. })) = &stopped {
            let is_limit = code == "LimitExceededException";
            self.write(&memory.refuse(remedy.kind(), Utc::now(), is_limit), TimeoutConfig::builder()).await?;
        }
        stopped
    }

    async fn update_shard_count(&mut self, from: u32, to: u32) -> Result<(), Stop> {
        const CALL: &str = "UpdateShardCount";
        let call = self.clients.kinesis_once.update_shard_count().stream_arn(self.stream.to_string());
        let call = call.target_shard_count(whole(to));
        let answer = call.scaling_type(ScalingType::UniformScaling).send().await;
        let answer = answer.map_err(|e| self.refused(CALL, MAYBE_CHANGED, e))?;
        let current = answer.current_shard_count().and_then(|n| u32::try_from(n).ok());
        self.surprised = current != Some(from);
        if self.surprised {
            tracing::warn!(stream = %self.stream, from, ?current, to, "the stream was not as it was seen");
        }
        // Somebody else has just made the same change.
        if current == Some(to) { Err(Stop::Hold(Reason::Resharding)) } else { Ok(()) }
    }

    async fn split_shard(&self, shard: &str, at: u128) -> Result<(), Stop> {
        let call = self.clients.kinesis_once.split_shard().stream_arn(self.stream.to_string());
        let answer = call.shard_to_split(shard).new_starting_hash_key(at.to_string()).send().await;
        answer.map(|_| ()).map_err(|e| self.refused("SplitShard", MAYBE_CHANGED, e))
    }

    async fn update_stream_mode(&self, mode: StreamMode, warm_mibps: Option<u32>) -> Result<(), Stop> {
        const CALL: &str = "UpdateStreamMode";
        let mode = StreamModeDetails::builder().stream_mode(mode).build();
        let mode = mode.map_err(|e| Stop::Fail(self.failed(CALL, NOTHING_CHANGED, e)))?;
        let call = self.clients.kinesis_once.update_stream_mode().stream_arn(self.stream.to_string());
        let call = call.stream_mode_details(mode).set_warm_throughput_mibps(warm_mibps.map(whole));
        call.send().await.map(|_| ()).map_err(|e| self.refused(CALL, MAYBE_CHANGED, e))
    }

    async fn update_warm_throughput(&self, to: u32) -> Result<(), Stop> {
        let call = self.clients.kinesis_once.update_stream_warm_throughput().stream_arn(self.stream.to_string());
        let answer = call.warm_throughput_mibps(whole(to)).send().await;
        answer.map(|_| ()).map_err(|e| self.refused("UpdateStreamWarmThroughput", MAYBE_CHANGED, e))
    }

    async fn enable_metrics(&self, metrics: &[&str]) -> Result<(), Stop> {
        let call = self.clients.kinesis_once.enable_enhanced_monitoring().stream_arn(self.stream.to_string());
        let answer = call.set_shard_level_metrics(Some(names(metrics))).send().await;
        answer.map(|_| ()).map_err(|e| self.refused("EnableEnhancedMonitoring", MAYBE_CHANGED, e))
    }

    async fn disable_metrics(&self, metrics: &[&str]) -> Result<(), Stop> {
        let call = self.clients.kinesis_once.disable_enhanced_monitoring().stream_arn(self.stream.to_string());
        let answer = call.set_shard_level_metrics(Some(names(metrics))).send().await;
        answer.map(|_| ()).map_err(|e| self.refused("DisableEnhancedMonitoring", MAYBE_CHANGED, e))
    }

    /// What an error of `call` means: an answer of AWS's is a hold, anything else is a failure.
    fn refused<E>(&self, call: &'static str, effect: &'static str, error: SdkError<E>) -> Stop
    where
        E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        // A 5xx, like silence, leaves open whether the call was carried out.
        let is_answer = error.raw_response().is_some_and(|r| r.status().is_client_error());
        match error.code() {
            Some("ResourceInUseException") => Stop::Hold(Reason::Resharding),
            Some("ResourceNotFoundException") => Stop::Hold(Reason::StreamGone),
            Some(code) if is_answer => {
                let message = error.message().unwrap_or("no message").to_owned();
                Stop::Hold(Reason::Refused { code: code.into(), message })
            }
            _ => Stop::Fail(self.failed(call, effect, error)),
        }
    }

    fn failed(
        &self,
        call: &'static str,
        effect: &'static str,
        error: impl std::error::Error + Send + Sync + 'static,
    ) -> ActError {
        ActError { call, stream: self.stream.name.clone(), effect, source: Cause::of(error) }
    }

    async fn count(&mut self, action: &str, at: DateTime<Utc>) {
        let (auto_fix, line) = Fix { stream: self.stream, action, at }.send(&self.clients.cloudwatch).await;
        self.auto_fix = Some(auto_fix);
        self.lines.extend(line);
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
