//! The decision table: one named row for each situation that a person could ask about.

mod common;

use chrono::TimeDelta;
use common::{Scene, home, newest, now, offered, scaled, settled};
use unthrottle_core::decide::{Pending, MissingData, pending, triage};
use unthrottle_core::decision::{AwsLimit, Bound, Reason, Remedy, Verdict};
use unthrottle_core::memory::{Change, ChangeKind, Memory, ShardMetrics};
use unthrottle_core::observation::{CapacityMode, Commitment, Fleet, Limits, Minute, MinuteTraffic, Status};
use unthrottle_core::policy::{Mode, Permission, Policy, Scope};
use unthrottle_core::report::Document;
use unthrottle_core::signal::{Alarm, Signal, StreamArn};

const EXCEEDED: &str = "ProvisionedThroughputExceededException";

fn unseen(scene: Scene) -> &'static str {
    let reason = triage(&scene.signal, &scene.policy, &home()).map(Verdict::Hold);
    reason.as_ref().map_or("look", Verdict::code)
}

fn call(operation: &str, code: &str) -> Scene {
    Scene::new(2).call(|c| (c.operation, c.error_code) = (operation.into(), Some(code.into())))
}

fn alarm(change: impl FnOnce(&mut Alarm)) -> Scene {
    let mut alarm = Alarm {
        name: "orders-throttled".into(),
        state: "ALARM".into(),
        account: Some(home().account),
        region: Some(home().region),
        on_kinesis: true,
        stream: StreamArn::new("orders", &home()),
        ..Alarm::default()
    };
    change(&mut alarm);
    Scene::new(2).with(|s| s.signal = Signal::Alarm(alarm))
}

const REFUSED: &str = "SubscribeToShard.RateExceeded";
const SUBSCRIBED: &str = "SubscribeToShard.Success";

fn alarm_on(metrics: &[&str]) -> Scene {
    alarm(|a| a.metrics = metrics.iter().copied().map(str::to_owned).collect())
}

/// Ten minutes of reading from two shards; `age`: how many milliseconds readers are behind, so many minutes before the
/// newest.
fn reading(throttled: f64, bytes: f64, calls: f64, age: impl Fn(i64) -> f64) -> Scene {
    (-9..=0).fold(Scene::new(2), |scene, ago| {
        let minute = MinuteTraffic {
            read_throttled: throttled,
            get_records_bytes: bytes,
            get_records_calls: calls,
            iterator_age_ms: Some(age(ago)),
            ..MinuteTraffic::default()
        };
        scene.minutes(ago..=ago, minute)
    })
}

/// A MiB a second, in a minute.
const MIB: f64 = 1_048_576.0 * 60.0;
const HOUR: f64 = 3_600_000.0;

fn check(rows: Vec<(&str, &str, &str)>) {
    let wrong: Vec<_> = rows.iter().filter(|(_, want, got)| want != got).collect();
    assert!(wrong.is_empty(), "(situation, expected, decided): {wrong:#?}");
}

#[test]
fn from_the_signal_alone() {
    let other = StreamArn::parse("arn:aws:kinesis:us-east-1:999999999999:stream/orders");
    let role = "arn:aws:iam::123456789012:role/ops/unthrottle-role";
    let own = |by: fn(&mut unthrottle_core::signal::Caller, String), arn: &str| {
        let scene = call("PutRecords", EXCEEDED).policy(|p| p.role_arn = Some(role.into()));
        scene.call(|c| by(&mut c.caller, arn.into()))
    };
    let kms_message = "User: u is not authorized to perform: kms:GenerateDataKey on resource: k";
    let rows = vec![
        ("a throttled PutRecords", "look", unseen(call("PutRecords", EXCEEDED))),
        ("a throttled PutRecord", "look", unseen(call("PutRecord", EXCEEDED))),
        ("a throttled GetRecords", "look", unseen(call("GetRecords", EXCEEDED))),
        ("an injected throttle", "look", unseen(call("PutRecord", "ThrottlingException"))),
        ("a dry run", "not_a_throttle", unseen(call("PutRecords", "DryRunOperationException"))),
        ("a call that succeeded", "not_a_throttle", unseen(Scene::new(2).call(|c| c.error_code = None))),
        ("an internal failure", "not_a_throttle", unseen(call("PutRecords", "InternalFailure"))),
        ("a code in another script", "not_a_throttle", unseen(call("PutRecords", "ÀÉ"))),
        (
            "an account that is not ours",
            "not_ours",
            unseen(call("PutRecords", EXCEEDED).call(|c| c.account = Some("9".repeat(12)))),
        ),
        (
            "a region that is not ours",
            "not_ours",
            unseen(call("PutRecords", EXCEEDED).call(|c| c.region = Some("eu-west-1".into()))),
        ),
        (
            "a stream of another account",
            "not_ours",
            unseen(call("PutRecords", EXCEEDED).call(|c| c.stream = other.clone())),
        ),
        ("our own call, by its role", "own_call", unseen(own(|c, arn| c.role = Some(arn), role))),
        (
            "our own call, by its session",
            "own_call",
            unseen(own(|c, arn| c.principal = Some(arn), "arn:aws:sts::123456789012:assumed-role/unthrottle-role/f")),
        ),
        (
            "a role whose name begins like ours",
            "look",
            unseen(own(|c, arn| c.principal = Some(arn), "arn:aws:sts::123456789012:assumed-role/unthrottle-role-2/f")),
        ),
        (
            "denied, as CloudTrail writes it",
            "access_denied",
            unseen(call("PutRecord", "AccessDenied").call(|c| c.stream = None)),
        ),
        ("denied, as SDKs see it", "access_denied", unseen(call("PutRecord", "AccessDeniedException"))),
        ("denied by KMS", "kms_denied", unseen(call("PutRecords", "KMSAccessDeniedException"))),
        ("a disabled key", "kms_denied", unseen(call("PutRecords", "KMSDisabledException"))),
        (
            "denied by KMS, in the message",
            "kms_denied",
            unseen(call("PutRecords", "AccessDenied").call(|c| c.error_message = Some(kms_message.into()))),
        ),
        ("throttled by KMS", "kms_throttled", unseen(call("PutRecords", "KMSThrottlingException"))),
        ("a throttled ListShards", "control_plane_throttled", unseen(call("ListShards", "LimitExceededException"))),
        ("a throttled GetShardIterator", "control_plane_throttled", unseen(call("GetShardIterator", EXCEEDED))),
        ("too many subscriptions", "too_many_readers", unseen(call("SubscribeToShard", "LimitExceededException"))),
        (
            "too many subscriptions, injected",
            "too_many_readers",
            unseen(call("SubscribeToShard", "ThrottlingException")),
        ),
        ("too many subscriptions, by another code", "too_many_readers", unseen(call("SubscribeToShard", EXCEEDED))),
        (
            "too many subscriptions to who knows what",
            "too_many_readers",
            unseen(call("SubscribeToShard", "LimitExceededException").call(|c| c.stream = None)),
        ),
        (
            "a subscription renewed within 5 seconds",
            "not_a_throttle",
            unseen(call("SubscribeToShard", "ResourceInUseException")),
        ),
        ("a subscription that is denied", "access_denied", unseen(call("SubscribeToShard", "AccessDeniedException"))),
        (
            "a refused switch of mode",
            "control_plane_throttled",
            unseen(call("UpdateStreamMode", "LimitExceededException")),
        ),
        (
            "LimitExceeded is never capacity",
            "control_plane_throttled",
            unseen(call("PutRecords", "LimitExceededException")),
        ),
        (
            "an operation that nobody knows",
            "control_plane_throttled",
            unseen(call("FrobStream", "ThrottlingException")),
        ),
        (
            "a throttled queue",
            "not_ours",
            unseen(call("ReceiveQueueRecords", "ThrottlingException").call(|c| c.stream = None)),
        ),
        ("a throttled ListQueues", "control_plane_throttled", unseen(call("ListQueues", "LimitExceededException"))),
        ("a throttle without a stream", "not_ours", unseen(call("PutRecords", EXCEEDED).call(|c| c.stream = None))),
        ("an alarm on a stream", "look", unseen(alarm(|_| ()))),
        ("an alarm on something else", "not_ours", unseen(alarm(|a| (a.on_kinesis, a.stream) = (false, None)))),
        ("an alarm on several streams", "not_ours", unseen(alarm(|a| a.stream = None))),
        ("an alarm on subscriptions", "too_many_readers", unseen(alarm_on(&[REFUSED]))),
        ("an alarm on the share of subscriptions", "too_many_readers", unseen(alarm_on(&[REFUSED, SUBSCRIBED]))),
        ("an alarm on subscriptions that succeed", "look", unseen(alarm_on(&[SUBSCRIBED]))),
        (
            "an alarm on subscriptions and writes",
            "look",
            unseen(alarm_on(&[REFUSED, "WriteProvisionedThroughputExceeded"])),
        ),
        (
            "an alarm on subscriptions, gone back to OK",
            "recovered",
            unseen(alarm_on(&[REFUSED]).with(|s| {
                if let Signal::Alarm(a) = &mut s.signal {
                    a.state = "OK".into();
                }
            })),
        ),
        ("a muted alarm", "muted", unseen(alarm(|a| a.muted_by = Some("rule".into())))),
        ("an alarm gone back to OK", "recovered", unseen(alarm(|a| a.state = "OK".into()))),
        ("an alarm without data", "recovered", unseen(alarm(|a| a.state = "INSUFFICIENT_DATA".into()))),
        ("a person who asks", "look", unseen(Scene::new(2).asked())),
        ("switched off for all", "opted_out", unseen(Scene::new(2).policy(|p| p.mode = Mode::Off))),
    ];
    check(rows);
}

#[test]
fn after_looking() {
    let load = || Scene::under_load(2, 3000.0);
    let mib = MIB;
    let late = |s: &mut Scene| {
        if let Signal::Throttle(c) = &mut s.signal {
            c.time = Some(now())
        }
    };
    let refused = |count, seconds| {
        let once = Memory::default().refuse(ChangeKind::Scale, now() - TimeDelta::seconds(seconds), true);
        (1..count).fold(once, |m, _| m.refuse(ChangeKind::Scale, now() - TimeDelta::seconds(seconds), true))
    };
    let spent = |times: i64| {
        (0..times).rev().fold(Memory::default(), |m, i| {
            let change =
                unthrottle_core::memory::Change::intent(ChangeKind::Scale, 2, 2, now() - TimeDelta::hours(2 + i));
            m.intend(change, false)
        })
    };
    let budget_spent = || {
        let mut memory = spent(10);
        let change = memory.change.as_mut().expect("just made");
        let at = change.at;
        (change.settled, change.healed) = (Some(at), Some(at));
        load().memory(&memory).counted(at)
    };
    let full = |s: &mut Scene| s.observation.limits.as_mut().expect("known").open_shards = 500;
    let healthy = || Scene::new(2).minutes(-9..=0, offered(1000.0, 2));
    let slow = |age| {
        let minute = MinuteTraffic { iterator_age_ms: Some(age), ..offered(1000.0, 2) };
        Scene::new(2).minutes(-9..=0, minute)
    };
    let rows = vec![
        ("no such stream", "stream_gone", load().with(|s| s.observation.stream = None).code()),
        ("being deleted", "stream_gone", load().stream(|s| s.status = Status::Deleting).code()),
        ("being created", "not_ready", load().stream(|s| (s.status, s.open_shards) = (Status::Creating, 0)).code()),
        ("a status of the future", "not_ready", load().stream(|s| s.status = Status::Unknown("MELTING".into())).code()),
        ("a mode of the future", "not_ready", load().stream(|s| s.mode = CapacityMode::Unknown("NONE".into())).code()),
        ("opted out by tag", "opted_out", load().tag("unthrottle.mode", "off").code()),
        (
            "opted out by tag, even with another bad tag",
            "opted_out",
            load().tag("unthrottle.mode", "off").tag("unthrottle.max-shards", "?").code(),
        ),
        ("not tagged in scope tagged", "opted_out", load().policy(|p| p.scope = Scope::Tagged).code()),
        ("a tag that cannot be read", "bad_policy_tag", load().tag("unthrottle.max-shards", "plenty").code()),
        ("a memory that cannot be read", "bad_memory", load().tag("unthrottle.memory", "gone fishing").code()),
        ("a memory of another version", "bad_memory", load().tag("unthrottle.memory", "v=9").code()),
        ("a change under way", "resharding", load().stream(|s| s.status = Status::Updating).code()),
        ("an intent of moments ago", "settling", load().changed(2, 4, 30).code()),
        (
            "changed, and no minute since published",
            "settling",
            load().stream(|s| s.open_shards = 4).changed(2, 4, 60).code(),
        ),
        ("an intent that was never carried out", "scale_shards", load().changed(2, 4, 121).code()),
        ("settled before the last published minute", "scale_shards", load().memory(&settled(1, 2, 400, 60)).code()),
        ("throttled after the newest minute", "evidence_pending", healthy().with(late).code()),
        ("throttled in a minute that is published", "healthy", healthy().code()),
        ("a person asks about a healthy stream", "healthy", healthy().asked().code()),
        ("a stream that nobody writes to", "healthy", Scene::new(2).asked().code()),
        ("throttling that stopped three minutes ago", "healthy", healthy().minutes(-6..=-3, offered(3000.0, 2)).code()),
        (
            "throttling that stopped when everything did",
            "healthy",
            Scene::new(2).minutes(-30..=-10, offered(3000.0, 2)).asked().code(),
        ),
        ("a reader 13 of 24 hours behind", "consumer_slow", slow(13.0 * 3_600_000.0).code()),
        ("a reader 11 of 24 hours behind", "healthy", slow(11.0 * 3_600_000.0).code()),
        (
            "one record in a thousand refused",
            "negligible",
            Scene::new(2).minutes(-9..=0, MinuteTraffic { write_throttled: 60.0, ..offered(1000.0, 2) }).code(),
        ),
        ("one throttled minute", "scale_shards", healthy().minutes(0..=0, offered(3000.0, 2)).code()),
        (
            "one throttled minute, and two are needed",
            "unconfirmed",
            healthy().minutes(0..=0, offered(3000.0, 2)).policy(|p| p.confirm_minutes = 2).code(),
        ),
        (
            "one throttled minute of the same incident, and two are needed for the first",
            "scale_shards",
            healthy()
                .minutes(0..=0, offered(3000.0, 2))
                .memory(&settled(1, 2, 400, 60))
                .policy(|p| p.confirm_minutes = 2)
                .code(),
        ),
        ("an intent of 44 seconds", "settling", load().changed(2, 4, 44).code()),
        ("an intent of 45 seconds, for Lambda's retry", "scale_shards", load().changed(2, 4, 45).code()),
        ("a memory from the future", "bad_memory", load().changed(2, 4, -3600).code()),
        (
            "heavy throttling that has come down to a trace",
            "negligible",
            load()
                .minutes(-1..=-1, offered(1000.0, 2))
                .minutes(0..=0, MinuteTraffic { write_throttled: 1.0, ..offered(1000.0, 2) })
                .code(),
        ),
        (
            "an intent that AWS refused",
            "refused_lately",
            load().memory(&scaled(2, 4, 30).refuse(ChangeKind::Scale, now() - TimeDelta::seconds(30), true)).code(),
        ),
        (
            "an intent that AWS refused a minute ago",
            "scale_shards",
            load().memory(&scaled(2, 4, 70).refuse(ChangeKind::Scale, now() - TimeDelta::seconds(70), true)).code(),
        ),
        ("refused a moment ago", "refused_lately", load().memory(&refused(1, 50)).code()),
        ("refused a minute ago", "scale_shards", load().memory(&refused(1, 61)).code()),
        ("refused twice within the hour", "refused_lately", load().memory(&refused(2, 3590)).code()),
        ("refused twice, an hour ago", "switch_to_on_demand", load().memory(&refused(2, 3601)).code()),
        ("more load than shards", "scale_shards", load().code()),
        ("more load than shards, asked by a person", "scale_shards", load().asked().code()),
        (
            "shards enough for the load",
            "skew_suspected",
            Scene::new(8).minutes(-9..=0, MinuteTraffic { write_throttled: 60_000.0, ..offered(2000.0, 8) }).code(),
        ),
        ("at the user's maximum", "at_max_shards", load().policy(|p| p.max_shards = 2).code()),
        ("above the user's maximum", "at_max_shards", load().tag("unthrottle.max-shards", "1").code()),
        (
            "at the maximum, and AWS has no room either",
            "at_max_shards",
            load().policy(|p| p.max_shards = 2).with(full).code(),
        ),
        ("no shards left in the account", "switch_to_on_demand", load().with(full).code()),
        (
            "no shards left, on-demand denied",
            "at_account_quota",
            load().with(full).policy(|p| p.on_demand = Permission::Deny).code(),
        ),
        (
            "no shards left, on-demand denied by tag",
            "at_account_quota",
            load().with(full).tag("unthrottle.on-demand", "deny").code(),
        ),
        (
            "no shards left, nor on-demand streams",
            "at_account_quota",
            load().with(full).with(|s| s.observation.limits.as_mut().expect("known").on_demand_streams = 50).code(),
        ),
        ("ten reshards today", "switch_to_on_demand", budget_spent().code()),
        (
            "ten reshards today, on-demand denied",
            "reshard_budget_spent",
            budget_spent().policy(|p| p.on_demand = Permission::Deny).code(),
        ),
        ("limits that AWS would not tell", "scale_shards", load().with(|s| s.observation.limits = None).code()),
        ("on-demand, throttled for ten minutes", "on_demand_adapting", load().on_demand().code()),
        (
            "on-demand, throttled for fifteen minutes",
            "on_demand_ceiling",
            Scene::new(2).minutes(-14..=0, offered(3000.0, 2)).on_demand().code(),
        ),
        (
            "on-demand, throttled once in each block",
            "on_demand_ceiling",
            healthy()
                .minutes(-14..=-14, offered(3000.0, 2))
                .minutes(-7..=-7, offered(3000.0, 2))
                .minutes(-1..=0, offered(3000.0, 2))
                .on_demand()
                .code(),
        ),
        (
            "a reader that gains ground",
            "reader_catching_up",
            reading(9.0, 3.5 * mib, 600.0, |ago| 600_000.0 - 30_000.0 * (ago + 9) as f64).code(),
        ),
        ("readers bound by bytes", "scale_shards", reading(9.0, 3.5 * mib, 600.0, |_| 500.0).code()),
        (
            "readers bound by bytes on every shard, after an outage",
            "reader_catching_up",
            reading(500.0, 4.0 * mib, 600.0, |ago| 20.0 * HOUR - 60_000.0 * ago as f64).code(),
        ),
        (
            "on-demand readers that gain ground",
            "reader_catching_up",
            reading(9.0, 4.0 * mib, 600.0, |ago| HOUR - 60_000.0 * ago as f64).on_demand().code(),
        ),
        (
            "readers bound by bytes that lose ground",
            "scale_shards",
            reading(9.0, 3.5 * mib, 600.0, |ago| HOUR + 60_000.0 * ago as f64).code(),
        ),
        (
            "readers bound by bytes, and no shards left",
            "at_account_quota",
            reading(9.0, 3.5 * mib, 600.0, |_| 500.0).with(full).code(),
        ),
        (
            "readers bound by bytes, at the user's maximum",
            "at_max_shards",
            reading(9.0, 3.5 * mib, 600.0, |_| 500.0).policy(|p| p.max_shards = 2).code(),
        ),
        (
            "readers refused, by few calls and few bytes",
            "uneven_reads",
            reading(60.0, 0.5 * mib, 180.0, |_| 500.0).code(),
        ),
        (
            "readers that drain the shards that we closed",
            "reader_catching_up",
            reading(60.0, 0.5 * mib, 600.0, |_| 120_000.0).memory(&settled(1, 2, 300, 60)).code(),
        ),
        (
            "throttled readers, 13 of 24 hours behind",
            "too_many_readers",
            reading(60.0, mib, 600.0, |_| 13.0 * HOUR).code(),
        ),
        ("a reader that is later than the retention", "consumer_slow", slow(25.0 * HOUR).code()),
        (
            "a reader 13 hours behind, records kept for a week",
            "healthy",
            slow(13.0 * HOUR).stream(|s| s.retention_hours = 168).code(),
        ),
        ("readers bound by calls", "too_many_readers", reading(60.0, 0.5 * mib, 600.0, |_| 500.0).code()),
        ("one GetRecords in a thousand refused", "negligible", reading(0.5, 0.5 * mib, 600.0, |_| 500.0).code()),
        (
            "on-demand readers bound by bytes",
            "on_demand_adapting",
            reading(9.0, 3.5 * mib, 600.0, |_| 500.0).on_demand().code(),
        ),
        (
            "on-demand readers bound by calls",
            "too_many_readers",
            reading(60.0, 0.5 * mib, 600.0, |_| 500.0).on_demand().code(),
        ),
    ];
    check(rows);
}

fn scaled_to(scene: &Scene) -> (u32, u32, Option<Bound>) {
    match scene.decide().verdict {
        Verdict::Act(Remedy::ScaleShards { from, to, partial }) => (from, to, partial),
        other => panic!("no scale_shards: {other:?}"),
    }
}

#[test]
fn the_target_carries_the_offered_load_at_the_target_utilization() {
    assert_eq!(scaled_to(&Scene::under_load(2, 2200.0)), (2, 3, None));
    assert_eq!(scaled_to(&Scene::under_load(4, 4600.0)), (4, 7, None), "4.6 of 0.75 is 6.13");
    assert_eq!(scaled_to(&Scene::under_load(8, 8200.0)), (8, 12, None), "10.9 is 11, and 12 is one and a half times 8");
    assert_eq!(scaled_to(&Scene::under_load(2, 9000.0)), (2, 4, Some(Bound::Double)));
}

#[test]
fn a_load_that_outgrows_two_changes_of_the_day_gets_twice_what_it_needs() {
    let after = |changes: i64| {
        let earlier = (1..changes).rev().map(|hours| now() - TimeDelta::hours(6 + hours));
        let mut memory = settled(6, 8, 6 * 3_600, 60);
        memory.change.iter_mut().for_each(|change| change.healed = change.settled);
        memory.reshards = earlier.chain(memory.reshards).collect();
        Scene::under_load(8, 9000.0).memory(&memory)
    };
    assert_eq!(scaled_to(&after(1)), (8, 12, None));
    assert_eq!(scaled_to(&after(2)), (8, 16, None), "24, but AWS doubles at most");
    let steps = settled(4, 8, 400, 60);
    let reshards = std::iter::once(now() - TimeDelta::seconds(900)).chain(steps.reshards.clone()).collect();
    let of_one_incident = Scene::under_load(8, 9000.0).memory(&Memory { reshards, ..steps });
    assert_eq!(scaled_to(&of_one_incident), (8, 12, None), "no more than is seen of it");
    assert_eq!(scaled_to(&after(2).policy(|p| p.max_shards = 14)), (8, 14, None), "it needs 12");
    assert_eq!(scaled_to(&after(2).policy(|p| p.max_shards = 11)), (8, 11, Some(Bound::MaxShards)));
}

#[test]
fn a_partial_step_names_its_bound() {
    let max = Scene::under_load(4, 9000.0).policy(|p| p.max_shards = 6);
    assert_eq!(scaled_to(&max), (4, 6, Some(Bound::MaxShards)));
    let left = |left: u32| {
        Scene::under_load(8, 9500.0).with(|s| {
            let open_shards = 500 - left;
            s.observation.limits =
                Some(Limits { shard_limit: 500, open_shards, on_demand_streams: 0, on_demand_stream_limit: 50 });
        })
    };
    assert_eq!(scaled_to(&left(12)), (8, 14, None), "8 → 14 goes over 8 + 12 shards");
    assert_eq!(scaled_to(&left(11)), (8, 16, None), "doubling takes no short-lived shards");
    assert_eq!(scaled_to(&left(8)), (8, 16, None));
    let bounded = |max| left(8).policy(|p| (p.max_shards, p.max_shards_ceiling) = (max, max));
    assert_eq!(scaled_to(&bounded(15)), (8, 12, Some(Bound::AccountQuota)), "8 → 12 goes over 16");
    let denied = |left: Scene| left.policy(|p| p.on_demand = Permission::Deny);
    let widest = denied(left(7)).decide().verdict;
    let is_partial =
        |v: &Verdict| matches!(v, Verdict::Act(Remedy::SplitShard { partial: Some(Bound::AccountQuota), .. }));
    assert!(is_partial(&widest), "one shard more is better than none: {widest:?}");
    assert_eq!(denied(left(7)).decide().memory.expect("an intent").split_histories, [], "nothing is diagnosed by it");
    assert!(sentence(&denied(left(7))).contains("a partial step: the account's shard quota"));
    assert_eq!(denied(left(0)).code(), "at_account_quota");
    // $0.015 a shard-hour, and the records: 9 shards, not 10.
    let bill = |shards: u32| {
        Scene::under_load(8, 9500.0).decide().cost.map(|c| c.before_usd_per_hour + f64::from(shards - 8) * 0.015)
    };
    let dear = Scene::under_load(8, 9500.0).policy(|p| p.max_hourly_cost = Some(bill(9).expect("known") + 0.001));
    assert_eq!(scaled_to(&dear), (8, 9, Some(Bound::MaxCost)));
}

#[test]
fn a_load_of_unknown_size_doubles_the_stream() {
    let blind = MinuteTraffic { write_throttled: 600.0, ..MinuteTraffic::default() };
    assert_eq!(scaled_to(&Scene::new(3).minutes(-9..=0, blind)).1, 6);
}

fn sentence(scene: &Scene) -> String {
    let decision = scene.decide();
    Document::new(&scene.signal, scene.observation.stream.as_ref(), &decision, None).sentence
}

#[test]
fn call_bound_readers_are_told_how_many_pollers_they_imply() {
    let scene = reading(60.0, 0.5 * MIB, 600.0, |_| 500.0);
    let evidence = scene.decide().evidence;
    assert_eq!(evidence.get_records_calls_per_shard_per_second, Some(5.5), "660 a minute to two shards");
    assert_eq!(evidence.implied_pollers, Some(6));
    let says = sentence(&scene);
    for part in ["5.5 GetRecords a second to each shard", "5 are shared", "6 pollers", "fewer consumers", "fan-out"] {
        assert!(says.contains(part), "{part}: {says}");
    }
    let even = reading(120.0, 0.5 * MIB, 600.0, |_| 500.0).decide().evidence;
    assert_eq!(even.implied_pollers, Some(6), "six calls a second are six pollers");
    let uneven = reading(60.0, 0.5 * MIB, 180.0, |_| 500.0);
    assert_eq!((uneven.code(), uneven.decide().evidence.implied_pollers), ("uneven_reads", None));
    assert!(sentence(&uneven).contains("2.0 GetRecords a second to each shard are within"), "{}", sentence(&uneven));
    let by_bytes = reading(9.0, 3.5 * MIB, 600.0, |_| 500.0).decide().evidence;
    assert_eq!((by_bytes.implied_pollers, by_bytes.get_records_calls_per_shard_per_second), (None, Some(5.075)));
}

#[test]
fn refused_subscriptions_are_told_by_whom_and_on_what() {
    let consumer = "arn:aws:kinesis:us-east-1:123456789012:stream/orders/consumer/app:1789813511";
    let scene = call("SubscribeToShard", "LimitExceededException").call(|c| {
        c.caller.principal = Some("arn:aws:iam::123456789012:user/reader".into());
        c.resource = Some(consumer.into());
    });
    let said = |scene: &Scene| {
        let reason = triage(&scene.signal, &scene.policy, &home()).expect("held");
        let decision = unthrottle_core::decide::hold_unobserved(reason, &scene.policy);
        Document::new(&scene.signal, None, &decision, None).sentence
    };
    let says = said(&scene);
    for part in
        ["orders: SubscribeToShard of arn:aws:iam::123456789012:user/reader", consumer, "once a second", "back off"]
    {
        assert!(says.contains(part), "{part}: {says}");
    }
    assert!(said(&alarm_on(&[REFUSED])).contains("a registered consumer of its own"));
}

#[test]
fn a_reshard_is_said_to_leave_the_backlog_where_it_is() {
    let left = "that backlog stays on the old shards";
    let scaled = |age: f64| reading(9.0, 3.5 * MIB, 600.0, move |_| age);
    let late = sentence(&scaled(12.0 * 60_000.0));
    assert!(late.contains("Readers are 12 minutes behind") && late.contains(left), "{late}");
    assert!(sentence(&scaled(3.0 * HOUR)).contains("Readers are 3.0 hours behind"));
    assert!(!sentence(&scaled(60_000.0)).contains(left), "a minute is polling");
    let late = MinuteTraffic { iterator_age_ms: Some(12.0 * 60_000.0), ..offered(3000.0, 2) };
    let writes = || Scene::new(2).minutes(-9..=0, late);
    assert!(sentence(&writes()).contains(left), "whoever is throttled");
    assert!(sentence(&writes().tag("unthrottle.mode", "observe")).contains(left));
    let full = writes().with(|s| s.observation.limits.as_mut().expect("known").open_shards = 500);
    assert_eq!(full.code(), "switch_to_on_demand");
    assert!(!sentence(&full).contains(left), "no reshard");
}

#[test]
fn data_about_to_be_lost_is_said_whatever_is_decided() {
    let lost = |scene: &Scene| scene.decide().evidence.data_loss_in_hours;
    let throttled = reading(60.0, 0.5 * MIB, 600.0, |_| 13.0 * HOUR);
    assert_eq!((throttled.code(), lost(&throttled)), ("too_many_readers", Some(11.0)));
    assert!(sentence(&throttled).contains("deleted in 11.0 hours: raise the retention now"));
    let quiet = reading(0.0, 0.5 * MIB, 600.0, |_| 13.0 * HOUR);
    assert_eq!((quiet.code(), lost(&quiet)), ("consumer_slow", Some(11.0)));
    for part in ["13.0 hours behind", "in 11.0 hours", "concurrency", "parallelization factor", "batch size", "poison"]
    {
        assert!(sentence(&quiet).contains(part), "{part}: {}", sentence(&quiet));
    }
    assert_eq!(lost(&reading(60.0, 0.5 * MIB, 600.0, |_| 12.0 * HOUR)), None, "half the retention");
    assert_eq!(lost(&reading(60.0, 0.5 * MIB, 600.0, |_| 30.0 * HOUR)), Some(0.0));
}

#[test]
fn the_sentence_tells_of_the_side_that_is_throttled() {
    let minute =
        MinuteTraffic { write_throttled: 3.0, read_throttled: 600.0, get_records_calls: 600.0, ..offered(1000.0, 2) };
    let scene = Scene::new(2).minutes(-9..=0, minute);
    let decision = scene.decide();
    let document = Document::new(&scene.signal, scene.observation.stream.as_ref(), &decision, None);
    assert_eq!(document.code, "too_many_readers");
    assert!(document.sentence.contains("3,000 GetRecords calls refused"), "{}", document.sentence);
}

#[test]
fn evidence_from_before_the_last_change_does_not_count() {
    // 9,000 a second before the change settled, 4,600 after it.
    let before = Scene::new(4).minutes(-9..=-3, offered(9000.0, 2)).minutes(-2..=0, offered(4600.0, 4));
    let settled_at = newest().plus(-2).start();
    let seconds = (now() - settled_at).num_seconds() + 60;
    assert_eq!(scaled_to(&before.memory(&settled(2, 4, seconds, 60))), (4, 7, None));
}

#[test]
fn the_first_look_after_a_change_writes_when_it_settled() {
    let scene = Scene::under_load(4, 3000.0).memory(&scaled(2, 4, 70));
    let change = scene.decide().memory.and_then(|m| m.change).expect("news");
    assert_eq!(change.settled, Some(now()));
    let late = Scene::under_load(4, 3000.0).memory(&scaled(2, 4, 3600));
    let change = late.decide().memory.and_then(|m| m.change).expect("news");
    assert_eq!(change.settled, Some(change.at + TimeDelta::minutes(15)));
}

#[test]
fn a_change_that_worked_is_said_to_have_healed_once() {
    let mut memory = settled(2, 4, 400, 60);
    let change = memory.change.as_mut().expect("just made");
    change.since = Some(newest().plus(-9).start());
    let scene = Scene::new(4).minutes(-9..=-4, offered(3000.0, 2)).minutes(-3..=0, offered(3000.0, 4)).memory(&memory);
    let decision = scene.clone().counted(now() - TimeDelta::seconds(400)).decide();
    let Verdict::Hold(Reason::Healthy { healed: Some(healed) }) = decision.verdict else {
        panic!("not healed: {decision:?}");
    };
    assert_eq!((healed.from, healed.to, healed.took), (2, 4, TimeDelta::minutes(6)));
    let again = scene.memory(&decision.memory.expect("healed is news")).decide();
    assert_eq!(again.verdict, Verdict::Hold(Reason::Healthy { healed: None }));
}

#[test]
fn a_done_change_without_its_datum_is_counted_once() {
    let scene = Scene::under_load(4, 3000.0).memory(&settled(2, 4, 301, 60));
    let decision = scene.decide();
    assert_eq!(decision.unpublished, [("scale_shards", now() - TimeDelta::seconds(301))]);
    let again = scene.clone().memory(&decision.memory.expect("counted is news")).decide();
    assert_eq!(again.unpublished, [], "sent moments ago");
    assert_eq!(scene.clone().counted(now() - TimeDelta::seconds(301)).decide().unpublished, []);
    assert_eq!(Scene::under_load(4, 3000.0).memory(&settled(2, 4, 299, 60)).decide().unpublished, [], "too early");
    assert_eq!(Scene::under_load(2, 3000.0).memory(&scaled(2, 4, 400)).decide().unpublished, [], "void");
}

#[test]
fn a_change_that_aws_refused_and_a_person_made_is_not_ours() {
    for limit in [true, false] {
        let at = now() - TimeDelta::seconds(600);
        let memory = scaled(2, 4, 600).refuse(ChangeKind::Scale, at + TimeDelta::seconds(1), limit);
        let first = Scene::new(4).minutes(-9..=0, offered(3000.0, 4)).memory(&memory).decide();
        assert_eq!((first.unpublished, first.evidence.time_to_heal_seconds), (vec![], None));
        assert_eq!(first.evidence.reshards_last_24_hours, Some(0));
        let memory = first.memory.expect("settled is news");
        let later = Scene::new(4).minutes(-9..=0, offered(3000.0, 4)).memory(&memory).with(|s| {
            s.now += TimeDelta::minutes(3);
            s.observation.observed_at = s.now;
        });
        let later = later.minutes(1..=3, offered(3000.0, 4)).asked().decide();
        assert_eq!((later.verdict, later.unpublished), (Verdict::Hold(Reason::Healthy { healed: None }), vec![]));
    }
}

#[test]
fn a_datum_that_stays_missing_is_sent_less_and_less_often() {
    // Sent again after five minutes, then ten, twenty, and so on.
    let sent = |made: i64, sent: i64| {
        let mut memory = settled(2, 4, made * 60, 60);
        memory.change.as_mut().expect("just made").resent = Some(now() - TimeDelta::minutes(sent));
        Scene::new(4).minutes(-9..=0, offered(3000.0, 4)).memory(&memory).decide().unpublished.len()
    };
    assert_eq!(
        [(11, 5), (12, 6), (20, 9), (21, 11), (40, 19), (43, 22)].map(|(made, ago)| sent(made, ago)),
        [0, 0, 0, 1, 0, 1]
    );
}

#[test]
fn a_late_datum_is_not_sent_again_before_cloudwatch_shows_it() {
    let hours = 10 * 3600;
    let sent = |ago: i64| {
        let mut memory = settled(2, 4, hours, 60);
        memory.change.as_mut().expect("just made").resent = Some(now() - TimeDelta::minutes(ago));
        Scene::new(4).minutes(-9..=0, offered(3000.0, 4)).memory(&memory).decide().unpublished
    };
    assert_eq!(sent(6), [], "it may take two hours to be shown");
    assert_eq!(sent(124), []);
    assert_eq!(sent(126).len(), 1);
}

#[test]
fn a_change_that_only_the_metric_knows_of_settles_and_spends_its_budget() {
    let old =
        || Scene::under_load(4, 6000.0).memory(&settled(2, 4, 7200, 60)).counted(now() - TimeDelta::seconds(7200));
    assert_eq!(old().code(), "scale_shards");
    let erased = old().counted(now() - TimeDelta::minutes(3));
    assert_eq!(erased.code(), "settling");
    let spent = (0..10).fold(old(), |s, i| s.counted(now() - TimeDelta::hours(1 + i)));
    assert_eq!(spent.policy(|p| p.on_demand = Permission::Deny).code(), "reshard_budget_spent");
}

#[test]
fn a_change_is_not_said_to_have_healed_what_never_throttled_or_was_resized_since() {
    let healed = |scene: Scene| scene.asked().decide().evidence.time_to_heal_seconds;
    let memory = settled(2, 4, 400, 60);
    let throttled = || Scene::new(4).minutes(-9..=-4, offered(3000.0, 2)).minutes(-3..=0, offered(3000.0, 4));
    assert!(healed(throttled().memory(&memory)).is_some());
    assert_eq!(healed(Scene::new(4).minutes(-9..=0, offered(3000.0, 4)).memory(&memory)), None, "never throttled");
    assert_eq!(healed(throttled().stream(|s| s.open_shards = 6).memory(&memory)), None, "resized since");
}

#[test]
fn a_datum_that_is_sent_with_the_next_intent_stays_owed_until_it_is_found() {
    let memory = Scene::under_load(4, 6000.0).memory(&settled(2, 4, 400, 60)).decide().memory.expect("an intent");
    assert_eq!(memory.change.map(|change| (change.from, change.at)), Some((4, now())));
    assert_eq!(memory.unpublished, Some((ChangeKind::Scale, now() - TimeDelta::seconds(400))));
    assert_eq!(memory.resent, Some(now()), "or a run that dies now would leave it unpublished for ever");
}

#[test]
fn of_two_runs_that_make_one_change_the_refused_one_may_write_last() {
    let at = now() - TimeDelta::seconds(120);
    let intent = Memory::default().intend(Change::intent(ChangeKind::Scale, 2, 4, at), false);
    let refused = intent.refuse(ChangeKind::Scale, at + TimeDelta::seconds(1), true);
    let found = |scene: Scene| scene.memory(&refused).asked().decide().memory.and_then(|memory| memory.refused);
    assert_eq!(found(Scene::under_load(4, 6000.0).counted(at)), None, "its datum is there: it was made");
    assert!(found(Scene::under_load(4, 6000.0)).is_some(), "a person may have made it");
}

#[test]
fn a_reshard_of_somebodys_is_noticed_behind_an_intent_of_metrics_that_was_never_made() {
    let watch = Change::intent(ChangeKind::EnableShardMetrics, 4, 4, now() - TimeDelta::seconds(300));
    let memory = settled(2, 4, 900, 60).intend(watch, false);
    let decide = |shards| Scene::under_load(shards, 6000.0).memory(&memory).asked().decide();
    assert_eq!(decide(4).verdict.code(), "scale_shards");
    let theirs = decide(2);
    assert_eq!(theirs.verdict.code(), "settling", "the minutes before tell of four shards");
    let change = theirs.memory.expect("news").change.expect("theirs");
    assert_eq!((change.kind, change.to), (ChangeKind::External, 2));
}

#[test]
fn a_reshard_of_somebodys_is_noticed_behind_a_change_that_aws_refused() {
    let at = now() - TimeDelta::seconds(300);
    let intent = settled(3, 6, 900, 60).intend(Change::intent(ChangeKind::Scale, 6, 10, at), false);
    let refused = intent.refuse(ChangeKind::Scale, at + TimeDelta::seconds(1), true);
    let decide = |shards, memory: &Memory| Scene::under_load(shards, 6000.0).memory(memory).asked().decide();
    let theirs = decide(4, &refused);
    assert_eq!(theirs.verdict.code(), "settling", "the minutes before may tell of six shards");
    let memory = theirs.memory.expect("news");
    assert_eq!(memory.change.as_ref().map(|change| (change.kind, change.to)), Some((ChangeKind::External, 4)));
    assert_eq!(decide(5, &memory).verdict.code(), "settling", "and so is the next");
}

#[test]
fn a_crashed_change_that_another_followed_is_counted_all_the_same() {
    // The first change crashed before its datum; four minutes later the next step is announced.
    let first = now() - TimeDelta::seconds(270);
    let second = Scene::under_load(4, 6000.0).memory(&settled(2, 4, 270, 60)).decide();
    let memory = second.memory.expect("an intent");
    assert_eq!(memory.unpublished, Some((ChangeKind::Scale, first)));
    let later = |scene: Scene, minutes: i64| {
        let scene = scene.stream(|s| s.open_shards = 8).memory(&memory).counted(now()).with(|s| {
            s.now += TimeDelta::minutes(minutes);
            s.observation.observed_at = s.now;
        });
        scene.minutes(1..=minutes, offered(6000.0, 8)).asked().decide()
    };
    assert_eq!(later(Scene::under_load(8, 6000.0), 0).unpublished, [], "it may still come");
    let sent = later(Scene::under_load(8, 6000.0), 1);
    let noted = sent.memory.expect("news");
    assert_eq!(
        (sent.unpublished, noted.unpublished),
        (vec![("scale_shards", first)], memory.unpublished),
        "until it is found"
    );
    assert_eq!(noted.resent, Some(now() + TimeDelta::minutes(1)), "and is not sent again at once");
    let seen = later(Scene::under_load(8, 6000.0).counted(first), 1);
    assert_eq!((seen.unpublished, seen.memory.expect("news").unpublished), (vec![], None), "it has come");
}

#[test]
fn any_number_of_auto_fixes_can_be_read() {
    let mut scene = Scene::under_load(4, 6000.0);
    let minute = unthrottle_core::observation::Minute::of(now() - TimeDelta::minutes(30));
    scene.observation.traffic.auto_fixes.insert(minute, u32::MAX);
    scene.observation.traffic.mode_switches.insert(minute, u32::MAX);
    assert_eq!(scene.clone().policy(|p| p.on_demand = Permission::Deny).code(), "scale_shards", "all were switches");
    scene.observation.traffic.reshards.insert(minute, u32::MAX);
    assert_eq!(scene.policy(|p| p.on_demand = Permission::Deny).code(), "reshard_budget_spent");
}

#[test]
fn a_lost_memory_is_rebuilt_from_the_auto_fix_metric() {
    let fix = now() - TimeDelta::minutes(30);
    let scene = Scene::under_load(4, 6000.0).counted(fix).counted(fix - TimeDelta::hours(1));
    let decision = scene.decide();
    assert_eq!(decision.evidence.memory_lost, Some(true));
    assert_eq!(decision.evidence.reshards_last_24_hours, Some(2));
    let memory = decision.memory.expect("an intent");
    assert_eq!((memory.reverts.len(), memory.reshards.len(), memory.base), (1, 3, Some(4)));
    let moments_ago = Scene::under_load(4, 6000.0).counted(now() - TimeDelta::minutes(3));
    assert_eq!(moments_ago.code(), "settling");
    let ten = (0..10).fold(Scene::under_load(4, 6000.0), |s, i| s.counted(fix - TimeDelta::hours(i)));
    assert_eq!(ten.policy(|p| p.on_demand = Permission::Deny).code(), "reshard_budget_spent");
}

#[test]
fn a_memory_without_its_last_change_is_a_lost_one() {
    let fix = now() - TimeDelta::minutes(3);
    let told = Memory { notified: Some(("at_max_shards".into(), now() - TimeDelta::minutes(1))), ..Memory::default() };
    let scene = Scene::under_load(4, 6000.0).memory(&told);
    assert_eq!(scene.code(), "scale_shards", "no change of ours is known");
    let scene = scene.counted(fix);
    assert_eq!((scene.code(), scene.decide().evidence.memory_lost), ("settling", Some(true)));
    assert_eq!(scene.decide().memory.expect("rebuilt").notified, told.notified, "the rest stays");
}

#[test]
fn changes_that_were_taken_back_with_the_memory_are_counted_by_the_metric() {
    let ago = |minutes| now() - TimeDelta::minutes(minutes);
    let reverted = |scene: Scene, minutes| {
        scene.with(|s| {
            s.observation.traffic.reverts.insert(Minute::of(ago(minutes)), 1);
        })
    };
    let found = Minute::of(now()).plus(-1).start();
    let lost = || Scene::under_load(2, 3000.0).counted(ago(30)).counted(ago(90));
    let first = lost().decide();
    assert_eq!((first.verdict.code(), first.reverted), ("scale_shards", Some(found)));
    let again = reverted(lost(), 20).decide();
    assert_eq!((again.verdict.code(), again.reverted), ("scale_shards", None), "lost once more, and no change since");
    let second = reverted(lost(), 60).decide();
    assert_eq!((second.verdict.code(), second.reverted), ("tug_of_war", Some(found)));
    // What is rebuilt says so itself, before the metric shows it.
    let memory = second.memory.expect("rebuilt");
    assert_eq!(memory.reverts, [Minute::of(ago(60)).start(), found]);
    let noted = reverted(lost().memory(&memory), 60).decide();
    assert_eq!((noted.verdict.code(), noted.reverted, noted.memory), ("tug_of_war", None, None));
    // A memory that was put back knows less than the metric.
    let back = Scene::under_load(2, 3000.0).memory(&settled(1, 2, 3600, 60)).counted(ago(60));
    assert_eq!(reverted(reverted(back, 90), 200).code(), "tug_of_war");
}

#[test]
fn who_goes_back_to_what_was_before_the_incident_takes_it_back() {
    // 8 → 10 → 12 shards, and then Terraform's eight.
    let mut memory = settled(10, 12, 3600, 60);
    memory.base = Some(8);
    let reverts = |open, memory: &Memory| {
        let decision = Scene::under_load(open, 12_000.0).memory(memory).counted(now() - TimeDelta::hours(1)).decide();
        (decision.memory.expect("news").reverts.len(), decision.reverted.is_some())
    };
    assert_eq!(reverts(8, &memory), (1, true), "as before the incident");
    assert_eq!(reverts(10, &memory), (1, true), "as before the last change");
    assert_eq!(reverts(11, &memory), (0, false), "somebody's own size");
    // The last change was not one of capacity.
    let mut watched =
        memory.intend(Change::intent(ChangeKind::EnableShardMetrics, 12, 12, now() - TimeDelta::hours(1)), false);
    watched.change.as_mut().expect("just made").settled = Some(now() - TimeDelta::minutes(55));
    assert_eq!(reverts(8, &watched), (1, true));
    let mut switched = settled(4, 4, 3600, 60);
    switched.change.as_mut().expect("just made").kind = ChangeKind::Switch;
    assert_eq!(reverts(16, &switched), (1, true), "back from on-demand mode with the shards that it has grown to");
    let mut warmed = settled(4, 8, 3600, 60);
    warmed.change.as_mut().expect("just made").kind = ChangeKind::WarmUp;
    assert_eq!(reverts(16, &warmed), (0, false), "somebody else had switched it");
    (warmed.base, warmed.was_provisioned) = (Some(4), true);
    assert_eq!(reverts(16, &warmed), (1, true));
}

#[test]
fn a_change_has_worked_once_a_minute_after_it_is_surely_published_whole() {
    let after = |minutes: i64| {
        let mut memory = settled(2, 4, 60 * minutes + 60, 0);
        memory.change.as_mut().expect("just made").published = Some(now());
        Scene::new(4).minutes(-9..=0, offered(3000.0, 4)).memory(&memory)
    };
    let codes: Vec<_> = (1..6).map(after).map(|s| (s.code(), s.decide().evidence.window_minutes)).collect();
    let first_healed = codes.iter().position(|(code, _)| *code == "healthy").expect("in the end");
    assert!(codes[..first_healed].iter().all(|(code, _)| *code == "settling"), "{codes:?}");
    assert_eq!(codes[first_healed].1, Some(2), "the newest minute may be published in part: {codes:?}");
    let throttled = after(i64::try_from(first_healed).expect("few"));
    let throttled = throttled.minutes(0..=0, offered(6000.0, 4));
    assert_eq!(throttled.code(), "scale_shards", "what throttles needs no second minute");
}

#[test]
fn a_change_that_somebody_took_back_is_not_void() {
    let at = now() - TimeDelta::seconds(400);
    let decision = Scene::under_load(2, 3000.0).memory(&scaled(2, 4, 400)).counted(at).decide();
    assert_eq!(decision.verdict.code(), "settling");
    assert_eq!(decision.memory.expect("news").reverts.len(), 1);
}

#[test]
fn base_is_the_capacity_before_the_incident() {
    let base = |scene: Scene| scene.decide().memory.expect("an intent").base;
    assert_eq!(base(Scene::under_load(2, 3000.0)), Some(2));
    let mut second = settled(1, 2, 400, 60);
    second.base = Some(1);
    assert_eq!(base(Scene::under_load(2, 3000.0).memory(&second)), Some(1), "ours, and still where we left it");
    let theirs = Scene::under_load(3, 4000.0).memory(&second).decide();
    assert_eq!((theirs.verdict.code(), theirs.memory.expect("news").base), ("settling", None), "somebody resized it");
}

#[test]
fn a_switch_says_which_limit_of_aws_left_no_room() {
    let full = Scene::under_load(2, 3000.0).with(|s| s.observation.limits.as_mut().expect("known").open_shards = 500);
    let switch = Remedy::SwitchToOnDemand { shards: 2, warm_mibps: None, instead_of: AwsLimit::AccountQuota };
    assert_eq!(full.decide().verdict, Verdict::Act(switch));
}

#[test]
fn observing_decides_in_full_and_writes_nothing() {
    let decision = Scene::under_load(2, 3000.0).tag("unthrottle.mode", "observe").decide();
    assert_eq!((decision.verdict.code(), decision.mode), ("scale_shards", Mode::Observe));
    assert_eq!((decision.memory, decision.unpublished), (None, vec![]));
    let settling = Scene::under_load(4, 3000.0).memory(&scaled(2, 4, 400)).policy(|p| p.mode = Mode::Observe).decide();
    assert_eq!((settling.memory, settling.unpublished), (None, vec![]));
}

#[test]
fn the_defaults_heal_every_stream() {
    let policy = Policy::default();
    assert_eq!((policy.mode, policy.scope), (Mode::Heal, Scope::All));
}

/// A line of hot shards as the memory keeps it, an hour old.
fn line(shard: u64, splits: u32) -> Memory {
    let at = now() - TimeDelta::hours(1);
    let mut memory = settled(7, 8, 3600, 60);
    memory.split_histories = vec![unthrottle_core::memory::SplitHistory { shard, splits, at }];
    memory
}

/// Metrics that we switched on so many minutes ago.
fn watching(minutes: i64) -> Memory {
    let at = now() - TimeDelta::minutes(minutes);
    let mut memory = Memory::default().intend(Change::intent(ChangeKind::EnableShardMetrics, 8, 8, at), false);
    memory.change.as_mut().expect("just made").settled = Some(at + TimeDelta::seconds(30));
    memory.shard_metrics = Some(ShardMetrics { on: Some([true; 3]), at });
    memory
}

const IDLE: f64 = 100.0;

/// Eight shards, one of them offered so much.
fn one_hot(load: f64) -> Scene {
    let mut loads = [IDLE; 8];
    loads[3] = load;
    Scene::of_shards(&loads)
}

/// Each shard refuses a little in minutes that are hardly used.
fn bursts() -> Scene {
    let burst = MinuteTraffic { write_throttled: 600.0, ..offered(200.0, 1) };
    let scene =
        Scene::of_shards(&[200.0; 8]).minutes(-9..=0, MinuteTraffic { write_throttled: 4800.0, ..offered(1600.0, 8) });
    scene.with(|s| {
        for shard in s.observation.shards.as_mut().expect("shards") {
            (-9..=0).for_each(|ago| *shard.traffic.minute_mut(newest().plus(ago)) = burst);
        }
    })
}

#[test]
fn shard_by_shard() {
    let one_child = || one_hot(3000.0).children(40, [3, 4]);
    let skewed = || {
        let minute = MinuteTraffic { write_throttled: 60_000.0, ..offered(2000.0, 8) };
        Scene::new(8).minutes(-9..=0, minute)
    };
    let diagnose = |scene: Scene| scene.policy(|p| p.diagnose = Permission::Allow);
    let two_hot = || Scene::of_shards(&[IDLE, 1500.0, IDLE, 3000.0, IDLE, IDLE, IDLE, IDLE]);
    let unpublished = |s: &mut Scene| {
        s.observation.shards.as_mut().expect("shards").iter_mut().for_each(|shard| shard.traffic = Default::default());
    };
    let calm = || Scene::new(8).minutes(-9..=0, offered(1000.0, 8));
    let old = |mut memory: Memory, hours| {
        let at = now() - TimeDelta::hours(hours);
        memory.split_histories.iter_mut().for_each(|line| line.at = at);
        if let Some(change) = &mut memory.change {
            (change.at, change.settled) = (at, Some(at));
        }
        memory
    };
    let rows = vec![
        ("every shard is short", "scale_shards", Scene::of_shards(&[1500.0; 8]).code()),
        (
            "most shards are short",
            "scale_shards",
            Scene::of_shards(&[1900.0, 1900.0, 1900.0, 1900.0, 1900.0, IDLE, IDLE, IDLE]).code(),
        ),
        ("one hot shard among idle ones", "split_shard", one_hot(1500.0).code()),
        ("one shard so hot that the stream looks short", "split_shard", one_hot(9000.0).code()),
        (
            "two hot shards among idle ones",
            "split_shard",
            Scene::of_shards(&[1500.0, IDLE, IDLE, IDLE, 1400.0, IDLE]).code(),
        ),
        (
            "three of eight shards hot, and short",
            "scale_shards",
            Scene::of_shards(&[3000.0, 3000.0, 3000.0, IDLE, IDLE, IDLE, IDLE, IDLE]).code(),
        ),
        (
            "two of eight shards hot, and short",
            "split_shard",
            Scene::of_shards(&[4000.0, 4000.0, IDLE, IDLE, IDLE, IDLE, IDLE, IDLE]).code(),
        ),
        ("one of two shards hot", "split_shard", Scene::of_shards(&[1900.0, IDLE]).code()),
        (
            "most shards busy, and yet enough of them",
            "split_shard",
            Scene::of_shards(&[1100.0, 800.0, 800.0, IDLE, IDLE]).code(),
        ),
        ("a single shard, short", "scale_shards", Scene::of_shards(&[1900.0]).code()),
        (
            "a single shard, refusing within the minute",
            "micro_burst",
            Scene::new(1).minutes(-9..=0, MinuteTraffic { write_throttled: 600.0, ..offered(200.0, 1) }).code(),
        ),
        ("bursts within the minute on every shard", "micro_burst", bursts().code()),
        ("shard-level metrics that are not there yet", "evidence_pending", one_hot(1500.0).with(unpublished).code()),
        (
            "shards that somebody is just changing",
            "resharding",
            one_hot(1500.0)
                .with(|s| {
                    s.observation.shards.as_mut().expect("shards").pop();
                })
                .code(),
        ),
        (
            "every shard short of bytes that PutRecord rounds up",
            "scale_shards",
            Scene::of_shards(&[600.0; 4])
                .with(|s| {
                    // Records of 1,100 bytes, charged as 2 KiB: 600 a second are 1.17 MiB/s.
                    let stream = MinuteTraffic {
                        incoming_records: 4.0 * 500.0 * 60.0,
                        incoming_bytes: 4.0 * 500.0 * 60.0 * 1100.0,
                        write_throttled: 4.0 * 100.0 * 60.0,
                        put_record_bytes: 4.0 * 500.0 * 60.0 * 1100.0,
                        put_record_count: 4.0 * 500.0 * 60.0,
                        ..MinuteTraffic::default()
                    };
                    let shard = MinuteTraffic {
                        incoming_records: 500.0 * 60.0,
                        incoming_bytes: 500.0 * 60.0 * 1100.0,
                        write_throttled: 100.0 * 60.0,
                        ..MinuteTraffic::default()
                    };
                    for ago in -9..=0 {
                        *s.observation.traffic.minute_mut(newest().plus(ago)) = stream;
                        for open in s.observation.shards.as_mut().expect("shards") {
                            *open.traffic.minute_mut(newest().plus(ago)) = shard;
                        }
                    }
                })
                .code(),
        ),
        (
            "every shard is short, and its metrics are not there yet",
            "scale_shards",
            Scene::of_shards(&[1500.0; 8]).with(unpublished).code(),
        ),
        (
            "one key that is retried, and nobody sees the shards",
            "skew_suspected",
            Scene::new(8)
                .minutes(-9..=0, MinuteTraffic { write_throttled: 60.0 * 59_000.0, ..offered(1000.0, 8) })
                .code(),
        ),
        (
            "one key that is retried, and the account has the commitment",
            "skew_suspected",
            Scene::new(8)
                .minutes(-9..=0, MinuteTraffic { write_throttled: 60.0 * 59_000.0, ..offered(1000.0, 8) })
                .committed()
                .code(),
        ),
        (
            "a single shard that accepts little",
            "scale_shards",
            Scene::new(1).minutes(-9..=0, MinuteTraffic { write_throttled: 60.0 * 1900.0, ..offered(400.0, 1) }).code(),
        ),
        (
            "one exhausted key, and another hot shard",
            "split_shard",
            two_hot().children(40, [3, 4]).memory(&line(40, 2)).code(),
        ),
        (
            "a third hot shard beside two lines that were split in vain",
            "split_budget_spent",
            two_hot()
                .children(40, [3, 4])
                .memory(&{
                    let mut memory = line(40, 2);
                    memory
                        .split_histories
                        .push(unthrottle_core::memory::SplitHistory { shard: 41, ..memory.split_histories[0] });
                    memory
                })
                .with(|s| s.observation.shards.as_mut().expect("shards")[3].parent = None)
                .code(),
        ),
        (
            "a hot shard whose split AWS refused twice",
            "split_budget_spent",
            one_hot(1500.0)
                .memory(
                    &(0..2)
                        .fold(Memory::default(), |m, _| m.refuse(ChangeKind::Split, now() - TimeDelta::hours(2), true)),
                )
                .code(),
        ),
        (
            "a second split of a line that was announced and never made",
            "split_shard",
            one_hot(3000.0).memory(&line(3, 2)).code(),
        ),
        (
            "a line that was split twice, and is idle by now",
            "split_shard",
            Scene::of_shards(&[0.0, 0.0, IDLE, 1500.0, IDLE, IDLE, IDLE, IDLE])
                .children(40, [0, 1])
                .memory(&line(40, 1))
                .code(),
        ),
        (
            "a split line whose other half was split, too",
            "hot_key",
            one_hot(3000.0)
                .with(|s| {
                    s.observation.shards.as_mut().expect("shards")[3].parent = Some("shardId-000000000040".into());
                })
                .memory(&line(40, 2))
                .code(),
        ),
        (
            "nine hot shards of forty, and enough of them",
            "scale_shards",
            Scene::of_shards(&(0..40).map(|i| if i < 9 { 1500.0 } else { IDLE }).collect::<Vec<_>>()).code(),
        ),
        ("a split that moved nothing", "split_shard", one_child().memory(&line(40, 1)).code()),
        ("two splits that moved nothing", "hot_key", one_child().memory(&line(40, 2)).code()),
        ("two splits that moved nothing, a day ago", "split_shard", one_child().memory(&old(line(40, 2), 25)).code()),
        ("two splits of another line", "split_shard", one_child().memory(&line(41, 2)).code()),
        (
            "a split that divided the heat",
            "split_shard",
            Scene::of_shards(&[IDLE, IDLE, 1500.0, 1200.0, IDLE, IDLE, IDLE, IDLE])
                .children(40, [2, 3])
                .memory(&line(40, 2))
                .code(),
        ),
        (
            "one child hot, and the memory of it lost",
            "hot_key",
            one_child().counted(now() - TimeDelta::minutes(30)).code(),
        ),
        (
            "a hot shard of a single hash key",
            "hot_key",
            one_hot(1500.0)
                .with(|s| {
                    let shard = &mut s.observation.shards.as_mut().expect("shards")[3];
                    shard.last_hash_key = shard.first_hash_key + 2;
                })
                .code(),
        ),
        ("a hot shard at the user's maximum", "at_max_shards", one_hot(1500.0).policy(|p| p.max_shards = 8).code()),
        (
            "a hot shard, and the last shard of the account",
            "split_shard",
            one_hot(1500.0).with(|s| s.observation.limits.as_mut().expect("known").open_shards = 499).code(),
        ),
        (
            "a hot shard, and no shard left in the account",
            "at_account_quota",
            one_hot(1500.0).with(|s| s.observation.limits.as_mut().expect("known").open_shards = 500).code(),
        ),
        (
            "a hot shard, and ten reshards today",
            "split_shard",
            (0..10).fold(one_hot(1500.0), |s, i| s.counted(now() - TimeDelta::hours(1 + i))).code(),
        ),
        (
            "a hot shard that is too dear to split",
            "at_max_cost",
            one_hot(1500.0).policy(|p| p.max_hourly_cost = Some(0.01)).code(),
        ),
        (
            "short, and more is too dear",
            "at_max_cost",
            Scene::under_load(2, 3000.0).policy(|p| p.max_hourly_cost = Some(0.01)).code(),
        ),
        (
            "short, and more can be paid",
            "scale_shards",
            Scene::under_load(2, 3000.0).policy(|p| p.max_hourly_cost = Some(100.0)).code(),
        ),
        ("skewed, and nobody may look closer", "skew_suspected", skewed().code()),
        ("skewed, and we may look closer", "enable_shard_metrics", diagnose(skewed()).code()),
        (
            "skewed, and a closer look is too dear",
            "skew_suspected",
            diagnose(skewed()).policy(|p| p.max_hourly_cost = Some(0.01)).code(),
        ),
        (
            "skewed, looked closer at this morning",
            "skew_suspected",
            diagnose(skewed())
                .memory(&{
                    let mut memory = watching(300);
                    memory.shard_metrics.as_mut().expect("some").on = None;
                    memory
                })
                .code(),
        ),
        (
            "skewed, looked closer at yesterday",
            "enable_shard_metrics",
            diagnose(skewed())
                .memory(&{
                    let mut memory = watching(60 * 25);
                    memory.shard_metrics.as_mut().expect("some").on = None;
                    memory
                })
                .code(),
        ),
        (
            "skewed, and a closer look was refused today",
            "skew_suspected",
            diagnose(skewed())
                .memory(&Memory::default().refuse(ChangeKind::EnableShardMetrics, now() - TimeDelta::hours(2), false))
                .code(),
        ),
        ("skewed, and known to be one key", "hot_key", diagnose(skewed()).memory(&line(40, 2)).code()),
        ("one hot shard, seen since a minute", "split_shard", one_hot(1500.0).memory(&watching(9)).code()),
        ("calm, and our metrics on for minutes", "healthy", calm().shard_metrics().memory(&watching(9)).code()),
        (
            "calm, and our metrics on for an hour",
            "disable_shard_metrics",
            calm().shard_metrics().memory(&watching(61)).code(),
        ),
        (
            "calm, and our metrics have shown a hot shard",
            "disable_shard_metrics",
            calm()
                .shard_metrics()
                .memory(&{
                    let mut memory = watching(9);
                    let at = now() - TimeDelta::minutes(7);
                    memory.split_histories = vec![unthrottle_core::memory::SplitHistory { shard: 3, splits: 1, at }];
                    memory
                })
                .code(),
        ),
        (
            "calm, our metrics on for an hour, and switching them off refused today",
            "healthy",
            calm()
                .shard_metrics()
                .memory(&watching(61).refuse(ChangeKind::DisableShardMetrics, now() - TimeDelta::hours(2), false))
                .code(),
        ),
        (
            "negligible, and our metrics on for an hour",
            "disable_shard_metrics",
            Scene::new(8)
                .minutes(-9..=0, MinuteTraffic { write_throttled: 60.0, ..offered(1000.0, 8) })
                .shard_metrics()
                .memory(&watching(61))
                .code(),
        ),
        ("calm, and somebody's own metrics on", "healthy", calm().shard_metrics().code()),
        ("calm, and our metrics off again", "healthy", calm().memory(&watching(9)).code()),
        ("bursts, watched for ten minutes", "micro_burst", bursts().memory(&watching(10)).code()),
        ("bursts, watched for an hour", "disable_shard_metrics", bursts().memory(&watching(61)).code()),
    ];
    check(rows);
}

#[test]
fn on_demand() {
    let load = |shards, per_second| Scene::new(shards).minutes(-14..=0, offered(per_second, shards));
    let hours = |hours| TimeDelta::hours(hours);
    // Switched by us so long ago, and calm ever since.
    let switched = |ago: i64| {
        let at = now() - hours(ago);
        let mut memory = Memory::default().intend(Change::intent(ChangeKind::Switch, 4, 4, at), false);
        let change = memory.change.as_mut().expect("just made");
        (change.settled, change.healed) = (Some(at + TimeDelta::minutes(1)), Some(at + TimeDelta::minutes(9)));
        (memory.was_provisioned, memory.base) = (true, Some(4));
        let scene = Scene::new(4).minutes(-1439..=0, offered(1000.0, 4)).on_demand().memory(&memory);
        scene.policy(|p| p.restore_after_hours = 6)
    };
    let leap = |shards, per_second| Scene::under_load(shards, per_second).committed();
    let skewed = || load(8, 2000.0).minutes(-14..=0, MinuteTraffic { write_throttled: 60_000.0, ..offered(2000.0, 8) });
    let rows = vec![
        ("committed, and short", "warm_up", load(4, 9000.0).warm(4, 4).code()),
        ("committed, and being warmed up", "on_demand_adapting", Scene::under_load(4, 9000.0).warm(4, 40).code()),
        ("committed, and warm enough", "on_demand_ceiling", load(4, 9000.0).warm(40, 40).code()),
        (
            "committed, and AWS does not say how warm",
            "on_demand_ceiling",
            load(4, 9000.0).on_demand().committed().code(),
        ),
        (
            "committed, at the user's maximum of warm throughput",
            "on_demand_ceiling",
            load(4, 9000.0).warm(8, 8).policy(|p| p.max_warm_mibps = 8).code(),
        ),
        (
            "warm throughput without the commitment",
            "on_demand_ceiling",
            load(4, 9000.0).warm(4, 4).with(|s| s.observation.commitment = Some(Commitment::Disabled)).code(),
        ),
        ("not committed, and growing", "on_demand_adapting", Scene::under_load(4, 9000.0).on_demand().code()),
        ("not committed, throttled for fifteen minutes", "on_demand_ceiling", load(4, 9000.0).on_demand().code()),
        ("throttled for fifteen minutes far below capacity", "hot_key", skewed().on_demand().code()),
        (
            "the same, and AWS spreads the records",
            "on_demand_ceiling",
            skewed().on_demand().stream(|s| s.spreads_records = true).code(),
        ),
        (
            "the same for ten minutes",
            "on_demand_adapting",
            skewed().minutes(-14..=-10, offered(2000.0, 8)).on_demand().code(),
        ),
        ("provisioned, and needs three times as much", "switch_to_on_demand", leap(4, 9000.0).code()),
        ("provisioned, and needs twice as much", "scale_shards", leap(4, 6000.0).code()),
        (
            "needs three times as much, on-demand denied",
            "scale_shards",
            leap(4, 9000.0).policy(|p| p.on_demand = Permission::Deny).code(),
        ),
        (
            "needs three times as much, above the user's maximum",
            "scale_shards",
            leap(4, 9000.0).policy(|p| (p.max_shards, p.max_shards_ceiling) = (11, 11)).code(),
        ),
        (
            "needs three times as much, warm throughput below double",
            "scale_shards",
            leap(4, 9000.0).policy(|p| p.max_warm_mibps = 8).code(),
        ),
        ("needs three times as much, without the commitment", "scale_shards", Scene::under_load(4, 9000.0).code()),
        ("switched by us, calm for a day", "switch_to_provisioned", switched(30).code()),
        ("switched by us today: the second switch is a person's", "healthy", switched(23).code()),
        ("switched by us, and restoring is off", "healthy", switched(30).policy(|p| p.restore_after_hours = 0).code()),
        ("switched by us, and on-demand is denied", "healthy", switched(30).tag("unthrottle.on-demand", "deny").code()),
        ("switched by somebody else", "healthy", switched(30).memory(&Memory::default()).code()),
        (
            "switched by us, throttled five hours ago",
            "healthy",
            switched(30).minutes(-300..=-300, offered(9000.0, 4)).code(),
        ),
        (
            "switched by us, below the user's minimum",
            "not_restorable",
            switched(30).policy(|p| p.min_shards = 5).code(),
        ),
        (
            "switched by us, and its cost falls, though not below the maximum",
            "switch_to_provisioned",
            switched(30).policy(|p| p.max_hourly_cost = Some(0.01)).code(),
        ),
        (
            "no shards left, and needs more than the user's maximum",
            "at_account_quota",
            Scene::under_load(60, 150_000.0)
                .with(|s| s.observation.limits.as_mut().expect("known").open_shards = 500)
                .code(),
        ),
        ("switched by us, and has channels", "not_restorable", switched(30).stream(|s| s.channels = Some(1)).code()),
        ("switched by us, and has queues", "not_restorable", switched(30).stream(|s| s.queues = Some(2)).code()),
        (
            "switched by us, and AWS does not say whether it has queues",
            "not_restorable",
            switched(30).stream(|s| s.queues = None).code(),
        ),
        (
            "switched by us, and its peak needs more shards",
            "not_restorable",
            switched(30).minutes(-200..=-200, offered(3900.0, 4)).code(),
        ),
        (
            "switched by us, and the account has no room",
            "not_restorable",
            switched(30).with(|s| s.observation.limits.as_mut().expect("known").open_shards = 497).code(),
        ),
        (
            "switched by us, and AWS would not tell its limits",
            "not_restorable",
            switched(30).with(|s| s.observation.limits = None).code(),
        ),
        (
            "switched by us, above the user's maximum",
            "not_restorable",
            switched(30).policy(|p| (p.max_shards, p.max_shards_ceiling) = (3, 3)).code(),
        ),
    ];
    check(rows);
}

#[test]
fn a_decision_says_what_it_takes_beyond_the_first_look() {
    let unread = |scene: Scene| {
        let scene = scene.with(|s| (s.observation.shards, s.observation.commitment) = (None, None));
        scene.look().err()
    };
    let shards = Some(MissingData { shards: true, commitment: false });
    let commitment = Some(MissingData { shards: false, commitment: true });
    assert_eq!(unread(one_hot(1500.0)), shards);
    assert_eq!(unread(Scene::under_load(8, 9500.0)), None, "no shard-level metrics");
    assert_eq!(unread(Scene::under_load(8, 9500.0).shard_metrics()), shards);
    assert_eq!(unread(Scene::under_load(501, 600_000.0).shard_metrics()), None, "too many to tell apart");
    assert_eq!(unread(Scene::new(8).minutes(-9..=0, offered(1000.0, 8)).shard_metrics()), None, "healthy");
    assert_eq!(unread(Scene::under_load(4, 9000.0).on_demand()), commitment);
    assert_eq!(unread(Scene::under_load(4, 9000.0)), commitment, "more than double");
    assert_eq!(unread(Scene::under_load(4, 6000.0)), None);
    assert_eq!(unread(Scene::under_load(4, 9000.0).policy(|p| p.on_demand = Permission::Deny)), None);
}

#[test]
fn the_hottest_shard_is_split_at_its_middle_and_its_line_is_remembered() {
    let decision = Scene::of_shards(&[IDLE, 1500.0, 1900.0, IDLE, IDLE]).decide();
    let width = u128::MAX / 5;
    let split = Remedy::SplitShard {
        shard: "shardId-000000000002".into(),
        at: 2 * width + (width - 1) / 2 + 1,
        from: 5,
        to: 6,
        partial: None,
    };
    assert_eq!(decision.verdict, Verdict::Act(split));
    let memory = decision.memory.expect("an intent");
    assert_eq!((memory.split_histories[0].shard, memory.split_histories[0].splits), (2, 1));
    assert_eq!(
        (memory.reshards.len(), memory.base),
        (0, None),
        "a split is no UpdateShardCount, and is not taken back by one"
    );
    // Its halves are shards 5 and 6, and one has all of it.
    let again = one_hot(3000.0).children(40, [3, 4]).memory(&line(40, 1)).decide();
    let lines = again.memory.expect("an intent").split_histories;
    assert_eq!(lines.last().map(|l| (l.shard, l.splits)), Some((3, 2)));
}

#[test]
fn a_producers_error_message_names_a_hot_shard() {
    // Two shards are busy; the metrics do not show yet that the hotter one refuses records.
    let scene = Scene::of_shards(&[1200.0, IDLE, 990.0, IDLE, IDLE, IDLE, IDLE]).asked();
    let says = |message: &str| {
        let scene = scene.clone().with(|s| {
            if let Signal::Ask(ask) = &mut s.signal {
                ask.message = Some(message.into());
            }
        });
        scene.decide().evidence
    };
    let message =
        |shard, stream| format!("Rate exceeded for shard {shard} in stream {stream} under account 123456789012.");
    let named = says(&message("shardId-000000000002", "orders")).named_shard;
    assert_eq!(named.as_deref(), Some("shardId-000000000002"));
    assert_eq!(says(&message("shardId-000000000002", "clicks")).named_shard, None, "another stream");
    assert_eq!(says("it is slow").named_shard, None);
    let quiet = Scene::of_shards(&[1200.0, IDLE, 3000.0, IDLE, IDLE, IDLE, IDLE]).with(|s| {
        let shard = &mut s.observation.shards.as_mut().expect("shards")[2];
        (-9..=0).for_each(|ago| shard.traffic.minute_mut(newest().plus(ago)).write_throttled = 0.0);
        (-9..=0).for_each(|ago| shard.traffic.minute_mut(newest().plus(ago)).incoming_records = 60.0 * 1300.0);
        (-9..=0).for_each(|ago| s.observation.traffic.minute_mut(newest().plus(ago)).write_throttled = 60.0 * 200.0);
    });
    let hottest = |scene: &Scene| scene.decide().evidence.hottest_shard;
    assert_eq!(hottest(&quiet).as_deref(), Some("shardId-000000000000"));
    let named = quiet.call(|c| c.error_message = Some(message("shardId-000000000002", "orders")));
    assert_eq!(hottest(&named).as_deref(), Some("shardId-000000000002"));
}

#[test]
fn warm_throughput_is_what_the_load_needs_and_never_scales_down() {
    let warmed = |scene: Scene| match scene.decide().verdict {
        Verdict::Act(Remedy::WarmUp { from, to, partial }) => Some((from, to, partial)),
        _ => None,
    };
    let load = || Scene::under_load(4, 9000.0);
    assert_eq!(warmed(load().warm(4, 4)), Some((4, 12, None)), "9 of 0.75");
    assert_eq!(warmed(load().warm(4, 11)), Some((11, 12, None)));
    assert_eq!(warmed(load().warm(4, 12)), None, "an equal value would scale down");
    assert_eq!(warmed(load().warm(20, 4)), None);
    assert_eq!(warmed(load().warm(4, 4).policy(|p| p.max_warm_mibps = 10)), Some((4, 10, Some(Bound::MaxWarm))));
    let elsewhere = |scene: Scene| {
        scene.policy(|p| p.max_warm_mibps = 10_240).stream(|s| s.arn = s.arn.replace("us-east-1", "eu-north-1"))
    };
    let large = || Scene::under_load(100, 900_000.0).warm(100, 100);
    assert_eq!(warmed(elsewhere(large())), Some((100, 200, Some(Bound::StreamCeiling))));
    assert_eq!(warmed(large().policy(|p| p.max_warm_mibps = 10_240)), Some((100, 1200, None)));
    let switch = Remedy::SwitchToOnDemand { shards: 4, warm_mibps: Some(12), instead_of: AwsLimit::Double };
    assert_eq!(load().committed().decide().verdict, Verdict::Act(switch));
}

#[test]
fn a_change_that_was_announced_and_never_made_leaves_no_trace() {
    let at = now() - TimeDelta::minutes(70);
    let announced = |kind, change: fn(&mut Memory, chrono::DateTime<chrono::Utc>)| {
        let mut memory = Memory::default().intend(Change::intent(kind, 8, 8, at), false);
        change(&mut memory, at);
        memory
    };
    let calm = || Scene::new(8).minutes(-9..=0, offered(1000.0, 8)).asked();
    let watch =
        announced(ChangeKind::EnableShardMetrics, |m, at| m.shard_metrics = Some(ShardMetrics { on: Some([true; 3]), at }));
    // Somebody else's metrics, switched on later, are not ours to switch off.
    let void = calm().memory(&watch).decide().memory.expect("news");
    assert_eq!(void.shard_metrics, None);
    assert_ne!(calm().shard_metrics().memory(&void).code(), "disable_shard_metrics");
    let switch = announced(ChangeKind::Switch, |m, _| m.was_provisioned = true);
    assert!(!calm().memory(&switch).decide().memory.expect("news").was_provisioned);
    let unwatch =
        announced(ChangeKind::DisableShardMetrics, |m, at| m.shard_metrics = Some(ShardMetrics { on: Some([true; 3]), at }));
    assert_eq!(calm().shard_metrics().memory(&unwatch).code(), "disable_shard_metrics", "tried again");
    let done = calm().memory(&unwatch).decide().memory.expect("news");
    assert_eq!(done.shard_metrics.map(|watch| watch.on), Some(None));
}

/// A gigabyte an hour, in bytes a second.
const GB_AN_HOUR: f64 = 1_073_741_824.0 / 3600.0;

#[test]
fn the_bill_has_everything_that_a_change_multiplies() {
    // 2,000 records of 1 KiB a second are offered: 6.87 GB an hour. Two consumers read them all, records are kept for two
    // days, and three shard-level metrics are on.
    let gb = 2000.0 * 1024.0 / GB_AN_HOUR;
    let stream = |s: Scene| s.stream(|s| (s.consumers, s.retention_hours) = (2, 48)).shard_metrics();
    let bill = |scene: Scene| {
        let cost = scene.decide().cost.expect("an act");
        assert_eq!(cost.prices, "us-east-1 2026-09");
        (cost.before_usd_per_hour, cost.after_usd_per_hour)
    };
    let is = |(before, after): (f64, f64), want: (f64, f64)| {
        assert!((before - want.0).abs() < 1e-4 && (after - want.1).abs() < 1e-4, "{before} → {after}, not {want:?}");
    };
    // A shard: itself, extended retention, two consumers, three metrics.
    let shard = 0.015 + 0.02 + 2.0 * 0.015 + 3.0 * 0.3 / 730.0;
    let provisioned = |shards: f64| shards * shard + 2000.0 * 3600.0 / 1e6 * 0.014 + 2.0 * gb * 0.013;
    let scale = stream(Scene::under_load(1, 2000.0));
    is(bill(scale.clone()), (provisioned(1.0), provisioned(2.0)));

    let metrics = |shards: f64| shards * 3.0 * 0.3 / 730.0;
    let kept = gb * 24.0 / 730.0;
    let on_demand = |shards| 0.04 + gb * 0.08 + 2.0 * gb * 0.05 + kept * 0.1 + metrics(shards);
    let advantage = |shards| gb * 0.032 + 2.0 * gb * 0.016 + kept * 0.023 + metrics(shards);
    let full = |s: Scene| s.with(|s| s.observation.limits.as_mut().expect("known").open_shards = 500);
    is(bill(full(scale.clone())), (provisioned(1.0), on_demand(1.0)));
    is(bill(full(scale).committed()), (provisioned(1.0), advantage(1.0)));
    is(bill(stream(Scene::under_load(1, 2000.0)).warm(1, 1)), (advantage(1.0), advantage(1.0)));

    // The busiest minute by weight, not by records: 500 of 4 KiB weigh more than 1,000 of 1 KiB.
    let heavy =
        MinuteTraffic { incoming_bytes: 500.0 * 60.0 * 4096.0, incoming_records: 30_000.0, ..MinuteTraffic::default() };
    let light = Scene::under_load(1, 1500.0).minutes(-2..=-2, heavy);
    let bytes = 500.0 * 4096.0 / GB_AN_HOUR;
    is(bill(full(light)), (0.015 + 500.0 * 3600.0 / 1e6 * 0.014, 0.04 + bytes * 0.08));
}

#[test]
fn going_back_is_billed_by_what_the_account_has_committed_to() {
    let calm = |s: Scene| {
        let at = now() - TimeDelta::hours(30);
        let mut memory = Memory::default().intend(Change::intent(ChangeKind::Switch, 4, 4, at), false);
        memory.change.as_mut().expect("just made").settled = Some(at + TimeDelta::minutes(1));
        memory.was_provisioned = true;
        s.minutes(-1439..=0, offered(1000.0, 4)).on_demand().memory(&memory).policy(|p| p.restore_after_hours = 6)
    };
    let gb = 1000.0 * 1024.0 / GB_AN_HOUR;
    let provisioned = 4.0 * 0.015 + 3.6 * 0.014;
    let round = |usd: f64| (usd * 1e4).round() / 1e4;
    for (commitment, on_demand) in [(Commitment::Disabled, 0.04 + gb * 0.08), (Commitment::Enabled, gb * 0.032)] {
        let unread = calm(Scene::new(4)).with(|s| s.observation.commitment = None);
        assert_eq!(unread.look(), Err(MissingData { shards: false, commitment: true }));
        let cost = unread.with(|s| s.observation.commitment = Some(commitment)).decide().cost.expect("an act");
        assert_eq!((cost.before_usd_per_hour, cost.after_usd_per_hour), (round(on_demand), round(provisioned)));
    }
}

#[test]
fn small_records_are_billed_as_they_are_stored_where_they_are_not_rounded_up() {
    // 100 bytes each by PutRecord: a KiB each against the shard, 100 bytes each for the consumers.
    let minute = MinuteTraffic {
        incoming_records: 60_000.0,
        incoming_bytes: 6e6,
        put_record_bytes: 6e6,
        put_record_count: 60_000.0,
        write_throttled: 60_000.0,
        ..MinuteTraffic::default()
    };
    let scene = Scene::new(1).minutes(-9..=0, minute).stream(|s| s.consumers = 5);
    let gb = 2000.0 * 100.0 / GB_AN_HOUR;
    let want = 0.015 + 5.0 * 0.015 + 7.2 * 0.014 + 5.0 * gb * 0.013;
    let cost = scene.decide().cost.expect("an act");
    assert!((cost.before_usd_per_hour - want).abs() < 1e-4, "{cost:?}, not {want}");
}

#[test]
fn prices_of_another_region_are_said_to_be() {
    let here = sentence(&Scene::under_load(2, 3000.0));
    assert!(!here.contains("at the prices of"), "{here}");
    let there = sentence(&Scene::under_load(2, 3000.0).stream(|s| s.arn = s.arn.replace("us-east-1", "eu-west-1")));
    assert!(there.contains("a month, at the prices of us-east-1 2026-09)"), "{there}");
}

#[test]
fn what_a_person_can_do_for_an_on_demand_stream_depends_on_why_it_is_at_its_end() {
    let load = || Scene::new(4).minutes(-14..=0, offered(9000.0, 4));
    let growth = sentence(&load().on_demand());
    assert!(growth.contains("buy the throughput commitment") && growth.contains("about $101 a day"), "{growth}");
    let warm = sentence(&load().warm(40, 40));
    assert!(!warm.contains("buy") && warm.contains("ask AWS for a higher stream throughput"), "{warm}");
    let bounded = sentence(&load().warm(8, 8).policy(|p| p.max_warm_mibps = 8));
    assert!(bounded.contains("It needs 12 MiB/s of warm throughput, and you allow 8"), "{bounded}");
    let skewed = MinuteTraffic { write_throttled: 60_000.0, ..offered(2000.0, 8) };
    let key = sentence(&Scene::new(8).minutes(-14..=0, skewed).on_demand());
    assert!(!key.contains("buy") && key.contains("Spread the keys"), "{key}");
    let reads = (-14..=0).fold(Scene::new(2).on_demand(), |scene, ago| {
        let minute = MinuteTraffic {
            read_throttled: 9.0,
            get_records_bytes: 3.5 * MIB,
            get_records_calls: 600.0,
            ..MinuteTraffic::default()
        };
        scene.minutes(ago..=ago, minute)
    });
    assert_eq!(reads.code(), "on_demand_ceiling");
    assert!(sentence(&reads).contains("enhanced fan-out") && !sentence(&reads).contains("buy"), "{}", sentence(&reads));
}

#[test]
fn a_hot_key_is_told_by_what_shows_it() {
    let one_child = || one_hot(3000.0).children(40, [3, 4]);
    let splits = sentence(&one_child().memory(&line(40, 2)));
    assert!(splits.contains("(2 splits in 24 hours left nearly all of it in one child)"), "{splits}");
    let lost = sentence(&one_child().counted(now() - TimeDelta::minutes(30)));
    assert!(lost.contains("is forgotten with the memory"), "{lost}");
    let narrow = one_hot(1500.0).with(|s| {
        let shard = &mut s.observation.shards.as_mut().expect("shards")[3];
        shard.last_hash_key = shard.first_hash_key + 2;
    });
    assert!(sentence(&narrow).contains("too few hash keys"), "{}", sentence(&narrow));
}

#[test]
fn on_demand_mode_is_no_way_out_for_the_reason_that_is_said() {
    let full = |s: Scene| s.with(|s| s.observation.limits.as_mut().expect("known").open_shards = 500);
    let denied = full(Scene::under_load(2, 3000.0)).policy(|p| p.on_demand = Permission::Deny);
    assert!(sentence(&denied).contains("you deny on-demand mode"), "{}", sentence(&denied));
    let seen = full(Scene::of_shards(&[1500.0; 8])).policy(|p| p.on_demand = Permission::Deny);
    assert!(sentence(&seen).contains("you deny on-demand mode"), "{}", sentence(&seen));
    let above = full(Scene::under_load(60, 150_000.0));
    assert!(sentence(&above).contains("beyond the 100 shards that you allow"), "{}", sentence(&above));
    let hot = full(one_hot(1500.0));
    assert!(sentence(&hot).contains("does not isolate a hot shard"), "{}", sentence(&hot));
}

/// The same stream a while later, under the same load, with the memory that was written.
fn later(scene: &Scene, minutes: i64) -> Scene {
    let memory = scene.decide().memory.expect("news");
    let load = scene.observation.traffic.minute(newest());
    scene.clone().memory(&memory).minutes(1..=minutes, load).asked().with(|s| {
        s.now += TimeDelta::minutes(minutes);
        s.observation.observed_at = s.now;
    })
}

#[test]
fn what_somebody_else_changes_is_theirs() {
    let full = |s: Scene| s.with(|s| s.observation.limits.as_mut().expect("known").open_shards = 500);
    let switched = || {
        let at = now() - TimeDelta::hours(2);
        let mut memory = Memory::default().intend(Change::intent(ChangeKind::Switch, 4, 4, at), false);
        memory.change.as_mut().expect("just made").settled = Some(at + TimeDelta::minutes(1));
        full(Scene::under_load(4, 9000.0)).memory(&Memory { was_provisioned: true, ..memory })
    };
    // We switched, and somebody switched back: that was the day's second switch, and a revert.
    assert_eq!(switched().code(), "settling", "evidence restarts");
    let back = later(&switched(), 5);
    assert_eq!(back.code(), "at_account_quota");
    let evidence = back.decide().evidence;
    assert_eq!((evidence.mode_switches_last_24_hours, evidence.changes_taken_back), (Some(2), Some(1)));

    // Shards were added by hand: what we did is no longer there to restore, and its budget is spent all the same.
    let scaled = Memory { base: Some(2), ..settled(2, 4, 1200, 60) };
    let by_hand = Scene::under_load(6, 3000.0).memory(&scaled);
    assert_eq!(by_hand.code(), "settling");
    let memory = by_hand.decide().memory.expect("news");
    assert_eq!((memory.base, memory.reshards.len(), memory.reverts.len()), (None, 1, 0));
    assert_eq!(later(&by_hand, 5).code(), "healthy");
}

#[test]
fn who_takes_our_changes_back_twice_in_a_day_wins() {
    let taken_back = |scene: Scene| {
        let scene = scene.memory(&settled(2, 4, 1200, 60)).counted(now() - TimeDelta::seconds(1200));
        assert_eq!(scene.code(), "settling");
        scene
    };
    let once = later(&taken_back(Scene::under_load(2, 3000.0)), 5);
    assert_eq!(once.code(), "scale_shards", "once may be an accident");
    let twice = |hours: i64| {
        let mut memory = later(&taken_back(Scene::under_load(2, 3000.0)), 5).decide().memory.expect("an intent");
        memory.change = later(&taken_back(Scene::under_load(2, 3000.0)), 0).decide().memory.and_then(|m| m.change);
        memory.reverts = vec![now() - TimeDelta::hours(hours), now() - TimeDelta::minutes(30)];
        let change = Change::intent(ChangeKind::External, 4, 2, now() - TimeDelta::minutes(20));
        memory.change = Some(Change { settled: Some(change.at), ..change });
        Scene::under_load(2, 3000.0).memory(&memory)
    };
    assert_eq!(twice(3).code(), "tug_of_war");
    assert!(sentence(&twice(3)).contains("ignore_changes"), "{}", sentence(&twice(3)));
    assert_eq!(twice(25).code(), "scale_shards", "that was yesterday");
}

/// Four shards, raised from one by us so many hours ago, and calm since, with a load of so many records a second.
fn raised(hours: i64, per_second: f64) -> Scene {
    let at = now() - TimeDelta::hours(hours);
    let mut memory = Memory::default().intend(Change::intent(ChangeKind::Scale, 2, 4, at), false);
    let change = memory.change.as_mut().expect("just made");
    change.settled = Some(at + TimeDelta::minutes(1));
    (change.healed, change.published) = (change.settled, change.settled);
    memory.base = Some(1);
    let scene = Scene::new(4).minutes(-1439..=0, offered(per_second, 4)).memory(&memory).asked();
    scene.policy(|p| p.restore_after_hours = 6)
}

#[test]
fn shards_are_given_back_when_nothing_needs_them() {
    let restored = |scene: &Scene| match scene.decide().verdict {
        Verdict::Act(Remedy::Restore { from, to, partial }) => Some((from, to, partial)),
        _ => None,
    };
    assert_eq!(restored(&raised(7, 500.0)), Some((4, 2, Some(Bound::Half))), "never below half");
    assert_eq!(restored(&raised(7, 2000.0)), Some((4, 3, Some(Bound::Peak))), "2 of 0.75 are 2.7");
    let given_back = |minutes: i64| {
        let at = now() - TimeDelta::minutes(minutes);
        let mut memory = Memory::default().intend(Change::intent(ChangeKind::Restore, 8, 4, at), false);
        let change = memory.change.as_mut().expect("just made");
        (change.settled, change.published) = (Some(at), Some(at));
        memory.base = Some(1);
        raised(7, 500.0).memory(&memory)
    };
    assert_eq!(restored(&given_back(70)), Some((4, 2, Some(Bound::Half))), "further down after an hour");
    assert_eq!(restored(&given_back(55)), None);
    let to_base = raised(7, 500.0).with(|s| {
        let mut memory = Memory::parse(&s.observation.tags["unthrottle.memory"]).expect("readable");
        memory.base = Some(3);
        *s = s.clone().memory(&memory);
    });
    assert_eq!(restored(&to_base), Some((4, 3, None)), "never below what it was");
    let throttled_at = |taken: f64| {
        let refused = MinuteTraffic { write_throttled: 6_000.0, ..offered(taken, 4) };
        raised(7, 1450.0).minutes(-460..=-450, refused).with(|s| {
            let mut memory = Memory::parse(&s.observation.tags["unthrottle.memory"]).expect("readable");
            memory.base = Some(2);
            *s = s.clone().memory(&memory);
        })
    };
    assert_eq!(restored(&throttled_at(2000.0)), Some((4, 2, None)), "two full shards, and 1.45 of 0.75 are 1.9");
    assert_eq!(restored(&throttled_at(1600.0)), Some((4, 3, Some(Bound::Peak))), "two that throttle when 80 % full");
    assert_eq!(restored(&throttled_at(500.0)), Some((4, 2, None)), "a burst in a quiet minute");
    assert_eq!(restored(&raised(7, 500.0).policy(|p| p.min_shards = 3)), Some((4, 3, Some(Bound::MinShards))));
    let reads = MinuteTraffic { get_records_bytes: 4.0 * MIB, ..offered(500.0, 4) };
    assert_eq!(restored(&raised(7, 500.0).minutes(-60..=-60, reads)), Some((4, 3, Some(Bound::Peak))), "or read");
    let says = sentence(&raised(7, 500.0));
    assert!(says.contains("Changed 4 → 2 shards") && says.contains("halves"), "{says}");
    let decision = raised(7, 500.0).decide();
    assert!(decision.cost.expect("an act").after_usd_per_hour > 0.0);
    assert_eq!(decision.memory.expect("an intent").base, Some(1), "kept until it is reached");

    let behind = MinuteTraffic { iterator_age_ms: Some(120_000.0), ..offered(500.0, 4) };
    let rows = vec![
        ("raised, calm for as long as is set", "restore", raised(7, 500.0).code()),
        ("raised, and restoring is off", "healthy", raised(7, 500.0).policy(|p| p.restore_after_hours = 0).code()),
        ("raised five hours ago", "healthy", raised(5, 500.0).code()),
        ("raised, and its peak needs all of it", "healthy", raised(7, 2900.0).code()),
        (
            "raised, and one minute's peak needed all of it",
            "healthy",
            raised(7, 500.0).minutes(-300..=-300, offered(2900.0, 4)).code(),
        ),
        (
            "raised, throttled five hours ago",
            "healthy",
            raised(7, 500.0).minutes(-300..=-300, offered(5000.0, 4)).code(),
        ),
        (
            "raised, throttled seven hours ago",
            "restore",
            raised(8, 500.0).minutes(-420..=-420, offered(5000.0, 4)).code(),
        ),
        ("raised, and readers are behind", "healthy", raised(7, 500.0).minutes(0..=0, behind).code()),
        ("raised, and somebody resized it since", "settling", raised(7, 500.0).stream(|s| s.open_shards = 5).code()),
        (
            "raised, and eight reshards today",
            "healthy",
            (0..8).fold(raised(7, 500.0), |s, i| s.counted(now() - TimeDelta::hours(7 + i))).code(),
        ),
        (
            "raised, and seven reshards today",
            "restore",
            (0..7).fold(raised(7, 500.0), |s, i| s.counted(now() - TimeDelta::hours(7 + i))).code(),
        ),
        (
            "raised, and giving back was refused today",
            "healthy",
            raised(7, 500.0)
                .with(|s| {
                    let memory = Memory::parse(&s.observation.tags["unthrottle.memory"]).expect("readable");
                    *s = s.clone().memory(&memory.refuse(ChangeKind::Restore, now() - TimeDelta::hours(2), false));
                })
                .code(),
        ),
        (
            "raised, and the account has no room for what it would be",
            "healthy",
            raised(7, 500.0).with(|s| s.observation.limits.as_mut().expect("known").open_shards = 499).code(),
        ),
        (
            "never raised",
            "healthy",
            Scene::new(4).minutes(-1439..=0, offered(500.0, 4)).policy(|p| p.restore_after_hours = 6).code(),
        ),
    ];
    check(rows);
}

#[test]
fn a_person_takes_a_change_back_by_hand() {
    let by_hand = |scene: Scene, to: Option<u32>| {
        let scene = scene.policy(|p| p.restore_after_hours = 0).asked();
        scene.with(|s| {
            if let Signal::Ask(ask) = &mut s.signal {
                ask.undo = Some(unthrottle_core::signal::Undo { to });
            }
        })
    };
    let step = |scene: &Scene| match scene.decide().verdict {
        Verdict::Act(Remedy::Restore { from, to, .. }) => Ok((from, to)),
        _ => Err(sentence(scene)),
    };
    assert_eq!(step(&by_hand(raised(2, 500.0), None)), Ok((4, 2)), "no need to wait for calm hours");
    assert_eq!(step(&by_hand(raised(2, 500.0), Some(3))), Ok((4, 3)));
    let refused = |scene: &Scene, why: &str| {
        assert_eq!(scene.code(), "not_restorable");
        let says = sentence(scene);
        assert!(says.contains(why) && says.ends_with("Nothing was changed."), "{says}");
    };
    refused(&by_hand(raised(2, 500.0), Some(9)), "it has 4 shards, and shards are only taken back");
    refused(&by_hand(raised(2, 2900.0), None), "the peak of the last hour");
    refused(&by_hand(Scene::new(4).minutes(-9..=0, offered(500.0, 4)), None), "no change of ours is left");
    refused(&by_hand(Scene::under_load(2, 3000.0), Some(1)), "it is throttled now");
    refused(&by_hand(Scene::new(4).on_demand(), None), "it is in on-demand mode");
    let behind = MinuteTraffic { iterator_age_ms: Some(120_000.0), ..offered(500.0, 4) };
    refused(&by_hand(raised(2, 500.0).minutes(0..=0, behind), None), "its readers are behind");
    assert_eq!(by_hand(calm_and_watched(), None).code(), "disable_shard_metrics");
    // A hand is not held back for the fleet's sake.
    let many = by_hand(raised(2, 500.0), None).with(|s| s.observation.traffic.fleet_fixes = [(newest(), 500)].into());
    assert_eq!(step(&many), Ok((4, 2)));
}

fn calm_and_watched() -> Scene {
    Scene::new(8).minutes(-9..=0, offered(1000.0, 8)).shard_metrics().memory(&watching(9))
}

#[test]
fn a_fleet_is_changed_only_so_often() {
    let load = || Scene::under_load(2, 3000.0);
    let with = |fleet: Fleet| load().with(|s| s.observation.fleet = fleet);
    let hour = |changes_last_hour| Fleet { changes_last_hour, ..Fleet::default() };
    let unseen = |own_unpublished| Fleet { own_unpublished, ..Fleet::default() };
    let sweep = |left| Fleet { left_in_sweep: Some(left), ..Fleet::default() };
    let rows = vec![
        ("99 changes in the last hour", "scale_shards", with(hour(99)).code()),
        ("100 changes in the last hour", "fleet_limit", with(hour(100)).code()),
        ("19 changes of this container that nobody sees yet", "scale_shards", with(unseen(19)).code()),
        ("20 changes of this container that nobody sees yet", "fleet_limit", with(unseen(20)).code()),
        ("the last change of a sweep", "scale_shards", with(sweep(1)).code()),
        ("no change left in a sweep", "fleet_limit", with(sweep(0)).code()),
        (
            "90 changes in the last hour and 10 of this container that nobody sees yet",
            "fleet_limit",
            with(Fleet { changes_last_hour: 90, own_unpublished: 10, ..Fleet::default() }).code(),
        ),
        (
            "49 changes in the last hour, and something to give back",
            "restore",
            raised(7, 500.0).with(|s| s.observation.fleet = hour(49)).code(),
        ),
        (
            "50 changes in the last hour, and something to give back",
            "healthy",
            raised(7, 500.0).with(|s| s.observation.fleet = hour(50)).code(),
        ),
        (
            "no change left in a sweep, and something to give back",
            "healthy",
            raised(7, 500.0).with(|s| s.observation.fleet = sweep(0)).code(),
        ),
        (
            "100 changes, bursts, and metrics that are on for an hour",
            "micro_burst",
            bursts().memory(&watching(61)).with(|s| s.observation.fleet = hour(100)).code(),
        ),
        ("100 changes, and a plan", "scale_shards", with(hour(100)).tag("unthrottle.mode", "observe").code()),
        (
            "100 changes, and nothing to change",
            "healthy",
            Scene::new(2).minutes(-9..=0, offered(1000.0, 2)).with(|s| s.observation.fleet = hour(100)).code(),
        ),
    ];
    check(rows);
    for (fleet, says) in [
        (hour(100), "100 streams of this account and region were changed within an hour"),
        (unseen(20), "has just changed 20 streams, a fifth of what UNTHROTTLE_MAX_CHANGES_PER_HOUR allows"),
        // A sweep's own bound is said, though the container has reached its fifth, too.
        (Fleet { own_unpublished: 20, ..sweep(0) }, "this sweep has changed 20 streams"),
    ] {
        let sentence = sentence(&with(fleet));
        assert!(sentence.contains(says), "{sentence}");
    }
    let traffic = |counts: &[(i64, u32)]| {
        let mut scene = load();
        scene.observation.traffic.fleet_fixes =
            counts.iter().map(|(ago, n)| (Minute::of(now()).plus(-ago), *n)).collect();
        scene.observation.traffic
    };
    let own = [(Minute::of(now()), 2), (Minute::of(now()).plus(-5), 3), (Minute::of(now()).plus(-90), 9)].into();
    let fleet = Fleet::of(&traffic(&[(5, 2), (59, 4), (60, 8)]), &own, now());
    assert_eq!((fleet.changes_last_hour, fleet.own_unpublished), (6, 3), "the hour, and ours beyond what it shows");
}

#[test]
fn a_change_that_did_not_help_is_said_not_to_have_healed() {
    let in_vain = || {
        let minute = MinuteTraffic { write_throttled: 60_000.0, ..offered(2000.0, 8) };
        let mut memory = settled(4, 8, 600, 60);
        memory.change.as_mut().expect("just made").published = Some(now());
        Scene::new(8).minutes(-9..=0, minute).memory(&memory)
    };
    assert_eq!(in_vain().code(), "not_healed");
    let says = sentence(&in_vain());
    assert!(says.contains("still throttled after the change 4 → 8 shards") && says.contains("hot shards"), "{says}");
    assert_eq!(in_vain().policy(|p| p.diagnose = Permission::Allow).code(), "enable_shard_metrics", "the next step");
    let yesterday = in_vain().with(|s| {
        let memory = settled(4, 8, 7200, 60);
        *s = s.clone().memory(&memory).counted(now() - TimeDelta::seconds(7200));
    });
    assert_eq!(yesterday.code(), "skew_suspected", "another incident");
    let mut read = settled(1, 2, 600, 60);
    read.change.as_mut().expect("just made").published = Some(now());
    let readers = reading(60.0, 0.5 * MIB, 180.0, |_| 500.0).memory(&read);
    assert_eq!(readers.code(), "not_healed");
    assert!(sentence(&readers).contains("Some shards are read harder than others"), "{}", sentence(&readers));
}

#[test]
fn a_person_is_told_once_an_hour() {
    let topic = |s: Scene| s.policy(|p| p.topic_arn = Some("arn:aws:sns:us-east-1:123456789012:t".into()));
    let held = || topic(Scene::under_load(2, 3000.0)).policy(|p| p.max_shards = 2);
    let first = held().decide();
    assert!(first.notify);
    let memory = first.memory.expect("news");
    assert_eq!(memory.notified, Some(("at_max_shards".into(), now())));
    let again = held().memory(&memory).decide();
    assert_eq!((again.notify, again.memory), (false, None));
    let other = held().memory(&memory).with(|s| s.observation.limits.as_mut().expect("known").open_shards = 500);
    assert!(!other.decide().notify, "still at the maximum");
    let denied = topic(Scene::under_load(2, 3000.0)).policy(|p| p.on_demand = Permission::Deny).memory(&memory);
    assert!(denied.with(|s| s.observation.limits.as_mut().expect("known").open_shards = 500).decide().notify, "another");
    let hour = held().memory(&memory).with(|s| {
        s.now += TimeDelta::hours(1);
        s.observation.observed_at = s.now;
    });
    let hour = hour.minutes(50..=60, offered(3000.0, 2));
    assert_eq!((hour.code(), hour.decide().notify), ("at_max_shards", true));
    assert!(topic(Scene::under_load(2, 3000.0)).decide().notify, "every change");
    assert!(!Scene::under_load(2, 3000.0).decide().notify, "nobody to tell");
    assert!(!topic(Scene::new(2).minutes(-9..=0, offered(1000.0, 2))).decide().notify, "nothing to tell");
    assert!(topic(Scene::under_load(2, 3000.0)).tag("unthrottle.max-shards", "plenty").decide().notify);
    let unseen = unthrottle_core::decide::hold_unobserved(Reason::AccessDenied, &topic(Scene::new(1)).policy);
    assert!(unseen.notify);
}

#[test]
fn only_streams_with_something_to_do_are_due() {
    let due = |memory: &Memory| {
        let tags = [("unthrottle.memory".to_owned(), memory.encode().expect("fits"))].into();
        pending(&tags, &Policy { restore_after_hours: 6, ..Policy::default() }, now()).is_some()
    };
    let done = |hours: i64| {
        let mut memory = settled(2, 4, hours * 3600, 60);
        let change = memory.change.as_mut().expect("just made");
        (change.healed, change.published) = (change.settled, change.settled);
        memory
    };
    let with = |memory: Memory, change: fn(&mut Memory)| {
        let mut memory = memory;
        change(&mut memory);
        memory
    };
    assert!(!due(&done(1)), "healed and counted");
    assert!(due(&scaled(2, 4, 60)), "an intent");
    assert!(!due(&scaled(2, 4, 25 * 3600)), "of yesterday");
    assert!(due(&with(done(1), |m| m.change.as_mut().expect("one").healed = None)), "to verify");
    assert!(due(&with(done(1), |m| m.change.as_mut().expect("one").published = None)), "no receipt");
    assert!(
        due(&with(done(1), |m| m.unpublished = Some((ChangeKind::Scale, now() - TimeDelta::hours(2))))),
        "an older receipt"
    );
    assert!(due(&with(done(7), |m| m.base = Some(2))), "to restore");
    assert!(!due(&with(done(7), |m| (m.base, m.restore_tried) = (Some(2), Some(now() - TimeDelta::minutes(59))))), "in vain");
    assert!(due(&with(done(7), |m| (m.base, m.restore_tried) = (Some(2), Some(now() - TimeDelta::minutes(60))))), "once more");
    let sent = |minutes| {
        let mut memory = done(1);
        let change = memory.change.as_mut().expect("one");
        (change.published, change.resent) = (None, Some(now() - TimeDelta::minutes(minutes)));
        memory
    };
    assert!(!due(&sent(20)) && due(&sent(31)), "sent again, and not found yet");
    assert!(!due(&scaled(2, 4, 60).refuse(ChangeKind::Scale, now(), true)), "never made");
    assert!(!due(&with(done(5), |m| m.base = Some(2))), "not yet");
    assert!(due(&watching(61)), "to switch off");
    assert!(!due(&with(watching(30), |m| m.change.as_mut().expect("one").published = Some(now()))), "not yet");
    let tags = |memory: &str, mode: &str| {
        [("unthrottle.memory".to_owned(), memory.to_owned()), ("unthrottle.mode".to_owned(), mode.to_owned())].into()
    };
    let text = scaled(2, 4, 60).encode().expect("fits");
    assert_eq!(pending(&tags(&text, "off"), &Policy::default(), now()), None);
    let restores = Policy { restore_after_hours: 6, ..Policy::default() };
    let due_as = |memory: &Memory, mode: &str| pending(&tags(&memory.encode().expect("fits"), mode), &restores, now());
    let raised = with(done(7), |m| m.base = Some(2));
    assert_eq!(due_as(&raised, "heal"), Some(Pending::Restore));
    assert_eq!(due_as(&raised, "observe"), None, "nothing would come of it");
    assert_eq!(due_as(&scaled(2, 4, 60), "observe"), Some(Pending::Now));
    let watched = with(watching(61), |m| m.change.as_mut().expect("one").published = Some(now()));
    assert_eq!((due_as(&watched, "heal"), due_as(&watched, "observe")), (Some(Pending::Now), None));
    let scoped = Policy { scope: Scope::Tagged, ..restores.clone() };
    let untagged = [("unthrottle.memory".to_owned(), raised.encode().expect("fits"))].into();
    assert_eq!(
        (pending(&untagged, &restores, now()), pending(&untagged, &scoped, now())),
        (Some(Pending::Restore), None)
    );
    assert!(Pending::Now < Pending::Restore, "what waits to be verified comes first");
    assert_eq!(pending(&tags("gone fishing", "heal"), &restores, now()), Some(Pending::Now));
}

#[test]
fn what_was_raised_is_given_back_though_a_later_change_was_never_made() {
    let memory = |change: fn(&Memory) -> Memory| {
        let raised = raised(7, 500.0).observation.tags["unthrottle.memory"].clone();
        change(&Memory::parse(&raised).expect("readable"))
    };
    let hours_ago = |hours| now() - TimeDelta::hours(hours);
    let refused = memory(|m| {
        let intent = m.intend(Change::intent(ChangeKind::Scale, 4, 8, now() - TimeDelta::hours(7)), false);
        intent.refuse(ChangeKind::Scale, now() - TimeDelta::hours(7), true)
    });
    assert_eq!(raised(7, 500.0).memory(&refused).code(), "restore");
    let died = memory(|m| m.intend(Change::intent(ChangeKind::Scale, 4, 8, now() - TimeDelta::hours(7)), false));
    assert_eq!(raised(7, 500.0).memory(&died).code(), "restore");
    let not_given_back = memory(|m| {
        let intent = m.intend(Change::intent(ChangeKind::Restore, 4, 2, now() - TimeDelta::hours(30)), false);
        intent.refuse(ChangeKind::Restore, now() - TimeDelta::hours(30), true)
    });
    assert_eq!(raised(31, 500.0).memory(&not_given_back).code(), "restore", "of {}", hours_ago(30));
}

#[test]
fn what_cannot_be_given_back_is_noted_once_an_hour() {
    let needed = || raised(7, 2900.0);
    let memory = needed().decide().memory.expect("news");
    assert_eq!(memory.restore_tried, Some(now()));
    assert_eq!(needed().memory(&memory).decide().memory, None);
    let mut old = memory.clone();
    old.restore_tried = Some(now() - TimeDelta::hours(1));
    assert_eq!(needed().memory(&old).decide().memory, Some(memory));
}

#[test]
fn in_observe_mode_nobody_hears_of_a_healing_that_cannot_be_noted() {
    let healed = || {
        let scene = Scene::new(4).minutes(-15..=-8, offered(3000.0, 2)).minutes(-7..=0, offered(3000.0, 4));
        let scene = scene.memory(&settled(2, 4, 600, 60)).asked();
        scene.policy(|p| p.topic_arn = Some("arn:aws:sns:us-east-1:123456789012:t".into()))
    };
    assert!(matches!(healed().decide().verdict, Verdict::Hold(Reason::Healthy { healed: Some(_) })));
    assert!(healed().decide().notify);
    let observed = healed().tag("unthrottle.mode", "observe").decide();
    assert_eq!((observed.verdict, observed.notify), (Verdict::Hold(Reason::Healthy { healed: None }), false));
}
