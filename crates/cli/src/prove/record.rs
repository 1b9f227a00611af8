//! The raw answers of AWS that a step got, for the proof.

use super::redact::Redactor;
use super::time::Time;
use aws_sdk_kinesis::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_kinesis::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_kinesis::error::BoxError;
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use chrono::DateTime;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::sync::{Arc, Mutex, PoisonError};

/// Answers of one operation with the same status and error code that a proof keeps. Two show whether a third would
/// differ; a flood has thousands.
const ALIKE: usize = 2;

/// The longest answer that a proof keeps, in bytes. The descriptions of a few shards fit.
const LONGEST: usize = 4_096;

/// An answer of AWS.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Answer {
    /// The operation, such as `UpdateShardCount`.
    pub call: String,
    /// The HTTP status.
    pub status: u16,
    /// The body: JSON where it is JSON or CBOR, and otherwise a text.
    pub body: Value,
}

/// Keeps the answers to the calls of one step. Clones keep into the same list.
#[derive(Clone, Debug)]
pub(super) struct Recorder {
    answers: Arc<Mutex<Vec<Answer>>>,
    time: Arc<Time>,
}

impl Recorder {
    /// Keeps nothing yet. Each answer also corrects the time.
    pub fn new(time: &Arc<Time>) -> Recorder {
        Recorder { answers: Arc::default(), time: time.clone() }
    }

    /// The answers, oldest first, without ids of accounts and callers.
    pub fn answers(&self) -> Vec<Answer> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let redactor = Redactor::of(answers.iter().map(|answer| &answer.body));
        let hide = |answer: Answer| Answer { body: redactor.hide(answer.body), ..answer };
        answers.into_iter().map(hide).collect()
    }

    /// A text without ids of accounts and callers.
    pub fn hidden(&self, text: &str) -> String {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        Redactor::of(answers.iter().map(|answer| &answer.body)).hide_in(text)
    }

    fn keep(&self, answer: Answer) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let is_alike = |other: &&Answer| {
            (&other.call, other.status, code(&other.body)) == (&answer.call, answer.status, code(&answer.body))
        };
        if answers.iter().filter(is_alike).count() < ALIKE {
            answers.push(answer);
        }
    }
}

/// What tells apart two answers of an operation: the error, or the number of refused records.
fn code(body: &Value) -> (Option<&str>, bool) {
    (body["__type"].as_str(), body["FailedRecordCount"].as_u64().is_some_and(|count| count > 0))
}

impl Intercept for Recorder {
    fn name(&self) -> &'static str {
        "Recorder"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let call = config.load::<Metadata>().map(|operation| operation.name().to_owned()).unwrap_or_default();
        let response = context.response();
        if let Some(date) = response.headers().get("date").and_then(|date| DateTime::parse_from_rfc2822(date).ok()) {
            self.time.answered_at(date.to_utc());
        }
        let body = response.body().bytes().map_or(Value::Null, readable);
        self.keep(Answer { call, status: response.status().as_u16(), body });
        Ok(())
    }
}

/// A body as JSON, if it is JSON or CBOR.
fn readable(body: &[u8]) -> Value {
    let json = serde_json::from_slice(body).ok();
    let json = json.or_else(|| ciborium::from_reader(body).ok().map(json_of));
    match json {
        Some(json) if body.len() <= LONGEST => json,
        _ => {
            let text = String::from_utf8_lossy(&body[..body.len().min(LONGEST)]).into_owned();
            Value::String(if body.len() > LONGEST { format!("{text}… ({} bytes)", body.len()) } else { text })
        }
    }
}

/// CBOR as JSON. The only tag in use marks a number as a time.
fn json_of(value: ciborium::Value) -> Value {
    use ciborium::Value as Cbor;
    match value {
        Cbor::Bool(bool) => Value::Bool(bool),
        Cbor::Integer(integer) => i64::try_from(integer).map_or(Value::Null, Value::from),
        Cbor::Float(float) => Value::from(float),
        Cbor::Text(text) => Value::String(text),
        Cbor::Array(items) => Value::Array(items.into_iter().map(json_of).collect()),
        Cbor::Map(fields) => {
            let fields = fields.into_iter().filter_map(|(key, value)| Some((key.into_text().ok()?, json_of(value))));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        Cbor::Tag(_, inner) => json_of(*inner),
        _ => Value::Null,
    }
}
