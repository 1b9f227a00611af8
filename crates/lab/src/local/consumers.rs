//! RegisterStreamConsumer, DeregisterStreamConsumer and ListStreamConsumers.

use super::limits::{Refusal, refuse};
use super::transitions::Outcome;
use super::{Account, lock};
use chrono::TimeDelta;
use ferrokinesis::actions::{Operation, dispatch};
use ferrokinesis::types::{Consumer, ConsumerStatus, EpochSeconds};
use serde_json::{Value, json};

/// Consumers of one stream ([quotas]).
///
/// [quotas]: https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html
const MAX_CONSUMERS: usize = 20;

/// How long a consumer is `CREATING` or `DELETING`. AWS documents no time; half a second, as for a new stream here.
const CHANGES_WITHIN: TimeDelta = TimeDelta::milliseconds(500);

type Answer = Result<Option<Value>, Refusal>;

pub(super) async fn register(account: &Account, input: &Value) -> Answer {
    let _ledger = account.ledger.lock().await;
    let stream = input["StreamARN"].as_str().unwrap_or_default();
    let name = input["ConsumerName"].as_str().unwrap_or_default();
    account.store.get_stream(&account.store.stream_name_from_arn(stream).unwrap_or_default()).await?;
    let others = account.store.list_consumers_for_stream(stream).await;
    let others = others.iter().filter(|consumer| consumer.consumer_status != ConsumerStatus::Deleting);
    if others.clone().any(|consumer| consumer.consumer_name == name) {
        let problem = format!("Consumer {name} under stream {stream} already exists.");
        return Err(refuse("ResourceInUseException", problem));
    }
    if others.count() >= MAX_CONSUMERS {
        let problem = "You have reached the maximum number of registered consumers for this stream.";
        return Err(refuse("LimitExceededException", problem));
    }
    let now = account.now();
    let consumer = Consumer {
        consumer_name: name.to_owned(),
        consumer_arn: format!("{stream}/consumer/{name}:{}", now.timestamp()),
        consumer_status: ConsumerStatus::Creating,
        consumer_creation_timestamp: EpochSeconds(now.timestamp() as f64),
    };
    account.store.put_consumer(&consumer.consumer_arn, consumer.clone()).await?;
    change_status(account, &consumer, Some(ConsumerStatus::Active));
    Ok(Some(json!({ "Consumer": consumer })))
}

pub(super) async fn deregister(account: &Account, input: &Value) -> Answer {
    let _ledger = account.ledger.lock().await;
    let text = |field: &str| input[field].as_str();
    let found = match (text("ConsumerARN"), text("StreamARN"), text("ConsumerName")) {
        (Some(arn), ..) => account.store.get_consumer(arn).await,
        (None, Some(stream), Some(name)) => account.store.find_consumer(stream, name).await,
        _ => {
            let problem = "Must specify either ConsumerARN, or both StreamARN and ConsumerName.";
            return Err(refuse("InvalidArgumentException", problem));
        }
    };
    let Some(mut consumer) = found else {
        let wanted = text("ConsumerARN").or(text("ConsumerName")).unwrap_or_default();
        return Err(refuse("ResourceNotFoundException", format!("Consumer {wanted} not found.")));
    };
    consumer.consumer_status = ConsumerStatus::Deleting;
    account.store.put_consumer(&consumer.consumer_arn, consumer.clone()).await?;
    change_status(account, &consumer, None);
    Ok(None)
}

/// ListStreamConsumers, with the times of a past that was moved back.
pub(super) async fn list(account: &Account, input: Value) -> Answer {
    let mut answer = dispatch(&account.store, Operation::ListStreamConsumers, input).await?.unwrap_or_default();
    for consumer in answer["Consumers"].as_array_mut().into_iter().flatten() {
        let created = consumer["ConsumerCreationTimestamp"].as_f64().unwrap_or_default();
        let moved = account.happened_at((created * 1000.0) as u64);
        consumer["ConsumerCreationTimestamp"] = json!(moved.div_euclid(1000));
    }
    Ok(Some(answer))
}

fn change_status(account: &Account, consumer: &Consumer, status: Option<ConsumerStatus>) {
    let outcome = Outcome::Consumer(consumer.consumer_arn.clone(), status);
    lock(&account.transitions).begin(account.now() + CHANGES_WITHIN, outcome);
}
