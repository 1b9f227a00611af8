//! Each step ends in a verdict, and leaves nothing behind.

use crate::accounts::{BUCKET, FIS_ROLE, Urls, left, local, moto, proof, prove, quick, text, verdicts};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use unthrottle_lab::local::{Effect, Fault, LocalAccount};

const ALL: [&str; 11] = [
    "--i-know-this-costs-up-to",
    "2",
    "--pace",
    "60",
    "--spend-reshards",
    "--with-trail",
    BUCKET,
    "--with-stack",
    "unthrottle",
    "--with-fis",
    FIS_ROLE,
];

/// The verdicts of the facts, asserted to be one for each fact that `--dry-run` lists.
fn all_verdicts(folder: &Path, listed: &Value) -> BTreeMap<String, String> {
    let verdicts: BTreeMap<String, String> = verdicts(&proof(folder)).into_iter().collect();
    let steps = listed["steps"].as_array().expect("steps").iter();
    let facts = steps.flat_map(|step| step["facts"].as_array().expect("facts"));
    let mut facts: Vec<&str> = facts.map(|fact| fact["id"].as_str().expect("an id")).collect();
    facts.sort_unstable();
    assert_eq!(verdicts.keys().collect::<Vec<_>>(), facts);
    verdicts
}

async fn listed(urls: &Urls, folder: &Path) -> Value {
    let out = prove(urls, folder, &["--dry-run", "--json"]).await;
    assert!(out.status.success(), "{}", text(&out.stderr));
    serde_json::from_slice(&out.stdout).expect("JSON")
}

/// No file names the account. Each has this text, where the account was.
fn hides_the_account(folder: &Path, has: &str) {
    for file in ["proof.json", "proof.md"] {
        let text = std::fs::read_to_string(folder.join("proof").join(file)).expect("written");
        assert!(!text.contains("123456789012"), "{file}: {text}");
        assert!(text.contains(has), "{file}: {text}");
    }
}

#[tokio::test]
async fn the_account_in_the_name_of_a_bucket_is_hidden() {
    let (account, moto) = (quick(3_600).await, moto().await);
    let urls = Urls { local: account.url().to_owned(), moto: moto.url().to_owned() };
    let folder = tempfile::tempdir().expect("a folder");
    // CloudTrail's console gives a bucket such a name. moto does not have it, so no answer has an ARN.
    let bucket = "aws-cloudtrail-logs-123456789012-0a1b2c3d";
    let args = ["--only", "cloudtrail", "--with-trail", bucket, "--i-know-this-costs-up-to", "2"];
    let out = prove(&urls, folder.path(), &args).await;
    assert_eq!(out.status.code(), Some(0), "{}{}", text(&out.stdout), text(&out.stderr));
    hides_the_account(folder.path(), "aws-cloudtrail-logs-ACCOUNT-0a1b2c3d");
}

#[tokio::test]
async fn every_step_ends_in_a_verdict_on_the_local_account_and_leaves_nothing() {
    let (account, moto) = (local(60, Duration::from_secs(30), Duration::from_secs(90)).await, moto().await);
    let urls = Urls { local: account.url().to_owned(), moto: moto.url().to_owned() };
    let folder = tempfile::tempdir().expect("a folder");
    let out = prove(&urls, folder.path(), &ALL).await;
    let said = format!("{}{}", text(&out.stdout), text(&out.stderr));
    assert_eq!(out.status.code(), Some(3), "{said}");
    let verdicts = all_verdicts(folder.path(), &listed(&urls, folder.path()).await);
    let of = |verdict: &str| {
        let facts = verdicts.iter().filter(|(_, it)| *it == verdict).map(|(fact, _)| fact.as_str());
        facts.collect::<Vec<_>>()
    };
    assert_eq!(of("failed"), Vec::<&str>::new(), "{said}");
    // The local account has no history of alarms and no function. moto delivers no events, and its experiments inject
    // nothing. Its disabled key stops no write, so CloudTrail owes no event of it.
    let none = ["alarm-history", "cloudtrail-kms", "cloudtrail-put-records", "deployed-role", "fis-metric"];
    assert_eq!(of("not_available"), none, "{said}");
    for fact in [
        "above-double",
        "account-clause",
        "alarm-contributors",
        "eleventh-reshard",
        "put-record-refused",
        "put-records-partly-refused",
        "put-records-wholly-refused",
        "same-count",
        "shards-at-a-time",
    ] {
        assert_eq!(verdicts[fact], "seen", "{fact}: {said}");
    }
    // Keys are moto's, so the local account does not ask them. No unthrottle is in it.
    for fact in ["alarm-event", "cloudtrail-put-record", "fis-error", "kms-denied", "kms-disabled", "stack-heals"] {
        assert_eq!(verdicts[fact], "different", "{fact}: {said}");
    }
    hides_the_account(folder.path(), "ACCOUNT:stream/unthrottle-prove-");
    let page = std::fs::read_to_string(folder.path().join("proof/proof.md")).expect("a page");
    assert!(page.contains(", pace 60.") && page.contains("was said to run 60 times as fast"), "{page}");
    shows_a_refused_record(&proof(folder.path()));
    measured(&proof(folder.path()));
    assert_eq!(left(&urls).await, Vec::<String>::new(), "{said}");
}

/// The proof has the raw answer of a `PutRecords` that refused a part of 500 records.
fn shows_a_refused_record(proof: &Value) {
    let steps = proof["steps"].as_array().expect("steps");
    let step = steps.iter().find(|step| step["step"] == "refusals").expect("the step");
    let answers = step["answers"].as_array().expect("answers").iter().filter(|answer| answer["call"] == "PutRecords");
    let mut records = answers.filter_map(|answer| answer["body"]["Records"].as_array());
    let has = |records: &[Value], field: &str| records.iter().any(|record| record[field].is_string());
    assert!(records.any(|records| has(records, "ErrorCode") && has(records, "SequenceNumber")), "{step}");
}

/// What was measured is not less than what the account takes. A slow machine measures more.
fn measured(proof: &Value) {
    let steps = proof["steps"].as_array().expect("steps");
    let of = |field: &str| {
        let all = steps.iter().flat_map(|step| step["measured"][field].as_array().expect("a list"));
        all.map(|it| it["seconds"].as_f64().expect("a number")).collect::<Vec<_>>()
    };
    let (reshards, lags) = (of("reshards"), of("metric_lags"));
    assert_eq!(reshards.len(), 4);
    assert!(reshards.iter().all(|seconds| *seconds >= 30.0), "{reshards:?}");
    // The metrics that the local account has, for two minutes. The header has whole seconds.
    assert!(lags.len() >= 10, "{lags:?}");
    assert!(lags.iter().all(|seconds| *seconds >= 80.0), "{lags:?}");
}

#[tokio::test]
async fn every_step_ends_in_a_verdict_on_moto_and_leaves_nothing() {
    let moto = moto().await;
    let urls = Urls { local: moto.url().to_owned(), moto: moto.url().to_owned() };
    let folder = tempfile::tempdir().expect("a folder");
    let out = prove(&urls, folder.path(), &ALL).await;
    let said = format!("{}{}", text(&out.stdout), text(&out.stderr));
    let verdicts = all_verdicts(folder.path(), &listed(&urls, folder.path()).await);
    assert!(!verdicts.values().any(|verdict| verdict == "failed"), "{said}");
    // moto refuses no record and has no CloudWatch for today's SDKs. An event that is due for no call says nothing.
    for fact in [
        "put-record-refused",
        "write-metric-lag",
        "alarm-delay",
        "tag-while-updating",
        "stack-heals",
        "cloudtrail-put-record",
        "cloudtrail-delay",
        "cloudtrail-kms",
    ] {
        assert_eq!(verdicts[fact], "not_available", "{fact}: {said}");
    }
    // moto knows no limit of a reshard.
    for fact in ["above-double", "eleventh-reshard"] {
        assert_eq!(verdicts[fact], "different", "{fact}: {said}");
    }
    assert_eq!(left(&urls).await, Vec::<String>::new(), "{said}");
}

#[tokio::test]
async fn a_proof_goes_on_with_the_steps_that_are_not_settled() {
    let (account, moto) = (local(1, Duration::from_secs(3_600), Duration::ZERO).await, moto().await);
    let urls = Urls { local: account.url().to_owned(), moto: moto.url().to_owned() };
    let folder = tempfile::tempdir().expect("a folder");
    let pay = ["--i-know-this-costs-up-to", "2", "--only"];
    let out = prove(&urls, folder.path(), &[&pay[..], &["tag-updating"]].concat()).await;
    assert_eq!(out.status.code(), Some(0), "{}{}", text(&out.stdout), text(&out.stderr));
    let page = std::fs::read_to_string(folder.path().join("proof/proof.md")).expect("a page");
    assert!(page.contains("| `tag-while-updating` | seen |") && page.contains("and not from AWS"), "{page}");
    assert!(page.contains(", pace 1.\n") && !page.contains("was said to run"), "{page}");
    let again = prove(&urls, folder.path(), &[&pay[..], &["reshards"]].concat()).await;
    assert_eq!(again.status.code(), Some(2), "{}", text(&again.stderr));
    assert!(text(&again.stderr).contains("proof.json is there already"), "{}", text(&again.stderr));
    let faster = prove(&urls, folder.path(), &[&pay[..], &["reshards", "--resume", "--pace", "60"]].concat()).await;
    assert_eq!(faster.status.code(), Some(2), "{}", text(&faster.stderr));
    assert!(text(&faster.stderr).contains("has pace 1, and this command 60"), "{}", text(&faster.stderr));
    account.reset_calls();
    let out = prove(&urls, folder.path(), &[&pay[..], &["tag-updating,eleventh-reshard", "--resume"]].concat()).await;
    assert_eq!(out.status.code(), Some(0), "{}{}", text(&out.stdout), text(&out.stderr));
    assert_eq!(account.calls().get("Kinesis.TagResource"), None, "the step has its verdict");
    let verdicts = verdicts(&proof(folder.path()));
    let of = |fact: &str, verdict: &str| (fact.to_owned(), verdict.to_owned());
    assert_eq!(verdicts, [of("eleventh-reshard", "not_available"), of("tag-while-updating", "seen")]);
}

#[tokio::test]
async fn a_denied_call_is_not_available_and_its_action_is_named_without_the_caller() {
    let (account, moto) = (local(3_600, Duration::ZERO, Duration::ZERO).await, moto().await);
    let urls = Urls { local: account.url().to_owned(), moto: moto.url().to_owned() };
    let message = "User: arn:aws:sts::123456789012:assumed-role/admin/alice is not authorized to perform: \
                   cloudwatch:DescribeAlarmContributors on resource: * because no identity-based policy allows the \
                   cloudwatch:DescribeAlarmContributors action";
    let (code, message) = ("AccessDenied".to_owned(), message.to_owned());
    let operation = "DescribeAlarmContributors".to_owned();
    account.add_fault(Fault { operation, skip: 0, times: 1_000, effect: Effect::Error { status: 403, code, message } });
    let folder = tempfile::tempdir().expect("a folder");
    let args = ["--only", "contributor-alarm", "--pace", "3600", "--i-know-this-costs-up-to", "2"];
    let out = prove(&urls, folder.path(), &args).await;
    let said = format!("{}{}", text(&out.stdout), text(&out.stderr));
    let proof = proof(folder.path());
    let findings = proof["steps"][0]["findings"].as_array().expect("findings");
    let found = findings.iter().find(|finding| finding["fact"] == "alarm-contributors").expect("a finding");
    assert_eq!(found["verdict"], "not_available", "{said}");
    let seen = found["seen"].as_str().expect("text");
    assert!(seen.contains("no identity-based policy allows cloudwatch:DescribeAlarmContributors"), "{seen}");
    assert!(!proof.to_string().contains("alice") && !proof.to_string().contains("123456789012"), "{proof}");
    assert_eq!(left(&urls).await, Vec::<String>::new(), "{said}");
}

/// An account with an unthrottle inside, as a person starts it. It ends with the test.
struct Healed(std::process::Child);

impl Drop for Healed {
    fn drop(&mut self) {
        let _ = self.0.kill().and_then(|()| self.0.wait());
    }
}

#[tokio::test]
async fn the_step_of_the_stack_sees_a_stream_heal() {
    let mut local = Command::new(env!("CARGO_BIN_EXE_unthrottle"));
    local.args(["local", "--port", "0", "--heal", "--pace", "20"]).stdout(Stdio::piped());
    let mut local = Healed(local.spawn().expect("it starts"));
    let mut printed = BufReader::new(local.0.stdout.take().expect("piped"));
    let mut line = String::new();
    printed.read_line(&mut line).expect("readable");
    let url = line.split_whitespace().find_map(|word| word.strip_suffix(',').filter(|it| it.starts_with("http")));
    let url = url.unwrap_or_else(|| panic!("no address: {line}")).to_owned();
    // Read on: the command ends when its output has no reader.
    std::thread::spawn(move || std::io::copy(&mut printed, &mut std::io::sink()));
    let urls = Urls { moto: url.clone(), local: url };
    let folder = tempfile::tempdir().expect("a folder");
    let args = ["--only", "stack", "--with-stack", "unthrottle", "--pace", "20", "--i-know-this-costs-up-to", "2"];
    let out = prove(&urls, folder.path(), &args).await;
    let said = format!("{}{}", text(&out.stdout), text(&out.stderr));
    assert!(out.status.success(), "{said}");
    let of = |fact: &str, verdict: &str| (fact.to_owned(), verdict.to_owned());
    let wanted = [of("deployed-role", "not_available"), of("stack-heals", "seen")];
    assert_eq!(verdicts(&proof(folder.path())), wanted, "{said}");
}

#[tokio::test]
async fn an_error_of_fis_is_told_from_other_refusals() {
    for (code, error, metric) in [
        ("ProvisionedThroughputExceededException", "seen", "seen"),
        ("KMSDisabledException", "different", "not_available"),
    ] {
        let (account, moto) = (quick(3_600).await, moto().await);
        let urls = Urls { local: account.url().to_owned(), moto: moto.url().to_owned() };
        refuse(&account, "PutRecord", (0, 1_000), code, "injected");
        let folder = tempfile::tempdir().expect("a folder");
        let args = ["--only", "fis", "--with-fis", FIS_ROLE, "--pace", "3600", "--i-know-this-costs-up-to", "2"];
        let out = prove(&urls, folder.path(), &args).await;
        let said = format!("{}{}", text(&out.stdout), text(&out.stderr));
        let of = |fact: &str, verdict: &str| (fact.to_owned(), verdict.to_owned());
        assert_eq!(verdicts(&proof(folder.path())), [of("fis-error", error), of("fis-metric", metric)], "{said}");
        assert_eq!(left(&urls).await, Vec::<String>::new(), "{said}");
    }
}

/// Refuses these calls of an operation.
fn refuse(account: &LocalAccount, operation: &str, (skip, times): (u32, u32), code: &str, message: &str) {
    let effect = Effect::Error { status: 400, code: code.into(), message: message.into() };
    account.add_fault(Fault { operation: operation.into(), skip, times, effect });
}

/// Runs a step on an account of its own, where `refuse` prepares the refusals. Returns the verdicts and the output.
async fn step_with(step: &str, refuse: impl FnOnce(&LocalAccount)) -> (BTreeMap<String, String>, String) {
    // An alarm needs more of the machine's time than the other steps.
    let pace = if step == "contributor-alarm" { 60 } else { 3_600 };
    let account = quick(pace).await;
    refuse(&account);
    let urls = Urls { local: account.url().to_owned(), moto: account.url().to_owned() };
    let folder = tempfile::tempdir().expect("a folder");
    let args = ["--only", step, "--spend-reshards", "--i-know-this-costs-up-to", "2"];
    let out = prove(&urls, folder.path(), &args).await;
    let said = format!("{step}: {}{}", text(&out.stdout), text(&out.stderr));
    (verdicts(&proof(folder.path())).into_iter().collect(), said)
}

const RATE: &str = "Rate exceeded for stream orders under account 123456789012.";

#[tokio::test]
async fn a_refused_rate_is_asked_again_and_what_stays_is_no_verdict() {
    const LIMIT: &str = "LimitExceededException";
    // Which calls are refused, and the verdict of the fact. The calls that are not measured are tried four times each.
    for (step, operation, calls, code, message, fact, verdict) in [
        ("shard-limits", "UpdateShardCount", (0, 3), LIMIT, RATE, "above-double", "seen"),
        ("shard-limits", "UpdateShardCount", (0, 999), LIMIT, RATE, "above-double", "failed"),
        ("shard-limits", "UpdateShardCount", (0, 999), LIMIT, RATE, "same-count", "failed"),
        ("shard-limits", "UpdateShardCount", (0, 999), "ThrottlingException", "", "above-double", "failed"),
        ("shard-limits", "UpdateShardCount", (1, 2), LIMIT, RATE, "same-count", "seen"),
        ("shard-limits", "UpdateShardCount", (1, 999), LIMIT, RATE, "same-count", "failed"),
        ("shard-limits", "UpdateShardCount", (5, 999), "ThrottlingException", "", "same-count", "failed"),
        // AWS can have the words of a rate for a limit of a day, which a call counts for that AWS accepted before.
        ("shard-limits", "UpdateShardCount", (5, 999), LIMIT, RATE, "same-count", "different"),
        ("eleventh-reshard", "UpdateShardCount", (10, 2), LIMIT, RATE, "eleventh-reshard", "seen"),
        ("eleventh-reshard", "UpdateShardCount", (10, 999), "ThrottlingException", "", "eleventh-reshard", "failed"),
        ("tag-updating", "TagResource", (0, 999), LIMIT, RATE, "tag-while-updating", "failed"),
        ("contributor-alarm", "PutMetricAlarm", (0, 6), "Throttling", "Rate exceeded", "account-clause", "seen"),
        ("contributor-alarm", "PutMetricAlarm", (0, 999), "Throttling", "Rate exceeded", "account-clause", "failed"),
        ("contributor-alarm", "PutMetricAlarm", (0, 999), "LimitExceeded", "too many", "account-clause", "failed"),
        ("contributor-alarm", "PutMetricAlarm", (0, 999), "ValidationError", "no", "account-clause", "different"),
        ("contributor-alarm", "DescribeAlarmContributors", (0, 9), "Throttling", "", "alarm-contributors", "seen"),
        (
            "contributor-alarm",
            "DescribeAlarmContributors",
            (0, 9_999),
            "Throttling",
            "",
            "alarm-contributors",
            "failed",
        ),
        ("refusals", "PutRecord", (0, 9_999), "ThrottlingException", "", "put-record-refused", "not_available"),
    ] {
        let (verdicts, said) = step_with(step, |account| refuse(account, operation, calls, code, message)).await;
        assert_eq!(verdicts[fact], verdict, "{operation} {calls:?} {code}: {said}");
    }
}

#[tokio::test]
async fn a_resumed_proof_asks_again_what_a_rate_had_refused() {
    let account = quick(3_600).await;
    // As often as the step asks.
    refuse(&account, "UpdateShardCount", (0, 6), "LimitExceededException", RATE);
    let urls = Urls { local: account.url().to_owned(), moto: account.url().to_owned() };
    let folder = tempfile::tempdir().expect("a folder");
    let args = ["--only", "shard-limits", "--pace", "3600", "--i-know-this-costs-up-to", "2"];
    let of = |verdict: &str| ["above-double", "same-count"].map(|fact| (fact.to_owned(), verdict.to_owned()));
    let out = prove(&urls, folder.path(), &args).await;
    assert_eq!((verdicts(&proof(folder.path())), out.status.code()), (of("failed").to_vec(), Some(1)));
    let out = prove(&urls, folder.path(), &[&args[..], &["--resume"]].concat()).await;
    assert_eq!((verdicts(&proof(folder.path())), out.status.code()), (of("seen").to_vec(), Some(0)));
    let out = prove(&urls, folder.path(), &[&args[..], &["--resume"]].concat()).await;
    let said = text(&out.stdout);
    assert!(out.status.success() && said.contains("0 steps in account") && said.contains(", $0.00 at list"), "{said}");
}

#[tokio::test]
async fn the_lag_of_the_first_minute_is_measured_while_the_load_goes_on() {
    // A minute of the account is six seconds, and a minute is shown 20 s after its end.
    let account = local(10, Duration::ZERO, Duration::from_secs(20)).await;
    let urls = Urls { local: account.url().to_owned(), moto: account.url().to_owned() };
    let folder = tempfile::tempdir().expect("a folder");
    let out = prove(&urls, folder.path(), &["--only", "metric-lag", "--i-know-this-costs-up-to", "2"]).await;
    let said = format!("{}{}", text(&out.stdout), text(&out.stderr));
    let proof = proof(folder.path());
    let lags = proof["steps"][0]["measured"]["metric_lags"].as_array().expect("lags");
    let mut least = BTreeMap::<&str, f64>::new();
    for lag in lags {
        let (minute, seconds) = (lag["minute"].as_str().expect("a minute"), lag["seconds"].as_f64().expect("a number"));
        let known = least.entry(minute).or_insert(seconds);
        *known = seconds.min(*known);
    }
    assert!(least.len() == 2 && least.values().all(|seconds| (10.0..60.0).contains(seconds)), "{least:?}: {said}");
}
