//! When splits have not divided the load of a shard: one key is hot.

use crate::common::{Fixture, IDLE, hours_ago, minutes_ago, one_hot, split_history};
use crate::{decides, says};
use unthrottle_core::memory::{Memory, SplitHistory};

/// The halves of shard 40 are shards 3 and 4. Shard 3 has all the load.
fn one_half_hot() -> Fixture {
    one_hot(3000.0).halves_of(40, [3, 4])
}

/// Shards 1 and 3 are hot. Shards 3 and 4 are the halves of shard 40.
fn two_hot() -> Fixture {
    Fixture::of_shards(&[IDLE, 1500.0, IDLE, 3000.0, IDLE, IDLE, IDLE, IDLE]).halves_of(40, [3, 4])
}

/// The hot shard has three hash keys.
fn narrow() -> Fixture {
    one_hot(1500.0).shard(3, |shard| shard.last_hash_key = shard.first_hash_key + 2)
}

/// The memory as it would be if its last change and its splits were of `hours` ago.
fn aged(mut memory: Memory, hours: i64) -> Memory {
    let at = hours_ago(hours);
    memory.split_histories.iter_mut().for_each(|history| history.at = at);
    let change = memory.change.as_mut().expect("a change");
    (change.at, change.settled) = (at, Some(at));
    memory
}

/// Shards 40 and 41 were split twice each.
fn two_histories() -> Memory {
    let mut memory = split_history(40, 2);
    memory.split_histories.push(SplitHistory { shard: 41, ..memory.split_histories[0] });
    memory
}

rows! { decides;
    a_split_that_moved_no_load_is_followed_by_another:
        one_half_hot().memory(&split_history(40, 1)) => "split_shard";
    two_splits_that_moved_no_load_show_a_hot_key: one_half_hot().memory(&split_history(40, 2)) => "hot_key";
    two_splits_of_yesterday_show_nothing: one_half_hot().memory(&aged(split_history(40, 2), 25)) => "split_shard";
    two_splits_of_another_shard_show_nothing: one_half_hot().memory(&split_history(41, 2)) => "split_shard";
    a_split_that_divided_the_load_is_followed_by_another:
        Fixture::of_shards(&[IDLE, IDLE, 1500.0, 1200.0, IDLE, IDLE, IDLE, IDLE])
            .halves_of(40, [2, 3])
            .memory(&split_history(40, 2))
        => "split_shard";
    a_hot_half_whose_memory_is_lost_shows_a_hot_key: one_half_hot().published(minutes_ago(30)) => "hot_key";
    a_hot_half_whose_other_half_was_split_shows_a_hot_key:
        one_hot(3000.0)
            .shard(3, |shard| shard.parent = Some("shardId-000000000040".into()))
            .memory(&split_history(40, 2))
        => "hot_key";
    a_hot_shard_of_a_single_hash_key_shows_a_hot_key: narrow() => "hot_key";
}

rows! { decides;
    another_hot_shard_is_split_beside_a_hot_key: two_hot().memory(&split_history(40, 2)) => "split_shard";
    a_third_hot_shard_beside_two_that_were_split_in_vain_has_no_budget:
        two_hot().shard(3, |shard| shard.parent = None).memory(&two_histories()) => "split_budget_spent";
    a_second_split_that_was_announced_and_never_made_is_made:
        one_hot(3000.0).memory(&split_history(3, 2)) => "split_shard";
    a_hot_shard_is_split_beside_idle_halves_of_a_split:
        Fixture::of_shards(&[0.0, 0.0, IDLE, 1500.0, IDLE, IDLE, IDLE, IDLE])
            .halves_of(40, [0, 1])
            .memory(&split_history(40, 1))
        => "split_shard";
}

rows! { says;
    a_hot_key_is_shown_by_its_splits:
        one_half_hot().memory(&split_history(40, 2))
        => ["(2 splits in 24 hours left nearly all of it in one child)"];
    a_hot_key_is_shown_by_a_lost_memory:
        one_half_hot().published(minutes_ago(30)) => ["is forgotten with the memory"];
    a_hot_key_is_shown_by_a_narrow_shard: narrow() => ["too few hash keys"];
}
