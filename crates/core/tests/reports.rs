//! Public reports of people who run Kinesis, retold as JSON in `reports/`: a stream, its metrics, an event, and which
//! answers are right. `situation` and `why` are for people.

#[macro_use]
mod common;
#[path = "reports/placeholders.rs"]
mod placeholders;

use chrono::{DateTime, TimeDelta, Utc};
use common::{Fixture, home};
use placeholders::fill;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use unthrottle_core::decide::{MissingData, decide, hold_unobserved, triage};
use unthrottle_core::decision::{Decision, Verdict};
use unthrottle_core::memory::{Memory, Size, TAG};
use unthrottle_core::observation::{Commitment, Minute, MinuteTraffic, SHARD_METRICS, Shard, ShardsAt, Traffic};
use unthrottle_core::policy::Policy;
use unthrottle_core::report::Document;
use unthrottle_core::signal::{Event, Signal};

/// The seconds of the minute at which each report is played. A report must get the same answer at each of them.
const SECONDS: [i64; 3] = [2, 30, 57];

/// How often a decision may ask for more reads. Each read gives what was missing, so more asks are an error.
const READS: usize = 5;

/// A retold report.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Report {
    #[serde(rename = "source")]
    _source: String,
    situation: String,
    event: Value,
    stream: Option<Described>,
    /// The minutes of the stream, oldest first. The last is the newest full minute.
    minutes: Vec<Metrics>,
    /// The same for single shards, by their number. Shards without an entry had no traffic.
    #[serde(default)]
    shard_minutes: BTreeMap<usize, Vec<Metrics>>,
    /// The function's environment variables.
    #[serde(default)]
    env: BTreeMap<String, String>,
    expect: Expected,
    why: String,
    #[serde(rename = "doubt")]
    _doubt: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Described {
    name: String,
    /// Shards of equal width, before the splits.
    shards: u32,
    /// The open shard by hash key that is split, and where: `middle`, or the first hash key of the second half.
    #[serde(default)]
    splits: Vec<(usize, String)>,
    #[serde(default = "a_day")]
    retention_hours: u32,
    #[serde(default)]
    tags: BTreeMap<String, String>,
}

fn a_day() -> u32 {
    24
}

/// `repeat` minutes of metrics, by AWS's names.
#[derive(Deserialize)]
struct Metrics {
    #[serde(default = "once")]
    repeat: u32,
    #[serde(flatten)]
    values: BTreeMap<String, Datapoint>,
}

fn once() -> u32 {
    1
}

/// A datapoint: its sum, or a whole statistic set.
#[derive(Clone, Copy, Deserialize)]
#[serde(untagged)]
enum Datapoint {
    Sum(f64),
    Set(StatisticSet),
}

#[derive(Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct StatisticSet {
    sum: f64,
    count: f64,
    max: Option<f64>,
    #[serde(rename = "min")]
    _min: Option<f64>,
}

impl Datapoint {
    fn set(self) -> StatisticSet {
        match self {
            Datapoint::Sum(sum) => StatisticSet { sum, count: 1.0, max: Some(sum), _min: None },
            Datapoint::Set(set) => set,
        }
    }
}

impl Metrics {
    fn traffic(&self) -> MinuteTraffic {
        let mut minute = MinuteTraffic::default();
        for (name, datapoint) in &self.values {
            let set = datapoint.set();
            match name.as_str() {
                "IncomingBytes" => minute.incoming_bytes = set.sum,
                "IncomingRecords" => minute.incoming_records = set.sum,
                "WriteProvisionedThroughputExceeded" => minute.write_throttled = set.sum,
                "PutRecord.Bytes" => (minute.put_record_bytes, minute.put_record_count) = (set.sum, set.count),
                "ReadProvisionedThroughputExceeded" => minute.read_throttled = set.sum,
                "GetRecords.Bytes" => (minute.get_records_bytes, minute.get_records_calls) = (set.sum, set.count),
                "GetRecords.IteratorAgeMilliseconds" => minute.iterator_age_ms = Some(set.max.unwrap_or(set.sum)),
                other => panic!("no decision reads the metric {other}"),
            }
        }
        minute
    }
}

/// Which answers are right.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    codes: Vec<String>,
    /// Outcomes with `|` between them.
    outcome: String,
    /// The fewest and the most open shards after the step.
    shards_between: Option<(u32, u32)>,
    /// Words of the sentence, in any case.
    sentence_has: Option<String>,
}

/// What the function answers.
struct Answer {
    code: String,
    outcome: String,
    shards: Option<u32>,
    sentence: String,
}

/// Plays a report at each of [`SECONDS`].
#[track_caller]
fn plays(report: &str) {
    for second in SECONDS {
        let now = Minute::of(common::now()).start() + TimeDelta::seconds(second);
        let report = Playing::new(report, now);
        let answer = report.answer();
        let wrong = report.report.expect.wrong(&answer);
        let (situation, why) = (&report.report.situation, &report.report.why);
        assert!(
            wrong.is_empty(),
            "{}\nat second {second}, the answer is {} ({}), {:?} shards:\n  {}\nsituation: {situation}\nwhy: {why}",
            wrong.join("; "),
            answer.code,
            answer.outcome,
            answer.shards,
            answer.sentence,
        );
    }
}

impl Expected {
    /// What is wrong with an answer.
    fn wrong(&self, answer: &Answer) -> Vec<String> {
        let mut wrong = vec![];
        if !self.codes.contains(&answer.code) {
            wrong.push(format!("the code must be one of {:?}", self.codes));
        }
        if !self.outcome.split('|').any(|outcome| outcome == answer.outcome) {
            wrong.push(format!("the outcome must be {}", self.outcome));
        }
        if let (Some((least, most)), Some(shards)) = (self.shards_between, answer.shards)
            && !(least..=most).contains(&shards)
        {
            wrong.push(format!("the stream must have {least} to {most} shards afterwards"));
        }
        if let Some(words) = &self.sentence_has
            && !answer.sentence.to_lowercase().contains(&words.to_lowercase())
        {
            wrong.push(format!("the sentence must contain {words:?}"));
        }
        wrong
    }
}

/// A report at a time.
struct Playing {
    report: Report,
    now: DateTime<Utc>,
}

impl Playing {
    fn new(json: &str, now: DateTime<Utc>) -> Playing {
        let mut json: Value = serde_json::from_str(json).expect("JSON");
        let stream = json["stream"].as_object().map(|_| Described::deserialize(&json["stream"]).expect("a stream"));
        let shards = stream.map(|stream| stream.open_shards()).unwrap_or_default();
        fill(&mut json, now, &shards);
        Playing { report: Report::deserialize(json).expect("a report"), now }
    }

    fn answer(&self) -> Answer {
        let open = self.report.stream.as_ref().map(|stream| stream.count());
        let unchanged = |code: &str, outcome: &str, sentence: String| Answer {
            code: code.into(),
            outcome: outcome.into(),
            shards: open,
            sentence,
        };
        match Event::parse(&self.report.event, &home()) {
            Err(error) => unchanged("bad_event", "error", error.to_string()),
            Ok(Event::Sweep { .. }) => unchanged("swept", "swept", String::new()),
            Ok(Event::One(signal)) => self.decided(&signal),
        }
    }

    fn decided(&self, signal: &Signal) -> Answer {
        let described = self.report.stream.as_ref().expect("an event of a stream needs the stream");
        let mut fixture = self.fixture(described);
        let decision = match triage(signal, &fixture.policy, &home()) {
            Some(reason) => hold_unobserved(reason, &fixture.policy),
            None => self.decide(signal, &mut fixture, described),
        };
        let document = Document::new(signal, fixture.observation.stream.as_ref(), &decision, None);
        let shards = match &decision.verdict {
            Verdict::Act(remedy) => match remedy.step() {
                (_, Size::Shards(shards)) => shards,
                (_, _) => described.count(),
            },
            Verdict::Hold(_) => described.count(),
        };
        let outcome = serde_json::to_value(&document).expect("a document")["outcome"].clone();
        Answer {
            code: decision.verdict.code().into(),
            outcome: outcome.as_str().expect("a word").into(),
            shards: Some(shards),
            sentence: document.sentence,
        }
    }

    /// Decides, and reads what the decision misses.
    fn decide(&self, signal: &Signal, fixture: &mut Fixture, described: &Described) -> Decision {
        for _ in 0..READS {
            match decide(signal, &fixture.observation, &fixture.policy, self.now) {
                Ok(decision) => return decision,
                Err(missing) => self.read(fixture, described, missing),
            }
        }
        panic!("the decision asks for the same read again and again");
    }

    fn read(&self, fixture: &mut Fixture, described: &Described, missing: MissingData) {
        let mut are_known = false;
        if let Some(at) = missing.shards_at {
            let then = self.shards_at(at, described);
            are_known = then.are_open && self.report.shard_minutes.is_empty();
            fixture.observation.shards_at.insert(at, then);
        }
        if missing.change_shown.is_some() {
            fixture.observation.is_change_shown = Some(true);
        }
        if missing.shards || are_known {
            fixture.observation.shards = Some(self.shards(described));
        }
        if missing.commitment {
            fixture.observation.commitment = Some(Commitment::Disabled);
        }
    }

    /// The shards of an earlier time: the memory names the last reshard, and when it was done.
    fn shards_at(&self, at: DateTime<Utc>, described: &Described) -> ShardsAt {
        let memory = described.tags.get(TAG).map(|text| Memory::parse(text).expect("readable"));
        let change = memory.and_then(|memory| memory.change).filter(|change| change.settled > Some(at));
        let before = change.and_then(|change| change.from.shards());
        ShardsAt { count: before.unwrap_or(described.count()), are_open: before.is_none() }
    }

    /// The stream, its metrics and the policy of the report.
    fn fixture(&self, described: &Described) -> Fixture {
        let get = |name: &str| self.report.env.get(name).cloned();
        let policy = Policy::from_env(get).expect("valid settings");
        let fixture = Fixture::new(described.count()).with(|f| {
            (f.now, f.observation.observed_at, f.policy) = (self.now, self.now, policy);
            f.observation.traffic = self.traffic(&self.report.minutes);
            f.observation.tags = described.tags.clone();
        });
        fixture.stream(|stream| {
            stream.arn = stream.arn.replace(&stream.name, &described.name);
            stream.name = described.name.clone();
            stream.retention_hours = described.retention_hours;
            if !self.report.shard_minutes.is_empty() {
                stream.shard_metrics = SHARD_METRICS.map(String::from).into();
            }
        })
    }

    /// The open shards with their metrics.
    fn shards(&self, described: &Described) -> Vec<Shard> {
        let mut shards = described.open_shards();
        for (number, minutes) in &self.report.shard_minutes {
            shards[*number].traffic = self.traffic(minutes);
        }
        shards
    }

    /// The minutes up to the newest full minute.
    fn traffic(&self, minutes: &[Metrics]) -> Traffic {
        let mut traffic = Traffic::default();
        let count: u32 = minutes.iter().map(|metrics| metrics.repeat).sum();
        let mut minute = Minute::of(self.now).plus(-i64::from(count));
        for metrics in minutes {
            for _ in 0..metrics.repeat {
                *traffic.minute_mut(minute) = metrics.traffic();
                minute = minute.plus(1);
            }
        }
        traffic
    }
}

impl Described {
    /// The open shards.
    fn count(&self) -> u32 {
        self.shards + u32::try_from(self.splits.len()).expect("few")
    }

    /// The open shards by their hash keys, without metrics.
    fn open_shards(&self) -> Vec<Shard> {
        let even = Fixture::new(self.shards).with_even_shards();
        let mut shards = even.observation.shards.expect("just made");
        for (split, (index, place)) in self.splits.iter().enumerate() {
            let parent = shards[*index].clone();
            let at = match place.as_str() {
                "middle" => parent.first_hash_key + (parent.last_hash_key - parent.first_hash_key).div_ceil(2),
                key => key.parse().expect("a hash key"),
            };
            let child = |number: usize, first_hash_key, last_hash_key| Shard {
                id: format!("shardId-{:012}", self.shards as usize + 2 * split + number),
                parent: Some(parent.id.clone()),
                first_hash_key,
                last_hash_key,
                traffic: Traffic::default(),
            };
            let halves = [child(0, parent.first_hash_key, at - 1), child(1, at, parent.last_hash_key)];
            shards.splice(*index..=*index, halves);
        }
        shards
    }
}

/// Makes a test of each report.
macro_rules! reports {
    ($($name:ident: $file:literal;)+) => {
        $(
            #[test]
            fn $name() {
                plays(include_str!(concat!("reports/", $file, ".json")));
            }
        )+

        #[test]
        fn every_report_is_played() {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reports");
            let files = std::fs::read_dir(folder).expect("a folder").map(|file| file.expect("a file").file_name());
            let mut files: Vec<String> = files.map(|name| name.into_string().expect("UTF-8")).collect();
            files.retain(|name| name.ends_with(".json"));
            files.sort();
            assert_eq!(files, [$(concat!($file, ".json")),+]);
        }
    };
}

reports! {
    a_partition_number_as_hash_key_heats_one_shard_of_four: "02-partition-number-as-hash-key";
    a_writer_that_dies_and_comes_back_fills_its_only_shard: "07-one-shard-dying-producer-low-average";
    resends_after_our_reshard_are_its_echo: "12-resends-after-our-reshard";
    a_reshard_that_stopped_half_way_leaves_wide_shards: "14-reshard-that-stopped-half-way";
    flink_beside_a_kcl_application_polls_too_often: "22-flink-beside-a-kcl-application";
    a_tailer_in_a_busy_loop_polls_too_often: "24-tailer-in-a-busy-loop";
    one_reader_of_three_is_a_day_behind: "26-one-reader-a-day-behind-of-three";
    a_false_spike_of_the_iterator_age_changes_nothing: "27-false-spike-of-the-iterator-age";
    an_alarm_invokes_the_function_itself: "33-alarm-invokes-the-function";
    an_alarm_comes_by_way_of_a_topic: "34-alarm-by-way-of-a-topic";
    a_schedule_without_an_input_sweeps: "35-schedule-without-an-input";
    a_reader_did_not_follow_our_reshard: "42-reader-that-did-not-follow-our-reshard";
    a_sliver_without_shard_metrics_takes_no_load: "43-sliver-without-shard-metrics";
}
