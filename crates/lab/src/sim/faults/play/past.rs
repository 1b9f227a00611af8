//! The stream of a few moments ago, for stale reads, and unthrottle's changes from before the run.

use super::super::schedule::{Kind, Situation};
use crate::sim::time;
use crate::sim::world::{By, World};
use chrono::TimeDelta;
use std::collections::BTreeMap;
use unthrottle_core::memory::{Change, ChangeKind, Memory, TAG};
use unthrottle_core::observation::Stream;
use unthrottle_core::policy::MODE_TAG;

/// Applies unthrottle's changes from before the run: to its tag, to CloudWatch, and to AWS's daily caps.
pub(super) fn apply_earlier_changes(world: &mut World, situation: &Situation) {
    if situation.kind == Kind::OptedOut {
        let _ = world.tag(By::Others, MODE_TAG, "off");
    }
    let (before, shards) = (situation.reshards_before(), situation.shards);
    let mut memory = Memory::default();
    for ago in &before {
        let mut change = Change::intent(ChangeKind::Scale, shards.div_ceil(2), shards, time(-ago));
        let later = |seconds| Some(change.at + TimeDelta::seconds(seconds));
        (change.settled, change.published, change.healed) = (later(30), later(180), later(300));
        world.counted_before("scale_shards", *ago);
        memory = memory.intend(change, false);
    }
    if situation.kind == Kind::Raised {
        memory.base = Some(shards / 2);
    }
    if let (false, Ok(text)) = (before.is_empty(), memory.encode()) {
        let _ = world.tag(By::Policy, TAG, &text);
        world.resharded_before(&before);
    }
}

/// Writes a memory of a raise, or of a switch to on-demand mode, that never was. In even seconds its datum is marked as
/// found. In odd seconds it is missing, so that a later run sends it: the shards of a raise are then as before. Returns
/// whether the tag was written.
pub(super) fn forge_memory(world: &mut World, is_switch: bool) -> bool {
    let (open, is_found) = (world.open_shards(), world.now() % 2 == 0);
    let half = open.div_ceil(2);
    let (kind, from, ago) = match (is_switch, is_found) {
        (true, true) => (ChangeKind::Switch, open, 25 * 3_600),
        // A datum of more than a day ago is not sent again.
        (true, false) => (ChangeKind::Switch, open, 24 * 3_600 - 20 * 60),
        (false, true) => (ChangeKind::Scale, half, 2 * 3_600),
        (false, false) => (ChangeKind::Scale, open, 2 * 3_600),
    };
    let mut change = Change::intent(kind, from, open, world.time() - TimeDelta::seconds(ago));
    let later = |seconds| Some(change.at + TimeDelta::seconds(seconds));
    (change.settled, change.healed) = (later(30), later(300));
    change.published = later(180).filter(|_| is_found);
    let mut memory = Memory::default().intend(change, false);
    memory.was_provisioned = is_switch;
    memory.base = (!is_switch).then_some(half);
    memory.encode().is_ok_and(|text| world.tag(By::Others, TAG, &text).is_ok())
}

/// The summary and the tags of the last few moments. Each entry has the second since which it was valid.
#[derive(Clone)]
pub(super) struct Past(pub(super) Vec<(i64, Stream, BTreeMap<String, String>)>);

impl Past {
    /// The entries that are kept: more than the changes and tag writes that can happen within the age of a stale read.
    const KEPT: usize = 16;

    pub(super) fn is_stream_changed(&self, world: &World) -> bool {
        let newest = self.0.last().map(|(_, stream, _)| (stream.status.as_str() == "UPDATING", stream.open_shards));
        newest != Some((world.is_updating(), world.open_shards()))
    }

    pub(super) fn record(&mut self, world: &World) {
        if self.0.len() >= Past::KEPT {
            self.0.remove(0);
        }
        self.0.push((world.now(), world.stream(), world.tags().clone()));
    }

    /// The entry that was valid at a second.
    pub(super) fn at(&self, second: i64) -> &(i64, Stream, BTreeMap<String, String>) {
        let after = self.0.partition_point(|(since, ..)| *since <= second);
        &self.0[after.saturating_sub(1)]
    }
}
