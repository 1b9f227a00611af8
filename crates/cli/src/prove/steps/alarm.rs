//! The alarm on all streams, as template.yaml deploys it: its delay, its event, and who may read its contributors.

use crate::prove::again::told;
use crate::prove::context::{Context, TAG_KEY};
use crate::prove::events::Events;
use crate::prove::flood::{self, A_ROUND, Answers};
use crate::prove::ledger::Kind;
use crate::prove::step::{Fact, Step, Use, Verdict};
use crate::prove::trouble::{Refusal, Tried, Trouble, answered, refused};
use aws_sdk_cloudwatch::types::{ComparisonOperator, HistoryItemType, MetricDataQuery, Tag};
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::time::{Duration, Instant};

const DELAY: Fact = Fact {
    id: "alarm-delay",
    expected: "A stream becomes a contributor in ALARM at most three minutes after the begin of its first throttled \
               minute.",
    source: "No page of AWS. One public recording, of 104 to 109 s.",
};
const CLAUSE: Fact = Fact {
    id: "account-clause",
    expected: "Metrics Insights takes `WHERE AWS.AccountId = CURRENT_ACCOUNT_ID()` in an account that is no \
               monitoring account.",
    source: "CloudWatch's page of the query language has the clause, for monitoring accounts.",
};
const CONTRIBUTORS: Fact = Fact {
    id: "alarm-contributors",
    expected: "`DescribeAlarmContributors` names the stream. A denial names the action \
               `cloudwatch:DescribeAlarmContributors`.",
    source: "The API reference of `DescribeAlarmContributors`. The service authorization reference lacks the action.",
};
const HISTORY: Fact = Fact {
    id: "alarm-history",
    expected: "`DescribeAlarmHistory` with `AlarmContributorStateUpdate` names the stream.",
    source: "The API reference of `DescribeAlarmHistory`.",
};
const EVENT: Fact = Fact {
    id: "alarm-event",
    expected: "EventBridge delivers `CloudWatch Alarm Contributor State Change` with the stream's name.",
    source: "CloudWatch's page of its events, with an example of DynamoDB.",
};

/// The expression of the alarm in template.yaml. A test compares them.
const EXPRESSION: &str = "SELECT SUM(WriteProvisionedThroughputExceeded) FROM SCHEMA(\"AWS/Kinesis\", StreamName) \
                          WHERE AWS.AccountId = CURRENT_ACCOUNT_ID() GROUP BY StreamName ORDER BY SUM() DESC LIMIT 500";

/// The longest flood: it ends within its minute.
const FLOOD: Duration = Duration::from_secs(20);

/// The longest wait for the alarm. One recording took 109 s.
const LIMIT: Duration = Duration::from_secs(6 * 60);

/// How much later the event may come than the alarm.
const EVENT_LIMIT: Duration = Duration::from_secs(60);

/// The time between two reads: the error of the delay.
const EVERY: Duration = Duration::from_secs(5);

/// See [`DELAY`], with the error of a read.
const EXPECTED: f64 = 180.0 + 5.0;

/// USD for an hour of a stream that the alarm analyses: $0.10 a month of 730 hours.
const ALARM_HOUR: f64 = 0.10 / 730.0;

pub(super) static STEP: Step = Step {
    name: "contributor-alarm",
    about: "Creates the alarm of template.yaml on all streams, floods a stream for 20 s, and waits for the alarm.",
    facts: &[DELAY, CLAUSE, CONTRIBUTORS, HISTORY, EVENT],
    minutes: 10,
    // A cent is enough for up to 70 streams.
    uses: Use { shards: 1, records: 400 * A_ROUND, other_usd: 0.01, each_stream_usd: ALARM_HOUR },
    records_all_writes: false,
    flag: None,
    run: |context| Box::pin(run(context)),
};

async fn run(context: &Context) -> Tried<()> {
    let stream = context.stream("", 1).await?;
    let alarm = context.name("");
    let pattern = json!({"source": ["aws.cloudwatch"], "detail": {"alarmName": [alarm]}});
    let events = match Events::of(context, &pattern).await {
        Ok(events) => Some(events),
        Err(trouble @ Trouble::Failed(_)) => return Err(trouble),
        Err(trouble) => {
            context.found(EVENT.id, Verdict::NotAvailable, trouble.to_string());
            None
        }
    };
    create(context, &alarm).await?;
    let minute = throttle(context, &stream).await?;
    let watch = Watch { context, stream: &stream, alarm: &alarm, minute, too_fast: RefCell::default() };
    watch.wait().await?;
    if let Some(events) = events {
        watch.event(&events).await?;
    }
    if [CONTRIBUTORS, HISTORY].iter().all(|fact| watch.is_not_available(fact)) {
        return Err(Trouble::NotAvailable("the step has no way to read the alarm".into()));
    }
    if let Some((call, refusal)) = watch.too_fast.take() {
        return Err(refused(call, &refusal));
    }
    // The first words count, so these are for the facts that nothing has shown.
    let seen = format!("the alarm showed nothing of the stream within {} min", LIMIT.as_secs() / 60);
    for fact in [DELAY, CONTRIBUTORS, HISTORY] {
        context.found(fact.id, Verdict::Different, seen.clone());
    }
    context.found(CLAUSE.id, Verdict::NotAvailable, format!("AWS accepted the alarm with the clause, and {seen}"));
    Ok(())
}

/// Codes of CloudWatch for a call with a bad value.
const INVALID: [&str; 5] = [
    "ValidationError",
    "ValidationException",
    "InvalidParameterValue",
    "InvalidParameterValueException",
    "InvalidParameterCombination",
];

/// Creates the alarm.
///
/// # Errors
/// AWS does not take the expression, or refuses the alarm for another reason.
async fn create(context: &Context, alarm: &str) -> Tried<()> {
    let query = MetricDataQuery::builder().id("refused").expression(EXPRESSION).period(60).return_data(true).build();
    let put = context.clients.cloudwatch.put_metric_alarm().alarm_name(alarm).metrics(query);
    let put = put.comparison_operator(ComparisonOperator::GreaterThanThreshold).threshold(0.0);
    let put = put.evaluation_periods(5).datapoints_to_alarm(1).treat_missing_data("notBreaching");
    let put = put.tags(Tag::builder().key(TAG_KEY).value(alarm).build());
    let put = async || {
        let put = put.clone();
        context.create(Kind::Alarm, alarm, async { answered("PutMetricAlarm", put.send().await) }).await
    };
    match told(&context.time, "PutMetricAlarm", put).await? {
        Ok(_) => Ok(()),
        Err(refusal) if INVALID.contains(&refusal.code.as_str()) => {
            context.found(CLAUSE.id, Verdict::Different, refusal.to_string());
            Err(Trouble::NotAvailable("the step needs the alarm, and AWS refused its expression".into()))
        }
        Err(refusal) => Err(refused("PutMetricAlarm", &refusal)),
    }
}

/// Throttles the stream within one minute, and returns the minute.
async fn throttle(context: &Context, stream: &str) -> Tried<DateTime<Utc>> {
    let minute = |time: DateTime<Utc>| time.duration_trunc(TimeDelta::minutes(1)).unwrap_or(time);
    let next = minute(context.time.now()) + TimeDelta::minutes(1);
    // A second into the minute: the clocks may differ.
    let wait = next + TimeDelta::seconds(1) - context.time.now();
    context.time.sleep(wait.to_std().unwrap_or_default()).await;
    let (begin, mut answers, begun) = (Instant::now(), Answers::default(), minute(context.time.now()));
    while answers.refused == 0 || context.time.since(begin) < FLOOD / 2 {
        flood::full_round(context, stream, &mut answers).await?;
        // A refused rate of calls is no answer of the shard.
        if answers.refused == 0 && begin.elapsed() > LIMIT {
            return Err(Trouble::Failed(format!("AWS refused no record within {} min", LIMIT.as_secs() / 60)));
        }
        if answers.refused == 0 && context.time.since(begin) > FLOOD && answers.accepted > 20 * A_ROUND {
            let accepted = answers.accepted;
            return Err(Trouble::NotAvailable(format!(
                "the shard accepted {accepted} records and refused none. The step needs an account that limits a \
                 shard, and a connection that carries more"
            )));
        }
    }
    Ok(begun)
}

/// Waits for the alarm of a stream whose first throttled minute is known.
struct Watch<'a> {
    context: &'a Context,
    stream: &'a str,
    alarm: &'a str,
    minute: DateTime<Utc>,
    /// The call whose rate AWS refused the last time. The delay of what the next call shows is then unknown.
    too_fast: RefCell<Option<(&'static str, Refusal)>>,
}

impl Watch<'_> {
    /// Waits until each way shows the stream in ALARM, or is not available.
    async fn wait(&self) -> Tried<()> {
        let begin = Instant::now();
        while self.context.time.since(begin) < LIMIT && !(self.has(&CONTRIBUTORS) && self.has(&HISTORY)) {
            self.contributors().await?;
            self.history().await?;
            self.context.time.sleep(EVERY).await;
        }
        Ok(())
    }

    fn is_not_available(&self, fact: &Fact) -> bool {
        let findings = self.context.findings.borrow();
        findings.iter().any(|finding| finding.fact == fact.id && finding.verdict == Verdict::NotAvailable)
    }

    fn has(&self, fact: &Fact) -> bool {
        self.context.findings.borrow().iter().any(|finding| finding.fact == fact.id)
    }

    /// The alarm shows the stream: its delay, and that CloudWatch evaluates the expression.
    fn is_raised(&self) {
        let delay = (self.context.time.now() - self.minute).as_seconds_f64();
        let seen = format!("{delay:.0} s after the begin of the first throttled minute");
        // The alarm may have shown the stream during the refusals.
        match self.too_fast.take() {
            Some((call, refusal)) if delay > EXPECTED => {
                self.context.found(DELAY.id, Verdict::Failed, format!("{seen}; meanwhile {}", refused(call, &refusal)));
            }
            _ => self.context.compare(DELAY.id, delay <= EXPECTED, seen),
        }
        self.context.found(CLAUSE.id, Verdict::Seen, "CloudWatch evaluates an alarm with the clause");
    }

    async fn contributors(&self) -> Tried<()> {
        if self.has(&CONTRIBUTORS) {
            return Ok(());
        }
        let describe = self.context.clients.cloudwatch.describe_alarm_contributors().alarm_name(self.alarm);
        let answer = match answered("DescribeAlarmContributors", describe.send().await) {
            Ok(Ok(answer)) => answer,
            // The next read asks again.
            Ok(Err(refusal)) if refusal.is_of_account() => {
                self.too_fast.replace(Some(("DescribeAlarmContributors", refusal)));
                return Ok(());
            }
            Ok(Err(refusal)) => {
                self.context.found(CONTRIBUTORS.id, Verdict::Different, refusal.to_string());
                return Ok(());
            }
            Err(trouble) => return self.not_available(&CONTRIBUTORS, trouble),
        };
        let attributes =
            answer.alarm_contributors().iter().filter_map(|contributor| contributor.contributor_attributes());
        let is_named = attributes.filter_map(|all| all.get("StreamName")).any(|name| name == self.stream);
        if is_named {
            self.is_raised();
            self.context.found(CONTRIBUTORS.id, Verdict::Seen, "it names the stream");
        }
        self.is_answered("DescribeAlarmContributors");
        Ok(())
    }

    async fn history(&self) -> Tried<()> {
        if self.has(&HISTORY) {
            return Ok(());
        }
        let describe = self.context.clients.cloudwatch.describe_alarm_history().alarm_name(self.alarm);
        let describe = describe.history_item_type(HistoryItemType::AlarmContributorStateUpdate);
        let items = match answered("DescribeAlarmHistory", describe.send().await) {
            Ok(Ok(answer)) => answer.alarm_history_items.unwrap_or_default(),
            Ok(Err(refusal)) if refusal.is_of_account() => {
                self.too_fast.replace(Some(("DescribeAlarmHistory", refusal)));
                return Ok(());
            }
            Ok(Err(refusal)) => {
                self.context.found(HISTORY.id, Verdict::Different, refusal.to_string());
                return Ok(());
            }
            Err(trouble) => return self.not_available(&HISTORY, trouble),
        };
        let is_of_stream = |text: &str| text.contains(self.stream);
        let is_named = items.iter().any(|item| {
            let attributes = item.alarm_contributor_attributes().into_iter().flat_map(|all| all.values());
            attributes.map(String::as_str).chain(item.history_data()).any(is_of_stream)
        });
        if is_named {
            self.is_raised();
            self.context.found(HISTORY.id, Verdict::Seen, "it names the stream");
        }
        self.is_answered("DescribeAlarmHistory");
        Ok(())
    }

    /// AWS no longer refuses the rate of this call.
    fn is_answered(&self, call: &str) {
        self.too_fast.borrow_mut().take_if(|(refused, _)| *refused == call);
    }

    /// A way that the endpoint or the caller does not have.
    fn not_available(&self, fact: &Fact, trouble: Trouble) -> Tried<()> {
        match trouble {
            Trouble::Failed(_) => Err(trouble),
            trouble => {
                self.context.found(fact.id, Verdict::NotAvailable, trouble.to_string());
                Ok(())
            }
        }
    }

    /// Waits for the event.
    async fn event(&self, events: &Events) -> Tried<()> {
        let begin = Instant::now();
        while self.context.time.since(begin) < EVENT_LIMIT {
            for event in events.receive(self.context).await? {
                let is_named = event["detail"]["alarmContributor"]["attributes"]["StreamName"] == self.stream;
                if is_named {
                    self.context.compare(EVENT.id, is_right(&event), in_words(&event, self.context.time.now()));
                    return Ok(());
                }
            }
            self.context.time.sleep(EVERY).await;
        }
        let seen = format!("no event about the stream within {} s of the alarm", EVENT_LIMIT.as_secs());
        self.context.found(EVENT.id, Verdict::Different, seen);
        Ok(())
    }
}

fn is_right(event: &Value) -> bool {
    event["detail-type"] == "CloudWatch Alarm Contributor State Change" && event["detail"]["state"]["value"] == "ALARM"
}

fn in_words(event: &Value, now: DateTime<Utc>) -> String {
    let kind = event["detail-type"].as_str().unwrap_or("an event without a type");
    let sent = event["time"].as_str().and_then(|time| DateTime::parse_from_rfc3339(time).ok());
    let late =
        sent.map_or_else(String::new, |sent| format!(", {} s after its time", (now - sent.to_utc()).num_seconds()));
    format!("{kind}{late}")
}
