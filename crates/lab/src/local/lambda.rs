//! Lambda: the account has no functions, so no function reads a stream.

use super::Account;
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;
use std::sync::Arc;

/// The most concurrent executions of a new account ([quotas]).
///
/// [quotas]: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
const CONCURRENT_EXECUTIONS: u32 = 1000;

pub(super) fn routes(account: Arc<Account>) -> Router {
    Router::new()
        .route("/2015-03-31/event-source-mappings", get(list_event_source_mappings))
        .route("/2015-03-31/event-source-mappings/", get(list_event_source_mappings))
        .route("/2016-08-19/account-settings", get(get_account_settings))
        .route("/2016-08-19/account-settings/", get(get_account_settings))
        .with_state(account)
}

async fn list_event_source_mappings(State(account): State<Arc<Account>>) -> Response {
    account.count_call("Lambda", "ListEventSourceMappings");
    json!({ "EventSourceMappings": [] }).to_string().into_response()
}

async fn get_account_settings(State(account): State<Arc<Account>>) -> Response {
    account.count_call("Lambda", "GetAccountSettings");
    let limit = json!({
        "ConcurrentExecutions": CONCURRENT_EXECUTIONS,
        "UnreservedConcurrentExecutions": CONCURRENT_EXECUTIONS,
    });
    json!({ "AccountLimit": limit }).to_string().into_response()
}
