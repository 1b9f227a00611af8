//! What a decision is about: the stream, and what a person allows for it.

use super::{Case, lag};
use crate::decision::Reason;
use crate::observation::{CapacityMode, Status, Stream};
use crate::policy::StreamPolicy;

impl<'a> Case<'a> {
    /// The stream, and what is allowed for it. Records first what it loses: whatever the hold, a person must know of a
    /// loss that lasts, and an alarm on the age of readers is answered. A stream that a person has switched off is left
    /// alone.
    pub(super) fn subject(&mut self) -> Result<(&'a Stream, StreamPolicy), Reason> {
        let stream = self.observation.stream.as_ref().filter(|stream| stream.status != Status::Deleting);
        let stream = stream.ok_or(Reason::StreamGone)?;
        let policy = self.allowed();
        if !matches!(policy, Err(Reason::OptedOut)) {
            self.record_lasting_loss();
            let newest = self.newest();
            lag::record(self.signal, self.observation, stream, newest, &mut self.decision.evidence);
        }
        match (&stream.status, &stream.mode) {
            (Status::Active | Status::Updating, CapacityMode::Provisioned | CapacityMode::OnDemand) => {
                Ok((stream, policy?))
            }
            _ => Err(Reason::NotReady),
        }
    }

    fn allowed(&self) -> Result<StreamPolicy, Reason> {
        let policy = self.policy.for_stream(&self.observation.tags, self.policy.asked(self.signal.mode()));
        policy.map_err(|e| Reason::BadPolicyTag(e.to_string()))?.ok_or(Reason::OptedOut)
    }
}
