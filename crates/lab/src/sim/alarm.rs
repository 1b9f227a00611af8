//! The alarms of a stream, as `template.yaml` deploys them. They notify the function of each change of state, and of
//! nothing else.

use super::cloudwatch::CloudWatch;
use unthrottle_core::observation::Minute;
use unthrottle_core::policy::Policy;

/// CloudWatch evaluates an alarm with a period of a minute once a minute, in seconds.
const EVERY: i64 = 60;

/// Seconds from the change of state to the function: EventBridge and Lambda take "seconds".
const DELIVERED_IN: i64 = 2;

/// The metric of an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlarmMetric {
    /// Refused records.
    Writes,
    /// Refused calls of readers.
    Reads,
    /// Records that are read more than 12 hours late: the template's default of `IteratorAgeAlarmMilliseconds`.
    Age,
}

/// See [`AlarmMetric::Age`].
const OLD_MS: f64 = 12.0 * 3_600_000.0;

/// An alarm on a stream.
#[derive(Clone, Debug)]
pub struct Alarm {
    metric: AlarmMetric,
    /// `EvaluationPeriods`, in minutes.
    window: i64,
    /// `DatapointsToAlarm`: the minutes of the window that must breach.
    confirm: usize,
    is_raised: bool,
    /// The change of state that is on its way: its arrival, in seconds of the run, and the new state.
    on_its_way: Option<(i64, bool)>,
}

impl Alarm {
    /// An alarm with the template's parameters, which are also settings of the policy.
    pub fn on(metric: AlarmMetric, policy: &Policy) -> Alarm {
        let (window, confirm) = (i64::from(policy.window_minutes), policy.confirm_minutes as usize);
        Alarm { metric, window, confirm, is_raised: false, on_its_way: None }
    }

    /// The metric of the alarm.
    pub fn metric(&self) -> AlarmMetric {
        self.metric
    }

    /// Whether it is in ALARM.
    pub fn is_raised(&self) -> bool {
        self.is_raised
    }

    /// Passes a second. Returns the new state when its notification arrives: `true` for ALARM. A minute without a
    /// datapoint breaches nothing (`TreatMissingData: notBreaching`).
    pub fn pass(&mut self, cloudwatch: &CloudWatch, now: i64) -> Option<bool> {
        if now % EVERY == 0 {
            let is_raised = self.is_breached(cloudwatch, now);
            if is_raised != self.is_raised {
                self.on_its_way = Some((now + DELIVERED_IN, is_raised));
            }
            self.is_raised = is_raised;
        }
        let (_, state) = self.on_its_way.take_if(|(at, _)| *at <= now)?;
        Some(state)
    }

    fn is_breached(&self, cloudwatch: &CloudWatch, now: i64) -> bool {
        let first = cloudwatch.newest(now).plus(1 - self.window);
        match self.metric {
            AlarmMetric::Writes => self.is_reached(cloudwatch.throttled(now).map(|(minute, n)| (minute, n > 0)), first),
            AlarmMetric::Reads => {
                self.is_reached(cloudwatch.reads(now).map(|(minute, r)| (minute, r.refused >= 0.5)), first)
            }
            AlarmMetric::Age => {
                self.is_reached(cloudwatch.reads(now).map(|(minute, r)| (minute, r.age_ms > OLD_MS)), first)
            }
        }
    }

    /// Whether enough of the minutes from `first` on breach. The newest minute comes first.
    fn is_reached(&self, minutes: impl Iterator<Item = (Minute, bool)>, first: Minute) -> bool {
        let window = minutes.take_while(|(minute, _)| *minute >= first);
        window.filter(|(_, breaches)| *breaches).count() >= self.confirm
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::shard::Counts;
    use crate::sim::time;
    use std::collections::BTreeMap;

    fn twice() -> Policy {
        Policy { confirm_minutes: 2, ..Policy::default() }
    }

    /// The notifications and their seconds, for minutes with these refused records.
    fn notified(throttled: &[u64]) -> Vec<(i64, bool)> {
        let (mut cloudwatch, mut alarm) = (CloudWatch::new(1, 100), Alarm::on(AlarmMetric::Writes, &twice()));
        let mut notified = vec![];
        for now in 0..60 * 40 {
            let minute = now / 60 - 1;
            if now % 60 == 0 && minute >= 0 {
                let throttled = throttled.get(minute as usize).copied().unwrap_or_default();
                let counts = Counts { accepted: 100, throttled };
                cloudwatch.publish(Minute::of(time(60 * minute)), counts, BTreeMap::new(), now);
            }
            notified.extend(alarm.pass(&cloudwatch, now).map(|state| (now, state)));
        }
        notified
    }

    #[test]
    fn an_alarm_notifies_of_changes_only() {
        let notified = notified(&[0, 0, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9]);
        let states: Vec<bool> = notified.iter().map(|(_, state)| *state).collect();
        assert_eq!(states, [true, false], "{notified:?}");
        // The second throttled minute ends at 240 s. CloudWatch publishes it one to three minutes later.
        assert!((300..=482).contains(&notified[0].0), "{notified:?}");
    }

    #[test]
    fn one_throttled_minute_raises_no_alarm() {
        assert_eq!(notified(&[0, 0, 9, 0, 0, 0, 0, 0, 9]), []);
        assert_eq!(notified(&[0, 0, 9, 0, 0, 0, 9]).len(), 2, "two of five do");
    }
}
