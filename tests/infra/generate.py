"""Writes the generated files.

`blocks` writes the dashboard into template.yaml and into the Terraform module, the tables of the module's README, the
Guard rules into config-rule.yaml, and the template of the service control policy. `stackset` writes the template for
StackSets, and the role that deploys it.
"""

import json
import pathlib
import re
import sys
import textwrap

ROOT = pathlib.Path(__file__).parents[2]
TEMPLATE = ROOT / "template.yaml"
DASHBOARD = ROOT / "infra/dashboard/dashboard.json"
RULES = ROOT / "infra/guardrails/streams.guard"
CONFIG_RULE = ROOT / "infra/guardrails/config-rule.yaml"
SCP = ROOT / "infra/guardrails/scp.json"
SCP_TEMPLATE = ROOT / "infra/guardrails/scp.yaml"
STACKSET = ROOT / "infra/stackset/template.json"
EXECUTION_ROLE = ROOT / "infra/stackset/execution-role.json"
MODULE = ROOT / "infra/terraform"

# The lines around the text of the other file.
BODY = re.compile(r"(      DashboardBody: !Sub\n        - \|\n)(?:.*?)(        - Region: )", re.DOTALL)
POLICY = re.compile(r"(          PolicyText: \|\n)(?:.*?)(          EnableDebugLogDelivery: )", re.DOTALL)

SCP_HEAD = """AWSTemplateFormatVersion: '2010-09-09'
Description: >-
  The service control policy of unthrottle, with the names of your roles. `make generate` writes the content from
  scp.json. Deploy it in the management account of the organization.

Parameters:
  Role:
    Type: String
    Default: unthrottle-*
    AllowedPattern: '^[A-Za-z0-9+=,.@_*/-]*unthrottle-[A-Za-z0-9*-]+$'
    ConstraintDescription: the name of unthrottle's roles, with their path and without a slash at its start
    Description: >-
      The name of unthrottle's roles. With RolePath=/team/ it is team/unthrottle-*. Without a star it is one role, such
      as unthrottle-eu-west-1.
  Deployer:
    Type: String
    AllowedPattern: '^[A-Za-z0-9+=,.@_/-]+$'
    ConstraintDescription: the name of a role, with its path and without a slash at its start
    Description: The role, or the permission set of IAM Identity Center, that deploys unthrottle and streams.
  TargetIds:
    Type: CommaDelimitedList
    Default: ''
    Description: The root, the organizational units or the accounts to attach the policy to. Empty attaches it to none.

Conditions:
  HasTargets: !Not [!Equals [!Join ['', !Ref TargetIds], '']]

Resources:
  Policy:
    Type: AWS::Organizations::Policy
    Properties:
      Name: unthrottle-capacity
      Description: Only unthrottle and deployers change the capacity of streams
      Type: SERVICE_CONTROL_POLICY
      TargetIds: !If [HasTargets, !Ref TargetIds, !Ref AWS::NoValue]
      Content: !Sub |
"""
TABLES = re.compile(r"(<!-- tables -->\n)(?:.*?)(<!-- /tables -->\n)", re.DOTALL)

# Lambda takes its code only from a bucket in the function's own region.
CODE = {"S3Bucket": {"Fn::Sub": "${ArtifactBucketPrefix}-${AWS::Region}"}, "S3Key": {"Ref": "ArtifactKey"}}
PARAMETERS = {
    "ArtifactBucketPrefix": {
        "Type": "String",
        "AllowedPattern": "^[a-z0-9][a-z0-9-]{1,44}[a-z0-9]$",
        "ConstraintDescription": "the name of a bucket without the hyphen and the region at its end",
        "Description": "The start of the bucket names. Each region has its own bucket, which has this prefix, a hyphen and the "
        "region as its name. The organization must be able to read it.",
    },
    "ArtifactKey": {
        "Type": "String",
        "MinLength": 1,
        "Description": "The key of the function's zip in the buckets. Give each new zip a new key. Otherwise CloudFormation "
        "sees no change.",
    },
}


def with_block(text, around, block, indent):
    """A text with a block of it replaced."""
    assert len(around.findall(text)) == 1, "the block must be there, once"
    block = textwrap.indent(block, " " * indent)
    return around.sub(lambda found: found[1] + block + found[2], text)


def with_dashboard(template):
    """template.yaml with the dashboard that the file has now."""
    return with_block(template, BODY, DASHBOARD.read_text(), 10)


def with_rules(template):
    """config-rule.yaml with the rules that the file has now."""
    return with_block(template, POLICY, RULES.read_text(), 12)


def scp():
    """The service control policy as a template, with the names of the roles as parameters."""
    policy = SCP.read_text().replace("unthrottle-*", "${Role}").replace("ExampleDeployer", "${Deployer}")
    return SCP_HEAD + textwrap.indent(policy, " " * 8)


def tables():
    """The variables and the outputs of the Terraform module, as tables of its README."""
    # Not at the top of this file: `stackset` does without the parser.
    from terraform import bare, named, parse

    blocks = parse(MODULE)
    lines = ["## Variables", "", "| variable | default | |", "|---|---|---|"]
    for name, variable in named(blocks, "variable").items():
        default = bare(str(variable["default"])).replace("{}", "")
        lines.append(f"| `{name}` | {default} | {json.loads(variable['description'])} |")
    lines += ["", "## Outputs", "", "| output | |", "|---|---|"]
    lines += [f"| `{name}` | {json.loads(body['description'])} |" for name, body in named(blocks, "output").items()]
    return "\n".join(lines) + "\n"


def with_tables(readme):
    """The module's README with the tables that its files make."""
    return with_block(readme, TABLES, tables(), 0)


def stackset():
    """template.yaml after SAM's transform, with parameters for the place of the code."""
    # Not at the top of this file: the import reads template.yaml, which `blocks` writes.
    from template import deployed

    template = deployed()
    about = template["Description"].split(". ")[0]
    template["Description"] = f"{about}. Generated from template.yaml for StackSets. Do not edit this file."
    template["Parameters"] |= PARAMETERS
    del template["Metadata"]["AWS::ServerlessRepo::Application"]
    interface = template.get("Metadata", {}).get("AWS::CloudFormation::Interface")
    if interface:
        interface["ParameterGroups"].insert(0, {"Label": {"default": "Code"}, "Parameters": list(PARAMETERS)})
    for resource in template["Resources"].values():
        # These two keys are for `sam build`. A StackSet builds nothing.
        for key in ("BuildMethod", "BuildProperties"):
            resource.get("Metadata", {}).pop(key, None)
        if not resource.get("Metadata", True):
            del resource["Metadata"]
    template["Resources"]["Function"]["Properties"]["Code"] = CODE
    return json.dumps(template, indent=1) + "\n"


# What CloudFormation's handlers may also need for other properties than those used here.
SERVICES = {"cloudtrail", "cloudwatch", "events", "iam", "kms", "lambda", "logs", "s3", "scheduler", "sns", "sqs"}


def handlers():
    """The actions that AWS's own schemas of the resource types name for create, read, update and delete."""
    from cfnlint.schema import PROVIDER_SCHEMA_MANAGER
    from template import deployed

    actions = set()
    for kind in {resource["Type"] for resource in deployed()["Resources"].values()}:
        schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema
        for handler in ("create", "read", "update", "delete"):
            actions |= set(schema["handlers"].get(handler, {}).get("permissions", []))
    return sorted(action for action in actions if action.split(":")[0] in SERVICES)


def execution_role():
    """The role in each account by which StackSets with self-managed permissions deploys the template."""
    actions = handlers()
    of_roles = [action for action in actions if action.startswith("iam:")]
    stacks = {"Fn::Sub": "arn:${AWS::Partition}:cloudformation:*:${AWS::AccountId}:stack/StackSet-*"}
    roles = {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:role${RolePath}unthrottle-*"}
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${AdministratorAccount}:role/${AdministrationRole}"}},
        "Action": "sts:AssumeRole",
    }
    statements = [
        {"Sid": "Stacks", "Effect": "Allow", "Action": "cloudformation:*", "Resource": stacks},
        {"Sid": "Templates", "Effect": "Allow", "Action": ["cloudformation:GetTemplateSummary", "cloudformation:ValidateTemplate"], "Resource": "*"},
        {"Sid": "Roles", "Effect": "Allow", "Action": of_roles, "Resource": roles},
        {"Sid": "Resources", "Effect": "Allow", "Action": [action for action in actions if action not in of_roles], "Resource": "*"},
    ]
    policy = {"PolicyName": "deploy-unthrottle", "PolicyDocument": {"Version": "2012-10-17", "Statement": statements}}
    properties = {
        "RoleName": "stackset-execution-unthrottle",
        "Description": "StackSets deploys unthrottle with this role",
        "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trust]},
        "Policies": [policy],
    }
    template = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "The execution role of a StackSet of unthrottle. Generated by `make stackset`. Do not edit this file.",
        "Parameters": {
            "AdministratorAccount": {"Type": "String", "AllowedPattern": "^[0-9]{12}$", "Description": "The account of the StackSet."},
            "AdministrationRole": {
                "Type": "String",
                "Default": "AWSCloudFormationStackSetAdministrationRole",
                "AllowedPattern": "^[A-Za-z0-9+=,.@_/-]+$",
                "Description": "The administration role in that account, with its path and without a slash at its start.",
            },
            "RolePath": {
                "Type": "String",
                "Default": "/",
                "AllowedPattern": "^/([!-~]+/)?$",
                "Description": "The parameter RolePath of the stacks.",
            },
        },
        "Resources": {"Role": {"Type": "AWS::IAM::Role", "Properties": properties}},
        "Outputs": {"RoleName": {"Value": {"Ref": "Role"}}},
    }
    return json.dumps(template, indent=1) + "\n"


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["blocks"]:
            TEMPLATE.write_text(with_dashboard(TEMPLATE.read_text()))
            CONFIG_RULE.write_text(with_rules(CONFIG_RULE.read_text()))
            SCP_TEMPLATE.write_text(scp())
            (MODULE / "dashboard.json").write_text(DASHBOARD.read_text())
            readme = MODULE / "README.md"
            readme.write_text(with_tables(readme.read_text()))
        case ["stackset"]:
            STACKSET.write_text(stackset())
            EXECUTION_ROLE.write_text(execution_role())
        case _:
            sys.exit(__doc__)
