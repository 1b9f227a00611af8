//! Who is throttled: counts the callers in the throttle signals of a stream, from one observation to the next.
//!
//! The counts are incomplete. CloudTrail loses and repeats events, and other containers receive events of their own. A
//! `PutRecords` call that succeeds makes no event, even if AWS refuses some of its records. So a count is not a total,
//! and a caller without a count may be throttled as well.

use crate::decision::Side;
use crate::signal::{Call, StreamArn};
use crate::text::{NAME, agent, plain};
use serde::Serialize;
use std::collections::BTreeMap;

/// How many callers of a stream have a count of their own. A stream has a handful of applications. A smaller number
/// would hide some of them; with a larger number no person would read the list to its end.
const CALLERS: usize = 16;

/// For how many streams the process counts callers at once. A group lives from one observation of its stream to the
/// next, so far fewer streams have one. With the longest names, 200 groups take 6 MB of the function's 128 MB. More
/// groups could exhaust the memory; fewer could drop the callers of a stream that throttles now.
const STREAMS: usize = 200;

/// The principal of the count of all callers without a count of their own. Not an ARN, so it cannot be a caller's name.
const OTHERS: &str = "others";

/// A caller, an operation, and how many of these calls AWS refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CallerCount {
    /// The ARN of the role behind a session, else of the user. Each instance has a session of its own, so the role
    /// counts. `null`: CloudTrail names no caller. `others`: all callers without a count of their own.
    pub principal: Option<String>,
    /// The first product of the user agent. The rest differs by host, and even by request.
    pub user_agent: Option<String>,
    /// The call, such as `PutRecords`. `null` for `others`.
    pub operation: Option<String>,
    /// Refused calls. A call whose event came twice counts twice.
    pub count: u64,
}

impl CallerCount {
    fn new(call: &Call) -> CallerCount {
        let kept = |text: &str| plain(text, NAME);
        let caller = &call.caller;
        CallerCount {
            principal: caller.role.as_deref().or(caller.principal.as_deref()).map(kept),
            user_agent: caller.user_agent.as_deref().and_then(agent),
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
        let caller = CallerCount::new(call);
        match self.callers.iter().position(|known| known.is_same(&caller)) {
            Some(known) => self.callers[known].count += 1,
            None if self.callers.len() < CALLERS => self.callers.push(caller),
            None => self.others += 1,
        }
    }

    fn calls(&self) -> u64 {
        self.callers.iter().map(|c| c.count).sum::<u64>() + self.others
    }

    /// The caller of this side with the most refused calls. `None` where a caller without a count of its own may have
    /// more: all of the others may be one caller.
    pub(crate) fn most(&self, side: Side) -> Option<&CallerCount> {
        let of_side = self.callers.iter().filter(|c| c.is_of(side));
        // Of callers with the same count, the first.
        let most = of_side.reduce(|most, c| if c.count > most.count { c } else { most })?;
        (most.count >= self.others).then_some(most)
    }

    /// The counts, largest first. The count of all other callers together is the last.
    pub(crate) fn counts(&self) -> Vec<CallerCount> {
        let mut counts = self.callers.clone();
        counts.sort_by_key(|c| std::cmp::Reverse(c.count));
        let others =
            CallerCount { principal: Some(OTHERS.into()), user_agent: None, operation: None, count: self.others };
        counts.extend((self.others > 0).then_some(others));
        counts
    }
}

/// The refused callers of each stream since its last observation.
#[derive(Debug, Default)]
pub(crate) struct Callers(BTreeMap<StreamArn, Group>);

impl Callers {
    /// The callers of `stream` so far.
    pub(crate) fn seen(&self, stream: &StreamArn) -> Group {
        self.0.get(stream).cloned().unwrap_or_default()
    }

    /// Counts a refused call, if it names a stream.
    pub(crate) fn add(&mut self, call: &Call) {
        let Some(stream) = &call.stream else { return };
        if !self.0.contains_key(stream) && self.0.len() >= STREAMS {
            self.remove_smallest();
        }
        self.0.entry(stream.clone()).or_default().add(call);
    }

    /// The callers of `stream` so far. The count starts again.
    pub(crate) fn take(&mut self, stream: &StreamArn) -> Group {
        self.0.remove(stream).unwrap_or_default()
    }

    /// Drops the group with the fewest calls: it says the least.
    fn remove_smallest(&mut self) {
        let smallest = self.0.iter().min_by_key(|(_, group)| group.calls()).map(|(stream, _)| stream.clone());
        if let Some(stream) = smallest {
            self.0.remove(&stream);
        }
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

    fn counted(group: &Group) -> Vec<(String, u64)> {
        group.counts().into_iter().map(|c| (c.principal.expect("named"), c.count)).collect()
    }

    #[test]
    fn sessions_of_one_role_with_different_user_agent_tails_are_one_caller() {
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
    fn a_callers_own_words_hold_no_link_and_no_control_character() {
        let mut hostile = call("arn:aws:iam::123456789012:role/https://unthrottle.example/p", "PutRecords\u{1b}[2J");
        hostile.caller.user_agent = Some("https://unthrottle.example/login?a=orders\u{1b}[2J".into());
        let counts = group([hostile]).counts();
        let [one] = counts.as_slice() else { panic!("one caller: {counts:?}") };
        assert_eq!(one.user_agent.as_deref(), Some("https"));
        assert_eq!(one.principal.as_deref(), Some("arn:aws:iam::123456789012:role/https:/unthrottle.example/p"));
        assert_eq!(one.operation.as_deref(), Some("PutRecords?[2J"));
    }

    #[test]
    fn callers_differ_by_principal_agent_and_operation_and_the_largest_count_comes_first() {
        let mut other_agent = call("a", "PutRecord");
        other_agent.caller.user_agent = Some("Boto3/1.34".into());
        let calls = [call("a", "PutRecord"), call("b", "PutRecord"), call("a", "PutRecords"), other_agent];
        let counts = group(calls.into_iter().chain([call("b", "PutRecord")])).counts();
        assert_eq!(counts.len(), 4);
        assert_eq!((counts[0].principal.as_deref(), counts[0].count), (Some("b"), 2));
    }

    #[test]
    fn take_gives_the_group_of_one_stream_once() {
        let mut callers = Callers::default();
        callers.add(&call("a", "PutRecord"));
        callers.add(&Call { stream: None, ..call("a", "PutRecord") });
        assert_eq!(callers.take(&stream("clicks")), Group::default());
        assert_eq!(counted(&callers.take(&stream("orders"))), [("a".into(), 1)]);
        assert_eq!(callers.take(&stream("orders")), Group::default());
    }

    #[test]
    fn callers_beyond_the_limit_are_counted_together() {
        let crowd = || (0..CALLERS + 3).map(|n| call(&n.to_string(), "PutRecord"));
        let counts = counted(&group(crowd()));
        assert_eq!((counts.len(), counts.last()), (CALLERS + 1, Some(&(OTHERS.into(), 3))));
        assert_eq!(group(crowd()).most(Side::Writes), None, "the others may be one caller, refused more often");
        let often = group(crowd().chain([call("0", "PutRecord"), call("0", "PutRecord")]));
        assert_eq!(often.most(Side::Writes).map(|c| c.count), Some(3));
    }

    #[test]
    fn the_most_refused_caller_is_of_the_asked_side() {
        let seen = group([call("w", "PutRecords"), call("r", "GetRecords"), call("r", "GetRecords")]);
        let principal = |side| seen.most(side).and_then(|c| c.principal.as_deref());
        assert_eq!((principal(Side::Writes), principal(Side::Reads)), (Some("w"), Some("r")));
        assert_eq!(group([call("c", "ListShards")]).most(Side::Reads), None);
    }

    #[test]
    fn a_full_memory_drops_the_stream_with_the_fewest_calls() {
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
        assert_eq!(callers.take(&stream(&(STREAMS - 1).to_string())).calls(), 1, "the newest stream is kept");
    }
}
