//! `unthrottle plan`: schedules that plan shards for a stream, at EventBridge Scheduler.

mod cron;
mod deployed;
mod duration;
mod next;

use crate::CliError;
use crate::aws::{AwsArgs, called, is_local_account, refused};
use crate::consent::Consent;
use crate::pause;
use crate::screen::{Console, print_json};
use crate::streams::find_stream;
use aws_sdk_scheduler::operation::get_schedule::GetScheduleOutput;
use aws_sdk_scheduler::types::{FlexibleTimeWindow, FlexibleTimeWindowMode, RetryPolicy, Target};
use chrono_tz::Tz;
use deployed::Deployed;
use md5::{Digest as _, Md5};
use serde::Serialize;
use serde_json::json;
use unthrottle::aws::Clients;
use unthrottle_core::signal::StreamArn;
use unthrottle_core::words::many;

/// How the name of each schedule of ours begins. The sweep's schedule has another name.
const PREFIX: &str = "plan-";

/// The longest name of a schedule (API reference of CreateSchedule).
const MAX_NAME: usize = 64;

/// The function ends the plan that runs when it is asked for this number of shards.
const ENDS_A_PLAN: u32 = 1;

/// Scheduler tries a failed invocation again for this long, in seconds. A plan that comes an hour late still helps; one
/// that comes a day late is the next day's.
const TRIED_FOR_SECONDS: i32 = 3_600;

/// What Scheduler puts in the place of this word: the time for which the invocation was scheduled.
const SCHEDULED_TIME: &str = "<aws.scheduler.scheduled-time>";

#[derive(clap::Args)]
#[command(next_line_help = true)]
pub(super) struct Args {
    /// The stream's name or ARN
    #[arg(required_unless_present_any = ["list", "delete"])]
    stream: Option<String>,
    /// The fewest shards that the stream should have, 2 or more
    #[arg(long, value_name = "SHARDS", value_parser = clap::value_parser!(u32).range(1..=10_000),
          required_unless_present_any = ["list", "delete"])]
    at_least: Option<u32>,
    #[arg(
        long,
        value_name = "EXPRESSION",
        required_unless_present_any = ["list", "delete"],
        help = "When the plan begins: minutes, hours, day of month, month, day of \
                week, year, such as \"0 8 ? * MON-FRI *\""
    )]
    cron: Option<String>,
    /// The time zone of the expression, such as Europe/Berlin
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    timezone: String,
    /// How long the plan lasts, such as 90m, 10h or 2d; at most 31d
    #[arg(long = "for", value_name = "DURATION", required_unless_present_any = ["list", "delete"])]
    lasts: Option<String>,
    /// Say what would be created or deleted, and change nothing
    #[arg(long, conflicts_with_all = ["list", "yes"])]
    dry_run: bool,
    #[command(flatten)]
    consent: Consent,
    /// List the plans
    #[arg(long, conflicts_with_all = ["stream", "at_least", "cron", "lasts", "delete"])]
    list: bool,
    /// Delete the plan of this name, as --list shows it
    #[arg(long, value_name = "NAME", conflicts_with_all = ["stream", "at_least", "cron", "lasts"])]
    delete: Option<String>,
    /// The stack of this name: the value of the tag unthrottle:stack
    #[arg(long, value_name = "NAME")]
    stack: Option<String>,
    #[command(flatten)]
    aws: AwsArgs,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// The version of a plan in JSON.
const VERSION: u32 = 1;

/// A schedule that plans shards.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct Plan {
    /// The version of this format. New versions only add fields.
    version: u32,
    name: String,
    group: String,
    cron: String,
    timezone: String,
    /// `ENABLED` or `DISABLED`.
    state: String,
    /// The ask that the function gets each time.
    ask: serde_json::Value,
}

pub(super) async fn run(args: Args) -> Result<(), CliError> {
    // What the arguments alone show wrong is found before any call.
    let wanted = Wanted::of(&args)?;
    let config = args.aws.config().await?;
    let scheduler = aws_sdk_scheduler::Client::new(&config);
    let group = group(&aws_sdk_resourcegroupstagging::Client::new(&config), args.stack.as_deref()).await?;
    if args.list {
        return list(&scheduler, &group, args.json).await;
    }
    if let Some(name) = &args.delete {
        return delete(&scheduler, &group, name, &args).await;
    }
    let Some(wanted) = wanted else { return Ok(()) };
    let clients = Clients::new(&config);
    let stream = find_stream(&clients.kinesis, &wanted.stream).await?;
    let target = sweep_target(&scheduler, &group).await?;
    let deployed = Deployed::read(&aws_sdk_lambda::Client::new(&config), target.arn()).await?;
    let observes = deployed.takes(&clients, &stream, wanted.at_least).await?;
    for note in deployed.unread.iter().chain(&observes) {
        Console::new(args.json).step(note)?;
    }
    wanted.create(&scheduler, &group, &stream, target, &args).await
}

/// What the arguments ask for.
struct Wanted {
    stream: String,
    at_least: u32,
    cron: String,
    timezone: Tz,
    minutes: u32,
    lasts: String,
}

impl Wanted {
    /// `None`: plans are listed or deleted.
    ///
    /// # Errors
    /// The argument that cannot be used.
    fn of(args: &Args) -> Result<Option<Wanted>, CliError> {
        let (Some(stream), Some(at_least), Some(cron), Some(lasts)) =
            (&args.stream, args.at_least, &args.cron, &args.lasts)
        else {
            return Ok(None);
        };
        if at_least == ENDS_A_PLAN {
            return Err(CliError::Usage(
                "--at-least 1: every stream has one shard, and the function takes an ask of 1 as the end of the plan \
                 that runs. Give 2 or more. To stop a schedule: unthrottle plan --delete NAME"
                    .into(),
            ));
        }
        let timezone: Tz = args.timezone.parse().map_err(|_| {
            CliError::Usage(format!(
                "--timezone {}: no time zone of the IANA database has this name. Use one such as Europe/Berlin or UTC",
                args.timezone
            ))
        })?;
        let expression = cron::expression(cron).map_err(|problem| CliError::Usage(format!("--cron: {problem}")))?;
        if !next::has_next(&expression, chrono::Utc::now().with_timezone(&timezone).naive_local()) {
            return Err(CliError::Usage(format!(
                "--cron: `{cron}` has no time to come, so the plan would never begin"
            )));
        }
        Ok(Some(Wanted {
            stream: stream.clone(),
            at_least,
            cron: expression,
            timezone,
            minutes: duration::minutes(lasts)?,
            lasts: lasts.clone(),
        }))
    }

    /// The ask that the function gets each time.
    fn ask(&self, stream: &StreamArn) -> serde_json::Value {
        json!({
            "stream": stream.name,
            "at_least": self.at_least,
            "from": SCHEDULED_TIME,
            "for_minutes": self.minutes,
        })
    }

    /// The name of the schedule. The same stream, time and zone give the same name, so that a repeat is found.
    fn name(&self, stream: &StreamArn) -> String {
        let digest = Md5::digest(format!("{} {} {}", stream.name, self.cron, self.timezone.name()));
        let digest: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        let room = MAX_NAME - PREFIX.len() - digest.len() - 1;
        let stream: String = stream.name.chars().take(room).collect();
        format!("{PREFIX}{stream}-{digest}")
    }

    async fn create(
        &self,
        scheduler: &aws_sdk_scheduler::Client,
        group: &str,
        stream: &StreamArn,
        target: Target,
        args: &Args,
    ) -> Result<(), CliError> {
        let plan = Plan {
            version: VERSION,
            name: self.name(stream),
            group: group.into(),
            cron: self.cron.clone(),
            timezone: self.timezone.name().to_owned(),
            state: "ENABLED".into(),
            ask: self.ask(stream),
        };
        let Plan { name, cron, timezone, .. } = &plan;
        let begin = if args.consent.is_given() { "the plan" } else { "would create the plan" };
        // JSON without consent is only a dry run: its steps are the document.
        let mut console = Console::new(args.json);
        if !args.json || !args.dry_run {
            console.step(&format!("{begin} {name}"))?;
            console.step(&format!("when: {cron} in {timezone}"))?;
            let shards = many(self.at_least, "shard");
            console.step(&format!("what: at least {shards} of {} for {}", stream.name, self.lasts))?;
            let function = target.arn().rsplit(':').next().unwrap_or_default();
            console.step(&format!("function: {function}; schedule group: {group}"))?;
            if is_local_account() {
                console.step("note: the local account runs no schedules. It keeps the plan, and asks for no shards")?;
            }
        }
        if !args.dry_run {
            args.consent.ask("Create it now?")?;
            schedule(scheduler, &plan, &target).await?;
        }
        if args.json {
            return Ok(print_json(&plan)?);
        }
        let end = match args.dry_run {
            true => "nothing was created.".to_owned(),
            false => format!("created. `unthrottle plan --delete {name} --yes` undoes this."),
        };
        Ok(console.result(true, &end)?)
    }
}

/// Creates the schedule of a plan. It invokes the function as `target` does.
async fn schedule(scheduler: &aws_sdk_scheduler::Client, plan: &Plan, target: &Target) -> Result<(), CliError> {
    let late = |error: aws_sdk_scheduler::error::BuildError| CliError::Late(error.to_string());
    let window = FlexibleTimeWindow::builder().mode(FlexibleTimeWindowMode::Off).build().map_err(late)?;
    let retries = RetryPolicy::builder().maximum_event_age_in_seconds(TRIED_FOR_SECONDS).build();
    let target = Target::builder().arn(target.arn()).role_arn(target.role_arn());
    let target = target.input(plan.ask.to_string()).retry_policy(retries).build().map_err(late)?;
    let Plan { name, group, cron, timezone, .. } = plan;
    let call = scheduler.create_schedule().group_name(group).name(name).target(target);
    let call = call.schedule_expression(cron).schedule_expression_timezone(timezone);
    let call = call.flexible_time_window(window).description("Plans shards of a Kinesis stream");
    match call.send().await {
        Ok(_) => Ok(()),
        Err(error) if error.as_service_error().is_some_and(|error| error.is_conflict_exception()) => {
            Err(CliError::Usage(format!(
                "the plan {name} is there already. Delete it first: unthrottle plan --delete {name}"
            )))
        }
        Err(error) => Err(refused("CreateSchedule", error)),
    }
}

/// The schedule group of the deployed function.
async fn group(tagging: &aws_sdk_resourcegroupstagging::Client, stack: Option<&str>) -> Result<String, CliError> {
    let mut groups = pause::find(tagging, stack).await?.groups;
    match (groups.pop(), groups.is_empty()) {
        (Some(group), true) => Ok(group),
        (Some(_), false) => Err(CliError::Usage(
            "more than one unthrottle is deployed here: name the stack with --stack, the value of its tag \
             unthrottle:stack"
                .into(),
        )),
        (None, _) => Err(CliError::Missing(format!(
            "no schedule group of this account and region carries the tag {}: deploy unthrottle first",
            pause::STACK_TAG
        ))),
    }
}

/// The function and the role of the sweep's schedule. A plan invokes the same function by the same role.
async fn sweep_target(scheduler: &aws_sdk_scheduler::Client, group: &str) -> Result<Target, CliError> {
    for name in names(scheduler, group).await? {
        if name.starts_with(PREFIX) {
            continue;
        }
        let schedule = called("GetSchedule", scheduler.get_schedule().group_name(group).name(&name).send().await)?;
        if let Some(target) = schedule.target {
            return Ok(target);
        }
    }
    Err(CliError::Missing(format!("the schedule group {group} has no schedule of the sweep: deploy unthrottle again")))
}

async fn names(scheduler: &aws_sdk_scheduler::Client, group: &str) -> Result<Vec<String>, CliError> {
    let mut pages = scheduler.list_schedules().group_name(group).into_paginator().items().send();
    let mut names = vec![];
    while let Some(schedule) = pages.next().await {
        names.extend(called("ListSchedules", schedule)?.name().map(str::to_owned));
    }
    Ok(names)
}

async fn list(scheduler: &aws_sdk_scheduler::Client, group: &str, json: bool) -> Result<(), CliError> {
    let mut plans = vec![];
    for name in names(scheduler, group).await?.into_iter().filter(|name| name.starts_with(PREFIX)) {
        let schedule = called("GetSchedule", scheduler.get_schedule().group_name(group).name(&name).send().await)?;
        plans.push(Plan::of(name, group, &schedule));
    }
    if json {
        return Ok(print_json(&plans)?);
    }
    let mut console = Console::new(false);
    for Plan { name, cron, timezone, state, ask, .. } in &plans {
        let (stream, shards) = (ask["stream"].as_str().unwrap_or("?"), ask["at_least"].as_u64().unwrap_or_default());
        let minutes = ask["for_minutes"].as_u64().unwrap_or_default();
        let off = if state == "ENABLED" { "" } else { " (paused)" };
        console.step(&format!("{name}{off}"))?;
        console.step(&format!(
            "  at least {} of {stream} for {}: {cron} in {timezone}",
            many(shards, "shard"),
            duration::in_words(minutes)
        ))?;
    }
    let end = if plans.is_empty() { "no plans." } else { "`unthrottle plan --delete NAME` deletes one." };
    Ok(console.result(true, end)?)
}

impl Plan {
    fn of(name: String, group: &str, schedule: &GetScheduleOutput) -> Plan {
        let input = schedule.target().and_then(|target| target.input()).unwrap_or_default();
        Plan {
            version: VERSION,
            name,
            group: group.into(),
            cron: schedule.schedule_expression().unwrap_or_default().into(),
            timezone: schedule.schedule_expression_timezone().unwrap_or("UTC").into(),
            state: schedule.state().map(|state| state.as_str().to_owned()).unwrap_or_default(),
            ask: serde_json::from_str(input).unwrap_or_default(),
        }
    }
}

async fn delete(scheduler: &aws_sdk_scheduler::Client, group: &str, name: &str, args: &Args) -> Result<(), CliError> {
    if !name.starts_with(PREFIX) {
        return Err(CliError::Usage(format!("`{name}` is no plan: the names of plans begin with {PREFIX}")));
    }
    if !args.consent.is_given() {
        let mut console = Console::new(args.json);
        console.step(&format!("would delete the plan {name} of the schedule group {group}"))?;
        if args.dry_run {
            return Ok(console.result(true, "nothing was deleted.")?);
        }
        args.consent.ask("Delete it now?")?;
    }
    let deleted = scheduler.delete_schedule().group_name(group).name(name).send().await;
    if let Err(error) = deleted {
        let is_missing = error.as_service_error().is_some_and(|error| error.is_resource_not_found_exception());
        return Err(match is_missing {
            true => CliError::Missing(format!("no plan is called {name}. `unthrottle plan --list` lists the plans")),
            false => refused("DeleteSchedule", error),
        });
    }
    if args.json {
        return Ok(print_json(&json!({ "deleted": name }))?);
    }
    let text = format!("deleted {name}. A plan that a stream has taken stays until its end.");
    Ok(Console::new(false).result(true, &text)?)
}
