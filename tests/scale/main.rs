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
use std::collections::BTreeSet;
use std::time::Duration;
use unthrottle_core::policy::Policy;

/// Bounds that no play here reaches.
fn raised() -> Policy {
    let policy = Setting::default().policy;
    Policy { max_changes_per_hour: 1000, max_changes_per_sweep: 240, max_added_shards: 5000, ..policy }
}

/// The time and the stream of each change.
fn changes(played: &Played) -> Vec<(Duration, &str, &str)> {
    played.made.iter().map(|made| (made.after, made.stream.as_str(), made.code)).collect()
}

#[test]
fn streams_that_throttle_together_all_heal_within_awss_rates() {
    let played = play(&Setting { throttled: 40, minutes: 8, policy: raised(), ..Setting::default() });
    let changed: BTreeSet<&str> = played.made.iter().map(|made| made.stream.as_str()).collect();
    assert_eq!((changed.len(), played.still_throttled), (40, 0), "{played:#?}");
    // The events of the alarm come first: AWS lets 20 runs a second read their stream.
    assert!(played.made[0].after <= Duration::from_secs(106), "{:?}", played.made[0]);
    // The sweep takes the streams whose run failed. It begins 35 s after the alarm, and checks four streams a second.
    assert!(played.longest_to_check <= Duration::from_secs(105 + 35 + 10), "{played:#?}");
    // AWS allows ten changes a second. A refused change is made a minute later.
    assert!(played.codes["refused"] > 0 && played.codes["refused_lately"] > 0, "{:?}", played.codes);
    let unexpected = played.failed.keys().find(|error| !error.contains("LimitExceededException: Rate exceeded"));
    assert_eq!(unexpected, None);
}

/// 480 streams need a check in each sweep. Calls take 2 s, so a sweep checks 120 of them and not 240.
#[test]
fn no_stream_starves_where_slow_calls_leave_a_sweep_half_of_its_checks() {
    let slow = Setting { unreadable: 480, minutes: 16, round_trip: Duration::from_secs(2), ..Setting::default() };
    let played = play(&slow);
    let most = played.sweeps.iter().map(|swept| swept.looked).max().expect("sweeps");
    assert!((60..=120).contains(&most), "{:?}", played.sweeps);
    assert_eq!(played.unseen, 0, "{:?}", played.sweeps);
    let sweeps = 2 * 480_u32.div_ceil(most as u32);
    assert!(played.longest_gap <= Duration::from_secs(60) * sweeps, "{:?} of {sweeps} sweeps", played.longest_gap);
}

#[test]
fn the_same_seed_gives_the_same_play() {
    let setting = Setting { throttled: 30, minutes: 3, policy: raised(), ..Setting::default() };
    let (first, second) = (play(&setting), play(&setting));
    assert_eq!(changes(&first), changes(&second));
    assert_eq!((&first.calls, &first.failed), (&second.calls, &second.failed));
    let other = play(&Setting { seed: 2, ..setting });
    assert_ne!(other.calls, first.calls, "another seed has other pauses");
}
