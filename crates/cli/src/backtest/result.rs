//! The result in one sentence, and what the policies are.

use super::report::Report;
use super::text::cents;
use unthrottle_core::words::{count, many};

/// What each policy does.
pub(super) const MEANINGS: [(&str, &str); 6] = [
    ("as it was", "The stream as it was. The numbers of refusals are CloudWatch's; the chart is simulated."),
    ("unthrottle", "unthrottle with your settings."),
    ("unthrottle, restoring", "The same, and it takes its changes back after hours without throttling."),
    ("unthrottle, foreseeing", "The same, and it adds shards before the load comes."),
    ("on-demand", "No scaling, in on-demand mode from the beginning."),
    ("best static", "No scaling, with the fewest shards that refuse nothing."),
];

/// The past of a stream that unthrottle healed.
pub(super) const HEALED_PAST: &str = "In this past unthrottle itself healed the stream, so the table compares two runs \
    of unthrottle. Records that producers sent again count as load, and can make the second run look worse than the \
    first.";

impl Report {
    /// The result in one sentence: what unthrottle would have changed, refused and cost.
    pub(super) fn result(&self) -> String {
        let outcomes = self.outcomes();
        let of = |name: &str| outcomes.iter().find(|outcome| outcome.policy == name);
        let (Some(past), Some(ours)) = (of("as it was"), of("unthrottle")) else { return String::new() };
        if ours.changes == Some(0) && past.throttled == 0.0 {
            return format!(
                "AWS refused nothing, and unthrottle would have changed nothing, for ${}.",
                cents(ours.usd)
            );
        }
        format!(
            "unthrottle would have made {} and AWS would have refused {} instead of {}, for ${} instead of ${}.",
            many(ours.changes.unwrap_or_default(), "change"),
            many(ours.throttled.round() as u64, "record"),
            count(past.throttled),
            cents(ours.usd),
            cents(past.usd)
        )
    }
}
