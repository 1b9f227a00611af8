//! How a stream heals: what is seen of it, second by second.

use crate::aws::called;
use crate::put::Stream;
use aws_sdk_kinesis::types::{StreamDescriptionSummary, StreamMode, StreamStatus};
use serde::Serialize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use unthrottle_writer::Target;

/// The time without a refusal after which a stream has healed. The waits of producers are shorter, so a stream that
/// still refuses does so within it.
pub(super) const CALM: Duration = Duration::from_secs(10);

/// The time from one look to the next. AWS allows 20 calls a second in an account, for all callers together.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What was seen. All times are since the start.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Seen {
    pub first_refusal_s: Option<f64>,
    pub last_refusal_s: Option<f64>,
    /// `None`: no look met it. A change may take less than the time between two looks.
    pub updating_s: Option<f64>,
    /// When the stream was ACTIVE after its last change.
    pub active_s: Option<f64>,
    pub shards_before: i32,
    pub shards_after: i32,
    /// From the first refusal to the last; `None`: the stream has not healed.
    pub healed_s: Option<f64>,
    #[serde(skip)]
    mode: Option<StreamMode>,
    #[serde(skip)]
    refused: u64,
    #[serde(skip)]
    events: Vec<String>,
}

/// What is seen, from every side. Clones see together.
#[derive(Clone)]
pub(super) struct Healing {
    start: Instant,
    seen: Arc<Mutex<Seen>>,
}

impl Healing {
    pub fn new(summary: Option<&StreamDescriptionSummary>) -> Healing {
        let shards = summary.map_or(0, StreamDescriptionSummary::open_shard_count);
        let seen = Seen { shards_before: shards, shards_after: shards, mode: mode(summary), ..Seen::default() };
        Healing { start: Instant::now(), seen: Arc::new(Mutex::new(seen)) }
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> f64 {
        (self.start.elapsed().as_secs_f64() * 10.0).round() / 10.0
    }

    /// What was seen so far.
    pub fn seen(&self) -> Seen {
        self.lock().clone()
    }

    /// What happened since the last call, in words.
    pub fn take_events(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().events)
    }

    /// Takes the count of refusals so far. Returns whether the stream has healed.
    pub fn refused(&self, refused: u64) -> bool {
        let (now, mut seen) = (self.now(), self.lock());
        if refused > seen.refused {
            seen.refused = refused;
            seen.last_refusal_s = Some(now);
            if seen.first_refusal_s.is_none() {
                seen.first_refusal_s = Some(now);
                seen.events.push(format!("{now:>6.1} s  the first record is refused"));
            }
        }
        let (Some(first), Some(last), Some(active)) = (seen.first_refusal_s, seen.last_refusal_s, seen.active_s) else {
            return false;
        };
        if seen.healed_s.is_none() && now - last.max(active) >= CALM.as_secs_f64() {
            seen.healed_s = Some(((last - first) * 10.0).round() / 10.0);
            seen.events.push(format!("{now:>6.1} s  healed: nothing was refused for {} s", CALM.as_secs()));
        }
        seen.healed_s.is_some()
    }

    fn described(&self, summary: &StreamDescriptionSummary) {
        let (now, mut seen) = (self.now(), self.lock());
        let (shards, mode) = (summary.open_shard_count(), mode(Some(summary)));
        let is_updating = *summary.stream_status() == StreamStatus::Updating;
        if is_updating && (seen.updating_s.is_none() || seen.active_s >= seen.updating_s) {
            seen.updating_s = Some(now);
            seen.events.push(format!("{now:>6.1} s  UPDATING"));
        }
        let is_changed = shards != seen.shards_after || mode != seen.mode;
        if !is_updating && is_changed {
            let word = mode.as_ref().map_or("", StreamMode::as_str);
            let event = format!("{now:>6.1} s  ACTIVE, {word}: {} → {shards} shards", seen.shards_after);
            seen.events.push(event);
            (seen.shards_after, seen.mode, seen.active_s, seen.healed_s) = (shards, mode, Some(now), None);
        }
    }

    /// Looks at the stream until it is dropped.
    pub async fn watch(self, client: aws_sdk_kinesis::Client, target: Target) {
        loop {
            let call = client.describe_stream_summary();
            let call = match &target {
                Target::Name(name) => call.stream_name(name),
                Target::Arn(arn) => call.stream_arn(arn),
            };
            // A look that fails shows nothing. The next one comes soon.
            if let Ok(answer) = called("DescribeStreamSummary", call.send().await)
                && let Some(summary) = answer.stream_description_summary()
            {
                self.described(summary);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// Starts to look at a stream.
pub(super) fn watch(healing: &Healing, stream: &Stream) -> tokio::task::JoinHandle<()> {
    tokio::spawn(healing.clone().watch(stream.client.clone(), stream.target.clone()))
}

fn mode(summary: Option<&StreamDescriptionSummary>) -> Option<StreamMode> {
    summary.and_then(|summary| summary.stream_mode_details()).map(|details| details.stream_mode().clone())
}
