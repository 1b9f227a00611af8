//! How fast a writer sends that may wait: as fast as the stream takes the records.
//!
//! A file can be read far faster than a stream takes it. Without a pace most records would be refused, again and again,
//! until no attempt is left.

use std::time::{Duration, Instant};

/// The time of one measurement. Kinesis counts the capacity of a shard by the second.
const WINDOW: Duration = Duration::from_secs(1);

/// The part of the accepted rate that the writer keeps to after a refusal: retries need the rest. A larger part would
/// refuse again, a smaller one would leave capacity unused.
const BACK: f64 = 0.85;

/// The growth in a second without a refusal: it doubles in five seconds. Faster growth overshoots and loses attempts.
const GROWTH: f64 = 1.15;

/// The time whose records go out together, so that requests are not tiny: at most ten requests a second.
const TOGETHER: f64 = 0.1;

/// The wait after an answer in which every record was refused: the stream has taken all of this second. Requests in the
/// rest of it would only use up attempts. On average half a second is left; a longer wait would leave capacity unused.
const FULL: Duration = Duration::from_millis(500);

/// A limit of the records a second, found from refusals.
pub(crate) struct Pace {
    /// Records a second; `None`: nothing was refused yet.
    limit: Option<f64>,
    /// The records that may go out now, and the time of this number.
    tokens: f64,
    at: Instant,
    window: Window,
    /// No record goes out before.
    full_until: Instant,
}

struct Window {
    since: Instant,
    accepted: u64,
    refused: u64,
}

impl Pace {
    pub fn new(now: Instant) -> Pace {
        Pace {
            limit: None,
            tokens: 0.0,
            at: now,
            window: Window { since: now, accepted: 0, refused: 0 },
            full_until: now,
        }
    }

    /// Counts the results of an answer, and corrects the limit.
    pub fn learn(&mut self, accepted: u64, refused: u64, now: Instant) {
        if accepted == 0 && refused > 0 {
            self.full_until = now + FULL;
        }
        self.window.accepted += accepted;
        self.window.refused += refused;
        let elapsed = now.saturating_duration_since(self.window.since);
        let is_first_refusal = self.limit.is_none() && refused > 0;
        if elapsed < WINDOW && !is_first_refusal {
            return;
        }
        self.earn(now);
        // The burst of the first moment is no rate: it counts as the records of a whole second.
        let rate = self.window.accepted as f64 / elapsed.max(WINDOW).as_secs_f64();
        if self.window.refused > 0 {
            // A second in which nothing is accepted says little about the next one.
            let least = self.limit.map_or(1.0, |limit| (limit / 2.0).max(1.0));
            self.limit = Some((rate * BACK).max(least));
        } else if let Some(limit) = self.limit.filter(|limit| rate >= limit / 2.0) {
            self.limit = Some(limit * GROWTH);
        }
        self.window = Window { since: now, accepted: 0, refused: 0 };
    }

    fn earn(&mut self, now: Instant) {
        if let Some(limit) = self.limit {
            self.tokens = self.tokens_at(limit, now);
        }
        self.at = now;
    }

    fn tokens_at(&self, limit: f64, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        (self.tokens + limit * passed).min(most_together(limit))
    }

    /// When the next request may go out.
    pub fn ready_at(&self, now: Instant) -> Instant {
        let Some(limit) = self.limit else { return now };
        let missing = most_together(limit) - self.tokens_at(limit, now);
        // A little later, so that rounding leaves no tiny wait.
        let wait = Duration::from_secs_f64((missing / limit).max(0.0)) + Duration::from_micros(1);
        let earned = if missing <= 1e-6 { now } else { now + wait };
        earned.max(self.full_until)
    }

    /// The records that may go out now.
    pub fn allowance(&mut self, now: Instant) -> usize {
        self.earn(now);
        self.limit.map_or(usize::MAX, |limit| (self.tokens + 1e-3).min(most_together(limit)) as usize)
    }

    /// The records that go out.
    pub fn spend(&mut self, records: usize) {
        if self.limit.is_some() {
            self.tokens -= records as f64;
        }
    }
}

/// The records of [`TOGETHER`], and at least one.
fn most_together(limit: f64) -> f64 {
    (limit * TOGETHER).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream that takes this number of records a second, for some seconds: the part of the offered records that it
    /// refused in each second.
    fn refused(capacity: u64, seconds: u64) -> Vec<f64> {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let mut shares = vec![];
        for second in 0..seconds {
            let (mut left, mut accepted, mut refused) = (capacity, 0, 0);
            for step in 0..100 {
                let now = start + Duration::from_millis(second * 1000 + step * 10);
                if pace.ready_at(now) > now {
                    continue;
                }
                let sent = pace.allowance(now).min(500) as u64;
                pace.spend(sent as usize);
                let taken = sent.min(left);
                left -= taken;
                pace.learn(taken, sent - taken, now);
                (accepted, refused) = (accepted + taken, refused + sent - taken);
            }
            shares.push(refused as f64 / (accepted + refused) as f64);
        }
        shares
    }

    #[test]
    fn after_the_first_second_a_stream_refuses_few_records_and_stays_in_use() {
        for capacity in [100, 1000, 20_000] {
            let shares = refused(capacity, 30);
            let later = shares[2..].iter().sum::<f64>() / 28.0;
            assert!(later < 0.1, "{capacity}: {shares:?}");
        }
    }

    #[test]
    fn without_a_refusal_nothing_is_limited() {
        let now = Instant::now();
        let mut pace = Pace::new(now);
        pace.learn(1_000_000, 0, now + Duration::from_secs(2));
        assert_eq!((pace.ready_at(now), pace.allowance(now)), (now, usize::MAX));
    }
}
