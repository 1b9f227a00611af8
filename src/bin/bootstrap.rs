//! The Lambda: environment → policy and clients, once; then events, one at a time.

use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde_json::Value;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use unthrottle::clients::Clients;
use unthrottle::heal::{Error, Healer};
use unthrottle::policy::Policy;
use unthrottle::report::log_line;
use unthrottle::report::metric::Invocation;
use unthrottle::signal::Home;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    tracing_subscriber::fmt().json().without_time().with_target(false).with_max_level(tracing::Level::INFO).init();
    let policy = Policy::from_env(|name| std::env::var(name).ok())
        .inspect_err(|error| tracing::error!(%error, "the function cannot start with this setting"))?;
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
        let home = Home::of_arn(&event.context.invoked_function_arn).ok_or_else(|| Diagnostic {
            error_type: "NoHome".into(),
            error_message: format!("`{}` is not the ARN of a function", event.context.invoked_function_arn),
        })?;
        let healing = self.healer.handle(&event.payload, &home).await.map_err(diagnostic)?;
        let invocation = Invocation {
            looked: healing.looked,
            duration: started.elapsed(),
            aws_calls: self.clients.calls() - calls,
            cold_start,
        };
        let now = chrono::Utc::now();
        // Raw lines: CloudWatch reads a metric, and Logs Insights a field, only from plain JSON.
        println!("{}", log_line(&healing.document, &event.context.request_id, now));
        println!("{}", invocation.line(&healing.document, now));
        healing.lines.iter().for_each(|line| println!("{line}"));
        serde_json::to_value(healing.document)
            .map_err(|e| Diagnostic { error_type: "Report".into(), error_message: e.to_string() })
    }
}

fn diagnostic(error: Error) -> Diagnostic {
    tracing::error!(kind = error.kind(), %error, "the invocation failed");
    Diagnostic { error_type: error.kind().into(), error_message: error.to_string() }
}
