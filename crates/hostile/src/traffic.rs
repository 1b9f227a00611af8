//! Any numbers of CloudWatch and Kinesis about a stream, as an observation has them.

use crate::stream::{decided, now, show_shards, throttled};
use arbitrary::{Arbitrary, Unstructured};
use std::collections::BTreeMap;
use unthrottle_core::memory::TAG;
use unthrottle_core::observation::{CapacityMode, Minute, MinuteTraffic, Status, Traffic, WarmThroughput};
use unthrottle_core::policy::{Permission, Policy};
use unthrottle_core::report::Document;

/// The largest value that CloudWatch takes (PutMetricData's API reference): 2^360.
const LARGEST: f64 = 2.3e108;

/// A value of a metric. A value that is no number never comes here: the reader of CloudWatch's answers refuses it.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Value {
    Zero,
    Count(u16),
    Many(u32),
    Any(f64),
}

impl Value {
    fn number(self) -> f64 {
        match self {
            Value::Zero => 0.0,
            Value::Count(count) => f64::from(count),
            Value::Many(count) => f64::from(count) * 16.0,
            Value::Any(number) if number.is_finite() => number.abs().min(LARGEST),
            Value::Any(_) => 0.0,
        }
    }
}

/// Minutes of a stream: how long ago, and a value for each series.
#[derive(Arbitrary, Debug)]
struct Sample {
    minutes_ago: u16,
    is_repeated: bool,
    values: [Value; 8],
    age: Option<Value>,
}

#[derive(Arbitrary, Debug)]
struct Input {
    samples: Vec<Sample>,
    fixes: Vec<(u16, u32, u8)>,
    open_shards: u16,
    status: u8,
    is_on_demand: bool,
    shows_shards: bool,
    warm: Option<(u16, u16)>,
    consumers: u8,
    created_minutes_ago: Option<u16>,
    memory: Option<(u16, u16, u32)>,
    restore_after_hours: u8,
    may_diagnose: bool,
}

pub(crate) fn check(input: &[u8]) {
    let Ok(input) = Input::arbitrary(&mut Unstructured::new(input)) else { return };
    let tags = input.memory.map(|(from, to, ago)| {
        let at = now() - chrono::TimeDelta::seconds(i64::from(ago % 100_000));
        (TAG.to_owned(), format!("v=1 change=scale/{from}/{to}/{}", at.format("%Y%m%dT%H%M%SZ")))
    });
    let (signal, mut observation) = throttled(tags.into_iter().collect::<BTreeMap<_, _>>());
    observation.traffic = traffic(&input);
    if let Some(stream) = observation.stream.as_mut() {
        stream.open_shards = u32::from(input.open_shards % 2000) + 1;
        stream.mode = if input.is_on_demand { CapacityMode::OnDemand } else { CapacityMode::Provisioned };
        stream.status = if input.status < 230 { Status::Active } else { Status::Updating };
        stream.consumers = u32::from(input.consumers % 20);
        stream.created_at = input.created_minutes_ago.map(|ago| now() - chrono::TimeDelta::minutes(ago.into()));
        stream.warm_throughput = input
            .warm
            .map(|(current, target)| WarmThroughput { current_mibps: current.into(), target_mibps: target.into() });
        if input.shows_shards {
            show_shards(stream);
        }
    }
    let diagnose = if input.may_diagnose { Permission::Allow } else { Permission::Deny };
    let policy =
        Policy { restore_after_hours: u32::from(input.restore_after_hours % 25), diagnose, ..Policy::default() };
    let (decision, observation) = decided(&signal, observation, &policy);
    let sentence = Document::new(&signal, observation.stream.as_ref(), &decision, None).sentence;
    for odd in ["NaN", " inf"] {
        assert!(!sentence.contains(odd), "`{odd}` in {sentence:?}");
    }
}

fn traffic(input: &Input) -> Traffic {
    let mut traffic = Traffic::default();
    let newest = Minute::of(now());
    for sample in &input.samples {
        let [a, b, c, d, e, f, g, h] = sample.values.map(Value::number);
        let minute = MinuteTraffic {
            incoming_bytes: a,
            incoming_records: b,
            write_throttled: c,
            put_record_bytes: d,
            put_record_count: e,
            read_throttled: f,
            get_records_bytes: g,
            get_records_calls: h,
            iterator_age_ms: sample.age.map(Value::number),
        };
        let ago = i64::from(sample.minutes_ago % 1500);
        let minutes = if sample.is_repeated { 10 } else { 1 };
        (0..minutes).for_each(|more| *traffic.minute_mut(newest.plus(-ago - more)) = minute);
    }
    for (ago, count, kind) in &input.fixes {
        let counts = match kind % 5 {
            0 => &mut traffic.auto_fixes,
            1 => &mut traffic.reshards,
            2 => &mut traffic.fleet_fixes,
            3 => &mut traffic.shards_added,
            _ => &mut traffic.reverts,
        };
        counts.insert(newest.plus(-i64::from(ago % 1500)), *count);
    }
    traffic
}
