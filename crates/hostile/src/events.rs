//! Any payload of an invocation.

use crate::stream::{decided, home, is_safe, throttled};
use serde_json::Value;
use std::collections::BTreeMap;
use unthrottle_core::decide::{hold_unobserved, triage};
use unthrottle_core::policy::Policy;
use unthrottle_core::report::Document;
use unthrottle_core::signal::{Event, Signal};

pub(crate) fn check(input: &[u8]) {
    let Ok(payload) = serde_json::from_slice::<Value>(input) else { return };
    let event = Event::parse(&payload, &home());
    assert_eq!(event.is_ok(), Event::parse(&payload, &home()).is_ok(), "the same payload is read in the same way");
    match event {
        Ok(Event::One(signal)) => of_signal(&signal),
        Ok(Event::Sweep { every_minutes, .. }) => {
            assert!(every_minutes.is_none_or(|minutes| (1..=60).contains(&minutes)), "{every_minutes:?}");
        }
        Err(error) => {
            let text = error.to_string();
            assert!(!text.chars().any(char::is_control) && !text.contains("://"), "{text:?}");
        }
    }
}

fn of_signal(signal: &Signal) {
    let policy = Policy::default();
    if let Some(reason) = triage(signal, &policy, &home()) {
        is_safe(&Document::new(signal, None, &hold_unobserved(reason, &policy), None));
        return;
    }
    // Only a stream of this account and region is observed, and thus changed.
    let stream = signal.stream().expect("a signal that is observed names a stream");
    assert_eq!(stream.home, home());
    let (_, observation) = throttled(BTreeMap::new());
    let _ = decided(signal, observation, &policy);
}
