//! `unthrottle pause` and `unthrottle resume`, as a person types them.

#[path = "../../../tests/common/aws.rs"]
mod aws;

use aws_sdk_scheduler::primitives::DateTime;
use aws_sdk_scheduler::types::{
    ActionAfterCompletion, FlexibleTimeWindow, FlexibleTimeWindowMode, RetryPolicy, ScheduleState, Target,
};
use serde_json::{Value, json};
use std::process::Command;
use unthrottle_cli::STACK_TAG;
use unthrottle_lab::local::{Effect, Fault, LocalAccount, Options};

/// Two stacks, a rule and a schedule that belong to neither.
async fn account() -> LocalAccount {
    let account = LocalAccount::start(Options::default()).await.expect("a free port");
    account.add_rule("watch", &[(STACK_TAG, "unthrottle")]);
    account.add_rule("audit/alarms", &[(STACK_TAG, "unthrottle")]);
    account.add_schedule("unthrottle", &[(STACK_TAG, "unthrottle")], "sweep");
    account.add_schedule("unthrottle", &[(STACK_TAG, "unthrottle")], "restore");
    account.add_rule("watch-test", &[(STACK_TAG, "test")]);
    account.add_rule("other", &[("team", "a")]);
    account.add_schedule("default", &[], "backup");
    account
}

const OURS: [&str; 5] = ["watch", "audit/alarms", "sweep", "restore", "watch-test"];
const OTHERS: [&str; 2] = ["other", "backup"];

fn enabled(account: &LocalAccount) -> Vec<&'static str> {
    OURS.into_iter().chain(OTHERS).filter(|name| account.is_enabled(name)).collect()
}

/// Exit code, standard output and standard error.
async fn unthrottle(account: &LocalAccount, args: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_unthrottle"));
    command.args(args).args(["--endpoint-url", account.url(), "--region", "us-east-1"]);
    command.env("AWS_ACCESS_KEY_ID", "key").env("AWS_SECRET_ACCESS_KEY", "secret");
    let out = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic").expect("runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (out.status.code().expect("an exit code"), text(out.stdout), text(out.stderr))
}

#[tokio::test]
async fn pause_disables_all_that_carries_the_tag_and_resume_enables_it() {
    let account = account().await;
    let (code, out, err) = unthrottle(&account, &["pause", "--yes"]).await;
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert_eq!(enabled(&account), OTHERS);
    let lines: Vec<&str> = out.lines().map(str::trim).collect();
    assert_eq!(
        lines,
        [
            "paused rule audit/alarms",
            "paused rule watch",
            "paused rule watch-test",
            "paused schedule unthrottle/restore",
            "paused schedule unthrottle/sweep",
            &format!(
                "nothing wakes it now. Changes under way go on, and a sweep that is running may make more for up to \
                 five minutes. `unthrottle resume --endpoint-url {} --region us-east-1 --yes` undoes this.",
                account.url()
            ),
        ]
    );
    assert!(account.calls().keys().all(|call| !call.starts_with("Kinesis.")), "no stream is observed");
    let (code, out, _) = unthrottle(&account, &["resume", "--yes"]).await;
    assert_eq!(code, 0);
    assert_eq!(enabled(&account).len(), OURS.len() + OTHERS.len());
    assert!(
        out.contains("resumed schedule unthrottle/sweep") && out.contains("`unthrottle pause --endpoint-url "),
        "{out}"
    );
}

#[tokio::test]
async fn one_stack_can_be_paused_alone() {
    let account = account().await;
    let (code, out, err) = unthrottle(&account, &["pause", "--stack", "test", "--json", "--yes"]).await;
    assert_eq!(code, 0, "{err}");
    let out: Value = serde_json::from_str(&out).expect("JSON and nothing else");
    assert_eq!(out, json!({"state": "paused", "rules": ["watch-test"], "schedules": []}));
    assert!(err.contains("paused rule watch-test") && err.contains("--stack test --yes`"), "{err}");
    assert_eq!(enabled(&account), ["watch", "audit/alarms", "sweep", "restore", "other", "backup"]);
}

#[tokio::test]
async fn pausing_again_changes_nothing() {
    let account = account().await;
    let (_, first, _) = unthrottle(&account, &["pause", "--json", "--yes"]).await;
    let (code, second, _) = unthrottle(&account, &["pause", "--json", "--yes"]).await;
    assert_eq!((code, second), (0, first));
    assert_eq!(account.calls()["Scheduler.UpdateSchedule"], 2, "one for each schedule");
    assert_eq!(account.calls()["EventBridge.DisableRule"], 3, "one for each rule");
}

#[tokio::test]
async fn pausing_again_says_what_was_paused_before() {
    let account = account().await;
    unthrottle(&account, &["pause", "--stack", "test", "--yes"]).await;
    let (code, out, _) = unthrottle(&account, &["pause", "--yes"]).await;
    let lines: Vec<&str> = out.lines().map(str::trim).take(5).collect();
    let paused = [
        "paused rule audit/alarms",
        "paused rule watch",
        "already paused: rule watch-test",
        "paused schedule unthrottle/restore",
        "paused schedule unthrottle/sweep",
    ];
    assert_eq!((code, lines.as_slice()), (0, &paused[..]));
    let (_, out, _) = unthrottle(&account, &["pause", "--yes"]).await;
    assert_eq!(out.matches("already paused: ").count(), 5, "{out}");
    let (_, out, _) = unthrottle(&account, &["resume", "--yes"]).await;
    assert_eq!(out.matches("resumed ").count(), 5, "{out}");
    let (_, out, _) = unthrottle(&account, &["resume", "--yes"]).await;
    assert_eq!(out.matches("already resumed: ").count(), 5, "{out}");
}

#[tokio::test]
async fn a_rule_that_may_not_be_described_is_paused_all_the_same() {
    let account = account().await;
    let effect = Effect::Error { status: 400, code: "AccessDeniedException".into(), message: "not allowed".into() };
    account.add_fault(Fault { operation: "DescribeRule".into(), skip: 0, times: 3, effect });
    let (code, out, err) = unthrottle(&account, &["pause", "--yes"]).await;
    assert_eq!((code, enabled(&account)), (0, OTHERS.to_vec()), "{out}{err}");
}

#[tokio::test]
async fn where_nothing_carries_the_tag_it_says_so() {
    let account = LocalAccount::start(Options::default()).await.expect("a free port");
    account.add_rule("other", &[("team", "a")]);
    let (code, out, err) = unthrottle(&account, &["pause", "--yes"]).await;
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("the tag unthrottle:stack\n") && err.contains("us-east-1"), "{err}");
    let (code, _, err) = unthrottle(&account, &["resume", "--stack", "live", "--yes"]).await;
    assert_eq!(code, 1);
    assert!(err.contains("the tag unthrottle:stack=live"), "{err}");
    assert!(account.is_enabled("other"));
}

#[tokio::test]
async fn a_resource_that_fails_does_not_stop_the_others() {
    let account = account().await;
    account.add_schedule("second", &[(STACK_TAG, "unthrottle")], "late");
    account.add_schedule("third", &[(STACK_TAG, "unthrottle")], "last");
    let fault = |operation: &str| Fault {
        operation: operation.into(),
        skip: 0,
        times: 1,
        effect: Effect::Error { status: 400, code: "AccessDeniedException".into(), message: "not allowed".into() },
    };
    for operation in ["DisableRule", "ListSchedules", "UpdateSchedule"] {
        account.add_fault(fault(operation));
    }
    let (code, out, err) = unthrottle(&account, &["pause", "--yes"]).await;
    assert_eq!(code, 1);
    assert!(err.contains("3 could not be paused"), "{err}");
    for line in [
        "not paused: rule audit/alarms",
        "paused rule watch",
        "not paused: schedules of the group second",
        "not paused: schedule third/last",
        "paused schedule unthrottle/restore",
        "paused schedule unthrottle/sweep",
    ] {
        assert!(out.contains(line), "{line}:\n{out}");
    }
    assert!(out.contains("not allowed"), "AWS's words: {out}");
    assert!(!out.contains("undoes this"), "{out}");
    assert_eq!(enabled(&account), ["audit/alarms", "other", "backup"]);
    assert!(account.is_enabled("late") && account.is_enabled("last"));
}

#[tokio::test]
async fn a_schedule_keeps_everything_else() {
    let account = account().await;
    let scheduler = aws_sdk_scheduler::Client::new(&aws::config(account.url()));
    let get = async || {
        let get = scheduler.get_schedule().group_name("unthrottle").name("sweep");
        get.send().await.expect("a schedule")
    };
    let later = |minutes: i64| DateTime::from_secs(chrono::Utc::now().timestamp() + minutes * 60);
    let (start, end) = (later(10), later(100));
    let target = Target::builder().arn("arn:aws:lambda:us-east-1:123456789012:function:unthrottle");
    let target = target.role_arn("arn:aws:iam::123456789012:role/unthrottle").input(r#"{"sweep": true}"#);
    let retries = RetryPolicy::builder().maximum_retry_attempts(0).maximum_event_age_in_seconds(60).build();
    let window = FlexibleTimeWindow::builder().mode(FlexibleTimeWindowMode::Flexible).maximum_window_in_minutes(5);
    let update = scheduler
        .update_schedule()
        .group_name("unthrottle")
        .name("sweep")
        .description("looks at every stream")
        .schedule_expression("cron(0/5 * * * ? *)")
        .schedule_expression_timezone("Europe/Zurich")
        .kms_key_arn("arn:aws:kms:us-east-1:123456789012:key/1")
        .action_after_completion(ActionAfterCompletion::Delete)
        .start_date(start)
        .end_date(end)
        .flexible_time_window(window.build().expect("complete"))
        .target(target.retry_policy(retries).build().expect("complete"));
    update.send().await.expect("updated");
    let before = get().await;
    let (code, ..) = unthrottle(&account, &["pause", "--yes"]).await;
    assert_eq!(code, 0);
    let paused = get().await;
    assert_eq!(paused.state(), Some(&ScheduleState::Disabled));
    let settings = |schedule: &aws_sdk_scheduler::operation::get_schedule::GetScheduleOutput| {
        let s = schedule.clone();
        (
            (s.description, s.schedule_expression, s.schedule_expression_timezone, s.kms_key_arn),
            (s.action_after_completion, s.start_date, s.end_date, s.flexible_time_window, s.target),
        )
    };
    assert_eq!(settings(&paused), settings(&before));
    let (code, ..) = unthrottle(&account, &["resume", "--yes"]).await;
    assert_eq!(code, 0);
    let resumed = get().await;
    assert_eq!(resumed.state(), Some(&ScheduleState::Enabled));
    assert_eq!(settings(&resumed), settings(&before));
}

#[tokio::test]
async fn without_consent_it_lists_what_it_would_do_and_changes_nothing() {
    let account = account().await;
    for args in [&["pause"][..], &["resume"], &["pause", "--json"], &["pause", "--stack", "unthrottle"]] {
        let (code, out, err) = unthrottle(&account, args).await;
        assert_eq!(code, 2, "{args:?}: {out}{err}");
        assert!(err.contains("nothing was changed. To do this without a terminal, give --yes"), "{err}");
        let word = if args[0] == "pause" { "would pause" } else { "would resume" };
        assert!(format!("{out}{err}").contains(&format!("{word} schedule unthrottle/sweep")), "{out}{err}");
    }
    let (code, out, _) = unthrottle(&account, &["pause", "--dry-run"]).await;
    assert!(code == 0 && out.contains("would pause rule watch"), "{out}");
    assert_eq!(enabled(&account).len(), OURS.len() + OTHERS.len());
    let calls = account.calls();
    assert!(!calls.contains_key("EventBridge.DisableRule") && !calls.contains_key("Scheduler.UpdateSchedule"));
}
