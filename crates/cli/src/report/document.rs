//! The report as data. Fields are only added.

use chrono::{DateTime, Utc};
use serde::Serialize;

/// The minutes of a step of CloudWatch. It keeps minutes for 15 days only, and steps of five for 63.
pub(super) const STEP_MINUTES: i64 = 5;

/// A fleet's month.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Report {
    pub version: u8,
    pub region: String,
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
    /// Log lines with a decision in this time. `null`: no log was given.
    pub logged_decisions: Option<usize>,
    /// The region and the month of the list prices.
    pub prices: String,
    pub totals: Totals,
    /// The streams with most to say first.
    pub streams: Vec<StreamReport>,
}

/// The sums over all streams.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Totals {
    pub streams: usize,
    /// Streams that could not be read.
    pub unread: usize,
    pub incidents: usize,
    /// Incidents in which the function made a change.
    pub incidents_with_a_change: usize,
    /// Incidents that go on at the end.
    pub open_incidents: usize,
    /// Changes that a check found to have worked.
    pub healed: u32,
    /// From the first throttled minute to the last, as the function measured it: half of them took less.
    pub median_time_to_heal_seconds: Option<f64>,
    pub refused_records: f64,
    pub refused_reads: f64,
    pub changes: u32,
    /// Changes whose cost is unknown, because neither a tag nor a log line has it.
    pub changes_of_unknown_cost: u32,
    /// What the changes that raise the cost have cost so far, USD.
    pub cost_added_usd: f64,
    /// What the changes that lower it have saved so far, USD.
    pub cost_saved_usd: f64,
    /// Changes that mode `observe` would have made, as the log shows them.
    pub planned: usize,
    pub streams_at_limit: usize,
    pub slack_shards: u32,
    pub slack_usd_per_month: f64,
}

/// A stream's month.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct StreamReport {
    pub name: String,
    pub mode: Option<String>,
    pub open_shards: Option<u32>,
    pub refused_records: f64,
    pub refused_reads: f64,
    pub incidents: Vec<Incident>,
    pub changes: Vec<Change>,
    pub planned: Vec<Planned>,
    /// The highest accepted load of five minutes, in full shards, and when it was.
    pub peak_shards: f64,
    pub peak_at: Option<DateTime<Utc>>,
    /// That load as a share of what the open shards take.
    pub peak_utilization: Option<f64>,
    /// The shards that the peak needs at the target utilization.
    pub right_size_shards: Option<u32>,
    /// The shards above that.
    pub slack_shards: Option<u32>,
    pub slack_usd_per_month: Option<f64>,
    /// The limit that the stream has reached. `null`: none.
    pub at_limit: Option<String>,
    /// Why the stream could not be read.
    pub error: Option<String>,
    /// From the first throttled minute to the last, of each change that worked.
    #[serde(skip)]
    pub heal_seconds: Vec<f64>,
    #[serde(skip)]
    pub healed: u32,
}

/// A time in which AWS refused records or calls.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Incident {
    /// The start of the first step that refused.
    pub from: DateTime<Utc>,
    /// The end of the last step that refused. The incident is over if half an hour without a refusal follows.
    pub to: DateTime<Utc>,
    pub is_open: bool,
    pub refused_records: f64,
    pub refused_reads: f64,
    /// Changes of the function in it.
    pub changes: u32,
    /// As the function measured it, to the minute.
    pub time_to_heal_seconds: Option<f64>,
}

/// A change of the function.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Change {
    pub at: DateTime<Utc>,
    /// The remedy's code.
    pub action: String,
    /// Changes of this kind in the step.
    pub count: u32,
    pub from: Option<u32>,
    pub to: Option<u32>,
    /// What AWS refused in the hour before the change and in the hour after it.
    pub refused_hour_before: f64,
    pub refused_hour_after: f64,
    /// The change of the cost, USD an hour. `null`: unknown.
    pub usd_per_hour: Option<f64>,
    /// The same from the change to the end of the report.
    pub usd_so_far: Option<f64>,
}

/// A change that mode `observe` would have made.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Planned {
    pub at: DateTime<Utc>,
    pub action: String,
    pub sentence: String,
}

impl Totals {
    pub fn of(streams: &[StreamReport]) -> Totals {
        let mut heals: Vec<f64> = streams.iter().flat_map(|stream| stream.heal_seconds.iter().copied()).collect();
        heals.sort_by(f64::total_cmp);
        let incidents = || streams.iter().flat_map(|stream| &stream.incidents);
        let changes = || streams.iter().flat_map(|stream| &stream.changes);
        let usd = |sign: f64| changes().filter_map(|change| change.usd_so_far).map(|usd| (sign * usd).max(0.0)).sum();
        Totals {
            streams: streams.len(),
            unread: streams.iter().filter(|stream| stream.error.is_some()).count(),
            incidents: incidents().count(),
            incidents_with_a_change: incidents().filter(|incident| incident.changes > 0).count(),
            open_incidents: incidents().filter(|incident| incident.is_open).count(),
            healed: streams.iter().map(|stream| stream.healed).sum(),
            median_time_to_heal_seconds: heals.get(heals.len() / 2).copied(),
            refused_records: streams.iter().map(|stream| stream.refused_records).sum(),
            refused_reads: streams.iter().map(|stream| stream.refused_reads).sum(),
            changes: changes().map(|change| change.count).sum(),
            changes_of_unknown_cost: changes().filter(|c| c.usd_per_hour.is_none()).map(|change| change.count).sum(),
            cost_added_usd: usd(1.0),
            cost_saved_usd: usd(-1.0),
            planned: streams.iter().map(|stream| stream.planned.len()).sum(),
            streams_at_limit: streams.iter().filter(|stream| stream.at_limit.is_some()).count(),
            slack_shards: streams.iter().filter_map(|stream| stream.slack_shards).sum(),
            slack_usd_per_month: streams.iter().filter_map(|stream| stream.slack_usd_per_month).sum(),
        }
    }
}
