//! Requests in flight, input, time and the end.

use crate::aggregate::{Shard, random_key};
use crate::answer;
use crate::buffer::{Buffer, Flush};
use crate::connection::{LARGE_REQUEST, encoded, timeouts};
use crate::feed::{Feed, Item};
use crate::options::{Options, after};
use crate::record::{Key, Limits, Lost, Record};
use crate::request::{Answer, Request};
use crate::shards::{Target, Unread, open_shards, read_of};
use crate::stats::Stats;
use crate::stop::Stops;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use std::collections::HashMap;
use std::fmt;
use std::pin::pin;
use std::time::{Duration, Instant};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Interval, MissedTickBehavior, interval, sleep, sleep_until, timeout_at};

/// The bytes of data and keys in flight, at most: two full requests of the default size, so that one is on its way
/// while the other is answered. A request takes about three times its bytes of memory: the records, a copy of them,
/// and base64.
const MOST_BYTES_IN_FLIGHT: usize = 10 << 20;

/// The records that are read ahead and are not in flight: four requests. An aggregate counts as one. With the groups in
/// the feed and the rest of a read, about 4,000 records wait. One shard takes them within [`Options::drain`], so that a
/// stop leaves none behind.
const MOST_AHEAD: usize = 2000;

/// Takes what a writer reports while it works.
pub trait Observer {
    /// A record is lost. It is kept where the observer puts it.
    ///
    /// # Errors
    /// The record cannot be kept. The writer then stops.
    fn lost(&mut self, lost: &Lost) -> Result<(), String>;

    /// The counts so far: once in each [`Options::tick`].
    fn tick(&mut self, stats: &Stats, elapsed: Duration);

    /// A request failed as a whole. The writer tries again after a wait.
    fn trouble(&mut self, cause: &str);

    /// The writer stops, and sends the records that were read. `waiting`: their number. `most`: the longest wait.
    fn stopping(&mut self, waiting: u64, most: Duration);
}

/// Why a writer ended before its input did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fatal {
    /// AWS refuses every request.
    Aws(String),
    /// A lost record cannot be kept.
    Unkept(String),
}

impl fmt::Display for Fatal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fatal::Aws(cause) => write!(f, "AWS refused the records: {cause}"),
            Fatal::Unkept(problem) => f.write_str(problem),
        }
    }
}

/// The end of a writer.
#[derive(Clone, Debug)]
pub struct End {
    /// The final counts. Every record is accepted or lost.
    pub stats: Stats,
    /// From start to end.
    pub elapsed: Duration,
    /// Why it ended early; `None`: the input ended, or it was stopped.
    pub fatal: Option<Fatal>,
    /// Whether it was stopped.
    pub is_stopped: bool,
    /// Lost records that the observer could not keep.
    pub unkept: u64,
}

/// Writes all records of `input` to a stream, and returns when each is accepted or lost. After a stop it reads no more,
/// and sends what was read, for at most [`Options::drain`] or until a second stop.
pub async fn run(
    client: aws_sdk_kinesis::Client,
    target: Target,
    (options, limits): (Options, Limits),
    mut input: Feed,
    mut stops: Stops,
    observer: &mut impl Observer,
) -> End {
    let start = Instant::now();
    let mut work = Work {
        client,
        target,
        tick: options.tick,
        drain: options.drain,
        aggregates: options.aggregates,
        shards: None,
        random: fastrand::Rng::with_seed(options.seed),
        buffer: Buffer::new(options, limits, start),
        in_flight: JoinSet::new(),
        requests: HashMap::new(),
        next_number: 0,
        bytes_in_flight: 0,
        is_open: true,
        is_stopped: false,
        drain_until: None,
        fatal: None,
        unkept: 0,
        observer,
        start,
    };
    let mut ticks = interval(work.tick);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    if work.aggregates {
        work.learn_shards(&mut input, &mut stops, &mut ticks).await;
    }
    work.run(&mut input, &mut stops, &mut ticks).await;
    let Work { buffer, fatal, is_stopped, unkept, .. } = work;
    End { stats: buffer.stats, elapsed: start.elapsed(), fatal, is_stopped, unkept }
}

struct Work<'a, O> {
    client: aws_sdk_kinesis::Client,
    target: Target,
    tick: Duration,
    drain: Duration,
    aggregates: bool,
    /// The call that reads the shards after a reshard.
    shards: Option<JoinHandle<Result<Vec<Shard>, Unread>>>,
    random: fastrand::Rng,
    buffer: Buffer,
    /// The calls, and the number of each.
    in_flight: JoinSet<(u64, Answer)>,
    /// Their records. They stay here, so that they outlive a call that is not awaited any more.
    requests: HashMap<u64, Request>,
    next_number: u64,
    bytes_in_flight: usize,
    /// Whether more records can come.
    is_open: bool,
    is_stopped: bool,
    /// After a stop: the end of the wait.
    drain_until: Option<Instant>,
    fatal: Option<Fatal>,
    unkept: u64,
    observer: &'a mut O,
    start: Instant,
}

impl<O: Observer> Work<'_, O> {
    async fn run(&mut self, input: &mut Feed, stops: &mut Stops, ticks: &mut Interval) {
        loop {
            self.send_what_is_due();
            self.report_lost();
            self.read_shards_if_needed();
            if !self.is_open && self.buffer.is_empty() && self.in_flight.is_empty() {
                return self.abandon("a call ended without an answer");
            }
            let wake = self.wake_at().map(tokio::time::Instant::from_std);
            tokio::select! {
                Some(done) = self.in_flight.join_next() => self.settle(done),
                items = input.next(), if self.has_room() => match items {
                    Some(items) => self.take(items),
                    None => self.is_open = false,
                },
                () = sleep_until(wake.unwrap_or_else(tokio::time::Instant::now)), if wake.is_some() => {}
                read = read_of(&mut self.shards), if self.shards.is_some() => self.take_shards(read),
                _ = ticks.tick() => self.observer.tick(&self.buffer.stats, self.start.elapsed()),
                () = stops.next() => self.stop(input).await,
            }
            if self.fatal.is_some() && self.is_open {
                self.close(input).await;
            }
            if self.fatal.is_some() || self.drain_until.is_some_and(|until| until <= Instant::now()) {
                self.give_up(stops).await;
            }
        }
    }

    /// The first stop ends the input, the second ends the wait for the rest.
    async fn stop(&mut self, input: &mut Feed) {
        if std::mem::replace(&mut self.is_stopped, true) {
            self.drain_until = Some(Instant::now());
            return;
        }
        self.drain_until = Some(after(Instant::now(), self.drain));
        self.close(input).await;
        let Stats { attempted, accepted, lost, .. } = self.buffer.stats;
        self.observer.stopping(attempted - accepted - lost, self.drain);
    }

    /// Reads the shards before the first record, for as long as a record may take. After a stop, what was read goes out
    /// as plain records.
    async fn learn_shards(&mut self, input: &mut Feed, stops: &mut Stops, ticks: &mut Interval) {
        let until = self.buffer.deadline(self.start);
        for attempts in 1.. {
            let read = open_shards(self.client.clone(), self.target.clone());
            let problem = match self.while_ticking(read, stops, ticks).await {
                Some(Ok(shards)) => return self.buffer.aggregate(shards),
                Some(Err(Unread::NotYet(problem))) if Instant::now() < until => problem,
                Some(Err(Unread::NotYet(problem) | Unread::Never(problem))) => {
                    self.fatal = Some(Fatal::Aws(problem));
                    return;
                }
                None => return self.stop(input).await,
            };
            self.observer.trouble(&problem);
            // The last attempt is at the end of the time.
            let wait = self.buffer.wait_after(attempts).min(until.saturating_duration_since(Instant::now()));
            if self.while_ticking(sleep(wait), stops, ticks).await.is_none() {
                return self.stop(input).await;
            }
        }
    }

    /// The result of `work`; `None`: a stop came before.
    async fn while_ticking<T>(
        &mut self,
        work: impl Future<Output = T>,
        stops: &mut Stops,
        ticks: &mut Interval,
    ) -> Option<T> {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return Some(done),
                _ = ticks.tick() => self.observer.tick(&self.buffer.stats, self.start.elapsed()),
                () = stops.next() => return None,
            }
        }
    }

    fn read_shards_if_needed(&mut self) {
        if self.buffer.needs_shards() && self.shards.is_none() {
            self.shards = Some(tokio::spawn(open_shards(self.client.clone(), self.target.clone())));
        }
    }

    /// Takes the shards after a reshard. If they cannot be read, the next answer of a new shard asks again. Until then
    /// the old ones still give aggregates that every consumer reads.
    fn take_shards(&mut self, read: Option<Vec<Shard>>) {
        self.shards = None;
        match read {
            Some(shards) => self.buffer.aggregate(shards),
            None => self.buffer.forget_reshard(),
        }
    }

    /// Takes the records that were read already, and no more.
    async fn close(&mut self, input: &mut Feed) {
        self.is_open = false;
        let rest = input.close(after(Instant::now(), self.drain)).await;
        self.take(rest);
    }

    fn take(&mut self, items: Vec<Item>) {
        for item in items {
            match item {
                Item::Record(record) => self.buffer.push(record),
                Item::Rejected(record, why) => self.buffer.reject(record, why),
            }
        }
    }

    /// Whether more records may be read.
    fn has_room(&self) -> bool {
        self.is_open && self.buffer.has_room(MOST_AHEAD)
    }

    /// Whether requests wait for more records.
    fn flush(&self) -> Flush {
        match (self.is_open, self.has_room()) {
            (false, _) => Flush::All,
            (true, false) => Flush::Full,
            (true, true) => Flush::No,
        }
    }

    /// Whether the next request fits beside those in flight. A single one always does.
    fn can_send(&self) -> bool {
        let fits = || self.bytes_in_flight + self.buffer.next_bytes() <= MOST_BYTES_IN_FLIGHT;
        self.in_flight.len() < self.buffer.most_in_flight() && (self.in_flight.is_empty() || fits())
    }

    /// When something is due without an answer or a record.
    fn wake_at(&self) -> Option<Instant> {
        let now = Instant::now();
        let send = if self.can_send() { self.buffer.wake_at(now, self.flush()) } else { None };
        send.into_iter().chain(self.drain_until).min()
    }

    fn send_what_is_due(&mut self) {
        while self.can_send()
            && let Some(request) = self.buffer.next_request(Instant::now(), self.flush())
        {
            self.bytes_in_flight += request.bytes;
            // The requests in flight share the connection.
            let (encoded, shared) = (encoded(request.bytes, request.records.len()), self.encoded_in_flight(&request));
            let random = &mut self.random;
            let entries = request.records.iter().map(|pending| entry_of(&pending.record, random)).collect();
            let call = self.client.put_records().set_records(Some(entries));
            let call = match &self.target {
                Target::Name(name) => call.stream_name(name),
                Target::Arn(arn) => call.stream_arn(arn),
            };
            let number = self.next_number;
            self.next_number += 1;
            self.requests.insert(number, request);
            let call = call.customize().config_override(timeouts(&self.client, shared));
            let is_large = encoded >= LARGE_REQUEST;
            self.in_flight.spawn(async move { (number, answer::read(call.send().await, is_large)) });
        }
        self.see_limits();
    }

    /// The encoded bytes of a request and of those in flight.
    fn encoded_in_flight(&self, request: &Request) -> usize {
        let records = self.requests.values().chain([request]).map(|request| request.records.len()).sum();
        encoded(self.bytes_in_flight, records)
    }

    /// Notes what kept records waiting.
    fn see_limits(&mut self) {
        let now = Instant::now();
        let is_due = self.buffer.wake_at(now, self.flush()).is_some_and(|at| at <= now);
        let is_healthy = self.buffer.most_in_flight() > 1;
        self.buffer.stats.is_in_flight_filled |= is_due && is_healthy && !self.can_send();
        self.buffer.stats.is_memory_filled |= self.is_open && !self.buffer.has_memory();
    }

    fn settle(&mut self, done: Result<(u64, Answer), tokio::task::JoinError>) {
        // A call whose task panics in the SDK has no number. Its records are lost, and say so, at the end.
        let Ok((number, answer)) = done else { return };
        let Some(request) = self.requests.remove(&number) else { return };
        self.bytes_in_flight -= request.bytes;
        match &answer {
            Answer::Fatal(cause) => self.fatal = self.fatal.take().or_else(|| Some(Fatal::Aws(cause.clone()))),
            Answer::NotSent(cause) | Answer::NotDone(cause) | Answer::Unknown(cause) => self.observer.trouble(cause),
            Answer::Records(_) => {}
        }
        self.buffer.settle(request, answer, Instant::now());
    }

    fn report_lost(&mut self) {
        for lost in self.buffer.take_lost() {
            if let Err(problem) = self.observer.lost(&lost) {
                self.unkept += 1;
                self.fatal.get_or_insert(Fatal::Unkept(problem));
            }
        }
    }

    /// Loses every record that waits. The answers of requests in flight still count, if they come in time.
    async fn give_up(&mut self, stops: &mut Stops) {
        let reason = match &self.fatal {
            Some(Fatal::Aws(cause)) => cause.clone(),
            Some(Fatal::Unkept(problem)) => problem.clone(),
            None => "it was asked to, and the time to send the rest is over".into(),
        };
        let most = if self.fatal.is_some() { self.drain } else { Duration::ZERO };
        let until = tokio::time::Instant::now() + most;
        loop {
            let done = tokio::select! {
                done = timeout_at(until, self.in_flight.join_next()) => done,
                () = stops.next() => break,
            };
            let Ok(Some(done)) = done else { break };
            self.settle(done);
        }
        self.in_flight.abort_all();
        while self.in_flight.join_next().await.is_some() {}
        // Those in flight first: with `--ordered`, other records of their keys wait behind them.
        self.abandon(&reason);
        self.buffer.give_up(&reason);
        self.report_lost();
    }

    /// Loses the records of the calls that have no answer.
    fn abandon(&mut self, reason: &str) {
        for (_, request) in self.requests.drain() {
            self.buffer.abandon(request, reason);
        }
        self.report_lost();
    }
}

fn entry_of(record: &Record, random: &mut fastrand::Rng) -> PutRecordsRequestEntry {
    let key = match &record.key {
        Key::Given(key) => key.clone(),
        Key::Random => random_key(random),
    };
    let entry = PutRecordsRequestEntry::builder().data(Blob::new(record.data.as_slice())).partition_key(key);
    let entry = entry.set_explicit_hash_key(record.hash_key.map(|key| key.to_string())).build();
    entry.expect("data and key are set")
}
