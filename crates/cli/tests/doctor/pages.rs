//! What the doctor prints for people, and docs/doctor.md.

use crate::aws::root;
use crate::fixture::{Clinic, STREAM, Seed, minutes_ago, not_encrypted};
use serde_json::Value;
use unthrottle_core::checks::CHECKS;

#[tokio::test]
async fn the_page_on_a_terminal_has_the_worst_first_and_its_command_on_one_line() {
    let clinic = Clinic::of(Seed { summary: not_encrypted(), shards: 10, ..Seed::default() }).await;
    let out = clinic.doctor(&[STREAM]).await;
    assert_eq!((out.code, out.err.as_str()), (0, ""));
    let lines: Vec<&str> = out.out.lines().collect();
    assert_eq!(lines[..2], ["orders: 10 shards, provisioned", "2 warn (encryption, oversized), 28 ok"]);
    let cost = lines.iter().position(|line| *line == "cost").expect("a group");
    assert!(lines[cost + 1].starts_with("  warn    oversized"), "{}", out.out);
    let fix = lines.iter().find(|line| line.trim_start().starts_with("fix") && line.contains("update-shard-count"));
    let fix = fix.expect("a command");
    assert!(fix.contains("--stream-name orders --target-shard-count 5"), "{fix}");
    let wide = lines.iter().filter(|line| line.chars().count() > 80);
    assert!(
        wide.clone().all(|line| ["fix", "source"].iter().any(|word| line.trim_start().starts_with(word))),
        "{wide:?}"
    );
}

#[tokio::test]
async fn all_streams_are_a_table_with_the_worst_first() {
    let clinic = Clinic::of(Seed::default()).await;
    let name = "a-stream-with-a-name-that-is-longer-than-its-column".to_owned();
    clinic.account.add_streams(["clicks".to_owned(), name], 1, &[]).await;
    let out = clinic.doctor(&["--all"]).await;
    assert_eq!((out.code, out.err.as_str()), (0, ""));
    let lines: Vec<&str> = out.out.lines().collect();
    let names: Vec<&str> = lines[..4].iter().map(|line| line.split_whitespace().next().expect("a name")).collect();
    assert_eq!(names, ["stream", "a-stream-with-a-name-that-i…", "clicks", "orders"], "{}", out.out);
    // Both new streams have no encryption, and are too young for `mode` and `oversized`.
    let cells: Vec<&str> = lines[2].split_whitespace().skip(1).collect();
    assert_eq!(cells[..4], ["-", "1", "2", "-"], "{}", out.out);
    // A command is in one line, to be pasted.
    let is_command = |line: &str| line.starts_with("  unthrottle doctor ");
    assert!(lines.iter().all(|line| line.chars().count() <= 80 || is_command(line)), "{}", out.out);
    assert!(out.out.contains("2 of 3 streams have a finding."), "{}", out.out);
}

#[tokio::test]
async fn the_html_page_is_well_formed_and_has_each_finding_with_its_command() {
    let clinic = Clinic::of(Seed { summary: not_encrypted(), shards: 10, ..Seed::default() }).await;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("page.html");
    let out = clinic.doctor(&[STREAM, "--html", path.to_str().expect("text")]).await;
    assert_eq!((out.code, out.err.as_str()), (0, ""));
    let html = std::fs::read_to_string(&path).expect("written");
    let body = &html[html.find("<body").expect("a body")..html.find("</html>").expect("an end")];
    let body = roxmltree::Document::parse(body).expect("well-formed");
    let cards = |status: &str| {
        let class = format!("card {status}");
        body.descendants().filter(|node| node.attribute("class") == Some(class.as_str())).count()
    };
    assert_eq!((cards("warn"), cards("ok"), cards("fail")), (2, 28, 0));
    let commands = body.descendants().filter(|node| node.has_tag_name("pre")).filter_map(|node| node.text());
    assert!(commands.into_iter().any(|text| text.contains("update-shard-count --stream-name orders")));
    assert!(!html.contains("src=") && !html.contains("<script"), "it loads nothing");
}

#[tokio::test]
async fn the_sarif_has_a_rule_for_each_check_and_a_result_for_each_open_finding() {
    let clinic = Clinic::of(Seed { summary: not_encrypted(), shards: 10, ..Seed::default() }).await;
    clinic.put("GetRecords.IteratorAgeMilliseconds", minutes_ago(2), 13.0 * 3_600_000.0);
    let out = clinic.doctor(&[STREAM, "--sarif"]).await;
    assert_eq!((out.code, out.err.as_str()), (0, ""));
    let log: Value = serde_json::from_str(&out.out).expect("JSON");
    assert_eq!((&log["version"], log["runs"].as_array().map(Vec::len)), (&"2.1.0".into(), Some(1)));
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().expect("rules");
    assert_eq!(rules.len(), CHECKS.len());
    let results = run["results"].as_array().expect("results");
    let ids: Vec<&str> = results.iter().filter_map(|result| result["ruleId"].as_str()).collect();
    assert_eq!(ids, ["retention", "encryption", "oversized"], "the worst first");
    for result in results {
        let place = usize::try_from(result["ruleIndex"].as_u64().expect("a number")).expect("in range");
        assert_eq!(rules[place]["id"], result["ruleId"]);
        assert!(result["message"]["text"].as_str().is_some_and(|text| text.starts_with("orders: ")), "{result}");
        let uri = &result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
        assert_eq!(*uri, clinic.account.stream_arn(STREAM));
    }
    let levels: Vec<&str> = results.iter().filter_map(|result| result["level"].as_str()).collect();
    assert_eq!(levels, ["error", "warning", "warning"]);
}

#[test]
fn every_check_has_a_row_in_the_documents_and_every_row_a_check() {
    let page = std::fs::read_to_string(root().join("docs/doctor.md")).expect("docs/doctor.md");
    let cell = |line: &str| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned());
    let rows: Vec<String> = page.lines().filter_map(cell).collect();
    assert_eq!(rows, CHECKS.iter().map(|check| check.code).collect::<Vec<_>>(), "in the order of the page");
}
