//! The cost of one stream: its shape and its load, at given prices.

use super::Prices;

/// A month in AWS's calculator, in hours: a twelfth of 365 days. With another length the cost would differ from AWS's
/// own estimate.
const MONTH_HOURS: f64 = 730.0;
const HOUR_SECONDS: f64 = 3600.0;

/// A KB of AWS's prices, in bytes: "rounded up to the nearest 1 KB (1,024 bytes)"
/// (aws.amazon.com/kinesis/data-streams/pricing). With 1,000 bytes a record of 1,024 bytes would count as two units.
pub(super) const KB: f64 = 1024.0;

/// A GB of AWS's prices, in bytes. The price page gives a KB as 1,024 bytes, and AWS's bills agree. 25 MiB/s in and out
/// at the Advantage prices are "about $100 a day"
/// (aws.amazon.com/blogs/big-data/kinesis-on-demand-advantage-saves-60-on-streaming-costs): $101 with 2^30 bytes, $109
/// with 10^9. The estimates of AWS's calculator also need 2^30 bytes (see the tests).
const GB: f64 = KB * KB * KB;

/// The unit to which AWS rounds a record up in provisioned mode, in bytes: a PUT payload unit of the price list.
const PUT_UNIT: f64 = 25.0 * KB;

/// The unit to which AWS rounds a record up in on-demand mode, in bytes: "the nearest 1 KB", the same page.
const ON_DEMAND_UNIT: f64 = KB;

/// How far a mean record may exceed a unit before it counts as one more unit, as a fraction of the unit. The mean is a
/// quotient of two rates. With no tolerance, the rounding of that quotient would add a unit to every record. A
/// tolerance of more than a byte (1e-3 of a KB) would leave out units that AWS charges.
const ROUNDING: f64 = 1e-9;

/// The retention that AWS does not charge, in hours: "stored for 24 hours by default", the same page.
const FREE_RETENTION_HOURS: u32 = 24;

/// The retention above which AWS charges "long-term" retention, in hours: "beyond seven days", the same page.
const LONG_TERM_RETENTION_HOURS: u32 = 7 * 24;

/// The minimum that an account with on-demand Advantage pays for, in and out, in bytes a second: 25 MiB/s
/// (aws.amazon.com/kinesis/data-streams/pricing).
const COMMITTED_BYTES_PER_SECOND: f64 = 25.0 * KB * KB;

/// The highest rate of a stream, in records or bytes a second: a petabyte, 100,000 times AWS's largest quota. A higher
/// rate counts as this one, so that every sum is finite. A lower maximum could cut a real load.
const MAX_RATE: f64 = 1e15;

/// How AWS bills a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BillingMode {
    /// By shards.
    Provisioned,
    /// By volume.
    OnDemand {
        /// Whether the account has committed to a minimum throughput: on-demand Advantage. Otherwise Standard.
        committed: bool,
    },
}

/// The properties of a stream that set its cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// How AWS bills the stream.
    pub mode: BillingMode,
    /// Open shards.
    pub shards: u32,
    /// Registered enhanced fan-out consumers. The estimate assumes that each consumer reads all written bytes.
    pub consumers: u32,
    /// How long the stream keeps a record, in hours. AWS allows 24 to 8760. The estimate assumes the same load for all
    /// of this time.
    pub retention_hours: u32,
    /// Enabled shard-level metrics, 0–7. The estimate assumes that each metric has data for every shard.
    pub shard_metrics: u32,
    /// The traffic of the stream.
    pub load: Load,
}

/// The traffic of a stream, a second. A negative rate, and a rate that is not a number, counts as zero.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    /// Written records. Zero with bytes above zero means that the size of the records is unknown. The estimate then
    /// assumes records that fill their units, which is the lowest possible cost.
    pub records_per_second: f64,
    /// Written bytes. Records without bytes cost one unit each.
    pub bytes_per_second: f64,
    /// Bytes that all readers together read with `GetRecords`. Free of charge in provisioned mode.
    pub read_bytes_per_second: f64,
}

/// The cost of a month of 730 hours, from the cost of an hour.
pub fn monthly(per_hour: f64) -> f64 {
    per_hour * MONTH_HOURS
}

impl Prices {
    /// The minimum that the throughput commitment costs an account, in USD an hour: 25 MiB/s in and the same out.
    pub(crate) fn commitment_per_hour(&self) -> f64 {
        gb_per_hour(COMMITTED_BYTES_PER_SECOND) * (self.advantage_in_gb + self.advantage_out_gb)
    }

    /// The cost of a stream of this shape, in USD an hour. Never negative, and always a finite number.
    ///
    /// The estimate assumes that all records have the mean size, and is exact if they do. Otherwise the rounding of
    /// each record is wrong by less than one unit (25 KB provisioned, 1 KB on-demand), up or down.
    pub fn per_hour(&self, shape: &Shape) -> f64 {
        let load = shape.load.bounded();
        let stream = match shape.mode {
            BillingMode::Provisioned => self.provisioned_per_hour(shape, load),
            BillingMode::OnDemand { committed: false } => self.standard_per_hour(shape, load),
            BillingMode::OnDemand { committed: true } => self.advantage_per_hour(shape, load),
        };
        let metrics = f64::from(shape.shards) * f64::from(shape.shard_metrics);
        stream + metrics * self.metric_month / MONTH_HOURS
    }

    fn provisioned_per_hour(&self, shape: &Shape, load: Load) -> f64 {
        let (shards, consumers) = (f64::from(shape.shards), f64::from(shape.consumers));
        let is_extended = shape.retention_hours > FREE_RETENTION_HOURS;
        let retention = if is_extended { self.extended_retention_shard_hour } else { 0.0 };
        let shard = self.shard_hour + retention + consumers * self.fan_out_consumer_shard_hour;
        let millions = load.units_per_second(PUT_UNIT) * HOUR_SECONDS / 1e6;
        shards * shard
            + millions * self.put_units_million
            + fan_out(shape, load) * self.fan_out_gb
            + long_term(shape, load) * self.long_term_retention_gb_month
    }

    fn standard_per_hour(&self, shape: &Shape, load: Load) -> f64 {
        self.on_demand_stream_hour
            + load.rounded_gb_per_hour() * self.on_demand_in_gb
            + gb_per_hour(load.read_bytes_per_second) * self.on_demand_out_gb
            + fan_out(shape, load) * self.on_demand_fan_out_gb
            + extended(shape, load) * self.on_demand_retention_gb_month
            + long_term(shape, load) * self.on_demand_long_term_retention_gb_month
    }

    fn advantage_per_hour(&self, shape: &Shape, load: Load) -> f64 {
        load.rounded_gb_per_hour() * self.advantage_in_gb
            + gb_per_hour(load.read_bytes_per_second) * self.advantage_out_gb
            + fan_out(shape, load) * self.advantage_fan_out_gb
            + (extended(shape, load) + long_term(shape, load)) * self.advantage_retention_gb_month
    }
}

impl Load {
    /// This load with each rate from 0 to [`MAX_RATE`].
    fn bounded(self) -> Load {
        let bounded = |rate: f64| if rate.is_nan() { 0.0 } else { rate.clamp(0.0, MAX_RATE) };
        Load {
            records_per_second: bounded(self.records_per_second),
            bytes_per_second: bounded(self.bytes_per_second),
            read_bytes_per_second: bounded(self.read_bytes_per_second),
        }
    }

    /// The units of `size` bytes that AWS bills. Each record of the mean size costs the units that it begins, at least
    /// one.
    fn units_per_second(&self, size: f64) -> f64 {
        let full = self.bytes_per_second / size;
        let mean = full / self.records_per_second;
        if !mean.is_finite() {
            // There are no records, or almost none.
            return full;
        }
        let each = (mean - ROUNDING).ceil().max(1.0);
        // Never fewer units than hold all the bytes, whatever the rounding gives.
        (self.records_per_second * each).max(full)
    }

    /// The written GB an hour, with each record rounded up as on-demand mode does.
    fn rounded_gb_per_hour(&self) -> f64 {
        gb_per_hour(self.units_per_second(ON_DEMAND_UNIT) * ON_DEMAND_UNIT)
    }
}

/// The GB an hour that all enhanced fan-out consumers together read.
fn fan_out(shape: &Shape, load: Load) -> f64 {
    f64::from(shape.consumers) * gb_per_hour(load.bytes_per_second)
}

/// The stored GB that are 24 hours to seven days old. The unit is GB-months an hour, for a price by the month.
fn extended(shape: &Shape, load: Load) -> f64 {
    let hours = shape.retention_hours.min(LONG_TERM_RETENTION_HOURS).saturating_sub(FREE_RETENTION_HOURS);
    stored(load, hours)
}

/// The stored GB that are older than seven days. The unit is GB-months an hour, for a price by the month.
fn long_term(shape: &Shape, load: Load) -> f64 {
    stored(load, shape.retention_hours.saturating_sub(LONG_TERM_RETENTION_HOURS))
}

/// The GB that a stream holds of the load of `hours`. The unit is GB-months an hour.
fn stored(load: Load, hours: u32) -> f64 {
    gb_per_hour(load.bytes_per_second) * f64::from(hours) / MONTH_HOURS
}

fn gb_per_hour(bytes_per_second: f64) -> f64 {
    bytes_per_second * HOUR_SECONDS / GB
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::MAX_PRICE;
    use proptest::prelude::*;

    const STANDARD: BillingMode = BillingMode::OnDemand { committed: false };
    const ADVANTAGE: BillingMode = BillingMode::OnDemand { committed: true };

    fn load(records: f64, size: f64, readers: f64) -> Load {
        let bytes = records * size;
        Load { records_per_second: records, bytes_per_second: bytes, read_bytes_per_second: bytes * readers }
    }

    fn shape(mode: BillingMode, shards: u32, load: Load) -> Shape {
        Shape { mode, shards, consumers: 0, retention_hours: 24, shard_metrics: 0, load }
    }

    #[track_caller]
    fn costs(shape: &Shape, usd_a_month: f64) {
        let cost = monthly(Prices::default().per_hour(shape));
        assert!((cost - usd_a_month).abs() < 0.005, "${cost} instead of ${usd_a_month} a month");
    }

    #[test]
    fn small_records_cost_more_than_the_shard() {
        costs(&shape(BillingMode::Provisioned, 1, Load::default()), 10.95);
        costs(&shape(BillingMode::Provisioned, 1, load(1000.0, 512.0, 0.0)), 10.95 + 36.79);
    }

    #[test]
    fn a_large_record_is_several_put_units() {
        costs(&shape(BillingMode::Provisioned, 1, load(10.0, 50.0 * KB, 0.0)), 10.95 + 0.736);
        costs(&shape(BillingMode::Provisioned, 1, load(10.0, 50.0 * KB + 1.0, 0.0)), 10.95 + 1.104);
    }

    /// Ten records of 10 KB a second in us-east-2, which has the prices of us-east-1. The expected numbers are
    /// estimates of AWS's own calculator, from FahadMustafa/aws-calc
    /// (references/service-modules/kinesis-data-streams.md).
    #[test]
    fn the_cost_equals_the_estimate_of_aws_calculator() {
        let load = load(10.0, 10.0 * KB, 10.0);
        costs(&Shape { consumers: 10, ..shape(BillingMode::Provisioned, 2, load) }, 273.85);
        costs(&Shape { consumers: 10, ..shape(STANDARD, 4, load) }, 274.81);
    }

    /// 25 MiB/s in and out is the minimum of an account with Advantage: "about $100 a day" (the blog post at [`GB`]).
    #[test]
    fn advantage_has_prices_by_volume_only() {
        let prices = Prices::default();
        let day = |load| 24.0 * prices.per_hour(&shape(ADVANTAGE, 50, load));
        assert!((day(load(25.0 * KB, KB, 1.0)) - 101.25).abs() < 1e-6);
        assert!(day(Load::default()).abs() < 1e-12, "no stream-hour");
    }

    /// At 1 MiB/s the records of a day are 84.375 GB.
    #[test]
    fn retention_costs_by_the_shard_and_by_the_gb_older_than_a_day_or_a_week() {
        let day = 84.375;
        let extra = |mode, hours| {
            let once = shape(mode, 3, load(KB, KB, 0.0));
            let prices = Prices::default();
            let cost = |retention_hours| monthly(prices.per_hour(&Shape { retention_hours, ..once }));
            cost(hours) - cost(24)
        };
        for (mode, hours, usd) in [
            (BillingMode::Provisioned, 25, 3.0 * 14.6),
            (BillingMode::Provisioned, 168, 3.0 * 14.6),
            (BillingMode::Provisioned, 192, 3.0 * 14.6 + day * 0.023),
            (STANDARD, 0, 0.0),
            (STANDARD, 48, day * 0.10),
            (STANDARD, 168, 6.0 * day * 0.10),
            (STANDARD, 192, 6.0 * day * 0.10 + day * 0.023),
            (ADVANTAGE, 48, day * 0.023),
            (ADVANTAGE, 192, 7.0 * day * 0.023),
        ] {
            assert!((extra(mode, hours) - usd).abs() < 1e-6, "{mode:?} {hours} h: {}", extra(mode, hours));
        }
    }

    #[test]
    fn a_shard_with_all_seven_metrics_costs_2_10_more_in_every_mode() {
        for mode in [BillingMode::Provisioned, STANDARD, ADVANTAGE] {
            let plain = shape(mode, 5, Load::default());
            let without = monthly(Prices::default().per_hour(&plain));
            costs(&Shape { shard_metrics: 7, ..plain }, without + 5.0 * 2.10);
        }
    }

    #[test]
    fn records_of_unknown_size_and_sizes_without_records_have_a_cost() {
        let month = 730.0 * 3600.0;
        let bytes = Load { bytes_per_second: PUT_UNIT, ..Load::default() };
        costs(&shape(BillingMode::Provisioned, 0, Load { bytes_per_second: 1000.0 * PUT_UNIT, ..bytes }), 36.79);
        costs(&shape(STANDARD, 0, bytes), 29.2 + month * PUT_UNIT / GB * 0.08);
        let records = Load { records_per_second: 1000.0, ..Load::default() };
        costs(&shape(BillingMode::Provisioned, 0, records), 36.79);
        costs(&shape(STANDARD, 0, records), 29.2 + month * 1000.0 * KB / GB * 0.08);
        let almost_none = Load { records_per_second: f64::MIN_POSITIVE / 2.0, ..bytes };
        costs(&shape(STANDARD, 0, almost_none), 29.2 + month * PUT_UNIT / GB * 0.08);
    }

    #[test]
    fn rates_by_the_minute_do_not_round_a_record_up_to_one_more_unit() {
        for records in 1..10_000 {
            let records = f64::from(records) / 60.0;
            let units = load(records, KB, 0.0).units_per_second(ON_DEMAND_UNIT);
            assert!((units / records - 1.0).abs() < 1e-6, "{records}");
        }
    }

    fn modes() -> impl Strategy<Value = BillingMode> {
        prop_oneof![Just(BillingMode::Provisioned), Just(STANDARD), Just(ADVANTAGE)]
    }

    prop_compose! {
        fn shapes()(
            mode in modes(),
            shards in 0..10_000u32,
            consumers in 0..50u32,
            retention_hours in 0..9_000u32,
            shard_metrics in 0..=7u32,
            records in prop_oneof![Just(0.0), 0.0..1e7f64],
            bytes in prop_oneof![Just(0.0), 0.0..1e10f64],
            read in 0.0..1e10f64,
        ) -> Shape {
            let load = Load { records_per_second: records, bytes_per_second: bytes, read_bytes_per_second: read };
            Shape { mode, shards, consumers, retention_hours, shard_metrics, load }
        }
    }

    proptest! {
        #[test]
        fn a_cost_is_a_number_and_not_negative(
            mode in modes(),
            counts in any::<[u32; 4]>(),
            rates in prop::array::uniform3(any::<f64>()),
            price in 0.0..=MAX_PRICE,
        ) {
            let [shards, consumers, retention_hours, shard_metrics] = counts;
            let [records_per_second, bytes_per_second, read_bytes_per_second] = rates;
            let load = Load { records_per_second, bytes_per_second, read_bytes_per_second };
            let shape = Shape { mode, shards, consumers, retention_hours, shard_metrics, load };
            let (shard_hour, on_demand_in_gb, advantage_in_gb) = (price, price, price);
            let prices = Prices { shard_hour, on_demand_in_gb, advantage_in_gb, ..Prices::default() };
            let cost = prices.per_hour(&shape);
            prop_assert!(cost.is_finite() && cost >= 0.0, "{cost}");
        }

        /// The load grows by records of the same size. More records with the same bytes in all may be fewer units.
        #[test]
        fn more_of_anything_never_costs_less(shape in shapes(), more in 0..100u32, times in 1.0..10.0f64) {
            let prices = Prices::default();
            let Load { records_per_second, bytes_per_second, read_bytes_per_second } = shape.load;
            let grown = [
                Shape { shards: shape.shards + more, ..shape },
                Shape { consumers: shape.consumers + more, ..shape },
                Shape { retention_hours: shape.retention_hours + more, ..shape },
                Shape { shard_metrics: shape.shard_metrics + more, ..shape },
                Shape { load: Load { bytes_per_second: bytes_per_second * times, ..shape.load }, ..shape },
                Shape { load: Load { read_bytes_per_second: read_bytes_per_second * times, ..shape.load }, ..shape },
                Shape {
                    load: Load {
                        records_per_second: records_per_second * times,
                        bytes_per_second: bytes_per_second * times,
                        read_bytes_per_second,
                    },
                    ..shape
                },
            ];
            let before = prices.per_hour(&shape);
            for grown in grown {
                let after = prices.per_hour(&grown);
                prop_assert!(after >= before * (1.0 - 1e-12), "{before} then {after}: {grown:?}");
            }
        }

        #[test]
        fn a_scale_costs_exactly_its_shards(shape in shapes(), more in 1..1000u32) {
            let prices = Prices::default();
            let mode = BillingMode::Provisioned;
            let shape = Shape { mode, retention_hours: 24, consumers: 0, shard_metrics: 0, ..shape };
            let grown = Shape { shards: shape.shards + more, ..shape };
            let shards = f64::from(more) * prices.shard_hour;
            prop_assert!((prices.per_hour(&grown) - prices.per_hour(&shape) - shards).abs() < 1e-6);
        }
    }
}
