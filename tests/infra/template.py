"""template.yaml as it is written, and as CloudFormation sees it after SAM's transform."""

import copy
import pathlib

import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

ROOT = pathlib.Path(__file__).parents[2]
TEMPLATE = yaml_parse((ROOT / "template.yaml").read_text())


def deployed():
    template = copy.deepcopy(TEMPLATE)
    # `sam package` puts an address in the bucket here.
    template["Resources"]["Function"]["Properties"]["CodeUri"] = "s3://bucket/key"
    sam = Translator({}, Parser(), boto_session=boto3.Session(region_name="us-east-1"))
    return sam.translate(template, parameter_values={})


def actions():
    """Every action that any role of the stack allows."""
    for resource in DEPLOYED["Resources"].values():
        if resource["Type"] == "AWS::IAM::Role":
            assert not resource["Properties"].get("ManagedPolicyArns")
            for policy in resource["Properties"]["Policies"]:
                for statement in policy["PolicyDocument"]["Statement"]:
                    yield from [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]


DEPLOYED = deployed()
ACTIONS = set(actions())
