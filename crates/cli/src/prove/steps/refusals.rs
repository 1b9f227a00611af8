//! How AWS refuses records.

use crate::prove::context::Context;
use crate::prove::flood::{self, A_ROUND, Answers};
use crate::prove::step::{Fact, Step, Use, Verdict};
use crate::prove::trouble::{Refusal, Tried, Trouble, answered};
use futures_util::future::join_all;
use std::time::{Duration, Instant};

const PARTLY: Fact = Fact {
    id: "put-records-partly-refused",
    expected: "`PutRecords` answers HTTP 200 if it refuses a part of the records. Each refused record has the code \
               `ProvisionedThroughputExceededException`.",
    source: "The API reference of `PutRecords`.",
};
const WHOLLY: Fact = Fact {
    id: "put-records-wholly-refused",
    expected: "`PutRecords` answers HTTP 200 also if it refuses every record of a request.",
    source: "No page of AWS.",
};
const SINGLE: Fact = Fact {
    id: "put-record-refused",
    expected: "A refused `PutRecord` fails with `ProvisionedThroughputExceededException`.",
    source: "The API reference of `PutRecord`.",
};

/// The longest flood.
const LIMIT: Duration = Duration::from_secs(60);

/// The fewest rounds of a flood that shows nothing, so that a slow machine on a fast clock still offers a load.
const LEAST_ROUNDS: u64 = 5;

/// The most rounds: about one a second.
const MOST_ROUNDS: u64 = 60;

/// The payload units of a round, in 25 KB: the two kinds of large records are eleven each.
const UNITS_OF_ROUND: u64 = A_ROUND + 2 * 11 * flood::LARGE as u64;

const CODE: &str = "ProvisionedThroughputExceededException";

pub(super) static STEP: Step = Step {
    name: "refusals",
    about: "Floods a stream of one shard until AWS has refused records in each way, for at most a minute.",
    facts: &[PARTLY, WHOLLY, SINGLE],
    minutes: 2,
    uses: Use { shards: 1, records: MOST_ROUNDS * UNITS_OF_ROUND, other_usd: 0.0, each_stream_usd: 0.0 },
    records_all_writes: false,
    flag: None,
    run: |context| Box::pin(run(context)),
};

async fn run(context: &Context) -> Tried<()> {
    let stream = context.stream("", 1).await?;
    let (mut full, mut single, mut alone) = (Answers::default(), Answers::default(), None);
    let (begin, mut rounds) = (Instant::now(), 0);
    while rounds < MOST_ROUNDS && (rounds < LEAST_ROUNDS || context.time.since(begin) < LIMIT) {
        flood::full_round(context, &stream, &mut full).await?;
        flood::large_round(context, &stream, &mut single).await?;
        let records = join_all((0..flood::LARGE).map(|_| put_record(context, &stream))).await;
        for refusal in records {
            alone = alone.or(refusal?);
        }
        rounds += 1;
        let is_wholly = single.wholly > 0 || !single.refusals.is_empty();
        if full.partly > 0 && is_wholly && alone.is_some() {
            break;
        }
    }
    conclude(context, &full, &single, alone)
}

async fn put_record(context: &Context, stream: &str) -> Tried<Option<Refusal>> {
    let put = context.clients.once.put_record().stream_name(stream).partition_key("a").data(flood::large());
    // A refused rate of calls says nothing of the shard.
    Ok(answered("PutRecord", put.send().await)?.err().filter(|refusal| !refusal.is_of_account()))
}

fn conclude(context: &Context, full: &Answers, single: &Answers, alone: Option<Refusal>) -> Tried<()> {
    if full.partly > 0 {
        let seen = format!("{} answers with HTTP 200 refused a part. Codes: {}", full.partly, full.codes.join(", "));
        context.compare(PARTLY.id, full.codes == [CODE], seen);
    }
    let wholly = full.wholly + single.wholly;
    if let Some(refusal) = single.refusals.first().or(full.refusals.first()) {
        context.found(WHOLLY.id, Verdict::Different, format!("the whole request failed with {refusal}"));
    } else if wholly > 0 {
        context.found(WHOLLY.id, Verdict::Seen, format!("{wholly} answers with HTTP 200 refused every record"));
    }
    if let Some(refusal) = alone {
        context.compare(SINGLE.id, refusal.code == CODE, refusal.to_string());
    }
    if context.is_settled() {
        return Ok(());
    }
    let accepted = full.accepted + single.accepted;
    Err(Trouble::NotAvailable(format!(
        "the shard accepted {accepted} records and refused none in at least one of the ways. The step needs an account \
         that limits a shard to 1,000 records and 1 MiB a second, and a connection that carries more"
    )))
}
