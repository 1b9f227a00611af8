//! Both sides of a stream: a hold for producers does not keep readers from their remedy.

use super::Case;
use super::history::History;
use crate::decision::{Reason, Remedy, Side};
use crate::observation::Stream;
use crate::policy::StreamPolicy;

impl Case<'_> {
    /// What would help the stream whose `side` is throttled. Where a hold for writes forbids no change, and readers are
    /// throttled as well, they get their remedy. If no change helps either side, the hold that needs a person goes
    /// first, and else the one for writes.
    pub(super) fn remedy_for_both(
        &mut self,
        side: Side,
        stream: &Stream,
        policy: &StreamPolicy,
        history: &mut History,
    ) -> Result<Remedy, Reason> {
        let held = match self.remedy_for(side, stream, policy, history) {
            Err(held) if side == Side::Writes && may_help_readers(&held) => held,
            decided => return decided,
        };
        let evidence = self.decision.evidence.clone();
        let window = self.window_up_to(self.newest_of(Side::Reads), history);
        if !self.are_reads_throttled(&window, history) {
            self.decision.evidence = evidence;
            return Err(held);
        }
        self.decision.evidence.forget_writes();
        let reads = self.remedy_for(Side::Reads, stream, policy, history);
        let needs_person = |reason: &Reason| history.in_vain(reason.clone(), self.now).needs_person();
        match reads {
            Ok(remedy) => Ok(remedy),
            Err(of_reads) if needs_person(&of_reads) && !needs_person(&held) => Err(of_reads),
            Err(_) => {
                self.decision.evidence = evidence;
                Err(held)
            }
        }
    }
}

/// Whether this hold for writes leaves a change for readers open. A hold that forbids every change does not: too many
/// reverts, a refusal, a change under way, evidence that is still to come, or the maximum of a person.
fn may_help_readers(held: &Reason) -> bool {
    matches!(
        held,
        Reason::SkewSuspected(_)
            | Reason::HotKey { .. }
            | Reason::SplitBudgetSpent(_)
            | Reason::MicroBurst
            | Reason::LargeRecords
            | Reason::NothingAccepted
    )
}
