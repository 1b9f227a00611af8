//! Batches, retries and limits of a writer.

use std::time::{Duration, Instant};

/// The most records of a PutRecords request (API reference).
pub const MAX_BATCH_SIZE: usize = 500;

/// The most bytes of data and keys of a PutRecords request: 10 MiB (API reference).
pub const MAX_BATCH_BYTES: usize = 10 << 20;

/// When a batch goes out: at the first limit that it reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The most records, 1 to [`MAX_BATCH_SIZE`].
    pub size: usize,
    /// The longest time that a record waits for others.
    pub duration: Duration,
    /// The most bytes of data and keys, at most [`MAX_BATCH_BYTES`].
    pub max_bytes: usize,
}

impl Default for Batch {
    fn default() -> Batch {
        // 5 MiB was AWS's limit of a request for ten years: every endpoint takes it.
        Batch { size: MAX_BATCH_SIZE, duration: Duration::from_secs(5), max_bytes: 5 << 20 }
    }
}

/// How the wait grows from attempt to attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backoff {
    /// `initial_wait` each time.
    Constant,
    /// `initial_wait` more each time.
    Linear,
    /// Twice the time before.
    Exponential,
}

/// How often a record is sent again, and after which wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Attempts after the first.
    pub max_retries: u32,
    /// The wait before the first retry, at most.
    pub initial_wait: Duration,
    /// The longest wait.
    pub max_wait: Duration,
    /// How the wait grows.
    pub backoff: Backoff,
}

impl Default for Retry {
    fn default() -> Retry {
        Retry {
            max_retries: 3,
            initial_wait: Duration::from_secs(1),
            max_wait: Duration::from_secs(30),
            backoff: Backoff::Exponential,
        }
    }
}

impl Retry {
    /// The longest wait after this number of attempts. The writer waits a random part of it ("full jitter"), so that
    /// records that were refused together do not come back together.
    pub fn longest_wait(&self, attempts: u32) -> Duration {
        let times = match self.backoff {
            Backoff::Constant => 1,
            Backoff::Linear => attempts.max(1),
            Backoff::Exponential => 2_u32.saturating_pow(attempts.saturating_sub(1)),
        };
        self.initial_wait.saturating_mul(times).min(self.max_wait)
    }
}

/// The options of a writer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// When a batch goes out.
    pub batch: Batch,
    /// Attempts and waits.
    pub retry: Retry,
    /// A record that is not accepted this long after its first attempt is lost. Attempts without a connection end only
    /// by this.
    pub ttl: Duration,
    /// The most requests in flight.
    pub most_in_flight: usize,
    /// The most bytes of memory of records that are neither accepted nor lost, about.
    pub most_bytes: usize,
    /// Whether refusals slow the writer down. A load generator keeps its rate.
    pub is_paced: bool,
    /// Whether a record waits until AWS has accepted the record of the same key before it. Each key then has one record
    /// in flight.
    pub is_ordered: bool,
    /// Whether records are collected into aggregates, in KPL's format.
    pub aggregates: bool,
    /// A record that leaves for the first time this long after its birth counts as late.
    pub late_after: Duration,
    /// The longest wait for records that were read, after a stop.
    pub drain: Duration,
    /// The seed of keys and of jitter.
    pub seed: u64,
    /// The time between two reports of progress.
    pub tick: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            batch: Batch::default(),
            retry: Retry::default(),
            ttl: Duration::from_secs(30),
            // 8 of 500 records carry 40,000 records a second over 100 ms. More would only make the first burst larger
            // that a small stream refuses.
            most_in_flight: 8,
            // Less would leave requests small; more would only take memory.
            most_bytes: 12 << 20,
            is_paced: true,
            is_ordered: false,
            aggregates: false,
            late_after: Duration::MAX,
            // Docker and systemd kill a process 10 s after SIGTERM, or later.
            drain: Duration::from_secs(8),
            seed: 0,
            tick: Duration::from_secs(1),
        }
    }
}

/// A time after another one. A wait without end is a year.
pub(crate) fn after(at: Instant, wait: Duration) -> Instant {
    at.checked_add(wait).unwrap_or_else(|| at + Duration::from_secs(365 * 86_400))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_as_the_backoff_says_and_end_at_the_longest() {
        let waits = |backoff| {
            let retry = Retry { backoff, initial_wait: Duration::from_secs(2), ..Retry::default() };
            [1, 2, 3, 5, 40].map(|attempts| retry.longest_wait(attempts).as_secs())
        };
        assert_eq!(waits(Backoff::Constant), [2, 2, 2, 2, 2]);
        assert_eq!(waits(Backoff::Linear), [2, 4, 6, 10, 30]);
        assert_eq!(waits(Backoff::Exponential), [2, 4, 8, 30, 30]);
    }
}
