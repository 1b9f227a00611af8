//! Why records of a load did not leave in time.

use super::offer::{MOST_BYTES, MOST_IN_FLIGHT};
use serde::Serialize;
use unthrottle_writer::Stats;
use unthrottle_writer::load::Offered;

/// Why the load fell behind its plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) enum Cause {
    /// The machine woke the generator too late, or the writer was too slow with memory and requests to spare.
    Machine,
    /// Requests failed as a whole, and the writer waited after each.
    FailedRequests,
    /// Records that the stream refused filled the memory.
    Memory,
    /// All requests that may be in flight waited for replies.
    Replies,
}

/// The records that did not leave in time.
pub(super) fn behind(stats: &Stats, offered: &Offered) -> u64 {
    stats.late + offered.due().saturating_sub(offered.handed())
}

/// The cause; `None`: at most 1 % of the records were behind.
pub(super) fn cause(stats: &Stats, offered: &Offered) -> Option<Cause> {
    let behind = behind(stats, offered);
    if behind * 100 <= offered.due() {
        return None;
    }
    Some(match stats {
        _ if offered.woken_late() * 2 > behind => Cause::Machine,
        stats if stats.failed_requests > 0 => Cause::FailedRequests,
        stats if stats.is_memory_filled => Cause::Memory,
        stats if stats.is_in_flight_filled => Cause::Replies,
        _ => Cause::Machine,
    })
}

impl Cause {
    /// The cause in words.
    pub fn words(self) -> String {
        match self {
            Cause::Machine => "this machine was the limit, not the stream".into(),
            Cause::FailedRequests => "requests failed, and the load waited after each of them".into(),
            Cause::Memory => {
                let most = MOST_BYTES >> 20;
                format!("waiting records filled their {most} MiB: the stream was the limit")
            }
            Cause::Replies => {
                format!("{MOST_IN_FLIGHT} requests waited for replies: AWS or the connection was slow")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_named_by_what_was_seen_and_the_machine_only_by_late_wake_ups_or_the_lack_of_any_other() {
        let offered = Offered::of(1000, 900, 0);
        let cause = |change: fn(&mut Stats)| {
            let mut stats = Stats::default();
            change(&mut stats);
            cause(&stats, &offered)
        };
        assert_eq!(cause(|stats| stats.failed_requests = 1), Some(Cause::FailedRequests));
        assert_eq!(
            cause(|stats| (stats.is_memory_filled, stats.is_in_flight_filled) = (true, true)),
            Some(Cause::Memory)
        );
        assert_eq!(cause(|stats| stats.is_in_flight_filled = true), Some(Cause::Replies));
        assert_eq!(cause(|_| {}), Some(Cause::Machine));
        let mut filled = Stats::default();
        filled.is_memory_filled = true;
        assert_eq!(super::cause(&filled, &Offered::of(1000, 900, 90)), Some(Cause::Machine), "it woke too late");
        assert_eq!(super::cause(&filled, &Offered::of(1000, 990, 0)), None, "1 % is no fault");
    }
}
