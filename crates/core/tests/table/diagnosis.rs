//! When shard metrics are switched on to find a hot shard, when they are switched off again, and what a decision reads.

use crate::common::{Fixture, bursts, hours_ago, metrics_on_for, minutes_ago, newest, offered, one_hot, split_history};
use crate::{decides, says};
use chrono::TimeDelta;
use unthrottle_core::decide::MissingData;
use unthrottle_core::memory::{ChangeKind, Memory, SplitHistory};
use unthrottle_core::observation::MinuteTraffic;
use unthrottle_core::policy::Permission;

/// Eight shards that refuse `throttled` records a minute of 1 KiB, where `load` a second are offered.
fn refusing(throttled: f64, load: f64) -> Fixture {
    Fixture::new(8).minutes(-9..=0, MinuteTraffic { write_throttled: throttled, ..offered(load, 8) })
}

/// Shards enough for the load, and yet they refuse a third of it.
fn skewed() -> Fixture {
    refusing(60_000.0, 2000.0)
}

/// The same, where the person allows a diagnosis.
fn diagnosed() -> Fixture {
    skewed().policy(|p| p.diagnose = Permission::Allow)
}

/// Producers retry the records of one key. The shard refuses nearly all of them.
fn retried() -> Fixture {
    refusing(60.0 * 59_000.0, 1000.0)
}

/// Shard metrics that we switched on `minutes` ago, and off again.
fn metrics_off_again(minutes: i64) -> Memory {
    let mut memory = metrics_on_for(minutes);
    memory.shard_metrics.as_mut().expect("some").on = None;
    memory
}

rows! { decides;
    a_skew_is_suspected_where_a_diagnosis_is_denied: skewed() => "skew_suspected";
    a_skew_of_a_retried_key_is_suspected: retried() => "skew_suspected";
    a_skew_of_a_retried_key_is_suspected_with_the_commitment: retried().committed() => "skew_suspected";
    a_skew_switches_shard_metrics_on_where_a_diagnosis_is_allowed: diagnosed() => "enable_shard_metrics";
    a_skew_is_suspected_where_a_diagnosis_costs_too_much:
        diagnosed().policy(|p| p.max_hourly_cost = Some(0.01)) => "skew_suspected";
    a_skew_that_was_diagnosed_this_morning_is_suspected:
        diagnosed().memory(&metrics_off_again(300)) => "skew_suspected";
    a_skew_that_was_diagnosed_yesterday_is_diagnosed_again:
        diagnosed().memory(&metrics_off_again(60 * 25)) => "enable_shard_metrics";
    a_skew_is_suspected_where_aws_refused_the_metrics_today:
        diagnosed().memory(&Memory::default().refuse(ChangeKind::EnableShardMetrics, hours_ago(2), false))
        => "skew_suspected";
    a_skew_whose_splits_are_spent_shows_a_hot_key: diagnosed().memory(&split_history(40, 2)) => "hot_key";
    a_hot_shard_is_split_a_minute_after_its_metrics_show_it:
        one_hot(1500.0).memory(&metrics_on_for(9)) => "split_shard";
}

/// Eight shards with shard metrics, without throttling.
fn without_throttling() -> Fixture {
    Fixture::new(8).minutes(-9..=0, offered(1000.0, 8)).shard_metrics()
}

/// Shard metrics that are on for nine minutes, and have shown a hot shard two minutes later.
fn metrics_that_showed_a_hot_shard() -> Memory {
    let split_histories = vec![SplitHistory { shard: 3, splits: 1, at: minutes_ago(7) }];
    Memory { split_histories, ..metrics_on_for(9) }
}

rows! { decides;
    our_metrics_stay_on_for_an_hour: without_throttling().memory(&metrics_on_for(9)) => "healthy";
    our_metrics_are_switched_off_after_an_hour:
        without_throttling().memory(&metrics_on_for(61)) => "disable_shard_metrics";
    our_metrics_are_switched_off_once_they_have_shown_a_hot_shard:
        without_throttling().memory(&metrics_that_showed_a_hot_shard()) => "disable_shard_metrics";
    our_metrics_stay_on_where_aws_refused_to_switch_them_off_today:
        without_throttling()
            .memory(&metrics_on_for(61).refuse(ChangeKind::DisableShardMetrics, hours_ago(2), false))
        => "healthy";
    our_metrics_are_switched_off_after_an_hour_of_negligible_throttling:
        refusing(60.0, 1000.0).shard_metrics().memory(&metrics_on_for(61)) => "disable_shard_metrics";
    metrics_of_another_person_stay_on: without_throttling() => "healthy";
    our_metrics_that_are_off_again_need_nothing:
        Fixture::new(8).minutes(-9..=0, offered(1000.0, 8)).memory(&metrics_on_for(9)) => "healthy";
    bursts_keep_our_metrics_on_for_ten_minutes: bursts().memory(&metrics_on_for(10)) => "micro_burst";
    bursts_do_not_keep_our_metrics_on_for_an_hour: bursts().memory(&metrics_on_for(61)) => "disable_shard_metrics";
}

const NOTHING: Option<MissingData> = None;
const ALL: MissingData =
    MissingData { shards: true, commitment: true, shards_at: None, change_shown: None, past: false };
const COMMITMENT: Option<MissingData> = Some(MissingData { shards: false, ..ALL });

/// The shards from 30 s before the window, for whose minutes the decision is made.
fn shards_before_window(shards: bool, commitment: bool) -> Option<MissingData> {
    let at = newest().plus(-4).start() - TimeDelta::seconds(30);
    Some(MissingData { shards, commitment, shards_at: Some(at), ..ALL })
}

/// Asserts what the decision needs beyond the first observation.
#[track_caller]
fn misses(fixture: Fixture, expected: Option<MissingData>) {
    let unread = fixture.with(|f| (f.observation.shards, f.observation.commitment) = (None, None));
    assert_eq!(unread.try_decide().err(), expected);
}

rows! { misses;
    a_throttled_stream_with_shard_metrics_needs_its_shards: one_hot(1500.0) => shards_before_window(true, false);
    a_throttled_stream_without_shard_metrics_needs_the_hash_keys_of_its_shards:
        Fixture::under_load(8, 9500.0) => shards_before_window(false, false);
    a_short_stream_with_shard_metrics_needs_its_shards:
        Fixture::under_load(8, 9500.0).shard_metrics() => shards_before_window(true, false);
    metrics_of_shards_too_many_to_tell_apart_are_not_needed:
        Fixture::under_load(501, 600_000.0).shard_metrics() => shards_before_window(false, false);
    a_healthy_stream_needs_no_shards: without_throttling() => NOTHING;
    a_throttled_on_demand_stream_needs_the_commitment: Fixture::under_load(4, 9000.0).on_demand() => COMMITMENT;
    a_load_beyond_double_needs_the_commitment: Fixture::under_load(4, 40_000.0) => shards_before_window(false, true);
    a_load_below_double_does_not_need_the_commitment:
        Fixture::under_load(4, 6000.0) => shards_before_window(false, false);
    a_load_beyond_double_does_not_need_the_commitment_where_on_demand_is_denied:
        Fixture::under_load(4, 40_000.0).policy(|p| p.on_demand = Permission::Deny)
        => shards_before_window(false, false);
}

/// The same skewed stream with `shards` shards, where shard-level metrics are denied.
fn denied(shards: u32) -> Fixture {
    let minute = MinuteTraffic { write_throttled: 60_000.0, ..offered(f64::from(shards) * 250.0, shards) };
    Fixture::new(shards).minutes(-9..=0, minute)
}

rows! { says;
    denied_metrics_name_the_command_and_its_cost:
        denied(8) => [
            "aws kinesis enable-enhanced-monitoring --region us-east-1 --stream-name orders --shard-level-metrics \
             IncomingBytes IncomingRecords WriteProvisionedThroughputExceeded",
            "about $7.20 a month",
        ];
    denied_metrics_of_a_large_stream_cost_more: denied(300) => ["about $270.00 a month"];
    denied_metrics_that_are_partly_on_cost_only_the_others:
        denied(8).stream(|s| s.shard_metrics = ["IncomingBytes".to_owned()].into())
        => ["--shard-level-metrics IncomingRecords WriteProvisionedThroughputExceeded", "about $4.80 a month"];
    denied_metrics_of_another_region_name_it:
        denied(8).stream(|s| s.arn = s.arn.replace("us-east-1", "eu-west-1")) => ["--region eu-west-1"];
    denied_metrics_that_were_on_today_name_the_command_all_the_same:
        denied(8).memory(&metrics_off_again(300)) => [CALL, "about $7.20 a month"];
    denied_metrics_of_more_shards_than_a_search_finds_name_the_command: denied(600) => [CALL, "about $540.00 a month"];
    a_hot_key_of_an_on_demand_stream_names_the_command:
        on_demand(2000.0, 8) => ["Spread the keys", CALL, "About $7.20"];
    an_on_demand_stream_at_its_ceiling_names_the_command:
        on_demand(9000.0, 4) => ["look for a hot key", CALL, "About $3.60 a month"];
    an_on_demand_stream_with_all_its_warm_throughput_names_the_command:
        on_demand(9000.0, 4).warm(8, 8) => ["Look for a hot key", CALL];
}

const CALL: &str = "aws kinesis enable-enhanced-monitoring --region us-east-1 --stream-name orders";

/// An on-demand stream that refuses records for fifteen minutes.
fn on_demand(load: f64, shards: u32) -> Fixture {
    let minute = MinuteTraffic { write_throttled: 60_000.0, ..offered(load, shards) };
    Fixture::new(shards).minutes(-14..=0, minute).on_demand()
}

/// Asserts that the sentence gives no command that the decision does not need.
#[track_caller]
fn gives_no_command(fixture: Fixture, _: ()) {
    let sentence = fixture.sentence();
    assert!(!sentence.contains("enable-enhanced-monitoring"), "{sentence}");
}

rows! { gives_no_command;
    an_on_demand_stream_whose_shards_are_shown_needs_no_command: on_demand(9000.0, 4).shard_metrics() => ();
    an_on_demand_stream_that_is_diagnosed_by_permission_gets_no_command:
        on_demand(9000.0, 4).policy(|p| p.diagnose = Permission::Allow) => ();
    an_on_demand_stream_at_the_maximum_of_warm_throughput_needs_the_maximum:
        on_demand(9000.0, 4).warm(4, 4).policy(|p| p.max_warm_mibps = 4) => ();
}
