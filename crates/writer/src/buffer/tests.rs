use super::*;
use crate::options::{Backoff, Batch, Retry};
use crate::record::{Key, Origin};
use crate::request::{Answer, Fate};

const SECOND: Duration = Duration::from_secs(1);

fn record(data: &str, key: &str, born: Instant) -> Record {
    let origin = Origin { source: "test".into(), line: 1 };
    Record { born, ..Record::new(data.into(), Key::Given(key.into()), origin) }
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
    assert_eq!(sent(&buffer.next_request(now, Flush::No)), [""; 0], "one record waits for others");
    assert_eq!(buffer.wake_at(now, Flush::No), Some(now + 5 * SECOND));
    buffer.push(record("b", "k", now));
    buffer.push(record("c", "k", now));
    assert_eq!(sent(&buffer.next_request(now, Flush::No)), ["a", "b"], "two records are full");
    assert_eq!(sent(&buffer.next_request(now + 5 * SECOND, Flush::No)), ["c"], "its time is over");
    let large = "x".repeat(20);
    buffer.push(record(&large, "k", now));
    buffer.push(record(&large, "k", now));
    assert_eq!(sent(&buffer.next_request(now, Flush::No)), [large.as_str()], "two would have 42 bytes");
    assert_eq!(sent(&buffer.next_request(now, Flush::All)), [large], "no more records come");
}

#[test]
fn only_refused_records_go_again_and_new_ones_fill_the_request() {
    let now = Instant::now();
    let mut buffer = buffer(options(), now);
    ["a", "b", "c"].iter().for_each(|data| buffer.push(record(data, data, now)));
    let request = buffer.next_request(now, Flush::All).expect("a request");
    buffer.settle(request, Answer::Records(vec![accepted("1"), refused("1"), accepted("2")]), now);
    buffer.push(record("new", "n", now));
    assert_eq!(sent(&buffer.next_request(now + SECOND, Flush::No)), ["b", "new"]);
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
    let request = buffer.next_request(now, Flush::All).expect("a request");
    buffer.settle(request, Answer::Records(vec![refused("full"), refused("half"), accepted("half")]), now);
    let until = buffer.closed["full"];
    assert!(!buffer.closed.contains_key("half"), "it accepted one");
    // A record of the closed shard that is due before waits, too.
    let mut early = Pending::new(record("early", "f", now));
    early.shard = Some("full".into());
    buffer.waiting.insert((now, 100), early);
    let before = buffer.next_request(until - Duration::from_millis(1), Flush::No);
    assert!(!sent(&before).contains(&"early".to_owned()), "{:?}", sent(&before));
    let after = sent(&buffer.next_request(until, Flush::No));
    assert!(after.contains(&"early".to_owned()) && after.contains(&"full".to_owned()), "{after:?}");
}

#[test]
fn requests_that_fail_together_are_one_failure_and_the_next_goes_alone_after_a_wait() {
    let now = Instant::now();
    let batch = Batch { size: 1, ..Batch::default() };
    let mut buffer = buffer(Options { batch, ..options() }, now);
    ["a", "b", "c"].iter().for_each(|data| buffer.push(record(data, data, now)));
    let requests: Vec<Request> = (0..2).filter_map(|_| buffer.next_request(now, Flush::All)).collect();
    for request in requests {
        buffer.settle(request, Answer::NotDone("no connection".into()), now);
    }
    assert_eq!((buffer.failures, buffer.most_in_flight()), (1, 1));
    let until = buffer.paused_until.expect("a pause");
    assert!(until <= now + SECOND, "the first wait");
    assert_eq!(
        sent(&buffer.next_request(until - Duration::from_nanos(1), Flush::All)),
        [""; 0],
        "new records wait, too"
    );
    let request = buffer.next_request(until, Flush::All).expect("a request");
    buffer.settle(request, Answer::Records(vec![accepted("1")]), until);
    assert_eq!((buffer.failures, buffer.paused_until, buffer.stats.lost_replies), (0, None, 0));
}

#[test]
fn an_answer_with_the_wrong_number_of_results_is_a_lost_reply() {
    let now = Instant::now();
    let mut buffer = buffer(options(), now);
    ["a", "b"].iter().for_each(|data| buffer.push(record(data, data, now)));
    let request = buffer.next_request(now, Flush::All).expect("a request");
    buffer.settle(request, Answer::Records(vec![accepted("1")]), now);
    assert_eq!((buffer.stats.accepted, buffer.stats.lost_replies, buffer.stats.possible_duplicates), (0, 1, 0));
    assert_eq!(sent(&buffer.next_request(now + SECOND, Flush::All)), ["a", "b"]);
    assert_eq!(buffer.stats.possible_duplicates, 2, "both were sent again");
}

#[test]
fn the_last_attempt_is_at_the_deadline_and_then_the_record_is_lost() {
    let now = Instant::now();
    let retry = Retry { max_retries: 100, initial_wait: 3600 * SECOND, max_wait: 3600 * SECOND, ..options().retry };
    let mut buffer = buffer(Options { retry, ttl: 2 * SECOND, ..options() }, now);
    buffer.push(record("a", "k", now));
    let request = buffer.next_request(now, Flush::All).expect("a request");
    buffer.settle(request, Answer::Records(vec![refused("1")]), now);
    assert_eq!(buffer.wake_at(now, Flush::All), Some(now + 2 * SECOND));
    let request = buffer.next_request(now + 2 * SECOND, Flush::All).expect("the last attempt");
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
    let request = buffer.next_request(now, Flush::All).expect("a request");
    buffer.settle(request, Answer::Fatal("AccessDeniedException".into()), now);
    let lost = buffer.take_lost();
    assert_eq!(lost[0].why, Why::Stopped("AccessDeniedException".into()));
    assert!(!lost[0].is_maybe_written);
}

#[test]
fn attempts_without_a_connection_use_up_no_attempt_and_end_at_the_deadline() {
    let start = Instant::now();
    let retry = Retry { max_retries: 1, ..options().retry };
    let mut buffer = buffer(Options { retry, ttl: 30 * SECOND, ..options() }, start);
    buffer.push(record("a", "k", start));
    // Ten failed connections in 20 s, and then the stream answers.
    for second in (0..20).step_by(2) {
        let now = start + second * SECOND;
        let request = buffer.next_request(now, Flush::All).expect("a request");
        buffer.settle(request, Answer::NotSent("connection refused".into()), now);
        assert_eq!(buffer.take_lost(), []);
    }
    let now = start + 21 * SECOND;
    let request = buffer.next_request(now, Flush::All).expect("a request");
    buffer.settle(request, Answer::Records(vec![refused("1")]), now);
    let now = start + 23 * SECOND;
    let request = buffer.next_request(now, Flush::All).expect("its retry");
    buffer.settle(request, Answer::Records(vec![accepted("1")]), now);
    assert_eq!((buffer.stats.accepted, buffer.stats.retried, buffer.stats.possible_duplicates), (1, 1, 0));
    // An outage without end.
    buffer.push(record("b", "k", now));
    for second in [23, 40, 54] {
        let now = start + second * SECOND;
        let request = buffer.next_request(now, Flush::All).expect("a request");
        buffer.settle(request, Answer::NotSent("connection refused".into()), now);
    }
    let lost = buffer.take_lost();
    assert!(matches!(&lost[..], [Lost { why: Why::Deadline(_), attempts: 0, .. }]), "{lost:?}");
}

/// The data and the reasons of lost records.
fn lost(buffer: &mut Buffer) -> Vec<(String, Why)> {
    let lost = buffer.take_lost().into_iter();
    lost.map(|lost| (String::from_utf8_lossy(&lost.record.data).into_owned(), lost.why)).collect()
}

#[test]
fn with_order_a_rejected_record_loses_the_later_ones_of_its_key_and_no_earlier_one() {
    let now = Instant::now();
    let mut buffer = buffer(Options { is_ordered: true, ..options() }, now);
    let large = "x".repeat(2000);
    for data in ["first", "second", &large, "later"] {
        buffer.push(record(data, "k", now));
    }
    buffer.push(record("other", "o", now));
    assert_eq!(lost(&mut buffer), [], "they wait behind the first one");
    for expected in [&["first", "other"][..], &["second"]] {
        let request = buffer.next_request(now, Flush::All);
        assert_eq!(sent(&request), expected);
        let fates = expected.iter().map(|_| accepted("1")).collect();
        buffer.settle(request.expect("a request"), Answer::Records(fates), now);
    }
    let lost_now = lost(&mut buffer);
    assert!(matches!(&lost_now[..], [(a, Why::Rejected(_)), (b, Why::AfterLost)] if *a == large && b == "later"));
    buffer.push(record("even later", "k", now));
    assert_eq!(lost(&mut buffer), [("even later".into(), Why::AfterLost)]);
    assert_eq!((buffer.stats.accepted, buffer.stats.lost, buffer.stats.rejected), (3, 3, 1));
    assert_eq!(buffer.bytes, 0);
}

#[test]
fn with_order_the_letters_of_a_key_stand_in_their_order_whatever_was_wrong_with_each() {
    let now = Instant::now();
    let retry = Retry { max_retries: 0, ..options().retry };
    let mut buffer = buffer(Options { is_ordered: true, retry, ..options() }, now);
    let large = "x".repeat(2000);
    for data in ["first", &large, "later"] {
        buffer.push(record(data, "k", now));
    }
    let request = buffer.next_request(now, Flush::All).expect("a request");
    buffer.settle(request, Answer::Records(vec![refused("1")]), now);
    let lost: Vec<String> = lost(&mut buffer).into_iter().map(|(data, _)| data).collect();
    assert_eq!(lost, ["first", &large, "later"]);
}

#[test]
fn a_reader_without_room_makes_the_batch_go_although_it_is_not_full() {
    let now = Instant::now();
    let batch = Batch { duration: 3600 * SECOND, ..Batch::default() };
    // Ten keys never make 500 records at a time.
    let mut ordered = buffer(Options { is_ordered: true, is_paced: true, batch: batch.clone(), ..options() }, now);
    let mut number = 0;
    while ordered.has_room(50) {
        ordered.push(record("x", &format!("k{}", number % 10), now));
        number += 1;
    }
    assert_eq!((number, ordered.wake_at(now, Flush::No)), (50, Some(now + 3600 * SECOND)));
    assert_eq!(sent(&ordered.next_request(now, Flush::Full)).len(), 10);
    // Aggregates of eight shards hold thousands of records before the first one is full.
    let options = Options { is_paced: true, aggregates: true, batch, most_bytes: 1 << 20, ..options() };
    let mut aggregated = Buffer::new(options, Limits { record_bytes: 1 << 20, batch_bytes: 5 << 20 }, now);
    let width = u128::MAX / 8;
    let shards = (0..8).map(|n| Shard { id: n.to_string(), first: n * width, last: n * width + (width - 1) });
    aggregated.aggregate(shards.collect());
    for number in 0..1000 {
        assert!(aggregated.has_room(50), "an open aggregate is no record that waits");
        aggregated.push(record("x", &format!("k{number}"), now));
    }
    assert_eq!(sent(&aggregated.next_request(now, Flush::No)).len(), 0, "no aggregate is full");
    let request = aggregated.next_request(now, Flush::Full).expect("nothing else can go");
    let parts: u64 = request.records.iter().map(|pending| pending.record.count()).sum();
    assert_eq!((request.records.len(), parts), (8, 1000));
    let fates = vec![accepted("0"); 8];
    aggregated.settle(request, Answer::Records(fates), now);
    assert_eq!((aggregated.stats.accepted, aggregated.bytes), (1000, 0));
}

#[test]
fn a_letter_of_a_lost_reply_is_a_possible_duplicate_alone_and_in_an_aggregate() {
    let now = Instant::now();
    let letter = |data| Record { is_maybe_written: true, ..record(data, "k", now) };
    for aggregates in [false, true] {
        let mut buffer = buffer(Options { aggregates, ..options() }, now);
        if aggregates {
            buffer.aggregate(vec![Shard { id: "1".into(), first: 0, last: u128::MAX }]);
        }
        [record("a", "k", now), letter("b"), letter("c")].into_iter().for_each(|record| buffer.push(record));
        let request = buffer.next_request(now, Flush::All).expect("a request");
        assert_eq!(buffer.stats.possible_duplicates, 2, "aggregates: {aggregates}");
        let fates = request.records.iter().map(|_| Fate::Never { cause: "no".into() }).collect();
        buffer.settle(request, Answer::Records(fates), now);
        let maybe: Vec<bool> = buffer.take_lost().iter().map(|lost| lost.is_maybe_written).collect();
        assert_eq!(maybe, [false, true, true], "aggregates: {aggregates}");
    }
}

#[test]
fn a_time_without_end_is_no_panic() {
    let now = Instant::now();
    let batch = Batch { duration: Duration::MAX, ..Batch::default() };
    let mut buffer = buffer(Options { batch, ttl: Duration::MAX, ..options() }, now);
    buffer.push(record("a", "k", now));
    assert!(buffer.wake_at(now, Flush::No).is_some_and(|at| at > now));
    assert!(buffer.next_request(now, Flush::All).is_some());
}
