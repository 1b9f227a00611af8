//! The figures that unthrottle is to keep, measured side by side. The release `bootstrap` runs under a Lambda Runtime
//! API and calls the local account over plain HTTP. On AWS each connection costs a TLS handshake more.
//!
//! usage: `make bench`, or `cargo bench --bench figures [-- --json]`. Exit code 1: a figure is missed.

#[path = "../tests/common/aws.rs"]
mod aws;
#[path = "../tests/common/lambda.rs"]
mod lambda;

use aws::{EASY, Load, TOO_MUCH_FOR_TWO, datapoints, sample};
use lambda::{Container, bootstrap, target};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use unthrottle_lab::local::{Effect, Fault, LocalAccount, Options};

/// Starts of each program, alternating. With fewer, the median varies with the other work of the machine.
const STARTS: usize = 25;

/// Containers whose first and tenth invocations are compared.
const CONTAINERS: usize = 15;

/// What a call takes where round trips are counted: far more than everything else together.
const ROUND_TRIP: Duration = Duration::from_millis(300);

/// Where Linux distributions keep their TLS roots.
const BUNDLES: [&str; 2] = ["/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/certs/ca-certificates.crt"];

/// Streams of the fleet that is swept.
const FLEET: usize = 5000;

/// How far back metrics are read.
const DAY_MINUTES: i64 = 24 * 60;

/// What is read of `AWS/Kinesis`.
const SERIES: [&str; 7] = [
    "GetRecords.Bytes",
    "GetRecords.IteratorAgeMilliseconds",
    "IncomingBytes",
    "IncomingRecords",
    "PutRecord.Bytes",
    "ReadProvisionedThroughputExceeded",
    "WriteProvisionedThroughputExceeded",
];

const KIB: f64 = 1024.0;

/// A measured figure and the most that it may be.
struct Figure {
    what: &'static str,
    measured: f64,
    unit: &'static str,
    most: f64,
    detail: String,
}

impl Figure {
    fn new(what: &'static str, measured: f64, unit: &'static str, most: f64) -> Figure {
        Figure { what, measured, unit, most, detail: String::new() }
    }

    fn detail(self, detail: String) -> Figure {
        Figure { detail, ..self }
    }

    fn is_reached(&self) -> bool {
        self.measured <= self.most
    }

    fn verdict(&self) -> &'static str {
        if self.is_reached() { "reached" } else { "missed" }
    }

    fn row(&self) -> String {
        let Figure { what, measured, unit, most, detail } = self;
        format!("{what:<46} {measured:>7.2} {unit:<7} at most {most:>5} {:<8} {detail}", self.verdict())
    }

    fn json(&self) -> Value {
        let Figure { what, measured, unit, most, detail } = self;
        let reached = self.is_reached();
        json!({ "what": what, "measured": measured, "unit": unit, "most": most, "reached": reached, "detail": detail })
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    build(&["--bin", "bootstrap"]);
    build(&["--example", "bare"]);
    let figures =
        [round_trips().await, calls().await, size(), start().await, memory().await, cpu().await, sweep().await];
    let figures: Vec<Figure> = figures.into_iter().flatten().collect();
    if std::env::args().any(|argument| argument == "--json") {
        println!("{:#}", json!({ "figures": figures.iter().map(Figure::json).collect::<Vec<_>>() }));
    } else {
        figures.iter().for_each(|figure| println!("{}", figure.row()));
    }
    if figures.iter().all(Figure::is_reached) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Builds as the Lambda is built; cheap when it is up to date.
fn build(what: &[&str]) {
    let cargo = std::env::var_os("CARGO").unwrap_or("cargo".into());
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let status = Command::new(cargo)
        .args(["build", "--quiet", "--locked", "--release"])
        .args(what)
        .arg("--manifest-path")
        .arg(manifest)
        .arg("--target-dir")
        .arg(target())
        // What is printed here is the table.
        .stdout(Stdio::null())
        .status();
    assert!(status.expect("Cargo starts").success(), "cargo build {what:?} failed");
}

// ---- The account ----

/// An account with `streams` streams of two shards under the same load.
async fn account(streams: usize, load: Load) -> LocalAccount {
    let account = LocalAccount::start(Options::default()).await.expect("a free port");
    account.add_streams((0..streams).map(name), 2, &[]).await;
    for n in 0..streams {
        for (metric, at, value) in datapoints(load, 10, account.now()) {
            account.put_metric("AWS/Kinesis", metric, &[("StreamName", &name(n))], at, value);
        }
    }
    account.reset_calls();
    account
}

fn name(n: usize) -> String {
    format!("orders-{n}")
}

/// A person's ask. It always observes the stream.
fn ask(n: usize) -> Value {
    json!({ "stream": name(n) })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

// ---- The figures ----

/// From the signal until AWS has accepted the change, in sequential round trips.
async fn round_trips() -> Vec<Figure> {
    const CALLS: [&str; 8] = [
        "DescribeStreamSummary",
        "ListTagsForResource",
        "DescribeLimits",
        "ListShards",
        "GetMetricData",
        "TagResource",
        "UpdateShardCount",
        "PutMetricData",
    ];
    let account = account(1, TOO_MUCH_FOR_TWO).await;
    for operation in CALLS {
        let effect = Effect::Delay(ROUND_TRIP);
        account.add_fault(Fault { operation: operation.into(), skip: 0, times: u32::MAX, effect });
    }
    let mut container = Container::start(account.url(), &[]).await;
    let (signal, began) = (ask(0), Instant::now());
    let change = async {
        while !account.calls().contains_key("Kinesis.UpdateShardCount") {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // It has arrived, and is answered one round trip later.
        began.elapsed() + ROUND_TRIP
    };
    let (run, accepted) = tokio::join!(container.invoke(&signal), lambda::within(ROUND_TRIP * 20, "a change", change));
    assert_eq!(run.outcome(), "acted");
    let trips = accepted.as_secs_f64() / ROUND_TRIP.as_secs_f64();
    let figure = Figure::new("signal → change accepted", trips.floor(), "trips", 4.0);
    vec![figure.detail(format!("{} ms at {} ms a trip", accepted.as_millis(), ROUND_TRIP.as_millis()))]
}

async fn calls() -> Vec<Figure> {
    let throttled = account(1, TOO_MUCH_FOR_TWO).await;
    let healthy = account(1, EASY).await;
    let mut figures = vec![];
    for (what, account, event, outcome, most) in [
        ("AWS calls of an acting run", &throttled, ask(0), "acted", 8.0),
        ("AWS calls of a holding run", &healthy, ask(0), "held", 6.0),
        ("AWS calls where the signal says all", &healthy, sample("put_record_denied__access_denied"), "held", 0.0),
    ] {
        let mut container = Container::start(account.url(), &[]).await;
        account.reset_calls();
        assert_eq!(container.invoke(&event).await.outcome(), outcome, "{what}");
        figures.push(Figure::new(what, account.calls().values().sum::<u64>() as f64, "calls", most));
    }
    figures
}

/// A sweep over a fleet of which 40 streams throttle and 300 carry a memory, 30 of them with a change to verify.
async fn sweep() -> Vec<Figure> {
    const THROTTLED: usize = 40;
    const DUE: usize = 30;
    let account = LocalAccount::start(Options::default()).await.expect("a free port");
    let quiet = "v=1 change=scale/1/2/20261101T000000Z done=60 heal=120 sent=60";
    let announced = chrono::Utc::now() - chrono::TimeDelta::minutes(20);
    let unverified = format!("v=1 change=scale/1/2/{} done=60 sent=60", announced.format("%Y%m%dT%H%M%SZ"));
    let names = |what: &'static str, count: usize| (0..count).map(move |n| format!("{what}-{n}"));
    account.add_streams(names("idle", FLEET - THROTTLED - 300), 2, &[]).await;
    account.add_streams(names("healed", 300 - DUE), 2, &[("unthrottle.memory", quiet)]).await;
    account.add_streams(names("changed", DUE), 2, &[("unthrottle.memory", &unverified)]).await;
    account.add_streams(names("throttled", THROTTLED), 2, &[]).await;
    for (metric, at, value) in datapoints(TOO_MUCH_FOR_TWO, 10, account.now()) {
        names("throttled", THROTTLED).for_each(|name| {
            account.put_metric("AWS/Kinesis", metric, &[("StreamName", &name)], at, value);
        });
    }
    account.add_fleet_alarm("writes", "WriteProvisionedThroughputExceeded");
    account.add_fleet_alarm("reads", "ReadProvisionedThroughputExceeded");
    let mut container = Container::start(account.url(), &[("UNTHROTTLE_FLEET_ALARMS", "writes,reads")]).await;
    account.reset_calls();
    let began = Instant::now();
    let run = container.sweep().await;
    let swept = run.document();
    let took = began.elapsed().as_secs_f64();
    let number = |field: &str| swept[field].as_f64().expect("a number");
    assert_eq!(number("looked"), (THROTTLED + DUE) as f64, "{swept:#}");
    let checks = account.calls()["Kinesis.DescribeStreamSummary"] as f64;
    let detail = format!("of {FLEET} streams, {THROTTLED} throttled and {DUE} of 300 memories due");
    vec![
        Figure::new("calls in which a sweep finds them", number("finding_calls"), "calls", 8.0).detail(detail),
        Figure::new("checks of a sweep, of streams that need one", checks / number("looked"), "×", 1.0)
            .detail(format!("{checks} checks in {took:.1} s; changed {}", number("changed"))),
    ]
}

fn size() -> Vec<Figure> {
    let bytes = bootstrap().metadata().expect("built").len();
    vec![Figure::new("size of bootstrap", bytes as f64 / 1e6, "MB", 8.0)]
}

/// From the start of the process until it asks for its first event. Amazon Linux, which Lambda runs, has its TLS roots
/// in one file; Debian has them in a folder of links as well, which takes half as long again. So the one file
/// is named here, and what this machine's own way of finding them costs is shown beside it.
async fn start() -> Vec<Figure> {
    let bare = target().join("release/examples/bare");
    let one_file: Vec<_> = BUNDLES.into_iter().filter(|path| Path::new(path).is_file()).take(1).collect();
    let one_file: Vec<_> = one_file.into_iter().map(|path| ("SSL_CERT_FILE", path)).collect();
    let programs = [(bootstrap(), &one_file[..]), (bootstrap(), &[]), (bare, &[])];
    let mut times = [const { vec![] }; 3];
    for _ in 0..STARTS {
        for ((program, settings), times) in programs.iter().zip(&mut times) {
            let mut container = Container::launch(program.clone(), "http://127.0.0.1:9", settings).await;
            times.push(container.asks().await.as_secs_f64() * 1000.0);
        }
    }
    let [ours, found, bare] = times.map(median);
    let figure = Figure::new("process start → first /next, of a bare Lambda's", ours / bare, "×", 4.5);
    let detail = format!("{ours:.2} and {bare:.2} ms, medians of {STARTS}; {found:.2} with this machine's TLS roots");
    vec![figure.detail(detail)]
}

/// With a day of datapoints of every series that is read: as much as a stream in use ever has.
async fn memory() -> Vec<Figure> {
    let account = account(1, TOO_MUCH_FOR_TWO).await;
    for (_, at, _) in datapoints(TOO_MUCH_FOR_TWO, DAY_MINUTES, account.now()).into_iter().step_by(3) {
        for metric in SERIES {
            account.put_metric("AWS/Kinesis", metric, &[("StreamName", &name(0))], at, 1000.0);
        }
    }
    let mut container = Container::start(account.url(), &[]).await;
    let (before, cpu) = (peak_kib(container.id()), cpu_ms(container.id()));
    assert_eq!(container.invoke(&ask(0)).await.outcome(), "acted");
    let cpu = cpu_ms(container.id()) - cpu;
    let figure = Figure::new("peak memory after an acting run", peak_kib(container.id()) / KIB, "MiB", 12.0);
    let detail = format!("{:.2} MiB before it; {cpu:.2} ms of CPU, with a day of every series", before / KIB);
    vec![figure.detail(detail)]
}

/// The most memory that the process has had resident.
fn peak_kib(process: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("Linux, and the process lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// The first event ought to cost no more than later ones: a small function has a tenth of a CPU by then.
async fn cpu() -> Vec<Figure> {
    let (first, tenth) = first_and_tenth(10, TOO_MUCH_FOR_TWO, "acted").await;
    let (held_first, held_tenth) = first_and_tenth(1, EASY, "held").await;
    let figure = Figure::new("CPU of the first acting run, of the tenth's", first / tenth, "×", 1.5);
    vec![figure.detail(format!(
        "{first:.2} and {tenth:.2} ms, medians of {CONTAINERS}; holding {held_first:.2} (4 calls) and \
         {held_tenth:.2} (3)"
    ))]
}

/// CPU time of a container's first and tenth invocation, which go round the streams, in ms.
async fn first_and_tenth(streams: usize, load: Load, outcome: &str) -> (f64, f64) {
    let (mut first, mut tenth) = (vec![], vec![]);
    for _ in 0..CONTAINERS {
        let account = account(streams, load).await;
        let mut container = Container::start(account.url(), &[]).await;
        let mut spent = vec![];
        for n in 0..10 {
            let before = cpu_ms(container.id());
            assert_eq!(container.invoke(&ask(n % streams)).await.outcome(), outcome);
            container.asks().await;
            spent.push(cpu_ms(container.id()) - before);
        }
        first.push(spent[0]);
        tenth.push(spent[9]);
    }
    (median(first), median(tenth))
}

/// The time that the process' threads have had a CPU; `utime` and `stime` count in steps of 10 ms.
fn cpu_ms(process: u32) -> f64 {
    let threads = Path::new("/proc").join(process.to_string()).join("task").read_dir().expect("the process lives");
    let on_cpu = threads.map(|thread| {
        let schedstat = thread.expect("readable").path().join("schedstat");
        let text = std::fs::read_to_string(schedstat).expect("a thread that lives");
        let nanoseconds: f64 = text.split(' ').next().and_then(|n| n.parse().ok()).expect("a number");
        nanoseconds
    });
    on_cpu.sum::<f64>() / 1e6
}
