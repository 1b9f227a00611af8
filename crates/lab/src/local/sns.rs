//! SNS: Publish to a topic. The account has every topic, without subscribers.

use super::connection::Connection;
use super::form::Form;
use super::protocol::{Refusal, refuse};
use super::service::{Call, render_xml, unknown};
use super::{Account, Options, Published, lock};
use axum::response::Response;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The version of the API in a request.
pub(super) const VERSION: &str = "2010-03-31";

/// The longest subject, in characters ([API reference]: less than 100; AWS accepts 100).
///
/// [API reference]: https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
const MAX_SUBJECT: usize = 100;

/// The most bytes of a message together with its attributes (API reference, as above).
const MAX_MESSAGE: usize = 256 * 1024;

/// Answers one call.
pub(super) async fn serve(account: Arc<Account>, connection: Connection, form: Form) -> Response {
    let operation = form.get("Action").cloned().unwrap_or_default();
    let call = Call { account: account.clone(), connection, service: "SNS", operation: operation.clone() };
    let work = async move {
        match operation.as_str() {
            "Publish" => publish(&account, &form).map(|id| published(&id)),
            _ => Err(unknown("SNS", &operation)),
        }
    };
    call.answer(render_xml, work).await
}

/// Stores the message, and returns its id.
fn publish(account: &Account, form: &Form) -> Result<String, Refusal> {
    let Some(topic) = form.get("TopicArn") else {
        return Err(invalid("TopicArn Reason: the local account publishes to topics only"));
    };
    must_be_here(account, topic)?;
    let subject = form.get("Subject").cloned();
    if let Some(subject) = &subject
        && !is_subject(subject)
    {
        return Err(invalid("Subject"));
    }
    let Some(message) = form.get("Message").filter(|message| !message.is_empty()) else {
        return Err(invalid("Empty message"));
    };
    let (attributes, bytes) = attributes(form)?;
    if message.len() + bytes > MAX_MESSAGE {
        return Err(invalid("Message too long"));
    }
    let (message, by_protocol) = match form.get("MessageStructure").map(String::as_str) {
        None => (message.clone(), BTreeMap::new()),
        Some("json") => by_protocol(message)?,
        Some(_) => return Err(invalid("MessageStructure")),
    };
    let mut published = lock(&account.published);
    published.push(Published { topic: topic.clone(), subject, message, by_protocol, attributes });
    Ok(format!("00000000-0000-0000-0000-{:012x}", published.len()))
}

/// The message for all protocols, and those for single ones (API reference of Publish: the value of `Message` must be a
/// JSON object with at least the key `default`; values that are no strings are ignored).
fn by_protocol(message: &str) -> Result<(String, BTreeMap<String, String>), Refusal> {
    let texts: BTreeMap<String, Value> =
        serde_json::from_str(message).map_err(|_| invalid("Message Structure - JSON message body failed to parse"))?;
    let text = |(protocol, text): (String, Value)| Some((protocol, text.as_str()?.to_owned()));
    let mut texts: BTreeMap<String, String> = texts.into_iter().filter_map(text).collect();
    let default = texts.remove("default");
    let none = || invalid("Message Structure - No default entry in JSON message body");
    Ok((default.ok_or_else(none)?, texts))
}

fn must_be_here(account: &Account, topic: &str) -> Result<(), Refusal> {
    let parts: Vec<&str> = topic.split(':').collect();
    let ["arn", _, "sns", region, owner, name] = parts[..] else {
        return Err(invalid(format!("TopicArn Reason: '{topic}' is not the ARN of a topic")));
    };
    let Options { region: here, account: us, .. } = &account.options;
    if region != here || owner != us || name.is_empty() {
        return Err(Refusal::new(404, "NotFound", "Topic does not exist"));
    }
    Ok(())
}

/// ASCII text that begins with a letter, number or punctuation mark, without line breaks and control characters.
fn is_subject(subject: &str) -> bool {
    (1..=MAX_SUBJECT).contains(&subject.len())
        && subject.starts_with(|first: char| first.is_ascii_graphic())
        && subject.chars().all(|c| c == ' ' || c.is_ascii_graphic())
}

/// The attributes by name, and the bytes of their names, types and values. A binary value stays base64.
fn attributes(form: &Form) -> Result<(BTreeMap<String, String>, usize), Refusal> {
    let (mut attributes, mut bytes) = (BTreeMap::new(), 0);
    for entry in 1.. {
        let field = |field: &str| form.get(&format!("MessageAttributes.entry.{entry}.{field}"));
        let Some(name) = field("Name") else { break };
        let kind = field("Value.DataType").map_or("", String::as_str);
        if !["String", "Number", "Binary"].contains(&kind.split('.').next().unwrap_or_default()) {
            return Err(refuse(
                "ParameterValueInvalid",
                format!("The message attribute '{name}' has an invalid message attribute type '{kind}'."),
            ));
        }
        let value = field("Value.StringValue").or(field("Value.BinaryValue"));
        let Some(value) = value.filter(|value| !value.is_empty()) else {
            return Err(refuse(
                "ParameterValueInvalid",
                format!(
                    "The message attribute '{name}' must contain non-empty message attribute value for message \
                     attribute type '{kind}'."
                ),
            ));
        };
        bytes += name.len() + kind.len() + value.len();
        attributes.insert(name.clone(), value.clone());
    }
    Ok((attributes, bytes))
}

/// `problem`: the parameter, and the reason why it is invalid.
fn invalid(problem: impl AsRef<str>) -> Refusal {
    refuse("InvalidParameter", format!("Invalid parameter: {}", problem.as_ref()))
}

/// The answer with the id of a message.
fn published(id: &str) -> String {
    format!(
        "<PublishResponse xmlns=\"http://sns.amazonaws.com/doc/{VERSION}/\"><PublishResult><MessageId>{id}</MessageId>\
         </PublishResult><ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata></PublishResponse>"
    )
}
