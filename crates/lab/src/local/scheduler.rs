//! EventBridge Scheduler: ListSchedules, GetSchedule, CreateSchedule, UpdateSchedule and DeleteSchedule. The schedules
//! invoke no target.

mod groups;

use super::connection::Connection;
use super::metrics::epoch_seconds;
use super::protocol::{Protocol, Refusal, refuse};
use super::service::{Call, render_json};
use super::{Account, lock};
use axum::Router;
use axum::extract::{ConnectInfo, Path, RawQuery, Request, State};
use axum::response::Response;
use axum::routing::get;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Schedules of one ListSchedules page ([API reference]). The reference does not say the number without `MaxResults`;
/// here it is the same.
///
/// [API reference]: https://docs.aws.amazon.com/scheduler/latest/APIReference/API_ListSchedules.html
const MAX_SCHEDULES_PER_PAGE: usize = 100;

/// The group of a schedule without a group.
const DEFAULT_GROUP: &str = "default";

/// AWS refuses a `StartDate` that is older than this, in seconds, even if the schedule already has it. No page of AWS
/// says so, but AWS has refused users' calls, and the CDK checks for it.
const OLDEST_START: f64 = 5.0 * 60.0;

/// The fields that UpdateSchedule can set. `Name` and `GroupName` identify the schedule.
const FIELDS: [&str; 10] = [
    "ActionAfterCompletion",
    "Description",
    "EndDate",
    "FlexibleTimeWindow",
    "KmsKeyArn",
    "ScheduleExpression",
    "ScheduleExpressionTimezone",
    "StartDate",
    "State",
    "Target",
];

/// The groups with their tags, and the schedules by group and name in the form of GetSchedule.
#[derive(Default)]
pub(super) struct Scheduler {
    pub groups: BTreeMap<String, BTreeMap<String, String>>,
    schedules: BTreeMap<(String, String), Value>,
}

impl Scheduler {
    /// Adds an enabled schedule, every five minutes.
    pub fn add(&mut self, account: &Account, group: &str, name: &str) {
        let settings = json!({
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "ScheduleExpression": "rate(5 minutes)",
            "Target": {
                "Arn": account.arn("lambda", "function", "unthrottle").replace("function/", "function:"),
                "RoleArn": format!("arn:aws:iam::{}:role/unthrottle", account.options.account),
            },
        });
        let now = epoch_seconds(account.now());
        let schedule = schedule(account, group, name, now, with_defaults(&settings));
        self.schedules.insert((group.to_owned(), name.to_owned()), schedule);
    }

    pub fn is_enabled(&self, name: &str) -> bool {
        let mut schedules = self.schedules.iter().filter(|((_, other), _)| other == name);
        schedules.any(|(_, schedule)| schedule["State"] == "ENABLED")
    }

    fn must_have_group(&self, group: &str) -> Result<(), Refusal> {
        if self.groups.contains_key(group) || group == DEFAULT_GROUP {
            return Ok(());
        }
        Err(not_found(format!("Schedule group {group} does not exist.")))
    }

    fn find(&mut self, group: &str, name: &str) -> Result<&mut Value, Refusal> {
        self.must_have_group(group)?;
        let schedule = self.schedules.get_mut(&(group.to_owned(), name.to_owned()));
        schedule.ok_or_else(|| not_found(format!("Schedule {name} does not exist.")))
    }
}

/// The paths of the service.
pub(super) fn routes(account: Arc<Account>) -> Router {
    Router::new()
        .route("/schedules", get(list_schedules))
        .route(
            "/schedules/{name}",
            get(get_schedule).post(create_schedule).put(update_schedule).delete(delete_schedule),
        )
        .route("/schedule-groups", get(groups::list))
        .route("/schedule-groups/{name}", get(groups::describe).post(groups::create))
        .with_state(account)
}

async fn list_schedules(
    State(account): State<Arc<Account>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    RawQuery(query): RawQuery,
) -> Response {
    let called = account.clone();
    let work = async move { list(&called, &parameters(query)) };
    call(account, connection, "ListSchedules").answer(render_json, work).await
}

/// The schedule group that a query names.
fn group_of(query: Option<String>) -> String {
    parameters(query).remove("groupName").unwrap_or_else(|| DEFAULT_GROUP.to_owned())
}

async fn get_schedule(
    State(account): State<Arc<Account>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let called = account.clone();
    let work = async move { lock(&called.scheduler).find(&group_of(query), &name).map(|schedule| schedule.clone()) };
    call(account, connection, "GetSchedule").answer(render_json, work).await
}

async fn create_schedule(
    State(account): State<Arc<Account>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    Path(name): Path<String>,
    request: Request,
) -> Response {
    let input = Protocol::Json.input_of(request).await;
    let called = account.clone();
    let work = async move { create(&called, &name, &input?, epoch_seconds(called.now())) };
    call(account, connection, "CreateSchedule").answer(render_json, work).await
}

async fn delete_schedule(
    State(account): State<Arc<Account>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let called = account.clone();
    let work = async move {
        let group = group_of(query);
        let mut scheduler = lock(&called.scheduler);
        scheduler.find(&group, &name)?;
        scheduler.schedules.remove(&(group, name));
        Ok(json!({}))
    };
    call(account, connection, "DeleteSchedule").answer(render_json, work).await
}

async fn update_schedule(
    State(account): State<Arc<Account>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    Path(name): Path<String>,
    request: Request,
) -> Response {
    let input = Protocol::Json.input_of(request).await;
    let called = account.clone();
    let work = async move { update(&called, &name, &input?, epoch_seconds(called.now())) };
    call(account, connection, "UpdateSchedule").answer(render_json, work).await
}

fn call(account: Arc<Account>, connection: Connection, operation: &str) -> Call {
    Call { account, connection, service: "Scheduler", operation: operation.to_owned() }
}

fn parameters(query: Option<String>) -> HashMap<String, String> {
    form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect()
}

/// Lists schedules page by page. The token is `GROUP/NAME` of the last schedule.
fn list(account: &Account, query: &HashMap<String, String>) -> Result<Value, Refusal> {
    let limit = match query.get("MaxResults").map(|limit| limit.parse::<usize>()) {
        None => MAX_SCHEDULES_PER_PAGE,
        Some(Ok(limit)) if (1..=MAX_SCHEDULES_PER_PAGE).contains(&limit) => limit,
        Some(_) => return Err(invalid(format!("MaxResults must be 1 to {MAX_SCHEDULES_PER_PAGE}."))),
    };
    let after = match query.get("NextToken").map(|token| token.split_once('/')) {
        None => None,
        Some(Some((group, name))) => Some((group.to_owned(), name.to_owned())),
        Some(None) => return Err(invalid("Invalid NextToken.")),
    };
    let scheduler = lock(&account.scheduler);
    if let Some(group) = query.get("ScheduleGroup") {
        scheduler.must_have_group(group)?;
    }
    let is = |parameter: &str, value: &str| query.get(parameter).is_none_or(|wanted| wanted == value);
    let prefix = query.get("NamePrefix").map_or("", String::as_str);
    let mut found = scheduler.schedules.iter().filter(|(key, schedule)| {
        after.as_ref().is_none_or(|after| *key > after)
            && is("ScheduleGroup", &key.0)
            && is("State", schedule["State"].as_str().unwrap_or_default())
            && key.1.starts_with(prefix)
    });
    let page: Vec<_> = found.by_ref().take(limit).collect();
    let mut answer = json!({"Schedules": page.iter().map(|(_, schedule)| summary(schedule)).collect::<Vec<_>>()});
    if found.next().is_some()
        && let Some(((group, name), _)) = page.last()
    {
        answer["NextToken"] = json!(format!("{group}/{name}"));
    }
    Ok(answer)
}

fn summary(schedule: &Value) -> Value {
    let fields = ["Arn", "CreationDate", "GroupName", "LastModificationDate", "Name", "State"];
    let mut summary: Map<_, _> = fields.iter().map(|field| ((*field).to_owned(), schedule[field].clone())).collect();
    summary.insert("Target".into(), json!({"Arn": schedule["Target"]["Arn"]}));
    Value::Object(summary)
}

/// The fields that a schedule needs (the API references of CreateSchedule and UpdateSchedule).
const REQUIRED: [&str; 3] = ["FlexibleTimeWindow", "ScheduleExpression", "Target"];

fn must_be_whole(input: &Value) -> Result<(), Refusal> {
    match REQUIRED.into_iter().find(|field| input[field].is_null()) {
        Some(field) => Err(invalid(format!("1 validation error detected: '{field}' must not be null"))),
        None => Ok(()),
    }
}

/// Creates a schedule. A name that the group has is a conflict ([API reference]).
///
/// [API reference]: https://docs.aws.amazon.com/scheduler/latest/APIReference/API_CreateSchedule.html
fn create(account: &Account, name: &str, input: &Value, now: f64) -> Result<Value, Refusal> {
    let group = input["GroupName"].as_str().unwrap_or(DEFAULT_GROUP);
    must_be_whole(input)?;
    let mut scheduler = lock(&account.scheduler);
    scheduler.must_have_group(group)?;
    let key = (group.to_owned(), name.to_owned());
    if scheduler.schedules.contains_key(&key) {
        return Err(Refusal::new(409, "ConflictException", format!("Schedule {name} already exists.")));
    }
    let schedule = schedule(account, group, name, now, with_defaults(input));
    let answer = json!({"ScheduleArn": schedule["Arn"]});
    scheduler.schedules.insert(key, schedule);
    Ok(answer)
}

/// Replaces all settings: a setting that the request leaves out gets its default ([API reference]).
///
/// [API reference]: https://docs.aws.amazon.com/scheduler/latest/APIReference/API_UpdateSchedule.html
fn update(account: &Account, name: &str, input: &Value, now: f64) -> Result<Value, Refusal> {
    let group = input["GroupName"].as_str().unwrap_or(DEFAULT_GROUP);
    must_be_whole(input)?;
    let mut scheduler = lock(&account.scheduler);
    let found = scheduler.find(group, name)?;
    if input["StartDate"].as_f64().is_some_and(|start| start < now - OLDEST_START) {
        return Err(invalid("The StartDate you specify cannot be earlier than 5 minutes ago."));
    }
    let created = found["CreationDate"].as_f64().unwrap_or(now);
    *found = schedule(account, group, name, created, with_defaults(input));
    found["LastModificationDate"] = json!(now);
    Ok(json!({"ScheduleArn": found["Arn"]}))
}

/// A schedule in the form of GetSchedule. `created`: epoch seconds.
fn schedule(account: &Account, group: &str, name: &str, created: f64, settings: Map<String, Value>) -> Value {
    let mut schedule = json!({
        "Arn": account.arn("scheduler", "schedule", &format!("{group}/{name}")),
        "CreationDate": created,
        "GroupName": group,
        "LastModificationDate": created,
        "Name": name,
    });
    if let Value::Object(fields) = &mut schedule {
        fields.extend(settings);
    }
    schedule
}

/// The settings of a request, with the service's defaults for the missing ones.
fn with_defaults(input: &Value) -> Map<String, Value> {
    let given = FIELDS.iter().filter(|field| !input[**field].is_null());
    let mut settings: Map<_, _> = given.map(|field| ((*field).to_owned(), input[*field].clone())).collect();
    settings.entry("ActionAfterCompletion").or_insert_with(|| json!("NONE"));
    settings.entry("ScheduleExpressionTimezone").or_insert_with(|| json!("UTC"));
    settings.entry("State").or_insert_with(|| json!("ENABLED"));
    if let Some(Value::Object(target)) = settings.get_mut("Target") {
        let retries = json!({"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185});
        target.entry("RetryPolicy").or_insert(retries);
    }
    settings
}

fn invalid(message: impl Into<String>) -> Refusal {
    refuse("ValidationException", message)
}

fn not_found(message: String) -> Refusal {
    Refusal::new(404, "ResourceNotFoundException", message)
}
