//! The message for a chat channel: a custom notification of Amazon Q Developer in chat applications, which shows it in
//! Slack and Microsoft Teams (its administrator guide, "Custom notifications").

use super::Document;
use serde_json::{Value, json};

/// The notification about `document`. `title`: what and where. `next_steps`: what a person may do.
pub(super) fn notification(document: &Document, title: &str, next_steps: &[String]) -> Value {
    let what_and_why = document.sentence.split_at(document.sentence.len() - document.end).0.trim();
    let mut description = vec![safe(what_and_why)];
    description.extend(document.unknown_tags.iter().map(|unknown| format!("*Tag:* {}", safe(&unknown.to_string()))));
    if let Some(cost) = &document.cost {
        let (before, after) = (cost.before_usd_per_hour, cost.after_usd_per_hour);
        description.push(format!("*Cost:* ${before:.3} → ${after:.3} an hour ({})", cost.prices));
    }
    if let Some(undo) = &document.undo {
        description.push(format!("*Undo:* `{undo}`"));
    }
    let arn = document.stream.as_ref().map(|stream| stream.arn.as_str());
    let name = document.stream.as_ref().map(|stream| stream.name.as_str());
    let keywords: Vec<&str> = [Some(document.code), name].into_iter().flatten().collect();
    let mut notification = json!({
        "version": "1.0",
        "source": "custom",
        "content": {
            "textType": "client-markdown",
            "title": safe(title),
            "description": description.join("\n"),
            "nextSteps": next_steps.iter().map(|step| safe(step)).collect::<Vec<_>>(),
            "keywords": keywords,
        },
        "metadata": {
            "summary": safe(title),
            "eventType": format!("{} {}", document.outcome, document.code),
            "relatedResources": arn.into_iter().collect::<Vec<_>>(),
        },
    });
    // The messages of a day about a stream are one thread. Without the day, a thread would never end.
    if let (Some(arn), Some(at)) = (arn, document.evidence.observed_at) {
        notification["metadata"]["threadId"] = format!("{arn} {}", at.format("%Y-%m-%d")).into();
    }
    notification
}

/// A text that cannot mention a person or a channel. Slack reads `<!channel>` and `<@USER>` as mentions, and a caller
/// chooses parts of the texts.
fn safe(text: &str) -> String {
    text.replace('<', "‹").replace('>', "›")
}
