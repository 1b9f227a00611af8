//! An application of the Kinesis Client Library (KCL): its leases.

use super::finding::{Answer, Verdict};
use super::load::known;
use super::readings::Readings;
use super::{Lease, Leases};
use crate::cost::Prices;
use crate::words::{many, short};
use std::collections::{BTreeMap, BTreeSet};

/// A worker with this times the mean of the leases has too many: the KCL gives each worker one lease more or
/// less than the mean. AWS gives no number.
const TOO_MANY: f64 = 1.5;

/// Ids that a sentence names. A person looks at the first few.
const NAMED: usize = 3;

pub(super) fn kcl(readings: &Readings, _: &Prices) -> Answer {
    let Some(leases) = &readings.leases else {
        return Ok(Verdict::unknown("No lease table was given.", "give --kcl TABLE"));
    };
    let (leases, shards) = (known(leases)?, known(&readings.shards)?);
    let open: BTreeSet<&str> = shards.iter().map(|shard| shard.id.as_str()).collect();
    let undrained: Vec<&str> = leases.unfinished().filter(|id| !open.contains(id)).collect();
    let waits = |shard: &str| {
        let parent = shards.iter().find(|s| s.id == shard).and_then(|s| s.parent.as_deref());
        parent.is_some_and(|parent| undrained.contains(&parent))
    };
    let unowned: Vec<&str> = open.iter().copied().filter(|id| !leases.is_owned(id) && !waits(id)).collect();
    let owners = leases.owners();
    let table = &leases.table;
    let verdict = if leases.leases.is_empty() {
        let sentence = format!("The table {table} has no lease of the stream, so its application reads nothing.");
        Verdict::fail(
            sentence,
            format!("start the application, or give its table: aws dynamodb scan --table-name {table}"),
        )
    } else if !unowned.is_empty() {
        let sentence = format!(
            "No worker of {table} has the lease of {} ({}), so it reads nothing there.",
            many(unowned.len(), "open shard"),
            first(&unowned)
        );
        Verdict::fail(sentence, "start a worker, or look for one that fails to start: its log names the shard")
    } else if let Some((owner, count, mean)) = uneven(&owners) {
        let sentence =
            format!("The worker {owner} has {count} of the leases of {table}, and the mean is {}.", short(mean));
        Verdict::warn(sentence, "check that all workers run one version of the KCL, and that none is at its limit")
    } else if !undrained.is_empty() {
        let sentence = format!(
            "{table} has not read {} to the end ({}). The KCL reads the shards that follow only then.",
            many(undrained.len(), "closed shard"),
            first(&undrained)
        );
        Verdict::warn(sentence, "wait after a reshard; if it stays, look for a record on which the worker fails")
    } else {
        let workers = many(owners.len(), "worker");
        Verdict::ok(format!("{workers} of {table} have all leases, evenly.").replace("1 worker of", "One worker of"))
    };
    let verdict = verdict.with("unowned", unowned).with("undrained", undrained).with("leases", leases.leases.len());
    Ok(verdict.with("workers", owners.len()))
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
    /// The shards that are not read to the end.
    fn unfinished(&self) -> impl Iterator<Item = &str> {
        self.leases.iter().filter(|lease| !lease.is_finished).map(|lease| lease.shard.as_str())
    }

    fn is_owned(&self, shard: &str) -> bool {
        self.leases.iter().any(|lease| lease.shard == shard && lease.owner.is_some())
    }

    /// The number of leases of each worker, without those of finished shards.
    fn owners(&self) -> BTreeMap<&str, usize> {
        let mut owners = BTreeMap::new();
        let owner = |lease: &'_ Lease| !lease.is_finished && lease.owner.is_some();
        for lease in self.leases.iter().filter(|lease| owner(lease)) {
            *owners.entry(lease.owner.as_deref().unwrap_or_default()).or_default() += 1;
        }
        owners
    }
}
