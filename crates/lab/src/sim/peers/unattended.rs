//! A static stream: no scaling.

use super::super::arena::Contender;
use super::super::world::World;

/// A stream that keeps its shards.
#[derive(Debug)]
pub struct Static;

impl Contender for Static {
    fn pass(&mut self, _: &mut World) {}
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    #[test]
    fn a_static_stream_stays_as_it_is() {
        let mut world = World::new(fixture::setup(4), 1);
        let shards = fixture::minutes(&mut world, &mut Static, &[2_000.0, 9_000.0, 9_000.0]);
        assert_eq!(shards, [4, 4, 4]);
        assert_eq!((world.score().changes, world.score().calls), (0, 0));
    }
}
