//! One policy on one workload.

use super::chance::{Chance, RIPPLE};
use super::delivery::DeliveryQuality;
use super::limits::{Clairvoyant, Reactive};
use super::ours::Ours;
use super::peers::{
    ApplicationAutoScaling, AwsAutoscaling, Doubling, Epsagon, HuaweiDis, OnDemand, PredictiveScaling, ScalingUtils,
    Static, Substation,
};
use super::score::Score;
use super::timeline::Timeline;
use super::workloads::{Cure, Workload};
use super::world::{Setup, World};
use unthrottle_core::observation::Minute;
use unthrottle_core::policy::{FORESIGHT_TAG, Foresight, Permission, Policy};

/// A policy that scales the stream.
pub(crate) trait Contender {
    /// Reacts to the second of the world that has just passed.
    fn pass(&mut self, world: &mut World);
}

/// The policies that can be compared, by their names on the command line.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, strum::Display, strum::EnumString, strum::EnumIter, strum::VariantNames,
)]
#[strum(serialize_all = "kebab-case")]
pub enum Policies {
    /// unthrottle as it is deployed.
    Ours,
    /// unthrottle that restores its raises after three hours without throttling.
    OursRestoring,
    /// unthrottle that adds shards before the load comes, and restores them as [`Policies::OursRestoring`] does.
    OursForeseeing,
    /// unthrottle that may enable shard-level metrics to find hot shards. AWS bills these metrics by the shard.
    OursDiagnosing,
    /// unthrottle as it is deployed, with lossy delivery: its alarms and events are late, come twice, or are lost.
    #[strum(serialize = "ours-in-foul-weather")]
    OursWithLossyDelivery,
    /// No scaling.
    Static,
    /// "Every throttle event doubles."
    Doubling,
    /// Substation's autoscaler.
    Substation,
    /// The Kinesis Scaling Utility of AWS Labs, with the numbers of its README.
    ScalingUtils,
    /// AWS's sample of an autoscaler on metric-math alarms.
    AwsAutoscaling,
    /// Epsagon's autoscaler.
    Epsagon,
    /// AWS's sample of a custom resource of Application Auto Scaling.
    ApplicationAutoScaling,
    /// The autoscaling of Huawei Cloud's Data Ingestion Service, as if AWS sold it.
    HuaweiDis,
    /// AWS's predictive scaling, as a custom resource would use it.
    PredictiveScaling,
    /// No scaling, on a stream that is in on-demand mode from the beginning.
    OnDemand,
    /// Limit: knows the offered load, and doubles as soon as a published minute shows a need.
    Reactive,
    /// Limit: knows the future load and plans for it.
    Clairvoyant,
}

/// The shards that unthrottle may add to a fleet in 24 hours: more than the 200 streams of the workload `fleet` need.
/// With the default of 200, that bound would stop the workload, and not the bound on changes.
const SHARDS_OF_FLEET: u32 = 1_000;

/// Hours without throttling before a restore, for [`Policies::OursRestoring`]. With fewer hours, a load that returns
/// every three hours finds a stream that is too small. With more, the stream stays too large at night.
pub(super) const RESTORE_AFTER_HOURS: u32 = 3;

impl Policies {
    /// Whether the policy is another tool that people can use today.
    pub fn is_peer(self) -> bool {
        !self.is_ours() && !matches!(self, Policies::Reactive | Policies::Clairvoyant)
    }

    /// Whether the policy is unthrottle.
    pub fn is_ours(self) -> bool {
        use Policies::{Ours, OursDiagnosing, OursForeseeing, OursRestoring, OursWithLossyDelivery};
        matches!(self, Ours | OursRestoring | OursForeseeing | OursDiagnosing | OursWithLossyDelivery)
    }

    /// Creates the policy at the beginning of a run. Only the limits know more of the run than the stream shows.
    pub(crate) fn contender(self, workload: &Workload, seed: u64) -> Box<dyn Contender> {
        match self {
            Policies::Ours
            | Policies::OursRestoring
            | Policies::OursForeseeing
            | Policies::OursDiagnosing
            | Policies::OursWithLossyDelivery => Box::new(Ours::new(self.policy(), self.delivery(workload), seed)),
            Policies::Static => Box::new(Static),
            Policies::Doubling => Box::new(Doubling::new(workload.weather, seed)),
            Policies::Substation => Box::new(Substation::new(workload.weather, seed)),
            Policies::ScalingUtils => Box::<ScalingUtils>::default(),
            Policies::AwsAutoscaling => Box::new(AwsAutoscaling::new(workload.weather, seed)),
            Policies::Epsagon => Box::new(Epsagon::new(workload.weather, seed)),
            Policies::ApplicationAutoScaling => Box::<ApplicationAutoScaling>::default(),
            Policies::HuaweiDis => Box::<HuaweiDis>::default(),
            Policies::PredictiveScaling => Box::<PredictiveScaling>::default(),
            Policies::OnDemand => Box::new(OnDemand),
            Policies::Reactive => Box::new(Reactive::new(workload, seed)),
            Policies::Clairvoyant => Box::new(Clairvoyant::new(workload, seed)),
        }
    }

    /// The settings of unthrottle.
    fn policy(self) -> Policy {
        let default = Policy::default();
        match self {
            Policies::OursRestoring => Policy { restore_after_hours: RESTORE_AFTER_HOURS, ..default },
            Policies::OursForeseeing => {
                Policy { restore_after_hours: RESTORE_AFTER_HOURS, foresight: Foresight::Act, ..default }
            }
            Policies::OursDiagnosing => Policy { diagnose: Permission::Allow, ..default },
            _ => default,
        }
    }

    /// How its alarms and events are delivered.
    fn delivery(self, workload: &Workload) -> DeliveryQuality {
        if self == Policies::OursWithLossyDelivery { DeliveryQuality::Lossy } else { workload.weather }
    }

    /// One contender for each stream of the workload. Those of unthrottle share a deployment.
    fn contenders(self, workload: &Workload, seed: u64) -> Vec<Box<dyn Contender>> {
        if self.is_ours() && workload.streams > 1 {
            let policy = Policy { max_added_shards: SHARDS_OF_FLEET, ..self.policy() };
            let fleet = Ours::fleet(&policy, self.delivery(workload), seed, workload.streams);
            return fleet.into_iter().map(|ours| Box::new(ours) as Box<dyn Contender>).collect();
        }
        (0..workload.streams).map(|n| self.contender(workload, seed + u64::from(n))).collect()
    }

    /// The stream with the tags that its owner gives it for the policy.
    fn tagged(self, world: World) -> World {
        if self == Policies::OursForeseeing { world.with_tag(FORESIGHT_TAG, "act") } else { world }
    }

    /// The stream at the beginning: the workload's stream, in the capacity mode of the policy.
    pub(crate) fn setup(self, setup: Setup) -> Setup {
        if self == Policies::OnDemand { OnDemand::setup(setup) } else { setup }
    }
}

/// New records of each second of the run.
pub(super) fn loads(workload: &Workload, seed: u64) -> impl Iterator<Item = f64> {
    let mut chance = Chance::new(seed, RIPPLE);
    (0..workload.hours * 3_600).map(move |second| {
        let ripple = 1.0 + workload.ripple * (2.0 * chance.fraction() - 1.0);
        workload.load.at(second) * ripple
    })
}

/// The result of a run.
#[derive(Clone, Debug)]
pub struct Run {
    /// In numbers.
    pub score: Score,
    /// Minute by minute.
    pub timeline: Timeline,
}

/// Scores a policy on a workload. The same seed always gives the same score, and all policies meet the same load.
pub fn run(workload: &Workload, policy: Policies, seed: u64) -> Score {
    watch(workload, policy, seed).score
}

/// Runs a policy on a workload, and records the run minute by minute. Of a fleet, the timeline shows the first stream.
pub fn watch(workload: &Workload, policy: Policies, seed: u64) -> Run {
    let workload = &workload.drawn(seed);
    let world = |seed| policy.tagged(workload.world(policy.setup(workload.setup(seed)), seed));
    let mut worlds: Vec<World> = (0..workload.streams).map(|n| world(seed + u64::from(n))).collect();
    let mut contenders = policy.contenders(workload, seed);
    for records in loads(workload, seed) {
        for (world, contender) in worlds.iter_mut().zip(&mut contenders) {
            world.pass(records);
            workload.apply_surroundings(world);
            contender.pass(world);
        }
        if workload.streams > 1 {
            share_fix_counts(&mut worlds);
        }
    }
    let scores: Vec<Score> = worlds.iter().map(World::score).collect();
    let score = if let [only] = scores.as_slice() { only.clone() } else { Score::of_fleet(&scores) };
    let is_in_vain = workload.cure == Cure::Elsewhere;
    let score = Score { changes_in_vain: if is_in_vain { score.changes } else { 0 }, ..score };
    Run { score, timeline: worlds.first().map(|world| world.timeline().clone()).unwrap_or_default() }
}

/// What a stream of the fleet counted in this second: the minute of each change, and the shards that were added.
type FixCounts = (Vec<Minute>, Vec<(Minute, u32)>);

/// Publishes the changes of each stream to all others: the metrics of the fleet count all streams.
fn share_fix_counts(worlds: &mut [World]) {
    let at_now =
        |world: &World| (world.cloudwatch().counted_at(world.now()), world.cloudwatch().shards_added_at(world.now()));
    let new: Vec<FixCounts> = worlds.iter().map(at_now).collect();
    if new.iter().all(|(fixes, _)| fixes.is_empty()) {
        return;
    }
    for (n, world) in worlds.iter_mut().enumerate() {
        for (_, (fixes, shards)) in new.iter().enumerate().filter(|(other, _)| *other != n) {
            world.count_elsewhere(fixes.iter().copied(), shards.iter().copied());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::workloads;
    use strum::IntoEnumIterator as _;

    /// The first hours of a workload. The interesting part of each workload is in these hours.
    fn hours(hours: i64, workload: Workload) -> Workload {
        Workload { hours: workload.hours.min(hours), ..workload }
    }

    fn json(workload: &Workload, policy: Policies, seed: u64) -> String {
        serde_json::to_string(&run(workload, policy, seed)).expect("numbers")
    }

    #[test]
    fn a_seed_reproduces_a_run_to_the_byte() {
        for name in ["step-3.5", "hot-range", "terraform-tags"] {
            let workload = hours(3, Workload::named(name).expect("known"));
            for policy in Policies::iter() {
                assert_eq!(json(&workload, policy, 7), json(&workload, policy, 7), "{name} {policy}");
            }
            assert_ne!(json(&workload, Policies::Ours, 7), json(&workload, Policies::Ours, 8), "{name}");
        }
    }

    #[test]
    fn all_policies_meet_the_same_load() {
        let workload = hours(3, Workload::named("step-2").expect("known"));
        let offered: Vec<u64> = Policies::iter().map(|policy| run(&workload, policy, 3).offered).collect();
        // Each shard that is closed leaves a part of a record over.
        assert!(offered.iter().all(|records| records.abs_diff(offered[0]) < 100), "{offered:?}");
    }

    #[test]
    fn unthrottle_makes_no_illegal_call_and_loses_less_than_a_static_stream() {
        for workload in workloads::all().into_iter().map(|workload| hours(3, workload)) {
            let (ours, unattended) = (run(&workload, Policies::Ours, 1), run(&workload, Policies::Static, 1));
            assert_eq!(ours.illegal_calls, 0, "{}: {:?}", workload.name, ours.refusals);
            assert!(ours.throttled <= unattended.throttled, "{}: {ours:?}", workload.name);
        }
    }

    /// Asserts that unthrottle heals the first hours of a workload within this number of changes, whatever the seed.
    #[track_caller]
    fn heals(name: &str, changes: u64) {
        let workload = hours(3, Workload::named(name).expect("known"));
        let run = |seed| (seed, run(&workload, Policies::Ours, seed));
        let is_bad = |score: &Score| !score.is_healed || score.changes > changes;
        let bad: Vec<_> = (1..=6).map(run).filter(|(_, score)| is_bad(score)).collect();
        let bad: Vec<_> = bad.iter().map(|(seed, s)| (seed, s.is_healed, s.changes, s.shard_hours)).collect();
        assert!(bad.is_empty(), "{name}: (seed, healed, changes, shard-hours) {bad:?}");
    }

    #[test]
    fn a_load_that_begins_at_any_second_from_any_base_is_healed_by_one_change() {
        heals("step-1.3", 1);
        heals("step-2", 1);
    }

    #[test]
    fn a_load_that_begins_late_in_a_minute_is_healed_by_two_changes() {
        heals("onset-late", 2);
    }

    #[test]
    fn a_reshard_that_stopped_half_way_is_healed_by_one_change() {
        heals("half-reshard", 1);
    }

    #[test]
    fn shards_of_uneven_width_are_healed() {
        heals("uneven-ranges", 2);
    }

    #[test]
    fn a_writer_that_is_mostly_refused_in_every_minute_is_healed() {
        heals("crash-loop", 1);
    }

    #[test]
    fn resends_after_a_reshard_cause_no_chain_of_reshards() {
        // A wave that refuses a third of all records in a whole minute looks like a load.
        heals("resend-after-reshard", 2);
    }

    #[test]
    fn the_limits_heal_uneven_shards_and_unusual_producers() {
        for name in ["onset-late", "uneven-ranges", "half-reshard", "crash-loop", "resend-after-reshard"] {
            let workload = hours(2, Workload::named(name).expect("known"));
            for (policy, seed) in [(Policies::Reactive, 1), (Policies::Reactive, 4), (Policies::Clairvoyant, 1)] {
                let score = run(&workload, policy, seed);
                let is_right = score.is_healed && (1..=6).contains(&score.changes) && score.illegal_calls == 0;
                assert!(is_right, "{name} {policy} {seed}: {score:?}");
            }
        }
    }

    #[test]
    fn offered_records_are_accepted_lost_or_waiting() {
        for workload in ["step-2", "retry-storm", "bursts"].map(|name| hours(2, Workload::named(name).expect("known")))
        {
            let score = run(&workload, Policies::Doubling, 1);
            let waits = score.offered - score.accepted - score.lost;
            // At most the load of half a minute.
            let most = workload.load.at(workload.hours * 3_600 - 1) * 31.0;
            assert!((waits as f64) < most, "{}: {waits}", workload.name);
        }
    }
}
