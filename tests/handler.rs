//! The handler in this process: the callers that it counts, and the lines of runs that fail.

#[path = "common/aws.rs"]
mod aws;
#[path = "common/fixture.rs"]
mod fixture;

use aws::{STREAM, STREAM_ARN};
use chrono::{TimeDelta, Utc};
use fixture::{Fixture, home};
use serde_json::json;
use unthrottle::handler::Reply;
use unthrottle_core::memory;
use unthrottle_core::signal::{Ask, Call, Caller, Signal, StreamArn};
use unthrottle_lab::local::{Effect, Options};

/// The error of a write that a shard refuses.
const EXCEEDED: &str = "ProvisionedThroughputExceededException";

impl Fixture {
    /// An account on the machine's clock. Its stream of two shards is offered three times 1,000 records a second.
    async fn throttled() -> Fixture {
        let fixture = Fixture::start(Options::default()).await;
        fixture.account.add_streams([STREAM.to_owned()], 2, &[]).await;
        for ago in 1..=20 {
            let at = fixture.now() - TimeDelta::minutes(ago);
            for (metric, value) in [
                ("IncomingRecords", 120_000.0),
                ("IncomingBytes", 12_000_000.0),
                ("WriteProvisionedThroughputExceeded", 60_000.0),
            ] {
                fixture.account.put_metric("AWS/Kinesis", metric, &[("StreamName", STREAM)], at, value);
            }
        }
        fixture
    }
}

fn stream() -> StreamArn {
    StreamArn::new(STREAM, &home()).expect("legal")
}

/// CloudTrail's event of a call that was refused with this code.
fn throttle(principal: &str, code: &str) -> Signal {
    let caller = Caller { principal: Some(principal.into()), ..Caller::default() };
    Signal::Throttle(Call {
        operation: "PutRecords".into(),
        error_code: Some(code.into()),
        caller,
        stream: Some(stream()),
        ..Call::default()
    })
}

/// Principals and the number of their calls.
fn callers(reply: &Reply) -> Vec<(String, u64)> {
    let callers = reply.document.callers.iter();
    callers.map(|c| (c.principal.clone().expect("named"), c.count)).collect()
}

#[tokio::test]
async fn callers_are_counted_through_failures_and_held_signals_until_the_next_observation() {
    let fixture = Fixture::throttled().await;
    let handler = fixture.handler();
    let run = async |signal: Signal| handler.run(&signal, &home()).await;

    fixture.refuse("DescribeStreamSummary", 1, "AccessDeniedException");
    assert_eq!(run(throttle("a", EXCEEDED)).await.expect_err("cannot observe").code(), "read_failed");
    assert_eq!(run(throttle("b", "AccessDenied")).await.expect("held").document.code, "access_denied");

    let acted = run(throttle("a", EXCEEDED)).await.expect("a change");
    assert_eq!((acted.document.code, callers(&acted)), ("scale_shards", vec![("a".into(), 2)]));
    let most = " Most refused in CloudTrail: a (PutRecords, 2 calls).";
    assert!(acted.document.sentence.contains(&format!("{most} About $")), "the cost is the end: {:?}", acted.document);

    let suppressed = run(throttle("c", EXCEEDED)).await.expect("held");
    assert_eq!((suppressed.document.code, callers(&suppressed)), ("just_looked", vec![("c".into(), 1)]));

    let ask =
        || Signal::Ask(Ask { stream: stream(), mode: None, message: None, undo: None, plan: None, plan_from: None });
    let asked = run(ask()).await.expect("held");
    assert_eq!((asked.document.code, callers(&asked)), ("resharding", vec![("c".into(), 1)]));
    assert!(!asked.document.sentence.contains("refused calls"), "the callers are not why it holds");
    assert_eq!(callers(&run(ask()).await.expect("held")), []);
}

#[tokio::test]
async fn a_datum_that_cloudwatch_refuses_is_a_log_line_also_when_its_run_fails() {
    let fixture = Fixture::throttled().await;
    let handler = fixture.handler();
    // One shard became two a quarter of an hour ago. The metric does not show the change before, so its datum is sent
    // again, with two values of one half.
    let at = (Utc::now() - TimeDelta::minutes(15)).format("%Y%m%dT%H%M%SZ");
    fixture
        .aws
        .tag(STREAM_ARN, memory::TAG, &format!("v=1 change=scale/1/2/{at} done=30 seen=60 owed=scale/600 scales=600-0"))
        .await;
    for (operation, status) in [("UpdateShardCount", 500), ("PutMetricData", 400)] {
        let effect = Effect::Error { status, code: "InternalFailure".into(), message: "a test".into() };
        fixture.fault(operation, 0, 1, effect);
    }
    let failed = handler.run(&throttle("a", EXCEEDED), &home()).await;
    assert_eq!(failed.expect_err("not answered").code(), "act_failed");
    let lines = handler.lines_of_failed_runs();
    assert_eq!((lines.len(), &lines[0]["AutoFix"]), (1, &json!([0.5, 0.5])), "{lines:?}");
    assert!(handler.lines_of_failed_runs().is_empty());
}
