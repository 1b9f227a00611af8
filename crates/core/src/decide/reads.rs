//! Readers that are throttled or far behind, and what would help them.

use super::MissingData;
use super::bounds::NoHeadroom;
use super::demand::shards_at;
use super::writes::{Throttled, is_uneven};
use crate::decision::{BACKLOG_MILLISECONDS, Ceiling, Evidence, NoSwitch, ReadCall, Reason, Remedy, Side};
use crate::memory::{ChangeKind, RESHARDS_A_DAY};
use crate::observation::{CapacityMode, Minute, MinuteTraffic, SHARD_READ_BYTES_PER_SECOND};

/// How often a polling consumer asks each shard, per second: the default of the KCL and of Lambda. A slower consumer
/// counts as less than one, and a retry counts as one more.
const POLLS_PER_SECOND: f64 = 1.0;

/// From this number of calls a second to each shard, on average, calls are too many. AWS answers five, and a refused
/// reader pauses, so a full shard shows a little less than five.
const CALL_BOUND: f64 = 4.0;

/// Reshards of a day that readers leave to writes: a record that is not written is lost, and one that is not read
/// waits. Two let a write load grow four times; a third is for a step that a bound makes smaller. With none left, the
/// next write load would change the mode and the bill. More would leave readers few of AWS's ten.
const KEPT_FOR_WRITES: usize = 3;

/// AWS answers five GetRecords calls a second to each shard (the Kinesis quotas page). Readers that make this many ask
/// for a tenth more, so calls are what AWS refuses, whatever the bytes. More shards halve the bytes of a shard, and
/// each of them gets as many calls. Nearer to five, the retries of readers that lack bytes look the same.
const CALLS_EXCEEDED: f64 = 5.5;

impl Throttled<'_> {
    /// What would stop the throttling of readers. That is never a switch to on-demand mode, which gives a shard's
    /// readers no more.
    pub(super) fn reads(&self, evidence: &mut Evidence, missing: &mut MissingData) -> Result<Remedy, Reason> {
        let open = self.stream.open_shards;
        let minutes: Vec<MinuteTraffic> = self.window.iter().map(|m| self.traffic().minute(*m)).collect();
        let busiest = |per_minute: fn(&MinuteTraffic) -> f64| {
            let throttled = minutes.iter().filter(|m| m.read_throttled > 0.0);
            throttled.map(|m| per_minute(m) / 60.0).fold(0.0, f64::max)
        };
        let bytes = busiest(|m| m.get_records_bytes);
        let per_shard = |calls: f64| calls / f64::from(open.max(1));
        let calls = per_shard(busiest(|m| m.get_records_calls + m.read_throttled));
        let answered = per_shard(busiest(|m| m.get_records_calls));
        let full = bytes / SHARD_READ_BYTES_PER_SECOND;
        let needed = self.needed_by_readers(full, evidence);
        evidence.get_records_bytes_per_second = Some(bytes);
        evidence.get_records_calls_per_shard_per_second = Some(calls);
        evidence.shards_needed = Some(needed);
        if self.is_gaining(evidence) {
            return Err(Reason::ReaderCatchingUp);
        }
        if needed <= open && calls < CALL_BOUND {
            return Err(Reason::UnevenReads);
        }
        // A reader that lacks bytes gets few answers, however often it asks.
        let is_over_calls = answered >= CALL_BOUND && calls >= CALLS_EXCEEDED;
        if needed <= open || is_over_calls {
            evidence.implied_pollers = Some(pollers(calls));
            return Err(Reason::TooManyReaders(ReadCall::GetRecords));
        }
        if self.stream.mode == CapacityMode::OnDemand {
            return Err(self.growing(Side::Reads, false, Ceiling::Reads));
        }
        let scale = self.scale(needed, false, missing).map_err(|full| match full {
            NoHeadroom::Persons(reason) => reason,
            NoHeadroom::Aws(limit) => limit.without(NoSwitch::Reads),
        })?;
        let (spent, _) = self.history.budget(ChangeKind::Scale, self.now);
        let is_kept = spent + KEPT_FOR_WRITES >= RESHARDS_A_DAY;
        if is_kept { Err(Reason::ReshardBudgetSpent(NoSwitch::KeptForWrites)) } else { Ok(scale) }
    }

    /// The shards that the bytes of readers need: `full`, in full shards. Where one shard has more of the hash keys
    /// than the others, and its part of the bytes fills it, more shards of equal width help. AWS does nothing where
    /// their number stays.
    fn needed_by_readers(&self, full: f64, evidence: &mut Evidence) -> u32 {
        let (open, target) = (self.stream.open_shards, self.settings.target_utilization);
        let needed = shards_at(full, target);
        let widest = self.widest_share();
        let is_full = full * widest > target && self.stream.mode == CapacityMode::Provisioned;
        if !(is_uneven(widest, open) && is_full) {
            return needed;
        }
        evidence.widest_shard_share = Some(widest);
        needed.max(open.saturating_add(1))
    }

    /// Whether readers work off a backlog. A change does not remove a backlog, so minutes from before the change count.
    /// Right after our change, a backlog is what the closed shards still hold.
    fn is_gaining(&self, evidence: &Evidence) -> bool {
        let first = self.newest.plus(1 - i64::from(self.settings.window_minutes));
        let minutes: Vec<MinuteTraffic> = first.to(self.newest).map(|m| self.traffic().minute(m)).collect();
        let drains = self.history.evidence_from.is_some_and(|from| Minute::from(from) >= first);
        is_falling(&minutes) || (drains && evidence.backlog_milliseconds().is_some())
    }
}

/// Whether the readers' delay falls. After an outage of a consumer every shard is read at its limit, whatever the
/// number of shards: new shards cannot drain old ones.
fn is_falling(minutes: &[MinuteTraffic]) -> bool {
    let ages: Vec<f64> = minutes.iter().filter_map(|m| m.iterator_age_ms).collect();
    matches!(ages.as_slice(), [first, .., last] if *first > BACKLOG_MILLISECONDS && last < first)
}

/// The polling consumers that make this number of calls a second to each shard. Each consumer polls every shard.
fn pollers(calls_per_second: f64) -> u32 {
    // Division leaves rounding errors: 6.000000001 means 6. The cast saturates.
    (calls_per_second / POLLS_PER_SECOND - 1e-9).ceil() as u32
}
