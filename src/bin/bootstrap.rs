//! The Lambda: environment → policy and clients, once. Then it handles events, one at a time.

use chrono::{DateTime, TimeDelta, Utc};
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use unthrottle::Error;
use unthrottle::aws::Clients;
use unthrottle::handler::{Handler, Reply};
use unthrottle::settings;
use unthrottle::sweep::{AGAIN_EVERY, Plan, sweep};
use unthrottle_core::RELEASE;
use unthrottle_core::report::metric::{self, Invocation};
use unthrottle_core::report::{log_line, sweep_line};
use unthrottle_core::signal::{Event, Home};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    tracing_subscriber::fmt().json().without_time().with_target(false).with_max_level(tracing::Level::INFO).init();
    settings::unknown().iter().for_each(|unknown| tracing::warn!(name = unknown.name, "{unknown}"));
    if let Some(stack) = settings::other_release_of_stack() {
        tracing::warn!(
            stack,
            function = RELEASE,
            "the stack is of release {stack}, and its function of release {RELEASE}: deploy both from one release"
        );
    }
    let policy =
        settings::read().inspect_err(|error| tracing::error!(%error, "the function cannot start with this setting"))?;
    // During the start Lambda gives a full CPU, even to the smallest function.
    let clients = Clients::from_env().await;
    clients.warm_up().await;
    let handler = Handler::new(clients.clone(), policy);
    let function = Function { handler, clients, is_warm: AtomicBool::new(false) };
    lambda_runtime::run(service_fn(|event| function.invoke(event))).await
}

struct Function {
    handler: Handler,
    clients: Clients,
    /// Whether this container has handled an event before.
    is_warm: AtomicBool,
}

impl Function {
    async fn invoke(&self, event: LambdaEvent<Value>) -> Result<Value, Diagnostic> {
        let (started, calls) = (Instant::now(), self.clients.calls());
        let cold_start = !self.is_warm.swap(true, Ordering::Relaxed);
        let result = match self.parse(&event) {
            Ok((Event::Sweep { stays, every_minutes }, home)) => {
                let plan = self.plan(&event, stays, every_minutes);
                return self.sweep(&event, &home, plan, started, cold_start).await;
            }
            Ok((Event::One(signal), home)) => self.handler.run(&signal, &home).await,
            Err(error) => Err(error),
        };
        let now = Utc::now();
        let (duration, aws_calls) = (started.elapsed(), self.clients.calls() - calls);
        let usage = Invocation { duration, aws_calls, cold_start, ..Invocation::default() };
        let (code, invocation) = match &result {
            Ok(Reply { document, decision, is_observed, .. }) => {
                let held = document.outcome.is_hold();
                let needs_person = decision.needs_person();
                (document.code, Invocation { looked: *is_observed, held, needs_person, ..usage })
            }
            Err(error) => (error.code(), Invocation { looked: aws_calls > 0, ..usage }),
        };
        // Plain JSON lines. CloudWatch reads metrics, and Logs Insights reads fields, only from these.
        println!("{}", invocation.line(code, now));
        self.handler.lines_of_failed_runs().iter().for_each(|line| println!("{line}"));
        let reply = result.map_err(|error| {
            tracing::error!(requestId = event.context.request_id, code, %error, "the invocation failed");
            Diagnostic { error_type: code.into(), error_message: error.to_string() }
        })?;
        println!("{}", log_line(&reply.document, &event.context.request_id, now));
        reply.lines.iter().for_each(|line| println!("{line}"));
        Ok(json!(reply.document))
    }

    fn parse(&self, event: &LambdaEvent<Value>) -> Result<(Event, Home), Error> {
        let function = &event.context.invoked_function_arn;
        let home = Home::of_arn(function).ok_or_else(|| Error::Homeless { function: function.clone() })?;
        Ok((Event::parse(&event.payload, &home)?, home))
    }

    /// Logs one of several checks of an invocation. Each line goes out at once, because a run may stay for minutes, or
    /// Lambda may end it.
    fn log(&self, reply: &Reply, event: &LambdaEvent<Value>) {
        let now = Utc::now();
        println!("{}", log_line(&reply.document, &event.context.request_id, now));
        reply.lines_in_sweep(now).for_each(|line| println!("{line}"));
        self.handler.lines_of_failed_runs().iter().for_each(|line| println!("{line}"));
    }

    fn plan(&self, event: &LambdaEvent<Value>, stays: bool, every_minutes: Option<u32>) -> Plan {
        // With one run at a time, each event would wait until the sweep ends.
        let stays = stays && self.handler.policy().sweep_may_stay();
        let next_sweep = every_minutes.map(|minutes| Utc::now() + TimeDelta::minutes(i64::from(minutes)));
        Plan { again_every: stays.then_some(AGAIN_EVERY), next_sweep, ..Plan::until(deadline(event)) }
    }

    async fn sweep(
        &self,
        event: &LambdaEvent<Value>,
        home: &Home,
        plan: Plan,
        started: Instant,
        cold_start: bool,
    ) -> Result<Value, Diagnostic> {
        let (calls, id) = (self.clients.calls(), &event.context.request_id);
        let sweep = sweep(&self.handler, home, plan, |reply| self.log(reply, event)).await;
        let now = Utc::now();
        let code = sweep.as_ref().map_or_else(Error::code, |_| "swept");
        let aws_calls = self.clients.calls() - calls;
        // The sweep counts observations and holds stream by stream, so they are not in the line of the invocation.
        let duration = started.elapsed();
        let is_empty_sweep = sweep.as_ref().is_ok_and(|sweep| sweep.looked == 0);
        let invocation = Invocation { duration, aws_calls, cold_start, is_empty_sweep, ..Invocation::default() };
        println!("{}", invocation.line(code, now));
        self.handler.lines_of_failed_runs().iter().for_each(|line| println!("{line}"));
        let sweep = sweep.map_err(|error| {
            tracing::error!(requestId = id, code, %error, "the sweep failed");
            Diagnostic { error_type: code.into(), error_message: error.to_string() }
        })?;
        println!("{}", sweep_line(&sweep, id, now));
        println!("{}", metric::swept(&sweep, now));
        Ok(json!(sweep))
    }
}

/// The time at which Lambda stops the invocation. A number that is not a valid time gives 1970, so no time is left.
fn deadline(event: &LambdaEvent<Value>) -> DateTime<Utc> {
    let millis = i64::try_from(event.context.deadline).unwrap_or(i64::MAX);
    DateTime::from_timestamp_millis(millis).unwrap_or_default()
}
