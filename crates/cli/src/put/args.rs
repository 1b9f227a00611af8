//! The arguments of `unthrottle put`, together with those of a file.

use crate::aws::AwsArgs;
use crate::{CliError, files};
use std::path::{Path, PathBuf};
use std::time::Duration;
use unthrottle_writer::config::{self, Config, Credentials};
use unthrottle_writer::{Backoff, Form, KeyRule, MAX_BATCH_BYTES, MAX_BATCH_SIZE, MAX_KEY_CHARACTERS, Options};

#[derive(clap::Args)]
#[command(
    next_line_help = true,
    override_usage = "unthrottle put [OPTIONS] STREAM [FILE]...\n       \
                      unthrottle put [OPTIONS] --config FILE [FILE]..."
)]
pub(crate) struct Args {
    /// The stream's name or ARN, unless --config names it. Then files; without one, or with -, standard input
    #[arg(value_name = "STREAM] [FILE")]
    words: Vec<String>,
    #[arg(
        long,
        value_name = "FILE",
        help = "Read the `aws_kinesis` output of a stream processor from this YAML file. \
        Options of the command line override it"
    )]
    config: Option<PathBuf>,
    /// With --config: write to this stream instead
    #[arg(long, value_name = "STREAM", requires = "config")]
    stream: Option<String>,
    #[arg(
        long,
        value_name = "TEXT",
        help = "The partition key: the value of this field of a JSON record, or this text \
        itself where a record has no such field [default: a random key for each record]"
    )]
    partition_key: Option<String>,
    /// Each line is base64: write the bytes that it stands for
    #[arg(long)]
    base64: bool,
    #[arg(
        long,
        help = "Keep the order of records with the same key: each key has one record on its \
        way. After a loss, the later records of that key are lost, too"
    )]
    ordered: bool,
    #[arg(
        long,
        conflicts_with = "ordered",
        help = "Put small records together, in the format of the Kinesis Producer Library \
                (KPL). Consumers must take them apart, as the Kinesis Client Library \
                does. Needs kinesis:ListShards"
    )]
    aggregate: bool,
    /// Write lost records to this file. `unthrottle put STREAM FILE` sends them again
    #[arg(long, value_name = "FILE")]
    dead_letter: Option<PathBuf>,
    /// A record that is not accepted this long after its first attempt is lost
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = config::duration)]
    ttl: Duration,
    /// Attempts after the first [default: 3]
    #[arg(long, value_name = "N")]
    max_retries: Option<u32>,
    /// The longest wait before the first retry [default: 1s]
    #[arg(long, value_name = "DURATION", value_parser = config::duration)]
    initial_wait: Option<Duration>,
    /// The longest wait before any retry [default: 30s]
    #[arg(long, value_name = "DURATION", value_parser = config::duration)]
    max_wait: Option<Duration>,
    /// How the waits grow: constant, linear or exponential [default: exponential]
    #[arg(long, value_name = "WORD", value_parser = str::parse::<Backoff>)]
    backoff: Option<Backoff>,
    /// The most records of a request, 1 to 500 [default: 500]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=MAX_BATCH_SIZE as u64))]
    batch_size: Option<u64>,
    /// The longest time that a record waits for others [default: 5s]
    #[arg(long, value_name = "DURATION", value_parser = config::duration)]
    batch_duration: Option<Duration>,
    /// The most bytes of data and keys in a request [default: 5242880]
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(1..=MAX_BATCH_BYTES as u64))]
    max_batch_bytes: Option<u64>,
    #[command(flatten)]
    aws: AwsArgs,
    /// Print the counts as JSON: a line a second, and the summary as the last line
    #[arg(long)]
    json: bool,
}

/// What the command is to do.
pub(super) struct Plan {
    pub stream: String,
    /// The file of the output.
    pub config: Option<PathBuf>,
    /// Whether the stream is another one than that of the file.
    pub is_other_stream: bool,
    /// Files; `-`: standard input.
    pub files: Vec<PathBuf>,
    pub form: Form,
    pub rule: KeyRule,
    pub options: Options,
    pub aws: AwsArgs,
    pub credentials: Option<Credentials>,
    pub dead_letter: Option<PathBuf>,
    pub is_json: bool,
    pub warnings: Vec<String>,
}

impl Args {
    /// The plan of the command line and of the file that it names.
    ///
    /// # Errors
    /// The stream is missing, or the file cannot be used.
    pub(super) fn plan(self) -> Result<Plan, CliError> {
        let (mut words, path) = (self.words.into_iter(), self.config.as_deref());
        let is_other_stream = self.stream.is_some();
        let (config, stream) = match path {
            Some(path) => {
                let config = read(path)?;
                let stream = self.stream.unwrap_or_else(|| config.stream_name.clone());
                (config, stream)
            }
            None => {
                let missing = "name the stream: `unthrottle put STREAM [FILE]...`, or give --config FILE";
                let stream = words.next().ok_or_else(|| CliError::Usage(missing.into()))?;
                (Config::default(), stream)
            }
        };
        let name = path.map(|path| path.display().to_string()).unwrap_or_default();
        let partition_key = self.partition_key.or(config.partition_key);
        if let Some(key) = &partition_key
            && !(1..=MAX_KEY_CHARACTERS).contains(&key.chars().count())
        {
            return Err(CliError::Usage(format!("--partition-key needs 1 to {MAX_KEY_CHARACTERS} characters")));
        }
        let (mut batch, mut retry) = (config.batch, config.retry);
        batch.size = self.batch_size.map_or(batch.size, |size| size as usize);
        batch.max_bytes = self.max_batch_bytes.map_or(batch.max_bytes, |bytes| bytes as usize);
        batch.duration = self.batch_duration.unwrap_or(batch.duration);
        retry.max_retries = self.max_retries.unwrap_or(retry.max_retries);
        retry.initial_wait = self.initial_wait.unwrap_or(retry.initial_wait);
        retry.max_wait = self.max_wait.unwrap_or(retry.max_wait);
        retry.backoff = self.backoff.unwrap_or(retry.backoff);
        let mut files: Vec<PathBuf> = words.map(PathBuf::from).collect();
        if files.is_empty() {
            files.push("-".into());
        }
        Ok(Plan {
            stream,
            is_other_stream,
            files,
            form: if self.base64 { Form::Base64 } else { Form::Raw },
            rule: partition_key.map_or(KeyRule::Random, KeyRule::FieldOrLiteral),
            options: Options {
                batch,
                retry,
                ttl: self.ttl,
                is_ordered: self.ordered,
                aggregates: self.aggregate,
                ..Options::default()
            },
            config: self.config,
            aws: self.aws.or(config.region, config.endpoint_url),
            credentials: config.credentials,
            dead_letter: self.dead_letter,
            is_json: self.json,
            warnings: config.warnings.into_iter().map(|warning| format!("{name}:{warning}")).collect(),
        })
    }
}

fn read(path: &Path) -> Result<Config, CliError> {
    let text = files::read(path, files::MOST_JSON)?;
    let variable = |name: &str| std::env::var(name).ok();
    config::parse(&text, &variable).map_err(|problem| CliError::Line {
        path: path.to_owned(),
        line: problem.line,
        problem: problem.text,
    })
}
