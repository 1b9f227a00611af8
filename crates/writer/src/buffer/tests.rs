use super::*;
use crate::options::{Backoff, Batch, Retry};
use crate::record::Origin;

const SECOND: Duration = Duration::from_secs(1);

fn record(data: &str, key: &str, born: Instant) -> Record {
    let origin = Origin { source: "test".into(), line: 1 };
    Record { data: data.into(), key: Key::Given(key.into()), hash_key: None, origin, born, parts: vec![] }
}

fn options() -> Options {
    let retry = Retry { backoff: Backoff::Constant, ..Retry::default() };
    Options { retry, is_paced: false, ..Options::default() }
}

fn buffer(options: Options, now: Instant) -> Buffer {
    Buffer::new(options, Limits { record_bytes: 1000, batch_bytes: 1000 }, now)
}

/// The data of the records of the next request.
fn sent(request: &Option<Request>) -> Vec<String> {
    let records = request.iter().flat_map(|request| &request.records);
    records.map(|pending| String::from_utf8_lossy(&pending.record.data).into_owned()).collect()
}

fn refused(shard: &str) -> Fate {
    Fate::Refused { shard: Some(shard.into()), cause: "throttled".into() }
}

fn accepted(shard: &str) -> Fate {
    Fate::Accepted { shard: shard.into() }
}

#[test]
fn a_request_is_full_at_its_records_at_its_bytes_or_at_its_time() {
    let now = Instant::now();
    let batch = Batch { size: 2, max_bytes: 30, duration: 5 * SECOND };
    let mut buffer = buffer(Options { batch, ..options() }, now);
    buffer.push(record("a", "k", now));
    assert_eq!(sent(&buffer.next_request(now, false)), [""; 0], "one record waits for others");
    assert_eq!(buffer.wake_at(now, false), Some(now + 5 * SECOND));
    buffer.push(record("b", "k", now));
    buffer.push(record("c", "k", now));
    assert_eq!(sent(&buffer.next_request(now, false)), ["a", "b"], "two records are full");
    assert_eq!(sent(&buffer.next_request(now + 5 * SECOND, false)), ["c"], "its time is over");
    let large = "x".repeat(20);
    buffer.push(record(&large, "k", now));
    buffer.push(record(&large, "k", now));
    assert_eq!(sent(&buffer.next_request(now, false)), [large.as_str()], "two would have 42 bytes");
    assert_eq!(sent(&buffer.next_request(now, true)), [large], "no more records come");
}

#[test]
fn only_refused_records_go_again_and_new_ones_fill_the_request() {
    let now = Instant::now();
    let mut buffer = buffer(options(), now);
    ["a", "b", "c"].iter().for_each(|data| buffer.push(record(data, data, now)));
    let request = buffer.next_request(now, true).expect("a request");
    buffer.settle(request, Answer::Records(vec![accepted("1"), refused("1"), accepted("2")]), now);
    buffer.push(record("new", "n", now));
    assert_eq!(sent(&buffer.next_request(now + SECOND, false)), ["b", "new"]);
    assert_eq!((buffer.stats.accepted, buffer.stats.refused, buffer.stats.retried), (2, 1, 1));
}

#[test]
fn a_shard_that_refuses_all_holds_its_own_records_and_no_others() {
    let now = Instant::now();
    let retry = Retry { initial_wait: 10 * SECOND, ..options().retry };
    let mut buffer = buffer(Options { retry, seed: 3, ..options() }, now);
    buffer.push(record("full", "f", now));
    buffer.push(record("half", "h", now));
    buffer.push(record("other", "h", now));
    let request = buffer.next_request(now, true).expect("a request");
    buffer.settle(request, Answer::Records(vec![refused("full"), refused("half"), accepted("half")]), now);
    let until = buffer.closed["full"];
    assert!(!buffer.closed.contains_key("half"), "it accepted one");
    // A record of the closed shard that is due before waits, too.
    let mut early = Pending::new(record("early", "f", now));
    early.shard = Some("full".into());
    buffer.waiting.insert((now, 100), early);
    let before = buffer.next_request(until - Duration::from_millis(1), false);
    assert!(!sent(&before).contains(&"early".to_owned()), "{:?}", sent(&before));
    let after = sent(&buffer.next_request(until, false));
    assert!(after.contains(&"early".to_owned()) && after.contains(&"full".to_owned()), "{after:?}");
}

#[test]
fn requests_that_fail_together_are_one_failure_and_the_next_goes_alone_after_a_wait() {
    let now = Instant::now();
    let batch = Batch { size: 1, ..Batch::default() };
    let mut buffer = buffer(Options { batch, ..options() }, now);
    ["a", "b", "c"].iter().for_each(|data| buffer.push(record(data, data, now)));
    let requests: Vec<Request> = (0..2).filter_map(|_| buffer.next_request(now, true)).collect();
    for request in requests {
        buffer.settle(request, Answer::NotDone("no connection".into()), now);
    }
    assert_eq!((buffer.failures, buffer.most_in_flight()), (1, 1));
    let until = buffer.paused_until.expect("a pause");
    assert!(until <= now + SECOND, "the first wait");
    assert_eq!(sent(&buffer.next_request(until - Duration::from_nanos(1), true)), [""; 0], "new records wait, too");
    let request = buffer.next_request(until, true).expect("a request");
    buffer.settle(request, Answer::Records(vec![accepted("1")]), until);
    assert_eq!((buffer.failures, buffer.paused_until, buffer.stats.lost_replies), (0, None, 0));
}

#[test]
fn an_answer_with_the_wrong_number_of_results_is_a_lost_reply() {
    let now = Instant::now();
    let mut buffer = buffer(options(), now);
    ["a", "b"].iter().for_each(|data| buffer.push(record(data, data, now)));
    let request = buffer.next_request(now, true).expect("a request");
    buffer.settle(request, Answer::Records(vec![accepted("1")]), now);
    assert_eq!((buffer.stats.accepted, buffer.stats.lost_replies, buffer.stats.possible_duplicates), (0, 1, 0));
    assert_eq!(sent(&buffer.next_request(now + SECOND, true)), ["a", "b"]);
    assert_eq!(buffer.stats.possible_duplicates, 2, "both were sent again");
}

#[test]
fn the_last_attempt_is_at_the_deadline_and_then_the_record_is_lost() {
    let now = Instant::now();
    let retry = Retry { max_retries: 100, initial_wait: 3600 * SECOND, max_wait: 3600 * SECOND, ..options().retry };
    let mut buffer = buffer(Options { retry, ttl: 2 * SECOND, ..options() }, now);
    buffer.push(record("a", "k", now));
    let request = buffer.next_request(now, true).expect("a request");
    buffer.settle(request, Answer::Records(vec![refused("1")]), now);
    assert_eq!(buffer.wake_at(now, true), Some(now + 2 * SECOND));
    let request = buffer.next_request(now + 2 * SECOND, true).expect("the last attempt");
    buffer.settle(request, Answer::Records(vec![refused("1")]), now + 2 * SECOND);
    let lost = buffer.take_lost();
    assert!(matches!(&lost[..], [Lost { why: Why::Deadline(_), attempts: 2, .. }]), "{lost:?}");
    assert!(buffer.is_empty());
}

#[test]
fn a_denied_request_loses_its_records_with_the_reason() {
    let now = Instant::now();
    let mut buffer = buffer(options(), now);
    buffer.push(record("a", "k", now));
    let request = buffer.next_request(now, true).expect("a request");
    buffer.settle(request, Answer::Fatal("AccessDeniedException".into()), now);
    let lost = buffer.take_lost();
    assert_eq!(lost[0].why, Why::Stopped("AccessDeniedException".into()));
    assert!(!lost[0].is_maybe_written);
}
