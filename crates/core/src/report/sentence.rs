//! The decision in words, for a person who reads it on a phone at 3 a.m.: what was seen, what was done, why, and how
//! to stop it.

use crate::callers::{CallerCount, Group};
use crate::cost::monthly;
use crate::decision::{
    AwsLimit, Bound, Ceiling, Cost, Decision, Evidence, FleetBound, Foreign, Healed, HotKeyEvidence, NoDiagnosis,
    NoSwitch, ReadCall, Reason, Remedy, Side, SplitBudget, Verdict,
};
use crate::memory::ChangeKind;
use crate::observation::Stream;
use crate::policy::{MAX_SHARDS_TAG, MODE_TAG, Mode};
use crate::signal::{Call, Signal, StreamArn};

/// The sentence of a decision on `stream`, and what it ends with: the bill of a change, and how it is undone.
pub(super) fn of(signal: &Signal, stream: Option<&Stream>, decision: &Decision) -> (String, String) {
    let name = signal.stream().map_or("no stream", |s| s.name.as_str());
    let (text, end) = match &decision.verdict {
        Verdict::Act(remedy) => (act(remedy, signal, decision), end(remedy, signal, stream, decision)),
        Verdict::Hold(reason) => (hold(reason, signal, stream, &decision.evidence), String::new()),
    };
    (format!("{name}: {text}{}", data_loss(decision)), end)
}

/// A warning that data will be lost, where the decision itself is about something else.
fn data_loss(decision: &Decision) -> String {
    match (decision.evidence.data_loss_in_hours, &decision.verdict) {
        (None, _) | (_, Verdict::Hold(Reason::ConsumerSlow { .. })) => String::new(),
        (Some(hours), _) => {
            format!(
                " A reader is so far behind that unread records are deleted in {hours:.1} hours: raise the retention now."
            )
        }
    }
}

/// Who was throttled most, where throttling is what the decision is about.
pub(super) fn most_refused(decision: &Decision, callers: &Group) -> String {
    let evidence = &decision.evidence;
    let is_too_little = matches!(decision.verdict, Verdict::Hold(Reason::Negligible | Reason::Unconfirmed { .. }));
    let side = evidence.throttled_side.or_else(|| is_too_little.then(|| refused_side(evidence)));
    let Some(most) = side.and_then(|side| callers.most(side)) else { return String::new() };
    let CallerCount { principal, user_agent, operation, count } = most;
    let calls = if *count == 1 { "1 call".to_owned() } else { format!("{} calls", grouped(*count as f64)) };
    let how = [user_agent.as_deref(), operation.as_deref(), Some(&calls)].into_iter().flatten().collect::<Vec<_>>();
    format!(
        " Of the refused calls that CloudTrail showed here, most: {} ({}).",
        principal.as_deref().unwrap_or(NOBODY),
        how.join(", ")
    )
}

const NOBODY: &str = "somebody whom CloudTrail does not name";

/// What a reshard does not do for readers that are behind.
fn backlog(remedy: &Remedy, evidence: &Evidence) -> String {
    let behind = evidence.backlog_milliseconds().filter(|_| remedy.is_reshard()).map(time);
    let text = behind.map(|behind| {
        format!(
            " Readers are {behind} behind: that backlog stays on the old shards, at 2 MiB/s each, so they catch up no \
             faster."
        )
    });
    text.unwrap_or_default()
}

/// Minutes or hours.
fn time(milliseconds: f64) -> String {
    match (milliseconds / 60_000.0).round() {
        1.0 => "1 minute".into(),
        minutes if minutes < 120.0 => format!("{minutes:.0} minutes"),
        minutes => format!("{:.1} hours", minutes / 60.0),
    }
}

fn act(remedy: &Remedy, signal: &Signal, decision: &Decision) -> String {
    let evidence = &decision.evidence;
    let by_hand = signal.undo().is_some();
    let seen = match remedy {
        Remedy::SwitchToProvisioned { .. } | Remedy::Restore { .. } => "not throttled".to_owned(),
        Remedy::DisableShardMetrics { .. } if evidence.throttled_minutes.unwrap_or_default() == 0 => {
            "not throttled".to_owned()
        }
        _ => throttling(evidence),
    };
    let (did, why, backlog) = (what(remedy), why(remedy, evidence, by_hand), backlog(remedy, evidence));
    match decision.mode {
        Mode::Heal => format!("{seen}; {why}. Changed {did}.{backlog} To stop this: tag the stream {MODE_TAG}=off."),
        Mode::Observe | Mode::Off if by_hand && signal.mode() == Some(Mode::Observe) => {
            format!("{seen}; {why}. Would change {did}; nothing was changed. With --yes it is done.{backlog}")
        }
        Mode::Observe | Mode::Off => {
            format!("{seen}; {why}. Would change {did}; in observe mode nothing was changed.{backlog}")
        }
    }
}

/// What a change costs, and how it is taken back.
fn end(remedy: &Remedy, signal: &Signal, stream: Option<&Stream>, decision: &Decision) -> String {
    let bill = decision.cost.as_ref().map(|cost| format!(" {}", bill(cost, stream))).unwrap_or_default();
    let undo = match (by_itself(remedy, decision.restore_after_hours), signal.stream()) {
        _ if decision.mode != Mode::Heal => String::new(),
        (Some(1), _) => " It is taken back after 1 calm hour.".into(),
        (Some(hours), _) => format!(" It is taken back after {hours} calm hours."),
        (None, Some(stream)) => format!(" To undo it: {}.", undo(remedy, stream)),
        (None, None) => String::new(),
    };
    bill + &undo
}

/// After how many calm hours a change is taken back without a person.
fn by_itself(remedy: &Remedy, restore_after_hours: u32) -> Option<u32> {
    let hours = match remedy {
        Remedy::ScaleShards { .. } => restore_after_hours,
        // One of AWS's two switches of a day is kept for a person.
        Remedy::SwitchToOnDemand { .. } => restore_after_hours.max(24),
        _ => 0,
    };
    Some(hours).filter(|hours| *hours > 0 && restore_after_hours > 0)
}

/// The command that undoes a change. With its region: another may have a stream of this name.
pub(super) fn undo(remedy: &Remedy, stream: &StreamArn) -> String {
    let StreamArn { home, name } = stream;
    let region = &home.region;
    let aws = |call: &str, with: &str| format!("aws kinesis {call} --region {region} --stream-arn {stream} {with}");
    match remedy {
        Remedy::ScaleShards { .. } | Remedy::SwitchToOnDemand { .. } => {
            format!("unthrottle restore {name} --region {region} --yes")
        }
        // A split is not what a restore goes back from by itself.
        Remedy::SplitShard { from, .. } => format!("unthrottle restore {name} --region {region} --to {from} --yes"),
        Remedy::EnableShardMetrics { metrics, .. } => {
            aws("disable-enhanced-monitoring", &format!("--shard-level-metrics {}", metrics.join(" ")))
        }
        // The CLI's own way to spell WarmThroughputMiBps.
        Remedy::WarmUp { from, .. } => {
            aws("update-stream-warm-throughput", &format!("--warm-throughput-mi-bps {from}"))
        }
        Remedy::Restore { from, .. } => {
            aws("update-shard-count", &format!("--scaling-type UNIFORM_SCALING --target-shard-count {from}"))
        }
        Remedy::SwitchToProvisioned { .. } => aws("update-stream-mode", "--stream-mode-details StreamMode=ON_DEMAND"),
        Remedy::DisableShardMetrics { metrics, .. } => {
            aws("enable-enhanced-monitoring", &format!("--shard-level-metrics {}", metrics.join(" ")))
        }
    }
}

/// What a remedy changes.
fn what(remedy: &Remedy) -> String {
    match remedy {
        Remedy::ScaleShards { from, to, .. } | Remedy::Restore { from, to, .. } => format!("{from} → {to} shards"),
        Remedy::SplitShard { shard, from, to, .. } => {
            format!("{from} → {to} shards: {shard} split at the middle of its hash keys")
        }
        Remedy::SwitchToOnDemand { warm_mibps: None, .. } => {
            "PROVISIONED → ON_DEMAND (grows within about 15 minutes)".into()
        }
        Remedy::SwitchToOnDemand { warm_mibps: Some(warm), .. } => {
            format!("PROVISIONED → ON_DEMAND with {warm} MiB/s of warm throughput")
        }
        Remedy::SwitchToProvisioned { shards } => format!("ON_DEMAND → PROVISIONED, with its {shards} shards"),
        Remedy::WarmUp { from, to, .. } => format!("{from} → {to} MiB/s of warm throughput"),
        Remedy::EnableShardMetrics { metrics, .. } => format!("shard-level metrics on ({})", metrics.join(", ")),
        Remedy::DisableShardMetrics { metrics, .. } => format!("shard-level metrics off ({})", metrics.join(", ")),
    }
}

/// What makes a remedy the right one.
fn why(remedy: &Remedy, evidence: &Evidence, by_hand: bool) -> String {
    let at = percent(evidence.target_utilization.unwrap_or_default());
    match remedy {
        Remedy::ScaleShards { to, partial, .. } => {
            let needed = evidence.shards_needed.unwrap_or(*to);
            let (offered, bounded) = (offered(evidence), bounded(*partial));
            format!("{offered} {} {needed} shards at {at} utilization{bounded}", needs(evidence))
        }
        Remedy::SplitShard { partial: Some(bound), .. } => format!(
            "{} {} {} shards at {at} utilization{}",
            offered(evidence),
            needs(evidence),
            evidence.shards_needed.unwrap_or_default(),
            bounded(Some(*bound))
        ),
        Remedy::SplitShard { shard, from, partial: None, .. } => format!(
            "{shard} is offered {} of what a shard takes (busy shards: {} of {from})",
            percent(evidence.hottest_shard_utilization.unwrap_or_default()),
            evidence.busy_shards.unwrap_or_default()
        ),
        Remedy::SwitchToOnDemand { shards, instead_of, .. } => {
            let limit = match instead_of {
                AwsLimit::AccountQuota => QUOTA_SPENT,
                AwsLimit::ReshardBudget => RESHARDS_SPENT,
                AwsLimit::Double => "AWS at most doubles a stream in one call",
            };
            format!("{} {} more than its {shards} shards, and {limit}", offered(evidence), needs(evidence))
        }
        Remedy::Restore { partial, .. } => {
            let asked = if by_hand { "you ask for it" } else { "we had raised its shards" };
            format!("{asked}, and what it carries needs no more{}", bounded(*partial))
        }
        Remedy::SwitchToProvisioned { .. } if by_hand => {
            "you ask for it, and we had switched it to on-demand mode".into()
        }
        Remedy::SwitchToProvisioned { .. } => {
            "it has been calm for as long as you set, and we had switched it to on-demand mode".into()
        }
        Remedy::WarmUp { to, partial, .. } => {
            let needed = evidence.warm_mibps_needed.unwrap_or(*to);
            let (offered, bounded) = (offered(evidence), bounded(*partial));
            format!("{offered} need {needed} MiB/s of warm throughput at {at} utilization{bounded}")
        }
        Remedy::EnableShardMetrics { shards, .. } => format!(
            "{} {} only {} of its {shards} shards, so some are hot: to see which",
            offered(evidence),
            needs(evidence),
            evidence.shards_needed.unwrap_or_default()
        ),
        Remedy::DisableShardMetrics { .. } => "we had switched shard-level metrics on to find a hot shard".into(),
    }
}

/// The bill before and after, at list prices.
fn bill(cost: &Cost, stream: Option<&Stream>) -> String {
    let Cost { before_usd_per_hour: before, after_usd_per_hour: after, prices } = cost;
    let is_local = stream.is_none_or(|s| prices.starts_with(&format!("{} ", s.region())));
    let prices = if is_local { String::new() } else { format!(", at the prices of {prices}") };
    // Cents say nothing of a small stream.
    let digits = if before.max(*after) < 1.0 { 4 } else { 2 };
    format!(
        "About ${before:.digits$} → ${after:.digits$} an hour at this load ({}${:.0} a month{prices}).",
        if after < before { "-" } else { "+" },
        monthly((after - before).abs())
    )
}

const QUOTA_SPENT: &str = "the account's shard quota leaves no room for a reshard";

const RESHARDS_SPENT: &str = "AWS allows no more reshards of it today (ten in 24 hours, or it refused two in a row)";

fn needs(evidence: &Evidence) -> &'static str {
    if evidence.offered_bytes_per_second.is_none() && evidence.get_records_bytes_per_second.is_none() {
        // Not one accepted record in an hour: the size of a record is unknown.
        "of unknown size may need"
    } else {
        "need"
    }
}

fn bounded(partial: Option<Bound>) -> &'static str {
    match partial {
        None => "",
        Some(Bound::Double) => " (a partial step: AWS at most doubles a stream in one call)",
        Some(Bound::MaxShards) => " (a partial step: the maximum that you set allows no more)",
        Some(Bound::AccountQuota) => {
            " (a partial step: the account's shard quota, which short-lived shards count towards, allows no more)"
        }
        Some(Bound::MaxCost) => " (a partial step: the hourly cost that you set allows no more)",
        Some(Bound::MaxWarm) => " (a partial step: UNTHROTTLE_MAX_WARM_MIBPS allows no more)",
        Some(Bound::Half) => " (a partial step: AWS at most halves a stream in one call)",
        Some(Bound::Peak) => " (a partial step: the peak load needs so many)",
        Some(Bound::MinShards) => " (a partial step: the minimum that you set)",
        Some(Bound::StreamCeiling) => " (a partial step: AWS gives a stream no more in this region)",
    }
}

/// What was throttled, in how many minutes.
fn throttling(evidence: &Evidence) -> String {
    let minutes = evidence.throttled_minutes.unwrap_or_default();
    let window = evidence.window_minutes.unwrap_or_default();
    let (what, share) = refused(evidence);
    format!("{what} in {minutes} of the last {window} published minutes (up to {share} of a minute's)")
}

/// What was refused, and the highest share of a minute.
fn refused(evidence: &Evidence) -> (String, String) {
    let records = evidence.write_throttled_records.unwrap_or_default();
    let calls = evidence.read_throttled_calls.unwrap_or_default();
    let (what, share) = if refused_side(evidence) == Side::Writes {
        (format!("{} records refused", grouped(records)), evidence.write_throttled_share)
    } else {
        (format!("{} GetRecords calls refused", grouped(calls)), evidence.read_throttled_share)
    };
    (what, percent(share.unwrap_or_default()))
}

/// The side that a sentence about refused records or calls is about.
fn refused_side(evidence: &Evidence) -> Side {
    let records = evidence.write_throttled_records.unwrap_or_default();
    evidence.throttled_side.unwrap_or(if records > 0.0 { Side::Writes } else { Side::Reads })
}

/// A whole number with its thousands apart: 1,234,567.
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap_or_default()).collect();
    groups.join(",")
}

fn offered(evidence: &Evidence) -> String {
    if let Some(bytes) = evidence.get_records_bytes_per_second {
        return format!("{} read", per_second(bytes));
    }
    let records = evidence.offered_records_per_second.unwrap_or_default();
    let bytes = evidence.offered_bytes_per_second.map(|b| format!(" and {}", per_second(b))).unwrap_or_default();
    format!("offered {} records/s{bytes} (retries included)", grouped(records))
}

fn per_second(bytes: f64) -> String {
    format!("{:.2} MiB/s", bytes / 1_048_576.0)
}

fn percent(share: f64) -> String {
    match share * 100.0 {
        small if small > 0.0 && small < 1.0 => format!("{small:.2} %"),
        percent => format!("{percent:.0} %"),
    }
}

fn hold(reason: &Reason, signal: &Signal, stream: Option<&Stream>, evidence: &Evidence) -> String {
    match signal {
        Signal::Throttle(call) => of_call(reason, call),
        Signal::Alarm(_) | Signal::Ask(_) | Signal::Sweep(_) => None,
    }
    .unwrap_or_else(|| of_state(reason, stream, evidence, signal.undo().is_some()))
}

/// The sentences that tell of the failed call.
fn of_call(reason: &Reason, call: &Call) -> Option<String> {
    let Call { operation, .. } = call;
    let who = call.caller.principal.as_deref().unwrap_or(NOBODY);
    let code = call.error_code.as_deref().unwrap_or("no error");
    let on = call.resource.as_deref().map(|r| format!(" on {r}")).unwrap_or_default();
    Some(match reason {
        Reason::NotAThrottle => format!("{operation} ended with {code}, which is no throttle. Nothing to do."),
        Reason::OwnCall => format!("{operation} was our own call and got {code}. It never wakes us a second time."),
        Reason::AccessDenied => format!(
            "{who} may not call kinesis:{operation}{on} ({code}). Capacity cannot help and IAM is never touched: \
             check that principal's policies (IAM Access Analyzer shows what they allow)."
        ),
        Reason::KmsDenied => format!(
            "KMS refused {operation} of {who}{on} ({code}). Capacity cannot help and keys are never touched: check \
             the key's state and policy, and the principal's kms: permissions (IAM Access Analyzer shows them)."
        ),
        Reason::KmsThrottled => format!(
            "KMS throttled {operation} of {who} ({code}). Shards cannot help: raise the KMS request quota, or let \
             producers batch with PutRecords."
        ),
        Reason::ControlPlaneThrottled => format!(
            "{operation} of {who} was throttled ({code}). No stream's capacity serves this call, so shards cannot \
             help: let that caller ({}) cache and back off.",
            call.caller.user_agent.as_deref().unwrap_or("unknown user agent")
        ),
        Reason::TooManyReaders(ReadCall::SubscribeToShard) => {
            format!("{operation} of {who}{on} was throttled ({code}). {SUBSCRIBE_LESS}")
        }
        _ => return None,
    })
}

const SUBSCRIBE_LESS: &str = "Each registered consumer may subscribe to each shard once a second, so shards cannot \
    help: give each reader a registered consumer of its own, and back off between re-subscriptions.";

/// The sentences that tell of the stream or of the alarm.
fn of_state(reason: &Reason, stream: Option<&Stream>, evidence: &Evidence, by_hand: bool) -> String {
    let open = stream.map_or(0, |s| s.open_shards);
    match reason {
        Reason::NotAThrottle => "the call did not fail by a throttle. Nothing to do.".into(),
        Reason::OwnCall => "our own call. It never wakes us a second time.".into(),
        Reason::AccessDenied => "access was denied. IAM is never touched.".into(),
        Reason::KmsDenied => "KMS denied the call. Keys are never touched.".into(),
        Reason::KmsThrottled => "KMS throttled the call. Shards cannot help.".into(),
        Reason::ControlPlaneThrottled => "a control-plane call was throttled. Shards cannot help.".into(),
        Reason::NotOurs(Foreign::Home) => "it belongs to another account or region. Deploy unthrottle there.".into(),
        Reason::NotOurs(Foreign::Metric) => "the alarm does not watch a metric of AWS/Kinesis. Nothing to do.".into(),
        Reason::NotOurs(Foreign::NoStream) => "the event names no data stream that could be looked at.".into(),
        Reason::Muted(rule) => format!("its alarm is muted by a person ({rule}), so it is left alone."),
        Reason::Recovered => "its alarm is no longer in ALARM. Nothing to do.".into(),
        Reason::JustLooked => {
            "looked at moments ago. Metrics change once a minute, so this signal adds nothing.".into()
        }
        Reason::StreamGone => "there is no such stream (any more).".into(),
        Reason::NotReady => {
            let status = stream.map_or("unknown", |s| s.status.as_str());
            let mode = stream.map_or("unknown", |s| s.mode.as_str());
            format!("its status is {status} and its capacity mode {mode}: not ready for a change, so it is left alone.")
        }
        Reason::OptedOut => {
            format!("switched off or out of scope (UNTHROTTLE_MODE, UNTHROTTLE_SCOPE, tag {MODE_TAG}).")
        }
        Reason::BadPolicyTag(error) => format!("{error}. Nothing is changed until the tag is mended or removed."),
        Reason::BadMemory(error) => format!(
            "its tag unthrottle.memory cannot be read: {error}. Nothing is changed until it is mended, or removed \
             (it is then rebuilt from the AutoFix metric)."
        ),
        Reason::Resharding => "a change of its capacity is under way. Looked at again with the next signal.".into(),
        Reason::Settling { changed_at } => format!(
            "a change of ours, begun at {} UTC, shows in no full published minute yet. Waiting to see whether it helps.",
            changed_at.format("%H:%M:%S")
        ),
        Reason::EvidencePending if evidence.throttled_side.is_some() => format!(
            "{}, but its shard-level metrics of those minutes are not published yet. Unknown is not zero: looked at \
             again with the next signal.",
            throttling(evidence)
        ),
        Reason::EvidencePending => format!(
            "CloudWatch has published nothing newer than {} UTC yet (it is 1–3 minutes behind), and shows no \
             throttling up to then. Unknown is not zero: looked at again with the next signal.",
            newest(evidence)
        ),
        Reason::Healthy { healed: Some(healed) } => healed_by(healed),
        Reason::Healthy { healed: None } => {
            format!("no throttling in the newest published minutes (up to {} UTC). Nothing to do.", newest(evidence))
        }
        Reason::ConsumerSlow { hours_left } => format!(
            "not throttled, but its slowest reader is {} behind: in {hours_left:.1} hours unread records are deleted. \
             Raise the retention now, then look at that consumer: its function's concurrency, the parallelization \
             factor, the batch size and window, and whether a poison record holds up a shard.",
            time(evidence.iterator_age_milliseconds.unwrap_or_default())
        ),
        Reason::Negligible => {
            let (what, share) = refused(evidence);
            format!("{what}, at most {share} of a minute's: below the floor, so not worth a reshard.")
        }
        Reason::Unconfirmed { minutes, needed } => format!(
            "throttled minutes so far: {minutes}; a change takes {needed}, since a burst is over before a reshard is done."
        ),
        Reason::RefusedLately { until } => {
            format!("AWS refused our last change. Not asked again before {} UTC.", until.format("%H:%M:%S"))
        }
        Reason::SkewSuspected(unseen) => format!(
            "{}; but {}: a few hot shards or keys are the likely cause{}, and more shards alone would not cure them. \
             Look at the partition keys. {}",
            throttling(evidence),
            idle(evidence, open),
            evidence.named_shard.as_deref().map(|shard| format!(" (a producer names {shard})")).unwrap_or_default(),
            undiagnosed(*unseen)
        ),
        Reason::HotKey { shard, shown } => hot_key(shard.as_deref(), *shown, evidence),
        Reason::SplitBudgetSpent(SplitBudget::Lines) => format!(
            "{}; {} is hot, but two other lines of hot shards were split in 24 hours and are hot still, and the memory \
             has no room to follow a third. Split it by hand if it has more than one hot key.",
            throttling(evidence),
            evidence.hottest_shard.as_deref().unwrap_or("a shard")
        ),
        Reason::SplitBudgetSpent(SplitBudget::Refused) => format!(
            "{}; {} is hot, and AWS has refused twice in a row to split it. Not asked again for 24 hours: split it by \
             hand, or spread its keys.",
            throttling(evidence),
            evidence.hottest_shard.as_deref().unwrap_or("a shard")
        ),
        Reason::MicroBurst => format!(
            "{}; but {} need only {} of its {open} shards, and none is busy over a whole minute: bursts within the \
             minute are refused. More shards would stand idle: let producers spread them (batch and linger, jitter \
             timers, retry with backoff).",
            throttling(evidence),
            offered(evidence),
            evidence.shards_needed.unwrap_or_default()
        ),
        Reason::AtMaxShards { max } => format!(
            "{}; {}. It has {open} shards and the maximum that you set is {max}: raise UNTHROTTLE_MAX_SHARDS or the \
             tag {MAX_SHARDS_TAG}, or slow the producers.",
            throttling(evidence),
            offered(evidence)
        ),
        Reason::AtMaxCost { max, would_be } => format!(
            "{}; {}. The least that would help makes it cost ${would_be} an hour, above the ${max} that you set: raise \
             UNTHROTTLE_MAX_HOURLY_COST, or slow the producers.",
            throttling(evidence),
            offered(evidence)
        ),
        Reason::AtAccountQuota(switch) => format!(
            "{}; {QUOTA_SPENT} ({} left, and short-lived shards count), and {}. Ask for a higher \"Shards per \
             Region\" in Service Quotas (Amazon Kinesis Data Streams).",
            throttling(evidence),
            evidence.account_shards_left.unwrap_or_default(),
            no_switch(*switch)
        ),
        Reason::ReshardBudgetSpent(switch) => format!(
            "{}; {RESHARDS_SPENT}, and {}. Slow the producers or readers, or split hot shards by hand (SplitShard has \
             no daily cap).",
            throttling(evidence),
            no_switch(*switch)
        ),
        Reason::NotRestorable(why) if by_hand => format!("not taken back: {why}. Nothing was changed."),
        Reason::NotHealed { change, why } => format!(
            "still throttled after {}, and nothing is left to try. {}",
            change_in_words(change.kind, change.from, change.to),
            of_state(why, stream, evidence, by_hand)
        ),
        Reason::TugOfWar => format!(
            "{}, but somebody has taken our changes back twice within 24 hours, so nothing is changed. If Terraform \
             manages the stream, let it ignore shard_count, stream_mode_details, shard_level_metrics and \
             tags[\"unthrottle.memory\"] (lifecycle ignore_changes); if a person does, tag it {MODE_TAG}=off.",
            throttling(evidence)
        ),
        Reason::FleetLimit(FleetBound::Hour(max)) => format!(
            "it is to be changed, but {max} streams of this account and region were changed within an hour, which is what \
             UNTHROTTLE_MAX_CHANGES_PER_HOUR allows: so many may be a fault, not a load. Look at the AutoFix metric; if \
             the changes are right, allow more.",
        ),
        Reason::FleetLimit(FleetBound::Container(fifth)) => format!(
            "it is to be changed, but one run after the other has just changed {fifth} streams, a fifth of what \
             UNTHROTTLE_MAX_CHANGES_PER_HOUR allows, and the AutoFix metric does not show them yet. The next sweep goes on.",
        ),
        Reason::FleetLimit(FleetBound::Sweep(max)) => format!(
            "it is to be changed, but this sweep has changed {max} streams, the worst first, which is what \
             UNTHROTTLE_MAX_CHANGES_PER_SWEEP allows. The next sweep goes on.",
        ),
        Reason::NotRestorable(why) => format!(
            "calm for as long as you set, and we had switched it to on-demand mode, but it is not switched back: {why}."
        ),
        Reason::OnDemandAdapting => {
            format!("{}; on-demand capacity is still growing, which takes up to 15 minutes.", throttling(evidence))
        }
        Reason::OnDemandCeiling(ceiling) => format!(
            "{}, and in each of the last three 5-minute blocks: on-demand capacity does not follow. {}",
            throttling(evidence),
            options(*ceiling, evidence)
        ),
        Reason::ReaderCatchingUp => format!(
            "{}; a reader is working off a backlog and gains ground ({} behind). New shards cannot drain old ones.",
            throttling(evidence),
            time(evidence.iterator_age_milliseconds.unwrap_or_default())
        ),
        Reason::TooManyReaders(ReadCall::GetRecords) => {
            format!("{}; {} is within its {open} shards. {}", throttling(evidence), offered(evidence), polled(evidence))
        }
        Reason::TooManyReaders(ReadCall::SubscribeToShard) => {
            format!("SubscribeToShard is throttled. {SUBSCRIBE_LESS}")
        }
        Reason::UnevenReads => format!(
            "{}; but {} and {:.1} GetRecords a second to each shard are within what its {open} shards give. Some shards \
             are read harder than others, or answers of up to 10 MB keep them busy for seconds: look at the shards' \
             iterator age in the consumer, ask for fewer records a call, or use enhanced fan-out.",
            throttling(evidence),
            offered(evidence),
            evidence.get_records_calls_per_shard_per_second.unwrap_or_default()
        ),
        Reason::Refused { code, message } => {
            format!("{}; AWS refused the change: {code}: {message}. Nothing was changed.", throttling(evidence))
        }
        Reason::CannotRemember(error) => format!(
            "the tag unthrottle.memory cannot be written ({error}), so nothing was changed. Allow kinesis:TagResource \
             to the function's role, and leave room for one tag."
        ),
    }
}

/// How little of the stream's capacity is used while it throttles.
fn idle(evidence: &Evidence, open: u32) -> String {
    let needed = evidence.shards_needed.unwrap_or_default();
    match evidence.accepted_utilization {
        Some(accepted) if needed > open => format!(
            "it accepts no more than {} of what its {open} shards take, however often the refused records are retried",
            percent(accepted)
        ),
        _ => format!("{} {} only {needed} of its {open} shards", offered(evidence), needs(evidence)),
    }
}

/// Why nobody sees which shards are hot.
fn undiagnosed(unseen: NoDiagnosis) -> &'static str {
    match unseen {
        NoDiagnosis::Denied => {
            "UNTHROTTLE_DIAGNOSE=allow lets unthrottle switch shard-level metrics on, once a day, to find the shard."
        }
        NoDiagnosis::Today => "Its shard-level metrics were on today, and are switched on once a day at most.",
        NoDiagnosis::TooMany => "It has more shards than CloudWatch's search tells apart (500).",
        NoDiagnosis::TooExpensive => {
            "Shard-level metrics would cost more than the UNTHROTTLE_MAX_HOURLY_COST that you set."
        }
        NoDiagnosis::Refused => "AWS refused to switch its shard-level metrics on; not asked again for 24 hours.",
        NoDiagnosis::UnreadableId => "The hottest shard's id has no number, so that its splits could not be followed.",
    }
}

fn hot_key(shard: Option<&str>, shown: HotKeyEvidence, evidence: &Evidence) -> String {
    let seen = throttling(evidence);
    let load = evidence.hottest_shard_utilization.map(percent);
    let load = load.map(|load| format!(", offered {load} of what a shard takes,")).unwrap_or_default();
    let shard = shard.map_or("one shard".to_owned(), |shard| format!("{shard}{load}"));
    let found = match shown {
        HotKeyEvidence::OnDemand => {
            return format!(
                "{seen}, for 15 minutes, and {} are less than half of what its shards take: one partition key, or a \
                 few, are more than a shard takes, and on-demand mode does not isolate them. Spread the keys.{}",
                offered(evidence),
                provisioned(evidence)
            );
        }
        HotKeyEvidence::Splits(splits) => {
            format!("stays hot however it is split ({splits} splits in 24 hours left nearly all of it in one child)")
        }
        HotKeyEvidence::LostMemory => {
            "has nearly all the heat of the shard that it was split off (how often its line was \
            split is forgotten with the memory)"
                .into()
        }
        HotKeyEvidence::Narrow => "has too few hash keys to be split".into(),
    };
    format!(
        "{seen}; {shard} {found}: one partition key, or a narrow range of them. No capacity cures that: spread the key \
         (a suffix, an explicit hash key), or aggregate its records."
    )
}

/// What provisioned mode would cost an on-demand stream.
fn provisioned(evidence: &Evidence) -> String {
    match (evidence.provisioned_usd_per_hour, evidence.on_demand_usd_per_hour) {
        (Some(provisioned), Some(on_demand)) => format!(
            " Provisioned mode, whose shards can be split one by one, with {}: about ${provisioned:.2} an hour at this \
             load, now ${on_demand:.2}.",
            evidence.shards_needed.unwrap_or_default()
        ),
        _ => String::new(),
    }
}

/// What a person can do for an on-demand stream that throttles, and what it costs.
fn options(ceiling: Ceiling, evidence: &Evidence) -> String {
    let provisioned = provisioned(evidence);
    match ceiling {
        Ceiling::Growth => {
            let commitment = evidence.commitment_usd_per_hour.unwrap_or_default() * 24.0;
            format!(
                "You can: look for a hot partition key; ask AWS for a higher stream throughput; buy the throughput \
                 commitment, which warm throughput takes (the account then pays for 25 MiB/s in and out at least, about \
                 ${commitment:.0} a day).{provisioned}"
            )
        }
        Ceiling::MaxWarm(max) => format!(
            "It needs {} MiB/s of warm throughput, and you allow {max}: raise UNTHROTTLE_MAX_WARM_MIBPS.{provisioned}",
            evidence.warm_mibps_needed.unwrap_or_default()
        ),
        Ceiling::Warm => format!(
            "Its warm throughput is all that it may have, or all that its load needs. You can: look for a hot partition \
             key; ask AWS for a higher stream throughput.{provisioned}"
        ),
        Ceiling::Reads => "Each shard gives its polling readers 2 MiB/s together, and AWS adds shards for what is \
            written, not for what is read: use enhanced fan-out, or have fewer consumers."
            .into(),
    }
}

/// How often readers poll, and what helps when that is too often.
fn polled(evidence: &Evidence) -> String {
    let calls = evidence.get_records_calls_per_shard_per_second.unwrap_or_default();
    let pollers = evidence.implied_pollers.unwrap_or_default();
    format!(
        "It is calls that are too many: {calls:.1} GetRecords a second to each shard, where 5 are shared by all \
         readers. That is about {pollers} pollers at the usual one call a second. Each polls every shard, so shards \
         cannot help: have fewer consumers, poll less often, or use enhanced fan-out."
    )
}

fn no_switch(switch: NoSwitch) -> String {
    match switch {
        NoSwitch::Denied => "you deny on-demand mode".into(),
        NoSwitch::AboveMax(max) => {
            format!("on-demand mode would go beyond the {max} shards that you allow")
        }
        NoSwitch::BudgetSpent => "AWS allows no more switches to on-demand mode today".into(),
        NoSwitch::Quota => "the account has all the on-demand streams that it may have".into(),
        NoSwitch::Reads => "on-demand mode is not switched on for readers".into(),
        NoSwitch::HotShard => "on-demand mode does not isolate a hot shard".into(),
    }
}

fn healed_by(healed: &Healed) -> String {
    let minutes = healed.took.num_minutes().max(1);
    let Healed { kind, from, to, .. } = healed;
    let change = change_in_words(*kind, *from, *to);
    format!("healed: throttling has stopped after {change}; it lasted {minutes} min.")
}

fn change_in_words(kind: ChangeKind, from: u32, to: u32) -> String {
    match kind {
        ChangeKind::Switch => "the switch to on-demand mode".to_owned(),
        ChangeKind::Split => format!("the split {from} → {to} shards"),
        ChangeKind::WarmUp => format!("the change {from} → {to} MiB/s of warm throughput"),
        _ => format!("the change {from} → {to} shards"),
    }
}

fn newest(evidence: &Evidence) -> String {
    evidence.newest().map_or_else(|| "an hour".into(), |minute| minute.end().format("%H:%M").to_string())
}
