//! How a writer is asked to stop.

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Asks a writer to stop. Clones ask the same writer.
#[derive(Clone, Debug)]
pub struct Stopper(UnboundedSender<()>);

/// Where the writer hears it.
#[derive(Debug)]
pub struct Stops(UnboundedReceiver<()>);

/// The two ends of a stop.
pub fn stops() -> (Stopper, Stops) {
    let (sender, receiver) = unbounded_channel();
    (Stopper(sender), Stops(receiver))
}

impl Stopper {
    /// The first call ends the input: what was read is sent for at most [`Options::drain`](crate::Options::drain). The
    /// second call ends this wait at once.
    pub fn stop(&self) {
        // A writer that has ended needs no stop.
        let _ = self.0.send(());
    }
}

impl Stops {
    /// The next call of [`Stopper::stop`]. Without a [`Stopper`], it never comes.
    pub(crate) async fn next(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending().await
        }
    }
}
