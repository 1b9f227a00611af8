//! Each kind of situation at other sizes, sides and modes than its own table has: 1, 2, 7 and 500 shards, writes and
//! reads, provisioned and on demand, and with a memory that is lost, forged or of another.

use crate::common::{
    Fixture, HOUR, MIB, hours_ago, minutes_ago, newest, now, offered, one_hot, scaled, seconds_ago, settled,
};
use crate::decides;
use crate::instances::{changed, each, read, start, verified, written};
use unthrottle_core::memory::{Change, ChangeKind, Memory, TAG};
use unthrottle_core::observation::{Fleet, MinuteTraffic, Status};
use unthrottle_core::policy::Permission;
use unthrottle_core::signal::Undo;

/// A minute whose readers get this number of answers and refusals a minute, and this number of MiB a second.
fn polled(answered: f64, refused: f64, mib: f64, traffic: MinuteTraffic) -> MinuteTraffic {
    MinuteTraffic {
        get_records_calls: answered,
        read_throttled: refused,
        get_records_bytes: mib * MIB,
        iterator_age_ms: Some(300.0),
        ..traffic
    }
}

/// The same of each shard and second.
fn polled_shards(shards: u32, answered: f64, refused: f64, mib: f64) -> Fixture {
    let all = f64::from(shards);
    let minute = polled(answered * 60.0 * all, refused * 60.0 * all, mib * all, written(500.0, 0.0));
    Fixture::new(shards).minutes(-9..=0, minute).asked()
}

/// The account and the person set no bound for hundreds of shards.
fn unbounded(fixture: Fixture) -> Fixture {
    fixture.with(|f| f.observation.limits = None).policy(|p| {
        (p.max_shards, p.max_shards_ceiling, p.max_added_shards) = (2000, 2000, 5000);
    })
}

/// Asserts the code, and that people get a message.
#[track_caller]
fn tells(fixture: Fixture, code: &str) {
    let fixture = fixture.asked().policy(|p| p.topic_arn = Some("arn:aws:sns:us-east-1:123456789012:t".into()));
    let decision = fixture.decide();
    assert_eq!((decision.verdict.code(), decision.notify), (code, true));
}

// A loss that lasts.
rows! { tells;
    two_per_cent_of_500_shards: unbounded(Fixture::new(500).minutes(-15..=0, written(1500.0, 31.0)))
        => "skew_suspected";
    a_refusal_of_aws_while_records_are_lost: Fixture::new(2).minutes(-30..=0, written(2000.0, 300.0))
        .memory(&scaled(2, 3, 20).refuse(ChangeKind::Scale, seconds_ago(18), true)) => "refused_lately";
    one_minute_in_three_of_refused_records:
        each(Fixture::new(4), -60, 0, |ago| if ago % 3 == 0 { written(100.0, 2000.0) } else { written(0.0, 0.0) })
        => "skew_suspected";
    throttling_that_is_never_confirmed:
        each(Fixture::new(4), -60, 0, |ago| written(2500.0, if ago % 4 == 0 { 800.0 } else { 0.0 }))
            .policy(|p| p.confirm_minutes = 3) => "unconfirmed";
    refused_reads_below_a_floor:
        Fixture::new(7).minutes(-30..=0, polled(2000.0, 30.0, 3.0, written(3000.0, 0.0))).policy(|p| p.floor = 0.02)
        => "negligible";
    a_reshard_by_hand_that_does_not_help:
        Fixture::new(6).minutes(-60..=0, written(5000.0, 900.0)).resharded(4, 3) => "settling";
    five_hundred_shards_of_ours_that_open_for_an_hour:
        Fixture::new(500).minutes(-9..=0, written(400_000.0, 10.0)).changed(400, 500, 3700)
            .published(seconds_ago(3700)).stream(|s| s.status = Status::Updating) => "resharding";
    an_on_demand_stream_that_updates_for_an_hour_and_refuses_reads:
        Fixture::new(7).on_demand().minutes(-70..=0, polled(1000.0, 2.0, 1.0, written(0.0, 0.0)))
            .stream(|s| s.status = Status::Updating) => "resharding";
}

/// A load of `factor` times the capacity that begins `seconds` before the end of the newest minute.
fn begun(shards: u32, base: f64, factor: f64, seconds: f64) -> Fixture {
    let full = f64::from(shards) * 1000.0;
    let accepted = (base * full * (60.0 - seconds) + full * seconds) / 60.0;
    let edge = written(accepted, (factor - 1.0) * full * seconds / 60.0);
    let before = Fixture::new(shards).minutes(-60..=-1, written(base * full, 0.0));
    unbounded(before.minutes(0..=0, edge).asked())
}

#[test]
fn a_load_that_begins_in_any_second_is_no_skew_and_scales_a_minute_later() {
    let waits = ["evidence_pending", "scale_shards", "on_demand_adapting", "negligible"];
    for shards in [1, 2, 7, 500] {
        for (base, factor) in [(0.1, 10.0), (0.3, 4.0), (0.5, 1.3), (0.75, 2.0), (0.9, 1.3)] {
            for seconds in [1.0, 3.0, 10.0, 25.0, 45.0, 59.0] {
                let fixture = begun(shards, base, factor, seconds);
                let name = format!("{shards} shards at {base}, {factor} times in the last {seconds} s");
                assert!(waits.contains(&fixture.code()), "{name}: {}", fixture.code());
                assert!(waits.contains(&fixture.clone().on_demand().code()), "{name}, on demand");
                let full = f64::from(shards) * 1000.0;
                let later = fixture.minutes(1..=1, written(full, (factor - 1.0) * full)).pass(1);
                assert_eq!(later.code(), "scale_shards", "{name}");
            }
        }
    }
}

// Minutes that are not what they seem.
rows! { decides;
    reads_that_begin_late_in_their_minute:
        Fixture::new(2).minutes(-60..=-1, polled(240.0, 0.0, 0.5, written(500.0, 0.0)))
            .minutes(0..=0, polled(300.0, 200.0, 1.2, written(500.0, 0.0))).asked() => "evidence_pending";
    a_silence_of_a_stream_that_is_only_read:
        each(Fixture::new(3), -60, -7, |_| polled(240.0, 0.0, 1.0, written(0.0, 0.0))).asked() => "evidence_pending";
    an_on_demand_stream_that_was_just_made: Fixture::new(4).on_demand().stream(|s| s.created_at = Some(seconds_ago(60)))
        .asked() => "evidence_pending";
}

// When a change settled.
rows! { decides;
    a_reshard_of_forty_minutes_to_500_shards:
        unbounded(Fixture::new(500).minutes(-45..=-2, written(300_000.0, 250_000.0))
            .minutes(-1..=0, written(495_000.0, 60_000.0)).changed(300, 500, 2400).published(seconds_ago(2400))
            .resharded(300, 4).asked()) => "scale_shards";
    a_first_reshard_by_hand_that_helped:
        Fixture::new(7).minutes(-20..=-5, written(2000.0, 3000.0)).minutes(-4..=0, written(5000.0, 0.0))
            .resharded(2, 6).asked() => "healthy";
    a_deleted_tag_after_a_split:
        Fixture::new(7).minutes(-30..=0, written(7000.0, 2000.0)).published(minutes_ago(90)).resharded(6, 88).asked()
        => "scale_shards";
    a_stream_made_anew_with_the_tag_of_a_larger_one:
        Fixture::new(1).minutes(-8..=0, written(1000.0, 700.0)).stream(|s| s.created_at = Some(minutes_ago(15)))
            .memory(&changed(64, 128, 100)).asked() => "scale_shards";
}

#[test]
fn records_that_are_sent_again_cause_no_second_reshard_at_any_size() {
    for (from, to) in [(1, 2), (2, 4), (7, 11), (400, 500)] {
        for (wave, ago) in [(0.05, 1), (0.29, 2), (0.6, 3), (0.6, 4)] {
            let load = 720.0 * f64::from(to);
            let full = f64::from(from) * 1000.0;
            let fixture = each(Fixture::new(to), -20, -ago - 1, |_| written(full, full / 2.0));
            let fixture = fixture.minutes(-ago..=-1, written(load, load * wave)).minutes(0..=0, written(load, 0.0));
            let fixture = unbounded(fixture.memory(&changed(from, to, ago)).published(start(ago + 1)).asked());
            assert!(["settling", "healthy"].contains(&fixture.code()), "{from} → {to}, {wave} for {ago} minutes");
        }
    }
}

// What the load is, and what AWS's limits leave.
rows! { decides;
    a_minute_of_a_crash_loop_that_is_over_is_waited_for:
        each(Fixture::new(1), -120, 0, |ago| if (ago + 1) % 7 == 0 { written(100.0, 900.0) } else { written(0.0, 0.0) })
            .asked() => "evidence_pending";
    a_crash_loop_that_writes_every_other_minute:
        each(Fixture::new(1), -120, 0, |ago| if ago % 2 == 0 { written(100.0, 900.0) } else { written(0.0, 0.0) })
            .asked() => "scale_shards";
    five_hundred_shards_that_accept_nothing_after_a_doubling:
        unbounded(Fixture::new(500).minutes(-90..=0, written(0.0, 500.0)).memory(&changed(250, 500, 30))
            .published(start(31)).asked()) => "nothing_accepted";
    two_refusals_in_a_minute_are_no_spent_day: Fixture::under_load(7, 9000.0).memory(&refused(2, 60)).asked()
        => "scale_shards";
    refusals_for_sixteen_minutes_are_a_spent_day: Fixture::under_load(7, 9000.0).memory(&refused(4, 320)).asked()
        => "switch_to_on_demand";
    a_restore_by_hand_may_use_the_tenth_reshard:
        Fixture::new(7).minutes(-1439..=0, written(1000.0, 0.0)).memory(&spent(9))
            .asked_to(|ask| ask.undo = Some(Undo::default())) => "restore";
    an_automatic_restore_leaves_the_last_two:
        Fixture::new(7).minutes(-1439..=0, written(1000.0, 0.0)).memory(&spent(8)).asked()
            .policy(|p| p.restore_after_hours = 1) => "healthy";
    readers_leave_the_last_three:
        polled_shards(7, 2.4, 0.14, 1.93).memory(&spent(7)).asked() => "reshard_budget_spent";
    the_last_200_shards_of_a_day_bound_a_split:
        one_hot(1600.0).with(|f| f.observation.fleet = Fleet { shards_last_day: 200, ..Fleet::default() })
            .policy(|p| p.max_added_shards = 200) => "fleet_limit";
}

/// AWS refused a reshard this number of times, the last time seven minutes ago.
fn refused(times: i64, seconds_apart: i64) -> Memory {
    let first = 420 + (times - 1) * seconds_apart;
    let intent = Change::intent(ChangeKind::Scale, 7, 10, seconds_ago(first + 1));
    let memory = Memory::default().intend(intent, false);
    (0..times).fold(memory, |memory, n| memory.refuse(ChangeKind::Scale, seconds_ago(first - n * seconds_apart), true))
}

/// Seven shards, raised from six an hour and a half ago and from four before that day, after this number of reshards.
fn spent(reshards: i64) -> Memory {
    let mut memory = verified(6, 7, 90);
    let last = memory.change.as_ref().expect("a change").at;
    memory.reshards = (1..reshards).rev().map(|n| minutes_ago(95 + 30 * n)).chain([last]).collect();
    memory.base = Some(4);
    memory
}

// Readers.
rows! { decides;
    seven_pollers_of_500_shards_at_80_per_cent_of_the_bytes: polled_shards(500, 5.0, 2.0, 1.6) => "too_many_readers";
    a_tight_loop_of_one_shard: polled_shards(1, 4.9, 50.0, 0.001) => "too_many_readers";
    readers_that_are_refused_for_bytes: polled_shards(7, 3.0, 1.0, 1.9) => "scale_shards";
    readers_beside_writes_that_are_not_confirmed:
        Fixture::new(2).minutes(-9..=-1, polled(300.0, 60.0, 3.6, written(1500.0, 0.0)))
            .minutes(0..=0, polled(300.0, 60.0, 3.6, written(1500.0, 90.0))).asked()
            .policy(|p| p.confirm_minutes = 3) => "scale_shards";
    readers_beside_large_records:
        Fixture::new(2).minutes(-9..=0, MinuteTraffic {
            incoming_records: 20.0, incoming_bytes: 3e7, write_throttled: 10.0,
            ..polled(300.0, 60.0, 3.6, offered(0.0, 2))
        }).asked() => "scale_shards";
    readers_that_stop_after_a_switch_to_on_demand_mode:
        stopped((2, 2), 12).on_demand().remembering(|memory| {
            memory.change.as_mut().expect("a change").kind = ChangeKind::Switch;
            memory.was_provisioned = true;
        }) => "readers_stopped";
    readers_that_stop_while_producers_write_in_one_minute_of_three:
        each(stopped((2, 4), 20), -20, 0, |ago| written(if ago % 3 == 0 { 3500.0 } else { 0.0 }, 0.0))
        => "readers_stopped";
    readers_that_stop_after_a_reshard_by_hand:
        Fixture::new(7).minutes(-60..=-9, read(300.0, written(4000.0, 900.0))).minutes(-8..=0, written(4900.0, 0.0))
            .resharded(4, 10).asked() => "healthy";
    a_reader_of_one_shard_that_stands_still_since_our_change:
        each(stopped((1, 2), 10), -10, 0, |ago| read(60_000.0 * (ago + 11) as f64, written(1500.0, 0.0)))
        => "readers_stopped";
}

/// Readers that kept up until our change of this many shards, and are silent for `minutes` minutes.
fn stopped((from, to): (u32, u32), minutes: i64) -> Fixture {
    let load = 880.0 * f64::from(to.max(from));
    let fixture = Fixture::new(to).minutes(-minutes - 90..=-minutes - 1, read(300.0, offered(load, from)));
    let fixture = fixture.minutes(-minutes..=0, written(load, 0.0));
    fixture.memory(&changed(from, to, minutes)).published(start(minutes + 1)).asked()
}

// Abuse, and what a person may undo.
rows! { decides;
    a_forged_raise_of_a_split_is_not_undone_by_hand:
        forged("change=split/2/7/WHEN done=60 heal=90 base=2").asked_to(|ask| ask.undo = Some(Undo::default()))
        => "not_restorable";
    a_forged_raise_is_not_undone_by_force:
        forged("change=ahead/2/7/WHEN done=60 heal=90 base=2")
            .asked_to(|ask| ask.undo = Some(Undo { to: None, force: true })) => "not_restorable";
    a_forged_base_of_anothers_change_restores_nothing: forged("change=theirs/7/7/WHEN done=0 base=2") => "healthy";
    a_forged_base_of_a_lost_change_restores_nothing: forged("change=lost/0/0/WHEN done=0 base=2") => "healthy";
    a_forged_base_behind_shard_metrics_restores_nothing:
        forged("change=unwatch/7/7/WHEN done=0 heal=3 base=2") => "not_restorable";
    a_forged_base_without_a_change_restores_nothing: forged("base=2") => "healthy";
    forged_data_in_every_other_minute_beside_a_real_change:
        (1..12).fold(Fixture::new(7).minutes(-60..=0, written(7000.0, 3000.0)), |f, n| f.published(minutes_ago(2 * n)))
            .memory(&verified(4, 7, 200)).asked() => "scale_shards";
    a_silent_stream_is_not_restored_by_force:
        each(Fixture::new(7), -60, -8, |_| written(100.0, 0.0))
            .asked_to(|ask| ask.undo = Some(Undo { to: Some(4), force: true })) => "evidence_pending";
    a_peak_of_20_hours_ago_keeps_on_demand_mode: switched(6500.0) => "not_restorable";
    a_calm_day_gives_it_back: switched(1600.0) => "switch_to_provisioned";
}

/// Seven shards with little load, and a tag with these words that AutoFix does not show. `WHEN`: nine hours ago.
fn forged(words: &str) -> Fixture {
    let at = hours_ago(9).format("%Y%m%dT%H%M%SZ").to_string();
    let fixture = Fixture::new(7).minutes(-1439..=0, written(1000.0, 0.0)).asked().forged();
    let fixture = fixture.tag(TAG, &format!("v=1 {}", words.replace("WHEN", &at)));
    fixture.policy(|p| p.restore_after_hours = 3)
}

/// A stream that we switched to on-demand mode 30 hours ago, with a peak of `load` records a second 20 hours ago.
fn switched(load: f64) -> Fixture {
    let at = hours_ago(30);
    let mut memory = Memory::default().intend(Change::intent(ChangeKind::Switch, 7, 7, at), false);
    let change = memory.change.as_mut().expect("a change");
    (change.settled, change.healed, change.published) = (Some(at), Some(at), Some(at));
    (memory.was_provisioned, memory.base) = (true, Some(7));
    let calm = Fixture::new(7).on_demand().minutes(-1439..=0, written(1500.0, 0.0));
    let peak = calm.minutes(-1200..=-1200, written(load, 0.0)).memory(&memory).asked();
    peak.policy(|p| p.restore_after_hours = 2)
}

// Two kinds at once.
rows! { decides;
    a_reshard_by_hand_with_retries_and_readers_that_stop:
        Fixture::new(7).minutes(-90..=-4, read(300.0, written(4000.0, 2000.0))).minutes(-3..=0, written(6900.0, 4000.0))
            .resharded(4, 6).asked() => "settling";
    our_change_then_a_reshard_by_hand_with_retries:
        Fixture::new(7).minutes(-90..=-12, read(300.0, written(4000.0, 2000.0)))
            .minutes(-11..=0, written(6900.0, 4000.0)).memory(&changed(2, 4, 30)).published(start(31))
            .resharded(4, 13).asked() => "scale_shards";
    a_crash_loop_with_a_reader_that_is_late:
        Fixture::new(1).minutes(-60..=0, read(14.0 * HOUR, written(150.0, 400.0))).asked() => "scale_shards";
    a_split_in_vain_with_a_reader_that_stands_still:
        each(Fixture::new(8), -60, 0, |ago| {
            read(if ago < -10 { 300.0 } else { 60_000.0 * (ago + 11) as f64 }, written(2000.0, 300.0))
        }).memory(&split(10)).asked().policy(|p| p.diagnose = Permission::Deny) => "readers_stopped";
    a_forged_raise_under_a_real_load:
        Fixture::under_load(7, 12_000.0).tag(TAG, &format!(
            "v=1 change=scale/3/7/{} done=60 heal=90 seen=300 base=1", hours_ago(5).format("%Y%m%dT%H%M%SZ")
        )).asked().forged() => "scale_shards";
}

/// A split of ours that settled `minutes` before the newest minute.
fn split(minutes: i64) -> Memory {
    let at = newest().plus(-minutes).start();
    let mut memory = settled(7, 8, (now() - at).num_seconds() + 60, 60);
    memory.change.as_mut().expect("a change").kind = ChangeKind::Split;
    memory.reshards.clear();
    memory
}
