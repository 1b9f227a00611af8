//! The fleet alarms of template.yaml, and the event of a stream that goes into ALARM.

use crate::aws::local_home;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use unthrottle_lab::local::LocalAccount;

/// A fleet alarm.
pub(super) struct Alarm {
    pub name: &'static str,
    metric: &'static str,
    /// The function of its query.
    function: &'static str,
    threshold: f64,
}

/// The alarms. Their queries and thresholds are those of template.yaml, with its defaults.
pub(super) const ALARMS: [Alarm; 3] = [
    Alarm {
        name: "unthrottle-write-throttled",
        metric: "WriteProvisionedThroughputExceeded",
        function: "SUM",
        threshold: 0.0,
    },
    Alarm {
        name: "unthrottle-read-throttled",
        metric: "ReadProvisionedThroughputExceeded",
        function: "SUM",
        threshold: 0.0,
    },
    Alarm {
        name: "unthrottle-readers-behind",
        metric: "\"GetRecords.IteratorAgeMilliseconds\"",
        function: "MAX",
        // Half of a stream's default retention.
        threshold: 43_200_000.0,
    },
];

impl Alarm {
    /// Adds it to an account.
    pub fn add_to(&self, account: &LocalAccount) {
        // A query needs quotes around a name with a dot.
        let metric = self.metric.trim_matches('"');
        if self.function == "MAX" {
            account.add_fleet_alarm_on_maximum(self.name, metric, self.threshold);
        } else {
            account.add_fleet_alarm(self.name, metric);
        }
    }

    /// Its query.
    fn query(&self) -> String {
        let Alarm { metric, function, .. } = self;
        let from = "FROM SCHEMA(\"AWS/Kinesis\", StreamName) WHERE AWS.AccountId = CURRENT_ACCOUNT_ID()";
        format!("SELECT {function}({metric}) {from} GROUP BY StreamName ORDER BY {function}() DESC LIMIT 500")
    }

    /// The event that EventBridge sends for a stream that goes into ALARM.
    pub fn event(&self, stream: &str, now: DateTime<Utc>) -> Value {
        let (home, name) = (local_home(), self.name);
        let arn = format!("arn:aws:cloudwatch:{}:{}:alarm:{name}", home.region, home.account);
        json!({
            "version": "0",
            "detail-type": "CloudWatch Alarm Contributor State Change",
            "source": "aws.cloudwatch",
            "account": home.account,
            "time": now.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "region": home.region,
            "resources": [arn],
            "detail": {
                "alarmName": name,
                "configuration": {"metrics": [{"expression": self.query(), "period": 60}]},
                "alarmContributor": {"id": "local", "attributes": {"StreamName": stream}},
                "state": {"value": "ALARM", "timestamp": now.format("%Y-%m-%dT%H:%M:%S%.3f%z").to_string()},
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text of template.yaml.
    const TEMPLATE: &str = include_str!("../../../../template.yaml");

    #[test]
    fn the_alarms_are_those_of_the_template() {
        // The template leaves the condition out where the account is no monitoring account.
        let own = " WHERE AWS.AccountId = CURRENT_ACCOUNT_ID()";
        let queries = TEMPLATE.lines().filter_map(|line| line.trim().strip_prefix("- SELECT "));
        let queries: Vec<String> = queries.map(|query| format!("SELECT {}", query.replace("${Where}", own))).collect();
        assert_eq!(queries, ALARMS.each_ref().map(Alarm::query));
        let thresholds = TEMPLATE.split("Resources:").last().into_iter().flat_map(str::lines);
        let of_readers = thresholds.filter(|line| line.trim() == "Threshold: !Ref IteratorAgeAlarmMilliseconds");
        assert_eq!(of_readers.count(), 1);
        let default = TEMPLATE.split("  IteratorAgeAlarmMilliseconds:\n").nth(1).expect("the parameter");
        let default = default.lines().find_map(|line| line.trim().strip_prefix("Default: ")).expect("its default");
        assert_eq!(default.parse(), Ok(ALARMS[2].threshold));
    }
}
