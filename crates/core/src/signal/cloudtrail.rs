//! The event `AWS API Call via CloudTrail` from `aws.kinesis`.

use super::error::field;
use super::{Envelope, Home, SignalError, StreamArn};
use chrono::{DateTime, Utc};
use serde::Deserialize;

/// A failed API call, as CloudTrail recorded it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Call {
    /// CloudTrail's `eventID`, else EventBridge's id.
    pub id: Option<String>,
    /// The time of the call.
    pub time: Option<DateTime<Utc>>,
    /// The operation, such as `PutRecords`.
    pub operation: String,
    /// AWS's error code. `None`: the call succeeded.
    pub error_code: Option<String>,
    /// AWS's error message.
    pub error_message: Option<String>,
    /// The user or role that called.
    pub caller: Caller,
    /// The account that received the event.
    pub account: Option<String>,
    /// The region of the call.
    pub region: Option<String>,
    /// The stream. `None`: the record names no stream.
    pub stream: Option<StreamArn>,
    /// The first resource of the record, even if its ARN is malformed. For the report only, never for a call.
    pub resource: Option<String>,
}

/// The user or role that made a call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Caller {
    /// The ARN of the user or of the role session.
    pub principal: Option<String>,
    /// The ARN of the role behind a session. `None` for a user.
    pub role: Option<String>,
    /// The name and version of the SDK or tool.
    pub user_agent: Option<String>,
    /// The IP address or the AWS service that sent the call.
    pub source_ip: Option<String>,
}

/// The fields of a CloudTrail record that the function uses. Only the operation is always present. `requestParameters`
/// is null in a denied call, and the resource of a call by name is malformed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    event_name: String,
    #[serde(rename = "eventID")]
    event_id: Option<String>,
    event_time: Option<DateTime<Utc>>,
    aws_region: Option<String>,
    recipient_account_id: Option<String>,
    error_code: Option<String>,
    error_message: Option<String>,
    user_agent: Option<String>,
    #[serde(rename = "sourceIPAddress")]
    source_ip: Option<String>,
    user_identity: Option<Identity>,
    request_parameters: Option<Parameters>,
    #[serde(default)]
    resources: Option<Vec<Resource>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Identity {
    arn: Option<String>,
    session_context: Option<SessionContext>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SessionContext {
    session_issuer: Option<Issuer>,
}

#[derive(Deserialize)]
struct Issuer {
    arn: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parameters {
    #[serde(rename = "streamARN")]
    stream_arn: Option<String>,
    #[serde(rename = "consumerARN")]
    consumer_arn: Option<String>,
    stream_name: Option<String>,
}

#[derive(Deserialize)]
struct Resource {
    #[serde(rename = "ARN")]
    arn: Option<String>,
}

impl Call {
    pub(super) fn parse(event: Envelope, home: &Home) -> Result<Call, SignalError> {
        let record: Record = field("detail", &event.detail)?;
        let account = event.account.or_else(|| record.recipient_account_id.clone());
        let region = event.region.or_else(|| record.aws_region.clone());
        let stream = record.stream(account.as_deref(), region.as_deref(), home);
        let resource = record.arns().next().map(Into::into);
        let identity = record.user_identity;
        let caller = Caller {
            role: identity.as_ref().and_then(|i| i.session_context.as_ref()?.session_issuer.as_ref()?.arn.clone()),
            principal: identity.and_then(|i| i.arn),
            user_agent: record.user_agent,
            source_ip: record.source_ip,
        };
        Ok(Call {
            id: record.event_id.or(event.id),
            time: record.event_time.or(event.time),
            operation: record.event_name,
            error_code: record.error_code,
            error_message: record.error_message,
            caller,
            account,
            region,
            stream,
            resource,
        })
    }
}

impl Record {
    /// The ARNs of the record's resources, in the record's order.
    fn arns(&self) -> impl Iterator<Item = &str> {
        self.resources.iter().flatten().filter_map(|r| r.arn.as_deref())
    }

    /// The stream of the first well-formed resource, else of the request's ARN, else of the request's stream name in
    /// the event's account and region.
    fn stream(&self, account: Option<&str>, region: Option<&str>, home: &Home) -> Option<StreamArn> {
        let parameters = self.request_parameters.as_ref();
        let asked = parameters.into_iter().flat_map(|p| [p.stream_arn.as_deref(), p.consumer_arn.as_deref()]).flatten();
        self.arns().chain(asked).find_map(StreamArn::parse).or_else(|| {
            let at = Home { partition: home.partition.clone(), region: region?.into(), account: account?.into() };
            StreamArn::new(parameters?.stream_name.as_deref()?, &at)
        })
    }
}
