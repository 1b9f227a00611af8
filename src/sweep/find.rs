//! The search for the streams that need a check: a few calls, whatever the size of the fleet.

use crate::aws::read::fleet;
use crate::aws::{Clients, ReadError};
use crate::error::Error;
use crate::handler::Handler;
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::{BTreeMap, HashSet};
use unthrottle_core::decide::{Pending, is_turn_to_look_ahead, pending};
use unthrottle_core::memory::{TAG, supported};
use unthrottle_core::observation::Supported;
use unthrottle_core::policy::{FORESIGHT_TAG, Foresight, Policy};
use unthrottle_core::report::{Failure, MOST_CONTRIBUTORS, Queried};
use unthrottle_core::signal::{Home, StreamArn};

/// How often a sweep asks CloudWatch about every stream where there is no alarm, or an alarm cannot be read. A
/// throttled stream waits at most this long. A shorter time costs more: 1,000 streams cost $0.02 each time, so $173 a
/// month.
const ASK_WITHOUT_ALARM_EVERY: TimeDelta = TimeDelta::minutes(5);

/// How often a sweep asks CloudWatch about every stream while an alarm is full. A stream beyond the alarm's hundred
/// waits at most this long. A shorter time costs more: 1,000 streams cost $0.02 each time, so $29 a month.
const ASK_FOR_FULL_ALARM_EVERY: TimeDelta = TimeDelta::minutes(30);

/// The streams that need a check, the worst first.
pub(super) struct Found {
    pub throttled: usize,
    pub full_alarms: Vec<String>,
    pub remembered: usize,
    pub due: usize,
    pub queue: Vec<StreamArn>,
    pub failed: Vec<Failure>,
    /// Why throttled streams were also found by a query that CloudWatch charges for. `None`: the alarms sufficed.
    pub queried: Option<Queried>,
    /// The changes that the tags of all streams show. `None`: the tags could not be read.
    pub supported: Option<Supported>,
}

/// Finds the streams that need a check. `next_sweep`: when the next sweep begins, where that is known.
pub(super) async fn find(
    handler: &Handler,
    home: &Home,
    now: DateTime<Utc>,
    next_sweep: Option<DateTime<Utc>>,
) -> Result<Found, Error> {
    let (clients, policy) = (handler.clients(), handler.policy());
    let (throttled, tagged, foreseen) =
        tokio::join!(throttled(handler, now), fleet::tagged(clients, TAG), foreseen(clients, policy));
    let Throttled { streams: throttled, mut failed, full_alarms, queried, is_blind } = throttled;
    let tagged = match tagged {
        Ok(tagged) => Some(tagged),
        Err(error) if is_blind => return Err(error.into()),
        Err(error) => {
            failed.push(failure("memories", &error));
            None
        }
    };
    let supported = tagged.as_ref().map(|tagged| supported(tagged.iter().map(|(_, tags)| tags), now));
    let mut tagged = tagged.unwrap_or_default();
    let remembered = tagged.len();
    match foreseen {
        Ok(foreseen) => tagged.extend(foreseen),
        Err(error) => failed.push(failure("streams in foresight", &error)),
    }
    let remembering =
        tagged.into_iter().filter_map(|(arn, tags)| Some((pending(&tags, policy, now)?, StreamArn::parse(&arn)?)));
    let mut due: Vec<(Pending, StreamArn)> = remembering.filter(|(_, stream)| stream.home == *home).collect();
    due.retain(|(pending, stream)| {
        *pending != Pending::Foresight || is_turn_to_look_ahead(&stream.name, now, next_sweep)
    });
    due.sort_by_key(|(pending, _)| *pending);
    let mut worst: Vec<(StreamArn, f64)> =
        throttled.iter().filter_map(|(name, refused)| Some((StreamArn::new(name, home)?, *refused))).collect();
    worst.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    let mut queue: Vec<StreamArn> = worst.into_iter().map(|(stream, _)| stream).collect();
    let known = queue.len();
    queue.extend(due.iter().map(|(_, stream)| stream.clone()));
    let mut seen = HashSet::new();
    queue.retain(|stream| seen.insert(stream.clone()));
    Ok(Found { throttled: known, full_alarms, remembered, due: due.len(), queue, failed, queried, supported })
}

/// The streams in foresight that have no memory yet. A deployment without foresight looks for none.
async fn foreseen(clients: &Clients, policy: &Policy) -> Result<Vec<(String, BTreeMap<String, String>)>, ReadError> {
    if policy.foresight == Foresight::Off {
        return Ok(vec![]);
    }
    let mut streams = fleet::tagged(clients, FORESIGHT_TAG).await?;
    streams.retain(|(_, tags)| !tags.contains_key(TAG));
    Ok(streams)
}

/// The throttled streams, and how they were found.
#[derive(Default)]
struct Throttled {
    /// How much each stream refused. 0: unknown, or nothing.
    streams: BTreeMap<String, f64>,
    failed: Vec<Failure>,
    full_alarms: Vec<String>,
    queried: Option<Queried>,
    /// No alarm and no query gave an answer. Where streams were found, only their order is unknown.
    is_blind: bool,
}

impl Throttled {
    /// Why CloudWatch is asked about every stream. The query needs no permission that the function lacks, and gives the
    /// present state. The history of an alarm would need one more permission, and page after page of past states.
    fn needs_query(&self, handler: &Handler) -> Option<Queried> {
        let (why, every) = if handler.policy().fleet_alarms.is_empty() {
            (Queried::NoAlarm, ASK_WITHOUT_ALARM_EVERY)
        } else if !self.failed.is_empty() {
            (Queried::AlarmFailed, ASK_WITHOUT_ALARM_EVERY)
        } else if !self.full_alarms.is_empty() {
            (Queried::AlarmFull, ASK_FOR_FULL_ALARM_EVERY)
        } else {
            return None;
        };
        handler.is_fleet_unasked_for(every).then_some(why)
    }
}

/// Finds the throttled streams in the fleet alarms. Where an alarm cannot be read or names no more streams, and where
/// there is no alarm, CloudWatch is asked about every stream.
async fn throttled(handler: &Handler, now: DateTime<Utc>) -> Throttled {
    let (clients, alarms) = (handler.clients(), &handler.policy().fleet_alarms);
    let mut found = Throttled::default();
    for alarm in alarms {
        match fleet::contributors(clients, alarm).await {
            Ok(names) => {
                found.full_alarms.extend((names.len() >= MOST_CONTRIBUTORS).then(|| alarm.clone()));
                found.streams.extend(names.into_iter().map(|name| (name, 0.0)));
            }
            Err(error) => found.failed.push(failure(alarm, &error)),
        }
    }
    found.is_blind = found.failed.len() == alarms.len();
    found.queried = found.needs_query(handler);
    if let Some(why) = found.queried {
        if why != Queried::NoAlarm {
            tracing::warn!(%why, "the fleet alarms do not name every stream; the sweep asks CloudWatch about each");
        }
        match fleet::queried(clients, handler.policy().this_account_only, now).await {
            Ok(refused) => {
                handler.record_fleet_asked();
                found.is_blind = false;
                found.streams.extend(refused);
            }
            Err(error) => found.failed.push(failure("metrics of the fleet", &error)),
        }
    }
    order(clients, now, &mut found).await;
    found
}

/// Reads how much each stream refused, unless a query gave it. Without an order any stream comes first. That is no
/// reason to check none.
async fn order(clients: &Clients, now: DateTime<Utc>, found: &mut Throttled) {
    let unknown: Vec<String> =
        found.streams.iter().filter(|(_, refused)| **refused == 0.0).map(|(name, _)| name.clone()).collect();
    if found.streams.len() < 2 || unknown.is_empty() {
        return;
    }
    match fleet::severities(clients, &unknown, now).await {
        Ok(refused) => refused.into_iter().for_each(|(name, refused)| {
            found.streams.insert(name, refused);
        }),
        Err(error) => found.failed.push(failure("order of the throttled streams", &error)),
    }
}

fn failure(of: &str, error: &ReadError) -> Failure {
    Failure { of: of.into(), code: "read_failed", error: error.to_string(), denied: error.denied() }
}
