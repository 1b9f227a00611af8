//! Alarms on all streams at once, and their contributors.

use super::cloudwatch::{Answer, Window, token};
use super::metrics::{Metrics, Series};
use super::protocol::{Refusal, field, text, timestamp};
use ciborium::Value as Cbor;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// The most contributors of one alarm in ALARM ([quotas]).
///
/// [quotas]: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-limits.html
const MAX_CONTRIBUTORS: usize = 100;

/// AWS documents no page size. Half of the contributors, so that clients meet a second page.
const CONTRIBUTORS_PER_PAGE: usize = 50;

/// The newest published minutes. Each of them can hold a stream in ALARM.
const EVALUATED_MINUTES: i64 = 3;

/// The alarms by name, each with its metric of `AWS/Kinesis`.
pub(super) type FleetAlarms = BTreeMap<String, String>;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeAlarmContributors {
    alarm_name: String,
    next_token: Option<String>,
}

/// A stream that is in ALARM.
struct Contributor<'a> {
    stream: &'a str,
    sum: f64,
    /// The beginning of its ALARM, in epoch seconds.
    since: f64,
}

/// The streams that are in ALARM now, the largest sum first. `end`: the first unpublished minute.
pub(super) fn describe_contributors(
    alarms: &FleetAlarms,
    metrics: &Metrics,
    input: &DescribeAlarmContributors,
    end: i64,
) -> Answer {
    let Some(metric) = alarms.get(&input.alarm_name) else {
        let message = format!("There is no alarm {}.", input.alarm_name);
        return Err(Refusal::new(404, "ResourceNotFoundException", message));
    };
    let skip = token(input.next_token.as_deref())?;
    let mut contributors: Vec<Contributor> =
        metrics.series().filter_map(|series| Contributor::of(series, metric, metrics, end)).collect();
    contributors.sort_by(|a, b| b.sum.total_cmp(&a.sum));
    contributors.truncate(MAX_CONTRIBUTORS);
    let page = contributors.iter().skip(skip).take(CONTRIBUTORS_PER_PAGE);
    let mut answer = vec![field("AlarmContributors", Cbor::Array(page.map(Contributor::describe).collect()))];
    let next = skip.saturating_add(CONTRIBUTORS_PER_PAGE);
    if next < contributors.len() {
        answer.push(field("NextToken", text(&next.to_string())));
    }
    Ok(Cbor::Map(answer))
}

impl<'a> Contributor<'a> {
    fn of(series: &'a Series, metric: &str, metrics: &Metrics, end: i64) -> Option<Self> {
        if series.namespace != "AWS/Kinesis" || series.name != metric || series.dimensions.len() != 1 {
            return None;
        }
        let stream = series.dimensions.get("StreamName")?;
        let evaluated = Window::until(end, EVALUATED_MINUTES);
        let sum = evaluated.total(metrics, series).map(|stat| stat.sum).filter(|sum| *sum > 0.0)?;
        // Each minute above zero holds the stream in ALARM for [`EVALUATED_MINUTES`].
        let high: Vec<i64> = metrics
            .minutes(series)
            .filter(|(minute, stat)| *minute < end && stat.sum > 0.0)
            .map(|(minute, _)| minute)
            .collect();
        let held = high.iter().rev().zip(high.iter().rev().skip(1));
        let held = held.take_while(|(newer, older)| *newer - *older <= EVALUATED_MINUTES);
        let first = held.last().map(|(_, older)| *older).or(high.last().copied())?;
        Some(Self { stream, sum, since: (first + 1) as f64 * 60.0 })
    }

    fn describe(&self) -> Cbor {
        let mut id = DefaultHasher::new();
        self.stream.hash(&mut id);
        let reason = format!("Threshold Crossed: 1 datapoint [{:.1}] was greater than the threshold (0.0).", self.sum);
        Cbor::Map(vec![
            field("ContributorId", text(&format!("{:016x}", id.finish()))),
            field("ContributorAttributes", Cbor::Map(vec![field("StreamName", text(self.stream))])),
            field("StateReason", text(&reason)),
            field("StateTransitionedTimestamp", timestamp(self.since)),
        ])
    }
}
