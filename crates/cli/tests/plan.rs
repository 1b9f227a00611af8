//! `unthrottle plan`, as a person types it.

#[path = "../../../tests/common/aws.rs"]
mod aws;

use axum::Router;
use serde_json::{Value, json};
use std::process::Command;
use unthrottle_cli::STACK_TAG;
use unthrottle_core::signal::{Ask, Home, Signal};
use unthrottle_lab::local::{LocalAccount, Options};

/// An account with a deployed unthrottle and the stream `orders`.
async fn account() -> LocalAccount {
    let account = LocalAccount::start(Options::default()).await.expect("a free port");
    account.add_schedule("unthrottle", &[(STACK_TAG, "unthrottle")], "sweep");
    account.add_streams(["orders".into()], 2, &[]).await;
    account
}

/// Exit code, standard output and standard error.
async fn unthrottle(account: &LocalAccount, args: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_unthrottle"));
    command.arg("plan").args(args).args(["--endpoint-url", account.url(), "--region", "us-east-1"]);
    command.env("AWS_ACCESS_KEY_ID", "key").env("AWS_SECRET_ACCESS_KEY", "secret");
    let out = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic").expect("runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (out.status.code().expect("an exit code"), text(out.stdout), text(out.stderr))
}

const WORKDAYS: &str = "0 8 ? * MON-FRI *";

/// Eight shards on working days in Berlin.
fn eight<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let args = ["orders", "--at-least", "8", "--cron", WORKDAYS, "--timezone", "Europe/Berlin", "--for", "10h"];
    args.into_iter().chain(more.iter().copied()).collect()
}

#[tokio::test]
async fn a_plan_is_shown_created_listed_and_deleted() {
    let account = account().await;
    let (code, out, err) = unthrottle(&account, &eight(&["--dry-run"])).await;
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains("would create the plan plan-orders-") && out.contains("nothing was created."), "{out}");
    let (code, out, err) = unthrottle(&account, &eight(&[])).await;
    assert!(code == 2 && out.contains("would create the plan plan-orders-"), "{out}");
    assert!(err.contains("nothing was changed. To do this without a terminal, give --yes"), "{err}");
    assert_eq!(account.calls().get("Scheduler.CreateSchedule"), None);

    let (code, out, err) = unthrottle(&account, &eight(&["--yes"])).await;
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains("when: cron(0 8 ? * MON-FRI *) in Europe/Berlin"), "{out}");
    assert!(out.contains("note: the local account runs no schedules."), "{out}");
    assert!(out.contains("what: at least 8 shards of orders for 10h"), "{out}");

    let (_, out, _) = unthrottle(&account, &["--list", "--json"]).await;
    let plans: Value = serde_json::from_str(&out).expect("JSON and nothing else");
    let name = plans[0]["name"].as_str().expect("a name").to_owned();
    assert_eq!(plans.as_array().map(Vec::len), Some(1), "the sweep is no plan");
    let ask = json!({
        "stream": "orders", "at_least": 8, "from": "<aws.scheduler.scheduled-time>", "for_minutes": 600,
    });
    assert_eq!(plans[0]["ask"], ask);

    let (code, _, err) = unthrottle(&account, &eight(&["--yes"])).await;
    assert_eq!(code, 2);
    assert!(err.contains("unthrottle plan --endpoint-url ") && err.contains(&format!("--delete {name}")), "{err}");
    let (_, out, _) = unthrottle(&account, &["--list"]).await;
    assert!(out.contains("at least 8 shards of orders for 10 hours"), "{out}");
    let (code, out, _) = unthrottle(&account, &["--delete", &name]).await;
    assert!(code == 2 && out.contains(&format!("would delete the plan {name}")), "{out}");
    assert_eq!(account.calls().get("Scheduler.DeleteSchedule"), None);
    let (code, out, _) = unthrottle(&account, &["--delete", &name, "--yes"]).await;
    assert!(code == 0 && out.contains(&format!("deleted {name}")), "{out}");
    let (_, out, _) = unthrottle(&account, &["--list"]).await;
    assert!(out.contains("no plans."), "{out}");
    let (code, _, err) = unthrottle(&account, &["--delete", &name, "--yes"]).await;
    assert!(code == 1 && err.contains("no plan is called"), "{err}");
}

#[tokio::test]
async fn what_the_schedule_sends_is_an_ask_that_the_function_takes() {
    let account = account().await;
    let (_, out, _) = unthrottle(&account, &eight(&["--json", "--yes"])).await;
    let plan: Value = serde_json::from_str(&out).expect("JSON and nothing else");
    // What Scheduler makes of it.
    let sent = plan["ask"].to_string().replace("<aws.scheduler.scheduled-time>", "2026-11-27T07:00:00Z");
    let home = Home { partition: "aws".into(), region: "us-east-1".into(), account: "123456789012".into() };
    let signal = Signal::parse(&serde_json::from_str(&sent).expect("JSON"), &home).expect("an ask");
    let Signal::Ask(Ask { plan: Some(planned), .. }) = signal else { panic!("{signal:?}") };
    assert_eq!((planned.at_least, planned.until.to_rfc3339()), (8, "2026-11-27T17:00:00+00:00".to_owned()));
}

#[tokio::test]
async fn a_wrong_plan_is_bad_input_and_creates_nothing() {
    let account = account().await;
    let with = |from: &'static str, to: &'static str| {
        eight(&[]).into_iter().map(|arg| if arg == from { to } else { arg }).collect::<Vec<_>>()
    };
    for (args, says) in [
        (with(WORKDAYS, "0 25 ? * MON-FRI *"), "the hours `25` must be 0 to 23"),
        (with(WORKDAYS, "0 8 * * *"), "has 5 fields"),
        (with(WORKDAYS, "0 8 1 1 ? 2020"), "--cron: `0 8 1 1 ? 2020` has no time to come"),
        (with(WORKDAYS, "0 8 31 2 ? *"), "--cron: `0 8 31 2 ? *` has no time to come"),
        (with("Europe/Berlin", "Europe/Bern"), "--timezone Europe/Bern: no time zone"),
        (with("10h", "40d"), "--for 40d: must be"),
        (with("8", "101"), "the maximum of orders is 100 shards"),
        (with("8", "1"), "--at-least 1: every stream has one shard, and the function takes an ask of 1 as the end"),
        (with("8", "0"), "it must be a whole number from 1 to 10000"),
        (vec!["--delete", "sweep", "--yes"], "`sweep` is no plan"),
        (vec!["orders"], "--at-least"),
    ] {
        let (code, out, err) = unthrottle(&account, &args).await;
        assert_eq!((code, out.as_str()), (2, ""), "{args:?}: {err}");
        assert!(err.contains(says), "{args:?}: {err}");
    }
    let (code, _, err) = unthrottle(&account, &with("orders", "payments")).await;
    assert!(code == 2 && err.contains("no stream `payments` in this region. The nearest: orders"), "{err}");
    let calls = account.calls();
    assert!(!calls.contains_key("Scheduler.CreateSchedule") && !calls.contains_key("Scheduler.DeleteSchedule"));
}

#[tokio::test]
async fn a_plan_for_an_on_demand_stream_is_refused() {
    let account = account().await;
    account.describe_as("orders", json!({ "StreamModeDetails": { "StreamMode": "ON_DEMAND" } }));
    let (code, out, err) = unthrottle(&account, &eight(&["--yes"])).await;
    assert_eq!(code, 2, "{out}");
    assert!(err.contains("orders is in on-demand mode, where AWS sets the shards."), "{err}");
    assert_eq!(account.calls().get("Scheduler.CreateSchedule"), None);
}

#[tokio::test]
async fn a_plan_for_a_stream_that_is_only_observed_says_so() {
    let account = LocalAccount::start(Options::default()).await.expect("a free port");
    account.add_schedule("unthrottle", &[(STACK_TAG, "unthrottle")], "sweep");
    account.add_streams(["orders".into()], 2, &[("unthrottle.mode", "observe")]).await;
    let note = "note: unthrottle only observes orders (UNTHROTTLE_MODE of the function, or the tag unthrottle.mode).";
    let (code, out, _) = unthrottle(&account, &eight(&["--dry-run"])).await;
    assert!(code == 0 && out.contains(note) && out.contains("would create the plan"), "{out}");
    let (code, out, err) = unthrottle(&account, &eight(&["--dry-run", "--json"])).await;
    assert!(code == 0 && err.contains(note) && serde_json::from_str::<Value>(&out).is_ok(), "{out}{err}");
}

/// A Lambda API with one function of these variables.
async fn function(variables: Value) -> String {
    let configuration = json!({ "FunctionName": "unthrottle", "Environment": { "Variables": variables } }).to_string();
    let routes = Router::new().fallback(move || async move { configuration });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    url
}

#[tokio::test]
async fn the_maximum_is_that_of_the_deployed_function() {
    let account = account().await;
    for (variables, says) in [
        (json!({ "UNTHROTTLE_MAX_SHARDS": "7" }), Some("the maximum of orders is 7 shards")),
        (json!({ "UNTHROTTLE_MAX_SHARDS": "8" }), None),
        (json!({ "UNTHROTTLE_MODE": "observe" }), Some("note: unthrottle only observes orders")),
        (json!({ "UNTHROTTLE_MODE": "off" }), Some("orders is switched off or out of scope")),
    ] {
        let lambda = function(variables.clone()).await;
        let mut command = Command::new(env!("CARGO_BIN_EXE_unthrottle"));
        command.arg("plan").args(eight(&["--dry-run"])).env("AWS_REGION", "us-east-1");
        command.env("AWS_ENDPOINT_URL", account.url()).env("AWS_ENDPOINT_URL_LAMBDA", lambda);
        command.env("AWS_ACCESS_KEY_ID", "key").env("AWS_SECRET_ACCESS_KEY", "secret");
        // What the function has counts, and not what the command line has.
        command.env("UNTHROTTLE_MAX_SHARDS", "7000").env("UNTHROTTLE_MODE", "heal");
        let out = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic").expect("runs");
        let err = String::from_utf8(out.stderr).expect("text");
        let text = String::from_utf8(out.stdout).expect("text");
        let is_refused = says.is_some_and(|says| !says.starts_with("note: "));
        assert_eq!(out.status.code(), Some(if is_refused { 2 } else { 0 }), "{variables}: {err}");
        let said = if is_refused { &err } else { &text };
        assert_eq!(
            said.contains("note: unthrottle only observes"),
            variables["UNTHROTTLE_MODE"] == "observe",
            "{said}"
        );
        assert!(said.contains(says.unwrap_or_default()), "{variables}: {said}");
        assert!(!text.contains("cannot be read"), "{text}");
    }
}

#[tokio::test]
async fn without_a_deployment_and_with_two_it_says_so() {
    let account = LocalAccount::start(Options::default()).await.expect("a free port");
    let (code, _, err) = unthrottle(&account, &["--list"]).await;
    assert!(code == 1 && err.contains("deploy unthrottle first"), "{err}");
    account.add_schedule("one", &[(STACK_TAG, "one")], "sweep");
    account.add_schedule("two", &[(STACK_TAG, "two")], "sweep");
    let (code, _, err) = unthrottle(&account, &["--list"]).await;
    assert!(code == 2 && err.contains("--stack"), "{err}");
    let (code, _, err) = unthrottle(&account, &["--list", "--stack", "two"]).await;
    assert_eq!((code, err.as_str()), (0, ""));
}
