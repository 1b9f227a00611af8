"""Every operation that the function can call is allowed, and nothing else is."""

import re

import boto3
from botocore import xform_name
from template import ACTIONS, ROOT

# The SDK's name of a service, and IAM's.
SERVICES = {"kinesis": "kinesis", "cloudwatch": "cloudwatch", "resourcegroupstaggingapi": "tag", "sns": "sns"}
# What only the command line calls stands in these, and is not in the function.
COMMAND_LINE = ["cli", "local", "bin/unthrottle.rs"]
# What Lambda does in the function's name, and what SNS does when it is told.
IN_ITS_NAME = {"logs:CreateLogStream", "logs:PutLogEvents", "sqs:SendMessage", "kms:Decrypt", "kms:GenerateDataKey"}


def source_of_the_function():
    sources = [path for path in (ROOT / "src").rglob("*.rs")]
    left_out = [ROOT / "src" / path for path in COMMAND_LINE]
    kept = [path for path in sources if not any(path == out or out in path.parents for out in left_out)]
    assert len(kept) < len(sources)
    # Tests stand at the end of a file.
    return "\n".join(path.read_text().split("#[cfg(all(test")[0].split("#[cfg(test)]")[0] for path in kept)


def operations(service):
    return boto3.client(service, "us-east-1").meta.service_model.operation_names


def test_it_may_call_what_it_calls_and_nothing_else():
    source = source_of_the_function()
    # The SDK's call of an operation takes no argument: those are set one by one.
    is_called = lambda name: re.search(rf"\.\s*{xform_name(name)}\(\)", source)
    allowed = {tuple(action.split(":")) for action in ACTIONS - IN_ITS_NAME}
    for service, prefix in SERVICES.items():
        for name in operations(service):
            if (prefix, name) in allowed:
                assert is_called(name), f"{prefix}:{name} is allowed and not called"
            # Other services have operations of the same name.
            elif is_called(name):
                assert name in {name for _, name in allowed}, f"{prefix}:{name} is called and not allowed"
    assert {prefix for prefix, _ in allowed} == set(SERVICES.values())


def test_it_speaks_to_no_other_service():
    clients = set(re.findall(r"aws_sdk_(\w+)::Client", source_of_the_function()))
    assert clients == {"kinesis", "cloudwatch", "resourcegroupstagging", "sns"}
