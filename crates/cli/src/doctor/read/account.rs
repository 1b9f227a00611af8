//! What all streams of an account and region share. It is read once.

use super::alarms::alarms;
use super::lambda::{Mappings, mappings, unreserved_concurrency};
use super::own::denied_actions;
use super::throttled::{not_read, throttled_calls};
use super::unread::{unread, unread_by_lambda};
use crate::STACK_TAG;
use crate::doctor::clients::Clients;
use crate::doctor::pace::{Machine, Pace};
use aws_sdk_resourcegroupstagging::types::TagFilter;
use chrono::{DateTime, Utc};
use unthrottle::aws::read::account;
use unthrottle_core::checks::{Alarm, Read, ThrottledCalls, Unread};
use unthrottle_core::observation::{Commitment, Limits};
use unthrottle_core::signal::StreamArn;

/// What all streams of an account and region share.
pub(in crate::doctor) struct Account {
    pub limits: Read<Limits>,
    pub commitment: Read<Commitment>,
    pub alarms: Read<Vec<Alarm>>,
    pub is_deployed: Read<bool>,
    pub denied_actions: Read<Vec<String>>,
    pub throttled_calls: Read<ThrottledCalls>,
    pub mappings: Read<Mappings>,
    pub unreserved_concurrency: Read<u32>,
    /// The turns of calls about functions.
    pub functions: Pace<Machine>,
}

/// Calls about functions that begin in a second. AWS allows 15 calls of Lambda's control plane a second to the account
/// and region (gettingstarted-limits.html), and deployments need the others. Fewer would make [`Account::functions`]
/// slower than the reading of streams that one function each reads.
pub(in crate::doctor) const FUNCTION_CALLS_PER_SECOND: u32 = 10;

impl Account {
    /// Reads it. `any`: a stream of the account, for the words of errors and as an example. `wants_calls`: whether a
    /// check needs the throttled calls. CloudTrail takes longer than all other reads.
    pub async fn read(clients: &Clients, any: &StreamArn, wants_calls: bool, now: DateTime<Utc>) -> Account {
        let (limits, commitment, alarms, rules, throttled_calls, mappings, unreserved_concurrency) = tokio::join!(
            limits(clients, any),
            commitment(clients, any),
            alarms(&clients.cloudwatch),
            rules(clients),
            async {
                match wants_calls {
                    true => throttled_calls(&clients.cloudtrail, &any.home, now).await,
                    false => not_read(),
                }
            },
            mappings(clients),
            unreserved_concurrency(clients),
        );
        let denied_actions = match &rules {
            Ok(rules) => denied_actions(clients, rules, any).await,
            Err(unread) => Err(unread.clone()),
        };
        let is_deployed = rules.map(|rules| !rules.is_empty());
        Account {
            limits,
            commitment,
            alarms,
            is_deployed,
            denied_actions,
            throttled_calls,
            mappings,
            unreserved_concurrency,
            functions: Pace::new(Machine::new(), FUNCTION_CALLS_PER_SECOND),
        }
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

/// The ARNs of the rules and schedules of unthrottle's stacks here.
async fn rules(clients: &Clients) -> Read<Vec<String>> {
    let call = clients.tagging.get_resources().tag_filters(TagFilter::builder().key(STACK_TAG).build());
    let call = call.resource_type_filters("events:rule").resource_type_filters("scheduler:schedule-group");
    // A page may be empty although others follow (API reference of GetResources).
    let (mut pages, mut arns) = (call.into_paginator().send(), vec![]);
    while let Some(page) = pages.next().await {
        let page = page.map_err(|e| unread("tag:GetResources", e))?;
        let found = page.resource_tag_mapping_list().iter();
        arns.extend(found.filter_map(|mapping| mapping.resource_arn()).map(str::to_owned));
    }
    Ok(arns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::read::fake::Fake;

    const RULE: &str = "arn:aws:events:us-east-1:123456789012:rule/watch";

    #[tokio::test]
    async fn a_rule_on_the_second_page_of_an_empty_first_one_is_found() {
        let fake = Fake::start(|request| {
            let list =
                if request.contains("\"next\"") { format!(r#"[{{"ResourceARN":"{RULE}"}}]"#) } else { "[]".into() };
            let token = if request.contains("\"next\"") { "" } else { "next" };
            format!(r#"{{"PaginationToken":"{token}","ResourceTagMappingList":{list}}}"#)
        });
        let fake = fake.await;
        assert_eq!(rules(&Clients::new(&crate::aws::local_config(&fake.url))).await, Ok(vec![RULE.to_owned()]));
        assert_eq!(fake.requests().len(), 2);
    }
}
