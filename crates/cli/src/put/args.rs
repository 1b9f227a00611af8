//! The arguments of `unthrottle put`, together with those of a file.

use super::stream::{OfFile, named};
use crate::aws::{AwsArgs, must_be_region};
use crate::endpoint::Endpoint;
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
    pub of_file: OfFile,
    pub dead_letter: Option<PathBuf>,
    pub is_json: bool,
    pub warnings: Vec<String>,
}

impl Args {
    /// The plan of the command line and of the file that it names.
    ///
    /// # Errors
    /// The stream is missing, or the file cannot be used.
    pub(super) fn plan(mut self) -> Result<Plan, CliError> {
        let words = std::mem::take(&mut self.words);
        let (stream, files) = match (&self.config, words.split_first()) {
            (Some(_), _) => (self.stream.clone(), &words[..]),
            (None, Some((stream, files))) => (Some(stream.clone()), files),
            (None, None) => {
                let missing = "name the stream: `unthrottle put STREAM [FILE]...`, or give --config FILE";
                return Err(CliError::Usage(missing.into()));
            }
        };
        let files: Vec<PathBuf> =
            if files.is_empty() { vec!["-".into()] } else { files.iter().map(Into::into).collect() };
        let config = self.config.as_deref().map(|path| config_of(path, &files)).transpose()?.unwrap_or_default();
        let of_file = self.of_file(&config)?;
        let options = self.options(&config);
        let name = self.config.as_deref().map(name_of).unwrap_or_default();
        let mut warnings: Vec<String> = config.warnings.iter().map(|warning| format!("{name}:{warning}")).collect();
        let profile = self.aws.profile.as_ref().filter(|_| config.credentials.is_some());
        if let (Some(profile), Some(place)) = (profile, config.place("credentials")) {
            warnings.push(format!("{name}:{place} is ignored, as --profile {profile} is given"));
        }
        let is_overridden = profile.is_some();
        let partition_key = self.partition_key.or(config.partition_key);
        if let Some(key) = &partition_key
            && !(1..=MAX_KEY_CHARACTERS).contains(&key.chars().count())
        {
            return Err(CliError::Usage(format!("--partition-key needs 1 to {MAX_KEY_CHARACTERS} characters")));
        }
        Ok(Plan {
            stream: stream.unwrap_or(config.stream_name),
            is_other_stream: self.stream.is_some(),
            files,
            form: if self.base64 { Form::Base64 } else { Form::Raw },
            rule: partition_key.map_or(KeyRule::Random, KeyRule::FieldOrLiteral),
            options,
            config: self.config,
            aws: self.aws.or(config.region, config.endpoint_url),
            credentials: config.credentials.filter(|_| !is_overridden),
            of_file,
            dead_letter: self.dead_letter,
            is_json: self.json,
            warnings,
        })
    }

    /// The options of the command line, and those of the file where it has none.
    fn options(&self, config: &Config) -> Options {
        let (mut batch, mut retry) = (config.batch.clone(), config.retry.clone());
        batch.size = self.batch_size.map_or(batch.size, |size| size as usize);
        batch.max_bytes = self.max_batch_bytes.map_or(batch.max_bytes, |bytes| bytes as usize);
        batch.duration = self.batch_duration.unwrap_or(batch.duration);
        retry.max_retries = self.max_retries.unwrap_or(retry.max_retries);
        retry.initial_wait = self.initial_wait.unwrap_or(retry.initial_wait);
        retry.max_wait = self.max_wait.unwrap_or(retry.max_wait);
        retry.backoff = self.backoff.unwrap_or(retry.backoff);
        let (ttl, is_ordered, aggregates) = (self.ttl, self.ordered, self.aggregate);
        Options { batch, retry, ttl, is_ordered, aggregates, ..Options::default() }
    }

    /// The values of the file that the command line does not override.
    ///
    /// # Errors
    /// One of them can be no name or no address.
    fn of_file(&self, config: &Config) -> Result<OfFile, CliError> {
        let Some(path) = &self.config else { return Ok(OfFile::default()) };
        let place = |field: &str, is_overridden: bool| {
            config.place(field).filter(|_| !is_overridden).map(|place| format!("{}:{place}", name_of(path)))
        };
        let of_file = OfFile {
            stream: place("stream_name", self.stream.is_some()),
            region: place("region", self.aws.region.is_some()),
            endpoint: place("endpoint_url", self.aws.endpoint_url.is_some()),
            credentials: place("credentials", self.aws.profile.is_some()),
        };
        if of_file.stream.is_some() {
            named(&config.stream_name, "").map_err(|error| OfFile::caused(&of_file.stream, error))?;
        }
        if of_file.region.is_some() {
            must_be_region(config.region.as_deref()).map_err(|error| OfFile::caused(&of_file.region, error))?;
        }
        if let (Some(place), Some(url)) = (&of_file.endpoint, &config.endpoint_url) {
            Endpoint::parse(place, url)?;
        }
        Ok(of_file)
    }
}

/// The configuration in a file. `files`: the records.
fn config_of(path: &Path, files: &[PathBuf]) -> Result<Config, CliError> {
    if files::is_stdin(path) && files.iter().any(|file| files::is_stdin(file)) {
        let twice = "standard input (-) can be read only once: --config reads the options from it, so name the files \
                     of the records";
        return Err(CliError::Usage(twice.into()));
    }
    read(path)
}

/// The file in a message.
fn name_of(path: &Path) -> String {
    files::name(path).display().to_string()
}

fn read(path: &Path) -> Result<Config, CliError> {
    let text = files::read(path, files::MOST_JSON)?;
    let variable = |name: &str| std::env::var(name).ok();
    config::parse(&text, &variable).map_err(|problem| CliError::Line {
        path: files::name(path),
        line: problem.line,
        problem: problem.text,
    })
}
