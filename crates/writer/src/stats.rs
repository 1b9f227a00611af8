//! What a writer counts.

use hdrhistogram::Histogram;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// The counts of a writer so far.
#[derive(Clone, Debug)]
pub struct Stats {
    /// Records that the writer took, rejected ones included.
    pub attempted: u64,
    /// Records that AWS accepted, each once.
    pub accepted: u64,
    /// Bytes of data and keys of these.
    pub accepted_bytes: u64,
    /// Refusals of single records. A record that AWS refuses twice counts twice.
    pub refused: u64,
    /// Refusals by the shard that AWS named.
    pub refused_by_shard: BTreeMap<String, u64>,
    /// Records that were sent again. A record that is sent three times counts twice.
    pub retried: u64,
    /// Records that were not accepted in the end.
    pub lost: u64,
    /// Of these, records that were never sent, because AWS would refuse them in every attempt.
    pub rejected: u64,
    /// Of the lost ones, records of a request whose reply was lost. AWS may have written them.
    pub lost_maybe_written: u64,
    /// Requests whose reply was lost or not usable.
    pub lost_replies: u64,
    /// Requests that failed as a whole, those without a reply included.
    pub failed_requests: u64,
    /// Records that left for the first time later than [`Options::late_after`](crate::Options::late_after).
    pub late: u64,
    /// Records that were sent again after a lost reply. AWS may have written them twice.
    pub possible_duplicates: u64,
    /// PutRecords requests.
    pub requests: u64,
    /// Whether the records that wait ever filled [`Options::most_bytes`](crate::Options::most_bytes), so that no more
    /// were read.
    pub is_memory_filled: bool,
    /// Whether a request was due and did not go out, because the most requests were in flight.
    pub is_in_flight_filled: bool,
    /// From birth to acceptance, in microseconds. A plain histogram of three digits: 0.1 % exact, at most 0.2 MB.
    latency: Histogram<u64>,
}

impl Default for Stats {
    fn default() -> Stats {
        Stats {
            attempted: 0,
            accepted: 0,
            accepted_bytes: 0,
            refused: 0,
            refused_by_shard: BTreeMap::new(),
            retried: 0,
            lost: 0,
            rejected: 0,
            lost_maybe_written: 0,
            lost_replies: 0,
            failed_requests: 0,
            late: 0,
            possible_duplicates: 0,
            requests: 0,
            is_memory_filled: false,
            is_in_flight_filled: false,
            // One hour: no record is that late, because its deadline passes before.
            latency: Histogram::new_with_bounds(1, 3_600_000_000, 3).expect("constants in range"),
        }
    }
}

impl Stats {
    /// Counts an accepted record, and its time from birth to acceptance.
    pub fn accept(&mut self, bytes: usize, took: Duration) {
        self.accepted += 1;
        self.accepted_bytes += bytes as u64;
        self.latency.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    /// Counts the refusal of records. `shard`: the one that AWS named.
    pub fn refuse(&mut self, shard: Option<&str>, records: u64) {
        self.refused += records;
        let Some(shard) = shard else { return };
        match self.refused_by_shard.get_mut(shard) {
            Some(count) => *count += records,
            None => drop(self.refused_by_shard.insert(shard.to_owned(), records)),
        }
    }

    /// The times from birth to acceptance.
    pub fn latency(&self) -> Latency {
        let ms = |micros: u64| (micros as f64 / 100.0).round() / 10.0;
        Latency {
            p50: ms(self.latency.value_at_quantile(0.5)),
            p99: ms(self.latency.value_at_quantile(0.99)),
            max: ms(self.latency.max()),
        }
    }

    /// The counts as they are printed. `elapsed`: since the writer started.
    pub fn summary(&self, elapsed: Duration, is_final: bool) -> Summary<'_> {
        Summary {
            version: 1,
            attempted: self.attempted,
            accepted: self.accepted,
            refused: self.refused,
            refused_by_shard: &self.refused_by_shard,
            retried: self.retried,
            lost: self.lost,
            rejected: self.rejected,
            lost_maybe_written: self.lost_maybe_written,
            lost_replies: self.lost_replies,
            failed_requests: self.failed_requests,
            possible_duplicates: self.possible_duplicates,
            latency_ms: self.latency(),
            accepted_bytes: self.accepted_bytes,
            requests: self.requests,
            seconds: (elapsed.as_secs_f64() * 1000.0).round() / 1000.0,
            is_final,
        }
    }
}

/// Times in milliseconds, from birth to acceptance.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Latency {
    /// Half of the records took at most this.
    pub p50: f64,
    /// 99 % of the records took at most this.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

/// [`Stats`] as JSON, with the same names.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[allow(missing_docs, reason = "the fields of Stats, which has their meaning")]
pub struct Summary<'a> {
    /// The version of this format. New versions only add fields.
    pub version: u32,
    pub attempted: u64,
    pub accepted: u64,
    pub refused: u64,
    pub refused_by_shard: &'a BTreeMap<String, u64>,
    pub retried: u64,
    pub lost: u64,
    pub rejected: u64,
    pub lost_maybe_written: u64,
    pub lost_replies: u64,
    pub failed_requests: u64,
    pub possible_duplicates: u64,
    pub latency_ms: Latency,
    pub accepted_bytes: u64,
    pub requests: u64,
    /// Since the writer started.
    pub seconds: f64,
    /// Whether this is the last line, the summary.
    #[serde(rename = "final")]
    pub is_final: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_has_the_counts_by_shard_and_the_quantiles_in_milliseconds() {
        let mut stats = Stats::default();
        for ms in 1..=100 {
            stats.accept(10, Duration::from_millis(ms));
        }
        stats.refuse(Some("shardId-000000000001"), 1);
        stats.refuse(Some("shardId-000000000001"), 1);
        stats.refuse(None, 1);
        let json = serde_json::to_value(stats.summary(Duration::from_millis(1_500), true)).expect("JSON");
        assert_eq!(json["refused_by_shard"], serde_json::json!({"shardId-000000000001": 2}));
        assert_eq!((&json["refused"], &json["accepted"]), (&3.into(), &100.into()));
        assert_eq!((&json["seconds"], &json["final"]), (&1.5.into(), &true.into()));
        let near = |field: &str, ms: f64| (json["latency_ms"][field].as_f64().expect("a number") - ms).abs() < 0.2;
        assert!(near("p50", 50.0) && near("p99", 99.0) && near("max", 100.0), "{json}");
    }
}
