//! Finds the shortest schedule that still fails: leaves out entries while the same invariant breaks.

use super::check::Broken;
use super::schedule::Schedule;

/// Leaves out every entry of `schedule` that `fails` does not need to break the same invariant. Returns the shortest
/// schedule, and its failure.
pub fn shrink(schedule: &Schedule, broken: Broken, fails: impl Fn(&Schedule) -> Option<Broken>) -> (Schedule, Broken) {
    let (mut shortest, mut broken) = (schedule.clone(), broken);
    let mut size = shortest.entries.len().div_ceil(2).max(1);
    loop {
        let mut start = 0;
        let before = shortest.entries.len();
        while start < shortest.entries.len() {
            let mut shorter = shortest.clone();
            shorter.entries.drain(start..(start + size).min(shortest.entries.len()));
            match fails(&shorter).filter(|other| other.invariant == broken.invariant) {
                Some(same) => (shortest, broken) = (shorter, same),
                None => start += size,
            }
        }
        if size == 1 && shortest.entries.len() == before {
            return (shortest, broken);
        }
        size = (size / 2).max(1);
    }
}
