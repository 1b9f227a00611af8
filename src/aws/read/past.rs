//! Reads the traffic of the last two weeks for forecasts, and keeps it for some hours: one `GetMetricData`.

use super::{ReadError, traffic};
use aws_sdk_cloudwatch::Client;
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use unthrottle_core::observation::{PAST_DAYS, PAST_GOOD_FOR_HOURS, Past};
use unthrottle_core::signal::StreamArn;

/// The copies that a container keeps at most. A copy takes about 0.5 MiB, and the Lambda has 128 MiB. With fewer, large
/// fleets would read each past more often.
const COPIES_KEPT: usize = 64;

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
        let past = Arc::new(traffic::past(client, arn, TimeDelta::days(PAST_DAYS), now).await?);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, (read, _)| is_good(*read, now));
        if kept.len() >= COPIES_KEPT {
            kept.clear();
        }
        kept.insert(arn.clone(), (now, Arc::clone(&past)));
        Ok(past)
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
