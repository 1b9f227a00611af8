//! Other tools that scale a stream, each with its own rules. Each tool has a file, which names the source.
//!
//! Peers see CloudWatch's data, minutes late: accepted records, but no refused ones. This file has their common parts:
//! the used share of a stream, and CloudWatch's alarms. If a source leaves a detail open, the model favours the peer:
//! an alarm waits for a minute that is not published yet, and a function starts in the second of its call.

pub mod application_auto_scaling;
pub mod aws_autoscaling;
pub mod doubling;
pub mod epsagon;
pub mod huawei_dis;
pub mod on_demand;
pub mod predictive_scaling;
pub mod scaling_utils;
pub mod substation;
pub mod unattended;

pub use application_auto_scaling::ApplicationAutoScaling;
pub use aws_autoscaling::AwsAutoscaling;
pub use doubling::Doubling;
pub use epsagon::Epsagon;
pub use huawei_dis::HuaweiDis;
pub use on_demand::OnDemand;
pub use predictive_scaling::PredictiveScaling;
pub use scaling_utils::ScalingUtils;
pub use substation::Substation;
pub use unattended::Static;

use super::cloudwatch::CloudWatch;
use super::delivery::{Delivery, DeliveryQuality};
use super::time;
use super::world::World;
use crate::rules::{WRITE_BYTES_A_SECOND, WRITE_RECORDS_A_SECOND};
use unthrottle_core::observation::Minute;

/// Seconds from one evaluation of an alarm to the next. CloudWatch evaluates every alarm once a minute; a longer period
/// moves as a sliding window (its user guide, "Alarm evaluation window").
const EVALUATED_EVERY: i64 = 60;

/// Seconds from a failure to Lambda's next try, for the first and the second retry of an asynchronous call (Lambda's
/// developer guide, "Error handling").
const LAMBDA_RETRIES: [i64; 2] = [60, 120];

/// The share of `shards` shards that these accepted records of a period use. It may exceed 1. It is the larger one of
/// the share of bytes and the share of records.
fn used(cloudwatch: &CloudWatch, records: u64, minutes: usize, shards: u32) -> f64 {
    let bytes = (records * cloudwatch.record_bytes()) as f64 / WRITE_BYTES_A_SECOND as f64;
    let seconds = 60.0 * minutes as f64 * f64::from(shards);
    bytes.max(records as f64 / WRITE_RECORDS_A_SECOND as f64) / seconds
}

/// The value of a minute without a datapoint.
#[derive(Clone, Copy, Debug)]
enum Fill {
    /// Metric math's `FILL(m, 0)`.
    Zero,
    /// `FILL(m, REPEAT)`: the value of the minute before.
    Repeat,
    /// No value: a period without any datapoint breaches nothing.
    Nothing,
}

/// M of N datapoints, each the sum of a period.
#[derive(Clone, Copy, Debug)]
struct Window {
    /// Minutes in a period.
    period: usize,
    /// `EvaluationPeriods`.
    of: usize,
    /// `DatapointsToAlarm`.
    confirm: usize,
    fill: Fill,
}

impl Window {
    /// Whether enough of the newest datapoints breach. A datapoint is a number of accepted records.
    fn is_breached(self, cloudwatch: &CloudWatch, now: i64, breaches: impl Fn(u64) -> bool) -> bool {
        let (mut breached, mut others) = (0, 0);
        for sum in self.sums(cloudwatch, now) {
            if sum.is_some_and(&breaches) {
                breached += 1;
            } else {
                others += 1;
            }
            if breached >= self.confirm || others > self.of - self.confirm {
                break;
            }
        }
        breached >= self.confirm
    }

    /// Accepted records of each period, the newest period first. `None`: a period without a datapoint. No period
    /// reaches back before the run.
    fn sums(self, cloudwatch: &CloudWatch, now: i64) -> impl Iterator<Item = Option<u64>> {
        let mut minutes = self.minutes(cloudwatch, now);
        let sum = |a: Option<u64>, b: Option<u64>| if a.is_none() { b } else { a.map(|a| a + b.unwrap_or_default()) };
        let period = move || (0..self.period).try_fold(None, |all, _| Some(sum(all, minutes.next()?)));
        std::iter::from_fn(period).take(self.of)
    }

    fn minutes(self, cloudwatch: &CloudWatch, now: i64) -> impl Iterator<Item = Option<u64>> {
        let mut known = cloudwatch.minutes(now).map(|(minute, counts)| (minute, counts.accepted)).peekable();
        let all = Minute::of(time(0)).to(cloudwatch.newest(now)).rev();
        all.map(move |minute| match known.next_if(|(at, _)| *at == minute) {
            Some((_, accepted)) => Some(accepted),
            None => match self.fill {
                Fill::Zero => Some(0),
                Fill::Repeat => known.peek().map(|(_, accepted)| *accepted),
                Fill::Nothing => None,
            },
        })
    }
}

/// An alarm on the used share of the stream. It notifies only of a change to ALARM. After a reset by the function,
/// CloudWatch evaluates the same past once more, and the alarm can notify again.
#[derive(Debug)]
struct Alarm {
    window: Window,
    breaches: fn(f64) -> bool,
    is_raised: bool,
    /// The notifications on their way.
    notifications: Delivery<()>,
}

impl Alarm {
    /// An alarm that is not in ALARM.
    fn new(window: Window, breaches: fn(f64) -> bool, (delivery, seed): (DeliveryQuality, u64)) -> Alarm {
        Alarm { window, breaches, is_raised: false, notifications: Delivery::new(delivery, seed) }
    }

    /// Whether a notification that the alarm has changed to ALARM arrives in this second. With reliable delivery, it
    /// is the second of the change. `shards`: the number of shards in its formula.
    fn is_newly_raised(&mut self, world: &World, shards: u32) -> bool {
        let (cloudwatch, now) = (world.cloudwatch(), world.now());
        if now % EVALUATED_EVERY == 0 {
            let share = |records| used(cloudwatch, records, self.window.period, shards);
            let is_raised = self.window.is_breached(cloudwatch, now, |records| (self.breaches)(share(records)));
            if is_raised && !std::mem::replace(&mut self.is_raised, is_raised) {
                self.notifications.send(now, ());
            }
        }
        !self.notifications.arrived(now).is_empty()
    }

    /// `SetAlarmState`, to OK or to INSUFFICIENT_DATA. If the alarm breaches at the next evaluation, it notifies again.
    fn reset(&mut self) {
        self.is_raised = false;
    }
}

#[cfg(test)]
mod fixture {
    use crate::sim::account::Account;
    use crate::sim::arena::Contender;
    use crate::sim::keys::Keys;
    use crate::sim::retry::Retry;
    use crate::sim::world::{Setup, World};
    use unthrottle_core::observation::CapacityMode;

    /// A stream with even keys, small records and producers that do not retry.
    pub fn setup(shards: u32) -> Setup {
        Setup {
            shards,
            mode: CapacityMode::Provisioned,
            keys: Keys::even(20_000),
            record_bytes: 500,
            retry: Retry::never(),
            account: Account::default(),
        }
    }

    /// The shards at the end of each minute. Each minute has one load, in records a second.
    pub fn minutes(world: &mut World, contender: &mut dyn Contender, loads: &[f64]) -> Vec<u32> {
        let mut shards = vec![];
        for load in loads {
            for _ in 0..60 {
                world.pass(*load);
                contender.pass(world);
            }
            shards.push(world.open_shards());
        }
        shards
    }

    /// The shard counts in their order, each with its first minute.
    pub fn steps(shards: &[u32]) -> Vec<(usize, u32)> {
        let mut steps: Vec<(usize, u32)> = vec![];
        for (minute, count) in shards.iter().enumerate() {
            if steps.last().is_none_or(|(_, last)| last != count) {
                steps.push((minute, *count));
            }
        }
        steps
    }

    /// The shard counts in their order.
    pub fn counts(shards: &[u32]) -> Vec<u32> {
        steps(shards).into_iter().map(|(_, count)| count).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::shard::Counts;
    use std::collections::BTreeMap;

    /// Published minutes with these accepted records; `None`: a minute without a datapoint.
    fn cloudwatch(minutes: &[Option<u64>]) -> (CloudWatch, i64) {
        let mut cloudwatch = CloudWatch::new(1, 2_048);
        for (accepted, n) in minutes.iter().zip(0..) {
            let counts = Counts { accepted: accepted.unwrap_or_default(), throttled: 0 };
            cloudwatch.publish(Minute::of(time(60 * n)), counts, BTreeMap::new(), 60 * (n + 1));
        }
        (cloudwatch, 60 * (minutes.len() as i64 + 5))
    }

    fn sums(minutes: &[Option<u64>], window: Window) -> Vec<Option<u64>> {
        let (cloudwatch, now) = cloudwatch(minutes);
        window.sums(&cloudwatch, now).collect()
    }

    #[test]
    fn the_larger_share_of_bytes_and_records_counts() {
        // 512 records of 2 KiB are 1 MiB, and half of a shard's records.
        assert_eq!(used(&CloudWatch::new(1, 2_048), 5 * 60 * 512, 5, 1), 1.0);
        assert_eq!(used(&CloudWatch::new(1, 100), 60 * 1_000, 1, 4), 0.25);
    }

    #[test]
    fn periods_end_with_the_newest_minute_and_gaps_are_filled() {
        let minutes = [Some(9), Some(1), None, Some(2), Some(3), Some(4)];
        let window = |period, fill| Window { period, of: 9, confirm: 9, fill };
        assert_eq!(sums(&minutes, window(2, Fill::Zero)), [Some(7), Some(2), Some(10)]);
        assert_eq!(sums(&minutes, window(2, Fill::Repeat)), [Some(7), Some(3), Some(10)]);
        assert_eq!(sums(&minutes, window(4, Fill::Zero)), [Some(9)], "there is no past before the run");
        let gap = [Some(5), None, None, Some(2), Some(3)];
        assert_eq!(sums(&gap, window(2, Fill::Nothing)), [Some(5), None]);
    }

    #[test]
    fn m_of_n_breaches_as_soon_as_m_minutes_breach() {
        let breached = |minutes: &[Option<u64>], confirm, of| {
            let (cloudwatch, now) = cloudwatch(minutes);
            Window { period: 1, of, confirm, fill: Fill::Zero }.is_breached(&cloudwatch, now, |records| records > 5)
        };
        let minutes = [Some(9), Some(9), Some(1), Some(9)];
        assert!(breached(&minutes, 2, 3));
        assert!(!breached(&minutes, 3, 3));
        assert!(breached(&minutes, 3, 60), "the rest may follow");
    }

    #[test]
    fn a_silent_stream_has_empty_minutes_after_six_minutes() {
        let (cloudwatch, _) = cloudwatch(&[Some(9), Some(9)]);
        let window = Window { period: 1, of: 1, confirm: 1, fill: Fill::Zero };
        let newest = |now| window.sums(&cloudwatch, now).next().flatten();
        assert_eq!([newest(60 * 7), newest(60 * 8 + 60)], [Some(9), Some(0)]);
    }
}
