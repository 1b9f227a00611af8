//! An EventBridge rule with a queue of its own: what a rule of unthrottle would get, and when.

use super::context::{Context, TAG_KEY};
use super::delete::TARGET;
use super::ledger::Kind;
use super::trouble::{Tried, Trouble, done, unbuilt};
use aws_sdk_eventbridge::types::{Tag, Target};
use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::{Value, json};

/// The events of a rule.
pub(super) struct Events {
    url: String,
}

impl Events {
    /// Creates the queue, and the rule on the default bus with this pattern.
    ///
    /// # Errors
    /// A call fails, or the endpoint or the caller has no EventBridge or SQS.
    pub async fn of(context: &Context, pattern: &Value) -> Tried<Events> {
        let name = context.name("");
        let url = context.create(Kind::Queue, &name, create_queue(context, &name)).await?;
        let arn = queue_arn(context, &url).await?;
        let events = &context.clients.events;
        let rule = async {
            let tag = Tag::builder().key(TAG_KEY).value(&name).build().map_err(unbuilt)?;
            let put = events.put_rule().name(&name).event_pattern(pattern.to_string()).tags(tag);
            done("PutRule", put.send().await)?.rule_arn.ok_or_else(|| Trouble::Failed("PutRule gave no ARN".into()))
        };
        let rule_arn = context.create(Kind::Rule, &name, rule).await?;
        let policy = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": rule_arn}},
        }]});
        let policy = policy.to_string();
        let allow = context.clients.sqs.set_queue_attributes().queue_url(&url);
        done("SetQueueAttributes", allow.attributes(QueueAttributeName::Policy, policy).send().await)?;
        let target = Target::builder().id(TARGET).arn(arn).build().map_err(unbuilt)?;
        let answer = done("PutTargets", events.put_targets().rule(&name).targets(target).send().await)?;
        match answer.failed_entries().first() {
            None => Ok(Events { url }),
            Some(failed) => Err(Trouble::Failed(format!("PutTargets: {}", failed.error_message().unwrap_or_default()))),
        }
    }

    /// The events that have come since the last call, each once.
    ///
    /// # Errors
    /// A call fails.
    pub async fn receive(&self, context: &Context) -> Tried<Vec<Value>> {
        let sqs = &context.clients.sqs;
        let receive = sqs.receive_message().queue_url(&self.url).max_number_of_messages(10).wait_time_seconds(0);
        let messages = done("ReceiveMessage", receive.send().await)?.messages.unwrap_or_default();
        let mut events = vec![];
        for message in messages {
            events.extend(message.body().and_then(|body| serde_json::from_str(body).ok()));
            let delete = sqs.delete_message().queue_url(&self.url).set_receipt_handle(message.receipt_handle);
            done("DeleteMessage", delete.send().await)?;
        }
        Ok(events)
    }
}

async fn create_queue(context: &Context, name: &str) -> Tried<String> {
    let create = context.clients.sqs.create_queue().queue_name(name).tags(TAG_KEY, name);
    done("CreateQueue", create.send().await)?.queue_url.ok_or_else(|| Trouble::Failed("CreateQueue gave no URL".into()))
}

async fn queue_arn(context: &Context, url: &str) -> Tried<String> {
    let arn = QueueAttributeName::QueueArn;
    let get = context.clients.sqs.get_queue_attributes().queue_url(url).attribute_names(arn.clone());
    let answer = done("GetQueueAttributes", get.send().await)?;
    let found = answer.attributes.and_then(|mut all| all.remove(&arn));
    found.ok_or_else(|| Trouble::Failed("GetQueueAttributes gave no ARN".into()))
}
