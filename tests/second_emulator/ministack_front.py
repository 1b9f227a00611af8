"""Starts MiniStack with what the doctor reads of IAM, CloudTrail, KMS and EventBridge: moto has neither
SimulatePrincipalPolicy nor LookupEvents. Prints `ready JSON` with the address and the ARNs when it answers.

Two things are put into its store, because its calls do not take them: events of throttled calls (those of the file that
is the first argument, a list of CloudTrail records), and a mapping of a registered consumer.

Ends when its standard input closes.
"""

import asyncio
import json
import os
import socket
import sys
import threading
import time

ACCOUNT = "123456789012"
REGION = "us-east-1"

listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
port = listener.getsockname()[1]
os.environ.update(MINISTACK_ACCOUNT_ID=ACCOUNT, MINISTACK_REGION=REGION, GATEWAY_PORT=str(port), LOG_LEVEL="ERROR")

import botocore.session
from hypercorn.asyncio import serve
from hypercorn.config import Config
from ministack.app import app
from ministack.services import cloudtrail, lambda_svc

URL = f"http://127.0.0.1:{port}"
STREAM = f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/*"


def client(service):
    keys = {"aws_access_key_id": ACCOUNT, "aws_secret_access_key": "secret"}
    return botocore.session.get_session().create_client(service, endpoint_url=URL, region_name=REGION, **keys)


def statement(actions, resource="*", effect="Allow"):
    return {"Effect": effect, "Action": actions, "Resource": resource}


def role(name, *statements):
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
    iam = client("iam")
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    policy = {"Version": "2012-10-17", "Statement": list(statements)}
    iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=json.dumps(policy))
    return arn


def seed():
    kms = client("kms")
    writes, reads = statement(["kinesis:PutRecords"], STREAM), statement(["kinesis:GetRecords"], STREAM)
    ready = {
        "url": URL,
        "key": kms.create_key()["KeyMetadata"]["KeyId"],
        "named_key": kms.create_key()["KeyMetadata"]["KeyId"],
        "denying_key": kms.create_key()["KeyMetadata"]["KeyId"],
        "conditional_key": kms.create_key()["KeyMetadata"]["KeyId"],
        "writer": role("writer", writes, statement("kms:GenerateDataKey")),
        "reader": role("reader", reads, statement("kms:Decrypt")),
        "writer_without_key": role("writer-without-key", writes),
        "reader_denied": role("reader-denied", reads, statement("kms:Decrypt"), statement("kms:*", effect="Deny")),
        "stranger": role("stranger", statement("s3:GetObject")),
    }
    root = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "kms:*", "Resource": "*"}
    named = {**root, "Principal": {"AWS": ready["writer_without_key"]}, "Action": "kms:GenerateDataKey*"}
    denying = {**root, "Effect": "Deny", "Principal": {"AWS": ready["reader"]}, "Action": "kms:Decrypt"}
    condition = {"StringNotEquals": {"aws:PrincipalOrgID": "o-1234567890"}}
    conditional = {**root, "Effect": "Deny", "Principal": "*", "Condition": condition}
    of_keys = {"key": [], "named_key": [named], "denying_key": [denying], "conditional_key": [conditional]}
    for key, others in of_keys.items():
        statements = [root, *others]
        policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
        kms.put_key_policy(KeyId=ready[key], PolicyName="default", Policy=policy)
    own = role("unthrottle", statement(["kinesis:Describe*", "kinesis:List*", "cloudwatch:GetMetricData", "kinesis:TagResource", "kinesis:SplitShard"]))
    code = {"ZipFile": b"PK\x05\x06" + bytes(18)}
    function = client("lambda").create_function(FunctionName="unthrottle", Runtime="provided.al2023", Role=own, Handler="bootstrap", Code=code)
    events = client("events")
    pattern = json.dumps({"source": ["aws.kinesis"]})
    events.put_rule(Name="watch", EventPattern=pattern, Tags=[{"Key": "unthrottle:stack", "Value": "unthrottle"}])
    events.put_targets(Rule="watch", Targets=[{"Id": "function", "Arn": function["FunctionArn"]}])
    lambda_svc._esms["of-a-consumer"] = {
        "UUID": "of-a-consumer", "EventSourceArn": STREAM.replace("*", "orders/consumer/reader:1700000000"),
        "FunctionArn": function["FunctionArn"], "FunctionName": "unthrottle", "State": "Enabled",
        "LastProcessingResult": "OK", "BatchSize": 100, "ParallelizationFactor": 2, "MaximumRetryAttempts": 5,
        "MaximumRecordAgeInSeconds": 3600, "BisectBatchOnFunctionError": True,
        "DestinationConfig": {"OnFailure": {"Destination": f"arn:aws:sqs:{REGION}:{ACCOUNT}:lost"}},
    }
    history = cloudtrail._get_event_queue()
    for record in json.load(open(sys.argv[1])):
        history.append({
            "EventId": record["eventID"], "EventName": record["eventName"], "EventSource": record["eventSource"],
            "EventTime": time.time() - 60, "Username": "", "AccessKeyId": "", "ReadOnly": "true", "Resources": [],
            "CloudTrailEvent": json.dumps(record),
        })
    return ready


def until_the_end(stop):
    print("ready", json.dumps(seed()), flush=True)
    sys.stdin.read()
    stop()


async def main():
    config = Config()
    config.bind = [f"fd://{listener.fileno()}"]
    config.loglevel = "ERROR"
    ended, loop = asyncio.Event(), asyncio.get_running_loop()
    thread = threading.Thread(target=until_the_end, args=[lambda: loop.call_soon_threadsafe(ended.set)], daemon=True)
    thread.start()
    await serve(app, config, shutdown_trigger=ended.wait)


asyncio.run(main())
