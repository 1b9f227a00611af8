//! The deployed stack: from the first refused record to the last one.

use crate::prove::again::told;
use crate::prove::context::Context;
use crate::prove::flood::{self, A_ROUND, Answers};
use crate::prove::step::{Fact, Step, Use, Verdict};
use crate::prove::trouble::{Tried, Trouble, answered, done, refused};
use aws_sdk_kinesis::types::StreamStatus;
use aws_sdk_lambda::config::retry::RetryConfig;
use aws_sdk_lambda::config::timeout::TimeoutConfig;
use aws_sdk_lambda::primitives::Blob;
use serde_json::Value;
use std::collections::HashMap;
use std::time::{Duration, Instant};
use unthrottle_core::policy::MODE_TAG;

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

/// The tag with which the role may change the stream, also with `Scope=tagged`. It replaces that of the other steps.
const TAG: (&str, &str) = (MODE_TAG, "heal");

/// The variable with the function's mode. Its strictest value applies: no tag makes an observing function heal.
const MODE: &str = "UNTHROTTLE_MODE";

/// The variable with the names of the function's fleet alarms.
const ALARMS: &str = "UNTHROTTLE_FLEET_ALARMS";

/// The call of a sweep that reads a fleet alarm. A failure of a sweep names it.
const READ: &str = "DescribeAlarmContributors";

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
    let variables = variables(context, function).await?;
    match variables.as_ref().and_then(|variables| variables.get(MODE)) {
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
    let has_no_alarm = variables.is_some_and(|variables| variables.get(ALARMS).is_none_or(String::is_empty));
    let document = sweep(context, function).await?;
    of_the_role(context, &document, has_no_alarm)
}

type Variables = HashMap<String, String>;

/// The variables of the deployed function. `None`: the endpoint has no Lambda.
async fn variables(context: &Context, function: &str) -> Tried<Option<Variables>> {
    const CALL: &str = "GetFunctionConfiguration";
    let get = context.clients.lambda.get_function_configuration().function_name(function);
    match told(&context.time, CALL, async || answered(CALL, get.clone().send().await)).await {
        Ok(Ok(answer)) => Ok(Some(answer.environment.and_then(|it| it.variables).unwrap_or_default())),
        Ok(Err(refusal)) if refusal.code == "ResourceNotFoundException" => {
            Err(Trouble::NotAvailable(format!("{FLAG}: no function `{function}`: {refusal}")))
        }
        Ok(Err(refusal)) => Err(refused(CALL, &refusal)),
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
        (None, _) => {
            let seen = format!(
                "AWS refused no record in {minutes} min. The step needs an account that limits a shard, and a \
                 connection that carries more"
            );
            context.found(HEALS.id, Verdict::NotAvailable, seen);
            return Ok(());
        }
        (_, None) => format!("the stream still has 1 shard after {minutes} min"),
        (_, Some((_, shards))) => format!("{shards} shards, and refusals up to the end, {minutes} min"),
    };
    context.found(HEALS.id, Verdict::Different, seen);
    Ok(())
}

/// Asks the function for a sweep, and returns its document.
async fn sweep(context: &Context, function: &str) -> Tried<Value> {
    let payload = Blob::new(r#"{"sweep": true}"#);
    let invoke = context.clients.lambda.invoke().function_name(function).payload(payload);
    let limits = TimeoutConfig::builder().operation_attempt_timeout(SWEEP).build();
    let once = aws_sdk_lambda::config::Builder::new().retry_config(RetryConfig::disabled()).timeout_config(limits);
    let invoke = async || {
        let invoke = invoke.clone().customize().config_override(once.clone());
        answered("Invoke", invoke.send().await)
    };
    let answer = told(&context.time, "Invoke", invoke).await?.map_err(|refusal| refused("Invoke", &refusal))?;
    let payload = answer.payload().map(|payload| payload.as_ref().to_vec()).unwrap_or_default();
    let document: Value = serde_json::from_slice(&payload)
        .map_err(|error| Trouble::Failed(format!("the function answered no document: {error}")))?;
    if answer.function_error().is_some() || document["outcome"] != "swept" {
        return Err(Trouble::Failed(format!("the function answered: {document}")));
    }
    Ok(document)
}

/// Reads in the document of a sweep whether the function could read its alarms. `queried` alone does not say it: a
/// sweep asks CloudWatch at most every five minutes, also where it cannot read an alarm, and also asks for a full one.
///
/// # Errors
/// The function could not read an alarm, and nothing denied it.
fn of_the_role(context: &Context, document: &Value, has_no_alarm: bool) -> Tried<()> {
    let seen = document["sentence"].as_str().unwrap_or("a sweep without a sentence");
    let failures = document["failed"].as_array().into_iter().flatten();
    let errors = failures.filter_map(|failure| failure["error"].as_str());
    let unread: Vec<&str> = errors.filter(|error| error.contains(READ)).collect();
    let (is_queried, with_errors) = (|why| document["queried"] == why, format!("{seen} Failed: {}", unread.join("; ")));
    if unread.iter().any(|error| is_denied(error)) {
        context.found(READS.id, Verdict::Different, with_errors);
    } else if !unread.is_empty() || is_queried("alarm_failed") {
        return Err(Trouble::Failed(with_errors));
    } else if has_no_alarm || is_queried("no_alarm") {
        let seen = format!("the function has no fleet alarm: {ALARMS} names none");
        context.found(READS.id, Verdict::NotAvailable, seen);
    } else {
        context.found(READS.id, Verdict::Seen, seen);
    }
    Ok(())
}

/// Whether an error of the function is a denial, and not a slow network or a refused rate of calls.
fn is_denied(error: &str) -> bool {
    let error = error.to_ascii_lowercase();
    error.contains("denied") || error.contains("not authorized to perform")
}
