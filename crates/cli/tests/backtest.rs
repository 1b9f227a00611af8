//! `unthrottle backtest`, as a person types it: over the wire, and from a file.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::SystemTime;
use unthrottle_core::memory::{Change, ChangeKind, Memory, TAG};
use unthrottle_lab::local::{Effect, Fault, LocalAccount, Options};

const CALL: &str = "CloudWatch.GetMetricData";

/// An account with this many whole days before today. In one hour of each day, the load is twice what two shards
/// accept.
async fn account(days: u64, options: Options) -> LocalAccount {
    let account = LocalAccount::start(options).await.expect("a free port");
    account.add_streams(["orders".to_owned()], 2, &[]).await;
    for ago in 1..=days {
        let midnight = midnight(ago);
        for minute in 0..24 * 60 {
            let (records, throttled) = if minute / 60 == 12 { (120_000.0, 120_000.0) } else { (60_000.0, 0.0) };
            let time = midnight + TimeDelta::minutes(minute);
            put(&account, time, records, throttled);
        }
    }
    account
}

fn midnight(ago: u64) -> DateTime<Utc> {
    let day: NaiveDate = Utc::now().date_naive() - Days::new(ago);
    day.and_time(NaiveTime::MIN).and_utc()
}

fn put(account: &LocalAccount, time: DateTime<Utc>, records: f64, throttled: f64) {
    let put = |metric: &str, value: f64| {
        account.put_metric("AWS/Kinesis", metric, &[("StreamName", "orders")], SystemTime::from(time), value);
    };
    put("IncomingBytes", 500.0 * records);
    put("IncomingRecords", records);
    put("WriteProvisionedThroughputExceeded", throttled);
}

/// An empty folder, for this test alone.
fn folder(test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("backtest").join(test);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("made");
    folder
}

fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_unthrottle"));
    command.arg("backtest").args(args).current_dir(folder).env("XDG_CACHE_HOME", folder.join("caches"));
    command.env("AWS_ACCESS_KEY_ID", "key").env("AWS_SECRET_ACCESS_KEY", "secret");
    command
}

/// Exit code, standard output and standard error.
fn output(out: Output) -> (i32, String, String) {
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (out.status.code().expect("an exit code"), text(out.stdout), text(out.stderr))
}

async fn backtest(account: &LocalAccount, folder: &Path, args: &[&str]) -> (i32, String, String) {
    let mut command = command(folder, args);
    command.args(["--endpoint-url", account.url(), "--region", "us-east-1"]);
    output(tokio::task::spawn_blocking(move || command.output()).await.expect("no panic").expect("runs"))
}

async fn document(account: &LocalAccount, folder: &Path, args: &[&str]) -> (Value, String) {
    let (code, out, err) = backtest(account, folder, &[args, &["--json"]].concat()).await;
    assert_eq!(code, 0, "{err}");
    (serde_json::from_str(&out).expect("JSON and nothing else"), err)
}

/// The files of the cache.
fn kept(folder: &Path) -> Vec<PathBuf> {
    let days = folder.join("cache/backtest/aws/123456789012/us-east-1/stream-orders");
    let mut kept: Vec<PathBuf> =
        std::fs::read_dir(days).map(|days| days.map(|day| day.expect("readable").path()).collect()).unwrap_or_default();
    kept.sort();
    kept
}

/// The number of cached days. In the first hour of a day, yesterday is not cached.
fn finished(days: u64) -> usize {
    let is_fresh = Utc::now() - midnight(0) < TimeDelta::hours(1);
    days as usize - usize::from(is_fresh)
}

#[tokio::test]
async fn a_past_is_read_in_one_call_and_a_day_only_once() {
    let (account, folder) = (account(2, Options::default()).await, folder("once"));
    let args = ["orders", "--days", "2", "--cache", "cache"];
    let (first, _) = document(&account, &folder, &args).await;
    assert_eq!(account.calls()[CALL], 1);
    assert_eq!(
        (&first["shards"], &first["shards_from"], &first["minutes_with_data"]),
        (&2.into(), &"now".into(), &2_880.into())
    );
    assert_eq!(first["throttled"], 2.0 * 60.0 * 120_000.0);
    let policy = |name: &str| {
        let policies = first["policies"].as_array().expect("a list");
        policies.iter().find(|policy| policy["policy"] == name).expect(name).clone()
    };
    let throttled = |name: &str| policy(name)["throttled"].as_f64().expect("a number");
    assert_eq!(throttled("as it was"), 14_400_000.0);
    assert!(throttled("unthrottle") < 1_500_000.0, "{first:#}");
    assert_eq!((throttled("best static"), policy("best static")["shards_at_the_end"].clone()), (0.0, 4.into()));
    let simulated = first["throttled_simulated"].as_f64().expect("a number");
    assert!((simulated / 14_400_000.0 - 1.0).abs() < 0.01, "{simulated}");
    let change = &first["hours"][0];
    assert_eq!(
        (&change["begins"], &change["throttled_then"]),
        (&format!("{}T12:00:00Z", midnight(2).date_naive()).into(), &7_200_000.0.into())
    );
    assert_eq!((&change["what"][0]["code"], &change["what"][0]["from"]), (&"scale_shards".into(), &2.into()));

    assert_eq!(kept(&folder).len(), finished(2));
    // A datapoint that is added to a cached day is not read.
    put(&account, midnight(2), 1e9, 1e9);
    account.reset_calls();
    let (second, err) = document(&account, &folder, &args).await;
    assert!(err.contains(&format!("{} of 2 days were kept", finished(2))), "{err}");
    assert!(account.calls().get(CALL).is_none_or(|calls| *calls == 1), "today");
    assert_eq!(second["hours"], first["hours"]);
}

#[tokio::test]
async fn a_fault_in_the_middle_leaves_days_from_which_the_next_run_goes_on() {
    // A page holds a little more than a day.
    let options = Options { datapoints_per_page: 3 * 1_440 + 100, ..Options::default() };
    let (account, folder) = (account(3, options).await, folder("fault"));
    account.add_fault(Fault {
        operation: "GetMetricData".into(),
        skip: 2,
        times: 1,
        effect: Effect::Error { status: 400, code: "AccessDenied".into(), message: "not allowed".into() },
    });
    let args = ["orders", "--days", "3", "--cache", "cache"];
    let (code, out, err) = backtest(&account, &folder, &args).await;
    assert_eq!((code, out.as_str()), (1, ""), "{err}");
    assert!(err.contains("AWS denied cloudwatch:GetMetricData: ") && err.contains("not allowed"), "{err}");
    assert!(err.contains(&format!("what was read up to {} is kept", midnight(1).date_naive())), "{err}");
    assert_eq!(kept(&folder).len(), 2, "two pages came");
    account.reset_calls();
    let (resumed, err) = document(&account, &folder, &args).await;
    assert!(err.contains("2 of 3 days were kept"), "{err}");
    assert_eq!(account.calls()[CALL], 1, "of three");
    account.reset_calls();
    let (whole, _) = document(&account, &folder, &["orders", "--days", "3"]).await;
    assert_eq!(account.calls()[CALL], 3);
    assert_eq!(resumed["hours"], whole["hours"]);
    assert!(!folder.join("caches").exists(), "an emulator's days are kept only where that is asked for");
}

#[tokio::test]
async fn a_damaged_day_is_named_and_read_anew() {
    let (account, folder) = (account(2, Options::default()).await, folder("damaged"));
    let args = ["orders", "--days", "2", "--cache", "cache"];
    let (first, _) = document(&account, &folder, &args).await;
    let day = kept(&folder)[0].clone();
    let text = std::fs::read_to_string(&day).expect("readable");
    std::fs::write(&day, text.replacen("60000", "66000", 1)).expect("written");
    let (second, err) = document(&account, &folder, &args).await;
    let name = day.file_name().expect("a name").to_string_lossy();
    assert!(err.contains(&format!("{name}: damaged, and read anew")), "{err}");
    assert_eq!(second["hours"], first["hours"]);
    assert_eq!(std::fs::read_to_string(&day).expect("readable"), text, "and kept again");
}

#[tokio::test]
async fn a_stream_without_traffic_and_one_that_is_not_there_are_errors() {
    let (account, folder) = (account(0, Options::default()).await, folder("empty"));
    let (code, _, err) = backtest(&account, &folder, &["orders"]).await;
    assert_eq!(code, 1);
    assert!(err.contains("no traffic of `orders`"), "{err}");
    let (code, _, err) = backtest(&account, &folder, &["clicks"]).await;
    assert_eq!(code, 2);
    assert!(err.contains("there is no stream `clicks` in this region. The nearest: orders"), "{err}");
}

#[tokio::test]
async fn the_streams_own_tags_bound_what_would_have_been_done() {
    let account = LocalAccount::start(Options::default()).await.expect("a free port");
    let tags = [("unthrottle.max-shards", "3"), ("unthrottle.mode", "off"), ("unthrottle.on-demand", "deny")];
    account.add_streams(["orders".to_owned()], 2, &tags).await;
    for minute in 0..120 {
        put(&account, midnight(1) + TimeDelta::minutes(minute), 120_000.0, 120_000.0);
    }
    let (bounded, _) = document(&account, &folder("tags"), &["orders", "--days", "1"]).await;
    assert_eq!(bounded["policies"][1]["policy"], "unthrottle");
    assert_eq!(bounded["policies"][1]["shards_at_the_end"], 3, "{bounded:#}");
}

/// A file of three hours. In the second hour, half of the records are refused.
fn csv(folder: &Path) -> PathBuf {
    let mut text = "timestamp,incoming_bytes,incoming_records,write_throttled\n".to_owned();
    for minute in 0..180 {
        let (records, throttled) = if minute / 60 == 1 { (120_000, 60_000) } else { (60_000, 0) };
        text +=
            &format!("2026-11-20T{:02}:{:02}:00Z,{},{records},{throttled}\n", minute / 60, minute % 60, 500 * records);
    }
    let path = folder.join("past.csv");
    std::fs::write(&path, text).expect("written");
    path
}

fn of_file(folder: &Path, args: &[&str]) -> (i32, String, String) {
    output(command(folder, &[&["--csv", "past.csv"], args].concat()).output().expect("runs"))
}

#[test]
fn a_file_is_reported_hour_by_hour_with_the_basis_of_the_estimate() {
    let folder = folder("file");
    csv(&folder);
    let (code, out, err) = of_file(&folder, &["--report", "page.html"]);
    assert_eq!((code, err.as_str()), (0, ""));
    for line in [
        "2026-11-20 00:00 to 2026-11-20 03:00 (UTC), 180 minutes known, on 2 shards",
        "unthrottle would have made 1 change and AWS would have refused ",
        "  as it was                    2  3,600,000        ?      6.0",
        "  best static                  4          0        0     12.0",
        "  2026-11-20 01:00  scale_shards 2 → 4  3,600,000 → ",
        "An estimate: ",
        "a quota of 20,000 shards, and no throughput commitment",
    ] {
        assert!(out.contains(line), "{line}:\n{out}");
    }
    assert!(!out.contains("Doubtful"), "{out}");
    let html = std::fs::read_to_string(folder.join("page.html")).expect("written");
    let body = &html[html.find("<body").expect("a body")..html.find("</html>").expect("an end")];
    let body = roxmltree::Document::parse(body).expect("well-formed");
    assert_eq!(
        body.descendants().filter(|node| node.has_tag_name("svg")).count(),
        7,
        "one for each, and the incident closer"
    );
    assert!(html.contains("scale_shards: 2 → 4 shards") && !html.contains("http"));
    let (_, again, _) = of_file(&folder, &["--report", "again.html"]);
    assert_eq!(again, out);
    assert_eq!(std::fs::read_to_string(folder.join("again.html")).expect("written"), html);
}

#[test]
fn every_number_of_the_table_has_its_thousands_apart() {
    let folder = folder("thousands");
    csv(&folder);
    let (code, out, err) = of_file(&folder, &["--shards", "10000"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains("  as it was               10,000 "), "{out}");
    assert!(!out.lines().any(|line| line.starts_with("  ") && line.contains(" 10000 ")), "{out}");
}

#[test]
fn a_wrong_number_of_shards_is_doubted() {
    let folder = folder("doubt");
    csv(&folder);
    let (_, out, _) = of_file(&folder, &["--shards", "1"]);
    assert!(out.contains("Doubtful: in 60 minutes more was accepted than 1 shard takes"), "{out}");
    assert!(out.contains("2 at least"), "{out}");
}

#[test]
fn an_error_in_a_command_or_its_file_is_named_and_exits_with_2() {
    let folder = folder("bad");
    let path = csv(&folder);
    let mut text = std::fs::read_to_string(&path).expect("readable");
    text += "2026-11-20T02:00:00Z,1,1,0\n";
    std::fs::write(&path, text).expect("written");
    let (code, out, err) = of_file(&folder, &[]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.contains("past.csv:182: 2026-11-20T02:00Z stands after 2026-11-20T02:59Z"), "{err}");
    for args in [&["--csv", "none.csv"][..], &[], &["orders", "--days", "15"], &["orders", "--csv", "past.csv"]] {
        let (code, _, err) = output(command(&folder, args).output().expect("runs"));
        assert_eq!(code, 2, "{args:?}: {err}");
    }
    let (_, _, err) = output(command(&folder, &[]).output().expect("runs"));
    assert!(err.contains("give a stream, --csv FILE or --export FILE"), "{err}");
    csv(&folder);
    let (code, _, err) = of_file(&folder, &["--report", "no/page.html"]);
    assert_eq!(code, 2);
    assert!(err.contains("no/page.html: cannot be written"), "{err}");
}

/// The memory that a run of a hostile file may use, in KiB of addresses: far below the 128 GiB that one value of 1e30
/// asked for.
const MOST_KIB: u32 = 4 << 20;

#[test]
fn a_hostile_file_ends_in_a_named_error_or_in_a_result_within_bounded_memory() {
    let folder = folder("hostile");
    let right = "2026-11-20T00:00:00Z,500000,1000,0\n2026-11-20T00:01:00Z,500000,1000,0\n";
    let at = |minute: u32, rest: &str| format!("2026-11-20T{:02}:{:02}:00Z,{rest}\n", minute / 60, minute % 60);
    let rows = |apart: u32, rest: &str| (0..20).map(|row| at(apart * row, rest)).collect::<String>();
    for (text, code, says) in [
        (format!("{right}{}", at(2, "1e30,1e30,0")), 2, ":3: incoming_bytes is 1,000,000"),
        (format!("{right}{}", at(2, "1e9,1e9,0")), 2, ":3: incoming_records is 1,000,000,000, and the largest stream"),
        (format!("{right}{}", at(2, "500000,1000,1e300")), 2, ":3: write_throttled is 1,000,000"),
        (format!("{right}{}", at(2, "1000,500000,0")), 2, ":3: incoming_bytes is 1000 and incoming_records is 500000"),
        (format!("{right}{}", at(2, "500000,1000,1e9")), 0, "best static"),
        (rows(5, "22500000,450000,0"), 0, "on 2 shards"),
        (rows(5, "22500000,450000,0"), 0, "Each row counts 5 minutes (as the rows are apart"),
        (rows(7, "22500000,450000,0"), 2, "give --period MINUTES"),
        (at(0, "500000,1000,0"), 2, ":1: one row does not show how many minutes it counts"),
        (format!("\u{feff}{right}"), 0, "2 minutes known"),
        (String::new(), 2, "no row is in the file"),
        (
            format!("2025-11-21T00:00:00Z,1e11,1e8,0\n2025-11-21T00:01:00Z,1e11,1e8,0\n{right}"),
            2,
            "are too much to simulate",
        ),
    ] {
        std::fs::write(folder.join("past.csv"), &text).expect("written");
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("ulimit -v {MOST_KIB}; exec \"$0\" backtest --csv past.csv")]);
        shell.arg(env!("CARGO_BIN_EXE_unthrottle")).current_dir(&folder);
        let (found, out, err) = output(shell.output().expect("runs"));
        assert_eq!(found, code, "{text}: {out}{err}");
        assert!(out.contains(says) || err.contains(says), "{says}: {text}: {out}{err}");
    }
}

#[tokio::test]
async fn the_past_follows_what_unthrottle_itself_changed() {
    let account = LocalAccount::start(Options::default()).await.expect("a free port");
    let changed_at = midnight(1) + TimeDelta::hours(13);
    let change = Change::intent(ChangeKind::Scale, 2, 4, changed_at);
    let tag = Memory::default().intend(change, false).encode().expect("short");
    account.add_streams(["orders".to_owned()], 4, &[(TAG, &tag)]).await;
    for minute in 0..24 * 60 {
        let time = midnight(1) + TimeDelta::minutes(minute);
        let (records, throttled) = match minute / 60 {
            12 => (120_000.0, 60_000.0),
            13 => (180_000.0, 0.0),
            _ => (60_000.0, 0.0),
        };
        put(&account, time, records, throttled);
    }
    let dimensions = [("StreamName", "orders"), ("Action", "scale_shards")];
    account.put_metric("Unthrottle", "AutoFix", &dimensions, SystemTime::from(changed_at), 1.0);
    let folder = folder("changed");
    let (document, _) = document(&account, &folder, &["orders", "--days", "1"]).await;
    assert_eq!((&document["shards"], &document["shards_from"]), (&2.into(), &"changes".into()));
    assert_eq!(document["minutes_beyond_shards"], 0, "four shards took what two did not");
    let past = &document["policies"][0];
    let shards = (&past["shards_at_the_beginning"], &past["shards_at_the_end"]);
    assert_eq!((&past["policy"], shards), (&"as it was".into(), (&2.into(), &4.into())));
    let simulated = document["throttled_simulated"].as_f64().expect("a number");
    assert!((simulated / 3_600_000.0 - 1.0).abs() < 0.1, "{simulated}");
    let caveats = document["caveats"].to_string();
    assert!(!caveats.contains("Doubtful"), "{document:#}");
    assert!(caveats.contains("unthrottle itself healed the stream") && caveats.contains("sent again"), "{document:#}");
}

#[test]
fn the_report_fits_its_screen_at_any_width() {
    let folder = folder("widths");
    csv(&folder);
    for width in [40, 60, 80, 120] {
        let mut command = command(&folder, &["--csv", "past.csv"]);
        let (code, out, _) = output(command.env("COLUMNS", width.to_string()).output().expect("runs"));
        assert_eq!(code, 0);
        let long: Vec<&str> = out.lines().filter(|line| line.chars().count() > width).collect();
        assert!(long.is_empty(), "{width}: {long:#?}");
        assert!(out.contains("$") && !out.contains('\u{1b}'), "{out}");
    }
    let mut wide = command(&folder, &["--csv", "past.csv", "--wide"]);
    let (_, out, _) = output(wide.env("COLUMNS", "40").output().expect("runs"));
    assert!(out.contains("shard-h"), "{out}");
}
