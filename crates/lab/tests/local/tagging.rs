//! GetResources: streams, rules and schedules by their tags.

use crate::fixture::{LocalFixture, code};
use aws_sdk_kinesis::error::ProvideErrorMetadata;
use aws_sdk_kinesis::types::StreamStatus;
use aws_sdk_resourcegroupstagging::operation::get_resources::builders::GetResourcesFluentBuilder;
use aws_sdk_resourcegroupstagging::types::TagFilter;

pub fn names(from: usize, to: usize) -> impl Iterator<Item = String> {
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

#[tokio::test]
async fn two_thousand_streams_are_found_by_their_tags() {
    let fixture = LocalFixture::new().await;
    fixture.account.add_streams(names(0, 2000), 1, &[("team", "a")]).await;
    fixture.account.add_streams(["zebra".into()], 2, &[("team", "b")]).await;
    let get = fixture.tagging.get_resources().resource_type_filters("kinesis:stream");
    let (arns, pages) = all(get.clone().resources_per_page(100)).await;
    assert_eq!((arns.len(), pages), (2001, 21));
    assert!(arns.is_sorted() && arns[1999] == fixture.account.stream_arn("stream-1999"), "each once, in order");
    let (arns, pages) = all(get.tag_filters(filter("team", &["b"]))).await;
    assert_eq!((arns, pages), (vec![fixture.account.stream_arn("zebra")], 1));
    assert_eq!(fixture.account.calls()["Tagging.GetResources"], 22);
}

#[tokio::test]
async fn an_added_stream_is_as_a_created_one() {
    let fixture = LocalFixture::new().await;
    fixture.account.add_streams(["orders".into()], 3, &[]).await;
    let answer = fixture.kinesis.describe_stream().stream_name("orders").send().await.expect("a stream");
    let stream = answer.stream_description.expect("a description");
    assert_eq!((stream.stream_status(), stream.shards().len()), (&StreamStatus::Active, 3));
    let keys = |key: &str| key.parse::<u128>().expect("a hash key");
    let ranges = stream.shards().iter().map(|shard| shard.hash_key_range().expect("a range"));
    let ranges: Vec<_> = ranges.map(|r| (keys(r.starting_hash_key()), keys(r.ending_hash_key()))).collect();
    assert_eq!((ranges[0].0, ranges[2].1), (0, u128::MAX));
    assert!(ranges.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0), "{ranges:?}");
    let put = fixture.kinesis.put_record().stream_name("orders").partition_key("key");
    let put = put.data(aws_sdk_kinesis::primitives::Blob::new("data")).send().await;
    put.expect("accepted");
}

#[tokio::test]
async fn every_filter_must_match_and_one_value_of_each() {
    let fixture = LocalFixture::new().await;
    fixture.account.add_streams(["a".into()], 1, &[("team", "red"), ("stage", "live")]).await;
    fixture.account.add_streams(["b".into()], 1, &[("team", "blue"), ("stage", "test")]).await;
    fixture.account.add_streams(["untagged".into()], 1, &[]).await;
    fixture.account.add_rule("watch", &[("team", "red")]);
    fixture.account.add_schedule("sweeps", &[("team", "red")], "sweep");
    let found = async |types: &[&str], filters: &[TagFilter]| {
        let types = types.iter().map(|t| (*t).to_owned()).collect();
        let get = fixture.tagging.get_resources().set_resource_type_filters(Some(types));
        let (arns, _) = all(get.set_tag_filters(Some(filters.to_vec()))).await;
        arns.iter().map(|arn| arn.rsplit('/').next().expect("a name").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(found(&[], &[]).await, ["watch", "a", "b", "sweeps"]);
    assert_eq!(found(&["kinesis"], &[]).await, ["a", "b"]);
    assert_eq!(found(&["events:rule", "scheduler:schedule-group"], &[]).await, ["watch", "sweeps"]);
    assert_eq!(found(&[], &[filter("team", &["red", "green"])]).await, ["watch", "a", "sweeps"]);
    assert_eq!(found(&[], &[filter("team", &["red"]), filter("stage", &[])]).await, ["a"]);
    assert_eq!(found(&["kinesis:stream"], &[filter("team", &["green"])]).await, [""; 0]);
    // The tagging API shows the same tags as Kinesis.
    let tag = fixture.kinesis.tag_resource().resource_arn(fixture.account.stream_arn("untagged")).tags("team", "green");
    tag.send().await.expect("tagged");
    assert_eq!(found(&["kinesis:stream"], &[filter("team", &["green"])]).await, ["untagged"]);
}

#[tokio::test]
async fn a_full_last_page_has_no_token() {
    let fixture = LocalFixture::new().await;
    fixture.account.add_streams(names(0, 50), 1, &[("team", "a")]).await;
    let page = fixture.tagging.get_resources().send().await.expect("resources");
    assert_eq!((page.resource_tag_mapping_list().len(), page.pagination_token()), (50, Some("")));
    let tag = &page.resource_tag_mapping_list()[0].tags()[0];
    assert_eq!((tag.key(), tag.value()), ("team", "a"));
}

#[tokio::test]
async fn bad_filters_are_refused() {
    let fixture = LocalFixture::new().await;
    let get = || fixture.tagging.get_resources();
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
        get().resource_arn_list(fixture.account.stream_arn("orders")),
    ];
    for (index, get) in refused.into_iter().enumerate() {
        let error = get.send().await.expect_err("an error").into_service_error();
        assert!(error.is_invalid_parameter_exception(), "{index}: {error:?}");
        assert!(error.message().is_some_and(|message| !message.is_empty()), "{index}");
    }
    let other = fixture.tagging.get_tag_keys().send().await;
    assert_eq!(code(other), "UnknownOperationException");
}
