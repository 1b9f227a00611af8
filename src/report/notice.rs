//! What a person is told, by SNS: one message for each document that is worth one.

use super::{Document, Outcome, metric};
use crate::decide::TOLD_FOR;
use crate::observe::Cause;
use crate::policy::{MODE_TAG, Policy};
use aws_sdk_sns::Client;
use aws_sdk_sns::types::MessageAttributeValue;
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// The longest subject: SNS takes at most 100 characters of ASCII.
const MAX_SUBJECT: usize = 100;

/// The longest message with its attributes, in bytes (SNS quotas: 256 KiB). Names and types of attributes count, too.
const MAX_MESSAGE: usize = 256 * 1024 - 1024;

/// Things that a process remembers having told. Far more than go wrong within an hour; past it, all are forgotten, which
/// costs a repeated message each.
const REMEMBERED: usize = 1000;

/// Tells people, and remembers what it has told: what is held without a look, or only observed, or for a tag that cannot be
/// read, is noted in no memory on the stream.
#[derive(Debug, Default)]
pub struct Notices(Mutex<HashMap<(String, &'static str), DateTime<Utc>>>);

impl Notices {
    /// Sends `document` to the policy's topic, if it has one and this process has not told the same within the hour. A
    /// failure is no error: it gives a line for the log, which CloudWatch makes a metric of.
    pub async fn tell(
        &self,
        client: &Client,
        policy: &Policy,
        document: &Document,
        now: DateTime<Utc>,
    ) -> Option<Value> {
        let topic = policy.topic_arn.as_ref()?;
        if !self.is_news(document, now) {
            return None;
        }
        let Message { subject, body } = Message::of(document, topic.split(':').nth(3).unwrap_or_default());
        let call = client.publish().topic_arn(topic).subject(subject).message(&body);
        let call = match serde_json::to_string(document).ok().filter(|json| json.len() + body.len() <= MAX_MESSAGE) {
            Some(json) => {
                let value = MessageAttributeValue::builder().data_type("String").string_value(json).build();
                value.map(|value| call.clone().message_attributes("document", value)).unwrap_or(call)
            }
            None => call,
        };
        match call.send().await {
            Ok(_) => None,
            Err(error) => {
                tracing::warn!(topic, error = %Cause::of(error), "nobody could be told");
                Some(metric::untold(now))
            }
        }
    }

    /// Whether this was not told in the last hour. Every change and every healing is news.
    fn is_news(&self, document: &Document, now: DateTime<Utc>) -> bool {
        if matches!(document.outcome, Outcome::Acted | Outcome::Healed) {
            return true;
        }
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|_, at| now - *at < TOLD_FOR);
        if told.len() >= REMEMBERED {
            told.clear();
        }
        let about = document.stream.as_ref().map(|stream| stream.name.clone());
        // A denied call names no stream that can be trusted: whose it is, and on what, tells it from another.
        let about = about.unwrap_or_else(|| document.sentence.clone());
        let is_news = !told.contains_key(&(about.clone(), document.code));
        told.entry((about, document.code)).or_insert(now);
        is_news
    }
}

/// What is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What and where: 1 to 100 characters of ASCII.
    pub subject: String,
    /// For a phone.
    pub body: String,
}

impl Message {
    /// The message that tells of `document`, from the region `home`.
    pub fn of(document: &Document, home: &str) -> Message {
        Message { subject: subject(document, home), body: body(document) }
    }
}

/// What and where, in ASCII.
fn subject(document: &Document, home: &str) -> String {
    let region = document.stream.as_ref().and_then(|s| s.arn.split(':').nth(3)).unwrap_or(home);
    let name = document.stream.as_ref().map_or_else(|| caller(document), |s| s.name.clone());
    let what = match document.outcome {
        Outcome::Healed => "healed".to_owned(),
        outcome => format!("{outcome} {}", document.code),
    };
    let what = format!("[unthrottle] {what}: ");
    // A name may be longer than all the room that there is.
    let room = MAX_SUBJECT.saturating_sub(what.len() + 1 + region.len());
    let name: String = name.chars().filter(|c| c.is_ascii() && !c.is_ascii_control()).take(room).collect();
    format!("{what}{name} {region}").trim_end().into()
}

/// Who called what, where no stream is known: of a role's ARN what follows the account.
fn caller(document: &Document) -> String {
    let operation = document.signal.operation.as_deref().unwrap_or("no stream");
    let principal = document.signal.caller.as_ref().and_then(|caller| caller.principal.as_deref());
    let principal = principal.map(|arn| arn.splitn(6, ':').nth(5).unwrap_or(arn));
    principal.map_or_else(|| operation.to_owned(), |principal| format!("{operation} by {principal}"))
}

/// What a person reads on a phone.
fn body(document: &Document) -> String {
    let mut text = format!("{}\n", document.sentence);
    if let Some(stream) = &document.stream {
        let region = stream.arn.split(':').nth(3).unwrap_or_default();
        let name = &stream.name;
        let console = match stream.arn.split(':').nth(1) {
            Some("aws-cn") => "console.amazonaws.cn",
            Some("aws-us-gov") => "console.amazonaws-us-gov.com",
            _ => "console.aws.amazon.com",
        };
        text += &format!(
            "\nStream: https://{region}.{console}/kinesis/home?region={region}#/streams/details/{name}/monitoring\n"
        );
        text += &format!(
            "Why: unthrottle explain {name} --region {region}\nWhat was changed: unthrottle history {name} --region {region}\n"
        );
        if let Some(undo) = &document.undo {
            let when = if undo.starts_with("unthrottle") { " (an hour after the load has gone)" } else { "" };
            text += &format!("Undo{when}: {undo}\n");
        }
        text += &format!("Switch off (what is to be undone, first): tag the stream {MODE_TAG}=off\n");
    }
    text + "Switch all off: unthrottle pause\n"
}
