//! What unthrottle remembers of a stream, kept on the stream itself as the tag [`TAG`].
//!
//! The tag's value is words such as `change=scale/4/8/20261120T170440Z`, at most 255 characters of
//! `[A-Za-z0-9 _./=+@-]` (AWS allows more in most places, but its documents disagree; this is what all allow).
//! Words with an unknown key are kept, so that an older binary can live with the memory of a newer one.
//!
//! | word | meaning |
//! |---|---|
//! | `v=1` | this format |
//! | `change=KIND/FROM/TO/WHEN` | the last change, or the intent of one; the times below are seconds before or after WHEN |
//! | `after=N` | when the change before it had settled, N s earlier: evidence from before that never counts |
//! | `since=N` | when the first throttled minute of the incident began, N s earlier |
//! | `done=N` | the stream was first found ACTIVE after the change, N s later |
//! | `heal=N` | throttling was found to have stopped, N s later |
//! | `sent=N` | its AutoFix datum was missing, and was sent again, N s later |
//! | `seen=N` | its AutoFix datum was found in the metric, N s later |
//! | `owed=KIND/N` | the change before it, N s earlier, whose AutoFix datum was not to be seen yet |
//! | `resent=N` | that datum was sent again, N s later, or -N s earlier |
//! | `base=N` | the shards before the incident |
//! | `was=p` | the stream is in on-demand mode because we switched it from provisioned |
//! | `lines=SHARD.SPLITS.N-…` | a shard that was split N s earlier, as the last of so many splits of one hot line |
//! | `watch=METRICS.N` | shard-level metrics that we switched on N s earlier: `b`ytes, `r`ecords, `w`rites refused; `off`: switched off again |
//! | `scales=N-N-…`, `modes=N-N` | the changes of the last 24 h: seconds before WHEN |
//! | `refused=KIND/N/WHEN` | AWS refused a change, N times in a row for a limit; WHEN is in seconds after the change, where there is one |
//! | `reverts=N.N` | somebody was found to have taken changes of ours back, N s later, or -N s earlier |
//! | `told=CODE/N` | a person was told of a hold of this name, N s later; without a change, WHEN |
//! | `tried=N` | the stream was last found not ready to be given back, N s later; without a change, WHEN |

use crate::observation::{CapacityMode, LOOKBACK_HOURS, SHARD_METRICS, Stream};
use chrono::{DateTime, NaiveDateTime, SubsecRound, TimeDelta, Utc};
use std::fmt::Write as _;

/// The tag's key.
pub const TAG: &str = "unthrottle.memory";

/// The longest value. AWS documents 255 in one place and 256 in another.
pub const MAX_LENGTH: usize = 255;

/// ISO 8601 without the characters that a tag must not have.
const TIME: &str = "%Y%m%dT%H%M%SZ";

/// What unthrottle remembers of one stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    /// The last change, or the intent of one.
    pub change: Option<Change>,
    /// An earlier change whose AutoFix datum was not to be seen when the last one was announced.
    pub owed: Option<(ChangeKind, DateTime<Utc>)>,
    /// When that datum was sent again because it was missing.
    pub resent: Option<DateTime<Utc>>,
    /// When each reshard of the last 24 h was made, oldest first; includes the last change.
    pub reshards: Vec<DateTime<Utc>>,
    /// When each switch of capacity mode in the last 24 h was made, oldest first; includes the last change.
    pub switches: Vec<DateTime<Utc>>,
    /// The shards that the stream had before the incident, kept until they are restored.
    pub base: Option<u32>,
    /// The stream is in on-demand mode because we switched it.
    pub was_provisioned: bool,
    /// The hot lines of shards that were split in the last 24 h.
    pub lineages: Vec<Lineage>,
    /// The shard-level metrics that we switched on, or off again.
    pub watch: Option<Watch>,
    /// AWS's last refusal of a change, until a change is accepted.
    pub refused: Option<Refusal>,
    /// When changes of ours were found to be taken back by somebody in the last 24 h, oldest first.
    pub reverts: Vec<DateTime<Utc>>,
    /// The hold that a person was last told of, by its code, and when.
    pub told: Option<(String, DateTime<Utc>)>,
    /// When something was last in the way of giving the stream back.
    pub tried: Option<DateTime<Utc>>,
    /// Words of a newer version, kept as they are.
    pub newer: Vec<(String, String)>,
}

/// A change of a stream's capacity.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// What was done.
    pub kind: ChangeKind,
    /// Shards before; for [`ChangeKind::Warm`], MiB a second.
    pub from: u32,
    /// The same after.
    pub to: u32,
    /// When the intent was written. The AutoFix datum carries this time.
    pub at: DateTime<Utc>,
    /// When the change before this one had settled.
    pub after: Option<DateTime<Utc>>,
    /// When the first throttled minute of the incident began.
    pub since: Option<DateTime<Utc>>,
    /// When the stream was first found ACTIVE after it.
    pub settled: Option<DateTime<Utc>>,
    /// When throttling was found to have stopped after it.
    pub healed: Option<DateTime<Utc>>,
    /// When its AutoFix datum was sent again because it was missing.
    pub sent: Option<DateTime<Utc>>,
    /// When its AutoFix datum was found in the metric.
    pub counted: Option<DateTime<Utc>>,
}

/// What a [`Change`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display, strum::EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum ChangeKind {
    /// The shard count was changed.
    Scale,
    /// A shard was split.
    Split,
    /// The capacity mode was changed to on-demand.
    Switch,
    /// The capacity mode was changed back to provisioned.
    Back,
    /// The warm throughput was raised. Its `from` and `to` are MiB a second.
    Warm,
    /// Shard-level metrics were switched on.
    Watch,
    /// They were switched off again.
    Unwatch,
    /// The shard count was taken back down.
    Restore,
    /// Somebody else changed the capacity. Its `to` is 0 where that left the stream in on-demand mode.
    Theirs,
    /// The AutoFix metric knows of it, but the memory was lost.
    Lost,
}

/// A line of hot shards: the children of each were split because they stayed hot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lineage {
    /// The number of the shard that was split last.
    pub shard: u64,
    /// How many splits of the line there were, each but the first after one child had kept nearly all the heat.
    pub splits: u32,
    /// When the last was announced.
    pub at: DateTime<Utc>,
}

/// Shard-level metrics for a diagnosis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watch {
    /// Those of [`SHARD_METRICS`] that we switched on. `None`: we switched them off again.
    pub metrics: Option<[bool; 3]>,
    /// When.
    pub at: DateTime<Utc>,
}

impl Watch {
    /// The metrics that are on because of us.
    pub fn ours(&self) -> impl Iterator<Item = &'static str> {
        let on = self.metrics.unwrap_or_default();
        SHARD_METRICS.into_iter().zip(on).filter(|(_, on)| *on).map(|(metric, _)| metric)
    }
}

/// How the tag names each of [`SHARD_METRICS`].
const METRIC_LETTERS: [char; 3] = ['b', 'r', 'w'];

/// AWS refused a change of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What was refused.
    pub kind: ChangeKind,
    /// How often in a row with `LimitExceededException`, which is rate, quota and daily cap in one.
    pub count: u32,
    /// When it was refused last.
    pub at: DateTime<Utc>,
}

/// A memory that cannot be read or written. It holds the stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// A word is not `key=value`.
    #[error("`{0}` is not key=value")]
    NotAWord(String),
    /// A word cannot be understood.
    #[error("`{0}` cannot be read")]
    Word(String),
    /// A key stands twice.
    #[error("`{0}` stands twice")]
    Twice(String),
    /// Another format.
    #[error("its version is {0}, and this binary reads version 1")]
    Version(String),
    /// The words do not fit.
    #[error("it would take {0} characters, and a tag has room for {MAX_LENGTH}")]
    TooLong(usize),
}

impl Memory {
    /// Reads the tag's value.
    ///
    /// # Errors
    /// The first word that cannot be understood.
    pub fn parse(text: &str) -> Result<Memory, MemoryError> {
        let mut words = Vec::<(&str, &str)>::new();
        for word in text.split_whitespace() {
            let (key, value) = word.split_once('=').ok_or_else(|| MemoryError::NotAWord(word.into()))?;
            if words.iter().any(|(known, _)| *known == key) {
                return Err(MemoryError::Twice(key.into()));
            }
            words.push((key, value));
        }
        match words.iter().find(|(key, _)| *key == "v") {
            Some((_, "1")) => {}
            version => return Err(MemoryError::Version(version.map_or("missing", |(_, v)| v).into())),
        }
        let mut memory = Memory::default();
        let change = words.iter().find(|(key, _)| *key == "change").map(|(_, value)| *value);
        memory.change = change.map(Change::parse).transpose()?;
        for (key, value) in words {
            memory.take(key, value).ok_or_else(|| MemoryError::Word(format!("{key}={value}")))?;
        }
        Ok(memory)
    }

    /// Takes one word; `None` if it cannot be understood.
    fn take(&mut self, key: &str, value: &str) -> Option<()> {
        let at = self.change.as_ref().map(|c| c.at);
        let before = |value: &str| at?.checked_sub_signed(seconds(value)?);
        let later = |value: &str| at?.checked_add_signed(seconds(value)?);
        match key {
            "v" | "change" => {}
            "after" => self.change.as_mut()?.after = Some(before(value)?),
            "since" => self.change.as_mut()?.since = Some(before(value)?),
            "done" => self.change.as_mut()?.settled = Some(later(value)?),
            "heal" => self.change.as_mut()?.healed = Some(later(value)?),
            "sent" => self.change.as_mut()?.sent = Some(later(value)?),
            "seen" => self.change.as_mut()?.counted = Some(later(value)?),
            "owed" => {
                let (kind, ago) = value.split_once('/')?;
                self.owed = Some((kind.parse().ok()?, before(ago)?));
            }
            "resent" => self.resent = Some(moment(value, at)?),
            "base" => self.base = Some(value.parse().ok()?),
            "was" => self.was_provisioned = (value == "p").then_some(true)?,
            "lines" => {
                let line = |line| Lineage::parse(line, before);
                self.lineages = value.split('-').map(line).collect::<Option<_>>()?;
            }
            "watch" => {
                let (metrics, ago) = value.split_once('.')?;
                let letters = METRIC_LETTERS.map(|letter| metrics.contains(letter));
                let on = (metrics != "off").then_some(letters);
                self.watch = Some(Watch { metrics: on, at: before(ago)? });
            }
            "scales" => self.reshards = value.split('-').map(before).collect::<Option<_>>()?,
            "modes" => self.switches = value.split('-').map(before).collect::<Option<_>>()?,
            "refused" => self.refused = Some(Refusal::parse(value, at)?),
            "reverts" => self.reverts = value.split('.').map(|n| moment(n, at)).collect::<Option<_>>()?,
            "told" => {
                let (code, at_or_after) = value.split_once('/')?;
                self.told = Some((code.into(), moment(at_or_after, at)?));
            }
            "tried" => self.tried = Some(moment(value, at)?),
            _ => self.newer.push((key.into(), value.into())),
        }
        Some(())
    }

    /// The tag's value. Where room is short, what no change depends on goes: what a person was told, what was tried, and the
    /// datum owed; then the reverts, since a memory so full has no reshards left, either.
    ///
    /// # Errors
    /// [`MemoryError::TooLong`] when the words of a newer version leave no room.
    pub fn encode(&self) -> Result<String, MemoryError> {
        let text = self.words();
        if text.len() <= MAX_LENGTH {
            return Ok(text);
        }
        let short = Memory { told: None, tried: None, owed: None, resent: None, ..self.clone() };
        let text = short.words();
        let text = if text.len() <= MAX_LENGTH { text } else { Memory { reverts: vec![], ..short }.words() };
        if text.len() > MAX_LENGTH { Err(MemoryError::TooLong(text.len())) } else { Ok(text) }
    }

    fn words(&self) -> String {
        let mut text = String::from("v=1");
        let mut word = |key: &str, value: &dyn std::fmt::Display| {
            let _ = write!(text, " {key}={value}"); // writing to a String cannot fail
        };
        if let Some(change) = &self.change {
            let before = |time: DateTime<Utc>| (change.at - time).num_seconds().max(0);
            let later = |time: DateTime<Utc>| (time - change.at).num_seconds().max(0);
            let list =
                |times: &[DateTime<Utc>]| times.iter().map(|t| before(*t).to_string()).collect::<Vec<_>>().join("-");
            let Change { kind, from, to, at, .. } = change;
            word("change", &format_args!("{kind}/{from}/{to}/{}", at.format(TIME)));
            let past = [("after", change.after), ("since", change.since)];
            past.iter().for_each(|(key, time)| time.iter().for_each(|t| word(key, &before(*t))));
            // What was found needs no more to be known of what was sent.
            let sent = change.sent.filter(|_| change.counted.is_none());
            let next = [("done", change.settled), ("heal", change.healed), ("sent", sent), ("seen", change.counted)];
            next.iter().for_each(|(key, time)| time.iter().for_each(|t| word(key, &later(*t))));
            if let Some((kind, at)) = self.owed {
                word("owed", &format_args!("{kind}/{}", before(at)));
            }
            self.resent.iter().for_each(|t| word("resent", &(*t - *at).num_seconds()));
            let lists = [("scales", &self.reshards), ("modes", &self.switches)];
            lists.iter().filter(|(_, l)| !l.is_empty()).for_each(|(key, l)| word(key, &list(l)));
            if !self.reverts.is_empty() {
                let ago = |t: &DateTime<Utc>| (*t - *at).num_seconds().to_string();
                word("reverts", &self.reverts.iter().map(ago).collect::<Vec<_>>().join("."));
            }
            if !self.lineages.is_empty() {
                let line = |l: &Lineage| format!("{}.{}.{}", l.shard, l.splits, before(l.at));
                word("lines", &self.lineages.iter().map(line).collect::<Vec<_>>().join("-"));
            }
            if let Some(Watch { metrics, at }) = self.watch {
                let letters = |on: [bool; 3]| METRIC_LETTERS.into_iter().zip(on).filter(|(_, on)| *on);
                let on = metrics.map(|on| letters(on).map(|(letter, _)| letter).collect::<String>());
                word("watch", &format_args!("{}.{}", on.as_deref().unwrap_or("off"), before(at)));
            }
        }
        if self.was_provisioned {
            word("was", &"p");
        }
        self.base.iter().for_each(|base| word("base", base));
        let when = |time: DateTime<Utc>| match &self.change {
            Some(change) => (time - change.at).num_seconds().to_string(),
            None => time.format(TIME).to_string(),
        };
        if let Some(Refusal { kind, count, at }) = self.refused {
            word("refused", &format_args!("{kind}/{count}/{}", when(at)));
        }
        if let Some((code, at)) = &self.told {
            word("told", &format_args!("{code}/{}", when(*at)));
        }
        self.tried.iter().for_each(|at| word("tried", &when(*at)));
        self.newer.iter().for_each(|(key, value)| word(key, value));
        text
    }

    /// The memory that announces `change`: written before the change itself, and never taken back.
    /// A void intent that it replaces gives its place in the budget back.
    #[must_use]
    pub fn intend(&self, change: Change, void: bool) -> Memory {
        let mut next = self.clone();
        if void && let Some(gone) = &self.change {
            next.reshards.retain(|t| *t != gone.at);
            next.switches.retain(|t| *t != gone.at);
        }
        // More than the budget can hold says nothing more, and would not fit the tag.
        let recent = |times: &mut Vec<DateTime<Utc>>, most: usize| {
            times.retain(|t| change.at - *t < TimeDelta::hours(LOOKBACK_HOURS));
            times.drain(..times.len().saturating_sub(most));
        };
        match change.kind {
            ChangeKind::Scale | ChangeKind::Restore => next.reshards.push(change.at),
            ChangeKind::Switch | ChangeKind::Back => next.switches.push(change.at),
            ChangeKind::Split | ChangeKind::Warm | ChangeKind::Watch | ChangeKind::Unwatch => {}
            ChangeKind::Lost | ChangeKind::Theirs => {}
        }
        let fresh = |at: DateTime<Utc>| change.at - at < TimeDelta::hours(LOOKBACK_HOURS);
        next.lineages.retain(|line| fresh(line.at));
        next.watch = next.watch.filter(|watch| watch.metrics.is_some() || fresh(watch.at));
        recent(&mut next.reshards, 10);
        recent(&mut next.switches, 2);
        recent(&mut next.reverts, 2);
        next.told = next.told.filter(|(_, at)| fresh(*at));
        next.tried = None;
        next.change = Some(change);
        next
    }

    /// Whether AWS has refused the last change: it was never made.
    pub fn is_change_refused(&self) -> bool {
        let (Some(change), Some(refused)) = (&self.change, &self.refused) else { return false };
        refused.kind == change.kind && refused.at >= change.at
    }

    /// The memory after AWS refused `kind` at `at`; `limit`: with `LimitExceededException`.
    #[must_use]
    pub fn refuse(&self, kind: ChangeKind, at: DateTime<Utc>, limit: bool) -> Memory {
        let again = self.refused.filter(|r| r.kind == kind && at - r.at < TimeDelta::hours(LOOKBACK_HOURS));
        let count = again.map_or(0, |r| r.count).saturating_add(u32::from(limit)).min(9);
        Memory { refused: Some(Refusal { kind, count, at: at.trunc_subsecs(0) }), ..self.clone() }
    }
}

impl Change {
    fn parse(value: &str) -> Result<Change, MemoryError> {
        let read = || {
            let mut parts = value.split('/');
            let (kind, from, to) = (parts.next()?, parts.next()?, parts.next()?);
            let at = time(parts.next()?)?;
            let change = Change::intent(kind.parse().ok()?, from.parse().ok()?, to.parse().ok()?, at);
            parts.next().is_none().then_some(change)
        };
        read().ok_or_else(|| MemoryError::Word(format!("change={value}")))
    }

    /// Whether the stream is still as it was before the change.
    pub fn is_undone(&self, stream: &Stream) -> bool {
        let provisioned = stream.mode == CapacityMode::Provisioned;
        match self.kind {
            ChangeKind::Scale | ChangeKind::Split | ChangeKind::Switch | ChangeKind::Restore => {
                provisioned && stream.open_shards == self.from
            }
            ChangeKind::Back => stream.mode == CapacityMode::OnDemand,
            ChangeKind::Warm => {
                !provisioned && stream.warm_throughput.is_none_or(|warm| warm.target_mibps == self.from)
            }
            ChangeKind::Watch => !stream.shows_shards(),
            ChangeKind::Unwatch => stream.shows_shards(),
            ChangeKind::Lost | ChangeKind::Theirs => false,
        }
    }

    /// Whether the stream is as the change left it.
    pub fn is_done(&self, stream: &Stream) -> bool {
        let provisioned = stream.mode == CapacityMode::Provisioned;
        match self.kind {
            ChangeKind::Scale | ChangeKind::Split | ChangeKind::Restore | ChangeKind::Back => {
                provisioned && stream.open_shards == self.to
            }
            ChangeKind::Switch => stream.mode == CapacityMode::OnDemand,
            ChangeKind::Warm => !provisioned && stream.warm_throughput.is_some_and(|warm| warm.target_mibps == self.to),
            ChangeKind::Watch => stream.shows_shards() && stream.open_shards == self.to,
            ChangeKind::Unwatch => !stream.shows_shards() && stream.open_shards == self.to,
            ChangeKind::Lost | ChangeKind::Theirs => false,
        }
    }

    /// Whether somebody has changed the capacity since: it is not what the done change left. The shards of an on-demand
    /// stream are AWS's own affair.
    pub fn is_overridden(&self, stream: &Stream) -> bool {
        let provisioned = stream.mode == CapacityMode::Provisioned;
        match self.kind {
            ChangeKind::Scale | ChangeKind::Split | ChangeKind::Restore | ChangeKind::Back | ChangeKind::Theirs => {
                size(stream) != self.to
            }
            ChangeKind::Watch | ChangeKind::Unwatch => provisioned && stream.open_shards != self.to,
            ChangeKind::Switch | ChangeKind::Warm => provisioned,
            ChangeKind::Lost => false,
        }
    }

    /// What somebody else made of the stream, found at `now`; evidence counts from then.
    pub fn of_theirs(&self, stream: &Stream, now: DateTime<Utc>) -> Change {
        let change = Change::intent(ChangeKind::Theirs, self.to, size(stream), now);
        Change { settled: Some(change.at), ..change }
    }

    /// A change that is about to be made at `at` (cut to whole seconds, as the tag keeps it).
    pub fn intent(kind: ChangeKind, from: u32, to: u32, at: DateTime<Utc>) -> Change {
        let at = at.trunc_subsecs(0);
        Change { kind, from, to, at, after: None, since: None, settled: None, healed: None, sent: None, counted: None }
    }
}

impl Lineage {
    fn parse(value: &str, before: impl Fn(&str) -> Option<DateTime<Utc>>) -> Option<Lineage> {
        let mut parts = value.split('.');
        let (shard, splits, ago) = (parts.next()?, parts.next()?, parts.next()?);
        let line = Lineage { shard: shard.parse().ok()?, splits: splits.parse().ok()?, at: before(ago)? };
        parts.next().is_none().then_some(line)
    }
}

impl Refusal {
    /// `change`: when the memory's change was announced.
    fn parse(value: &str, change: Option<DateTime<Utc>>) -> Option<Refusal> {
        let mut parts = value.split('/');
        let (kind, count, at) = (parts.next()?, parts.next()?, moment(parts.next()?, change)?);
        let refusal = Refusal { kind: kind.parse().ok()?, count: count.parse().ok()?, at };
        parts.next().is_none().then_some(refusal)
    }
}

/// The open shards of a provisioned stream; 0 for one in on-demand mode.
fn size(stream: &Stream) -> u32 {
    if stream.mode == CapacityMode::Provisioned { stream.open_shards } else { 0 }
}

/// A time, or seconds after `change`.
fn moment(text: &str, change: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
    let after = || change?.checked_add_signed(TimeDelta::try_seconds(i64::from(text.parse::<i32>().ok()?))?);
    time(text).or_else(after)
}

fn time(text: &str) -> Option<DateTime<Utc>> {
    // Four digits of year: no sum of such a time and a tag's seconds leaves the calendar.
    let time = NaiveDateTime::parse_from_str(text, TIME).ok()?.and_utc();
    (text.len() == "20261120T170440Z".len()).then_some(time)
}

fn seconds(text: &str) -> Option<TimeDelta> {
    TimeDelta::try_seconds(i64::from(text.parse::<u32>().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(1_790_000_000 + seconds)
    }

    /// The most that this version ever writes: a change that is done and verified forgets what came before it.
    fn fullest() -> Memory {
        let far = TimeDelta::hours(LOOKBACK_HOURS) - TimeDelta::seconds(1);
        let mut memory = Memory { base: Some(10_000), was_provisioned: true, ..Memory::default() };
        memory.lineages = (0..2).map(|i| Lineage { shard: 99_990 + i, splits: 2, at: at(0) - far }).collect();
        memory.watch = Some(Watch { metrics: Some([true; 3]), at: at(0) - far });
        memory.reshards = (0..10).map(|i| at(i) - far).collect();
        memory.switches = vec![at(0) - far, at(1) - far];
        memory = memory.refuse(ChangeKind::Unwatch, at(0) + far, true);
        let mut change = Change::intent(ChangeKind::Unwatch, 10_000, 10_000, at(0));
        change.settled = Some(at(900));
        change.healed = Some(at(0) + far);
        change.counted = Some(at(0) + far);
        memory.intend(change, false)
    }

    #[test]
    fn a_memory_reads_as_it_was_written() {
        let mut announced = fullest();
        let change = announced.change.as_mut().expect("a change");
        (change.after, change.since) = (Some(at(-99)), Some(at(-999)));
        (change.settled, change.healed, change.counted) = (None, None, None);
        announced.lineages.push(Lineage { shard: 99_999, splits: 1, at: at(0) });
        for memory in [Memory::default(), fullest(), announced] {
            let text = memory.encode().expect("fits");
            assert_eq!(Memory::parse(&text), Ok(memory), "{text}");
        }
    }

    #[test]
    fn the_fullest_memory_fits_a_tag_and_uses_only_its_characters() {
        let text = fullest().encode().expect("fits");
        let legal = |c: char| c.is_ascii_alphanumeric() || " _./=+@-".contains(c);
        assert!(text.chars().all(legal), "{text}");
        assert!(text.len() <= MAX_LENGTH, "{} characters: {text}", text.len());
    }

    #[test]
    fn where_room_is_short_the_words_that_no_change_depends_on_go() {
        let owed = Some((ChangeKind::Switch, at(-80_000)));
        let told = Some(("reshard_budget_spent".to_owned(), at(60)));
        let reverts = vec![at(-80_000), at(-70_000)];
        let crowded = Memory { told: told.clone(), owed, reverts: reverts.clone(), ..fullest() };
        let text = crowded.encode().expect("fits");
        assert_eq!(Memory::parse(&text), Ok(fullest()));
        let fewer =
            Memory { told: told.clone(), owed, reverts: reverts.clone(), reshards: vec![at(-9), at(0)], ..fullest() };
        let kept = Memory::parse(&fewer.encode().expect("fits")).expect("readable");
        assert_eq!(kept.reverts, reverts);
        let roomy = Memory {
            told,
            owed,
            resent: Some(at(-40)),
            lineages: vec![],
            ..Memory { reshards: vec![at(0)], ..fullest() }
        };
        assert_eq!(Memory::parse(&roomy.encode().expect("fits")), Ok(roomy));
    }

    #[test]
    fn words_of_a_newer_version_are_kept() {
        let text = "v=1 change=scale/4/8/20261120T170440Z base=4 mood=3/1 hue=7";
        let memory = Memory::parse(text).expect("readable");
        assert_eq!(memory.encode().as_deref(), Ok(text));
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        for text in [
            "",
            "v=2",
            "base=4",
            "v=1 words",
            "v=1 base=4 base=5",
            "v=1 base=-4",
            "v=1 done=5",
            "v=1 change=scale/4/8",
            "v=1 change=scale/4/8/20261120T170440Z/9",
            "v=1 change=scale/4/8/yesterday",
            "v=1 change=melt/4/8/20261120T170440Z",
            "v=1 change=scale/4/8/20261120T170440Z scales=0-x",
            "v=1 change=scale/4/8/+2621421231T235959Z",
            "v=1 refused=scale/2",
            "v=1 refused=scale/2/60",
            "v=1 lines=3.1.60",
            "v=1 was=x",
            "v=1 change=scale/4/8/20261120T170440Z lines=3.1",
            "v=1 change=scale/4/8/20261120T170440Z watch=brw",
        ] {
            assert!(Memory::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_memory_without_room_for_the_newer_words_says_so() {
        let crowded = format!("v=1 newer={}", "x".repeat(240));
        let memory = Memory::parse(&crowded).expect("readable");
        let change = Change::intent(ChangeKind::Scale, 4, 8, at(0));
        assert!(matches!(memory.intend(change, false).encode(), Err(MemoryError::TooLong(_))));
    }

    #[test]
    fn an_intent_that_replaces_a_void_one_gives_its_budget_back() {
        let first = Memory::default().intend(Change::intent(ChangeKind::Scale, 4, 8, at(0)), false);
        let second = Change::intent(ChangeKind::Scale, 4, 8, at(300));
        assert_eq!(first.intend(second.clone(), true).reshards, [at(300)]);
        assert_eq!(first.intend(second, false).reshards, [at(0), at(300)]);
    }

    #[test]
    fn refusals_count_only_in_a_row_and_of_one_kind() {
        let once = Memory::default().refuse(ChangeKind::Scale, at(0), true);
        let count = |m: Memory| m.refused.expect("refused").count;
        assert_eq!(count(once.refuse(ChangeKind::Scale, at(60), true)), 2);
        assert_eq!(count(once.refuse(ChangeKind::Switch, at(60), true)), 1);
        assert_eq!(count(once.refuse(ChangeKind::Scale, at(100_000), true)), 1);
        assert_eq!(count(once.refuse(ChangeKind::Scale, at(60), false)), 1, "no limit: it says nothing of the budget");
    }

    proptest! {
        #[test]
        fn no_tag_value_makes_it_panic(text in ".{0,256}") {
            let _ = Memory::parse(&text);
        }

        #[test]
        fn what_can_be_read_reads_the_same_again(text in "v=1( (change=(scale|split|warm|watch|switch|lost|restore|theirs)/[0-9]{1,3}/[0-9]{1,3}/2026112[0-9]T1704[0-5][0-9]Z|base=[0-9]{1,3}|done=[0-9]{1,5}|since=[0-9]{1,3}|scales=[0-9]{1,5}(-[0-9]{1,5}){0,4}|x[a-z]=[a-z0-9]{1,5}|lines=[0-9]{1,3}\\.[0-9]\\.[0-9]{1,4}|watch=(off|b?r?w?)\\.[0-9]{1,4}|was=p|reverts=-?[0-9]{1,5}|sent=[0-9]{1,5}|resent=-?[0-9]{1,5}|tried=[0-9]{1,4}|told=[a-z_]{1,9}/-?[0-9]{1,4})){0,5}") {
            if let Ok(memory) = Memory::parse(&text) {
                let again = memory.encode().expect("short");
                prop_assert_eq!(Memory::parse(&again).expect("readable"), memory);
            }
        }
    }
}
