//! Why a stream throttles, and what would stop it.

use super::demand::{Offered, SHARD_BYTES_PER_SECOND, SHARD_RECORDS_PER_SECOND, fast_target, shards_at};
use super::settle::History;
use super::verdict::{Bound, Evidence, NoRoom, Reason, Remedy, Side};
use crate::memory::ChangeKind;
use crate::observation::{CapacityMode, Limits, Minute, Stream, Traffic};
use crate::policy::{AWS_MAX_SHARDS, Permission, StreamPolicy};
use chrono::{DateTime, Utc};

/// On-demand splits "within 15 minutes" (AWS): throttling in each of the last three blocks of five minutes is more
/// than growing pains; fewer blocks would blame a stream that is about to be helped.
const ON_DEMAND_BLOCKS: i64 = 3;
const ON_DEMAND_BLOCK_MINUTES: i64 = 5;

/// What a diagnosis looks at.
pub(super) struct Throttled<'a> {
    pub stream: &'a Stream,
    pub limits: Option<Limits>,
    pub traffic: &'a Traffic,
    pub history: &'a History,
    pub policy: &'a StreamPolicy,
    pub target_utilization: f64,
    /// The minutes that are evidence, oldest first; never empty.
    pub window: &'a [Minute],
    pub newest: Minute,
    pub now: DateTime<Utc>,
}

impl Throttled<'_> {
    /// The change that would stop it, or why none would.
    pub fn remedy(&self, side: Side, evidence: &mut Evidence) -> Result<Remedy, Reason> {
        evidence.target_utilization = Some(self.target_utilization);
        evidence.account_shards_left = self.limits.map(|l| l.shards_left());
        match (&self.stream.mode, side) {
            (CapacityMode::Provisioned, Side::Writes) => self.provisioned_writes(evidence),
            (CapacityMode::OnDemand, Side::Writes) => {
                self.busiest(evidence);
                Err(self.on_demand(side))
            }
            (_, Side::Reads) => self.reads(evidence),
            (CapacityMode::Unknown(_), _) => Err(Reason::NotReady),
        }
    }

    fn provisioned_writes(&self, evidence: &mut Evidence) -> Result<Remedy, Reason> {
        let open = self.stream.open_shards;
        // Refused records, and not one accepted in an hour: the load is unknown, and one doubling is the step
        // that AWS itself would allow.
        let needed =
            self.busiest(evidence).map_or(open.saturating_mul(2), |full| shards_at(full, self.target_utilization));
        evidence.shards_needed = Some(needed);
        if needed <= open {
            return Err(Reason::SkewSuspected);
        }
        self.scale(needed).or_else(|no_room| match no_room {
            Full::OfOurs(max) => Err(Reason::AtMaxShards { max }),
            Full::OfAws(limit) if self.may_switch() => Ok(Remedy::SwitchToOnDemand { shards: open, instead_of: limit }),
            Full::OfAws(limit) => Err(limit.into()),
        })
    }

    /// The load of the busiest throttled minute, in full shards; noted as evidence. `None`: no size is known.
    fn busiest(&self, evidence: &mut Evidence) -> Option<f64> {
        let throttled = self.window.iter().filter(|m| self.traffic.minute(**m).write_throttled > 0.0);
        let offered = throttled.map(|m| Offered::in_minute(self.traffic, *m));
        let weight = |o: &Offered| {
            let bytes = o.bytes.unwrap_or_default() / SHARD_BYTES_PER_SECOND;
            bytes.max(o.records / SHARD_RECORDS_PER_SECOND)
        };
        let busiest = offered.max_by(|a, b| weight(a).total_cmp(&weight(b)))?;
        evidence.offered_records_per_second = Some(busiest.records);
        evidence.offered_bytes_per_second = busiest.bytes;
        evidence.offered_includes_retries = Some(true);
        busiest.shards()
    }

    /// The step towards `needed` shards that every bound allows.
    pub(super) fn scale(&self, needed: u32) -> Result<Remedy, Full> {
        let from = self.stream.open_shards;
        let max = self.policy.max_shards;
        if from >= max {
            return Err(Full::OfOurs(max));
        }
        if !self.history.budget(ChangeKind::Scale, self.traffic, self.now).1 {
            return Err(Full::OfAws(NoRoom::ReshardBudget));
        }
        let left = self.limits.map_or(AWS_MAX_SHARDS, |l| l.shards_left());
        let quota = from.saturating_add(left);
        if left == 0 {
            return Err(Full::OfAws(NoRoom::AccountQuota));
        }
        let bounds = [(max, Bound::MaxShards), (quota, Bound::AccountQuota), (from.saturating_mul(2), Bound::Double)];
        let (bound, which) = bounds.into_iter().min_by_key(|(bound, _)| *bound).unwrap_or((from, Bound::Double));
        let partial = (needed > bound).then_some(which);
        Ok(Remedy::ScaleShards { from, to: fast_target(from, needed.min(bound), bound), partial })
    }

    /// Whether policy, the day's budget and the account's count of on-demand streams allow the switch.
    fn may_switch(&self) -> bool {
        self.policy.on_demand == Permission::Allow
            && self.history.budget(ChangeKind::Switch, self.traffic, self.now).1
            && self.limits.is_none_or(|l| l.on_demand_streams < l.on_demand_stream_limit)
    }

    pub(super) fn on_demand(&self, side: Side) -> Reason {
        let throttled = |minute: Minute| {
            let traffic = self.traffic.minute(minute);
            (match side {
                Side::Writes => traffic.write_throttled,
                Side::Reads => traffic.read_throttled,
            }) > 0.0
        };
        let block = |n: i64| {
            let last = self.newest.plus(-n * ON_DEMAND_BLOCK_MINUTES);
            last.plus(1 - ON_DEMAND_BLOCK_MINUTES).to(last)
        };
        let first = self.newest.plus(1 - ON_DEMAND_BLOCKS * ON_DEMAND_BLOCK_MINUTES);
        let is_evidence = self.history.evidence_from.is_none_or(|from| Minute::from(from) <= first);
        let lasting = is_evidence && (0..ON_DEMAND_BLOCKS).all(|n| block(n).any(throttled));
        if lasting { Reason::OnDemandCeiling } else { Reason::OnDemandAdapting }
    }
}

/// Why not one shard more is possible.
pub(super) enum Full {
    OfOurs(u32),
    OfAws(NoRoom),
}

impl From<NoRoom> for Reason {
    fn from(limit: NoRoom) -> Reason {
        match limit {
            NoRoom::AccountQuota => Reason::AtAccountQuota,
            NoRoom::ReshardBudget => Reason::ReshardBudgetSpent,
        }
    }
}
