//! Whether a stream shows a change of each kind: made, not made, or made otherwise by another person or tool.

mod common;

use common::{Fixture, now};
use unthrottle_core::memory::{Change, ChangeKind};
use unthrottle_core::observation::{CapacityMode, Stream, WarmThroughput};

/// A provisioned stream of `shards` shards.
fn provisioned(shards: u32) -> Stream {
    Fixture::new(shards).observation.stream.expect("a stream")
}

/// An on-demand stream of four shards with this warm throughput.
fn on_demand(warm: Option<(u32, u32)>) -> Stream {
    let warm_throughput = warm.map(|(current_mibps, target_mibps)| WarmThroughput { current_mibps, target_mibps });
    Stream { mode: CapacityMode::OnDemand, warm_throughput, ..provisioned(4) }
}

/// A provisioned stream of `shards` shards with shard-level metrics.
fn shown(shards: u32) -> Stream {
    Fixture::new(shards).shard_metrics().observation.stream.expect("a stream")
}

/// Asserts of each stream whether it is as a change of this kind, from 2 to 4, left it.
#[track_caller]
fn is_done(kind: ChangeKind, streams: &[(Stream, bool)]) {
    let change = Change::intent(kind, 2, 4, now());
    for (stream, expected) in streams {
        assert_eq!(change.is_done(stream), *expected, "{kind} of {stream:?}");
    }
}

#[test]
fn a_change_of_the_shards_is_done_on_a_provisioned_stream_of_that_size() {
    use ChangeKind as K;
    for kind in [K::Scale, K::ScaleAhead, K::Split, K::Restore, K::SwitchBack] {
        is_done(kind, &[(provisioned(4), true), (provisioned(2), false), (on_demand(None), false)]);
    }
}

#[test]
fn a_switch_is_done_in_on_demand_mode() {
    is_done(ChangeKind::Switch, &[(on_demand(None), true), (provisioned(4), false)]);
}

#[test]
fn a_warm_up_is_done_once_its_target_is_set_in_on_demand_mode() {
    let warm_but_provisioned = Stream { mode: CapacityMode::Provisioned, ..on_demand(Some((2, 4))) };
    let streams = [
        (on_demand(Some((2, 4))), true),
        (on_demand(Some((4, 2))), false),
        (on_demand(None), false),
        (warm_but_provisioned, false),
    ];
    is_done(ChangeKind::WarmUp, &streams);
}

#[test]
fn shard_level_metrics_are_a_change_only_of_the_shards_that_they_were_enabled_on() {
    let metrics = [(shown(4), true), (shown(2), false), (provisioned(4), false)];
    is_done(ChangeKind::EnableShardMetrics, &metrics);
    let none = [(provisioned(4), true), (provisioned(2), false), (shown(4), false)];
    is_done(ChangeKind::DisableShardMetrics, &none);
}

#[test]
fn no_stream_shows_a_change_that_another_person_made_or_that_is_only_counted() {
    for kind in [ChangeKind::Lost, ChangeKind::External] {
        is_done(kind, &[(provisioned(4), false), (on_demand(None), false)]);
    }
}

/// Asserts of each stream whether it is still as it was before a change of this kind, from 2 to 4.
#[track_caller]
fn is_undone(kind: ChangeKind, streams: &[(Stream, bool)]) {
    let change = Change::intent(kind, 2, 4, now());
    for (stream, expected) in streams {
        assert_eq!(change.is_undone(stream), *expected, "{kind} of {stream:?}");
    }
}

#[test]
fn a_change_is_undone_on_a_stream_as_it_was_before() {
    use ChangeKind as K;
    for kind in [K::Scale, K::ScaleAhead, K::Split, K::Switch, K::Restore] {
        is_undone(kind, &[(provisioned(2), true), (provisioned(4), false), (on_demand(None), false)]);
    }
    is_undone(K::SwitchBack, &[(on_demand(None), true), (provisioned(2), false)]);
    is_undone(K::EnableShardMetrics, &[(provisioned(4), true), (shown(4), false)]);
    is_undone(K::DisableShardMetrics, &[(shown(4), true), (provisioned(4), false)]);
    for kind in [K::Lost, K::External] {
        is_undone(kind, &[(provisioned(2), false), (on_demand(None), false)]);
    }
}

#[test]
fn a_warm_up_is_undone_where_the_target_is_the_old_one_or_unknown() {
    let warm_but_provisioned = Stream { mode: CapacityMode::Provisioned, ..on_demand(Some((2, 2))) };
    let streams = [
        (on_demand(Some((4, 2))), true),
        (on_demand(None), true),
        (on_demand(Some((2, 4))), false),
        (warm_but_provisioned, false),
        (provisioned(2), false),
    ];
    is_undone(ChangeKind::WarmUp, &streams);
}

/// Asserts of each stream whether another person or tool has changed it since a done change of this kind, from 2 to 4.
#[track_caller]
fn is_overridden(kind: ChangeKind, streams: &[(Stream, bool)]) {
    let change = Change::intent(kind, 2, 4, now());
    for (stream, expected) in streams {
        assert_eq!(change.is_overridden(stream), *expected, "{kind} of {stream:?}");
    }
}

#[test]
fn a_done_change_is_overridden_by_another_size_or_mode() {
    use ChangeKind as K;
    for kind in [K::Scale, K::ScaleAhead, K::Split, K::Restore, K::SwitchBack, K::External] {
        is_overridden(kind, &[(provisioned(4), false), (provisioned(3), true), (on_demand(None), true)]);
    }
    for kind in [K::EnableShardMetrics, K::DisableShardMetrics] {
        // AWS sets the shards of an on-demand stream, so another number of them is no change of a person.
        let streams = [(provisioned(4), false), (provisioned(3), true), (on_demand(None), false)];
        is_overridden(kind, &streams);
    }
    for kind in [K::Switch, K::WarmUp] {
        is_overridden(kind, &[(on_demand(None), false), (provisioned(4), true)]);
    }
    is_overridden(K::Lost, &[(provisioned(3), false), (on_demand(None), false)]);
}

#[test]
fn a_change_of_another_person_is_settled_at_once_and_on_demand_mode_has_no_shards() {
    let ours = Change::intent(ChangeKind::Scale, 2, 4, common::minutes_ago(9));
    let theirs = ours.external(&provisioned(7), now());
    assert_eq!((theirs.kind, theirs.from.number(), theirs.to.number()), (ChangeKind::External, 4, 7));
    assert_eq!((theirs.settled, theirs.after), (Some(now()), Some(ours.at)));
    assert_eq!(ours.external(&on_demand(None), now()).to.number(), 0);
}
