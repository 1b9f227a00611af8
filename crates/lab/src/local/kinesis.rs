//! The Kinesis API in front of `ferrokinesis`: JSON 1.1 in, AWS's refusals, JSON 1.1 out.

use super::connection::Connection;
use super::faults::subject_to_faults;
use super::limits::{Refusal, must_be_active, refuse};
use super::subscribe::subscribe_to_shard;
use super::{Account, Commitment, capacity, consumers, lock, reads, shards, tags, trail, transitions, writes};
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use ferrokinesis::actions::{Operation, dispatch};
use ferrokinesis::validation::{check_types, check_validations};
use serde_json::{Map, Value, json};
use std::str::FromStr;
use std::sync::Arc;

const JSON: &str = "application/x-amz-json-1.1";

/// The largest request: PutRecords with 10 MiB of data, which is a third more in base64.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// Streams of one ListStreams page (API reference: at most 100, even if `Limit` is larger).
const STREAMS_PER_PAGE: u64 = 100;

type Answer = Result<Option<Value>, Refusal>;

/// Answers one HTTP request for an operation.
pub(super) async fn serve(account: Arc<Account>, connection: Connection, name: String, request: Request) -> Response {
    account.count_call("Kinesis", &name);
    let Ok(body) = to_bytes(request.into_body(), MAX_BODY).await else {
        return render_error(413, "SerializationException", "Request body is too large");
    };
    // A task of its own: a client that gives up does not stop its call.
    let call = tokio::spawn(async move {
        let work = perform(&account, &name, &body);
        subject_to_faults(&account, &connection, &name, render_error, work).await
    });
    call.await.unwrap_or_else(|error| render_error(500, "InternalFailure", &error.to_string()))
}

async fn perform(account: &Arc<Account>, name: &str, body: &Bytes) -> Response {
    transitions::settle(account).await;
    if name == "SubscribeToShard" {
        return subscribe_to_shard(account, body).await;
    }
    match call(account, name, body).await {
        Ok(answer) => render(200, answer.map_or_else(Vec::new, |a| a.to_string().into_bytes())),
        Err(refusal) => {
            trail::record(account, name, body, &refusal);
            render_refusal(&refusal)
        }
    }
}

async fn call(account: &Arc<Account>, name: &str, body: &Bytes) -> Answer {
    let Ok(operation) = Operation::from_str(name) else {
        return Err(refuse("UnknownOperationException", format!("the local account does not know Kinesis {name}")));
    };
    let Ok(raw) = serde_json::from_slice::<Map<String, Value>>(body) else {
        return Err(refuse(
            "SerializationException",
            format!("the local account reads {JSON} only, and the body is not a JSON object"),
        ));
    };
    let mut raw = Value::Object(raw);
    let stream = stream_of(account, operation, &mut raw)?;
    let (id, arn) = (&account.options.account, stream.as_deref().map(|name| account.arn_of(name)));
    lock(&account.rates).admit(operation, arn.as_ref(), id, account.now())?;
    perform_operation(account, operation, stream.as_deref(), raw).await
}

async fn perform_operation(
    account: &Arc<Account>,
    operation: Operation,
    stream: Option<&str>,
    mut raw: Value,
) -> Answer {
    use Operation::*;
    if operation == CreateStream {
        capacity::complete_create_stream(&mut raw);
    }
    match (operation, stream) {
        // The validation of ferrokinesis differs from AWS's in characters and lengths.
        (TagResource | AddTagsToStream, Some(name)) => {
            return tags::add(account, name, &raw).await;
        }
        (UpdateStreamMode, Some(name)) => {
            return capacity::update_stream_mode(account, name, &raw).await;
        }
        (GetRecords, _) => return reads::get_records(account, stream, raw).await,
        _ => {}
    }
    let data = if matches!(operation, PutRecord | PutRecords) { writes::take_data(&mut raw) } else { vec![] };
    let mut input = validated(operation, &raw)?;
    writes::restore_data(&mut input, data);
    match (operation, stream) {
        (CreateStream, Some(name)) => capacity::create_stream(account, name, &raw, input).await,
        (DeleteStream, Some(name)) => capacity::delete_stream(account, name).await,
        (UpdateShardCount, Some(name)) => capacity::update_shard_count(account, name, input).await,
        (SplitShard | MergeShards, Some(name)) => capacity::reshard(account, name, operation, input).await,
        (UpdateStreamWarmThroughput, Some(name)) => capacity::update_warm_throughput(account, name, &input).await,
        (EnableEnhancedMonitoring | DisableEnhancedMonitoring, Some(name)) => {
            capacity::update_monitoring(account, name, operation, input).await
        }
        (StartStreamEncryption | StopStreamEncryption, Some(name)) => {
            capacity::update_encryption(account, name, operation, &input).await
        }
        (IncreaseStreamRetentionPeriod | DecreaseStreamRetentionPeriod, Some(name)) => {
            let stream = account.store.get_stream(name).await?;
            must_be_active(&stream, &account.arn_of(name))?;
            dispatch(&account.store, operation, input).await
        }
        (RegisterStreamConsumer, _) => consumers::register(account, &input).await,
        (DeregisterStreamConsumer, _) => consumers::deregister(account, &input).await,
        (ListStreamConsumers, _) => consumers::list(account, input).await,
        (DescribeStreamSummary, Some(name)) => capacity::describe_stream_summary(account, name, input).await,
        (ListShards, Some(name)) => shards::list_shards(account, name, &raw, input).await,
        (ListTagsForResource, Some(name)) => tags::list(account, name).await,
        (PutRecord, Some(name)) => writes::put_record(account, name, input).await,
        (PutRecords, Some(name)) => writes::put_records(account, name, input).await,
        (GetShardIterator, Some(name)) => reads::get_shard_iterator(account, name, input).await,
        (DescribeLimits, _) => capacity::describe_limits(account).await,
        (DescribeAccountSettings, _) => Ok(Some(account_settings(account))),
        (UpdateAccountSettings, _) => {
            Err(refuse("ValidationException", "the local account takes its commitment as an option at its start"))
        }
        (ListStreams, _) => list_streams(account, &raw).await,
        _ => dispatch(&account.store, operation, input).await,
    }
}

/// The input in the form of the service's model, without unknown fields.
pub(super) fn validated(operation: Operation, raw: &Value) -> Result<Value, Refusal> {
    let rules = operation.validation_rules();
    let rules: Vec<_> = rules.iter().map(|(name, rule)| (*name, rule)).collect();
    let input = check_types(raw, &rules)?;
    check_validations(&input, &rules, None)?;
    Ok(input)
}

/// The stream of a request. Replaces `StreamARN` by `StreamName`, since most operations of ferrokinesis know only
/// names.
fn stream_of(account: &Account, operation: Operation, raw: &mut Value) -> Result<Option<String>, Refusal> {
    use Operation::*;
    let arn = ["StreamARN", "ResourceARN", "ConsumerARN"];
    let arn = arn.iter().find_map(|field| raw[field].as_str());
    let by_arn = arn.map(|arn| stream_in(account, arn)).transpose()?;
    let by_name = raw["StreamName"].as_str();
    if let (Some(of_arn), Some(name)) = (&by_arn, by_name)
        && of_arn != name
    {
        return Err(refuse(
            "InvalidArgumentException",
            format!("StreamARN and StreamName do not match: {of_arn} and {name}"),
        ));
    }
    let name = by_arn.or_else(|| by_name.map(str::to_owned));
    let takes_arn = matches!(
        operation,
        UpdateMaxRecordSize
            | ListStreamConsumers
            | RegisterStreamConsumer
            | DescribeStreamConsumer
            | DeregisterStreamConsumer
    );
    if let (Some(fields), Some(name), false) = (raw.as_object_mut(), &name, takes_arn)
        && fields.remove("StreamARN").is_some()
    {
        fields.insert("StreamName".into(), json!(name));
    }
    Ok(name)
}

/// The stream in an ARN of this account: `arn:aws:kinesis:REGION:ACCOUNT:stream/NAME[/…]`.
fn stream_in(account: &Account, arn: &str) -> Result<String, Refusal> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let (["arn", _, "kinesis", region, owner, resource], true) = (&parts[..], arn.len() <= 2048) else {
        return Err(refuse(
            "ValidationException",
            format!("1 validation error detected: Value '{arn}' is not the ARN of a stream"),
        ));
    };
    let name = resource.strip_prefix("stream/").unwrap_or_default();
    let name = name.split('/').next().unwrap_or_default();
    if *owner != account.options.account {
        return Err(refuse("UnrecognizedClientException", "The security token included in the request is invalid."));
    }
    if *region != account.options.region || name.is_empty() {
        return Err(Refusal::stream_not_found(name, owner));
    }
    Ok(name.to_owned())
}

/// ListStreams with summaries and pages by token, which ferrokinesis leaves out.
async fn list_streams(account: &Account, input: &Value) -> Answer {
    let after = input["ExclusiveStartStreamName"].as_str();
    let after = after.or(input["NextToken"].as_str()).unwrap_or_default();
    let limit = input["Limit"].as_u64().unwrap_or(STREAMS_PER_PAGE);
    let limit = limit.min(STREAMS_PER_PAGE) as usize;
    let names = account.store.list_stream_names().await;
    let mut names = names.into_iter().filter(|name| name.as_str() > after);
    let page: Vec<String> = names.by_ref().take(limit).collect();
    let more = names.next().is_some();
    let mut summaries = Vec::new();
    for name in &page {
        if let Ok(stream) = account.store.get_stream(name).await {
            summaries.push(json!({
                "StreamName": name,
                "StreamARN": stream.stream_arn,
                "StreamStatus": stream.stream_status,
                "StreamModeDetails": stream.stream_mode_details,
                "StreamCreationTimestamp": stream.stream_creation_timestamp,
            }));
        }
    }
    let mut answer = json!({"HasMoreStreams": more, "StreamSummaries": summaries});
    if more {
        answer["NextToken"] = json!(page.last());
    }
    answer["StreamNames"] = json!(page);
    Ok(Some(answer))
}

fn account_settings(account: &Account) -> Value {
    let status = match account.options.commitment {
        Commitment::Absent => return json!({}),
        Commitment::Disabled => "DISABLED",
        Commitment::Enabled => "ENABLED",
        Commitment::EnabledUntilEarliestAllowedEnd => "ENABLED_UNTIL_EARLIEST_ALLOWED_END",
    };
    json!({"MinimumThroughputBillingCommitment": {"Status": status}})
}

pub(super) fn render_refusal(refusal: &Refusal) -> Response {
    render(refusal.status_code, serde_json::to_vec(&refusal.body).unwrap_or_default())
}

fn render_error(status: u16, code: &str, message: &str) -> Response {
    let body = json!({"__type": code, "message": message});
    render(status, body.to_string().into_bytes())
}

fn render(status: u16, body: Vec<u8>) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, JSON)], Body::from(body)).into_response()
}
