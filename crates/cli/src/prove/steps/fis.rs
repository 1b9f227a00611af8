//! What the errors that AWS FIS injects look like: to a producer, and in the metric that wakes unthrottle.

use crate::prove::context::{Context, TAG_KEY};
use crate::prove::flood;
use crate::prove::ledger::{Kind, Resource};
use crate::prove::step::{Fact, Step, Use, Verdict};
use crate::prove::trouble::{Refusal, Tried, Trouble, done, unbuilt};
use aws_sdk_cloudwatch::primitives::DateTime as SdkTime;
use aws_sdk_cloudwatch::types::{Dimension, Statistic};
use aws_sdk_fis::types::{
    CreateExperimentTemplateActionInput, CreateExperimentTemplateStopConditionInput,
    CreateExperimentTemplateTargetInput, ExperimentStatus,
};
use chrono::{DateTime, TimeDelta, Utc};
use std::time::{Duration, Instant};

const ERROR: Fact = Fact {
    id: "fis-error",
    expected: "A write to a stream that FIS targets fails with `ProvisionedThroughputExceededException`, though its \
               shard has room.",
    source: "Kinesis's page on FIS.",
};
const METRIC: Fact = Fact {
    id: "fis-metric",
    expected: "`WriteProvisionedThroughputExceeded` does not count the errors that FIS injects.",
    source: "No page of AWS.",
};

const FLAG: &str = "--with-fis";

/// The action, as the example on Kinesis's page has it.
const ACTION: &str = "aws:kinesis:stream-provisioned-throughput-exception";

/// How long FIS injects errors. FIS ends the experiment then, also if nothing stops it.
const INJECTS: &str = "PT3M";
const INJECTS_MINUTES: u64 = 3;

/// The longest wait for the first error: FIS looks for the stream first, and says no time.
const LIMIT: Duration = Duration::from_secs(60 * INJECTS_MINUTES);

/// The time between two writes. A shard takes a thousand records a second, so no refusal is the shard's.
const EVERY: Duration = Duration::from_secs(2);

/// How long the step writes on after the first error: a whole minute of CloudWatch at least in part.
const GOES_ON: Duration = Duration::from_secs(60);

/// How long the metric may come after the last error: as long as `metric-lag` waits for one.
const METRIC_LIMIT: Duration = Duration::from_secs(5 * 60);

/// The time between two reads of the metric.
const METRIC_EVERY: Duration = Duration::from_secs(20);

/// USD for a minute of an action (the pricing page of FIS).
const ACTION_MINUTE: f64 = 0.10;

pub(super) static STEP: Step = Step {
    name: "fis",
    about: "Lets FIS refuse the writes to a stream for three minutes, and looks for them in CloudWatch.",
    facts: &[ERROR, METRIC],
    minutes: 10,
    uses: Use {
        shards: 1,
        records: 100,
        other_usd: ACTION_MINUTE * INJECTS_MINUTES as f64 + 0.01,
        each_stream_usd: 0.0,
    },
    records_all_writes: false,
    flag: Some(FLAG),
    run: |context| Box::pin(run(context)),
};

async fn run(context: &Context) -> Tried<()> {
    let Some(role) = context.allowed.fis_role.as_deref() else {
        return Err(Trouble::NotAvailable(format!(
            "give {FLAG} and the ARN of a role that FIS can take on, and that has kinesis:InjectApiError"
        )));
    };
    let stream = context.stream("", 1).await?;
    let arn = context.state(&stream).await?.arn;
    let template = create(context, role, &arn).await?;
    let start = context.clients.fis.start_experiment().experiment_template_id(&template);
    let started = done("StartExperiment", start.tags(TAG_KEY, context.name("")).send().await)?;
    let experiment = started.experiment.and_then(|experiment| experiment.id);
    let experiment = experiment.ok_or_else(|| Trouble::Failed("StartExperiment gave no experiment".into()))?;
    let Some((refusal, first)) = refused(context, &stream, &experiment).await? else {
        let seen = format!("FIS injected no error within {} s", LIMIT.as_secs());
        context.found(ERROR.id, Verdict::Different, seen.clone());
        return Err(Trouble::NotAvailable(seen));
    };
    let is_expected = refusal.code == "ProvisionedThroughputExceededException";
    context.compare(ERROR.id, is_expected, refusal.to_string());
    if !is_expected {
        return Err(Trouble::NotAvailable(format!("no error of FIS was seen, but {}", refusal.code)));
    }
    go_on(context, &stream).await?;
    metric(context, &stream, first).await
}

/// Creates the template of an experiment that refuses all writes to the stream. Returns its id.
async fn create(context: &Context, role: &str, stream: &str) -> Tried<String> {
    const TARGET: &str = "stream";
    let name = context.name("");
    let target = CreateExperimentTemplateTargetInput::builder()
        .resource_type("aws:kinesis:stream")
        .resource_arns(stream)
        .selection_mode("ALL");
    let action = CreateExperimentTemplateActionInput::builder()
        .action_id(ACTION)
        .parameters("duration", INJECTS)
        .parameters("percentage", "100")
        .parameters("service", "kinesis")
        .targets("KinesisStreams", TARGET);
    let no_stop = CreateExperimentTemplateStopConditionInput::builder().source("none");
    let create = async {
        let (target, action) = (target.build().map_err(unbuilt)?, action.build().map_err(unbuilt)?);
        let no_stop = no_stop.build().map_err(unbuilt)?;
        // A second attempt after a lost answer gets the template of the first one: the token is the name.
        let create = context.clients.fis.create_experiment_template().client_token(&name);
        let create = create.description("unthrottle prove").role_arn(role).tags(TAG_KEY, &name);
        let create = create.targets(TARGET, target).actions("refuse", action);
        let answer = create.stop_conditions(no_stop).send().await;
        let id = done("CreateExperimentTemplate", answer)?.experiment_template.and_then(|template| template.id);
        id.ok_or_else(|| Trouble::Failed("CreateExperimentTemplate gave no id".into()))
    };
    let id = context.create(Kind::Template, &name, create).await?;
    let known = context.ledger.known(&Resource { kind: Kind::Template, name }, &id);
    known.map_err(|error| Trouble::Failed(error.to_string()))?;
    Ok(id)
}

/// Writes until FIS refuses a write. Returns the refusal and its time.
async fn refused(context: &Context, stream: &str, experiment: &str) -> Tried<Option<(Refusal, DateTime<Utc>)>> {
    let begin = Instant::now();
    while context.time.since(begin) < LIMIT {
        if let Some(refusal) = flood::one_record(context, stream).await? {
            return Ok(Some((refusal, context.time.now())));
        }
        let answer = context.clients.fis.get_experiment().id(experiment).send().await;
        let state = done("GetExperiment", answer)?.experiment.and_then(|experiment| experiment.state);
        if let Some(state) = state
            && let Some(status @ (ExperimentStatus::Failed | ExperimentStatus::Cancelled)) = state.status()
        {
            let reason = state.reason().unwrap_or("FIS gives no reason");
            return Err(Trouble::NotAvailable(format!("the experiment is {}: {reason}", status.as_str())));
        }
        context.time.sleep(EVERY).await;
    }
    Ok(None)
}

/// Writes on, so that the metric would have more than one error.
async fn go_on(context: &Context, stream: &str) -> Tried<()> {
    let begin = Instant::now();
    while context.time.since(begin) < GOES_ON {
        // FIS refuses it, or has ended.
        let _ = flood::one_record(context, stream).await?;
        context.time.sleep(EVERY).await;
    }
    Ok(())
}

/// Waits whether CloudWatch counts the errors.
async fn metric(context: &Context, stream: &str, first: DateTime<Utc>) -> Tried<()> {
    let begin = Instant::now();
    while context.time.since(begin) < METRIC_LIMIT {
        let counted = counted(context, stream, first).await?;
        if counted > 0.0 {
            let seen =
                format!("it counts {counted:.0} refused records {} s later", context.time.since(begin).as_secs());
            context.compare(METRIC.id, false, seen);
            return Ok(());
        }
        context.time.sleep(METRIC_EVERY).await;
    }
    let minutes = METRIC_LIMIT.as_secs() / 60;
    context.compare(METRIC.id, true, format!("it counts none of them {minutes} min after the first one"));
    Ok(())
}

/// The refused records of the stream that CloudWatch shows.
async fn counted(context: &Context, stream: &str, first: DateTime<Utc>) -> Tried<f64> {
    let time = |time: DateTime<Utc>| SdkTime::from_secs(time.timestamp());
    let get = context.clients.cloudwatch.get_metric_statistics().namespace("AWS/Kinesis");
    let get = get.metric_name("WriteProvisionedThroughputExceeded").period(60).statistics(Statistic::Sum);
    let get = get.dimensions(Dimension::builder().name("StreamName").value(stream).build());
    let get = get.start_time(time(first - TimeDelta::minutes(1))).end_time(time(context.time.now()));
    let answer = done("GetMetricStatistics", get.send().await)?;
    Ok(answer.datapoints().iter().filter_map(|point| point.sum()).sum())
}
