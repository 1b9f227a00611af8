//! How many changes a fleet gets in an hour, a container in its blind minutes, and a sweep. How many shards a fleet
//! gets in a day. What counts that no tag supports.

use super::restore::raised;
use crate::common::{Fixture, bursts, metrics_on_for, now, offered};
use crate::{decides, says};
use chrono::TimeDelta;
use std::collections::BTreeMap;
use unthrottle_core::decision::{Bound, Remedy, Verdict};
use unthrottle_core::memory::{Change, ChangeKind, Memory, TAG, supported};
use unthrottle_core::observation::{Fleet, Minute, OwnChanges, Supported};
use unthrottle_core::policy::Policy;

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

/// The metric shows these changes in the last hour, and the tags of all streams show these.
fn tags_show(changes_last_hour: u32, supported: u32) -> Fleet {
    Fleet { supported: Some(shown(supported, 0)), ..hour(changes_last_hour) }
}

/// The tags of all streams show these changes and added shards.
fn shown(changes_last_hour: u32, shards_last_day: u32) -> Supported {
    Supported { at: now(), changes_last_hour, shards_last_day }
}

rows! { decides;
    // Any principal that may call PutMetricData can write to the metric.
    a_hundred_counts_that_no_tag_supports_stop_no_change_of_a_sweep: load(tags_show(100, 0)) => "scale_shards";
    a_million_counts_and_three_tags_stop_no_change_of_a_sweep: load(tags_show(1_000_000, 3)) => "scale_shards";
    counts_without_tags_use_up_a_quarter_of_the_hour: load(tags_show(1000, 74)) => "scale_shards";
    three_quarters_of_the_hour_in_tags_are_the_limit_under_forged_counts: load(tags_show(1000, 75)) => "fleet_limit";
    a_hundred_changes_in_tags_are_the_limit: load(tags_show(100, 100)) => "fleet_limit";
    a_few_changes_without_tags_count_as_before: load(tags_show(100, 90)) => "fleet_limit";
    tags_that_show_more_than_the_metric_add_nothing: load(tags_show(99, 150)) => "scale_shards";
    a_hundred_counts_stop_a_change_where_no_sweep_has_read_the_tags: load(hour(100)) => "fleet_limit";
    one_change_an_hour_is_made_under_forged_counts:
        load(tags_show(50, 0)).policy(|p| p.max_changes_per_hour = 1) => "scale_shards";
    a_restore_goes_on_under_forged_counts: in_fleet(raised(7, 500.0), tags_show(100, 0)) => "restore";
    a_change_of_this_container_counts_under_forged_counts:
        load(Fleet { own_unpublished: 20, ..tags_show(1000, 20) }) => "fleet_limit";
}

rows! { says;
    a_change_under_forged_counts_says_so:
        load(tags_show(140, 3))
        => ["Changed 2 → 4 shards.", "The metric AutoFix counts 140 changes in an hour, and the streams' tags show 3"];
    one_change_of_this_hour_is_one_change:
        load(hour(1)).policy(|p| p.max_changes_per_hour = 1) => ["unthrottle made 1 change in this account"];
    a_hold_under_forged_counts_has_both_numbers:
        load(tags_show(140, 80)) => ["UNTHROTTLE_MAX_CHANGES_PER_HOUR allows 100", "counts 140", "tags show 80"];
}

rows! { says;
    a_hold_of_shards_under_two_forged_counts_has_the_numbers_of_its_bound:
        needs_four(5000).with(|f| {
            (f.observation.fleet.changes_last_hour, f.observation.fleet.supported) = (1000, Some(shown(10, 199)));
        })
        => ["UNTHROTTLE_MAX_ADDED_SHARDS allows 200", "ShardsAdded counts 5,000", "tags show 199"];
}

#[test]
fn a_change_under_forged_counts_has_them_as_evidence() {
    let evidence = load(tags_show(140, 3)).decide().evidence;
    assert_eq!((evidence.fleet_changes_counted, evidence.fleet_changes_supported), (Some(140), Some(3)));
    let usual = load(tags_show(20, 3)).decide().evidence;
    assert_eq!((usual.fleet_changes_counted, usual.fleet_changes_supported), (None, None));
}

/// A stream of four shards that needs eight, in a fleet that added these shards in the last 24 hours.
fn needs_four(shards_last_day: u32) -> Fixture {
    in_fleet(Fixture::under_load(4, 23_800.0), Fleet { shards_last_day, ..Fleet::default() })
}

/// Asserts the target and the bound of a change of shards.
#[track_caller]
fn scales(fixture: Fixture, expected: (u32, Option<Bound>)) {
    let verdict = fixture.decide().verdict;
    let Verdict::Act(Remedy::ScaleShards { to, partial, .. }) = verdict else { panic!("{verdict:?}") };
    assert_eq!((to, partial), expected);
}

rows! { scales;
    shards_within_the_day_are_added: needs_four(196) => (8, None);
    a_step_is_cut_to_the_shards_left_in_the_day: needs_four(197) => (7, Some(Bound::MaxAddedShards));
    a_step_is_cut_to_the_last_shard_of_the_day: needs_four(199) => (5, Some(Bound::MaxAddedShards));
    a_bound_of_one_shard_a_day_adds_one: needs_four(0).policy(|p| p.max_added_shards = 1)
        => (5, Some(Bound::MaxAddedShards));
    shards_that_the_metric_does_not_show_yet_count:
        needs_four(159).with(|f| f.observation.fleet.own_shards_unpublished = 39)
        => (6, Some(Bound::MaxAddedShards));
    a_maximum_of_shards_below_the_shards_left_is_named_first:
        needs_four(197).policy(|p| p.max_shards = 6) => (6, Some(Bound::MaxShards));
    a_plan_is_not_cut: needs_four(199).tag("unthrottle.mode", "observe") => (8, None);
    // 10^9 shards that no tag supports take a quarter of the day.
    forged_shards_do_not_stop_a_step:
        needs_four(1_000_000_000).with(|f| f.observation.fleet.supported = Some(shown(0, 0))) => (8, None);
    forged_shards_and_real_ones_cut_a_step:
        needs_four(1_000_000_000).with(|f| f.observation.fleet.supported = Some(shown(0, 147)))
        => (7, Some(Bound::MaxAddedShards));
}

rows! { decides;
    a_day_without_shards_left_is_the_limit: needs_four(200) => "fleet_limit";
    a_plan_is_made_without_shards_left: needs_four(200).tag("unthrottle.mode", "observe") => "scale_shards";
    a_day_without_shards_left_is_not_worked_around:
        needs_four(200).with(|f| f.observation.limits = None) => "fleet_limit";
    a_restore_adds_no_shards:
        in_fleet(raised(7, 500.0), Fleet { shards_last_day: 1000, ..Fleet::default() }) => "restore";
    forty_unpublished_shards_of_a_container_are_its_share:
        in_fleet(Fixture::under_load(4, 23_800.0), Fleet { own_shards_unpublished: 40, ..Fleet::default() })
        => "fleet_limit";
    forged_shards_with_real_ones_are_the_limit:
        needs_four(1_000_000_000).with(|f| f.observation.fleet.supported = Some(shown(0, 150))) => "fleet_limit";
    a_stream_that_needs_no_shards_is_healthy_without_shards_left:
        in_fleet(healthy(), Fleet { shards_last_day: 1000, ..Fleet::default() }) => "healthy";
}

rows! { says;
    a_step_that_the_day_cuts_names_the_setting: needs_four(197) => ["4 → 7 shards", "UNTHROTTLE_MAX_ADDED_SHARDS"];
    a_day_without_shards_left_names_the_setting:
        needs_four(200) => ["added up to 200 shards", "24 hours", "UNTHROTTLE_MAX_ADDED_SHARDS", "ShardsAdded"];
    a_day_of_forged_shards_has_both_numbers:
        needs_four(5000).with(|f| f.observation.fleet.supported = Some(shown(0, 160)))
        => ["UNTHROTTLE_MAX_ADDED_SHARDS allows 200", "counts 5,000 shards in 24 hours", "tags show 160"];
    the_share_of_a_container_in_the_shards_of_a_day_is_named:
        in_fleet(Fixture::under_load(4, 23_800.0), Fleet { own_shards_unpublished: 40, ..Fleet::default() })
        => ["40 shards or more, a fifth of what UNTHROTTLE_MAX_ADDED_SHARDS allows"];
}

/// A stream that needs a change, in a deployment of this concurrency whose container made these changes.
fn concurrent(concurrency: u32, own_unpublished: u32) -> Fixture {
    load(unpublished(own_unpublished)).policy(|p| p.concurrency = concurrency)
}

rows! { decides;
    one_container_has_the_whole_hour: concurrent(1, 99) => "scale_shards";
    one_container_has_no_more_than_the_hour: concurrent(1, 100) => "fleet_limit";
    two_containers_have_half_of_the_hour_each: concurrent(2, 49) => "scale_shards";
    half_of_the_hour_is_the_limit_of_two_containers: concurrent(2, 50) => "fleet_limit";
    fifty_containers_have_two_changes_each: concurrent(50, 2) => "fleet_limit";
    each_of_a_thousand_containers_may_make_a_change: concurrent(1000, 0) => "scale_shards";
    each_of_a_thousand_containers_may_make_one: concurrent(1000, 1) => "fleet_limit";
    // Where nothing can be reserved, the account's quota is ten.
    a_container_without_a_reservation_has_a_tenth: concurrent(0, 9) => "scale_shards";
    a_tenth_is_the_limit_without_a_reservation: concurrent(0, 10) => "fleet_limit";
}

rows! { says;
    the_share_of_a_container_is_in_the_words_of_its_concurrency:
        concurrent(50, 2) => ["has just made 2 changes, one of 50 equal shares of"];
}

/// The tags of a stream whose memory records this change, made `minutes` ago.
fn changed(kind: ChangeKind, from: u32, to: u32, minutes: i64) -> BTreeMap<String, String> {
    let change = Change::intent(kind, from, to, now() - TimeDelta::minutes(minutes));
    [(TAG.to_owned(), Memory::default().intend(change, false).encode().expect("fits"))].into()
}

#[test]
fn tags_support_the_changes_of_an_hour_and_the_shards_of_a_day() {
    let unreadable = [(TAG.to_owned(), "v=9".to_owned())].into();
    let all = [
        changed(ChangeKind::Scale, 2, 4, 5),
        changed(ChangeKind::Scale, 4, 8, 61),
        changed(ChangeKind::Split, 8, 9, 59),
        changed(ChangeKind::Switch, 8, 8, 20),
        changed(ChangeKind::Restore, 8, 4, 30),
        changed(ChangeKind::External, 8, 80, 30),
        changed(ChangeKind::Scale, 50, 100, 60 * 24 + 1),
        unreadable,
    ];
    let supported = supported(&all, now());
    assert_eq!(
        (supported.changes_last_hour, supported.shards_last_day),
        (4, 2 + 4 + 1 + 4),
        "a restore may follow raises"
    );
}

#[test]
fn what_this_container_changed_since_the_tags_were_read_is_supported_too() {
    let minute = |ago: i64| Minute::of(now()).plus(-ago);
    let traffic = Fixture::under_load(2, 3000.0).observation.traffic;
    let own = OwnChanges {
        changes: [(minute(9), 1), (minute(2), 3), (minute(0), 1)].into(),
        shards: [(minute(9), 7), (minute(2), 5)].into(),
    };
    let read = Supported { at: now() - TimeDelta::minutes(2), ..shown(10, 20) };
    let fleet = Fleet::of_all(&traffic, &own, Some(read), now());
    assert_eq!((fleet.own_unpublished, fleet.own_shards_unpublished), (5, 12));
    let supported = fleet.supported.expect("read");
    assert_eq!((supported.changes_last_hour, supported.shards_last_day), (14, 25));
}

#[test]
fn the_shards_of_a_fleet_are_those_of_24_hours() {
    let minute = |ago: i64| Minute::of(now()).plus(-ago);
    let mut traffic = Fixture::under_load(2, 3000.0).observation.traffic;
    traffic.shards_added = [(minute(5), 4), (minute(60 * 24 - 1), 8), (minute(60 * 24), 16)].into();
    let fleet = Fleet::of_all(&traffic, &OwnChanges::default(), None, now());
    assert_eq!(fleet.shards_last_day, 12);
}

#[test]
fn a_sweep_stays_only_where_another_run_fits_beside_it() {
    for (concurrency, containers, stays) in [(0, 10, true), (1, 1, false), (2, 2, true)] {
        let policy = Policy { concurrency, ..Policy::default() };
        assert_eq!((policy.containers(), policy.sweep_may_stay()), (containers, stays), "{concurrency}");
    }
}
