//! The account that a command calls: its errors, its printed commands and its clock, as a person meets them.

use serde_json::Value;
use std::process::{Command, Output};
use std::time::SystemTime;
use unthrottle_lab::local::{Clock, LocalAccount, Options};

/// A command without any account, region or profile in its environment.
fn bare(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_unthrottle"));
    command.args(args).env_clear().env("HOME", env!("CARGO_TARGET_TMPDIR")).env("AWS_EC2_METADATA_DISABLED", "true");
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

async fn run(mut command: Command) -> (i32, String, String) {
    let out: Output = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic").expect("runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (out.status.code().expect("an exit code"), text(out.stdout), text(out.stderr))
}

/// A stream of two shards that is offered too much, in an account on this clock.
async fn throttled(clock: Clock) -> LocalAccount {
    let account = LocalAccount::start(Options { clock, ..Options::default() }).await.expect("a free port");
    account.add_streams(["orders".to_owned()], 2, &[]).await;
    for minute in 1..=5 {
        let time = SystemTime::from(account.now()) - std::time::Duration::from_secs(60 * minute);
        for (metric, value) in [
            ("IncomingBytes", 12_000_000.0),
            ("IncomingRecords", 120_000.0),
            ("WriteProvisionedThroughputExceeded", 60_000.0),
        ] {
            account.put_metric("AWS/Kinesis", metric, &[("StreamName", "orders")], time, value);
        }
    }
    account
}

#[tokio::test]
async fn an_endpoint_on_this_machine_alone_is_enough() {
    let account = throttled(Clock::real()).await;
    let (code, out, err) = run(bare(&["explain", "orders", "--endpoint-url", account.url()])).await;
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains("scale_shards (planned)"), "{out}");
}

#[tokio::test]
async fn each_wrong_account_has_a_sentence_of_its_own() {
    let account = throttled(Clock::real()).await;
    let local = ["--endpoint-url", account.url()];
    let other = "arn:aws:kinesis:us-east-1:999999999999:stream/orders";
    let with_tls = account.url().replace("http://", "https://");
    for (args, code, says) in [
        (vec!["orders", "--endpoint-url", "http://127.0.0.1:1"], 1, "no server answers at http://127.0.0.1:1 ("),
        (vec!["orders", "--endpoint-url", "nonsense"], 2, "--endpoint-url: `nonsense` does not begin with http://"),
        (vec!["orders", "--profile", "none"], 2, "--profile: ~/.aws has no profile `none`. It has no profiles"),
        (vec!["orders", "--region", "us-east-1"], 2, "no credentials of AWS: give --profile, or set"),
        (vec!["orders"], 2, "no region is set"),
        (vec!["orders", "--region", ""], 2, "the region `` is no name of a region. One has a name such as eu-west-1"),
        (vec!["orders", "--region", "EU west", local[0], local[1]], 2, "the region `EU west` is no name of a region"),
        (vec!["orders", local[0], "http://127.0.0.1:99999"], 2, "has no port from 1 to 65535"),
        (vec!["orders", local[0], &with_tls], 2, "speaks plain HTTP. Did you mean http://127.0.0.1:"),
        (vec![other, local[0], local[1]], 2, "is of account 999999999999, and the credentials are of account 1234567"),
    ] {
        let (found, out, err) = run(bare(&[&["explain"], args.as_slice()].concat())).await;
        assert_eq!((found, out.as_str()), (code, ""), "{args:?}: {err}");
        assert!(err.contains(says), "{args:?}: {err}");
        for layer in ["IMDS", "dispatch failure", "Attempted", "{", "Some("] {
            assert!(!err.contains(layer), "{args:?}: {err}");
        }
    }
}

/// The words of a printed command, without the quotes of a shell: these commands have none.
fn words(command: &str) -> Vec<&str> {
    assert!(!command.contains('\''), "{command}");
    command.split_whitespace().collect()
}

#[tokio::test]
async fn a_printed_undo_runs_on_the_account_of_the_command() {
    let account = throttled(Clock::real()).await;
    let sweep = ["sweep", "--yes", "--json", "--endpoint-url", account.url()];
    let (code, out, err) = run(bare(&sweep)).await;
    assert_eq!(code, 0, "{err}");
    let swept: Value = serde_json::from_str(&out).expect("JSON");
    let document = &swept["decisions"][0];
    let undo = document["undo"].as_str().expect("an undo command").to_owned();
    let at = format!("--endpoint-url {}", account.url());
    assert!(undo.starts_with(&format!("unthrottle restore {at} orders --region us-east-1 --yes")), "{undo}");
    assert!(document["sentence"].as_str().is_some_and(|sentence| sentence.contains(&undo)), "{document:#}");
    account.finish_changes().await;
    // As a person pastes it. The load is still there, so the restore answers with a reason, from this account.
    let (code, out, err) = run(bare(&words(&undo)[1..])).await;
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("not restored (") && out.starts_with("orders: "), "{out}{err}");
    assert!(account.calls()["Kinesis.DescribeStreamSummary"] >= 3, "{:?}", account.calls());
}

#[tokio::test]
async fn a_printed_undo_has_the_account_of_the_settings_file_but_not_of_the_environment() {
    let account = throttled(Clock::real()).await;
    let folder = tempfile::tempdir().expect("a folder");
    let home = folder.path().join("home/.aws");
    std::fs::create_dir_all(&home).expect("made");
    let keys = "[team]\naws_access_key_id = key\naws_secret_access_key = secret\n";
    std::fs::write(home.join("credentials"), keys).expect("written");
    let file = format!("[aws]\nendpoint_url = \"{}\"\nregion = \"us-east-1\"\nprofile = \"team\"\n", account.url());
    std::fs::write(folder.path().join("unthrottle.toml"), file).expect("written");
    let with = |args: &[&str]| {
        let mut command = bare(args);
        command.env("HOME", folder.path().join("home")).env("UNTHROTTLE_CONFIG", folder.path().join("unthrottle.toml"));
        command
    };
    let (code, _, err) = run(with(&["sweep"])).await;
    assert_eq!(code, 2, "{err}");
    let (code, out, err) = run(with(&["sweep", "--yes", "--json"])).await;
    assert_eq!(code, 0, "{err}");
    let swept: Value = serde_json::from_str(&out).expect("JSON");
    let undo = swept["decisions"][0]["undo"].as_str().expect("an undo command").to_owned();
    let at =
        format!("unthrottle restore --endpoint-url {} --profile team orders --region us-east-1 --yes", account.url());
    assert_eq!(undo, at);
    account.finish_changes().await;
    let mut command = with(&["explain", "orders", "--json"]);
    command.env("AWS_ENDPOINT_URL", account.url());
    let (code, out, err) = run(command).await;
    assert_eq!(code, 0, "{err}");
    assert!(!out.contains("--endpoint-url"), "{out}");
}

#[tokio::test]
async fn a_command_goes_by_the_clock_of_a_fast_account() {
    let account = throttled(Clock::like(chrono::Utc::now() + chrono::TimeDelta::hours(7), 10)).await;
    let (code, out, err) = run(bare(&["explain", "orders", "--json", "--endpoint-url", account.url()])).await;
    assert_eq!(code, 0, "{err}");
    let document: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(document["code"], "scale_shards", "{document:#}");
}
