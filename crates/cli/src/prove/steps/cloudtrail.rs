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
    let mut plain = Written::to(context.stream("", 1).await?);
    let mut encrypted = match kms::encrypted(context, "-encrypted").await {
        Ok((stream, key)) => {
            kms::disable(context, &key).await?;
            Some(Written::to(stream))
        }
        Err(trouble @ Trouble::Failed(_)) => return Err(trouble),
        Err(trouble) => {
            context.found(KMS.id, Verdict::NotAvailable, trouble.to_string());
            None
        }
    };
    context.time.sleep(WARM).await;
    let mut batches = Answers::default();
    flood::full_round(context, &plain.stream, &mut batches).await?;
    flood::large_round(context, &plain.stream, &mut batches).await?;
    for _ in 0..FLOODS {
        for written in std::iter::once(&mut plain).chain(&mut encrypted) {
            put_records_alone(context, written).await?;
        }
        context.time.sleep(APART).await;
    }
    wait(context, &events, &mut plain, &mut encrypted).await?;
    conclude(context, &plain, encrypted.as_ref());
    let (verdict, seen) = of_batches(&plain.codes, &batches);
    context.found(BATCH.id, verdict, seen);
    Ok(())
}

/// What the calls of `PutRecord` to a stream were answered, and what CloudTrail says of them.
#[derive(Default)]
struct Written {
    stream: String,
    /// The refusals. A refused rate of calls says nothing of a write, and is left out.
    refusals: Vec<Refusal>,
    codes: Codes,
}

impl Written {
    fn to(stream: String) -> Written {
        Written { stream, ..Written::default() }
    }

    /// Whether the shard was full for a call.
    fn was_full(&self) -> bool {
        self.refusals.iter().any(|refusal| refusal.code == CODE)
    }

    /// Whether the key stopped a call.
    fn was_stopped(&self) -> bool {
        self.refusals.iter().any(|refusal| is_of_key(&refusal.code))
    }

    /// The error codes of the events that the key caused.
    fn of_key(&self) -> impl Iterator<Item = &str> {
        self.codes.keys().filter_map(|code| code.split(' ').nth(1)).filter(|code| is_of_key(code))
    }

    /// Whether CloudTrail owes an event of the key.
    fn lacks_key(&self) -> bool {
        self.was_stopped() && self.of_key().next().is_none()
    }
}

/// Whether an error code is one of a key. A full shard and a rate of calls refuse writes, too, and say nothing of it.
fn is_of_key(code: &str) -> bool {
    code != CODE && !Refusal { code: code.to_owned(), message: String::new() }.is_of_account()
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

/// `PutRecord` calls with more bytes than a shard takes in a second. AWS refuses some, or all of an encrypted stream. A
/// shard may take a short burst, so it may also refuse none.
async fn put_records_alone(context: &Context, to: &mut Written) -> Tried<()> {
    let put = context.clients.once.put_record().stream_name(&to.stream).partition_key("a");
    let put = |_| put.clone().data(flood::large()).send();
    for answer in join_all((0..flood::LARGE).map(put)).await {
        let refusal = answered("PutRecord", answer)?.err();
        to.refusals.extend(refusal.filter(|refusal| !refusal.is_of_account()));
    }
    Ok(())
}

/// The error codes that events of a stream have, each with the least delay, in seconds.
type Codes = BTreeMap<String, i64>;

/// Waits for the events of both streams.
async fn wait(context: &Context, events: &Events, plain: &mut Written, encrypted: &mut Option<Written>) -> Tried<()> {
    let begin = Instant::now();
    while context.time.since(begin) < LIMIT
        && (plain.codes.is_empty() || encrypted.as_ref().is_some_and(Written::lacks_key))
    {
        receive(context, events, plain, encrypted).await?;
    }
    // The events of calls of the same second come one after another.
    let begin = Instant::now();
    while !plain.codes.is_empty() && context.time.since(begin) < STRAGGLERS {
        receive(context, events, plain, encrypted).await?;
    }
    Ok(())
}

/// Adds the events that have come, and waits until the next ones may be there.
async fn receive(
    context: &Context,
    events: &Events,
    plain: &mut Written,
    encrypted: &mut Option<Written>,
) -> Tried<()> {
    for event in events.receive(context).await? {
        for written in std::iter::once(&mut *plain).chain(&mut *encrypted) {
            add(&event, &written.stream, context.time.now(), &mut written.codes);
        }
    }
    context.time.sleep(EVERY).await;
    Ok(())
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

/// Says what the events show of `PutRecord`, and of the key.
fn conclude(context: &Context, plain: &Written, encrypted: Option<&Written>) {
    let (single, delay) = of_single(plain);
    context.found(SINGLE.id, single, in_words(plain));
    context.found(DELAY.id, delay.0, delay.1);
    if let Some(encrypted) = encrypted {
        context.found(KMS.id, of_key(encrypted), in_words(encrypted));
    }
}

/// The events, and the refusals without which none is due.
fn in_words(written: &Written) -> String {
    let words: Vec<String> = written.codes.iter().map(|(code, delay)| format!("{code} after {delay} s")).collect();
    let events = if words.is_empty() { format!("no event within {} s", LIMIT.as_secs()) } else { words.join(", ") };
    format!("{events}; calls of `PutRecord` that AWS refused: {}", written.refusals.len())
}

/// What the events say of a refused `PutRecord`, and of their delay. Without a refused call, silence says nothing.
fn of_single(written: &Written) -> (Verdict, (Verdict, String)) {
    let silence = |is_due: bool| if is_due { Verdict::Different } else { Verdict::NotAvailable };
    let is_there = written.codes.contains_key(&format!("PutRecord {CODE}"));
    let single = if is_there { Verdict::Seen } else { silence(written.was_full()) };
    let delay = match written.codes.values().min() {
        Some(delay) if *delay <= 15 * 60 => (Verdict::Seen, format!("{delay} s after the call")),
        Some(delay) => (Verdict::Different, format!("{delay} s after the call")),
        None => (silence(!written.refusals.is_empty()), in_words(written)),
    };
    (single, delay)
}

/// What the events of the encrypted stream say of its key. Without a call that the key stopped, silence says nothing.
fn of_key(written: &Written) -> Verdict {
    let is_expected = |code: &str| code.starts_with("KMS") || code == "AccessDenied";
    match written.of_key().next() {
        Some(_) if written.of_key().all(is_expected) => Verdict::Seen,
        None if !written.was_stopped() => Verdict::NotAvailable,
        _ => Verdict::Different,
    }
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

    /// A stream with these error codes in its events and in the answers to its calls.
    fn written(events: &[&str], refusals: &[&str]) -> Written {
        let refusal = |code: &&str| Refusal { code: (*code).to_owned(), message: String::new() };
        let codes = events.iter().map(|event| ((*event).to_owned(), 60)).collect();
        Written { codes, refusals: refusals.iter().map(refusal).collect(), ..Written::default() }
    }

    #[test]
    fn a_full_shard_says_nothing_of_the_key() {
        const DISABLED: &str = "KMSDisabledException";
        for (events, refusals, verdict, waits) in [
            (
                &["PutRecord KMSDisabledException", "PutRecord ProvisionedThroughputExceededException"][..],
                &[DISABLED][..],
                Verdict::Seen,
                false,
            ),
            (&["PutRecord AccessDenied", "PutRecord ThrottlingException"], &[DISABLED], Verdict::Seen, false),
            (&["PutRecord ProvisionedThroughputExceededException"], &[CODE], Verdict::NotAvailable, false),
            (&["PutRecord ProvisionedThroughputExceededException"], &[CODE, DISABLED], Verdict::Different, true),
            (&["PutRecord InvalidArgumentException"], &[DISABLED], Verdict::Different, false),
            (&[], &[DISABLED], Verdict::Different, true),
            (&[], &[CODE], Verdict::NotAvailable, false),
            (&[], &[], Verdict::NotAvailable, false),
        ] {
            let written = written(events, refusals);
            assert_eq!((of_key(&written), written.lacks_key()), (verdict, waits), "{events:?} {refusals:?}");
        }
    }

    #[test]
    fn silence_about_put_record_counts_only_after_a_refused_call() {
        use Verdict::{Different, NotAvailable, Seen};
        for (events, refusals, single, delay) in [
            (&["PutRecord ProvisionedThroughputExceededException"][..], &[CODE][..], Seen, Seen),
            (&["PutRecord ThrottledException"], &[CODE], Different, Seen),
            (&[], &[CODE], Different, Different),
            (&[], &[], NotAvailable, NotAvailable),
            (&["PutRecords ProvisionedThroughputExceededException"], &[], NotAvailable, Seen),
        ] {
            let (found, (of_delay, _)) = of_single(&written(events, refusals));
            assert_eq!((found, of_delay), (single, delay), "{events:?} {refusals:?}");
        }
        let late = Written { codes: [(format!("PutRecord {CODE}"), 16 * 60)].into(), ..written(&[], &[CODE]) };
        assert_eq!(of_single(&late), (Seen, (Different, "960 s after the call".into())));
        assert_eq!(in_words(&written(&[], &[CODE])), "no event within 900 s; calls of `PutRecord` that AWS refused: 1");
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
