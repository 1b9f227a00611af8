//! Finds the service of a request.

use super::account::Account;
use super::connection::Connection;
use super::protocol::Protocol;
use super::unserved::Unserved;
use super::{cloudtrail, cloudwatch, eventbridge, form, kinesis, lambda, log, scheduler, tagging};
use axum::Router;
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{get, post};
use std::sync::Arc;

/// The paths of all services.
pub(super) fn routes(account: &Arc<Account>) -> Router {
    Router::new()
        .route("/service/{service}/operation/{operation}", post(by_path))
        .route(log::CLOCK, get(log::clock))
        .fallback(by_target)
        .with_state(account.clone())
        .merge(scheduler::routes(account.clone()))
        .merge(lambda::routes(account.clone()))
        .layer(from_fn_with_state(account.clone(), log::log))
}

/// The names of the services in a target or a path.
const KINESIS: &str = "Kinesis_20131202";
const CLOUDWATCH: &str = "GraniteServiceVersion20100801";
const TAGGING: &str = "ResourceGroupsTaggingAPI_20170126";
const EVENTBRIDGE: &str = "AWSEvents";
const CLOUDTRAIL: &str = "CloudTrail_20131101";

/// The JSON protocols have the operation in a header, the query protocol in its form.
async fn by_target(
    State(account): State<Arc<Account>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: Request,
) -> Response {
    let target = request.headers().get("x-amz-target");
    let target = target.and_then(|target| target.to_str().ok());
    match target.and_then(|target| target.split_once('.')) {
        Some((KINESIS, operation)) => {
            let operation = operation.to_owned();
            kinesis::serve(account, connection, operation, request).await
        }
        Some((CLOUDWATCH, operation)) => {
            let operation = operation.to_owned();
            cloudwatch::serve(account, connection, Protocol::Json, operation, request).await
        }
        Some((TAGGING, operation)) => {
            let operation = operation.to_owned();
            tagging::serve(account, connection, operation, request).await
        }
        Some((EVENTBRIDGE, operation)) => {
            let operation = operation.to_owned();
            eventbridge::serve(account, connection, operation, request).await
        }
        Some((CLOUDTRAIL, operation)) => {
            let operation = operation.to_owned();
            cloudtrail::serve(account, connection, operation, request).await
        }
        None if form::is_form(&request) => form::serve(account, connection, request).await,
        _ => Unserved::of(&request).answer(),
    }
}

/// RPC v2 CBOR has the operation in the path.
async fn by_path(
    State(account): State<Arc<Account>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    Path((service, operation)): Path<(String, String)>,
    request: Request,
) -> Response {
    match service.as_str() {
        CLOUDWATCH => cloudwatch::serve(account, connection, Protocol::Cbor, operation, request).await,
        _ => Unserved::of(&request).answer(),
    }
}
