//! Changes under way: of streams that are `CREATING`, `UPDATING` or `DELETING`, and of consumers. Each change ends at
//! its time on the account's clock.

use super::{Account, lock};
use chrono::{DateTime, TimeDelta, Utc};
use ferrokinesis::types::{ConsumerStatus, Stream, StreamStatus};

/// The alteration of a stream by a change. The argument is the end of the change.
pub(super) type Change = Box<dyn FnOnce(&mut Stream, DateTime<Utc>) + Send>;

/// The end of a change.
pub(super) enum Outcome {
    /// The stream becomes ACTIVE, with an alteration.
    Active(String, Change),
    /// The stream is deleted.
    Gone(String),
    /// The consumer with this ARN gets this status; `None`: it is deleted.
    Consumer(String, Option<ConsumerStatus>),
}

/// The changes under way, each with its end.
#[derive(Default)]
pub(super) struct Transitions(Vec<(DateTime<Utc>, Outcome)>);

impl Transitions {
    pub fn begin(&mut self, done_at: DateTime<Utc>, outcome: Outcome) {
        self.0.push((done_at, outcome));
    }

    /// Moves the end of each change earlier.
    pub fn age(&mut self, by: TimeDelta) {
        let earlier = |time: DateTime<Utc>| time.checked_sub_signed(by).unwrap_or(DateTime::<Utc>::MIN_UTC);
        self.0.iter_mut().for_each(|(done_at, _)| *done_at = earlier(*done_at));
    }

    /// Ends all changes now.
    pub fn finish(&mut self, now: DateTime<Utc>) {
        self.0.iter_mut().for_each(|(done_at, _)| *done_at = now.min(*done_at));
    }

    /// Removes and returns the change that ended first, if its end has come by `now`.
    fn next(&mut self, now: DateTime<Utc>) -> Option<(DateTime<Utc>, Outcome)> {
        let ended = self.0.iter().enumerate().filter(|(_, (done_at, _))| *done_at <= now);
        let (index, _) = ended.min_by_key(|(_, (done_at, _))| *done_at)?;
        Some(self.0.remove(index))
    }

    /// Drops all other changes of a deleted stream: they must not alter a new stream of the same name.
    fn forget(&mut self, gone: &str) {
        let is_of_it =
            |outcome: &Outcome| matches!(outcome, Outcome::Active(stream, _) | Outcome::Gone(stream) if stream == gone);
        self.0.retain(|(_, outcome)| !is_of_it(outcome));
    }
}

/// Ends the changes whose time has come. Every call settles before it reads a stream.
pub(super) async fn settle(account: &Account) {
    // Locked meanwhile, so that no other call sees half of a change.
    let _ledger = account.ledger.lock().await;
    loop {
        let next = lock(&account.transitions).next(account.now());
        match next {
            None => return,
            Some((at, Outcome::Active(name, change))) => activate(account, &name, at, change).await,
            Some((_, Outcome::Gone(name))) => {
                lock(&account.transitions).forget(&name);
                lock(&account.capacities).remove(&name);
                account.records.forget(&name);
                // Only a deleted stream is not found.
                let _ = account.store.delete_stream(&name).await;
            }
            Some((_, Outcome::Consumer(arn, status))) => set_consumer(account, &arn, status).await,
        }
    }
}

async fn activate(account: &Account, name: &str, at: DateTime<Utc>, change: Change) {
    let activate = |stream: &mut Stream| {
        if matches!(stream.stream_status, StreamStatus::Creating | StreamStatus::Updating) {
            change(stream, at);
            stream.stream_status = StreamStatus::Active;
        }
        Ok(())
    };
    // Only a deleted stream is not found, and it needs no change.
    let _ = account.store.update_stream(name, activate).await;
}

async fn set_consumer(account: &Account, arn: &str, status: Option<ConsumerStatus>) {
    let Some(mut consumer) = account.store.get_consumer(arn).await else { return };
    // Only a store on disk can refuse these calls.
    let _ = match status {
        Some(status) => {
            consumer.consumer_status = status;
            account.store.put_consumer(arn, consumer).await
        }
        None => account.store.delete_consumer(arn).await,
    };
}
