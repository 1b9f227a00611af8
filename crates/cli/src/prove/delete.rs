//! The one place that deletes resources.

use super::clients::Clients;
use super::context::{POLL, STREAM_LIMIT, TAG_KEY};
use super::ledger::{Kind, Ledger, Resource};
use super::time::Time;
use super::trouble::{Refusal, Tried, Trouble, answered, done, refused};
use crate::CliError;
use aws_sdk_kms::types::KeyState;
use std::time::{Duration, Instant};
use unthrottle_core::words::are;

/// How long the deletion of a resource is tried again. A stream cannot be deleted while AWS creates it, which takes
/// under a minute; a failure of AWS that lasts longer is one for `--clean`.
const LIMIT: Duration = Duration::from_secs(180);

/// The time between two attempts.
const PAUSE: Duration = Duration::from_secs(5);

/// AWS keeps a deleted key for this many days. AWS allows no shorter time, and the days cost nothing.
const KEY_DAYS: i32 = 7;

/// How long AWS may take to list what is new ("AWS KMS eventual consistency": usually a few seconds).
const SEEN_WITHIN: Duration = Duration::from_secs(30);

/// Deletes resources, and writes each deletion down. Returns what could not be deleted, with the reason.
pub(super) async fn all(
    clients: &Clients,
    time: &Time,
    ledger: &Ledger,
    resources: Vec<Resource>,
) -> Vec<(Resource, String)> {
    let mut left = vec![];
    for resource in resources {
        let deleted = one(clients, time, ledger, &resource).await.map_err(|trouble| trouble.to_string());
        let written = deleted.and_then(|()| ledger.deleted(&resource).map_err(|error| error.to_string()));
        if let Err(why) = written {
            left.push((resource, why));
        }
    }
    left
}

/// What is left, with the reason.
pub(super) fn in_words((resource, why): &(Resource, String)) -> String {
    format!("the {} `{}`: {why}", resource.kind, resource.name)
}

/// An error that names what is left, and the way to delete it.
pub(super) fn must_be_empty(left: &[(Resource, String)], ledger: &Ledger) -> Result<(), CliError> {
    if left.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = left.iter().map(in_words).collect();
    Err(CliError::Partly(format!(
        "{} not deleted. `{}` tries again:\n{}",
        are(left.len() as u64, "resource"),
        ledger.cleaning(),
        lines.join("\n")
    )))
}

/// Deletes a resource, again and again for a few minutes. A resource that AWS does not have is deleted.
async fn one(clients: &Clients, time: &Time, ledger: &Ledger, resource: &Resource) -> Tried<()> {
    let begin = Instant::now();
    loop {
        match attempt(clients, time, ledger, resource).await {
            Ok(()) => return Ok(()),
            // A service that an endpoint does not have has no resources there. AWS's own endpoints have all of them.
            Err(Trouble::NotServed(_)) if !clients.is_aws => return Ok(()),
            Err(trouble @ (Trouble::Failed(_) | Trouble::NotServed(_))) if time.since(begin) < LIMIT => {
                drop(trouble);
                time.sleep(PAUSE).await;
            }
            Err(trouble) => return Err(trouble),
        }
    }
}

async fn attempt(clients: &Clients, time: &Time, ledger: &Ledger, resource: &Resource) -> Tried<()> {
    let name = resource.name.as_str();
    match resource.kind {
        Kind::Stream => stream(clients, time, name).await,
        Kind::Alarm => {
            let answer = clients.cloudwatch.delete_alarms().alarm_names(name).send().await;
            gone(answered("DeleteAlarms", answer)?.map(drop), &["ResourceNotFound", "ResourceNotFoundException"])
        }
        Kind::Template => match ledger.id(resource) {
            Some(id) => template(clients, &id).await,
            None => templates(clients, time, name).await,
        },
        Kind::Trail => {
            let answer = clients.cloudtrail.delete_trail().name(name).send().await;
            gone(answered("DeleteTrail", answer)?.map(drop), &["TrailNotFoundException"])
        }
        Kind::Rule => rule(clients, name).await,
        Kind::Queue => queue(clients, name).await,
        Kind::Key => match ledger.id(resource) {
            Some(id) => key(clients, &id).await,
            None => keys(clients, time, name).await,
        },
    }
}

/// A refusal with one of these codes says that AWS does not have the resource.
fn gone(answer: Result<(), Refusal>, codes: &[&str]) -> Tried<()> {
    match answer {
        Err(refusal) if !codes.iter().any(|code| refusal.code == *code) => Err(Trouble::Failed(refusal.to_string())),
        _ => Ok(()),
    }
}

const NOT_FOUND: &str = "ResourceNotFoundException";

/// Deletes a stream, and waits until AWS no longer has it.
async fn stream(clients: &Clients, time: &Time, name: &str) -> Tried<()> {
    let delete = clients.kinesis.delete_stream().stream_name(name).enforce_consumer_deletion(true);
    match answered("DeleteStream", delete.send().await)? {
        Err(refusal) if refusal.code == NOT_FOUND => return Ok(()),
        Err(refusal) => return Err(Trouble::Failed(refusal.to_string())),
        Ok(_) => {}
    }
    let begin = Instant::now();
    while time.since(begin) < STREAM_LIMIT {
        let answer = clients.kinesis.describe_stream_summary().stream_name(name).send().await;
        if answered("DescribeStreamSummary", answer)?.is_err_and(|refusal| refusal.code == NOT_FOUND) {
            return Ok(());
        }
        time.sleep(POLL).await;
    }
    Err(Trouble::Failed(format!("the stream is still there {} s after DeleteStream", STREAM_LIMIT.as_secs())))
}

/// The id of the only target of a rule.
pub(super) const TARGET: &str = "queue";

/// Deletes the template of an experiment. A running experiment goes on without it, and ends by itself in minutes.
async fn template(clients: &Clients, id: &str) -> Tried<()> {
    let answer = clients.fis.delete_experiment_template().id(id).send().await;
    gone(answered("DeleteExperimentTemplate", answer)?.map(drop), &[NOT_FOUND])
}

/// Deletes the template with this tag: the answer of `CreateExperimentTemplate` was lost.
async fn templates(clients: &Clients, time: &Time, name: &str) -> Tried<()> {
    let begin = Instant::now();
    loop {
        let mut found = all_templates(clients).await?;
        found.retain(|(_, tag)| tag == name);
        for (id, _) in &found {
            template(clients, id).await?;
        }
        if !found.is_empty() || time.since(begin) > SEEN_WITHIN {
            return Ok(());
        }
        time.sleep(PAUSE).await;
    }
}

/// The ids of the templates that prove created, and the names in their tags.
pub(super) async fn all_templates(clients: &Clients) -> Tried<Vec<(String, String)>> {
    let mut pages = clients.fis.list_experiment_templates().into_paginator().items().send();
    let mut templates = vec![];
    while let Some(template) = pages.next().await {
        let template = done("ListExperimentTemplates", template)?;
        let name = template.tags.and_then(|mut tags| tags.remove(TAG_KEY));
        templates.extend(template.id.zip(name));
    }
    Ok(templates)
}

async fn rule(clients: &Clients, name: &str) -> Tried<()> {
    let answer = clients.events.remove_targets().rule(name).ids(TARGET).send().await;
    gone(answered("RemoveTargets", answer)?.map(drop), &[NOT_FOUND])?;
    let answer = clients.events.delete_rule().name(name).send().await;
    gone(answered("DeleteRule", answer)?.map(drop), &[NOT_FOUND])
}

async fn queue(clients: &Clients, name: &str) -> Tried<()> {
    const MISSING: [&str; 2] = ["AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"];
    let answer = answered("GetQueueUrl", clients.sqs.get_queue_url().queue_name(name).send().await)?;
    let url = match answer {
        Ok(answer) => answer.queue_url.unwrap_or_default(),
        Err(refusal) => return gone(Err(refusal), &MISSING),
    };
    gone(answered("DeleteQueue", clients.sqs.delete_queue().queue_url(url).send().await)?.map(drop), &MISSING)
}

/// Schedules the deletion of a key.
async fn key(clients: &Clients, id: &str) -> Tried<()> {
    let delete = clients.kms.schedule_key_deletion().key_id(id).pending_window_in_days(KEY_DAYS);
    match answered("ScheduleKeyDeletion", delete.send().await)? {
        Err(refusal) if refusal.code == "KMSInvalidStateException" && is_scheduled(clients, id).await? => Ok(()),
        answer => gone(answer.map(drop), &[NO_KEY]),
    }
}

const NO_KEY: &str = "NotFoundException";

async fn is_scheduled(clients: &Clients, id: &str) -> Tried<bool> {
    let key = done("DescribeKey", clients.kms.describe_key().key_id(id).send().await)?;
    Ok(key.key_metadata.and_then(|key| key.key_state) == Some(KeyState::PendingDeletion))
}

/// Schedules the deletion of the key with this tag: the answer of `CreateKey` was lost.
async fn keys(clients: &Clients, time: &Time, name: &str) -> Tried<()> {
    let begin = Instant::now();
    loop {
        let mut found = all_keys(clients).await?;
        found.retain(|(_, tag)| tag == name);
        for (id, _) in &found {
            key(clients, id).await?;
        }
        if !found.is_empty() || time.since(begin) > SEEN_WITHIN {
            return Ok(());
        }
        time.sleep(PAUSE).await;
    }
}

/// The ids of the keys that prove created and whose deletion is not scheduled, and the names in their tags.
///
/// # Errors
/// A call fails. Or the caller may read the tags of no key, so that those of prove may be among them.
pub(super) async fn all_keys(clients: &Clients) -> Tried<Vec<(String, String)>> {
    let mut pages = clients.kms.list_keys().into_paginator().items().send();
    let (mut keys, mut hidden, mut is_one_read) = (vec![], None, false);
    while let Some(entry) = pages.next().await {
        let id = done("ListKeys", entry)?.key_id.unwrap_or_default();
        match name_of_key(clients, &id).await {
            // The policy of a key of others can hide its tags. Keys of prove have KMS's own policy, which hides none.
            Err(trouble @ Trouble::Denied(_)) => hidden = Some(trouble),
            name => {
                is_one_read = true;
                let name = name?;
                if name.is_some() && !is_scheduled(clients, &id).await? {
                    keys.extend(name.map(|name| (id, name)));
                }
            }
        }
    }
    match hidden {
        Some(trouble) if !is_one_read => Err(trouble),
        _ => Ok(keys),
    }
}

/// The name in the tag of a key, if prove created it. Only a key that AWS no longer has is as one without tags.
async fn name_of_key(clients: &Clients, id: &str) -> Tried<Option<String>> {
    let tags = match answered("ListResourceTags", clients.kms.list_resource_tags().key_id(id).send().await)? {
        Ok(answer) => answer.tags.unwrap_or_default(),
        Err(refusal) if refusal.code == NO_KEY => vec![],
        Err(refusal) => return Err(refused("ListResourceTags", &refusal)),
    };
    Ok(tags.into_iter().find(|tag| tag.tag_key() == TAG_KEY).map(|tag| tag.tag_value))
}
