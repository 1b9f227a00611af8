"""Starts moto with what the doctor reads beside Kinesis and CloudWatch: a stream for moto's own books, a function, and
three keys, a bucket, and the tables `orders-app` (of the KCL) and `people`. Prints `ready JSON` with the address and the
keys when it answers. The tests make the mappings themselves.

Ends when its standard input closes.
"""

import io
import json
import logging
import sys
import zipfile

import boto3
from moto.server import ThreadedMotoServer

logging.getLogger("werkzeug").setLevel(logging.ERROR)


def code():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("handler.py", "def handle(event, context):\n    return None\n")
    return file.getvalue()


def main():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"

    def client(service):
        keys = {"aws_access_key_id": "key", "aws_secret_access_key": "secret"}
        return boto3.client(service, endpoint_url=url, region_name="us-east-1", **keys)

    client("kinesis").create_stream(StreamName="orders", ShardCount=2)
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
    role = client("iam").create_role(RoleName="reader", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    functions = client("lambda")
    functions.create_function(FunctionName="reader", Runtime="python3.12", Role=role, Handler="handler.handle", Code={"ZipFile": code()}, Timeout=30)
    functions.put_function_concurrency(FunctionName="reader", ReservedConcurrentExecutions=100)
    tables = client("dynamodb")
    for name, key in [("orders-app", "leaseKey"), ("people", "id")]:
        keys = {"KeySchema": [{"AttributeName": key, "KeyType": "HASH"}], "AttributeDefinitions": [{"AttributeName": key, "AttributeType": "S"}]}
        tables.create_table(TableName=name, BillingMode="PAY_PER_REQUEST", **keys)
    tables.put_item(TableName="people", Item={"id": {"S": "1"}})
    # A trail of `unthrottle prove` writes there.
    client("s3").create_bucket(Bucket="trails")
    kms = client("kms")
    enabled, disabled, deleted = (kms.create_key()["KeyMetadata"]["KeyId"] for _ in range(3))
    kms.disable_key(KeyId=disabled)
    kms.schedule_key_deletion(KeyId=deleted)
    ready = {"url": url, "enabled": enabled, "disabled": disabled, "deleted": deleted}
    print("ready", json.dumps(ready), flush=True)
    sys.stdin.read()
    server.stop()


main()
