//! The query protocol: a form with an action. SNS and STS have it.

use super::account::Account;
use super::connection::Connection;
use super::protocol::unpacked;
use super::unserved::Unserved;
use super::{sns, sts};
use axum::extract::Request;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use std::collections::HashMap;
use std::sync::Arc;

/// The fields of a form.
pub(super) type Form = HashMap<String, String>;

/// Whether a request is in the query protocol.
pub(super) fn is_form(request: &Request) -> bool {
    let kind = request.headers().get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-www-form-urlencoded"))
}

/// Answers one HTTP request. The version names the service.
pub(super) async fn serve(account: Arc<Account>, connection: Connection, request: Request) -> Response {
    let headers = request.headers().clone();
    let form: Form = match unpacked(request).await {
        Ok(body) => form_urlencoded::parse(&body).into_owned().collect(),
        Err(refusal) => return super::service::render_xml(Err(refusal)).into_response(),
    };
    let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    match field("Version") {
        sns::VERSION => sns::serve(account, connection, form).await,
        sts::VERSION => sts::serve(account, connection, form).await,
        version => Unserved::of_form(&headers, field("Action"), version).answer(),
    }
}
