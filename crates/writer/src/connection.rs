//! The connection to Kinesis: single attempts, and the time that each has.

use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::config::timeout::TimeoutConfig;
use std::time::Duration;

/// The bytes of encoded requests that the connection carries in a second, at least: 4 Mbit/s. With less, a request that
/// hangs would use up the time of its records (`--ttl`, 30 s). With more, a slow connection would lose replies.
const LEAST_UPLINK: usize = 500_000;

/// The bytes of a record in a request, besides data and key, about: its JSON, and a hash key.
const ENTRY_BYTES: usize = 130;

/// The encoded bytes of a request from which on the connection may be why no reply came: a second at
/// [`LEAST_UPLINK`].
pub(crate) const LARGE_REQUEST: usize = LEAST_UPLINK;

/// A Kinesis client for [`run`](crate::run): each call is a single attempt, so that the writer knows about every
/// answer. `attempt`: the longest wait for a reply, once the request is sent. PutRecords also has the time for its
/// bytes.
pub fn client(config: &aws_sdk_kinesis::config::Builder, attempt: Duration) -> aws_sdk_kinesis::Client {
    let timeouts = TimeoutConfig::builder().operation_attempt_timeout(attempt).connect_timeout(attempt / 2).build();
    let config = config.clone().retry_config(RetryConfig::disabled()).timeout_config(timeouts);
    aws_sdk_kinesis::Client::from_conf(config.build())
}

/// The timeouts of the client, with the time that these bytes need.
pub(crate) fn timeouts(client: &aws_sdk_kinesis::Client, encoded: usize) -> aws_sdk_kinesis::config::Builder {
    let of_client = client.config().timeout_config().cloned();
    let timeouts = of_client.unwrap_or_else(|| TimeoutConfig::builder().build());
    let attempt = timeouts.operation_attempt_timeout();
    let attempt = attempt.map(|attempt| attempt + time_of(encoded));
    let mut timeouts = timeouts.to_builder();
    timeouts.set_operation_attempt_timeout(attempt);
    aws_sdk_kinesis::config::Builder::new().timeout_config(timeouts.build())
}

/// The bytes of requests with this number of bytes of data and keys: data is in base64.
pub(crate) fn encoded(bytes: usize, records: usize) -> usize {
    bytes * 4 / 3 + records * ENTRY_BYTES
}

/// The longest time that the connection takes for these bytes.
fn time_of(encoded: usize) -> Duration {
    Duration::from_secs_f64(encoded as f64 / LEAST_UPLINK as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_for_the_bytes_in_flight_is_that_of_base64_at_4_mbit_a_second() {
        // 10 MiB in 1000 records: 14.0 MB in base64, and 0.1 MB of JSON.
        let time = time_of(encoded(10 << 20, 1000));
        assert!(time > Duration::from_secs(28) && time < Duration::from_secs(29), "{time:?}");
        // 500 small records have hardly more than the time of a reply.
        assert!(time_of(encoded(500 * 136, 500)) < Duration::from_millis(400));
    }
}
