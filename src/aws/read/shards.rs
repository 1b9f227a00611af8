//! Reads shards and their traffic: `ListShards` and `GetMetricData`. The diagnosis of a skewed stream needs the open
//! shards; the question when a reshard settled needs the shards of an earlier time.

use super::traffic::{WRITE_SERIES, WriteSeries, dimension, found, query, read, search};
use super::{Cause, ReadError, too_many_pages};
use aws_sdk_cloudwatch::types::{Metric, MetricDataQuery};
use aws_sdk_kinesis::primitives::DateTime as AwsTime;
use aws_sdk_kinesis::types::builders::ShardFilterBuilder;
use aws_sdk_kinesis::types::{ShardFilter, ShardFilterType};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeMap;
use unthrottle_core::observation::Shard;
use unthrottle_core::report::metric::STREAM_NAME;
use unthrottle_core::signal::StreamArn;

/// The dimension that names a shard.
const SHARD_ID: &str = "ShardId";

/// Up to this number of shards, each shard has queries of its own: 3 × 150 = 450 of the 500 queries that one call may
/// have. With more than 166 shards the call would have too many queries. A search finds all shards in three queries,
/// but CloudWatch lists a new shard up to 15 minutes late, so a smaller number would miss new shards of more streams.
const NAMED_ONE_BY_ONE: usize = 150;

/// How far back to read a shard's traffic. The longest window is 60 minutes, and CloudWatch is a few minutes late. The
/// decision also takes the size of a record from this time. Less would cut the window; more would only make the answer
/// larger.
const LOOKBACK: TimeDelta = TimeDelta::minutes(65);

/// The most pages of `ListShards`, which has 1,000 shards a page: ten times AWS's largest stream. A smaller number
/// could cut a stream short. Without a limit, an endless answer would use up the function's time.
const MOST_PAGES: usize = 100;

/// The shards that AWS lists for a time.
pub struct Listed {
    /// The shards that are open now.
    pub open: Vec<Shard>,
    /// How many of the listed shards are closed.
    pub closed: usize,
}

/// A shard of a stream's past.
#[derive(Clone, Debug)]
pub struct PastShard {
    /// The shard. Its traffic is not read.
    pub shard: Shard,
    /// Whether a reshard closed it.
    pub is_closed: bool,
}

/// Reads the shards that are open now.
///
/// # Errors
/// AWS did not answer, or refused the call.
pub async fn open_shards(client: &aws_sdk_kinesis::Client, arn: &StreamArn) -> Result<Vec<Shard>, ReadError> {
    // `AT_LATEST` also returns closed shards right after a reshard.
    let latest = ShardFilter::builder().r#type(ShardFilterType::AtLatest);
    Ok(open_of(list(client, arn, latest).await?))
}

fn open_of(listed: Vec<PastShard>) -> Vec<Shard> {
    listed.into_iter().filter(|past| !past.is_closed).map(|past| past.shard).collect()
}

/// Reads the shards that are open now, and those that were closed at `since` or later. AWS takes the end of the
/// retention instead of an older time.
///
/// # Errors
/// AWS did not answer, or refused the call.
pub async fn shards_since(
    client: &aws_sdk_kinesis::Client,
    arn: &StreamArn,
    since: DateTime<Utc>,
) -> Result<Vec<PastShard>, ReadError> {
    list(client, arn, of_time(ShardFilterType::FromTimestamp, since)).await
}

fn of_time(kind: ShardFilterType, time: DateTime<Utc>) -> ShardFilterBuilder {
    ShardFilter::builder().r#type(kind).timestamp(AwsTime::from_millis(time.timestamp_millis()))
}

/// Reads the shards that were open at `at`, and which of them are open now.
///
/// # Errors
/// AWS did not answer, or refused the call.
pub async fn shards_at(
    client: &aws_sdk_kinesis::Client,
    arn: &StreamArn,
    at: DateTime<Utc>,
) -> Result<Listed, ReadError> {
    let listed = list(client, arn, of_time(ShardFilterType::AtTimestamp, at)).await?;
    let closed = listed.iter().filter(|past| past.is_closed).count();
    Ok(Listed { open: open_of(listed), closed })
}

/// Lists the shards of a filter. A closed shard has an ending sequence number.
async fn list(
    client: &aws_sdk_kinesis::Client,
    arn: &StreamArn,
    filter: ShardFilterBuilder,
) -> Result<Vec<PastShard>, ReadError> {
    const CALL: &str = "ListShards";
    let filter = filter.build().map_err(|e| unreadable(CALL, arn, Cause::of(e)))?;
    let mut listed = vec![];
    let mut token = None::<String>;
    for _ in 0..MOST_PAGES {
        let call = client.list_shards();
        // A token already contains the stream and the filter. AWS refuses a call that has both.
        let call = match token.take() {
            Some(token) => call.next_token(token),
            None => call.stream_arn(arn.to_string()).shard_filter(filter.clone()),
        };
        let page = call.send().await.map_err(|e| ReadError::new(CALL, arn, e))?;
        for shard in page.shards() {
            let is_closed = shard.sequence_number_range().is_some_and(|r| r.ending_sequence_number().is_some());
            let shard = self::shard(shard).ok_or_else(|| invalid_hash_keys(arn, shard.shard_id()))?;
            listed.push(PastShard { shard, is_closed });
        }
        token = page.next_token().map(Into::into);
        if token.is_none() {
            return Ok(listed);
        }
    }
    Err(unreadable(CALL, arn, too_many_pages(MOST_PAGES)))
}

fn shard(shard: &aws_sdk_kinesis::types::Shard) -> Option<Shard> {
    let range = shard.hash_key_range()?;
    Some(Shard {
        id: shard.shard_id().into(),
        parent: shard.parent_shard_id().map(Into::into),
        first_hash_key: range.starting_hash_key().parse().ok()?,
        last_hash_key: range.ending_hash_key().parse().ok()?,
        traffic: Default::default(),
    })
}

/// Reads the traffic of `shards` into them, up to the last whole minute before `now`.
pub(super) async fn measure(
    client: &aws_sdk_cloudwatch::Client,
    arn: &StreamArn,
    shards: &mut [Shard],
    now: DateTime<Utc>,
) -> Result<(), ReadError> {
    let names: BTreeMap<String, usize> = shards.iter().enumerate().map(|(i, s)| (s.id.clone(), i)).collect();
    let is_search = shards.len() > NAMED_ONE_BY_ONE;
    let queries = if is_search { searches(&arn.name) } else { queries_by_shard(&arn.name, shards) };
    let put = |id: &str, label: &str, minute, value| {
        // An id is a metric's letter. If each shard has its own queries, the shard's place follows: `b_12`.
        let (metric, place) = id.split_once('_').unwrap_or((id, ""));
        let named = || names.get(found(label, arn)?).copied();
        let place = if is_search { named() } else { place.parse().ok() };
        let series = WRITE_SERIES.iter().find(|series| series.letter == metric);
        if let (Some(shard), Some(series)) = (place.and_then(|place| shards.get_mut(place)), series) {
            (series.put)(shard.traffic.minute_mut(minute), value);
        }
    };
    read(client, arn, queries, LOOKBACK, now, put).await
}

fn queries_by_shard(stream: &str, shards: &[Shard]) -> Vec<MetricDataQuery> {
    let of = |place: usize, shard: &Shard, series: &WriteSeries| {
        let metric = Metric::builder().namespace("AWS/Kinesis").metric_name(series.metric);
        let dimensions = [dimension(STREAM_NAME, stream), dimension(SHARD_ID, &shard.id)];
        query(&format!("{}_{place}", series.letter), "Sum", metric, dimensions)
    };
    shards.iter().enumerate().flat_map(|(i, shard)| WRITE_SERIES.iter().map(move |s| of(i, shard, s))).collect()
}

fn searches(stream: &str) -> Vec<MetricDataQuery> {
    WRITE_SERIES.iter().map(|series| search(series.letter, SHARD_ID, series.metric, stream, "Sum")).collect()
}

fn invalid_hash_keys(arn: &StreamArn, shard: &str) -> ReadError {
    let error = std::io::Error::other(format!("the hash keys of {shard} are not two whole numbers"));
    unreadable("ListShards", arn, Cause::of(error))
}

fn unreadable(call: &'static str, arn: &StreamArn, source: Cause) -> ReadError {
    ReadError::unusable(call, &arn.name, source)
}
