//! CloudWatch: PutMetricData, GetMetricData, searches and ListMetrics.

use crate::fixture::{LocalFixture, at, code, code_and_message, points, post, query, query_in, still, time};
use aws_sdk_cloudwatch::types as cw;
use aws_sdk_kinesis::error::ProvideErrorMetadata;
use std::time::Duration;
use unthrottle_lab::local::Options;

pub fn datum(name: &str) -> cw::builders::MetricDatumBuilder {
    cw::MetricDatum::builder().metric_name(name)
}

fn search(expression: &str) -> cw::MetricDataQuery {
    cw::MetricDataQuery::builder().id("s").expression(expression).label("${PROP('Dim.ShardId')}").build()
}

/// What GetMetricData gives for the last hour: the label and the sum of each series.
pub async fn sums(fixture: &LocalFixture, query: cw::MetricDataQuery) -> Result<Vec<(String, f64)>, String> {
    let now = fixture.minute() * 60;
    let time = aws_sdk_cloudwatch::primitives::DateTime::from_secs;
    let get = fixture.cloudwatch.get_metric_data().metric_data_queries(query).start_time(time(now - 3600));
    let answer = get.end_time(time(now + 60)).send().await.map_err(|error| error.code().expect("a code").to_owned())?;
    let of =
        |series: &cw::MetricDataResult| (series.label().unwrap_or_default().to_owned(), series.values().iter().sum());
    Ok(answer.metric_data_results().iter().map(of).collect())
}

#[tokio::test]
async fn metrics_that_are_put_come_back_in_every_statistic() {
    let fixture = LocalFixture::new().await;
    let set = cw::StatisticSet::builder().sample_count(2.0).sum(30.0);
    let set = set.minimum(10.0).maximum(20.0).build();
    let put = fixture.cloudwatch.put_metric_data().namespace("unthrottle");
    put.metric_data(datum("m").value(4.0).build())
        .metric_data(datum("m").values(1.0).values(2.0).counts(3.0).counts(1.0).build())
        .metric_data(datum("m").statistic_values(set).build())
        .send()
        .await
        .expect("taken");
    let now = fixture.minute();
    let expected = [("Sum", 39.0), ("SampleCount", 7.0), ("Average", 39.0 / 7.0), ("Minimum", 1.0), ("Maximum", 20.0)];
    for (stat, value) in expected {
        let query = query_in("unthrottle", "m1", "m", stat, &[], 60);
        assert_eq!(fixture.datapoints(query, now, now + 1).await, [(now, value)], "{stat}");
    }
}

#[tokio::test]
async fn a_large_gzipped_put_is_taken() {
    let fixture = LocalFixture::new().await;
    let data = (0..200).map(|number| {
        let dimension = cw::Dimension::builder().name("Stream").value(format!("stream-{number}"));
        datum("AutoFix").value(1.0).dimensions(dimension.build()).build()
    });
    let put = fixture.cloudwatch.put_metric_data().namespace("unthrottle");
    put.set_metric_data(Some(data.collect())).send().await.expect("taken");
    let now = fixture.minute();
    let query = query_in("unthrottle", "m1", "AutoFix", "Sum", &[("Stream", "stream-199")], 60);
    assert_eq!(fixture.datapoints(query, now, now + 1).await, [(now, 1.0)]);
}

#[tokio::test]
async fn metrics_that_aws_would_not_take_are_refused() {
    let fixture = LocalFixture::new().await;
    let put = || fixture.cloudwatch.put_metric_data().namespace("unthrottle");
    let aws = put().namespace("AWS/Kinesis").metric_data(datum("m").value(1.0).build());
    let refused = aws.send().await.expect_err("AWS/").into_service_error();
    assert!(refused.is_invalid_parameter_value_exception(), "{refused:?}");
    for minutes in [-14 * 24 * 60 - 1, 121] {
        let late = datum("m").value(1.0).timestamp(at(fixture.minute() + minutes)).build();
        let refused = put().metric_data(late).send().await.expect_err("out of range");
        assert!(refused.into_service_error().is_invalid_parameter_value_exception());
    }
    let none = put().metric_data(datum("m").build()).send().await.expect_err("no value");
    assert!(none.into_service_error().is_missing_required_parameter_exception());
    let both = datum("m").value(1.0).values(1.0).build();
    let both = put().metric_data(both).send().await.expect_err("two ways");
    assert!(both.into_service_error().is_invalid_parameter_combination_exception());
    let nothing = fixture.cloudwatch.list_metrics().send().await.expect("a list");
    assert_eq!(nothing.metrics(), []);
}

#[tokio::test]
async fn a_window_includes_its_start_and_excludes_its_end() {
    let fixture = LocalFixture::new().await;
    let now = fixture.minute();
    for minute in now - 9..=now {
        fixture.account.put_metric("Mine", "m", &[], time(minute), 1.0);
    }
    let query = |period| query_in("Mine", "m1", "m", "Sum", &[], period);
    let points = fixture.datapoints(query(60), now - 3, now - 1).await;
    assert_eq!(points, [(now - 3, 1.0), (now - 2, 1.0)]);
    let points = fixture.datapoints(query(300), now - 9, now + 1).await;
    assert_eq!(points, [(now - 9, 5.0), (now - 4, 5.0)]);
}

#[tokio::test]
async fn metric_data_comes_newest_first_in_pages() {
    let fixture = LocalFixture::new().await;
    let now = fixture.minute();
    for minute in now - 3..=now {
        fixture.account.put_metric("Mine", "a", &[], time(minute), 1.0);
        fixture.account.put_metric("Mine", "b", &[], time(minute), 2.0);
    }
    let get = fixture.cloudwatch.get_metric_data();
    let get = get.metric_data_queries(query_in("Mine", "a", "a", "Sum", &[], 60));
    let get = get.metric_data_queries(query_in("Mine", "b", "b", "Sum", &[], 60));
    let get = get.start_time(at(now - 10)).end_time(at(now + 1)).max_datapoints(3);
    let mut pages = get.into_paginator().send();
    let (mut a, mut b, mut count) = (Vec::new(), Vec::new(), 0);
    while let Some(page) = pages.next().await {
        let page = page.expect("a page");
        a.extend(points(&page.metric_data_results()[0]));
        b.extend(points(&page.metric_data_results()[1]));
        count += 1;
    }
    assert_eq!(count, 3);
    assert_eq!(a, [(now, 1.0), (now - 1, 1.0), (now - 2, 1.0), (now - 3, 1.0)]);
    assert_eq!(b.len(), 4);
}

#[tokio::test]
async fn queries_that_cannot_be_answered_are_refused_loudly() {
    let fixture = LocalFixture::new().await;
    let get = |queries: Vec<cw::MetricDataQuery>| {
        let get = fixture.cloudwatch.get_metric_data().set_metric_data_queries(Some(queries));
        get.start_time(at(fixture.minute() - 1)).end_time(at(fixture.minute())).send()
    };
    let expression = cw::MetricDataQuery::builder().id("e1").expression("FILL(m1, 0)").build();
    let percentile = query("m1", "IncomingRecords", "p99", &[]);
    let seconds = query_in("Mine", "m1", "m", "Sum", &[], 10);
    let twice = query("m1", "IncomingRecords", "Sum", &[]);
    let many = (0..501).map(|number| query(&format!("m{number}"), "m", "Sum", &[]));
    for queries in
        [vec![expression], vec![percentile], vec![seconds], vec![twice.clone(), twice], many.collect(), vec![]]
    {
        assert_eq!(code(get(queries).await), "ValidationError");
    }
    let history = fixture.cloudwatch.describe_alarm_history().send().await.expect_err("not served");
    let (code, message) = code_and_message(history);
    assert_eq!(code, "UnknownOperationException");
    assert!(message.contains("DescribeAlarmHistory"), "{message}");
}

#[tokio::test]
async fn alarms_are_listed_in_pages_with_their_metric_and_their_stream() {
    let fixture = LocalFixture::new().await;
    fixture.account.add_alarm("age", "orders", "GetRecords.IteratorAgeMilliseconds");
    fixture.account.add_fleet_alarm("writes", "WriteProvisionedThroughputExceeded");
    let mut pages = fixture.cloudwatch.describe_alarms().max_records(1).into_paginator().send();
    let mut alarms = vec![];
    while let Some(page) = pages.next().await {
        alarms.extend(page.expect("a page").metric_alarms().to_vec());
    }
    let [age, writes] = alarms.as_slice() else { panic!("two alarms: {alarms:?}") };
    assert_eq!((age.alarm_name(), age.dimensions()[0].value()), (Some("age"), Some("orders")));
    assert_eq!(age.metric_name(), Some("GetRecords.IteratorAgeMilliseconds"));
    let query = writes.metrics()[0].expression().expect("a query");
    assert!(query.starts_with("SELECT SUM(WriteProvisionedThroughputExceeded) FROM SCHEMA(\"AWS/Kinesis\""), "{query}");
}

#[tokio::test]
async fn a_percentile_is_known_where_all_samples_are_equal() {
    let fixture = LocalFixture::new().await;
    let now = fixture.minute();
    fixture.account.put_metric("Mine", "same", &[], time(now), 7.0);
    fixture.account.put_metric("Mine", "same", &[], time(now), 7.0);
    fixture.account.put_metric("Mine", "mixed", &[], time(now), 7.0);
    fixture.account.put_metric("Mine", "mixed", &[], time(now), 8.0);
    let get = fixture.cloudwatch.get_metric_data();
    let get = get.metric_data_queries(query_in("Mine", "a", "same", "p95", &[], 60));
    let get = get.metric_data_queries(query_in("Mine", "b", "mixed", "p95", &[], 60));
    let answer = get.start_time(at(now - 1)).end_time(at(now + 1)).send().await.expect("an answer");
    let values: Vec<&[f64]> = answer.metric_data_results().iter().map(|result| result.values()).collect();
    assert_eq!(values, [&[7.0][..], &[]]);
}

#[tokio::test]
async fn metrics_are_listed_by_namespace_name_and_dimension() {
    let fixture = LocalFixture::new().await;
    for (name, stream) in [("a", "x"), ("a", "y"), ("b", "x")] {
        let dimensions = [("StreamName", stream)];
        fixture.put_metric("Mine", name, &dimensions, 1.0);
    }
    fixture.put_metric("Other", "a", &[], 1.0);
    let list = || fixture.cloudwatch.list_metrics();
    let count = async |list: aws_sdk_cloudwatch::operation::list_metrics::builders::ListMetricsFluentBuilder| {
        list.send().await.expect("a list").metrics().len()
    };
    assert_eq!(count(list()).await, 4);
    assert_eq!(count(list().namespace("Mine")).await, 3);
    assert_eq!(count(list().metric_name("a")).await, 3);
    let x = cw::DimensionFilter::builder().name("StreamName").value("x").build();
    assert_eq!(count(list().dimensions(x)).await, 2);
}

#[tokio::test]
async fn a_search_finds_each_shard_of_one_stream_and_no_other() {
    let fixture = LocalFixture::new().await;
    let put = |stream, shard, value| {
        let dimensions = [("StreamName", stream), ("ShardId", shard)];
        fixture.put_metric("AWS/Kinesis", "IncomingBytes", &dimensions, value);
    };
    put("orders", "shardId-000000000000", 10.0);
    put("orders", "shardId-000000000001", 20.0);
    put("clicks", "shardId-000000000000", 40.0);
    fixture.put_metric("AWS/Kinesis", "IncomingBytes", &[("StreamName", "orders")], 30.0);
    let shards = "{AWS/Kinesis,ShardId,StreamName} MetricName=\"IncomingBytes\" StreamName=\"orders\"";
    let found = sums(&fixture, search(&format!("SEARCH('{shards}', 'Sum', 60)"))).await.expect("found");
    assert_eq!(found, [("shardId-000000000000".into(), 10.0), ("shardId-000000000001".into(), 20.0)]);
    for wrong in ["SUM(METRICS())", "SEARCH('orders', 'Sum', 60)", "SEARCH('{AWS/Kinesis} x', 'Sum')"] {
        assert_eq!(sums(&fixture, search(wrong)).await, Err("ValidationError".into()), "{wrong}");
    }
}

/// AWS documents `:aws.AccountId` for monitoring accounts only, so a query that works in every account goes by labels.
#[tokio::test]
async fn a_search_finds_series_of_linked_accounts_and_says_whose_each_is() {
    let fixture = LocalFixture::new().await;
    let dimensions = [("StreamName", "orders"), ("ShardId", "shardId-000000000000")];
    fixture.put_metric("AWS/Kinesis", "IncomingBytes", &dimensions, 10.0);
    fixture.account.put_linked_metric("IncomingBytes", &dimensions, fixture.account.now(), 99.0);
    let shards = "{AWS/Kinesis,ShardId,StreamName} MetricName=\"IncomingBytes\" StreamName=\"orders\"";
    let labelled = |words: &str| {
        let expression = format!("SEARCH('{shards}{words}', 'Sum', 60)");
        cw::MetricDataQuery::builder().id("s").expression(expression).label("${PROP('AccountId')}").build()
    };
    let mut found = sums(&fixture, labelled("")).await.expect("found");
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    assert_eq!(found, [("123456789012".into(), 10.0), ("210987654321".into(), 99.0)]);
    let filtered = sums(&fixture, labelled(" :aws.AccountId=\"LOCAL\"")).await;
    assert_eq!(filtered, Err("ValidationError".into()));
}

#[tokio::test]
async fn a_minute_of_aws_is_published_with_the_accounts_lag() {
    let fixture = LocalFixture::with(Options { metric_lag: Duration::from_secs(120), ..still() }).await;
    let now = fixture.minute();
    for minute in now - 5..=now {
        let dimensions = [("StreamName", "orders")];
        let account = &fixture.account;
        account.put_metric("AWS/Kinesis", "IncomingRecords", &dimensions, time(minute), 1.0);
        account.put_metric("Mine", "IncomingRecords", &dimensions, time(minute), 1.0);
    }
    let published = fixture.minutes("orders", "IncomingRecords", "Sum").await;
    assert_eq!(published.last().map(|(minute, _)| *minute), Some(now - 3));
    let query = query_in("Mine", "m1", "IncomingRecords", "Sum", &[("StreamName", "orders")], 60);
    assert_eq!(fixture.datapoints(query, now - 10, now + 1).await.len(), 6);
}

#[tokio::test]
async fn the_aws_cli_speaks_json_with_cloudwatch() {
    let fixture = LocalFixture::new().await;
    let now = fixture.minute();
    let data = r#"{"MetricName": "m", "Value": 3}"#;
    let put = format!(r#"{{"Namespace": "Mine", "MetricData": [{data}]}}"#);
    let target = "GraniteServiceVersion20100801";
    let (status, _) = post(fixture.account.url(), &format!("{target}.PutMetricData"), put).await;
    assert_eq!(status, "200");
    let metric = r#"{"Namespace": "Mine", "MetricName": "m"}"#;
    let stat = format!(r#"{{"Metric": {metric}, "Period": 60, "Stat": "Sum"}}"#);
    let (start, end) = (now * 60, now * 60 + 60);
    let get = format!(
        r#"{{"MetricDataQueries": [{{"Id": "a", "MetricStat": {stat}}}],
            "StartTime": {start}, "EndTime": {end}}}"#
    );
    let get = post(fixture.account.url(), &format!("{target}.GetMetricData"), get).await;
    let answer: serde_json::Value = serde_json::from_str(&get.1).expect("JSON");
    let result = &answer["MetricDataResults"][0];
    assert_eq!(result["Values"][0], 3.0);
    assert_eq!(result["Timestamps"][0], start as f64);
}

#[tokio::test]
async fn the_statistics_of_one_metric_come_by_period() {
    let fixture = LocalFixture::new().await;
    let dimensions = [("StreamName", "orders")];
    for (ago, value) in [(1, 10.0), (2, 20.0), (7, 5.0)] {
        let time = fixture.account.now() - chrono::TimeDelta::minutes(ago);
        fixture.account.put_metric("AWS/Kinesis", "IncomingBytes", &dimensions, time, value);
    }
    let get = |period: i32| {
        let dimension = cw::Dimension::builder().name("StreamName").value("orders").build();
        let get = fixture.cloudwatch.get_metric_statistics().namespace("AWS/Kinesis").metric_name("IncomingBytes");
        let get = get.dimensions(dimension).start_time(at(fixture.minute() - 10)).end_time(at(fixture.minute()));
        get.period(period).statistics(cw::Statistic::Sum).statistics(cw::Statistic::Maximum).send()
    };
    let answer = get(300).await.expect("statistics");
    let points: Vec<_> = answer.datapoints().iter().map(|point| (point.sum, point.maximum)).collect();
    assert_eq!(points, [(Some(5.0), Some(5.0)), (Some(30.0), Some(20.0))]);
    assert_eq!(answer.datapoints()[0].unit, Some(cw::StandardUnit::Bytes));
    assert_eq!(code(get(10).await), "ValidationError");
}

#[tokio::test]
async fn an_alarm_is_put_listed_and_deleted() {
    let fixture = LocalFixture::new().await;
    let put = || {
        let put = fixture.cloudwatch.put_metric_alarm().alarm_name("writes").namespace("AWS/Kinesis");
        let put = put.metric_name("WriteProvisionedThroughputExceeded").statistic(cw::Statistic::Sum).period(60);
        put.evaluation_periods(1).threshold(0.5).comparison_operator(cw::ComparisonOperator::GreaterThanThreshold)
    };
    put().send().await.expect("created");
    put().threshold(1.0).send().await.expect("replaced");
    let listed = fixture.cloudwatch.describe_alarms().alarm_names("writes").send().await.expect("alarms");
    let alarm = &listed.metric_alarms()[0];
    assert_eq!((listed.metric_alarms().len(), alarm.threshold), (1, Some(1.0)));
    assert_eq!(alarm.state_value, Some(cw::StateValue::InsufficientData));
    fixture.cloudwatch.delete_alarms().alarm_names("writes").send().await.expect("deleted");
    assert!(fixture.cloudwatch.describe_alarms().send().await.expect("alarms").metric_alarms().is_empty());
}
