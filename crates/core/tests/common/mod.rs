//! A scene: one stream, its traffic and a signal, told in few words.

#![allow(dead_code, reason = "each test binary uses its part")]

use chrono::{DateTime, TimeDelta, Utc};
use std::collections::{BTreeMap, BTreeSet};
use unthrottle_core::decide::{MissingData, decide};
use unthrottle_core::decision::Decision;
use unthrottle_core::memory::{Change, ChangeKind, Memory, TAG};
use unthrottle_core::observation::{
    CapacityMode, Commitment, Fleet, Limits, Minute, MinuteTraffic, Observation, SHARD_METRICS, Shard, Status, Stream,
    Traffic, WarmThroughput,
};
use unthrottle_core::policy::Policy;
use unthrottle_core::report::Document;
use unthrottle_core::signal::{Ask, Call, Home, Signal, StreamArn};

pub fn home() -> Home {
    Home { partition: "aws".into(), region: "us-east-1".into(), account: "123456789012".into() }
}

/// 17:05:30 on the day of the samples.
pub fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_194_330, 0).expect("in range")
}

/// The newest published minute: 17:03.
pub fn newest() -> Minute {
    Minute::of(now()).plus(-2)
}

/// A minute of a load offered to `shards` shards, in records of 1 KiB a second: what fits is accepted.
pub fn offered(per_second: f64, shards: u32) -> MinuteTraffic {
    let accepted = per_second.min(f64::from(shards) * 1000.0);
    MinuteTraffic {
        incoming_records: accepted * 60.0,
        incoming_bytes: accepted * 60.0 * 1024.0,
        write_throttled: (per_second - accepted) * 60.0,
        ..MinuteTraffic::default()
    }
}

#[derive(Clone, Debug)]
pub struct Scene {
    pub signal: Signal,
    pub observation: Observation,
    pub policy: Policy,
    pub now: DateTime<Utc>,
}

impl Scene {
    /// A stream of `shards` shards without any traffic, and a throttled PutRecords at 17:03:10.
    pub fn new(shards: u32) -> Scene {
        let stream = StreamArn::new("orders", &home()).expect("legal");
        let call = Call {
            time: Some(newest().start() + TimeDelta::seconds(10)),
            operation: "PutRecords".into(),
            error_code: Some("ProvisionedThroughputExceededException".into()),
            account: Some(home().account),
            region: Some(home().region),
            stream: Some(stream.clone()),
            ..Call::default()
        };
        Scene {
            signal: Signal::Throttle(call),
            observation: Observation {
                observed_at: now(),
                stream: Some(Stream {
                    name: stream.name.clone(),
                    arn: stream.to_string(),
                    status: Status::Active,
                    mode: CapacityMode::Provisioned,
                    open_shards: shards,
                    retention_hours: 24,
                    consumers: 0,
                    shard_metrics: BTreeSet::new(),
                    warm_throughput: None,
                    spreads_records: false,
                    channels: Some(0),
                    queues: Some(0),
                    kms_key: None,
                }),
                tags: BTreeMap::new(),
                traffic: Traffic::default(),
                limits: Some(Limits {
                    shard_limit: 500,
                    open_shards: shards,
                    on_demand_streams: 0,
                    on_demand_stream_limit: 50,
                }),
                shards: None,
                commitment: Some(Commitment::Disabled),
                fleet: Fleet::default(),
            },
            policy: Policy::default(),
            now: now(),
        }
    }

    /// A stream of `shards` shards that was offered `per_second` records of 1 KiB in each of the last ten minutes.
    pub fn under_load(shards: u32, per_second: f64) -> Scene {
        Scene::new(shards).minutes(-9..=0, offered(per_second, shards))
    }

    /// The same traffic in each of these minutes, counted from the newest published one.
    pub fn minutes(mut self, minutes: std::ops::RangeInclusive<i64>, traffic: MinuteTraffic) -> Scene {
        for ago in minutes {
            *self.observation.traffic.minute_mut(newest().plus(ago)) = traffic;
        }
        self
    }

    /// A stream with shard-level metrics, each shard offered so many records of 1 KiB a second in each of the last ten
    /// minutes. The shards are numbered from 0, without parents, and share the hash keys evenly.
    pub fn of_shards(loads: &[f64]) -> Scene {
        let open = u32::try_from(loads.len()).expect("few");
        let count = loads.len() as u128;
        // 2^128 × i ÷ count, rounded down: 2^128 itself does not fit.
        let first = |i: usize| u128::MAX / count * i as u128 + (u128::MAX % count + 1) * i as u128 / count;
        let shards = loads.iter().enumerate().map(|(i, load)| {
            let last = if i + 1 == loads.len() { u128::MAX } else { first(i + 1) - 1 };
            let first = first(i);
            let mut shard = Shard {
                id: format!("shardId-{i:012}"),
                parent: None,
                first_hash_key: first,
                last_hash_key: last,
                traffic: Traffic::default(),
            };
            for ago in -9..=0 {
                *shard.traffic.minute_mut(newest().plus(ago)) = offered(*load, 1);
            }
            shard
        });
        let shards: Vec<Shard> = shards.collect();
        let sum = |of: fn(&MinuteTraffic) -> f64| shards.iter().map(|s| of(&s.traffic.minute(newest()))).sum::<f64>();
        let minute = MinuteTraffic {
            incoming_records: sum(|m| m.incoming_records),
            incoming_bytes: sum(|m| m.incoming_bytes),
            write_throttled: sum(|m| m.write_throttled),
            ..MinuteTraffic::default()
        };
        let scene = Scene::new(open).minutes(-9..=0, minute).shard_metrics();
        scene.with(|s| s.observation.shards = Some(shards))
    }

    /// As many open shards as the summary has, of equal width, without metrics of their own.
    pub fn even_shards(self) -> Scene {
        let open = self.observation.stream.as_ref().expect("a stream").open_shards;
        let shards = Scene::of_shards(&vec![0.0; open as usize]).observation.shards;
        self.with(|s| s.observation.shards = shards)
    }

    /// The shard-level metrics are switched on.
    pub fn shard_metrics(self) -> Scene {
        self.stream(|s| s.shard_metrics = SHARD_METRICS.map(String::from).into())
    }

    /// These shards are the two halves of the shard with this number.
    pub fn children(mut self, parent: u64, of: [usize; 2]) -> Scene {
        let shards = self.observation.shards.as_mut().expect("shards");
        of.into_iter().for_each(|child| shards[child].parent = Some(format!("shardId-{parent:012}")));
        self
    }

    /// The first two shards are halves of shard 40.
    pub fn with_family(self) -> Scene {
        if self.observation.shards.is_some() { self.children(40, [0, 1]) } else { self }
    }

    /// An on-demand stream of an account with the commitment.
    pub fn warm(self, current: u32, target: u32) -> Scene {
        let warm = WarmThroughput { current_mibps: current, target_mibps: target };
        self.on_demand().stream(|s| s.warm_throughput = Some(warm)).committed()
    }

    /// The account has the throughput commitment.
    pub fn committed(self) -> Scene {
        self.with(|s| s.observation.commitment = Some(Commitment::Enabled))
    }

    pub fn with(mut self, change: impl FnOnce(&mut Scene)) -> Scene {
        change(&mut self);
        self
    }

    pub fn stream(mut self, change: impl FnOnce(&mut Stream)) -> Scene {
        change(self.observation.stream.as_mut().expect("a stream"));
        self
    }

    pub fn policy(mut self, change: impl FnOnce(&mut Policy)) -> Scene {
        change(&mut self.policy);
        self
    }

    pub fn call(mut self, change: impl FnOnce(&mut Call)) -> Scene {
        if let Signal::Throttle(call) = &mut self.signal {
            change(call);
        }
        self
    }

    pub fn asked(mut self) -> Scene {
        let stream = StreamArn::new("orders", &home()).expect("legal");
        self.signal = Signal::Ask(Ask { stream, mode: None, message: None, undo: None });
        self
    }

    pub fn on_demand(self) -> Scene {
        self.stream(|s| s.mode = CapacityMode::OnDemand)
    }

    pub fn tag(mut self, key: &str, value: &str) -> Scene {
        self.observation.tags.insert(key.into(), value.into());
        self
    }

    pub fn memory(self, memory: &Memory) -> Scene {
        let text = memory.encode().expect("fits");
        self.tag(TAG, &text)
    }

    /// The AutoFix metric shows a reshard in that minute.
    pub fn counted(mut self, at: DateTime<Utc>) -> Scene {
        *self.observation.traffic.reshards.entry(Minute::of(at)).or_default() += 1;
        *self.observation.traffic.auto_fixes.entry(Minute::of(at)).or_default() += 1;
        self
    }

    /// A change of ours, `seconds` before now.
    pub fn changed(self, from: u32, to: u32, seconds: i64) -> Scene {
        let memory = scaled(from, to, seconds);
        self.memory(&memory)
    }

    /// The decision; where it takes the bounds of the shards, and the scene has none, they are of equal width.
    pub fn decide(&self) -> Decision {
        self.look().or_else(|_| self.clone().even_shards().look()).expect("everything that it takes has been read")
    }

    pub fn look(&self) -> Result<Decision, MissingData> {
        decide(&self.signal, &self.observation, &self.policy, self.now)
    }

    /// The decision's code; its sentence must be one that a person can read.
    pub fn code(&self) -> &'static str {
        let decision = self.decide();
        let sentence = Document::new(&self.signal, self.observation.stream.as_ref(), &decision, None).sentence;
        let odd = ["NaN", "inf", "{", "}", "  ", ".."].into_iter().find(|odd| sentence.contains(odd));
        assert!(odd.is_none() && sentence.starts_with("orders: ") && sentence.ends_with('.'), "{sentence}");
        decision.verdict.code()
    }
}

/// The memory of a change of ours, `seconds` before now.
pub fn scaled(from: u32, to: u32, seconds: i64) -> Memory {
    Memory::default().intend(Change::intent(ChangeKind::Scale, from, to, now() - TimeDelta::seconds(seconds)), false)
}

/// The memory of a change of ours that settled.
pub fn settled(from: u32, to: u32, seconds: i64, after: i64) -> Memory {
    let mut memory = scaled(from, to, seconds);
    let change = memory.change.as_mut().expect("just made");
    change.settled = Some(change.at + TimeDelta::seconds(after));
    memory
}
