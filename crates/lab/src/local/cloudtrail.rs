//! CloudTrail: LookupEvents. The account records no events, so its history is empty.

use super::Account;
use super::connection::Connection;
use super::protocol::{Protocol, Refusal};
use super::service::{Call, render_json, unknown};
use axum::extract::Request;
use axum::response::Response;
use serde_json::{Value, json};
use std::sync::Arc;

/// Answers one HTTP request for an operation.
pub(super) async fn serve(
    account: Arc<Account>,
    connection: Connection,
    operation: String,
    request: Request,
) -> Response {
    let input = Protocol::Json.input_of(request).await;
    let call = Call { account, connection, service: "CloudTrail", operation: operation.clone() };
    call.answer(render_json, async move { perform(&operation, &input?) }).await
}

fn perform(operation: &str, _input: &Value) -> Result<Value, Refusal> {
    match operation {
        "LookupEvents" => Ok(json!({ "Events": [] })),
        _ => Err(unknown("CloudTrail", operation)),
    }
}
