//! The folk rule: a function on every throttle event, which doubles the shards.
//!
//! It asks how many there are, and calls; what AWS refuses is the next event's affair. No cooldown, no bound, no memory,
//! nothing taken back. CloudTrail tells only of calls that failed as a whole: here every second with a refused record makes
//! an event, which is the rule's best case.

use super::super::arena::Contender;
use super::super::delivery::{Delivery, DeliveryQuality, EVENT_AFTER};
use super::super::world::{By, World};

/// "Every throttle event doubles."
#[derive(Debug)]
pub struct Doubling {
    events: Delivery<()>,
}

impl Doubling {
    /// With its events in this weather.
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
            // Refused or not: there is nothing that the rule would do about it.
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
    fn each_event_doubles_and_those_meanwhile_are_refused() {
        let mut world = World::new(fixture::setup(4), 1);
        let shards = fixture::minutes(
            &mut world,
            &mut Doubling::new(DeliveryQuality::Reliable, 1),
            &[2_000.0, 6_000.0, 6_000.0, 6_000.0],
        );
        // 4 → 8 is enough for 6,000 a second. The reshard takes 14 + 2 · 4 s and 16 more at most, in which an event a second
        // is refused; those of the last five seconds before it was done come after it, and the first doubles again.
        assert_eq!(shards, [4, 8, 16, 16]);
        let score = world.score();
        assert_eq!(score.changes, 2);
        let while_updating = score.refusals["ResourceInUseException"];
        assert!((18..=42).contains(&while_updating), "{score:?}");
    }

    #[test]
    fn a_hot_key_makes_it_double_until_aws_has_had_enough() {
        let setup = Setup { keys: Keys::with_a_hot_one(1.0, 1), ..fixture::setup(1) };
        let mut world = World::new(setup, 1);
        let mut doubling = Doubling::new(DeliveryQuality::Reliable, 1);
        // The reshards take 2 s for each of 1,023 new shards and half a minute each; then AWS only refuses.
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
