//! What AWS is busy with: streams that are `CREATING`, `UPDATING` or `DELETING`, and consumers that come and go. Each
//! change is done at its time on the account's clock.

use chrono::{DateTime, TimeDelta, Utc};
use ferrokinesis::types::{ConsumerStatus, Stream, StreamStatus};

use super::{Account, lock};

/// What a stream becomes in the moment that is given.
pub(super) type Change = Box<dyn FnOnce(&mut Stream, DateTime<Utc>) + Send>;

/// Something that will be done.
pub(super) enum Becomes {
    /// A stream becomes ACTIVE, changed in this way.
    Active(String, Change),
    /// A stream is gone.
    Gone(String),
    /// A consumer, by its ARN, becomes this; `None`: it is gone.
    Consumer(String, Option<ConsumerStatus>),
}

/// What is not done yet.
#[derive(Default)]
pub(super) struct Transitions(Vec<(DateTime<Utc>, Becomes)>);

impl Transitions {
    pub fn begin(&mut self, done_at: DateTime<Utc>, becomes: Becomes) {
        self.0.push((done_at, becomes));
    }

    /// Lets `by` of the time pass that each of them takes.
    pub fn age(&mut self, by: TimeDelta) {
        self.0.iter_mut().for_each(|(done_at, _)| *done_at -= by);
    }

    /// Lets all of them be done by now.
    pub fn finish(&mut self, now: DateTime<Utc>) {
        self.0.iter_mut().for_each(|(done_at, _)| *done_at = now.min(*done_at));
    }

    /// The next one that is done by `now`: the oldest.
    fn next(&mut self, now: DateTime<Utc>) -> Option<(DateTime<Utc>, Becomes)> {
        let due = self.0.iter().enumerate().filter(|(_, (done_at, _))| *done_at <= now);
        let (index, _) = due.min_by_key(|(_, (done_at, _))| *done_at)?;
        Some(self.0.remove(index))
    }

    fn forget(&mut self, gone: &str) {
        self.0.retain(|(_, becomes)| !matches!(becomes, Becomes::Active(stream, _) if stream == gone));
    }
}

/// Does what is to be done by now. To be called before each look at a stream.
pub(super) async fn settle(account: &Account) {
    // Held meanwhile: nobody sees half of it.
    let _ledger = account.ledger.lock().await;
    loop {
        let next = lock(&account.transitions).next(account.now());
        match next {
            None => return,
            Some((at, Becomes::Active(name, change))) => activate(account, &name, at, change).await,
            Some((_, Becomes::Gone(name))) => {
                lock(&account.transitions).forget(&name);
                // A deletion asked for twice finds nothing the second time.
                let _ = account.store.delete_stream(&name).await;
            }
            Some((_, Becomes::Consumer(arn, status))) => set_consumer(account, &arn, status).await,
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
    // Only a stream that is gone is not found, and then there is nothing to do.
    let _ = account.store.update_stream(name, activate).await;
}

async fn set_consumer(account: &Account, arn: &str, status: Option<ConsumerStatus>) {
    let Some(mut consumer) = account.store.get_consumer(arn).await else { return };
    // Only a store on disk can refuse these.
    let _ = match status {
        Some(status) => {
            consumer.consumer_status = status;
            account.store.put_consumer(arn, consumer).await
        }
        None => account.store.delete_consumer(arn).await,
    };
}
