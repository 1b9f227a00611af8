//! STS: GetCallerIdentity. Any credentials are those of the same user.

use super::Account;
use super::connection::Connection;
use super::form::Form;
use super::service::{Call, render_xml, unknown};
use axum::response::Response;
use std::sync::Arc;

/// The version of the API in a request.
pub(super) const VERSION: &str = "2011-06-15";

/// The name of the user in the answer.
const USER: &str = "local";

/// Answers one call.
pub(super) async fn serve(account: Arc<Account>, connection: Connection, form: Form) -> Response {
    let operation = form.get("Action").cloned().unwrap_or_default();
    let call = Call { account: account.clone(), connection, service: "STS", operation: operation.clone() };
    let work = async move {
        match operation.as_str() {
            "GetCallerIdentity" => {
                let id = &account.options.account;
                Ok(format!(
                    "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/{VERSION}/\">\
                     <GetCallerIdentityResult><Arn>arn:aws:iam::{id}:user/{USER}</Arn><UserId>{USER}</UserId>\
                     <Account>{id}</Account></GetCallerIdentityResult><ResponseMetadata><RequestId>none</RequestId>\
                     </ResponseMetadata></GetCallerIdentityResponse>"
                ))
            }
            _ => Err(unknown("STS", &operation)),
        }
    };
    call.answer(render_xml, work).await
}
