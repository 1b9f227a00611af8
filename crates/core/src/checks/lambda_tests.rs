//! Checks of several functions, of aliases, and of what they advise.

use super::fixture::unread;
use super::{LambdaMetrics, LambdaReader, Status, check};
use crate::checks::Finding;
use crate::cost::Prices;

/// A function with nothing wrong.
fn reader(function: &str) -> LambdaReader {
    LambdaReader {
        function: function.into(),
        uuid: format!("id-of-{function}").replace(':', "-"),
        consumer: None,
        filters: false,
        state: "Enabled".into(),
        last_result: Some("OK".into()),
        max_retries: 5,
        max_age_seconds: -1,
        has_destination: true,
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
    let without = |n: usize| LambdaReader { has_destination: false, ..reader(&format!("f-{n}")) };
    let sentences = [
        (1, "lost."),
        (2, "lost. f-2 has this problem, too."),
        (3, "lost. f-2 and f-3 have this problem, too."),
        (5, "lost. f-2, f-3 and 2 more have this problem, too."),
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
    let bare = find("lambda-poison", vec![LambdaReader { has_destination: false, bisects: false, ..endless }]);
    let command = format!(
        "{uuid} --bisect-batch-on-function-error --destination-config \
                           'OnFailure={{Destination=QUEUE_ARN}}'"
    );
    assert_eq!(fix(&bare), ["# records that the mapping gives up are lost without a destination", &command]);
}
