//! What a person sees of a load: a live view on a terminal, and lines everywhere else.

use super::behind::behind;
use super::healing::Healing;
use super::view::{Model, View};
use crate::put::{Screen, stopping};
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use unthrottle_writer::load::Offered;
use unthrottle_writer::{Lost, Observer, Stats};

/// Shows the writer at work, and what happens to the stream.
pub(super) struct Watching {
    output: Output,
    healing: Healing,
    offered: Offered,
    /// Wakes when the stream has healed.
    is_healed: Option<Arc<Notify>>,
    /// The last trouble that the live view got.
    trouble: String,
}

enum Output {
    Lines(Screen),
    Live { view: Box<View>, lost: u64 },
}

/// The lost records that the live view shows one by one. More would hide everything else.
const SHOWN: u64 = 3;

impl Watching {
    /// Shows lines, or JSON on standard output.
    pub fn with_lines(is_json: bool, healing: Healing, offered: Offered, is_healed: Option<Arc<Notify>>) -> Watching {
        let output = Output::Lines(Screen::new(is_json, None));
        Watching { output, healing, offered, is_healed, trouble: String::new() }
    }

    /// Shows a live view.
    ///
    /// # Errors
    /// The terminal refuses.
    pub fn live(
        model: Model,
        healing: Healing,
        offered: Offered,
        is_healed: Option<Arc<Notify>>,
    ) -> std::io::Result<Watching> {
        let output = Output::Live { view: Box::new(View::enter(model)?), lost: 0 };
        Ok(Watching { output, healing, offered, is_healed, trouble: String::new() })
    }

    fn show_events(&mut self) {
        for event in self.healing.take_events() {
            match &mut self.output {
                Output::Lines(screen) => screen.event(&event),
                Output::Live { view, .. } => view.model.event(event),
            }
        }
    }

    /// Ends the view, and shows the events that it had as lines.
    pub fn end(mut self, stats: &Stats) {
        self.show_events();
        match self.output {
            Output::Lines(screen) => drop(screen.end(stats)),
            Output::Live { view, .. } => {
                let events = view.leave().into_events();
                // A terminal that has gone changes no result.
                let _ = events.iter().try_for_each(|event| writeln!(std::io::stdout(), "  {event}"));
            }
        }
    }
}

impl Observer for Watching {
    fn lost(&mut self, lost: &Lost) -> Result<(), String> {
        match &mut self.output {
            Output::Lines(screen) => screen.lost(lost),
            Output::Live { view, lost: count } => {
                *count += 1;
                if *count <= SHOWN {
                    view.model.event(format!("lost: {}: {}", lost.record.origin, lost.why));
                }
                Ok(())
            }
        }
    }

    fn tick(&mut self, stats: &Stats, elapsed: Duration) {
        if self.healing.count(stats)
            && let Some(is_healed) = &self.is_healed
        {
            is_healed.notify_one();
        }
        self.show_events();
        match &mut self.output {
            Output::Lines(screen) => screen.tick(stats, elapsed),
            Output::Live { view, .. } => {
                let due = self.offered.due();
                let behind = behind(stats, &self.offered);
                view.model.update(stats, (due, behind), &self.healing.seen(), elapsed);
                view.draw();
            }
        }
    }

    fn stopping(&mut self, waiting: u64, most: Duration) {
        match &mut self.output {
            Output::Lines(screen) => screen.stopping(waiting, most),
            Output::Live { view, .. } => {
                view.model.event(stopping(waiting, most));
                view.model.stop();
                view.draw();
            }
        }
    }

    fn trouble(&mut self, cause: &str) {
        match &mut self.output {
            Output::Lines(screen) => screen.trouble(cause),
            Output::Live { view, .. } => {
                if self.trouble != cause {
                    cause.clone_into(&mut self.trouble);
                    view.model.event(format!("a request failed and is sent again: {cause}"));
                }
            }
        }
    }
}
