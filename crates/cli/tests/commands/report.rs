//! `unthrottle report`: a month of a small fleet.

use crate::aws::STREAM;
use crate::fixture::{Fixture, live};
use crate::shell::{output, text, unthrottle};
use serde_json::{Value, json};
use std::process::Output;

/// The command for the account of the fixture.
async fn report(fixture: &Fixture, args: &[&str]) -> Output {
    let mut command = unthrottle(&["report"]);
    command.args(args).args(["--endpoint-url", fixture.account.url(), "--region", "us-east-1"]);
    output(command).await
}

async fn report_json(fixture: &Fixture, args: &[&str]) -> Value {
    let out = report(fixture, &[&["--json"], args].concat()).await;
    assert!(out.status.success(), "{}", text(&out.stderr));
    serde_json::from_slice(&out.stdout).expect("JSON")
}

#[tokio::test]
async fn an_incident_is_reported_with_its_change_its_cost_and_what_was_refused() {
    let fixture = Fixture::raised(live(), 30).await;
    fixture.account.add_streams(["idle".to_owned(), "new".to_owned()], 8, &[]).await;
    // A metric of that time makes the stream as old: a younger one has no right size yet.
    let week_ago = fixture.account.now() - chrono::TimeDelta::days(8);
    fixture.account.put_metric("AWS/Kinesis", "IncomingBytes", &[("StreamName", "idle")], week_ago, 1.0);
    let all = report_json(&fixture, &["--days", "2"]).await;
    let totals = &all["totals"];
    assert_eq!((&totals["streams"], &totals["incidents"]), (&json!(3), &json!(1)), "{all:#}");
    assert_eq!((&totals["changes"], &totals["incidents_with_a_change"]), (&json!(1), &json!(1)), "{all:#}");
    let orders = &all["streams"][0];
    assert_eq!(orders["name"], STREAM);
    let change = &orders["changes"][0];
    assert_eq!((&change["action"], &change["from"], &change["to"]), (&json!("scale_shards"), &json!(2), &json!(4)));
    // Two shards more, at $0.015 an hour.
    assert_eq!(change["usd_per_hour"], 0.03, "{change:#}");
    assert!(change["refused_hour_before"].as_f64() > Some(0.0), "{change:#}");
    assert!(orders["refused_records"].as_f64() > Some(100_000.0), "{orders:#}");
    let idle = &all["streams"][1];
    assert_eq!((&idle["right_size_shards"], &idle["slack_shards"]), (&json!(1), &json!(7)), "{idle:#}");
    let slack = idle["slack_usd_per_month"].as_f64().expect("a number");
    assert!((slack - 7.0 * 0.015 * 730.0).abs() < 1e-6, "{slack}");
    let new = &all["streams"][2];
    assert_eq!(
        (&new["name"], &new["right_size_shards"], &new["slack_shards"]),
        (&json!("new"), &Value::Null, &Value::Null)
    );
    let said = text(&report(&fixture, &["--days", "2"]).await.stdout);
    assert!(said.contains("3 streams: 1 incident, 1 with a change of unthrottle,"), "{said}");
    assert!(said.contains("The five minutes that have begun then are not complete"), "{said}");
    assert_eq!(all["logged_decisions"], Value::Null);
}

#[tokio::test]
async fn log_lines_add_the_cost_and_what_observe_would_have_done() {
    let fixture = Fixture::on(live(), 3000.0, 2, 10).await;
    let mut explain = unthrottle(&["explain", STREAM, "--json"]);
    explain.args(["--endpoint-url", fixture.account.url(), "--region", "us-east-1"]);
    let planned: Value = serde_json::from_slice(&output(explain).await.stdout).expect("JSON");
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("unthrottle.log");
    let lines = format!("START RequestId: 1 Version: $LATEST\n{}\n", json!({ "decision": planned, "message": "x" }));
    std::fs::write(&log, lines).expect("written");
    // The decision is of this step, which has begun: it ends within five minutes.
    fixture.account.age(std::time::Duration::from_secs(600)).await;
    let log = log.to_str().expect("text");
    let html = folder.path().join("page.html");
    let out = report(&fixture, &["--days", "1", "--log", log, "--html", html.to_str().expect("text")]).await;
    let said = text(&out.stdout);
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert!(said.starts_with("# Kinesis streams in us-east-1, "), "{said}");
    for part in ["## Incidents", "| orders |", "## How the numbers were made", "The log has "] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let page = std::fs::read_to_string(&html).expect("written");
    let body = &page[page.find("<body").expect("a body")..page.find("</html>").expect("an end")];
    roxmltree::Document::parse(body).expect("well-formed");
    let (_, after) = body.split_once("</h1>").expect("a title");
    assert!(after.starts_with("<p class=\"result\">1 stream: 1 incident, 0 with a change"), "{body}");
    assert!(body.contains("Incidents") && body.contains("orders") && !said.contains("$-"), "{body}{said}");
}

#[tokio::test]
async fn what_cannot_be_read_is_in_the_report_and_in_the_exit_code() {
    let fixture = Fixture::on(live(), 500.0, 2, 10).await;
    fixture.refuse("DescribeStreamSummary", crate::fixture::ALWAYS, "AccessDeniedException");
    let folder = tempfile::tempdir().expect("a folder");
    let html = folder.path().join("page.html");
    let out = report(&fixture, &["--json", "--html", html.to_str().expect("text")]).await;
    assert_eq!(out.status.code(), Some(1), "{}", text(&out.stderr));
    assert!(text(&out.stderr).contains("1 of 1 stream could not be read"), "{}", text(&out.stderr));
    let page = std::fs::read_to_string(&html).expect("written");
    assert!(page.contains("<th class=\"words\" scope=\"col\">why</th>"), "a column of sentences wraps: {page}");
    let all: Value = serde_json::from_slice(&out.stdout).expect("JSON");
    assert_eq!(all["totals"]["unread"], 1);
    assert!(all["streams"][0]["error"].as_str().is_some_and(|error| error.contains("AccessDenied")), "{all:#}");
}
