"""Measures `unthrottle put` beside boto3 and the AWS SDK for JavaScript, and the rate of `unthrottle smoke`.

All write to a release build of `unthrottle local`. Where the machine has two cores, the writer has one and the account
the other. Each writer sends the same file in turn, several times, and the table has the medians.

usage: python bench.py UNTHROTTLE [--rounds N] [--json]
"""

import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager

import boto3

HERE = pathlib.Path(__file__).parent

# Each shard takes 1,000 records and 1 MiB a second, so this stream takes more than any of these writers sends. It is
# the most that the account allows.
SHARDS = 500

# The file of each workload: lines, and bytes in a line. Long enough that the start of a process is a small part.
WORKLOADS = {"records of 100 bytes": (600_000, 100), "batches of 5 MB": (40_000, 10_000)}

# The goals of the project: records/s of 100 bytes, and MB/s in batches of 5 MB.
GOALS = {"records of 100 bytes": "100,000 records/s", "batches of 5 MB": "200 MB/s"}

# The seconds of a load with a fixed rate.
LOAD_S = 10


def pin(core):
    """Makes the process that starts run on one core, if there are two."""
    return (lambda: os.sched_setaffinity(0, {core})) if len(os.sched_getaffinity(0)) > 1 else None


def cpu_s(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def account(unthrottle):
    """A local account with the stream `bench`, and an environment for its clients."""
    command = [unthrottle, "local", "--port", "0", "--keep-mib", "64"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=pin(1))
    url = re.search(r"http://[0-9.:]+", server.stdout.readline()).group()
    threading.Thread(target=server.stdout.read, daemon=True).start()
    env = {"AWS_ENDPOINT_URL": url, "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"}
    env |= {"NODE_NO_WARNINGS": "1"}
    env |= {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "PATH": os.environ["PATH"]}
    os.environ.update(env)
    kinesis = boto3.client("kinesis")
    kinesis.create_stream(StreamName="bench", ShardCount=SHARDS)
    kinesis.get_waiter("stream_exists").wait(StreamName="bench", WaiterConfig={"Delay": 1})
    try:
        yield server.pid, env
    finally:
        server.terminate()
        server.wait()


def run(command, env, server):
    """Runs a writer to its end: its last line of JSON, and what it took."""
    before, begun = cpu_s(server), time.monotonic()
    with tempfile.TemporaryFile("w+") as said:
        writer = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=said, text=True, preexec_fn=pin(0))
        lines = writer.stdout.read().splitlines()
        _, status, usage = os.wait4(writer.pid, 0)
        wall = time.monotonic() - begun
        if status != 0:
            said.seek(0)
            sys.exit(f"{command} failed: {said.read()}")
    took = {"wall_s": wall, "cpu_s": usage.ru_utime + usage.ru_stime, "server_cpu_s": cpu_s(server) - before}
    return [json.loads(line) for line in lines if line.startswith("{")], took | {"peak_mib": usage.ru_maxrss / 1024}


def compare(unthrottle, server, env, rounds):
    """The rows of the table: for each workload and writer the medians."""
    writers = {
        "unthrottle put": lambda file: [unthrottle, "put", "bench", file, "--json"],
        "boto3": lambda file: [sys.executable, str(HERE / "with_boto3.py"), file, "bench"],
        "AWS SDK for JavaScript": lambda file: ["node", str(HERE / "with_aws_sdk.mjs"), file, "bench"],
    }
    rows = []
    for workload, (lines, size) in WORKLOADS.items():
        with tempfile.NamedTemporaryFile("w") as file:
            file.writelines(f"{number:<{size}}\n".replace(" ", "x") for number in range(lines))
            file.flush()
            runs = {name: [] for name in writers}
            for _ in range(rounds):
                for name, command in writers.items():
                    output, took = run(command(file.name), env, server)
                    if output[-1]["accepted"] != lines:
                        print(f"{name}: {output[-1]}", file=sys.stderr)
                    runs[name].append(took)
        for name, took in runs.items():
            median = {field: statistics.median(one[field] for one in took) for field in took[0]}
            rows.append({"workload": workload, "writer": name, "records": lines, "bytes": lines * size} | median)
    return rows


def rates(unthrottle, server, env, records_a_second):
    """The error of fixed rates: the largest deviation of what was accepted until each second from what was due."""
    rows = []
    for rate in records_a_second:
        stages = f"{LOAD_S}s@{rate}/s"
        command = [unthrottle, "smoke", "bench", "--i-own", "bench", "--stages", stages, "--json", "--max-usd", "10"]
        output, _ = run(command, env, server)
        last = output[-1]
        seconds = [line for line in output[:-1] if line["seconds"] >= 2]
        error = max((abs(line["accepted"] / line["seconds"] / rate - 1) for line in seconds), default=1.0)
        behind = last["behind"] / last["offered"]
        rows.append({"rate": rate, "offered": last["offered"], "error": error, "behind": behind})
    return rows


def show(rows, loads):
    best = {}
    for row in rows:
        row["per_s"], row["mb_per_s"] = row["records"] / row["wall_s"], row["bytes"] / row["wall_s"] / 1e6
        row["per_cpu_s"], row["mb_per_cpu_s"] = row["records"] / row["cpu_s"], row["bytes"] / row["cpu_s"] / 1e6
        best.setdefault(row["workload"], []).append(row)
    for workload, of in best.items():
        print(f"{workload} (goal: {GOALS[workload]})")
        print(f"  {'writer':<24}{'records/s':>11}{'MB/s':>7}{'records/CPU s':>15}{'MB/CPU s':>10}{'peak MiB':>10}"
              f"{'busy':>6}{'account busy':>14}")
        for row in of:
            print(f"  {row['writer']:<24}{row['per_s']:>11,.0f}{row['mb_per_s']:>7.0f}{row['per_cpu_s']:>15,.0f}"
                  f"{row['mb_per_cpu_s']:>10.0f}{row['peak_mib']:>10.0f}{row['cpu_s'] / row['wall_s']:>6.0%}"
                  f"{row['server_cpu_s'] / row['wall_s']:>14.0%}")
        ours, others = of[0], of[1:]
        ratio = {field: ours[field] / max(other[field] for other in others) for field in ("per_s", "per_cpu_s")}
        print(f"  put is {ratio['per_s']:.1f} times as fast as the better of the others, and "
              f"{ratio['per_cpu_s']:.1f} times per CPU second")
    print("fixed rates of `unthrottle smoke`, records of 100 bytes")
    for load in loads:
        print(f"  {load['rate']:>8,} records/s: error {load['error']:.2%}, behind {load['behind']:.2%}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("unthrottle")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with account(arguments.unthrottle) as (server, env):
        rows = compare(arguments.unthrottle, server, env, arguments.rounds)
        loads = rates(arguments.unthrottle, server, env, [5_000, 20_000, 50_000])
    if arguments.json:
        print(json.dumps({"writers": rows, "rates": loads}, indent=2))
    else:
        show(rows, loads)


if __name__ == "__main__":
    main()
