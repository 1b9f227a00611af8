//! How a stream heals: what is seen of it, second by second.

use crate::aws::called;
use crate::put::Stream;
use crate::streams::open_shards;
use aws_sdk_kinesis::types::{StreamDescriptionSummary, StreamMode, StreamStatus};
use serde::Serialize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use unthrottle_core::decision::Remedy;
use unthrottle_core::memory::{Change, Memory, TAG};
use unthrottle_core::words::change;
use unthrottle_writer::{Stats, Target};

/// The time after which a stream has healed, if it takes records and no request fails. The waits of producers are
/// shorter, so a stream that still refuses does so within it.
pub(super) const CALM: Duration = Duration::from_secs(10);

/// The time from one look to the next. AWS allows 20 calls a second in an account, for all callers together.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The looks from one reading of the tags to the next. The tags change a few times in an incident.
const LOOKS_FOR_TAGS: u32 = 4;

/// What was seen. All times are since the start.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct Seen {
    pub first_refusal_s: Option<f64>,
    pub last_refusal_s: Option<f64>,
    /// `None`: no look met it. A change may take less than the time between two looks.
    pub updating_s: Option<f64>,
    /// When the stream was ACTIVE after its last change.
    pub active_s: Option<f64>,
    pub shards_before: u32,
    pub shards_after: u32,
    /// From the first refusal to the last; `None`: the stream has not healed.
    pub healed_s: Option<f64>,
    /// The last change in the memory tag of unthrottle, in words.
    #[serde(skip)]
    pub remembered: Option<String>,
    /// Whether the tag got this change after the first look.
    #[serde(skip)]
    pub is_remembered_anew: bool,
    #[serde(skip)]
    pub mode: Option<StreamMode>,
    /// Whether AWS is changing the stream now.
    #[serde(skip)]
    pub is_updating: bool,
    #[serde(skip)]
    refused: u64,
    #[serde(skip)]
    accepted: u64,
    #[serde(skip)]
    failed_requests: u64,
    /// When these counts grew last.
    #[serde(skip)]
    accepted_s: Option<f64>,
    #[serde(skip)]
    failed_s: Option<f64>,
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
    pub fn new(summary: &StreamDescriptionSummary) -> Healing {
        let shards = open_shards(summary);
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

    /// Takes the counts so far. Returns whether the stream has healed.
    pub fn count(&self, stats: &Stats) -> bool {
        let now = self.now();
        self.lock().count(stats, now)
    }

    fn described(&self, summary: &StreamDescriptionSummary) {
        let now = self.now();
        self.lock().describe(summary, now);
    }

    /// Takes the memory tag of unthrottle. The first look shows what was there before the load.
    fn remembers(&self, tag: Option<&str>, is_first: bool) {
        let (now, mut seen) = (self.now(), self.lock());
        let change = tag.and_then(|tag| Memory::parse(tag).ok()?.change);
        let words = change.as_ref().map(words);
        if words != seen.remembered {
            if let Some(words) = words.as_ref().filter(|_| !is_first) {
                seen.add_event(now, &format!("unthrottle: {words} (its memory tag)"));
            }
            seen.is_remembered_anew |= !is_first;
            seen.remembered = words;
        }
    }

    /// Looks at the stream until it is dropped.
    pub async fn watch(self, client: aws_sdk_kinesis::Client, target: Target, arn: String) {
        for look in 0_u32.. {
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
            if look.is_multiple_of(LOOKS_FOR_TAGS) {
                self.read_memory(&client, &arn, look == 0).await;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Reads what unthrottle remembers. A caller that may not read tags sees nothing of it.
    pub async fn read_memory(&self, client: &aws_sdk_kinesis::Client, arn: &str, is_first: bool) {
        if let Ok(answer) = client.list_tags_for_resource().resource_arn(arn).send().await {
            let tag = answer.tags().iter().find(|tag| tag.key() == TAG).and_then(|tag| tag.value());
            self.remembers(tag, is_first);
        }
    }
}

impl Seen {
    fn count(&mut self, stats: &Stats, now: f64) -> bool {
        if stats.refused > self.refused {
            self.refused = stats.refused;
            self.refuse(now);
        }
        if stats.failed_requests > self.failed_requests {
            (self.failed_requests, self.failed_s) = (stats.failed_requests, Some(now));
        }
        if stats.accepted > self.accepted {
            (self.accepted, self.accepted_s) = (stats.accepted, Some(now));
        }
        let (Some(first), Some(last), Some(active)) = (self.first_refusal_s, self.last_refusal_s, self.active_s) else {
            return false;
        };
        // A stream that does not answer refuses nothing, too. So the time counts up to the last record that it took.
        let trouble = last.max(active).max(self.failed_s.unwrap_or_default());
        let calm = self.accepted_s.unwrap_or_default() - trouble;
        if self.healed_s.is_none() && calm >= CALM.as_secs_f64() {
            self.healed_s = Some(((last - first) * 10.0).round() / 10.0);
            self.add_event(now, &format!("healed: it took records for {} s and refused none", CALM.as_secs()));
        }
        self.healed_s.is_some()
    }

    fn refuse(&mut self, now: f64) {
        self.last_refusal_s = Some(now);
        if self.first_refusal_s.is_none() {
            self.first_refusal_s = Some(now);
            self.add_event(now, "the first record is refused");
        }
        if self.healed_s.take().is_some() {
            self.add_event(now, "a record is refused again");
        }
    }

    fn describe(&mut self, summary: &StreamDescriptionSummary, now: f64) {
        let (shards, mode) = (open_shards(summary), mode(summary));
        self.is_updating = *summary.stream_status() == StreamStatus::Updating;
        if self.is_updating && (self.updating_s.is_none() || self.active_s >= self.updating_s) {
            self.updating_s = Some(now);
            self.add_event(now, "UPDATING");
        }
        let is_changed = shards != self.shards_after || mode != self.mode;
        if !self.is_updating && is_changed {
            let word = mode.as_ref().map_or("", StreamMode::as_str);
            let event = format!("ACTIVE, {word}: {}", change(self.shards_after, shards, "shard"));
            self.add_event(now, &event);
            (self.shards_after, self.mode, self.active_s, self.healed_s) = (shards, mode, Some(now), None);
        }
    }

    fn add_event(&mut self, now: f64, what: &str) {
        self.events.push(format!("{now:>6.1} s  {what}"));
    }
}

/// A change in words: `scale_shards 2 → 4`.
fn words(change: &Change) -> String {
    format!("{} {} → {}", Remedy::code_of(change.kind), change.from.number(), change.to.number())
}

/// Starts to look at a stream.
pub(super) fn watch(healing: &Healing, stream: &Stream, arn: &str) -> tokio::task::JoinHandle<()> {
    tokio::spawn(healing.clone().watch(stream.client.clone(), stream.target.clone(), arn.to_owned()))
}

fn mode(summary: &StreamDescriptionSummary) -> Option<StreamMode> {
    summary.stream_mode_details().map(|details| details.stream_mode().clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream that refused a record at 1 s and 3 s, and has more shards since 2 s.
    fn refusing() -> Seen {
        let mut seen = Seen { shards_before: 2, shards_after: 2, ..Seen::default() };
        assert!(!seen.count(&stats(100, 1, 0), 1.0));
        seen.describe(&summary(4), 2.0);
        assert!(!seen.count(&stats(200, 2, 0), 3.0));
        seen
    }

    fn stats(accepted: u64, refused: u64, failed_requests: u64) -> Stats {
        let mut stats = Stats::default();
        (stats.accepted, stats.refused, stats.failed_requests) = (accepted, refused, failed_requests);
        stats
    }

    fn summary(shards: i32) -> StreamDescriptionSummary {
        let summary =
            StreamDescriptionSummary::builder().stream_name("orders").stream_arn("arn").open_shard_count(shards);
        let summary = summary.stream_status(StreamStatus::Active).retention_period_hours(24);
        let summary = summary.stream_creation_timestamp(aws_sdk_kinesis::primitives::DateTime::from_secs(0));
        summary.set_enhanced_monitoring(Some(vec![])).build().expect("a summary")
    }

    #[test]
    fn a_stream_that_takes_records_for_ten_seconds_without_a_refusal_has_healed() {
        let mut seen = refusing();
        assert!(!seen.count(&stats(300, 2, 0), 12.9));
        assert!(seen.count(&stats(400, 2, 0), 13.0));
        assert_eq!(seen.healed_s, Some(2.0), "from the first refusal to the last");
        assert!(
            seen.events.iter().any(|event| event.contains("healed: it took records for 10 s")),
            "{:?}",
            seen.events
        );
    }

    #[test]
    fn a_stream_that_stops_answering_has_not_healed() {
        let mut seen = refusing();
        for second in 4..60 {
            assert!(!seen.count(&stats(200, 2, 0), f64::from(second)), "no record is accepted after {second} s");
        }
        for second in 60..90 {
            let failed = u64::from(second as u32);
            assert!(!seen.count(&stats(200 + failed, 2, failed), f64::from(second)), "requests fail after {second} s");
        }
        assert!(!seen.count(&stats(400, 2, 89), 98.9));
        assert!(seen.count(&stats(500, 2, 89), 99.0), "ten seconds after the last failure");
    }

    #[test]
    fn a_stream_that_did_not_change_or_that_refuses_again_has_not_healed() {
        let mut same = Seen::default();
        same.count(&stats(100, 1, 0), 1.0);
        assert!(!same.count(&stats(200, 1, 0), 60.0), "it did not change");
        let mut seen = refusing();
        assert!(seen.count(&stats(300, 2, 0), 20.0));
        assert!(!seen.count(&stats(400, 3, 0), 21.0));
        assert_eq!((seen.healed_s, seen.last_refusal_s), (None, Some(21.0)));
        assert!(seen.count(&stats(500, 3, 0), 31.0));
        assert_eq!(seen.healed_s, Some(20.0));
    }
}
