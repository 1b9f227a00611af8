"""Starts the second emulator: kinesis-local, with front.py before it. Prints `ready URL` when both answer.

usage: run.py [PORT [KINESIS_PORT]]    (0, the default, is any free port)

Ends, with its child, on SIGTERM, on SIGINT, or when its standard input closes. kinesis-local reads its own
environment variables, for example UPDATE_SHARD_COUNT_DURATION=3s; AWS_ACCOUNT_ID is 123456789012 unless set.
"""

import http.client
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

from front import Front
from werkzeug.serving import WSGIRequestHandler, make_server

HERE = pathlib.Path(__file__).parent
# Ends with its parent, even with one that was killed: then its standard input closes.
NODE = 'process.stdin.resume().on("end", () => process.exit()); require("./main.js")'


class Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_request(self, *_):
        pass


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def node():
    """Finds Node.js on the PATH, or else beside this Python, where `make test` installs it."""
    found = shutil.which("node") or shutil.which("node", path=os.path.dirname(sys.executable))
    return found or sys.exit("node is not installed: delete tests/second_emulator/node_modules, then `make tests/second_emulator/node_modules/installed` installs it")


def start_kinesis(port):
    environment = {"AWS_ACCOUNT_ID": "123456789012", "LOG_LEVEL": "ERROR"} | os.environ
    environment |= {"KINESIS_MOCK_PLAIN_PORT": str(port), "KINESIS_MOCK_TLS_PORT": str(free_port())}
    # It finds its certificate only in its own folder.
    folder = HERE / "node_modules/kinesis-local"
    child = subprocess.Popen([node(), "-e", NODE], cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=sys.stderr)
    for _ in range(300):
        if child.poll() is not None:
            sys.exit(f"kinesis-local ended with {child.returncode}")
        try:
            http.client.HTTPConnection("127.0.0.1", port, timeout=1).request("GET", "/")
            return child
        except OSError:
            time.sleep(0.1)
    sys.exit("kinesis-local did not answer within 30 s")


def main():
    port, kinesis_port = ([int(argument) for argument in sys.argv[1:]] + [0, 0])[:2]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    kinesis_port = kinesis_port or free_port()
    kinesis = start_kinesis(kinesis_port)
    try:
        server = make_server("127.0.0.1", port, Front(kinesis_port), threaded=True, request_handler=Quiet)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(f"ready http://127.0.0.1:{server.server_port}", flush=True)
        sys.stdin.read()
    except KeyboardInterrupt:
        pass
    finally:
        kinesis.kill()


if __name__ == "__main__":
    main()
