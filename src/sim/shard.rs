//! One open shard: what it takes in a second, and the records that wait to be sent to it again.

use super::keys::HashRange;
use super::retry::{Retry, Waiting};

/// Bytes that a shard takes in a second, in every capacity mode: 1 MiB
/// (docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html).
pub const BYTES_A_SECOND: u64 = 1024 * 1024;

/// Records that a shard takes in a second (the same page).
pub const RECORDS_A_SECOND: u64 = 1_000;

/// How many seconds' worth of unused capacity a shard keeps for a burst. AWS documents "per second" and no more. Shards
/// were seen to take bursts far beyond it, but nobody knows how large and for how long: the documented second errs on
/// the side of throttling.
const BURST_SECONDS: u64 = 1;

/// Records of one minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Taken.
    pub accepted: u64,
    /// Refused. A record that is sent again and refused again counts again, as AWS counts it.
    pub throttled: u64,
}

/// What came of one second, in records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Second {
    /// Sent for the first time.
    pub offered: u64,
    /// Taken, for the first time or again.
    pub accepted: u64,
    /// Refused, for the first time or again.
    pub throttled: u64,
    /// Given up by the producer.
    pub lost: u64,
}

/// A token bucket for bytes and one for records, over a range of hash keys.
#[derive(Clone, Debug)]
pub struct OpenShard {
    /// The number in its id.
    pub number: u64,
    /// The number of the shard that it was split off, if it was.
    pub parent: Option<u64>,
    /// What it takes.
    pub range: HashRange,
    /// Its share of the stream's records, 0 to 1.
    pub share: f64,
    /// The minute so far.
    pub minute: Counts,
    /// Records that wait to be sent again.
    pub waiting: Waiting,
    bytes_left: u64,
    records_left: u64,
    /// The part of a record that its share of the load has left over from the seconds before.
    part: f64,
}

impl OpenShard {
    /// A shard that has taken nothing yet.
    pub fn new(number: u64, parent: Option<u64>, range: HashRange, share: f64, waiting: Waiting) -> OpenShard {
        OpenShard {
            number,
            parent,
            range,
            share,
            minute: Counts::default(),
            waiting,
            bytes_left: 0,
            records_left: 0,
            part: 0.0,
        }
    }

    /// Its id, as AWS spells it.
    pub fn id(&self) -> String {
        format!("shardId-{:012}", self.number)
    }

    /// A second passes in which the whole stream is offered so many new records of this size in bytes.
    pub fn pass(&mut self, stream_records: f64, record_bytes: u64, retry: &Retry) -> Second {
        self.bytes_left = (self.bytes_left + BYTES_A_SECOND).min(BURST_SECONDS * BYTES_A_SECOND);
        self.records_left = (self.records_left + RECORDS_A_SECOND).min(BURST_SECONDS * RECORDS_A_SECOND);
        let load = stream_records * self.share + self.part;
        let offered = load as u64;
        self.part = load - offered as f64;
        let sent = offered + self.waiting.due();
        let accepted = sent.min(self.records_left).min(self.bytes_left / record_bytes.max(1));
        self.records_left -= accepted;
        self.bytes_left -= accepted * record_bytes;
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

    /// The seconds of a whole stream of one shard.
    fn seconds(loads: &[f64], record_bytes: u64, retry: &Retry) -> Vec<Second> {
        let mut shard = OpenShard::new(0, None, HashRange::ALL, 1.0, Waiting::new(retry));
        loads.iter().map(|load| shard.pass(*load, record_bytes, retry)).collect()
    }

    fn accepted(load: f64, record_bytes: u64) -> u64 {
        seconds(&[load], record_bytes, &Retry::never())[0].accepted
    }

    #[test]
    fn a_shard_takes_1000_records_or_one_mebibyte_a_second() {
        assert_eq!(accepted(999.0, 100), 999);
        assert_eq!(accepted(1500.0, 100), 1000);
        assert_eq!(accepted(1500.0, 2048), 512);
        assert_eq!(accepted(3.0, 900 * 1024), 1);
    }

    #[test]
    fn what_one_second_leaves_is_not_there_in_the_next() {
        let passed = seconds(&[0.0, 0.0, 3000.0, 3000.0], 100, &Retry::never());
        assert_eq!(passed.iter().map(|s| s.accepted).collect::<Vec<_>>(), [0, 0, 1000, 1000]);
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
        let mut shard = OpenShard::new(0, None, HashRange::ALL, 1.0, Waiting::new(&retry));
        let mut sum = Second::default();
        for load in loads {
            let second = shard.pass(load, 700, &retry);
            sum.offered += second.offered;
            sum.accepted += second.accepted;
            sum.lost += second.lost;
            assert_eq!(sum.offered, sum.accepted + sum.lost + shard.waiting.all());
        }
        assert!(sum.lost > 0 && sum.accepted > 0);
    }
}
