//! Which AWS account a command speaks to.

use super::CliError;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use unthrottle::aws::Cause;
use unthrottle::aws::Clients;
use unthrottle_core::signal::{Home, StreamArn};

/// The options that the AWS CLI has.
#[derive(clap::Args, Clone, Debug, Default)]
pub(super) struct AwsArgs {
    /// Speak to this endpoint, such as http://127.0.0.1:4566 for `unthrottle local`
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,
    /// Use this profile of ~/.aws
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Use this region
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
}

impl AwsArgs {
    /// Whether any of them was given.
    pub fn is_given(&self) -> bool {
        self.endpoint_url.is_some() || self.profile.is_some() || self.region.is_some()
    }

    /// The account that they mean.
    pub async fn config(&self) -> Result<SdkConfig, CliError> {
        let mut loader = aws_config::defaults(BehaviorVersion::latest());
        if let Some(url) = &self.endpoint_url {
            loader = loader.endpoint_url(url);
        }
        if let Some(profile) = &self.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(region) = &self.region {
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

/// The stream that `text` names in the account of `clients`: AWS is asked for the ARN that belongs to a name.
///
/// # Errors
/// Bad usage for what can't be a stream of this region; AWS's answer, when there is no such stream.
pub(super) async fn find_stream(clients: &Clients, text: &str) -> Result<StreamArn, CliError> {
    let bad = || CliError::Usage(format!("`{text}` is not the name or the ARN of a Kinesis data stream"));
    let region = clients.kinesis.config().region().map(|r| r.to_string()).unwrap_or_default();
    let anywhere = Home { partition: String::new(), region: region.clone(), account: String::new() };
    let asked = StreamArn::of_name_or_arn(text, &anywhere).ok_or_else(bad)?;
    if asked.home.region != region {
        let of = &asked.home.region;
        return Err(CliError::Usage(format!(
            "`{text}` is of region {of}, and the region set is {region}: give --region {of}"
        )));
    }
    let call = clients.kinesis.describe_stream_summary();
    let call = if text.starts_with("arn:") { call.stream_arn(text) } else { call.stream_name(text) };
    let answer = call.send().await;
    let answer = answer.map_err(|e| CliError::Aws { call: "DescribeStreamSummary", source: Cause::of(e) })?;
    let arn = answer.stream_description_summary().map(|s| s.stream_arn().to_owned()).unwrap_or_default();
    StreamArn::parse(&arn).ok_or_else(|| CliError::Late(format!("AWS gave `{arn}` as the ARN of `{text}`")))
}
