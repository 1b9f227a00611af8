//! Fleet alarms, their contributors, and Metrics Insights queries on all streams.

use crate::fixture::{LocalFixture, code_and_message, still};
use crate::tagging::names;
use aws_sdk_cloudwatch::types::{MetricDataQuery, MetricDataResult, ScanBy};
use chrono::TimeDelta;
use std::time::Duration;
use unthrottle_lab::local::Options;

impl LocalFixture {
    /// Puts a sample of the throttles of a stream, this many minutes ago.
    fn throttle(&self, stream: &str, minutes_ago: i64, value: f64) {
        let at = self.account.now() - TimeDelta::minutes(minutes_ago);
        self.account.put_metric("AWS/Kinesis", THROTTLED, &[("StreamName", stream)], at, value);
    }

    /// The contributors of all pages (stream, and the minute since which it is in alarm), and the number on each page.
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
}

const THROTTLED: &str = "WriteProvisionedThroughputExceeded";

#[tokio::test]
async fn the_contributors_are_the_hundred_most_throttled_streams() {
    let fixture = LocalFixture::new().await;
    fixture.account.add_fleet_alarm("fleet", THROTTLED);
    for (n, name) in names(0, 130).enumerate() {
        fixture.throttle(&name, 1, (n + 1) as f64);
    }
    fixture.throttle("unthrottled", 1, 0.0);
    fixture.throttle("earlier", 3, 1000.0);
    fixture.account.put_metric("AWS/Kinesis", "IncomingBytes", &[("StreamName", "busy")], fixture.account.now(), 5.0);
    let of_shard = [("StreamName", "orders"), ("ShardId", "shardId-000000000000")];
    fixture.account.put_metric("AWS/Kinesis", THROTTLED, &of_shard, fixture.account.now(), 5.0);
    let (streams, pages) = fixture.contributors("fleet").await;
    assert_eq!(pages, [50, 50]);
    let expected: Vec<_> = names(30, 130).collect();
    let found: Vec<_> = streams.into_iter().rev().map(|(stream, _)| stream).collect();
    assert_eq!(found, expected);
    let describe = fixture.cloudwatch.describe_alarm_contributors().alarm_name("fleet").send().await.expect("an alarm");
    let first = &describe.alarm_contributors()[0];
    let reason = "Threshold Crossed: 1 datapoint [130.0] was greater than the threshold (0.0).";
    assert_eq!(first.state_reason(), Some(reason));
    assert_eq!(first.contributor_id().map(str::len), Some(16));
    fixture.account.clock().advance(Duration::from_secs(180)).expect("a clock that stands");
    assert_eq!(fixture.contributors("fleet").await, (vec![], vec![0]));
}

#[tokio::test]
async fn a_contributor_says_since_when_it_is_in_alarm() {
    let fixture = LocalFixture::new().await;
    fixture.account.add_fleet_alarm("fleet", THROTTLED);
    // The alarm evaluates three minutes: these bridge a gap of two minutes, but no gap of three.
    for ago in [20, 9, 6, 5, 2] {
        fixture.throttle("orders", ago, 7.0);
    }
    fixture.throttle("payments", 0, 1.0);
    let now = fixture.minute();
    let (streams, _) = fixture.contributors("fleet").await;
    assert_eq!(streams, [("orders".into(), now - 8), ("payments".into(), now + 1)]);
}

#[tokio::test]
async fn an_alarm_sees_only_published_minutes() {
    let fixture = LocalFixture::with(Options { metric_lag: Duration::from_secs(60), ..still() }).await;
    fixture.account.add_fleet_alarm("fleet", THROTTLED);
    fixture.throttle("unpublished", 0, 5.0);
    fixture.throttle("unpublished", 1, 5.0);
    fixture.throttle("published", 2, 5.0);
    fixture.throttle("old", 5, 5.0);
    let (streams, _) = fixture.contributors("fleet").await;
    assert_eq!(streams, [("published".into(), fixture.minute() - 1)]);
}

#[tokio::test]
async fn an_alarm_on_a_maximum_has_the_streams_above_its_threshold() {
    let fixture = LocalFixture::new().await;
    let age = "GetRecords.IteratorAgeMilliseconds";
    fixture.account.add_fleet_alarm_on_maximum("behind", age, 1000.0);
    // Many small ages are no large one.
    for (stream, ages) in [("behind", &[900.0, 1001.0][..]), ("at", &[1000.0]), ("many", &[600.0, 600.0])] {
        for value in ages {
            let at = fixture.account.now() - TimeDelta::minutes(1);
            fixture.account.put_metric("AWS/Kinesis", age, &[("StreamName", stream)], at, *value);
        }
    }
    assert_eq!(fixture.contributors("behind").await.0, [("behind".into(), fixture.minute())]);
    let described = fixture.cloudwatch.describe_alarms().send().await.expect("an answer");
    let query = described.metric_alarms()[0].metrics()[0].expression().expect("a query").to_owned();
    assert!(query.starts_with("SELECT MAX(\"GetRecords.IteratorAgeMilliseconds\") FROM"), "{query}");
}

#[tokio::test]
async fn an_unknown_alarm_and_a_bad_token_are_refused() {
    let fixture = LocalFixture::new().await;
    fixture.account.add_fleet_alarm("fleet", THROTTLED);
    let describe = |alarm: &str| fixture.cloudwatch.describe_alarm_contributors().alarm_name(alarm);
    let error = describe("other").send().await.expect_err("an error").into_service_error();
    assert!(error.is_resource_not_found_exception(), "{error:?}");
    let error = describe("fleet").next_token("x").send().await.expect_err("an error").into_service_error();
    assert!(error.is_invalid_next_token(), "{error:?}");
    assert_eq!(fixture.account.calls()["CloudWatch.DescribeAlarmContributors"], 2);
}

const FLEET: &str = r#"SELECT SUM(WriteProvisionedThroughputExceeded) FROM SCHEMA("AWS/Kinesis", StreamName)
    GROUP BY StreamName ORDER BY SUM() DESC LIMIT 500"#;

#[tokio::test]
async fn a_query_gives_the_series_of_each_stream_the_largest_first() {
    let fixture = LocalFixture::new().await;
    fixture.throttle("orders", 3, 1.0);
    fixture.throttle("orders", 2, 2.0);
    fixture.throttle("payments", 2, 2.5);
    fixture.throttle("payments", 2, 0.25);
    fixture.throttle("before", 61, 100.0);
    let of_shard = [("StreamName", "orders"), ("ShardId", "shardId-000000000000")];
    fixture.account.put_metric("AWS/Kinesis", THROTTLED, &of_shard, fixture.account.now(), 5.0);
    let found = async |sql: &str| {
        let results = fixture.query(sql).await.expect("series");
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
    let fixture = LocalFixture::new().await;
    for (n, name) in names(0, 5000).enumerate() {
        fixture.throttle(&name, 1, n as f64);
    }
    let results = fixture.query(FLEET).await.expect("series");
    assert_eq!(results.len(), 500);
    assert_eq!((results[0].label(), results[499].label()), (Some("stream-4999"), Some("stream-4500")));
}

const THIS_ACCOUNT: &str = "WHERE AWS.AccountId = CURRENT_ACCOUNT_ID() GROUP BY";

#[tokio::test]
async fn a_query_on_this_account_leaves_out_linked_accounts() {
    let fixture = LocalFixture::new().await;
    fixture.throttle("orders", 1, 1.0);
    let at = fixture.account.now() - TimeDelta::minutes(1);
    fixture.account.put_linked_metric(THROTTLED, &[("StreamName", "theirs")], at, 9.0);
    let found = async |sql: &str| {
        let results = fixture.query(sql).await.expect("series");
        results.iter().map(|r| r.label().expect("a label").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(found(FLEET).await, ["theirs", "orders"]);
    assert_eq!(found(&FLEET.replace("GROUP BY", THIS_ACCOUNT)).await, ["orders"]);
}

#[tokio::test]
async fn other_queries_are_refused() {
    let fixture = LocalFixture::new().await;
    let refused = async |sqls: &[&str], minutes| {
        let (code, message) = fixture.queries(sqls, minutes).await.expect_err("an error");
        assert_eq!(code, "ValidationError", "{message}");
        message
    };
    assert!(refused(&[FLEET, FLEET], 60).await.contains("only one"));
    assert!(refused(&[FLEET], 181).await.contains("last 3 hours"));
    assert!(fixture.queries(&[FLEET], 180).await.is_ok());
    for (from, to) in [
        ("SUM(", "AVG("),
        ("LIMIT 500", "LIMIT 501"),
        ("LIMIT 500", "LIMIT 0"),
        (", StreamName)", ", StreamName, ShardId)"),
        ("GROUP BY StreamName", "GROUP BY ShardId"),
        ("GROUP BY StreamName", ""),
        ("GROUP BY", "WHERE StreamName = 'orders' GROUP BY"),
        ("GROUP BY", "WHERE AWS.AccountId = '123456789012' GROUP BY"),
        ("GROUP BY", "WHERE AWS.AccountId = CURRENT_ACCOUNT_ID GROUP BY"),
        ("GROUP BY", "WHERE AWS.AccountId != CURRENT_ACCOUNT_ID() GROUP BY"),
        ("GROUP BY", "WHERE AWS.Region = CURRENT_ACCOUNT_ID() GROUP BY"),
        ("GROUP BY StreamName", "GROUP BY AWS.AccountId"),
        ("DESC", "DESC, StreamName"),
        ("\"", "'"),
        ("AWS/Kinesis\"", "AWS/Kinesis"),
    ] {
        let sql = FLEET.replace(from, to);
        assert!(refused(&[&sql], 60).await.contains("only the SQL SELECT"), "{sql}");
    }
    let without_period = MetricDataQuery::builder().id("q").expression(FLEET).build();
    let time = |minute: i64| aws_sdk_cloudwatch::primitives::DateTime::from_secs(minute * 60);
    let get = fixture.cloudwatch.get_metric_data().metric_data_queries(without_period);
    let get = get.start_time(time(fixture.minute() - 5)).end_time(time(fixture.minute()));
    assert!(code_and_message(get.send().await.expect_err("an error")).1.contains("Period"));
}
