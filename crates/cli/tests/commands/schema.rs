//! `unthrottle schema`: what the commands print fits it, and it stays compatible with the committed one.

use crate::aws::{STREAM, root};
use crate::fixture::{Fixture, live};
use crate::shell::{output, text, unthrottle};
use serde_json::Value;
use std::process::Command;

const DOCUMENTS: [&str; 12] =
    ["decision", "sweep", "doctor", "history", "report", "put", "smoke", "keys", "plan", "backtest", "config", "watch"];

async fn json_of(command: Command) -> Value {
    let out = output(command).await;
    serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{e}: {}{}", text(&out.stdout), text(&out.stderr)))
}

/// The schema, which then also refuses fields that it does not name.
fn strict(schema: &Value) -> Value {
    match schema {
        Value::Object(fields) => {
            let mut fields: serde_json::Map<String, Value> =
                fields.iter().map(|(name, value)| (name.clone(), strict(value))).collect();
            if fields.contains_key("properties") && !fields.contains_key("additionalProperties") {
                fields.insert("additionalProperties".into(), false.into());
            }
            fields.into()
        }
        Value::Array(all) => all.iter().map(strict).collect(),
        other => other.clone(),
    }
}

#[tokio::test]
async fn the_committed_schema_is_that_of_the_types_and_older_documents_stay_readable() {
    for document in DOCUMENTS {
        let path = root().join(format!("docs/schema/{document}.json"));
        let committed = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let committed: Value = serde_json::from_str(&committed).expect("JSON");
        let mut command = unthrottle(&["schema", document, "--compatible-with"]);
        command.arg(&path);
        let out = output(command).await;
        // A field that is gone, or a type that has changed: a new version of the document is needed.
        assert!(out.status.success(), "{}", text(&out.stderr));
        let current: Value = serde_json::from_slice(&out.stdout).expect("JSON");
        assert_eq!(current, committed, "run `make generate`: docs/schema/{document}.json is older than the types");
    }
}

#[tokio::test]
async fn a_schema_that_loses_a_field_is_refused() {
    let path = root().join("docs/schema/decision.json");
    let mut old: Value = serde_json::from_str(&std::fs::read_to_string(path).expect("readable")).expect("JSON");
    old["properties"]["verdict"] = serde_json::json!({ "type": "string" });
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("old.json");
    std::fs::write(&path, old.to_string()).expect("written");
    let mut command = unthrottle(&["schema", "decision", "--compatible-with"]);
    command.arg(path);
    let out = output(command).await;
    assert_eq!(out.status.code(), Some(3));
    assert!(text(&out.stderr).contains("verdict is gone"), "{}", text(&out.stderr));
}

#[tokio::test]
async fn what_the_commands_print_fits_the_schema_field_by_field() {
    let fixture = Fixture::on(live(), 3000.0, 2, 10).await;
    let of = |args: &[&str]| {
        let mut command = unthrottle(args);
        command.args(["--endpoint-url", fixture.account.url(), "--region", "us-east-1", "--json"]);
        command
    };
    for (document, args) in [
        ("decision", &["explain", STREAM][..]),
        ("sweep", &["sweep", "--observe"]),
        ("history", &["history", STREAM]),
        ("doctor", &["doctor", STREAM]),
        ("report", &["report", "--days", "1"]),
        ("decision", &["restore", STREAM]),
    ] {
        let printed = json_of(of(args)).await;
        must_fit(document, &printed).await;
    }
}

/// The document fits the schema of this name, which then also refuses fields that it does not name.
async fn must_fit(document: &str, printed: &Value) {
    let schema = strict(&json_of(unthrottle(&["schema", document])).await);
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let errors: Vec<String> =
        validator.iter_errors(printed).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{document}: {errors:#?}\n{printed:#}");
    let mut other = printed.clone();
    other.as_object_mut().expect("an object").insert("not_in_the_schema".into(), true.into());
    assert!(!validator.is_valid(&other), "{document}: the schema names each field");
}

/// What a command prints: a document a line.
async fn lines_of(command: Command) -> Vec<Value> {
    let out = output(command).await;
    let said = text(&out.stdout);
    assert!(out.status.success() && !said.is_empty(), "{said}{}", text(&out.stderr));
    said.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[tokio::test]
async fn what_the_commands_of_writers_and_of_people_print_fits_the_schema_too() {
    let fixture = Fixture::on(live(), 1000.0, 2, 10).await;
    fixture.account.add_schedule("unthrottle", &[(unthrottle_cli::STACK_TAG, "unthrottle")], "sweep");
    let folder = tempfile::tempdir().expect("a folder");
    let input = folder.path().join("records.ndjson");
    std::fs::write(&input, "{\"user\":1}\n{\"user\":2}\n").expect("written");
    let input = input.to_str().expect("text");
    let of = |args: &[&str]| {
        let mut command = unthrottle(args);
        command.args(["--endpoint-url", fixture.account.url(), "--region", "us-east-1", "--json"]);
        command
    };
    let plan = ["plan", STREAM, "--at-least", "3", "--cron", "0 8 ? * MON-FRI *", "--for", "1h", "--yes"];
    for (document, args) in [
        ("put", &["put", STREAM, input][..]),
        ("keys", &["keys", STREAM, "--from", "-10m", "--share", "100"]),
        ("watch", &["watch", STREAM, "--once"]),
        ("backtest", &["backtest", STREAM, "--days", "1"]),
        ("plan", &plan),
    ] {
        let printed = lines_of(of(args)).await;
        must_fit(document, printed.last().expect("a line")).await;
    }
    let plans = lines_of(of(&["plan", "--list"])).await.remove(0);
    must_fit("plan", &plans[0]).await;
    must_fit("config", &json_of(unthrottle(&["config", "show", "--json"])).await).await;
    // Two seconds: a line of the writer, and the result.
    let load = ["smoke", STREAM, "--i-own", STREAM, "--stages", "2s@50/s"];
    let mut lines = lines_of(of(&load)).await;
    must_fit("smoke", &lines.pop().expect("a result")).await;
    for line in &lines {
        must_fit("put", line).await;
    }
}
