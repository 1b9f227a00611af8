"""template.yaml as it is written, and as CloudFormation sees it after SAM's transform; and the Rust sources beside it."""

import copy
import pathlib
import re

import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

ROOT = pathlib.Path(__file__).parents[2]
TEMPLATE = yaml_parse((ROOT / "template.yaml").read_text())
# The sources of the Lambda and of the crates, without their tests' files.
SOURCES = sorted([*(ROOT / "src").rglob("*.rs"), *(ROOT / "crates").glob("*/src/**/*.rs")])


def rust(*ends):
    """The one Rust source whose path ends with one of these, such as "report/metric.rs"."""
    found = [path for path in SOURCES if any(f"/{path.relative_to(ROOT)}".endswith(f"/{end}") for end in ends)]
    assert len(found) == 1, (ends, found)
    return found[0]


def in_rust(pattern):
    """What the Rust sources say at the one place that this pattern fits."""
    found = [match for path in SOURCES for match in re.findall(pattern, path.read_text(), re.DOTALL)]
    assert len(found) == 1, (pattern, found)
    return found[0]


def functions(text):
    """The functions of a Rust source: (name, arguments and body)."""
    return [(name, rest) for _, name, rest in re.findall(r"\n( *)(?:pub(?:\([^)]*\))? )?(?:async )?fn (\w+)\b(.*?)\n\1\}\n", text, re.DOTALL)]


def deployed():
    template = copy.deepcopy(TEMPLATE)
    # `sam package` puts an address in the bucket here.
    template["Resources"]["Function"]["Properties"]["CodeUri"] = "s3://bucket/key"
    sam = Translator({}, Parser(), boto_session=boto3.Session(region_name="us-east-1"))
    return sam.translate(template, parameter_values={})


def of_type(kind):
    """The properties of the resources of this type, by their logical names."""
    return {name: r["Properties"] for name, r in DEPLOYED["Resources"].items() if r["Type"] == kind}


def statements(role):
    """Every statement of a role, as (statement, the condition that it stands under or None)."""
    role = of_type("AWS::IAM::Role")[role]
    assert not role.get("ManagedPolicyArns")
    for policy in role["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            if "Fn::If" in statement:
                condition, statement, otherwise = statement["Fn::If"]
                assert otherwise == {"Ref": "AWS::NoValue"}
                yield statement, condition
            else:
                yield statement, None


def actions_of(statement):
    """The actions that a statement allows."""
    assert statement["Effect"] == "Allow" and "NotAction" not in statement and "NotResource" not in statement
    return [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]


DEPLOYED = deployed()
# The function's own role.
STATEMENTS = list(statements("Role"))
# Under any condition.
ACTIONS = {action for statement, _ in STATEMENTS for action in actions_of(statement)}
VARIABLES = DEPLOYED["Resources"]["Function"]["Properties"]["Environment"]["Variables"]
ALARMS = of_type("AWS::CloudWatch::Alarm")
# The alarms that the function reads.
FLEET = [(name["Fn::If"][1] if "Fn::If" in name else name)["Ref"] for name in VARIABLES["UNTHROTTLE_FLEET_ALARMS"]["Fn::Join"][1]]
# The alarms that notify people about the function.
OWN = sorted(set(ALARMS) - set(FLEET))


def watched(alarm):
    """The metrics that an alarm watches, of one metric or of metric math: (namespace, name, statistic)."""
    properties = ALARMS[alarm]
    if "MetricName" in properties:
        return [(properties["Namespace"], properties["MetricName"], properties["Statistic"])]
    stats = [metric["MetricStat"] for metric in properties["Metrics"] if "MetricStat" in metric]
    return [(stat["Metric"]["Namespace"], stat["Metric"]["MetricName"], stat["Stat"]) for stat in stats]
