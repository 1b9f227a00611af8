//! Throttled calls of Kinesis's control plane: CloudTrail's event history, once for all streams.

use super::unread::unread;
use aws_sdk_cloudtrail::Client;
use aws_sdk_cloudtrail::primitives::DateTime as AwsTime;
use aws_sdk_cloudtrail::types::{Event, LookupAttribute, LookupAttributeKey};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use unthrottle_core::checks::{Read, ThrottledCaller, ThrottledCalls, Unread};
use unthrottle_core::decide::triage;
use unthrottle_core::decision::Reason;
use unthrottle_core::policy::Policy;
use unthrottle_core::signal::{Home, Signal};

const ACTION: &str = "cloudtrail:LookupEvents";

/// How far back the doctor looks, in hours: as far as it reads minutes.
const HOURS: i64 = 3;

/// Events of one answer, the most that AWS gives (API reference).
const PER_PAGE: i32 = 50;

/// The pages that are read, the newest events first. AWS allows two calls a second, so more would take longer than all
/// other reads. A busy account has more events in three hours; the finding says how far back they reach.
pub(in crate::doctor) const MOST_PAGES: usize = 5;

/// The time from one page to the next: AWS allows two calls a second to the account and region (API reference).
const PAUSE: Duration = Duration::from_millis(500);

/// What stands for them where no check needs them.
pub(super) fn not_read<T>() -> Read<T> {
    Err(Unread { action: ACTION, why: "no check needs it".into(), is_denied: false })
}

pub(super) async fn throttled_calls(client: &Client, home: &Home, now: DateTime<Utc>) -> Read<ThrottledCalls> {
    let (mut token, mut events) = (None, vec![]);
    let first = now - TimeDelta::hours(HOURS);
    let source = LookupAttribute::builder().attribute_key(LookupAttributeKey::EventSource);
    let source = source.attribute_value("kinesis.amazonaws.com").build();
    let source = source.map_err(|e| Unread { action: ACTION, why: e.to_string(), is_denied: false })?;
    for page in 0..MOST_PAGES {
        if page > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        let call = client.lookup_events().lookup_attributes(source.clone()).max_results(PER_PAGE);
        let call = call.start_time(AwsTime::from_secs(first.timestamp())).set_next_token(token.take());
        let answer = call.send().await.map_err(|e| unread(ACTION, e))?;
        events.extend_from_slice(answer.events());
        token = answer.next_token().map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    // All pages were read, or the last one ends before the beginning.
    let oldest = events.last().and_then(Event::event_time).and_then(|time| DateTime::from_timestamp(time.secs(), 0));
    let since = if token.is_some() { oldest.unwrap_or(first) } else { first };
    Ok(ThrottledCalls { since, events: events.len(), callers: callers(&events, home) })
}

/// The callers of throttled calls, the most throttled first.
fn callers(events: &[Event], home: &Home) -> Vec<ThrottledCaller> {
    let mut counts = BTreeMap::<(String, Option<String>, Option<String>), usize>::new();
    for event in events {
        let Some(call) = event.cloud_trail_event().and_then(|record| throttled(record, home)) else { continue };
        *counts.entry(call).or_default() += 1;
    }
    let mut callers: Vec<ThrottledCaller> = counts
        .into_iter()
        .map(|((operation, principal, stream), count)| ThrottledCaller { operation, principal, stream, count })
        .collect();
    callers.sort_by_key(|caller| std::cmp::Reverse(caller.count));
    callers
}

/// The operation, the caller and the stream of a record, if AWS throttled the call and it is one of the control plane.
/// The Lambda judges its events by the same code.
fn throttled(record: &str, home: &Home) -> Option<(String, Option<String>, Option<String>)> {
    let record: Value = serde_json::from_str(record).ok()?;
    let event = json!({ "detail-type": "AWS API Call via CloudTrail", "source": "aws.kinesis", "detail": record });
    let signal = Signal::parse(&event, home).ok()?;
    let is_throttled = triage(&signal, &Policy::default(), home) == Some(Reason::ControlPlaneThrottled);
    let Signal::Throttle(call) = signal else { return None };
    let caller = call.caller;
    is_throttled.then(|| (call.operation, caller.role.or(caller.principal), call.stream.map(|stream| stream.name)))
}
