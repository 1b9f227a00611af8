"""What template.yaml deploys: its settings, its permissions, and CloudFormation that is valid after SAM's transform."""

import json
import re
import tomllib

import boto3
import pytest
from cfnlint.api import lint_all
from mirror import Stack
from template import ACTIONS, DEPLOYED, ROOT, STATEMENTS, TEMPLATE, actions_of, in_rust, of_type

FUNCTION = TEMPLATE["Resources"]["Function"]["Properties"]
VERSION = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
SETTINGS = json.loads((ROOT / "infra/settings.json").read_text())


def parameter(value):
    """The parameter behind a variable; of a choice, the one that holds by default."""
    return TEMPLATE["Parameters"][value["Fn::If"][2]["Ref"] if "Fn::If" in value else value["Ref"]]


def test_every_setting_has_its_default_and_its_bounds():
    variables = dict(FUNCTION["Environment"]["Variables"])
    assert variables.pop("UNTHROTTLE_ROLE_ARN") == {"Fn::GetAtt": ["Role", "Arn"]}
    assert variables.pop("UNTHROTTLE_VERSION") == VERSION == TEMPLATE["Outputs"]["Version"]["Value"]
    assert list(variables) == list(SETTINGS)
    for name, setting in SETTINGS.items():
        if setting.get("set_by") == "the stack":
            assert setting["default"] == "", name
            continue
        declared = parameter(variables[name])
        # The stack has another default where the function alone has no bound, or cannot know the account.
        assert str(declared["Default"]) == setting.get("stack", setting["default"]), name
        assert declared.get("AllowedValues") == setting.get("allowed"), name
        if "same_as" in setting:
            continue
        assert declared["Description"].startswith(f"{name}. "), name
        # A number that may be left out is a string with a pattern.
        if "AllowedPattern" not in declared:
            assert (declared.get("MinValue"), declared.get("MaxValue")) == (setting.get("min"), setting.get("max")), name


@pytest.mark.parametrize("cost", ["", "0.01", "0.010", "0.1", "0.25", "1", "1.00", "2.5", "99.999", "999999.99", "1000000"])
def test_a_cost_that_the_code_takes_may_be_given(cost):
    setting = SETTINGS["UNTHROTTLE_MAX_HOURLY_COST"]
    assert cost == "" or setting["min"] <= float(cost) <= setting["max"]
    assert re.search(TEMPLATE["Parameters"]["MaxHourlyCost"]["AllowedPattern"], cost)


@pytest.mark.parametrize(
    "cost", ["0", "0.0", "0.00", "0.009", "-1", "+1", ".5", "01", "1.", "1,5", "1e3", "$5", " 5", "1000001", "1000000.5", "9999999", "none"]
)
def test_a_cost_that_the_code_refuses_or_a_person_may_misread_may_not(cost):
    assert not re.search(TEMPLATE["Parameters"]["MaxHourlyCost"]["AllowedPattern"], cost)


def test_the_role_allows_these_actions_and_no_others():
    assert ACTIONS == {
        "kinesis:DescribeStreamSummary",
        "kinesis:ListShards",
        "kinesis:ListTagsForResource",
        "kinesis:DescribeAccountSettings",
        "kinesis:DescribeLimits",
        "kinesis:TagResource",
        "kinesis:UpdateShardCount",
        "kinesis:UpdateStreamMode",
        "kinesis:UpdateStreamWarmThroughput",
        "kinesis:SplitShard",
        "kinesis:EnableEnhancedMonitoring",
        "kinesis:DisableEnhancedMonitoring",
        "cloudwatch:GetMetricData",
        "cloudwatch:PutMetricData",
        "cloudwatch:DescribeAlarmContributors",
        "tag:GetResources",
        "sns:Publish",
        "kms:Decrypt",
        "kms:GenerateDataKey",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "sqs:SendMessage",
    }


def test_no_action_is_a_wildcard_or_one_that_is_never_allowed():
    never = {
        "CreateStream",
        "DeleteStream",
        "MergeShards",
        # Buys a throughput commitment.
        "UpdateAccountSettings",
        # Loses the order of records.
        "UpdateStreamRecordDistributionStrategy",
    }
    for action in ACTIONS:
        service, operation = action.split(":")
        assert "*" not in action and service != "iam" and operation not in never, action


def test_only_what_has_no_resource_may_touch_every_resource():
    everywhere = {a for statement, _ in STATEMENTS if statement["Resource"] == "*" for a in actions_of(statement)}
    assert everywhere == {
        "kinesis:DescribeAccountSettings",
        "kinesis:DescribeLimits",
        "kinesis:UpdateShardCount",
        "kinesis:UpdateStreamMode",
        "kinesis:EnableEnhancedMonitoring",
        "kinesis:DisableEnhancedMonitoring",
        "cloudwatch:GetMetricData",
        "cloudwatch:PutMetricData",
        "cloudwatch:DescribeAlarmContributors",
        "tag:GetResources",
    }


def test_what_changes_a_stream_everywhere_is_bound_to_this_region():
    region = {"StringEquals": {"aws:RequestedRegion": {"Ref": "AWS::Region"}}}
    for statement, _ in STATEMENTS:
        changes = [a for a in actions_of(statement) if re.match("kinesis:(Update|Enable|Disable)", a)]
        if changes and statement["Resource"] == "*":
            assert statement["Condition"] == region, statement["Sid"]


def test_streams_are_those_of_this_account_and_region():
    streams = {"Fn::Sub": "arn:${AWS::Partition}:kinesis:${AWS::Region}:${AWS::AccountId}:stream/*"}
    for statement, _ in STATEMENTS:
        if any(action.startswith("kinesis:") for action in actions_of(statement)) and statement["Resource"] != "*":
            assert statement["Resource"] == streams, statement["Sid"]


def test_what_a_person_can_deny_is_allowed_only_where_it_is_not():
    conditional = {action: condition for statement, condition in STATEMENTS for action in actions_of(statement) if condition}
    # SNS encrypts with its own key without them.
    for_a_key = dict.fromkeys(["kms:Decrypt", "kms:GenerateDataKey"], "HasCustomerTopicKey")
    assert conditional == {"kinesis:EnableEnhancedMonitoring": "MayDiagnose", "kinesis:UpdateStreamMode": "MaySwitch"} | for_a_key
    for condition, parameter in [("MayDiagnose", "Diagnose"), ("MaySwitch", "OnDemand")]:
        assert TEMPLATE["Conditions"][condition] == {"Fn::Equals": [{"Ref": parameter}, "allow"]}


def test_with_the_scope_tagged_the_role_changes_only_tagged_streams():
    only_tagged = {"Null": {"aws:ResourceTag/unthrottle.mode": "false"}}
    assert TEMPLATE["Conditions"]["OnlyTagged"] == {"Fn::Equals": [{"Ref": "Scope"}, "tagged"]}
    bound = set()
    for scope in ["all", "tagged"]:
        policy = Stack({"Scope": scope}).resources()["aws_iam_role_policy.unthrottle"]["policy"]
        for statement in policy["Statement"]:
            given = statement.get("Condition", {}).get("Null", {}).get("aws:ResourceTag/unthrottle.mode")
            assert scope == "tagged" or given is None
            bound |= set(actions_of(statement)) if given == only_tagged["Null"]["aws:ResourceTag/unthrottle.mode"] else set()
    assert bound == {"kinesis:SplitShard", "kinesis:UpdateStreamWarmThroughput", "kinesis:TagResource"}
    assert in_rust(r'const MODE_TAG: &str = "([^"]+)";') == "unthrottle.mode"


def test_both_roles_have_the_path_and_the_boundary():
    given = {"RolePath": "/team/", "PermissionsBoundaryArn": "arn:aws:iam::123456789012:policy/b"}
    roles = [body for address, body in Stack(given).resources().items() if address.startswith("aws_iam_role.")]
    assert [(role["path"], role["permissions_boundary"]) for role in roles] == [tuple(given.values())] * 2
    roles = [body for address, body in Stack({}).resources().items() if address.startswith("aws_iam_role.")]
    assert [(role["path"], role.get("permissions_boundary")) for role in roles] == [("/", None)] * 2


def test_sam_adds_no_role_of_its_own():
    assert list(of_type("AWS::IAM::Role")) == ["Role", "SweepRole"]


def test_the_transformed_template_is_valid():
    findings = lint_all(json.dumps(DEPLOYED))
    # AWS's API has this action; the linter's list of them is older.
    assert "DescribeAlarmContributors" in boto3.client("cloudwatch", "us-east-1").meta.service_model.operation_names
    known = "'describealarmcontributors' is not one of"
    findings = [finding for finding in findings if known not in finding.message]
    assert [finding for finding in findings if finding.rule.severity != "informational"] == []


def test_every_parameter_has_its_place_and_its_label_in_the_console():
    interface = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]
    grouped = [name for group in interface["ParameterGroups"] for name in group["Parameters"]]
    assert sorted(grouped) == sorted(TEMPLATE["Parameters"]) == sorted(interface["ParameterLabels"])
    assert all(declared["Description"].endswith(".") for declared in TEMPLATE["Parameters"].values())


def test_the_metadata_for_the_application_repository_is_of_this_version():
    about = TEMPLATE["Metadata"]["AWS::ServerlessRepo::Application"]
    assert {"Name", "Description", "Author", "SpdxLicenseId", "LicenseUrl", "ReadmeUrl", "SemanticVersion"} <= set(about)
    workspace = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]
    assert (about["SemanticVersion"], about["SpdxLicenseId"]) == (workspace["version"], workspace["license"])
    assert all((ROOT / about[name]).is_file() for name in ("LicenseUrl", "ReadmeUrl"))
    # The repository's limits, in characters, and at most ten labels.
    assert len(about["Description"]) <= 256 and len(about["Labels"]) <= 10


def test_only_a_schedule_and_a_trail_are_off_the_application_repositorys_list():
    # https://docs.aws.amazon.com/serverlessrepo/latest/devguide/list-supported-resources.html, of the types used here.
    supported = {
        *("AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard", "AWS::Events::Rule", "AWS::IAM::Role", "AWS::KMS::Key"),
        *("AWS::Lambda::Permission", "AWS::Logs::LogGroup", "AWS::S3::Bucket", "AWS::S3::BucketPolicy", "AWS::SNS::Subscription"),
        *("AWS::SNS::Topic", "AWS::SNS::TopicPolicy", "AWS::SQS::Queue", "AWS::SQS::QueuePolicy", "AWS::Serverless::Function"),
    }
    others = {name: r.get("Condition") for name, r in TEMPLATE["Resources"].items() if r["Type"] not in supported}
    assert others == {"SweepGroup": "SweepsBySchedule", "SweepSchedule": "SweepsBySchedule", "Trail": "HasTrail"}


def test_a_template_too_large_for_a_call_is_explained():
    # CloudFormation's limits: of a template in a call, and of one in a bucket.
    size = len((ROOT / "template.yaml").read_bytes())
    in_a_call, in_a_bucket = 51_200, 1_000_000
    assert in_a_call < size < in_a_bucket
    page = " ".join((ROOT / "docs/operations.md").read_text().split())
    assert f"larger than the {in_a_call:,} bytes that CloudFormation takes in a call, because" in page
    assert f"where it may have {in_a_bucket // 1_000_000} MB" in page
    # As the page says: without these two it would fit.
    descriptions = sum(len(declared["Description"]) for declared in TEMPLATE["Parameters"].values())
    dashboard = len((ROOT / "infra/dashboard/dashboard.json").read_text())
    assert size - descriptions - dashboard < in_a_call


def test_the_role_is_bound_to_the_namespace_and_the_tag_that_the_code_writes():
    namespace = in_rust(r'pub const NAMESPACE: &str = "(\w+)";')
    tag = in_rust(r'pub const TAG: &str = "([\w.]+)";')
    conditions = {statement["Sid"]: statement.get("Condition") for statement, _ in STATEMENTS}
    assert conditions["CountFixes"] == {"StringEquals": {"cloudwatch:namespace": namespace}}
    remember = conditions["Remember"]
    assert remember["ForAllValues:StringEquals"] == {"aws:TagKeys": [tag]}
    # ForAllValues also holds where no tag is named.
    assert remember["Null"]["aws:TagKeys"] == "false"


def test_a_storm_neither_takes_the_accounts_concurrency_nor_is_worked_off_for_hours():
    reserved = TEMPLATE["Parameters"]["ReservedConcurrency"]
    # A new account has nothing to reserve.
    assert (reserved["Default"], reserved["MinValue"]) == (0, 0)
    assert TEMPLATE["Conditions"]["HasReservedConcurrency"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "ReservedConcurrency"}, 0]}]}
    # Without a setting, as on the command line, the code reckons with the reservation that the description recommends.
    containers = in_rust(r"\nconst CONTAINERS: u32 = (\d+);")
    assert f"Reserve {containers} where the quota allows it." in " ".join(reserved["Description"].split())
    asynchronous = FUNCTION["EventInvokeConfig"]
    assert (asynchronous["MaximumEventAgeInSeconds"], asynchronous["MaximumRetryAttempts"]) == (300, 2)
    assert asynchronous["DestinationConfig"]["OnFailure"]["Destination"] == {"Fn::GetAtt": ["DeadLetterQueue", "Arn"]}
