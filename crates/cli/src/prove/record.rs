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
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Answers of one operation with the same status and error code that a proof keeps. Two show whether a third would
/// differ; a flood has thousands.
const ALIKE: usize = 2;

/// Items of a list with the same fields that a proof keeps. A request of 500 records has 500 answers, and the refused
/// ones may come last.
const ITEMS: usize = 2;

/// The longest text in an answer. An event of CloudTrail has about 3 KB. A longer text is left out, because a part of
/// it would be no JSON, and ids are hidden in JSON.
const TEXT: usize = 16 * 1024;

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
    account: Option<String>,
}

impl Recorder {
    /// Keeps nothing yet. Each answer also corrects the time.
    pub fn new(time: &Arc<Time>) -> Recorder {
        Recorder { answers: Arc::default(), time: time.clone(), account: None }
    }

    /// Also hides this account, which no ARN of the answers need have.
    pub fn hiding(self, account: Option<&str>) -> Recorder {
        Recorder { account: account.map(str::to_owned), ..self }
    }

    /// The answers, oldest first, without ids of accounts and callers.
    pub fn answers(&self) -> Vec<Answer> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let redactor = self.redactor(&answers);
        let hide = |answer: Answer| Answer { body: redactor.hide(answer.body), ..answer };
        answers.into_iter().map(hide).collect()
    }

    /// A text without ids of accounts and callers.
    pub fn hidden(&self, text: &str) -> String {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        self.redactor(&answers).hide_in(text)
    }

    fn redactor(&self, answers: &[Answer]) -> Redactor {
        Redactor::of(self.account.as_deref(), answers.iter().map(|answer| &answer.body))
    }

    fn keep(&self, answer: Answer) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let is_alike = |other: &&Answer| {
            (&other.call, other.status, shape(&other.body)) == (&answer.call, answer.status, shape(&answer.body))
        };
        if answers.iter().filter(is_alike).count() < ALIKE {
            answers.push(answer);
        }
    }
}

/// What tells apart two answers of an operation: the error, refused records, and which fields have something.
fn shape(body: &Value) -> (Option<&str>, bool, Vec<String>) {
    let is_refused = body["FailedRecordCount"].as_u64().is_some_and(|count| count > 0);
    let filled = body.as_object().map(|_| filled(body)).unwrap_or_default();
    (body["__type"].as_str(), is_refused, filled)
}

/// The names of the fields that have something.
fn filled(value: &Value) -> Vec<String> {
    let is_filled = |value: &Value| !value.is_null() && value.as_array().is_none_or(|items| !items.is_empty());
    let fields = value.as_object().into_iter().flatten();
    fields.filter(|(_, value)| is_filled(value)).map(|(name, _)| name.clone()).collect()
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
    shortened(json.unwrap_or_else(|| Value::String(String::from_utf8_lossy(body).into_owned())))
}

/// The value without the rest of long lists, and without long texts.
fn shortened(value: Value) -> Value {
    match value {
        Value::String(text) if text.len() > TEXT => Value::String(format!("{} bytes of text", text.len())),
        Value::Array(items) => {
            let (all, mut alike) = (items.len(), BTreeMap::<_, usize>::new());
            let is_kept = |item: &Value| {
                let count = alike.entry(filled(item)).or_default();
                *count += 1;
                *count <= ITEMS
            };
            let kept: Vec<Value> = items.into_iter().filter(is_kept).collect();
            let rest = all - kept.len();
            let mut items: Vec<Value> = kept.into_iter().map(shortened).collect();
            if rest > 0 {
                items.push(Value::String(format!("{rest} more")));
            }
            Value::Array(items)
        }
        Value::Object(fields) => Value::Object(fields.into_iter().map(|(name, it)| (name, shortened(it))).collect()),
        other => other,
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer(call: &str, body: &Value) -> Answer {
        Answer { call: call.into(), status: 200, body: readable(body.to_string().as_bytes()) }
    }

    #[test]
    fn a_message_is_kept_after_empty_answers_and_hides_its_caller() {
        let recorder = Recorder::new(&Arc::new(Time::new(chrono::Utc::now(), 1)));
        let event = json!({"account": "210987654321", "detail": {
            "errorCode": "ProvisionedThroughputExceededException",
            "userIdentity": {"arn": "arn:aws:iam::210987654321:user/alice"},
        }});
        for _ in 0..3 {
            recorder.keep(answer("ReceiveMessage", &json!({})));
        }
        recorder.keep(answer("ReceiveMessage", &json!({"Messages": [{"Body": event.to_string()}]})));
        let answers = recorder.answers();
        assert_eq!(answers.len(), 3);
        let kept = answers[2].body["Messages"][0]["Body"].as_str().expect("text");
        assert!(kept.contains("ProvisionedThroughputExceededException"), "{kept}");
        assert!(!kept.contains("alice") && !kept.contains("210987654321"), "{kept}");
    }

    #[test]
    fn long_lists_and_texts_are_shortened() {
        let records: Vec<Value> = (0..500).map(|number| json!({"SequenceNumber": number})).collect();
        let kept = answer("PutRecords", &json!({"Records": records})).body;
        assert_eq!(kept["Records"][2], "498 more");
        assert_eq!(answer("GetRecords", &json!({"Data": "x".repeat(TEXT + 1)})).body["Data"], "16385 bytes of text");
    }

    /// AWS answers about 190 bytes for a record, and 93 KB for 500.
    #[test]
    fn a_long_answer_keeps_a_refused_record_wherever_it_stands() {
        let shard = "shardId-000000000000";
        let accepted = json!({"SequenceNumber": "4".repeat(56), "ShardId": shard, "EncryptionType": "KMS"});
        let message = format!("Rate exceeded for shard {shard} in stream orders under account 210987654321.");
        let refused = json!({"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": message.repeat(2)});
        let records: Vec<&Value> = std::iter::repeat_n(&accepted, 250).chain([&refused; 250]).collect();
        let body = json!({"FailedRecordCount": 250, "Records": records}).to_string();
        assert!(body.len() > 64 * 1024, "{}", body.len());
        let kept = readable(body.as_bytes());
        assert_eq!(kept["FailedRecordCount"], 250);
        assert_eq!(kept["Records"], json!([accepted, accepted, refused, refused, "496 more"]));
    }
}
