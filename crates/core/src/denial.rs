//! A denial, as AWS words it: the action that is denied, and the type of the policy that denies it.
//!
//! AWS's texts ("Troubleshoot access denied error messages", the IAM user guide) end in
//! `… is not authorized to perform: ACTION on resource: ARN with an explicit deny in a service control policy`, or in
//! `… because no identity-based policy allows the ACTION action`. Some services name no policy.

use std::fmt;

/// The error codes of a denial. Kinesis documents the first two and `NotAuthorized`; CloudTrail writes `AccessDenied`.
/// The others are the spellings of EC2, SNS and Cognito. A code that is missing here makes a denial a refusal that
/// waits, and no person gets a message.
const CODES: [&str; 7] = [
    "AccessDeniedException",
    "AccessDenied",
    "NotAuthorized",
    "NotAuthorizedException",
    "UnauthorizedOperation",
    "AuthorizationError",
    "AuthorizationErrorException",
];

/// The words before the action in AWS's message. They make a denial of any error code.
const BEFORE_ACTION: &str = "not authorized to perform: ";

/// The longest action that is quoted. AWS's longest is shorter; a longer word is no action.
const LONGEST_ACTION: usize = 100;

/// A type of policy that can deny a call (the IAM user guide, "Policy evaluation logic").
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display, strum::EnumIter)]
pub enum PolicyType {
    /// A policy of the organization for its accounts.
    #[strum(serialize = "service control policy")]
    ServiceControl,
    /// A policy of the organization for the resources of its accounts.
    #[strum(serialize = "resource control policy")]
    ResourceControl,
    /// The upper limit of a role.
    #[strum(serialize = "permissions boundary")]
    Boundary,
    /// A policy of the role.
    #[strum(serialize = "identity-based policy")]
    Identity,
    /// The policy of the stream or of another resource.
    #[strum(serialize = "resource-based policy")]
    Resource,
    /// The policy of the network's way to AWS.
    #[strum(serialize = "VPC endpoint policy")]
    Endpoint,
    /// The policy with which a session of the role began.
    #[strum(serialize = "session policy")]
    Session,
}

impl PolicyType {
    /// Where a person finds the policy.
    fn place(self) -> &'static str {
        match self {
            PolicyType::ServiceControl => "the organization's service control policies",
            PolicyType::ResourceControl => "the organization's resource control policies",
            PolicyType::Boundary => "the permissions boundary of the function's role",
            PolicyType::Identity => "the policies of the function's role",
            PolicyType::Resource => "the policy of the resource",
            PolicyType::Endpoint => "the policy of the VPC endpoint",
            PolicyType::Session => "the session policy of the function's role",
        }
    }
}

/// What denied a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denier {
    /// A policy of this type denies the action.
    Denies(PolicyType),
    /// No policy of this type allows the action.
    Lacks(PolicyType),
    /// AWS names no policy.
    Unnamed,
}

/// A call that AWS denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The denied action, such as `kinesis:UpdateShardCount`. It can be another one than the call's own.
    pub action: String,
    /// What denied the action.
    pub by: Denier,
}

/// Whether an error code means a denial.
pub fn is_denied(code: &str) -> bool {
    CODES.contains(&code)
}

impl Denial {
    /// The denial in AWS's answer. `action`: the call's own action, for an answer that names none. `None`: the answer
    /// is no denial.
    pub fn of(code: &str, message: &str, action: &str) -> Option<Denial> {
        let named = action_in(message);
        let is_denial = is_denied(code) || message.contains(BEFORE_ACTION);
        is_denial.then(|| Denial { action: named.unwrap_or(action).to_owned(), by: denier_in(message) })
    }

    /// What a person can do about it.
    pub fn cure(&self) -> String {
        let action = &self.action;
        match self.by {
            Denier::Denies(policy) => format!("Take the deny of {action} out of {}", policy.place()),
            Denier::Lacks(policy) => format!("Allow {action} in {}", policy.place()),
            Denier::Unnamed => format!("Allow {action} in every policy that applies to the function's role"),
        }
    }
}

impl fmt::Display for Denial {
    /// The cause as a clause: `a service control policy denies kinesis:UpdateShardCount`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let action = &self.action;
        match self.by {
            Denier::Denies(policy @ PolicyType::Identity) => write!(f, "an {policy} denies {action}"),
            Denier::Denies(policy) => write!(f, "a {policy} denies {action}"),
            Denier::Lacks(policy) => write!(f, "no {policy} allows {action}"),
            Denier::Unnamed => write!(f, "a policy that AWS does not name denies {action}"),
        }
    }
}

/// The action that AWS's message names.
fn action_in(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once(BEFORE_ACTION)?;
    let action = rest.split_whitespace().next()?.trim_end_matches(['.', ',', ';']);
    let is_legal = |c: char| c.is_ascii_alphanumeric() || ":*-".contains(c);
    let (service, name) = action.split_once(':')?;
    let is_action = !service.is_empty() && !name.is_empty() && action.chars().all(is_legal);
    (is_action && action.len() <= LONGEST_ACTION).then_some(action)
}

/// The policy that AWS's message names. The last words count: a resource's name comes before them.
fn denier_in(message: &str) -> Denier {
    use strum::IntoEnumIterator;
    let message = message.to_ascii_lowercase();
    let policy = |text: &str| {
        let text = text.trim_start_matches("an ").trim_start_matches("a ").trim_start_matches("the ");
        PolicyType::iter().find(|policy| text.starts_with(&policy.to_string().to_ascii_lowercase()))
    };
    let after = |words: &str| message.rsplit_once(words).and_then(|(_, text)| policy(text));
    let denies = after("explicit deny in ").map(Denier::Denies);
    denies.or_else(|| after("because no ").map(Denier::Lacks)).unwrap_or(Denier::Unnamed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "kinesis:UpdateShardCount";

    /// AWS's message with this end, read.
    fn read(end: &str) -> Denial {
        let role = "arn:aws:sts::123456789012:assumed-role/unthrottle/unthrottle";
        let message = format!("User: {role} is not authorized to perform: {OWN} {end}");
        Denial::of("AccessDeniedException", &message, "kinesis:Other").expect("a denial")
    }

    #[test]
    fn each_of_the_texts_of_aws_names_its_type_of_policy() {
        let on = "on resource: arn:aws:kinesis:us-east-1:123456789012:stream/orders";
        for (end, by, says) in [
            (
                "with an explicit deny in a service control policy",
                Denier::Denies(PolicyType::ServiceControl),
                "a service",
            ),
            (
                "with an explicit deny in a resource control policy",
                Denier::Denies(PolicyType::ResourceControl),
                "a res",
            ),
            ("with an explicit deny in a resource-based policy", Denier::Denies(PolicyType::Resource), "a resource-b"),
            ("with an explicit deny in a VPC endpoint policy", Denier::Denies(PolicyType::Endpoint), "a VPC endpoint"),
            ("with an explicit deny in a session policy", Denier::Denies(PolicyType::Session), "a session policy"),
            ("with an explicit deny in a permissions boundary", Denier::Denies(PolicyType::Boundary), "a permissions"),
            ("with an explicit deny in an identity-based policy", Denier::Denies(PolicyType::Identity), "an identity"),
            (
                "with an explicit deny in a service control policy: arn:aws:organizations::1:policy/o-1/p-1",
                Denier::Denies(PolicyType::ServiceControl),
                "a service control policy denies",
            ),
            (
                "because no permissions boundary allows the kinesis:UpdateShardCount action",
                Denier::Lacks(PolicyType::Boundary),
                "no permissions boundary allows",
            ),
            (
                "because no identity-based policy allows the kinesis:UpdateShardCount action",
                Denier::Lacks(PolicyType::Identity),
                "no identity-based policy allows",
            ),
            (
                "because no service control policy allows the kinesis:UpdateShardCount action",
                Denier::Lacks(PolicyType::ServiceControl),
                "no service control policy allows",
            ),
            (
                "because no VPC endpoint policy allows the kinesis:UpdateShardCount action",
                Denier::Lacks(PolicyType::Endpoint),
                "no VPC endpoint policy allows",
            ),
            ("with an explicit deny", Denier::Unnamed, "a policy that AWS does not name denies"),
            ("", Denier::Unnamed, "a policy that AWS does not name"),
        ] {
            let denial = read(&format!("{on} {end}"));
            assert_eq!((denial.action.as_str(), denial.by), (OWN, by), "{end}");
            assert!(denial.to_string().starts_with(says) && denial.to_string().ends_with(OWN), "{denial}");
            assert!(denial.cure().contains(OWN), "{}", denial.cure());
        }
    }

    #[test]
    fn an_answer_without_an_action_is_a_denial_of_the_call_itself() {
        for message in ["", "Access denied", "is not authorized to perform: https://example.com now"] {
            let denial = Denial::of("AccessDenied", message, OWN).expect("a denial");
            assert_eq!((denial.action.as_str(), denial.by), (OWN, Denier::Unnamed), "{message}");
        }
    }

    #[test]
    fn only_a_code_or_a_text_of_denial_is_one() {
        for code in CODES {
            assert!(Denial::of(code, "", OWN).is_some(), "{code}");
        }
        assert!(Denial::of("ClientError", "User: u is not authorized to perform: kinesis:X", OWN).is_some());
        for code in ["LimitExceededException", "ValidationException", "ResourceInUseException", ""] {
            assert_eq!(Denial::of(code, "Rate exceeded for stream orders.", OWN), None, "{code}");
        }
    }
}
