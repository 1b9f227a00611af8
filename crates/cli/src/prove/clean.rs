//! `unthrottle prove --clean`: deletes what an earlier run left.

use super::Args;
use super::account::Account;
use super::clients::Clients;
use super::context::PREFIX;
use super::delete;
use super::ledger::{Kind, Ledger, Resource, new_run};
use super::record::Recorder;
use super::time::Time;
use super::trouble::{Tried, Trouble, done};
use crate::CliError;
use crate::screen::{Console, print_json};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use unthrottle_core::words::many;

/// `--clean`: deletes what the ledger of the folder names, and what carries the name of its run.
pub(super) async fn run(args: &Args) -> Result<(), CliError> {
    let config = args.aws.config().await?;
    let time = Time::of_account(args.pace, &config)?;
    let clients = Clients::new(&config, &time, &Recorder::new(&time));
    let ledger = if args.all_runs { None } else { Ledger::open(&args.out)? };
    if ledger.is_none() && !args.all_runs {
        let out = args.out.display();
        let problem = format!(
            "{out} has no ledger. --all-runs deletes what all runs in this account left, also those that run now"
        );
        return Err(CliError::Usage(problem));
    }
    let account = Account::asked(&config, &clients).await?;
    let (ledger, prefix) = match ledger {
        Some(ledger) => {
            account.must_be(ledger.account())?;
            let prefix = format!("{PREFIX}{}-", ledger.run());
            (ledger, prefix)
        }
        None => (Ledger::begin(&args.out.join("all-runs"), &new_run(), &account)?, PREFIX.to_owned()),
    };
    let (found, unread) = found(&clients, &account.region, &prefix).await;
    let all: BTreeSet<Resource> = ledger.left().into_iter().chain(found).collect();
    let mut console = Console::new(args.json);
    console.heading(&format!("{} to delete in {account}", many(all.len(), "resource")))?;
    let left = delete::all(&clients, &time, &ledger, all.iter().cloned().collect()).await;
    let is_left = |resource: &Resource| left.iter().any(|(other, _)| other == resource);
    let deleted: Vec<&Resource> = all.iter().filter(|resource| !is_left(resource)).collect();
    for Resource { kind, name } in &deleted {
        console.step(&format!("deleted the {kind} {name}"))?;
    }
    for unread in &unread {
        console.step(&format!("cannot look for {unread}"))?;
    }
    if args.json {
        let with_reason = |(it, why): &(Resource, String)| json!({"kind": it.kind, "name": it.name, "reason": why});
        let left: Vec<Value> = left.iter().map(with_reason).collect();
        print_json(&json!({"deleted": deleted, "left": left, "unread": unread}))?;
    }
    delete::must_be_empty(&left, &ledger)?;
    if args.all_runs && !unread.is_empty() {
        return Err(CliError::Partly("resources of the services that cannot be asked may be left".into()));
    }
    console.result(true, "nothing is left").map_err(CliError::from)
}

/// The resources whose names begin with `prefix`, also those that a lost ledger had. The second list has the services
/// that could not be asked, with the reason.
async fn found(clients: &Clients, region: &str, prefix: &str) -> (Vec<Resource>, Vec<String>) {
    let (mut resources, mut unread) = (vec![], vec![]);
    let lists = [
        (Kind::Template, templates(clients).await),
        (Kind::Trail, trails(clients, region).await),
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
            // A service that an endpoint does not have has no resources there. AWS's own endpoints have all of them.
            Err(Trouble::NotServed(_)) if !clients.is_aws => {}
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

/// The names of all streams of the account.
pub(super) async fn streams(clients: &Clients) -> Tried<Vec<String>> {
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

/// The names in the tags of the templates of experiments.
async fn templates(clients: &Clients) -> Tried<Vec<String>> {
    Ok(delete::all_templates(clients).await?.into_iter().map(|(_, name)| name).collect())
}

/// The trails of this region. AWS lists those of all regions, and deletes one only in its own.
async fn trails(clients: &Clients, region: &str) -> Tried<Vec<String>> {
    let mut pages = clients.cloudtrail.list_trails().into_paginator().items().send();
    let mut names = vec![];
    while let Some(trail) = pages.next().await {
        let trail = done("ListTrails", trail)?;
        if trail.home_region.as_deref().is_none_or(|home| home == region) {
            names.extend(trail.name);
        }
    }
    Ok(names)
}

/// The names in the tags of the keys that are not deleted yet.
async fn keys(clients: &Clients) -> Tried<Vec<String>> {
    Ok(delete::all_keys(clients).await?.into_iter().map(|(_, name)| name).collect())
}
