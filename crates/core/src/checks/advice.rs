//! Advice in the document of a decision: the checks that need nothing but what the observation has.

use super::finding::Status;
use super::readings::{Point, Readings, Series, Unread};
use super::table::check;
use crate::cost::Prices;
use crate::memory::{Memory, TAG};
use crate::observation::{Minute, MinuteTraffic, Observation, Stream};
use crate::policy::DOCTOR_SKIP_TAG;
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::ops::RangeInclusive;

/// The checks, the most urgent first. `batch` is not one of them: an observation does not count PutRecords calls.
const CHECKS: [&str; 5] = ["bursts", "pollers", "ranges", "small-records", "put-record"];

/// A person on call reads no more.
const MOST: usize = 3;

/// How far back the traffic counts, in minutes: as far as the doctor reads minutes.
const MINUTES: i64 = 180;

/// What a producer or a reader of the stream could do better.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Advice {
    /// The check of `unthrottle doctor`, such as `small-records`.
    pub code: &'static str,
    /// What was seen.
    pub sentence: String,
    /// What mends it.
    pub fix: Option<String>,
}

/// The advice on an observed stream: at most three, the most urgent first. Empty: there is none, or the stream does not
/// exist.
pub fn advise(observation: &Observation, prices: &Prices) -> Vec<Advice> {
    let Some(stream) = &observation.stream else { return vec![] };
    let readings = readings(observation, stream);
    let skipped = observation.tags.get(DOCTOR_SKIP_TAG).map(String::as_str).unwrap_or_default();
    let wanted = |code: &str| CHECKS.contains(&code) && !skipped.split_whitespace().any(|skipped| skipped == code);
    let mut found = check(&readings, prices, |check| wanted(check.code));
    found.retain(|finding| finding.status >= Status::Warn);
    found.sort_by_key(|finding| CHECKS.iter().position(|code| *code == finding.code));
    let advice = found.into_iter().take(MOST);
    advice.map(|finding| Advice { code: finding.code, sentence: finding.sentence, fix: finding.fix }).collect()
}

/// The observation as the checks read it. A check that needs more finds `unknown`, which is no advice.
fn readings(observation: &Observation, stream: &Stream) -> Readings {
    fn unread<T>() -> Result<T, Unread> {
        Err(Unread { action: "", why: "an observation does not have it".into(), is_denied: false })
    }
    let now = Minute::of(observation.observed_at);
    let first = stream.created_at.map_or(now.plus(-MINUTES), |created| Minute::of(created).max(now.plus(-MINUTES)));
    let minutes = Series {
        period_seconds: 60.0,
        window_seconds: (now.start() - first.start()).num_seconds().max(0) as f64,
        points: observation.traffic.since(first).map(|(minute, traffic)| (minute.start(), traffic.into())).collect(),
    };
    Readings {
        read_at: observation.observed_at,
        stream: stream.clone(),
        tags: Ok(observation.tags.clone()),
        hours: Ok(minutes.clone()),
        minutes: Ok(minutes),
        all_minutes: None,
        shards: observation.shards.clone().map_or_else(unread, Ok),
        shards_then: shards_since(observation, first.start()).map(Ok),
        consumers: unread(),
        alarms: unread(),
        key: unread(),
        lambdas: unread(),
        unreserved_concurrency: unread(),
        unreserved_elsewhere: 0,
        limits: observation.limits.map_or_else(unread, Ok),
        commitment: observation.commitment.map_or_else(unread, Ok),
        is_deployed: unread(),
        denied_actions: unread(),
        throttled_calls: unread(),
        on_demand: None,
        sample: None,
        rights: None,
        leases: None,
    }
}

/// The fewest and the most shards that the stream is known to have had since then: before a change that the memory has,
/// and at the times for which AWS was asked. `None`: nothing is known but the shards of now.
fn shards_since(observation: &Observation, since: DateTime<Utc>) -> Option<RangeInclusive<u32>> {
    let memory = observation.tags.get(TAG).and_then(|text| Memory::parse(text).ok());
    let changed = memory.filter(|memory| memory.change.as_ref().is_some_and(|change| change.at >= since));
    let before = |memory: Memory| [memory.base, memory.change.and_then(|change| change.from.shards())];
    let asked = observation.shards_at.values().map(|then| then.count);
    let known = changed.into_iter().flat_map(before).flatten().chain(asked).filter(|shards| *shards > 0);
    let known: Vec<u32> = known.collect();
    Some(*known.iter().min()?..=*known.iter().max()?)
}

impl From<MinuteTraffic> for Point {
    fn from(minute: MinuteTraffic) -> Point {
        Point {
            incoming_bytes: minute.incoming_bytes,
            incoming_records: minute.incoming_records,
            write_throttled: minute.write_throttled,
            put_record_count: minute.put_record_count,
            read_throttled: minute.read_throttled,
            get_records_bytes: minute.get_records_bytes,
            get_records_calls: minute.get_records_calls,
            iterator_age_ms: minute.iterator_age_ms,
            ..Point::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixture::stream;
    use crate::memory::{Change, ChangeKind};

    /// A stream of two shards whose minutes of the last three hours are all alike.
    fn observation(minute: MinuteTraffic) -> Observation {
        let observed_at = DateTime::UNIX_EPOCH + chrono::TimeDelta::days(100);
        let mut observation = Observation { observed_at, stream: Some(stream(2)), ..Observation::default() };
        for ago in 1..=MINUTES {
            *observation.traffic.minute_mut(Minute::of(observed_at).plus(-ago)) = minute;
        }
        observation
    }

    fn codes(observation: &Observation) -> Vec<&'static str> {
        advise(observation, &Prices::default()).into_iter().map(|advice| advice.code).collect()
    }

    const CALM: MinuteTraffic = MinuteTraffic {
        incoming_bytes: 24.0 * 1024.0 * 600.0,
        incoming_records: 600.0,
        write_throttled: 0.0,
        put_record_bytes: 0.0,
        put_record_count: 0.0,
        read_throttled: 0.0,
        get_records_bytes: 0.0,
        get_records_calls: 0.0,
        iterator_age_ms: None,
    };

    #[test]
    fn a_stream_without_a_fault_has_no_advice() {
        assert_eq!(codes(&observation(CALM)), [""; 0]);
        assert_eq!(codes(&Observation::default()), [""; 0]);
    }

    #[test]
    fn no_more_than_the_three_most_urgent_faults_are_advice() {
        let all = MinuteTraffic {
            incoming_bytes: 200.0 * 30_000.0,
            incoming_records: 30_000.0,
            put_record_count: 30_000.0,
            get_records_calls: 2.0 * 4.5 * 60.0,
            ..CALM
        };
        assert_eq!(codes(&observation(all)), ["pollers", "small-records", "put-record"]);
        let mut bursts = observation(all);
        let minute = Minute::of(bursts.observed_at).plus(-5);
        bursts.traffic.minute_mut(minute).write_throttled = 10.0;
        assert_eq!(codes(&bursts), ["bursts", "pollers", "small-records"]);
    }

    /// Three hours say little about a month.
    #[test]
    fn advice_names_no_money() {
        let all = MinuteTraffic {
            incoming_bytes: 200.0 * 30_000.0,
            incoming_records: 30_000.0,
            get_records_calls: 2.0 * 4.5 * 60.0,
            ..CALM
        };
        let advice = advise(&observation(all), &Prices::default());
        assert_eq!(advice.iter().map(|advice| advice.code).collect::<Vec<_>>(), ["pollers", "small-records"]);
        let texts = advice.iter().flat_map(|advice| [Some(&advice.sentence), advice.fix.as_ref()]).flatten();
        texts.for_each(|text| assert!(!text.contains('$'), "{text}"));
    }

    #[test]
    fn a_full_stream_from_before_a_change_of_ours_had_no_burst() {
        let full = MinuteTraffic { incoming_bytes: 60.0 * 1_048_576.0, write_throttled: 900.0, ..CALM };
        let mut observation = observation(CALM);
        let now = Minute::of(observation.observed_at);
        *observation.traffic.minute_mut(now.plus(-20)) = full;
        assert_eq!(codes(&observation), ["bursts"], "a shard's load in a stream of two");
        let change = Change::intent(ChangeKind::Scale, 1, 2, now.plus(-15).start());
        let memory = Memory { base: Some(1), ..Memory::default().intend(change, false) };
        observation.tags.insert(TAG.into(), memory.encode().expect("it fits"));
        assert_eq!(codes(&observation), [""; 0]);
    }

    #[test]
    fn the_calls_from_before_a_restore_went_to_more_shards() {
        // Three calls a second on each of four shards.
        let mut observation = observation(MinuteTraffic { get_records_calls: 4.0 * 3.0 * 60.0, ..CALM });
        assert_eq!(codes(&observation), ["pollers"], "six a second on each of two");
        let change = Change::intent(ChangeKind::Restore, 4, 2, Minute::of(observation.observed_at).plus(-15).start());
        let memory = Memory { base: Some(2), ..Memory::default().intend(change, false) };
        observation.tags.insert(TAG.into(), memory.encode().expect("it fits"));
        assert_eq!(codes(&observation), [""; 0]);
    }

    #[test]
    fn the_tag_of_the_doctor_leaves_advice_out() {
        let mut observation = observation(MinuteTraffic { get_records_calls: 540.0, ..CALM });
        assert_eq!(codes(&observation), ["pollers"]);
        observation.tags.insert(DOCTOR_SKIP_TAG.into(), "batch pollers".into());
        assert_eq!(codes(&observation), [""; 0]);
    }

    #[test]
    fn minutes_of_an_earlier_stream_of_the_name_are_no_advice() {
        let mut observation = observation(MinuteTraffic { get_records_calls: 540.0, ..CALM });
        let created = observation.observed_at;
        observation.stream.as_mut().expect("a stream").created_at = Some(created);
        assert_eq!(codes(&observation), [""; 0]);
    }
}
