//! The AWS account that a command calls: a real one, or a local one.

use crate::CliError;
use crate::config;
use crate::nearest::nearest;
use aws_config::profile::load;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_kinesis::config::{Credentials, SharedCredentialsProvider};
use aws_sdk_kinesis::error::SdkError;
use aws_sdk_kinesis::operation::describe_stream_summary::DescribeStreamSummaryError;
use unthrottle::aws::{Cause, Clients};
use unthrottle_core::signal::{Home, StreamArn};
use unthrottle_lab::local::Options;

/// The options that the AWS CLI has, too.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct AwsArgs {
    #[arg(long, value_name = "URL", help = "Call this endpoint, such as http://127.0.0.1:4566 of\n`unthrottle local`")]
    endpoint_url: Option<String>,
    /// Use this profile of ~/.aws
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Use this region
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
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

    /// The configuration of the account that they name.
    ///
    /// # Errors
    /// Bad usage if no region is set, or if the profile does not exist: with the nearest names.
    pub async fn config(&self) -> Result<SdkConfig, CliError> {
        let file = config::aws();
        let mut loader = aws_config::defaults(BehaviorVersion::latest());
        if let Some(url) = self.endpoint_url.as_ref().or(file.endpoint_url.as_ref()) {
            loader = loader.endpoint_url(url);
        }
        if let Some(profile) = self.profile.as_ref().or(file.profile.as_ref()) {
            find_profile(profile).await?;
            loader = loader.profile_name(profile);
        }
        if let Some(region) = self.region.as_ref().or(file.region.as_ref()) {
            loader = loader.region(Region::new(region.clone()));
        }
        let config = loader.load().await;
        if config.region().is_none() {
            return Err(CliError::Usage(
                "no region is set: give --region, or set AWS_REGION or one in the profile".into(),
            ));
        }
        Ok(config)
    }
}

/// Fails if neither ~/.aws/config nor ~/.aws/credentials has the profile. Without this, the SDK would only find no
/// credentials.
async fn find_profile(name: &str) -> Result<(), CliError> {
    // The defaults are the files, the environment and the paths of the machine.
    let profiles = load(&Default::default(), &Default::default(), &Default::default(), None).await;
    let profiles = profiles.map_err(|e| CliError::Usage(format!("~/.aws cannot be read: {}", Cause::of(e))))?;
    if profiles.get_profile(name).is_some() {
        return Ok(());
    }
    let near = nearest(name, profiles.profiles());
    let hint = match near.is_empty() {
        true => "There are no profiles".to_owned(),
        false => format!("The nearest: {}", near.join(", ")),
    };
    Err(CliError::Usage(format!("there is no profile `{name}` in ~/.aws. {hint}")))
}

/// The account and region of a local account with the default options. The sample events name the same.
pub(crate) fn local_home() -> Home {
    let Options { account, region, .. } = Options::default();
    Home { partition: "aws".into(), region, account }
}

/// A configuration for the local account at `url`. The environment does not change it.
pub fn local_config(url: &str) -> SdkConfig {
    let credentials = Credentials::new("local", "local", None, None, "local");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(url)
        .region(Region::new(local_home().region))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build()
}

/// The answer of a call, or an error that names the call.
pub(crate) fn called<T, E>(call: &'static str, answer: Result<T, E>) -> Result<T, CliError>
where
    E: std::error::Error + Send + Sync + 'static,
{
    answer.map_err(|error| CliError::Aws { call, source: Cause::of(error) })
}

/// Asks AWS for the stream that `text` names in the account of `clients`.
///
/// # Errors
/// Bad usage if `text` cannot name a stream of this region. AWS's answer if there is no such stream.
pub(crate) async fn find_stream(clients: &Clients, text: &str) -> Result<StreamArn, CliError> {
    called("DescribeStreamSummary", look_up(&clients.kinesis, text).await?)
}

/// Asks AWS for the stream that `text` names in the account of the client. The inner error is AWS's answer.
///
/// # Errors
/// Bad usage if `text` cannot name a stream of this region.
pub(crate) async fn look_up(
    kinesis: &aws_sdk_kinesis::Client,
    text: &str,
) -> Result<Result<StreamArn, SdkError<DescribeStreamSummaryError>>, CliError> {
    let bad = || CliError::Usage(format!("`{text}` is not the name or the ARN of a Kinesis data stream"));
    let region = kinesis.config().region().map(|r| r.to_string()).unwrap_or_default();
    let anywhere = Home { partition: String::new(), region: region.clone(), account: String::new() };
    let asked = StreamArn::of_name_or_arn(text, &anywhere).ok_or_else(bad)?;
    if asked.home.region != region {
        let of = &asked.home.region;
        return Err(CliError::Usage(format!(
            "`{text}` is of region {of}, and the region set is {region}: give --region {of}"
        )));
    }
    let call = kinesis.describe_stream_summary();
    let call = if text.starts_with("arn:") { call.stream_arn(text) } else { call.stream_name(text) };
    let answer = match call.send().await {
        Ok(answer) => answer,
        Err(error) => return Ok(Err(error)),
    };
    let arn = answer.stream_description_summary().map(|s| s.stream_arn().to_owned()).unwrap_or_default();
    let arn =
        StreamArn::parse(&arn).ok_or_else(|| CliError::Late(format!("AWS gave `{arn}` as the ARN of `{text}`")))?;
    Ok(Ok(arn))
}
