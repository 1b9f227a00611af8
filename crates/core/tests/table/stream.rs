//! What the state, the tags and the scope of the stream decide.

use crate::common::Fixture;
use crate::decides;
use unthrottle_core::observation::{CapacityMode, Status};
use unthrottle_core::policy::{Mode, Policy, Scope};

fn load() -> Fixture {
    Fixture::under_load(2, 3000.0)
}

rows! { decides;
    a_stream_that_does_not_exist_is_gone: load().with(|f| f.observation.stream = None) => "stream_gone";
    a_stream_that_is_being_deleted_is_gone: load().stream(|s| s.status = Status::Deleting) => "stream_gone";
    a_stream_that_is_being_created_is_not_ready:
        load().stream(|s| (s.status, s.open_shards) = (Status::Creating, 0)) => "not_ready";
    a_status_of_the_future_is_not_ready:
        load().stream(|s| s.status = Status::Unknown("MELTING".into())) => "not_ready";
    a_mode_of_the_future_is_not_ready: load().stream(|s| s.mode = CapacityMode::Unknown("NONE".into())) => "not_ready";
    a_change_under_way_is_left_to_end: load().stream(|s| s.status = Status::Updating) => "resharding";
}

rows! { decides;
    a_stream_that_is_off_by_its_tag_is_opted_out: load().tag("unthrottle.mode", "off") => "opted_out";
    a_stream_that_is_off_is_opted_out_even_with_another_bad_tag:
        load().tag("unthrottle.mode", "off").tag("unthrottle.max-shards", "?") => "opted_out";
    a_stream_without_a_tag_is_opted_out_of_the_scope_tagged:
        load().policy(|p| p.scope = Scope::Tagged) => "opted_out";
    a_policy_tag_that_cannot_be_read_is_held: load().tag("unthrottle.max-shards", "plenty") => "bad_policy_tag";
    a_memory_that_cannot_be_read_is_held: load().tag("unthrottle.memory", "gone fishing") => "bad_memory";
    a_memory_of_another_version_is_held: load().tag("unthrottle.memory", "v=9") => "bad_memory";
    a_memory_from_the_future_is_held: load().changed(2, 4, -3600) => "bad_memory";
}

#[test]
fn the_default_policy_heals_every_stream() {
    let policy = Policy::default();
    assert_eq!((policy.mode, policy.scope), (Mode::Heal, Scope::All));
}

#[test]
fn observe_mode_decides_in_full_and_writes_nothing() {
    let decision = load().tag("unthrottle.mode", "observe").decide();
    assert_eq!((decision.verdict.code(), decision.mode), ("scale_shards", Mode::Observe));
    assert_eq!((decision.memory, decision.unpublished), (None, vec![]));
}

#[test]
fn observe_mode_writes_nothing_of_a_change_that_settles() {
    let decision = Fixture::under_load(4, 3000.0).changed(2, 4, 400).policy(|p| p.mode = Mode::Observe).decide();
    assert_eq!((decision.memory, decision.unpublished), (None, vec![]));
}
