//! Memories that another principal writes: every principal that may tag a stream can name a change there.

use crate::aws::{EASY, STREAM, STREAM_ARN};
use crate::fixture::Fixture;
use crate::lambda::Run;
use crate::{ask, total};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use std::collections::BTreeMap;
use unthrottle_core::memory::{Change, ChangeKind, Memory, TAG};

impl Fixture {
    /// Four shards, and a tag that says that unthrottle made them of two at this time.
    async fn with_forged_raise(at: DateTime<Utc>) -> Fixture {
        let fixture = Fixture::under(EASY, 4).await;
        // The stream is older than the change.
        fixture.account.put_metric("AWS/Kinesis", "IncomingRecords", &[("StreamName", STREAM)], older(at), 30_000.0);
        let mut change = Change::intent(ChangeKind::Scale, 2, 4, at);
        (change.settled, change.healed, change.published) = (Some(change.at), Some(change.at), Some(change.at));
        let memory = Memory { base: Some(2), ..Memory::default().intend(change, false) };
        fixture.aws.tag(STREAM_ARN, TAG, &memory.encode().expect("fits")).await;
        fixture
    }

    fn put_auto_fix(&self, action: &str, at: DateTime<Utc>) {
        self.account.put_metric("Unthrottle", "AutoFix", &[("StreamName", STREAM), ("Action", action)], at, 1.0);
    }

    /// A run that restores after an hour without throttling, and its calls.
    async fn run_that_restores(&self) -> (Run, BTreeMap<String, u64>) {
        let mut container = self.container_with(&[("UNTHROTTLE_RESTORE_AFTER_HOURS", "1")]).await;
        self.calls_of(container.invoke(&ask())).await
    }

    async fn assert_not_restored(&self) {
        let (run, calls) = self.run_that_restores().await;
        assert_eq!((run.outcome(), run.code()), ("held", "not_restorable"), "{:#}", run.document());
        let sentence = run.document()["sentence"].as_str().expect("a sentence");
        assert!(sentence.contains("the AutoFix metric does not show"), "{sentence}");
        assert!(!calls.contains_key("Kinesis.UpdateShardCount"), "{calls:?}");
        assert_eq!(self.shards().await, 4);
    }
}

fn older(at: DateTime<Utc>) -> DateTime<Utc> {
    at - TimeDelta::hours(3)
}

#[tokio::test]
async fn a_forged_memory_of_a_raise_gives_nothing_back_and_with_its_datum_it_does() {
    let at = Utc::now() - TimeDelta::hours(6);
    Fixture::with_forged_raise(at).await.assert_not_restored().await;
    let fixture = Fixture::with_forged_raise(at).await;
    fixture.put_auto_fix("scale_shards", older(at));
    fixture.put_auto_fix("split_shard", at);
    fixture.assert_not_restored().await;

    let fixture = Fixture::with_forged_raise(at).await;
    fixture.put_auto_fix("scale_shards", at);
    let (run, calls) = fixture.run_that_restores().await;

    assert_eq!((run.outcome(), run.code()), ("acted", "restore"), "{:#}", run.document());
    assert_eq!(run.document()["remedy"], json!({ "from": 4, "to": 2 }));
    assert!(total(&calls) <= 8, "{calls:?}");
    assert_eq!(fixture.aws.active(STREAM).await.open_shard_count, 2);
}

/// Memories that name a change which never was, and whose datum is missing, so that a run sends it: a raise from as
/// many shards as there are, and a raise before the last one. `AT`: when.
const WITHOUT_DATUM: [&str; 2] = [
    "v=1 change=scale/4/4/AT done=60 heal=300 base=1",
    "v=1 change=scale/2/4/AT done=60 heal=300 seen=300 base=1 owed=scale/60",
];

#[tokio::test]
async fn a_datum_that_a_forged_memory_makes_a_run_send_counts_and_gives_nothing_back() {
    let at = Utc::now() - TimeDelta::hours(2);
    for words in WITHOUT_DATUM {
        let fixture = Fixture::with_forged_raise(at).await;
        let text = words.replace("AT", &at.format("%Y%m%dT%H%M%SZ").to_string());
        fixture.aws.tag(STREAM_ARN, TAG, &text).await;

        let (run, _) = fixture.run_that_restores().await;
        assert_eq!(fixture.aws.auto_fix(&[("StreamName", STREAM)]).await, 1.0, "{words}: {:#}", run.document());

        fixture.assert_not_restored().await;
    }
}
