//! The autoscaling of Huawei Cloud's Data Ingestion Service, the nearest equal that a cloud sells
//! (support.huaweicloud.com, dis_01_0401): a stream that was throttled in the last minute, and used more than 80 % of
//! its bandwidth, gets ⌈N ÷ 0.6⌉ partitions, up to ten times an hour.
//!
//! It is a part of the service, so it sees its own minute without CloudWatch's delay. AWS's limits hold for it here, as
//! for every other policy. It scales in only on demand of a person.

use super::super::arena::Contender;
use super::super::world::{By, World};
use std::collections::VecDeque;

/// The used share of the bandwidth above which a throttled minute scales, 0–1.
const BUSY: f64 = 0.8;

/// The share of the new bandwidth that the old one is, 0–1.
const OF_NEW: f64 = 0.6;

/// The most scale-ups in an hour.
const SCALE_UPS_AN_HOUR: usize = 10;

/// Huawei's rule.
#[derive(Debug, Default)]
pub struct HuaweiDis {
    /// Accepted and refused records of this minute.
    minute: (u64, u64),
    /// The seconds of the scale-ups of the last hour.
    scaled: VecDeque<i64>,
}

impl Contender for HuaweiDis {
    fn pass(&mut self, world: &mut World) {
        let (now, last) = (world.now(), world.last());
        self.minute.0 += last.accepted;
        self.minute.1 += last.throttled;
        if now % 60 != 0 {
            return;
        }
        let (accepted, throttled) = std::mem::take(&mut self.minute);
        let open = world.described().open_shards;
        let is_busy = super::used(world.cloudwatch(), accepted, 1, open) > BUSY;
        while self.scaled.front().is_some_and(|at| now - at >= 3_600) {
            self.scaled.pop_front();
        }
        if throttled == 0 || !is_busy || self.scaled.len() >= SCALE_UPS_AN_HOUR {
            return;
        }
        let target = (f64::from(open) / OF_NEW).ceil() as u32;
        if world.update_shard_count(By::Policy, target).is_ok() {
            self.scaled.push_back(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    #[test]
    fn a_throttled_and_busy_minute_gets_two_thirds_more() {
        let mut world = World::new(fixture::setup(6), 1);
        let shards = fixture::minutes(&mut world, &mut HuaweiDis::default(), &[4_000.0, 7_000.0, 7_000.0, 7_000.0]);
        assert_eq!(shards[..2], [6, 6]);
        assert_eq!(*shards.last().expect("four"), 10, "⌈6 ÷ 0.6⌉");
        assert_eq!(world.score().changes, 1);
    }

    #[test]
    fn a_minute_with_a_burst_is_not_busy() {
        let mut world = World::new(fixture::setup(6), 1);
        let mut rule = HuaweiDis::default();
        for second in 0..600 {
            world.pass(if second % 60 == 0 { 20_000.0 } else { 1_000.0 });
            rule.pass(&mut world);
        }
        assert_eq!(world.open_shards(), 6);
    }
}
