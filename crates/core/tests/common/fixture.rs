//! One stream of an account, its traffic, a policy and a signal.

use super::{home, minutes_ago, newest, now, offered, scaled};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;
use unthrottle_core::decide::{MissingData, decide};
use unthrottle_core::decision::Decision;
use unthrottle_core::memory::{ChangeKind, Memory, TAG};
use unthrottle_core::observation::{
    CapacityMode, Commitment, Fleet, Limits, Minute, MinuteTraffic, Observation, SHARD_METRICS, Shard, ShardsAt,
    Status, Stream, Traffic, WarmThroughput,
};
use unthrottle_core::policy::Policy;
use unthrottle_core::report::Document;
use unthrottle_core::signal::{Ask, Call, Signal, StreamArn};

/// The quota of shards of the fixture's account.
pub const MAX_SHARDS_OF_ACCOUNT: u32 = 500;

/// Records of 1 KiB a second that a shard takes without being busy.
pub const IDLE: f64 = 100.0;

#[derive(Clone, Debug)]
pub struct Fixture {
    pub signal: Signal,
    pub observation: Observation,
    pub policy: Policy,
    pub now: DateTime<Utc>,
    /// When the shards became what they are, and how many there were before. `None`: long ago.
    pub resharded: Option<(DateTime<Utc>, u32)>,
    /// The AutoFix metric has no datum of the change in the memory.
    pub is_forged: bool,
}

impl Fixture {
    /// A stream of `shards` shards without any traffic, and a throttled PutRecords at 17:03:10.
    pub fn new(shards: u32) -> Fixture {
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
        let stream = Stream {
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
            created_at: None,
        };
        let limits = Limits {
            shard_limit: MAX_SHARDS_OF_ACCOUNT,
            open_shards: shards,
            on_demand_streams: 0,
            on_demand_stream_limit: 50,
        };
        let observation = Observation {
            observed_at: now(),
            stream: Some(stream),
            tags: BTreeMap::new(),
            traffic: Traffic::default(),
            limits: Some(limits),
            shards: None,
            shards_at: BTreeMap::new(),
            is_change_shown: None,
            past: None,
            commitment: Some(Commitment::Disabled),
            fleet: Fleet::default(),
        };
        let signal = Signal::Throttle(call);
        Fixture { signal, observation, policy: Policy::default(), now: now(), resharded: None, is_forged: false }
    }

    /// A stream of `shards` shards that was offered `per_second` records of 1 KiB in each of the last ten minutes.
    pub fn under_load(shards: u32, per_second: f64) -> Fixture {
        Fixture::new(shards).minutes(-9..=0, offered(per_second, shards))
    }

    /// A stream with shard-level metrics. `loads`: the records of 1 KiB a second that each shard was offered in each of
    /// the last ten minutes. The shards are numbered from 0, without parents, and share the hash keys evenly.
    pub fn of_shards(loads: &[f64]) -> Fixture {
        let shards = even_shards(loads);
        let offered = || loads.iter().map(|load| offered(*load, 1));
        let minute = MinuteTraffic {
            incoming_records: offered().map(|m| m.incoming_records).sum(),
            incoming_bytes: offered().map(|m| m.incoming_bytes).sum(),
            write_throttled: offered().map(|m| m.write_throttled).sum(),
            ..MinuteTraffic::default()
        };
        let open = u32::try_from(loads.len()).expect("few");
        let fixture = Fixture::new(open).minutes(-9..=0, minute).shard_metrics();
        fixture.with(|f| f.observation.shards = Some(shards))
    }

    /// The same traffic in each of these minutes, counted from the newest published one.
    pub fn minutes(mut self, minutes: RangeInclusive<i64>, traffic: MinuteTraffic) -> Fixture {
        let newest = newest();
        for minute in minutes {
            *self.observation.traffic.minute_mut(newest.plus(minute)) = traffic;
        }
        self
    }

    /// As many open shards as the summary has, of equal width, without metrics of their own.
    pub fn with_even_shards(self) -> Fixture {
        let open = self.open_shards();
        self.with(|f| f.observation.shards = Some(even_shards(&vec![0.0; open as usize])))
    }

    /// The shard-level metrics are on.
    pub fn shard_metrics(self) -> Fixture {
        self.stream(|s| s.shard_metrics = SHARD_METRICS.map(String::from).into())
    }

    /// Changes a shard that was read.
    pub fn shard(self, index: usize, change: impl FnOnce(&mut Shard)) -> Fixture {
        self.with(|f| change(&mut f.observation.shards.as_mut().expect("shards")[index]))
    }

    /// These shards are the two halves of the shard with the number `parent`.
    pub fn halves_of(self, parent: u64, halves: [usize; 2]) -> Fixture {
        let child = |fixture: Fixture, half| fixture.shard(half, |s| s.parent = Some(format!("shardId-{parent:012}")));
        halves.into_iter().fold(self, child)
    }

    /// An on-demand stream of an account with the commitment.
    pub fn warm(self, current: u32, target: u32) -> Fixture {
        let warm = WarmThroughput { current_mibps: current, target_mibps: target };
        self.on_demand().stream(|s| s.warm_throughput = Some(warm)).committed()
    }

    /// The account has the throughput commitment.
    pub fn committed(self) -> Fixture {
        self.with(|f| f.observation.commitment = Some(Commitment::Enabled))
    }

    /// The account has `left` shards left to open.
    pub fn shards_left(self, left: u32) -> Fixture {
        let open = MAX_SHARDS_OF_ACCOUNT - left;
        self.with(|f| f.observation.limits.as_mut().expect("known").open_shards = open)
    }

    /// The account has no shard left to open.
    pub fn account_full(self) -> Fixture {
        self.shards_left(0)
    }

    pub fn with(mut self, change: impl FnOnce(&mut Fixture)) -> Fixture {
        change(&mut self);
        self
    }

    pub fn stream(mut self, change: impl FnOnce(&mut Stream)) -> Fixture {
        change(self.observation.stream.as_mut().expect("a stream"));
        self
    }

    pub fn open_shards(&self) -> u32 {
        self.observation.stream.as_ref().expect("a stream").open_shards
    }

    pub fn policy(mut self, change: impl FnOnce(&mut Policy)) -> Fixture {
        change(&mut self.policy);
        self
    }

    pub fn call(mut self, change: impl FnOnce(&mut Call)) -> Fixture {
        if let Signal::Throttle(call) = &mut self.signal {
            change(call);
        }
        self
    }

    /// A person asks, instead of the throttled call.
    pub fn asked(self) -> Fixture {
        self.asked_to(|_| ())
    }

    /// A person asks with these fields, instead of the throttled call.
    pub fn asked_to(mut self, change: impl FnOnce(&mut Ask)) -> Fixture {
        let stream = StreamArn::new("orders", &home()).expect("legal");
        let mut ask = Ask { stream, mode: None, message: None, undo: None, plan: None, plan_from: None };
        change(&mut ask);
        self.signal = Signal::Ask(ask);
        self
    }

    pub fn on_demand(self) -> Fixture {
        self.stream(|s| s.mode = CapacityMode::OnDemand)
    }

    pub fn tag(mut self, key: &str, value: &str) -> Fixture {
        self.observation.tags.insert(key.into(), value.into());
        self
    }

    pub fn memory(self, memory: &Memory) -> Fixture {
        let text = memory.encode().expect("fits");
        self.tag(TAG, &text)
    }

    /// The memory in the stream's tag.
    pub fn remembered(&self) -> Memory {
        Memory::parse(&self.observation.tags[TAG]).expect("readable")
    }

    /// Changes the memory in the stream's tag.
    pub fn remembering(self, change: impl FnOnce(&mut Memory)) -> Fixture {
        let mut memory = self.remembered();
        change(&mut memory);
        self.memory(&memory)
    }

    /// The AutoFix metric shows a reshard in the minute of `at`.
    pub fn published(mut self, at: DateTime<Utc>) -> Fixture {
        let traffic = &mut self.observation.traffic;
        for counts in [&mut traffic.reshards, &mut traffic.auto_fixes] {
            *counts.entry(Minute::of(at)).or_default() += 1;
        }
        self
    }

    /// We announced a change of the shard count `seconds` before now.
    pub fn changed(self, from: u32, to: u32, seconds: i64) -> Fixture {
        self.memory(&scaled(from, to, seconds))
    }

    /// `minutes` pass. The traffic of the new minutes is not published.
    pub fn pass(self, minutes: i64) -> Fixture {
        self.with(|f| {
            f.now += TimeDelta::minutes(minutes);
            f.observation.observed_at = f.now;
        })
    }

    /// The shards of `minutes` ago were `count` others.
    pub fn resharded(self, count: u32, minutes: i64) -> Fixture {
        self.with(|f| f.resharded = Some((minutes_ago(minutes), count)))
    }

    /// The AutoFix metric has no datum of the change in the memory.
    pub fn forged(self) -> Fixture {
        self.with(|f| f.is_forged = true)
    }

    /// The decision. Where it misses the shards, and the fixture has none, they are of equal width and have been open
    /// since the last [`Fixture::resharded`].
    pub fn decide(&self) -> Decision {
        let mut fixture = self.clone();
        for _ in 0..5 {
            match fixture.try_decide() {
                Ok(decision) => return decision,
                Err(missing) => fixture = fixture.complete(missing),
            }
        }
        panic!("the decision asks again and again: {:?}", fixture.try_decide());
    }

    /// Adds what a decision misses, as AWS would answer.
    pub fn complete(mut self, missing: MissingData) -> Fixture {
        let mut are_known = false;
        if let Some(at) = missing.shards_at {
            let memory = self.observation.tags.get(TAG).and_then(|text| Memory::parse(text).ok());
            let change = memory.and_then(|memory| memory.change).filter(|change| {
                at == change.at - TimeDelta::seconds(5)
                    && change.settled.is_none_or(|settled| settled > at)
                    && change.kind != ChangeKind::External
                    && !self.is_forged
            });
            let ours = change.and_then(|change| Some((change.at, change.from.shards()?)));
            let later = self.resharded.filter(|(since, _)| at < *since).or(ours);
            let count = later.map_or(self.open_shards(), |(_, count)| count);
            let then = ShardsAt { count, are_open: later.is_none() };
            are_known = then.are_open && !self.observation.stream.as_ref().is_some_and(Stream::shows_shards);
            self.observation.shards_at.insert(at, then);
        }
        if missing.change_shown.is_some() {
            self.observation.is_change_shown = Some(!self.is_forged);
        }
        if missing.past {
            self.observation.past = Some(Arc::default());
        }
        if missing.commitment {
            self.observation.commitment = Some(Commitment::Disabled);
        }
        let are_missing = (missing.shards || are_known) && self.observation.shards.is_none();
        if are_missing { self.with_even_shards() } else { self }
    }

    pub fn try_decide(&self) -> Result<Decision, MissingData> {
        decide(&self.signal, &self.observation, &self.policy, self.now)
    }

    /// The sentence of the decision's document.
    pub fn sentence(&self) -> String {
        self.sentence_of(&self.decide())
    }

    /// The decision's code; its sentence must be one that a person can read.
    pub fn code(&self) -> &'static str {
        let decision = self.decide();
        let sentence = self.sentence_of(&decision);
        let odd = ["NaN", "inf", "{", "}", "  ", ".."].into_iter().find(|odd| sentence.contains(odd));
        assert!(odd.is_none() && sentence.starts_with("orders: "), "{sentence}");
        // A full stop after a command would be pasted with it.
        let last = sentence.rsplit(": ").next().unwrap_or_default();
        let is_command = ["aws kinesis ", "unthrottle restore "].into_iter().any(|program| last.starts_with(program));
        assert!(sentence.ends_with('.') != is_command, "{sentence}");
        decision.verdict.code()
    }

    fn sentence_of(&self, decision: &Decision) -> String {
        Document::new(&self.signal, self.observation.stream.as_ref(), decision, None).sentence
    }
}

/// Shards of equal width, each with its load in each of the last ten minutes.
fn even_shards(loads: &[f64]) -> Vec<Shard> {
    let (count, newest) = (loads.len() as u128, newest());
    // 2^128 × i ÷ count, rounded down: 2^128 itself does not fit.
    let first = |i: usize| u128::MAX / count * i as u128 + (u128::MAX % count + 1) * i as u128 / count;
    let shard = |(i, load): (usize, &f64)| {
        let last_hash_key = if i + 1 == loads.len() { u128::MAX } else { first(i + 1) - 1 };
        let mut traffic = Traffic::default();
        for minute in -9..=0 {
            *traffic.minute_mut(newest.plus(minute)) = offered(*load, 1);
        }
        Shard { id: format!("shardId-{i:012}"), parent: None, first_hash_key: first(i), last_hash_key, traffic }
    };
    loads.iter().enumerate().map(shard).collect()
}

/// Eight shards. One is offered `load`.
pub fn one_hot(load: f64) -> Fixture {
    let mut loads = [IDLE; 8];
    loads[3] = load;
    Fixture::of_shards(&loads)
}

/// Eight shards. Each refuses a little in minutes that are hardly used.
pub fn bursts() -> Fixture {
    let burst = MinuteTraffic { write_throttled: 600.0, ..offered(200.0, 1) };
    let whole = MinuteTraffic { write_throttled: 4800.0, ..offered(1600.0, 8) };
    Fixture::of_shards(&[200.0; 8]).minutes(-9..=0, whole).with(|f| {
        for shard in f.observation.shards.as_mut().expect("shards") {
            (-9..=0).for_each(|ago| *shard.traffic.minute_mut(newest().plus(ago)) = burst);
        }
    })
}

/// Ten minutes of reading from two shards. `age`: how far readers are behind in a minute, counted from the newest, in
/// milliseconds.
pub fn reading(throttled: f64, bytes: f64, calls: f64, age: impl Fn(i64) -> f64) -> Fixture {
    (-9..=0).fold(Fixture::new(2), |fixture, ago| {
        let minute = MinuteTraffic {
            read_throttled: throttled,
            get_records_bytes: bytes,
            get_records_calls: calls,
            iterator_age_ms: Some(age(ago)),
            ..MinuteTraffic::default()
        };
        fixture.minutes(ago..=ago, minute)
    })
}
