//! How late CloudWatch shows a minute.

use crate::prove::context::Context;
use crate::prove::flood::{self, A_ROUND, Answers};
use crate::prove::proof::Lag;
use crate::prove::step::{Fact, Step, Use};
use crate::prove::trouble::{Tried, Trouble, answered, done};
use aws_sdk_cloudwatch::primitives::DateTime as SdkTime;
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat};
use aws_sdk_kinesis::types::ShardIteratorType;
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use futures_util::future::{join_all, try_join};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const WRITES: Fact = Fact {
    id: "write-metric-lag",
    expected: "CloudWatch shows the write metrics of a minute one to three minutes after its end.",
    source: "No page of AWS.",
};
const READS: Fact = Fact {
    id: "read-metric-lag",
    expected: "CloudWatch shows the read metrics of a minute one to three minutes after its end.",
    source: "No page of AWS.",
};
const TOGETHER: Fact = Fact {
    id: "sides-together",
    expected: "The metrics of both sides of a minute appear within 30 s of each other.",
    source: "No page of AWS.",
};

/// The metrics of each side that unthrottle reads.
const OF_WRITES: [&str; 4] =
    ["IncomingRecords", "IncomingBytes", "WriteProvisionedThroughputExceeded", "PutRecords.ThrottledRecords"];
const OF_READS: [&str; 3] =
    ["GetRecords.Success", "GetRecords.IteratorAgeMilliseconds", "ReadProvisionedThroughputExceeded"];

/// Whole minutes of load.
const MINUTES: u32 = 2;

/// The longest wait for a minute. unthrottle takes a minute as idle after five.
const LIMIT: Duration = Duration::from_secs(8 * 60);

/// The time between two reads of the metrics: the error of a lag.
const EVERY: Duration = Duration::from_secs(5);

/// The lag that unthrottle assumes, in seconds, with the error of a read.
const EXPECTED: (f64, f64) = (60.0, 180.0 + 5.0);

/// The most that the sides may lie apart, in seconds.
const APART: f64 = 30.0;

/// Calls of `GetRecords` in a round. A shard takes five a second.
const GETS: usize = 12;

pub(super) static STEP: Step = Step {
    name: "metric-lag",
    about: "Writes and reads more than a shard takes for two minutes, and waits until CloudWatch shows both.",
    facts: &[WRITES, READS, TOGETHER],
    minutes: 12,
    // A round a second for at most three minutes.
    uses: Use { shards: 1, records: 180 * A_ROUND, other_usd: 0.01, each_stream_usd: 0.0 },
    records_all_writes: false,
    flag: None,
    run: |context| Box::pin(run(context)),
};

async fn run(context: &Context) -> Tried<()> {
    let stream = context.stream("", 1).await?;
    let first = next_minute(context.time.now());
    let end = first + TimeDelta::minutes(i64::from(MINUTES));
    let minutes: Vec<DateTime<Utc>> = (0..MINUTES).map(|n| first + TimeDelta::minutes(i64::from(n))).collect();
    // CloudWatch can show the first minute before the load ends.
    let ((), lags) = try_join(load(context, &stream, end), wait(context, &stream, &minutes)).await?;
    conclude(context, &lags);
    context.measured.borrow_mut().metric_lags = lags;
    if context.is_settled() {
        return Ok(());
    }
    let limit = LIMIT.as_secs() / 60;
    Err(Trouble::NotAvailable(format!("CloudWatch showed no metric of this side within {limit} min")))
}

/// Writes and reads more than a shard takes, until `end`.
async fn load(context: &Context, stream: &str, end: DateTime<Utc>) -> Tried<()> {
    let iterator = iterator(context, stream).await?;
    while context.time.now() < end {
        let begin = Instant::now();
        flood::full_round(context, stream, &mut Answers::default()).await?;
        let gets = join_all((0..GETS).map(|_| context.clients.once.get_records().shard_iterator(&iterator).send()));
        for answer in gets.await {
            // Five of these a second work. The others are refused, which is what they are for.
            let _ = answered("GetRecords", answer)?;
        }
        context.time.sleep(Duration::from_secs(1).saturating_sub(context.time.since(begin))).await;
    }
    Ok(())
}

fn next_minute(time: DateTime<Utc>) -> DateTime<Utc> {
    let minute = TimeDelta::minutes(1);
    time.duration_trunc(minute).map_or(time, |begun| begun + minute)
}

async fn iterator(context: &Context, stream: &str) -> Tried<String> {
    let get = context.clients.kinesis.get_shard_iterator().stream_name(stream).shard_id("shardId-000000000000");
    let get = get.shard_iterator_type(ShardIteratorType::TrimHorizon);
    let answer = done("GetShardIterator", get.send().await)?;
    answer.shard_iterator.ok_or_else(|| Trouble::Failed("GetShardIterator gave no iterator".into()))
}

/// Waits until CloudWatch shows each metric of each minute, or for the limit after the last one. Reads from the end of
/// the first minute on.
async fn wait(context: &Context, stream: &str, minutes: &[DateTime<Utc>]) -> Tried<Vec<Lag>> {
    let end = |minute: &DateTime<Utc>| *minute + TimeDelta::minutes(1);
    let (Some(first), Some(last)) = (minutes.first().map(end), minutes.last().map(end)) else { return Ok(vec![]) };
    context.time.sleep((first - context.time.now()).to_std().unwrap_or_default()).await;
    let mut seen = BTreeMap::new();
    let all = minutes.len() * (OF_WRITES.len() + OF_READS.len());
    while seen.len() < all && context.time.now() < last + LIMIT {
        // A minute that has not ended has no lag, also if CloudWatch shows a part of it.
        let asked = context.time.now();
        let shown = shown(context, stream, minutes).await?;
        let now = context.time.now();
        for (metric, minute) in shown.into_iter().filter(|(_, minute)| end(minute) <= asked) {
            seen.entry((metric, minute)).or_insert(now);
        }
        context.time.sleep(EVERY).await;
    }
    let lag = |((metric, minute), at): ((&str, DateTime<Utc>), DateTime<Utc>)| Lag {
        metric: metric.to_owned(),
        minute,
        seconds: (at - end(&minute)).as_seconds_f64(),
    };
    Ok(seen.into_iter().map(lag).collect())
}

/// The minutes that CloudWatch shows of each metric.
async fn shown(
    context: &Context,
    stream: &str,
    minutes: &[DateTime<Utc>],
) -> Tried<Vec<(&'static str, DateTime<Utc>)>> {
    let metrics: Vec<&'static str> = OF_WRITES.into_iter().chain(OF_READS).collect();
    let query = |(index, name): (usize, &&str)| {
        let dimension = Dimension::builder().name("StreamName").value(stream).build();
        let metric = Metric::builder().namespace("AWS/Kinesis").metric_name(*name).dimensions(dimension).build();
        let stat = MetricStat::builder().metric(metric).period(60).stat("SampleCount").build();
        MetricDataQuery::builder().id(format!("m{index}")).metric_stat(stat).build()
    };
    let time = |time: Option<&DateTime<Utc>>| SdkTime::from_secs(time.map_or(0, DateTime::timestamp));
    let get = context.clients.cloudwatch.get_metric_data().start_time(time(minutes.first()));
    let get = get.set_metric_data_queries(Some(metrics.iter().enumerate().map(query).collect()));
    let end = minutes.last().map(|minute| *minute + TimeDelta::minutes(1));
    let answer = done("GetMetricData", get.end_time(time(end.as_ref())).send().await)?;
    let mut shown = vec![];
    for result in answer.metric_data_results() {
        let index = result.id().and_then(|id| id.strip_prefix('m')).and_then(|index| index.parse::<usize>().ok());
        let Some(metric) = index.and_then(|index| metrics.get(index)) else { continue };
        let times = result.timestamps().iter().filter_map(|time| DateTime::from_timestamp(time.secs(), 0));
        shown.extend(times.map(|time| (*metric, time)));
    }
    Ok(shown)
}

fn conclude(context: &Context, lags: &[Lag]) {
    for (fact, metrics) in [(WRITES, &OF_WRITES[..]), (READS, &OF_READS[..])] {
        let of_side: Vec<&Lag> = lags.iter().filter(|lag| metrics.contains(&lag.metric.as_str())).collect();
        if of_side.is_empty() {
            continue;
        }
        let is_expected = of_side.iter().all(|lag| (EXPECTED.0..=EXPECTED.1).contains(&lag.seconds));
        let words: Vec<String> = of_side.iter().map(|lag| format!("{} {:.0} s", lag.metric, lag.seconds)).collect();
        context.compare(fact.id, is_expected, words.join(", "));
    }
    let first = |metrics: &[&str], minute: DateTime<Utc>| {
        let of_minute = lags.iter().filter(|lag| lag.minute == minute && metrics.contains(&lag.metric.as_str()));
        of_minute.map(|lag| lag.seconds).reduce(f64::min)
    };
    let minutes: std::collections::BTreeSet<DateTime<Utc>> = lags.iter().map(|lag| lag.minute).collect();
    let apart = minutes.into_iter().filter_map(|minute| Some(first(&OF_READS, minute)? - first(&OF_WRITES, minute)?));
    let apart: Vec<f64> = apart.collect();
    if !apart.is_empty() {
        let words: Vec<String> = apart.iter().map(|seconds| format!("{seconds:+.0} s")).collect();
        let seen = format!("read metrics after write metrics: {}", words.join(", "));
        context.compare(TOGETHER.id, apart.iter().all(|seconds| seconds.abs() <= APART), seen);
    }
}
