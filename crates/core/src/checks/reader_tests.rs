//! Readers that stopped, readers that share, alarms on readers, and peaks within an hour.

use super::fixture::{stream, unread};
use super::{Alarm, Consumer, Finding, LambdaReader, Lease, Leases, Point, Readings, Series, Status, check};
use crate::cost::Prices;
use crate::observation::{CapacityMode, Shard};
use chrono::{DateTime, TimeDelta, Utc};

fn now() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(100)
}

fn find(readings: &Readings, code: &str) -> Finding {
    check(readings, &Prices::default(), |check| check.code == code).remove(0)
}

fn series(period: TimeDelta, count: i64, point: impl Fn(i64) -> Option<Point>) -> Series {
    let points = (1..=count).filter_map(|ago| Some((now() - period * ago as i32, point(ago)?)));
    let seconds = period.num_seconds() as f64;
    Series { period_seconds: seconds, window_seconds: seconds * count as f64, points: points.collect() }
}

const MINUTES: i64 = 180;

/// A stream of four shards with one record a second, that a reader has read in these hours and minutes.
fn read_in(hours: impl Fn(i64) -> bool, minutes: impl Fn(i64) -> bool) -> Readings {
    let point = |records: f64, is_read: bool| {
        let aged = if is_read { Some(60_000.0) } else { None };
        Some(Point { incoming_records: records, iterator_age_ms: aged, ..Point::default() })
    };
    Readings {
        read_at: now(),
        stream: stream(4),
        hours: Ok(series(TimeDelta::hours(1), 14 * 24, |ago| point(3_600.0, hours(ago)))),
        minutes: Ok(series(TimeDelta::minutes(1), MINUTES, |ago| point(60.0, minutes(ago)))),
        consumers: Ok(vec![]),
        lambdas: Ok(vec![]),
        alarms: Ok(vec![]),
        ..unread()
    }
}

#[test]
fn a_steady_reader_that_stopped_two_hours_ago_is_two_hours_behind() {
    let stopped = find(&read_in(|_| true, |ago| ago > 120), "retention");
    let says = "No reader has called GetRecords for 2 hours, so a reader is 2 hours behind. The stream keeps records \
                for 24 hours.";
    assert_eq!((stopped.status, stopped.sentence.as_str()), (Status::Warn, says));
    assert_eq!(stopped.evidence["silent_seconds"], 7_200);
    let reads = find(&read_in(|_| true, |_| true), "retention");
    assert_eq!((reads.status, &reads.evidence["silent_seconds"]), (Status::Ok, &0.into()));
    assert!(find(&read_in(|_| true, |ago| ago > 14), "retention").status == Status::Ok, "CloudWatch is late");
}

#[test]
fn a_person_a_job_and_a_reader_without_a_record_have_not_stopped() {
    let once = find(&read_in(|ago| ago == 2, |ago| (100..103).contains(&ago)), "retention");
    assert_eq!((once.status, &once.fix), (Status::Ok, &None));
    assert!(once.sentence.starts_with("The last call of GetRecords was 99 minutes ago."), "{}", once.sentence);
    let hourly = find(&read_in(|_| true, |ago| ago % 60 > 54), "retention");
    assert_eq!(hourly.status, Status::Ok, "{}", hourly.sentence);
    let mut late = read_in(|_| true, |ago| ago % 60 > 54);
    for point in late.minutes.as_mut().expect("read").points.values_mut() {
        point.iterator_age_ms = point.iterator_age_ms.map(|_| 20.0 * 3_600_000.0);
    }
    let late = find(&late, "retention");
    assert_eq!(late.status, Status::Fail, "between two runs of an hourly job, too: {}", late.sentence);
    let mut idle = read_in(|_| true, |ago| ago > 120);
    for (_, point) in idle.minutes.as_mut().expect("read").points.range_mut(now() - TimeDelta::minutes(120)..) {
        point.incoming_records = 0.0;
    }
    assert_eq!(find(&idle, "retention").status, Status::Ok, "no record waits");
}

#[test]
fn a_reader_that_stopped_far_behind_will_lose_records() {
    let mut stopped = read_in(|_| true, |ago| ago > 120);
    for point in stopped.minutes.as_mut().expect("read").points.values_mut() {
        point.iterator_age_ms = point.iterator_age_ms.map(|_| 11.0 * 3_600_000.0);
    }
    let finding = find(&stopped, "retention");
    assert_eq!(finding.status, Status::Fail, "{}", finding.sentence);
    assert!(finding.sentence.ends_with("Unread records will be lost."), "{}", finding.sentence);
}

fn consumer(name: &str) -> Consumer {
    Consumer { name: name.into(), created_at: now(), events: 1.0, refused: 0.0, behind_ms: None }
}

#[test]
fn a_stream_that_only_consumers_read_gets_alarms_on_them() {
    let names = ["a", "b", "c", "d"].map(consumer).to_vec();
    let only = Readings { consumers: Ok(names.clone()), ..read_in(|_| false, |_| false) };
    let fix = find(&only, "alarms").fix.expect("a fix");
    let late: Vec<&str> = fix.lines().filter(|line| line.contains("MillisBehindLatest")).collect();
    assert_eq!(late.len(), 3, "{fix}");
    assert!(late[0].contains("--alarm-name orders-a-late "), "{fix}");
    assert!(late[0].contains(" --dimensions Name=StreamName,Value=orders Name=ConsumerName,Value=a "), "{fix}");
    assert!(late[0].contains(" --threshold 43200000 ") && fix.contains("# the same for d"), "{fix}");
    assert!(!fix.contains("GetRecords"), "{fix}");
    // An alarm on GetRecords never fires for them.
    let alarm = |metric: &str| Alarm {
        name: metric.into(),
        metric: metric.into(),
        stream: Some("orders".into()),
        is_enabled: true,
        has_action: true,
    };
    let missing = |metric| {
        find(&Readings { alarms: Ok(vec![alarm(metric)]), ..only.clone() }, "alarms").evidence["missing"].clone()
    };
    assert_eq!(missing("GetRecords.IteratorAgeMilliseconds")[0], "late readers");
    assert_eq!(missing("SubscribeToShardEvent.MillisBehindLatest"), serde_json::json!(["refused writes"]));
    let polled = Readings { consumers: Ok(names), ..read_in(|ago| ago >= 300, |_| false) };
    let fix = find(&polled, "alarms").fix.expect("a fix");
    assert!(fix.contains("GetRecords.IteratorAgeMilliseconds") && !fix.contains("MillisBehindLatest"), "{fix}");
}

#[test]
fn each_alarm_without_an_action_is_named() {
    let alarm = |name: &str, metric: &str| Alarm {
        name: name.into(),
        metric: metric.into(),
        stream: Some("orders".into()),
        is_enabled: true,
        has_action: false,
    };
    let age = "GetRecords.IteratorAgeMilliseconds";
    let alarms = vec![alarm("age", age), alarm("writes", "WriteProvisionedThroughputExceeded")];
    let finding = find(&Readings { alarms: Ok(alarms), ..read_in(|_| true, |_| true) }, "alarms");
    let says = "No alarm tells a person of late readers or refused writes. The alarms age and writes have no action \
                that is enabled.";
    assert_eq!(finding.sentence, says);
    let one = find(&Readings { alarms: Ok(vec![alarm("age", age)]), ..read_in(|_| true, |_| true) }, "alarms");
    assert!(one.sentence.ends_with("The alarm age has no action that is enabled."), "{}", one.sentence);
}

#[test]
fn a_deployment_goes_to_the_region_of_the_stream() {
    let readings = Readings { tags: Ok([].into()), is_deployed: Ok(false), ..read_in(|_| true, |_| true) };
    let fix = find(&readings, "unthrottle").fix.expect("a fix");
    assert!(fix.starts_with("make deploy AWS_REGION=us-east-1\n"), "{fix}");
}

#[test]
fn the_fix_of_pollers_moves_a_function_to_its_own_throughput() {
    let lambda = |name: &str| LambdaReader { uuid: format!("id-of-{name}"), ..super::lambda_tests::reader(name) };
    let three = ["f:live", "g", "h"].map(lambda).to_vec();
    let finding = find(&Readings { lambdas: Ok(three), ..read_in(|_| true, |_| true) }, "pollers");
    let fix = finding.fix.expect("a fix");
    let commands: Vec<&str> = fix.lines().filter(|line| !line.starts_with('#')).collect();
    let arn = "arn:aws:kinesis:us-east-1:123456789012:stream/orders";
    assert_eq!(
        commands,
        [
            &format!("aws kinesis register-stream-consumer --stream-arn {arn} --consumer-name f"),
            "aws lambda update-event-source-mapping --uuid id-of-f:live --no-enabled",
            "aws lambda get-event-source-mapping --uuid id-of-f:live",
            "aws lambda create-event-source-mapping --function-name f:live --event-source-arn CONSUMER_ARN \
             --starting-position AT_TIMESTAMP --starting-position-timestamp TIME",
            "aws lambda delete-event-source-mapping --uuid id-of-f:live",
        ]
    );
    assert!(fix.contains(" and the age of the oldest record that f:live has not read;"), "no age is known: {fix}");
    let deleted = LambdaReader { state: "Deleting".into(), ..lambda("h") };
    let two = vec![lambda("f"), lambda("g"), deleted];
    assert_eq!(find(&Readings { lambdas: Ok(two), ..read_in(|_| true, |_| true) }, "pollers").status, Status::Ok);
}

/// What is written up to the age before the stop is not read yet, so a new mapping that begins at the stop loses it.
#[test]
fn the_new_mapping_begins_before_the_records_that_the_old_one_has_not_read() {
    let metrics = |newest_age_ms| super::LambdaMetrics { newest_age_ms, ..Default::default() };
    let behind = |age| LambdaReader { metrics: Ok(metrics(age)), ..super::lambda_tests::reader("f") };
    let fix = |age| {
        let lambdas = vec![behind(age), super::lambda_tests::reader("g"), super::lambda_tests::reader("h")];
        find(&Readings { lambdas: Ok(lambdas), ..read_in(|_| true, |_| true) }, "pollers").fix.expect("a fix")
    };
    let late = fix(Some(89.5 * 60_000.0));
    let says = "# TIME is that time less 95 minutes: f is up to 90 minutes behind, and 5 minutes are for its batches;";
    assert!(late.lines().any(|line| line.starts_with(says)), "{late}");
    let place = |text: &str| late.find(text).unwrap_or_else(|| panic!("{text}: {late}"));
    assert!(place("note its ARN and the time") < place("--no-enabled") && place("--no-enabled") < place("# TIME is"));
    assert!(fix(Some(900.0)).contains("less 6 minutes: f is up to less than a minute behind,"), "{}", fix(Some(900.0)));
}

#[test]
fn a_disabled_mapping_shares_nothing() {
    let off = LambdaReader { state: "Disabled".into(), ..super::lambda_tests::reader("h") };
    let lambdas = vec![super::lambda_tests::reader("f"), super::lambda_tests::reader("g"), off];
    assert_eq!(find(&Readings { lambdas: Ok(lambdas), ..read_in(|_| true, |_| true) }, "pollers").status, Status::Ok);
}

/// Four shards that are written with 1 MiB/s. `read`: how many times these bytes are read in a minute.
fn read_times(read: impl Fn(i64) -> f64) -> Readings {
    let written = 60.0 * 1_048_576.0;
    let point = |ago| {
        let read = Point { get_records_bytes: read(ago) * written, get_records_calls: 60.0, ..Point::default() };
        Some(Point { incoming_bytes: written, incoming_records: 60.0, ..read })
    };
    let minutes = series(TimeDelta::minutes(1), MINUTES, point);
    Readings { minutes: Ok(minutes), ..read_in(|_| true, |_| true) }
}

#[test]
fn a_reader_that_reads_again_for_an_hour_is_one_reader() {
    let replay = find(&read_times(|ago| if ago <= 60 { 8.0 } else { 1.0 }), "pollers");
    assert_eq!((replay.status, &replay.evidence["shared_readers"]), (Status::Ok, &1.0.into()), "{}", replay.sentence);
    let three = find(&read_times(|_| 3.0), "pollers");
    assert_eq!((three.status, &three.evidence["shared_readers"]), (Status::Warn, &3.0.into()));
    assert!(three.sentence.starts_with("In most minutes, readers get 3 times what is written,"), "{}", three.sentence);
}

#[test]
fn three_readers_of_a_little_have_room() {
    let mut little = read_times(|_| 3.0);
    for point in little.minutes.as_mut().expect("read").points.values_mut() {
        (point.incoming_bytes, point.get_records_bytes) = (point.incoming_bytes / 5.0, point.get_records_bytes / 5.0);
    }
    let finding = find(&little, "pollers");
    // 3 readers × 0.2 MiB/s are 7.5 % of 4 shards × 2 MiB/s.
    assert_eq!((finding.status, &finding.evidence["read_share"]), (Status::Ok, &0.075.into()), "{}", finding.sentence);
}

#[test]
fn the_longest_retention_has_an_alarm_at_its_half_and_no_longer_one() {
    let with = |retention_hours| {
        let mut readings = read_in(|_| true, |_| true);
        readings.stream.retention_hours = retention_hours;
        for point in readings.minutes.as_mut().expect("read").points.values_mut() {
            point.iterator_age_ms = Some(0.6 * f64::from(retention_hours) * 3_600_000.0);
        }
        readings
    };
    let fix = find(&with(8_760), "alarms").fix.expect("a fix");
    assert!(fix.contains(" --threshold 15768000000 "), "{fix}");
    let late = find(&with(8_760), "retention");
    assert_eq!((late.status, late.evidence.get("fix_usd_per_month")), (Status::Fail, None));
    assert_eq!(late.fix.as_deref(), Some("mend or scale the reader; AWS keeps records no longer"));
    let fix = find(&with(8_759), "retention").fix.expect("a fix");
    assert!(fix.ends_with(" --retention-period-hours 8760"), "{fix}");
}

/// `ReadersBehindAlarm=deny` leaves out the alarm on the age.
#[test]
fn a_stack_without_the_alarm_on_readers_is_complete() {
    let fleet = |metric: &str| Alarm {
        name: metric.into(),
        metric: metric.into(),
        stream: None,
        is_enabled: true,
        has_action: false,
    };
    let (writes, reads) = ("WriteProvisionedThroughputExceeded", "ReadProvisionedThroughputExceeded");
    let with = |alarms: &[&str]| {
        let alarms = alarms.iter().map(|metric| fleet(metric)).collect();
        let (tags, is_deployed, denied_actions) = (Ok([].into()), Ok(true), Ok(vec![]));
        find(
            &Readings { alarms: Ok(alarms), tags, is_deployed, denied_actions, ..read_in(|_| true, |_| true) },
            "unthrottle",
        )
    };
    assert_eq!(with(&[writes, reads]).status, Status::Ok);
    let missing = with(&[writes, "GetRecords.IteratorAgeMilliseconds"]);
    assert_eq!((missing.status, &missing.evidence["missing_alarms"]), (Status::Warn, &serde_json::json!([reads])));
}

/// Shards 2 and 3 are the halves of the closed shard 0. Shard 4 is the closed shards 1 and 5 together.
fn after_reshards(leases: Vec<Lease>) -> Readings {
    let shard = |id: &str, parent: &str, (first, last): (u128, u128)| Shard {
        id: id.into(),
        parent: Some(parent.into()),
        first_hash_key: first,
        last_hash_key: last,
        traffic: Default::default(),
    };
    let shards = vec![shard("2", "0", (0, 24)), shard("3", "0", (25, 49)), shard("4", "1", (50, 99))];
    let leases = Leases { table: "app".into(), leases, watched_seconds: 0 };
    Readings { shards: Ok(shards), leases: Some(Ok(leases)), ..unread() }
}

fn lease(shard: &str, hash_keys: Option<(u128, u128)>, owner: Option<&str>) -> Lease {
    Lease { shard: shard.into(), owner: owner.map(str::to_owned), hash_keys, is_finished: false, is_renewed: None }
}

#[test]
fn only_the_children_of_a_shard_that_is_not_read_to_its_end_wait() {
    let unowned = |leases| find(&after_reshards(leases), "kcl").evidence["unowned"].clone();
    let first = |keys| lease("0", keys, Some("a"));
    for keys in [Some((0, 49)), None] {
        assert_eq!(unowned(vec![first(keys)]), serde_json::json!(["4"]), "its parents are read: {keys:?}");
        assert_eq!(unowned(vec![first(keys), lease("4", None, Some("b"))]), serde_json::json!([]), "{keys:?}");
    }
    // The second parent of a merge, which no shard names here.
    for keys in [Some((75, 99)), None] {
        let owned = |shard| lease(shard, None, Some("a"));
        assert_eq!(unowned(vec![lease("5", keys, Some("b")), owned("2"), owned("3")]), serde_json::json!([]));
    }
    let other = vec![lease("5", Some((75, 99)), Some("b"))];
    assert_eq!(unowned(other), serde_json::json!(["2", "3"]), "it is no parent of them");
}

/// Ten shards with a load of 0.5 shards, and with 6 of them for five minutes of each day: 1 on the mean of that hour.
fn daily_peak(mode: CapacityMode) -> Readings {
    let load =
        |shards: f64, seconds: f64| Some(Point { incoming_records: shards * 1_000.0 * seconds, ..Point::default() });
    let hour = |ago: i64| load(if ago % 24 == 5 { 0.96 } else { 0.5 }, 3_600.0);
    let minute = |ago: i64| load(if ago % 1_440 / 5 == 70 { 6.0 } else { 0.5 }, 60.0);
    let stream = crate::observation::Stream { mode, ..stream(10) };
    Readings {
        read_at: now(),
        stream,
        commitment: Ok(crate::observation::Commitment::Disabled),
        consumers: Ok(vec![]),
        tags: Ok([].into()),
        hours: Ok(series(TimeDelta::hours(1), 14 * 24, hour)),
        minutes: Ok(series(TimeDelta::minutes(1), MINUTES, minute)),
        all_minutes: Some(Ok(series(TimeDelta::minutes(1), 14 * 1_440, minute))),
        ..unread()
    }
}

#[test]
fn a_daily_peak_of_five_minutes_keeps_its_shards() {
    let by_minute = daily_peak(CapacityMode::Provisioned);
    let by_hour = Readings { all_minutes: None, ..by_minute.clone() };
    assert!(super::may_need_fewer_shards(&by_hour), "the hours say 2 shards, so the minutes are worth a read");
    assert_eq!(find(&by_hour, "oversized").evidence["enough_shards"], 2);
    let finding = find(&by_minute, "oversized");
    assert_eq!(finding.status, Status::Ok);
    assert_eq!(finding.sentence, "The busiest minute of 14 days fills 60 % of 10 shards.");
    let planned = |readings: &Readings| find(readings, "mode").evidence["provisioned_shards"].clone();
    assert_eq!(planned(&daily_peak(CapacityMode::OnDemand)), 12, "twice the peak");
    let failed = super::Unread { action: "cloudwatch:GetMetricData", why: "it failed".into(), is_denied: false };
    let unread = Readings { all_minutes: Some(Err(failed)), ..by_minute };
    assert_eq!(find(&unread, "oversized").status, Status::Unknown, "no proposal without the minutes");
}

#[test]
fn a_proposal_has_no_caveat_and_holds_at_the_busiest_minute() {
    let mut readings = daily_peak(CapacityMode::Provisioned);
    let calm = |series: &mut Series| {
        for point in series.points.values_mut() {
            point.incoming_records = point.incoming_records.min(0.5 * 1_000.0 * series.period_seconds);
        }
    };
    calm(readings.hours.as_mut().expect("read"));
    calm(readings.all_minutes.as_mut().expect("asked").as_mut().expect("read"));
    let finding = find(&readings, "oversized");
    assert_eq!((finding.status, &finding.evidence["enough_shards"]), (Status::Warn, &1.into()));
    assert!(
        finding.sentence.starts_with("The busiest minute of 14 days fills 5 % of 10 shards."),
        "{}",
        finding.sentence
    );
    let fix = finding.fix.expect("a fix");
    assert!(fix.starts_with("aws kinesis update-shard-count ") && !fix.contains("backtest"), "{fix}");
}

#[test]
fn the_tag_with_the_fewest_shards_bounds_each_proposal() {
    let mut idle = daily_peak(CapacityMode::Provisioned);
    for series in [&mut idle.hours, idle.all_minutes.as_mut().expect("asked")] {
        let series = series.as_mut().expect("read");
        for point in series.points.values_mut() {
            point.incoming_records = point.incoming_records.min(0.5 * 1_000.0 * series.period_seconds);
        }
    }
    let with = |readings: &Readings, least: &str| Readings {
        tags: Ok([("unthrottle.min-shards".to_owned(), least.to_owned())].into()),
        ..readings.clone()
    };
    let finding = find(&with(&idle, "6"), "oversized");
    assert_eq!((finding.status, &finding.evidence["enough_shards"]), (Status::Warn, &6.into()));
    assert!(finding.fix.expect("a fix").contains(" --target-shard-count 6 "));
    let kept = find(&with(&idle, "10"), "oversized");
    assert!(kept.status == Status::Ok && !super::may_need_fewer_shards(&with(&idle, "10")));
    assert!(kept.sentence.ends_with(" The tag unthrottle.min-shards keeps 10 shards."), "{}", kept.sentence);
    assert_eq!(find(&with(&idle, "many"), "oversized").evidence["enough_shards"], 1, "`unthrottle` fails for the tag");
    let on_demand = with(&daily_peak(CapacityMode::OnDemand), "20");
    assert_eq!(find(&on_demand, "mode").evidence["provisioned_shards"], 20);
}

/// 100 shards, where the daily peak needs 12.
#[test]
fn the_bill_of_mode_is_the_one_that_it_compares() {
    let provisioned = daily_peak(CapacityMode::Provisioned);
    let stream = crate::observation::Stream { open_shards: 100, ..provisioned.stream.clone() };
    let finding = find(&Readings { stream, ..provisioned }, "mode");
    let bill = |name: &str| finding.evidence[name].as_f64().expect("a number");
    assert_eq!(finding.evidence["provisioned_shards"], 12);
    // 12 shards × 730 h × $0.015, and the units of 501 records a second.
    assert!((149.0..151.0).contains(&bill("provisioned_usd_per_month")), "{}", finding.sentence);
    assert!(finding.sentence.contains(" provisioned with 12 of its 100 shards."), "{}", finding.sentence);
    let saved = bill("provisioned_usd_per_month") - bill("on_demand_usd_per_month");
    match finding.usd_per_month {
        Some(usd) => assert!((usd - saved).abs() < 0.01 && finding.sentence.contains(&format!("saves ${usd:.2}"))),
        None => panic!("{}", finding.sentence),
    }
}
