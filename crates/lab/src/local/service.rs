//! The common part of the services besides Kinesis.

use super::Account;
use super::connection::Connection;
use super::faults::subject_to_faults;
use super::protocol::{Refusal, escaped};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::future::Future;
use std::sync::Arc;

/// One HTTP request for an operation.
pub(super) struct Call {
    pub account: Arc<Account>,
    pub connection: Connection,
    /// The name in [`LocalAccount::calls`](super::LocalAccount::calls).
    pub service: &'static str,
    pub operation: String,
}

impl Call {
    /// Carries out `work`, and renders its answer.
    pub async fn answer<T: Send + 'static>(
        self,
        render: impl Fn(Result<T, Refusal>) -> Response + Clone + Send + Sync + 'static,
        work: impl Future<Output = Result<T, Refusal>> + Send + 'static,
    ) -> Response {
        let Call { account, connection, service, operation } = self;
        account.count_call(service, &operation);
        let panicked = render.clone();
        // A task of its own: a client that gives up does not stop its call.
        let call = tokio::spawn(async move {
            let refuse = |status, code: &str, message: &str| render(Err(Refusal::new(status, code, message)));
            let work = async { render(work.await) };
            subject_to_faults(&account, &connection, &operation, refuse, work).await
        });
        call.await.unwrap_or_else(|error| panicked(Err(Refusal::new(500, "InternalFailure", error.to_string()))))
    }
}

/// Renders an answer in the JSON protocols, RPC and REST.
pub(super) fn render_json(answer: Result<Value, Refusal>) -> Response {
    let kind = (header::CONTENT_TYPE.as_str(), "application/x-amz-json-1.1");
    match answer {
        Ok(answer) => ([kind], answer.to_string()).into_response(),
        Err(Refusal { status, code, message }) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let body = json!({"__type": code, "Message": message}).to_string();
            (status, [kind, ("x-amzn-errortype", &code)], body).into_response()
        }
    }
}

/// Renders an answer in the query protocol: the XML of an answer, or an error.
pub(super) fn render_xml(answer: Result<String, Refusal>) -> Response {
    let (status, body) = match answer {
        Ok(body) => (200, body),
        Err(Refusal { status, code, message }) => {
            let fault = if status < 500 { "Sender" } else { "Receiver" };
            let (code, message) = (escaped(&code), escaped(&message));
            let error = format!("<Type>{fault}</Type><Code>{code}</Code><Message>{message}</Message>");
            (status, format!("<ErrorResponse><Error>{error}</Error><RequestId>none</RequestId></ErrorResponse>"))
        }
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, "text/xml")], body).into_response()
}

/// The refusal of an operation that the account does not have.
pub(super) fn unknown(service: &str, operation: &str) -> Refusal {
    Refusal::new(400, "UnknownOperationException", format!("the local account does not know {service} {operation}"))
}
