//! `unthrottle explain`.

use super::CliError;
use super::aws::{AwsArgs, find_stream};
use super::console::{Console, print_json};
use serde_json::Value;
use unthrottle::aws::Clients;
use unthrottle::handler::Handler;
use unthrottle::settings;
use unthrottle_core::policy::Mode;
use unthrottle_core::report::Document;
use unthrottle_core::signal::{Ask, Signal, StreamArn};

#[derive(clap::Args)]
pub(super) struct Args {
    /// The stream's name or ARN
    stream: String,
    /// What a producer was told, such as "Rate exceeded for shard shardId-000000000003 in stream orders …"
    #[arg(long, value_name = "TEXT")]
    message: Option<String>,
    #[command(flatten)]
    aws: AwsArgs,
    /// Print the decision document
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args) -> Result<(), CliError> {
    let of_stream = |stream| Ask { stream, mode: Some(Mode::Observe), message: args.message, undo: None };
    ask(&args.aws, &args.stream, of_stream, args.json).await.map(|_| ())
}

/// What a person asks about the stream that `text` names: decided, printed, and given.
pub(super) async fn ask(
    aws: &AwsArgs,
    text: &str,
    of_stream: impl FnOnce(StreamArn) -> Ask,
    json: bool,
) -> Result<Document, CliError> {
    let mut policy = settings::read()?;
    // Nobody is told of what a person asks for himself.
    policy.topic_arn = None;
    let clients = Clients::new(&aws.config().await?);
    let stream = find_stream(&clients, text).await?;
    let home = stream.home.clone();
    let document = Handler::new(clients, policy).run(&Signal::Ask(of_stream(stream)), &home).await?.document;
    if json {
        print_json(&document)?
    } else {
        print(&document)?
    };
    Ok(document)
}

fn print(document: &Document) -> Result<(), CliError> {
    let mut console = Console::new(false);
    console.heading(&document.sentence)?;
    console.step(&format!("{:<34} {} ({})", "decision", document.code, document.outcome))?;
    if let Some(stream) = &document.stream {
        let known = |value: Option<&str>| value.unwrap_or("unknown").to_owned();
        console.step(&format!("{:<34} {}", "mode", known(stream.mode.as_deref())))?;
        console.step(&format!("{:<34} {}", "status", known(stream.status.as_deref())))?;
        let shards = stream.open_shards.map(|n| n.to_string());
        console.step(&format!("{:<34} {}", "open_shards", known(shards.as_deref())))?;
    }
    for (name, value) in evidence(document) {
        console.step(&format!("{name:<34} {value}"))?;
    }
    Ok(())
}

/// The evidence in the words of the document.
fn evidence(document: &Document) -> Vec<(String, String)> {
    let Ok(Value::Object(evidence)) = serde_json::to_value(&document.evidence) else { return vec![] };
    let text = |value: Value| match value {
        Value::String(text) => text,
        Value::Number(n) => n.as_f64().map_or_else(|| n.to_string(), |f| ((f * 1000.0).round() / 1000.0).to_string()),
        other => other.to_string(),
    };
    evidence.into_iter().map(|(name, value)| (name, text(value))).collect()
}
