//! The decision table. Each row is a test: its name says the situation and the decision, and
//! `cargo test -p unthrottle-core NAME` runs it alone.

#[macro_use]
#[path = "../common/mod.rs"]
mod common;

mod bounds;
mod cost;
mod diagnosis;
mod evidence;
mod external;
mod fleet;
mod followed;
mod foresight;
mod forged;
mod hot_key;
mod hot_shards;
mod instances;
mod kinds;
mod lag;
mod lasting;
mod load;
mod lost_memory;
mod notify;
mod on_demand;
mod onset;
mod pending;
mod readers;
mod reads;
mod record_size;
mod restore;
mod restore_by_hand;
mod settling;
mod stream;
mod switch_back;
mod triage;
mod tries;
mod unpublished;
mod verify;
mod writes;

use common::Fixture;

/// Asserts the code of the decision.
#[track_caller]
fn decides(fixture: Fixture, code: &str) {
    assert_eq!(fixture.code(), code);
}

/// Asserts that the sentence of the decision has each of these parts.
#[track_caller]
fn says<const N: usize>(fixture: Fixture, parts: [&str; N]) {
    let sentence = fixture.sentence();
    for part in parts {
        assert!(sentence.contains(part), "`{part}` is missing: {sentence}");
    }
}
