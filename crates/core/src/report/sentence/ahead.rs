//! Sentences about loads that are expected, and about shards that are planned.

use super::Seen;
use crate::decision::{Decision, Evidence, ExpectedBy, ForesightBound, ForesightHeld, Remedy, Verdict, waits_times};
use crate::policy::MAX_SHARDS_TAG;
use crate::text::{QUOTED, plain};
use crate::words::{are, many, percent};

/// Why a stream with `from` shards gets `to` before it is throttled.
pub(super) fn why(evidence: &Evidence, from: u32, to: u32, bounded: &str) -> String {
    if evidence.expected_by == Some(ExpectedBy::Plan) {
        return format!("{}{bounded}", planned(evidence));
    }
    let needed = evidence.shards_needed.unwrap_or(to);
    let at = percent(evidence.target_utilization.unwrap_or_default());
    format!("{}; {} carry it at {at} utilization{bounded}", expected(evidence, from), many(needed, "shard"))
}

/// The load that is expected of a stream with `open` shards: what, when, and from which days.
fn expected(evidence: &Evidence, open: u32) -> String {
    let full = percent(evidence.expected_full_shards.unwrap_or_default() / f64::from(open.max(1)));
    let at = evidence.expected_at.map(|at| at.format("%H:%M").to_string()).unwrap_or_default();
    match evidence.expected_by {
        Some(ExpectedBy::Trend) => {
            format!("its load rises steadily, and fills {full} of its {open} shards by {at} UTC")
        }
        Some(ExpectedBy::Profile) => {
            let days: Vec<_> = evidence.expected_days.iter().map(|day| day.format("%a %Y-%m-%d").to_string()).collect();
            format!("as on {}, its load fills {full} of its {open} shards at about {at} UTC", days.join(" and "))
        }
        Some(ExpectedBy::Plan) => planned(evidence),
        _ => format!("for ten minutes its load has filled up to {full} of its {open} shards, so little is left"),
    }
}

/// The shards that a person has planned.
fn planned(evidence: &Evidence) -> String {
    let until = evidence.planned_until.map(|until| until.format("%Y-%m-%d %H:%M").to_string()).unwrap_or_default();
    format!("at least {} planned until {until} UTC", are(evidence.planned_shards.unwrap_or_default().into(), "shard"))
}

/// What is expected or planned of a stream that is not throttled, and why nothing is changed for it. `None`: nothing.
pub(super) fn not_changed(seen: &Seen<'_>) -> Option<String> {
    let evidence = seen.evidence;
    let checked = evidence.forecast_was_right.map(|is_right| match (is_right, evidence.forecasts_wrong) {
        (true, _) => "Its last forecast was right.".to_owned(),
        (false, Some(wrong @ 2..)) => {
            let hours = many(waits_times(wrong), "hour");
            format!("Its last {wrong} forecasts were wrong, so the next one waits for {hours}.")
        }
        (false, _) => "Its last forecast was wrong: the load stayed below its old shards.".into(),
    });
    let expected = match (evidence.foresight_held, evidence.planned_shards) {
        (Some(held), _) => {
            let what = expected(evidence, seen.open_shards());
            Some(format!("Expected: {what}. Nothing is changed for it: {}.", held_by(held, evidence)))
        }
        (None, Some(_)) => Some(format!("It keeps its {}: {}.", many(seen.open_shards(), "shard"), planned(evidence))),
        (None, None) => None,
    };
    let all: Vec<String> = [checked, expected].into_iter().flatten().collect();
    (!all.is_empty()).then(|| all.join(" "))
}

fn held_by(held: ForesightHeld, evidence: &Evidence) -> String {
    let until = evidence.foresight_waits_until.map(|until| until.format("%Y-%m-%d %H:%M").to_string());
    let until = until.unwrap_or_default();
    match held {
        ForesightHeld::Bound => bound(evidence.foresight_bound).into(),
        ForesightHeld::KeptForThrottles => "four reshards of the day are kept for throttles".into(),
        ForesightHeld::OneAnHour => format!("the last forecast is checked first, until {until} UTC"),
        ForesightHeld::WithinTheHour => {
            format!("the last forecast was less than an hour ago, so it waits until {until} UTC")
        }
        ForesightHeld::Reported => "that was reported, and foresight only observes".into(),
        ForesightHeld::WrongLately => {
            let wrong = evidence.forecasts_wrong.unwrap_or_default();
            format!("the last {wrong} forecasts were wrong, so it waits until {until} UTC")
        }
        ForesightHeld::LevelToday => "three changes ahead of the load were made or reported today".into(),
        ForesightHeld::Reverted => "another person or tool reverted a change of ours today".into(),
        ForesightHeld::HotShard => "a hot shard was split today, and a reshard would undo that".into(),
        ForesightHeld::MemoryLost => "its memory of today is lost".into(),
        ForesightHeld::Refused => "AWS refused a reshard today".into(),
        ForesightHeld::Fleet => "half of the bounds of the fleet are kept for throttles".into(),
    }
}

fn bound(bound: Option<ForesightBound>) -> &'static str {
    match bound {
        Some(ForesightBound::MaxShards) => "your maximum of shards allows no more",
        Some(ForesightBound::MaxCost) => "one more shard would cost more than your maximum of cost",
        Some(ForesightBound::AccountQuota) => "the account's shard quota leaves no room",
        Some(ForesightBound::ReshardBudget) | None => "AWS allows no more reshards today",
    }
}

/// The hold of a stream that has fewer shards than a person has planned: what allows no more, and what helps.
pub(super) fn plan_not_reached(seen: &Seen<'_>) -> String {
    let evidence = seen.evidence;
    let held = evidence.foresight_held.unwrap_or(ForesightHeld::Bound);
    let next = match (held, evidence.foresight_bound) {
        (ForesightHeld::Bound, Some(ForesightBound::MaxShards)) => {
            format!("Raise UNTHROTTLE_MAX_SHARDS or the tag {MAX_SHARDS_TAG}")
        }
        (ForesightHeld::Bound, Some(ForesightBound::MaxCost)) => "Raise UNTHROTTLE_MAX_HOURLY_COST".into(),
        (ForesightHeld::Bound, Some(ForesightBound::AccountQuota)) => {
            "Ask for a higher \"Shards per Region\" in Service Quotas (Amazon Kinesis Data Streams)".into()
        }
        (ForesightHeld::Fleet, _) => {
            "Wait, or raise UNTHROTTLE_MAX_CHANGES_PER_HOUR or UNTHROTTLE_MAX_ADDED_SHARDS".into()
        }
        _ => "If the load comes before unthrottle may go on, reshard by hand".into(),
    };
    format!(
        "it has {}, and {}. It gets no more: {}. {next}.",
        many(seen.open_shards(), "shard"),
        planned(evidence),
        held_by(held, evidence)
    )
}

/// The plan of a stream that is held, where `said` does not name it.
pub(super) fn planned_beside(decision: &Decision, said: &str) -> String {
    let is_hold = matches!(decision.verdict, Verdict::Hold(_)) && decision.evidence.planned_shards.is_some();
    let planned = planned(&decision.evidence);
    if !is_hold || said.contains(&planned) {
        return String::new();
    }
    format!(" A{}.", &planned[1..])
}

/// The plan that a restore ends, because it goes below it.
pub(super) fn ended(remedy: &Remedy, evidence: &Evidence) -> String {
    let Remedy::Restore { to, .. } = remedy else { return String::new() };
    let Some((at_least, until)) = evidence.planned_shards.filter(|planned| to < planned).zip(evidence.planned_until)
    else {
        return String::new();
    };
    format!(" This ends the plan of at least {} until {} UTC.", many(at_least, "shard"), until.format("%Y-%m-%d %H:%M"))
}

/// The hold of a plan that cannot be kept.
pub(super) fn not_planned(why: &str) -> String {
    format!("your plan is not taken: {}. Nothing was changed. Correct the plan, and ask again.", plain(why, QUOTED))
}
