//! The cost of a stream before and after a remedy, at the load that each takes. AWS charges no record that it refuses.

use super::demand::Offered;
use crate::cost::{BillingMode, Load, Shape};
use crate::decision::{Cost, Remedy};
use crate::observation::{
    CapacityMode, Commitment, Minute, MinuteTraffic, Observation, SHARD_BYTES_PER_SECOND, SHARD_RECORDS_PER_SECOND,
    Stream,
};
use crate::policy::Policy;

/// The cost before and after `remedy`, in the busiest minute of `window`. Before: of the load that the stream accepts.
/// After a change that adds capacity: of the offered load, at most what the new shape takes. That is the most that it
/// can come to: the offered load has retries, which stop once the records are accepted.
pub(super) fn cost(
    remedy: &Remedy,
    observation: &Observation,
    stream: &Stream,
    policy: &Policy,
    window: &[Minute],
) -> Cost {
    let busiest = Busiest::of(observation, window);
    let before = shape(observation, stream, &busiest);
    let mut after = before;
    match remedy {
        Remedy::ScaleShards { to, .. }
        | Remedy::ScaleAhead { to, .. }
        | Remedy::SplitShard { to, .. }
        | Remedy::Restore { to, .. } => after.shards = *to,
        Remedy::SwitchToOnDemand { .. } => after.mode = on_demand(observation),
        Remedy::SwitchToProvisioned { .. } => after.mode = BillingMode::Provisioned,
        // AWS does not charge for warm throughput itself (how-do-i-size-a-stream.html).
        Remedy::WarmUp { .. } => {}
        Remedy::EnableShardMetrics { metrics, .. } => after.shard_metrics += count(metrics.len()),
        Remedy::DisableShardMetrics { metrics, .. } => {
            after.shard_metrics = after.shard_metrics.saturating_sub(count(metrics.len()));
        }
    }
    let adds_capacity = remedy.adds_capacity() || matches!(remedy, Remedy::WarmUp { .. });
    after.load = busiest.taken(if adds_capacity { busiest.offered } else { busiest.accepted }, &after);
    let cost = |shape| to_the_hundredth_cent(policy.prices.per_hour(shape));
    let prices = format!("{} {}", policy.prices.region, policy.prices.as_of);
    Cost { before_usd_per_hour: cost(&before), after_usd_per_hour: cost(&after), prices }
}

/// The cost of the load in on-demand mode, and in provisioned mode with `shards`, USD an hour. `load_share`: the part
/// of the offered load that is no retry, 0–1. It is for a person who compares the modes, and bounds nothing.
pub(super) fn in_both_modes(
    observation: &Observation,
    stream: &Stream,
    policy: &Policy,
    window: &[Minute],
    (shards, load_share): (u32, f64),
) -> (f64, f64) {
    let busiest = Busiest::of(observation, window);
    let load = Load {
        records_per_second: busiest.offered.records_per_second * load_share,
        bytes_per_second: busiest.offered.bytes_per_second * load_share,
        ..busiest.offered
    };
    let now = Shape { load, ..shape(observation, stream, &busiest) };
    let on_demand = Shape { mode: on_demand(observation), ..now };
    let provisioned = Shape { mode: BillingMode::Provisioned, shards, ..now };
    let provisioned = Shape { load: busiest.taken(load, &provisioned), ..provisioned };
    let cost = |shape| to_the_hundredth_cent(policy.prices.per_hour(shape));
    (cost(&on_demand), cost(&provisioned))
}

/// The minute with the highest offered load.
#[derive(Default)]
struct Busiest {
    offered: Load,
    accepted: Load,
    /// The bytes that AWS charges against a shard for one stored byte.
    charged_per_stored: f64,
}

impl Busiest {
    fn of(observation: &Observation, window: &[Minute]) -> Busiest {
        let traffic = &observation.traffic;
        let minutes = window.iter().map(|minute| (Offered::in_minute(traffic, *minute), traffic.minute(*minute)));
        let busiest = minutes.max_by(|(a, _), (b, _)| a.weight().total_cmp(&b.weight()));
        let loads = |(offered, minute): (Offered, MinuteTraffic)| {
            let accepted = Load {
                records_per_second: minute.incoming_records / 60.0,
                bytes_per_second: minute.incoming_bytes / 60.0,
                read_bytes_per_second: minute.get_records_bytes / 60.0,
            };
            let bytes_per_second = offered.stored_bytes.unwrap_or_default();
            let charged_per_stored = offered.charged_per_stored();
            let offered = Load { records_per_second: offered.records, bytes_per_second, ..accepted };
            Busiest { offered, accepted, charged_per_stored }
        };
        busiest.map(loads).unwrap_or_default()
    }

    /// What a stream of this shape takes of `load`. On-demand mode takes all: AWS grows the stream to its load.
    fn taken(&self, load: Load, shape: &Shape) -> Load {
        if shape.mode != BillingMode::Provisioned {
            return load;
        }
        let shards = f64::from(shape.shards);
        let by_records = shards * SHARD_RECORDS_PER_SECOND / load.records_per_second;
        let by_bytes = shards * SHARD_BYTES_PER_SECOND / (load.bytes_per_second * self.charged_per_stored);
        // Without a load the quotient is infinite or no number, and the minimum ignores it.
        let share = 1_f64.min(by_records).min(by_bytes);
        Load {
            records_per_second: load.records_per_second * share,
            bytes_per_second: load.bytes_per_second * share,
            ..load
        }
    }
}

/// The stream as it is, with the load that it accepts.
fn shape(observation: &Observation, stream: &Stream, busiest: &Busiest) -> Shape {
    let shape = Shape {
        mode: if stream.mode == CapacityMode::OnDemand { on_demand(observation) } else { BillingMode::Provisioned },
        shards: stream.open_shards,
        consumers: stream.consumers,
        retention_hours: stream.retention_hours,
        shard_metrics: stream.shard_metric_count(),
        load: Load::default(),
    };
    Shape { load: busiest.taken(busiest.accepted, &shape), ..shape }
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
