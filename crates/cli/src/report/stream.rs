//! One stream's part of the report, from everything that was read of it.

use super::changes::changes;
use super::collect::Span;
use super::document::{STEP_MINUTES, StreamReport};
use super::incidents::{Step, find};
use super::logs::OfStream;
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeMap;
use unthrottle_core::checks::KNOWN_AFTER;
use unthrottle_core::cost::{BillingMode, Load, Prices, Shape, monthly};
use unthrottle_core::observation::{CapacityMode, Stream};
use unthrottle_core::policy::Policy;
use unthrottle_core::words::many;

/// What a shard takes in a step: 1 MiB and 1,000 records a second (the quotas of Kinesis Data Streams).
const SHARD_BYTES: f64 = (STEP_MINUTES * 60) as f64 * 1_048_576.0;
const SHARD_RECORDS: f64 = (STEP_MINUTES * 60) as f64 * 1_000.0;

/// The load from which a stream counts as full in a step: the busiest minute of five is fuller than their mean.
const FULL: f64 = 0.95;

/// Everything that was read of a stream.
pub(super) struct Readings<'a> {
    pub name: &'a str,
    pub stream: Option<Stream>,
    pub tags: BTreeMap<String, String>,
    pub steps: BTreeMap<DateTime<Utc>, Step>,
    /// The steps with changes, with the remedy's code and the number of changes.
    pub fixes: Vec<(DateTime<Utc>, &'static str, u32)>,
    pub logged: Option<&'a OfStream>,
}

/// The report of a stream.
pub(super) fn report(of: Readings<'_>, policy: &Policy, span: Span) -> StreamReport {
    let steps = &of.steps;
    // From 0.0 on: a sum of nothing would be -0.0.
    let sum = |field: fn(&Step) -> f64| steps.values().map(field).fold(0.0, |sum, one| sum + one);
    let full = |step: &Step| (step.bytes / SHARD_BYTES).max(step.records / SHARD_RECORDS);
    let peak = steps.iter().map(|(at, step)| (full(step), *at)).max_by(|a, b| a.0.total_cmp(&b.0));
    let peak = peak.filter(|(shards, _)| *shards > 0.0);
    let planned = of.logged.map(|logged| logged.planned.clone()).unwrap_or_default();
    let mut report = StreamReport {
        name: of.name.to_owned(),
        mode: of.stream.as_ref().map(|stream| stream.mode.as_str().to_owned()),
        open_shards: of.stream.as_ref().map(|stream| stream.open_shards),
        refused_records: sum(|step| step.refused_records),
        refused_reads: sum(|step| step.refused_reads),
        incidents: find(steps, span.to),
        changes: changes(&of, &policy.prices, span),
        planned: planned.into_iter().filter(|planned| span.has(planned.at)).collect(),
        peak_shards: peak.map_or(0.0, |(shards, _)| shards),
        peak_at: peak.map(|(_, at)| at),
        heal_seconds: steps.values().filter(|s| s.healed > 0.0).map(|s| s.heal_seconds / s.healed).collect(),
        healed: sum(|step| step.healed) as u32,
        ..StreamReport::default()
    };
    if let Some(stream) = of.stream.as_ref().filter(|stream| stream.mode == CapacityMode::Provisioned) {
        size(&mut report, stream, &of.tags, policy, span);
    }
    report
}

/// Adds what a provisioned stream needs, has too much of, and cannot exceed.
fn size(report: &mut StreamReport, stream: &Stream, tags: &BTreeMap<String, String>, policy: &Policy, span: Span) {
    let own = policy.for_stream(tags, None).ok().flatten();
    let (most, least) = own.map_or((policy.max_shards, policy.min_shards), |own| (own.max_shards, own.min_shards));
    let open = stream.open_shards.max(1);
    // The cast saturates, and the load of a stream is far below.
    let needed = (report.peak_shards / policy.target_utilization).ceil() as u32;
    // A stream that refused in the last day needs all that it has: what it was offered is not known.
    let is_calm = report.incidents.last().is_none_or(|last| span.to - last.to > TimeDelta::days(1));
    let right = if is_calm { needed.max(least).max(1) } else { needed.max(open) };
    let slack = open.saturating_sub(right);
    let utilization = report.peak_shards / f64::from(open);
    report.peak_utilization = Some(utilization);
    let is_young = stream.created_at.is_some_and(|created| span.to - created < KNOWN_AFTER);
    if !is_young {
        let usd = |shards| per_hour(&policy.prices, stream, shards);
        report.right_size_shards = Some(right);
        report.slack_shards = Some(slack);
        report.slack_usd_per_month = Some(monthly(usd(open) - usd(open - slack)));
    }
    report.at_limit = if open >= most {
        Some(format!("its maximum of {} (UNTHROTTLE_MAX_SHARDS, or its tag)", many(most, "shard")))
    } else if utilization >= FULL {
        Some(format!("its shards: {:.0} % full in five minutes", utilization * 100.0))
    } else {
        None
    };
}

/// What the shards of a stream cost, USD an hour. The load costs the same with any number of shards.
pub(super) fn per_hour(prices: &Prices, stream: &Stream, shards: u32) -> f64 {
    prices.per_hour(&Shape {
        mode: BillingMode::Provisioned,
        shards,
        consumers: stream.consumers,
        retention_hours: stream.retention_hours,
        shard_metrics: stream.shard_metric_count(),
        load: Load::default(),
    })
}
