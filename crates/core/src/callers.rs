//! Who is throttled: the callers that the throttle signals of a stream named, counted between two looks at it.
//!
//! Only what was seen: CloudTrail loses and repeats events, other containers see their own, and a record refused within a
//! `PutRecords` that succeeded is never one. So a count is neither a total nor a claim about those who are not in it.

use crate::decision::Side;
use crate::signal::{Call, StreamArn};
use serde::Serialize;
use std::collections::BTreeMap;

/// Callers of a stream that are told apart. A stream has a handful of applications; past it, a person would not read on.
const CALLERS: usize = 16;

/// Streams whose callers are remembered at once. A group lives from one look at its stream to the next, so this is far
/// more than throttle at once; and full of the longest names, it is six megabytes of the function's 128.
const STREAMS: usize = 200;

/// Characters of a name that are kept. A role's ARN has at most 613; a user agent is whatever its caller likes.
const NAME: usize = 640;

/// What stands in the place of a principal, which is an ARN, for all who were not told apart.
const OTHERS: &str = "others";

/// Who was refused, on which call, how often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CallerCount {
    /// The ARN of the role behind a session (sessions differ by instance), else of the user. `null`: CloudTrail names
    /// none. `others`: all who were not told apart.
    pub principal: Option<String>,
    /// The first word of the user agent: the rest differs by host, and even by request.
    pub user_agent: Option<String>,
    /// The call, such as `PutRecords`. `null` for `others`.
    pub operation: Option<String>,
    /// Refused calls. One whose event came twice counts twice.
    pub count: u64,
}

impl CallerCount {
    fn of(call: &Call) -> CallerCount {
        let kept = |text: &str| text.chars().take(NAME).collect::<String>();
        let caller = &call.caller;
        CallerCount {
            principal: caller.role.as_deref().or(caller.principal.as_deref()).map(kept),
            user_agent: caller.user_agent.as_deref().and_then(|agent| agent.split_whitespace().next()).map(kept),
            operation: Some(kept(&call.operation)),
            count: 1,
        }
    }

    fn is_same(&self, other: &CallerCount) -> bool {
        (&self.principal, &self.user_agent, &self.operation) == (&other.principal, &other.user_agent, &other.operation)
    }

    fn is_of(&self, side: Side) -> bool {
        let operations: &[&str] = match side {
            Side::Writes => &["PutRecord", "PutRecords"],
            Side::Reads => &["GetRecords"],
        };
        self.operation.as_deref().is_some_and(|operation| operations.contains(&operation))
    }
}

/// The refused callers of one stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    callers: Vec<CallerCount>,
    others: u64,
}

impl Group {
    fn add(&mut self, call: &Call) {
        let caller = CallerCount::of(call);
        match self.callers.iter().position(|known| known.is_same(&caller)) {
            Some(known) => self.callers[known].count += 1,
            None if self.callers.len() < CALLERS => self.callers.push(caller),
            None => self.others += 1,
        }
    }

    fn calls(&self) -> u64 {
        self.callers.iter().map(|c| c.count).sum::<u64>() + self.others
    }

    /// The caller of this side that was surely refused most: none among the others can have been, even if all of them
    /// were one.
    pub fn most(&self, side: Side) -> Option<&CallerCount> {
        let of_side = self.callers.iter().filter(|c| c.is_of(side));
        // The first of equals.
        let most = of_side.reduce(|most, c| if c.count > most.count { c } else { most })?;
        (most.count >= self.others).then_some(most)
    }

    /// One for each caller, most first; those who were not told apart come last, together.
    pub fn counts(&self) -> Vec<CallerCount> {
        let mut counts = self.callers.clone();
        counts.sort_by_key(|c| std::cmp::Reverse(c.count));
        let others =
            CallerCount { principal: Some(OTHERS.into()), user_agent: None, operation: None, count: self.others };
        counts.extend((self.others > 0).then_some(others));
        counts
    }
}

/// The refused callers of each stream since its last look.
#[derive(Debug, Default)]
pub struct Callers(BTreeMap<StreamArn, Group>);

impl Callers {
    /// The callers of `stream` so far.
    pub fn seen(&self, stream: &StreamArn) -> Group {
        self.0.get(stream).cloned().unwrap_or_default()
    }

    /// Counts a refused call, if it names a stream.
    pub fn add(&mut self, call: &Call) {
        let Some(stream) = &call.stream else { return };
        if !self.0.contains_key(stream) && self.0.len() >= STREAMS {
            // The one that says least makes room.
            let least = self.0.iter().min_by_key(|(_, group)| group.calls()).map(|(stream, _)| stream.clone());
            least.map(|stream| self.0.remove(&stream));
        }
        self.0.entry(stream.clone()).or_default().add(call);
    }

    /// Hands over the callers of `stream`, and begins to count anew.
    pub fn take(&mut self, stream: &StreamArn) -> Group {
        self.0.remove(stream).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::{Caller, Home};

    fn stream(name: &str) -> StreamArn {
        let home = Home { partition: "aws".into(), region: "us-east-1".into(), account: "123456789012".into() };
        StreamArn::new(name, &home).expect("legal")
    }

    fn call(principal: &str, operation: &str) -> Call {
        let caller = Caller { principal: Some(principal.into()), ..Caller::default() };
        Call { operation: operation.into(), caller, stream: Some(stream("orders")), ..Call::default() }
    }

    fn group(calls: impl IntoIterator<Item = Call>) -> Group {
        let mut callers = Callers::default();
        calls.into_iter().for_each(|call| callers.add(&call));
        callers.take(&stream("orders"))
    }

    fn told(group: &Group) -> Vec<(String, u64)> {
        group.counts().into_iter().map(|c| (c.principal.expect("named"), c.count)).collect()
    }

    #[test]
    fn sessions_of_a_role_and_the_tail_of_a_user_agent_make_no_new_caller() {
        let of_session = |n: u32| {
            let mut call = call(&format!("arn:aws:sts::123456789012:assumed-role/producer/i-{n}"), "PutRecords");
            call.caller.role = Some("arn:aws:iam::123456789012:role/producer".into());
            call.caller.user_agent = Some(format!("aws-sdk-java/2.34.6 os/Linux m/{n}"));
            call
        };
        let counts = group((0..3).map(of_session)).counts();
        let [one] = counts.as_slice() else { panic!("one caller: {counts:?}") };
        assert_eq!(one.principal.as_deref(), Some("arn:aws:iam::123456789012:role/producer"));
        assert_eq!((one.user_agent.as_deref(), one.count), (Some("aws-sdk-java/2.34.6"), 3));
    }

    #[test]
    fn callers_differ_by_principal_agent_and_operation_and_the_most_refused_come_first() {
        let mut other_agent = call("a", "PutRecord");
        other_agent.caller.user_agent = Some("Boto3/1.34".into());
        let calls = [call("a", "PutRecord"), call("b", "PutRecord"), call("a", "PutRecords"), other_agent];
        let counts = group(calls.into_iter().chain([call("b", "PutRecord")])).counts();
        assert_eq!(counts.len(), 4);
        assert_eq!((counts[0].principal.as_deref(), counts[0].count), (Some("b"), 2));
    }

    #[test]
    fn a_group_is_handed_over_once_and_only_that_of_its_stream() {
        let mut callers = Callers::default();
        callers.add(&call("a", "PutRecord"));
        callers.add(&Call { stream: None, ..call("a", "PutRecord") });
        assert_eq!(callers.take(&stream("clicks")), Group::default());
        assert_eq!(told(&callers.take(&stream("orders"))), [("a".into(), 1)]);
        assert_eq!(callers.take(&stream("orders")), Group::default());
    }

    #[test]
    fn those_that_do_not_fit_are_counted_together() {
        let crowd = || (0..CALLERS + 3).map(|n| call(&n.to_string(), "PutRecord"));
        let counts = told(&group(crowd()));
        assert_eq!((counts.len(), counts.last()), (CALLERS + 1, Some(&(OTHERS.into(), 3))));
        assert_eq!(group(crowd()).most(Side::Writes), None, "the others may be one caller, refused more often");
        let often = group(crowd().chain([call("0", "PutRecord"), call("0", "PutRecord")]));
        assert_eq!(often.most(Side::Writes).map(|c| c.count), Some(3));
    }

    #[test]
    fn the_most_refused_is_one_of_the_side_in_question() {
        let seen = group([call("w", "PutRecords"), call("r", "GetRecords"), call("r", "GetRecords")]);
        let principal = |side| seen.most(side).and_then(|c| c.principal.as_deref());
        assert_eq!((principal(Side::Writes), principal(Side::Reads)), (Some("w"), Some("r")));
        assert_eq!(group([call("c", "ListShards")]).most(Side::Reads), None);
    }

    #[test]
    fn memory_is_bounded_and_the_stream_that_says_least_makes_room() {
        let mut callers = Callers::default();
        let on = |name: &str| Call { stream: Some(stream(name)), ..call(&"ü".repeat(10_000), "PutRecord") };
        callers.add(&on("busy"));
        for n in 0..STREAMS {
            callers.add(&on("busy"));
            callers.add(&on(&n.to_string()));
        }
        assert_eq!(callers.0.len(), STREAMS);
        let busy = callers.take(&stream("busy")).counts();
        assert_eq!(busy[0].count, 1 + STREAMS as u64);
        assert_eq!(busy[0].principal.as_ref().map(|p| p.chars().count()), Some(NAME));
        assert_eq!(callers.take(&stream(&(STREAMS - 1).to_string())).calls(), 1, "the newest is there");
    }
}
