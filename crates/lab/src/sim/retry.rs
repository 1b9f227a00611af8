//! The retries of producers: a refused record is sent again after a while, or lost.

/// A policy of retries. The load is an open loop: refused records do not slow the producer down, and their retries are
/// additional.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Seconds from each refusal to the next try, the first delay first; each at least 1. After the last try the record
    /// is lost.
    delays: Vec<u32>,
    /// The longest delay.
    longest: u32,
}

impl Retry {
    /// Never retries: a refused record is lost.
    pub fn never() -> Retry {
        Retry::after(&[])
    }

    /// Retries a refused record after each of these delays, in seconds. The step of the simulation is a second, so no
    /// record is sent twice in the same second.
    pub fn after(delays: &[u32]) -> Retry {
        let delays: Vec<u32> = delays.iter().map(|delay| (*delay).max(1)).collect();
        Retry { longest: delays.iter().copied().max().unwrap_or_default(), delays }
    }

    /// Delays that double from one second on. The producer gives up after 30 s: the time to live of a record in the
    /// Kinesis Producer Library (`RecordTtl`, 30,000 ms).
    pub fn patient() -> Retry {
        Retry::after(&[1, 2, 4, 8, 15])
    }

    /// Retries every second for 30 s: a retry storm.
    pub fn storm() -> Retry {
        Retry::after(&[1; 30])
    }

    fn tries(&self) -> usize {
        self.delays.len()
    }
}

/// The records of one shard that wait to be sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// A ring with a slot for each coming second. A slot counts records by the number of their tries so far.
    slots: Vec<u64>,
    tries: usize,
    /// The number of slots. Kept, because a division for each shard and second would take most of the time of a run.
    seconds: usize,
    /// The slot of this second.
    now: usize,
    all: u64,
}

impl Waiting {
    /// No record waits.
    pub fn new(retry: &Retry) -> Waiting {
        let (tries, seconds) = (retry.tries(), retry.longest as usize + 1);
        Waiting { slots: vec![0; seconds * tries], tries, seconds, now: 0, all: 0 }
    }

    /// Records that wait.
    pub fn all(&self) -> u64 {
        self.all
    }

    /// Records that are sent again in this second.
    pub fn pending(&self) -> u64 {
        if self.all == 0 { 0 } else { self.slots[self.slot(self.now)].iter().sum() }
    }

    /// Ends the second: `throttled` records were refused, evenly among the `offered` new records and the retries.
    /// Returns the number of lost records.
    pub fn pass(&mut self, offered: u64, throttled: u64, retry: &Retry) -> u64 {
        if self.all == 0 && throttled == 0 {
            self.leave();
            return 0;
        }
        let sent = offered + self.pending();
        let (mut lost, mut passed, mut refused) = (0, 0, 0);
        if throttled > 0 {
            for again in 0..=self.tries {
                // The records with this number of tries, and their part of the refusals.
                passed += if again == 0 { offered } else { self.slots[self.slot(self.now)][again - 1] };
                let part = share(throttled, passed, sent) - refused;
                refused += part;
                match retry.delays.get(again) {
                    Some(delay) => self.wait(again, *delay as usize, part),
                    None => lost += part,
                }
            }
        }
        self.leave();
        lost
    }

    fn wait(&mut self, again: usize, delay: usize, records: u64) {
        let slot = self.slot((self.now + delay) % self.seconds);
        self.slots[slot][again] += records;
        self.all += records;
    }

    /// Moves on to the next second.
    fn leave(&mut self) {
        if self.all > 0 {
            let slot = self.slot(self.now);
            self.all -= self.slots[slot.clone()].iter().sum::<u64>();
            self.slots[slot].fill(0);
        }
        self.now = if self.now + 1 < self.seconds { self.now + 1 } else { 0 };
    }

    fn slot(&self, second: usize) -> std::ops::Range<usize> {
        second * self.tries..(second + 1) * self.tries
    }

    /// Removes and returns the records that move to another shard: a share from 0 to 1.
    #[must_use]
    pub fn take(&mut self, share_of_it: f64) -> Waiting {
        let mut taken = Waiting { slots: vec![0; self.slots.len()], all: 0, ..*self };
        for (here, there) in self.slots.iter_mut().zip(&mut taken.slots) {
            let records = (*here as f64 * share_of_it.clamp(0.0, 1.0)).round() as u64;
            *here -= records;
            *there = records;
            taken.all += records;
        }
        self.all -= taken.all;
        taken
    }

    /// Adds records of another shard of the same stream.
    pub fn add(&mut self, other: &Waiting) {
        for second in 0..self.seconds {
            let here = self.slot((self.now + second) % self.seconds);
            let there = other.slot((other.now + second) % other.seconds);
            for (here, there) in self.slots[here].iter_mut().zip(&other.slots[there]) {
                *here += there;
            }
        }
        self.all += other.all;
    }
}

/// `of` × `part` ÷ `whole`, rounded down to whole records.
fn share(of: u64, part: u64, whole: u64) -> u64 {
    let share = u128::from(of) * u128::from(part) / u128::from(whole.max(1));
    u64::try_from(share).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_record_is_sent_again_after_its_delay() {
        let retry = Retry::after(&[1, 3]);
        let mut waiting = Waiting::new(&retry);
        assert_eq!(waiting.pass(10, 10, &retry), 0, "all refused, none lost");
        assert_eq!(waiting.pending(), 10);
        assert_eq!(waiting.pass(0, 4, &retry), 0, "six are taken");
        let pending: Vec<u64> = (0..3)
            .map(|_| {
                let pending = waiting.pending();
                waiting.pass(0, pending, &retry);
                pending
            })
            .collect();
        assert_eq!(pending, [0, 0, 4], "three seconds later");
        assert_eq!(waiting.all(), 0, "the last try was the second");
    }

    #[test]
    fn refusals_are_shared_by_new_records_and_old_ones() {
        let retry = Retry::after(&[1]);
        let mut waiting = Waiting::new(&retry);
        let _ = waiting.pass(100, 100, &retry);
        // 100 old and 300 new, half of them refused: 50 old ones are lost, 150 new ones come back.
        assert_eq!(waiting.pass(300, 200, &retry), 50);
        assert_eq!(waiting.pending(), 150);
    }

    #[test]
    fn without_retries_refused_records_are_lost() {
        let retry = Retry::never();
        let mut waiting = Waiting::new(&retry);
        assert_eq!(waiting.pass(300, 200, &retry), 200);
        assert_eq!((waiting.pending(), waiting.all()), (0, 0));
    }

    #[test]
    fn records_that_move_to_another_shard_are_neither_lost_nor_doubled() {
        let retry = Retry::after(&[1, 2, 4]);
        let mut waiting = Waiting::new(&retry);
        for _ in 0..5 {
            let _ = waiting.pass(100, 70, &retry);
        }
        let all = waiting.all();
        let taken = waiting.take(0.3);
        assert_eq!(waiting.all() + taken.all(), all);
        let mut other = Waiting::new(&retry);
        let _ = other.pass(0, 0, &retry);
        let pending = taken.pending();
        other.add(&taken);
        assert_eq!((other.all(), other.pending()), (taken.all(), pending), "whatever second the ring stands at");
    }
}
