//! Metrics that are sent to CloudWatch.

use super::error::Cause;
use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::config::retry::RetryConfig;
use aws_sdk_cloudwatch::error::SdkError;
use aws_sdk_cloudwatch::primitives::DateTime as AwsTime;
use aws_sdk_cloudwatch::types::{Dimension, MetricDatum, StandardUnit};
use serde_json::Value;
use unthrottle_core::report::AutoFix;
use unthrottle_core::report::metric::{Count, NAMESPACE, SHARDS_ADDED, STREAM_NAME};

/// Why CloudWatch may not have a datum.
#[derive(Debug)]
enum Unsent {
    /// CloudWatch answered with an error of the client's.
    Refused(Cause),
    /// CloudWatch did not answer, or answered 5xx: it may have the datum.
    Unknown(Cause),
}

/// Sends a count of one. The second value is a line for the log, from which CloudWatch makes the metric: it is there
/// where CloudWatch refused the call.
pub(super) async fn send(client: &Client, count: &Count<'_>) -> (AutoFix, Option<Value>) {
    let (stream, metric) = (count.stream, count.metric);
    match put_once(client, data(count)).await {
        Ok(()) => (AutoFix::Confirmed, None),
        Err(Unsent::Refused(error)) => {
            tracing::warn!(%stream, metric, %error, "CloudWatch refused the metric; the log has it");
            (AutoFix::LogLine, Some(count.line()))
        }
        Err(Unsent::Unknown(error)) => {
            tracing::warn!(%stream, metric, %error, "CloudWatch did not confirm the metric");
            (AutoFix::Unconfirmed, None)
        }
    }
}

fn data(count: &Count<'_>) -> Vec<MetricDatum> {
    let datum = |metric: &str| {
        let datum = MetricDatum::builder().metric_name(metric).unit(StandardUnit::Count);
        datum.timestamp(AwsTime::from_secs(count.at.timestamp()))
    };
    let sets = count.dimension_sets();
    let data = sets.iter().map(|dimensions| {
        let dimensions = dimensions.iter().map(|(n, v)| Dimension::builder().name(*n).value(*v).build());
        let datum = match count.values()[..] {
            [value] => datum(count.metric).value(value),
            ref values => datum(count.metric).set_values(Some(values.to_vec())),
        };
        datum.set_dimensions(Some(dimensions.collect())).build()
    });
    let shards = (count.added_shards > 0).then(|| datum(SHARDS_ADDED).value(count.added_shards.into()).build());
    data.chain(shards).collect()
}

/// One attempt: CloudWatch adds up what it is sent twice, and a datum whose answer was lost may be there.
async fn put_once(client: &Client, data: Vec<MetricDatum>) -> Result<(), Unsent> {
    let put = client.put_metric_data().namespace(NAMESPACE).set_metric_data(Some(data));
    let once = aws_sdk_cloudwatch::config::Builder::new().retry_config(RetryConfig::disabled());
    match put.customize().config_override(once).send().await {
        Ok(_) => Ok(()),
        Err(SdkError::ServiceError(e)) if e.raw().status().is_client_error() => {
            Err(Unsent::Refused(Cause::of(SdkError::ServiceError(e))))
        }
        Err(error) => Err(Unsent::Unknown(Cause::of(error))),
    }
}

/// Sends the metrics of a line of [`healed`](unthrottle_core::report::metric::healed), for a process whose log does not
/// become metrics. Sends nothing for other lines. Gives the error, if there is one.
pub async fn send_healed(client: &Client, line: &Value) -> Option<Cause> {
    let (Some(stream), Some(took)) = (line[STREAM_NAME].as_str(), line["TimeToHeal"].as_f64()) else { return None };
    let of_stream = || Dimension::builder().name(STREAM_NAME).value(stream).build();
    let metrics = [("Healed", 1.0, StandardUnit::Count), ("TimeToHeal", took, StandardUnit::Seconds)];
    let data = metrics.iter().flat_map(|(name, value, unit)| {
        [vec![], vec![of_stream()]].map(|dimensions| {
            let datum = MetricDatum::builder().metric_name(*name).value(*value).unit(unit.clone());
            datum.set_dimensions(Some(dimensions)).build()
        })
    });
    match put_once(client, data.collect()).await {
        Ok(()) => None,
        Err(Unsent::Refused(error) | Unsent::Unknown(error)) => Some(error),
    }
}
