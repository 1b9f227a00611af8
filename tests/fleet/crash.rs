//! Processes that die, and memories that are lost.

use crate::aws::{STREAM, STREAM_ARN, sample};
use crate::fixture::{Fixture, live};
use crate::fleet::decisions;
use crate::lambda::Container;
use crate::notify::TOPIC;
use serde_json::{Value, json};
use std::time::Duration;
use unthrottle_core::memory::ChangeKind;
use unthrottle_lab::local::Effect;

/// Records a second: too many for two shards, not for four.
pub const LOAD: f64 = 3000.0;

/// Every call of a run that changes a stream. `true`: AWS carries the call out although the process dies during it.
const CRASHES: [(&str, &[bool]); 10] = [
    ("CloudWatch.DescribeAlarmContributors", &[false]),
    ("Tagging.GetResources", &[false]),
    ("Kinesis.DescribeStreamSummary", &[false]),
    ("Kinesis.ListTagsForResource", &[false]),
    ("Kinesis.DescribeLimits", &[false]),
    ("CloudWatch.GetMetricData", &[false]),
    ("Kinesis.TagResource", &[false, true]),
    ("Kinesis.UpdateShardCount", &[false, true]),
    ("CloudWatch.PutMetricData", &[false, true]),
    ("SNS.Publish", &[false, true]),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_dies_during_any_call_is_completed_by_later_sweeps() {
    let crashes = CRASHES.iter().flat_map(|(call, ends)| ends.iter().map(|is_carried_out| (*call, *is_carried_out)));
    let crashes = crashes.map(|(call, is_carried_out)| tokio::spawn(crash(call, is_carried_out)));
    for crash in crashes.collect::<Vec<_>>() {
        crash.await.expect("the crash passes");
    }
}

async fn crash(call: &str, is_carried_out: bool) {
    let fixture = Fixture::on(live(), LOAD, 2, 10).await;
    let settings = [("UNTHROTTLE_FLEET_ALARMS", "writes,reads"), ("UNTHROTTLE_TOPIC_ARN", TOPIC)];
    let what = format!("{call}, carried out: {is_carried_out}");
    let (_, operation) = call.split_once('.').expect("SERVICE.OPERATION");
    let mut container = Container::start(fixture.account.url(), &settings).await;
    // The account carries out a call that it has received, also when the caller dies.
    fixture.fault(operation, 0, 1, if is_carried_out { Effect::HangAfter } else { Effect::HangBefore });
    let throttle = sample("put_records_throttled__scale_shards");
    let is_finding = ["DescribeAlarmContributors", "GetResources"].contains(&operation);
    let event = if is_finding { json!({ "sweep": true }) } else { throttle };
    let called = async {
        while fixture.account.hanging() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        run = container.invoke(&event) => panic!("{what}: not killed: {run:?}"),
        () = called => {}
    }
    drop(container);

    let mut scenario = vec![];
    // A datum that no run sent is sent after 8 minutes, and CloudWatch has as long again to show it.
    for _ in 0..10 {
        fixture.later(2, LOAD).await;
        let run = Container::start(fixture.account.url(), &settings).await.invoke(&json!({ "sweep": true })).await;
        let document = run.document();
        assert_eq!((&document["outcome"], &document["failed"]), (&json!("swept"), &json!([])), "{what}: {document:#}");
        let of = |decision: &Value| format!("{}/{}", decision["outcome"], decision["code"]);
        scenario.extend(document["decisions"].as_array().expect("decisions").iter().map(of));
        let change = fixture.aws.memory(STREAM_ARN).await.and_then(|memory| memory.change);
        if change.is_some_and(|change| change.healed.is_some() && change.published.is_some()) {
            break;
        }
    }
    let memory = fixture.aws.memory(STREAM_ARN).await.unwrap_or_else(|| panic!("{what}: no memory: {scenario:?}"));
    let change = memory.change.as_ref().expect("a change");
    assert_eq!(
        (change.kind, change.from.number(), change.to.number()),
        (ChangeKind::Scale, 2, 4),
        "{what}: {scenario:?}"
    );
    assert!(change.healed.is_some() && change.published.is_some(), "{what}: {memory:?} {scenario:?}");
    assert_eq!(memory.reshards.len(), 1, "{what}: the budget: {scenario:?}");
    let shards = fixture.aws.kinesis.list_shards().stream_name(STREAM).send().await.expect("shards");
    assert_eq!(shards.shards().len(), 6, "{what}: two were split, once each: {scenario:?}");
    // No work is pending, and no change is counted again.
    for minutes in [6, 10] {
        fixture.later(minutes, LOAD).await;
        let run = Container::start(fixture.account.url(), &settings).await.invoke(&json!({ "sweep": true })).await;
        assert_eq!(run.document()["looked"], 0, "{what}: {:#}", run.document());
    }
    for dimensions in [&[][..], &[("StreamName", STREAM)], &[("StreamName", STREAM), ("Action", "scale_shards")]] {
        assert_eq!(fixture.aws.auto_fix(dimensions).await, 1.0, "{what}: {scenario:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_memory_causes_no_second_change_from_old_evidence() {
    let scenarios = (0..6).map(|deleted_after| tokio::spawn(scenario_without_memory(deleted_after)));
    for scenario in scenarios.collect::<Vec<_>>() {
        scenario.await.expect("the scenario passes");
    }
}

/// One change, whose memory tag is deleted after this many rounds.
async fn scenario_without_memory(deleted_after: usize) {
    // Eight shards would carry it; the one change that AWS allows at once goes to four, and then the load falls.
    let fixture = Fixture::under(6000.0, 2, 10).await;
    let mut scenario = vec![];
    for round in 0..9 {
        scenario.extend(decisions(&fixture.sweep().await).iter().map(|decision| format!("{decision:?}")));
        if round == deleted_after {
            fixture.aws.active(STREAM).await;
            fixture.forget().await;
            // The metric does not show the change yet. The only evidence is old, and four shards were never full.
            scenario.extend(decisions(&fixture.sweep().await).iter().map(|decision| format!("{decision:?}")));
        }
        fixture.later(2, 2000.0).await;
    }
    let scenario = format!("deleted after {deleted_after}: {scenario:#?}");
    assert_eq!(fixture.calls("Kinesis.UpdateShardCount"), 1, "{scenario}");
    assert_eq!(fixture.shards().await, 4, "{scenario}");
    assert_eq!(fixture.aws.auto_fix(&[("StreamName", STREAM)]).await, 1.0, "{scenario}");
    let document = fixture.ask().await.document;
    assert_eq!((document.code, document.evidence.reshards_last_24_hours), ("healthy", Some(1)), "{scenario}");
}
