//! `unthrottle keys`, as a person types it, against the local account.

use crate::aws::Aws;
use crate::fixture::{Output, unthrottle};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use serde_json::Value;
use unthrottle_lab::local::{LocalAccount, Options};

/// Three records of two keys, made by the PyPI package aws_kinesis_agg.
const AGGREGATED: &[u8] = include_bytes!("../../src/keys/aggregated.bin");

pub async fn stream(shards: u32) -> (LocalAccount, Aws) {
    let account = LocalAccount::start(Options::default()).await.expect("a free port");
    account.add_streams(["orders".to_owned()], shards, &[]).await;
    let aws = Aws::of(&account);
    (account, aws)
}

/// Writes records: their keys, and the bytes of each.
pub async fn write(aws: &Aws, records: impl IntoIterator<Item = (String, usize)>) {
    let entry = |(key, bytes): (String, usize)| {
        let entry = PutRecordsRequestEntry::builder().partition_key(key).data(Blob::new(vec![b'x'; bytes]));
        entry.build().expect("complete")
    };
    let records: Vec<PutRecordsRequestEntry> = records.into_iter().map(entry).collect();
    for batch in records.chunks(400) {
        let put = aws.kinesis.put_records().stream_name("orders").set_records(Some(batch.to_vec()));
        assert_eq!(put.send().await.expect("an answer").failed_record_count(), Some(0));
    }
}

pub async fn keys(account: &LocalAccount, args: &[&str]) -> Output {
    let of = ["keys", "orders", "--share", "100", "--endpoint-url", account.url(), "--region", "us-east-1"];
    unthrottle(&[&of[..], args].concat()).await
}

/// What the command says of the last ten minutes.
async fn report(account: &LocalAccount) -> Value {
    let out = keys(account, &["--from", "-10m", "--json"]).await;
    assert_eq!(out.code, 0, "{}", out.err);
    serde_json::from_str(&out.out).expect("JSON")
}

#[tokio::test]
async fn the_top_keys_have_their_share_and_their_shard() {
    let (account, aws) = stream(2).await;
    // Half of 400 records have one key.
    write(&aws, (0..400).map(|n| (if n % 2 == 0 { "hot".to_owned() } else { format!("key-{n}") }, 100))).await;
    let report = report(&account).await;
    assert_eq!((&report["records"], &report["by_bytes"]), (&400.into(), &false.into()));
    let top = &report["top_keys"][0];
    assert_eq!((&top["key"], &top["share"], &top["records"]), (&"hot".into(), &0.5.into(), &200.into()));
    assert_eq!((report["top_keys"].as_array().map(Vec::len), &report["keys_error_share"]), (Some(10), &0.0.into()));
    let shards = report["shards"].as_array().expect("a list");
    let records: u64 = shards.iter().map(|shard| shard["records"].as_u64().expect("a number")).sum();
    assert_eq!((shards.len(), records), (2, 400));
    assert_eq!(report["sizes"]["largest_bytes"], 107, "100 bytes and the key `key-399`");
}

#[tokio::test]
async fn records_inside_aggregates_are_counted_by_their_own_keys() {
    let (account, aws) = stream(1).await;
    let put = aws.kinesis.put_record().stream_name("orders").partition_key("user-0");
    put.data(Blob::new(AGGREGATED)).send().await.expect("accepted");
    let report = report(&account).await;
    assert_eq!((&report["aggregated_records"], &report["user_records"]), (&1.into(), &3.into()));
    let top: Vec<&str> =
        report["top_keys"].as_array().expect("a list").iter().filter_map(|k| k["key"].as_str()).collect();
    assert_eq!(top, ["user-0", "user-1"]);
}

#[tokio::test]
async fn a_split_halves_the_fullest_shard_once_a_person_confirms_it() {
    let (account, aws) = stream(1).await;
    let keys_of = || (0..800).map(|n| (format!("key-{n}"), 100));
    write(&aws, keys_of()).await;
    let out = keys(&account, &["--from", "-10m", "--split"]).await;
    assert_eq!((out.code, out.err.as_str()), (0, ""));
    let split = out.out.lines().find(|line| line.trim_start().starts_with("aws ")).expect("a command");
    let says = " kinesis split-shard --stream-name orders --shard-to-split shardId-000000000000 ";
    assert!(split.contains(says), "{split}");
    assert!(split.contains(account.url()), "the command is for the account that was read: {split}");
    assert_eq!(aws.summary("orders").await.open_shard_count(), 1, "nothing is split without --yes");
    let out = keys(&account, &["--from", "-10m", "--split", "--yes"]).await;
    assert_eq!((out.code, out.err.as_str()), (0, ""), "{}", out.out);
    account.finish_changes().await;
    write(&aws, keys_of()).await;
    let report = report(&account).await;
    let children = report["shards"].as_array().expect("a list").iter().filter(|shard| shard["is_open"] == true);
    let shares: Vec<f64> = children.map(|shard| shard["share"].as_f64().expect("a number")).collect();
    let both: f64 = shares.iter().sum();
    let shares: Vec<f64> = shares.iter().map(|share| share / both).collect();
    assert!(shares.len() == 2 && shares.iter().all(|share| (0.45..=0.55).contains(share)), "{shares:?}");
}

#[tokio::test]
async fn one_key_with_all_the_load_is_not_split() {
    let (account, aws) = stream(2).await;
    write(&aws, (0..100).map(|n| (if n < 90 { "hot".to_owned() } else { format!("key-{n}") }, 100))).await;
    let out = keys(&account, &["--from", "-10m", "--split", "--yes"]).await;
    assert_eq!(out.code, 1, "{}", out.out);
    assert!(out.err.contains("halves its load. Its first key is `hot` with 9"), "{}", out.err);
    assert_eq!(aws.summary("orders").await.open_shard_count(), 2);
}

#[tokio::test]
async fn the_page_has_the_load_over_time_and_over_the_hash_keys() {
    let (account, aws) = stream(2).await;
    write(&aws, (0..400).map(|n| (if n % 4 == 0 { "hot <b>".to_owned() } else { format!("key-{n}") }, 100))).await;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("keys.html");
    let out = keys(&account, &["--from", "-10m", "--html", path.to_str().expect("text")]).await;
    assert_eq!(out.code, 0, "{}", out.err);
    let html = std::fs::read_to_string(&path).expect("written");
    let body = &html[html.find("<body").expect("a body")..html.find("</html>").expect("an end")];
    let body = roxmltree::Document::parse(body).expect("well-formed");
    let classes = body.descendants().filter_map(|node| Some((node, node.attribute("class")?)));
    let of = |name: &str| classes.clone().filter(|(_, class)| class.split_whitespace().any(|of| of == name)).count();
    assert!(of("cell") >= 2 && of("bar") > 50, "{} cells, {} bars", of("cell"), of("bar"));
    assert_eq!((of("edge") - of("proposal"), of("proposal"), of("name")), (2, 1, 2), "both shards, and a split");
    assert!(!html.contains("src=") && !html.contains("<script") && !html.contains("<b>\">"), "it loads nothing");
    let cells: Vec<&str> = body.descendants().filter(|n| n.has_tag_name("th")).filter_map(|n| n.text()).collect();
    assert!(cells.contains(&"hot <b>"), "{cells:?}");
    let (_, after) = html.split_once("</h1>").expect("a title");
    let begin = "<p class=\"result\">The fullest of 2 shards is shardId-";
    assert!(after.starts_with(begin) && after.contains("% of its load.</p>"), "{html}");
}

#[tokio::test]
async fn the_reading_ends_at_its_bytes_and_says_what_it_takes_first() {
    let (account, aws) = stream(1).await;
    write(&aws, (0..10).map(|n| (n.to_string(), 100_000))).await;
    let out = keys(&account, &["--from", "-10m", "--max-mb", "1", "--json"]).await;
    assert_eq!(out.code, 0, "{}", out.err);
    let says = "of each shard at most 2.0 MiB and 5.0 calls a second: 100 % of all reads";
    assert!(out.err.contains(says), "{}", out.err);
    let report: Value = serde_json::from_str(&out.out).expect("JSON");
    assert_eq!(report["is_cut"], true);
}

#[tokio::test]
async fn bad_input_of_keys_ends_with_two() {
    let (account, _aws) = stream(1).await;
    for (args, says) in [
        (&["--from", "yesterday"][..], "must be now, or a time ago such as -10m"),
        (&["--for", "0s"], "must be a time from 1s to 24h"),
        (&["--shard", "shardId-7"], "no open shard `shardId-7`. The first open ones: shardId-000000000000"),
        (&["--yes"], "--yes is for --split"),
    ] {
        let out = keys(&account, args).await;
        assert_eq!((out.code, out.out.as_str()), (2, ""), "{args:?}: {}", out.err);
        assert!(out.err.contains(says), "{args:?}: {}", out.err);
    }
}
