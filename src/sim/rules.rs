//! What AWS refuses, and how long it takes for what it does not: the rules of the simulated account.

use super::chance::Chance;
use super::keys::HashRange;

/// `UpdateShardCount` calls per stream in 24 hours that AWS carries out (its API reference).
pub const RESHARDS_A_DAY: usize = 10;

/// Switches of the capacity mode per stream in 24 hours (the quotas page of the developer guide).
pub const SWITCHES_A_DAY: usize = 2;

/// Shards that one stream can be scaled to (API reference of `UpdateShardCount`).
pub const MOST_SHARDS: u32 = 10_000;

/// Shards that an on-demand stream grows to by itself: 10 GB/s in us-east-1, where the simulated stream lives (the quotas
/// page; 200 MB/s in most other regions), at 1 MiB/s each.
pub const MOST_ON_DEMAND_SHARDS: u32 = 10 * 1024;

/// Seconds in 24 hours.
const DAY: i64 = 24 * 60 * 60;

/// The shortest that a reshard takes, in seconds: 2 → 3 was seen to take 14.
const SHORTEST_RESHARD: i64 = 14;

/// What a reshard takes for each shard that it opens on the way, in seconds. One split takes "around 30 seconds" (a comment in
/// amazon-kinesis-scaling-utils) and large streams "a few minutes" (AWS): shards are worked on together, so that a
/// hundred new ones take three minutes and more.
const RESHARD_PER_SHARD: i64 = 2;

/// What chance adds to a reshard, in seconds at most: to the 30 of a single split.
const RESHARD_LONGER: i64 = 16;

/// A switch of the capacity mode takes so many seconds: about four were seen.
const SWITCH: i64 = 4;

/// Switching shard-level metrics shows the stream as UPDATING for "seconds" (seen): taken to be as long as a switch.
const MONITORING: i64 = 4;

/// A call that AWS answers with an error of its own: HTTP 400.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Refusal {
    /// AWS's error code, such as `LimitExceededException`.
    pub code: &'static str,
    /// AWS's words, as far as they are known.
    pub message: String,
}

impl Refusal {
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Refusal {
        Refusal { code, message: message.into() }
    }

    /// The daily caps: the same words as for too many calls a second.
    fn daily() -> Refusal {
        Refusal::new("LimitExceededException", "Rate exceeded for the stream.")
    }

    pub(super) fn not_active() -> Refusal {
        Refusal::new("ResourceInUseException", "The stream is not ACTIVE, instead in state UPDATING")
    }

    pub(super) fn not_provisioned() -> Refusal {
        Refusal::new("ValidationException", "Only supported for streams in PROVISIONED mode.")
    }

    pub(super) fn quota() -> Refusal {
        Refusal::new("LimitExceededException", "This request would exceed the limit of the account.")
    }
}

/// The rest of the account: what its other streams take of the quotas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// Provisioned shards that it may have open: 20,000 in the large regions, 6,000 or 1,000 elsewhere (the quotas page).
    pub shard_limit: u32,
    /// Provisioned shards of its other streams.
    pub other_shards: u32,
    /// Streams that may be in on-demand mode: 50 (the quotas page).
    pub on_demand_limit: u32,
    /// Other streams in that mode.
    pub other_on_demand: u32,
}

impl Default for Account {
    fn default() -> Account {
        Account { shard_limit: 20_000, other_shards: 0, on_demand_limit: 50, other_on_demand: 0 }
    }
}

impl Account {
    /// Refuses a reshard of `open` shards whose new ones, the short-lived ones included, have no room in the quota: every
    /// boundary of the old and of the new shards is cut before the pieces are merged. 2 → 3 was seen to go over 4.
    pub(super) fn must_have_room(&self, open: u32, opened: u32) -> Result<(), Refusal> {
        let all = self.other_shards.saturating_add(open).saturating_add(opened);
        if opened > 0 && all > self.shard_limit { Err(Refusal::quota()) } else { Ok(()) }
    }
}

/// The shards that a reshard of the `open` ones opens on its way beyond them: one for each boundary of the new ones that is
/// none of theirs.
pub(super) fn opened_by(open: &[HashRange], target: u32) -> u32 {
    if usize::try_from(target).is_ok_and(|target| target <= open.len()) {
        return 0;
    }
    // Widths are rounded down to whole keys: a third of the way is no two sixths, but for a key or two.
    let near = u128::from(target);
    let is_new = |new: &HashRange| {
        let next = open.partition_point(|old| old.first < new.first.saturating_sub(near));
        open.get(next).is_none_or(|old| old.first.abs_diff(new.first) > near)
    };
    u32::try_from(HashRange::uniform(target).iter().filter(|new| is_new(new)).count()).unwrap_or(u32::MAX)
}

/// At most double, at least half: half of an odd count rounds down, since AWS was seen to accept 3 → 1.
pub(super) fn must_be_scalable(open: u32, target: u32) -> Result<(), Refusal> {
    let problem = match target {
        0 => return Err(Refusal::new("ValidationException", "TargetShardCount must be at least 1")),
        _ if target > open.saturating_mul(2) => "scale up over double your current open shard count",
        _ if target < open / 2 => "scale down below half your current open shard count",
        _ if target > MOST_SHARDS => "scale up to more than 10000 shards",
        _ => return Ok(()),
    };
    let numbers = format!("Current open shard count: {open}, Target shard count: {target}");
    Err(Refusal::new("InvalidArgumentException", format!("UpdateShardCount cannot {problem}. {numbers}")))
}

/// Refuses one more of these changes, made at seconds of the run, than AWS carries out in 24 hours.
pub(super) fn must_be_left(made: &[i64], a_day: usize, now: i64) -> Result<(), Refusal> {
    let recent = made.iter().filter(|at| now - **at < DAY).count();
    if recent < a_day { Ok(()) } else { Err(Refusal::daily()) }
}

/// Seconds that a reshard takes which opens so many shards on the way.
pub(super) fn reshard_seconds(opened: u32, chance: &mut Chance) -> i64 {
    SHORTEST_RESHARD + RESHARD_PER_SHARD * i64::from(opened) + chance.between(0, RESHARD_LONGER)
}

/// Seconds that such a reshard takes at most.
pub(super) fn longest_reshard(opened: u32) -> i64 {
    SHORTEST_RESHARD + RESHARD_PER_SHARD * i64::from(opened) + RESHARD_LONGER
}

/// Seconds that a switch of the capacity mode takes.
pub(super) fn switch_seconds() -> i64 {
    SWITCH
}

/// Seconds that switching shard-level metrics takes.
pub(super) fn monitoring_seconds() -> i64 {
    MONITORING
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::chance::CHANGES;

    #[test]
    fn a_reshard_goes_over_short_lived_shards() {
        let opened = |from, to| opened_by(&HashRange::uniform(from), to);
        assert_eq!(opened(2, 3), 2, "seen: 2, 4, 3");
        assert_eq!((opened(4, 8), opened(6, 8), opened(8, 4)), (4, 6, 0));
        let halves = HashRange::uniform(2);
        let [first, second] = halves[0].split(halves[0].middle()).expect("two");
        assert_eq!(opened_by(&[first, second, halves[1]], 4), 1, "three of four are there");
    }

    #[test]
    fn short_lived_shards_count_against_the_quota() {
        let account = Account { shard_limit: 10, other_shards: 6, ..Account::default() };
        assert!(account.must_have_room(2, 2).is_ok());
        assert_eq!(account.must_have_room(2, 3).expect_err("11 of 10").code, "LimitExceededException");
        assert!(account.must_have_room(20, 0).is_ok(), "what opens nothing is never refused for it");
    }

    #[test]
    fn double_and_half_are_the_bounds() {
        let code = |open, target| must_be_scalable(open, target).err().map(|refusal| refusal.code);
        assert_eq!((code(4, 8), code(4, 9)), (None, Some("InvalidArgumentException")));
        assert_eq!((code(3, 1), code(7, 2)), (None, Some("InvalidArgumentException")));
        assert_eq!((code(6_000, 10_000), code(6_000, 10_001)), (None, Some("InvalidArgumentException")));
        assert_eq!(code(1, 0), Some("ValidationException"));
    }

    #[test]
    fn a_change_of_yesterday_is_no_longer_counted() {
        assert!(must_be_left(&[0, 10], 2, DAY - 1).is_err());
        assert!(must_be_left(&[0, 10], 2, DAY).is_ok());
    }

    #[test]
    fn one_shard_takes_less_than_a_minute_and_a_hundred_a_few() {
        let mut chance = Chance::new(1, CHANGES);
        for _ in 0..100 {
            assert!((14..=32).contains(&reshard_seconds(1, &mut chance)));
            assert!((180..=240).contains(&reshard_seconds(100, &mut chance)));
        }
    }
}
