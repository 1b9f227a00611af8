//! What a step works with: clients, the time of the account, its resources, and a place for its findings.

use super::clients::Clients;
use super::delete;
use super::ledger::{Kind, Ledger, Resource};
use super::proof::Measured;
use super::step::{Finding, Step, Verdict};
use super::time::Time;
use super::trouble::{Tried, Trouble, answered, done};
use crate::streams::open_shards;
use aws_sdk_kinesis::types::StreamStatus;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use unthrottle_core::policy::MODE_TAG;

/// The first part of the name of each resource.
pub(super) const PREFIX: &str = "unthrottle-prove-";

/// The key of the tag of each resource that can have one. Its value is the name of the resource.
pub(super) const TAG_KEY: &str = "unthrottle.prove";

/// The tag with which a deployed unthrottle leaves a stream alone. It would change what a step measures, and cost more.
const OFF: (&str, &str) = (MODE_TAG, "off");

/// The time between two reads of a state. AWS allows 20 `DescribeStreamSummary` calls a second in an account.
pub(super) const POLL: Duration = Duration::from_secs(1);

/// The longest wait for a stream to be created, changed or deleted. AWS takes under a minute for a few shards.
pub(super) const STREAM_LIMIT: Duration = Duration::from_secs(300);

/// What the flags allow.
#[derive(Clone, Debug, Default)]
pub(super) struct Allowed {
    /// Whether a step may make all reshards of a day.
    pub spend_reshards: bool,
    /// The bucket of a trail.
    pub trail_bucket: Option<String>,
    /// The role that FIS takes on.
    pub fis_role: Option<String>,
    /// The deployed function.
    pub function: Option<String>,
}

/// The calls that create something now. A call that is dropped on its way may still be carried out, after what it
/// creates was looked for and not found.
#[derive(Debug, Default)]
pub(super) struct Creating {
    calls: Cell<usize>,
    is_stopped: Cell<bool>,
}

impl Creating {
    /// Lets no other call begin.
    pub fn stop(&self) {
        self.is_stopped.set(true);
    }

    /// Whether no call is on its way, and none will be.
    pub fn is_over(&self) -> bool {
        self.is_stopped.get() && self.calls.get() == 0
    }
}

/// The surroundings of one step.
pub(super) struct Context {
    pub step: &'static Step,
    pub clients: Clients,
    pub time: Arc<Time>,
    pub ledger: Arc<Ledger>,
    pub creating: Rc<Creating>,
    pub allowed: Allowed,
    pub findings: RefCell<Vec<Finding>>,
    pub measured: RefCell<Measured>,
}

impl Context {
    /// Says what a fact turned out to be. The first word counts.
    pub fn found(&self, fact: &str, verdict: Verdict, seen: impl Into<String>) {
        let mut findings = self.findings.borrow_mut();
        let known = self.step.facts.iter().find(|known| known.id == fact);
        if let Some(known) = known.filter(|_| findings.iter().all(|finding| finding.fact != fact)) {
            let (expected, source) = (known.expected.to_owned(), known.source.to_owned());
            findings.push(Finding { fact: fact.to_owned(), expected, source, verdict, seen: seen.into() });
        }
    }

    /// Says whether AWS did what was expected, and what was seen.
    pub fn compare(&self, fact: &str, is_expected: bool, seen: impl Into<String>) {
        self.found(fact, if is_expected { Verdict::Seen } else { Verdict::Different }, seen);
    }

    /// Whether each fact of the step has a finding.
    pub fn is_settled(&self) -> bool {
        self.findings.borrow().len() == self.step.facts.len()
    }

    /// The name of a resource of this step: unique in the account.
    pub fn name(&self, what: &str) -> String {
        format!("{PREFIX}{}-{}{what}", self.ledger.run(), self.step.name)
    }

    /// Creates a resource: writes it down first, then asks AWS.
    ///
    /// # Errors
    /// The ledger cannot be written, so that AWS is not asked. Or the call fails.
    pub async fn create<T>(&self, kind: Kind, name: &str, call: impl Future<Output = Tried<T>>) -> Tried<T> {
        let resource = Resource { kind, name: name.to_owned() };
        if self.creating.is_stopped.get() {
            return Err(Trouble::Failed("stopped".into()));
        }
        self.ledger.create(&resource).map_err(|error| Trouble::Failed(error.to_string()))?;
        self.creating.calls.update(|calls| calls + 1);
        let answer = call.await;
        self.creating.calls.update(|calls| calls - 1);
        if let Err(Trouble::Denied(_)) = &answer {
            // AWS has certainly created nothing, and may deny the deletion, too.
            self.ledger.deleted(&resource).map_err(|error| Trouble::Failed(error.to_string()))?;
        }
        answer
    }

    /// Creates a stream that a deployed unthrottle leaves alone, and waits until it is ACTIVE. Returns its name.
    ///
    /// # Errors
    /// A call fails, or the stream is not ACTIVE in time.
    pub async fn stream(&self, what: &str, shards: u32) -> Tried<String> {
        let name = self.name(what);
        let shards = i32::try_from(shards).unwrap_or(1);
        let create = self.clients.kinesis.create_stream().stream_name(&name).shard_count(shards);
        let create = create.tags(TAG_KEY, &name).tags(OFF.0, OFF.1);
        let create = async {
            match answered("CreateStream", create.send().await)? {
                // An attempt before this one has created it: no other stream has this name.
                Err(refusal) if refusal.code == "ResourceInUseException" => Ok(()),
                Err(refusal) => Err(Trouble::Failed(format!("AWS refused CreateStream: {refusal}"))),
                Ok(_) => Ok(()),
            }
        };
        self.create(Kind::Stream, &name, create).await?;
        self.active(&name).await?;
        Ok(name)
    }

    /// Waits until a stream is ACTIVE.
    ///
    /// # Errors
    /// A call fails, or the stream is not ACTIVE in time.
    pub async fn active(&self, name: &str) -> Tried<State> {
        let begin = Instant::now();
        loop {
            let state = self.state(name).await?;
            if state.status == StreamStatus::Active {
                return Ok(state);
            }
            if self.time.since(begin) > STREAM_LIMIT {
                let limit = STREAM_LIMIT.as_secs();
                return Err(Trouble::Failed(format!("the stream is still {} after {limit} s", state.status.as_str())));
            }
            self.time.sleep(POLL).await;
        }
    }

    /// The state of a stream.
    ///
    /// # Errors
    /// The call fails.
    pub async fn state(&self, name: &str) -> Tried<State> {
        let answer = self.clients.kinesis.describe_stream_summary().stream_name(name).send().await;
        let answer = done("DescribeStreamSummary", answer)?;
        let summary = answer.stream_description_summary;
        let summary = summary.ok_or_else(|| Trouble::Failed("DescribeStreamSummary answered no summary".into()))?;
        Ok(State {
            arn: summary.stream_arn().to_owned(),
            status: summary.stream_status().clone(),
            shards: open_shards(&summary),
        })
    }

    /// Deletes what the step created. Returns what could not be deleted, with the reason.
    pub async fn clean(&self) -> Vec<(Resource, String)> {
        let prefix = self.name("");
        let left = self.ledger.left().into_iter().filter(|resource| resource.name.starts_with(&prefix));
        delete::all(&self.clients, &self.time, &self.ledger, left.collect()).await
    }
}

/// The state of a stream.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub arn: String,
    pub status: StreamStatus,
    pub shards: u32,
}
