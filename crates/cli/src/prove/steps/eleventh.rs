//! The eleventh reshard of a day.

use super::reshards::reshard;
use super::shard_limits::update_once_more;
use crate::prove::context::Context;
use crate::prove::step::{Fact, Step, Use, Verdict};
use crate::prove::trouble::{Tried, Trouble};

const ELEVENTH: Fact = Fact {
    id: "eleventh-reshard",
    expected: "The eleventh `UpdateShardCount` of 24 hours fails with `LimitExceededException`.",
    source: "The API reference of `UpdateShardCount` has the limit, and not the code.",
};

/// Reshards of a stream that AWS makes in 24 hours, as documented.
const A_DAY: u32 = 10;

const FLAG: &str = "--spend-reshards";

pub(super) static STEP: Step = Step {
    name: "eleventh-reshard",
    about: "Reshards a stream ten times, 1 → 2 → 1 and so on, and asks for one more.",
    facts: &[ELEVENTH],
    minutes: 8,
    // Each reshard leaves a closed shard or two, which AWS does not bill. This is the most that are open at once.
    uses: Use { shards: 3, records: 0, other_usd: 0.0, each_stream_usd: 0.0 },
    records_all_writes: false,
    flag: Some(FLAG),
    run: |context| Box::pin(run(context)),
};

async fn run(context: &Context) -> Tried<()> {
    if !context.allowed.spend_reshards {
        return Err(Trouble::NotAvailable(format!("give {FLAG}: the step makes ten reshards of a stream of its own")));
    }
    let stream = context.stream("", 1).await?;
    let mut shards = 1;
    for _ in 0..A_DAY {
        shards = 3 - shards;
        reshard(context, &stream, shards).await?;
    }
    match update_once_more(context, &stream, 3 - shards).await? {
        Ok(_) => context.found(ELEVENTH.id, Verdict::Different, "AWS accepted it"),
        Err(refusal) => {
            context.compare(ELEVENTH.id, refusal.code == "LimitExceededException", refusal.to_string());
        }
    }
    Ok(())
}
