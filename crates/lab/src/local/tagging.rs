//! The Resource Groups Tagging API: GetResources.

use super::connection::Connection;
use super::protocol::{Protocol, Refusal, refuse};
use super::service::{Call, render_json, unknown};
use super::{Account, lock};
use axum::extract::Request;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Limits are from the API reference:
/// <https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_GetResources.html>
const MAX_RESOURCES_PER_PAGE: usize = 100;
const RESOURCES_PER_PAGE: usize = 50;
const MAX_TYPES: usize = 100;
const MAX_KEYS: usize = 50;
const MAX_VALUES: usize = 20;
const MAX_KEY: usize = 128;

/// The types of the account's resources, in the order of their ARNs.
const RULE: &str = "events:rule";
const STREAM: &str = "kinesis:stream";
const SCHEDULE_GROUP: &str = "scheduler:schedule-group";

/// Answers one HTTP request for an operation.
pub(super) async fn serve(
    account: Arc<Account>,
    connection: Connection,
    operation: String,
    request: Request,
) -> Response {
    let input = Protocol::Json.input_of(request).await;
    let call = Call { account: account.clone(), connection, service: "Tagging", operation: operation.clone() };
    let work = async move {
        match operation.as_str() {
            "GetResources" => get_resources(&account, parse(input?)?).await,
            _ => Err(unknown("Resource Groups Tagging", &operation)),
        }
    };
    call.answer(render_json, work).await
}

/// The fields of the input that unthrottle uses.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct GetResources {
    #[serde(default)]
    resource_type_filters: Vec<String>,
    #[serde(default)]
    tag_filters: Vec<TagFilter>,
    resources_per_page: Option<usize>,
    #[serde(default)]
    pagination_token: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TagFilter {
    key: String,
    #[serde(default)]
    values: Vec<String>,
}

type Tags = BTreeMap<String, String>;

/// Lists resources in the order of their ARNs. The token is the last ARN of the page. Resources without tags are left
/// out. AWS also shows a resource that once had tags.
async fn get_resources(account: &Account, input: GetResources) -> Result<Value, Refusal> {
    let limit = input.resources_per_page.unwrap_or(RESOURCES_PER_PAGE);
    let is_wanted = |arn: &str, tags: &Tags| arn > input.pagination_token.as_str() && input.finds(tags);
    let mut found: Vec<(String, Tags)> = Vec::new();
    if input.asks_for(RULE) {
        let rules = lock(&account.rules);
        let rules = rules.iter().map(|(name, rule)| (account.arn("events", "rule", name), &rule.tags));
        found.extend(rules.filter(|(arn, tags)| is_wanted(arn, tags)).map(|(arn, tags)| (arn, tags.clone())));
    }
    if input.asks_for(STREAM) {
        for name in account.store.list_stream_names().await {
            let arn = account.stream_arn(&name);
            if found.len() > limit {
                break;
            }
            // Another call has deleted the stream since. It is not listed.
            if arn > input.pagination_token
                && let Ok(stream) = account.store.get_stream(&name).await
                && is_wanted(&arn, &stream.tags)
            {
                found.push((arn, stream.tags));
            }
        }
    }
    if input.asks_for(SCHEDULE_GROUP) {
        let scheduler = lock(&account.scheduler);
        let groups = scheduler.groups.iter();
        let groups = groups.map(|(name, tags)| (account.arn("scheduler", "schedule-group", name), tags));
        found.extend(groups.filter(|(arn, tags)| is_wanted(arn, tags)).map(|(arn, tags)| (arn, tags.clone())));
    }
    let more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().filter(|_| more);
    let token = last.map_or_else(String::new, |(arn, _)| arn.clone());
    let mappings: Vec<Value> = found.into_iter().map(|(arn, tags)| mapping(&arn, &tags)).collect();
    Ok(json!({"PaginationToken": token, "ResourceTagMappingList": mappings}))
}

fn mapping(arn: &str, tags: &Tags) -> Value {
    let tags: Vec<Value> = tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
    json!({"ResourceARN": arn, "Tags": tags})
}

impl GetResources {
    /// `kind`: `SERVICE:TYPE`.
    fn asks_for(&self, kind: &str) -> bool {
        let asks = |filter: &String| is_filter_for(filter, kind);
        self.resource_type_filters.is_empty() || self.resource_type_filters.iter().any(asks)
    }

    /// Whether all filters match, each with one of its values.
    fn finds(&self, tags: &Tags) -> bool {
        let matches = |filter: &TagFilter| {
            let value = tags.get(&filter.key);
            value.is_some_and(|value| filter.values.is_empty() || filter.values.contains(value))
        };
        !tags.is_empty() && self.tag_filters.iter().all(matches)
    }
}

fn is_filter_for(filter: &str, kind: &str) -> bool {
    filter == kind || kind.split_once(':').is_some_and(|(service, _)| filter == service)
}

/// The checked input.
fn parse(input: Value) -> Result<GetResources, Refusal> {
    let input: GetResources =
        serde_json::from_value(input).map_err(|error| invalid(format!("the local account: {error}")))?;
    let types = input.resource_type_filters.len();
    if types > MAX_TYPES {
        return Err(invalid(format!("ResourceTypeFilters has at most {MAX_TYPES} entries, not {types}.")));
    }
    let is_known = |filter: &&String| [RULE, STREAM, SCHEDULE_GROUP].iter().any(|kind| is_filter_for(filter, kind));
    if let Some(filter) = input.resource_type_filters.iter().find(|filter| !is_known(filter)) {
        return Err(invalid(format!("the local account has no resources of the type '{filter}'")));
    }
    let keys = input.tag_filters.len();
    if keys > MAX_KEYS {
        return Err(invalid(format!("TagFilters has at most {MAX_KEYS} entries, not {keys}.")));
    }
    for TagFilter { key, values } in &input.tag_filters {
        if !(1..=MAX_KEY).contains(&key.chars().count()) || values.len() > MAX_VALUES {
            return Err(invalid(format!(
                "A tag filter has a key of 1 to {MAX_KEY} characters and at most {MAX_VALUES} values: '{key}' has {}.",
                values.len()
            )));
        }
    }
    if let Some(size) = input.resources_per_page.filter(|size| !(1..=MAX_RESOURCES_PER_PAGE).contains(size)) {
        return Err(invalid(format!("ResourcesPerPage is 1 to {MAX_RESOURCES_PER_PAGE}, not {size}.")));
    }
    if !input.pagination_token.is_empty() && !input.pagination_token.starts_with("arn:") {
        return Err(invalid("Invalid pagination token."));
    }
    Ok(input)
}

fn invalid(message: impl Into<String>) -> Refusal {
    refuse("InvalidParameterException", message)
}
