//! The placeholders of a report: times before now in each source's spelling, ids of shards, and an id of an event.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use unthrottle_core::observation::Shard;

/// Fills the placeholders in every text.
pub fn fill(json: &mut Value, now: DateTime<Utc>, shards: &[Shard]) {
    match json {
        Value::String(text) => *text = filled(text, now, shards),
        Value::Array(values) => values.iter_mut().for_each(|value| fill(value, now, shards)),
        Value::Object(fields) => fields.values_mut().for_each(|value| fill(value, now, shards)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn filled(text: &str, now: DateTime<Utc>, shards: &[Shard]) -> String {
    let Some((before, rest)) = text.split_once("{{") else { return text.into() };
    let (placeholder, after) = rest.split_once("}}").expect("a placeholder ends");
    let value = match placeholder.split_once([':', '-']) {
        None if placeholder == "uuid" => "684a9014-f2d9-52c0-835a-99fae881bd67".into(),
        Some(("shard", number)) => shards[number.parse::<usize>().expect("a number")].id.clone(),
        Some((spelling, ago)) => {
            let seconds = ago.strip_suffix('s').and_then(|ago| ago.parse().ok()).expect("seconds, such as 120s");
            (now - TimeDelta::seconds(seconds)).format(spelled(spelling)).to_string()
        }
        None => panic!("no placeholder: {placeholder}"),
    };
    format!("{before}{value}{}", filled(after, now, shards))
}

/// How a source of events spells a time.
fn spelled(source: &str) -> &'static str {
    match source {
        "iso" => "%Y-%m-%dT%H:%M:%SZ",
        "alarm" => "%Y-%m-%dT%H:%M:%S.000+0000",
        "memory" => "%Y%m%dT%H%M%SZ",
        "words" => "%d/%m/%y %H:%M:00",
        other => panic!("no spelling of a time: {other}"),
    }
}
