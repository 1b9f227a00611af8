//! The keys of the file, and the line of each value.

use super::{Problem, problem};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_saphyr::{Error, MessageFormatter, UserMessageFormatter};
use std::collections::BTreeMap;

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

impl Kinesis {
    /// The lines of the fields that say where the stream is, and who writes.
    pub fn lines(&self) -> BTreeMap<&'static str, u64> {
        let line = |text: &Text| text.referenced.line();
        let lines = [
            ("stream_name", Some(line(&self.stream_name))),
            ("region", self.region.as_ref().map(line)),
            ("endpoint_url", self.endpoint_url.as_ref().map(line)),
            ("credentials", self.credentials.as_ref().map(|given| given.referenced.line())),
        ];
        lines.into_iter().filter_map(|(name, line)| Some((name, line?))).collect()
    }
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
        let place = error.location().map_or((1, 1), |location| (location.line(), location.column()));
        let said = match error.without_snippet() {
            Error::Eof { .. } if text.trim().is_empty() => "the file is empty".into(),
            Error::Unexpected { expected: "mapping start", .. } => {
                format!("{} must be a section: lines of `name: value`, indented below it", name_before(text, place))
            }
            Error::Unexpected { expected: "string scalar", .. } => {
                format!("{} must be a single value, not a list or a section", name_before(text, place))
            }
            error => UserMessageFormatter.format_message(error).into_owned(),
        };
        // The text has names of the file, which a terminal might take as commands.
        problem(place.0, said.replace(char::is_control, " "))
    })
}

/// The last name before a place of the file: that of the value there. `place`: line and column, from 1.
fn name_before(text: &str, (line, column): (u64, u64)) -> String {
    let lines: Vec<&str> = text.lines().take(usize::try_from(line).unwrap_or(usize::MAX)).collect();
    let (here, before) = lines.split_last().map_or(("", &[][..]), |(here, before)| (*here, before));
    // A name without a value is a place before the name.
    let column = if here.trim_end().ends_with(':') { u64::MAX } else { column };
    let here: String = here.chars().take(usize::try_from(column.saturating_sub(1)).unwrap_or(usize::MAX)).collect();
    let name = |part: &str| {
        let (before, _) = part.rsplit_once(':')?;
        let name = before.rsplit([' ', ',', '{', '[', '"', '\'']).find(|word| !word.is_empty())?;
        Some(format!("`{name}`"))
    };
    name(&here).or_else(|| before.iter().rev().find_map(|line| name(line))).unwrap_or_else(|| "the file".into())
}
