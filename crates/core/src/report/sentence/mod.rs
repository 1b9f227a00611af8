//! The decision in words, for a person who reads it on a phone at 3 a.m.: what was seen, what was done or not, why, and
//! what to do next.

mod act;
mod ahead;
mod call;
mod expected;
mod hold;
mod lag;
mod limits;
mod numbers;
mod skew;
mod undo;

pub(super) use undo::undo;

use crate::callers::{CallerCount, Group};
use crate::decision::{Decision, Evidence, Reason, Side, Verdict};
use crate::observation::Stream;
use crate::signal::Signal;
use crate::words::{many, percent};
use numbers::refused_side;

/// What the sentence of a hold rests on.
struct Seen<'a> {
    evidence: &'a Evidence,
    /// `None`: the stream was not observed, or does not exist.
    stream: Option<&'a Stream>,
    /// A person asks to undo a change.
    is_undo: bool,
}

impl Seen<'_> {
    /// Its open shards; 0 where the stream was not observed.
    fn open_shards(&self) -> u32 {
        self.stream.map_or(0, |stream| stream.open_shards)
    }
}

/// The sentence of a decision on `stream`, and its end: the cost of a change, and how it is undone.
pub(super) fn of(signal: &Signal, stream: Option<&Stream>, decision: &Decision) -> (String, String) {
    let name = signal.stream().map_or("no stream", |s| s.name.as_str());
    let seen = Seen { evidence: &decision.evidence, stream, is_undo: signal.undo().is_some() };
    let (text, end) = match &decision.verdict {
        Verdict::Act(remedy) => (act::act(remedy, signal, decision), undo::end(remedy, signal, stream, decision)),
        Verdict::Hold(reason) => apart(hold::hold(reason, signal, &seen)),
    };
    let (lasting, lost) = (lasting_loss(decision), data_loss(signal, &seen, decision));
    let (planned, stopped) = (ahead::planned_beside(decision, &text), lag::stopped(decision));
    (format!("{name}: {text}{lasting}{lost}{planned}{stopped}"), end)
}

/// A text and its last sentence, if that ends with a command: a command without a full stop is copied whole, so nothing
/// may follow it.
fn apart(mut text: String) -> (String, String) {
    let last = text.rfind(". ").filter(|_| !text.ends_with('.')).map_or(text.len(), |stop| stop + 1);
    let end = text.split_off(last);
    (text, end)
}

/// That a loss lasts, where the decision leaves the stream as it is.
fn lasting_loss(decision: &Decision) -> String {
    let evidence = &decision.evidence;
    let (Verdict::Hold(reason), Some(share)) = (&decision.verdict, evidence.lasting_refused_share) else {
        return String::new();
    };
    let what = if evidence.lasting_side == Some(Side::Reads) { "GetRecords calls" } else { "records" };
    match evidence.updating_since {
        Some(since) => format!(
            " It is UPDATING since {} UTC, and AWS refuses {} of its {what}: ask AWS Support.",
            since.format("%H:%M"),
            percent(share)
        ),
        // The sentence of such a hold says what a person can do.
        None if reason.needs_person() => String::new(),
        None => format!(" In the last 15 minutes AWS refused {} of its {what}.", percent(share)),
    }
}

/// The answer to an alarm on how far readers are behind, and a warning that data will be lost, where the decision
/// itself is about something else.
fn data_loss(signal: &Signal, seen: &Seen<'_>, decision: &Decision) -> String {
    if matches!(&decision.verdict, Verdict::Hold(reason) if lag::is_about(reason)) {
        return String::new();
    }
    lag::answer(signal, seen, &decision.verdict) + &lag::warning(seen.evidence)
}

/// The caller that was throttled most, where throttling is what the decision is about.
pub(super) fn most_refused(decision: &Decision, callers: &Group) -> String {
    let evidence = &decision.evidence;
    let is_too_little = matches!(decision.verdict, Verdict::Hold(Reason::Negligible | Reason::Unconfirmed { .. }));
    let side = evidence.throttled_side.or_else(|| is_too_little.then(|| refused_side(evidence)));
    let Some(most) = side.and_then(|side| callers.most(side)) else { return String::new() };
    let CallerCount { principal, user_agent, operation, count } = most;
    let calls = many(*count, "call");
    let how = [user_agent.as_deref(), operation.as_deref(), Some(&calls)].into_iter().flatten().collect::<Vec<_>>();
    format!(" Most refused in CloudTrail: {} ({}).", principal.as_deref().unwrap_or(UNKNOWN_CALLER), how.join(", "))
}

/// A caller whose principal is not in CloudTrail's event.
const UNKNOWN_CALLER: &str = "a caller that CloudTrail does not name";
