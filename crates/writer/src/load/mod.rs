//! A load that is fixed in advance: how many records are due at each time, and their keys and sizes.

mod keys;
mod sizes;
mod stages;

pub use keys::{Keys, KeysError};
pub use sizes::{Sizes, SizesByMinute, Span};
pub use stages::{Profile, Rate, Shape, Stage, parse_stages};

use crate::feed::{FeedSender, Item};
use crate::input::GROUP_BYTES;
use crate::record::{Origin, Record};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::time::{MissedTickBehavior, interval};

/// The time between two groups of records, by tokio's timer. A rate limiter would not do: it moves the times of later
/// records when an earlier one is late, and the load would then wait for the stream.
/// The operating system wakes a program about this exactly.
const STEP: Duration = Duration::from_millis(5);

/// The most records of a group: a program that was late does not hand all over at once. Large records make smaller
/// groups, of [`GROUP_BYTES`].
const GROUP: u64 = 500;

/// What the generator has done so far. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Offered {
    due: Arc<AtomicU64>,
    handed: Arc<AtomicU64>,
    woken_late: Arc<AtomicU64>,
}

impl Offered {
    /// These counts.
    pub fn of(due: u64, handed: u64, woken_late: u64) -> Offered {
        let count = |count: u64| Arc::new(AtomicU64::new(count));
        Offered { due: count(due), handed: count(handed), woken_late: count(woken_late) }
    }

    /// Records that were due until now.
    pub fn due(&self) -> u64 {
        self.due.load(Ordering::Relaxed)
    }

    /// Of these, records whose time had passed by [`Load::late_after`] when the operating system woke the generator.
    pub fn woken_late(&self) -> u64 {
        self.woken_late.load(Ordering::Relaxed)
    }

    /// Records that were due, and that the writer took. The others were behind at the end.
    pub fn handed(&self) -> u64 {
        self.handed.load(Ordering::Relaxed)
    }
}

/// A load generator.
pub struct Load {
    /// How many records are due at each time.
    pub profile: Profile,
    /// Their keys.
    pub keys: Keys,
    /// Their sizes.
    pub sizes: SizesByMinute,
    /// Whether the last stage goes on until the writer is stopped.
    pub is_endless: bool,
    /// A record that is handed over this long after its time is late.
    pub late_after: Duration,
    /// The seed of keys and sizes.
    pub seed: u64,
}

impl Load {
    /// Hands records over at their times, until the last stage ends or the writer takes no more. A record that is due
    /// keeps its time, also if it is handed over later.
    pub async fn run(mut self, feed: FeedSender, offered: Offered) {
        let source: Arc<str> = "smoke".into();
        let mut random = fastrand::Rng::with_seed(self.seed);
        let filler: Vec<u8> = std::iter::repeat_with(|| random.alphanumeric() as u8).take(self.sizes.most()).collect();
        let (start, end) = (Instant::now(), self.profile.duration());
        let mut steps = interval(STEP);
        // Each step hands over all that is due, so a missed one needs no repetition.
        steps.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut handed = 0;
        let mut times = Times::default();
        while !feed.is_closed() {
            let elapsed = start.elapsed();
            let at = if self.is_endless { elapsed } else { elapsed.min(end) };
            let late = self.profile.due(elapsed.saturating_sub(self.late_after).min(at)).saturating_sub(times.due);
            offered.woken_late.fetch_add(late, Ordering::Relaxed);
            times.add(at, self.profile.due(at));
            offered.due.store(times.due, Ordering::Relaxed);
            while handed < times.due {
                let count = (times.due - handed).min(group_of(self.sizes.at(times.of(handed))));
                let record = |number: u64| {
                    let (key, hash_key) = self.keys.next(&mut random);
                    let time = times.of(number);
                    let data = data(number, self.sizes.at(time).next(&mut random), &filler);
                    let origin = Origin { source: source.clone(), line: number + 1 };
                    Item::Record(Record { hash_key, born: start + time, ..Record::new(data, key, origin) })
                };
                // The keys and sizes of records that are not taken are drawn again.
                if feed.try_send((handed..handed + count).map(record).collect()).is_err() {
                    break;
                }
                handed += count;
                times.forget(handed);
                offered.handed.store(handed, Ordering::Relaxed);
            }
            if at == end && !self.is_endless {
                return;
            }
            steps.tick().await;
        }
    }
}

/// The records of these sizes that a group has, at most.
fn group_of(sizes: Sizes) -> u64 {
    ((GROUP_BYTES as f64 / sizes.mean()) as u64).clamp(1, GROUP)
}

/// The number of the record, and then a filler.
fn data(number: u64, size: usize, filler: &[u8]) -> Vec<u8> {
    let mut data = format!("{number} ").into_bytes();
    data.truncate(size);
    data.extend_from_slice(&filler[..size - data.len()]);
    data
}

/// The times of the records that are due and not handed over: between two steps they are even.
#[derive(Default)]
struct Times {
    /// Time, and the records that were due by then.
    steps: std::collections::VecDeque<(Duration, u64)>,
    due: u64,
}

impl Times {
    fn add(&mut self, at: Duration, due: u64) {
        self.due = due.max(self.due);
        self.steps.push_back((at, self.due));
    }

    /// The time of a record that is due.
    fn of(&self, number: u64) -> Duration {
        let after = self.steps.iter().position(|(_, due)| *due > number).unwrap_or(self.steps.len());
        let Some((end, until)) = self.steps.get(after) else { return Duration::ZERO };
        let (begin, from) = after.checked_sub(1).and_then(|before| self.steps.get(before)).copied().unwrap_or_default();
        let part = (number.saturating_sub(from)) as f64 / (until - from).max(1) as f64;
        begin + (*end - begin).mul_f64(part.min(1.0))
    }

    /// Forgets the steps before a record.
    fn forget(&mut self, number: u64) {
        while self.steps.get(1).is_some_and(|(_, due)| *due <= number) {
            self.steps.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::feed;

    #[test]
    fn records_between_two_steps_have_even_times() {
        let mut times = Times::default();
        times.add(Duration::ZERO, 0);
        times.add(Duration::from_millis(10), 10);
        times.add(Duration::from_millis(30), 20);
        let of = |times: &Times, number| times.of(number).as_millis();
        assert_eq!([0, 5, 10, 15].map(|number| of(&times, number)), [0, 5, 10, 20]);
        times.forget(15);
        assert_eq!(of(&times, 15), 20, "the time stays");
    }

    #[tokio::test]
    async fn every_record_that_is_due_is_handed_over_with_its_own_time() {
        let stages = parse_stages("100ms@1000/s,100ms@3000/s").expect("stages");
        let profile = Profile::new(&stages, 100.0, None).expect("a profile");
        let keys = Keys::parse("random").expect("keys");
        let sizes = SizesByMinute::always(Sizes::exactly(100));
        let (sender, mut feed) = feed();
        let offered = Offered::default();
        let load = Load { profile, keys, sizes, is_endless: false, late_after: Duration::MAX, seed: 1 };
        let task = tokio::spawn(load.run(sender, offered.clone()));
        let mut items = vec![];
        while let Some(group) = feed.next().await {
            items.extend(group);
        }
        task.await.expect("no panic");
        assert_eq!((items.len(), offered.due(), offered.handed()), (400, 400, 400));
        assert_eq!(offered.woken_late(), 0, "nothing is late without a bound");
        let times = items.iter().map(|item| match item {
            Item::Record(record) => record.born,
            other => panic!("{other:?}"),
        });
        let times: Vec<Instant> = times.collect();
        assert!(times.is_sorted());
        // The times are those of the plan, however late the machine was.
        let took = times[399] - times[0];
        assert!(took > Duration::from_millis(150) && took <= Duration::from_millis(201), "{took:?}");
    }
}
