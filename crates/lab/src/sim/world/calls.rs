//! The AWS calls that change the stream, with AWS's refusals, and the metrics that a policy writes.

use super::super::cloudwatch::CloudWatch;
use super::{By, World};
use crate::rules::{
    HashRange, MAX_ON_DEMAND_SHARDS, Refusal, must_accept_on_demand, must_accept_reshard, must_accept_switch,
    must_be_active, must_be_provisioned, opened_by,
};
use crate::sim::durations::{monitoring_seconds, switch_seconds};
use crate::sim::timeline::Change;
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeSet;
use unthrottle_core::observation::{CapacityMode, Commitment, Minute};
use unthrottle_core::run::CountedChange;

/// The longest value of a tag, in characters (AWS's tagging guide).
const TAG_LENGTH: usize = 255;

/// The characters of a tag besides letters and digits (the same guide).
const TAG_MARKS: &str = " _./=+-@:";

/// A change that AWS is carrying out. The stream is UPDATING until its end.
#[derive(Clone, Debug)]
pub(super) struct Running {
    pub(super) until: i64,
    pub(super) outcome: Outcome,
}

#[derive(Clone, Debug)]
pub(super) enum Outcome {
    Shards(Vec<HashRange>),
    Mode(CapacityMode),
    Monitored(BTreeSet<String>),
}

/// AWS's write calls.
impl World {
    /// `UpdateShardCount`, uniform. Returns the open shards before the call. A repeat of the current count changes
    /// nothing.
    ///
    /// # Errors
    /// AWS's refusal.
    pub fn update_shard_count(&mut self, by: By, target: u32) -> Result<u32, Refusal> {
        let open = self.open_shards();
        let allowed = self.may_be_resharded(target);
        let opened = self.answer(by, allowed)?;
        if target != open {
            self.reshards.push(self.now);
            let seconds = self.setup.account.times.reshard_seconds(opened, &mut self.changes);
            self.begin(by, seconds, Outcome::Shards(HashRange::uniform(target)));
        }
        Ok(open)
    }

    fn ranges(&self) -> Vec<HashRange> {
        self.shards.iter().map(|shard| shard.range).collect()
    }

    /// The shards that the reshard would open on its way.
    pub(in crate::sim) fn may_be_resharded(&self, target: u32) -> Result<u32, Refusal> {
        self.must_be_provisioned("UpdateShardCount")?;
        self.must_be_active()?;
        let quota = self.setup.account.quota(self.open_shards());
        must_accept_reshard(&self.stream, &self.ranges(), target, &self.reshards, self.now, quota)
    }

    /// A tool that splits shard after shard, and stops half-way: the first half of the shards is split.
    ///
    /// # Errors
    /// AWS's refusal.
    pub fn reshard_half_way(&mut self, by: By) -> Result<(), Refusal> {
        let open = self.open_shards();
        let splits = open.div_ceil(2);
        self.must_be_provisioned("SplitShard")?;
        self.must_be_active()?;
        self.setup.account.quota(open).must_have_place_for(splits, &self.stream.home)?;
        let pieces = |(number, range): (u32, HashRange)| match range.halves() {
            Some(halves) if number < splits => halves.to_vec(),
            _ => vec![range],
        };
        let ranges = (0..).zip(self.ranges()).flat_map(pieces).collect();
        let seconds = self.setup.account.times.reshard_seconds(splits, &mut self.changes);
        self.begin(by, seconds, Outcome::Shards(ranges));
        Ok(())
    }

    /// `SplitShard`: the hash key `at` begins the second half. AWS's daily cap does not count it.
    ///
    /// # Errors
    /// AWS's refusal.
    pub fn split_shard(&mut self, by: By, id: &str, at: u128) -> Result<(), Refusal> {
        let ranges = self.split(id, at);
        let ranges = self.answer(by, ranges)?;
        let seconds = self.setup.account.times.reshard_seconds(1, &mut self.changes);
        self.begin(by, seconds, Outcome::Shards(ranges));
        Ok(())
    }

    fn split(&self, id: &str, at: u128) -> Result<Vec<HashRange>, Refusal> {
        self.must_be_provisioned("SplitShard")?;
        self.must_be_active()?;
        let shard = &self.shards[self.place_of(id)?];
        let halves = shard.range.split(at);
        let halves = halves.ok_or_else(|| Refusal::new("InvalidArgumentException", "Not a hash key to split at."))?;
        self.setup.account.quota(self.open_shards()).must_have_place_for(1, &self.stream.home)?;
        Ok(self.ranges_with(shard.range, halves))
    }

    fn place_of(&self, id: &str) -> Result<usize, Refusal> {
        let place = self.shards.iter().position(|shard| shard.id() == id);
        place.ok_or_else(|| Refusal::new("ResourceNotFoundException", "There is no such open shard."))
    }

    /// `MergeShards` of two neighbours, in either order. AWS's daily cap does not count it.
    ///
    /// # Errors
    /// AWS's refusal.
    pub fn merge_shards(&mut self, by: By, id: &str, adjacent: &str) -> Result<(), Refusal> {
        let ranges = self.merged(id, adjacent);
        let ranges = self.answer(by, ranges)?;
        let seconds = self.setup.account.times.reshard_seconds(0, &mut self.changes);
        self.begin(by, seconds, Outcome::Shards(ranges));
        Ok(())
    }

    fn merged(&self, id: &str, adjacent: &str) -> Result<Vec<HashRange>, Refusal> {
        self.must_be_provisioned("MergeShards")?;
        self.must_be_active()?;
        let (one, other) = (self.place_of(id)?, self.place_of(adjacent)?);
        if one.abs_diff(other) != 1 {
            return Err(Refusal::new("InvalidArgumentException", "The shards are not adjacent."));
        }
        let mut ranges = self.ranges();
        let above = ranges.remove(one.max(other));
        ranges[one.min(other)].last = above.last;
        Ok(ranges)
    }

    /// `UpdateStreamMode`. The stream keeps its shards. A repeat of the current mode is free.
    ///
    /// # Errors
    /// AWS's refusal.
    pub fn update_stream_mode(&mut self, by: By, mode: CapacityMode) -> Result<(), Refusal> {
        let allowed = self.may_be_switched(&mode);
        self.answer(by, allowed)?;
        if mode != self.mode {
            self.switches.push(self.now);
            self.begin(by, switch_seconds(), Outcome::Mode(mode));
        }
        Ok(())
    }

    fn may_be_switched(&self, mode: &CapacityMode) -> Result<(), Refusal> {
        self.must_be_active()?;
        if *mode == self.mode {
            return Ok(());
        }
        let account = &self.setup.account;
        let home = &self.stream.home;
        match mode {
            CapacityMode::OnDemand => must_accept_on_demand(account.other_on_demand, account.on_demand_limit, home)?,
            _ => account.quota(0).must_have_place_for(self.open_shards(), home)?,
        }
        must_accept_switch(&self.stream, &self.switches, self.now)
    }

    /// `UpdateStreamWarmThroughput`, in MiB/s. AWS opens the shards for it at once.
    ///
    /// # Errors
    /// AWS's refusal.
    pub fn update_warm_throughput(&mut self, by: By, mibps: u32) -> Result<(), Refusal> {
        let allowed = self.may_be_warmed();
        self.answer(by, allowed)?;
        let (open, target) = (self.open_shards(), mibps.min(MAX_ON_DEMAND_SHARDS));
        if target > open {
            let seconds =
                self.setup.account.times.reshard_seconds(opened_by(&self.ranges(), target), &mut self.changes);
            self.begin(by, seconds, Outcome::Shards(HashRange::uniform(target)));
        }
        Ok(())
    }

    fn may_be_warmed(&self) -> Result<(), Refusal> {
        if self.commitment != Commitment::Enabled || self.mode != CapacityMode::OnDemand {
            let words = "The account is not enabled for minimum throughput billing commitment";
            return Err(Refusal::new("ValidationException", words));
        }
        self.must_be_active()
    }

    /// `EnableEnhancedMonitoring` if `on`, otherwise `DisableEnhancedMonitoring`. Metrics are in AWS's spelling.
    ///
    /// # Errors
    /// AWS's refusal.
    pub fn update_monitoring(&mut self, by: By, metrics: &[&str], on: bool) -> Result<(), Refusal> {
        let allowed = self.must_be_active();
        self.answer(by, allowed)?;
        let mut monitored = self.monitored.clone();
        for metric in metrics {
            if on {
                monitored.insert((*metric).to_owned());
            } else {
                monitored.remove(*metric);
            }
        }
        self.running = Some(Running { until: self.now + monitoring_seconds(), outcome: Outcome::Monitored(monitored) });
        Ok(())
    }

    /// `TagResource`.
    ///
    /// # Errors
    /// The value is too long, or has a character that AWS does not allow in tags.
    pub fn tag(&mut self, by: By, key: &str, value: &str) -> Result<(), Refusal> {
        let is_legal = |c: char| c.is_alphanumeric() || TAG_MARKS.contains(c);
        let allowed = value.chars().count() <= TAG_LENGTH && value.chars().all(is_legal);
        let refusal = || Refusal::new("InvalidArgumentException", "Not the value of a tag.");
        self.answer(by, allowed.then_some(()).ok_or_else(refusal))?;
        self.tags.insert(key.to_owned(), value.to_owned());
        Ok(())
    }

    /// `UntagResource` of one tag.
    pub fn untag_one(&mut self, key: &str) {
        self.tags.remove(key);
    }

    /// `UntagResource` of all tags.
    pub fn untag(&mut self) {
        self.tags.clear();
    }

    /// `PutMetricData` of AutoFix and ShardsAdded.
    pub fn count(&mut self, change: CountedChange) {
        self.tally.call(None);
        let count = if change.is_resent { CloudWatch::count_again } else { CloudWatch::count };
        count(&mut self.cloudwatch, change.action, Minute::of(change.at), self.now);
        self.cloudwatch.count_shards(change.added_shards, Minute::of(change.at), self.now);
    }

    /// `PutMetricData` of AutoFix by a stranger: nothing was changed.
    pub fn count_forged(&mut self, action: &'static str) {
        self.cloudwatch.count(action, Minute::of(self.time()), self.now);
    }

    /// AutoFix of a change before the run. CloudWatch has long published it.
    pub fn counted_before(&mut self, action: &'static str, ago: i64) {
        let minute = Minute::of(self.time() - TimeDelta::seconds(ago));
        self.cloudwatch.count(action, minute, self.now - ago);
    }

    /// `PutMetricData` of Reverted.
    pub fn count_reverted(&mut self, at: DateTime<Utc>) {
        self.tally.call(None);
        self.cloudwatch.count_reverted(Minute::of(at), self.now);
    }

    fn must_be_active(&self) -> Result<(), Refusal> {
        must_be_active(&self.stream, self.running.is_none(), "UPDATING")
    }

    fn must_be_provisioned(&self, operation: &str) -> Result<(), Refusal> {
        must_be_provisioned(&self.stream, self.mode == CapacityMode::Provisioned, operation)
    }

    fn answer<T>(&mut self, by: By, answer: Result<T, Refusal>) -> Result<T, Refusal> {
        if by == By::Policy {
            self.tally.call(answer.as_ref().err().map(|refusal| refusal.code));
        }
        answer
    }

    /// Begins a change of capacity.
    fn begin(&mut self, by: By, seconds: i64, outcome: Outcome) {
        if by == By::Policy {
            self.tally.change();
        }
        let from = self.open_shards();
        let (code, to) = match &outcome {
            Outcome::Shards(ranges) => ("reshard", u32::try_from(ranges.len()).unwrap_or(u32::MAX)),
            Outcome::Mode(_) => ("switch_mode", from),
            Outcome::Monitored(_) => ("monitor", from),
        };
        self.timeline.change(self.now, code, Change { by, from, to });
        self.running = Some(Running { until: self.now + seconds, outcome });
    }
}
