//! The release `bootstrap` on the wire: events in through a Lambda Runtime API, decisions out, and an AWS account
//! (the local one) changed or left alone. The binary knows the machine's clock only: the past of the account is applied
//! before the event comes.

#[path = "common/aws.rs"]
mod aws;
#[path = "common/lambda.rs"]
mod lambda;

use aws::{Aws, EASY, Load, STREAM, STREAM_ARN, TOO_MUCH_FOR_TWO, datapoints, sample};
use aws_sdk_kinesis::types::{StreamMode, StreamStatus};
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use lambda::{Container, fail_to_start, storm, within};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use unthrottle_core::memory::{Change, ChangeKind, Memory, TAG};
use unthrottle_lab::local::{Clock, Effect, Fault, LocalAccount, Options};

/// Minutes of traffic that a scene begins with: more than the window that is looked at.
const MINUTES: i64 = 10;

const FOR_EVER: u32 = u32::MAX;

// ---- The stage ----

struct Stage {
    account: LocalAccount,
    aws: Aws,
}

impl Stage {
    /// An account with one stream.
    async fn with(shards: i32, options: Options) -> Stage {
        let account = LocalAccount::start(options).await.expect("a free port");
        let aws = Aws::of(&account);
        aws.create(STREAM, shards).await;
        account.reset_calls();
        Stage { account, aws }
    }

    async fn under(load: Load, shards: i32) -> Stage {
        let stage = Stage::with(shards, slow()).await;
        stage.load(load);
        stage
    }

    /// Two shards that were offered what four can carry.
    async fn throttled() -> Stage {
        Stage::under(TOO_MUCH_FOR_TWO, 2).await
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

    /// Calls to `operation` since the stage was set or the calls of some work were counted.
    fn calls(&self, operation: &str) -> u64 {
        self.account.calls().get(operation).copied().unwrap_or(0)
    }

    /// The calls that are made while `work` goes on.
    async fn calls_of<T>(&self, work: impl Future<Output = T>) -> (T, BTreeMap<String, u64>) {
        self.account.reset_calls();
        (work.await, self.account.calls())
    }

    fn fault(&self, operation: &str, skip: u32, times: u32, effect: Effect) {
        self.account.add_fault(Fault { operation: operation.into(), skip, times, effect });
    }

    fn refuse(&self, operation: &str, times: u32, code: &str) {
        let (code, message) = (code.into(), "says the test".into());
        self.fault(operation, 0, times, Effect::Error { status: 400, code, message });
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

/// A change takes until a test ends it: none depends on how fast it comes to look.
fn slow() -> Options {
    Options { update_time: Duration::from_secs(3600), ..Options::default() }
}

fn throttle() -> Value {
    sample("put_records_throttled__scale_shards")
}

/// A person's ask is never answered by an earlier look.
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

// ---- Reply ----

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_throttled_stream_is_scaled_end_to_end() {
    let minute = Utc::now().duration_trunc(TimeDelta::minutes(1)).expect("in range");
    let clock = Clock::standing_at(minute - TimeDelta::seconds(90));
    let stage = Stage::with(2, Options { clock: clock.clone(), ..slow() }).await;
    let mut container = stage.container().await;
    clock.advance_to(minute - TimeDelta::minutes(1)).expect("forwards");
    let everywhere = |n: usize| (n * 617 % 1000) as u128 * (u128::MAX / 1000);
    let (accepted, throttled) = stage.aws.offer(STREAM, 300, 60, everywhere).await;
    assert!(accepted > 0 && throttled > 0, "{accepted} accepted, {throttled} throttled");
    clock.run().expect("from the past");
    // CloudWatch is taken to publish a minute within five; older datapoints are no news.
    assert!(stage.account.now() - minute < TimeDelta::minutes(4), "a minute of traffic took this machine four minutes");

    let (run, calls) = stage.calls_of(container.invoke(&throttle())).await;

    let document = run.document();
    assert_eq!((run.outcome(), run.code()), ("acted", "scale_shards"), "{document:#}");
    assert_eq!(document["remedy"], json!({ "from": 2, "to": 4 }), "{document:#}");
    assert_eq!(document["auto_fix"], "confirmed");
    let stream =
        json!({ "name": STREAM, "arn": STREAM_ARN, "mode": "PROVISIONED", "status": "ACTIVE", "open_shards": 2 });
    assert_eq!(document["stream"], stream, "as it was seen");
    assert_eq!(stage.aws.summary(STREAM).await.stream_status, StreamStatus::Updating);
    assert_eq!(stage.aws.active(STREAM).await.open_shard_count, 4);

    for dimensions in [&[][..], &[("StreamName", STREAM)], &[("StreamName", STREAM), ("Action", "scale_shards")]] {
        assert_eq!(stage.aws.auto_fix(dimensions).await, 1.0, "{dimensions:?}");
    }
    let memory = stage.aws.memory(STREAM_ARN).await.expect("a memory");
    let change = memory.change.expect("a change");
    assert_eq!((change.kind, change.from, change.to), (ChangeKind::Scale, 2, 4));
    assert_eq!(memory.base, Some(2));

    let line = run.decision_line();
    assert_eq!(line["decision"], *document);
    assert_eq!(line["message"], document["sentence"]);
    assert!(line["requestId"].is_string(), "{line:#}");
    assert!(total(&calls) <= 7, "{calls:?}");
    let cost = run.cost_line();
    assert_eq!(cost["AwsCalls"], total(&calls), "{calls:?}");
    assert_eq!((&cost["Looked"], &cost["Held"], &cost["ColdStart"]), (&json!(1), &json!(0), &json!(1)));
    assert_eq!(cost["Reason"], "scale_shards");
    assert!(cost["DurationMs"].as_f64().is_some_and(|ms| ms > 0.0), "{cost:#}");
    let directive = &cost["_aws"]["CloudWatchMetrics"][0];
    assert_eq!(directive["Namespace"], "Unthrottle");
    assert_eq!(directive["Dimensions"], json!([[], ["Reason"]]));
    let metrics = directive["Metrics"].as_array().expect("metrics").iter().map(|m| m["Name"].as_str().expect("a name"));
    assert_eq!(metrics.collect::<Vec<_>>(), ["Looked", "Held", "NeedsPerson", "DurationMs", "AwsCalls", "ColdStart"]);
    assert_eq!(run.auto_fix_lines().len(), 0, "CloudWatch has the datum");
}

#[tokio::test]
async fn a_run_after_a_change_finds_it_under_way_and_then_settling_and_changes_nothing() {
    let stage = Stage::throttled().await;
    let mut container = stage.container().await;
    assert_eq!(container.invoke(&ask()).await.outcome(), "acted");

    assert_eq!(container.invoke(&ask()).await.code(), "resharding");
    stage.aws.active(STREAM).await;
    for _ in 0..3 {
        assert_eq!(container.invoke(&ask()).await.code(), "settling");
    }
    let mut other = stage.container().await;
    assert_eq!(other.invoke(&throttle()).await.code(), "settling");

    assert_eq!(stage.calls("Kinesis.UpdateShardCount"), 1);
    assert_eq!(stage.shards().await, 4);
    assert_eq!(stage.aws.auto_fix(&[("StreamName", STREAM)]).await, 1.0);
}

#[tokio::test]
async fn a_healthy_stream_is_left_alone_in_five_calls() {
    let stage = Stage::under(EASY, 2).await;
    let mut container = stage.container().await;
    let (run, calls) = stage.calls_of(container.invoke(&throttle())).await;
    assert_eq!((run.outcome(), run.code()), ("held", "healthy"));
    assert!(total(&calls) <= 5 && !calls.keys().any(|call| is_write(call)), "{calls:?}");
    assert_eq!(run.cost_line()["AwsCalls"], total(&calls), "{calls:?}");
    stage.assert_unchanged(2).await;
}

#[tokio::test]
async fn a_stream_of_an_account_without_room_for_shards_is_switched_to_on_demand() {
    let stage = Stage::with(2, Options { shard_limit: 2, ..slow() }).await;
    stage.load(TOO_MUCH_FOR_TWO);
    let run = stage.container().await.invoke(&throttle()).await;
    assert_eq!((run.outcome(), run.code()), ("acted", "switch_to_on_demand"), "{:#}", run.document());
    assert_eq!(run.document()["remedy"], json!({ "from": "PROVISIONED", "to": "ON_DEMAND" }));
    let mode = stage.aws.active(STREAM).await.stream_mode_details.expect("a mode").stream_mode;
    assert_eq!(mode, StreamMode::OnDemand);
    assert_eq!(stage.calls("Kinesis.UpdateShardCount"), 0);
    assert_eq!(stage.aws.auto_fix(&[("StreamName", STREAM), ("Action", "switch_to_on_demand")]).await, 1.0);
}

#[tokio::test]
async fn in_observe_mode_a_change_is_planned_and_nothing_is_written() {
    let stage = Stage::throttled().await;
    let mut container = stage.container_with(&[("UNTHROTTLE_MODE", "observe")]).await;
    let (run, calls) = stage.calls_of(container.invoke(&throttle())).await;
    assert_eq!((run.outcome(), run.code()), ("planned", "scale_shards"));
    assert_eq!(run.document()["remedy"], json!({ "from": 2, "to": 4 }));
    assert!(!calls.is_empty() && !calls.keys().any(|call| is_write(call)), "{calls:?}");
    assert_eq!(stage.aws.memory(STREAM_ARN).await, None);
    stage.assert_unchanged(2).await;
}

// ---- Silence ----

#[tokio::test]
async fn what_the_signal_alone_decides_makes_no_call() {
    const FROM_THE_SIGNAL_ALONE: [&str; 9] = [
        "not_a_throttle",
        "not_ours",
        "own_call",
        "access_denied",
        "kms_denied",
        "kms_throttled",
        "control_plane_throttled",
        "muted",
        "recovered",
    ];
    let stage = Stage::throttled().await;
    let role = ("UNTHROTTLE_ROLE_ARN", "arn:aws:iam::123456789012:role/unthrottle");
    let mut container = stage.container_with(&[role]).await;
    let mut heard = vec![];
    for name in samples() {
        let (_, code) = name.split_once("__").expect("SITUATION__DECISION");
        if !FROM_THE_SIGNAL_ALONE.contains(&code) {
            continue;
        }
        let (run, calls) = stage.calls_of(container.invoke(&sample(&name))).await;
        assert_eq!((run.outcome(), run.code()), ("held", code), "{name}");
        assert_eq!(calls, BTreeMap::new(), "{name}");
        let cost = run.cost_line();
        assert_eq!((&cost["Looked"], &cost["Held"], &cost["AwsCalls"]), (&json!(0), &json!(1), &json!(0)), "{name}");
        let needs_person = ["access_denied", "kms_denied", "kms_throttled", "too_many_readers"].contains(&code);
        assert_eq!(cost["NeedsPerson"], u8::from(needs_person), "{name}");
        heard.push(code.to_owned());
    }
    for code in FROM_THE_SIGNAL_ALONE {
        assert!(heard.iter().any(|heard| heard == code), "no sample for {code}");
    }
}

#[tokio::test]
async fn the_start_of_a_container_makes_no_call() {
    let stage = Stage::throttled().await;
    let (_, calls) = stage.calls_of(stage.container()).await;
    assert_eq!(calls, BTreeMap::new());
}

#[tokio::test]
async fn a_throttle_right_after_a_look_and_a_function_that_is_off_make_no_call() {
    let stage = Stage::under(EASY, 2).await;
    let mut container = stage.container().await;
    let (first, calls) = stage.calls_of(container.invoke(&throttle())).await;
    assert!(total(&calls) > 0, "{first:?}");
    let mut off = stage.container_with(&[("UNTHROTTLE_MODE", "off")]).await;
    for (container, event, code) in [(&mut container, throttle(), "just_looked"), (&mut off, ask(), "opted_out")] {
        let (run, calls) = stage.calls_of(container.invoke(&event)).await;
        assert_eq!((run.code(), calls), (code, BTreeMap::new()));
    }
}

fn samples() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("events");
    let files = folder.read_dir().expect("events/").map(|entry| entry.expect("readable").path());
    let mut names: Vec<_> = files.map(|f| f.file_stem().expect("a name").to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

// ---- The same event again and again ----

#[tokio::test]
async fn the_same_event_a_hundred_times_is_one_change_and_one_auto_fix() {
    let stage = Stage::throttled().await;
    let mut container = stage.container().await;
    let mut acted = 0;
    for _ in 0..100 {
        acted += u32::from(container.invoke(&throttle()).await.outcome() == "acted");
    }
    assert_eq!(acted, 1);
    assert_one_change(&stage).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_event_a_hundred_times_at_once_is_one_change_and_one_auto_fix() {
    let stage = Stage::throttled().await;
    let mut containers = vec![];
    for _ in 0..10 {
        containers.push(stage.container().await);
    }
    let outcomes = storm(containers, &throttle(), 10).await;
    assert_eq!(outcomes.len(), 100);
    assert_eq!(outcomes.iter().filter(|outcome| *outcome == "acted").count(), 1, "{outcomes:?}");
    assert_one_change(&stage).await;
}

async fn assert_one_change(stage: &Stage) {
    let describe = async {
        stage.aws.active(STREAM).await;
        stage.aws.kinesis.list_shards().stream_name(STREAM).send().await.expect("shards").shards.unwrap_or_default()
    };
    let shards = describe.await;
    // Two were split, once each: a second change would have left more, open or closed.
    assert_eq!(shards.len(), 6, "{shards:?}");
    assert_eq!(stage.aws.auto_fix(&[]).await, 1.0);
    assert_eq!(stage.aws.auto_fix(&[("StreamName", STREAM)]).await, 1.0);
}

// ---- AWS refuses ----

#[tokio::test]
async fn a_refused_change_is_tried_once_and_remembered() {
    let stage = Stage::throttled().await;
    stage.refuse("UpdateShardCount", 1, "LimitExceededException");
    let mut container = stage.container().await;
    let run = container.invoke(&ask()).await;
    assert_eq!((run.outcome(), run.code()), ("held", "refused"), "{:#}", run.document());
    assert!(run.document()["sentence"].as_str().expect("a sentence").contains("says the test"));
    let refused = stage.aws.memory(STREAM_ARN).await.expect("a memory").refused.expect("a refusal");
    assert_eq!((refused.kind, refused.count), (ChangeKind::Scale, 1));

    assert_eq!(container.invoke(&ask()).await.code(), "refused_lately");
    assert_eq!(container.invoke(&throttle()).await.outcome(), "held");
    assert_eq!(stage.calls("Kinesis.UpdateShardCount"), 1);
    stage.assert_unchanged(2).await;
}

#[tokio::test]
async fn a_change_that_aws_refused_twice_is_not_tried_again_within_the_hour() {
    let stage = Stage::throttled().await;
    let ago = |minutes| Utc::now() - TimeDelta::minutes(minutes);
    let memory = Memory::default().intend(Change::intent(ChangeKind::Scale, 2, 4, ago(20)), false);
    let memory = memory.refuse(ChangeKind::Scale, ago(21), true).refuse(ChangeKind::Scale, ago(20), true);
    stage.aws.tag(STREAM_ARN, TAG, &memory.encode().expect("fits")).await;
    let (run, calls) = stage.calls_of(stage.container().await.invoke(&throttle())).await;
    assert_eq!((run.outcome(), run.code()), ("held", "refused_lately"));
    assert!(!calls.keys().any(|call| is_write(call)), "{calls:?}");
    stage.assert_unchanged(2).await;
}

#[tokio::test]
async fn a_memory_that_cannot_be_written_is_no_change() {
    let stage = Stage::throttled().await;
    stage.refuse("TagResource", FOR_EVER, "AccessDeniedException");
    let run = stage.container().await.invoke(&throttle()).await;
    assert_eq!((run.outcome(), run.code()), ("held", "cannot_remember"));
    assert_eq!(stage.calls("Kinesis.UpdateShardCount"), 0);
    stage.assert_unchanged(2).await;
}

#[tokio::test]
async fn a_tag_that_stays_throttled_is_an_error_and_no_change() {
    let stage = Stage::throttled().await;
    stage.refuse("TagResource", FOR_EVER, "LimitExceededException");
    let run = stage.container().await.invoke(&throttle()).await;
    let (kind, message) = run.error();
    assert_eq!(kind, "act_failed");
    assert!(message.contains("TagResource of `orders` failed, nothing was changed"), "{message}");
    assert_eq!((stage.calls("Kinesis.TagResource"), stage.calls("Kinesis.UpdateShardCount")), (3, 0));
    stage.assert_unchanged(2).await;
}

#[tokio::test]
async fn limits_that_aws_will_not_tell_keep_no_stream_from_healing() {
    let stage = Stage::throttled().await;
    stage.refuse("DescribeLimits", FOR_EVER, "LimitExceededException");
    let run = stage.container().await.invoke(&throttle()).await;
    assert_eq!((run.outcome(), run.code()), ("acted", "scale_shards"));
    assert_eq!(run.document()["evidence"].get("account_shards_left"), None);
    assert_eq!(stage.aws.active(STREAM).await.open_shard_count, 4);
}

#[tokio::test]
async fn a_change_that_somebody_makes_between_look_and_change_is_found_and_not_counted() {
    let stage = Stage::throttled().await;
    stage.fault("UpdateShardCount", 0, 1, Effect::Hold);
    let mut container = stage.container().await;
    let somebody = async {
        while stage.account.hanging() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stage.aws.reshard(STREAM, 3).await.expect("the stream is ACTIVE");
        stage.account.release();
    };
    let event = throttle();
    let (run, ()) = tokio::join!(container.invoke(&event), within(Duration::from_secs(20), "a change", somebody));
    assert_eq!((run.outcome(), run.code()), ("held", "resharding"));
    stage.aws.active(STREAM).await;
    stage.assert_unchanged(3).await;
}

// ---- AWS is silent, slow or broken ----

#[tokio::test]
async fn a_change_whose_answer_is_lost_is_an_error_and_found_by_the_next_look() {
    let stage = Stage::throttled().await;
    stage.fault("UpdateShardCount", 0, 1, Effect::DropAfter);
    let mut container = stage.container().await;
    let run = container.invoke(&throttle()).await;
    let (kind, message) = run.error();
    assert_eq!(kind, "act_failed");
    assert!(message.contains("UpdateShardCount of `orders` failed, whether it was carried out shows"), "{message}");

    assert_eq!(container.invoke(&throttle()).await.code(), "resharding", "Lambda tries the event again");
    stage.aws.active(STREAM).await;
    assert_eq!(container.invoke(&ask()).await.code(), "settling");
    assert_eq!((stage.calls("Kinesis.UpdateShardCount"), stage.shards().await), (1, 4));
}

#[tokio::test]
async fn a_look_that_fails_is_an_error_and_no_change() {
    for operation in ["DescribeStreamSummary", "ListTagsForResource", "GetMetricData", "DescribeLimits"] {
        let stage = Stage::throttled().await;
        let effect = Effect::Error { status: 500, code: "InternalFailure".into(), message: "says the test".into() };
        stage.fault(operation, 0, FOR_EVER, effect);
        let (run, calls) = stage.calls_of(stage.container().await.invoke(&throttle())).await;
        let (kind, message) = run.error();
        assert_eq!(kind, "read_failed");
        assert!(message.contains(&format!("{operation} of `orders` failed, nothing was changed")), "{message}");
        assert!(!calls.keys().any(|call| is_write(call)), "{calls:?}");
    }
}

/// The attempt is given up after three seconds, which is as long as a look is good: it looks once more.
#[tokio::test]
async fn a_read_that_hangs_is_tried_again() {
    let stage = Stage::throttled().await;
    stage.fault("DescribeStreamSummary", 0, 1, Effect::HangBefore);
    let run = stage.container().await.invoke(&throttle()).await;
    assert_eq!((run.outcome(), run.code()), ("acted", "scale_shards"));
    assert!(stage.calls("Kinesis.DescribeStreamSummary") >= 3, "the lost one, another attempt, another look");
    assert_eq!(stage.calls("Kinesis.UpdateShardCount"), 1);
}

// ---- AutoFix ----

#[tokio::test]
async fn an_auto_fix_that_cloudwatch_refuses_goes_out_as_a_log_line() {
    let stage = Stage::throttled().await;
    stage.refuse("PutMetricData", FOR_EVER, "AccessDenied");
    let run = stage.container().await.invoke(&throttle()).await;
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
    let at = stage.aws.memory(STREAM_ARN).await.and_then(|m| m.change).expect("a change").at;
    assert_eq!(line["_aws"]["Timestamp"], at.timestamp_millis(), "the intent's time");
}

#[tokio::test]
async fn an_auto_fix_whose_answer_is_lost_is_unconfirmed_and_counted_once() {
    let stage = Stage::throttled().await;
    stage.fault("PutMetricData", 0, 1, Effect::DropAfter);
    let run = stage.container().await.invoke(&throttle()).await;
    assert_eq!((run.outcome(), &run.document()["auto_fix"]), ("acted", &json!("unconfirmed")));
    assert_eq!(run.auto_fix_lines().len(), 0, "that could count it twice");
    assert_eq!(stage.aws.auto_fix(&[("StreamName", STREAM)]).await, 1.0);
}

#[tokio::test]
async fn a_change_whose_run_crashed_before_its_auto_fix_is_counted_later_and_once() {
    let stage = Stage::under(EASY, 4).await;
    let at = Utc::now() - TimeDelta::minutes(8);
    let memory = Memory::default().intend(Change::intent(ChangeKind::Scale, 2, 4, at), false);
    stage.aws.tag(STREAM_ARN, TAG, &memory.encode().expect("fits")).await;
    let mut container = stage.container().await;

    let run = container.invoke(&ask()).await;
    assert_eq!((run.outcome(), &run.document()["auto_fix"]), ("held", &json!("confirmed")), "{:#}", run.document());
    for _ in 0..2 {
        assert_eq!(container.invoke(&ask()).await.document()["auto_fix"], Value::Null);
    }

    assert_eq!(stage.calls("CloudWatch.PutMetricData"), 1);
    let minute: DateTime<Utc> = at.duration_trunc(TimeDelta::minutes(1)).expect("in range");
    for dimensions in [&[][..], &[("StreamName", STREAM)], &[("StreamName", STREAM), ("Action", "scale_shards")]] {
        assert_eq!(stage.aws.auto_fixes(dimensions).await, [(minute, 1.0)], "{dimensions:?}");
    }
}

// ---- Bad input ----

#[tokio::test]
async fn what_is_no_event_is_an_error_that_says_what_came_and_makes_no_call() {
    let stage = Stage::throttled().await;
    let mut container = stage.container().await;
    for (event, says) in [
        (json!({ "hello": 1 }), "an object with `hello`"),
        (json!(["orders"]), "an array"),
        (json!({ "stream": "or ders" }), "stream"),
        (json!({ "stream": STREAM, "mode": "off" }), "mode"),
        (json!({ "sweep": false }), "sweep"),
    ] {
        let (run, calls) = stage.calls_of(container.invoke(&event)).await;
        let (kind, message) = run.error();
        assert_eq!(kind, "bad_event", "{event}");
        assert!(message.contains(says), "{event}: {message}");
        assert_eq!(calls, BTreeMap::new(), "{event}");
    }
    assert_eq!(container.invoke(&throttle()).await.outcome(), "acted", "the container lives on");
}

#[test]
fn an_invalid_setting_fails_the_start_and_says_what_is_allowed() {
    let (status, output) = fail_to_start(&[("UNTHROTTLE_MODE", "on")]);
    assert!(!status.success());
    assert!(output.contains("UNTHROTTLE_MODE=on: must be heal, observe or off"), "{output}");
}
