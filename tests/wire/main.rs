//! The release `bootstrap` on the wire: events in through a Lambda Runtime API, decisions out, and an AWS account
//! (the local one) changed or left alone. The binary knows the machine's clock only: each test puts the traffic of the
//! past minutes into the account before the event comes.

#[path = "../common/aws.rs"]
mod aws;
#[path = "../common/fixture.rs"]
mod fixture;
#[path = "../common/lambda.rs"]
mod lambda;
#[path = "../common/soak.rs"]
mod soak;

mod auto_fix;
mod changes;
mod forged;
mod refusals;
mod repeats;
mod silence;
mod soak_short;

use aws::{Load, STREAM, TOO_MUCH_FOR_TWO, datapoints, sample};
use aws_sdk_kinesis::types::StreamStatus;
use fixture::{Fixture, live};
use lambda::Container;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Minutes of traffic that an account begins with: more than the five that the function reads.
const MINUTES: i64 = 10;

impl Fixture {
    /// An account with one stream that was offered this load.
    async fn under(load: Load, shards: i32) -> Fixture {
        let fixture = Fixture::with(shards, live()).await;
        fixture.load(load);
        fixture
    }

    /// Two shards that were offered what four can carry.
    async fn throttled() -> Fixture {
        Fixture::under(TOO_MUCH_FOR_TWO, 2).await
    }

    fn load(&self, load: Load) {
        for (metric, at, value) in datapoints(load, MINUTES, self.account.now()) {
            self.account.put_metric("AWS/Kinesis", metric, &[("StreamName", STREAM)], at, value);
        }
    }

    async fn container(&self) -> Container {
        self.container_with(&[]).await
    }

    async fn container_with(&self, settings: &[(&str, &str)]) -> Container {
        Container::start(self.account.url(), settings).await
    }

    /// The calls that are made while `work` goes on.
    async fn calls_of<T>(&self, work: impl Future<Output = T>) -> (T, BTreeMap<String, u64>) {
        self.account.reset_calls();
        (work.await, self.account.calls())
    }

    async fn shards(&self) -> i32 {
        self.aws.summary(STREAM).await.open_shard_count
    }

    /// The stream is as it was, and no change was counted.
    async fn assert_unchanged(&self, shards: i32) {
        let summary = self.aws.summary(STREAM).await;
        assert_eq!((summary.stream_status, summary.open_shard_count), (StreamStatus::Active, shards));
        assert_eq!(self.aws.auto_fix(&[]).await, 0.0);
    }
}

fn throttle() -> Value {
    sample("put_records_throttled__scale_shards")
}

/// A person's ask. It always observes the stream.
fn ask() -> Value {
    json!({ "stream": STREAM })
}

fn is_write(call: &str) -> bool {
    let operation = call.rsplit('.').next().unwrap_or(call);
    !["Describe", "List", "Get"].iter().any(|reading| operation.starts_with(reading))
}

fn total(calls: &BTreeMap<String, u64>) -> u64 {
    calls.values().sum()
}
