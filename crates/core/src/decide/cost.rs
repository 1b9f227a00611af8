//! The cost of a stream before and after a remedy, at the load that the remedy is to carry.

use super::demand::Offered;
use crate::cost::{BillingMode, Load, Shape};
use crate::decision::{Cost, Remedy};
use crate::observation::{CapacityMode, Commitment, Minute, Observation, Stream};
use crate::policy::Policy;

/// The cost before and after `remedy`, both at the busiest load of `window`.
pub(super) fn cost(
    remedy: &Remedy,
    observation: &Observation,
    stream: &Stream,
    policy: &Policy,
    window: &[Minute],
) -> Cost {
    let before = shape(observation, stream, window);
    let mut after = before;
    match remedy {
        Remedy::ScaleShards { to, .. } | Remedy::SplitShard { to, .. } | Remedy::Restore { to, .. } => {
            after.shards = *to
        }
        Remedy::SwitchToOnDemand { .. } => after.mode = on_demand(observation),
        Remedy::SwitchToProvisioned { .. } => after.mode = BillingMode::Provisioned,
        // AWS does not charge for warm throughput itself (how-do-i-size-a-stream.html).
        Remedy::WarmUp { .. } => {}
        Remedy::EnableShardMetrics { metrics, .. } => after.shard_metrics += count(metrics.len()),
        Remedy::DisableShardMetrics { metrics, .. } => {
            after.shard_metrics = after.shard_metrics.saturating_sub(count(metrics.len()));
        }
    }
    let cost = |shape| to_the_hundredth_cent(policy.prices.per_hour(shape));
    let prices = format!("{} {}", policy.prices.region, policy.prices.as_of);
    Cost { before_usd_per_hour: cost(&before), after_usd_per_hour: cost(&after), prices }
}

/// The cost in on-demand mode, and in provisioned mode with `shards`, USD an hour.
pub(super) fn in_both_modes(
    observation: &Observation,
    stream: &Stream,
    policy: &Policy,
    window: &[Minute],
    shards: u32,
) -> (f64, f64) {
    let now = shape(observation, stream, window);
    let on_demand = Shape { mode: on_demand(observation), ..now };
    let provisioned = Shape { mode: BillingMode::Provisioned, shards, ..now };
    let cost = |shape| to_the_hundredth_cent(policy.prices.per_hour(shape));
    (cost(&on_demand), cost(&provisioned))
}

fn shape(observation: &Observation, stream: &Stream, window: &[Minute]) -> Shape {
    let traffic = &observation.traffic;
    let busiest = window.iter().map(|minute| (Offered::in_minute(traffic, *minute), traffic.minute(*minute)));
    let busiest = busiest.max_by(|(a, _), (b, _)| a.weight().total_cmp(&b.weight()));
    let load = busiest.map_or(Load::default(), |(offered, minute)| Load {
        records_per_second: offered.records,
        bytes_per_second: offered.stored_bytes.unwrap_or_default(),
        read_bytes_per_second: minute.get_records_bytes / 60.0,
    });
    Shape {
        mode: if stream.mode == CapacityMode::OnDemand { on_demand(observation) } else { BillingMode::Provisioned },
        shards: stream.open_shards,
        consumers: stream.consumers,
        retention_hours: stream.retention_hours,
        shard_metrics: stream.shard_metric_count(),
        load,
    }
}

fn on_demand(observation: &Observation) -> BillingMode {
    BillingMode::OnDemand { committed: observation.commitment == Some(Commitment::Enabled) }
}

/// Rounds to four digits. More digits say nothing to a reader, and sums of prices have rounding errors there.
fn to_the_hundredth_cent(usd: f64) -> f64 {
    (usd * 1e4).round() / 1e4
}

fn count(metrics: usize) -> u32 {
    u32::try_from(metrics).unwrap_or(u32::MAX)
}
