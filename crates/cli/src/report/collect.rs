//! Reads what the report is made of: the streams, their tags, and their metrics in steps of five minutes.

use super::document::{Report, STEP_MINUTES, StreamReport, Totals};
use super::incidents::Step;
use super::logs::{Logs, OfStream};
use super::stream::{Readings, report};
use crate::CliError;
use crate::aws::called;
use crate::changes::{Counted, counted};
use crate::metrics::{self, Query};
use crate::screen::Progress;
use crate::streams;
use aws_config::SdkConfig;
use aws_sdk_cloudwatch::Client;
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use unthrottle::aws::Clients;
use unthrottle::aws::read::stream::summary;
use unthrottle_core::policy::Policy;
use unthrottle_core::report::metric::{AUTO_FIX, NAMESPACE, STREAM_NAME};
use unthrottle_core::signal::StreamArn;

/// Streams whose metrics are read together. A month of one is 60,000 datapoints, so more would fill the memory.
const AT_ONCE: usize = 10;

/// The time of the report.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
}

impl Span {
    /// Whether a time is in it.
    pub fn has(self, at: DateTime<Utc>) -> bool {
        (self.from..self.to).contains(&at)
    }
}

type Field = fn(&mut Step, f64);

/// The series of Kinesis, and the fields for their values.
const OF_KINESIS: [(&str, Field); 4] = [
    ("IncomingBytes", |step, value| step.bytes = value),
    ("IncomingRecords", |step, value| step.records = value),
    ("WriteProvisionedThroughputExceeded", |step, value| step.refused_records = value),
    ("ReadProvisionedThroughputExceeded", |step, value| step.refused_reads = value),
];

/// The series of the function for a stream.
const OWN: [(&str, Field); 3] = [
    (AUTO_FIX, |step, value| step.changes = value),
    ("Healed", |step, value| step.healed = value),
    ("TimeToHeal", |step, value| step.heal_seconds = value),
];

/// Reads the fleet.
///
/// # Errors
/// No stream, or AWS did not list them. A stream that cannot be read is in the report.
pub(super) async fn collect(
    config: &SdkConfig,
    names: &[String],
    policy: &Policy,
    logs: &Logs,
    span: Span,
) -> Result<Report, CliError> {
    let clients = Clients::new(config);
    let all = match names {
        [] => streams::all(&clients.kinesis).await?,
        names => streams::named(&clients.kinesis, names).await?,
    };
    let tags = tags(&clients).await?;
    // Not the client of the Lambda: its time limits are for short reads.
    let cloudwatch = Client::new(config);
    let mut progress = Progress::new("streams read", all.len());
    let mut reports = vec![];
    for part in all.chunks(AT_ONCE) {
        progress.show();
        let steps = steps(&cloudwatch, part, span).await;
        for (place, stream) in part.iter().enumerate() {
            let logged = logs.as_ref().and_then(|logs| logs.get(&stream.name));
            let of = match &steps {
                Ok(steps) => steps[place].clone(),
                Err(error) => Err(error.to_string()),
            };
            let tags = tags.get(&stream.to_string()).cloned().unwrap_or_default();
            let reading = Reading { clients: &clients, cloudwatch: &cloudwatch, stream, tags, logged, span };
            reports.push(match of {
                Ok(steps) => reading.report(steps, policy).await,
                Err(error) => unread(stream, error),
            });
            progress.step();
        }
    }
    progress.clear();
    reports.sort_by(|a, b| weight(b).total_cmp(&weight(a)).then_with(|| a.name.cmp(&b.name)));
    let in_span = |logged: &OfStream| logged.times.iter().filter(|at| span.has(**at)).count();
    Ok(Report {
        version: 1,
        region: config.region().map(ToString::to_string).unwrap_or_default(),
        from: span.from,
        to: span.to,
        logged_decisions: logs.as_ref().map(|logs| logs.values().map(in_span).sum()),
        prices: format!("{} {}", policy.prices.region, policy.prices.as_of),
        totals: Totals::of(&reports),
        streams: reports,
    })
}

/// How much a stream has to say: what it refused, then its changes, then its slack.
fn weight(report: &StreamReport) -> f64 {
    let refused = report.refused_records + report.refused_reads;
    1e6 * refused + 1e3 * report.changes.len() as f64 + report.slack_usd_per_month.unwrap_or_default()
}

fn unread(stream: &StreamArn, error: String) -> StreamReport {
    StreamReport { name: stream.name.clone(), error: Some(error), ..StreamReport::default() }
}

/// The tags of every stream that has some, by ARN.
async fn tags(clients: &Clients) -> Result<BTreeMap<String, BTreeMap<String, String>>, CliError> {
    let mut pages = clients.tagging().get_resources().resource_type_filters("kinesis:stream").into_paginator().send();
    let mut all = BTreeMap::new();
    while let Some(page) = pages.next().await {
        for resource in called("GetResources", page)?.resource_tag_mapping_list() {
            let tags = resource.tags().iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned()));
            all.insert(resource.resource_arn().unwrap_or_default().to_owned(), tags.collect());
        }
    }
    Ok(all)
}

/// The steps of a stream, or why CloudWatch could not read them.
type Steps = Result<BTreeMap<DateTime<Utc>, Step>, String>;

/// Reads the steps of these streams, in their order.
async fn steps(client: &Client, part: &[StreamArn], span: Span) -> Result<Vec<Steps>, CliError> {
    let fields: Vec<Field> = OF_KINESIS.iter().chain(&OWN).map(|(_, field)| *field).collect();
    let of_stream = |stream: &StreamArn| {
        let name = stream.name.clone();
        let kinesis = OF_KINESIS.map(|(metric, _)| Query::of_stream(metric, "Sum", &name));
        let own = OWN.map(|(metric, _)| own(metric, vec![(STREAM_NAME, name.clone())]));
        kinesis.into_iter().chain(own)
    };
    let queries: Vec<Query> = part.iter().flat_map(of_stream).collect();
    let mut steps = vec![BTreeMap::<DateTime<Utc>, Step>::new(); part.len()];
    let period = STEP_MINUTES as i32 * 60;
    let unread = metrics::read(client, &queries, period, (span.from, span.to), |place, time, value| {
        let step = steps[place / fields.len()].entry(time).or_default();
        fields[place % fields.len()](step, value);
    });
    let unread = called("GetMetricData", unread.await)?;
    let of = |(place, steps): (usize, BTreeMap<DateTime<Utc>, Step>)| {
        let missing = unread.iter().find(|unread| unread.place / fields.len() == place);
        missing.map_or(Ok(steps), |unread| Err(format!("CloudWatch could not read {}", queries[unread.place].metric)))
    };
    Ok(steps.into_iter().enumerate().map(of).collect())
}

fn own(metric: &'static str, dimensions: Vec<(&'static str, String)>) -> Query {
    Query { namespace: NAMESPACE, metric, statistic: "Sum", dimensions }
}

/// What else is read of one stream.
struct Reading<'a> {
    clients: &'a Clients,
    cloudwatch: &'a Client,
    stream: &'a StreamArn,
    tags: BTreeMap<String, String>,
    logged: Option<&'a OfStream>,
    span: Span,
}

impl Reading<'_> {
    async fn report(self, steps: BTreeMap<DateTime<Utc>, Step>, policy: &Policy) -> StreamReport {
        let has_changes = steps.values().any(|step| step.changes > 0.0);
        let fixes = if has_changes { self.fixes().await } else { Ok(vec![]) };
        let summary = summary(&self.clients.kinesis, self.stream).await;
        match (fixes, summary) {
            (Ok(fixes), Ok(stream)) => {
                let Reading { tags, logged, span, .. } = self;
                report(Readings { name: &self.stream.name, stream, tags, steps, fixes, logged }, policy, span)
            }
            (Err(error), _) => unread(self.stream, error.to_string()),
            (_, Err(error)) => unread(self.stream, CliError::from(unthrottle::Error::from(error)).to_string()),
        }
    }

    /// The changes of the stream, by remedy.
    async fn fixes(&self) -> Result<Vec<(DateTime<Utc>, &'static str, u32)>, CliError> {
        let window = (self.span.from, self.span.to);
        let changes = counted(self.cloudwatch, &self.stream.name, window, STEP_MINUTES as i32 * 60).await?;
        // The cast saturates: other people and tools can write to this metric.
        Ok(changes.into_iter().map(|Counted { at, action, count }| (at, action, count as u32)).collect())
    }
}
