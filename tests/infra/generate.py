"""Writes what is made of another file: `dashboard`, a block of template.yaml, or `stackset`, infra/stackset/template.json."""

import json
import pathlib
import re
import sys
import textwrap

ROOT = pathlib.Path(__file__).parents[2]
TEMPLATE = ROOT / "template.yaml"
DASHBOARD = ROOT / "infra/dashboard/dashboard.json"
STACKSET = ROOT / "infra/stackset/template.json"

# What template.yaml has between these lines is infra/dashboard/dashboard.json, indented.
BODY = re.compile(r"(?<=\n)      DashboardBody: !Sub\n        - \|\n(.*?)(?=        - Region: )", re.DOTALL)

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


def with_dashboard(template):
    """template.yaml with the dashboard that the file has now."""
    assert len(BODY.findall(template)) == 1, "the block to be written must be there, once"
    body = textwrap.indent(DASHBOARD.read_text(), " " * 10)
    return BODY.sub(lambda _: f"      DashboardBody: !Sub\n        - |\n{body}", template)


def stackset():
    """template.yaml without a transform: what SAM's makes of it, and the code's place as parameters."""
    # Here, since it reads template.yaml, which `dashboard` writes.
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
        case ["dashboard"]:
            TEMPLATE.write_text(with_dashboard(TEMPLATE.read_text()))
        case ["stackset"]:
            STACKSET.write_text(stackset())
        case _:
            sys.exit(__doc__)
