//! The search for the streams that need a check: a few calls, whatever the size of the fleet.

use crate::aws::read::fleet;
use crate::aws::{Clients, ReadError};
use crate::error::Error;
use crate::handler::Handler;
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, HashSet};
use unthrottle_core::decide::{Pending, pending};
use unthrottle_core::memory::TAG;
use unthrottle_core::report::{Failure, MOST_CONTRIBUTORS};
use unthrottle_core::signal::{Home, StreamArn};

/// The streams that need a check, the worst first.
pub(super) struct Found {
    pub throttled: usize,
    pub full_alarms: Vec<String>,
    pub remembered: usize,
    pub due: usize,
    pub queue: Vec<StreamArn>,
    pub failed: Vec<Failure>,
    /// Whether throttled streams were found by a query that CloudWatch charges for.
    pub is_charged: bool,
}

/// Finds the streams that need a check.
pub(super) async fn find(handler: &Handler, home: &Home, now: DateTime<Utc>) -> Result<Found, Error> {
    let (clients, policy) = (handler.clients(), handler.policy());
    let (mut failed, mut full_alarms) = (vec![], vec![]);
    let (throttled, tagged) = tokio::join!(
        throttled(clients, &policy.fleet_alarms, now, &mut failed, &mut full_alarms),
        fleet::tagged(clients, TAG)
    );
    // Where streams were found, only their order is unknown.
    let is_blind = throttled.is_empty() && failed.len() >= policy.fleet_alarms.len().max(1);
    let tagged = match tagged {
        Ok(tagged) => tagged,
        Err(error) if is_blind => return Err(error.into()),
        Err(error) => {
            failed.push(failure("memories", &error));
            vec![]
        }
    };
    let remembered = tagged.len();
    let remembering =
        tagged.into_iter().filter_map(|(arn, tags)| Some((pending(&tags, policy, now)?, StreamArn::parse(&arn)?)));
    let mut due: Vec<(Pending, StreamArn)> = remembering.filter(|(_, stream)| stream.home == *home).collect();
    due.sort_by_key(|(pending, _)| *pending);
    let mut worst: Vec<(StreamArn, f64)> =
        throttled.iter().filter_map(|(name, refused)| Some((StreamArn::new(name, home)?, *refused))).collect();
    worst.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    let mut queue: Vec<StreamArn> = worst.into_iter().map(|(stream, _)| stream).collect();
    let known = queue.len();
    queue.extend(due.iter().map(|(_, stream)| stream.clone()));
    let mut seen = HashSet::new();
    queue.retain(|stream| seen.insert(stream.clone()));
    let is_charged = policy.fleet_alarms.is_empty();
    Ok(Found { throttled: known, full_alarms, remembered, due: due.len(), queue, failed, is_charged })
}

/// The throttled streams, and how much each refused, where there is more than one.
async fn throttled(
    clients: &Clients,
    alarms: &[String],
    now: DateTime<Utc>,
    failed: &mut Vec<Failure>,
    full: &mut Vec<String>,
) -> BTreeMap<String, f64> {
    let mut streams = BTreeMap::new();
    if alarms.is_empty() {
        return fleet::queried(clients, now).await.unwrap_or_else(|error| {
            failed.push(failure("metrics of the fleet", &error));
            streams
        });
    }
    for alarm in alarms {
        match fleet::contributors(clients, alarm).await {
            Ok(names) => {
                full.extend((names.len() >= MOST_CONTRIBUTORS).then(|| alarm.clone()));
                streams.extend(names.into_iter().map(|name| (name, 0.0)));
            }
            Err(error) => failed.push(failure(alarm, &error)),
        }
    }
    let names: Vec<String> = streams.keys().cloned().collect();
    if names.len() > 1 {
        // Without an order any stream comes first. That is no reason to check none.
        match fleet::severities(clients, &names, now).await {
            Ok(refused) => streams.iter_mut().for_each(|(name, n)| *n = refused.get(name).copied().unwrap_or_default()),
            Err(error) => failed.push(failure("order of the throttled streams", &error)),
        }
    }
    streams
}

fn failure(of: &str, error: &ReadError) -> Failure {
    Failure { of: of.into(), code: "read_failed", error: error.to_string() }
}
