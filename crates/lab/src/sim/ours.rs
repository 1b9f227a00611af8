//! unthrottle in the simulated account: the Lambda's own triage and `run`, woken by the alarms, by
//! CloudTrail's events and by the sweep. A call takes no time here, and AWS answers each.

use super::alarm::{Alarm, Watched};
use super::arena::Contender;
use super::delivery::{Delivery, EVENT_AFTER, Weather};
use super::world::{By, Event, World, arn, home};
use crate::rules::Refusal;
use chrono::{DateTime, Utc};
use futures_util::FutureExt as _;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use unthrottle_core::decide::{MissingData, pending};
use unthrottle_core::decision::{Decision, Outcome, Remedy};
use unthrottle_core::memory::TAG;
use unthrottle_core::observation::{CapacityMode, Observation};
use unthrottle_core::policy::Policy;
use unthrottle_core::report::{AutoFix, Document};
use unthrottle_core::run::{Account, Answer, CallFailed, Container, Handled, Observed, Run, RunError};
use unthrottle_core::signal::{self, Signal, StreamArn};

/// From one sweep to the next, in seconds: the default of `SweepMinutes` in `template.yaml`.
pub(super) const SWEEP_EVERY: i64 = 5 * 60;

/// The first sweep of a run, in seconds: a schedule is in no step with the minutes that CloudWatch counts.
pub(super) const SWEEP_AT: i64 = 137;

/// A sweep stays with what is under way, and looks again each time that so many seconds have passed.
pub const AGAIN_EVERY: i64 = 60;

/// For so many seconds: the function's timeout in `template.yaml`, less what a sweep leaves for a look.
pub(super) const STAYS_FOR: i64 = 300 - 37;

/// What the function's runs are spread over: the default of `ReservedConcurrency` in `template.yaml`.
const CONTAINERS: usize = 5;

/// A deployed unthrottle, as one stream meets it.
#[derive(Debug)]
pub struct Ours {
    policy: Policy,
    alarms: [Alarm; 3],
    /// Signals on their way.
    signals: Delivery<Signal>,
    /// By this name it is told from the other streams of its deployment.
    stream: StreamArn,
    container: Rc<Container>,
    sweep: Rc<Sweep>,
    /// Whether the newest look of the sweep left something under way.
    is_under_way: bool,
    /// Whether the newest sweep has changed the stream: it counts against the sweep's bound once.
    is_changed: bool,
    /// How often it came to each decision, by its code.
    decided: BTreeMap<&'static str, u64>,
}

/// The newest sweep of a deployment.
#[derive(Debug, Default)]
struct Sweep {
    /// Its second.
    at: Cell<i64>,
    /// The changes that it has left.
    left: AtomicU32,
}

impl Ours {
    /// With these settings, and its signals in this weather.
    pub fn new(policy: Policy, weather: Weather, seed: u64) -> Ours {
        Ours {
            alarms: [Watched::Writes, Watched::Reads, Watched::Age].map(|watched| Alarm::on(watched, &policy)),
            signals: Delivery::new(weather, seed),
            stream: arn(),
            policy,
            container: Rc::default(),
            sweep: Rc::default(),
            is_under_way: false,
            is_changed: false,
            decided: BTreeMap::new(),
        }
    }

    /// So many streams of one deployment, which five containers look after, and one sweep.
    pub fn fleet(policy: &Policy, weather: Weather, seed: u64, streams: u32) -> Vec<Ours> {
        let containers: [Rc<Container>; CONTAINERS] = Default::default();
        let sweep = Rc::default();
        let ours = |n| Ours {
            stream: StreamArn { name: format!("{}-{n}", arn().name), ..arn() },
            container: Rc::clone(&containers[n % CONTAINERS]),
            sweep: Rc::clone(&sweep),
            ..Ours::new(policy.clone(), weather, seed + n as u64)
        };
        (0..streams as usize).map(ours).collect()
    }

    /// How often it came to each decision, by its code.
    pub fn decided(&self) -> &BTreeMap<&'static str, u64> {
        &self.decided
    }

    /// Gives a signal to the one entrance. Gives the decision, if AWS let it come to one.
    fn handle(&mut self, world: &mut World, signal: &Signal) -> Option<Decision> {
        let handled = self.run(world, signal);
        let code = handled.as_ref().map_or_else(|code| *code, |decision| decision.verdict.code());
        world.mark(code);
        *self.decided.entry(code).or_default() += 1;
        handled.ok()
    }

    /// A check of the sweep's.
    fn check(&mut self, world: &mut World) {
        let decision = self.handle(world, &Signal::Sweep(self.stream.clone()));
        self.is_changed |= decision.as_ref().is_some_and(|decision| decision.outcome == Outcome::Acted);
        self.is_under_way = decision.is_some_and(|decision| decision.is_under_way());
    }

    /// Gives the decision, or the code of what failed.
    fn run(&self, world: &mut World, signal: &Signal) -> Result<Decision, &'static str> {
        let is_new = matches!(signal, Signal::Sweep(_)) && !self.is_changed;
        let left_in_sweep = is_new.then_some(&self.sweep.left);
        let run = Run { signal, home: &home(), policy: &self.policy, container: &self.container, left_in_sweep };
        match run.handle(&mut At(world)).now_or_never() {
            Some(Ok(Handled { decision, .. })) => Ok(decision),
            Some(Err(RunError::Call(refusal))) => Err(refusal.code),
            Some(Err(RunError::TooSlow)) | None => Err("too_slow"),
        }
    }
}

/// The simulated account, which answers at once.
struct At<'a>(&'a mut World);

impl Account for At<'_> {
    type Error = Refusal;

    fn now(&self) -> DateTime<Utc> {
        self.0.time()
    }

    fn elapsed(&self) -> Duration {
        Duration::from_secs(self.0.now().unsigned_abs())
    }

    async fn observe(&mut self, _: &StreamArn) -> Result<Observed, Refusal> {
        Ok(Observed { observation: self.0.observe(), asked_at: self.elapsed() })
    }

    async fn complete(&mut self, _: &StreamArn, seen: &mut Observation, missing: MissingData) -> Result<(), Refusal> {
        self.0.complete(seen, missing);
        Ok(())
    }

    async fn write_memory(
        &mut self,
        _: &StreamArn,
        text: &str,
        _: Option<Duration>,
    ) -> Result<(), CallFailed<Refusal>> {
        self.0.tag(By::Policy, TAG, text).map_err(call_failed)
    }

    async fn change(&mut self, _: &StreamArn, remedy: &Remedy) -> Result<Option<u32>, CallFailed<Refusal>> {
        call(self.0, remedy).map_err(call_failed)
    }

    async fn count_fix(&mut self, _: &StreamArn, action: &'static str, at: DateTime<Utc>) -> AutoFix {
        self.0.count(action, at);
        AutoFix::Confirmed
    }

    async fn count_revert(&mut self, _: &StreamArn, at: DateTime<Utc>) {
        self.0.count_reverted(at);
    }

    // People read nothing in a simulation.
    async fn notify(&mut self, _: &Document) {}
}

/// AWS's refusal, as a run sees it.
pub(super) fn call_failed(error: Refusal) -> CallFailed<Refusal> {
    let answer = Answer { code: error.code.into(), message: error.message.clone() };
    CallFailed { answer: Some(answer), error }
}

impl Contender for Ours {
    fn pass(&mut self, world: &mut World) {
        let now = world.now();
        for alarm in &mut self.alarms {
            if let Some(is_raised) = alarm.pass(world.cloudwatch(), now) {
                self.signals.send(now, alarm_signal(&self.stream, world.time(), alarm.watched(), is_raised));
            }
        }
        for event in world.events() {
            self.signals.send(now + EVENT_AFTER, throttle_signal(&self.stream, world.time(), *event));
        }
        for signal in self.signals.arrived(now) {
            self.handle(world, &signal);
        }
        let since = now - self.sweep.at.get();
        let is_again = self.is_under_way && since < STAYS_FOR && since % AGAIN_EVERY == 0;
        if now % SWEEP_EVERY == SWEEP_AT {
            if self.sweep.at.replace(now) != now {
                self.sweep.left.store(self.policy.max_changes_per_sweep, Ordering::Relaxed);
            }
            (self.is_under_way, self.is_changed) = (false, false);
            if self.alarms.iter().any(Alarm::is_raised) || pending(world.tags(), &self.policy, world.time()).is_some() {
                self.check(world);
            }
        } else if is_again {
            self.check(world);
        }
    }
}

/// The alarm's change of state at `time`, as an event tells of it.
pub(super) fn alarm_signal(stream: &StreamArn, time: DateTime<Utc>, watched: Watched, is_raised: bool) -> Signal {
    let metric = match watched {
        Watched::Writes => "WriteProvisionedThroughputExceeded",
        Watched::Reads => "ReadProvisionedThroughputExceeded",
        Watched::Age => "GetRecords.IteratorAgeMilliseconds",
    };
    Signal::Alarm(signal::Alarm {
        time: Some(time),
        name: "unthrottle".into(),
        state: if is_raised { "ALARM" } else { "OK" }.into(),
        account: Some(home().account),
        region: Some(home().region),
        on_kinesis: true,
        metrics: [metric.to_owned()].into(),
        stream: Some(stream.clone()),
        ..signal::Alarm::default()
    })
}

/// A refused call at `time`, as CloudTrail tells of it.
pub(super) fn throttle_signal(stream: &StreamArn, time: DateTime<Utc>, event: Event) -> Signal {
    Signal::Throttle(signal::Call {
        time: Some(time),
        operation: event.operation.into(),
        error_code: Some(event.code.into()),
        account: Some(home().account),
        region: Some(home().region),
        stream: Some(stream.clone()),
        ..signal::Call::default()
    })
}

/// The call that carries out a remedy. Gives the shards that were open, where AWS tells.
pub(super) fn call(world: &mut World, remedy: &Remedy) -> Result<Option<u32>, Refusal> {
    let done = match remedy {
        Remedy::ScaleShards { to, .. } | Remedy::Restore { to, .. } => {
            return world.update_shard_count(By::Policy, *to).map(Some);
        }
        Remedy::SplitShard { shard, at, .. } => world.split_shard(By::Policy, shard, *at),
        // Warm throughput is asked for with it only in accounts with the commitment.
        Remedy::SwitchToOnDemand { .. } => world.update_stream_mode(By::Policy, CapacityMode::OnDemand),
        Remedy::SwitchToProvisioned { .. } => world.update_stream_mode(By::Policy, CapacityMode::Provisioned),
        Remedy::WarmUp { to_mibps, .. } => world.update_warm_throughput(By::Policy, *to_mibps),
        Remedy::EnableShardMetrics { metrics, .. } => world.update_monitoring(By::Policy, metrics, true),
        Remedy::DisableShardMetrics { metrics, .. } => world.update_monitoring(By::Policy, metrics, false),
    };
    done.map(|()| None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::HashRange;
    use crate::sim::account::Account;
    use crate::sim::keys::Keys;
    use crate::sim::retry::Retry;
    use crate::sim::world::Setup;
    use unthrottle_core::memory::Memory;
    use unthrottle_core::policy::{Mode, Permission};

    struct Run {
        world: World,
        ours: Ours,
    }

    impl Run {
        fn of(shards: u32, keys: Keys, policy: Policy) -> Run {
            let setup = Setup {
                shards,
                mode: CapacityMode::Provisioned,
                keys,
                record_bytes: 500,
                retry: Retry::patient(),
                account: Account::default(),
            };
            Run { world: World::new(setup, 1), ours: Ours::new(policy, Weather::Fair, 1) }
        }

        fn minutes(&mut self, minutes: i64, records: f64) {
            for _ in 0..minutes * 60 {
                self.world.pass(records);
                self.ours.pass(&mut self.world);
            }
        }

        fn memory(&self) -> Memory {
            Memory::parse(&self.world.tags()[TAG]).expect("readable")
        }
    }

    #[test]
    fn a_step_is_healed_verified_and_counted_once() {
        let mut run = Run::of(4, Keys::even(20_000), Policy::default());
        run.minutes(30, 3_000.0);
        assert_eq!(run.world.score().changes, 0);
        assert_eq!(run.world.score().calls, 0, "a calm stream costs nothing");
        run.minutes(60, 6_000.0);
        assert_eq!(run.world.last().throttled, 0);
        assert_eq!(run.world.open_shards(), 8);
        let change = run.memory().change.expect("remembered");
        assert!(change.settled.is_some() && change.healed.is_some() && change.published.is_some(), "{change:?}");
        let fixes = run.world.cloudwatch().traffic(run.world.now()).auto_fixes;
        assert_eq!(fixes.values().sum::<u32>(), 1, "exactly once");
        let score = run.world.score();
        assert_eq!((score.changes, score.illegal_calls), (1, 0), "{:?}", run.ours.decided());
        assert!(score.heal_seconds_longest < Some(10 * 60), "{score:?}");
    }

    #[test]
    fn a_large_step_takes_several_changes_and_none_is_illegal() {
        let mut run = Run::of(4, Keys::even(20_000), Policy::default());
        run.minutes(10, 3_000.0);
        run.minutes(60, 24_000.0);
        let score = run.world.score();
        assert!(run.world.open_shards() >= 32, "{}", run.world.open_shards());
        assert_eq!(run.world.last().throttled, 0);
        assert!((3..=5).contains(&score.changes), "{score:?}");
        assert_eq!(score.illegal_calls, 0);
    }

    #[test]
    fn one_hot_key_is_named_and_not_scaled() {
        let mut run = Run::of(4, Keys::with_a_hot_one(0.6, 20_000), Policy::default());
        run.minutes(60, 2_500.0);
        assert!(run.world.last().throttled > 0, "no shard can take it");
        assert_eq!(run.world.score().changes, 0, "{:?}", run.ours.decided());
        assert!(run.ours.decided().contains_key("skew_suspected"), "{:?}", run.ours.decided());
    }

    fn diagnosing() -> Policy {
        Policy { diagnose: Permission::Allow, ..Policy::default() }
    }

    #[test]
    fn a_hot_range_is_found_by_shard_metrics_and_split() {
        let second = HashRange::uniform(4)[1];
        let mut run = Run::of(4, Keys::in_a_hot_range(0.9, second, 20_000, 3), diagnosing());
        run.minutes(120, 1_600.0);
        assert_eq!(run.world.last().throttled, 0, "{:?}", run.ours.decided());
        let score = run.world.score();
        assert_eq!(
            (run.world.open_shards(), score.changes, score.illegal_calls),
            (5, 1, 0),
            "{:?}",
            run.ours.decided()
        );
        assert!(run.ours.decided().contains_key("disable_shard_metrics"), "{:?}", run.ours.decided());
    }

    #[test]
    fn a_hot_key_is_split_twice_at_most_and_then_named() {
        let mut run = Run::of(4, Keys::with_a_hot_one(0.6, 20_000), diagnosing());
        run.minutes(180, 2_500.0);
        let score = run.world.score();
        assert!(score.changes <= 2, "{:?}", run.ours.decided());
        assert!(run.ours.decided().contains_key("hot_key"), "{:?}", run.ours.decided());
        assert_eq!(score.illegal_calls, 0);
    }

    #[test]
    fn what_is_observed_is_never_changed() {
        let mut run = Run::of(4, Keys::even(20_000), Policy { mode: Mode::Observe, ..Policy::default() });
        run.minutes(30, 6_000.0);
        assert_eq!((run.world.score().changes, run.world.open_shards()), (0, 4));
        assert!(run.world.tags().is_empty());
        assert!(run.ours.decided().contains_key("scale_shards"), "{:?}", run.ours.decided());
    }

    #[test]
    fn what_was_raised_is_given_back_where_that_is_allowed() {
        let mut run = Run::of(4, Keys::even(20_000), Policy { restore_after_hours: 2, ..Policy::default() });
        run.minutes(60, 6_000.0);
        assert_eq!(run.world.open_shards(), 8);
        run.minutes(4 * 60, 2_000.0);
        assert_eq!(run.world.open_shards(), 4, "{:?}", run.ours.decided());
    }

    #[test]
    fn a_quota_that_is_spent_is_worked_around_by_the_other_mode() {
        let mut run = Run::of(4, Keys::even(20_000), Policy::default());
        let account = Account { shard_limit: 4, ..Account::default() };
        let setup = Setup {
            shards: 4,
            mode: CapacityMode::Provisioned,
            keys: Keys::even(20_000),
            record_bytes: 500,
            retry: Retry::patient(),
            account,
        };
        run.world = World::new(setup, 1);
        run.minutes(60, 6_000.0);
        assert!(run.ours.decided().contains_key("switch_to_on_demand"), "{:?}", run.ours.decided());
        assert_eq!(run.world.score().illegal_calls, 0);
        assert_eq!(run.world.last().throttled, 0, "on-demand mode has grown");
    }
}
