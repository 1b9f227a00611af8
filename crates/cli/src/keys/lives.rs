//! How long each shard of a reading lived: a reshard ends some shards, and begins others.

use super::sample::{End, Sample};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeMap;

/// Finds which shards opened during the reading, when the closed ones ended, and the part of the time in which each was
/// open. Loads of shards that followed each other then compare.
pub(super) fn settle(samples: &mut [Sample]) {
    // A shard whose parent is listed opened after the beginning, because the parent was closed after it.
    let listed: Vec<String> = samples.iter().map(|sample| sample.shard.id.clone()).collect();
    let mut first_of_children = BTreeMap::<String, DateTime<Utc>>::new();
    for sample in samples.iter_mut() {
        let Some(parent) = sample.shard.parent.as_ref().filter(|parent| listed.contains(parent)) else { continue };
        sample.is_younger = true;
        if let Some(first) = sample.first {
            first_of_children.entry(parent.clone()).and_modify(|time| *time = first.min(*time)).or_insert(first);
        }
    }
    let (Some(begin), Some(end)) =
        (samples.iter().map(|sample| sample.from).min(), samples.iter().map(|sample| sample.until).max())
    else {
        return;
    };
    let window = (end - begin).num_milliseconds() as f64;
    for sample in samples.iter_mut().filter(|sample| sample.is_closed || sample.is_younger) {
        let closed = sample.is_closed.then(|| {
            let children = first_of_children.get(&sample.shard.id).copied();
            children.or_else(|| last_record(sample)).unwrap_or(sample.from)
        });
        if let Some(closed) = closed.filter(|_| matches!(sample.end, End::Shard | End::Present)) {
            // All of it was read, and it had no record after that.
            sample.until = sample.until.min(closed.max(sample.from));
        }
        let opened = if sample.is_younger { sample.first.unwrap_or(end) } else { sample.from };
        let lived = (closed.unwrap_or(end) - opened).num_milliseconds() as f64;
        sample.lived = if window > 0.0 { (lived / window).clamp(0.0, 1.0) } else { 1.0 };
    }
}

/// The end of the second of the last record.
fn last_record(sample: &Sample) -> Option<DateTime<Utc>> {
    let (second, _) = sample.seconds.last_key_value()?;
    DateTime::from_timestamp(*second, 0)?.checked_add_signed(TimeDelta::seconds(1))
}
