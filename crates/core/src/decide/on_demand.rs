//! On-demand streams: warm throughput where the account has paid for it, patience where not.

use super::MissingData;
use super::cost::in_both_modes;
use super::demand::shards_at;
use super::writes::Throttled;
use crate::decision::{Bound, Ceiling, Evidence, HotKeyEvidence, Reason, Remedy, Side};
use crate::memory::ChangeKind;
use crate::observation::Minute;
use crate::policy::AWS_MAX_WARM_MIBPS;

/// On-demand splits "within 15 minutes" (AWS): throttling in each of the last three blocks of five minutes is more
/// than growing pains; fewer blocks would blame a stream that is about to be helped.
const BLOCKS: i64 = 3;
const BLOCK_MINUTES: i64 = 5;

/// Offered less than this share of its capacity and still throttled for 15 minutes: that is no lack of capacity.
const WELL_UNDER: f64 = 0.5;

/// The regions where a stream may have 10 GiB/s; elsewhere it is [`SMALL_CEILING_MIBPS`] (Kinesis quotas page). A quota
/// that was raised by ticket shows nowhere, so its owner asks for more by hand.
const LARGE_REGIONS: [&str; 3] = ["us-east-1", "us-west-2", "eu-west-1"];
const SMALL_CEILING_MIBPS: u32 = 200;

impl Throttled<'_> {
    pub(super) fn on_demand_writes(
        &self,
        evidence: &mut Evidence,
        missing: &mut MissingData,
    ) -> Result<Remedy, Reason> {
        let full = self.busiest(evidence);
        let committed = self.is_committed(missing)?;
        if committed && let Some(warm_up) = self.warm_up(full, evidence) {
            self.affordable(&warm_up)?;
            return Ok(warm_up);
        }
        if let Some(full) = full {
            let shards = shards_at(full, self.settings.target_utilization);
            let (on_demand, provisioned) =
                in_both_modes(self.observation, self.stream, self.settings, self.window, shards);
            evidence.shards_needed = Some(shards);
            evidence.on_demand_usd_per_hour = Some(on_demand);
            evidence.provisioned_usd_per_hour = Some(provisioned);
        }
        if !committed {
            evidence.commitment_usd_per_hour = Some(self.settings.prices.commitment_per_hour());
        }
        let max = self.settings.max_warm_mibps;
        let ceiling = match evidence.warm_mibps_needed {
            Some(needed) if needed > max => Ceiling::MaxWarm(max),
            _ if committed => Ceiling::Warm,
            _ => Ceiling::Growth,
        };
        Err(self.growing(Side::Writes, full, ceiling))
    }

    /// More warm throughput. An equal or lower value would scale the stream *down*: only above both what it has and what
    /// it is getting. What it has is unknown: no.
    fn warm_up(&self, full: Option<f64>, evidence: &mut Evidence) -> Option<Remedy> {
        let warm = self.stream.warm_throughput?;
        let from = warm.current_mibps.max(warm.target_mibps);
        let needed = full.map_or(from.saturating_mul(2), |full| shards_at(full, self.settings.target_utilization));
        evidence.warm_mibps_needed = Some(needed);
        let (to, partial) = self.warm_bounded(needed);
        let allowed = self.history.budget(ChangeKind::WarmUp, self.traffic(), self.now).1;
        (allowed && to > from).then_some(Remedy::WarmUp { from, to, partial })
    }

    /// The warm throughput to switch to on-demand with; `None`: the account has no commitment.
    pub(super) fn warm(&self, needed: u32, missing: &mut MissingData) -> Result<Option<u32>, Reason> {
        Ok(self.is_committed(missing)?.then(|| self.warm_bounded(needed).0))
    }

    /// Warm throughput is in MiB/s, and a shard takes one, or 1,000 records: so many MiB/s as shards.
    fn warm_bounded(&self, needed: u32) -> (u32, Option<Bound>) {
        let large = LARGE_REGIONS.contains(&self.stream.region());
        let ceiling = if large { AWS_MAX_WARM_MIBPS } else { SMALL_CEILING_MIBPS };
        let max = self.settings.max_warm_mibps;
        let to = needed.min(max).min(ceiling);
        let bound = if max <= ceiling { Bound::MaxWarm } else { Bound::StreamCeiling };
        (to, (to < needed).then_some(bound))
    }

    /// Why an on-demand stream throttles that nothing here helps; `full`: its load in full shards, where that is known.
    pub(super) fn growing(&self, side: Side, full: Option<f64>, ceiling: Ceiling) -> Reason {
        if !self.is_lasting(side) {
            return Reason::OnDemandAdapting;
        }
        let capacity = f64::from(self.stream.open_shards);
        let is_well_under = full.is_some_and(|full| full < WELL_UNDER * capacity);
        if is_well_under && !self.stream.spreads_records {
            Reason::HotKey { shard: None, shown: HotKeyEvidence::OnDemand }
        } else {
            Reason::OnDemandCeiling(ceiling)
        }
    }

    fn is_lasting(&self, side: Side) -> bool {
        let throttled = |minute: Minute| {
            let traffic = self.traffic().minute(minute);
            (match side {
                Side::Writes => traffic.write_throttled,
                Side::Reads => traffic.read_throttled,
            }) > 0.0
        };
        let block = |n: i64| {
            let last = self.newest.plus(-n * BLOCK_MINUTES);
            last.plus(1 - BLOCK_MINUTES).to(last)
        };
        let first = self.newest.plus(1 - BLOCKS * BLOCK_MINUTES);
        let is_evidence = self.history.evidence_from.is_none_or(|from| Minute::from(from) <= first);
        is_evidence && (0..BLOCKS).all(|n| block(n).any(throttled))
    }
}
