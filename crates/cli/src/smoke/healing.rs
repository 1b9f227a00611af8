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
use unthrottle_writer::Target;

/// The time without a refusal after which a stream has healed. The waits of producers are shorter, so a stream that
/// still refuses does so within it.
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
        let shards = summary.map_or(0, open_shards);
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
                seen.add_event(now, "the first record is refused");
            }
        }
        let (Some(first), Some(last), Some(active)) = (seen.first_refusal_s, seen.last_refusal_s, seen.active_s) else {
            return false;
        };
        if seen.healed_s.is_none() && now - last.max(active) >= CALM.as_secs_f64() {
            seen.healed_s = Some(((last - first) * 10.0).round() / 10.0);
            seen.add_event(now, &format!("healed: nothing was refused for {} s", CALM.as_secs()));
        }
        seen.healed_s.is_some()
    }

    fn described(&self, summary: &StreamDescriptionSummary) {
        let (now, mut seen) = (self.now(), self.lock());
        let (shards, mode) = (open_shards(summary), mode(Some(summary)));
        seen.is_updating = *summary.stream_status() == StreamStatus::Updating;
        if seen.is_updating && (seen.updating_s.is_none() || seen.active_s >= seen.updating_s) {
            seen.updating_s = Some(now);
            seen.add_event(now, "UPDATING");
        }
        let is_changed = shards != seen.shards_after || mode != seen.mode;
        if !seen.is_updating && is_changed {
            let word = mode.as_ref().map_or("", StreamMode::as_str);
            let event = format!("ACTIVE, {word}: {}", change(seen.shards_after, shards, "shard"));
            seen.add_event(now, &event);
            (seen.shards_after, seen.mode, seen.active_s, seen.healed_s) = (shards, mode, Some(now), None);
        }
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

fn mode(summary: Option<&StreamDescriptionSummary>) -> Option<StreamMode> {
    summary.and_then(|summary| summary.stream_mode_details()).map(|details| details.stream_mode().clone())
}
