//! What `unthrottle keys` takes from the shards, and what it says of shards that it reads only in part.

use crate::aws::Aws;
use crate::fixture::{Output, unthrottle};
use crate::keys::{keys, stream, write};
use crate::terminal::Terminal;
use aws_sdk_kinesis::types::ScalingType;
use chrono::{TimeDelta, Utc};
use pty_process::blocking::Command;
use serde_json::{Value, json};
use std::time::Duration;
use unthrottle_lab::local::{Clock, Effect, Fault, LocalAccount, Options};

/// Keys by the shard of two that has them.
const OF_FIRST: [&str; 5] = ["hot-0", "hot-1", "hot-2", "hot-6", "hot-7"];
const OF_SECOND: [&str; 5] = ["hot-3", "hot-4", "hot-5", "hot-9", "hot-10"];

fn report(out: &Output) -> Value {
    serde_json::from_str(&out.out).unwrap_or_else(|error| panic!("{error}: {}{}", out.out, out.err))
}

/// The field of each shard, in the order of the shards.
fn of_shards<'a>(report: &'a Value, field: &str) -> Vec<&'a Value> {
    report["shards"].as_array().expect("a list").iter().map(|shard| &shard[field]).collect()
}

fn fault(operation: &str, code: &str, skip: u32, times: u32) -> Fault {
    let effect = Effect::Error { status: 400, code: code.into(), message: "Rate exceeded for shard".into() };
    Fault { operation: operation.into(), skip, times, effect }
}

/// 50 s of records in two shards, the first with a quarter of the load of the second.
async fn unequal() -> (LocalAccount, Aws) {
    let clock = Clock::standing_at(Utc::now() - TimeDelta::seconds(70));
    let account = LocalAccount::start(Options { clock, ..Options::default() }).await.expect("a free port");
    account.add_streams(["orders".to_owned()], 2, &[]).await;
    let aws = Aws::of(&account);
    let key = |n: usize| if n.is_multiple_of(5) { OF_FIRST[n / 5 % 5] } else { OF_SECOND[n % 5] };
    for _ in 0..250 {
        account.clock().advance(Duration::from_millis(200)).expect("it stands");
        write(&aws, (0..100).map(|n| (key(n).to_owned(), 400))).await;
    }
    account.clock().run().expect("it is not ahead");
    (account, aws)
}

#[tokio::test]
async fn a_reading_that_hardly_began_names_no_split() {
    let (account, _aws) = unequal().await;
    let of = ["keys", "orders", "--from", "-65s", "--endpoint-url", account.url()];
    let out = unthrottle(&[&of[..], &["--for", "1s", "--share", "1", "--split", "--yes"]].concat()).await;
    assert_eq!(out.code, 1, "{}{}", out.out, out.err);
    assert!(out.err.contains("the reading ended before it covered a second of"), "{}", out.err);
    assert_eq!(account.calls().get("Kinesis.SplitShard"), None);
}

/// The shards of a stream that was resharded have a parent, and are as old as the reading all the same.
#[tokio::test]
async fn a_shard_whose_records_come_late_is_not_the_fullest() {
    let clock = Clock::standing_at(Utc::now() - TimeDelta::seconds(100));
    let account = LocalAccount::start(Options { clock, ..Options::default() }).await.expect("a free port");
    account.add_streams(["orders".to_owned()], 1, &[]).await;
    let aws = Aws::of(&account);
    let double = aws.kinesis.update_shard_count().stream_name("orders").target_shard_count(2);
    double.scaling_type(ScalingType::UniformScaling).send().await.expect("accepted");
    account.clock().advance(Duration::from_secs(60)).expect("it stands");
    let of = |keys: [&str; 5], count: usize| (0..count).map(move |n| (keys[n % 5].to_owned(), 100)).collect::<Vec<_>>();
    for second in 0..35 {
        account.clock().advance(Duration::from_secs(1)).expect("it stands");
        write(&aws, of(OF_FIRST, 100).into_iter()).await;
        if second >= 33 {
            write(&aws, of(OF_SECOND, 300).into_iter()).await;
        }
    }
    account.clock().run().expect("it is not ahead");
    let args = ["keys", "orders", "--from", "-35s", "--for", "10s", "--share", "100", "--split"];
    let out = unthrottle(&[&args[..], &["--endpoint-url", account.url()]].concat()).await;
    assert!(out.out.contains("split shardId-000000000001, the fullest shard"), "{}{}", out.out, out.err);
}

/// A shard has 60 s of records, and then its two children have 60 s of as many together.
async fn resharded() -> (LocalAccount, Aws) {
    let clock = Clock::standing_at(Utc::now() - TimeDelta::minutes(8));
    let account = LocalAccount::start(Options { clock, ..Options::default() }).await.expect("a free port");
    account.add_streams(["orders".to_owned()], 1, &[]).await;
    let aws = Aws::of(&account);
    let load = async || {
        for _ in 0..60 {
            account.clock().advance(Duration::from_secs(1)).expect("it stands");
            write(&aws, (0..10).map(|n| (if n < 5 { OF_FIRST[n] } else { OF_SECOND[n - 5] }.to_owned(), 100))).await;
        }
    };
    account.clock().advance(Duration::from_secs(60)).expect("it stands");
    load().await;
    let double = aws.kinesis.update_shard_count().stream_name("orders").target_shard_count(2);
    double.scaling_type(ScalingType::UniformScaling).send().await.expect("accepted");
    account.clock().advance(Duration::from_secs(60)).expect("it stands");
    load().await;
    account.clock().run().expect("it is not ahead");
    (account, aws)
}

#[tokio::test]
async fn a_past_with_a_reshard_is_read_from_the_closed_shard_and_its_children() {
    let (account, _aws) = resharded().await;
    let out = keys(&account, &["--from", "-10m", "--json"]).await;
    assert_eq!(out.code, 0, "{}", out.err);
    assert!(
        out.err.contains("reads 3 shards of orders") && out.err.contains("1 of them is closed since"),
        "{}",
        out.err
    );
    let report = report(&out);
    assert_eq!(of_shards(&report, "is_open"), [false, true, true]);
    assert_eq!(of_shards(&report, "records"), [600, 300, 300], "{report:#}");
    assert_eq!(of_shards(&report, "ended_by"), ["shard-end", "present", "present"]);
    // The parent had twice the load of each child, for a minute and up to its reshard. A key has a tenth throughout.
    let share = |place: usize| report["shards"][place]["share"].as_f64().expect("a number");
    assert!((0..3).map(share).sum::<f64>() > 0.99, "{report:#}");
    let keys = report["top_keys"].as_array().expect("a list");
    assert!(keys.iter().all(|key| (0.08..=0.12).contains(&key["share"].as_f64().expect("a number"))), "{keys:#?}");
    assert!(keys.iter().all(|key| key["records"] == 120), "{keys:#?}");
    let out = keys_from(&account, "-3m").await;
    assert!(!out.err.contains("closed since") && out.err.contains("reads 2 shards of orders"), "{}", out.err);
}

async fn keys_from(account: &LocalAccount, from: &str) -> Output {
    keys(account, &["--from", from, "--for", "1s", "--json"]).await
}

#[tokio::test]
async fn a_closed_shard_can_be_chosen_and_is_never_split() {
    let (account, _aws) = resharded().await;
    let closed = "shardId-000000000000";
    let out = keys(&account, &["--from", "-10m", "--shard", closed, "--split", "--yes"]).await;
    assert_eq!(out.code, 1, "{}", out.out);
    assert!(out.err.contains("no record was read of an open shard, so no split is known"), "{}", out.err);
    assert_eq!(account.calls().get("Kinesis.SplitShard"), None);
}

#[tokio::test]
async fn keys_of_all_languages_are_whole_in_json_and_visible_on_the_terminal() {
    let (account, aws) = stream(1).await;
    let all = ["東京-1", "ключ", "zoë", "a\u{202e}b", "\u{1b}[31mred", "🔑"];
    write(&aws, all.iter().flat_map(|key| (0..3).map(|_| ((*key).to_owned(), 100)))).await;
    let out = keys(&account, &["--from", "-10m", "--json"]).await;
    let report = report(&out);
    let mut found: Vec<&str> =
        report["top_keys"].as_array().expect("a list").iter().filter_map(|key| key["key"].as_str()).collect();
    found.sort_unstable();
    let mut wanted = all;
    wanted.sort_unstable();
    assert_eq!(found, wanted);
    assert!(!out.out.contains(['\u{202e}', '\u{1b}']), "a terminal obeys no key: {}", out.out);
    let out = keys(&account, &["--from", "-10m"]).await;
    for shown in ["東京-1", "ключ", "zoë", "a\\u{202e}b", "\\u{1b}[31mred", "🔑"] {
        assert!(out.out.contains(shown), "{shown}: {}", out.out);
    }
    assert!(!out.out.contains(['\u{202e}', '\u{1b}']), "{}", out.out);
}

#[tokio::test]
async fn the_busy_shard_is_the_fullest_although_the_reading_takes_as_much_of_an_idle_one() {
    let (account, _aws) = unequal().await;
    let of = ["keys", "orders", "--from", "-65s", "--endpoint-url", account.url()];
    let out = unthrottle(&[&of[..], &["--for", "5s", "--json", "--split"]].concat()).await;
    assert_eq!(out.code, 0, "{}", out.err);
    let report = report(&out);
    let shares = of_shards(&report, "share");
    let second = shares[1].as_f64().expect("a number");
    assert!((0.7..0.9).contains(&second), "four fifths of the load: {report:#}");
    assert!(out.err.contains("split shardId-000000000001, the fullest shard"), "{}", out.err);
    let (top, key) = (&report["top_keys"], |place: usize| report["top_keys"][place]["key"].as_str().expect("a key"));
    assert!((0..4).all(|place| OF_SECOND.contains(&key(place))), "{top:#}");
    assert!(top[3]["share"].as_f64() > Some(0.15) && top[4]["share"].as_f64() < Some(0.1), "{top:#}");
    let seconds: Vec<f64> = of_shards(&report, "seconds_read").into_iter().filter_map(Value::as_f64).collect();
    assert!(seconds[0] > 2.0 * seconds[1], "the reading covers more time of the idle shard: {seconds:?}");
    assert_eq!(of_shards(&report, "ended_by"), [&json!("time"), &json!("time")]);
    let out = unthrottle(&[&of[..], &["--for", "1s"]].concat()).await;
    assert!(out.out.contains(" UTC. Give a longer --for"), "{}", out.out);
}

#[tokio::test]
async fn a_throttled_call_takes_a_turn_and_loses_no_record() {
    let (account, aws) = stream(1).await;
    write(&aws, (0..400).map(|n| (n.to_string(), 100))).await;
    account.add_fault(fault("GetRecords", "ProvisionedThroughputExceededException", 1, 2));
    account.add_fault(fault("GetShardIterator", "ProvisionedThroughputExceededException", 0, 1));
    let report = report(&keys(&account, &["--from", "-10m", "--json"]).await);
    assert_eq!((&report["records"], &report["throttled_calls"]), (&json!(400), &json!(3)), "{report:#}");
    assert_eq!(of_shards(&report, "ended_by"), ["present"]);
}

#[tokio::test]
async fn a_reading_that_aws_throttles_to_its_end_keeps_what_it_read() {
    let (account, aws) = stream(1).await;
    write(&aws, (0..400).map(|n| (n.to_string(), 100))).await;
    account.add_fault(fault("GetRecords", "ProvisionedThroughputExceededException", 1, 1_000));
    let out = keys(&account, &["--from", "-10m", "--for", "2s"]).await;
    assert_eq!((out.code, out.err.as_str()), (0, ""), "{}", out.out);
    assert!(out.out.contains("orders: 1 record, "), "{}", out.out);
    assert!(
        out.out.contains("AWS throttled ") && out.out.contains(" ask for more than the shards give"),
        "{}",
        out.out
    );
}

#[tokio::test]
async fn a_position_that_expires_is_replaced_after_the_last_record() {
    let (account, aws) = stream(1).await;
    write(&aws, (0..400).map(|n| (n.to_string(), 100))).await;
    account.add_fault(fault("GetRecords", "ExpiredIteratorException", 1, 1));
    let report = report(&keys(&account, &["--from", "-10m", "--json"]).await);
    assert_eq!((&report["records"], of_shards(&report, "ended_by")), (&json!(400), vec![&json!("present")]));
}

#[tokio::test]
async fn a_call_that_fails_for_good_ends_with_one_after_what_was_read() {
    let (account, aws) = stream(1).await;
    write(&aws, (0..400).map(|n| (n.to_string(), 100))).await;
    account.add_fault(fault("GetRecords", "AccessDeniedException", 1, 1));
    let out = keys(&account, &["--from", "-10m", "--split"]).await;
    assert_eq!((out.code, out.err.as_str()), (1, "unthrottle: 1 of 1 shard could not be read to the end\n"));
    assert!(out.out.contains("orders: 1 record, "), "{}", out.out);
    assert!(out.out.contains("was not read to the end: GetRecords failed: "), "{}", out.out);
    assert!(!out.out.contains("split-shard"), "the fullest shard is not known: {}", out.out);
    account.add_fault(fault("GetRecords", "AccessDeniedException", 0, 1));
    let out = keys(&account, &["--from", "-10m"]).await;
    assert_eq!(out.code, 1, "{}", out.out);
    assert!(out.err.contains("GetRecords failed: "), "{}", out.err);
}

#[tokio::test]
async fn the_first_call_keeps_the_announced_share() {
    let (account, aws) = stream(1).await;
    write(&aws, (0..10).map(|n| (n.to_string(), 100_000))).await;
    let args = ["keys", "orders", "--from", "-10m", "--for", "1s", "--share", "1", "--json"];
    let out = unthrottle(&[&args[..], &["--endpoint-url", account.url()]].concat()).await;
    assert!(out.err.contains("of each shard at most 20.5 KiB"), "{}", out.err);
    assert_eq!(report(&out)["records"], 1, "the size of the records is not known before");
}

#[tokio::test]
async fn the_reading_of_two_shards_takes_the_most_bytes_and_at_most_a_record_more_of_each() {
    let (account, aws) = stream(2).await;
    let key = |n: usize| (if n.is_multiple_of(2) { OF_FIRST[0] } else { OF_SECOND[0] }).to_owned();
    write(&aws, (0..20).map(|n| (key(n), 95_000))).await;
    let report = report(&keys(&account, &["--from", "-10m", "--max-mb", "1", "--json"]).await);
    let bytes = report["bytes"].as_u64().expect("a number");
    assert!((1_000_000..1_200_000).contains(&bytes), "{bytes}");
    assert_eq!(report["is_cut"], true);
}

/// No `--for` is long enough for a stream that is being created.
#[tokio::test]
async fn a_stream_without_an_open_shard_ends_with_one() {
    let clock = Clock::standing_at(Utc::now());
    let account = LocalAccount::start(Options { clock, ..Options::default() }).await.expect("a free port");
    let create = Aws::of(&account).kinesis.create_stream().stream_name("orders").shard_count(1);
    create.send().await.expect("accepted");
    for args in [&[][..], &["--from", "-1m"]] {
        let out = keys(&account, args).await;
        let says = "unthrottle: orders has no open shard. A new stream has some as soon as it is ACTIVE\n";
        assert_eq!((out.code, out.out.as_str(), out.err.as_str()), (1, "", says));
    }
}

#[tokio::test]
async fn a_stream_that_does_not_exist_ends_with_two_and_the_nearest_names() {
    let (account, _aws) = stream(1).await;
    for (command, name) in [("keys", "order"), ("keys", "ORDERS"), ("explain", "order")] {
        let out = unthrottle(&[command, name, "--endpoint-url", account.url()]).await;
        let says = format!("unthrottle: there is no stream `{name}` in this region. The nearest: orders\n");
        assert_eq!((out.code, out.out.as_str(), out.err), (2, "", says));
    }
}

#[tokio::test]
async fn a_split_of_a_stream_on_demand_is_refused_before_the_reading() {
    let (account, _aws) = stream(1).await;
    account.describe_as("orders", json!({ "StreamModeDetails": { "StreamMode": "ON_DEMAND" } }));
    let out = keys(&account, &["--split"]).await;
    assert_eq!((out.code, out.out.as_str()), (1, ""), "{}", out.err);
    assert!(out.err.contains("AWS splits the shards of an on-demand stream"), "{}", out.err);
    assert_eq!(account.calls().get("Kinesis.GetRecords"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_terminal_the_split_is_named_before_the_question_and_made_after_yes() {
    let (account, aws) = stream(1).await;
    write(&aws, (0..800).map(|n| (format!("key-{n}"), 100))).await;
    for (answer, shards) in [("n\r", 1), ("y\r", 2)] {
        let url = account.url().to_owned();
        let see = move || {
            let args = ["keys", "orders", "--from", "-10m", "--share", "100", "--split", "--endpoint-url", &url];
            let mut terminal = Terminal::start(Command::new(env!("CARGO_BIN_EXE_unthrottle")).args(args));
            terminal.wait_for("question", |text| text.contains("Make this split now? [y/N]"));
            let before = terminal.text();
            terminal.press(answer);
            terminal.end();
            before
        };
        let text = tokio::task::spawn_blocking(see).await.expect("no panic");
        assert!(text.contains("split-shard") && text.contains("--new-starting-hash-key"), "{text}");
        account.finish_changes().await;
        assert_eq!(aws.summary("orders").await.open_shard_count(), shards, "{answer:?}");
    }
}

/// 70 shards are read in two rounds of 35, and the second one has its half of the MB.
#[tokio::test]
async fn the_shards_of_the_last_round_have_their_part_of_the_mb() {
    let (account, aws) = stream(70).await;
    write(&aws, (0..4_200).map(|n| (format!("key-{n}"), 1_000))).await;
    let args = ["--from", "-10m", "--max-mb", "1", "--for", "5s"];
    let out = keys(&account, &[&args[..], &["--json"]].concat()).await;
    assert_eq!(out.code, 0, "{}", out.err);
    let report = report(&out);
    let bytes = |of: std::ops::Range<usize>| -> u64 {
        of_shards(&report, "bytes")[of].iter().map(|bytes| bytes.as_u64().expect("a number")).sum()
    };
    assert!(report["is_cut"] == true && (300_000..=700_000).contains(&bytes(0..35)), "{}", bytes(0..35));
    assert!((300_000..=700_000).contains(&bytes(35..70)), "{}", bytes(35..70));
    let out = keys(&account, &args).await;
    let says = ["reads 70 shards of orders in 2 rounds of 5 s, 10 s together, up to 1 MB", "up to 35 shards, and"];
    assert!(says.iter().all(|says| out.out.contains(says)), "{}", out.out);
}
