//! Messages to people, by SNS: one for each document that needs one.

use super::error::Cause;
use aws_sdk_sns::Client;
use aws_sdk_sns::types::MessageAttributeValue;
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use unthrottle_core::decide::NOTIFY_AGAIN_AFTER;
use unthrottle_core::decision::Outcome;
use unthrottle_core::policy::Policy;
use unthrottle_core::report::message::Message;
use unthrottle_core::report::{Document, metric};

/// The longest message with its attributes, in bytes (SNS quotas: 256 KiB). Names and types of attributes count, too.
const MAX_MESSAGE: usize = 256 * 1024 - 1024;

/// How many notifications a process remembers. Far fewer problems exist within an hour. Above it the process forgets
/// all of them, which costs one repeated message each.
const NOTIFICATIONS_REMEMBERED: usize = 1000;

/// Sends messages, and remembers them for an hour. The process has to remember what no memory on the stream records:
/// holds without an observation, decisions in observe mode, and tags that cannot be read.
#[derive(Debug, Default)]
pub struct Notifier(Mutex<HashMap<(String, &'static str), DateTime<Utc>>>);

impl Notifier {
    /// Sends `document` to the policy's topic, if the policy names one and this process has not sent the same within an
    /// hour. A failure is no error: it gives a line for the log, from which CloudWatch makes a metric.
    pub(super) async fn notify(
        &self,
        client: &Client,
        policy: &Policy,
        document: &Document,
        now: DateTime<Utc>,
    ) -> Option<Value> {
        let topic = policy.topic_arn.as_ref()?;
        if !self.is_new(document, now) {
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
                tracing::warn!(topic, error = %Cause::of(error), "the message did not reach the topic");
                Some(metric::undelivered(now))
            }
        }
    }

    /// Whether this process has not sent the same within an hour. Each change and each verified change is new.
    fn is_new(&self, document: &Document, now: DateTime<Utc>) -> bool {
        if matches!(document.outcome, Outcome::Acted | Outcome::Healed) {
            return true;
        }
        let mut sent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sent.retain(|_, at| now - *at < NOTIFY_AGAIN_AFTER);
        if sent.len() >= NOTIFICATIONS_REMEMBERED {
            sent.clear();
        }
        let subject = document.stream.as_ref().map(|stream| stream.name.clone());
        // A denied call names no stream that can be trusted. The sentence names the caller and the call instead.
        let subject = subject.unwrap_or_else(|| document.sentence.clone());
        let is_new = !sent.contains_key(&(subject.clone(), document.code));
        sent.entry((subject, document.code)).or_insert(now);
        is_new
    }
}
