//! On-demand streams: more warm throughput where the account has the commitment, and a wait where it has not.

use super::MissingData;
use super::cost::in_both_modes;
use super::demand::shards_at;
use super::writes::{FULL, Throttled};
use crate::decision::{Bound, Ceiling, Evidence, HotKeyEvidence, Reason, Remedy, Side};
use crate::memory::ChangeKind;
use crate::policy::AWS_MAX_WARM_MIBPS;

/// A stream that takes less than this share of its capacity, and throttles for 15 minutes, does not lack capacity.
/// Uneven keys alone leave more than this share in use.
const WELL_UNDER: f64 = 0.5;

/// A hot key fills a shard for the whole minute. A stream that accepts less than this in its best throttled minute, in
/// full shards, has no full shard: AWS refuses bursts. With a smaller number, bursts would be called keys. With a
/// larger one, a key of records of nearly 1 MiB would be called a burst: they leave up to half of a full shard unused.
const KEY_FILLS: f64 = 0.5;

/// The regions where a stream may have 10 GiB/s; elsewhere it is [`SMALL_CEILING_MIBPS`] (the Kinesis quotas page). No
/// API shows a quota that AWS raised on request, so its owner raises the warm throughput by hand.
const LARGE_REGIONS: [&str; 3] = ["us-east-1", "us-west-2", "eu-west-1"];
/// See [`LARGE_REGIONS`].
const SMALL_CEILING_MIBPS: u32 = 200;

impl Throttled<'_> {
    /// What would stop the throttling of an on-demand stream's producers.
    pub(super) fn on_demand_writes(
        &self,
        evidence: &mut Evidence,
        missing: &mut MissingData,
    ) -> Result<Remedy, Reason> {
        let full = self.load(self.stream.capacity(), evidence);
        evidence.accepted_utilization = Some(self.accepted() / self.stream.capacity());
        let committed = self.is_committed(missing)?;
        if committed && let Some(warm_up) = self.warm_up(full, evidence)? {
            self.affordable(&warm_up)?;
            return Ok(warm_up);
        }
        if let Some(full) = full {
            let shards = shards_at(full, self.settings.target_utilization);
            let load_share = match (evidence.load_records_per_second, evidence.offered_records_per_second) {
                (Some(load), Some(offered)) if offered > 0.0 => load / offered,
                _ => 1.0,
            };
            let (on_demand, provisioned) =
                in_both_modes(self.observation, self.stream, self.settings, self.window, (shards, load_share));
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
        Err(self.growing(Side::Writes, full.is_some() && self.is_well_under(), ceiling))
    }

    /// More warm throughput. An equal or lower value would scale the stream down, so the target is above both the
    /// current and the coming value. `None`: these values are unknown, a bound allows no more, or the stream takes too
    /// little to lack capacity.
    fn warm_up(&self, full: Option<f64>, evidence: &mut Evidence) -> Result<Option<Remedy>, Reason> {
        let Some(warm) = self.stream.warm_throughput else { return Ok(None) };
        let from_mibps = warm.current_mibps.max(warm.target_mibps);
        if full.is_none() && self.has_grown_unseen() {
            return Err(Reason::NothingAccepted);
        }
        let needed =
            full.map_or(from_mibps.saturating_mul(2), |full| shards_at(full, self.settings.target_utilization));
        let is_full = self.accepted() >= FULL * self.stream.capacity();
        if full.is_some() && !is_full && !self.stream.spreads_records {
            return Ok(None);
        }
        evidence.warm_mibps_needed = Some(needed);
        let (to_mibps, partial) = self.warm_bounded(needed);
        let allowed = self.history.budget(ChangeKind::WarmUp, self.now).1;
        Ok((allowed && to_mibps > from_mibps).then_some(Remedy::WarmUp { from_mibps, to_mibps, partial }))
    }

    /// The warm throughput to switch to on-demand mode with. `None`: the account has no commitment.
    pub(super) fn warm(&self, needed: u32, missing: &mut MissingData) -> Result<Option<u32>, Reason> {
        Ok(self.is_committed(missing)?.then(|| self.warm_bounded(needed).0))
    }

    /// The warm throughput for `needed` shards, MiB/s, and the bound that keeps it lower. A shard takes 1 MiB/s or
    /// 1,000 records a second, so the load needs as many MiB/s as shards.
    fn warm_bounded(&self, needed: u32) -> (u32, Option<Bound>) {
        let large = LARGE_REGIONS.contains(&self.stream.region());
        let ceiling = if large { AWS_MAX_WARM_MIBPS } else { SMALL_CEILING_MIBPS };
        let max = self.settings.max_warm_mibps;
        let to = needed.min(max).min(ceiling);
        let bound = if max <= ceiling { Bound::MaxWarm } else { Bound::StreamCeiling };
        (to, (to < needed).then_some(bound))
    }

    /// Whether the stream accepts less than [`WELL_UNDER`] of its capacity while it throttles. What it refuses may be
    /// retries of one key.
    pub(super) fn is_well_under(&self) -> bool {
        self.accepted() < WELL_UNDER * self.stream.capacity()
    }

    /// The hold of an on-demand stream that no change helps. `is_well_under`: whether it accepts far less than its
    /// capacity.
    pub(super) fn growing(&self, side: Side, is_well_under: bool, ceiling: Ceiling) -> Reason {
        // Any refusal counts.
        if !self.is_refused_for_long(side, f64::MIN_POSITIVE) {
            return Reason::OnDemandAdapting;
        }
        if is_well_under && self.accepted() < KEY_FILLS {
            Reason::MicroBurst
        } else if is_well_under && !self.stream.spreads_records {
            Reason::HotKey { shard: None, shown: HotKeyEvidence::OnDemand }
        } else {
            Reason::OnDemandCeiling(ceiling)
        }
    }
}
