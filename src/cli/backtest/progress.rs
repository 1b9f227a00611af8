//! How far something has come, for a person who waits for more than a second.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::sync::Once;
use std::time::{Duration, Instant};

/// Nobody wonders before that.
const PATIENCE: Duration = Duration::from_secs(1);

/// On standard error, if that is a terminal.
pub(super) struct Progress {
    bar: ProgressBar,
    begun: Instant,
    shown: Once,
}

impl Progress {
    /// Nothing is shown yet of so many steps.
    pub fn new(what: &'static str, steps: u64) -> Progress {
        let bar = ProgressBar::with_draw_target(Some(steps), ProgressDrawTarget::hidden()).with_message(what);
        Progress { bar, begun: Instant::now(), shown: Once::new() }
    }

    /// A step is done.
    pub fn step(&self) {
        self.bar.inc(1);
        if self.begun.elapsed() > PATIENCE {
            self.shown.call_once(|| {
                if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}") {
                    self.bar.set_style(style);
                }
                self.bar.set_draw_target(ProgressDrawTarget::stderr());
            });
        }
    }

    /// All of it is done: nothing is left of it on the terminal.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }
}
