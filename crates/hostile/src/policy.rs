//! Any policy tags of a stream, under any settings.

use crate::stream::{decided, throttled};
use arbitrary::{Arbitrary, Unstructured};
use std::collections::BTreeMap;
use unthrottle_core::policy::{Mode, Policy};

const TAGS: [&str; 6] = [
    "unthrottle.mode",
    "unthrottle.max-shards",
    "unthrottle.min-shards",
    "unthrottle.on-demand",
    "unthrottle.foresight",
    "Unthrottle.Mode",
];

const SETTINGS: [&str; 16] = [
    "UNTHROTTLE_MODE",
    "UNTHROTTLE_SCOPE",
    "UNTHROTTLE_TARGET_UTILIZATION",
    "UNTHROTTLE_WINDOW_MINUTES",
    "UNTHROTTLE_CONFIRM_MINUTES",
    "UNTHROTTLE_FLOOR",
    "UNTHROTTLE_MAX_SHARDS",
    "UNTHROTTLE_MAX_SHARDS_CEILING",
    "UNTHROTTLE_MIN_SHARDS",
    "UNTHROTTLE_ON_DEMAND",
    "UNTHROTTLE_MAX_HOURLY_COST",
    "UNTHROTTLE_MAX_CHANGES_PER_HOUR",
    "UNTHROTTLE_MAX_ADDED_SHARDS",
    "UNTHROTTLE_RESTORE_AFTER_HOURS",
    "UNTHROTTLE_FORESIGHT",
    "UNTHROTTLE_FLEET_ALARMS",
];

/// Words that some tag or setting allows.
const WORDS: [&str; 11] = ["heal", "observe", "off", "allow", "deny", "act", "all", "tagged", "", "NaN", "1e3"];

#[derive(Arbitrary, Debug)]
enum Value {
    Word(u8),
    Number(i32),
    Share(u16),
    Text(String),
}

impl Value {
    fn text(self) -> String {
        match self {
            Value::Word(word) => WORDS[usize::from(word) % WORDS.len()].into(),
            Value::Number(number) => number.to_string(),
            Value::Share(share) => (f64::from(share) / 10_000.0).to_string(),
            Value::Text(text) => text,
        }
    }
}

#[derive(Arbitrary, Debug)]
struct Input {
    settings: Vec<(u8, Value)>,
    tags: Vec<(u8, Value)>,
}

fn named(names: &[&str], values: Vec<(u8, Value)>) -> BTreeMap<String, String> {
    let name = |place: u8| names[usize::from(place) % names.len()].to_owned();
    values.into_iter().map(|(place, value)| (name(place), value.text())).collect()
}

pub(crate) fn check(input: &[u8]) {
    let Ok(Input { settings, tags }) = Input::arbitrary(&mut Unstructured::new(input)) else { return };
    let (settings, tags) = (named(&SETTINGS, settings), named(&TAGS, tags));
    // The Lambda does not start with a setting that it cannot read.
    let Ok(policy) = Policy::from_env(|name| settings.get(name).cloned()) else { return };
    is_within_its_ranges(&policy);
    let allowed = policy.for_stream(&tags, None);
    let (signal, observation) = throttled(tags);
    let (decision, _) = decided(&signal, observation, &policy);
    match allowed {
        Err(_) => assert_eq!(decision.verdict.code(), "bad_policy_tag"),
        Ok(None) => assert_eq!(decision.verdict.code(), "opted_out"),
        Ok(Some(allowed)) => {
            assert!(allowed.mode <= policy.mode && allowed.mode != Mode::Off, "{allowed:?}");
            assert!(allowed.foresight <= policy.foresight, "{allowed:?}");
            assert!((1..=allowed.max_shards).contains(&allowed.min_shards), "{allowed:?}");
            assert!(allowed.max_shards <= policy.max_shards.max(policy.max_shards_ceiling), "{allowed:?}");
        }
    }
}

fn is_within_its_ranges(policy: &Policy) {
    assert!((0.3..=0.95).contains(&policy.target_utilization), "{policy:?}");
    assert!((0.0..=0.5).contains(&policy.floor), "{policy:?}");
    assert!((3..=60).contains(&policy.window_minutes), "{policy:?}");
    assert!((1..=10_000).contains(&policy.max_shards) && policy.max_shards_ceiling <= 10_000, "{policy:?}");
    assert!(policy.max_hourly_cost.is_none_or(|cost| cost.is_finite() && cost >= 0.0), "{policy:?}");
}
