//! unthrottle in the simulated account: the Lambda's own triage, decision, memory and settling, woken by the alarms,
//! by CloudTrail's events and by the sweep. What is written here is only what `heal` and `act` do around them, in virtual time: a look is instant, and
//! AWS answers every call.

use super::alarm::{Alarm, Watched};
use super::arena::Contender;
use super::delivery::{Delivery, EVENT_AFTER, Weather};
use super::rules::Refusal;
use super::world::{By, Event, World, arn, home};
use crate::decide::{Decision, Reason, Remedy, Verdict, decide, due, suppress_for, triage};
use crate::memory::{Memory, TAG};
use crate::observation::{CapacityMode, Fleet, Minute, Observation};
use crate::policy::{Mode, Policy};
use crate::signal::{self, Signal};
use chrono::{DateTime, Utc};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

/// From one sweep to the next, in seconds: the default of `SweepMinutes` in `template.yaml`.
pub(super) const SWEEP_EVERY: i64 = 5 * 60;

/// The first sweep of a run, in seconds: a schedule is in no step with the minutes that CloudWatch counts.
pub(super) const SWEEP_AT: i64 = 137;

/// What the function's runs are spread over: the default of `ReservedConcurrency` in `template.yaml`.
const CONTAINERS: usize = 5;

/// A deployed unthrottle, as one stream meets it.
#[derive(Debug)]
pub struct Ours {
    policy: Policy,
    alarms: [Alarm; 3],
    /// Signals on their way.
    signals: Delivery<Signal>,
    /// Its container's looks: a throttle right after one is answered by it.
    looked: Option<(DateTime<Utc>, &'static str)>,
    /// Its container's own changes, minute by minute.
    changes: Rc<RefCell<BTreeMap<Minute, u32>>>,
    /// The second of the newest sweep, and the changes that it has left.
    sweep: Rc<Cell<(i64, u32)>>,
    /// How often it came to each decision, by its code.
    decided: BTreeMap<&'static str, u64>,
}

impl Ours {
    /// With these settings, and its signals in this weather.
    pub fn new(policy: Policy, weather: Weather, seed: u64) -> Ours {
        Ours {
            alarms: [Watched::Writes, Watched::Reads, Watched::Age].map(|watched| Alarm::on(watched, &policy)),
            signals: Delivery::new(weather, seed),
            looked: None,
            policy,
            changes: Rc::default(),
            sweep: Rc::default(),
            decided: BTreeMap::new(),
        }
    }

    /// So many streams of one deployment, which five containers look after, and one sweep.
    pub fn fleet(policy: &Policy, weather: Weather, seed: u64, streams: u32) -> Vec<Ours> {
        let containers: [Rc<RefCell<BTreeMap<Minute, u32>>>; CONTAINERS] = Default::default();
        let sweep = Rc::default();
        let ours = |n| Ours {
            changes: Rc::clone(&containers[n % CONTAINERS]),
            sweep: Rc::clone(&sweep),
            ..Ours::new(policy.clone(), weather, seed + n as u64)
        };
        (0..streams as usize).map(ours).collect()
    }

    /// How often it came to each decision, by its code.
    pub fn decided(&self) -> &BTreeMap<&'static str, u64> {
        &self.decided
    }

    /// The five steps for one stream. `left_in_sweep`: how many changes the sweep has left that the look belongs to.
    fn heal(&mut self, world: &mut World, signal: &Signal, left_in_sweep: Option<u32>) {
        if let Some(held) = triage(signal, &self.policy, &home()) {
            return self.note(world, (&held).into());
        }
        let is_fresh = |(at, code): (DateTime<Utc>, &str)| world.time() - at < suppress_for(code);
        if matches!(signal, Signal::Throttle(_)) && self.looked.is_some_and(is_fresh) {
            return self.note(world, (&Reason::JustLooked).into());
        }
        let mut look = world.look();
        let now = world.time();
        let decision = loop {
            look.fleet = Fleet { left_in_sweep, ..Fleet::of(&look.traffic, &self.changes.borrow(), now) };
            match decide(signal, &look, &self.policy, now) {
                Ok(decision) => break decision,
                Err(wants) => world.look_closer(&mut look, wants),
            }
        };
        let verdict = self.act(world, &look, decision);
        self.looked = Some((now, verdict.code()));
        self.note(world, verdict.code());
    }

    fn note(&mut self, world: &mut World, code: &'static str) {
        world.mark(code);
        *self.decided.entry(code).or_default() += 1;
    }

    /// The intent, the change, its datum; or what a hold has found out. Gives what AWS made of the decision.
    fn act(&mut self, world: &mut World, look: &Observation, decision: Decision) -> Verdict {
        if decision.mode != Mode::Heal {
            return decision.verdict;
        }
        if let Some(memory) = &decision.memory
            && let Err(reason) = write(world, memory)
        {
            return Verdict::Hold(reason);
        }
        let verdict = match &decision.verdict {
            Verdict::Act(remedy) => match outcome(remedy, &call(world, remedy)) {
                Ok(()) => {
                    let minute = Minute::of(look.observed_at);
                    let mut changes = self.changes.borrow_mut();
                    changes.retain(|known, _| *known > minute.plus(-60));
                    *changes.entry(minute).or_default() += 1;
                    if let Some(left) = look.fleet.left_in_sweep {
                        self.sweep.set((world.now(), left.saturating_sub(1)));
                    }
                    let announced = decision.memory.as_ref().and_then(|memory| memory.change.as_ref());
                    let at = announced.map_or(look.observed_at, |change| change.at);
                    world.count(Remedy::code_of(remedy.kind()), at);
                    decision.verdict
                }
                Err(reason) => Verdict::Hold(refused(world, decision.memory.as_ref(), remedy, reason)),
            },
            Verdict::Hold(_) => decision.verdict,
        };
        for (action, at) in &decision.uncounted {
            world.count(action, *at);
        }
        decision.reverted.inspect(|at| world.count_reverted(*at));
        verdict
    }
}

impl Contender for Ours {
    fn pass(&mut self, world: &mut World) {
        let now = world.now();
        for alarm in &mut self.alarms {
            if let Some(is_raised) = alarm.pass(world.cloudwatch(), now) {
                self.signals.send(now, alarm_signal(world.time(), alarm.watched(), is_raised));
            }
        }
        for event in world.events() {
            self.signals.send(now + EVENT_AFTER, throttle_signal(world, *event));
        }
        for signal in self.signals.arrived(now) {
            self.heal(world, &signal, None);
        }
        let is_due = |world: &World| due(world.tags(), &self.policy, world.time()).is_some();
        if now % SWEEP_EVERY == SWEEP_AT && (self.alarms.iter().any(Alarm::is_raised) || is_due(world)) {
            let (swept_at, left) = self.sweep.get();
            let left = if swept_at == now { left } else { self.policy.max_changes_per_sweep };
            self.heal(world, &Signal::Sweep(arn()), Some(left));
        }
    }
}

/// The alarm's change of state at `time`, as an event tells of it.
pub(super) fn alarm_signal(time: DateTime<Utc>, watched: Watched, is_raised: bool) -> Signal {
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
        stream: Some(arn()),
        ..signal::Alarm::default()
    })
}

fn throttle_signal(world: &World, event: Event) -> Signal {
    Signal::Throttle(signal::Call {
        time: Some(world.time()),
        operation: event.operation.into(),
        error_code: Some(event.code.into()),
        account: Some(home().account),
        region: Some(home().region),
        stream: Some(arn()),
        ..signal::Call::default()
    })
}

/// Writes the memory into the stream's tag.
fn write(world: &mut World, memory: &Memory) -> Result<(), Reason> {
    let text = memory.encode().map_err(|e| Reason::CannotRemember(e.to_string()))?;
    world.tag(By::Policy, TAG, &text).map_err(|refusal| Reason::CannotRemember(refusal.to_string()))
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
        Remedy::WarmUp { to, .. } => world.update_warm_throughput(By::Policy, *to),
        Remedy::EnableShardMetrics { metrics, .. } => world.update_monitoring(By::Policy, metrics, true),
        Remedy::DisableShardMetrics { metrics, .. } => world.update_monitoring(By::Policy, metrics, false),
    };
    done.map(|()| None)
}

/// What `act` makes of the answer. An `Ok` of AWS's that changed nothing is a reshard of somebody else's.
pub(super) fn outcome(remedy: &Remedy, answer: &Result<Option<u32>, Refusal>) -> Result<(), Reason> {
    match (answer, remedy) {
        (Ok(current), Remedy::ScaleShards { to, .. } | Remedy::Restore { to, .. }) if *current == Some(*to) => {
            Err(Reason::Resharding)
        }
        (Ok(_), _) => Ok(()),
        (Err(Refusal { code, message }), _) => Err(match *code {
            "ResourceInUseException" => Reason::Resharding,
            "ResourceNotFoundException" => Reason::StreamGone,
            code => Reason::Refused { code: code.into(), message: message.clone() },
        }),
    }
}

/// Notes a refusal of AWS's in the memory.
fn refused(world: &mut World, memory: Option<&Memory>, remedy: &Remedy, reason: Reason) -> Reason {
    let (Reason::Refused { code, .. }, Some(memory)) = (&reason, memory) else { return reason };
    let memory = memory.refuse(remedy.kind(), world.time(), code == "LimitExceededException");
    write(world, &memory).err().unwrap_or(reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Permission;
    use crate::sim::keys::{HashRange, Keys};
    use crate::sim::retry::Retry;
    use crate::sim::rules::Account;
    use crate::sim::world::Setup;

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
        assert!(change.settled.is_some() && change.healed.is_some() && change.counted.is_some(), "{change:?}");
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
