//! What a stream costs: AWS's list prices applied to its shape and its load.
//!
//! An estimate, without taxes, discounts and free tiers. Not in it:
//! - reads of records older than seven days from a provisioned stream: no metric tells how old what is read is;
//! - the least that an account with on-demand Advantage pays (25 MiB/s in and out): the account's bill, which no
//!   single stream raises or lowers;
//! - the volume tiers of CloudWatch, from 10,000 metrics of an account on: [`Prices::metric_month`] is the first.
//!
//! Two rules nobody could confirm by a bill. Stored bytes are not rounded up, as written ones are; and beyond seven
//! days a provisioned stream pays for long-term retention on top of extended retention, not instead of it.

use serde::{Deserialize, Deserializer};

/// Hours that AWS's calculator takes for a month: a twelfth of 365 days.
const MONTH_HOURS: f64 = 730.0;
const HOUR_SECONDS: f64 = 3600.0;

/// "rounded up to the nearest 1 KB (1,024 bytes)": aws.amazon.com/kinesis/data-streams/pricing.
const KB: f64 = 1024.0;

/// A gigabyte, in bytes. The price page gives KB as 1,024 bytes, and AWS's bills agree: 25 MiB/s in and out at the
/// Advantage prices are "about $100 a day" (aws.amazon.com/blogs/big-data/kinesis-on-demand-advantage-saves-60-on-streaming-costs),
/// $101 with 2^30 bytes and $109 with 10^9. Estimates of AWS's calculator also come out only so (see the tests).
const GB: f64 = KB * KB * KB;

/// What a record is rounded up to in provisioned mode, in bytes: a PUT payload unit of the price list.
const PUT_UNIT: f64 = 25.0 * KB;

/// What a record is rounded up to in on-demand mode, in bytes: "the nearest 1 KB", the same page.
const ON_DEMAND_UNIT: f64 = KB;

/// The part of a unit by which a mean record may exceed it: the mean is a quotient of two rates, whose rounding must
/// not add a unit to every record. Far less than a byte.
const ROUNDING: f64 = 1e-9;

/// The retention that is free, in hours: "stored for 24 hours by default", the same page.
const FREE_RETENTION: u32 = 24;

/// The retention from which on it is "long-term", in hours: "beyond seven days", the same page.
const LONG_TERM_RETENTION: u32 = 7 * 24;

/// What an account with on-demand Advantage pays for at least, in and out, in bytes a second.
const COMMITTED_BYTES_PER_SECOND: f64 = 25.0 * KB * KB;

/// More than this no unit costs, in USD: a price beyond is a slip of the pen. It also keeps every sum finite.
const MAX_PRICE: f64 = 1e6;

/// More than this no stream carries a second, in records or bytes: a petabyte, 100,000 times AWS's largest quota.
/// What is beyond counts as this, so that every sum is finite.
const MAX_RATE: f64 = 1e15;

/// The list prices of one region, in USD. One that was deserialized has only prices from 0 to 1,000,000.
///
/// The default is us-east-1, from `infra/prices.json`, where sources and date stand.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// The region, such as `us-east-1`.
    pub region: String,
    /// When they were in force, as `2026-09`.
    pub as_of: String,
    /// Who says so.
    pub source: String,
    /// Provisioned: one shard, an hour.
    #[serde(deserialize_with = "usd")]
    pub shard_hour: f64,
    /// Provisioned: a million PUT payload units; a record is one for each 25 KB begun.
    #[serde(deserialize_with = "usd")]
    pub put_units_million: f64,
    /// Provisioned, kept for longer than 24 hours: one shard, an hour.
    #[serde(deserialize_with = "usd")]
    pub extended_retention_shard_hour: f64,
    /// Provisioned: a GB older than seven days, a month.
    #[serde(deserialize_with = "usd")]
    pub long_term_retention_gb_month: f64,
    /// Provisioned: one enhanced fan-out consumer of one shard, an hour.
    #[serde(deserialize_with = "usd")]
    pub fan_out_consumer_shard_hour: f64,
    /// Provisioned: a GB read by an enhanced fan-out consumer.
    #[serde(deserialize_with = "usd")]
    pub fan_out_gb: f64,
    /// On-demand Standard: one stream, an hour.
    #[serde(deserialize_with = "usd")]
    pub on_demand_stream_hour: f64,
    /// On-demand Standard: a GB written; a record counts in full KB.
    #[serde(deserialize_with = "usd")]
    pub on_demand_in_gb: f64,
    /// On-demand Standard: a GB read by `GetRecords`.
    #[serde(deserialize_with = "usd")]
    pub on_demand_out_gb: f64,
    /// On-demand Standard: a GB read by an enhanced fan-out consumer; there is no price by the hour.
    #[serde(deserialize_with = "usd")]
    pub on_demand_fan_out_gb: f64,
    /// On-demand Standard: a GB older than 24 hours, up to seven days, a month.
    #[serde(deserialize_with = "usd")]
    pub on_demand_retention_gb_month: f64,
    /// On-demand Standard: a GB older than seven days, a month.
    #[serde(deserialize_with = "usd")]
    pub on_demand_long_term_retention_gb_month: f64,
    /// On-demand Advantage: a GB written; a record counts in full KB.
    #[serde(deserialize_with = "usd")]
    pub advantage_in_gb: f64,
    /// On-demand Advantage: a GB read by `GetRecords`.
    #[serde(deserialize_with = "usd")]
    pub advantage_out_gb: f64,
    /// On-demand Advantage: a GB read by an enhanced fan-out consumer.
    #[serde(deserialize_with = "usd")]
    pub advantage_fan_out_gb: f64,
    /// On-demand Advantage: a GB older than 24 hours, up to a year, a month.
    #[serde(deserialize_with = "usd")]
    pub advantage_retention_gb_month: f64,
    /// One custom metric of CloudWatch, a month. Each enabled shard-level metric is one for each shard.
    #[serde(deserialize_with = "usd")]
    pub metric_month: f64,
}

/// Prices that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("prices: {field}: {source}")]
pub struct PricesError {
    /// The field that does not fit, or `.` for the whole; of an absent or unknown one the source has the name.
    pub field: String,
    /// What is wrong with it.
    pub source: serde_json::Error,
}

/// How a stream is billed.
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

/// What a stream is billed by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// How it is billed.
    pub mode: BillingMode,
    /// Open shards.
    pub shards: u32,
    /// Registered enhanced fan-out consumers. Each is taken to read all that is written.
    pub consumers: u32,
    /// How long a record is kept; AWS allows 24 to 8760 hours. Retention is billed as if the load had lasted as long.
    pub retention_hours: u32,
    /// Shard-level metrics that are enabled, of AWS's seven. Each is taken to have data for every shard.
    pub shard_metrics: u32,
    /// What goes through it.
    pub load: Load,
}

/// What goes through a stream, a second. A rate that is negative or not a number counts as nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    /// Records written. Zero beside bytes means that their size is not known: they are billed as if they filled
    /// their units, which is the least that they can cost.
    pub records_per_second: f64,
    /// Bytes written. Records without bytes are billed one unit each.
    pub bytes_per_second: f64,
    /// Bytes read by `GetRecords`, of all readers together. Free of charge in provisioned mode.
    pub read_bytes_per_second: f64,
}

/// The cost of a month of 730 hours, from that of an hour.
pub fn monthly(per_hour: f64) -> f64 {
    per_hour * MONTH_HOURS
}

impl Prices {
    /// Reads the prices of a region, as `infra/prices.json` has them.
    ///
    /// # Errors
    /// What is no JSON, or the first field that is absent, unknown, no number, negative or above 1,000,000.
    pub fn parse(json: &str) -> Result<Prices, PricesError> {
        let json = &mut serde_json::Deserializer::from_str(json);
        let prices = serde_path_to_error::deserialize(&mut *json)
            .map_err(|e| PricesError { field: e.path().to_string(), source: e.into_inner() })?;
        json.end().map_err(|source| PricesError { field: ".".into(), source })?;
        Ok(prices)
    }

    /// The least that the throughput commitment costs an account an hour, in USD: 25 MiB/s in and as much out
    /// (aws.amazon.com/kinesis/data-streams/pricing).
    pub fn commitment_per_hour(&self) -> f64 {
        gb_per_hour(COMMITTED_BYTES_PER_SECOND) * (self.advantage_in_gb + self.advantage_out_gb)
    }

    /// What a stream of this shape costs an hour, in USD: never negative, always a number.
    ///
    /// All records are taken to have the mean size. That is exact for equal records; for others, what is billed by
    /// rounded records is off by less than one unit (25 KB provisioned, 1 KB on-demand) for each, up or down.
    pub fn per_hour(&self, shape: &Shape) -> f64 {
        let load = shape.load.bounded();
        let (shards, consumers) = (f64::from(shape.shards), f64::from(shape.consumers));
        let written = gb_per_hour(load.bytes_per_second);
        let rounded = gb_per_hour(load.units_per_second(ON_DEMAND_UNIT) * ON_DEMAND_UNIT);
        let (read, fan_out) = (gb_per_hour(load.read_bytes_per_second), consumers * written);
        // What is stored, at a price by the month.
        let kept = |hours: u32| written * f64::from(hours) / MONTH_HOURS;
        let extended = kept(shape.retention_hours.min(LONG_TERM_RETENTION).saturating_sub(FREE_RETENTION));
        let long_term = kept(shape.retention_hours.saturating_sub(LONG_TERM_RETENTION));

        let stream = match shape.mode {
            BillingMode::Provisioned => {
                let retention =
                    if shape.retention_hours > FREE_RETENTION { self.extended_retention_shard_hour } else { 0.0 };
                let shard = self.shard_hour + retention + consumers * self.fan_out_consumer_shard_hour;
                let millions = load.units_per_second(PUT_UNIT) * HOUR_SECONDS / 1e6;
                shards * shard
                    + millions * self.put_units_million
                    + fan_out * self.fan_out_gb
                    + long_term * self.long_term_retention_gb_month
            }
            BillingMode::OnDemand { committed: false } => {
                self.on_demand_stream_hour
                    + rounded * self.on_demand_in_gb
                    + read * self.on_demand_out_gb
                    + fan_out * self.on_demand_fan_out_gb
                    + extended * self.on_demand_retention_gb_month
                    + long_term * self.on_demand_long_term_retention_gb_month
            }
            BillingMode::OnDemand { committed: true } => {
                rounded * self.advantage_in_gb
                    + read * self.advantage_out_gb
                    + fan_out * self.advantage_fan_out_gb
                    + (extended + long_term) * self.advantage_retention_gb_month
            }
        };
        stream + shards * f64::from(shape.shard_metrics) * self.metric_month / MONTH_HOURS
    }
}

impl Default for Prices {
    fn default() -> Prices {
        Prices::parse(include_str!("../../../infra/prices.json")).expect("part of the program; tests read it")
    }
}

impl Load {
    fn bounded(self) -> Load {
        let bounded = |rate: f64| if rate.is_nan() { 0.0 } else { rate.clamp(0.0, MAX_RATE) };
        Load {
            records_per_second: bounded(self.records_per_second),
            bytes_per_second: bounded(self.bytes_per_second),
            read_bytes_per_second: bounded(self.read_bytes_per_second),
        }
    }

    /// Units of `size` bytes that are billed: those which a record of mean size begins, but one at least, for each.
    fn units_per_second(&self, size: f64) -> f64 {
        let full = self.bytes_per_second / size;
        let mean = full / self.records_per_second;
        if !mean.is_finite() {
            // No records, or as good as none.
            return full;
        }
        // Whatever the rounding says, the units hold all the bytes.
        let each = (mean - ROUNDING).ceil().max(1.0);
        (self.records_per_second * each).max(full)
    }
}

fn gb_per_hour(bytes_per_second: f64) -> f64 {
    bytes_per_second * HOUR_SECONDS / GB
}

fn usd<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let price = f64::deserialize(deserializer)?;
    if (0.0..=MAX_PRICE).contains(&price) {
        return Ok(price);
    }
    Err(serde::de::Error::custom(format!("{price} USD: must be 0 to {MAX_PRICE}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    const FILE: &str = include_str!("../../../infra/prices.json");
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

    /// Estimates of AWS's own calculator, quoted in FahadMustafa/aws-calc (references/service-modules/
    /// kinesis-data-streams.md): ten records of 10 KB a second. us-east-2, whose prices are those of us-east-1.
    #[test]
    fn aws_calculator_says_the_same() {
        let load = load(10.0, 10.0 * KB, 10.0);
        costs(&Shape { consumers: 10, ..shape(BillingMode::Provisioned, 2, load) }, 273.85);
        costs(&Shape { consumers: 10, ..shape(STANDARD, 4, load) }, 274.81);
    }

    /// 25 MiB/s in and out, "about $100 a day" (the blog post above): the least of an account with Advantage.
    #[test]
    fn advantage_has_prices_by_volume_only() {
        let prices = Prices::default();
        let day = |load| 24.0 * prices.per_hour(&shape(ADVANTAGE, 50, load));
        assert!((day(load(25.0 * KB, KB, 1.0)) - 101.25).abs() < 1e-6);
        assert!(day(Load::default()).abs() < 1e-12, "no stream-hour");
    }

    /// 1 MiB/s, so that a day is 84.375 GB.
    #[test]
    fn retention_is_billed_by_the_shard_and_by_what_is_older_than_a_day_or_a_week() {
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
        let hardly_any = Load { records_per_second: f64::MIN_POSITIVE / 2.0, ..bytes };
        costs(&shape(STANDARD, 0, hardly_any), 29.2 + month * PUT_UNIT / GB * 0.08);
    }

    #[test]
    fn rates_by_the_minute_do_not_round_a_record_up_to_one_more_unit() {
        for records in 1..10_000 {
            let records = f64::from(records) / 60.0;
            let units = load(records, KB, 0.0).units_per_second(ON_DEMAND_UNIT);
            assert!((units / records - 1.0).abs() < 1e-6, "{records}");
        }
    }

    #[test]
    fn prices_that_cannot_be_used_are_named() {
        let file: Value = serde_json::from_str(FILE).expect("JSON");
        let fields = file.as_object().expect("an object").keys().filter(|key| file[*key].is_number());
        for field in fields {
            let error = |value: Option<Value>| {
                let mut file = file.clone();
                let fields = file.as_object_mut().expect("an object");
                match value {
                    Some(value) => fields.insert(field.clone(), value),
                    None => fields.remove(field),
                };
                Prices::parse(&file.to_string()).expect_err(field).to_string()
            };
            for bad in [None, Some(json!(-0.01)), Some(json!(1e7)), Some(json!(null)), Some(json!("0.1"))] {
                let error = error(bad);
                assert!(error.contains(field.as_str()), "{field}: {error}");
            }
        }
        for (text, named) in [
            (FILE.replace("\"shard_hour\": 0.015", "\"shard_hour\": NaN"), "shard_hour"),
            (FILE.replace("\"shard_hour\": 0.015", "\"shard_hour\": 1e999"), "shard_hour"),
            (FILE.replace("\"region\"", "\"shard_day\": 1, \"region\""), "shard_day"),
            (format!("{FILE} more"), "trailing"),
            (String::new(), "EOF"),
        ] {
            let error = Prices::parse(&text).expect_err(named).to_string();
            assert!(error.contains(named), "{error}");
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
        fn no_text_makes_it_panic(text in ".{0,256}", price in any::<f64>()) {
            let _ = Prices::parse(&text);
            let _ = Prices::parse(&FILE.replace("0.015", &text));
            let _ = Prices::parse(&FILE.replace("0.015", &price.to_string()));
        }

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
            let dear = Prices { shard_hour: price, on_demand_in_gb: price, advantage_in_gb: price, ..Prices::default() };
            let cost = dear.per_hour(&shape);
            prop_assert!(cost.is_finite() && cost >= 0.0, "{cost}");
        }

        /// A load grows by more records of the same size: more records of the same bytes may be fewer units.
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
            let shape = Shape { mode: BillingMode::Provisioned, retention_hours: 24, consumers: 0, shard_metrics: 0, ..shape };
            let grown = Shape { shards: shape.shards + more, ..shape };
            let shards = f64::from(more) * prices.shard_hour;
            prop_assert!((prices.per_hour(&grown) - prices.per_hour(&shape) - shards).abs() < 1e-6);
        }
    }
}
