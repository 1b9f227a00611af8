//! EventBridge rules, and schedules of the EventBridge Scheduler.

use crate::fixture::{LocalFixture, code, code_and_message};
use aws_sdk_eventbridge::types::RuleState;
use aws_sdk_scheduler::operation::update_schedule::builders::UpdateScheduleFluentBuilder;
use aws_sdk_scheduler::primitives::DateTime;
use aws_sdk_scheduler::types::{FlexibleTimeWindow, FlexibleTimeWindowMode, RetryPolicy, ScheduleState, Target};

impl LocalFixture {
    /// An update that sets what must be set, and nothing else.
    fn update(&self, group: &str, name: &str) -> UpdateScheduleFluentBuilder {
        let target = Target::builder().arn("arn:aws:lambda:us-east-1:123456789012:function:other");
        let target = target.role_arn("arn:aws:iam::123456789012:role/other").build().expect("complete");
        let window = FlexibleTimeWindow::builder().mode(FlexibleTimeWindowMode::Off).build().expect("complete");
        let update = self.scheduler.update_schedule().group_name(group).name(name).target(target);
        update.flexible_time_window(window).schedule_expression("rate(1 hour)")
    }
}

#[tokio::test]
async fn a_rule_can_be_switched() {
    let fixture = LocalFixture::new().await;
    fixture.account.add_rule("watch", &[]);
    fixture.account.add_rule("audit/watch", &[]);
    let bus = "arn:aws:events:us-east-1:123456789012:event-bus/audit";
    fixture.eventbridge.disable_rule().name("watch").event_bus_name(bus).send().await.expect("disabled");
    assert!(fixture.account.is_enabled("watch") && !fixture.account.is_enabled("audit/watch"));
    let describe = fixture.eventbridge.describe_rule().name("watch").event_bus_name("audit").send();
    let rule = describe.await.expect("a rule");
    assert_eq!(rule.state(), Some(&RuleState::Disabled));
    assert_eq!(rule.arn(), Some("arn:aws:events:us-east-1:123456789012:rule/audit/watch"));
    fixture.eventbridge.enable_rule().name("watch").event_bus_name("audit").send().await.expect("enabled");
    assert!(fixture.account.is_enabled("audit/watch"));
    let describe = fixture.eventbridge.describe_rule().name("watch").send().await.expect("a rule");
    assert_eq!((describe.state(), describe.event_bus_name()), (Some(&RuleState::Enabled), Some("default")));
    let missing = fixture.eventbridge.disable_rule().name("other").send().await.expect_err("an error");
    assert!(missing.into_service_error().is_resource_not_found_exception());
    assert_eq!(fixture.account.calls()["EventBridge.DisableRule"], 2);
}

#[tokio::test]
async fn schedules_are_listed_page_by_page() {
    let fixture = LocalFixture::new().await;
    for n in 0..120 {
        fixture.account.add_schedule("sweeps", &[], &format!("sweep-{n:03}"));
    }
    fixture.account.add_schedule("other", &[], "sweep");
    let list = || fixture.scheduler.list_schedules();
    let page = list().group_name("sweeps").send().await.expect("schedules");
    assert_eq!((page.schedules().len(), page.next_token().is_some()), (100, true));
    let mut items = list().group_name("sweeps").max_results(7).into_paginator().items().send();
    let mut names = vec![];
    while let Some(item) = items.next().await {
        names.push(item.expect("a schedule").name().expect("a name").to_owned());
    }
    assert!(names.len() == 120 && names.is_sorted(), "{names:?}");
    assert_eq!(list().send().await.expect("schedules").schedules()[0].group_name(), Some("other"));
    let prefixed = list().name_prefix("sweep-01").send().await.expect("schedules");
    assert_eq!(prefixed.schedules().len(), 10);
    let disabled = list().state(ScheduleState::Disabled).send().await.expect("schedules");
    assert!(disabled.schedules().is_empty());
    let summary = &prefixed.schedules()[0];
    assert_eq!(summary.arn(), Some("arn:aws:scheduler:us-east-1:123456789012:schedule/sweeps/sweep-010"));
    let function = "arn:aws:lambda:us-east-1:123456789012:function:unthrottle";
    assert_eq!(summary.target().map(|target| target.arn()), Some(function));
    let missing = list().group_name("missing").send().await.expect_err("an error").into_service_error();
    assert!(missing.is_resource_not_found_exception(), "{missing:?}");
    for refused in [list().max_results(0), list().max_results(101), list().next_token("x")] {
        let error = refused.send().await.expect_err("an error").into_service_error();
        assert!(error.is_validation_exception(), "{error:?}");
    }
}

#[tokio::test]
async fn an_update_replaces_everything() {
    let fixture = LocalFixture::new().await;
    fixture.account.add_schedule("sweeps", &[], "sweep");
    let get = async || {
        let get = fixture.scheduler.get_schedule().group_name("sweeps").name("sweep");
        get.send().await.expect("a schedule")
    };
    let soon = DateTime::from_secs((fixture.minute() + 10) * 60);
    let retries = RetryPolicy::builder().maximum_retry_attempts(2).build();
    let update = fixture.update("sweeps", "sweep").description("every hour").state(ScheduleState::Disabled);
    let mut target = get().await.target.expect("a target");
    target.retry_policy = Some(retries);
    let update = update.schedule_expression_timezone("Europe/Zurich").target(target).start_date(soon);
    update.send().await.expect("updated");
    let changed = get().await;
    assert_eq!((changed.description(), changed.start_date()), (Some("every hour"), Some(&soon)));
    assert_eq!(changed.schedule_expression_timezone(), Some("Europe/Zurich"));
    let attempts = |schedule: &aws_sdk_scheduler::operation::get_schedule::GetScheduleOutput| {
        let target = schedule.target().expect("a target");
        target.retry_policy().and_then(RetryPolicy::maximum_retry_attempts)
    };
    assert_eq!(attempts(&changed), Some(2));
    assert!(!fixture.account.is_enabled("sweep"));
    fixture.update("sweeps", "sweep").send().await.expect("updated");
    let reset = get().await;
    assert_eq!((reset.description(), reset.start_date(), attempts(&reset)), (None, None, Some(185)));
    assert_eq!(reset.schedule_expression_timezone(), Some("UTC"));
    assert_eq!(reset.creation_date(), changed.creation_date());
    assert!(fixture.account.is_enabled("sweep"), "that is reset, too");
}

#[tokio::test]
async fn an_update_that_cannot_be_is_refused() {
    let fixture = LocalFixture::new().await;
    fixture.account.add_schedule("sweeps", &[], "sweep");
    let old = DateTime::from_secs((fixture.minute() - 6) * 60);
    let error = fixture.update("sweeps", "sweep").start_date(old).send().await.expect_err("an error");
    assert_eq!(
        code_and_message(error),
        ("ValidationException".into(), "The StartDate you specify cannot be earlier than 5 minutes ago.".into())
    );
    for (group, name) in [("sweeps", "other"), ("other", "sweep"), ("default", "sweep")] {
        let error = fixture.update(group, name).send().await.expect_err("an error").into_service_error();
        assert!(error.is_resource_not_found_exception(), "{error:?}");
    }
    let get = fixture.scheduler.get_schedule().name("sweep").send().await;
    assert_eq!(code(get), "ResourceNotFoundException", "the default group");
}

#[tokio::test]
async fn a_rule_and_a_group_are_created_with_tags_and_found_by_them() {
    let fixture = LocalFixture::new().await;
    let tag = aws_sdk_eventbridge::types::Tag::builder().key("unthrottle:stack").value("mine").build().expect("a tag");
    let put = fixture.eventbridge.put_rule().name("watch").schedule_expression("rate(5 minutes)");
    put.tags(tag.clone()).send().await.expect("created");
    let bare = fixture.eventbridge.put_rule().name("bare").send().await;
    assert_eq!(code(bare), "ValidationException");
    let rules = fixture.eventbridge.list_rules().name_prefix("wat").send().await.expect("rules");
    let rule = &rules.rules()[0];
    assert_eq!((rule.name(), rule.schedule_expression()), (Some("watch"), Some("rate(5 minutes)")));
    let group = aws_sdk_scheduler::types::Tag::builder().key("unthrottle:stack").value("mine").build().expect("a tag");
    let create = || fixture.scheduler.create_schedule_group().name("mine").tags(group.clone()).send();
    create().await.expect("created");
    assert_eq!(code(create().await), "ConflictException");
    fixture.update("mine", "sweep").send().await.expect_err("no schedule yet");
    let found = fixture.tagging.get_resources().send().await.expect("resources");
    let arns: Vec<&str> = found.resource_tag_mapping_list().iter().filter_map(|one| one.resource_arn()).collect();
    assert_eq!(
        arns,
        [
            "arn:aws:events:us-east-1:123456789012:rule/watch",
            "arn:aws:scheduler:us-east-1:123456789012:schedule-group/mine"
        ]
    );
    fixture.eventbridge.delete_rule().name("watch").send().await.expect("deleted");
    assert_eq!(code(fixture.eventbridge.describe_rule().name("watch").send().await), "ResourceNotFoundException");
}
