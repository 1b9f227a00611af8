//! `unthrottle prove --clean`: deletes what an earlier run left.

use super::clients::Clients;
use super::context::PREFIX;
use super::ledger::{Kind, Resource};
use super::trouble::{Tried, Trouble, done};

/// The resources whose names begin with `prefix`, also those that a lost ledger had. The second list has the services
/// that could not be asked, with the reason.
pub(super) async fn found(clients: &Clients, prefix: &str) -> (Vec<Resource>, Vec<String>) {
    let (mut resources, mut unread) = (vec![], vec![]);
    let lists = [
        (Kind::Trail, trails(clients).await),
        (Kind::Rule, rules(clients, prefix).await),
        (Kind::Queue, queues(clients, prefix).await),
        (Kind::Alarm, alarms(clients, prefix).await),
        (Kind::Stream, streams(clients).await),
        (Kind::Key, keys(clients).await),
    ];
    for (kind, names) in lists {
        match names {
            Ok(names) => {
                let ours = names.into_iter().filter(|name| is_ours(name, prefix));
                resources.extend(ours.map(|name| Resource { kind, name }));
            }
            // A service that an endpoint does not have has no resources there.
            Err(Trouble::NotServed(_)) => {}
            Err(trouble) => unread.push(format!("{kind}s: {trouble}")),
        }
    }
    (resources, unread)
}

/// Whether prove created a resource of this name: `unthrottle-prove-RUN-STEP`, with the RUN in hexadecimal digits.
fn is_ours(name: &str, prefix: &str) -> bool {
    let run = name.strip_prefix(PREFIX).and_then(|rest| rest.split_once('-')).map(|(run, _)| run);
    name.starts_with(prefix) && run.is_some_and(|run| run.len() == 8 && run.bytes().all(|b| b.is_ascii_hexdigit()))
}

async fn streams(clients: &Clients) -> Tried<Vec<String>> {
    let mut names: Vec<String> = vec![];
    loop {
        let list = clients.kinesis.list_streams().set_exclusive_start_stream_name(names.last().cloned());
        let answer = done("ListStreams", list.send().await)?;
        let has_more = answer.has_more_streams && !answer.stream_names.is_empty();
        names.extend(answer.stream_names);
        if !has_more {
            return Ok(names);
        }
    }
}

async fn alarms(clients: &Clients, prefix: &str) -> Tried<Vec<String>> {
    let mut pages = clients.cloudwatch.describe_alarms().alarm_name_prefix(prefix).into_paginator().send();
    let mut names = vec![];
    while let Some(page) = pages.next().await {
        let alarms = done("DescribeAlarms", page)?.metric_alarms.unwrap_or_default();
        names.extend(alarms.into_iter().filter_map(|alarm| alarm.alarm_name));
    }
    Ok(names)
}

async fn rules(clients: &Clients, prefix: &str) -> Tried<Vec<String>> {
    let (mut names, mut next) = (vec![], None);
    loop {
        let list = clients.events.list_rules().name_prefix(prefix).set_next_token(next);
        let answer = done("ListRules", list.send().await)?;
        names.extend(answer.rules.unwrap_or_default().into_iter().filter_map(|rule| rule.name));
        next = answer.next_token;
        if next.is_none() {
            return Ok(names);
        }
    }
}

async fn queues(clients: &Clients, prefix: &str) -> Tried<Vec<String>> {
    let mut pages = clients.sqs.list_queues().queue_name_prefix(prefix).max_results(1000).into_paginator().send();
    let mut names = vec![];
    while let Some(page) = pages.next().await {
        let urls = done("ListQueues", page)?.queue_urls.unwrap_or_default();
        names.extend(urls.iter().filter_map(|url| url.rsplit('/').next()).map(str::to_owned));
    }
    Ok(names)
}

async fn trails(clients: &Clients) -> Tried<Vec<String>> {
    let mut pages = clients.cloudtrail.list_trails().into_paginator().items().send();
    let mut names = vec![];
    while let Some(trail) = pages.next().await {
        names.extend(done("ListTrails", trail)?.name);
    }
    Ok(names)
}

/// The names in the tags of the keys that are not deleted yet.
async fn keys(clients: &Clients) -> Tried<Vec<String>> {
    let mut pages = clients.kms.list_keys().into_paginator().items().send();
    let mut names = vec![];
    while let Some(entry) = pages.next().await {
        let id = done("ListKeys", entry)?.key_id.unwrap_or_default();
        names.extend(super::delete::name_of_key(clients, &id).await?);
    }
    Ok(names)
}
