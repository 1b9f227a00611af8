"""Writes the lines of a file to a stream with boto3. Refused records are not sent again.

usage: python with_boto3.py FILE STREAM
"""

import json
import sys
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from uuid import uuid4

import boto3
from botocore.config import Config

# More threads make it no faster: Python runs one at a time.
AT_ONCE = 4


def main(file, stream):
    config = Config(retries={"total_max_attempts": 1}, max_pool_connections=AT_ONCE)
    client = boto3.client("kinesis", config=config)
    counts = {"accepted": 0, "refused": 0}

    def send(batch):
        answer = client.put_records(StreamName=stream, Records=batch)
        return len(batch), answer["FailedRecordCount"]

    def settle(done):
        for sent, refused in (future.result() for future in done):
            counts["accepted"] += sent - refused
            counts["refused"] += refused

    with ThreadPoolExecutor(AT_ONCE) as pool:
        sending = set()
        for batch in batches(file):
            sending.add(pool.submit(send, batch))
            if len(sending) >= AT_ONCE:
                done, sending = wait(sending, return_when=FIRST_COMPLETED)
                settle(done)
        settle(sending)
    print(json.dumps(counts))


def batches(file):
    batch, size = [], 0
    with open(file, "rb") as lines:
        for line in lines:
            data = line.rstrip(b"\n")
            if len(batch) == 500 or size + len(data) + 36 > 5 * 1024 * 1024:
                yield batch
                batch, size = [], 0
            batch.append({"Data": data, "PartitionKey": str(uuid4())})
            size += len(data) + 36
    if batch:
        yield batch


if __name__ == "__main__":
    main(*sys.argv[1:])
