//! The two protocols of CloudWatch's clients: Smithy RPC v2 CBOR (SDKs) and JSON 1.0 (the AWS CLI). The code handles
//! inputs as JSON, and answers as CBOR, which has more types.

use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Response};
use ciborium::Value as Cbor;
use flate2::read::GzDecoder;
use serde_json::{Map, Number, Value};
use std::io::Read;

/// The largest request, unpacked ([quotas]: PutMetricData 1 MB).
///
/// [quotas]: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_limits.html
const MAX_BODY: usize = 1024 * 1024;

/// The encoding of a request and of its answer.
#[derive(Clone, Copy)]
pub(super) enum Protocol {
    Cbor,
    Json,
}

/// An error answer.
pub(super) struct Refusal {
    pub status: u16,
    pub code: String,
    pub message: String,
}

impl Refusal {
    pub fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.into(), message: message.into() }
    }
}

/// An HTTP 400 with the name of an error shape of the service's model.
pub(super) fn refuse(code: &str, message: impl Into<String>) -> Refusal {
    Refusal::new(400, code, message)
}

impl Protocol {
    /// The body, decoded.
    pub async fn input_of(self, request: Request) -> Result<Value, Refusal> {
        let unreadable = |error: String| refuse("SerializationException", error);
        let body = unpacked(request).await?;
        match self {
            Self::Json => serde_json::from_slice(&body).map_err(|e| unreadable(e.to_string())),
            Self::Cbor => ciborium::from_reader(&body[..]).map(json_of).map_err(|e| unreadable(e.to_string())),
        }
    }

    pub fn render(self, answer: Cbor) -> Response {
        self.respond(200, answer, None)
    }

    /// The error, with its name from the model in the body and its older name in a header. SDKs of a former AWS-query
    /// service read the header first.
    pub fn render_error(self, refusal: &Refusal) -> Response {
        let Refusal { status, code, message } = refusal;
        let body = Cbor::Map(vec![
            field("__type", text(&format!("com.amazonaws.cloudwatch#{code}"))),
            field("message", text(message)),
        ]);
        let fault = if *status < 500 { "Sender" } else { "Receiver" };
        let query_code = match code.as_str() {
            "InvalidParameterValueException" => "InvalidParameterValue",
            "InvalidParameterCombinationException" => "InvalidParameterCombination",
            "MissingRequiredParameterException" => "MissingParameter",
            "InternalServiceFault" => "InternalServiceError",
            other => other,
        };
        self.respond(*status, body, Some(format!("{query_code};{fault}")))
    }

    fn respond(self, status: u16, body: Cbor, error: Option<String>) -> Response {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let error = AppendHeaders(error.map(|error| ("x-amzn-query-error", error)));
        match self {
            Self::Json => {
                let kind = [(header::CONTENT_TYPE, "application/x-amz-json-1.0")];
                (status, kind, error, json_of(body).to_string()).into_response()
            }
            Self::Cbor => {
                let kind = [
                    (header::CONTENT_TYPE, "application/cbor"),
                    (HeaderName::from_static("smithy-protocol"), "rpc-v2-cbor"),
                ];
                let mut bytes = Vec::new();
                // Only a lack of memory makes a write to memory fail.
                let _ = ciborium::into_writer(&body, &mut bytes);
                (status, kind, error, bytes).into_response()
            }
        }
    }
}

/// Text in XML.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A value of JSON as CBOR.
pub(super) fn cbor_of(value: Value) -> Cbor {
    match value {
        Value::Null => Cbor::Null,
        Value::Bool(bool) => Cbor::Bool(bool),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => Cbor::Integer(integer.into()),
            None => Cbor::Float(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => Cbor::Text(text),
        Value::Array(items) => Cbor::Array(items.into_iter().map(cbor_of).collect()),
        Value::Object(fields) => {
            Cbor::Map(fields.into_iter().map(|(name, value)| (Cbor::Text(name), cbor_of(value))).collect())
        }
    }
}

/// The unpacked body.
pub(super) async fn unpacked(request: Request) -> Result<Vec<u8>, Refusal> {
    let too_large = || {
        let message = format!("A request has at most {MAX_BODY} bytes.");
        Refusal::new(413, "RequestEntityTooLarge", message)
    };
    let zipped = request.headers().get(header::CONTENT_ENCODING);
    let zipped = zipped.is_some_and(|encoding| encoding == "gzip");
    let body = to_bytes(request.into_body(), MAX_BODY).await;
    let body = body.map_err(|_| too_large())?;
    if !zipped {
        return Ok(body.to_vec());
    }
    let mut unpacked = Vec::new();
    GzDecoder::new(&body[..])
        .take(MAX_BODY as u64 + 1)
        .read_to_end(&mut unpacked)
        .map_err(|error| refuse("SerializationException", format!("gzip: {error}")))?;
    if unpacked.len() > MAX_BODY {
        return Err(too_large());
    }
    Ok(unpacked)
}

/// Drops tags: the only tag in use marks a number as a timestamp.
fn json_of(value: Cbor) -> Value {
    match value {
        Cbor::Bool(bool) => Value::Bool(bool),
        Cbor::Integer(integer) => i64::try_from(integer).map_or(Value::Null, Value::from),
        Cbor::Float(float) => Number::from_f64(float).map_or(Value::Null, Value::Number),
        Cbor::Text(text) => Value::String(text),
        Cbor::Array(items) => Value::Array(items.into_iter().map(json_of).collect()),
        Cbor::Map(fields) => Value::Object(
            fields
                .into_iter()
                .filter_map(|(key, value)| Some((key.into_text().ok()?, json_of(value))))
                .collect::<Map<_, _>>(),
        ),
        Cbor::Tag(_, inner) => json_of(*inner),
        _ => Value::Null,
    }
}

pub(super) fn field(name: &str, value: Cbor) -> (Cbor, Cbor) {
    (text(name), value)
}

pub(super) fn text(text: &str) -> Cbor {
    Cbor::Text(text.to_owned())
}

pub(super) fn timestamp(epoch_seconds: f64) -> Cbor {
    Cbor::Tag(1, Box::new(Cbor::Float(epoch_seconds)))
}
