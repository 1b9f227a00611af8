//! The `AWS/Kinesis` metrics, counted from real calls.

use super::metrics::{Series, Stat, minute_of};
use super::{Account, lock};
use std::collections::BTreeMap;

const NAMESPACE: &str = "AWS/Kinesis";

/// The samples of one call about a stream.
pub(super) struct Samples<'a> {
    stream: &'a str,
    /// The shard-level metrics that are on for the stream.
    monitored: Vec<String>,
    /// The minute of the call.
    minute: i64,
    /// The statistics by metric and shard; no shard stands for the stream.
    stats: BTreeMap<(&'static str, Option<String>), Stat>,
    /// The registered consumer of the samples.
    consumer: Option<String>,
}

impl<'a> Samples<'a> {
    /// The samples of a call that comes now.
    pub fn new(account: &Account, stream: &'a str) -> Self {
        let monitored = lock(&account.monitored).get(stream).cloned().unwrap_or_default();
        Self { stream, monitored, minute: minute_of(account.now()), stats: BTreeMap::new(), consumer: None }
    }

    /// The samples of an event that the registered consumer receives now. AWS publishes them by stream and consumer
    /// (the page on monitoring with CloudWatch).
    pub fn of_consumer(account: &Account, stream: &'a str, consumer: &str) -> Self {
        Self { consumer: Some(consumer.to_owned()), ..Self::new(account, stream) }
    }

    /// A sample of a stream-level metric.
    pub fn add(&mut self, metric: &'static str, value: f64) {
        self.merge(metric, None, value);
    }

    /// A sample of a shard-level metric.
    pub fn add_of_shard(&mut self, metric: &'static str, shard: &str, value: f64) {
        self.merge(metric, Some(shard), value);
    }

    /// A sample of a metric that exists at both levels.
    pub fn add_for_shard(&mut self, metric: &'static str, shard: &str, value: f64) {
        self.merge(metric, None, value);
        self.merge(metric, Some(shard), value);
    }

    fn merge(&mut self, metric: &'static str, shard: Option<&str>, value: f64) {
        if shard.is_some() && !self.monitored.iter().any(|monitored| monitored == metric) {
            return;
        }
        let key = (metric, shard.map(str::to_owned));
        let stat = self.stats.entry(key).or_default();
        stat.merge(&Stat::of(value, 1.0));
    }

    /// Adds one record. As on AWS, each record is one sample of throttling, so that the average is the share of refused
    /// records.
    pub fn add_record(&mut self, shard: &str, bytes: f64, accepted: bool) {
        let throttled = f64::from(u8::from(!accepted));
        self.add_for_shard("WriteProvisionedThroughputExceeded", shard, throttled);
        if accepted {
            self.add_for_shard("IncomingRecords", shard, 1.0);
            self.add_for_shard("IncomingBytes", shard, bytes);
        }
    }

    /// Adds all samples to the account's metrics.
    pub fn publish(self, account: &Account) {
        let mut metrics = lock(&account.metrics);
        // A minute of a faster clock has fewer seconds of the machine. It shows the traffic of a whole minute.
        let pace = f64::from(account.options.clock.pace());
        for ((metric, shard), stat) in self.stats {
            let stat = stat.repeated(pace);
            let mut dimensions = vec![("StreamName", self.stream)];
            dimensions.extend(self.consumer.as_deref().map(|consumer| ("ConsumerName", consumer)));
            dimensions.extend(shard.as_deref().map(|shard| ("ShardId", shard)));
            metrics.add(Series::new(NAMESPACE, metric, &dimensions), self.minute, &stat);
        }
    }
}
