"""Every operation that the function can call is allowed, and nothing else is."""

import re

import boto3
from botocore import xform_name
from template import ACTIONS, ROOT, SOURCES

# The SDK's name of a service, and IAM's.
SERVICES = {"kinesis": "kinesis", "cloudwatch": "cloudwatch", "resourcegroupstaggingapi": "tag", "sns": "sns"}
# Actions that Lambda (its log, the dead-letter queue) and SNS (an encrypted topic) take under the role of the function.
IN_ITS_NAME = {"logs:CreateLogStream", "logs:PutLogEvents", "sqs:SendMessage", "kms:Decrypt", "kms:GenerateDataKey"}


def sources_of_the_function():
    """The Rust sources of the Lambda: the root package and the core, without unit tests."""
    kept = [path for path in SOURCES if path.is_relative_to(ROOT / "src") or path.is_relative_to(ROOT / "crates/core")]
    assert 0 < len(kept) < len(SOURCES)
    # Tests stand at the end of a file.
    return [re.split(r"#\[cfg\((?:all\()?test", path.read_text())[0] for path in kept]


def operations(service):
    """{the SDK's name of a call: IAM's name}"""
    return {xform_name(name): name for name in boto3.client(service, "us-east-1").meta.service_model.operation_names}


# What the code calls its clients. A function of one service calls its own `client`, of the type that its file names.
CLIENTS = {"kinesis": "kinesis", "kinesis_once": "kinesis", "cloudwatch": "cloudwatch", "tagging": "resourcegroupstaggingapi", "sns": "sns"}
CRATES = {"kinesis": "kinesis", "cloudwatch": "cloudwatch", "resourcegroupstagging": "resourcegroupstaggingapi", "sns": "sns"}


# The name before a call, which may be a method that gives the client, and the call.
CALL = r"\b(\w+)(?:\(\))?\s*\.\s*(?=(\w+)\(\))"


def calls(source):
    """IAM's actions for the calls of one file. The SDK's call of an operation takes no argument: those are set one by one."""
    of_its_file = {CRATES[crate] for crate in re.findall(r"aws_sdk_(\w+)::Client\b", source)}
    for receiver, call in re.findall(CALL, source):
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
        for receiver, call in re.findall(CALL, source):
            assert call not in every or receiver in {*CLIENTS, "client"}, (receiver, call)


def test_it_speaks_to_no_other_service():
    clients = set(re.findall(r"aws_sdk_(\w+)::Client", "".join(sources_of_the_function())))
    assert clients == {"kinesis", "cloudwatch", "resourcegroupstagging", "sns"}
