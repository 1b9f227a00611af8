//! EventBridge: PutRule, DeleteRule, ListRules, TagResource, EnableRule, DisableRule, DescribeRule and
//! ListTargetsByRule. The rules get no events, and have no targets.

use super::connection::Connection;
use super::protocol::{Protocol, Refusal, refuse};
use super::service::{Call, render_json, unknown};
use super::{Account, lock};
use axum::extract::Request;
use axum::response::Response;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The bus of a request that names none.
const DEFAULT_BUS: &str = "default";

/// One rule.
pub(super) struct Rule {
    pub tags: BTreeMap<String, String>,
    pub is_enabled: bool,
    /// The pattern, the schedule and the description, as PutRule set them.
    pub settings: Map<String, Value>,
}

/// The fields of PutRule that DescribeRule shows again.
const SETTINGS: [&str; 4] = ["EventPattern", "ScheduleExpression", "Description", "RoleArn"];

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
    match operation {
        "ListRules" => return Ok(list(account, input)),
        "TagResource" => return tag(account, input),
        "PutRule" | "DeleteRule" | "EnableRule" | "DisableRule" | "DescribeRule" | "ListTargetsByRule" => {}
        _ => return Err(unknown("EventBridge", operation)),
    }
    let field = if operation == "ListTargetsByRule" { "Rule" } else { "Name" };
    let Some(name) = input[field].as_str().filter(|name| !name.is_empty()) else {
        let field = field.to_lowercase();
        return Err(refuse("ValidationException", format!("1 validation error detected: '{field}' must not be null")));
    };
    let bus = bus_of(input);
    let path = if bus == DEFAULT_BUS { name.to_owned() } else { format!("{bus}/{name}") };
    if operation == "PutRule" {
        return put(account, &path, input);
    }
    let mut rules = lock(&account.rules);
    let Some(rule) = rules.get_mut(&path) else {
        let message = format!("Rule {name} does not exist on EventBus {bus}.");
        return Err(refuse("ResourceNotFoundException", message));
    };
    match operation {
        "EnableRule" => rule.is_enabled = true,
        "DisableRule" => rule.is_enabled = false,
        "ListTargetsByRule" => return Ok(json!({ "Targets": [] })),
        "DeleteRule" => drop(rules.remove(&path)),
        _ => return Ok(describe(account, &path, rule)),
    }
    Ok(json!({}))
}

/// The bus of a request, by name or by ARN: `arn:aws:events:REGION:ACCOUNT:event-bus/NAME`.
fn bus_of(input: &Value) -> &str {
    let bus = input["EventBusName"].as_str().unwrap_or(DEFAULT_BUS);
    bus.split_once(":event-bus/").map_or(bus, |(_, name)| name)
}

/// Adds a rule, or replaces the settings of the rule at this path. The tags of a rule that exists stay, as at AWS.
fn put(account: &Account, path: &str, input: &Value) -> Result<Value, Refusal> {
    if input["EventPattern"].is_null() && input["ScheduleExpression"].is_null() {
        let message = "Parameter(s) EventPattern or ScheduleExpression must be specified.";
        return Err(refuse("ValidationException", message));
    }
    let settings = SETTINGS.iter().filter(|field| !input[**field].is_null());
    let settings = settings.map(|field| ((*field).to_owned(), input[*field].clone())).collect();
    let mut rules = lock(&account.rules);
    let rule = rules.entry(path.to_owned());
    let is_enabled = input["State"] != "DISABLED";
    let rule = rule.or_insert_with(|| Rule { tags: tags(&input["Tags"]), is_enabled, settings: Map::new() });
    (rule.is_enabled, rule.settings) = (is_enabled, settings);
    Ok(json!({ "RuleArn": account.arn("events", "rule", path) }))
}

fn describe(account: &Account, path: &str, rule: &Rule) -> Value {
    let (bus, name) = path.rsplit_once('/').unwrap_or((DEFAULT_BUS, path));
    let mut fields = rule.settings.clone();
    fields.insert("Arn".into(), json!(account.arn("events", "rule", path)));
    fields.insert("EventBusName".into(), json!(bus));
    fields.insert("Name".into(), json!(name));
    fields.insert("State".into(), json!(if rule.is_enabled { "ENABLED" } else { "DISABLED" }));
    Value::Object(fields)
}

/// ListRules: the rules of a bus, in the order of their names, on one page.
fn list(account: &Account, input: &Value) -> Value {
    let (bus, prefix) = (bus_of(input), input["NamePrefix"].as_str().unwrap_or_default());
    let rules = lock(&account.rules);
    let rules = rules.iter().filter(|(path, _)| {
        let (of, name) = path.rsplit_once('/').unwrap_or((DEFAULT_BUS, path));
        of == bus && name.starts_with(prefix)
    });
    json!({ "Rules": rules.map(|(path, rule)| describe(account, path, rule)).collect::<Vec<_>>() })
}

/// TagResource of a rule.
fn tag(account: &Account, input: &Value) -> Result<Value, Refusal> {
    let arn = input["ResourceARN"].as_str().unwrap_or_default();
    let path = arn.split_once(":rule/").map(|(_, path)| path).unwrap_or_default();
    let mut rules = lock(&account.rules);
    let Some(rule) = rules.get_mut(path) else {
        return Err(refuse("ResourceNotFoundException", format!("Rule {path} does not exist.")));
    };
    rule.tags.extend(tags(&input["Tags"]));
    Ok(json!({}))
}

/// Tags of a request: a list of keys and values.
pub(super) fn tags(list: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    list.as_array().into_iter().flatten().map(|tag| (text(&tag["Key"]), text(&tag["Value"]))).collect()
}
