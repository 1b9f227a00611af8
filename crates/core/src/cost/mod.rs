//! What a stream costs: AWS's list prices applied to the stream's shards, settings and load.
//!
//! The cost is an estimate, without taxes, discounts and free tiers. It also leaves out:
//! - reads of records older than seven days from a provisioned stream: no metric says how old the records are;
//! - the minimum that an account with on-demand Advantage pays (25 MiB/s in and out): no single stream changes it;
//! - CloudWatch's lower prices above 10,000 metrics of an account: [`Prices::metric_month`] is the first price.
//!
//! Two rules are not confirmed by a bill. AWS does not round stored bytes up, but it rounds written bytes up. Beyond
//! seven days a provisioned stream pays for long-term retention in addition to extended retention.

mod stream;

pub use stream::{BillingMode, Load, Shape, monthly};

use serde::{Deserialize, Deserializer};

/// The highest price that a file may give, in USD. No unit of AWS's costs so much, so a higher price is a typing error.
/// It also keeps every sum finite.
const MAX_PRICE: f64 = 1e6;

/// The list prices of one region, in USD. [`Prices::parse`] accepts only prices from 0 to 1,000,000.
///
/// The default is us-east-1, from `infra/prices.json`. That file names its sources and their date.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// The region, such as `us-east-1`.
    pub region: String,
    /// The month in which the prices were in force, such as `2026-09`.
    pub as_of: String,
    /// Where the prices come from.
    pub source: String,
    /// Provisioned: one shard, for an hour.
    #[serde(deserialize_with = "usd")]
    pub shard_hour: f64,
    /// Provisioned: a million PUT payload units. A record is one unit for each 25 KB or part of them.
    #[serde(deserialize_with = "usd")]
    pub put_units_million: f64,
    /// Provisioned, retention above 24 hours: one shard, for an hour.
    #[serde(deserialize_with = "usd")]
    pub extended_retention_shard_hour: f64,
    /// Provisioned: a GB older than seven days, for a month.
    #[serde(deserialize_with = "usd")]
    pub long_term_retention_gb_month: f64,
    /// Provisioned: one enhanced fan-out consumer of one shard, for an hour.
    #[serde(deserialize_with = "usd")]
    pub fan_out_consumer_shard_hour: f64,
    /// Provisioned: a GB that an enhanced fan-out consumer reads.
    #[serde(deserialize_with = "usd")]
    pub fan_out_gb: f64,
    /// On-demand Standard: one stream, for an hour.
    #[serde(deserialize_with = "usd")]
    pub on_demand_stream_hour: f64,
    /// On-demand Standard: a GB written. AWS rounds each record up to full KB.
    #[serde(deserialize_with = "usd")]
    pub on_demand_in_gb: f64,
    /// On-demand Standard: a GB that `GetRecords` reads.
    #[serde(deserialize_with = "usd")]
    pub on_demand_out_gb: f64,
    /// On-demand Standard: a GB that an enhanced fan-out consumer reads. There is no hourly price.
    #[serde(deserialize_with = "usd")]
    pub on_demand_fan_out_gb: f64,
    /// On-demand Standard: a GB from 24 hours to seven days old, for a month.
    #[serde(deserialize_with = "usd")]
    pub on_demand_retention_gb_month: f64,
    /// On-demand Standard: a GB older than seven days, for a month.
    #[serde(deserialize_with = "usd")]
    pub on_demand_long_term_retention_gb_month: f64,
    /// On-demand Advantage: a GB written. AWS rounds each record up to full KB.
    #[serde(deserialize_with = "usd")]
    pub advantage_in_gb: f64,
    /// On-demand Advantage: a GB that `GetRecords` reads.
    #[serde(deserialize_with = "usd")]
    pub advantage_out_gb: f64,
    /// On-demand Advantage: a GB that an enhanced fan-out consumer reads.
    #[serde(deserialize_with = "usd")]
    pub advantage_fan_out_gb: f64,
    /// On-demand Advantage: a GB from 24 hours to a year old, for a month.
    #[serde(deserialize_with = "usd")]
    pub advantage_retention_gb_month: f64,
    /// One custom metric of CloudWatch, for a month. An enabled shard-level metric is one such metric for each shard.
    #[serde(deserialize_with = "usd")]
    pub metric_month: f64,
}

/// Prices that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("prices: {field}: {source}")]
pub struct PricesError {
    /// The invalid field, or `.` for the whole text. `source` names an absent or unknown field.
    field: String,
    /// What is wrong with the field.
    source: serde_json::Error,
}

impl Prices {
    /// Reads the prices of a region from a text in the form of `infra/prices.json`.
    ///
    /// # Errors
    /// The text is not JSON. Or the first field that is absent, unknown, not a number, negative or above 1,000,000.
    pub fn parse(json: &str) -> Result<Prices, PricesError> {
        let json = &mut serde_json::Deserializer::from_str(json);
        let prices = serde_path_to_error::deserialize(&mut *json)
            .map_err(|e| PricesError { field: e.path().to_string(), source: e.into_inner() })?;
        json.end().map_err(|source| PricesError { field: ".".into(), source })?;
        Ok(prices)
    }
}

impl Default for Prices {
    fn default() -> Prices {
        Prices::parse(include_str!("../../../../infra/prices.json"))
            .expect("the file is part of the program, and a test reads it")
    }
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
    use super::stream::KB;
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    const FILE: &str = include_str!("../../../../infra/prices.json");

    #[test]
    fn unusable_prices_are_named() {
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

    #[test]
    fn the_example_of_aggregation_costs_what_aws_says() {
        let bill = |shards, records_per_second, bytes| {
            let load = Load { records_per_second, bytes_per_second: records_per_second * bytes, ..Load::default() };
            let shape = Shape {
                mode: BillingMode::Provisioned,
                shards,
                consumers: 0,
                retention_hours: 24,
                shard_metrics: 0,
                load,
            };
            (monthly(Prices::default().per_hour(&shape)) * 100.0).round() / 100.0
        };
        // The units alone, and with the one shard that each of both loads needs.
        assert_eq!((bill(0, 1_000.0, 512.0), bill(1, 1_000.0, 512.0)), (36.79, 47.74));
        assert_eq!((bill(0, 10.0, 50.0 * KB), bill(1, 10.0, 50.0 * KB)), (0.74, 11.69));
    }

    proptest! {
        #[test]
        fn no_text_causes_a_panic(text in ".{0,256}", price in any::<f64>()) {
            let _ = Prices::parse(&text);
            let _ = Prices::parse(&FILE.replace("0.015", &text));
            let _ = Prices::parse(&FILE.replace("0.015", &price.to_string()));
        }
    }
}
