//! The way of records from the thread that reads them to the writer.

use crate::record::{Record, Why};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::timeout;

/// A record to write, or one that cannot be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A record to write.
    Record(Record),
    /// A record that cannot be sent, and why. It is lost.
    Rejected(Record, Why),
}

/// The groups of records that wait between reader and writer. Each has at most [`crate::input::GROUP_BYTES`].
const GROUPS: usize = 4;

#[derive(Default)]
struct State {
    /// The writer takes no more.
    is_closed: AtomicBool,
    /// The reader waits for its input, and has handed over all that it read.
    is_waiting: AtomicBool,
}

/// Where the reader puts its records.
pub struct FeedSender {
    groups: Sender<Vec<Item>>,
    state: Arc<State>,
}

/// Where the writer gets them.
pub struct Feed {
    groups: Receiver<Vec<Item>>,
    state: Arc<State>,
}

/// A reader's end and a writer's end.
pub fn feed() -> (FeedSender, Feed) {
    let (sender, receiver) = channel(GROUPS);
    let state = Arc::new(State::default());
    (FeedSender { groups: sender, state: state.clone() }, Feed { groups: receiver, state })
}

impl FeedSender {
    /// Hands records over, and waits until there is room. Returns whether the writer takes more. Not for async code.
    pub fn send(&self, items: Vec<Item>) -> bool {
        (items.is_empty() || self.groups.blocking_send(items).is_ok()) && !self.is_closed()
    }

    /// Hands records over if there is room. Otherwise returns them.
    pub fn try_send(&self, items: Vec<Item>) -> Result<(), Vec<Item>> {
        self.groups.try_send(items).map_err(tokio::sync::mpsc::error::TrySendError::into_inner)
    }

    /// Whether the writer takes no more.
    pub fn is_closed(&self) -> bool {
        self.state.is_closed.load(Ordering::SeqCst) || self.groups.is_closed()
    }

    /// Runs `read`, which may wait for input without end. All records were handed over before.
    pub fn while_waiting<T>(&self, read: impl FnOnce() -> T) -> T {
        self.state.is_waiting.store(true, Ordering::SeqCst);
        let done = read();
        self.state.is_waiting.store(false, Ordering::SeqCst);
        done
    }
}

impl Feed {
    /// The next records; `None`: the input has ended.
    pub(crate) async fn next(&mut self) -> Option<Vec<Item>> {
        self.groups.recv().await
    }

    /// Takes all records that the reader has read, and no more. `until`: the longest wait for a reader that neither
    /// reads nor says that it waits.
    pub(crate) async fn close(&mut self, until: Instant) -> Vec<Item> {
        self.state.is_closed.store(true, Ordering::SeqCst);
        let mut rest = vec![];
        loop {
            // A reader at work hands its records over, sees the flag, and ends. One that waits for input has handed
            // all over before, and sees the flag before it reads a record.
            match timeout(Duration::from_millis(1), self.groups.recv()).await {
                Ok(Some(items)) => rest.extend(items),
                Ok(None) => return rest,
                Err(_) if self.state.is_waiting.load(Ordering::SeqCst) || Instant::now() >= until => break,
                Err(_) => {}
            }
        }
        while let Ok(items) = self.groups.try_recv() {
            rest.extend(items);
        }
        rest
    }
}
