//! The sentence of a hold: one line for each reason, and the longer ones below or in [`limits`] and [`skew`].

use super::call::{SUBSCRIBE_LESS, of_call};
use super::numbers::{newest, refused, throttling, time};
use super::{Seen, act, ahead, expected, lag, limits, skew};
use crate::decision::{DeniedChange, Foreign, Healed, ReadCall, Reason};
use crate::memory::{Change, ChangeKind, Size};
use crate::observation::CapacityMode;
use crate::policy::MODE_TAG;
use crate::signal::Signal;
use crate::text::{NAME, QUOTED, plain};
use crate::words;
use chrono::{DateTime, SubsecRound as _, Utc};

pub(super) fn hold(reason: &Reason, signal: &Signal, seen: &Seen<'_>) -> String {
    if let Reason::Healthy { healed: None } = reason {
        return lag::healthy(signal, seen);
    }
    let of_call = if let Signal::Throttle(call) = signal { of_call(reason, call) } else { None };
    of_call.unwrap_or_else(|| of_state(reason, seen))
}

/// The sentence of a hold that the stream, the alarm or a setting explains.
fn of_state(reason: &Reason, seen: &Seen<'_>) -> String {
    match reason {
        Reason::NotAThrottle => "the call did not fail by a throttle. Nothing to do.".into(),
        Reason::OwnCall => "our own call. It never wakes us a second time.".into(),
        Reason::AccessDenied => "access was denied. IAM is never touched.".into(),
        Reason::KmsDenied => "KMS denied the call. Keys are never touched.".into(),
        Reason::KmsThrottled => "KMS throttled the call. Shards cannot help.".into(),
        Reason::ControlPlaneThrottled => "a control-plane call was throttled. Shards cannot help.".into(),
        Reason::NotOurs(foreign) => not_ours(*foreign).into(),
        Reason::Muted(rule) => muted(rule),
        Reason::Recovered => "its alarm is no longer in ALARM. Nothing to do.".into(),
        Reason::JustLooked => "observed moments ago. Metrics change once a minute: this signal adds nothing.".into(),
        Reason::StreamGone => "the stream does not exist (any more).".into(),
        Reason::NotReady => not_ready(seen),
        Reason::OptedOut => opted_out(),
        Reason::BadPolicyTag(error) => {
            format!("{}. Nothing is changed until you correct or remove the tag.", plain(error, QUOTED))
        }
        Reason::BadMemory(error) => bad_memory(error),
        Reason::Resharding => resharding(seen),
        Reason::Settling { changed_at, is_ours } => settling(*changed_at, *is_ours, seen),
        Reason::EvidencePending => evidence_pending(seen),
        Reason::Healthy { healed: Some(healed) } => healed_by(healed),
        Reason::Healthy { healed: None } => lag::without_throttling(seen),
        Reason::ConsumerSlow { hours_left } => lag::consumer_slow(*hours_left, seen),
        Reason::ReadersStopped { since, changed_at, hours_left, healed, in_vain } => {
            let made = (*changed_at, healed.as_ref(), in_vain.as_deref());
            lag::readers_stopped(*since, made, *hours_left, seen)
        }
        Reason::Negligible => negligible(seen),
        Reason::Unconfirmed { minutes, needed } => unconfirmed(*minutes, *needed),
        Reason::RefusedLately { until } => refused_lately(*until),
        Reason::SkewSuspected(undiagnosed) => skew::suspected(*undiagnosed, seen),
        Reason::HotKey { shard, shown } => skew::hot_key(shard.as_deref(), *shown, seen),
        Reason::SplitBudgetSpent(budget) => skew::split_budget_spent(*budget, seen),
        Reason::MicroBurst => skew::micro_burst(seen),
        Reason::NothingAccepted => skew::nothing_accepted(seen),
        Reason::LargeRecords => skew::large_records(seen),
        Reason::AtMaxShards { max } => limits::max_shards(*max, seen),
        Reason::AtMaxCost { max, would_be } => limits::max_cost(*max, *would_be, seen),
        Reason::AtAccountQuota(no_switch) => limits::account_quota(*no_switch, seen),
        Reason::ReshardBudgetSpent(no_switch) => limits::reshard_budget_spent(*no_switch, seen),
        Reason::NotRestorable(why) => not_restorable(why, seen),
        Reason::NotPlanned(why) => ahead::not_planned(why),
        Reason::PlanNotReached => ahead::plan_not_reached(seen),
        Reason::NotHealed { change, why } => not_healed(change, why, seen),
        Reason::TugOfWar => tug_of_war(seen),
        Reason::FleetLimit(bound) => limits::fleet(*bound, seen.evidence),
        Reason::OnDemandAdapting => limits::on_demand_adapting(seen),
        Reason::OnDemandCeiling(ceiling) => limits::on_demand_ceiling(*ceiling, seen),
        Reason::ReaderCatchingUp => reader_catching_up(seen),
        Reason::TooManyReaders(call) => too_many_readers(*call, seen),
        Reason::UnevenReads => skew::uneven_reads(seen),
        Reason::Refused { code, message } => refused_by_aws(code, message, seen),
        Reason::ChangeDenied(denied) => change_denied(denied, seen),
        Reason::CannotRemember(error) => cannot_remember(error),
    }
}

fn too_many_readers(call: ReadCall, seen: &Seen<'_>) -> String {
    match call {
        ReadCall::GetRecords => limits::too_many_polls(seen),
        ReadCall::SubscribeToShard => format!("SubscribeToShard is throttled. {SUBSCRIBE_LESS}"),
    }
}

fn not_ours(foreign: Foreign) -> &'static str {
    match foreign {
        Foreign::Home => "it belongs to another account or region. Deploy unthrottle there.",
        Foreign::Metric => "the alarm does not watch a metric of AWS/Kinesis. Nothing to do.",
        Foreign::Composite => {
            "a composite alarm has no metric and names no stream. Wire its child alarm on a metric of AWS/Kinesis with \
             the dimension StreamName to unthrottle instead."
        }
        Foreign::NoStream => "the event names no data stream that can be observed.",
    }
}

fn muted(rule: &str) -> String {
    format!("a person muted its alarm ({}), so the stream is left alone.", plain(rule, NAME))
}

fn not_ready(seen: &Seen<'_>) -> String {
    let status = seen.stream.map_or("unknown", |s| s.status.as_str());
    let mode = seen.stream.map_or("unknown", |s| s.mode.as_str());
    format!("its status is {status} and its capacity mode {mode}: not ready for a change, so it is left alone.")
}

fn bad_memory(error: &str) -> String {
    let error = plain(error, QUOTED);
    format!(
        "its tag unthrottle.memory cannot be read: {error}. Nothing is changed until you correct or remove the tag. A \
         removed tag is rebuilt from the AutoFix metric."
    )
}

fn opted_out() -> String {
    format!("switched off or out of scope (UNTHROTTLE_MODE, UNTHROTTLE_SCOPE, tag {MODE_TAG}).")
}

fn resharding(seen: &Seen<'_>) -> String {
    format!("a change of its capacity is under way.{} The next signal checks again.", expected::after_reshard(seen))
}

fn settling(changed_at: DateTime<Utc>, is_ours: bool, seen: &Seen<'_>) -> String {
    let at = changed_at.format("%H:%M:%S");
    let change = if is_ours {
        format!("a change of ours began at {at} UTC")
    } else {
        format!("another person or tool has just changed its shards (found at {at} UTC)")
    };
    // A run that writes no memory finds such a change anew each time. A change has whole seconds.
    let is_found_now = !is_ours && seen.evidence.observed_at.is_some_and(|now| changed_at >= now.trunc_subsecs(0));
    let expected = if is_found_now { expected::after_found_change() } else { expected::after_change(changed_at, seen) };
    format!(
        "{change}, and no full published minute shows it yet. unthrottle waits for the minute that shows whether it \
         helps.{expected}"
    )
}

fn evidence_pending(seen: &Seen<'_>) -> String {
    if seen.evidence.onset.is_some() && seen.evidence.last_throttled_minute < seen.evidence.newest_minute {
        return format!(
            "{}, and the newest minute refused none: it may be over. The next minute shows whether it was a burst: \
             the next sweep looks again.{}",
            throttling(seen.evidence),
            expected::after_next_minute(seen)
        );
    }
    if seen.evidence.onset.is_some() {
        return format!(
            "{}, and the load began in the newest minutes, which show only a part of it. The next minute shows the \
             load: the next sweep looks again.{}",
            throttling(seen.evidence),
            expected::after_next_minute(seen)
        );
    }
    if let Some(since) = seen.evidence.silent_since {
        let force = if seen.is_undo { " --force does not change that." } else { "" };
        return format!(
            "CloudWatch shows nothing of this stream since {} UTC, though it had traffic nearly all the time. \
             Unknown is not zero: until about {} UTC CloudWatch may only be late. After that the stream counts as one \
             without traffic.{force}",
            since.format("%H:%M"),
            expected::stopped(since).format("%H:%M")
        );
    }
    if seen.evidence.throttled_side.is_some() {
        return format!(
            "{}, but CloudWatch has not published the shard-level metrics of these minutes. Unknown is not zero: the \
             next signal checks again.{}",
            throttling(seen.evidence),
            expected::after_next_minute(seen)
        );
    }
    let created = seen.stream.and_then(|stream| stream.created_at);
    if let Some(created) =
        created.filter(|created| seen.evidence.newest().is_some_and(|newest| *created > newest.start()))
    {
        return format!(
            "the stream was created at {} UTC, and CloudWatch has not published a whole minute of it. Unknown is not \
             zero: the next signal checks again.{}",
            created.format("%H:%M:%S"),
            expected::after_creation(created)
        );
    }
    format!(
        "CloudWatch has published nothing newer than {} UTC (it is 1–3 minutes behind), and shows no throttling in \
         the newest minutes. Unknown is not zero: the next signal checks again.{}",
        newest(seen.evidence),
        expected::after_next_minute(seen)
    )
}

fn healed_by(healed: &Healed) -> String {
    let minutes = healed.took.num_minutes().max(1);
    let change = change_in_words(healed.kind, healed.from, healed.to);
    format!("healed: throttling has stopped after {change}. The throttling lasted {minutes} min.")
}

fn negligible(seen: &Seen<'_>) -> String {
    let (what, share) = refused(seen.evidence);
    match seen.evidence.throttled_minutes.unwrap_or_default() {
        0 => format!("{what}, at most {share} of one minute: below the floor, so not worth a reshard."),
        _ => format!(
            "{what} in the last {}, but the share of the newest is below the floor, so not worth a reshard.",
            words::many(seen.evidence.window_minutes.unwrap_or_default(), "minute")
        ),
    }
}

fn unconfirmed(minutes: u32, needed: u32) -> String {
    format!(
        "throttled minutes so far: {minutes}; a change needs {needed}, since a burst is over before a reshard is done."
    )
}

fn refused_lately(until: DateTime<Utc>) -> String {
    format!("AWS refused our last change. The next attempt is not before {} UTC.", until.format("%H:%M:%S"))
}

fn not_restorable(why: &str, seen: &Seen<'_>) -> String {
    if seen.is_undo {
        return format!("not restored: {why}. Nothing was changed.");
    }
    if seen.stream.is_some_and(|stream| stream.mode == CapacityMode::Provisioned) {
        return format!("no throttling for as long as you set, but its shards are not restored: {why}.");
    }
    format!(
        "no throttling for as long as you set, and unthrottle had switched the stream to on-demand mode, but does not \
         switch it back: {why}."
    )
}

fn not_healed(change: &Change, why: &Reason, seen: &Seen<'_>) -> String {
    let seen = match why {
        Reason::SkewSuspected(undiagnosed) => skew::suspected_in_vain(*undiagnosed, seen),
        why => of_state(why, seen),
    };
    format!("still throttled after {}: {seen}", change_in_words(change.kind, change.from, change.to))
}

fn tug_of_war(seen: &Seen<'_>) -> String {
    format!(
        "{}, but another person or tool reverted our changes twice within 24 hours, so nothing is changed. If \
         Terraform manages the stream, let it ignore shard_count, stream_mode_details, shard_level_metrics and \
         tags[\"unthrottle.memory\"] (lifecycle ignore_changes). If a person does, tag the stream {MODE_TAG}=off.",
        throttling(seen.evidence)
    )
}

fn reader_catching_up(seen: &Seen<'_>) -> String {
    format!(
        "{}; a reader works off a backlog and gains ground ({} behind). New shards cannot drain old ones.",
        throttling(seen.evidence),
        time(seen.evidence.iterator_age_milliseconds.unwrap_or_default())
    )
}

fn refused_by_aws(code: &str, message: &str, seen: &Seen<'_>) -> String {
    let (code, message) = (plain(code, NAME), plain(message, QUOTED));
    format!(
        "{}; AWS refused the change: {code}: {message}. Nothing was changed. unthrottle tries again.",
        throttling(seen.evidence)
    )
}

fn change_denied(denied: &DeniedChange, seen: &Seen<'_>) -> String {
    let DeniedChange { remedy, denial } = denied;
    format!(
        "{}; unthrottle may not change {}: {denial}. Nothing was changed. {}, or make the change yourself. unthrottle \
         tries again.",
        act::seen(remedy, seen.evidence),
        act::what(remedy),
        denial.cure()
    )
}

fn cannot_remember(error: &str) -> String {
    let error = plain(error, QUOTED);
    format!(
        "the tag unthrottle.memory cannot be written ({error}), so nothing was changed. Allow kinesis:TagResource to \
         the function's role, and leave room for one tag."
    )
}

/// A change of shards in words.
fn change(from: Size, to: Size) -> String {
    words::change(from.number(), to.number(), "shard")
}

pub(super) fn change_in_words(kind: ChangeKind, from: Size, to: Size) -> String {
    match kind {
        ChangeKind::Switch => "the switch to on-demand mode".to_owned(),
        ChangeKind::Split => format!("the split {}", change(from, to)),
        ChangeKind::WarmUp => format!("the warm-up {from} → {to} MiB/s"),
        _ => format!("the change {}", change(from, to)),
    }
}
