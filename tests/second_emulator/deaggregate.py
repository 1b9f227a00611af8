"""Takes records apart with awslabs' own module: JSON lines {"shard", "number", "key", "data"} in, with data in base64, and
JSON lines {"shard", "key", "hash_key", "data"} out."""

import json
import sys

from aws_kinesis_agg.deaggregator import iter_deaggregate_records

for line in sys.stdin:
    record = json.loads(line)
    kinesis = {"kinesisSchemaVersion": "1.0", "sequenceNumber": record["number"], "partitionKey": record["key"], "data": record["data"]}
    event = {"kinesis": {**kinesis, "approximateArrivalTimestamp": 0}}
    for user in iter_deaggregate_records([event]):
        found = user["kinesis"]
        data = found["data"]
        out = {"shard": record["shard"], "key": found["partitionKey"], "hash_key": found.get("explicitHashKey")}
        print(json.dumps({**out, "data": data.decode() if isinstance(data, bytes) else data}))
