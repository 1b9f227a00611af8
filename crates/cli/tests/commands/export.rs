//! `unthrottle backtest --export`: the same past in each form of CloudWatch gives the same estimate.

use crate::shell::{output, text, unthrottle};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const METRICS: [&str; 3] = ["IncomingBytes", "IncomingRecords", "WriteProvisionedThroughputExceeded"];

/// Two hours, minute by minute: a load that fills a shard for half an hour. The time, and the three sums.
fn past() -> Vec<(i64, [f64; 3])> {
    let minute = |n: i64| {
        let (records, refused) = if (60..90).contains(&n) { (60_000.0, 6_000.0) } else { (6_000.0, 0.0) };
        (1_795_179_600 + 60 * n, [records * 100.0, records, refused])
    };
    (0..120).map(minute).collect()
}

fn time(seconds: i64, form: &str) -> String {
    chrono::DateTime::from_timestamp(seconds, 0).expect("in range").format(form).to_string()
}

fn file(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("written");
    path
}

/// The estimate from these files.
async fn backtest(option: &str, paths: &[PathBuf]) -> Value {
    let mut command = unthrottle(&["backtest", "--json", option]);
    command.args(paths);
    let out = output(command).await;
    assert!(out.status.success(), "{paths:?}: {}", text(&out.stderr));
    let mut estimate: Value = serde_json::from_slice(&out.stdout).expect("JSON");
    // It is the name of the file.
    estimate["stream"] = Value::Null;
    estimate["name"] = Value::Null;
    estimate
}

#[tokio::test]
async fn every_form_of_an_export_gives_the_estimate_of_the_same_rows() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let mut rows = "timestamp,incoming_bytes,incoming_records,write_throttled\n".to_owned();
    for (at, [bytes, records, refused]) in past() {
        writeln!(rows, "{at},{bytes},{records},{refused}").expect("written");
    }
    let expected = backtest("--csv", &[file(folder, "rows.csv", &rows)]).await;

    let mut console = format!("Full label,{}\nId,m1,m2,m3\n", METRICS.join(","));
    let mut sheet = format!("Zeit;{}\r\n", METRICS.join(";"));
    for (at, [bytes, records, refused]) in past().into_iter().rev() {
        writeln!(console, "{},{bytes},{records},{refused}", time(at, "%Y/%m/%d %H:%M:%S")).expect("written");
        write!(sheet, "{};{bytes},0;{records};{refused}\r\n", time(at, "%d.%m.%Y %H:%M")).expect("written");
    }
    let times: Vec<String> = past().iter().rev().map(|(at, _)| time(*at, "%Y-%m-%dT%H:%M:%S+00:00")).collect();
    let series = |place: usize| past().iter().rev().map(|(_, sums)| sums[place]).collect::<Vec<f64>>();
    let results: Vec<Value> = METRICS
        .iter()
        .enumerate()
        .map(|(place, label)| {
            json!({ "Id": format!("m{place}"), "Label": label, "Timestamps": times, "Values": series(place),
                    "StatusCode": "Complete" })
        })
        .collect();
    let data = json!({ "MetricDataResults": results, "Messages": [] }).to_string();
    let statistics: Vec<PathBuf> = METRICS
        .iter()
        .enumerate()
        .map(|(place, label)| {
            let points =
                past().into_iter().map(|(at, sums)| json!({ "Timestamp": at, "Sum": sums[place], "Unit": "Count" }));
            let answer = json!({ "Label": label, "Datapoints": points.collect::<Vec<_>>() });
            file(folder, &format!("{label}.json"), &answer.to_string())
        })
        .collect();
    for paths in [
        vec![file(folder, "console.csv", &console)],
        vec![file(folder, "sheet.csv", &sheet)],
        vec![file(folder, "data.json", &data)],
        statistics,
    ] {
        assert_eq!(backtest("--export", &paths).await, expected, "{paths:?}");
    }
}

#[tokio::test]
async fn an_export_that_misses_a_metric_is_refused_with_what_to_add() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = file(folder.path(), "one.csv", "Label,IncomingBytes\n2026/11/20 13:04:00,1\n");
    let mut command = unthrottle(&["backtest", "--export"]);
    command.arg(path);
    let out = output(command).await;
    let said = text(&out.stderr);
    assert_eq!(out.status.code(), Some(2), "{said}");
    assert!(said.contains("no export has IncomingRecords and WriteProvisionedThroughputExceeded"), "{said}");
}
