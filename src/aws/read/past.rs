//! Reads the traffic of the last two weeks for forecasts, and keeps it for some hours: one `GetMetricData`.

use super::{ReadError, traffic};
use aws_sdk_cloudwatch::Client;
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use unthrottle_core::observation::{PAST_DAYS, PAST_GOOD_FOR_HOURS, Past};
use unthrottle_core::signal::StreamArn;

/// The copies that a container keeps at most. A sweep looks at a stream in foresight every five minutes, and checks
/// four streams a second, so these are all that it can look at. A copy takes about 16 KiB, so all take 19 MiB of the
/// Lambda's 128. With fewer, large fleets would read each past at each look.
const COPIES_KEPT: usize = 1_200;

/// The pasts that this process has read, by stream, with the time of the read.
#[derive(Debug, Default)]
pub(super) struct Pasts {
    kept: Mutex<BTreeMap<StreamArn, Kept>>,
}

/// When a past was read, and the past.
type Kept = (DateTime<Utc>, Arc<Past>);

impl Pasts {
    /// The past of a stream: the copy, or what CloudWatch says now.
    ///
    /// # Errors
    /// AWS did not answer, refused the call, or could not read a series.
    pub async fn read(&self, client: &Client, arn: &StreamArn, now: DateTime<Utc>) -> Result<Arc<Past>, ReadError> {
        if let Some(past) = self.copy(arn, now) {
            return Ok(past);
        }
        let past = Arc::new(traffic::past(client, arn, TimeDelta::days(PAST_DAYS), now).await?.condensed());
        self.keep(arn, now, &past);
        Ok(past)
    }

    /// Keeps a copy. Where there is no room for it, the oldest goes.
    fn keep(&self, arn: &StreamArn, now: DateTime<Utc>, past: &Arc<Past>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, (read, _)| is_good(*read, now));
        if kept.len() >= COPIES_KEPT {
            let oldest = kept.iter().min_by_key(|(_, (read, _))| *read).map(|(arn, _)| arn.clone());
            if let Some(oldest) = oldest {
                kept.remove(&oldest);
            }
        }
        kept.insert(arn.clone(), (now, Arc::clone(past)));
    }

    fn copy(&self, arn: &StreamArn, now: DateTime<Utc>) -> Option<Arc<Past>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(arn).filter(|(read, _)| is_good(*read, now)).map(|(_, past)| Arc::clone(past))
    }
}

/// Whether a copy that was read then is still good. The machine's time may have been set back.
fn is_good(read: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    read <= now && now - read < TimeDelta::hours(PAST_GOOD_FOR_HOURS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use unthrottle_core::signal::Home;

    #[test]
    fn a_fleet_that_a_sweep_can_look_at_keeps_its_copies_and_beyond_it_the_oldest_goes() {
        let home = Home { partition: "aws".into(), region: "us-east-1".into(), account: "123456789012".into() };
        let stream = |n: usize| StreamArn::new(&format!("s{n}"), &home).expect("legal");
        let at = |n: usize| DateTime::UNIX_EPOCH + TimeDelta::seconds(n as i64);
        let (pasts, past) = (Pasts::default(), Arc::default());
        (0..COPIES_KEPT).for_each(|n| pasts.keep(&stream(n), at(n), &past));
        let kept = |n| pasts.copy(&stream(n), at(COPIES_KEPT)).is_some();
        assert!((0..COPIES_KEPT).all(kept));
        pasts.keep(&stream(COPIES_KEPT), at(COPIES_KEPT), &past);
        assert_eq!((0..=COPIES_KEPT).filter(|n| !kept(*n)).collect::<Vec<_>>(), [0]);
    }
}
