//! `unthrottle pause` and `unthrottle resume`: switch off and on what starts a deployed unthrottle.

use crate::CliError;
use crate::aws::{AwsArgs, called, clock};
use crate::consent::Consent;
use crate::screen::{Console, print_json};
use aws_sdk_eventbridge::types::RuleState;
use aws_sdk_resourcegroupstagging::types::TagFilter;
use aws_sdk_scheduler::types::ScheduleState;
use chrono::TimeDelta;
use serde::Serialize;
use unthrottle::aws::Cause;

/// The tag of the rules and the schedule groups that start a deployed unthrottle. The value is the name of the stack.
pub const STACK_TAG: &str = "unthrottle:stack";

/// The oldest `StartDate` that an update of a schedule may have. AWS refuses an older one, even if it does not change.
/// An older date has no effect any more, so the update leaves it out.
const OLDEST_START: TimeDelta = TimeDelta::minutes(5);

#[derive(clap::Args)]
#[command(next_line_help = true)]
pub(super) struct Args {
    /// Only the stack of this name: the value of the tag unthrottle:stack
    #[arg(long, value_name = "NAME")]
    stack: Option<String>,
    /// List the rules and schedules, and change nothing
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    aws: AwsArgs,
    /// Print the rules and schedules as JSON
    #[arg(long)]
    json: bool,
}

/// The state after the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    Paused,
    Resumed,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            State::Paused => "paused",
            State::Resumed => "resumed",
        }
    }

    fn would(self) -> &'static str {
        match self {
            State::Paused => "would pause",
            State::Resumed => "would resume",
        }
    }

    fn ask(self) -> &'static str {
        match self {
            State::Paused => "Pause",
            State::Resumed => "Resume",
        }
    }

    fn of_schedule(self) -> ScheduleState {
        match self {
            State::Paused => ScheduleState::Disabled,
            State::Resumed => ScheduleState::Enabled,
        }
    }
}

/// The rules and schedules that have the state now.
#[derive(Serialize)]
struct Switched {
    state: State,
    /// As in their ARNs: `NAME`, or `BUS/NAME` on another bus than the default.
    rules: Vec<String>,
    /// As in their ARNs: `GROUP/NAME`.
    schedules: Vec<String>,
}

/// The rules and groups with the tag. The names are those of the ARNs.
#[derive(Default)]
pub(super) struct Found {
    rules: Vec<String>,
    pub(super) groups: Vec<String>,
}

pub(super) async fn run(args: Args, to: State) -> Result<(), CliError> {
    let config = args.aws.config().await?;
    let region = config.region().map(ToString::to_string).unwrap_or_default();
    let found = find(&aws_sdk_resourcegroupstagging::Client::new(&config), args.stack.as_deref()).await?;
    if found.rules.is_empty() && found.groups.is_empty() {
        let tag = args.stack.as_ref().map_or_else(|| STACK_TAG.to_owned(), |name| format!("{STACK_TAG}={name}"));
        return Err(CliError::Missing(format!(
            "no EventBridge rule and no Scheduler group of this account in {region} carries the tag {tag}"
        )));
    }
    let mut work = Work {
        to,
        console: Console::new(args.json),
        switched: Switched { state: to, rules: vec![], schedules: vec![] },
        failures: 0,
    };
    let scheduler = aws_sdk_scheduler::Client::new(&config);
    let schedules = work.list_schedules(&scheduler, found.groups).await?;
    if !args.consent.is_given() {
        let all = found.rules.len() + schedules.len();
        for rule in &found.rules {
            work.console.step(&format!("{} rule {rule}", to.would()))?;
        }
        for (group, name) in &schedules {
            work.console.step(&format!("{} schedule {group}/{name}", to.would()))?;
        }
        if args.dry_run {
            return Ok(work.console.result(true, "nothing was changed.")?);
        }
        args.consent.ask(&format!("{} all {all} now?", to.ask()))?;
    }
    work.switch_rules(&aws_sdk_eventbridge::Client::new(&config), found.rules).await?;
    work.switch_schedules(&scheduler, schedules).await?;
    work.end(&args)
}

/// Finds the rules and the schedule groups that carry the tag.
pub(super) async fn find(
    tagging: &aws_sdk_resourcegroupstagging::Client,
    stack: Option<&str>,
) -> Result<Found, CliError> {
    let filter = TagFilter::builder().key(STACK_TAG).set_values(stack.map(|name| vec![name.to_owned()]));
    let get = tagging.get_resources().tag_filters(filter.build());
    let get = get.resource_type_filters("events:rule").resource_type_filters("scheduler:schedule-group");
    let mut pages = get.into_paginator().send();
    let mut found = Found::default();
    while let Some(page) = pages.next().await {
        let page = called("GetResources", page)?;
        for arn in page.resource_tag_mapping_list().iter().filter_map(|mapping| mapping.resource_arn()) {
            // arn:PARTITION:SERVICE:REGION:ACCOUNT:KIND/NAME
            match arn.splitn(6, ':').nth(5).and_then(|resource| resource.split_once('/')) {
                Some(("rule", name)) => found.rules.push(name.to_owned()),
                Some(("schedule-group", name)) => found.groups.push(name.to_owned()),
                _ => {}
            }
        }
    }
    Ok(found)
}

/// What happened to a rule or a schedule.
enum Step {
    Switched,
    /// It had the state before.
    Already,
}

/// The command at work. A failure does not stop the rest.
struct Work {
    to: State,
    console: Console,
    switched: Switched,
    failures: usize,
}

impl Work {
    async fn switch_rules(&mut self, events: &aws_sdk_eventbridge::Client, rules: Vec<String>) -> Result<(), CliError> {
        for path in rules {
            // Rules have no slash in their names, partner buses have.
            let (bus, name) = path.rsplit_once('/').map_or((None, path.as_str()), |(bus, name)| (Some(bus), name));
            let bus = bus.map(str::to_owned);
            // Who may not describe a rule switches it all the same.
            let now = events.describe_rule().name(name).set_event_bus_name(bus.clone()).send().await.ok();
            let is_disabled = now.and_then(|rule| rule.state).map(|state| state == RuleState::Disabled);
            let done = match (self.to, is_disabled) {
                (State::Paused, Some(true)) | (State::Resumed, Some(false)) => Ok(Step::Already),
                (State::Paused, _) => {
                    let call = events.disable_rule().name(name).set_event_bus_name(bus).send();
                    call.await.map(|_| Step::Switched).map_err(Cause::of)
                }
                (State::Resumed, _) => {
                    let call = events.enable_rule().name(name).set_event_bus_name(bus).send();
                    call.await.map(|_| Step::Switched).map_err(Cause::of)
                }
            };
            if self.show("rule", &path, done)? {
                self.switched.rules.push(path);
            }
        }
        Ok(())
    }

    /// The schedules of the groups: each with its group and its name.
    async fn list_schedules(
        &mut self,
        scheduler: &aws_sdk_scheduler::Client,
        groups: Vec<String>,
    ) -> Result<Vec<(String, String)>, CliError> {
        let mut found = vec![];
        for group in groups {
            let mut pages = scheduler.list_schedules().group_name(&group).into_paginator().items().send();
            while let Some(schedule) = pages.next().await {
                match schedule {
                    Ok(schedule) => found.push((group.clone(), schedule.name().unwrap_or_default().to_owned())),
                    Err(error) => {
                        self.show("schedules of the group", &group, Err(Cause::of(error)))?;
                        break;
                    }
                }
            }
        }
        Ok(found)
    }

    async fn switch_schedules(
        &mut self,
        scheduler: &aws_sdk_scheduler::Client,
        schedules: Vec<(String, String)>,
    ) -> Result<(), CliError> {
        for (group, name) in schedules {
            let done = switch_schedule(scheduler, &group, &name, &self.to.of_schedule()).await;
            let path = format!("{group}/{name}");
            if self.show("schedule", &path, done)? {
                self.switched.schedules.push(path);
            }
        }
        Ok(())
    }

    /// Shows the result for one rule or schedule. Returns whether it has the state now.
    fn show(&mut self, kind: &str, name: &str, done: Result<Step, Cause>) -> Result<bool, CliError> {
        let word = self.to.word();
        match &done {
            Ok(Step::Switched) => self.console.step(&format!("{word} {kind} {name}"))?,
            Ok(Step::Already) => self.console.step(&format!("already {word}: {kind} {name}"))?,
            Err(cause) => {
                self.console.step(&format!("not {word}: {kind} {name}: {cause}"))?;
                self.failures += 1;
            }
        }
        Ok(done.is_ok())
    }

    fn end(mut self, args: &Args) -> Result<(), CliError> {
        if args.json {
            print_json(&self.switched)?;
        }
        if self.failures > 0 {
            return Err(CliError::Partly(format!("{} could not be {}", self.failures, self.to.word())));
        }
        let stack = args.stack.as_ref().map_or_else(String::new, |name| format!(" --stack {name}"));
        let text = match self.to {
            State::Paused => {
                format!(
                    "nothing wakes it now. Changes under way go on, and a sweep that is running may make more for up \
                     to five minutes. `unthrottle resume{stack} --yes` undoes this."
                )
            }
            State::Resumed => format!("it is awake again. `unthrottle pause{stack} --yes` undoes this."),
        };
        self.console.result(true, &text)?;
        Ok(())
    }
}

/// Sets the state of one schedule, if it has another. An update replaces the whole schedule, so everything else is sent
/// again as it is.
async fn switch_schedule(
    scheduler: &aws_sdk_scheduler::Client,
    group: &str,
    name: &str,
    to: &ScheduleState,
) -> Result<Step, Cause> {
    let now = scheduler.get_schedule().group_name(group).name(name).send().await.map_err(Cause::of)?;
    if now.state() == Some(to) {
        return Ok(Step::Already);
    }
    let oldest = (clock().now() - OLDEST_START).timestamp();
    let update = scheduler
        .update_schedule()
        .group_name(group)
        .name(name)
        .state(to.clone())
        .set_schedule_expression(now.schedule_expression)
        .set_schedule_expression_timezone(now.schedule_expression_timezone)
        .set_start_date(now.start_date.filter(|date| date.secs() > oldest))
        .set_end_date(now.end_date)
        .set_description(now.description)
        .set_kms_key_arn(now.kms_key_arn)
        .set_target(now.target)
        .set_flexible_time_window(now.flexible_time_window)
        .set_action_after_completion(now.action_after_completion);
    update.send().await.map(|_| Step::Switched).map_err(Cause::of)
}
