//! Sentences about readers that are behind, and about readers that have stopped.

use super::hold::change_in_words;
use super::numbers::{newest, refused, throttling, time};
use super::{Seen, ahead};
use crate::decision::{BACKLOG_MILLISECONDS, Decision, Evidence, Healed, Reason, STEADY, Verdict};
use crate::memory::Change;
use crate::signal::Signal;
use chrono::{DateTime, TimeDelta, Utc};

/// What a person does for a reader that is too slow.
const SPEED_UP: &str = "Then look at that consumer: its function's concurrency, the parallelization factor, the batch \
    size and window, and whether a poison record holds up a shard.";

/// A reader with fewer hours left may lose records now: CloudWatch shows its age minutes late. With less, the sentence
/// would say "0.0 hours"; with more, it would not say the hours that a person still has.
const SOON_HOURS: f64 = 0.1;

/// The speed of a reader.
enum Pace {
    Unknown,
    Gains(f64),
    Keeps,
    Loses(f64),
}

impl Pace {
    fn of(evidence: &Evidence) -> Pace {
        match evidence.iterator_age_growth_seconds_per_minute.map(|seconds| seconds / 60.0) {
            None => Pace::Unknown,
            Some(growth) if growth <= -STEADY => Pace::Gains(-growth),
            Some(growth) if growth < STEADY => Pace::Keeps,
            Some(growth) => Pace::Loses(growth.min(1.0)),
        }
    }

    fn in_words(&self) -> String {
        match self {
            Pace::Unknown => String::new(),
            Pace::Gains(speed) => format!(", and gains {speed:.1} minutes a minute"),
            Pace::Keeps => ", and neither gains nor loses".into(),
            Pace::Loses(speed) => format!(", and loses {speed:.1} minutes a minute"),
        }
    }
}

/// No throttling. An alarm on the age of readers gets its answer; any other signal learns of a backlog.
pub(super) fn healthy(signal: &Signal, seen: &Seen<'_>) -> String {
    let is_backlog = seen.evidence.backlog_milliseconds().is_some();
    let is_asked = matches!(signal, Signal::Alarm(alarm) if alarm.is_on_age());
    let unknown = seen.evidence.consumers_of_unknown_delay;
    let quiet = quiet(seen);
    let unseen = unseen(seen).filter(|_| !is_backlog);
    if unseen.is_none() && (is_backlog || is_asked) {
        return format!("{quiet}; {}", behind(seen));
    }
    if let Some(unseen) = unseen {
        return format!("{quiet}; {unseen}");
    }
    match unknown {
        Some(consumers) => format!(
            "{quiet}. A restore waits: CloudWatch does not show how far {consumers} of its registered consumers are \
             behind. Unknown is not zero. Deregister a consumer that no longer reads."
        ),
        None => without_throttling(seen),
    }
}

/// No throttling, and nothing else.
pub(super) fn without_throttling(seen: &Seen<'_>) -> String {
    let expected = ahead::not_changed(seen).unwrap_or_else(|| "Nothing to do.".into());
    format!("{}. {expected}", quiet(seen))
}

/// That the newest minutes refused nothing, and what earlier minutes of the window refused.
fn quiet(seen: &Seen<'_>) -> String {
    let until = newest(seen.evidence);
    let quiet = format!("no throttling in the newest published minutes (up to {until} UTC)");
    if !seen.evidence.has_refused() {
        return quiet;
    }
    let (what, share) = refused(seen.evidence);
    let last = seen.evidence.last_throttled_minute.map(|minute| minute + TimeDelta::minutes(1));
    let last = last.map_or("before".into(), |end| format!("until {} UTC", end.format("%H:%M")));
    format!("{quiet}; {last} {what} (up to {share})")
}

/// That the newest minutes show no reader, how far the slowest was behind before, and what follows.
fn unseen(seen: &Seen<'_>) -> Option<String> {
    let was = last_seen(seen.evidence)?;
    let retention = f64::from(seen.stream.map_or(0, |stream| stream.retention_hours));
    let evidence = seen.evidence;
    let is_waiting =
        evidence.restore_waits_for_unseen_reader.is_some() || evidence.consumers_of_unknown_delay.is_some();
    let waits = if is_waiting { " A restore waits: unknown is not zero." } else { "" };
    let left = (retention - hours_behind(evidence)).max(0.0);
    Some(format!(
        "{was}. If it has stopped, its unread records are deleted in {left:.1} hours: check that consumer.{waits}"
    ))
}

/// How far the slowest reader was behind, and since when it is not seen.
fn last_seen(evidence: &Evidence) -> Option<String> {
    let (since, age) = (evidence.reader_unseen_since?, evidence.last_known_age_milliseconds?);
    let behind = if age <= BACKLOG_MILLISECONDS { "less than a minute".into() } else { time(age) };
    let is_today = evidence.newest_minute.is_none_or(|newest| newest.date_naive() == since.date_naive());
    let since = since.format(if is_today { "%H:%M" } else { "%Y-%m-%d %H:%M" });
    Some(format!("its slowest reader was {behind} behind, and is not seen since {since} UTC"))
}

/// How far a reader is behind that has not read since it was last seen, hours.
fn hours_behind(evidence: &Evidence) -> f64 {
    let since = evidence.reader_unseen_since.zip(evidence.newest());
    let silent = since.map_or(0.0, |(since, newest)| (newest.end() - since).num_seconds() as f64 / 3_600.0);
    evidence.last_known_age_milliseconds.unwrap_or_default() / 3_600_000.0 + silent
}

/// How far the slowest reader is behind, its speed, and what follows.
fn behind(seen: &Seen<'_>) -> String {
    let evidence = seen.evidence;
    let Some(age) = evidence.iterator_age_milliseconds else {
        return "CloudWatch shows in the newest minutes no reader that is behind.".into();
    };
    if age <= BACKLOG_MILLISECONDS {
        return "its slowest reader is less than a minute behind now. Nothing to do.".into();
    }
    let age_in_words = time(age);
    if evidence.iterator_age_jumped == Some(true) {
        return format!(
            "a reader shows as {age_in_words} behind, but that age rose by more than the time that passed: it is a new \
             reader, or an error of the metric. The next checks show which."
        );
    }
    let retention = f64::from(seen.stream.map_or(0, |stream| stream.retention_hours));
    let left = (retention - age / 3_600_000.0).max(0.0);
    let pace = Pace::of(evidence);
    let then = match pace {
        Pace::Gains(speed) => format!("It catches up in {}, and loses no data.", time(age / speed)),
        Pace::Loses(speed) => {
            format!("At this speed unread records are deleted in {:.1} hours: check that consumer.", left / speed)
        }
        Pace::Keeps | Pace::Unknown => {
            format!("If it stops, unread records are deleted in {left:.1} hours: check that consumer.")
        }
    };
    format!(
        "its slowest reader is {age_in_words} behind, of {retention} hours of retention{}. {then} More shards do not \
         help it.",
        pace.in_words()
    )
}

pub(super) fn consumer_slow(hours_left: f64, seen: &Seen<'_>) -> String {
    let quiet = if seen.evidence.has_refused() { "no longer throttled" } else { "not throttled" };
    if let Some(was) = last_seen(seen.evidence) {
        let deletion = deletion(hours_left);
        return format!("{quiet}, but {was}: {deletion}. Raise the retention now. {SPEED_UP}");
    }
    if seen.evidence.iterator_age_jumped == Some(true) {
        return format!(
            "{quiet}, but a reader was late before a new one began to read, which hides it: {}. Raise the retention \
             now. {SPEED_UP}",
            deletion(hours_left)
        );
    }
    let pace = Pace::of(seen.evidence);
    let if_it_stops = if matches!(pace, Pace::Keeps) && hours_left >= SOON_HOURS { "if it stops, " } else { "" };
    format!(
        "{quiet}, but its slowest reader is {} behind{}: {if_it_stops}{}. Raise the retention now. {SPEED_UP}",
        time(seen.evidence.iterator_age_milliseconds.unwrap_or_default()),
        pace.in_words(),
        deletion(hours_left)
    )
}

/// When unread records are deleted. An age cannot grow beyond the retention: a reader at its end may lose records now.
fn deletion(hours_left: f64) -> String {
    if hours_left < SOON_HOURS {
        return "unread records may be deleted already".into();
    }
    format!("in {hours_left:.1} hours unread records are deleted")
}

/// The hold for readers that stopped at `since`, after the change of `changed_at`. `healed`: that change, if it stopped
/// the throttling. `in_vain`: our last change, if it did not.
pub(super) fn readers_stopped(
    since: DateTime<Utc>,
    (changed_at, healed, in_vain): (DateTime<Utc>, Option<&Healed>, Option<&Change>),
    hours_left: f64,
    seen: &Seen<'_>,
) -> String {
    let since = since.format("%H:%M");
    let cure = format!(
        "Restart the consumer. Check that it reads child shards (an old KCL may not). Raise the retention if the time \
         is short: {}.",
        deletion(hours_left)
    );
    if let Some(change) = in_vain {
        return format!(
            "still throttled after {} ({} UTC): {}, and its readers stopped at {since} UTC. {cure}",
            change_in_words(change.kind, change.from, change.to),
            change.at.format("%H:%M"),
            throttling(seen.evidence)
        );
    }
    let refuses = seen.evidence.throttled_side.map(|_| format!("{}, and ", throttling(seen.evidence)));
    let healed = healed.map(|healed| {
        let change = change_in_words(healed.kind, healed.from, healed.to);
        format!("throttling has stopped after {change}, but ")
    });
    format!(
        "{}{}its readers stopped at {since} UTC, and our last change before was at {} UTC. {cure}",
        refuses.unwrap_or_default(),
        healed.unwrap_or_default(),
        changed_at.format("%H:%M")
    )
}

/// Whether the sentence of this hold says how far readers are behind.
pub(super) fn is_about(reason: &Reason) -> bool {
    matches!(reason, Reason::ConsumerSlow { .. } | Reason::ReadersStopped { .. } | Reason::Healthy { healed: None })
}

/// How far readers are behind, whether they gain, and when unread records are deleted, for an alarm that asks, where
/// the decision is about something else. Where records are at risk, the [`warning`] has that time.
pub(super) fn answer(signal: &Signal, seen: &Seen<'_>, verdict: &Verdict) -> String {
    let is_asked = matches!(signal, Signal::Alarm(alarm) if alarm.is_on_age());
    if !is_asked || matches!(verdict, Verdict::Hold(Reason::ReaderCatchingUp)) {
        return String::new();
    }
    let evidence = seen.evidence;
    let retention = f64::from(seen.stream.map_or(0, |stream| stream.retention_hours));
    let is_warned = evidence.data_loss_in_hours.is_some();
    let deleted =
        |before: &str, hours: f64| if is_warned { String::new() } else { before.to_owned() + &deletion(hours) };
    let Some(age) = evidence.iterator_age_milliseconds else {
        let left = deleted(". If it has stopped, ", retention - hours_behind(evidence));
        return last_seen(evidence).map_or_else(String::new, |was| format!(" {}{left}.", capital(&was)));
    };
    if age <= BACKLOG_MILLISECONDS {
        return " Its slowest reader is less than a minute behind.".into();
    }
    if evidence.iterator_age_jumped == Some(true) {
        let age = time(age);
        return format!(" A reader shows as {age} behind, but that age rose by more than the time that passed.");
    }
    let pace = Pace::of(evidence);
    let left = match pace {
        Pace::Loses(speed) => deleted(": ", (retention - age / 3_600_000.0) / speed),
        _ => String::new(),
    };
    let is_said = matches!(verdict, Verdict::Act(remedy) if remedy.is_reshard());
    match pace.in_words().strip_prefix(", and ") {
        // The sentence of a reshard has the age.
        None if is_said => String::new(),
        Some(pace) if is_said => format!(" The slowest {pace}{left}."),
        _ => format!(" Its slowest reader is {} behind{}{left}.", time(age), pace.in_words()),
    }
}

/// That unread records are deleted soon, where the decision is about something else.
pub(super) fn warning(evidence: &Evidence) -> String {
    match evidence.data_loss_in_hours {
        None => String::new(),
        Some(hours) if hours < SOON_HOURS => {
            " A reader is so far behind that unread records may be deleted already: raise the retention now.".into()
        }
        Some(hours) => format!(
            " A reader is so far behind that unread records are deleted in {hours:.1} hours: raise the retention now."
        ),
    }
}

/// The same text as the beginning of a sentence.
fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// That readers have stopped after a change of ours, where the decision is about something else.
pub(super) fn stopped(decision: &Decision) -> String {
    let is_said = matches!(&decision.verdict, Verdict::Hold(Reason::ReadersStopped { .. }));
    let since = decision.evidence.readers_stopped_since.filter(|_| !is_said);
    let text = since.map(|since| {
        format!(" Its readers stopped at {} UTC, after our change: restart the consumer.", since.format("%H:%M"))
    });
    text.unwrap_or_default()
}
