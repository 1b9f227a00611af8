//! What the size of the records says: small ones that fill shards by their number, and ones that a shard takes longer
//! than a second for. CloudWatch shows mean sizes only, so a few large records among small ones stay unseen.

use super::demand::{Offered, shards_at};
use super::writes::Throttled;
use crate::decision::{Ceiling, Evidence, HotKeyEvidence, NoDiagnosis, Reason, Remedy};
use crate::observation::{MinuteTraffic, SHARD_BYTES_PER_SECOND, SHARD_RECORDS_PER_SECOND};

/// Records are small where they use less than this share of the bytes that a shard takes in the second in which their
/// number fills it. Aggregated, they then need less than a fifth of the shards, which is worth a change of a producer.
/// With a larger share the hint would ask for much work and save little.
const SMALL: f64 = 0.2;

/// A record above 1 MiB takes more than the second of a shard: a shard takes 1 MiB a second, whatever the size of its
/// records (large-records.html). Without `UpdateMaxRecordSize` AWS accepts no such record, so a mean above it needs no
/// other proof.
const LARGE_BYTES: f64 = SHARD_BYTES_PER_SECOND;

impl Throttled<'_> {
    /// What was `found`, in the light of the records' size. Records it as evidence. Where shards are enough for the
    /// mean load and no hot shard is seen, large records are the cause: each of them fills its shard for seconds, and
    /// the records of other producers to that shard are refused.
    pub(super) fn explained_by_size(
        &self,
        found: Result<Remedy, Reason>,
        evidence: &mut Evidence,
    ) -> Result<Remedy, Reason> {
        if let Some(minute) = self.busiest_minute() {
            let busiest = Offered::in_minute(self.traffic(), minute);
            // Refused records that producers send again are no load.
            let load = evidence.load_records_per_second.map_or(1.0, |load| load / busiest.records);
            evidence.shards_needed_if_aggregated = aggregated(&busiest, load, self.settings.target_utilization);
        }
        let large = self.throttled().filter_map(|minute| mean_size(&self.traffic().minute(minute))).reduce(f64::max);
        evidence.mean_record_bytes = large.filter(|mean| *mean > LARGE_BYTES);
        if self.is_diagnosis_denied() && is_for_a_person_to_diagnose(&found) {
            let metrics = u32::try_from(self.stream.metrics_off().count()).unwrap_or_default();
            let metrics = f64::from(metrics) * f64::from(self.stream.open_shards);
            evidence.shard_metrics_usd_per_month = Some(metrics * self.settings.prices.metric_month);
        }
        match self.explained_by_no_record(found) {
            Err(Reason::SkewSuspected(_) | Reason::MicroBurst) | Ok(Remedy::EnableShardMetrics { .. })
                if evidence.mean_record_bytes.is_some() =>
            {
                Err(Reason::LargeRecords)
            }
            // Far below the capacity of an on-demand stream, neither growth nor other keys help.
            Err(Reason::HotKey { shown: HotKeyEvidence::OnDemand, .. } | Reason::OnDemandCeiling(_))
                if evidence.mean_record_bytes.is_some() && self.is_well_under() =>
            {
                Err(Reason::LargeRecords)
            }
            found => found,
        }
    }
}

/// Whether the hold tells a person to look for a hot shard or key.
fn is_for_a_person_to_diagnose(found: &Result<Remedy, Reason>) -> bool {
    matches!(
        found,
        Err(Reason::SkewSuspected(NoDiagnosis::Denied)
            | Reason::HotKey { shown: HotKeyEvidence::OnDemand, .. }
            | Reason::OnDemandCeiling(Ceiling::Growth | Ceiling::Warm))
    )
}

/// The shards that the bytes of this load need alone, where its records are small. `load`: the share of the offered
/// records that are load, 0–1. `None`: the records are not small, or their size is unknown.
fn aggregated(offered: &Offered, load: f64, target: f64) -> Option<u32> {
    let by_records = offered.records / SHARD_RECORDS_PER_SECOND;
    let is_bound_by_records = offered.bytes? / SHARD_BYTES_PER_SECOND <= by_records;
    let by_bytes = offered.stored_bytes? / SHARD_BYTES_PER_SECOND;
    (is_bound_by_records && by_bytes < SMALL * by_records).then(|| shards_at(by_bytes * load, target))
}

/// The mean size of all accepted records, or of those of PutRecord where that is larger, bytes.
fn mean_size(minute: &MinuteTraffic) -> Option<f64> {
    let mean = |bytes: f64, count: f64| (count > 0.0).then(|| bytes / count);
    let all = mean(minute.incoming_bytes, minute.incoming_records);
    mean(minute.put_record_bytes, minute.put_record_count).into_iter().chain(all).reduce(f64::max)
}
