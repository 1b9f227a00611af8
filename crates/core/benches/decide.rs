//! How long a decision takes on large streams. Exit code 1: a figure of docs/development.md is missed.
//!
//! usage: `make bench`, or `cargo bench -p unthrottle-core`.

#![allow(clippy::expect_used)]

#[path = "../tests/common/mod.rs"]
mod common;

use common::Fixture;
use std::process::ExitCode;
use std::time::Instant;

/// Decisions of each kind. With fewer, none may run without the other work of the machine.
const DECISIONS: usize = 101;

/// 500 shards with shard-level metrics. Three are hot.
fn hot_shards() -> Fixture {
    let mut loads = [300.0; 500];
    loads[..3].fill(1500.0);
    Fixture::of_shards(&loads).with(|f| {
        (f.policy.max_shards, f.policy.max_shards_ceiling) = (1000, 1000);
        f.observation.limits.as_mut().expect("known").shard_limit = 1000;
    })
}

/// 3,000 shards that need twice as many, in an account that allows 6,000 open shards. Each target is examined, because
/// the shards that live for a short time during a reshard count, too.
fn tight_account() -> Fixture {
    let (open, limit) = (3000, 6000);
    Fixture::under_load(open, 8000.0 * 1000.0).with_even_shards().with(|f| {
        (f.policy.max_shards, f.policy.max_shards_ceiling) = (limit - 1, limit - 1);
        f.policy.max_added_shards = open;
        let limits = f.observation.limits.as_mut().expect("known");
        (limits.shard_limit, limits.open_shards) = (limit, open);
    })
}

/// The same with all that its decision needs.
fn whole(mut fixture: Fixture) -> Fixture {
    while let Err(missing) = fixture.try_decide() {
        fixture = fixture.complete(missing);
    }
    fixture
}

/// The least time of a decision, in milliseconds: other work of the machine only adds to it.
fn milliseconds(fixture: &Fixture) -> f64 {
    let time = |_| {
        let began = Instant::now();
        drop(std::hint::black_box(fixture.try_decide()));
        began.elapsed().as_secs_f64() * 1000.0
    };
    (0..DECISIONS).map(time).fold(f64::INFINITY, f64::min)
}

fn main() -> ExitCode {
    let (hot, tight) = (whole(hot_shards()), whole(tight_account()));
    assert_eq!([hot.code(), tight.code()], ["split_shard", "scale_shards"]);
    let figures = [
        ("a decision about 500 shards, with shard metrics", milliseconds(&hot), 1.0),
        ("a reshard of 3,000 shards in a tight account", milliseconds(&tight), 5.0),
    ];
    for (what, measured, most) in figures {
        let verdict = if measured <= most { "reached" } else { "missed" };
        println!("{what:<50} {measured:>7.3} ms  at most {most} {verdict}");
    }
    if figures.iter().all(|(_, measured, most)| measured <= most) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
