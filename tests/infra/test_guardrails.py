"""The guardrails: a service control policy, and AWS Config rules in AWS's own evaluator."""

import fnmatch
import json
import re

import boto3
import pytest
from cfnlint.api import lint_all
from generate import CONFIG_RULE, ROOT, RULES, SCP_TEMPLATE, scp, with_rules
from moto import mock_aws
from samtranslator.yaml_helper import yaml_parse
from template import SOURCES, in_rust
from terraform import terraform

FOLDER = ROOT / "infra/guardrails"
SCP = json.loads((FOLDER / "scp.json").read_text())
CAPACITY = ["kinesis:UpdateShardCount", "kinesis:UpdateStreamMode", "kinesis:SplitShard", "kinesis:MergeShards"]
NAMES = [
    *("iam:CreateRole", "iam:UpdateAssumeRolePolicy", "iam:PutRolePolicy", "iam:AttachRolePolicy"),
    *("iam:PutRolePermissionsBoundary", "iam:DeleteRolePermissionsBoundary"),
]
STREAM = "arn:aws:kinesis:eu-west-1:111122223333:stream/orders"
SSO = "role/aws-reserved/sso.amazonaws.com"

# As aws:PrincipalArn has them: of an assumed role, the role, with its path.
UNTHROTTLE = ["role/unthrottle-eu-west-1", "role/unthrottle-us-gov-east-1"]
DEPLOYERS = [
    "role/ExampleDeployer",
    "role/stacksets-exec-0123456789abcdef0123456789abcdef",
    f"{SSO}/AWSReservedSSO_ExampleDeployer_0123456789abcdef",
    f"{SSO}/eu-west-1/AWSReservedSSO_ExampleDeployer_0123456789abcdef",
]
OTHERS = [
    "root",
    "user/somebody",
    "user/unthrottle-eu-west-1",
    "role/somebody",
    "role/my-unthrottle-x",
    "role/unthrottle",
    "role/team/unthrottle-eu-west-1",
    "role/ExampleDeployer2",
    "role/team/ExampleDeployer",
    f"{SSO}/eu-west-1/AWSReservedSSO_ExampleDeployers_0123456789abcdef",
    f"{SSO}/eu-west-1/AWSReservedSSO_My_ExampleDeployer_0123456789abcdef",
    f"{SSO}/AWSReservedSSO_unthrottle-x_0123456789abcdef",
]


def findings(template):
    return [finding for finding in lint_all(template) if finding.rule.severity != "informational"]


def arn(principal, partition="aws"):
    return f"arn:{partition}:iam::111122223333:{principal}"


def is_like(pattern, text):
    """As IAM compares actions and resources: * and ? stand for any characters."""
    return fnmatch.fnmatchcase(text, pattern.replace("[", "[[]"))


def is_arn_like(pattern, text):
    """As ArnLike compares: part by part, so that no * reaches beyond a colon."""
    parts, texts = pattern.split(":", 5), text.split(":", 5)
    return len(parts) == len(texts) == 6 and all(map(is_like, parts, texts))


def listed(value):
    return value if isinstance(value, list) else [value]


def holds(operator, key, values, context):
    """A condition; of a key that the request has not, StringEquals fails, and ArnNotLike holds."""
    if operator == "StringEquals":
        return context.get(key) in listed(values)
    assert operator == "ArnNotLike", operator
    return key not in context or not any(is_arn_like(pattern, context[key]) for pattern in listed(values))


def denied(principal, action, resource, **context):
    context = {"aws:PrincipalArn": principal} | {key.replace("_", ":"): value for key, value in context.items()}

    def applies(statement):
        assert set(statement) == {"Sid", "Effect", "Action", "Resource", "Condition"} and statement["Effect"] == "Deny"
        conditions = [(o, k, v) for o, keys in statement["Condition"].items() for k, v in keys.items()]
        return (
            any(is_like(pattern.lower(), action.lower()) for pattern in listed(statement["Action"]))
            and any(is_like(pattern, resource) for pattern in listed(statement["Resource"]))
            and all(holds(*condition, context) for condition in conditions)
        )

    return any(applies(statement) for statement in SCP["Statement"])


def test_the_policy_is_about_these_actions_and_only_denies():
    assert [statement["Effect"] for statement in SCP["Statement"]] == ["Deny"] * 3
    assert [statement["Action"] for statement in SCP["Statement"]] == [CAPACITY, NAMES, "iam:PassRole"]
    for action in [*CAPACITY, *NAMES]:
        service, operation = action.split(":")
        assert operation in boto3.client(service, "us-east-1").meta.service_model.operation_names, action


@pytest.mark.parametrize("action", CAPACITY)
def test_only_unthrottle_and_deployers_change_capacity(action):
    for partition in ["aws", "aws-cn", "aws-us-gov"]:
        assert [p for p in UNTHROTTLE + DEPLOYERS if denied(arn(p, partition), action, STREAM)] == []
        assert [p for p in OTHERS if not denied(arn(p, partition), action, STREAM)] == []


def scp_with(**parameters):
    """The policy that the template makes: in a CloudFormation that this project did not write."""
    made = yaml_parse(SCP_TEMPLATE.read_text())
    values = {name: declared.get("Default") for name, declared in made["Parameters"].items()} | parameters
    content = made["Resources"]["Policy"]["Properties"]["Content"]
    template = {"Resources": {"Any": {"Type": "AWS::SNS::Topic"}}, "Outputs": {"Policy": {"Value": {"Fn::Sub": [content["Fn::Sub"], values]}}}}
    with mock_aws():
        cloudformation = boto3.client("cloudformation", "us-east-1", aws_access_key_id="none", aws_secret_access_key="none")
        cloudformation.create_stack(StackName="any", TemplateBody=json.dumps(template))
        return json.loads(cloudformation.describe_stacks(StackName="any")["Stacks"][0]["Outputs"][0]["OutputValue"])


def test_the_template_of_the_policy_takes_the_names_of_the_roles():
    assert SCP_TEMPLATE.read_text() == scp(), "make generate"
    assert findings(SCP_TEMPLATE.read_text()) == []
    assert scp_with(Deployer="ExampleDeployer") == SCP
    text = json.dumps(scp_with(Role="team/unthrottle-*", Deployer="ci/Deployer"))
    assert "role/team/unthrottle-*" in text and "role/ci/Deployer" in text
    assert "role/unthrottle-" not in text and "ExampleDeployer" not in text
    # No longer than AWS takes, with every space.
    assert len(SCP_TEMPLATE.read_text().split("Content: !Sub |")[1]) < 5120
    declared = yaml_parse(SCP_TEMPLATE.read_text())["Parameters"]
    for name, takes, refuses in [
        ("Role", ["unthrottle-*", "team/unthrottle-*", "unthrottle-eu-west-1"], ["*", "", "/unthrottle-*x y", "other"]),
        ("Deployer", ["Deployer", "team/deployer"], ["", "*", "a b"]),
    ]:
        pattern = declared[name]["AllowedPattern"]
        assert all(re.search(pattern, value) for value in takes) and not any(re.search(pattern, value) for value in refuses)


def test_a_session_is_known_by_its_role():
    # AWS gives the role's ARN for a session; a session's own would match nothing.
    assert denied("arn:aws:sts::111122223333:assumed-role/unthrottle-eu-west-1/session", CAPACITY[0], STREAM)
    assert denied("arn:aws:sts::111122223333:federated-user/unthrottle-eu-west-1", CAPACITY[0], STREAM)


@pytest.mark.parametrize("action", [*NAMES, "iam:PassRole"])
def test_only_deployers_make_what_the_names_let_through(action):
    context = {"iam_PassedToService": "lambda.amazonaws.com"} if action == "iam:PassRole" else {}
    # A path counts as a part of the name, for the policy as for the role that it would let through.
    roles = ["role/unthrottle-eu-west-1", "role/unthrottle-sweep-eu-west-1", "role/unthrottle-x/anything"]
    if not context:
        roles += ["role/ExampleDeployer", "role/stacksets-exec-mine"]
    for role in roles:
        # The healer itself may not, either.
        assert [p for p in UNTHROTTLE + OTHERS if not denied(arn(p), action, arn(role), **context)] == [], role
        assert [p for p in DEPLOYERS if denied(arn(p), action, arn(role), **context)] == [], role
    for role in ["role/my-unthrottle-x", "role/somebody"]:
        assert [p for p in OTHERS if denied(arn(p), action, arn(role), **context)] == [], role


def test_who_may_act_on_streams_cannot_be_made_by_who_may_not():
    capacity, names, _ = SCP["Statement"]
    trusted = capacity["Condition"]["ArnNotLike"]["aws:PrincipalArn"]
    # Nobody but IAM Identity Center makes roles below aws-reserved.
    assert [pattern for pattern in trusted if "/aws-reserved/" not in pattern] == names["Resource"]


def test_everybody_may_still_pause_and_take_away():
    # `unthrottle pause` passes the schedule's role to EventBridge Scheduler.
    sweep = arn("role/unthrottle-sweep-eu-west-1")
    assert not denied(arn("role/somebody"), "iam:PassRole", sweep, iam_PassedToService="scheduler.amazonaws.com")
    for action in ["iam:DeleteRole", "iam:DeleteRolePolicy", "iam:DetachRolePolicy", "iam:GetRole"]:
        assert not denied(arn("role/somebody"), action, arn("role/unthrottle-eu-west-1"))


def test_nothing_else_of_kinesis_is_denied():
    operations = boto3.client("kinesis", "us-east-1").meta.service_model.operation_names
    reached = [f"kinesis:{o}" for o in operations if denied(arn("role/somebody"), f"kinesis:{o}", STREAM)]
    assert sorted(reached) == sorted(CAPACITY)


def test_the_policy_is_as_small_and_as_valid_as_organizations_wants_it():
    assert len((FOLDER / "scp.json").read_text()) <= 5120
    policy = {"Type": "AWS::Organizations::Policy", "Properties": {"Name": "unthrottle", "Type": "SERVICE_CONTROL_POLICY", "Content": SCP}}
    assert findings(json.dumps({"AWSTemplateFormatVersion": "2010-09-09", "Resources": {"Policy": policy}})) == []


MODE, ON_DEMAND, FORESIGHT, MAX, MIN = (f"unthrottle.{name}" for name in ["mode", "on-demand", "foresight", "max-shards", "min-shards"])


@pytest.fixture(scope="module")
def verdict():
    """What the rules say of a stream: its status, and the rules that it breaks."""
    guard = pytest.importorskip("cfn_guard_rs", reason="AWS's evaluator has no wheel for this Python")

    def run(tags=None, shards=2, kind="AWS::Kinesis::Stream", **configuration):
        item = {
            "version": "1.3",
            "accountId": "111122223333",
            "configurationItemStatus": "ResourceDiscovered",
            "resourceType": kind,
            "resourceId": "orders",
            "resourceName": "orders",
            "ARN": STREAM,
            "awsRegion": "eu-west-1",
            "tags": tags,
            "configuration": {"Name": "orders", "Arn": STREAM, "RetentionPeriodHours": 24, "ShardCount": shards, **configuration},
        }
        if tags is None:
            del item["tags"]
        if shards is None:
            del item["configuration"]["ShardCount"]
        report = guard.run_checks(item, RULES.read_text())
        return report.status, sorted(clause.Rule.name.removeprefix("unthrottle_") for clause in report.not_compliant)

    return run


@pytest.mark.parametrize(
    "tags",
    [
        *({MODE: mode} for mode in ["heal", "observe", "off"]),
        *({ON_DEMAND: allowed} for allowed in ["allow", "deny"]),
        *({FORESIGHT: allowed} for allowed in ["off", "observe", "act"]),
        *({tag: shards} for tag in [MAX, MIN] for shards in ["2", "9", "10", "99", "100", "999", "1000", "9999", "10000"]),
        {MODE: "heal", ON_DEMAND: "deny", MAX: "8", MIN: "2", "team": "orders", "unthrottle.memory": "v=1 base=2"},
    ],
)
def test_a_stream_with_tags_that_can_be_read_complies(verdict, tags):
    assert verdict(tags) == ("PASS", [])


@pytest.mark.parametrize(
    "rule, tags",
    [
        *(("mode_is_known", {MODE: mode}) for mode in ["", "Heal", "heal ", "on", "true", "heal,observe"]),
        *(("foresight_is_known", {FORESIGHT: allowed}) for allowed in ["", "Act", "on", "heal"]),
        *(("on_demand_is_known", {ON_DEMAND: allowed}) for allowed in ["", "Allow", "yes", "false"]),
        *(("shards_are_numbers", {tag: shards}) for tag in [MAX, MIN] for shards in ["", "0", "-1", "+4", "04", "4.0", "1e3", " 4", "10001", "99999", "none"]),
    ],
)
def test_a_stream_with_one_that_cannot_does_not(verdict, rule, tags):
    assert verdict(tags) == ("FAIL", [rule])
    # Whatever else it carries.
    assert verdict({MODE: "heal", "team": "orders"} | tags)[1] == [rule]


@pytest.mark.parametrize("maximum", [1, 2, 4, 9, 10, 11, 25, 99, 100, 256, 999, 1000, 2500, 9999, 10000])
def test_a_stream_has_no_more_shards_than_its_tag_says_by_its_first_digit(verdict, maximum):
    unit = 10 ** (len(str(maximum)) - 1)
    known = (maximum // unit + 1) * unit - 1
    for shards in {1, maximum - 1, maximum, known, known + 1, 2 * maximum} - {0}:
        expected = ("PASS", []) if shards <= known or maximum == 10000 else ("FAIL", ["shards_are_within_the_maximum"])
        assert verdict({MAX: str(maximum)}, shards) == expected, shards
    # Never said of one within its maximum; exact below ten, and never missed at twice as many.
    assert maximum <= known < 2 * maximum and (maximum > 9 or known == maximum)


def test_in_on_demand_mode_aws_sets_the_shards(verdict):
    assert verdict({MAX: "4"}, 64, StreamModeDetails={"StreamMode": "ON_DEMAND"}) == ("PASS", [])
    assert verdict({MAX: "4"}, 64, StreamModeDetails={"StreamMode": "PROVISIONED"})[0] == "FAIL"


@pytest.mark.parametrize("tags", [None, {}, {"team": "orders"}, [], [{"key": MODE, "value": "nonsense"}], "nonsense"])
def test_what_the_item_does_not_say_is_not_judged(verdict, tags):
    assert verdict(tags) == ("SKIP", [])
    assert verdict({MAX: "4"}, None) == ("PASS", [])
    assert verdict({MODE: "nonsense"}, kind="AWS::Lambda::Function") == ("SKIP", [])


def test_the_rules_know_the_tags_that_the_code_reads():
    read = [tag for path in SOURCES for tag in re.findall(r'const (\w+)_TAG: &str = "(unthrottle\.[^"]+)";', path.read_text())]
    # The doctor's tag leaves out checks of a stream, and changes no decision: any value of it is allowed.
    read.remove(("DOCTOR_SKIP", "unthrottle.doctor-skip"))
    assert sorted(read) == [("FORESIGHT", FORESIGHT), ("MAX_SHARDS", MAX), ("MIN_SHARDS", MIN), ("MODE", MODE), ("ON_DEMAND", ON_DEMAND)]
    assert in_rust(r"const AWS_MAX_SHARDS: u32 = ([\d_]+);") == "10_000"


def test_the_config_rule_deploys_these_rules():
    source = CONFIG_RULE.read_text()
    assert with_rules(source) == source, "make generate"
    template = yaml_parse(source)
    (rule,) = [resource["Properties"] for resource in template["Resources"].values()]
    assert rule["Scope"] == {"ComplianceResourceTypes": ["AWS::Kinesis::Stream"]}
    assert (rule["Source"]["Owner"], rule["Source"]["CustomPolicyDetails"]["PolicyText"]) == ("CUSTOM_POLICY", RULES.read_text())
    assert findings(source) == []
    # As AWS Config's API has it.
    shapes = boto3.client("config", "us-east-1").meta.service_model.shape_for
    details = rule["Source"]["CustomPolicyDetails"]
    assert re.fullmatch(shapes("PolicyRuntime").metadata["pattern"], details["PolicyRuntime"])
    assert len(details["PolicyText"]) <= shapes("PolicyText").metadata["max"]
    assert {d["MessageType"] for d in rule["Source"]["SourceDetails"]} <= set(shapes("MessageType").enum)


def test_the_guides_terraform_is_formatted_as_terraform_does_it():
    guide = (FOLDER / "README.md").read_text()
    blocks = re.findall(r"```hcl\n(.*?)```", guide, re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        assert terraform("fmt", "-", folder=FOLDER, stdin=block) == (0, block)


def test_the_guides_terraform_ignores_what_unthrottle_changes():
    guide = (FOLDER / "README.md").read_text()
    (ignored,) = re.findall(r"ignore_changes +(= \[.*\])", guide)
    assert f"ignore_changes {ignored}" in (ROOT / "docs/operations.md").read_text()
