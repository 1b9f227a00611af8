//! The Lambda: environment → policy and clients, once; then events, one at a time.

use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use unthrottle::clients::Clients;
use unthrottle::heal::{Error, Healer, Healing};
use unthrottle::report::log_line;
use unthrottle::report::metric::Invocation;
use unthrottle::settings;
use unthrottle::signal::Home;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    tracing_subscriber::fmt().json().without_time().with_target(false).with_max_level(tracing::Level::INFO).init();
    let policy =
        settings::read().inspect_err(|error| tracing::error!(%error, "the function cannot start with this setting"))?;
    // Here Lambda gives a full CPU, even to the smallest function.
    let clients = Clients::from_env().await;
    clients.warm_up().await;
    let function = Function { healer: Healer::new(clients.clone(), policy), clients, warm: AtomicBool::new(false) };
    lambda_runtime::run(service_fn(|event| function.invoke(event))).await
}

struct Function {
    healer: Healer,
    clients: Clients,
    /// Whether this container has had an event before.
    warm: AtomicBool,
}

impl Function {
    async fn invoke(&self, event: LambdaEvent<Value>) -> Result<Value, Diagnostic> {
        let (started, calls) = (Instant::now(), self.clients.calls());
        let cold_start = !self.warm.swap(true, Ordering::Relaxed);
        let result = self.heal(&event).await;
        let now = chrono::Utc::now();
        let (code, looked, held) = match &result {
            Ok(healing) => (healing.document.code, healing.looked, healing.document.outcome.is_hold()),
            Err(error) => (error.code(), self.clients.calls() > calls, false),
        };
        let (duration, aws_calls) = (started.elapsed(), self.clients.calls() - calls);
        let invocation = Invocation { looked, held, duration, aws_calls, cold_start };
        // Raw lines: CloudWatch reads a metric, and Logs Insights a field, only from plain JSON.
        println!("{}", invocation.line(code, now));
        let healing = result.map_err(|error| {
            tracing::error!(requestId = event.context.request_id, code, %error, "the invocation failed");
            Diagnostic { error_type: code.into(), error_message: error.to_string() }
        })?;
        println!("{}", log_line(&healing.document, &event.context.request_id, now));
        healing.lines.iter().for_each(|line| println!("{line}"));
        Ok(json!(healing.document))
    }

    async fn heal(&self, event: &LambdaEvent<Value>) -> Result<Healing, Error> {
        let function = &event.context.invoked_function_arn;
        let home = Home::of_arn(function).ok_or_else(|| Error::Homeless { function: function.clone() })?;
        self.healer.handle(&event.payload, &home).await
    }
}
