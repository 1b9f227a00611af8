//! Memories and data that unthrottle did not write, memories that Terraform deleted, and streams made anew.

use crate::common::{Fixture, hours_ago, minutes_ago, offered, settled};
use crate::{decides, says};
use unthrottle_core::decision::{Remedy, Verdict};
use unthrottle_core::memory::{Change, ChangeKind, Memory, TAG};
use unthrottle_core::observation::Minute;
use unthrottle_core::signal::Undo;

/// 64 shards since the stream was made, and a memory that says that we made them of one.
fn raised() -> Fixture {
    let at = hours_ago(9).format("%Y%m%dT%H%M%SZ");
    let memory = format!("v=1 change=scale/1/64/{at} done=60 heal=300 seen=300 base=1");
    let fixture = Fixture::new(64).minutes(-1439..=0, offered(20_000.0, 64)).asked();
    fixture.policy(|p| p.restore_after_hours = 3).tag(TAG, &memory)
}

/// An on-demand stream, and a memory that says that we switched it.
fn switched() -> Fixture {
    let at = hours_ago(30).format("%Y%m%dT%H%M%SZ");
    let memory = format!("v=1 change=switch/16/16/{at} done=60 heal=300 seen=300 was=p base=16");
    let fixture = Fixture::new(16).minutes(-1439..=0, offered(2_000.0, 16)).on_demand().asked();
    fixture.policy(|p| p.restore_after_hours = 3).tag(TAG, &memory)
}

/// The second step of a restore whose intent AWS refused, so that the last change was never made.
fn refused() -> Fixture {
    raised().remembering(|memory| {
        let at = hours_ago(5);
        *memory = memory.intend(Change::intent(ChangeKind::Restore, 64, 32, at), false);
        memory.base = Some(1);
    })
}

/// A person asks to undo the last change, to this number of shards.
fn undone(fixture: Fixture, to: Option<u32>) -> Fixture {
    fixture.asked_to(|ask| ask.undo = Some(Undo { to, ..Undo::default() }))
}

rows! { decides;
    a_raise_that_the_metric_shows_is_restored: raised() => "restore";
    a_raise_that_the_metric_does_not_show_is_not_restored: raised().forged() => "not_restorable";
    a_switch_that_the_metric_shows_is_undone: switched() => "switch_to_provisioned";
    a_switch_that_the_metric_does_not_show_is_not_undone: switched().forged() => "not_restorable";
    a_raise_behind_a_restore_that_was_never_made_needs_its_datum_too: refused().forged() => "not_restorable";
    a_raise_behind_a_restore_that_was_never_made_is_restored: refused() => "restore";
    a_person_who_undoes_a_raise_that_the_metric_does_not_show_is_refused:
        undone(raised().forged(), None) => "not_restorable";
    a_person_who_gives_the_number_of_shards_relies_on_no_memory: undone(raised().forged(), Some(40)) => "restore";
}

#[test]
fn a_forged_number_of_shards_beside_a_change_that_was_made_takes_half_of_the_shards_at_most() {
    let at = hours_ago(9).format("%Y%m%dT%H%M%SZ");
    let fixture = raised().tag(TAG, &format!("v=1 change=scale/60/64/{at} done=60 heal=300 seen=300 base=2"));
    let restored = |fixture: Fixture| match fixture.decide().verdict {
        Verdict::Act(Remedy::Restore { from, to, .. }) => (from, to),
        other => panic!("no restore: {other:?}"),
    };
    assert_eq!(restored(fixture.clone()), (64, 32), "docs/limits.md names this gap");
    assert_eq!(restored(fixture.policy(|p| p.min_shards = 50)), (64, 50));
}

rows! { says;
    a_forged_memory_is_named:
        raised().forged() => ["a change at 2026-11-20 08:05 UTC that the AutoFix metric does not show"];
}

#[test]
fn a_forged_memory_is_checked_once_an_hour() {
    let memory = raised().forged().decide().memory.expect("a record");
    assert!(memory.restore_tried.is_some());
    assert_eq!(raised().forged().memory(&memory).decide().memory, None);
}

/// Two shards that need more, a verified change of three days ago, and a datum of four minutes ago that we did not
/// send.
fn datum_every_few_minutes() -> Fixture {
    let mut memory = settled(1, 2, 3 * 86_400, 60);
    let change = memory.change.as_mut().expect("just made");
    (change.healed, change.published) = (change.settled, change.settled);
    Fixture::under_load(2, 6000.0).memory(&memory).published(minutes_ago(4)).asked()
}

/// Eight shards as we left them. Terraform deleted the tag after each of two changes, and a run recorded the first as a
/// revert.
fn tag_deleted() -> Fixture {
    let fixture = Fixture::under_load(8, 12_000.0).published(minutes_ago(180)).published(minutes_ago(90)).asked();
    fixture.resharded(4, 88).with(|f| {
        f.observation.traffic.reverts.insert(Minute::of(minutes_ago(91)), 1);
    })
}

/// A stream that was made anew an hour ago, under the name of one that was healed and reverted.
fn made_anew() -> Fixture {
    let fixture = Fixture::under_load(2, 3000.0).published(minutes_ago(150)).published(minutes_ago(270)).asked();
    fixture.stream(|s| s.created_at = Some(minutes_ago(60))).with(|f| {
        f.observation.traffic.reverts.insert(Minute::of(minutes_ago(155)), 1);
        f.observation.traffic.reverts.insert(Minute::of(minutes_ago(145)), 1);
    })
}

rows! { decides;
    a_datum_every_few_minutes_does_not_stop_healing: datum_every_few_minutes() => "scale_shards";
    a_tag_that_was_deleted_alone_is_no_revert: tag_deleted() => "scale_shards";
    a_stream_made_anew_under_its_name_has_reverted_nothing: made_anew() => "scale_shards";
    a_tag_from_before_the_stream_was_made_is_no_memory:
        made_anew().memory(&Memory { base: Some(1), ..settled(1, 2, 7200, 60) }) => "scale_shards";
}

#[test]
fn a_tag_that_was_deleted_with_the_shards_is_a_revert() {
    let back = Fixture::under_load(4, 6000.0).published(minutes_ago(90)).asked();
    let reverted = back.clone().resharded(4, 80).decide().reverted;
    assert!(reverted.is_some(), "four shards before the change, and four others now");
    assert_eq!(back.decide().reverted, None, "the same four shards: a stranger has written the datum");
}

#[test]
fn a_tag_that_was_deleted_after_a_change_of_metrics_is_no_revert() {
    let metrics = Fixture::under_load(4, 6000.0).asked().with(|f| {
        f.observation.traffic.auto_fixes.insert(Minute::of(minutes_ago(90)), 1);
    });
    assert_eq!(metrics.decide().reverted, None, "the shards were four before it, too");
}

#[test]
fn a_stream_made_anew_keeps_only_the_switches_of_mode() {
    let fixture = made_anew().with(|f| {
        f.observation.traffic.mode_switches.insert(Minute::of(minutes_ago(150)), 1);
    });
    let evidence = fixture.decide().evidence;
    assert_eq!((evidence.reshards_last_24_hours, evidence.changes_taken_back), (Some(0), None));
}

/// A raise of an hour ago whose datum is missing. Where the memory is forged, AWS shows 64 shards at all times.
fn without_datum() -> Fixture {
    let at = hours_ago(1).format("%Y%m%dT%H%M%SZ");
    raised().tag(TAG, &format!("v=1 change=scale/1/64/{at} done=60 heal=300 base=1"))
}

/// Asserts how many data are sent again.
#[track_caller]
fn sends(fixture: Fixture, expected: usize) {
    assert_eq!(fixture.decide().unpublished.len(), expected);
}

rows! { sends;
    a_missing_datum_of_a_change_that_the_shards_show_is_sent_again: without_datum() => 1;
    a_missing_datum_of_a_change_that_the_shards_do_not_show_is_not_sent: without_datum().forged() => 0;
    a_missing_datum_beside_a_newer_one_is_not_sent: without_datum().published(minutes_ago(58)) => 0;
    a_datum_that_the_last_change_owes_itself_is_not_sent:
        raised().remembering(|memory| {
            let at = memory.change.as_ref().expect("a change").at;
            memory.unpublished = Some((ChangeKind::Scale, at));
        }) => 0;
}
