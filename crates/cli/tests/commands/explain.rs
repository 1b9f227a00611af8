//! `unthrottle explain --message`: the text of a producer's error.

use crate::aws::STREAM;
use crate::fixture::{Fixture, live};
use crate::shell::{output, text, unthrottle};

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
