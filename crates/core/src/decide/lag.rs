//! How far readers are behind, whether they gain ground, and when they lose data.

use super::throttling::RECENT_MINUTES;
use crate::decision::{Evidence, STEADY};
use crate::observation::{LOOKBACK_HOURS, Minute, MinuteTraffic, Observation, Stream, Traffic};
use crate::signal::Signal;

/// The share of the retention that a reader may be behind before its data is at risk, 0–1. At half of it, a person has
/// as long to act as the reader took to fall behind.
const RETENTION_AT_RISK: f64 = 0.5;

/// The ages of this many minutes are compared. It is twice [`NEW_FOR`], so that the minutes before a jump are known.
const COMPARED_MINUTES: i64 = 30;

/// An age that is this many minutes old still counts where newer minutes have none. CloudWatch publishes each metric
/// one to three minutes late, and a reader with long batches calls GetRecords every few minutes. A smaller number would
/// call such a reader unseen; with a larger number, a reader that has stopped would count as one that reads.
pub(super) const KNOWN_FOR: i64 = 5;

/// A reader that is not seen any more was a late reader if at least this number of minutes shows it. With a smaller
/// number, a person who looks at the oldest records once would be one; with a larger number, a reader that calls every
/// ten minutes would be none.
const SHOWN_IN: usize = 3;

/// The speed of a reader is measured over this many minutes where they are known. Each age is the largest of its
/// minute, so over less time the error is as large as the speed. A longer time would hide that a reader has just
/// stopped to gain.
const MEASURED_OVER: i64 = 5;

/// An age that jumps by more than the time that passed belongs to a new reader, or is an error of the metric. The
/// iterator age has jumped to the whole retention and back within ten minutes (amazon-kinesis-client issue 158). A
/// reader that is still there, and does not gain, after this number of minutes is late.
const NEW_FOR: i64 = 15;

/// A late reader shows in at least this share of the minutes that have an age. Another reader may hide it in the rest,
/// where it makes no call.
const SEEN_IN: f64 = 1.0 / 3.0;

/// An age may rise by this much more than the time that passed, milliseconds: the calls of a minute come early or late
/// in it.
const ROUNDING_MS: f64 = 120_000.0;

pub(super) const MINUTE_MS: f64 = 60_000.0;
const HOUR_MS: f64 = 3_600_000.0;

/// A minute, and how far the slowest reader was behind in it, milliseconds.
type Age = (Minute, f64);

/// Records how far readers are behind in the newest minutes, at what speed, and when that costs data. Unlike
/// throttling, a backlog from before the last change counts: the change does not remove it.
pub(super) fn record(
    signal: &Signal,
    observation: &Observation,
    stream: &Stream,
    newest: Minute,
    evidence: &mut Evidence,
) {
    let traffic = &observation.traffic;
    let mut ages = ages(traffic, newest.plus(1 - COMPARED_MINUTES), newest);
    if ages.last().is_none_or(|(minute, _)| *minute < newest.plus(1 - KNOWN_FOR)) {
        // An alarm on the age has seen a datapoint that this run does not see.
        ages.extend(of_alarm(signal).map(|age| (newest, age)));
    }
    let fan_out = traffic.fan_out.iter().flatten().rev().find(|(minute, _)| **minute > newest.plus(-KNOWN_FOR));
    evidence.fan_out_behind_milliseconds = fan_out.map(|(_, lag)| lag.behind_ms);
    let retention = f64::from(stream.retention_hours) * HOUR_MS;
    let Some(lag) = Lag::of(&ages, newest) else {
        record_unseen(traffic, newest, retention, evidence);
        return;
    };
    evidence.iterator_age_milliseconds = Some(lag.age);
    evidence.iterator_age_growth_seconds_per_minute = lag.growth.map(|growth| growth * 60.0);
    evidence.iterator_age_jumped = lag.is_new.then_some(true);
    evidence.data_loss_in_hours = loss(&ages, newest, retention);
}

/// Records since when no reader is seen, how far the slowest was behind then, and when it loses data. It may still have
/// to read its records: unknown is not zero. After a day its last minute is no longer known.
fn record_unseen(traffic: &Traffic, newest: Minute, retention: f64, evidence: &mut Evidence) {
    let known = ages(traffic, newest.plus(1 - 60 * LOOKBACK_HOURS), newest);
    let Some((last, age)) = known.last().copied() else { return };
    evidence.record_unseen_reader(last, age);
    let compared = last.plus(1 - COMPARED_MINUTES);
    let own: Vec<Age> = known.into_iter().filter(|(minute, _)| *minute >= compared).collect();
    evidence.data_loss_in_hours = loss_of_unseen(&since_begin(own, compared, traffic), newest, retention);
}

/// These ages from `first` on of readers that are not seen any more, and an age of zero before them where a reader
/// began in that time: no minute of the day before shows any reader, though the stream had traffic. A person who reads
/// the oldest records for some minutes is such a reader.
fn since_begin(mut ages: Vec<Age>, first: Minute, traffic: &Traffic) -> Vec<Age> {
    let Some((begin, _)) = ages.first().copied() else { return ages };
    let has_traffic = |minute: &Minute| traffic.minute(*minute) != MinuteTraffic::default();
    let before = first.to(begin.plus(-1)).rev().find(has_traffic);
    let is_first = || self::ages(traffic, begin.plus(-60 * LOOKBACK_HOURS), begin.plus(-1)).is_empty();
    if let Some(before) = before.filter(|_| is_first()) {
        ages.insert(0, (before, 0.0));
    }
    ages
}

/// How far the slowest reader was behind in each of these minutes that shows it: the polling readers and the registered
/// consumers.
pub(super) fn ages(traffic: &Traffic, first: Minute, last: Minute) -> Vec<Age> {
    let age = |minute: Minute| {
        let fan_out = traffic.fan_out.as_ref().and_then(|lags| lags.get(&minute)).map(|lag| lag.behind_ms);
        let age = traffic.minute(minute).iterator_age_ms.into_iter().chain(fan_out).reduce(f64::max)?;
        Some((minute, age))
    };
    first.to(last).filter_map(age).collect()
}

/// The speed at which an age grows from the first of these minutes to the last: 1 for a reader that stands still, below
/// 0 for one that gains.
pub(super) fn growth(from: Age, to: Age) -> f64 {
    (to.1 - from.1) / (minutes(from.0, to.0) * MINUTE_MS)
}

/// The minutes from the start of one minute to the start of another.
pub(super) fn minutes(from: Minute, to: Minute) -> f64 {
    (to.start() - from.start()).num_minutes() as f64
}

/// Whether the event is about the age of readers, and the published minutes tell it. Minutes that are not published yet
/// then change nothing.
pub(super) fn is_answer(signal: &Signal, evidence: &Evidence) -> bool {
    let is_known = evidence.iterator_age_milliseconds.is_some() || evidence.reader_unseen_since.is_some();
    is_known && matches!(signal, Signal::Alarm(alarm) if alarm.is_on_age())
}

/// The registered consumers of the stream whose delay CloudWatch does not show. They may be any time behind.
pub(super) fn unknown_consumers(traffic: &Traffic, stream: &Stream, newest: Minute) -> u32 {
    let shown = traffic.fan_out.iter().flatten().filter(|(minute, _)| **minute > newest.plus(-KNOWN_FOR));
    stream.consumers.saturating_sub(shown.map(|(_, lag)| lag.consumers).max().unwrap_or_default())
}

/// The age that the alarm has seen, where it is an alarm on nothing else.
fn of_alarm(signal: &Signal) -> Option<f64> {
    match signal {
        Signal::Alarm(alarm) if alarm.is_on_age() => alarm.datapoint(),
        _ => None,
    }
}

/// In how many hours unread records are deleted, where readers are late and do not gain ground.
fn loss(ages: &[Age], newest: Minute, retention: f64) -> Option<f64> {
    let lag = Lag::of(ages, newest)?;
    if lag.is_new {
        // A new reader hides a reader that was late before.
        let others: Vec<Age> = ages.iter().copied().filter(|age| !lag.is_explained_by(*age)).collect();
        let (last, _) = *others.last()?;
        let since = minutes(last, newest) * MINUTE_MS;
        return loss(&others, last, retention - since);
    }
    let is_at_risk = lag.age > retention * RETENTION_AT_RISK && !lag.gains();
    let speed = lag.growth.filter(|growth| (STEADY..1.0).contains(growth)).unwrap_or(1.0);
    is_at_risk.then_some(((retention - lag.age) / HOUR_MS / speed).max(0.0))
}

/// In how many hours unread records are deleted of a reader that was late when it was last seen. It may not read at
/// all, so it counts as one that stands still since then, also where it gained.
fn loss_of_unseen(ages: &[Age], newest: Minute, retention: f64) -> Option<f64> {
    let (last, _) = *ages.last()?;
    let lag = Lag::of(ages, last)?;
    if lag.is_new {
        let others: Vec<Age> = ages.iter().copied().filter(|age| !lag.is_explained_by(*age)).collect();
        return loss_of_unseen(&others, newest, retention);
    }
    let behind = lag.age + minutes(lag.at, newest) * MINUTE_MS;
    // A reader that had caught up, and reads no more, may be a batch that ended or a consumer that was removed.
    let is_at_risk = ages.len() >= SHOWN_IN && lag.age > retention * RETENTION_AT_RISK;
    is_at_risk.then_some(((retention - behind) / HOUR_MS).max(0.0))
}

/// The slowest reader of the newest minutes.
#[derive(Clone, Copy)]
struct Lag {
    /// The minute that shows it.
    at: Minute,
    /// How far it is behind, milliseconds.
    age: f64,
    /// See [`growth`].
    growth: Option<f64>,
    /// Its age has jumped by more than the time that passed.
    is_new: bool,
}

impl Lag {
    /// `ages`: oldest first. `None`: no age is known of the newest minutes.
    fn of(ages: &[Age], newest: Minute) -> Option<Lag> {
        let newer = |minutes: i64| ages.iter().filter(move |(minute, _)| *minute > newest.plus(-minutes));
        let recent = newer(RECENT_MINUTES as i64).copied().max_by(|a, b| a.1.total_cmp(&b.1));
        let (at, age) = recent.or_else(|| newer(KNOWN_FOR).next_back().copied())?;
        let lag = Lag { at, age, growth: None, is_new: false };
        let own: Vec<Age> = ages.iter().copied().filter(|age| lag.is_explained_by(*age)).collect();
        let (first, last) = (*own.first()?, *own.last()?);
        let is_enough = |(minute, _): &&Age| minutes(*minute, last.0) >= MEASURED_OVER as f64;
        let from = own.iter().rev().find(is_enough).or_else(|| own.first().filter(|first| first.0 < last.0));
        let has_begun = ages.first().is_some_and(|oldest| oldest.0 < first.0);
        let since = ages.iter().filter(|(minute, _)| *minute >= first.0).count();
        let is_seldom = (own.len() as f64) < SEEN_IN * since as f64;
        let is_new = is_seldom || (has_begun && minutes(first.0, at) < NEW_FOR as f64);
        Some(Lag { growth: from.map(|from| growth(*from, last)), is_new, ..lag })
    }

    /// Whether this reader, or one that was later still, shows in the minute of `earlier`. A reader cannot fall behind
    /// faster than time passes.
    fn is_explained_by(&self, earlier: Age) -> bool {
        earlier.1 >= self.age - minutes(earlier.0, self.at) * MINUTE_MS - ROUNDING_MS
    }

    /// Whether the reader gains ground. Then it loses no data, however slowly it gains: its age falls, so it reads no
    /// record at a higher age than it has now.
    fn gains(&self) -> bool {
        self.growth.is_some_and(|growth| growth <= -STEADY)
    }
}
