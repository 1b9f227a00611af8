//! The simulated account, as a run calls it.

use crate::rules::Refusal;
use crate::sim::world::{By, World};
use chrono::{DateTime, Utc};
use std::time::Duration;
use unthrottle_core::decide::MissingData;
use unthrottle_core::decision::Remedy;
use unthrottle_core::memory::TAG;
use unthrottle_core::observation::{CapacityMode, Observation};
use unthrottle_core::report::{AutoFix, Document};
use unthrottle_core::run::{Account, Answer, CallFailed, CountedChange, Observed};
use unthrottle_core::signal::StreamArn;

/// The simulated account, which answers at once.
pub(super) struct SimulatedAccount<'a>(pub(super) &'a mut World);

impl Account for SimulatedAccount<'_> {
    type Error = Refusal;

    fn now(&self) -> DateTime<Utc> {
        self.0.time()
    }

    fn elapsed(&self) -> Duration {
        Duration::from_secs(self.0.now().unsigned_abs())
    }

    async fn observe(&mut self, _: &StreamArn) -> Result<Observed, Refusal> {
        Ok(Observed { observation: self.0.observe(), asked_at: self.elapsed() })
    }

    async fn complete(&mut self, _: &StreamArn, seen: &mut Observation, missing: MissingData) -> Result<(), Refusal> {
        self.0.complete(seen, missing);
        Ok(())
    }

    async fn write_memory(
        &mut self,
        _: &StreamArn,
        text: &str,
        _: Option<Duration>,
    ) -> Result<(), CallFailed<Refusal>> {
        self.0.tag(By::Policy, TAG, text).map_err(call_failed)
    }

    async fn change(&mut self, _: &StreamArn, remedy: &Remedy) -> Result<Option<u32>, CallFailed<Refusal>> {
        call(self.0, remedy).map_err(call_failed)
    }

    async fn count_fix(&mut self, _: &StreamArn, change: CountedChange) -> AutoFix {
        self.0.count(change);
        AutoFix::Confirmed
    }

    async fn count_revert(&mut self, _: &StreamArn, at: DateTime<Utc>) {
        self.0.count_reverted(at);
    }

    async fn notify(&mut self, _: &Document) {
        self.0.notify();
    }
}

/// Turns AWS's refusal into the error that a run expects.
pub(in crate::sim) fn call_failed(error: Refusal) -> CallFailed<Refusal> {
    let answer = Answer { code: error.code.into(), message: error.message.clone() };
    CallFailed { answer: Some(answer), error }
}

/// Makes the call that carries out a remedy. Returns the open shards before the call, if AWS's answer has them.
pub(in crate::sim) fn call(world: &mut World, remedy: &Remedy) -> Result<Option<u32>, Refusal> {
    let done = match remedy {
        Remedy::ScaleShards { to, .. } | Remedy::ScaleAhead { to, .. } | Remedy::Restore { to, .. } => {
            return world.update_shard_count(By::Policy, *to).map(Some);
        }
        Remedy::SplitShard { shard, at, .. } => world.split_shard(By::Policy, shard, *at),
        // Only accounts with the commitment ask for warm throughput in the same call.
        Remedy::SwitchToOnDemand { .. } => world.update_stream_mode(By::Policy, CapacityMode::OnDemand),
        Remedy::SwitchToProvisioned { .. } => world.update_stream_mode(By::Policy, CapacityMode::Provisioned),
        Remedy::WarmUp { to_mibps, .. } => world.update_warm_throughput(By::Policy, *to_mibps),
        Remedy::EnableShardMetrics { metrics, .. } => world.update_monitoring(By::Policy, metrics, true),
        Remedy::DisableShardMetrics { metrics, .. } => world.update_monitoring(By::Policy, metrics, false),
    };
    done.map(|()| None)
}
