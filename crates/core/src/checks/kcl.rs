//! An application of the Kinesis Client Library (KCL): its leases.

use super::finding::{Answer, NAMED, Verdict};
use super::fix::Fix;
use super::load::known;
use super::readings::Readings;
use super::{Lease, Leases};
use crate::cost::Prices;
use crate::observation::Shard;
use crate::text::quoted;
use crate::words::{many, short};
use std::collections::{BTreeMap, BTreeSet};

/// A worker with this times the mean of the leases has too many: the KCL gives each worker one lease more or
/// less than the mean. AWS gives no number.
const TOO_MANY: f64 = 1.5;

pub(super) fn kcl(readings: &Readings, _: &Prices) -> Answer {
    let Some(leases) = &readings.leases else {
        return Ok(Verdict::unknown("No lease table was given.", "give --kcl TABLE"));
    };
    let (leases, shards) = (known(leases)?, known(&readings.shards)?);
    let open: BTreeSet<&str> = shards.iter().map(|shard| shard.id.as_str()).collect();
    let is_closed = |lease: &&Lease| !lease.is_finished && !open.contains(lease.shard.as_str());
    let closed: Vec<&Lease> = leases.leases.iter().filter(is_closed).collect();
    let undrained: Vec<&str> = closed.iter().map(|lease| lease.shard.as_str()).collect();
    let waits = |id: &str| {
        let shard = shards.iter().find(|shard| shard.id == id);
        shard.is_some_and(|shard| closed.iter().any(|lease| lease.precedes(shard, shards)))
    };
    let unowned: Vec<&str> = open.iter().copied().filter(|id| !leases.is_owned(id) && !waits(id)).collect();
    let owners = leases.owners();
    let table = &leases.table;
    let verdict = if leases.leases.is_empty() {
        let sentence = format!("The table {table} has no lease of the stream, so its application reads nothing.");
        let fix = Fix::note("start the application, or give --kcl its table; this one has:");
        Verdict::fail(sentence, fix.and_run(format!("aws dynamodb scan --table-name {}", quoted(table))))
    } else if !unowned.is_empty() {
        let sentence = format!(
            "No worker of {table} has the lease of {} ({}), so it reads nothing there.",
            many(unowned.len(), "open shard"),
            first(&unowned)
        );
        Verdict::fail(sentence, "start a worker, or look for one that fails to start: its log names the shard")
    } else if let Some(dead) = dead(leases) {
        dead
    } else if let Some((owner, count, mean)) = uneven(&owners) {
        let sentence =
            format!("The worker {owner} has {count} of the leases of {table}, and the mean is {}.", short(mean));
        let fix = "check that all workers run one version of the KCL, and that none is at its limit; KCL 3 balances \
                   the CPU of workers and not their leases";
        Verdict::warn(sentence, fix)
    } else if !undrained.is_empty() {
        let sentence = format!(
            "{table} has not read {} to the end ({}). The KCL reads the shards that follow only then.",
            many(undrained.len(), "closed shard"),
            first(&undrained)
        );
        Verdict::warn(sentence, "wait after a reshard; if it stays, look for a record on which the worker fails")
    } else {
        let renewed = if leases.watched_seconds > 0 { ", and renew them" } else { "" };
        Verdict::ok(match owners.len() {
            1 => format!("One worker of {table} has all leases{}.", renewed.replace("renew", "renews")),
            workers => format!("{workers} workers of {table} have all leases, evenly{renewed}."),
        })
    };
    let verdict = verdict.with("unowned", unowned).with("undrained", undrained).with("leases", leases.leases.len());
    let verdict = verdict.with("workers", owners.len()).with("watched_seconds", leases.watched_seconds);
    Ok(verdict.with("not_renewed", leases.not_renewed()))
}

/// The finding of workers that have leases and do not renew them. A worker that ends without a word keeps its name in
/// the table.
fn dead(leases: &Leases) -> Option<Verdict> {
    let (table, seconds) = (&leases.table, leases.watched_seconds);
    let still: Vec<&str> = leases.not_renewed();
    if seconds == 0 || still.is_empty() {
        return None;
    }
    let held = leases.leases.iter().filter(|lease| lease.is_held()).count();
    if still.len() == held {
        let sentence = format!("No worker of {table} renewed a lease in {seconds} s, so none seems to run.");
        return Some(Verdict::fail(sentence, "start a worker, or look into its log for the error on which it ended"));
    }
    let sentence = format!(
        "{} of {held} leases of {table} were not renewed in {seconds} s ({}). Their workers seem to be stuck or gone.",
        still.len(),
        first(&still)
    );
    Some(Verdict::warn(sentence, "look into the logs of the workers that have these leases"))
}

/// The worker with too many leases, their number, and the mean.
fn uneven<'a>(owners: &BTreeMap<&'a str, usize>) -> Option<(&'a str, usize, f64)> {
    let mean = owners.values().sum::<usize>() as f64 / owners.len().max(1) as f64;
    let (owner, count) = owners.iter().max_by_key(|(_, count)| **count)?;
    // One lease more than the mean is as even as it can be.
    (*count as f64 >= TOO_MANY * mean && *count as f64 >= mean + 1.0).then_some((*owner, *count, mean))
}

/// The first ids, and how many more there are.
fn first(ids: &[&str]) -> String {
    let named = ids[..ids.len().min(NAMED)].join(", ");
    match ids.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

impl Leases {
    /// The shards whose leases a worker has and did not renew while the doctor watched.
    fn not_renewed(&self) -> Vec<&str> {
        let still = self.leases.iter().filter(|lease| lease.is_held() && lease.is_renewed == Some(false));
        still.map(|lease| lease.shard.as_str()).collect()
    }

    fn is_owned(&self, shard: &str) -> bool {
        self.leases.iter().any(|lease| lease.shard == shard && lease.owner.is_some())
    }

    /// The number of leases of each worker, without those of finished shards.
    fn owners(&self) -> BTreeMap<&str, usize> {
        let mut owners = BTreeMap::new();
        for lease in self.leases.iter().filter(|lease| lease.is_held()) {
            *owners.entry(lease.owner.as_deref().unwrap_or_default()).or_default() += 1;
        }
        owners
    }
}

impl Lease {
    /// Whether the open shard begins after this closed one: it has some of its hash keys. A shard of a merge has those
    /// of both its parents. Without the hash keys, only the parent that a shard names is certain. A closed shard that
    /// no open one names may then be the other parent, or an older one.
    fn precedes(&self, open: &Shard, all: &[Shard]) -> bool {
        let is_named_by = |shard: &Shard| shard.parent.as_deref() == Some(self.shard.as_str());
        let shares = match self.hash_keys {
            Some((first, last)) => first <= open.last_hash_key && open.first_hash_key <= last,
            None => is_named_by(open) || !all.iter().any(is_named_by),
        };
        open.parent.is_some() && shares
    }

    /// Whether a worker has it, and has to renew it.
    pub fn is_held(&self) -> bool {
        !self.is_finished && self.owner.is_some()
    }
}
