//! Why a stream throttles, and what would stop it.

use super::Wants;
use super::demand::{Offered, SHARD_BYTES_PER_SECOND, SHARD_RECORDS_PER_SECOND, shards_at};
use super::heat::{DIAGNOSTIC_SPLITS, Heat, Load, middle};
use super::room::Full;
use super::settle::History;
use super::verdict::{Evidence, NoRoom, Reason, Remedy, Side};
use crate::memory::ChangeKind;
use crate::observation::{CapacityMode, Commitment, Limits, Minute, Observation, Shard, Stream, Traffic};
use crate::policy::{Permission, Policy, StreamPolicy};
use chrono::{DateTime, TimeDelta, Utc};

/// More shards than this are not told apart: a search of CloudWatch's gives at most 500 series.
const SHARDS_TOLD_APART: u32 = 500;

/// One shard in so many is few: splitting these, one after the other, is soon done. More of them in a stream that is
/// short are divided faster by one reshard, which splits them all.
const FEW: usize = 4;

/// What a diagnosis looks at.
pub(super) struct Throttled<'a> {
    pub observation: &'a Observation,
    pub stream: &'a Stream,
    pub history: &'a History,
    pub settings: &'a Policy,
    pub policy: &'a StreamPolicy,
    /// The minutes that are evidence, oldest first; never empty.
    pub window: &'a [Minute],
    pub newest: Minute,
    /// A shard that a producer's error message names.
    pub named_shard: Option<&'a str>,
    pub now: DateTime<Utc>,
}

impl Throttled<'_> {
    /// The change that would stop it, or why none would. `wants` is set where only a closer look can tell.
    pub fn remedy(&self, side: Side, evidence: &mut Evidence, wants: &mut Wants) -> Result<Remedy, Reason> {
        evidence.target_utilization = Some(self.settings.target_utilization);
        evidence.account_shards_left = self.limits().map(|l| l.shards_left());
        evidence.named_shard = self.named_shard.map(Into::into);
        match (&self.stream.mode, side) {
            (CapacityMode::Provisioned, Side::Writes) => self.provisioned_writes(evidence, wants),
            (CapacityMode::OnDemand, Side::Writes) => self.on_demand_writes(evidence, wants),
            (_, Side::Reads) => self.reads(evidence),
            (CapacityMode::Unknown(_), _) => Err(Reason::NotReady),
        }
    }

    pub(super) fn traffic(&self) -> &Traffic {
        &self.observation.traffic
    }

    pub(super) fn limits(&self) -> Option<Limits> {
        self.observation.limits
    }

    /// Short everywhere: more shards. A few hot among idle ones: split the hottest. One key: nothing here helps.
    fn provisioned_writes(&self, evidence: &mut Evidence, wants: &mut Wants) -> Result<Remedy, Reason> {
        let open = self.stream.open_shards;
        let target = self.settings.target_utilization;
        // Refused records, and not one accepted in an hour: the load is unknown, and one doubling is the step
        // that AWS itself would allow.
        let needed = self.busiest(evidence).map_or(open.saturating_mul(2), |full| shards_at(full, target));
        evidence.shards_needed = Some(needed);
        let Some(shards) = self.shards(wants)? else {
            return if needed > open { self.more_shards(needed, wants) } else { self.unseen_skew() };
        };
        let heat = Heat::of(shards, self.traffic(), self.window).ok_or(Reason::EvidencePending)?;
        let busy = heat.busy(target);
        evidence.busy_shards = u32::try_from(busy).ok();
        let hottest = heat.hottest(self.named_shard);
        evidence.hottest_shard = hottest.map(|hot| hot.shard.id.clone());
        evidence.hottest_shard_utilization = hottest.map(|hot| hot.utilization);
        let are_few = busy <= 1 || busy * FEW <= shards.len();
        if needed > open && !are_few {
            return self.more_shards(needed, wants);
        }
        match hottest.filter(|hot| hot.utilization > target) {
            Some(hot) => self.split(hot, &heat, evidence),
            None => Err(Reason::MicroBurst),
        }
    }

    /// The shards one by one; `None`: they cannot be told apart.
    fn shards(&self, wants: &mut Wants) -> Result<Option<&[Shard]>, Reason> {
        // A single shard has all the load, hot or not.
        if !self.stream.shows_shards() || !(2..=SHARDS_TOLD_APART).contains(&self.stream.open_shards) {
            return Ok(None);
        }
        wants.shards = self.observation.shards.is_none();
        let shards = self.observation.shards.as_deref().ok_or(Reason::EvidencePending)?;
        // The summary and the list differ: somebody has just changed the stream.
        let is_whole = usize::try_from(self.stream.open_shards).is_ok_and(|open| open == shards.len());
        if is_whole { Ok(Some(shards)) } else { Err(Reason::Resharding) }
    }

    /// There are shards enough, and nobody sees which are hot.
    fn unseen_skew(&self) -> Result<Remedy, Reason> {
        let memory = &self.history.memory;
        let day = TimeDelta::hours(crate::observation::LOOKBACK_HOURS);
        if self.stream.open_shards == 1 {
            return Err(Reason::MicroBurst);
        }
        if self.history.lines(self.now).iter().any(|line| line.splits >= DIAGNOSTIC_SPLITS) {
            return Err(Reason::HotKey { shard: None });
        }
        // Once a day: what they show, a person reads in the log.
        let watched = memory.watch.is_some_and(|watch| self.now - watch.at < day);
        let allowed = self.settings.diagnose == Permission::Allow
            && self.stream.open_shards <= SHARDS_TOLD_APART
            && self.history.budget(ChangeKind::Watch, self.traffic(), self.now).1;
        if watched || !allowed || self.stream.shows_shards() {
            return Err(Reason::SkewSuspected);
        }
        let enable = Remedy::EnableShardMetrics {
            shards: self.stream.open_shards,
            metrics: self.stream.metrics_off().collect(),
        };
        self.affordable(&enable)?;
        Ok(enable)
    }

    fn split(&self, hot: &Load<'_>, heat: &Heat<'_>, evidence: &mut Evidence) -> Result<Remedy, Reason> {
        let lines = self.history.lines(self.now);
        let splits = heat.splits(hot, &lines, self.history.is_lost(self.now));
        evidence.diagnostic_splits = Some(splits);
        let at = middle(hot.shard.first_hash_key, hot.shard.last_hash_key);
        let is_named = Shard::number_in(&hot.shard.id).is_some();
        let (Some(at), true, true) = (at, is_named && splits < DIAGNOSTIC_SPLITS, heat.lines(hot, &lines).is_some())
        else {
            return Err(Reason::HotKey { shard: Some(hot.shard.id.clone()) });
        };
        let from = self.stream.open_shards;
        if from >= self.policy.max_shards {
            return Err(Reason::AtMaxShards { max: self.policy.max_shards });
        }
        if self.limits().is_some_and(|l| l.shards_left() == 0) {
            return Err(Reason::AtAccountQuota);
        }
        if !self.history.budget(ChangeKind::Split, self.traffic(), self.now).1 {
            return Err(Reason::ReshardBudgetSpent);
        }
        let split = Remedy::SplitShard { shard: hot.shard.id.clone(), at, from, to: from + 1 };
        self.affordable(&split)?;
        Ok(split)
    }

    fn more_shards(&self, needed: u32, wants: &mut Wants) -> Result<Remedy, Reason> {
        let open = self.stream.open_shards;
        // With warm throughput a stream leaps to what it needs; shards at most double.
        if needed > open.saturating_mul(2) && needed <= self.policy.max_shards && self.may_switch() {
            let warm_mibps = self.warm(needed, wants)?.filter(|warm| *warm > open.saturating_mul(2));
            let leap = Remedy::SwitchToOnDemand { shards: open, warm_mibps, instead_of: NoRoom::Double };
            if warm_mibps.is_some() && self.affordable(&leap).is_ok() {
                return Ok(leap);
            }
        }
        let limit = match self.scale(needed) {
            Ok(scale) => return Ok(scale),
            Err(Full::OfOurs(reason)) => return Err(reason),
            Err(Full::OfAws(limit)) => limit,
        };
        if !self.may_switch() {
            return Err(limit.into());
        }
        let warm_mibps = self.warm(needed, wants)?.filter(|warm| *warm > open);
        let switch = Remedy::SwitchToOnDemand { shards: open, warm_mibps, instead_of: limit };
        self.affordable(&switch)?;
        Ok(switch)
    }

    /// The load of the busiest throttled minute, in full shards; noted as evidence. `None`: no size is known.
    pub(super) fn busiest(&self, evidence: &mut Evidence) -> Option<f64> {
        let throttled = self.window.iter().filter(|m| self.traffic().minute(**m).write_throttled > 0.0);
        let offered = throttled.map(|m| Offered::in_minute(self.traffic(), *m));
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

    /// Whether policy, the day's budget and the account's count of on-demand streams allow the switch.
    fn may_switch(&self) -> bool {
        self.policy.on_demand == Permission::Allow
            && self.history.budget(ChangeKind::Switch, self.traffic(), self.now).1
            && self.limits().is_none_or(|l| l.on_demand_streams < l.on_demand_stream_limit)
    }

    /// Whether the account has the throughput commitment.
    pub(super) fn is_committed(&self, wants: &mut Wants) -> Result<bool, Reason> {
        wants.commitment = self.observation.commitment.is_none();
        self.observation.commitment.map(|c| c == Commitment::Enabled).ok_or(Reason::EvidencePending)
    }
}
