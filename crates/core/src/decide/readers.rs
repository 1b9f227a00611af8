//! Readers that stop after a change of ours: their library does not follow the closed shards to the new ones.

use super::Case;
use super::history::History;
use super::lag::{KNOWN_FOR, MINUTE_MS, ages, growth, minutes, unknown_consumers};
use super::published::has_data;
use crate::decision::{BACKLOG_MILLISECONDS, Healed, Reason, Remedy, Side};
use crate::memory::Change;
use crate::observation::{LOOKBACK_HOURS, Minute, Stream};
use chrono::{DateTime, TimeDelta, Utc};

/// After a silence of this many minutes in which records were written, readers have stopped. CloudWatch publishes each
/// metric one to three minutes late, so the reads of three minutes may still be missing. The KCL takes about a minute
/// to lease new shards. A smaller number would report readers that read; a larger number only delays the message.
const SILENT_MINUTES: usize = 5;

/// The same where CloudWatch does not show a registered consumer: readers may have moved to enhanced fan-out. A search
/// of CloudWatch's finds a new metric up to 15 minutes late.
const SILENT_MINUTES_BEFORE_FAN_OUT: usize = 20;

/// Readers that read in fewer minutes of an hour than this do not read regularly, such as a person's test.
const REGULAR_MINUTES: usize = 3;

/// The minutes before the last read that show how regularly readers read.
const PATTERN_MINUTES: i64 = 60;

/// Readers that stop later than this after our change stop for another reason. A reader at the end of its shards stops
/// within a minute. A reader that is behind first reads the closed shards to their end, and needs at most the time that
/// it was behind, unless it loses ground. With less time, readers that drain slowly would seem to stop for another
/// reason; with more, any stop of the day would be blamed on the change.
const LEAVE_WITHIN: TimeDelta = TimeDelta::minutes(15);

/// Readers are watched for this long after a change of ours, and for as long as they were behind: the time in which
/// they leave, the silence that shows it, and CloudWatch's delay. Less would miss them; more would only add checks.
const WATCHED_FOR: TimeDelta = TimeDelta::minutes(30);

/// The minutes of 365 days, the longest retention of a stream (the Kinesis quotas page).
const MOST_MINUTES: f64 = 525_600.0;

/// The code of the hold, as the memory records its message.
pub(super) const STOPPED: &str = "readers_stopped";

/// A reader that loses at least this share of the time stands still. Ages are the largest of their minute, so a reader
/// that stands still may seem to lose a little less than the whole.
const STANDS_STILL: f64 = 0.8;

/// A reader that loses less than this share before the change had kept up. A reader that stood still before has not
/// stopped for our change.
const KEPT_UP: f64 = 0.5;

/// How readers take our last change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Followed {
    /// They read on, or there is no reader that could.
    Yes,
    /// They have not been seen since the change, and the minutes that are published do not show yet whether they stop.
    Unclear,
    /// They have stopped.
    No {
        /// The end of the last minute in which they made progress.
        since: DateTime<Utc>,
        /// When our change was announced.
        changed_at: DateTime<Utc>,
        /// Hours until unread records are deleted.
        hours_left: f64,
    },
}

/// How readers read.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// They call GetRecords.
    Poll,
    /// They are registered consumers, and receive events.
    Subscribe,
}

/// Readers that have read regularly, and then no more.
struct Silence {
    /// The last minute in which they read.
    last: Minute,
    /// The longest silence before, in minutes.
    gap: i64,
    /// Minutes since then in which records were written.
    minutes: usize,
}

impl Silence {
    /// The minutes of a silence that is longer than the usual ones, at least `least`. A reader that reads every ten
    /// minutes is silent for nine.
    fn longer_than_usual(&self, least: usize) -> usize {
        least.max(usize::try_from(2 * (self.gap + 1)).unwrap_or(usize::MAX))
    }
}

impl Case<'_> {
    /// What a stream without throttling decides: whether our change is proven, and what became of its readers.
    pub(super) fn after_change(&mut self, newest: Minute, stream: &Stream, history: &mut History) -> Reason {
        let followed = self.followed(newest, stream, history);
        let waits = history.unverified().filter(|_| followed == Followed::Unclear).map(|change| change.at);
        if let Some(changed_at) = history.is_unproven(newest).or(waits) {
            return Reason::Settling { changed_at, is_ours: true };
        }
        let healed = history.verify(&self.observation.traffic, stream, newest, self.now);
        self.decision.evidence.time_to_heal_seconds = healed.map(|h| h.took.num_seconds());
        if let Some(stopped) = followed.hold(healed) {
            return stopped;
        }
        if followed == Followed::Yes {
            history.memory.forget_notifications(|(code, _)| code == STOPPED);
        }
        match (healed, self.decision.evidence.data_loss_in_hours) {
            // The sentence of a verified change warns of the slow reader. The next check holds for the reader.
            (None, Some(hours_left)) => Reason::ConsumerSlow { hours_left },
            (healed, _) => Reason::Healthy { healed },
        }
    }

    /// What is decided for throttling, or the hold for readers that have stopped: it is worse than a hold that needs no
    /// person. A hold that waits for a minute or for a change is over soon, and a person who asks for an undo gets an
    /// answer about it. Records that readers have stopped, so that the sentence of any other decision says so.
    pub(super) fn or_stopped(
        &mut self,
        decided: Result<Remedy, Reason>,
        newest: Minute,
        stream: &Stream,
        history: &History,
    ) -> Result<Remedy, Reason> {
        use Reason::{EvidencePending, RefusedLately, Resharding, Settling};
        let Some(stopped) = self.followed(newest, stream, history).hold(None) else { return decided };
        if let Reason::ReadersStopped { since, .. } = &stopped {
            self.decision.evidence.readers_stopped_since = Some(*since);
        }
        decided.map_err(|hold| match hold {
            Resharding | Settling { .. } | EvidencePending | RefusedLately { .. } => hold,
            hold if hold.needs_person() || self.signal.undo().is_some() => hold,
            hold => stopped.beside(history.in_vain(hold, self.now)),
        })
    }

    /// Records that the stream's readers are watched for a while, where it had some at our last change. Without the
    /// record, no sweep would check a stream whose change is verified.
    pub(super) fn watch_readers(&self, newest: Minute, history: &mut History) {
        let Some((at, settled)) = history.moved_shards().pop() else { return };
        let is_new = |change: &&mut Change| change.at == at && change.readers_until.is_none();
        let Some(change) = history.memory.change.as_mut().filter(is_new) else { return };
        let until = settled + WATCHED_FOR + self.backlog_at(at);
        let before = Minute::of(at);
        let reads = |minute: &Minute| self.reads(Way::Poll, *minute) || self.reads(Way::Subscribe, *minute);
        let were_there = before.plus(-PATTERN_MINUTES).to(before).filter(reads).count() >= REGULAR_MINUTES;
        if were_there && self.now < until && before <= newest {
            change.readers_until = Some(until);
        }
    }

    /// Whether readers read in this way in this minute.
    fn reads(&self, way: Way, minute: Minute) -> bool {
        let traffic = &self.observation.traffic;
        match way {
            Way::Poll => has_data(Side::Reads, &traffic.minute(minute)),
            Way::Subscribe => traffic.fan_out.as_ref().is_some_and(|lags| lags.contains_key(&minute)),
        }
    }

    /// The polling reader that was behind when it was last seen, and that the newest minutes do not show: the last
    /// minute that shows it, and how far it was behind then, milliseconds. It was behind by more than its own rhythm
    /// explains, or it is silent for longer than it ever was. A reader that had caught up may be a batch that ended, or
    /// a consumer that was removed.
    pub(super) fn unseen_poller(&self, newest: Minute) -> Option<(Minute, f64)> {
        let day = newest.plus(1 - 60 * LOOKBACK_HOURS).to(newest);
        let shown = |minute: Minute| Some((minute, self.observation.traffic.minute(minute).iterator_age_ms?));
        let (last, age) = day.rev().find_map(shown).filter(|(last, _)| *last <= newest.plus(-KNOWN_FOR))?;
        if age <= BACKLOG_MILLISECONDS || self.has_moved(Way::Subscribe, last, newest) {
            return None;
        }
        let silence = self.silence(Way::Poll, newest);
        let gap = silence.as_ref().map_or(0, |silence| silence.gap);
        let was_behind = age > BACKLOG_MILLISECONDS + gap as f64 * MINUTE_MS;
        let is_silent = silence.is_some_and(|silence| silence.minutes >= silence.longer_than_usual(SILENT_MINUTES));
        (was_behind || is_silent).then_some((last, age))
    }

    /// Whether readers read in this way since `last`, and did not before: they have moved.
    fn has_moved(&self, to: Way, last: Minute, newest: Minute) -> bool {
        let reads = |minute: Minute| self.reads(to, minute);
        last.plus(1).to(newest).any(reads) && !last.plus(1 - PATTERN_MINUTES).to(last).any(reads)
    }

    fn followed(&self, newest: Minute, stream: &Stream, history: &History) -> Followed {
        let traffic = &self.observation.traffic;
        if stream.consumers > 0 && traffic.fan_out.is_none() {
            // Readers may have moved to enhanced fan-out.
            return Followed::Yes;
        }
        let found = [(Way::Poll, Way::Subscribe), (Way::Subscribe, Way::Poll)].map(|(way, other)| {
            let silence = self.silence(way, newest)?;
            let followed = self.followed_after(&silence, newest, stream, history);
            (!self.has_moved(other, silence.last, newest)).then_some(followed)
        });
        let found = found.into_iter().flatten().chain(self.stands_still(newest, stream, history));
        found.fold(Followed::Yes, Followed::or)
    }

    /// The silence of readers. `None`: they read now, or never did regularly.
    fn silence(&self, way: Way, newest: Minute) -> Option<Silence> {
        let day = newest.plus(1 - 60 * LOOKBACK_HOURS).to(newest);
        let reads = |minute: &Minute| self.reads(way, *minute);
        let last = day.rev().find(reads).filter(|last| *last < newest)?;
        let before: Vec<Minute> = last.plus(1 - PATTERN_MINUTES).to(last).filter(reads).collect();
        let gap = before.windows(2).map(|pair| minutes(pair[0], pair[1]) as i64 - 1).max()?;
        let is_written = |minute: &Minute| self.observation.traffic.minute(*minute).incoming_records > 0.0;
        let minutes = last.plus(1).to(newest).filter(is_written).count();
        (before.len() >= REGULAR_MINUTES).then_some(Silence { last, gap, minutes })
    }

    /// Whether the silence is of readers that did not follow a change of ours.
    fn followed_after(&self, silence: &Silence, newest: Minute, stream: &Stream, history: &History) -> Followed {
        let Silence { last, gap, minutes: silent } = *silence;
        // A reader that is behind first reads the closed shards to their end.
        let leave_by = |at, settled| {
            let drained = settled + self.backlog_at(at);
            let followed = self.has_followed_by(settled, last).map_or(drained, |minute| drained.min(minute.end()));
            Minute::of(followed.max(settled) + LEAVE_WITHIN)
        };
        let Some((changed_at, settled)) = history
            .moved_shards()
            .into_iter()
            .rev()
            .find(|(at, settled)| Minute::of(*at) <= last.plus(gap.max(1) + 1) && last <= leave_by(*at, *settled))
        else {
            return Followed::Yes;
        };
        let hidden = unknown_consumers(&self.observation.traffic, stream, newest) > 0;
        let enough = silence.longer_than_usual(if hidden { SILENT_MINUTES_BEFORE_FAN_OUT } else { SILENT_MINUTES });
        if silent < enough {
            let is_unseen = silent > 0 && last < Minute::from(settled);
            return if is_unseen { Followed::Unclear } else { Followed::Yes };
        }
        let behind = ages(&self.observation.traffic, last.plus(-1), last).last().map_or(0.0, |age| age.1);
        Followed::No { since: last.end(), changed_at, hours_left: hours_left(stream, last.end(), newest, behind) }
    }

    /// The first minute that shows the slowest reader on the new shards: it reads records that were written after the
    /// closed shards took their last. `None`: no minute up to `last` shows that.
    fn has_followed_by(&self, settled: DateTime<Utc>, last: Minute) -> Option<Minute> {
        let is_new = |(minute, age): &(Minute, f64)| *age < (minute.start() - settled).num_milliseconds() as f64;
        ages(&self.observation.traffic, Minute::from(settled), last).into_iter().find(is_new).map(|age| age.0)
    }

    /// How far the slowest reader was behind when a change was announced. It reads that from the closed shards.
    fn backlog_at(&self, changed_at: DateTime<Utc>) -> TimeDelta {
        let at = Minute::of(changed_at);
        let known = ages(&self.observation.traffic, at.plus(-10), at);
        let behind = known.last().map_or(0.0, |age| age.1);
        // The cast leaves whole minutes: less than one is no backlog.
        TimeDelta::minutes((behind / MINUTE_MS).min(MOST_MINUTES) as i64)
    }

    /// Whether a reader stands still since our last change: it asks on, and its age grows by a minute a minute. `None`:
    /// no age tells.
    fn stands_still(&self, newest: Minute, stream: &Stream, history: &History) -> Option<Followed> {
        let traffic = &self.observation.traffic;
        let (changed_at, settled) = history.moved_shards().pop()?;
        let first = Minute::from(settled).max(newest.plus(1 - 60 * LOOKBACK_HOURS));
        let (before, after) = (Minute::of(changed_at), ages(traffic, first, newest));
        let before = ages(traffic, before.plus(-10), before.plus(-1));
        let (from, to) = (*after.first()?, *after.last()?);
        let (older, old) = (*before.first()?, *before.last()?);
        let passed = minutes(from.0, to.0);
        let is_recent = minutes(to.0, newest) < SILENT_MINUTES as f64;
        let kept_up = older.0 < old.0
            && growth(older, old) < KEPT_UP
            && from.1 < old.1 + (minutes(old.0, from.0) + 2.0) * MINUTE_MS;
        let stands = passed > 0.0 && growth(from, to) >= STANDS_STILL && to.1 > BACKLOG_MILLISECONDS;
        if !(is_recent && kept_up && stands) {
            return None;
        }
        if passed < SILENT_MINUTES as f64 {
            return Some(Followed::Unclear);
        }
        Some(Followed::No { since: settled, changed_at, hours_left: hours_left(stream, to.0.end(), newest, to.1) })
    }
}

/// Hours until the records are deleted that were unread at `since`, where readers were `behind` milliseconds behind.
fn hours_left(stream: &Stream, since: DateTime<Utc>, newest: Minute, behind: f64) -> f64 {
    let passed = (newest.end() - since).num_seconds() as f64 / 3_600.0;
    (f64::from(stream.retention_hours) - passed - behind / 3_600_000.0).max(0.0)
}

impl Followed {
    /// The worse of both.
    fn or(self, other: Followed) -> Followed {
        match (self, other) {
            (Followed::No { .. }, _) | (_, Followed::Yes) => self,
            (Followed::Unclear, Followed::Unclear) => self,
            (_, other) => other,
        }
    }

    /// The hold for readers that have stopped. `healed`: this run has verified the change.
    fn hold(self, healed: Option<Healed>) -> Option<Reason> {
        match self {
            Followed::No { since, changed_at, hours_left } => {
                Some(Reason::ReadersStopped { since, changed_at, hours_left, healed, in_vain: None })
            }
            Followed::Yes | Followed::Unclear => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;

    #[test]
    fn a_silence_is_long_after_twice_the_longest_one_before_and_after_the_least() {
        let silence = |gap| Silence { last: Minute::of(DateTime::UNIX_EPOCH), gap, minutes: 0 };
        assert_eq!(silence(4).longer_than_usual(3), 10);
        assert_eq!(silence(0).longer_than_usual(3), 3);
    }
}
