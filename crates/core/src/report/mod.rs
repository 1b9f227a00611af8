//! A decision as document, log line, metric and sentence, which agree. Reporting only renders: what sends stands beside
//! the AWS clients.

mod chat;
mod document;
pub mod message;
pub mod metric;
pub mod outbox;
mod sentence;
mod sweep;

pub use document::Document;
pub use metric::AutoFix;
pub use sweep::{Denied, Failure, Findings, MOST_CONTRIBUTORS, Queried, SweepDocument, Unsupported};

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

/// The log line of a sweep; the decisions in it have lines of their own.
pub fn sweep_line(document: &SweepDocument, request_id: &str, now: DateTime<Utc>) -> Value {
    let mut sweep = json!(document);
    if let Some(sweep) = sweep.as_object_mut() {
        sweep.remove("decisions");
    }
    json!({
        "timestamp": now.to_rfc3339_opts(SecondsFormat::Millis, true),
        "level": "INFO",
        "message": document.sentence,
        "requestId": request_id,
        "sweep": sweep,
    })
}

/// The log line of an invocation: the document in the field `decision`, where CloudWatch Logs Insights can query it.
pub fn log_line(document: &Document, request_id: &str, now: DateTime<Utc>) -> Value {
    json!({
        "timestamp": now.to_rfc3339_opts(SecondsFormat::Millis, true),
        "level": "INFO",
        "message": document.sentence,
        "requestId": request_id,
        "decision": document,
    })
}
