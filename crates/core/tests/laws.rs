//! Laws that hold for every stream, load, memory and setting.

mod common;

use chrono::TimeDelta;
use common::{Scene, newest, now, offered, settled};
use proptest::prelude::*;
use unthrottle_core::decide::triage;
use unthrottle_core::decision::{Decision, ReadCall, Reason, Remedy, Side, Verdict};
use unthrottle_core::memory::{Change, ChangeKind, Memory, ShardMetrics, SplitHistory, TAG};
use unthrottle_core::observation::{CapacityMode, Commitment, Limits, MinuteTraffic, Shard, Status, WarmThroughput};
use unthrottle_core::policy::{Mode, Permission};

prop_compose! {
    /// Any minute of traffic, throttled or not.
    fn minute()(
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
        line in proptest::option::of((0u64..50, 1u32..3, 0i64..100_000)),
        watch in proptest::option::of((any::<[bool; 3]>(), any::<bool>(), 0i64..100_000)),
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
            memory = memory.intend(Change::intent(ChangeKind::Scale, 1, 1, now() - TimeDelta::seconds(before)), false);
        }
        let Some(kind) = kind else { return Memory::default() };
        memory = memory.intend(Change::intent(kind, from, to, now() - TimeDelta::seconds(ago)), false);
        let change = memory.change.as_mut().expect("just made");
        change.settled = settled.map(|s| change.at + TimeDelta::seconds(s));
        let at = change.at;
        memory.split_histories = line
            .map(|(shard, splits, before)| SplitHistory { shard, splits, at: at - TimeDelta::seconds(before) })
            .into_iter()
            .collect();
        memory.shard_metrics = watch
            .map(|(on, off, before)| ShardMetrics { on: (!off).then_some(on), at: at - TimeDelta::seconds(before) });
        memory.was_provisioned = was_provisioned;
        for _ in 0..refused.map_or(0, |r| r.0) {
            memory = memory.refuse(ChangeKind::Scale, now() - TimeDelta::seconds(refused.expect("some").1), true);
        }
        memory
    }
}

/// What a closer look shows, and what of it may be changed.
#[derive(Clone, Debug)]
struct Closer {
    /// What each shard is offered; none: no shard-level metrics.
    loads: Vec<f64>,
    /// Two of the shards are halves of one.
    family: bool,
    warm: Option<(u32, u32)>,
    committed: bool,
    diagnose: bool,
    cost: Option<f64>,
    max_warm: u32,
    restore: u32,
}

prop_compose! {
    fn closer()(
        loads in prop_oneof![
            Just(vec![]),
            proptest::collection::vec(prop_oneof![0.0..500.0f64, 0.0..9000.0f64], 1..40),
        ],
        family in any::<bool>(),
        warm in proptest::option::of((0u32..300, 0u32..300)),
        committed in any::<bool>(),
        diagnose in any::<bool>(),
        cost in proptest::option::of(0.01..100.0f64),
        max_warm in 1u32..10_240,
        restore in 0u32..24,
    ) -> Closer {
        Closer { loads, family, warm, committed, diagnose, cost, max_warm, restore }
    }
}

prop_compose! {
    /// Any stream in any traffic under any policy.
    fn scene()(
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
        closer in closer(),
    ) -> Scene {
        let Closer { loads, family, warm, committed, diagnose, cost, max_warm, restore } = closer;
        let scene = if loads.is_empty() { Scene::new(shards) } else { Scene::of_shards(&loads) };
        let shards = scene.observation.stream.as_ref().expect("a stream").open_shards;
        let scene = if family && shards > 1 { scene.with_family() } else { scene };
        let scene = scene.with(|s| {
            s.observation.commitment = Some(if committed { Commitment::Enabled } else { Commitment::Disabled });
            s.policy.diagnose = if diagnose { Permission::Allow } else { Permission::Deny };
            (s.policy.max_hourly_cost, s.policy.max_warm_mibps, s.policy.restore_after_hours) = (cost, max_warm, restore);
        });
        let scene = scene.stream(|s| {
            s.warm_throughput =
                warm.map(|(current_mibps, target_mibps)| WarmThroughput { current_mibps, target_mibps });
        });
        let mut scene = scene.policy(|p| {
            (p.max_shards, p.max_shards_ceiling) = (max, max);
            (p.target_utilization, p.floor, p.confirm_minutes, p.window_minutes) = (utilization, floor, confirm, window);
            p.on_demand = if deny { Permission::Deny } else { Permission::Allow };
        });
        for (ago, minute) in minutes.into_iter().enumerate() {
            scene = scene.minutes(-(ago as i64)..=-(ago as i64), minute);
        }
        scene.observation.limits = limits.map(|(left, streams)| Limits {
            shard_limit: shards + left,
            open_shards: shards,
            on_demand_streams: streams,
            on_demand_stream_limit: 2,
        });
        if let Some(memory) = memory {
            scene = scene.memory(&memory);
        }
        if on_demand {
            scene = scene.on_demand();
        }
        if asked { scene.asked() } else { scene }
    }
}

prop_compose! {
    /// A stream that we raised from `base` some hours ago, and that has been written and read ever since.
    fn raised()(
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
    ) -> Scene {
        let at = now() - TimeDelta::hours(hours);
        let mut memory = Memory::default().intend(Change::intent(ChangeKind::Scale, base.min(open - 1), open, at), false);
        let change = memory.change.as_mut().expect("just made");
        change.settled = Some(at + TimeDelta::minutes(1));
        (change.healed, change.published) = (change.settled, change.settled);
        memory.base = Some(base.min(open - 1));
        let mut scene = Scene::new(open).memory(&memory).asked();
        // Each stretch of an hour has a load, in shares of what the shards take.
        for (hour, (written, read)) in minutes.into_iter().enumerate() {
            let minute = MinuteTraffic {
                get_records_bytes: read * f64::from(open) * 2.0 * 1_048_576.0 * 60.0,
                iterator_age_ms: behind,
                ..offered(written * f64::from(open) * 1000.0, open)
            };
            let last = -60 * hour as i64;
            scene = scene.minutes(last - 59..=last, minute);
        }
        for n in 0..spent {
            scene = scene.counted(now() - TimeDelta::minutes(60 + 60 * n));
        }
        scene.observation.limits = left.map(|left| Limits {
            shard_limit: open + left,
            open_shards: open,
            on_demand_streams: 0,
            on_demand_stream_limit: 2,
        });
        scene.policy(|p| (p.restore_after_hours, p.min_shards, p.target_utilization) = (restore, min, utilization))
    }
}

/// What the stream is right after the remedy: the change is accepted, and the memory written.
fn after(scene: &Scene, decision: &Decision) -> Scene {
    let Verdict::Act(remedy) = &decision.verdict else { return scene.clone() };
    let memory = decision.memory.as_ref().expect("an act announces itself");
    let scene = scene.clone().memory(memory);
    let scene = scene.with(|s| s.observation.shards = s.observation.shards.as_ref().map(|_| vec![]));
    match remedy {
        Remedy::ScaleShards { to, .. } | Remedy::SplitShard { to, .. } | Remedy::Restore { to, .. } => {
            scene.stream(|s| s.open_shards = *to)
        }
        Remedy::SwitchToOnDemand { .. } => scene.on_demand(),
        Remedy::SwitchToProvisioned { .. } => scene.stream(|s| s.mode = CapacityMode::Provisioned),
        Remedy::WarmUp { to, .. } => scene.stream(|s| {
            s.warm_throughput = Some(WarmThroughput { current_mibps: *to, target_mibps: *to });
        }),
        Remedy::EnableShardMetrics { .. } => scene.shard_metrics(),
        Remedy::DisableShardMetrics { metrics, .. } => {
            scene.stream(|s| s.shard_metrics.retain(|on| !metrics.contains(&on.as_str())))
        }
    }
}

/// The shards that the decision leaves the stream with.
fn shards(decision: &Decision, open: u32) -> u32 {
    match decision.verdict {
        Verdict::Act(Remedy::ScaleShards { to, .. }) => to,
        _ => open,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn a_change_stays_within_every_bound(scene in scene()) {
        let open = scene.observation.stream.as_ref().expect("a stream").open_shards;
        let decision = scene.decide();
        match &decision.verdict {
            Verdict::Act(Remedy::ScaleShards { from, to, .. }) => {
                prop_assert_eq!(*from, open);
                prop_assert!(*to > open, "never down, never in place");
                prop_assert!(*to <= 2 * open, "never more than double");
                prop_assert!(*to <= scene.policy.max_shards);
                if let Some(limits) = scene.observation.limits {
                    prop_assert!(to - open <= limits.shards_left());
                }
                prop_assert!(decision.evidence.reshards_last_24_hours < Some(10));
            }
            Verdict::Act(Remedy::SplitShard { shard, at, from, to, partial }) => {
                prop_assert_eq!((*from, *to), (open, open + 1));
                prop_assert!(*to <= scene.policy.max_shards);
                prop_assert!(scene.observation.limits.is_none_or(|l| l.shards_left() > 0));
                let read = scene.observation.shards.clone();
                let shards = read.or_else(|| scene.clone().even_shards().observation.shards).expect("shards");
                let shard = shards.iter().find(|s| s.id == *shard).expect("an open shard");
                prop_assert!(shard.first_hash_key + 1 < *at && *at < shard.last_hash_key);
                prop_assert!(decision.evidence.diagnostic_splits < Some(2));
                prop_assert!(partial.is_none() || decision.evidence.shards_needed > Some(open));
            }
            Verdict::Act(Remedy::WarmUp { from, to, .. }) => {
                let stream = scene.observation.stream.as_ref().expect("a stream");
                let warm = stream.warm_throughput.expect("known");
                prop_assert_eq!(scene.observation.commitment, Some(Commitment::Enabled));
                prop_assert_eq!(&stream.mode, &CapacityMode::OnDemand);
                prop_assert_eq!(*from, warm.current_mibps.max(warm.target_mibps));
                prop_assert!(*to > *from, "an equal or lower value would scale down");
                prop_assert!(*to <= scene.policy.max_warm_mibps && *to <= 10_240);
            }
            Verdict::Act(Remedy::EnableShardMetrics { metrics, .. }) => {
                prop_assert_eq!(scene.policy.diagnose, Permission::Allow);
                prop_assert!(!metrics.is_empty());
            }
            Verdict::Act(Remedy::DisableShardMetrics { metrics, .. }) => {
                let ours = scene.observation.tags.get(TAG).map(|t| Memory::parse(t).expect("readable"));
                let ours: Vec<_> = ours.and_then(|m| m.shard_metrics).iter().flat_map(ShardMetrics::names).collect();
                prop_assert!(metrics.iter().all(|metric| ours.contains(metric)), "never what it did not switch on");
            }
            Verdict::Act(Remedy::SwitchToProvisioned { shards }) => {
                let stream = scene.observation.stream.as_ref().expect("a stream");
                prop_assert_eq!((stream.channels, stream.queues, *shards), (Some(0), Some(0), stream.open_shards));
                prop_assert_eq!(decision.evidence.mode_switches_last_24_hours, Some(0));
                prop_assert!(scene.policy.restore_after_hours > 0);
            }
            Verdict::Act(Remedy::SwitchToOnDemand { warm_mibps, .. }) => {
                let committed = scene.observation.commitment == Some(Commitment::Enabled);
                prop_assert!(warm_mibps.is_none_or(|warm| committed && warm <= scene.policy.max_warm_mibps));
                prop_assert_eq!(scene.policy.on_demand, Permission::Allow);
                prop_assert!(open < scene.policy.max_shards, "never around the user's maximum");
                prop_assert!(decision.evidence.shards_needed <= Some(scene.policy.max_shards), "nor beyond it");
                prop_assert!(decision.evidence.mode_switches_last_24_hours < Some(2));
                prop_assert!(scene.observation.limits.is_none_or(|l| l.on_demand_streams < l.on_demand_stream_limit));
            }
            Verdict::Act(Remedy::Restore { .. }) => {} // has a law of its own
            Verdict::Hold(_) => {}
        }
        if let (Verdict::Act(_), Some(cost)) = (&decision.verdict, &decision.cost) {
            let (before, after) = (cost.before_usd_per_hour, cost.after_usd_per_hour);
            prop_assert!(before >= 0.0 && after >= 0.0);
            prop_assert!(scene.policy.max_hourly_cost.is_none_or(|max| after <= max || after <= before));
        }
        prop_assert_eq!(decision.cost.is_some(), matches!(decision.verdict, Verdict::Act(_)));
    }

    #[test]
    fn a_restore_stays_within_every_bound(scene in raised()) {
        let decision = scene.decide();
        let open = scene.observation.stream.as_ref().expect("a stream").open_shards;
        let base = Memory::parse(&scene.observation.tags[TAG]).expect("readable").base.expect("raised");
        if let Verdict::Act(Remedy::Restore { from, to, .. }) = decision.verdict {
            prop_assert_eq!(from, open);
            prop_assert!(to < from && to >= base, "never below what it was");
            prop_assert!(2 * to >= from, "never below half");
            prop_assert!(to >= scene.policy.min_shards);
            let (window, traffic) = (60 * i64::from(scene.policy.restore_after_hours), &scene.observation.traffic);
            for minute in newest().plus(1 - window).to(newest()).map(|minute| traffic.minute(minute)) {
                let room = f64::from(to) * scene.policy.target_utilization + 1e-6;
                prop_assert!(!minute.is_throttled());
                prop_assert!(minute.incoming_records / 60.0 / 1000.0 <= room, "what is written still fits");
                prop_assert!(minute.get_records_bytes / 60.0 / 2_097_152.0 <= room, "what is read still fits");
            }
            prop_assert!(decision.evidence.reshards_last_24_hours < Some(8), "two are kept for more load");
            prop_assert!(decision.evidence.iterator_age_milliseconds.is_none_or(|age| age <= 60_000.0));
            let done = after(&scene, &decision);
            prop_assert_eq!(done.code(), "settling");
        }
    }

    #[test]
    fn more_shards_never_cost_less(scene in scene()) {
        let decision = scene.decide();
        if let (Verdict::Act(Remedy::ScaleShards { .. } | Remedy::SplitShard { .. }), Some(cost)) =
            (&decision.verdict, decision.cost)
        {
            prop_assert!(cost.after_usd_per_hour > cost.before_usd_per_hour);
        }
    }

    #[test]
    fn a_line_is_split_twice_a_day_at_most_while_one_child_keeps_the_heat(hot in 1500.0..9000.0f64, idle in 0.0..100.0f64) {
        // One key: whatever is split, one child has it all.
        let mut loads = vec![idle; 8];
        loads[2] = hot;
        let mut scene = Scene::of_shards(&loads);
        let mut splits = 0;
        loop {
            let decision = scene.decide();
            let Verdict::Act(Remedy::SplitShard { shard, .. }) = &decision.verdict else {
                prop_assert_eq!(decision.verdict.code(), "hot_key");
                prop_assert_eq!(decision.evidence.diagnostic_splits, Some(2));
                break;
            };
            splits += 1;
            let mut memory = decision.memory.clone().expect("an intent");
            let change = memory.change.as_mut().expect("an intent");
            // Time passes: the change settled a while ago.
            change.at = now() - TimeDelta::minutes(20);
            change.settled = Some(now() - TimeDelta::minutes(19));
            memory.split_histories.iter_mut().for_each(|line| line.at = now() - TimeDelta::minutes(20));
            let parent = Shard::number_in(shard).expect("a number");
            loads.push(0.0);
            let last = loads.len() - 1;
            scene = Scene::of_shards(&loads).children(parent, [2, last]).memory(&memory);
            scene = scene.with(|s| s.observation.shards.as_mut().expect("shards")[2].id = format!("shardId-{:012}", 50 + splits));
        }
        prop_assert_eq!(splits, 2);
    }

    #[test]
    fn an_act_announces_itself_in_a_memory_that_fits(scene in scene()) {
        let decision = scene.decide();
        if let Verdict::Act(remedy) = &decision.verdict {
            let memory = decision.memory.expect("an intent");
            let change = memory.change.clone().expect("an intent");
            prop_assert_eq!((change.from, change.to), remedy.step());
            prop_assert_eq!(Memory::parse(&memory.encode().expect("fits")), Ok(memory));
        }
    }

    #[test]
    fn the_same_input_gives_the_same_output(scene in scene()) {
        prop_assert_eq!(scene.decide(), scene.clone().decide());
    }

    #[test]
    fn after_its_own_remedy_it_holds(scene in scene()) {
        let decision = scene.decide();
        if let Verdict::Act(_) = decision.verdict {
            let done = after(&scene, &decision);
            prop_assert_eq!(done.code(), "settling");
            prop_assert_eq!(done.clone().stream(|s| s.status = Status::Updating).code(), "resharding");
            // Not carried out: the intent is young.
            prop_assert_eq!(scene.memory(decision.memory.as_ref().expect("an intent")).code(), "settling");
        }
    }

    #[test]
    fn a_memory_that_a_hold_writes_is_news_only_once(scene in scene()) {
        let decision = scene.decide();
        if let (Verdict::Hold(_), Some(memory)) = (&decision.verdict, &decision.memory) {
            let again = scene.clone().memory(memory).decide();
            // A change that is known to have healed may be followed by one that undoes: that is an intent, not the same news.
            // One that cannot be undone is news of its own, and that once, too.
            if let (Verdict::Hold(_), Some(tried)) = (&again.verdict, &again.memory) {
                prop_assert_ne!(tried.restore_tried, memory.restore_tried);
                prop_assert_eq!(&Memory { restore_tried: memory.restore_tried, ..tried.clone() }, memory);
                prop_assert_eq!(scene.memory(tried).decide().memory, None);
            }
        }
    }

    #[test]
    fn nothing_is_changed_while_updating(scene in scene()) {
        prop_assert_eq!(scene.stream(|s| s.status = Status::Updating).code(), "resharding");
    }

    #[test]
    fn nothing_is_changed_while_settling(scene in scene(), ago in 0i64..60) {
        let shards = scene.observation.stream.as_ref().expect("a stream").open_shards;
        let memory = settled(1, shards, ago + 30, 30);
        prop_assert_eq!(scene.memory(&memory).code(), "settling");
    }

    #[test]
    fn nothing_is_changed_on_a_stream_that_opted_out(scene in scene()) {
        prop_assert_eq!(scene.clone().tag("unthrottle.mode", "off").code(), "opted_out");
        let observed = scene.tag("unthrottle.mode", "observe").decide();
        prop_assert_eq!((observed.memory, observed.mode), (None, Mode::Observe));
    }

    #[test]
    fn a_healthy_stream_is_left_alone(scene in scene()) {
        let mut calm = scene;
        let minutes = calm.observation.traffic.clone();
        calm.observation.traffic = unthrottle_core::observation::Traffic::default();
        for ago in -20..=0 {
            let minute = minutes.minute(common::newest().plus(ago));
            let quiet = MinuteTraffic { write_throttled: 0.0, read_throttled: 0.0, ..minute };
            calm = calm.minutes(ago..=ago, quiet);
        }
        // Only what we did ourselves is undone.
        let remedy = match calm.decide().verdict {
            Verdict::Act(remedy) => Some(remedy.kind()),
            Verdict::Hold(_) => None,
        };
        prop_assert!(matches!(remedy, None | Some(ChangeKind::DisableShardMetrics | ChangeKind::SwitchBack)));
    }

    #[test]
    fn more_offered_load_never_means_fewer_shards(
        open in 1u32..100,
        load in 0.0..200_000.0f64,
        more in 1.0..5.0f64,
        utilization in 0.3..0.95f64,
    ) {
        let decide = |load: f64| {
            let scene = Scene::new(open).minutes(-9..=0, offered(load, open));
            shards(&scene.policy(|p| p.target_utilization = utilization).decide(), open)
        };
        prop_assert!(decide(load * more) >= decide(load));
    }

    #[test]
    fn a_throttled_call_that_shards_cannot_help_is_never_looked_at(
        verb in "(Describe|List|Create|Delete|Update|Split|Merge|Get|Put|Tag|Start|Register|Subscribe)",
        noun in "(Stream|Streams|StreamSummary|Shards|ShardIterator|Limits|ShardCount|Resource|ToShard|[A-Z][a-z]{1,8})",
        code in "(LimitExceededException|ThrottlingException|ProvisionedThroughputExceededException)",
    ) {
        let scene = Scene::new(2).call(|c| (c.operation, c.error_code) = (format!("{verb}{noun}"), Some(code.clone())));
        let held = triage(&scene.signal, &scene.policy, &common::home());
        let subscribes = (verb.as_str(), noun.as_str()) == ("Subscribe", "ToShard");
        let why = if subscribes { Reason::TooManyReaders(ReadCall::SubscribeToShard) } else { Reason::ControlPlaneThrottled };
        prop_assert_eq!(held, Some(why));
    }

    #[test]
    fn readers_never_switch_the_mode(scene in scene()) {
        let decision = scene.decide();
        if decision.evidence.throttled_side == Some(Side::Reads) {
            let switches = matches!(decision.verdict, Verdict::Act(Remedy::SwitchToOnDemand { .. }));
            prop_assert!(!switches, "{:?}", decision.verdict);
        }
    }

    #[test]
    fn nothing_is_changed_for_readers_that_gain_ground(
        shards in 1u32..200,
        bytes in 0.0..1e12f64,
        refused in 1.0..100_000.0f64,
        behind in 60_001.0..86_400_000.0f64,
        gain in 1.0..10_000.0f64,
    ) {
        let scene = (-9..=0).fold(Scene::new(shards), |scene, ago: i64| {
            let minute = MinuteTraffic {
                read_throttled: refused,
                get_records_bytes: bytes,
                iterator_age_ms: Some(behind - gain * (ago + 4) as f64),
                ..MinuteTraffic::default()
            };
            scene.minutes(ago..=ago, minute)
        });
        prop_assert_eq!(scene.code(), "reader_catching_up");
    }

    #[test]
    fn what_readers_lack_is_evidence_of_every_look_at_traffic(scene in scene()) {
        let evidence = scene.decide().evidence;
        if let Some(newest) = evidence.newest() {
            let age = |ago: i64| scene.observation.traffic.minute(newest.plus(-ago)).iterator_age_ms;
            let oldest = age(0).into_iter().chain(age(1)).reduce(f64::max);
            prop_assert_eq!(evidence.iterator_age_milliseconds, oldest);
            prop_assert_eq!(evidence.data_loss_in_hours.is_some(), oldest.is_some_and(|age| age > 43_200_000.0));
        }
    }

    #[test]
    fn an_on_demand_stream_is_never_given_a_shard_count(scene in scene()) {
        let scene = scene.stream(|s| s.mode = CapacityMode::OnDemand);
        let shards = matches!(
            scene.decide().verdict,
            Verdict::Act(Remedy::ScaleShards { .. } | Remedy::SplitShard { .. } | Remedy::SwitchToOnDemand { .. })
        );
        prop_assert!(!shards);
    }
}
