//! `unthrottle explain`: the text of a producer's error, and what opts a stream out.

use crate::aws::{STREAM, STREAM_ARN};
use crate::fixture::{Fixture, live};
use crate::shell::{output, text, unthrottle};
use serde_json::Value;

#[tokio::test]
async fn a_message_that_names_no_throttle_is_refused_before_any_call() {
    let fixture = Fixture::on(live(), 3000.0, 2, 10).await;
    fixture.account.reset_calls();
    let explain = |message: &str| {
        let mut command = unthrottle(&["explain", STREAM, "--json", "--message", message]);
        command.args(["--endpoint-url", fixture.account.url(), "--region", "us-east-1"]);
        output(command)
    };
    for message in ["hello", "InternalFailure: try again", "no such stream orders", ""] {
        let out = explain(message).await;
        let said = text(&out.stderr);
        assert_eq!((out.status.code(), text(&out.stdout).as_str()), (Some(2), ""), "{message}: {said}");
        assert!(said.contains("--message names no throttle: `") && said.contains("Rate exceeded for shard"), "{said}");
    }
    assert_eq!(fixture.account.calls().values().sum::<u64>(), 0);
    for message in [
        "Rate exceeded for shard shardId-000000000001 in stream orders under account 123456789012.",
        "software.amazon.awssdk.services.kinesis.model.ProvisionedThroughputExceededException: null",
        "KMSThrottlingException",
        "LimitExceededException",
    ] {
        let out = explain(message).await;
        assert!(out.status.success(), "{message}: {}", text(&out.stderr));
    }
}

#[tokio::test]
async fn the_document_names_the_setting_or_the_tag_that_opts_a_stream_out() {
    let fixture = Fixture::on(live(), 3000.0, 2, 10).await;
    let explain = |more: &'static [&str], setting: (&'static str, &'static str)| {
        let mut command = unthrottle(&["explain", STREAM]);
        command.args(more).args(["--endpoint-url", fixture.account.url(), "--region", "us-east-1"]);
        command.env(setting.0, setting.1);
        output(command)
    };
    let json = async |setting| {
        let out = explain(&["--json"], setting).await;
        let document: Value = serde_json::from_slice(&out.stdout).expect("JSON");
        (document["code"].as_str().map(str::to_owned), document["opted_out_by"].as_str().map(str::to_owned))
    };
    let (code, by) = json(("UNTHROTTLE_SCOPE", "tagged")).await;
    assert!(by.is_some_and(|by| by.starts_with("UNTHROTTLE_SCOPE is tagged")), "{code:?}");
    let (code, by) = json(("UNTHROTTLE_MODE", "off")).await;
    assert!(by.is_some_and(|by| by.starts_with("UNTHROTTLE_MODE is off")), "{code:?}");
    assert_eq!(json(("UNTHROTTLE_MODE", "observe")).await, (Some("scale_shards".into()), None));
    fixture.aws.tag(STREAM_ARN, "unthrottle.mode", "off").await;
    let (code, by) = json(("UNTHROTTLE_MODE", "heal")).await;
    assert_eq!(code.as_deref(), Some("opted_out"));
    assert!(by.is_some_and(|by| by.starts_with("its tag unthrottle.mode is off")), "{code:?}");
    let said = text(&explain(&[], ("UNTHROTTLE_MODE", "heal")).await.stdout);
    assert_eq!(said.matches("its tag unthrottle.mode is off").count(), 1, "{said}");
}
