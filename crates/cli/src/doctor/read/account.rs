//! What all streams of an account and region share. It is read once.

use super::alarms::alarms;
use super::lambda::{Mappings, mappings, unreserved_concurrency};
use super::unread::{unread, unread_by_lambda};
use crate::STACK_TAG;
use crate::doctor::clients::Clients;
use aws_sdk_resourcegroupstagging::types::TagFilter;
use unthrottle::aws::read::account;
use unthrottle_core::checks::{Alarm, Read, Unread};
use unthrottle_core::observation::{Commitment, Limits};
use unthrottle_core::signal::StreamArn;

/// What all streams of an account and region share.
pub(in crate::doctor) struct Account {
    pub limits: Read<Limits>,
    pub commitment: Read<Commitment>,
    pub alarms: Read<Vec<Alarm>>,
    pub is_deployed: Read<bool>,
    pub mappings: Read<Mappings>,
    pub unreserved_concurrency: Read<u32>,
}

impl Account {
    /// Reads it. `any`: a stream of the account, for the words of errors.
    pub async fn read(clients: &Clients, any: &StreamArn) -> Account {
        let (limits, commitment, alarms, is_deployed, mappings, unreserved_concurrency) = tokio::join!(
            limits(clients, any),
            commitment(clients, any),
            alarms(&clients.cloudwatch),
            is_deployed(clients),
            mappings(clients),
            unreserved_concurrency(clients),
        );
        Account { limits, commitment, alarms, is_deployed, mappings, unreserved_concurrency }
    }
}

async fn limits(clients: &Clients, any: &StreamArn) -> Read<Limits> {
    const ACTION: &str = "kinesis:DescribeLimits";
    let limits = account::limits(&clients.kinesis, any).await.map_err(|e| unread_by_lambda(ACTION, &e))?;
    limits.ok_or_else(|| Unread { action: ACTION, why: "AWS throttled each attempt".into(), is_denied: false })
}

async fn commitment(clients: &Clients, any: &StreamArn) -> Read<Commitment> {
    let commitment = account::commitment(&clients.kinesis, any).await;
    commitment.map_err(|e| unread_by_lambda("kinesis:DescribeAccountSettings", &e))
}

/// Whether a stack of unthrottle has rules or schedules here.
async fn is_deployed(clients: &Clients) -> Read<bool> {
    let call = clients.tagging.get_resources().tag_filters(TagFilter::builder().key(STACK_TAG).build());
    let call = call.resource_type_filters("events:rule").resource_type_filters("scheduler:schedule-group");
    let answer = call.send().await.map_err(|e| unread("tag:GetResources", e))?;
    Ok(!answer.resource_tag_mapping_list().is_empty())
}
