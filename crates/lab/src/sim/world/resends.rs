//! Producers that predict the shard of a record, as older versions of the Kinesis Producer Library do. After a reshard
//! they send each record again that landed on another shard than predicted, until they know the new shards.
//!
//! Ingestion then rises far above the real load for one or two minutes (awslabs/amazon-kinesis-producer pull 576 and
//! issue 239).

use crate::sim::chance::{Chance, RESENDS};

/// The load right after a reshard, as a multiple of the real load: each record is sent twice. The reports show 1.9
/// times the load in the first minute.
const AT_FIRST: f64 = 2.0;

/// Seconds until no record is sent again, at least and at most. The reports show one to two minutes.
const LASTS: (i64, i64) = (60, 120);

/// The resends of all producers of a stream.
#[derive(Clone, Debug)]
pub(super) struct Resends {
    /// When the newest reshard ended, and when the resends after it end, in seconds of the run.
    newest: Option<(i64, i64)>,
    chance: Chance,
}

impl Resends {
    pub(super) fn new(seed: u64) -> Resends {
        Resends { newest: None, chance: Chance::new(seed, RESENDS) }
    }

    /// A reshard has ended.
    pub(super) fn begin(&mut self, now: i64) {
        self.newest = Some((now, now + self.chance.between(LASTS.0, LASTS.1)));
    }

    /// The sent records as a multiple of the new ones. It falls evenly to 1.
    pub(super) fn times(&self, now: i64) -> f64 {
        match self.newest {
            Some((begun, ends)) if now < ends => {
                1.0 + (AT_FIRST - 1.0) * (ends - now) as f64 / (ends - begun).max(1) as f64
            }
            _ => 1.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resends_double_the_load_after_a_reshard_and_end_within_two_minutes() {
        let mut resends = Resends::new(1);
        assert_eq!(resends.times(5), 1.0, "no reshard");
        resends.begin(100);
        assert_eq!(resends.times(100), AT_FIRST);
        let times: Vec<f64> = (100..240).map(|now| resends.times(now)).collect();
        assert!(times.windows(2).all(|pair| pair[1] <= pair[0]), "{times:?}");
        assert!(times[59] > 1.0 && times[120] == 1.0, "{times:?}");
    }
}
