//! A soak that is short enough for every test run. `make soak` has the long one.

use crate::lambda::bootstrap;
use crate::soak::{MOST_CALLS, MOST_CALLS_OF_SWEEP, soak};

/// A hundredth of a soak, and more than the thousand streams whose observations a container remembers.
const EVENTS: usize = 2000;

/// The seed of the events. `make soak` has another one.
const SEED: u64 = 1;

/// 1,600 leaks of 1 KiB would be more, in KiB. The long soak finds the smallest ones.
const MOST_GROWTH: u64 = 1536;

#[tokio::test]
async fn thousands_of_real_repeated_and_hostile_events_cost_bounded_calls_and_memory() {
    let (soaked, _container) = soak(bootstrap(), EVENTS, SEED).await;
    let answered: u64 = soaked.outcomes.values().sum();
    assert_eq!(answered, EVENTS as u64);
    for outcome in ["acted", "held", "swept", "error bad_event"] {
        assert!(soaked.outcomes.contains_key(outcome), "the events reach every end: {soaked:?}");
    }
    let other = soaked.outcomes.keys().find(|outcome| outcome.starts_with("error") && *outcome != "error bad_event");
    assert_eq!(other, None, "{soaked:?}");
    assert!(soaked.most_calls <= MOST_CALLS && soaked.most_calls_of_sweep <= MOST_CALLS_OF_SWEEP, "{soaked:?}");
    assert!(soaked.growth() <= MOST_GROWTH, "{soaked:?}");
}
