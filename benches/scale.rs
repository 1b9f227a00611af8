//! Fleets in virtual time. 5,000 of 100,000 streams in 10 accounts and 3 regions throttle in the same minute. Sweeps
//! check 10,000 streams for a day. More streams need a check than a sweep checks.
//!
//! usage: `make scale`, or `cargo bench --bench scale -- [storm|day|crowd]… [places=N] [case=N]`. The figures do not
//! depend on the machine. `places=1` plays one of the 30 regions of accounts, which are alike. `case=1` plays the first
//! setting of the storm alone. `tests/scale` keeps small instances.

#[path = "../tests/common/aws.rs"]
mod aws;
#[path = "../tests/common/in_process.rs"]
mod in_process;
#[path = "../tests/common/place.rs"]
mod place;
#[path = "../tests/common/setting.rs"]
mod setting;

use place::play;
use setting::{Played, Setting};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use unthrottle_core::cost::Prices;
use unthrottle_core::policy::Policy;

const ACCOUNTS: usize = 10;
const REGIONS: [&str; 3] = ["us-east-1", "us-west-2", "eu-west-1"];
const STREAMS: usize = 100_000;
const THROTTLED: usize = 5_000;

/// The regions of all accounts. AWS's rates hold in each for itself.
const PLACES: usize = ACCOUNTS * REGIONS.len();

/// A tenth of the streams has a memory of an older change.
const REMEMBERED: usize = STREAMS / 10;

/// List prices of us-east-1 in USD: a metric that is read, a call that puts some, a run and a GB-second of Lambda on
/// arm64. docs/operations.md has their sources.
const METRIC: f64 = 0.01 / 1000.0;
const RUN: f64 = 0.20 / 1e6;
const GB_SECOND: f64 = 0.000_013_333_4;
const GB: f64 = 0.125;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let number = |name: &str| arguments.iter().find_map(|argument| argument.strip_prefix(name)?.parse().ok());
    let named: Vec<&String> = arguments.iter().filter(|argument| !argument.contains('=')).collect();
    let is_asked = |what: &str| named.is_empty() || named.iter().any(|argument| *argument == what);
    if is_asked("storm") {
        storms(number("places=").unwrap_or(PLACES), number("case="));
    }
    if is_asked("day") {
        day();
    }
    if is_asked("crowd") {
        crowd();
    }
}

// ---- 5,000 streams at once ----

/// The settings of the storm, by name.
fn cases() -> [(&'static str, Setting); 6] {
    let base = Setting::default();
    let wide = Policy { concurrency: 0, ..base.policy.clone() };
    let raised = |policy: &Policy| Policy {
        max_changes_per_hour: 1000,
        max_changes_per_sweep: 240,
        max_added_shards: 5000,
        ..policy.clone()
    };
    let five = Setting { concurrency: 5, ..base.clone() };
    let raised_five = Setting { policy: raised(&five.policy), minutes: 12, ..five.clone() };
    let raised_wide = Setting { policy: raised(&wide), minutes: 12, ..base.clone() };
    [
        ("the stack's defaults: nothing reserved", Setting { policy: wide, minutes: 75, ..base }),
        ("the same, 5 runs at a time", Setting { minutes: 75, ..five }),
        ("bounds raised, nothing reserved", raised_wide.clone()),
        ("bounds raised, 5 runs at a time", raised_five.clone()),
        ("bounds raised, nothing reserved, 5 tag calls a second", Setting { tag_rate: Some(5), ..raised_wide }),
        ("bounds raised, 5 runs at a time, 5 tag calls a second", Setting { tag_rate: Some(5), ..raised_five }),
    ]
}

/// Plays the first `places`. `case`: `None` is all of them.
fn storms(places: usize, case: Option<usize>) {
    println!("{STREAMS} streams in {ACCOUNTS} accounts and {} regions; {THROTTLED} throttle at once", REGIONS.len());
    for (n, (name, setting)) in cases().iter().enumerate() {
        if case.is_none_or(|case| case == n + 1) {
            storm(name, setting, places);
        }
    }
}

fn storm(name: &str, setting: &Setting, played: usize) {
    let began = Instant::now();
    let settings = (0..PLACES.min(played)).map(|place| {
        let share = |all: usize| all / PLACES + usize::from(place < all % PLACES);
        let account = format!("{:012}", 111_111_111_111_u64 + (place / REGIONS.len()) as u64);
        let region = REGIONS[place % REGIONS.len()].to_owned();
        let (throttled, remembered) = (share(THROTTLED), share(REMEMBERED));
        let idle = share(STREAMS) - throttled - remembered;
        Setting { seed: place as u64, account, region, idle, remembered, throttled, ..setting.clone() }
    });
    let all = play_all(settings.collect());
    println!("\n== {name}: {} of {PLACES} places, in {:.0} s", all.len(), began.elapsed().as_secs_f64());
    show_changes(&all);
    show_calls(&all);
    show_dollars(&all, f64::from(setting.minutes) / 60.0);
}

/// Plays the settings on as many threads as the machine has cores. Each has a runtime of its own.
fn play_all(settings: Vec<Setting>) -> Vec<Played> {
    let threads = std::thread::available_parallelism().map_or(1, Into::into);
    let (settings, all) = (Mutex::new(settings), Mutex::new(vec![]));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let Some(setting) = settings.lock().expect("no panic").pop() else { break };
                    let played = play(&setting);
                    all.lock().expect("no panic").push(played);
                }
            });
        }
    });
    all.into_inner().expect("no panic")
}

fn show_changes(all: &[Played]) {
    let mut after: Vec<f64> =
        all.iter().flat_map(|played| played.made.iter().map(|made| made.after.as_secs_f64())).collect();
    after.sort_by(f64::total_cmp);
    let at = |share: f64| after.get(((after.len() as f64 - 1.0) * share) as usize).copied().unwrap_or(f64::NAN);
    let streams: std::collections::BTreeSet<_> = all
        .iter()
        .enumerate()
        .flat_map(|(place, played)| played.made.iter().map(move |made| (place, made.stream.as_str())))
        .collect();
    println!(
        "changes: {} of {} streams; first after {:.0} s, half after {:.0} s, nine tenths after {:.0} s, last after \
         {:.0} s",
        after.len(),
        streams.len(),
        at(0.0),
        at(0.5),
        at(0.9),
        at(1.0)
    );
    let still: usize = all.iter().map(|played| played.still_throttled).sum();
    let until = all.iter().map(|played| played.throttled_until).max().unwrap_or_default();
    println!("streams that still throttle at the end: {still}; the last throttled minute is minute {until}");
    println!("decisions: {:?}", sums(all, |played| played.codes.iter().map(|(k, v)| ((*k).to_owned(), *v)).collect()));
    println!("failures: {:?}", sums(all, |played| played.failed.clone()));
}

fn show_calls(all: &[Played]) {
    let calls = sums(all, |played| played.calls.clone());
    println!("calls: {} ({calls:?})", calls.values().sum::<u64>());
    let runs: u64 = all.iter().map(|played| played.runs).sum();
    let lost: u64 = all.iter().map(|played| played.lost).sum();
    let containers = all.iter().map(|played| played.containers).max().unwrap_or_default();
    let wait = all.iter().map(|played| played.longest_wait).max().unwrap_or_default();
    println!(
        "runs: {runs}, lost events: {lost}, containers at most: {containers}, longest wait for one: {:.1} s",
        wait.as_secs_f64()
    );
}

fn show_dollars(all: &[Played], hours: f64) {
    let sum = |of: fn(&Played) -> u64| all.iter().map(of).sum::<u64>() as f64;
    let puts = |played: &Played| played.calls.get("CloudWatch.PutMetricData").copied().unwrap_or_default();
    let of_account = STREAMS as f64 / PLACES as f64;
    let read = METRIC * (sum(|played| played.metrics) + sum(puts) + sum(|played| played.insights) * of_account);
    let busy: f64 = all.iter().map(|played| played.busy.as_secs_f64()).sum();
    let lambda = RUN * sum(|played| played.runs) + GB_SECOND * GB * busy;
    let shards = sum(|played| played.shards_after.into()) - sum(|played| played.shards_before.into());
    println!(
        "in {hours:.2} hours: ${read:.2} for metrics, ${lambda:.4} for Lambda; {shards} more shards are ${:.2} an hour",
        shards * Prices::default().shard_hour
    );
}

fn sums(all: &[Played], of: impl Fn(&Played) -> BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    for (key, count) in all.iter().flat_map(of) {
        *sums.entry(key).or_default() += count;
    }
    sums
}

// ---- A day, and a crowd ----

/// A day of 10,000 streams. 288 of them throttle, one every five minutes.
fn day() {
    let setting = Setting {
        idle: 8_712,
        remembered: 1_000,
        throttled: 288,
        minutes_apart: 5,
        minutes: 1440,
        ..Setting::default()
    };
    let began = Instant::now();
    let played = play(&setting);
    println!("\n== a day of sweeps over 10,000 streams ({:.0} s on this machine)", began.elapsed().as_secs_f64());
    show_sweeps(&played);
    show_changes(std::slice::from_ref(&played));
    println!("longest time from the first throttled minute to the first check: {:?}", played.longest_to_check);
    println!("longest time from the first throttled minute to the last change: {:?}", played.longest_to_change);
    println!("calls: {:?}", played.calls);
}

/// 1,000 streams that need a check in each sweep, and nothing ends that. With slow calls a sweep gets less done.
fn crowd() {
    for round_trip in [20, 500].map(Duration::from_millis) {
        let setting = Setting { unreadable: 1_000, minutes: 60, round_trip, ..Setting::default() };
        let played = play(&setting);
        println!("\n== 1,000 streams that need a check in each sweep, round trips of {round_trip:?}");
        show_sweeps(&played);
        println!(
            "longest time without a check: {:.0} s; never checked: {}",
            played.longest_gap.as_secs_f64(),
            played.unseen
        );
    }
}

fn show_sweeps(played: &Played) {
    let sweeps = &played.sweeps;
    let row = |what: &str, of: fn(&setting::Swept) -> f64| {
        let mut values: Vec<f64> = sweeps.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        println!("{what:<28} median {:>7.1}  most {:>7.1}", values[values.len() / 2], values[values.len() - 1]);
    };
    println!("{} sweeps", sweeps.len());
    row("calls to find", |swept| f64::from(swept.finding_calls));
    row("calls during the sweep", |swept| swept.calls as f64);
    row("seconds", |swept| swept.took.as_secs_f64());
    row("streams checked", |swept| swept.looked as f64);
    row("streams left", |swept| swept.left as f64);
}
