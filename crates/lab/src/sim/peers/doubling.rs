//! A common rule: a function on every throttle event doubles the shards.
//!
//! It reads the number of shards, and calls AWS. If AWS refuses the call, the next event tries again. It has no
//! cooldown, no bound, no memory and no restore.
//!
//! CloudTrail reports only calls that failed completely. Here every second with a refused record makes an event, which
//! is the best case of the rule.

use super::super::arena::Contender;
use super::super::delivery::{Delivery, DeliveryQuality, EVENT_AFTER};
use super::super::world::{By, World};

/// "Every throttle event doubles."
#[derive(Debug)]
pub struct Doubling {
    events: Delivery<()>,
}

impl Doubling {
    /// Creates the rule with this delivery of its events.
    pub fn new(delivery: DeliveryQuality, seed: u64) -> Doubling {
        Doubling { events: Delivery::new(delivery, seed) }
    }
}

impl Contender for Doubling {
    fn pass(&mut self, world: &mut World) {
        let now = world.now();
        if world.last().throttled > 0 || !world.events().is_empty() {
            self.events.send(now + EVENT_AFTER, ());
        }
        for () in self.events.arrived(now) {
            let open = world.described().open_shards;
            // The rule ignores refusals.
            let _ = world.update_shard_count(By::Policy, open.saturating_mul(2));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;
    use crate::sim::keys::Keys;
    use crate::sim::world::Setup;

    #[test]
    fn each_event_doubles_and_events_during_a_reshard_are_refused() {
        let mut world = World::new(fixture::setup(4), 1);
        let shards = fixture::minutes(
            &mut world,
            &mut Doubling::new(DeliveryQuality::Reliable, 1),
            &[2_000.0, 6_000.0, 6_000.0, 6_000.0],
        );
        // 4 → 8 shards are enough for 6,000 records a second. The reshard takes 14 + 2 · 4 s, and up to 16 s more. AWS
        // refuses the call of each second in this time. Events of the last five seconds arrive after the reshard, and
        // the first of them doubles again.
        assert_eq!(shards, [4, 8, 16, 16]);
        let score = world.score();
        assert_eq!(score.changes, 2);
        let while_updating = score.refusals["ResourceInUseException"];
        assert!((18..=42).contains(&while_updating), "{score:?}");
    }

    #[test]
    fn a_hot_key_makes_it_double_up_to_the_daily_cap() {
        let setup = Setup { keys: Keys::with_a_hot_one(1.0, 1), ..fixture::setup(1) };
        let mut world = World::new(setup, 1);
        let mut doubling = Doubling::new(DeliveryQuality::Reliable, 1);
        // Each reshard takes half a minute, and 2 s for each of 1,023 new shards in all. Then AWS refuses all calls.
        for _ in 0..3_600 {
            world.pass(1_500.0);
            doubling.pass(&mut world);
        }
        assert_eq!(world.open_shards(), 1_024, "ten times a day");
        assert_eq!(world.score().changes, 10);
        assert!(world.score().refusals["LimitExceededException"] > 1_000);
        assert_eq!(world.last().throttled, 500, "and nothing is gained");
    }
}
