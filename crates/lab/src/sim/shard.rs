//! One open shard: the records that it accepts in a second, and the records that wait for a retry.

use super::retry::{Retry, Waiting};
use crate::rules::{HashRange, WriteCapacity};

/// Milliseconds of a second: the simulation counts seconds, and capacity counts milliseconds.
const MILLIS: i64 = 1_000;

/// Records of one minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Accepted.
    pub accepted: u64,
    /// Refused. Each refusal of a record counts, as at AWS.
    pub throttled: u64,
}

/// The result of one second, in records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Second {
    /// Sent for the first time.
    pub offered: u64,
    /// Accepted, for the first time or again.
    pub accepted: u64,
    /// Refused, for the first time or again.
    pub throttled: u64,
    /// Given up by the producer.
    pub lost: u64,
}

/// A shard with its capacity and its range of hash keys.
#[derive(Clone, Debug)]
pub struct OpenShard {
    /// The number in its id.
    pub number: u64,
    /// The number of its parent; `None`: the shard had no parent.
    pub parent: Option<u64>,
    /// Its hash keys.
    pub range: HashRange,
    /// When it opened, in seconds of the run.
    pub opened: i64,
    /// Its share of the stream's records, 0 to 1.
    pub share: f64,
    /// The counts of the current minute.
    pub minute: Counts,
    /// Records that wait to be sent again.
    pub waiting: Waiting,
    capacity: WriteCapacity,
    /// The part of a record that is left over from earlier seconds: the shard's share of the load is no whole number.
    part: f64,
}

/// The id of a shard, in AWS's spelling.
pub fn shard_id(number: u64) -> String {
    format!("shardId-{number:012}")
}

impl OpenShard {
    /// A shard that opens at the second `now` and has accepted nothing yet.
    pub fn new(
        number: u64,
        parent: Option<u64>,
        range: HashRange,
        share: f64,
        waiting: Waiting,
        now: i64,
    ) -> OpenShard {
        OpenShard {
            number,
            parent,
            range,
            opened: now,
            share,
            minute: Counts::default(),
            waiting,
            capacity: WriteCapacity::full(now * MILLIS),
            part: 0.0,
        }
    }

    /// Its id, in AWS's spelling.
    pub fn id(&self) -> String {
        shard_id(self.number)
    }

    /// Passes the second `now`. The whole stream is offered `stream_records` new records of `record_bytes` bytes, all
    /// at the beginning of the second.
    pub fn pass(&mut self, now: i64, stream_records: f64, record_bytes: u64, retry: &Retry) -> Second {
        let load = stream_records * self.share + self.part;
        let offered = load as u64;
        self.part = load - offered as f64;
        let sent = offered + self.waiting.pending();
        let accepted = self.capacity.take(now * MILLIS, sent, record_bytes);
        let throttled = sent - accepted;
        let lost = self.waiting.pass(offered, throttled, retry);
        self.minute.accepted += accepted;
        self.minute.throttled += throttled;
        Second { offered, accepted, throttled, lost }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The seconds of a stream with one shard.
    fn seconds(loads: &[f64], record_bytes: u64, retry: &Retry) -> Vec<Second> {
        let mut shard = OpenShard::new(0, None, HashRange::ALL, 1.0, Waiting::new(retry), 0);
        (0..).zip(loads).map(|(now, load)| shard.pass(now, *load, record_bytes, retry)).collect()
    }

    #[test]
    fn parts_of_records_add_up_to_whole_ones() {
        let passed = seconds(&[0.3; 100], 100, &Retry::never());
        let sum: u64 = passed.iter().map(|second| second.accepted).sum();
        assert!((29..=30).contains(&sum), "{sum}");
    }

    #[test]
    fn every_record_is_accepted_lost_or_waits() {
        let retry = Retry::after(&[1, 2, 4]);
        let loads: Vec<f64> = (0..300).map(|second| f64::from(second % 97) * 31.0).collect();
        let mut shard = OpenShard::new(0, None, HashRange::ALL, 1.0, Waiting::new(&retry), 0);
        let mut sum = Second::default();
        for (now, load) in (0..).zip(loads) {
            let second = shard.pass(now, load, 700, &retry);
            sum.offered += second.offered;
            sum.accepted += second.accepted;
            sum.lost += second.lost;
            assert_eq!(sum.offered, sum.accepted + sum.lost + shard.waiting.all());
        }
        assert!(sum.lost > 0 && sum.accepted > 0);
    }
}
