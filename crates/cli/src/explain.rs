//! `unthrottle explain`: shows what unthrottle would do about a stream.

use crate::CliError;
use crate::aws::{AwsArgs, clock};
use crate::config;
use crate::screen::{Console, print_json};
use crate::streams::find_stream;
use serde_json::Value;
use unthrottle::aws::Clients;
use unthrottle::handler::Handler;
use unthrottle_core::policy::Mode;
use unthrottle_core::report::Document;
use unthrottle_core::signal::{Ask, Signal, StreamArn};
use unthrottle_core::text::plain;
use unthrottle_core::words::count;

#[derive(clap::Args)]
#[command(next_line_help = true)]
pub(super) struct Args {
    /// The stream's name or ARN
    stream: String,
    #[arg(
        long,
        value_name = "TEXT",
        help = "The error message of a producer, such as \
                \"Rate exceeded for shard shardId-000000000003 in stream orders …\""
    )]
    message: Option<String>,
    #[command(flatten)]
    aws: AwsArgs,
    /// Print the decision document
    #[arg(long)]
    json: bool,
}

/// The words of messages about a throttle, in lower case: those of AWS's error codes and texts, and of the libraries
/// that wrap them. Each code stands in the code of the SDK or in the text of an answer.
const OF_THROTTLES: [&str; 5] =
    ["rate exceeded", "throughputexceeded", "limitexceeded", "throttl", "throughput for the stream"];

/// # Errors
/// The message names no throttle, so it says nothing about why records are refused.
fn must_name_a_throttle(message: &str) -> Result<(), CliError> {
    let lower = message.to_lowercase();
    if OF_THROTTLES.iter().any(|words| lower.contains(words)) {
        return Ok(());
    }
    Err(CliError::Usage(format!(
        "--message names no throttle: `{}`. One has a text such as \"Rate exceeded for shard …\" or a code such as \
         ProvisionedThroughputExceededException. Without --message, the metrics of the stream alone count",
        plain(message, SHOWN_CHARACTERS)
    )))
}

/// The characters of a wrong message that are shown again. A person recognizes it by fewer.
const SHOWN_CHARACTERS: usize = 100;

pub(super) async fn run(args: Args) -> Result<(), CliError> {
    args.message.as_deref().map_or(Ok(()), must_name_a_throttle)?;
    let of_stream = |stream| Ask {
        stream,
        mode: Some(Mode::Observe),
        message: args.message,
        undo: None,
        plan: None,
        plan_from: None,
    };
    let document = ask(&args.aws, &args.stream, of_stream).await?;
    show(&document, args.json)
}

/// Runs a person's ask about the stream that `text` names.
pub(super) async fn ask(
    aws: &AwsArgs,
    text: &str,
    of_stream: impl FnOnce(StreamArn) -> Ask,
) -> Result<Document, CliError> {
    let mut policy = config::policy()?;
    // The person who asks sees the answer here, so no message is sent.
    policy.topic_arn = None;
    let clients = Clients::new(&aws.config().await?);
    let stream = find_stream(&clients.kinesis, text).await?;
    let home = stream.home.clone();
    Ok(Handler::new(clients, policy).on(clock()).run(&Signal::Ask(of_stream(stream)), &home).await?.document)
}

/// Prints a decision.
pub(super) fn show(document: &Document, json: bool) -> Result<(), CliError> {
    if json { Ok(print_json(document)?) } else { Ok(print(&mut Console::new(false), document)?) }
}

/// What `unthrottle explain` prints on a screen of this width, in columns.
pub fn explained(document: &Document, width: usize) -> String {
    let (mut console, written) = Console::in_memory(width);
    // A write to memory cannot fail.
    let _ = print(&mut console, document);
    written.text()
}

/// The column of the values.
const VALUES: usize = 35;

fn print(console: &mut Console, document: &Document) -> std::io::Result<()> {
    console.heading(&document.sentence)?;
    let mut field = |name: &str, value: &str| console.field(name, VALUES, value);
    field("decision", &format!("{} ({})", document.code, document.outcome))?;
    if let Some(stream) = &document.stream {
        let known = |value: Option<&str>| value.unwrap_or("unknown").to_owned();
        field("mode", &known(stream.mode.as_deref()))?;
        field("status", &known(stream.status.as_deref()))?;
        field("open_shards", &known(stream.open_shards.map(|n| count(n.into())).as_deref()))?;
    }
    if let Some(because) = &document.opted_out_by {
        field("because", because)?;
    }
    for unknown in &document.unknown_tags {
        field("tag", &unknown.to_string())?;
    }
    for advice in &document.advice {
        field("advice", &format!("{}: {}", advice.code, advice.sentence))?;
    }
    for (name, value) in evidence(document) {
        field(&name, &value)?;
    }
    Ok(())
}

/// The evidence, each field with the name that the document uses.
pub(super) fn evidence(document: &Document) -> Vec<(String, String)> {
    let Ok(Value::Object(evidence)) = serde_json::to_value(&document.evidence) else { return vec![] };
    evidence.into_iter().map(|(name, value)| (name, in_words(&value))).collect()
}

/// A value of a document as a person reads it: numbers with their thousands apart, lists with commas, and no quotes.
pub(super) fn in_words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => match number.as_f64() {
            Some(whole) if whole.fract() == 0.0 && whole.abs() < 1e15 => {
                format!("{}{}", if whole < 0.0 { "-" } else { "" }, count(whole.abs()))
            }
            Some(real) if real >= 1000.0 => count(real.round()),
            Some(real) => ((real * 1000.0).round() / 1000.0).to_string(),
            None => number.to_string(),
        },
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        Value::Null => "unknown".into(),
        Value::Array(items) if items.is_empty() => "none".into(),
        Value::Array(items) => items.iter().map(in_words).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| format!("{name} {}", in_words(value))).collect::<Vec<_>>().join(", ")
        }
    }
}
