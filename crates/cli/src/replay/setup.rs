//! Builds a world on a local account: the account, the stream with its past, and the traffic.

use super::traffic::{Tally, Target};
use super::world::{Load, Published, Reads, ShardMetricsState, StreamState, World, Writes};
use crate::CliError;
use crate::aws::{called, local_config};
use crate::streams::open_shards;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::types::{MetricsName, ScalingType, StreamMode, StreamModeDetails, StreamStatus};
use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use std::time::Duration;
use unthrottle::aws::Clients;
use unthrottle_core::decision::Remedy;
use unthrottle_core::memory::TAG;
use unthrottle_core::observation::SHARD_METRICS;
use unthrottle_core::report::metric::{AUTO_FIX, Count, NAMESPACE};
use unthrottle_core::signal::StreamArn;
use unthrottle_lab::local::{Clock, Effect, Fault, LocalAccount, Options};

/// Seconds of the same traffic after the change. A shard keeps some capacity for a burst and uses it up in the first
/// second, so a much shorter time would hide throttling.
pub(super) const SECONDS_AFTER: usize = 20;
/// The age of a stream. Its memory must not be older than the stream: unthrottle takes such a memory for that of an
/// earlier stream of this name. The longest memory of a sample is of two days.
const STREAM_AGE: Duration = Duration::from_secs(7 * 86_400);
/// Seconds on the account's clock. A change on the local account takes four. A stream that takes ten times as long is
/// stuck.
const ACTIVE_WITHIN: u32 = 40;
/// How long AWS creates a stream that is still being created when the replay ends. A replay takes a few minutes.
const CREATED_AFTER_THE_REPLAY: Duration = Duration::from_secs(600);

/// The size of a stream. [`Size::default`]: there is no stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Open shards.
    pub shards: u32,
    /// Whether the stream is in on-demand mode.
    pub is_on_demand: bool,
}

/// The account that a world needs. `now`: when its clock begins.
pub(super) async fn account(world: &World, now: DateTime<Utc>) -> Result<LocalAccount, CliError> {
    let options = Options {
        clock: Clock::standing_at(now),
        shard_limit: world.account.shard_limit,
        commitment: world.account.commitment(),
        ..Options::default()
    };
    let options = match world.stream {
        StreamState::Creating => Options { create_time: CREATED_AFTER_THE_REPLAY, ..options },
        StreamState::Active | StreamState::Absent | StreamState::Resharding => options,
    };
    Ok(LocalAccount::start(options).await?)
}

/// A world that is built.
pub(super) struct ReplayedStream<'a> {
    world: &'a World,
    account: LocalAccount,
    clients: Clients,
    /// For traffic. It makes each call once, without a time limit.
    traffic: Client,
    stream: &'a StreamArn,
    /// When the clock of the account began.
    begin: DateTime<Utc>,
}

impl<'a> ReplayedStream<'a> {
    /// Builds the world on `account`, up to the traffic.
    pub async fn new(
        world: &'a World,
        account: LocalAccount,
        clients: Clients,
        stream: &'a StreamArn,
    ) -> Result<ReplayedStream<'a>, CliError> {
        let config = local_config(account.url()).into_builder().retry_config(RetryConfig::disabled()).build();
        let begin = account.now();
        let fixture = ReplayedStream { world, account, clients, traffic: Client::new(&config), stream, begin };
        if world.stream != StreamState::Absent {
            fixture.create().await?;
        }
        Ok(fixture)
    }

    /// Creates the stream, and its past once it is ACTIVE.
    async fn create(&self) -> Result<(), CliError> {
        let shards = i32::try_from(self.world.shards).unwrap_or(i32::MAX);
        let create = self.clients.kinesis.create_stream().stream_name(&self.stream.name).shard_count(shards);
        called("CreateStream", create.send().await)?;
        if self.world.stream == StreamState::Creating {
            return Ok(());
        }
        self.wait_until_active().await?;
        if self.world.mode == super::world::StreamMode::OnDemand {
            self.switch_to_on_demand().await?;
        }
        if self.world.shard_metrics == ShardMetricsState::BeforeTraffic {
            self.enable_shard_metrics().await?;
        }
        self.account.age(STREAM_AGE).await;
        self.tag().await?;
        self.count_last_change();
        for _ in 0..self.world.account.changes_of_other_streams {
            self.account.put_metric(NAMESPACE, AUTO_FIX, &[], self.account.now() - TimeDelta::minutes(10), 1.0);
        }
        if let Some(fields) = &self.world.summary {
            self.account.describe_as(&self.stream.name, fields.clone().into());
        }
        Ok(())
    }

    async fn switch_to_on_demand(&self) -> Result<(), CliError> {
        let mode = StreamModeDetails::builder().stream_mode(StreamMode::OnDemand).build();
        let mode = mode.map_err(|error| CliError::Late(error.to_string()))?;
        let switch = self.clients.kinesis.update_stream_mode().stream_arn(self.stream.to_string());
        called("UpdateStreamMode", switch.stream_mode_details(mode).send().await)?;
        self.wait_until_active().await.map(|_| ())
    }

    async fn enable_shard_metrics(&self) -> Result<(), CliError> {
        let metrics = SHARD_METRICS.map(MetricsName::from).into();
        let enable = self.clients.kinesis.enable_enhanced_monitoring().stream_arn(self.stream.to_string());
        let enable = enable.set_shard_level_metrics(Some(metrics)).send().await;
        called("EnableEnhancedMonitoring", enable)?;
        self.wait_until_active().await.map(|_| ())
    }

    /// Sets the tags of the stream, with its memory.
    async fn tag(&self) -> Result<(), CliError> {
        let memory = self.world.memory.as_ref().map(|memory| memory.to_memory(self.begin).encode());
        let memory = memory.transpose().map_err(std::io::Error::other)?;
        let tags = self.world.tags.iter().map(|(key, value)| (key.clone(), value.clone()));
        for (key, value) in tags.chain(memory.map(|memory| (TAG.to_owned(), memory))) {
            let tag = self.clients.kinesis.tag_resource().resource_arn(self.stream.to_string());
            called("TagResource", tag.tags(key, value).send().await)?;
        }
        Ok(())
    }

    /// Puts the AutoFix datum of the last change in the memory, as the run that made the change sent it.
    fn count_last_change(&self) {
        let Some(change) = self.world.memory.as_ref().and_then(|memory| memory.counted(self.begin)) else { return };
        let count = Count::auto_fix(self.stream, Remedy::code_of(change.kind), change.at);
        for dimensions in count.dimension_sets() {
            self.account.put_metric(NAMESPACE, AUTO_FIX, &dimensions, change.at, 1.0);
        }
    }

    /// The clock of the account.
    pub fn clock(&self) -> &Clock {
        self.account.clock()
    }

    /// Drives the traffic of the last minutes, and does what else is true when the event comes. `None`: nothing was
    /// sent.
    pub async fn before(&self) -> Result<Option<Tally>, CliError> {
        // From a whole minute on, so that each minute of the traffic is one of the metrics.
        let now = self.clock().now();
        let minute = now.duration_trunc(TimeDelta::minutes(1)).unwrap_or(now);
        self.clock().advance_to(if minute < now { minute + TimeDelta::minutes(1) } else { now })?;
        let tally = self.drive(self.world.load.seconds_before()).await?;
        if self.world.shard_metrics == ShardMetricsState::AfterTraffic {
            self.enable_shard_metrics().await?;
        }
        if self.world.stream == StreamState::Resharding {
            let target = i32::try_from(self.world.shards * 2).unwrap_or(i32::MAX);
            let call = self.clients.kinesis.update_shard_count().stream_arn(self.stream.to_string());
            let call = call.target_shard_count(target).scaling_type(ScalingType::UniformScaling);
            called("UpdateShardCount", call.send().await)?;
        }
        if let Some(call) = &self.world.refuses {
            let message = call.message.clone().unwrap_or_else(|| "as this sample has it".to_owned());
            let effect = Effect::Error { status: 400, code: call.code.clone(), message };
            self.account.add_fault(Fault { operation: call.operation.clone(), skip: 0, times: u32::MAX, effect });
        }
        Ok(tally)
    }

    /// Drives the same traffic after the change.
    pub async fn after(&self) -> Result<Option<Tally>, CliError> {
        self.drive(SECONDS_AFTER).await
    }

    async fn drive(&self, seconds: usize) -> Result<Option<Tally>, CliError> {
        let arn = self.stream.to_string();
        let target = Target { client: &self.traffic, arn: &arn, clock: self.clock() };
        match &self.world.load {
            Load::None => Ok(None),
            Load::Published(stretches) => {
                self.publish(stretches);
                Ok(None)
            }
            Load::Writes(Writes { records_per_second, keys, .. }) => {
                target.write(*records_per_second, keys.keys(), seconds).await.map(Some)
            }
            Load::Reads(Reads { readers, .. }) => target.read(*readers, seconds).await.map(Some),
        }
    }

    /// Puts datapoints into the metrics of the stream, from the minute before now backwards.
    fn publish(&self, stretches: &[Published]) {
        let stream = [("StreamName", self.stream.name.as_str())];
        let minutes = stretches.iter().flat_map(|stretch| (0..stretch.minutes).map(move |_| stretch));
        for (minutes_ago, published) in (1..).zip(minutes) {
            let at = self.account.now() - TimeDelta::minutes(minutes_ago.into());
            let age = published.iterator_age.map(|age| age.milliseconds(minutes_ago));
            let values = [
                ("IncomingRecords", Some(published.records)),
                ("IncomingBytes", Some(published.records * published.record_kib * 1024.0)),
                ("WriteProvisionedThroughputExceeded", Some(published.refused)),
                ("ReadProvisionedThroughputExceeded", Some(published.reads_refused)),
                ("GetRecords.IteratorAgeMilliseconds", age),
            ];
            for (metric, value) in values.into_iter().filter_map(|(metric, value)| Some((metric, value?))) {
                self.account.put_metric("AWS/Kinesis", metric, &stream, at, value);
            }
        }
    }

    /// Waits until the stream is ACTIVE, and returns its size. A stream that never becomes ACTIVE has no size.
    pub async fn active(&self) -> Result<Size, CliError> {
        match self.world.stream {
            StreamState::Active | StreamState::Resharding => self.wait_until_active().await,
            StreamState::Absent | StreamState::Creating => Ok(Size::default()),
        }
    }

    async fn wait_until_active(&self) -> Result<Size, CliError> {
        for _ in 0..ACTIVE_WITHIN {
            let call = self.clients.kinesis.describe_stream_summary().stream_arn(self.stream.to_string());
            let answer = called("DescribeStreamSummary", call.send().await)?;
            if let Some(summary) = answer.stream_description_summary()
                && *summary.stream_status() == StreamStatus::Active
            {
                let mode = summary.stream_mode_details().map(StreamModeDetails::stream_mode);
                return Ok(Size { shards: open_shards(summary), is_on_demand: mode == Some(&StreamMode::OnDemand) });
            }
            self.clock().advance(Duration::from_secs(1))?;
        }
        Err(CliError::Late(format!("`{}` is not ACTIVE after {ACTIVE_WITHIN} s", self.stream.name)))
    }
}
