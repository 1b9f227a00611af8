//! How long reshards take, and what `ListShards` says about the time before one.

use crate::prove::context::{Context, POLL, STREAM_LIMIT, State};
use crate::prove::proof::Reshard;
use crate::prove::step::{Fact, Step, Use};
use crate::prove::trouble::{Tried, Trouble, done};
use aws_sdk_kinesis::primitives::DateTime;
use aws_sdk_kinesis::types::{ScalingType, ShardFilter, ShardFilterType, StreamStatus};
use std::time::{Duration, Instant};
use unthrottle_lab::sim::Times;

const TIME: Fact = Fact {
    id: "reshard-time",
    expected: "A reshard takes 14 to 30 s, and 2 s more for each shard that it opens on its way.",
    source: "No page of AWS. Public recordings of a few reshards.",
};
const AT_A_TIME: Fact = Fact {
    id: "shards-at-a-time",
    expected: "`ListShards` with `AT_TIMESTAMP` lists the shards of before a reshard for a time before it, and those \
               of after it for a time after it.",
    source: "The API reference of `ShardFilter`.",
};

/// The shards before and after each reshard.
const RESHARDS: [(u32, u32); 4] = [(1, 2), (2, 3), (3, 4), (4, 8)];

/// The time between a reshard and the times that `ListShards` is asked for. AWS's times are whole seconds.
const APART: Duration = Duration::from_secs(5);

pub(super) static STEP: Step = Step {
    name: "reshards",
    about: "Reshards a stream 1 → 2 → 3 → 4 → 8, measures each, and asks for the shards before and after.",
    facts: &[TIME, AT_A_TIME],
    minutes: 5,
    // 4 → 8 opens four shards, while two to four closed ones still have data.
    uses: Use { shards: 12, records: 0, other_usd: 0.0, each_stream_usd: 0.0 },
    records_all_writes: false,
    flag: None,
    run: |context| Box::pin(run(context)),
};

async fn run(context: &Context) -> Tried<()> {
    let stream = context.stream("", 1).await?;
    let (mut times, mut is_expected) = (vec![], true);
    let mut listed = vec![];
    for (from, to) in RESHARDS {
        context.time.sleep(APART).await;
        let before = context.time.now();
        let seconds = reshard(context, &stream, to).await?.as_secs_f64();
        context.time.sleep(APART).await;
        let after = context.time.now();
        context.measured.borrow_mut().reshards.push(Reshard { from, to, seconds });
        let expected = Times::default().reshard(from, to);
        // A read of the state each second sees the end up to that much later.
        is_expected &= (expected.0 as f64..=expected.1 as f64 + 2.0 * POLL.as_secs_f64()).contains(&seconds);
        times.push(format!("{from} → {to} in {seconds:.0} s"));
        listed.push((from, shards_at(context, &stream, before).await?));
        listed.push((to, shards_at(context, &stream, after).await?));
    }
    context.compare(TIME.id, is_expected, times.join(", "));
    let words: Vec<String> = listed.iter().map(|(should, is)| format!("{is} for {should}")).collect();
    let seen = format!("the numbers of listed shards: {}", words.join(", "));
    context.compare(AT_A_TIME.id, listed.iter().all(|(should, is)| should == is), seen);
    Ok(())
}

/// Reshards the stream, and waits until the new shards are there. Returns the time from the call.
pub(super) async fn reshard(context: &Context, stream: &str, to: u32) -> Tried<Duration> {
    let begin = Instant::now();
    let target = i32::try_from(to).unwrap_or(i32::MAX);
    let update = context.clients.kinesis.update_shard_count().stream_name(stream).target_shard_count(target);
    done("UpdateShardCount", update.scaling_type(ScalingType::UniformScaling).send().await)?;
    loop {
        let State { status, shards, .. } = context.state(stream).await?;
        let passed = context.time.since(begin);
        if status == StreamStatus::Active && shards == to {
            return Ok(passed);
        }
        if passed > STREAM_LIMIT {
            let limit = STREAM_LIMIT.as_secs();
            return Err(Trouble::Failed(format!("the reshard to {to} shards is not over after {limit} s")));
        }
        context.time.sleep(POLL).await;
    }
}

/// The shards that `ListShards` lists for a time.
async fn shards_at(context: &Context, stream: &str, time: chrono::DateTime<chrono::Utc>) -> Tried<u32> {
    let filter = ShardFilter::builder().r#type(ShardFilterType::AtTimestamp);
    let filter = filter.timestamp(DateTime::from_secs(time.timestamp())).build();
    let filter = filter.map_err(|error| Trouble::Failed(error.to_string()))?;
    let list = context.clients.kinesis.list_shards().stream_name(stream).shard_filter(filter);
    Ok(done("ListShards", list.send().await)?.shards().len() as u32)
}
