//! The delivery of alarms and events to a policy: reliable, or lossy.

use super::chance::{Chance, DELIVERY};

/// How alarms and events are delivered. The schedule of the sweep is always reliable.
/// The words `fair` and `foul` are the values of the arena's `--weather` and of its JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, strum::Display, strum::EnumString, strum::VariantNames)]
pub enum DeliveryQuality {
    /// Each arrives once, in time.
    #[default]
    #[strum(serialize = "fair")]
    Reliable,
    /// CloudTrail and EventBridge at their worst: best effort, in no order.
    #[strum(serialize = "foul")]
    Lossy,
}

/// Seconds from a refused call to the function, with reliable delivery: CloudTrail's events reach EventBridge "within
/// seconds" (Cloud Custodian's documentation), and a function starts in less than one second.
pub(crate) const EVENT_AFTER: i64 = 5;

/// The share of lost events with lossy delivery.
const LOST: f64 = 0.3;
/// The share of the other events that arrive twice.
const TWICE: f64 = 0.3;
/// The longest delay of an event, in seconds: CloudTrail delivers "about 5 minutes" after a call on average.
const LATE_BY: i64 = 10 * 60;

/// The events on their way to one policy.
#[derive(Debug)]
pub(crate) struct Delivery<T> {
    quality: DeliveryQuality,
    chance: Chance,
    /// Each event with its arrival, in seconds of the run.
    sent: Vec<(i64, T)>,
}

impl<T: Clone> Delivery<T> {
    /// Creates a delivery with no event on its way.
    pub fn new(quality: DeliveryQuality, seed: u64) -> Delivery<T> {
        Delivery { quality, chance: Chance::new(seed, DELIVERY), sent: vec![] }
    }

    /// Sends an event. With reliable delivery it arrives at second `at` of the run.
    pub fn send(&mut self, at: i64, item: T) {
        if self.quality == DeliveryQuality::Reliable {
            return self.sent.push((at, item));
        }
        let times = if self.chance.fraction() < LOST {
            0
        } else if self.chance.fraction() < TWICE {
            2
        } else {
            1
        };
        for _ in 0..times {
            let late = self.chance.between(0, LATE_BY);
            self.sent.push((at + late, item.clone()));
        }
    }

    /// Removes and returns the events that have arrived by second `now`.
    pub fn arrived(&mut self, now: i64) -> Vec<T> {
        self.sent.extract_if(.., |(at, _)| *at <= now).map(|(_, item)| item).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals(quality: DeliveryQuality) -> Vec<(i64, u32)> {
        let mut delivery = Delivery::new(quality, 7);
        (0..1_000).for_each(|n| delivery.send(i64::from(n), n));
        (0..2_000).flat_map(|now| delivery.arrived(now).into_iter().map(move |n| (now, n))).collect()
    }

    #[test]
    fn reliable_delivery_delivers_each_event_once_and_in_time() {
        assert!(arrivals(DeliveryQuality::Reliable).into_iter().eq((0..1_000).map(|n| (i64::from(n), n))));
    }

    #[test]
    fn lossy_delivery_loses_delays_repeats_and_reorders_events() {
        let arrivals = arrivals(DeliveryQuality::Lossy);
        let times = |n: u32| arrivals.iter().filter(|(_, item)| *item == n).count();
        let lost = (0..1_000).filter(|n| times(*n) == 0).count();
        let twice = (0..1_000).filter(|n| times(*n) == 2).count();
        assert!((250..350).contains(&lost) && (150..270).contains(&twice), "{lost} {twice}");
        assert!(arrivals.windows(2).any(|pair| pair[0].1 > pair[1].1));
        assert!(arrivals.iter().all(|(now, n)| (0..=LATE_BY).contains(&(now - i64::from(*n)))));
    }
}
