//! What the doctor prints for people, and docs/doctor.md.

use crate::aws::root;
use crate::fixture::{Clinic, STREAM, Seed, minutes_ago, not_encrypted, now};
use serde_json::Value;
use unthrottle_core::checks::CHECKS;
use unthrottle_lab::local::{Effect, Fault};

#[tokio::test]
async fn the_page_on_a_terminal_has_the_worst_first_and_its_command_on_one_line() {
    let clinic = Clinic::of(Seed { summary: not_encrypted(), shards: 10, ..Seed::default() }).await;
    let out = clinic.doctor(&[STREAM]).await;
    assert_eq!((out.code, out.err.as_str()), (0, ""));
    let lines: Vec<&str> = out.out.lines().collect();
    assert_eq!(lines[..2], ["orders: 10 shards, provisioned", "2 warn (encryption, oversized), 28 ok"]);
    let cost = lines.iter().position(|line| *line == "cost").expect("a group");
    assert!(lines[cost + 1].starts_with("  warn    oversized"), "{}", out.out);
    let fix = lines.iter().find(|line| line.trim_start().starts_with("fix  ") && line.contains("update-shard-count"));
    let fix = fix.expect("a command");
    assert!(!out.out.contains("backtest"), "no caveat, because the minutes were read: {}", out.out);
    assert!(fix.contains("--stream-name orders --target-shard-count 5"), "{fix}");
    let words = ["fix", "source", "aws ", "unthrottle ", "# "];
    let wide = lines.iter().filter(|line| line.chars().count() > 80);
    assert!(wide.clone().all(|line| words.iter().any(|word| line.trim_start().starts_with(word))), "{wide:?}");
    assert!(out.out.contains("money               $87.60 a month\n"), "{}", out.out);
    let further = ["# wait until the stream is ACTIVE, and halve", "# again, down to 2"];
    assert!(lines.windows(2).any(|two| [two[0].trim(), two[1].trim()] == further), "{}", out.out);
}

#[tokio::test]
async fn all_streams_are_a_table_with_the_worst_first() {
    let clinic = Clinic::of(Seed::default()).await;
    let name = "a-stream-with-a-name-that-is-longer-than-its-column".to_owned();
    clinic.account.add_streams(["clicks".to_owned(), name], 1, &[]).await;
    let out = clinic.doctor(&["--all"]).await;
    assert_eq!((out.code, out.err.as_str()), (0, ""));
    let lines: Vec<&str> = out.out.lines().collect();
    // Both new streams have no encryption, and are too young for `mode` and `oversized`.
    let table = [
        "fail warn unknown $/month  stream",
        "   -    1       2       -  a-stream-with-a-name-that-is-longer-than-its-column",
        "    encryption mode oversized",
        "   -    1       2       -  clicks",
        "    encryption mode oversized",
        "   -    -       -       -  orders",
    ];
    assert_eq!(lines[..6], table, "{}", out.out);
    // A command is in one line, to be pasted.
    let is_command = |line: &str| line.starts_with("  unthrottle doctor ");
    assert!(lines.iter().all(|line| line.chars().count() <= 80 || is_command(line)), "{}", out.out);
    assert!(out.out.contains("2 of 3 streams that were read have a finding."), "{}", out.out);
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
    for rule in rules {
        let text = |field: &str| rule[field]["text"].as_str().expect("text");
        let about = text("shortDescription");
        assert!(about.ends_with('.') && !about[..about.len() - 1].contains(". "), "one sentence: {about}");
        let help = text("help");
        assert!(help.starts_with("Warns or fails when: ") && !help.contains("when: ."), "{help}");
        assert!(!help.contains(['`', '*', '|']), "no Markdown: {help}");
    }
    let results = run["results"].as_array().expect("results");
    let ids: Vec<&str> = results.iter().filter_map(|result| result["ruleId"].as_str()).collect();
    assert_eq!(ids, ["retention", "encryption"], "the worst first");
    for result in results {
        let place = usize::try_from(result["ruleIndex"].as_u64().expect("a number")).expect("in range");
        assert_eq!(rules[place]["id"], result["ruleId"]);
        assert!(result["message"]["text"].as_str().is_some_and(|text| text.starts_with("orders: ")), "{result}");
        let uri = &result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
        assert_eq!(uri, "kinesis/us-east-1/123456789012/orders", "GitHub takes files only");
    }
    // A late reader needs the idle shards, so `oversized` is ok.
    let levels: Vec<&str> = results.iter().filter_map(|result| result["level"].as_str()).collect();
    assert_eq!(levels, ["error", "warning"]);
}

#[test]
fn every_check_has_a_row_in_the_documents_and_every_row_a_check() {
    let page = std::fs::read_to_string(root().join("docs/doctor.md")).expect("docs/doctor.md");
    let cell = |line: &str| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned());
    let rows: Vec<String> = page.lines().filter_map(cell).collect();
    assert_eq!(rows, CHECKS.iter().map(|check| check.code).collect::<Vec<_>>(), "in the order of the page");
}

/// A denial of each further call of the operation.
fn deny(clinic: &Clinic, operation: &str) {
    let message = "User: arn:aws:iam::123456789012:user/me is not authorized to perform this";
    let effect = Effect::Error { status: 400, code: "AccessDeniedException".into(), message: message.into() };
    clinic.account.add_fault(Fault { operation: operation.into(), skip: 0, times: 100, effect });
}

#[tokio::test]
async fn a_denial_of_all_summaries_is_told_once_with_its_action() {
    let clinic = Clinic::of(Seed::default()).await;
    deny(&clinic, "DescribeStreamSummary");
    let out = clinic.doctor(&["--all"]).await;
    assert_eq!((out.code, out.err.as_str()), (1, "unthrottle: 1 of 1 stream could not be read\n"));
    clinic.account.add_streams(["clicks".to_owned()], 1, &[]).await;
    let out = clinic.doctor(&["--all"]).await;
    assert_eq!((out.code, out.err.as_str()), (1, "unthrottle: 2 of 2 streams could not be read\n"));
    let text = out.out.split_whitespace().collect::<Vec<_>>().join(" ");
    let says = "2 streams not read: AWS denied kinesis:DescribeStreamSummary: ";
    assert_eq!((text.matches(says).count(), text.matches("is not authorized").count()), (1, 1), "{}", out.out);
    assert!(
        text.contains("Allow kinesis:DescribeStreamSummary to this principal")
            && text.contains("--policy` prints a policy of all reads"),
        "{text}"
    );
    assert!(text.contains("0 of 0 streams that were read have a finding."), "{}", out.out);
    let out = clinic.doctor(&[STREAM]).await;
    assert_eq!((out.code, out.out.as_str()), (1, ""));
    assert!(out.err.starts_with("unthrottle: AWS denied kinesis:DescribeStreamSummary: "), "{}", out.err);
    assert!(out.err.contains("--policy` prints a policy of all reads"), "{}", out.err);
}

#[tokio::test]
async fn checks_that_miss_the_same_read_are_one_line_and_keep_their_codes() {
    let clinic = Clinic::of(Seed::default()).await;
    deny(&clinic, "GetMetricData");
    let out = clinic.doctor(&[STREAM, "--skip", "shard-metrics,retention,pollers,mode,oversized,lambda-window"]).await;
    assert_eq!(out.code, 0, "{}", out.err);
    assert_eq!(out.out.matches("AWS denied cloudwatch:GetMetricData.").count(), 1, "{}", out.out);
    let codes = ["put-record batch small-records put-units", "large-records bursts failed-records"];
    let lines: Vec<&str> = out.out.lines().map(str::trim).collect();
    assert!(lines.contains(&format!("checks              {}", codes[0]).as_str()), "{}", out.out);
    assert!(lines.contains(&codes[1]), "{}", out.out);
    let summary = out.out.lines().skip(1).take_while(|line| !line.is_empty());
    assert!(summary.clone().count() > 1 && summary.clone().all(|line| !line.ends_with('-')), "{}", out.out);
}

#[tokio::test]
async fn the_html_page_names_the_account_the_time_and_the_money() {
    let clinic = Clinic::of(Seed { shards: 10, ..Seed::default() }).await;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("page.html");
    let out = clinic.doctor(&[STREAM, "--html", path.to_str().expect("text")]).await;
    assert_eq!(out.code, 0, "{}", out.err);
    let html = std::fs::read_to_string(&path).expect("written");
    let today = now().format("%Y-");
    let context = format!("<p>Account 123456789012, region us-east-1. Read at {today}");
    assert!(html.contains(&context) && html.contains("<b>$87.60 a month</b>"), "{html}");
}

#[tokio::test]
async fn the_html_page_begins_with_its_result() {
    let clinic = Clinic::of(Seed { summary: not_encrypted(), shards: 10, ..Seed::default() }).await;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("page.html");
    let begins = async |which: &str, says: &str| {
        let out = clinic.doctor(&[which, "--html", path.to_str().expect("text")]).await;
        assert_eq!(out.code, 0, "{}", out.err);
        let html = std::fs::read_to_string(&path).expect("written");
        let (_, after) = html.split_once("</h1>").expect("a title");
        assert!(after.starts_with(&format!("<p class=\"result\">{says}</p>")), "{html}");
        let (_, end) = after.split_once("How the numbers were made").expect("explanations");
        assert!(end.contains("docs/doctor.md explains"), "{html}");
    };
    begins(STREAM, "orders: 2 warn (encryption, oversized), 28 ok.").await;
    clinic.account.add_streams(["clicks".to_owned()], 1, &[]).await;
    begins("--all", "2 of 2 streams with a warning or a failure.").await;
}
