"""What template.yaml deploys: its settings, its permissions, and CloudFormation that is valid after SAM's transform."""

import json

from cfnlint.api import lint_all
from template import ACTIONS, DEPLOYED, ROOT, TEMPLATE

FUNCTION = TEMPLATE["Resources"]["Function"]["Properties"]
SETTINGS = json.loads((ROOT / "infra/settings.json").read_text())


def parameter(value):
    """The parameter behind a variable; of a choice, the one that holds by default."""
    return TEMPLATE["Parameters"][value["Fn::If"][2]["Ref"] if "Fn::If" in value else value["Ref"]]


def test_every_setting_has_its_default_and_its_bounds():
    variables = dict(FUNCTION["Environment"]["Variables"])
    assert variables.pop("UNTHROTTLE_ROLE_ARN") == {"Fn::GetAtt": ["Role", "Arn"]}
    assert list(variables) == list(SETTINGS)
    for name, setting in SETTINGS.items():
        declared = parameter(variables[name])
        assert str(declared["Default"]) == setting["default"], name
        assert declared.get("AllowedValues") == setting.get("allowed"), name
        if "same_as" not in setting:
            assert (declared.get("MinValue"), declared.get("MaxValue")) == (setting.get("min"), setting.get("max")), name
            assert declared["Description"].startswith(f"{name}. "), name


def test_the_role_allows_these_actions_and_no_others():
    assert ACTIONS == {
        "kinesis:DescribeStreamSummary",
        "kinesis:ListTagsForResource",
        "kinesis:DescribeLimits",
        "kinesis:TagResource",
        "kinesis:UpdateShardCount",
        "kinesis:UpdateStreamMode",
        "cloudwatch:GetMetricData",
        "cloudwatch:PutMetricData",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "sqs:SendMessage",
    }


def test_no_action_is_a_wildcard_or_one_that_is_never_allowed():
    never = {"CreateStream", "DeleteStream", "SplitShard", "MergeShards", "UpdateAccountSettings"}
    for action in ACTIONS:
        service, operation = action.split(":")
        assert "*" not in action and service != "iam" and operation not in never, action


def test_only_what_has_no_resource_may_touch_every_resource():
    everywhere = {
        action
        for statement in TEMPLATE["Resources"]["Role"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
        if statement["Resource"] == "*"
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    }
    assert everywhere == {"kinesis:DescribeLimits", "cloudwatch:GetMetricData", "cloudwatch:PutMetricData"}


def test_sam_adds_no_role_of_its_own():
    roles = [name for name, resource in DEPLOYED["Resources"].items() if resource["Type"] == "AWS::IAM::Role"]
    assert roles == ["Role"]


def test_the_transformed_template_is_valid():
    findings = lint_all(json.dumps(DEPLOYED))
    assert [finding for finding in findings if finding.rule.severity != "informational"] == []
