//! The deployed stack: from the first refused record to the last one.

use crate::prove::context::Context;
use crate::prove::flood::{self, A_ROUND, Answers};
use crate::prove::step::{Fact, Step, Use, Verdict};
use crate::prove::trouble::{Tried, Trouble, answered, done};
use aws_sdk_kinesis::types::StreamStatus;
use aws_sdk_lambda::config::retry::RetryConfig;
use aws_sdk_lambda::config::timeout::TimeoutConfig;
use aws_sdk_lambda::primitives::Blob;
use serde_json::Value;
use std::time::{Duration, Instant};

const HEALS: Fact = Fact {
    id: "stack-heals",
    expected: "The deployed function adds shards to a throttled stream, and the refusals stop, within ten minutes.",
    source: "The limits of the steps that it needs: alarm, run and reshard.",
};
const READS: Fact = Fact {
    id: "deployed-role",
    expected: "A sweep with the deployed role reads the contributors of its alarms.",
    source: "The role in `template.yaml`, and the API reference of `DescribeAlarmContributors`.",
};

const FLAG: &str = "--with-stack";

/// The longest load. The alarm needs up to three minutes, and a reshard under one.
const LIMIT: Duration = Duration::from_secs(10 * 60);

/// The time without a refusal after which the stream is healed.
const QUIET: Duration = Duration::from_secs(30);

/// The tag with which the role may change the stream, also with `Scope=tagged`.
const TAG: (&str, &str) = ("unthrottle.mode", "heal");

/// The variable with the function's mode. Its strictest value applies: no tag makes an observing function heal.
const MODE: &str = "UNTHROTTLE_MODE";

/// The longest sweep: the time limit of the function in template.yaml, and some seconds for the way. A second attempt
/// would start a second sweep.
const SWEEP: Duration = Duration::from_secs(310);

pub(super) static STEP: Step = Step {
    name: "stack",
    about: "Throttles a stream until the deployed function has healed it, and asks the function for a sweep.",
    facts: &[HEALS, READS],
    minutes: 13,
    // A round a second.
    uses: Use { shards: 8, records: 600 * A_ROUND, other_usd: 0.01, each_stream_usd: 0.0 },
    records_all_writes: false,
    flag: Some(FLAG),
    run: |context| Box::pin(run(context)),
};

async fn run(context: &Context) -> Tried<()> {
    let Some(function) = context.allowed.function.as_deref() else {
        return Err(Trouble::NotAvailable(format!("give {FLAG} and the name of the deployed function")));
    };
    match mode(context, function).await? {
        Some(mode) if mode != "heal" => {
            let seen = format!("the function has Mode={mode}, and changes no stream: deploy with Mode=heal");
            context.found(HEALS.id, Verdict::NotAvailable, seen);
        }
        _ => {
            let stream = context.stream("", 1).await?;
            let arn = context.state(&stream).await?.arn;
            let tag = context.clients.kinesis.tag_resource().resource_arn(arn).tags(TAG.0, TAG.1);
            done("TagResource", tag.send().await)?;
            heal(context, &stream).await?;
        }
    }
    sweep(context, function).await
}

/// The mode of the deployed function. `None`: its own default, or the endpoint has no Lambda.
async fn mode(context: &Context, function: &str) -> Tried<Option<String>> {
    let get = context.clients.lambda.get_function_configuration().function_name(function);
    match answered("GetFunctionConfiguration", get.send().await) {
        Ok(Ok(answer)) => {
            let variables = answer.environment.and_then(|environment| environment.variables);
            Ok(variables.and_then(|variables| variables.get(MODE).cloned()))
        }
        Ok(Err(refusal)) => Err(Trouble::NotAvailable(format!("{FLAG}: no function `{function}`: {refusal}"))),
        Err(Trouble::NotServed(_)) => Ok(None),
        Err(trouble) => Err(trouble),
    }
}

/// Offers one and a half times what a shard takes, until the stream has healed.
async fn heal(context: &Context, stream: &str) -> Tried<()> {
    let (begin, mut answers) = (Instant::now(), Answers::default());
    let (mut first, mut last, mut changed) = (None, None, None);
    while context.time.since(begin) < LIMIT {
        let (tick, refused) = (Instant::now(), answers.refused);
        flood::overload_of_one(context, stream, &mut answers).await?;
        let now = context.time.since(begin);
        if answers.refused > refused {
            first = first.or(Some(now));
            last = Some(now);
        }
        let state = context.state(stream).await?;
        if state.shards > 1 && state.status == StreamStatus::Active {
            changed = changed.or(Some((now, state.shards)));
        }
        if let (Some(first), Some(last), Some((at, shards))) = (first, last, changed)
            && now.saturating_sub(last.max(at)) > QUIET
        {
            let (at, last) = (at.saturating_sub(first).as_secs(), last.saturating_sub(first).as_secs());
            let seen = format!("{shards} shards {at} s after the first refusal, and the last refusal after {last} s");
            context.found(HEALS.id, Verdict::Seen, seen);
            return Ok(());
        }
        // A second of the machine: a shard takes the same load a second, also in an account with a faster clock.
        tokio::time::sleep(Duration::from_secs(1).saturating_sub(tick.elapsed())).await;
    }
    let minutes = LIMIT.as_secs() / 60;
    let seen = match (first, changed) {
        (None, _) => format!("AWS refused no record in {minutes} min"),
        (_, None) => format!("the stream still has 1 shard after {minutes} min"),
        (_, Some((_, shards))) => format!("{shards} shards, and refusals up to the end, {minutes} min"),
    };
    context.found(HEALS.id, Verdict::Different, seen);
    Ok(())
}

/// Asks the function for a sweep, and reads in its answer whether it could read the alarms.
async fn sweep(context: &Context, function: &str) -> Tried<()> {
    let payload = Blob::new(r#"{"sweep": true}"#);
    let invoke = context.clients.lambda.invoke().function_name(function).payload(payload);
    let limits = TimeoutConfig::builder().operation_attempt_timeout(SWEEP).build();
    let once = aws_sdk_lambda::config::Builder::new().retry_config(RetryConfig::disabled()).timeout_config(limits);
    let answer = done("Invoke", invoke.customize().config_override(once).send().await)?;
    let payload = answer.payload().map(|payload| payload.as_ref().to_vec()).unwrap_or_default();
    let document: Value = serde_json::from_slice(&payload)
        .map_err(|error| Trouble::Failed(format!("the function answered no document: {error}")))?;
    if answer.function_error().is_some() || document["outcome"] != "swept" {
        return Err(Trouble::Failed(format!("the function answered: {document}")));
    }
    let is_read = document["queried"].is_null();
    let seen = document["sentence"].as_str().unwrap_or("a sweep without a sentence");
    let failed = document["failed"].to_string();
    context.compare(READS.id, is_read, if is_read { seen.to_owned() } else { format!("{seen} Failed: {failed}") });
    Ok(())
}
