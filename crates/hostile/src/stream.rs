//! A throttled stream that hostile input meets, and what every decision about it must keep.

use chrono::{DateTime, TimeDelta, Utc};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use unthrottle_core::decide::{MissingData, decide};
use unthrottle_core::decision::{Decision, Outcome, Remedy, Verdict};
use unthrottle_core::memory::Memory;
use unthrottle_core::observation::{
    CapacityMode, Commitment, Limits, Minute, MinuteTraffic, Observation, SHARD_METRICS, Shard, ShardsAt, Status,
    Stream,
};
use unthrottle_core::policy::Policy;
use unthrottle_core::report::Document;
use unthrottle_core::signal::{Home, Signal, StreamArn};

/// How often a decision may ask for more data. The entrance of the Lambda completes an observation in fewer steps.
const MOST_QUESTIONS: usize = 8;

/// The account and region of the function.
pub(crate) fn home() -> Home {
    Home { partition: "aws".into(), region: "us-east-1".into(), account: "123456789012".into() }
}

/// 17:05:30 on the day of the sample events.
pub(crate) fn now() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(1_795_194_330)
}

pub(crate) fn arn() -> StreamArn {
    StreamArn::new("orders", &home()).expect("a legal name")
}

/// The sweep finds the stream. It has two shards, and 50 % more load than they take.
pub(crate) fn throttled(tags: BTreeMap<String, String>) -> (Signal, Observation) {
    let stream = Stream {
        name: "orders".into(),
        arn: arn().to_string(),
        status: Status::Active,
        mode: CapacityMode::Provisioned,
        open_shards: 2,
        retention_hours: 24,
        consumers: 0,
        shard_metrics: BTreeSet::new(),
        warm_throughput: None,
        spreads_records: false,
        channels: Some(0),
        queues: Some(0),
        kms_key: None,
        created_at: None,
    };
    let mut observation = Observation { observed_at: now(), stream: Some(stream), tags, ..Observation::default() };
    let limits = Limits { shard_limit: 500, open_shards: 2, on_demand_streams: 0, on_demand_stream_limit: 50 };
    observation.limits = Some(limits);
    for ago in 2..12 {
        *observation.traffic.minute_mut(Minute::of(now()).plus(-ago)) = MinuteTraffic {
            incoming_records: 120_000.0,
            incoming_bytes: 120_000.0 * 1024.0,
            write_throttled: 60_000.0,
            ..MinuteTraffic::default()
        };
    }
    (Signal::Sweep(arn()), observation)
}

/// Decides. Answers each question as AWS would about a stream that nothing has changed.
pub(crate) fn decided(signal: &Signal, mut observation: Observation, policy: &Policy) -> (Decision, Observation) {
    for _ in 0..MOST_QUESTIONS {
        match decide(signal, &observation, policy, now()) {
            Ok(decision) => {
                is_sound(signal, &observation, policy, &decision);
                return (decision, observation);
            }
            Err(missing) => complete(&mut observation, missing),
        }
    }
    panic!("the decision asks again and again: {:?}", decide(signal, &observation, policy, now()));
}

fn complete(observation: &mut Observation, missing: MissingData) {
    let open = observation.stream.as_ref().map_or(0, |stream| stream.open_shards);
    if let Some(at) = missing.shards_at {
        observation.shards_at.insert(at, ShardsAt { count: open, are_open: true });
    }
    if missing.change_shown.is_some() {
        observation.is_change_shown = Some(true);
    }
    if missing.past {
        observation.past = Some(Arc::default());
    }
    if missing.commitment {
        observation.commitment = Some(Commitment::Disabled);
    }
    if (missing.shards || missing.shards_at.is_some()) && observation.shards.is_none() {
        observation.shards = Some(even_shards(open));
    }
}

/// Shards of equal width without metrics of their own.
fn even_shards(open: u32) -> Vec<Shard> {
    let width = u128::MAX / u128::from(open.max(1));
    let shard = |number: u32| Shard {
        id: format!("shardId-{number:012}"),
        parent: None,
        first_hash_key: width * u128::from(number),
        last_hash_key: if number + 1 == open { u128::MAX } else { width * u128::from(number + 1) - 1 },
        traffic: unthrottle_core::observation::Traffic::default(),
    };
    (0..open).map(shard).collect()
}

/// The laws of every decision: it changes no stream that its tags exclude, stays within the maximum, leaves a memory
/// that reads, and says all of it in one safe line.
fn is_sound(signal: &Signal, observation: &Observation, policy: &Policy, decision: &Decision) {
    let allowed = policy.for_stream(&observation.tags, signal.mode());
    if decision.outcome == Outcome::Acted {
        let allowed = allowed.expect("an unreadable tag changes nothing").expect("a stream out of scope is left alone");
        assert!(allowed.mode > unthrottle_core::policy::Mode::Observe, "a stream is changed that is only observed");
        let stream = observation.stream.as_ref().expect("a stream that exists");
        assert_eq!(stream.status, Status::Active, "a stream is changed that is not ACTIVE");
        if let Verdict::Act(Remedy::ScaleShards { from, to, .. } | Remedy::ScaleAhead { from, to, .. }) =
            decision.verdict
        {
            assert_eq!(from, stream.open_shards);
            assert!(to > from && to <= 2 * from && to <= allowed.max_shards, "{from} → {to} of {allowed:?}");
        }
        assert!(decision.memory.is_some(), "a change is announced in the memory");
    }
    if let Some(Ok(text)) = decision.memory.as_ref().map(Memory::encode) {
        let again = Memory::parse(&text).expect("a memory that reads").encode();
        assert_eq!(again.as_deref(), Ok(text.as_str()), "a memory that is written again is the same");
    }
    is_safe(&Document::new(signal, observation.stream.as_ref(), decision, None));
}

/// A document is JSON that reads back, and its sentence is one line without a link.
pub(crate) fn is_safe(document: &Document) {
    let json = serde_json::to_string(document).expect("JSON");
    let read: serde_json::Value = serde_json::from_str(&json).expect("JSON that reads");
    assert_eq!(read["code"], *document.code);
    let sentence = &document.sentence;
    assert!(!sentence.is_empty() && !sentence.chars().any(char::is_control), "{sentence:?}");
    assert!(!sentence.contains("://"), "a link in {sentence:?}");
}

/// The shard-level metrics are on.
pub(crate) fn show_shards(stream: &mut Stream) {
    stream.shard_metrics = SHARD_METRICS.map(String::from).into();
}
