//! How many changes a fleet gets in an hour, a container in its blind minutes, and a sweep.

use super::restore::raised;
use crate::common::{Fixture, bursts, metrics_on_for, now, offered};
use crate::{decides, says};
use unthrottle_core::observation::{Fleet, Minute};

/// A short stream in this fleet.
fn load(fleet: Fleet) -> Fixture {
    in_fleet(Fixture::under_load(2, 3000.0), fleet)
}

fn in_fleet(fixture: Fixture, fleet: Fleet) -> Fixture {
    fixture.with(|f| f.observation.fleet = fleet)
}

/// The metric shows these changes in the last hour.
fn hour(changes_last_hour: u32) -> Fleet {
    Fleet { changes_last_hour, ..Fleet::default() }
}

/// This container made these changes, and the metric does not show them yet.
fn unpublished(own_unpublished: u32) -> Fleet {
    Fleet { own_unpublished, ..Fleet::default() }
}

/// This sweep has `left` changes left.
fn sweep(left: u32) -> Fleet {
    Fleet { left_in_sweep: Some(left), ..Fleet::default() }
}

fn healthy() -> Fixture {
    Fixture::new(2).minutes(-9..=0, offered(1000.0, 2))
}

rows! { decides;
    the_hundredth_change_of_an_hour_is_made: load(hour(99)) => "scale_shards";
    a_hundred_changes_in_an_hour_are_the_limit: load(hour(100)) => "fleet_limit";
    the_twentieth_unpublished_change_of_a_container_is_made: load(unpublished(19)) => "scale_shards";
    twenty_unpublished_changes_of_a_container_are_the_limit: load(unpublished(20)) => "fleet_limit";
    ninety_published_and_ten_unpublished_changes_are_the_limit:
        load(Fleet { changes_last_hour: 90, own_unpublished: 10, ..Fleet::default() }) => "fleet_limit";
    the_last_change_of_a_sweep_is_made: load(sweep(1)) => "scale_shards";
    a_sweep_without_a_change_left_is_the_limit: load(sweep(0)) => "fleet_limit";
    a_plan_is_made_beyond_the_limit: load(hour(100)).tag("unthrottle.mode", "observe") => "scale_shards";
    a_stream_without_a_change_to_make_is_healthy_beyond_the_limit: in_fleet(healthy(), hour(100)) => "healthy";
}

rows! { decides;
    a_restore_is_made_after_49_changes: in_fleet(raised(7, 500.0), hour(49)) => "restore";
    // Half of the limit is kept for streams that throttle.
    a_restore_waits_after_50_changes: in_fleet(raised(7, 500.0), hour(50)) => "healthy";
    a_restore_waits_where_a_sweep_has_no_change_left: in_fleet(raised(7, 500.0), sweep(0)) => "healthy";
    metrics_stay_on_beyond_the_limit: in_fleet(bursts().memory(&metrics_on_for(61)), hour(100)) => "micro_burst";
}

rows! { says;
    the_limit_of_an_hour_is_named:
        load(hour(100)) => ["unthrottle made 100 changes in this account and region within an hour"];
    the_limit_of_a_container_is_named:
        load(unpublished(20))
        => ["has just made 20 changes, a fifth of what UNTHROTTLE_MAX_CHANGES_PER_HOUR allows"];
    the_limit_of_a_sweep_is_named_before_that_of_its_container:
        load(Fleet { own_unpublished: 20, ..sweep(0) }) => ["this sweep has changed 20 streams"];
}

#[test]
fn a_fleet_counts_the_published_changes_of_the_hour_and_its_own_beyond_them() {
    let minute = |ago: i64| Minute::of(now()).plus(-ago);
    let mut traffic = Fixture::under_load(2, 3000.0).observation.traffic;
    traffic.fleet_fixes = [(minute(5), 2), (minute(59), 4), (minute(60), 8)].into();
    let own = [(minute(0), 2), (minute(5), 3), (minute(90), 9)].into();
    let fleet = Fleet::of(&traffic, &own, now());
    assert_eq!((fleet.changes_last_hour, fleet.own_unpublished), (6, 3));
}
