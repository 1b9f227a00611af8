//! The signals that stop a command.

/// Ctrl-C and SIGTERM, as often as they come. Where the system refuses to listen, they end the process at once.
struct Signals {
    #[cfg(unix)]
    listeners: Option<[tokio::signal::unix::Signal; 2]>,
}

impl Signals {
    fn new() -> Signals {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let listeners = signal(SignalKind::interrupt()).and_then(|one| Ok([one, signal(SignalKind::terminate())?]));
            Signals { listeners: listeners.ok() }
        }
        #[cfg(not(unix))]
        Signals {}
    }

    async fn next(&mut self) {
        #[cfg(unix)]
        if let Some([interrupt, terminate]) = &mut self.listeners {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    }
}

/// Ends with Ctrl-C or SIGTERM.
pub(crate) async fn stop_signal() {
    Signals::new().next().await;
}

/// Calls `stop` at every Ctrl-C and SIGTERM. Never ends.
pub(crate) async fn at_each_signal(stop: impl Fn()) {
    let mut signals = Signals::new();
    loop {
        signals.next().await;
        stop();
    }
}
