//! The signals that stop a command.

use crate::full_screen::quit_key;
use crate::stop::stop_signal;
use futures_util::StreamExt as _;
use futures_util::stream::{BoxStream, unfold};
use std::time::Duration;
use tokio::time::error::Elapsed;
use tokio::time::timeout;

/// The time within which signals or keys are one. `timeout` and shells signal a process and then its group, wrappers
/// hand a Ctrl-C on that the process has already, and a key that is held repeats. None of them means "at once".
const ONE: Duration = Duration::from_secs(1);

/// Calls `stop` at every signal to stop. Never ends.
pub(crate) async fn at_each_signal(stop: impl Fn()) {
    let signals = unfold((), |()| async { Some((stop_signal().await, ())) });
    each_after(ONE, signals.boxed(), stop).await;
}

/// Calls `stop` each time that a person presses a key to quit. Never ends.
pub(crate) async fn at_each_key(stop: impl Fn()) {
    let keys = unfold((), |()| async { Some((quit_key().await, ())) });
    each_after(ONE, keys.boxed(), stop).await;
}

/// Calls `stop` for each of `asks`. What comes within `one` after a call belongs to it.
async fn each_after(one: Duration, mut asks: BoxStream<'_, ()>, stop: impl Fn()) {
    while asks.next().await.is_some() {
        stop();
        let repeats = async { while asks.next().await.is_some() {} };
        let _: Result<(), Elapsed> = timeout(one, repeats).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;
    use futures_util::stream::{iter, pending};
    use std::cell::Cell;

    #[tokio::test]
    async fn signals_that_come_together_are_one() {
        let stops = Cell::new(0);
        // Three signals are there, and no other comes.
        let asks = iter([(); 3]).chain(pending()).boxed();
        let each = each_after(Duration::from_secs(86_400), asks, || stops.set(stops.get() + 1));
        assert!(each.now_or_never().is_none(), "it waits for more");
        assert_eq!(stops.get(), 1);
    }
}
