//! One stream's part of the report, from everything that was read of it.

use super::collect::Span;
use super::document::{Change, STEP_MINUTES, StreamReport};
use super::incidents::{Step, find};
use super::logs::OfStream;
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeMap;
use unthrottle_core::cost::{BillingMode, Load, Prices, Shape, monthly};
use unthrottle_core::decision::Remedy;
use unthrottle_core::memory::{ChangeKind, Memory, Size, TAG};
use unthrottle_core::observation::{CapacityMode, Stream};
use unthrottle_core::policy::Policy;

/// What a shard takes in a step: 1 MiB and 1,000 records a second (the quotas of Kinesis Data Streams).
const SHARD_BYTES: f64 = (STEP_MINUTES * 60) as f64 * 1_048_576.0;
const SHARD_RECORDS: f64 = (STEP_MINUTES * 60) as f64 * 1_000.0;

/// The load from which a stream counts as full in a step: the busiest minute of five is fuller than their mean.
const FULL: f64 = 0.95;

/// A change of the metric and one of a log or a tag are the same within this time: a step of the metric, and the
/// minute in which two runs may both announce a change.
const SAME: TimeDelta = TimeDelta::minutes(STEP_MINUTES + 1);

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
    let sum = |field: fn(&Step) -> f64| steps.values().map(field).sum::<f64>();
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
    report.right_size_shards = Some(right);
    report.slack_shards = Some(slack);
    let prices = &policy.prices;
    report.slack_usd_per_month = Some(monthly(per_hour(prices, stream, open) - per_hour(prices, stream, open - slack)));
    report.at_limit = if open >= most {
        Some(format!("its maximum of {most} shards (UNTHROTTLE_MAX_SHARDS, or its tag)"))
    } else if utilization >= FULL {
        Some(format!("its shards: {:.0} % full in five minutes", utilization * 100.0))
    } else {
        None
    };
}

/// What the shards of a stream cost, USD an hour. The load costs the same with any number of shards.
fn per_hour(prices: &Prices, stream: &Stream, shards: u32) -> f64 {
    prices.per_hour(&Shape {
        mode: BillingMode::Provisioned,
        shards,
        consumers: stream.consumers,
        retention_hours: stream.retention_hours,
        shard_metrics: stream.shard_metric_count(),
        load: Load::default(),
    })
}

/// The changes of the metric, of the log and of the memory tag, each once, the oldest first.
fn changes(of: &Readings<'_>, prices: &Prices, span: Span) -> Vec<Change> {
    let bare = |at, action: &str, count| Change {
        at,
        action: action.to_owned(),
        count,
        from: None,
        to: None,
        refused_hour_before: 0.0,
        refused_hour_after: 0.0,
        usd_per_hour: None,
        usd_so_far: None,
    };
    let mut changes: Vec<Change> = of.fixes.iter().map(|(at, action, count)| bare(*at, action, *count)).collect();
    let mut known = |at: DateTime<Utc>, action: &str, from: Option<u32>, to: Option<u32>, usd: Option<f64>| {
        let is_it = |change: &Change| {
            change.action == action && change.from.is_none() && at >= change.at && at - change.at < SAME
        };
        let is_known = |change: &Change| change.action == action && (change.at - at).abs() < SAME;
        let place = changes.iter().position(is_it);
        if place.is_none() && changes.iter().any(is_known) {
            return;
        }
        let mut change = place.map_or_else(|| bare(at, action, 1), |place| changes.swap_remove(place));
        (change.at, change.from, change.to, change.usd_per_hour) = (at, from, to, usd);
        changes.push(change);
    };
    for made in of.logged.iter().flat_map(|logged| &logged.made).filter(|made| span.has(made.at)) {
        known(made.at, &made.action, made.from, made.to, made.usd_per_hour);
    }
    if let Some((at, action, from, to)) = remembered(&of.tags).filter(|(at, ..)| span.has(*at)) {
        let shards = |size: Size| size.shards().zip(of.stream.as_ref());
        let cost = |size: Size| shards(size).map(|(shards, stream)| per_hour(prices, stream, shards));
        let is_of_shards = matches!(action, "scale_shards" | "scale_ahead" | "split_shard" | "restore");
        let usd = cost(to).zip(cost(from)).map(|(to, from)| to - from).filter(|_| is_of_shards);
        known(at, action, Some(from.number()), Some(to.number()), usd);
    }
    changes.sort_by_key(|change| change.at);
    for change in &mut changes {
        let hour = TimeDelta::hours(1);
        let refused = |from, to| of.steps.range(from..to).map(|(_, step)| step.refused()).sum();
        change.refused_hour_before = refused(change.at - hour, change.at);
        change.refused_hour_after = refused(change.at, change.at + hour);
        let hours = (span.to - change.at).num_seconds().max(0) as f64 / 3600.0;
        change.usd_so_far = change.usd_per_hour.map(|usd| usd * f64::from(change.count) * hours);
    }
    changes
}

/// The last change of ours in the memory tag.
fn remembered(tags: &BTreeMap<String, String>) -> Option<(DateTime<Utc>, &'static str, Size, Size)> {
    let memory = Memory::parse(tags.get(TAG)?).ok()?;
    let is_made = !memory.is_change_refused();
    let change =
        memory.change.filter(|change| is_made && !matches!(change.kind, ChangeKind::External | ChangeKind::Lost))?;
    Some((change.at, Remedy::code_of(change.kind), change.from, change.to))
}
