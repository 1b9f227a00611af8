//! Whether a tag can be written while AWS reshards.

use super::shard_limits::update;
use crate::prove::again::told;
use crate::prove::context::Context;
use crate::prove::step::{Fact, Step, Use};
use crate::prove::trouble::{Tried, Trouble, answered, refused};
use aws_sdk_kinesis::types::StreamStatus;

const TAG: Fact = Fact {
    id: "tag-while-updating",
    expected: "`TagResource` is accepted while a stream is `UPDATING`.",
    source: "The API reference of `TagResource` lists `ResourceInUseException`, and not the states.",
};

pub(super) static STEP: Step = Step {
    name: "tag-updating",
    about: "Reshards a stream 1 → 2, and writes a tag meanwhile.",
    facts: &[TAG],
    minutes: 2,
    uses: Use { shards: 3, records: 0, other_usd: 0.0, each_stream_usd: 0.0 },
    records_all_writes: false,
    flag: None,
    run: |context| Box::pin(run(context)),
};

async fn run(context: &Context) -> Tried<()> {
    let stream = context.stream("", 1).await?;
    let arn = context.state(&stream).await?.arn;
    if let Err(refusal) = update(context, &stream, 2).await? {
        return Err(refused("the reshard 1 → 2", &refusal));
    }
    let before = context.state(&stream).await?.status;
    let tag = context.clients.once.tag_resource().resource_arn(&arn).tags("unthrottle.prove-updating", "1");
    let tag = async || answered("TagResource", tag.clone().send().await);
    let answer = told(&context.time, "TagResource", tag).await?;
    let after = context.state(&stream).await?.status;
    match answer {
        Err(refusal) => context.compare(TAG.id, false, refusal.to_string()),
        Ok(_) if [&before, &after] == [&StreamStatus::Updating; 2] => {
            context.compare(TAG.id, true, "accepted, and the stream was UPDATING before and after the call");
        }
        Ok(_) => {
            return Err(Trouble::NotAvailable(format!(
                "the tag was accepted, and the stream was {before} before it and {after} after it. The step needs an \
                 account whose reshards last longer than two calls"
            )));
        }
    }
    Ok(())
}
