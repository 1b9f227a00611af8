//! What the deployed function allows.

use crate::CliError;
use crate::config;
use unthrottle::aws::read::stream;
use unthrottle::aws::{Cause, Clients};
use unthrottle_core::policy::Policy;
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

    /// Checks that the stream may have these shards.
    pub async fn within_maximum(&self, clients: &Clients, stream: &StreamArn, at_least: u32) -> Result<(), CliError> {
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
        Ok(())
    }
}
