//! The metric AutoFix: each change counts once, also where CloudWatch refuses it or a run dies.

use crate::aws::{EASY, STREAM, STREAM_ARN};
use crate::fixture::{ALWAYS, Fixture, live};
use crate::{ask, throttle};
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use serde_json::{Value, json};
use unthrottle_core::memory::{Change, ChangeKind, Memory, TAG};
use unthrottle_lab::local::Effect;

#[tokio::test]
async fn an_auto_fix_that_cloudwatch_refuses_goes_out_as_a_log_line() {
    let fixture = Fixture::throttled().await;
    fixture.refuse("PutMetricData", ALWAYS, "AccessDenied");
    let run = fixture.container().await.invoke(&throttle()).await;
    assert_eq!((run.outcome(), &run.document()["auto_fix"]), ("acted", &json!("log_line")));
    let [line] = run.auto_fix_lines()[..] else { panic!("one line: {:#?}", run.lines) };
    assert_eq!(
        (&line["AutoFix"], &line["StreamName"], &line["Action"]),
        (&json!(1), &json!(STREAM), &json!("scale_shards"))
    );
    let directive = &line["_aws"]["CloudWatchMetrics"][0];
    assert_eq!(directive["Namespace"], "Unthrottle");
    assert_eq!(directive["Dimensions"], json!([[], ["StreamName"], ["StreamName", "Action"]]));
    assert_eq!(directive["Metrics"], json!([{ "Name": "AutoFix", "Unit": "Count" }]));
    let at = fixture.aws.memory(STREAM_ARN).await.and_then(|m| m.change).expect("a change").at;
    assert_eq!(line["_aws"]["Timestamp"], at.timestamp_millis(), "the intent's time");
}

#[tokio::test]
async fn an_auto_fix_whose_answer_is_lost_is_unconfirmed_and_counted_once() {
    let fixture = Fixture::throttled().await;
    fixture.fault("PutMetricData", 0, 1, Effect::DropAfter);
    let run = fixture.container().await.invoke(&throttle()).await;
    assert_eq!((run.outcome(), &run.document()["auto_fix"]), ("acted", &json!("unconfirmed")));
    assert_eq!(run.auto_fix_lines().len(), 0, "that could count it twice");
    assert_eq!(fixture.aws.auto_fix(&[("StreamName", STREAM)]).await, 1.0);
}

#[tokio::test]
async fn a_change_whose_run_crashed_before_its_auto_fix_is_counted_later_and_once() {
    let age = TimeDelta::minutes(9);
    let fixture = Fixture::with(2, live()).await;
    let at = Utc::now() - age;
    fixture.aws.reshard(STREAM, 4).await.expect("accepted");
    fixture.aws.active(STREAM).await;
    fixture.account.age(age.to_std().expect("positive")).await;
    fixture.load(EASY);
    let memory = Memory::default().intend(Change::intent(ChangeKind::Scale, 2, 4, at), false);
    fixture.aws.tag(STREAM_ARN, TAG, &memory.encode().expect("fits")).await;
    let mut container = fixture.container().await;

    let run = container.invoke(&ask()).await;
    assert_eq!((run.outcome(), &run.document()["auto_fix"]), ("held", &json!("confirmed")), "{:#}", run.document());
    for _ in 0..2 {
        assert_eq!(container.invoke(&ask()).await.document()["auto_fix"], Value::Null);
    }

    assert_eq!(fixture.calls("CloudWatch.PutMetricData"), 1);
    let minute: DateTime<Utc> = at.duration_trunc(TimeDelta::minutes(1)).expect("in range");
    for dimensions in [&[][..], &[("StreamName", STREAM)], &[("StreamName", STREAM), ("Action", "scale_shards")]] {
        assert_eq!(fixture.aws.auto_fixes(dimensions).await, [(minute, 1.0)], "{dimensions:?}");
    }
}
