//! A call that IAM denies to the person who runs the command: AWS's words, and what to allow.

use crate::fixture::{ALWAYS, Fixture, live};
use crate::shell::{output, text, unthrottle};
use unthrottle_cli::STACK_TAG;
use unthrottle_lab::local::Effect;

/// An account with a throttled stream and a deployed unthrottle, in which IAM denies an action.
async fn account(action: &str) -> Fixture {
    let fixture = Fixture::on(live(), 3000.0, 2, 10).await;
    fixture.account.add_schedule("unthrottle", &[(STACK_TAG, "unthrottle")], "sweep");
    let (_, operation) = action.split_once(':').expect("an action");
    let message = format!("User: arn:aws:iam::123456789012:user/me is not authorized to perform: {action}");
    fixture.fault(operation, 0, ALWAYS, Effect::Error { status: 400, code: "AccessDeniedException".into(), message });
    fixture
}

/// Runs a command, and expects AWS's words and what to allow.
#[track_caller]
fn says(out: &std::process::Output, action: &str) {
    let said = format!("{}{}", text(&out.stdout), text(&out.stderr));
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(out.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("AWS denied {action}: ")), "{said}");
    assert!(
        said.contains(&format!("is not authorized to perform: {action}. Allow {action} to this principal")),
        "{said}"
    );
    for wrong in ["Error {", "unhandled error", "service error", "template.yaml", "function's role"] {
        assert!(!said.contains(wrong), "{wrong}: {said}");
    }
}

#[tokio::test]
async fn each_command_says_what_aws_denied_and_what_to_allow() {
    const METRICS: &str = "cloudwatch:GetMetricData";
    const RESOURCES: &str = "tag:GetResources";
    let plan = ["plan", "orders", "--at-least", "4", "--cron", "0 8 ? * MON-FRI *", "--for", "10h", "--dry-run"];
    for (action, args) in [
        (METRICS, &["explain", "orders"][..]),
        (METRICS, &["backtest", "orders"]),
        (METRICS, &["history", "orders"]),
        (METRICS, &["watch", "orders", "--once"]),
        (METRICS, &["report"]),
        (METRICS, &["sweep", "--observe"]),
        (METRICS, &["sweep", "--observe", "--json"]),
        (METRICS, &["restore", "orders", "--dry-run"]),
        (RESOURCES, &["report"]),
        (RESOURCES, &["sweep", "--observe"]),
        (RESOURCES, &["pause", "--dry-run"]),
        (RESOURCES, &plan),
        ("scheduler:GetSchedule", &plan),
        ("kinesis:ListStreams", &["sweep", "--observe"]),
        ("kinesis:DescribeStreamSummary", &["explain", "orders"]),
        ("kinesis:ListTagsForResource", &["watch", "orders", "--once"]),
    ] {
        let fixture = account(action).await;
        let mut command = unthrottle(args);
        command.args(["--endpoint-url", fixture.account.url(), "--region", "us-east-1"]);
        says(&output(command).await, action);
    }
}

#[tokio::test]
async fn a_service_that_an_endpoint_does_not_have_is_named_in_its_own_words() {
    let fixture = Fixture::on(live(), 500.0, 2, 10).await;
    fixture.account.add_schedule("unthrottle", &[(STACK_TAG, "unthrottle")], "sweep");
    let plan = ["plan", "orders", "--at-least", "4", "--cron", "0 8 ? * MON-FRI *", "--for", "10h", "--dry-run"];
    let mut command = unthrottle(&plan);
    command.args(["--endpoint-url", fixture.account.url(), "--region", "us-east-1"]);
    let out = output(command).await;
    let said = format!("{}{}", text(&out.stdout), text(&out.stderr));
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(out.status.success() && !said.contains("Error {") && !said.contains("unhandled"), "{said}");
    assert!(
        said.contains("the settings of the function cannot be read (") && said.contains(": the local account"),
        "{said}"
    );
}
