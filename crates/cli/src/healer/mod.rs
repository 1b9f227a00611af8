//! The unthrottle inside `unthrottle local --heal`: the fleet alarms, the rules and the sweep of template.yaml wake its
//! handler.

mod alarms;
mod trail;

use crate::aws::{called, local_config, local_home};
use crate::screen::{AccountOption, Console, run_on};
use crate::{CliError, STACK_TAG};
use alarms::ALARMS;
use chrono::TimeDelta;
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use unthrottle::aws::{Clients, send_healed};
use unthrottle::handler::{Handler, Reply};
use unthrottle::sweep::{AGAIN_EVERY, Plan, sweep};
use unthrottle_core::clock::Clock as _;
use unthrottle_core::decision::{Outcome, Reason};
use unthrottle_core::policy::Policy;
use unthrottle_core::signal::Signal;
use unthrottle_lab::local::{FailedCall, LocalAccount};

/// The time of the account from one evaluation of the alarms to the next. CloudWatch evaluates each once a minute, at
/// any second of it; this is the mean delay of a few seconds.
const EVALUATE_EVERY: TimeDelta = TimeDelta::seconds(10);

/// The time from one sweep to the next: the default of `SweepMinutes`.
const SWEEP_EVERY: TimeDelta = TimeDelta::minutes(1);

/// The time limit of the function in template.yaml.
const LAMBDA_TIMEOUT: Duration = Duration::from_secs(300);

/// The rule and the schedule that wake it, as the stack of template.yaml has them, so that `unthrottle pause` finds
/// and stops them. The schedule group has the name of the stack.
const RULE: &str = "unthrottle-alarms";
const SCHEDULE: &str = "unthrottle-sweep";
const STACK: &str = "unthrottle";

/// Heals the streams of an account, and prints each decision. Returns only with an error of the output.
pub(crate) async fn run(account: &LocalAccount, policy: Policy) -> Result<(), CliError> {
    ALARMS.iter().for_each(|alarm| alarm.add_to(account));
    account.add_rule(RULE, &[(STACK_TAG, STACK)]);
    account.add_schedule(STACK, &[(STACK_TAG, STACK)], SCHEDULE);
    let option = |flag, value: Option<&str>, of_aws| AccountOption { flag, value: value.map(str::to_owned), of_aws };
    run_on(vec![option("--endpoint-url", Some(account.url()), false), option("--no-sign-request", None, true)]);
    let clients = Clients::new(&local_config(account.url()));
    let handler = Arc::new(Handler::new(clients.clone(), policy).on(account.clock().clone()));
    let (say, mut said) = unbounded_channel();
    let tasks = [
        tokio::spawn(evaluate_alarms(account.clone(), handler.clone(), say.clone())),
        tokio::spawn(take_events(account.clone(), account.failed_calls(), handler.clone(), say.clone())),
        tokio::spawn(sweep_again_and_again(account.clone(), handler, say)),
    ];
    let mut console = Console::new(false);
    let mut repeats = Repeats::default();
    let printed = async {
        while let Some(line) = said.recv().await {
            if repeats.is_new(&line) {
                console.step(&line.text)?;
            }
        }
        Ok(())
    };
    let done = printed.await;
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
    done
}

type Say = UnboundedSender<Line>;

/// A line to print.
struct Line {
    text: String,
    /// The stream of a decision and, of a hold, its code.
    decision: Option<(String, Option<String>)>,
}

impl From<String> for Line {
    fn from(text: String) -> Line {
        Line { text, decision: None }
    }
}

/// The last hold of each stream. Each sweep holds again for the same reason, and the same line once a minute would hide
/// the changes.
#[derive(Default)]
struct Repeats(HashMap<String, Option<String>>);

impl Repeats {
    /// Whether the line says something else than the line before about this stream.
    fn is_new(&mut self, line: &Line) -> bool {
        let Some((stream, hold)) = &line.decision else { return true };
        let before = self.0.insert(stream.clone(), hold.clone());
        hold.is_none() || before.as_ref() != Some(hold)
    }
}

/// Gives the handler an event for each stream that goes into ALARM.
async fn evaluate_alarms(account: LocalAccount, handler: Arc<Handler>, say: Say) {
    let clock = account.clock();
    let mut before: BTreeSet<(usize, String)> = BTreeSet::new();
    loop {
        let mut now = BTreeSet::new();
        for (place, alarm) in ALARMS.iter().enumerate() {
            match contributors(handler.clients(), alarm.name).await {
                Ok(streams) => now.extend(streams.into_iter().map(|stream| (place, stream))),
                Err(error) => drop(say.send(format!("the alarm {} cannot be read: {error}", alarm.name).into())),
            }
        }
        for (place, stream) in now.difference(&before).filter(|_| account.is_enabled(RULE)) {
            let event = ALARMS[*place].event(stream, clock.now());
            tokio::spawn(handle(handler.clone(), event, "alarm", say.clone()));
        }
        before = now;
        clock.sleep_until(clock.now() + EVALUATE_EVERY).await;
    }
}

/// Gives the handler the data events of CloudTrail that the rule matches.
async fn take_events(account: LocalAccount, mut calls: Receiver<FailedCall>, handler: Arc<Handler>, say: Say) {
    loop {
        match calls.recv().await {
            Ok(call) => {
                let Some(event) = trail::event(&call).filter(|_| account.is_enabled(RULE)) else { continue };
                let (handler, say) = (handler.clone(), say.clone());
                tokio::spawn(async move {
                    handler.clock().sleep_until(call.at + trail::DELAY).await;
                    handle(handler, event, "event", say).await;
                });
            }
            // CloudTrail's delivery is best effort, too.
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}

/// The streams in ALARM.
async fn contributors(clients: &Clients, alarm: &str) -> Result<Vec<String>, CliError> {
    let (mut streams, mut token) = (vec![], None);
    loop {
        let call = clients.cloudwatch.describe_alarm_contributors().alarm_name(alarm).set_next_token(token);
        let page = called("DescribeAlarmContributors", call.send().await)?;
        let of = page.alarm_contributors().iter().filter_map(|one| one.contributor_attributes()?.get("StreamName"));
        streams.extend(of.cloned());
        token = page.next_token;
        if token.is_none() {
            return Ok(streams);
        }
    }
}

/// Handles an event, as the Lambda does.
async fn handle(handler: Arc<Handler>, event: Value, woken_by: &str, say: Say) {
    let home = local_home();
    let signal = match Signal::parse(&event, &home) {
        Ok(signal) => signal,
        Err(error) => return drop(say.send(format!("an event cannot be read: {error}").into())),
    };
    match handler.run(&signal, &home).await {
        Ok(reply) => {
            tell(&handler, &say, woken_by, &reply);
            publish(&handler, &reply.lines).await;
        }
        Err(error) => drop(say.send(format!("a run failed: {error}").into())),
    }
}

async fn sweep_again_and_again(account: LocalAccount, handler: Arc<Handler>, say: Say) {
    let (home, clock) = (local_home(), handler.clock());
    let mut next = clock.now() + SWEEP_EVERY;
    loop {
        clock.sleep_until(next).await;
        let begun = clock.now();
        next = begun + SWEEP_EVERY;
        if !account.is_enabled(SCHEDULE) {
            continue;
        }
        let again_every = handler.policy().sweep_may_stay().then_some(AGAIN_EVERY);
        let plan = Plan { again_every, next_sweep: Some(next), ..Plan::until(begun + LAMBDA_TIMEOUT) };
        let mut lines = vec![];
        let each = |reply: &Reply| {
            lines.extend(reply.lines.iter().cloned());
            tell(&handler, &say, "sweep", reply);
        };
        if let Err(error) = sweep(&handler, &home, plan, each).await {
            let _ = say.send(format!("a sweep failed: {error}").into());
        }
        publish(&handler, &lines).await;
    }
}

/// Prints a decision. Nothing reads it after the end of the command. A throttled reader causes an event at each call:
/// the events within 30 s of an observation are left out.
fn tell(handler: &Handler, say: &Say, woken_by: &str, reply: &Reply) {
    if reply.document.code == <&str>::from(Reason::JustLooked) {
        return;
    }
    let (now, document) = (handler.clock().now().format("%H:%M:%S"), &reply.document);
    let text = format!("{now} {woken_by}: {} ({}): {}", document.code, document.outcome, document.sentence);
    let stream = document.stream.as_ref().map(|stream| stream.name.to_string());
    let hold = (document.outcome == Outcome::Held).then(|| document.code.to_string());
    let _ = say.send(Line { text, decision: stream.map(|stream| (stream, hold)) });
}

/// CloudWatch makes metrics of the Lambda's log. Here they are sent.
async fn publish(handler: &Handler, lines: &[Value]) {
    for line in lines {
        // The metric Healed is for the dashboard, which this account does not have.
        let _ = send_healed(&handler.clients().cloudwatch, line).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_is_printed_once_until_something_else_happens_to_its_stream() {
        let line = |stream: &str, hold: Option<&str>| Line {
            text: String::new(),
            decision: Some((stream.into(), hold.map(str::to_owned))),
        };
        let mut repeats = Repeats::default();
        let mut is_new = |stream, hold| repeats.is_new(&line(stream, hold));
        assert_eq!([is_new("a", None), is_new("a", None)], [true, true], "changes");
        assert_eq!([1, 2, 3].map(|_| is_new("a", Some("settling"))), [true, false, false]);
        assert!(is_new("b", Some("settling")) && is_new("a", Some("healthy")) && is_new("a", Some("settling")));
        assert!(is_new("a", None) && is_new("a", Some("settling")), "after another change");
        assert!(repeats.is_new(&Line::from("an error".to_owned())));
    }
}
