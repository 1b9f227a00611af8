//! The limits of `UpdateShardCount` that cost no reshards.

use crate::prove::again::{again, told};
use crate::prove::context::{Context, POLL};
use crate::prove::step::{Fact, Step, Use, Verdict};
use crate::prove::trouble::{Refusal, Tried, answered, refused};
use aws_sdk_kinesis::operation::update_shard_count::UpdateShardCountOutput;
use aws_sdk_kinesis::types::ScalingType;

const ABOVE_DOUBLE: Fact = Fact {
    id: "above-double",
    expected: "`UpdateShardCount` to more than double the shards fails with `InvalidArgumentException`.",
    source: "The API reference of `UpdateShardCount` has the limit, and not the code.",
};
const SAME_COUNT: Fact = Fact {
    id: "same-count",
    expected: "`UpdateShardCount` to the number of shards that the stream has is accepted, and does not count as one \
               of the ten of a day.",
    source: "No page of AWS.",
};

/// Calls to the same number: as many as AWS makes reshards in a day. If they counted, the next one would be refused.
const REPEATS: u32 = 10;

pub(super) static STEP: Step = Step {
    name: "shard-limits",
    about: "Asks for 3 shards where there is 1, then ten times for 1, and then for 2.",
    facts: &[ABOVE_DOUBLE, SAME_COUNT],
    minutes: 2,
    uses: Use { shards: 3, records: 0, other_usd: 0.0, each_stream_usd: 0.0 },
    records_all_writes: false,
    flag: None,
    run: |context| Box::pin(run(context)),
};

async fn run(context: &Context) -> Tried<()> {
    let stream = context.stream("", 1).await?;
    match update(context, &stream, 3).await? {
        Ok(_) => {
            context.found(ABOVE_DOUBLE.id, Verdict::Different, "AWS accepted 1 → 3 shards");
            context.active(&stream).await?;
            update(context, &stream, 2).await?.ok();
            context.active(&stream).await?;
        }
        Err(refusal) => {
            let is_expected = refusal.code == "InvalidArgumentException";
            context.compare(ABOVE_DOUBLE.id, is_expected, refusal.to_string());
        }
    }
    let shards = context.active(&stream).await?.shards;
    for repeat in 1..=REPEATS {
        // Before an accepted call, nothing tells a limit of a day from a rate.
        let answer = match repeat {
            1 => update(context, &stream, shards).await?,
            _ => update_once_more(context, &stream, shards).await?,
        };
        if let Err(refusal) = answer {
            let seen = format!("call {repeat} to {shards} shards, which the stream has: {refusal}");
            context.found(SAME_COUNT.id, Verdict::Different, seen);
            return Ok(());
        }
        // AWS takes ten of these calls a second, for the whole account.
        context.time.sleep(POLL).await;
        context.active(&stream).await?;
    }
    let (is_expected, seen) = match update_once_more(context, &stream, shards + 1).await? {
        Ok(_) => (true, format!("AWS accepted {REPEATS} calls to {shards}, and then one to {}", shards + 1)),
        Err(refusal) => (false, format!("AWS accepted {REPEATS} calls to {shards}, and then refused: {refusal}")),
    };
    context.compare(SAME_COUNT.id, is_expected, seen);
    Ok(())
}

const CALL: &str = "UpdateShardCount";

type Answer = Result<UpdateShardCountOutput, Refusal>;

/// Asks for this number of shards until AWS does not refuse the rate of calls.
///
/// # Errors
/// As [`told`].
pub(super) async fn update(context: &Context, stream: &str, shards: u32) -> Tried<Answer> {
    told(&context.time, CALL, async || attempt(context, stream, shards).await).await
}

/// The same, seconds after AWS accepted such a call. AWS can have the words of a rate also for a limit of a day. What
/// stays for a minute is no rate, because the step makes no other calls.
///
/// # Errors
/// As [`told`].
pub(super) async fn update_once_more(context: &Context, stream: &str, shards: u32) -> Tried<Answer> {
    let answer = again(&context.time, async || attempt(context, stream, shards).await).await?;
    let is_limit = |refusal: &Refusal| refusal.code == "LimitExceededException" && !refusal.is_of_quota();
    match answer {
        Err(refusal) if refusal.is_of_account() && !is_limit(&refusal) => Err(refused(CALL, &refusal)),
        answer => Ok(answer),
    }
}

/// Asks for this number of shards, once.
async fn attempt(context: &Context, stream: &str, shards: u32) -> Tried<Answer> {
    let target = i32::try_from(shards).unwrap_or(i32::MAX);
    let update = context.clients.once.update_shard_count().stream_name(stream).target_shard_count(target);
    answered(CALL, update.scaling_type(ScalingType::UniformScaling).send().await)
}
