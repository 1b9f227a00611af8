//! The findings as SARIF 2.1.0 (OASIS): what GitHub, Azure DevOps and other collectors of findings read.

use super::report::{Page, Report};
use serde_json::{Value, json};
use unthrottle_core::checks::{CHECKS, Check, Finding, Status};

/// The log of one run. Checks that are ok are no result. A check that could not be made is `open`.
pub(super) fn log(report: &Report) -> Value {
    let results = report.streams.iter().flat_map(|page| page.open().into_iter().map(move |f| result(page, f)));
    let unread = report.streams.iter().filter_map(|page| {
        Some(json!({
            "level": "error",
            "message": { "text": format!("{}: {}", page.name, page.error.as_ref()?) },
        }))
    });
    let unread: Vec<Value> = unread.collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "unthrottle doctor",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": CHECKS.iter().map(rule).collect::<Vec<_>>(),
            }},
            "invocations": [{ "executionSuccessful": unread.is_empty(), "toolExecutionNotifications": unread }],
            "results": results.collect::<Vec<_>>(),
        }],
    })
}

/// The page with a row for each check: when it warns or fails. A test compares the codes with those of the program.
const ROWS: &str = include_str!("../../../../docs/doctor.md");

/// When a check warns or fails, without the marks of Markdown.
fn help(check: &Check) -> String {
    let row = ROWS.lines().find_map(|line| line.strip_prefix(&format!("| `{}` | ", check.code)));
    let cell = row.and_then(|row| row.split(" | ").next()).unwrap_or_default();
    format!("Warns or fails when: {}. Source: {}", cell.replace(['*', '`'], "").trim_end_matches('.'), check.source)
}

fn rule(check: &Check) -> Value {
    let mut rule = json!({
        "id": check.code,
        "shortDescription": { "text": check.about },
        "fullDescription": { "text": check.about },
        "help": { "text": help(check) },
        "properties": { "group": check.group },
    });
    if check.source.starts_with("https://") {
        rule["helpUri"] = check.source.into();
    }
    rule
}

/// A place for collectors that know only files: GitHub takes no other scheme, and needs a line.
fn place(arn: &str) -> Value {
    // arn:PARTITION:kinesis:REGION:ACCOUNT:stream/NAME
    let parts: Vec<&str> = arn.split(':').skip(3).collect();
    let uri = format!("kinesis/{}", parts.join("/").replace("stream/", ""));
    json!({ "artifactLocation": { "uri": uri }, "region": { "startLine": 1 } })
}

fn result(page: &Page, finding: &Finding) -> Value {
    let (kind, level) = match finding.status {
        Status::Fail => ("fail", "error"),
        Status::Warn => ("fail", "warning"),
        // Only a result of the kind `fail` may have another level.
        Status::Unknown => ("open", "none"),
        Status::Ok => ("pass", "none"),
    };
    let fix = finding.fix.as_ref().map(|fix| format!(" Fix: {fix}")).unwrap_or_default();
    json!({
        "ruleId": finding.code,
        "ruleIndex": CHECKS.iter().position(|check| check.code == finding.code),
        "kind": kind,
        "level": level,
        "message": { "text": format!("{}: {}{fix}", page.name, finding.sentence) },
        "locations": [{
            "physicalLocation": place(&page.arn),
            "logicalLocations": [{ "fullyQualifiedName": page.arn, "name": page.name, "kind": "resource" }],
        }],
        // The same finding of the next run has the same fingerprint.
        "partialFingerprints": { "stream/check": format!("{}/{}", page.arn, finding.code) },
        "properties": { "evidence": finding.evidence, "usd_per_month": finding.usd_per_month },
    })
}
