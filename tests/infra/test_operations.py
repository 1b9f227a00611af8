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


def sources_of_the_function():
    sources = [path for path in (ROOT / "src").rglob("*.rs")]
    left_out = [ROOT / "src" / path for path in COMMAND_LINE]
    kept = [path for path in sources if not any(path == out or out in path.parents for out in left_out)]
    assert len(kept) < len(sources)
    # Tests stand at the end of a file.
    return [path.read_text().split("#[cfg(all(test")[0].split("#[cfg(test)]")[0] for path in kept]


def operations(service):
    """{the SDK's name of a call: IAM's name}"""
    return {xform_name(name): name for name in boto3.client(service, "us-east-1").meta.service_model.operation_names}


# What the code calls its clients. A function of one service calls its own `client`, of the type that its file names.
CLIENTS = {"kinesis": "kinesis", "kinesis_once": "kinesis", "cloudwatch": "cloudwatch", "tagging": "resourcegroupstaggingapi", "sns": "sns"}
CRATES = {"kinesis": "kinesis", "cloudwatch": "cloudwatch", "resourcegroupstagging": "resourcegroupstaggingapi", "sns": "sns"}


def calls(source):
    """IAM's actions for the calls of one file. The SDK's call of an operation takes no argument: those are set one by one."""
    of_its_file = {CRATES[crate] for crate in re.findall(r"aws_sdk_(\w+)::Client\b", source)}
    for receiver, call in re.findall(r"\b(\w+)\s*\.\s*(\w+)\(\)", source):
        services = {CLIENTS[receiver]} if receiver in CLIENTS else of_its_file if receiver == "client" else set()
        for service in services:
            if call in operations_of[service]:
                yield f"{SERVICES[service]}:{operations_of[service][call]}"


operations_of = {service: operations(service) for service in SERVICES}


def test_it_may_call_what_it_calls_and_nothing_else():
    called = {action for source in sources_of_the_function() for action in calls(source)}
    assert called == ACTIONS - IN_ITS_NAME


def test_no_call_is_made_by_a_client_that_this_test_does_not_know():
    every = {call for known in operations_of.values() for call in known}
    for source in sources_of_the_function():
        for receiver, call in re.findall(r"\b(\w+)\s*\.\s*(\w+)\(\)", source):
            assert call not in every or receiver in {*CLIENTS, "client"}, (receiver, call)


def test_it_speaks_to_no_other_service():
    clients = set(re.findall(r"aws_sdk_(\w+)::Client", "".join(sources_of_the_function())))
    assert clients == {"kinesis", "cloudwatch", "resourcegroupstagging", "sns"}
