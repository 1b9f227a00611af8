//! When a stream that we switched to on-demand mode is switched back.

use crate::common::{Fixture, hours_ago, offered};
use crate::{decides, says};
use chrono::TimeDelta;
use unthrottle_core::memory::{Change, ChangeKind, Memory};
use unthrottle_core::observation::MinuteTraffic;
use unthrottle_core::policy::Policy;
use unthrottle_core::signal::Undo;

/// Four shards that we switched `hours` ago, without throttling since.
fn switched(hours: i64) -> Fixture {
    let at = hours_ago(hours);
    let mut memory = Memory::default().intend(Change::intent(ChangeKind::Switch, 4, 4, at), false);
    let change = memory.change.as_mut().expect("just made");
    (change.settled, change.healed) = (Some(at + TimeDelta::minutes(1)), Some(at + TimeDelta::minutes(9)));
    (memory.was_provisioned, memory.base) = (true, Some(4));
    let fixture = Fixture::new(4).minutes(-1439..=0, offered(1000.0, 4)).on_demand().memory(&memory);
    fixture.policy(|p| p.restore_after_hours = 6)
}

rows! { decides;
    // 2.9 of 0.75 are 3.9.
    a_switched_stream_whose_peak_of_the_day_fits_its_shards_is_switched_back:
        switched(30).minutes(-660..=-600, offered(2900.0, 12)) => "switch_to_provisioned";
}

rows! { says;
    a_switched_stream_names_the_peak_of_the_day_and_when_it_ends:
        switched(30).minutes(-660..=-600, offered(9000.0, 12))
        => ["the load of 9.0 shards at 07:03 UTC", "needs 12", "it counts until"];
}

fn switched_with(change: impl FnOnce(&mut Policy)) -> Fixture {
    switched(30).policy(change)
}

rows! { decides;
    a_switched_stream_without_throttling_for_a_day_is_switched_back: switched(30) => "switch_to_provisioned";
    // AWS allows two switches in 24 hours. The second is left to a person.
    a_stream_that_was_switched_today_is_left: switched(23) => "healthy";
    a_switched_stream_is_left_where_restoring_is_off: switched_with(|p| p.restore_after_hours = 0) => "healthy";
    a_switched_stream_is_left_where_on_demand_is_denied:
        switched(30).tag("unthrottle.on-demand", "deny") => "healthy";
    a_stream_that_another_person_switched_is_left: switched(30).memory(&Memory::default()) => "healthy";
    a_switched_stream_that_throttled_five_hours_ago_is_left:
        switched(30).minutes(-300..=-300, offered(9000.0, 4)) => "healthy";
    a_switched_stream_whose_cost_falls_is_switched_back_though_it_stays_above_the_maximum:
        switched_with(|p| p.max_hourly_cost = Some(0.01)) => "switch_to_provisioned";
}

rows! { decides;
    a_switched_stream_below_the_minimum_cannot_be_restored: switched_with(|p| p.min_shards = 5) => "not_restorable";
    a_switched_stream_above_the_maximum_cannot_be_restored:
        switched_with(|p| (p.max_shards, p.max_shards_ceiling) = (3, 3)) => "not_restorable";
    a_switched_stream_with_channels_cannot_be_restored:
        switched(30).stream(|s| s.channels = Some(1)) => "not_restorable";
    a_switched_stream_with_queues_cannot_be_restored: switched(30).stream(|s| s.queues = Some(2)) => "not_restorable";
    a_switched_stream_whose_queues_are_unknown_cannot_be_restored:
        switched(30).stream(|s| s.queues = None) => "not_restorable";
    a_switched_stream_whose_peak_needs_more_shards_cannot_be_restored:
        switched(30).minutes(-200..=-200, offered(3900.0, 4)) => "not_restorable";
    // Ten hours ago, outside of the calm hours.
    a_switched_stream_whose_peak_of_the_day_needs_more_shards_cannot_be_restored:
        switched(30).minutes(-660..=-600, offered(3900.0, 12)) => "not_restorable";
    a_switched_stream_whose_peak_of_23_hours_ago_needs_more_shards_cannot_be_restored:
        switched(48).minutes(-1400..=-1400, offered(9000.0, 12)) => "not_restorable";
    a_switched_stream_in_an_account_without_headroom_cannot_be_restored:
        switched(30).shards_left(3) => "not_restorable";
    a_switched_stream_in_an_account_of_unknown_limits_cannot_be_restored:
        switched(30).with(|f| f.observation.limits = None) => "not_restorable";
}

/// Eight shards whose keys are so uneven that they refused records at 5,200 a second, twelve hours ago. We then
/// switched the stream.
fn uneven(load: f64) -> Fixture {
    let refused = MinuteTraffic { write_throttled: 6_000.0, ..offered(5200.0, 8) };
    let mut memory = Memory::default().intend(Change::intent(ChangeKind::Switch, 8, 8, hours_ago(11)), false);
    let change = memory.change.as_mut().expect("just made");
    (change.settled, change.healed, change.published) = (Some(change.at), Some(change.at), Some(change.at));
    (memory.was_provisioned, memory.base) = (true, Some(8));
    let fixture = Fixture::new(8).minutes(-1439..=0, offered(load, 8)).minutes(-730..=-710, refused);
    fixture.on_demand().memory(&memory).asked_to(|ask| ask.undo = Some(Undo::default()))
}

rows! { says;
    // 5.2 of 0.65 and 0.75 are 10.7.
    a_switch_back_counts_how_even_the_keys_are: uneven(1000.0) => ["the load of 5.2 shards", "needs 11; try again"];
    a_switch_back_names_when_the_last_minute_that_needs_more_ends:
        switched(30).minutes(-660..=-660, offered(9000.0, 12)).minutes(-200..=-200, offered(3900.0, 4))
        => ["the load of 9.0 shards at 06:03 UTC", "it counts until 2026-11-21 13:47 UTC"];
}
