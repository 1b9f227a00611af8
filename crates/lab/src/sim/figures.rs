//! Figures that compare unthrottle with the other policies, and show where it is worse.
//!
//! They cover the workloads that capacity can cure, with reliable delivery. The refusals of a run are its refused
//! records and refused calls of readers.

use super::arena::Policies;
use super::score::Score;
use super::workloads::{Cure, Workload};
use serde::Serialize;

/// The most refusals of a run, as a multiple of the reactive limit's. A minute of waiting for evidence costs as much as
/// the minute before. A smaller number would forbid waiting; a larger one would allow waits of several minutes.
pub const OF_REACTIVE: f64 = 1.35;

/// The longest cure of the reactive limit that counts, in seconds. For eight times the load, the limit needs a quarter
/// of this time. A longer cure waits for AWS's daily caps.
const REACTIVE_HEALS_IN: i64 = 3_600;

/// The most refusals of a run, as a multiple of the best peer's.
pub const OF_BEST_PEER: f64 = 1.0;

/// The most shard-hours of a peer that counts, as a multiple of the clairvoyant limit's. A tool that pays for enough
/// idle shards is never throttled, and such a tool is no measure.
const OF_CLAIRVOYANT_FOR_PEERS: f64 = 2.0;

/// The most refusals over all workloads, as a multiple of those of the best peer of each workload.
const OF_BEST_PEERS: f64 = 0.5;

/// The most shard-hours with restore, or with foresight, as a multiple of the clairvoyant limit's, over all workloads
/// that both heal in provisioned mode.
const SHARD_HOURS_OF_CLAIRVOYANT: f64 = 1.2;

/// The most changes with restore, as a multiple of the clairvoyant limit's, over the same workloads.
const CHANGES_OF_CLAIRVOYANT: f64 = 1.5;

/// All policies on one workload, with the chances of one seed.
#[derive(Clone, Debug)]
pub struct Contest {
    /// The workload.
    pub workload: Workload,
    /// The seed of its chances.
    pub seed: u64,
    /// Each policy's score.
    pub scores: Vec<(Policies, Score)>,
}

impl Contest {
    /// The score of a policy; `None`: the policy did not take part.
    pub fn of(&self, policy: Policies) -> Option<&Score> {
        self.scores.iter().find(|(known, _)| *known == policy).map(|(_, score)| score)
    }

    /// The peer with the fewest refusals, without the peers that pay for too many shards. If the clairvoyant limit
    /// cannot heal the workload, there is no price to compare: then only a peer that heals it counts.
    fn best_peer(&self) -> Option<(Policies, &Score)> {
        let limit = self.of(Policies::Clairvoyant)?;
        let counts = |score: &Score| match limit.is_healed {
            true => score.shard_hours <= OF_CLAIRVOYANT_FOR_PEERS * limit.shard_hours,
            false => score.is_healed,
        };
        let peers = self.scores.iter().filter(|(policy, score)| policy.is_peer() && counts(score));
        peers.min_by_key(|(_, score)| refused(score)).map(|(policy, score)| (*policy, score))
    }

    /// Refusals of unthrottle ÷ those of the reactive limit. `None`: neither refuses anything, one did not take part,
    /// or the limit has not healed the stream in an hour, since it only reshards for writes.
    pub fn against_reactive(&self) -> Option<f64> {
        let is_soon = |limit: &Score| limit.heal_seconds_longest <= Some(REACTIVE_HEALS_IN);
        let heals = |limit: &&Score| limit.is_healed && limit.changes > 0 && is_soon(limit);
        let limit = self.of(Policies::Reactive).filter(heals)?;
        let ours = self.of(Policies::Ours)?;
        divide(refused(ours) as f64, refused(limit) as f64)
    }

    /// Refusals of unthrottle with foresight ÷ those of the reactive limit. `None`: as for
    /// [`Contest::against_reactive`].
    pub fn with_foresight(&self) -> Option<f64> {
        let (foreseeing, ours) = (self.of(Policies::OursForeseeing)?, self.of(Policies::Ours)?);
        let of_ours = divide(refused(foreseeing) as f64, refused(ours) as f64)?;
        Some(of_ours * self.against_reactive()?)
    }

    /// The best peer, and refusals of unthrottle ÷ those of this peer.
    pub fn against_best_peer(&self) -> Option<(Policies, Option<f64>)> {
        let (peer, score) = self.best_peer()?;
        Some((peer, divide(refused(self.of(Policies::Ours)?) as f64, refused(score) as f64)))
    }

    /// Refusals of unthrottle with lossy delivery ÷ those with reliable delivery. `None`: neither refuses anything, or
    /// capacity cannot cure the workload.
    pub fn with_lossy_delivery(&self) -> Option<f64> {
        self.against_ours(Policies::OursWithLossyDelivery)
    }

    /// Refusals of unthrottle with restore ÷ those without. `None`: neither refuses anything, or capacity cannot cure
    /// the workload.
    pub fn with_restore(&self) -> Option<f64> {
        self.against_ours(Policies::OursRestoring)
    }

    fn against_ours(&self, policy: Policies) -> Option<f64> {
        let (other, ours) = (self.of(policy)?, self.of(Policies::Ours)?);
        divide(refused(other) as f64, refused(ours) as f64).filter(|_| self.workload.cure != Cure::Elsewhere)
    }

    /// Shard-hours of unthrottle with restore ÷ those of the clairvoyant limit. `None`: one of them was in on-demand
    /// mode, or has not healed the stream. Missing shards cost nothing, so such numbers do not compare.
    pub fn shard_hours(&self) -> Option<f64> {
        let (ours, limit) = (self.of(Policies::OursRestoring)?, self.of(Policies::Clairvoyant)?);
        divide(ours.shard_hours, limit.shard_hours).filter(|_| self.is_provisioned(Policies::OursRestoring))
    }

    /// Whether the policy and the clairvoyant limit both heal the stream and both pay by shard-hours.
    fn is_provisioned(&self, policy: Policies) -> bool {
        let is = |policy| self.of(policy).is_some_and(|score: &Score| score.on_demand_hours <= 0.0 && score.is_healed);
        is(policy) && is(Policies::Clairvoyant)
    }
}

/// The contests of each workload, with all their seeds. `contests` has the seeds of a workload one after the other.
pub fn by_workload(contests: &[Contest]) -> impl Iterator<Item = &[Contest]> {
    contests.chunk_by(|one, other| one.workload.name == other.workload.name)
}

/// A number of each seed of a workload, in the middle and at its worst.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread<T> {
    /// The contest in the middle; of an even number of contests, the higher of the two.
    pub median: T,
    /// The contest with the highest number.
    pub worst: T,
}

impl<T: Copy> Spread<T> {
    /// The spread of `values` by their numbers. `None`: there are no values.
    pub fn of(values: impl IntoIterator<Item = T>, number: impl Fn(&T) -> f64) -> Option<Spread<T>> {
        let mut values: Vec<T> = values.into_iter().collect();
        values.sort_by(|one, other| number(one).total_cmp(&number(other)));
        Some(Spread { median: *values.get(values.len() / 2)?, worst: *values.last()? })
    }
}

/// The spread of a ratio over the seeds of a workload, without the seeds that have nothing to compare.
pub fn spread(contests: &[Contest], of: impl Fn(&Contest) -> Option<f64>) -> Option<Spread<f64>> {
    Spread::of(contests.iter().filter_map(of), |ratio| *ratio)
}

/// The spread of refused ÷ best peer over the seeds of a workload, with the peer of each.
pub fn against_best_peers(contests: &[Contest]) -> Option<Spread<(Policies, f64)>> {
    let both = |contest: &Contest| contest.against_best_peer().and_then(|(peer, ratio)| Some((peer, ratio?)));
    Spread::of(contests.iter().filter_map(both), |(_, ratio)| *ratio)
}

/// The ratio; `None`: both numbers are zero.
fn divide(ours: f64, other: f64) -> Option<f64> {
    if ours <= 0.0 && other <= 0.0 { None } else { Some(ours / other) }
}

/// Refused records and refused calls of readers.
fn refused(score: &Score) -> u64 {
    score.throttled + score.reads_throttled
}

/// One figure: a ratio, and the most that it may be.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// The two things that are compared, in words.
    pub what: String,
    /// Number of unthrottle ÷ the other number; `None`: both are zero.
    pub ratio: Option<f64>,
    /// The most that the ratio may be.
    pub most: f64,
}

impl Figure {
    fn of(what: impl Into<String>, ours: f64, other: f64, most: f64) -> Figure {
        Figure { what: what.into(), ratio: divide(ours, other), most }
    }

    /// Whether the ratio is at most [`Figure::most`].
    pub fn is_reached(&self) -> bool {
        self.ratio.is_none_or(|ratio| ratio <= self.most)
    }
}

/// The number of figures in [`figures`] that cover all workloads together.
pub const ALL_TOGETHER: usize = 7;

/// The figures of all workloads together, [`ALL_TOGETHER`] of them, and then the missed figures of single workloads, in
/// the middle of their seeds. `contests`: as for [`by_workload`].
pub fn figures(contests: &[Contest]) -> Vec<Figure> {
    let curable: Vec<&Contest> = contests.iter().filter(|contest| contest.workload.cure == Cure::Capacity).collect();
    let provisioned: Vec<&Contest> =
        curable.iter().filter(|contest| contest.is_provisioned(Policies::Ours)).copied().collect();
    let mut figures = vec![illegal(contests), in_vain(contests)];
    figures.push(against_peers("refused, all workloads ÷ the best peer of each", &curable));
    figures.push(against_peers("the same where it heals, and stays in provisioned mode", &provisioned));
    figures.push(shard_hours("shard-hours with restore ÷ clairvoyant", Policies::OursRestoring, &curable));
    figures.push(shard_hours("shard-hours with foresight ÷ clairvoyant", Policies::OursForeseeing, &curable));
    figures.push(changes(&curable));
    let workloads = by_workload(contests).filter(|of_it| of_it[0].workload.cure == Cure::Capacity);
    let of_each = workloads.flat_map(|of_it| [against_reactive(of_it), against_best_peer(of_it)]);
    figures.extend(of_each.flatten().filter(|figure| !figure.is_reached()));
    figures
}

/// Adds up a number of the scores of the policies that match `who`.
fn sum<'a>(contests: impl IntoIterator<Item = &'a Contest>, who: fn(Policies) -> bool, of: fn(&Score) -> u64) -> f64 {
    let scores = contests.into_iter().flat_map(|contest| &contest.scores).filter(|(policy, _)| who(*policy));
    scores.map(|(_, score)| of(score)).sum::<u64>() as f64
}

fn illegal(contests: &[Contest]) -> Figure {
    let illegal = sum(contests, Policies::is_ours, |score| score.illegal_calls);
    Figure { what: "calls that AWS refused".into(), ratio: Some(illegal), most: 0.0 }
}

/// Splits that tell a hot key from a hot range, if shard-level metrics are allowed.
const DIAGNOSTIC_SPLITS: u64 = 2;

/// The workload that has a hot key.
const HOT_KEY: &str = "hot-key";

fn in_vain(contests: &[Contest]) -> Figure {
    let in_vain = contests.iter().flat_map(|contest| {
        // Foresight changes a stream before it throttles, where its owner asks for it.
        let is_cure = |(policy, _): &&(Policies, Score)| policy.is_ours() && *policy != Policies::OursForeseeing;
        let scores = contest.scores.iter().filter(is_cure);
        scores.map(|(policy, score)| {
            let splits = *policy == Policies::OursDiagnosing && contest.workload.name == HOT_KEY;
            score.changes_in_vain.saturating_sub(if splits { DIAGNOSTIC_SPLITS } else { 0 })
        })
    });
    let what = "changes where capacity is no cure, without two splits of a hot key and without foresight";
    Figure { what: what.into(), ratio: Some(in_vain.sum::<u64>() as f64), most: 0.0 }
}

fn against_peers(what: &str, contests: &[&Contest]) -> Figure {
    let both = contests
        .iter()
        .filter_map(|contest| Some((refused(contest.of(Policies::Ours)?), refused(contest.best_peer()?.1))));
    let (ours, peers) = both.fold((0, 0), |(ours, peers), (our, peer)| (ours + our, peers + peer));
    Figure::of(what, ours as f64, peers as f64, OF_BEST_PEERS)
}

fn shard_hours(what: &str, policy: Policies, contests: &[&Contest]) -> Figure {
    let both = contests
        .iter()
        .filter(|contest| contest.is_provisioned(policy))
        .filter_map(|contest| Some((contest.of(policy)?.shard_hours, contest.of(Policies::Clairvoyant)?.shard_hours)));
    let (ours, limit) = both.fold((0.0, 0.0), |(ours, limit), (our, its)| (ours + our, limit + its));
    Figure::of(what, ours, limit, SHARD_HOURS_OF_CLAIRVOYANT)
}

fn changes(contests: &[&Contest]) -> Figure {
    let alike = || contests.iter().copied().filter(|contest| contest.is_provisioned(Policies::OursRestoring));
    let of = |who| sum(alike(), who, |score| score.changes);
    let ours = of(|policy| policy == Policies::OursRestoring);
    let limit = of(|policy| policy == Policies::Clairvoyant);
    Figure::of("changes with restore ÷ clairvoyant", ours, limit, CHANGES_OF_CLAIRVOYANT)
}

fn against_reactive(contests: &[Contest]) -> Option<Figure> {
    let what = format!("{}: refused ÷ reactive limit", contests.first()?.workload.name);
    let median = spread(contests, Contest::against_reactive)?.median;
    Some(Figure { what, ratio: Some(median), most: OF_REACTIVE })
}

fn against_best_peer(contests: &[Contest]) -> Option<Figure> {
    let (peer, ratio) = against_best_peers(contests)?.median;
    let what = format!("{}: refused ÷ best peer ({peer})", contests.first()?.workload.name);
    Some(Figure { what, ratio: Some(ratio), most: OF_BEST_PEER })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(throttled: u64, shard_hours: f64) -> Score {
        let heal_seconds_longest = (throttled > 0).then_some(300);
        Score { throttled, shard_hours, changes: 2, is_healed: true, heal_seconds_longest, ..Score::default() }
    }

    fn contest(name: &str, of: impl Fn(Policies) -> Score) -> Contest {
        use Policies::{Clairvoyant, Doubling, Ours, OursDiagnosing, OursRestoring, Reactive, Static};
        let policies = [Ours, OursRestoring, OursDiagnosing, Static, Doubling, Reactive, Clairvoyant];
        let scores = policies.into_iter().map(|policy| (policy, of(policy))).collect();
        Contest { workload: Workload::named(name).expect("known"), seed: 1, scores }
    }

    fn figure(contests: &[Contest], what: &str) -> Option<Figure> {
        figures(contests).into_iter().find(|figure| figure.what.contains(what))
    }

    #[test]
    fn a_peer_that_pays_for_twice_the_shards_does_not_count() {
        let of = |policy| match policy {
            Policies::Doubling => score(10, 201.0),
            Policies::Static => score(900, 90.0),
            Policies::Clairvoyant => score(0, 100.0),
            _ => score(300, 120.0),
        };
        let step = contest("step-2", of);
        assert_eq!(step.against_best_peer(), Some((Policies::Static, Some(300.0 / 900.0))));
        assert_eq!((step.against_reactive(), step.shard_hours()), (Some(1.0), Some(1.2)));
        assert!(figures(&[step]).iter().all(Figure::is_reached));
    }

    #[test]
    fn missed_figures_are_named_and_unhealed_workloads_are_not_compared() {
        let of = |policy| match policy {
            Policies::Ours => Score { illegal_calls: 1, ..score(136, 120.0) },
            Policies::OursRestoring => Score { is_healed: false, ..score(136, 90.0) },
            Policies::Reactive => score(100, 120.0),
            _ => score(0, 100.0),
        };
        let step = contest("step-2", of);
        assert_eq!(step.shard_hours(), None);
        let contests = [step];
        assert!(!figure(&contests, "AWS refused").expect("always there").is_reached());
        assert_eq!(figure(&contests, "step-2: refused ÷ reactive").expect("missed").ratio, Some(1.36));
        assert_eq!(figure(&contests, "step-2: refused ÷ best peer").expect("missed").ratio, Some(f64::INFINITY));
    }

    #[test]
    fn of_several_seeds_the_middle_counts_and_the_worst_is_known() {
        let with = |seed: u64, ours: u64| {
            let of = |policy| score(if policy == Policies::Ours { ours } else { 100 }, 100.0);
            Contest { seed, ..contest("step-2", of) }
        };
        let contests = [with(1, 300), with(2, 110), with(3, 120), contest("step-8", |_| score(100, 100.0))];
        let of_each: Vec<_> = by_workload(&contests).map(<[Contest]>::len).collect();
        assert_eq!(of_each, [3, 1]);
        let found = spread(&contests[..3], Contest::against_reactive);
        assert_eq!(found, Some(Spread { median: 1.2, worst: 3.0 }));
        assert!(figure(&contests, "step-2: refused ÷ reactive").is_none(), "1.2 is reached");
        let even = spread(&contests[..2], Contest::against_reactive).expect("two");
        assert_eq!((even.median, even.worst), (3.0, 3.0), "the higher of the two");
        assert_eq!(spread(&contests, |_| None), None);
    }

    #[test]
    fn a_hot_key_may_be_split_twice_where_that_is_allowed() {
        let of = |allowed: u64, diagnosing: u64| {
            contest("hot-key", move |policy| Score {
                changes_in_vain: if policy == Policies::OursDiagnosing { diagnosing } else { allowed },
                ..score(5, 9.0)
            })
        };
        let reached = |contest| figure(&[contest], "no cure").is_some_and(|figure| figure.is_reached());
        assert!(reached(of(0, 2)) && !reached(of(0, 3)) && !reached(of(1, 0)));
        let bursts = Contest { workload: Workload::named("bursts").expect("known"), ..of(0, 1) };
        assert!(!reached(bursts), "no split is needed there");
    }
}
