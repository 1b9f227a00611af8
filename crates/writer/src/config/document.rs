//! The keys of the file, and the line of each value.

use super::{Problem, problem};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_saphyr::{DefaultMessageFormatter, MessageFormatter};

pub(super) use serde_saphyr::Spanned;

/// A value as it stands in the file.
pub(super) type Text = Spanned<String>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub input: Option<Spanned<IgnoredAny>>,
    pub pipeline: Option<Spanned<IgnoredAny>>,
    pub processors: Option<Spanned<IgnoredAny>>,
    pub retry: Option<Spanned<RetryText>>,
    pub output: Output,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Output {
    pub processors: Option<Spanned<IgnoredAny>>,
    pub retry: Option<Spanned<RetryText>>,
    pub aws_kinesis: Kinesis,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kinesis {
    pub stream_name: Text,
    pub partition_key: Option<Text>,
    pub region: Option<Text>,
    pub endpoint_url: Option<Text>,
    pub credentials: Option<Spanned<CredentialsText>>,
    pub batch: Option<BatchText>,
    pub retry: Option<Spanned<RetryText>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CredentialsText {
    pub access_key_id: Option<Text>,
    pub secret_access_key: Option<Text>,
    pub session_token: Option<Text>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BatchText {
    pub size: Option<Text>,
    pub duration: Option<Text>,
    pub max_batch_bytes: Option<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RetryText {
    pub max_retries: Option<Text>,
    pub initial_wait: Option<Text>,
    pub max_wait: Option<Text>,
    pub backoff: Option<Text>,
}

/// Reads YAML. An error has its line.
pub(super) fn read<T: DeserializeOwned>(text: &str) -> Result<T, Problem> {
    serde_saphyr::from_str(text).map_err(|error| {
        let line = error.location().map_or(1, |location| location.line());
        let text = DefaultMessageFormatter.format_message(error.without_snippet());
        // The text has names of the file, which a terminal might take as commands.
        problem(line, text.replace(char::is_control, " "))
    })
}
