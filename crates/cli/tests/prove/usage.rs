//! The budget, the choice of steps, and the pages.

use crate::accounts::{Urls, command, prove, quick, text};
use serde_json::Value;
use std::path::Path;

fn page(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Runs the command on an account that must not be called.
async fn uncalled(args: &[&str]) -> (Option<i32>, String, String) {
    let account = quick(1).await;
    let urls = Urls { local: account.url().to_owned(), moto: account.url().to_owned() };
    let folder = tempfile::tempdir().expect("a folder");
    let out = prove(&urls, folder.path(), args).await;
    assert!(account.calls().is_empty(), "{args:?}: {:?}", account.calls());
    assert!(!folder.path().join("proof").exists(), "{args:?}");
    (out.status.code(), text(&out.stdout), text(&out.stderr))
}

#[tokio::test]
async fn nothing_is_called_before_the_user_accepts_the_cost() {
    for (args, says) in [
        (&[][..], "in an account that should be a sandbox. To accept, give --i-know-this-costs-up-to"),
        (&["--i-know-this-costs-up-to", "0.01"], "and --i-know-this-costs-up-to allows $0.01"),
        (&["--i-know-this-costs-up-to", "NaN"], "it must be an amount in USD from 0 on, such as 1 or 0.50"),
        (&["--only", "flood"], "no step is called `flood`. The steps: cloudtrail, stack,"),
        (&["--skip", "reshard"], "no step is called `reshard`"),
        (&["--only", "kms", "--skip", "kms"], "--skip leaves out every step of --only"),
        (&["--i-know-this-costs-up-to", "2", "--resume"], "proof.json: No such file"),
        (&["--clean"], "has no ledger. --all-runs deletes"),
    ] {
        let (code, _, err) = uncalled(args).await;
        assert_eq!(code, Some(2), "{args:?}: {err}");
        assert!(err.contains(says), "{args:?}: {err}");
    }
}

#[tokio::test]
async fn a_faster_clock_is_refused_where_a_service_is_called_at_aws() {
    let account = quick(1).await;
    let urls = Urls { local: account.url().to_owned(), moto: account.url().to_owned() };
    let folder = tempfile::tempdir().expect("a folder");
    for args in [&["--only", "kms", "--i-know-this-costs-up-to", "2"][..], &["--clean", "--all-runs"]] {
        let mut command = command(&urls, folder.path(), &[args, &["--pace", "60"]].concat());
        command.env("AWS_ENDPOINT_URL_KMS", "https://kms.us-east-1.amazonaws.com");
        let out = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic").expect("it runs");
        let said = text(&out.stderr);
        assert_eq!(out.status.code(), Some(2), "{said}");
        assert!(
            said.contains("--pace is for an account with a faster clock, and this command would call AWS"),
            "{said}"
        );
    }
    assert!(account.calls().is_empty(), "{:?}", account.calls());
    assert!(!folder.path().join("proof").exists());
}

async fn listed() -> Value {
    let (code, out, err) = uncalled(&["--dry-run", "--json"]).await;
    assert_eq!(code, Some(0), "{err}");
    serde_json::from_str(&out).expect("JSON")
}

#[tokio::test]
async fn all_steps_take_under_forty_minutes_and_cost_under_two_dollars() {
    let listed = listed().await;
    let (minutes, usd) = (listed["minutes"].as_u64(), listed["cost_usd"].as_f64());
    assert!(minutes.is_some_and(|minutes| (10..40).contains(&minutes)), "{minutes:?}");
    assert!(usd.is_some_and(|usd| (0.1..2.0).contains(&usd)), "{usd:?}");
}

#[tokio::test]
async fn the_facts_of_the_limits_are_those_of_the_steps() {
    let listed = listed().await;
    let mut rows = vec![];
    for step in listed["steps"].as_array().expect("steps") {
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let name = match step["flag"].as_str() {
            Some(flag) => format!("`{}` with `{flag}`", text(&step["step"])),
            None => format!("`{}`", text(&step["step"])),
        };
        for fact in step["facts"].as_array().expect("facts") {
            let (id, expected, source) = (text(&fact["id"]), text(&fact["expected"]), text(&fact["source"]));
            rows.push(format!("| `{id}` | {expected} | {source} | {name} |"));
        }
    }
    rows.sort();
    let page = page("docs/limits.md");
    let (_, after) =
        page.split_once("| fact | unthrottle expects | source | step |\n|---|---|---|---|\n").expect("the table");
    let shown: Vec<&str> = after.lines().take_while(|line| line.starts_with('|')).collect();
    assert_eq!(shown, rows, "docs/limits.md has not the facts of the steps. They are:\n{}", rows.join("\n"));
}

#[test]
fn the_alarm_of_the_step_is_the_alarm_of_the_template() {
    let source = page("crates/cli/src/prove/steps/alarm.rs");
    let (_, expression) = source.split_once("const EXPRESSION: &str = \"").expect("the expression");
    let (expression, _) = expression.split_once("\";").expect("its end");
    let joined: String = expression.split("\\\n").map(str::trim_start).collect();
    let expression = joined.replace("\\\"", "\"");
    let (clause, template) = (" WHERE AWS.AccountId = CURRENT_ACCOUNT_ID()", page("template.yaml"));
    assert!(expression.contains(clause) && template.contains(&format!("'{clause}'")), "{expression}");
    let shown = format!("- {}\n", expression.replace(clause, "${Where}"));
    assert!(template.contains(&shown), "{shown}");
}
