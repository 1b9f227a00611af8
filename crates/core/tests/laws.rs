//! Laws that hold for every stream, load, memory and policy.

#[path = "laws/bounds.rs"]
mod bounds;
#[path = "laws/certain.rs"]
mod certain;
mod common;
#[path = "laws/ends.rs"]
mod ends;
#[path = "laws/foresight.rs"]
mod foresight;
#[path = "laws/sentences.rs"]
mod sentences;
mod strategies;
#[path = "laws/versions.rs"]
mod versions;

use bounds::{bounds_of_cost, bounds_of_metrics, bounds_of_mode, bounds_of_shards};
use certain::waits_or_is_certain;
use common::{Fixture, home, minutes_ago, newest, offered};
use proptest::prelude::*;
use proptest::string::string_regex;
use strategies::{fixture, raised};
use unthrottle_core::decide::triage;
use unthrottle_core::decision::{Decision, ReadCall, Reason, Remedy, Side, Verdict};
use unthrottle_core::memory::{ChangeKind, Memory, TAG};
use unthrottle_core::observation::{CapacityMode, MinuteTraffic, Shard, Status, WarmThroughput};
use unthrottle_core::policy::Mode;

/// The stream right after the remedy: AWS has accepted the change, and the memory is written.
fn after(fixture: &Fixture, decision: &Decision) -> Fixture {
    let Verdict::Act(remedy) = &decision.verdict else { return fixture.clone() };
    let memory = decision.memory.as_ref().expect("an act announces itself");
    let fixture = fixture.clone().memory(memory);
    let fixture = fixture.with(|f| f.observation.shards = f.observation.shards.as_ref().map(|_| vec![]));
    match remedy {
        Remedy::ScaleShards { to, .. }
        | Remedy::ScaleAhead { to, .. }
        | Remedy::SplitShard { to, .. }
        | Remedy::Restore { to, .. } => fixture.stream(|s| s.open_shards = *to),
        Remedy::SwitchToOnDemand { .. } => fixture.on_demand(),
        Remedy::SwitchToProvisioned { .. } => fixture.stream(|s| s.mode = CapacityMode::Provisioned),
        Remedy::WarmUp { to_mibps: to, .. } => fixture.stream(|s| {
            s.warm_throughput = Some(WarmThroughput { current_mibps: *to, target_mibps: *to });
        }),
        Remedy::EnableShardMetrics { .. } => fixture.shard_metrics(),
        Remedy::DisableShardMetrics { metrics, .. } => {
            fixture.stream(|s| s.shard_metrics.retain(|on| !metrics.contains(&on.as_str())))
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

/// The beginnings of the names of operations.
const VERBS: &str = "(Describe|List|Create|Delete|Update|Split|Merge|Get|Put|Tag|Start|Register|Subscribe)";

/// The ends of the names of operations.
const NOUNS: &str =
    "(Stream|Streams|StreamSummary|Shards|ShardIterator|Limits|ShardCount|Resource|ToShard|[A-Z][a-z]{1,8})";

/// The codes of a throttle.
const CODES: &str = "(LimitExceededException|ThrottlingException|ProvisionedThroughputExceededException)";

/// Any text of this pattern. A pattern as a strategy would be parsed for each case.
fn pattern(regex: &str) -> impl Strategy<Value = String> + use<> {
    string_regex(regex).expect("a pattern")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn a_change_stays_within_every_bound(fixture in fixture()) {
        let decision = fixture.decide();
        // The bounds of a new remedy belong here. Those of a restore are a law of their own.
        if let Verdict::Act(remedy) = &decision.verdict {
            match remedy {
                Remedy::ScaleShards { .. } | Remedy::ScaleAhead { .. } | Remedy::SplitShard { .. } => {
                    bounds_of_shards(&fixture, &decision)?;
                }
                Remedy::WarmUp { .. } | Remedy::SwitchToProvisioned { .. } | Remedy::SwitchToOnDemand { .. } => {
                    bounds_of_mode(&fixture, &decision)?;
                }
                Remedy::EnableShardMetrics { .. } | Remedy::DisableShardMetrics { .. } => {
                    bounds_of_metrics(&fixture, &decision)?;
                }
                Remedy::Restore { .. } => {}
            }
        }
        bounds_of_cost(&fixture, &decision)?;
    }

    #[test]
    fn a_restore_stays_within_every_bound(fixture in raised()) {
        let decision = fixture.decide();
        let open = fixture.open_shards();
        let base = Memory::parse(&fixture.observation.tags[TAG]).expect("readable").base.expect("raised");
        if let Verdict::Act(Remedy::Restore { from, to, .. }) = decision.verdict {
            prop_assert_eq!(from, open);
            prop_assert!(to < from && to >= base, "never below the shards from before");
            prop_assert!(2 * to >= from, "never below half");
            prop_assert!(to >= fixture.policy.min_shards);
            let (window, traffic) = (60 * i64::from(fixture.policy.restore_after_hours), &fixture.observation.traffic);
            for minute in newest().plus(1 - window).to(newest()).map(|minute| traffic.minute(minute)) {
                let headroom = f64::from(to) * fixture.policy.target_utilization + 1e-6;
                prop_assert!(!minute.is_throttled());
                prop_assert!(minute.incoming_records / 60.0 / 1000.0 <= headroom, "the writes still fit");
                prop_assert!(minute.get_records_bytes / 60.0 / 2_097_152.0 <= headroom, "the reads still fit");
            }
            prop_assert!(decision.evidence.reshards_last_24_hours < Some(8), "two are kept for more load");
            prop_assert!(decision.evidence.iterator_age_milliseconds.is_none_or(|age| age <= 60_000.0));
            let done = after(&fixture, &decision);
            prop_assert_eq!(done.code(), "settling");
        }
    }

    #[test]
    fn more_shards_never_cost_less(fixture in fixture()) {
        let decision = fixture.decide();
        if let (Verdict::Act(Remedy::ScaleShards { .. } | Remedy::SplitShard { .. }), Some(cost)) =
            (&decision.verdict, decision.cost)
        {
            prop_assert!(cost.after_usd_per_hour > cost.before_usd_per_hour);
        }
    }

    #[test]
    fn a_hot_shard_is_split_twice_a_day_at_most_while_one_half_keeps_the_load(
        hot in 1500.0..9000.0f64,
        idle in 0.0..100.0f64,
    ) {
        // One key: after each split, one half has all the load.
        let mut loads = vec![idle; 8];
        loads[2] = hot;
        let mut fixture = Fixture::of_shards(&loads);
        let mut splits = 0;
        loop {
            let decision = fixture.decide();
            let Verdict::Act(Remedy::SplitShard { shard, .. }) = &decision.verdict else {
                prop_assert_eq!(decision.verdict.code(), "hot_key");
                prop_assert_eq!(decision.evidence.diagnostic_splits, Some(2));
                break;
            };
            splits += 1;
            let mut memory = decision.memory.clone().expect("an intent");
            let change = memory.change.as_mut().expect("an intent");
            // 20 minutes pass: the change has settled.
            change.at = minutes_ago(20);
            change.settled = Some(minutes_ago(19));
            memory.split_histories.iter_mut().for_each(|history| history.at = minutes_ago(20));
            let parent = Shard::number_in(shard).expect("a number");
            loads.push(0.0);
            let last = loads.len() - 1;
            fixture = Fixture::of_shards(&loads).halves_of(parent, [2, last]).memory(&memory);
            fixture = fixture.shard(2, |shard| shard.id = format!("shardId-{:012}", 50 + splits));
        }
        prop_assert_eq!(splits, 2);
    }

    #[test]
    fn an_act_announces_itself_in_a_memory_that_fits(fixture in fixture()) {
        let decision = fixture.decide();
        if let Verdict::Act(remedy) = &decision.verdict {
            let memory = decision.memory.expect("an intent");
            let change = memory.change.clone().expect("an intent");
            prop_assert_eq!((change.from, change.to), remedy.step());
            prop_assert_eq!(Memory::parse(&memory.encode().expect("fits")), Ok(memory));
        }
    }

    #[test]
    fn the_same_input_gives_the_same_output(fixture in fixture()) {
        prop_assert_eq!(fixture.decide(), fixture.clone().decide());
    }

    #[test]
    fn a_decision_after_its_own_remedy_holds(fixture in fixture()) {
        let decision = fixture.decide();
        if let Verdict::Act(_) = decision.verdict {
            let done = after(&fixture, &decision);
            waits_or_is_certain(&done)?;
            prop_assert_eq!(done.clone().stream(|s| s.status = Status::Updating).code(), "resharding");
            // The change was not applied: the intent is young.
            prop_assert_eq!(fixture.memory(decision.memory.as_ref().expect("an intent")).code(), "settling");
        }
    }

    #[test]
    fn a_hold_writes_its_memory_only_once(fixture in fixture()) {
        let decision = fixture.decide();
        if let (Verdict::Hold(_), Some(memory)) = (&decision.verdict, &decision.memory) {
            let again = fixture.clone().memory(memory).decide();
            // An undo may follow a change that is recorded as healed: its intent is another record. A restore that is
            // not possible is another record, too, and is written once.
            if let (Verdict::Hold(_), Some(tried)) = (&again.verdict, &again.memory) {
                let (first, second) = (memory.encode(), tried.encode());
                prop_assert_ne!(tried.restore_tried, memory.restore_tried, "{:?}, then {:?}", first, second);
                prop_assert_eq!(&Memory { restore_tried: memory.restore_tried, ..tried.clone() }, memory);
                prop_assert_eq!(fixture.memory(tried).decide().memory, None);
            }
        }
    }

    #[test]
    fn a_stream_that_updates_is_never_changed(fixture in fixture()) {
        prop_assert_eq!(fixture.stream(|s| s.status = Status::Updating).code(), "resharding");
    }

    #[test]
    fn a_stream_that_opted_out_is_never_changed(fixture in fixture()) {
        prop_assert_eq!(fixture.clone().tag("unthrottle.mode", "off").code(), "opted_out");
        let observed = fixture.tag("unthrottle.mode", "observe").decide();
        prop_assert_eq!((observed.memory, observed.mode), (None, Mode::Observe));
    }

    #[test]
    fn a_healthy_stream_is_left_alone(fixture in fixture()) {
        let mut quiet = fixture;
        let minutes = std::mem::take(&mut quiet.observation.traffic);
        for ago in -20..=0 {
            let offered = minutes.minute(newest().plus(ago));
            let minute = MinuteTraffic { write_throttled: 0.0, read_throttled: 0.0, ..offered };
            quiet = quiet.minutes(ago..=ago, minute);
        }
        // Only changes of ours are undone.
        let remedy = match quiet.decide().verdict {
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
            let fixture = Fixture::new(open).minutes(-9..=0, offered(load, open));
            shards(&fixture.policy(|p| p.target_utilization = utilization).decide(), open)
        };
        prop_assert!(decide(load * more) >= decide(load));
    }

    #[test]
    fn a_throttled_call_that_shards_cannot_help_is_never_observed(
        verb in pattern(VERBS),
        noun in pattern(NOUNS),
        code in pattern(CODES),
    ) {
        let operation = format!("{verb}{noun}");
        let fixture = Fixture::new(2).call(|c| (c.operation, c.error_code) = (operation, Some(code)));
        let held = triage(&fixture.signal, &fixture.policy, &home());
        let subscribes = (verb.as_str(), noun.as_str()) == ("Subscribe", "ToShard");
        let why =
            if subscribes { Reason::TooManyReaders(ReadCall::SubscribeToShard) } else { Reason::ControlPlaneThrottled };
        prop_assert_eq!(held, Some(why));
    }

    #[test]
    fn throttled_readers_never_switch_the_mode(fixture in fixture()) {
        let decision = fixture.decide();
        if decision.evidence.throttled_side == Some(Side::Reads) {
            let switches = matches!(decision.verdict, Verdict::Act(Remedy::SwitchToOnDemand { .. }));
            prop_assert!(!switches, "{:?}", decision.verdict);
        }
    }

    #[test]
    fn readers_that_gain_ground_change_nothing(
        shards in 1u32..200,
        bytes in 0.0..1e12f64,
        refused in 1.0..100_000.0f64,
        behind in 60_001.0..86_400_000.0f64,
        gain in 1.0..10_000.0f64,
    ) {
        let fixture = (-9..=0).fold(Fixture::new(shards), |fixture, ago: i64| {
            let minute = MinuteTraffic {
                read_throttled: refused,
                get_records_bytes: bytes,
                iterator_age_ms: Some(behind - gain * (ago + 4) as f64),
                ..MinuteTraffic::default()
            };
            fixture.minutes(ago..=ago, minute)
        });
        prop_assert_eq!(fixture.code(), "reader_catching_up");
    }

    #[test]
    fn every_decision_on_traffic_has_the_age_of_its_readers_as_evidence(fixture in fixture()) {
        let evidence = fixture.decide().evidence;
        if let Some(newest) = evidence.newest() {
            let age = |ago: i64| fixture.observation.traffic.minute(newest.plus(-ago)).iterator_age_ms;
            let oldest = age(0).into_iter().chain(age(1)).reduce(f64::max);
            // Where the two newest minutes have no age, the newest of five minutes counts.
            let oldest = oldest.or_else(|| (2..5).find_map(age));
            prop_assert_eq!(evidence.iterator_age_milliseconds, oldest);
        }
    }

    #[test]
    fn an_on_demand_stream_is_never_given_a_shard_count(fixture in fixture()) {
        let fixture = fixture.stream(|s| s.mode = CapacityMode::OnDemand);
        let shards = matches!(
            fixture.decide().verdict,
            Verdict::Act(Remedy::ScaleShards { .. } | Remedy::SplitShard { .. } | Remedy::SwitchToOnDemand { .. })
        );
        prop_assert!(!shards);
    }
}
