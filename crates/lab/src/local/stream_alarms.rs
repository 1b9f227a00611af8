//! PutMetricAlarm for alarms on one metric, and DescribeAlarms: the alarms on a metric of one stream, and those on all
//! streams.

use super::Account;
use super::alarms::{FleetAlarm, FleetAlarms};
use super::cloudwatch::{Answer, token};
use super::protocol::{cbor_of, field, refuse, text};
use ciborium::Value as Cbor;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Alarms of one answer ([API reference]).
///
/// [API reference]: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html
const MOST: usize = 100;
/// Alarms of an answer to a call that names no number.
const USUAL: usize = 50;

/// The topic of an alarm that no client made.
const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:on-call";

/// An alarm of one metric, with the fields of PutMetricAlarm.
pub(super) struct StreamAlarm(Map<String, Value>);

/// The state of each alarm: the account evaluates none.
const STATE: &str = "INSUFFICIENT_DATA";

impl StreamAlarm {
    /// An alarm on a metric of `AWS/Kinesis` of one stream. It notifies a topic.
    pub fn on(name: &str, stream: &str, metric: &str) -> StreamAlarm {
        let fields = json!({
            "AlarmName": name,
            "Namespace": "AWS/Kinesis",
            "MetricName": metric,
            "Dimensions": [{"Name": "StreamName", "Value": stream}],
            "ActionsEnabled": true,
            "AlarmActions": [TOPIC],
        });
        StreamAlarm(fields.as_object().cloned().unwrap_or_default())
    }

    /// The alarm's name.
    pub fn name(&self) -> &str {
        self.0["AlarmName"].as_str().unwrap_or_default()
    }
}

/// PutMetricAlarm: adds an alarm, or replaces the one of this name.
pub(super) fn put(account: &Account, alarms: &mut Vec<StreamAlarm>, input: Value) -> Answer {
    let missing =
        |field: &str| refuse("MissingRequiredParameterException", format!("The parameter {field} is required."));
    let Value::Object(mut fields) = input else { return Err(missing("AlarmName")) };
    for required in ["AlarmName", "EvaluationPeriods", "ComparisonOperator"] {
        if fields.get(required).is_none_or(Value::is_null) {
            return Err(missing(required));
        }
    }
    let name = fields["AlarmName"].as_str().unwrap_or_default().to_owned();
    fields.remove("Tags");
    fields.insert("AlarmArn".into(), json!(account.arn("cloudwatch", "alarm", &name).replace("alarm/", "alarm:")));
    fields.insert("StateReason".into(), json!("Unchecked: the local account evaluates no alarms of clients"));
    fields.entry("ActionsEnabled").or_insert(json!(true));
    // A double, also where the client sent a whole number: SDKs read nothing else.
    if let Some(threshold) = fields.get("Threshold").and_then(Value::as_f64) {
        fields.insert("Threshold".into(), json!(threshold));
    }
    alarms.retain(|alarm| alarm.name() != name);
    alarms.push(StreamAlarm(fields));
    Ok(Cbor::Map(vec![]))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeAlarms {
    alarm_name_prefix: Option<String>,
    #[serde(default)]
    alarm_names: Vec<String>,
    max_records: Option<usize>,
    next_token: Option<String>,
}

/// Answers page by page. The token is the number of alarms on earlier pages.
pub(super) fn describe(alarms: &[StreamAlarm], fleet: &FleetAlarms, input: &DescribeAlarms) -> Answer {
    let skip = token(input.next_token.as_deref())?;
    let page = input.max_records.unwrap_or(USUAL).clamp(1, MOST);
    let is_asked = |name: &str| {
        input.alarm_name_prefix.as_deref().is_none_or(|prefix| name.starts_with(prefix))
            && (input.alarm_names.is_empty() || input.alarm_names.iter().any(|asked| asked == name))
    };
    let of_fleet = fleet.iter().filter(|(name, _)| is_asked(name)).map(|(name, alarm)| of_all_streams(name, alarm));
    let of_streams = alarms.iter().filter(|alarm| is_asked(alarm.name())).map(of_one_stream);
    let all: Vec<Cbor> = of_streams.chain(of_fleet).collect();
    let count = all.len();
    let mut answer = vec![field("MetricAlarms", Cbor::Array(all.into_iter().skip(skip).take(page).collect()))];
    if skip.saturating_add(page) < count {
        answer.push(field("NextToken", text(&(skip + page).to_string())));
    }
    Ok(Cbor::Map(answer))
}

fn of_one_stream(alarm: &StreamAlarm) -> Cbor {
    let mut fields = alarm.0.clone();
    fields.insert("StateValue".into(), json!(STATE));
    cbor_of(Value::Object(fields))
}

fn of_all_streams(name: &str, alarm: &FleetAlarm) -> Cbor {
    let query = Cbor::Map(vec![field("Id", text("all")), field("Expression", text(&alarm.query()))]);
    Cbor::Map(vec![field("AlarmName", text(name)), field("Metrics", Cbor::Array(vec![query]))])
}
