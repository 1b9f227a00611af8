//! What keeps the view of the fleet up to date, within the bound of calls.

use super::budget::Budget;
use super::row::{Checked, Load, Row, SHOWN_MINUTES};
use crate::CliError;
use crate::aws::{called, clock};
use crate::metrics::{self, Query};
use crate::streams;
use aws_config::SdkConfig;
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedReceiver;
use unthrottle::aws::Clients;
use unthrottle::handler::Handler;
use unthrottle_core::observation::Minute;
use unthrottle_core::policy::{Mode, Policy};
use unthrottle_core::signal::{Ask, Signal, StreamArn};
use unthrottle_core::words::many;
use unthrottle_lab::local::Clock;

/// The requests that one check may take: 12 calls, each tried three times. Most checks take four.
const CHECK_CALLS: u32 = 36;

/// The time from one check to the next. A check reads the tags of a stream, which AWS allows five times a second to an
/// account. Two checks a second leave three calls to the function.
const PACE: Duration = Duration::from_millis(500);

/// The streams that one call of ListStreams gives at most where it names no limit (its API reference).
const LISTED_IN_A_CALL: usize = 100;

/// The pause after a read of the fleet that failed.
const AFTER_TROUBLE: Duration = Duration::from_secs(10);

/// How often the load of all streams is read. CloudWatch publishes once a minute.
const LOAD_EVERY: TimeDelta = TimeDelta::minutes(1);

/// How often the streams of the account are listed. A new stream appears this late.
const LIST_EVERY: TimeDelta = TimeDelta::minutes(5);

type Field = fn(&mut Load, f64);

/// The series of a stream, and the fields for their values.
const SERIES: [(&str, Field); 4] = [
    ("IncomingBytes", |load, value| load.bytes = value),
    ("IncomingRecords", |load, value| load.records = value),
    ("WriteProvisionedThroughputExceeded", |load, value| load.refused_records = value),
    ("ReadProvisionedThroughputExceeded", |load, value| load.refused_reads = value),
];

/// What is known of the fleet. The screen reads it, and the watcher writes it.
#[derive(Debug, Default)]
pub(super) struct View {
    pub rows: Vec<Row>,
    /// The calls of the last minute, and the bound.
    pub calls: (u32, u32),
    /// The calls since the beginning.
    pub all_calls: u32,
    /// Why the last read of the fleet failed.
    pub trouble: Option<String>,
    /// Whether the next check waits for the bound of calls.
    pub is_waiting: bool,
    /// Changes with each change of the view.
    pub version: u64,
}

/// The view, shared by the watcher and the screen.
pub(super) type Shared = Arc<Mutex<View>>;

/// Locks the view. A panic elsewhere leaves no half-written row.
pub(super) fn lock(view: &Shared) -> MutexGuard<'_, View> {
    view.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads the fleet again and again.
pub(super) struct Watcher {
    handler: Handler,
    clock: Clock,
    budget: Budget,
    /// The streams that a person named. `None`: all of the account and region.
    named: Option<Vec<StreamArn>>,
    listed_at: DateTime<Utc>,
    loaded_at: DateTime<Utc>,
    view: Shared,
}

impl Watcher {
    /// Lists the streams, and reads their load.
    ///
    /// # Errors
    /// A name that is no stream, a bound of calls that is too small for the fleet, or AWS's answer.
    pub async fn start(
        config: &SdkConfig,
        policy: Policy,
        names: &[String],
        per_minute: u32,
    ) -> Result<Watcher, CliError> {
        let kinesis = aws_sdk_kinesis::Client::new(config);
        let named = if names.is_empty() { None } else { Some(streams::named(&kinesis, names).await?) };
        let (streams, calls) = match &named {
            Some(named) => (named.clone(), names.len()),
            None => {
                let all = streams::all(&kinesis).await?;
                let calls = all.len().div_ceil(LISTED_IN_A_CALL);
                (all, calls)
            }
        };
        let least = fleet_calls(streams.len()) + CHECK_CALLS;
        if per_minute < least {
            return Err(CliError::Usage(format!(
                "--calls-per-minute {per_minute} is too few for {}: give at least {least}",
                many(streams.len(), "stream")
            )));
        }
        let mut budget = Budget::new(per_minute);
        budget.spend(u32::try_from(calls).unwrap_or(u32::MAX), Instant::now());
        let view = Shared::default();
        lock(&view).rows = streams.into_iter().map(Row::new).collect();
        lock(&view).calls = (budget.used(Instant::now()), per_minute);
        let clock = clock();
        let handler = Handler::new(Clients::new(config), policy).on(clock.clone());
        let now = clock.now();
        let mut watcher = Watcher { handler, clock, budget, named, listed_at: now, loaded_at: now, view };
        watcher.load().await?;
        Ok(watcher)
    }

    /// The view that this watcher writes.
    pub fn view(&self) -> Shared {
        self.view.clone()
    }

    /// Keeps the view up to date until it is dropped. `asked`: names of streams that a person wants checked now.
    pub async fn run(mut self, mut asked: UnboundedReceiver<String>) {
        loop {
            let pause = match self.step().await {
                Ok(pause) => pause,
                Err(error) => {
                    self.write(|view| view.trouble = Some(error.to_string()));
                    AFTER_TROUBLE
                }
            };
            tokio::select! {
                biased;
                Some(name) = asked.recv() => self.ask(&name),
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Checks each stream once, those that refuse first. `each` is called after each check, and while the bound makes
    /// the checks wait.
    pub async fn check_all(mut self, mut each: impl FnMut(usize)) {
        let now = self.clock.now();
        let streams: Vec<StreamArn> = {
            let view = lock(&self.view);
            let mut rows: Vec<&Row> = view.rows.iter().collect();
            rows.sort_by_key(|row| row.turn(now));
            rows.into_iter().map(|row| row.stream.clone()).collect()
        };
        for (done, stream) in streams.iter().enumerate() {
            while self.wait_for(CHECK_CALLS) > Duration::ZERO {
                each(done);
                tokio::time::sleep(PACE).await;
            }
            let begun = Instant::now();
            self.check(stream).await;
            each(done + 1);
            if done + 1 < streams.len() {
                tokio::time::sleep(PACE.saturating_sub(begun.elapsed())).await;
            }
        }
    }

    fn ask(&mut self, name: &str) {
        self.write(|view| {
            view.rows.iter_mut().filter(|row| row.stream.name == name).for_each(|row| row.is_asked = true);
        });
    }

    /// Does what is due, if the bound allows it, and says how long to wait for the next step.
    async fn step(&mut self) -> Result<Duration, CliError> {
        let now = self.clock.now();
        let streams = lock(&self.view).rows.len();
        if now - self.loaded_at >= LOAD_EVERY {
            let wait = self.wait_for(fleet_calls(streams));
            if wait > Duration::ZERO {
                return Ok(wait.min(PACE));
            }
            if self.named.is_none() && now - self.listed_at >= LIST_EVERY {
                self.list().await?;
            }
            self.load().await?;
            return Ok(Duration::ZERO);
        }
        let next = {
            let view = lock(&self.view);
            let next = view.rows.iter().min_by_key(|row| row.turn(now));
            next.map(|row| (row.next_check(now), row.stream.clone()))
        };
        let Some((_, stream)) = next.filter(|(at, _)| *at <= now) else {
            self.show_calls(false);
            return Ok(PACE);
        };
        if self.wait_for(CHECK_CALLS) == Duration::ZERO {
            self.check(&stream).await;
        }
        Ok(PACE)
    }

    /// How long the bound makes the next calls wait.
    fn wait_for(&mut self, calls: u32) -> Duration {
        let wait = self.budget.wait_for(calls, Instant::now());
        self.show_calls(wait > Duration::ZERO);
        wait
    }

    /// Shows the calls of the last minute, and whether the bound makes a check wait. The same again is no change, so
    /// that the screen is not drawn for it.
    fn show_calls(&mut self, is_waiting: bool) {
        let (used, all) = (self.budget.used(Instant::now()), self.budget.all);
        let mut view = lock(&self.view);
        if (view.calls.0, view.all_calls, view.is_waiting) != (used, all, is_waiting) {
            (view.calls.0, view.all_calls, view.is_waiting) = (used, all, is_waiting);
            view.version += 1;
        }
    }

    /// Lists the streams of the account. A stream that is known keeps what is known of it.
    async fn list(&mut self) -> Result<(), CliError> {
        let before = self.handler.clients().calls();
        let streams = streams::all(&self.handler.clients().kinesis).await;
        self.spent_since(before);
        let streams = streams?;
        self.listed_at = self.clock.now();
        self.write(|view| {
            let mut known: BTreeMap<String, Row> =
                view.rows.drain(..).map(|row| (row.stream.name.clone(), row)).collect();
            let row = |stream: StreamArn| known.remove(&stream.name).unwrap_or_else(|| Row::new(stream));
            view.rows = streams.into_iter().map(row).collect();
        });
        Ok(())
    }

    /// Reads the last hour of the load of all streams.
    async fn load(&mut self) -> Result<(), CliError> {
        let names: Vec<String> = lock(&self.view).rows.iter().map(|row| row.stream.name.clone()).collect();
        let of_stream = |name: &String| SERIES.map(|(metric, _)| Query::of_stream(metric, "Sum", name));
        let queries: Vec<Query> = names.iter().flat_map(of_stream).collect();
        let now = self.clock.now();
        let end = Minute::of(now).start();
        let mut loads: BTreeMap<String, BTreeMap<Minute, Load>> = BTreeMap::new();
        let before = self.handler.clients().calls();
        let window = (end - TimeDelta::minutes(SHOWN_MINUTES), end);
        let cloudwatch = self.handler.clients().cloudwatch.clone();
        let read = metrics::read(&cloudwatch, &queries, 60, window, |place, time, value| {
            let minutes = loads.entry(names[place / SERIES.len()].clone()).or_default();
            SERIES[place % SERIES.len()].1(minutes.entry(Minute::of(time)).or_default(), value);
        });
        let unread = read.await;
        self.spent_since(before);
        let unread = called("GetMetricData", unread)?;
        self.loaded_at = now;
        let trouble = (!unread.is_empty()).then(|| format!("CloudWatch could not read {} series", unread.len()));
        self.write(|view| {
            for row in &mut view.rows {
                row.minutes = loads.remove(&row.stream.name).unwrap_or_default();
            }
            view.trouble = trouble;
        });
        Ok(())
    }

    /// Decides about a stream without changing it.
    async fn check(&mut self, stream: &StreamArn) {
        let before = self.handler.clients().calls();
        let ask = Ask {
            stream: stream.clone(),
            mode: Some(Mode::Observe),
            message: None,
            undo: None,
            plan: None,
            plan_from: None,
        };
        let reply = self.handler.run(&Signal::Ask(ask), &stream.home).await;
        self.spent_since(before);
        let check = match reply {
            Ok(reply) => {
                let needs_person = reply.decision.needs_person();
                Ok(Box::new(Checked { document: reply.document, needs_person }))
            }
            Err(error) => Err(CliError::from(error).to_string()),
        };
        let now = self.clock.now();
        self.write(|view| {
            for row in view.rows.iter_mut().filter(|row| row.stream == *stream) {
                (row.check, row.checked_at, row.is_asked) = (Some(check.clone()), Some(now), false);
            }
        });
    }

    fn spent_since(&mut self, before: u32) {
        self.budget.spend(self.handler.clients().calls() - before, Instant::now());
        self.show_calls(false);
    }

    fn write(&self, change: impl FnOnce(&mut View)) {
        let mut view = lock(&self.view);
        change(&mut view);
        view.version += 1;
    }
}

/// The requests that a read of the fleet may take, each tried three times: the list of the streams, a hundred in a
/// call, and their load, 125 in a call.
fn fleet_calls(streams: usize) -> u32 {
    let calls = streams.div_ceil(LISTED_IN_A_CALL) + (SERIES.len() * streams).div_ceil(500);
    u32::try_from(3 * calls).unwrap_or(u32::MAX)
}
