//! CreateScheduleGroup, GetScheduleGroup and ListScheduleGroups.

use super::{DEFAULT_GROUP, call, not_found};
use crate::local::connection::Connection;
use crate::local::eventbridge::tags;
use crate::local::protocol::{Protocol, Refusal};
use crate::local::service::render_json;
use crate::local::{Account, lock};
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::response::Response;
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) async fn create(
    State(account): State<Arc<Account>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    Path(name): Path<String>,
    request: Request,
) -> Response {
    let input = Protocol::Json.input_of(request).await;
    let called = account.clone();
    let work = async move {
        let input = input?;
        let mut scheduler = lock(&called.scheduler);
        if name == DEFAULT_GROUP || scheduler.groups.contains_key(&name) {
            return Err(Refusal::new(409, "ConflictException", format!("Schedule group {name} already exists.")));
        }
        scheduler.groups.insert(name.clone(), tags(&input["Tags"]));
        Ok(json!({ "ScheduleGroupArn": called.arn("scheduler", "schedule-group", &name) }))
    };
    call(account, connection, "CreateScheduleGroup").answer(render_json, work).await
}

pub(super) async fn describe(
    State(account): State<Arc<Account>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    Path(name): Path<String>,
) -> Response {
    let called = account.clone();
    let work = async move {
        let is_known = name == DEFAULT_GROUP || lock(&called.scheduler).groups.contains_key(&name);
        match is_known {
            true => Ok(group(&called, &name)),
            false => Err(not_found(format!("Schedule group {name} does not exist."))),
        }
    };
    call(account, connection, "GetScheduleGroup").answer(render_json, work).await
}

pub(super) async fn list(
    State(account): State<Arc<Account>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
) -> Response {
    let called = account.clone();
    let work = async move {
        let scheduler = lock(&called.scheduler);
        let names = std::iter::once(DEFAULT_GROUP).chain(scheduler.groups.keys().map(String::as_str));
        let groups: Vec<Value> = names.map(|name| group(&called, name)).collect();
        Ok(json!({ "ScheduleGroups": groups }))
    };
    call(account, connection, "ListScheduleGroups").answer(render_json, work).await
}

fn group(account: &Account, name: &str) -> Value {
    json!({ "Arn": account.arn("scheduler", "schedule-group", name), "Name": name, "State": "ACTIVE" })
}
