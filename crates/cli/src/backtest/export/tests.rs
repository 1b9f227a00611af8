//! The forms of the exports, right and wrong.

use super::*;

fn rows(files: &[&str]) -> Result<Vec<(String, Passed)>, Problem> {
    let mut points = Points::default();
    files.iter().try_for_each(|text| points.add(text))?;
    let rows = points.rows()?;
    Ok(rows.into_iter().map(|(minute, row)| (minute.start().format("%H:%M").to_string(), row)).collect())
}

fn expected() -> Vec<(String, Passed)> {
    let row = |bytes, records, throttled| Passed { bytes, records, throttled };
    vec![("13:04".into(), row(1000.5, 10.0, 0.0)), ("13:05".into(), row(2000.0, 20.0, 3.0))]
}

#[test]
fn the_consoles_csv_is_read_newest_first_with_any_rows_above() {
    let console = "Full label,orders IncomingBytes,orders IncomingRecords,orders WriteProvisionedThroughputExceeded\n\
                   Id,m1,m2,m3\nStat,Sum,Sum,Sum\n,,,\n\
                   2026/11/20 13:05:00,2000,20,3\n2026/11/20 13:04:00,1000.5,10,\n";
    assert_eq!(rows(&[console]), Ok(expected()));
    let spreadsheet = "\u{feff}Zeit;WriteProvisionedThroughputExceeded;IncomingBytes;IncomingRecords;GetRecords.Bytes\r\n\
                       20.11.2026 13:04;0;1000,5;10;7\r\n20.11.2026 13:05;3;2000;20;7\r\n";
    assert_eq!(rows(&[spreadsheet]), Ok(expected()));
}

#[test]
fn get_metric_data_is_read_with_the_times_of_the_cli_and_of_boto3() {
    let of = |first: &str, second: &str| {
        format!(
            r#"{{"MetricDataResults": [
                {{"Id": "m1", "Label": "IncomingBytes", "Timestamps": [{second}, {first}], "Values": [2000, 1000.5],
                  "StatusCode": "Complete"}},
                {{"Id": "incoming_records", "Label": "orders", "Timestamps": [{second}, {first}], "Values": [20, 10]}},
                {{"Id": "m3", "Label": "WriteProvisionedThroughputExceeded", "Timestamps": [{second}], "Values": [3]}},
                {{"Id": "m4", "Label": "GetRecords.Bytes", "Timestamps": [], "Values": []}}
            ], "Messages": []}}"#
        )
    };
    for (first, second) in [
        (r#""2026-11-20T13:04:00+00:00""#, r#""2026-11-20T13:05:00+00:00""#),
        (r#""2026-11-20T14:04:00+01:00""#, r#""2026-11-20 13:05:00+00:00""#),
        ("1795179840", "1795179900.0"),
        ("1795179840000", r#""1795179900000""#),
    ] {
        assert_eq!(rows(&[&of(first, second)]), Ok(expected()), "{first}");
    }
    let export = of(r#""2026-11-20T13:04:00Z""#, r#""2026-11-20T13:05:00Z""#);
    assert_eq!(rows(&[&export, &export]), Ok(expected()), "two exports that overlap");
}

#[test]
fn get_metric_statistics_is_read_from_several_files_or_from_one() {
    let of = |label: &str, points: &[(&str, f64)]| {
        let points: Vec<_> = points
            .iter()
            .map(|(time, sum)| serde_json::json!({ "Timestamp": time, "Sum": sum, "Unit": "Count" }))
            .collect();
        serde_json::json!({ "Label": label, "Datapoints": points }).to_string()
    };
    let (first, second) = ("2026-11-20T13:04:00Z", "2026-11-20T13:05:00Z");
    let files = [
        of("IncomingBytes", &[(second, 2000.0), (first, 1000.5)]),
        of("IncomingRecords", &[(first, 10.0), (second, 20.0)]),
        of("WriteProvisionedThroughputExceeded", &[(second, 3.0)]),
    ];
    let texts: Vec<&str> = files.iter().map(String::as_str).collect();
    assert_eq!(rows(&texts), Ok(expected()));
    assert_eq!(rows(&[&texts.join("\n")]), Ok(expected()), "one after the other in a file");
}

#[test]
fn what_cannot_be_used_is_an_error_with_its_line_and_what_would_be_right() {
    let console = "Label,IncomingBytes,IncomingRecords,WriteProvisionedThroughputExceeded\n";
    for (text, line, says) in [
        ("Label,CPUUtilization\n2026/11/20 13:04:00,1\n".into(), Some(2), "no column is named IncomingBytes"),
        (console.to_owned(), None, "no row begins with a time"),
        (format!("{console}11/12/2026 13:04,1,1,0\n"), Some(2), "The month and the day cannot be told apart"),
        (format!("{console}2026/11/20 13:04:00,1,1,0\nmore,1,1,0\n"), Some(3), "`more` is not a time"),
        (format!("{console}2026/11/20 13:04:00,many,1,0\n"), Some(2), "IncomingBytes is `many`"),
        (format!("{console}2026/11/20 13:04:00,-1,1,0\n"), Some(2), "from 0 on"),
        (format!("{console}2026/11/20 13:04:00,1,1,0\n2026/11/20 13:04:30,2,1,0\n"), Some(3), "one stream"),
        (format!("{console}Stat,Average,Sum,Sum\n2026/11/20 13:04:00,1,1,0\n"), Some(3), "`Average`: export the Sum"),
        ("Label,a IncomingBytes,b IncomingBytes\n2026/11/20 13:04:00,1,1\n".into(), Some(2), "two columns"),
        ("Label,IncomingBytes\n2026/11/20 13:04:00,1\n".into(), None, "no export has IncomingRecords and Write"),
        ("{\"Label\": \"IncomingBytes\",".into(), Some(1), "not JSON"),
        ("\n\n{\"a\": 1}".into(), Some(3), "neither the answer of get-metric-data"),
        (
            "{\"Label\": \"IncomingBytes\", \"Datapoints\": [{\"Timestamp\": 1795179840, \"Average\": 1}]}".into(),
            Some(1),
            "no Sum: export --statistics Sum",
        ),
        ("{\"MetricDataResults\": []}".into(), None, "no export has IncomingBytes"),
    ] {
        let Problem { line: at, problem } = rows(&[&text]).expect_err(&text);
        assert!(problem.contains(says), "{text:?}: {problem}");
        assert_eq!(at, line, "{text:?}: {problem}");
    }
}
