//! Alarms on all streams at once, and their contributors.

use super::cloudwatch::{Answer, Window, token};
use super::metrics::{Metrics, Series, Stat};
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

/// The newest published minutes. Each of them above the threshold holds a stream in ALARM.
const EVALUATED_MINUTES: i64 = 3;

/// The alarms by name.
pub(super) type FleetAlarms = BTreeMap<String, FleetAlarm>;

/// An alarm on a metric of `AWS/Kinesis` of all streams.
pub(super) struct FleetAlarm {
    pub metric: String,
    /// What it compares of each minute.
    pub statistic: Statistic,
    /// A minute above it raises the alarm.
    pub threshold: f64,
}

impl FleetAlarm {
    /// Its Metrics Insights query. A name with a dot needs quotes there.
    pub fn query(&self) -> String {
        let metric = if self.metric.contains('.') { format!("\"{}\"", self.metric) } else { self.metric.clone() };
        let function = self.statistic.function();
        let from = "FROM SCHEMA(\"AWS/Kinesis\", StreamName) GROUP BY StreamName";
        format!("SELECT {function}({metric}) {from} ORDER BY {function}() DESC LIMIT 500")
    }
}

/// What an alarm compares.
#[derive(Clone, Copy)]
pub(super) enum Statistic {
    Sum,
    Maximum,
}

impl Statistic {
    /// Its function in Metrics Insights.
    fn function(self) -> &'static str {
        match self {
            Statistic::Sum => "SUM",
            Statistic::Maximum => "MAX",
        }
    }

    fn of(self, stat: &Stat) -> f64 {
        match self {
            Statistic::Sum => stat.sum,
            Statistic::Maximum => stat.maximum,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeAlarmContributors {
    alarm_name: String,
    next_token: Option<String>,
}

/// A stream that is in ALARM.
pub(super) struct Contributor<'a> {
    pub stream: &'a str,
    /// What the alarm compares, of the newest minutes together.
    value: f64,
    threshold: f64,
    /// The beginning of its ALARM, in epoch seconds.
    since: f64,
}

/// The streams that are in ALARM now, the largest value first. `end`: the first unpublished minute.
pub(super) fn describe_contributors(
    alarms: &FleetAlarms,
    metrics: &Metrics,
    input: &DescribeAlarmContributors,
    end: i64,
) -> Answer {
    let Some(alarm) = alarms.get(&input.alarm_name) else {
        let message = format!("There is no alarm {}.", input.alarm_name);
        return Err(Refusal::new(404, "ResourceNotFoundException", message));
    };
    let skip = token(input.next_token.as_deref())?;
    let contributors = contributors(alarm, metrics, end);
    let page = contributors.iter().skip(skip).take(CONTRIBUTORS_PER_PAGE);
    let mut answer = vec![field("AlarmContributors", Cbor::Array(page.map(Contributor::describe).collect()))];
    let next = skip.saturating_add(CONTRIBUTORS_PER_PAGE);
    if next < contributors.len() {
        answer.push(field("NextToken", text(&next.to_string())));
    }
    Ok(Cbor::Map(answer))
}

/// The streams that are in ALARM by an alarm, the largest value first: at most [`MAX_CONTRIBUTORS`].
pub(super) fn contributors<'a>(alarm: &FleetAlarm, metrics: &'a Metrics, end: i64) -> Vec<Contributor<'a>> {
    let mut contributors: Vec<Contributor> =
        metrics.series().filter_map(|series| Contributor::of(series, alarm, metrics, end)).collect();
    contributors.sort_by(|a, b| b.value.total_cmp(&a.value));
    contributors.truncate(MAX_CONTRIBUTORS);
    contributors
}

impl<'a> Contributor<'a> {
    fn of(series: &'a Series, alarm: &FleetAlarm, metrics: &Metrics, end: i64) -> Option<Self> {
        if series.namespace != "AWS/Kinesis" || series.name != alarm.metric || series.dimensions.len() != 1 {
            return None;
        }
        let stream = series.dimensions.get("StreamName")?;
        let (statistic, threshold) = (alarm.statistic, alarm.threshold);
        let is_high = |stat: &Stat| statistic.of(stat) > threshold;
        let evaluated = Window::until(end, EVALUATED_MINUTES);
        let value = statistic.of(&evaluated.total(metrics, series)?);
        // Each minute above the threshold holds the stream in ALARM for [`EVALUATED_MINUTES`].
        let high: Vec<i64> = metrics
            .minutes(series)
            .filter(|(minute, stat)| *minute < end && is_high(stat))
            .map(|(minute, _)| minute)
            .collect();
        let newest = high.last().filter(|minute| **minute >= end - EVALUATED_MINUTES)?;
        let held = high.iter().rev().zip(high.iter().rev().skip(1));
        let held = held.take_while(|(newer, older)| *newer - *older <= EVALUATED_MINUTES);
        let first = held.last().map_or(*newest, |(_, older)| *older);
        Some(Self { stream, value, threshold, since: (first + 1) as f64 * 60.0 })
    }

    fn describe(&self) -> Cbor {
        let mut id = DefaultHasher::new();
        self.stream.hash(&mut id);
        let Contributor { value, threshold, .. } = self;
        let crossed = format!("1 datapoint [{value:.1}] was greater than the threshold ({threshold:.1})");
        let reason = format!("Threshold Crossed: {crossed}.");
        Cbor::Map(vec![
            field("ContributorId", text(&format!("{:016x}", id.finish()))),
            field("ContributorAttributes", Cbor::Map(vec![field("StreamName", text(self.stream))])),
            field("StateReason", text(&reason)),
            field("StateTransitionedTimestamp", timestamp(self.since)),
        ])
    }
}
