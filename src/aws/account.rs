//! The AWS account by its SDK, as a run sees it.

use super::Clients;
use super::apply::Changes;
use super::error::AwsError;
use super::notify::Notifier;
use super::publish;
use super::read::Reader;
use chrono::{DateTime, SubsecRound, Utc};
use serde_json::Value;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use unthrottle_core::clock::Clock;
use unthrottle_core::decide::MissingData;
use unthrottle_core::decision::Remedy;
use unthrottle_core::observation::Observation;
use unthrottle_core::policy::Policy;
use unthrottle_core::report::metric::Count;
use unthrottle_core::report::{AutoFix, Document};
use unthrottle_core::run::{Account, CallFailed, CountedChange, Observed};
use unthrottle_core::signal::StreamArn;

/// The AWS account, for one run.
#[derive(Debug)]
pub struct AwsAccount<'a> {
    pub(crate) clock: &'a dyn Clock,
    pub(crate) clients: &'a Clients,
    pub(crate) reader: &'a Reader,
    pub(crate) notifier: &'a Notifier,
    pub(crate) policy: &'a Policy,
    /// Lines for the log, from which CloudWatch makes metrics.
    pub(crate) lines: Vec<Value>,
    /// Where the lines go that a run has written before it failed, or before it was given up.
    pub(crate) lines_of_failed_runs: &'a Mutex<Vec<Value>>,
}

impl Drop for AwsAccount<'_> {
    fn drop(&mut self) {
        self.lines_of_failed_runs.lock().unwrap_or_else(PoisonError::into_inner).append(&mut self.lines);
    }
}

impl Account for AwsAccount<'_> {
    type Error = AwsError;

    fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }

    async fn observe(&mut self, stream: &StreamArn) -> Result<Observed, AwsError> {
        let asked_at = self.elapsed();
        let observation = self.reader.observe(stream, self.now().trunc_subsecs(3), asked_at).await?;
        Ok(Observed { observation, asked_at })
    }

    async fn complete(
        &mut self,
        stream: &StreamArn,
        seen: &mut Observation,
        missing: MissingData,
    ) -> Result<(), AwsError> {
        Ok(self.reader.complete(stream, self.elapsed(), seen, missing).await?)
    }

    async fn write_memory(
        &mut self,
        stream: &StreamArn,
        text: &str,
        within: Option<Duration>,
    ) -> Result<(), CallFailed<AwsError>> {
        Changes { clients: self.clients, stream }.write_memory(text, within).await
    }

    async fn change(&mut self, stream: &StreamArn, remedy: &Remedy) -> Result<Option<u32>, CallFailed<AwsError>> {
        Changes { clients: self.clients, stream }.change(remedy).await
    }

    async fn count_fix(&mut self, stream: &StreamArn, change: CountedChange) -> AutoFix {
        let CountedChange { action, added_shards, at, is_resent } = change;
        let count = Count::auto_fix(stream, action, at).adding(added_shards).resent(is_resent);
        let (sent, line) = publish::send(&self.clients.cloudwatch, &count).await;
        self.lines.extend(line);
        sent
    }

    async fn count_revert(&mut self, stream: &StreamArn, at: DateTime<Utc>) {
        let (_, line) = publish::send(&self.clients.cloudwatch, &Count::reverted(stream, at)).await;
        self.lines.extend(line);
    }

    async fn notify(&mut self, document: &Document) {
        let line = self.notifier.notify(self.clients.sns(), self.policy, document, self.clock.now()).await;
        self.lines.extend(line);
    }
}
