//! The changes of a stream's capacity that AWS refuses, and AWS's words for each refusal.

use super::hash_key::HashRange;
use std::fmt::Display;
use unthrottle_core::signal::{Home, StreamArn};

/// `UpdateShardCount` calls that AWS carries out for a stream in 24 hours (API reference of `UpdateShardCount`).
pub const RESHARDS_A_DAY: usize = 10;

/// Switches of the capacity mode for a stream in 24 hours (the quotas page of the developer guide).
pub const SWITCHES_A_DAY: usize = 2;

/// The most shards of one stream (API reference of `UpdateShardCount`; more needs a support ticket).
pub const MAX_SHARDS: u32 = 10_000;

/// The most shards of an on-demand stream, by growth or as warm throughput: 10 GiB/s in us-east-1 at 1 MiB/s each. The
/// quotas page gives 200 MB/s for most other regions.
pub const MAX_ON_DEMAND_SHARDS: u32 = 10 * 1024;

/// Seconds in 24 hours.
const DAY: i64 = 24 * 60 * 60;

/// An error that AWS answers to a call: HTTP 400.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Refusal {
    /// AWS's error code, such as `LimitExceededException`.
    pub code: &'static str,
    /// AWS's words, where a source gives them.
    pub message: String,
}

impl Refusal {
    /// Creates a refusal with this code and message.
    pub fn new(code: &'static str, message: impl Into<String>) -> Refusal {
        Refusal { code, message: message.into() }
    }

    /// The refusal for a used-up rate or daily cap. AWS has the same words for both.
    pub fn rate_exceeded(stream: &StreamArn) -> Refusal {
        let StreamArn { name, home } = stream;
        let message = format!("Rate exceeded for stream {name} under account {}.", home.account);
        Refusal::new("LimitExceededException", message)
    }

    /// Whether the account is at a quota. AWS has one code for quotas, rates and daily caps, so only the words tell
    /// them apart.
    pub fn is_of_a_quota(&self) -> bool {
        self.message.starts_with(BEYOND_A_QUOTA)
    }
}

/// The first words of AWS's message about a quota.
const BEYOND_A_QUOTA: &str = "This request would exceed";

/// The account's quota of open provisioned shards, and its open shards: those of the stream itself and of running
/// changes included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardQuota {
    /// The quota.
    pub limit: u32,
    /// Open shards.
    pub open: u32,
}

impl ShardQuota {
    /// Refuses `additional` more shards that exceed the quota.
    ///
    /// # Errors
    /// `LimitExceededException`.
    pub fn must_have_place_for(self, additional: u32, home: &Home) -> Result<(), Refusal> {
        let ShardQuota { limit, open } = self;
        if additional == 0 || open.saturating_add(additional) <= limit {
            return Ok(());
        }
        let Home { account, region, .. } = home;
        Err(Refusal::new(
            "LimitExceededException",
            format!(
                "{BEYOND_A_QUOTA} the shard limit for the account {account} in {region}. Current shard count for the \
                 account: {open}. Limit: {limit}. Number of additional shards that would have resulted from this \
                 request: {additional}."
            ),
        ))
    }
}

/// Refuses a change of a stream that is not ACTIVE. `status` is in AWS's spelling.
///
/// # Errors
/// `ResourceInUseException`.
pub fn must_be_active(stream: &StreamArn, is_active: bool, status: impl Display) -> Result<(), Refusal> {
    if is_active {
        return Ok(());
    }
    let StreamArn { name, home } = stream;
    let message = format!("Stream {name} under account {} not ACTIVE, instead in state {status}", home.account);
    Err(Refusal::new("ResourceInUseException", message))
}

/// Refuses an operation that only provisioned streams have, for an on-demand stream.
///
/// # Errors
/// `ValidationException`.
pub fn must_be_provisioned(stream: &StreamArn, is_provisioned: bool, operation: impl Display) -> Result<(), Refusal> {
    if is_provisioned {
        return Ok(());
    }
    Err(Refusal::new(
        "ValidationException",
        format!(
            "Request is invalid. {operation} is only supported for streams in PROVISIONED mode; stream {} is in \
             ON_DEMAND mode.",
            stream.name
        ),
    ))
}

/// Checks an `UpdateShardCount` of an ACTIVE, provisioned stream. Returns the number of short-lived and new shards that
/// the reshard opens. A repeat of the current count changes nothing and is free.
///
/// - `open`: the open shards, by their hash keys.
/// - `made`: the times of earlier reshards of this stream, in seconds on the same clock as `now`.
///
/// # Errors
/// In this order: beyond double or half, beyond the daily cap, beyond the quota.
pub fn must_accept_reshard(
    stream: &StreamArn,
    open: &[HashRange],
    target: u32,
    made: &[i64],
    now: i64,
    quota: ShardQuota,
) -> Result<u32, Refusal> {
    let count = u32::try_from(open.len()).unwrap_or(u32::MAX);
    if target == count {
        return Ok(0);
    }
    must_be_scalable(count, target)?;
    must_be_left(made, RESHARDS_A_DAY, now, stream)?;
    let opened = opened_by(open, target);
    quota.must_have_place_for(opened, &stream.home)?;
    Ok(opened)
}

/// Checks one more switch of the capacity mode; `made` and `now` as in [`must_accept_reshard`].
///
/// # Errors
/// `LimitExceededException`.
pub fn must_accept_switch(stream: &StreamArn, made: &[i64], now: i64) -> Result<(), Refusal> {
    must_be_left(made, SWITCHES_A_DAY, now, stream)
}

/// Refuses one more on-demand stream in an account that has `streams` of a quota of `limit`.
///
/// # Errors
/// `LimitExceededException`.
pub fn must_accept_on_demand(streams: u32, limit: u32, home: &Home) -> Result<(), Refusal> {
    if streams < limit {
        return Ok(());
    }
    let Home { account, region, .. } = home;
    let message =
        format!("{BEYOND_A_QUOTA} the on-demand stream limit for the account {account} in {region}. Limit: {limit}.");
    Err(Refusal::new("LimitExceededException", message))
}

/// The shards that a reshard opens beyond the `open` ones. AWS cuts every boundary of the old and of the new shards
/// before it merges the pieces. So AWS opens one shard for each new boundary: a reshard 2 → 3 went over 4 shards.
pub fn opened_by(open: &[HashRange], target: u32) -> u32 {
    if usize::try_from(target).is_ok_and(|target| target <= open.len()) {
        return 0;
    }
    // Widths are rounded down to whole keys. So the boundaries at a third and at two sixths differ by a key or two.
    let near = u128::from(target);
    let is_new = |new: &HashRange| {
        let next = open.partition_point(|old| old.first < new.first.saturating_sub(near));
        open.get(next).is_none_or(|old| old.first.abs_diff(new.first) > near)
    };
    u32::try_from(HashRange::uniform(target).iter().filter(|new| is_new(new)).count()).unwrap_or(u32::MAX)
}

/// At most double, at least half. Half of an odd count rounds down: AWS accepted 3 → 1.
fn must_be_scalable(open: u32, target: u32) -> Result<(), Refusal> {
    let problem = match target {
        0 => return Err(Refusal::new("ValidationException", "TargetShardCount must be at least 1")),
        _ if target > open.saturating_mul(2) => "scale up over double your current open shard count",
        _ if target < open / 2 => "scale down below half your current open shard count",
        _ if target > MAX_SHARDS => "scale up to more than 10000 shards",
        _ => return Ok(()),
    };
    let numbers = format!("Current open shard count: {open}, Target shard count: {target}");
    Err(Refusal::new("InvalidArgumentException", format!("UpdateShardCount cannot {problem}. {numbers}")))
}

/// Refuses a change beyond the daily cap.
fn must_be_left(made: &[i64], a_day: usize, now: i64, stream: &StreamArn) -> Result<(), Refusal> {
    let recent = made.iter().filter(|at| now - **at < DAY).count();
    if recent < a_day { Ok(()) } else { Err(Refusal::rate_exceeded(stream)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home() -> Home {
        Home { partition: "aws".into(), region: "us-east-1".into(), account: "123456789012".into() }
    }

    fn orders() -> StreamArn {
        StreamArn { home: home(), name: "orders".into() }
    }

    #[test]
    fn a_reshard_opens_short_lived_shards() {
        let opened = |from, to| opened_by(&HashRange::uniform(from), to);
        assert_eq!(opened(2, 3), 2, "seen: 2, 4, 3");
        assert_eq!((opened(4, 8), opened(6, 8), opened(8, 4)), (4, 6, 0));
        let halves = HashRange::uniform(2);
        let [first, second] = halves[0].split(halves[0].middle()).expect("two");
        assert_eq!(opened_by(&[first, second, halves[1]], 4), 1, "three of four are there");
    }

    #[test]
    fn short_lived_shards_count_against_the_quota() {
        let quota = |open| ShardQuota { limit: 10, open };
        assert_eq!(quota(8).must_have_place_for(2, &home()), Ok(()));
        let refused = quota(8).must_have_place_for(3, &home()).expect_err("11 of 10");
        assert_eq!(refused.code, "LimitExceededException");
        assert!(
            refused.message.contains("additional shards that would have resulted from this request: 3"),
            "{refused}"
        );
        assert_eq!(quota(26).must_have_place_for(0, &home()), Ok(()), "nothing new is never refused for it");
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
        assert!(must_accept_switch(&orders(), &[0, 10], DAY - 1).is_err());
        assert!(must_accept_switch(&orders(), &[0, 10], DAY).is_ok());
    }

    #[test]
    fn the_current_count_is_free_even_with_all_caps_used_up() {
        let used_up = (&[0; 10][..], ShardQuota { limit: 2, open: 2 });
        let ask = |target| must_accept_reshard(&orders(), &HashRange::uniform(2), target, used_up.0, 1, used_up.1);
        assert_eq!(ask(2), Ok(0));
        let refused = ask(4).expect_err("the eleventh");
        assert_eq!(refused.message, "Rate exceeded for stream orders under account 123456789012.");
    }
}
