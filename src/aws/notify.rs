//! Messages to people, by SNS: one for each document that needs one.

use super::error::Cause;
use aws_sdk_sns::Client;
use aws_sdk_sns::types::MessageAttributeValue;
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::sync::{Mutex, PoisonError};
use unthrottle_core::policy::{Messages, Policy};
use unthrottle_core::report::message::Message;
use unthrottle_core::report::outbox::{Admission, Outbox};
use unthrottle_core::report::{Document, metric};

/// The longest message with its attributes, in bytes (SNS quotas: 256 KiB). Names and types of attributes count, too.
const MAX_MESSAGE: usize = 256 * 1024 - 1024;

/// Sends messages, and remembers them for an hour. The process has to remember what no memory on the stream records:
/// holds without an observation, decisions in observe mode, and tags that cannot be read or written.
#[derive(Debug, Default)]
pub struct Notifier(Mutex<Outbox>);

impl Notifier {
    /// Sends `document` to the policy's topic, if the policy names one and the [`Outbox`] admits the message. A message
    /// that is not sent is no error: it gives a line for the log, from which CloudWatch makes a metric.
    pub(super) async fn notify(
        &self,
        client: &Client,
        policy: &Policy,
        document: &Document,
        now: DateTime<Utc>,
    ) -> Option<Value> {
        let topic = policy.topic_arn.as_ref()?;
        let admission = self.0.lock().unwrap_or_else(PoisonError::into_inner).admit(document, now);
        let unsent = match admission {
            Admission::Send(unsent) => unsent,
            Admission::Repeated => return None,
            Admission::Unsent { subject, is_of_stream } => {
                let code = document.code;
                tracing::warn!(subject, code, "the hour has no more messages of this kind: this one is not sent");
                return is_of_stream.then(|| metric::undelivered(now));
            }
        };
        let message = Message::of(document, topic.split(':').nth(3).unwrap_or_default());
        let call = client.publish().topic_arn(topic).subject(&message.subject);
        let (call, body) = match policy.messages {
            Messages::Text => (call, message.body + &unsent),
            Messages::Chat => (call.message_structure("json"), message.by_protocol(&unsent)),
        };
        let call = call.message(&body);
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
}
