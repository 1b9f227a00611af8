//! The alarm on throttled writes, as `template.yaml` deploys it: it tells of a change of state, and of nothing else.

use super::cloudwatch::CloudWatch;
use crate::policy::Policy;

/// CloudWatch looks at an alarm with a period of a minute once a minute, in seconds.
const EVERY: i64 = 60;

/// From the change of state to the function: EventBridge and Lambda take "seconds".
const DELIVERED_IN: i64 = 2;

/// An alarm on the records that a stream refuses.
#[derive(Clone, Debug)]
pub struct Alarm {
    /// Of so many minutes (`EvaluationPeriods`)…
    window: i64,
    /// … so many have a refused record (`DatapointsToAlarm`).
    confirm: usize,
    is_raised: bool,
    /// A change of state that is on its way: when it arrives, and the state.
    told: Option<(i64, bool)>,
}

impl Alarm {
    /// With the template's parameters, which are those of the policy.
    pub fn of(policy: &Policy) -> Alarm {
        let (window, confirm) = (i64::from(policy.window_minutes), policy.confirm_minutes as usize);
        Alarm { window, confirm, is_raised: false, told: None }
    }

    /// Whether it is in ALARM.
    pub fn is_raised(&self) -> bool {
        self.is_raised
    }

    /// A second passes. Gives the new state when word of it arrives: `true` for ALARM. A minute without a datapoint breaches
    /// nothing (`TreatMissingData: notBreaching`).
    pub fn pass(&mut self, cloudwatch: &CloudWatch, now: i64) -> Option<bool> {
        if now % EVERY == 0 {
            let is_raised = self.is_breached(cloudwatch, now);
            if is_raised != self.is_raised {
                self.told = Some((now + DELIVERED_IN, is_raised));
            }
            self.is_raised = is_raised;
        }
        let (_, state) = self.told.take_if(|(at, _)| *at <= now)?;
        Some(state)
    }

    fn is_breached(&self, cloudwatch: &CloudWatch, now: i64) -> bool {
        let newest = cloudwatch.newest(now);
        let window = cloudwatch.throttled(now).take_while(|(minute, _)| *minute > newest.plus(-self.window));
        window.filter(|(_, throttled)| *throttled > 0).count() >= self.confirm
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::Minute;
    use crate::sim::shard::Counts;
    use crate::sim::time;
    use std::collections::BTreeMap;

    /// When the alarm tells what, if the minutes refuse so many records each.
    fn told(throttled: &[u64]) -> Vec<(i64, bool)> {
        let (mut cloudwatch, mut alarm) = (CloudWatch::new(1, 100), Alarm::of(&Policy::default()));
        let mut told = vec![];
        for now in 0..60 * 40 {
            let minute = now / 60 - 1;
            if now % 60 == 0 && minute >= 0 {
                let throttled = throttled.get(minute as usize).copied().unwrap_or_default();
                let counts = Counts { accepted: 100, throttled };
                cloudwatch.publish(Minute::of(time(60 * minute)), counts, BTreeMap::new(), now);
            }
            told.extend(alarm.pass(&cloudwatch, now).map(|state| (now, state)));
        }
        told
    }

    #[test]
    fn it_tells_of_changes_only() {
        let told = told(&[0, 0, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9]);
        let states: Vec<bool> = told.iter().map(|(_, state)| *state).collect();
        assert_eq!(states, [true, false], "{told:?}");
        // The second throttled minute ends at 240 s, and is published one to three minutes later.
        assert!((300..=482).contains(&told[0].0), "{told:?}");
    }

    #[test]
    fn one_throttled_minute_raises_nothing() {
        assert_eq!(told(&[0, 0, 9, 0, 0, 0, 0, 0, 9]), []);
        assert_eq!(told(&[0, 0, 9, 0, 0, 0, 9]).len(), 2, "two of five do");
    }
}
