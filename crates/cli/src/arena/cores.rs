//! Work on all cores.

use std::thread;

/// Does the work on each core at the same time, and returns what each came to. `meanwhile` runs here: it gets a
/// function that says whether all of it is done.
pub(super) fn on_all_cores<T: Send>(work: impl Fn() -> T + Sync, meanwhile: impl FnOnce(&dyn Fn() -> bool)) -> Vec<T> {
    thread::scope(|scope| {
        let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(&work)).collect();
        meanwhile(&|| workers.iter().all(thread::ScopedJoinHandle::is_finished));
        let join = |worker: thread::ScopedJoinHandle<'_, T>| {
            worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        workers.into_iter().map(join).collect()
    })
}
