//! The function of unthrottle: what its role may no longer do.

use super::rights::allowed;
use super::unread::unread;
use crate::doctor::clients::Clients;
use unthrottle_core::checks::{Allowed, Read};
use unthrottle_core::memory;
use unthrottle_core::signal::StreamArn;

/// The actions that template.yaml always allows to the function, and without which it cannot see, change or remember.
/// A test compares them with the template.
const NEEDED: [&str; 8] = [
    "cloudwatch:GetMetricData",
    "kinesis:DescribeLimits",
    "kinesis:DescribeStreamSummary",
    "kinesis:ListShards",
    "kinesis:ListTagsForResource",
    "kinesis:SplitShard",
    "kinesis:TagResource",
    "kinesis:UpdateShardCount",
];

/// What the conditions of the template's policy ask for. With `Scope=tagged` the function may change only streams that
/// have a tag of their own mode, and the simulation is about such a stream: otherwise each healthy stack would seem
/// denied. A test compares the keys with the template.
fn context(any: &StreamArn) -> [(&'static str, String); 3] {
    [
        ("aws:RequestedRegion", any.home.region.clone()),
        ("aws:TagKeys", memory::TAG.to_owned()),
        ("aws:ResourceTag/unthrottle.mode", "heal".to_owned()),
    ]
}

/// The needed actions that the role of the function may not take. Empty: none, or the rules have no function. `rules`:
/// the ARNs of the stack's rules. `any`: a stream of the account.
pub(super) async fn denied_actions(clients: &Clients, rules: &[String], any: &StreamArn) -> Read<Vec<String>> {
    let Some(function) = function(clients, rules).await? else { return Ok(vec![]) };
    let answer = clients.lambda.get_function_configuration().function_name(function).send().await;
    let answer = answer.map_err(|e| unread("lambda:GetFunctionConfiguration", e))?;
    let Some(role) = answer.role() else { return Ok(vec![]) };
    let allowed = allowed(&clients.iam, role, &NEEDED, &any.to_string(), &context(any)).await?;
    let is_denied = |action: &&str| allowed.get(*action).is_some_and(|of| *of != Allowed::Yes);
    Ok(NEEDED.iter().filter(|action| is_denied(action)).map(|action| (*action).to_owned()).collect())
}

/// The ARN of the function to which the first rule sends events.
async fn function(clients: &Clients, rules: &[String]) -> Read<Option<String>> {
    // arn:PARTITION:events:REGION:ACCOUNT:rule/NAME
    let name = rules.iter().find_map(|arn| arn.split_once(":rule/")).map(|(_, name)| name);
    let Some(name) = name else { return Ok(None) };
    let answer = clients.eventbridge.list_targets_by_rule().rule(name).send().await;
    let answer = answer.map_err(|e| unread("events:ListTargetsByRule", e))?;
    let mut targets = answer.targets().iter().map(|target| target.arn());
    Ok(targets.find(|arn| arn.contains(":lambda:")).map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The permissions of the function that no parameter takes away.
    #[test]
    fn the_template_always_allows_each_needed_action() {
        let template = include_str!("../../../../../template.yaml");
        for action in NEEDED {
            let line = template.lines().find(|line| line.trim_start().trim_start_matches("- ") == action);
            let alone = format!("Action: {action}");
            let is_allowed = line.is_some() || template.lines().any(|line| line.trim() == alone);
            assert!(is_allowed, "{action}");
        }
    }

    /// The statements of the template, by their lines.
    fn statements() -> Vec<Vec<&'static str>> {
        let lines = include_str!("../../../../../template.yaml").lines();
        let (mut all, mut indent) = (vec![], 0);
        for line in lines {
            let own = line.len() - line.trim_start().len();
            if line.trim_start().starts_with("- Sid:") {
                indent = own;
                all.push(vec![]);
            } else if own <= indent {
                indent = usize::MAX;
            }
            if indent != usize::MAX
                && let Some(statement) = all.last_mut()
            {
                statement.push(line.trim());
            }
        }
        all
    }

    #[test]
    fn the_simulation_knows_each_key_of_the_conditions_on_needed_actions() {
        let arn = StreamArn::parse("arn:aws:kinesis:us-east-1:123456789012:stream/orders").expect("an ARN");
        let known = context(&arn).map(|(key, _)| key);
        let names = |line: &&str| NEEDED.iter().any(|action| line.ends_with(action));
        let needed = statements().into_iter().filter(|statement| statement.iter().any(&names));
        let words =
            needed.flatten().flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && !":/.-_".contains(c)));
        let keys: std::collections::BTreeSet<&str> =
            words.map(|word| word.trim_end_matches(':')).filter(|word| word.starts_with("aws:")).collect();
        assert_eq!(keys, known.into());
    }
}
