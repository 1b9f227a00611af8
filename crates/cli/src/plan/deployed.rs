//! What the deployed function allows.

use crate::CliError;
use crate::config;
use unthrottle::aws::read::stream;
use unthrottle::aws::{Cause, Clients};
use unthrottle_core::observation::CapacityMode;
use unthrottle_core::policy::{Mode, Policy};
use unthrottle_core::signal::StreamArn;
use unthrottle_core::words::many;

/// The policy of the deployed function.
pub(super) struct Deployed {
    policy: Policy,
    /// Why the policy is that of the command line instead. `None`: it is that of the function.
    pub unread: Option<String>,
}

impl Deployed {
    /// Reads the policy from the variables of the function's environment. Where they cannot be read, the settings of
    /// the command line count.
    pub async fn read(lambda: &aws_sdk_lambda::Client, function: &str) -> Result<Deployed, CliError> {
        match lambda.get_function_configuration().function_name(function).send().await {
            Ok(answer) => {
                let variables = answer.environment.and_then(|environment| environment.variables).unwrap_or_default();
                // A file of prices is in the package of the function, and a plan needs none.
                let policy = Policy::from_env(|name| variables.get(name).cloned());
                let wrong = |error| CliError::Usage(format!("the settings of {function}: {error}"));
                Ok(Deployed { policy: policy.map_err(wrong)?, unread: None })
            }
            Err(error) => {
                let cause = Cause::of(error);
                let unread = format!(
                    "the settings of the function cannot be read ({cause}), so the maximum is that of the command line"
                );
                Ok(Deployed { policy: config::policy()?, unread: Some(unread) })
            }
        }
    }

    /// Checks that the function takes a plan of these shards now. Gives what hinders it later.
    pub async fn takes(
        &self,
        clients: &Clients,
        stream: &StreamArn,
        at_least: u32,
    ) -> Result<Option<String>, CliError> {
        let tags = stream::tags(&clients.kinesis, stream).await.map_err(unthrottle::Error::from)?;
        let own = self.policy.for_stream(&tags, None).map_err(|error| CliError::Usage(error.to_string()))?;
        let Some(own) = own else {
            return Err(CliError::Usage(format!("{} is switched off or out of scope for unthrottle", stream.name)));
        };
        if at_least > own.max_shards {
            let unread = self.unread.as_ref().map(|unread| format!(". But {unread}")).unwrap_or_default();
            return Err(CliError::Usage(format!(
                "--at-least {at_least}: the maximum of {} is {} (UNTHROTTLE_MAX_SHARDS of the function, or the tag \
                 unthrottle.max-shards). The function would refuse the plan{unread}",
                stream.name,
                many(own.max_shards, "shard")
            )));
        }
        let summary = stream::summary(&clients.kinesis, stream).await.map_err(unthrottle::Error::from)?;
        if summary.is_some_and(|summary| summary.mode == CapacityMode::OnDemand) {
            return Err(CliError::Usage(format!(
                "{} is in on-demand mode, where AWS sets the shards. The function would refuse the plan",
                stream.name
            )));
        }
        // Where the settings cannot be read, only the tag shows the mode.
        let is_known = self.unread.is_none() || own.mode < self.policy.mode;
        Ok((is_known && own.mode == Mode::Observe).then(|| {
            format!(
                "note: unthrottle only observes {} (UNTHROTTLE_MODE of the function, or the tag unthrottle.mode). It \
                 keeps no plan, and changes nothing for it",
                stream.name
            )
        }))
    }
}
