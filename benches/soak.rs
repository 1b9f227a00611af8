//! 100,000 events in one process of the release `bootstrap`: its memory, its calls, and what it never frees.
//!
//! usage: `make soak`, `make soak N=1000000`, or `cargo bench --bench soak -- [N] [--heap]`. Exit code 101: a bound is
//! missed. `--heap` runs the process under valgrind's memcheck, which takes 30 times as long: take a thousand.

#[path = "../tests/common/aws.rs"]
mod aws;
#[path = "../tests/common/lambda.rs"]
mod lambda;
#[path = "../tests/common/soak.rs"]
mod soak;

use lambda::bootstrap;
use soak::{MOST_CALLS, MOST_CALLS_OF_SWEEP, Soaked, soak};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const EVENTS: usize = 100_000;
const SEED: u64 = 8;

/// How much the largest resident set may grow in the last four fifths of the events, in KiB. 80,000 leaks of the
/// allocator's smallest block, 32 bytes, would be 2.4 MiB. The pages of a heap of full size still move by some hundred
/// KiB.
const MOST_GROWTH: u64 = 1024;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let events = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(EVENTS);
    if arguments.iter().any(|argument| argument == "--heap") {
        heap(events).await;
        return;
    }
    let began = Instant::now();
    let (soaked, _container) = soak(bootstrap(), events, SEED).await;
    show(&soaked, began.elapsed());
    let Soaked { most_calls, most_calls_of_sweep, .. } = soaked;
    assert!(most_calls <= MOST_CALLS, "{most_calls} calls for one event");
    assert!(most_calls_of_sweep <= MOST_CALLS_OF_SWEEP, "{most_calls_of_sweep} calls for one sweep");
    assert!(soaked.growth() <= MOST_GROWTH, "{} KiB more: {:?}", soaked.growth(), soaked.memory);
}

fn show(soaked: &Soaked, took: Duration) {
    let Soaked { events, outcomes, most_calls, most_calls_of_sweep, calls, memory, .. } = soaked;
    println!("{events} events in {:.0} s, {calls} AWS calls", took.as_secs_f64());
    println!("most calls: {most_calls} for one event, {most_calls_of_sweep} for one sweep");
    outcomes.iter().for_each(|(outcome, count)| println!("{count:>8} {outcome}"));
    for (events, resident, peak) in memory.iter().step_by(2).chain(memory.last()) {
        println!("after {events:>7} events: {resident:>6} KiB resident, {peak:>6} KiB at most");
    }
    println!("growth of the peak after a fifth of the events: {} KiB", soaked.growth());
}

/// Runs half of the events, and then all of them, and compares what the process has not freed.
async fn heap(events: usize) {
    let half = unfreed(events / 2).await;
    let whole = unfreed(events).await;
    println!("{:>7} events: {half:?}", events / 2);
    println!("{events:>7} events: {whole:?}");
    let growth = whole.reachable as f64 - half.reachable as f64;
    println!("bytes per event: {:.2} unreachable, {:.2} more reachable", whole.lost as f64 / events as f64, {
        growth / (events - events / 2) as f64
    });
    assert_eq!(whole.lost, 0, "no pointer leads to these bytes any more");
}

/// What memcheck finds in the heap when the process ends.
#[derive(Debug)]
struct Unfreed {
    /// Bytes that no pointer leads to.
    lost: u64,
    /// Bytes in use.
    reachable: u64,
}

async fn unfreed(events: usize) -> Unfreed {
    let folder = std::env::temp_dir().join(format!("unthrottle-soak-{}-{events}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let (program, report) = (folder.join("bootstrap"), folder.join("report"));
    wrap(&program, &report);
    let (_, container) = soak(program, events, SEED).await;
    let killed = Command::new("kill").arg(container.id().to_string()).status().expect("kill runs");
    assert!(killed.success());
    let text = loop {
        let text = std::fs::read_to_string(&report).unwrap_or_default();
        if text.contains("ERROR SUMMARY") {
            break text;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    std::fs::remove_dir_all(&folder).expect("removed");
    let bytes = |kind: &str| {
        let line = text.lines().find(|line| line.contains(kind)).unwrap_or_else(|| panic!("no {kind}: {text}"));
        let digits = line.split(kind).nth(1).and_then(|rest| rest.split_whitespace().next()).expect("a number");
        digits.replace(',', "").parse::<u64>().expect("a number")
    };
    Unfreed {
        lost: bytes("definitely lost:") + bytes("indirectly lost:"),
        reachable: bytes("still reachable:") + bytes("possibly lost:"),
    }
}

/// A program that runs `bootstrap` under memcheck, in the same process.
fn wrap(program: &Path, report: &Path) {
    let valgrind: PathBuf = std::env::var_os("PATH")
        .into_iter()
        .flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>())
        .map(|folder| folder.join("valgrind"))
        .find(|file| file.is_file())
        .expect("valgrind is not installed");
    let (valgrind, report, bootstrap) = (valgrind.display(), report.display(), bootstrap());
    let line = format!(
        "#!/bin/sh\nexec {valgrind} --tool=memcheck --leak-check=summary --log-file={report} {}\n",
        bootstrap.display()
    );
    std::fs::write(program, line).expect("written");
    std::fs::set_permissions(program, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
}
