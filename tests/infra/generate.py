"""Writes what is made of another file.

`blocks` writes the dashboard into template.yaml and the Guard rules into config-rule.yaml, `stackset` the template for
StackSets.
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
STACKSET = ROOT / "infra/stackset/template.json"

# The lines around the text of the other file.
BODY = re.compile(r"(      DashboardBody: !Sub\n        - \|\n)(?:.*?)(        - Region: )", re.DOTALL)
POLICY = re.compile(r"(          PolicyText: \|\n)(?:.*?)(          EnableDebugLogDelivery: )", re.DOTALL)

# Lambda takes its code only from a bucket in the function's own region.
CODE = {"S3Bucket": {"Fn::Sub": "${ArtifactBucketPrefix}-${AWS::Region}"}, "S3Key": {"Ref": "ArtifactKey"}}
PARAMETERS = {
    "ArtifactBucketPrefix": {
        "Type": "String",
        "AllowedPattern": "^[a-z0-9][a-z0-9-]{1,44}[a-z0-9]$",
        "ConstraintDescription": "the name of a bucket without the hyphen and the region at its end",
        "Description": "The function's zip is in the bucket of this name, a hyphen and the region, one bucket for each region. The organisation must be able to read it.",
    },
    "ArtifactKey": {
        "Type": "String",
        "MinLength": 1,
        "Description": "The key of the zip in those buckets. A new zip needs a new key, or CloudFormation sees no change.",
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


def stackset():
    """template.yaml without a transform: what SAM's makes of it, and the code's place as parameters."""
    # Here, since it reads template.yaml, which `blocks` writes.
    from template import deployed

    template = deployed()
    template["Description"] = template["Description"].split(". ")[0] + ". Made of template.yaml for StackSets: do not edit it."
    template["Parameters"] |= PARAMETERS
    interface = template.get("Metadata", {}).get("AWS::CloudFormation::Interface")
    if interface:
        interface["ParameterGroups"].insert(0, {"Label": {"default": "The code"}, "Parameters": list(PARAMETERS)})
    for resource in template["Resources"].values():
        # It says how `sam build` builds, and nothing is built here.
        for key in ("BuildMethod", "BuildProperties"):
            resource.get("Metadata", {}).pop(key, None)
        if not resource.get("Metadata", True):
            del resource["Metadata"]
    template["Resources"]["Function"]["Properties"]["Code"] = CODE
    return json.dumps(template, indent=1) + "\n"


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["blocks"]:
            TEMPLATE.write_text(with_dashboard(TEMPLATE.read_text()))
            CONFIG_RULE.write_text(with_rules(CONFIG_RULE.read_text()))
        case ["stackset"]:
            STACKSET.write_text(stackset())
        case _:
            sys.exit(__doc__)
