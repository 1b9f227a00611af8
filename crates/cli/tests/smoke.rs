//! `unthrottle smoke`, and `unthrottle local --heal` under its load, as a person runs them.

#[path = "../../../tests/common/aws.rs"]
mod aws;

use aws::Aws;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};
use unthrottle_lab::local::{LocalAccount, Options};

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
        (vec!["--i-own", "orders", "--max-usd", "0.001"], "and --max-usd allows $0.00"),
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
    assert!(text(&out.stdout).contains("offers 1260000 records in 360 s, at most 4000/s"), "{}", text(&out.stdout));
    assert_eq!(account.calls().get("Kinesis.PutRecords"), None);
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
async fn a_stream_that_takes_the_load_has_nothing_to_heal() {
    let (account, _) = account().await;
    let load = ["smoke", "orders", "--i-own", "orders", "--stages", "100ms@10/s", "--max-duration", "1s"];
    let out = run(account.url(), &[&load[..], &["--until-healed"]].concat()).await;
    assert_eq!(out.status.code(), Some(3));
    assert!(text(&out.stderr).contains("it has not healed: nothing was refused"), "{}", text(&out.stderr));
}

/// A command that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill().and_then(|()| self.0.wait());
    }
}

/// Two terminals: an account with an unthrottle inside, and twice the load that the stream takes. The commands are those
/// of the README, with a free port, a faster clock, and larger records, of which a slow machine sends enough.
#[tokio::test]
async fn an_overloaded_stream_heals_in_an_account_with_an_unthrottle_inside() {
    let mut local = Command::new(env!("CARGO_BIN_EXE_unthrottle"));
    local.args(["local", "--port", "0", "--heal", "--pace", "20"]).stdout(Stdio::piped());
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
    assert!(said.contains("ACTIVE, PROVISIONED: 2 → 4 shards"), "{said}");
    assert!(said.contains("s  unthrottle: scale_shards 2 → 4 (its memory tag)"), "{said}");
    // CloudWatch counts the same records, and unthrottle counts its changes there.
    let counted = &result["cloudwatch"];
    assert_eq!((&counted["agrees"], &counted["pace"]), (&true.into(), &20.into()), "{result}");
    assert_eq!((&counted["accepted"], &counted["refused"]), (&result["accepted"], &result["refused"]));
    assert!(counted["auto_fix"]["scale_shards"].as_u64() >= Some(1), "{result}");
}
