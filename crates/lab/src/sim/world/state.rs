//! The state of a world in words: two worlds with the same words behave the same from here on.

use super::World;

impl World {
    /// Everything that a later second or call depends on. The score and the timeline are left out: only people read
    /// them.
    pub fn state(&self) -> String {
        let World {
            stream: _,
            setup,
            now,
            shards,
            next_number,
            created,
            closed_shards,
            mode,
            running,
            monitored,
            tags,
            reshards,
            switches,
            growing,
            peak,
            minute,
            closed,
            last,
            events,
            reading,
            resends,
            commitment,
            cloudwatch,
            changes,
            growth,
            prices: _,
            tally: _,
            timeline: _,
            notified: _,
        } = self;
        let record_bytes = setup.record_bytes;
        let stream = (now, shards, next_number, created, closed_shards, mode, running, monitored, tags);
        let spent = (reshards, switches, growing, peak, minute, closed, last, events);
        let rest = (record_bytes, reading, resends, commitment, cloudwatch, changes, growth);
        format!("{stream:?}{spent:?}{rest:?}")
    }
}
