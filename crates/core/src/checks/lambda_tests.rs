//! Checks of several functions, of aliases, and of what they advise.

use super::fixture::unread;
use super::{LambdaMetrics, LambdaReader, Status, check};
use crate::checks::Finding;
use crate::cost::Prices;

/// A function with nothing wrong.
pub(super) fn reader(function: &str) -> LambdaReader {
    LambdaReader {
        function: function.into(),
        uuid: format!("id-of-{function}").replace(':', "-"),
        consumer: None,
        filters: false,
        state: "Enabled".into(),
        last_result: Some("OK".into()),
        max_retries: 5,
        max_age_seconds: -1,
        destination: Some("arn:aws:s3:::failed-batches".into()),
        has_other_streams: false,
        bisects: true,
        reports_failures: false,
        factor: 1,
        window_seconds: 5,
        timeout_seconds: Ok(30),
        reserved_concurrency: Ok(Some(100)),
        metrics: Ok(LambdaMetrics { invocations: 1_000.0, ..LambdaMetrics::default() }),
    }
}

fn find(code: &str, lambdas: Vec<LambdaReader>) -> Finding {
    let readings = super::Readings { lambdas: Ok(lambdas), unreserved_concurrency: Ok(1_000), ..unread() };
    check(&readings, &Prices::default(), |check| check.code == code).remove(0)
}

fn fix(finding: &Finding) -> Vec<&str> {
    finding.fix.as_deref().expect("a fix").lines().collect()
}

#[test]
fn a_finding_names_three_functions_with_a_command_for_each() {
    let without = |n: usize| LambdaReader { destination: None, ..reader(&format!("f-{n}")) };
    let sentences = [
        (1, "lost."),
        (2, "lost. f-2 needs a fix, too."),
        (3, "lost. f-2 and f-3 need a fix, too."),
        (5, "lost. f-2, f-3 and 2 more need a fix, too."),
    ];
    for (count, end) in sentences {
        let finding = find("lambda-destination", (1..=count).map(without).collect());
        assert!(finding.sentence.starts_with("f-1 ") && finding.sentence.ends_with(end), "{}", finding.sentence);
        let fix = fix(&finding);
        let commands =
            fix.iter().filter(|line| line.starts_with("aws lambda update-event-source-mapping --uuid id-of-f-"));
        assert_eq!(commands.count(), count.min(3), "{fix:#?}");
        assert_eq!(fix.contains(&"# the same for f-4, f-5"), count == 5, "{fix:#?}");
    }
}

/// The second function did not fail a batch.
#[test]
fn functions_with_different_problems_do_not_share_the_sentence_of_the_first() {
    let failed = LambdaReader { last_result: Some("PROBLEM: Function call failed".into()), ..reader("f0") };
    let disabled = |name: &str| LambdaReader { state: "Disabled".into(), ..reader(name) };
    let finding = find("lambda-state", vec![failed, disabled("f1"), disabled("f5")]);
    let says = "The last batch of f0 failed: PROBLEM: Function call failed. f1 and f5 need a fix, too.";
    assert_eq!(finding.sentence, says);
}

#[test]
fn commands_about_a_function_leave_its_alias_out() {
    let metrics = LambdaMetrics { invocations: 1_000.0, errors: 500.0, ..LambdaMetrics::default() };
    let alias = LambdaReader { metrics: Ok(metrics), reserved_concurrency: Ok(Some(1)), ..reader("orders:live") };
    assert_eq!(fix(&find("lambda-errors", vec![alias.clone()])), ["aws logs tail /aws/lambda/orders --since 1h"]);
    let state = LambdaReader { last_result: Some("PROBLEM: Function call failed".into()), ..alias.clone() };
    assert_eq!(fix(&find("lambda-state", vec![state])), ["aws logs tail /aws/lambda/orders --since 1h"]);
    let concurrency = find("lambda-concurrency", vec![LambdaReader { factor: 10, ..alias }]);
    assert!(fix(&concurrency)[0].contains("--function-name orders --reserved"), "{concurrency:?}");
}

#[test]
fn throttles_and_timeouts_have_their_own_commands_and_throttles_are_no_invocations() {
    let with =
        |metrics: LambdaMetrics| find("lambda-errors", vec![LambdaReader { metrics: Ok(metrics), ..reader("f") }]);
    let good = LambdaMetrics { invocations: 1_000.0, ..LambdaMetrics::default() };
    let throttled = with(LambdaMetrics { throttles: 604_995.0, ..good.clone() });
    assert_eq!(throttled.sentence, "f, 14 days: AWS throttled 604,995 more attempts.");
    assert_eq!(
        fix(&throttled),
        ["aws lambda put-function-concurrency --function-name f --reserved-concurrent-executions 200"]
    );
    let slow = with(LambdaMetrics { longest_p95_ms: 29_000.0, ..good.clone() });
    assert_eq!(fix(&slow), ["aws lambda update-function-configuration --function-name f --timeout 60"]);
    let all = with(LambdaMetrics { throttles: 1.0, errors: 500.0, longest_p95_ms: 29_000.0, ..good });
    assert_eq!((all.status, fix(&all).len()), (Status::Warn, 3));
}

#[test]
fn the_cure_of_a_poison_record_loses_none_and_changes_only_what_is_missing() {
    let endless = LambdaReader { max_retries: -1, ..reader("f") };
    let uuid = "aws lambda update-event-source-mapping --uuid id-of-f --maximum-retry-attempts 5";
    assert_eq!(fix(&find("lambda-poison", vec![endless.clone()])), [uuid]);
    let bare = find("lambda-poison", vec![LambdaReader { destination: None, bisects: false, ..endless }]);
    let command = format!(
        "{uuid} --bisect-batch-on-function-error --destination-config \
                           'OnFailure={{Destination=BUCKET_ARN}}'"
    );
    let notes = [
        "# records that the mapping gives up are lost without a destination",
        "# a bucket gets the whole records",
        "# a queue or a topic gets only the positions of the records, and the stream deletes their data 24 hours after \
         they were written",
    ];
    assert_eq!(fix(&bare), [&notes[..], &[&command]].concat());
}

#[test]
fn a_queue_or_a_topic_is_no_place_for_records_and_the_fix_says_so() {
    let of = |destination: Option<&str>, max_retries| LambdaReader {
        destination: destination.map(str::to_owned),
        max_retries,
        ..reader("f")
    };
    let positions =
        "only the positions of the records, and the stream deletes their data 24 hours after they were written";
    let missing = find("lambda-destination", vec![of(None, 5)]);
    let lines = fix(&missing);
    assert_eq!(lines[..2], ["# a bucket gets the whole records", &format!("# a queue or a topic gets {positions}")]);
    assert!(lines[2].ends_with("'OnFailure={Destination=BUCKET_ARN}'"), "{lines:?}");
    for (destination, is_told) in [
        ("arn:aws:sqs:us-east-1:123456789012:lost", true),
        ("arn:aws:sns:us-east-1:123456789012:lost", true),
        ("arn:aws:s3:::lost", false),
    ] {
        let endless = find("lambda-poison", vec![of(Some(destination), -1)]);
        let told = format!("# the destination of the mapping gets {positions}");
        assert_eq!(fix(&endless).contains(&told.as_str()), is_told, "{destination}: {endless:?}");
    }
}

#[test]
fn a_mapping_that_is_being_deleted_is_no_reader_and_one_that_is_being_disabled_waits_for_its_fix() {
    let of = |state: &str| LambdaReader {
        state: state.into(),
        max_retries: -1,
        destination: None,
        bisects: false,
        ..reader("f")
    };
    for code in ["lambda-state", "lambda-poison", "lambda-destination", "lambda-bisect", "lambda-concurrency"] {
        let finding = find(code, vec![LambdaReader { factor: 10_000, ..of("Deleting") }]);
        assert_eq!((finding.status, finding.fix), (Status::Ok, None), "{code}: {}", finding.sentence);
        assert_eq!(finding.sentence, "No Lambda function reads the stream.");
    }
    let enable = "aws lambda update-event-source-mapping --uuid id-of-f --enabled";
    assert_eq!(fix(&find("lambda-state", vec![of("Disabled")])), [enable]);
    assert_eq!(fix(&find("lambda-state", vec![of("Disabling")])), ["# once its state is Disabled:", enable]);
}

/// 1,000 executions are free.
#[test]
fn functions_without_a_reservation_share_the_free_executions() {
    let of = |name: &str, factor, reserved| LambdaReader { factor, reserved_concurrency: Ok(reserved), ..reader(name) };
    let concurrency = |lambdas| find("lambda-concurrency", lambdas);
    assert_eq!(concurrency(vec![of("f", 450, None)]).status, Status::Ok);
    let two = concurrency(vec![of("f", 450, None), of("g", 100, None)]);
    let says = "f needs 450 executions at the same time (shards × factor). All functions without a reservation that \
                the doctor knows need 550, and the account's unreserved concurrency is 1000. After the next doubling, \
                shards wait. g needs a fix, too.";
    assert_eq!((two.status, two.sentence.as_str()), (Status::Warn, says));
    assert_eq!(concurrency(vec![of("f", 600, None), of("g", 500, None)]).status, Status::Fail);
    assert_eq!(concurrency(vec![of("f", 450, None), of("g", 100, Some(200))]).status, Status::Ok, "g has its own");
    let disabled = LambdaReader { state: "Disabled".into(), ..of("g", 900, None) };
    assert_eq!(concurrency(vec![of("f", 450, None), disabled]).status, Status::Ok, "it runs nothing");
    let alias = concurrency(vec![of("f:live", 60, Some(100)), of("f:next", 60, Some(100))]);
    assert_eq!(alias.status, Status::Fail, "both share the reservation of f: {}", alias.sentence);
}

#[test]
fn functions_of_the_other_streams_of_the_run_share_the_free_executions_too() {
    let unreserved = LambdaReader { factor: 450, reserved_concurrency: Ok(None), ..reader("f") };
    let readings = |elsewhere| super::Readings {
        lambdas: Ok(vec![unreserved.clone()]),
        unreserved_concurrency: Ok(1_000),
        unreserved_elsewhere: elsewhere,
        ..unread()
    };
    assert_eq!(super::unreserved_executions(&readings(0)), 450);
    for (elsewhere, status) in [(100, Status::Ok), (101, Status::Warn), (551, Status::Fail)] {
        let found =
            check(&readings(elsewhere), &Prices::default(), |check| check.code == "lambda-concurrency").remove(0);
        assert_eq!(found.status, status, "{elsewhere}: {}", found.sentence);
    }
}

/// A stream with 34 records a second for 14 days. Two million batches have 20 records each.
#[test]
fn invocations_by_other_callers_are_no_batches() {
    let records = 34.0 * 14.0 * 86_400.0;
    let point = super::Point { incoming_records: records, ..super::Point::default() };
    let hours = super::Series {
        period_seconds: 3_600.0,
        window_seconds: 14.0 * 86_400.0,
        points: [(chrono::DateTime::UNIX_EPOCH, point)].into(),
    };
    let status = |invocations: f64, batches: f64, has_other_streams| {
        let metrics = LambdaMetrics { invocations, batches, ..LambdaMetrics::default() };
        let lambda = LambdaReader { window_seconds: 0, metrics: Ok(metrics), has_other_streams, ..reader("f") };
        let readings = super::Readings { lambdas: Ok(vec![lambda]), hours: Ok(hours.clone()), ..unread() };
        check(&readings, &Prices::default(), |check| check.code == "lambda-window").remove(0).status
    };
    assert_eq!(status(records, records, false), Status::Warn, "one record a batch");
    assert_eq!(status(records, 2e6, false), Status::Ok, "the others are calls by an API");
    assert_eq!(status(records, 0.0, false), Status::Ok);
    assert_eq!(status(records, records, true), Status::Ok, "batches of another stream count, too");
}

/// A function whose age grows for four hours.
fn late(function: &str) -> LambdaReader {
    let ages_ms = [5.0, 10.0, 15.0, 20.0].map(|minutes| minutes * 60_000.0).to_vec();
    LambdaReader { metrics: Ok(LambdaMetrics { ages_ms, ..LambdaMetrics::default() }), ..reader(function) }
}

#[test]
fn a_function_that_falls_behind_has_a_fix_that_helps_it() {
    let parallel = |lambda: LambdaReader| find("lambda-parallel", vec![lambda]);
    let raise = "aws lambda update-event-source-mapping --uuid id-of-f --parallelization-factor 2";
    assert_eq!(fix(&parallel(late("f"))), [raise]);
    let with = |throttles, throttles_of_ages| {
        let metrics = LambdaMetrics { throttles, throttles_of_ages, ..late("f").metrics.expect("read") };
        parallel(LambdaReader { metrics: Ok(metrics), ..late("f") })
    };
    assert_eq!(fix(&with(500.0, 0.0)), [raise], "throttles of last week say nothing about these hours");
    let throttled = with(500.0, 20.0);
    assert!(throttled.sentence.ends_with(" AWS throttled 20 more attempts in these hours."), "{}", throttled.sentence);
    let reserve = "aws lambda put-function-concurrency --function-name f --reserved-concurrent-executions 200";
    assert_eq!((throttled.status, fix(&throttled)), (Status::Warn, vec![reserve]));
    let most = parallel(LambdaReader { factor: 10, ..late("f") });
    assert!(most.sentence.ends_with("10 batches of a shard at a time. AWS allows no more."), "{}", most.sentence);
    let faster = "make the function faster, such as with more memory, or give the stream more shards";
    assert_eq!((most.status, fix(&most)), (Status::Warn, vec![faster]));
}

/// A factor above 1 breaks the order of aggregated records of a registered consumer, so the check then fails.
#[test]
fn no_factor_is_proposed_that_the_check_fails() {
    let consumer = || LambdaReader { consumer: Some("c".into()), ..late("f") };
    let with = |aggregated: Option<u64>| {
        let sample = aggregated.map(|aggregated| Ok(super::Sample { records: 10, aggregated, user_records: 0 }));
        let readings = super::Readings { lambdas: Ok(vec![consumer()]), sample, ..unread() };
        check(&readings, &Prices::default(), |check| check.code == "lambda-parallel").remove(0)
    };
    let raise = "aws lambda update-event-source-mapping --uuid id-of-f --parallelization-factor 2";
    assert_eq!(fix(&with(Some(0))), [raise]);
    let aggregated = with(Some(3));
    assert!(aggregated.status == Status::Warn && !fix(&aggregated)[0].contains("factor"), "{aggregated:?}");
    let note = "# only if no record is aggregated, or the order of a key is lost:";
    let ask = "unthrottle doctor orders --sample --only aggregation";
    assert_eq!(fix(&with(None)), [note, ask, raise]);
}

#[test]
fn a_longer_timeout_reaches_an_alias_and_none_is_longer_than_the_longest() {
    let slow = |function: &str, timeout: u32| {
        let metrics = LambdaMetrics {
            invocations: 1_000.0,
            longest_p95_ms: 950.0 * f64::from(timeout),
            ..LambdaMetrics::default()
        };
        let lambda = LambdaReader { metrics: Ok(metrics), timeout_seconds: Ok(timeout), ..reader(function) };
        find("lambda-errors", vec![lambda])
    };
    let none = "no timeout is longer than 900 s: give f more memory, or smaller batches";
    assert_eq!(fix(&slow("f", 900)), [none]);
    let update = "aws lambda update-function-configuration --function-name f --timeout 60";
    assert_eq!(fix(&slow("f", 30)), [update]);
    let publish = "aws lambda publish-version --function-name f";
    let alias = slow("f:live", 30);
    assert_eq!(
        fix(&alias),
        [
            update,
            "# live keeps the timeout of its version; publish the next one, and move the alias:",
            publish,
            "aws lambda update-alias --function-name f --name live --function-version VERSION",
        ]
    );
    let version = slow("f:7", 30);
    assert!(fix(&version)[1].starts_with("# the mapping reads version 7,") && fix(&version)[2] == publish);
}

#[test]
fn a_last_result_that_is_a_problem_fires_lambda_state_alone() {
    let result = Some("PROBLEM: Function call failed".into());
    let readings = super::Readings {
        lambdas: Ok(vec![LambdaReader { last_result: result, ..reader("f") }]),
        hours: Ok(super::Series::default()),
        ..unread()
    };
    let all = check(&readings, &Prices::default(), |check| check.group == super::Group::Lambda);
    let open: Vec<(&str, Status)> = all.iter().filter(|f| f.status != Status::Ok).map(|f| (f.code, f.status)).collect();
    assert_eq!(open, [("lambda-state", Status::Fail)], "{all:#?}");
    assert_eq!(all[0].sentence, "The last batch of f failed: PROBLEM: Function call failed.");
}

#[test]
fn a_filter_of_a_mapping_that_is_being_deleted_breaks_no_aggregates() {
    let status = |state: &str| {
        let lambda = LambdaReader { filters: true, state: state.into(), ..reader("f") };
        let sample = Some(Ok(super::Sample { records: 10, aggregated: 5, user_records: 50 }));
        let readings = super::Readings { lambdas: Ok(vec![lambda]), sample, ..unread() };
        check(&readings, &Prices::default(), |check| check.code == "aggregation").remove(0).status
    };
    assert_eq!((status("Enabled"), status("Deleting")), (Status::Fail, Status::Ok));
}

/// Without a record it is not known whether the filter breaks any.
#[test]
fn a_filter_makes_aggregation_unknown_until_records_are_read() {
    let of = |filters| find("aggregation", vec![LambdaReader { filters, ..reader("f") }]);
    assert_eq!(of(false).status, Status::Ok);
    let filters = of(true);
    let says = "f filters records of the shared throughput, which breaks aggregated records. No record was read, so \
                whether there are any is not known.";
    assert_eq!((filters.status, filters.sentence.as_str()), (Status::Unknown, says));
    assert_eq!(fix(&filters), ["read some records: give --sample"]);
}

#[test]
fn one_thing_has_the_form_of_one() {
    let sample = Some(Ok(super::Sample { records: 1, aggregated: 1, user_records: 3 }));
    let readings = super::Readings { lambdas: Ok(vec![]), sample, ..unread() };
    let finding = check(&readings, &Prices::default(), |check| check.code == "aggregation").remove(0);
    assert!(finding.sentence.starts_with("The record that was read is aggregated."), "{}", finding.sentence);
    let one = LambdaReader { reserved_concurrency: Ok(Some(0)), ..reader("f") };
    let sentence = find("lambda-concurrency", vec![one]).sentence;
    assert!(sentence.starts_with("f needs 1 execution at the same time"), "{sentence}");
    let point = super::Point {
        incoming_records: 1.0,
        batched_records: 1.0,
        batches: 1.0,
        failed_records: 1.0,
        write_throttled: 1.0,
        ..super::Point::default()
    };
    let series = super::Series {
        period_seconds: 3_600.0,
        window_seconds: 14.0 * 86_400.0,
        points: [(chrono::DateTime::UNIX_EPOCH, point)].into(),
    };
    let consumer = super::Consumer {
        name: "c".into(),
        created_at: chrono::DateTime::UNIX_EPOCH,
        events: 1.0,
        refused: 1.0,
        behind_ms: None,
    };
    let (hours, minutes, consumers) = (Ok(series.clone()), Ok(series), Ok(vec![consumer]));
    let readings = super::Readings { hours, minutes, consumers, ..unread() };
    for (code, says) in [
        ("put-record", "PutRecord wrote 0 % of 1 record."),
        ("batch", "A PutRecords call has 1 record on average."),
        ("bursts", "AWS refused 1 record in 1 minute while "),
        ("failed-records", "1 of 1 record failed inside AWS in 14 days."),
        ("fan-out-limits", "AWS refused 1 subscription of c in 7 days"),
    ] {
        let finding = check(&readings, &Prices::default(), |check| check.code == code).remove(0);
        assert!(finding.sentence.starts_with(says), "{}", finding.sentence);
    }
}
