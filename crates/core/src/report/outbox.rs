//! Which messages a process sends: each at most once an hour, and only a number of them in an hour.

use super::Document;
use crate::decide::NOTIFY_AGAIN_AFTER;
use crate::decision::Outcome;
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, BTreeSet};

/// How many messages an hour are about callers. One wrong policy or key denies a handful of applications at once. More
/// messages would bury those about streams; fewer could hide a second cause.
const ABOUT_CALLERS: usize = 10;

/// How many messages an hour are about streams that need a person. A person reads one in half a minute, so a hundred
/// fill an hour. More would not be read; fewer would hide streams when one account quota holds dozens of them.
const ABOUT_STREAMS: usize = 100;

/// How many messages an hour are about plans, which mode `observe` does not carry out. Nothing is lost by reading them
/// later in the log. More would delay the messages about streams that need a person.
const ABOUT_PLANS: usize = 30;

/// How many messages that were not sent are remembered. More are not counted. With a smaller number the next message
/// could not say how many there were; each takes about 100 bytes.
const UNSENT_REMEMBERED: usize = 1000;

/// How many streams of one code the next message names. The log has the others.
const UNSENT_NAMED: usize = 5;

/// What a message is about. Each has a limit of its own, so that none can use up the messages of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A caller, or an event without a stream. A caller chooses how often it calls.
    Caller,
    /// A change that mode `observe` would have made.
    Plan,
    /// A stream that needs a person.
    Stream,
}

impl Kind {
    fn of(document: &Document) -> Kind {
        match document.outcome {
            Outcome::Planned => Kind::Plan,
            _ if is_about_caller(document) || document.stream.is_none() => Kind::Caller,
            _ => Kind::Stream,
        }
    }

    fn most(self) -> usize {
        match self {
            Kind::Caller => ABOUT_CALLERS,
            Kind::Plan => ABOUT_PLANS,
            Kind::Stream => ABOUT_STREAMS,
        }
    }
}

/// What becomes of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is sent, with this text at its end: what was not sent before. Empty: nothing.
    Send(String),
    /// It was sent within the last hour, or was found unsent before.
    Repeated,
    /// The hour has no more messages of this kind.
    Unsent {
        /// Who or what the message is about.
        subject: String,
        /// Whether it is about a stream. A stream's message must not get lost in silence.
        is_of_stream: bool,
    },
}

/// The subject and the code of a message: the same pair is the same message.
type Key = (String, &'static str);

/// The messages of the last hour.
#[derive(Debug, Default)]
pub struct Outbox {
    sent: BTreeMap<Key, (Kind, DateTime<Utc>)>,
    /// What was not sent, and is not said yet.
    unsent: BTreeMap<&'static str, BTreeSet<String>>,
}

impl Outbox {
    /// Whether the message about `document` goes out at `now`. Each change and each verified change does: the bound of
    /// changes an hour bounds these, too.
    pub fn admit(&mut self, document: &Document, now: DateTime<Utc>) -> Admission {
        if matches!(document.outcome, Outcome::Acted | Outcome::Healed) {
            return Admission::Send(self.take_unsent());
        }
        let (kind, key) = (Kind::of(document), (subject(document), document.code));
        self.sent.retain(|_, (_, at)| now - *at < NOTIFY_AGAIN_AFTER);
        if self.sent.contains_key(&key) {
            return Admission::Repeated;
        }
        if self.sent.values().filter(|(sent, _)| *sent == kind).count() >= kind.most() {
            return self.hold_back(key, kind != Kind::Caller);
        }
        self.sent.insert(key, (kind, now));
        Admission::Send(self.take_unsent())
    }

    fn hold_back(&mut self, (subject, code): Key, is_of_stream: bool) -> Admission {
        let is_full = self.unsent.values().map(BTreeSet::len).sum::<usize>() >= UNSENT_REMEMBERED;
        if is_full || !self.unsent.entry(code).or_default().insert(subject.clone()) {
            return Admission::Repeated;
        }
        Admission::Unsent { subject, is_of_stream }
    }

    /// What was not sent, for the end of the next message. It is said once.
    fn take_unsent(&mut self) -> String {
        let unsent = std::mem::take(&mut self.unsent);
        if unsent.is_empty() {
            return String::new();
        }
        let of_code = |(code, subjects): (&str, BTreeSet<String>)| {
            let names: Vec<&str> = subjects.iter().take(UNSENT_NAMED).map(String::as_str).collect();
            let more = if subjects.len() > UNSENT_NAMED { ", …" } else { "" };
            format!("{} of {code} ({}{more})", subjects.len(), names.join(", "))
        };
        let unsent: Vec<String> = unsent.into_iter().map(of_code).collect();
        format!(
            "Not sent, because an hour has at most {ABOUT_STREAMS} messages about streams, {ABOUT_PLANS} about plans \
             and {ABOUT_CALLERS} about callers: {}. The log has them.\n",
            unsent.join("; ")
        )
    }
}

/// Whether a hold is about a caller's right or key, whatever the stream.
fn is_about_caller(document: &Document) -> bool {
    matches!(document.code, "access_denied" | "kms_denied" | "kms_throttled")
}

/// Who or what a message is about: the principal without its session, else the stream.
fn subject(document: &Document) -> String {
    let caller = document.signal.caller.as_ref().map(|caller| {
        caller
            .principal
            .as_deref()
            .map_or_else(|| "a caller without a name".to_owned(), |arn| without_session(arn).into())
    });
    let stream = document.stream.as_ref().map(|stream| stream.name.clone());
    let subject = if is_about_caller(document) { caller.or(stream) } else { stream.or(caller) };
    subject.unwrap_or_else(|| document.sentence.clone())
}

/// A principal's ARN without the name of its session: each instance of an application has a session of its own, and the
/// caller chooses its name.
fn without_session(arn: &str) -> &str {
    let Some((_, role)) = arn.split_once(":assumed-role/") else { return arn };
    let session = role.split_once('/').map_or("", |(_, session)| session);
    arn.strip_suffix(session).map_or(arn, |role| role.trim_end_matches('/'))
}
