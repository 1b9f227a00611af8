//! One region of one AWS account in virtual time: a fleet of streams under load, its alarms, and the function with as
//! many containers as Lambda gives it. The function's handler, sweep and SDK clients are the product's. The model has
//! the load, the alarms' events, EventBridge's schedule, and Lambda's containers and retries.

#![allow(dead_code, reason = "each program uses its part")]

use crate::aws::{noon, sample};
use crate::in_process::{Counted, InProcess};
use crate::setting::{Load, Made, Played, SWEEP_AT, Setting, Swept, gap, load, short, throttled, unreadable, words};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use unthrottle::Error;
use unthrottle::aws::Clients;
use unthrottle::handler::{Handler, Reply};
use unthrottle::sweep::{AGAIN_EVERY, Plan, sweep};
use unthrottle_core::decision::Outcome;
use unthrottle_core::memory::{Change, ChangeKind, Memory, TAG};
use unthrottle_core::report::SweepDocument;
use unthrottle_core::signal::{Event, Home};
use unthrottle_lab::local::{Clock, LocalAccount, Options};

const MINUTE: Duration = Duration::from_secs(60);

/// The step of the load: a reshard counts from the next step on.
const STEP: Duration = Duration::from_secs(10);

/// How long CloudWatch takes to publish a minute. An alarm is then in ALARM 105 s after the start of the breaching
/// minute; one live recording shows 104 to 109 s.
const PUBLISHED_AFTER: Duration = Duration::from_secs(45);

/// How long a reshard takes: AWS took 14 s from two shards to three, in one live recording.
const RESHARD: Duration = Duration::from_secs(14);

/// The function's timeout, as template.yaml has it.
const FUNCTION_TIMEOUT: Duration = Duration::from_secs(300);

/// The pauses before Lambda's second and third try of a failed asynchronous run (Lambda's page on its error handling).
const RETRIES: [Duration; 2] = [MINUTE, Duration::from_secs(120)];

/// How many minutes of an easy load each stream has before it throttles.
const EASY_MINUTES: i64 = 60;

/// Records a second that a shard accepts, and the bytes of a record here.
const PER_SHARD: f64 = 1000.0;
const RECORD_BYTES: f64 = 100.0;

const WRITES: &str = "writes";

/// Plays a setting in a runtime of its own, whose time is paused.
pub fn play(setting: &Setting) -> Played {
    fastrand::seed(setting.seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    LocalSet::new().block_on(&runtime.expect("a runtime"), Place::play(setting))
}

/// A region of an account.
struct Place {
    setting: Setting,
    account: LocalAccount,
    way: InProcess,
    home: Home,
    began: Instant,
    /// The first minute in which the streams throttle.
    minute: DateTime<Utc>,
    /// Containers that wait for an event.
    waiting: RefCell<Vec<Rc<Handler>>>,
    free: Semaphore,
    played: RefCell<Played>,
}

impl Place {
    async fn play(setting: &Setting) -> Played {
        let place = Rc::new(Place::found(setting).await);
        let sweeps = tokio::task::spawn_local(place.clone().sweep_each_minute());
        let alarms = tokio::task::spawn_local(place.clone().evaluate_each_minute());
        for minute in 0..setting.minutes {
            place.offer_minute(minute).await;
        }
        sweeps.abort();
        alarms.abort();
        place.end().await
    }

    async fn found(setting: &Setting) -> Place {
        let clock = Clock::of_runtime(noon());
        let options = Options {
            account: setting.account.clone(),
            region: setting.region.clone(),
            clock: clock.clone(),
            update_time: RESHARD,
            shard_limit: 20_000,
            metric_lag: PUBLISHED_AFTER,
            ..Options::default()
        };
        let account = LocalAccount::start(options).await.expect("a free port");
        account.add_fleet_alarm(WRITES, "WriteProvisionedThroughputExceeded");
        account.add_fleet_alarm("reads", "ReadProvisionedThroughputExceeded");
        account.add_fleet_alarm_on_maximum("behind", "GetRecords.IteratorAgeMilliseconds", 600_000.0);
        account.add_streams((0..setting.idle).map(|n| format!("idle-{n:05}")), 1, &[]).await;
        let done = settled(noon() - TimeDelta::hours(20));
        account.add_streams((0..setting.remembered).map(|n| format!("known-{n:05}")), 2, &[(TAG, &done)]).await;
        account.add_streams((0..setting.unreadable).map(unreadable), 1, &[(TAG, "v=9")]).await;
        for n in 0..setting.throttled {
            let Load { shards, offered } = load(n);
            account.add_streams([throttled(n)], shards, &[]).await;
            for ago in 1..=EASY_MINUTES {
                put(&account, &throttled(n), noon() - TimeDelta::minutes(ago), 30.0 * offered, 0.0);
            }
        }
        let way = InProcess::to(&account, setting.round_trip, setting.tag_rate);
        let home = Home { partition: "aws".into(), region: setting.region.clone(), account: setting.account.clone() };
        Place {
            setting: setting.clone(),
            account,
            way,
            home,
            began: Instant::now(),
            minute: noon(),
            waiting: RefCell::default(),
            free: Semaphore::new(setting.concurrency),
            played: RefCell::default(),
        }
    }

    /// Offers the load for a minute, step by step, and then puts its datapoints.
    async fn offer_minute(&self, minute: u32) {
        let mut sums = vec![(0.0, 0.0); self.setting.throttled];
        let steps = (MINUTE.as_secs() / STEP.as_secs()) as u32;
        for step in 0..steps {
            for (n, (accepted, refused)) in sums.iter_mut().enumerate() {
                let shards = self.account.open_shards(&throttled(n)).await.expect("a stream");
                let offered = if minute >= self.begins(n) { load(n).offered } else { load(n).offered / 2.0 };
                let taken = offered.min(f64::from(shards) * PER_SHARD);
                *accepted += taken * STEP.as_secs_f64();
                *refused += (offered - taken) * STEP.as_secs_f64();
            }
            sleep_until(self.began + MINUTE * minute + STEP * (step + 1)).await;
        }
        let at = self.minute + TimeDelta::minutes(i64::from(minute));
        for (n, (accepted, refused)) in sums.iter().enumerate() {
            put(&self.account, &throttled(n), at, *accepted, *refused);
        }
        let mut played = self.played.borrow_mut();
        played.still_throttled = sums.iter().filter(|(_, refused)| *refused > 0.0).count();
        if played.still_throttled > 0 {
            played.throttled_until = minute;
        }
    }

    /// The minute in which the load of the `n`th stream begins.
    fn begins(&self, n: usize) -> u32 {
        self.setting.minutes_apart * n as u32
    }

    /// Evaluates the alarm when a minute is published. CloudWatch sends an event for each stream that it newly names.
    async fn evaluate_each_minute(self: Rc<Self>) {
        let mut in_alarm = BTreeSet::new();
        for minute in 1.. {
            sleep_until(self.began + MINUTE * minute + PUBLISHED_AFTER).await;
            let named: BTreeSet<String> = self.account.contributors(WRITES).into_iter().collect();
            for stream in named.difference(&in_alarm) {
                tokio::task::spawn_local(self.clone().deliver(self.event(stream)));
            }
            in_alarm = named;
        }
    }

    fn event(&self, stream: &str) -> Value {
        let mut event = sample("alarm_contributor__scale_shards");
        event["account"] = json!(self.setting.account);
        event["region"] = json!(self.setting.region);
        event["time"] = json!(self.account.now());
        event["resources"] =
            json!([format!("arn:aws:cloudwatch:{}:{}:alarm:{WRITES}", self.home.region, self.home.account)]);
        event["detail"]["alarmContributor"]["attributes"]["StreamName"] = json!(stream);
        event
    }

    async fn sweep_each_minute(self: Rc<Self>) {
        for minute in 0.. {
            sleep_until(self.began + MINUTE * minute + SWEEP_AT).await;
            let event = json!({ "sweep": true, "stay": true, "every_minutes": 1 });
            tokio::task::spawn_local(self.clone().deliver(event));
        }
    }

    /// Lambda's asynchronous invocation: a run that fails is tried again twice.
    async fn deliver(self: Rc<Self>, event: Value) {
        for pause in RETRIES.map(Some).into_iter().chain([None]) {
            let Err(error) = self.run(&event).await else { return };
            *self.played.borrow_mut().failed.entry(error).or_default() += 1;
            match pause {
                Some(pause) => sleep(pause).await,
                None => self.played.borrow_mut().lost += 1,
            }
        }
    }

    async fn run(&self, event: &Value) -> Result<(), String> {
        let asked = Instant::now();
        let _permit = self.free.acquire().await.expect("it stays open");
        let container = self.waiting.borrow_mut().pop();
        let container = container.unwrap_or_else(|| self.container());
        let began = Instant::now();
        let result = timeout(FUNCTION_TIMEOUT, self.handle(&container, event)).await;
        self.waiting.borrow_mut().push(container);
        let mut played = self.played.borrow_mut();
        played.runs += 1;
        played.busy += began.elapsed();
        played.longest_wait = played.longest_wait.max(began - asked);
        match result {
            Ok(result) => result.map_err(|error| words(&error)),
            Err(_) => Err("the function's timeout".into()),
        }
    }

    fn container(&self) -> Rc<Handler> {
        self.played.borrow_mut().containers += 1;
        let handler = Handler::new(Clients::new(&self.way.config()), self.setting.policy.clone());
        Rc::new(handler.on(self.account.clock().clone()))
    }

    /// What `bootstrap` does with an event.
    async fn handle(&self, handler: &Handler, event: &Value) -> Result<(), Error> {
        match Event::parse(event, &self.home)? {
            Event::One(signal) => {
                let reply = handler.run(&signal, &self.home).await?;
                self.record(&reply);
            }
            Event::Sweep { stays, every_minutes } => {
                let now = self.account.now();
                let next_sweep = every_minutes.map(|minutes| now + TimeDelta::minutes(i64::from(minutes)));
                let stays = stays && handler.policy().sweep_may_stay();
                let plan = Plan {
                    again_every: stays.then_some(AGAIN_EVERY),
                    next_sweep,
                    ..Plan::until(now + FUNCTION_TIMEOUT)
                };
                let (began, before) = (Instant::now(), self.calls());
                let document = sweep(handler, &self.home, plan, |reply| self.record(reply)).await?;
                self.record_sweep(&document, began.elapsed(), self.calls() - before);
            }
        }
        Ok(())
    }

    fn calls(&self) -> u64 {
        self.account.calls().values().sum()
    }

    fn record(&self, reply: &Reply) {
        let mut played = self.played.borrow_mut();
        let after = self.began.elapsed();
        *played.codes.entry(reply.document.code).or_default() += 1;
        let Some(stream) = reply.document.stream.as_ref().map(|stream| stream.name.clone()) else { return };
        if reply.document.outcome == Outcome::Acted {
            played.made.push(Made { stream: stream.clone(), after, code: reply.document.code });
        }
        played.checks.entry(stream).or_default().push(after);
    }

    fn record_sweep(&self, document: &SweepDocument, took: Duration, calls: u64) {
        let mut played = self.played.borrow_mut();
        for failure in &document.failed {
            *played.failed.entry(format!("in a sweep: {}", short(&failure.error))).or_default() += 1;
        }
        played.sweeps.push(Swept {
            finding_calls: document.finding_calls,
            looked: document.looked,
            left: document.left.len(),
            throttled: document.throttled,
            took,
            calls,
        });
    }

    async fn end(&self) -> Played {
        let mut played = self.played.borrow().clone();
        played.calls = self.account.calls();
        let Counted { metrics, insights } = self.way.counted();
        (played.metrics, played.insights) = (metrics, insights);
        for n in 0..self.setting.throttled {
            played.shards_before += load(n).shards;
            played.shards_after += self.account.open_shards(&throttled(n)).await.expect("a stream");
        }
        let end = self.began.elapsed();
        let always = (0..self.setting.unreadable).map(unreadable).map(|name| played.checks.get(&name));
        played.unseen = always.clone().filter(Option::is_none).count();
        let gaps = always.map(|checks| gap(checks.map_or(&[], Vec::as_slice), end));
        played.longest_gap = gaps.max().unwrap_or_default();
        for n in 0..self.setting.throttled {
            let begun = MINUTE * self.begins(n);
            let since = |at: &Duration| at.saturating_sub(begun);
            let checks = played.checks.get(&throttled(n)).map_or(&[][..], Vec::as_slice);
            let first = checks.iter().find(|at| **at >= begun).map_or(end.saturating_sub(begun), since);
            let last =
                played.made.iter().filter(|made| made.stream == throttled(n)).map(|made| since(&made.after)).max();
            played.longest_to_check = played.longest_to_check.max(first);
            played.longest_to_change = played.longest_to_change.max(last.unwrap_or_default());
        }
        played
    }
}

/// The datapoints of a minute.
fn put(account: &LocalAccount, stream: &str, minute: DateTime<Utc>, accepted: f64, refused: f64) {
    for (metric, value) in [
        ("IncomingRecords", accepted),
        ("IncomingBytes", accepted * RECORD_BYTES),
        ("WriteProvisionedThroughputExceeded", refused),
    ] {
        account.put_metric("AWS/Kinesis", metric, &[("StreamName", stream)], minute, value);
    }
}

/// The memory of a change that was announced at `at` and is settled, verified and counted.
fn settled(at: DateTime<Utc>) -> String {
    let mut change = Change::intent(ChangeKind::Scale, 1, 2, at);
    change.since = Some(at - TimeDelta::minutes(2));
    change.settled = Some(at + TimeDelta::minutes(1));
    change.healed = Some(at + TimeDelta::minutes(3));
    change.published = Some(at + TimeDelta::minutes(4));
    Memory::default().intend(change, false).encode().expect("it fits")
}
