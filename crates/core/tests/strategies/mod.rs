//! Any stream, in any traffic, with any memory, under any policy.
//!
//! `laws.proptest-regressions` has seeds of random numbers. A strategy that is added, dropped or moved makes other
//! cases of these seeds.

use crate::common::{Fixture, hours_ago, minutes_ago, offered, seconds_ago};
use chrono::TimeDelta;
use proptest::prelude::*;
use unthrottle_core::memory::{Change, ChangeKind, Memory, ShardMetrics, SplitHistory};
use unthrottle_core::observation::{Limits, MinuteTraffic, WarmThroughput};
use unthrottle_core::policy::Permission;

prop_compose! {
    /// Any minute of traffic, throttled or not.
    pub fn minute()(
        records in 0.0..2_000_000.0f64,
        size in 1.0..200_000.0f64,
        throttled in prop_oneof![Just(0.0), 1.0..5_000_000.0f64],
        single in 0.0..1.0f64,
        reads in 0.0..10_000.0f64,
        read_throttled in prop_oneof![Just(0.0), 1.0..10_000.0f64],
        read_bytes in 0.0..1e10f64,
        age in proptest::option::of(0.0..86_400_000.0f64),
    ) -> MinuteTraffic {
        MinuteTraffic {
            incoming_records: records.floor(),
            incoming_bytes: records.floor() * size,
            write_throttled: throttled.floor(),
            put_record_count: (records * single).floor(),
            put_record_bytes: (records * single).floor() * size,
            read_throttled: read_throttled.floor(),
            get_records_bytes: read_bytes,
            get_records_calls: reads.floor(),
            iterator_age_ms: age,
        }
    }
}

fn kind() -> impl Strategy<Value = ChangeKind> {
    use ChangeKind as K;
    let raises = prop_oneof![Just(K::Scale), Just(K::Split), Just(K::Switch), Just(K::WarmUp)];
    prop_oneof![
        raises,
        Just(K::SwitchBack),
        Just(K::Restore),
        Just(K::EnableShardMetrics),
        Just(K::DisableShardMetrics),
        Just(K::Lost),
        Just(K::External),
    ]
}

prop_compose! {
    /// Any memory, from none to a full one.
    fn memory()(
        kind in proptest::option::weighted(0.8, kind()),
        split_history in proptest::option::of((0u64..50, 1u32..3, 0i64..100_000)),
        metrics in proptest::option::of((any::<[bool; 3]>(), any::<bool>(), 0i64..100_000)),
        was_provisioned in any::<bool>(),
        from in 1u32..200,
        to in 1u32..200,
        ago in 0i64..100_000,
        settled in proptest::option::of(0i64..900),
        earlier in proptest::collection::vec(1i64..90_000, 0..10),
        refused in proptest::option::of((1u32..3, 0i64..100_000)),
    ) -> Memory {
        let mut memory = Memory::default();
        let mut earlier: Vec<_> = earlier.into_iter().map(|more| ago + more).collect();
        earlier.sort_unstable_by(|a, b| b.cmp(a));
        for before in earlier {
            memory = memory.intend(Change::intent(ChangeKind::Scale, 1, 1, seconds_ago(before)), false);
        }
        let Some(kind) = kind else { return Memory::default() };
        memory = memory.intend(Change::intent(kind, from, to, seconds_ago(ago)), false);
        let change = memory.change.as_mut().expect("just made");
        change.settled = settled.map(|s| change.at + TimeDelta::seconds(s));
        let at = change.at;
        memory.split_histories = split_history
            .map(|(shard, splits, before)| SplitHistory { shard, splits, at: at - TimeDelta::seconds(before) })
            .into_iter()
            .collect();
        memory.shard_metrics = metrics
            .map(|(on, off, before)| ShardMetrics { on: (!off).then_some(on), at: at - TimeDelta::seconds(before) });
        memory.was_provisioned = was_provisioned;
        for n in (0..refused.map_or(0, |r| i64::from(r.0))).rev() {
            memory = memory.refuse(ChangeKind::Scale, seconds_ago(refused.expect("some").1 + 900 * n), true);
        }
        memory
    }
}

/// The shards and the account of a stream, and what the person allows there.
#[derive(Clone, Debug)]
struct Details {
    /// What each shard is offered, in records of 1 KiB a second. Empty: no shard-level metrics.
    loads: Vec<f64>,
    /// The first two shards are halves of one.
    halves: bool,
    warm: Option<(u32, u32)>,
    committed: bool,
    diagnose: bool,
    cost: Option<f64>,
    max_warm: u32,
    restore: u32,
}

prop_compose! {
    fn details()(
        loads in prop_oneof![
            Just(vec![]),
            proptest::collection::vec(prop_oneof![0.0..500.0f64, 0.0..9000.0f64], 1..40),
        ],
        halves in any::<bool>(),
        warm in proptest::option::of((0u32..300, 0u32..300)),
        committed in any::<bool>(),
        diagnose in any::<bool>(),
        cost in proptest::option::of(0.01..100.0f64),
        max_warm in 1u32..10_240,
        restore in 0u32..24,
    ) -> Details {
        Details { loads, halves, warm, committed, diagnose, cost, max_warm, restore }
    }
}

prop_compose! {
    /// Any stream in any traffic under any policy.
    pub fn fixture()(
        shards in 1u32..200,
        on_demand in proptest::bool::weighted(0.2),
        minutes in proptest::collection::vec(minute(), 0..20),
        memory in proptest::option::of(memory()),
        limits in proptest::option::of((0u32..400, 0u32..3)),
        max in 1u32..300,
        utilization in 0.3..0.95f64,
        floor in 0.0..0.5f64,
        confirm in 1u32..5,
        window in 5u32..60,
        deny in any::<bool>(),
        asked in any::<bool>(),
        details in details(),
    ) -> Fixture {
        let Details { loads, halves, warm, committed, diagnose, cost, max_warm, restore } = details;
        let fixture = if loads.is_empty() { Fixture::new(shards) } else { Fixture::of_shards(&loads) };
        let shards = fixture.open_shards();
        let are_halves = halves && shards > 1 && fixture.observation.shards.is_some();
        let fixture = if are_halves { fixture.halves_of(40, [0, 1]) } else { fixture };
        let fixture = if committed { fixture.committed() } else { fixture };
        let fixture = fixture.stream(|s| {
            s.warm_throughput =
                warm.map(|(current_mibps, target_mibps)| WarmThroughput { current_mibps, target_mibps });
        });
        let mut fixture = fixture.policy(|p| {
            p.diagnose = if diagnose { Permission::Allow } else { Permission::Deny };
            (p.max_hourly_cost, p.max_warm_mibps, p.restore_after_hours) = (cost, max_warm, restore);
            (p.max_shards, p.max_shards_ceiling) = (max, max);
            (p.target_utilization, p.floor) = (utilization, floor);
            (p.confirm_minutes, p.window_minutes) = (confirm, window);
            p.on_demand = if deny { Permission::Deny } else { Permission::Allow };
        });
        for (ago, minute) in minutes.into_iter().enumerate() {
            let minutes_from_newest = -(ago as i64);
            fixture = fixture.minutes(minutes_from_newest..=minutes_from_newest, minute);
        }
        fixture.observation.limits = limits.map(|(left, streams)| Limits {
            shard_limit: shards + left,
            open_shards: shards,
            on_demand_streams: streams,
            on_demand_stream_limit: 2,
        });
        if let Some(memory) = memory {
            fixture = fixture.memory(&memory);
        }
        if on_demand {
            fixture = fixture.on_demand();
        }
        if asked { fixture.asked() } else { fixture }
    }
}

prop_compose! {
    /// A stream that we raised from `base` some hours ago, with writes and reads ever since.
    pub fn raised()(
        open in 2u32..100,
        base in 1u32..100,
        hours in 1i64..48,
        minutes in proptest::collection::vec((0.0..1.2f64, 0.0..1.2f64), 1..24),
        restore in 1u32..=24,
        min in 1u32..20,
        behind in proptest::option::weighted(0.1, 0.0..600_000.0f64),
        spent in 0i64..12,
        left in proptest::option::of(0u32..200),
        utilization in 0.3..0.95f64,
    ) -> Fixture {
        let at = hours_ago(hours);
        let base = base.min(open - 1);
        let mut memory = Memory::default().intend(Change::intent(ChangeKind::Scale, base, open, at), false);
        let change = memory.change.as_mut().expect("just made");
        change.settled = Some(at + TimeDelta::minutes(1));
        (change.healed, change.published) = (change.settled, change.settled);
        memory.base = Some(base);
        let mut fixture = Fixture::new(open).memory(&memory).asked();
        // Each stretch of an hour has a load, in shares of what the shards take.
        for (hour, (written, read)) in minutes.into_iter().enumerate() {
            let minute = MinuteTraffic {
                get_records_bytes: read * f64::from(open) * 2.0 * 1_048_576.0 * 60.0,
                iterator_age_ms: behind,
                ..offered(written * f64::from(open) * 1000.0, open)
            };
            let last = -60 * hour as i64;
            fixture = fixture.minutes(last - 59..=last, minute);
        }
        for n in 0..spent {
            fixture = fixture.published(minutes_ago(60 + 60 * n));
        }
        fixture.observation.limits = left.map(|left| Limits {
            shard_limit: open + left,
            open_shards: open,
            on_demand_streams: 0,
            on_demand_stream_limit: 2,
        });
        fixture.policy(|p| (p.restore_after_hours, p.min_shards, p.target_utilization) = (restore, min, utilization))
    }
}
