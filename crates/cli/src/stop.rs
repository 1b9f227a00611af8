//! The signals with which a person or the system stops a command that has something to finish.

/// Ends with Ctrl-C, SIGTERM, or the SIGHUP of a terminal that closes, such as a lost SSH connection.
#[cfg(unix)]
pub(crate) async fn stop_signal() {
    use tokio::signal::unix::{Signal, SignalKind, signal};
    let listen = |kind: SignalKind| signal(kind).ok();
    async fn received(signal: Option<Signal>) {
        match signal {
            Some(mut signal) => drop(signal.recv().await),
            None => std::future::pending().await,
        }
    }
    let hangup = if is_hangup_ignored() { None } else { listen(SignalKind::hangup()) };
    tokio::select! {
        () = received(listen(SignalKind::interrupt())) => {}
        () = received(listen(SignalKind::terminate())) => {}
        () = received(hangup) => {}
    }
}

/// Ends with Ctrl-C.
#[cfg(not(unix))]
pub(crate) async fn stop_signal() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}

/// The number of SIGHUP on every Unix (POSIX, `kill`).
#[cfg(unix)]
const SIGHUP: u32 = 1;

/// Whether the command was started with `nohup`, and must go on. Only Linux says so without unsafe code: elsewhere the
/// command stops, and cleans up.
#[cfg(unix)]
fn is_hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    ignored & (1 << (SIGHUP - 1)) != 0
}
