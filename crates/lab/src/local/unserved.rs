//! The answer to a call that the account does not have, in the form that the caller's protocol expects.

use super::protocol::{Protocol, Refusal, escaped};
use super::service::render_json;
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// The services whose answers are XML by REST, by their names in a signature.
const REST_XML: [&str; 4] = ["cloudfront", "route53", "s3", "s3control"];

/// The version of EC2's API. EC2 has errors of a form of its own.
const EC2: &str = "2016-11-15";

/// A call, as far as any protocol shows it.
pub(super) struct Unserved {
    service: Option<String>,
    operation: String,
    shape: Shape,
}

#[derive(Clone, Copy)]
enum Shape {
    Json,
    Cbor,
    /// The query protocol of EC2.
    Ec2,
    Query,
    RestXml,
}

impl Unserved {
    /// A call without a form: the headers and the path show it.
    pub fn of(request: &Request) -> Unserved {
        Unserved::of_parts(request.headers(), request.method(), request.uri().path())
    }

    fn of_parts(headers: &HeaderMap, method: &Method, path: &str) -> Unserved {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let service = text(header::AUTHORIZATION.as_str()).and_then(signed_for);
        let target = text("x-amz-target");
        let is_cbor = text("smithy-protocol") == Some("rpc-v2-cbor");
        let is_xml = service.as_deref().is_some_and(|service| REST_XML.contains(&service));
        let shape = match (is_cbor, target) {
            (true, _) => Shape::Cbor,
            (false, None) if is_xml => Shape::RestXml,
            (false, _) => Shape::Json,
        };
        let operation = match target.and_then(|target| target.rsplit('.').next()) {
            Some(operation) => operation.to_owned(),
            None if is_cbor => path.rsplit('/').next().unwrap_or_default().to_owned(),
            None => format!("{method} {path}"),
        };
        Unserved { service, operation, shape }
    }

    /// A call with a form, in the query protocol.
    pub fn of_form(headers: &HeaderMap, action: &str, version: &str) -> Unserved {
        let text = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let shape = if version == EC2 { Shape::Ec2 } else { Shape::Query };
        Unserved { service: text.and_then(signed_for), operation: action.into(), shape }
    }

    /// The refusal, in the caller's protocol.
    pub fn answer(self) -> Response {
        let service = self.service.map(|service| format!("{service} ")).unwrap_or_default();
        let message = format!(
            "the local account does not serve {service}{}. It serves Kinesis, CloudWatch, and some calls of the \
             tagging API, SNS, STS, Lambda, CloudTrail, EventBridge and EventBridge Scheduler.",
            self.operation
        );
        let code = "UnknownOperationException";
        let xml = |body: String| (StatusCode::NOT_FOUND, [(header::CONTENT_TYPE, "text/xml")], body).into_response();
        let error = format!("<Code>{code}</Code><Message>{}</Message>", escaped(&message));
        match self.shape {
            Shape::Cbor => Protocol::Cbor.render_error(&Refusal::new(404, code, message)),
            Shape::Json => render_json(Err(Refusal::new(404, code, message))),
            Shape::RestXml => xml(format!("<Error>{error}<RequestId>none</RequestId></Error>")),
            Shape::Ec2 => {
                xml(format!("<Response><Errors><Error>{error}</Error></Errors><RequestID>none</RequestID></Response>"))
            }
            Shape::Query => xml(format!(
                "<ErrorResponse><Error><Type>Sender</Type>{error}</Error><RequestId>none</RequestId></ErrorResponse>"
            )),
        }
    }
}

/// The service of a signature: `Credential=KEY/DATE/REGION/SERVICE/aws4_request`.
fn signed_for(authorization: &str) -> Option<String> {
    let scope = authorization.split("Credential=").nth(1)?.split([',', ' ']).next()?;
    scope.split('/').nth(3).map(str::to_owned)
}
