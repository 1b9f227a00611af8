//! What a decision says that the stream costs before and after.

use crate::common::{Fixture, hours_ago, offered, one_hot};
use crate::{decides, says};
use chrono::TimeDelta;
use unthrottle_core::decide::MissingData;
use unthrottle_core::memory::{Change, ChangeKind, Memory};
use unthrottle_core::observation::{Commitment, MinuteTraffic};
use unthrottle_core::policy::Permission;

/// A gigabyte an hour, in bytes a second.
const GB_AN_HOUR: f64 = 1_073_741_824.0 / 3600.0;

/// 2,000 records of 1 KiB a second: 6.87 GB an hour.
const GB: f64 = 2000.0 * 1024.0 / GB_AN_HOUR;

/// One shard is offered 2,000 records of 1 KiB a second, and accepts 1,000. Two consumers read what it accepts, the
/// retention is two days, and three shard-level metrics are on.
fn everything() -> Fixture {
    Fixture::under_load(1, 2000.0).stream(|s| (s.consumers, s.retention_hours) = (2, 48)).shard_metrics()
}

/// Shard-level metrics, USD an hour.
fn metrics(shards: f64) -> f64 {
    shards * 3.0 * 0.3 / 730.0
}

/// That stream in provisioned mode; `load`: the share of the offered load that it accepts. A shard: itself, extended
/// retention, two consumers, three metrics.
fn provisioned(shards: f64, load: f64) -> f64 {
    let records = load * 2000.0 * 3600.0 / 1e6 * 0.014;
    shards * (0.015 + 0.02 + 2.0 * 0.015) + metrics(shards) + records + 2.0 * load * GB * 0.013
}

/// That stream in on-demand mode, which accepts all that is offered. A day more of retention keeps a day of it.
fn on_demand(shards: f64) -> f64 {
    0.04 + GB * 0.08 + 2.0 * GB * 0.05 + GB * 24.0 / 730.0 * 0.1 + metrics(shards)
}

/// The same in an account with the commitment.
fn advantage(shards: f64, load: f64) -> f64 {
    load * (GB * 0.032 + 2.0 * GB * 0.016 + GB * 24.0 / 730.0 * 0.023) + metrics(shards)
}

/// The busiest minute by weight, not by records: 500 of 4 KiB a second weigh more than 1,000 of 1 KiB. The shard takes
/// 256 of them.
fn heavy_minute() -> Fixture {
    let heavy =
        MinuteTraffic { incoming_bytes: 500.0 * 60.0 * 4096.0, incoming_records: 30_000.0, ..MinuteTraffic::default() };
    Fixture::under_load(1, 1500.0).minutes(-2..=-2, heavy)
}

/// Asserts USD an hour before and after.
#[track_caller]
fn costs(fixture: Fixture, (before, after): (f64, f64)) {
    let cost = fixture.decide().cost.expect("an act");
    assert_eq!(cost.prices, "us-east-1 2026-09");
    let is = |usd: f64, expected: f64| (usd - expected).abs() < 1e-4;
    assert!(
        is(cost.before_usd_per_hour, before) && is(cost.after_usd_per_hour, after),
        "{cost:?}, not {before} → {after}"
    );
}

rows! { costs;
    a_scale_costs_all_that_it_multiplies: everything() => (provisioned(1.0, 0.5), provisioned(2.0, 1.0));
    a_switch_costs_what_on_demand_mode_costs: everything().account_full() => (provisioned(1.0, 0.5), on_demand(1.0));
    a_switch_with_the_commitment_costs_less:
        everything().account_full().committed() => (provisioned(1.0, 0.5), advantage(1.0, 1.0));
    // Warm throughput itself costs nothing. The load that it lets in does.
    warm_throughput_costs_what_it_lets_in: everything().warm(1, 1) => (advantage(1.0, 0.5), advantage(1.0, 1.0));
    the_busiest_minute_is_the_one_with_most_bytes:
        heavy_minute().account_full()
        => (0.015 + 256.0 * 3600.0 / 1e6 * 0.014, 0.04 + 500.0 * 4096.0 / GB_AN_HOUR * 0.08);
}

/// Shards that are full of records of 100 bytes, and are offered `offered` of them a second, with all retries.
fn retried(shards: u32, offered: f64) -> Fixture {
    let accepted = f64::from(shards) * 1000.0;
    let minute = MinuteTraffic {
        incoming_records: accepted * 60.0,
        incoming_bytes: accepted * 60.0 * 100.0,
        write_throttled: (offered - accepted) * 60.0,
        ..MinuteTraffic::default()
    };
    Fixture::new(shards).minutes(-9..=0, minute)
}

/// The cost of that stream, full to the brim.
fn full(shards: f64) -> f64 {
    shards * (0.015 + 3.6 * 0.014)
}

rows! { costs;
    refused_retries_cost_nothing: retried(4, 36_000.0) => (full(4.0), full(8.0));
    refused_retries_of_a_large_stream_cost_nothing: retried(40, 400_000.0) => (full(40.0), full(80.0));
    a_load_that_the_new_shards_take_costs_what_it_is:
        retried(4, 4_400.0) => (full(4.0), 6.0 * 0.015 + 4.4 * 3.6 * 0.014);
    a_split_costs_what_nine_shards_take_at_most:
        one_hot(9000.0) => (8.0 * 0.015 + 1.7 * 3.6 * 0.014 + metrics(8.0), full(9.0) + metrics(9.0));
    shard_metrics_let_no_more_load_in:
        retried(8, 12_000.0)
            .minutes(-9..=0, MinuteTraffic { write_throttled: 60.0 * 9000.0, ..offered(2000.0, 8) })
            .policy(|p| p.diagnose = Permission::Allow)
        => (8.0 * 0.015 + 2.0 * 3.6 * 0.014, 8.0 * 0.015 + 2.0 * 3.6 * 0.014 + metrics(8.0));
}

/// Asserts the code where that stream may cost at most this, USD an hour.
#[track_caller]
fn within(fixture: Fixture, (usd, code): (f64, &str)) {
    decides(fixture.policy(|p| p.max_hourly_cost = Some(usd)), code);
}

rows! { within;
    // Eight shards cost $0.52 an hour at most, and the refused retries would have made it $1.93.
    a_healing_that_costs_half_of_the_maximum_is_made: retried(4, 36_000.0) => (1.0, "scale_shards");
    a_healing_above_the_maximum_is_held: retried(1, 9_000.0) => (0.1, "at_max_cost");
}

/// Four shards that we switched to on-demand mode 30 hours ago, without throttling since. The commitment is not read.
fn switched() -> Fixture {
    let at = hours_ago(30);
    let mut memory = Memory::default().intend(Change::intent(ChangeKind::Switch, 4, 4, at), false);
    memory.change.as_mut().expect("just made").settled = Some(at + TimeDelta::minutes(1));
    memory.was_provisioned = true;
    let fixture = Fixture::new(4).minutes(-1439..=0, offered(1000.0, 4)).on_demand().memory(&memory);
    fixture.policy(|p| p.restore_after_hours = 6).with(|f| f.observation.commitment = None)
}

/// Asserts the cost before and after a switch back, rounded to $0.0001 an hour.
#[track_caller]
fn costs_back(commitment: Commitment, before: f64) {
    let round = |usd: f64| (usd * 1e4).round() / 1e4;
    let cost = switched().with(|f| f.observation.commitment = Some(commitment)).decide().cost.expect("an act");
    let provisioned = 4.0 * 0.015 + 3.6 * 0.014;
    assert_eq!((cost.before_usd_per_hour, cost.after_usd_per_hour), (round(before), round(provisioned)));
}

rows! { costs_back;
    a_switch_back_is_compared_with_on_demand_mode: Commitment::Disabled => 0.04 + GB / 2.0 * 0.08;
    a_switch_back_is_compared_with_the_commitment: Commitment::Enabled => GB / 2.0 * 0.032;
}

#[test]
fn a_switch_back_needs_the_commitment_for_its_cost() {
    let shown = switched().with(|f| f.observation.is_change_shown = Some(true));
    assert_eq!(shown.try_decide(), Err(MissingData { commitment: true, ..MissingData::default() }));
}

#[test]
fn small_records_cost_consumers_what_is_stored() {
    // 100 bytes each by PutRecord: a KiB each against the shard, 100 bytes each for the consumers.
    let minute = MinuteTraffic {
        incoming_records: 60_000.0,
        incoming_bytes: 6e6,
        put_record_bytes: 6e6,
        put_record_count: 60_000.0,
        write_throttled: 60_000.0,
        ..MinuteTraffic::default()
    };
    let fixture = Fixture::new(1).minutes(-9..=0, minute).stream(|s| s.consumers = 5);
    // A second thousand of records is refused.
    let gb = 1000.0 * 100.0 / GB_AN_HOUR;
    let expected = 0.015 + 5.0 * 0.015 + 3.6 * 0.014 + 5.0 * gb * 0.013;
    let cost = fixture.decide().cost.expect("an act");
    assert!((cost.before_usd_per_hour - expected).abs() < 1e-4, "{cost:?}, not {expected}");
}

#[test]
fn prices_of_the_region_need_no_name() {
    let sentence = Fixture::under_load(2, 3000.0).sentence();
    assert!(!sentence.contains("at the prices of"), "{sentence}");
}

rows! { says;
    prices_of_another_region_are_named:
        Fixture::under_load(2, 3000.0).stream(|s| s.arn = s.arn.replace("us-east-1", "eu-west-1"))
        => ["a month, at the prices of us-east-1 2026-09)"];
}

#[test]
fn reads_of_an_on_demand_stream_cost_by_the_gigabyte() {
    let switched = |read_bytes: f64| {
        let minute = MinuteTraffic { get_records_bytes: 60.0 * read_bytes, ..offered(3000.0, 2) };
        let decision = Fixture::new(2).minutes(-9..=0, minute).account_full().decide();
        assert_eq!(decision.verdict.code(), "switch_to_on_demand");
        decision.cost.expect("known").after_usd_per_hour
    };
    assert!((switched(GB_AN_HOUR) - switched(0.0) - 0.04).abs() < 1e-6);
}
