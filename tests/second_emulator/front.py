"""One address for Kinesis and CloudWatch, served by emulators that this project did not write.

Kinesis calls pass through to kinesis-local as they are. CloudWatch calls arrive in the protocol that today's SDKs
speak, Smithy RPC v2 CBOR; moto understands only JSON, so they are translated there and back.
`GET /_calls` answers how often each operation was called.

moto differs from CloudWatch in one way that matters here: a query without dimensions sums every set of dimensions.

A test puts metrics of minutes before it created its stream. The stream is therefore described as older than it is, and
a time before its creation means the time of its creation.
"""

import collections
import datetime
import gzip
import http.client
import json
import re
import threading

import botocore.session
import cbor2
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.test import EnvironBuilder, run_wsgi_app
from werkzeug.wrappers import Request, Response

RPC = re.compile(r"/service/GraniteServiceVersion20100801/operation/(\w+)")
KINESIS = "Kinesis_20131202."
# Older than the metrics of a test, in seconds.
AGE = 15 * 60
HOP_BY_HOP = {"connection", "content-length", "host", "keep-alive", "transfer-encoding"}
CLOUDWATCH = botocore.session.Session().get_service_model("cloudwatch")


class Front:
    def __init__(self, kinesis_port):
        self.kinesis_port = kinesis_port
        self.moto = DomainDispatcherApplication(create_backend_app)
        self.calls = collections.Counter()
        # When the stream was created.
        self.created = 0
        self.lock = threading.Lock()

    def __call__(self, environ, start_response):
        return self.answer(Request(environ))(environ, start_response)

    def answer(self, request):
        target = request.headers.get("X-Amz-Target", "")
        rpc = RPC.fullmatch(request.path)
        if request.path == "/_calls":
            with self.lock:
                return Response(json.dumps(self.calls), content_type="application/json")
        if rpc:
            self.count(f"CloudWatch.{rpc[1]}")
            return self.cloudwatch(request, rpc[1])
        if target.startswith(KINESIS):
            self.count(f"Kinesis.{target.removeprefix(KINESIS)}")
            return self.kinesis(request, target.removeprefix(KINESIS))
        return Response(f"neither Kinesis nor CloudWatch: {request.method} {request.path} {target}\n", 404)

    def count(self, call):
        with self.lock:
            self.calls[call] += 1

    def kinesis(self, request, operation):
        body = request.get_data()
        if operation == "ListShards":
            body = self.after_creation(body)
        kinesis = http.client.HTTPConnection("127.0.0.1", self.kinesis_port, timeout=30)
        try:
            kinesis.request(request.method, "/", body, end_to_end(request.headers.items()))
            reply = kinesis.getresponse()
            answer = reply.read()
            if operation == "DescribeStreamSummary" and reply.status == 200:
                answer = self.older(answer)
            return Response(answer, reply.status, end_to_end(reply.getheaders()))
        finally:
            kinesis.close()

    def older(self, answer):
        answer = json.loads(answer)
        summary = answer["StreamDescriptionSummary"]
        self.created = summary["StreamCreationTimestamp"]
        summary["StreamCreationTimestamp"] -= AGE
        return json.dumps(answer)

    def after_creation(self, body):
        body = json.loads(body)
        shards = body.get("ShardFilter", {})
        if "Timestamp" in shards:
            # Its shards open within the second.
            shards["Timestamp"] = max(shards["Timestamp"], self.created + 1)
        return json.dumps(body)

    def cloudwatch(self, request, operation):
        body = request.get_data()
        if request.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        as_json = EnvironBuilder(
            method="POST",
            base_url=request.host_url,
            data=json.dumps(cbor2.loads(body) if body else {}, default=seconds),
            content_type="application/x-amz-json-1.0",
            headers={
                "Authorization": request.headers.get("Authorization", ""),
                "X-Amz-Target": f"GraniteServiceVersion20100801.{operation}",
            },
        )
        chunks, status, _ = run_wsgi_app(self.moto, as_json.get_environ(), buffered=True)
        reply = json.loads(b"".join(chunks) or b"{}")
        if status.startswith("200"):
            reply = typed(reply, CLOUDWATCH.operation_model(operation).output_shape)
        return Response(cbor2.dumps(reply), status, {"Smithy-Protocol": "rpc-v2-cbor"}, content_type="application/cbor")


def end_to_end(headers):
    return {name: value for name, value in headers if name.lower() not in HOP_BY_HOP}


def seconds(time):
    assert isinstance(time, datetime.datetime), f"no JSON for {time!r}"
    return time.timestamp()


def typed(value, shape):
    """JSON has one kind of number; CBOR tells times, floats and integers apart, as AWS's model of the reply does."""
    if value is None or shape is None:
        return value
    if shape.type_name == "structure":
        return {name: typed(value[name], member) for name, member in shape.members.items() if value.get(name) is not None}
    if shape.type_name == "list":
        return [typed(item, shape.member) for item in value]
    if shape.type_name == "timestamp":
        return cbor2.CBORTag(1, value if isinstance(value, (int, float)) else datetime.datetime.fromisoformat(value).timestamp())
    if shape.type_name in ("double", "float"):
        return float(value)
    return value
