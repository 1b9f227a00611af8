//! The doctor's round: reads every stream, within AWS's rates, and makes the checks.

use super::clients::Clients;
use super::read::{Account, read};
use super::report::{Page, Report};
use super::selection::Selection;
use crate::aws::clock;
use crate::screen::{EVERY, Progress};
use futures_util::stream::{self, StreamExt};
use std::time::Duration;
use tokio::time::MissedTickBehavior;
use unthrottle_core::checks::check;
use unthrottle_core::cost::Prices;
use unthrottle_core::signal::StreamArn;

/// Streams that are read at the same time. One takes about a second of AWS's time, so a smaller number would miss
/// [`STREAMS_PER_SECOND`]; a larger one would only open more connections.
const AT_ONCE: usize = 8;

/// Streams whose read begins in a second. `DescribeStreamSummary` allows 20 calls a second to the whole account, and
/// the Lambda and its sweep need most of them. 1,000 streams take 200 s. More would throttle others; fewer would take
/// longer than ten minutes for 3,000 streams.
const STREAMS_PER_SECOND: u32 = 5;

// 1,000 streams take less than ten minutes, and at most half of each of AWS's rates.
const _: () = {
    assert!(1_000 / STREAMS_PER_SECOND < 600);
    // One summary a stream; AWS allows 20 a second.
    assert!(STREAMS_PER_SECOND * 2 <= 20);
    // At most three GetMetricData calls a stream; CloudWatch allows 500 a second.
    assert!(STREAMS_PER_SECOND * 3 * 2 <= 500);
};

pub(super) async fn make(clients: &Clients, arns: &[StreamArn], selection: &Selection, prices: &Prices) -> Report {
    let Some(any) = arns.first() else { return Report::new(vec![]) };
    let account = Account::read(clients, any).await;
    let mut progress = Progress::new("streams read", arns.len());
    let mut pace = tokio::time::interval(Duration::from_secs(1) / STREAMS_PER_SECOND);
    let mut clock = tokio::time::interval(EVERY);
    // A turn that came late does not let the next ones come early.
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let starts = stream::unfold((pace, arns.iter().enumerate()), |(mut pace, mut rest)| async move {
        let next = rest.next()?;
        pace.tick().await;
        Some((next, (pace, rest)))
    });
    let account = &account;
    let reads = starts.map(|(place, arn)| async move { (place, page(clients, account, arn, selection, prices).await) });
    let mut reads = Box::pin(reads.buffer_unordered(AT_ONCE));
    let mut pages = vec![];
    loop {
        tokio::select! {
            read = reads.next() => match read {
                Some(page) => {
                    pages.push(page);
                    progress.step();
                }
                None => break,
            },
            _ = clock.tick() => progress.show(),
        }
    }
    progress.clear();
    pages.sort_by_key(|(place, _)| *place);
    Report::new(pages.into_iter().map(|(_, page)| page).collect())
}

async fn page(clients: &Clients, account: &Account, arn: &StreamArn, selection: &Selection, prices: &Prices) -> Page {
    match read(clients, account, arn, clock().now()).await {
        Ok(Some(readings)) => {
            let tags = readings.tags.as_ref().ok();
            Page::of(&readings.stream, check(&readings, prices, |check| selection.wants(check, tags)))
        }
        Ok(None) => Page::unread(arn, "the stream was deleted meanwhile".into()),
        Err(error) => Page::unread(arn, error.to_string()),
    }
}
