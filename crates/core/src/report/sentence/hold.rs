//! The sentence of a hold: one line for each reason, and the longer ones below or in [`limits`] and [`skew`].

use super::call::{SUBSCRIBE_LESS, of_call};
use super::numbers::{newest, refused, throttling, time};
use super::{Seen, limits, skew};
use crate::decision::{Foreign, Healed, ReadCall, Reason};
use crate::memory::{Change, ChangeKind, Size};
use crate::policy::MODE_TAG;
use crate::signal::Signal;
use chrono::{DateTime, Utc};

pub(super) fn hold(reason: &Reason, signal: &Signal, seen: &Seen<'_>) -> String {
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
        Reason::Muted(rule) => format!("a person muted its alarm ({rule}), so the stream is left alone."),
        Reason::Recovered => "its alarm is no longer in ALARM. Nothing to do.".into(),
        Reason::JustLooked => "observed moments ago. Metrics change once a minute: this signal adds nothing.".into(),
        Reason::StreamGone => "the stream does not exist (any more).".into(),
        Reason::NotReady => not_ready(seen),
        Reason::OptedOut => {
            format!("switched off or out of scope (UNTHROTTLE_MODE, UNTHROTTLE_SCOPE, tag {MODE_TAG}).")
        }
        Reason::BadPolicyTag(error) => format!("{error}. Nothing is changed until you correct or remove the tag."),
        Reason::BadMemory(error) => bad_memory(error),
        Reason::Resharding => "a change of its capacity is under way. The next signal checks again.".into(),
        Reason::Settling { changed_at } => settling(*changed_at),
        Reason::EvidencePending => evidence_pending(seen),
        Reason::Healthy { healed: Some(healed) } => healed_by(healed),
        Reason::Healthy { healed: None } => healthy(seen),
        Reason::ConsumerSlow { hours_left } => consumer_slow(*hours_left, seen),
        Reason::Negligible => negligible(seen),
        Reason::Unconfirmed { minutes, needed } => unconfirmed(*minutes, *needed),
        Reason::RefusedLately { until } => refused_lately(*until),
        Reason::SkewSuspected(undiagnosed) => skew::suspected(*undiagnosed, seen),
        Reason::HotKey { shard, shown } => skew::hot_key(shard.as_deref(), *shown, seen),
        Reason::SplitBudgetSpent(budget) => skew::split_budget_spent(*budget, seen),
        Reason::MicroBurst => skew::micro_burst(seen),
        Reason::AtMaxShards { max } => limits::max_shards(*max, seen),
        Reason::AtMaxCost { max, would_be } => limits::max_cost(*max, *would_be, seen),
        Reason::AtAccountQuota(no_switch) => limits::account_quota(*no_switch, seen),
        Reason::ReshardBudgetSpent(no_switch) => limits::reshard_budget_spent(*no_switch, seen),
        Reason::NotRestorable(why) => not_restorable(why, seen),
        Reason::NotHealed { change, why } => not_healed(change, why, seen),
        Reason::TugOfWar => tug_of_war(seen),
        Reason::FleetLimit(bound) => limits::fleet(*bound, seen.evidence),
        Reason::OnDemandAdapting => limits::on_demand_adapting(seen),
        Reason::OnDemandCeiling(ceiling) => limits::on_demand_ceiling(*ceiling, seen),
        Reason::ReaderCatchingUp => reader_catching_up(seen),
        Reason::TooManyReaders(ReadCall::GetRecords) => limits::too_many_polls(seen),
        Reason::TooManyReaders(ReadCall::SubscribeToShard) => {
            format!("SubscribeToShard is throttled. {SUBSCRIBE_LESS}")
        }
        Reason::UnevenReads => skew::uneven_reads(seen),
        Reason::Refused { code, message } => refused_by_aws(code, message, seen),
        Reason::CannotRemember(error) => cannot_remember(error),
    }
}

fn not_ours(foreign: Foreign) -> &'static str {
    match foreign {
        Foreign::Home => "it belongs to another account or region. Deploy unthrottle there.",
        Foreign::Metric => "the alarm does not watch a metric of AWS/Kinesis. Nothing to do.",
        Foreign::NoStream => "the event names no data stream that can be observed.",
    }
}

fn not_ready(seen: &Seen<'_>) -> String {
    let status = seen.stream.map_or("unknown", |s| s.status.as_str());
    let mode = seen.stream.map_or("unknown", |s| s.mode.as_str());
    format!("its status is {status} and its capacity mode {mode}: not ready for a change, so it is left alone.")
}

fn bad_memory(error: &str) -> String {
    format!(
        "its tag unthrottle.memory cannot be read: {error}. Nothing is changed until you correct or remove the tag. A \
         removed tag is rebuilt from the AutoFix metric."
    )
}

fn settling(changed_at: DateTime<Utc>) -> String {
    format!(
        "a change of ours began at {} UTC, and no full published minute shows it yet. Waiting for the minute that \
         shows whether it helps.",
        changed_at.format("%H:%M:%S")
    )
}

fn evidence_pending(seen: &Seen<'_>) -> String {
    if seen.evidence.throttled_side.is_some() {
        return format!(
            "{}, but CloudWatch has not published the shard-level metrics of these minutes. Unknown is not zero: the \
             next signal checks again.",
            throttling(seen.evidence)
        );
    }
    format!(
        "CloudWatch has published nothing newer than {} UTC (it is 1–3 minutes behind), and shows no throttling up to \
         then. Unknown is not zero: the next signal checks again.",
        newest(seen.evidence)
    )
}

fn healthy(seen: &Seen<'_>) -> String {
    format!("no throttling in the newest published minutes (up to {} UTC). Nothing to do.", newest(seen.evidence))
}

fn healed_by(healed: &Healed) -> String {
    let minutes = healed.took.num_minutes().max(1);
    let change = change_in_words(healed.kind, healed.from, healed.to);
    format!("healed: throttling has stopped after {change}. The throttling lasted {minutes} min.")
}

fn consumer_slow(hours_left: f64, seen: &Seen<'_>) -> String {
    format!(
        "not throttled, but its slowest reader is {} behind: in {hours_left:.1} hours unread records are deleted. \
         Raise the retention now. Then look at that consumer: its function's concurrency, the parallelization factor, \
         the batch size and window, and whether a poison record holds up a shard.",
        time(seen.evidence.iterator_age_milliseconds.unwrap_or_default())
    )
}

fn negligible(seen: &Seen<'_>) -> String {
    let (what, share) = refused(seen.evidence);
    format!("{what}, at most {share} of one minute: below the floor, so not worth a reshard.")
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
    format!(
        "no throttling for as long as you set, and unthrottle had switched the stream to on-demand mode, but does not \
         switch it back: {why}."
    )
}

fn not_healed(change: &Change, why: &Reason, seen: &Seen<'_>) -> String {
    format!(
        "still throttled after {}; nothing is left to try. {}",
        change_in_words(change.kind, change.from, change.to),
        of_state(why, seen)
    )
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
    format!("{}; AWS refused the change: {code}: {message}. Nothing was changed.", throttling(seen.evidence))
}

fn cannot_remember(error: &str) -> String {
    format!(
        "the tag unthrottle.memory cannot be written ({error}), so nothing was changed. Allow kinesis:TagResource to \
         the function's role, and leave room for one tag."
    )
}

fn change_in_words(kind: ChangeKind, from: Size, to: Size) -> String {
    match kind {
        ChangeKind::Switch => "the switch to on-demand mode".to_owned(),
        ChangeKind::Split => format!("the split {from} → {to} shards"),
        ChangeKind::WarmUp => format!("the change {from} → {to} MiB/s of warm throughput"),
        _ => format!("the change {from} → {to} shards"),
    }
}
