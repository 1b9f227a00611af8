"""How the stack watches the fleet: its alarms, the schedule of its sweep, its messages, and what stops it."""

import json
import re

import pytest
from metrics import NAMESPACE, SENT
from metrics import SOURCE as METRIC
from template import (
    ALARMS,
    DEPLOYED,
    FLEET,
    OWN,
    ROOT,
    SOURCES,
    STATEMENTS,
    TEMPLATE,
    VARIABLES,
    actions_of,
    in_rust,
    of_type,
    rust,
    statements,
    watched,
)

FUNCTION_ARN = {"Fn::GetAtt": ["Function", "Arn"]}
TOPIC = {"Ref": "Topic"}
TAG = {"Key": "unthrottle:stack", "Value": {"Ref": "AWS::StackName"}}


def only(kind):
    resources = of_type(kind)
    assert len(resources) == 1, kind
    return next(iter(resources.items()))


WHERE = " WHERE AWS.AccountId = CURRENT_ACCOUNT_ID()"


def query_of(alarm):
    (metric,) = ALARMS[alarm]["Metrics"]
    assert (metric["Period"], metric["ReturnData"]) == (60, True)
    query, places = metric["Expression"]["Fn::Sub"]
    assert places == {"Where": {"Fn::If": ["AsksThisAccountOnly", WHERE, ""]}}
    return query.replace("${Where}", WHERE)


def test_the_code_is_given_the_fleet_alarms_by_name_and_takes_so_many():
    writes, reads, readers = FLEET
    optional = {"Fn::If": ["WatchesReaders", {"Ref": readers}, {"Ref": "AWS::NoValue"}]}
    assert VARIABLES["UNTHROTTLE_FLEET_ALARMS"] == {"Fn::Join": [",", [{"Ref": writes}, {"Ref": reads}, optional]]}
    assert [DEPLOYED["Resources"][name].get("Condition") for name in FLEET] == [None, None, "WatchesReaders"]
    assert len(FLEET) <= int(in_rust(r"const MAX_FLEET_ALARMS: usize = (\d+);"))


def test_the_fleet_alarms_watch_every_stream_by_its_own_name():
    # As the core's signal/alarm.rs reads them: the namespace in quotes, and the metric in the first brackets.
    form = r'SELECT (SUM|MAX)\(("?)([\w.]+)\2\) FROM SCHEMA\("AWS/Kinesis", StreamName\) WHERE AWS.AccountId = CURRENT_ACCOUNT_ID\(\) GROUP BY StreamName ORDER BY \1\(\) DESC LIMIT 500'
    found = [re.fullmatch(form, query_of(alarm)) for alarm in FLEET]
    assert all(found)
    # A name with a dot takes quotes.
    assert all(bool(match[2]) == ("." in match[3]) for match in found)
    refused = re.findall(r'"(\w+)"', in_rust(r"const REFUSED: \[&str; 2\] = (\[.*?\]);"))
    assert [(match[1], match[3]) for match in found] == [
        *(("SUM", metric) for metric in refused),
        ("MAX", "GetRecords.IteratorAgeMilliseconds"),
    ]


@pytest.mark.parametrize("name", FLEET)
def test_a_fleet_alarm_needs_what_a_change_needs_and_takes_silence_for_calm(name):
    alarm = ALARMS[name]
    assert (alarm["EvaluationPeriods"], alarm["DatapointsToAlarm"]) == ({"Ref": "WindowMinutes"}, {"Ref": "ConfirmMinutes"})
    assert (alarm["ComparisonOperator"], alarm["TreatMissingData"]) == ("GreaterThanThreshold", "notBreaching")
    behind = "IteratorAge" in query_of(name)
    assert alarm["Threshold"] == ({"Ref": "IteratorAgeAlarmMilliseconds"} if behind else 0)
    # People hear what comes of it, from the function.
    assert "AlarmActions" not in alarm


def test_readers_are_behind_at_half_of_the_retention_that_a_stream_has_by_default():
    assert TEMPLATE["Parameters"]["IteratorAgeAlarmMilliseconds"]["Default"] == 12 * 60 * 60 * 1000


# What watches the code's own metrics, and what watches AWS's of the function and of its queue.
OF_THE_CODE = [name for name in OWN if watched(name)[0][0] == "Unthrottle"]
OF_AWS = sorted(set(OWN) - set(OF_THE_CODE))


def metrics_of(names):
    return {name: (*(metric for _, metric, _ in watched(name)), ALARMS[name].get("Dimensions", [])) for name in names}


def test_the_stacks_own_alarms_watch_metrics_that_the_code_sends():
    assert metrics_of(OF_THE_CODE) == {
        "AutoFixAlarm": ("AutoFix", []),
        "FleetLimitAlarm": ("Held", [{"Name": "Reason", "Value": "fleet_limit"}]),
        "NeedsPersonAlarm": ("NeedsPerson", []),
        "NoSweepAlarm": ("SweepLooked", []),
        "SweepFailedAlarm": ("SweepLooked", "SweepFailed", []),
        "UntoldAlarm": ("Untold", []),
    }
    for name in OF_THE_CODE:
        dimensions = frozenset(d["Name"] for d in ALARMS[name].get("Dimensions", []))
        for namespace, metric, _ in watched(name):
            assert namespace == NAMESPACE and (metric, dimensions) in SENT
    assert any(re.search(r"\n    FleetLimit\(", path.read_text()) for path in SOURCES)


def test_the_function_and_its_queue_are_watched_too():
    function = [{"Name": "FunctionName", "Value": {"Ref": "Function"}}]
    queue = [{"Name": "QueueName", "Value": {"Fn::GetAtt": ["DeadLetterQueue", "QueueName"]}}]
    assert metrics_of(OF_AWS) == {
        "DeadLettersAlarm": ("ApproximateNumberOfMessagesVisible", queue),
        "FunctionErrorsAlarm": ("Errors", function),
        "FunctionThrottlesAlarm": ("Throttles", function),
    }
    assert [ALARMS[name]["Namespace"] for name in OF_AWS] == ["AWS/SQS", "AWS/Lambda", "AWS/Lambda"]


@pytest.mark.parametrize("name", OWN)
def test_people_hear_of_each_of_the_stacks_own_alarms(name):
    assert ALARMS[name]["AlarmActions"] == [TOPIC]


def test_an_hour_without_a_sweep_notifies_and_a_new_stack_does_not():
    alarm = ALARMS["NoSweepAlarm"]
    # A new alarm is in INSUFFICIENT_DATA, so only one that had data comes into it. `SweepLooked` is sent when it is 0.
    assert alarm["TreatMissingData"] == "missing" and alarm["InsufficientDataActions"] == [TOPIC]
    assert "`SweepLooked` is there also when it is zero" in " ".join(METRIC.replace("///", "").split())
    seconds = alarm["Period"] * alarm["EvaluationPeriods"]
    assert seconds == 3600 and "DatapointsToAlarm" not in alarm
    assert (alarm["Statistic"], alarm["ComparisonOperator"], alarm["Threshold"]) == ("SampleCount", "LessThanThreshold", 1)
    # One of two late sweeps is no alarm.
    assert TEMPLATE["Parameters"]["SweepMinutes"]["MaxValue"] * 60 * 2 <= seconds


@pytest.mark.parametrize("name", sorted(set(OWN) - {"NoSweepAlarm"}))
def test_the_other_alarms_take_silence_for_calm(name):
    assert ALARMS[name]["TreatMissingData"] == "notBreaching"


def test_a_failure_in_every_sweep_of_half_an_hour_is_an_alarm():
    alarm = ALARMS["SweepFailedAlarm"]
    assert watched("SweepFailedAlarm") == [("Unthrottle", name, "SampleCount") for name in ("SweepLooked", "SweepFailed")]
    ended, failing, others = alarm["Metrics"]
    assert [metric["MetricStat"]["Period"] for metric in (ended, failing)] == [1800, 1800]
    assert others["Expression"] == f"{ended['Id']} - {failing['Id']}"
    assert [metric["ReturnData"] for metric in alarm["Metrics"]] == [False, False, True]
    # No sweep was without a failure. Without SweepFailed there is no difference, and no value is no alarm.
    assert (alarm["ComparisonOperator"], alarm["Threshold"], alarm["EvaluationPeriods"]) == ("LessThanOrEqualToThreshold", 0, 1)


def test_the_schedule_asks_for_a_sweep_and_leaves_a_lost_one_to_the_next():
    _, schedule = only("AWS::Scheduler::Schedule")
    target = schedule["Target"]
    # As the core's signal reads it: this and nothing else.
    payload = target["Input"]["Fn::Sub"].replace("${SweepMinutes}", "7")
    assert json.loads(payload) == {"sweep": True, "stay": True, "every_minutes": 7}
    assert (target["Arn"], target["RoleArn"]) == (FUNCTION_ARN, {"Fn::GetAtt": ["SweepRole", "Arn"]})
    assert target["RetryPolicy"] == {"MaximumRetryAttempts": 0}
    assert schedule["GroupName"] == {"Ref": only("AWS::Scheduler::ScheduleGroup")[0]}
    assert schedule["FlexibleTimeWindow"] == {"Mode": "OFF"}


def test_sweeps_do_not_overlap():
    _, schedule = only("AWS::Scheduler::Schedule")
    each_minute, otherwise = "rate(1 minute)", {"Fn::Sub": "rate(${SweepMinutes} minutes)"}
    assert schedule["ScheduleExpression"] == {"Fn::If": ["SweepsEachMinute", each_minute, otherwise]}
    assert TEMPLATE["Conditions"]["SweepsEachMinute"] == {"Fn::Equals": [{"Ref": "SweepMinutes"}, 1]}
    minutes = TEMPLATE["Parameters"]["SweepMinutes"]
    assert (minutes["Default"], minutes["MinValue"], minutes["MaxValue"]) == (1, 1, 30)
    # A sweep knows when the next one begins, and leaves its streams to that one.
    assert '"every_minutes": ${SweepMinutes}' in schedule["Target"]["Input"]["Fn::Sub"]


def test_the_schedules_role_invokes_the_function_and_only_for_this_group():
    ((statement, condition),) = statements("SweepRole")
    assert (actions_of(statement), statement["Resource"], condition) == (["lambda:InvokeFunction"], FUNCTION_ARN, None)
    (trust,) = of_type("AWS::IAM::Role")["SweepRole"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "scheduler.amazonaws.com"}
    group = {"Fn::GetAtt": [only("AWS::Scheduler::ScheduleGroup")[0], "Arn"]}
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}, "aws:SourceArn": group}}


def test_a_rule_takes_the_place_of_the_schedule_and_asks_for_the_same_sweep():
    _, schedule = only("AWS::Scheduler::Schedule")
    rule = of_type("AWS::Events::Rule")["SweepRule"]
    (target,) = rule["Targets"]
    assert rule["ScheduleExpression"] == schedule["ScheduleExpression"] and "EventPattern" not in rule
    assert (target["Input"], target["RetryPolicy"]) == (schedule["Target"]["Input"], schedule["Target"]["RetryPolicy"])
    made = {name: resource.get("Condition") for name, resource in DEPLOYED["Resources"].items() if "Sweep" in name}
    assert {name for name, condition in made.items() if condition == "SweepsBySchedule"} == {"SweepGroup", "SweepSchedule", "SweepRole"}
    assert {name for name, condition in made.items() if condition == "SweepsByRule"} == {"SweepRule", "SweepRulePermission"}
    for condition, word in [("SweepsBySchedule", "schedule"), ("SweepsByRule", "rule")]:
        assert TEMPLATE["Conditions"][condition] == {"Fn::Equals": [{"Ref": "SweepTrigger"}, word]}
    assert TEMPLATE["Parameters"]["SweepTrigger"]["AllowedValues"] == ["schedule", "rule"]


def test_pause_finds_all_that_wakes_the_function_by_the_tag():
    assert in_rust(r'const STACK_TAG: &str = "([^"]+)";') == TAG["Key"]
    found = re.findall(r'resource_type_filters\("([^"]+)"\)', rust("pause.rs").read_text())
    assert found == ["events:rule", "scheduler:schedule-group"]
    rules = of_type("AWS::Events::Rule")
    for resource in [*rules.values(), only("AWS::Scheduler::ScheduleGroup")[1]]:
        assert resource["Tags"] == [TAG]
    for rule in rules.values():
        assert [target["Arn"] for target in rule["Targets"]] == [FUNCTION_ARN]
        assert rule.get("State", "ENABLED") == "ENABLED"
    # Nothing else may, or does.
    permissions = of_type("AWS::Lambda::Permission").values()
    assert [p["SourceArn"] for p in permissions] == [{"Fn::GetAtt": [name, "Arn"]} for name in rules]
    assert all(p["Principal"] == "events.amazonaws.com" for p in permissions)
    kinds = {resource["Type"] for resource in DEPLOYED["Resources"].values()}
    assert not kinds & {"AWS::Lambda::EventSourceMapping", "AWS::Lambda::Url"}
    assert only("AWS::SNS::Subscription")[1]["Protocol"] == "email"


def test_what_a_rule_could_not_hand_over_is_kept():
    _, queue = only("AWS::SQS::QueuePolicy")
    allowed = next(s for s in queue["PolicyDocument"]["Statement"] if s["Effect"] == "Allow")
    # If a sweep is lost, the next one finds the same streams.
    rules = {name: rule for name, rule in of_type("AWS::Events::Rule").items() if name != "SweepRule"}
    assert allowed["Condition"] == {"ArnEquals": {"aws:SourceArn": [{"Fn::GetAtt": [name, "Arn"]} for name in rules]}}
    for rule in rules.values():
        assert rule["Targets"][0]["DeadLetterConfig"] == {"Arn": {"Fn::GetAtt": ["DeadLetterQueue", "Arn"]}}


def test_people_are_told_by_the_topic_and_only_over_tls():
    assert VARIABLES["UNTHROTTLE_TOPIC_ARN"] == TOPIC
    (publish,) = [statement for statement, _ in STATEMENTS if "sns:Publish" in actions_of(statement)]
    assert (publish["Action"], publish["Resource"]) == ("sns:Publish", TOPIC)
    _, policy = only("AWS::SNS::TopicPolicy")
    (denied,) = [s for s in policy["PolicyDocument"]["Statement"] if s["Effect"] == "Deny"]
    assert (denied["Principal"], denied["Action"], denied["Resource"]) == ("*", "sns:Publish", TOPIC)
    assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_cloudwatch_and_the_function_may_use_the_topics_key():
    name, key = only("AWS::KMS::Key")
    own, given = {"Fn::GetAtt": [name, "Arn"]}, {"Ref": "TopicKey"}
    otherwise = {"Fn::If": ["HasCustomerTopicKey", given, "alias/aws/sns"]}
    assert only("AWS::SNS::Topic")[1]["KmsMasterKeyId"] == {"Fn::If": ["HasOwnTopicKey", own, otherwise]}
    assert DEPLOYED["Resources"][name]["Condition"] == "HasOwnTopicKey"
    account, alarms = key["KeyPolicy"]["Statement"]
    # Without this statement no IAM policy could allow the key, and no principal could change its policy.
    assert account["Principal"] == {"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}}
    assert account["Action"] == "kms:*" and "Condition" not in account
    assert (alarms["Principal"], alarms["Action"]) == (
        {"Service": "cloudwatch.amazonaws.com"},
        ["kms:Decrypt", "kms:GenerateDataKey*"],
    )
    assert alarms["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
    (use,) = [statement for statement, _ in STATEMENTS if "kms:Decrypt" in actions_of(statement)]
    assert actions_of(use) == ["kms:Decrypt", "kms:GenerateDataKey"]
    assert use["Resource"] == {"Fn::If": ["HasOwnTopicKey", own, given]}


def test_a_sweep_has_time_for_its_longest_look_many_times_over():
    longest = int(in_rust(r"const LONGEST_CHECK: Duration = Duration::from_secs\((\d+)\);"))
    pace = int(re.search(r"const PACE: Duration = Duration::from_millis\((\d+)\);", rust("src/sweep/mod.rs").read_text())[1])
    timeout = DEPLOYED["Resources"]["Function"]["Properties"]["Timeout"]
    # What the template says of a person's sweep: four streams a second, about a thousand at once.
    assert 1000 / pace == 4 and 1000 <= (timeout - longest) * 1000 / pace < 1200
    # An intent outlasts the run that wrote it.
    void = int(in_rust(r"const INTENT_VOID_AFTER: TimeDelta = TimeDelta::seconds\((\d+)\);"))
    assert longest < void
    # And a sweep of the schedule, until the next one begins. As the simulation has it.
    minutes = TEMPLATE["Parameters"]["SweepMinutes"]["Default"]
    assert int(in_rust(r"const SWEEP_EVERY: i64 = (\d+);")) == 60 * minutes
    assert in_rust(r"const STAYS_FOR: i64 = (\w+);") == "SWEEP_EVERY"
    assert f"about {60 * minutes * 1000 // pace} streams in a minute" in (ROOT / "docs/operations.md").read_text()


def test_the_operations_page_names_every_action_that_pause_takes():
    calls = set(re.findall(r"(\w+)\s*\.(get_resources|\w+_rule|list_schedules|get_schedule|update_schedule)\(\)", rust("pause.rs").read_text()))
    clients = {"tagging": "tag", "events": "events", "scheduler": "scheduler"}
    actions = {f"{clients[client]}:{call.title().replace('_', '')}" for client, call in calls}
    assert len(actions) == 7
    page = (ROOT / "docs/operations.md").read_text()
    # An update of a schedule passes its role on.
    assert [action for action in sorted(actions | {"iam:PassRole"}) if f"`{action}`" not in page] == []
