//! The `aws_kinesis` output of a stream processor, as a YAML file.
//!
//! ```yaml
//! output:
//!   retry: {max_retries: 5, initial_wait: "2s", backoff: "exponential"}
//!   aws_kinesis:
//!     stream_name: "events"
//!     partition_key: "customer_id"
//! ```

mod document;
mod variables;

use crate::options::{Backoff, Batch, MAX_BATCH_BYTES, MAX_BATCH_SIZE, Retry};
use crate::record::MAX_KEY_CHARACTERS;
use document::{File, RetryText, Text};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// What a file configures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The stream's name or ARN.
    pub stream_name: String,
    /// A field of JSON records, or a literal key; `None`: a random key for each record.
    pub partition_key: Option<String>,
    /// The region; `None`: as every AWS tool finds it.
    pub region: Option<String>,
    /// The endpoint; `None`: as every AWS tool finds it.
    pub endpoint_url: Option<String>,
    /// The credentials; `None`: as every AWS tool finds them.
    pub credentials: Option<Credentials>,
    /// When a batch goes out.
    pub batch: Batch,
    /// Attempts and waits.
    pub retry: Retry,
    /// What is ignored or changed, each with its line.
    pub warnings: Vec<Problem>,
    /// The lines of the fields whose faults only a call can show: stream, region, endpoint and credentials.
    pub lines: BTreeMap<&'static str, u64>,
}

impl Config {
    /// The line and the full name of one of these fields; `None`: the file does not have it.
    pub fn place(&self, field: &str) -> Option<String> {
        self.lines.get(field).map(|line| format!("{line}: `{KINESIS}.{field}`"))
    }
}

/// Credentials of AWS.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The id of the access key.
    pub access_key_id: String,
    /// Its secret.
    pub secret_access_key: String,
    /// The token of temporary credentials.
    pub session_token: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

/// Something is wrong with a line of the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}: {text}")]
pub struct Problem {
    /// The line, from 1.
    pub line: u64,
    /// The field, what is wrong, and what would be right.
    pub text: String,
}

fn problem(line: u64, text: impl Into<String>) -> Problem {
    Problem { line, text: text.into() }
}

/// Reads a configuration. `variable`: the value of an environment variable, for `${NAME}` in values.
///
/// # Errors
/// The text is no YAML, a key is unknown, or a value cannot be used.
pub fn parse(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<Config, Problem> {
    let mut file: File = document::read(text)?;
    let mut reader = Reader { variable, warnings: vec![] };
    for (name, section) in [
        ("input", &file.input),
        ("pipeline", &file.pipeline),
        ("processors", &file.processors),
        ("output.processors", &file.output.processors),
    ] {
        if let Some(section) = section {
            let what = "is ignored: records come from files or standard input, and go out as they are";
            reader.warnings.push(problem(section.referenced.line(), format!("`{name}` {what}")));
        }
    }
    let kinesis = &mut file.output.aws_kinesis;
    let retries = [("retry", file.retry), ("output.retry", file.output.retry), (INSIDE, kinesis.retry.take())];
    let mut retries = retries.into_iter().filter_map(|(name, retry)| Some((name, retry?)));
    let retry = match (retries.next(), retries.next()) {
        (Some((first, _)), Some((second, retry))) => {
            let text = format!("`{second}` and `{first}` are both given: give one");
            return Err(problem(retry.referenced.line(), text));
        }
        (Some((name, retry)), None) => reader.retry(name, retry.value)?,
        (None, _) => Retry::default(),
    };
    let stream_name = reader.text(&format!("{KINESIS}.stream_name"), &kinesis.stream_name)?;
    let optional = |reader: &Reader<'_>, name: &str, text: &Option<Text>| {
        text.as_ref().map(|text| reader.text(&format!("{KINESIS}.{name}"), text)).transpose()
    };
    let partition_key = optional(&reader, "partition_key", &kinesis.partition_key)?;
    if let (Some(key), Some(text)) = (&partition_key, &kinesis.partition_key)
        && key.chars().count() > MAX_KEY_CHARACTERS
    {
        let most = format!("`{KINESIS}.partition_key` has more than {MAX_KEY_CHARACTERS} characters");
        return Err(problem(text.referenced.line(), most));
    }
    let region = optional(&reader, "region", &kinesis.region)?;
    let endpoint_url = optional(&reader, "endpoint_url", &kinesis.endpoint_url)?;
    if let (Some(url), Some(text)) = (&endpoint_url, &kinesis.endpoint_url)
        && !(url.starts_with("http://") || url.starts_with("https://"))
    {
        let text =
            problem(text.referenced.line(), format!("`{KINESIS}.endpoint_url` is `{url}`: give http://… or https://…"));
        return Err(text);
    }
    let lines = kinesis.lines();
    let credentials = kinesis.credentials.take().map(|given| reader.credentials(given)).transpose()?;
    let batch = reader.batch(kinesis.batch.take().unwrap_or_default())?;
    let warnings = reader.warnings;
    Ok(Config { stream_name, partition_key, region, endpoint_url, credentials, batch, retry, warnings, lines })
}

const KINESIS: &str = "output.aws_kinesis";
const INSIDE: &str = "output.aws_kinesis.retry";

/// A duration in words, such as `500ms`, `5s` or `1m 30s`.
///
/// # Errors
/// The text is none.
pub fn duration(text: &str) -> Result<Duration, String> {
    let bad = |why| format!("`{text}` is no duration ({why}): give a number with a unit, such as 500ms, 5s or 1m30s");
    let duration = humantime::parse_duration(text.trim()).map_err(|error| bad(in_words(&error)))?;
    // The clock of the machine ends some time after.
    if duration > LONGEST { Err(bad("it is longer than a year".into())) } else { Ok(duration) }
}

/// What is wrong with a duration, for a person.
fn in_words(error: &humantime::DurationError) -> String {
    use humantime::DurationError::{Empty, InvalidCharacter, NumberExpected, NumberOverflow, UnknownUnit};
    match error {
        Empty => "it is empty".into(),
        NumberExpected(0) => "it does not begin with a number".into(),
        NumberExpected(_) => "a number is missing before a unit".into(),
        InvalidCharacter(_) => "it has a character that is of no number and of no unit".into(),
        UnknownUnit { unit, .. } if unit.is_empty() => "the unit is missing".into(),
        UnknownUnit { unit, .. } => format!("`{unit}` is no unit"),
        NumberOverflow => "the number is too large, or has too many digits after the point".into(),
    }
}

/// The longest duration of an option.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

struct Reader<'a> {
    variable: &'a dyn Fn(&str) -> Option<String>,
    warnings: Vec<Problem>,
}

impl Reader<'_> {
    /// The value of a field, with its variables.
    fn text(&self, name: &str, text: &Text) -> Result<String, Problem> {
        let bad = |why: String| problem(text.referenced.line(), format!("`{name}`: {why}"));
        let value = variables::replace(&text.value, self.variable).map_err(bad)?;
        if value.trim().is_empty() { Err(bad("is empty".into())) } else { Ok(value) }
    }

    /// The value of a field as something else.
    fn value<T>(&self, name: &str, text: &Text, of: impl Fn(&str) -> Result<T, String>) -> Result<T, Problem> {
        let value = self.text(name, text)?;
        of(&value).map_err(|why| problem(text.referenced.line(), format!("`{name}`: {why}")))
    }

    /// A number from 1 to `most`. A larger one becomes `most`, with a warning.
    fn capped(&mut self, name: &str, text: &Text, most: usize) -> Result<usize, Problem> {
        let number = self.value(name, text, |value| number(value, 1_u64))?;
        if number > most as u64 {
            let why = format!("`{name}` is {number}; AWS takes at most {most} in a request, so it is {most}");
            self.warnings.push(problem(text.referenced.line(), why));
        }
        Ok(number.min(most as u64) as usize)
    }

    fn batch(&mut self, given: document::BatchText) -> Result<Batch, Problem> {
        let mut batch = Batch::default();
        if let Some(size) = &given.size {
            batch.size = self.capped(&format!("{KINESIS}.batch.size"), size, MAX_BATCH_SIZE)?;
        }
        if let Some(text) = &given.duration {
            batch.duration = self.value(&format!("{KINESIS}.batch.duration"), text, duration)?;
        }
        if let Some(bytes) = &given.max_batch_bytes {
            batch.max_bytes = self.capped(&format!("{KINESIS}.batch.max_batch_bytes"), bytes, MAX_BATCH_BYTES)?;
        }
        Ok(batch)
    }

    fn retry(&self, within: &str, given: RetryText) -> Result<Retry, Problem> {
        let mut retry = Retry::default();
        let name = |field: &str| format!("{within}.{field}");
        if let Some(text) = &given.max_retries {
            retry.max_retries = self.value(&name("max_retries"), text, |value| number(value, 0_u32))?;
        }
        if let Some(text) = &given.initial_wait {
            retry.initial_wait = self.value(&name("initial_wait"), text, duration)?;
        }
        if let Some(text) = &given.max_wait {
            retry.max_wait = self.value(&name("max_wait"), text, duration)?;
        }
        if let Some(text) = &given.backoff {
            retry.backoff = self.value(&name("backoff"), text, str::parse)?;
        }
        Ok(retry)
    }

    fn credentials(&self, given: document::Spanned<document::CredentialsText>) -> Result<Credentials, Problem> {
        let line = given.referenced.line();
        let within = format!("{KINESIS}.credentials");
        let read = |name: &str, text: &Option<Text>| {
            text.as_ref().map(|text| self.text(&format!("{within}.{name}"), text)).transpose()
        };
        let needed = |name: &str, text: &Option<Text>| {
            read(name, text)?.ok_or_else(|| problem(line, format!("`{within}` needs `{name}`")))
        };
        Ok(Credentials {
            access_key_id: needed("access_key_id", &given.value.access_key_id)?,
            secret_access_key: needed("secret_access_key", &given.value.secret_access_key)?,
            session_token: read("session_token", &given.value.session_token)?,
        })
    }
}

fn number<T: FromStr + PartialOrd + fmt::Display>(text: &str, least: T) -> Result<T, String> {
    let number = text.trim().parse().ok().filter(|number| *number >= least);
    number.ok_or_else(|| format!("`{text}` must be a whole number from {least} on"))
}

impl FromStr for Backoff {
    type Err = String;

    fn from_str(text: &str) -> Result<Backoff, String> {
        match text {
            "constant" => Ok(Backoff::Constant),
            "linear" => Ok(Backoff::Linear),
            "exponential" => Ok(Backoff::Exponential),
            _ => Err(format!("`{text}` must be constant, linear or exponential")),
        }
    }
}

#[cfg(test)]
mod tests;
