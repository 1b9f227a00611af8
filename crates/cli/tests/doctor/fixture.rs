//! A stream without a fault, the doctor's command, and what it prints.

use crate::aws::Aws;
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use serde_json::{Value, json};
use std::process::Command;
use std::sync::LazyLock;
use unthrottle_cli::STACK_TAG;
use unthrottle_lab::local::{Clock, LocalAccount, Options};

pub const STREAM: &str = "orders";

/// Bytes of a record of the clean stream: most of a PUT payload unit.
pub const RECORD: f64 = 24.0 * 1024.0;

/// The load of the clean stream, in records a second: 0.8 MiB/s, 40 % of two shards.
pub const RECORDS: f64 = 34.0;

/// The metrics of unthrottle's alarms on all streams.
const FLEET_ALARMS: [&str; 3] =
    ["WriteProvisionedThroughputExceeded", "ReadProvisionedThroughputExceeded", "GetRecords.IteratorAgeMilliseconds"];

/// An account with a stream, its steady past, and nothing wrong with it.
pub struct Clinic {
    pub account: LocalAccount,
    pub aws: Aws,
}

/// What differs from the clean stream.
pub struct Seed {
    pub options: Options,
    pub shards: u32,
    pub record_bytes: f64,
    pub records_per_second: f64,
    /// The minutes since the last call of the reader.
    pub reader_stopped: i64,
    /// Alarms on the stream.
    pub alarms: bool,
    /// The alarms of unthrottle on all streams.
    pub fleet_alarms: bool,
    pub deployed: bool,
    /// Fields of the summary beside those of the clean stream.
    pub summary: Value,
}

impl Default for Seed {
    fn default() -> Seed {
        Seed {
            options: options(),
            shards: 2,
            record_bytes: RECORD,
            records_per_second: RECORDS,
            reader_stopped: 0,
            alarms: true,
            fleet_alarms: true,
            deployed: true,
            summary: json!({}),
        }
    }
}

/// The summary of a stream without encryption.
pub fn not_encrypted() -> Value {
    json!({ "EncryptionType": "NONE", "KeyId": null })
}

/// The time at which the account of each test begins to run: half past an hour. The part of the last hour that counts
/// is then the same whenever a test runs, and no hour ends in a test.
pub fn now() -> DateTime<Utc> {
    static NOW: LazyLock<DateTime<Utc>> = LazyLock::new(|| {
        let hour = Utc::now().duration_trunc(TimeDelta::hours(1)).expect("in range");
        hour + TimeDelta::minutes(30)
    });
    *NOW
}

/// An account whose clock runs from [`now`] on.
pub fn options() -> Options {
    Options { clock: Clock::like(now(), 1), ..Options::default() }
}

/// A minute of the last three hours that CloudWatch has published.
pub fn minutes_ago(minutes: i64) -> DateTime<Utc> {
    now() - TimeDelta::minutes(minutes)
}

impl Clinic {
    pub async fn of(seed: Seed) -> Clinic {
        let account = LocalAccount::start(seed.options.clone()).await.expect("a free port");
        account.add_streams([STREAM.to_owned()], seed.shards, &[]).await;
        let mut summary = json!({ "EncryptionType": "KMS", "KeyId": "alias/aws/kinesis" });
        let fields = summary.as_object_mut().expect("an object");
        fields.extend(seed.summary.as_object().expect("an object").clone());
        account.describe_as(STREAM, summary);
        if seed.deployed {
            account.add_rule("watch", &[(STACK_TAG, "unthrottle")]);
        }
        if seed.fleet_alarms {
            for metric in FLEET_ALARMS {
                account.add_fleet_alarm(metric, metric);
            }
        }
        if seed.alarms {
            account.add_alarm("orders-age", STREAM, "GetRecords.IteratorAgeMilliseconds");
            account.add_alarm("orders-writes", STREAM, "WriteProvisionedThroughputExceeded");
        }
        let aws = Aws::of(&account);
        let clinic = Clinic { account, aws };
        clinic.live(STREAM, seed.records_per_second, seed.record_bytes, seed.reader_stopped);
        clinic
    }

    /// The steady load of another stream, and its reader.
    pub fn live_of(&self, stream: &str, records_per_second: f64, record_bytes: f64) {
        self.live(stream, records_per_second, record_bytes, 0);
    }

    /// The steady load of a stream in the last 14 days, by the minute, and a reader that is up to date until it stops.
    fn live(&self, stream: &str, records_per_second: f64, record_bytes: f64, reader_stopped: i64) {
        let write = |at, records: f64| {
            self.put_of(stream, "IncomingRecords", at, records);
            self.put_of(stream, "IncomingBytes", at, records * record_bytes);
            self.put_of(stream, "PutRecords.TotalRecords", at, records);
        };
        let hour = now().duration_trunc(TimeDelta::hours(1)).expect("in range");
        let aged = |minute| self.put_of(stream, "GetRecords.IteratorAgeMilliseconds", minute, 900.0);
        let (mut minute, by_minute) = (hour - TimeDelta::days(14), hour - TimeDelta::hours(3));
        let stopped = minutes_ago(reader_stopped);
        while minute < now() {
            if records_per_second > 0.0 {
                write(minute, records_per_second * 60.0);
            }
            let is_called = minute >= by_minute || minute.timestamp() % 3_600 == 0;
            if is_called && (reader_stopped == 0 || minute < stopped) {
                aged(minute);
            }
            minute += TimeDelta::minutes(1);
        }
    }

    /// One sample of a metric of the stream.
    pub fn put(&self, metric: &str, at: DateTime<Utc>, value: f64) {
        self.put_of(STREAM, metric, at, value);
    }

    fn put_of(&self, stream: &str, metric: &str, at: DateTime<Utc>, value: f64) {
        self.account.put_metric("AWS/Kinesis", metric, &[("StreamName", stream)], at, value);
    }

    /// Runs the doctor.
    pub async fn doctor(&self, args: &[&str]) -> Output {
        let url = self.account.url();
        unthrottle(&[&["doctor"], args, &["--endpoint-url", url, "--region", "us-east-1"]].concat()).await
    }

    /// The findings of the stream, in the order of the page.
    pub async fn findings(&self, args: &[&str]) -> Vec<Value> {
        let out = self.doctor(&[args, &[STREAM, "--json"]].concat()).await;
        assert_eq!((out.code, out.err.as_str()), (0, ""), "{}", out.out);
        findings_in(&out)
    }
}

/// The findings of the first stream. Their commands can be pasted.
pub fn findings_in(out: &Output) -> Vec<Value> {
    assert!(!out.out.contains("-0.0"), "no number is minus zero: {}", out.out);
    let report: Value = serde_json::from_str(&out.out).expect("JSON");
    assert_eq!(report["version"], 1);
    let findings = report["streams"][0]["findings"].as_array().expect("findings").clone();
    findings.iter().for_each(must_run);
    findings
}

/// The programs of the commands that a fix may have.
const PROGRAMS: [&str; 3] = ["aws", "unthrottle", "make"];

/// The options that take several values.
const LISTS: [&str; 4] = ["--shard-level-metrics", "--alarm-names", "--tag-keys", "--dimensions"];

/// Each line of a fix is a command that a shell takes, or a comment beside one. A fix without a command has none in its
/// sentence.
pub fn must_run(finding: &Value) {
    let Some(fix) = finding["fix"].as_str() else { return };
    let program = |line: &str| line.split(' ').next().filter(|word| PROGRAMS.contains(word)).map(str::to_owned);
    if !fix.lines().any(|line| program(line).is_some()) {
        let has_command = PROGRAMS.iter().any(|program| fix.contains(&format!("{program} ")));
        assert!(!has_command && !fix.contains('\n'), "a command is in a sentence: {finding:#}");
        return;
    }
    let parsed = Command::new("bash").args(["-n", "-c", fix]).output().expect("bash");
    assert!(parsed.status.success() && parsed.stderr.is_empty(), "{fix}: {}", String::from_utf8_lossy(&parsed.stderr));
    for line in fix.lines().filter(|line| !line.starts_with("# ")) {
        assert!(program(line).is_some(), "neither a command nor a comment: {line}");
        assert!(!line.contains("; ") && !line.contains("&&"), "one command: {line}");
        let is_for_account = line.starts_with("make ") || line.contains("--endpoint-url");
        assert!(is_for_account || !fix.contains("--endpoint-url"), "for one account: {fix}");
        let (mut option, mut values, mut words) = ("", 0, 0);
        for word in line.split(' ') {
            assert!(!word.ends_with([',', ':', '.']), "prose: {line}");
            if word.starts_with("--") {
                (option, values) = (word, 0);
            } else if option.is_empty() {
                words += 1;
            } else {
                values += 1;
                // After the options of the account, the service and its operation follow.
                let is_account = ["--endpoint-url", "--region"].contains(&option);
                assert!(values < 2 || LISTS.contains(&option) || (is_account && values < 5), "prose: {line}");
            }
        }
        assert!(words <= 4, "prose: {line}");
    }
}

/// The exit code, standard output and standard error of a command.
pub struct Output {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// Runs the command line.
pub async fn unthrottle(args: &[&str]) -> Output {
    unthrottle_with(args, &[]).await
}

/// Runs the command line with these variables.
pub async fn unthrottle_with(args: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_unthrottle"));
    command
        .args(args)
        .envs(variables.iter().copied())
        .env("AWS_ACCESS_KEY_ID", "key")
        .env("AWS_SECRET_ACCESS_KEY", "secret");
    let out = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic").expect("runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Output { code: out.status.code().expect("an exit code"), out: text(out.stdout), err: text(out.stderr) }
}

/// The codes of the findings with this status.
pub fn with_status<'a>(findings: &'a [Value], status: &str) -> Vec<&'a str> {
    let of = findings.iter().filter(|finding| finding["status"] == status);
    of.map(|finding| finding["code"].as_str().expect("a code")).collect()
}

/// The finding of a check.
pub fn finding<'a>(findings: &'a [Value], code: &str) -> &'a Value {
    findings.iter().find(|finding| finding["code"] == code).unwrap_or_else(|| panic!("no {code}: {findings:?}"))
}
