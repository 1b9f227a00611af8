//! Sweeps of the release `bootstrap`.

use crate::crash::LOAD;
use crate::fixture::{Fixture, live};
use crate::fleet::lines_of;
use crate::lambda::Container;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

#[tokio::test]
async fn the_lambda_answers_a_sweep_with_a_summary_and_logs_each_decision() {
    let fixture = Fixture::on(live(), LOAD, 2, 10).await;
    let mut container = Container::start(fixture.account.url(), &[("UNTHROTTLE_FLEET_ALARMS", "writes,reads")]).await;
    let run = container.invoke(&json!({ "sweep": true })).await;
    let document = run.document();
    assert_eq!(
        (run.outcome(), &document["changed"], &document["looked"]),
        ("swept", &json!(1), &json!(1)),
        "{document:#}"
    );
    assert_eq!(run.decision_line()["decision"], document["decisions"][0]);
    let cost = run.cost_line();
    assert_eq!((&cost["Reason"], &cost["ColdStart"]), (&json!("swept"), &json!(1)), "{cost:#}");
    assert_eq!(lines_of(&run.lines, "SweepLooked").len(), 1);
    let sweeps: Vec<_> = run.lines.iter().filter(|line| line.get("sweep").is_some()).collect();
    assert!(matches!(&sweeps[..], [line] if line["message"] == document["sentence"]), "{sweeps:#?}");
    let none = BTreeMap::<String, u64>::new();
    fixture.account.reset_calls();
    assert_eq!(container.invoke(&json!({ "sweep": false })).await.error().0, "bad_event");
    assert_eq!(fixture.account.calls(), none);
}

/// What docs/operations.md computes its cost of an account without streams from. Lambda adds three lines of its own.
const LOG_BYTES_OF_AN_EMPTY_SWEEP: usize = 1_150;
const METRICS_OF_AN_EMPTY_SWEEP: [&str; 3] = ["AwsCalls", "DurationMs", "SweepLooked"];

#[tokio::test]
async fn a_sweep_of_no_stream_writes_three_metrics_and_a_short_log() {
    let fixture = Fixture::empty(live()).await;
    let mut container = Container::start(fixture.account.url(), &[("UNTHROTTLE_FLEET_ALARMS", "writes,reads")]).await;
    let first = container.invoke(&json!({ "sweep": true })).await;
    assert_eq!(first.cost_line()["ColdStart"], 1);
    assert_eq!(written(&first.lines), METRICS_OF_AN_EMPTY_SWEEP);
    let run = container.invoke(&json!({ "sweep": true })).await;
    assert_eq!(written(&run.lines), METRICS_OF_AN_EMPTY_SWEEP);
    let bytes: usize = run.lines.iter().map(|line| line.to_string().len() + 1).sum();
    assert!(bytes <= LOG_BYTES_OF_AN_EMPTY_SWEEP, "{bytes}: {:#?}", run.lines);
}

/// The names of the metrics that these lines of EMF write, sorted, each once for each of its sets of dimensions.
fn written(lines: &[Value]) -> Vec<String> {
    let mut written: Vec<String> = vec![];
    for line in lines {
        for directive in line["_aws"]["CloudWatchMetrics"].as_array().into_iter().flatten() {
            let sets = directive["Dimensions"].as_array().expect("sets").len();
            let names =
                directive["Metrics"].as_array().expect("metrics").iter().map(|m| m["Name"].as_str().expect("a name"));
            written.extend(names.flat_map(|name| vec![name.to_owned(); sets]));
        }
    }
    written.sort_unstable();
    written
}

/// In AWS the timeout of Lambda stops the function. Here the test does.
#[tokio::test]
async fn the_lambda_stays_when_the_schedule_asks_and_has_logged_each_check_by_then() {
    let fixture = Fixture::on(live(), LOAD, 2, 10).await;
    let mut container = Container::start(fixture.account.url(), &[("UNTHROTTLE_FLEET_ALARMS", "writes,reads")]).await;
    let event = json!({ "sweep": true, "stay": true });
    let log = container.log_reader();
    let logged = async {
        while lines_of(&log.lines(0), "decision").is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // A function that does not stay would answer at once.
        tokio::time::sleep(Duration::from_secs(1)).await;
    };
    tokio::select! {
        run = container.invoke(&event) => panic!("a stream is under way: {run:?}"),
        () = logged => {}
    }
    let lines = container.log();
    let [line] = lines_of(&lines, "decision")[..] else { panic!("one decision: {lines:#?}") };
    assert_eq!((&line["decision"]["code"], &line["decision"]["outcome"]), (&json!("scale_shards"), &json!("acted")));
    assert_eq!((lines_of(&lines, "Looked").len(), lines_of(&lines, "sweep").len()), (1, 0), "{lines:#?}");
}

#[tokio::test]
async fn the_only_run_at_a_time_does_not_stay_and_leaves_its_turn_to_events() {
    let fixture = Fixture::on(live(), LOAD, 2, 10).await;
    let settings = [("UNTHROTTLE_FLEET_ALARMS", "writes,reads"), ("UNTHROTTLE_CONCURRENCY", "1")];
    let mut container = Container::start(fixture.account.url(), &settings).await;
    let run = container.invoke(&json!({ "sweep": true, "stay": true })).await;
    let document = run.document();
    assert_eq!((&document["changed"], &document["again"]), (&json!(1), &json!(0)), "{document:#}");
}
