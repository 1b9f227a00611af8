//! Why readers are throttled or far behind, and what would help them.

use super::MissingData;
use super::bounds::NoHeadroom;
use super::demand::{SHARD_READ_BYTES_PER_SECOND, shards_at};
use super::throttling::RECENT_MINUTES;
use super::writes::Throttled;
use crate::decision::{BACKLOG_MILLISECONDS, Ceiling, Evidence, NoSwitch, ReadCall, Reason, Remedy, Side};
use crate::observation::{CapacityMode, Minute, MinuteTraffic, Stream, Traffic};

/// How often a polling consumer asks each shard, per second: the usual pace of the KCL and of Lambda, whose default it
/// is. A slower consumer hides behind this number, and a retry counts as one more.
const POLLS_PER_SECOND: f64 = 1.0;

/// The share of the retention that a reader may be behind before data is said to be at risk, 0–1. At half of it, there
/// is as long left to act as it took to get there.
const RETENTION_AT_RISK: f64 = 0.5;

/// Calls a second to each shard, on average, from which on it is calls that are too many: AWS answers five, and a reader
/// that is refused pauses, so that a full shard shows a little less.
const CALL_BOUND: f64 = 4.0;

const HOUR_MS: f64 = 3_600_000.0;

/// Notes how far readers are behind in the newest minutes, and when that costs data. Unlike throttling, this counts
/// even from before the last change: a backlog does not go away with it.
pub(super) fn record(traffic: &Traffic, stream: &Stream, newest: Minute, evidence: &mut Evidence) {
    let recent = (0..).take(RECENT_MINUTES).map(|ago| traffic.minute(newest.plus(-ago)));
    let age = recent.filter_map(|m| m.iterator_age_ms).reduce(f64::max);
    let retention = f64::from(stream.retention_hours) * HOUR_MS;
    let at_risk = age.filter(|age| *age > retention * RETENTION_AT_RISK);
    evidence.iterator_age_milliseconds = age;
    evidence.data_loss_in_hours = at_risk.map(|age| ((retention - age) / HOUR_MS).max(0.0));
}

impl Throttled<'_> {
    /// What would stop the throttling of readers. Never a switch of mode: on-demand gives a shard's readers no more.
    pub(super) fn reads(&self, evidence: &mut Evidence, missing: &mut MissingData) -> Result<Remedy, Reason> {
        let open = self.stream.open_shards;
        let minutes: Vec<MinuteTraffic> = self.window.iter().map(|m| self.traffic().minute(*m)).collect();
        let busiest = |per_minute: fn(&MinuteTraffic) -> f64| {
            let throttled = minutes.iter().filter(|m| m.read_throttled > 0.0);
            throttled.map(|m| per_minute(m) / 60.0).fold(0.0, f64::max)
        };
        let bytes = busiest(|m| m.get_records_bytes);
        let calls = busiest(|m| m.get_records_calls + m.read_throttled) / f64::from(open.max(1));
        let needed = shards_at(bytes / SHARD_READ_BYTES_PER_SECOND, self.settings.target_utilization);
        evidence.get_records_bytes_per_second = Some(bytes);
        evidence.get_records_calls_per_shard_per_second = Some(calls);
        evidence.shards_needed = Some(needed);
        if self.is_gaining(evidence) {
            return Err(Reason::ReaderCatchingUp);
        }
        if needed <= open && calls < CALL_BOUND {
            return Err(Reason::UnevenReads);
        }
        if needed <= open {
            evidence.implied_pollers = Some(pollers(calls));
            return Err(Reason::TooManyReaders(ReadCall::GetRecords));
        }
        if self.stream.mode == CapacityMode::OnDemand {
            return Err(self.growing(Side::Reads, None, Ceiling::Reads));
        }
        self.scale(needed, missing).map_err(|full| match full {
            NoHeadroom::OfOurs(reason) => reason,
            NoHeadroom::OfAws(limit) => limit.without(NoSwitch::Reads),
        })
    }

    /// Whether readers work off a backlog. It does not go away with a change, so minutes from before one count; and right
    /// after a change of ours, a backlog is what its closed shards still hold.
    fn is_gaining(&self, evidence: &Evidence) -> bool {
        let first = self.newest.plus(1 - i64::from(self.settings.window_minutes));
        let minutes: Vec<MinuteTraffic> = first.to(self.newest).map(|m| self.traffic().minute(m)).collect();
        let drains = self.history.evidence_from.is_some_and(|from| Minute::from(from) >= first);
        is_falling(&minutes) || (drains && evidence.backlog_milliseconds().is_some())
    }
}

/// Whether readers work off a backlog. After an outage of a consumer every shard is read at its limit, so this holds
/// however many shards are: new ones cannot drain the old.
fn is_falling(minutes: &[MinuteTraffic]) -> bool {
    let ages: Vec<f64> = minutes.iter().filter_map(|m| m.iterator_age_ms).collect();
    matches!(ages.as_slice(), [first, .., last] if *first > BACKLOG_MILLISECONDS && last < first)
}

/// The polling consumers that make so many calls a second to each shard: every one of them polls every shard.
fn pollers(calls_per_second: f64) -> u32 {
    // Division leaves dust behind: 6.000000001 are 6. The cast saturates.
    (calls_per_second / POLLS_PER_SECOND - 1e-9).ceil() as u32
}
