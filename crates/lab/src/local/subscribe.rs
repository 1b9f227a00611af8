//! SubscribeToShard: an event stream of a shard's new records. It uses the account's clock. Only the pause between two
//! reads is in real time.

use super::kinesis::{render_refusal, validated};
use super::limits::{Refusal, must_be_active, refuse};
use super::reads::{Position, Read, position};
use super::{Account, trail, transitions};
use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, TimeDelta, Utc};
use ferrokinesis::actions::Operation;
use ferrokinesis::event_stream::{encode_initial_response, encode_subscribe_event};
use ferrokinesis::types::{ConsumerStatus, Stream};
use futures_util::stream::{self, StreamExt as _};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// The duration of a subscription ([API reference]: up to five minutes).
///
/// [API reference]: https://docs.aws.amazon.com/kinesis/latest/APIReference/API_SubscribeToShard.html
const LASTS: TimeDelta = TimeDelta::minutes(5);

/// The pause between two reads. AWS pushes records within about 70 ms.
const POLL: Duration = Duration::from_millis(70);

/// Records of one event.
const MAX_RECORDS: u64 = 10_000;

/// Answers one HTTP request.
pub(super) async fn subscribe_to_shard(account: &Arc<Account>, body: &Bytes) -> Response {
    match begin(account, body).await {
        Ok((position, consumer)) => {
            let until = account.now() + LASTS;
            let events = Subscription { account: account.clone(), consumer, position: Some(position), until };
            let first = stream::iter([Ok(Bytes::from(encode_initial_response()))]);
            let events = stream::unfold(events, Subscription::next).map(Ok::<_, std::io::Error>);
            let kind = [(header::CONTENT_TYPE, "application/vnd.amazon.eventstream")];
            (kind, Body::from_stream(first.chain(events))).into_response()
        }
        Err(refusal) => {
            trail::record(account, "SubscribeToShard", body, &refusal);
            render_refusal(&refusal)
        }
    }
}

/// The position of a new subscription, and the name of its consumer.
async fn begin(account: &Account, body: &Bytes) -> Result<(Position, String), Refusal> {
    let raw: Value =
        serde_json::from_slice(body).map_err(|error| refuse("SerializationException", error.to_string()))?;
    let input = validated(Operation::SubscribeToShard, &raw)?;
    let text = |field: &str| input[field].as_str().unwrap_or_default();
    let arn = text("ConsumerARN");
    let consumer = account.store.get_consumer(arn).await;
    let consumer = consumer.ok_or_else(|| refuse("ResourceNotFoundException", format!("Consumer {arn} not found.")))?;
    if consumer.consumer_status != ConsumerStatus::Active {
        return Err(refuse("ResourceInUseException", format!("Consumer {arn} is not ACTIVE.")));
    }
    let stream = arn.split_once("/consumer/").map_or("", |(stream, _)| stream);
    let name = account.store.stream_name_from_arn(stream).unwrap_or_default();
    must_be_active(&account.store.get_stream(&name).await?, &account.arn_of(&name))?;
    let start = &input["StartingPosition"];
    let wanted = json!({
        "StreamName": name,
        "ShardId": text("ShardId"),
        "ShardIteratorType": start["Type"],
        "StartingSequenceNumber": start["SequenceNumber"],
        "Timestamp": start["Timestamp"],
    });
    Ok((position(account, &name, wanted).await?, consumer.consumer_name))
}

struct Subscription {
    account: Arc<Account>,
    /// The name of the registered consumer.
    consumer: String,
    /// `None`: the shard is closed and completely read.
    position: Option<Position>,
    until: DateTime<Utc>,
}

impl Subscription {
    /// The next event, perhaps without records. `None`: the subscription has ended.
    async fn next(mut self) -> Option<(Bytes, Self)> {
        let position = self.position.take()?;
        tokio::time::sleep(POLL).await;
        if self.account.now() >= self.until {
            return None;
        }
        transitions::settle(&self.account).await;
        let read = Read::from(&self.account, &position, MAX_RECORDS).await.ok()?;
        // Only a deleted stream is not found.
        let stream = self.account.store.get_stream(&position.stream).await.ok()?;
        let is_over = read.next.is_none();
        let event = json!({
            "Records": read.records(),
            "ContinuationSequenceNumber": read.next.as_ref().unwrap_or(&position.from),
            "MillisBehindLatest": read.age_millis as u64,
            "ChildShards": if is_over { children(&stream, &position.shard) } else { vec![] },
        });
        read.sample_event(&self.account, &position, &self.consumer);
        self.position = read.next.map(|from| Position { from, ..position });
        let event = encode_subscribe_event(event.to_string().as_bytes(), "application/json");
        Some((event.into(), self))
    }
}

/// The children of a closed shard.
fn children(stream: &Stream, shard: &str) -> Vec<Value> {
    let is_child = |parents: &[&str]| parents.contains(&shard);
    let children = stream.shards.iter().filter_map(|child| {
        let parents = [&child.parent_shard_id, &child.adjacent_parent_shard_id];
        let parents: Vec<&str> = parents.into_iter().flatten().map(String::as_str).collect();
        let child = json!({"ShardId": child.shard_id, "ParentShards": parents, "HashKeyRange": child.hash_key_range});
        is_child(&parents).then_some(child)
    });
    children.collect()
}
