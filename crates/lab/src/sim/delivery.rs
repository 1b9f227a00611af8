//! How word of a throttle gets to a policy: in fair weather at once, in foul weather late, twice, or never.

use super::chance::{Chance, DELIVERY};

/// What becomes of alarms and events on their way. The schedule of a sweep is not among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, strum::Display, strum::EnumString, strum::VariantNames)]
pub enum DeliveryQuality {
    /// Each arrives, once.
    #[default]
    #[strum(serialize = "fair")]
    Reliable,
    /// CloudTrail and EventBridge at their worst: best effort, in no order.
    #[strum(serialize = "foul")]
    Lossy,
}

/// From a refused call to the function, in seconds, in fair weather: CloudTrail's events reach EventBridge "within seconds"
/// (Cloud Custodian's documents), and a function starts in less than one.
pub const EVENT_AFTER: i64 = 5;

/// Of foul weather: so many are lost.
const LOST: f64 = 0.3;
/// Of those that are not: so many come a second time.
const TWICE: f64 = 0.3;
/// In seconds, at most, each for itself: CloudTrail delivers "about 5 minutes" after a call on average.
const LATE_BY: i64 = 10 * 60;

/// What is on its way to one policy.
#[derive(Debug)]
pub struct Delivery<T> {
    quality: DeliveryQuality,
    chance: Chance,
    /// When it arrives, and what.
    sent: Vec<(i64, T)>,
}

impl<T: Clone> Delivery<T> {
    /// Nothing is on its way.
    pub fn new(quality: DeliveryQuality, seed: u64) -> Delivery<T> {
        Delivery { quality, chance: Chance::new(seed, DELIVERY), sent: vec![] }
    }

    /// Something is told that arrives at second `at` of the run if nothing is in its way.
    pub fn send(&mut self, at: i64, item: T) {
        if self.quality == DeliveryQuality::Reliable {
            return self.sent.push((at, item));
        }
        let times = match () {
            () if self.chance.fraction() < LOST => 0,
            () if self.chance.fraction() < TWICE => 2,
            () => 1,
        };
        for _ in 0..times {
            let late = self.chance.between(0, LATE_BY);
            self.sent.push((at + late, item.clone()));
        }
    }

    /// What has arrived by second `now`.
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
    fn in_fair_weather_each_arrives_once_and_in_time() {
        assert!(arrivals(DeliveryQuality::Reliable).into_iter().eq((0..1_000).map(|n| (i64::from(n), n))));
    }

    #[test]
    fn in_foul_weather_some_are_lost_late_twice_or_out_of_order() {
        let arrivals = arrivals(DeliveryQuality::Lossy);
        let times = |n: u32| arrivals.iter().filter(|(_, item)| *item == n).count();
        let lost = (0..1_000).filter(|n| times(*n) == 0).count();
        let twice = (0..1_000).filter(|n| times(*n) == 2).count();
        assert!((250..350).contains(&lost) && (150..270).contains(&twice), "{lost} {twice}");
        assert!(arrivals.windows(2).any(|pair| pair[0].1 > pair[1].1));
        assert!(arrivals.iter().all(|(now, n)| (0..=LATE_BY).contains(&(now - i64::from(*n)))));
    }
}
