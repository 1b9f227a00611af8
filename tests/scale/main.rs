//! Fleets in virtual time: streams that throttle together, AWS's rates, and more streams than a sweep checks. The
//! handler, the sweep and the SDK clients are the product's. `make scale` plays the large ones.

#[path = "../common/aws.rs"]
mod aws;
#[path = "../common/in_process.rs"]
mod in_process;
#[path = "../common/place.rs"]
mod place;
#[path = "../common/setting.rs"]
mod setting;

use place::play;
use setting::{Played, Setting};
use std::time::Duration;
use unthrottle_core::policy::Policy;

/// Bounds that no play here reaches.
fn raised() -> Policy {
    let policy = Setting::default().policy;
    Policy { max_changes_per_hour: 1000, max_changes_per_sweep: 240, max_added_shards: 5000, ..policy }
}

/// When each change was made, and of which stream.
fn changes(played: &Played) -> Vec<(Duration, &str, &str)> {
    played.made.iter().map(|made| (made.after, made.stream.as_str(), made.code)).collect()
}

#[test]
fn streams_that_throttle_together_all_heal_within_awss_rates() {
    let played = play(&Setting { throttled: 60, minutes: 12, policy: raised(), ..Setting::default() });
    panic!("{played:#?}");
}
