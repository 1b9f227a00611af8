//! The step of the stack before a function of the test.

use crate::accounts::{Urls, command, left, moto, proof, quick, text, verdicts};
use axum::Router;
use axum::routing::{get, post};
use serde_json::{Value, json};
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A Lambda API with one function.
struct Function {
    url: String,
    invoked: Arc<AtomicU64>,
}

/// Starts a function with this mode whose sweeps take this long, and find nothing.
async fn function(mode: &str, sweep: Duration) -> Function {
    function_with(mode, "unthrottle-Write,unthrottle-Read", sweep, &json!({})).await
}

/// Starts a function with this mode and these fleet alarms. Its sweeps take this long, and answer these fields.
async fn function_with(mode: &str, alarms: &str, sweep: Duration, fields: &Value) -> Function {
    let invoked = Arc::<AtomicU64>::default();
    let counted = invoked.clone();
    let variables = json!({"UNTHROTTLE_MODE": mode, "UNTHROTTLE_FLEET_ALARMS": alarms});
    let configuration = json!({"FunctionName": "unthrottle", "Environment": {"Variables": variables}}).to_string();
    let configuration = move || std::future::ready(configuration.clone());
    let mut document =
        json!({"outcome": "swept", "sentence": "sweep: 0 streams in alarm", "failed": [], "queried": null});
    let fields = fields.as_object().expect("fields").clone();
    document.as_object_mut().expect("an object").extend(fields);
    let document = document.to_string();
    let invoke = move || {
        counted.fetch_add(1, Ordering::Relaxed);
        let document = document.clone();
        async move {
            tokio::time::sleep(sweep).await;
            document
        }
    };
    let routes = Router::new()
        .route("/2015-03-31/functions/unthrottle/configuration", get(configuration))
        .route("/2015-03-31/functions/unthrottle/invocations", post(invoke));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Function { url, invoked }
}

/// Runs the step for this function, and returns its end and its proof. No step waits for longer than a second.
async fn step(function: &Function) -> (Output, Value, std::collections::BTreeMap<String, u64>) {
    let (account, moto) = (quick(3_600).await, moto().await);
    let urls = Urls { local: account.url().to_owned(), moto: moto.url().to_owned() };
    let (out, proof) = step_on(&urls, function).await;
    let calls = account.calls();
    assert_eq!(left(&urls).await, Vec::<String>::new());
    (out, proof, calls)
}

async fn step_on(urls: &Urls, function: &Function) -> (Output, Value) {
    let folder = tempfile::tempdir().expect("a folder");
    let args = ["--only", "stack", "--with-stack", "unthrottle", "--pace", "3600", "--i-know-this-costs-up-to", "2"];
    let mut command = command(urls, folder.path(), &args);
    command.env("AWS_ENDPOINT_URL_LAMBDA", &function.url);
    let out = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic").expect("it runs");
    (out, proof(folder.path()))
}

#[tokio::test]
async fn a_function_that_only_observes_is_not_available_and_no_stream_is_throttled_for_it() {
    let function = function("observe", Duration::ZERO).await;
    let (out, proof, calls) = step(&function).await;
    let said = format!("{}{}", text(&out.stdout), text(&out.stderr));
    let of = |fact: &str, verdict: &str| (fact.to_owned(), verdict.to_owned());
    let wanted = [of("deployed-role", "seen"), of("stack-heals", "not_available")];
    assert_eq!((verdicts(&proof), out.status.code()), (wanted.to_vec(), Some(0)), "{said}");
    let findings = proof["steps"][0]["findings"].to_string();
    assert!(findings.contains("the function has Mode=observe, and changes no stream: deploy with Mode=heal"), "{said}");
    assert_eq!(calls.get("Kinesis.CreateStream"), None, "{calls:?}");
}

#[tokio::test]
async fn a_long_sweep_is_asked_for_once_and_waited_for() {
    // Longer than an attempt of any other call.
    let function = function("heal", Duration::from_secs(16)).await;
    let (out, proof, _) = step(&function).await;
    let said = format!("{}{}", text(&out.stdout), text(&out.stderr));
    // No unthrottle is in the account.
    let of = |fact: &str, verdict: &str| (fact.to_owned(), verdict.to_owned());
    assert_eq!(verdicts(&proof), [of("deployed-role", "seen"), of("stack-heals", "different")], "{said}");
    assert_eq!(function.invoked.load(Ordering::Relaxed), 1, "{said}");
}

/// A failure of a sweep: the alarm that it could not read, and AWS's words.
fn unread(why: &str) -> Value {
    let error = format!("DescribeAlarmContributors of `unthrottle-Write` failed, nothing was changed: {why}");
    json!([{"of": "unthrottle-Write", "code": "read_failed", "error": error}])
}

/// A sweep asks CloudWatch only every five minutes, so `queried` is also null after a denial.
#[tokio::test]
async fn a_role_is_seen_only_where_every_alarm_was_read() {
    let account = quick(3_600).await;
    let urls = Urls { local: account.url().to_owned(), moto: account.url().to_owned() };
    let denied = unread("service error: AccessDenied: no identity-based policy allows the action");
    let of_other =
        json!([{"of": "orders", "code": "read_failed", "error": "ListShards of `orders` failed: AccessDenied"}]);
    for (alarms, fields, verdict) in [
        ("writes", json!({"failed": denied}), "different"),
        ("writes", json!({"failed": denied, "queried": "alarm_failed"}), "different"),
        ("writes", json!({"failed": unread("service error: Throttling: Rate exceeded")}), "failed"),
        ("writes", json!({"queried": "alarm_full", "full_alarms": ["writes"]}), "seen"),
        ("writes", json!({"failed": of_other}), "seen"),
        ("writes", json!({"queried": "no_alarm"}), "not_available"),
        ("", json!({}), "not_available"),
    ] {
        let function = function_with("observe", alarms, Duration::ZERO, &fields).await;
        let (out, proof) = step_on(&urls, &function).await;
        let said = format!("{alarms} {fields}: {}{}", text(&out.stdout), text(&out.stderr));
        let of = |fact: &str, verdict: &str| (fact.to_owned(), verdict.to_owned());
        assert_eq!(verdicts(&proof), [of("deployed-role", verdict), of("stack-heals", "not_available")], "{said}");
    }
}
