//! Reads that say little: one that failed makes no check ok, and proposes nothing, where its content could say
//! otherwise. A person who looked at records is no reader.

use super::consumers::STEADY_HOURS;
use super::fixture::stream;
use super::lambda_tests::reader;
use super::{
    Alarm, Consumer, Key, LambdaMetrics, LambdaReader, Lease, Leases, Point, Read, Readings, Sample, Series, Status,
    ThrottledCaller, ThrottledCalls, Unread, check,
};
use crate::cost::Prices;
use crate::observation::{CapacityMode, Commitment, Limits};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::{BTreeMap, BTreeSet};

type Change = fn(&mut Readings);

fn now() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(100)
}

fn failed<T>() -> Read<T> {
    Err(Unread { action: "service:Action", why: "it failed".into(), is_denied: true })
}

/// A series of this many periods with the same load.
fn series(period: TimeDelta, count: i32, point: Point) -> Series {
    let period_seconds = period.num_seconds() as f64;
    let points = (1..=count).map(|ago| (now() - period * ago, point)).collect();
    Series { period_seconds, window_seconds: period_seconds * f64::from(count), points }
}

/// A load of this many records of 24 KiB a second. `is_read`: by a reader that is up to date.
fn load(records: f64, seconds: f64, is_read: bool) -> Point {
    let bytes = 24.0 * 1024.0;
    let calls = if is_read { seconds } else { 0.0 };
    Point {
        incoming_records: records * seconds,
        incoming_bytes: records * seconds * bytes,
        get_records_calls: calls,
        get_records_bytes: if is_read { records * seconds * bytes } else { 0.0 },
        iterator_age_ms: is_read.then_some(900.0),
        ..Point::default()
    }
}

/// Sets the load of all series.
fn set_load(readings: &mut Readings, records: f64, is_read: bool) {
    readings.hours = Ok(series(TimeDelta::hours(1), 14 * 24, load(records, 3_600.0, is_read)));
    readings.minutes = Ok(series(TimeDelta::minutes(1), 180, load(records, 60.0, is_read)));
    readings.all_minutes = Some(Ok(series(TimeDelta::minutes(1), 14 * 1_440, load(records, 60.0, is_read))));
}

fn alarm(metric: &str, stream: Option<&str>) -> Alarm {
    Alarm {
        name: format!("{metric} of {stream:?}"),
        metric: metric.into(),
        stream: stream.map(str::to_owned),
        is_enabled: true,
        has_action: stream.is_some(),
    }
}

const AGE: &str = "GetRecords.IteratorAgeMilliseconds";
const WRITES: &str = "WriteProvisionedThroughputExceeded";
const READS: &str = "ReadProvisionedThroughputExceeded";

/// A stream of two shards with nothing wrong.
fn clean() -> Readings {
    let mut of_stream = stream(2);
    of_stream.kms_key = Some("alias/orders".into());
    let mut readings = Readings {
        read_at: now(),
        stream: of_stream,
        tags: Ok(BTreeMap::new()),
        shards: Ok(vec![]),
        consumers: Ok(vec![]),
        alarms: Ok(vec![
            alarm(AGE, Some("orders")),
            alarm(WRITES, Some("orders")),
            alarm(WRITES, None),
            alarm(READS, None),
        ]),
        key: Ok(None),
        lambdas: Ok(vec![]),
        unreserved_concurrency: Ok(1_000),
        limits: Ok(limits(2)),
        commitment: Ok(Commitment::Disabled),
        is_deployed: Ok(true),
        denied_actions: Ok(vec![]),
        throttled_calls: Ok(ThrottledCalls { since: now(), events: 0, callers: vec![] }),
        sample: Some(Ok(Sample { records: 10, ..Sample::default() })),
        leases: Some(Ok(Leases { leases: vec![lease()], ..Leases::default() })),
        ..super::fixture::unread()
    };
    set_load(&mut readings, 34.0, true);
    readings
}

fn limits(open_shards: u32) -> Limits {
    Limits { open_shards, shard_limit: 500, on_demand_streams: 0, on_demand_stream_limit: 50 }
}

fn lease() -> Lease {
    Lease { shard: "0".into(), owner: Some("a".into()), hash_keys: None, is_finished: true, is_renewed: None }
}

/// The worlds in which the reads are judged.
const WORLDS: [Change; 5] = [
    |_| {},
    // Idle shards, and a reader.
    |readings| readings.stream.open_shards = 10,
    // On demand, with a load for few shards, and records that AWS spreads.
    |readings| {
        readings.stream.mode = CapacityMode::OnDemand;
        readings.stream.spreads_records = true;
    },
    // Only registered consumers read, and a person looked once.
    |readings| {
        set_load(readings, 34.0, false);
        readings.consumers = Ok(vec![consumer(0.0)]);
    },
    // A function of each kind, and no alarm of the stream.
    |readings| {
        let consumer = LambdaReader { consumer: Some("c".into()), factor: 2, ..reader("g") };
        readings.lambdas = Ok(vec![LambdaReader { reserved_concurrency: Ok(None), ..reader("f") }, consumer]);
        readings.sample = Some(Ok(Sample { records: 10, aggregated: 0, user_records: 0 }));
        readings.alarms = Ok([AGE, WRITES, READS].map(|metric| alarm(metric, None)).to_vec());
    },
];

fn consumer(behind_ms: f64) -> Consumer {
    Consumer { name: "c".into(), created_at: now(), events: 1.0, refused: 0.0, behind_ms: Some(behind_ms) }
}

fn functions(readings: &mut Readings, change: impl Fn(&mut LambdaReader)) {
    readings.lambdas.iter_mut().flatten().for_each(change);
}

fn metrics(readings: &mut Readings, metrics: LambdaMetrics) {
    functions(readings, |lambda| lambda.metrics = Ok(metrics.clone()));
}

/// A read: its name, how it fails, and what it may say.
type Reading = (&'static str, Change, &'static [Change]);

const OF_STREAM: [Reading; 9] = [
    (
        "tags",
        |r| r.tags = failed(),
        &[
            |r| r.tags = Ok(BTreeMap::new()),
            |r| r.tags = Ok([("unthrottle.min-shards".to_owned(), "50".to_owned())].into()),
            |r| r.tags = Ok([("unthrottle.max-shards".to_owned(), "many".to_owned())].into()),
        ],
    ),
    (
        "hours",
        |r| r.hours = failed(),
        &[
            |_| {},
            |r| {
                r.hours = Ok(series(
                    TimeDelta::hours(1),
                    14 * 24,
                    Point { put_record_count: 1e6, ..load(34.0, 3_600.0, true) },
                ))
            },
            |r| r.hours = Ok(series(TimeDelta::hours(1), 14 * 24, load(0.1, 3_600.0, false))),
            |r| {
                r.hours =
                    Ok(series(TimeDelta::hours(1), 14 * 24, Point { failed_records: 5.0, ..load(70.0, 3_600.0, true) }))
            },
        ],
    ),
    (
        "minutes",
        |r| r.minutes = failed(),
        &[
            |_| {},
            |r| {
                r.minutes = Ok(series(
                    TimeDelta::minutes(1),
                    180,
                    Point { iterator_age_ms: Some(1e8), ..load(34.0, 60.0, true) },
                ))
            },
            |r| {
                r.minutes =
                    Ok(series(TimeDelta::minutes(1), 180, Point { get_records_calls: 1e6, ..load(70.0, 60.0, true) }))
            },
            |r| {
                r.minutes =
                    Ok(series(TimeDelta::minutes(1), 180, Point { write_throttled: 9.0, ..load(1.0, 60.0, false) }))
            },
        ],
    ),
    (
        "all minutes",
        |r| r.all_minutes = Some(failed()),
        &[|_| {}, |r| r.all_minutes = Some(Ok(series(TimeDelta::minutes(1), 99, load(200.0, 60.0, true))))],
    ),
    (
        "consumers",
        |r| r.consumers = failed(),
        &[
            |r| r.consumers = Ok(vec![]),
            |r| r.consumers = Ok(vec![consumer(0.0)]),
            |r| r.consumers = Ok(vec![consumer(20.0 * 3_600_000.0)]),
            |r| r.consumers = Ok(vec![Consumer { events: 0.0, created_at: DateTime::UNIX_EPOCH, ..consumer(0.0) }; 16]),
        ],
    ),
    ("leases", |r| r.leases = Some(failed()), &[|_| {}, |r| r.leases = Some(Ok(Leases::default()))]),
    (
        "sample",
        |r| r.sample = Some(failed()),
        &[|_| {}, |r| r.sample = Some(Ok(Sample { records: 10, aggregated: 5, user_records: 50 }))],
    ),
    ("key", |r| r.key = failed(), &[|_| {}, |r| r.key = Ok(Some(Key { arn: "key".into(), state: "Disabled".into() }))]),
    (
        "throttled calls",
        |r| r.throttled_calls = failed(),
        &[
            |_| {},
            |r| {
                r.throttled_calls.as_mut().expect("read").callers.push(ThrottledCaller {
                    operation: "DescribeStream".into(),
                    principal: None,
                    stream: None,
                    count: 1,
                })
            },
        ],
    ),
];

const OF_ACCOUNT: [Reading; 5] = [
    ("alarms", |r| r.alarms = failed(), &[|_| {}, |r| r.alarms = Ok(vec![])]),
    ("limits", |r| r.limits = failed(), &[|_| {}, |r| r.limits = Ok(limits(500))]),
    ("commitment", |r| r.commitment = failed(), &[|_| {}, |r| r.commitment = Ok(Commitment::Enabled)]),
    ("is deployed", |r| r.is_deployed = failed(), &[|_| {}, |r| r.is_deployed = Ok(false)]),
    (
        "denied actions",
        |r| r.denied_actions = failed(),
        &[|_| {}, |r| r.denied_actions = Ok(vec!["kinesis:TagResource".into()])],
    ),
];

const OF_FUNCTIONS: [Reading; 5] = [
    (
        "lambdas",
        |r| r.lambdas = failed(),
        &[
            |_| {},
            |r| r.lambdas = Ok(["f", "g", "h"].map(reader).to_vec()),
            |r| r.lambdas = Ok(vec![LambdaReader { state: "Disabled".into(), filters: true, ..reader("f") }]),
        ],
    ),
    (
        "metrics",
        |r| functions(r, |lambda| lambda.metrics = failed()),
        &[
            |_| {},
            |r| metrics(r, LambdaMetrics { invocations: 9.0, errors: 9.0, ..LambdaMetrics::default() }),
            |r| metrics(r, LambdaMetrics { ages_ms: vec![1e6, 2e6], ..LambdaMetrics::default() }),
        ],
    ),
    (
        "timeout",
        |r| functions(r, |lambda| lambda.timeout_seconds = failed()),
        &[
            |r| {
                functions(r, |lambda| {
                    lambda.timeout_seconds = Ok(900);
                    lambda.metrics = Ok(LambdaMetrics { longest_p95_ms: 900.0, ..LambdaMetrics::default() });
                })
            },
            |r| {
                functions(r, |lambda| {
                    lambda.timeout_seconds = Ok(1);
                    lambda.metrics = Ok(LambdaMetrics { longest_p95_ms: 900.0, ..LambdaMetrics::default() });
                })
            },
        ],
    ),
    (
        "reserved",
        |r| functions(r, |lambda| lambda.reserved_concurrency = failed()),
        &[
            |r| functions(r, |lambda| lambda.reserved_concurrency = Ok(Some(100))),
            |r| functions(r, |lambda| lambda.reserved_concurrency = Ok(Some(1))),
        ],
    ),
    ("unreserved", |r| r.unreserved_concurrency = failed(), &[|_| {}, |r| r.unreserved_concurrency = Ok(1)]),
];

/// The status of each check.
fn statuses(readings: &Readings) -> BTreeMap<&'static str, Status> {
    let found = check(readings, &Prices::default(), |_| true);
    found.into_iter().map(|finding| (finding.code, finding.status)).collect()
}

/// The law. Gives the reads and the checks on which it says something.
fn judged() -> BTreeSet<(&'static str, &'static str)> {
    let mut judged = BTreeSet::new();
    for (place, world) in WORLDS.iter().enumerate() {
        let mut base = clean();
        world(&mut base);
        let with = |change: Change| {
            let mut readings = base.clone();
            change(&mut readings);
            statuses(&readings)
        };
        for (name, fails, contents) in OF_STREAM.iter().chain(&OF_ACCOUNT).chain(&OF_FUNCTIONS) {
            let unread = with(*fails);
            let found: Vec<_> = contents.iter().map(|content| with(*content)).collect();
            for (code, status) in unread {
                let is_ok = |found: &BTreeMap<&str, Status>| found[code] == Status::Ok;
                if found.iter().any(is_ok) && !found.iter().all(is_ok) {
                    judged.insert((*name, code));
                    assert_eq!(status, Status::Unknown, "{code} without {name}, in world {place}: {found:#?}");
                }
            }
        }
    }
    judged
}

#[test]
fn no_check_is_ok_or_a_finding_where_a_read_failed_that_decides_it() {
    let decides = [
        ("tags", "mode"),
        ("tags", "oversized"),
        ("tags", "unthrottle"),
        ("hours", "alarms"),
        ("minutes", "retention"),
        ("minutes", "pollers"),
        ("all minutes", "oversized"),
        ("consumers", "retention"),
        ("consumers", "oversized"),
        ("consumers", "mode"),
        ("consumers", "alarms"),
        ("consumers", "fan-out-idle"),
        ("leases", "kcl"),
        ("sample", "aggregation"),
        ("sample", "lambda-parallel"),
        ("key", "encryption"),
        ("throttled calls", "control-plane"),
        ("is deployed", "alarms"),
        ("is deployed", "unthrottle"),
        ("denied actions", "unthrottle"),
        ("lambdas", "pollers"),
        ("lambdas", "alarms"),
        ("lambdas", "lambda-state"),
        ("metrics", "lambda-errors"),
        ("timeout", "lambda-errors"),
        ("reserved", "lambda-concurrency"),
        ("unreserved", "lambda-concurrency"),
    ];
    let judged = judged();
    let silent: Vec<_> = decides.iter().filter(|pair| !judged.contains(pair)).collect();
    assert!(silent.is_empty(), "the law says nothing on {silent:?}");
}

/// What is known already needs no further read.
#[test]
fn a_finding_stands_without_the_reads_that_cannot_end_it() {
    let mut late = clean();
    let late_point = Point { iterator_age_ms: Some(20.0 * 3_600_000.0), ..load(34.0, 60.0, true) };
    late.minutes = Ok(series(TimeDelta::minutes(1), 180, late_point));
    late.consumers = failed();
    assert_eq!(statuses(&late)["retention"], Status::Fail);
    late.stream.open_shards = 10;
    assert_eq!(statuses(&late)["oversized"], Status::Ok, "the reader that is read needs the shards");
    let mut busy = clean();
    busy.minutes = Ok(series(TimeDelta::minutes(1), 180, Point { get_records_calls: 600.0, ..load(34.0, 60.0, true) }));
    busy.lambdas = failed();
    assert_eq!(statuses(&busy)["pollers"], Status::Warn);
    let mut silent = clean();
    silent.alarms = Ok(vec![alarm(AGE, Some("orders"))]);
    silent.consumers = failed();
    assert_eq!(statuses(&silent)["alarms"], Status::Warn, "no alarm is on writes");
}

/// `unthrottle keys` and `--sample` call GetRecords.
#[test]
fn a_person_who_looked_at_records_is_no_reader_for_alarms() {
    let mut looked = clean();
    WORLDS[3](&mut looked);
    assert_eq!(statuses(&looked)["alarms"], Status::Warn, "the alarm on GetRecords does not see the consumer");
    let hours = looked.hours.as_mut().expect("read").points.values_mut().rev().take(STEADY_HOURS - 1);
    hours.for_each(|hour| hour.iterator_age_ms = Some(900.0));
    let finding = check(&looked, &Prices::default(), |check| check.code == "alarms").remove(0);
    let fix = finding.fix.expect("a fix");
    assert!(fix.contains("MillisBehindLatest") && !fix.contains("GetRecords"), "{fix}");
    let hours = looked.hours.as_mut().expect("read").points.values_mut().rev().take(STEADY_HOURS);
    hours.for_each(|hour| hour.iterator_age_ms = Some(900.0));
    assert_eq!(statuses(&looked)["alarms"], Status::Ok, "a steady reader");
}
