//! A writer before a server that throttles, fails, loses replies, cuts answers short and answers out of order. Every
//! record is accepted or reported as lost, and none is there twice without a lost reply.

mod server;

use futures_util::StreamExt;
use server::{Faults, Server};
use std::collections::HashSet;
use std::time::Duration;
use unthrottle_writer::{
    Batch, End, Item, Key, Limits, Lost, Observer, Options, Origin, Record, Retry, Stats, Target, client, feed, run,
    stops,
};

/// No test waits this long on any machine that is alive.
const PATIENCE: Duration = Duration::from_secs(240);

/// Keeps the lost records.
#[derive(Default)]
struct Keeper(Vec<Lost>);

impl Observer for Keeper {
    fn lost(&mut self, lost: &Lost) -> Result<(), String> {
        self.0.push(lost.clone());
        Ok(())
    }

    fn tick(&mut self, _: &Stats, _: Duration) {}

    fn trouble(&mut self, _: &str) {}

    fn stopping(&mut self, _: u64, _: Duration) {}
}

/// A record whose data is its number.
fn record(number: u64, key: Key) -> Record {
    let origin = Origin { source: "test".into(), line: number };
    Record::new(number.to_string().into_bytes(), key, origin)
}

fn number(record: &[u8]) -> u64 {
    std::str::from_utf8(record).expect("text").parse().expect("a number")
}

/// Waits of milliseconds, so that a hundred runs take seconds.
fn options(seed: u64) -> Options {
    let retry = Retry { max_retries: 6, initial_wait: Duration::from_millis(1), ..Retry::default() };
    let batch = Batch { size: 50, duration: Duration::from_millis(5), ..Batch::default() };
    Options { batch, retry, seed, is_paced: false, ..Options::default() }
}

/// Writes records to the server until each is accepted or lost.
async fn write(server: &Server, options: Options, records: Vec<Record>) -> (End, Vec<Lost>) {
    // No reply is only late, so that a slow machine causes no lost one.
    write_within(server, options, records, Duration::from_secs(60)).await
}

/// The same. `attempt`: the longest wait for a reply.
async fn write_within(server: &Server, options: Options, records: Vec<Record>, attempt: Duration) -> (End, Vec<Lost>) {
    let (sender, feed) = feed();
    tokio::task::spawn_blocking(move || {
        for group in records.chunks(100) {
            assert!(sender.send(group.iter().cloned().map(Item::Record).collect()), "the writer takes all");
        }
    });
    let limits = Limits { record_bytes: 1 << 20, batch_bytes: options.batch.max_bytes };
    let client = client(&server.config(), attempt);
    let mut keeper = Keeper::default();
    let target = Target::Name("orders".into());
    let (_stopper, stops) = stops();
    let end = run(client, target, (options, limits), feed, stops, &mut keeper).await;
    (end, keeper.0)
}

/// What must hold after every run, with whatever faults.
fn every_record_is_accounted_for(server: &Server, count: u64, end: &End, lost: &[Lost], run: &str) {
    let (stats, stored) = (&end.stats, server.stored());
    let distinct: HashSet<u64> = stored.iter().map(|stored| number(&stored.data)).collect();
    let lost_numbers: HashSet<u64> = lost.iter().map(|lost| number(&lost.record.data)).collect();
    assert_eq!((stats.attempted, stats.accepted + stats.lost), (count, count), "{run}: {stats:?}");
    assert_eq!((lost_numbers.len() as u64, lost.len() as u64), (stats.lost, stats.lost), "{run}: lost once each");
    let is_safe = |number| distinct.contains(&number) || lost_numbers.contains(&number);
    assert!((1..=count).all(is_safe), "{run}: a record is neither stored nor reported as lost");
    for lost in lost {
        let is_stored = distinct.contains(&number(&lost.record.data));
        assert!(!is_stored || lost.is_maybe_written, "{run}: stored and reported as not written: {lost:?}");
    }
    // The server knows about which records a reply was lost. A copy whose reply arrived is the only one of its kind.
    let known: Vec<u64> = stored.iter().filter(|stored| stored.is_known).map(|stored| number(&stored.data)).collect();
    let known_once: HashSet<u64> = known.iter().copied().collect();
    assert_eq!((known.len(), known.len() as u64), (known_once.len(), stats.accepted), "{run}: each accepted once");
    assert!(known_once.is_disjoint(&lost_numbers), "{run}: accepted and lost");
    let unsure: HashSet<u64> = server.unsure().iter().map(|data| number(data)).collect();
    for lost in lost {
        assert_eq!(lost.is_maybe_written, unsure.contains(&number(&lost.record.data)), "{run}: {lost:?}");
    }
    let extra = stored.iter().filter(|stored| !stored.is_known).map(|stored| number(&stored.data));
    assert!(extra.clone().all(|number| unsure.contains(&number)), "{run}: a duplicate without a lost reply");
    assert_eq!(stats.possible_duplicates, server.again(), "{run}: each record that was sent again after a lost reply");
    assert_eq!(stats.refused, server.refused(), "{run}: every refusal that arrived is counted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_seeds_of_faults_lose_nothing_in_silence() {
    let runs = (0..100).map(|seed| async move {
        let server = Server::start(Faults::all(), seed).await;
        let keys = |n: u64| if n.is_multiple_of(3) { Key::Random } else { Key::Given(format!("key-{}", n % 17)) };
        let records = (1..=1000).map(|n| record(n, keys(n))).collect();
        let (end, lost) = write(&server, options(seed), records).await;
        every_record_is_accounted_for(&server, 1000, &end, &lost, &format!("seed {seed}"));
        end.stats
    });
    // They mostly wait, so ten run at once.
    let all: Vec<Stats> = futures_util::stream::iter(runs).buffer_unordered(10).collect().await;
    let sum = |count: fn(&Stats) -> u64| all.iter().map(count).sum::<u64>();
    // The faults were there: the invariants held because of the writer.
    let faults = [sum(|s| s.possible_duplicates), sum(|s| s.lost_replies), sum(|s| s.refused), sum(|s| s.lost)];
    assert!(all.len() == 100 && faults.iter().all(|count| *count > 0), "{faults:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_records_under_faults_are_all_accounted_for() {
    let server = Server::start(Faults::all(), 7).await;
    let options = Options { batch: Batch { size: 500, ..options(7).batch }, ..options(7) };
    let records = (1..=100_000).map(|n| record(n, Key::Random)).collect();
    let (end, lost) = write(&server, options, records).await;
    every_record_is_accounted_for(&server, 100_000, &end, &lost, "100,000");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn throttles_alone_cause_no_duplicate_and_a_given_key_stays() {
    let server = Server::start(Faults::throttles(), 3).await;
    let records = (1..=1000).map(|n| record(n, Key::Given(format!("key-{n}")))).collect();
    let (end, lost) = write(&server, options(3), records).await;
    every_record_is_accounted_for(&server, 1000, &end, &lost, "throttles");
    assert_eq!((end.stats.possible_duplicates, end.stats.lost_replies), (0, 0));
    assert!(end.stats.refused > 0 && end.stats.retried > 0, "{:?}", end.stats);
    for stored in server.stored() {
        assert_eq!(stored.key, format!("key-{}", number(&stored.data)));
    }
    assert_eq!(end.stats.refused, end.stats.refused_by_shard.values().sum::<u64>(), "each refusal names its shard");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_that_never_comes_is_a_lost_one_and_its_records_go_again() {
    let server = Server::start(Faults::hangs(), 11).await;
    // On a slow machine more replies are lost, so the attempts have no bound that matters.
    let retry = Retry { max_retries: 1000, ..options(11).retry };
    let options = Options { retry, ttl: Duration::from_secs(3600), ..options(11) };
    let records = (1..=500).map(|n| record(n, Key::Random)).collect();
    let (end, lost) = write_within(&server, options, records, Duration::from_millis(300)).await;
    assert_eq!((end.stats.accepted, lost.len()), (500, 0), "{:?}", end.stats);
    assert!(end.stats.lost_replies > 0 && end.stats.possible_duplicates > 0, "{:?}", end.stats);
    let stored: HashSet<u64> = server.stored().iter().map(|stored| number(&stored.data)).collect();
    assert_eq!(stored.len(), 500);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_random_key_is_drawn_anew_for_each_attempt() {
    let server = Server::start(Faults::throttles(), 5).await;
    let (end, _) = write(&server, options(5), (1..=300).map(|n| record(n, Key::Random)).collect()).await;
    assert!(end.stats.retried > 0, "{:?}", end.stats);
    let sent = server.sent();
    let keys: HashSet<&str> = sent.iter().map(|sent| sent.key.as_str()).collect();
    assert_eq!(keys.len(), sent.len(), "no key was sent twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_order_no_record_overtakes_another_of_its_key() {
    let (mut lost_records, mut refused) = (0, 0);
    for seed in 0..10 {
        let server = Server::start(Faults::all(), 1000 + seed).await;
        let keys = 40;
        // With more attempts, some runs would lose nothing, and show nothing about the order after a loss.
        let retry = Retry { max_retries: 3, ..options(seed).retry };
        let options = Options { is_ordered: true, retry, ..options(seed) };
        let records = (1..=400).map(|n| record(n, Key::Given(format!("key-{}", n % keys)))).collect();
        let (end, lost) = write(&server, options, records).await;
        every_record_is_accounted_for(&server, 400, &end, &lost, &format!("order, seed {seed}"));
        let stored = server.stored();
        for key in 0..keys {
            let of_key = stored.iter().map(|stored| number(&stored.data)).filter(|n| n % keys == key);
            let of_key: Vec<u64> = of_key.collect();
            // The same record twice, after a lost reply, is in order.
            assert!(of_key.is_sorted(), "seed {seed}, key {key}: {of_key:?}");
            // What was lost comes after all that is there, so that the dead letters continue the order.
            let of_lost = lost.iter().map(|lost| number(&lost.record.data)).filter(|n| n % keys == key);
            let of_lost: Vec<u64> = of_lost.collect();
            assert!(of_lost.is_sorted(), "seed {seed}, key {key}: lost {of_lost:?}");
            if let (Some(last), Some(first)) = (of_key.last(), of_lost.first()) {
                assert!(last <= first, "seed {seed}, key {key}: stored {of_key:?}, lost {of_lost:?}");
            }
        }
        (lost_records, refused) = (lost_records + end.stats.lost, refused + end.stats.refused);
    }
    assert!(refused > 0 && lost_records > 0, "the faults were there");
}

/// More records than are read ahead. They fill no batch and no aggregate, and a batch waits for a day. Only a writer
/// that sends what it has comes to the end of the input.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_cannot_become_full_does_not_wait_for_its_time() {
    let batch = Batch { size: 500, duration: Duration::from_secs(86_400), ..Batch::default() };
    let patient = Options { batch, is_paced: true, ..options(1) };
    let key = |n: u64| Key::Given(format!("key-{}", n % 100));
    for (is_ordered, aggregates, shards) in [(true, false, 1), (false, true, 8)] {
        let server = Server::start(Faults::none(), 1).await.with_shards(shards);
        let options = Options { is_ordered, aggregates, ..patient.clone() };
        let records = (1..=10_000).map(|n| record(n, key(n))).collect();
        let written = tokio::time::timeout(PATIENCE, write(&server, options, records)).await;
        let (end, lost) = written.unwrap_or_else(|_| panic!("it waits: ordered {is_ordered}, {shards} shards"));
        assert_eq!((end.stats.accepted, lost.len()), (10_000, 0));
    }
}

/// An input that waits inside of a call that no flag ends, as the opening of a pipe does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_never_comes_back_does_not_keep_the_writer() {
    let server = Server::start(Faults::none(), 1).await;
    let (sender, feed) = feed();
    let options = Options { drain: Duration::from_millis(50), ..options(1) };
    let (stopper, stops) = stops();
    stopper.stop();
    let limits = Limits { record_bytes: 1 << 20, batch_bytes: options.batch.max_bytes };
    let client = client(&server.config(), PATIENCE);
    let mut keeper = Keeper::default();
    let target = Target::Name("orders".into());
    let end = run(client, target, (options, limits), feed, stops, &mut keeper);
    let end = tokio::time::timeout(PATIENCE, end).await.expect("it ends");
    assert!(end.is_stopped && end.stats.attempted == 0);
    drop(sender);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_stop_ends_the_wait_for_what_was_read() {
    let server = Server::start(Faults::silent(), 1).await;
    let (sender, feed) = feed();
    let options = Options { drain: Duration::from_secs(86_400), ..options(1) };
    let (stopper, stops) = stops();
    // Records whose answers never come, and a reader that has no more.
    let records = (1..=10).map(|n| Item::Record(record(n, Key::Random))).collect();
    assert!(sender.try_send(records).is_ok());
    drop(sender);
    stopper.stop();
    stopper.stop();
    let limits = Limits { record_bytes: 1 << 20, batch_bytes: options.batch.max_bytes };
    let client = client(&server.config(), Duration::from_secs(86_400));
    let mut keeper = Keeper::default();
    let target = Target::Name("orders".into());
    let end = run(client, target, (options, limits), feed, stops, &mut keeper);
    let end = tokio::time::timeout(PATIENCE, end).await.expect("it ends");
    assert_eq!((end.is_stopped, end.stats.lost, keeper.0.len()), (true, 10, 10), "{:?}", end.stats);
}

/// Counts the requests that failed as a whole.
struct Troubles(tokio::sync::mpsc::UnboundedSender<()>);

impl Observer for Troubles {
    fn lost(&mut self, lost: &Lost) -> Result<(), String> {
        panic!("{lost:?}")
    }

    fn tick(&mut self, _: &Stats, _: Duration) {}

    fn trouble(&mut self, _: &str) {
        self.0.send(()).expect("it listens");
    }

    fn stopping(&mut self, _: u64, _: Duration) {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_of_the_connection_uses_up_no_attempt_and_loses_nothing() {
    // A port that refuses connections until it listens.
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let url = format!("http://{}", socket.local_addr().expect("an address"));
    let (troubles, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let server = tokio::spawn(async move {
        for _ in 0..20 {
            seen.recv().await.expect("a failed request");
        }
        let server = Server::on(socket.listen(64).expect("it listens"), Faults::none(), 1);
        (server, seen)
    });
    let retry = Retry { max_retries: 3, max_wait: Duration::from_millis(5), ..options(1).retry };
    let options = Options { retry, ttl: Duration::from_secs(86_400), ..options(1) };
    let (sender, feed) = feed();
    let records = (1..=100).map(|n| Item::Record(record(n, Key::Random))).collect();
    assert!(sender.try_send(records).is_ok());
    drop(sender);
    let (_stopper, stops) = stops();
    let limits = Limits { record_bytes: 1 << 20, batch_bytes: options.batch.max_bytes };
    let client = client(&Server::config_of(&url), PATIENCE);
    let mut observer = Troubles(troubles);
    let end = run(client, Target::Name("orders".into()), (options, limits), feed, stops, &mut observer).await;
    let (server, _seen) = server.await.expect("no panic");
    assert_eq!((end.stats.accepted, end.stats.lost, end.stats.possible_duplicates), (100, 0, 0), "{:?}", end.stats);
    assert!(end.stats.failed_requests >= 20 && end.stats.lost_replies == 0, "{:?}", end.stats);
    assert_eq!(server.stored().len(), 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_connection_has_the_time_for_the_bytes_of_its_requests() {
    // 120 records of 10 kB are 1.6 MB in base64, and need a second. A reply to a small request has 600 ms.
    let server = Server::start(Faults::slow(1.6e6), 1).await;
    let large = |n: u64| Record { data: format!("{n:010000}").into_bytes(), ..record(n, Key::Random) };
    // On a slow machine a reply may be late all the same. Without time for the bytes, each one is.
    let retry = Retry { max_retries: 10, ..options(1).retry };
    let options = Options { retry, ttl: Duration::from_secs(3600), batch: Batch::default(), ..options(1) };
    let records = (1..=120).map(large).collect();
    let (end, lost) = write_within(&server, options, records, Duration::from_millis(600)).await;
    assert_eq!((end.stats.accepted, lost.len()), (120, 0), "lost replies: {}", end.stats.lost_replies);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bytes_in_flight_keep_to_their_bound_with_the_next_request() {
    let server = Server::start(Faults::slow(100e6), 1).await;
    let large = |n: u64| Record { data: format!("{}{n}", "0".repeat(90_000)).into_bytes(), ..record(n, Key::Random) };
    let batch = Batch { max_bytes: 4 << 20, ..Batch::default() };
    let options = Options { batch, most_bytes: 64 << 20, ..options(1) };
    let (end, _) = write(&server, options, (1..=150).map(large).collect()).await;
    assert_eq!(end.stats.accepted, 150);
    // Two requests of 4 MiB fit into 10 MiB, and a third would not. Base64 and JSON add a little more than a third.
    let (least, most) = (7 << 20, 10 << 20);
    let bytes = server.most_bytes() as f64 * 3.0 / 4.0;
    assert!(bytes > f64::from(least) && bytes < f64::from(most) * 1.01, "{bytes}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shards_that_cannot_be_read_at_once_are_asked_for_again_and_nothing_is_lost() {
    let refused = [(500, "InternalFailure"), (400, "LimitExceededException"), (400, "ThrottlingException")];
    let server = Server::start(Faults::none(), 1).await.with_refused_lists(&refused);
    let options = Options { aggregates: true, ..options(1) };
    let records = (1..=100).map(|n| record(n, Key::Random)).collect();
    let (end, lost) = write(&server, options, records).await;
    assert_eq!((end.stats.accepted, lost.len(), end.fatal), (100, 0, None));
    assert!(server.stored().len() < 100, "they are in aggregates");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shards_that_can_never_be_read_end_the_writer_with_the_code_and_message_of_aws() {
    let server = Server::start(Faults::none(), 1).await.with_refused_lists(&[(400, "AccessDeniedException")]);
    let options = Options { aggregates: true, ..options(1) };
    let (end, lost) = write(&server, options, vec![record(1, Key::Random)]).await;
    let cause = "ListShards: AccessDeniedException: a fault of the test";
    assert_eq!((end.fatal, lost.len()), (Some(unthrottle_writer::Fatal::Aws(cause.into())), 1));
    let server = Server::start(Faults::none(), 1).await.with_refused_lists(&[(500, "InternalFailure"); 9]);
    let options = Options { aggregates: true, ttl: Duration::ZERO, ..crate::options(1) };
    let (end, lost) = write(&server, options, vec![record(1, Key::Random)]).await;
    assert!(end.fatal.is_some_and(|fatal| fatal.to_string().contains("ListShards: InternalFailure")));
    assert_eq!(lost.len(), 1, "its time is over");
}
