//! The AWS account that a command calls: a real one, or a local one.

use crate::CliError;
use crate::config;
use crate::endpoint::Endpoint;
use crate::nearest::nearest;
use crate::screen::{AccountOption, run_on};
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_kinesis::config::{Credentials, SharedCredentialsProvider};
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_types::os_shim_internal::{Env, Fs};
use std::sync::OnceLock;
use unthrottle::aws::Cause;
use unthrottle_core::denial::Denial;
use unthrottle_core::signal::Home;
use unthrottle_core::text::plain;
use unthrottle_lab::local::{Clock, Options};

/// The options that the AWS CLI has, too.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct AwsArgs {
    #[arg(long, value_name = "URL", help = "Call this endpoint, such as http://127.0.0.1:4566 of `unthrottle local`")]
    pub endpoint_url: Option<String>,
    /// Use this profile of ~/.aws
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// Use this region
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,
}

impl AwsArgs {
    /// Whether a person gave any of them.
    pub fn is_given(&self) -> bool {
        self.endpoint_url.is_some() || self.profile.is_some() || self.region.is_some()
    }

    /// The same, with values for what a person did not give.
    pub fn or(mut self, region: Option<String>, endpoint_url: Option<String>) -> AwsArgs {
        self.region = self.region.or(region);
        self.endpoint_url = self.endpoint_url.or(endpoint_url);
        self
    }

    /// The configuration of the account that they name. Printed commands get the same options.
    ///
    /// # Errors
    /// Bad usage: no region is set, the endpoint is no address, or the profile is unknown, with the nearest names.
    /// Nothing answers at the endpoint.
    pub async fn config(&self) -> Result<SdkConfig, CliError> {
        let file = config::aws();
        let source = |flag, given: &Option<String>, name, of_file: &Option<String>| {
            let given = given.clone().map(|value| (flag, value));
            given.or_else(|| variable(name).map(|value| (name, value))).or(of_file.clone().map(|value| (FILE, value)))
        };
        let profile = source("--profile", &self.profile, "AWS_PROFILE", &file.profile);
        if let Some((source, name)) = &profile {
            must_be_known(source, name).await?;
        }
        let url = source("--endpoint-url", &self.endpoint_url, "AWS_ENDPOINT_URL", &file.endpoint_url);
        let endpoint = url.map(|(source, url)| Endpoint::parse(source, &url)).transpose()?;
        let is_local = endpoint.as_ref().is_some_and(Endpoint::is_local);
        let mut loader = aws_config::defaults(BehaviorVersion::latest());
        // The SDK reads AWS_ENDPOINT_URL itself, and the endpoints of single services go before it.
        let given = self.endpoint_url.is_some() || variable("AWS_ENDPOINT_URL").is_none();
        if let Some(endpoint) = endpoint.as_ref().filter(|_| given) {
            loader = loader.endpoint_url(&endpoint.url);
        }
        if let Some(profile) = self.profile.as_ref().or(file.profile.as_ref()) {
            loader = loader.profile_name(profile);
        }
        let here = || Some(local_home().region).filter(|_| is_local && profile.is_none());
        let is_set = ["AWS_REGION", "AWS_DEFAULT_REGION"].iter().any(|name| variable(name).is_some());
        let region = self.region.clone().or(file.region.clone()).or_else(|| here().filter(|_| !is_set));
        if let Some(region) = &region {
            loader = loader.region(Region::new(region.clone()));
        }
        // A server on this machine needs none, and must not get real ones.
        let is_anyone = is_local && self.profile.is_none() && variable("AWS_ACCESS_KEY_ID").is_none();
        if is_anyone {
            loader = loader.credentials_provider(anyone());
        }
        let config = loader.load().await;
        must_be_region(config.region().map(Region::as_ref))?;
        if let Some(endpoint) = &endpoint {
            endpoint.must_answer().await?;
            if let Some(clock) = endpoint.clock().await {
                let _ = CLOCK.set(clock);
            }
        }
        let option = |flag, value: &Option<String>| {
            value.clone().map(|value| AccountOption { flag, value: Some(value), of_aws: false })
        };
        let unsigned = AccountOption { flag: "--no-sign-request", value: None, of_aws: true };
        let options = [
            option("--endpoint-url", &self.endpoint_url.clone().or(file.endpoint_url)),
            option("--profile", &self.profile.clone().or(file.profile)),
            option("--region", &region),
            Some(unsigned).filter(|_| is_anyone),
        ];
        run_on(options.into_iter().flatten().collect());
        Ok(config)
    }
}

/// The clock of the account that this process calls, where it is a local account.
static CLOCK: OnceLock<Clock> = OnceLock::new();

/// The clock of the account that this process calls: the machine's, or that of a local account, which may be faster.
pub(crate) fn clock() -> Clock {
    CLOCK.get().cloned().unwrap_or_default()
}

/// Whether this process calls a local account.
pub(crate) fn is_local_account() -> bool {
    CLOCK.get().is_some()
}

/// The source of a setting that is in the file of `unthrottle config`.
const FILE: &str = "unthrottle.toml";

/// A variable of the environment that is set to something.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Checks that a region can be a part of the name of a server. The SDK would name its own layers.
///
/// # Errors
/// It cannot, or there is none.
pub(crate) fn must_be_region(region: Option<&str>) -> Result<(), CliError> {
    const NONE: &str = "no region is set: give --region, or set AWS_REGION or one in the profile";
    let region = region.ok_or_else(|| CliError::Usage(NONE.into()))?;
    let is_label = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !region.is_empty() && region.chars().all(is_label) {
        return Ok(());
    }
    Err(CliError::Usage(format!(
        "the region `{}` is no name of a region. One has a name such as eu-west-1",
        plain(region, 40)
    )))
}

/// Checks that ~/.aws has the profile. The SDK would search for other credentials without a word.
///
/// # Errors
/// The files have no such profile. The error names the nearest.
async fn must_be_known(source: &str, name: &str) -> Result<(), CliError> {
    let files = aws_config::profile::load(&Fs::real(), &Env::real(), &Default::default(), None).await;
    let profiles = files.map_err(|error| CliError::Usage(format!("the profiles of ~/.aws cannot be read: {error}")))?;
    if profiles.get_profile(name).is_some() {
        return Ok(());
    }
    let near = nearest(name, profiles.profiles());
    let hint = match near.is_empty() {
        true => "It has no profiles".to_owned(),
        false => format!("The nearest: {}", near.join(", ")),
    };
    Err(CliError::Usage(format!("{source}: ~/.aws has no profile `{name}`. {hint}")))
}

/// The account and region of a local account with the default options. The sample events name the same.
pub(crate) fn local_home() -> Home {
    let Options { account, region, .. } = Options::default();
    Home { partition: "aws".into(), region, account }
}

/// A configuration for the local account at `url`. The environment does not change it.
pub fn local_config(url: &str) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(url)
        .region(Region::new(local_home().region))
        .credentials_provider(anyone())
        .build()
}

/// Credentials for a server that takes any.
fn anyone() -> SharedCredentialsProvider {
    SharedCredentialsProvider::new(Credentials::new("local", "local", None, None, "local"))
}

/// The answer of a call, or an error that names the call.
pub(crate) fn called<T, E>(call: &'static str, answer: Result<T, SdkError<E>>) -> Result<T, CliError>
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    answer.map_err(|error| refused(call, error))
}

/// The failure of a call, for the person who made it.
pub(crate) fn refused<E>(call: &'static str, error: SdkError<E>) -> CliError
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let message = error.message().unwrap_or_default();
    let denial = error.code().and_then(|code| Denial::of(code, message, &action(call)));
    let cause = Cause::of(error);
    match denial {
        Some(denial) => CliError::Partly(denied(&denial.action, &cause.to_string())),
        None => failed(call, cause),
    }
}

/// The IAM action of a call that a command makes. AWS's answer to a denied call mostly names it.
fn action(call: &str) -> String {
    let service = match call {
        "GetResources" => "tag",
        "GetMetricData" | "DescribeAlarmContributors" => "cloudwatch",
        "CreateSchedule" | "DeleteSchedule" | "GetSchedule" | "ListSchedules" => "scheduler",
        _ => "kinesis",
    };
    format!("{service}:{call}")
}

/// The actions of `unthrottle doctor --policy` that other commands need, too.
const OF_DOCTOR: [&str; 7] = [
    "cloudwatch:GetMetricData",
    "kinesis:DescribeLimits",
    "kinesis:DescribeStreamSummary",
    "kinesis:ListShards",
    "kinesis:ListStreams",
    "kinesis:ListTagsForResource",
    "tag:GetResources",
];

/// A denied call of a person: AWS's words, and what to allow.
pub(crate) fn denied(action: &str, why: &str) -> String {
    let why = why.trim_end_matches('.');
    let policy = match OF_DOCTOR.contains(&action) {
        true => "; `unthrottle doctor --policy` prints a policy of all reads",
        false => "",
    };
    format!("AWS denied {action}: {why}. Allow {action} to this principal{policy}")
}

/// What the SDK says before the reason why it has no credentials.
const NO_CREDENTIALS: [&str; 2] =
    ["an error occurred while loading credentials: ", "the credential provider was not enabled: "];

/// The failure of a call.
pub(crate) fn failed(call: &'static str, source: Cause) -> CliError {
    let text = source.to_string();
    let why = NO_CREDENTIALS.iter().find_map(|words| text.split_once(words));
    match why.and_then(|(_, why)| why.split(". Attempted").next()) {
        Some(why) => CliError::Usage(format!(
            "no credentials of AWS: give --profile, or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and \
             AWS_SECRET_ACCESS_KEY. For a profile of IAM Identity Center or of a credential process: eval \"$(aws \
             configure export-credentials --profile NAME --format env)\" ({why})"
        )),
        None => CliError::Aws { call, source },
    }
}
