//! EventBridge: EnableRule, DisableRule, DescribeRule and ListTargetsByRule. The rules get no events, and have no
//! targets.

use super::connection::Connection;
use super::protocol::{Protocol, Refusal, refuse};
use super::service::{Call, render_json, unknown};
use super::{Account, lock};
use axum::extract::Request;
use axum::response::Response;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The bus of a request that names none.
const DEFAULT_BUS: &str = "default";

/// One rule.
pub(super) struct Rule {
    pub tags: BTreeMap<String, String>,
    pub is_enabled: bool,
}

/// Answers one HTTP request for an operation.
pub(super) async fn serve(
    account: Arc<Account>,
    connection: Connection,
    operation: String,
    request: Request,
) -> Response {
    let input = Protocol::Json.input_of(request).await;
    let call = Call { account: account.clone(), connection, service: "EventBridge", operation: operation.clone() };
    call.answer(render_json, async move { perform(&account, &operation, &input?) }).await
}

fn perform(account: &Account, operation: &str, input: &Value) -> Result<Value, Refusal> {
    let field = if operation == "ListTargetsByRule" { "Rule" } else { "Name" };
    let Some(name) = input[field].as_str().filter(|name| !name.is_empty()) else {
        let field = field.to_lowercase();
        return Err(refuse("ValidationException", format!("1 validation error detected: '{field}' must not be null")));
    };
    // By name or by ARN: arn:aws:events:REGION:ACCOUNT:event-bus/NAME.
    let bus = input["EventBusName"].as_str().unwrap_or(DEFAULT_BUS);
    let bus = bus.split_once(":event-bus/").map_or(bus, |(_, name)| name);
    let path = if bus == DEFAULT_BUS { name.to_owned() } else { format!("{bus}/{name}") };
    let mut rules = lock(&account.rules);
    let Some(rule) = rules.get_mut(&path) else {
        let message = format!("Rule {name} does not exist on EventBus {bus}.");
        return Err(refuse("ResourceNotFoundException", message));
    };
    match operation {
        "EnableRule" => rule.is_enabled = true,
        "DisableRule" => rule.is_enabled = false,
        "ListTargetsByRule" => return Ok(json!({ "Targets": [] })),
        "DescribeRule" => {
            return Ok(json!({
                "Arn": account.arn("events", "rule", &path),
                "CreatedBy": account.options.account,
                "EventBusName": bus,
                "EventPattern": r#"{"source":["aws.kinesis"]}"#,
                "Name": name,
                "State": if rule.is_enabled { "ENABLED" } else { "DISABLED" },
            }));
        }
        _ => return Err(unknown("EventBridge", operation)),
    }
    Ok(json!({}))
}
