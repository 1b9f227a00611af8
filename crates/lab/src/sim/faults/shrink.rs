//! The shortest schedule that still fails: parts of it are left out for as long as the same invariant breaks.

use super::check::Broken;
use super::schedule::Schedule;

/// Leaves out every entry of `schedule` without which `fails` still tells of the same invariant. Gives what is left, and
/// how that fails.
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
