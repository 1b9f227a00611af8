"""Which events wake the function: the template's own patterns, in an EventBridge that this project did not write."""

import copy
import itertools
import json
import re

import boto3
import pytest
from moto import mock_aws
from template import ACTIONS, ALARMS, FLEET, OWN, ROOT, of_type, rust, watched

# The rule of the sweep has a schedule and no pattern.
RULES = {name: rule["EventPattern"] for name, rule in of_type("AWS::Events::Rule").items() if "EventPattern" in rule}
PATTERN = RULES["ThrottleRule"]
ALL = {path.stem: json.loads(path.read_text()) for path in (ROOT / "events").glob("*.json")}
SAMPLES = {name: event for name, event in ALL.items() if event.get("detail-type") == "AWS API Call via CloudTrail"}
CONTRIBUTOR, STATE = KINDS = ["CloudWatch Alarm Contributor State Change", "CloudWatch Alarm State Change"]
ALARM_SAMPLES = {name: event for name, event in ALL.items() if event.get("detail-type") in KINDS}

WAKE = {
    "put_records_throttled__scale_shards",
    "put_record_throttled_by_name__scale_shards",
    "put_record_fis_throttled__scale_shards",
    "get_records_throttled__too_many_readers",
    "get_records_throttled_after_an_outage__reader_catching_up",
    "get_records_throttled_on_some_shards__uneven_reads",
    "subscribe_to_shard_throttled__too_many_readers",
    "get_shard_iterator_throttled__control_plane_throttled",
    "put_record_denied__access_denied",
    "put_records_kms_denied__kms_denied",
    "put_records_kms_throttled__kms_throttled",
    "put_record_retried__negligible",
    "put_record_tag_denied__cannot_remember",
    "put_records_after_refusal__refused_lately",
    "put_records_before_shard_metrics__evidence_pending",
    "put_records_budget__at_max_cost",
    "put_records_change_denied__change_denied",
    "put_records_change_refused__refused",
    "put_records_hot_shard__split_shard",
    "put_records_hours_ago__healthy",
    "put_records_on_demand_growing__on_demand_adapting",
    "put_records_one_key__hot_key",
    "put_records_quota_spent__switch_to_on_demand",
    "put_records_quota_spent_on_demand_denied__at_account_quota",
    "put_records_skewed__enable_shard_metrics",
    "put_records_split_refused__split_budget_spent",
    "put_records_stream_off__opted_out",
    "put_records_twice__just_looked",
    "put_records_while_updating__resharding",
    # Whose stream it is, is for the function to say.
    "put_record_other_account__not_ours",
}
SLEEP = {
    "put_records_dry_run__not_a_throttle",
    "put_records_internal_failure__not_a_throttle",
    "queue_throttled__not_ours",
    "own_update_shard_count_refused__own_call",
    "list_shards_throttled__control_plane_throttled",
    "update_stream_mode_refused__control_plane_throttled",
}
OWN_CALLS = sorted(action.removeprefix("kinesis:") for action in ACTIONS if action.startswith("kinesis:"))
# What CloudTrail's events of other services have as their source.
SOURCES = {"cloudwatch": "monitoring", "tag": "tagging"}
ERRORS = [
    "ProvisionedThroughputExceededException",
    "ThrottlingException",
    "LimitExceededException",
    "AccessDenied",
    "AccessDeniedException",
    "KMSThrottlingException",
    "KMSAccessDeniedException",
]


def arn_of(alarm):
    return f"arn:aws:cloudwatch:us-east-1:123456789012:alarm:unthrottle-{alarm}"


def alarms_of(pattern):
    """The alarms that a pattern names, also one that a parameter may leave out."""
    gets = [each["Fn::If"][1] if "Fn::If" in each else each for each in pattern["resources"]]
    assert all(get["Fn::GetAtt"][1] == "Arn" for get in gets)
    return [get["Fn::GetAtt"][0] for get in gets]


def resolved(pattern):
    """A pattern with the ARNs that CloudFormation puts in."""
    if "resources" not in pattern:
        return pattern
    return pattern | {"resources": [arn_of(alarm) for alarm in alarms_of(pattern)]}


@pytest.fixture(scope="module")
def wakes():
    """Puts an event on the bus; says which rules sent it on."""
    with mock_aws():
        events = boto3.client("events", "us-east-1", aws_access_key_id="none", aws_secret_access_key="none")
        sqs = boto3.client("sqs", "us-east-1", aws_access_key_id="none", aws_secret_access_key="none")
        queues = {}
        for name, pattern in RULES.items():
            queues[name] = sqs.create_queue(QueueName=name)["QueueUrl"]
            arn = sqs.get_queue_attributes(QueueUrl=queues[name], AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
            events.put_rule(Name=name, EventPattern=json.dumps(resolved(pattern)))
            events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn}])

        def put(event):
            entry = {"Source": event["source"], "DetailType": event["detail-type"], "Detail": json.dumps(event["detail"])}
            entry["Resources"] = event.get("resources", [])
            assert events.put_events(Entries=[entry])["FailedEntryCount"] == 0
            sent_on = []
            for name, queue in queues.items():
                for message in sqs.receive_message(QueueUrl=queue).get("Messages", []):
                    sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
                    sent_on.append(name)
            return sent_on

        yield put


def test_every_cloudtrail_sample_is_listed():
    assert set(SAMPLES) == WAKE | SLEEP


def test_what_people_and_the_schedule_send_is_no_event_of_the_bus(wakes):
    direct = {name: event for name, event in ALL.items() if name not in SAMPLES and name not in ALARM_SAMPLES}
    doors = {"stream", "sweep", "alarmData", "Records"}
    is_schedule = lambda event: event.get("detail-type") == "Scheduled Event"
    assert direct and all(doors & set(event) or is_schedule(event) for event in direct.values())
    for name, event in direct.items():
        assert [] == wakes({"source": "aws.kinesis", "detail-type": "AWS API Call via CloudTrail", "detail": event}), name


def test_the_rule_waits_for_the_codes_that_the_code_knows():
    triage = rust("decide/triage.rs").read_text()
    (arms,) = re.findall(r"fn cause\(.*?\n    match code \{(.*?)\n    \}\n\}", triage, re.DOTALL)
    known = set(re.findall(r'"(\w+)"', arms.split("_ if")[0])) - {"kms"}
    assert 'eq_ignore_ascii_case("KMS")' in arms
    # Spellings of other clients, which a person may quote.
    known -= {"Throttling", "ThrottledException"}
    waits_for = PATTERN["detail"]["errorCode"]
    assert [code for code in waits_for if not isinstance(code, str)] == [{"prefix": "KMS"}]
    assert {code for code in waits_for if isinstance(code, str)} == known


@pytest.mark.parametrize("name", sorted(WAKE))
def test_wakes(wakes, name):
    assert wakes(SAMPLES[name]) == ["ThrottleRule"]


@pytest.mark.parametrize("name", sorted(SLEEP))
def test_sleeps(wakes, name):
    assert [] == wakes(SAMPLES[name])


@pytest.mark.parametrize("operation, error", list(itertools.product(OWN_CALLS, ERRORS)))
def test_its_own_calls_never_wake_it(wakes, operation, error):
    event = copy.deepcopy(SAMPLES["put_records_throttled__scale_shards"])
    event["detail"] |= {"eventName": operation, "errorCode": error}
    assert [] == wakes(event)


def test_its_calls_of_other_services_never_wake_it(wakes):
    for action, error in itertools.product(sorted(ACTIONS), ERRORS):
        service, operation = action.split(":")
        event = copy.deepcopy(SAMPLES["put_records_throttled__scale_shards"])
        event["source"] = f"aws.{SOURCES.get(service, service)}"
        event["detail"] |= {"eventName": operation, "errorCode": error}
        assert [] == wakes(event), (action, error)


def test_it_may_make_none_of_the_calls_that_wake_it():
    assert not set(PATTERN["detail"]["eventName"]) & set(OWN_CALLS)


def test_a_call_that_succeeded_sleeps(wakes):
    event = copy.deepcopy(SAMPLES["put_records_throttled__scale_shards"])
    del event["detail"]["errorCode"], event["detail"]["errorMessage"]
    assert [] == wakes(event)


def test_other_services_sleep(wakes):
    event = copy.deepcopy(SAMPLES["put_records_throttled__scale_shards"])
    assert [] == wakes(event | {"source": "aws.dynamodb"})


def test_there_are_samples_of_alarms_of_both_kinds():
    assert {event["detail-type"] for event in ALARM_SAMPLES.values()} == set(KINDS)


@pytest.mark.parametrize("name", sorted(ALARM_SAMPLES))
def test_of_alarms_only_the_fleets_wake_it_and_only_in_alarm(wakes, name):
    event = ALARM_SAMPLES[name]
    assert [] == wakes(event), "somebody else's alarm"
    for alarm in FLEET:
        woken = wakes(event | {"resources": [arn_of(alarm)]})
        assert woken == (["AlarmRule"] if event["detail"]["state"]["value"] == "ALARM" else []), alarm


@pytest.mark.parametrize("alarm", OWN)
def test_what_tells_people_of_it_never_wakes_it(wakes, alarm):
    sample = ALARM_SAMPLES["alarm_contributor__scale_shards"]
    for kind in KINDS:
        assert [] == wakes(sample | {"detail-type": kind, "resources": [arn_of(alarm)]})


def test_the_alarm_rule_is_pinned_to_the_fleet_alarms():
    assert alarms_of(RULES["AlarmRule"]) == FLEET
    # The others watch metrics of unthrottle's own, of the function or of its queue.
    assert set(FLEET) == {name for name in ALARMS if not watched(name)}
