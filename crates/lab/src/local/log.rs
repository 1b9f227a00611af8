//! The log of requests, and the time of the account for programs outside.

use super::account::Account;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Instant;

/// The path of the account's time. AWS has no such path.
pub(super) const CLOCK: &str = "/_unthrottle/clock";

/// The largest form whose action is read for the log: the largest request of the query protocol.
const MAX_FORM: usize = 1024 * 1024;

/// The time of the account, and how many times as fast as the machine's clock it passes.
pub(super) async fn clock(State(account): State<Arc<Account>>) -> axum::response::Json<Value> {
    let clock = &account.options.clock;
    axum::response::Json(json!({ "now": clock.now(), "pace": clock.pace() }))
}

/// Prints each request of a client: the time, the call, the status and the duration.
pub(super) async fn log(State(account): State<Arc<Account>>, request: Request, next: Next) -> Response {
    if !account.options.log || request.uri().path() == CLOCK {
        return next.run(request).await;
    }
    let (name, request) = name(request).await;
    let (time, began) = (account.now().format("%H:%M:%S"), Instant::now());
    let answer = next.run(request).await;
    println!("  {time} {name}: {} in {} ms", answer.status().as_u16(), began.elapsed().as_millis());
    answer
}

/// The call in words: the target, the action of a form, or the path.
async fn name(request: Request) -> (String, Request) {
    let target = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok());
    if let Some(target) = target {
        return (target.to_owned(), request);
    }
    let path = request.uri().path();
    if let Some((service, operation)) = path.strip_prefix("/service/").and_then(|path| path.split_once("/operation/")) {
        return (format!("{service}.{operation}"), request);
    }
    if !super::form::is_form(&request) {
        return (format!("{} {path}", request.method()), request);
    }
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, MAX_FORM).await.unwrap_or_default();
    let mut fields = form_urlencoded::parse(&body);
    let action = fields.find(|(name, _)| name == "Action").map(|(_, action)| action.into_owned());
    (action.unwrap_or_else(|| "a form without an action".into()), Request::from_parts(parts, Body::from(body)))
}
