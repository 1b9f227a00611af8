//! The events that wake the function, as AWS sends them.

use crate::sim::alarm::AlarmMetric;
use crate::sim::world::{Event, home};
use chrono::{DateTime, Utc};
use unthrottle_core::signal::{self, Signal, StreamArn};

/// The event of an alarm's change of state at `time`.
pub(in crate::sim) fn alarm_signal(
    stream: &StreamArn,
    time: DateTime<Utc>,
    metric: AlarmMetric,
    is_raised: bool,
) -> Signal {
    let metric = match metric {
        AlarmMetric::Writes => "WriteProvisionedThroughputExceeded",
        AlarmMetric::Reads => "ReadProvisionedThroughputExceeded",
        AlarmMetric::Age => "GetRecords.IteratorAgeMilliseconds",
    };
    Signal::Alarm(signal::Alarm {
        time: Some(time),
        name: "unthrottle".into(),
        state: if is_raised { "ALARM" } else { "OK" }.into(),
        account: Some(home().account),
        region: Some(home().region),
        on_kinesis: true,
        metrics: [metric.to_owned()].into(),
        stream: Some(stream.clone()),
        ..signal::Alarm::default()
    })
}

/// CloudTrail's event of a refused call at `time`.
pub(in crate::sim) fn throttle_signal(stream: &StreamArn, time: DateTime<Utc>, event: Event) -> Signal {
    Signal::Throttle(signal::Call {
        time: Some(time),
        operation: event.operation.into(),
        error_code: Some(event.code.into()),
        account: Some(home().account),
        region: Some(home().region),
        stream: Some(stream.clone()),
        ..signal::Call::default()
    })
}
