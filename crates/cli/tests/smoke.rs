//! `unthrottle smoke`, and `unthrottle local --heal` under its load, as a person runs them.

#[path = "../../../tests/common/aws.rs"]
mod aws;

use aws::Aws;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};
use unthrottle_lab::local::{Effect, Fault, LocalAccount, Options};

/// No test waits this long on any machine that is alive.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(240);

fn command(url: &str, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_unthrottle"));
    command.args(args).env_clear().env("AWS_ACCESS_KEY_ID", "local").env("AWS_SECRET_ACCESS_KEY", "local");
    command.env("AWS_REGION", "us-east-1").env("AWS_ENDPOINT_URL", url);
    command
}

async fn run(url: &str, args: &[&str]) -> Output {
    let mut command = command(url, args);
    tokio::task::spawn_blocking(move || command.output()).await.expect("no panic").expect("it runs")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

fn last_json(out: &Output) -> Value {
    let last = text(&out.stdout).lines().last().unwrap_or_else(|| panic!("no output: {}", text(&out.stderr)));
    serde_json::from_str(last).expect("JSON")
}

/// An account with the stream `orders` of two shards.
async fn account() -> (LocalAccount, Aws) {
    let account = LocalAccount::start(Options::default()).await.expect("it starts");
    let aws = Aws::of(&account);
    aws.create("orders", 2).await;
    (account, aws)
}

#[tokio::test]
async fn a_load_without_the_owners_word_or_beyond_its_bounds_is_refused_and_writes_nothing() {
    let (account, _) = account().await;
    for (args, says) in [
        (vec![], "smoke can throttle every producer of `orders`"),
        (vec!["--i-own", "order"], "--i-own is `order`, and the stream is `orders`"),
        (vec!["--i-own", "arn:aws:kinesis:us-east-1:1:stream/orders"], "and the stream is `orders`"),
        (vec!["--i-own", "orders", "--max-usd", "0.001"], "and --max-usd allows $0.0010"),
        (vec!["--i-own", "orders", "--max-usd", "nan"], "it must be an amount in USD from 0 on"),
        (vec!["--i-own", "orders", "--max-usd", "inf"], "it must be an amount in USD from 0 on"),
        (vec!["--i-own", "orders", "--max-usd", "-1"], "it must be an amount in USD from 0 on"),
        (vec!["--i-own", "orders", "--max-usd=-nan"], "it must be an amount in USD from 0 on"),
        (vec!["--i-own", "orders", "--ttl", "-5s"], "`-5s` is no duration"),
        (vec!["--i-own", "orders", "--ttl", "292277026596y"], "it is longer than a year"),
        (vec!["--i-own", "orders", "--max-duration", "-5s"], "`-5s` is no duration"),
        (vec!["--i-own", "orders", "--stages", "292277026596y@1x"], "it is longer than a year"),
        (vec!["--i-own", "orders", "--seed", "-1"], "it must be a whole number from 0 on"),
        (vec!["--i-own", "orders", "--max-duration", "1m"], "the stages take 360 s, and --max-duration allows 60 s"),
        (vec!["--i-own", "orders", "--stages", "1m@fast"], "--stages: `1m@fast`: `fast` is no rate"),
        (vec!["--i-own", "orders", "--keys", "hot"], "`hot` names no keys"),
        (vec!["--i-own", "orders", "--size", "0"], "`0` is no size"),
        (vec!["--i-own", "orders", "--size", "1048576"], "are larger than the stream takes (1048576 bytes)"),
        (vec!["--i-own", "orders", "--expect", "los=0"], "must begin with one of: lost"),
        (vec!["--i-own", "orders", "--csv", "missing.csv"], "missing.csv: No such file"),
    ] {
        let out = run(account.url(), &[&["smoke", "orders"], args.as_slice()].concat()).await;
        assert_eq!(out.status.code(), Some(2), "{args:?}: {}", text(&out.stderr));
        assert!(text(&out.stderr).contains(says), "{args:?}: {}", text(&out.stderr));
    }
    let out = run(account.url(), &["smoke", "orders", "--dry-run"]).await;
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert!(text(&out.stdout).contains("offers 1,260,000 records in 360 s, at most 4,000/s"), "{}", text(&out.stdout));
    assert_eq!(account.calls().get("Kinesis.PutRecords"), None);
}

#[tokio::test]
async fn a_caller_that_may_not_describe_the_stream_is_told_the_action_and_writes_nothing() {
    let (account, _) = account().await;
    let (code, message) = ("AccessDeniedException".to_owned(), "not authorized".to_owned());
    let effect = Effect::Error { status: 400, code, message };
    account.add_fault(Fault { operation: "DescribeStreamSummary".into(), skip: 0, times: 100, effect });
    for args in [&["--i-own", "orders"][..], &["--dry-run"], &["--i-own", "orders", "--until-healed"]] {
        let out = run(account.url(), &[&["smoke", "orders", "--stages", "1s@1/s"], args].concat()).await;
        assert_eq!(out.status.code(), Some(1), "{args:?}: {}", text(&out.stderr));
        let said = text(&out.stderr);
        assert!(said.contains("may not call kinesis:DescribeStreamSummary. smoke needs it"), "{args:?}: {said}");
        assert_eq!(text(&out.stdout), "", "{args:?}");
    }
    assert_eq!(account.calls().get("Kinesis.PutRecords"), None);
}

#[tokio::test]
async fn the_cost_of_a_range_of_sizes_counts_the_units_of_each_size() {
    let (account, _) = account().await;
    let mut costs = vec![];
    for size in ["25000", "1000-49000", "49000"] {
        let out = run(account.url(), &["smoke", "orders", "--dry-run", "--stages", "10m@2000/s", "--size", size]).await;
        let cost = text(&out.stdout).split('$').nth(1).and_then(|rest| rest.split_whitespace().next());
        costs.push(cost.expect("a cost").parse::<f64>().expect("a number"));
    }
    // With its key, a record of more than 25,564 bytes is two units of 25 KB: 48.9 % of the range.
    let [one, range, two] = costs[..] else { panic!("{costs:?}") };
    assert!((two / one - 2.0).abs() < 0.01 && (range / one - 1.489).abs() < 0.01, "{costs:?}");
}

#[tokio::test]
async fn the_time_that_is_allowed_bounds_the_load_and_not_only_its_stages() {
    // Its clock stands, so the shard of the key takes 1,000 records and no more. The others may wait for two minutes.
    let clock = unthrottle_lab::local::Clock::standing_at("2026-11-20T12:00:00Z".parse().expect("a time"));
    let account = LocalAccount::start(Options { clock, ..Options::default() }).await.expect("it starts");
    Aws::of(&account).create("orders", 2).await;
    account.finish_changes().await;
    let load = ["smoke", "orders", "--i-own", "orders", "--stages", "1s@2x", "--keys", "fixed:k", "--ttl", "2m"];
    let out = run(account.url(), &[&load[..], &["--max-duration", "1s", "--json"]].concat()).await;
    assert!(out.status.success(), "{}", text(&out.stderr));
    let result = last_json(&out);
    assert!(text(&out.stderr).contains("for at most 8 s"), "{}", text(&out.stderr));
    assert!(result["lost"].as_u64() > Some(0) && result["accepted"].as_u64() > Some(0), "{result}");
}

/// Offers a past of two rows with these columns until a record is accepted. Returns its output, and its last line.
#[cfg(unix)]
async fn offer_past(account: &LocalAccount, columns: &str) -> (Output, Value) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("past.csv");
    let row = |minute: u32| format!("2026-11-20T12:{minute}:00Z,{columns}\n");
    let rows = format!("timestamp,incoming_bytes,incoming_records,write_throttled\n{}{}", row(30), row(31));
    std::fs::write(&path, rows).expect("written");
    let path = path.to_str().expect("text");
    let mut command = command(account.url(), &["smoke", "orders", "--i-own", "orders", "--csv", path, "--json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
    let ended = tokio::task::spawn_blocking(move || {
        let accepts =
            |line: &str| serde_json::from_str::<Value>(line).is_ok_and(|it| it["accepted"].as_u64() > Some(0));
        let mut line = String::new();
        while !accepts(&line) {
            line.clear();
            if stdout.read_line(&mut line).expect("readable") == 0 {
                return (line, child.wait_with_output().expect("it ends"));
            }
        }
        let kill = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
        assert!(kill.expect("kill runs").success());
        let last = stdout.lines().last().expect("a line").expect("text");
        (last, child.wait_with_output().expect("it ends"))
    });
    let (last, out) = tokio::time::timeout(PATIENCE, ended).await.expect("it ends").expect("no panic");
    assert!(out.status.success(), "{}", text(&out.stderr));
    (out, serde_json::from_str(&last).expect("JSON"))
}

#[cfg(unix)]
#[tokio::test]
async fn a_past_is_offered_from_its_first_row_on_with_its_records_and_its_bytes() {
    let (account, _) = account().await;
    for (columns, bytes, says) in [
        ("60000,600,0", 100, "takes 2,000 records/s of 100 bytes with even keys"),
        ("12000000,600,0", 20_000, "takes 105 records/s of 20,000 bytes with even keys"),
        ("6000000,300,300", 20_000, "takes 105 records/s of 20,000 bytes with even keys"),
    ] {
        let (out, result) = offer_past(&account, columns).await;
        let said = text(&out.stderr);
        assert!(said.contains("offers 1,200 records in 120 s, at most 10/s"), "{columns}: {said}");
        assert!(said.contains(says), "{columns}: {said}");
        let [accepted, accepted_bytes] = ["accepted", "accepted_bytes"].map(|count| result[count].as_u64());
        assert_eq!((&result["lost"], accepted > Some(0)), (&0.into(), true), "{result}");
        assert_eq!(accepted_bytes, accepted.map(|accepted| accepted * bytes), "{result}");
    }
}

#[tokio::test]
async fn the_sizes_of_a_past_bound_its_cost_and_give_way_to_an_option() {
    let (account, _) = account().await;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("past.csv");
    std::fs::write(&path, "2026-11-20T12:30:00Z,60000000,600000,0\n2026-11-20T12:31:00Z,60000000000,600000,0\n")
        .expect("written");
    let dry_run = ["smoke", "orders", "--dry-run", "--csv", path.to_str().expect("text")];
    let out = run(account.url(), &dry_run).await;
    let said = text(&out.stdout);
    assert!(said.contains("records/s of 50,050 bytes on average with even keys"), "{said}");
    // 600,000 records of one unit of 25 KB, and as many of four, at $0.014 for a million units.
    assert!(said.contains("and $0.0420 at list prices"), "{said}");
    let small = run(account.url(), &[&dry_run[..], &["--size", "100"]].concat()).await;
    assert!(
        text(&small.stdout).contains("takes 2,000 records/s of 136 bytes with even keys"),
        "{}",
        text(&small.stdout)
    );
    std::fs::write(&path, "2026-11-20T12:30:00Z,2000000,1,0\n2026-11-20T12:31:00Z,100,1,0\n").expect("written");
    let large = run(account.url(), &dry_run).await;
    assert_eq!(large.status.code(), Some(2));
    let says = "a record of 1999964 bytes and its key are larger than the stream takes (1048576 bytes)";
    assert!(text(&large.stderr).contains(says), "{}", text(&large.stderr));
}

#[tokio::test]
async fn a_stream_with_the_tag_gets_its_load_and_a_missed_expectation_is_code_3() {
    let (account, aws) = account().await;
    let tag = aws.kinesis.tag_resource().resource_arn(account.stream_arn("orders"));
    tag.tags("unthrottle.smoke", "allow").send().await.expect("tagged");
    let load = ["smoke", "orders", "--stages", "500ms@400/s", "--keys", "even", "--size", "10-50", "--json"];
    let out = run(account.url(), &[&load[..], &["--expect", "lost=0", "--expect", "accepted=200"]].concat()).await;
    assert!(out.status.success(), "{}", text(&out.stderr));
    let result = last_json(&out);
    assert_eq!((&result["offered"], &result["accepted"], &result["final"]), (&200.into(), &200.into(), &true.into()));
    assert_eq!(result["missed"], serde_json::json!([]));
    let missed =
        run(account.url(), &[&load[..], &["--expect", "accepted>200", "--expect", "healed<1m"]].concat()).await;
    assert_eq!(missed.status.code(), Some(3));
    let said = text(&missed.stderr);
    assert!(said.contains("expected accepted>200: it is 200\n"), "{said}");
    assert!(said.contains("expected healed<1m: it has not healed\n"), "{said}");
}

#[tokio::test]
async fn a_change_that_was_remembered_before_the_load_is_no_part_of_its_result() {
    let (account, aws) = account().await;
    aws.tag(&account.stream_arn("orders"), "unthrottle.memory", "v=1 change=restore/14/7/20261120T170412Z").await;
    let load = ["smoke", "orders", "--i-own", "orders", "--stages", "500ms@100/s"];
    let out = run(account.url(), &load).await;
    let said = text(&out.stdout);
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert!(said.contains("at most 1 s and $0.0001 at list prices"), "{said}");
    assert!(!said.contains("memory tag"), "{said}");
    let out = run(account.url(), &[&load[..], &["--json"]].concat()).await;
    assert_eq!(last_json(&out)["remembered"], "restore 14 → 7");
}

#[tokio::test]
async fn a_missed_expectation_is_code_3_also_where_nothing_reads_the_result() {
    let (account, _) = account().await;
    for is_json in [false, true] {
        let load = ["smoke", "orders", "--i-own", "orders", "--stages", "100ms@100/s", "--expect", "accepted=0"];
        let mut command = command(account.url(), &load);
        command.args(is_json.then_some("--json")).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        // Each line that it prints then fails.
        drop(child.stdout.take());
        let out = tokio::task::spawn_blocking(move || child.wait_with_output()).await.expect("no panic");
        let out = out.expect("it ends");
        // The first lines, before the load, may be the ones that find no reader.
        let has_offered = account.calls().contains_key("Kinesis.PutRecords");
        assert_eq!(out.status.code(), Some(if has_offered { 3 } else { 0 }), "{}", text(&out.stderr));
        assert!(has_offered || !is_json, "JSON has no lines before the load");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_person_who_stops_the_load_does_not_wait_for_the_time_of_its_records() {
    let (account, _) = account().await;
    // Refused records are sent again for an hour.
    let load = ["smoke", "orders", "--i-own", "orders", "--stages", "15m@20x", "--ttl", "1h", "--max-usd", "99"];
    let mut command = command(account.url(), &load);
    command.args(["--until-healed", "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
    let ended = tokio::task::spawn_blocking(move || {
        let refused = |line: &str| serde_json::from_str::<Value>(line).is_ok_and(|it| it["refused"].as_u64() > Some(0));
        let mut line = String::new();
        while !refused(&line) {
            line.clear();
            assert!(stdout.read_line(&mut line).expect("readable") > 0, "it ended early");
        }
        for _ in 0..2 {
            let kill = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
            assert!(kill.expect("kill runs").success());
        }
        let last = stdout.lines().last().expect("a line").expect("text");
        (last, child.wait_with_output().expect("it ends"))
    });
    let (last, out) = tokio::time::timeout(PATIENCE, ended).await.expect("it ends").expect("no panic");
    let said = text(&out.stderr);
    assert_eq!(out.status.code(), Some(3), "{said}");
    assert!(said.contains("stopping: ") && said.contains("for at most 8 s. Ctrl-C ends this at once"), "{said}");
    assert!(said.contains("the load was stopped before it healed"), "{said}");
    assert!(said.contains("CloudWatch is not compared, as the load was stopped"), "{said}");
    let result: Value = serde_json::from_str(&last).expect("JSON");
    assert_eq!((&result["final"], &result["cloudwatch"]), (&true.into(), &Value::Null), "no wait for CloudWatch");
    assert!(result["lost"].as_u64() > Some(0) && result.get("behind_because").is_some(), "{result}");
}

#[tokio::test]
async fn a_stream_that_takes_the_load_has_nothing_to_heal() {
    let (account, _) = account().await;
    let load = ["smoke", "orders", "--i-own", "orders", "--stages", "100ms@10/s", "--max-duration", "1s"];
    let out = run(account.url(), &[&load[..], &["--until-healed"]].concat()).await;
    assert_eq!(out.status.code(), Some(3));
    assert!(text(&out.stderr).contains("it has not healed: nothing was refused"), "{}", text(&out.stderr));
}

/// The clock stands, and another producer has a record in the same minute: CloudWatch never has the same count.
#[cfg(unix)]
#[tokio::test]
async fn the_wait_for_cloudwatch_and_its_stop_are_said_where_no_terminal_shows_them() {
    let clock = unthrottle_lab::local::Clock::standing_at("2026-11-20T12:00:30Z".parse().expect("a time"));
    let account = LocalAccount::start(Options { clock, ..Options::default() }).await.expect("it starts");
    let aws = Aws::of(&account);
    aws.create("orders", 2).await;
    account.finish_changes().await;
    let put = aws.kinesis.put_record().stream_name("orders").partition_key("k");
    put.data(aws_sdk_kinesis::primitives::Blob::new("x")).send().await.expect("accepted");
    let load = ["smoke", "orders", "--i-own", "orders", "--stages", "100ms@10/s", "--max-duration", "1s"];
    let mut command = command(account.url(), &[&load[..], &["--until-healed"]].concat());
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut stderr = BufReader::new(child.stderr.take().expect("piped"));
    let ended = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        while !line.contains("waits for the last minute in CloudWatch, up to ") {
            line.clear();
            assert!(stderr.read_line(&mut line).expect("readable") > 0, "it ended early");
        }
        let kill = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
        assert!(kill.expect("kill runs").success());
        let rest = std::io::read_to_string(stderr).expect("readable");
        (rest, child.wait().expect("it ends"))
    });
    let (rest, status) = tokio::time::timeout(PATIENCE, ended).await.expect("it ends").expect("no panic");
    assert_eq!(status.code(), Some(3), "{rest}");
    assert!(rest.contains("CloudWatch is not compared, as the wait for it was stopped"), "{rest}");
    assert!(!rest.contains("waits for"), "it is said once: {rest}");
}

/// A command that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill().and_then(|()| self.0.wait());
    }
}

/// Two terminals: an account with an unthrottle inside, and twice the load that the stream takes. The commands are
/// those of the README, with a free port. The records are larger, so that a slow machine sends enough.
#[tokio::test]
async fn an_overloaded_stream_heals_in_an_account_with_an_unthrottle_inside() {
    let mut local = Command::new(env!("CARGO_BIN_EXE_unthrottle"));
    local.args(["local", "--port", "0", "--heal"]).stdout(Stdio::piped());
    let mut local = Running(local.spawn().expect("it starts"));
    let mut printed = BufReader::new(local.0.stdout.take().expect("piped"));
    let url = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        printed.read_line(&mut line).expect("readable");
        let url = line.split_whitespace().find_map(|word| word.strip_suffix(',').filter(|it| it.starts_with("http")));
        // Read on: the command ends when its output has no reader.
        let url = url.unwrap_or_else(|| panic!("no address: {line}")).to_owned();
        std::thread::spawn(move || std::io::copy(&mut printed, &mut std::io::sink()));
        url
    });
    let url = url.await.expect("no panic");
    let args = ["smoke", "orders", "--until-healed", "--stages", "5s@0.5x,1m@2x", "--size", "5000", "--json"];
    let out = run(&url, &args).await;
    assert!(out.status.success(), "{}\n{}", text(&out.stderr), text(&out.stdout));
    let result = last_json(&out);
    let healing = &result["healing"];
    assert!(healing["first_refusal_s"].is_number() && healing["healed_s"].is_number(), "{result}");
    assert_eq!(healing["shards_before"], 2);
    assert!(healing["shards_after"].as_i64() >= Some(4), "{result}");
    assert!(result["remembered"].as_str().is_some_and(|change| change.starts_with("scale_shards")), "{result}");
    let said = text(&out.stderr);
    // A slow machine looks seldom, and may see two changes as one.
    assert!(said.contains("ACTIVE, PROVISIONED: 2 → "), "{said}");
    assert!(said.contains("s  unthrottle: scale_shards "), "{said}");
    // CloudWatch counts the same records, and unthrottle counts its changes there.
    let counted = &result["cloudwatch"];
    let is_same = (&counted["accepted"], &counted["refused"]) == (&result["accepted"], &result["refused"]);
    assert_eq!((&counted["agrees"], &counted["pace"]), (&is_same.into(), &20.into()), "{result}");
    // A reply that a slow machine sends too late hides records from this command.
    assert!(is_same || result["lost_replies"].as_u64() > Some(0), "{result}");
    assert!(counted["auto_fix"]["scale_shards"].as_u64() >= Some(1), "{result}");
}
