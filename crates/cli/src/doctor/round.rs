//! The doctor's round: reads every stream, within AWS's rates, and makes the checks.

use super::clients::Clients;
use super::pace::{Machine, Pace, Time};
use super::read::{Account, Asked, of_summary, read};
use super::report::{Page, Report};
use super::selection::Selection;
use crate::aws::clock;
use crate::screen::{EVERY, Progress};
use futures_util::stream::{self, Stream, StreamExt};
use unthrottle::aws::ReadError;
use unthrottle_core::checks::{Readings, check, on_demand_cost, unreserved_executions};
use unthrottle_core::cost::Prices;
use unthrottle_core::signal::StreamArn;

/// Streams that are read at the same time. One takes about a second of AWS's time, so a smaller number would miss
/// [`STREAMS_PER_SECOND`]; a larger one would only open more connections.
const AT_ONCE: usize = 8;

/// Streams whose read begins in a second. Each reads its tags, for which AWS allows an account five calls a second, as
/// far as is documented; the Lambda needs some of them. More would throttle it; fewer would take longer than ten
/// minutes for 1,800 streams. A test simulates 1,000 streams before AWS's rates.
const STREAMS_PER_SECOND: u32 = 3;

/// Reads the streams and makes the checks. `is_all`: they are all streams of the account and region.
pub(super) async fn make(
    clients: &Clients,
    arns: &[StreamArn],
    is_all: bool,
    asked: &Asked,
    selection: &Selection,
    prices: &Prices,
) -> Report {
    let Some(any) = arns.first() else { return Report::new(vec![], clock().now()) };
    let account = Account::read(clients, any, selection.has("control-plane"), clock().now()).await;
    let pace = Pace::new(Machine::new(), STREAMS_PER_SECOND);
    let reads = paced(arns, &pace, |arn| read(clients, &account, asked, arn, clock().now()));
    let mut read = with_progress(reads, arns.len()).await;
    let readings = || read.iter().filter_map(|read| read.as_ref().ok()?.as_ref());
    let on_demand = if is_all { on_demand_cost(readings(), prices) } else { None };
    // The functions of the other streams share the executions that are free.
    let executions = readings().map(unreserved_executions).fold(0, u32::saturating_add);
    for readings in read.iter_mut().flatten().flatten() {
        readings.on_demand = on_demand;
        readings.unreserved_elsewhere = executions.saturating_sub(unreserved_executions(readings));
    }
    let pages = arns.iter().zip(read).map(|(arn, read)| page(arn, read, selection, prices));
    Report::new(pages.collect(), clock().now())
}

/// Reads each stream when its turn has come. Gives the places of the streams with the results, as they come.
fn paced<'a, T: Time, R: Future>(
    arns: &'a [StreamArn],
    pace: &'a Pace<T>,
    read: impl Fn(&'a StreamArn) -> R + 'a,
) -> impl Stream<Item = (usize, R::Output)> {
    let starts = stream::unfold(arns.iter().enumerate(), move |mut rest| async move {
        let next = rest.next()?;
        pace.turn().await;
        Some((next, rest))
    });
    let reads = starts.map(move |(place, arn)| {
        let read = read(arn);
        async move { (place, read.await) }
    });
    reads.buffer_unordered(AT_ONCE)
}

/// Shows how many of `all` reads are done. Gives their results by their places.
async fn with_progress<R>(reads: impl Stream<Item = (usize, R)>, all: usize) -> Vec<R> {
    let (mut progress, mut clock) = (Progress::new("streams read", all), tokio::time::interval(EVERY));
    let (mut reads, mut done) = (std::pin::pin!(reads), vec![]);
    loop {
        tokio::select! {
            read = reads.next() => match read {
                Some(read) => {
                    done.push(read);
                    progress.step();
                }
                None => break,
            },
            _ = clock.tick() => progress.show(),
        }
    }
    progress.clear();
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, read)| read).collect()
}

fn page(arn: &StreamArn, read: Result<Option<Readings>, ReadError>, selection: &Selection, prices: &Prices) -> Page {
    match read {
        Ok(Some(readings)) => {
            let tags = readings.tags.as_ref().ok();
            Page::of(&readings.stream, check(&readings, prices, |check| selection.wants(check, tags)))
        }
        Ok(None) => Page::unread(arn, "the stream was deleted meanwhile".into()),
        Err(error) => Page::unread(arn, of_summary(&error)),
    }
}

#[cfg(test)]
#[path = "rates.rs"]
mod rates;
