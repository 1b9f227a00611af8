//! `unthrottle history`: lists the changes of a stream, from its memory and the metric AutoFix.

use crate::CliError;
use crate::aws::AwsArgs;
use crate::changes::{Counted, ShardsOverTime, counted, last, memory};
use crate::screen::{Column, Console, Table, print_json};
use crate::streams::find_stream;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use unthrottle::aws::Clients;
use unthrottle::aws::read::stream::summary;
use unthrottle_core::decision::Remedy;
use unthrottle_core::memory::{ChangeKind, Memory, TAG};
use unthrottle_core::observation::Minute;
use unthrottle_core::words::many;

#[derive(clap::Args)]
#[command(next_line_help = true)]
pub(super) struct Args {
    /// The stream's name or ARN
    stream: String,
    #[arg(
        long,
        default_value_t = 15,
        value_name = "DAYS",
        value_parser = clap::value_parser!(i64).range(1..=455),
        help = "How far to go back. CloudWatch keeps minutes for 15 days, five minutes \
                for 63 days, and hours for 455 days"
    )]
    days: i64,
    #[command(flatten)]
    aws: AwsArgs,
    /// Show all columns on any screen
    #[arg(long)]
    wide: bool,
    /// Print the changes as JSON
    #[arg(long)]
    json: bool,
}

/// The changes of a stream, newest first.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct History {
    /// The version of this format. New versions only add fields.
    version: u32,
    stream: String,
    /// Why the memory is missing: it cannot be read.
    unreadable_memory: Option<String>,
    changes: Vec<Entry>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct Entry {
    /// When unthrottle announced the change. From the metric: the start of its period.
    at: DateTime<Utc>,
    /// The remedy's code.
    action: String,
    /// How many changes the period has.
    count: u32,
    /// Shards before and after (MiB/s for `warm_up`). The memory has them for the last change. For earlier splits they
    /// follow from it and from the shards of today.
    from: Option<u32>,
    to: Option<u32>,
    /// Whether the metric AutoFix shows the change.
    counted: bool,
    /// Whether AWS refused the change, so that it was never made.
    refused: bool,
    /// When the stream was found ACTIVE after the change, and when throttling was found to have stopped.
    settled: Option<DateTime<Utc>>,
    healed: Option<DateTime<Utc>>,
}

pub(super) async fn run(args: Args) -> Result<(), CliError> {
    let clients = Clients::new(&args.aws.config().await?);
    let stream = find_stream(&clients.kinesis, &args.stream).await?;
    let open = summary(&clients.kinesis, &stream).await.map_err(unthrottle::Error::from)?;
    let (memory, unreadable_memory) = match memory(&clients, &stream).await? {
        Ok(memory) => (memory, None),
        Err(error) => (Memory::default(), Some(error.to_string())),
    };
    let period = match args.days {
        ..=15 => 60,
        16..=63 => 300,
        _ => 3600,
    };
    let counted = counted(&clients.cloudwatch, &stream.name, last(args.days), period).await?;
    let mut changes = counted.iter().map(entry).collect();
    let period = TimeDelta::seconds(period.into());
    add_remembered(&memory, &mut changes, period);
    if let Some(open) = open.map(|stream| stream.open_shards) {
        add_sizes(&ShardsOverTime::of(&memory, &counted, open, period.num_minutes()), &mut changes, period);
    }
    changes.sort_by_key(|entry| std::cmp::Reverse(entry.at));
    let history = History { version: 1, stream: stream.name, unreadable_memory, changes };
    if args.json {
        return Ok(print_json(&history)?);
    }
    print(&history, args.days, args.wide)
}

/// The entry of a datapoint of the metric.
fn entry(Counted { at, action, count }: &Counted) -> Entry {
    Entry {
        at: *at,
        action: (*action).into(),
        // The cast saturates: other people and tools can write to this metric.
        count: *count as u32,
        from: None,
        to: None,
        counted: true,
        refused: false,
        settled: None,
        healed: None,
    }
}

/// Adds the sizes that follow from the shards of today and from the changes since.
fn add_sizes(known: &ShardsOverTime, changes: &mut [Entry], period: TimeDelta) {
    for entry in changes.iter_mut().filter(|entry| entry.from.is_none() && entry.count == 1) {
        let begins = Minute::of(entry.at);
        let within = begins..begins.plus(period.num_minutes());
        let mut steps = known.certain().filter(|step| within.contains(&step.minute));
        if let (Some(step), None) = (steps.next(), steps.next()) {
            (entry.from, entry.to) = (Some(step.from), Some(step.to));
        } else if let Some(change) = known.unsized_change.filter(|change| within.contains(&change.minute)) {
            entry.to = Some(change.to);
        }
    }
}

/// Adds the memory of the last change to the entry of that change, or adds an entry. Adds another entry for an earlier
/// change that the metric does not show yet.
fn add_remembered(memory: &Memory, changes: &mut Vec<Entry>, period: TimeDelta) {
    let is_known = |kind: ChangeKind, at: DateTime<Utc>, entry: &Entry| {
        entry.action == action(kind) && entry.at <= at && at < entry.at + period
    };
    let bare = |kind: ChangeKind, at: DateTime<Utc>| Entry {
        at,
        action: action(kind).into(),
        count: 1,
        from: None,
        to: None,
        counted: false,
        refused: false,
        settled: None,
        healed: None,
    };
    if let Some((kind, at)) =
        memory.unpublished.filter(|(kind, at)| !changes.iter().any(|entry| is_known(*kind, *at, entry)))
    {
        changes.push(bare(kind, at));
    }
    let Some(change) = memory.change.as_ref().filter(|change| change.kind != ChangeKind::Lost) else { return };
    let place = changes.iter().position(|entry| is_known(change.kind, change.at, entry));
    let mut entry = place.map_or_else(|| bare(change.kind, change.at), |place| changes.swap_remove(place));
    (entry.from, entry.to) = (Some(change.from.number()), Some(change.to.number()));
    (entry.at, entry.settled, entry.healed) = (change.at, change.settled, change.healed);
    entry.refused = !entry.counted && memory.is_change_refused();
    changes.push(entry);
}

fn action(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::External => "changed by another person or tool",
        kind => Remedy::code_of(kind),
    }
}

fn print(history: &History, days: i64, is_wide: bool) -> Result<(), CliError> {
    let mut console = Console::new(false);
    console.heading(&format!("{}: changes of the last {}, newest first (UTC)", history.stream, many(days, "day")))?;
    if let Some(error) = &history.unreadable_memory {
        console
            .step(&format!("its memory (tag {TAG}) cannot be read: {error}. This is what the AutoFix metric has:"))?;
    }
    if history.changes.is_empty() {
        return Ok(console.step("none")?);
    }
    let columns = ["when", "change", "from → to", "state"];
    let columns = columns.into_iter().enumerate().map(|(place, head)| Column::text(head, u8::from(place == 3)));
    let rows = history.changes.iter().map(|entry| {
        let step = match (entry.from, entry.to) {
            (Some(from), Some(to)) => format!("{from} → {to}"),
            (None, Some(to)) => format!("? → {to}"),
            _ if entry.count > 1 => format!("{} times", entry.count),
            _ => "?".into(),
        };
        let state = match entry {
            Entry { healed: Some(healed), .. } => format!("healed {}", healed.format("%H:%M")),
            Entry { settled: Some(settled), .. } => format!("ACTIVE again {}", settled.format("%H:%M")),
            Entry { refused: true, .. } => "refused by AWS".into(),
            Entry { counted: false, .. } => "announced".into(),
            _ => String::new(),
        };
        vec![entry.at.format("%Y-%m-%d %H:%M").to_string(), entry.action.clone(), step, state]
    });
    Ok(console.table(&Table { columns: columns.collect(), rows: rows.collect(), is_wide })?)
}
