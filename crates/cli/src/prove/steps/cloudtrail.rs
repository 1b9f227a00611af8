//! What CloudTrail and EventBridge say about refused writes.

use super::kms;
use crate::prove::again::told;
use crate::prove::context::{Context, TAG_KEY};
use crate::prove::events::Events;
use crate::prove::flood::{self, Answers};
use crate::prove::ledger::Kind;
use crate::prove::step::{Fact, Step, Use, Verdict};
use crate::prove::trouble::{Refusal, Tried, Trouble, answered, done, unbuilt};
use aws_sdk_cloudtrail::types::{AdvancedEventSelector, AdvancedFieldSelector, Tag};
use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const SINGLE: Fact = Fact {
    id: "cloudtrail-put-record",
    expected: "CloudTrail records a refused `PutRecord` with the error code \
               `ProvisionedThroughputExceededException`, and EventBridge delivers it.",
    source: "Kinesis's page on CloudTrail lists the call, and no page has the code.",
};
const BATCH: Fact = Fact {
    id: "cloudtrail-put-records",
    expected: "CloudTrail records no error code for a `PutRecords` whose records AWS refuses in part or all.",
    source: "No page of AWS. A refusal of records is HTTP 200, and a public recording has no response.",
};
const DELAY: Fact = Fact {
    id: "cloudtrail-delay",
    expected: "The event of a refused write comes within 15 minutes.",
    source: "CloudTrail's user guide: about 5 minutes on average, without a promise.",
};
const KMS: Fact = Fact {
    id: "cloudtrail-kms",
    expected: "CloudTrail records a write that the key stops with an error code that begins with `KMS`, or as \
               `AccessDenied`.",
    source: "No page of AWS.",
};

const FLAG: &str = "--with-trail";

/// The time until a new trail records calls. Of calls a minute after `StartLogging`, a recording lacks ten of eleven;
/// of those five minutes later it lacks none.
const WARM: Duration = Duration::from_secs(5 * 60);

/// Floods, so that a lost event does not decide. CloudTrail's delivery to EventBridge is best effort.
const FLOODS: u32 = 3;

/// The time between two floods.
const APART: Duration = Duration::from_secs(20);

/// The longest wait for the events. CloudTrail delivers within about 5 minutes on average.
const LIMIT: Duration = Duration::from_secs(15 * 60);

/// The time between two reads of the queue: the error of the delay.
const EVERY: Duration = Duration::from_secs(5);

/// How much later than the first event the others may come.
const STRAGGLERS: Duration = Duration::from_secs(2 * 60);

const CODE: &str = "ProvisionedThroughputExceededException";

pub(super) static STEP: Step = Step {
    name: "cloudtrail",
    about: "Creates a trail for writes, a rule and a queue, has writes refused by a shard and by a key, and waits for \
            the events. The trail leaves its files in your bucket.",
    facts: &[SINGLE, BATCH, DELAY, KMS],
    minutes: 25,
    // Data events at $0.10 for 100,000, a key at $1 a month, and files of some KB.
    uses: Use {
        shards: 2,
        records: flood::A_ROUND + (1 + 2 * FLOODS as u64) * 11 * flood::LARGE as u64,
        other_usd: 0.02,
        each_stream_usd: 0.0,
    },
    records_all_writes: true,
    flag: Some(FLAG),
    run: |context| Box::pin(run(context)),
};

async fn run(context: &Context) -> Tried<()> {
    let Some(bucket) = context.allowed.trail_bucket.as_deref() else {
        let problem = format!("give {FLAG} and the name of a bucket whose policy lets CloudTrail write");
        return Err(Trouble::NotAvailable(problem));
    };
    trail(context, bucket).await?;
    let detail = json!({"eventName": ["PutRecord", "PutRecords"], "errorCode": [{"exists": true}]});
    let events = Events::of(context, &json!({"source": ["aws.kinesis"], "detail": detail})).await?;
    let stream = context.stream("", 1).await?;
    let encrypted = match kms::encrypted(context, "-encrypted").await {
        Ok((stream, key)) => {
            kms::disable(context, &key).await?;
            Some(stream)
        }
        Err(trouble @ Trouble::Failed(_)) => return Err(trouble),
        Err(trouble) => {
            context.found(KMS.id, Verdict::NotAvailable, trouble.to_string());
            None
        }
    };
    context.time.sleep(WARM).await;
    let mut batches = Answers::default();
    flood::full_round(context, &stream, &mut batches).await?;
    flood::large_round(context, &stream, &mut batches).await?;
    for _ in 0..FLOODS {
        for stream in [Some(&stream), encrypted.as_ref()].into_iter().flatten() {
            put_records_alone(context, stream).await?;
        }
        context.time.sleep(APART).await;
    }
    let of_stream = wait(context, &events, &stream, encrypted.as_deref()).await?;
    let (verdict, seen) = of_batches(&of_stream, &batches);
    context.found(BATCH.id, verdict, seen);
    Ok(())
}

/// Creates a trail for the writes of all streams, and starts it. A selector by ARN would miss calls by name.
async fn trail(context: &Context, bucket: &str) -> Tried<()> {
    let (name, cloudtrail) = (context.name(""), &context.clients.cloudtrail);
    let tag = Tag::builder().key(TAG_KEY).value(&name).build().map_err(unbuilt)?;
    let create = cloudtrail.create_trail().name(&name).s3_bucket_name(bucket).tags_list(tag);
    let create = create.is_multi_region_trail(false).include_global_service_events(false);
    let create = async || {
        let create = create.clone();
        context.create(Kind::Trail, &name, async { answered("CreateTrail", create.send().await) }).await
    };
    match told(&context.time, "CreateTrail", create).await? {
        // An attempt before this one has created it: no other trail has this name.
        Err(refusal) if refusal.code != "TrailAlreadyExistsException" => {
            return Err(Trouble::NotAvailable(format!("AWS refused a trail to the bucket `{bucket}`: {refusal}")));
        }
        _ => {}
    }
    let mut selector = AdvancedEventSelector::builder().name("writes");
    for (field, values) in [
        ("eventCategory", &["Data"][..]),
        ("resources.type", &["AWS::Kinesis::Stream"]),
        ("eventName", &["PutRecord", "PutRecords"]),
    ] {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        let field = AdvancedFieldSelector::builder().field(field).set_equals(Some(values)).build().map_err(unbuilt)?;
        selector = selector.field_selectors(field);
    }
    let selector = selector.build().map_err(unbuilt)?;
    let put = cloudtrail.put_event_selectors().trail_name(&name).advanced_event_selectors(selector);
    done("PutEventSelectors", put.send().await)?;
    done("StartLogging", cloudtrail.start_logging().name(&name).send().await).map(drop)
}

/// `PutRecord` calls with more bytes than a shard takes. AWS refuses some, or all of an encrypted stream.
async fn put_records_alone(context: &Context, stream: &str) -> Tried<()> {
    let put = |_| context.clients.once.put_record().stream_name(stream).partition_key("a").data(flood::large()).send();
    for answer in join_all((0..flood::LARGE).map(put)).await {
        let _ = answered("PutRecord", answer)?;
    }
    Ok(())
}

/// The error codes that events of a stream have, each with the least delay, in seconds.
type Codes = BTreeMap<String, i64>;

/// Waits for the events, and says what they show of `PutRecord`. Returns the codes of the stream.
async fn wait(context: &Context, events: &Events, stream: &str, encrypted: Option<&str>) -> Tried<Codes> {
    let (mut of_stream, mut of_encrypted, begin) = (Codes::new(), Codes::new(), Instant::now());
    while context.time.since(begin) < LIMIT && (of_stream.is_empty() || encrypted.is_some() && of_encrypted.is_empty())
    {
        for event in events.receive(context).await? {
            add(&event, stream, context.time.now(), &mut of_stream);
            if let Some(encrypted) = encrypted {
                add(&event, encrypted, context.time.now(), &mut of_encrypted);
            }
        }
        context.time.sleep(EVERY).await;
    }
    // The events of calls of the same second come one after another.
    let begin = Instant::now();
    while !of_stream.is_empty() && context.time.since(begin) < STRAGGLERS {
        for event in events.receive(context).await? {
            add(&event, stream, context.time.now(), &mut of_stream);
        }
        context.time.sleep(EVERY).await;
    }
    conclude(context, &of_stream, encrypted.map(|_| &of_encrypted));
    Ok(of_stream)
}

/// Adds the code of an event of a stream.
fn add(event: &Value, stream: &str, now: DateTime<Utc>, codes: &mut Codes) {
    let detail = &event["detail"];
    let is_of_stream =
        detail["requestParameters"].to_string().contains(stream) || detail["resources"].to_string().contains(stream);
    let (Some(code), true) = (detail["errorCode"].as_str(), is_of_stream) else { return };
    let time = detail["eventTime"].as_str().and_then(|time| DateTime::parse_from_rfc3339(time).ok());
    let delay = time.map_or(0, |time| (now - time.to_utc()).num_seconds());
    let call = detail["eventName"].as_str().unwrap_or("a call");
    let least = codes.entry(format!("{call} {code}")).or_insert(delay);
    *least = delay.min(*least);
}

fn conclude(context: &Context, of_stream: &Codes, of_encrypted: Option<&Codes>) {
    let words = |codes: &Codes| {
        let words: Vec<String> = codes.iter().map(|(code, delay)| format!("{code} after {delay} s")).collect();
        if words.is_empty() { format!("no event within {} s", LIMIT.as_secs()) } else { words.join(", ") }
    };
    context.compare(SINGLE.id, of_stream.contains_key(&format!("PutRecord {CODE}")), words(of_stream));
    match of_stream.values().min() {
        Some(delay) => context.compare(DELAY.id, *delay <= 15 * 60, format!("{delay} s after the call")),
        None => context.found(DELAY.id, Verdict::Different, words(of_stream)),
    }
    if let Some(codes) = of_encrypted {
        context.found(KMS.id, of_key(codes), words(codes));
    }
}

/// What the codes of the encrypted stream say of its key. A full shard and a rate of calls refuse writes, too, and say
/// nothing of the key.
fn of_key(codes: &Codes) -> Verdict {
    let codes: Vec<&str> = codes.keys().filter_map(|code| code.split(' ').nth(1)).collect();
    let is_of_key =
        |code: &&str| *code != CODE && !Refusal { code: (*code).to_owned(), message: String::new() }.is_of_account();
    let of_key: Vec<&str> = codes.iter().copied().filter(is_of_key).collect();
    if of_key.is_empty() && !codes.is_empty() {
        return Verdict::NotAvailable;
    }
    let is_expected = |code: &&str| code.starts_with("KMS") || *code == "AccessDenied";
    if !of_key.is_empty() && of_key.iter().all(is_expected) { Verdict::Seen } else { Verdict::Different }
}

/// What CloudTrail says of `PutRecords`. Without an event of another call, its silence says nothing.
fn of_batches(of_stream: &Codes, batches: &Answers) -> (Verdict, String) {
    let counts = format!("{} calls refused in part, {} refused as a whole", batches.partly, batches.wholly);
    let codes: Vec<&str> = of_stream.keys().filter_map(|code| code.strip_prefix("PutRecords ")).collect();
    if !codes.is_empty() {
        return (Verdict::Different, format!("{}; {counts}", codes.join(", ")));
    }
    if of_stream.is_empty() || batches.partly + batches.wholly == 0 {
        let why = "the step needs an event of a refused `PutRecord`, and a refused `PutRecords`";
        return (Verdict::NotAvailable, format!("{why}; {counts}"));
    }
    (Verdict::Seen, format!("no event with a code; {counts}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_shard_says_nothing_of_the_key() {
        for (calls, verdict) in [
            (
                &["PutRecord KMSDisabledException", "PutRecord ProvisionedThroughputExceededException"][..],
                Verdict::Seen,
            ),
            (&["PutRecord AccessDenied", "PutRecord ThrottlingException"], Verdict::Seen),
            (&["PutRecord ProvisionedThroughputExceededException"], Verdict::NotAvailable),
            (&["PutRecord InvalidArgumentException"], Verdict::Different),
            (&[], Verdict::Different),
        ] {
            let codes = calls.iter().map(|call| ((*call).to_owned(), 60)).collect();
            assert_eq!(of_key(&codes), verdict, "{calls:?}");
        }
    }

    #[test]
    fn silence_about_put_records_counts_only_beside_an_event_of_put_record() {
        let refused = Answers { partly: 4, wholly: 8, ..Answers::default() };
        let codes = |calls: &[&str]| calls.iter().map(|call| (format!("{call} {CODE}"), 60)).collect::<Codes>();
        let verdict = |calls: &[&str], batches: &Answers| of_batches(&codes(calls), batches).0;
        assert_eq!(verdict(&["PutRecord"], &refused), Verdict::Seen);
        assert_eq!(verdict(&["PutRecord", "PutRecords"], &refused), Verdict::Different);
        assert_eq!(verdict(&[], &refused), Verdict::NotAvailable);
        assert_eq!(verdict(&["PutRecord"], &Answers::default()), Verdict::NotAvailable);
        assert!(
            of_batches(&codes(&["PutRecord"]), &refused).1.contains("4 calls refused in part, 8 refused as a whole")
        );
    }
}
