"""The template for StackSets: what template.yaml deploys, with no transform in it."""

import json
import re
import subprocess

import boto3
import pytest
from cfnlint.api import lint_all
from generate import CODE, EXECUTION_ROLE, PARAMETERS, ROOT, STACKSET, execution_role, handlers, stackset
from template import DEPLOYED, TEMPLATE

COMMITTED = STACKSET.read_text()
MADE = json.loads(COMMITTED)


def parts(value, path=()):
    """Every key and value of a template, with the path to it."""
    yield path, value
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from parts(inner, (*path, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from parts(inner, (*path, number))


def named(template):
    """What a template's Ref, Fn::GetAtt, Fn::Sub and conditions name."""
    for path, value in parts(template):
        if path and path[-1] in ("Ref", "Condition") and isinstance(value, str):
            yield value
        elif path and path[-1] == "Fn::GetAtt":
            yield value[0]
        elif path and path[-1] == "Fn::If":
            yield value[0]
        elif path and path[-1] == "Fn::Sub":
            text, own = (value, {}) if isinstance(value, str) else value
            yield from (name.split(".")[0] for name in re.findall(r"\$\{([^!}]+)\}", text) if name not in own)


def test_the_committed_file_is_what_template_yaml_makes():
    assert stackset() == COMMITTED, "make stackset"


def test_there_is_no_transform_and_no_macro_in_it():
    assert "Transform" in TEMPLATE
    keys = {path[-1] for path, _ in parts(MADE) if path}
    assert not keys & {"Transform", "Fn::Transform", "AWS::Include", "Globals"}
    kinds = {resource["Type"] for resource in MADE["Resources"].values()}
    # A service-managed StackSet takes no nested stack, either.
    assert not [kind for kind in kinds if kind.startswith(("AWS::Serverless::", "AWS::CloudFormation::", "Custom::"))]
    assert not [path for path, value in parts(MADE) if isinstance(value, str) and "::Serverless" in value]


def test_every_resource_is_as_sam_deploys_it_but_for_where_the_code_is():
    assert set(MADE["Resources"]) == set(DEPLOYED["Resources"])
    code = DEPLOYED["Resources"]["Function"]["Properties"]["Code"]
    assert code == {"S3Bucket": "bucket", "S3Key": "key"}
    for name, resource in DEPLOYED["Resources"].items():
        expected = json.loads(json.dumps(resource).replace(json.dumps(code), json.dumps(CODE)))
        metadata = {k: v for k, v in expected.pop("Metadata", {}).items() if k not in ("BuildMethod", "BuildProperties")}
        assert MADE["Resources"][name] == expected | ({"Metadata": metadata} if metadata else {}), name
    assert MADE["Conditions"] == DEPLOYED["Conditions"] and MADE["Outputs"] == DEPLOYED["Outputs"]


def test_what_template_yaml_writes_by_hand_is_all_there():
    written = {name: resource["Type"] for name, resource in TEMPLATE["Resources"].items()}
    assert written.pop("Function") == "AWS::Serverless::Function"
    kinds = {name: resource["Type"] for name, resource in MADE["Resources"].items()}
    assert kinds == written | {"Function": "AWS::Lambda::Function", "FunctionEventInvokeConfig": "AWS::Lambda::EventInvokeConfig"}


def test_every_parameter_is_still_one_and_is_used():
    assert MADE["Parameters"] == TEMPLATE["Parameters"] | PARAMETERS
    # None of them has been replaced by its default.
    parameters, resources, conditions = (set(MADE[part]) for part in ("Parameters", "Resources", "Conditions"))
    names = set(named({part: MADE[part] for part in ("Resources", "Conditions", "Outputs")}))
    assert parameters <= names
    assert {name for name in names if not name.startswith("AWS::")} <= parameters | resources | conditions
    groups = MADE.get("Metadata", {}).get("AWS::CloudFormation::Interface", {}).get("ParameterGroups")
    assert groups is None or set(PARAMETERS) <= {p for group in groups for p in group["Parameters"]}


@pytest.mark.parametrize("prefix", ["artifacts", "acme-unthrottle-artifacts", "a1b", "a" * 46])
def test_a_prefix_that_makes_a_bucket_name_is_taken(prefix):
    assert re.search(PARAMETERS["ArtifactBucketPrefix"]["AllowedPattern"], prefix)


@pytest.mark.parametrize("prefix", ["", "-a", "a-", "Artifacts", "my.artifacts", "a" * 47])
def test_a_prefix_that_makes_none_is_refused(prefix):
    assert not re.search(PARAMETERS["ArtifactBucketPrefix"]["AllowedPattern"], prefix)


def test_with_the_longest_prefix_every_regions_bucket_has_a_name_that_s3_takes():
    session = boto3.Session()
    partitions = session.get_available_partitions()
    regions = {r for partition in partitions for r in session.get_available_regions("lambda", partition_name=partition)}
    assert "ap-southeast-1" in regions and 46 + len("-") + max(map(len, regions)) <= 63


def test_names_that_are_one_for_all_regions_carry_the_region():
    for name, resource in MADE["Resources"].items():
        if resource["Type"].startswith("AWS::IAM::") or resource["Type"] == "AWS::CloudWatch::Dashboard":
            for key, given in resource["Properties"].items():
                if key.endswith("Name") and key != "PolicyName":
                    assert "${AWS::Region}" in given["Fn::Sub"], name
    assert MADE["Resources"]["FleetDashboard"]["Properties"]["DashboardName"] == {"Fn::Sub": "unthrottle-${AWS::Region}"}


def test_it_is_valid_and_small_enough():
    findings = [f for f in lint_all(COMMITTED) if f.rule.severity != "informational"]
    # AWS's API has this action; the linter's list of them is older.
    assert [f for f in findings if "'describealarmcontributors' is not one of" not in f.message] == []
    # Of a template in a bucket.
    assert len(COMMITTED) < 1_000_000


def test_the_execution_role_may_do_what_the_resources_need_and_changes_no_other_role():
    assert execution_role() == EXECUTION_ROLE.read_text(), "make stackset"
    # AWS's schemas name some actions that no list of IAM's actions has. They allow nothing.
    assert [f for f in lint_all(EXECUTION_ROLE.read_text()) if f.rule.severity != "informational" and f.rule.id != "W3037"] == []
    role = json.loads(EXECUTION_ROLE.read_text())["Resources"]["Role"]["Properties"]
    (policy,) = role["Policies"]
    allowed = {statement["Sid"]: statement for statement in policy["PolicyDocument"]["Statement"]}
    assert set(handlers()) == {*allowed["Roles"]["Action"], *allowed["Resources"]["Action"]}
    for needed in ["lambda:CreateFunction", "lambda:AddPermission", "events:PutRule", "scheduler:CreateSchedule", "sqs:CreateQueue"]:
        assert needed in allowed["Resources"]["Action"]
    assert {"iam:CreateRole", "iam:PassRole", "iam:PutRolePolicy"} <= set(allowed["Roles"]["Action"])
    # Its own name is none of these. Otherwise it could give itself every permission.
    assert allowed["Roles"]["Resource"]["Fn::Sub"].endswith(":role${RolePath}unthrottle-*")
    assert not role["RoleName"].startswith("unthrottle-")
    assert not [action for action in allowed["Resources"]["Action"] if action.startswith("iam:") or action.endswith(":*")]
    # IAM's limit of a role's inline policies, in characters that are no space.
    assert len(re.sub(r"\s", "", json.dumps(policy["PolicyDocument"]))) < 10_240


def test_the_guide_names_the_execution_role():
    guide = (ROOT / "infra/stackset/README.md").read_text()
    name = json.loads(EXECUTION_ROLE.read_text())["Resources"]["Role"]["Properties"]["RoleName"]
    assert f"--execution-role-name {name}" in guide and "`organizations:ListDelegatedAdministrators`" in guide


def test_the_buckets_policy_lets_the_organisation_read_the_zip_and_nothing_else():
    (edit,) = re.findall(r'sed "(.*?)" infra/stackset/bucket-policy.json', (ROOT / "infra/stackset/README.md").read_text())
    edit = edit.replace("$BUCKET", "acme-eu-west-1").replace("$ORGANISATION", "o-exampleorgid")
    policy = subprocess.run(["sed", edit, ROOT / "infra/stackset/bucket-policy.json"], capture_output=True, check=True, text=True).stdout
    allowed, tls = json.loads(policy)["Statement"]
    assert (allowed["Effect"], allowed["Principal"], allowed["Action"]) == ("Allow", "*", "s3:GetObject")
    assert allowed["Resource"] == "arn:aws:s3:::acme-eu-west-1/*"
    # Without it the zip would be everybody's.
    assert allowed["Condition"] == {"StringEquals": {"aws:PrincipalOrgID": "o-exampleorgid"}}
    assert tls["Resource"] == ["arn:aws:s3:::acme-eu-west-1", "arn:aws:s3:::acme-eu-west-1/*"]
    assert (tls["Effect"], tls["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})


GUIDES = [ROOT / "infra" / folder / "README.md" for folder in ("guardrails", "stackset")]


def commands():
    """Every AWS CLI command in the guides."""
    for guide in GUIDES:
        for block in re.findall(r"```sh\n(.*?)```", guide.read_text(), re.DOTALL):
            for line in re.sub(r"\\\n\s*", " ", block).splitlines():
                for service, operation, rest in re.findall(r"\baws ([a-z0-9-]+) ([a-z0-9-]+)((?:(?!\baws [a-z]).)*)", line):
                    yield pytest.param(service, operation, rest, id=f"{guide.parent.name}-{service}-{operation}")


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.parent.name)
def test_a_shell_can_read_the_guides_commands(guide):
    script = "".join(re.findall(r"```sh\n(.*?)```", guide.read_text(), re.DOTALL))
    assert script and subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True).stderr == ""


@pytest.mark.parametrize("service, operation, rest", list(commands()))
def test_the_guides_commands_exist_in_the_cli(service, operation, rest):
    if service == "s3":
        assert operation == "cp"
        return
    model = boto3.client({"s3api": "s3"}.get(service, service), "us-east-1").meta.service_model
    name = operation.replace("-", "")
    (found,) = [o for o in model.operation_names if o.lower() == name]
    members = {member.lower() for member in model.operation_model(found).input_shape.members}
    options = re.findall(r" --([a-z-]+)", rest)
    for option in options:
        if option not in ("region", "query", "output", "profile"):
            assert option.removeprefix("no-").replace("-", "") in members, option
    for required in model.operation_model(found).input_shape.required_members:
        assert required.lower() in {o.removeprefix("no-").replace("-", "") for o in options}, required
