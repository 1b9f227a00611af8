//! More records than a shard takes.

use super::again::told;
use super::context::Context;
use super::trouble::{Refusal, Tried, answered};
use aws_sdk_kinesis::operation::put_records::PutRecordsOutput;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use futures_util::future::join_all;

/// Records of a request: the most that AWS takes.
const BATCH: usize = 500;

/// Requests of a round that are sent at once. Each shard takes 1,000 records a second, so 2,000 are too many.
const REQUESTS: usize = 4;

/// Large records that are sent at once: twice what a shard takes in a second.
pub(super) const LARGE: usize = 8;

/// Records that a round of full requests offers to a stream.
pub(super) const A_ROUND: u64 = (REQUESTS * BATCH) as u64;

/// What AWS answered to requests of the same kind.
#[derive(Debug, Default)]
pub(super) struct Answers {
    pub accepted: u64,
    pub refused: u64,
    /// The codes of refused records in answers with HTTP 200, once each.
    pub codes: Vec<String>,
    /// Answers that refused a part of their records.
    pub partly: u64,
    /// Answers with HTTP 200 that refused all of their records.
    pub wholly: u64,
    /// Requests that AWS refused as a whole, once for each code.
    pub refusals: Vec<Refusal>,
}

impl Answers {
    /// Counts the answer to a request of `records`. A refused rate of calls says nothing of the shard.
    pub fn add(&mut self, records: usize, answer: Result<PutRecordsOutput, Refusal>) {
        let records = match answer {
            Ok(answer) => answer.records,
            Err(refusal) if refusal.is_of_account() => return,
            Err(refusal) => return self.refuse(records, refusal),
        };
        let refused = records.iter().filter_map(|record| record.error_code());
        let codes: Vec<&str> = refused.collect();
        self.refused += codes.len() as u64;
        self.accepted += (records.len() - codes.len()) as u64;
        self.wholly += u64::from(!codes.is_empty() && codes.len() == records.len());
        self.partly += u64::from(!codes.is_empty() && codes.len() < records.len());
        for code in codes {
            if !self.codes.iter().any(|known| known == code) {
                self.codes.push(code.to_owned());
            }
        }
    }

    /// Counts the refusal of a whole request of `records`: AWS has refused each of them.
    fn refuse(&mut self, records: usize, refusal: Refusal) {
        self.refused += records as u64;
        if self.refusals.iter().all(|known| known.code != refusal.code) {
            self.refusals.push(refusal);
        }
    }
}

/// Sends full requests at once.
///
/// # Errors
/// A call failed, or the endpoint does not have it.
pub(super) async fn full_round(context: &Context, stream: &str, answers: &mut Answers) -> Tried<()> {
    send(context, stream, (REQUESTS, BATCH), answers).await
}

/// Sends three quarters of a round: a second of it is too much for one shard, and not for two.
///
/// # Errors
/// As [`full_round`].
pub(super) async fn overload_of_one(context: &Context, stream: &str, answers: &mut Answers) -> Tried<()> {
    send(context, stream, (REQUESTS * 3 / 4, BATCH), answers).await
}

async fn send(
    context: &Context,
    stream: &str,
    (requests, records): (usize, usize),
    answers: &mut Answers,
) -> Tried<()> {
    for answer in join_all((0..requests).map(|_| put(context, stream, records, Blob::new(*b"unthrottle prove")))).await
    {
        answers.add(records, answer?);
    }
    Ok(())
}

/// Sends requests of one large record at once: together, more bytes than a shard takes in a second.
///
/// # Errors
/// As [`full_round`].
pub(super) async fn large_round(context: &Context, stream: &str, answers: &mut Answers) -> Tried<()> {
    for answer in join_all((0..LARGE).map(|_| put(context, stream, 1, large()))).await {
        answers.add(1, answer?);
    }
    Ok(())
}

/// The data of a large record: a quarter of what a shard takes in a second.
pub(super) fn large() -> Blob {
    Blob::new(vec![b'x'; 256 * 1024])
}

/// Writes a small record by PutRecord, and returns AWS's refusal, if it refuses it.
///
/// # Errors
/// As [`full_round`], and a refused rate of calls that stays.
pub(super) async fn one_record(context: &Context, stream: &str) -> Tried<Option<Refusal>> {
    let put = context.clients.once.put_record().stream_name(stream).partition_key("a").data(Blob::new(*b"one"));
    let put = async || answered("PutRecord", put.clone().send().await);
    Ok(told(&context.time, "PutRecord", put).await?.err())
}

async fn put(context: &Context, stream: &str, records: usize, data: Blob) -> Tried<Result<PutRecordsOutput, Refusal>> {
    let entry = |number: usize| {
        let entry = PutRecordsRequestEntry::builder().partition_key(number.to_string());
        // Both fields are set.
        entry.data(data.clone()).build().ok()
    };
    let records: Vec<PutRecordsRequestEntry> = (0..records).filter_map(entry).collect();
    let put = context.clients.once.put_records().stream_name(stream).set_records(Some(records));
    answered("PutRecords", put.send().await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_a_request_that_is_refused_as_a_whole_are_refused() {
        let mut answers = Answers::default();
        let refusal = Refusal { code: "ProvisionedThroughputExceededException".into(), message: String::new() };
        answers.add(500, Err(refusal.clone()));
        answers.add(1, Err(refusal.clone()));
        answers.add(1, Err(Refusal { code: "ThrottlingException".into(), message: "Rate exceeded".into() }));
        assert_eq!((answers.refused, answers.accepted, answers.refusals), (501, 0, vec![refusal]));
    }
}
