//! Why a stream's producers are throttled, and what would stop the throttling.

use super::MissingData;
use super::bounds::NoHeadroom;
use super::demand::{Offered, shards_at};
use super::history::History;
use super::hot_shards::{DIAGNOSTIC_SPLITS, Load, ShardLoads, highest_density, middle};
use crate::decision::{
    AwsLimit, Bound, Evidence, HotKeyEvidence, NeededFor, NoDiagnosis, NoSwitch, Reason, Remedy, Side, SplitBudget,
};
use crate::memory::ChangeKind;
use crate::observation::{
    CapacityMode, Commitment, Limits, Minute, Observation, SHARDS_TOLD_APART, Shard, Stream, Traffic,
};
use crate::policy::{Permission, Policy, StreamPolicy};
use chrono::{DateTime, TimeDelta, Utc};

/// In a stream that lacks shards, one hot shard in four is few: splitting the hot shards costs far less than a reshard,
/// which splits all of them.
const FEW: usize = 4;
/// More hot shards than this are never few. They are split one after the other, and each split takes about four minutes
/// until the metrics show the next. Eight splits take half an hour; a longer wait is worse than a reshard.
const FEW_AT_MOST: usize = 8;

/// A stream that lacks shards accepts at least this share of its capacity in a minute in which it refuses. One key
/// fills one shard, however often its records are retried, and retries count as offered. Uneven keys leave a third of a
/// stream idle. A stream that accepts less does not lack shards, or lacks them for seconds.
pub(super) const FULL: f64 = 0.6;

/// A minute that refuses this share of its records, again and again, is no burst, 0–1. With a smaller share, bursts
/// would add shards that are idle most of the time. With a larger share, a producer that dies of refusals would wait
/// for a person.
const OUTAGE: f64 = 0.5;

/// Shards count as equal up to this ratio of the widest shard and the mean. AWS's uniform reshard rounds a boundary by
/// a key at most. A larger number would overlook a reshard that stopped half way in a stream of many shards.
const EQUAL_WIDTH: f64 = 1.01;

/// A throttled stream, and what a diagnosis of it rests on.
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
    /// The change that would stop the throttling, or why none would. Sets `missing` where the diagnosis needs more
    /// data.
    pub fn remedy(&self, side: Side, evidence: &mut Evidence, missing: &mut MissingData) -> Result<Remedy, Reason> {
        evidence.target_utilization = Some(self.settings.target_utilization);
        evidence.account_shards_left = self.limits().map(|l| l.shards_left());
        evidence.named_shard = self.named_shard.map(Into::into);
        match (&self.stream.mode, side) {
            (CapacityMode::Provisioned, Side::Writes) => {
                let found = self.provisioned_writes(evidence, missing);
                self.explained_by_size(found, evidence)
            }
            (CapacityMode::OnDemand, Side::Writes) => {
                let found = self.on_demand_writes(evidence, missing);
                self.explained_by_size(found, evidence)
            }
            (_, Side::Reads) => self.reads(evidence, missing),
            (CapacityMode::Unknown(_), _) => Err(Reason::NotReady),
        }
    }

    pub(super) fn traffic(&self) -> &Traffic {
        &self.observation.traffic
    }

    pub(super) fn limits(&self) -> Option<Limits> {
        self.observation.limits
    }

    /// A stream that lacks shards gets more. A few hot shards are split. One hot key is a hold: no change helps.
    fn provisioned_writes(&self, evidence: &mut Evidence, missing: &mut MissingData) -> Result<Remedy, Reason> {
        let open = self.stream.open_shards;
        let target = self.settings.target_utilization;
        let widest = self.widest_share();
        evidence.widest_shard_share = Some(widest).filter(|widest| is_uneven(*widest, open));
        let needed = self.needed(widest, evidence)?;
        evidence.shards_needed = Some(needed);
        // With even keys the widest shard is full when the stream takes 1 ÷ its share.
        let is_short = f64::from(needed) > 1.0 / widest + 1e-9 && self.is_full(widest, evidence);
        // A reshard makes the shards equal, and AWS does nothing where their number stays.
        let goal = needed.max(open.saturating_add(1));
        evidence.shards_needed_for = (is_short && goal > needed).then_some(NeededFor::EqualWidth);
        let Some(shards) = self.shards(missing)? else {
            return if is_short {
                self.more_shards(goal, evidence, missing)
            } else {
                self.skew_without_metrics(evidence, missing)
            };
        };
        let Some(loads) = ShardLoads::of(shards, self.traffic(), self.window) else {
            // CloudWatch has not published them, or its search does not find the new shards yet. The stream's own
            // metrics still show that it is full.
            return if is_short { self.more_shards(goal, evidence, missing) } else { Err(Reason::EvidencePending) };
        };
        let busy = loads.busy(target).count();
        evidence.busy_shards = u32::try_from(busy).ok();
        let throttled = loads.throttled(self.named_shard);
        let hot: Vec<&Load<'_>> = throttled.iter().copied().filter(|load| load.utilization > target).collect();
        record_hottest(throttled.first().copied(), evidence);
        let is_fair = needed <= open || busy * FEW <= shards.len();
        let are_few = busy == 1 || (busy <= FEW_AT_MOST && is_fair);
        if hot.is_empty() && is_short {
            return self.more_shards(goal, evidence, missing);
        }
        if hot.is_empty() {
            return Err(Reason::MicroBurst);
        }
        let is_wide = evidence.widest_shard_share.is_some() && loads.are_hot_by_width(&hot);
        if is_wide || !are_few {
            // With this number of equal shards the busy ones come down to the target.
            let density = if is_wide { highest_density(&hot) } else { loads.mean_density(target) };
            let goal = goal.max(shards_at(density, target));
            let needed_for = if is_wide { NeededFor::EqualWidth } else { NeededFor::HotShards };
            evidence.shards_needed_for = (goal > needed).then_some(needed_for);
            return self.more_shards(goal, evidence, missing);
        }
        evidence.shards_needed_for = None;
        self.split(&hot, &loads, evidence)
    }

    /// The shards that the load needs at the target utilization.
    fn needed(&self, widest: f64, evidence: &mut Evidence) -> Result<u32, Reason> {
        let Some(full) = self.load(1.0 / widest, evidence) else {
            // Records were refused, and none was accepted in an hour. The load is unknown, and one doubling is the step
            // that AWS allows. A second doubling would be a guess on a guess.
            let double = self.stream.open_shards.saturating_mul(2);
            return if self.has_grown_unseen() { Err(Reason::NothingAccepted) } else { Ok(double) };
        };
        Ok(shards_at(full, self.settings.target_utilization))
    }

    /// The load of the busiest throttled minute without its retries, in full shards. Records it as evidence.
    /// `capacity`: what the stream takes before the first shard is full. `None`: no record's size is known.
    pub(super) fn load(&self, capacity: f64, evidence: &mut Evidence) -> Option<f64> {
        let offered = self.busiest(evidence)?;
        let accepted = self.busiest_minute().map_or(0.0, |minute| Offered::accepted_shards(self.traffic(), minute));
        let (full, tries) = self.load_behind(offered, accepted, capacity);
        if full < offered {
            evidence.record_load(full / offered);
            evidence.tries = tries;
        }
        Some(full)
    }

    /// Whether a change of ours gave the stream more capacity since it last accepted a record.
    pub(super) fn has_grown_unseen(&self) -> bool {
        let accepted = self.traffic().last_minute(|minute| minute.incoming_records > 0.0);
        let is_since = |at: &DateTime<Utc>| accepted.is_none_or(|minute| *at >= minute.start());
        let memory = &self.history.memory;
        let restored = |at: &DateTime<Utc>| memory.restores.contains(at);
        let is_since_growth = memory.reshards.iter().any(|at| is_since(at) && !restored(at));
        self.history.unverified().is_some() || (is_since_growth && !self.history.is_healed())
    }

    /// The share of all hash keys that the widest shard has, 0–1. Where the hash keys are not known, the shards count
    /// as equal.
    pub(super) fn widest_share(&self) -> f64 {
        let open = self.stream.open_shards.max(1);
        let is_whole = |shards: &&[Shard]| u32::try_from(shards.len()).is_ok_and(|count| count == open);
        let shards = self.observation.shards.as_deref().filter(is_whole);
        let widest = shards.unwrap_or_default().iter().map(Shard::share).fold(0.0, f64::max);
        widest.max(1.0 / f64::from(open))
    }

    /// The accepted load of the throttled minute that accepted most, in full shards.
    pub(super) fn accepted(&self) -> f64 {
        self.throttled().map(|minute| Offered::accepted_shards(self.traffic(), minute)).fold(0.0, f64::max)
    }

    /// The minutes of the window that refused records.
    pub(super) fn throttled(&self) -> impl Iterator<Item = Minute> {
        self.window.iter().copied().filter(|minute| self.traffic().minute(*minute).write_throttled > 0.0)
    }

    /// Whether the stream accepts enough to lack shards. A stream of one shard always does.
    fn is_full(&self, widest: f64, evidence: &mut Evidence) -> bool {
        let (open, accepted) = (self.stream.open_shards, self.accepted());
        evidence.accepted_utilization = Some(accepted / f64::from(open.max(1)));
        // A stream whose records are all refused has no accepted load to measure.
        open <= 1 || evidence.offered_bytes_per_second.is_none() || accepted * widest >= FULL
    }

    /// The shards one by one. `None`: no metric tells them apart.
    fn shards(&self, missing: &mut MissingData) -> Result<Option<&[Shard]>, Reason> {
        // A single shard has all the load.
        if !self.stream.shows_shards() || !(2..=SHARDS_TOLD_APART).contains(&self.stream.open_shards) {
            return Ok(None);
        }
        missing.shards |= self.observation.shards.is_none();
        let shards = self.observation.shards.as_deref().ok_or(Reason::EvidencePending)?;
        // Where the summary and the list differ, another person or tool has just changed the stream.
        let is_whole = usize::try_from(self.stream.open_shards).is_ok_and(|open| open == shards.len());
        if is_whole { Ok(Some(shards)) } else { Err(Reason::Resharding) }
    }

    /// The stream has enough shards, and no metric shows which are hot.
    fn skew_without_metrics(&self, evidence: &mut Evidence, missing: &mut MissingData) -> Result<Remedy, Reason> {
        let memory = &self.history.memory;
        let day = TimeDelta::hours(crate::observation::LOOKBACK_HOURS);
        let open = self.stream.open_shards;
        if open == 1 {
            // A burst that long is an outage of the producer: it dies of the refusals and comes back to be refused.
            let is_outage = self.is_refused_for_long(Side::Writes, OUTAGE);
            evidence.shards_needed_for = is_outage.then_some(NeededFor::Outage);
            return if is_outage { self.more_shards(2, evidence, missing) } else { Err(Reason::MicroBurst) };
        }
        let spent =
            self.history.split_histories(self.now).iter().map(|history| history.splits).max().unwrap_or_default();
        if spent >= DIAGNOSTIC_SPLITS {
            return Err(Reason::HotKey { shard: None, shown: HotKeyEvidence::Splits(spent) });
        }
        // The metrics go on once a day. A person reads in the log what they show.
        let is_today = memory.shard_metrics.is_some_and(|metrics| self.now - metrics.at < day);
        let is_allowed = || self.history.budget(ChangeKind::EnableShardMetrics, self.now).1;
        // Where a person denies the diagnosis, the hold gives the command: a person may call it on any day, for any
        // number of shards.
        let why_not = if self.is_diagnosis_denied() {
            Some(NoDiagnosis::Denied)
        } else if open > SHARDS_TOLD_APART {
            Some(NoDiagnosis::TooMany)
        } else if is_today {
            Some(NoDiagnosis::Today)
        } else if is_allowed() {
            None
        } else {
            Some(NoDiagnosis::Refused)
        };
        let enable = Remedy::EnableShardMetrics { shards: open, metrics: self.stream.metrics_off().collect() };
        let why_not = why_not.or_else(|| self.affordable(&enable).err().map(|_| NoDiagnosis::TooExpensive));
        why_not.map_or(Ok(enable), |why_not| Err(Reason::SkewSuspected(why_not)))
    }

    /// Whether shard-level metrics are off, and the settings forbid to enable them.
    pub(super) fn is_diagnosis_denied(&self) -> bool {
        self.settings.diagnose == Permission::Deny && self.stream.metrics_off().next().is_some()
    }

    /// Splits the hottest of `hot`, without those whose split history shows one hot key.
    fn split(&self, hot: &[&Load<'_>], loads: &ShardLoads<'_>, evidence: &mut Evidence) -> Result<Remedy, Reason> {
        let found = hot.iter().map(|load| (*load, self.divide(load, loads)));
        let mut blocked = None;
        for (load, at) in found {
            match at {
                Ok((splits, at)) => {
                    record_hottest(Some(load), evidence);
                    evidence.diagnostic_splits = Some(splits);
                    return self.split_at(&load.shard.id, at, None);
                }
                Err(reason) => blocked = blocked.or(Some(reason)),
            }
        }
        if let Some(Reason::HotKey { shown: HotKeyEvidence::Splits(splits), .. }) = blocked {
            evidence.diagnostic_splits = Some(splits);
        }
        Err(blocked.unwrap_or(Reason::MicroBurst))
    }

    /// The splits in the history of a hot shard, and where to split it next. `Err`: why it is not split.
    fn divide(&self, hot: &Load<'_>, loads: &ShardLoads<'_>) -> Result<(u32, u128), Reason> {
        let (histories, lost) = (self.history.split_histories(self.now), self.history.is_lost(self.now));
        let splits = loads.splits(hot, &histories, lost);
        let hot_key = |shown| Reason::HotKey { shard: Some(hot.shard.id.clone()), shown };
        let at = middle(hot.shard.first_hash_key, hot.shard.last_hash_key);
        let at = at.ok_or_else(|| hot_key(HotKeyEvidence::Narrow))?;
        if Shard::number_in(&hot.shard.id).is_none() {
            return Err(Reason::SkewSuspected(NoDiagnosis::UnreadableId));
        }
        if splits >= DIAGNOSTIC_SPLITS {
            return Err(hot_key(if lost { HotKeyEvidence::LostMemory } else { HotKeyEvidence::Splits(splits) }));
        }
        loads
            .other_histories(hot, &histories)
            .map(|_| (splits, at))
            .ok_or(Reason::SplitBudgetSpent(SplitBudget::Histories))
    }

    fn split_at(&self, shard: &str, at: u128, partial: Option<Bound>) -> Result<Remedy, Reason> {
        let from = self.stream.open_shards;
        if from >= self.policy.max_shards {
            return Err(Reason::AtMaxShards { max: self.policy.max_shards });
        }
        if self.limits().is_some_and(|l| l.shards_left() == 0) {
            return Err(Reason::AtAccountQuota(NoSwitch::HotShard));
        }
        if !self.history.budget(ChangeKind::Split, self.now).1 {
            return Err(Reason::SplitBudgetSpent(SplitBudget::Refused));
        }
        let split = Remedy::SplitShard { shard: shard.into(), at, from, to: from + 1, partial };
        self.affordable(&split)?;
        Ok(split)
    }

    /// A reshard to `needed` shards, within every bound.
    pub(super) fn more_shards(
        &self,
        needed: u32,
        evidence: &mut Evidence,
        missing: &mut MissingData,
    ) -> Result<Remedy, Reason> {
        evidence.shards_needed = Some(needed);
        let open = self.stream.open_shards;
        // With warm throughput a stream reaches what it needs in one step. AWS at most doubles shards.
        if needed > open.saturating_mul(2) && self.no_switch(needed, evidence).is_none() {
            let warm_mibps = self.warm(needed, missing)?.filter(|warm| *warm > open.saturating_mul(2));
            let leap = Remedy::SwitchToOnDemand { shards: open, warm_mibps, instead_of: AwsLimit::Double };
            if warm_mibps.is_some() && self.affordable(&leap).is_ok() {
                return Ok(leap);
            }
        }
        let limit = match self.scale(needed, evidence.is_load_cut(), missing) {
            Ok(scale) => return Ok(scale),
            Err(NoHeadroom::Persons(reason)) => return Err(reason),
            Err(NoHeadroom::Aws(limit)) => limit,
        };
        if let Some(no_switch) = self.no_switch(needed, evidence) {
            // One more shard is little, and it helps a little.
            let widest = if limit == AwsLimit::AccountQuota { self.split_widest(missing) } else { None };
            return widest.ok_or_else(|| limit.without(no_switch));
        }
        let warm_mibps = self.warm(needed, missing)?.filter(|warm| *warm > open);
        let switch = Remedy::SwitchToOnDemand { shards: open, warm_mibps, instead_of: limit };
        self.affordable(&switch)?;
        Ok(switch)
    }

    /// The split of the shard with the most hash keys, where the account has room for one shard and no room for the
    /// short-lived shards of a reshard. SplitShard opens two shards and closes one.
    fn split_widest(&self, missing: &mut MissingData) -> Option<Remedy> {
        if self.limits().is_none_or(|l| l.shards_left() == 0) {
            return None;
        }
        missing.shards |= self.observation.shards.is_none();
        let shards = self.observation.shards.as_deref()?;
        let widest = shards.iter().max_by_key(|s| s.last_hash_key.saturating_sub(s.first_hash_key))?;
        let at = middle(widest.first_hash_key, widest.last_hash_key)?;
        self.split_at(&widest.id, at, Some(Bound::AccountQuota)).ok()
    }

    /// The load of the busiest throttled minute, in full shards. Records it as evidence. `None`: no size is known.
    pub(super) fn busiest(&self, evidence: &mut Evidence) -> Option<f64> {
        let busiest = Offered::in_minute(self.traffic(), self.busiest_minute()?);
        evidence.offered_records_per_second = Some(busiest.records);
        evidence.offered_bytes_per_second = busiest.bytes;
        evidence.offered_includes_retries = Some(true);
        busiest.shards()
    }

    /// The throttled minute that was offered most.
    pub(super) fn busiest_minute(&self) -> Option<Minute> {
        let offered = self.throttled().map(|minute| (minute, Offered::in_minute(self.traffic(), minute).weight()));
        offered.max_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(minute, _)| minute)
    }

    /// Why a stream that needs `needed` shards is not switched to on-demand mode. `None`: it may be.
    fn no_switch(&self, needed: u32, evidence: &Evidence) -> Option<NoSwitch> {
        let has_room = self.limits().is_none_or(|l| l.on_demand_streams < l.on_demand_stream_limit);
        if evidence.offered_bytes_per_second.is_none() {
            return Some(NoSwitch::UnknownLoad);
        }
        if self.policy.on_demand == Permission::Deny {
            return Some(NoSwitch::Denied);
        }
        if needed > self.policy.max_shards {
            return Some(NoSwitch::AboveMax(self.policy.max_shards));
        }
        if !self.history.budget(ChangeKind::Switch, self.now).1 {
            return Some(NoSwitch::BudgetSpent);
        }
        (!has_room).then_some(NoSwitch::Quota)
    }

    /// Whether the account has the throughput commitment.
    pub(super) fn is_committed(&self, missing: &mut MissingData) -> Result<bool, Reason> {
        missing.commitment |= self.observation.commitment.is_none();
        self.observation.commitment.map(|c| c == Commitment::Enabled).ok_or(Reason::EvidencePending)
    }
}

/// Whether the widest shard is wider than the others.
pub(super) fn is_uneven(widest: f64, open: u32) -> bool {
    widest * f64::from(open) > EQUAL_WIDTH
}

fn record_hottest(hottest: Option<&Load<'_>>, evidence: &mut Evidence) {
    evidence.hottest_shard = hottest.map(|hot| hot.shard.id.clone());
    evidence.hottest_shard_utilization = hottest.map(|hot| hot.utilization);
}
