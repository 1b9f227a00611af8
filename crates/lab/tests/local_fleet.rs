//! What the local account has for a fleet: tags of everything, alarms and queries on all streams, notices, rules and
//! schedules, spoken to by the SDK clients.


#[path = "common/aws.rs"]
mod aws;
#[path = "common/lab.rs"]
mod lab;

use std::time::Duration;

use aws::noon;
use aws_sdk_cloudwatch::types::{MetricDataQuery, MetricDataResult, ScanBy};
use aws_sdk_eventbridge::types::RuleState;
use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::error::ProvideErrorMetadata;
use aws_sdk_kinesis::types::StreamStatus;
use aws_sdk_resourcegroupstagging::operation::get_resources::builders::GetResourcesFluentBuilder;
use aws_sdk_resourcegroupstagging::types::TagFilter;
use aws_sdk_scheduler::operation::update_schedule::builders::UpdateScheduleFluentBuilder;
use aws_sdk_scheduler::primitives::DateTime;
use aws_sdk_scheduler::types::{FlexibleTimeWindow, FlexibleTimeWindowMode, RetryPolicy, ScheduleState, Target};
use aws_sdk_sns::types::MessageAttributeValue;
use chrono::TimeDelta;
use lab::{code, code_and_message};
use unthrottle_cli::local_config;
use unthrottle_lab::local::{Clock, Effect, Fault, LocalAccount, Options, Published};

// ---- The laboratory ----

struct Lab {
    account: LocalAccount,
    kinesis: aws_sdk_kinesis::Client,
    cloudwatch: aws_sdk_cloudwatch::Client,
    tagging: aws_sdk_resourcegroupstagging::Client,
    sns: aws_sdk_sns::Client,
    eventbridge: aws_sdk_eventbridge::Client,
    scheduler: aws_sdk_scheduler::Client,
}

const THROTTLED: &str = "WriteProvisionedThroughputExceeded";
const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:notices";

/// Begins at noon, and stands there.
fn still() -> Options {
    Options { clock: Clock::standing_at(noon()), ..Options::default() }
}

async fn lab() -> Lab {
    lab_with(still()).await
}

async fn lab_with(options: Options) -> Lab {
    let account = LocalAccount::start(options).await.expect("a free port");
    let config = local_config(account.url()).into_builder().retry_config(RetryConfig::disabled()).build();
    Lab {
        kinesis: aws_sdk_kinesis::Client::new(&config),
        cloudwatch: aws_sdk_cloudwatch::Client::new(&config),
        tagging: aws_sdk_resourcegroupstagging::Client::new(&config),
        sns: aws_sdk_sns::Client::new(&config),
        eventbridge: aws_sdk_eventbridge::Client::new(&config),
        scheduler: aws_sdk_scheduler::Client::new(&config),
        account,
    }
}

impl Lab {
    /// The minute of the epoch that it is.
    fn minute(&self) -> i64 {
        self.account.now().timestamp() / 60
    }

    /// A sample of the throttles of a stream, so many minutes ago.
    fn throttle(&self, stream: &str, minutes_ago: i64, value: f64) {
        let at = self.account.now() - TimeDelta::minutes(minutes_ago);
        self.account.put_metric("AWS/Kinesis", THROTTLED, &[("StreamName", stream)], at, value);
    }

    /// Every page of the contributors: stream, and since which minute; and how many came with each page.
    async fn contributors(&self, alarm: &str) -> (Vec<(String, i64)>, Vec<usize>) {
        let (mut streams, mut pages, mut token) = (vec![], vec![], None);
        loop {
            let describe = self.cloudwatch.describe_alarm_contributors().alarm_name(alarm).set_next_token(token);
            let answer = describe.send().await.expect("an alarm");
            pages.push(answer.alarm_contributors().len());
            for contributor in answer.alarm_contributors() {
                let attributes = contributor.contributor_attributes().expect("attributes");
                let since = contributor.state_transitioned_timestamp().expect("a time").secs() / 60;
                streams.push((attributes["StreamName"].clone(), since));
            }
            token = answer.next_token;
            if token.is_none() {
                return (streams, pages);
            }
        }
    }

    /// The series of a query on the last hour.
    async fn query(&self, sql: &str) -> Result<Vec<MetricDataResult>, (String, String)> {
        self.queries(&[sql], 60).await
    }

    async fn queries(&self, sqls: &[&str], minutes: i64) -> Result<Vec<MetricDataResult>, (String, String)> {
        let query = |(index, sql): (usize, &&str)| {
            MetricDataQuery::builder().id(format!("q{index}")).expression(*sql).period(60).build()
        };
        let queries = sqls.iter().enumerate().map(query).collect();
        let time = |minute: i64| aws_sdk_cloudwatch::primitives::DateTime::from_secs(minute * 60);
        let get = self.cloudwatch.get_metric_data().set_metric_data_queries(Some(queries));
        let get = get.start_time(time(self.minute() - minutes)).end_time(time(self.minute() + 1));
        let answer = get.scan_by(ScanBy::TimestampAscending).send().await.map_err(code_and_message)?;
        Ok(answer.metric_data_results.unwrap_or_default())
    }

    /// An update that sets what must be set, and nothing else.
    fn update(&self, group: &str, name: &str) -> UpdateScheduleFluentBuilder {
        let target = Target::builder().arn("arn:aws:lambda:us-east-1:123456789012:function:other");
        let target = target.role_arn("arn:aws:iam::123456789012:role/other").build().expect("complete");
        let window = FlexibleTimeWindow::builder().mode(FlexibleTimeWindowMode::Off).build().expect("complete");
        let update = self.scheduler.update_schedule().group_name(group).name(name).target(target);
        update.flexible_time_window(window).schedule_expression("rate(1 hour)")
    }
}

fn names(from: usize, to: usize) -> impl Iterator<Item = String> {
    (from..to).map(|n| format!("stream-{n:04}"))
}

fn filter(key: &str, values: &[&str]) -> TagFilter {
    let values = values.iter().map(|value| (*value).to_owned()).collect();
    TagFilter::builder().key(key).set_values(Some(values)).build()
}

/// The ARNs of every page, and how many pages there were.
async fn all(get: GetResourcesFluentBuilder) -> (Vec<String>, usize) {
    let mut pages = get.into_paginator().send();
    let (mut arns, mut count) = (vec![], 0);
    while let Some(page) = pages.next().await {
        let page = page.expect("resources");
        count += 1;
        arns.extend(page.resource_tag_mapping_list().iter().map(|r| r.resource_arn().expect("an ARN").to_owned()));
    }
    (arns, count)
}

// ---- GetResources ----

#[tokio::test]
async fn two_thousand_streams_are_found_by_their_tags() {
    let lab = lab().await;
    lab.account.add_streams(names(0, 2000), 1, &[("team", "a")]).await;
    lab.account.add_streams(["zebra".into()], 2, &[("team", "b")]).await;
    let get = lab.tagging.get_resources().resource_type_filters("kinesis:stream");
    let (arns, pages) = all(get.clone().resources_per_page(100)).await;
    assert_eq!((arns.len(), pages), (2001, 21));
    assert!(arns.is_sorted() && arns[1999] == lab.account.stream_arn("stream-1999"), "each once, in order");
    let (arns, pages) = all(get.tag_filters(filter("team", &["b"]))).await;
    assert_eq!((arns, pages), (vec![lab.account.stream_arn("zebra")], 1));
    assert_eq!(lab.account.calls()["Tagging.GetResources"], 22);
}

#[tokio::test]
async fn an_added_stream_is_as_a_created_one() {
    let lab = lab().await;
    lab.account.add_streams(["orders".into()], 3, &[]).await;
    let answer = lab.kinesis.describe_stream().stream_name("orders").send().await.expect("a stream");
    let stream = answer.stream_description.expect("a description");
    assert_eq!((stream.stream_status(), stream.shards().len()), (&StreamStatus::Active, 3));
    let keys = |key: &str| key.parse::<u128>().expect("a hash key");
    let ranges = stream.shards().iter().map(|shard| shard.hash_key_range().expect("a range"));
    let ranges: Vec<_> = ranges.map(|r| (keys(r.starting_hash_key()), keys(r.ending_hash_key()))).collect();
    assert_eq!((ranges[0].0, ranges[2].1), (0, u128::MAX));
    assert!(ranges.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0), "{ranges:?}");
    let put = lab.kinesis.put_record().stream_name("orders").partition_key("key");
    let put = put.data(aws_sdk_kinesis::primitives::Blob::new("data")).send().await;
    put.expect("accepted");
}

#[tokio::test]
async fn every_filter_must_match_and_one_value_of_each() {
    let lab = lab().await;
    lab.account.add_streams(["a".into()], 1, &[("team", "red"), ("stage", "live")]).await;
    lab.account.add_streams(["b".into()], 1, &[("team", "blue"), ("stage", "test")]).await;
    lab.account.add_streams(["untagged".into()], 1, &[]).await;
    lab.account.add_rule("watch", &[("team", "red")]);
    lab.account.add_schedule("sweeps", &[("team", "red")], "sweep");
    let found = async |types: &[&str], filters: &[TagFilter]| {
        let types = types.iter().map(|t| (*t).to_owned()).collect();
        let get = lab.tagging.get_resources().set_resource_type_filters(Some(types));
        let (arns, _) = all(get.set_tag_filters(Some(filters.to_vec()))).await;
        arns.iter().map(|arn| arn.rsplit('/').next().expect("a name").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(found(&[], &[]).await, ["watch", "a", "b", "sweeps"]);
    assert_eq!(found(&["kinesis"], &[]).await, ["a", "b"]);
    assert_eq!(found(&["events:rule", "scheduler:schedule-group"], &[]).await, ["watch", "sweeps"]);
    assert_eq!(found(&[], &[filter("team", &["red", "green"])]).await, ["watch", "a", "sweeps"]);
    assert_eq!(found(&[], &[filter("team", &["red"]), filter("stage", &[])]).await, ["a"]);
    assert_eq!(found(&["kinesis:stream"], &[filter("team", &["green"])]).await, [""; 0]);
    // The streams' tags are those that Kinesis has.
    let tag = lab.kinesis.tag_resource().resource_arn(lab.account.stream_arn("untagged")).tags("team", "green");
    tag.send().await.expect("tagged");
    assert_eq!(found(&["kinesis:stream"], &[filter("team", &["green"])]).await, ["untagged"]);
}

#[tokio::test]
async fn a_full_last_page_has_no_token() {
    let lab = lab().await;
    lab.account.add_streams(names(0, 50), 1, &[("team", "a")]).await;
    let page = lab.tagging.get_resources().send().await.expect("resources");
    assert_eq!((page.resource_tag_mapping_list().len(), page.pagination_token()), (50, Some("")));
    let tag = &page.resource_tag_mapping_list()[0].tags()[0];
    assert_eq!((tag.key(), tag.value()), ("team", "a"));
}

#[tokio::test]
async fn bad_filters_are_refused() {
    let lab = lab().await;
    let get = || lab.tagging.get_resources();
    let many = |count: usize| (0..count).map(|n| n.to_string()).collect::<Vec<_>>();
    let keys = many(51).iter().map(|key| filter(key, &[])).collect();
    let values = many(21);
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let refused = [
        get().resources_per_page(0),
        get().resources_per_page(101),
        get().resource_type_filters("kinesis:streams"),
        get().resource_type_filters(""),
        get().set_resource_type_filters(Some(vec!["kinesis".into(); 101])),
        get().tag_filters(filter("", &[])),
        get().tag_filters(filter(&"k".repeat(129), &[])),
        get().tag_filters(filter("team", &values)),
        get().set_tag_filters(Some(keys)),
        get().pagination_token("nonsense"),
        get().tags_per_page(100),
        get().resource_arn_list(lab.account.stream_arn("orders")),
    ];
    for (index, get) in refused.into_iter().enumerate() {
        let error = get.send().await.expect_err("an error").into_service_error();
        assert!(error.is_invalid_parameter_exception(), "{index}: {error:?}");
        assert!(error.message().is_some_and(|message| !message.is_empty()), "{index}");
    }
    let other = lab.tagging.get_tag_keys().send().await;
    assert_eq!(code(other), "UnknownOperationException");
}

// ---- DescribeAlarmContributors ----

#[tokio::test]
async fn the_contributors_are_the_hundred_most_throttled_streams() {
    let lab = lab().await;
    lab.account.add_fleet_alarm("fleet", THROTTLED);
    for (n, name) in names(0, 130).enumerate() {
        lab.throttle(&name, 1, (n + 1) as f64);
    }
    lab.throttle("calm", 1, 0.0);
    lab.throttle("earlier", 3, 1000.0);
    lab.account.put_metric("AWS/Kinesis", "IncomingBytes", &[("StreamName", "busy")], lab.account.now(), 5.0);
    let of_shard = [("StreamName", "orders"), ("ShardId", "shardId-000000000000")];
    lab.account.put_metric("AWS/Kinesis", THROTTLED, &of_shard, lab.account.now(), 5.0);
    let (streams, pages) = lab.contributors("fleet").await;
    assert_eq!(pages, [50, 50]);
    let expected: Vec<_> = names(30, 130).collect();
    let found: Vec<_> = streams.into_iter().rev().map(|(stream, _)| stream).collect();
    assert_eq!(found, expected);
    let describe = lab.cloudwatch.describe_alarm_contributors().alarm_name("fleet").send().await.expect("an alarm");
    let first = &describe.alarm_contributors()[0];
    let reason = "Threshold Crossed: 1 datapoint [130.0] was greater than the threshold (0.0).";
    assert_eq!(first.state_reason(), Some(reason));
    assert_eq!(first.contributor_id().map(str::len), Some(16));
    lab.account.clock().advance(Duration::from_secs(180)).expect("a clock that stands");
    assert_eq!(lab.contributors("fleet").await, (vec![], vec![0]));
}

#[tokio::test]
async fn a_contributor_says_since_when_it_is_in_alarm() {
    let lab = lab().await;
    lab.account.add_fleet_alarm("fleet", THROTTLED);
    // A gap of two minutes is bridged by the three that are evaluated, a gap of three is not.
    for ago in [20, 9, 6, 5, 2] {
        lab.throttle("orders", ago, 7.0);
    }
    lab.throttle("payments", 0, 1.0);
    let now = lab.minute();
    let (streams, _) = lab.contributors("fleet").await;
    assert_eq!(streams, [("orders".into(), now - 8), ("payments".into(), now + 1)]);
}

#[tokio::test]
async fn an_alarm_sees_what_is_published() {
    let lab = lab_with(Options { metric_lag: Duration::from_secs(60), ..still() }).await;
    lab.account.add_fleet_alarm("fleet", THROTTLED);
    lab.throttle("unpublished", 0, 5.0);
    lab.throttle("unpublished", 1, 5.0);
    lab.throttle("published", 2, 5.0);
    lab.throttle("old", 5, 5.0);
    let (streams, _) = lab.contributors("fleet").await;
    assert_eq!(streams, [("published".into(), lab.minute() - 1)]);
}

#[tokio::test]
async fn an_unknown_alarm_and_a_bad_token_are_refused() {
    let lab = lab().await;
    lab.account.add_fleet_alarm("fleet", THROTTLED);
    let describe = |alarm: &str| lab.cloudwatch.describe_alarm_contributors().alarm_name(alarm);
    let error = describe("other").send().await.expect_err("an error").into_service_error();
    assert!(error.is_resource_not_found_exception(), "{error:?}");
    let error = describe("fleet").next_token("x").send().await.expect_err("an error").into_service_error();
    assert!(error.is_invalid_next_token(), "{error:?}");
    assert_eq!(lab.account.calls()["CloudWatch.DescribeAlarmContributors"], 2);
}

// ---- Metrics Insights ----

const FLEET: &str = r#"SELECT SUM(WriteProvisionedThroughputExceeded) FROM SCHEMA("AWS/Kinesis", StreamName)
    GROUP BY StreamName ORDER BY SUM() DESC LIMIT 500"#;

#[tokio::test]
async fn a_query_gives_the_series_of_each_stream_the_largest_first() {
    let lab = lab().await;
    lab.throttle("orders", 3, 1.0);
    lab.throttle("orders", 2, 2.0);
    lab.throttle("payments", 2, 2.5);
    lab.throttle("payments", 2, 0.25);
    lab.throttle("before", 61, 100.0);
    let of_shard = [("StreamName", "orders"), ("ShardId", "shardId-000000000000")];
    lab.account.put_metric("AWS/Kinesis", THROTTLED, &of_shard, lab.account.now(), 5.0);
    let found = async |sql: &str| {
        let results = lab.query(sql).await.expect("series");
        let series = |r: &MetricDataResult| (r.label().expect("a label").to_owned(), r.values().to_vec());
        results.iter().map(series).collect::<Vec<_>>()
    };
    let (orders, payments) = (("orders".to_owned(), vec![1.0, 2.0]), ("payments".to_owned(), vec![2.75]));
    assert_eq!(found(FLEET).await, [orders.clone(), payments.clone()]);
    let largest = ("payments".to_owned(), vec![2.5]);
    assert_eq!(found(&FLEET.replace("SUM(", "MAX(").replace("500", "1")).await, [largest]);
    let ascending = found(&FLEET.replace("DESC", "ASC")).await;
    assert_eq!(ascending, [payments.clone(), orders.clone()]);
    let unordered = FLEET.split("ORDER").next().expect("a query");
    assert_eq!(found(unordered).await, [orders, payments]);
    assert_eq!(found(&FLEET.replace("AWS/Kinesis", "Mine")).await, []);
}

#[tokio::test]
async fn a_query_gives_at_most_five_hundred_series() {
    let lab = lab().await;
    for (n, name) in names(0, 5000).enumerate() {
        lab.throttle(&name, 1, n as f64);
    }
    let results = lab.query(FLEET).await.expect("series");
    assert_eq!(results.len(), 500);
    assert_eq!((results[0].label(), results[499].label()), (Some("stream-4999"), Some("stream-4500")));
}

#[tokio::test]
async fn other_queries_are_refused() {
    let lab = lab().await;
    let refused = async |sqls: &[&str], minutes| {
        let (code, message) = lab.queries(sqls, minutes).await.expect_err("an error");
        assert_eq!(code, "ValidationError", "{message}");
        message
    };
    assert!(refused(&[FLEET, FLEET], 60).await.contains("only one"));
    assert!(refused(&[FLEET], 181).await.contains("last 3 hours"));
    assert!(lab.queries(&[FLEET], 180).await.is_ok());
    for (from, to) in [
        ("SUM(", "AVG("),
        ("LIMIT 500", "LIMIT 501"),
        ("LIMIT 500", "LIMIT 0"),
        (", StreamName)", ", StreamName, ShardId)"),
        ("GROUP BY StreamName", "GROUP BY ShardId"),
        ("GROUP BY StreamName", ""),
        ("GROUP BY", "WHERE StreamName = 'orders' GROUP BY"),
        ("DESC", "DESC, StreamName"),
        ("\"", "'"),
        ("AWS/Kinesis\"", "AWS/Kinesis"),
    ] {
        let sql = FLEET.replace(from, to);
        assert!(refused(&[&sql], 60).await.contains("no SQL but SELECT"), "{sql}");
    }
    let without_period = MetricDataQuery::builder().id("q").expression(FLEET).build();
    let time = |minute: i64| aws_sdk_cloudwatch::primitives::DateTime::from_secs(minute * 60);
    let get = lab.cloudwatch.get_metric_data().metric_data_queries(without_period);
    let get = get.start_time(time(lab.minute() - 5)).end_time(time(lab.minute()));
    assert!(code_and_message(get.send().await.expect_err("an error")).1.contains("Period"));
}

// ---- SNS ----

#[tokio::test]
async fn what_is_published_can_be_read() {
    let lab = lab().await;
    let text = |value: &str| {
        let value = MessageAttributeValue::builder().data_type("String").string_value(value);
        value.build().expect("complete")
    };
    let publish = lab.sns.publish().topic_arn(TOPIC).subject("orders: 2 -> 4 shards").message("a=1&b=<ü> +%");
    let publish = publish.message_attributes("code", text("scale_shards")).message_attributes("mode", text("act & on"));
    let first = publish.send().await.expect("published");
    let second = lab.sns.publish().topic_arn(TOPIC).message("no subject").send().await.expect("published");
    assert!(first.message_id().is_some() && first.message_id() != second.message_id());
    let attributes = [("code", "scale_shards"), ("mode", "act & on")];
    let attributes = attributes.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let first = Published {
        topic: TOPIC.into(),
        subject: Some("orders: 2 -> 4 shards".into()),
        message: "a=1&b=<ü> +%".into(),
        attributes,
    };
    let second = Published { topic: TOPIC.into(), subject: None, message: "no subject".into(), attributes: [].into() };
    assert_eq!(lab.account.published(), [first, second]);
    assert_eq!(lab.account.calls()["SNS.Publish"], 2);
}

#[tokio::test]
async fn sns_refuses_what_it_cannot_send() {
    let lab = lab().await;
    let publish = || lab.sns.publish().topic_arn(TOPIC).message("message");
    let long = "x".repeat(100);
    for subject in ["", "two\nlines", "two\rlines", "tab\there", "Störung", " blank", &format!("{long}x")] {
        let error = publish().subject(subject).send().await.expect_err(subject).into_service_error();
        assert!(error.is_invalid_parameter_exception(), "{subject:?}: {error:?}");
        assert_eq!(error.message(), Some("Invalid parameter: Subject"));
    }
    publish().subject(long).send().await.expect("100 characters");

    let attribute = |kind: &str, value: &str| {
        let attribute = MessageAttributeValue::builder().data_type(kind).string_value(value);
        attribute.build().expect("complete")
    };
    // 4 + 6 + 10 bytes of attribute.
    let full =
        publish().message("m".repeat(256 * 1024 - 20)).message_attributes("name", attribute("String", "0123456789"));
    full.clone().send().await.expect("256 KiB");
    let error = full.message("m".repeat(256 * 1024 - 19)).send().await.expect_err("too long").into_service_error();
    assert!(error.is_invalid_parameter_exception(), "{error:?}");
    assert_eq!(error.message(), Some("Invalid parameter: Message too long"));
    let error = publish().message("").send().await.expect_err("empty").into_service_error();
    assert!(error.is_invalid_parameter_exception(), "{error:?}");
    for (kind, value) in [("String", ""), ("Text", "value")] {
        let publish = publish().message_attributes("name", attribute(kind, value));
        let error = publish.send().await.expect_err(kind).into_service_error();
        assert!(error.is_invalid_parameter_value_exception(), "{kind}: {error:?}");
    }

    for topic in [TOPIC.replace("123456789012", "210987654321"), TOPIC.replace("us-east-1", "eu-west-1")] {
        let error = publish().topic_arn(topic).send().await.expect_err("an error").into_service_error();
        assert!(error.is_not_found_exception(), "{error:?}");
    }
    let error = publish().topic_arn("notices").send().await.expect_err("an error").into_service_error();
    assert!(error.is_invalid_parameter_exception(), "{error:?}");
    assert_eq!(code(lab.sns.list_topics().send().await), "UnknownOperationException");
    assert_eq!(lab.account.published().len(), 2);
}

#[tokio::test]
async fn faults_hit_these_services_too() {
    let lab = lab().await;
    lab.account.add_rule("watch", &[]);
    let fault = |operation: &str, effect| Fault { operation: operation.into(), skip: 0, times: 1, effect };
    let error = |code: &str| Effect::Error { status: 400, code: code.into(), message: "a <fault>".into() };
    lab.account.add_fault(fault("Publish", error("AuthorizationError")));
    lab.account.add_fault(fault("Publish", Effect::DropAfter));
    lab.account.add_fault(fault("GetResources", error("ThrottledException")));
    lab.account.add_fault(fault("DisableRule", error("ConcurrentModificationException")));
    lab.account.add_fault(fault("ListSchedules", error("AccessDeniedException")));
    let publish = || lab.sns.publish().topic_arn(TOPIC).message("message").send();
    let refused = code_and_message(publish().await.expect_err("an error"));
    assert_eq!(refused, ("AuthorizationError".into(), "a <fault>".into()));
    assert!(lab.account.published().is_empty());
    publish().await.expect_err("a cut connection");
    assert_eq!(lab.account.published().len(), 1, "it was carried out");
    publish().await.expect("no fault is left");
    assert_eq!(code(lab.tagging.get_resources().send().await), "ThrottledException");
    let disable = || lab.eventbridge.disable_rule().name("watch").send();
    assert_eq!(code(disable().await), "ConcurrentModificationException");
    assert!(lab.account.is_enabled("watch"));
    disable().await.expect("no fault is left");
    assert_eq!(code(lab.scheduler.list_schedules().send().await), "AccessDeniedException");
}

// ---- EventBridge ----

#[tokio::test]
async fn a_rule_can_be_switched() {
    let lab = lab().await;
    lab.account.add_rule("watch", &[]);
    lab.account.add_rule("audit/watch", &[]);
    let bus = "arn:aws:events:us-east-1:123456789012:event-bus/audit";
    lab.eventbridge.disable_rule().name("watch").event_bus_name(bus).send().await.expect("disabled");
    assert!(lab.account.is_enabled("watch") && !lab.account.is_enabled("audit/watch"));
    let describe = lab.eventbridge.describe_rule().name("watch").event_bus_name("audit").send();
    let rule = describe.await.expect("a rule");
    assert_eq!(rule.state(), Some(&RuleState::Disabled));
    assert_eq!(rule.arn(), Some("arn:aws:events:us-east-1:123456789012:rule/audit/watch"));
    lab.eventbridge.enable_rule().name("watch").event_bus_name("audit").send().await.expect("enabled");
    assert!(lab.account.is_enabled("audit/watch"));
    let describe = lab.eventbridge.describe_rule().name("watch").send().await.expect("a rule");
    assert_eq!((describe.state(), describe.event_bus_name()), (Some(&RuleState::Enabled), Some("default")));
    let missing = lab.eventbridge.disable_rule().name("other").send().await.expect_err("an error");
    assert!(missing.into_service_error().is_resource_not_found_exception());
    assert_eq!(lab.account.calls()["EventBridge.DisableRule"], 2);
}

// ---- EventBridge Scheduler ----

#[tokio::test]
async fn schedules_are_listed_page_by_page() {
    let lab = lab().await;
    for n in 0..120 {
        lab.account.add_schedule("sweeps", &[], &format!("sweep-{n:03}"));
    }
    lab.account.add_schedule("other", &[], "sweep");
    let list = || lab.scheduler.list_schedules();
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
    let lab = lab().await;
    lab.account.add_schedule("sweeps", &[], "sweep");
    let get = async || {
        let get = lab.scheduler.get_schedule().group_name("sweeps").name("sweep");
        get.send().await.expect("a schedule")
    };
    let soon = DateTime::from_secs((lab.minute() + 10) * 60);
    let retries = RetryPolicy::builder().maximum_retry_attempts(2).build();
    let update = lab.update("sweeps", "sweep").description("every hour").state(ScheduleState::Disabled);
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
    assert!(!lab.account.is_enabled("sweep"));
    lab.update("sweeps", "sweep").send().await.expect("updated");
    let reset = get().await;
    assert_eq!((reset.description(), reset.start_date(), attempts(&reset)), (None, None, Some(185)));
    assert_eq!(reset.schedule_expression_timezone(), Some("UTC"));
    assert_eq!(reset.creation_date(), changed.creation_date());
    assert!(lab.account.is_enabled("sweep"), "that is reset, too");
}

#[tokio::test]
async fn an_update_that_cannot_be_is_refused() {
    let lab = lab().await;
    lab.account.add_schedule("sweeps", &[], "sweep");
    let old = DateTime::from_secs((lab.minute() - 6) * 60);
    let error = lab.update("sweeps", "sweep").start_date(old).send().await.expect_err("an error");
    assert_eq!(
        code_and_message(error),
        ("ValidationException".into(), "The StartDate you specify cannot be earlier than 5 minutes ago.".into())
    );
    for (group, name) in [("sweeps", "other"), ("other", "sweep"), ("default", "sweep")] {
        let error = lab.update(group, name).send().await.expect_err("an error").into_service_error();
        assert!(error.is_resource_not_found_exception(), "{error:?}");
    }
    let get = lab.scheduler.get_schedule().name("sweep").send().await;
    assert_eq!(code(get), "ResourceNotFoundException", "the default group");
}
