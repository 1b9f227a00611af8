//! The message to people about a decision: a subject and a text for a phone.

use super::Document;
use super::chat::notification;
use crate::decision::Outcome;
use crate::policy::MODE_TAG;
use crate::text::{QUOTED, plain};
use serde_json::json;

/// The longest subject: SNS takes at most 100 characters of ASCII.
const MAX_SUBJECT: usize = 100;

/// A message, as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What and where: 1 to 100 characters of ASCII.
    pub subject: String,
    /// For a phone.
    pub body: String,
    /// The same for a chat channel: the JSON of a custom notification of Amazon Q Developer.
    pub chat: String,
}

impl Message {
    /// The message about `document`, from the region `home`.
    pub fn of(document: &Document, home: &str) -> Message {
        let subject = subject(document, home);
        let chat = notification(document, &subject, &next_steps(document)).to_string();
        Message { subject, body: body(document), chat }
    }

    /// The texts for each protocol of SNS (`MessageStructure` `json`), with `more` at their end. Subscribers by HTTPS
    /// get the form for a chat channel, all others the text.
    pub fn by_protocol(&self, more: &str) -> String {
        json!({ "default": format!("{}{more}", self.body), "https": self.chat }).to_string()
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
    // A name may be longer than the rest of the subject allows.
    let room = MAX_SUBJECT.saturating_sub(what.len() + 1 + region.len());
    let name: String = name.chars().filter(|c| c.is_ascii() && !c.is_ascii_control()).take(room).collect();
    format!("{what}{name} {region}").trim_end().into()
}

/// The caller and its call, where no stream is known. Of a role's ARN it takes the part after the account.
fn caller(document: &Document) -> String {
    let operation = document.signal.operation.as_deref().unwrap_or("no stream");
    let principal = document.signal.caller.as_ref().and_then(|caller| caller.principal.as_deref());
    let principal = principal.map(|arn| arn.splitn(6, ':').nth(5).unwrap_or(arn));
    principal.map_or_else(|| operation.to_owned(), |principal| format!("{operation} by {principal}"))
}

/// What a person reads on a phone.
fn body(document: &Document) -> String {
    let mut text = format!("{}\n", document.sentence);
    for unknown in &document.unknown_tags {
        text += &format!("Tag: {}.\n", plain(&unknown.to_string(), QUOTED));
    }
    if document.stream.is_some() {
        text.push('\n');
    }
    next_steps(document).iter().for_each(|step| text += &format!("{step}\n"));
    text
}

/// Where to look, what to type, and how to undo and stop it: a line each.
fn next_steps(document: &Document) -> Vec<String> {
    let mut steps = vec![];
    if let Some(stream) = &document.stream {
        let region = stream.arn.split(':').nth(3).unwrap_or_default();
        let name = &stream.name;
        if let Some(console) = stream.arn.split(':').nth(1).and_then(console) {
            steps.push(format!(
                "Stream: https://{region}.{console}/kinesis/home?region={region}#/streams/details/{name}/monitoring"
            ));
        }
        steps.push(format!("Why: unthrottle explain {name} --region {region}"));
        steps.push(format!("What was changed: unthrottle history {name} --region {region}"));
        if let Some(undo) = &document.undo {
            let when = if undo.starts_with("unthrottle") {
                " (works once the load has been low for an hour, or for RestoreAfterHours)"
            } else {
                ""
            };
            steps.push(format!("Undo{when}: {undo}"));
        }
        steps.push(format!("Switch off (undo a change first): tag the stream {MODE_TAG}=off"));
    }
    steps.push("Switch all off: unthrottle pause".into());
    steps
}

/// The domain of the partition's console. `None`: AWS documents none for the public, and no link beats a wrong one.
fn console(partition: &str) -> Option<&'static str> {
    match partition {
        "aws" => Some("console.aws.amazon.com"),
        "aws-cn" => Some("console.amazonaws.cn"),
        "aws-us-gov" => Some("console.amazonaws-us-gov.com"),
        // The endpoints reference of the European Sovereign Cloud, docs.aws.eu.
        "aws-eusc" => Some("console.amazonaws-eusc.eu"),
        _ => None,
    }
}
